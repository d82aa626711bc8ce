//! Exponentials over their sum: logsumexp, softmax and log_softmax, which overflow nowhere.

use super::reduce::Over;
use crate::ground::{
    Axes, ErrorKind, Shape, TensorLike, WINNER, below_max, call, keeping, ln_sum_exp,
};
use crate::tape::{Cotangents, Facts, Op, Primal, Tangents, Var};

#[derive(Clone)]
struct LogSumExp(Over);

impl<T: TensorLike> Op<T> for LogSumExp {
    fn name(&self) -> &'static str {
        "logsumexp"
    }

    fn facts(&self) -> Facts {
        Facts::GENERAL.reaching(self.0.reach())
    }

    fn shape(&self, x: &[Shape]) -> Result<Shape, ErrorKind> {
        only(x).map(|x| self.0.shape(x))
    }

    fn forward(&self, x: &[&T]) -> Result<T, T::Error> {
        let (x, axes) = (x[0], self.0.axes(x[0].shape().len()));
        if x.shape().contains(&0) {
            return x.full(&self.0.shape(x.shape()), f64::NEG_INFINITY);
        }
        let ln_sum = ln_sum_exp(&below_max(x, &axes)?, &axes)?;
        self.0.restore(ln_sum.add(&x.max(&axes)?)?, x.shape())
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

impl<T: TensorLike> Op<T> for Softmax {
    fn name(&self) -> &'static str {
        "softmax"
    }

    fn facts(&self) -> Facts {
        Facts::keeps_shape(1).reaching(self.0.reach()).by_value()
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

    // The Jacobian is symmetric.
    fn vjp<'t>(&self, p: &Primal<'t, T>, ct: Var<'t, T>, x_bar: &mut Cotangents<'_, 't, T>) {
        x_bar.each(|_| Map::Softmax.times(&self.0, p.y(), ct));
    }

    fn jvp<'t>(&self, p: &Primal<'t, T>, t: &Tangents<'_, 't, T>) -> Option<Var<'t, T>> {
        t.sum(|_, x_dot| Map::Softmax.times(&self.0, p.y(), x_dot))
    }

    fn format(&self, x: &[&str]) -> String {
        call("softmax", x, &self.0.listed())
    }
}

/// Over one axis, which is kept.
#[derive(Clone)]
struct LogSoftmax(Over);

impl LogSoftmax {
    fn axis(&self) -> usize {
        self.0.axes(1)[0]
    }

    /// Not `eʸ`: where y is −80, its rounding error would count for dozens of units.
    fn softmax<'t, T: TensorLike>(&self, p: &Primal<'t, T>) -> Var<'t, T> {
        p.x(0).with(Softmax(self.0.clone()))
    }
}

impl<T: TensorLike> Op<T> for LogSoftmax {
    fn name(&self) -> &'static str {
        "log_softmax"
    }

    fn facts(&self) -> Facts {
        Facts::keeps_shape(1).reaching(self.0.reach()).by_value()
    }

    fn depends<'t>(&self, _: usize, p: &Primal<'t, T>) -> Option<Var<'t, T>> {
        with_a_share(p)
    }

    fn shape(&self, x: &[Shape]) -> Result<Shape, ErrorKind> {
        only(x).cloned()
    }

    fn forward(&self, x: &[&T]) -> Result<T, T::Error> {
        x[0].log_softmax(self.axis())
    }

    fn vjp<'t>(&self, p: &Primal<'t, T>, ct: Var<'t, T>, x_bar: &mut Cotangents<'_, 't, T>) {
        x_bar.each(|_| Map::LogSoftmaxTransposed.times(&self.0, self.softmax(p), ct));
    }

    fn jvp<'t>(&self, p: &Primal<'t, T>, t: &Tangents<'_, 't, T>) -> Option<Var<'t, T>> {
        t.sum(|_, x_dot| Map::LogSoftmax.times(&self.0, self.softmax(p), x_dot))
    }

    fn format(&self, x: &[&str]) -> String {
        call("log_softmax", x, &self.axis().to_string())
    }
}

/// The linear maps that the rules apply to a cotangent or tangent c, for a softmax p.
#[derive(Clone, Copy)]
enum Map {
    /// The Jacobian of the softmax, `p (c − Σ p c)`.
    Softmax,
    /// That of its logarithm, `c − Σ p c`.
    LogSoftmax,
    /// Its transpose, `c − p Σ c`.
    LogSoftmaxTransposed,
}

impl Map {
    #[track_caller]
    fn times<'t, T: TensorLike>(self, over: &Over, p: Var<'t, T>, c: Var<'t, T>) -> Var<'t, T> {
        p.tape().apply(Jacobian { map: self, over: over.kept() }, &[p, c])
    }
}

/// A [`Map`] as an operation on p and c, where c may have a leading axis more: then it is a stack.
///
/// The formulas lose their digits at an element whose p is near 1, the winner: `1 − p` is all that
/// counts there, and it has been rounded away. Instead of it stands the sum of the other elements
/// of p. In the first two maps, c less its value at the winner has that effect, since they do not
/// depend on what is added to all of c.
///
/// The rules hold where p is a softmax: `Σ p` does not move, and what is added to all of the
/// cotangent of p has no effect.
#[derive(Clone)]
struct Jacobian {
    map: Map,
    /// The axes of p, which are kept.
    over: Over,
}

impl Jacobian {
    /// The axes in c.
    fn over_c(&self, p: &Shape, c: &Shape) -> Over {
        if c.rank() > p.rank() { self.over.stacked(p) } else { self.over.clone() }
    }

    /// c less its value at the winner, if there is one.
    fn shifted<'t, T: TensorLike>(&self, p: Var<'t, T>, c: Var<'t, T>, over: &Over) -> Var<'t, T> {
        c - p.gt(WINNER).where_(c, 0.0).sum_over(over)
    }
}

impl<T: TensorLike> Op<T> for Jacobian {
    fn name(&self) -> &'static str {
        match self.map {
            Map::Softmax => "softmax_jacobian",
            Map::LogSoftmax => "log_softmax_jacobian",
            Map::LogSoftmaxTransposed => "log_softmax_transposed",
        }
    }

    fn forward(&self, x: &[&T]) -> Result<T, T::Error> {
        let (p, c) = (x[0], x[1]);
        let over = self.over_c(&p.shape().into(), &c.shape().into());
        if let (Map::Softmax, &[axis], true) =
            (self.map, &self.over.axes(p.shape().len())[..], p.shape() == c.shape())
        {
            return p.softmax_jacobian(c, axis);
        }
        let sum = |x: &T, over: &Over| {
            let axes = over.axes(x.shape().len());
            keeping(&axes, x, x.sum(&axes)?)
        };
        let (zero, is_winner) = (p.scalar(0.0)?, p.scalar(WINNER)?.lt(p)?);
        let at_winner = sum(&is_winner.select(c, &zero)?, &over)?;
        if let Map::LogSoftmaxTransposed = self.map {
            let others = sum(&is_winner.select(&zero, c)?, &over)?;
            // 1 − p at the winner.
            let rest = sum(&is_winner.select(&zero, p)?, &self.over)?;
            let here = at_winner.mul(&rest)?.sub(&rest.neg()?.shift(1.0)?.mul(&others)?)?;
            let elsewhere = c.sub(&p.mul(&at_winner.add(&others)?)?)?;
            return is_winner.select(&here, &elsewhere);
        }
        let c = c.sub(&at_winner)?;
        let centered = c.sub(&sum(&p.mul(&c)?, &over)?)?;
        if let Map::Softmax = self.map { p.mul(&centered) } else { Ok(centered) }
    }

    fn vjp<'t>(&self, primal: &Primal<'t, T>, ct: Var<'t, T>, x_bar: &mut Cotangents<'_, 't, T>) {
        let (p, c) = (primal.x(0), primal.x(1));
        let over = self.over_c(&primal.shape(0), &primal.shape(1));
        x_bar.each(|arg| match (arg, self.map) {
            (0, Map::Softmax) => {
                let (c, ct) = (self.shifted(p, c, &over), self.shifted(p, ct, &over));
                let mean = |x: Var<'t, T>| (p * x).sum_over(&over);
                ct * (c - mean(c)) - c * mean(ct)
            }
            (0, Map::LogSoftmax) => -c * ct.sum_over(&over),
            (0, Map::LogSoftmaxTransposed) => -ct * c.sum_over(&over),
            (_, Map::Softmax) => Map::Softmax.times(&self.over, p, ct),
            (_, Map::LogSoftmax) => Map::LogSoftmaxTransposed.times(&self.over, p, ct),
            (_, Map::LogSoftmaxTransposed) => Map::LogSoftmax.times(&self.over, p, ct),
        });
    }

    fn jvp<'t>(&self, primal: &Primal<'t, T>, t: &Tangents<'_, 't, T>) -> Option<Var<'t, T>> {
        let (p, c) = (primal.x(0), primal.x(1));
        let over = self.over_c(&primal.shape(0), &primal.shape(1));
        let is_stacked = t.stack().is_some();
        if is_stacked && primal.shape(1).rank() > primal.shape(0).rank() {
            return None; // A stack of stacks.
        }
        let over_t = if is_stacked { self.over.stacked(&primal.shape(0)) } else { over.clone() };
        t.sum(|arg, t| match (arg, self.map) {
            (0, Map::Softmax) => {
                let c = self.shifted(p, c, &over);
                t * (c - (p * c).sum_over(&over)) - p * (t * c).sum_over(&over_t)
            }
            (0, Map::LogSoftmax) => -(t * self.shifted(p, c, &over)).sum_over(&over_t),
            (0, Map::LogSoftmaxTransposed) => -t * c.sum_over(&over),
            _ => self.map.times(&self.over, p, t),
        })
    }

    fn format(&self, x: &[&str]) -> String {
        call(Op::<T>::name(self), x, &self.over.listed())
    }
}

/// The mask of the logits above −∞; `None` if all are. The share of the others is 0, whatever
/// happens to them.
fn with_a_share<'t, T: TensorLike>(p: &Primal<'t, T>) -> Option<Var<'t, T>> {
    p.x(0).ne(f64::NEG_INFINITY).unless_all()
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
    /// x̄ = ȳ − s Σ ȳ,   ẏ = ẋ − Σ s ẋ,   s = softmax(x)
    /// ```
    ///
    /// # Errors
    /// [`AxisOutOfRange`](ErrorKind::AxisOutOfRange); a scalar has no axis.
    ///
    /// Infinite elements: as [`Var::softmax`].
    #[track_caller]
    pub fn log_softmax(self, axis: isize) -> Self {
        self.reduce("log_softmax", axis.into(), true, LogSoftmax)
    }
}

/// The shape of the one argument.
fn only(x: &[Shape]) -> Result<&Shape, ErrorKind> {
    match x {
        [x] => Ok(x),
        _ => Err(ErrorKind::Arity { expected: 1, got: x.len() }),
    }
}
