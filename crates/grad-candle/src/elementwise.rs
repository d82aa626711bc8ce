//! Elementwise arithmetic and functions: broadcasting, checks, and which kernel does the work.
//!
//! Where candle's kernel is right on every device, it is used. Else the CPU has a kernel of ours,
//! and other devices a composition of candle's operations (the functions in `portable`).

use candle_core::{DType, Device, Tensor};
use grad_core::extend::{ErrorKind, Shape, n_elements};

use crate::error::Result;
use crate::kernels::{
    Apply1, Apply2, Atan2, Eq, Function1, Function2, Le, LogisticDensity, Lt, Maximum, Minimum,
    MulOrZero, Ne, Pow, Relu, Rsqrt, Select, Sigmoid, Softplus,
};
use crate::tensor::{count, dtype_of, same_shape, zeros};

/// Candle's iterator over two layouts has room for this many axes and panics beyond.
pub(crate) const MAX_RANK: usize = 8;

type Binary = fn(&Tensor, &Tensor) -> candle_core::Result<Tensor>;
type Unary = fn(&Tensor) -> candle_core::Result<Tensor>;

/// `x + y`, `x − y`, `x · y` or `x / y`, by the kernel `f` of candle.
///
/// But scalars on the CPU by the kernel `F` of ours: candle compares their shapes, see
/// [`same_shape`].
#[inline]
pub(crate) fn arithmetic<F: Function2>(_: F, f: Binary, x: &Tensor, y: &Tensor) -> Result<Tensor> {
    must_be_float(F::NAME, x)?;
    if x.rank() + y.rank() == 0 && x.device().is_cpu() {
        must_agree(x, y)?;
        return Ok(on_cpu::<F>(x, y)?);
    }
    broadcasting(f, x, y)
}

/// A function of one argument, by a kernel of candle.
#[inline]
pub(crate) fn function(op: &'static str, f: Unary, x: &Tensor) -> Result<Tensor> {
    must_be_float(op, x)?;
    match count(x.dims())? {
        0 => Ok(x.clone()),
        _ if repeats_first(x) => Ok(f(&first(x)?)?.broadcast_as(x.dims())?),
        _ => Ok(f(x)?),
    }
}

/// A function of one argument, by a kernel of ours on the CPU, where the tensor goes if it is
/// elsewhere: no device of candle's has the function, or has it right.
#[inline]
pub(crate) fn function_on_cpu<F: Function1>(_: F, x: &Tensor) -> Result<Tensor> {
    function(F::NAME, via_cpu::<F>, x)
}

pub(crate) fn rsqrt(x: &Tensor) -> Result<Tensor> {
    function("rsqrt", one_on_cpu_or(Rsqrt, portable::rsqrt, x), x)
}

pub(crate) fn sigmoid(x: &Tensor) -> Result<Tensor> {
    function("sigmoid", one_on_cpu_or(Sigmoid, portable::sigmoid, x), x)
}

pub(crate) fn logistic_density(x: &Tensor) -> Result<Tensor> {
    let portable = one_on_cpu_or(LogisticDensity, portable::logistic_density, x);
    function("logistic_density", portable, x)
}

pub(crate) fn softplus(x: &Tensor) -> Result<Tensor> {
    function("softplus", one_on_cpu_or(Softplus, portable::softplus, x), x)
}

/// `by · x + plus`.
#[inline]
pub(crate) fn affine(x: &Tensor, by: f64, plus: f64) -> Result<Tensor> {
    must_be_float("affine", x)?;
    if count(x.dims())? > 0 && repeats_first(x) {
        return Ok(first(x)?.affine(by, plus)?.broadcast_as(x.dims())?);
    }
    Ok(x.affine(by, plus)?)
}

pub(crate) fn lt(x: &Tensor, y: &Tensor) -> Result<Tensor> {
    broadcasting(on_cpu_or(Lt, portable::lt, x), x, y)
}

pub(crate) fn le(x: &Tensor, y: &Tensor) -> Result<Tensor> {
    broadcasting(on_cpu_or(Le, portable::le, x), x, y)
}

pub(crate) fn eq(x: &Tensor, y: &Tensor) -> Result<Tensor> {
    broadcasting(on_cpu_or(Eq, portable::eq, x), x, y)
}

pub(crate) fn ne(x: &Tensor, y: &Tensor) -> Result<Tensor> {
    broadcasting(on_cpu_or(Ne, portable::ne, x), x, y)
}

pub(crate) fn maximum(x: &Tensor, y: &Tensor) -> Result<Tensor> {
    broadcasting(on_cpu_or(Maximum, portable::maximum, x), x, y)
}

pub(crate) fn minimum(x: &Tensor, y: &Tensor) -> Result<Tensor> {
    broadcasting(on_cpu_or(Minimum, portable::minimum, x), x, y)
}

pub(crate) fn mul_or_zero(x: &Tensor, y: &Tensor) -> Result<Tensor> {
    must_be_float("mul_or_zero", x)?;
    broadcasting(on_cpu_or(MulOrZero, portable::mul_or_zero, x), x, y)
}

/// `xʸ`. Off the CPU it goes through the host: no candle kernel has C's special cases, and
/// exp(y ln x) loses digits as y ln x grows.
pub(crate) fn pow(x: &Tensor, y: &Tensor) -> Result<Tensor> {
    must_be_float("pow", x)?;
    broadcasting(on_cpu_or(Pow, portable::pow, x), x, y)
}

/// The angle of (x, y) for `y` first. Off the CPU it goes through the host: no candle kernel is it.
pub(crate) fn atan2(y: &Tensor, x: &Tensor) -> Result<Tensor> {
    must_be_float("atan2", y)?;
    broadcasting(on_cpu_or(Atan2, portable::atan2, y), y, x)
}

/// `xᵉ`. Candle's kernel is right: it is the `pow` of the platform.
pub(crate) fn powf(x: &Tensor, exponent: f64) -> Result<Tensor> {
    must_be_float("powf", x)?;
    count(x.dims())?;
    if exponent == 2.0 {
        return Ok(x.sqr()?);
    }
    Ok(x.powf(exponent)?)
}

pub(crate) fn relu(x: &Tensor) -> Result<Tensor> {
    function("relu", one_on_cpu_or(Relu, portable::relu, x), x)
}

/// `a` where `mask` is not 0, else `b`; broadcasting all three.
pub(crate) fn select(mask: &Tensor, a: &Tensor, b: &Tensor) -> Result<Tensor> {
    must_agree(mask, a)?;
    must_agree(a, b)?;
    let shape = broadcast_shape(&broadcast_shape(mask.dims(), a.dims())?, b.dims())?;
    let n = count(&shape)?;
    if n == 0 {
        return zeros(mask, &shape);
    }
    let f = if mask.device().is_cpu() { select_on_cpu } else { portable::select };
    let expand = |x: &Tensor| {
        if same_shape(x.dims(), &shape) { Ok(x.clone()) } else { x.broadcast_as(&*shape) }
    };
    let (mask, a, b) = (expand(mask)?, expand(a)?, expand(b)?);
    if shape.rank() <= MAX_RANK {
        return Ok(f(&mask, &a, &b)?);
    }
    Ok(f(&mask.reshape(n)?, &a.reshape(n)?, &b.reshape(n)?)?.reshape(&*shape)?)
}

fn select_on_cpu(mask: &Tensor, a: &Tensor, b: &Tensor) -> candle_core::Result<Tensor> {
    mask.apply_op3_no_bwd(a, b, &Select)
}

/// The kernel `F` for a tensor on the CPU, `portable` elsewhere.
#[inline]
fn one_on_cpu_or<F: Function1>(_: F, portable: Unary, x: &Tensor) -> Unary {
    if x.device().is_cpu() { via_cpu::<F> } else { portable }
}

/// The kernel `F`, on the CPU wherever the tensor is.
fn via_cpu<F: Function1>(x: &Tensor) -> candle_core::Result<Tensor> {
    let kernel = Apply1::<F>(std::marker::PhantomData);
    match x.device() {
        Device::Cpu => x.apply_op1_no_bwd(&kernel),
        device => {
            let host = x.contiguous()?.to_device(&Device::Cpu)?;
            host.apply_op1_no_bwd(&kernel)?.to_device(device)
        }
    }
}

/// The kernel `F` for tensors on the CPU, `portable` elsewhere.
#[inline]
fn on_cpu_or<F: Function2>(_: F, portable: Binary, x: &Tensor) -> Binary {
    if x.device().is_cpu() { on_cpu::<F> } else { portable }
}

fn on_cpu<F: Function2>(x: &Tensor, y: &Tensor) -> candle_core::Result<Tensor> {
    x.apply_op2_no_bwd(y, &Apply2::<F>(std::marker::PhantomData))
}

/// `f` of two tensors after broadcasting them to one shape.
#[inline]
fn broadcasting(f: Binary, x: &Tensor, y: &Tensor) -> Result<Tensor> {
    must_agree(x, y)?;
    if !same_shape(x.dims(), y.dims()) || x.rank() > MAX_RANK {
        return broadcasting_first(f, x, y);
    }
    match n_elements(x.dims()) {
        Some(0) => Ok(x.clone()),
        Some(_) if repeats_first(x) && repeats_first(y) => {
            Ok(f(&first(x)?, &first(y)?)?.broadcast_as(x.dims())?)
        }
        Some(_) => Ok(f(x, y)?),
        None => Err(ErrorKind::TooLarge { shape: Shape::from(x.dims()) }.into()),
    }
}

fn broadcasting_first(f: Binary, x: &Tensor, y: &Tensor) -> Result<Tensor> {
    let shape = broadcast_shape(x.dims(), y.dims())?;
    let n = count(&shape)?;
    if n == 0 {
        return zeros(x, &shape);
    }
    let expand = |x: &Tensor| {
        if same_shape(x.dims(), &shape) { Ok(x.clone()) } else { x.broadcast_as(&*shape) }
    };
    let (x, y) = (expand(x)?, expand(y)?);
    if shape.rank() <= MAX_RANK {
        return Ok(f(&x, &y)?);
    }
    Ok(f(&x.reshape(n)?, &y.reshape(n)?)?.reshape(&*shape)?)
}

fn broadcast_shape(x: &[usize], y: &[usize]) -> Result<Shape> {
    let (left, right) = (Shape::from(x), Shape::from(y));
    match left.broadcast(&right) {
        Some(shape) => Ok(shape),
        None => Err(ErrorKind::ShapeMismatch { left, right, rule: "do not broadcast" }.into()),
    }
}

/// True for a tensor like those that `full` makes: one element, repeated along every axis. What is
/// computed from such tensors alone is of that kind too, and costs as much as a scalar.
#[inline]
fn repeats_first(x: &Tensor) -> bool {
    match x.stride() {
        [] => false,
        steps => steps.iter().all(|&step| step == 0),
    }
}

/// The first element as a scalar; there is one.
#[cold]
fn first(x: &Tensor) -> Result<Tensor> {
    let mut first = x.clone();
    for axis in 0..x.rank() {
        first = first.narrow(axis, 0, 1)?;
    }
    Ok(first.reshape(())?)
}

/// An error where `x` is not of a dtype with derivatives: candle's kernels for integers panic on
/// overflow, on division by zero and on functions like `exp`.
#[inline]
pub(crate) fn must_be_float(op: &'static str, x: &Tensor) -> Result<()> {
    match x.dtype() {
        DType::BF16 | DType::F16 | DType::F32 | DType::F64 => Ok(()),
        dtype => Err(candle_core::Error::UnsupportedDTypeForOp(dtype, op).into()),
    }
}

/// An error where two dtypes differ: candle notices only if there are elements.
#[inline]
pub(crate) fn must_agree(x: &Tensor, y: &Tensor) -> Result<()> {
    if x.dtype() == y.dtype() {
        return Ok(());
    }
    Err(ErrorKind::DtypeMismatch { left: dtype_of(x), right: dtype_of(y) }.into())
}

/// Compositions of candle's operations, right on every device. All arguments have one shape.
mod portable {
    use candle_core::{Device, Result, Tensor};

    use super::{Atan2, Function2, Pow, on_cpu, via_cpu};
    use crate::kernels::Log1p;

    pub(super) fn lt(x: &Tensor, y: &Tensor) -> Result<Tensor> {
        x.lt(y)?.to_dtype(x.dtype())
    }

    pub(super) fn le(x: &Tensor, y: &Tensor) -> Result<Tensor> {
        x.le(y)?.to_dtype(x.dtype())
    }

    pub(super) fn eq(x: &Tensor, y: &Tensor) -> Result<Tensor> {
        x.eq(y)?.to_dtype(x.dtype())
    }

    pub(super) fn ne(x: &Tensor, y: &Tensor) -> Result<Tensor> {
        x.ne(y)?.to_dtype(x.dtype())
    }

    pub(super) fn select(mask: &Tensor, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        mask.ne(&mask.zeros_like()?)?.where_cond(a, b)
    }

    pub(super) fn maximum(x: &Tensor, y: &Tensor) -> Result<Tensor> {
        let larger = x.lt(y)?.where_cond(y, x)?;
        y.eq(y)?.where_cond(&larger, y)
    }

    pub(super) fn minimum(x: &Tensor, y: &Tensor) -> Result<Tensor> {
        let smaller = y.lt(x)?.where_cond(y, x)?;
        y.eq(y)?.where_cond(&smaller, y)
    }

    pub(super) fn mul_or_zero(x: &Tensor, y: &Tensor) -> Result<Tensor> {
        let zero = x.zeros_like()?;
        x.eq(&zero)?.where_cond(&zero, &x.mul(y)?)
    }

    pub(super) fn relu(x: &Tensor) -> Result<Tensor> {
        let zero = x.zeros_like()?;
        x.lt(&zero)?.where_cond(&zero, x)
    }

    pub(super) fn rsqrt(x: &Tensor) -> Result<Tensor> {
        x.sqrt()?.recip()
    }

    pub(super) fn sigmoid(x: &Tensor) -> Result<Tensor> {
        let e = x.abs()?.neg()?.exp()?;
        x.lt(&x.zeros_like()?)?.where_cond(&e, &x.ones_like()?)?.div(&e.affine(1.0, 1.0)?)
    }

    pub(super) fn logistic_density(x: &Tensor) -> Result<Tensor> {
        let e = x.abs()?.neg()?.exp()?;
        e.div(&e.affine(1.0, 1.0)?.sqr()?)
    }

    pub(super) fn softplus(x: &Tensor) -> Result<Tensor> {
        relu(x)?.add(&via_cpu::<Log1p>(&x.abs()?.neg()?.exp()?)?)
    }

    pub(super) fn pow(x: &Tensor, y: &Tensor) -> Result<Tensor> {
        through_host::<Pow>(x, y)
    }

    pub(super) fn atan2(y: &Tensor, x: &Tensor) -> Result<Tensor> {
        through_host::<Atan2>(y, x)
    }

    fn through_host<F: Function2>(x: &Tensor, y: &Tensor) -> Result<Tensor> {
        let host = |x: &Tensor| x.contiguous()?.to_device(&Device::Cpu);
        on_cpu::<F>(&host(x)?, &host(y)?)?.to_device(x.device())
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Result, Tensor};

    use super::*;

    const SAMPLES: [f64; 9] =
        [f64::NAN, f64::NEG_INFINITY, -2.0, -0.5, -0.0, 0.0, 1.0, 3.0, f64::INFINITY];

    /// All pairs of samples.
    fn pairs() -> Result<(Tensor, Tensor)> {
        let n = SAMPLES.len();
        let x = Tensor::new(&SAMPLES, &Device::Cpu)?;
        Ok((x.reshape((n, 1))?.broadcast_as((n, n))?, x.broadcast_as((n, n))?))
    }

    fn bits(x: &Tensor) -> Result<Vec<Option<u64>>> {
        let xs: Vec<f64> = x.flatten_all()?.to_vec1()?;
        // Neither the bits of NaN nor the sign of zero are compared.
        Ok(xs.iter().map(|&x| (!x.is_nan()).then_some((x + 0.0).to_bits())).collect())
    }

    #[test]
    fn portable_compositions_agree_with_the_kernels() -> Result<()> {
        let (x, y) = pairs()?;
        let both: [(&str, Binary, Binary); 9] = [
            ("lt", on_cpu::<Lt>, portable::lt),
            ("le", on_cpu::<Le>, portable::le),
            ("eq", on_cpu::<Eq>, portable::eq),
            ("ne", on_cpu::<Ne>, portable::ne),
            ("maximum", on_cpu::<Maximum>, portable::maximum),
            ("minimum", on_cpu::<Minimum>, portable::minimum),
            ("mul_or_zero", on_cpu::<MulOrZero>, portable::mul_or_zero),
            ("pow", on_cpu::<Pow>, portable::pow),
            ("atan2", on_cpu::<Atan2>, portable::atan2),
        ];
        for (name, kernel, composition) in both {
            assert_eq!(bits(&kernel(&x, &y)?)?, bits(&composition(&x, &y)?)?, "{name}");
        }
        let both: [(&str, Unary, Unary); 5] = [
            ("relu", via_cpu::<Relu>, portable::relu),
            ("rsqrt", via_cpu::<Rsqrt>, portable::rsqrt),
            ("sigmoid", via_cpu::<Sigmoid>, portable::sigmoid),
            ("logistic_density", via_cpu::<LogisticDensity>, portable::logistic_density),
            ("softplus", via_cpu::<Softplus>, portable::softplus),
        ];
        for (name, kernel, composition) in both {
            assert_eq!(bits(&kernel(&x)?)?, bits(&composition(&x)?)?, "{name}");
        }
        let (a, b) = (select_on_cpu(&x, &y, &x)?, portable::select(&x, &y, &x)?);
        assert_eq!(bits(&a)?, bits(&b)?);
        Ok(())
    }
}
