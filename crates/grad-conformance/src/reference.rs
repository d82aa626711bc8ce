//! `Reference`: a backend that is obviously right, and slow.
//!
//! It is the oracle of the tests. Everything is defined element by element, by index; all index
//! arithmetic is in `at` and `index_of`. It overrides no provided method of [`TensorLike`], so
//! that a comparison with it is a comparison with the definitions given there.

use std::fmt;
use std::sync::Arc;

use crate::matrices::{self, Eliminated};
use grad_core::extend::{
    DType, Error, ErrorKind, Index, Shape, Slice, TensorLike, Unsupported, Window, broadcast,
};

/// A row-major tensor of `f64`, of any rank.
///
/// ```
/// use grad_conformance::Reference;
/// use grad_core::TensorLike;
///
/// let x = Reference::new([2, 3], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0])?;
/// assert_eq!(x.sum(&[0])?, Reference::from(vec![5.0, 7.0, 9.0]));
/// # Ok::<(), grad_conformance::reference::ReferenceError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Reference {
    shape: Shape,
    data: Arc<[f64]>,
}

impl Reference {
    /// A tensor of `shape` with the elements `data` in row-major order.
    ///
    /// # Errors
    /// [`ReferenceError::Refused`] if `shape` does not have as many elements as `data`.
    pub fn new(shape: impl Into<Shape>, data: Vec<f64>) -> Result<Reference, ReferenceError> {
        let shape = shape.into();
        match size(&shape)? == data.len() {
            true => Ok(Reference { shape, data: data.into() }),
            false => Err(mismatch(&shape, &[data.len()], "have different numbers of elements")),
        }
    }

    /// The elements in row-major order.
    pub fn data(&self) -> &[f64] {
        &self.data
    }

    /// The element at `index`, which may be an index of a tensor that `self` broadcasts to.
    fn get(&self, index: &[usize]) -> f64 {
        self.data[at(index, &self.shape)]
    }

    /// The tensor of `shape` with `f(index)` at each index.
    fn tabulate(
        shape: impl Into<Shape>,
        f: impl Fn(&[usize]) -> f64,
    ) -> Result<Reference, ReferenceError> {
        let shape = shape.into();
        let data = (0..size(&shape)?).map(|place| f(&index_of(place, &shape))).collect();
        Ok(Reference { shape, data })
    }

    /// `f` of the elements of tensors that broadcast.
    fn map<const N: usize>(
        x: [&Reference; N],
        f: impl Fn([f64; N]) -> f64,
    ) -> Result<Reference, ReferenceError> {
        let shape = broadcast(&x.map(|x| x.shape.clone()))?;
        Reference::tabulate(shape, |index| f(x.map(|x| x.get(index))))
    }

    /// A tensor of `shape` filled with `start`, into which `f(old, element)` puts each element of
    /// `self`, at the index that `target` makes of the element's own.
    fn scatter(
        &self,
        shape: impl Into<Shape>,
        start: f64,
        target: impl Fn(&[usize]) -> Vec<usize>,
        f: impl Fn(f64, f64) -> f64,
    ) -> Result<Reference, ReferenceError> {
        let shape = shape.into();
        let mut data = vec![start; size(&shape)?];
        for (place, &element) in self.data.iter().enumerate() {
            let old = &mut data[at(&target(&index_of(place, &self.shape)), &shape)];
            *old = f(*old, element);
        }
        Reference::new(shape, data)
    }

    /// Folds over `axes`, which are dropped.
    fn fold(
        &self,
        axes: &[usize],
        start: f64,
        f: impl Fn(f64, f64) -> f64,
    ) -> Result<Reference, ReferenceError> {
        check_axes(axes, self.shape.rank())?;
        let kept = |index: &[usize]| Shape::from(index).without(axes).to_vec();
        self.scatter(kept(&self.shape), start, kept, f)
    }
}

/// The place of `index` in a row-major tensor of `shape`: `(i₀ n₁ + i₁) n₂ + i₂`.
///
/// By NumPy's rule of broadcasting, surplus leading axes of `index` do not count, and neither do
/// those where the size is 1.
fn at(index: &[usize], shape: &[usize]) -> usize {
    let surplus = index.len().saturating_sub(shape.len());
    let both = index[surplus..].iter().zip(shape);
    both.fold(0, |place, (&i, &n)| place * n + if n == 1 { 0 } else { i })
}

/// The index of the element at `place` in a row-major tensor of `shape`; inverts [`at`].
fn index_of(mut place: usize, shape: &[usize]) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    for (i, &n) in index.iter_mut().zip(shape).rev() {
        (*i, place) = (place % n, place / n);
    }
    index
}

/// `index` with another entry for one axis.
fn replaced(index: &[usize], axis: usize, entry: usize) -> Vec<usize> {
    index.iter().enumerate().map(|(i, &old)| if i == axis { entry } else { old }).collect()
}

fn size(shape: &Shape) -> Result<usize, ReferenceError> {
    Ok(shape.n_elements().ok_or_else(|| ErrorKind::TooLarge { shape: shape.clone() })?)
}

fn mismatch(left: &[usize], right: &[usize], rule: &'static str) -> ReferenceError {
    ErrorKind::ShapeMismatch { left: left.into(), right: right.into(), rule }.into()
}

fn check_axes(axes: &[usize], rank: usize) -> Result<(), ReferenceError> {
    for (i, &axis) in axes.iter().enumerate() {
        if axis >= rank {
            return Err(ErrorKind::AxisOutOfRange { axis: axis as isize, rank }.into());
        }
        if axes[..i].contains(&axis) {
            return Err(ErrorKind::RepeatedAxis { axis: axis as isize }.into());
        }
    }
    Ok(())
}

fn check_index(index: &[usize], axis: usize, shape: &Shape) -> Result<(), ReferenceError> {
    check_axes(&[axis], shape.rank())?;
    match index.iter().find(|&&index| index >= shape[axis]) {
        Some(&index) => {
            Err(ErrorKind::IndexOutOfRange { index, axis, shape: shape.clone() }.into())
        }
        None => Ok(()),
    }
}

fn mask(condition: bool) -> f64 {
    f64::from(u8::from(condition))
}

#[rustfmt::skip] // The elementwise methods on one screen.
impl TensorLike for Reference {
    type Error = ReferenceError;

    fn shape(&self) -> &[usize] { &self.shape }
    fn dtype(&self) -> DType { DType::F64 }
    fn full(&self, shape: &[usize], value: f64) -> Result<Self, ReferenceError> { Reference::tabulate(shape, |_| value) }
    fn from_host(&self, shape: &[usize], data: &[f64]) -> Result<Self, ReferenceError> { Reference::new(shape, data.to_vec()) }
    fn to_host(&self) -> Result<Vec<f64>, ReferenceError> { Ok(self.data.to_vec()) }

    fn add(&self, rhs: &Self) -> Result<Self, ReferenceError> { Reference::map([self, rhs], |[x, y]| x + y) }
    fn sub(&self, rhs: &Self) -> Result<Self, ReferenceError> { Reference::map([self, rhs], |[x, y]| x - y) }
    fn mul(&self, rhs: &Self) -> Result<Self, ReferenceError> { Reference::map([self, rhs], |[x, y]| x * y) }
    fn div(&self, rhs: &Self) -> Result<Self, ReferenceError> { Reference::map([self, rhs], |[x, y]| x / y) }
    fn pow(&self, rhs: &Self) -> Result<Self, ReferenceError> { Reference::map([self, rhs], |[x, y]| x.powf(y)) }
    fn lt(&self, rhs: &Self) -> Result<Self, ReferenceError> { Reference::map([self, rhs], |[x, y]| mask(x < y)) }
    fn eq(&self, rhs: &Self) -> Result<Self, ReferenceError> { Reference::map([self, rhs], |[x, y]| mask(x == y)) }
    fn select(&self, a: &Self, b: &Self) -> Result<Self, ReferenceError> { Reference::map([self, a, b], |[mask, a, b]| if mask != 0.0 { a } else { b }) }
    fn exp(&self) -> Result<Self, ReferenceError> { Reference::map([self], |[x]| x.exp()) }
    fn ln(&self) -> Result<Self, ReferenceError> { Reference::map([self], |[x]| x.ln()) }
    fn sin(&self) -> Result<Self, ReferenceError> { Reference::map([self], |[x]| x.sin()) }
    fn cos(&self) -> Result<Self, ReferenceError> { Reference::map([self], |[x]| x.cos()) }
    fn tanh(&self) -> Result<Self, ReferenceError> { Reference::map([self], |[x]| x.tanh()) }
    fn sqrt(&self) -> Result<Self, ReferenceError> { Reference::map([self], |[x]| x.sqrt()) }

    fn sum(&self, axes: &[usize]) -> Result<Self, ReferenceError> {
        match axes {
            // Not 0 + x, which would make −0 to +0.
            [] => Ok(self.clone()),
            _ => self.fold(axes, 0.0, |sum, x| sum + x),
        }
    }

    fn max(&self, axes: &[usize]) -> Result<Self, ReferenceError> {
        // A NaN replaces everything, and nothing is larger than a NaN.
        let larger = |max: f64, x: f64| if x > max || x.is_nan() { x } else { max };
        let result = self.fold(axes, f64::NEG_INFINITY, larger)?;
        match self.data.is_empty() && !result.data.is_empty() {
            true => Err(ErrorKind::EmptyReduction { shape: self.shape.clone() }.into()),
            false => Ok(result),
        }
    }

    fn reshape(&self, shape: &[usize]) -> Result<Self, ReferenceError> {
        Reference::new(shape, self.data.to_vec())
    }

    fn permute(&self, axes: &[usize]) -> Result<Self, ReferenceError> {
        check_axes(axes, self.shape.rank())?;
        if axes.len() != self.shape.rank() {
            let axes = axes.iter().map(|&axis| axis as isize).collect();
            return Err(ErrorKind::NotAPermutation { axes, shape: self.shape.clone() }.into());
        }
        let shape: Shape = axes.iter().map(|&axis| self.shape[axis]).collect();
        Reference::tabulate(shape, |index| {
            let mut source = vec![0; index.len()];
            for (&axis, &i) in axes.iter().zip(index) {
                source[axis] = i;
            }
            self.get(&source)
        })
    }

    fn expand(&self, shape: &[usize]) -> Result<Self, ReferenceError> {
        match self.shape.expands_to(shape) {
            true => Reference::tabulate(shape, |index| self.get(index)),
            false => Err(mismatch(&self.shape, shape, "do not broadcast")),
        }
    }

    fn matmul(&self, rhs: &Self) -> Result<Self, ReferenceError> {
        let too_low = |shape: &Shape| ErrorKind::RankTooLow { shape: shape.clone(), needed: 2 };
        let (a, b) = (&self.shape, &rhs.shape);
        let (batch_a, &[m, k]) = a.split_last_chunk().ok_or_else(|| too_low(a))?;
        let (batch_b, &[k_b, n]) = b.split_last_chunk().ok_or_else(|| too_low(b))?;
        if k != k_b {
            return Err(mismatch(a, b, "cannot be multiplied: the inner sizes differ"));
        }
        let batch = broadcast(&[batch_a.into(), batch_b.into()])?;
        let shape: Shape = batch.iter().copied().chain([m, n]).collect();
        let (row, column) = (batch.rank(), batch.rank() + 1);
        Reference::tabulate(shape, |index| {
            let product =
                |p| self.get(&replaced(index, column, p)) * rhs.get(&replaced(index, row, p));
            (0..k).map(product).fold(0.0, |sum, x| sum + x)
        })
    }

    fn slice(&self, slices: &[Slice]) -> Result<Self, ReferenceError> {
        let shape = Slice::shape_of(slices, &self.shape)?;
        Reference::tabulate(shape, |index| self.get(&inside(slices, index)))
    }

    fn unslice(&self, shape: &[usize], slices: &[Slice]) -> Result<Self, ReferenceError> {
        let part = Slice::shape_of(slices, &shape.into())?;
        match part == self.shape {
            true => self.scatter(shape, 0.0, |index| inside(slices, index), |_, x| x),
            false => Err(mismatch(&part, &self.shape, "differ: the slices make the first")),
        }
    }

    fn index_select(&self, axis: usize, index: &[usize]) -> Result<Self, ReferenceError> {
        check_index(index, axis, &self.shape)?;
        let shape = replaced(&self.shape, axis, index.len());
        Reference::tabulate(shape, |i| self.get(&replaced(i, axis, index[i[axis]])))
    }

    fn index_add(&self, axis: usize, index: &[usize], size: usize) -> Result<Self, ReferenceError> {
        let shape = Shape::from(replaced(&self.shape, axis, size));
        check_index(index, axis, &shape)?;
        if index.len() != self.shape[axis] {
            return Err(mismatch(&self.shape, &[index.len()], "differ: one index a sub-tensor"));
        }
        self.scatter(shape, 0.0, |i| replaced(i, axis, index[i[axis]]), |sum, x| sum + x)
    }

    fn gather(&self, axis: usize, index: &Index) -> Result<Self, ReferenceError> {
        check_gather(index, axis, &self.shape)?;
        Reference::tabulate(index.shape(), |i| self.get(&gathered_from(index, axis, i)))
    }

    fn scatter_add(
        &self,
        axis: usize,
        index: &Index,
        shape: &[usize],
    ) -> Result<Self, ReferenceError> {
        check_gather(index, axis, &shape.into())?;
        match *index.shape() == self.shape {
            true => self.scatter(shape, 0.0, |i| gathered_from(index, axis, i), |sum, x| sum + x),
            false => Err(mismatch(index.shape(), &self.shape, "differ: one index an element")),
        }
    }

    fn concat(&self, others: &[&Self], axis: usize) -> Result<Self, ReferenceError> {
        check_axes(&[axis], self.shape.rank())?;
        let parts: Vec<&Self> = std::iter::once(self).chain(others.iter().copied()).collect();
        let mut places = Vec::new(); // For each index along the axis: the part, and the index there.
        for (i, part) in parts.iter().enumerate() {
            if replaced(&part.shape, axis, 0) != replaced(&self.shape, axis, 0) {
                return Err(mismatch(&self.shape, &part.shape, "differ beside the axis"));
            }
            places.extend((0..part.shape[axis]).map(|inside| (i, inside)));
        }
        Reference::tabulate(replaced(&self.shape, axis, places.len()), |index| {
            let (part, inside) = places[index[axis]];
            parts[part].get(&replaced(index, axis, inside))
        })
    }

    fn unfold(&self, axis: usize, window: Window) -> Result<Self, ReferenceError> {
        let shape = unfolded(&self.shape, axis, window)?;
        Reference::tabulate(shape, |index| self.get(&unfolded_from(window, axis, index)))
    }

    fn fold(&self, axis: usize, window: Window, n: usize) -> Result<Self, ReferenceError> {
        check_axes(&[axis], self.shape.rank())?;
        let (_, others) = self.shape.split_last().unwrap_or((&0, &[]));
        check_axes(&[axis], others.len())?;
        let shape = replaced(others, axis, n);
        let windows = unfolded(&shape.clone().into(), axis, window)?;
        match windows == self.shape {
            true => {
                self.scatter(shape, 0.0, |i| unfolded_from(window, axis, i), |sum, x| sum + x)
            }
            false => Err(mismatch(&windows, &self.shape, "differ: the windows make the first")),
        }
    }

    fn solve(&self, rhs: &Self) -> Result<Self, ReferenceError> {
        let (n, k) = self.system(rhs)?;
        self.per_matrix(&rhs.shape, |index, a| {
            let solved = Eliminated::of(a, rhs.matrix(index, n * k), n, k);
            if solved.is_singular() { Err(singular()) } else { Ok(solved.x) }
        })
    }

    fn triangular_solve(&self, rhs: &Self, upper: bool) -> Result<Self, ReferenceError> {
        let (n, k) = self.system(rhs)?;
        let inside = |i: usize, j: usize| if upper { i <= j } else { j <= i };
        let triangle = Reference::tabulate(self.shape.clone(), |index| match index {
            [.., i, j] if inside(*i, *j) => self.get(index),
            _ => 0.0,
        })?;
        triangle.per_matrix(&rhs.shape, |index, a| match (0..n).any(|i| a[i * n + i] == 0.0) {
            true => Err(singular()),
            false => Ok(Eliminated::of(a, rhs.matrix(index, n * k), n, k).x),
        })
    }

    fn inv(&self) -> Result<Self, ReferenceError> {
        let n = self.order()?;
        let identity: Vec<f64> = (0..n * n).map(|place| mask(place / n == place % n)).collect();
        self.per_matrix(&self.shape, |_, a| {
            let solved = Eliminated::of(a, &identity, n, n);
            if solved.is_singular() { Err(singular()) } else { Ok(solved.x) }
        })
    }

    fn slogdet(&self) -> Result<Self, ReferenceError> {
        let n = self.order()?;
        let batch = &self.shape[..self.shape.rank() - 2];
        let shape: Shape = batch.iter().copied().chain([2]).collect();
        self.per_matrix(&shape, |_, a| {
            let solved = Eliminated::of(a, &[], n, 0);
            let sign = |x: f64| mask(x > 0.0) - mask(x < 0.0);
            let sign = solved.pivots.iter().fold(solved.sign, |product, &x| product * sign(x));
            Ok(vec![sign, solved.pivots.iter().map(|&x| f64::abs(x).ln()).sum()])
        })
    }

    fn cholesky(&self) -> Result<Self, ReferenceError> {
        let n = self.order()?;
        self.per_matrix(&self.shape, |_, a| {
            matrices::cholesky(a, n).ok_or_else(|| parameter("matrix is not positive definite"))
        })
    }

    fn eigh(&self) -> Result<Self, ReferenceError> {
        let n = self.order()?;
        let shape = replaced(&self.shape, self.shape.rank() - 2, n + 1);
        self.per_matrix(&shape.into(), |_, a| Ok(matrices::eigh(a, n)))
    }
}

/// The index of the element that `gather` puts at index `i`.
fn gathered_from(index: &Index, axis: usize, i: &[usize]) -> Vec<usize> {
    replaced(i, axis, index.data()[at(i, index.shape())])
}

/// Refuses a gather from a tensor of `shape`.
fn check_gather(index: &Index, axis: usize, shape: &Shape) -> Result<(), ReferenceError> {
    check_index(index.data(), axis, shape)?;
    let fits = |(i, (&n, &size)): (usize, (&usize, &usize))| i == axis || n <= size;
    let mut sizes = index.shape().iter().zip(shape.iter()).enumerate();
    match index.shape().rank() == shape.rank() && sizes.all(fits) {
        true => Ok(()),
        false => Err(mismatch(index.shape(), shape, "do not go together")),
    }
}

/// The shape of the windows along an axis of a tensor of `shape`.
fn unfolded(shape: &Shape, axis: usize, window: Window) -> Result<Shape, ReferenceError> {
    check_axes(&[axis], shape.rank())?;
    let message = || format!("{window:?} makes no sense");
    let count = window.count(shape[axis]);
    let count = count.ok_or_else(|| ErrorKind::Parameter { message: message() })?;
    Ok(replaced(shape, axis, count).into_iter().chain([window.size]).collect())
}

/// The index of the element that `unfold` puts at `index`.
fn unfolded_from(window: Window, axis: usize, index: &[usize]) -> Vec<usize> {
    let (&inside, index) = index.split_last().unwrap_or((&0, &[]));
    replaced(index, axis, index[axis] * window.step + inside * window.dilation)
}

/// Matrices: the last two axes.
impl Reference {
    /// The number of rows and columns of square matrices.
    fn order(&self) -> Result<usize, ReferenceError> {
        match self.shape[..] {
            [.., m, n] if m == n => Ok(n),
            _ => Err(parameter("needs square matrices")),
        }
    }

    /// The numbers of rows and columns of the right-hand sides of a linear system.
    fn system(&self, rhs: &Reference) -> Result<(usize, usize), ReferenceError> {
        let n = self.order()?;
        let batch = &self.shape[..self.shape.rank() - 2];
        match &rhs.shape[..] {
            [others @ .., rows, k] if (batch, n) == (others, *rows) => Ok((n, *k)),
            _ => Err(mismatch(&self.shape, &rhs.shape, "are no linear system")),
        }
    }

    /// The elements of the matrix at a place of the batch, of `size` elements.
    fn matrix(&self, index: usize, size: usize) -> &[f64] {
        &self.data[index * size..(index + 1) * size]
    }

    /// The tensor of `shape` that consists of what `f` makes of each square matrix and its place;
    /// NaN where a matrix has an element that is infinite or NaN.
    fn per_matrix(
        &self,
        shape: &Shape,
        f: impl Fn(usize, &[f64]) -> Result<Vec<f64>, ReferenceError>,
    ) -> Result<Reference, ReferenceError> {
        let n = self.order()?;
        let count: usize = self.shape[..self.shape.rank() - 2].iter().product();
        let size = size(shape)?.checked_div(count).unwrap_or(0);
        let mut data = Vec::new();
        for index in 0..count {
            let a = self.matrix(index, n * n);
            match a.iter().all(|x| x.is_finite()) {
                true => data.extend(f(index, a)?),
                false => data.extend(vec![f64::NAN; size]),
            }
        }
        Reference::new(shape, data)
    }
}

fn parameter(message: &str) -> ReferenceError {
    ErrorKind::Parameter { message: message.to_string() }.into()
}

fn singular() -> ReferenceError {
    parameter("matrix is singular")
}

/// The index in the whole of what has `index` in the part.
fn inside(slices: &[Slice], index: &[usize]) -> Vec<usize> {
    slices.iter().zip(index).map(|(slice, i)| slice.start + i * slice.step).collect()
}

impl From<f64> for Reference {
    fn from(value: f64) -> Self {
        Reference { shape: Shape::scalar(), data: [value].into() }
    }
}

impl From<Vec<f64>> for Reference {
    fn from(data: Vec<f64>) -> Self {
        Reference { shape: Shape::from(data.len()), data: data.into() }
    }
}

/// What [`Reference`] answers when it is asked for something that makes no sense.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ReferenceError {
    /// Shapes, axes or indices do not fit.
    Refused(ErrorKind),
    /// A method that is left out; there is none, unless [`TensorLike`] grows.
    Unsupported(Unsupported),
}

impl fmt::Display for ReferenceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReferenceError::Refused(kind) => kind.fmt(f),
            ReferenceError::Unsupported(unsupported) => unsupported.fmt(f),
        }
    }
}

impl std::error::Error for ReferenceError {}

impl From<ErrorKind> for ReferenceError {
    fn from(kind: ErrorKind) -> Self {
        ReferenceError::Refused(kind)
    }
}

impl From<Unsupported> for ReferenceError {
    fn from(unsupported: Unsupported) -> Self {
        ReferenceError::Unsupported(unsupported)
    }
}

impl From<ReferenceError> for Error {
    #[track_caller]
    fn from(error: ReferenceError) -> Self {
        Error::from_source(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Tested = Result<(), ReferenceError>;

    fn iota(shape: &[usize]) -> Result<Reference, ReferenceError> {
        let n = size(&Shape::from(shape))?;
        Reference::new(shape, (0..n).map(|i| i as f64).collect())
    }

    #[test]
    fn index_of_inverts_at() {
        for shape in [&[][..], &[1], &[5], &[2, 3, 4], &[3, 1, 2]] {
            for place in 0..shape.iter().product() {
                assert_eq!(at(&index_of(place, shape), shape), place);
            }
        }
    }

    #[test]
    fn at_ignores_surplus_axes_and_axes_of_size_one() {
        assert_eq!(at(&[7, 1, 2], &[2, 3]), 5);
        assert_eq!(at(&[1, 2], &[2, 1]), 1);
        assert_eq!(at(&[4, 4], &[]), 0);
    }

    #[test]
    fn zero_size_tensors_are_legal() -> Tested {
        let x = iota(&[2, 0])?;
        assert_eq!(x.add(&Reference::from(1.0))?, x);
        assert_eq!(x.sum(&[1])?, Reference::from(vec![0.0, 0.0]));
        assert_eq!(x.max(&[0])?, iota(&[0])?);
        assert_eq!(x.matmul(&iota(&[0, 2])?)?, Reference::new([2, 2], vec![0.0; 4])?);
        assert_eq!(x.expand(&[3, 2, 0])?, iota(&[3, 2, 0])?);
        Ok(())
    }

    #[test]
    fn max_of_nothing_is_refused() -> Tested {
        assert!(iota(&[2, 0])?.max(&[1]).is_err());
        Ok(())
    }

    #[test]
    fn max_keeps_nan_wherever_it_stands() -> Tested {
        for data in [[f64::NAN, 1.0], [1.0, f64::NAN]] {
            assert!(Reference::from(data.to_vec()).max(&[0])?.data()[0].is_nan());
        }
        Ok(())
    }

    #[test]
    fn sum_over_no_axes_is_the_tensor_itself() -> Tested {
        let sum = Reference::from(-0.0).sum(&[])?;
        assert!(sum.data()[0].is_sign_negative());
        Ok(())
    }

    #[test]
    fn permute_takes_axis_i_from_axes_i() -> Tested {
        let x = iota(&[2, 3, 4])?.permute(&[2, 0, 1])?;
        assert_eq!(x.shape(), [4, 2, 3]);
        assert_eq!(x.get(&[3, 1, 2]), 23.0); // element [1, 2, 3]: (1 · 3 + 2) · 4 + 3
        Ok(())
    }

    #[test]
    fn matmul_broadcasts_leading_axes() -> Tested {
        let a = Reference::new([2, 1, 2], vec![1.0, 2.0, 3.0, 4.0])?;
        let b = Reference::new([2, 1], vec![5.0, 6.0])?;
        // 1 · 5 + 2 · 6 and 3 · 5 + 4 · 6
        assert_eq!(a.matmul(&b)?, Reference::new([2, 1, 1], vec![17.0, 39.0])?);
        Ok(())
    }

    #[test]
    fn unslice_undoes_slice_where_the_slice_was() -> Tested {
        let slices = [Slice { start: 1, stop: 5, step: 2 }];
        let part = iota(&[5])?.slice(&slices)?;
        assert_eq!(part.data(), [1.0, 3.0]);
        assert_eq!(part.unslice(&[5], &slices)?.data(), [0.0, 1.0, 0.0, 3.0, 0.0]);
        Ok(())
    }

    #[test]
    fn index_add_adds_up_what_index_select_took_twice() -> Tested {
        let taken = iota(&[3, 2])?.index_select(0, &[2, 0, 2])?;
        assert_eq!(taken.data(), [4.0, 5.0, 0.0, 1.0, 4.0, 5.0]);
        let sum = taken.index_add(0, &[2, 0, 2], 3)?;
        assert_eq!(sum.data(), [0.0, 1.0, 0.0, 0.0, 8.0, 10.0]);
        Ok(())
    }

    #[test]
    fn bad_input_is_an_error_and_never_a_panic() -> Tested {
        let (x, huge) = (iota(&[2, 3])?, [usize::MAX, 2]);
        let whole = [Slice::all(2), Slice { start: 0, stop: 3, step: 0 }];
        let refused = [
            Reference::new([2], vec![1.0]),
            x.full(&huge, 0.0),
            x.add(&iota(&[2])?),
            x.select(&x, &iota(&[4])?),
            x.sum(&[2]),
            x.sum(&[0, 0]),
            x.max(&[9]),
            x.reshape(&[5]),
            x.reshape(&huge),
            x.permute(&[0]),
            x.permute(&[0, 0]),
            x.permute(&[0, 2]),
            x.expand(&[3]),
            x.expand(&[2, 2]),
            x.expand(&huge),
            x.matmul(&x),
            x.matmul(&iota(&[3])?),
            x.slice(&[]),
            x.slice(&whole),
            x.unslice(&[4, 4], &whole),
            x.unslice(&[2, 4], &[Slice::all(2), Slice::all(4)]),
            x.index_select(2, &[0]),
            x.index_select(1, &[3]),
            x.index_add(2, &[0], 1),
            x.index_add(0, &[0], 1),
            x.index_add(0, &[0, 1], 1),
            x.index_add(0, &[0, 1], usize::MAX),
        ];
        for result in refused {
            assert!(matches!(result, Err(ReferenceError::Refused(_))), "{result:?}");
        }
        Ok(())
    }
}
