//! A case: one thing to compute, and those who compute it.

use std::time::{Duration, Instant};

use peak_alloc::PeakAlloc;

use super::record::{Measurement, Samples, timed};
use super::sample::{Sampler, interleaved};

/// A shorter call is repeated until it takes this long, in nanoseconds: reading the clock costs 30.
const SHORTEST: f64 = 20_000.0;

/// What a call computed.
pub(crate) trait Numbers {
    /// The value, and each gradient: what contenders must agree in.
    fn numbers(&self) -> Vec<Vec<f64>>;
}

impl Numbers for Vec<Vec<f64>> {
    fn numbers(&self) -> Vec<Vec<f64>> {
        self.clone()
    }
}

type Call = Box<dyn FnMut() -> Box<dyn Numbers>>;

struct Contender {
    name: &'static str,
    call: Call,
    /// The value alone.
    forward: Option<Call>,
    /// Whether its memory was there before the first call.
    keeps_memory: bool,
}

/// One thing to compute, and those who compute it.
pub(crate) struct Case {
    bench: &'static str,
    name: String,
    size: Option<u64>,
    n_ops: Option<u64>,
    tolerance: f64,
    contenders: Vec<Contender>,
}

impl Case {
    pub(crate) fn new(bench: &'static str, name: impl Into<String>) -> Self {
        let (name, contenders) = (name.into(), Vec::new());
        Case { bench, name, size: None, n_ops: None, tolerance: 1e-12, contenders }
    }

    /// One of several sizes, to see how time and memory grow.
    pub(crate) fn size(self, size: usize) -> Self {
        Case { size: Some(size as u64), ..self }
    }

    /// A call does `n_ops` operations, of which one is to be timed.
    pub(crate) fn per_op(self, n_ops: usize) -> Self {
        Case { n_ops: Some(n_ops as u64), ..self }
    }

    /// How far the numbers of two contenders may differ, by the largest of each list.
    pub(crate) fn tolerance(self, tolerance: f64) -> Self {
        Case { tolerance, ..self }
    }

    /// Adds who computes the value and the gradients by `call`. The first one is whom all others
    /// must agree with.
    pub(crate) fn contender<N: Numbers + 'static>(
        &mut self,
        name: &'static str,
        mut call: impl FnMut() -> N + 'static,
    ) -> &mut Self {
        let call: Call = Box::new(move || Box::new(call()));
        self.contenders.push(Contender { name, call, forward: None, keeps_memory: false });
        self
    }

    /// How the contender added last computes the value alone, which is the first list of its call.
    pub(crate) fn forward<N: Numbers + 'static>(
        &mut self,
        mut call: impl FnMut() -> N + 'static,
    ) -> &mut Self {
        if let Some(contender) = self.contenders.last_mut() {
            contender.forward = Some(Box::new(move || Box::new(call())));
        }
        self
    }

    /// The contender added last works in memory that was there before, which is not measured.
    pub(crate) fn keeps_memory(&mut self) -> &mut Self {
        if let Some(contender) = self.contenders.last_mut() {
            contender.keeps_memory = true;
        }
        self
    }

    /// Without all contenders but one.
    pub(crate) fn only(mut self, name: &str) -> Self {
        self.contenders.retain(|contender| contender.name == name);
        self
    }

    /// The times of the contenders, sampled in turn.
    ///
    /// # Panics
    /// If the contenders do not agree.
    pub(crate) fn time(mut self, time: Duration) -> Vec<Measurement> {
        self.agree();
        let n = self.contenders.len();
        let mut samplers: Vec<Box<Sampler<'_>>> = Vec::new();
        let mut forwards = Vec::new();
        let mut places = Vec::new();
        for contender in &mut self.contenders {
            samplers.push(sampler(&mut contender.call));
            places.push(contender.forward.as_ref().map(|_| n + forwards.len()));
            forwards.extend(contender.forward.as_mut().map(sampler));
        }
        samplers.extend(forwards);
        let time = time * samplers.len() as u32;
        let samples = interleaved(&mut samplers, time);
        drop(samplers);

        let records = self.contenders.iter().zip(&samples).zip(places);
        let records = records.map(|((contender, calls), forward)| Samples {
            contender: contender.name,
            calls,
            forward: forward.map(|place| &samples[place][..]),
        });
        let records: Vec<_> = records.collect();
        timed(self.bench, &self.name, self.size, self.n_ops, &records)
    }

    /// The most memory that the first call of each contender has at a time.
    pub(crate) fn memory(mut self, allocator: &PeakAlloc) -> Vec<Measurement> {
        let mut measured = Vec::new();
        for contender in self.contenders.iter_mut().filter(|contender| !contender.keeps_memory) {
            let before = allocator.current_usage();
            allocator.reset_peak_usage();
            drop((contender.call)());
            measured.push(Measurement {
                bench: self.bench.to_string(),
                case: self.name.clone(),
                contender: contender.name.to_string(),
                size: self.size,
                time: None,
                peak_bytes: Some((allocator.peak_usage() - before) as u64),
            });
        }
        measured
    }

    /// Runs every contender once.
    ///
    /// # Panics
    /// If they do not agree: a benchmark of wrong numbers compares nothing.
    pub(crate) fn agree(&mut self) {
        let mut first: Option<(&str, Vec<Vec<f64>>)> = None;
        for contender in &mut self.contenders {
            let found = (contender.call)().numbers();
            let check = |numbers: &[Vec<f64>], expected: &[Vec<f64>], whom: &str| {
                let (bench, name, distance) = (self.bench, &self.name, distance(numbers, expected));
                let differs = format!("{} differs from {whom} by {distance:e}", contender.name);
                assert!(distance <= self.tolerance, "{bench}, {name}: {differs}");
            };
            if let Some(forward) = &mut contender.forward {
                check(&forward().numbers(), &found[..1], "its own value alone");
            }
            match &first {
                Some((first, expected)) => check(&found, expected, first),
                None => first = Some((contender.name, found)),
            }
        }
    }
}

/// Something that runs a call as often as it takes to be timed, and says how long one took.
fn sampler(call: &mut Call) -> Box<Sampler<'_>> {
    let mut n = 1;
    Box::new(move || {
        let began = Instant::now();
        for _ in 0..n {
            // The result is part of the work, and so is giving its memory back.
            drop(call());
        }
        let time = began.elapsed().as_nanos() as f64 / f64::from(n);
        if f64::from(n) * time < SHORTEST {
            n = (SHORTEST / time).clamp(1.0, 1000.0) as u32;
        }
        time
    })
}

/// The largest difference in a list by the largest number of the list; infinite if the lists do not
/// go together.
pub(crate) fn distance(found: &[Vec<f64>], expected: &[Vec<f64>]) -> f64 {
    let sizes = |lists: &[Vec<f64>]| lists.iter().map(Vec::len).collect::<Vec<_>>();
    if sizes(found) != sizes(expected) {
        return f64::INFINITY;
    }
    let mut largest: f64 = 0.0;
    for (found, expected) in found.iter().zip(expected) {
        let scale = expected.iter().fold(f64::MIN_POSITIVE, |scale, x| scale.max(x.abs()));
        for (x, y) in found.iter().zip(expected) {
            let distance = (x - y).abs() / scale;
            largest = if distance.is_nan() { f64::INFINITY } else { largest.max(distance) };
        }
    }
    largest
}
