//! Where a number stopped being one: the checks of `detect_nan`, and what they tell.

use std::fmt;
use std::panic::Location;

use crate::error::{Error, ErrorKind, backend};
use crate::op::Primal;
use crate::shape::Shape;
use crate::tape::{NodeId, Tape};
use crate::tensor::TensorLike;
use crate::trace::format_host;
use crate::var::Var;

/// The first number that [`Tape::detect_nan`] found to be NaN or infinite, and what is around it.
///
/// The operation and the line of the [`Error`] are those of the node that it belongs to.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NotFinite {
    /// What it is of the node.
    pub quantity: Quantity,
    /// The name of the node, if it has one.
    pub name: Option<String>,
    /// For a cotangent that a rule gave: the operation of the rule, and its line.
    pub pulled_back: Option<(&'static str, &'static Location<'static>)>,
    /// What is not finite.
    pub found: Statistics,
    /// What it was computed from, each by what it is: the value of the node, its arguments, and for
    /// a cotangent those of the operation that was pulled back.
    pub context: Vec<(String, Statistics)>,
}

/// One of the tensors that belong to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// What was computed, or given for a leaf.
    Value,
    /// The derivative in reverse mode.
    Cotangent,
    /// The derivative in forward mode.
    Tangent,
}

/// What elements a tensor has.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Statistics {
    /// Its shape.
    pub shape: Shape,
    /// How many elements are NaN.
    pub n_nan: usize,
    /// How many elements are infinite.
    pub n_infinite: usize,
    /// The smallest and the largest of the other elements, if there are any.
    pub range: Option<(f64, f64)>,
}

impl Statistics {
    fn of<T: TensorLike>(x: &T) -> Result<Self, T::Error> {
        let data = x.to_host()?;
        let finite = || data.iter().copied().filter(|x| x.is_finite());
        Ok(Statistics {
            shape: Shape::from(x.shape()),
            n_nan: data.iter().filter(|x| x.is_nan()).count(),
            n_infinite: data.iter().filter(|x| x.is_infinite()).count(),
            range: finite().reduce(f64::min).zip(finite().reduce(f64::max)),
        })
    }
}

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
    /// infinite partial derivative; nor are tensors of integers. Programs that use infinities on
    /// purpose, as for masking, [allow](Tape::allow_nan) them there.
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

impl fmt::Display for NotFinite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "the {} of {name:?} is not finite", self.quantity),
            None => write!(f, "the {} is not finite", self.quantity),
        }
    }
}

impl NotFinite {
    /// What follows the line of the node: the rule, and the statistics.
    pub(crate) fn write_details(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((op, location)) = self.pulled_back {
            write!(f, ", while pulling back {op} at {location}")?;
        }
        let quantity = self.quantity.to_string();
        let found = [(&quantity, &self.found)].into_iter();
        let all = || found.clone().chain(self.context.iter().map(|(what, x)| (what, x)));
        let width = all().map(|(what, _)| what.len()).max().unwrap_or(0);
        all().try_for_each(|(what, statistics)| write!(f, "\n  {what:width$}  {statistics}"))
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Quantity::Value => "value",
            Quantity::Cotangent => "cotangent",
            Quantity::Tangent => "tangent",
        })
    }
}

impl fmt::Display for Statistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |n: usize, what: &str| (n > 0).then(|| format!("{n} {what}"));
        let counts: Vec<String> = [count(self.n_nan, "NaN"), count(self.n_infinite, "infinite")]
            .into_iter()
            .flatten()
            .collect();
        let number = |x: f64| format_host(&[], &[x]);
        let range = self.range.map(|(min, max)| match min == max {
            true => number(min),
            false => format!("{} to {}", number(min), number(max)),
        });
        let text = match (counts.join(", "), range) {
            (counts, None) if counts.is_empty() => "no elements".to_string(),
            (counts, None) => counts,
            (counts, Some(range)) if counts.is_empty() => range,
            (counts, Some(range)) => format!("{counts}, else {range}"),
        };
        write!(f, "{}: {text}", self.shape)
    }
}
