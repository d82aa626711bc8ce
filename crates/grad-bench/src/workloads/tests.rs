//! What the workloads compare computes the same numbers, at small sizes.

use super::w5_sizes::Sizes;
use super::{engine, w1, w2, w3, w4, w5, w6};

#[test]
fn contenders_of_the_engine_agree() {
    engine::record(100).agree();
    engine::backward(100).agree();
    engine::grad(100).agree();
}

#[test]
fn contenders_of_w1_agree() {
    w1::step("100 operations", 100).agree();
}

#[test]
fn contenders_of_w2_agree() {
    w2::step("a small network", 5, &[7, 6, 5, 3]).agree();
}

#[test]
fn contenders_of_w3_agree() {
    w3::step("few elements", 50).agree();
    w3::step("several blocks", 40_000).agree();
}

#[test]
fn contenders_of_w4_agree() {
    w4::hvp("a small network", 5, 4, 3).agree();
    w4::hessian("four variables", 4).agree();
}

#[test]
fn contenders_of_w5_agree() {
    w5::step("a small block", Sizes { batch: 2, heads: 2, seq: 3, dim: 4 }).agree();
}

#[test]
fn contenders_of_w6_agree() {
    w6::step("few images", 3).agree();
}
