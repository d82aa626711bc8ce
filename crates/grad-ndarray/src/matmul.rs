//! The matrix product, one call of ndarray's kernel a matrix.
//!
//! The kernel takes operands of any layout, so transposed and broadcast ones are not copied.

use grad_core::extend::Shape;
use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayViewD, ArrayViewMutD, Axis, Ix2, IxDyn};

use crate::element::Element;
use crate::error::NdError;
use crate::tensor::{NdTensor, checked, zeros};

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
        let with_batch = |size: [usize; 2]| batch.iter().copied().chain(size).collect::<Shape>();
        let out = checked(OP, with_batch([m, n]))?;
        if k == 0 || out.contains(&0) {
            return Ok(NdTensor::fill(A::ZERO, out));
        }

        let mut data = zeros(OP, &out)?;
        let (x, mut y) = (self.view(), rhs.view());
        if *left_batch == *batch && right_batch.iter().all(|&n| n == 1) && x.is_standard_layout() {
            // One matrix on the right: the batch on the left is one tall matrix.
            let n_rows = data.len() / n;
            while y.ndim() > 2 {
                y = y.index_axis_move(Axis(0), 0);
            }
            let x = x.into_shape_with_order(IxDyn(&[n_rows, k])).map_err(|_| mismatch())?;
            let z = ArrayViewMutD::from_shape(IxDyn(&[n_rows, n]), &mut data);
            multiply(x, y, z.map_err(|_| mismatch())?);
        } else {
            let x = x.broadcast(IxDyn(&with_batch([m, k]))).ok_or_else(mismatch)?;
            let y = y.broadcast(IxDyn(&with_batch([k, n]))).ok_or_else(mismatch)?;
            let z = ArrayViewMutD::from_shape(IxDyn(&out), &mut data);
            multiply(x, y, z.map_err(|_| mismatch())?);
        }
        NdTensor::from_vec(OP, &out, data)
    }
}

/// `z = x y`, matrix by matrix along the leading axes; the shapes fit.
fn multiply<A: Element>(x: ArrayViewD<'_, A>, y: ArrayViewD<'_, A>, mut z: ArrayViewMutD<'_, A>) {
    if z.ndim() > 2 {
        let operands = x.axis_iter(Axis(0)).zip(y.axis_iter(Axis(0)));
        for ((x, y), z) in operands.zip(z.axis_iter_mut(Axis(0))) {
            multiply(x, y, z);
        }
        return;
    }
    let matrices = (
        x.into_dimensionality::<Ix2>(),
        y.into_dimensionality::<Ix2>(),
        z.into_dimensionality::<Ix2>(),
    );
    if let (Ok(x), Ok(y), Ok(mut z)) = matrices {
        general_mat_mul(A::ONE, &x, &y, A::ZERO, &mut z);
    }
}
