//! What the methods compute: NaN, infinities, zeros, zero sizes and 16 bits included.

use grad_candle::candle_core::{DType, Device, Tensor};
use grad_candle::{CandleError, CandleTensor};
use grad_core::{Index, Slice, TensorLike, Window};

type Result<T = ()> = std::result::Result<T, CandleError>;

const NAN: f64 = f64::NAN;
const INF: f64 = f64::INFINITY;
const SAMPLES: [f64; 12] = [NAN, -INF, -3.0, -2.0, -0.5, -0.0, 0.0, 0.5, 1.0, 2.0, 3.0, INF];

fn tensor(shape: &[usize], data: &[f64]) -> Result<CandleTensor> {
    CandleTensor::from(0f64).from_host(shape, data)
}

fn of(dtype: DType, shape: &[usize], data: &[f64]) -> Result<CandleTensor> {
    CandleTensor::from(Tensor::zeros((), dtype, &Device::Cpu)?).from_host(shape, data)
}

/// Equal to 1e-14, or both NaN.
fn close(x: f64, y: f64) -> bool {
    x == y || (x.is_nan() && y.is_nan()) || (x - y).abs() <= 1e-14 * y.abs()
}

#[test]
fn functions_of_two_agree_with_the_definitions_on_f64() -> Result {
    type Method<T> = fn(&T, &T) -> std::result::Result<T, <T as TensorLike>::Error>;
    let methods: [(&str, Method<CandleTensor>, Method<f64>); 12] = [
        ("add", TensorLike::add, TensorLike::add),
        ("sub", TensorLike::sub, TensorLike::sub),
        ("mul", TensorLike::mul, TensorLike::mul),
        ("div", TensorLike::div, TensorLike::div),
        ("pow", TensorLike::pow, TensorLike::pow),
        ("lt", TensorLike::lt, TensorLike::lt),
        ("le", TensorLike::le, TensorLike::le),
        ("eq", TensorLike::eq, TensorLike::eq),
        ("ne", TensorLike::ne, TensorLike::ne),
        ("maximum", TensorLike::maximum, TensorLike::maximum),
        ("minimum", TensorLike::minimum, TensorLike::minimum),
        ("mul_or_zero", TensorLike::mul_or_zero, TensorLike::mul_or_zero),
    ];
    let n = SAMPLES.len();
    let (x, y) = (tensor(&[n, 1], &SAMPLES)?, tensor(&[n], &SAMPLES)?);
    for (name, method, definition) in methods {
        let values = method(&x, &y)?.to_host()?;
        for (i, value) in values.iter().enumerate() {
            let (x, y) = (SAMPLES[i / n], SAMPLES[i % n]);
            let expected = definition(&x, &y).expect("scalars have this method");
            assert!(close(*value, expected), "{name}({x}, {y}) is {expected}, not {value}");
        }
    }
    Ok(())
}

#[test]
fn functions_of_one_agree_with_the_definitions_on_f64() -> Result {
    type Method<T> = fn(&T) -> std::result::Result<T, <T as TensorLike>::Error>;
    let methods: [(&str, Method<CandleTensor>, Method<f64>); 15] = [
        ("exp", TensorLike::exp, TensorLike::exp),
        ("ln", TensorLike::ln, TensorLike::ln),
        ("sin", TensorLike::sin, TensorLike::sin),
        ("cos", TensorLike::cos, TensorLike::cos),
        ("tanh", TensorLike::tanh, TensorLike::tanh),
        ("sqrt", TensorLike::sqrt, TensorLike::sqrt),
        ("neg", TensorLike::neg, TensorLike::neg),
        ("recip", TensorLike::recip, TensorLike::recip),
        ("abs", TensorLike::abs, TensorLike::abs),
        ("sign", TensorLike::sign, TensorLike::sign),
        ("relu", TensorLike::relu, TensorLike::relu),
        ("scale", |x| x.scale(-3.0), |x| x.scale(-3.0)),
        ("shift", |x| x.shift(0.1), |x| x.shift(0.1)),
        ("powf", |x| x.powf(0.5), |x| x.powf(0.5)),
        ("powi", |x| x.powi(-3), |x| x.powi(-3)),
    ];
    let x = tensor(&[SAMPLES.len()], &SAMPLES)?;
    for (name, method, definition) in methods {
        for (x, value) in SAMPLES.iter().zip(method(&x)?.to_host()?) {
            let expected = definition(x).expect("scalars have this method");
            assert!(close(value, expected), "{name}({x}) is {expected}, not {value}");
        }
    }
    Ok(())
}

#[test]
fn pow_has_the_special_cases_of_c() -> Result {
    let cases = [
        (-2.0, 3.0, -8.0),
        (0.0, 0.0, 1.0),
        (NAN, 0.0, 1.0),
        (1.0, NAN, 1.0),
        (0.0, 2.0, 0.0),
        (0.0, -1.0, INF),
        (-0.0, -3.0, -INF),
        (-2.0, 0.5, NAN),
        (-INF, 3.0, -INF),
        (INF, -1.0, 0.0),
        (-1.0, INF, 1.0),
        (0.5, INF, 0.0),
    ];
    for dtype in [DType::F64, DType::F32, DType::F16, DType::BF16] {
        for (x, y, expected) in cases {
            let base = of(dtype, &[], &[x])?;
            for power in [base.pow(&base.scalar(y)?)?, base.powf(y)?] {
                let power = power.to_host()?[0];
                assert!(close(power, expected), "{x} to the {y} is {expected}, not {power}");
            }
        }
    }
    Ok(())
}

#[test]
fn scalars_are_rounded_as_vectors_are() -> Result {
    for dtype in [DType::F64, DType::F32, DType::F16, DType::BF16] {
        let (x, y) = (of(dtype, &[], &[0.1])?, of(dtype, &[], &[0.7])?);
        let (xs, ys) = (x.expand(&[2])?.reshape(&[2, 1])?, y.reshape(&[1])?);
        assert_eq!(x.add(&y)?.to_host()?, xs.add(&ys)?.to_host()?[..1]);
        assert_eq!(x.sub(&y)?.to_host()?, xs.sub(&ys)?.to_host()?[..1]);
        assert_eq!(x.mul(&y)?.to_host()?, xs.mul(&ys)?.to_host()?[..1]);
        assert_eq!(x.div(&y)?.to_host()?, xs.div(&ys)?.to_host()?[..1]);
    }
    Ok(())
}

#[test]
fn powf_is_one_at_exponent_zero_and_squares_exactly() -> Result {
    let x = tensor(&[4], &[NAN, 0.0, -INF, 3.0])?;
    assert_eq!(x.powf(0.0)?.to_host()?, [1.0; 4]);
    assert_eq!(x.powi(0)?.to_host()?, [1.0; 4]);
    assert_eq!(tensor(&[2], &[-0.1, 3.0])?.powf(2.0)?.to_host()?, [0.1 * 0.1, 9.0]);
    Ok(())
}

#[test]
fn scaling_keeps_the_sign_of_zero() -> Result {
    let x = tensor(&[2], &[-0.0, 0.0])?.scale(1.0)?.to_host()?;
    assert!(x[0].is_sign_negative() && x[1].is_sign_positive());
    let x = tensor(&[2], &[-0.0, 0.0])?.scale(-1.0)?.to_host()?;
    assert!(x[0].is_sign_positive() && x[1].is_sign_negative());
    Ok(())
}

#[test]
fn masks_have_the_dtype_of_their_operands() -> Result {
    for dtype in [DType::F64, DType::F32, DType::F16, DType::BF16, DType::U8, DType::I64] {
        let x = of(dtype, &[3], &[1.0, 2.0, 3.0])?;
        let mask = x.lt(&x.scalar(2.0)?)?;
        assert_eq!((mask.dtype(), mask.to_host()?), (x.dtype(), vec![1.0, 0.0, 0.0]));
        assert_eq!(mask.select(&x, &x.scalar(9.0)?)?.to_host()?, [1.0, 9.0, 9.0]);
    }
    Ok(())
}

#[test]
fn any_number_but_zero_selects() -> Result {
    let mask = tensor(&[5], &[-0.0, 0.0, NAN, 0.5, -INF])?;
    let (a, b) = (mask.scalar(1.0)?, tensor(&[2, 1], &[2.0, 3.0])?);
    let expected = [2.0, 2.0, 1.0, 1.0, 1.0, 3.0, 3.0, 1.0, 1.0, 1.0];
    assert_eq!(mask.select(&a, &b)?.to_host()?, expected);
    Ok(())
}

#[test]
fn nan_wins_in_extremes_wherever_it_stands() -> Result {
    let x = tensor(&[3, 2], &[NAN, 1.0, 2.0, NAN, 3.0, 4.0])?;
    for axes in [&[0][..], &[0, 1]] {
        assert!(x.max(axes)?.to_host()?.iter().all(|x| x.is_nan()));
        assert!(x.min(axes)?.to_host()?.iter().all(|x| x.is_nan()));
    }
    let rows = format!("{:?}", x.max(&[1])?.to_host()?);
    assert_eq!(rows, "[NaN, NaN, 4.0]");
    let rows = format!("{:?}", x.min(&[1])?.to_host()?);
    assert_eq!(rows, "[NaN, NaN, 3.0]");
    Ok(())
}

#[test]
fn sums_and_extremes_take_any_axes() -> Result {
    let data: Vec<f64> = (0..24).map(f64::from).collect();
    let x = tensor(&[2, 3, 4], &data)?;
    assert_eq!(x.sum(&[])?.to_host()?, data);
    assert_eq!(x.max(&[])?.to_host()?, data);
    assert_eq!(x.sum(&[0, 1, 2])?.to_host()?, [276.0]);
    assert_eq!(x.sum(&[0, 2])?.to_host()?, [60.0, 92.0, 124.0]);
    assert_eq!(x.mean(&[0, 2])?.to_host()?, [7.5, 11.5, 15.5]);
    assert_eq!(x.sum(&[0, 1])?.to_host()?, [60.0, 66.0, 72.0, 78.0]);
    assert_eq!(x.max(&[1, 2])?.to_host()?, [11.0, 23.0]);
    assert_eq!(x.min(&[0, 1])?.to_host()?, [0.0, 1.0, 2.0, 3.0]);
    assert_eq!(x.sum_to(&[3, 1])?.to_host()?, [60.0, 92.0, 124.0]);
    assert_eq!(x.sum_to(&[1, 3, 1])?.shape(), [1, 3, 1]);
    Ok(())
}

#[test]
fn sixteen_bits_sum_beyond_what_they_can_count() -> Result {
    // Candle alone: 256 of 1000 in bf16, and 2048 of 4096 in f16.
    for (dtype, n) in [(DType::BF16, 1024), (DType::F16, 4096)] {
        let ones = of(dtype, &[], &[1.0])?.full(&[n, 3], 1.0)?;
        assert_eq!(ones.sum(&[0])?.to_host()?, [n as f64; 3]);
        assert_eq!(ones.permute(&[1, 0])?.sum(&[1])?.to_host()?, [n as f64; 3]);
        assert_eq!(ones.mean(&[0, 1])?.to_host()?, [1.0]);
        assert_eq!(ones.sum(&[1])?.index_add(0, &vec![0; n], 1)?.to_host()?, [3.0 * n as f64]);
    }
    Ok(())
}

#[test]
fn single_precision_sums_do_not_drift() -> Result {
    // Candle alone: 886513 over the first axis.
    let x = CandleTensor::from(0f32).full(&[1 << 22, 2], f64::from(0.1f32))?;
    assert_eq!(x.sum(&[0])?.to_host()?, [f64::from((0.1f32 as f64 * 4194304.0) as f32); 2]);
    Ok(())
}

#[test]
fn what_is_computed_from_constants_takes_one_element_of_memory() -> Result {
    let twos = tensor(&[3], &[0.0; 3])?.full(&[4, 3], 2.0)?;
    for (y, expected) in [
        (twos.add(&twos)?, 4.0),
        (twos.neg()?, -2.0),
        (twos.scale(3.0)?, 6.0),
        (twos.lt(&twos)?, 0.0),
    ] {
        assert_eq!(y.as_tensor().stride(), [0, 0]);
        assert_eq!(y.to_host()?, [expected; 12]);
    }
    let nothing = twos.full(&[0, 3], 2.0)?;
    assert_eq!(
        (nothing.neg()?.shape(), nothing.add(&nothing)?.shape()),
        (&[0, 3][..], &[0, 3][..])
    );
    Ok(())
}

#[test]
fn extremes_of_long_rows_see_every_element() -> Result {
    for n in 1..40 {
        for place in 0..n {
            let mut row = vec![0.0; n];
            row[place] = 1.0;
            assert_eq!(tensor(&[n], &row)?.max(&[0])?.to_host()?, [1.0]);
            row[place] = NAN;
            assert!(tensor(&[n], &row)?.min(&[0])?.to_host()?[0].is_nan());
        }
    }
    Ok(())
}

#[test]
fn zero_sizes_are_legal() -> Result {
    let x = tensor(&[0, 3], &[])?;
    assert_eq!(x.to_host()?, [0.0; 0]);
    assert_eq!(x.add(&tensor(&[1, 3], &[1.0; 3])?)?.shape(), [0, 3]);
    assert_eq!(tensor(&[2, 1], &[1.0; 2])?.mul(&tensor(&[1, 0], &[])?)?.shape(), [2, 0]);
    assert_eq!(x.lt(&x)?.shape(), [0, 3]);
    assert_eq!(x.permute(&[1, 0])?.lt(&x.permute(&[1, 0])?)?.shape(), [3, 0]);
    assert_eq!(x.select(&x, &x.scalar(0.0)?)?.shape(), [0, 3]);
    assert_eq!((x.exp()?.shape(), x.relu()?.shape()), (&[0, 3][..], &[0, 3][..]));
    assert_eq!(x.sum(&[0])?.to_host()?, [0.0; 3]);
    assert_eq!(x.sum(&[1])?.shape(), [0]);
    assert_eq!(x.max(&[1])?.shape(), [0]);
    assert!(x.mean(&[0, 1])?.to_host()?[0].is_nan());
    assert!(x.max(&[0]).is_err());
    assert_eq!(x.reshape(&[5, 0, 2])?.shape(), [5, 0, 2]);
    assert_eq!(x.expand(&[4, 0, 3])?.shape(), [4, 0, 3]);
    assert_eq!(x.full(&[2, 0], 1.0)?.sum(&[])?.shape(), [2, 0]);
    assert_eq!(x.slice(&[Slice::all(0), Slice { start: 3, stop: 3, step: 2 }])?.shape(), [0, 0]);
    assert_eq!(
        x.unslice(&[2, 3], &[Slice { start: 2, stop: 2, step: 1 }, Slice::all(3)])?.to_host()?,
        [0.0; 6]
    );
    assert_eq!(x.index_select(1, &[2, 2])?.shape(), [0, 2]);
    assert_eq!(x.index_select(0, &[])?.shape(), [0, 3]);
    assert_eq!(x.index_add(0, &[], 2)?.to_host()?, [0.0; 6]);
    assert!(x.index_add(1, &[0, 0, 0], 0).is_err());
    Ok(())
}

#[test]
fn matrix_products_of_zero_size_are_zeros() -> Result {
    let zeros = |shape: &[usize]| CandleTensor::from(0f64).full(shape, 0.0);
    let inner = zeros(&[2, 0])?.matmul(&zeros(&[0, 3])?)?;
    assert_eq!((inner.shape(), inner.to_host()?), (&[2, 3][..], vec![0.0; 6]));
    assert_eq!(zeros(&[0, 2])?.matmul(&zeros(&[2, 3])?)?.shape(), [0, 3]);
    assert_eq!(zeros(&[0, 4, 2])?.matmul(&zeros(&[2, 3])?)?.shape(), [0, 4, 3]);
    assert_eq!(zeros(&[5, 1, 2, 0])?.matmul(&zeros(&[4, 0, 3])?)?.shape(), [5, 4, 2, 3]);
    Ok(())
}

#[test]
fn arithmetic_works_at_every_rank() -> Result {
    for rank in 0..=12 {
        let shape: Vec<usize> = (0..rank).map(|axis| 1 + axis % 2).collect();
        let n: usize = shape.iter().product();
        let x = tensor(&shape, &(0..n).map(|i| i as f64).collect::<Vec<_>>())?;
        let reversed: Vec<usize> = (0..rank).rev().collect();
        let y = x.permute(&reversed)?;
        let twice: Vec<f64> = y.to_host()?.iter().map(|y| 2.0 * y).collect();
        assert_eq!(y.add(&y)?.to_host()?, twice);
        assert_eq!(y.mul(&y.scalar(2.0)?)?.to_host()?, twice);
        assert_eq!(y.lt(&y)?.to_host()?, vec![0.0; n]);
        assert_eq!(y.select(&y, &y.scalar(0.0)?)?.to_host()?, y.to_host()?);
        assert_eq!(y.scale(2.0)?.to_host()?, twice);
        let axes: Vec<usize> = (0..rank).collect();
        assert_eq!(y.sum(&axes)?.to_host()?, [(n * (n - 1) / 2) as f64]);
    }
    Ok(())
}

#[test]
fn a_transposed_batch_times_one_matrix_is_right() -> Result {
    // Candle folds this batch wrongly if the right operand is repeated with stride 0.
    let a = tensor(&[2, 3, 2], &(0..12).map(f64::from).collect::<Vec<_>>())?.permute(&[0, 2, 1])?;
    let b = tensor(&[1, 3, 2], &(0..6).map(f64::from).collect::<Vec<_>>())?;
    let expected = [20.0, 26.0, 26.0, 35.0, 56.0, 80.0, 62.0, 89.0];
    assert_eq!(a.matmul(&b)?.to_host()?, expected);
    assert_eq!(a.matmul(&b.expand(&[2, 3, 2])?)?.to_host()?, expected);
    Ok(())
}

#[test]
fn matrix_products_exist_in_every_float_dtype() -> Result {
    for dtype in [DType::F64, DType::F32, DType::F16, DType::BF16] {
        let a = of(dtype, &[2, 2], &[1.0, 2.0, 3.0, 4.0])?;
        assert_eq!(a.matmul(&a)?.to_host()?, [7.0, 10.0, 15.0, 22.0]);
        assert_eq!(a.matmul(&a)?.dtype(), a.dtype());
    }
    Ok(())
}

#[test]
fn slices_step_and_unslice_undoes_them() -> Result {
    let x = tensor(&[2, 5], &(0..10).map(f64::from).collect::<Vec<_>>())?;
    let odd = [Slice { start: 1, stop: 2, step: 3 }, Slice { start: 0, stop: 4, step: 2 }];
    let part = x.slice(&odd)?;
    assert_eq!((part.shape(), part.to_host()?), (&[1, 2][..], vec![5.0, 7.0]));
    let whole = part.unslice(&[2, 5], &odd)?;
    assert_eq!(whole.to_host()?, [0.0, 0.0, 0.0, 0.0, 0.0, 5.0, 0.0, 7.0, 0.0, 0.0]);
    Ok(())
}

#[test]
fn index_add_adds_up_what_goes_to_one_place() -> Result {
    let x = tensor(&[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])?;
    assert_eq!(x.index_select(1, &[2, 0, 2, 1])?.to_host()?, [3., 1., 3., 2., 6., 4., 6., 5.]);
    assert_eq!(x.index_add(1, &[1, 1, 0], 2)?.to_host()?, [3.0, 3.0, 6.0, 9.0]);
    assert_eq!(x.permute(&[1, 0])?.index_add(0, &[3, 3, 3], 4)?.shape(), [4, 2]);
    Ok(())
}

fn index(shape: &[usize], data: &[usize]) -> Index {
    Index::new(shape, data).expect("the test gives one number an element")
}

#[test]
fn gather_takes_an_index_that_is_smaller_than_the_tensor() -> Result {
    // Candle's own kernel reads [0, 1, ..] for what is [1, 0, ..] here.
    let x = tensor(&[2, 2, 3], &(0..12).map(f64::from).collect::<Vec<_>>())?;
    let y = x.gather(2, &index(&[2, 1, 2], &[2, 0, 1, 1]))?;
    assert_eq!((y.shape(), y.to_host()?), (&[2, 1, 2][..], vec![2.0, 0.0, 7.0, 7.0]));
    assert_eq!(x.permute(&[2, 1, 0])?.gather(0, &index(&[1, 1, 2], &[2, 0]))?.to_host()?, [2., 6.]);
    assert_eq!(x.gather(0, &index(&[0, 2, 1], &[]))?.shape(), [0, 2, 1]);
    Ok(())
}

#[test]
fn scatter_add_adds_up_what_goes_to_one_place() -> Result {
    let x = tensor(&[2, 2], &[1.0, 2.0, 3.0, 4.0])?;
    let sums = x.scatter_add(1, &index(&[2, 2], &[1, 1, 0, 2]), &[3, 3])?;
    assert_eq!(sums.to_host()?, [0.0, 3.0, 0.0, 3.0, 0.0, 4.0, 0.0, 0.0, 0.0]);
    let nothing = tensor(&[0, 2], &[])?.scatter_add(0, &index(&[0, 2], &[]), &[1, 2])?;
    assert_eq!((nothing.shape(), nothing.to_host()?), (&[1, 2][..], vec![0.0; 2]));
    Ok(())
}

#[test]
fn concat_joins_any_layout_and_size() -> Result {
    let x = tensor(&[2, 3], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0])?;
    let empty = tensor(&[3, 0], &[])?;
    let column = x.scalar(7.0)?.expand(&[3, 1])?;
    let joined = x.permute(&[1, 0])?.concat(&[&empty, &column], 1)?;
    assert_eq!(joined.to_host()?, [0.0, 3.0, 7.0, 1.0, 4.0, 7.0, 2.0, 5.0, 7.0]);
    assert_eq!(empty.concat(&[&empty], 1)?.shape(), [3, 0]);
    assert_eq!(empty.concat(&[], 0)?.shape(), [3, 0]);
    Ok(())
}

#[test]
fn windows_overlap_and_fold_adds_up() -> Result {
    let window = Window { size: 2, step: 1, dilation: 2 };
    let x = tensor(&[2, 4], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0])?;
    let y = x.unfold(1, window)?;
    assert_eq!((y.shape(), y.to_host()?), (&[2, 2, 2][..], vec![0., 2., 1., 3., 4., 6., 5., 7.]));
    assert_eq!(y.fold(1, window, 4)?.to_host()?, x.to_host()?);
    let touching = Window { size: 2, step: 1, dilation: 1 };
    let sums = x.unfold(1, touching)?.fold(1, touching, 4)?;
    assert_eq!(sums.to_host()?, [0.0, 2.0, 4.0, 3.0, 4.0, 10.0, 12.0, 7.0]);
    let rows = x.unfold(0, touching)?;
    assert_eq!((rows.shape(), &rows.to_host()?[..4]), (&[1, 4, 2][..], &[0.0, 4.0, 1.0, 5.0][..]));
    let none = x.unfold(0, Window { size: 3, step: 1, dilation: 1 })?;
    assert_eq!(none.shape(), [0, 4, 3]);
    assert_eq!(none.fold(0, Window { size: 3, step: 1, dilation: 1 }, 2)?.to_host()?, [0.0; 8]);
    Ok(())
}
