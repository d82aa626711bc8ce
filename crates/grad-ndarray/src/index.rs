//! Selecting sub-tensors by a list of indices, and adding them back.

use std::borrow::Cow;

use grad_core::Shape;
use ndarray::Axis;

use crate::element::Element;
use crate::error::NdError;
use crate::reduce::check_axes;
use crate::tensor::{NdTensor, Repr, checked, reserved, row_major, zeros};

impl<A: Element> NdTensor<A> {
    /// The sub-tensors along `axis` at the places in `index`.
    pub(crate) fn selected(&self, axis: usize, index: &[usize]) -> Result<Self, NdError> {
        const OP: &str = "index_select";
        let shape = self.shape_slice();
        check_axes(OP, &[axis], shape)?;
        check_index(OP, index, shape[axis])?;
        let out = checked(OP, with_size(shape, axis, index.len()))?;
        match &self.0 {
            Repr::Fill { value, .. } => Ok(NdTensor::fill(*value, out)),
            Repr::Dense { .. } if out.contains(&0) => Ok(NdTensor::fill(A::ZERO, out)),
            // Every index names the same sub-tensor.
            Repr::Dense { base, .. } if base.len_of(Axis(axis)) == 1 => {
                Ok(NdTensor::with_pending(base.clone(), out))
            }
            Repr::Dense { base, .. } => {
                let data = row_major(OP, base)?;
                let sizes = with_size(base.shape(), axis, index.len());
                let inner: usize = sizes[axis + 1..].iter().product();
                let mut selected = reserved(OP, &sizes)?;
                for block in data.chunks_exact(base.len_of(Axis(axis)) * inner) {
                    match inner {
                        1 => selected.extend(index.iter().map(|&i| block[i])),
                        _ => index.iter().for_each(|&i| {
                            selected.extend_from_slice(&block[i * inner..(i + 1) * inner]);
                        }),
                    }
                }
                Ok(NdTensor::from_vec(OP, &sizes, selected)?.stretched(out))
            }
        }
    }

    /// Zeros, of size `size` along `axis`, to which sub-tensor `i` is added at place `index[i]`.
    pub(crate) fn added_at(
        &self,
        axis: usize,
        index: &[usize],
        size: usize,
    ) -> Result<Self, NdError> {
        const OP: &str = "index_add";
        let shape = self.shape_slice();
        check_axes(OP, &[axis], shape)?;
        if index.len() != shape[axis] {
            let left = Shape::from(shape);
            return Err(NdError::ShapeMismatch { op: OP, left, right: index.len().into() });
        }
        check_index(OP, index, size)?;
        let out = checked(OP, with_size(shape, axis, size))?;
        if out.contains(&0) || index.is_empty() {
            return Ok(NdTensor::fill(A::ZERO, out));
        }
        let (data, sizes) = self.whole_along(OP, axis)?;
        let summed = with_size(&sizes, axis, size);
        let inner: usize = sizes[axis + 1..].iter().product();
        let mut sums = zeros(OP, &summed)?;
        let blocks = data.chunks_exact(index.len() * inner);
        for (to, from) in sums.chunks_exact_mut(size * inner).zip(blocks) {
            for (&i, from) in index.iter().zip(from.chunks_exact(inner)) {
                let to = &mut to[i * inner..(i + 1) * inner];
                to.iter_mut().zip(from).for_each(|(x, &y)| *x += y);
            }
        }
        Ok(NdTensor::from_vec(OP, &summed, sums)?.stretched(out))
    }

    /// Row-major elements and their shape, of which this tensor is a broadcast, but not along
    /// `axis`.
    fn whole_along(&self, op: &'static str, axis: usize) -> Result<(Cow<'_, [A]>, Shape), NdError> {
        let n = self.shape_slice()[axis];
        match &self.0 {
            Repr::Fill { value, shape } => {
                let all: Vec<usize> = (0..shape.rank()).collect();
                let sizes = with_size(&shape.keeping(&all), axis, n);
                let ones = NdTensor::fill(*value, Shape::from(&sizes[..]));
                Ok((Cow::Owned(ones.elements(op)?.into_owned()), sizes))
            }
            Repr::Dense { base, .. } if base.len_of(Axis(axis)) == n => {
                Ok((row_major(op, base)?, base.shape().into()))
            }
            Repr::Dense { base, .. } => {
                let sizes = with_size(base.shape(), axis, n);
                let whole = NdTensor::from_base(base.clone()).stretched(Shape::from(&sizes[..]));
                let data = whole.elements(op)?.into_owned();
                Ok((Cow::Owned(data), sizes))
            }
        }
    }
}

/// `shape` with another size along `axis`.
fn with_size(shape: &[usize], axis: usize, size: usize) -> Shape {
    shape.iter().enumerate().map(|(i, &n)| if i == axis { size } else { n }).collect()
}

fn check_index(op: &'static str, index: &[usize], size: usize) -> Result<(), NdError> {
    match index.iter().find(|&&i| i >= size) {
        None => Ok(()),
        Some(&index) => Err(NdError::IndexOutOfRange { op, index, size }),
    }
}
