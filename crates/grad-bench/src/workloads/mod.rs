//! What is measured: the cost of the engine, and six workloads from a scalar to a small network.
//!
//! Each is written once for ours, generic over `TensorLike`; once with candle and its own graph;
//! and once by hand, as the floor: loops and matrix products, value and gradient.

mod arrays;
mod contenders;
mod engine;
mod floor;
#[cfg(test)]
mod tests;
mod w1;
mod w2;
mod w3;
mod w4;
mod w5;
mod w5_floor;
mod w5_sizes;
mod w6;
mod w6_floor;

use anyhow::{Result, bail};

use crate::measure::Bench;

/// A function that measures a workload.
type Workload = fn(&mut Bench);

const WORKLOADS: [(&str, Workload); 7] = [
    ("engine", engine::run),
    ("w1", w1::run),
    ("w2", w2::run),
    ("w3", w3::run),
    ("w4", w4::run),
    ("w5", w5::run),
    ("w6", w6::run),
];

/// Measures the workloads that are asked for.
pub(crate) fn run(mut bench: Bench) -> Result<()> {
    let is_known = |name: &String| WORKLOADS.iter().any(|(known, _)| known == name);
    if let Some(name) = bench.options.names.iter().find(|name| !is_known(name)) {
        bail!("there is no workload `{name}`");
    }
    for (name, run) in WORKLOADS {
        if bench.options.wants(name) {
            run(&mut bench);
        }
    }
    bench.finish()
}
