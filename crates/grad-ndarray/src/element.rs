//! The types of elements: `f32` and `f64`.

use grad_core::extend::{Binary, DType, Kernel, Unary};
use ndarray::NdFloat;

use crate::elementwise;
use crate::error::NdError;
use crate::evaluate;
use crate::fold::Fold;
use crate::formula;
use crate::gemm::Multiply;
use crate::math::Real;
use crate::pool::Pooled;
use crate::reduce;
use crate::softmax;
use crate::tensor::NdTensor;

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

    // Kernels that consist of loops. Generic code is compiled in every crate that uses it, and these
    // would be most of it; as functions of a type they are compiled here.

    #[doc(hidden)]
    fn unary_once(function: Unary, x: Self) -> Self;

    #[doc(hidden)]
    fn unary(x: &NdTensor<Self>, function: Unary) -> Result<NdTensor<Self>, NdError>;

    #[doc(hidden)]
    fn binary(
        op: &'static str,
        x: &NdTensor<Self>,
        function: Binary,
        y: &NdTensor<Self>,
    ) -> Result<NdTensor<Self>, NdError>;

    #[doc(hidden)]
    fn select(
        mask: &NdTensor<Self>,
        x: &NdTensor<Self>,
        y: &NdTensor<Self>,
    ) -> Result<NdTensor<Self>, NdError>;

    #[doc(hidden)]
    fn evaluate(kernel: &Kernel, x: &[&NdTensor<Self>]) -> Result<NdTensor<Self>, NdError>;

    #[doc(hidden)]
    fn accumulate(x: NdTensor<Self>, y: &NdTensor<Self>) -> Result<NdTensor<Self>, NdError>;

    #[doc(hidden)]
    fn reduce(
        op: &'static str,
        fold: Fold,
        x: &NdTensor<Self>,
        axes: &[usize],
    ) -> Result<NdTensor<Self>, NdError>;

    #[doc(hidden)]
    fn softmax(data: &mut [Self], n: usize, inner: usize);

    #[doc(hidden)]
    fn log_softmax(data: &mut [Self], n: usize, inner: usize);

    #[doc(hidden)]
    fn softmax_jacobian(p: &[Self], c: &mut [Self], n: usize);
}

macro_rules! element {
    ($float:ident $dtype:ident) => {
        impl Element for $float {
            const DTYPE: DType = DType::$dtype;
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;

            #[inline]
            fn from_f64(value: f64) -> Self {
                value as $float
            }

            #[inline]
            fn to_f64(self) -> f64 {
                f64::from(self)
            }

            fn unary_once(function: Unary, x: Self) -> Self {
                formula::unary_once(function, x)
            }

            fn unary(x: &NdTensor<Self>, function: Unary) -> Result<NdTensor<Self>, NdError> {
                elementwise::unary(x, function)
            }

            fn binary(
                op: &'static str,
                x: &NdTensor<Self>,
                function: Binary,
                y: &NdTensor<Self>,
            ) -> Result<NdTensor<Self>, NdError> {
                elementwise::binary(op, x, function, y)
            }

            fn select(
                mask: &NdTensor<Self>,
                x: &NdTensor<Self>,
                y: &NdTensor<Self>,
            ) -> Result<NdTensor<Self>, NdError> {
                elementwise::select(mask, x, y)
            }

            fn evaluate(kernel: &Kernel, x: &[&NdTensor<Self>]) -> Result<NdTensor<Self>, NdError> {
                evaluate::evaluate(kernel, x)
            }

            fn accumulate(
                x: NdTensor<Self>,
                y: &NdTensor<Self>,
            ) -> Result<NdTensor<Self>, NdError> {
                elementwise::accumulate(x, y)
            }

            fn reduce(
                op: &'static str,
                fold: Fold,
                x: &NdTensor<Self>,
                axes: &[usize],
            ) -> Result<NdTensor<Self>, NdError> {
                reduce::reduce(op, fold, x, axes)
            }

            fn softmax(data: &mut [Self], n: usize, inner: usize) {
                softmax::softmax(data, n, inner);
            }

            fn log_softmax(data: &mut [Self], n: usize, inner: usize) {
                softmax::log_softmax(data, n, inner);
            }

            fn softmax_jacobian(p: &[Self], c: &mut [Self], n: usize) {
                softmax::jacobian(p, c, n);
            }
        }
    };
}

element!(f32 F32);
element!(f64 F64);
