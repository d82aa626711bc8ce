//! What is measured: the cost of the engine, and six workloads from a scalar to a small network.
//!
//! Each is written once for ours, generic over `TensorLike`; once with candle and its own graph;
//! and once by hand, as the floor: loops and matrix products, value and gradient.

pub(crate) mod arrays;
pub(crate) mod engine;
pub(crate) mod floor;
pub(crate) mod w1;
pub(crate) mod w2;
pub(crate) mod w3;
pub(crate) mod w4;
pub(crate) mod w5;
mod w5_floor;
pub(crate) mod w6;
mod w6_floor;

use anyhow::{Result, bail};

use crate::common::Bench;

/// The contenders. Those that are ours begin with `ours`.
pub(crate) const ON_F64: &str = "ours on f64";
pub(crate) const ON_NDARRAY: &str = "ours on ndarray";
pub(crate) const ON_CANDLE: &str = "ours on candle";
pub(crate) const CANDLE: &str = "candle";
pub(crate) const FLOOR: &str = "floor";

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
