//! Sums, means and extremes over any set of axes, and functions of the lines along one axis.
//!
//! The axes of a reduction are brought together, so that it is one pass over `[.., n, inner]`.

use std::cmp::Reverse;

use candle_core::{DType, Device, Tensor};
use grad_core::extend::{ErrorKind, Shape};

use crate::elementwise::{function_on_cpu, must_be_float};
use crate::error::Result;
use crate::kernels::{Fold, Lines, Log1p, Maximum, Minimum, Reduce, Sum};
use crate::tensor::{count, zeros};

pub(crate) fn sum(x: &Tensor, axes: &[usize]) -> Result<Tensor> {
    must_be_float("sum", x)?;
    let out = shape_without(x, axes)?;
    if axes.is_empty() {
        return Ok(x.clone());
    }
    if count(x.dims())? == 0 {
        return zeros(x, &out);
    }
    match x.device().is_cpu() {
        true => fold(x, axes, out, Sum { divisor: 1.0 }),
        false => portable::sum(x, axes),
    }
}

pub(crate) fn mean(x: &Tensor, axes: &[usize]) -> Result<Tensor> {
    must_be_float("mean", x)?;
    let out = shape_without(x, axes)?;
    if axes.is_empty() {
        return Ok(x.clone());
    }
    let divisor = axes.iter().map(|&axis| x.dims()[axis] as f64).product();
    if count(x.dims())? == 0 {
        return Ok(zeros(x, &out)?.affine(1.0, 0.0 / divisor)?); // NaN where 0 elements are averaged.
    }
    match x.device().is_cpu() {
        true => fold(x, axes, out, Sum { divisor }),
        false => portable::mean(x, axes, divisor),
    }
}

pub(crate) fn max(x: &Tensor, axes: &[usize]) -> Result<Tensor> {
    extreme(x, axes, Maximum, Tensor::max_keepdim)
}

pub(crate) fn min(x: &Tensor, axes: &[usize]) -> Result<Tensor> {
    extreme(x, axes, Minimum, Tensor::min_keepdim)
}

fn extreme<F: Fold>(
    x: &Tensor,
    axes: &[usize],
    kernel: F,
    along: portable::Along,
) -> Result<Tensor> {
    let out = shape_without(x, axes)?;
    if axes.is_empty() {
        return Ok(x.clone());
    }
    match count(x.dims())? {
        0 if count(&out)? == 0 => zeros(x, &out),
        0 => Err(ErrorKind::EmptyReduction { shape: Shape::from(x.dims()) }.into()),
        _ if x.device().is_cpu() => fold(x, axes, out, kernel),
        _ => portable::extreme(x, axes, &out, along),
    }
}

/// The sums of the first 1, 2, … elements along an axis. Candle's own multiplies with a triangular
/// matrix, which takes n² steps, and lets an infinity spoil the whole line.
pub(crate) fn cumsum(x: &Tensor, axis: usize) -> Result<Tensor> {
    along("cumsum", x, axis, |line| {
        for i in 1..line.len() {
            line[i] += line[i - 1];
        }
    })
}

/// The sums of the last n, n − 1, … elements along an axis.
pub(crate) fn reverse_cumsum(x: &Tensor, axis: usize) -> Result<Tensor> {
    along("reverse_cumsum", x, axis, |line| {
        for i in (1..line.len()).rev() {
            line[i - 1] += line[i];
        }
    })
}

/// `eˣ / Σ eˣ` along an axis; infinities share the sum of 1.
pub(crate) fn softmax(x: &Tensor, axis: usize) -> Result<Tensor> {
    if !x.device().is_cpu() {
        return portable::softmax(x, axis);
    }
    along("softmax", x, axis, |line| {
        subtract_largest(line);
        line.iter_mut().for_each(|x| *x = x.exp());
        let sum: f64 = line.iter().sum();
        line.iter_mut().for_each(|x| *x /= sum);
    })
}

/// The logarithm of [`softmax`].
pub(crate) fn log_softmax(x: &Tensor, axis: usize) -> Result<Tensor> {
    if !x.device().is_cpu() {
        return portable::log_softmax(x, axis);
    }
    along("log_softmax", x, axis, |line| {
        subtract_largest(line);
        // One of the largest, which is 1 in the sum, stays out of it: so a sum that would round to 1
        // keeps its digits.
        let ties = line.iter().filter(|x| **x == 0.0).count() as f64 - 1.0;
        let others: f64 = line.iter().filter(|x| **x != 0.0).map(|x| x.exp()).sum();
        let ln_sum = (others + ties).ln_1p();
        line.iter_mut().for_each(|x| *x -= ln_sum);
    })
}

/// Subtracts the largest number of a line from all; what equals it becomes 0, even if infinite.
fn subtract_largest(line: &mut [f64]) {
    let larger = |max: f64, &x: &f64| if x > max || x.is_nan() { x } else { max };
    let max = line.iter().fold(f64::NEG_INFINITY, larger);
    line.iter_mut().for_each(|x| *x = if *x == max { 0.0 } else { *x - max });
}

/// A function of the lines along an axis, on the CPU wherever the tensor is.
fn along(name: &'static str, x: &Tensor, axis: usize, f: fn(&mut [f64])) -> Result<Tensor> {
    must_be_float(name, x)?;
    shape_without(x, &[axis])?;
    if count(x.dims())? == 0 {
        return Ok(x.clone());
    }
    let (n, inner) = (x.dims()[axis], x.dims()[axis + 1..].iter().product());
    let host = x.contiguous()?.to_device(&Device::Cpu)?;
    Ok(host.apply_op1_no_bwd(&Lines { name, f, n, inner })?.to_device(x.device())?)
}

/// Folds `axes` with a kernel of ours; `x` has elements.
fn fold<F: Fold>(x: &Tensor, axes: &[usize], out: Shape, fold: F) -> Result<Tensor> {
    let n: usize = axes.iter().map(|&axis| x.dims()[axis]).product();
    let (x, inner) = together(x, axes)?;
    let out = candle_core::Shape::from(&*out);
    Ok(x.apply_op1_no_bwd(&Reduce { fold, n, inner, out })?)
}

/// `x` with the axes that are folded beside each other in memory, and how many elements lie between
/// neighbors along them. Copied only if they are not so yet.
fn together(x: &Tensor, axes: &[usize]) -> Result<(Tensor, usize)> {
    let kept: Vec<usize> = (0..x.rank()).filter(|axis| !axes.contains(axis)).collect();
    if !x.is_contiguous() {
        // Perhaps they are those farthest apart, as in the windows of an image.
        let mut farthest = axes.to_vec();
        farthest.sort_by_key(|&axis| Reverse(x.stride()[axis]));
        let first = x.permute([farthest, kept.clone()].concat())?;
        if first.is_contiguous() {
            let inner = kept.iter().map(|&axis| x.dims()[axis]).product();
            return Ok((first, inner));
        }
    }
    match axes.last() {
        Some(&last) if axes.windows(2).all(|pair| pair[1] == pair[0] + 1) => {
            Ok((x.contiguous()?, x.dims()[last + 1..].iter().product()))
        }
        _ => Ok((x.permute([&kept, axes].concat())?.contiguous()?, 1)),
    }
}

/// The shape of `x` without `axes`, which must exist and differ.
fn shape_without(x: &Tensor, axes: &[usize]) -> Result<Shape> {
    let rank = x.rank();
    for (i, &axis) in axes.iter().enumerate() {
        if axis >= rank {
            return Err(ErrorKind::AxisOutOfRange { axis: axis as isize, rank }.into());
        }
        if axes[..i].contains(&axis) {
            return Err(ErrorKind::RepeatedAxis { axis: axis as isize }.into());
        }
    }
    Ok(Shape::from(x.dims()).without(axes))
}

/// Compositions of candle's operations, right on every device. There are elements and axes.
mod portable {
    use super::{DType, Log1p, Result, Shape, Tensor, count, function_on_cpu};

    /// A reduction of one axis that keeps the axis.
    pub(super) type Along = fn(&Tensor, usize) -> candle_core::Result<Tensor>;

    pub(super) fn sum(x: &Tensor, axes: &[usize]) -> Result<Tensor> {
        Ok(widened(x)?.sum(axes)?.to_dtype(x.dtype())?)
    }

    pub(super) fn mean(x: &Tensor, axes: &[usize], n: f64) -> Result<Tensor> {
        Ok(widened(x)?.sum(axes)?.affine(1.0 / n, -0.0)?.to_dtype(x.dtype())?)
    }

    pub(super) fn extreme(x: &Tensor, axes: &[usize], out: &Shape, along: Along) -> Result<Tensor> {
        let mut extreme = x.contiguous()?;
        for &axis in axes {
            extreme = along(&extreme, axis)?;
        }
        // Candle's kernels see a NaN or not, depending on where it stands.
        let n_nans = x.ne(x)?.to_dtype(DType::F32)?.sum_keepdim(axes)?;
        let nan = extreme.affine(0.0, f64::NAN)?;
        let has_nan = n_nans.ne(&n_nans.zeros_like()?)?;
        Ok(has_nan.where_cond(&nan, &extreme)?.reshape(&**out)?)
    }

    pub(super) fn softmax(x: &Tensor, axis: usize) -> Result<Tensor> {
        let Some(x) = below_max(x, axis)? else { return Ok(x.clone()) };
        let e = x.exp()?;
        Ok(e.broadcast_div(&sum(&e, &[axis])?.unsqueeze(axis)?)?)
    }

    pub(super) fn log_softmax(x: &Tensor, axis: usize) -> Result<Tensor> {
        let Some(x) = below_max(x, axis)? else { return Ok(x.clone()) };
        let zero = x.zeros_like()?;
        let largest = x.eq(&zero)?;
        let others = sum(&largest.where_cond(&zero, &x.exp()?)?, &[axis])?;
        let ties = sum(&largest.to_dtype(x.dtype())?, &[axis])?.affine(1.0, -1.0)?;
        let ln_sum = function_on_cpu(Log1p, &(others + ties)?)?;
        Ok(x.broadcast_sub(&ln_sum.unsqueeze(axis)?)?)
    }

    /// `x` minus its largest element along an axis; 0 where it is the largest, even if infinite.
    /// Nothing where there is nothing.
    fn below_max(x: &Tensor, axis: usize) -> Result<Option<Tensor>> {
        super::must_be_float("softmax", x)?;
        let out = super::shape_without(x, &[axis])?;
        if count(x.dims())? == 0 {
            return Ok(None);
        }
        let max = extreme(x, &[axis], &out, Tensor::max_keepdim)?.unsqueeze(axis)?;
        let max = max.broadcast_as(x.dims())?;
        Ok(Some(x.eq(&max)?.where_cond(&x.zeros_like()?, &x.sub(&max)?)?))
    }

    /// `x` in the dtype to add in: 16 bits lose ones beyond 256.
    fn widened(x: &Tensor) -> candle_core::Result<Tensor> {
        match x.dtype() {
            DType::BF16 | DType::F16 => x.to_dtype(DType::F32),
            _ => Ok(x.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn portable_compositions_agree_with_the_kernels() -> Result<()> {
        let data: Vec<f64> =
            (0..24).map(|i| if i % 7 == 3 { f64::NAN } else { i as f64 }).collect();
        let x = Tensor::from_vec(data, (2, 3, 4), &Device::Cpu)?.permute((2, 0, 1))?;
        let host = |x: &Tensor| crate::tensor::to_host(x).map(|xs| format!("{xs:?}"));
        for axes in [&[0][..], &[1], &[2], &[0, 1], &[0, 2], &[1, 2], &[0, 1, 2]] {
            let out = shape_without(&x, axes)?;
            let along: (portable::Along, portable::Along) =
                (Tensor::max_keepdim, Tensor::min_keepdim);
            let largest = portable::extreme(&x, axes, &out, along.0)?;
            assert_eq!(host(&max(&x, axes)?)?, host(&largest)?, "{axes:?}");
            let smallest = portable::extreme(&x, axes, &out, along.1)?;
            assert_eq!(host(&min(&x, axes)?)?, host(&smallest)?, "{axes:?}");
            assert_eq!(host(&sum(&x, axes)?)?, host(&portable::sum(&x, axes)?)?, "{axes:?}");
        }
        Ok(())
    }

    #[test]
    fn portable_softmax_agrees_with_the_kernel() -> Result<()> {
        let (inf, nan) = (f64::INFINITY, f64::NAN);
        let data = [1.0, inf, -inf, nan, 2.0, inf, -inf, 0.0, -3.0, 1.0, -inf, 1.0];
        let x = Tensor::new(&data, &Device::Cpu)?.reshape((3, 4))?;
        let host = |x: Tensor| -> Result<String> {
            // To ten digits: the order of a sum differs.
            let rounded = crate::tensor::to_host(&x)?.into_iter().map(|x| format!("{x:.10}"));
            Ok(rounded.collect::<Vec<_>>().join(" "))
        };
        for axis in [0, 1] {
            assert_eq!(host(softmax(&x, axis)?)?, host(portable::softmax(&x, axis)?)?);
            assert_eq!(host(log_softmax(&x, axis)?)?, host(portable::log_softmax(&x, axis)?)?);
        }
        Ok(())
    }

    #[test]
    fn portable_mean_agrees_with_the_kernel() -> Result<()> {
        let x = Tensor::arange(0f64, 24., &Device::Cpu)?.reshape((2, 3, 4))?;
        let kernel = crate::tensor::to_host(&mean(&x, &[0, 2])?)?;
        assert_eq!(kernel, crate::tensor::to_host(&portable::mean(&x, &[0, 2], 8.0)?)?);
        Ok(())
    }
}
