//! The matrix product, by faer, one call a matrix.
//!
//! Transposed operands and those of a batch are passed as they lie, without a copy.

use std::borrow::Cow;

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use grad_core::extend::Shape;
use ndarray::{ArrayViewD, Axis, IxDyn};

use crate::element::Element;
use crate::error::NdError;
use crate::tensor::{NdTensor, buffer, checked};

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

        let mut data = buffer(OP, &out)?;
        let (x, mut y) = (self.view(), rhs.view());
        if *left_batch == *batch && right_batch.iter().all(|&n| n == 1) && x.is_standard_layout() {
            // One matrix on the right: the batch on the left is one tall matrix.
            let n_rows = data.len() / n;
            while y.ndim() > 2 {
                y = y.index_axis_move(Axis(0), 0);
            }
            let x = x.into_shape_with_order(IxDyn(&[n_rows, k])).map_err(|_| mismatch())?;
            multiply(&x, &y, &mut data);
        } else {
            let x = x.broadcast(IxDyn(&with_batch([m, k]))).ok_or_else(mismatch)?;
            let y = y.broadcast(IxDyn(&with_batch([k, n]))).ok_or_else(mismatch)?;
            multiply(&x, &y, &mut data);
        }
        NdTensor::from_vec(OP, &out, data)
    }
}

/// `z = x y`, matrix by matrix along the leading axes; the shapes fit, and z is row-major.
fn multiply<A: Element>(x: &ArrayViewD<'_, A>, y: &ArrayViewD<'_, A>, z: &mut [A]) {
    if x.ndim() > 2 {
        let n = z.len() / x.len_of(Axis(0));
        let operands = x.axis_iter(Axis(0)).zip(y.axis_iter(Axis(0)));
        for ((x, y), z) in operands.zip(z.chunks_exact_mut(n)) {
            multiply(&x, &y, z);
        }
        return;
    }
    let (x, y) = (Matrix::new(x), Matrix::new(y));
    A::multiply(x.as_faer(), y.as_faer(), z);
}

/// The elements of a matrix as one slice.
struct Matrix<'a, A: Element> {
    data: Cow<'a, [A]>,
    size: [usize; 2],
    is_row_major: bool,
}

impl<'a, A: Element> Matrix<'a, A> {
    /// Copies only where there are gaps or repetitions.
    fn new(x: &ArrayViewD<'a, A>) -> Self {
        let size = [x.len_of(Axis(0)), x.len_of(Axis(1))];
        let (data, is_row_major) = match (x.to_slice(), x.clone().reversed_axes().to_slice()) {
            (Some(data), _) => (Cow::Borrowed(data), true),
            (None, Some(data)) => (Cow::Borrowed(data), false),
            (None, None) => (Cow::Owned(x.iter().copied().collect()), true),
        };
        Matrix { data, size, is_row_major }
    }

    fn as_faer(&self) -> MatRef<'_, A> {
        let [m, n] = self.size;
        match self.is_row_major {
            true => MatRef::from_row_major_slice(&self.data, m, n),
            false => MatRef::from_column_major_slice(&self.data, m, n),
        }
    }
}

/// The types that there is a matrix product for.
#[doc(hidden)]
pub trait Multiply: Sized {
    /// `z = x y`, where z is row-major.
    fn multiply(x: MatRef<'_, Self>, y: MatRef<'_, Self>, z: &mut [Self]);
}

macro_rules! multiply {
    ($($float:ty)*) => {$(
        impl Multiply for $float {
            fn multiply(x: MatRef<'_, Self>, y: MatRef<'_, Self>, z: &mut [Self]) {
                let z = MatMut::from_row_major_slice_mut(z, x.nrows(), y.ncols());
                matmul(z, Accum::Replace, x, y, 1.0, Par::Seq);
            }
        }
    )*};
}

multiply!(f32 f64);
