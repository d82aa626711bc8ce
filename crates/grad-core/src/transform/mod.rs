//! What one does with derivatives, a call each.

mod checkpoint;
mod custom;
mod function;
mod params;

pub use checkpoint::checkpoint;
pub use custom::{Cotangents, JvpRule, VjpRule, custom_jvp, custom_vjp, stop_gradient};
pub use function::{Form, Handles, Inputs};
pub use params::{Bare, Params, WithTape};
