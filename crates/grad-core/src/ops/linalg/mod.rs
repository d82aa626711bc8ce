//! Linear algebra: products, linear systems, determinants and factors of matrices, in batches.
//!
//! Matrices are the last two axes, and the others are batches. Beside the matrix product, what is
//! elementary here is what a backend computes by factoring a matrix: `solve`, `triangular_solve`,
//! `inv`, `slogdet`, `cholesky` and `eigh`. Their rules are made of the same operations again.

mod det;
mod eigen;
mod factor;
mod matmul;
mod solve;

use crate::ground::{ErrorKind, Shape, TensorLike, backend};
use crate::tape::Var;

/// The batch axes and the order of square matrices.
fn square(shape: &Shape) -> Result<(&[usize], usize), ErrorKind> {
    match &shape[..] {
        [batch @ .., m, n] if m == n => Ok((batch, *n)),
        [_, .., _] => Err(ErrorKind::Parameter {
            message: format!("needs square matrices, got shape {shape}"),
        }),
        _ => Err(ErrorKind::RankTooLow { shape: shape.clone(), needed: 2 }),
    }
}

/// The shape rule of functions that take square matrices to matrices of the same size.
fn same_square(x: &[Shape]) -> Result<Shape, ErrorKind> {
    match x {
        [x] => square(x).map(|_| x.clone()),
        _ => Err(ErrorKind::Arity { expected: 1, got: x.len() }),
    }
}

/// The constant matrix of order `n` with these elements, beside `like`.
#[track_caller]
fn pattern<'t, T: TensorLike>(
    like: Var<'t, T>,
    n: usize,
    element: impl Fn(usize, usize) -> f64,
) -> Var<'t, T> {
    let data: Vec<f64> = (0..n * n).map(|place| element(place / n, place % n)).collect();
    constant(like, &[n, n], &data)
}

/// The constant with these elements, on the device and of the dtype of `like`.
#[track_caller]
fn constant<'t, T: TensorLike>(like: Var<'t, T>, shape: &[usize], data: &[f64]) -> Var<'t, T> {
    let Ok(model) = like.value() else { return like };
    match model.from_host(shape, data) {
        Ok(value) => like.tape().constant(value),
        Err(error) => like.tape().fail("constant", backend(error)),
    }
}

impl<T: TensorLike> Var<'_, T> {
    /// The transposes of matrices (PyTorch's and NumPy's `mT`).
    #[track_caller]
    fn mt(self) -> Self {
        self.transpose(-2, -1)
    }

    /// `(A + Aᵀ) / 2`.
    #[track_caller]
    fn symmetrised(self) -> Self {
        // What is not square would broadcast here; the shape rule refuses it.
        if !self.shape().is_ok_and(|shape| square(&shape).is_ok()) {
            return self;
        }
        // Halved first, so that large elements do not overflow.
        let half = self * 0.5;
        half + half.mt()
    }
}
