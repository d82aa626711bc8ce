//! The types of elements: `f32` and `f64`.

use grad_core::extend::DType;
use ndarray::NdFloat;

use crate::gemm::Multiply;
use crate::math::Real;
use crate::pool::Pooled;

/// A type of element that tensors can have: `f32` or `f64`.
///
/// The trait is sealed: the kernels rely on what these two types do.
pub trait Element: NdFloat + Real + Pooled + Multiply {
    /// The type, as the engine names it.
    const DTYPE: DType;
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;

    /// The number of this type nearest to `value`.
    fn from_f64(value: f64) -> Self;

    /// The same number as an `f64`, exactly.
    fn to_f64(self) -> f64;

    /// 1 if true, else 0.
    #[inline]
    fn mask(condition: bool) -> Self {
        if condition { Self::ONE } else { Self::ZERO }
    }
}

impl Element for f32 {
    const DTYPE: DType = DType::F32;
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;

    #[inline]
    fn from_f64(value: f64) -> Self {
        value as f32
    }

    #[inline]
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
}

impl Element for f64 {
    const DTYPE: DType = DType::F64;
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;

    #[inline]
    fn from_f64(value: f64) -> Self {
        value
    }

    #[inline]
    fn to_f64(self) -> f64 {
        self
    }
}
