//! `Elementwise`: a function of each element, by its partial derivatives.

use crate::ground::{ErrorKind, Shape, TensorLike, call};
use crate::kinds::{aligned, broadcast, check_arity};
use crate::tape::{Op, Primal, Var};

/// A function applied to each element, of one or more arguments that broadcast.
pub trait Elementwise<T: TensorLike> {
    /// The name, as errors and traces give it.
    const NAME: &'static str;

    /// The number of arguments.
    const ARITY: usize = 1;

    /// The value.
    fn forward(&self, x: &[&T]) -> Result<T, T::Error>;

    /// `c · ∂y/∂x(arg)`, for a cotangent or tangent `c`, or for tangents that are stacked along one
    /// more leading axis.
    fn partial<'t>(&self, arg: usize, p: &Primal<'t, T>, c: Var<'t, T>) -> Var<'t, T>;

    /// The right-hand side of a line in a trace.
    fn format(&self, x: &[&str]) -> String {
        call(Self::NAME, x, "")
    }

    /// [`partial`](Elementwise::partial) once more, on plain values of one shape: the same
    /// operations in the same order, and so the same bits. Handles cost more than the arithmetic
    /// on single numbers, so the operations that programs on numbers are made of have this; a
    /// plain sweep that gets `None` asks `partial`.
    #[doc(hidden)]
    fn plain(&self, arg: usize, p: &Primal<'_, T>, c: &T) -> Option<T> {
        let _ = (arg, p, c);
        None
    }
}

/// The adapter that makes an [`Elementwise`] function an [`Op`].
#[derive(Clone, Copy, Debug)]
pub struct ByPartial<E>(pub E);

impl<T: TensorLike, E: Elementwise<T>> Op<T> for ByPartial<E> {
    fn name(&self) -> &'static str {
        E::NAME
    }

    #[inline]
    fn shape(&self, x: &[Shape]) -> Result<Shape, ErrorKind> {
        check_arity(E::ARITY, x)?;
        broadcast(x)
    }

    #[inline]
    fn forward(&self, x: &[&T]) -> Result<T, T::Error> {
        self.0.forward(x)
    }

    #[inline]
    fn vjp<'t>(&self, arg: usize, p: &Primal<'t, T>, ct: Var<'t, T>) -> Var<'t, T> {
        self.0.partial(arg, p, ct)
    }

    #[inline]
    fn jvp<'t>(&self, arg: usize, p: &Primal<'t, T>, t: Var<'t, T>) -> Option<Var<'t, T>> {
        Some(self.0.partial(arg, p, t))
    }

    fn batched<'t>(
        &self,
        p: &Primal<'t, T>,
        tangents: &[Option<Var<'t, T>>],
    ) -> Option<Var<'t, T>> {
        let rank = p.y_shape().rank();
        let mut sum = None;
        for (arg, &t) in tangents.iter().enumerate() {
            let Some(t) = t else { continue };
            let part = self.0.partial(arg, p, aligned(t, rank));
            if !part.shape().is_ok_and(|shape| shape.rank() == rank + 1) {
                return None; // A rule that looks at the shape of c.
            }
            sum = Some(sum.map_or(part, |others| others + part));
        }
        sum
    }

    #[inline]
    fn keeps_shape(&self, n: usize) -> bool {
        n == E::ARITY
    }

    #[inline]
    fn plain(&self, arg: usize, p: &Primal<'_, T>, c: &T) -> Option<T> {
        self.0.plain(arg, p, c)
    }

    fn format(&self, x: &[&str]) -> String {
        self.0.format(x)
    }
}
