//! Arithmetic: sums, products and quotients. All binary operations broadcast.

use super::functions::{Recip, derivative};
use crate::ground::{TensorLike, infix};
use crate::kinds::{ByPartial, Elementwise};
use crate::tape::{Operand, Primal, Var};

#[derive(Clone, Copy)]
struct Add;

impl Elementwise for Add {
    const NAME: &'static str = "add";
    const ARITY: usize = 2;

    fn forward<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error> {
        x[0].add(x[1])
    }

    fn slope(&self, _: usize) -> Option<f64> {
        Some(1.0)
    }

    fn format(&self, x: &[&str]) -> String {
        infix("+", x)
    }
}

#[derive(Clone, Copy)]
struct Sub;

impl Elementwise for Sub {
    const NAME: &'static str = "sub";
    const ARITY: usize = 2;

    fn forward<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error> {
        x[0].sub(x[1])
    }

    fn slope(&self, arg: usize) -> Option<f64> {
        Some(if arg == 0 { 1.0 } else { -1.0 })
    }

    fn format(&self, x: &[&str]) -> String {
        infix("-", x)
    }
}

#[derive(Clone, Copy)]
struct Mul;

impl Elementwise for Mul {
    const NAME: &'static str = "mul";
    const ARITY: usize = 2;

    fn forward<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error> {
        x[0].mul(x[1])
    }

    fn partial<'t, T: TensorLike>(
        &self,
        arg: usize,
        p: &Primal<'t, T>,
        c: Var<'t, T>,
    ) -> Var<'t, T> {
        c * p.x(1 - arg)
    }

    fn depends<'t, T: TensorLike>(&self, arg: usize, p: &Primal<'t, T>) -> Option<Var<'t, T>> {
        p.support(1 - arg)
    }

    fn format(&self, x: &[&str]) -> String {
        infix("*", x)
    }
}

#[derive(Clone, Copy)]
struct Div;

impl Elementwise for Div {
    const NAME: &'static str = "div";
    const ARITY: usize = 2;

    fn forward<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error> {
        x[0].div(x[1])
    }

    fn partial<'t, T: TensorLike>(
        &self,
        arg: usize,
        p: &Primal<'t, T>,
        c: Var<'t, T>,
    ) -> Var<'t, T> {
        match arg {
            0 => c / p.x(1),
            // Not −c x / y², which under- and overflows.
            _ => -(c / p.x(1)) * p.y(),
        }
    }

    fn depends<'t, T: TensorLike>(&self, arg: usize, p: &Primal<'t, T>) -> Option<Var<'t, T>> {
        if arg == 1 { p.support(0) } else { None }
    }

    fn format(&self, x: &[&str]) -> String {
        infix("/", x)
    }
}

#[derive(Clone, Copy)]
struct MulOrZero;

impl Elementwise for MulOrZero {
    const NAME: &'static str = "mul_or_zero";
    const ARITY: usize = 2;

    fn forward<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error> {
        x[0].mul_or_zero(x[1])
    }

    // Bilinear, and never a selection on x, which would lose d/dx at x = 0. Where p is infinite, its
    // tangent may be so too. There the zero of x counts as well.
    fn partial<'t, T: TensorLike>(
        &self,
        arg: usize,
        p: &Primal<'t, T>,
        c: Var<'t, T>,
    ) -> Var<'t, T> {
        match arg {
            0 => c * p.x(1),
            _ => c.mul_or_zero_both(p.x(0)),
        }
    }

    fn depends<'t, T: TensorLike>(&self, arg: usize, p: &Primal<'t, T>) -> Option<Var<'t, T>> {
        p.support(1 - arg)
    }
}

/// The product, but 0 where either factor is 0: what [`MulOrZero`] makes of a change of `p`.
#[derive(Clone, Copy)]
struct MulOrZeroBoth;

impl Elementwise for MulOrZeroBoth {
    const NAME: &'static str = "mul_or_zero_both";
    const ARITY: usize = 2;

    fn forward<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error> {
        mul_or_zero_both(x[0], x[1])
    }

    fn partial<'t, T: TensorLike>(
        &self,
        arg: usize,
        p: &Primal<'t, T>,
        c: Var<'t, T>,
    ) -> Var<'t, T> {
        c * p.x(1 - arg)
    }

    fn depends<'t, T: TensorLike>(&self, arg: usize, p: &Primal<'t, T>) -> Option<Var<'t, T>> {
        p.support(1 - arg)
    }
}

fn mul_or_zero_both<T: TensorLike>(x: &T, p: &T) -> Result<T, T::Error> {
    let zero = x.scalar(0.0)?;
    p.eq(&zero)?.select(&zero, &x.mul_or_zero(p)?)
}

#[derive(Clone, Copy)]
struct Neg;

impl Elementwise for Neg {
    const NAME: &'static str = "neg";

    fn forward<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error> {
        x[0].neg()
    }

    fn slope(&self, _: usize) -> Option<f64> {
        Some(-1.0)
    }

    fn format(&self, x: &[&str]) -> String {
        format!("-{}", x[0])
    }
}

#[derive(Clone, Copy)]
struct Scale(f64);

impl Elementwise for Scale {
    const NAME: &'static str = "scale";

    fn forward<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error> {
        x[0].scale(self.0)
    }

    fn slope(&self, _: usize) -> Option<f64> {
        Some(self.0)
    }

    fn format(&self, x: &[&str]) -> String {
        format!("{} * {}", x[0], self.0)
    }
}

#[derive(Clone, Copy)]
struct Shift(f64);

impl Elementwise for Shift {
    const NAME: &'static str = "shift";

    fn forward<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error> {
        x[0].shift(self.0)
    }

    fn slope(&self, _: usize) -> Option<f64> {
        Some(1.0)
    }

    fn format(&self, x: &[&str]) -> String {
        let sign = if self.0.is_sign_negative() { '-' } else { '+' };
        format!("{} {sign} {}", x[0], self.0.abs())
    }
}

// The operators are implemented, in `var`; these methods are where they are documented.
#[allow(clippy::should_implement_trait)]
impl<'t, T: TensorLike> Var<'t, T> {
    /// The sum `x + y`, elementwise; also written `x + y`.
    ///
    /// Shapes: `x`, `y` → their broadcast.
    ///
    /// ```math
    /// x̄ = ȳ,   ẏ = ẋ₁ + ẋ₂
    /// ```
    ///
    /// # Errors
    /// [`ShapeMismatch`](crate::ErrorKind::ShapeMismatch) if the shapes do not broadcast.
    ///
    /// Non-smooth points: none.
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let (x, y) = (tape.var(2.0), tape.var(3.0));
    /// assert_eq!((x + y).item()?, 5.0);
    /// assert_eq!((x + 1.0).item()?, 3.0);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    #[inline]
    pub fn add(self, y: impl Operand<'t, T>) -> Self {
        self.binary(fixed!(ByPartial, Add), y)
    }

    /// The difference `x − y`, elementwise; also written `x - y`.
    ///
    /// Shapes: `x`, `y` → their broadcast.
    ///
    /// ```math
    /// x̄₁ = ȳ,   x̄₂ = −ȳ,   ẏ = ẋ₁ − ẋ₂
    /// ```
    ///
    /// # Errors
    /// [`ShapeMismatch`](crate::ErrorKind::ShapeMismatch) if the shapes do not broadcast.
    ///
    /// Non-smooth points: none.
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let (x, y) = (tape.var(2.0), tape.var(3.0));
    /// let [dx, dy] = tape.backward(x - y, [x, y])?;
    /// assert_eq!((dx, dy), (1.0, -1.0));
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    #[inline]
    pub fn sub(self, y: impl Operand<'t, T>) -> Self {
        self.binary(fixed!(ByPartial, Sub), y)
    }

    /// The product `x · y`, elementwise; also written `x * y`.
    ///
    /// Shapes: `x`, `y` → their broadcast.
    ///
    /// ```math
    /// x̄₁ = ȳ x₂,   x̄₂ = ȳ x₁,   ẏ = ẋ₁ x₂ + ẋ₂ x₁
    /// ```
    ///
    /// # Errors
    /// [`ShapeMismatch`](crate::ErrorKind::ShapeMismatch) if the shapes do not broadcast.
    ///
    /// Non-smooth points: none. Follows IEEE 754: `0 · ∞` is NaN, in derivatives too.
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let (x, y) = (tape.var(2.0), tape.var(3.0));
    /// let [dx, dy] = tape.backward(x * y, [x, y])?;
    /// assert_eq!((dx, dy), (3.0, 2.0));
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    #[inline]
    pub fn mul(self, y: impl Operand<'t, T>) -> Self {
        self.binary(fixed!(ByPartial, Mul), y)
    }

    /// The quotient `x / y`, elementwise; also written `x / y`.
    ///
    /// Shapes: `x`, `y` → their broadcast.
    ///
    /// ```math
    /// x̄₁ = ȳ / x₂,   x̄₂ = −ȳ (x₁ / x₂) / x₂
    /// ```
    ///
    /// # Errors
    /// [`ShapeMismatch`](crate::ErrorKind::ShapeMismatch) if the shapes do not broadcast.
    ///
    /// At y = 0: value and derivatives by IEEE 754.
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let (x, y) = (tape.var(6.0), tape.var(2.0));
    /// let [dx, dy] = tape.backward(x / y, [x, y])?;
    /// assert_eq!((dx, dy), (0.5, -1.5));
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    #[inline]
    pub fn div(self, y: impl Operand<'t, T>) -> Self {
        self.binary(fixed!(ByPartial, Div), y)
    }

    /// The product `x · p`, but 0 where `x = 0`, even against an infinite or NaN `p`.
    ///
    /// It is for limits in which the zero wins: `x ln x` at 0 is `x.mul_or_zero(x.ln())`. For what is
    /// not chosen, use [`Var::where_`].
    ///
    /// Shapes: `x`, `p` → their broadcast.
    ///
    /// ```math
    /// x̄ = ȳ p,   p̄ = ȳ x, and 0 where x = 0
    /// ```
    ///
    /// # Errors
    /// [`ShapeMismatch`](crate::ErrorKind::ShapeMismatch) if the shapes do not broadcast.
    ///
    /// Non-smooth points: treated as the bilinear map that it is for finite `p`.
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let (zero, infinity) = (tape.var(0.0), tape.var(f64::INFINITY));
    /// assert_eq!(zero.mul_or_zero(infinity).item()?, 0.0);
    /// assert!((zero * infinity).item()?.is_nan());
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    #[inline]
    pub fn mul_or_zero(self, p: impl Operand<'t, T>) -> Self {
        self.binary(fixed!(ByPartial, MulOrZero), p)
    }

    /// The product `x · p`, but 0 where either is 0.
    #[track_caller]
    pub(crate) fn mul_or_zero_both(self, p: Self) -> Self {
        self.binary(fixed!(ByPartial, MulOrZeroBoth), p)
    }

    /// The negative `−x`, elementwise; also written `-x`.
    ///
    /// Shapes: unchanged.
    ///
    /// ```math
    /// x̄ = −ȳ,   ẏ = −ẋ
    /// ```
    ///
    /// Errors and non-smooth points: none.
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// assert_eq!((-tape.var(2.0)).item()?, -2.0);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn neg(self) -> Self {
        self.unary(fixed!(ByPartial, Neg))
    }

    /// The product with a constant number; also written `x * 2.0`.
    ///
    /// Shapes: unchanged.
    ///
    /// ```math
    /// y = a x,   x̄ = a ȳ,   ẏ = a ẋ
    /// ```
    ///
    /// Errors and non-smooth points: none. The number is rounded once, to the dtype.
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let x = tape.var(3.0);
    /// let [dx] = tape.backward(x.scale(2.0), [x])?;
    /// assert_eq!(dx, 2.0);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn scale(self, by: f64) -> Self {
        // The numbers that rules are full of.
        match by {
            2.0 => self.unary(fixed!(ByPartial, Scale(2.0))),
            0.5 => self.unary(fixed!(ByPartial, Scale(0.5))),
            -0.5 => self.unary(fixed!(ByPartial, Scale(-0.5))),
            _ => self.with(ByPartial::new(Scale(by))),
        }
    }

    /// The sum with a constant number; also written `x + 2.0` and `x - 2.0`.
    ///
    /// Shapes: unchanged.
    ///
    /// ```math
    /// y = x + a,   x̄ = ȳ,   ẏ = ẋ
    /// ```
    ///
    /// Errors and non-smooth points: none. The number is rounded once, to the dtype.
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// assert_eq!(tape.var(3.0).shift(0.5).item()?, 3.5);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn shift(self, by: f64) -> Self {
        self.with(ByPartial::new(Shift(by)))
    }

    /// `mul · x + add` with constant numbers, elementwise: [`Var::scale`], then [`Var::shift`].
    ///
    /// Shapes: unchanged.
    ///
    /// ```math
    /// x̄ = mul · ȳ,   ẏ = mul · ẋ
    /// ```
    ///
    /// Errors and non-smooth points: none.
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let x = tape.var(3.0);
    /// let [dx] = tape.backward(x.affine(2.0, 1.0), [x])?;
    /// assert_eq!(dx, 2.0);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn affine(self, mul: f64, add: f64) -> Self {
        self.scale(mul).shift(add)
    }

    /// The reciprocal `1 / x`, elementwise.
    ///
    /// Shapes: unchanged.
    ///
    #[doc = derivative!(recip)]
    ///
    /// At 0: ±∞ with derivative −∞. Errors: none.
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let x = tape.var(2.0);
    /// let [dx] = tape.backward(x.recip(), [x])?;
    /// assert_eq!(dx, -0.25);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn recip(self) -> Self {
        self.unary(fixed!(ByPartial, Recip))
    }
}
