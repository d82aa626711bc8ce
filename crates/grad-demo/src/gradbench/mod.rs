//! A tool for GradBench, the benchmark suite of automatic differentiation: its protocol on the
//! standard streams, and its problems.
//!
//! Each problem is a module, written as a user of grad-core would write it: the input as it comes,
//! the objective once for every tensor, and its derivative by the engine. `problem` is what they
//! have in common, `input` and `output` are what they share on the way in and out, `runs` measures,
//! and `minimize` is the optimizer of two of them. `evaluation` has the table of the problems, and
//! `session` is the protocol.
//!
//! The problems and the protocol are those of <https://github.com/gradbench/gradbench>.

mod args;
mod ba;
mod det;
mod evaluation;
mod gmm;
mod hello;
mod ht;
mod input;
mod kmeans;
mod llsq;
mod lse;
mod lstm;
mod minimize;
mod ode;
mod output;
mod particle;
mod problem;
mod runs;
mod saddle;
mod session;

use std::io;
use std::process::ExitCode;

use self::session::Session;

pub(crate) use self::args::GradbenchArgs;

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
