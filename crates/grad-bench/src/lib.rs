//! Benchmarks of simple-grad, beside candle and beside the same by hand: `cargo xtask bench`.
//!
//! `workloads` and `gradbench` are what is measured, each with its floor, which is the same by
//! hand; `measure` is how. Each target of `benches/` is a call of a function below, with the
//! allocator that it needs; the arguments are those of the process.

mod gradbench;
mod measure;
mod vectorized;
mod workloads;

use anyhow::Result;
use clap::Parser as _;
use peak_alloc::PeakAlloc;

use crate::measure::{Bench, Options};

/// Measures the time of the workloads.
///
/// # Errors
/// If there is no such workload, or a file cannot be written.
///
/// # Panics
/// If the contenders of a case do not agree: then there is nothing to compare.
pub fn time() -> Result<()> {
    workloads::run(Bench::new(Options::parse(), None))
}

/// Measures the memory of the workloads, by the allocator of the process.
///
/// # Errors
/// As [`time`].
///
/// # Panics
/// As [`time`].
pub fn memory(allocator: &'static PeakAlloc) -> Result<()> {
    workloads::run(Bench::new(Options::parse(), Some(allocator)))
}

/// Measures the time of GradBench's problems, by the demo as their tool.
///
/// # Errors
/// If the tool cannot be built or does not answer, if it and the floor do not agree, or if a file
/// cannot be written.
pub fn gradbench() -> Result<()> {
    gradbench::run(Options::parse())
}
