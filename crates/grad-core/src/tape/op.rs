//! `Op`: what an operation is, built in or a user's own.
//!
//! An operation states its shape rule, its value, and its derivative. The derivative is a formula
//! on handles, so it is recorded like everything else and can be differentiated again. Most
//! operations are of one of three kinds, each with a trait of its own and an adapter that makes it
//! an [`Op`]: see [`extend`](crate::extend).
//!
//! A rule neither accumulates nor un-broadcasts. The sweep sums what a rule returns down to the
//! shape of the argument, and adds up what several uses of one value contribute.

use std::rc::Rc;

use crate::ground::{
    Build, Error, ErrorKind, Partial, Read, Shape, TensorLike, Unsupported, broadcast, call,
};
use crate::tape::{Primal, Var};

/// A differentiable operation.
///
/// An implementor writes [`name`](Op::name), [`shape`](Op::shape), [`forward`](Op::forward),
/// [`vjp`](Op::vjp), and [`jvp`](Op::jvp) where there is a formula. The rest has defaults.
/// See `docs/custom-op.md`.
pub trait Op<T: TensorLike> {
    /// The name, as errors and traces give it.
    fn name(&self) -> &'static str;

    /// What the operation says of itself as data.
    #[inline]
    fn facts(&self) -> Facts {
        Facts::default()
    }

    /// The shape of the result, from those of the arguments. It checks everything that
    /// [`forward`](Op::forward) relies on. The default is what the arguments broadcast to.
    ///
    /// # Errors
    /// Whatever is wrong with the shapes; the engine adds the operation and the line.
    fn shape(&self, x: &[Shape]) -> Result<Shape, ErrorKind> {
        broadcast(x)
    }

    /// The value. The default is an error that says that there is none.
    ///
    /// # Errors
    /// Those of the backend.
    fn forward(&self, x: &[&T]) -> Result<T, T::Error> {
        let _ = x;
        Err(Unsupported { op: self.name(), backend: std::any::type_name::<T>() }.into())
    }

    /// Reverse mode: the cotangents of the arguments, `x̄ = Jᵀ ȳ`, from the cotangent `ct` of the
    /// output.
    ///
    /// They go into `x_bar`. They may still have the broadcast shape of the output. The default is
    /// an error that says that there is no rule.
    ///
    /// ```
    /// # use grad_core::extend::{Cotangents, Op, Primal, TensorLike, Var};
    /// # struct Product;
    /// # impl<T: TensorLike> Op<T> for Product {
    /// # fn name(&self) -> &'static str { "product" }
    /// fn vjp<'t>(&self, p: &Primal<'t, T>, ct: Var<'t, T>, x_bar: &mut Cotangents<'_, 't, T>) {
    ///     x_bar.each(|arg| ct * p.x(1 - arg));
    /// }
    /// # }
    /// ```
    fn vjp<'t>(&self, p: &Primal<'t, T>, ct: Var<'t, T>, x_bar: &mut Cotangents<'_, 't, T>) {
        let _ = ct;
        let message = "has no reverse rule; implement `Op::vjp`".to_string();
        x_bar.each(|_| {
            p.tape().fail(self.name(), ErrorKind::Parameter { message: message.clone() })
        });
    }

    /// Forward mode: the tangent of the output, `ẏ = J ẋ`, from those of the arguments.
    ///
    /// It may still have a shape that broadcasts to that of the output. Where the tangents are
    /// [stacked](Tangents::stack), the answer is stacked too. `None` is the default: the operation
    /// has no rule for such tangents. Then the engine pushes stacked tangents one by one, and
    /// derives the tangent from [`vjp`](Op::vjp).
    ///
    /// ```
    /// # use grad_core::extend::{Op, Primal, Tangents, TensorLike, Var};
    /// # struct Product;
    /// # impl<T: TensorLike> Op<T> for Product {
    /// # fn name(&self) -> &'static str { "product" }
    /// fn jvp<'t>(&self, p: &Primal<'t, T>, t: &Tangents<'_, 't, T>) -> Option<Var<'t, T>> {
    ///     t.one()?.sum(|arg, t| t * p.x(1 - arg))
    /// }
    /// # }
    /// ```
    fn jvp<'t>(&self, p: &Primal<'t, T>, t: &Tangents<'_, 't, T>) -> Option<Var<'t, T>> {
        let _ = (p, t);
        None
    }

    /// The right-hand side of the operation's line in a trace, from the names of the arguments.
    fn format(&self, x: &[&str]) -> String {
        call(self.name(), x, "")
    }

    /// The partial derivatives as data, one for each argument, for plain sweeps, which then need no
    /// handles. None at all is the default.
    #[inline]
    fn partials(&self, build: Build) -> &[Partial] {
        let _ = build;
        &[]
    }

    /// Which elements of its one argument the operation reads, if that is all it does. Then a sweep
    /// may add the cotangents of many such reads of one value at once, in place of running
    /// [`vjp`](Op::vjp) for each. `None` is the default.
    #[inline]
    fn reads(&self) -> Option<Read<'_>> {
        None
    }

    /// The function of the user's that the operation is, as `checkpoint` makes one. The engine runs
    /// it in place of [`shape`](Op::shape) and [`forward`](Op::forward). `None` is the default.
    #[doc(hidden)]
    fn function(&self) -> Option<&dyn Function<T>> {
        None
    }
}

/// What an operation says of itself as data.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Facts {
    /// False if the derivative is zero wherever there is one. Then results are untracked.
    pub differentiable: bool,
    /// The number of arguments that may have one common shape, which the result has too. Then the
    /// engine need not ask [`Op::shape`].
    pub keeps_shape: Option<u8>,
}

impl Facts {
    /// Of an operation that keeps the shape of `n` arguments of one shape.
    #[inline]
    pub const fn keeps_shape(n: usize) -> Facts {
        // No more arguments than a number of a byte, for the sake of speed: facts are asked for on
        // every operation. Above, the shape rule is asked.
        let keeps_shape = if n <= u8::MAX as usize { Some(n as u8) } else { None };
        Facts { differentiable: true, keeps_shape }
    }

    /// The same, of an operation whose derivative is zero wherever there is one.
    #[inline]
    #[must_use]
    pub const fn without_derivative(self) -> Facts {
        Facts { differentiable: false, ..self }
    }
}

impl Default for Facts {
    /// Of a differentiable operation with a shape rule.
    fn default() -> Self {
        Facts { differentiable: true, keeps_shape: None }
    }
}

/// A function of the user's as an operation.
#[doc(hidden)]
pub trait Function<T: TensorLike> {
    /// The value at the values of `x`.
    fn value(&self, x: &[Var<'_, T>]) -> Result<T, Error>;
}

/// The cotangents of the arguments of a node, for a rule to fill in.
pub struct Cotangents<'a, 't, T: TensorLike> {
    wanted: &'a [bool],
    x_bar: &'a mut [Option<Var<'t, T>>],
}

impl<'a, 't, T: TensorLike> Cotangents<'a, 't, T> {
    #[inline]
    pub(crate) fn new(wanted: &'a [bool], x_bar: &'a mut [Option<Var<'t, T>>]) -> Self {
        Cotangents { wanted, x_bar }
    }

    /// True if the cotangent of argument `arg` is asked for.
    pub fn wants(&self, arg: usize) -> bool {
        self.wanted.get(arg) == Some(&true)
    }

    /// Which cotangents are asked for.
    pub(crate) fn wanted(&self) -> &'a [bool] {
        self.wanted
    }

    /// Sets the cotangent of argument `arg`. What is never set is zero.
    pub fn set(&mut self, arg: usize, x_bar: Var<'t, T>) {
        if let Some(place) = self.x_bar.get_mut(arg) {
            *place = Some(x_bar);
        }
    }

    /// Sets the cotangent of every argument that is asked for, by a formula.
    #[inline]
    pub fn each(&mut self, mut formula: impl FnMut(usize) -> Var<'t, T>) {
        for (arg, (&wanted, x_bar)) in self.wanted.iter().zip(&mut *self.x_bar).enumerate() {
            if wanted {
                *x_bar = Some(formula(arg));
            }
        }
    }
}

/// The tangents of the arguments of a node. An argument that does not move has none.
pub struct Tangents<'a, 't, T: TensorLike> {
    x_dot: &'a [Option<Var<'t, T>>],
    stack: Option<usize>,
}

impl<'a, 't, T: TensorLike> Tangents<'a, 't, T> {
    #[inline]
    pub(crate) fn new(x_dot: &'a [Option<Var<'t, T>>], stack: Option<usize>) -> Self {
        Tangents { x_dot, stack }
    }

    /// The tangent of argument `arg`, if the argument moves.
    #[inline]
    pub fn get(&self, arg: usize) -> Option<Var<'t, T>> {
        self.x_dot.get(arg).copied().flatten()
    }

    /// The tangent of each argument.
    pub fn list(&self) -> &'a [Option<Var<'t, T>>] {
        self.x_dot
    }

    /// The number of tangents of each argument, if several are stacked along a leading axis: of an
    /// argument of shape `[..]` they have shape `[k, ..]`.
    #[inline]
    pub fn stack(&self) -> Option<usize> {
        self.stack
    }

    /// These tangents, unless they are stacked: for a rule that takes one tangent at a time.
    #[inline]
    pub fn one(&self) -> Option<&Self> {
        self.stack.is_none().then_some(self)
    }

    /// The sum of a formula over the arguments that move, in their order.
    #[inline]
    pub fn sum(
        &self,
        mut formula: impl FnMut(usize, Var<'t, T>) -> Var<'t, T>,
    ) -> Option<Var<'t, T>> {
        let mut sum = None;
        for (arg, &t) in self.x_dot.iter().enumerate() {
            let Some(t) = t else { continue };
            let part = formula(arg, t);
            sum = Some(match sum {
                None => part,
                Some(others) => others + part,
            });
        }
        sum
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
