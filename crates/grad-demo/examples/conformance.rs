//! Runs files of test vectors on a backend: what `cargo xtask conformance` calls.
//!
//! Prints a line for each case that fails, with the field, our number and the expected one, a
//! summary for each operation, and last the numbers of cases that passed, failed and are unknown.
//! The exit code is 1 if a case fails and 2 if a file cannot be read.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use grad_candle::CandleTensor;
use grad_conformance::vectors::{Outcome, Vector, check, parse};
use grad_core::TensorLike;
use grad_ndarray::NdTensor;

#[derive(Parser)]
#[command(name = "cargo xtask conformance", about = "Runs files of test vectors on a backend")]
struct Cli {
    /// Files with one JSON object a line, in the format of crates/grad-conformance/tests/data/ops.jsonl.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The backend.
    #[arg(long, value_enum, default_value = "ndarray")]
    backend: Backend,
    /// The type of the elements; f32 has looser tolerances, and skips what needs more precision.
    #[arg(long, value_enum, default_value = "f64")]
    dtype: Dtype,
    /// Print one JSON object in place of the text.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Backend {
    Ndarray,
    Candle,
}

#[derive(Clone, Copy, ValueEnum)]
enum Dtype {
    F32,
    F64,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut vectors = Vec::new();
    for file in &cli.files {
        let text = std::fs::read_to_string(file).map_err(|error| error.to_string());
        match text.and_then(|text| parse(&text)) {
            Ok(more) => vectors.extend(more),
            Err(error) => {
                let _ = writeln!(io::stderr(), "error: {}: {error}", file.display());
                return ExitCode::from(2);
            }
        }
    }
    let outcomes = match (cli.backend, cli.dtype) {
        (Backend::Ndarray, Dtype::F64) => run(&NdTensor::from(0f64), &vectors),
        (Backend::Ndarray, Dtype::F32) => run(&NdTensor::from(0f32), &vectors),
        (Backend::Candle, Dtype::F64) => run(&CandleTensor::from(0f64), &vectors),
        (Backend::Candle, Dtype::F32) => run(&CandleTensor::from(0f32), &vectors),
    };
    let report = Report::new(&vectors, outcomes);
    // Where nobody reads on, there is nothing left to do.
    let _ = if cli.json { report.write_json() } else { report.write_text() };
    ExitCode::from(u8::from(report.total.failed > 0))
}

fn run<T: TensorLike>(model: &T, vectors: &[Vector]) -> Vec<Outcome> {
    vectors.iter().map(|vector| check(model, vector)).collect()
}

/// How many cases came out how.
#[derive(Clone, Copy, Default)]
struct Count {
    passed: usize,
    failed: usize,
    unknown: usize,
    skipped: usize,
}

struct Report {
    failures: Vec<(String, grad_conformance::vectors::Failure)>,
    by_op: BTreeMap<String, Count>,
    total: Count,
}

impl Report {
    fn new(vectors: &[Vector], outcomes: Vec<Outcome>) -> Self {
        let mut report =
            Report { failures: Vec::new(), by_op: BTreeMap::new(), total: Count::default() };
        for (vector, outcome) in vectors.iter().zip(outcomes) {
            for count in [report.by_op.entry(vector.op.clone()).or_default(), &mut report.total] {
                match outcome {
                    Outcome::Passed => count.passed += 1,
                    Outcome::Failed(_) => count.failed += 1,
                    Outcome::Unknown => count.unknown += 1,
                    Outcome::NeedsDouble => count.skipped += 1,
                }
            }
            if let Outcome::Failed(failure) = outcome {
                report.failures.push((vector.id.clone(), failure));
            }
        }
        report
    }

    fn write_text(&self) -> io::Result<()> {
        let mut out = io::stdout().lock();
        for (id, failure) in &self.failures {
            writeln!(out, "FAIL {id}: {failure}")?;
        }
        for (op, count) in &self.by_op {
            let Count { passed, failed, unknown, skipped } = count;
            let skipped = match skipped {
                0 => String::new(),
                n => format!(", {n} skipped: they need f64"),
            };
            writeln!(out, "{op}: {passed} passed, {failed} failed, {unknown} unknown{skipped}")?;
        }
        if self.total.skipped > 0 {
            writeln!(out, "{} cases need f64 and were not compared", self.total.skipped)?;
        }
        let Count { passed, failed, unknown, .. } = self.total;
        writeln!(out, "{passed} passed, {failed} failed, {unknown} unknown")
    }

    fn write_json(&self) -> io::Result<()> {
        let count = |count: &Count| {
            let Count { passed, failed, unknown, skipped } = count;
            serde_json::json!({"passed": passed, "failed": failed, "unknown": unknown, "skipped": skipped})
        };
        let failures = self.failures.iter().map(|(id, failure)| {
            let (field, got, want) = (&failure.field, &failure.got, &failure.want);
            serde_json::json!({"id": id, "field": field, "got": got, "want": want})
        });
        let by_op: serde_json::Map<String, serde_json::Value> =
            self.by_op.iter().map(|(op, n)| (op.clone(), count(n))).collect();
        let report = serde_json::json!({
            "failures": failures.collect::<Vec<_>>(),
            "ops": by_op,
            "total": count(&self.total),
        });
        writeln!(io::stdout().lock(), "{report}")
    }
}
