//! Trigonometric and hyperbolic functions, and their inverses.

use std::f64::consts::PI;

use super::elementwise::scale_of;
use super::functions::{
    Acos, Acosh, Asin, Asinh, Atan, Atanh, Cos, Cosh, Sin, Sinh, Tan, derivative,
};
use crate::ground::{TensorLike, call};
use crate::kinds::{ByPartial, Elementwise};
use crate::tape::{Operand, Primal, Var};

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
        if self.s > 0.0 && (self.e, self.k) != (-1.0, 0) {
            return self.scaled(x[0]);
        }
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
            0 => c * of_base,
            _ => c * (of_base + x.one_plus_square(s, e, k - 1) * f64::from(k)),
        }
    }

    fn format(&self, x: &[&str]) -> String {
        call("one_plus_square", x, &format!("{}, {}, {}", self.s, self.e, self.k))
    }
}

impl OnePlusSquare {
    /// `(1 + x²)ᵉ xᵏ` where x² may overflow: `(1/m² + (x/m)²)ᵉ (x/m)ᵏ m²ᵉ⁺ᵏ` for `m = max(|x|, 1)`.
    fn scaled<T: TensorLike>(&self, x: &T) -> Result<T, T::Error> {
        let m = scale_of(&x.abs()?.maximum(&x.scalar(1.0)?)?)?;
        let (one, x) = (m.recip()?, x.div(&m)?);
        let base = one.square()?.add(&x.square()?)?;
        let power = match self.e {
            -0.5 => base.rsqrt()?,
            e => base.powf(e)?,
        };
        let power = if self.k == 0 { power } else { power.mul_or_zero(&x.powi(self.k)?)? };
        // The exponents of the base are halves.
        power.mul(&m.powi((2.0 * self.e) as i32 + self.k)?)
    }
}

#[derive(Clone, Copy)]
struct Tanh;

impl Elementwise for Tanh {
    const NAME: &'static str = "tanh";

    fn forward<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error> {
        x[0].tanh()
    }

    // Not 1 − y², which loses its digits where y is near ±1.
    fn partial<'t, T: TensorLike>(&self, _: usize, p: &Primal<'t, T>, c: Var<'t, T>) -> Var<'t, T> {
        c * p.x(0).tanh_slope(p.y())
    }
}

/// The derivative `4 σ(2x) σ(−2x)` of y = tanh x, from x and y. The latter is there for the second
/// derivative, `−2 y` times this.
#[derive(Clone, Copy)]
struct TanhSlope;

impl Elementwise for TanhSlope {
    const NAME: &'static str = "tanh_slope";
    const ARITY: usize = 2;

    fn forward<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error> {
        x[0].scale(2.0)?.logistic_density()?.scale(4.0)
    }

    fn partial<'t, T: TensorLike>(
        &self,
        arg: usize,
        p: &Primal<'t, T>,
        c: Var<'t, T>,
    ) -> Var<'t, T> {
        if arg == 0 { c * (p.y() * p.x(1) * -2.0) } else { c.zeros_like() }
    }

    fn slope(&self, arg: usize) -> Option<f64> {
        (arg == 1).then_some(0.0)
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
            0 => c * (x / square / m),
            _ => -c * (y / square / m),
        }
    }
}

/// The k-th derivative of sin(πx)/(πx). These are closed under differentiation, so that every order
/// is right at 0, where formulas that divide by x lose all digits.
#[derive(Clone, Copy)]
struct Sinc(i32);

impl Elementwise for Sinc {
    const NAME: &'static str = "sinc";

    fn forward<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error> {
        let (t, k) = (x[0].scale(PI)?, self.0);
        // With s = sin(t)/t, t s⁽ᵏ⁾ + k s⁽ᵏ⁻¹⁾ = sin⁽ᵏ⁾(t): this loses digits where |t| is below k.
        let mut far = t.sin()?.div(&t)?;
        for n in 1..=k {
            let sine = match n % 4 {
                0 => t.sin()?,
                1 => t.cos()?,
                2 => t.sin()?.neg()?,
                _ => t.cos()?.neg()?,
            };
            far = sine.sub(&far.scale(f64::from(n))?)?.div(&t)?;
        }
        let border = f64::from(k) + 1.0;
        let near = sinc_series(&t, k, border)?;
        let is_near = t.abs()?.lt(&t.scalar(border)?)?;
        is_near.select(&near, &far)?.scale(PI.powi(k))
    }

    fn partial<'t, T: TensorLike>(&self, _: usize, p: &Primal<'t, T>, c: Var<'t, T>) -> Var<'t, T> {
        c * p.x(0).with(ByPartial::new(Sinc(self.0 + 1)))
    }

    fn format(&self, x: &[&str]) -> String {
        match self.0 {
            0 => call("sinc", x, ""),
            k => call("sinc", x, &format!("derivative {k}")),
        }
    }
}

/// The k-th derivative of sin(t)/t = Σ (−1)ᵐ t²ᵐ / (2m + 1)!, for |t| below `border`.
fn sinc_series<T: TensorLike>(t: &T, k: i32, border: f64) -> Result<T, T::Error> {
    // The coefficient of t²ᵐ⁻ᵏ is (−1)ᵐ / ((2m + 1) (2m − k)!).
    let first = (k + 1) / 2;
    let odd = 2 * first - k;
    let (mut coefficients, mut factorial) = (Vec::new(), 1.0);
    let mut sign = if first % 2 == 0 { 1.0 } else { -1.0 };
    for m in first.. {
        let power = 2 * m - k;
        if power > 1 {
            factorial *= f64::from(power) * f64::from(power - 1);
        }
        let coefficient = sign / (f64::from(2 * m + 1) * factorial);
        coefficients.push(coefficient);
        if coefficient.abs() * border.powi(power) < SMALLEST_TERM {
            break;
        }
        sign = -sign;
    }
    let square = t.square()?;
    let mut sum = t.scale(0.0)?;
    for &coefficient in coefficients.iter().rev() {
        sum = sum.mul(&square)?.shift(coefficient)?;
    }
    if odd == 1 { sum.mul(t) } else { Ok(sum) }
}

/// Terms of a series that begins near 1 need not be smaller: 2⁻⁶⁰.
const SMALLEST_TERM: f64 = 8.67e-19;

impl<'t, T: TensorLike> Var<'t, T> {
    /// The sine of an angle in radians, elementwise.
    ///
    /// Shapes: unchanged.
    ///
    #[doc = derivative!(sin)]
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
    #[doc = derivative!(cos)]
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
    #[doc = derivative!(tan)]
    ///
    /// Errors and non-smooth points: none; no number is a pole.
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
    #[doc = derivative!(asin)]
    ///
    /// At ±1 the derivative is ∞; beyond, value and derivative are NaN.
    /// Errors: none.
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
    #[doc = derivative!(acos)]
    ///
    /// At ±1 the derivative is −∞; beyond, value and derivative are NaN.
    /// Errors: none.
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
    #[doc = derivative!(atan)]
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
    #[doc = derivative!(sinh)]
    ///
    /// Errors and non-smooth points: none.
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
    #[doc = derivative!(cosh)]
    ///
    /// Errors and non-smooth points: none.
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
    /// x̄ = ȳ · 4 σ(2x) σ(−2x),   ẏ = ẋ · 4 σ(2x) σ(−2x)
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
    #[doc = derivative!(asinh)]
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
    #[doc = derivative!(acosh)]
    ///
    /// At 1 the derivative is ∞; below, value and derivative are NaN.
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
    #[doc = derivative!(atanh)]
    ///
    /// At ±1: ±∞ with derivative ∞; beyond: NaN. Errors: none.
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

    /// The cardinal sine `sin(πx) / (πx)`, elementwise; 1 at 0.
    ///
    /// Shapes: unchanged.
    ///
    /// ```math
    /// x̄ = ȳ (cos(πx) − y) / x,   ẏ = ẋ (cos(πx) − y) / x
    /// ```
    ///
    /// Errors and non-smooth points: none. At 0 the first derivative is 0 and the second −π²/3.
    /// Source: NIST DLMF §3.3 (the cardinal function), with the factor π of NumPy and PyTorch.
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let x = tape.var(0.5);
    /// assert!((x.sinc().item()? - 2.0 / std::f64::consts::PI).abs() < 1e-15);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn sinc(self) -> Self {
        self.unary(fixed!(ByPartial, Sinc(0)))
    }

    /// The derivative of y = tanh x.
    #[track_caller]
    fn tanh_slope(self, y: Self) -> Self {
        self.tape().record(fixed!(ByPartial, TanhSlope), [self, y])
    }

    /// `(1 + s x²)ᵉ xᵏ`.
    #[track_caller]
    pub(crate) fn one_plus_square(self, s: f64, e: f64, k: i32) -> Self {
        self.with(ByPartial::new(OnePlusSquare { s, e, k }))
    }
}
