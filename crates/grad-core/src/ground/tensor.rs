//! `TensorLike`: what the engine needs of a tensor.
//!
//! Implement the required methods and everything works; override provided ones where your library
//! is faster or more accurate; implement the optional ones you have. The conformance tests compare
//! overrides with the definitions given here.

use std::fmt;
use std::ops::Range;

use crate::ground::{
    Index, Kernel, Shape, Slice, Unsupported, Window, n_elements, normal_cdf, normal_cdf_tanh,
};

/// A tensor that the engine can differentiate through.
///
/// Promises that a backend makes:
///
/// * `clone` is O(1), and a tensor's value never changes: methods return new tensors.
/// * Binary operations broadcast by NumPy's rule.
/// * Masks are tensors of 0 and 1 with the same dtype.
/// * Constants come as `f64` and are rounded once, to the dtype of the tensor.
/// * Called with shapes, axes or dtypes that do not fit, a method returns an error; it does not
///   panic. (The engine checks all of these first, so that every backend gives the same messages.)
/// * Axis lists are in range and without repetition; those of reductions are sorted.
pub trait TensorLike: Clone + fmt::Debug + 'static {
    /// What the backend answers when it fails. `From<Unsupported>` serves the optional methods.
    type Error: std::error::Error + From<Unsupported> + Send + Sync + 'static;

    // ---------------------------------------------------------------- required

    /// The sizes of the axes, outermost first.
    fn shape(&self) -> &[usize];

    /// The type of the elements: a fact of run time.
    fn dtype(&self) -> DType;

    /// A tensor of `shape` with every element `value`, on the device and of the dtype of `self`.
    fn full(&self, shape: &[usize], value: f64) -> Result<Self, Self::Error>;

    /// A tensor of `shape` with the row-major elements `data`, placed as by [`TensorLike::full`].
    #[allow(clippy::wrong_self_convention)] // `self` is the model, as in `full`.
    fn from_host(&self, shape: &[usize], data: &[f64]) -> Result<Self, Self::Error>;

    /// The elements in row-major order.
    fn to_host(&self) -> Result<Vec<f64>, Self::Error>;

    /// `x + y`, broadcasting.
    fn add(&self, rhs: &Self) -> Result<Self, Self::Error>;

    /// `x − y`, broadcasting.
    fn sub(&self, rhs: &Self) -> Result<Self, Self::Error>;

    /// `x · y` elementwise, broadcasting.
    fn mul(&self, rhs: &Self) -> Result<Self, Self::Error>;

    /// `x / y` by IEEE 754, broadcasting.
    fn div(&self, rhs: &Self) -> Result<Self, Self::Error>;

    /// `xʸ`, broadcasting, with the special cases of C's `pow`: `x⁰ = 1` for every x.
    fn pow(&self, rhs: &Self) -> Result<Self, Self::Error>;

    /// 1 where `x < y`, else 0; broadcasting. Comparisons with NaN are 0.
    fn lt(&self, rhs: &Self) -> Result<Self, Self::Error>;

    /// 1 where `x = y`, else 0; broadcasting. Comparisons with NaN are 0.
    fn eq(&self, rhs: &Self) -> Result<Self, Self::Error>;

    /// `a` where this mask is not 0, else `b`; broadcasting all three.
    fn select(&self, a: &Self, b: &Self) -> Result<Self, Self::Error>;

    /// `eˣ`.
    fn exp(&self) -> Result<Self, Self::Error>;

    /// The natural logarithm.
    fn ln(&self) -> Result<Self, Self::Error>;

    /// The sine of an angle in radians.
    fn sin(&self) -> Result<Self, Self::Error>;

    /// The cosine of an angle in radians.
    fn cos(&self) -> Result<Self, Self::Error>;

    /// The hyperbolic tangent.
    fn tanh(&self) -> Result<Self, Self::Error>;

    /// The square root; NaN below zero.
    fn sqrt(&self) -> Result<Self, Self::Error>;

    /// The sum over `axes`, which are dropped; over no axes, the tensor itself.
    fn sum(&self, axes: &[usize]) -> Result<Self, Self::Error>;

    /// The largest element over `axes`, which are dropped; NaN where there is one. The engine
    /// refuses reductions over no elements.
    fn max(&self, axes: &[usize]) -> Result<Self, Self::Error>;

    /// The same elements in row-major order under another shape.
    fn reshape(&self, shape: &[usize]) -> Result<Self, Self::Error>;

    /// The axes in another order: axis `i` of the result is axis `axes[i]`.
    fn permute(&self, axes: &[usize]) -> Result<Self, Self::Error>;

    /// The tensor broadcast to `shape`.
    fn expand(&self, shape: &[usize]) -> Result<Self, Self::Error>;

    /// The matrix product over the last two axes; both ranks are at least 2; leading axes
    /// broadcast.
    fn matmul(&self, rhs: &Self) -> Result<Self, Self::Error>;

    // ---------------------------------------------------------------- provided

    /// A scalar of this tensor's dtype and device.
    fn scalar(&self, value: f64) -> Result<Self, Self::Error> {
        self.full(&[], value)
    }

    /// `−x`.
    fn neg(&self) -> Result<Self, Self::Error> {
        self.scale(-1.0)
    }

    /// `x · by`.
    fn scale(&self, by: f64) -> Result<Self, Self::Error> {
        self.mul(&self.scalar(by)?)
    }

    /// `x + by`.
    fn shift(&self, by: f64) -> Result<Self, Self::Error> {
        self.add(&self.scalar(by)?)
    }

    /// `1 / x`.
    fn recip(&self) -> Result<Self, Self::Error> {
        self.scalar(1.0)?.div(self)
    }

    /// `xᵉ` for a constant exponent.
    fn powf(&self, exponent: f64) -> Result<Self, Self::Error> {
        self.pow(&self.scalar(exponent)?)
    }

    /// `xⁿ` for a whole exponent.
    fn powi(&self, exponent: i32) -> Result<Self, Self::Error> {
        self.powf(f64::from(exponent))
    }

    /// `|x|`.
    fn abs(&self) -> Result<Self, Self::Error> {
        let zero = self.scalar(0.0)?;
        // The sum turns −0 into 0.
        self.lt(&zero)?.select(&self.neg()?, self)?.add(&zero)
    }

    /// −1, 0 or 1 by the sign of x; 0 for NaN.
    fn sign(&self) -> Result<Self, Self::Error> {
        let zero = self.scalar(0.0)?;
        zero.lt(self)?.sub(&self.lt(&zero)?)
    }

    /// `max(x, 0)`; NaN stays NaN.
    fn relu(&self) -> Result<Self, Self::Error> {
        let zero = self.scalar(0.0)?;
        self.lt(&zero)?.select(&zero, self)
    }

    /// The larger of x and y, broadcasting; NaN where either is.
    fn maximum(&self, rhs: &Self) -> Result<Self, Self::Error> {
        let larger = self.lt(rhs)?.select(rhs, self)?;
        rhs.eq(rhs)?.select(&larger, rhs)
    }

    /// The smaller of x and y, broadcasting; NaN where either is.
    fn minimum(&self, rhs: &Self) -> Result<Self, Self::Error> {
        let smaller = rhs.lt(self)?.select(rhs, self)?;
        rhs.eq(rhs)?.select(&smaller, rhs)
    }

    /// 1 where `x ≤ y`, else 0; broadcasting. Comparisons with NaN are 0.
    fn le(&self, rhs: &Self) -> Result<Self, Self::Error> {
        self.lt(rhs)?.add(&self.eq(rhs)?)
    }

    /// 1 where `x ≠ y`, else 0; broadcasting. Comparisons with NaN are 1.
    fn ne(&self, rhs: &Self) -> Result<Self, Self::Error> {
        let equal = self.eq(rhs)?;
        equal.scalar(1.0)?.sub(&equal)
    }

    /// 0 where `self` is 0, even against an infinity or NaN, else `self · p`; broadcasting.
    ///
    /// The product of a cotangent with a partial derivative that may be infinite: what has no
    /// influence gets no gradient.
    fn mul_or_zero(&self, p: &Self) -> Result<Self, Self::Error> {
        let zero = self.scalar(0.0)?;
        self.eq(&zero)?.select(&zero, &self.mul(p)?)
    }

    /// The smallest element over `axes`, which are dropped; NaN where there is one.
    fn min(&self, axes: &[usize]) -> Result<Self, Self::Error> {
        self.neg()?.max(axes)?.neg()
    }

    /// The mean over `axes`, which are dropped; NaN over no elements.
    fn mean(&self, axes: &[usize]) -> Result<Self, Self::Error> {
        let n: f64 =
            axes.iter().filter_map(|&axis| self.shape().get(axis)).map(|&n| n as f64).product();
        let sum = self.sum(axes)?;
        sum.div(&sum.scalar(n)?)
    }

    /// The sum of all that broadcasting to `self` would have copied from a tensor of `shape`: the
    /// transpose of [`TensorLike::expand`].
    fn sum_to(&self, shape: &[usize]) -> Result<Self, Self::Error> {
        let axes = stretched_axes(shape, self.shape());
        self.sum(&axes)?.reshape(shape)
    }

    /// `f` of each element, by way of the host: right on every backend, and slow.
    ///
    /// The definition of the functions below that have no composition of others which is accurate
    /// everywhere.
    fn map_host(&self, f: impl Fn(f64) -> f64) -> Result<Self, Self::Error> {
        let data: Vec<f64> = self.to_host()?.into_iter().map(f).collect();
        self.from_host(self.shape(), &data)
    }

    /// `eˣ − 1`, accurate near 0.
    fn expm1(&self) -> Result<Self, Self::Error> {
        self.map_host(f64::exp_m1)
    }

    /// `2ˣ`.
    fn exp2(&self) -> Result<Self, Self::Error> {
        self.map_host(f64::exp2)
    }

    /// The logarithm to base 2.
    fn log2(&self) -> Result<Self, Self::Error> {
        self.map_host(f64::log2)
    }

    /// The logarithm to base 10.
    fn log10(&self) -> Result<Self, Self::Error> {
        self.map_host(f64::log10)
    }

    /// `ln(1 + x)`, accurate near 0.
    fn log1p(&self) -> Result<Self, Self::Error> {
        self.map_host(f64::ln_1p)
    }

    /// The tangent of an angle in radians.
    fn tan(&self) -> Result<Self, Self::Error> {
        self.map_host(f64::tan)
    }

    /// The angle in [−π/2, π/2] whose sine is x.
    fn asin(&self) -> Result<Self, Self::Error> {
        self.map_host(f64::asin)
    }

    /// The angle in [0, π] whose cosine is x.
    fn acos(&self) -> Result<Self, Self::Error> {
        self.map_host(f64::acos)
    }

    /// The angle in [−π/2, π/2] whose tangent is x.
    fn atan(&self) -> Result<Self, Self::Error> {
        self.map_host(f64::atan)
    }

    /// The hyperbolic sine.
    fn sinh(&self) -> Result<Self, Self::Error> {
        self.map_host(f64::sinh)
    }

    /// The hyperbolic cosine.
    fn cosh(&self) -> Result<Self, Self::Error> {
        self.map_host(f64::cosh)
    }

    /// The inverse of the hyperbolic sine.
    fn asinh(&self) -> Result<Self, Self::Error> {
        self.map_host(libm::asinh)
    }

    /// The inverse of the hyperbolic cosine.
    fn acosh(&self) -> Result<Self, Self::Error> {
        self.map_host(libm::acosh)
    }

    /// The inverse of the hyperbolic tangent.
    fn atanh(&self) -> Result<Self, Self::Error> {
        self.map_host(libm::atanh)
    }

    /// The error function, `2/√π ∫₀ˣ e^(−t²) dt`.
    fn erf(&self) -> Result<Self, Self::Error> {
        self.map_host(libm::erf)
    }

    /// The distribution function of the normal distribution, `½ erfc(−x/√2)`, accurate where it is
    /// close to 0.
    fn normal_cdf(&self) -> Result<Self, Self::Error> {
        self.map_host(normal_cdf)
    }

    /// Its approximation `½ (1 + tanh u)` for `u = √(2/π) (x + 0.044715 x³)`, accurate where it is
    /// close to 0.
    fn normal_cdf_tanh(&self) -> Result<Self, Self::Error> {
        self.map_host(normal_cdf_tanh)
    }

    /// The largest whole number that is not above x.
    fn floor(&self) -> Result<Self, Self::Error> {
        self.map_host(f64::floor)
    }

    /// The smallest whole number that is not below x.
    fn ceil(&self) -> Result<Self, Self::Error> {
        self.map_host(f64::ceil)
    }

    /// The nearest whole number; of two, the even one.
    fn round(&self) -> Result<Self, Self::Error> {
        self.map_host(f64::round_ties_even)
    }

    /// The whole part.
    fn trunc(&self) -> Result<Self, Self::Error> {
        self.map_host(f64::trunc)
    }

    /// The angle of the point (x, y) for y = `self`, in [−π, π], broadcasting; with the special
    /// cases of C's `atan2`.
    fn atan2(&self, x: &Self) -> Result<Self, Self::Error> {
        // The sum has the broadcast shape.
        let shape = self.add(x)?;
        let (y, x) = (self.expand(shape.shape())?.to_host()?, x.expand(shape.shape())?.to_host()?);
        let data: Vec<f64> = y.into_iter().zip(x).map(|(y, x)| y.atan2(x)).collect();
        self.from_host(shape.shape(), &data)
    }

    /// `x²`.
    fn square(&self) -> Result<Self, Self::Error> {
        self.mul(self)
    }

    /// `1 / √x`.
    fn rsqrt(&self) -> Result<Self, Self::Error> {
        self.sqrt()?.recip()
    }

    /// `1 / (1 + e⁻ˣ)`; no intermediate overflows.
    fn sigmoid(&self) -> Result<Self, Self::Error> {
        let (zero, one) = (self.scalar(0.0)?, self.scalar(1.0)?);
        let e = self.abs()?.neg()?.exp()?;
        self.lt(&zero)?.select(&e, &one)?.div(&e.add(&one)?)
    }

    /// `e⁻ˣ / (1 + e⁻ˣ)²`, the derivative of [`TensorLike::sigmoid`]; even, with all digits in both
    /// tails.
    fn logistic_density(&self) -> Result<Self, Self::Error> {
        let e = self.abs()?.neg()?.exp()?;
        e.div(&e.shift(1.0)?.square()?)
    }

    /// `ln(1 + eˣ)`; no intermediate overflows.
    fn softplus(&self) -> Result<Self, Self::Error> {
        self.relu()?.add(&self.abs()?.neg()?.exp()?.log1p()?)
    }

    /// `eˣ / Σ eˣ` along an axis; no intermediate overflows, and where elements are infinite, those
    /// that equal the largest share the sum of 1.
    fn softmax(&self, axis: usize) -> Result<Self, Self::Error> {
        let e = below_max(self, &[axis])?.exp()?;
        e.div(&keeping(&[axis], &e, e.sum(&[axis])?)?)
    }

    /// `ln softmax`, without taking the logarithm of a number that has become 0 or 1.
    fn log_softmax(&self, axis: usize) -> Result<Self, Self::Error> {
        let x = below_max(self, &[axis])?;
        x.sub(&keeping(&[axis], &x, ln_sum_exp(&x, &[axis])?)?)
    }

    /// `p (c − Σ p c)` along an axis, where p is this softmax, and c has its shape: the Jacobian of
    /// softmax, applied to c. It keeps its digits where an element of p is near 1.
    fn softmax_jacobian(&self, c: &Self, axis: usize) -> Result<Self, Self::Error> {
        softmax_jacobian(self, c, axis)
    }

    /// The sums of the first 1, 2, … elements along an axis.
    fn cumsum(&self, axis: usize) -> Result<Self, Self::Error> {
        let Some(&n) = self.shape().get(axis) else {
            return self.sum(&[axis]); // The backend's own error for an axis that does not exist.
        };
        let inner: usize = self.shape().iter().skip(axis + 1).product();
        let mut data = self.to_host()?;
        for block in data.chunks_mut((n * inner).max(1)) {
            for at in inner..block.len() {
                block[at] += block[at - inner];
            }
        }
        self.from_host(self.shape(), &data)
    }

    /// The sums of the last n, n − 1, … elements along an axis: the transpose of
    /// [`TensorLike::cumsum`].
    fn reverse_cumsum(&self, axis: usize) -> Result<Self, Self::Error> {
        let Some(&n) = self.shape().get(axis) else {
            return self.sum(&[axis]); // The backend's own error for an axis that does not exist.
        };
        let inner: usize = self.shape().iter().skip(axis + 1).product();
        let mut data = self.to_host()?;
        for block in data.chunks_mut((n * inner).max(1)) {
            for at in (0..block.len().saturating_sub(inner)).rev() {
                block[at] += block[at + inner];
            }
        }
        self.from_host(self.shape(), &data)
    }

    /// Where the elements lie, so that memory which several tensors share is counted once in
    /// [`Tape::memory`](crate::Tape::memory).
    ///
    /// By default a buffer of its own that is as large as the shape says, also for a clone; elements
    /// of a type without derivatives are taken for 8 bytes.
    fn storage(&self) -> Storage {
        let size = match self.dtype() {
            DType::BF16 | DType::F16 => 2,
            DType::F32 => 4,
            DType::F64 | DType::Other(_) => 8,
        };
        Storage::Own(n_elements(self.shape()).unwrap_or(0) * size)
    }

    /// `self + rhs` of the same shape; takes `self`, so that a backend may add in place where it
    /// holds the only reference.
    fn accumulate(self, rhs: &Self) -> Result<Self, Self::Error> {
        self.add(rhs)
    }

    /// The result of an elementwise formula: for `kernel.arguments()` in their order, the tensor
    /// that its last step gives. They broadcast.
    ///
    /// A backend may override this to compute all steps in one pass over memory, with the same
    /// bits.
    fn evaluate(kernel: &Kernel, x: &[&Self]) -> Result<Self, Self::Error> {
        kernel.step_by_step(x)
    }

    /// Whether an element is NaN. True, too, if that cannot be told.
    ///
    /// # Errors
    /// Those of reading elements.
    fn has_nan(&self) -> Result<bool, Self::Error> {
        Ok(self.to_host()?.iter().any(|x| x.is_nan()))
    }

    /// Whether an element is 0. True, too, if that cannot be told.
    ///
    /// # Errors
    /// Those of reading elements.
    fn has_zero(&self) -> Result<bool, Self::Error> {
        Ok(self.to_host()?.contains(&0.0))
    }

    // ---------------------------------------------------------------- optional

    /// Part of the tensor, one slice an axis.
    fn slice(&self, slices: &[Slice]) -> Result<Self, Self::Error> {
        let _ = slices;
        Err(unsupported::<Self>("slice"))
    }

    /// Zeros of `shape` with this tensor at `slices`: the transpose of [`TensorLike::slice`].
    fn unslice(&self, shape: &[usize], slices: &[Slice]) -> Result<Self, Self::Error> {
        let _ = (shape, slices);
        Err(unsupported::<Self>("unslice"))
    }

    /// The sub-tensors along `axis` at the places in `index`, in that order.
    fn index_select(&self, axis: usize, index: &[usize]) -> Result<Self, Self::Error> {
        let _ = (axis, index);
        Err(unsupported::<Self>("index_select"))
    }

    /// Zeros, of size `size` along `axis`, to which sub-tensor `i` of this tensor is added at place
    /// `index[i]`: the transpose of [`TensorLike::index_select`].
    fn index_add(&self, axis: usize, index: &[usize], size: usize) -> Result<Self, Self::Error> {
        let _ = (axis, index, size);
        Err(unsupported::<Self>("index_add"))
    }

    /// Element by element along `axis`: `y[.., i, ..] = x[.., index[.., i, ..], ..]`, where `y` is
    /// shaped like the index, and along the other axes no larger than `x`.
    fn gather(&self, axis: usize, index: &Index) -> Result<Self, Self::Error> {
        let _ = (axis, index);
        Err(unsupported::<Self>("gather"))
    }

    /// Zeros of `shape`, to which each element of this tensor is added at the place that
    /// [`TensorLike::gather`] with the same axis and index would take it from: its transpose.
    fn scatter_add(
        &self,
        axis: usize,
        index: &Index,
        shape: &[usize],
    ) -> Result<Self, Self::Error> {
        let _ = (axis, index, shape);
        Err(unsupported::<Self>("scatter_add"))
    }

    /// The tensors joined along `axis`; the other sizes agree. `self` is the first.
    fn concat(&self, others: &[&Self], axis: usize) -> Result<Self, Self::Error> {
        let _ = (others, axis);
        Err(unsupported::<Self>("concat"))
    }

    /// Sliding windows along an axis: axis `axis` of size n becomes the number of windows, and a
    /// last axis of size `window.size` is added:
    /// `y[.., i, .., j] = x[.., i · window.step + j · window.dilation, ..]`.
    fn unfold(&self, axis: usize, window: Window) -> Result<Self, Self::Error> {
        let _ = (axis, window);
        Err(unsupported::<Self>("unfold"))
    }

    /// Zeros, of size `n` along `axis`, to which each element of this tensor of windows is added at
    /// the place it came from: the transpose of [`TensorLike::unfold`].
    fn fold(&self, axis: usize, window: Window, n: usize) -> Result<Self, Self::Error> {
        let _ = (axis, window, n);
        Err(unsupported::<Self>("fold"))
    }

    // Linear algebra. A matrix with an element that is infinite or NaN gives NaN. What has no
    // solution is an error: "matrix is singular", "matrix is not positive definite".

    /// The solution X of `A X = B` for matrices, batched over equal leading axes; an error if A is
    /// singular.
    fn solve(&self, rhs: &Self) -> Result<Self, Self::Error> {
        let _ = rhs;
        Err(unsupported::<Self>("solve"))
    }

    /// The solution X of `A X = B`, reading one triangle of A only, batched over equal leading axes;
    /// an error if there is a zero on the diagonal.
    fn triangular_solve(&self, rhs: &Self, upper: bool) -> Result<Self, Self::Error> {
        let _ = (rhs, upper);
        Err(unsupported::<Self>("triangular_solve"))
    }

    /// The inverses of matrices, batched over leading axes; an error if one is singular.
    fn inv(&self) -> Result<Self, Self::Error> {
        Err(unsupported::<Self>("inv"))
    }

    /// The sign and the logarithm of the absolute value of determinants, packed along a last axis
    /// of size 2, batched over leading axes; 0 and −∞ for a singular matrix.
    fn slogdet(&self) -> Result<Self, Self::Error> {
        Err(unsupported::<Self>("slogdet"))
    }

    /// The lower triangular L with `L Lᵀ = A`, reading the lower triangle, batched over leading
    /// axes; an error if A is not positive definite.
    fn cholesky(&self) -> Result<Self, Self::Error> {
        Err(unsupported::<Self>("cholesky"))
    }

    /// Eigenvalues, ascending, and eigenvectors of symmetric matrices, reading the lower triangle,
    /// batched over leading axes; packed in a matrix `[n + 1, n]`: a row of eigenvalues, and under
    /// each its eigenvector as a column. An eigenvector has length 1, and of its elements that are
    /// at least half as large as the largest the first one is positive.
    fn eigh(&self) -> Result<Self, Self::Error> {
        Err(unsupported::<Self>("eigh"))
    }
}

/// `x` minus its largest element over `axes`; 0 where it is the largest, even if infinite.
pub(crate) fn below_max<T: TensorLike>(x: &T, axes: &[usize]) -> Result<T, T::Error> {
    if x.shape().contains(&0) {
        return Ok(x.clone()); // Nothing has no largest element, and needs none.
    }
    let max = keeping(axes, x, x.max(axes)?)?;
    x.eq(&max)?.select(&x.scalar(0.0)?, &x.sub(&max)?)
}

/// An element of a softmax above is the *winner* of its row. There is one at most, and as the factor
/// `1 − p` of the others loses one digit at most, any number well between ½ and 1 will do.
pub const WINNER: f64 = 0.6;

/// The definition of [`TensorLike::softmax_jacobian`].
///
/// # Errors
/// Those of the backend.
pub fn softmax_jacobian<T: TensorLike>(p: &T, c: &T, axis: usize) -> Result<T, T::Error> {
    let sum = |x: &T| keeping(&[axis], x, x.sum(&[axis])?);
    let is_winner = p.scalar(WINNER)?.lt(p)?;
    // What is added to all of c has no effect. At a winner, where 1 − p is lost, c becomes 0.
    let c = c.sub(&sum(&is_winner.select(c, &p.scalar(0.0)?)?)?)?;
    p.mul(&c.sub(&sum(&p.mul(&c)?)?)?)
}

/// `ln Σ eˣ` over `axes`, of what [`below_max`] gives. One of the largest, which is 1 in the sum,
/// stays out of it, so that a sum that would round to 1 keeps its digits.
pub(crate) fn ln_sum_exp<T: TensorLike>(x: &T, axes: &[usize]) -> Result<T, T::Error> {
    let zero = x.scalar(0.0)?;
    let largest = x.eq(&zero)?;
    let others = largest.select(&zero, &x.exp()?)?.sum(axes)?;
    largest.sum(axes)?.shift(-1.0)?.add(&others)?.log1p()
}

/// `reduced`, a reduction of `x` over `axes`, with these as axes of size 1.
pub(crate) fn keeping<T: TensorLike>(axes: &[usize], x: &T, reduced: T) -> Result<T, T::Error> {
    reduced.reshape(&Shape::from(x.shape()).keeping(axes))
}

/// The error of an optional method that backend `T` leaves out.
fn unsupported<T: TensorLike>(op: &'static str) -> T::Error {
    Unsupported { op, backend: std::any::type_name::<T>() }.into()
}

/// The axes of `to` along which a tensor of shape `from` is repeated when it broadcasts to `to`.
pub fn stretched_axes(from: &[usize], to: &[usize]) -> Vec<usize> {
    let missing = to.len().saturating_sub(from.len());
    (0..to.len())
        .filter(|&axis| axis < missing || (from[axis - missing] == 1 && to[axis] != 1))
        .collect()
}

/// Where the elements of a tensor lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Storage {
    /// In the tensor itself: it holds no other memory.
    Inline,
    /// In so many bytes that no other tensor reaches.
    Own(usize),
    /// In a part of some memory; where such parts overlap, tensors share it.
    Part {
        /// Which memory: any number, the same for tensors that may share. That of the process as a
        /// whole will do, where the bytes are addresses.
        memory: usize,
        /// From the first byte of the part to after the last.
        bytes: Range<usize>,
    },
}

/// The type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DType {
    /// 16 bits, 8 of them exponent.
    BF16,
    /// IEEE 754 binary16.
    F16,
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary64.
    F64,
    /// Anything that has no derivatives, by its name.
    Other(&'static str),
}

impl DType {
    /// True for the types that have derivatives.
    pub fn is_float(self) -> bool {
        !matches!(self, DType::Other(_))
    }

    /// The distance from 1 to the next number; 1 for types without derivatives.
    pub fn epsilon(self) -> f64 {
        match self {
            DType::BF16 => 0.007_812_5,    // 2⁻⁷
            DType::F16 => 0.000_976_562_5, // 2⁻¹⁰
            DType::F32 => f64::from(f32::EPSILON),
            DType::F64 => f64::EPSILON,
            DType::Other(_) => 1.0,
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DType::BF16 => "bf16",
            DType::F16 => "f16",
            DType::F32 => "f32",
            DType::F64 => "f64",
            DType::Other(name) => name,
        })
    }
}
