//! `Step`: a function that is flat wherever it has a derivative.

use crate::ground::{ErrorKind, Shape, TensorLike, broadcast, call};
use crate::kinds::check_arity;
use crate::tape::{Facts, Op};

/// A function of one or more broadcasting arguments whose derivative is zero wherever it has one.
pub trait Step {
    /// The name, as errors and traces give it.
    const NAME: &'static str;

    /// The number of arguments.
    const ARITY: usize = 1;

    /// The value.
    ///
    /// # Errors
    /// Those of the backend.
    fn forward<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error>;

    /// The right-hand side of a line in a trace.
    fn format(&self, x: &[&str]) -> String {
        call(Self::NAME, x, "")
    }
}

/// The adapter that makes a [`Step`] function an [`Op`]. Results are untracked, so sweeps pass by.
#[derive(Clone, Copy, Debug)]
pub struct NoDerivative<S>(S);

impl<S: Step> NoDerivative<S> {
    /// The function as an operation.
    pub const fn new(function: S) -> Self {
        NoDerivative(function)
    }
}

impl<T: TensorLike, S: Step> Op<T> for NoDerivative<S> {
    fn name(&self) -> &'static str {
        S::NAME
    }

    #[inline]
    fn facts(&self) -> Facts {
        Facts::keeps_shape(S::ARITY).without_derivative()
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

    fn format(&self, x: &[&str]) -> String {
        self.0.format(x)
    }
}
