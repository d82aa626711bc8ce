//! `Linear`: a linear map of one argument, by its transpose.

use crate::ground::{Build, ErrorKind, Read, Shape, TensorLike, call};
use crate::kinds::check_arity;
use crate::tape::{Body, Cotangents, Facts, Op, Primal, Reach, Tangents, Var};

/// A linear map of one argument. Forward mode applies it again, to the tangent, hence `Clone`.
pub trait Linear: Clone + 'static {
    /// The name, as errors and traces give it.
    const NAME: &'static str;

    /// The shape rule.
    ///
    /// # Errors
    /// Whatever is wrong with the shape.
    fn shape(&self, x: &Shape) -> Result<Shape, ErrorKind>;

    /// The value.
    ///
    /// # Errors
    /// Those of the backend.
    fn forward<T: TensorLike>(&self, x: &T) -> Result<T, T::Error>;

    /// The transposed map, applied to a cotangent.
    fn transpose<'t, T: TensorLike>(&self, p: &Primal<'t, T>, ct: Var<'t, T>) -> Var<'t, T>;

    /// Which elements of the result an element of the argument reaches. The default serves every
    /// map. One that only moves and adds elements says [`Reach::Rule`].
    fn reach(&self) -> Reach {
        Reach::All
    }

    /// The map applied to k tangents at once, which are stacked: `[k, ..x..]` → `[k, ..y..]`.
    /// `None`, the default, if it takes one at a time.
    fn batched<'t, T: TensorLike>(&self, p: &Primal<'t, T>, t: Var<'t, T>) -> Option<Var<'t, T>> {
        let _ = (p, t);
        None
    }

    /// Which elements of the argument the map reads, if that is all it does; see
    /// [`Body::Read`]. `None` is the default.
    #[inline]
    fn reads(&self) -> Option<Read<'_>> {
        None
    }

    /// The right-hand side of a line in a trace.
    fn format(&self, x: &[&str]) -> String {
        call(Self::NAME, x, "")
    }
}

/// The adapter that makes a [`Linear`] map an [`Op`].
#[derive(Clone, Copy, Debug)]
pub struct ByTranspose<L>(L);

impl<L: Linear> ByTranspose<L> {
    /// The map as an operation.
    pub const fn new(map: L) -> Self {
        ByTranspose(map)
    }
}

impl<T: TensorLike, L: Linear> Op<T> for ByTranspose<L> {
    fn name(&self) -> &'static str {
        L::NAME
    }

    fn facts(&self) -> Facts {
        Facts::GENERAL.reaching(self.0.reach())
    }

    fn shape(&self, x: &[Shape]) -> Result<Shape, ErrorKind> {
        check_arity(1, x)?;
        self.0.shape(&x[0])
    }

    fn forward(&self, x: &[&T]) -> Result<T, T::Error> {
        self.0.forward(x[0])
    }

    fn vjp<'t>(&self, p: &Primal<'t, T>, ct: Var<'t, T>, x_bar: &mut Cotangents<'_, 't, T>) {
        x_bar.each(|_| self.0.transpose(p, ct));
    }

    fn jvp<'t>(&self, p: &Primal<'t, T>, t: &Tangents<'_, 't, T>) -> Option<Var<'t, T>> {
        let x_dot = t.get(0)?;
        match t.stack() {
            None => Some(p.tape.apply(ByTranspose(self.0.clone()), &[x_dot])),
            Some(_) => self.0.batched(p, x_dot),
        }
    }

    #[inline]
    fn body(&self, _: Build) -> Body<'_, T> {
        self.0.reads().map_or(Body::Methods, Body::Read)
    }

    fn format(&self, x: &[&str]) -> String {
        self.0.format(x)
    }
}
