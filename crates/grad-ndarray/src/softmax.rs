//! Softmax and its logarithm.
//!
//! Sums are in double precision: there may be many small terms beside a large one.

use grad_core::extend::{WINNER, softmax_jacobian};
use pulp::{Arch, Simd, WithSimd};

use crate::element::Element;
use crate::error::NdError;
use crate::fold::{fold_into, fold_run, larger};
use crate::math::Exp;
use crate::simd::Map;
use crate::tensor::NdTensor;
use crate::threads;

/// So many elements stay in the cache.
const BLOCK: usize = 4096;

impl<A: Element> NdTensor<A> {
    /// `eˣ / Σ eˣ` along an axis; infinities share the sum of 1.
    pub(crate) fn softmaxed(&self, axis: usize) -> Result<Self, NdError> {
        self.along("softmax", axis, A::softmax)
    }

    /// The logarithm of [`NdTensor::softmaxed`].
    pub(crate) fn log_softmaxed(&self, axis: usize) -> Result<Self, NdError> {
        self.along("log_softmax", axis, A::log_softmax)
    }

    /// `p (c − Σ p c)` along an axis; in one pass, if it is the last one.
    pub(crate) fn times_softmax_jacobian(&self, c: &Self, axis: usize) -> Result<Self, NdError> {
        let shape = self.shape_slice();
        if shape != c.shape_slice() || axis + 1 != shape.len() || shape.contains(&0) {
            return softmax_jacobian(self, c, axis);
        }
        let p = self.elements("softmax")?;
        let mut data = c.owned_elements("softmax")?;
        A::softmax_jacobian(&p, &mut data, shape[axis]);
        NdTensor::from_vec("softmax", shape, data)
    }
}

/// `eˣ / Σ eˣ` along the axis of `n` that has `inner` elements below it, in place.
pub(crate) fn softmax<A: Element>(data: &mut [A], n: usize, inner: usize) {
    normalize(Softmax, data, n, inner);
}

/// The logarithm of [`softmax`].
pub(crate) fn log_softmax<A: Element>(data: &mut [A], n: usize, inner: usize) {
    normalize(LogSoftmax, data, n, inner);
}

/// `p (c − Σ p c)` along rows of `n`, in place of c.
pub(crate) fn jacobian<A: Element>(p: &[A], c: &mut [A], n: usize) {
    threads::parts(c, n, 4, |start, c| {
        Arch::new().dispatch(Jacobian { p: &p[start..start + c.len()], c, n });
    });
}

struct Jacobian<'a, A> {
    p: &'a [A],
    c: &'a mut [A],
    n: usize,
}

impl<A: Element> WithSimd for Jacobian<'_, A> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let winner = A::from_f64(WINNER);
        let mut products = vec![A::ZERO; self.n];
        for (p, c) in self.p.chunks_exact(self.n).zip(self.c.chunks_exact_mut(self.n)) {
            // There is one at most, and looking for it has to be fast.
            if p.iter().fold(false, |found, &p| found | (p > winner))
                && let Some(at) = p.iter().position(|&p| p > winner)
            {
                let there = c[at];
                c.iter_mut().for_each(|c| *c -= there);
            }
            let both = products.iter_mut().zip(p.iter().zip(&*c));
            both.for_each(|(product, (&p, &c))| *product = p * c);
            let mean = A::from_f64(sum(&products));
            c.iter_mut().zip(p).for_each(|(c, &p)| *c = p * (*c - mean));
        }
    }
}

fn normalize<A: Element>(kind: impl Kind, data: &mut [A], n: usize, inner: usize) {
    threads::parts(data, n * inner, 4, |_, data| {
        Arch::new().dispatch(Normalize { kind, data, n, inner });
    });
}

/// Which of the two; both of x − max x, in place.
trait Kind: Copy + Sync {
    /// Of rows of `n`, that stay in the cache together.
    fn rows<S: Simd, A: Element>(self, rows: &mut [A], n: usize, scratch: &mut Vec<A>);

    /// The same for several columns; `sums` are zeros.
    fn columns<S: Simd, A: Element>(self, rows: &mut [A], sums: &mut [f64]);
}

#[derive(Clone, Copy)]
struct Softmax;

impl Kind for Softmax {
    #[inline(always)]
    fn rows<S: Simd, A: Element>(self, rows: &mut [A], n: usize, _: &mut Vec<A>) {
        rows.iter_mut().for_each(|x| *x = Exp.at::<S>(*x));
        for row in rows.chunks_exact_mut(n) {
            let sum = A::from_f64(sum(row));
            row.iter_mut().for_each(|x| *x /= sum);
        }
    }

    #[inline(always)]
    fn columns<S: Simd, A: Element>(self, rows: &mut [A], sums: &mut [f64]) {
        for row in rows.chunks_exact_mut(sums.len()) {
            for (x, sum) in row.iter_mut().zip(&mut *sums) {
                *x = Exp.at::<S>(*x);
                *sum += x.to_f64();
            }
        }
        for row in rows.chunks_exact_mut(sums.len()) {
            row.iter_mut().zip(&*sums).for_each(|(x, &sum)| *x /= A::from_f64(sum));
        }
    }
}

#[derive(Clone, Copy)]
struct LogSoftmax;

impl Kind for LogSoftmax {
    #[inline(always)]
    fn rows<S: Simd, A: Element>(self, rows: &mut [A], n: usize, scratch: &mut Vec<A>) {
        scratch.clear();
        scratch.extend_from_slice(rows);
        scratch.iter_mut().for_each(|x| *x = Exp.at::<S>(*x));
        for (row, exp) in rows.chunks_exact_mut(n).zip(scratch.chunks_exact_mut(n)) {
            let ln = A::from_f64(ln_sum(row, exp));
            row.iter_mut().for_each(|x| *x -= ln);
        }
    }

    #[inline(always)]
    fn columns<S: Simd, A: Element>(self, rows: &mut [A], sums: &mut [f64]) {
        let mut ties = vec![-1.0; sums.len()];
        for row in rows.chunks_exact(sums.len()) {
            for ((&x, sum), ties) in row.iter().zip(&mut *sums).zip(&mut ties) {
                let e = Exp.at::<S>(x).to_f64();
                *(if x == A::ZERO { ties } else { sum }) += e;
            }
        }
        sums.iter_mut().zip(&ties).for_each(|(sum, ties)| *sum = (*sum + ties).ln_1p());
        for row in rows.chunks_exact_mut(sums.len()) {
            row.iter_mut().zip(&*sums).for_each(|(x, &ln)| *x -= A::from_f64(ln));
        }
    }
}

struct Normalize<'a, A, K> {
    kind: K,
    data: &'a mut [A],
    /// The number of elements along the axis, and of those below it.
    n: usize,
    inner: usize,
}

impl<A: Element, K: Kind> WithSimd for Normalize<'_, A, K> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Normalize { kind, data, n, inner } = self;
        if inner == 1 {
            // Exponentials of many rows at once: one row may be shorter than a vector.
            let mut scratch = Vec::new();
            for rows in data.chunks_mut((BLOCK / n).max(1) * n) {
                for row in rows.chunks_exact_mut(n) {
                    let max = fold_run(larger, row);
                    row.iter_mut().for_each(|x| *x = below(*x, max));
                }
                kind.rows::<S, A>(rows, n, &mut scratch);
            }
            return;
        }
        let (mut largest, mut sums) = (vec![A::ZERO; inner], vec![0.0; inner]);
        for rows in data.chunks_exact_mut(n * inner) {
            fold_into(larger, rows, &mut largest);
            for row in rows.chunks_exact_mut(inner) {
                row.iter_mut().zip(&largest).for_each(|(x, &max)| *x = below(*x, max));
            }
            sums.fill(0.0);
            kind.columns::<S, A>(rows, &mut sums);
        }
    }
}

/// `x − max`; what equals the largest becomes 0, even if infinite.
#[inline(always)]
fn below<A: Element>(x: A, max: A) -> A {
    if x == max { A::ZERO } else { x - max }
}

/// The logarithm of the sum of `exp`, the exponentials of a row of `x − max`. One of the largest,
/// which is 1 in the sum, stays out of it, so that a sum that would round to 1 keeps its digits.
#[inline(always)]
fn ln_sum<A: Element>(row: &[A], exp: &mut [A]) -> f64 {
    let mut ties = -1.0;
    for (&x, e) in row.iter().zip(&mut *exp) {
        let is_largest = x == A::ZERO;
        ties += if is_largest { 1.0 } else { 0.0 };
        *e = if is_largest { A::ZERO } else { *e };
    }
    (sum(exp) + ties).ln_1p()
}

/// The sum of the elements, in lanes.
#[inline(always)]
fn sum<A: Element>(row: &[A]) -> f64 {
    let (chunks, rest) = row.as_chunks::<16>();
    let mut lanes = [0.0; 16];
    for chunk in chunks {
        lanes.iter_mut().zip(chunk).for_each(|(sum, &x)| *sum += x.to_f64());
    }
    let rest: f64 = rest.iter().map(|&x| x.to_f64()).sum();
    lanes.iter().sum::<f64>() + rest
}
