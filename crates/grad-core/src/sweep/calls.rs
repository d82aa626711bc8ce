//! The calls of a tape that start a sweep.

use std::panic::Location;

use smallvec::SmallVec;

use crate::ground::{Error, ErrorKind, Mode, Shape, TensorLike, backend, error_here};
use crate::sweep::forward::{self, Count, stacked};
use crate::sweep::{Gradients, Plain, Recorded, Swept, Wrt, reverse};
use crate::tape::{NodeId, Subgraph, Sweep, Tape, Targets, Var};

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

    pub(super) fn sweep_recorded<'t>(
        &'t self,
        y: Var<'t, T>,
        seed: Var<'t, T>,
        targets: Targets<'_>,
    ) -> Result<Swept<Var<'t, T>>, Error> {
        let graph = self.plan(y.id, targets);
        let mut cts = vec![None; graph.len()];
        reverse::sweep(self, &graph, &Recorded { tape: self }, seed, &mut cts)?;
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
        reverse::sweep(self, &graph, &Plain { scratch: &scratch }, seed, &mut cts)?;
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
        let (x, t): (Vec<_>, Vec<_>) = tangents.as_ref().iter().copied().unzip();
        self.push_recorded("jvp", y, &x, t, Count::One)
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
        let (x, t) = unzip(tangents);
        self.push_plain("forward_with", y, &x, t, Count::One)
    }

    /// [`Tape::jvp`] for k tangents at once, which are stacked along a leading axis: those of an
    /// input of shape `[..]` have shape `[k, ..]`, and so has the answer. Recorded.
    ///
    /// One sweep does the work of k, and visits each operation once where the operation has a rule
    /// for it ([`Op::batched`]), as all but a few of this library have.
    ///
    /// # Errors
    /// [`CotangentShape`](ErrorKind::CotangentShape) if a tangent is not shaped like its input,
    /// behind a leading axis of the same size for all; [`Parameter`](ErrorKind::Parameter) if that
    /// size is unknown, for want of a tangent with an axis; otherwise those of [`Tape::jvp`].
    ///
    /// ```
    /// use grad_core::Tape;
    /// use grad_conformance::Reference;
    ///
    /// let tape = Tape::<Reference>::new();
    /// let x = tape.var(vec![1.0, 2.0]);
    /// let dx = tape.grad(x.powi(3).sum(), x)?; // 3 x²
    /// let columns = tape.constant(Reference::new([2, 2], vec![1.0, 0.0, 0.0, 1.0])?);
    /// let hessian = tape.jvp_batch(dx, [(x, columns)])?;
    /// assert_eq!(hessian.to_host()?, [6.0, 0.0, 0.0, 12.0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn jvp_batch<'t>(
        &'t self,
        y: Var<'t, T>,
        tangents: impl AsRef<[(Var<'t, T>, Var<'t, T>)]>,
    ) -> Result<Var<'t, T>, Error> {
        let (x, t): (Vec<_>, Vec<_>) = tangents.as_ref().iter().copied().unzip();
        self.push_recorded("jvp_batch", y, &x, t, Count::Batch)
    }

    /// [`Tape::jvp_batch`] as a plain tensor: nothing is recorded, and the tape is left as it was.
    ///
    /// # Errors
    /// Those of [`Tape::jvp_batch`].
    ///
    /// ```
    /// use grad_core::Tape;
    /// use grad_conformance::Reference;
    ///
    /// let tape = Tape::<Reference>::new();
    /// let x = tape.var(3.0);
    /// let pushed = tape.forward_batch(x * x, [(x, vec![1.0, 10.0])])?;
    /// assert_eq!(pushed.data(), [6.0, 60.0]);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn forward_batch<'t>(
        &'t self,
        y: Var<'t, T>,
        tangents: impl IntoIterator<Item = (Var<'t, T>, impl Into<T>)>,
    ) -> Result<T, Error> {
        let (x, t) = unzip(tangents);
        self.push_plain("forward_batch", y, &x, t, Count::Batch)
    }

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
        self.push_sweep(Sweep { mode: Mode::Forward, y: y.id, nodes, derivatives });
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
        forward::sweep(self, &graph, &calculus, t, k, &mut tangents, &mut Vec::new())?;
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
        tangents.resize(graph.len(), None);
        let calculus = Plain { scratch: &scratch };
        forward::sweep(self, &graph, &calculus, t, k, &mut tangents, &mut uses)?;
        let y_dot = tangents.pop().flatten();
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

fn unzip<X, T>(tangents: impl IntoIterator<Item = (X, impl Into<T>)>) -> (Vec<X>, Vec<T>) {
    tangents.into_iter().map(|(x, t)| (x, t.into())).unzip()
}
