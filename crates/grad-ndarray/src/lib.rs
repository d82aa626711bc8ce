#![doc = include_str!("../README.md")]
//!
//! # What costs what
//!
//! A tensor is a shared array and a pending broadcast. `clone`, `full` and `expand` are O(1);
//! elementwise operations work below a pending broadcast and leave it pending; permuting and
//! slicing share the buffer, and so does reshaping where the elements lie in row-major order.
//! Tensors of one element hold it in place and allocate nothing.
//!
//! Linear systems, inverses, determinants and factors of matrices are computed by `grad_linalg`, in
//! `f64` for both types of elements.
//!
//! The order of every summation is fixed, and no threads are used, so that the same program gives
//! the same bits.

// Reading order: the tensor, the trait, the kernels.
mod element;
mod error;
mod tensor;

mod backend;

mod elementwise;
mod index;
mod linalg;
mod matmul;
mod movement;
mod reduce;
mod walk;
mod window;

pub use element::Element;
pub use error::NdError;
pub use tensor::NdTensor;

pub use ndarray;

/// The tutorial, so that its code is compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/tutorial.md")]
mod tutorial {}
