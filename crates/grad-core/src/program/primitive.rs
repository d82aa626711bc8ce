//! `Primitive`: the closed set of steps that a program is made of, the methods of `TensorLike`.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::ground::{Binary, Index, Shape, Slice, TensorLike, Unary, Window, resized};

/// A list of axes.
pub type AxisList = SmallVec<[usize; 4]>;

/// What one step of a program computes from its operands, by a method of [`TensorLike`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Primitive {
    /// An input of the program, by its number.
    Input(usize),
    /// A tensor with one number everywhere.
    Full(Shape, f64),
    /// A tensor with these elements.
    Data(Shape, Arc<[f64]>),
    /// An elementwise function of one operand.
    Unary(Unary),
    /// An elementwise function of two operands.
    Binary(Binary),
    /// The second operand where the first is not 0, else the third.
    Select,
    /// A sum over axes.
    Sum(AxisList),
    /// The largest element over axes.
    Max(AxisList),
    /// The smallest element over axes.
    Min(AxisList),
    /// The mean over axes.
    Mean(AxisList),
    /// The transpose of broadcasting.
    SumTo(Shape),
    /// Exponentials over their sum along an axis.
    Softmax(usize),
    /// The logarithm of softmax.
    LogSoftmax(usize),
    /// Running sums along an axis.
    Cumsum(usize),
    /// Running sums from the end.
    ReverseCumsum(usize),
    /// Another shape.
    Reshape(Shape),
    /// Another order of the axes.
    Permute(AxisList),
    /// Broadcasting.
    Expand(Shape),
    /// A part.
    Slice(Arc<[Slice]>),
    /// Zeros with the operand at a part.
    Unslice(Shape, Arc<[Slice]>),
    /// Sub-tensors along an axis by their places.
    IndexSelect(usize, Arc<[usize]>),
    /// Zeros of a size along an axis, to which sub-tensors are added.
    IndexAdd(usize, Arc<[usize]>, usize),
    /// Elements along an axis by their places.
    Gather(usize, Index),
    /// Zeros of a shape, to which elements are added.
    ScatterAdd(usize, Index, Shape),
    /// The operands joined along an axis.
    Concat(usize),
    /// Sliding windows along an axis.
    Unfold(usize, Window),
    /// The transpose of sliding windows, for an axis of a size.
    Fold(usize, Window, usize),
    /// The product of matrices.
    Matmul,
    /// The solution of linear systems.
    Solve,
    /// The solution of triangular systems; whether the upper triangle is read.
    TriangularSolve(bool),
    /// Inverses of matrices.
    Inv,
    /// Signs and logarithms of determinants.
    Slogdet,
    /// Factors of positive definite matrices.
    Cholesky,
    /// Eigenvalues and eigenvectors of symmetric matrices.
    Eigh,
}

impl Primitive {
    /// The value, from those of the operands. `model` says where and of what dtype a constant is.
    ///
    /// # Errors
    /// Those of the backend. The number of operands has to be right.
    pub(super) fn of<T: TensorLike>(&self, x: &[&T], model: &T) -> Result<T, T::Error> {
        match self {
            Primitive::Input(_) => Ok(x[0].clone()),
            Primitive::Full(shape, value) => model.full(shape, *value),
            Primitive::Data(shape, data) => model.from_host(shape, data),
            Primitive::Unary(function) => function.of(x[0]),
            Primitive::Binary(function) => function.of(x[0], x[1]),
            Primitive::Select => x[0].select(x[1], x[2]),
            Primitive::Sum(axes) => x[0].sum(axes),
            Primitive::Max(axes) => x[0].max(axes),
            Primitive::Min(axes) => x[0].min(axes),
            Primitive::Mean(axes) => x[0].mean(axes),
            Primitive::SumTo(shape) => x[0].sum_to(shape),
            Primitive::Softmax(axis) => x[0].softmax(*axis),
            Primitive::LogSoftmax(axis) => x[0].log_softmax(*axis),
            Primitive::Cumsum(axis) => x[0].cumsum(*axis),
            Primitive::ReverseCumsum(axis) => x[0].reverse_cumsum(*axis),
            Primitive::Reshape(shape) => x[0].reshape(shape),
            Primitive::Permute(axes) => x[0].permute(axes),
            Primitive::Expand(shape) => x[0].expand(shape),
            Primitive::Slice(slices) => x[0].slice(slices),
            Primitive::Unslice(shape, slices) => x[0].unslice(shape, slices),
            Primitive::IndexSelect(axis, index) => x[0].index_select(*axis, index),
            Primitive::IndexAdd(axis, index, size) => x[0].index_add(*axis, index, *size),
            Primitive::Gather(axis, index) => x[0].gather(*axis, index),
            Primitive::ScatterAdd(axis, index, shape) => x[0].scatter_add(*axis, index, shape),
            Primitive::Concat(axis) => x[0].concat(&x[1..], *axis),
            Primitive::Unfold(axis, window) => x[0].unfold(*axis, *window),
            Primitive::Fold(axis, window, n) => x[0].fold(*axis, *window, *n),
            Primitive::Matmul => x[0].matmul(x[1]),
            Primitive::Solve => x[0].solve(x[1]),
            Primitive::TriangularSolve(upper) => x[0].triangular_solve(x[1], *upper),
            Primitive::Inv => x[0].inv(),
            Primitive::Slogdet => x[0].slogdet(),
            Primitive::Cholesky => x[0].cholesky(),
            Primitive::Eigh => x[0].eigh(),
        }
    }

    /// The shape of the result, from those of the operands; `None` where they do not fit.
    pub(super) fn shape(&self, x: &[&Shape]) -> Option<Shape> {
        match (self, x) {
            (Primitive::Input(_), [x]) => Some((*x).clone()),
            (Primitive::Full(shape, _), []) => Some(shape.clone()),
            (Primitive::Data(shape, data), []) => {
                (shape.n_elements() == Some(data.len())).then(|| shape.clone())
            }
            (Primitive::Unary(_), [x]) => Some((*x).clone()),
            (Primitive::Binary(_), [x, y]) => x.broadcast(y),
            (Primitive::Select, [mask, x, y]) => mask.broadcast(x)?.broadcast(y),
            (
                Primitive::Sum(axes)
                | Primitive::Max(axes)
                | Primitive::Min(axes)
                | Primitive::Mean(axes),
                [x],
            ) => is_axes(axes, x).then(|| x.without(axes)),
            (Primitive::SumTo(shape), [x]) => shape.expands_to(x).then(|| shape.clone()),
            (
                Primitive::Softmax(axis)
                | Primitive::LogSoftmax(axis)
                | Primitive::Cumsum(axis)
                | Primitive::ReverseCumsum(axis),
                [x],
            ) => is_axes(&[*axis], x).then(|| (*x).clone()),
            (Primitive::Reshape(shape), [x]) => {
                (shape.n_elements()? == x.n_elements()?).then(|| shape.clone())
            }
            (Primitive::Permute(axes), [x]) => {
                let is_permutation = axes.len() == x.rank() && is_axes(axes, x);
                is_permutation.then(|| axes.iter().map(|&axis| x[axis]).collect())
            }
            (Primitive::Expand(shape), [x]) => x.expands_to(shape).then(|| shape.clone()),
            (Primitive::Slice(slices), [x]) => Slice::shape_of(slices, x).ok(),
            (Primitive::Unslice(shape, slices), [x]) => {
                (Slice::shape_of(slices, shape).ok()? == **x).then(|| shape.clone())
            }
            (Primitive::IndexSelect(axis, index), [x]) => {
                let n = *x.get(*axis)?;
                index.iter().all(|&place| place < n).then(|| resized(x, *axis, index.len()))
            }
            (Primitive::IndexAdd(axis, index, size), [x]) => {
                let fits = *x.get(*axis)? == index.len() && index.iter().all(|place| place < size);
                fits.then(|| resized(x, *axis, *size))
            }
            (Primitive::Gather(axis, index), [x]) => {
                gathers(index, *axis, x).then(|| index.shape().clone())
            }
            (Primitive::ScatterAdd(axis, index, shape), [x]) => {
                (gathers(index, *axis, shape) && **x == *index.shape()).then(|| shape.clone())
            }
            (Primitive::Concat(axis), [first, others @ ..]) => {
                let mut size = *first.get(*axis)?;
                for x in others {
                    size = size.checked_add(*x.get(*axis)?)?;
                    let fits = x.rank() == first.rank()
                        && resized(x, *axis, 0) == resized(first, *axis, 0);
                    fits.then_some(())?;
                }
                Some(resized(first, *axis, size))
            }
            (Primitive::Unfold(axis, window), [x]) => {
                let count = window.count(*x.get(*axis)?)?;
                Some(resized(x, *axis, count).iter().copied().chain([window.size]).collect())
            }
            (Primitive::Fold(axis, window, n), [x]) => {
                let (size, folded) = x.split_last()?;
                let fits = *size == window.size && *folded.get(*axis)? == window.count(*n)?;
                fits.then(|| resized(folded, *axis, *n))
            }
            (Primitive::Matmul, [a, b]) => match (&a[..], &b[..]) {
                ([batch_a @ .., m, k], [batch_b @ .., l, n]) if k == l => {
                    let batch = Shape::from(batch_a).broadcast(batch_b)?;
                    Some(batch.iter().copied().chain([*m, *n]).collect())
                }
                _ => None,
            },
            (Primitive::Solve | Primitive::TriangularSolve(_), [a, b]) => {
                let (batch, n) = square(a)?;
                matches!(&b[..], [of_b @ .., rows, _] if of_b == batch && *rows == n)
                    .then(|| (*b).clone())
            }
            (Primitive::Inv | Primitive::Cholesky, [x]) => square(x).map(|_| (*x).clone()),
            (Primitive::Slogdet, [x]) => {
                square(x).map(|(batch, _)| batch.iter().copied().chain([2]).collect())
            }
            (Primitive::Eigh, [x]) => {
                square(x).map(|(batch, n)| batch.iter().copied().chain([n + 1, n]).collect())
            }
            _ => None,
        }
    }
}

/// True if these are axes of `x`, each named once.
fn is_axes(axes: &[usize], x: &Shape) -> bool {
    let is_new = |(at, axis): (usize, &usize)| *axis < x.rank() && !axes[..at].contains(axis);
    axes.iter().enumerate().all(is_new)
}

/// True if an index finds elements of a tensor of shape `x`.
fn gathers(index: &Index, axis: usize, x: &Shape) -> bool {
    let along = |(other, (n, size)): (usize, (&usize, &usize))| other == axis || n <= size;
    let Some(&size) = x.get(axis) else { return false };
    index.shape().rank() == x.rank()
        && index.shape().iter().zip(x.iter()).enumerate().all(along)
        && index.data().iter().all(|&place| place < size)
}

/// The batch axes and the order of square matrices.
fn square(x: &Shape) -> Option<(&[usize], usize)> {
    match &x[..] {
        [batch @ .., m, n] if m == n => Some((batch, *n)),
        _ => None,
    }
}
