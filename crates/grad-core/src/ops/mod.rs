//! The operations: the calculus of the library, a screen a family.

mod arith;
mod elementwise;
mod functional;
mod index;
mod linalg;
mod movement;
mod reduce;
mod select;
