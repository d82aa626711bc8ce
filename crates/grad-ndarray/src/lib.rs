#![doc = include_str!("../README.md")]
//!
//! # What costs what
//!
//! A tensor is a shared array and a pending broadcast. `clone`, `full` and `expand` are O(1);
//! elementwise operations work below a pending broadcast and leave it pending; permuting and
//! slicing share the buffer, and so does reshaping where the elements lie in row-major order.
//! Tensors of one element hold it in place and allocate nothing.
//!
//! Products with a tensor that is 1 everywhere, such as the seed of a sweep, share the buffer of the
//! other factor. The rule of an elementwise operation is evaluated in one pass over memory, in blocks
//! that stay in the cache.
//!
//! The loops are compiled in this crate, for both types of elements, and not in yours: a profile
//! that optimizes dependencies makes them fast in a program that is built without optimization.
//!
//! Linear systems, inverses, determinants and factors of matrices are computed by `grad_linalg`, in
//! `f64` for both types of elements, with the feature `linalg`.
//!
//! Loops use the vector instructions that the processor has, found out when they run. Large kernels
//! run on all threads of rayon's pool: as many as there are cores, or as `RAYON_NUM_THREADS` says,
//! or those of a `rayon::ThreadPool` that the program is in. The order of every summation is fixed,
//! and does not depend on the number of threads, so that the same program gives the same bits on the
//! same kind of processor: where there is no fused multiplication and addition, the last place can
//! differ.
//!
//! Elementary functions are, in units in the last place, within 1 (`ln`), 1.2 (`exp`, `exp2`), 1.5
//! (`log1p`, `erf`, `sin`, `cos`), 2 (`expm1`, `log2`, `softplus`) or 2.5 (`tanh`, `sigmoid`) of the
//! true values; the others are those of the standard library or of libm.
//!
//! The buffers of large tensors that operations made are kept for new ones for a while: see
//! [`trim_pool`]. Those of arrays that you bring are freed with their last tensor.
//!
//! # Features
//!
//! Two are on unless one asks for no default features:
//!
//! * `rayon`: several threads.
//! * `linalg`: linear algebra, and products of matrices by [faer](https://docs.rs/faer). Without it,
//!   the methods of linear algebra answer an error that names the feature, products are those of
//!   ndarray itself, and much less is to be compiled.
//!
//! One is off:
//!
//! * `argmin`: the module of that name, which makes problems for argmin's solvers of functions.

// Reading order: the tensor, the trait, the kernels.
mod base;
mod element;
mod error;
mod pool;
mod tensor;
mod threads;

mod backend;

mod elementwise;
mod evaluate;
mod fold;
mod formula;
mod gemm;
mod index;
#[cfg(feature = "linalg")]
mod linalg;
#[cfg(not(feature = "linalg"))]
#[path = "no_linalg.rs"]
mod linalg;
mod math;
mod movement;
mod product;
mod reduce;
mod simd;
mod softmax;
mod strided;
mod walk;
mod window;

#[cfg(feature = "argmin")]
pub mod argmin;

pub use element::Element;
pub use error::NdError;
pub use pool::trim_pool;
pub use tensor::NdTensor;

pub use ndarray;

/// The tutorial, so that its code is compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/tutorial.md")]
mod tutorial {}
