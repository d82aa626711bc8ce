//! `TensorLike` for `CandleTensor`: which function serves which method.

use candle_core::Tensor;
use grad_core::extend::{DType, Index, Slice, Storage, TensorLike, Window, stretched_axes};
use grad_linalg::Matrices;

use crate::error::{CandleError, Result};
use crate::tensor::{CandleTensor, dtype_of};
use crate::{elementwise as each, kernels as k, linalg, matmul, movement, reduce, tensor, window};

/// Exact where `x + 0` is not: −0 + 0 is 0.
const NOTHING: f64 = -0.0;

#[inline]
fn wrap(tensor: Result<Tensor>) -> Result<CandleTensor> {
    tensor.map(CandleTensor)
}

#[rustfmt::skip] // One method a line: the whole backend on one screen.
impl TensorLike for CandleTensor {
    type Error = CandleError;

    #[inline] fn shape(&self) -> &[usize] { self.0.dims() }
    #[inline] fn dtype(&self) -> DType { dtype_of(&self.0) }
    fn storage(&self) -> Storage { tensor::storage(&self.0) }
    fn full(&self, shape: &[usize], value: f64) -> Result<Self> { wrap(tensor::full(&self.0, shape, value)) }
    fn from_host(&self, shape: &[usize], data: &[f64]) -> Result<Self> { wrap(tensor::from_host(&self.0, shape, data)) }
    fn to_host(&self) -> Result<Vec<f64>> { tensor::to_host(&self.0) }
    fn has_nan(&self) -> Result<bool> { tensor::has_nan(&self.0) }
    fn has_zero(&self) -> Result<bool> { tensor::has_zero(&self.0) }

    fn add(&self, rhs: &Self) -> Result<Self> { wrap(each::arithmetic(k::Add, Tensor::add, &self.0, &rhs.0)) }
    fn sub(&self, rhs: &Self) -> Result<Self> { wrap(each::arithmetic(k::Sub, Tensor::sub, &self.0, &rhs.0)) }
    fn mul(&self, rhs: &Self) -> Result<Self> { wrap(each::arithmetic(k::Mul, Tensor::mul, &self.0, &rhs.0)) }
    fn div(&self, rhs: &Self) -> Result<Self> { wrap(each::arithmetic(k::Div, Tensor::div, &self.0, &rhs.0)) }
    fn pow(&self, rhs: &Self) -> Result<Self> { wrap(each::pow(&self.0, &rhs.0)) }
    fn lt(&self, rhs: &Self) -> Result<Self> { wrap(each::lt(&self.0, &rhs.0)) }
    fn eq(&self, rhs: &Self) -> Result<Self> { wrap(each::eq(&self.0, &rhs.0)) }
    fn select(&self, a: &Self, b: &Self) -> Result<Self> { wrap(each::select(&self.0, &a.0, &b.0)) }
    fn exp(&self) -> Result<Self> { wrap(each::function("exp", Tensor::exp, &self.0)) }
    fn ln(&self) -> Result<Self> { wrap(each::function("ln", Tensor::log, &self.0)) }
    fn sin(&self) -> Result<Self> { wrap(each::function("sin", Tensor::sin, &self.0)) }
    fn cos(&self) -> Result<Self> { wrap(each::function("cos", Tensor::cos, &self.0)) }
    fn tanh(&self) -> Result<Self> { wrap(each::function("tanh", Tensor::tanh, &self.0)) }
    fn sqrt(&self) -> Result<Self> { wrap(each::function("sqrt", Tensor::sqrt, &self.0)) }
    fn sum(&self, axes: &[usize]) -> Result<Self> { wrap(reduce::sum(&self.0, axes)) }
    fn max(&self, axes: &[usize]) -> Result<Self> { wrap(reduce::max(&self.0, axes)) }
    fn reshape(&self, shape: &[usize]) -> Result<Self> { wrap(movement::reshape(&self.0, shape)) }
    fn permute(&self, axes: &[usize]) -> Result<Self> { wrap(movement::permute(&self.0, axes)) }
    fn expand(&self, shape: &[usize]) -> Result<Self> { wrap(movement::expand(&self.0, shape)) }
    fn matmul(&self, rhs: &Self) -> Result<Self> { wrap(matmul::matmul(&self.0, &rhs.0)) }

    fn scalar(&self, value: f64) -> Result<Self> { wrap(tensor::scalar(&self.0, value)) }
    fn neg(&self) -> Result<Self> { wrap(each::function("neg", Tensor::neg, &self.0)) }
    fn scale(&self, by: f64) -> Result<Self> { wrap(each::affine(&self.0, by, NOTHING)) }
    fn shift(&self, by: f64) -> Result<Self> { wrap(each::affine(&self.0, 1.0, by)) }
    fn recip(&self) -> Result<Self> { wrap(each::function("recip", Tensor::recip, &self.0)) }
    fn powf(&self, exponent: f64) -> Result<Self> { wrap(each::powf(&self.0, exponent)) }
    fn abs(&self) -> Result<Self> { wrap(each::function("abs", Tensor::abs, &self.0)) }
    fn sign(&self) -> Result<Self> { wrap(each::function("sign", Tensor::sign, &self.0)) }
    fn relu(&self) -> Result<Self> { wrap(each::relu(&self.0)) }
    fn maximum(&self, rhs: &Self) -> Result<Self> { wrap(each::maximum(&self.0, &rhs.0)) }
    fn minimum(&self, rhs: &Self) -> Result<Self> { wrap(each::minimum(&self.0, &rhs.0)) }
    fn le(&self, rhs: &Self) -> Result<Self> { wrap(each::le(&self.0, &rhs.0)) }
    fn ne(&self, rhs: &Self) -> Result<Self> { wrap(each::ne(&self.0, &rhs.0)) }
    fn mul_or_zero(&self, p: &Self) -> Result<Self> { wrap(each::mul_or_zero(&self.0, &p.0)) }
    fn expm1(&self) -> Result<Self> { wrap(each::function_on_cpu(k::Expm1, &self.0)) }
    fn exp2(&self) -> Result<Self> { wrap(each::function_on_cpu(k::Exp2, &self.0)) }
    fn log2(&self) -> Result<Self> { wrap(each::function_on_cpu(k::Log2, &self.0)) }
    fn log10(&self) -> Result<Self> { wrap(each::function_on_cpu(k::Log10, &self.0)) }
    fn log1p(&self) -> Result<Self> { wrap(each::function_on_cpu(k::Log1p, &self.0)) }
    fn tan(&self) -> Result<Self> { wrap(each::function_on_cpu(k::Tan, &self.0)) }
    fn asin(&self) -> Result<Self> { wrap(each::function_on_cpu(k::Asin, &self.0)) }
    fn acos(&self) -> Result<Self> { wrap(each::function_on_cpu(k::Acos, &self.0)) }
    fn atan(&self) -> Result<Self> { wrap(each::function_on_cpu(k::Atan, &self.0)) }
    fn sinh(&self) -> Result<Self> { wrap(each::function_on_cpu(k::Sinh, &self.0)) }
    fn cosh(&self) -> Result<Self> { wrap(each::function_on_cpu(k::Cosh, &self.0)) }
    fn asinh(&self) -> Result<Self> { wrap(each::function_on_cpu(k::Asinh, &self.0)) }
    fn acosh(&self) -> Result<Self> { wrap(each::function_on_cpu(k::Acosh, &self.0)) }
    fn atanh(&self) -> Result<Self> { wrap(each::function_on_cpu(k::Atanh, &self.0)) }
    fn erf(&self) -> Result<Self> { wrap(each::function_on_cpu(k::Erf, &self.0)) }
    fn normal_cdf(&self) -> Result<Self> { wrap(each::function_on_cpu(k::NormalCdf, &self.0)) }
    fn normal_cdf_tanh(&self) -> Result<Self> { wrap(each::function_on_cpu(k::NormalCdfTanh, &self.0)) }
    fn floor(&self) -> Result<Self> { wrap(each::function("floor", Tensor::floor, &self.0)) }
    fn ceil(&self) -> Result<Self> { wrap(each::function("ceil", Tensor::ceil, &self.0)) }
    fn round(&self) -> Result<Self> { wrap(each::function_on_cpu(k::Round, &self.0)) }
    fn trunc(&self) -> Result<Self> { wrap(each::function_on_cpu(k::Trunc, &self.0)) }
    fn atan2(&self, x: &Self) -> Result<Self> { wrap(each::atan2(&self.0, &x.0)) }
    fn square(&self) -> Result<Self> { wrap(each::function("square", Tensor::sqr, &self.0)) }
    fn rsqrt(&self) -> Result<Self> { wrap(each::rsqrt(&self.0)) }
    fn sigmoid(&self) -> Result<Self> { wrap(each::sigmoid(&self.0)) }
    fn logistic_density(&self) -> Result<Self> { wrap(each::logistic_density(&self.0)) }
    fn softplus(&self) -> Result<Self> { wrap(each::softplus(&self.0)) }
    fn softmax(&self, axis: usize) -> Result<Self> { wrap(reduce::softmax(&self.0, axis)) }
    fn log_softmax(&self, axis: usize) -> Result<Self> { wrap(reduce::log_softmax(&self.0, axis)) }
    fn cumsum(&self, axis: usize) -> Result<Self> { wrap(reduce::cumsum(&self.0, axis)) }
    fn reverse_cumsum(&self, axis: usize) -> Result<Self> { wrap(reduce::reverse_cumsum(&self.0, axis)) }
    fn min(&self, axes: &[usize]) -> Result<Self> { wrap(reduce::min(&self.0, axes)) }
    fn mean(&self, axes: &[usize]) -> Result<Self> { wrap(reduce::mean(&self.0, axes)) }
    fn sum_to(&self, shape: &[usize]) -> Result<Self> {
        if tensor::same_shape(self.shape(), shape) { return Ok(self.clone()); }
        self.sum(&stretched_axes(shape, self.shape()))?.reshape(shape)
    }

    fn slice(&self, slices: &[Slice]) -> Result<Self> { wrap(movement::slice(&self.0, slices)) }
    fn unslice(&self, shape: &[usize], slices: &[Slice]) -> Result<Self> { wrap(movement::unslice(&self.0, shape, slices)) }
    fn index_select(&self, axis: usize, index: &[usize]) -> Result<Self> { wrap(movement::index_select(&self.0, axis, index)) }
    fn index_add(&self, axis: usize, index: &[usize], size: usize) -> Result<Self> { wrap(movement::index_add(&self.0, axis, index, size)) }
    fn gather(&self, axis: usize, index: &Index) -> Result<Self> { wrap(movement::gather(&self.0, axis, index)) }
    fn scatter_add(&self, axis: usize, index: &Index, shape: &[usize]) -> Result<Self> { wrap(movement::scatter_add(&self.0, axis, index, shape)) }
    fn concat(&self, others: &[&Self], axis: usize) -> Result<Self> {
        let others: Vec<&Tensor> = others.iter().map(|other| &other.0).collect();
        wrap(movement::concat(&self.0, &others, axis))
    }
    fn unfold(&self, axis: usize, windows: Window) -> Result<Self> { wrap(window::unfold(&self.0, axis, windows)) }
    fn fold(&self, axis: usize, windows: Window, n: usize) -> Result<Self> { wrap(window::fold(&self.0, axis, windows, n)) }
    fn solve(&self, rhs: &Self) -> Result<Self> { wrap(linalg::solved("solve", &self.0, &rhs.0, grad_linalg::solve)) }
    fn triangular_solve(&self, rhs: &Self, upper: bool) -> Result<Self> {
        let solve = |a: Matrices<'_>, b: Matrices<'_>| grad_linalg::triangular_solve(a, b, upper);
        wrap(linalg::solved("triangular_solve", &self.0, &rhs.0, solve))
    }
    fn inv(&self) -> Result<Self> { wrap(linalg::factored("inv", &self.0, |n| [n, n], grad_linalg::inv)) }
    fn slogdet(&self) -> Result<Self> { wrap(linalg::factored("slogdet", &self.0, |_| [2], grad_linalg::slogdet)) }
    fn cholesky(&self) -> Result<Self> { wrap(linalg::factored("cholesky", &self.0, |n| [n, n], grad_linalg::cholesky)) }
    fn eigh(&self) -> Result<Self> { wrap(linalg::factored("eigh", &self.0, |n| [n + 1, n], grad_linalg::eigh)) }
}
