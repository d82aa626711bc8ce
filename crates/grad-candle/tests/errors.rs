//! Bad arguments give errors, never panics, and the cause is within reach.

use std::error::Error;

use grad_candle::candle_core::{self, DType, Device, Tensor};
use grad_candle::{CandleError, CandleTensor};
use grad_core::{ErrorKind, Index, Slice, TensorLike, Window};

const WINDOW: Window = Window { size: 1, step: 1, dilation: 1 };

fn index(shape: &[usize], data: &[usize]) -> Index {
    Index::new(shape, data).expect("as many as the shape has elements")
}

fn ones(shape: &[usize], dtype: DType) -> CandleTensor {
    Tensor::ones(shape, dtype, &Device::Cpu).expect("small tensors fit").into()
}

#[test]
fn arguments_that_do_not_fit_are_errors() {
    let x = ones(&[2, 3], DType::F64);
    let huge = 1 << 40;
    let all = [Slice::all(2), Slice::all(3)];
    let results = [
        x.full(&[huge, huge], 0.0),
        x.full(&[0, huge, huge], 0.0),
        x.from_host(&[2], &[1.0]),
        x.from_host(&[huge, huge], &[]),
        x.add(&ones(&[2], DType::F64)),
        x.lt(&ones(&[2], DType::F64)),
        x.add(&ones(&[2, 3], DType::F32)),
        x.add(&ones(&[0, 3], DType::F32)),
        x.select(&ones(&[4], DType::F64), &x),
        x.select(&x, &ones(&[], DType::F32)),
        x.sum(&[2]),
        x.sum(&[0, 0]),
        x.mean(&[7]),
        x.max(&[2]),
        x.reshape(&[5]),
        x.reshape(&[huge, huge]),
        x.permute(&[0]),
        x.permute(&[0, 0]),
        x.permute(&[0, 2]),
        x.expand(&[3, 3]),
        x.expand(&[3]),
        x.expand(&[huge, huge, 2, 3]),
        x.matmul(&x),
        x.matmul(&ones(&[3], DType::F64)),
        x.matmul(&ones(&[3, 2], DType::F32)),
        ones(&[2, 2, 3], DType::F64).matmul(&ones(&[3, 3, 2], DType::F64)),
        x.sum_to(&[4, 4, 4]),
        x.sum_to(&[5]),
        x.slice(&all[..1]),
        x.slice(&[Slice::all(2), Slice::all(4)]),
        x.slice(&[Slice { step: 0, ..all[0] }, all[1]]),
        x.slice(&[Slice { start: 2, stop: 1, step: 1 }, all[1]]),
        x.unslice(&[2], &all),
        x.unslice(&[1, 3], &all),
        x.unslice(&[huge, huge], &all),
        x.index_select(2, &[]),
        x.index_select(0, &[2]),
        x.index_select(0, &[u32::MAX as usize]),
        x.index_add(2, &[], 1),
        x.index_add(0, &[0], 1),
        x.index_add(0, &[0, 1], 1),
        x.index_add(0, &[0, 0], 1 << 62),
        ones(&[], DType::F64).index_select(0, &[0]),
        x.gather(2, &index(&[2, 3], &[0; 6])),
        x.gather(0, &index(&[2], &[0; 2])),
        x.gather(0, &index(&[1, 4], &[0; 4])),
        x.gather(0, &index(&[1, 3], &[2; 3])),
        x.scatter_add(0, &index(&[2, 3], &[0; 6]), &[2, 2]),
        x.scatter_add(0, &index(&[2, 3], &[5; 6]), &[2, 3]),
        x.scatter_add(0, &index(&[2, 3], &[0; 6]), &[huge, huge]),
        x.scatter_add(0, &index(&[1, 3], &[0; 3]), &[2, 3]),
        x.concat(&[&x], 2),
        x.concat(&[&ones(&[2], DType::F64)], 0),
        x.concat(&[&ones(&[3, 2], DType::F64)], 1),
        x.concat(&[&ones(&[2, 3], DType::F32)], 1),
        x.unfold(2, WINDOW),
        x.unfold(0, Window { step: 0, ..WINDOW }),
        x.unfold(0, Window { size: 0, ..WINDOW }),
        x.unfold(0, Window { size: usize::MAX, dilation: 2, ..WINDOW }),
        x.fold(1, WINDOW, 4),
        x.fold(0, WINDOW, 9),
        x.fold(0, Window { step: 0, ..WINDOW }, 4),
        x.fold(0, WINDOW, usize::MAX),
        ones(&[], DType::F64).fold(0, WINDOW, 1),
        x.softmax(2),
        x.cumsum(2),
    ];
    for (i, result) in results.iter().enumerate() {
        assert!(result.is_err(), "case {i} gave {result:?}");
    }
}

#[test]
fn arithmetic_with_integers_is_an_error() {
    // Candle panics on most of these.
    for dtype in [DType::U8, DType::U32, DType::I64] {
        let x = ones(&[2, 2], dtype);
        let zero = x.sub(&x);
        let results = [
            zero,
            x.add(&x),
            x.mul(&x),
            x.div(&x),
            x.pow(&x),
            x.exp(),
            x.ln(),
            x.sin(),
            x.cos(),
            x.tanh(),
            x.sqrt(),
            x.neg(),
            x.scale(2.0),
            x.shift(-2.0),
            x.recip(),
            x.powf(2.0),
            x.powi(-1),
            x.abs(),
            x.sign(),
            x.relu(),
            x.mul_or_zero(&x),
            x.sum(&[0]),
            x.mean(&[0]),
            x.matmul(&x),
            x.index_add(0, &[0, 0], 1),
            x.expm1(),
            x.floor(),
            x.round(),
            x.atan2(&x),
            x.square(),
            x.rsqrt(),
            x.sigmoid(),
            x.softplus(),
            x.softmax(0),
            x.log_softmax(0),
            x.cumsum(0),
            x.reverse_cumsum(0),
            x.scatter_add(0, &index(&[2, 2], &[0; 4]), &[2, 2]),
            x.unfold(0, WINDOW).and_then(|windows| windows.fold(0, WINDOW, 2)),
        ];
        for (i, result) in results.iter().enumerate() {
            assert!(result.is_err(), "case {i} gave {result:?}");
        }
    }
}

#[test]
fn a_tensor_too_large_to_count_is_an_error() -> Result<(), Box<dyn Error>> {
    let huge = Tensor::ones((), DType::F64, &Device::Cpu)?.broadcast_as((1 << 40, 1 << 40))?;
    let huge = CandleTensor::from(huge);
    assert!(huge.add(&huge).is_err());
    assert!(huge.add(&huge.full(&[], 1.0)?).is_err());
    assert!(huge.exp().is_err());
    assert!(huge.scale(2.0).is_err());
    assert!(huge.relu().is_err());
    assert!(huge.sum(&[0]).is_err());
    assert!(huge.max(&[0]).is_err());
    assert!(huge.reshape(&[1]).is_err());
    assert!(huge.matmul(&huge).is_err());
    assert!(huge.to_host().is_err());
    assert!(huge.index_select(0, &[0, 1]).is_err());
    Ok(())
}

#[test]
fn errors_are_one_line_and_name_what_does_not_fit() {
    let error = ones(&[2], DType::F64).add(&ones(&[3], DType::F64)).expect_err("does not fit");
    assert_eq!(error.to_string(), "shapes [2] and [3] do not broadcast");
    assert!(matches!(error, CandleError::Invalid(ErrorKind::ShapeMismatch { .. })));
    let error = ones(&[2], DType::U8).exp().expect_err("bytes have no exp");
    assert_eq!(error.to_string(), "candle: unsupported dtype U8 for op exp");
}

#[test]
fn the_chain_of_causes_reaches_the_error_of_candle() {
    fn is_thread_safe<E: Error + Send + Sync + 'static>(error: E) -> E {
        error
    }
    let tape = grad_core::Tape::<CandleTensor>::new();
    let x = tape.constant(ones(&[2], DType::U8));
    let error = is_thread_safe((x * x).value().expect_err("bytes are not multiplied"));
    let backend = error.source().and_then(|cause| cause.downcast_ref::<CandleError>());
    let candle = backend.and_then(|cause| cause.source());
    assert!(candle.is_some_and(|cause| cause.is::<candle_core::Error>()), "{error:?}");
}
