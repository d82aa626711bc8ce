//! The matrix product, one call of `gemm` a matrix.
//!
//! Transposed operands and those of a batch are passed as they lie, without a copy.

use std::borrow::Cow;

use grad_core::extend::Shape;

use crate::element::Element;
use crate::error::NdError;
use crate::gemm::{MatMut, MatRef};
use crate::strided::Strided;
use crate::tensor::{NdTensor, buffer, checked};
use crate::threads;
use crate::walk::Walk;

const OP: &str = "matmul";

impl<A: Element> NdTensor<A> {
    /// The matrix product over the last two axes; leading axes broadcast.
    pub(crate) fn product(&self, rhs: &Self) -> Result<Self, NdError> {
        let (left, right) = (self.shape_slice(), rhs.shape_slice());
        let (&[ref left_batch @ .., m, k], &[ref right_batch @ .., inner, n]) = (left, right)
        else {
            return Err(NdError::RankTooLow { op: OP, left: left.into(), right: right.into() });
        };
        let mismatch = || NdError::ShapeMismatch { op: OP, left: left.into(), right: right.into() };
        let batch = Shape::from(left_batch).broadcast(right_batch);
        let batch = batch.filter(|_| k == inner).ok_or_else(mismatch)?;
        let out = checked(OP, batch.iter().copied().chain([m, n]).collect())?;
        if k == 0 || out.contains(&0) {
            return Ok(NdTensor::fill(A::ZERO, out));
        }
        let (x, y) = (Matrices::new(self, [m, k])?, Matrices::new(rhs, [k, n])?);
        let mut data = buffer(OP, &out)?;
        let data_len = data.len();
        let walk = Walk::along(batch.iter().enumerate().map(|(axis, &size)| {
            let back = out.rank() - axis;
            (size, [x.elements.step(back), y.elements.step(back)])
        }));
        match (walk.steps, &walk.outer[..]) {
            // One matrix on the right: the batch on the left is one tall matrix.
            ([step, 0], []) if x.is_row_major && (m == 1 || step == m * x.span) => {
                let span = if m == 1 { step } else { x.span };
                let tall = Matrices { size: [walk.row * m, k], span, ..x };
                multiply(tall.at(0), y.at(0), &mut data);
            }
            _ if data.len() == m * n => multiply(x.at(0), y.at(0), &mut data),
            ([of_x, of_y], _) => {
                let mut matrices = data.chunks_exact_mut(m * n);
                let mut products = Vec::with_capacity(data_len / (m * n));
                walk.rows(|[i, j]| {
                    let operands = (0..walk.row).map(|at| (i + at * of_x, j + at * of_y));
                    products.extend(operands.zip(matrices.by_ref()));
                });
                threads::each(products, cost(data_len, k), |((i, j), z)| {
                    let z = MatMut::from_row_major_slice_mut(z, m, n);
                    A::multiply(x.at(i), y.at(j), z);
                });
            }
        }
        NdTensor::from_vec(OP, &out, data)
    }
}

/// What it costs, for `threads`, to compute `n` elements as sums of `k` products.
fn cost(n: usize, k: usize) -> usize {
    n.saturating_mul(k) / 4
}

/// `z = x y`, where z is row-major, by blocks that depend on the sizes alone.
fn multiply<A: Element>(x: MatRef<'_, A>, y: MatRef<'_, A>, z: &mut [A]) {
    // A block is worth about 100 µs, and is not thin.
    const BLOCK: usize = 1 << 20;
    const ROWS: usize = 64;
    const COLUMNS: usize = 256;
    let (m, n) = (x.nrows(), y.ncols());
    let cost = cost(z.len(), x.ncols());
    let n_blocks = (cost / BLOCK).max(1);
    let mut z = MatMut::from_row_major_slice_mut(z, m, n);
    let by_rows = m.div_ceil(n_blocks.min(m / ROWS).max(1));
    let by_columns = n.div_ceil(n_blocks.min(n / COLUMNS).max(1));
    let mut blocks = Vec::new();
    if by_rows < m {
        for start in (0..m).step_by(by_rows) {
            let (block, rest) = z.split_at_row_mut(by_rows.min(m - start));
            blocks.push((x.subrows(start, block.nrows()), y, block));
            z = rest;
        }
    } else {
        for start in (0..n).step_by(by_columns) {
            let (block, rest) = z.split_at_col_mut(by_columns.min(n - start));
            blocks.push((x, y.subcols(start, block.ncols()), block));
            z = rest;
        }
    }
    threads::each(blocks, cost, |(x, y, z)| A::multiply(x, y, z));
}

/// Matrices of one size.
struct Matrices<'a, A: Element> {
    elements: Strided<'a, A>,
    size: [usize; 2],
    /// Whether the elements of a row are neighbors, or else those of a column.
    is_row_major: bool,
    /// The distance from one row to the next, or from one column.
    span: usize,
}

impl<'a, A: Element> Matrices<'a, A> {
    /// Copies only what is repeated within a matrix, or has neighbors along neither axis.
    fn new(x: &'a NdTensor<A>, size: [usize; 2]) -> Result<Self, NdError> {
        let elements = Strided::of(OP, x)?;
        match (size, [elements.step(2), elements.step(1)]) {
            ([m, 1], [span, _]) | ([m, _], [span, 1]) if m == 1 || span > 0 => {
                Ok(Matrices { elements, size, is_row_major: true, span })
            }
            ([1, n], [_, span]) | ([_, n], [1, span]) if n == 1 || span > 0 => {
                Ok(Matrices { elements, size, is_row_major: false, span })
            }
            _ => {
                let data = elements.copied(OP, x.shape_slice())?;
                let elements = Strided::row_major(x.shape_slice(), Cow::Owned(data));
                Ok(Matrices { elements, size, is_row_major: true, span: size[1] })
            }
        }
    }

    /// The matrix that begins at a place.
    fn at(&self, start: usize) -> MatRef<'_, A> {
        let ([m, n], data) = (self.size, &self.elements.data[start..]);
        match self.is_row_major {
            true => MatRef::from_row_major_slice_with_stride(data, m, n, self.span),
            false => MatRef::from_column_major_slice_with_stride(data, m, n, self.span),
        }
    }
}
