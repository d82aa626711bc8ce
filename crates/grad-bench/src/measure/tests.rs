//! Samples, records, agreement and pictures: what the benchmarks have in common.

#![allow(clippy::panic, reason = "a failing assertion fails the test")]

use std::cell::RefCell;
use std::fs;
use std::time::Duration;

use anyhow::Result;

use super::case::{Case, distance};
use super::plot::{decades, growth};
use super::record::{Measurement, Samples, Time, timed};
use super::sample::{MIN_ROUNDS, Sampler, Summary, interleaved, ratio};

#[test]
fn contenders_run_in_turn_and_the_first_round_is_left_out() {
    let order = RefCell::new(String::new());
    let contender = |name, mut time: f64| -> Box<Sampler<'_>> {
        let order = &order;
        Box::new(move || {
            order.borrow_mut().push(name);
            time += 1.0;
            time
        })
    };
    let samples = interleaved(&mut [contender('a', 0.0), contender('b', 10.0)], Duration::ZERO);
    assert_eq!(*order.borrow(), "ab".repeat(1 + MIN_ROUNDS));
    // The first samples were 1 and 11.
    assert_eq!(samples[0], [2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
    assert_eq!(samples[1], [12.0, 13.0, 14.0, 15.0, 16.0, 17.0, 18.0]);
}

#[test]
fn the_median_is_in_the_middle_and_its_interval_around_it() {
    let odd = Summary::of(&[3.0, 1.0, 2.0]);
    assert_eq!(odd, Summary { min: 1.0, median: 2.0, interval: [1.0, 3.0] });
    // 50 − 9.8 samples below and above: the ranks 40 and 59, counted from 0.
    let samples: Vec<f64> = (0..100).map(|i| f64::from(i * 37 % 100)).collect();
    let even = Summary::of(&samples);
    assert_eq!(even, Summary { min: 0.0, median: 49.5, interval: [40.0, 59.0] });
}

#[test]
fn what_slows_a_round_down_for_all_does_not_change_a_ratio() {
    let (samples, others) = ([2.0, 4.0, 200.0, 2.2, 2.0], [1.0, 2.0, 100.0, 1.0, 1.0]);
    assert_eq!(ratio(&samples, &others), 2.0);
}

#[test]
fn times_are_by_operation_and_ratios_to_each_of_ours() {
    let (x, y, z) = ([20.0; 3], [30.0; 3], [60.0; 3]);
    let samples = |contender, calls| Samples { contender, calls, forward: Some(&x) };
    let all = [samples("ours on a", &x), samples("ours on b", &y), samples("theirs", &z)];
    let [_, _, theirs] = &timed("w", "step", None, Some(10), &all)[..] else {
        panic!("three records")
    };
    let time = theirs.time.as_ref().expect("a time");
    assert_eq!((time.min, time.median, time.unit), (6.0, 6.0, "op"));
    assert_eq!((time.ratios["ours on a"], time.ratios["ours on b"]), (3.0, 2.0));
    assert_eq!(time.over_forward, Some(3.0));
}

#[test]
fn the_json_is_flat_and_says_nothing_of_what_was_not_measured() {
    let measured = Measurement {
        bench: "w2".to_string(),
        case: "step".to_string(),
        contender: "floor".to_string(),
        size: None,
        time: None,
        peak_bytes: Some(7),
    };
    let expected = r#"{"bench":"w2","case":"step","contender":"floor","peak_bytes":7}"#;
    assert_eq!(serde_json::to_string(&measured).expect("JSON"), expected);
}

#[test]
fn distances_are_by_the_largest_of_each_list() {
    assert_eq!(distance(&[vec![2.0, 1.0]], &[vec![2.0, 1.5]]), 0.25);
    assert_eq!(distance(&[vec![2.0]], &[vec![2.0, 1.5]]), f64::INFINITY);
    assert_eq!(distance(&[vec![f64::NAN, 0.0]], &[vec![2.0, 0.0]]), f64::INFINITY);
    assert_eq!(distance(&[vec![0.0]], &[vec![0.0]]), 0.0);
}

#[test]
#[should_panic(expected = "w, step: b differs from a by 1e0")]
fn contenders_that_disagree_are_not_measured() {
    let mut case = Case::new("w", "step");
    case.contender("a", || vec![vec![1.0]]).contender("b", || vec![vec![2.0]]);
    case.time(Duration::ZERO);
}

#[test]
fn every_contender_is_timed_with_its_value_alone() {
    let mut case = Case::new("w", "step").per_op(2);
    case.contender("ours", || vec![vec![1.0]]).forward(|| vec![vec![1.0]]);
    case.contender("theirs", || vec![vec![1.0]]);
    let measured = case.time(Duration::ZERO);
    let over_forward = |at: usize| measured[at].time.as_ref().map(|time: &Time| time.over_forward);
    assert_eq!(measured.len(), 2);
    assert!(over_forward(0).flatten().is_some() && over_forward(1) == Some(None));
}

#[test]
fn every_case_of_several_sizes_has_a_picture() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let measured = |case: &str, size: Option<u64>| Measurement {
        bench: "w1".to_string(),
        case: case.to_string(),
        contender: "ours on f64".to_string(),
        size,
        time: None,
        peak_bytes: size.map(|n| 16 * n),
    };
    let measurements = [
        measured("step", None),
        measured("number of nodes", Some(10)),
        measured("number of nodes", Some(100)),
    ];
    growth(directory.path(), &measurements)?;
    let files: Vec<_> = fs::read_dir(directory.path())?.collect::<Result<_, _>>()?;
    let [file] = &files[..] else { panic!("{files:?}") };
    assert_eq!(file.file_name(), "w1-number-of-nodes-memory.svg");
    assert!(fs::read_to_string(file.path())?.contains("ours on f64"));
    Ok(())
}

#[test]
fn decades_go_around_the_numbers() {
    assert_eq!(decades([20.0, 300.0].into_iter()), (10.0, 1000.0));
    assert_eq!(decades([10.0, 100.0].into_iter()), (10.0, 100.0));
    assert_eq!(decades([10.0].into_iter()), (10.0, 100.0));
}
