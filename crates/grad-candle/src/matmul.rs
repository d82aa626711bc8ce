//! Matrix products: operands are brought into the layouts that candle multiplies right.
//!
//! Candle refuses more than two batch axes, wants batches at one stride, and on the CPU folds the
//! batches of a transposed left operand wrongly where the right one is repeated.

use candle_core::Tensor;
use grad_core::extend::{ErrorKind, Shape};

use crate::elementwise::{must_agree, must_be_float};
use crate::error::{CandleError, Result};
use crate::tensor::{count, zeros};

pub(crate) fn matmul(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    must_be_float("matmul", a)?;
    must_agree(a, b)?;
    let (a_batch, m, k) = split(a)?;
    let (b_batch, b_k, n) = split(b)?;
    if k != b_k {
        return Err(mismatch(a, b, "differ in the inner size"));
    }
    let Some(batch) = Shape::from(a_batch).broadcast(b_batch) else {
        return Err(mismatch(a, b, "do not broadcast in the leading axes"));
    };
    let shape: Shape = batch.iter().copied().chain([m, n]).collect();
    count(a.dims())?;
    count(b.dims())?;
    if count(&shape)? == 0 || k == 0 {
        return zeros(a, &shape);
    }
    if a.rank() == 2 && b.rank() == 2 {
        return Ok(matrices(a)?.matmul(&matrices(b)?)?);
    }
    let n_products = count(&batch)?;
    if count(b_batch)? == 1 {
        // One right matrix for all: a single tall product.
        let tall = match n_products {
            1 => alone(a)?,
            _ => expanded(a, &batch, m, k)?.reshape((n_products * m, k))?,
        };
        return Ok(tall.matmul(&alone(b)?)?.reshape(&*shape)?);
    }
    let a = stacked(&expanded(a, &batch, m, k)?, n_products)?;
    let b = stacked(&expanded(b, &batch, k, n)?, n_products)?;
    Ok(a.matmul(&b)?.reshape(&*shape)?)
}

/// The batch axes, the rows and the columns.
fn split(x: &Tensor) -> Result<(&[usize], usize, usize)> {
    match x.dims() {
        [batch @ .., rows, columns] => Ok((batch, *rows, *columns)),
        dims => Err(ErrorKind::RankTooLow { shape: Shape::from(dims), needed: 2 }.into()),
    }
}

/// The only matrix of `x`, in row-major or in column-major order: to reshape the latter would copy.
fn alone(x: &Tensor) -> Result<Tensor> {
    let mut x = x.clone();
    while x.rank() > 2 {
        x = x.squeeze(0)?;
    }
    matrices(&x)
}

/// `x` with the axes `batch` in front of its matrices.
fn expanded(x: &Tensor, batch: &[usize], rows: usize, columns: usize) -> Result<Tensor> {
    let shape = [batch, &[rows, columns]].concat();
    Ok(if x.dims() == shape { x.clone() } else { x.broadcast_as(shape)? })
}

/// `x` with its batch axes, `n` matrices in all, joined into one.
fn stacked(x: &Tensor, n: usize) -> Result<Tensor> {
    let x = matrices(x)?;
    let (_, rows, columns) = split(&x)?;
    if x.is_contiguous() {
        return Ok(x.reshape((n, rows, columns))?);
    }
    // Transposed matrices stay so: the product reads either order.
    Ok(x.t()?.reshape((n, columns, rows))?.t()?)
}

/// `x` with contiguous matrices at one stride, each in row-major or in column-major order.
fn matrices(x: &Tensor) -> Result<Tensor> {
    if x.is_contiguous() || x.t()?.is_contiguous() {
        return Ok(x.clone());
    }
    Ok(x.contiguous()?)
}

fn mismatch(a: &Tensor, b: &Tensor, rule: &'static str) -> CandleError {
    let (left, right) = (Shape::from(a.dims()), Shape::from(b.dims()));
    ErrorKind::ShapeMismatch { left, right, rule }.into()
}
