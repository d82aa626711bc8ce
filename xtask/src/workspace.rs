//! Where the workspace is, and how its cargo is called.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// The crates that are published, each after those that it depends on.
pub(crate) const LIBRARIES: [&str; 5] =
    ["grad-core", "grad-conformance", "grad-linalg", "grad-ndarray", "grad-candle"];

/// Those of them that implement `TensorLike`.
pub(crate) const BACKENDS: [&str; 2] = ["grad-ndarray", "grad-candle"];

/// The crates that no other is built on: the command line and the benchmarks.
pub(crate) const PROGRAMS: [&str; 2] = ["grad-bench", "grad-demo"];

/// The root of the workspace: the parent of this crate.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// The cargo that runs us, so that a toolchain chosen with `cargo +name` stays chosen.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    command.args(arguments).current_dir(root());
    command
}

/// Runs a command that prints what it has to say, and fails if it fails.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let shown = shown(command);
    let status = command.status().with_context(|| format!("`{shown}` did not start"))?;
    if !status.success() {
        bail!("`{shown}` failed ({status})");
    }
    Ok(())
}

/// Runs a command and takes what it prints on stdout; stderr passes through.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let shown = shown(command);
    command.stderr(std::process::Stdio::inherit());
    let output = command.output().with_context(|| format!("`{shown}` did not start"))?;
    if !output.status.success() {
        bail!("`{shown}` failed ({})", output.status);
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{shown}` printed no UTF-8"))
}

/// A command as one would type it.
pub(crate) fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_stem().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
