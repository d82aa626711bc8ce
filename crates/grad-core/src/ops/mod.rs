//! The operations: the calculus of the library, a screen a family.

mod activation;
mod arith;
mod composite;
mod diagonal;
mod einsum;
mod elementwise;
mod functional;
mod index;
mod join;
mod linalg;
mod movement;
mod power;
mod reduce;
mod scan;
mod select;
mod softmax;
mod sort;
mod trig;
mod window;

pub use window::{Conv, PerAxis, Pool};
