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

use crate::error::{Error, ErrorKind};
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

pub(crate) struct Node<T: 'static> {
    pub(crate) op: Option<OpRef<T>>,
    pub(crate) inputs: SmallVec<[NodeId; 4]>,
    pub(crate) value: T,
    pub(crate) location: &'static Location<'static>,
    pub(crate) tracked: bool,
    pub(crate) kind: NodeKind,
    /// Where a sweep that is being planned finds the node among those it visits; else zero.
    pub(crate) mark: Cell<u32>,
}

impl<T: TensorLike> Node<T> {
    /// What made the node, for messages.
    pub(crate) fn op_name(&self) -> &'static str {
        match (&self.op, self.kind) {
            (Some(op), _) => op.name(),
            (None, NodeKind::Seed) => "seed",
            (None, NodeKind::Var) => "var",
            (None, NodeKind::Constant | NodeKind::Op) => "constant",
        }
    }
}

pub(crate) struct Inner<T: 'static> {
    pub(crate) nodes: Vec<Node<T>>,
    pub(crate) errors: Vec<Error>,
    pub(crate) names: Vec<(NodeId, Rc<str>)>,
    pub(crate) sweeps: Vec<Sweep>,
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
}

impl<T: TensorLike> Default for Tape<T> {
    fn default() -> Self {
        Tape::new()
    }
}

impl<T: TensorLike> Tape<T> {
    /// An empty tape.
    pub fn new() -> Self {
        Tape::with_limit(VOID as usize)
    }

    /// An empty tape that refuses to hold more than `limit` nodes: a bound on the memory of a
    /// recording. (No tape holds more than 2³¹.)
    pub fn with_limit(limit: usize) -> Self {
        let (nodes, errors, names, sweeps) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Tape {
            inner: RefCell::new(Inner { nodes, errors, names, sweeps }),
            inherited: Cell::new(None),
            limit: limit.min(VOID as usize) as u32,
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
        match dtype.is_float() {
            true => self.push_leaf(value, NodeKind::Var, true),
            false => self.void("var", ErrorKind::NotFloat { dtype }),
        }
    }

    #[track_caller]
    #[inline]
    pub(crate) fn constant_value(&self, value: T) -> Var<'_, T> {
        self.push_leaf(value, NodeKind::Constant, false)
    }

    /// A tracked leaf with the value of `x` and no history.
    #[track_caller]
    pub(crate) fn fresh<'t>(&'t self, x: Var<'t, T>) -> Var<'t, T> {
        match x.value() {
            Ok(value) => self.push_leaf(value, NodeKind::Seed, true),
            Err(_) => x,
        }
    }

    /// The handle to start a recorded sweep from.
    #[track_caller]
    pub(crate) fn seed(&self, value: T) -> Var<'_, T> {
        self.push_leaf(value, NodeKind::Seed, true)
    }

    #[track_caller]
    #[inline]
    fn push_leaf(&self, value: T, kind: NodeKind, tracked: bool) -> Var<'_, T> {
        let location = self.inherited.get().unwrap_or(Location::caller());
        let inputs = SmallVec::new();
        self.push(Node { op: None, inputs, value, location, tracked, kind, mark: Cell::new(0) })
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
            Err(error) => self.void("full", ErrorKind::Backend(std::sync::Arc::new(error))),
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
        inner.nodes.clear();
        inner.errors.clear();
        inner.names.clear();
        inner.sweeps.clear();
    }

    /// The number of nodes.
    pub fn len(&self) -> usize {
        self.inner.borrow().nodes.len()
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

    #[track_caller]
    fn apply_ref<'t>(&'t self, op: OpRef<T>, x: &[Var<'t, T>]) -> Var<'t, T> {
        match *x {
            [a] => self.record(op, [a]),
            [a, b] => self.record(op, [a, b]),
            _ => {
                let location = self.inherited.get().unwrap_or(Location::caller());
                if let Some(refused) = self.refuse(&op, x, location) {
                    return refused;
                }
                let values: Vec<T> = x.iter().map(|x| self.value(x.id)).collect();
                let values: Vec<&T> = values.iter().collect();
                self.evaluate(op, x, &values, location)
            }
        }
    }

    /// Applies an operation to a fixed number of arguments, without allocation of its own.
    #[track_caller]
    #[inline]
    pub(crate) fn record<'t, const N: usize>(
        &'t self,
        op: OpRef<T>,
        x: [Var<'t, T>; N],
    ) -> Var<'t, T> {
        let location = self.inherited.get().unwrap_or(Location::caller());
        if let Some(refused) = self.refuse(&op, &x, location) {
            return refused;
        }
        let values = x.map(|x| self.value(x.id));
        self.evaluate(op, &x, &values.each_ref(), location)
    }

    /// The void handle to answer with if an argument is void or of another tape.
    #[inline]
    fn refuse<'t>(
        &'t self,
        op: &OpRef<T>,
        x: &[Var<'t, T>],
        location: &'static Location<'static>,
    ) -> Option<Var<'t, T>> {
        let refused = x.iter().find(|x| !std::ptr::eq(self, x.tape) || x.id.is_void())?;
        match std::ptr::eq(self, refused.tape) {
            true => Some(*refused),
            false => Some(self.void_at(op.name(), ErrorKind::ForeignHandle, location)),
        }
    }

    /// Checks, computes and records; an error becomes a void handle.
    #[inline]
    fn evaluate<'t>(
        &'t self,
        op: OpRef<T>,
        x: &[Var<'t, T>],
        values: &[&T],
        location: &'static Location<'static>,
    ) -> Var<'t, T> {
        match compute(&*op, values) {
            Ok(value) => {
                let tracked = x.iter().any(|x| x.is_tracked()) && op.is_differentiable();
                let inputs = x.iter().map(|x| x.id).collect();
                let (op, kind, mark) = (Some(op), NodeKind::Op, Cell::new(0));
                self.push(Node { op, inputs, value, location, tracked, kind, mark })
            }
            Err(kind) => self.void_at(op.name(), *kind, location),
        }
    }

    #[inline]
    fn push(&self, node: Node<T>) -> Var<'_, T> {
        let mut inner = self.inner.borrow_mut();
        let index = inner.nodes.len();
        if index >= self.limit as usize {
            drop(inner);
            let kind = ErrorKind::TapeFull { limit: self.limit as usize };
            return self.void_at(node.op_name(), kind, node.location);
        }
        inner.nodes.push(node);
        Var { tape: self, id: NodeId(index as u32) }
    }

    /// A handle that carries an error.
    #[track_caller]
    #[cold]
    pub(crate) fn void(&self, op: &'static str, kind: ErrorKind) -> Var<'_, T> {
        self.void_at(op, kind, self.inherited.get().unwrap_or(Location::caller()))
    }

    #[cold]
    fn void_at(
        &self,
        op: &'static str,
        kind: ErrorKind,
        location: &'static Location<'static>,
    ) -> Var<'_, T> {
        self.void_error(Error::new(op, kind, location))
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
        self.inner.borrow().nodes[id.index()].value.clone()
    }

    pub(crate) fn shape(&self, id: NodeId) -> Shape {
        Shape::from(self.inner.borrow().nodes[id.index()].value.shape())
    }

    #[inline]
    pub(crate) fn input(&self, id: NodeId, index: usize) -> Result<NodeId, ErrorKind> {
        let inner = self.inner.borrow();
        let inputs = &inner.nodes[id.index()].inputs;
        let no_such = || ErrorKind::NoSuchArgument { index, n_inputs: inputs.len() };
        inputs.get(index).copied().ok_or_else(no_such)
    }

    /// True if node `id` of this tape is shaped like node `other_id` of `other`.
    #[inline]
    pub(crate) fn value_shape_is(&self, id: NodeId, other: &Tape<T>, other_id: NodeId) -> bool {
        let (inner, other) = (self.inner.borrow(), other.inner.borrow());
        inner.nodes[id.index()].value.shape() == other.nodes[other_id.index()].value.shape()
    }

    /// The operation and the line of a node that is not a leaf.
    #[inline]
    pub(crate) fn op_at(&self, id: NodeId) -> Option<(OpRef<T>, &'static Location<'static>)> {
        let inner = self.inner.borrow();
        let node = &inner.nodes[id.index()];
        node.op.clone().map(|op| (op, node.location))
    }

    pub(crate) fn is_op(&self, id: NodeId) -> bool {
        self.inner.borrow().nodes[id.index()].op.is_some()
    }

    /// The name of what made a node, and the line.
    pub(crate) fn made_by(&self, id: NodeId) -> (&'static str, &'static Location<'static>) {
        let inner = self.inner.borrow();
        let node = &inner.nodes[id.index()];
        (node.op_name(), node.location)
    }

    pub(crate) fn subgraph(&self, y: NodeId, targets: Targets<'_>) -> Subgraph {
        Subgraph::between(&self.inner.borrow().nodes, y, targets)
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
        let node = &inner.nodes[id.index()];
        view::Node {
            id,
            kind: node.kind,
            op: node.op_name(),
            inputs: node.inputs.to_vec(),
            shape: Shape::from(node.value.shape()),
            tracked: node.tracked,
            name: None,
            location: node.location,
            var: Var { tape: self, id },
        }
    }

    /// Runs `f` with every node that it records inheriting `location`.
    #[inline]
    pub(crate) fn inheriting<R>(
        &self,
        location: &'static Location<'static>,
        f: impl FnOnce() -> R,
    ) -> R {
        /// Restores the line also when `f` panics, which a user's rule may.
        struct Restore<'a>(
            &'a Cell<Option<&'static Location<'static>>>,
            Option<&'static Location<'static>>,
        );
        impl Drop for Restore<'_> {
            fn drop(&mut self) {
                self.0.set(self.1);
            }
        }
        let _restore = Restore(&self.inherited, self.inherited.replace(Some(location)));
        f()
    }

    /// Removes all nodes and errors while handles to them may exist: for the scratch tape of a
    /// plain sweep, whose handles no rule can keep.
    #[inline]
    pub(crate) fn rewind(&self) {
        let mut inner = self.inner.borrow_mut();
        inner.nodes.clear();
        inner.errors.clear();
    }
}

/// The value of an operation, everything checked. The error is boxed to keep the good way short.
#[inline]
fn compute<T: TensorLike>(op: &dyn Op<T>, x: &[&T]) -> Result<T, Box<ErrorKind>> {
    if let [first, others @ ..] = x {
        for other in others {
            let (left, right) = (first.dtype(), other.dtype());
            if left != right {
                return Err(Box::new(ErrorKind::DtypeMismatch { left, right }));
            }
        }
    }
    let shapes: SmallVec<[Shape; 3]> = x.iter().map(|x| Shape::from(x.shape())).collect();
    let expected = op.shape(&shapes).and_then(Shape::checked)?;
    match op.forward(x) {
        Ok(value) if *value.shape() == *expected => Ok(value),
        Ok(value) => {
            let got = Shape::from(value.shape());
            Err(Box::new(ErrorKind::OutputShape { expected, got }))
        }
        Err(error) => Err(Box::new(ErrorKind::Backend(std::sync::Arc::new(error)))),
    }
}

impl<T: TensorLike> fmt::Debug for Tape<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tape({} nodes)", self.len())
    }
}
