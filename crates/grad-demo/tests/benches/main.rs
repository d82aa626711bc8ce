//! The benchmarks run, and what they compare computes the same numbers.

#![allow(clippy::panic, reason = "a failing assertion fails the test")]
#![allow(dead_code, reason = "the targets of benches/ use the rest")]

#[path = "../../benches/common/mod.rs"]
mod common;
#[path = "../../benches/workloads/mod.rs"]
mod workloads;

mod sampling;

use workloads::{engine, w1};

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
