//! What one does with derivatives, a call each.

mod params;

pub use params::{Bare, Params, WithTape};
