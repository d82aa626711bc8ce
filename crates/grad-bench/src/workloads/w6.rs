//! W6: a small convolutional network on images of 28 × 28, f32: 8 kernels of 3 × 3, `relu`, the
//! largest of each 2 × 2, 16 kernels of 3 × 3, `relu`, a linear map to 10 classes and the
//! cross-entropy. Nothing is padded. Gradients are with respect to weights and biases.

use candle_core::{DType, Tensor, Var as CandleVar};
use grad_candle::CandleTensor;
use grad_core::{Conv, Tape, TensorLike, Var, transform};
use grad_ndarray::NdTensor;

use super::arrays::{Array, Ours, candle_labels, candle_step, labels};
use super::contenders::{CANDLE, FLOOR, ON_CANDLE, ON_NDARRAY};
use super::w2::candle_cross_entropy;
use super::w6_floor::Network;
use crate::measure::Bench;
use crate::measure::case::Case;

const SIDE: usize = 28;
/// What is left of 28 × 28 after a kernel, a pool and a kernel: (28 − 2) / 2 − 2 = 11.
const N_FEATURES: usize = 16 * 11 * 11;

pub(crate) fn run(bench: &mut Bench) {
    bench.run(|| step("batch 64", 64));
}

pub(crate) fn step(name: &str, batch: usize) -> Case {
    let (images, labels) = (Array::uniform(1, &[batch, 1, SIDE, SIDE], 1.0), labels(2, batch, 10));
    let leaves = [
        Array::weights(3, &[8, 1, 3, 3], 9),
        Array::uniform(4, &[8], 0.1),
        Array::weights(5, &[16, 8, 3, 3], 72),
        Array::uniform(6, &[16], 0.1),
        Array::weights(7, &[N_FEATURES, 10], N_FEATURES),
        Array::uniform(8, &[10], 0.1),
    ];
    let problem = Problem { images, labels, leaves };
    let mut case = Case::new("w6", name).tolerance(1e-4);
    let (nd, candle) = (NdTensor::from(0.0_f32), CandleTensor::from(0.0_f32));
    case.contender(ON_NDARRAY, problem.ours(&nd)).forward(problem.value(&nd));
    case.contender(ON_CANDLE, problem.ours(&candle)).forward(problem.value(&candle));
    case.contender(CANDLE, problem.candle()).forward(problem.candle_value());
    let mut network = Network::new(&problem.images, &problem.labels, &problem.leaves);
    case.contender(FLOOR, move || network.step()).keeps_memory();
    case
}

struct Problem {
    images: Array,
    labels: Vec<usize>,
    /// Weight and bias of each layer.
    leaves: [Array; 6],
}

impl Problem {
    fn ours<T: TensorLike>(&self, model: &T) -> impl FnMut() -> Ours<T> + 'static {
        let (images, labels) = (self.images.ours(model), self.labels.clone());
        let leaves = self.leaves.each_ref().map(|leaf| leaf.ours(model));
        move || {
            let (value, gradient) =
                transform::value_and_grad(|leaves| loss(&images, leaves, &labels), leaves.clone())
                    .expect("a gradient");
            Ours::new(value, gradient)
        }
    }

    fn value<T: TensorLike>(&self, model: &T) -> impl FnMut() -> Ours<T> + 'static {
        let (images, labels) = (self.images.ours(model), self.labels.clone());
        let leaves = self.leaves.each_ref().map(|leaf| leaf.ours(model));
        move || {
            let tape = Tape::new();
            let leaves = leaves.each_ref().map(|leaf| tape.constant(leaf.clone()));
            Ours::new(loss(&images, leaves, &labels).value().expect("a value"), [])
        }
    }

    fn candle(&self) -> impl FnMut() -> Vec<Tensor> + 'static {
        let (images, labels) = (self.images.candle(DType::F32), candle_labels(&self.labels));
        let vars: [CandleVar; 6] = self.leaves.each_ref().map(|leaf| leaf.var(DType::F32));
        move || {
            let value = their_loss(&images, vars.each_ref().map(CandleVar::as_tensor), &labels);
            value.and_then(|value| candle_step(value, &vars)).expect("candle's gradient")
        }
    }

    fn candle_value(&self) -> impl FnMut() -> Vec<Tensor> + 'static {
        let (images, labels) = (self.images.candle(DType::F32), candle_labels(&self.labels));
        let leaves = self.leaves.each_ref().map(|leaf| leaf.candle(DType::F32));
        move || vec![their_loss(&images, leaves.each_ref(), &labels).expect("candle's value")]
    }
}

fn loss<'t, T: TensorLike>(
    images: &T,
    [w1, b1, w2, b2, w3, b3]: [Var<'t, T>; 6],
    labels: &[usize],
) -> Var<'t, T> {
    let x = w1.tape().constant(images.clone());
    let x = (x.conv2d(w1, Conv::default()) + b1.reshape([8, 1, 1])).relu().max_pool2d(2);
    let x = (x.conv2d(w2, Conv::default()) + b2.reshape([16, 1, 1])).relu();
    (x.reshape([labels.len(), N_FEATURES]).matmul(w3) + b3).cross_entropy(labels)
}

fn their_loss(
    images: &Tensor,
    [w1, b1, w2, b2, w3, b3]: [&Tensor; 6],
    labels: &Tensor,
) -> candle_core::Result<Tensor> {
    let conv = |x: &Tensor, w: &Tensor, b: &Tensor| {
        let b = b.reshape((1, b.elem_count(), 1, 1))?;
        x.conv2d(w, 0, 1, 1, 1)?.broadcast_add(&b)?.relu()
    };
    let pooled = conv(images, w1, b1)?.max_pool2d(2)?;
    // Candle's gradient of it is a quarter of what it should be: it divides by how many elements a
    // window has, and not by how many are largest.
    let pooled = (pooled.affine(4.0, 0.0)? - pooled.detach().affine(3.0, 0.0)?)?;
    let x = conv(&pooled, w2, b2)?.reshape((labels.elem_count(), N_FEATURES))?;
    candle_cross_entropy(&x.matmul(w3)?.broadcast_add(b3)?, labels)
}
