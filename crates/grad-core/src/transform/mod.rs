//! What one does with derivatives, a call each.

mod checkpoint;
mod function;
mod params;

pub use checkpoint::checkpoint;
pub use function::{Form, Handles, Inputs};
pub use params::{Bare, Params, WithTape};
