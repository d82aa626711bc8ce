//! Forward mode: one sweep over the subgraph, oldest node first, recorded or plain.
//!
//! A plain sweep drops a tangent as soon as the last step that needs it has run, so that it holds
//! no more of them at once than the program has values that are still to be used.

use crate::calculus::{Calculus, Plain, Recorded, here};
use crate::error::{Error, ErrorKind};
use crate::op::{Op, OpRef, Primal};
use crate::subgraph::{Subgraph, Targets};
use crate::tape::Tape;
use crate::tensor::TensorLike;
use crate::var::Var;
use crate::view::{Mode, Sweep};

impl<T: TensorLike> Tape<T> {
    /// The Jacobian-vector product `J t` of `y`, for a tangent `t` of each input `x`: recorded, so
    /// that it can be differentiated again, in either mode.
    ///
    /// # Errors
    /// [`CotangentShape`](ErrorKind::CotangentShape) if a tangent is not shaped like its input;
    /// [`Untracked`](ErrorKind::Untracked) if an input is a constant; the error of a void handle;
    /// whatever goes wrong in a rule.
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let x = tape.var(3.0);
    /// let t = tape.constant(2.0);
    /// assert_eq!(tape.jvp(x * x, [(x, t)])?.item()?, 12.0);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn jvp<'t>(
        &'t self,
        y: Var<'t, T>,
        tangents: impl AsRef<[(Var<'t, T>, Var<'t, T>)]>,
    ) -> Result<Var<'t, T>, Error> {
        let (inputs, seeds): (Vec<_>, Vec<_>) = tangents.as_ref().iter().copied().unzip();
        let targets = self.targets("jvp", y, &inputs)?;
        for (&x, &t) in inputs.iter().zip(&seeds) {
            self.check("jvp", t)?;
            self.check_cotangent("jvp", x, &self.value(t.id))?;
        }
        let start = self.len();
        let graph = self.plan(y.id, Targets::These(&targets));
        let mut tangents = vec![None; graph.len()];
        sweep(self, &graph, &Recorded { tape: self }, seeds, &mut tangents, &mut Vec::new())?;
        let y_dot = tangents.last().copied().flatten();
        self.list_forward(y, start, &graph, &tangents);
        self.recycle(graph);
        match y_dot {
            Some(y_dot) => Ok(y_dot),
            None => {
                let zeros = y.zeros_like();
                zeros.ok().map(|()| zeros)
            }
        }
    }

    /// The Jacobian-vector product `J t` of `y` as a plain tensor, for a tangent `t` of each input
    /// `x`: nothing is recorded, and the tape is left as it was. The fast path where no further
    /// derivative is needed.
    ///
    /// # Errors
    /// Those of [`Tape::jvp`].
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let (x, y) = (tape.var(3.0), tape.var(5.0));
    /// assert_eq!(tape.forward_with(x * y, [(x, 1.0), (y, 2.0)])?, 11.0); // 1 · 5 + 3 · 2
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn forward_with<'t>(
        &'t self,
        y: Var<'t, T>,
        tangents: impl IntoIterator<Item = (Var<'t, T>, impl Into<T>)>,
    ) -> Result<T, Error> {
        let (mut inputs, mut seeds) = (Vec::new(), Vec::new());
        for (x, t) in tangents {
            inputs.push(x);
            seeds.push(t.into());
        }
        let targets = self.targets("forward_with", y, &inputs)?;
        for (&x, t) in inputs.iter().zip(&seeds) {
            self.check_cotangent("forward_with", x, t)?;
        }
        let graph = self.plan(y.id, Targets::These(&targets));
        let scratch = self.spare.scratch.take().unwrap_or_default();
        let (mut tangents, mut uses) = (self.spare.values.take(), self.spare.uses.take());
        tangents.resize(graph.len(), None);
        sweep(self, &graph, &Plain { scratch: &scratch }, seeds, &mut tangents, &mut uses)?;
        let y_dot = tangents.pop().flatten();
        tangents.clear();
        self.spare.values.set(tangents);
        self.spare.uses.set(uses);
        self.spare.scratch.set(Some(scratch));
        self.recycle(graph);
        match y_dot {
            Some(y_dot) => Ok(y_dot),
            None => self.filled("forward_with", y.id, 0.0),
        }
    }

    /// Remembers a recorded sweep for the trace, in recording order.
    fn list_forward(
        &self,
        y: Var<'_, T>,
        start: usize,
        graph: &Subgraph,
        tangents: &[Option<Var<'_, T>>],
    ) {
        let both = tangents.iter().enumerate();
        let derivatives = both.filter_map(|(step, t)| Some((graph.node(step), (*t)?.id))).collect();
        let nodes = start..self.len();
        self.push_sweep(Sweep { mode: Mode::Forward, y: y.id, nodes, derivatives });
    }
}

/// The forward sweep: fills in `tangents`, those at the steps of `graph`, from the `seeds` of its
/// targets. `uses` is a buffer.
#[track_caller]
fn sweep<'t, T: TensorLike, C: Calculus<'t, T>>(
    home: &'t Tape<T>,
    graph: &Subgraph,
    calculus: &C,
    seeds: Vec<C::Value>,
    tangents: &mut [Option<C::Value>],
    uses: &mut Vec<u32>,
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
    if !C::KEEPS_ALL {
        graph.count_uses(uses);
    }
    let lines = calculus.tape().lines();
    let mut x_dot = Vec::new();
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
            x_dot.push(t.map(|t| calculus.enter(t)));
        }
        if x_dot.iter().all(Option::is_none) {
            continue;
        }
        let p = Primal { tape: calculus.tape(), home, node: graph.node(step) };
        lines.inherit(location);
        let own = tangents[step].take();
        tangents[step] = match op {
            OpRef::Static(op) => push(op, &p, calculus, &x_dot, own)?,
            OpRef::Shared(op) => push(&*op, &p, calculus, &x_dot, own)?,
        };
    }
    Ok(())
}

/// The tangent of one node: what the rule gives, and its own where it is an input itself.
fn push<'t, T: TensorLike, C: Calculus<'t, T>>(
    op: &dyn Op<T>,
    p: &Primal<'t, T>,
    calculus: &C,
    x_dot: &[Option<Var<'t, T>>],
    own: Option<C::Value>,
) -> Result<Option<C::Value>, Error> {
    let pushed = match op.pushforward(p, x_dot) {
        None => None,
        Some(t) => Some(match calculus.leave(t, |t| p.has_shape_of_y(t)) {
            Some(t) => t,
            None => fit(op, p, calculus, t)?,
        }),
    };
    let sum = match (pushed, own) {
        (Some(t), Some(own)) => {
            Some(calculus.add(t, own).map_err(|e| e.in_sweep(Mode::Forward, op.name()))?)
        }
        (t, own) => t.or(own),
    };
    calculus.end_node();
    Ok(sum)
}

/// The tangent of an output, broadcast to its shape.
#[cold]
fn fit<'t, T: TensorLike, C: Calculus<'t, T>>(
    op: &dyn Op<T>,
    p: &Primal<'t, T>,
    calculus: &C,
    t: Var<'t, T>,
) -> Result<C::Value, Error> {
    let in_sweep = |error: Error| error.in_sweep(Mode::Forward, op.name());
    let rule_error = |kind| in_sweep(Error::new(op.name(), kind, here(p.tape)));
    if !std::ptr::eq(p.tape, t.tape) {
        return Err(rule_error(ErrorKind::ForeignHandle));
    }
    let (got, expected) = (t.shape().map_err(in_sweep)?, p.y_shape());
    if !got.expands_to(&expected) {
        return Err(rule_error(ErrorKind::RuleShape { expected, got }));
    }
    let t = t.expand(&expected);
    t.ok().map_err(in_sweep)?;
    calculus
        .leave(t, |t| p.has_shape_of_y(t))
        .ok_or_else(|| rule_error(ErrorKind::RuleShape { expected, got }))
}

#[cfg(test)]
mod tests {
    use super::sweep;
    use crate::Tape;
    use crate::calculus::Plain;
    use crate::subgraph::Targets;

    #[test]
    fn a_plain_sweep_drops_each_tangent_after_its_last_use() -> Result<(), crate::Error> {
        let (tape, scratch) = (Tape::<f64>::new(), Tape::new());
        let x = tape.var(2.0);
        let y = (0..10).fold(x, |y, _| y * y + x);
        let graph = tape.plan(y.id(), Targets::These(&[x.id()]));
        let (mut tangents, mut uses) = (vec![None; graph.len()], Vec::new());
        let calculus = Plain { scratch: &scratch };
        sweep(&tape, &graph, &calculus, vec![1.0], &mut tangents, &mut uses)?;
        let kept: Vec<usize> = (0..graph.len()).filter(|&step| tangents[step].is_some()).collect();
        assert_eq!(kept, [graph.len() - 1]);
        assert!(scratch.is_empty());
        Ok(())
    }
}
