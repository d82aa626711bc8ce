//! `Op`: what an operation is, built in or a user's own.
//!
//! An operation states its shape rule, its value, and its derivative. The derivative is a formula
//! on handles, so it is recorded like everything else and can be differentiated again. Most
//! operations are of one of three kinds, each with a trait of its own and an adapter that makes it
//! an [`Op`]: see [`extend`](crate::extend).
//!
//! A rule neither accumulates nor un-broadcasts. The sweep sums what a rule returns down to the
//! shape of the argument, and adds up what several uses of one value contribute.

use std::cell::Cell;
use std::rc::Rc;

use smallvec::SmallVec;

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

    /// Where the output depends on argument `arg`, as a mask that broadcasts to the shape of the
    /// output: 1 where it does, and 0 where it does not, whatever the tracked values are. `None` is
    /// the default: everywhere.
    ///
    /// A derivative is exactly 0 where nothing depends on the argument, to every order, even if a
    /// partial derivative is infinite there: see `docs/architecture.md`. An operation that is not
    /// elementwise may say so where its only argument, which has its shape, is −∞.
    fn depends<'t>(&self, arg: usize, p: &Primal<'t, T>) -> Option<Var<'t, T>> {
        let _ = (arg, p);
        None
    }

    /// What the engine can use in place of the other methods.
    #[inline]
    fn body(&self, build: Build) -> Body<'_, T> {
        let _ = build;
        Body::Methods
    }
}

/// What the engine can use in place of the methods of an operation.
pub enum Body<'a, T: TensorLike> {
    /// Nothing.
    Methods,
    /// The partial derivatives as data, one for each argument, for plain sweeps, which then need no
    /// handles.
    Partials(&'a [Partial]),
    /// Which elements of its one argument the operation reads, if that is all it does. A sweep may
    /// then add the cotangents of many such reads of one value at once.
    Read(Read<'a>),
    /// The function of the user's that the operation is, as `checkpoint` makes one. The engine runs
    /// it in place of [`Op::shape`] and [`Op::forward`].
    #[doc(hidden)]
    Function(&'a dyn Function<T>),
}

impl<'a, T: TensorLike> Body<'a, T> {
    #[inline]
    /// The partial derivatives, if they are there.
    pub fn partials(self) -> &'a [Partial] {
        match self {
            Body::Partials(partials) => partials,
            _ => &[],
        }
    }

    #[inline]
    pub(crate) fn read(self) -> Option<Read<'a>> {
        match self {
            Body::Read(read) => Some(read),
            _ => None,
        }
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
    /// Which elements of the output an element of an argument reaches.
    pub reach: Reach,
    /// True if partial derivatives depend on values, and may be infinite or NaN where the output
    /// is not chosen.
    pub by_value: bool,
}

/// Which elements of the output an element of an argument reaches.
///
/// So a sweep knows which derivatives are *dead*: exactly 0, since nothing depends on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Any of them. A derivative is dead if all are. The default.
    All,
    /// Those at its own place. Arguments broadcast.
    Same,
    /// Those that the rule itself says: it is a sum of elements with factors above 0.
    Rule {
        /// True if each element of the argument reaches the output, and each of the output is
        /// reached.
        total: bool,
    },
    /// Those along these axes of the argument, as bits: 1 is the first axis, and all bits are all
    /// axes. The output has the shape of the argument, or these axes are missing there or have size
    /// 1.
    Along(u16),
    /// The row or the column of a product of matrices.
    Product,
    /// The rule tells the sweep.
    Told,
}

impl Facts {
    /// Of an operation that keeps the shape of `n` arguments of one shape.
    #[inline]
    pub const fn keeps_shape(n: usize) -> Facts {
        // No more arguments than a number of a byte, for the sake of speed: facts are asked for on
        // every operation. Above, the shape rule is asked.
        let keeps_shape = if n <= u8::MAX as usize { Some(n as u8) } else { None };
        Facts { keeps_shape, ..Facts::GENERAL }
    }

    /// The same, of an operation whose derivative is zero wherever there is one.
    #[inline]
    #[must_use]
    pub const fn without_derivative(self) -> Facts {
        Facts { differentiable: false, ..self }
    }

    /// The same, with what an element reaches.
    #[inline]
    #[must_use]
    pub const fn reaching(self, reach: Reach) -> Facts {
        Facts { reach, ..self }
    }

    /// The same, of an operation whose partial derivatives may be infinite or NaN.
    #[inline]
    #[must_use]
    pub const fn by_value(self) -> Facts {
        Facts { by_value: true, ..self }
    }

    /// Of a differentiable operation with a shape rule.
    pub const GENERAL: Facts =
        Facts { differentiable: true, keeps_shape: None, reach: Reach::All, by_value: false };
}

impl Default for Facts {
    /// [`Facts::GENERAL`].
    fn default() -> Self {
        Facts::GENERAL
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
    masks: Option<&'a Masks<'t, T>>,
}

/// Which elements are live around a node whose rule tells the sweep ([`Reach::Told`]): masks, where
/// `None` is all.
pub(crate) struct Masks<'t, T: TensorLike> {
    /// Of each argument.
    pub(crate) x: SmallVec<[Cell<Option<Var<'t, T>>>; 4]>,
    /// Of the output.
    pub(crate) y: Cell<Option<Var<'t, T>>>,
}

impl<'t, T: TensorLike> Masks<'t, T> {
    /// Of `n` arguments of which everything is live.
    pub(crate) fn new(n: usize, y: Option<Var<'t, T>>) -> Self {
        Masks { x: (0..n).map(|_| Cell::new(None)).collect(), y: Cell::new(y) }
    }
}

impl<'a, 't, T: TensorLike> Cotangents<'a, 't, T> {
    #[inline]
    pub(crate) fn new(wanted: &'a [bool], x_bar: &'a mut [Option<Var<'t, T>>]) -> Self {
        Cotangents { wanted, x_bar, masks: None }
    }

    #[inline]
    pub(crate) fn with_masks(self, masks: Option<&'a Masks<'t, T>>) -> Self {
        Cotangents { masks, ..self }
    }

    /// The masks of live elements, in a sweep that has some.
    pub(crate) fn masks(&self) -> Option<&'a Masks<'t, T>> {
        self.masks
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
    masks: Option<&'a Masks<'t, T>>,
}

impl<'a, 't, T: TensorLike> Tangents<'a, 't, T> {
    #[inline]
    pub(crate) fn new(x_dot: &'a [Option<Var<'t, T>>], stack: Option<usize>) -> Self {
        Tangents { x_dot, stack, masks: None }
    }

    #[inline]
    pub(crate) fn with_masks(self, masks: Option<&'a Masks<'t, T>>) -> Self {
        Tangents { masks, ..self }
    }

    /// The masks of live elements, in a sweep that has some.
    pub(crate) fn masks(&self) -> Option<&'a Masks<'t, T>> {
        self.masks
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
