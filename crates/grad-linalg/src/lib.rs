#![doc = include_str!("../README.md")]
//!
//! # What is promised
//!
//! [`Matrices`] is row-major data with a shape `[.., m, n]`, checked; the functions factor each
//! matrix, one after the other. Beyond the mathematics they promise:
//!
//! * A matrix with an element that is infinite or NaN has a result of NaN, as any arithmetic would
//!   give; only that matrix of the batch is concerned.
//! * What has no result is an error that says which matrix: [`LinalgError`]. Nothing panics.
//! * Matrices without rows, and batches without matrices, are legal.

mod error;
mod factor;
mod matrices;

pub use error::LinalgError;
pub use factor::{cholesky, eigh, inv, slogdet, solve, triangular_solve};
pub use matrices::Matrices;
