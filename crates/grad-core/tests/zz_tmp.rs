//! x
use grad_core::testing::fuzz::*;
use grad_core::testing::{Minimal, Reference};
#[test]
fn long() {
    never_panics(&Reference::from(0.0), 10_000..60_000).unwrap();
}
#[test]
fn agree() {
    fails_like_the_reference(&Minimal(Reference::from(0.0)), 0..3000).unwrap();
}
