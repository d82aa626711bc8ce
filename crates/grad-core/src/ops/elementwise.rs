//! Functions of one argument, applied to each element.

use crate::op::{ByPartial, Elementwise, Primal};
use crate::tensor::TensorLike;
use crate::var::Var;

#[derive(Clone, Copy)]
struct Exp;

impl<T: TensorLike> Elementwise<T> for Exp {
    const NAME: &'static str = "exp";

    fn forward(&self, x: &[&T]) -> Result<T, T::Error> {
        x[0].exp()
    }

    fn partial<'t>(&self, _: usize, p: &Primal<'t, T>, c: Var<'t, T>) -> Var<'t, T> {
        c.mul_or_zero(p.y())
    }
}

#[derive(Clone, Copy)]
struct Ln;

impl<T: TensorLike> Elementwise<T> for Ln {
    const NAME: &'static str = "ln";

    fn forward(&self, x: &[&T]) -> Result<T, T::Error> {
        x[0].ln()
    }

    fn partial<'t>(&self, _: usize, p: &Primal<'t, T>, c: Var<'t, T>) -> Var<'t, T> {
        c.mul_or_zero(p.x(0).recip())
    }
}

#[derive(Clone, Copy)]
struct Abs;

impl<T: TensorLike> Elementwise<T> for Abs {
    const NAME: &'static str = "abs";

    fn forward(&self, x: &[&T]) -> Result<T, T::Error> {
        x[0].abs()
    }

    fn partial<'t>(&self, _: usize, p: &Primal<'t, T>, c: Var<'t, T>) -> Var<'t, T> {
        p.x(0).sign().mul_or_zero(c)
    }
}

impl<'t, T: TensorLike> Var<'t, T> {
    /// The exponential `eˣ`, elementwise.
    ///
    /// Shapes: unchanged.
    ///
    /// ```math
    /// x̄ = ȳ eˣ,   ẏ = ẋ eˣ
    /// ```
    ///
    /// Non-smooth points: none; where it overflows, a zero cotangent gives zero. Errors: none.
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
        self.unary(&ByPartial(Exp))
    }

    /// The natural logarithm, elementwise.
    ///
    /// Shapes: unchanged.
    ///
    /// ```math
    /// x̄ = ȳ / x,   ẏ = ẋ / x
    /// ```
    ///
    /// At 0: −∞ with derivative ∞; below 0: NaN with derivative 1/x. A zero cotangent gives zero.
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
        self.unary(&ByPartial(Ln))
    }

    /// The absolute value, elementwise.
    ///
    /// Shapes: unchanged.
    ///
    /// ```math
    /// x̄ = ȳ sign x,   ẏ = ẋ sign x
    /// ```
    ///
    /// At 0 the derivative is 0, as in PyTorch. Errors: none.
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
        self.unary(&ByPartial(Abs))
    }
}
