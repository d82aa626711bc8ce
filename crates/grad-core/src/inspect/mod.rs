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
mod gradcheck;
mod memory;
mod trace;

pub use connection::{Connection, Place, Verdict};
pub use gradcheck::{Derivative, Finding, Gradcheck, GradcheckError, Worst, gradcheck};
pub use memory::{Buffer, Memory};
pub use trace::{Trace, TraceDerivative, TraceNode, TraceSweep};

pub use crate::ground::{Mode, NotFinite, Quantity, Statistics, format_host, format_tensor};
pub use crate::tape::{Node, NodeKind, Sweep};
