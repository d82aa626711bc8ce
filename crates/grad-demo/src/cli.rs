//! The command line as a whole: what can be asked for, and who does it.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::compare::{self, CompareArgs};
use crate::gradbench::{self, GradbenchArgs};
use crate::solve::{self, SolveArgs};
use crate::trace::{self, TraceArgs};
use crate::train::{self, TrainArgs};

/// Differentiate the program of the original simple-grad, and print the trace.
///
/// Without a command: a and b hold four numbers each, L0 = ((a + b) * b).sum(), and the gradient
/// of L0 is recorded. L1 is the sum of that gradient's squares, and its gradient goes back through
/// the first one.
#[derive(Debug, Parser)]
#[command(version, verbatim_doc_comment, args_conflicts_with_subcommands = true)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(flatten)]
    trace: TraceArgs,

    #[command(subcommand)]
    command: Option<Command>,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  all went well
  1  compare found a difference above the tolerance, or a result of solve is not good enough
  2  what was asked for could not be done
  130  Ctrl-C ended train early";

/// What to do instead.
#[derive(Debug, Subcommand)]
enum Command {
    Compare(CompareArgs),
    Solve(SolveArgs),
    Train(TrainArgs),
    Gradbench(GradbenchArgs),
}

impl Cli {
    /// Does what is asked for.
    ///
    /// # Errors
    /// If it cannot be done.
    pub(crate) fn run(&self) -> anyhow::Result<ExitCode> {
        match &self.command {
            None => trace::run(&self.trace),
            Some(Command::Compare(args)) => compare::run(args),
            Some(Command::Solve(args)) => solve::run(args),
            Some(Command::Train(args)) => train::run(args),
            Some(Command::Gradbench(args)) => gradbench::run(args),
        }
    }
}

/// What clap found wrong, as one sentence on one line, without the advice to read the help.
pub(crate) fn sentence(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let paragraphs = text.split("\n\n").filter(|paragraph| {
        !paragraph.starts_with("Usage:") && !paragraph.starts_with("For more information")
    });
    let one_line = |paragraph: &str| paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
    paragraphs.map(one_line).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }
}
