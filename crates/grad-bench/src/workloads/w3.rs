//! W3: elementwise functions, `Σ tanh(x w + b) σ(x) + exp(−x²)` for x, w and b of n elements each,
//! f32. Gradients are with respect to all three.

use candle_core::{CpuStorage, CustomOp1, DType, Layout, Shape, Tensor, Var as CandleVar};
use grad_candle::CandleTensor;
use grad_core::{Tape, TensorLike, Var, transform};
use grad_ndarray::NdTensor;
use rayon::prelude::*;

use super::arrays::{Array, Kept, Ours, candle_step, kept};
use super::contenders::{CANDLE, FLOOR, ON_CANDLE, ON_NDARRAY};
use super::floor;
use crate::measure::Bench;
use crate::measure::case::Case;

pub(crate) fn run(bench: &mut Bench) {
    bench.run(|| step("1,000,000 elements", 1_000_000));
    if bench.options.plot.is_some() {
        for n in [100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000] {
            bench.run(|| step("elements", n).size(n));
        }
    }
}

pub(crate) fn step(name: &str, n: usize) -> Case {
    let leaves = [2.0, 1.0, 1.0].map(|bound| Array::uniform(bound as u64, &[n], bound));
    let mut case = Case::new("w3", name).tolerance(1e-5);
    let (nd, candle) = (NdTensor::from(0.0_f32), CandleTensor::from(0.0_f32));
    case.contender(ON_NDARRAY, ours(&leaves, &nd)).forward(value(&leaves, &nd));
    case.contender(ON_CANDLE, ours(&leaves, &candle)).forward(value(&leaves, &candle));
    case.contender(CANDLE, theirs(&leaves)).forward(their_value(&leaves));
    case.contender(FLOOR, by_hand(&leaves)).keeps_memory();
    case
}

fn f<'t, T: TensorLike>([x, w, b]: [Var<'t, T>; 3]) -> Var<'t, T> {
    ((x * w + b).tanh() * x.sigmoid() + (-x.square()).exp()).sum()
}

fn ours<T: TensorLike>(leaves: &[Array; 3], model: &T) -> impl FnMut() -> Ours<T> + 'static {
    let leaves = leaves.each_ref().map(|leaf| leaf.ours(model));
    move || {
        let (value, gradient) = transform::value_and_grad(f, leaves.clone()).expect("a gradient");
        Ours::new(value, gradient)
    }
}

fn value<T: TensorLike>(leaves: &[Array; 3], model: &T) -> impl FnMut() -> Ours<T> + 'static {
    let leaves = leaves.each_ref().map(|leaf| leaf.ours(model));
    move || {
        let tape = Tape::new();
        let y = f(leaves.each_ref().map(|x| tape.constant(x.clone())));
        Ours::new(y.value().expect("a value"), [])
    }
}

fn theirs(leaves: &[Array; 3]) -> impl FnMut() -> Vec<Tensor> + 'static {
    let vars: [CandleVar; 3] = leaves.each_ref().map(|leaf| leaf.var(DType::F32));
    move || {
        let y = their_f(vars.each_ref().map(CandleVar::as_tensor));
        y.and_then(|y| candle_step(y, &vars)).expect("candle's gradient")
    }
}

fn their_value(leaves: &[Array; 3]) -> impl FnMut() -> Vec<Tensor> + 'static {
    let leaves = leaves.each_ref().map(|leaf| leaf.candle(DType::F32));
    move || vec![their_f(leaves.each_ref()).expect("candle's value")]
}

fn their_f([x, w, b]: [&Tensor; 3]) -> candle_core::Result<Tensor> {
    let left = (x.mul(w)?.add(b)?.tanh()? * x.apply_op1(Sigmoid)?)?;
    (left + x.sqr()?.neg()?.exp()?)?.sum_all()
}

/// The sigmoid, which `candle_nn` has and computes like this.
struct Sigmoid;

impl CustomOp1 for Sigmoid {
    fn name(&self) -> &'static str {
        "sigmoid"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let x = &x.as_slice::<f32>()?[..layout.shape().elem_count()];
        let y: Vec<f32> = x.iter().map(|x| 1.0 / (1.0 + (-x).exp())).collect();
        Ok((CpuStorage::F32(y), layout.shape().clone()))
    }

    fn bwd(&self, _: &Tensor, y: &Tensor, ct: &Tensor) -> candle_core::Result<Option<Tensor>> {
        Ok(Some((ct * (y * y.affine(-1.0, 1.0)?)?)?))
    }
}

/// One pass over the memory for the value and all gradients, in blocks, on all threads.
fn by_hand(leaves: &[Array; 3]) -> impl FnMut() -> Kept<f32> + 'static {
    const BLOCK: usize = 1 << 14;
    let [x, w, b] = leaves.each_ref().map(Array::f32);
    let out: Kept<f32> = kept([1, x.len(), x.len(), x.len()]);
    move || {
        if let [value, x_bar, w_bar, b_bar] = &mut out.borrow_mut()[..] {
            let inputs = x.par_chunks(BLOCK).zip(w.par_chunks(BLOCK)).zip(b.par_chunks(BLOCK));
            let outputs = (x_bar.par_chunks_mut(BLOCK))
                .zip(w_bar.par_chunks_mut(BLOCK))
                .zip(b_bar.par_chunks_mut(BLOCK));
            let sums = inputs.zip(outputs).map(|(((x, w), b), ((x_bar, w_bar), b_bar))| {
                let mut sum = 0.0;
                floor::vectorized(
                    #[inline(always)]
                    || sum = block([x, w, b], [x_bar, w_bar, b_bar]),
                );
                f64::from(sum)
            });
            value[0] = sums.collect::<Vec<f64>>().iter().sum::<f64>() as f32;
        }
        out.clone()
    }
}

/// The sum over a block, and the gradients there.
#[inline(always)]
fn block(inputs: [&[f32]; 3], outputs: [&mut [f32]; 3]) -> f32 {
    const LANES: usize = 32;
    let mut sums = [0.0; LANES];
    // Chunks of a known size need no checks, which vector instructions have no room for.
    let [(x, x_rest), (w, w_rest), (b, b_rest)] = inputs.map(|x| x.as_chunks::<LANES>());
    let [(x_bar, x_bar_rest), (w_bar, w_bar_rest), (b_bar, b_bar_rest)] =
        outputs.map(|x| x.as_chunks_mut::<LANES>());
    let inputs = x.iter().zip(w).zip(b);
    let outputs = x_bar.iter_mut().zip(w_bar).zip(b_bar);
    for (((x, w), b), ((x_bar, w_bar), b_bar)) in inputs.zip(outputs) {
        for i in 0..LANES {
            let y;
            (y, [x_bar[i], w_bar[i], b_bar[i]]) = one([x[i], w[i], b[i]]);
            sums[i] += y;
        }
    }
    let inputs = x_rest.iter().zip(w_rest).zip(b_rest);
    let outputs = x_bar_rest.iter_mut().zip(w_bar_rest).zip(b_bar_rest);
    for (((x, w), b), ((x_bar, w_bar), b_bar)) in inputs.zip(outputs) {
        let y;
        (y, [*x_bar, *w_bar, *b_bar]) = one([*x, *w, *b]);
        sums[0] += y;
    }
    sums.iter().sum()
}

/// The term of one element, and its derivatives.
#[inline(always)]
fn one([x, w, b]: [f32; 3]) -> (f32, [f32; 3]) {
    let (tanh, sigmoid, exp) = (floor::tanh(x * w + b), floor::sigmoid(x), floor::exp(-x * x));
    let z_bar = (1.0 - tanh * tanh) * sigmoid;
    let x_bar = z_bar * w + tanh * sigmoid * (1.0 - sigmoid) - 2.0 * x * exp;
    (tanh * sigmoid + exp, [x_bar, z_bar * x, z_bar])
}
