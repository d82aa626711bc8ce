//! Tensors of all layouts for property tests, and the definitions to compare with.
#![allow(dead_code)] // Each test file uses a part.

use grad_core::{Slice, TensorLike};
use grad_ndarray::NdTensor;
use grad_ndarray::ndarray::{ArrayD, IxDyn};
use proptest::prelude::*;

pub(crate) type T = NdTensor<f64>;

/// A row-major tensor.
pub(crate) fn tensor(shape: &[usize], data: &[f64]) -> T {
    NdTensor::from(0.0).from_host(shape, data).expect("the test's shape fits its data")
}

/// 1, 2, 3 … in `shape`.
pub(crate) fn iota(shape: &[usize]) -> T {
    let n = shape.iter().product::<usize>();
    tensor(shape, &(1..=n).map(|i| i as f64).collect::<Vec<_>>())
}

pub(crate) fn host(x: &T) -> Vec<f64> {
    x.to_host().expect("a small tensor fits memory")
}

/// Equal, NaN to NaN, and zeros of either sign.
pub(crate) fn same(x: &[f64], y: &[f64]) -> bool {
    x.len() == y.len() && x.iter().zip(y).all(|(x, y)| x == y || (x.is_nan() && y.is_nan()))
}

/// Equal to rounding.
pub(crate) fn close(x: &[f64], y: &[f64]) -> bool {
    x.len() == y.len()
        && x.iter().zip(y).all(|(x, y)| {
            x == y || (x.is_nan() && y.is_nan()) || (x - y).abs() <= 1e-13 * (1.0 + f64::abs(*x))
        })
}

/// All multi-indices of `shape`, in row-major order.
pub(crate) fn indices(shape: &[usize]) -> Vec<Vec<usize>> {
    shape.iter().fold(vec![vec![]], |indices, &n| {
        let longer = |index: Vec<usize>| {
            (0..n).map(move |i| index.iter().copied().chain([i]).collect::<Vec<_>>())
        };
        indices.into_iter().flat_map(longer).collect()
    })
}

/// The element of a broadcast tensor at an index of the shape it broadcasts to.
pub(crate) fn at(x: &T, index: &[usize]) -> f64 {
    let shape = x.shape();
    let offset = index.len() - shape.len();
    let own: Vec<usize> =
        shape.iter().zip(&index[offset..]).map(|(&n, &i)| if n == 1 { 0 } else { i }).collect();
    x.view()[IxDyn(&own)]
}

/// Numbers, with the special ones among them.
pub(crate) fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        6 => (-8i32..8).prop_map(|n| f64::from(n) / 2.0),
        1 => Just(-0.0),
        1 => Just(f64::NAN),
        1 => Just(f64::INFINITY),
        1 => Just(f64::NEG_INFINITY),
    ]
}

/// Finite numbers, not too large.
pub(crate) fn finite() -> impl Strategy<Value = f64> {
    (-64i32..64).prop_map(|n| f64::from(n) / 8.0)
}

/// A tensor of `shape` in one of many layouts: row-major, permuted, reversed, sliced with a step,
/// broadcast, one number.
pub(crate) fn laid_out<S: Strategy<Value = f64> + 'static>(
    shape: Vec<usize>,
    element: fn() -> S,
) -> impl Strategy<Value = T> {
    let n_stored = shape.iter().map(|&n| 2 * n.max(1)).product::<usize>();
    let rank = shape.len();
    let order = Just((0..rank).collect::<Vec<usize>>()).prop_shuffle();
    let axes = prop::collection::vec(0u8..4, rank);
    (prop::collection::vec(element(), n_stored), order, axes).prop_map(
        move |(data, order, kinds)| {
            // The array in memory: permuted, twice as long along stepped axes, 1 along broadcast.
            let stored = |axis: usize| match kinds[axis] {
                1 => 2 * shape[axis],
                2 => 1,
                _ => shape[axis],
            };
            let sizes: Vec<usize> = order.iter().map(|&axis| stored(axis)).collect();
            let n = sizes.iter().product::<usize>();
            let array = ArrayD::from_shape_vec(IxDyn(&sizes), data[..n].to_vec());
            let mut array = array.expect("as many elements as the sizes multiply to");
            for (place, &axis) in order.iter().enumerate() {
                if kinds[axis] == 3 {
                    array.invert_axis(grad_ndarray::ndarray::Axis(place));
                }
            }
            let places: Vec<usize> = (0..rank)
                .map(|axis| order.iter().position(|&a| a == axis).expect("a permutation"))
                .collect();
            let slices: Vec<Slice> = (0..rank)
                .map(|axis| match kinds[axis] {
                    1 => Slice { start: 0, stop: 2 * shape[axis], step: 2 },
                    _ => Slice::all(stored(axis)),
                })
                .collect();
            NdTensor::from(array)
                .permute(&places)
                .and_then(|x| x.slice(&slices))
                .and_then(|x| x.expand(&shape))
                .expect("the layout fits the shape")
        },
    )
}

/// A shape of rank 0 to 4 with small sizes, zero among them.
pub(crate) fn shape() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(prop_oneof![1 => Just(0usize), 3 => Just(1), 8 => 2usize..4], 0..5)
}

/// A shape of rank 1 to 4 without zeros.
pub(crate) fn full_shape() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(1usize..4, 1..5)
}

/// A tensor of any shape and layout.
pub(crate) fn any_tensor() -> impl Strategy<Value = T> {
    shape().prop_flat_map(|shape| laid_out(shape, number))
}

/// A shape, and `N` shapes that broadcast to it together.
pub(crate) fn broadcast_shapes<const N: usize>()
-> impl Strategy<Value = (Vec<usize>, Vec<Vec<usize>>)> {
    shape().prop_flat_map(|out| {
        let rank = out.len();
        let one = (0..=rank, prop::collection::vec(any::<bool>(), rank));
        prop::collection::vec(one, N - 1).prop_map(move |others| {
            let mut shapes = vec![out.clone()];
            shapes.extend(others.into_iter().map(|(skip, ones)| {
                (skip..rank).map(|axis| if ones[axis] { 1 } else { out[axis] }).collect()
            }));
            (out.clone(), shapes)
        })
    })
}

/// Three tensors of any layout that broadcast together, with the shape they broadcast to.
pub(crate) fn operands() -> impl Strategy<Value = (Vec<usize>, Vec<T>)> {
    (broadcast_shapes::<3>(), 0usize..3).prop_flat_map(|((out, mut shapes), turn)| {
        shapes.rotate_left(turn);
        let tensors: Vec<_> =
            shapes.into_iter().map(|shape| laid_out(shape, number).boxed()).collect();
        (Just(out), tensors)
    })
}
