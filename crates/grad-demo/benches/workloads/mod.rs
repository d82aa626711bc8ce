//! What is measured: the cost of the engine, and six workloads from a scalar to a small network.
//!
//! Each is written once for ours, generic over `TensorLike`; once with candle and its own graph;
//! and once by hand, as the floor: loops and matrix products, value and gradient.

pub(crate) mod engine;
pub(crate) mod w1;

use anyhow::{Result, bail};
use candle_core::{DType, Tensor};
use grad_core::TensorLike;

use crate::common::Bench;
use crate::common::case::Numbers;

/// The contenders. Those that are ours begin with `ours`.
pub(crate) const ON_F64: &str = "ours on f64";
pub(crate) const ON_NDARRAY: &str = "ours on ndarray";
pub(crate) const ON_CANDLE: &str = "ours on candle";
pub(crate) const CANDLE: &str = "candle";
pub(crate) const FLOOR: &str = "floor";

/// A function that measures a workload.
type Workload = fn(&mut Bench);

const WORKLOADS: [(&str, Workload); 2] = [("engine", engine::run), ("w1", w1::run)];

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

/// Tensors of ours: a value and gradients.
pub(crate) struct Ours<T>(pub(crate) Vec<T>);

impl<T: TensorLike> Numbers for Ours<T> {
    fn numbers(&self) -> Vec<Vec<f64>> {
        self.0.iter().map(|x| x.to_host().expect("a tensor of numbers")).collect()
    }
}

impl Numbers for Vec<Tensor> {
    fn numbers(&self) -> Vec<Vec<f64>> {
        let host = |x: &Tensor| x.flatten_all()?.to_dtype(DType::F64)?.to_vec1();
        self.iter().map(|x| host(x).expect("a tensor of numbers")).collect()
    }
}

impl Numbers for Vec<Vec<f32>> {
    fn numbers(&self) -> Vec<Vec<f64>> {
        self.iter().map(|list| list.iter().map(|&x| f64::from(x)).collect()).collect()
    }
}
