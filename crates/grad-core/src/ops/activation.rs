//! Activations: the nonlinear functions of neural networks.

use crate::op::{ByPartial, Elementwise, Primal};
use crate::tensor::TensorLike;
use crate::var::Var;

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
