//! The memory of the workloads: `cargo xtask bench`. A program of its own, since counting every
//! allocation takes time.

mod common;
mod workloads;

use clap::Parser;
use peak_alloc::PeakAlloc;

use common::{Bench, Options};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

fn main() -> anyhow::Result<()> {
    workloads::run(Bench::new(Options::parse(), Some(&MEMORY)))
}
