//! Linear algebra, by `grad_linalg`: on copies of the elements in `f64`, whatever their type.

use grad_core::extend::TensorLike;
use grad_linalg::{LinalgError, Matrices};

use crate::element::Element;
use crate::error::NdError;
use crate::tensor::NdTensor;

type Batch = Result<Vec<f64>, LinalgError>;

impl<A: Element> NdTensor<A> {
    /// A function of square matrices; `size` makes the shape of each result of their order.
    pub(crate) fn factored<const N: usize>(
        &self,
        op: &'static str,
        size: impl Fn(usize) -> [usize; N],
        f: impl Fn(Matrices<'_>) -> Batch,
    ) -> Result<Self, NdError> {
        let failed = |source| NdError::Linalg { op, source };
        let data = self.to_host()?;
        let matrices = Matrices::new(self.shape(), &data).map_err(failed)?;
        let result = f(matrices).map_err(failed)?;
        let batch = &self.shape()[..self.shape().len() - 2];
        self.from_host(&[batch, &size(matrices.size()[1])].concat(), &result)
    }

    /// The solution of a linear system.
    pub(crate) fn solved(
        &self,
        op: &'static str,
        rhs: &Self,
        f: impl Fn(Matrices<'_>, Matrices<'_>) -> Batch,
    ) -> Result<Self, NdError> {
        let failed = |source| NdError::Linalg { op, source };
        let (a, b) = (self.to_host()?, rhs.to_host()?);
        let a = Matrices::new(self.shape(), &a).map_err(failed)?;
        let b = Matrices::new(rhs.shape(), &b).map_err(failed)?;
        self.from_host(rhs.shape(), &f(a, b).map_err(failed)?)
    }
}
