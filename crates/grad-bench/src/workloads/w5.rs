//! W5: a transformer block, f32: layer norm and attention of several heads, layer norm and a
//! network of one hidden layer with `gelu`, each beside a residual connection; and the mean square
//! of what comes out. Gradients are with respect to all weights and the input.

use candle_core::{D, DType, Tensor, Var as CandleVar};
use grad_candle::CandleTensor;
use grad_core::{Tape, TensorLike, Var, transform};
use grad_ndarray::NdTensor;

use super::arrays::{Array, Ours, candle_step};
use super::contenders::{CANDLE, FLOOR, ON_CANDLE, ON_NDARRAY};
use super::w5_floor::Block;
use super::w5_sizes::{EPS, Sizes};
use crate::measure::Bench;
use crate::measure::case::Case;

pub(crate) fn run(bench: &mut Bench) {
    let sizes = Sizes { batch: 4, heads: 4, seq: 128, dim: 256 };
    bench.run(|| step("batch 4, heads 4, seq 128, dim 256", sizes));
}

pub(crate) fn step(name: &str, sizes: Sizes) -> Case {
    let leaves = sizes.leaves();
    let mut case = Case::new("w5", name).tolerance(1e-4);
    let (nd, candle) = (NdTensor::from(0.0_f32), CandleTensor::from(0.0_f32));
    case.contender(ON_NDARRAY, ours(sizes, &leaves, &nd)).forward(value(sizes, &leaves, &nd));
    let forward = value(sizes, &leaves, &candle);
    case.contender(ON_CANDLE, ours(sizes, &leaves, &candle)).forward(forward);
    case.contender(CANDLE, theirs(sizes, &leaves)).forward(their_value(sizes, &leaves));
    let mut block = Block::new(sizes, &leaves);
    case.contender(FLOOR, move || block.step()).keeps_memory();
    case
}

fn ours<T: TensorLike>(
    sizes: Sizes,
    leaves: &[Array],
    model: &T,
) -> impl FnMut() -> Ours<T> + 'static {
    let leaves: Vec<T> = leaves.iter().map(|leaf| leaf.ours(model)).collect();
    move || {
        let (value, gradient) =
            transform::value_and_grad(|_, leaves| block(sizes, &leaves), leaves.clone())
                .expect("a gradient");
        Ours::new(value, gradient)
    }
}

fn value<T: TensorLike>(
    sizes: Sizes,
    leaves: &[Array],
    model: &T,
) -> impl FnMut() -> Ours<T> + 'static {
    let leaves: Vec<T> = leaves.iter().map(|leaf| leaf.ours(model)).collect();
    move || {
        let tape = Tape::new();
        let leaves: Vec<_> = leaves.iter().map(|leaf| tape.constant(leaf.clone())).collect();
        Ours::new(block(sizes, &leaves).value().expect("a value"), [])
    }
}

fn block<'t, T: TensorLike>(sizes: Sizes, leaves: &[Var<'t, T>]) -> Var<'t, T> {
    let Sizes { batch, heads, seq, dim } = sizes;
    let linear = |x: Var<'t, T>, at: usize| x.matmul(leaves[at]) + leaves[at + 1];
    let norm = |x: Var<'t, T>, at: usize| x.layer_norm(-1, leaves[at], leaves[at + 1], EPS);

    let x = leaves[0];
    let all = linear(norm(x, 1), 3).reshape([batch, seq, 3, heads, sizes.head()]);
    let [q, k, v] = [0, 1, 2].map(|part| all.narrow(2, part, 1).squeeze(2).transpose(1, 2));
    let scores = q.matmul(k.transpose(2, 3)) * (sizes.head() as f64).powf(-0.5);
    let attended = scores.softmax(-1).matmul(v).transpose(1, 2).reshape([batch, seq, dim]);
    let x = x + linear(attended, 5);
    let x = x + linear(linear(norm(x, 7), 9).gelu_tanh(), 11);
    x.square().mean()
}

fn theirs(sizes: Sizes, leaves: &[Array]) -> impl FnMut() -> Vec<Tensor> + 'static {
    let vars: Vec<CandleVar> = leaves.iter().map(|leaf| leaf.var(DType::F32)).collect();
    move || {
        let leaves: Vec<Tensor> = vars.iter().map(|var| var.as_tensor().clone()).collect();
        let value = their_block(sizes, &leaves);
        value.and_then(|value| candle_step(value, &vars)).expect("candle's gradient")
    }
}

fn their_value(sizes: Sizes, leaves: &[Array]) -> impl FnMut() -> Vec<Tensor> + 'static {
    let leaves: Vec<Tensor> = leaves.iter().map(|leaf| leaf.candle(DType::F32)).collect();
    move || vec![their_block(sizes, &leaves).expect("candle's value")]
}

fn their_block(sizes: Sizes, leaves: &[Tensor]) -> candle_core::Result<Tensor> {
    let Sizes { batch, heads, seq, dim } = sizes;
    let linear = |x: &Tensor, at: usize| x.matmul(&leaves[at])?.broadcast_add(&leaves[at + 1]);
    let norm = |x: &Tensor, at: usize| their_layer_norm(x, &leaves[at], &leaves[at + 1]);

    // One matrix, where candle is fastest.
    let x = leaves[0].reshape((batch * seq, dim))?;
    let all = linear(&norm(&x, 1)?, 3)?.reshape((batch, seq, 3, heads, sizes.head()))?;
    let part = |part: usize| all.narrow(2, part, 1)?.squeeze(2)?.transpose(1, 2)?.contiguous();
    let (q, k, v) = (part(0)?, part(1)?, part(2)?);
    let scores = (q.matmul(&k.t()?)? * (sizes.head() as f64).powf(-0.5))?;
    let e = scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?)?.exp()?;
    let softmax = e.broadcast_div(&e.sum_keepdim(D::Minus1)?)?;
    let attended = softmax.matmul(&v)?.transpose(1, 2)?.reshape((batch * seq, dim))?;
    let x = (&x + linear(&attended, 5)?)?;
    let x = (&x + linear(&linear(&norm(&x, 7)?, 9)?.gelu()?, 11)?)?;
    x.sqr()?.mean_all()
}

/// As `candle_nn` computes it where there is to be a gradient.
fn their_layer_norm(x: &Tensor, weight: &Tensor, bias: &Tensor) -> candle_core::Result<Tensor> {
    let n = x.dim(D::Minus1)? as f64;
    let x = x.broadcast_sub(&(x.sum_keepdim(D::Minus1)? / n)?)?;
    let variance = (x.sqr()?.sum_keepdim(D::Minus1)? / n)?;
    let x = x.broadcast_div(&(variance + EPS)?.sqrt()?)?;
    x.broadcast_mul(weight)?.broadcast_add(bias)
}
