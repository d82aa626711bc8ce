//! The time of the workloads: `cargo xtask bench`.

mod common;
mod workloads;

use clap::Parser;

use common::{Bench, Options};

fn main() -> anyhow::Result<()> {
    workloads::run(Bench::new(Options::parse(), None))
}
