//! `TensorLike` for `NdTensor`: which kernel, with which formula.

use grad_core::extend::{DType, Index, Shape, Slice, Storage, TensorLike, Window, n_elements};

use crate::element::Element;
use crate::error::NdError;
use crate::fold::{larger, smaller};
use crate::linalg;
use crate::math::{self, TRIG_LIMIT};
use crate::tensor::{NdTensor, checked};

type Result<A> = std::result::Result<NdTensor<A>, NdError>;

#[rustfmt::skip] // One method a line, where a line will do: the whole backend on two screens.
impl<A: Element> TensorLike for NdTensor<A> {
    type Error = NdError;

    #[inline] fn shape(&self) -> &[usize] { self.shape_slice() }
    #[inline] fn dtype(&self) -> DType { A::DTYPE }
    fn storage(&self) -> Storage { self.addresses() }
    #[inline] fn full(&self, shape: &[usize], value: f64) -> Result<A> {
        Ok(NdTensor::fill(A::from_f64(value), checked("full", Shape::from(shape))?))
    }
    fn from_host(&self, shape: &[usize], data: &[f64]) -> Result<A> {
        if n_elements(shape) != Some(data.len()) {
            return Err(NdError::Elements { op: "from_host", shape: shape.into(), got: data.len() });
        }
        NdTensor::from_vec("from_host", shape, data.iter().map(|&x| A::from_f64(x)).collect())
    }
    fn to_host(&self) -> std::result::Result<Vec<f64>, NdError> {
        Ok(self.elements("to_host")?.iter().map(|&x| x.to_f64()).collect())
    }

    fn add(&self, rhs: &Self) -> Result<A> { self.zip("add", rhs, |x, y| x + y) }
    fn sub(&self, rhs: &Self) -> Result<A> { self.zip("sub", rhs, |x, y| x - y) }
    fn mul(&self, rhs: &Self) -> Result<A> { self.zip("mul", rhs, |x, y| x * y) }
    fn div(&self, rhs: &Self) -> Result<A> { self.zip("div", rhs, |x, y| x / y) }
    fn pow(&self, rhs: &Self) -> Result<A> { self.zip("pow", rhs, A::powf) }
    fn lt(&self, rhs: &Self) -> Result<A> { self.zip("lt", rhs, |x, y| A::mask(x < y)) }
    fn eq(&self, rhs: &Self) -> Result<A> { self.zip("eq", rhs, |x, y| A::mask(x == y)) }
    fn select(&self, a: &Self, b: &Self) -> Result<A> { self.choose(a, b) }
    fn exp(&self) -> Result<A> { self.apply("exp", math::Exp) }
    fn ln(&self) -> Result<A> { self.apply("ln", math::Ln) }
    fn sin(&self) -> Result<A> { self.map_within("sin", TRIG_LIMIT, math::Sin, A::sin) }
    fn cos(&self) -> Result<A> { self.map_within("cos", TRIG_LIMIT, math::Cos, A::cos) }
    fn tanh(&self) -> Result<A> { self.apply("tanh", math::Tanh) }
    fn sqrt(&self) -> Result<A> { self.map("sqrt", A::sqrt) }
    fn sum(&self, axes: &[usize]) -> Result<A> { self.sum_over("sum", axes) }
    fn max(&self, axes: &[usize]) -> Result<A> { self.max_over(axes) }
    fn reshape(&self, shape: &[usize]) -> Result<A> { self.reshaped(shape) }
    fn permute(&self, axes: &[usize]) -> Result<A> { self.permuted(axes) }
    fn expand(&self, shape: &[usize]) -> Result<A> { self.expanded("expand", shape) }
    fn matmul(&self, rhs: &Self) -> Result<A> { self.product(rhs) }

    fn neg(&self) -> Result<A> { self.map("neg", |x| -x) }
    fn scale(&self, by: f64) -> Result<A> {
        let by = A::from_f64(by);
        self.map("scale", |x| x * by)
    }
    fn shift(&self, by: f64) -> Result<A> {
        let by = A::from_f64(by);
        self.map("shift", |x| x + by)
    }
    fn recip(&self) -> Result<A> { self.map("recip", |x| A::ONE / x) }
    fn powf(&self, exponent: f64) -> Result<A> {
        // Half of all exponents are small whole numbers, which need no call of `pow`.
        match exponent.trunc() == exponent && (-2.0..=4.0).contains(&exponent) {
            true => self.powi(exponent as i32),
            false => {
                let exponent = A::from_f64(exponent);
                self.map("powf", |x| x.powf(exponent))
            }
        }
    }
    fn powi(&self, exponent: i32) -> Result<A> {
        match exponent {
            0 => self.map("powi", |_| A::ONE),
            1 => Ok(self.clone()),
            2 => self.map("powi", |x| x * x),
            3 => self.map("powi", |x| x * x * x),
            4 => self.map("powi", |x| (x * x) * (x * x)),
            -1 => self.recip(),
            // Not 1 / (x · x): x · x loses digits before 1 / x does.
            -2 => self.map("powi", |x| (A::ONE / x) * (A::ONE / x)),
            // Repeated products would gather rounding errors.
            _ => {
                let exponent = A::from_f64(f64::from(exponent));
                self.map("powi", |x| x.powf(exponent))
            }
        }
    }
    fn abs(&self) -> Result<A> { self.map("abs", A::abs) }
    fn sign(&self) -> Result<A> {
        self.map("sign", |x| A::mask(x > A::ZERO) - A::mask(x < A::ZERO))
    }
    fn relu(&self) -> Result<A> { self.map("relu", |x| if x < A::ZERO { A::ZERO } else { x }) }
    fn maximum(&self, rhs: &Self) -> Result<A> {
        self.zip("maximum", rhs, larger)
    }
    fn minimum(&self, rhs: &Self) -> Result<A> {
        self.zip("minimum", rhs, smaller)
    }
    fn le(&self, rhs: &Self) -> Result<A> { self.zip("le", rhs, |x, y| A::mask(x <= y)) }
    fn ne(&self, rhs: &Self) -> Result<A> { self.zip("ne", rhs, |x, y| A::mask(x != y)) }
    fn mul_or_zero(&self, p: &Self) -> Result<A> {
        self.zip("mul_or_zero", p, |c, p| if c == A::ZERO { A::ZERO } else { c * p })
    }
    fn min(&self, axes: &[usize]) -> Result<A> { self.min_over(axes) }
    fn mean(&self, axes: &[usize]) -> Result<A> { self.mean_over("mean", axes) }
    fn expm1(&self) -> Result<A> { self.apply("expm1", math::Expm1) }
    fn exp2(&self) -> Result<A> { self.apply("exp2", math::Exp2) }
    fn log2(&self) -> Result<A> { self.apply("log2", math::Log2) }
    fn log10(&self) -> Result<A> { self.map("log10", A::log10) }
    fn log1p(&self) -> Result<A> { self.apply("log1p", math::Log1p) }
    fn tan(&self) -> Result<A> { self.map("tan", A::tan) }
    fn asin(&self) -> Result<A> { self.map("asin", A::asin) }
    fn acos(&self) -> Result<A> { self.map("acos", A::acos) }
    fn atan(&self) -> Result<A> { self.map("atan", A::atan) }
    fn sinh(&self) -> Result<A> { self.map("sinh", A::sinh) }
    fn cosh(&self) -> Result<A> { self.map("cosh", A::cosh) }
    // The standard library's inverses lose digits.
    fn asinh(&self) -> Result<A> { self.map("asinh", |x| A::from_f64(libm::asinh(x.to_f64()))) }
    fn acosh(&self) -> Result<A> { self.map("acosh", |x| A::from_f64(libm::acosh(x.to_f64()))) }
    fn atanh(&self) -> Result<A> { self.map("atanh", |x| A::from_f64(libm::atanh(x.to_f64()))) }
    fn erf(&self) -> Result<A> { self.apply("erf", math::Erf) }
    fn floor(&self) -> Result<A> { self.map("floor", A::floor) }
    fn ceil(&self) -> Result<A> { self.map("ceil", A::ceil) }
    fn round(&self) -> Result<A> { self.map("round", A::ties_to_even) }
    fn trunc(&self) -> Result<A> { self.map("trunc", A::trunc) }
    fn atan2(&self, x: &Self) -> Result<A> { self.zip("atan2", x, A::atan2) }
    fn square(&self) -> Result<A> { self.map("square", |x| x * x) }
    fn rsqrt(&self) -> Result<A> { self.map("rsqrt", |x| A::ONE / x.sqrt()) }
    fn sigmoid(&self) -> Result<A> { self.apply("sigmoid", math::Sigmoid) }
    fn softplus(&self) -> Result<A> { self.apply("softplus", math::Softplus) }
    fn softmax(&self, axis: usize) -> Result<A> { self.softmaxed(axis) }
    fn log_softmax(&self, axis: usize) -> Result<A> { self.log_softmaxed(axis) }
    fn cumsum(&self, axis: usize) -> Result<A> { self.running_sum(axis) }
    fn reverse_cumsum(&self, axis: usize) -> Result<A> { self.reverse_running_sum(axis) }
    fn sum_to(&self, shape: &[usize]) -> Result<A> { self.summed_to(shape) }
    fn accumulate(self, rhs: &Self) -> Result<A> { self.add_into(rhs) }

    fn slice(&self, slices: &[Slice]) -> Result<A> { self.sliced(slices) }
    fn unslice(&self, shape: &[usize], slices: &[Slice]) -> Result<A> { self.unsliced(shape, slices) }
    fn index_select(&self, axis: usize, index: &[usize]) -> Result<A> { self.selected(axis, index) }
    fn index_add(&self, axis: usize, index: &[usize], size: usize) -> Result<A> {
        self.added_at(axis, index, size)
    }
    fn gather(&self, axis: usize, index: &Index) -> Result<A> { self.gathered(axis, index) }
    fn scatter_add(&self, axis: usize, index: &Index, shape: &[usize]) -> Result<A> {
        self.scattered(axis, index, shape)
    }
    fn concat(&self, others: &[&Self], axis: usize) -> Result<A> { self.joined(others, axis) }
    fn unfold(&self, axis: usize, window: Window) -> Result<A> { self.unfolded(axis, window) }
    fn fold(&self, axis: usize, window: Window, n: usize) -> Result<A> {
        self.folded(axis, window, n)
    }
    fn solve(&self, rhs: &Self) -> Result<A> { linalg::solve(self, rhs) }
    fn triangular_solve(&self, rhs: &Self, upper: bool) -> Result<A> {
        linalg::triangular_solve(self, rhs, upper)
    }
    fn inv(&self) -> Result<A> { linalg::inv(self) }
    fn slogdet(&self) -> Result<A> { linalg::slogdet(self) }
    fn cholesky(&self) -> Result<A> { linalg::cholesky(self) }
    fn eigh(&self) -> Result<A> { linalg::eigh(self) }
}
