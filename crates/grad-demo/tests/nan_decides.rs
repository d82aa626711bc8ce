//! NaN decides, on every backend and in every type of numbers: an element because of which a result
//! is NaN has derivative NaN, and the others have what they had.

use grad_candle::CandleTensor;
use grad_candle::candle_core::{DType, Device, Tensor};
use grad_conformance::Reference;
use grad_core::{Error, Pool, Tape, TensorLike, Var};
use grad_ndarray::NdTensor;

const NAN: f64 = f64::NAN;

type Function<T> = for<'t> fn(Var<'t, T>) -> Var<'t, T>;

/// Equal, NaN to NaN.
#[track_caller]
fn assert_same(what: &str, got: &[f64], want: &[f64]) {
    let same = |(&got, &want): (&f64, &f64)| got == want || (got.is_nan() && want.is_nan());
    let all = got.len() == want.len() && got.iter().zip(want).all(same);
    assert!(all, "{what}: got {got:?}, want {want:?}");
}

/// Checks both orders in both modes on the backend of `model`.
fn check<T: TensorLike>(backend: &str, model: &T) -> Result<(), Error> {
    let cases: [(&str, Function<T>, [f64; 6]); 9] = [
        ("max", |x| x.max(), [0.0, NAN, 0.0, 0.0, 0.0, 0.0]),
        ("min", |x| x.min(), [0.0, NAN, 0.0, 0.0, 0.0, 0.0]),
        ("max_axes", |x| x.max_axes(1), [0.0, NAN, 0.0, 0.0, 0.5, 0.5]),
        ("min_axes", |x| x.min_axes(0), [1.0, NAN, 1.0, 0.0, 0.0, 0.0]),
        ("max_keepdim", |x| x.max_keepdim(0), [0.0, NAN, 0.0, 1.0, 0.0, 1.0]),
        ("median", |x| x.median(), [0.0, NAN, 0.0, 0.0, 0.0, 0.0]),
        ("sort", |x| x.sort(1), [1.0, NAN, 1.0, 1.0, 1.0, 1.0]),
        ("topk", |x| x.topk(2), [0.0, NAN, 1.0, 0.0, 1.0, 1.0]),
        (
            "max_pool2d",
            |x| x.reshape([1, 1, 2, 3]).max_pool2d(Pool::new([2, 1]).stride(1)),
            [0.0, NAN, 0.0, 1.0, 0.0, 1.0],
        ),
    ];
    let data = [1.0, NAN, 2.0, 4.0, 5.0, 5.0];
    for (name, f, want) in cases {
        let what = format!("{name} on {backend}");
        let tape = Tape::<T>::new();
        let x = tape.var(model.from_host(&[2, 3], &data).expect("six elements"));
        let y = f(x);
        let gradient = tape.grad(y.sum(), x);
        assert_same(&what, &gradient.to_host()?, &want);
        let plain = tape.backward(y.sum(), x)?;
        assert_same(&what, &plain.to_host().expect("numbers"), &want);
        let second = tape.backward(gradient.sum(), x)?;
        let nan = [0.0, NAN, 0.0, 0.0, 0.0, 0.0];
        assert_same(&what, &second.to_host().expect("numbers"), &nan);
        let y_dot = tape.jvp(y, [(x, x.ones_like())]).to_host()?;
        for (y, y_dot) in y.to_host()?.into_iter().zip(y_dot) {
            assert_eq!(y.is_nan(), y_dot.is_nan(), "{what}, forward");
        }
    }
    Ok(())
}

#[test]
fn reference() -> Result<(), Error> {
    check("the reference", &Reference::from(0.0))
}

#[test]
fn ndarray_in_both_types() -> Result<(), Error> {
    check("ndarray f64", &NdTensor::from(0_f64))?;
    check("ndarray f32", &NdTensor::from(0_f32))
}

#[test]
fn candle_in_its_types() -> Result<(), Error> {
    for dtype in [DType::F64, DType::F32, DType::BF16, DType::F16] {
        let model = Tensor::zeros((), dtype, &Device::Cpu).expect("a scalar can be made");
        check(&format!("candle {dtype:?}"), &CandleTensor::from(model))?;
    }
    Ok(())
}
