//! The matrix product, by faer, one call a matrix.
//!
//! Transposed operands and those of a batch are passed as they lie, without a copy.

use std::borrow::Cow;

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use grad_core::extend::Shape;

use crate::element::Element;
use crate::error::NdError;
use crate::strided::Strided;
use crate::tensor::{NdTensor, buffer, checked};
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
        let walk = Walk::along(batch.iter().enumerate().map(|(axis, &size)| {
            let back = out.rank() - axis;
            (size, [x.elements.step(back), y.elements.step(back)])
        }));
        match (walk.steps, &walk.outer[..]) {
            // One matrix on the right: the batch on the left is one tall matrix.
            ([step, 0], []) if x.is_row_major && (m == 1 || step == m * x.span) => {
                let span = if m == 1 { step } else { x.span };
                let tall = Matrices { size: [walk.row * m, k], span, ..x };
                A::multiply(tall.at(0), y.at(0), &mut data);
            }
            ([of_x, of_y], _) => {
                let mut products = data.chunks_exact_mut(m * n);
                walk.rows(|[i, j]| {
                    for (at, z) in products.by_ref().take(walk.row).enumerate() {
                        A::multiply(x.at(i + at * of_x), y.at(j + at * of_y), z);
                    }
                });
            }
        }
        NdTensor::from_vec(OP, &out, data)
    }
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
