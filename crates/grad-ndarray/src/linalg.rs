//! Linear algebra, by `grad_linalg`: on copies of the elements in `f64`, whatever their type.

use grad_core::extend::TensorLike;
use grad_linalg::{LinalgError, Matrices};

use crate::element::Element;
use crate::error::NdError;
use crate::tensor::NdTensor;

type Result<A> = std::result::Result<NdTensor<A>, NdError>;
type Batch = std::result::Result<Vec<f64>, LinalgError>;

pub(crate) fn solve<A: Element>(a: &NdTensor<A>, rhs: &NdTensor<A>) -> Result<A> {
    solved("solve", a, rhs, grad_linalg::solve)
}

pub(crate) fn triangular_solve<A: Element>(
    a: &NdTensor<A>,
    rhs: &NdTensor<A>,
    upper: bool,
) -> Result<A> {
    solved("triangular_solve", a, rhs, |a, b| grad_linalg::triangular_solve(a, b, upper))
}

pub(crate) fn inv<A: Element>(a: &NdTensor<A>) -> Result<A> {
    factored("inv", a, |n| [n, n], grad_linalg::inv)
}

pub(crate) fn slogdet<A: Element>(a: &NdTensor<A>) -> Result<A> {
    factored("slogdet", a, |_| [2], grad_linalg::slogdet)
}

pub(crate) fn cholesky<A: Element>(a: &NdTensor<A>) -> Result<A> {
    factored("cholesky", a, |n| [n, n], grad_linalg::cholesky)
}

pub(crate) fn eigh<A: Element>(a: &NdTensor<A>) -> Result<A> {
    factored("eigh", a, |n| [n + 1, n], grad_linalg::eigh)
}

/// A function of square matrices; `size` makes the shape of each result of their order.
fn factored<A: Element, const N: usize>(
    op: &'static str,
    a: &NdTensor<A>,
    size: impl Fn(usize) -> [usize; N],
    f: impl Fn(Matrices<'_>) -> Batch,
) -> Result<A> {
    let failed = |source| NdError::Linalg { op, source };
    let data = a.to_host()?;
    let matrices = Matrices::new(a.shape(), &data).map_err(failed)?;
    let result = f(matrices).map_err(failed)?;
    let batch = &a.shape()[..a.shape().len() - 2];
    a.from_host(&[batch, &size(matrices.size()[1])].concat(), &result)
}

/// The solution of a linear system.
fn solved<A: Element>(
    op: &'static str,
    a: &NdTensor<A>,
    rhs: &NdTensor<A>,
    f: impl Fn(Matrices<'_>, Matrices<'_>) -> Batch,
) -> Result<A> {
    let failed = |source| NdError::Linalg { op, source };
    let (of_a, of_b) = (a.to_host()?, rhs.to_host()?);
    let matrices = Matrices::new(a.shape(), &of_a).map_err(failed)?;
    let right = Matrices::new(rhs.shape(), &of_b).map_err(failed)?;
    a.from_host(rhs.shape(), &f(matrices, right).map_err(failed)?)
}
