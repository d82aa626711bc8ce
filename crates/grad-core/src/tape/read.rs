//! What sweeps, rules and readers see of a node.

use std::collections::HashMap;
use std::panic::Location;
use std::rc::Rc;

use smallvec::SmallVec;

use crate::ground::{ErrorKind, Shape, TensorLike};
use crate::tape::{
    Inner, NodeId, OpRef, Spare, Subgraph, Sweep, Tape, Targets, Var, bytes_of, view,
};

impl<T: TensorLike> Tape<T> {
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
    #[inline(always)]
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

    pub(crate) fn record_sweep(&self, sweep: Sweep) {
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
}
