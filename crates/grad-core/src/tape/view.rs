//! A read-only view of what a tape holds, for traces, tests and tools.

use std::ops::Range;
use std::panic::Location;
use std::rc::Rc;

use crate::ground::{Mode, Shape, TensorLike};
use crate::tape::{NodeId, NodeKind, Tape, Var};

/// One node of a tape.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Node<'t, T: TensorLike> {
    /// Its place in recording order.
    pub id: NodeId,
    /// Where it comes from.
    pub kind: NodeKind,
    /// The name of the operation, or of the kind of leaf.
    pub op: &'static str,
    /// The nodes it was computed from.
    pub inputs: Vec<NodeId>,
    /// The shape of its value.
    pub shape: Shape,
    /// True if sweeps go through it.
    pub tracked: bool,
    /// The name given by [`Var::named`].
    pub name: Option<Rc<str>>,
    /// The line of the user's program.
    pub location: &'static Location<'static>,
    /// The node as a handle.
    pub var: Var<'t, T>,
}

impl<T: TensorLike> Node<'_, T> {
    /// The operation as traces write it, `a + b`, from names for its inputs, `?` where there are too
    /// few; `None` for a leaf.
    pub fn expression(&self, inputs: &[&str]) -> Option<String> {
        let mut names = inputs.to_vec();
        names.resize(self.inputs.len(), "?");
        self.var.tape.op_at(self.id).map(|(op, _)| op.format(&names))
    }

    /// The operation applied anew, to other inputs and on their tape; `None` for a leaf.
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let x = tape.var(3.0);
    /// let y = x.powi(2);
    /// let node = tape.nodes().nth(y.id().index()).unwrap();
    /// let other = grad_core::Tape::new();
    /// assert_eq!(node.apply(&other, &[other.var(5.0)]).unwrap().item()?, 25.0);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn apply<'s>(&self, tape: &'s Tape<T>, x: &[Var<'s, T>]) -> Option<Var<'s, T>> {
        let (op, _) = self.var.tape.op_at(self.id)?;
        Some(tape.apply_ref(op, x))
    }
}

/// A recorded sweep.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Sweep {
    /// Its direction.
    pub mode: Mode,
    /// The node that is differentiated.
    pub y: NodeId,
    /// The places of the nodes that the sweep recorded.
    pub nodes: Range<usize>,
    /// Each node with its derivative: for reverse mode operations newest first, then leaves in
    /// recording order; for forward mode in recording order.
    pub derivatives: Vec<(NodeId, NodeId)>,
}

impl<T: TensorLike> Tape<T> {
    /// The nodes in recording order.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = Node<'_, T>> {
        let names = self.names();
        (0..self.len()).map(move |index| {
            let id = NodeId(index as u32);
            Node { name: names.get(&id).cloned(), ..self.view(id) }
        })
    }

    /// The recorded sweeps, in the order in which they ended.
    pub fn sweeps(&self) -> Vec<Sweep> {
        self.recorded_sweeps()
    }
}
