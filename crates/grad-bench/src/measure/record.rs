//! The record of one contender in one case, as it is written to JSON.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::sample::{Summary, ratio};

/// What was measured of one contender: its time, or its memory.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Measurement {
    /// The benchmark: `w2`.
    pub(crate) bench: String,
    /// What was computed: `step`.
    pub(crate) case: String,
    /// Who computed it. Names of ours begin with `ours`.
    pub(crate) contender: String,
    /// How large the case is, where it is one of several sizes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) size: Option<u64>,
    #[serde(flatten)]
    pub(crate) time: Option<Time>,
    /// How many more bytes were allocated at a time than before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) peak_bytes: Option<u64>,
}

/// Times in nanoseconds: of a call, or of an operation where a call does several.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Time {
    /// What took that long: `call` or `op`.
    pub(crate) unit: &'static str,
    pub(crate) min: f64,
    pub(crate) median: f64,
    /// The confidence interval of the median.
    pub(crate) low: f64,
    pub(crate) high: f64,
    pub(crate) n_samples: usize,
    /// The time by that of each contender that is ours: 1.3 is 30 % slower than ours.
    pub(crate) ratios: BTreeMap<String, f64>,
    /// The time by that of the value alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) over_forward: Option<f64>,
}

/// The samples of one contender, in nanoseconds a call.
pub(crate) struct Samples<'a> {
    pub(crate) contender: &'a str,
    pub(crate) calls: &'a [f64],
    /// Those of the value alone.
    pub(crate) forward: Option<&'a [f64]>,
}

/// The records of contenders that were sampled in turn; a call does `n_ops` operations.
pub(crate) fn timed(
    bench: &str,
    case: &str,
    size: Option<u64>,
    n_ops: Option<u64>,
    all: &[Samples<'_>],
) -> Vec<Measurement> {
    let ours: Vec<_> = all.iter().filter(|other| other.contender.starts_with("ours")).collect();
    let record = |samples: &Samples<'_>| {
        let by = n_ops.map_or(1.0, |n| n as f64);
        let Summary { min, median, interval: [low, high] } = Summary::of(samples.calls);
        let ratios =
            ours.iter().map(|ours| (ours.contender.to_string(), ratio(samples.calls, ours.calls)));
        let time = Time {
            unit: if n_ops.is_some() { "op" } else { "call" },
            min: min / by,
            median: median / by,
            low: low / by,
            high: high / by,
            n_samples: samples.calls.len(),
            ratios: ratios.collect(),
            over_forward: samples.forward.map(|forward| ratio(samples.calls, forward)),
        };
        Measurement {
            bench: bench.to_string(),
            case: case.to_string(),
            contender: samples.contender.to_string(),
            size,
            time: Some(time),
            peak_bytes: None,
        }
    };
    all.iter().map(record).collect()
}

impl fmt::Display for Measurement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}, {}:", self.bench, self.case, self.contender)?;
        if let Some(Time { unit, min, median, low, high, .. }) = &self.time {
            write!(f, " {min:.1} ns/{unit}, median {median:.1} ({low:.1} .. {high:.1})")?;
        }
        match self.peak_bytes {
            Some(bytes) => write!(f, " {bytes} bytes"),
            None => Ok(()),
        }
    }
}
