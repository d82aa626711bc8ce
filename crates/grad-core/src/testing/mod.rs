//! What the tests of backends compare with, and the tests themselves.
//!
//! A backend calls [`conformance!`](crate::conformance) in a test file, and gets a test for each
//! method of [`TensorLike`](crate::TensorLike) and for each operation.

pub mod catalogue;
mod compare;
mod conformance;
pub mod differential;
pub mod fuzz;
pub mod laws;
mod matrices;
pub mod methods;
mod minimal;
pub mod reference;
#[cfg(feature = "vectors")]
pub mod vectors;

pub use crate::ground::Random;
pub use catalogue::{Case, catalogue};
pub use compare::{Failure, Verdict};
pub use laws::operation;
pub use methods::{method, misuse_is_an_error};
pub use minimal::Minimal;
pub use reference::Reference;

#[allow(clippy::print_stdout)] // What is left out must be seen; the test harness shows it.
fn report(text: &str) {
    println!("{text}");
}
