//! A tape that explains itself: what holds its memory, and where a number stopped being one.
//!
//! * [`Tape::memory`](crate::Tape::memory) lists the buffers that the nodes hold, the largest first,
//!   with the lines that made them.
//! * [`Tape::detect_nan`](crate::Tape::detect_nan) makes an error of the first value, cotangent or
//!   tangent that is NaN or infinite.

mod memory;
pub(crate) mod not_finite;

pub use memory::{Buffer, Memory};
pub use not_finite::{NotFinite, Quantity, Statistics};
