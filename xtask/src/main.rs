//! Maintenance commands of the workspace: `cargo xtask help`.
//!
//! Here is what plain cargo does not do. One file a command; `tidy` holds the checks of the
//! invariants that are about text.

#![allow(clippy::print_stdout, reason = "printing is what these commands are for")]

mod bench;
mod catalogue;
mod ci;
mod conformance;
mod diff;
mod docs;
mod golden;
mod tidy;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Maintenance commands of the simple-grad workspace.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_version_flag = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Checks everything that a change must pass, cheapest first; stops at the first failure.
    Ci(ci::Options),
    /// Runs files of test vectors on a backend.
    Conformance(conformance::Options),
    /// Writes the tables of the documents that are made from the sources.
    Docs(docs::Options),
    /// Compares the output of the demo with its golden files.
    Golden(golden::Options),
    /// Runs a benchmark and prints its cases side by side.
    Bench(bench::Options),
}

fn main() -> ExitCode {
    let success = |()| ExitCode::SUCCESS;
    let done = match Cli::parse().command {
        Command::Ci(options) => ci::run(&options).map(success),
        Command::Conformance(options) => conformance::run(&options),
        Command::Docs(options) => docs::run(&options).map(success),
        Command::Golden(options) => golden::run(&options).map(success),
        Command::Bench(options) => bench::run(&options).map(success),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}
