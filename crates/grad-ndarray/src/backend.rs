//! `TensorLike` for `NdTensor`: which kernel, with which formula.

use grad_core::extend::{
    Binary, DType, Index, Kernel, Shape, Slice, Storage, TensorLike, Unary, Window, n_elements,
};

use crate::element::Element;
use crate::error::NdError;
use crate::linalg;
use crate::tensor::{NdTensor, checked, reserved};

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
        let mut elements = reserved("from_host", shape)?;
        elements.extend(data.iter().map(|&x| A::from_f64(x)));
        NdTensor::from_vec("from_host", shape, elements)
    }
    fn to_host(&self) -> std::result::Result<Vec<f64>, NdError> {
        Ok(self.elements("to_host")?.iter().map(|&x| x.to_f64()).collect())
    }
    fn has_nan(&self) -> std::result::Result<bool, NdError> { Ok(self.any(A::is_nan)) }
    fn has_zero(&self) -> std::result::Result<bool, NdError> { Ok(self.any(|x| x == A::ZERO)) }

    fn neg(&self) -> Result<A> { self.unary(Unary::Neg) }
    fn scale(&self, by: f64) -> Result<A> { self.unary(Unary::Scale(by)) }
    fn shift(&self, by: f64) -> Result<A> { self.unary(Unary::Shift(by)) }
    fn recip(&self) -> Result<A> { self.unary(Unary::Recip) }
    fn square(&self) -> Result<A> { self.unary(Unary::Square) }
    fn sqrt(&self) -> Result<A> { self.unary(Unary::Sqrt) }
    fn rsqrt(&self) -> Result<A> { self.unary(Unary::Rsqrt) }
    fn powf(&self, exponent: f64) -> Result<A> { self.unary(Unary::Powf(exponent)) }
    fn powi(&self, exponent: i32) -> Result<A> { self.unary(Unary::Powi(exponent)) }
    fn exp(&self) -> Result<A> { self.unary(Unary::Exp) }
    fn exp2(&self) -> Result<A> { self.unary(Unary::Exp2) }
    fn expm1(&self) -> Result<A> { self.unary(Unary::Expm1) }
    fn ln(&self) -> Result<A> { self.unary(Unary::Ln) }
    fn log2(&self) -> Result<A> { self.unary(Unary::Log2) }
    fn log10(&self) -> Result<A> { self.unary(Unary::Log10) }
    fn log1p(&self) -> Result<A> { self.unary(Unary::Log1p) }
    fn sin(&self) -> Result<A> { self.unary(Unary::Sin) }
    fn cos(&self) -> Result<A> { self.unary(Unary::Cos) }
    fn tan(&self) -> Result<A> { self.unary(Unary::Tan) }
    fn asin(&self) -> Result<A> { self.unary(Unary::Asin) }
    fn acos(&self) -> Result<A> { self.unary(Unary::Acos) }
    fn atan(&self) -> Result<A> { self.unary(Unary::Atan) }
    fn sinh(&self) -> Result<A> { self.unary(Unary::Sinh) }
    fn cosh(&self) -> Result<A> { self.unary(Unary::Cosh) }
    fn tanh(&self) -> Result<A> { self.unary(Unary::Tanh) }
    fn asinh(&self) -> Result<A> { self.unary(Unary::Asinh) }
    fn acosh(&self) -> Result<A> { self.unary(Unary::Acosh) }
    fn atanh(&self) -> Result<A> { self.unary(Unary::Atanh) }
    fn erf(&self) -> Result<A> { self.unary(Unary::Erf) }
    fn normal_cdf(&self) -> Result<A> { self.unary(Unary::NormalCdf) }
    fn normal_cdf_tanh(&self) -> Result<A> { self.unary(Unary::NormalCdfTanh) }
    fn sigmoid(&self) -> Result<A> { self.unary(Unary::Sigmoid) }
    fn logistic_density(&self) -> Result<A> { self.unary(Unary::LogisticDensity) }
    fn softplus(&self) -> Result<A> { self.unary(Unary::Softplus) }
    fn relu(&self) -> Result<A> { self.unary(Unary::Relu) }
    fn abs(&self) -> Result<A> { self.unary(Unary::Abs) }
    fn sign(&self) -> Result<A> { self.unary(Unary::Sign) }
    fn floor(&self) -> Result<A> { self.unary(Unary::Floor) }
    fn ceil(&self) -> Result<A> { self.unary(Unary::Ceil) }
    fn round(&self) -> Result<A> { self.unary(Unary::Round) }
    fn trunc(&self) -> Result<A> { self.unary(Unary::Trunc) }

    fn add(&self, rhs: &Self) -> Result<A> { self.binary(Binary::Add, rhs) }
    fn sub(&self, rhs: &Self) -> Result<A> { self.binary(Binary::Sub, rhs) }
    fn mul(&self, rhs: &Self) -> Result<A> { self.binary(Binary::Mul, rhs) }
    fn div(&self, rhs: &Self) -> Result<A> { self.binary(Binary::Div, rhs) }
    fn pow(&self, rhs: &Self) -> Result<A> { self.binary(Binary::Pow, rhs) }
    fn lt(&self, rhs: &Self) -> Result<A> { self.binary(Binary::Lt, rhs) }
    fn le(&self, rhs: &Self) -> Result<A> { self.binary(Binary::Le, rhs) }
    fn eq(&self, rhs: &Self) -> Result<A> { self.binary(Binary::Eq, rhs) }
    fn ne(&self, rhs: &Self) -> Result<A> { self.binary(Binary::Ne, rhs) }
    fn maximum(&self, rhs: &Self) -> Result<A> { self.binary(Binary::Maximum, rhs) }
    fn minimum(&self, rhs: &Self) -> Result<A> { self.binary(Binary::Minimum, rhs) }
    fn atan2(&self, x: &Self) -> Result<A> { self.binary(Binary::Atan2, x) }
    fn mul_or_zero(&self, p: &Self) -> Result<A> { self.binary(Binary::MulOrZero, p) }
    fn select(&self, a: &Self, b: &Self) -> Result<A> { A::select(self, a, b) }
    fn evaluate(kernel: &Kernel, x: &[&Self]) -> Result<A> { A::evaluate(kernel, x) }
    fn accumulate(self, rhs: &Self) -> Result<A> { self.add_into(rhs) }

    fn sum(&self, axes: &[usize]) -> Result<A> { self.sum_over("sum", axes) }
    fn sum_to(&self, shape: &[usize]) -> Result<A> { self.summed_to(shape) }
    fn mean(&self, axes: &[usize]) -> Result<A> { self.mean_over("mean", axes) }
    fn max(&self, axes: &[usize]) -> Result<A> { self.max_over(axes) }
    fn min(&self, axes: &[usize]) -> Result<A> { self.min_over(axes) }
    fn softmax(&self, axis: usize) -> Result<A> { self.softmaxed(axis) }
    fn log_softmax(&self, axis: usize) -> Result<A> { self.log_softmaxed(axis) }
    fn softmax_jacobian(&self, c: &Self, axis: usize) -> Result<A> { self.times_softmax_jacobian(c, axis) }
    fn cumsum(&self, axis: usize) -> Result<A> { self.running_sum(axis) }
    fn reverse_cumsum(&self, axis: usize) -> Result<A> { self.reverse_running_sum(axis) }

    fn reshape(&self, shape: &[usize]) -> Result<A> { self.reshaped(shape) }
    fn permute(&self, axes: &[usize]) -> Result<A> { self.permuted(axes) }
    fn expand(&self, shape: &[usize]) -> Result<A> { self.expanded("expand", shape) }
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
    fn matmul(&self, rhs: &Self) -> Result<A> { self.product(rhs) }
    fn solve(&self, rhs: &Self) -> Result<A> { linalg::solve(self, rhs) }
    fn triangular_solve(&self, rhs: &Self, upper: bool) -> Result<A> {
        linalg::triangular_solve(self, rhs, upper)
    }
    fn inv(&self) -> Result<A> { linalg::inv(self) }
    fn slogdet(&self) -> Result<A> { linalg::slogdet(self) }
    fn cholesky(&self) -> Result<A> { linalg::cholesky(self) }
    fn eigh(&self) -> Result<A> { linalg::eigh(self) }
}
