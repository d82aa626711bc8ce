//! Trigonometric and hyperbolic functions, and their inverses.

use crate::op::{ByPartial, Elementwise, Primal};
use crate::tensor::TensorLike;
use crate::var::Var;

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
}
