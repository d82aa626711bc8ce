//! `detect_nan`: the tape and its sweeps watch for numbers that are NaN or infinite.

use std::panic::Location;

use crate::ground::{Error, ErrorKind, NotFinite, Quantity, Statistics, TensorLike, backend};
use crate::tape::{NodeId, Primal, Tape, Var};

impl<T: TensorLike> Tape<T> {
    /// From now on, the first number that is NaN or infinite is an error,
    /// [`ErrorKind::NotFinite`].
    ///
    /// Looked at are the value of every node when it is recorded, leaves included, and in every
    /// sweep the cotangent or tangent of every node that it visits. What is not finite gives a void
    /// handle, or the error of the sweep: with the operation, the line, and how many elements of it,
    /// of the value and of the arguments are NaN or infinite, and between what numbers the others
    /// are.
    ///
    /// What rules calculate with on the way is not looked at, since a zero cotangent stops an
    /// infinite partial derivative; nor are tensors of integers. The same holds for a function that is
    /// one operation, as [`checkpoint`](crate::transform::checkpoint()) and
    /// [`custom_vjp`](crate::transform::custom_vjp) make them: what it computes inside is its own
    /// business, and so is what its rule computes inside; what leaves them is looked at. Programs that
    /// use infinities on purpose, as for masking, [allow](Tape::allow_nan) them there.
    ///
    /// Every check reads one number from the device, which takes time; while off, it costs
    /// nothing that could be measured.
    ///
    /// ```
    /// let tape = grad_core::Tape::<f64>::new();
    /// tape.detect_nan();
    /// let x = tape.named_var(-2.0, "x");
    /// let y = (x + 1.0).ln() * 3.0; // ln(−1)
    /// let text = y.value().unwrap_err().to_string();
    /// assert!(text.starts_with("ln: the value is not finite, at "));
    /// assert!(text.ends_with("\n  value       []: 1 NaN\n  argument 0  []: -1.0000"));
    /// ```
    pub fn detect_nan(&self) {
        self.watch(true);
    }

    /// Ends what [`Tape::detect_nan`] began.
    ///
    /// ```
    /// let tape = grad_core::Tape::<f64>::new();
    /// tape.detect_nan();
    /// let x = tape.var(1.0);
    /// tape.allow_nan();
    /// let bound = tape.constant(f64::INFINITY);
    /// tape.detect_nan();
    /// assert_eq!(x.minimum(bound).item()?, 1.0);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    pub fn allow_nan(&self) {
        self.watch(false);
    }
}

/// Checks the value of a node.
#[cold]
pub(crate) fn check_value<T: TensorLike>(x: Var<'_, T>) -> Result<(), Error> {
    check(x.tape, x.id, Quantity::Value, None, &x.tape.value(x.id), || arguments(x.tape, x.id, ""))
}

/// Checks the cotangent that a sweep begins with at `y`.
#[cold]
pub(crate) fn check_seed<T: TensorLike>(tape: &Tape<T>, y: NodeId, seed: &T) -> Result<(), Error> {
    check(tape, y, Quantity::Cotangent, None, seed, || around(tape, y, ""))
}

/// Checks the cotangent of argument `arg` of the operation that is pulled back, whose own is `ct`.
#[cold]
pub(crate) fn check_cotangent<T: TensorLike>(
    p: &Primal<'_, T>,
    arg: usize,
    ct: Var<'_, T>,
    x_bar: &T,
) -> Result<(), Error> {
    // An argument that has a cotangent exists.
    let Ok(x) = p.home.input(p.node, arg) else { return Ok(()) };
    let pulled_back = p.home.made_by(p.node);
    check(p.home, x, Quantity::Cotangent, Some(pulled_back), x_bar, || {
        let of_rule = format!(" of {}", pulled_back.0);
        let mut context = around(p.home, x, "");
        context.extend(ct.value().ok().map(|ct| (format!("cotangent{of_rule}"), ct)));
        context.extend(around(p.home, p.node, &of_rule));
        context
    })
}

/// Checks the tangent `t` of a node, whose arguments have the tangents `x_dot`.
#[cold]
pub(crate) fn check_tangent<T: TensorLike>(
    tape: &Tape<T>,
    y: NodeId,
    t: &T,
    x_dot: &[Option<Var<'_, T>>],
) -> Result<(), Error> {
    check(tape, y, Quantity::Tangent, None, t, || {
        let mut context = around(tape, y, "");
        for (arg, t) in x_dot.iter().enumerate() {
            let t = t.and_then(|t| t.value().ok());
            context.extend(t.map(|t| (format!("tangent of argument {arg}"), t)));
        }
        context
    })
}

/// The value of a node and its arguments, by what they are.
fn around<T: TensorLike>(tape: &Tape<T>, id: NodeId, of: &str) -> Vec<(String, T)> {
    let mut found = vec![(format!("value{of}"), tape.value(id))];
    found.extend(arguments(tape, id, of));
    found
}

fn arguments<T: TensorLike>(tape: &Tape<T>, id: NodeId, of: &str) -> Vec<(String, T)> {
    let inputs = tape.inputs(id).into_iter().enumerate();
    inputs.map(|(arg, x)| (format!("argument {arg}{of}"), tape.value(x))).collect()
}

/// An error if `x`, which belongs to a node, is not finite.
fn check<T: TensorLike>(
    tape: &Tape<T>,
    node: NodeId,
    quantity: Quantity,
    pulled_back: Option<(&'static str, &'static Location<'static>)>,
    x: &T,
    context: impl FnOnce() -> Vec<(String, T)>,
) -> Result<(), Error> {
    let name = || tape.names().get(&node).map(|name| name.to_string());
    let report = |context: Vec<(String, T)>| {
        let statistics = |(what, x): (String, T)| Ok((what, Statistics::of(&x)?));
        let found = Statistics::of(x)?;
        let context = context.into_iter().map(statistics).collect::<Result<_, T::Error>>()?;
        Ok(NotFinite { quantity, name: name(), pulled_back, found, context })
    };
    let kind = match is_finite(x) {
        Ok(true) => return Ok(()),
        Ok(false) => match report(context()) {
            Ok(found) => ErrorKind::NotFinite(Box::new(found)),
            Err(error) => backend::<T::Error>(error),
        },
        Err(error) => backend(error),
    };
    let (op, location) = tape.made_by(node);
    Err(Error::new(op, kind, location))
}

/// Whether no element is NaN or infinite, by one number read from the device: 0 · x is 0 where x is
/// finite, and NaN elsewhere.
fn is_finite<T: TensorLike>(x: &T) -> Result<bool, T::Error> {
    if !x.dtype().is_float() {
        return Ok(true);
    }
    let axes: Vec<usize> = (0..x.shape().len()).collect();
    Ok(x.scale(0.0)?.sum(&axes)?.to_host()?.iter().all(|&sum| sum == 0.0))
}
