//! What tensors share is counted once in the memory of a tape.
#![allow(clippy::unwrap_used)] // A failing unwrap fails the test.

use grad_core::{Slice, Tape, Var};
use grad_ndarray::NdTensor;
use grad_ndarray::ndarray::{Array, Axis, array};

type T = NdTensor<f64>;

/// The sizes of the buffers, the largest first, and how many nodes share each.
fn buffers(tape: &Tape<T>) -> Vec<(usize, usize)> {
    tape.memory().buffers.iter().map(|buffer| (buffer.bytes, buffer.n_nodes)).collect()
}

/// 24 numbers, 192 bytes.
fn x(tape: &Tape<T>) -> Var<'_, T> {
    tape.var(Array::from_shape_fn((4, 6), |(i, j)| (i + j) as f64))
}

#[test]
fn views_share_the_buffer_they_look_at() {
    let tape = Tape::<T>::new();
    let x = x(&tape);
    let view = x.transpose(0, 1).narrow(0, 2, 3).reshape([3, 1, 4]).expand([7, 3, 5, 4]);
    assert_eq!(view.shape().unwrap().n_elements(), Some(420));
    let _ = (x.detach(), x.reshape([24]), x.narrow(1, 0, 2), x.narrow(1, 4, 2));
    assert_eq!(buffers(&tape), [(192, 9)]);
    assert_eq!(tape.memory().tensors, 192);
    // What is computed is new: once for all that repeats.
    let _ = x.expand([10, 4, 6]).exp();
    assert_eq!(buffers(&tape), [(192, 10), (192, 1)]);
}

#[test]
fn parts_and_elements_backward_are_within_their_whole() {
    let tape = Tape::<T>::new();
    let x = x(&tape);
    // Steps, and the last row alone.
    let every_other = [Slice { start: 0, stop: 4, step: 3 }, Slice { start: 1, stop: 6, step: 2 }];
    let _ = (x.slice(&every_other), x.narrow(0, 3, 1));
    assert_eq!(buffers(&tape), [(192, 3)]);
    // Backward from the end of the same memory.
    let mut array = array![[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]].into_shared();
    let tape = Tape::<T>::new();
    tape.var(array.clone());
    array.invert_axis(Axis(0));
    let backward = tape.var(array);
    assert_eq!(backward.to_host().unwrap(), [5.0, 6.0, 3.0, 4.0, 1.0, 2.0]);
    assert_eq!(buffers(&tape), [(48, 2)]);
}

#[test]
fn a_tensor_put_on_the_tape_twice_is_counted_once() {
    let data = T::from(vec![0.5; 100]);
    let tape = Tape::<T>::new();
    tape.var(data.clone());
    tape.constant(data.clone());
    tape.constant(vec![0.5; 100]);
    assert_eq!(buffers(&tape), [(800, 2), (800, 1)]);
    // The size of an element counts.
    let single = Tape::<NdTensor<f32>>::new();
    single.var(vec![0.5; 100]);
    assert_eq!(single.memory().tensors, 400);
}

#[test]
fn one_number_needs_no_buffer_however_often_it_is_repeated() {
    let tape = Tape::<T>::new();
    let x = tape.var(2.0);
    let y = (x * x).expand([1000, 1000]).exp();
    let _ = (y.zeros_like(), y.sum(), tape.var(vec![1.0]), tape.var(Vec::new()));
    assert_eq!(buffers(&tape), []);
}

#[test]
fn a_gradient_that_is_a_broadcast_is_small() {
    let tape = Tape::<T>::new();
    let x = x(&tape);
    tape.grad(x.sum(), x);
    // The gradient is 1, expanded.
    assert_eq!(buffers(&tape), [(192, 1)]);
}

#[test]
fn detect_nan_looks_at_views_and_broadcasts() {
    let tape = Tape::<T>::new();
    let x = tape.constant(array![[1.0, f64::NAN], [f64::INFINITY, 4.0]]);
    tape.detect_nan();
    assert!(x.narrow(0, 0, 1).is_void() && x.transpose(0, 1).is_void());
    // What is left out does not count.
    let last = Slice { start: 1, stop: 2, step: 1 };
    assert_eq!(x.slice(&[last, last]).item().unwrap(), 4.0);
    let y = tape.var(vec![f64::MAX, -f64::MAX]);
    assert!(!y.is_void() && (y * 2.0).is_void() && (y.expand([3, 2]) * 2.0).is_void());
    let single = Tape::<NdTensor<f32>>::new();
    single.detect_nan();
    let z = single.var(vec![1e30, 1.0]);
    let text = (z * z).value().unwrap_err().to_string();
    assert!(text.contains("\n  value       [2]: 1 infinite, else 1.0000"), "{text}");
}
