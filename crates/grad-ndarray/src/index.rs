//! Selecting sub-tensors or elements by indices, and adding them back.

use std::borrow::Cow;

use grad_core::extend::{Index, Shape};
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

    /// `y[.., i, ..] = x[.., index[.., i, ..], ..]`.
    pub(crate) fn gathered(&self, axis: usize, index: &Index) -> Result<Self, NdError> {
        const OP: &str = "gather";
        check_gather(OP, axis, index, self.shape_slice())?;
        if let Repr::Fill { value, .. } = &self.0 {
            return Ok(NdTensor::fill(*value, index.shape().clone()));
        }
        let data = self.elements(OP)?;
        let mut gathered = reserved(OP, index.shape())?;
        for_each_place(axis, index, self.shape_slice(), |place| gathered.push(data[place]));
        NdTensor::from_vec(OP, index.shape(), gathered)
    }

    /// Zeros of `shape`, to which each element is added at the place that `gathered` takes it from.
    pub(crate) fn scattered(
        &self,
        axis: usize,
        index: &Index,
        shape: &[usize],
    ) -> Result<Self, NdError> {
        const OP: &str = "scatter_add";
        let out = checked(OP, Shape::from(shape))?;
        check_gather(OP, axis, index, shape)?;
        if **index.shape() != *self.shape_slice() {
            let (left, right) = (Shape::from(self.shape_slice()), index.shape().clone());
            return Err(NdError::ShapeMismatch { op: OP, left, right });
        }
        let data = self.elements(OP)?;
        let mut elements = data.iter();
        let mut sums = zeros(OP, &out)?;
        for_each_place(axis, index, shape, |place| {
            sums[place] += elements.next().copied().unwrap_or(A::ZERO);
        });
        NdTensor::from_vec(OP, &out, sums)
    }

    /// The tensors joined along `axis`.
    pub(crate) fn joined(&self, others: &[&Self], axis: usize) -> Result<Self, NdError> {
        const OP: &str = "concat";
        let shape = Shape::from(self.shape_slice());
        check_axes(OP, &[axis], &shape)?;
        let mut size = shape[axis];
        for other in others {
            let right = other.shape_slice();
            let fits = right.len() == shape.rank()
                && shape.without(&[axis]) == Shape::from(right).without(&[axis]);
            if !fits {
                return Err(NdError::ShapeMismatch { op: OP, left: shape, right: right.into() });
            }
            size = size.saturating_add(right[axis]);
        }
        let out = checked(OP, with_size(&shape, axis, size))?;
        if out.contains(&0) {
            return Ok(NdTensor::fill(A::ZERO, out));
        }
        let inner: usize = shape[axis + 1..].iter().product();
        let parts = std::iter::once(self).chain(others.iter().copied());
        let parts: Vec<(Cow<'_, [A]>, usize)> = parts
            .map(|part| Ok((part.elements(OP)?, part.shape_slice()[axis] * inner)))
            .collect::<Result<_, NdError>>()?;
        let n_blocks: usize = shape[..axis].iter().product();
        let mut joined = reserved(OP, &out)?;
        for block in 0..n_blocks {
            for (data, length) in &parts {
                joined.extend_from_slice(&data[block * length..(block + 1) * length]);
            }
        }
        NdTensor::from_vec(OP, &out, joined)
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

/// The index has the rank of the tensor, is nowhere else larger, and is in range along `axis`.
fn check_gather(
    op: &'static str,
    axis: usize,
    index: &Index,
    shape: &[usize],
) -> Result<(), NdError> {
    check_axes(op, &[axis], shape)?;
    let sizes = index.shape();
    let fits = |(i, (n, limit)): (usize, (&usize, &usize))| i == axis || n <= limit;
    if sizes.rank() != shape.len() || !sizes.iter().zip(shape).enumerate().all(fits) {
        return Err(NdError::ShapeMismatch { op, left: sizes.clone(), right: shape.into() });
    }
    check_index(op, index.data(), shape[axis])
}

/// Calls `visit` with the place, in a row-major tensor of `shape`, that each element of a gather
/// comes from, in row-major order.
fn for_each_place(axis: usize, index: &Index, shape: &[usize], mut visit: impl FnMut(usize)) {
    let strides = Shape::from(shape).row_major_strides();
    let sizes = index.shape();
    let mut at = vec![0; sizes.rank()];
    for &i in index.data() {
        let others = at.iter().zip(&strides).enumerate().filter(|&(other, _)| other != axis);
        visit(i * strides[axis] + others.map(|(_, (i, stride))| i * stride).sum::<usize>());
        for (i, &n) in at.iter_mut().zip(sizes.iter()).rev() {
            *i += 1;
            if *i < n {
                break;
            }
            *i = 0;
        }
    }
}
