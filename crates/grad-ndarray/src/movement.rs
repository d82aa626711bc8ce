//! Reshape, permute, expand, slice and its transpose: views wherever ndarray has one.

use grad_core::extend::{Shape, Slice, n_elements, stretched_axes};
use ndarray::{ArrayD, Axis, IxDyn};

use crate::base::Base;
use crate::element::Element;
use crate::error::NdError;
use crate::reduce::check_axes;
use crate::tensor::{NdTensor, Repr, checked, zeros};

impl<A: Element> NdTensor<A> {
    /// The same elements in row-major order under another shape.
    pub(crate) fn reshaped(&self, shape: &[usize]) -> Result<Self, NdError> {
        const OP: &str = "reshape";
        let from = self.shape_slice();
        if from == shape {
            return Ok(self.clone());
        }
        let to = checked(OP, Shape::from(shape))?;
        if n_elements(from) != to.n_elements() {
            return Err(NdError::ShapeMismatch { op: OP, left: Shape::from(from), right: to });
        }
        match &self.0 {
            Repr::Fill { value, .. } => Ok(NdTensor::fill(*value, to)),
            Repr::Dense { base, .. } if differ_by_ones(from, shape) => {
                Ok(NdTensor::with_pending(with_ones(base, from, shape), to))
            }
            Repr::Dense { base, pending: None } if base.is_standard_layout() => {
                match base.reshaped(shape) {
                    Some(base) => Ok(NdTensor::from_base(base)),
                    None => Err(NdError::TooLarge { op: OP, shape: to }),
                }
            }
            Repr::Dense { .. } => NdTensor::from_vec(OP, shape, self.elements(OP)?.into_owned()),
        }
    }

    /// The axes in another order.
    pub(crate) fn permuted(&self, axes: &[usize]) -> Result<Self, NdError> {
        const OP: &str = "permute";
        let shape = self.shape_slice();
        check_axes(OP, axes, shape)?;
        if axes.len() != shape.len() {
            let (axes, shape) = (axes.to_vec(), Shape::from(shape));
            return Err(NdError::BadAxes { op: OP, axes, shape });
        }
        let permuted: Shape = axes.iter().map(|&axis| shape[axis]).collect();
        match &self.0 {
            Repr::Fill { value, .. } => Ok(NdTensor::fill(*value, permuted)),
            Repr::Dense { base, .. } => Ok(NdTensor::with_pending(base.permuted(axes), permuted)),
        }
    }

    /// The tensor broadcast to `shape`.
    pub(crate) fn expanded(&self, op: &'static str, shape: &[usize]) -> Result<Self, NdError> {
        let from = self.shape_slice();
        if from == shape {
            return Ok(self.clone());
        }
        let to = checked(op, Shape::from(shape))?;
        // Nothing to compare where one element without axes is expanded.
        if !from.is_empty() && !Shape::from(from).expands_to(shape) {
            return Err(NdError::ShapeMismatch { op, left: Shape::from(from), right: to });
        }
        Ok(self.clone().stretched(to))
    }

    /// The sum of all that broadcasting to `self` would have copied from a tensor of `shape`.
    pub(crate) fn summed_to(&self, shape: &[usize]) -> Result<Self, NdError> {
        const OP: &str = "sum_to";
        let from = self.shape_slice();
        if from == shape {
            return Ok(self.clone());
        }
        let to = checked(OP, Shape::from(shape))?;
        if !to.expands_to(from) {
            return Err(NdError::ShapeMismatch { op: OP, left: Shape::from(from), right: to });
        }
        self.sum_over(OP, &stretched_axes(shape, from))?.reshaped(shape)
    }

    /// Part of the tensor, one slice an axis.
    pub(crate) fn sliced(&self, slices: &[Slice]) -> Result<Self, NdError> {
        let part = shape_of("slice", slices, self.shape_slice())?;
        match &self.0 {
            Repr::Fill { value, .. } => Ok(NdTensor::fill(*value, part)),
            Repr::Dense { .. } if part.contains(&0) => Ok(NdTensor::fill(A::ZERO, part)),
            Repr::Dense { base, .. } => {
                let mut base = base.clone();
                for (axis, slice) in slices.iter().enumerate() {
                    // An axis of size 1 is either taken whole or broadcast, and stays so.
                    let n = base.len_of(Axis(axis));
                    if n != 1 && *slice != Slice::all(n) {
                        base.slice_axis_inplace(Axis(axis), range(slice));
                    }
                }
                Ok(NdTensor::with_pending(base, part))
            }
        }
    }

    /// Zeros of `shape` with this tensor at `slices`.
    pub(crate) fn unsliced(&self, shape: &[usize], slices: &[Slice]) -> Result<Self, NdError> {
        const OP: &str = "unslice";
        let whole = checked(OP, Shape::from(shape))?;
        let part = shape_of(OP, slices, shape)?;
        if *part != *self.shape_slice() {
            let left = Shape::from(self.shape_slice());
            return Err(NdError::ShapeMismatch { op: OP, left, right: part });
        }
        if part.contains(&0) {
            return Ok(NdTensor::fill(A::ZERO, whole));
        }
        let mut array = match ArrayD::from_shape_vec(IxDyn(shape), zeros(OP, shape)?) {
            Ok(array) => array,
            Err(_) => return Err(NdError::TooLarge { op: OP, shape: whole }),
        };
        array.slice_each_axis_mut(|axis| range(&slices[axis.axis.index()])).assign(&self.view());
        Ok(NdTensor::from_base(Base::made(array)))
    }
}

/// The shape of `slices` of a tensor of `shape`.
fn shape_of(op: &'static str, slices: &[Slice], shape: &[usize]) -> Result<Shape, NdError> {
    let shape = Shape::from(shape);
    Slice::shape_of(slices, &shape).map_err(|_| {
        let slices = slices.to_vec();
        NdError::BadSlice { op, slices, shape }
    })
}

/// A slice, not empty, as ndarray writes it.
fn range(slice: &Slice) -> ndarray::Slice {
    // A longer step than the slice takes its first element alone, like one of the same length.
    let step = slice.step.min(slice.stop - slice.start);
    ndarray::Slice::new(slice.start as isize, Some(slice.stop as isize), step as isize)
}

/// True if the shapes are the same but for axes of size 1.
fn differ_by_ones(x: &[usize], y: &[usize]) -> bool {
    x.iter().filter(|&&n| n != 1).eq(y.iter().filter(|&&n| n != 1))
}

/// `base`, which broadcasts to `from`, with the axes of `to`; `from` and `to` differ by ones.
fn with_ones<A: Element>(base: &Base<A>, from: &[usize], to: &[usize]) -> Base<A> {
    let mut base = base.clone();
    for axis in (0..from.len()).rev().filter(|&axis| from[axis] == 1) {
        base.index_axis_inplace(Axis(axis), 0);
    }
    for axis in (0..to.len()).filter(|&axis| to[axis] == 1) {
        base.insert_axis_inplace(Axis(axis));
    }
    base
}
