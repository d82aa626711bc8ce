//! Moving elements without changing them: identity, expand, reshape, permute, slice, pad, flip,
//! roll. All linear, or affine.

use smallvec::SmallVec;

use crate::ground::{
    Axes, ErrorKind, Read, Shape, Slice, TensorLike, call, list, resized, resolve_axis,
};
use crate::kinds::{ByTranspose, Elementwise, Linear, align_stack, stack_shape};
use crate::tape::{Cotangents, Facts, Op, Primal, Reach, Tangents, Var};

#[derive(Clone, Copy)]
struct Identity;

// Its partial derivative, 1, records nothing; as a linear map it would record itself.
impl Elementwise for Identity {
    const NAME: &'static str = "identity";

    fn forward<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error> {
        Ok(x[0].clone())
    }

    fn slope(&self, _: usize) -> Option<f64> {
        Some(1.0)
    }
}

#[derive(Clone)]
struct Expand(Shape);

impl Linear for Expand {
    const NAME: &'static str = "expand";

    fn shape(&self, x: &Shape) -> Result<Shape, ErrorKind> {
        match x.expands_to(&self.0) {
            true => Ok(self.0.clone()),
            false => {
                let (left, right) = (x.clone(), self.0.clone());
                let rule = "are incompatible: the first does not broadcast to the second";
                Err(ErrorKind::ShapeMismatch { left, right, rule })
            }
        }
    }

    fn forward<T: TensorLike>(&self, x: &T) -> Result<T, T::Error> {
        x.expand(&self.0)
    }

    // The transpose is un-broadcasting, which is the sweep's task.
    fn transpose<'t, T: TensorLike>(&self, _: &Primal<'t, T>, ct: Var<'t, T>) -> Var<'t, T> {
        ct
    }

    // Broadcasting is the sweep's task too.
    fn batched<'t, T: TensorLike>(&self, _: &Primal<'t, T>, t: Var<'t, T>) -> Option<Var<'t, T>> {
        Some(align_stack(t, self.0.rank()))
    }

    fn reach(&self) -> Reach {
        Reach::Rule { total: true }
    }

    fn format(&self, x: &[&str]) -> String {
        call("expand", x, &self.0.to_string())
    }
}

#[derive(Clone)]
struct Reshape(Shape);

impl Linear for Reshape {
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

    fn forward<T: TensorLike>(&self, x: &T) -> Result<T, T::Error> {
        x.reshape(&self.0)
    }

    fn transpose<'t, T: TensorLike>(&self, p: &Primal<'t, T>, ct: Var<'t, T>) -> Var<'t, T> {
        ct.reshape(p.shape(0))
    }

    fn batched<'t, T: TensorLike>(&self, _: &Primal<'t, T>, t: Var<'t, T>) -> Option<Var<'t, T>> {
        Some(t.reshape(stack_shape(t, &self.0)))
    }

    fn reach(&self) -> Reach {
        Reach::Rule { total: true }
    }

    fn reads(&self) -> Option<Read<'_>> {
        Some(Read::All)
    }

    fn format(&self, x: &[&str]) -> String {
        call("reshape", x, &self.0.to_string())
    }
}

/// Holds a permutation of the axes.
#[derive(Clone)]
struct Permute(SmallVec<[usize; 4]>);

impl Linear for Permute {
    const NAME: &'static str = "permute";

    fn shape(&self, x: &Shape) -> Result<Shape, ErrorKind> {
        Ok(self.0.iter().map(|&axis| x[axis]).collect())
    }

    fn forward<T: TensorLike>(&self, x: &T) -> Result<T, T::Error> {
        x.permute(&self.0)
    }

    fn transpose<'t, T: TensorLike>(&self, _: &Primal<'t, T>, ct: Var<'t, T>) -> Var<'t, T> {
        let mut inverse = self.0.clone();
        for (place, &axis) in self.0.iter().enumerate() {
            inverse[axis] = place;
        }
        ct.with(ByTranspose::new(Permute(inverse)))
    }

    fn batched<'t, T: TensorLike>(&self, _: &Primal<'t, T>, t: Var<'t, T>) -> Option<Var<'t, T>> {
        let axes = [0].into_iter().chain(self.0.iter().map(|axis| axis + 1));
        Some(t.with(ByTranspose::new(Permute(axes.collect()))))
    }

    fn reach(&self) -> Reach {
        Reach::Rule { total: true }
    }

    fn format(&self, x: &[&str]) -> String {
        call("permute", x, &format!("{:?}", self.0))
    }
}

/// The slices of tensors that are stacked in `t`.
fn stacked<T: TensorLike>(t: Var<'_, T>, slices: &[Slice]) -> Vec<Slice> {
    let all = stack_shape(t, &[]).first().map(|&k| Slice::all(k));
    all.into_iter().chain(slices.iter().copied()).collect()
}

/// Holds one slice an axis.
#[derive(Clone)]
struct Part(Vec<Slice>);

impl Linear for Part {
    const NAME: &'static str = "slice";

    fn shape(&self, x: &Shape) -> Result<Shape, ErrorKind> {
        Slice::shape_of(&self.0, x)
    }

    fn forward<T: TensorLike>(&self, x: &T) -> Result<T, T::Error> {
        x.slice(&self.0)
    }

    fn transpose<'t, T: TensorLike>(&self, p: &Primal<'t, T>, ct: Var<'t, T>) -> Var<'t, T> {
        ct.unslice(p.shape(0), &self.0)
    }

    fn batched<'t, T: TensorLike>(&self, _: &Primal<'t, T>, t: Var<'t, T>) -> Option<Var<'t, T>> {
        Some(t.slice(&stacked(t, &self.0)))
    }

    fn reach(&self) -> Reach {
        Reach::Rule { total: false }
    }

    fn reads(&self) -> Option<Read<'_>> {
        Some(Read::Slices(&self.0))
    }

    fn format(&self, x: &[&str]) -> String {
        call("slice", x, &list(&self.0))
    }
}

/// Holds the shape of the whole, and where in it the part goes.
#[derive(Clone)]
struct Whole(Shape, Vec<Slice>);

impl Linear for Whole {
    const NAME: &'static str = "unslice";

    fn shape(&self, x: &Shape) -> Result<Shape, ErrorKind> {
        let part = Slice::shape_of(&self.1, &self.0)?;
        match part == *x {
            true => Ok(self.0.clone()),
            false => {
                let rule = "differ: the slices have the first shape, the tensor has the second";
                Err(ErrorKind::ShapeMismatch { left: part, right: x.clone(), rule })
            }
        }
    }

    fn forward<T: TensorLike>(&self, x: &T) -> Result<T, T::Error> {
        x.unslice(&self.0, &self.1)
    }

    fn transpose<'t, T: TensorLike>(&self, _: &Primal<'t, T>, ct: Var<'t, T>) -> Var<'t, T> {
        ct.slice(&self.1)
    }

    fn batched<'t, T: TensorLike>(&self, _: &Primal<'t, T>, t: Var<'t, T>) -> Option<Var<'t, T>> {
        Some(t.unslice(stack_shape(t, &self.0), &stacked(t, &self.1)))
    }

    fn reach(&self) -> Reach {
        Reach::Rule { total: false }
    }

    fn format(&self, x: &[&str]) -> String {
        call("unslice", x, &format!("{}, {}", self.0, list(&self.1)))
    }
}

/// Holds how many elements come before and after those of each axis, and their value.
struct Pad(Vec<(usize, usize)>, f64);

impl Pad {
    /// The shape of the whole, and where in it a tensor of shape `x` lies.
    fn frame(&self, x: &[usize]) -> (Shape, Vec<Slice>) {
        let padded = |(&n, &(before, after)): (&usize, &(usize, usize))| {
            let stop = n.saturating_add(before);
            (stop.saturating_add(after), Slice { start: before, stop, step: 1 })
        };
        let (sizes, slices): (Vec<_>, _) = x.iter().zip(&self.0).map(padded).unzip();
        (sizes.into(), slices)
    }
}

// Affine: the constant has no derivative, and the rest is `unslice`.
impl<T: TensorLike> Op<T> for Pad {
    fn name(&self) -> &'static str {
        "pad"
    }

    fn facts(&self) -> Facts {
        Facts::GENERAL.reaching(Reach::Rule { total: false })
    }

    fn shape(&self, x: &[Shape]) -> Result<Shape, ErrorKind> {
        match x {
            [x] if x.rank() == self.0.len() => Ok(self.frame(x).0),
            [x] => {
                let message = format!(
                    "needs {} pairs of widths, one for each axis of shape {x}, got {}",
                    x.rank(),
                    self.0.len()
                );
                Err(ErrorKind::Parameter { message })
            }
            _ => Err(ErrorKind::Arity { expected: 1, got: x.len() }),
        }
    }

    fn forward(&self, x: &[&T]) -> Result<T, T::Error> {
        let (x, (shape, slices)) = (x[0], self.frame(x[0].shape()));
        let padded = x.unslice(&shape, &slices)?;
        if self.1 == 0.0 {
            return Ok(padded);
        }
        // A selection, since a sum would meet 0 · ∞ in the mask of an infinite value.
        let inside = x.full(x.shape(), 1.0)?.unslice(&shape, &slices)?;
        inside.select(&padded, &x.scalar(self.1)?)
    }

    fn vjp<'t>(&self, p: &Primal<'t, T>, ct: Var<'t, T>, x_bar: &mut Cotangents<'_, 't, T>) {
        x_bar.each(|_| ct.slice(&self.frame(&p.shape(0)).1));
    }

    fn jvp<'t>(&self, p: &Primal<'t, T>, t: &Tangents<'_, 't, T>) -> Option<Var<'t, T>> {
        let (shape, slices) = self.frame(&p.shape(0));
        t.sum(|_, x_dot| match t.stack() {
            None => x_dot.unslice(&shape, &slices),
            Some(_) => x_dot.unslice(stack_shape(x_dot, &shape), &stacked(x_dot, &slices)),
        })
    }

    fn format(&self, x: &[&str]) -> String {
        call("pad", x, &format!("{:?}, {}", self.0, self.1))
    }
}

/// Holds the axes.
#[derive(Clone)]
struct Flip(SmallVec<[usize; 4]>);

impl Linear for Flip {
    const NAME: &'static str = "flip";

    fn shape(&self, x: &Shape) -> Result<Shape, ErrorKind> {
        Ok(x.clone())
    }

    fn forward<T: TensorLike>(&self, x: &T) -> Result<T, T::Error> {
        self.0.iter().try_fold(x.clone(), |y, &axis| {
            let backwards: Vec<usize> = (0..x.shape()[axis]).rev().collect();
            y.index_select(axis, &backwards)
        })
    }

    fn transpose<'t, T: TensorLike>(&self, _: &Primal<'t, T>, ct: Var<'t, T>) -> Var<'t, T> {
        ct.with(ByTranspose::new(self.clone()))
    }

    fn batched<'t, T: TensorLike>(&self, _: &Primal<'t, T>, t: Var<'t, T>) -> Option<Var<'t, T>> {
        let axes = self.0.iter().map(|axis| axis + 1).collect();
        Some(t.with(ByTranspose::new(Flip(axes))))
    }

    fn reach(&self) -> Reach {
        Reach::Rule { total: true }
    }

    fn format(&self, x: &[&str]) -> String {
        call("flip", x, &format!("{:?}", self.0))
    }
}

/// Holds the axis, and by how much, which is at most its size.
#[derive(Clone)]
struct Roll(usize, usize);

impl Linear for Roll {
    const NAME: &'static str = "roll";

    fn shape(&self, x: &Shape) -> Result<Shape, ErrorKind> {
        Ok(x.clone())
    }

    fn forward<T: TensorLike>(&self, x: &T) -> Result<T, T::Error> {
        let (axis, n) = (self.0, x.shape()[self.0]);
        let rolled: Vec<usize> = (0..n).map(|i| (i + n - self.1) % n).collect();
        x.index_select(axis, &rolled)
    }

    fn transpose<'t, T: TensorLike>(&self, p: &Primal<'t, T>, ct: Var<'t, T>) -> Var<'t, T> {
        ct.with(ByTranspose::new(Roll(self.0, p.shape(0)[self.0] - self.1)))
    }

    fn batched<'t, T: TensorLike>(&self, _: &Primal<'t, T>, t: Var<'t, T>) -> Option<Var<'t, T>> {
        Some(t.with(ByTranspose::new(Roll(self.0 + 1, self.1))))
    }

    fn reach(&self) -> Reach {
        Reach::Rule { total: true }
    }

    fn format(&self, x: &[&str]) -> String {
        call("roll", x, &format!("{}, {}", self.0, self.1))
    }
}

impl<'t, T: TensorLike> Var<'t, T> {
    /// The same tensor as another node: to differentiate with respect to one use of a value.
    ///
    /// Shapes: unchanged.
    ///
    /// ```math
    /// x̄ = ȳ,   ẏ = ẋ
    /// ```
    ///
    /// Errors and non-smooth points: none.
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let x = tape.var(3.0);
    /// let once = x.identity();
    /// let y = x * once;
    /// let [dx, donce] = tape.backward(y, [x, once])?; // 2x through both, x through one
    /// assert_eq!((dx, donce), (6.0, 3.0));
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn identity(self) -> Self {
        self.unary(fixed!(ByPartial, Identity))
    }

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
        self.with(ByTranspose::new(Expand(shape.into())))
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
        self.with(ByTranspose::new(Reshape(shape.into())))
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
            Ok(order) if order.len() == shape.rank() => self.with(ByTranspose::new(Permute(order))),
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
        match (resolve_axis(a, rank), resolve_axis(b, rank)) {
            (Ok(a), Ok(b)) => {
                let mut order: SmallVec<[usize; 4]> = (0..rank).collect();
                order.swap(a, b);
                self.with(ByTranspose::new(Permute(order)))
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
        self.with(ByTranspose::new(Part(slices.to_vec())))
    }

    /// `len` sub-tensors along `axis`, the first at `start`; a [`Var::slice`].
    ///
    /// # Errors
    /// [`AxisOutOfRange`](ErrorKind::AxisOutOfRange), [`BadSlice`](ErrorKind::BadSlice).
    #[track_caller]
    pub fn narrow(self, axis: isize, start: usize, len: usize) -> Self {
        let Ok(shape) = self.shape() else { return self };
        match resolve_axis(axis, shape.rank()) {
            Err(kind) => self.void("narrow", kind),
            Ok(axis) => {
                let mut slices: Vec<Slice> = shape.iter().map(|&n| Slice::all(n)).collect();
                slices[axis] = Slice { start, stop: start.saturating_add(len), step: 1 };
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
        self.with(ByTranspose::new(Whole(shape.into(), slices.to_vec())))
    }

    /// The tensor with `value` around it: `widths` says for each axis how many elements come before
    /// and after (NumPy's `pad`).
    ///
    /// Shapes: `[2, 3]` by `[(0, 1), (2, 2)]` → `[3, 7]`.
    ///
    /// ```math
    /// x̄ = slice(ȳ),   ẏ = unslice(ẋ)
    /// ```
    ///
    /// # Errors
    /// [`Parameter`](ErrorKind::Parameter) if there is not one pair of widths an axis;
    /// [`TooLarge`](ErrorKind::TooLarge).
    ///
    /// Non-smooth points: none. The value may be infinite.
    #[track_caller]
    pub fn pad(self, widths: &[(usize, usize)], value: f64) -> Self {
        self.with(Pad(widths.to_vec(), value))
    }

    /// The elements in reverse order along `axes`.
    ///
    /// Shapes: any, kept.
    ///
    /// ```math
    /// x̄ = flip(ȳ),   ẏ = flip(ẋ)
    /// ```
    ///
    /// # Errors
    /// [`AxisOutOfRange`](ErrorKind::AxisOutOfRange), [`RepeatedAxis`](ErrorKind::RepeatedAxis).
    ///
    /// Non-smooth points: none.
    #[track_caller]
    pub fn flip(self, axes: impl Into<Axes>) -> Self {
        let Ok(shape) = self.shape() else { return self };
        match axes.into().resolve_sorted(shape.rank()) {
            Ok(axes) => self.with(ByTranspose::new(Flip(axes))),
            Err(kind) => self.void("flip", kind),
        }
    }

    /// The elements moved by `shift` places along `axis`; those that leave it at one end come back
    /// at the other: `y[i] = x[(i − shift) mod n]`. A negative shift moves to the front.
    ///
    /// Shapes: any, kept.
    ///
    /// ```math
    /// x̄ = roll(ȳ, −shift),   ẏ = roll(ẋ, shift)
    /// ```
    ///
    /// # Errors
    /// [`AxisOutOfRange`](ErrorKind::AxisOutOfRange).
    ///
    /// Non-smooth points: none.
    #[track_caller]
    pub fn roll(self, axis: isize, shift: isize) -> Self {
        let Ok(shape) = self.shape() else { return self };
        match resolve_axis(axis, shape.rank()) {
            Ok(axis) => {
                // Of an empty axis, any shift is none.
                let shift = shift.checked_rem_euclid(shape[axis] as isize).unwrap_or(0);
                self.with(ByTranspose::new(Roll(axis, shift as usize)))
            }
            Err(kind) => self.void("roll", kind),
        }
    }

    /// The tensor without `axis`, if its size is 1; else the same tensor, as in PyTorch. A
    /// [`Var::reshape`].
    ///
    /// Shapes: `[2, 1, 3]` by axis 1 → `[2, 3]`.
    ///
    /// # Errors
    /// [`AxisOutOfRange`](ErrorKind::AxisOutOfRange).
    #[track_caller]
    pub fn squeeze(self, axis: isize) -> Self {
        let Ok(shape) = self.shape() else { return self };
        match resolve_axis(axis, shape.rank()) {
            Ok(axis) if shape[axis] == 1 => self.reshape(shape.without(&[axis])),
            Ok(_) => self,
            Err(kind) => self.void("squeeze", kind),
        }
    }

    /// The tensor with a new axis of size 1, which is axis `axis` of the result. A
    /// [`Var::reshape`].
    ///
    /// Shapes: `[2, 3]` by axis 1 → `[2, 1, 3]`; by −1 → `[2, 3, 1]`.
    ///
    /// # Errors
    /// [`AxisOutOfRange`](ErrorKind::AxisOutOfRange).
    #[track_caller]
    pub fn unsqueeze(self, axis: isize) -> Self {
        let Ok(shape) = self.shape() else { return self };
        match resolve_axis(axis, shape.rank() + 1) {
            Ok(axis) => self.reshape(with_axis(&shape, axis, 1)),
            Err(kind) => self.void("unsqueeze", kind),
        }
    }

    /// The tensor `reps[i]` times, one after the other, along each axis `i`. Where one of tensor
    /// and `reps` has fewer axes, it gets leading ones of size 1, as in NumPy.
    ///
    /// Shapes: `[2, 3]` by `[2, 2]` → `[4, 6]`; `[3]` by `[2, 2]` → `[2, 6]`.
    ///
    /// ```math
    /// x̄ = Σ over the copies ȳ,   ẏ = tile(ẋ)
    /// ```
    ///
    /// # Errors
    /// [`TooLarge`](ErrorKind::TooLarge).
    ///
    /// Non-smooth points: none.
    #[track_caller]
    pub fn tile(self, reps: &[usize]) -> Self {
        let Ok(shape) = self.shape() else { return self };
        let rank = shape.rank().max(reps.len());
        let aligned = |list: &[usize], axis: usize| {
            (axis + list.len()).checked_sub(rank).map_or(1, |axis| list[axis])
        };
        let (mut before, mut beside, mut after) = (Vec::new(), Vec::new(), Vec::new());
        for axis in 0..rank {
            let (rep, n) = (aligned(reps, axis), aligned(&shape, axis));
            before.extend([1, n]);
            beside.extend([rep, n]);
            after.push(rep.saturating_mul(n));
        }
        self.reshape(before).expand(beside).reshape(after)
    }

    /// Each sub-tensor along `axis` `repeats` times, one after the other.
    ///
    /// Shapes: `[2, 3]` along 1, 2 times → `[2, 6]`.
    ///
    /// ```math
    /// x̄ = Σ over the copies ȳ,   ẏ = repeat_interleave(ẋ)
    /// ```
    ///
    /// # Errors
    /// [`AxisOutOfRange`](ErrorKind::AxisOutOfRange), [`TooLarge`](ErrorKind::TooLarge).
    ///
    /// Non-smooth points: none.
    #[track_caller]
    pub fn repeat_interleave(self, axis: isize, repeats: usize) -> Self {
        let Ok(shape) = self.shape() else { return self };
        match resolve_axis(axis, shape.rank()) {
            Ok(axis) => {
                let beside = with_axis(&shape, axis + 1, repeats);
                let after = resized(&shape, axis, shape[axis].saturating_mul(repeats));
                self.reshape(with_axis(&shape, axis + 1, 1)).expand(beside).reshape(after)
            }
            Err(kind) => self.void("repeat_interleave", kind),
        }
    }
}

/// `shape` with a new axis of size `size`, which becomes axis `axis`.
fn with_axis(shape: &[usize], axis: usize, size: usize) -> Shape {
    let (before, after) = shape.split_at(axis);
    before.iter().copied().chain([size]).chain(after.iter().copied()).collect()
}
