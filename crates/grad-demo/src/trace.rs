//! The trace of the program, in one of several formats: what is done without a command.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use grad_core::inspect::{Trace, format_tensor};
use grad_core::{Tape, TensorLike};
use serde::Serialize;

use crate::backend::{self, Job};
use crate::output;
use crate::place::Place;
use crate::program;

#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct TraceArgs {
    #[command(flatten)]
    place: Place,

    /// How to print the trace: dot is for Graphviz
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    #[default]
    Text,
    Dot,
    Mermaid,
    Json,
}

/// Runs the program and prints its trace.
///
/// # Errors
/// If there is no such device, or the output cannot be written.
pub(crate) fn run(args: &TraceArgs) -> anyhow::Result<ExitCode> {
    let text = backend::run(args.place, Render { format: args.format })?;
    output::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// The program and its trace, in one of the formats.
struct Render {
    format: Format,
}

impl Job for Render {
    type Output = String;

    fn run<T: TensorLike>(self, model: T) -> anyhow::Result<String> {
        let tape = Tape::new();
        let [da, db] = program::record(&tape, &model)?;
        let trace = tape.trace();
        match self.format {
            Format::Text => {
                let (da, db) = (format_tensor(&da.value()?), format_tensor(&db.value()?));
                Ok(format!("{trace}da = {da}\ndb = {db}\n"))
            }
            Format::Dot => Ok(trace.to_dot()),
            Format::Mermaid => Ok(trace.to_mermaid()),
            Format::Json => {
                let document = Document { trace, da: da.to_host()?, db: db.to_host()? };
                Ok(serde_json::to_string_pretty(&document)? + "\n")
            }
        }
    }
}

/// What `--format json` prints.
#[derive(Serialize)]
struct Document {
    trace: Trace,
    da: Vec<f64>,
    db: Vec<f64>,
}
