//! A tape that explains itself: what holds its memory, where a number stopped being one, and why a
//! gradient does not arrive.
//!
//! * [`Tape::memory`](crate::Tape::memory) lists the buffers that the nodes hold, the largest first,
//!   with the lines that made them.
//! * [`Tape::detect_nan`](crate::Tape::detect_nan) makes an error of the first value, cotangent or
//!   tangent that is NaN or infinite.
//! * [`Tape::why_no_gradient`](crate::Tape::why_no_gradient) says what separates an output from an
//!   input: a `detach`, a constant, a step function, or that there is no path.

mod connection;
mod memory;
pub(crate) mod not_finite;

pub use connection::{Connection, Place, Verdict};
pub use memory::{Buffer, Memory};
pub use not_finite::{NotFinite, Quantity, Statistics};
