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
struct Sin;

impl<T: TensorLike> Elementwise<T> for Sin {
    const NAME: &'static str = "sin";

    fn forward(&self, x: &[&T]) -> Result<T, T::Error> {
        x[0].sin()
    }

    fn partial<'t>(&self, _: usize, p: &Primal<'t, T>, c: Var<'t, T>) -> Var<'t, T> {
        c * p.x(0).cos()
    }
}

#[derive(Clone, Copy)]
struct Cos;

impl<T: TensorLike> Elementwise<T> for Cos {
    const NAME: &'static str = "cos";

    fn forward(&self, x: &[&T]) -> Result<T, T::Error> {
        x[0].cos()
    }

    fn partial<'t>(&self, _: usize, p: &Primal<'t, T>, c: Var<'t, T>) -> Var<'t, T> {
        -c * p.x(0).sin()
    }
}

#[derive(Clone, Copy)]
struct Tanh;

impl<T: TensorLike> Elementwise<T> for Tanh {
    const NAME: &'static str = "tanh";

    fn forward(&self, x: &[&T]) -> Result<T, T::Error> {
        x[0].tanh()
    }

    // Reuse y: recomputing tanh would double the cost.
    fn partial<'t>(&self, _: usize, p: &Primal<'t, T>, c: Var<'t, T>) -> Var<'t, T> {
        c * (1.0 - p.y() * p.y())
    }
}

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

#[derive(Clone, Copy)]
struct Relu;

impl<T: TensorLike> Elementwise<T> for Relu {
    const NAME: &'static str = "relu";

    fn forward(&self, x: &[&T]) -> Result<T, T::Error> {
        x[0].relu()
    }

    // The mask comes first: where it is 0, even an infinite cotangent stops.
    fn partial<'t>(&self, _: usize, p: &Primal<'t, T>, c: Var<'t, T>) -> Var<'t, T> {
        p.x(0).gt(0.0).mul_or_zero(c)
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
        self.unary(&ByPartial(Sin))
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
        self.unary(&ByPartial(Cos))
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
        self.unary(&ByPartial(Tanh))
    }

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

    /// The rectifier `max(x, 0)`, elementwise.
    ///
    /// Shapes: unchanged.
    ///
    /// ```math
    /// x̄ = ȳ [x > 0],   ẏ = ẋ [x > 0]
    /// ```
    ///
    /// At 0 the derivative is 0, as in PyTorch. Errors: none.
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let x = tape.var(0.0);
    /// let [dx] = tape.backward(x.relu(), [x])?;
    /// assert_eq!(dx, 0.0);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn relu(self) -> Self {
        self.unary(&ByPartial(Relu))
    }
}
