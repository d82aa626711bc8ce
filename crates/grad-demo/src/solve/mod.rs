//! Problems that need derivatives of derivatives, each solved on any backend.
//!
//! Each problem is a module to be read from top to bottom, like a chapter: the equation, the idea,
//! then the code as a user of grad-core would write it. What comes out is a [`Report`], a short
//! table with the checks that the result has to pass.

mod black_scholes;
mod burgers;
mod double_pendulum;
mod grid;
mod hamiltonian;
mod maml;
mod molecule;
mod network;
mod optimize;
mod poisson;
mod problem;
mod progress;
mod report;
mod wgan;

use std::process::ExitCode;

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser};

use self::problem::{Problem, solve};
use self::progress::Progress;
use self::report::Report;
use crate::output::{self, complain, exit_code};
use crate::place::Place;

/// Solve a problem that needs derivatives of derivatives.
///
/// Prints a table of the results; exits with 1 if one is not good enough.
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub(crate) struct SolveArgs {
    /// The problem
    #[arg(value_parser = problems(), required_unless_present = "list")]
    name: Option<String>,

    /// Say what the problems are
    #[arg(long, exclusive = true)]
    list: bool,

    #[command(flatten)]
    place: Place,
}

/// One of the problems by its name.
fn problems() -> PossibleValuesParser {
    let problem = |&(name, summary)| PossibleValue::new(name).help(summary);
    PossibleValuesParser::new(PROBLEMS.iter().map(problem))
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
    let report = solve_named(name, args.place, &Progress::visible())?;
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

/// The table of the problems.
macro_rules! problems {
    ($($problem:ty),* $(,)?) => {
        /// The name and the summary of each problem.
        const PROBLEMS: &[(&str, &str)] = &[$((<$problem>::NAME, <$problem>::SUMMARY)),*];

        /// Solves the problem of a name.
        fn solve_named(name: &str, place: Place, progress: &Progress) -> anyhow::Result<Report> {
            match name {
                $(<$problem>::NAME => solve::<$problem>(place, progress),)*
                name => anyhow::bail!("there is no problem '{name}'"),
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
