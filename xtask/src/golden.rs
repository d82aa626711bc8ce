//! `cargo xtask golden [--bless]`: the demo's output against `crates/grad-demo/tests/golden`.
//!
//! The tests of the demo compare the same files; this command shows the difference, and rewrites
//! the files where the change is meant. The commit that blesses a file gives the reason.

use std::fs;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::diff::diff;
use crate::workspace::{cargo, output, root};

#[derive(Args)]
pub(crate) struct Options {
    /// Write what the demo prints into the golden files instead of comparing.
    #[arg(long)]
    bless: bool,
}

const DIRECTORY: &str = "crates/grad-demo/tests/golden";

/// The files, and the format of each.
const FILES: [(&str, &str); 4] =
    [("seed.txt", "text"), ("seed.dot", "dot"), ("seed.mmd", "mermaid"), ("seed.json", "json")];

/// The first writes the files; the others must print the same.
const BACKENDS: [&str; 2] = ["ndarray", "candle"];

pub(crate) fn run(options: &Options) -> Result<()> {
    let mut n_different = 0;
    for (file, format) in FILES {
        let path = root().join(DIRECTORY).join(file);
        for backend in BACKENDS {
            let arguments = ["--backend", backend, "--format", format];
            let printed = demo(&arguments)?;
            if options.bless && backend == BACKENDS[0] {
                fs::write(&path, &printed).with_context(|| format!("cannot write {file}"))?;
            }
            let golden = fs::read_to_string(&path)
                .with_context(|| format!("cannot read {DIRECTORY}/{file}"))?;
            let difference = diff(&golden, &printed);
            if difference.is_empty() {
                println!("{file} {backend}: the same");
                continue;
            }
            n_different += 1;
            println!("{file} {backend}: different (- golden, + printed)\n{difference}");
        }
    }
    match (n_different, options.bless) {
        (0, _) => Ok(()),
        (n, false) => bail!("{n} outputs differ; if that is meant, `cargo xtask golden --bless`"),
        (n, true) => bail!("{n} outputs differ from what {} prints", BACKENDS[0]),
    }
}

fn demo(arguments: &[&str]) -> Result<String> {
    let mut command = cargo(&["run", "--quiet", "--package=grad-demo", "--"]);
    output(command.args(arguments))
}
