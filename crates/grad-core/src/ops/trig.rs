//! Trigonometric and hyperbolic functions, and their inverses.

use crate::ground::{TensorLike, call};
use crate::kinds::{ByPartial, Elementwise};
use crate::tape::{Operand, Primal, Var};

#[derive(Clone, Copy)]
struct Sin;

impl Elementwise for Sin {
    const NAME: &'static str = "sin";

    fn forward<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error> {
        x[0].sin()
    }

    fn partial<'t, T: TensorLike>(&self, _: usize, p: &Primal<'t, T>, c: Var<'t, T>) -> Var<'t, T> {
        c * p.x(0).cos()
    }
}

#[derive(Clone, Copy)]
struct Cos;

impl Elementwise for Cos {
    const NAME: &'static str = "cos";

    fn forward<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error> {
        x[0].cos()
    }

    fn partial<'t, T: TensorLike>(&self, _: usize, p: &Primal<'t, T>, c: Var<'t, T>) -> Var<'t, T> {
        -c * p.x(0).sin()
    }
}

#[derive(Clone, Copy)]
struct Tan;

impl Elementwise for Tan {
    const NAME: &'static str = "tan";

    fn forward<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error> {
        x[0].tan()
    }

    fn partial<'t, T: TensorLike>(&self, _: usize, p: &Primal<'t, T>, c: Var<'t, T>) -> Var<'t, T> {
        c.mul_or_zero(p.y().square() + 1.0)
    }
}

#[derive(Clone, Copy)]
struct Asin;

impl Elementwise for Asin {
    const NAME: &'static str = "asin";

    fn forward<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error> {
        x[0].asin()
    }

    fn partial<'t, T: TensorLike>(&self, _: usize, p: &Primal<'t, T>, c: Var<'t, T>) -> Var<'t, T> {
        c.mul_or_zero(p.x(0).one_plus_square(-1.0, -0.5, 0))
    }
}

#[derive(Clone, Copy)]
struct Acos;

impl Elementwise for Acos {
    const NAME: &'static str = "acos";

    fn forward<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error> {
        x[0].acos()
    }

    fn partial<'t, T: TensorLike>(&self, _: usize, p: &Primal<'t, T>, c: Var<'t, T>) -> Var<'t, T> {
        -c.mul_or_zero(p.x(0).one_plus_square(-1.0, -0.5, 0))
    }
}

/// `(1 + s x²)ᵉ xᵏ` for s = ±1: the derivatives of the inverse functions. These are closed under
/// differentiation, so that no ∞ − ∞ and no 0 · ∞ arises at ±1 and ±∞, at any order.
#[derive(Clone, Copy)]
struct OnePlusSquare {
    s: f64,
    e: f64,
    k: i32,
}

impl Elementwise for OnePlusSquare {
    const NAME: &'static str = "one_plus_square";

    fn forward<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error> {
        let base = match self.s {
            // (1 − x)(1 + x) loses no digits near ±1.
            -1.0 => x[0].neg()?.shift(1.0)?.mul(&x[0].shift(1.0)?)?,
            _ => x[0].square()?.shift(1.0)?,
        };
        let power = match self.e {
            -0.5 => base.rsqrt()?,
            -1.0 => base.recip()?,
            e => base.powf(e)?,
        };
        if self.k == 0 { Ok(power) } else { power.mul_or_zero(&x[0].powi(self.k)?) }
    }

    fn partial<'t, T: TensorLike>(&self, _: usize, p: &Primal<'t, T>, c: Var<'t, T>) -> Var<'t, T> {
        let (x, &OnePlusSquare { s, e, k }) = (p.x(0), self);
        let of_base = x.one_plus_square(s, e - 1.0, k + 1) * (2.0 * s * e);
        match k {
            0 => c.mul_or_zero(of_base),
            _ => c.mul_or_zero(of_base + x.one_plus_square(s, e, k - 1) * f64::from(k)),
        }
    }

    fn format(&self, x: &[&str]) -> String {
        call("one_plus_square", x, &format!("{}, {}, {}", self.s, self.e, self.k))
    }
}

#[derive(Clone, Copy)]
struct Atan;

impl Elementwise for Atan {
    const NAME: &'static str = "atan";

    fn forward<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error> {
        x[0].atan()
    }

    fn partial<'t, T: TensorLike>(&self, _: usize, p: &Primal<'t, T>, c: Var<'t, T>) -> Var<'t, T> {
        c * p.x(0).one_plus_square(1.0, -1.0, 0)
    }
}

#[derive(Clone, Copy)]
struct Atan2;

impl Elementwise for Atan2 {
    const NAME: &'static str = "atan2";
    const ARITY: usize = 2;

    fn forward<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error> {
        x[0].atan2(x[1])
    }

    fn partial<'t, T: TensorLike>(
        &self,
        arg: usize,
        p: &Primal<'t, T>,
        c: Var<'t, T>,
    ) -> Var<'t, T> {
        // x / (x² + y²) = (x/m) / ((x/m)² + (y/m)²) / m for any m.
        let m = p.x(0).abs().maximum(p.x(1).abs()).as_scale();
        let (y, x) = (p.x(0) / m, p.x(1) / m);
        let square = x.square() + y.square();
        match arg {
            0 => c.mul_or_zero(x / square / m),
            _ => -c.mul_or_zero(y / square / m),
        }
    }
}

#[derive(Clone, Copy)]
struct Sinh;

impl Elementwise for Sinh {
    const NAME: &'static str = "sinh";

    fn forward<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error> {
        x[0].sinh()
    }

    fn partial<'t, T: TensorLike>(&self, _: usize, p: &Primal<'t, T>, c: Var<'t, T>) -> Var<'t, T> {
        c.mul_or_zero(p.x(0).cosh())
    }
}

#[derive(Clone, Copy)]
struct Cosh;

impl Elementwise for Cosh {
    const NAME: &'static str = "cosh";

    fn forward<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error> {
        x[0].cosh()
    }

    fn partial<'t, T: TensorLike>(&self, _: usize, p: &Primal<'t, T>, c: Var<'t, T>) -> Var<'t, T> {
        c.mul_or_zero(p.x(0).sinh())
    }
}

#[derive(Clone, Copy)]
struct Tanh;

impl Elementwise for Tanh {
    const NAME: &'static str = "tanh";

    fn forward<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error> {
        x[0].tanh()
    }

    // Reuse y: recomputing tanh would double the cost.
    fn partial<'t, T: TensorLike>(&self, _: usize, p: &Primal<'t, T>, c: Var<'t, T>) -> Var<'t, T> {
        c * (1.0 - p.y() * p.y())
    }
}

#[derive(Clone, Copy)]
struct Asinh;

impl Elementwise for Asinh {
    const NAME: &'static str = "asinh";

    fn forward<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error> {
        x[0].asinh()
    }

    fn partial<'t, T: TensorLike>(&self, _: usize, p: &Primal<'t, T>, c: Var<'t, T>) -> Var<'t, T> {
        c * p.x(0).one_plus_square(1.0, -0.5, 0)
    }
}

#[derive(Clone, Copy)]
struct Acosh;

impl Elementwise for Acosh {
    const NAME: &'static str = "acosh";

    fn forward<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error> {
        x[0].acosh()
    }

    // Two roots: x² − 1 would lose digits near 1, and overflow.
    fn partial<'t, T: TensorLike>(&self, _: usize, p: &Primal<'t, T>, c: Var<'t, T>) -> Var<'t, T> {
        let x = p.x(0);
        c.mul_or_zero((x - 1.0).rsqrt().mul_or_zero((x + 1.0).rsqrt()))
    }
}

#[derive(Clone, Copy)]
struct Atanh;

impl Elementwise for Atanh {
    const NAME: &'static str = "atanh";

    fn forward<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error> {
        x[0].atanh()
    }

    fn partial<'t, T: TensorLike>(&self, _: usize, p: &Primal<'t, T>, c: Var<'t, T>) -> Var<'t, T> {
        c.mul_or_zero(p.x(0).one_plus_square(-1.0, -1.0, 0))
    }
}

impl<'t, T: TensorLike> Var<'t, T> {
    /// The sine of an angle in radians, elementwise.
    ///
    /// Shapes: unchanged.
    ///
    /// ```math
    /// x̄ = ȳ cos x,   ẏ = ẋ cos x
    /// ```
    ///
    /// Errors and non-smooth points: none.
    /// Source: NIST DLMF §4.20.
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let x = tape.var(0.0);
    /// let [dx] = tape.backward(x.sin(), [x])?;
    /// assert_eq!(dx, 1.0);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn sin(self) -> Self {
        self.unary(fixed!(ByPartial, Sin))
    }

    /// The cosine of an angle in radians, elementwise.
    ///
    /// Shapes: unchanged.
    ///
    /// ```math
    /// x̄ = −ȳ sin x,   ẏ = −ẋ sin x
    /// ```
    ///
    /// Errors and non-smooth points: none.
    /// Source: NIST DLMF §4.20.
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let x = tape.var(0.0);
    /// let [dx] = tape.backward(x.cos(), [x])?;
    /// assert_eq!(dx, 0.0);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn cos(self) -> Self {
        self.unary(fixed!(ByPartial, Cos))
    }

    /// The tangent of an angle in radians, elementwise.
    ///
    /// Shapes: unchanged.
    ///
    /// ```math
    /// x̄ = ȳ (1 + y²),   ẏ = ẋ (1 + y²)
    /// ```
    ///
    /// Errors and non-smooth points: none; no number is a pole. A zero cotangent gives zero.
    /// Source: NIST DLMF §4.20.
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let x = tape.var(0.0);
    /// let [dx] = tape.backward(x.tan(), [x])?;
    /// assert_eq!(dx, 1.0);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn tan(self) -> Self {
        self.unary(fixed!(ByPartial, Tan))
    }

    /// The angle in [−π/2, π/2] whose sine is `x`, elementwise.
    ///
    /// Shapes: unchanged.
    ///
    /// ```math
    /// x̄ = ȳ / √(1 − x²),   ẏ = ẋ / √(1 − x²)
    /// ```
    ///
    /// At ±1 the derivative is ∞; beyond, value and derivative are NaN. A zero cotangent gives
    /// zero. Errors: none.
    /// Source: NIST DLMF §4.24.
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let x = tape.var(0.6);
    /// let [dx] = tape.backward(x.asin(), [x])?;
    /// assert_eq!(dx, 1.25);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn asin(self) -> Self {
        self.unary(fixed!(ByPartial, Asin))
    }

    /// The angle in [0, π] whose cosine is `x`, elementwise.
    ///
    /// Shapes: unchanged.
    ///
    /// ```math
    /// x̄ = −ȳ / √(1 − x²),   ẏ = −ẋ / √(1 − x²)
    /// ```
    ///
    /// At ±1 the derivative is −∞; beyond, value and derivative are NaN. A zero cotangent gives
    /// zero. Errors: none.
    /// Source: NIST DLMF §4.24.
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let x = tape.var(0.6);
    /// let [dx] = tape.backward(x.acos(), [x])?;
    /// assert_eq!(dx, -1.25);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn acos(self) -> Self {
        self.unary(fixed!(ByPartial, Acos))
    }

    /// The angle in [−π/2, π/2] whose tangent is `x`, elementwise.
    ///
    /// Shapes: unchanged.
    ///
    /// ```math
    /// x̄ = ȳ / (1 + x²),   ẏ = ẋ / (1 + x²)
    /// ```
    ///
    /// Errors and non-smooth points: none.
    /// Source: NIST DLMF §4.24.
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let x = tape.var(2.0);
    /// let [dx] = tape.backward(x.atan(), [x])?;
    /// assert_eq!(dx, 0.2);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn atan(self) -> Self {
        self.unary(fixed!(ByPartial, Atan))
    }

    /// The angle in [−π, π] of the point `(x, y)` for y = `self`, elementwise.
    ///
    /// Shapes: `y`, `x` → their broadcast.
    ///
    /// ```math
    /// z = atan2(y, x),   ȳ = z̄ x / (x² + y²),   x̄ = −z̄ y / (x² + y²)
    /// ```
    ///
    /// # Errors
    /// [`ShapeMismatch`](crate::ErrorKind::ShapeMismatch) if the shapes do not broadcast.
    ///
    /// At the origin the value is that of C's `atan2`, and the derivatives are NaN; a zero
    /// cotangent gives zero. Where the angle jumps from π to −π it has the derivatives of either
    /// side.
    /// Source: NIST DLMF §4.24.
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let (y, x) = (tape.var(3.0), tape.var(4.0));
    /// let [dy, dx] = tape.backward(y.atan2(x), [y, x])?;
    /// assert_eq!((dy, dx), (0.16, -0.12));
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn atan2(self, x: impl Operand<'t, T>) -> Self {
        self.binary(fixed!(ByPartial, Atan2), x)
    }

    /// The hyperbolic sine, elementwise.
    ///
    /// Shapes: unchanged.
    ///
    /// ```math
    /// x̄ = ȳ cosh x,   ẏ = ẋ cosh x
    /// ```
    ///
    /// Non-smooth points: none; where it overflows, a zero cotangent gives zero. Errors: none.
    /// Source: NIST DLMF §4.34.
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let x = tape.var(0.0);
    /// let [dx] = tape.backward(x.sinh(), [x])?;
    /// assert_eq!(dx, 1.0);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn sinh(self) -> Self {
        self.unary(fixed!(ByPartial, Sinh))
    }

    /// The hyperbolic cosine, elementwise.
    ///
    /// Shapes: unchanged.
    ///
    /// ```math
    /// x̄ = ȳ sinh x,   ẏ = ẋ sinh x
    /// ```
    ///
    /// Non-smooth points: none; where it overflows, a zero cotangent gives zero. Errors: none.
    /// Source: NIST DLMF §4.34.
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let x = tape.var(0.0);
    /// let [dx] = tape.backward(x.cosh(), [x])?;
    /// assert_eq!(dx, 0.0);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn cosh(self) -> Self {
        self.unary(fixed!(ByPartial, Cosh))
    }

    /// The hyperbolic tangent, elementwise.
    ///
    /// Shapes: unchanged.
    ///
    /// ```math
    /// x̄ = ȳ (1 − y²),   ẏ = ẋ (1 − y²)
    /// ```
    ///
    /// Errors and non-smooth points: none.
    /// Source: NIST DLMF §4.34.
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let x = tape.var(0.0);
    /// let [dx] = tape.backward(x.tanh(), [x])?;
    /// assert_eq!(dx, 1.0);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn tanh(self) -> Self {
        self.unary(fixed!(ByPartial, Tanh))
    }

    /// The inverse of the hyperbolic sine, elementwise.
    ///
    /// Shapes: unchanged.
    ///
    /// ```math
    /// x̄ = ȳ / √(1 + x²),   ẏ = ẋ / √(1 + x²)
    /// ```
    ///
    /// Errors and non-smooth points: none.
    /// Source: NIST DLMF §4.38.
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let x = tape.var(0.75);
    /// let [dx] = tape.backward(x.asinh(), [x])?;
    /// assert_eq!(dx, 0.8);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn asinh(self) -> Self {
        self.unary(fixed!(ByPartial, Asinh))
    }

    /// The inverse of the hyperbolic cosine, elementwise.
    ///
    /// Shapes: unchanged.
    ///
    /// ```math
    /// x̄ = ȳ / √(x² − 1),   ẏ = ẋ / √(x² − 1)
    /// ```
    ///
    /// At 1 the derivative is ∞; below, value and derivative are NaN. A zero cotangent gives zero.
    /// Errors: none.
    /// Source: NIST DLMF §4.38.
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let x = tape.var(1.25);
    /// let [dx] = tape.backward(x.acosh(), [x])?;
    /// assert_eq!(dx, 4.0 / 3.0);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn acosh(self) -> Self {
        self.unary(fixed!(ByPartial, Acosh))
    }

    /// The inverse of the hyperbolic tangent, elementwise.
    ///
    /// Shapes: unchanged.
    ///
    /// ```math
    /// x̄ = ȳ / (1 − x²),   ẏ = ẋ / (1 − x²)
    /// ```
    ///
    /// At ±1: ±∞ with derivative ∞; beyond: NaN. A zero cotangent gives zero. Errors: none.
    /// Source: NIST DLMF §4.38.
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let x = tape.var(0.5);
    /// let [dx] = tape.backward(x.atanh(), [x])?;
    /// assert_eq!(dx, 4.0 / 3.0);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn atanh(self) -> Self {
        self.unary(fixed!(ByPartial, Atanh))
    }

    /// `(1 + s x²)ᵉ xᵏ`.
    #[track_caller]
    pub(crate) fn one_plus_square(self, s: f64, e: f64, k: i32) -> Self {
        self.with(ByPartial::new(OnePlusSquare { s, e, k }))
    }
}
