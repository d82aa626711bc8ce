//! Powers and roots.

use crate::op::{ByPartial, Elementwise, Primal};
use crate::tensor::TensorLike;
use crate::var::Var;

#[derive(Clone, Copy)]
struct Sqrt;

impl<T: TensorLike> Elementwise<T> for Sqrt {
    const NAME: &'static str = "sqrt";

    fn forward(&self, x: &[&T]) -> Result<T, T::Error> {
        x[0].sqrt()
    }

    fn partial<'t>(&self, _: usize, p: &Primal<'t, T>, c: Var<'t, T>) -> Var<'t, T> {
        c.mul_or_zero(p.y().recip() * 0.5)
    }
}

#[derive(Clone, Copy)]
struct Powf(f64);

impl<T: TensorLike> Elementwise<T> for Powf {
    const NAME: &'static str = "powf";

    fn forward(&self, x: &[&T]) -> Result<T, T::Error> {
        x[0].powf(self.0)
    }

    fn partial<'t>(&self, _: usize, p: &Primal<'t, T>, c: Var<'t, T>) -> Var<'t, T> {
        // x⁰ is the constant 1, also at 0, where 0 · x⁻¹ would be NaN.
        match self.0 {
            0.0 => c.zeros_like(),
            n => c.mul_or_zero(p.x(0).powf(n - 1.0) * n),
        }
    }

    fn format(&self, x: &[&str]) -> String {
        format!("{}.powf({})", x[0], self.0)
    }
}

#[derive(Clone, Copy)]
struct Powi(i32);

impl<T: TensorLike> Elementwise<T> for Powi {
    const NAME: &'static str = "powi";

    fn forward(&self, x: &[&T]) -> Result<T, T::Error> {
        x[0].powi(self.0)
    }

    fn partial<'t>(&self, _: usize, p: &Primal<'t, T>, c: Var<'t, T>) -> Var<'t, T> {
        match self.0 {
            0 => c.zeros_like(),
            i32::MIN => c.mul_or_zero(p.y() / p.x(0) * f64::from(i32::MIN)),
            n => c.mul_or_zero(p.x(0).powi(n - 1) * f64::from(n)),
        }
    }

    fn format(&self, x: &[&str]) -> String {
        format!("{}.powi({})", x[0], self.0)
    }
}

impl<'t, T: TensorLike> Var<'t, T> {
    /// The square root, elementwise.
    ///
    /// Shapes: unchanged.
    ///
    /// ```math
    /// x̄ = ȳ / (2 y),   ẏ = ẋ / (2 y)
    /// ```
    ///
    /// At 0: 0 with derivative ∞; below 0: NaN. A zero cotangent gives zero. Errors: none.
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
        self.unary(&ByPartial(Sqrt))
    }

    /// The power `xᵃ` with a constant exponent, elementwise.
    ///
    /// Shapes: unchanged.
    ///
    /// ```math
    /// x̄ = ȳ a xᵃ⁻¹,   ẏ = ẋ a xᵃ⁻¹
    /// ```
    ///
    /// `x⁰` is 1 with derivative 0 everywhere, at 0 and NaN too. Below 0 a fractional exponent gives
    /// NaN. At 0 with a < 1 the derivative is infinite, but a zero cotangent gives zero.
    /// Errors: none.
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
        self.with(ByPartial(Powf(exponent)))
    }

    /// The power `xⁿ` with a constant whole exponent, elementwise.
    ///
    /// Shapes: unchanged.
    ///
    /// ```math
    /// x̄ = ȳ n xⁿ⁻¹,   ẏ = ẋ n xⁿ⁻¹
    /// ```
    ///
    /// `x⁰` is 1 with derivative 0 everywhere. At 0 with n < 0 value and derivative are infinite,
    /// but a zero cotangent gives zero. Errors: none.
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
        self.with(ByPartial(Powi(exponent)))
    }
}
