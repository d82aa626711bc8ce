//! Bad input is an error that names the method and the shapes, never a panic.
#![allow(clippy::unwrap_used)] // A failing unwrap fails the test.

mod common;

use common::*;
use grad_core::extend::{Index, Window};
use grad_core::{Slice, Tape, TensorLike};
use grad_ndarray::{NdError, NdTensor};
use proptest::prelude::*;

/// Sizes, among them some that overflow and some beyond any address space.
fn size() -> impl Strategy<Value = usize> {
    prop_oneof![
        8 => 0usize..4,
        1 => Just(usize::MAX),
        1 => Just(isize::MAX as usize),
        1 => Just(1 << 62),
        1 => Just(1 << 50),
    ]
}

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(size(), 0..6)
}

fn slice() -> impl Strategy<Value = Slice> {
    (size(), size(), size()).prop_map(|(start, stop, step)| Slice { start, stop, step })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn no_argument_makes_a_method_panic(
        tensors in prop::collection::vec(any_tensor(), 3),
        shape in sizes(),
        list in sizes(),
        slices in prop::collection::vec(slice(), 0..5),
        n in size(),
    ) {
        let [x, y, z] = &tensors[..] else { unreachable!() };
        let wide = x.full(&shape, 1.0).or_else(|_| x.full(&[1 << 50], 2.0)).unwrap();
        for x in [x, &wide] {
            for y in [y, &wide] {
                let _ = (x.add(y), x.div(y), x.lt(y), x.select(y, z), z.select(x, y), y.select(z, x));
                let _ = (x.matmul(y), y.matmul(x), x.clone().accumulate(y), x.maximum(y));
            }
            let _ = (x.sum(&list), x.max(&list), x.min(&list), x.mean(&list), x.sum_to(&shape));
            let _ = (x.reshape(&shape), x.permute(&list), x.expand(&shape));
            let _ = (x.slice(&slices), x.unslice(&shape, &slices));
            let _ = (x.index_select(n, &list), x.index_add(n, &list, shape.len()));
            let _ = (x.index_add(n, &list, n), x.powi(n as i32), x.neg(), x.from_host(&shape, &[1.0]));
            let index = Index::from(&list[..]);
            let window = Window { size: n, step: shape.len(), dilation: list.len() };
            let small = Window { size: 2, step: 1, dilation: 1 };
            for axis in [0, 1, n] {
                let _ = (x.gather(axis, &index), x.scatter_add(axis, &index, &shape));
                let _ = (x.concat(&[y, z], axis), x.cumsum(axis), x.softmax(axis));
                let _ = (x.unfold(axis, window), x.fold(axis, window, n));
                let _ = (x.unfold(axis, small), x.fold(axis, small, n), x.fold(axis, small, 3));
            }
            let _ = (x.view().len(), x.reshape(&[1]));
        }
    }
}

#[test]
fn errors_name_the_method_and_the_shapes() {
    let (x, y) = (iota(&[2, 3]), iota(&[4]));
    let text = |result: Result<T, NdError>| result.unwrap_err().to_string();
    assert_eq!(text(x.add(&y)), "add: shapes [2, 3] and [4] are incompatible");
    assert_eq!(text(x.matmul(&x)), "matmul: shapes [2, 3] and [2, 3] are incompatible");
    assert_eq!(
        text(x.matmul(&y)),
        "matmul: shapes [2, 3] and [4] must have at least two axes each"
    );
    assert_eq!(text(x.sum(&[2])), "sum: axes [2] do not fit shape [2, 3]");
    assert_eq!(text(x.sum(&[1, 1])), "sum: axes [1, 1] do not fit shape [2, 3]");
    assert_eq!(text(x.permute(&[1])), "permute: axes [1] do not fit shape [2, 3]");
    assert_eq!(text(x.reshape(&[5])), "reshape: shapes [2, 3] and [5] are incompatible");
    assert_eq!(text(x.expand(&[2, 2, 2])), "expand: shapes [2, 3] and [2, 2, 2] are incompatible");
    assert_eq!(text(x.from_host(&[2], &[1.0])), "from_host: shape [2] does not have 1 elements");
    assert_eq!(
        text(x.index_select(1, &[0, 3])),
        "index_select: index 3 is out of range for an axis of size 3"
    );
    assert_eq!(
        text(x.full(&[0, 3], 0.0).and_then(|x| x.max(&[0]))),
        "max: shape [0, 3] has no elements along the reduced axes"
    );
    assert_eq!(
        text(x.full(&[usize::MAX, 2], 0.0)),
        format!("full: shape [{}, 2] has more elements than memory can hold", usize::MAX)
    );
}

#[cfg(not(feature = "linalg"))]
#[test]
fn linear_algebra_names_the_feature_that_it_needs() {
    assert_eq!(
        iota(&[2, 2]).inv().unwrap_err().to_string(),
        "inv is unsupported by this backend (grad-ndarray without its feature `linalg`)"
    );
}

#[test]
fn more_elements_than_memory_are_an_error_when_asked_for() {
    // A petabyte times eight: nothing is allocated until the elements are needed.
    let x = iota(&[2]).full(&[1 << 50], 1.0).unwrap();
    assert_eq!(x.sum(&[0]).unwrap().to_host().unwrap(), [(1u64 << 50) as f64]);
    assert!(matches!(x.to_host(), Err(NdError::TooLarge { op: "to_host", .. })));
    let (column, row) = (x.reshape(&[1 << 50, 1]).unwrap(), x.reshape(&[1, 1 << 50]).unwrap());
    assert!(matches!(column.add(&row), Err(NdError::TooLarge { op: "add", .. })));
}

#[test]
fn errors_and_tensors_cross_threads() {
    fn crosses<X: Send + Sync + Clone + 'static>() {}
    crosses::<NdError>();
    crosses::<grad_ndarray::NdTensor<f32>>();
    crosses::<grad_ndarray::NdTensor<f64>>();
}

#[test]
fn more_tangents_than_memory_can_hold_are_an_error() {
    // A broadcast tensor takes no memory: 2⁵⁰ tangents of one element are no problem, as yet.
    let tape = Tape::<NdTensor<f64>>::new();
    let x = tape.var(NdTensor::from(0.5).reshape(&[1]).unwrap());
    let tangents = NdTensor::from(1.0).expand(&[1 << 50, 1]).unwrap();
    let cases = [
        (x.expand([1024]), "jvp_batch: shape [1125899906842624, 1024] has more elements"),
        (x.expand([1024]).sum(), "expand: shape [1125899906842624, 1024] has more elements"),
        // No list of indices, and no list of tangents, is that long.
        (x.gather(0, [0, 0]).sum(), "gather: shape [1125899906842624, 2] has more elements"),
    ];
    for (y, text) in cases {
        let error = tape.plain().jvp_batch(y, [(x, tangents.clone())]).unwrap_err().to_string();
        assert!(error.starts_with(text), "{error}");
    }
}
