//! Forward mode: one sweep over the subgraph, oldest node first, recorded.

use smallvec::SmallVec;

use crate::diagnose::not_finite;
use crate::error::{Error, ErrorKind};
use crate::op::{OpRef, Primal};
use crate::pullback::here;
use crate::subgraph::Targets;
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
        let mut tangents: Vec<Option<Var<'t, T>>> = vec![None; graph.len()];
        for (step, &seed) in graph.targets.iter().zip(&seeds) {
            if let Some(step) = *step {
                // An input that is given twice, or that depends on another, moves by the sum.
                tangents[step] = Some(match tangents[step] {
                    None => seed,
                    Some(other) => other + seed,
                });
            }
        }
        let mut derivatives = Vec::with_capacity(graph.len());
        let is_watched = self.is_watched();
        let lines = self.lines();
        for at in 0..graph.len() {
            let node = graph.node(at);
            if let Some((op, location)) = self.op_at(node) {
                let x_dot: SmallVec<[Option<Var<'t, T>>; 4]> = graph
                    .inputs(at)
                    .iter()
                    .map(|input| input.step().and_then(|at| tangents[at]))
                    .collect();
                if x_dot.iter().any(Option::is_some) {
                    let p = Primal { tape: self, home: self, node };
                    lines.inherit(location);
                    tangents[at] = push_node(&op, &p, &x_dot, tangents[at])
                        .map_err(|error| error.in_sweep(Mode::Forward, op.name()))?;
                }
            }
            if let Some(t) = tangents[at].filter(|_| is_watched) {
                let x_dot = graph.inputs(at).iter().map(|x| x.step().and_then(|at| tangents[at]));
                not_finite::check_tangent(Var { tape: self, id: node }, t, x_dot)?;
            }
            derivatives.extend(tangents[at].map(|t| (node, t.id)));
        }
        drop(lines);
        self.recycle(graph);
        let nodes = start..self.len();
        self.push_sweep(Sweep { mode: Mode::Forward, y: y.id, nodes, derivatives });
        let y_dot = match tangents.pop() {
            Some(Some(y_dot)) => y_dot,
            _ => y.zeros_like(),
        };
        y_dot.ok().map(|()| y_dot)
    }
}

/// The tangent of one node: what the rule gives, and its own where it is an input itself.
fn push_node<'t, T: TensorLike>(
    op: &OpRef<T>,
    p: &Primal<'t, T>,
    tangents: &[Option<Var<'t, T>>],
    own: Option<Var<'t, T>>,
) -> Result<Option<Var<'t, T>>, Error> {
    let rule_error = |kind| Error::new(op.name(), kind, here(p.tape));
    let Some(t) = op.pushforward(p, tangents) else { return Ok(own) };
    if !std::ptr::eq(p.tape, t.tape) {
        return Err(rule_error(ErrorKind::ForeignHandle));
    }
    let (got, expected) = (t.shape()?, p.y_shape());
    let t = match got {
        _ if got == expected => t,
        _ if got.expands_to(&expected) => t.expand(expected),
        _ => return Err(rule_error(ErrorKind::RuleShape { expected, got })),
    };
    let sum = match own {
        None => t,
        Some(own) => t + own,
    };
    sum.ok().map(|()| Some(sum))
}
