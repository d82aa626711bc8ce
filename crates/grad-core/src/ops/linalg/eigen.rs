//! The eigenvalues of symmetric matrices, with second derivatives also where some are equal.
//!
//! The gradient of a function of the eigenvalues w, with cotangent w̄, is `G = V diag(w̄) Vᵀ`. In the
//! basis V it moves by
//!
//! ```math
//! VᵀĠV = diag(w̄̇) + C ∘ M,   M = VᵀṠV,   C_ij = (w̄_i − w̄_j) / (w_i − w_j)
//! ```
//!
//! Where eigenvalues are equal, C is 0/0. Their eigenvectors are a *block* of V, and may be any basis
//! of one space. Suppose that the function treats equal eigenvalues alike. Then Ġ exists, and does not
//! depend on the basis. Take the basis that makes the block of M diagonal. There C ∘ M vanishes, and
//! `diag(L m)` is left: m is the diagonal of M, and L is the derivative of w̄ by w. That derivative is
//! on the tape. So the rule asks for it, by a sweep from w̄ to w, but only where eigenvalues are equal.

use super::factor::values_and_vectors;
use super::{constant, same_square};
use crate::ground::{Error, ErrorKind, Shape, Slice, TensorLike, backend, error_here};
use crate::tape::{Cotangents, Op, Primal, Tangents, Var};

/// The eigenvalues `[.., n]` of S, from S and what `Eigh` packs of it. The latter is data: the
/// derivative goes to S.
struct Values;

impl<T: TensorLike> Op<T> for Values {
    fn name(&self) -> &'static str {
        "eigvalsh"
    }

    fn shape(&self, x: &[Shape]) -> Result<Shape, ErrorKind> {
        same_square(&x[..1]).map(|shape| shape.without(&[shape.rank() - 1]))
    }

    fn forward(&self, x: &[&T]) -> Result<T, T::Error> {
        let shape = Shape::from(x[0].shape());
        rows(x[1], 0, 1)?.reshape(&shape.without(&[shape.rank() - 1]))
    }

    fn vjp<'t>(&self, p: &Primal<'t, T>, ct: Var<'t, T>, x_bar: &mut Cotangents<'_, 't, T>) {
        x_bar.set(0, p.tape().apply(Spectral, &[p.x(0), p.x(1), p.y(), ct]));
    }

    // Stacked tangents broadcast.
    fn jvp<'t>(&self, p: &Primal<'t, T>, t: &Tangents<'_, 't, T>) -> Option<Var<'t, T>> {
        let (_, v) = values_and_vectors(p.x(1));
        t.get(0).map(|s_dot| (v * s_dot.matmul(v)).sum_axes(-2))
    }
}

/// `V diag(w̄) Vᵀ`, from S, what `Eigh` packs of it, w and w̄.
struct Spectral;

impl<T: TensorLike> Op<T> for Spectral {
    fn name(&self) -> &'static str {
        "spectral"
    }

    fn shape(&self, x: &[Shape]) -> Result<Shape, ErrorKind> {
        same_square(&x[..1])
    }

    fn forward(&self, x: &[&T]) -> Result<T, T::Error> {
        let rank = x[0].shape().len();
        let n = x[0].shape()[rank - 1];
        let mut axes: Vec<usize> = (0..rank).collect();
        axes.swap(rank - 2, rank - 1);
        let v = rows(x[1], 1, n)?;
        let row = Shape::from(x[0].shape()).keeping(&[rank - 2]);
        v.mul(&x[3].reshape(&row)?)?.matmul(&v.permute(&axes)?)
    }

    fn vjp<'t>(&self, p: &Primal<'t, T>, ct: Var<'t, T>, x_bar: &mut Cotangents<'_, 't, T>) {
        let (_, v) = values_and_vectors(p.x(1));
        let ct = ct.symmetrised();
        let moved = ct.matmul(v);
        if x_bar.wants(0) {
            let derivative: Derivative<'t, T> = |w, w_bar, m| w.tape().plain().vjp(w_bar, m, w);
            x_bar.set(0, turned(p, v, v.mt().matmul(moved), derivative));
        }
        if x_bar.wants(3) {
            x_bar.set(3, (v * moved).sum_axes(-2));
        }
    }

    fn jvp<'t>(&self, p: &Primal<'t, T>, t: &Tangents<'_, 't, T>) -> Option<Var<'t, T>> {
        let (_, v) = values_and_vectors(p.x(1));
        // The bases of blocks differ from tangent to tangent.
        if t.stack().is_some() && has_blocks(p) {
            return None;
        }
        let of_s = t.get(0).map(|s_dot| {
            let derivative: Derivative<'t, T> = |w, w_bar, m| w.tape().plain().jvp(w_bar, [(w, m)]);
            turned(p, v, v.mt().matmul(s_dot.symmetrised().matmul(v)), derivative)
        });
        let of_w_bar = t.get(3).map(|w_bar| (v * w_bar.unsqueeze(-2)).matmul(v.mt()));
        match (of_s, of_w_bar) {
            (Some(s), Some(w_bar)) => Some(s + w_bar),
            (one, other) => one.or(other),
        }
    }
}

/// The derivative of w̄ by w, times a direction: the one or the other way round.
type Derivative<'t, T> = fn(Var<'t, T>, Var<'t, T>, T) -> Result<T, Error>;

/// What the turning basis contributes for a direction that is `m` in the basis `v`; `derivative` is
/// how w̄ moves with w.
#[track_caller]
fn turned<'t, T: TensorLike>(
    p: &Primal<'t, T>,
    v: Var<'t, T>,
    m: Var<'t, T>,
    derivative: Derivative<'t, T>,
) -> Var<'t, T> {
    let tape = p.tape();
    let found = blocks(p.x(2)).and_then(|blocks| {
        let [w, w_bar] = [p.x(2), p.x(3)].map(|x| (x.unsqueeze(-1), x.unsqueeze(-2)));
        let same = constant(p.x(0), &p.shape(0), &blocks.mask());
        let quotients = (w_bar.0 - w_bar.1) * ((1.0 - same) / (w.0 - w.1 + same));
        let moved = quotients * m;
        match blocks.are_trivial() {
            true => Ok(moved),
            false => {
                Ok(moved + tape.apply(within(p, &blocks, m, derivative)?, &[m, p.x(2), p.x(3)]))
            }
        }
    });
    match found {
        Ok(moved) => v.matmul(moved).matmul(v.mt()),
        Err(error) => tape.void(error),
    }
}

/// What `C ∘ M` cannot say, in blocks of equal eigenvalues: a value whose own derivative is not known.
struct Within<T>(T);

impl<T: TensorLike> Op<T> for Within<T> {
    fn name(&self) -> &'static str {
        "eigvalsh"
    }

    fn shape(&self, _: &[Shape]) -> Result<Shape, ErrorKind> {
        Ok(Shape::from(self.0.shape()))
    }

    fn forward(&self, _: &[&T]) -> Result<T, T::Error> {
        Ok(self.0.clone())
    }

    fn vjp<'t>(&self, p: &Primal<'t, T>, _: Var<'t, T>, x_bar: &mut Cotangents<'_, 't, T>) {
        let message = "eigenvalues are equal, where derivatives above the second are not known";
        let kind = ErrorKind::Parameter { message: message.to_string() };
        x_bar.each(|_| p.tape().fail("eigvalsh", kind.clone()));
    }
}

/// `U diag(L m̃) Uᵀ − diag(L m)` within blocks, where U makes the blocks of M diagonal, with m̃ there,
/// and m is the diagonal of M. NaN where the function does not treat equal eigenvalues alike: their
/// cotangents differ, or L does not commute with exchanging them.
#[track_caller]
fn within<'t, T: TensorLike>(
    p: &Primal<'t, T>,
    blocks: &Blocks,
    m: Var<'t, T>,
    derivative: Derivative<'t, T>,
) -> Result<Within<T>, Error> {
    let (model, n) = (m.value()?, blocks.n);
    let host = |x: &T| x.to_host().map_err(|error| error_here("eigvalsh", backend(error)));
    let tensor = |shape: &Shape, data: &[f64]| {
        model.from_host(shape, data).map_err(|error| error_here("eigvalsh", backend(error)))
    };
    let (matrices, w_bar) = (host(&model)?, host(&p.x(3).value()?)?);
    // The blocks of M alone, and so far from each other that no eigenvector is in two of them.
    let mut separate = vec![0.0; matrices.len()];
    for (at, x) in separate.iter_mut().enumerate() {
        let (matrix, i, j) = (at / (n * n), at / n % n, at % n);
        if blocks.are_same(matrix, i, j) {
            *x = matrices[at];
        }
        if i == j {
            let all = &matrices[matrix * n * n..][..n * n];
            let apart = 4.0 * all.iter().map(|&x| f64::abs(x)).sum::<f64>() + f64::MIN_POSITIVE;
            *x += apart * blocks.first[matrix * n + i] as f64;
        }
    }
    let packed = tensor(&p.shape(0), &separate)?.eigh();
    let packed = host(&packed.map_err(|error| error_here("eigvalsh", backend(error)))?)?;
    let u = |matrix: usize, i: usize, k: usize| packed[(matrix * (n + 1) + 1 + i) * n + k];
    let vector = |f: &dyn Fn(usize, usize) -> f64| -> Vec<f64> {
        (0..blocks.first.len()).map(|at| f(at / n, at % n)).collect()
    };
    let diagonal = vector(&|matrix, k| matrices[(matrix * n + k) * n + k]);
    let turned = vector(&|matrix, k| {
        let range = blocks.range(matrix, k);
        let pairs = range.clone().flat_map(|i| range.clone().map(move |j| (i, j)));
        let at = |i: usize, j: usize| matrices[(matrix * n + i) * n + j];
        pairs.map(|(i, j)| u(matrix, i, k) * at(i, j) * u(matrix, j, k)).sum()
    });
    let next = |matrix: usize, k: usize| {
        let range = blocks.range(matrix, k);
        matrix * n + if k + 1 < range.end { k + 1 } else { range.start }
    };
    let exchanged = vector(&|matrix, k| turned[next(matrix, k)]);

    let (w, w_bar_handle) = (p.own(2), p.own(3));
    let l = |direction: &[f64]| match w.is_tracked() && w_bar_handle.is_tracked() {
        true => host(&derivative(w, w_bar_handle, tensor(&p.shape(2), direction)?)?),
        false => Ok(vec![0.0; direction.len()]),
    };
    let (l_diagonal, l_turned, l_exchanged) = (l(&diagonal)?, l(&turned)?, l(&exchanged)?);

    let mut x = vec![0.0; matrices.len()];
    for (at, x) in x.iter_mut().enumerate() {
        let (matrix, i, j) = (at / (n * n), at / n % n, at % n);
        let range = blocks.range(matrix, i);
        if range.len() == 1 || !range.contains(&j) {
            continue;
        }
        let of_matrix = |x: &[f64]| largest(&x[matrix * n..][..n]) * model.dtype().epsilon().sqrt();
        let is_alike = range.clone().all(|k| {
            let (this, other) = (matrix * n + k, next(matrix, k));
            let error = (l_exchanged[this] - l_turned[other]).abs();
            (w_bar[this] - w_bar[other]).abs() <= of_matrix(&w_bar) && error <= of_matrix(&l_turned)
        });
        let product = |k: usize| u(matrix, i, k) * l_turned[matrix * n + k] * u(matrix, j, k);
        let known = if i == j { l_diagonal[matrix * n + i] } else { 0.0 };
        *x = if is_alike { range.map(product).sum::<f64>() - known } else { f64::NAN };
    }
    tensor(&p.shape(0), &x).map(Within)
}

fn largest(x: &[f64]) -> f64 {
    x.iter().fold(0.0, |max: f64, &x| max.max(f64::abs(x)))
}

/// Which eigenvalues of each matrix cannot be told from each other. They are neighbors, since they
/// ascend.
pub(super) struct Blocks {
    n: usize,
    /// For each eigenvalue the place, in its matrix, of the first one of its block.
    first: Vec<usize>,
}

impl Blocks {
    fn are_same(&self, matrix: usize, i: usize, j: usize) -> bool {
        self.first[matrix * self.n + i] == self.first[matrix * self.n + j]
    }

    fn range(&self, matrix: usize, k: usize) -> std::ops::Range<usize> {
        let first = &self.first[matrix * self.n..][..self.n];
        let n = first.iter().filter(|&&other| other == first[k]).count();
        first[k]..first[k] + n
    }

    /// True if each eigenvalue is one of its own.
    pub(super) fn are_trivial(&self) -> bool {
        self.first.iter().enumerate().all(|(at, &first)| first == at % self.n)
    }

    /// For each two eigenvalues of a matrix 1 if they are of one block.
    pub(super) fn mask(&self) -> Vec<f64> {
        let square = self.n * self.n;
        let pairs = (0..self.first.len() * self.n)
            .map(|at| self.are_same(at / square, at / self.n % self.n, at % self.n));
        pairs.map(|same| f64::from(u8::from(same))).collect()
    }
}

/// The blocks of eigenvalues `w`. Rounding moves each by some units in the last place of the largest.
pub(super) fn blocks<T: TensorLike>(w: Var<'_, T>) -> Result<Blocks, Error> {
    const UNITS: f64 = 16.0;
    let value = w.value()?;
    let data = value.to_host().map_err(|error| error_here("eigvalsh", backend(error)))?;
    let n = value.shape().last().copied().unwrap_or(0).max(1);
    let mut first = Vec::with_capacity(data.len());
    for w in data.chunks(n) {
        let tolerance = UNITS * n as f64 * value.dtype().epsilon() * largest(w);
        let mut start = 0;
        for i in 0..w.len() {
            // A NaN is alone.
            let joins = i > 0 && w[i] - w[i - 1] <= tolerance;
            if !joins {
                start = i;
            }
            first.push(start);
        }
    }
    Ok(Blocks { n, first })
}

/// Whether eigenvalues of a `Spectral` node are equal.
fn has_blocks<T: TensorLike>(p: &Primal<'_, T>) -> bool {
    blocks(p.x(2)).is_ok_and(|blocks| !blocks.are_trivial())
}

/// Rows of what `Eigh` packs.
fn rows<T: TensorLike>(packed: &T, start: usize, n: usize) -> Result<T, T::Error> {
    let mut slices: Vec<Slice> = packed.shape().iter().map(|&n| Slice::all(n)).collect();
    if let [.., rows, _] = &mut slices[..] {
        *rows = Slice { start, stop: start + n, step: 1 };
    }
    packed.slice(&slices)
}

/// The eigenvalues of S, of which `packed` is what `Eigh` gives.
#[track_caller]
pub(super) fn values<'t, T: TensorLike>(s: Var<'t, T>, packed: Var<'t, T>) -> Var<'t, T> {
    s.binary(&Values, packed)
}
