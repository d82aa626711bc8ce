//! Exponentials, logarithms, the error function and the absolute value.

use super::functions::{Abs, Erf, Exp, Exp2, Expm1, Ln, Log1p, Log2, Log10, derivative};
use crate::ground::{TensorLike, call};
use crate::kinds::Elementwise;
use crate::tape::{Operand, Primal, Var};

#[derive(Clone, Copy)]
struct LogAddExp;

impl Elementwise for LogAddExp {
    const NAME: &'static str = "logaddexp";
    const ARITY: usize = 2;

    fn forward<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error> {
        let tied = x[0].eq(x[1])?;
        let distance = tied.select(&tied.scalar(0.0)?, &x[0].sub(x[1])?)?.abs()?;
        x[0].maximum(x[1])?.add(&distance.neg()?.exp()?.log1p()?)
    }

    fn partial<'t, T: TensorLike>(
        &self,
        arg: usize,
        p: &Primal<'t, T>,
        c: Var<'t, T>,
    ) -> Var<'t, T> {
        let (this, other) = (p.x(arg), p.x(1 - arg));
        let difference = this - other;
        // ∞ − ∞ is NaN, and stands for 0; elsewhere a mask would lose the second derivative.
        let both_infinite = this.eq(other) * difference.ne(difference);
        c * both_infinite.where_(0.0, difference).sigmoid()
    }
}

/// `e^(−k x²)` for k = 1 or ½ and |x| ≤ 40, where it has become 0.
#[derive(Clone, Copy)]
struct Gaussian(f64);

impl Elementwise for Gaussian {
    const NAME: &'static str = "gaussian";

    // The rounding error of x² would count for hundreds of units where x² is hundreds. The square of
    // h, which is x in 64ths, has no such error, and x² − h² = (x − h)(x + h) is small.
    fn forward<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error> {
        let (x, k) = (x[0], self.0);
        let h = x.scale(64.0)?.round()?.scale(1.0 / 64.0)?;
        let rest = h.sub(x)?.mul(&h.add(x)?)?.scale(k)?.exp()?;
        h.square()?.scale(-k)?.exp()?.mul(&rest)
    }

    fn partial<'t, T: TensorLike>(&self, _: usize, p: &Primal<'t, T>, c: Var<'t, T>) -> Var<'t, T> {
        c * (p.x(0) * p.y() * (-2.0 * self.0))
    }

    fn format(&self, x: &[&str]) -> String {
        call("gaussian", x, &self.0.to_string())
    }
}

#[derive(Clone, Copy)]
struct Xlogy;

impl Elementwise for Xlogy {
    const NAME: &'static str = "xlogy";
    const ARITY: usize = 2;

    fn forward<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error> {
        let product = x[0].mul_or_zero(&x[1].ln()?)?;
        x[1].eq(x[1])?.select(&product, x[1])
    }

    fn partial<'t, T: TensorLike>(
        &self,
        arg: usize,
        p: &Primal<'t, T>,
        c: Var<'t, T>,
    ) -> Var<'t, T> {
        match arg {
            0 => c * p.x(1).ln(),
            _ => c * p.x(0).div_or_zero(p.x(1)),
        }
    }

    fn depends<'t, T: TensorLike>(&self, arg: usize, p: &Primal<'t, T>) -> Option<Var<'t, T>> {
        if arg == 1 { p.support(0) } else { None }
    }
}

/// `c · sign x`, the derivative of the absolute value. A 0 of the sign is a convention and no choice,
/// so 0 · ∞ is NaN, as a product with an untracked sign is not.
#[derive(Clone, Copy)]
struct MulSign;

impl Elementwise for MulSign {
    const NAME: &'static str = "mul_sign";
    const ARITY: usize = 2;

    fn forward<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error> {
        x[0].mul(&x[1].sign()?)
    }

    fn partial<'t, T: TensorLike>(
        &self,
        arg: usize,
        p: &Primal<'t, T>,
        c: Var<'t, T>,
    ) -> Var<'t, T> {
        if arg == 0 { c.mul_sign(p.x(1)) } else { c.zeros_like() }
    }

    fn slope(&self, arg: usize) -> Option<f64> {
        (arg == 1).then_some(0.0)
    }
}

/// x / y, but 0 where x = 0, which is its value for every other y.
#[derive(Clone, Copy)]
struct DivOrZero;

impl Elementwise for DivOrZero {
    const NAME: &'static str = "div_or_zero";
    const ARITY: usize = 2;

    fn forward<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error> {
        x[0].mul_or_zero(&x[1].recip()?)
    }

    fn partial<'t, T: TensorLike>(
        &self,
        arg: usize,
        p: &Primal<'t, T>,
        c: Var<'t, T>,
    ) -> Var<'t, T> {
        match arg {
            0 => c / p.x(1),
            _ => -c * p.y().div_or_zero(p.x(1)),
        }
    }

    fn depends<'t, T: TensorLike>(&self, arg: usize, p: &Primal<'t, T>) -> Option<Var<'t, T>> {
        if arg == 1 { p.support(0) } else { None }
    }
}

/// x, but 0 where y = 0: a convention for a derivative that does not exist there. It holds for the
/// first order, so the derivative of this function is NaN there.
#[derive(Clone, Copy)]
struct ZeroWhereZero;

impl Elementwise for ZeroWhereZero {
    const NAME: &'static str = "zero_where_zero";
    const ARITY: usize = 2;

    fn forward<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error> {
        let zero = x[0].scalar(0.0)?;
        x[1].eq(&zero)?.select(&zero, x[0])
    }

    fn partial<'t, T: TensorLike>(
        &self,
        arg: usize,
        p: &Primal<'t, T>,
        c: Var<'t, T>,
    ) -> Var<'t, T> {
        match arg {
            0 => p.x(1).eq(0.0).where_(f64::NAN, c),
            _ => c.zeros_like(),
        }
    }
}

/// The numbers that these sizes divide by: the sizes themselves, but 1 where they are 0, infinite or
/// NaN, which scale nothing.
pub(super) fn scale_of<T: TensorLike>(size: &T) -> Result<T, T::Error> {
    let usable = size.scalar(0.0)?.lt(size)?.mul(&size.lt(&size.scalar(f64::INFINITY)?)?)?;
    usable.select(size, &size.scalar(1.0)?)
}

impl<'t, T: TensorLike> Var<'t, T> {
    /// `c · sign x`.
    #[track_caller]
    pub(super) fn mul_sign(self, x: Self) -> Self {
        self.tape.record(fixed!(ByPartial, MulSign), [self, x])
    }

    /// `x / y`, but 0 where `x` is 0.
    #[track_caller]
    fn div_or_zero(self, y: Self) -> Self {
        self.tape.record(fixed!(ByPartial, DivOrZero), [self, y])
    }

    /// This, but 0 where `y` is 0.
    #[track_caller]
    pub(super) fn zero_where_zero(self, y: Self) -> Self {
        self.tape.record(fixed!(ByPartial, ZeroWhereZero), [self, y.detach()])
    }

    /// `e^(−x²)` for |x| ≤ 40.
    #[track_caller]
    pub(super) fn gaussian(self) -> Self {
        self.unary(fixed!(ByPartial, Gaussian(1.0)))
    }

    /// `e^(−x²/2)` for |x| ≤ 40.
    #[track_caller]
    pub(super) fn wide_gaussian(self) -> Self {
        self.unary(fixed!(ByPartial, Gaussian(0.5)))
    }

    /// The numbers that these sizes, at least 0, divide by so that powers neither over- nor
    /// underflow: the sizes themselves, but 1 where they are 0, infinite or NaN. Untracked, which is
    /// exact where the scale cancels.
    #[track_caller]
    pub(super) fn as_scale(self) -> Self {
        let size = self.detach();
        (size.gt(0.0) * size.lt(f64::INFINITY)).where_(size, 1.0)
    }

    /// The exponential `eˣ`, elementwise.
    ///
    /// Shapes: unchanged.
    ///
    #[doc = derivative!(exp)]
    ///
    /// Errors and non-smooth points: none.
    /// Source: NIST DLMF §4.7.
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let x = tape.var(0.0);
    /// let [dx] = tape.backward(x.exp(), [x])?;
    /// assert_eq!(dx, 1.0);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn exp(self) -> Self {
        self.unary(fixed!(ByPartial, Exp))
    }

    /// `eˣ − 1`, elementwise; accurate near 0.
    ///
    /// Shapes: unchanged.
    ///
    #[doc = derivative!(expm1)]
    ///
    /// Errors and non-smooth points: none.
    /// Source: NIST DLMF §4.7.
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let x = tape.var(1e-20);
    /// let y = x.expm1();
    /// assert_eq!(y.item()?, 1e-20);
    /// assert_eq!(tape.backward(y, x)?, 1.0);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn expm1(self) -> Self {
        self.unary(fixed!(ByPartial, Expm1))
    }

    /// The power of two `2ˣ`, elementwise.
    ///
    /// Shapes: unchanged.
    ///
    #[doc = derivative!(exp2)]
    ///
    /// Errors and non-smooth points: none.
    /// Source: NIST DLMF §4.7.
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let x = tape.var(3.0);
    /// let [dx] = tape.backward(x.exp2(), [x])?;
    /// assert_eq!(dx, 8.0 * std::f64::consts::LN_2);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn exp2(self) -> Self {
        self.unary(fixed!(ByPartial, Exp2))
    }

    /// The natural logarithm, elementwise.
    ///
    /// Shapes: unchanged.
    ///
    #[doc = derivative!(ln)]
    ///
    /// At 0: −∞ with derivative ∞; below 0: NaN with derivative 1/x.
    /// Errors: none.
    /// Source: NIST DLMF §4.7.
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let x = tape.var(4.0);
    /// let [dx] = tape.backward(x.ln(), [x])?;
    /// assert_eq!(dx, 0.25);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn ln(self) -> Self {
        self.unary(fixed!(ByPartial, Ln))
    }

    /// The logarithm to base 2, elementwise.
    ///
    /// Shapes: unchanged.
    ///
    #[doc = derivative!(log2)]
    ///
    /// At 0: −∞ with derivative ∞; below 0: NaN. Errors: none.
    /// Source: NIST DLMF §4.7.
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let x = tape.var(0.5);
    /// let [dx] = tape.backward(x.log2(), [x])?;
    /// assert_eq!(dx, 2.0 / std::f64::consts::LN_2);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn log2(self) -> Self {
        self.unary(fixed!(ByPartial, Log2))
    }

    /// The logarithm to base 10, elementwise.
    ///
    /// Shapes: unchanged.
    ///
    #[doc = derivative!(log10)]
    ///
    /// At 0: −∞ with derivative ∞; below 0: NaN. Errors: none.
    /// Source: NIST DLMF §4.7.
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let x = tape.var(1.0);
    /// let [dx] = tape.backward(x.log10(), [x])?;
    /// assert_eq!(dx, 1.0 / std::f64::consts::LN_10);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn log10(self) -> Self {
        self.unary(fixed!(ByPartial, Log10))
    }

    /// `ln(1 + x)`, elementwise; accurate near 0.
    ///
    /// Shapes: unchanged.
    ///
    #[doc = derivative!(log1p)]
    ///
    /// At −1: −∞ with derivative ∞; below −1: NaN. Errors: none.
    /// Source: NIST DLMF §4.7.
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let x = tape.var(3.0);
    /// let [dx] = tape.backward(x.log1p(), [x])?;
    /// assert_eq!(dx, 0.25);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn log1p(self) -> Self {
        self.unary(fixed!(ByPartial, Log1p))
    }

    /// `ln(eˣ + eʸ)`, elementwise; no intermediate overflows.
    ///
    /// Shapes: `x`, `y` → their broadcast.
    ///
    /// ```math
    /// z = logaddexp(x, y),   x̄ = z̄ σ(x − y),   ȳ = z̄ σ(y − x)
    /// ```
    ///
    /// # Errors
    /// [`ShapeMismatch`](crate::ErrorKind::ShapeMismatch) if the shapes do not broadcast.
    ///
    /// Non-smooth points: none. Two equal infinities share the cotangent equally, as in
    /// [`Var::max`]; PyTorch and JAX answer NaN there.
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let (x, y) = (tape.var(1000.0), tape.var(1000.0));
    /// let z = x.logaddexp(y);
    /// assert_eq!(z.item()?, 1000.0 + std::f64::consts::LN_2);
    /// assert_eq!(tape.backward(z, [x, y])?, [0.5, 0.5]);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn logaddexp(self, y: impl Operand<'t, T>) -> Self {
        self.binary(fixed!(ByPartial, LogAddExp), y)
    }

    /// `x ln y`, elementwise, and 0 where `x = 0`, even if `y` is 0 or infinite; NaN where `y` is.
    ///
    /// Shapes: `x`, `y` → their broadcast.
    ///
    /// ```math
    /// z = x ln y,   x̄ = z̄ ln y,   ȳ = z̄ x / y
    /// ```
    ///
    /// # Errors
    /// [`ShapeMismatch`](crate::ErrorKind::ShapeMismatch) if the shapes do not broadcast.
    ///
    /// At y = 0 the derivative in x is the true −∞, as in JAX (in PyTorch it is 0 if x is 0 too);
    /// that in y is 0 where x is 0.
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let (x, y) = (tape.var(0.0), tape.var(0.0));
    /// let z = x.xlogy(y);
    /// assert_eq!(z.item()?, 0.0);
    /// assert_eq!(tape.backward(z, [x, y])?, [f64::NEG_INFINITY, 0.0]);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn xlogy(self, y: impl Operand<'t, T>) -> Self {
        self.binary(fixed!(ByPartial, Xlogy), y)
    }

    /// The error function `2/√π ∫₀ˣ e^(−t²) dt`, elementwise.
    ///
    /// Shapes: unchanged.
    ///
    #[doc = derivative!(erf)]
    ///
    /// Errors and non-smooth points: none.
    /// Source: NIST DLMF §7.2 and §7.10.
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let x = tape.var(0.0);
    /// let [dx] = tape.backward(x.erf(), [x])?;
    /// assert_eq!(dx, std::f64::consts::FRAC_2_SQRT_PI);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn erf(self) -> Self {
        self.unary(fixed!(ByPartial, Erf))
    }

    /// The absolute value, elementwise.
    ///
    /// Shapes: unchanged.
    ///
    #[doc = derivative!(abs)]
    ///
    /// At 0 the derivative is 0, as in PyTorch. Errors: none.
    ///
    /// NaN: the value is NaN with derivative 0, which is its sign, as in PyTorch.
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let x = tape.var(-2.0);
    /// let [dx] = tape.backward(x.abs(), [x])?;
    /// assert_eq!(dx, -1.0);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn abs(self) -> Self {
        self.unary(fixed!(ByPartial, Abs))
    }
}
