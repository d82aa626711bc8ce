//! What the program prints, and how it gets out.

use std::io::{self, Write};
use std::process::ExitCode;

use grad_core::inspect::{Trace, format_tensor};
use grad_core::{Tape, TensorLike};
use serde::Serialize;

use crate::args::{Format, Place};
use crate::backend::{self, Job};
use crate::program;

/// Runs the program and prints its trace.
///
/// # Errors
/// If there is no such device, or the output cannot be written.
pub(crate) fn trace(place: Place, format: Format) -> anyhow::Result<ExitCode> {
    let text = backend::run(place, Render { format })?;
    print(&text)?;
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

/// Writes `text` to the standard output, all at once.
///
/// # Errors
/// If it cannot be written. A reader that has seen enough is no error.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    written(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()))
}

/// Prints the help or the version, in color on a terminal.
///
/// # Errors
/// As [`print()`].
pub(crate) fn help(text: &clap::Error) -> anyhow::Result<ExitCode> {
    written(text.print())?;
    Ok(ExitCode::SUCCESS)
}

fn written(result: io::Result<()>) -> anyhow::Result<()> {
    match result {
        // `| head` closes the pipe when it has its lines.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(anyhow::anyhow!("cannot write the output: {error}")),
        Ok(()) => Ok(()),
    }
}
