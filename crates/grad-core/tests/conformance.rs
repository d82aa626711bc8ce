//! The conformance tests pass on right backends, and fail on wrong ones.

mod support;

use grad_conformance::{Minimal, Reference, method, operation};
use grad_core::{DType, TensorLike, Unsupported};
use support::{Fault, Faulty};

grad_conformance::conformance!(reference: Reference, Reference::from(0.0));
// A fault that is none: the wrapper itself is right, and so are the tolerances of 32 bits.
grad_conformance::conformance!(single: Faulty, Faulty::new(Fault::Single));

#[track_caller]
fn assert_caught(fault: Fault, by: &[&str]) {
    let model = Faulty::new(fault);
    for test in by {
        let verdict = match test.split_once('/') {
            Some(("method", name)) => method(name, &model),
            Some((_, name)) => operation(name, &model),
            None => Ok(()),
        };
        assert!(verdict.is_err(), "{fault:?} passes {test}");
    }
}

#[test]
fn wrong_broadcasting_is_caught() {
    assert_caught(Fault::WrongBroadcast, &["method/add", "operation/add", "operation/mul"]);
}

#[test]
fn a_wrong_tie_is_caught() {
    // maximum is right, but its gradient is not: x and x would get one and a half.
    assert_caught(Fault::WrongTie, &["method/lt", "operation/lt", "operation/maximum"]);
}

#[test]
fn a_stale_cache_is_caught() {
    assert_caught(Fault::StaleCache, &["method/exp", "operation/exp"]);
}

#[test]
fn a_wrong_axis_is_caught() {
    assert_caught(Fault::WrongAxis, &["method/sum", "operation/sum", "operation/add"]);
}

#[test]
fn loss_of_precision_is_caught() {
    assert_caught(Fault::PrecisionLoss, &["method/mul", "operation/mul", "operation/sin"]);
}

#[test]
fn writing_into_a_shared_tensor_is_caught() {
    assert_caught(Fault::WritesInPlace, &["method/accumulate"]);
}

#[test]
fn a_faulty_override_is_caught_and_is_not_in_the_minimal_backend() {
    assert_caught(Fault::LosesNan, &["method/maximum"]);
    assert!(method("maximum", &Minimal(Faulty::new(Fault::LosesNan))).is_ok());
}

#[test]
fn a_finite_number_in_place_of_an_infinity_is_caught() {
    assert_caught(Fault::LosesThePole, &["method/log1p"]);
    assert_caught(Fault::BoundsInfinity, &["method/min"]);
}

#[test]
fn a_failure_says_law_case_and_numbers() {
    let failure =
        operation("mul", &Faulty::new(Fault::PrecisionLoss)).expect_err("a fault").to_string();
    let expected = "value_equals_the_reference: mul: x * y at shapes [[], []]: got ";
    assert!(failure.contains(expected), "{failure}");
}

/// A backend without optional methods.
#[derive(Clone, Debug)]
struct Small(Reference);

#[derive(Debug)]
struct SmallError(String);

impl std::fmt::Display for SmallError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SmallError {}

impl From<Unsupported> for SmallError {
    fn from(unsupported: Unsupported) -> Self {
        SmallError(unsupported.to_string())
    }
}

fn small(x: Result<Reference, impl std::error::Error>) -> Result<Small, SmallError> {
    x.map(Small).map_err(|error| SmallError(error.to_string()))
}

#[rustfmt::skip] // One method a line.
impl TensorLike for Small {
    type Error = SmallError;

    fn shape(&self) -> &[usize] { self.0.shape() }
    fn dtype(&self) -> DType { DType::F64 }
    fn full(&self, shape: &[usize], value: f64) -> Result<Self, SmallError> { small(self.0.full(shape, value)) }
    fn from_host(&self, shape: &[usize], data: &[f64]) -> Result<Self, SmallError> { small(self.0.from_host(shape, data)) }
    fn to_host(&self) -> Result<Vec<f64>, SmallError> { Ok(self.0.data().to_vec()) }
    fn add(&self, rhs: &Self) -> Result<Self, SmallError> { small(self.0.add(&rhs.0)) }
    fn sub(&self, rhs: &Self) -> Result<Self, SmallError> { small(self.0.sub(&rhs.0)) }
    fn mul(&self, rhs: &Self) -> Result<Self, SmallError> { small(self.0.mul(&rhs.0)) }
    fn div(&self, rhs: &Self) -> Result<Self, SmallError> { small(self.0.div(&rhs.0)) }
    fn pow(&self, rhs: &Self) -> Result<Self, SmallError> { small(self.0.pow(&rhs.0)) }
    fn lt(&self, rhs: &Self) -> Result<Self, SmallError> { small(self.0.lt(&rhs.0)) }
    fn eq(&self, rhs: &Self) -> Result<Self, SmallError> { small(TensorLike::eq(&self.0, &rhs.0)) }
    fn select(&self, a: &Self, b: &Self) -> Result<Self, SmallError> { small(self.0.select(&a.0, &b.0)) }
    fn exp(&self) -> Result<Self, SmallError> { small(self.0.exp()) }
    fn ln(&self) -> Result<Self, SmallError> { small(self.0.ln()) }
    fn sin(&self) -> Result<Self, SmallError> { small(self.0.sin()) }
    fn cos(&self) -> Result<Self, SmallError> { small(self.0.cos()) }
    fn tanh(&self) -> Result<Self, SmallError> { small(self.0.tanh()) }
    fn sqrt(&self) -> Result<Self, SmallError> { small(self.0.sqrt()) }
    fn sum(&self, axes: &[usize]) -> Result<Self, SmallError> { small(self.0.sum(axes)) }
    fn max(&self, axes: &[usize]) -> Result<Self, SmallError> { small(self.0.max(axes)) }
    fn reshape(&self, shape: &[usize]) -> Result<Self, SmallError> { small(self.0.reshape(shape)) }
    fn permute(&self, axes: &[usize]) -> Result<Self, SmallError> { small(self.0.permute(axes)) }
    fn expand(&self, shape: &[usize]) -> Result<Self, SmallError> { small(self.0.expand(shape)) }
    fn matmul(&self, rhs: &Self) -> Result<Self, SmallError> { small(self.0.matmul(&rhs.0)) }
}

#[test]
fn optional_methods_that_are_left_out_are_no_failures() {
    // Their error is found by its text, since the backend's error type is its own.
    let small = Small(Reference::from(0.0));
    assert!(TensorLike::slice(&small, &[]).is_err());
    for name in ["slice", "unslice", "index_select", "index_add"] {
        assert!(method(name, &small).is_ok() && operation(name, &small).is_ok(), "{name}");
    }
}
