//! `Step`: a function that is flat wherever it has a derivative.

use crate::ground::{ErrorKind, Shape, TensorLike, call};
use crate::kinds::{broadcast, check_arity};
use crate::tape::{Op, Primal, Var};

/// A function of one or more broadcasting arguments whose derivative is zero wherever it has one.
pub trait Step<T: TensorLike> {
    /// The name, as errors and traces give it.
    const NAME: &'static str;

    /// The number of arguments.
    const ARITY: usize = 1;

    /// The value.
    fn forward(&self, x: &[&T]) -> Result<T, T::Error>;

    /// The right-hand side of a line in a trace.
    fn format(&self, x: &[&str]) -> String {
        call(Self::NAME, x, "")
    }
}

/// The adapter that makes a [`Step`] function an [`Op`].
#[derive(Clone, Copy, Debug)]
pub struct NoDerivative<S>(pub S);

impl<T: TensorLike, S: Step<T>> Op<T> for NoDerivative<S> {
    fn name(&self) -> &'static str {
        S::NAME
    }

    #[inline]
    fn shape(&self, x: &[Shape]) -> Result<Shape, ErrorKind> {
        check_arity(S::ARITY, x)?;
        broadcast(x)
    }

    #[inline]
    fn forward(&self, x: &[&T]) -> Result<T, T::Error> {
        self.0.forward(x)
    }

    // Never called: the result is untracked.
    fn vjp<'t>(&self, arg: usize, p: &Primal<'t, T>, _: Var<'t, T>) -> Var<'t, T> {
        p.tape.zeros(p.x(arg), p.shape(arg))
    }

    fn is_differentiable(&self) -> bool {
        false
    }

    #[inline]
    fn keeps_shape(&self, n: usize) -> bool {
        n == S::ARITY
    }

    fn format(&self, x: &[&str]) -> String {
        self.0.format(x)
    }
}
