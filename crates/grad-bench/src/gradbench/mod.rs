//! The problems of GradBench through its protocol, beside derivatives by hand.
//!
//! The tool runs in a process of its own, as GradBench runs it, and says itself how long each run
//! took; the derivatives by hand run here, in turn with it. Before anything is timed, the two must
//! agree.

mod floor;
mod tool;
mod workloads;

use std::cell::RefCell;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::measure::case::distance;
use crate::measure::record::{Measurement, Samples, timed};
use crate::measure::sample::{Sampler, interleaved};
use crate::measure::{Bench, Options};

use self::tool::Tool;
use self::workloads::{Floor, Workload, numbers};

const BENCH: &str = "gradbench";

/// How far the outputs of the tool and of the floor may differ, by the largest number of an output.
const TOLERANCE: f64 = 1e-10;

/// How long the tool repeats a function for one sample, in seconds: the time of the fastest run.
const REPEAT: f64 = 0.02;

/// Measures all problems.
pub(crate) fn run(options: Options) -> Result<()> {
    let time = options.time();
    let is_threaded = std::env::var("RAYON_NUM_THREADS").is_ok_and(|n| n != "1");
    let arguments: &[&str] = if is_threaded { &["--multithreaded"] } else { &[] };
    let mut tool = Tool::start(arguments)?;
    let mut bench = Bench::new(options, None);
    for workload in workloads::all()? {
        bench.add(measure(&mut tool, workload, time)?);
    }
    bench.finish()
}

/// Measures the functions of a workload, each contender for a time.
fn measure(tool: &mut Tool, workload: Workload, time: Duration) -> Result<Vec<Measurement>> {
    let Workload { module, description, mut input, functions, floor } = workload;
    let name = format!("{module} {description}");
    let floor = floor.map(RefCell::new);
    for (&function, compute) in functions.iter().zip([Floor::primal, Floor::derivative]) {
        let ours = numbers(&tool.evaluate(module, function, &input)?.output);
        let Some(floor) = &floor else { continue };
        let distance = distance(&[ours], &[compute(&mut **floor.borrow_mut())]);
        ensure!(distance <= TOLERANCE, "{name}: {function} differs by {distance:e}");
    }

    if let Some(fields) = input.as_object_mut() {
        fields.insert("min_seconds".to_string(), json!(REPEAT));
    }
    let tool = RefCell::new(tool);
    let mut samplers: Vec<Box<Sampler<'_>>> = Vec::new();
    for &function in functions {
        let (tool, input) = (&tool, &input);
        samplers.push(Box::new(move || fastest(&mut tool.borrow_mut(), module, function, input)));
    }
    if let Some(floor) = &floor {
        for compute in [Floor::primal, Floor::derivative] {
            samplers.push(Box::new(move || elapsed(|| compute(&mut **floor.borrow_mut()))));
        }
    }
    let total = time * samplers.len() as u32;
    let samples = interleaved(&mut samplers, total);

    // Of two functions the first is the value alone, and the floor has the same two.
    let is_derivative = |i| functions.len() == 2 && i == 1;
    let mut measured = Vec::new();
    for (i, function) in functions.iter().enumerate() {
        let of = |contender, place: usize| {
            let calls = samples.get(place)?;
            let forward = if is_derivative(i) { Some(&samples[place - 1][..]) } else { None };
            Some(Samples { contender, calls, forward })
        };
        let all = [of("ours", i), of("floor", functions.len() + i)];
        let all: Vec<Samples<'_>> = all.into_iter().flatten().collect();
        measured.extend(timed(BENCH, &format!("{name}, {function}"), None, None, &all));
    }
    Ok(measured)
}

/// The nanoseconds of the fastest of some runs. What fails after it has succeeded took for ever.
fn fastest(tool: &mut Tool, module: &str, function: &str, input: &Value) -> f64 {
    let nanoseconds = tool.evaluate(module, function, input).and_then(|answer| {
        answer.nanoseconds.into_iter().min().context("there is one run at least")
    });
    nanoseconds.map_or(f64::INFINITY, |nanoseconds| nanoseconds as f64)
}

/// The nanoseconds that a call takes.
fn elapsed<R>(call: impl FnOnce() -> R) -> f64 {
    let began = Instant::now();
    std::hint::black_box(call());
    began.elapsed().as_nanos() as f64
}
