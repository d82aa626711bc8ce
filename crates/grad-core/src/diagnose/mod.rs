//! A tape that explains itself: what holds its memory.
//!
//! * [`Tape::memory`](crate::Tape::memory) lists the buffers that the nodes hold, the largest first,
//!   with the lines that made them.

mod memory;

pub use memory::{Buffer, Memory};
