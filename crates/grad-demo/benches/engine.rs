//! What the engine costs per operation: chains of `mul` and `add` on one element, recorded and
//! pulled back, beside a minimal hand-written tape and candle's own autograd.
//!
//! Run it with `cargo xtask bench engine`, which prints time per operation and ratios. The
//! contenders of a case run one after the other in one process.

use candle_core::{DType, Device, Tensor, Var};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use grad_candle::CandleTensor;
use grad_core::{Tape, TensorLike};
use grad_ndarray::NdTensor;

const N: u64 = 10_000;
const X: f64 = 1.000_1;
const C: f64 = 0.999_9;

/// `y ← y · c`, `y ← y + x` in turn, and the derivative of the last y with respect to x.
fn ours<T: TensorLike>(tape: &mut Tape<T>, model: &T, n: u64) -> T {
    tape.clear();
    let scalar = |value| model.full(&[], value).expect("a scalar");
    let x = tape.var(scalar(X));
    let c = tape.constant(scalar(C));
    let y = (0..n).fold(x, |y, i| if i % 2 == 0 { y * c } else { y + x });
    tape.backward(y, x).expect("a derivative")
}

fn record<T: TensorLike>(tape: &mut Tape<T>, model: &T, n: u64) -> usize {
    tape.clear();
    let scalar = |value| model.full(&[], value).expect("a scalar");
    let x = tape.var(scalar(X));
    let c = tape.constant(scalar(C));
    let y = (0..n).fold(x, |y, i| if i % 2 == 0 { y * c } else { y + x });
    y.id().index()
}

/// The least a tape can do: an enum, two fixed inputs, first order, scalars only, no checks.
mod floor {
    enum Op {
        Leaf,
        Mul(u32, u32),
        Add(u32, u32),
    }

    pub(super) struct Tape {
        nodes: Vec<(Op, f64)>,
    }

    impl Tape {
        pub(super) fn new() -> Self {
            Tape { nodes: Vec::new() }
        }

        fn push(&mut self, op: Op, value: f64) -> u32 {
            self.nodes.push((op, value));
            self.nodes.len() as u32 - 1
        }

        pub(super) fn chain(&mut self, n: u64) -> f64 {
            self.nodes.clear();
            let x = self.push(Op::Leaf, super::X);
            let c = self.push(Op::Leaf, super::C);
            let mut y = x;
            for i in 0..n {
                let value = |id: u32| self.nodes[id as usize].1;
                y = match i % 2 {
                    0 => self.push(Op::Mul(y, c), value(y) * value(c)),
                    _ => self.push(Op::Add(y, x), value(y) + value(x)),
                };
            }
            let mut ct = vec![0.0; self.nodes.len()];
            ct[y as usize] = 1.0;
            for (id, (op, _)) in self.nodes.iter().enumerate().rev() {
                let y_bar = ct[id];
                match *op {
                    Op::Leaf => {}
                    Op::Mul(a, b) => {
                        ct[a as usize] += y_bar * self.nodes[b as usize].1;
                        ct[b as usize] += y_bar * self.nodes[a as usize].1;
                    }
                    Op::Add(a, b) => {
                        ct[a as usize] += y_bar;
                        ct[b as usize] += y_bar;
                    }
                }
            }
            ct[x as usize]
        }
    }
}

fn candle(n: u64, dtype: DType) -> Tensor {
    let scalar = |value: f64| Tensor::new(value, &Device::Cpu)?.to_dtype(dtype);
    let chain = || -> candle_core::Result<Tensor> {
        let x = Var::from_tensor(&scalar(X)?)?;
        let c = scalar(C)?;
        let mut y = x.as_tensor().clone();
        for i in 0..n {
            y = if i % 2 == 0 { y.mul(&c)? } else { y.add(&x)? };
        }
        let gradients = y.backward()?;
        Ok(gradients.get(&x).expect("a gradient").clone())
    };
    chain().expect("candle's own chain")
}

fn engine(criterion: &mut Criterion) {
    let mut g = criterion.benchmark_group("engine");
    g.throughput(Throughput::Elements(N)).sample_size(30);
    let id = |case: &str, contender: &str| BenchmarkId::new(case, contender);

    let mut tape = Tape::<f64>::new();
    g.bench_function(id("record_f64", "ours"), |b| b.iter(|| record(&mut tape, &0.0, N)));
    g.bench_function(id("chain_f64", "ours"), |b| b.iter(|| ours(&mut tape, &0.0, N)));
    let mut tape = floor::Tape::new();
    g.bench_function(id("chain_f64", "floor"), |b| b.iter(|| tape.chain(N)));

    let (mut tape, model) = (Tape::new(), NdTensor::from(0f64));
    g.bench_function(id("chain_ndarray_f64", "ours"), |b| b.iter(|| ours(&mut tape, &model, N)));
    let (mut tape, model) = (Tape::new(), NdTensor::from(0f32));
    g.bench_function(id("chain_ndarray_f32", "ours"), |b| b.iter(|| ours(&mut tape, &model, N)));

    // candle's sweep recurses over its graph: much longer chains overflow its stack.
    let model = CandleTensor::from(0f32);
    let mut tape = Tape::new();
    g.bench_function(id("chain_candle_f32", "ours"), |b| b.iter(|| ours(&mut tape, &model, N)));
    g.bench_function(id("chain_candle_f32", "candle"), |b| b.iter(|| candle(N, DType::F32)));
    g.finish();
}

criterion_group!(benches, engine);
criterion_main!(benches);
