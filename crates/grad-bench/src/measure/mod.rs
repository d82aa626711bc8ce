//! What every benchmark needs: cases with several contenders, sampled in turn, and the record that
//! `cargo xtask bench` makes its tables of.
//!
//! A benchmark reads [`Options`], gives each [`Case`] to [`Bench::run`], and ends with
//! [`Bench::finish`]:
//!
//! ```text
//! let mut bench = Bench::new(Options::parse(), None);
//! bench.run(|| {
//!     let mut case = Case::new("w2", "step");
//!     case.contender("ours on ndarray", || step(..));
//!     case.contender("floor", || by_hand(..));
//!     case
//! });
//! bench.finish()
//! ```
//!
//! A benchmark that gets its times from elsewhere, such as another process, takes its samples by
//! [`interleaved`](sample::interleaved) and adds them with [`Bench::add`].

pub(crate) mod case;
pub(crate) mod plot;
pub(crate) mod record;
pub(crate) mod sample;
#[cfg(test)]
mod tests;

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use peak_alloc::PeakAlloc;

use self::case::Case;
use self::record::Measurement;

/// What a benchmark can be asked for.
#[derive(Clone, Debug, Parser)]
pub(crate) struct Options {
    /// The benchmarks to run; all, if none is named.
    pub(crate) names: Vec<String>,
    /// Write the measurements to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Measure how time or memory grows with the size too, and draw it in this directory.
    #[arg(long, value_name = "DIR")]
    pub(crate) plot: Option<PathBuf>,
    /// How long to sample a contender.
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Run this contender alone, to look at it with a profiler.
    #[arg(long, value_name = "CONTENDER")]
    only: Option<String>,
    /// What cargo passes to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

impl Options {
    /// How long to sample a contender.
    ///
    /// # Panics
    /// If the number of seconds is none of a duration.
    pub(crate) fn time(&self) -> Duration {
        Duration::try_from_secs_f64(self.seconds).expect("a time to sample")
    }

    /// Whether a benchmark is asked for.
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.names.is_empty() || self.names.iter().any(|wanted| wanted == name)
    }
}

/// A run: what is asked for, and what has been measured.
pub(crate) struct Bench {
    pub(crate) options: Options,
    /// The allocator that counts, if the run is for memory and not for time. Counting costs time.
    memory: Option<&'static PeakAlloc>,
    measurements: Vec<Measurement>,
}

impl Bench {
    pub(crate) fn new(options: Options, memory: Option<&'static PeakAlloc>) -> Self {
        Bench { options, memory, measurements: Vec::new() }
    }

    /// Measures a case. It is made in a thread of its own, with the stack of a main thread, so that
    /// it finds no memory that others have left to their thread.
    ///
    /// # Panics
    /// If the contenders do not agree: then there is nothing to compare.
    pub(crate) fn run(&mut self, make: impl FnOnce() -> Case + Send) {
        let (memory, time) = (self.memory, self.options.time());
        let only = self.options.only.as_deref();
        let measure = move || {
            let case = make();
            let case = if let Some(name) = only { case.only(name) } else { case };
            match memory {
                Some(memory) => case.memory(memory),
                None => case.time(time),
            }
        };
        let measured = thread::scope(|scope| {
            let case = thread::Builder::new().stack_size(8 << 20).spawn_scoped(scope, measure);
            case.expect("a thread").join().expect("contenders that agree")
        });
        self.add(measured);
    }

    /// Adds what has been measured elsewhere.
    pub(crate) fn add(&mut self, measured: Vec<Measurement>) {
        measured.iter().for_each(|measurement| eprintln!("{measurement}"));
        self.measurements.extend(measured);
    }

    /// Writes the measurements down, and draws those of several sizes.
    pub(crate) fn finish(self) -> Result<()> {
        if let Some(directory) = &self.options.plot {
            let wrong = || format!("cannot draw in {}", directory.display());
            plot::growth(directory, &self.measurements).with_context(wrong)?;
        }
        if let Some(file) = &self.options.json {
            let text = serde_json::to_string_pretty(&self.measurements)?;
            let wrong = || format!("cannot write {}", file.display());
            fs::write(file, text + "\n").with_context(wrong)?;
        }
        Ok(())
    }
}
