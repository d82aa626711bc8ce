//! Powers and roots.

use super::elementwise::scale_of;
use super::functions::{Rsqrt, Sqrt, Square, derivative};
use crate::ground::{TensorLike, call};
use crate::kinds::{ByPartial, Elementwise};
use crate::tape::{Operand, Primal, Var};

#[derive(Clone, Copy)]
struct Powf(f64);

impl Elementwise for Powf {
    const NAME: &'static str = "powf";

    fn forward<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error> {
        x[0].powf(self.0)
    }

    fn partial<'t, T: TensorLike>(&self, _: usize, p: &Primal<'t, T>, c: Var<'t, T>) -> Var<'t, T> {
        // x⁰ is the constant 1, also at 0, where 0 · x⁻¹ would be NaN.
        match self.0 {
            0.0 => c.zeros_like(),
            n => c * (p.x(0).powf(n - 1.0) * n),
        }
    }

    fn slope(&self, _: usize) -> Option<f64> {
        (self.0 == 0.0).then_some(0.0)
    }

    fn format(&self, x: &[&str]) -> String {
        format!("{}.powf({})", x[0], self.0)
    }
}

#[derive(Clone, Copy)]
struct Powi(i32);

impl Elementwise for Powi {
    const NAME: &'static str = "powi";

    fn forward<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error> {
        x[0].powi(self.0)
    }

    fn partial<'t, T: TensorLike>(&self, _: usize, p: &Primal<'t, T>, c: Var<'t, T>) -> Var<'t, T> {
        match self.0 {
            0 => c.zeros_like(),
            i32::MIN => c * (p.y() / p.x(0) * f64::from(i32::MIN)),
            n => c * (p.x(0).powi(n - 1) * f64::from(n)),
        }
    }

    fn slope(&self, _: usize) -> Option<f64> {
        (self.0 == 0).then_some(0.0)
    }

    fn format(&self, x: &[&str]) -> String {
        format!("{}.powi({})", x[0], self.0)
    }
}

/// The powers that programs are full of, as static operations, from [`SMALLEST_POWI`] on.
static POWI: [ByPartial<Powi>; 13] = [
    ByPartial::new(Powi(-4)),
    ByPartial::new(Powi(-3)),
    ByPartial::new(Powi(-2)),
    ByPartial::new(Powi(-1)),
    ByPartial::new(Powi(0)),
    ByPartial::new(Powi(1)),
    ByPartial::new(Powi(2)),
    ByPartial::new(Powi(3)),
    ByPartial::new(Powi(4)),
    ByPartial::new(Powi(5)),
    ByPartial::new(Powi(6)),
    ByPartial::new(Powi(7)),
    ByPartial::new(Powi(8)),
];

const SMALLEST_POWI: i32 = -4;

#[derive(Clone, Copy)]
struct Pow;

impl Elementwise for Pow {
    const NAME: &'static str = "pow";
    const ARITY: usize = 2;

    fn forward<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error> {
        x[0].pow(x[1])
    }

    // Where y is 0, it stops x⁻¹.
    fn partial<'t, T: TensorLike>(
        &self,
        arg: usize,
        p: &Primal<'t, T>,
        c: Var<'t, T>,
    ) -> Var<'t, T> {
        let (x, y) = (p.x(0), p.x(1));
        match arg {
            0 => c * y.mul_or_zero(x.pow(y - 1.0)),
            _ => c * x.pow_ln(y, 1),
        }
    }

    // Of x⁰ in x, and of 0ʸ in y where y > 0.
    fn depends<'t, T: TensorLike>(&self, arg: usize, p: &Primal<'t, T>) -> Option<Var<'t, T>> {
        match (arg, p.support(1 - arg)) {
            (1, Some(is_not_zero)) => Some((is_not_zero + p.x(1).le(0.0)).ne(0.0)),
            (_, support) => support,
        }
    }
}

/// `xʸ (ln x)ᵏ` for k ≥ 1, the k-th derivative of `xʸ` in y; these are closed under
/// differentiation, so that every order is right. At x = 0 it is 0 for y > 0, its limit, and by
/// convention for y = 0.
#[derive(Clone, Copy)]
struct PowLn(i32);

impl Elementwise for PowLn {
    const NAME: &'static str = "pow_ln";
    const ARITY: usize = 2;

    fn forward<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error> {
        let (x, y) = (x[0], x[1]);
        let zero = x.scalar(0.0)?;
        let flat = x.eq(&zero)?.mul(&zero.le(y)?)?;
        let product = x.pow(y)?.mul_or_zero(&x.ln()?.powi(self.0)?)?;
        flat.select(&zero, &product)
    }

    fn partial<'t, T: TensorLike>(
        &self,
        arg: usize,
        p: &Primal<'t, T>,
        c: Var<'t, T>,
    ) -> Var<'t, T> {
        let (x, y, k) = (p.x(0), p.x(1), self.0);
        match arg {
            0 => {
                let power = y.mul_or_zero(x.pow_ln(y - 1.0, k));
                c * (power + x.pow_ln(y - 1.0, k - 1) * f64::from(k))
            }
            _ => c * x.pow_ln(y, k + 1),
        }
    }

    fn format(&self, x: &[&str]) -> String {
        call("pow_ln", x, &self.0.to_string())
    }
}

#[derive(Clone, Copy)]
struct Hypot;

impl Elementwise for Hypot {
    const NAME: &'static str = "hypot";
    const ARITY: usize = 2;

    fn forward<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error> {
        let (x, y, scale) = scaled(x[0], x[1])?;
        x.square()?.add(&y.square()?)?.sqrt()?.mul(&scale)
    }

    fn partial<'t, T: TensorLike>(
        &self,
        arg: usize,
        p: &Primal<'t, T>,
        c: Var<'t, T>,
    ) -> Var<'t, T> {
        let (x, y) = (p.x(0), p.x(1));
        c * if arg == 0 { x.direction(y, 1, 0, 0) } else { x.direction(y, 0, 1, 0) }
    }
}

/// `(x/r)ᵃ (y/r)ᵇ / rⁿ` with r = hypot(x, y): the derivatives of [`Hypot`] are sums of these. A
/// naive second derivative, 1/r − x²/r³, loses all digits where y is small; here it is y²/r³. At
/// r = 0 the first derivative is 0 by convention, and the others are NaN.
#[derive(Clone, Copy)]
struct Direction {
    a: i32,
    b: i32,
    n: i32,
}

impl Elementwise for Direction {
    const NAME: &'static str = "direction";
    const ARITY: usize = 2;

    fn forward<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error> {
        let (x, y, scale) = scaled(x[0], x[1])?;
        let r = x.square()?.add(&y.square()?)?.sqrt()?;
        let product = x.div(&r)?.powi(self.a)?.mul(&y.div(&r)?.powi(self.b)?)?;
        let at_zero = r.scalar(if self.n == 0 { 0.0 } else { f64::NAN })?;
        let is_zero = r.eq(&r.scalar(0.0)?)?;
        is_zero.select(&at_zero, &product.mul(&r.mul(&scale)?.powi(-self.n)?)?)
    }

    // ∂(x/r)/∂x = (y/r)² / r,  ∂(y/r)/∂x = −(x/r)(y/r) / r,  ∂r/∂x = x/r.
    fn partial<'t, T: TensorLike>(
        &self,
        arg: usize,
        p: &Primal<'t, T>,
        c: Var<'t, T>,
    ) -> Var<'t, T> {
        let (x, y, &Direction { a, b, n }) = (p.x(0), p.x(1), self);
        let (own, other, gained, lost) = match arg {
            0 => (a, b, (a - 1, b + 2), (a + 1, b)),
            _ => (b, a, (a + 2, b - 1), (a, b + 1)),
        };
        let lost = x.direction(y, lost.0, lost.1, n + 1) * -f64::from(other + n);
        c * match own {
            0 => lost,
            _ => x.direction(y, gained.0, gained.1, n + 1) * f64::from(own) + lost,
        }
    }

    fn format(&self, x: &[&str]) -> String {
        call("direction", x, &format!("{}, {}, {}", self.a, self.b, self.n))
    }
}

/// x and y divided by the larger of the two, and this scale: so no square over- or underflows.
fn scaled<T: TensorLike>(x: &T, y: &T) -> Result<(T, T, T), T::Error> {
    let largest = x.abs()?.maximum(&y.abs()?)?;
    let scale = scale_of(&largest)?;
    Ok((x.div(&scale)?, y.div(&scale)?, scale))
}

impl<'t, T: TensorLike> Var<'t, T> {
    /// The square `x²`, elementwise.
    ///
    /// Shapes: unchanged.
    ///
    #[doc = derivative!(square)]
    ///
    /// Errors and non-smooth points: none.
    /// Source: NIST DLMF §4.7.
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let x = tape.var(3.0);
    /// let [dx] = tape.backward(x.square(), [x])?;
    /// assert_eq!(dx, 6.0);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn square(self) -> Self {
        self.unary(fixed!(ByPartial, Square))
    }

    /// The square root, elementwise.
    ///
    /// Shapes: unchanged.
    ///
    #[doc = derivative!(sqrt)]
    ///
    /// At 0: 0 with derivative ∞; below 0: NaN. Errors: none.
    /// Source: NIST DLMF §4.7.
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let x = tape.var(4.0);
    /// let [dx] = tape.backward(x.sqrt(), [x])?;
    /// assert_eq!(dx, 0.25);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn sqrt(self) -> Self {
        self.unary(fixed!(ByPartial, Sqrt))
    }

    /// The reciprocal of the square root, `1 / √x`, elementwise.
    ///
    /// Shapes: unchanged.
    ///
    #[doc = derivative!(rsqrt)]
    ///
    /// At 0: ∞ with derivative −∞; below 0: NaN. Errors: none.
    /// Source: NIST DLMF §4.7.
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let x = tape.var(0.25);
    /// let [dx] = tape.backward(x.rsqrt(), [x])?;
    /// assert_eq!(dx, -4.0); // −½ 2³
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn rsqrt(self) -> Self {
        self.unary(fixed!(ByPartial, Rsqrt))
    }

    /// The power `xᵃ` with a constant exponent, elementwise.
    ///
    /// Shapes: unchanged.
    ///
    /// ```math
    /// x̄ = ȳ a xᵃ⁻¹,   ẏ = ẋ a xᵃ⁻¹
    /// ```
    ///
    /// `x⁰` is 1 with derivative 0 everywhere, at 0 and NaN too. Below 0 a fractional exponent
    /// gives NaN. At 0 with a < 1 the derivative is infinite. Errors: none.
    /// Source: NIST DLMF §4.7.
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let x = tape.var(4.0);
    /// let [dx] = tape.backward(x.powf(1.5), [x])?;
    /// assert_eq!(dx, 3.0); // 1.5 √4
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn powf(self, exponent: f64) -> Self {
        self.with(ByPartial::new(Powf(exponent)))
    }

    /// The power `xⁿ` with a constant whole exponent, elementwise.
    ///
    /// Shapes: unchanged.
    ///
    /// ```math
    /// x̄ = ȳ n xⁿ⁻¹,   ẏ = ẋ n xⁿ⁻¹
    /// ```
    ///
    /// `x⁰` is 1 with derivative 0 everywhere. At 0 with n < 0 value and derivative are infinite.
    /// Errors: none.
    /// Source: NIST DLMF §4.7.
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let x = tape.var(-2.0);
    /// let [dx] = tape.backward(x.powi(3), [x])?;
    /// assert_eq!(dx, 12.0); // 3 (−2)²
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn powi(self, exponent: i32) -> Self {
        let place =
            exponent.checked_sub(SMALLEST_POWI).and_then(|place| usize::try_from(place).ok());
        match place.and_then(|place| POWI.get(place)) {
            Some(op) => self.unary(op),
            None => self.with(ByPartial::new(Powi(exponent))),
        }
    }

    /// The power `xʸ`, elementwise, with both base and exponent differentiated.
    ///
    /// Shapes: `x`, `y` → their broadcast.
    ///
    /// ```math
    /// z = xʸ,   x̄ = z̄ y xʸ⁻¹,   ȳ = z̄ xʸ ln x
    /// ```
    ///
    /// # Errors
    /// [`ShapeMismatch`](crate::ErrorKind::ShapeMismatch) if the shapes do not broadcast.
    ///
    /// `x⁰` is 1 with derivative 0 in x, at 0 too. At x = 0 the derivative in y is 0 for y ≥ 0, as
    /// in PyTorch and JAX. Below 0, whole exponents have their value and derivatives in x, others
    /// NaN; the derivative in y is NaN. For a constant exponent, [`Var::powf`] and [`Var::powi`] are
    /// cheaper.
    /// Source: NIST DLMF §4.7.
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let (x, y) = (tape.var(-2.0), tape.constant(3.0));
    /// let z = x.pow(y);
    /// assert_eq!(z.item()?, -8.0);
    /// assert_eq!(tape.backward(z, x)?, 12.0); // 3 (−2)²
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn pow(self, y: impl Operand<'t, T>) -> Self {
        self.binary(fixed!(ByPartial, Pow), y)
    }

    /// The length `√(x² + y²)`, elementwise; no intermediate over- or underflows.
    ///
    /// Shapes: `x`, `y` → their broadcast.
    ///
    /// ```math
    /// r = hypot(x, y),   x̄ = r̄ x / r,   ȳ = r̄ y / r,   ∂²r/∂x² = y² / r³
    /// ```
    ///
    /// # Errors
    /// [`ShapeMismatch`](crate::ErrorKind::ShapeMismatch) if the shapes do not broadcast.
    ///
    /// Where both are 0 the first derivatives are 0, as those of [`Var::norm`], and the others NaN.
    /// Source: NIST DLMF §1.9 (the modulus of a complex number).
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let (x, y) = (tape.var(3.0), tape.var(4.0));
    /// let r = x.hypot(y);
    /// assert_eq!(r.item()?, 5.0);
    /// assert_eq!(tape.backward(r, [x, y])?, [0.6, 0.8]);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn hypot(self, y: impl Operand<'t, T>) -> Self {
        self.binary(fixed!(ByPartial, Hypot), y)
    }

    /// `(x/r)ᵃ (y/r)ᵇ / rⁿ`.
    #[track_caller]
    fn direction(self, y: Self, a: i32, b: i32, n: i32) -> Self {
        self.tape().apply(ByPartial::new(Direction { a, b, n }), &[self, y])
    }

    /// `xʸ (ln x)ᵏ`.
    #[track_caller]
    pub(crate) fn pow_ln(self, y: Self, k: i32) -> Self {
        match k {
            0 => self.pow(y),
            _ => self.tape.apply(ByPartial::new(PowLn(k)), &[self, y]),
        }
    }
}
