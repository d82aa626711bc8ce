//! The sweeps: derivatives in reverse and in forward mode.
//!
//! A sweep is one loop over the part of the tape between an output and the inputs. It knows no
//! concrete operation.

mod calculus;
pub(crate) mod calls;
mod forward;
mod live;
mod reads;
mod reverse;
mod run;
mod transpose;
mod wrt;

#[allow(unreachable_pub)] // In a hidden method of a public trait.
pub use forward::Count;
pub use wrt::{Gradients, Wrt};

pub(crate) use calculus::{Calculus, Plain, Recorded, here, worth};
pub(crate) use forward::jvp_unlisted;
pub(crate) use reverse::{Masked, Swept, vjp_unlisted, vjps_masked, vjps_unlisted};
