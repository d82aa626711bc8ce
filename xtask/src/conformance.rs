//! `cargo xtask conformance FILE...`: runs files of test vectors on a backend.
//!
//! The work is done by an example of grad-demo, the crate that sees the backends; here is only the
//! way to it. Its exit code is ours: 1 if a case fails, 2 if a file cannot be read.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use clap::Args;

use crate::workspace::root;

#[derive(Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Options {
    /// Files of test vectors, and `--backend ndarray|candle`, `--dtype f32|f64`, `--json`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENTS")]
    arguments: Vec<String>,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    // The directory stays the caller's, so that the files are where they say.
    let status = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()))
        .args(["run", "--quiet", "--package=grad-demo", "--example=conformance"])
        .arg("--manifest-path")
        .arg(root().join("Cargo.toml"))
        .arg("--")
        .args(&options.arguments)
        .status()
        .context("cannot run cargo")?;
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(2);
    Ok(ExitCode::from(code))
}
