#![doc = include_str!("../README.md")]

pub mod catalogue;
mod compare;
mod conformance;
pub mod dead_zeros;
pub mod differential;
mod draw;
pub mod fuzz;
pub mod laws;
mod matrices;
pub mod methods;
mod minimal;
pub mod modes;
pub mod reads;
pub mod reference;
mod tails;
#[cfg(feature = "vectors")]
pub mod vectors;

pub use catalogue::{Case, catalogue};
pub use compare::{Failure, Verdict};
#[doc(inline)]
pub use grad_core::Random;
pub use laws::operation;
pub use methods::{method, misuse_is_an_error};
pub use minimal::Minimal;
pub use reference::Reference;
pub use tails::{tails, tails_of_three};

/// For the macros, which expand in crates that need not know it.
#[doc(hidden)]
pub use grad_core;

#[allow(clippy::print_stdout)] // What is left out must be seen; the test harness shows it.
fn report(text: &str) {
    println!("{text}");
}
