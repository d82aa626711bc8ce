//! The command line of simple-grad: the program of the original on any backend, and what backends
//! make of it compared; and problems that need derivatives of derivatives.
//!
//! One module a concern: `args` says what can be asked for, `backend` brings a computation to the
//! tensors asked for, `program` is the computation, `output` and `compare` show what came out.
//! `solve` has the problems, one module each, and `train` fits a classifier to real data; both step
//! with `adam`. `gradbench` speaks the protocol of a benchmark suite.

mod adam;
mod args;
mod backend;
mod compare;
mod gradbench;
mod output;
mod program;
mod solve;
mod train;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use crate::args::{Cli, Command};

/// The exit code where what was asked for could not be done.
const TROUBLE: u8 = 2;

/// The program: reads the arguments of the process, does what they ask for, and says how it went.
pub fn main() -> ExitCode {
    let outcome = match Cli::try_parse() {
        Ok(cli) => run(cli),
        // Help and version come as errors too.
        Err(error) if !error.use_stderr() => output::help(&error),
        Err(error) => Err(anyhow::anyhow!(args::sentence(&error))),
    };
    outcome.unwrap_or_else(|error| {
        complain(&error.to_string());
        ExitCode::from(TROUBLE)
    })
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        None => output::trace(cli.place, cli.format),
        Some(Command::Compare(args)) => compare::run(&args),
        Some(Command::Solve(args)) => solve::run(&args),
        Some(Command::Train(args)) => train::run(&args),
        Some(Command::Gradbench(args)) => gradbench::run(&args),
    }
}

/// Says on the standard error what is wrong. Never a backtrace: the sentence has to do.
fn complain(sentence: &str) {
    say(&format!("error: {sentence}"));
}

/// Says something on the standard error.
fn say(sentence: &str) {
    // Where nobody listens there is nothing left to do.
    let _ = writeln!(std::io::stderr().lock(), "{sentence}");
}

/// The exit code of a result: 1 if there is something to complain of.
fn exit_code(is_bad: bool) -> ExitCode {
    if is_bad { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_result_exits_with_1() {
        assert_eq!(exit_code(true), ExitCode::from(1));
        assert_eq!(exit_code(false), ExitCode::from(0));
    }
}

/// The README of the project, so that its code is compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
mod readme {}
