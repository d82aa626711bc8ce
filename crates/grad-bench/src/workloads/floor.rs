//! What the floors are made of: loops that use the vector instructions of the machine, functions
//! that such loops can contain, and faer's matrix product.

use faer::linalg::matmul::matmul;
use faer::traits::ComplexField;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;

pub(crate) use crate::vectorized::vectorized;

/// 1 / k!, the coefficients of the Taylor polynomial of `eˣ`.
const TAYLOR: [f64; 13] = {
    let mut coefficients = [1.0; 13];
    let mut k = 1;
    while k < coefficients.len() {
        coefficients[k] = coefficients[k - 1] / k as f64;
        k += 1;
    }
    coefficients
};

/// Functions that vector instructions can compute, to a few units in the last place.
macro_rules! functions {
    ($name:ident, $float:ident, $rounder:expr, $high:expr, $low:expr, $range:expr, $degree:expr,
     $bias:expr, $shift:expr) => {
        pub(crate) mod $name {
            use std::$float::consts::LOG2_E;

            /// With the whole number k nearest to x / ln 2 and r = x − k ln 2, it is 2ᵏ eʳ.
            #[inline(always)]
            pub(crate) fn exp(x: $float) -> $float {
                let x = x.clamp(-$range, $range);
                // The sum leaves k in the last bits; the others go with the shift.
                let rounded = x * LOG2_E + $rounder;
                let k = rounded - $rounder;
                let r = x - k * $high - k * $low;
                let mut p = 0.0;
                for &coefficient in super::TAYLOR[..=$degree].iter().rev() {
                    p = p * r + coefficient as $float;
                }
                p * $float::from_bits(rounded.to_bits().wrapping_add($bias) << $shift)
            }

            /// `tanh x = 1 − 2 / (e²ˣ + 1)`.
            #[inline(always)]
            pub(crate) fn tanh(x: $float) -> $float {
                1.0 - 2.0 / (exp(2.0 * x) + 1.0)
            }
        }
    };
}

// The rounder is 1.5 times the power of two from where on floats are whole. ln 2 is in two parts,
// of which the first has so few digits that its product with k is exact.
functions!(single, f32, 12_582_912.0, 0.693_359_4, -2.121_944_4e-4, 87.0, 6, 127, 23);
functions!(
    double,
    f64,
    6_755_399_441_055_744.0,
    6.931_471_803_691_238e-1,
    1.908_214_929_270_587_7e-10,
    700.0,
    12,
    1023,
    52
);

pub(crate) use single::{exp, tanh};

/// `1 / (1 + e⁻ˣ)`.
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// `Σ f(i)` for i below n, in lanes, as vector instructions want it.
#[inline(always)]
pub(crate) fn sum(n: usize, f: impl Fn(usize) -> f32) -> f32 {
    const LANES: usize = 32;
    let (mut lanes, in_lanes) = ([0.0; LANES], n - n % LANES);
    for start in (0..in_lanes).step_by(LANES) {
        for (lane, sum) in lanes.iter_mut().enumerate() {
            *sum += f(start + lane);
        }
    }
    (in_lanes..n).fold(lanes.iter().sum(), |sum, i| sum + f(i))
}

/// A row-major matrix with rows of `n`.
pub(crate) fn rows<A: ComplexField>(data: &[A], n: usize) -> MatRef<'_, A> {
    MatRef::from_row_major_slice(data, data.len() / n, n)
}

/// `z = x y`, row-major, each thread its rows.
pub(crate) fn product<A>(z: &mut [A], x: MatRef<'_, A>, y: MatRef<'_, A>)
where
    A: ComplexField + Send + Sync,
{
    let (n, n_rows) = (y.ncols(), x.nrows().div_ceil(rayon::current_num_threads()));
    z.par_chunks_mut(n_rows * n).enumerate().for_each(|(part, z)| {
        let x = x.subrows(part * n_rows, z.len() / n);
        let z = MatMut::from_row_major_slice_mut(z, x.nrows(), n);
        matmul(z, Accum::Replace, x, y, A::one_impl(), Par::Seq);
    });
}

/// The sums of the columns.
pub(crate) fn sum_of_rows<A: Copy + Default + std::ops::AddAssign>(x: &[A], sums: &mut [A]) {
    sums.fill(A::default());
    for row in x.chunks_exact(sums.len()) {
        vectorized(
            #[inline(always)]
            || sums.iter_mut().zip(row).for_each(|(sum, &x)| *sum += x),
        );
    }
}

/// The mean of `−ln softmax(x)` at the labels; `x` becomes its gradient.
pub(crate) fn cross_entropy(x: &mut [f32], labels: &[usize]) -> f32 {
    let (n, n_classes) = (labels.len() as f32, x.len() / labels.len());
    let mut loss = 0.0;
    for (row, &label) in x.chunks_exact_mut(n_classes).zip(labels) {
        let max = row.iter().fold(f32::NEG_INFINITY, |max, &x| max.max(x));
        let of_label = row[label] - max;
        row.iter_mut().for_each(|x| *x = exp(*x - max));
        let sum: f32 = row.iter().sum();
        loss += sum.ln() - of_label;
        row.iter_mut().for_each(|x| *x /= sum * n);
        row[label] -= 1.0 / n;
    }
    loss / n
}
