//! The part of a tape that a sweep has to visit: what lies between an output and some inputs.

use smallvec::SmallVec;

use crate::ground::TensorLike;
use crate::tape::{Arena, NodeId, bytes_of};

/// The tracked nodes through which `y` depends on the targets, in recording order: the *steps* of
/// a sweep, numbered from 0.
///
/// Finding them looks at ancestors of `y` no older than the oldest target, and at few nodes else, so
/// that unrelated nodes cost nothing, wherever they stand.
#[derive(Default)]
pub(crate) struct Subgraph {
    /// The ancestors that were looked at, where they are sparse; a buffer.
    found: Vec<NodeId>,
    steps: Vec<Step>,
    edges: Vec<Edge>,
    /// For each target: the step that it is, if `y` depends on it.
    pub(crate) targets: Vec<Option<usize>>,
}

#[derive(Clone, Copy)]
struct Step {
    node: NodeId,
    /// Whether its derivative is asked for, and has to be kept.
    is_target: bool,
    /// Where its edges end; they begin where those of the step before it end.
    edges_end: usize,
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
        let Subgraph { found, steps, edges, targets } = self;
        let (ids, all) = match wrt {
            Targets::These(ids) => (ids, false),
            Targets::All => (&[][..], true),
        };
        let mut sorted: SmallVec<[NodeId; 4]> = SmallVec::from_slice(ids);
        sorted.sort_unstable();
        let oldest = if all { NodeId(0) } else { *sorted.first().unwrap_or(&NodeId(u32::MAX)) };
        let first = ancestors(arena, y, oldest, found);

        // What leads to no target is left out; the others are numbered, and marked with the number.
        steps.clear();
        edges.clear();
        let mut targets_ahead = &sorted[..];
        let mut number = |id: NodeId| {
            let mut is_target = all;
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
            let mark = if leads_on {
                let step = Edge(steps.len() as u32);
                steps.push(Step { node: id, is_target, edges_end: edges.len() });
                step.to_mark()
            } else {
                edges.truncate(first_edge);
                UNMARKED
            };
            arena.get(id).state.set_mark(mark);
        };
        match first {
            None => found.iter().for_each(|&id| number(id)),
            Some(first) => {
                let ids = (first.0..=y.0).map(NodeId);
                ids.filter(|&id| arena.get(id).state.mark() != UNMARKED).for_each(number);
            }
        }
        targets.clear();
        targets.extend(ids.iter().map(|&id| Edge::from_mark(arena.get(id).state.mark()).step()));
        steps.iter().for_each(|step| arena.get(step.node).state.set_mark(UNMARKED));
    }

    /// The memory of a plan.
    pub(crate) fn bytes(&self) -> usize {
        bytes_of(&self.found)
            + bytes_of(&self.steps)
            + bytes_of(&self.edges)
            + bytes_of(&self.targets)
    }

    /// The number of steps.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.steps.len()
    }

    /// The node of a step.
    #[inline]
    pub(crate) fn node(&self, step: usize) -> NodeId {
        self.steps[step].node
    }

    /// True if the derivative at a step is asked for.
    #[inline]
    pub(crate) fn is_target(&self, step: usize) -> bool {
        self.steps[step].is_target
    }

    /// Where the inputs of a step lead.
    #[inline]
    pub(crate) fn inputs(&self, step: usize) -> &[Edge] {
        let start = step.checked_sub(1).map_or(0, |before| self.steps[before].edges_end);
        &self.edges[start..self.steps[step].edges_end]
    }

    /// How many edges lead to each step, and one more to the last, which is the output.
    pub(crate) fn count_uses(&self, uses: &mut Vec<u32>) {
        uses.clear();
        uses.resize(self.len(), 0);
        self.edges.iter().filter_map(|edge| edge.step()).for_each(|step| uses[step] += 1);
        if let Some(last) = uses.last_mut() {
            *last += 1;
        }
    }
}

/// Marks `y` and the tracked nodes not older than `oldest` that it was computed from. If they stand
/// densely on the tape, gives the first of them; else collects them in `found`, ascending.
fn ancestors<T: TensorLike>(
    arena: &Arena<T>,
    y: NodeId,
    oldest: NodeId,
    found: &mut Vec<NodeId>,
) -> Option<NodeId> {
    found.clear();
    let first = walk(arena, y, oldest);
    if first.is_none() {
        search(arena, y, oldest, found);
    }
    first
}

/// Marks ancestors by walking down the tape past all nodes: fast where most of them are ancestors.
/// Where fewer than every fifth is, gives up, and leaves no mark.
fn walk<T: TensorLike>(arena: &Arena<T>, y: NodeId, oldest: NodeId) -> Option<NodeId> {
    let mark = |id: NodeId, mark: u32| {
        let node = arena.get(id);
        if id >= oldest && node.is_tracked() {
            node.state.set_mark(mark);
        }
    };
    mark(y, FOUND);
    let (mut first, mut n_passed_by) = (y, 0);
    let mut patience = 64;
    for id in (oldest.0..=y.0).rev().map(NodeId) {
        if arena.get(id).state.mark() == UNMARKED {
            n_passed_by += 1;
            if n_passed_by > patience {
                for id in (id.0..=y.0).map(NodeId) {
                    if arena.get(id).state.mark() != UNMARKED {
                        arena.inputs(id).iter().for_each(|&input| mark(input, UNMARKED));
                        mark(id, UNMARKED);
                    }
                }
                return None;
            }
        } else {
            arena.inputs(id).iter().for_each(|&input| mark(input, FOUND));
            (first, patience) = (id, patience + 4);
        }
    }
    Some(first)
}

/// Marks and collects ancestors by following inputs, so that nothing else is looked at.
fn search<T: TensorLike>(arena: &Arena<T>, y: NodeId, oldest: NodeId, found: &mut Vec<NodeId>) {
    let visit = |id: NodeId, found: &mut Vec<NodeId>| {
        let node = arena.get(id);
        if id >= oldest && node.is_tracked() && node.state.mark() == UNMARKED {
            node.state.set_mark(FOUND);
            found.push(id);
        }
    };
    visit(y, found);
    // The list is its own queue: what stands before `next` has been followed.
    let mut next = 0;
    while let Some(&id) = found.get(next) {
        arena.inputs(id).iter().for_each(|&input| visit(input, found));
        next += 1;
    }
    found.sort_unstable();
}

#[cfg(test)]
mod tests {
    use crate::Tape;
    use crate::tape::Targets;

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
        // No mark is left, so that the same is found again.
        let again = tape.plan(y.id(), Targets::These(&[x.id()]));
        assert_eq!((&again.found, again.len()), (&graph.found, 21));
        // y = x¹¹ + x⁹ + x⁸ + … + 1, with x = 3.
        let powers = (1..=11).filter(|&n| n != 10);
        let expected: f64 = powers.map(|n| f64::from(n) * 3.0f64.powi(n - 1)).sum();
        let dx = tape.backward(y, x)?;
        assert!((dx - expected).abs() <= 1e-12 * expected.abs());
        Ok(())
    }

    #[test]
    fn walking_and_following_inputs_find_the_same() -> Result<(), crate::Error> {
        let tape = Tape::<f64>::new();
        let x = tape.var(0.5);
        let beside = tape.var(2.0);
        let (mut y, mut steps) = (x, 1);
        for n_unrelated in [0, 1, 2, 300] {
            for _ in 0..20 {
                y = y * beside * x;
                steps += 2;
                (0..n_unrelated).for_each(|_| _ = beside * 3.0);
            }
            // The walk gives up behind the 300 unrelated nodes, having met 20 ancestors at most.
            let graph = tape.plan(y.id(), Targets::These(&[x.id()]));
            assert_eq!((graph.len(), graph.found.is_empty()), (steps, n_unrelated < 300));
            assert_eq!((graph.node(0), graph.node(steps - 1)), (x.id(), y.id()));
            // y = x (2x)ⁿ = 2ⁿ xⁿ⁺¹ with n = (steps − 1) / 2, and 2x = 1.
            let n = (steps - 1) as f64 / 2.0;
            assert_eq!(tape.backward(y, x)?, n + 1.0);
        }
        Ok(())
    }
}
