//! The part of a tape that a sweep has to visit: what lies between an output and some inputs.

use smallvec::SmallVec;

use crate::arena::{Arena, bytes_of};
use crate::tape::NodeId;
use crate::tensor::TensorLike;

/// The tracked nodes through which `y` depends on the targets, in recording order: the *steps* of
/// a sweep, numbered from 0.
///
/// Finding them looks at ancestors of `y` no older than the oldest target and at nothing else, so
/// that unrelated nodes cost nothing, wherever they stand.
#[derive(Default)]
pub(crate) struct Subgraph {
    /// The ancestors that were looked at; a buffer.
    found: Vec<NodeId>,
    nodes: Vec<NodeId>,
    /// For each step, whether its derivative is asked for, and has to be kept.
    is_target: Vec<bool>,
    /// For each step, where its edges end; they begin where those of the step before it end.
    edges_end: Vec<usize>,
    edges: Vec<Edge>,
    /// For each target: the step that it is, if `y` depends on it.
    pub(crate) targets: Vec<Option<usize>>,
}

/// Where an input of a step leads: to another step, or nowhere that the sweep goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Edge(u32);

/// The mark of a node that the planning of a sweep has not met.
const UNMARKED: u32 = 0;
/// The mark of a node that is an ancestor, and that leads nowhere as far as is known.
const FOUND: u32 = 1;

impl Edge {
    const NONE: Edge = Edge(u32::MAX);

    /// The mark of a node that is a step.
    #[inline]
    fn to_mark(self) -> u32 {
        self.0 + FOUND + 1
    }

    #[inline]
    fn from_mark(mark: u32) -> Edge {
        if mark <= FOUND { Edge::NONE } else { Edge(mark - FOUND - 1) }
    }

    #[inline]
    pub(crate) fn is_some(&self) -> bool {
        *self != Edge::NONE
    }

    #[inline]
    pub(crate) fn is_none(&self) -> bool {
        *self == Edge::NONE
    }

    #[inline]
    pub(crate) fn step(self) -> Option<usize> {
        self.is_some().then_some(self.0 as usize)
    }
}

/// What derivatives are wanted.
#[derive(Clone, Copy)]
pub(crate) enum Targets<'a> {
    These(&'a [NodeId]),
    All,
}

impl Subgraph {
    /// Plans a sweep, in the memory of an earlier one.
    pub(crate) fn plan<T: TensorLike>(&mut self, arena: &Arena<T>, y: NodeId, wrt: Targets<'_>) {
        let Subgraph { found, nodes, is_target, edges_end, edges, targets } = self;
        let (ids, all) = match wrt {
            Targets::These(ids) => (ids, false),
            Targets::All => (&[][..], true),
        };
        let mut sorted: SmallVec<[NodeId; 4]> = SmallVec::from_slice(ids);
        sorted.sort_unstable();
        let oldest = if all { NodeId(0) } else { *sorted.first().unwrap_or(&NodeId(u32::MAX)) };
        ancestors(arena, y, oldest, found);

        // What leads to no target is left out; the others are numbered, and marked with the number.
        nodes.clear();
        is_target.clear();
        edges_end.clear();
        edges.clear();
        let mut targets_ahead = &sorted[..];
        for &id in &*found {
            let mut wanted = all;
            while let Some((&target, rest)) = targets_ahead.split_first()
                && target <= id
            {
                wanted |= target == id;
                targets_ahead = rest;
            }
            let first_edge = edges.len();
            let mut leads_on = wanted;
            for &input in arena.inputs(id) {
                let edge = Edge::from_mark(arena.get(input).state.mark());
                leads_on |= edge.is_some();
                edges.push(edge);
            }
            if leads_on {
                arena.get(id).state.set_mark(Edge(nodes.len() as u32).to_mark());
                nodes.push(id);
                is_target.push(wanted);
                edges_end.push(edges.len());
            } else {
                edges.truncate(first_edge);
            }
        }
        targets.clear();
        targets.extend(ids.iter().map(|&id| Edge::from_mark(arena.get(id).state.mark()).step()));
        found.iter().for_each(|&id| arena.get(id).state.set_mark(UNMARKED));
    }

    /// The memory of a plan.
    pub(crate) fn bytes(&self) -> usize {
        bytes_of(&self.found)
            + bytes_of(&self.nodes)
            + bytes_of(&self.is_target)
            + bytes_of(&self.edges_end)
            + bytes_of(&self.edges)
            + bytes_of(&self.targets)
    }

    /// The number of steps.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// The node of a step.
    #[inline]
    pub(crate) fn node(&self, step: usize) -> NodeId {
        self.nodes[step]
    }

    /// True if the derivative at a step is asked for.
    #[inline]
    pub(crate) fn is_target(&self, step: usize) -> bool {
        self.is_target[step]
    }

    /// Where the inputs of a step lead.
    #[inline]
    pub(crate) fn inputs(&self, step: usize) -> &[Edge] {
        let start = step.checked_sub(1).map_or(0, |before| self.edges_end[before]);
        &self.edges[start..self.edges_end[step]]
    }
}

/// Collects `y` and the tracked nodes not older than `oldest` that it was computed from, ascending.
fn ancestors<T: TensorLike>(arena: &Arena<T>, y: NodeId, oldest: NodeId, found: &mut Vec<NodeId>) {
    let visit = |id: NodeId, found: &mut Vec<NodeId>| {
        let node = arena.get(id);
        if id >= oldest && node.is_tracked() && node.state.mark() == UNMARKED {
            node.state.set_mark(FOUND);
            found.push(id);
        }
    };
    found.clear();
    visit(y, found);
    // The list is its own queue: what stands before `next` has been followed.
    let (mut next, mut first) = (0, y);
    while let Some(&id) = found.get(next) {
        arena.inputs(id).iter().for_each(|&input| visit(input, found));
        first = first.min(id);
        next += 1;
    }
    // Into recording order: by walking the tape where the ancestors stand densely, else by sorting.
    if (y.0 - first.0) as usize <= 4 * found.len() {
        found.clear();
        let ids = (first.0..=y.0).map(NodeId);
        found.extend(ids.filter(|&id| arena.get(id).state.mark() != UNMARKED));
    } else {
        found.sort_unstable();
    }
}

#[cfg(test)]
mod tests {
    use crate::Tape;
    use crate::subgraph::Targets;

    const UNRELATED: usize = 100_000;

    #[test]
    fn planning_looks_only_at_what_lies_between() -> Result<(), crate::Error> {
        let tape = Tape::<f64>::new();
        let mut other = tape.var(1.0);
        let mut unrelated = || (0..UNRELATED).for_each(|_| other += 1.0);
        unrelated();
        let older = tape.var(2.0) * 3.0;
        let x = tape.var(0.5) * older;
        unrelated();
        let mut y = x;
        for _ in 0..10 {
            y = y * x + 1.0;
            unrelated();
        }
        let graph = tape.plan(y.id(), Targets::These(&[x.id()]));
        // x, and ten times `mul` and `shift`; neither what is older than x nor what is beside it.
        assert_eq!(graph.found.len(), 21);
        assert_eq!(graph.len(), 21);
        // y = x¹¹ + x⁹ + x⁸ + … + 1, with x = 3.
        let powers = (1..=11).filter(|&n| n != 10);
        let expected: f64 = powers.map(|n| f64::from(n) * 3.0f64.powi(n - 1)).sum();
        let dx = tape.backward(y, x)?;
        assert!((dx - expected).abs() <= 1e-12 * expected.abs());
        Ok(())
    }
}
