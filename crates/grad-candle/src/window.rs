//! Sliding windows along an axis, and their transpose.
//!
//! On the CPU the windows of a tensor lie in memory by the place within the window first: each place
//! is a shifted copy of the tensor, so that elements are copied and added in long runs.

use std::cmp::Reverse;

use candle_core::cpu_backend::Map1;
use candle_core::{CpuStorage, CustomOp1, DType, Layout, NdIter, Tensor, WithDType};
use grad_core::extend::{ErrorKind, Shape, Window};

use crate::elementwise::{MAX_RANK, must_be_float};
use crate::error::Result;
use crate::movement::{index_add, index_select, mismatch};
use crate::tensor::{count, zeros};

/// `y[.., i, .., j] = x[.., i · step + j · dilation, ..]`.
pub(crate) fn unfold(x: &Tensor, axis: usize, window: Window) -> Result<Tensor> {
    let n_windows = count_windows(x.dims(), axis, window)?;
    if !x.device().is_cpu() || x.rank() >= MAX_RANK || n_windows == 0 || x.elem_count() == 0 {
        return portable::unfold(x, axis, window, n_windows);
    }
    let order = memory_order(x);
    let place = position(&order, axis);
    let lying = x.permute(&*order)?;
    let windows =
        lying.apply_op1_no_bwd(&Unfold { along: Along { axis: place, window, n_windows } })?;
    // The places within windows are the first axis, and become the last.
    let back = (0..x.rank()).map(|axis| 1 + position(&order, axis)).chain([0]);
    Ok(windows.permute(back.collect::<Vec<usize>>())?)
}

/// Zeros, of size `n` along `axis`, to which each element is added at the place that [`unfold`]
/// took it from.
pub(crate) fn fold(x: &Tensor, axis: usize, window: Window, n: usize) -> Result<Tensor> {
    must_be_float("fold", x)?;
    let too_low = || ErrorKind::RankTooLow { shape: Shape::from(x.dims()), needed: 1 };
    let (&size, sizes) = x.dims().split_last().ok_or_else(too_low)?;
    let rank = sizes.len();
    if axis >= rank {
        return Err(ErrorKind::AxisOutOfRange { axis: axis as isize, rank }.into());
    }
    let mut whole = sizes.to_vec();
    whole[axis] = n;
    count(&whole)?;
    let n_windows = count_windows(&whole, axis, window)?;
    if (sizes[axis], size) != (n_windows, window.size) {
        return Err(mismatch(x, &whole, "do not fit these windows"));
    }
    if x.elem_count() == 0 {
        return zeros(x, &whole);
    }
    if !x.device().is_cpu() || x.rank() > MAX_RANK {
        return portable::fold(x, axis, window, n);
    }
    // Add in 32 bits at least: 16 bits would be rounded after every addition.
    let wide = match x.dtype() {
        DType::BF16 | DType::F16 => x.to_dtype(DType::F32)?,
        _ => x.clone(),
    };
    let mut order = memory_order(&wide);
    order.retain(|&other| other != rank);
    let place = position(&order, axis);
    let lying = wide.permute([&[rank][..], &order].concat())?;
    let along = Along { axis: place, window, n_windows };
    let sums = lying.apply_op1_no_bwd(&Fold { along, n })?;
    let back: Vec<usize> = (0..rank).map(|axis| position(&order, axis)).collect();
    Ok(sums.permute(back)?.to_dtype(x.dtype())?)
}

/// The axes by how far apart neighbors are in memory, farthest first.
fn memory_order(x: &Tensor) -> Vec<usize> {
    let mut order: Vec<usize> = (0..x.rank()).collect();
    order.sort_by_key(|&axis| Reverse(x.stride()[axis]));
    order
}

/// Where an axis is in an order of all axes.
fn position(order: &[usize], axis: usize) -> usize {
    order.iter().position(|&other| other == axis).unwrap_or(axis)
}

/// The number of windows along an axis of a tensor of `shape`; refuses too many elements.
fn count_windows(shape: &[usize], axis: usize, window: Window) -> Result<usize> {
    let Some(&n) = shape.get(axis) else {
        return Err(ErrorKind::AxisOutOfRange { axis: axis as isize, rank: shape.len() }.into());
    };
    let Some(n_windows) = window.count(n) else {
        let message = format!("there is no window of {window}");
        return Err(ErrorKind::Parameter { message }.into());
    };
    let mut windows = shape.to_vec();
    windows[axis] = n_windows;
    windows.push(window.size);
    count(&windows)?;
    Ok(n_windows)
}

/// Windows along an axis.
struct Along {
    axis: usize,
    window: Window,
    n_windows: usize,
}

impl Along {
    /// Of a tensor, what lies at place `j` of the windows.
    fn at(&self, j: usize, layout: &Layout) -> Layout {
        let (mut sizes, mut steps) = (layout.dims().to_vec(), layout.stride().to_vec());
        let start = layout.start_offset() + j * self.window.dilation * steps[self.axis];
        sizes[self.axis] = self.n_windows;
        // Where there is one window the step leads nowhere.
        steps[self.axis] = steps[self.axis].saturating_mul(self.window.step);
        Layout::new(sizes.into(), steps, start)
    }

    /// The shape with another size along the axis.
    fn resized(&self, sizes: &[usize], n: usize) -> Vec<usize> {
        sizes.iter().enumerate().map(|(i, &size)| if i == self.axis { n } else { size }).collect()
    }
}

/// The windows, with the places within them as the first axis.
struct Unfold {
    along: Along,
}

impl Map1 for Unfold {
    fn f<T: WithDType>(&self, xs: &[T], layout: &Layout) -> candle_core::Result<Vec<T>> {
        let n: usize = self.along.resized(layout.dims(), self.along.n_windows).iter().product();
        let mut windows = Vec::with_capacity(self.along.window.size * n);
        for j in 0..self.along.window.size {
            let blocks = NdIter::new([&self.along.at(j, layout)]);
            let (n, [step]) = (blocks.inner_size, blocks.inner_strides);
            for [start] in blocks {
                match step {
                    1 => windows.extend_from_slice(&xs[start..start + n]),
                    _ => windows.extend((0..n).map(|i| xs[start + i * step])),
                }
            }
        }
        Ok(windows)
    }
}

impl CustomOp1 for Unfold {
    fn name(&self) -> &'static str {
        "unfold"
    }

    fn cpu_fwd(
        &self,
        xs: &CpuStorage,
        layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, candle_core::Shape)> {
        let sizes = self.along.resized(layout.dims(), self.along.n_windows);
        Ok((self.map(xs, layout)?, [&[self.along.window.size][..], &sizes].concat().into()))
    }
}

/// The sums of what the windows see, of size `n`. The places within windows are the first axis,
/// which `along` does not count.
struct Fold {
    along: Along,
    n: usize,
}

impl Map1 for Fold {
    fn f<T: WithDType>(&self, xs: &[T], layout: &Layout) -> candle_core::Result<Vec<T>> {
        let (sizes, steps) = (&layout.dims()[1..], &layout.stride()[1..]);
        let whole = Layout::contiguous(self.along.resized(sizes, self.n));
        let mut sums = vec![T::zero(); whole.shape().elem_count()];
        for j in 0..self.along.window.size {
            let start = layout.start_offset() + j * layout.stride()[0];
            let part = Layout::new(sizes.into(), steps.to_vec(), start);
            let blocks = NdIter::new([&self.along.at(j, &whole), &part]);
            let (n, [to_step, from_step]) = (blocks.inner_size, blocks.inner_strides);
            for [to, from] in blocks {
                if (to_step, from_step) == (1, 1) {
                    let pairs = sums[to..to + n].iter_mut().zip(&xs[from..from + n]);
                    pairs.for_each(|(sum, &x)| *sum += x);
                } else {
                    (0..n).for_each(|i| sums[to + i * to_step] += xs[from + i * from_step]);
                }
            }
        }
        Ok(sums)
    }
}

impl CustomOp1 for Fold {
    fn name(&self) -> &'static str {
        "fold"
    }

    fn cpu_fwd(
        &self,
        xs: &CpuStorage,
        layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, candle_core::Shape)> {
        Ok((self.map(xs, layout)?, self.along.resized(&layout.dims()[1..], self.n).into()))
    }
}

/// By indices: right on every device.
mod portable {
    use super::{Result, Tensor, Window, index_add, index_select};

    pub(super) fn unfold(
        x: &Tensor,
        axis: usize,
        window: Window,
        n_windows: usize,
    ) -> Result<Tensor> {
        let windows = index_select(x, axis, &places(n_windows, window))?;
        let (before, after) = (&x.dims()[..axis], &x.dims()[axis + 1..]);
        let apart = [before, &[n_windows, window.size], after].concat();
        let within_last = (0..=axis).chain(axis + 2..apart.len()).chain([axis + 1]);
        Ok(windows.reshape(apart)?.permute(within_last.collect::<Vec<usize>>())?)
    }

    pub(super) fn fold(x: &Tensor, axis: usize, window: Window, n: usize) -> Result<Tensor> {
        let rank = x.rank() - 1;
        let places = places(x.dims()[axis], window);
        let within_second = (0..=axis).chain([rank]).chain(axis + 1..rank);
        let mut together = x.dims()[..rank].to_vec();
        together[axis] = places.len();
        let windows = x.permute(within_second.collect::<Vec<usize>>())?.reshape(together)?;
        index_add(&windows, axis, &places, n)
    }

    /// What the windows see, one window after the other.
    fn places(n_windows: usize, window: Window) -> Vec<usize> {
        let starts = (0..n_windows).map(|i| i * window.step);
        starts
            .flat_map(|start| (0..window.size).map(move |j| start + j * window.dilation))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::tensor::to_host;

    #[test]
    fn the_kernels_agree_with_indices_in_every_layout() -> Result<()> {
        let data: Vec<f64> = (0..84).map(f64::from).collect();
        let x = Tensor::from_vec(data, (3, 4, 7), &Device::Cpu)?;
        let windows = [(3, 1, 1), (2, 2, 1), (2, 1, 2), (1, 3, 1)]
            .map(|(size, step, dilation)| Window { size, step, dilation });
        for order in [[0, 1, 2], [2, 0, 1], [1, 2, 0]] {
            let x = x.permute(order)?.narrow(0, 1, 2)?;
            for (axis, window) in (0..3).flat_map(|axis| windows.map(|window| (axis, window))) {
                let n_windows = count_windows(x.dims(), axis, window)?;
                let y = unfold(&x, axis, window)?;
                let expected = portable::unfold(&x, axis, window, n_windows)?;
                assert_eq!(y.dims(), expected.dims());
                assert_eq!(to_host(&y)?, to_host(&expected)?, "{order:?} {axis} {window}");
                let n = x.dims()[axis];
                // Whole numbers are added without rounding, in any order.
                let (z, expected) =
                    (fold(&y, axis, window, n)?, portable::fold(&y, axis, window, n)?);
                assert_eq!(to_host(&z)?, to_host(&expected)?, "{order:?} {axis} {window}");
            }
        }
        Ok(())
    }
}
