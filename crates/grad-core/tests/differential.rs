//! Random programs find planted bugs, and the program that is printed is short.

mod support;

use grad_conformance::differential::agrees_with_the_reference;
use support::{Fault, Faulty};

#[track_caller]
fn assert_found(fault: Fault, seeds: std::ops::Range<u64>) {
    let model = Faulty::new(fault);
    let found = seeds.into_iter().find_map(|seed| agrees_with_the_reference(&model, seed).err());
    let text = found.expect("some program shows the bug").to_string();
    // The seed, the inputs and the steps, and what is wrong.
    assert!(text.starts_with("seed ") && text.lines().count() <= 6, "{text}");
}

#[test]
fn a_right_backend_passes() {
    let model = Faulty::new(Fault::Nothing);
    let failures = (0..50).filter_map(|seed| agrees_with_the_reference(&model, seed).err());
    assert_eq!(failures.map(|failure| failure.to_string()).collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn wrong_broadcasting_is_found() {
    // One program in some 300 adds a vector to what it can be misaligned with.
    assert_found(Fault::WrongBroadcast, 0..3000);
}

#[test]
fn a_stale_cache_is_found() {
    assert_found(Fault::StaleCache, 0..50);
}

#[test]
fn a_wrong_axis_is_found() {
    assert_found(Fault::WrongAxis, 0..200);
}

#[test]
fn loss_of_precision_is_found() {
    assert_found(Fault::PrecisionLoss, 0..50);
}
