//! `checkpoint`: a function whose intermediate values are dropped, and computed again in a sweep.

use crate::ground::{Error, TensorLike};
use crate::kinds::stack_shape;
use crate::sweep::{jvp_unlisted, vjps_masked};
use crate::tape::{Cotangents, NodeId, Primal, Reach, Tangents, Tape, Var};
use crate::transform::function::{AsOp, Inputs, Rule, apply};
use crate::transform::params::Params;

/// `f(x)` as one operation: memory for time. What `f` computes on the way to its value is dropped,
/// and computed once more when a sweep goes through.
///
/// A chain of n steps in segments of √n holds about 2 √n tensors in a [`backward`](Tape::backward)
/// instead of n, and runs every step twice; segments in segments hold less and run more often.
///
/// ```
/// use grad_core::{Tape, transform::checkpoint};
///
/// let tape = Tape::<f64>::new();
/// let (mut x, w) = (tape.var(0.5), tape.var(1.5));
/// let start = x;
/// for _ in 0..10 {
///     // A segment of ten layers.
///     x = checkpoint(|[x, w]| (0..10).fold(x, |x, _| (w * x).tanh()), [x, w]);
/// }
/// assert_eq!(tape.len(), 12); // two variables and ten segments, instead of 202 nodes
/// let [dx, dw] = tape.backward(x, [start, w])?;
/// # assert!(dx > 0.0 && dw > 0.0);
/// # Ok::<(), grad_core::Error>(())
/// ```
///
/// # The function
///
/// It takes what [`Inputs`] says. Everything that is differentiated is an input; what `f` captures
/// it owns, and it cannot capture a handle:
///
/// ```compile_fail,E0597
/// # use grad_core::{Tape, transform::checkpoint};
/// let tape = Tape::<f64>::new();
/// let (x, w) = (tape.var(0.5), tape.var(1.5));
/// let y = checkpoint(move |x| (w * x).tanh(), x); // [x, w] are its inputs
/// ```
///
/// It has one output; several are packed, by [`Tape::concat`] for instance. It must compute the
/// same whenever it runs: random numbers are drawn outside, and passed in. Where
/// [`Tape::check_checkpoints`] is on, as it is by default in debug builds, anything else is an error.
/// A structure, which may be one of parameters, comes with the tape:
///
/// ```
/// # use grad_core::{Tape, transform::checkpoint};
/// # let tape = Tape::<f64>::new();
/// # let (x, w, b) = (tape.var(0.5), tape.var(1.5), tape.var(0.1));
/// let y = checkpoint(|_, (layer, x)| (layer[0] * x + layer[1]).tanh(), (vec![w, b], x));
/// # assert_eq!(y.item()?, (1.5 * 0.5 + 0.1f64).tanh());
/// # Ok::<(), grad_core::Error>(())
/// ```
///
/// # Derivatives
///
/// They equal those without it, in both modes and to any order. The first derivatives are equal to
/// the bit where `f` uses each of its inputs once; otherwise the sums of several contributions to an
/// input are made in another order, and differ in rounding.
///
/// A sweep runs `f` once for all inputs together, and not at all where no derivative passes
/// through. A plain sweep frees what `f` computes before it goes on; a recorded one keeps it, since
/// further derivatives depend on it.
///
/// # Errors
/// Those in `f`, with their lines, as a void handle and from the sweep;
/// [`Parameter`](crate::ErrorKind::Parameter) if the shape is another when `f` runs again, or, where
/// that is checked, a number is; or if there are no inputs; [`ForeignHandle`](crate::ErrorKind::ForeignHandle).
#[track_caller]
pub fn checkpoint<'t, T, P, F>(f: F, x: P) -> Var<'t, T>
where
    T: TensorLike,
    P: Params<Leaf = Var<'t, T>>,
    P: Inputs<T, F, <P as Params>::Convention>,
{
    apply("checkpoint", &x, f, |_| Recompute)
}

impl<T: TensorLike> Tape<T> {
    /// From now on, a sweep compares what a [`checkpoint`] computes again with what it computed first,
    /// and an element that differs is an error. In debug builds this is so from the beginning.
    ///
    /// A function that draws random numbers gives the value of one draw and the gradient of another,
    /// and nothing else shows it. Elements are equal if their bits are, or if both are NaN: the same
    /// computation gives the same bits, on the CPU and by the kernels of candle on a GPU. Where a
    /// library adds up in an order that is not always the same, as some algorithms of cuDNN do,
    /// [`Tape::trust_checkpoints`] allows that.
    ///
    /// The values of both runs are brought to the host, which takes a pass over each.
    ///
    /// ```
    /// use grad_core::{Tape, transform::checkpoint};
    /// use std::cell::Cell;
    ///
    /// let tape = Tape::<f64>::new();
    /// tape.check_checkpoints();
    /// let (x, draws) = (tape.var(3.0), Cell::new(0.0));
    /// let y = checkpoint(move |x| x * draws.replace(draws.get() + 1.0), x);
    /// let text = tape.backward(y, x).unwrap_err().to_string();
    /// assert!(text.starts_with("checkpoint: the function returned another value when it ran again"));
    /// ```
    pub fn check_checkpoints(&self) {
        self.checks.set(true);
    }

    /// Ends what [`Tape::check_checkpoints`] began: from now on, sweeps trust the functions.
    pub fn trust_checkpoints(&self) {
        self.checks.set(false);
    }
}

struct Recompute;

impl<T: TensorLike> Rule<T> for Recompute {
    fn pull<'t>(
        op: &AsOp<T, Self>,
        p: &Primal<'t, T>,
        ct: Var<'t, T>,
        x_bar: &Cotangents<'_, 't, T>,
    ) -> Result<Vec<Option<Var<'t, T>>>, Error> {
        let n = p.n_inputs();
        let wanted = (0..n).filter(|&arg| x_bar.wants(arg));
        let mask = x_bar.masks().map(|masks| masks.y.get());
        // In a plain sweep what is computed again goes at once, and not with the scratch tape, on
        // which it would be recorded in vain.
        let found = if !std::ptr::eq(p.tape, p.home) && !ct.is_tracked() {
            let aside = Tape::new();
            let (x, y) = op.function.again_aside(&aside, p)?;
            let x: Vec<Var<'_, T>> = wanted.clone().map(|arg| x[arg]).collect();
            let value = |mask: Option<Var<'t, T>>| mask.map(|mask| mask.value()).transpose();
            let found = aside.pull_masked(y, ct.value()?, mask.map(value).transpose()?, &x)?;
            let constant = |x: T| p.tape.constant_value(x);
            found
                .into_iter()
                .map(|found| found.map(|(x_bar, mask)| (constant(x_bar), mask.map(constant))))
                .collect()
        } else {
            let (x, y) = op.function.again_here(p)?;
            let x: Vec<NodeId> = wanted.clone().map(|arg| x[arg].id).collect();
            vjps_masked(y, ct, mask, &x)?
        };
        let mut cts = vec![None; n];
        for (arg, found) in wanted.zip(found) {
            let Some((x_bar_of_arg, mask)) = found else { continue };
            cts[arg] = Some(x_bar_of_arg);
            if let Some(masks) = x_bar.masks() {
                masks.x[arg].set(mask);
            }
        }
        Ok(cts)
    }

    fn reach(&self) -> Reach {
        Reach::Told
    }

    fn push<'t>(
        op: &AsOp<T, Self>,
        p: &Primal<'t, T>,
        t: &Tangents<'_, 't, T>,
    ) -> Result<Option<Var<'t, T>>, Error> {
        let (x, y) = op.function.again_here(p)?;
        let moving = || (0..x.len()).filter_map(|arg| Some((arg, t.get(arg)?)));
        let masks = t.masks().map(|masks| moving().map(|(arg, _)| masks.x[arg].get()).collect());
        let (ids, x_dot): (Vec<NodeId>, Vec<Var<'t, T>>) =
            moving().map(|(arg, x_dot)| (x[arg].id, x_dot)).unzip();
        let zeros = |one: Option<&Var<'t, T>>| match (t.stack(), one) {
            (Some(_), Some(&one)) => p.y().zeros_like().expand(stack_shape(one, &p.y_shape())),
            _ => p.y().zeros_like(),
        };
        let first = x_dot.first().copied();
        let found = jvp_unlisted(y, &ids, x_dot, masks, t.stack())?;
        if let Some(masks) = t.masks() {
            masks.y.set(found.and_then(|(_, mask)| mask));
        }
        Ok(Some(found.map_or_else(|| zeros(first.as_ref()), |(y_dot, _)| y_dot)))
    }
}
