//! `Tape`: what it holds, its leaves, its end.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::Location;
use std::rc::Rc;

use crate::ground::{Error, ErrorKind, TensorLike};
use crate::tape::{Arena, MAX_NODES, NodeId, NodeKind, Subgraph, Sweep, Var};

pub(crate) struct Inner<T: 'static> {
    pub(crate) arena: Arena<T>,
    pub(crate) errors: Vec<Error>,
    pub(crate) names: Vec<(NodeId, Rc<str>)>,
    pub(crate) sweeps: Vec<Sweep>,
}

impl<T: TensorLike> Inner<T> {
    #[inline]
    pub(super) fn input(&self, id: NodeId, index: usize) -> Result<NodeId, Box<ErrorKind>> {
        let inputs = self.arena.inputs(id);
        let no_such = || ErrorKind::NoSuchArgument { index, n_inputs: inputs.len() }.into();
        inputs.get(index).copied().ok_or_else(no_such)
    }

    /// What made a node, for messages.
    pub(super) fn made_by(&self, id: NodeId) -> &'static str {
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
/// let [dy] = tape.grad(y, [x]); // 4x³
/// let [ddy] = tape.grad(dy, [x]); // 12x²
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
    pub(super) limit: u32,
    /// Whether `detect_nan` is on.
    pub(super) watches: Cell<bool>,
    /// Whether `check_checkpoints` is on.
    pub(crate) checks: Cell<bool>,
    /// Memory that one sweep leaves to the next.
    pub(crate) spare: Spare<T>,
}

pub(crate) struct Spare<T: TensorLike> {
    pub(super) graph: Cell<Subgraph>,
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
            checks: Cell::new(cfg!(debug_assertions)),
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
}

impl<T: TensorLike> fmt::Debug for Tape<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tape({} nodes)", self.len())
    }
}
