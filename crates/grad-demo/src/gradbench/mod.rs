//! A tool for GradBench, the benchmark suite of automatic differentiation: its protocol on the
//! standard streams, and its problems.
//!
//! Each problem is a module, written as a user of grad-core would write it: the input as it comes,
//! the objective once for every tensor, and its derivative by the engine. `session` is the
//! protocol, `runs` measures, `input` and `output` are what the problems share on the way in and
//! out, and `minimize` is the optimizer of two of them.
//!
//! The problems and the protocol are those of <https://github.com/gradbench/gradbench>.

mod input;
mod minimize;
mod output;
mod runs;
mod session;

use std::io;
use std::process::ExitCode;

use grad_core::{Error, Tape, TensorLike, Var};
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::args::{self, DType, Device, GradbenchArgs, GradbenchBackend, Numbers, Place};
use crate::backend::{self, Job};

use runs::Runs;
use session::Session;

/// A problem of GradBench: what the fields of its input are, and its functions.
pub(crate) trait Problem: DeserializeOwned {
    /// The module of the protocol.
    const NAME: &'static str;

    /// Whether the work is on single numbers, where the `f64` backend is the fastest by far.
    const IS_SCALAR: bool = false;

    /// Computes one of the functions with tensors of the dtype and on the device of `model`, as
    /// often as `runs` wants.
    ///
    /// # Errors
    /// If the sizes of the input do not fit each other, there is no such function
    /// ([`unknown`]), the backend fails, or the result is not finite.
    fn evaluate<T: TensorLike>(
        &self,
        function: &str,
        model: &T,
        runs: &mut Runs,
    ) -> anyhow::Result<Value>;
}

/// The value of a function, without its derivative.
fn primal<T, F>(f: F, x: &T) -> Result<T, Error>
where
    T: TensorLike,
    F: for<'t> FnOnce(Var<'t, T>) -> Var<'t, T>,
{
    let tape = Tape::new();
    f(tape.constant(x.clone())).value()
}

/// `f` of each, or the first error.
fn each<X, Y, E, const N: usize>(x: [X; N], f: impl Fn(X) -> Result<Y, E>) -> Result<[Y; N], E> {
    let all = x.into_iter().map(f).collect::<Result<Vec<Y>, E>>()?;
    Ok(all.try_into().ok().expect("there is one for each"))
}

/// The answer to a function that a problem does not have.
fn unknown<P: Problem>(function: &str) -> anyhow::Error {
    anyhow::anyhow!("module {} has no function '{function}'", P::NAME)
}

/// What a problem answers with tensors of ndarray, or the whole text of its error.
#[cfg(test)]
fn answer<P: Problem>(function: &str, input: Value) -> Result<Value, String> {
    let model = grad_ndarray::NdTensor::from(0_f64);
    let problem: P = serde_json::from_value(input).expect("the fields of the problem");
    let answer = problem.evaluate(function, &model, &mut Runs::default());
    answer.map_err(|error| format!("{error:#}"))
}

/// The table of the problems: a module, and the type in it that is a [`Problem`].
macro_rules! problems {
    ($($module:ident::$problem:ident),* $(,)?) => {
        $(mod $module;)*

        /// The names of the modules and whether each is scalar.
        const MODULES: &[(&str, bool)] = &[
            $((<$module::$problem as Problem>::NAME, <$module::$problem as Problem>::IS_SCALAR)),*
        ];

        impl Job for Evaluation<'_> {
            type Output = Value;

            fn run<T: TensorLike>(self, model: T) -> anyhow::Result<Value> {
                match self.module {
                    $(<$module::$problem as Problem>::NAME => {
                        let problem: $module::$problem = input::read(self.input)?;
                        problem.evaluate(self.function, &model, self.runs)
                    })*
                    module => anyhow::bail!("there is no module '{module}'"),
                }
            }
        }
    };
}

problems! {
    ba::Ba,
    det::Det,
    gmm::Gmm,
    hello::Hello,
    ht::Ht,
    kmeans::Kmeans,
    llsq::Llsq,
    lse::Lse,
    lstm::Lstm,
    ode::Ode,
    particle::Particle,
    saddle::Saddle,
}

/// One function of one module at one input.
struct Evaluation<'a> {
    module: &'a str,
    function: &'a str,
    input: &'a RawValue,
    runs: &'a mut Runs,
}

impl Evaluation<'_> {
    /// Computes it on a backend.
    ///
    /// # Errors
    /// If there is no such module or function, the input does not fit, or the backend fails.
    fn on(self, backend: GradbenchBackend) -> anyhow::Result<Value> {
        let numbers = Numbers { dtype: DType::F64, device: Device::Cpu };
        let backend = match backend {
            GradbenchBackend::Auto if is_scalar(self.module)? => return self.run(0.0),
            GradbenchBackend::Scalar => return self.run(0.0),
            GradbenchBackend::Auto | GradbenchBackend::Ndarray => args::Backend::Ndarray,
            GradbenchBackend::Candle => args::Backend::Candle,
        };
        backend::run(Place { backend, numbers }, self)
    }
}

/// Whether a module is scalar.
///
/// # Errors
/// If there is no such module.
fn is_scalar(module: &str) -> anyhow::Result<bool> {
    let found = MODULES.iter().find(|(name, _)| *name == module);
    found.map(|&(_, is_scalar)| is_scalar).ok_or_else(|| {
        let names: Vec<&str> = MODULES.iter().map(|&(name, _)| name).collect();
        anyhow::anyhow!("there is no module '{module}', but {}", names.join(", "))
    })
}

/// Answers the messages on the standard input, one line each, until its end.
///
/// # Errors
/// If a stream fails. Everything that is wrong with a message is said in the answer to it.
pub(crate) fn run(args: &GradbenchArgs) -> anyhow::Result<ExitCode> {
    let threads = if args.multithreaded { 0 } else { 1 };
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
    Session::new(args.backend).serve(io::stdin().lock(), io::stdout().lock())?;
    Ok(ExitCode::SUCCESS)
}
