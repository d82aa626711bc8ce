//! Reductions over axes: sum, mean, max, min, norm, and the transpose of broadcasting.

use smallvec::SmallVec;

use super::elementwise::scale_of;
use crate::ground::{Axes, ErrorKind, Shape, TensorLike, call, n_elements, stretched_axes};
use crate::kinds::{ByTranspose, Linear, stack_shape};
use crate::tape::{Cotangents, Facts, Op, Primal, Reach, Tangents, Var};

/// The axes that a reduction runs over, and whether they stay with size 1.
#[derive(Clone, Debug)]
pub(super) struct Over {
    /// Sorted and in range; `None` for all axes.
    axes: Option<SmallVec<[usize; 4]>>,
    keepdim: bool,
}

impl Over {
    pub(super) const ALL: Over = Over { axes: None, keepdim: false };

    /// The same axes, kept with size 1.
    pub(super) fn kept(&self) -> Over {
        Over { axes: self.axes.clone(), keepdim: true }
    }

    /// The same axes of tensors of this shape that are stacked along a leading axis.
    pub(super) fn stacked(&self, x: &Shape) -> Over {
        let axes = self.axes(x.rank()).into_iter().map(|axis| axis + 1).collect();
        Over { axes: Some(axes), keepdim: self.keepdim }
    }

    /// The axes that these are in the tangents of the argument, which may be stacked.
    pub(super) fn of<T: TensorLike>(&self, t: &Tangents<'_, '_, T>, p: &Primal<'_, T>) -> Over {
        match t.stack() {
            None => self.clone(),
            Some(_) => self.stacked(&p.shape(0)),
        }
    }

    /// The axes, of a tensor of this rank.
    pub(super) fn axes(&self, rank: usize) -> SmallVec<[usize; 4]> {
        self.axes.clone().unwrap_or_else(|| (0..rank).collect())
    }

    pub(super) fn shape(&self, x: &[usize]) -> Shape {
        let (x, axes) = (Shape::from(x), self.axes(x.len()));
        if self.keepdim { x.keeping(&axes) } else { x.without(&axes) }
    }

    /// Restores the axes that `reduced`, a reduction of a tensor of this shape, has dropped.
    pub(super) fn restore<T: TensorLike>(&self, reduced: T, x: &[usize]) -> Result<T, T::Error> {
        if self.keepdim { reduced.reshape(&self.shape(x)) } else { Ok(reduced) }
    }

    /// What an element of the argument of a reduction reaches.
    pub(super) fn reach(&self) -> Reach {
        let Some(axes) = &self.axes else { return Reach::Along(u16::MAX) };
        let bits = axes.iter().try_fold(0u16, |bits, &axis| {
            Some(bits | 1u16.checked_shl(u32::try_from(axis).ok()?)?)
        });
        // So many axes are rare.
        bits.filter(|&bits| bits != u16::MAX).map_or(Reach::All, Reach::Along)
    }

    /// The number of elements that go into each result.
    pub(super) fn count(&self, x: &[usize]) -> f64 {
        self.axes(x.len()).iter().map(|&axis| x[axis] as f64).product()
    }

    /// The number of elements less a correction, but not below 0.
    pub(super) fn freedom(&self, x: &[usize], correction: usize) -> f64 {
        (self.count(x) - correction as f64).max(0.0)
    }

    /// `y`, which has the shape of the reduction, in a shape that broadcasts against `x`.
    pub(super) fn unreduce<'t, T: TensorLike>(&self, y: Var<'t, T>, x: &Shape) -> Var<'t, T> {
        match (&self.axes, self.keepdim) {
            (None, _) | (_, true) => y,
            (Some(axes), false) => y.reshape(x.keeping(axes)),
        }
    }

    /// The axes as the parameter of a call.
    pub(super) fn listed(&self) -> String {
        self.axes.as_ref().map_or(String::new(), |axes| format!("{axes:?}"))
    }

    /// The call of a reduction, by the name of the method for these axes.
    pub(super) fn format(&self, name: &str, x: &[&str]) -> String {
        self.format_with(name, x, "")
    }

    /// [`Over::format`] with a parameter before the axes.
    fn format_with(&self, name: &str, x: &[&str], parameter: &str) -> String {
        let suffix = match (&self.axes, self.keepdim) {
            (None, false) => "",
            (_, true) => "_keepdim",
            (Some(_), false) => "_axes",
        };
        let separator = if parameter.is_empty() || self.axes.is_none() { "" } else { ", " };
        let parameters = format!("{parameter}{separator}{}", self.listed());
        call(&format!("{name}{suffix}"), x, &parameters)
    }
}

#[derive(Clone)]
pub(super) struct Sum(pub(super) Over);

impl Linear for Sum {
    const NAME: &'static str = "sum";

    fn shape(&self, x: &Shape) -> Result<Shape, ErrorKind> {
        Ok(self.0.shape(x))
    }

    fn forward<T: TensorLike>(&self, x: &T) -> Result<T, T::Error> {
        let axes = self.0.axes(x.shape().len());
        self.0.restore(x.sum(&axes)?, x.shape())
    }

    fn transpose<'t, T: TensorLike>(&self, p: &Primal<'t, T>, ct: Var<'t, T>) -> Var<'t, T> {
        let shape = p.shape(0);
        self.0.unreduce(ct, &shape).expand(shape)
    }

    fn batched<'t, T: TensorLike>(&self, p: &Primal<'t, T>, t: Var<'t, T>) -> Option<Var<'t, T>> {
        Some(t.sum_over(&self.0.stacked(&p.shape(0))))
    }

    fn reach(&self) -> Reach {
        Reach::Rule { total: true }
    }

    fn format(&self, x: &[&str]) -> String {
        self.0.format("sum", x)
    }
}

#[derive(Clone)]
struct Mean(Over);

impl Linear for Mean {
    const NAME: &'static str = "mean";

    fn shape(&self, x: &Shape) -> Result<Shape, ErrorKind> {
        Ok(self.0.shape(x))
    }

    fn forward<T: TensorLike>(&self, x: &T) -> Result<T, T::Error> {
        let axes = self.0.axes(x.shape().len());
        self.0.restore(x.mean(&axes)?, x.shape())
    }

    fn transpose<'t, T: TensorLike>(&self, p: &Primal<'t, T>, ct: Var<'t, T>) -> Var<'t, T> {
        let shape = p.shape(0);
        // Not divided by the number, which half precision may not be able to hold.
        let share = ct * self.0.count(&shape).recip();
        self.0.unreduce(share, &shape).expand(shape)
    }

    fn batched<'t, T: TensorLike>(&self, p: &Primal<'t, T>, t: Var<'t, T>) -> Option<Var<'t, T>> {
        Some(t.mean_over(&self.0.stacked(&p.shape(0))))
    }

    fn reach(&self) -> Reach {
        self.0.reach()
    }

    fn format(&self, x: &[&str]) -> String {
        self.0.format("mean", x)
    }
}

/// The largest element or the smallest.
#[derive(Clone)]
struct Extremum<const LARGEST: bool>(Over);

impl<T: TensorLike, const LARGEST: bool> Op<T> for Extremum<LARGEST> {
    fn name(&self) -> &'static str {
        if LARGEST { "max" } else { "min" }
    }

    fn facts(&self) -> Facts {
        Facts::GENERAL.reaching(Reach::Told).by_value()
    }

    fn shape(&self, x: &[Shape]) -> Result<Shape, ErrorKind> {
        extremum_shape(&self.0, x)
    }

    fn forward(&self, x: &[&T]) -> Result<T, T::Error> {
        let axes = self.0.axes(x[0].shape().len());
        let extremum = if LARGEST { x[0].max(&axes)? } else { x[0].min(&axes)? };
        self.0.restore(extremum, x[0].shape())
    }

    fn vjp<'t>(&self, p: &Primal<'t, T>, ct: Var<'t, T>, x_bar: &mut Cotangents<'_, 't, T>) {
        let (chosen, count) = chosen(&self.0, p);
        x_bar.each(|_| chosen.where_(self.0.unreduce(ct / count, &p.shape(0)), 0.0));
        if let Some(masks) = x_bar.masks() {
            let of_y =
                masks.y.get().map(|mask| self.0.unreduce(mask.expand(p.y_shape()), &p.shape(0)));
            masks.x[0].set(Some(of_y.map_or(chosen, |mask| chosen * mask)));
        }
    }

    // The mean of the tangents of the chosen elements.
    fn jvp<'t>(&self, p: &Primal<'t, T>, t: &Tangents<'_, 't, T>) -> Option<Var<'t, T>> {
        let (chosen, count) = chosen(&self.0, p);
        if let (Some(masks), Some(x_dot)) = (t.masks(), t.get(0)) {
            let live = masks.x[0]
                .get()
                .map(|mask| chosen * mask.expand(x_dot.shape().unwrap_or_default()));
            masks.y.set(live.map(|live| live.sum_over(&self.0.of(t, p)).ne(0.0)));
        }
        t.sum(|_, x_dot| chosen.where_(x_dot, 0.0).sum_over(&self.0.of(t, p)) / count)
    }

    fn format(&self, x: &[&str]) -> String {
        self.0.format(Op::<T>::name(self), x)
    }
}

/// The shape rule of max and min, which have no value over no elements.
fn extremum_shape(over: &Over, x: &[Shape]) -> Result<Shape, ErrorKind> {
    let [x] = x else { return Err(ErrorKind::Arity { expected: 1, got: x.len() }) };
    let shape = over.shape(x);
    match (x.n_elements(), shape.n_elements()) {
        (Some(0), Some(1..)) => Err(ErrorKind::EmptyReduction { shape: x.clone() }),
        _ => Ok(shape),
    }
}

/// The elements that make the extremum what it is, as a mask: those that equal it, and NaN; and how
/// many are equal.
///
/// Where the extremum is NaN, it stands in place of the number, so that the shares are NaN to every
/// order. The mask is untracked, as masks are.
fn chosen<'t, T: TensorLike>(over: &Over, p: &Primal<'t, T>) -> (Var<'t, T>, Var<'t, T>) {
    let (x, y) = (p.x(0), p.y());
    let tied = x.eq(over.unreduce(y, &p.shape(0)));
    let count = tied.sum_over(over);
    let has_nan = y.value().is_ok_and(|y| y.has_nan().unwrap_or(true));
    match has_nan {
        false => (tied, count),
        true => (tied + x.ne(x), y.eq(y).where_(count, y)),
    }
}

/// The p-norm, 0 < p < ∞; 1 and ∞ are compositions.
#[derive(Clone)]
struct Norm {
    p: f64,
    over: Over,
}

impl Norm {
    /// `∂y/∂x = x |x|ᵖ⁻² y¹⁻ᵖ`, and 0 where x = 0, which is the subgradient of least norm.
    ///
    /// It stays the same when x and y are divided by the same number.
    fn slope<'t, T: TensorLike>(&self, p: &Primal<'t, T>) -> Var<'t, T> {
        let norm = self.over.unreduce(p.y(), &p.shape(0));
        let scale = norm.as_scale();
        let (x, y) = (p.x(0) / scale, norm / scale);
        let slope = match self.p {
            2.0 => x / y,
            p => (x.abs() / y).powf(p - 1.0).mul_sign(x),
        };
        slope.zero_where_zero(norm)
    }
}

/// `(Σ |x|ᵖ)^(1/p)`, with x scaled by the largest so that no power over- or underflows.
fn scaled_norm<T: TensorLike>(x: &T, p: f64, axes: &[usize]) -> Result<T, T::Error> {
    let norm = |x: &T| match p {
        2.0 => x.square()?.sum(axes)?.sqrt(),
        p => x.abs()?.powf(p)?.sum(axes)?.powf(p.recip()),
    };
    if n_elements(x.shape()) == Some(0) {
        return norm(x);
    }
    let largest = x.abs()?.max(axes)?;
    // More than 2¹⁴ powers up to 1 come near the largest number of 16 bits. A power of two is exact.
    let n: f64 = axes.iter().map(|&axis| x.shape()[axis] as f64).product();
    let many = ((n.log2() - 14.0) / 2.0).ceil().max(0.0).exp2();
    let scale = scale_of(&largest)?;
    let scale = if many > 1.0 { scale.scale(many)? } else { scale };
    let kept = Shape::from(x.shape()).keeping(axes);
    norm(&x.div(&scale.reshape(&kept)?)?)?.mul(&scale)
}

impl<T: TensorLike> Op<T> for Norm {
    fn name(&self) -> &'static str {
        "norm"
    }

    fn facts(&self) -> Facts {
        Facts::GENERAL.reaching(self.over.reach()).by_value()
    }

    fn shape(&self, x: &[Shape]) -> Result<Shape, ErrorKind> {
        let [x] = x else { return Err(ErrorKind::Arity { expected: 1, got: x.len() }) };
        Ok(self.over.shape(x))
    }

    fn forward(&self, x: &[&T]) -> Result<T, T::Error> {
        let axes = self.over.axes(x[0].shape().len());
        self.over.restore(scaled_norm(x[0], self.p, &axes)?, x[0].shape())
    }

    fn vjp<'t>(&self, p: &Primal<'t, T>, ct: Var<'t, T>, x_bar: &mut Cotangents<'_, 't, T>) {
        x_bar.each(|_| self.over.unreduce(ct, &p.shape(0)) * self.slope(p));
    }

    fn jvp<'t>(&self, p: &Primal<'t, T>, t: &Tangents<'_, 't, T>) -> Option<Var<'t, T>> {
        t.sum(|_, x_dot| (x_dot * self.slope(p)).sum_over(&self.over.of(t, p)))
    }

    fn format(&self, x: &[&str]) -> String {
        self.over.format_with("norm", x, &self.p.to_string())
    }
}

#[derive(Clone)]
struct SumTo(Shape);

impl Linear for SumTo {
    const NAME: &'static str = "sum_to";

    fn shape(&self, x: &Shape) -> Result<Shape, ErrorKind> {
        match self.0.expands_to(x) {
            true => Ok(self.0.clone()),
            false => {
                let (left, right) = (x.clone(), self.0.clone());
                let rule = "are incompatible: the second does not broadcast to the first";
                Err(ErrorKind::ShapeMismatch { left, right, rule })
            }
        }
    }

    fn forward<T: TensorLike>(&self, x: &T) -> Result<T, T::Error> {
        x.sum_to(&self.0)
    }

    fn transpose<'t, T: TensorLike>(&self, p: &Primal<'t, T>, ct: Var<'t, T>) -> Var<'t, T> {
        ct.expand(p.shape(0))
    }

    fn batched<'t, T: TensorLike>(&self, p: &Primal<'t, T>, t: Var<'t, T>) -> Option<Var<'t, T>> {
        let axes = stretched_axes(&self.0, &p.shape(0));
        let axes: Vec<isize> = axes.into_iter().map(|axis| axis as isize + 1).collect();
        Some(t.sum_axes(&axes[..]).reshape(stack_shape(t, &self.0)))
    }

    fn reach(&self) -> Reach {
        Reach::Rule { total: true }
    }

    fn format(&self, x: &[&str]) -> String {
        call("sum_to", x, &self.0.to_string())
    }
}

impl<'t, T: TensorLike> Var<'t, T> {
    /// The sum of all elements.
    ///
    /// Shapes: any → `[]`. Over no elements it is 0.
    ///
    /// ```math
    /// x̄ = ȳ expanded to the shape of x,   ẏ = Σ ẋ
    /// ```
    ///
    /// Errors and non-smooth points: none.
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// assert_eq!(tape.var(2.0).sum().item()?, 2.0);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn sum(self) -> Self {
        self.unary(const { &ByTranspose::new(Sum(Over::ALL)) })
    }

    /// The sum over `axes`, which are dropped; over no axes (`[]`), the tensor itself.
    ///
    /// Shapes: `[2, 3, 4]` over `[0, -1]` → `[3]`. Formula: as [`Var::sum`].
    ///
    /// # Errors
    /// [`AxisOutOfRange`](ErrorKind::AxisOutOfRange), [`RepeatedAxis`](ErrorKind::RepeatedAxis).
    #[track_caller]
    pub fn sum_axes(self, axes: impl Into<Axes>) -> Self {
        self.reduce("sum", axes.into(), false, |over| ByTranspose::new(Sum(over)))
    }

    /// [`Var::sum_axes`], but the axes stay with size 1.
    #[track_caller]
    pub fn sum_keepdim(self, axes: impl Into<Axes>) -> Self {
        self.reduce("sum", axes.into(), true, |over| ByTranspose::new(Sum(over)))
    }

    /// The mean of all elements.
    ///
    /// Shapes: any → `[]`. Over no elements it is NaN.
    ///
    /// ```math
    /// x̄ = ȳ / n expanded to the shape of x,   ẏ = Σ ẋ / n
    /// ```
    ///
    /// Errors and non-smooth points: none.
    #[track_caller]
    pub fn mean(self) -> Self {
        self.unary(const { &ByTranspose::new(Mean(Over::ALL)) })
    }

    /// The mean over `axes`, which are dropped; over no axes (`[]`), the tensor itself.
    ///
    /// Formula: as [`Var::mean`].
    ///
    /// # Errors
    /// [`AxisOutOfRange`](ErrorKind::AxisOutOfRange), [`RepeatedAxis`](ErrorKind::RepeatedAxis).
    #[track_caller]
    pub fn mean_axes(self, axes: impl Into<Axes>) -> Self {
        self.reduce("mean", axes.into(), false, |over| ByTranspose::new(Mean(over)))
    }

    /// [`Var::mean_axes`], but the axes stay with size 1.
    #[track_caller]
    pub fn mean_keepdim(self, axes: impl Into<Axes>) -> Self {
        self.reduce("mean", axes.into(), true, |over| ByTranspose::new(Mean(over)))
    }

    /// The largest element; NaN if there is one.
    ///
    /// Shapes: any → `[]`.
    ///
    /// ```math
    /// x̄ = ȳ [x = y] / n,   ẏ = Σ ẋ [x = y] / n,   n = Σ [x = y]
    /// ```
    ///
    /// # Errors
    /// [`EmptyReduction`](ErrorKind::EmptyReduction) over no elements.
    ///
    /// The n elements that are tied share the cotangent equally, as PyTorch's `amax` and JAX do.
    /// What is not chosen has derivative 0, even against a cotangent that is infinite or NaN.
    ///
    /// NaN: an element that is NaN has derivative NaN, and the others have 0, since the result does
    /// not depend on them. (PyTorch's `amax` and JAX answer NaN for all.)
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let x = tape.var(2.0);
    /// let [dx] = tape.backward(x.max(), [x])?;
    /// assert_eq!(dx, 1.0);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn max(self) -> Self {
        self.unary(const { &Extremum::<true>(Over::ALL) })
    }

    /// The largest element over `axes`, which are dropped; over no axes (`[]`), the tensor itself.
    ///
    /// Formula, ties and NaN: as [`Var::max`].
    ///
    /// # Errors
    /// [`EmptyReduction`](ErrorKind::EmptyReduction) over no elements;
    /// [`AxisOutOfRange`](ErrorKind::AxisOutOfRange), [`RepeatedAxis`](ErrorKind::RepeatedAxis).
    #[track_caller]
    pub fn max_axes(self, axes: impl Into<Axes>) -> Self {
        self.reduce("max", axes.into(), false, Extremum::<true>)
    }

    /// [`Var::max_axes`], but the axes stay with size 1.
    #[track_caller]
    pub fn max_keepdim(self, axes: impl Into<Axes>) -> Self {
        self.reduce("max", axes.into(), true, Extremum::<true>)
    }

    /// The smallest element; NaN if there is one. Formula, ties, errors and the derivative at NaN: as
    /// [`Var::max`].
    #[track_caller]
    pub fn min(self) -> Self {
        self.unary(const { &Extremum::<false>(Over::ALL) })
    }

    /// The smallest element over `axes`, which are dropped. Otherwise as [`Var::max_axes`].
    ///
    /// # Errors
    /// [`EmptyReduction`](ErrorKind::EmptyReduction) over no elements;
    /// [`AxisOutOfRange`](ErrorKind::AxisOutOfRange), [`RepeatedAxis`](ErrorKind::RepeatedAxis).
    #[track_caller]
    pub fn min_axes(self, axes: impl Into<Axes>) -> Self {
        self.reduce("min", axes.into(), false, Extremum::<false>)
    }

    /// [`Var::min_axes`], but the axes stay with size 1.
    #[track_caller]
    pub fn min_keepdim(self, axes: impl Into<Axes>) -> Self {
        self.reduce("min", axes.into(), true, Extremum::<false>)
    }

    /// The p-norm `(Σ |x|ᵖ)^(1/p)` of all elements; the largest |x| for p = ∞.
    ///
    /// Shapes: any → `[]`. Over no elements it is 0, but for p = ∞.
    ///
    /// ```math
    /// x̄ = ȳ x |x|ᵖ⁻² y¹⁻ᵖ,   ẏ = Σ ẋ x |x|ᵖ⁻² y¹⁻ᵖ
    /// ```
    ///
    /// # Errors
    /// [`Parameter`](ErrorKind::Parameter) unless p > 0;
    /// [`EmptyReduction`](ErrorKind::EmptyReduction) over no elements with p = ∞.
    ///
    /// Elements that are 0 have derivative 0, and so has the zero vector: the subgradient of least
    /// norm, as in PyTorch. It has no second derivative there: infinite or NaN. With an infinite
    /// element the norm is ∞ and has derivative NaN there, as in PyTorch. For p = ∞, tied elements
    /// share the cotangent equally.
    ///
    /// NaN: an element that is NaN has derivative NaN, but 0 for p = 1, as that of [`Var::abs`].
    /// For p = ∞ the others have 0.
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let x = tape.var(-3.0);
    /// assert_eq!(x.norm(2.0).item()?, 3.0);
    /// assert_eq!(tape.backward(x.norm(2.0), x)?, -1.0);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn norm(self, p: f64) -> Self {
        self.norm_over(p, Over::ALL)
    }

    /// The p-norm over `axes`, which are dropped; over no axes (`[]`), the absolute value.
    ///
    /// Formula, zeros, ties and NaN: as [`Var::norm`].
    ///
    /// # Errors
    /// [`Parameter`](ErrorKind::Parameter), [`EmptyReduction`](ErrorKind::EmptyReduction);
    /// [`AxisOutOfRange`](ErrorKind::AxisOutOfRange), [`RepeatedAxis`](ErrorKind::RepeatedAxis).
    #[track_caller]
    pub fn norm_axes(self, p: f64, axes: impl Into<Axes>) -> Self {
        match self.over(axes, false) {
            Ok(over) => self.norm_over(p, over),
            Err(kind) => self.void("norm", kind),
        }
    }

    /// [`Var::norm_axes`], but the axes stay with size 1.
    #[track_caller]
    pub fn norm_keepdim(self, p: f64, axes: impl Into<Axes>) -> Self {
        match self.over(axes, true) {
            Ok(over) => self.norm_over(p, over),
            Err(kind) => self.void("norm", kind),
        }
    }

    #[track_caller]
    pub(super) fn norm_over(self, p: f64, over: Over) -> Self {
        match p {
            1.0 => self.abs().sum_over(&over),
            f64::INFINITY => self.abs().with(Extremum::<true>(over)),
            // Over no axes the powers cancel, but their rounding would not, at higher orders.
            p if p > 0.0 && over.axes.as_ref().is_some_and(|axes| axes.is_empty()) => self.abs(),
            p if p > 0.0 => self.with(Norm { p, over }),
            _ => {
                let message = format!("the exponent of a norm must be above 0, got {p}");
                self.void("norm", ErrorKind::Parameter { message })
            }
        }
    }

    /// The sum of all that broadcasting would have copied from a tensor of `shape`: un-broadcasting,
    /// the transpose of [`Var::expand`].
    ///
    /// Shapes: `[4, 2, 3]` to `[2, 1]` → `[2, 1]`.
    ///
    /// ```math
    /// x̄ = ȳ expanded to the shape of x,   ẏ = sum_to(ẋ)
    /// ```
    ///
    /// # Errors
    /// [`ShapeMismatch`](ErrorKind::ShapeMismatch) if `shape` does not broadcast to that of `x`.
    #[track_caller]
    pub fn sum_to(self, shape: impl Into<Shape>) -> Self {
        self.with(ByTranspose::new(SumTo(shape.into())))
    }

    /// `self`, a cotangent, un-broadcast to `shape`; itself where it has that shape. What no broadcasting explains is returned as it is.
    #[track_caller]
    pub(crate) fn unbroadcast(self, shape: &Shape) -> Self {
        let Ok(own) = self.shape() else { return self };
        if own == *shape {
            self
        } else if shape.rank() == 0 {
            self.sum()
        } else if shape.expands_to(&own) {
            self.sum_to(shape)
        } else {
            self
        }
    }

    #[track_caller]
    pub(super) fn sum_over(self, over: &Over) -> Self {
        self.with(ByTranspose::new(Sum(over.clone())))
    }

    #[track_caller]
    pub(super) fn mean_over(self, over: &Over) -> Self {
        self.with(ByTranspose::new(Mean(over.clone())))
    }

    /// What a reduction of this tensor over `axes` runs over; of a void handle, over nothing.
    pub(super) fn over(self, axes: impl Into<Axes>, keepdim: bool) -> Result<Over, ErrorKind> {
        let Ok(shape) = self.shape() else { return Ok(Over::ALL) };
        Ok(Over { axes: Some(axes.into().resolve_sorted(shape.rank())?), keepdim })
    }

    #[track_caller]
    pub(super) fn reduce<O: Op<T> + 'static>(
        self,
        name: &'static str,
        axes: Axes,
        keepdim: bool,
        op: impl FnOnce(Over) -> O,
    ) -> Self {
        match self.over(axes, keepdim) {
            Ok(over) => self.with(op(over)),
            Err(kind) => self.void(name, kind),
        }
    }
}
