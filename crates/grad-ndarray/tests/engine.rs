//! Derivatives by the engine over this backend, in both types.
#![allow(clippy::unwrap_used)] // A failing unwrap fails the test.

use grad_core::{DType, Tape, TensorLike};
use grad_ndarray::ndarray::array;
use grad_ndarray::{Element, NdTensor};

fn third_derivative_of_x4<A: Element>(x: [A; 2]) -> Vec<f64> {
    let tape = Tape::<NdTensor<A>>::new();
    let x = tape.var(x);
    let y = (x * x * x * x).sum();
    let [first] = tape.grad(y, [x]);
    let [second] = tape.grad(first.sum(), [x]);
    let [third] = tape.backward(second.sum(), [x]).unwrap();
    third.to_host().unwrap()
}

#[test]
fn higher_derivatives_are_right_in_both_types() {
    // d³x⁴/dx³ = 24x, exact in both types for small whole numbers
    assert_eq!(third_derivative_of_x4([2.0f64, -3.0]), [48.0, -72.0]);
    assert_eq!(third_derivative_of_x4([2.0f32, -3.0]), [48.0, -72.0]);
}

#[test]
fn the_gradient_of_a_broadcast_sum_is_the_number_of_copies() {
    let tape = Tape::<NdTensor<f64>>::new();
    let (bias, x) = (tape.var(array![1.0, 2.0]), tape.constant(array![[1.0, 2.0], [3.0, 4.0]]));
    let [ct] = tape.backward((x + bias).sum(), [bias]).unwrap();
    assert_eq!(ct.view(), array![2.0, 2.0].into_dyn());
}

#[test]
fn single_precision_rounds_constants_once() {
    let x = NdTensor::from(1.0f32);
    assert_eq!(x.dtype(), DType::F32);
    assert_eq!(NdTensor::from(1.0f64).dtype(), DType::F64);
    let y = x.shift(0.1).unwrap().to_host().unwrap();
    assert_eq!(y, [f64::from(1.0f32 + 0.1f32)]);
    assert_eq!(x.full(&[], 1e300).unwrap().to_host().unwrap(), [f64::INFINITY]);
}
