//! W4: second derivatives, f64. The product of a Hessian and a vector, for the weights of a
//! 64-128-1 network with `tanh` and its mean squared error on a batch of 256; and the full Hessian
//! of the Rosenbrock function of 100 variables.
//!
//! Candle forgets how it computed a gradient, unless CANDLE_GRAD_DO_NOT_DETACH is set when the
//! program starts, as `cargo xtask bench w4` does. Without it, candle is left out: it would answer
//! with wrong numbers.

use std::env;

use candle_core::{DType, Tensor, Var as CandleVar};
use grad_candle::CandleTensor;
use grad_core::{TensorLike, Var, transform};
use grad_ndarray::NdTensor;

use super::arrays::{Array, Kept, Ours, kept};
use super::contenders::{CANDLE, FLOOR, ON_CANDLE, ON_NDARRAY};
use super::floor;
use crate::measure::Bench;
use crate::measure::case::Case;

pub(crate) fn run(bench: &mut Bench) {
    bench.run(|| hvp("Hessian-vector product, 64-128-1, batch 256", 256, 64, 128));
    bench.run(|| hessian("Hessian of Rosenbrock-100", 100));
}

fn candle_keeps_graphs() -> bool {
    env::var_os("CANDLE_GRAD_DO_NOT_DETACH").is_some_and(|value| !value.is_empty() && value != "0")
}

pub(crate) fn hvp(name: &str, batch: usize, n_inputs: usize, n_hidden: usize) -> Case {
    let problem = Problem::new(batch, n_inputs, n_hidden);
    let mut case = Case::new("w4", name).tolerance(1e-10);
    case.contender(ON_NDARRAY, problem.ours(NdTensor::from(0.0_f64)));
    case.contender(ON_CANDLE, problem.ours(CandleTensor::from(0.0_f64)));
    if candle_keeps_graphs() {
        case.contender(CANDLE, problem.candle());
    }
    case.contender(FLOOR, problem.floor()).keeps_memory();
    case
}

/// A network `x ↦ tanh(x W₁ + b₁) W₂ + b₂`, its data, and a direction.
struct Problem {
    x: Array,
    y: Array,
    /// W₁, b₁, W₂ and b₂.
    weights: [Array; 4],
    direction: [Array; 4],
}

impl Problem {
    fn new(batch: usize, n_inputs: usize, n_hidden: usize) -> Self {
        let shapes = [vec![n_inputs, n_hidden], vec![n_hidden], vec![n_hidden, 1], vec![1]];
        let bounds = [(3.0 / n_inputs as f64).sqrt(), 0.1, (3.0 / n_hidden as f64).sqrt(), 0.1];
        let arrays = |seed: u64| {
            let mut bounds = bounds.into_iter();
            shapes.each_ref().map(|shape| {
                let bound = bounds.next().unwrap_or(0.0);
                Array::uniform(seed + shape.len() as u64, shape, bound)
            })
        };
        Problem {
            x: Array::uniform(1, &[batch, n_inputs], 1.0),
            y: Array::uniform(2, &[batch, 1], 1.0),
            weights: arrays(10),
            direction: arrays(20),
        }
    }

    fn ours<T: TensorLike>(&self, model: T) -> impl FnMut() -> Ours<T> + 'static {
        let (x, y) = (self.x.ours(&model), self.y.ours(&model));
        let weights = self.weights.each_ref().map(|array| array.ours(&model));
        let direction = self.direction.each_ref().map(|array| array.ours(&model));
        move || {
            let product = transform::hvp(
                |[w1, b1, w2, b2]| {
                    let tape = w1.tape();
                    let (x, y) = (tape.constant(x.clone()), tape.constant(y.clone()));
                    ((x.matmul(w1) + b1).tanh().matmul(w2) + b2).mse_loss(y)
                },
                weights.clone(),
                direction.clone(),
            );
            Ours(product.expect("a product").into())
        }
    }

    fn candle(&self) -> impl FnMut() -> Vec<Tensor> + 'static {
        let (x, y) = (self.x.candle(DType::F64), self.y.candle(DType::F64));
        let weights = self.weights.each_ref().map(|array| array.var(DType::F64));
        let direction = self.direction.each_ref().map(|array| array.candle(DType::F64));
        move || their_hvp(&x, &y, &weights, &direction).expect("candle's product")
    }

    /// Each value with its derivative in the direction, through the gradient. Source:
    /// B. Pearlmutter, "Fast exact multiplication by the Hessian" (1994).
    fn floor(&self) -> impl FnMut() -> Kept<f64> + 'static {
        let (x, y) = (self.x.data.clone(), self.y.data.clone());
        let [w1, b1, w2, b2] = self.weights.each_ref().map(|array| array.data.clone());
        let [v1, u1, v2, u2] = self.direction.each_ref().map(|array| array.data.clone());
        let (batch, n_hidden) = (y.len(), b1.len());
        let n_inputs = x.len() / batch;
        let out = kept([w1.len(), b1.len(), w2.len(), b2.len()]);
        let [mut hidden, mut hidden_dot, mut z_bar_dot] =
            [(); 3].map(|()| vec![0.0; batch * n_hidden]);
        move || {
            let [w1_bar, b1_bar, w2_bar, b2_bar] = &mut out.borrow_mut()[..] else {
                return out.clone();
            };
            let inputs = floor::rows(&x, n_inputs);
            floor::product(&mut hidden, inputs, floor::rows(&w1, n_hidden));
            floor::product(&mut hidden_dot, inputs, floor::rows(&v1, n_hidden));
            w2_bar.fill(0.0);
            b2_bar.fill(0.0);
            for (at, y) in y.iter().enumerate() {
                let here = at * n_hidden..(at + 1) * n_hidden;
                let (h, h_dot) = (&mut hidden[here.clone()], &mut hidden_dot[here.clone()]);
                // Of one length, so that the loops need no checks.
                let [b1, u1, w2, v2] = [&b1, &u1, &w2, &v2].map(|x| &x[..n_hidden]);
                let w2_bar = &mut w2_bar[..n_hidden];
                let (mut output, mut output_dot) = (b2[0], u2[0]);
                floor::vectorized(
                    #[inline(always)]
                    || {
                        for i in 0..n_hidden {
                            h[i] = floor::double::tanh(h[i] + b1[i]);
                            h_dot[i] = (1.0 - h[i] * h[i]) * (h_dot[i] + u1[i]);
                        }
                    },
                );
                for i in 0..n_hidden {
                    output += h[i] * w2[i];
                    output_dot += h_dot[i] * w2[i] + h[i] * v2[i];
                }
                let (bar, bar_dot) =
                    (2.0 * (output - y) / batch as f64, 2.0 * output_dot / batch as f64);
                let z_bar_dot = &mut z_bar_dot[here];
                floor::vectorized(
                    #[inline(always)]
                    || {
                        for i in 0..n_hidden {
                            w2_bar[i] += h_dot[i] * bar + h[i] * bar_dot;
                            let h_bar_dot = bar_dot * w2[i] + bar * v2[i];
                            z_bar_dot[i] = h_bar_dot * (1.0 - h[i] * h[i])
                                - 2.0 * bar * w2[i] * h[i] * h_dot[i];
                        }
                    },
                );
                b2_bar[0] += bar_dot;
            }
            floor::product(w1_bar, inputs.transpose(), floor::rows(&z_bar_dot, n_hidden));
            floor::sum_of_rows(&z_bar_dot, b1_bar);
            out.clone()
        }
    }
}

fn their_hvp(
    x: &Tensor,
    y: &Tensor,
    weights: &[CandleVar; 4],
    direction: &[Tensor; 4],
) -> candle_core::Result<Vec<Tensor>> {
    let [w1, b1, w2, b2] = weights;
    let hidden = x.matmul(w1)?.broadcast_add(b1)?.tanh()?;
    let loss = hidden.matmul(w2)?.broadcast_add(b2)?.sub(y)?.sqr()?.mean_all()?;
    let gradient = loss.backward()?;
    let mut slope = Tensor::zeros((), DType::F64, x.device())?;
    for (weight, v) in weights.iter().zip(direction) {
        if let Some(gradient) = gradient.get(weight) {
            slope = (slope + gradient.mul(v)?.sum_all()?)?;
        }
    }
    let product = slope.backward()?;
    Ok(weights.iter().filter_map(|weight| product.get(weight).cloned()).collect())
}

pub(crate) fn hessian(name: &str, n: usize) -> Case {
    let x = Array::uniform(1, &[n], 1.5);
    let mut case = Case::new("w4", name).tolerance(1e-10);
    case.contender(ON_NDARRAY, our_hessian(x.ours(&NdTensor::from(0.0_f64))));
    case.contender(ON_CANDLE, our_hessian(x.ours(&CandleTensor::from(0.0_f64))));
    if candle_keeps_graphs() {
        let x = x.var(DType::F64);
        case.contender(CANDLE, move || their_hessian(&x, n).expect("candle's Hessian"));
    }
    case.contender(FLOOR, hessian_by_hand(x.data)).keeps_memory();
    case
}

/// Σ 100 (xₙ₊₁ − xₙ²)² + (1 − xₙ)².
fn rosenbrock<T: TensorLike>(x: Var<'_, T>) -> Var<'_, T> {
    let n = x.shape().map_or(0, |shape| shape[0]);
    let (head, tail) = (x.narrow(0, 0, n - 1), x.narrow(0, 1, n - 1));
    (100.0 * (tail - head.square()).square() + (1.0 - head).square()).sum()
}

fn our_hessian<T: TensorLike>(x: T) -> impl FnMut() -> Ours<T> + 'static {
    move || Ours(vec![transform::hessian(rosenbrock, x.clone()).expect("a Hessian")])
}

/// A sweep for each row.
fn their_hessian(x: &CandleVar, n: usize) -> candle_core::Result<Vec<Tensor>> {
    let (head, tail) = (x.narrow(0, 0, n - 1)?, x.narrow(0, 1, n - 1)?);
    let slope = (tail.sub(&head.sqr()?)?.sqr()? * 100.0)?;
    let y = (slope + head.affine(-1.0, 1.0)?.sqr()?)?.sum_all()?;
    let gradients = y.backward()?;
    let mut rows = Vec::new();
    if let Some(gradient) = gradients.get(x) {
        for i in 0..n {
            rows.extend(gradient.get(i)?.backward()?.get(x).cloned());
        }
    }
    Ok(vec![Tensor::stack(&rows, 0)?])
}

/// 2 − 400 (xₙ₊₁ − xₙ²) + 800 xₙ² on the diagonal, but where there is no xₙ₊₁; 200 more where there
/// is an xₙ₋₁; and −400 xₙ beside it.
fn hessian_by_hand(x: Vec<f64>) -> impl FnMut() -> Kept<f64> + 'static {
    let n = x.len();
    let out = kept([n * n]);
    move || {
        let hessian = &mut out.borrow_mut()[0];
        hessian.fill(0.0);
        for (i, pair) in x.windows(2).enumerate() {
            let [x, next] = [pair[0], pair[1]];
            hessian[i * n + i] += 2.0 - 400.0 * (next - x * x) + 800.0 * x * x;
            hessian[i * n + i + 1] = -400.0 * x;
            hessian[(i + 1) * n + i] = -400.0 * x;
            hessian[(i + 1) * n + i + 1] += 200.0;
        }
        out.clone()
    }
}
