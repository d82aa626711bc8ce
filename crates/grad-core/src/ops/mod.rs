//! The operations: the calculus of the library, a screen a family.

mod arith;
mod diagonal;
mod elementwise;
mod functional;
mod index;
mod join;
mod linalg;
mod movement;
mod reduce;
mod select;
mod window;

pub use window::{Conv, PerAxis, Pool};
