//! Problems that need derivatives of derivatives, each solved on any backend.
//!
//! Each problem is a module to be read from top to bottom, like a chapter: the equation, the idea,
//! then the code as a user of grad-core would write it. What comes out is a [`Report`], a short
//! table with the checks that the result has to pass.

mod grid;
mod network;
mod optimize;
mod progress;
mod report;

use std::process::ExitCode;

use grad_core::TensorLike;

use crate::args::SolveArgs;
use crate::backend::{self, Job};
use crate::{complain, exit_code, output};

pub(crate) use progress::Progress;
pub(crate) use report::Report;

/// A problem that needs derivatives of derivatives: one module each, generic over the tensor.
pub(crate) trait Problem {
    /// As on the command line.
    const NAME: &'static str;
    /// What is solved, in one line.
    const SUMMARY: &'static str;

    /// Solves it with tensors of the dtype and on the device of `model`.
    ///
    /// # Errors
    /// If the backend fails. A result that is not good enough is no error: the report says so.
    fn solve<T: TensorLike>(model: &T, progress: &Progress) -> anyhow::Result<Report>;
}

/// The table of the problems: a module, and the type in it that is a [`Problem`].
macro_rules! problems {
    ($($module:ident::$problem:ident),* $(,)?) => {
        $(mod $module;)*

        /// The name and the summary of each problem.
        pub(crate) const PROBLEMS: &[(&str, &str)] = &[
            $((<$module::$problem as Problem>::NAME, <$module::$problem as Problem>::SUMMARY)),*
        ];

        impl Job for Solve<'_> {
            type Output = Report;

            fn run<T: TensorLike>(self, model: T) -> anyhow::Result<Report> {
                match self.name {
                    $(<$module::$problem as Problem>::NAME => {
                        <$module::$problem as Problem>::solve(&model, &self.progress)
                    })*
                    name => anyhow::bail!("there is no problem '{name}'"),
                }
            }
        }
    };
}

problems! {
    black_scholes::BlackScholes,
    burgers::Burgers,
    double_pendulum::DoublePendulum,
    hamiltonian::Hamiltonian,
    maml::Maml,
    molecule::Molecule,
    poisson::Poisson,
    wgan::Wgan,
}

/// The problem of a name.
struct Solve<'a> {
    name: &'a str,
    progress: Progress,
}

/// Solves the problem asked for and prints its table, or lists the problems.
///
/// # Errors
/// If the problem cannot be solved there, or the output cannot be written.
pub(crate) fn run(args: &SolveArgs) -> anyhow::Result<ExitCode> {
    let Some(name) = &args.name else {
        output::print(&list())?;
        return Ok(ExitCode::SUCCESS);
    };
    let report = backend::run(args.place, Solve { name, progress: Progress::visible() })?;
    output::print(&report.to_string())?;
    let complaint = report.complaint();
    complaint.iter().for_each(|sentence| complain(sentence));
    Ok(exit_code(complaint.is_some()))
}

/// One line a problem.
fn list() -> String {
    let width = PROBLEMS.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    PROBLEMS.iter().map(|(name, summary)| format!("{name:<width$}  {summary}\n")).collect()
}

/// What the tests of the problems share.
#[cfg(test)]
pub(crate) mod testing {
    use crate::args::{Backend, DType, Device, Numbers, Place};

    use super::*;

    /// Solves a problem on one backend and checks that the result is good enough.
    #[track_caller]
    pub(crate) fn assert_solved<P: Problem>(backend: Backend, dtype: DType) {
        let place = Place { backend, numbers: Numbers { dtype, device: Device::Cpu } };
        let solve = Solve { name: P::NAME, progress: Progress::hidden() };
        let report = backend::run(place, solve).expect("the problem can be solved");
        assert!(report.passed(), "{backend:?} {dtype:?}\n{report}");
    }
}
