//! Test vectors: functions with their derivatives to third order, computed by other engines, and
//! the comparison of ours with them (feature `vectors`).
//!
//! A file holds one JSON object a line. `inputs`, `cotangent`, `tangents` and the expected fields
//! `output`, `grads` (vector-Jacobian product), `jvp`, `hvp` (the derivative of ⟨grads, tangents⟩)
//! and `third` (that of ⟨hvp, tangents⟩) are tensors `{"shape": [..], "data": [..]}`; the strings
//! `"NaN"`, `"Infinity"`, `"-Infinity"` stand for what JSON cannot write. Fields that are absent or
//! null are not compared; a line without any is refused. A scalar needs no cotangent: it is 1.

mod expression;
mod programs;
mod transforms;
mod traps;
mod vocabulary;

use std::fmt;

use grad_core::{DType, Error, Tape, TensorLike, Var};
use serde::Deserialize;
use serde_json::Value;

pub use traps::{Trap, check_trap};

/// A line of a file of test vectors.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct Vector {
    /// `op/tag` or `program/name`.
    pub id: String,
    /// The name of the function.
    pub op: String,
    /// Its constants: axes, indices, masks, targets.
    #[serde(default)]
    pub attrs: Value,
    /// What it is applied to, all differentiated.
    pub inputs: Vec<HostTensor>,
    /// What the vector-Jacobian product is seeded with.
    #[serde(default)]
    pub cotangent: Option<HostTensor>,
    /// One tangent an input.
    #[serde(default)]
    pub tangents: Option<Vec<HostTensor>>,
    #[serde(default)]
    output: Option<HostTensor>,
    #[serde(default)]
    grads: Option<Vec<Option<HostTensor>>>,
    #[serde(default)]
    jvp: Option<HostTensor>,
    #[serde(default)]
    hvp: Option<Vec<Option<HostTensor>>>,
    #[serde(default)]
    third: Option<Vec<Option<HostTensor>>>,
}

/// A tensor of a file.
#[derive(Clone, Debug, Deserialize)]
pub struct HostTensor {
    /// The sizes of the axes.
    pub shape: Vec<usize>,
    /// The elements in row-major order.
    #[serde(deserialize_with = "numbers")]
    pub data: Vec<f64>,
}

impl HostTensor {
    fn check(&self) -> Result<(), String> {
        let n = self.shape.iter().try_fold(1usize, |n, &size| n.checked_mul(size));
        match n == Some(self.data.len()) {
            true => Ok(()),
            false => Err(format!("shape {:?} with {} elements", self.shape, self.data.len())),
        }
    }
}

/// Reads numbers, and the names of those that JSON cannot write.
fn numbers<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Number {
        Finite(f64),
        Mask(bool),
        Named(String),
    }
    let numbers = Vec::<Number>::deserialize(deserializer)?;
    let read = |number| match number {
        Number::Finite(x) => Ok(x),
        Number::Mask(set) => Ok(f64::from(u8::from(set))),
        Number::Named(name) => match &*name {
            "NaN" => Ok(f64::NAN),
            "Infinity" => Ok(f64::INFINITY),
            "-Infinity" => Ok(f64::NEG_INFINITY),
            _ => Err(serde::de::Error::custom(format!("{name:?} is not a number"))),
        },
    };
    numbers.into_iter().map(read).collect()
}

/// The names of functions that a vector may have, but for programs and `nth_derivative`.
pub fn names() -> Vec<&'static str> {
    vocabulary::names()
}

/// Reads the vectors of a file's text; empty lines are passed over.
///
/// # Errors
/// What is wrong, with the number of the line.
pub fn parse(text: &str) -> Result<Vec<Vector>, String> {
    parse_lines(text, Vector::check)
}

/// Reads the traps of a file's text; empty lines are passed over.
///
/// # Errors
/// What is wrong, with the number of the line.
pub fn parse_traps(text: &str) -> Result<Vec<Trap>, String> {
    parse_lines(text, Trap::check)
}

fn parse_lines<X: serde::de::DeserializeOwned>(
    text: &str,
    check: impl Fn(&X) -> Result<(), String>,
) -> Result<Vec<X>, String> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let read = |(number, line): (usize, &str)| {
        let at = |what: String| format!("line {}: {what}", number + 1);
        let item = serde_json::from_str(line).map_err(|error| at(error.to_string()))?;
        check(&item).map_err(at)?;
        Ok(item)
    };
    lines.map(read).collect()
}

impl Vector {
    fn check(&self) -> Result<(), String> {
        let expected = [&self.grads, &self.hvp, &self.third];
        let counts = expected.iter().filter_map(|list| list.as_ref().map(Vec::len));
        for n in counts.chain(self.tangents.as_ref().map(Vec::len)) {
            if n != self.inputs.len() {
                return Err(format!("{n} tensors for {} inputs", self.inputs.len()));
            }
        }
        let single = [&self.cotangent, &self.output, &self.jvp].into_iter().flatten();
        let lists = expected.into_iter().flatten().flatten().flatten();
        let tangents = self.tangents.iter().flatten();
        self.inputs
            .iter()
            .chain(single)
            .chain(lists)
            .chain(tangents)
            .try_for_each(HostTensor::check)?;
        let of_second_order = self.hvp.is_some() || self.third.is_some();
        if (self.jvp.is_some() || of_second_order) && self.tangents.is_none() {
            return Err("jvp, hvp and third need tangents".to_string());
        }
        if self.output.is_none() && self.grads.is_none() && self.jvp.is_none() && !of_second_order {
            return Err("there is nothing to compare with".to_string());
        }
        Ok(())
    }

    /// True if single precision cannot be expected to agree.
    fn needs_double(&self) -> bool {
        let tag = self.id.split_once('/').map_or("", |(_, tag)| tag);
        ["edge", "extreme", "scale", "large"].iter().any(|&special| tag.starts_with(special))
    }
}

/// What came of a vector.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Every field that is given agrees.
    Passed,
    /// The first disagreement.
    Failed(Failure),
    /// There is no function of this name.
    Unknown,
    /// Not compared, since it needs more precision than the backend's dtype has.
    NeedsDouble,
}

/// A disagreement.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// The field that disagrees.
    pub field: String,
    /// Our number, or an error.
    pub got: String,
    /// The expected one.
    pub want: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: got {}, want {}", self.field, self.got, self.want)
    }
}

impl From<Failure> for Error {
    #[track_caller]
    fn from(failure: Failure) -> Self {
        Error::msg(failure)
    }
}

/// Runs a vector on the backend of the model tensor, and compares every field that is given.
///
/// Elementwise `|got − want| ≤ rtol · max(|got|, |want|) + atol`, with rtol 1e-9 for output, grads
/// and jvp, 1e-8 for hvp, 1e-7 for third, and atol 1e-10 · max(1, max|want|); in less than double
/// precision with rtol 2e-4 and atol 1e-5 · max(1, max|want|).
pub fn check<T: TensorLike>(model: &T, vector: &Vector) -> Outcome {
    let double = model.dtype() == DType::F64;
    if !double && vector.needs_double() {
        return Outcome::NeedsDouble;
    }
    match run(model, vector, Tolerance { double }) {
        Ok(true) => Outcome::Passed,
        Ok(false) => Outcome::Unknown,
        Err(failure) => Outcome::Failed(failure),
    }
}

fn run<T: TensorLike>(model: &T, vector: &Vector, tolerance: Tolerance) -> Result<bool, Failure> {
    let tape = Tape::<T>::new();
    let failed = |field: &str, error: &dyn fmt::Display| Failure {
        field: field.to_string(),
        got: error.to_string(),
        want: "a value".to_string(),
    };
    let tensor = |x: &HostTensor| {
        model.from_host(&x.shape, &x.data).map_err(|error| failed("inputs", &error))
    };
    let mut x = Vec::new();
    for input in &vector.inputs {
        x.push(tape.var(tensor(input)?));
    }
    if vector.op == "nth_derivative" {
        let y = expression::nth_derivatives(&tape, &x, &vector.attrs);
        let y = y.map_err(|error| failed("output", &error))?;
        let got: Result<Vec<f64>, _> = y.iter().map(|y| y.item()).collect();
        let got = got.map_err(|error| failed("output", &error))?;
        tolerance.compare("output", vector.output.as_ref(), &[got.len()], &got)?;
        return Ok(true);
    }
    let y = match vocabulary::apply(&tape, &vector.op, &vector.attrs, &x) {
        Some(y) => y,
        None => return Ok(false),
    };
    let y = y.map_err(|error| failed("attrs", &error))?;
    let compare = |field: &str, want: Option<&HostTensor>, got: Var<'_, T>| {
        let host = got.shape().and_then(|shape| Ok((shape, got.to_host()?)));
        let (shape, data) = host.map_err(|error| failed(field, &error))?;
        tolerance.compare(field, want, &shape, &data)
    };
    compare("output", vector.output.as_ref(), y)?;
    let n_outputs = y.shape().ok().and_then(|shape| shape.n_elements());
    let ct = match &vector.cotangent {
        Some(ct) => tape.constant(tensor(ct)?),
        None if n_outputs == Some(1) => y.ones_like(),
        None if vector.grads.is_none() && vector.tangents.is_none() => return Ok(true),
        None => return Err(failed("cotangent", &"none, for an output that is not one number")),
    };

    // First order, reverse: recorded, and plain.
    let grads = tape.vjp(y, ct, &x);
    let plain = ct.value().and_then(|ct| tape.plain().vjp(y, ct, &x));
    let plain = plain.map_err(|error| failed("grads (plain)", &error))?;
    let wants = |list: &Option<Vec<Option<HostTensor>>>| match list {
        Some(list) => list.clone(),
        None => vec![None; x.len()],
    };
    for (want, (&grad, plain)) in wants(&vector.grads).iter().zip(grads.iter().zip(plain)) {
        compare("grads", want.as_ref(), grad)?;
        compare("grads (plain)", want.as_ref(), tape.constant(plain))?;
    }

    // First order, forward.
    let Some(tangents) = &vector.tangents else {
        return transforms::check(model, vector, tolerance).map(|()| true);
    };
    let mut v = Vec::new();
    for tangent in tangents {
        v.push(tape.constant(tensor(tangent)?));
    }
    let pairs = || x.iter().copied().zip(v.iter().copied());
    let jvp = tape.jvp(y, pairs());
    compare("jvp", vector.jvp.as_ref(), jvp)?;

    // Second order: reverse over reverse, forward over reverse and reverse over forward; then third
    // order in the first two ways. All are the same by the symmetry of second derivatives.
    if vector.hvp.is_some() {
        let over_forward = tape.grad((jvp * ct).sum(), &x);
        for (want, got) in wants(&vector.hvp).iter().zip(over_forward) {
            compare("hvp (reverse over forward)", want.as_ref(), got)?;
        }
    }
    let mut lower = grads;
    for (field, want) in [("hvp", &vector.hvp), ("third", &vector.third)] {
        if vector.third.is_none() && want.is_none() {
            break;
        }
        let mut s = ct.new_constant([], &[0.0]);
        for (&g, &v) in lower.iter().zip(&v) {
            s += (g * v).sum();
        }
        let higher = tape.grad(s, &x);
        for ((want, &got), &g) in wants(want).iter().zip(&higher).zip(&lower) {
            compare(field, want.as_ref(), got)?;
            let forward = tape.jvp(g, pairs());
            compare(&format!("{field} (forward over reverse)"), want.as_ref(), forward)?;
        }
        lower = higher;
    }
    transforms::check(model, vector, tolerance)?;
    Ok(true)
}

#[derive(Clone, Copy)]
struct Tolerance {
    double: bool,
}

impl Tolerance {
    fn compare(
        self,
        field: &str,
        want: Option<&HostTensor>,
        shape: &[usize],
        got: &[f64],
    ) -> Result<(), Failure> {
        let Some(want) = want else { return Ok(()) };
        let failure = |got: String, want: String| Failure { field: field.to_string(), got, want };
        if *want.shape != *shape {
            return Err(failure(format!("shape {shape:?}"), format!("shape {:?}", want.shape)));
        }
        let (rtol, atol) = match (self.double, field) {
            (false, _) => (2e-4, 1e-5),
            (true, field) if field.starts_with("third") => (1e-7, 1e-10),
            (true, field) if field.starts_with("hvp") => (1e-8, 1e-10),
            (true, _) => (1e-9, 1e-10),
        };
        let finite = want.data.iter().map(|x| f64::abs(*x)).filter(|&x| f64::is_finite(x));
        let atol = atol * finite.fold(1.0, f64::max);
        for (place, (&got, &want)) in got.iter().zip(&want.data).enumerate() {
            let same = got == want || (f64::is_nan(got) && f64::is_nan(want));
            let close =
                f64::abs(got - want) <= rtol * f64::max(f64::abs(got), f64::abs(want)) + atol;
            // A difference from an infinity is within any share of it.
            let agree = same || (close && f64::is_finite(got) && f64::is_finite(want));
            if !agree {
                return Err(failure(format!("{got:?} at {place}"), format!("{want:?}")));
            }
        }
        Ok(())
    }
}
