//! `cargo xtask bench <name>`: runs a benchmark and prints its cases side by side.
//!
//! A benchmark is a criterion bench target of grad-demo, the crate that sees both backends. Its
//! ids are `<name>/<case>/<contender>`, as made by
//!
//! ```text
//! let mut group = c.benchmark_group("engine");
//! group.throughput(Throughput::Elements(n_ops));
//! group.bench_function(BenchmarkId::new("chain_1_element", "ours"), ..);
//! group.bench_function(BenchmarkId::new("chain_1_element", "candle"), ..);
//! ```
//!
//! The time is criterion's median, divided by the elements of the throughput where one is given.
//! The ratio is the contender's time by the time of `ours`, or of the contender `ours…` that is
//! first in the alphabet: 1.30 means that the contender takes 1.3 times as long as we do. Only
//! cases that were measured in this run are shown, so a ratio never compares two runs.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::workspace::{cargo, root, run as run_command, shown};

#[derive(Args)]
pub(crate) struct Options {
    /// The benchmark.
    #[arg(value_enum)]
    bench: Bench,
    /// Write the results to this file too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Passed on to criterion, such as a filter or `--quick`.
    #[arg(last = true, value_name = "ARGUMENTS")]
    arguments: Vec<String>,
}

/// The bench targets of grad-demo.
#[derive(Clone, Copy, ValueEnum)]
enum Bench {
    /// What recording and sweeping cost an operation, beside candle alone.
    Engine,
}

/// One measured case of one contender.
#[derive(Clone, Debug, PartialEq)]
struct Measurement {
    case: String,
    contender: String,
    /// Nanoseconds an element, or a call where the bench gives no throughput.
    median: f64,
    /// The confidence interval of the median.
    low: f64,
    high: f64,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let value = options.bench.to_possible_value().context("a bench has a name")?;
    let bench = value.get_name();
    let home = root().join("target/criterion");
    let began = SystemTime::now();

    let mut command = cargo(&["bench", "--package=grad-demo", "--bench", bench, "--"]);
    command.args(&options.arguments).env("CRITERION_HOME", &home);
    println!("$ {}", shown(&command));
    run_command(&mut command)?;

    let mut measurements = Vec::new();
    for directory in results(&home, began)? {
        let read = |file: &str| -> Result<Value> {
            let path = directory.join(file);
            let text = fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            serde_json::from_str(&text).with_context(|| format!("{} is odd", path.display()))
        };
        measurements.extend(measurement(bench, &read("benchmark.json")?, &read("estimates.json")?));
    }
    if measurements.is_empty() {
        bail!("the bench `{bench}` measured nothing that is called {bench}/<case>/<contender>");
    }
    measurements.sort_by_key(|m| (m.case.clone(), rank(m), m.contender.clone()));

    println!("\n{}", table(&measurements));
    if let Some(file) = &options.json {
        let text = serde_json::to_string_pretty(&as_json(bench, &measurements))?;
        fs::write(file, text + "\n").with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

/// The directories with results of criterion since a time.
fn results(home: &Path, since: SystemTime) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![home.to_path_buf()];
    while let Some(directory) = open.pop() {
        let list = fs::read_dir(&directory)
            .with_context(|| format!("cannot read {}", directory.display()))?;
        for entry in list {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else if path.ends_with("new/estimates.json") && path.metadata()?.modified()? >= since
            {
                found.push(directory.clone());
            }
        }
    }
    Ok(found)
}

/// What criterion wrote, if it is of this bench.
fn measurement(bench: &str, benchmark: &Value, estimates: &Value) -> Option<Measurement> {
    let id = benchmark["full_id"].as_str()?;
    let (case, contender) = id.strip_prefix(bench)?.strip_prefix('/')?.rsplit_once('/')?;
    let n_elements = benchmark["throughput"]["Elements"].as_f64().unwrap_or(1.0);
    let median = &estimates["median"];
    let interval = &median["confidence_interval"];
    Some(Measurement {
        case: case.to_string(),
        contender: contender.to_string(),
        median: median["point_estimate"].as_f64()? / n_elements,
        low: interval["lower_bound"].as_f64()? / n_elements,
        high: interval["upper_bound"].as_f64()? / n_elements,
    })
}

/// Ours before theirs.
fn rank(m: &Measurement) -> usize {
    usize::from(!m.contender.starts_with("ours"))
}

/// The contender's time by ours; the measurements are in order, so ours is the first of its case.
fn ratio(m: &Measurement, all: &[Measurement]) -> Option<f64> {
    let ours = all.iter().find(|other| other.case == m.case)?;
    (rank(ours) == 0).then(|| m.median / ours.median)
}

fn table(measurements: &[Measurement]) -> String {
    let mut rows =
        vec![["case", "contender", "ns/op", "95% interval", "ratio"].map(str::to_string)];
    rows.extend(measurements.iter().map(|m| {
        [
            m.case.clone(),
            m.contender.clone(),
            format!("{:.2}", m.median),
            format!("{:.2} .. {:.2}", m.low, m.high),
            ratio(m, measurements).map_or("-".to_string(), |ratio| format!("{ratio:.2}")),
        ]
    }));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let [a, b, c, d, e] = [0, 1, 2, 3, 4].map(|column| width(column).unwrap_or(0));
    let lines = rows.iter().map(|[case, contender, median, interval, ratio]| {
        format!("{case:<a$}  {contender:<b$}  {median:>c$}  {interval:>d$}  {ratio:>e$}\n")
    });
    lines.collect()
}

fn as_json(bench: &str, measurements: &[Measurement]) -> Value {
    let list = measurements.iter().map(|m| {
        json!({
            "bench": bench,
            "case": m.case,
            "contender": m.contender,
            "ns_per_op": m.median,
            "low": m.low,
            "high": m.high,
            "ratio": ratio(m, measurements),
        })
    });
    Value::Array(list.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(case: &str, contender: &str, median: f64) -> Measurement {
        let (case, contender) = (case.to_string(), contender.to_string());
        Measurement { case, contender, median, low: median - 0.5, high: median + 0.5 }
    }

    #[test]
    fn the_time_is_by_element() {
        let benchmark = json!({
            "full_id": "engine/chain/ours", "throughput": { "Elements": 10_000 },
        });
        let estimates = json!({ "median": {
            "confidence_interval": { "lower_bound": 1.9e5, "upper_bound": 2.2e5 },
            "point_estimate": 2.0e5,
        }});
        let found = measurement("engine", &benchmark, &estimates);
        let expected = Measurement {
            case: "chain".to_string(),
            contender: "ours".to_string(),
            median: 20.0,
            low: 19.0,
            high: 22.0,
        };
        assert_eq!(found, Some(expected));
        assert_eq!(measurement("other", &benchmark, &estimates), None);
    }

    #[test]
    fn ratios_are_to_ours_within_a_case() {
        let all = [
            measured("chain", "ours", 20.0),
            measured("chain", "candle", 50.0),
            measured("drop", "candle", 1.0),
        ];
        assert_eq!(ratio(&all[1], &all), Some(2.5));
        assert_eq!(ratio(&all[2], &all), None);
        let expected = "\
case   contender  ns/op    95% interval  ratio
chain  ours       20.00  19.50 .. 20.50   1.00
chain  candle     50.00  49.50 .. 50.50   2.50
drop   candle      1.00    0.50 .. 1.50      -
";
        assert_eq!(table(&all), expected);
    }
}
