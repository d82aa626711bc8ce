//! Recording: how a node comes onto the tape. [`Tape::record`] is the hot path.

use std::cell::Cell;
use std::panic::Location;
use std::rc::Rc;

use smallvec::SmallVec;

use crate::ground::{Build, Error, ErrorKind, Shape, TensorLike, backend};
use crate::tape::arena::Leaf;
use crate::tape::{Arena, Body, Facts, NodeId, Op, OpRef, Tape, Var, watch};

impl<T: TensorLike> Tape<T> {
    #[track_caller]
    pub(super) fn var_value(&self, value: T) -> Var<'_, T> {
        let dtype = value.dtype();
        if !dtype.is_float() {
            return self.fail("var", ErrorKind::NotFloat { dtype });
        }
        match value.shape().len() {
            0..=Shape::MAX_RANK => self.record_leaf(value, Leaf::Var, true),
            rank => self.fail("var", ErrorKind::TooManyAxes { rank }),
        }
    }

    #[track_caller]
    #[inline]
    pub(crate) fn constant_value(&self, value: T) -> Var<'_, T> {
        match value.shape().len() {
            0..=Shape::MAX_RANK => self.record_leaf(value, Leaf::Constant, false),
            rank => self.fail("constant", ErrorKind::TooManyAxes { rank }),
        }
    }

    /// A tracked leaf with the value of `x` and no history.
    #[track_caller]
    pub(crate) fn fresh<'t>(&'t self, x: Var<'t, T>) -> Var<'t, T> {
        match x.value() {
            Ok(value) => self.record_leaf(value, Leaf::Seed, true),
            Err(_) => x,
        }
    }

    /// The handle to start a recorded sweep from.
    #[track_caller]
    pub(crate) fn seed(&self, value: T) -> Var<'_, T> {
        self.record_leaf(value, Leaf::Seed, true)
    }

    #[track_caller]
    #[inline]
    pub(super) fn record_leaf(&self, value: T, leaf: Leaf, tracked: bool) -> Var<'_, T> {
        let location = self.inherited.get().unwrap_or(Location::caller());
        self.record_node(location, |arena| arena.store_leaf(leaf, value, location, tracked))
    }

    /// A node of this value that was computed from constants `x`, by no operation.
    pub(crate) fn record_given(&self, x: Vec<T>, y: T) -> NodeId {
        let mut inputs: SmallVec<[NodeId; 4]> = SmallVec::with_capacity(x.len());
        for x in x {
            inputs.push(self.constant_value(x).id);
        }
        let location = Location::caller();
        self.record_node(location, |arena| arena.store_given(&inputs, y, location)).id
    }

    /// An untracked tensor of `shape` filled with `value`, like `like` in device and dtype.
    #[track_caller]
    pub(crate) fn full<'t>(&'t self, like: Var<'t, T>, shape: &Shape, value: f64) -> Var<'t, T> {
        let Ok(model) = like.value() else { return like };
        match model.full(shape, value) {
            Ok(value) => self.constant_value(value),
            Err(error) => self.fail("full", backend(error)),
        }
    }

    /// Applies an operation, a user's own for instance, to `x`.
    #[track_caller]
    pub fn apply<'t>(&'t self, op: impl Op<T> + 'static, x: &[Var<'t, T>]) -> Var<'t, T> {
        self.apply_ref(OpRef::Shared(Rc::new(op)), x)
    }

    /// Applies an operation that is on a tape already.
    #[track_caller]
    pub(crate) fn apply_ref<'t>(&'t self, op: OpRef<T>, x: &[Var<'t, T>]) -> Var<'t, T> {
        let location = self.inherited.get().unwrap_or(Location::caller());
        let evaluated = self.refuse(&*op, x, location).and_then(|()| match op.body(Build::Never) {
            Body::Function(function) => match function.value(x) {
                Ok(value) => Ok((value, x.iter().any(|x| x.is_tracked()))),
                Err(error) => Err(self.void(error)),
            },
            _ => self.evaluate_slice(&*op, x, location),
        });
        match evaluated {
            Ok((value, tracked)) => {
                let ids: SmallVec<[NodeId; 4]> = x.iter().map(|x| x.id).collect();
                self.record_node(location, |arena| match op {
                    OpRef::Static(op) => arena.store_static(op, &ids, value, location, tracked),
                    OpRef::Shared(op) => arena.store_shared(op, &ids, value, location, tracked),
                })
            }
            Err(void) => void,
        }
    }

    /// Applies an operation without parameters to a fixed number of arguments.
    #[track_caller]
    #[inline]
    pub(crate) fn record<'t, const N: usize>(
        &'t self,
        op: &'static dyn Op<T>,
        x: [Var<'t, T>; N],
    ) -> Var<'t, T> {
        let location = self.inherited.get().unwrap_or(Location::caller());
        let evaluated = self.refuse(op, &x, location).and_then(|()| self.evaluate(op, x, location));
        match evaluated {
            Ok((value, tracked)) => {
                let ids = x.map(|x| x.id);
                self.record_node(location, |arena| {
                    arena.store_static(op, &ids, value, location, tracked)
                })
            }
            Err(void) => void,
        }
    }

    /// Applies an operation with parameters to one argument. It is no function of the user's.
    #[track_caller]
    #[inline]
    pub(crate) fn record_shared<'t>(
        &'t self,
        op: impl Op<T> + 'static,
        x: Var<'t, T>,
    ) -> Var<'t, T> {
        let location = self.inherited.get().unwrap_or(Location::caller());
        let evaluated =
            self.refuse(&op, &[x], location).and_then(|()| self.evaluate(&op, [x], location));
        match evaluated {
            Ok((value, tracked)) => {
                let op = Rc::new(op);
                self.record_node(location, |arena| {
                    arena.store_shared(op, &[x.id], value, location, tracked);
                })
            }
            Err(void) => void,
        }
    }

    fn evaluate_slice<'t>(
        &'t self,
        op: &dyn Op<T>,
        x: &[Var<'t, T>],
        location: &'static Location<'static>,
    ) -> Result<(T, bool), Var<'t, T>> {
        match *x {
            [a] => self.evaluate(op, [a], location),
            [a, b] => self.evaluate(op, [a, b], location),
            _ => {
                let values: Vec<T> = x.iter().map(|x| self.value(x.id)).collect();
                let facts = op.facts();
                let tracked = x.iter().any(|x| x.is_tracked()) && facts.differentiable;
                let value = compute(op, facts, &values.iter().collect::<Vec<&T>>());
                value.map(|value| (value, tracked)).map_err(|kind| self.failed(op, *kind, location))
            }
        }
    }

    /// The value of an operation, and whether it is tracked; a void handle on error. The arguments
    /// have passed [`Tape::refuse`].
    #[inline]
    fn evaluate<'t, const N: usize>(
        &'t self,
        op: &dyn Op<T>,
        x: [Var<'t, T>; N],
        location: &'static Location<'static>,
    ) -> Result<(T, bool), Var<'t, T>> {
        let mut tracked = false;
        let values = {
            let inner = self.inner.borrow();
            x.map(|x| {
                let node = inner.arena.get(x.id);
                tracked |= node.is_tracked();
                node.value.clone()
            })
        };
        let facts = op.facts();
        match compute(op, facts, &values.each_ref()) {
            Ok(value) => Ok((value, tracked && facts.differentiable)),
            Err(kind) => Err(self.failed(op, *kind, location)),
        }
    }

    /// The void handle to answer with if an argument is void or of another tape.
    #[inline]
    fn refuse<'t>(
        &'t self,
        op: &dyn Op<T>,
        x: &[Var<'t, T>],
        location: &'static Location<'static>,
    ) -> Result<(), Var<'t, T>> {
        match x.iter().find(|x| !std::ptr::eq(self, x.tape) || x.id.is_void()) {
            None => Ok(()),
            Some(x) if std::ptr::eq(self, x.tape) => Err(*x),
            Some(x) if x.id.is_void() => Err(self.void(x.tape.error(x.id))),
            Some(_) => Err(self.failed(op, ErrorKind::ForeignHandle, location)),
        }
    }

    #[cold]
    fn failed(
        &self,
        op: &dyn Op<T>,
        kind: ErrorKind,
        location: &'static Location<'static>,
    ) -> Var<'_, T> {
        self.void(Error::new(op.name(), kind, location))
    }

    /// Puts a node into the arena, if there is room.
    #[inline]
    fn record_node(
        &self,
        location: &'static Location<'static>,
        store: impl FnOnce(&mut Arena<T>),
    ) -> Var<'_, T> {
        let mut inner = self.inner.borrow_mut();
        let index = inner.arena.len();
        if index >= self.limit as usize {
            drop(inner);
            let kind = ErrorKind::TapeFull { limit: self.limit as usize };
            return self.void(Error::new("tape", kind, location));
        }
        store(&mut inner.arena);
        let recorded = Var { tape: self, id: NodeId(index as u32) };
        if self.watches.get() {
            drop(inner);
            return self.keep_if_finite(recorded);
        }
        recorded
    }

    /// The node recorded last, which is removed if it holds what `detect_nan` is looking for.
    #[cold]
    fn keep_if_finite<'t>(&'t self, recorded: Var<'t, T>) -> Var<'t, T> {
        if !self.is_watched() {
            return recorded;
        }
        match watch::check_value(recorded) {
            Ok(()) => recorded,
            Err(error) => {
                self.inner.borrow_mut().arena.pop();
                self.void(error)
            }
        }
    }

    /// Whether `detect_nan` is on, and no rule runs: what a rule calculates with may be infinite,
    /// since a zero cotangent stops it. What leaves the rule is watched.
    #[inline]
    pub(crate) fn is_watched(&self) -> bool {
        self.watches.get() && self.inherited.get().is_none()
    }

    /// Turns `detect_nan` on or off.
    pub(crate) fn watch(&self, on: bool) {
        self.watches.set(on);
    }

    /// Turns `detect_nan` off while the answer lives, for what calculates with infinities.
    pub(crate) fn unwatched(&self) -> Unwatched<'_> {
        Unwatched { watches: &self.watches, before: self.watches.replace(false) }
    }

    /// The lines that nodes get while a sweep runs rules.
    #[inline]
    pub(crate) fn lines(&self) -> Lines<'_> {
        Lines { inherited: &self.inherited, before: self.inherited.get() }
    }

    /// Removes everything while handles to it may exist: for the scratch tape of a
    /// plain sweep, whose handles no rule can keep.
    #[inline]
    pub(crate) fn rewind(&self) {
        let mut inner = self.inner.borrow_mut();
        inner.arena.clear();
        inner.errors.clear();
        inner.names.clear();
        inner.sweeps.clear();
    }
}

/// While it lives, the nodes of a tape inherit a line; afterwards they have their own again, also
/// if a user's rule panics.
pub(crate) struct Lines<'a> {
    inherited: &'a Cell<Option<&'static Location<'static>>>,
    before: Option<&'static Location<'static>>,
}

impl Lines<'_> {
    #[inline]
    pub(crate) fn inherit(&self, location: &'static Location<'static>) {
        self.inherited.set(Some(location));
    }

    /// Lets nodes have their own lines: for a function of the user's that a rule runs.
    pub(crate) fn release(&self) {
        self.inherited.set(None);
    }
}

impl Drop for Lines<'_> {
    fn drop(&mut self) {
        self.inherited.set(self.before);
    }
}

/// While it lives, `detect_nan` is off; afterwards it is as it was.
pub(crate) struct Unwatched<'a> {
    watches: &'a Cell<bool>,
    before: bool,
}

impl Drop for Unwatched<'_> {
    fn drop(&mut self) {
        self.watches.set(self.before);
    }
}

/// The value of an operation, everything checked. The error is boxed to keep the good way short.
#[inline]
fn compute<T: TensorLike>(op: &dyn Op<T>, facts: Facts, x: &[&T]) -> Result<T, Box<ErrorKind>> {
    let mut one_shape = !x.is_empty();
    if let [first, others @ ..] = x {
        for other in others {
            let (left, right) = (first.dtype(), other.dtype());
            if left != right {
                return Err(ErrorKind::DtypeMismatch { left, right }.into());
            }
            one_shape &= first.shape() == other.shape();
        }
    }
    if one_shape && facts.keeps_shape.is_some_and(|n| usize::from(n) == x.len()) {
        return checked_forward(op, x, x[0].shape());
    }
    let shapes: SmallVec<[Shape; 3]> = x.iter().map(|x| Shape::from(x.shape())).collect();
    let expected = op.shape(&shapes).and_then(Shape::checked)?;
    checked_forward(op, x, &expected)
}

/// The value of an operation, whose shape must be the one that its shape rule states.
#[inline]
fn checked_forward<T: TensorLike>(
    op: &dyn Op<T>,
    x: &[&T],
    expected: &[usize],
) -> Result<T, Box<ErrorKind>> {
    match op.forward(x) {
        Ok(value) if value.shape() == expected => Ok(value),
        Ok(value) => {
            let (expected, got) = (Shape::from(expected), Shape::from(value.shape()));
            Err(ErrorKind::OutputShape { expected, got }.into())
        }
        Err(error) => Err(backend(error).into()),
    }
}
