//! Linear algebra, by `grad_linalg`: on the host in f64, and back to the device and the dtype.

use candle_core::Tensor;
use grad_linalg::{LinalgError, Matrices};

use crate::elementwise::{must_agree, must_be_float};
use crate::error::Result;
use crate::tensor::{from_host, to_host};

type Batch = std::result::Result<Vec<f64>, LinalgError>;

/// A function of square matrices; `size` makes the shape of each result of their order.
pub(crate) fn factored<const N: usize>(
    op: &'static str,
    x: &Tensor,
    size: impl Fn(usize) -> [usize; N],
    f: impl Fn(Matrices<'_>) -> Batch,
) -> Result<Tensor> {
    must_be_float(op, x)?;
    let data = to_host(x)?;
    let matrices = Matrices::new(x.dims(), &data)?;
    let result = f(matrices)?;
    let batch = &x.dims()[..x.rank() - 2];
    from_host(x, &[batch, &size(matrices.size()[1])].concat(), &result)
}

/// The solution of a linear system.
pub(crate) fn solved(
    op: &'static str,
    a: &Tensor,
    b: &Tensor,
    f: impl Fn(Matrices<'_>, Matrices<'_>) -> Batch,
) -> Result<Tensor> {
    must_be_float(op, a)?;
    must_agree(a, b)?;
    let (a_data, b_data) = (to_host(a)?, to_host(b)?);
    let result = f(Matrices::new(a.dims(), &a_data)?, Matrices::new(b.dims(), &b_data)?)?;
    from_host(a, b.dims(), &result)
}
