//! What is told of a number that is NaN or infinite.

use std::fmt;
use std::panic::Location;

use crate::ground::{Shape, TensorLike, format_host};

/// The first number that [`Tape::detect_nan`](crate::Tape::detect_nan) found to be NaN or infinite, and what is around it.
///
/// The operation and the line of the [`Error`](crate::Error) are those of the node that it belongs to.
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
    pub(crate) fn of<T: TensorLike>(x: &T) -> Result<Self, T::Error> {
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
