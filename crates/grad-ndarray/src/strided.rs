//! The elements of a tensor as they lie in memory.

use std::borrow::Cow;

use grad_core::extend::Shape;
use smallvec::SmallVec;

use crate::base::Base;
use crate::element::Element;
use crate::error::NdError;
use crate::simd;
use crate::tensor::{NdTensor, Repr, buffer, view_copied};
use crate::walk::Walk;

/// So many axes have room without an allocation.
type Steps = SmallVec<[usize; 6]>;

/// Elements, and the distance between neighbors along each axis: 0 where one is repeated.
pub(crate) struct Strided<'a, A: Element> {
    pub(crate) data: Cow<'a, [A]>,
    pub(crate) steps: Steps,
}

impl<'a, A: Element> Strided<'a, A> {
    /// Elements in row-major order.
    pub(crate) fn row_major(shape: &[usize], data: Cow<'a, [A]>) -> Self {
        let mut span = 1;
        let mut steps: Steps = SmallVec::from_elem(0, shape.len());
        for (step, &n) in steps.iter_mut().zip(shape).rev().filter(|(_, n)| **n != 1) {
            *step = span;
            span = span.saturating_mul(n);
        }
        Strided { data, steps }
    }

    /// The elements of `base`; copied if there are gaps between them, or axes run backward.
    pub(crate) fn of_base(op: &'static str, base: &'a Base<A>) -> Result<Self, NdError> {
        match in_memory(base) {
            Some(strided) => Ok(strided),
            None => {
                let data = view_copied(op, &base.view())?;
                Ok(Strided::row_major(base.shape(), Cow::Owned(data)))
            }
        }
    }

    /// The elements of `tensor`, with a pending broadcast as steps of 0.
    pub(crate) fn of(op: &'static str, tensor: &'a NdTensor<A>) -> Result<Self, NdError> {
        match &tensor.0 {
            Repr::Dense { base, .. } => Strided::of_base(op, base),
            Repr::Fill { value, shape } => {
                let steps = SmallVec::from_elem(0, shape.rank());
                Ok(Strided { data: Cow::Borrowed(std::slice::from_ref(value)), steps })
            }
        }
    }

    /// The step along the axis that is so far from the end; 0 if there is none.
    #[inline]
    pub(crate) fn step(&self, back: usize) -> usize {
        let axis = self.steps.len().checked_sub(back);
        axis.map_or(0, |axis| self.steps[axis])
    }

    /// A row-major copy, broadcast to `shape`.
    pub(crate) fn copied(&self, op: &'static str, shape: &[usize]) -> Result<Vec<A>, NdError> {
        let mut copy = buffer(op, shape)?;
        if !copy.is_empty() {
            simd::copy(&Walk::new(shape, [self]), &self.data, &mut copy);
        }
        Ok(copy)
    }
}

/// `base` without a copy, where its elements fill a part of the memory.
fn in_memory<A: Element>(base: &Base<A>) -> Option<Strided<'_, A>> {
    if let Some(data) = base.as_slice() {
        return Some(Strided::row_major(base.shape(), Cow::Borrowed(data)));
    }
    let data = base.as_slice_memory_order()?;
    // The step along an axis of one element may be any number.
    let axes = base.shape().iter().zip(base.strides());
    let steps: Option<Steps> =
        axes.map(|(&n, &step)| if n == 1 { Some(0) } else { usize::try_from(step).ok() }).collect();
    Some(Strided { data: Cow::Borrowed(data), steps: steps? })
}

/// The order of axes in which the elements of `base` are row-major, if there is one and it is not
/// the order they are in.
pub(crate) fn memory_order<A: Element>(base: &Base<A>) -> Option<Vec<usize>> {
    if base.is_standard_layout() {
        return None;
    }
    let Strided { steps, .. } = in_memory(base)?;
    // Axes of one element stay where they are.
    let mut order: Vec<usize> = (0..base.ndim()).filter(|&axis| base.shape()[axis] != 1).collect();
    order.sort_by_key(|&axis| std::cmp::Reverse(steps[axis]));
    let mut sorted = order.into_iter();
    let axes = base.shape().iter().enumerate();
    Some(axes.map(|(axis, &n)| if n == 1 { axis } else { sorted.next().unwrap_or(axis) }).collect())
}

/// The permutation that undoes another one.
pub(crate) fn inverse(order: &[usize]) -> Shape {
    let mut inverse = vec![0; order.len()];
    order.iter().enumerate().for_each(|(place, &axis)| inverse[axis] = place);
    Shape::from(inverse)
}
