//! Forward mode: one sweep over the subgraph, oldest node first, recorded or plain.
//!
//! A plain sweep drops a tangent as soon as the last step that needs it has run, so that it holds
//! no more of them at once than the program has values that are still to be used.

use smallvec::SmallVec;

use crate::ground::{Error, ErrorKind, Mode, Shape, TensorLike};
use crate::kinds::align_stack;
use crate::sweep::live::{self, Live};
use crate::sweep::reverse::Masked;
use crate::sweep::transpose::pull_back_the_pullback;
use crate::sweep::{Calculus, Recorded, here, worth};
use crate::tape::{
    Edge, Masks, NodeId, Op, OpRef, Primal, Reach, Subgraph, Tangents, Tape, Targets, Var, watch,
};

/// `J t` of `y` for tangents of nodes, or for `k` that are stacked, and the mask of what is live of
/// it: recorded but not listed in the trace as a sweep of its own, of handles that are not void.
/// `None` stands for zero. It is careful if there are `masks`, one for each tangent.
pub(crate) fn jvp_unlisted<'t, T: TensorLike>(
    y: Var<'t, T>,
    wrt: &[NodeId],
    tangents: Vec<Var<'t, T>>,
    masks: Option<Vec<Option<Var<'t, T>>>>,
    k: Option<usize>,
) -> Result<Masked<Var<'t, T>>, Error> {
    let graph = y.tape.plan(y.id, Targets::These(wrt));
    let calculus = Recorded { tape: y.tape };
    let mut live = masks.map(|masks| {
        let mut live = Live::forward(y.tape, &graph);
        live.seed(&graph, masks);
        live
    });
    let mut t = vec![None; graph.len()];
    sweep(y.tape, &graph, &calculus, tangents, k, &mut t, &mut Vec::new(), live.as_mut())?;
    let last = graph.len().checked_sub(1);
    let mask = last.and_then(|last| live.and_then(|live| live.at(last)));
    y.tape.recycle(graph);
    Ok(t.pop().flatten().map(|t| (t, mask)))
}

/// How many tangents of each input are pushed forward together.
#[derive(Clone, Copy, Debug)]
#[doc(hidden)]
pub enum Count {
    One,
    /// As many as the leading axis of the tangents has places.
    Batch,
}

/// `shape`, behind a leading axis for each of k tangents.
pub(super) fn stacked(k: Option<usize>, shape: &[usize]) -> Shape {
    k.into_iter().chain(shape.iter().copied()).collect()
}

/// The forward sweep: fills in `tangents`, those at the steps of `graph`, from the `seeds` of its
/// targets: one for each, or `k` that are stacked. `uses` is a buffer.
#[track_caller]
#[allow(clippy::too_many_arguments)]
pub(super) fn sweep<'t, T: TensorLike, C: Calculus<'t, T>>(
    home: &'t Tape<T>,
    graph: &Subgraph,
    calculus: &C,
    seeds: Vec<C::Value>,
    k: Option<usize>,
    tangents: &mut [Option<C::Value>],
    uses: &mut Vec<u32>,
    mut live: Option<&mut Live<C::Value>>,
) -> Result<(), Error> {
    for (step, seed) in graph.targets.iter().zip(seeds) {
        if let Some(step) = *step {
            // An input that is given twice, or that depends on another, moves by the sum.
            tangents[step] = Some(match tangents[step].take() {
                None => seed,
                Some(other) => calculus.add(other, seed)?,
            });
        }
    }
    let is_watched = home.is_watched();
    for step in graph.targets.iter().flatten().filter(|_| is_watched) {
        if let Some(seed) = &tangents[*step] {
            watch::check_tangent(home, graph.node(*step), &calculus.value(seed)?, &[])?;
        }
    }
    if !C::KEEPS_ALL {
        graph.count_uses(uses);
    }
    let lines = calculus.tape().lines();
    let (mut x_dot, mut handles) = (Vec::new(), Vec::new());
    for step in 0..graph.len() {
        let Some((op, location)) = home.op_at(graph.node(step)) else { continue };
        x_dot.clear();
        for input in graph.inputs(step) {
            let Some(from) = input.step() else {
                x_dot.push(None);
                continue;
            };
            let is_last_use = !C::KEEPS_ALL && {
                uses[from] -= 1;
                uses[from] == 0
            };
            let t = if is_last_use { tangents[from].take() } else { tangents[from].clone() };
            x_dot.push(t);
        }
        if x_dot.iter().all(Option::is_none) {
            continue;
        }
        let p = Primal { tape: calculus.tape(), home, node: graph.node(step) };
        lines.inherit(location);
        let own = tangents[step].take();
        if let Some(live) = live.as_deref_mut()
            && live.is_needed(step)
        {
            handles.clear();
            handles.extend(x_dot.drain(..).map(|t| t.map(|t| calculus.to_handle(t))));
            let inputs = graph.inputs(step);
            tangents[step] = push_live(&*op, &p, calculus, &handles, k, own, step, inputs, live)?;
            if is_watched && let Some(t) = &tangents[step] {
                watch::check_tangent(home, graph.node(step), &calculus.value(t)?, &handles)?;
            }
            calculus.end_node();
            continue;
        }
        if !C::KEEPS_ALL
            && k.is_none()
            && !is_watched
            && let Some(pushed) = push_by_partials(&op, &p, calculus, &x_dot)?
        {
            tangents[step] = Some(with_own(&*op, calculus, pushed, own)?);
            continue;
        }
        handles.clear();
        handles.extend(x_dot.drain(..).map(|t| t.map(|t| calculus.to_handle(t))));
        let x_dot = &handles;
        tangents[step] = push(&*op, &p, calculus, x_dot, k, own)?;
        if is_watched && let Some(t) = &tangents[step] {
            watch::check_tangent(home, graph.node(step), &calculus.value(t)?, x_dot)?;
        }
        calculus.end_node();
    }
    Ok(())
}

/// The tangent of one node: what the rule gives, and its own where it is an input itself.
fn push<'t, T: TensorLike, C: Calculus<'t, T>>(
    op: &dyn Op<T>,
    p: &Primal<'t, T>,
    calculus: &C,
    x_dot: &[Option<Var<'t, T>>],
    k: Option<usize>,
    own: Option<C::Value>,
) -> Result<Option<C::Value>, Error> {
    let in_sweep = |error: Error| error.in_sweep(Mode::Forward, op.name());
    let t = match k {
        None => tangent(op, p, x_dot, None),
        Some(k) => push_batch(op, p, x_dot, k, None).map_err(in_sweep)?,
    };
    let Some(t) = t else { return Ok(own) };
    let pushed = whole(op, p, calculus, k, t).map_err(in_sweep)?;
    with_own(op, calculus, pushed, own).map(Some)
}

/// [`push`] with masks: what is dead is 0, and the node learns what is live of its tangent.
// Out of the way of sweeps without masks.
#[cold]
#[inline(never)]
#[allow(clippy::too_many_arguments)]
fn push_live<'t, T: TensorLike, C: Calculus<'t, T>>(
    op: &dyn Op<T>,
    p: &Primal<'t, T>,
    calculus: &C,
    x_dot: &[Option<Var<'t, T>>],
    k: Option<usize>,
    own: Option<C::Value>,
    step: usize,
    inputs: &[Edge],
    live: &mut Live<C::Value>,
) -> Result<Option<C::Value>, Error> {
    let in_sweep = |error: Error| error.in_sweep(Mode::Forward, op.name());
    let (facts, rank) = (op.facts(), p.y_shape().rank());
    let is_same = facts.reach == Reach::Same;
    // For each argument: what is live of its tangent, and of the output by way of it.
    let of_x = |arg: usize| {
        let mask = inputs[arg].step().and_then(|step| live.at(step));
        mask.map(|mask| calculus.to_handle(mask))
    };
    let on_y = |mask: Var<'t, T>| match k {
        None => mask,
        Some(_) => align_stack(mask.unsqueeze(0), rank),
    };
    let rule = |x_dot: &[Option<Var<'t, T>>], masks: Option<&Masks<'t, T>>| match k {
        None => Ok(tangent(op, p, x_dot, masks)),
        Some(k) => push_batch(op, p, x_dot, k, masks).map_err(in_sweep),
    };
    let n = x_dot.len();
    let mut masks: SmallVec<[Option<Var<'t, T>>; 4]> = SmallVec::from_elem(None, n);
    let (mut y_dot, mut mask);
    if is_same {
        y_dot = None;
        // Each argument by itself, since one may be dead where another is live.
        let mut one: SmallVec<[Option<Var<'t, T>>; 4]> = SmallVec::from_elem(None, n);
        for arg in (0..n).filter(|&arg| x_dot[arg].is_some()) {
            let aligned = of_x(arg).map(|mask| match k {
                None => mask,
                Some(_) => align_stack(mask, rank),
            });
            masks[arg] = live::both(aligned, op.depends(arg, p).map(on_y));
            one[arg] = x_dot[arg];
            let part = rule(&one, None)?;
            one[arg] = None;
            let Some(part) = part else { continue };
            let part = match masks[arg] {
                Some(mask) if facts.by_value => mask.where_(part, 0.0),
                _ => part,
            };
            y_dot = Some(y_dot.map_or(part, |others| others + part));
        }
        mask = live::pushed(op, p, x_dot, &masks, k);
    } else {
        for arg in (0..n).filter(|&arg| x_dot[arg].is_some()) {
            masks[arg] = of_x(arg);
        }
        let told = Masks::new(n, None);
        told.x.iter().zip(&masks).for_each(|(place, mask)| place.set(*mask));
        let is_told = facts.reach == Reach::Told;
        y_dot = rule(x_dot, is_told.then_some(&told))?;
        mask = match is_told {
            true => told.y.get(),
            false => live::pushed(op, p, x_dot, &masks, k),
        };
        for arg in (0..n).filter(|&arg| x_dot[arg].is_some()) {
            if let (Some(depends), Some(x_dot)) = (op.depends(arg, p), x_dot[arg]) {
                let depends = live::or_not_finite(on_y(depends), x_dot);
                // The argument is −∞ where nothing depends on it. This 0 has a live derivative, for
                // the argument may move without bounds.
                let zero = p.x(arg).exp();
                y_dot = y_dot.map(|y_dot| depends.where_(y_dot, zero));
                mask = live::both(mask, Some(depends));
            }
        }
        if let (true, Some(t), Some(mask)) = (facts.by_value, y_dot, mask) {
            y_dot = Some(mask.where_(t, 0.0));
        }
    }
    let Some(t) = y_dot else { return Ok(own) };
    live.add(calculus, step, own.is_none(), mask);
    let pushed = whole(op, p, calculus, k, t).map_err(in_sweep)?;
    with_own(op, calculus, pushed, own).map(Some)
}

/// The tangent of one node, without handles; `None` where the operation's partial derivatives are
/// not there as data.
#[inline]
fn push_by_partials<'t, T: TensorLike, C: Calculus<'t, T>>(
    op: &OpRef<T>,
    p: &Primal<'t, T>,
    calculus: &C,
    x_dot: &[Option<C::Value>],
) -> Result<Option<C::Value>, Error> {
    if !p.is_uniform() {
        return Ok(None);
    }
    let partials = op.body(worth(op, p)).partials();
    let mut sum = None;
    for (arg, t) in x_dot.iter().enumerate() {
        let Some(t) = t else { continue };
        let Some(partial) = partials.get(arg) else { return Ok(None) };
        let Some(part) = calculus.by_partial(p, partial, t) else { return Ok(None) };
        sum = Some(match sum {
            None => part,
            Some(others) => with_own(&**op, calculus, others, Some(part))?,
        });
    }
    Ok(sum)
}

/// The tangent that a rule gives, and the node's own, where it is an input itself.
#[inline]
fn with_own<'t, T: TensorLike, C: Calculus<'t, T>>(
    op: &dyn Op<T>,
    calculus: &C,
    pushed: C::Value,
    own: Option<C::Value>,
) -> Result<C::Value, Error> {
    match own {
        None => Ok(pushed),
        Some(own) => calculus.add(pushed, own).map_err(|e| e.in_sweep(Mode::Forward, op.name())),
    }
}

/// The tangent of an output: by the operation's forward rule, or else by its reverse rule. `None`
/// if it is zero.
fn tangent<'t, T: TensorLike>(
    op: &dyn Op<T>,
    p: &Primal<'t, T>,
    x_dot: &[Option<Var<'t, T>>],
    masks: Option<&Masks<'t, T>>,
) -> Option<Var<'t, T>> {
    let by_rule = op.jvp(p, &Tangents::new(x_dot, None).with_masks(masks));
    by_rule.or_else(|| pull_back_the_pullback(op, p, x_dot))
}

/// The k tangents of an output, at once if the operation knows how; `None` if they are zero.
fn push_batch<'t, T: TensorLike>(
    op: &dyn Op<T>,
    p: &Primal<'t, T>,
    x_dot: &[Option<Var<'t, T>>],
    k: usize,
    masks: Option<&Masks<'t, T>>,
) -> Result<Option<Var<'t, T>>, Error> {
    let rule_error = |kind| Error::new(op.name(), kind, here(p.tape));
    // Rules rely on it that there can be such a tensor.
    let shape = stacked(Some(k), &p.y_shape()).checked().map_err(rule_error)?;
    if let Some(t) = op.jvp(p, &Tangents::new(x_dot, Some(k)).with_masks(masks)) {
        return Ok(Some(t));
    }
    let (mut rows, mut any) = (Vec::new(), false);
    rows.try_reserve_exact(k).map_err(|_| rule_error(ErrorKind::TooLarge { shape }))?;
    let row = stacked(Some(1), &p.y_shape());
    let mut one = vec![None; x_dot.len()];
    for i in 0..k {
        for (arg, (one, t)) in one.iter_mut().zip(x_dot).enumerate() {
            *one = t.map(|t| t.narrow(0, i, 1).reshape(p.shape(arg)));
        }
        rows.push(match tangent(op, p, &one, None) {
            None => p.y().zeros_like().reshape(&row),
            Some(t) => {
                any = true;
                broadcast(op, p, None, t)?.reshape(&row)
            }
        });
    }
    Ok(any.then(|| p.tape.concat(&rows, 0)))
}

/// True if a tensor of this shape is a tangent of the output, or a stack of `k`.
fn fits<T: TensorLike>(p: &Primal<'_, T>, k: Option<usize>, shape: &[usize]) -> bool {
    match (k, shape) {
        (None, shape) => p.y_has_shape(shape),
        (Some(k), [n, shape @ ..]) => *n == k && p.y_has_shape(shape),
        (Some(_), []) => false,
    }
}

/// The tangent that a rule gave as a value of the sweep, broadcast if need be.
#[inline]
fn whole<'t, T: TensorLike, C: Calculus<'t, T>>(
    op: &dyn Op<T>,
    p: &Primal<'t, T>,
    calculus: &C,
    k: Option<usize>,
    t: Var<'t, T>,
) -> Result<C::Value, Error> {
    match calculus.value_of(t, |t| fits(p, k, t.shape())) {
        Some(t) => Ok(t),
        None => {
            let t = broadcast(op, p, k, t)?;
            Ok(calculus.value_of(t, |_| true).expect("a tangent that fits is of this tape"))
        }
    }
}

/// The tangent of an output, broadcast to its shape; in a stack, to that of each.
fn broadcast<'t, T: TensorLike>(
    op: &dyn Op<T>,
    p: &Primal<'t, T>,
    k: Option<usize>,
    t: Var<'t, T>,
) -> Result<Var<'t, T>, Error> {
    let rule_error = |kind| Err(Error::new(op.name(), kind, here(p.tape)));
    if !std::ptr::eq(p.tape, t.tape) {
        return rule_error(ErrorKind::ForeignHandle);
    }
    let (got, expected) = (t.shape()?, stacked(k, &p.y_shape()));
    if got == expected {
        return Ok(t);
    }
    // A stack is never made by broadcasting: it would be one tangent, k times.
    let is_stack = k.is_none_or(|k| got.rank() == expected.rank() && got[0] == k);
    if !is_stack || !got.expands_to(&expected) {
        return rule_error(ErrorKind::RuleShape { expected, got });
    }
    let t = t.expand(expected);
    t.ok().map(|()| t)
}

#[cfg(test)]
mod tests {
    use super::sweep;
    use crate::Tape;
    use crate::sweep::Plain;
    use crate::tape::Targets;

    #[test]
    fn a_plain_sweep_drops_each_tangent_after_its_last_use() -> Result<(), crate::Error> {
        let (tape, scratch) = (Tape::<f64>::new(), Tape::new());
        let x = tape.var(2.0);
        let y = (0..10).fold(x, |y, _| y * y + x);
        let graph = tape.plan(y.id(), Targets::These(&[x.id()]));
        let (mut tangents, mut uses) = (vec![None; graph.len()], Vec::new());
        let calculus = Plain { scratch: &scratch };
        sweep(&tape, &graph, &calculus, vec![1.0], None, &mut tangents, &mut uses, None)?;
        let kept: Vec<usize> = (0..graph.len()).filter(|&step| tangents[step].is_some()).collect();
        assert_eq!(kept, [graph.len() - 1]);
        assert!(scratch.is_empty());
        Ok(())
    }
}
