//! The tool for GradBench as the benchmark suite runs it: its workloads through the protocol.
//!
//! `tests/data/gradbench` holds workloads with the outputs that GradBench holds for valid, most of
//! them computed by its hand-written C++ derivatives, at commit f26651a; `source` of a line says
//! by what.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};

use super::{Ran, command};

/// The modules of GradBench, in the order in which it lists them.
const MODULES: [&str; 12] = [
    "hello", "gmm", "ba", "det", "ht", "kmeans", "llsq", "lse", "lstm", "ode", "particle", "saddle",
];

/// Those that need nothing but numbers.
const SCALAR: [&str; 4] = ["hello", "det", "particle", "saddle"];

/// The lines of a module's file.
fn workloads(module: &str) -> Vec<Value> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/gradbench");
    let text = fs::read_to_string(directory.join(format!("{module}.jsonl"))).expect("a file");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// The answers of a tool to some lines.
fn answers(arguments: &str, lines: impl IntoIterator<Item = String>) -> Vec<Value> {
    let mut command = command(&format!("gradbench {arguments}"));
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut tool = piped.spawn().expect("the program was built for this test");
    let mut stdin = tool.stdin.take().expect("it was piped");
    let text: String = lines.into_iter().map(|line| line + "\n").collect();
    // All at once, as no driver does, so that what the tool writes must not fill the pipe first.
    let writer = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
    let Ran { code, stdout, stderr } = Ran::from(tool.wait_with_output().expect("it ends"));
    writer.join().expect("no panic").expect("it reads to the end");
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// The largest number, by its absolute value, anywhere in an output.
fn largest(output: &Value) -> f64 {
    let all: Vec<&Value> = match output {
        Value::Array(list) => list.iter().collect(),
        Value::Object(fields) => fields.values().collect(),
        _ => return output.as_f64().unwrap_or(0.0).abs(),
    };
    all.into_iter().map(largest).fold(0.0, f64::max)
}

/// Whether two outputs have the same form, the same integers, and numbers that differ by 1e-9 of
/// themselves or, where a sum cancels, by 1e-13 of the largest.
fn agree(actual: &Value, expected: &Value, largest: f64) -> bool {
    match (actual, expected) {
        (Value::Array(actual), Value::Array(expected)) => {
            actual.len() == expected.len()
                && actual.iter().zip(expected).all(|(a, e)| agree(a, e, largest))
        }
        (Value::Object(actual), Value::Object(expected)) => {
            actual.keys().eq(expected.keys())
                && actual.iter().all(|(key, a)| agree(a, &expected[key], largest))
        }
        (Value::Number(a), Value::Number(e)) if a.is_f64() || e.is_f64() => {
            let (a, e) = (a.as_f64().expect("a number"), e.as_f64().expect("a number"));
            (a - e).abs() <= (1e-9 * e.abs()).max(1e-13 * largest)
        }
        _ => actual == expected,
    }
}

/// Runs all workloads of some modules in one session.
#[track_caller]
fn assert_reproduced(arguments: &str, modules: &[&str]) {
    let workloads: Vec<Value> = modules.iter().flat_map(|module| workloads(module)).collect();
    let messages = workloads.iter().enumerate().map(|(id, workload)| {
        let (module, function) = (&workload["eval"], &workload["function"]);
        let input = &workload["input"];
        let kind = "evaluate";
        json!({ "id": id, "kind": kind, "module": module, "function": function, "input": input })
            .to_string()
    });
    let answers = answers(arguments, messages);
    assert_eq!(answers.len(), workloads.len());
    for (id, (answer, workload)) in answers.iter().zip(&workloads).enumerate() {
        let name = format!("{} {}", workload["function"], workload["description"]);
        assert_eq!(answer["id"], id, "{name}");
        assert_eq!(answer["success"], true, "{}: {name}: {}", workload["eval"], answer["error"]);
        let (actual, expected) = (&answer["output"], &workload["output"]);
        assert!(
            agree(actual, expected, largest(expected)),
            "{}: {name}: {actual} is not {expected}",
            workload["eval"]
        );
        assert_eq!(answer["timings"].as_array().map(Vec::len), Some(1), "{name}");
    }
}

#[test]
fn every_file_of_workloads_is_of_a_module() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/gradbench");
    let mut files: Vec<String> = fs::read_dir(directory)
        .expect("a directory")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("text"))
        .collect();
    files.sort();
    let mut modules = MODULES.map(|module| format!("{module}.jsonl"));
    modules.sort();
    assert_eq!(files, modules);
}

#[test]
fn the_workloads_are_reproduced_on_the_backends_that_suit_them() {
    assert_reproduced("", &MODULES);
}

#[test]
fn the_workloads_are_reproduced_on_ndarray() {
    assert_reproduced("--backend ndarray", &MODULES);
}

#[test]
fn the_workloads_are_reproduced_on_candle() {
    assert_reproduced("--backend candle", &MODULES);
}

#[test]
fn the_scalar_workloads_are_reproduced_on_numbers() {
    assert_reproduced("--backend scalar", &SCALAR);
}

#[test]
fn threads_change_no_output() {
    assert_reproduced("--multithreaded", &MODULES);
}

#[test]
fn the_scalar_backend_says_that_it_has_no_tensors() {
    let define = json!({ "id": 1, "kind": "define", "module": "lse" }).to_string();
    let error = "module lse needs tensors; the scalar backend has none";
    assert_eq!(
        answers("--backend scalar", [define]),
        [json!({ "id": 1, "success": false, "error": error })]
    );
}

#[test]
fn a_session_goes_on_after_messages_that_make_no_sense() {
    let good = json!({
        "id": 3, "kind": "evaluate", "module": "hello", "function": "double", "input": 4.0,
    });
    let lines = [
        "{".to_string(),
        "[]".to_string(),
        r#"{"id": 1, "kind": "evaluate", "module": "hello", "input": NaN}"#.to_string(),
        r#"{"id": 2, "kind": "evaluate", "module": "hello", "function": "double"}"#.to_string(),
        good.to_string(),
    ];
    let answers = answers("", lines);
    let ids: Vec<&Value> = answers.iter().map(|answer| &answer["id"]).collect();
    assert_eq!(ids, [&Value::Null, &Value::Null, &json!(1), &json!(2), &json!(3)]);
    for answer in &answers[..4] {
        assert_eq!(answer["success"], false);
        assert!(answer["error"].is_string(), "{answer}");
    }
    assert_eq!((&answers[4]["success"], &answers[4]["output"]), (&json!(true), &json!(8.0)));
}
