//! Times what is computed, as often as the input asks for it.

use std::time::{Duration, Instant};

use serde::Deserialize;

/// How often a function is computed, and how long each time took.
///
/// Field names are those of the protocol. An input without them is computed once.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Runs {
    /// The least number of runs; one takes place in any case.
    min_runs: u64,
    /// The least sum of their durations, in seconds.
    min_seconds: f64,
    /// The duration of each run, in nanoseconds.
    #[serde(skip)]
    nanoseconds: Vec<u64>,
}

impl Runs {
    /// Computes `f` until there are enough runs of enough time; the result of the last run.
    ///
    /// # Errors
    /// The first of `f`.
    pub(crate) fn time<R, E>(&mut self, mut f: impl FnMut() -> Result<R, E>) -> Result<R, E> {
        let mut total = Duration::ZERO;
        loop {
            let start = Instant::now();
            let result = f();
            let elapsed = start.elapsed();

            total += elapsed;
            self.nanoseconds.push(u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX));
            let runs = self.nanoseconds.len() as u64;
            let is_enough = runs >= self.min_runs && total.as_secs_f64() >= self.min_seconds;
            if is_enough || result.is_err() {
                return result;
            }
        }
    }

    /// The duration of each run, in nanoseconds.
    pub(crate) fn nanoseconds(&self) -> &[u64] {
        &self.nanoseconds
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn count(mut runs: Runs) -> usize {
        let mut calls = 0;
        let last = runs.time(|| {
            calls += 1;
            Ok::<_, Infallible>(calls)
        });
        assert_eq!(last, Ok(calls));
        assert_eq!(runs.nanoseconds().len(), calls);
        calls
    }

    #[test]
    fn there_is_one_run_at_least() {
        assert_eq!(count(Runs::default()), 1);
    }

    #[test]
    fn there_are_as_many_runs_as_asked_for() {
        assert_eq!(count(Runs { min_runs: 7, ..Runs::default() }), 7);
    }

    #[test]
    fn runs_last_as_long_as_asked_for() {
        let mut runs = Runs { min_seconds: 1e-3, ..Runs::default() };
        runs.time(|| Ok::<_, Infallible>(())).expect("no error");
        assert!(runs.nanoseconds().iter().sum::<u64>() >= 1_000_000);
    }

    #[test]
    fn an_error_ends_the_runs() {
        let mut runs = Runs { min_runs: 7, ..Runs::default() };
        assert_eq!(runs.time(|| Err::<(), _>("no")), Err("no"));
        assert_eq!(runs.nanoseconds().len(), 1);
    }
}
