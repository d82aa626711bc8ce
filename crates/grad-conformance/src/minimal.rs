//! `Minimal`: a backend stripped of its overrides.

use grad_core::extend::{DType, Index, Slice, TensorLike, Window};

/// A tensor that forwards the required and the optional methods of another, and leaves the provided
/// ones to their definitions; so that a comparison with the tensor itself tests its overrides.
#[derive(Clone, Debug)]
pub struct Minimal<T>(pub T);

#[rustfmt::skip] // One method a line: what is forwarded, on one screen.
impl<T: TensorLike> TensorLike for Minimal<T> {
    type Error = T::Error;

    fn shape(&self) -> &[usize] { self.0.shape() }
    fn dtype(&self) -> DType { self.0.dtype() }
    fn full(&self, shape: &[usize], value: f64) -> Result<Self, T::Error> { self.0.full(shape, value).map(Minimal) }
    fn from_host(&self, shape: &[usize], data: &[f64]) -> Result<Self, T::Error> { self.0.from_host(shape, data).map(Minimal) }
    fn to_host(&self) -> Result<Vec<f64>, T::Error> { self.0.to_host() }
    fn add(&self, rhs: &Self) -> Result<Self, T::Error> { self.0.add(&rhs.0).map(Minimal) }
    fn sub(&self, rhs: &Self) -> Result<Self, T::Error> { self.0.sub(&rhs.0).map(Minimal) }
    fn mul(&self, rhs: &Self) -> Result<Self, T::Error> { self.0.mul(&rhs.0).map(Minimal) }
    fn div(&self, rhs: &Self) -> Result<Self, T::Error> { self.0.div(&rhs.0).map(Minimal) }
    fn pow(&self, rhs: &Self) -> Result<Self, T::Error> { self.0.pow(&rhs.0).map(Minimal) }
    fn lt(&self, rhs: &Self) -> Result<Self, T::Error> { self.0.lt(&rhs.0).map(Minimal) }
    fn eq(&self, rhs: &Self) -> Result<Self, T::Error> { self.0.eq(&rhs.0).map(Minimal) }
    fn select(&self, a: &Self, b: &Self) -> Result<Self, T::Error> { self.0.select(&a.0, &b.0).map(Minimal) }
    fn exp(&self) -> Result<Self, T::Error> { self.0.exp().map(Minimal) }
    fn ln(&self) -> Result<Self, T::Error> { self.0.ln().map(Minimal) }
    fn sin(&self) -> Result<Self, T::Error> { self.0.sin().map(Minimal) }
    fn cos(&self) -> Result<Self, T::Error> { self.0.cos().map(Minimal) }
    fn tanh(&self) -> Result<Self, T::Error> { self.0.tanh().map(Minimal) }
    fn sqrt(&self) -> Result<Self, T::Error> { self.0.sqrt().map(Minimal) }
    fn sum(&self, axes: &[usize]) -> Result<Self, T::Error> { self.0.sum(axes).map(Minimal) }
    fn max(&self, axes: &[usize]) -> Result<Self, T::Error> { self.0.max(axes).map(Minimal) }
    fn reshape(&self, shape: &[usize]) -> Result<Self, T::Error> { self.0.reshape(shape).map(Minimal) }
    fn permute(&self, axes: &[usize]) -> Result<Self, T::Error> { self.0.permute(axes).map(Minimal) }
    fn expand(&self, shape: &[usize]) -> Result<Self, T::Error> { self.0.expand(shape).map(Minimal) }
    fn matmul(&self, rhs: &Self) -> Result<Self, T::Error> { self.0.matmul(&rhs.0).map(Minimal) }
    fn slice(&self, slices: &[Slice]) -> Result<Self, T::Error> { self.0.slice(slices).map(Minimal) }
    fn unslice(&self, shape: &[usize], slices: &[Slice]) -> Result<Self, T::Error> { self.0.unslice(shape, slices).map(Minimal) }
    fn index_select(&self, axis: usize, index: &[usize]) -> Result<Self, T::Error> { self.0.index_select(axis, index).map(Minimal) }
    fn index_add(&self, axis: usize, index: &[usize], size: usize) -> Result<Self, T::Error> { self.0.index_add(axis, index, size).map(Minimal) }
    fn gather(&self, axis: usize, index: &Index) -> Result<Self, T::Error> { self.0.gather(axis, index).map(Minimal) }
    fn scatter_add(&self, axis: usize, index: &Index, shape: &[usize]) -> Result<Self, T::Error> { self.0.scatter_add(axis, index, shape).map(Minimal) }
    fn concat(&self, others: &[&Self], axis: usize) -> Result<Self, T::Error> {
        let others: Vec<&T> = others.iter().map(|other| &other.0).collect();
        self.0.concat(&others, axis).map(Minimal)
    }
    fn unfold(&self, axis: usize, window: Window) -> Result<Self, T::Error> { self.0.unfold(axis, window).map(Minimal) }
    fn fold(&self, axis: usize, window: Window, n: usize) -> Result<Self, T::Error> { self.0.fold(axis, window, n).map(Minimal) }
    fn solve(&self, rhs: &Self) -> Result<Self, T::Error> { self.0.solve(&rhs.0).map(Minimal) }
    fn triangular_solve(&self, rhs: &Self, upper: bool) -> Result<Self, T::Error> { self.0.triangular_solve(&rhs.0, upper).map(Minimal) }
    fn inv(&self) -> Result<Self, T::Error> { self.0.inv().map(Minimal) }
    fn slogdet(&self) -> Result<Self, T::Error> { self.0.slogdet().map(Minimal) }
    fn cholesky(&self) -> Result<Self, T::Error> { self.0.cholesky().map(Minimal) }
    fn eigh(&self) -> Result<Self, T::Error> { self.0.eigh().map(Minimal) }
}
