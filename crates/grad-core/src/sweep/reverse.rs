//! Reverse mode: one sweep over the subgraph, newest node first, recorded or plain.
//!
//! The sweep alone accumulates and un-broadcasts. It pulls a node's cotangent back through all
//! wanted arguments, in argument order, and then adds the results up in argument order as
//! `old + new`.
//!
//! A careful sweep carries masks of live elements too (`live.rs`).

use smallvec::SmallVec;

use crate::ground::{Error, ErrorKind, Mode, TensorLike};
use crate::sweep::live::{self, Live};
use crate::sweep::reads::Reads;
use crate::sweep::{Calculus, Recorded, here, worth};
use crate::tape::{
    Cotangents, Edge, Masks, NodeId, Op, Primal, Reach, Subgraph, Tape, Targets, Var, watch,
};

/// `Jᵀ ct` of `y` with respect to `x`, recorded but not listed in the trace as a sweep of its own;
/// for rules that are defined by a sweep. Void on error.
///
/// It carries no masks: a constant on the way may stand for a tracked value of the user's tape.
#[track_caller]
pub(crate) fn vjp_unlisted<'t, T: TensorLike>(
    y: Var<'t, T>,
    ct: Var<'t, T>,
    x: Var<'t, T>,
) -> Var<'t, T> {
    if let Some(void) = [y, ct, x].into_iter().find(|x| x.is_void()) {
        return void;
    }
    match vjps_unlisted(y, ct, &[x.id]) {
        Ok(x_bar) => x_bar[0].unwrap_or_else(|| x.zeros_like()),
        Err(error) => y.tape.void(error),
    }
}

/// [`vjp_unlisted`] with respect to several nodes, in one sweep, of handles that are not void; `None`
/// stands for zero.
pub(crate) fn vjps_unlisted<'t, T: TensorLike>(
    y: Var<'t, T>,
    ct: Var<'t, T>,
    wrt: &[NodeId],
) -> Result<Vec<Option<Var<'t, T>>>, Error> {
    let found = vjps_masked(y, ct, None, wrt)?;
    Ok(found.into_iter().map(|found| Some(found?.0)).collect())
}

/// A cotangent, and the mask of what is live of it; `None` for zero.
pub(crate) type Masked<V> = Option<(V, Option<V>)>;

/// [`vjps_unlisted`], careful if there is the mask of `ct`. It answers with those of the nodes.
pub(crate) fn vjps_masked<'t, T: TensorLike>(
    y: Var<'t, T>,
    ct: Var<'t, T>,
    mask: Option<Option<Var<'t, T>>>,
    wrt: &[NodeId],
) -> Result<Vec<Masked<Var<'t, T>>>, Error> {
    swept(y, &Recorded { tape: y.tape }, ct, mask, wrt)
}

/// The cotangents of `wrt`, and their masks in a sweep that is careful: if there is the mask of `ct`.
pub(super) fn swept<'t, T: TensorLike, C: Calculus<'t, T>>(
    y: Var<'t, T>,
    calculus: &C,
    ct: C::Value,
    mask: Option<Option<C::Value>>,
    wrt: &[NodeId],
) -> Result<Vec<Masked<C::Value>>, Error> {
    let graph = y.tape.plan(y.id, Targets::These(wrt));
    let targets = || graph.targets.iter().copied();
    let mut live = mask.map(|mask| {
        let mut live = Live::reverse(y.tape, &graph).with_needed(&graph, targets().flatten());
        if let Some(last) = graph.len().checked_sub(1) {
            live.set(last, mask);
        }
        live
    });
    let mut cts = vec![None; graph.len()];
    sweep(y.tape, &graph, calculus, ct, &mut cts, live.as_mut())?;
    let mask_at = |step: usize| live.as_ref().and_then(|live| live.at(step));
    let of_step = |step: usize| Some((cts[step].clone()?, mask_at(step)));
    let found = targets().map(|step| step.and_then(of_step)).collect();
    y.tape.recycle(graph);
    Ok(found)
}

/// The subgraph of a sweep and the derivative at each of its steps.
pub(crate) type Swept<C> = (Subgraph, Vec<Option<C>>);

/// The reverse sweep: fills in `cts`, the cotangents at the steps of `graph`.
pub(super) fn sweep<'t, T: TensorLike, C: Calculus<'t, T>>(
    home: &'t Tape<T>,
    graph: &Subgraph,
    calculus: &C,
    seed: C::Value,
    cts: &mut [Option<C::Value>],
    mut live: Option<&mut Live<C::Value>>,
) -> Result<(), Error> {
    let is_watched = home.is_watched();
    if let Some(last) = cts.last_mut() {
        // y is the youngest of its ancestors.
        if is_watched {
            let y = graph.node(graph.len() - 1);
            watch::check_seed(home, y, &calculus.value(&seed)?)?;
        }
        *last = Some(seed);
    }
    let lines = calculus.tape().lines();
    let mut buffers = Buffers { wanted: SmallVec::new(), x_bar: SmallVec::new(), is_watched };
    let mut reads = Reads::new();
    for step in (0..graph.len()).rev() {
        if reads.wait_for(step) {
            reads.add_up(step, home, graph, calculus, cts, live.as_deref_mut(), &mut buffers)?;
        }
        let inputs = graph.inputs(step);
        if inputs.iter().all(Edge::is_none) {
            continue;
        }
        // Cloned and not taken: to read what has been written in parts at once stalls the processor.
        let Some(ct) = &cts[step] else { continue };
        let ct = ct.clone();
        if !C::KEEPS_ALL && !graph.is_target(step) {
            cts[step] = None;
        }
        let Some((op, location)) = home.op_at(graph.node(step)) else { continue };
        let p = Primal { tape: calculus.tape(), home, node: graph.node(step) };
        lines.inherit(location);
        if let Some(live) = live.as_deref_mut()
            && live.is_needed(step)
        {
            if !is_watched && let Some(to) = reads.destination(&*op, &p, graph, step, cts) {
                if reads.keep(&p, step, ct, to) {
                    reads.add_up(to, home, graph, calculus, cts, Some(live), &mut buffers)?;
                }
                continue;
            }
            let choices = Choices::of(&*op, &p, inputs);
            if live.at(step).is_some() || choices.is_some() {
                pull_live(&*op, &p, calculus, ct, step, inputs, choices, cts, live, is_watched)?;
                continue;
            }
            inputs.iter().filter_map(|input| input.step()).for_each(|step| live.set(step, None));
        }
        // Without handles, as far as that goes.
        let mut done = 0;
        if !C::KEEPS_ALL && !is_watched && p.is_uniform() {
            for (partial, input) in op.body(worth(&op, &p)).partials().iter().zip(inputs) {
                if let Some(step) = input.step() {
                    let Some(new) = calculus.by_partial(&p, partial, &ct) else { break };
                    accumulate(&*op, calculus, &mut cts[step], new)?;
                }
                done += 1;
            }
        }
        if done == inputs.len() {
            continue;
        }
        match reads.destination(&*op, &p, graph, step, cts) {
            Some(to) if !is_watched => {
                if reads.keep(&p, step, ct, to) {
                    let live = live.as_deref_mut();
                    reads.add_up(to, home, graph, calculus, cts, live, &mut buffers)?;
                }
            }
            _ => pull(&*op, &p, calculus, ct, done, inputs, cts, &mut buffers)?,
        }
    }
    Ok(())
}

/// What a pull needs for a while, kept for the next one.
pub(super) struct Buffers<'t, T: TensorLike> {
    wanted: SmallVec<[bool; 4]>,
    x_bar: SmallVec<[Option<Var<'t, T>>; 4]>,
    is_watched: bool,
}

/// Pulls the cotangent of one node back to its inputs from number `first` on, by the operation's
/// rule, and accumulates there.
#[allow(clippy::too_many_arguments)]
pub(super) fn pull<'t, T: TensorLike, C: Calculus<'t, T>>(
    op: &dyn Op<T>,
    p: &Primal<'t, T>,
    calculus: &C,
    ct: C::Value,
    first: usize,
    inputs: &[Edge],
    cts: &mut [Option<C::Value>],
    Buffers { wanted, x_bar, is_watched }: &mut Buffers<'t, T>,
) -> Result<(), Error> {
    wanted.clear();
    wanted.extend(inputs.iter().enumerate().map(|(arg, input)| arg >= first && input.is_some()));
    x_bar.clear();
    x_bar.resize(inputs.len(), None);
    let ct = calculus.to_handle(ct);
    op.vjp(p, ct, &mut Cotangents::new(wanted, x_bar));
    for (arg, (&x_bar, input)) in x_bar.iter().zip(inputs).enumerate() {
        let (Some(x_bar), Some(step)) = (x_bar, input.step()) else { continue };
        contribute(op, p, calculus, arg, ct, x_bar, &mut cts[step], *is_watched)?;
    }
    calculus.end_node();
    Ok(())
}

/// The masks of a node at which something becomes dead: for each argument where the output depends
/// on it.
pub(super) struct Choices<'t, T: TensorLike>(SmallVec<[Option<Var<'t, T>>; 4]>);

impl<T: TensorLike> Default for Choices<'_, T> {
    fn default() -> Self {
        Choices(SmallVec::new())
    }
}

impl<'t, T: TensorLike> Choices<'t, T> {
    #[inline]
    fn of(op: &dyn Op<T>, p: &Primal<'t, T>, inputs: &[Edge]) -> Option<Self> {
        let mut found = None;
        for arg in (0..inputs.len()).filter(|&arg| inputs[arg].is_some()) {
            if let Some(mask) = op.depends(arg, p) {
                let Choices(masks) = found.get_or_insert_with(Choices::default);
                masks.resize(inputs.len(), None);
                masks[arg] = Some(mask);
            }
        }
        let leaves_out = matches!(op.facts().reach, Reach::Rule { total: false } | Reach::Told);
        found.or_else(|| leaves_out.then(Choices::default))
    }

    fn of_arg(&self, arg: usize) -> Option<Var<'t, T>> {
        self.0.get(arg).copied().flatten()
    }
}

/// [`pull`] with masks: what is dead is 0, and the inputs learn what is live of their cotangents.
// Out of the way of sweeps without masks.
#[cold]
#[inline(never)]
#[allow(clippy::too_many_arguments)]
pub(super) fn pull_live<'t, T: TensorLike, C: Calculus<'t, T>>(
    op: &dyn Op<T>,
    p: &Primal<'t, T>,
    calculus: &C,
    ct: C::Value,
    step: usize,
    inputs: &[Edge],
    choices: Option<Choices<'t, T>>,
    cts: &mut [Option<C::Value>],
    live: &mut Live<C::Value>,
    is_watched: bool,
) -> Result<(), Error> {
    let facts = op.facts();
    let choices = choices.unwrap_or_default();
    let of_y = live.at(step).map(|mask| calculus.to_handle(mask));
    let ct = calculus.to_handle(ct);
    let n = inputs.len();
    let masks = Masks::new(n, of_y);
    let told = (facts.reach == Reach::Told).then_some(&masks);
    let mut x_bar: SmallVec<[Option<Var<'t, T>>; 4]> = SmallVec::from_elem(None, n);
    let mut wanted: SmallVec<[bool; 4]> = inputs.iter().map(Edge::is_some).collect();
    // What is live of the output's for each argument.
    let mut of_args: SmallVec<[Option<Var<'t, T>>; 4]> = SmallVec::from_elem(of_y, n);
    for arg in (0..n).filter(|&arg| inputs[arg].is_some()) {
        let Some(depends) = choices.of_arg(arg) else { continue };
        if facts.reach == Reach::Same {
            of_args[arg] = live::both(of_y, Some(depends));
        } else {
            // The rule mixes elements. What nothing depends on must not come in. What the rule
            // gives is live all the same: an argument of −∞ may move without bounds.
            let ct = depends.where_(ct, 0.0);
            let mut one: SmallVec<[bool; 4]> = SmallVec::from_elem(false, n);
            (one[arg], wanted[arg]) = (true, false);
            op.vjp(p, ct, &mut Cotangents::new(&one, &mut x_bar).with_masks(told));
        }
    }
    op.vjp(p, ct, &mut Cotangents::new(&wanted, &mut x_bar).with_masks(told));
    for (arg, input) in inputs.iter().enumerate() {
        let (Some(x_bar), Some(step)) = (x_bar[arg], input.step()) else { continue };
        let mask = match facts.reach {
            Reach::Told => masks.x[arg].get(),
            _ => live::pulled(op, p, arg, of_args[arg]),
        };
        let x_bar = match mask {
            Some(mask) if facts.by_value => mask.where_(x_bar, 0.0),
            _ => x_bar,
        };
        let mask = mask.map(|mask| match x_bar.shape() {
            Ok(shape) => live::unbroadcast(mask, shape, &p.shape(arg)),
            Err(_) => mask,
        });
        let is_first = cts[step].is_none();
        contribute(op, p, calculus, arg, ct, x_bar, &mut cts[step], is_watched)?;
        live.add(calculus, step, is_first, mask);
    }
    calculus.end_node();
    Ok(())
}

/// Adds what a rule gave for an argument to the cotangent of the input. `ct` is the cotangent of the
/// output.
#[inline]
#[allow(clippy::too_many_arguments)]
fn contribute<'t, T: TensorLike, C: Calculus<'t, T>>(
    op: &dyn Op<T>,
    p: &Primal<'t, T>,
    calculus: &C,
    arg: usize,
    ct: Var<'t, T>,
    x_bar: Var<'t, T>,
    sum: &mut Option<C::Value>,
    is_watched: bool,
) -> Result<(), Error> {
    let new = match calculus.value_of(x_bar, |x_bar| p.has_shape_of(arg, x_bar)) {
        Some(new) => new,
        None => unbroadcast(op, p, calculus, arg, x_bar)?,
    };
    accumulate(op, calculus, sum, new)?;
    match sum {
        Some(sum) if is_watched => watch::check_cotangent(p, arg, ct, &calculus.value(sum)?),
        _ => Ok(()),
    }
}

/// Adds what a node contributes to the cotangent of an input.
#[inline]
pub(super) fn accumulate<'t, T: TensorLike, C: Calculus<'t, T>>(
    op: &dyn Op<T>,
    calculus: &C,
    ct: &mut Option<C::Value>,
    new: C::Value,
) -> Result<(), Error> {
    *ct = Some(match ct.take() {
        None => new,
        Some(old) => calculus.add(old, new).map_err(|e| e.in_sweep(Mode::Reverse, op.name()))?,
    });
    Ok(())
}

/// The cotangent of an argument, un-broadcast to its shape.
#[cold]
fn unbroadcast<'t, T: TensorLike, C: Calculus<'t, T>>(
    op: &dyn Op<T>,
    p: &Primal<'t, T>,
    calculus: &C,
    arg: usize,
    x_bar: Var<'t, T>,
) -> Result<C::Value, Error> {
    let in_sweep = |error: Error| error.in_sweep(Mode::Reverse, op.name());
    if !std::ptr::eq(p.tape, x_bar.tape) {
        return Err(rule_error(op, p, ErrorKind::ForeignHandle));
    }
    x_bar.ok().map_err(in_sweep)?;
    let summed = x_bar.unbroadcast(&p.shape(arg));
    let got = summed.shape().map_err(in_sweep)?;
    let kind = ErrorKind::RuleShape { expected: p.shape(arg), got };
    calculus
        .value_of(summed, |summed| p.has_shape_of(arg, summed))
        .ok_or_else(|| rule_error(op, p, kind))
}

/// What a rule did wrong.
#[cold]
fn rule_error<T: TensorLike>(op: &dyn Op<T>, p: &Primal<'_, T>, kind: ErrorKind) -> Error {
    Error::new(op.name(), kind, here(p.tape)).in_sweep(Mode::Reverse, op.name())
}
