//! Programs: what a function computes, written down instead of computed.
//!
//! A [`Symbol`] is a tensor without numbers: it writes down what is asked of it, as a
//! [`Primitive`] of a growing program. Since the engine is generic over the tensor, whatever it
//! computes can be written down so. A rule that is run on symbols becomes a
//! [`Kernel`](crate::extend::Kernel).

mod primitive;
mod symbol;

pub use primitive::{AxisList, Primitive};
pub use symbol::{Program, Symbol, SymbolError};
