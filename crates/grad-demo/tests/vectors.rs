//! The public test vectors and traps, computed by PyTorch and JAX in float64, on both backends.

use grad_candle::CandleTensor;
use grad_conformance::vectors::{Outcome, check, check_trap, parse, parse_traps};
use grad_core::TensorLike;
use grad_ndarray::NdTensor;

const OPS: &str = include_str!("../../grad-conformance/tests/data/ops.jsonl");
const VARIANTS: &str = include_str!("../../grad-conformance/tests/data/variants.jsonl");
const TRAPS: &str = include_str!("../../grad-conformance/tests/data/traps.jsonl");

/// Every vector passes but those that say that they need double precision.
fn vectors_pass<T: TensorLike>(text: &str, model: &T, n_need_double: usize) {
    let vectors = parse(text).expect("a file of vectors");
    let mut failures = Vec::new();
    let mut skipped = 0;
    for vector in &vectors {
        match check(model, vector) {
            Outcome::Passed => {}
            Outcome::NeedsDouble => skipped += 1,
            Outcome::Failed(failure) => failures.push(format!("{}: {failure}", vector.id)),
            Outcome::Unknown => failures.push(format!("{}: unknown", vector.id)),
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    assert_eq!(skipped, n_need_double);
}

fn traps_pass<T: TensorLike>(model: &T) {
    let traps = parse_traps(TRAPS).expect("a file of traps");
    let check = |trap| check_trap(model, trap).map_err(|e| format!("{}: {e}", trap.id));
    let failures: Vec<String> = traps.iter().filter_map(|trap| check(trap).err()).collect();
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn every_vector_passes_on_ndarray_in_double_precision() {
    vectors_pass(OPS, &NdTensor::from(0f64), 0);
    vectors_pass(VARIANTS, &NdTensor::from(0f64), 0);
}

#[test]
fn every_vector_passes_on_candle_in_double_precision() {
    vectors_pass(OPS, &CandleTensor::from(0f64), 0);
    vectors_pass(VARIANTS, &CandleTensor::from(0f64), 0);
}

#[test]
fn vectors_pass_on_ndarray_in_single_precision() {
    vectors_pass(OPS, &NdTensor::from(0f32), 15);
}

#[test]
fn vectors_pass_on_candle_in_single_precision() {
    vectors_pass(OPS, &CandleTensor::from(0f32), 15);
}

#[test]
fn traps_have_the_answers_of_the_design_on_ndarray() {
    traps_pass(&NdTensor::from(0f64));
}

#[test]
fn traps_have_the_answers_of_the_design_on_candle() {
    traps_pass(&CandleTensor::from(0f64));
}
