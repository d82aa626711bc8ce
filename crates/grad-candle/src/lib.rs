//! Derivatives of any order over [candle](candle_core) tensors: a backend of [`grad_core`].
//!
//! Candle's own graph gives first derivatives. Asked for a derivative of a derivative it answers
//! with a number, and the number is wrong: the second derivative of x⁴ = (x²)² at 3 comes out as
//! 36, because the gradients that its backward pass hands on are cut off from the graph. Here it is
//! 108:
//!
//! ```
//! use grad_candle::CandleTensor;
//! use grad_candle::candle_core::{Device, Tensor};
//! use grad_core::Tape;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let tape = Tape::<CandleTensor>::new();
//! let x = tape.var(Tensor::new(3f64, &Device::Cpu)?);
//! let y = x * x;
//! let [first] = tape.grad(y * y, [x]);
//! let [second] = tape.grad(first, [x]);
//! assert_eq!(second.value()?.into_inner().to_scalar::<f64>()?, 108.0); // 12 x²
//! # Ok(())
//! # }
//! ```
//!
//! Every device and float dtype of candle works; the device and dtype of a computation are those
//! of the tensors it starts from. The features `cuda` and `metal` are those of candle.
//!
//! Where candle's kernels disagree with what [`TensorLike`](grad_core::TensorLike) asks for (NaN
//! in `maximum`, `relu` and `max`, `pow` of negative bases, sums in 16 bits, matrix products with
//! many batch axes), this crate computes the right value instead. Linear systems, inverses,
//! determinants and factors of matrices, which candle does not have, are computed on the host in
//! f64, by `grad_linalg`, and brought back to the device.

pub use candle_core;

mod backend;
mod elementwise;
mod error;
mod kernels;
mod linalg;
mod matmul;
mod movement;
mod reduce;
mod tensor;
mod window;

pub use error::CandleError;
pub use tensor::CandleTensor;
