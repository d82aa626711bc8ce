//! An evaluation: one function of one problem, found by its name and computed on a backend.

use grad_core::TensorLike;
use serde_json::Value;
use serde_json::value::RawValue;

use super::args::GradbenchBackend;
use super::input;
use super::problem::Problem;
use super::runs::Runs;
use crate::backend::{self, Job};
use crate::place::{Backend, DType, Device, Numbers, Place};

/// The table of the problems.
macro_rules! problems {
    ($($problem:ty),* $(,)?) => {
        /// The names of the modules and whether each is scalar.
        const MODULES: &[(&str, bool)] = &[$((<$problem>::NAME, <$problem>::IS_SCALAR)),*];

        impl Job for Evaluation<'_> {
            type Output = Value;

            fn run<T: TensorLike>(self, model: T) -> anyhow::Result<Value> {
                match self.module {
                    $(<$problem>::NAME => {
                        let problem: $problem = input::read(self.input)?;
                        problem.evaluate(self.function, &model, self.runs)
                    })*
                    module => anyhow::bail!("there is no module '{module}'"),
                }
            }
        }
    };
}

problems! {
    super::ba::Ba,
    super::det::Det,
    super::gmm::Gmm,
    super::hello::Hello,
    super::ht::Ht,
    super::kmeans::Kmeans,
    super::llsq::Llsq,
    super::lse::Lse,
    super::lstm::Lstm,
    super::ode::Ode,
    super::particle::Particle,
    super::saddle::Saddle,
}

/// One function of one module at one input.
pub(crate) struct Evaluation<'a> {
    pub(crate) module: &'a str,
    pub(crate) function: &'a str,
    pub(crate) input: &'a RawValue,
    pub(crate) runs: &'a mut Runs,
}

impl Evaluation<'_> {
    /// Computes it on a backend.
    ///
    /// # Errors
    /// If there is no such module or function, the input does not fit, or the backend fails.
    pub(crate) fn on(self, backend: GradbenchBackend) -> anyhow::Result<Value> {
        let numbers = Numbers { dtype: DType::F64, device: Device::Cpu };
        let backend = match backend {
            GradbenchBackend::Auto if is_scalar(self.module)? => return self.run(0.0),
            GradbenchBackend::Scalar => return self.run(0.0),
            GradbenchBackend::Auto | GradbenchBackend::Ndarray => Backend::Ndarray,
            GradbenchBackend::Candle => Backend::Candle,
        };
        backend::run(Place { backend, numbers }, self)
    }
}

/// Whether a module is scalar.
///
/// # Errors
/// If there is no such module.
pub(crate) fn is_scalar(module: &str) -> anyhow::Result<bool> {
    let found = MODULES.iter().find(|(name, _)| *name == module);
    found.map(|&(_, is_scalar)| is_scalar).ok_or_else(|| {
        let names: Vec<&str> = MODULES.iter().map(|&(name, _)| name).collect();
        anyhow::anyhow!("there is no module '{module}', but {}", names.join(", "))
    })
}
