//! Every kernel, for every layout, against its definition.

#![allow(clippy::unwrap_used)] // A failing unwrap fails the test.

mod common;

use common::*;
use grad_conformance::Minimal;
use grad_core::extend::{Index, Window};
use grad_core::{Slice, TensorLike};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn binary_kernels_follow_their_definitions((out, x) in operands()) {
        type Kernel = (fn(&T, &T) -> Result<T, grad_ndarray::NdError>, fn(f64, f64) -> f64);
        let kernels: [Kernel; 7] = [
            (T::add, |x, y| x + y),
            (T::sub, |x, y| x - y),
            (T::mul, |x, y| x * y),
            (T::div, |x, y| x / y),
            (T::pow, f64::powf),
            (T::lt, |x, y| f64::from(u8::from(x < y))),
            (T::eq, |x, y| f64::from(u8::from(x == y))),
        ];
        // The first and the second broadcast to `out` only with the third.
        let x: Vec<T> = x.iter().map(|x| x.add(&x.full(&[], 0.0).unwrap()).unwrap()).collect();
        for (i, j) in [(0, 1), (1, 2), (2, 0)] {
            for (kernel, formula) in kernels {
                let y = kernel(&x[i], &x[j]).unwrap().expand(&out).unwrap();
                let expected: Vec<f64> = indices(&out)
                    .iter()
                    .map(|index| formula(at(&x[i], index), at(&x[j], index)))
                    .collect();
                prop_assert!(same(&host(&y), &expected), "{:?} {:?} {:?}", x[i], x[j], y);
            }
        }
    }

    #[test]
    fn select_takes_the_first_where_the_mask_is_not_zero((out, x) in operands()) {
        let y = x[0].select(&x[1], &x[2]).unwrap();
        prop_assert_eq!(y.shape(), &out[..]);
        let expected: Vec<f64> = indices(&out)
            .iter()
            .map(|index| if at(&x[0], index) != 0.0 { at(&x[1], index) } else { at(&x[2], index) })
            .collect();
        prop_assert!(same(&host(&y), &expected));
    }

    #[test]
    fn unary_kernels_follow_their_definitions(x in any_tensor()) {
        type Kernel = (fn(&T) -> Result<T, grad_ndarray::NdError>, fn(f64) -> f64);
        let kernels: [Kernel; 6] = [
            (T::exp, f64::exp),
            (T::ln, f64::ln),
            (T::sin, f64::sin),
            (T::cos, f64::cos),
            (T::tanh, f64::tanh),
            (T::sqrt, f64::sqrt),
        ];
        for (kernel, formula) in kernels {
            let y = kernel(&x).unwrap();
            prop_assert_eq!(y.shape(), x.shape());
            // To the bit what each element gives alone, whatever the layout; how near that is to the
            // true value, `accuracy.rs` tests more closely.
            let alone = |value: f64| host(&kernel(&T::from(value)).unwrap())[0];
            let expected: Vec<f64> = host(&x).into_iter().map(alone).collect();
            prop_assert!(same(&host(&y), &expected), "{:?} {:?}", x, y);
            let expected: Vec<f64> = host(&x).into_iter().map(formula).collect();
            prop_assert!(close(&host(&y), &expected), "{:?} {:?}", x, y);
        }
    }

    #[test]
    fn reductions_follow_their_definitions(
        x in shape().prop_flat_map(|shape| laid_out(shape, finite)),
        reduced in prop::collection::vec(any::<bool>(), 5),
    ) {
        let axes: Vec<usize> = (0..x.shape().len()).filter(|&axis| reduced[axis]).collect();
        let keep = |index: &[usize]| -> Vec<usize> {
            (0..index.len()).filter(|axis| !axes.contains(axis)).map(|axis| index[axis]).collect()
        };
        let kept = keep(x.shape());
        let parts: Vec<Vec<f64>> = indices(&kept)
            .iter()
            .map(|place| {
                indices(x.shape()).iter().filter(|i| keep(i) == *place).map(|i| at(&x, i)).collect()
            })
            .collect();
        let sum = x.sum(&axes).unwrap();
        prop_assert_eq!(sum.shape(), &kept[..]);
        let expected: Vec<f64> = parts.iter().map(|part| part.iter().sum()).collect();
        prop_assert!(close(&host(&sum), &expected));
        if parts.iter().all(|part| !part.is_empty()) {
            let fold = |pick: fn(f64, f64) -> f64| -> Vec<f64> {
                parts.iter().map(|part| part.iter().copied().reduce(pick).unwrap()).collect()
            };
            prop_assert_eq!(host(&x.max(&axes).unwrap()), fold(f64::max));
            prop_assert_eq!(host(&x.min(&axes).unwrap()), fold(f64::min));
        } else {
            prop_assert!(x.max(&axes).is_err());
        }
    }

    #[test]
    fn permute_moves_the_axes((x, axes) in any_tensor().prop_flat_map(|x| {
        let axes: Vec<usize> = (0..x.shape().len()).collect();
        (Just(x), Just(axes).prop_shuffle())
    })) {
        let y = x.permute(&axes).unwrap();
        let expected = x.view().permuted_axes(axes);
        prop_assert_eq!(y.shape(), expected.shape());
        prop_assert!(same(&host(&y), &expected.iter().copied().collect::<Vec<_>>()));
    }

    #[test]
    fn reshape_keeps_the_order_of_elements(x in any_tensor(), ones in prop::collection::vec(0usize..6, 0..4)) {
        let flat = x.reshape(&[host(&x).len()]).unwrap();
        prop_assert!(same(&host(&flat), &host(&x)));
        let mut shape = x.shape().to_vec();
        ones.iter().for_each(|&place| shape.insert(place.min(shape.len()), 1));
        let y = x.reshape(&shape).unwrap();
        prop_assert_eq!(y.shape(), &shape[..]);
        prop_assert!(same(&host(&y), &host(&x)));
        let back = y.reshape(x.shape()).unwrap();
        prop_assert!(same(&host(&back), &host(&x)));
        shape.reverse();
        prop_assert!(same(&host(&y.reshape(&shape).unwrap()), &host(&x)));
    }

    #[test]
    fn slice_and_unslice_follow_their_definitions(
        x in any_tensor(),
        cuts in prop::collection::vec((0usize..5, 0usize..5, 1usize..5), 5),
    ) {
        let shape = x.shape().to_vec();
        let slices: Vec<Slice> = shape
            .iter()
            .zip(cuts)
            .map(|(&n, (start, length, step))| {
                let start = start.min(n);
                Slice { start, stop: (start + length).min(n), step }
            })
            .collect();
        let part = x.slice(&slices).unwrap();
        let inside = |index: &[usize]| index.iter().zip(&slices).all(|(&i, slice)| {
            (slice.start..slice.stop).step_by(slice.step).any(|j| i == j)
        });
        let all = indices(&shape);
        let expected: Vec<f64> = all.iter().filter(|i| inside(i)).map(|i| at(&x, i)).collect();
        prop_assert!(same(&host(&part), &expected));
        let whole = part.unslice(&shape, &slices).unwrap();
        prop_assert_eq!(whole.shape(), &shape[..]);
        let expected: Vec<f64> =
            all.iter().map(|i| if inside(i) { at(&x, i) } else { 0.0 }).collect();
        prop_assert!(same(&host(&whole), &expected));
    }

    #[test]
    fn index_select_and_index_add_follow_their_definitions(
        x in any_tensor(),
        axis in 0usize..4,
        places in prop::collection::vec(0usize..8, 0..5),
    ) {
        let shape = x.shape().to_vec();
        prop_assume!(axis < shape.len());
        let n = shape[axis];
        let index: Vec<usize> = if n == 0 { vec![] } else { places.iter().map(|i| i % n).collect() };
        let part = x.index_select(axis, &index).unwrap();
        let mut selected = shape.clone();
        selected[axis] = index.len();
        prop_assert_eq!(part.shape(), &selected[..]);
        let expected: Vec<f64> = indices(&selected)
            .into_iter()
            .map(|mut i| {
                i[axis] = index[i[axis]];
                at(&x, &i)
            })
            .collect();
        prop_assert!(same(&host(&part), &expected));

        let whole = part.index_add(axis, &index, n).unwrap();
        prop_assert_eq!(whole.shape(), &shape[..]);
        let expected: Vec<f64> = indices(&shape)
            .into_iter()
            .map(|i| index.iter().filter(|&&j| j == i[axis]).map(|_| at(&x, &i)).sum())
            .collect();
        prop_assert!(close(&host(&whole), &expected));
    }

    #[test]
    fn gather_and_scatter_add_follow_their_definitions(
        (x, sizes, axis) in full_shape().prop_flat_map(|shape| {
            let sizes: Vec<_> = shape.iter().map(|&n| 0..=n).collect();
            let rank = shape.len();
            (laid_out(shape, finite), sizes, 0..rank)
        }),
        size in 0usize..5,
        places in prop::collection::vec(0usize..60, 256),
    ) {
        let shape = x.shape().to_vec();
        let mut sizes = sizes;
        sizes[axis] = size;
        let n = sizes.iter().product();
        let data: Vec<usize> = places.iter().map(|i| i % shape[axis]).take(n).collect();
        let index = Index::new(&sizes[..], data.clone()).unwrap();
        let y = x.gather(axis, &index).unwrap();
        prop_assert_eq!(y.shape(), &sizes[..]);
        let sources: Vec<Vec<usize>> = indices(&sizes)
            .into_iter()
            .zip(data)
            .map(|(mut place, i)| {
                place[axis] = i;
                place
            })
            .collect();
        let expected: Vec<f64> = sources.iter().map(|place| at(&x, place)).collect();
        prop_assert_eq!(host(&y), expected);

        let z = y.scatter_add(axis, &index, &shape).unwrap();
        let expected: Vec<f64> = indices(&shape)
            .iter()
            .map(|place| at(&x, place) * sources.iter().filter(|i| *i == place).count() as f64)
            .collect();
        prop_assert!(z.shape() == shape && close(&host(&z), &expected));
    }

    #[test]
    fn concat_is_undone_by_slice(
        (x, axis) in full_shape().prop_flat_map(|shape| {
            let axes = 0..shape.len();
            (prop::collection::vec(laid_out(shape, number), 3), axes)
        }),
    ) {
        let n = x[0].shape()[axis];
        let joined = x[0].concat(&[&x[1], &x[2]], axis).unwrap();
        for (i, part) in x.iter().enumerate() {
            let mut slices: Vec<Slice> = joined.shape().iter().map(|&n| Slice::all(n)).collect();
            slices[axis] = Slice { start: i * n, stop: (i + 1) * n, step: 1 };
            let slice = joined.slice(&slices).unwrap();
            prop_assert!(slice.shape() == part.shape() && same(&host(&slice), &host(part)));
        }
    }

    #[test]
    fn unfold_and_fold_follow_their_definitions(
        (x, axis) in full_shape().prop_flat_map(|mut shape| {
            shape[0] += 3;
            let axes = 0..shape.len();
            (laid_out(shape, finite), axes)
        }),
        (size, step, dilation) in (1usize..4, 1usize..4, 1usize..3),
    ) {
        let window = Window { size, step, dilation };
        let shape = x.shape().to_vec();
        let y = x.unfold(axis, window).unwrap();
        let mut sizes = shape.clone();
        sizes[axis] = window.count(shape[axis]).unwrap();
        sizes.push(size);
        prop_assert_eq!(y.shape(), &sizes[..]);
        let sources: Vec<Vec<usize>> = indices(&sizes)
            .into_iter()
            .map(|mut place| {
                let j = place.pop().unwrap();
                place[axis] = place[axis] * step + j * dilation;
                place
            })
            .collect();
        let expected: Vec<f64> = sources.iter().map(|place| at(&x, place)).collect();
        prop_assert_eq!(host(&y), expected);

        let z = y.fold(axis, window, shape[axis]).unwrap();
        let expected: Vec<f64> = indices(&shape)
            .iter()
            .map(|place| at(&x, place) * sources.iter().filter(|i| *i == place).count() as f64)
            .collect();
        prop_assert!(z.shape() == shape && close(&host(&z), &expected));
    }

    #[test]
    fn matmul_follows_its_definition(
        (out, x, y) in (broadcast_shapes::<2>(), 0usize..4, 0usize..4, 0usize..4, any::<bool>())
            .prop_flat_map(|((batch, mut shapes), m, k, n, turn)| {
                if turn {
                    shapes.reverse();
                }
                let with = |batch: &[usize], size: [usize; 2]| [batch, &size].concat();
                (
                    Just(with(&batch, [m, n])),
                    laid_out(with(&shapes[0], [m, k]), finite),
                    laid_out(with(&shapes[1], [k, n]), finite),
                )
            }),
    ) {
        let z = x.matmul(&y).unwrap();
        prop_assert_eq!(z.shape(), &out[..]);
        let rank = out.len();
        let k = x.shape()[x.shape().len() - 1];
        let place = |index: &[usize], rank: usize, i: usize, j: usize| -> Vec<usize> {
            [&index[index.len() - rank..index.len() - 2], &[i, j]].concat()
        };
        let expected: Vec<f64> = indices(&out)
            .iter()
            .map(|index| {
                (0..k)
                    .map(|i| {
                        let of_x = place(index, x.shape().len(), index[rank - 2], i);
                        let of_y = place(index, y.shape().len(), i, index[rank - 1]);
                        at(&x, &of_x) * at(&y, &of_y)
                    })
                    .sum()
            })
            .collect();
        prop_assert!(close(&host(&z), &expected));
    }

    #[test]
    fn sum_to_is_the_transpose_of_expand(
        (x, small) in broadcast_shapes::<2>().prop_flat_map(|(out, shapes)| {
            (laid_out(out, finite), Just(shapes[1].clone()))
        }),
    ) {
        let y = x.sum_to(&small).unwrap();
        prop_assert_eq!(y.shape(), &small[..]);
        // ⟨1, sum_to x⟩ = ⟨expand 1, x⟩, with weights that tell the places apart.
        let weights: Vec<f64> = (0..host(&y).len()).map(|i| i as f64 + 1.0).collect();
        let weights = tensor(&small, &weights);
        let dot = |x: &T, y: &T| host(x).iter().zip(host(y)).map(|(x, y)| x * y).sum::<f64>();
        let wide = weights.expand(x.shape()).unwrap();
        prop_assert!(close(&[dot(&weights, &y)], &[dot(&wide, &x)]));
    }

    #[test]
    fn scans_and_softmax_follow_their_definitions(x in any_tensor(), axis in 0usize..4) {
        prop_assume!(axis < x.shape().len());
        let defined = Minimal(x.clone());
        let all = [
            (x.cumsum(axis), defined.cumsum(axis)),
            (x.reverse_cumsum(axis), defined.reverse_cumsum(axis)),
            (x.softmax(axis), defined.softmax(axis)),
            (x.log_softmax(axis), defined.log_softmax(axis)),
        ];
        for (result, defined) in all {
            let (result, Minimal(defined)) = (result.unwrap(), defined.unwrap());
            prop_assert_eq!(result.shape(), x.shape());
            prop_assert!(close(&host(&result), &host(&defined)), "{:?}", x);
        }
    }

    #[test]
    fn accumulate_adds((out, x) in operands()) {
        let x: Vec<T> = x.iter().map(|x| x.expand(&out).unwrap()).collect();
        let expected = host(&x[0].add(&x[1]).unwrap());
        // Shared, and the only owner of its buffer.
        prop_assert!(same(&host(&x[0].clone().accumulate(&x[1]).unwrap()), &expected));
        let mut left = x.into_iter();
        let (x, y) = (left.next().unwrap(), left.next().unwrap());
        prop_assert!(same(&host(&x.accumulate(&y).unwrap()), &expected));
    }
}

#[test]
fn long_reductions_use_every_element_once() {
    // The sum of 1..=n is exact in f64, whatever the order.
    for n in [1usize, 7, 8, 9, 511, 512, 513, 1024, 1025, 5000] {
        let expected = (n * (n + 1) / 2) as f64;
        let x = iota(&[n]);
        assert_eq!(host(&x.sum(&[0]).unwrap()), [expected]);
        assert_eq!(host(&x.max(&[0]).unwrap()), [n as f64]);
        let columns = x.reshape(&[n, 1]).unwrap().mul(&iota(&[3])).unwrap();
        let sums: Vec<f64> = (1..=3).map(|i| i as f64 * expected).collect();
        assert_eq!(host(&columns.sum(&[0]).unwrap()), sums);
        assert_eq!(host(&columns.max(&[0]).unwrap()), [1.0, 2.0, 3.0].map(|i| i * n as f64));
    }
}

#[test]
fn a_sum_of_many_equal_numbers_keeps_its_digits() {
    // One after the other, ten million times 0.1 in f32 comes out near 1_087_937.
    let n = 10_000_000;
    let x = grad_ndarray::NdTensor::from(vec![0.1f32; n]);
    let sum = x.sum(&[0]).unwrap().to_host().unwrap();
    assert!((sum[0] - 0.1 * n as f64).abs() < 1.0, "{sum:?}");
    let columns = x.reshape(&[n / 2, 2]).unwrap().sum(&[0]).unwrap().to_host().unwrap();
    assert!((columns[0] - 0.05 * n as f64).abs() < 1.0, "{columns:?}");
}

#[test]
fn extrema_of_long_axes_are_nan_wherever_the_nan_is() {
    for n in [3, 20, 600] {
        for place in [0, 1, n / 2, n - 1] {
            let mut data = vec![1.0; n];
            data[place] = f64::NAN;
            let x = tensor(&[n], &data);
            assert!(host(&x.max(&[0]).unwrap())[0].is_nan());
            assert!(host(&x.min(&[0]).unwrap())[0].is_nan());
        }
    }
}

#[test]
fn matmul_of_large_transposed_operands() {
    let (x, y) =
        (iota(&[40, 30]).permute(&[1, 0]).unwrap(), iota(&[20, 40]).permute(&[1, 0]).unwrap());
    let z = x.matmul(&y).unwrap();
    assert_eq!(
        z.view(),
        x.view()
            .into_dimensionality::<grad_ndarray::ndarray::Ix2>()
            .unwrap()
            .dot(&y.view().into_dimensionality::<grad_ndarray::ndarray::Ix2>().unwrap())
            .into_dyn()
    );
}
