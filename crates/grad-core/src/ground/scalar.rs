//! `f64` as a tensor: 0-d only. The smallest backend, for documentation, tests and scalar programs.
//!
//! Where `TensorLike` is imported, its methods come before those of `f64` on *references*: write
//! `f64::abs(*x)` for `x: &f64`.

use std::fmt;

use crate::ground::{
    DType, Error, Kernel, Storage, TensorLike, Unsupported, normal_cdf, normal_cdf_tanh,
};

/// What `f64` answers when asked for something that is not a scalar.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScalarError {
    /// A shape other than `[]`.
    NotAScalar {
        /// The shape asked for.
        shape: Vec<usize>,
    },
    /// A number of elements other than one.
    Elements {
        /// The number given.
        got: usize,
    },
    /// A method that scalars do not have.
    Unsupported(Unsupported),
}

impl fmt::Display for ScalarError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ScalarError::NotAScalar { shape } => {
                write!(f, "the f64 backend holds scalars only, not shape {shape:?}")
            }
            ScalarError::Elements { got } => write!(f, "a scalar has one element, got {got}"),
            ScalarError::Unsupported(unsupported) => unsupported.fmt(f),
        }
    }
}

impl std::error::Error for ScalarError {}

impl From<Unsupported> for ScalarError {
    fn from(unsupported: Unsupported) -> Self {
        ScalarError::Unsupported(unsupported)
    }
}

impl From<ScalarError> for Error {
    #[track_caller]
    fn from(error: ScalarError) -> Self {
        Error::from_source(error)
    }
}

/// 1 if true, else 0.
#[inline]
fn mask(condition: bool) -> Result<f64, ScalarError> {
    Ok(f64::from(u8::from(condition)))
}

/// `value` if `shape` is `[]`.
#[inline]
fn scalar(value: f64, shape: &[usize]) -> Result<f64, ScalarError> {
    match shape {
        [] => Ok(value),
        _ => Err(ScalarError::NotAScalar { shape: shape.to_vec() }),
    }
}

/// Scalars have no axes, so reductions and permutations take none.
#[inline]
fn no_axes(value: f64, axes: &[usize]) -> Result<f64, ScalarError> {
    scalar(value, axes)
}

/// A kernel's values in a row of numbers, if they fit.
#[inline]
fn in_registers(kernel: &Kernel, x: &[&f64]) -> Result<f64, ScalarError> {
    const N: usize = 16;
    let (n, steps) = (x.len(), kernel.steps());
    if steps.len() == 1 || n != kernel.arguments().len() || n + steps.len() > N {
        return kernel.step_by_step(x);
    }
    let mut values = [0.0; N];
    values.iter_mut().zip(x).for_each(|(value, x)| *value = **x);
    for (at, step) in steps.iter().enumerate() {
        let value = step.of(|place| &values[usize::from(place)], &0.0)?;
        values[n + at] = value;
    }
    Ok(values[n + steps.len() - 1])
}

#[rustfmt::skip] // One method a line: the whole backend on one screen.
impl TensorLike for f64 {
    type Error = ScalarError;

    #[inline] fn shape(&self) -> &[usize] { &[] }
    #[inline] fn dtype(&self) -> DType { DType::F64 }
    #[inline] fn full(&self, shape: &[usize], value: f64) -> Result<f64, ScalarError> { scalar(value, shape) }
    fn from_host(&self, shape: &[usize], data: &[f64]) -> Result<f64, ScalarError> {
        match data {
            [value] => scalar(*value, shape),
            _ => Err(ScalarError::Elements { got: data.len() }),
        }
    }
    fn to_host(&self) -> Result<Vec<f64>, ScalarError> { Ok(vec![*self]) }

    #[inline] fn add(&self, rhs: &f64) -> Result<f64, ScalarError> { Ok(self + rhs) }
    #[inline] fn sub(&self, rhs: &f64) -> Result<f64, ScalarError> { Ok(self - rhs) }
    #[inline] fn mul(&self, rhs: &f64) -> Result<f64, ScalarError> { Ok(self * rhs) }
    #[inline] fn div(&self, rhs: &f64) -> Result<f64, ScalarError> { Ok(self / rhs) }
    fn pow(&self, rhs: &f64) -> Result<f64, ScalarError> { Ok(f64::powf(*self, *rhs)) }
    fn lt(&self, rhs: &f64) -> Result<f64, ScalarError> { mask(self < rhs) }
    fn eq(&self, rhs: &f64) -> Result<f64, ScalarError> { mask(self == rhs) }
    fn select(&self, a: &f64, b: &f64) -> Result<f64, ScalarError> { Ok(if *self != 0.0 { *a } else { *b }) }
    fn exp(&self) -> Result<f64, ScalarError> { Ok(f64::exp(*self)) }
    fn ln(&self) -> Result<f64, ScalarError> { Ok(f64::ln(*self)) }
    fn sin(&self) -> Result<f64, ScalarError> { Ok(f64::sin(*self)) }
    fn cos(&self) -> Result<f64, ScalarError> { Ok(f64::cos(*self)) }
    fn tanh(&self) -> Result<f64, ScalarError> { Ok(f64::tanh(*self)) }
    fn sqrt(&self) -> Result<f64, ScalarError> { Ok(f64::sqrt(*self)) }
    fn sum(&self, axes: &[usize]) -> Result<f64, ScalarError> { no_axes(*self, axes) }
    fn max(&self, axes: &[usize]) -> Result<f64, ScalarError> { no_axes(*self, axes) }
    fn reshape(&self, shape: &[usize]) -> Result<f64, ScalarError> { scalar(*self, shape) }
    fn permute(&self, axes: &[usize]) -> Result<f64, ScalarError> { no_axes(*self, axes) }
    fn expand(&self, shape: &[usize]) -> Result<f64, ScalarError> { scalar(*self, shape) }
    fn matmul(&self, _: &f64) -> Result<f64, ScalarError> {
        Err(Unsupported { op: "matmul", backend: "f64" }.into())
    }

    fn storage(&self) -> Storage { Storage::Inline }
    #[inline] fn neg(&self) -> Result<f64, ScalarError> { Ok(-self) }
    #[inline] fn scale(&self, by: f64) -> Result<f64, ScalarError> { Ok(self * by) }
    #[inline] fn shift(&self, by: f64) -> Result<f64, ScalarError> { Ok(self + by) }
    fn expm1(&self) -> Result<f64, ScalarError> { Ok(f64::exp_m1(*self)) }
    fn exp2(&self) -> Result<f64, ScalarError> { Ok(f64::exp2(*self)) }
    fn log2(&self) -> Result<f64, ScalarError> { Ok(f64::log2(*self)) }
    fn log10(&self) -> Result<f64, ScalarError> { Ok(f64::log10(*self)) }
    fn log1p(&self) -> Result<f64, ScalarError> { Ok(f64::ln_1p(*self)) }
    fn tan(&self) -> Result<f64, ScalarError> { Ok(f64::tan(*self)) }
    fn asin(&self) -> Result<f64, ScalarError> { Ok(f64::asin(*self)) }
    fn acos(&self) -> Result<f64, ScalarError> { Ok(f64::acos(*self)) }
    fn atan(&self) -> Result<f64, ScalarError> { Ok(f64::atan(*self)) }
    fn sinh(&self) -> Result<f64, ScalarError> { Ok(f64::sinh(*self)) }
    fn cosh(&self) -> Result<f64, ScalarError> { Ok(f64::cosh(*self)) }
    fn asinh(&self) -> Result<f64, ScalarError> { Ok(libm::asinh(*self)) }
    fn acosh(&self) -> Result<f64, ScalarError> { Ok(libm::acosh(*self)) }
    fn atanh(&self) -> Result<f64, ScalarError> { Ok(libm::atanh(*self)) }
    fn erf(&self) -> Result<f64, ScalarError> { Ok(libm::erf(*self)) }
    fn normal_cdf(&self) -> Result<f64, ScalarError> { Ok(normal_cdf(*self)) }
    fn normal_cdf_tanh(&self) -> Result<f64, ScalarError> { Ok(normal_cdf_tanh(*self)) }
    fn floor(&self) -> Result<f64, ScalarError> { Ok(f64::floor(*self)) }
    fn ceil(&self) -> Result<f64, ScalarError> { Ok(f64::ceil(*self)) }
    fn round(&self) -> Result<f64, ScalarError> { Ok(f64::round_ties_even(*self)) }
    fn trunc(&self) -> Result<f64, ScalarError> { Ok(f64::trunc(*self)) }
    fn atan2(&self, x: &f64) -> Result<f64, ScalarError> { Ok(f64::atan2(*self, *x)) }
    #[inline] fn has_nan(&self) -> Result<bool, ScalarError> { Ok(self.is_nan()) }
    #[inline] fn has_zero(&self) -> Result<bool, ScalarError> { Ok(*self == 0.0) }
    #[inline] fn mul_or_zero(&self, p: &f64) -> Result<f64, ScalarError> { Ok(if *self == 0.0 { 0.0 } else { self * p }) }
    #[inline] fn sum_to(&self, shape: &[usize]) -> Result<f64, ScalarError> { scalar(*self, shape) }
    #[inline] fn evaluate(kernel: &Kernel, x: &[&f64]) -> Result<f64, ScalarError> { in_registers(kernel, x) }
}
