//! Sliding windows along an axis, and their transpose.
//!
//! The windows of a tensor lie in memory by the place within the window first: each place is a
//! shifted copy of the tensor, so that elements are copied and added in long runs.

use grad_core::extend::{Shape, Window};
use ndarray::{ArrayD, IxDyn};

use crate::base::Base;
use crate::element::Element;
use crate::error::NdError;
use crate::reduce::check_axes;
use crate::simd;
use crate::strided::{Strided, inverse, memory_order};
use crate::tensor::{NdTensor, Repr, buffer, checked, row_major, zeros};
use crate::threads;
use crate::walk::Walk;

impl<A: Element> NdTensor<A> {
    /// `y[.., i, .., j] = x[.., i · step + j · dilation, ..]`.
    pub(crate) fn unfolded(&self, axis: usize, window: Window) -> Result<Self, NdError> {
        const OP: &str = "unfold";
        let x = Shape::from(self.shape_slice());
        let shape = windows_of(OP, axis, window, &x)?;
        if shape.contains(&0) {
            return Ok(NdTensor::fill(A::ZERO, shape));
        }
        let (data, order) = match &self.0 {
            Repr::Fill { value, .. } => return Ok(NdTensor::fill(*value, shape)),
            Repr::Dense { base, pending: None } => {
                match (base.as_slice_memory_order(), memory_order(base)) {
                    (Some(data), Some(order)) => (data.into(), order),
                    _ => (row_major(OP, base)?, (0..x.rank()).collect()),
                }
            }
            Repr::Dense { .. } => (self.elements(OP)?, (0..x.rank()).collect()),
        };
        // Along the axes as they lie in memory: what is above the one with windows, and below it.
        let place = order.iter().position(|&other| other == axis).unwrap_or(axis);
        let (n, count) = (x[axis], shape[axis]);
        let inner: usize = order[place + 1..].iter().map(|&axis| x[axis]).product();
        let Window { size, step, dilation } = window;
        let mut windows = buffer(OP, &shape)?;
        let run = count * inner;
        threads::parts(&mut windows, run, 1, |first, windows| {
            for (i, to) in (first / run..).zip(windows.chunks_exact_mut(run)) {
                let from = &data[((i / size) * n + (i % size) * dilation) * inner..];
                match (step, inner) {
                    (1, _) => to.copy_from_slice(&from[..to.len()]),
                    (_, 1) => {
                        let from = from.iter().step_by(step);
                        to.iter_mut().zip(from).for_each(|(y, &x)| *y = x);
                    }
                    _ => {
                        let from = from.chunks(inner).step_by(step);
                        let both = to.chunks_exact_mut(inner).zip(from);
                        both.for_each(|(to, from)| to.copy_from_slice(from));
                    }
                }
            }
        });
        // The last axis of the result is that of places within windows.
        let mut lying = order;
        lying.insert(place, x.rank());
        let sizes: Vec<usize> = lying.iter().map(|&axis| shape[axis]).collect();
        let array = ArrayD::from_shape_vec(IxDyn(&sizes), windows)
            .map_err(|_| NdError::TooLarge { op: OP, shape })?;
        let array = array.permuted_axes(IxDyn(&inverse(&lying)));
        Ok(NdTensor::from_base(Base::made(array)))
    }

    /// Zeros, of size `n` along `axis`, to which each element is added at the place it came from.
    pub(crate) fn folded(&self, axis: usize, window: Window, n: usize) -> Result<Self, NdError> {
        const OP: &str = "fold";
        let shape = Shape::from(self.shape_slice());
        let Some((_, sizes)) = shape.split_last() else {
            return Err(NdError::BadWindow { op: OP, window, shape });
        };
        check_axes(OP, &[axis], sizes)?;
        let resized = sizes.iter().enumerate().map(|(i, &size)| if i == axis { n } else { size });
        let out = checked(OP, resized.collect())?;
        if windows_of(OP, axis, window, &out)? != shape {
            return Err(NdError::BadWindow { op: OP, window, shape });
        }
        if shape.contains(&0) || out.contains(&0) {
            return Ok(NdTensor::fill(A::ZERO, out));
        }
        let last = sizes.len();
        let x = Strided::of(OP, self)?;
        let order = match &self.0 {
            Repr::Dense { base, .. } => memory_order(base),
            Repr::Fill { .. } => None,
        };
        let mut order = order.unwrap_or_else(|| (0..shape.rank()).collect());
        order.retain(|&axis| axis != last);
        let lying: Shape = order.iter().map(|&axis| out[axis]).collect();
        let steps = lying.row_major_strides();
        // The same walk for each place within the windows, from another start.
        let along = steps.iter().zip(&order).map(|(&step, &other)| match other == axis {
            true => (shape[axis], [step.saturating_mul(window.step), x.steps[axis]]),
            false => (out[other], [step, x.steps[other]]),
        });
        let walk = Walk::along(along);
        let place = order.iter().position(|&other| other == axis).unwrap_or(axis);
        let mut sums = zeros(OP, &out)?;
        for j in 0..window.size {
            let start = j * window.dilation * steps[place];
            simd::add_along(&walk, &mut sums[start..], &x.data[j * x.steps[last]..]);
        }
        let array = ArrayD::from_shape_vec(IxDyn(&lying), sums)
            .map_err(|_| NdError::TooLarge { op: OP, shape: out })?;
        let array = array.permuted_axes(IxDyn(&inverse(&order)));
        Ok(NdTensor::from_base(Base::made(array)))
    }
}

/// The shape of the windows along an axis.
fn windows_of(op: &'static str, axis: usize, window: Window, of: &Shape) -> Result<Shape, NdError> {
    check_axes(op, &[axis], of)?;
    let Some(count) = window.count(of[axis]) else {
        return Err(NdError::BadWindow { op, window, shape: of.clone() });
    };
    let sizes = of.iter().enumerate().map(|(i, &n)| if i == axis { count } else { n });
    checked(op, sizes.chain([window.size]).collect())
}
