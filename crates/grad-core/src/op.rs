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

use smallvec::{SmallVec, smallvec};

use crate::error::{Error, ErrorKind};
use crate::shape::Shape;
use crate::tape::{NodeId, Tape};
use crate::tensor::TensorLike;
use crate::var::Var;

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
                (None, _) => return pull_back_the_pullback(self, p, tangents),
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

/// `J ẋ` from `ȳ ↦ Jᵀ ȳ` alone: that map is linear, and its transpose is J.
///
/// Source: J. Townsend, "A new trick for calculating Jacobian vector products" (2017).
pub(crate) fn pull_back_the_pullback<'t, T: TensorLike>(
    op: &(impl Op<T> + ?Sized),
    p: &Primal<'t, T>,
    tangents: &[Option<Var<'t, T>>],
) -> Option<Var<'t, T>> {
    let wanted: SmallVec<[bool; 4]> = tangents.iter().map(Option::is_some).collect();
    // Any value will do where the map is linear; zero can meet no overflow.
    let dummy = p.tape.fresh(p.y().zeros_like());
    let mut x_bar: SmallVec<[Option<Var<'t, T>>; 4]> = smallvec![None; tangents.len()];
    op.pullback(p, dummy, &wanted, &mut x_bar);
    let mut sum = None;
    for (arg, (x_bar, &tangent)) in x_bar.into_iter().zip(tangents).enumerate() {
        let (Some(x_bar), Some(tangent)) = (x_bar, tangent) else { continue };
        if !std::ptr::eq(p.tape, x_bar.tape) {
            return Some(p.tape.fail(op.name(), ErrorKind::ForeignHandle));
        }
        let (x_bar, expected) = (x_bar.fit(&p.shape(arg)), p.shape(arg));
        if let Ok(got) = x_bar.shape()
            && got != expected
        {
            return Some(p.tape.fail(op.name(), ErrorKind::RuleShape { expected, got }));
        }
        let pulled = crate::pullback::vjp_unlisted(x_bar, tangent, dummy);
        sum = Some(sum.map_or(pulled, |others| others + pulled));
    }
    sum
}

/// `[k, ..shape..]`, where k is the number of tangents that are stacked in `t`.
pub(crate) fn behind<T: TensorLike>(t: Var<'_, T>, shape: &[usize]) -> Shape {
    let k = t.shape().ok().and_then(|t| t.first().copied());
    k.into_iter().chain(shape.iter().copied()).collect()
}

/// Stacked tangents in a shape that broadcasts against tensors of `rank` axes: of `[k, ..]`, axes
/// of size 1 come between the first and the others.
#[track_caller]
pub(crate) fn aligned<T: TensorLike>(t: Var<'_, T>, rank: usize) -> Var<'_, T> {
    let Ok(shape) = t.shape() else { return t };
    match (shape.split_first(), (rank + 1).checked_sub(shape.rank())) {
        (Some((&k, x)), Some(missing @ 1..)) => {
            let ones = std::iter::repeat_n(1, missing);
            t.reshape([k].into_iter().chain(ones).chain(x.iter().copied()).collect::<Shape>())
        }
        _ => t,
    }
}

/// `x.name(y, z, parameters)`, as traces write most operations.
pub fn call(name: &str, x: &[&str], parameters: &str) -> String {
    let (receiver, arguments) = x.split_first().unwrap_or((&"", &[]));
    let mut inside: Vec<&str> = arguments.to_vec();
    if !parameters.is_empty() {
        inside.push(parameters);
    }
    let dot = if receiver.is_empty() { "" } else { "." };
    format!("{receiver}{dot}{name}({})", inside.join(", "))
}

/// `x symbol y`, as traces write operators.
pub fn infix(symbol: &str, x: &[&str]) -> String {
    x.join(&format!(" {symbol} "))
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

/// The values that a node was computed from, as handles a rule can calculate with.
///
/// In a recorded sweep these are the node's own arguments and output, so that what the rule
/// computes depends on them and can be differentiated again; in a plain sweep they are constants.
pub struct Primal<'t, T: TensorLike> {
    /// Where the rule records.
    pub(crate) tape: &'t Tape<T>,
    /// Where the node is.
    pub(crate) home: &'t Tape<T>,
    pub(crate) node: NodeId,
}

impl<'t, T: TensorLike> Primal<'t, T> {
    /// The value of argument `arg`.
    #[inline]
    pub fn x(&self, arg: usize) -> Var<'t, T> {
        let found = match std::ptr::eq(self.tape, self.home) {
            true => self.home.input(self.node, arg).map(|id| Var { tape: self.tape, id }),
            false => self.home.input_value(self.node, arg).map(|x| self.tape.constant_value(x)),
        };
        found.unwrap_or_else(|kind| self.tape.fail("primal", *kind))
    }

    /// The value of the output.
    #[inline]
    pub fn y(&self) -> Var<'t, T> {
        match std::ptr::eq(self.tape, self.home) {
            true => Var { tape: self.tape, id: self.node },
            false => self.tape.constant_value(self.home.value(self.node)),
        }
    }

    /// The value of argument `arg` as a tensor.
    #[inline]
    pub(crate) fn plain_x(&self, arg: usize) -> Option<T> {
        self.home.input_value(self.node, arg).ok()
    }

    /// The value of the output as a tensor.
    #[inline]
    pub(crate) fn plain_y(&self) -> T {
        self.home.value(self.node)
    }

    /// True if all arguments have the shape of the output.
    #[inline]
    pub(crate) fn is_uniform(&self) -> bool {
        self.home.is_uniform(self.node)
    }

    /// The number of arguments.
    pub fn n_inputs(&self) -> usize {
        self.home.n_inputs(self.node)
    }

    /// The shape of argument `arg`; of a scalar if there is no such argument.
    pub fn shape(&self, arg: usize) -> Shape {
        self.home.input(self.node, arg).map_or_else(|_| Shape::scalar(), |id| self.home.shape(id))
    }

    /// The shape of the output.
    pub fn y_shape(&self) -> Shape {
        self.home.shape(self.node)
    }

    /// True if `x_bar` is shaped like argument `arg`.
    #[inline]
    pub(crate) fn has_shape_of(&self, arg: usize, x_bar: &T) -> bool {
        self.home.input_has_shape(self.node, arg, x_bar.shape())
    }

    /// True if the output has this shape.
    #[inline]
    pub(crate) fn y_has_shape(&self, shape: &[usize]) -> bool {
        self.home.has_shape(self.node, shape)
    }

    /// True if argument `arg` is tracked where the node is.
    pub(crate) fn is_tracked(&self, arg: usize) -> bool {
        let input = self.home.input(self.node, arg);
        input.is_ok_and(|id| Var { tape: self.home, id }.is_tracked())
    }

    /// The tape that the rule records on.
    pub fn tape(&self) -> &'t Tape<T> {
        self.tape
    }
}

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

/// Refuses a number of arguments other than `expected`.
#[inline]
fn check_arity(expected: usize, x: &[Shape]) -> Result<(), ErrorKind> {
    match x.len() == expected {
        true => Ok(()),
        false => Err(ErrorKind::Arity { expected, got: x.len() }),
    }
}

/// The shape rule of elementwise operations: what all arguments broadcast to, at least one.
#[inline]
pub fn broadcast(x: &[Shape]) -> Result<Shape, ErrorKind> {
    let Some((first, others)) = x.split_first() else {
        return Err(ErrorKind::Arity { expected: 1, got: 0 });
    };
    others.iter().try_fold(first.clone(), |left, right| match left.broadcast(right) {
        Some(shape) => Ok(shape),
        None => {
            let right = right.clone();
            Err(ErrorKind::ShapeMismatch { left, right, rule: "do not broadcast" })
        }
    })
}
