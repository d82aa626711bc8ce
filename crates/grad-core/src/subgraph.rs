//! The part of a tape that a sweep has to visit: what lies between an output and some inputs.

use smallvec::SmallVec;

use crate::arena::Arena;
use crate::tape::NodeId;
use crate::tensor::TensorLike;

/// The tracked nodes through which `y` depends on the targets, in recording order.
///
/// Finding them looks at ancestors of `y` no older than the oldest target and at nothing else, so
/// that unrelated nodes cost nothing, wherever they stand.
pub(crate) struct Subgraph {
    pub(crate) steps: Vec<Step>,
    /// Where each input of each step leads, in turn.
    edges: Vec<Edge>,
    /// For each target: the step that it is, if `y` depends on it.
    pub(crate) targets: Vec<Option<usize>>,
    /// How many nodes were looked at.
    #[cfg(test)]
    pub(crate) n_visited: usize,
}

pub(crate) struct Step {
    pub(crate) id: NodeId,
    /// True if the derivative at this node is asked for, and has to be kept.
    pub(crate) is_target: bool,
    first_edge: u32,
    n_edges: u32,
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
    pub(crate) fn between<T: TensorLike>(
        arena: &Arena<T>,
        y: NodeId,
        targets: Targets<'_>,
    ) -> Self {
        let mut sorted: SmallVec<[NodeId; 4]> = match targets {
            Targets::These(ids) => SmallVec::from_slice(ids),
            Targets::All => SmallVec::new(),
        };
        sorted.sort_unstable();
        let oldest = match targets {
            Targets::These(_) => sorted.first().copied().unwrap_or(NodeId(u32::MAX)),
            Targets::All => NodeId(0),
        };
        let found = ancestors(arena, y, oldest);

        // What leads to no target is left out; the others are numbered, and marked with the number.
        let mut steps = Vec::with_capacity(found.len());
        let mut edges = Vec::with_capacity(2 * found.len());
        let mut targets_ahead = &sorted[..];
        for &id in &found {
            let mut is_target = matches!(targets, Targets::All);
            while let Some((&target, rest)) = targets_ahead.split_first()
                && target <= id
            {
                is_target |= target == id;
                targets_ahead = rest;
            }
            let first_edge = edges.len();
            let mut leads_on = is_target;
            for &input in arena.inputs(id) {
                let edge = Edge::from_mark(arena.get(input).state.mark());
                leads_on |= edge.is_some();
                edges.push(edge);
            }
            if leads_on {
                arena.get(id).state.set_mark(Edge(steps.len() as u32).to_mark());
                let (first_edge, n_edges) = (first_edge as u32, (edges.len() - first_edge) as u32);
                steps.push(Step { id, is_target, first_edge, n_edges });
            } else {
                edges.truncate(first_edge);
            }
        }
        let targets = match targets {
            Targets::All => Vec::new(),
            Targets::These(ids) => {
                let step = |&id| Edge::from_mark(arena.get(id).state.mark()).step();
                ids.iter().map(step).collect()
            }
        };
        found.iter().for_each(|&id| arena.get(id).state.set_mark(UNMARKED));
        Subgraph {
            steps,
            edges,
            targets,
            #[cfg(test)]
            n_visited: found.len(),
        }
    }

    /// Where the inputs of a step lead.
    #[inline]
    pub(crate) fn inputs(&self, step: &Step) -> &[Edge] {
        &self.edges[step.first_edge as usize..][..step.n_edges as usize]
    }
}

/// `y` and the tracked nodes not older than `oldest` that it was computed from, ascending.
fn ancestors<T: TensorLike>(arena: &Arena<T>, y: NodeId, oldest: NodeId) -> Vec<NodeId> {
    let mut found = Vec::new();
    let visit = |id: NodeId, found: &mut Vec<NodeId>| {
        let node = arena.get(id);
        if id >= oldest && node.is_tracked() && node.state.mark() == UNMARKED {
            node.state.set_mark(FOUND);
            found.push(id);
        }
    };
    visit(y, &mut found);
    // The list is its own queue: what stands before `next` has been followed.
    let mut next = 0;
    while let Some(&id) = found.get(next) {
        arena.inputs(id).iter().for_each(|&input| visit(input, &mut found));
        next += 1;
    }
    // Into recording order: by walking the tape where the ancestors stand densely, else by sorting.
    let range = found.iter().map(|id| id.index()).min().unwrap_or(0)..y.index() + 1;
    if range.len() <= 4 * found.len() {
        found.clear();
        let ids = range.map(|index| NodeId(index as u32));
        found.extend(ids.filter(|&id| arena.get(id).state.mark() != UNMARKED));
    } else {
        found.sort_unstable();
    }
    found
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
        let mut unrelated = || (0..UNRELATED).for_each(|_| other = other + 1.0);
        unrelated();
        let older = tape.var(2.0) * 3.0;
        let x = tape.var(0.5) * older;
        unrelated();
        let mut y = x;
        for _ in 0..10 {
            y = y * x + 1.0;
            unrelated();
        }
        let graph = tape.subgraph(y.id(), Targets::These(&[x.id()]));
        // x, and ten times `mul` and `shift`; neither what is older than x nor what is beside it.
        assert_eq!(graph.n_visited, 21);
        assert_eq!(graph.steps.len(), 21);
        // y = x¹¹ + x⁹ + x⁸ + … + 1, with x = 3.
        let powers = (1..=11).filter(|&n| n != 10);
        let expected: f64 = powers.map(|n| f64::from(n) * 3.0f64.powi(n - 1)).sum();
        let dx = tape.backward(y, x)?;
        assert!((dx - expected).abs() <= 1e-12 * expected.abs());
        Ok(())
    }
}
