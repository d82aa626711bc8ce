//! The command line of simple-grad: the program of the original on any backend, and what backends
//! make of it compared; and problems that need derivatives of derivatives.
//!
//! `cli` is the command line as a whole. Each command is a module with its own arguments: `trace`,
//! which is done if none is named, and `compare` show the computation in `program`; `solve` has
//! problems, one module each; `train` fits a classifier to real data; `gradbench` speaks the
//! protocol of a benchmark suite.
//!
//! What commands share knows none of them: `place` is where to compute, as one asks for it,
//! `backend` brings a computation there, `output` says what came out, and `adam` is an optimizer.

mod adam;
mod backend;
mod cli;
mod compare;
mod gradbench;
mod output;
mod place;
mod program;
mod solve;
mod trace;
mod train;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::Cli;

/// The program: reads the arguments of the process, does what they ask for, and says how it went.
pub fn main() -> ExitCode {
    let outcome = match Cli::try_parse() {
        Ok(cli) => cli.run(),
        // Help and version come as errors too.
        Err(error) if !error.use_stderr() => output::help(&error),
        Err(error) => Err(anyhow::anyhow!(cli::sentence(&error))),
    };
    outcome.unwrap_or_else(|error| {
        output::complain(&error.to_string());
        ExitCode::from(output::TROUBLE)
    })
}

/// The README of the project, so that its code is compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
mod readme {}
