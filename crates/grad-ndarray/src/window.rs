//! Sliding windows along an axis, and their transpose.

use grad_core::extend::{Shape, Window};

use crate::element::Element;
use crate::error::NdError;
use crate::reduce::check_axes;
use crate::tensor::{NdTensor, Repr, checked, reserved, zeros};

impl<A: Element> NdTensor<A> {
    /// `y[.., i, .., j] = x[.., i · step + j · dilation, ..]`.
    pub(crate) fn unfolded(&self, axis: usize, window: Window) -> Result<Self, NdError> {
        const OP: &str = "unfold";
        let shape = Shape::from(self.shape_slice());
        let windows = Windows::new(OP, axis, window, &shape)?;
        if let Repr::Fill { value, .. } = &self.0 {
            return Ok(NdTensor::fill(*value, windows.shape));
        }
        let data = self.elements(OP)?;
        let mut unfolded = reserved(OP, &windows.shape)?;
        windows.for_each_place(|place| unfolded.push(data[place]));
        NdTensor::from_vec(OP, &windows.shape, unfolded)
    }

    /// Zeros, of size `n` along `axis`, to which each element is added at the place it came from.
    pub(crate) fn folded(&self, axis: usize, window: Window, n: usize) -> Result<Self, NdError> {
        const OP: &str = "fold";
        let shape = Shape::from(self.shape_slice());
        let Some((_, sizes)) = shape.split_last() else {
            return Err(NdError::BadWindow { op: OP, window, shape });
        };
        check_axes(OP, &[axis], sizes)?;
        let out: Shape =
            sizes.iter().enumerate().map(|(i, &size)| if i == axis { n } else { size }).collect();
        let out = checked(OP, out)?;
        let windows = Windows::new(OP, axis, window, &out)?;
        if windows.shape != shape {
            return Err(NdError::BadWindow { op: OP, window, shape });
        }
        let data = self.elements(OP)?;
        let mut elements = data.iter();
        let mut sums = zeros(OP, &out)?;
        windows.for_each_place(|place| {
            sums[place] += elements.next().copied().unwrap_or(A::ZERO);
        });
        NdTensor::from_vec(OP, &out, sums)
    }
}

/// The windows along one axis of a row-major tensor.
struct Windows {
    window: Window,
    /// The numbers of elements above the axis, along it, and below it.
    outer: usize,
    n: usize,
    inner: usize,
    /// The number of windows.
    count: usize,
    /// The shape of the tensor of windows.
    shape: Shape,
}

impl Windows {
    fn new(op: &'static str, axis: usize, window: Window, of: &Shape) -> Result<Self, NdError> {
        check_axes(op, &[axis], of)?;
        let Some(count) = window.count(of[axis]) else {
            return Err(NdError::BadWindow { op, window, shape: of.clone() });
        };
        let sizes = of.iter().enumerate().map(|(i, &n)| if i == axis { count } else { n });
        let shape = checked(op, sizes.chain([window.size]).collect())?;
        let product = |sizes: &[usize]| sizes.iter().product();
        let (outer, inner) = (product(&of[..axis]), product(&of[axis + 1..]));
        Ok(Windows { window, outer, n: of[axis], inner, count, shape })
    }

    /// Calls `visit` with the place that each element of the windows comes from, in row-major
    /// order.
    fn for_each_place(&self, mut visit: impl FnMut(usize)) {
        let Window { size, step, dilation } = self.window;
        if self.shape.contains(&0) {
            return;
        }
        for block in 0..self.outer {
            for window in 0..self.count {
                for below in 0..self.inner {
                    let start = (block * self.n + window * step) * self.inner + below;
                    (0..size).for_each(|j| visit(start + j * dilation * self.inner));
                }
            }
        }
    }
}
