//! Exponentials over their sum: logsumexp, softmax and log_softmax, which overflow nowhere.

use super::reduce::Over;
use crate::ground::{Axes, ErrorKind, Shape, TensorLike, below_max, call, keeping};
use crate::tape::{Cotangents, Facts, Op, Primal, Reach, Tangents, Var};

#[derive(Clone)]
struct LogSumExp(Over);

impl<T: TensorLike> Op<T> for LogSumExp {
    fn name(&self) -> &'static str {
        "logsumexp"
    }

    fn facts(&self) -> Facts {
        Facts::GENERAL.reaching(Reach::Along(self.0.bits()))
    }

    fn shape(&self, x: &[Shape]) -> Result<Shape, ErrorKind> {
        only(x).map(|x| self.0.shape(x))
    }

    fn forward(&self, x: &[&T]) -> Result<T, T::Error> {
        let (x, axes) = (x[0], self.0.axes(x[0].shape().len()));
        if x.shape().contains(&0) {
            return x.full(&self.0.shape(x.shape()), f64::NEG_INFINITY);
        }
        let sum = below_max(x, &axes)?.exp()?.sum(&axes)?;
        self.0.restore(sum.ln()?.add(&x.max(&axes)?)?, x.shape())
    }

    fn vjp<'t>(&self, p: &Primal<'t, T>, ct: Var<'t, T>, x_bar: &mut Cotangents<'_, 't, T>) {
        let softmax = p.x(0).with(Softmax(self.0.kept()));
        x_bar.each(|_| self.0.unreduce(ct, &p.shape(0)) * softmax);
    }

    fn jvp<'t>(&self, p: &Primal<'t, T>, t: &Tangents<'_, 't, T>) -> Option<Var<'t, T>> {
        let softmax = p.x(0).with(Softmax(self.0.kept()));
        t.sum(|_, x_dot| (x_dot * softmax).sum_over(&self.0.of(t, p)))
    }

    fn format(&self, x: &[&str]) -> String {
        self.0.format("logsumexp", x)
    }
}

/// Over one axis, but for the rule of logsumexp over any; those axes are kept.
#[derive(Clone)]
struct Softmax(Over);

impl Softmax {
    /// The Jacobian diag(y) − y yᵀ, which is symmetric, times c, with sums over the axes that y has
    /// in c.
    fn jacobian<'t, T: TensorLike>(
        &self,
        p: &Primal<'t, T>,
        c: Var<'t, T>,
        over: &Over,
    ) -> Var<'t, T> {
        let y = p.y();
        y * (c - (y * c).sum_over(over))
    }
}

impl<T: TensorLike> Op<T> for Softmax {
    fn name(&self) -> &'static str {
        "softmax"
    }

    fn facts(&self) -> Facts {
        Facts::keeps_shape(1).reaching(Reach::Along(self.0.bits())).by_value()
    }

    fn depends<'t>(&self, _: usize, p: &Primal<'t, T>) -> Option<Var<'t, T>> {
        with_a_share(p)
    }

    fn shape(&self, x: &[Shape]) -> Result<Shape, ErrorKind> {
        only(x).cloned()
    }

    fn forward(&self, x: &[&T]) -> Result<T, T::Error> {
        let x = x[0];
        match self.0.axes(x.shape().len())[..] {
            [axis] => x.softmax(axis),
            ref axes => {
                let e = below_max(x, axes)?.exp()?;
                e.div(&keeping(axes, x, e.sum(axes)?)?)
            }
        }
    }

    fn vjp<'t>(&self, p: &Primal<'t, T>, ct: Var<'t, T>, x_bar: &mut Cotangents<'_, 't, T>) {
        x_bar.each(|_| self.jacobian(p, ct, &self.0));
    }

    fn jvp<'t>(&self, p: &Primal<'t, T>, t: &Tangents<'_, 't, T>) -> Option<Var<'t, T>> {
        t.sum(|_, x_dot| self.jacobian(p, x_dot, &self.0.of(t, p)))
    }

    fn format(&self, x: &[&str]) -> String {
        call("softmax", x, &self.0.listed())
    }
}

/// Holds the axis.
#[derive(Clone)]
struct LogSoftmax(usize);

impl<T: TensorLike> Op<T> for LogSoftmax {
    fn name(&self) -> &'static str {
        "log_softmax"
    }

    fn facts(&self) -> Facts {
        Facts::keeps_shape(1).reaching(Reach::Along(1 << self.0)).by_value()
    }

    fn depends<'t>(&self, _: usize, p: &Primal<'t, T>) -> Option<Var<'t, T>> {
        with_a_share(p)
    }

    fn shape(&self, x: &[Shape]) -> Result<Shape, ErrorKind> {
        only(x).cloned()
    }

    fn forward(&self, x: &[&T]) -> Result<T, T::Error> {
        x[0].log_softmax(self.0)
    }

    fn vjp<'t>(&self, p: &Primal<'t, T>, ct: Var<'t, T>, x_bar: &mut Cotangents<'_, 't, T>) {
        x_bar.each(|_| ct - p.y().exp() * ct.sum_keepdim(self.0 as isize));
    }

    fn jvp<'t>(&self, p: &Primal<'t, T>, t: &Tangents<'_, 't, T>) -> Option<Var<'t, T>> {
        let axis = self.0 as isize + if t.stack().is_some() { 1 } else { 0 };
        t.sum(|_, x_dot| x_dot - (p.y().exp() * x_dot).sum_keepdim(axis))
    }

    fn format(&self, x: &[&str]) -> String {
        call("log_softmax", x, &self.0.to_string())
    }
}

/// The mask of the logits above −∞; `None` if all are. The share of the others is 0, whatever
/// happens to them.
fn with_a_share<'t, T: TensorLike>(p: &Primal<'t, T>) -> Option<Var<'t, T>> {
    let mask = p.x(0).ne(f64::NEG_INFINITY);
    let has_zero = mask.value().ok()?.has_zero().unwrap_or(true);
    has_zero.then_some(mask)
}

impl<'t, T: TensorLike> Var<'t, T> {
    /// The logarithm of the sum of exponentials, `ln Σ eˣ`, of all elements.
    ///
    /// Shapes: any → `[]`. Over no elements it is −∞.
    ///
    /// ```math
    /// x̄ = ȳ s,   ẏ = Σ s ẋ,   s = softmax(x)
    /// ```
    ///
    /// Errors: none. No intermediate overflows. Where elements are infinite, those that equal the
    /// largest share the derivative: `[∞, 0]` has gradient `[1, 0]`, and `[−∞, −∞]` has `[½, ½]`.
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// assert_eq!(tape.var(1000.0).logsumexp().item()?, 1000.0);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn logsumexp(self) -> Self {
        self.unary(const { &LogSumExp(Over::ALL) })
    }

    /// `ln Σ eˣ` over `axes`, which are dropped; over no axes (`[]`), the tensor itself.
    ///
    /// Formula and infinities: as [`Var::logsumexp`].
    ///
    /// # Errors
    /// [`AxisOutOfRange`](ErrorKind::AxisOutOfRange), [`RepeatedAxis`](ErrorKind::RepeatedAxis).
    #[track_caller]
    pub fn logsumexp_axes(self, axes: impl Into<Axes>) -> Self {
        self.reduce("logsumexp", axes.into(), false, LogSumExp)
    }

    /// [`Var::logsumexp_axes`], but the axes stay with size 1.
    #[track_caller]
    pub fn logsumexp_keepdim(self, axes: impl Into<Axes>) -> Self {
        self.reduce("logsumexp", axes.into(), true, LogSumExp)
    }

    /// The exponentials along `axis` over their sum, `eˣ / Σ eˣ`.
    ///
    /// Shapes: unchanged.
    ///
    /// ```math
    /// x̄ = y (ȳ − Σ y ȳ),   ẏ = y (ẋ − Σ y ẋ)
    /// ```
    ///
    /// # Errors
    /// [`AxisOutOfRange`](ErrorKind::AxisOutOfRange); a scalar has no axis.
    ///
    /// No intermediate overflows. Where elements are infinite, those that equal the largest share
    /// the sum of 1: `[∞, 0]` gives `[1, 0]`, and `[−∞, −∞]` gives `[½, ½]`.
    #[track_caller]
    pub fn softmax(self, axis: isize) -> Self {
        self.reduce("softmax", axis.into(), true, Softmax)
    }

    /// The logarithm of [`Var::softmax`] along `axis`, `x − ln Σ eˣ`, of full accuracy where the
    /// softmax itself is too small for its dtype.
    ///
    /// Shapes: unchanged.
    ///
    /// ```math
    /// x̄ = ȳ − eʸ Σ ȳ,   ẏ = ẋ − Σ eʸ ẋ
    /// ```
    ///
    /// # Errors
    /// [`AxisOutOfRange`](ErrorKind::AxisOutOfRange); a scalar has no axis.
    ///
    /// Infinite elements: as [`Var::softmax`].
    #[track_caller]
    pub fn log_softmax(self, axis: isize) -> Self {
        let Ok(shape) = self.shape() else { return self };
        match Axes::from(axis).resolve(shape.rank()) {
            Ok(axes) => self.with(LogSoftmax(axes[0])),
            Err(kind) => self.void("log_softmax", kind),
        }
    }
}

/// The shape of the one argument.
fn only(x: &[Shape]) -> Result<&Shape, ErrorKind> {
    match x {
        [x] => Ok(x),
        _ => Err(ErrorKind::Arity { expected: 1, got: x.len() }),
    }
}
