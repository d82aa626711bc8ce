//! `Linear`: a linear map of one argument, by its transpose.

use crate::ground::{ErrorKind, Shape, TensorLike, call};
use crate::kinds::check_arity;
use crate::tape::{Op, Primal, Var};

/// A linear map of one argument. Forward mode applies it again, to the tangent, hence `Clone`.
pub trait Linear<T: TensorLike>: Clone + 'static {
    /// The name, as errors and traces give it.
    const NAME: &'static str;

    /// The shape rule.
    fn shape(&self, x: &Shape) -> Result<Shape, ErrorKind>;

    /// The value.
    fn forward(&self, x: &T) -> Result<T, T::Error>;

    /// The transposed map, applied to a cotangent.
    fn transpose<'t>(&self, p: &Primal<'t, T>, ct: Var<'t, T>) -> Var<'t, T>;

    /// The map applied to k tangents at once, which are stacked: `[k, ..x..]` → `[k, ..y..]`. `None`
    /// if it takes one at a time.
    fn batched<'t>(&self, p: &Primal<'t, T>, t: Var<'t, T>) -> Option<Var<'t, T>> {
        let _ = (p, t);
        None
    }

    /// The right-hand side of a line in a trace.
    fn format(&self, x: &[&str]) -> String {
        call(Self::NAME, x, "")
    }
}

/// The adapter that makes a [`Linear`] map an [`Op`].
#[derive(Clone, Copy, Debug)]
pub struct ByTranspose<L>(pub L);

impl<T: TensorLike, L: Linear<T>> Op<T> for ByTranspose<L> {
    fn name(&self) -> &'static str {
        L::NAME
    }

    fn shape(&self, x: &[Shape]) -> Result<Shape, ErrorKind> {
        check_arity(1, x)?;
        self.0.shape(&x[0])
    }

    fn forward(&self, x: &[&T]) -> Result<T, T::Error> {
        self.0.forward(x[0])
    }

    fn vjp<'t>(&self, _: usize, p: &Primal<'t, T>, ct: Var<'t, T>) -> Var<'t, T> {
        self.0.transpose(p, ct)
    }

    fn jvp<'t>(&self, _: usize, p: &Primal<'t, T>, t: Var<'t, T>) -> Option<Var<'t, T>> {
        Some(p.tape.apply(ByTranspose(self.0.clone()), &[t]))
    }

    fn batched<'t>(
        &self,
        p: &Primal<'t, T>,
        tangents: &[Option<Var<'t, T>>],
    ) -> Option<Var<'t, T>> {
        self.0.batched(p, tangents[0]?)
    }

    fn format(&self, x: &[&str]) -> String {
        self.0.format(x)
    }
}
