//! Taking samples in turn, and what is said of them.
//!
//! A machine is fast in one second and slow in the next: it heats up, and others use it. So the
//! contenders run one after the other, round by round, and are compared within each round.

use std::time::{Duration, Instant};

/// Fewer rounds than this say nothing of the spread.
pub(crate) const MIN_ROUNDS: usize = 7;

/// Something to sample: runs once and says how many nanoseconds it took.
pub(crate) type Sampler<'a> = dyn FnMut() -> f64 + 'a;

/// The samples of each contender, as many of each: A B C, A B C, and so on, for `time` or longer.
/// The first round is a warm-up, and left out.
pub(crate) fn interleaved(contenders: &mut [Box<Sampler<'_>>], time: Duration) -> Vec<Vec<f64>> {
    contenders.iter_mut().for_each(|sample| _ = sample());
    let mut samples = vec![Vec::new(); contenders.len()];
    let began = Instant::now();
    for round in 0.. {
        if round >= MIN_ROUNDS && began.elapsed() >= time {
            break;
        }
        for (samples, sample) in samples.iter_mut().zip(contenders.iter_mut()) {
            samples.push(sample());
        }
    }
    samples
}

/// What is said of the samples of one contender.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Summary {
    pub(crate) min: f64,
    pub(crate) median: f64,
    /// A confidence interval of the median, of 95 % or a little more.
    pub(crate) interval: [f64; 2],
}

impl Summary {
    /// The summary of samples, of which there is one at least.
    ///
    /// The interval holds whatever the distribution is: each sample is below the median with
    /// probability ½, so the number of those below is binomial, with the mean n/2 and the standard
    /// deviation √n/2, and the median lies 1.96 of these around the middle in rank.
    /// Source: W. J. Conover, "Practical Nonparametric Statistics", chapter 3.2.
    pub(crate) fn of(samples: &[f64]) -> Self {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (n, last) = (sorted.len() as f64, sorted.len() - 1);
        let low = (n / 2.0 - 1.96 * n.sqrt() / 2.0).floor().max(0.0) as usize;
        Summary {
            min: sorted[0],
            median: (sorted[last / 2] + sorted[sorted.len() / 2]) / 2.0,
            interval: [sorted[low], sorted[last - low]],
        }
    }
}

/// How many times as long one contender takes as another: the median of the ratios, round by round.
pub(crate) fn ratio(samples: &[f64], others: &[f64]) -> f64 {
    let ratios: Vec<f64> = samples.iter().zip(others).map(|(x, y)| x / y).collect();
    Summary::of(&ratios).median
}
