//! Sums, means and extremes over any set of axes.
//!
//! The axes are brought together, so that a reduction is one pass over `[.., n, inner]`.

use candle_core::{DType, Tensor};
use grad_core::extend::{ErrorKind, Shape};

use crate::elementwise::must_be_float;
use crate::error::Result;
use crate::kernels::{Fold, Maximum, Minimum, Reduce, Sum};
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

/// Folds `axes` with a kernel of ours; `x` has elements.
fn fold<F: Fold>(x: &Tensor, axes: &[usize], out: Shape, fold: F) -> Result<Tensor> {
    let n: usize = axes.iter().map(|&axis| x.dims()[axis]).product();
    let neighbors = axes.windows(2).all(|pair| pair[1] == pair[0] + 1);
    let (x, inner) = match axes.last() {
        Some(&last) if neighbors => {
            (x.contiguous()?, x.dims()[last + 1..].iter().product::<usize>())
        }
        _ => {
            let kept = (0..x.rank()).filter(|axis| !axes.contains(axis));
            let kept_first: Vec<usize> = kept.chain(axes.iter().copied()).collect();
            (x.permute(kept_first)?.contiguous()?, 1)
        }
    };
    let out = candle_core::Shape::from(&*out);
    Ok(x.apply_op1_no_bwd(&Reduce { fold, n, inner, out })?)
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
    use super::{DType, Result, Shape, Tensor};

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
    fn portable_mean_agrees_with_the_kernel() -> Result<()> {
        let x = Tensor::arange(0f64, 24., &Device::Cpu)?.reshape((2, 3, 4))?;
        let kernel = crate::tensor::to_host(&mean(&x, &[0, 2])?)?;
        assert_eq!(kernel, crate::tensor::to_host(&portable::mean(&x, &[0, 2], 8.0)?)?);
        Ok(())
    }
}
