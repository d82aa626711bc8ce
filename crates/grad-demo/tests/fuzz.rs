//! Random programs of random operations: on every backend the values and derivatives of the
//! reference, and on the reference those that differences give.
//!
//! Seeds are fixed, and a failure prints its seed with the shortest program that shows it. With
//! `SIMPLE_GRAD_FUZZ_SECONDS` in the environment the tests go on with further seeds for so long,
//! from `SIMPLE_GRAD_FUZZ_SEED` if that is given.

use std::time::{Duration, Instant};

use grad_candle::CandleTensor;
use grad_conformance::Verdict;
use grad_conformance::differential::{agrees_with_differences, agrees_with_the_reference};
use grad_ndarray::NdTensor;

/// As many programs as take half a minute without optimization.
const PROGRAMS: u64 = 1000;

/// Checks the programs of all seeds.
#[allow(clippy::print_stdout)] // An hour of nothing should say what it was.
fn fuzz(name: &str, check: impl Fn(u64) -> Verdict) -> Verdict {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let Some(seconds) = number("SIMPLE_GRAD_FUZZ_SECONDS") else {
        return (0..PROGRAMS).try_for_each(check);
    };
    let (began, limit) = (Instant::now(), Duration::from_secs(seconds));
    let first = number("SIMPLE_GRAD_FUZZ_SEED").unwrap_or(PROGRAMS);
    let mut n_programs = 0;
    for seed in first.. {
        if began.elapsed() > limit {
            break;
        }
        check(seed)?;
        n_programs += 1;
    }
    println!("{name}: {n_programs} programs from seed {first} in {seconds} s");
    Ok(())
}

#[test]
fn ndarray_agrees_with_the_reference() -> Verdict {
    fuzz("ndarray", |seed| agrees_with_the_reference(&NdTensor::from(0_f64), seed))
}

#[test]
fn candle_agrees_with_the_reference() -> Verdict {
    fuzz("candle", |seed| agrees_with_the_reference(&CandleTensor::from(0_f64), seed))
}

#[test]
fn the_reference_agrees_with_differences() -> Verdict {
    fuzz("differences", agrees_with_differences)
}
