//! W1: a chain of operations on one element, `y ← y · c` and `y ← y + x` in turn, and the
//! derivative of the last y with respect to x. Times are by operation.

use candle_core::{Device, Tensor, Var as CandleVar};
use grad_candle::CandleTensor;
use grad_core::{Tape, TensorLike, Var};
use grad_ndarray::NdTensor;

use super::arrays::Ours;
use super::contenders::{CANDLE, FLOOR, ON_CANDLE, ON_F64, ON_NDARRAY};
use crate::measure::Bench;
use crate::measure::case::Case;

const X: f64 = 1.000_1;
const C: f64 = 0.999_9;

/// The sweep of candle recurses over its graph, and a longer chain overflows the stack.
const LONGEST_OF_CANDLE: usize = 10_000;

pub(crate) fn run(bench: &mut Bench) {
    bench.run(|| step("10,000 operations", 10_000));
    bench.run(|| step("1,000,000 operations", 1_000_000));
    if bench.options.plot.is_some() {
        for n in [100, 1_000, 10_000, 100_000, 1_000_000] {
            bench.run(|| step("operations", n).size(n));
        }
    }
}

pub(crate) fn step(name: &str, n: usize) -> Case {
    // f32 rounds each of the products and sums.
    let mut case = Case::new("w1", name).per_op(n).tolerance(1e-3);
    let (nd, candle) = (NdTensor::from(0.0_f32), CandleTensor::from(0.0_f32));
    case.contender(ON_F64, ours(0.0, n)).forward(value(0.0, n));
    case.contender(ON_NDARRAY, ours(nd.clone(), n)).forward(value(nd, n));
    case.contender(ON_CANDLE, ours(candle.clone(), n)).forward(value(candle, n));
    if n <= LONGEST_OF_CANDLE {
        case.contender(CANDLE, move || theirs(n).expect("candle's own chain"));
    }
    let mut tape = floor::Tape::default();
    case.contender(FLOOR, move || tape.derivative(n));
    case
}

/// The last y, from x.
pub(crate) fn chain<T: TensorLike>(x: Var<'_, T>, n: usize) -> Var<'_, T> {
    let c = x.new_constant([], &[C]);
    (0..n).fold(x, |y, i| if i % 2 == 0 { y * c } else { y + x })
}

/// x, in the type of `model`.
pub(crate) fn start<T: TensorLike>(model: &T) -> T {
    model.full(&[], X).expect("a scalar")
}

/// A step on a tape that is used again.
pub(crate) fn ours<T: TensorLike>(model: T, n: usize) -> impl FnMut() -> Ours<T> {
    let mut tape = Tape::new();
    move || {
        tape.clear();
        let x = tape.var(start(&model));
        let y = chain(x, n);
        Ours::new(y.value().expect("a value"), [tape.backward(y, x).expect("a derivative")])
    }
}

/// The value alone, of a constant.
fn value<T: TensorLike>(model: T, n: usize) -> impl FnMut() -> Ours<T> {
    let mut tape = Tape::new();
    move || {
        tape.clear();
        Ours::new(chain(tape.constant(start(&model)), n).value().expect("a value"), [])
    }
}

fn theirs(n: usize) -> candle_core::Result<Vec<Tensor>> {
    let scalar = |value: f64| Tensor::new(value as f32, &Device::Cpu);
    let x = CandleVar::from_tensor(&scalar(X)?)?;
    let c = scalar(C)?;
    let mut y = x.as_tensor().clone();
    for i in 0..n {
        y = if i % 2 == 0 { y.mul(&c)? } else { y.add(&x)? };
    }
    let gradients = y.backward()?;
    Ok([Some(&y), gradients.get(&x)].into_iter().flatten().cloned().collect())
}

/// The least that a tape can do: an enum, two fixed inputs, first order, numbers only, no checks.
pub(crate) mod floor {
    use super::{C, X};

    enum Op {
        Leaf,
        Mul(u32, u32),
        Add(u32, u32),
    }

    #[derive(Default)]
    pub(crate) struct Tape {
        nodes: Vec<(Op, f64)>,
        cotangents: Vec<f64>,
    }

    impl Tape {
        fn push(&mut self, op: Op, value: f64) -> u32 {
            self.nodes.push((op, value));
            self.nodes.len() as u32 - 1
        }

        pub(crate) fn derivative(&mut self, n: usize) -> Vec<Vec<f64>> {
            self.nodes.clear();
            let x = self.push(Op::Leaf, X);
            let c = self.push(Op::Leaf, C);
            let mut y = x;
            for i in 0..n {
                let value = |id: u32| self.nodes[id as usize].1;
                y = match i % 2 {
                    0 => self.push(Op::Mul(y, c), value(y) * value(c)),
                    _ => self.push(Op::Add(y, x), value(y) + value(x)),
                };
            }
            let ct = &mut self.cotangents;
            ct.clear();
            ct.resize(self.nodes.len(), 0.0);
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
            vec![vec![self.nodes[y as usize].1], vec![ct[x as usize]]]
        }
    }
}
