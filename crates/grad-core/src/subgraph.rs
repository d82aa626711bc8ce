//! The part of a tape that a sweep has to visit: what lies between an output and some inputs.

use crate::tape::{Node, NodeId};

/// The tracked nodes through which `y` depends on the targets, in recording order.
///
/// Finding them looks at ancestors of `y` no older than the oldest target and at nothing else, so
/// that unrelated nodes cost nothing, wherever they stand.
pub(crate) struct Subgraph {
    pub(crate) steps: Vec<Step>,
    /// For each input of each step in turn: the step that it is, or `NONE`.
    edges: Vec<u32>,
    /// For each target: the step that it is, if `y` depends on it.
    pub(crate) targets: Vec<Option<usize>>,
    /// How many nodes were looked at.
    #[cfg_attr(not(test), allow(dead_code))]
    pub(crate) n_visited: usize,
}

pub(crate) struct Step {
    pub(crate) id: NodeId,
    /// True if the derivative at this node is asked for, and has to be kept.
    pub(crate) is_target: bool,
    first_edge: u32,
    n_edges: u32,
}

const NONE: u32 = u32::MAX;

/// What derivatives are wanted.
#[derive(Clone, Copy)]
pub(crate) enum Targets<'a> {
    These(&'a [NodeId]),
    All,
}

impl Subgraph {
    pub(crate) fn between<T>(nodes: &[Node<T>], y: NodeId, targets: Targets<'_>) -> Self {
        let oldest = match targets {
            Targets::These(ids) => ids.iter().copied().min().unwrap_or(NodeId(NONE)),
            Targets::All => NodeId(0),
        };
        let found = ancestors(nodes, y, oldest);
        let node = |id: NodeId| &nodes[id.index()];

        // Each found node is marked with its place, plus one.
        for (place, &id) in found.iter().enumerate() {
            node(id).mark.set(place as u32 + 1);
        }
        let place = |id: NodeId| match node(id).mark.get() {
            0 => None,
            mark => Some(mark as usize - 1),
        };
        let mut is_target = vec![matches!(targets, Targets::All); found.len()];
        if let Targets::These(ids) = targets {
            ids.iter().filter_map(|&id| place(id)).for_each(|place| is_target[place] = true);
        }

        // What leads to no target is left out; the others are numbered.
        let mut steps = Vec::with_capacity(found.len());
        let mut edges = Vec::with_capacity(2 * found.len());
        let mut step_of = vec![NONE; found.len()];
        for (at, &id) in found.iter().enumerate() {
            let first_edge = edges.len() as u32;
            edges.extend(
                node(id).inputs.iter().map(|&x| place(x).map_or(NONE, |place| step_of[place])),
            );
            let n_edges = edges.len() as u32 - first_edge;
            if is_target[at] || edges[first_edge as usize..].iter().any(|&edge| edge != NONE) {
                step_of[at] = steps.len() as u32;
                steps.push(Step { id, is_target: is_target[at], first_edge, n_edges });
            } else {
                edges.truncate(first_edge as usize);
            }
        }
        let targets = match targets {
            Targets::All => Vec::new(),
            Targets::These(ids) => {
                let step = |&id| place(id).map(|place| step_of[place] as usize);
                ids.iter().map(step).collect()
            }
        };
        for &id in &found {
            node(id).mark.set(0);
        }
        Subgraph { steps, edges, targets, n_visited: found.len() }
    }

    /// For each input of a step: the step that it is, if the sweep goes there.
    pub(crate) fn inputs(&self, step: &Step) -> impl ExactSizeIterator<Item = Option<usize>> + '_ {
        let (first, n) = (step.first_edge as usize, step.n_edges as usize);
        self.edges[first..first + n].iter().map(|&edge| match edge {
            NONE => None,
            step => Some(step as usize),
        })
    }
}

/// `y` and the tracked nodes not older than `oldest` that it was computed from, ascending.
fn ancestors<T>(nodes: &[Node<T>], y: NodeId, oldest: NodeId) -> Vec<NodeId> {
    let mut found = Vec::new();
    let visit = |id: NodeId, found: &mut Vec<NodeId>| {
        let node = &nodes[id.index()];
        if id >= oldest && node.tracked && node.mark.get() == 0 {
            node.mark.set(1);
            found.push(id);
        }
    };
    visit(y, &mut found);
    // The list is its own queue: what stands before `next` has been followed.
    let mut next = 0;
    while let Some(&id) = found.get(next) {
        nodes[id.index()].inputs.iter().for_each(|&input| visit(input, &mut found));
        next += 1;
    }
    found.sort_unstable();
    found
}
