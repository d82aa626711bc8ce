//! Reverse mode: one sweep over the subgraph, newest node first, recorded or plain.
//!
//! The sweep alone accumulates and un-broadcasts. It pulls a node's cotangent back through all
//! wanted arguments, in argument order, and then adds the results up in argument order as
//! `old + new`.

use std::panic::Location;

use smallvec::SmallVec;

use crate::ground::{Error, ErrorKind, Mode, Shape, TensorLike, backend, error_here};
use crate::sweep::{Calculus, Gradients, Plain, Recorded, Wrt, here};
use crate::tape::{Edge, NodeId, Op, OpRef, Primal, Subgraph, Sweep, Tape, Targets, Var, watch};

impl<T: TensorLike> Tape<T> {
    /// The gradient of `y`, which has one element, with respect to handles `wrt`: recorded, so
    /// that it can be differentiated again.
    ///
    /// `wrt` is a handle, an array or a slice of them, and the answer has the same form. What `y`
    /// does not depend on has a gradient of zeros.
    ///
    /// # Errors
    /// [`NotScalar`](ErrorKind::NotScalar); [`Untracked`](ErrorKind::Untracked) for a constant in
    /// `wrt`; the error of a void handle; whatever goes wrong in a rule.
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let (x, y) = (tape.var(2.0), tape.var(3.0));
    /// let [dx, dy] = tape.grad(x * x * y, [x, y])?;
    /// assert_eq!((dx.item()?, dy.item()?), (12.0, 4.0));
    /// let ddx = tape.grad(dx, x)?;
    /// assert_eq!(ddx.item()?, 6.0);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn grad<'t, W: Wrt<'t, T>>(
        &'t self,
        y: Var<'t, T>,
        wrt: W,
    ) -> Result<W::Each<Var<'t, T>>, Error> {
        self.recorded("grad", y, wrt.handles(), None).map(W::each)
    }

    /// [`Tape::grad`] for a slice of handles.
    ///
    /// # Errors
    /// Those of [`Tape::grad`].
    #[track_caller]
    pub fn grads<'t>(
        &'t self,
        y: Var<'t, T>,
        wrt: &[Var<'t, T>],
    ) -> Result<Vec<Var<'t, T>>, Error> {
        self.recorded("grads", y, wrt, None)
    }

    /// The vector-Jacobian product `Jᵀ ct` of `y` with respect to `wrt`: recorded.
    ///
    /// # Errors
    /// [`CotangentShape`](ErrorKind::CotangentShape) if `ct` is not shaped like `y`; otherwise
    /// those of [`Tape::grad`], but `y` may have any shape.
    #[track_caller]
    pub fn vjp<'t, W: Wrt<'t, T>>(
        &'t self,
        y: Var<'t, T>,
        ct: Var<'t, T>,
        wrt: W,
    ) -> Result<W::Each<Var<'t, T>>, Error> {
        self.recorded("vjp", y, wrt.handles(), Some(ct)).map(W::each)
    }

    /// The gradient of `y`, which has one element, as plain tensors: nothing is recorded, and the
    /// tape is left as it was. The fast path where no further derivative is needed.
    ///
    /// # Errors
    /// Those of [`Tape::grad`].
    #[track_caller]
    pub fn backward<'t, W: Wrt<'t, T>>(
        &'t self,
        y: Var<'t, T>,
        wrt: W,
    ) -> Result<W::Each<T>, Error> {
        self.plain("backward", y, wrt.handles(), None).map(W::each)
    }

    /// The vector-Jacobian product `Jᵀ ct` as plain tensors; nothing is recorded.
    ///
    /// # Errors
    /// Those of [`Tape::vjp`].
    #[track_caller]
    pub fn backward_with<'t, W: Wrt<'t, T>>(
        &'t self,
        y: Var<'t, T>,
        ct: impl Into<T>,
        wrt: W,
    ) -> Result<W::Each<T>, Error> {
        self.plain("backward_with", y, wrt.handles(), Some(ct.into())).map(W::each)
    }

    /// The derivatives of `y`, which has one element, with respect to *every* node that it depends
    /// on: recorded, and unpruned.
    ///
    /// # Errors
    /// Those of [`Tape::grad`].
    #[track_caller]
    pub fn gradients<'t>(&'t self, y: Var<'t, T>) -> Result<Gradients<'t, T>, Error> {
        self.check("gradients", y)?;
        let start = self.len();
        let seed = self.ones_seed("gradients", y)?;
        let (graph, cts) = self.sweep_recorded(y, seed, Targets::All)?;
        self.list(y, start, &graph, &cts);
        let by_node = cts.into_iter().enumerate();
        let by_node = by_node.filter_map(|(step, ct)| Some((graph.node(step), ct?))).collect();
        self.recycle(graph);
        Ok(Gradients { tape: self, by_node })
    }

    #[track_caller]
    pub(crate) fn recorded<'t>(
        &'t self,
        name: &'static str,
        y: Var<'t, T>,
        wrt: &[Var<'t, T>],
        ct: Option<Var<'t, T>>,
    ) -> Result<Vec<Var<'t, T>>, Error> {
        let targets = self.targets(name, y, wrt)?;
        let start = self.len();
        let seed = match ct {
            None => self.ones_seed(name, y)?,
            Some(ct) => {
                self.check(name, ct)?;
                self.check_cotangent(name, y, &self.value(ct.id))?;
                ct
            }
        };
        let (graph, cts) = self.sweep_recorded(y, seed, Targets::These(&targets))?;
        self.list(y, start, &graph, &cts);
        let mut answers = Vec::with_capacity(wrt.len());
        for (step, x) in graph.targets.iter().zip(wrt) {
            answers.push(match step.and_then(|step| cts[step]) {
                Some(ct) => ct,
                None => {
                    let zeros = x.zeros_like();
                    zeros.ok().map(|()| zeros)?
                }
            });
        }
        self.recycle(graph);
        Ok(answers)
    }

    fn sweep_recorded<'t>(
        &'t self,
        y: Var<'t, T>,
        seed: Var<'t, T>,
        targets: Targets<'_>,
    ) -> Result<Swept<Var<'t, T>>, Error> {
        let graph = self.plan(y.id, targets);
        let mut cts = vec![None; graph.len()];
        sweep(self, &graph, &Recorded { tape: self }, seed, &mut cts)?;
        Ok((graph, cts))
    }

    #[track_caller]
    pub(crate) fn plain<'t>(
        &'t self,
        name: &'static str,
        y: Var<'t, T>,
        wrt: &[Var<'t, T>],
        ct: Option<T>,
    ) -> Result<Vec<T>, Error> {
        let targets = self.targets(name, y, wrt)?;
        let seed = match ct {
            None => self.ones(name, y)?,
            Some(ct) => {
                self.check_cotangent(name, y, &ct)?;
                ct
            }
        };
        let graph = self.plan(y.id, Targets::These(&targets));
        let scratch = self.spare.scratch.take().unwrap_or_default();
        let mut cts = self.spare.values.take();
        cts.resize(graph.len(), None);
        sweep(self, &graph, &Plain { scratch: &scratch }, seed, &mut cts)?;
        let mut answers = Vec::with_capacity(wrt.len());
        for (step, x) in graph.targets.iter().zip(wrt) {
            answers.push(match step.and_then(|step| cts[step].clone()) {
                Some(ct) => ct,
                None => self.filled(name, x.id, &self.shape(x.id), 0.0)?,
            });
        }
        cts.clear();
        self.spare.values.set(cts);
        self.spare.scratch.set(Some(scratch));
        self.recycle(graph);
        Ok(answers)
    }

    /// Checks the handles of a sweep, and gives the nodes where derivatives are wanted.
    #[track_caller]
    pub(crate) fn targets(
        &self,
        name: &'static str,
        y: Var<'_, T>,
        wrt: &[Var<'_, T>],
    ) -> Result<SmallVec<[NodeId; 4]>, Error> {
        self.check(name, y)?;
        let mut targets = SmallVec::with_capacity(wrt.len());
        for &x in wrt {
            self.check(name, x)?;
            if !x.is_tracked() {
                let (op, location) = self.made_by(x.id);
                return Err(error_here(name, ErrorKind::Untracked { op, location }));
            }
            targets.push(x.id);
        }
        Ok(targets)
    }

    /// The plain cotangent 1 of an output with one element.
    #[track_caller]
    fn ones(&self, name: &'static str, y: Var<'_, T>) -> Result<T, Error> {
        let shape = self.shape(y.id);
        match shape.n_elements() {
            Some(1) => self.filled(name, y.id, &shape, 1.0),
            _ => Err(error_here(name, ErrorKind::NotScalar { shape })),
        }
    }

    /// A tensor of `shape` with all elements `value`, like that of a node in device and dtype.
    #[track_caller]
    pub(crate) fn filled(
        &self,
        name: &'static str,
        id: NodeId,
        shape: &[usize],
        value: f64,
    ) -> Result<T, Error> {
        let location = Location::caller();
        let filled = self.value(id).full(shape, value);
        filled.map_err(|error| Error::new(name, backend(error), location))
    }

    #[track_caller]
    fn ones_seed<'t>(&'t self, name: &'static str, y: Var<'t, T>) -> Result<Var<'t, T>, Error> {
        let seed = self.seed(self.ones(name, y)?);
        seed.ok().map(|()| seed)
    }

    /// Refuses a cotangent or tangent of `x` of another shape or dtype.
    #[track_caller]
    pub(crate) fn check_cotangent(
        &self,
        name: &'static str,
        x: Var<'_, T>,
        ct: &T,
    ) -> Result<(), Error> {
        self.check_tangent(name, &self.shape(x.id), x, ct)
    }

    /// Refuses a cotangent or tangent of `x`, or a stack of them, of another shape than `expected`,
    /// or of another dtype.
    #[track_caller]
    pub(crate) fn check_tangent(
        &self,
        name: &'static str,
        expected: &Shape,
        x: Var<'_, T>,
        t: &T,
    ) -> Result<(), Error> {
        if **expected != *t.shape() {
            let (expected, got) = (expected.clone(), Shape::from(t.shape()));
            return Err(error_here(name, ErrorKind::CotangentShape { expected, got }));
        }
        let (left, right) = (self.value(x.id).dtype(), t.dtype());
        match left == right {
            true => Ok(()),
            false => Err(error_here(name, ErrorKind::DtypeMismatch { left, right })),
        }
    }

    /// Remembers a recorded sweep for the trace: operations newest first, then leaves in order.
    fn list(&self, y: Var<'_, T>, start: usize, graph: &Subgraph, cts: &[Option<Var<'_, T>>]) {
        let both = |step: usize| Some((graph.node(step), cts[step]?.id));
        let steps = 0..cts.len();
        let ops = steps.clone().rev().filter_map(both).filter(|&(id, _)| self.is_op(id));
        let leaves = steps.filter_map(both).filter(|&(id, _)| !self.is_op(id));
        let mut derivatives = Vec::with_capacity(cts.len());
        derivatives.extend(ops.chain(leaves));
        let nodes = start..self.len();
        self.push_sweep(Sweep { mode: Mode::Reverse, y: y.id, nodes, derivatives });
    }
}

/// `Jᵀ ct` of `y` with respect to `x`, recorded but not listed in the trace as a sweep of its own;
/// for rules that are defined by a sweep. Void on error.
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
        Err(error) => y.tape.void_error(error),
    }
}

/// [`vjp_unlisted`] with respect to several nodes, in one sweep, of handles that are not void; `None`
/// stands for zero.
pub(crate) fn vjps_unlisted<'t, T: TensorLike>(
    y: Var<'t, T>,
    ct: Var<'t, T>,
    wrt: &[NodeId],
) -> Result<Vec<Option<Var<'t, T>>>, Error> {
    let (graph, cts) = y.tape.sweep_recorded(y, ct, Targets::These(wrt))?;
    let x_bar = graph.targets.iter().map(|step| step.and_then(|step| cts[step])).collect();
    y.tape.recycle(graph);
    Ok(x_bar)
}

/// The subgraph of a sweep and the derivative at each of its steps.
pub(crate) type Swept<C> = (Subgraph, Vec<Option<C>>);

/// The reverse sweep: fills in `cts`, the cotangents at the steps of `graph`.
fn sweep<'t, T: TensorLike, C: Calculus<'t, T>>(
    home: &'t Tape<T>,
    graph: &Subgraph,
    calculus: &C,
    seed: C::Value,
    cts: &mut [Option<C::Value>],
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
    for step in (0..graph.len()).rev() {
        let inputs = graph.inputs(step);
        if inputs.iter().all(Edge::is_none) {
            continue;
        }
        let keep = C::KEEPS_ALL || graph.is_target(step);
        let ct = if keep { cts[step].clone() } else { cts[step].take() };
        let Some(ct) = ct else { continue };
        let Some((op, location)) = home.op_at(graph.node(step)) else { continue };
        let p = Primal { tape: calculus.tape(), home, node: graph.node(step) };
        lines.inherit(location);
        match op {
            OpRef::Static(op) => pull(op, &p, calculus, ct, inputs, cts, &mut buffers)?,
            OpRef::Shared(op) => pull(&*op, &p, calculus, ct, inputs, cts, &mut buffers)?,
        }
    }
    Ok(())
}

/// What a pull needs for a while, kept for the next one.
struct Buffers<'t, T: TensorLike> {
    wanted: SmallVec<[bool; 4]>,
    x_bar: SmallVec<[Option<Var<'t, T>>; 4]>,
    is_watched: bool,
}

/// Pulls the cotangent of one node back to its inputs, and accumulates there.
fn pull<'t, T: TensorLike, C: Calculus<'t, T>>(
    op: &dyn Op<T>,
    p: &Primal<'t, T>,
    calculus: &C,
    ct: C::Value,
    inputs: &[Edge],
    cts: &mut [Option<C::Value>],
    Buffers { wanted, x_bar, is_watched }: &mut Buffers<'t, T>,
) -> Result<(), Error> {
    // So many arguments need no handles.
    let mut done = 0;
    if !C::KEEPS_ALL && !*is_watched && p.is_uniform() {
        for (arg, input) in inputs.iter().enumerate() {
            if let Some(step) = input.step() {
                let Some(new) = calculus.at_once(op, p, arg, &ct) else { break };
                accumulate(op, calculus, &mut cts[step], new)?;
            }
            done += 1;
        }
        if done == inputs.len() {
            return Ok(());
        }
    }
    wanted.clear();
    wanted.extend(inputs.iter().enumerate().map(|(arg, input)| arg >= done && input.is_some()));
    x_bar.clear();
    x_bar.resize(inputs.len(), None);
    let ct = calculus.enter(ct);
    op.pullback(p, ct, wanted, x_bar);
    for (arg, (&x_bar, input)) in x_bar.iter().zip(inputs).enumerate() {
        let (Some(x_bar), Some(step)) = (x_bar, input.step()) else { continue };
        let new = match calculus.leave(x_bar, |x_bar| p.has_shape_of(arg, x_bar)) {
            Some(new) => new,
            None => fit(op, p, calculus, arg, x_bar)?,
        };
        accumulate(op, calculus, &mut cts[step], new)?;
        if *is_watched && let Some(x_bar) = &cts[step] {
            watch::check_cotangent(p, arg, ct, &calculus.value(x_bar)?)?;
        }
    }
    calculus.end_node();
    Ok(())
}

/// Adds what a node contributes to the cotangent of an input.
#[inline]
fn accumulate<'t, T: TensorLike, C: Calculus<'t, T>>(
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
fn fit<'t, T: TensorLike, C: Calculus<'t, T>>(
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
    let fitted = x_bar.fit(&p.shape(arg));
    let got = fitted.shape().map_err(in_sweep)?;
    let kind = ErrorKind::RuleShape { expected: p.shape(arg), got };
    calculus
        .leave(fitted, |fitted| p.has_shape_of(arg, fitted))
        .ok_or_else(|| rule_error(op, p, kind))
}

/// What a rule did wrong.
#[cold]
fn rule_error<T: TensorLike>(op: &dyn Op<T>, p: &Primal<'_, T>, kind: ErrorKind) -> Error {
    Error::new(op.name(), kind, here(p.tape)).in_sweep(Mode::Reverse, op.name())
}
