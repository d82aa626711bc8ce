//! Picking elements and sub-tensors by whole numbers, which are data of the host and not
//! differentiated. All linear.

use std::rc::Rc;

use crate::ground::{ErrorKind, Index, Read, Shape, TensorLike, call, resized, resolve_axis};
use crate::kinds::{ByTranspose, Linear, stack_shape};
use crate::tape::{Primal, Reach, Var};

#[derive(Clone)]
struct IndexSelect {
    axis: usize,
    index: Rc<[usize]>,
}

impl Linear for IndexSelect {
    const NAME: &'static str = "index_select";

    fn shape(&self, x: &Shape) -> Result<Shape, ErrorKind> {
        in_range(&self.index, self.axis, x)?;
        Ok(resized(x, self.axis, self.index.len()))
    }

    fn forward<T: TensorLike>(&self, x: &T) -> Result<T, T::Error> {
        x.index_select(self.axis, &self.index)
    }

    fn transpose<'t, T: TensorLike>(&self, p: &Primal<'t, T>, ct: Var<'t, T>) -> Var<'t, T> {
        let (axis, index, size) = (self.axis, self.index.clone(), p.shape(0)[self.axis]);
        ct.with(ByTranspose::new(IndexAdd { axis, index, size }))
    }

    fn batched<'t, T: TensorLike>(&self, _: &Primal<'t, T>, t: Var<'t, T>) -> Option<Var<'t, T>> {
        let (axis, index) = (self.axis + 1, self.index.clone());
        Some(t.with(ByTranspose::new(IndexSelect { axis, index })))
    }

    fn reach(&self) -> Reach {
        Reach::Rule { total: false }
    }

    fn reads(&self) -> Option<Read<'_>> {
        Some(Read::Select { axis: self.axis, index: &self.index })
    }

    fn format(&self, x: &[&str]) -> String {
        call("index_select", x, &format!("{}, {:?}", self.axis, self.index))
    }
}

#[derive(Clone)]
struct IndexAdd {
    axis: usize,
    index: Rc<[usize]>,
    size: usize,
}

impl Linear for IndexAdd {
    const NAME: &'static str = "index_add";

    fn shape(&self, x: &Shape) -> Result<Shape, ErrorKind> {
        if x[self.axis] != self.index.len() {
            let (left, right) = (x.clone(), Shape::from(self.index.len()));
            let rule = "are incompatible: the axis must have one sub-tensor for each index";
            return Err(ErrorKind::ShapeMismatch { left, right, rule });
        }
        let shape = resized(x, self.axis, self.size);
        in_range(&self.index, self.axis, &shape)?;
        Ok(shape)
    }

    fn forward<T: TensorLike>(&self, x: &T) -> Result<T, T::Error> {
        x.index_add(self.axis, &self.index, self.size)
    }

    fn transpose<'t, T: TensorLike>(&self, _: &Primal<'t, T>, ct: Var<'t, T>) -> Var<'t, T> {
        let (axis, index) = (self.axis, self.index.clone());
        ct.with(ByTranspose::new(IndexSelect { axis, index }))
    }

    fn batched<'t, T: TensorLike>(&self, _: &Primal<'t, T>, t: Var<'t, T>) -> Option<Var<'t, T>> {
        Some(t.with(ByTranspose::new(IndexAdd { axis: self.axis + 1, ..self.clone() })))
    }

    fn reach(&self) -> Reach {
        Reach::Rule { total: false }
    }

    fn format(&self, x: &[&str]) -> String {
        call("index_add", x, &format!("{}, {:?}, {}", self.axis, self.index, self.size))
    }
}

#[derive(Clone)]
struct Gather {
    axis: usize,
    index: Index,
}

impl Linear for Gather {
    const NAME: &'static str = "gather";

    fn shape(&self, x: &Shape) -> Result<Shape, ErrorKind> {
        fits(&self.index, self.axis, x)?;
        Ok(self.index.shape().clone())
    }

    fn forward<T: TensorLike>(&self, x: &T) -> Result<T, T::Error> {
        x.gather(self.axis, &self.index)
    }

    fn transpose<'t, T: TensorLike>(&self, p: &Primal<'t, T>, ct: Var<'t, T>) -> Var<'t, T> {
        let (axis, index, shape) = (self.axis, self.index.clone(), p.shape(0));
        ct.with(ByTranspose::new(ScatterAdd { axis, index, shape }))
    }

    fn batched<'t, T: TensorLike>(&self, _: &Primal<'t, T>, t: Var<'t, T>) -> Option<Var<'t, T>> {
        let (axis, index) = (self.axis + 1, stacked(t, &self.index)?);
        Some(t.with(ByTranspose::new(Gather { axis, index })))
    }

    fn reach(&self) -> Reach {
        Reach::Rule { total: false }
    }

    fn reads(&self) -> Option<Read<'_>> {
        Some(Read::Gather { axis: self.axis, index: &self.index })
    }

    fn format(&self, x: &[&str]) -> String {
        call("gather", x, &format!("{}, {:?}", self.axis, self.index.data()))
    }
}

/// Onto zeros of `shape`: the transpose of [`Gather`].
#[derive(Clone)]
struct ScatterAdd {
    axis: usize,
    index: Index,
    shape: Shape,
}

impl Linear for ScatterAdd {
    const NAME: &'static str = "scatter_add";

    fn shape(&self, x: &Shape) -> Result<Shape, ErrorKind> {
        one_each(&self.index, x)?;
        fits(&self.index, self.axis, &self.shape)?;
        Ok(self.shape.clone())
    }

    fn forward<T: TensorLike>(&self, x: &T) -> Result<T, T::Error> {
        x.scatter_add(self.axis, &self.index, &self.shape)
    }

    fn transpose<'t, T: TensorLike>(&self, _: &Primal<'t, T>, ct: Var<'t, T>) -> Var<'t, T> {
        let (axis, index) = (self.axis, self.index.clone());
        ct.with(ByTranspose::new(Gather { axis, index }))
    }

    fn batched<'t, T: TensorLike>(&self, _: &Primal<'t, T>, t: Var<'t, T>) -> Option<Var<'t, T>> {
        let (axis, index) = (self.axis + 1, stacked(t, &self.index)?);
        let shape = stack_shape(t, &self.shape);
        Some(t.with(ByTranspose::new(ScatterAdd { axis, index, shape })))
    }

    fn reach(&self) -> Reach {
        Reach::Rule { total: false }
    }

    fn format(&self, x: &[&str]) -> String {
        call("scatter_add", x, &format!("{}, {:?}, {}", self.axis, self.index.data(), self.shape))
    }
}

/// The same index for each of the tensors that are stacked in `t`; `None` if memory cannot hold it.
fn stacked<T: TensorLike>(t: Var<'_, T>, index: &Index) -> Option<Index> {
    let shape = stack_shape(t, index.shape());
    let n = shape.n_elements()?;
    let mut data = Vec::new();
    data.try_reserve_exact(n).ok()?;
    data.extend(index.data().iter().cycle().take(n));
    Index::new(shape, data).ok()
}

fn in_range(index: &[usize], axis: usize, shape: &Shape) -> Result<(), ErrorKind> {
    match index.iter().find(|&&index| index >= shape[axis]) {
        Some(&index) => Err(ErrorKind::IndexOutOfRange { index, axis, shape: shape.clone() }),
        None => Ok(()),
    }
}

/// Refuses an index, element by element along `axis`, that leaves a tensor of `shape`.
fn fits(index: &Index, axis: usize, shape: &Shape) -> Result<(), ErrorKind> {
    let sizes = index.shape();
    let within = |other| other == axis || sizes[other] <= shape[other];
    if sizes.rank() != shape.rank() || !(0..shape.rank()).all(within) {
        let (left, right) = (sizes.clone(), shape.clone());
        let rule = "are incompatible: along other axes the index must not exceed the tensor";
        return Err(ErrorKind::ShapeMismatch { left, right, rule });
    }
    in_range(index.data(), axis, shape)
}

/// Refuses an index that is not shaped like the source.
fn one_each(index: &Index, source: &Shape) -> Result<(), ErrorKind> {
    match index.shape() == source {
        true => Ok(()),
        false => {
            let (left, right) = (index.shape().clone(), source.clone());
            let rule = "differ: the index must have the shape of the source";
            Err(ErrorKind::ShapeMismatch { left, right, rule })
        }
    }
}

/// Which elements count where those of an index are written one after the other: of those written,
/// the last at each place; and of a tensor of `shape`, those that are written over.
fn writers(index: &Index, axis: usize, shape: &Shape) -> (Vec<f64>, Vec<f64>) {
    let (sizes, strides) = (index.shape(), shape.row_major_strides());
    let mut last = vec![None; shape.n_elements().unwrap_or(0)];
    let mut at = vec![0; sizes.rank()];
    for (element, &i) in index.data().iter().enumerate() {
        let along = |(other, (&at, &stride))| stride * if other == axis { i } else { at };
        last[at.iter().zip(&strides).enumerate().map(along).sum::<usize>()] = Some(element);
        // The next in row-major order.
        for (i, &n) in at.iter_mut().zip(sizes.iter()).rev() {
            *i += 1;
            if *i < n {
                break;
            }
            *i = 0;
        }
    }
    let mut winner = vec![0.0; index.data().len()];
    last.iter().flatten().for_each(|&element: &usize| winner[element] = 1.0);
    let written = last.iter().map(|element| f64::from(u8::from(element.is_some())));
    (winner, written.collect())
}

impl<'t, T: TensorLike> Var<'t, T> {
    /// The sub-tensors along `axis` at the places in `index`, in that order; one may come twice.
    ///
    /// Shapes: `[5, 3]` along 0 by `[4, 0]` → `[2, 3]`.
    ///
    /// ```math
    /// x̄ = index_add(ȳ),   ẏ = index_select(ẋ)
    /// ```
    ///
    /// # Errors
    /// [`AxisOutOfRange`](ErrorKind::AxisOutOfRange), [`IndexOutOfRange`](ErrorKind::IndexOutOfRange).
    ///
    /// Non-smooth points: none.
    #[track_caller]
    pub fn index_select(self, axis: isize, index: &[usize]) -> Self {
        let Ok(shape) = self.shape() else { return self };
        match resolve_axis(axis, shape.rank()) {
            Ok(axis) => self.with(ByTranspose::new(IndexSelect { axis, index: index.into() })),
            Err(kind) => self.void("index_select", kind),
        }
    }

    /// This tensor, with sub-tensor `i` of `source` added at place `index[i]` along `axis`; those
    /// that go to the same place add up.
    ///
    /// Shapes: `[5, 3]` along 0 by `[4, 0, 4]` and `[3, 3]` → `[5, 3]`.
    ///
    /// ```math
    /// x̄ = ȳ,   s̄ = index_select(ȳ),   ẏ = index_add(ẋ, ṡ)
    /// ```
    ///
    /// # Errors
    /// [`AxisOutOfRange`](ErrorKind::AxisOutOfRange), [`IndexOutOfRange`](ErrorKind::IndexOutOfRange);
    /// [`ShapeMismatch`](ErrorKind::ShapeMismatch) if the source has not one sub-tensor an index, or
    /// differs from this tensor along another axis.
    ///
    /// Non-smooth points: none.
    #[track_caller]
    pub fn index_add(self, axis: isize, index: &[usize], source: Self) -> Self {
        let Ok(shape) = self.shape() else { return self };
        let Ok(right) = source.shape() else { return source };
        let axis = match resolve_axis(axis, shape.rank()) {
            Ok(axis) => axis,
            Err(kind) => return self.void("index_add", kind),
        };
        let left = resized(&shape, axis, index.len());
        if left != right {
            let rule = "differ: the source must have the first, with one sub-tensor for each index";
            return self.void("index_add", ErrorKind::ShapeMismatch { left, right, rule });
        }
        let (index, size) = (index.into(), shape[axis]);
        self + source.added_at(axis, index, size)
    }

    /// Zeros, of size `size` along `axis`, to which the sub-tensors of this tensor are added at the
    /// places in `index`.
    #[track_caller]
    pub(crate) fn added_at(self, axis: usize, index: Rc<[usize]>, size: usize) -> Self {
        self.with(ByTranspose::new(IndexAdd { axis, index, size }))
    }

    /// Element by element along `axis`: `y[.., i, ..] = x[.., index[.., i, ..], ..]`.
    ///
    /// Shapes: `[2, 3]` along 1 by an index of `[2, 4]` → `[2, 4]`, the shape of the index. Along the
    /// other axes it is no larger than the tensor.
    ///
    /// ```math
    /// x̄ = scatter_add(ȳ) onto zeros,   ẏ = gather(ẋ)
    /// ```
    ///
    /// # Errors
    /// [`AxisOutOfRange`](ErrorKind::AxisOutOfRange), [`IndexOutOfRange`](ErrorKind::IndexOutOfRange);
    /// [`ShapeMismatch`](ErrorKind::ShapeMismatch) if the index is not within the tensor.
    ///
    /// Non-smooth points: none.
    #[track_caller]
    pub fn gather(self, axis: isize, index: impl Into<Index>) -> Self {
        let Ok(shape) = self.shape() else { return self };
        match resolve_axis(axis, shape.rank()) {
            Ok(axis) => self.with(ByTranspose::new(Gather { axis, index: index.into() })),
            Err(kind) => self.void("gather", kind),
        }
    }

    /// This tensor, with each element of `source` added at the place along `axis` that the index has
    /// for it, where [`Var::gather`] with the same index would take it from; those that go to the
    /// same place add up.
    ///
    /// Shapes: `[2, 3]` along 1 by an index and a source of `[2, 4]` → `[2, 3]`.
    ///
    /// ```math
    /// x̄ = ȳ,   s̄ = gather(ȳ),   ẏ = scatter_add(ẋ, ṡ)
    /// ```
    ///
    /// # Errors
    /// [`AxisOutOfRange`](ErrorKind::AxisOutOfRange), [`IndexOutOfRange`](ErrorKind::IndexOutOfRange);
    /// [`ShapeMismatch`](ErrorKind::ShapeMismatch) if the index has another shape than the source or
    /// is not within the tensor.
    ///
    /// Non-smooth points: none.
    #[track_caller]
    pub fn scatter_add(self, axis: isize, index: impl Into<Index>, source: Self) -> Self {
        let Ok(shape) = self.shape() else { return self };
        match resolve_axis(axis, shape.rank()) {
            Ok(axis) => {
                let index = index.into();
                self + source.with(ByTranspose::new(ScatterAdd { axis, index, shape }))
            }
            Err(kind) => self.void("scatter_add", kind),
        }
    }

    /// This tensor, with each element of `source` written over the place along `axis` that the index
    /// has for it; of those that go to the same place the last one, in row-major order, stays.
    ///
    /// Shapes: `[2, 3]` along 1 by an index and a source of `[2, 4]` → `[2, 3]`.
    ///
    /// ```math
    /// x̄ = ȳ where nothing was written, else 0;   s̄ = gather(ȳ) at the last writers, else 0
    /// ```
    ///
    /// # Errors
    /// Those of [`Var::scatter_add`].
    ///
    /// What was written over has no influence, and gets no gradient, as in JAX.
    #[track_caller]
    pub fn scatter(self, axis: isize, index: impl Into<Index>, source: Self) -> Self {
        let Ok(shape) = self.shape() else { return self };
        let Ok(source_shape) = source.shape() else { return source };
        let index = index.into();
        let checked = resolve_axis(axis, shape.rank()).and_then(|axis| {
            one_each(&index, &source_shape)?;
            fits(&index, axis, &shape)?;
            Ok(axis)
        });
        let axis = match checked {
            Ok(axis) => axis,
            Err(kind) => return self.void("scatter", kind),
        };
        // Which one wins is known from the index, which is data.
        let (winner, written) = writers(&index, axis, &shape);
        let winner = self.new_constant(&source_shape, &winner);
        let written = self.new_constant(&shape, &written);
        let source = winner.where_(source, 0.0);
        written.where_(source.with(ByTranspose::new(ScatterAdd { axis, index, shape })), self)
    }

    /// The elements at the places in `index`, which count in row-major order: a [`Var::reshape`] and
    /// a [`Var::index_select`].
    ///
    /// Shapes: `[2, 3]` by an index of any shape → that shape.
    ///
    /// ```math
    /// y[i] = x[index[i]],   x̄[j] = Σ ȳ[i] over index[i] = j
    /// ```
    ///
    /// # Errors
    /// [`IndexOutOfRange`](ErrorKind::IndexOutOfRange).
    ///
    /// Non-smooth points: none.
    #[track_caller]
    pub fn take(self, index: impl Into<Index>) -> Self {
        let Ok(shape) = self.shape() else { return self };
        let index = index.into();
        // Of an existing tensor, so the product is in range.
        let flat = self.reshape(shape.iter().product::<usize>());
        flat.index_select(0, index.data()).reshape(index.shape())
    }

    /// The rows of a matrix at the places in `index`: a [`Var::index_select`] and a
    /// [`Var::reshape`].
    ///
    /// Shapes: `[n, d]` by an index of `[..]` → `[.., d]`. Of more axes than two, all but the first
    /// stay.
    ///
    /// ```math
    /// y[i] = x[index[i]],   x̄[j] = Σ ȳ[i] over index[i] = j
    /// ```
    ///
    /// # Errors
    /// [`IndexOutOfRange`](ErrorKind::IndexOutOfRange), [`RankTooLow`](ErrorKind::RankTooLow).
    ///
    /// Non-smooth points: none.
    #[track_caller]
    pub fn embedding(self, index: impl Into<Index>) -> Self {
        let Ok(shape) = self.shape() else { return self };
        let index = index.into();
        match &shape[..] {
            [_, row @ ..] if !row.is_empty() => {
                let rows: Shape = index.shape().iter().chain(row).copied().collect();
                self.index_select(0, index.data()).reshape(rows)
            }
            _ => self.void("embedding", ErrorKind::RankTooLow { shape, needed: 2 }),
        }
    }
}
