//! Comparing what a backend computed with what the reference says.

use std::fmt;

use grad_core::inspect::format_tensor;
use grad_core::{DType, Error, Shape, Slice, TensorLike, Unsupported};

use crate::Reference;
use crate::reference::ReferenceError;

/// What a law found wrong; `Debug` is the text, so that a test which returns it is readable.
#[derive(Clone)]
pub struct Failure(String);

/// What a law answers.
pub type Verdict = Result<(), Failure>;

impl Failure {
    /// A failure with this text.
    pub fn new(text: impl fmt::Display) -> Self {
        Failure(text.to_string())
    }

    /// The failure, found in `context`.
    #[must_use]
    pub fn within(self, context: impl fmt::Display) -> Self {
        Failure(format!("{context}: {}", self.0))
    }

    /// All failures as one, or none.
    ///
    /// # Errors
    /// Where there is a failure.
    pub fn all(failures: &[Failure]) -> Verdict {
        match failures {
            [] => Ok(()),
            _ => Err(Failure(lines(failures))),
        }
    }
}

/// How many failures a text lists in full.
const LISTED: usize = 8;

fn lines(failures: &[Failure]) -> String {
    let mut text = format!("{} failed", failures.len());
    for failure in failures.iter().take(LISTED) {
        text.push_str("\n  ");
        text.push_str(&failure.0);
    }
    if failures.len() > LISTED {
        text.push_str("\n  ..");
    }
    text
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::new(error)
    }
}

impl From<ReferenceError> for Failure {
    fn from(error: ReferenceError) -> Self {
        Failure::new(error).within("the reference failed")
    }
}

impl From<Failure> for Error {
    #[track_caller]
    fn from(failure: Failure) -> Self {
        Error::msg(failure)
    }
}

/// The tensor of `shape` and `data` like `model`, and what the reference makes of the numbers that
/// it really holds, after rounding.
pub(crate) fn pair<T: TensorLike>(
    model: &T,
    shape: &Shape,
    data: &[f64],
) -> Result<(T, Reference), Failure> {
    let x = model.from_host(shape, data).map_err(|e| Failure::new(e).within("from_host"))?;
    let oracle = twin(&x)?;
    Ok((x, oracle))
}

/// The reference tensor with the elements of `x`.
pub(crate) fn twin<T: TensorLike>(x: &T) -> Result<Reference, Failure> {
    let data = x.to_host().map_err(|e| Failure::new(e).within("to_host"))?;
    Ok(Reference::new(x.shape(), data)?)
}

/// In which way the elements of a tensor lie in memory, as far as one can ask for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// As `from_host` makes it.
    Direct,
    /// Permuted from the reversed order of axes.
    Permuted,
    /// Expanded from size 1 along the first axis, so that the elements repeat.
    Expanded,
    /// Every second element of a larger tensor.
    Sliced,
}

impl Layout {
    pub(crate) const ALL: [Layout; 4] =
        [Layout::Direct, Layout::Permuted, Layout::Expanded, Layout::Sliced];

    /// The tensor of `shape` and `data` in this layout, or `None` where it is no other than
    /// [`Layout::Direct`] or the backend leaves the method out.
    pub(crate) fn lay_out<T: TensorLike>(
        self,
        model: &T,
        shape: &Shape,
        data: &[f64],
    ) -> Result<Option<(T, Reference)>, Failure> {
        let failed = |error: T::Error| Failure::new(error).within(format!("{self:?} input"));
        let from_host = |x: &Reference| model.from_host(x.shape(), x.data()).map_err(failed);
        let wanted = Reference::new(shape, data.to_vec())?;
        let x = match self {
            Layout::Direct => from_host(&wanted)?,
            Layout::Permuted if shape.rank() > 1 => {
                let reversed: Vec<usize> = (0..shape.rank()).rev().collect();
                from_host(&wanted.permute(&reversed)?)?.permute(&reversed).map_err(failed)?
            }
            Layout::Expanded if shape.rank() > 0 && !data.is_empty() => {
                let first = data.len() / shape[0];
                let first = Reference::new(shape.keeping(&[0]), data[..first].to_vec())?;
                from_host(&first)?.expand(shape).map_err(failed)?
            }
            Layout::Sliced if shape.rank() > 0 => {
                let whole: Shape = shape.iter().map(|n| 2 * n + 1).collect();
                let part = |n: &usize| Slice { start: 1, stop: 2 * n + 1, step: 2 };
                let slices: Vec<Slice> = shape.iter().map(part).collect();
                match from_host(&wanted.unslice(&whole, &slices)?)?.slice(&slices) {
                    Ok(x) => x,
                    Err(error) if is_unsupported(&error) => return Ok(None),
                    Err(error) => return Err(failed(error)),
                }
            }
            _ => return Ok(None),
        };
        let oracle = twin(&x)?;
        let same = |(a, b): (&f64, &f64)| a == b || a.is_nan() && b.is_nan();
        let repeated = self == Layout::Expanded;
        let rounded = from_host(&wanted)?.to_host().map_err(failed)?;
        match x.shape() == &shape[..] && (repeated || rounded.iter().zip(oracle.data()).all(same)) {
            true => Ok(Some((x, oracle))),
            false => {
                let (got, wanted) = (describe(&oracle), describe(&wanted));
                Err(Failure(format!("{self:?} input: got {got}, wanted {wanted}")))
            }
        }
    }
}

/// True for the error of an optional method that the backend leaves out.
pub(crate) fn is_unsupported(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<Unsupported>() || error.to_string().contains("is unsupported") {
            return true;
        }
        next = error.source();
    }
    false
}

/// How far from the reference a result may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tolerance {
    /// Relative to the element wanted.
    pub(crate) relative: f64,
    /// Relative to `scale`.
    pub(crate) absolute: f64,
}

/// Fails unless `got` is `wanted` up to rounding: in shape and dtype, and in each element within
/// the tolerance. NaN is NaN; the sign of zero does not count; what is too large for the dtype may
/// be infinite, what is too small may be zero.
pub(crate) fn close<T: TensorLike>(
    got: &T,
    wanted: &Reference,
    dtype: DType,
    tolerance: Tolerance,
    scale: impl Fn(usize) -> f64,
) -> Verdict {
    if got.shape() != wanted.shape() {
        let (got, wanted) = (Shape::from(got.shape()), Shape::from(wanted.shape()));
        return Err(Failure(format!("got shape {got}, wanted {wanted}")));
    }
    if got.dtype() != dtype {
        return Err(Failure(format!("got dtype {}, wanted {dtype}", got.dtype())));
    }
    let got = twin(got)?;
    let (largest, smallest) = range(dtype);
    let agree = |(place, (&got, &wanted)): (usize, (&f64, &f64))| {
        // A fraction of ∞ would allow any number: what is infinite allows nothing.
        let finite = |size: f64| if size.is_finite() { size } else { 0.0 };
        let allowed =
            tolerance.relative * finite(wanted.abs()) + tolerance.absolute * finite(scale(place));
        let in_range = wanted.abs() <= largest * (1.0 - dtype.epsilon());
        got == wanted
            || got.is_nan() && wanted.is_nan()
            || (got - wanted).abs() <= allowed.max(smallest)
            || !in_range && got == f64::INFINITY.copysign(wanted)
    };
    let mut pairs = got.data().iter().zip(wanted.data()).enumerate();
    match pairs.find(|&pair| !agree(pair)) {
        None => Ok(()),
        Some((place, (at, expected))) => {
            let (got, wanted) = (describe(&got), describe(wanted));
            Err(Failure(format!(
                "got {at:e}, wanted {expected:e} at place {place} of {got}, wanted {wanted}"
            )))
        }
    }
}

/// The largest number of a dtype, and the smallest that has all its digits.
fn range(dtype: DType) -> (f64, f64) {
    match dtype {
        DType::F16 => (65504.0, 6.2e-5),
        DType::BF16 | DType::F32 => (f64::from(f32::MAX), f64::from(f32::MIN_POSITIVE)),
        _ => (f64::MAX, f64::MIN_POSITIVE),
    }
}

/// Shape and elements, on one line.
pub(crate) fn describe(x: &Reference) -> String {
    let shape = Shape::from(x.shape());
    format!("{} of shape {shape}", format_tensor(x))
}
