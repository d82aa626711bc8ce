//! Where nodes are kept: an arena in recording order.
//!
//! A node is plain data of one size, a cache line for a scalar; what varies in size stands in side
//! lists. So nothing has to be moved, counted or dropped for a node but its value.

use std::cell::Cell;
use std::panic::Location;
use std::rc::Rc;

use crate::ground::TensorLike;
use crate::tape::{NodeId, NodeKind, Op, OpRef};

pub(crate) struct Arena<T: 'static> {
    nodes: Vec<Node<T>>,
    /// The operations with parameters.
    shared_ops: Vec<Rc<dyn Op<T>>>,
    /// The inputs of nodes that have many.
    many_inputs: Vec<Box<[NodeId]>>,
}

pub(crate) struct Node<T: 'static> {
    op: Option<&'static dyn Op<T>>,
    origin: Origin,
    inputs: Inputs,
    pub(crate) value: T,
    pub(crate) location: &'static Location<'static>,
    pub(crate) state: State,
}

/// Where a node comes from.
#[derive(Clone, Copy)]
enum Origin {
    /// The operation that the node names itself.
    Static,
    /// The operation at this place among the shared ones.
    Shared(u32),
    Leaf(Leaf),
}

/// The kinds of nodes without an operation.
#[derive(Clone, Copy)]
pub(crate) enum Leaf {
    Var,
    Constant,
    Seed,
}

/// The inputs of a node, most often one or two.
#[derive(Clone, Copy)]
struct Inputs {
    /// So many of the ids; or `MANY`, and the first id is a place among the arena's lists.
    n: u32,
    ids: [NodeId; FEW],
}

const FEW: usize = 3;
const MANY: u32 = u32::MAX;

impl<T: TensorLike> Arena<T> {
    pub(crate) fn new() -> Self {
        Arena { nodes: Vec::new(), shared_ops: Vec::new(), many_inputs: Vec::new() }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    #[inline]
    pub(crate) fn get(&self, id: NodeId) -> &Node<T> {
        &self.nodes[id.index()]
    }

    #[inline]
    pub(crate) fn inputs(&self, id: NodeId) -> &[NodeId] {
        let inputs = &self.get(id).inputs;
        match inputs.n {
            MANY => &self.many_inputs[inputs.ids[0].index()],
            n => &inputs.ids[..n as usize],
        }
    }

    /// The operation of a node; leaves have none.
    #[inline]
    pub(crate) fn op(&self, id: NodeId) -> Option<OpRef<T>> {
        let node = self.get(id);
        match node.origin {
            Origin::Static => node.op.map(OpRef::Static),
            Origin::Shared(place) => {
                Some(OpRef::Shared(Rc::clone(&self.shared_ops[place as usize])))
            }
            Origin::Leaf(_) => None,
        }
    }

    #[inline]
    pub(crate) fn store_leaf(
        &mut self,
        leaf: Leaf,
        value: T,
        location: &'static Location<'static>,
        tracked: bool,
    ) {
        let inputs = Inputs { n: 0, ids: [NodeId(0); FEW] };
        let (op, origin, state) = (None, Origin::Leaf(leaf), State::new(tracked));
        self.nodes.push(Node { op, origin, inputs, value, location, state });
    }

    /// A constant that names the nodes it was computed from.
    pub(crate) fn store_given(
        &mut self,
        inputs: &[NodeId],
        value: T,
        location: &'static Location<'static>,
    ) {
        let inputs = self.store_inputs(inputs);
        let (op, origin, state) = (None, Origin::Leaf(Leaf::Constant), State::new(false));
        self.nodes.push(Node { op, origin, inputs, value, location, state });
    }

    #[inline]
    pub(crate) fn store_static(
        &mut self,
        op: &'static dyn Op<T>,
        inputs: &[NodeId],
        value: T,
        location: &'static Location<'static>,
        tracked: bool,
    ) {
        let inputs = self.store_inputs(inputs);
        let (op, origin, state) = (Some(op), Origin::Static, State::new(tracked));
        self.nodes.push(Node { op, origin, inputs, value, location, state });
    }

    #[inline]
    pub(crate) fn store_shared(
        &mut self,
        op: Rc<dyn Op<T>>,
        inputs: &[NodeId],
        value: T,
        location: &'static Location<'static>,
        tracked: bool,
    ) {
        let inputs = self.store_inputs(inputs);
        let origin = Origin::Shared(self.shared_ops.len() as u32);
        self.shared_ops.push(op);
        let (op, state) = (None, State::new(tracked));
        self.nodes.push(Node { op, origin, inputs, value, location, state });
    }

    #[inline]
    fn store_inputs(&mut self, ids: &[NodeId]) -> Inputs {
        match *ids {
            [] => Inputs { n: 0, ids: [NodeId(0); FEW] },
            [a] => Inputs { n: 1, ids: [a; FEW] },
            [a, b] => Inputs { n: 2, ids: [a, b, b] },
            [a, b, c] => Inputs { n: 3, ids: [a, b, c] },
            _ => {
                self.many_inputs.push(ids.into());
                Inputs { n: MANY, ids: [NodeId(self.many_inputs.len() as u32 - 1); FEW] }
            }
        }
    }

    /// Removes the node recorded last.
    pub(crate) fn pop(&mut self) {
        let Some(node) = self.nodes.pop() else { return };
        if let Origin::Shared(_) = node.origin {
            self.shared_ops.pop();
        }
        if node.inputs.n == MANY {
            self.many_inputs.pop();
        }
    }

    /// The memory of the nodes and the side lists, without that of the tensors.
    pub(crate) fn bytes(&self) -> usize {
        // An operation stands behind two counters.
        let ops = self.shared_ops.iter().map(|op| size_of_val(&**op) + 2 * size_of::<usize>());
        let inputs = self.many_inputs.iter().map(|inputs| size_of_val(&**inputs));
        bytes_of(&self.nodes)
            + bytes_of(&self.shared_ops)
            + bytes_of(&self.many_inputs)
            + ops.chain(inputs).sum::<usize>()
    }

    /// Removes all nodes and keeps the memory.
    #[inline]
    pub(crate) fn clear(&mut self) {
        self.nodes.clear();
        self.shared_ops.clear();
        self.many_inputs.clear();
    }
}

/// The memory that a list holds, used or not.
pub(crate) fn bytes_of<X>(list: &Vec<X>) -> usize {
    list.capacity() * size_of::<X>()
}

impl<T: TensorLike> Node<T> {
    #[inline]
    pub(crate) fn is_tracked(&self) -> bool {
        self.state.is_tracked()
    }

    #[inline]
    pub(crate) fn is_op(&self) -> bool {
        !matches!(self.origin, Origin::Leaf(_))
    }

    pub(crate) fn kind(&self) -> NodeKind {
        match self.origin {
            Origin::Static | Origin::Shared(_) => NodeKind::Op,
            Origin::Leaf(Leaf::Var) => NodeKind::Var,
            Origin::Leaf(Leaf::Constant) => NodeKind::Constant,
            Origin::Leaf(Leaf::Seed) => NodeKind::Seed,
        }
    }
}

/// Whether a node is tracked, and its mark in a sweep that is being planned.
// One word: what is written in parts and read at once stalls the processor.
pub(crate) struct State(Cell<u32>);

const TRACKED: u32 = 1 << 31;

impl State {
    #[inline]
    fn new(tracked: bool) -> Self {
        State(Cell::new(if tracked { TRACKED } else { 0 }))
    }

    #[inline]
    fn is_tracked(&self) -> bool {
        self.0.get() & TRACKED != 0
    }

    /// Zero outside of the planning of a sweep.
    #[inline]
    pub(crate) fn mark(&self) -> u32 {
        self.0.get() & !TRACKED
    }

    #[inline]
    pub(crate) fn set_mark(&self, mark: u32) {
        self.0.set(self.0.get() & TRACKED | mark);
    }
}
