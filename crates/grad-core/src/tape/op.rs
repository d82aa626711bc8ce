//! `Op`: what an operation is, built in or a user's own, and what a rule gets to see.
//!
//! An operation states its shape rule, its value, and its derivative. The derivative is a formula
//! on handles, so that it is recorded like everything else and can be differentiated again. Most
//! operations are of one of three kinds, each with a trait of its own and an adapter that makes it
//! an [`Op`]:
//!
//! * [`Elementwise`] ([`ByPartial`]): states its partial derivative; both modes follow.
//! * [`Linear`] ([`ByTranspose`]): states its transpose; both modes follow.
//! * [`Step`] ([`NoDerivative`]): is flat wherever it has a derivative; sweeps pass it by.
//!
//! A rule neither accumulates nor un-broadcasts: the sweep sums what a rule returns down to the
//! shape of the argument, and adds up what several uses of one value contribute.

use std::rc::Rc;

use crate::ground::{Error, ErrorKind, Shape, TensorLike, call};
use crate::tape::{Primal, Var};

/// A differentiable operation.
///
/// An implementor writes [`name`](Op::name), [`shape`](Op::shape), [`forward`](Op::forward) and
/// [`vjp`](Op::vjp), and [`jvp`](Op::jvp) where there is a formula; the rest is provided.
/// See `docs/custom-op.md`.
pub trait Op<T: TensorLike> {
    /// The name, as errors and traces give it.
    fn name(&self) -> &'static str;

    /// The shape of the result, from those of the arguments; checks everything that
    /// [`forward`](Op::forward) relies on.
    ///
    /// # Errors
    /// Whatever is wrong with the shapes; the engine adds the operation and the line.
    fn shape(&self, x: &[Shape]) -> Result<Shape, ErrorKind>;

    /// The value.
    ///
    /// # Errors
    /// Those of the backend.
    fn forward(&self, x: &[&T]) -> Result<T, T::Error>;

    /// The cotangent of argument `arg`, from the cotangent `ct` of the output: `x̄ = Jᵀ ȳ`.
    ///
    /// It may still have the broadcast shape of the output.
    fn vjp<'t>(&self, arg: usize, p: &Primal<'t, T>, ct: Var<'t, T>) -> Var<'t, T>;

    /// What the tangent `t` of argument `arg` contributes to the tangent of the output: `J ẋ`.
    ///
    /// `None` where there is no formula; then the engine derives it from [`vjp`](Op::vjp).
    fn jvp<'t>(&self, arg: usize, p: &Primal<'t, T>, t: Var<'t, T>) -> Option<Var<'t, T>> {
        let _ = (arg, p, t);
        None
    }

    /// The cotangents of all wanted arguments, put into `x_bar` at their places, where `None`
    /// stands for zero; overridden where the arguments share work.
    fn pullback<'t>(
        &self,
        p: &Primal<'t, T>,
        ct: Var<'t, T>,
        wanted: &[bool],
        x_bar: &mut [Option<Var<'t, T>>],
    ) {
        for (arg, (&wanted, x_bar)) in wanted.iter().zip(x_bar).enumerate() {
            if wanted {
                *x_bar = Some(self.vjp(arg, p, ct));
            }
        }
    }

    /// The tangent of the output from those of the arguments, where `None` stands for zero;
    /// overridden where the arguments share work.
    fn pushforward<'t>(
        &self,
        p: &Primal<'t, T>,
        tangents: &[Option<Var<'t, T>>],
    ) -> Option<Var<'t, T>> {
        let mut sum = None;
        for (arg, &tangent) in tangents.iter().enumerate() {
            let Some(tangent) = tangent else { continue };
            match (self.jvp(arg, p, tangent), sum) {
                (None, _) => return crate::sweep::pull_back_the_pullback(self, p, tangents),
                (Some(t), None) => sum = Some(t),
                (Some(t), Some(others)) => sum = Some(others + t),
            }
        }
        sum
    }

    /// [`pushforward`](Op::pushforward) of k tangents at once: those of an argument of shape `[..]`
    /// come stacked, as `[k, ..]`, and so does the answer.
    ///
    /// Behind the first axis the answer may still have a shape that broadcasts to that of the
    /// output. `None` stands for a rule that takes one tangent at a time; then the engine runs
    /// [`pushforward`](Op::pushforward) k times.
    fn batched<'t>(
        &self,
        p: &Primal<'t, T>,
        tangents: &[Option<Var<'t, T>>],
    ) -> Option<Var<'t, T>> {
        let _ = (p, tangents);
        None
    }

    /// False for operations whose derivative is zero wherever there is one; their results are
    /// untracked.
    fn is_differentiable(&self) -> bool {
        true
    }

    /// True if `n` arguments of one common shape are right and give a result of that shape, so that
    /// the engine need not ask [`shape`](Op::shape) then.
    fn keeps_shape(&self, n: usize) -> bool {
        let _ = n;
        false
    }

    /// The right-hand side of the operation's line in a trace, from the names of the arguments.
    fn format(&self, x: &[&str]) -> String {
        call(self.name(), x, "")
    }

    /// What [`vjp`](Op::vjp) and [`jvp`](Op::jvp) compute, on plain values, where all arguments
    /// have the shape of the output; see [`Elementwise::plain`].
    #[doc(hidden)]
    fn plain(&self, arg: usize, p: &Primal<'_, T>, c: &T) -> Option<T> {
        let _ = (arg, p, c);
        None
    }

    /// The value, with an error of its own, of an operation that is a function of the user's: only
    /// running it tells the shape, so that it is run in place of [`shape`](Op::shape) and
    /// [`forward`](Op::forward). For the transforms of this crate.
    #[doc(hidden)]
    fn run(&self, x: &[Var<'_, T>]) -> Option<Result<T, Error>> {
        let _ = x;
        None
    }
}

/// The operation of a node: one without parameters, or a node's own.
pub(crate) enum OpRef<T: 'static> {
    Static(&'static dyn Op<T>),
    Shared(Rc<dyn Op<T>>),
}

impl<T> std::ops::Deref for OpRef<T> {
    type Target = dyn Op<T>;

    #[inline]
    fn deref(&self) -> &Self::Target {
        match self {
            OpRef::Static(op) => *op,
            OpRef::Shared(op) => &**op,
        }
    }
}
