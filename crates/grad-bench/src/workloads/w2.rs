//! W2: a multilayer perceptron with `relu`, and the cross-entropy of its outputs, f32. Gradients
//! are with respect to weights and biases.

use candle_core::{D, DType, Tensor, Var as CandleVar};
use grad_candle::CandleTensor;
use grad_core::{Tape, TensorLike, Var, transform};
use grad_ndarray::NdTensor;

use super::arrays::{Array, Kept, Ours, candle_labels, candle_step, kept, labels};
use super::contenders::{CANDLE, FLOOR, ON_CANDLE, ON_NDARRAY};
use super::floor;
use crate::measure::Bench;
use crate::measure::case::Case;

/// The network of the table: 784 inputs, 10 classes.
const WIDTHS: [usize; 4] = [784, 512, 512, 10];
const BATCH: usize = 128;

pub(crate) fn run(bench: &mut Bench) {
    bench.run(|| step("784-512-512-10, batch 128", BATCH, &WIDTHS));
    if bench.options.plot.is_some() {
        for batch in [1, 4, 16, 64, 256, 1024] {
            bench.run(|| step("batch", batch, &WIDTHS).size(batch));
        }
        for width in [16, 32, 64, 128, 256, 512, 1024] {
            bench.run(|| step("width", BATCH, &[width; 4]).size(width));
        }
        for depth in [1, 4, 16, 64, 256] {
            // Rounding grows with the depth, and an input of `relu` near 0 may fall on either side.
            let tolerance = if depth < 64 { 1e-4 } else { 1e-3 };
            bench.run(|| step("depth", 16, &vec![64; depth + 1]).size(depth).tolerance(tolerance));
        }
    }
}

pub(crate) fn step(name: &str, batch: usize, widths: &[usize]) -> Case {
    let problem = Problem::new(batch, widths);
    let mut case = Case::new("w2", name).tolerance(1e-4);
    let (nd, candle) = (NdTensor::from(0.0_f32), CandleTensor::from(0.0_f32));
    case.contender(ON_NDARRAY, problem.ours(&nd)).forward(problem.value(&nd));
    case.contender(ON_CANDLE, problem.ours(&candle)).forward(problem.value(&candle));
    case.contender(CANDLE, problem.candle()).forward(problem.candle_value());
    case.contender(FLOOR, problem.floor()).keeps_memory();
    case
}

#[derive(Clone)]
struct Problem {
    x: Array,
    labels: Vec<usize>,
    /// Weight and bias of each layer.
    layers: Vec<Array>,
}

impl Problem {
    fn new(batch: usize, widths: &[usize]) -> Self {
        let mut layers = Vec::new();
        for (seed, pair) in (10..).zip(widths.windows(2)) {
            layers.push(Array::weights(seed, pair, pair[0]));
            layers.push(Array::uniform(seed + 1000, &pair[1..], 0.1));
        }
        let n_classes = widths[widths.len() - 1];
        let (x, labels) =
            (Array::uniform(1, &[batch, widths[0]], 1.0), labels(2, batch, n_classes));
        Problem { x, labels, layers }
    }

    fn ours<T: TensorLike>(&self, model: &T) -> impl FnMut() -> Ours<T> + 'static {
        let labels = self.labels.clone();
        let x = self.x.ours(model);
        let layers: Vec<T> = self.layers.iter().map(|array| array.ours(model)).collect();
        move || {
            let (loss, gradient) = transform::value_and_grad(
                |tape, layers| loss(tape.constant(x.clone()), &layers, &labels),
                layers.clone(),
            )
            .expect("a gradient");
            Ours::new(loss, gradient)
        }
    }

    fn value<T: TensorLike>(&self, model: &T) -> impl FnMut() -> Ours<T> + 'static {
        let labels = self.labels.clone();
        let x = self.x.ours(model);
        let layers: Vec<T> = self.layers.iter().map(|array| array.ours(model)).collect();
        move || {
            let tape = Tape::new();
            let layers: Vec<_> = layers.iter().map(|x| tape.constant(x.clone())).collect();
            let loss = loss(tape.constant(x.clone()), &layers, &labels);
            Ours::new(loss.value().expect("a value"), [])
        }
    }

    fn candle(&self) -> impl FnMut() -> Vec<Tensor> + 'static {
        let (x, labels) = (self.x.candle(DType::F32), candle_labels(&self.labels));
        let layers: Vec<CandleVar> = self.layers.iter().map(|x| x.var(DType::F32)).collect();
        move || {
            let tensors: Vec<Tensor> = layers.iter().map(|x| x.as_tensor().clone()).collect();
            let loss = candle_loss(&x, &tensors, &labels);
            loss.and_then(|loss| candle_step(loss, &layers)).expect("candle's gradient")
        }
    }

    fn candle_value(&self) -> impl FnMut() -> Vec<Tensor> + 'static {
        let (x, labels) = (self.x.candle(DType::F32), candle_labels(&self.labels));
        let layers: Vec<Tensor> = self.layers.iter().map(|x| x.candle(DType::F32)).collect();
        move || vec![candle_loss(&x, &layers, &labels).expect("candle's value")]
    }

    fn floor(&self) -> impl FnMut() -> Kept<f32> + 'static {
        let (batch, labels) = (self.labels.len(), self.labels.clone());
        let layers: Vec<Vec<f32>> = self.layers.iter().map(Array::f32).collect();
        let out = kept([1].into_iter().chain(layers.iter().map(Vec::len)));
        // What goes into each layer, and what comes out of the last.
        let mut x = vec![self.x.f32()];
        x.extend(
            self.layers.iter().skip(1).step_by(2).map(|bias| vec![0.0; batch * bias.data.len()]),
        );
        let mut cotangents: Vec<Vec<f32>> = x.iter().map(|x| vec![0.0; x.len()]).collect();
        move || {
            let results = &mut *out.borrow_mut();
            let last = x.len() - 1;
            for at in 0..last {
                let [weight, bias] = [&layers[2 * at], &layers[2 * at + 1]];
                let (inputs, outputs) = x.split_at_mut(at + 1);
                let (inputs, outputs) = (&inputs[at], &mut outputs[0]);
                let (n_in, n_out) = (inputs.len() / batch, bias.len());
                floor::product(outputs, floor::rows(inputs, n_in), floor::rows(weight, n_out));
                let least = if at + 1 == last { f32::NEG_INFINITY } else { 0.0 };
                floor::vectorized(
                    #[inline(always)]
                    || {
                        for row in outputs.chunks_exact_mut(n_out) {
                            row.iter_mut().zip(bias).for_each(|(y, b)| *y = (*y + b).max(least));
                        }
                    },
                );
            }
            cotangents[last].copy_from_slice(&x[last]);
            results[0][0] = floor::cross_entropy(&mut cotangents[last], &labels);
            for at in (0..last).rev() {
                let n_in = x[at].len() / batch;
                let n_out = layers[2 * at + 1].len();
                let (inner, outer) = cotangents.split_at_mut(at + 1);
                let (x_bar, y_bar) = (&mut inner[at], &outer[0]);
                let y_bar = floor::rows(y_bar, n_out);
                let x_transposed = floor::rows(&x[at], n_in).transpose();
                floor::product(&mut results[1 + 2 * at], x_transposed, y_bar);
                floor::sum_of_rows(&outer[0], &mut results[2 + 2 * at]);
                if at > 0 {
                    let weight = floor::rows(&layers[2 * at], n_out);
                    floor::product(x_bar, y_bar, weight.transpose());
                    floor::vectorized(
                        #[inline(always)]
                        || {
                            let pairs = x_bar.iter_mut().zip(&x[at]);
                            pairs.for_each(|(x_bar, &x)| {
                                *x_bar = if x > 0.0 { *x_bar } else { 0.0 }
                            });
                        },
                    );
                }
            }
            out.clone()
        }
    }
}

fn loss<'t, T: TensorLike>(x: Var<'t, T>, layers: &[Var<'t, T>], labels: &[usize]) -> Var<'t, T> {
    let mut x = x;
    for (at, layer) in layers.chunks_exact(2).enumerate() {
        let inputs = if at == 0 { x } else { x.relu() };
        x = inputs.matmul(layer[0]) + layer[1];
    }
    x.cross_entropy(labels)
}

fn candle_loss(x: &Tensor, layers: &[Tensor], labels: &Tensor) -> candle_core::Result<Tensor> {
    let mut x = x.clone();
    for (at, layer) in layers.chunks_exact(2).enumerate() {
        let inputs = if at == 0 { x } else { x.relu()? };
        x = inputs.matmul(&layer[0])?.broadcast_add(&layer[1])?;
    }
    candle_cross_entropy(&x, labels)
}

/// As `candle_nn` computes it.
pub(crate) fn candle_cross_entropy(x: &Tensor, labels: &Tensor) -> candle_core::Result<Tensor> {
    let x = x.broadcast_sub(&x.max_keepdim(D::Minus1)?)?;
    let x = x.broadcast_sub(&x.exp()?.sum_keepdim(D::Minus1)?.log()?)?;
    x.gather(labels, D::Minus1)?.sum_all()?.affine(-1.0 / labels.elem_count() as f64, 0.0)
}
