//! The operations: the calculus of the library, a screen a family.

mod activation;
mod arith;
mod composite;
mod elementwise;
mod functional;
mod index;
mod linalg;
mod movement;
mod power;
mod reduce;
mod scan;
mod select;
mod softmax;
mod sort;
mod trig;
