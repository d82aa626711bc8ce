//! The tape: an arena of nodes in recording order, and everything that puts nodes on it.
//!
//! Together with `var` this is the only place that touches a `RefCell`, and no borrow is held
//! while an operation's code or a backend runs. A node holds a value and the ids of its inputs,
//! which are smaller than its own, so that reverse order is a topological order and nothing ever
//! recurses over the graph.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::panic::Location;
use std::rc::Rc;

use smallvec::SmallVec;

use crate::arena::{Arena, Leaf, bytes_of};
use crate::diagnose::not_finite;
use crate::error::{Error, ErrorKind, backend};
use crate::op::{Op, OpRef};
use crate::shape::Shape;
use crate::subgraph::{Subgraph, Targets};
use crate::tensor::TensorLike;
use crate::var::Var;
use crate::view::{self, NodeKind, Sweep};

/// The place of a node on its tape: a number in recording order.
///
/// With the top bit set it names one of the tape's errors instead: such a handle is *void*.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub(crate) u32);

const VOID: u32 = 1 << 31;

/// A planned sweep marks nodes with numbers from 2 on, below the bit of tracked ones.
const MAX_NODES: usize = (1 << 31) - 3;

impl NodeId {
    /// The number, counted from 0 in recording order.
    pub fn index(self) -> usize {
        (self.0 & !VOID) as usize
    }

    #[inline]
    pub(crate) fn is_void(self) -> bool {
        self.0 & VOID != 0
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.index())
    }
}

pub(crate) struct Inner<T: 'static> {
    pub(crate) arena: Arena<T>,
    pub(crate) errors: Vec<Error>,
    pub(crate) names: Vec<(NodeId, Rc<str>)>,
    pub(crate) sweeps: Vec<Sweep>,
}

impl<T: TensorLike> Inner<T> {
    #[inline]
    fn input(&self, id: NodeId, index: usize) -> Result<NodeId, Box<ErrorKind>> {
        let inputs = self.arena.inputs(id);
        let no_such = || ErrorKind::NoSuchArgument { index, n_inputs: inputs.len() }.into();
        inputs.get(index).copied().ok_or_else(no_such)
    }

    /// What made a node, for messages.
    fn made_by(&self, id: NodeId) -> &'static str {
        match (self.arena.op(id), self.arena.get(id).kind()) {
            (Some(op), _) => op.name(),
            (None, NodeKind::Var) => "var",
            (None, NodeKind::Seed) => "seed",
            (None, NodeKind::Constant | NodeKind::Op) => "constant",
        }
    }
}

/// A recording of operations on tensors of type `T`, from which derivatives are computed.
///
/// ```
/// use grad_core::Tape;
///
/// let tape = Tape::<f64>::new();
/// let x = tape.var(3.0);
/// let y = x.powi(4);
/// let [dy] = tape.grad(y, [x])?; // 4x³
/// let [ddy] = tape.grad(dy, [x])?; // 12x²
/// assert_eq!((dy.item()?, ddy.item()?), (108.0, 108.0));
/// # Ok::<(), grad_core::Error>(())
/// ```
///
/// The idiom is one tape a step and a thread: parameters and data live outside as plain tensors.
/// A handle borrows its tape, so [`Tape::clear`] and dropping the tape do not compile while a
/// handle is in use, and neither crosses threads.
pub struct Tape<T: TensorLike> {
    pub(crate) inner: RefCell<Inner<T>>,
    /// The line that nodes inherit while a sweep runs a rule.
    pub(crate) inherited: Cell<Option<&'static Location<'static>>>,
    limit: u32,
    /// Whether `detect_nan` is on.
    watches: Cell<bool>,
    /// Memory that one sweep leaves to the next.
    pub(crate) spare: Spare<T>,
}

pub(crate) struct Spare<T: TensorLike> {
    graph: Cell<Subgraph>,
    /// The cotangents or tangents of plain sweeps, empty.
    pub(crate) values: Cell<Vec<Option<T>>>,
    /// How often the tangent at each step of a plain sweep is still needed.
    pub(crate) uses: Cell<Vec<u32>>,
    /// The tape that the rules of plain sweeps calculate on, empty.
    pub(crate) scratch: Cell<Option<Box<Tape<T>>>>,
}

impl<T: TensorLike> Default for Spare<T> {
    fn default() -> Self {
        let (graph, values) = (Cell::default(), Cell::default());
        Spare { graph, values, uses: Cell::default(), scratch: Cell::default() }
    }
}

impl<T: TensorLike> Default for Tape<T> {
    fn default() -> Self {
        Tape::new()
    }
}

impl<T: TensorLike> Tape<T> {
    /// An empty tape.
    pub fn new() -> Self {
        Tape::with_limit(MAX_NODES)
    }

    /// An empty tape that refuses to hold more than `limit` nodes: a bound on the memory of a
    /// recording. (No tape holds more than 2³¹ − 3.)
    pub fn with_limit(limit: usize) -> Self {
        let (arena, errors, names, sweeps) = (Arena::new(), Vec::new(), Vec::new(), Vec::new());
        Tape {
            inner: RefCell::new(Inner { arena, errors, names, sweeps }),
            inherited: Cell::new(None),
            limit: limit.min(MAX_NODES) as u32,
            watches: Cell::new(false),
            spare: Spare::default(),
        }
    }

    /// A leaf with respect to which one can differentiate.
    ///
    /// A tensor of integers is refused: the handle is void.
    #[track_caller]
    pub fn var(&self, value: impl Into<T>) -> Var<'_, T> {
        self.var_value(value.into())
    }

    /// [`Tape::var`] with a name, as traces show it.
    #[track_caller]
    pub fn named_var(&self, value: impl Into<T>, name: &str) -> Var<'_, T> {
        self.var_value(value.into()).named(name)
    }

    /// A value that is never differentiated.
    #[track_caller]
    pub fn constant(&self, value: impl Into<T>) -> Var<'_, T> {
        self.constant_value(value.into())
    }

    #[track_caller]
    fn var_value(&self, value: T) -> Var<'_, T> {
        let dtype = value.dtype();
        if !dtype.is_float() {
            return self.fail("var", ErrorKind::NotFloat { dtype });
        }
        match value.shape().len() {
            0..=Shape::MAX_RANK => self.push_leaf(value, Leaf::Var, true),
            rank => self.fail("var", ErrorKind::TooManyAxes { rank }),
        }
    }

    #[track_caller]
    #[inline]
    pub(crate) fn constant_value(&self, value: T) -> Var<'_, T> {
        match value.shape().len() {
            0..=Shape::MAX_RANK => self.push_leaf(value, Leaf::Constant, false),
            rank => self.fail("constant", ErrorKind::TooManyAxes { rank }),
        }
    }

    /// A tracked leaf with the value of `x` and no history.
    #[track_caller]
    pub(crate) fn fresh<'t>(&'t self, x: Var<'t, T>) -> Var<'t, T> {
        match x.value() {
            Ok(value) => self.push_leaf(value, Leaf::Seed, true),
            Err(_) => x,
        }
    }

    /// The handle to start a recorded sweep from.
    #[track_caller]
    pub(crate) fn seed(&self, value: T) -> Var<'_, T> {
        self.push_leaf(value, Leaf::Seed, true)
    }

    #[track_caller]
    #[inline]
    fn push_leaf(&self, value: T, leaf: Leaf, tracked: bool) -> Var<'_, T> {
        let location = self.inherited.get().unwrap_or(Location::caller());
        self.push(location, |arena| arena.push_leaf(leaf, value, location, tracked))
    }

    /// An untracked tensor of zeros like `like` in device and dtype.
    #[track_caller]
    pub(crate) fn zeros<'t>(&'t self, like: Var<'t, T>, shape: Shape) -> Var<'t, T> {
        self.full(like, &shape, 0.0)
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

    /// Removes all nodes. No handle can be alive, since a handle borrows the tape:
    ///
    /// ```compile_fail,E0502
    /// use grad_core::Tape;
    ///
    /// let mut tape = Tape::<f64>::new();
    /// let x = tape.var(1.0);
    /// tape.clear();
    /// let y = x + 1.0; // x still borrows the tape
    /// ```
    pub fn clear(&mut self) {
        let inner = self.inner.get_mut();
        inner.arena.clear();
        inner.errors.clear();
        inner.names.clear();
        inner.sweeps.clear();
    }

    /// The number of nodes.
    pub fn len(&self) -> usize {
        self.inner.borrow().arena.len()
    }

    /// True if there are no nodes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
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
        let evaluated = match self.refuse(&*op, x, location).map(|()| op.run(x)) {
            Ok(None) => self.evaluate_slice(&*op, x, location),
            Ok(Some(Ok(value))) => Ok((value, x.iter().any(|x| x.is_tracked()))),
            Ok(Some(Err(error))) => Err(self.void_error(error)),
            Err(void) => Err(void),
        };
        match evaluated {
            Ok((value, tracked)) => {
                let ids: SmallVec<[NodeId; 4]> = x.iter().map(|x| x.id).collect();
                self.push(location, |arena| match op {
                    OpRef::Static(op) => arena.push_static(op, &ids, value, location, tracked),
                    OpRef::Shared(op) => arena.push_shared(op, &ids, value, location, tracked),
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
                self.push(location, |arena| arena.push_static(op, &ids, value, location, tracked))
            }
            Err(void) => void,
        }
    }

    /// Applies an operation with parameters to one argument. It is none that [`Op::run`] runs.
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
                self.push(location, |arena| {
                    arena.push_shared(op, &[x.id], value, location, tracked);
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
                let tracked = x.iter().any(|x| x.is_tracked()) && op.is_differentiable();
                let value = compute(op, &values.iter().collect::<Vec<&T>>());
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
        match compute(op, &values.each_ref()) {
            Ok(value) => Ok((value, tracked && op.is_differentiable())),
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
        self.void_error(Error::new(op.name(), kind, location))
    }

    /// Puts a node into the arena, if there is room.
    #[inline]
    fn push(
        &self,
        location: &'static Location<'static>,
        push: impl FnOnce(&mut Arena<T>),
    ) -> Var<'_, T> {
        let mut inner = self.inner.borrow_mut();
        let index = inner.arena.len();
        if index >= self.limit as usize {
            drop(inner);
            let kind = ErrorKind::TapeFull { limit: self.limit as usize };
            return self.void_error(Error::new("tape", kind, location));
        }
        push(&mut inner.arena);
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
        match not_finite::check_value(recorded) {
            Ok(()) => recorded,
            Err(error) => {
                self.inner.borrow_mut().arena.pop();
                self.void_error(error)
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

    /// A void handle with an error of the caller's own, for functions and rules on handles that
    /// find something wrong: `op` is the name of the function.
    ///
    /// ```
    /// use grad_core::{ErrorKind, Tape};
    ///
    /// let tape = Tape::<f64>::new();
    /// let message = "needs at least one layer".to_string();
    /// let y = tape.fail("mlp", ErrorKind::Parameter { message }) * 2.0;
    /// assert!(y.value().unwrap_err().to_string().starts_with("mlp: needs at least one layer, at "));
    /// ```
    #[track_caller]
    #[cold]
    pub fn fail(&self, op: &'static str, kind: ErrorKind) -> Var<'_, T> {
        let location = self.inherited.get().unwrap_or(Location::caller());
        self.void_error(Error::new(op, kind, location))
    }

    /// The handle that `f` makes, or a void one with its error: for functions whose body uses `?`
    /// but that have to return a handle.
    ///
    /// ```
    /// use grad_core::{Tape, transform};
    ///
    /// let tape = Tape::<f64>::new();
    /// let x = tape.var(2.0);
    /// let y = tape.attempt(|| {
    ///     let slope = transform::grad(|x| x.powi(3), x)?;
    ///     Ok(slope + x)
    /// });
    /// assert_eq!(y.item()?, 14.0);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    pub fn attempt<'t>(&'t self, f: impl FnOnce() -> Result<Var<'t, T>, Error>) -> Var<'t, T> {
        f().unwrap_or_else(|error| self.void_error(error))
    }

    #[cold]
    pub(crate) fn void_error(&self, error: Error) -> Var<'_, T> {
        let mut inner = self.inner.borrow_mut();
        // A tape has at most 2³¹ errors, as it has nodes; beyond that the last one stands for all.
        if inner.errors.len() < VOID as usize {
            inner.errors.push(error);
        }
        Var { tape: self, id: NodeId(VOID | (inner.errors.len() - 1) as u32) }
    }

    /// Refuses a handle that is void or of another tape.
    #[track_caller]
    pub(crate) fn check(&self, op: &'static str, x: Var<'_, T>) -> Result<(), Error> {
        if !std::ptr::eq(self, x.tape) {
            return Err(Error::new(op, ErrorKind::ForeignHandle, Location::caller()));
        }
        match x.id.is_void() {
            true => Err(self.error(x.id)),
            false => Ok(()),
        }
    }

    /// The error of a void handle.
    #[cold]
    pub(crate) fn error(&self, id: NodeId) -> Error {
        self.inner.borrow().errors[id.index()].clone()
    }

    // What the sweeps and rules read of a node.

    #[inline]
    pub(crate) fn value(&self, id: NodeId) -> T {
        self.inner.borrow().arena.get(id).value.clone()
    }

    pub(crate) fn shape(&self, id: NodeId) -> Shape {
        Shape::from(self.inner.borrow().arena.get(id).value.shape())
    }

    #[inline]
    pub(crate) fn input(&self, id: NodeId, arg: usize) -> Result<NodeId, Box<ErrorKind>> {
        self.inner.borrow().input(id, arg)
    }

    pub(crate) fn n_inputs(&self, id: NodeId) -> usize {
        self.inner.borrow().arena.inputs(id).len()
    }

    #[inline]
    pub(crate) fn input_value(&self, id: NodeId, arg: usize) -> Result<T, Box<ErrorKind>> {
        let inner = self.inner.borrow();
        inner.input(id, arg).map(|id| inner.arena.get(id).value.clone())
    }

    #[inline]
    pub(crate) fn input_has_shape(&self, id: NodeId, arg: usize, shape: &[usize]) -> bool {
        let inner = self.inner.borrow();
        inner.input(id, arg).is_ok_and(|id| inner.arena.get(id).value.shape() == shape)
    }

    #[inline]
    pub(crate) fn has_shape(&self, id: NodeId, shape: &[usize]) -> bool {
        self.inner.borrow().arena.get(id).value.shape() == shape
    }

    /// True if all inputs of a node have its shape.
    #[inline]
    pub(crate) fn is_uniform(&self, id: NodeId) -> bool {
        let inner = self.inner.borrow();
        let shape = inner.arena.get(id).value.shape();
        inner.arena.inputs(id).iter().all(|&input| inner.arena.get(input).value.shape() == shape)
    }

    /// The value of a handle that is of this tape and not void.
    #[inline]
    pub(crate) fn checked_value(&self, x: Var<'_, T>) -> Option<T> {
        (std::ptr::eq(self, x.tape) && !x.id.is_void()).then(|| self.value(x.id))
    }

    /// The operation and the line of a node that is not a leaf.
    #[inline]
    pub(crate) fn op_at(&self, id: NodeId) -> Option<(OpRef<T>, &'static Location<'static>)> {
        let inner = self.inner.borrow();
        inner.arena.op(id).map(|op| (op, inner.arena.get(id).location))
    }

    pub(crate) fn is_op(&self, id: NodeId) -> bool {
        self.inner.borrow().arena.get(id).is_op()
    }

    /// The name of what made a node, and the line.
    pub(crate) fn made_by(&self, id: NodeId) -> (&'static str, &'static Location<'static>) {
        let inner = self.inner.borrow();
        (inner.made_by(id), inner.arena.get(id).location)
    }

    /// What a sweep from `y` has to visit. To be given back with [`Tape::recycle`].
    pub(crate) fn plan(&self, y: NodeId, targets: Targets<'_>) -> Subgraph {
        let mut graph = self.spare.graph.take();
        graph.plan(&self.inner.borrow().arena, y, targets);
        graph
    }

    /// Keeps the memory of a plan for the next sweep.
    pub(crate) fn recycle(&self, graph: Subgraph) {
        self.spare.graph.set(graph);
    }

    pub(crate) fn push_sweep(&self, sweep: Sweep) {
        self.inner.borrow_mut().sweeps.push(sweep);
    }

    pub(crate) fn recorded_sweeps(&self) -> Vec<Sweep> {
        self.inner.borrow().sweeps.clone()
    }

    /// The name that each named node was given last.
    pub(crate) fn names(&self) -> HashMap<NodeId, Rc<str>> {
        self.inner.borrow().names.iter().cloned().collect()
    }

    /// What a node shows of itself, but for its name.
    pub(crate) fn view(&self, id: NodeId) -> view::Node<'_, T> {
        let inner = self.inner.borrow();
        let node = inner.arena.get(id);
        view::Node {
            id,
            kind: node.kind(),
            op: inner.made_by(id),
            inputs: inner.arena.inputs(id).to_vec(),
            shape: Shape::from(node.value.shape()),
            tracked: node.is_tracked(),
            name: None,
            location: node.location,
            var: Var { tape: self, id },
        }
    }

    pub(crate) fn inputs(&self, id: NodeId) -> SmallVec<[NodeId; 4]> {
        SmallVec::from_slice(self.inner.borrow().arena.inputs(id))
    }

    pub(crate) fn is_tracked(&self, id: NodeId) -> bool {
        self.inner.borrow().arena.get(id).is_tracked()
    }

    /// The memory that the tape holds besides that of the tensors.
    pub(crate) fn own_bytes(&self) -> usize {
        let Spare { graph, values, uses, scratch } = &self.spare;
        let (plan, of_values, of_uses) = (graph.take(), values.take(), uses.take());
        let of_scratch = scratch.take();
        let spare = plan.bytes()
            + bytes_of(&of_values)
            + bytes_of(&of_uses)
            + of_scratch.as_ref().map_or(0, |tape| size_of_val(&**tape) + tape.own_bytes());
        graph.set(plan);
        values.set(of_values);
        uses.set(of_uses);
        scratch.set(of_scratch);
        let Inner { arena, errors, names, sweeps } = &*self.inner.borrow();
        let names_text: usize = names.iter().map(|(_, name)| name.len()).sum();
        let derivatives: usize = sweeps.iter().map(|sweep| bytes_of(&sweep.derivatives)).sum();
        arena.bytes()
            + bytes_of(errors)
            + bytes_of(names)
            + names_text
            + bytes_of(sweeps)
            + derivatives
            + spare
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
fn compute<T: TensorLike>(op: &dyn Op<T>, x: &[&T]) -> Result<T, Box<ErrorKind>> {
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
    if one_shape && op.keeps_shape(x.len()) {
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

impl<T: TensorLike> fmt::Debug for Tape<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tape({} nodes)", self.len())
    }
}
