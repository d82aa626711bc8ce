//! The arithmetic of argmin's solvers on tensors: the traits of argmin-math.
//!
//! argmin-math itself implements them for arrays of older versions of ndarray. Its methods return
//! no `Result`; what has no result, since the shapes do not go together, is NaN in all elements.

use argmin_math::{
    ArgminAdd, ArgminConj, ArgminDiv, ArgminDot, ArgminEye, ArgminInv, ArgminL1Norm, ArgminL2Norm,
    ArgminMinMax, ArgminMul, ArgminSignum, ArgminSub, ArgminTranspose, ArgminZeroLike, Error,
};
use grad_core::extend::{Shape, TensorLike};

use crate::element::Element;
use crate::error::NdError;
use crate::tensor::{NdTensor, zeros};

/// Elementwise arithmetic of two tensors, and of a tensor with a number on either side.
macro_rules! arithmetic {
    ($trait:ident $method:ident) => {
        impl<A: Element> $trait<NdTensor<A>, NdTensor<A>> for NdTensor<A> {
            fn $method(&self, other: &NdTensor<A>) -> NdTensor<A> {
                or_nan(TensorLike::$method(self, other), self)
            }
        }

        impl<A: Element> $trait<A, NdTensor<A>> for NdTensor<A> {
            fn $method(&self, other: &A) -> NdTensor<A> {
                or_nan(TensorLike::$method(self, &NdTensor::from(*other)), self)
            }
        }

        arithmetic!($trait $method, f32);
        arithmetic!($trait $method, f64);
    };
    // A foreign trait can be implemented for numbers only one type after the other.
    ($trait:ident $method:ident, $A:ty) => {
        impl $trait<NdTensor<$A>, NdTensor<$A>> for $A {
            fn $method(&self, other: &NdTensor<$A>) -> NdTensor<$A> {
                or_nan(TensorLike::$method(&NdTensor::from(*self), other), other)
            }
        }
    };
}

arithmetic!(ArgminAdd add);
arithmetic!(ArgminSub sub);
arithmetic!(ArgminMul mul);
arithmetic!(ArgminDiv div);

impl<A: Element> ArgminDot<NdTensor<A>, A> for NdTensor<A> {
    /// The scalar product `Σ xᵢ yᵢ`.
    fn dot(&self, other: &NdTensor<A>) -> A {
        sum(TensorLike::mul(self, other))
    }
}

impl<A: Element> ArgminDot<NdTensor<A>, NdTensor<A>> for NdTensor<A> {
    /// The product of two matrices or of a matrix and a vector, `Σⱼ xᵢⱼ yⱼ`; of two vectors, the
    /// outer one, `xᵢ yⱼ`.
    fn dot(&self, other: &NdTensor<A>) -> NdTensor<A> {
        let product = match (self.shape(), other.shape()) {
            (&[n], &[m]) => {
                self.reshape(&[n, 1]).and_then(|column| column.matmul(&other.reshape(&[1, m])?))
            }
            (&[n, _], &[m]) => {
                other.reshape(&[m, 1]).and_then(|column| self.matmul(&column)?.reshape(&[n]))
            }
            _ => self.matmul(other),
        };
        or_nan(product, self)
    }
}

impl<A: Element> ArgminL1Norm<A> for NdTensor<A> {
    fn l1_norm(&self) -> A {
        sum(self.abs())
    }
}

impl<A: Element> ArgminL2Norm<A> for NdTensor<A> {
    fn l2_norm(&self) -> A {
        sum(self.square()).sqrt()
    }
}

impl<A: Element> ArgminSignum for NdTensor<A> {
    /// 1 or −1 by the sign, for zeros too; NaN for NaN.
    fn signum(self) -> Self {
        const OP: &str = "signum";
        let signs = self.elements(OP).and_then(|x| {
            NdTensor::from_vec(OP, self.shape_slice(), x.iter().map(|&x| A::signum(x)).collect())
        });
        or_nan(signs, &self)
    }
}

impl<A: Element> ArgminMinMax for NdTensor<A> {
    fn min(x: &Self, y: &Self) -> Self {
        or_nan(x.minimum(y), x)
    }

    fn max(x: &Self, y: &Self) -> Self {
        or_nan(x.maximum(y), x)
    }
}

impl<A: Element> ArgminConj for NdTensor<A> {
    /// The tensor itself: its elements are real.
    fn conj(&self) -> Self {
        self.clone()
    }
}

impl<A: Element> ArgminZeroLike for NdTensor<A> {
    fn zero_like(&self) -> Self {
        NdTensor::fill(A::ZERO, Shape::from(self.shape()))
    }
}

impl<A: Element> ArgminEye for NdTensor<A> {
    /// The identity matrix of `n` rows.
    fn eye(n: usize) -> Self {
        let shape = [n, n];
        let matrix = zeros("eye", &shape).and_then(|mut data| {
            data.iter_mut().step_by(n.saturating_add(1)).for_each(|x| *x = A::ONE);
            NdTensor::from_vec("eye", &shape, data)
        });
        or_nan(matrix, &NdTensor::from(A::ONE))
    }

    fn eye_like(&self) -> Self {
        match self.shape() {
            &[n, m] if n == m => Self::eye(n),
            _ => nan_like(self),
        }
    }
}

impl<A: Element> ArgminTranspose<NdTensor<A>> for NdTensor<A> {
    /// The axes in reversed order.
    fn t(self) -> NdTensor<A> {
        let axes: Vec<usize> = (0..self.shape().len()).rev().collect();
        or_nan(self.permute(&axes), &self)
    }
}

impl<A: Element> ArgminInv<NdTensor<A>> for NdTensor<A> {
    /// The inverse matrix.
    ///
    /// # Errors
    /// If the tensor is not a square matrix, or a singular one.
    fn inv(&self) -> Result<NdTensor<A>, Error> {
        Ok(TensorLike::inv(self)?)
    }
}

fn or_nan<A: Element>(result: Result<NdTensor<A>, NdError>, like: &NdTensor<A>) -> NdTensor<A> {
    result.unwrap_or_else(|_| nan_like(like))
}

fn nan_like<A: Element>(like: &NdTensor<A>) -> NdTensor<A> {
    NdTensor::fill(A::nan(), Shape::from(like.shape()))
}

/// The sum of all elements.
fn sum<A: Element>(x: Result<NdTensor<A>, NdError>) -> A {
    let total = |x: NdTensor<A>| x.sum(&Vec::from_iter(0..x.shape().len()));
    x.and_then(total).map_or(A::nan(), |sum| sum.view().sum())
}
