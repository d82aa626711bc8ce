//! Moving elements without changing them: expand, reshape, permute, slice. All linear.

use smallvec::SmallVec;

use crate::error::ErrorKind;
use crate::op::{ByTranspose, Linear, Primal, call};
use crate::shape::{Axes, Shape, Slice, list};
use crate::tensor::TensorLike;
use crate::var::Var;

#[derive(Clone)]
struct Expand(Shape);

impl<T: TensorLike> Linear<T> for Expand {
    const NAME: &'static str = "expand";

    fn shape(&self, x: &Shape) -> Result<Shape, ErrorKind> {
        match x.expands_to(&self.0) {
            true => Ok(self.0.clone()),
            false => {
                let (left, right) = (x.clone(), self.0.clone());
                let rule = "do not go together: the first does not broadcast to the second";
                Err(ErrorKind::ShapeMismatch { left, right, rule })
            }
        }
    }

    fn forward(&self, x: &T) -> Result<T, T::Error> {
        x.expand(&self.0)
    }

    // The transpose is un-broadcasting, which is the sweep's task.
    fn transpose<'t>(&self, _: &Primal<'t, T>, ct: Var<'t, T>) -> Var<'t, T> {
        ct
    }

    fn format(&self, x: &[&str]) -> String {
        call("expand", x, &self.0.to_string())
    }
}

#[derive(Clone)]
struct Reshape(Shape);

impl<T: TensorLike> Linear<T> for Reshape {
    const NAME: &'static str = "reshape";

    fn shape(&self, x: &Shape) -> Result<Shape, ErrorKind> {
        match x.n_elements() == self.0.n_elements() {
            true => Ok(self.0.clone()),
            false => {
                let (left, right) = (x.clone(), self.0.clone());
                let rule = "have different numbers of elements";
                Err(ErrorKind::ShapeMismatch { left, right, rule })
            }
        }
    }

    fn forward(&self, x: &T) -> Result<T, T::Error> {
        x.reshape(&self.0)
    }

    fn transpose<'t>(&self, p: &Primal<'t, T>, ct: Var<'t, T>) -> Var<'t, T> {
        ct.reshape(p.shape(0))
    }

    fn format(&self, x: &[&str]) -> String {
        call("reshape", x, &self.0.to_string())
    }
}

/// Holds a permutation of the axes.
#[derive(Clone)]
struct Permute(SmallVec<[usize; 4]>);

impl<T: TensorLike> Linear<T> for Permute {
    const NAME: &'static str = "permute";

    fn shape(&self, x: &Shape) -> Result<Shape, ErrorKind> {
        Ok(self.0.iter().map(|&axis| x[axis]).collect())
    }

    fn forward(&self, x: &T) -> Result<T, T::Error> {
        x.permute(&self.0)
    }

    fn transpose<'t>(&self, _: &Primal<'t, T>, ct: Var<'t, T>) -> Var<'t, T> {
        let mut inverse = self.0.clone();
        for (place, &axis) in self.0.iter().enumerate() {
            inverse[axis] = place;
        }
        ct.with(ByTranspose(Permute(inverse)))
    }

    fn format(&self, x: &[&str]) -> String {
        call("permute", x, &format!("{:?}", self.0))
    }
}

/// Holds one slice an axis.
#[derive(Clone)]
struct Part(Vec<Slice>);

impl<T: TensorLike> Linear<T> for Part {
    const NAME: &'static str = "slice";

    fn shape(&self, x: &Shape) -> Result<Shape, ErrorKind> {
        Slice::shape_of(&self.0, x)
    }

    fn forward(&self, x: &T) -> Result<T, T::Error> {
        x.slice(&self.0)
    }

    fn transpose<'t>(&self, p: &Primal<'t, T>, ct: Var<'t, T>) -> Var<'t, T> {
        ct.unslice(p.shape(0), &self.0)
    }

    fn format(&self, x: &[&str]) -> String {
        call("slice", x, &list(&self.0))
    }
}

/// Holds the shape of the whole, and where in it the part goes.
#[derive(Clone)]
struct Whole(Shape, Vec<Slice>);

impl<T: TensorLike> Linear<T> for Whole {
    const NAME: &'static str = "unslice";

    fn shape(&self, x: &Shape) -> Result<Shape, ErrorKind> {
        let part = Slice::shape_of(&self.1, &self.0)?;
        match part == *x {
            true => Ok(self.0.clone()),
            false => {
                let rule = "differ: the slices make the first, the tensor has the second";
                Err(ErrorKind::ShapeMismatch { left: part, right: x.clone(), rule })
            }
        }
    }

    fn forward(&self, x: &T) -> Result<T, T::Error> {
        x.unslice(&self.0, &self.1)
    }

    fn transpose<'t>(&self, _: &Primal<'t, T>, ct: Var<'t, T>) -> Var<'t, T> {
        ct.slice(&self.1)
    }

    fn format(&self, x: &[&str]) -> String {
        call("unslice", x, &format!("{}, {}", self.0, list(&self.1)))
    }
}

impl<'t, T: TensorLike> Var<'t, T> {
    /// The tensor broadcast to `shape` (NumPy's and PyTorch's `broadcast_to`).
    ///
    /// Shapes: `[3, 1]` to `[2, 3, 4]` → `[2, 3, 4]`.
    ///
    /// ```math
    /// x̄ = sum_to(ȳ, shape of x),   ẏ = expand(ẋ)
    /// ```
    ///
    /// # Errors
    /// [`ShapeMismatch`](ErrorKind::ShapeMismatch) if the tensor does not broadcast to `shape`.
    ///
    /// Non-smooth points: none.
    #[track_caller]
    pub fn expand(self, shape: impl Into<Shape>) -> Self {
        self.with(ByTranspose(Expand(shape.into())))
    }

    /// The same elements, in row-major order, under another shape.
    ///
    /// Shapes: `[2, 6]` to `[3, 4]` → `[3, 4]`.
    ///
    /// ```math
    /// x̄ = reshape(ȳ, shape of x),   ẏ = reshape(ẋ)
    /// ```
    ///
    /// # Errors
    /// [`ShapeMismatch`](ErrorKind::ShapeMismatch) if the numbers of elements differ.
    ///
    /// Non-smooth points: none.
    #[track_caller]
    pub fn reshape(self, shape: impl Into<Shape>) -> Self {
        self.with(ByTranspose(Reshape(shape.into())))
    }

    /// The axes in another order: axis `i` of the result is axis `axes[i]` of this tensor.
    ///
    /// Shapes: `[2, 3, 4]` by `[2, 0, 1]` → `[4, 2, 3]`. Negative axes count from the end.
    ///
    /// ```math
    /// x̄ = permute(ȳ, inverse of axes),   ẏ = permute(ẋ)
    /// ```
    ///
    /// # Errors
    /// [`NotAPermutation`](ErrorKind::NotAPermutation), or what is wrong with a single axis.
    ///
    /// Non-smooth points: none.
    #[track_caller]
    pub fn permute(self, axes: impl Into<Axes>) -> Self {
        let axes = axes.into();
        let Ok(shape) = self.shape() else { return self };
        match axes.resolve(shape.rank()) {
            Ok(order) if order.len() == shape.rank() => self.with(ByTranspose(Permute(order))),
            Ok(_) => {
                let kind = ErrorKind::NotAPermutation { axes: axes.to_vec(), shape };
                self.void("permute", kind)
            }
            Err(kind) => self.void("permute", kind),
        }
    }

    /// Two axes exchanged; a permutation, see [`Var::permute`].
    ///
    /// # Errors
    /// [`AxisOutOfRange`](ErrorKind::AxisOutOfRange).
    #[track_caller]
    pub fn transpose(self, a: isize, b: isize) -> Self {
        let Ok(shape) = self.shape() else { return self };
        let rank = shape.rank();
        let resolve = |axis: isize| Axes::from(axis).resolve(rank).map(|axes| axes[0]);
        match (resolve(a), resolve(b)) {
            (Ok(a), Ok(b)) => {
                let mut order: SmallVec<[usize; 4]> = (0..rank).collect();
                order.swap(a, b);
                self.with(ByTranspose(Permute(order)))
            }
            (Err(kind), _) | (_, Err(kind)) => self.void("transpose", kind),
        }
    }

    /// Part of the tensor, one [`Slice`] an axis.
    ///
    /// Shapes: `[5]` by `1..4 by 2` → `[2]`.
    ///
    /// ```math
    /// x̄ = unslice(ȳ),   ẏ = slice(ẋ)
    /// ```
    ///
    /// # Errors
    /// [`BadSlice`](ErrorKind::BadSlice) if the slices do not fit the shape.
    ///
    /// Non-smooth points: none.
    #[track_caller]
    pub fn slice(self, slices: &[Slice]) -> Self {
        self.with(ByTranspose(Part(slices.to_vec())))
    }

    /// `len` sub-tensors along `axis`, the first at `start`; a [`Var::slice`].
    ///
    /// # Errors
    /// [`AxisOutOfRange`](ErrorKind::AxisOutOfRange), [`BadSlice`](ErrorKind::BadSlice).
    #[track_caller]
    pub fn narrow(self, axis: isize, start: usize, len: usize) -> Self {
        let Ok(shape) = self.shape() else { return self };
        match Axes::from(axis).resolve(shape.rank()) {
            Err(kind) => self.void("narrow", kind),
            Ok(axis) => {
                let mut slices: Vec<Slice> = shape.iter().map(|&n| Slice::all(n)).collect();
                slices[axis[0]] = Slice { start, stop: start.saturating_add(len), step: 1 };
                self.slice(&slices)
            }
        }
    }

    /// Zeros of `shape` with this tensor at `slices`: the transpose of [`Var::slice`].
    ///
    /// ```math
    /// x̄ = slice(ȳ),   ẏ = unslice(ẋ)
    /// ```
    ///
    /// # Errors
    /// [`BadSlice`](ErrorKind::BadSlice); [`ShapeMismatch`](ErrorKind::ShapeMismatch) if the slices
    /// have another shape than the tensor.
    ///
    /// Non-smooth points: none.
    #[track_caller]
    pub fn unslice(self, shape: impl Into<Shape>, slices: &[Slice]) -> Self {
        self.with(ByTranspose(Whole(shape.into(), slices.to_vec())))
    }
}
