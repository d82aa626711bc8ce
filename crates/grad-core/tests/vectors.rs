//! The public test vectors, computed by PyTorch and JAX in float64, on the reference backend.
#![cfg(feature = "vectors")]

use grad_core::testing::Reference;
use grad_core::testing::vectors::{Outcome, check, check_trap, parse, parse_traps};

const OPS: &str = include_str!("data/ops.jsonl");
const TRAPS: &str = include_str!("data/traps.jsonl");

#[test]
fn every_trap_has_the_answer_that_the_design_decides_for() {
    let traps = parse_traps(TRAPS).expect("a file of traps");
    let check =
        |trap| check_trap(&Reference::from(0.0), trap).map_err(|e| format!("{}: {e}", trap.id));
    let failures: Vec<String> = traps.iter().filter_map(|trap| check(trap).err()).collect();
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), traps.len(), failures.join("\n"));
    assert_eq!(traps.len(), 42);
}

#[test]
fn every_vector_passes_on_the_reference() {
    let vectors = parse(OPS).expect("a file of vectors");
    let mut failures = Vec::new();
    for vector in &vectors {
        let outcome = check(&Reference::from(0.0), vector);
        match outcome {
            Outcome::Passed => {}
            Outcome::Failed(failure) => failures.push(format!("{}: {failure}", vector.id)),
            other => failures.push(format!("{}: {other:?}", vector.id)),
        }
    }
    assert!(
        failures.is_empty(),
        "{} of {}:\n{}",
        failures.len(),
        vectors.len(),
        failures.join("\n")
    );
    assert_eq!(vectors.len(), 180);
}

#[test]
fn a_wrong_number_fails_with_both_numbers() {
    let line = r#"{"id": "exp/x", "op": "exp", "inputs": [{"shape": [], "data": [0.0]}],
        "output": {"shape": [], "data": [1.5]}}"#
        .replace('\n', " ");
    let vectors = parse(&line).expect("a line");
    let outcome = check(&Reference::from(0.0), &vectors[0]);
    let Outcome::Failed(failure) = outcome else { unreachable!("e⁰ is not 1.5: {outcome:?}") };
    assert_eq!(failure.to_string(), "output: got 1.0 at 0, want 1.5");
}

#[test]
fn what_is_not_in_the_vocabulary_is_unknown() {
    for op in ["frobnicate", "program/frobnicate"] {
        let line =
            format!(r#"{{"id": "x/y", "op": "{op}", "inputs": [{{"shape": [], "data": [0]}}]}}"#);
        let vectors = parse(&line).expect("a line");
        assert_eq!(check(&Reference::from(0.0), &vectors[0]), Outcome::Unknown);
    }
}

#[test]
fn an_unreadable_line_is_named() {
    let good = r#"{"id": "a/b", "op": "exp", "inputs": []}"#;
    let error = parse(&format!("{good}\n\nnonsense")).expect_err("nonsense");
    assert!(error.starts_with("line 3: expected"), "{error}");
    let short = r#"{"id": "a/b", "op": "exp", "inputs": [{"shape": [2], "data": [1]}]}"#;
    assert_eq!(parse(short).expect_err("a missing number"), "line 1: shape [2] with 1 elements");
    let word = r#"{"id": "a/b", "op": "exp", "inputs": [{"shape": [1], "data": ["one"]}]}"#;
    let error = parse(word).expect_err("a word");
    assert!(error.starts_with(r#"line 1: "one" is not a number"#), "{error}");
}
