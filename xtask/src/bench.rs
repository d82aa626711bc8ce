//! `cargo xtask bench <name>`: runs a benchmark and prints its contenders side by side.
//!
//! A benchmark is one or several bench targets of grad-bench, with `harness = false`. A target takes
//! `<name> --json FILE`, and writes there what it measured: a list of records, as
//! `crates/grad-bench/src/measure/record.rs` describes them. Records of the same contender
//! in the same case are merged, so that one target can measure time and another memory.
//!
//! Every line ends in ratios: 1.30 means that the contender takes 1.3 times as long as ours. They
//! are medians of ratios within one round, so they compare what ran within the same second.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use serde_json::{Map, Value};

use crate::workspace::{cargo, root, run as run_command, shown};

#[derive(Args)]
pub(crate) struct Options {
    /// The benchmark.
    #[arg(value_enum)]
    bench: Bench,
    /// How many threads candle, ndarray and the floor may use; as many as there are cores, if not
    /// said.
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Write the results to this file too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Measure how time and memory grow with the size too, and draw it in this directory.
    #[arg(long, value_name = "DIR")]
    plot: Option<PathBuf>,
    /// How long to sample a contender, in seconds.
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<f64>,
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Bench {
    /// What recording and sweeping cost an operation.
    Engine,
    /// A chain of operations on one element.
    W1,
    /// A multilayer perceptron.
    W2,
    /// Elementwise functions of a million elements.
    W3,
    /// Second derivatives.
    W4,
    /// A transformer block.
    W5,
    /// A convolutional network.
    W6,
    /// The problems of GradBench through its protocol, beside derivatives by hand.
    Gradbench,
    /// All of these, one after the other.
    All,
}

impl Bench {
    /// The bench targets of grad-bench that measure it.
    fn targets(self) -> &'static [&'static str] {
        match self {
            Bench::Engine => &["time"],
            Bench::Gradbench => &["gradbench"],
            Bench::All => &[],
            _ => &["time", "memory"],
        }
    }

    fn name(self) -> String {
        self.to_possible_value().map_or(String::new(), |value| value.get_name().to_string())
    }
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let is_wanted = |bench: &Bench| match options.bench {
        Bench::All => *bench != Bench::All,
        one => *bench == one,
    };
    let mut all = Vec::new();
    for &bench in Bench::value_variants().iter().filter(|bench| is_wanted(bench)) {
        // A process each, so that none finds memory that another has left.
        let mut records = Vec::new();
        for target in bench.targets() {
            merge(&mut records, measured(&bench.name(), target, options)?);
        }
        println!("\n{}", table(&records));
        all.append(&mut records);
    }
    if let Some(file) = &options.json {
        let text = serde_json::to_string_pretty(&all)?;
        fs::write(file, text + "\n").with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

type Record = Map<String, Value>;

/// What a bench target measures.
fn measured(bench: &str, target: &str, options: &Options) -> Result<Vec<Record>> {
    let here = root().join("target/bench");
    fs::create_dir_all(&here).with_context(|| format!("cannot make {}", here.display()))?;
    let file = here.join(format!("{bench}-{target}.json"));

    let mut command = cargo(&["bench", "--package=grad-bench", "--bench", target, "--", bench]);
    command.arg("--json").arg(&file);
    if let Some(directory) = &options.plot {
        command.arg("--plot").arg(std::path::absolute(directory)?);
    }
    if let Some(seconds) = options.seconds {
        command.arg("--seconds").arg(seconds.to_string());
    }
    if bench == "w4" {
        // Without it, candle forgets how it computed a gradient.
        command.env("CANDLE_GRAD_DO_NOT_DETACH", "1");
    }
    if let Some(n) = options.threads {
        command.env("RAYON_NUM_THREADS", n.to_string());
    }
    println!("$ {}", shown(&command));
    run_command(&mut command)?;
    read(&file)
}

fn read(file: &Path) -> Result<Vec<Record>> {
    let text =
        fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is odd", file.display()))
}

/// Adds records; what is new of a contender in a case goes to what is known of it.
fn merge(known: &mut Vec<Record>, new: Vec<Record>) {
    let key = |record: &Record| {
        ["bench", "case", "contender", "size"].map(|key| record.get(key).cloned())
    };
    for record in new {
        match known.iter_mut().find(|known| key(known) == key(&record)) {
            Some(known) => known.extend(record),
            None => known.push(record),
        }
    }
}

/// The records as a table in Markdown, which is as readable without it. What was measured at
/// several sizes is in the pictures.
fn table(records: &[Record]) -> String {
    let records: Vec<&Record> =
        records.iter().filter(|record| !record.contains_key("size")).collect();
    let mut ours: Vec<&str> = Vec::new();
    for record in &records {
        let name = text(record, "contender");
        if name.starts_with("ours") && !ours.contains(&name) {
            ours.push(name);
        }
    }
    let head = ["case", "contender", "minimum", "median", "95 % interval", "memory", "÷ forward"];
    let head = head.map(str::to_string).into_iter();
    let mut rows: Vec<Vec<String>> =
        vec![head.chain(ours.iter().map(|ours| format!("÷ {ours}"))).collect()];
    for record in records {
        let per = if text(record, "unit") == "op" { "/op" } else { "" };
        let time = |key: &str| number(record.get(key)).map(duration);
        let interval = time("low").zip(time("high")).map(|(low, high)| format!("{low} .. {high}"));
        let ratio = |value| number(value).map(|ratio| format!("{ratio:.2}"));
        let mut cells = vec![
            Some(text(record, "case").to_string()),
            Some(text(record, "contender").to_string()),
            time("min").map(|min| min + per),
            time("median").map(|median| median + per),
            interval,
            number(record.get("peak_bytes")).map(size),
            ratio(record.get("over_forward")),
        ];
        let ratios = record.get("ratios");
        cells.extend(ours.iter().map(|ours| ratio(ratios.and_then(|ratios| ratios.get(ours)))));
        rows.push(cells.into_iter().map(|cell| cell.unwrap_or("-".to_string())).collect());
    }
    aligned(&rows)
}

/// A table in Markdown: the first two columns to the left, numbers to the right.
fn aligned(rows: &[Vec<String>]) -> String {
    let n_columns = rows.first().map_or(0, Vec::len);
    let width =
        |column: usize| rows.iter().map(|row: &Vec<String>| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..n_columns).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &Vec<String>| -> String {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| {
            if column < 2 { format!("| {cell:<width$} ") } else { format!("| {cell:>width$} ") }
        });
        cells.chain(["|\n".to_string()]).collect()
    };
    let rules = widths.iter().enumerate().map(|(column, &width)| {
        let end = if column < 2 { "-" } else { ":" };
        format!("| {}{end} ", "-".repeat(width - 1))
    });
    let rule: String = rules.chain(["|\n".to_string()]).collect();
    let mut lines = rows.iter().map(line);
    lines.next().into_iter().chain([rule]).chain(lines).collect()
}

fn text<'r>(record: &'r Record, key: &str) -> &'r str {
    record.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn number(value: Option<&Value>) -> Option<f64> {
    value.and_then(Value::as_f64)
}

/// Nanoseconds, in a unit that leaves three digits.
fn duration(ns: f64) -> String {
    scaled(ns, &["ns", "µs", "ms", "s"])
}

/// Bytes, in powers of 1000.
fn size(bytes: f64) -> String {
    scaled(bytes, &["B", "kB", "MB", "GB"])
}

fn scaled(number: f64, units: &[&str]) -> String {
    let (mut number, mut units) = (number, units);
    while let [_, larger @ ..] = units
        && !larger.is_empty()
        && number >= 999.5
    {
        (number, units) = (number / 1000.0, larger);
    }
    let digits = if number < 9.995 { 2 } else { usize::from(number < 99.95) };
    format!("{number:.digits$} {}", units.first().unwrap_or(&""))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(value: Value) -> Record {
        value.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn records_of_one_contender_are_merged() {
        let time = |contender: &str, size: Option<u64>| {
            record(json!({ "case": "step", "contender": contender, "size": size, "min": 1.0 }))
        };
        let mut known = vec![time("ours", None), time("ours", Some(10)), time("floor", None)];
        let memory = json!({ "case": "step", "contender": "ours", "size": 10, "peak_bytes": 5 });
        merge(&mut known, vec![record(memory)]);
        assert_eq!(known.len(), 3);
        assert_eq!(known[0].get("peak_bytes"), None);
        assert_eq!(known[1]["peak_bytes"], 5);
        assert_eq!(known[1]["min"], 1.0);
    }

    #[test]
    fn every_line_ends_in_ratios_to_ours() {
        let ours = json!({
            "case": "step", "contender": "ours on a", "unit": "op", "min": 12.34, "median": 20.0,
            "low": 19.0, "high": 1234.0, "ratios": { "ours on a": 1.0 }, "over_forward": 2.5,
            "peak_bytes": 1_500_000,
        });
        let candle = json!({
            "case": "step", "contender": "candle", "unit": "op", "min": 3.0e6, "median": 3.1e6,
            "low": 3.0e6, "high": 3.2e6, "ratios": { "ours on a": 1.304 },
        });
        let larger = json!({ "case": "step", "contender": "candle", "size": 10, "peak_bytes": 5 });
        let expected = "\
| case | contender |    minimum |     median |      95 % interval |  memory | ÷ forward | ÷ ours on a |
| ---- | --------- | ---------: | ---------: | -----------------: | ------: | --------: | ----------: |
| step | ours on a | 12.3 ns/op | 20.0 ns/op | 19.0 ns .. 1.23 µs | 1.50 MB |      2.50 |        1.00 |
| step | candle    | 3.00 ms/op | 3.10 ms/op | 3.00 ms .. 3.20 ms |       - |         - |        1.30 |
";
        assert_eq!(table(&[record(ours), record(candle), record(larger)]), expected);
    }

    #[test]
    fn three_digits_are_left() {
        assert_eq!(duration(9.994), "9.99 ns");
        assert_eq!(duration(9.996), "10.0 ns");
        assert_eq!(duration(999.4), "999 ns");
        assert_eq!(duration(999.6), "1.00 µs");
        assert_eq!(duration(2.0e12), "2000 s");
        assert_eq!(size(34e6), "34.0 MB");
    }
}
