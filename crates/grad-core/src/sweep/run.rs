//! What a call does before a sweep and after it: it checks the handles, plans, seeds, and hands out
//! the derivatives that were asked for.

use std::panic::Location;

use smallvec::SmallVec;

use crate::ground::{Error, ErrorKind, Mode, Shape, TensorLike, backend, error_here};
use crate::sweep::forward::{self, Count, stacked};
use crate::sweep::live::{self, Live};
use crate::sweep::{Masked, Plain, Recorded, Swept, reverse};
use crate::tape::{NodeId, Subgraph, Sweep, Tape, Targets, Var};

/// Reverse mode.
impl<T: TensorLike> Tape<T> {
    /// The cotangents of `wrt` for the cotangent `ct` of `y`, or for 1: recorded, under the name of
    /// the caller.
    #[track_caller]
    pub(crate) fn pull_recorded<'t>(
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

    /// The derivatives of `y` with respect to every node that it depends on: recorded, under the
    /// name of the caller.
    #[track_caller]
    pub(super) fn pull_to_all<'t>(
        &'t self,
        name: &'static str,
        y: Var<'t, T>,
    ) -> Result<Vec<(NodeId, Var<'t, T>)>, Error> {
        self.check(name, y)?;
        let start = self.len();
        let seed = self.ones_seed(name, y)?;
        let (graph, cts) = self.sweep_recorded(y, seed, Targets::All)?;
        self.list(y, start, &graph, &cts);
        let by_node = cts.into_iter().enumerate();
        let by_node = by_node.filter_map(|(step, ct)| Some((graph.node(step), ct?))).collect();
        self.recycle(graph);
        Ok(by_node)
    }

    fn sweep_recorded<'t>(
        &'t self,
        y: Var<'t, T>,
        seed: Var<'t, T>,
        targets: Targets<'_>,
    ) -> Result<Swept<Var<'t, T>>, Error> {
        let graph = self.plan(y.id, targets);
        let mut cts = vec![None; graph.len()];
        let mut live = Live::reverse(self, &graph);
        if let Some(last) = graph.len().checked_sub(1)
            && live.is_needed(last)
        {
            live.set(last, live::of_seed(seed));
        }
        let calculus = Recorded { tape: self };
        reverse::sweep(self, &graph, &calculus, seed, &mut cts, Some(&mut live))?;
        Ok((graph, cts))
    }

    /// [`Tape::pull_recorded`] as plain tensors.
    ///
    /// The sweep carries no masks at first. What is dead is 0 all the same, unless it meets what is
    /// infinite or NaN, and then the answers are NaN. Only then a careful sweep is made.
    #[track_caller]
    pub(crate) fn pull_plain<'t>(
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
        let calculus = Plain { scratch: &scratch };
        let mut cts = self.spare.values.take();
        let mut answers = Vec::with_capacity(wrt.len());
        let mut is_careful = self.is_watched();
        loop {
            cts.clear();
            cts.resize(graph.len(), None);
            let mut live = is_careful.then(|| Live::reverse(self, &graph));
            if let (Some(live), Some(last)) = (&mut live, graph.len().checked_sub(1)) {
                live.set(last, calculus.mask_of_seed(&seed));
            }
            reverse::sweep(self, &graph, &calculus, seed.clone(), &mut cts, live.as_mut())?;
            answers.clear();
            for (step, x) in graph.targets.iter().zip(wrt) {
                answers.push(match step.and_then(|step| cts[step].clone()) {
                    Some(ct) => ct,
                    None => self.filled(name, x.id, &self.shape(x.id), 0.0)?,
                });
            }
            if is_careful || !any_nan(&answers) {
                break;
            }
            is_careful = true;
        }
        cts.clear();
        self.spare.values.set(cts);
        self.spare.scratch.set(Some(scratch));
        self.recycle(graph);
        Ok(answers)
    }

    /// The plain cotangents of `wrt`, and their masks in a sweep that is careful: if there is the
    /// mask of `ct`.
    pub(crate) fn pull_masked<'t>(
        &'t self,
        y: Var<'t, T>,
        ct: T,
        mask: Option<Option<T>>,
        wrt: &[Var<'t, T>],
    ) -> Result<Vec<Masked<T>>, Error> {
        let targets: Vec<NodeId> = wrt.iter().map(|x| x.id).collect();
        let scratch = Tape::new();
        reverse::swept(y, &Plain { scratch: &scratch }, ct, mask, &targets)
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
        self.record_sweep(Sweep { mode: Mode::Reverse, y: y.id, nodes, derivatives });
    }
}

/// Whether a derivative is NaN somewhere.
fn any_nan<T: TensorLike>(derivatives: &[T]) -> bool {
    derivatives.iter().any(|x| x.has_nan().unwrap_or(true))
}

/// Forward mode.
impl<T: TensorLike> Tape<T> {
    /// The number of tangents in a batch; refuses tangents that are not shaped like their input,
    /// behind that number.
    #[track_caller]
    fn check_tangents(
        &self,
        name: &'static str,
        x: &[Var<'_, T>],
        tangents: &[T],
        count: Count,
    ) -> Result<Option<usize>, Error> {
        let k = match (count, tangents.first().and_then(|t| t.shape().first())) {
            (Count::One, _) => None,
            (Count::Batch, Some(&k)) => Some(k),
            (Count::Batch, None) => {
                let message = "needs a tangent with a leading axis, for the number of tangents";
                return Err(error_here(name, ErrorKind::Parameter { message: message.into() }));
            }
        };
        for (x, t) in x.iter().zip(tangents) {
            self.check_tangent(name, &stacked(k, &self.shape(x.id)), *x, t)?;
        }
        Ok(k)
    }

    /// The tangent of `y`, or a batch of them, for tangents `t` of `x`: recorded, under the name of
    /// the caller.
    #[track_caller]
    pub(crate) fn push_recorded<'t>(
        &'t self,
        name: &'static str,
        y: Var<'t, T>,
        x: &[Var<'t, T>],
        t: Vec<Var<'t, T>>,
        count: Count,
    ) -> Result<Var<'t, T>, Error> {
        let targets = self.targets(name, y, x)?;
        let mut values = Vec::with_capacity(t.len());
        for t in &t {
            self.check(name, *t)?;
            values.push(self.value(t.id));
        }
        let k = self.check_tangents(name, x, &values, count)?;
        let shape = self.y_dot_shape(name, y, k)?;
        let start = self.len();
        let (graph, mut tangents) = self.sweep_forward(y, &targets, t, k)?;
        let both = tangents.iter().enumerate();
        let derivatives = both.filter_map(|(step, t)| Some((graph.node(step), (*t)?.id))).collect();
        self.recycle(graph);
        let nodes = start..self.len();
        self.record_sweep(Sweep { mode: Mode::Forward, y: y.id, nodes, derivatives });
        let y_dot = match tangents.pop().flatten() {
            Some(y_dot) => y_dot,
            None => self.full(y, &shape, 0.0),
        };
        y_dot.ok().map(|()| y_dot)
    }

    #[track_caller]
    pub(super) fn sweep_forward<'t>(
        &'t self,
        y: Var<'t, T>,
        targets: &[NodeId],
        t: Vec<Var<'t, T>>,
        k: Option<usize>,
    ) -> Result<Swept<Var<'t, T>>, Error> {
        let graph = self.plan(y.id, Targets::These(targets));
        let mut tangents = vec![None; graph.len()];
        let calculus = Recorded { tape: self };
        let mut live = Live::forward(self, &graph);
        let seeds = graph.targets.iter().zip(&t).map(|(step, t)| {
            let is_needed = step.is_some_and(|step| live.is_needed(step));
            if is_needed { live::of_seed(*t) } else { None }
        });
        let masks = seeds.collect();
        live.seed(&graph, masks);
        let live = Some(&mut live);
        forward::sweep(self, &graph, &calculus, t, k, &mut tangents, &mut Vec::new(), live)?;
        Ok((graph, tangents))
    }

    /// [`Tape::push_recorded`] as a plain tensor.
    #[track_caller]
    pub(crate) fn push_plain<'t>(
        &'t self,
        name: &'static str,
        y: Var<'t, T>,
        x: &[Var<'t, T>],
        t: Vec<T>,
        count: Count,
    ) -> Result<T, Error> {
        let targets = self.targets(name, y, x)?;
        let k = self.check_tangents(name, x, &t, count)?;
        let shape = self.y_dot_shape(name, y, k)?;
        let graph = self.plan(y.id, Targets::These(&targets));
        let scratch = self.spare.scratch.take().unwrap_or_default();
        let (mut tangents, mut uses) = (self.spare.values.take(), self.spare.uses.take());
        let calculus = Plain { scratch: &scratch };
        let mut is_careful = self.is_watched();
        let y_dot = loop {
            tangents.clear();
            tangents.resize(graph.len(), None);
            let mut live = is_careful.then(|| Live::forward(self, &graph));
            if let Some(live) = &mut live {
                live.seed(&graph, t.iter().map(|t| calculus.mask_of_seed(t)).collect());
            }
            let (seeds, live) = (t.clone(), live.as_mut());
            forward::sweep(self, &graph, &calculus, seeds, k, &mut tangents, &mut uses, live)?;
            let y_dot = tangents.pop().flatten();
            if is_careful || !any_nan(y_dot.as_slice()) {
                break y_dot;
            }
            is_careful = true;
        };
        tangents.clear();
        self.spare.values.set(tangents);
        self.spare.uses.set(uses);
        self.spare.scratch.set(Some(scratch));
        self.recycle(graph);
        match y_dot {
            Some(y_dot) => Ok(y_dot),
            None => self.filled(name, y.id, &shape, 0.0),
        }
    }

    /// The shape of the tangent of `y`, or of k of them.
    #[track_caller]
    fn y_dot_shape(
        &self,
        name: &'static str,
        y: Var<'_, T>,
        k: Option<usize>,
    ) -> Result<Shape, Error> {
        stacked(k, &self.shape(y.id)).checked().map_err(|kind| error_here(name, kind))
    }
}
