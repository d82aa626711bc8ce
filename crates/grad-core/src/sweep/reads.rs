//! Many reads of one value, whose cotangents are added up at once.
//!
//! The rule of a slice makes zeros as large as the whole value, which are then added. A loop that
//! reads a large value piece by piece would so take the square of the time of reading it. So a
//! reverse sweep lets the cotangents of small reads wait until the value itself has its turn, or
//! until they are as large as the value together. Then it joins them, and adds each element at the
//! place that it was read from: the time is that of what was read, and of the value once.

use std::collections::BTreeMap;

use crate::ground::{Build, Error, Read, Shape, TensorLike};
use crate::sweep::Calculus;
use crate::sweep::live::Live;
use crate::sweep::reverse::{Buffers, accumulate, pull, pull_live};
use crate::tape::{Op, Primal, Subgraph, Tape, Var};

/// Of values with no more elements, zeros cost less than anything cleverer.
const SMALL: usize = 256;
/// A read of more than one in so many elements may cost as much as the whole.
const LITTLE: usize = 8;
/// So many reads are not worth being joined.
const FEW: usize = 4;

/// The cotangents that wait, by the step that they are added to.
pub(super) struct Reads<V> {
    waiting: BTreeMap<usize, Waiting<V>>,
    /// The first step that has its turn among those.
    next: Option<usize>,
}

struct Waiting<V> {
    /// Those of the results of reads, by the step of each.
    cts: Vec<(usize, V)>,
    /// How many elements they have.
    n_elements: usize,
}

impl<V: Clone> Reads<V> {
    pub(super) fn new() -> Self {
        Reads { waiting: BTreeMap::new(), next: None }
    }

    /// True if cotangents wait for this step.
    #[inline]
    pub(super) fn wait_for(&self, step: usize) -> bool {
        self.next == Some(step)
    }

    /// The step for which the cotangent of `step` may wait: where the operation at `step` reads
    /// little of something large. That is its input, or what its input is a reshape of for this
    /// read alone.
    #[inline(never)]
    pub(super) fn destination<'t, T: TensorLike>(
        &self,
        op: &dyn Op<T>,
        p: &Primal<'t, T>,
        graph: &Subgraph,
        step: usize,
        cts: &[Option<V>],
    ) -> Option<usize> {
        op.body(Build::Never).read()?;
        let ([input], whole) = (graph.inputs(step), p.shape(0).n_elements()?) else { return None };
        if whole <= SMALL || whole / LITTLE < p.y_shape().n_elements()? {
            return None;
        }
        let (mut from, mut to) = (step, input.step()?);
        // All that uses a step is younger, so nothing but the step behind it uses this one.
        while to + 1 == from
            && !graph.is_target(to)
            && cts[to].is_none()
            && !self.waiting.contains_key(&to)
            && let Some((op, _)) = p.home.op_at(graph.node(to))
            && let (Some(Read::All), [input]) = (op.body(Build::Never).read(), graph.inputs(to))
            && let Some(next) = input.step()
        {
            (from, to) = (to, next);
        }
        Some(to)
    }

    /// Lets the cotangent of the node of `p`, which is that of `step`, wait for the step `to`. True
    /// if it is time to add up what waits there.
    pub(super) fn keep<'t, T: TensorLike>(
        &mut self,
        p: &Primal<'t, T>,
        step: usize,
        ct: V,
        to: usize,
    ) -> bool {
        let waiting = self.waiting.entry(to).or_insert(Waiting { cts: Vec::new(), n_elements: 0 });
        waiting.cts.push((step, ct));
        // What is empty takes memory, too.
        waiting.n_elements += p.y_shape().n_elements().unwrap_or(0).max(1);
        self.next = self.next.max(Some(to));
        waiting.n_elements >= p.shape(0).n_elements().unwrap_or(0)
    }

    /// Adds what waits for the step `to` to the cotangent there.
    #[cold]
    #[inline(never)]
    #[allow(clippy::too_many_arguments)]
    pub(super) fn add_up<'t, T: TensorLike, C: Calculus<'t, T, Value = V>>(
        &mut self,
        to: usize,
        home: &'t Tape<T>,
        graph: &Subgraph,
        calculus: &C,
        cts: &mut [Option<V>],
        mut live: Option<&mut Live<V>>,
        buffers: &mut Buffers<'t, T>,
    ) -> Result<(), Error> {
        let Some(Waiting { cts: parts, .. }) = self.waiting.remove(&to) else { return Ok(()) };
        self.next = self.waiting.last_key_value().map(|(&step, _)| step);
        let lines = calculus.tape().lines();
        if parts.len() > FEW
            && let Some((op, location)) = home.op_at(graph.node(parts[0].0))
        {
            lines.inherit(location);
            let whole = home.shape(graph.node(to));
            let handles = parts.iter().map(|(_, ct)| calculus.to_handle(ct.clone())).collect();
            let sum = join(home, graph, calculus, &parts, handles, &whole);
            let sum = sum.and_then(|sum| calculus.value_of(sum, |sum| *sum.shape() == *whole));
            if let Some(sum) = sum {
                if let Some(live) = live.as_deref_mut().filter(|live| live.is_needed(to)) {
                    let ones = |step: usize| {
                        let tape = calculus.tape();
                        Primal { tape, home, node: graph.node(step) }.y().ones_like()
                    };
                    let of_part = |step: usize| match live.at(step) {
                        Some(mask) => calculus.to_handle(mask).expand(home.shape(graph.node(step))),
                        None => ones(step),
                    };
                    let masks = parts.iter().map(|&(step, _)| of_part(step)).collect();
                    let mask = join(home, graph, calculus, &parts, masks, &whole);
                    let mask = mask.and_then(|mask| mask.ne(0.0).unless_all());
                    live.add(calculus, to, cts[to].is_none(), mask);
                }
                calculus.end_node();
                return accumulate(&*op, calculus, &mut cts[to], sum);
            }
            calculus.end_node();
        }
        // Few, or of a backend that cannot join them: one by one, each by the rule.
        for (step, ct) in parts {
            let (mut at, mut ct) = (step, Some(ct));
            while at != to
                && let Some(pulled) = ct
                && let Some((op, location)) = home.op_at(graph.node(at))
                && let Some(input) = graph.inputs(at).first().and_then(|input| input.step())
            {
                lines.inherit(location);
                let p = Primal { tape: calculus.tape(), home, node: graph.node(at) };
                let inputs = graph.inputs(at);
                match live.as_deref_mut().filter(|live| live.is_needed(at)) {
                    None => pull(&*op, &p, calculus, pulled, 0, inputs, cts, buffers)?,
                    Some(live) => {
                        pull_live(&*op, &p, calculus, pulled, at, inputs, None, cts, live, false)?;
                    }
                }
                at = input;
                // Of the reshapes on the way.
                ct = match (at == to, C::KEEPS_ALL) {
                    (true, _) => None,
                    (false, true) => cts[at].clone(),
                    (false, false) => cts[at].take(),
                };
            }
        }
        Ok(())
    }
}

/// Zeros of shape `whole`, to which `handles`, one for each read, are added at the places that were
/// read. `None` if the backend cannot do that.
fn join<'t, T: TensorLike, C: Calculus<'t, T>>(
    home: &'t Tape<T>,
    graph: &Subgraph,
    calculus: &C,
    parts: &[(usize, C::Value)],
    mut handles: Vec<Var<'t, T>>,
    whole: &Shape,
) -> Option<Var<'t, T>> {
    let tape = calculus.tape();
    let read_at = |step: usize| {
        let p = Primal { tape, home, node: graph.node(step) };
        Some((home.op_at(p.node)?.0, p.shape(0)))
    };
    // Whole sub-tensors along one axis stay as they are; everything else is flattened.
    let (op, shape) = read_at(parts.first()?.0)?;
    let mut axis = op.body(Build::Never).read()?.axis(&shape);
    for (step, _) in &parts[1..] {
        let (op, other) = read_at(*step)?;
        axis = axis.filter(|&axis| {
            shape == other
                && op.body(Build::Never).read().and_then(|read| read.axis(&other)) == Some(axis)
        });
    }
    let mut index = Vec::new();
    for ((step, _), handle) in parts.iter().zip(&mut handles) {
        let (op, shape) = read_at(*step)?;
        let read = op.body(Build::Never).read()?;
        match axis {
            Some(axis) => read.along(axis, &mut index),
            None => {
                let before = index.len();
                read.places(&shape, &mut index);
                *handle = flat(*handle, index.len() - before);
            }
        }
    }
    let (axis, size) = match axis {
        Some(axis) => (axis, shape[axis]),
        None => (0, whole.n_elements()?),
    };
    let sum = tape.concat(&handles, axis as isize).added_at(axis, index.into(), size);
    Some(if sum.shape().ok()? == *whole { sum } else { sum.reshape(whole) })
}

/// The `n` elements of a tensor in a row.
fn flat<'t, T: TensorLike>(x: Var<'t, T>, n: usize) -> Var<'t, T> {
    match x.shape() {
        Ok(shape) if shape.rank() == 1 => x,
        _ => x.reshape(n),
    }
}
