//! What shares a buffer, what keeps a broadcast pending, and what is added in place.
#![allow(clippy::unwrap_used)] // A failing unwrap fails the test.

mod common;

use common::*;
use grad_core::{Slice, TensorLike};
use grad_ndarray::NdTensor;
use grad_ndarray::ndarray::{self, ArcArray, Array2, Axis, array};

/// Where the first element lies.
fn place(x: &T) -> *const f64 {
    x.view().as_ptr()
}

#[test]
fn arrays_of_every_layout_come_in_and_go_out_without_a_copy() {
    let row_major = array![[1.0, 2.0], [3.0, 4.0]];
    let start = row_major.as_ptr();
    let x = NdTensor::from(row_major);
    assert_eq!(place(&x), start);
    assert_eq!(x.into_inner().as_ptr(), start);

    let transposed = array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]].reversed_axes();
    let start = transposed.as_ptr();
    let x = NdTensor::from(transposed);
    assert_eq!((place(&x), x.shape()), (start, &[3, 2][..]));
    assert_eq!(host(&x), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);

    let mut reversed = array![1.0, 2.0, 3.0, 4.0];
    reversed.slice_axis_inplace(Axis(0), ndarray::Slice::new(0, None, -2));
    let start = reversed.as_ptr();
    let x = NdTensor::from(reversed);
    assert_eq!((place(&x), host(&x)), (start, vec![4.0, 2.0]));

    let shared: ArcArray<f64, _> = array![[1.0, 2.0], [3.0, 4.0]].into_shared();
    let x = NdTensor::from(shared.clone());
    assert_eq!(place(&x), shared.as_ptr());
}

#[test]
fn borrowed_arrays_vectors_and_numbers_come_in_by_copy() {
    let array = array![[1.0f32, 2.0], [3.0, 4.0]];
    assert_eq!(NdTensor::from(&array).view(), array.view().into_dyn());
    assert_eq!(NdTensor::from(array.t()).view(), array.t().into_dyn());
    assert_eq!(NdTensor::from(vec![1.0, 2.0]).view(), array![1.0, 2.0].into_dyn());
    assert_eq!(NdTensor::from([1.0, 2.0]).view(), array![1.0, 2.0].into_dyn());
    assert_eq!(NdTensor::from(2.0f32).shape(), &[] as &[usize]);
    let empty = NdTensor::from(Array2::<f64>::zeros((0, 3)));
    assert_eq!((empty.shape(), empty.view().len()), (&[0, 3][..], 0));
    assert_eq!(empty.into_inner().shape(), [0, 3]);
    assert_eq!(NdTensor::from(array![[5.0]]).into_inner(), array![[5.0]].into_dyn());
}

#[test]
fn permute_slice_and_reshape_share_the_buffer() {
    let x = iota(&[4, 6]);
    let start = place(&x);
    assert_eq!(place(&x.clone()), start);
    assert_eq!(place(&x.permute(&[1, 0]).unwrap()), start);
    assert_eq!(place(&x.reshape(&[2, 12]).unwrap()), start);
    let part = x.slice(&[Slice { start: 0, stop: 4, step: 3 }, Slice::all(6)]).unwrap();
    assert_eq!((place(&part), part.shape()), (start, &[2, 6][..]));
    // 1-based element 9 stands at offset 8.
    let part =
        x.slice(&[Slice { start: 1, stop: 3, step: 1 }, Slice { start: 2, stop: 6, step: 2 }]);
    let part = part.unwrap();
    assert_eq!((place(&part), host(&part)), (start.wrapping_add(8), vec![9.0, 11.0, 15.0, 17.0]));
    // Axes of size 1 come and go in any layout.
    let transposed = x.permute(&[1, 0]).unwrap();
    assert_eq!(place(&transposed.reshape(&[6, 1, 4, 1]).unwrap()), start);
    // A slice of rows is still row-major.
    let rows = x.slice(&[Slice { start: 2, stop: 4, step: 1 }, Slice::all(6)]).unwrap();
    assert_eq!(place(&rows.reshape(&[12]).unwrap()), start.wrapping_add(12));
}

#[test]
fn full_and_expand_copy_nothing() {
    let x = iota(&[3]);
    let wide = x.expand(&[1 << 20, 1 << 20, 3]).unwrap();
    assert_eq!(place(&wide), place(&x));
    assert_eq!(wide.view().strides(), [0, 0, 1]);
    let full = x.full(&[1 << 20, 1 << 20], 2.0).unwrap();
    assert_eq!(full.view().strides(), [0, 0]);
    assert_eq!(full.view()[[7, 8]], 2.0);
}

#[test]
fn elementwise_operations_leave_a_broadcast_pending() {
    // Any of these would need 32 TiB if it were carried out.
    let n = 1 << 42;
    let (x, y) = (iota(&[3]).expand(&[n, 3]).unwrap(), iota(&[3]).neg().unwrap());
    let wide = y.expand(&[n, 3]).unwrap();
    let results = [
        x.neg(),
        x.exp(),
        x.add(&wide),
        x.mul(&y),
        y.sub(&x),
        x.add(&x.scalar(1.0).unwrap()),
        x.scalar(1.0).unwrap().div(&x),
        x.add(&x.full(&[n, 3], 1.0).unwrap()),
        y.add(&x.full(&[n, 1], 1.0).unwrap()),
        x.select(&wide, &y),
        x.full(&[n, 3], 0.0).unwrap().select(&wide, &y),
        x.permute(&[1, 0]).and_then(|x| x.permute(&[1, 0])),
        x.reshape(&[n, 1, 3]).and_then(|x| x.reshape(&[n, 3])),
        x.slice(&[Slice::all(n), Slice::all(3)]),
        x.clone().accumulate(&wide),
    ];
    for result in results {
        let result = result.unwrap();
        assert_eq!((result.shape(), result.view().strides()[0]), (&[n, 3][..], 0));
    }
    assert_eq!(host(&x.sum(&[0]).unwrap()), [1.0, 2.0, 3.0].map(|x| x * n as f64));
    assert_eq!(host(&x.max(&[0, 1]).unwrap()), [3.0]);
    assert_eq!(host(&x.sum_to(&[1, 3]).unwrap()), [1.0, 2.0, 3.0].map(|x| x * n as f64));
    let rows = x.index_select(0, &[5, 7]).unwrap();
    assert_eq!(rows.view().strides(), [0, 1]);
}

#[test]
fn accumulate_adds_in_place_for_the_only_owner() {
    let x = iota(&[2, 3]);
    let (start, ones) = (place(&x), x.full(&[2, 3], 1.0).unwrap());
    let x = x.accumulate(&iota(&[2, 3])).unwrap();
    assert_eq!((place(&x), host(&x)), (start, vec![2.0, 4.0, 6.0, 8.0, 10.0, 12.0]));
    let x = x.accumulate(&iota(&[3]).expand(&[2, 3]).unwrap()).unwrap();
    let x = x.accumulate(&ones).unwrap();
    let x = x.accumulate(&iota(&[3, 2]).permute(&[1, 0]).unwrap()).unwrap();
    assert_eq!((place(&x), host(&x)), (start, vec![5.0, 10.0, 15.0, 12.0, 17.0, 22.0]));
}

#[test]
fn accumulate_leaves_other_owners_alone() {
    let x = iota(&[2, 3]);
    let (copy, view) = (x.clone(), x.permute(&[1, 0]).unwrap());
    let sum = x.accumulate(&copy).unwrap();
    assert_ne!(place(&sum), place(&copy));
    assert_eq!(host(&copy), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    assert_eq!(host(&view), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
}

#[test]
fn results_keep_a_transposed_layout() {
    let x = iota(&[2, 3]).permute(&[1, 0]).unwrap();
    for y in [x.exp().unwrap(), x.add(&x).unwrap()] {
        assert_eq!(y.view().strides(), x.view().strides());
    }
}

#[test]
fn high_ranks_are_legal() {
    let shape = [2, 1, 2, 1, 2, 1, 2, 3];
    let x = iota(&shape);
    let y =
        x.permute(&[7, 6, 5, 4, 3, 2, 1, 0]).unwrap().expand(&[4, 3, 2, 1, 2, 1, 2, 1, 2]).unwrap();
    assert_eq!(y.shape().len(), 9);
    assert_eq!(host(&y.sum(&[0, 1, 2, 3, 4, 5, 6, 7, 8]).unwrap()), [4.0 * 48.0 * 49.0 / 2.0]);
}

#[test]
fn debug_and_display_show_the_elements() {
    let x = iota(&[2]).expand(&[2, 2]).unwrap();
    assert_eq!(x.to_string(), "[[1, 2],\n [1, 2]]");
    assert!(format!("{x:?}").starts_with("[[1.0, 2.0],\n [1.0, 2.0]], shape=[2, 2]"));
}
