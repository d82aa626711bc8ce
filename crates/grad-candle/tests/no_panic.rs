//! Whatever a program asks for, there is a value or an error, and never a panic.

use grad_candle::CandleTensor;
use grad_conformance::Verdict;
use grad_conformance::fuzz::{fails_like_the_reference, never_panics};

// The seed that a failure names repeats the program.
#[test]
fn random_programs_in_f64_fail_like_the_reference() -> Verdict {
    fails_like_the_reference(&CandleTensor::from(0.0_f64), 10_000..11_500)
}

#[test]
fn random_programs_in_f32_do_not_panic() -> Verdict {
    never_panics(&CandleTensor::from(0.0_f32), 20_000..22_000)
}
