//! Whatever is asked of any operation on any backend, there is a value or an error, and never a
//! panic: random shapes, axes, parameters and values, shrunk to the smallest program that fails.

use grad_candle::CandleTensor;
use grad_conformance::Reference;
use grad_conformance::fuzz::does_not_panic;
use grad_ndarray::NdTensor;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(0),
        ..ProptestConfig::with_cases(500)
    })]

    #[test]
    fn any_program_gives_a_value_or_an_error(choices in vec(any::<u64>(), 0..300)) {
        let verdicts = [
            does_not_panic(&0.0, choices.clone()),
            does_not_panic(&Reference::from(0.0), choices.clone()),
            does_not_panic(&NdTensor::from(0f64), choices.clone()),
            does_not_panic(&NdTensor::from(0f32), choices.clone()),
            does_not_panic(&CandleTensor::from(0f64), choices.clone()),
            does_not_panic(&CandleTensor::from(0f32), choices),
        ];
        for verdict in verdicts {
            prop_assert!(verdict.is_ok(), "{:?}", verdict.err());
        }
    }
}
