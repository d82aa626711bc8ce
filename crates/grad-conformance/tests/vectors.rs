//! The public test vectors, computed by PyTorch and JAX in float64, on the reference backend.

use grad_conformance::Reference;
use grad_conformance::vectors::{Outcome, check, check_trap, names, parse, parse_traps};

const OPS: &str = include_str!("data/ops.jsonl");
const VARIANTS: &str = include_str!("data/variants.jsonl");
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

/// Every vector of a file passes.
fn all_pass(text: &str, n: usize) {
    let vectors = parse(text).expect("a file of vectors");
    let outcome = |vector| match check(&Reference::from(0.0), vector) {
        Outcome::Passed => None,
        Outcome::Failed(failure) => Some(format!("{}: {failure}", vector.id)),
        other => Some(format!("{}: {other:?}", vector.id)),
    };
    let failures: Vec<String> = vectors.iter().filter_map(outcome).collect();
    assert!(failures.is_empty(), "{} of {n}:\n{}", failures.len(), failures.join("\n"));
    assert_eq!(vectors.len(), n);
}

#[test]
fn every_vector_passes_on_the_reference() {
    all_pass(OPS, 180);
}

#[test]
fn every_variant_passes_on_the_reference() {
    all_pass(VARIANTS, 635);
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

/// The outcome of one line on the reference.
fn outcome(line: &str) -> Outcome {
    check(&Reference::from(0.0), &parse(line).expect("a line")[0])
}

#[test]
fn an_infinity_is_met_by_itself_only() {
    let line = r#"{"id": "a/b", "op": "exp", "inputs": [{"shape": [], "data": [0]}],
        "output": {"shape": [], "data": ["Infinity"]}}"#;
    assert!(matches!(outcome(&line.replace('\n', " ")), Outcome::Failed(_)));
}

#[test]
fn a_known_name_with_the_wrong_inputs_fails() {
    for (op, n) in [("add", 3), ("exp", 0), ("solve", 1), ("concat", 0), ("nth_derivative", 2)] {
        let inputs = vec![r#"{"shape": [], "data": [1]}"#; n].join(", ");
        let output = r#"{"shape": [], "data": [1]}"#;
        let line =
            format!(r#"{{"id": "a/b", "op": "{op}", "inputs": [{inputs}], "output": {output}}}"#);
        assert!(matches!(outcome(&line), Outcome::Failed(_)), "{op} of {n} inputs");
    }
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let x = r#"{"shape": [], "data": [1]}"#;
    let nothing = format!(r#"{{"id": "a/b", "op": "exp", "inputs": [{x}]}}"#);
    assert_eq!(parse(&nothing).expect_err("no field"), "line 1: there is nothing to compare with");
    let jvp = format!(r#"{{"id": "a/b", "op": "exp", "inputs": [{x}], "jvp": {x}}}"#);
    assert_eq!(parse(&jvp).expect_err("no tangents"), "line 1: jvp, hvp and third need tangents");
    let xs = r#"{"shape": [2], "data": [1, 1]}"#;
    let grads = format!(r#"{{"id": "a/b", "op": "exp", "inputs": [{xs}], "grads": [{xs}]}}"#);
    assert!(matches!(outcome(&grads), Outcome::Failed(_)), "no cotangent");
    let absent = format!(r#"{{"id": "a/b", "op": "exp", "inputs": [{x}], "grads": [null]}}"#);
    assert_eq!(outcome(&absent), Outcome::Passed);
    let wrong = format!(r#"{{"id": "a/b", "op": "exp", "inputs": [{x}], "grads": [{x}]}}"#);
    assert!(matches!(outcome(&wrong), Outcome::Failed(_)), "the cotangent of a scalar is 1");
}

#[test]
fn expressions_are_read_as_sympy_writes_them() {
    // Each with its value at 0.5.
    for (text, value) in [
        ("1.5e-1*x", 0.075),
        ("+x - -x", 1.0),
        ("-x**2", -0.25),
        ("2**-x", 0.5f64.sqrt()),
        ("log(x, 2)", -1.0),
        ("sin(x)**2 + cos(x)**2", 1.0),
        ("x*sec(0)/(1 + E**0)", 0.25),
    ] {
        let line = format!(
            r#"{{"id": "a/b", "op": "nth_derivative", "attrs": {{"expr": "{text}", "orders": 0}},
            "inputs": [{{"shape": [], "data": [0.5]}}], "output": {{"shape": [1], "data": [{value}]}}}}"#
        );
        assert_eq!(outcome(&line.replace('\n', " ")), Outcome::Passed, "{text}");
    }
}

#[test]
fn what_is_not_in_the_vocabulary_is_unknown() {
    for op in ["frobnicate", "program/frobnicate"] {
        let x = r#"{"shape": [], "data": [0]}"#;
        let line = format!(r#"{{"id": "x/y", "op": "{op}", "inputs": [{x}], "output": {x}}}"#);
        assert_eq!(outcome(&line), Outcome::Unknown);
    }
}

#[test]
fn every_name_is_known_and_in_the_document() {
    let document = include_str!("../../../docs/vocabulary.md");
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let mut documented: Vec<&str> = rows.collect();
    documented.sort_unstable();
    assert_eq!(documented, names());
    let x = r#"{"shape": [], "data": [0]}"#;
    for op in names() {
        let line = format!(r#"{{"id": "x/y", "op": "{op}", "inputs": [{x}], "output": {x}}}"#);
        assert_ne!(outcome(&line), Outcome::Unknown, "{op}");
    }
}

#[test]
fn an_unreadable_line_is_named() {
    let good = r#"{"id": "a/b", "op": "exp", "inputs": [], "output": {"shape": [], "data": [1]}}"#;
    let error = parse(&format!("{good}\n\nnonsense")).expect_err("nonsense");
    assert!(error.starts_with("line 3: expected"), "{error}");
    let short = r#"{"id": "a/b", "op": "exp", "inputs": [{"shape": [2], "data": [1]}]}"#;
    assert_eq!(parse(short).expect_err("a missing number"), "line 1: shape [2] with 1 elements");
    let word = r#"{"id": "a/b", "op": "exp", "inputs": [{"shape": [1], "data": ["one"]}]}"#;
    let error = parse(word).expect_err("a word");
    assert!(error.starts_with(r#"line 1: "one" is not a number"#), "{error}");
}
