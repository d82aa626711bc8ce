//! The kinds of operations: how most operations are written.
//!
//! Each kind is a trait that states the least, and an adapter that makes an
//! [`Op`](crate::tape::Op) of it.
//!
//! * [`Elementwise`] ([`ByPartial`]) states its partial derivative; both modes follow.
//! * [`Linear`] ([`ByTranspose`]) states its transpose; both modes follow.
//! * [`Step`] ([`NoDerivative`]) is flat wherever it has a derivative; sweeps pass it by.

mod elementwise;
mod kernel;
mod linear;
mod stack;
mod step;

use crate::ground::{ErrorKind, Shape};

pub use elementwise::{ByPartial, Elementwise};
pub use linear::{ByTranspose, Linear};
pub use step::{NoDerivative, Step};

pub(crate) use stack::{align_stack, stack_shape};

/// Refuses a number of arguments other than `expected`.
#[inline]
fn check_arity(expected: usize, x: &[Shape]) -> Result<(), ErrorKind> {
    match x.len() == expected {
        true => Ok(()),
        false => Err(ErrorKind::Arity { expected, got: x.len() }),
    }
}
