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

use smallvec::SmallVec;

use crate::error::ErrorKind;
use crate::shape::Shape;
use crate::tape::{NodeId, Tape};
use crate::tensor::TensorLike;
use crate::var::Var;

/// What a rule returns for all arguments of one node: a cotangent for each that was wanted.
pub type Cotangents<'t, T> = SmallVec<[Option<Var<'t, T>>; 2]>;

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

    /// The cotangents of all wanted arguments; overridden where they share work.
    fn pullback<'t>(
        &self,
        p: &Primal<'t, T>,
        ct: Var<'t, T>,
        wanted: &[bool],
    ) -> Cotangents<'t, T> {
        wanted
            .iter()
            .enumerate()
            .map(|(arg, &wanted)| wanted.then(|| self.vjp(arg, p, ct)))
            .collect()
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

    /// False for operations whose derivative is zero wherever there is one; their results are
    /// untracked.
    fn is_differentiable(&self) -> bool {
        true
    }

    /// The right-hand side of the operation's line in a trace, from the names of the arguments.
    fn format(&self, x: &[&str]) -> String {
        call(self.name(), x, "")
    }
}

/// `J ẋ` from `ȳ ↦ Jᵀ ȳ` alone: that map is linear, and its transpose is J.
///
/// Source: J. Townsend, "A new trick for calculating Jacobian vector products" (2017).
fn pull_back_the_pullback<'t, T: TensorLike>(
    op: &(impl Op<T> + ?Sized),
    p: &Primal<'t, T>,
    tangents: &[Option<Var<'t, T>>],
) -> Option<Var<'t, T>> {
    let wanted: SmallVec<[bool; 4]> = tangents.iter().map(Option::is_some).collect();
    // Any value will do where the map is linear; zero can meet no overflow.
    let dummy = p.tape.fresh(p.y().detach().scale(0.0));
    let cotangents = op.pullback(p, dummy, &wanted);
    let mut sum = None;
    for (arg, (cotangent, &tangent)) in cotangents.into_iter().zip(tangents).enumerate() {
        let (Some(cotangent), Some(tangent)) = (cotangent, tangent) else { continue };
        let cotangent = cotangent.fit(&p.shape(arg));
        let pulled = crate::pullback::vjp_unlisted(cotangent, tangent, dummy);
        sum = Some(sum.map_or(pulled, |others| others + pulled));
    }
    sum
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

/// An operation as nodes keep it: one without parameters costs no allocation.
pub(crate) enum OpRef<T: 'static> {
    Static(&'static dyn Op<T>),
    Shared(Rc<dyn Op<T>>),
}

impl<T> Clone for OpRef<T> {
    #[inline]
    fn clone(&self) -> Self {
        match self {
            OpRef::Static(op) => OpRef::Static(*op),
            OpRef::Shared(op) => OpRef::Shared(Rc::clone(op)),
        }
    }
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
        match self.home.input(self.node, arg) {
            Ok(id) => self.handle(id),
            Err(kind) => self.tape.void("primal", kind),
        }
    }

    /// The value of the output.
    #[inline]
    pub fn y(&self) -> Var<'t, T> {
        self.handle(self.node)
    }

    /// The shape of argument `arg`; of a scalar if there is no such argument.
    pub fn shape(&self, arg: usize) -> Shape {
        self.home.input(self.node, arg).map_or_else(|_| Shape::scalar(), |id| self.home.shape(id))
    }

    /// The shape of the output.
    pub fn y_shape(&self) -> Shape {
        self.home.shape(self.node)
    }

    /// True if `ct`, a handle that the rule returned, is shaped like argument `arg`.
    #[inline]
    pub(crate) fn has_shape_of(&self, arg: usize, ct: Var<'t, T>) -> bool {
        let Ok(id) = self.home.input(self.node, arg) else { return false };
        !ct.id.is_void() && self.home.value_shape_is(id, ct.tape, ct.id)
    }

    /// The tape that the rule records on.
    pub fn tape(&self) -> &'t Tape<T> {
        self.tape
    }

    #[inline]
    fn handle(&self, id: NodeId) -> Var<'t, T> {
        if std::ptr::eq(self.tape, self.home) {
            Var { tape: self.tape, id }
        } else {
            self.tape.constant_value(self.home.value(id))
        }
    }
}

/// A function applied to each element, of one or more arguments that broadcast.
pub trait Elementwise<T: TensorLike> {
    /// The name, as errors and traces give it.
    const NAME: &'static str;

    /// The value.
    fn forward(&self, x: &[&T]) -> Result<T, T::Error>;

    /// `c · ∂y/∂x(arg)`, for a cotangent or tangent `c`.
    fn partial<'t>(&self, arg: usize, p: &Primal<'t, T>, c: Var<'t, T>) -> Var<'t, T>;

    /// The right-hand side of a line in a trace.
    fn format(&self, x: &[&str]) -> String {
        call(Self::NAME, x, "")
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

    fn format(&self, x: &[&str]) -> String {
        self.0.format(x)
    }
}

/// A linear map of one argument.
pub trait Linear<T: TensorLike>: Clone + 'static {
    /// The name, as errors and traces give it.
    const NAME: &'static str;

    /// The shape rule.
    fn shape(&self, x: &Shape) -> Result<Shape, ErrorKind>;

    /// The value.
    fn forward(&self, x: &T) -> Result<T, T::Error>;

    /// The transposed map, applied to a cotangent.
    fn transpose<'t>(&self, p: &Primal<'t, T>, ct: Var<'t, T>) -> Var<'t, T>;

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
        match x {
            [x] => self.0.shape(x),
            _ => Err(ErrorKind::Arity { expected: 1, got: x.len() }),
        }
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

    fn format(&self, x: &[&str]) -> String {
        self.0.format(x)
    }
}

/// A function of one or more broadcasting arguments whose derivative is zero wherever it has one.
pub trait Step<T: TensorLike> {
    /// The name, as errors and traces give it.
    const NAME: &'static str;

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

    fn format(&self, x: &[&str]) -> String {
        self.0.format(x)
    }
}

/// The shape rule of elementwise operations: what all arguments broadcast to.
#[inline]
pub fn broadcast(x: &[Shape]) -> Result<Shape, ErrorKind> {
    let (first, others) = match x {
        [] => return Err(ErrorKind::Arity { expected: 1, got: 0 }),
        [first, others @ ..] => (first.clone(), others),
    };
    others.iter().try_fold(first, |left, right| match left.broadcast(right) {
        Some(shape) => Ok(shape),
        None => {
            let right = right.clone();
            Err(ErrorKind::ShapeMismatch { left, right, rule: "do not broadcast" })
        }
    })
}
