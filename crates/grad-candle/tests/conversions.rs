//! The ways in and out of `CandleTensor`, and its dtypes.

use std::error::Error;

use grad_candle::CandleTensor;
use grad_candle::candle_core::{self, DType, Device, IndexOp, Tensor, Var};
use grad_core::{Slice, TensorLike};

type Result = std::result::Result<(), Box<dyn Error>>;

#[test]
fn a_tensor_comes_out_as_it_went_in() -> Result {
    let tensor = Tensor::new(&[[1f32, 2.], [3., 4.]], &Device::Cpu)?;
    let x = CandleTensor::from(&tensor);
    assert_eq!(x.as_tensor().id(), tensor.id()); // not even a new tensor, let alone new memory
    assert_eq!(x.clone().into_inner().to_vec2::<f32>()?, [[1., 2.], [3., 4.]]);
    assert_eq!(Tensor::from(x).id(), tensor.id());
    Ok(())
}

#[test]
fn a_number_is_a_scalar_of_its_dtype() -> Result {
    assert_eq!(CandleTensor::from(1.5f64).as_tensor().to_scalar::<f64>()?, 1.5);
    assert_eq!(CandleTensor::from(1.5f32).as_tensor().to_scalar::<f32>()?, 1.5);
    Ok(())
}

#[test]
fn the_dtype_is_a_fact_of_run_time() -> Result {
    let cases = [
        (DType::BF16, grad_core::DType::BF16),
        (DType::F16, grad_core::DType::F16),
        (DType::F32, grad_core::DType::F32),
        (DType::F64, grad_core::DType::F64),
        (DType::U8, grad_core::DType::Other("u8")),
        (DType::U32, grad_core::DType::Other("u32")),
        (DType::I64, grad_core::DType::Other("i64")),
    ];
    for (dtype, expected) in cases {
        let x = CandleTensor::from(Tensor::ones(2, dtype, &Device::Cpu)?);
        assert_eq!(x.dtype(), expected);
        assert_eq!(x.full(&[3], 2.0)?.as_tensor().dtype(), dtype);
        assert_eq!(x.full(&[3], 2.0)?.to_host()?, [2.0; 3]);
        assert_eq!(x.from_host(&[2], &[1.0, 3.0])?.as_tensor().dtype(), dtype);
        assert_eq!(x.from_host(&[2], &[1.0, 3.0])?.to_host()?, [1.0, 3.0]);
    }
    Ok(())
}

#[test]
fn a_constant_is_rounded_once() -> Result {
    let third = 1.0 / 3.0;
    let x = CandleTensor::from(0f32);
    assert_eq!(x.scalar(third)?.to_host()?, [f64::from(third as f32)]);
    let x = CandleTensor::from(Tensor::zeros((), DType::BF16, &Device::Cpu)?);
    assert_eq!(x.scalar(third)?.to_host()?, [0.333984375]); // 171/512, the nearest bf16
    Ok(())
}

#[test]
fn full_takes_one_element_of_memory() -> Result {
    let x = CandleTensor::from(0f64).full(&[1000, 1000, 1000], 2.0)?;
    assert_eq!(x.as_tensor().stride(), [0, 0, 0]);
    Ok(())
}

#[test]
fn nothing_is_recorded_by_candle() -> Result {
    let var = Var::new(&[[1f64, 2.], [3., 4.]], &Device::Cpu)?;
    let recorded = (var.as_tensor() * 2.0)?;
    assert!(recorded.track_op() && var.track_op());
    let part = [Slice { start: 0, stop: 2, step: 2 }, Slice::all(2)];
    for x in [
        CandleTensor::from(&var),
        CandleTensor::from(var.as_tensor()),
        CandleTensor::from(var.as_tensor().clone()),
        CandleTensor::from(recorded),
    ] {
        let results = [
            x.clone(),
            x.full(&[2], 1.0)?,
            x.from_host(&[1], &[1.0])?,
            x.add(&x)?,
            x.sub(&x)?,
            x.mul(&x.scalar(2.0)?)?,
            x.div(&x)?,
            x.pow(&x)?,
            x.lt(&x)?,
            x.eq(&x)?,
            x.select(&x, &x)?,
            x.exp()?,
            x.sqrt()?,
            x.neg()?,
            x.scale(2.0)?,
            x.powf(3.0)?,
            x.powi(2)?,
            x.relu()?,
            x.maximum(&x)?,
            x.sum(&[0])?,
            x.mean(&[0, 1])?,
            x.max(&[1])?,
            x.reshape(&[4])?,
            x.permute(&[1, 0])?,
            x.expand(&[3, 2, 2])?,
            x.matmul(&x)?,
            x.slice(&part)?,
            x.slice(&part)?.unslice(&[2, 2], &part)?,
            x.index_select(0, &[1, 1])?,
            x.index_add(0, &[1, 1], 3)?,
        ];
        for (i, result) in results.iter().enumerate() {
            assert!(!result.as_tensor().track_op(), "result {i}");
        }
    }
    Ok(())
}

#[test]
fn setting_a_variable_changes_no_gradient() -> std::result::Result<(), Box<dyn Error>> {
    let var = Var::new(&[3f64, 4.], &Device::Cpu)?;
    let whole = var.as_tensor();
    let inputs = [
        ("&Var", CandleTensor::from(&var)),
        ("&Tensor", CandleTensor::from(whole)),
        ("Tensor", CandleTensor::from(whole.clone())),
        ("narrow", CandleTensor::from(whole.narrow(0, 0, 1)?)),
        ("get", CandleTensor::from(whole.get(0)?)),
        ("reshape", CandleTensor::from(whole.reshape((2, 1))?)),
        ("transpose", CandleTensor::from(whole.reshape((2, 1))?.t()?)),
        ("expand", CandleTensor::from(whole.get(0)?.broadcast_as((5, 7))?)),
        ("view of a view", CandleTensor::from(whole.reshape((1, 2))?.i((0, ..1))?)),
        ("computed", CandleTensor::from((whole * 1.0)?)),
    ];
    let tape = grad_core::Tape::<CandleTensor>::new();
    let mut recorded = Vec::new();
    for (what, x) in inputs {
        assert_eq!(x.to_host()?.first(), Some(&3.0), "{what}");
        let x = tape.var(x);
        recorded.push((what, x, (x * x).sum()));
    }
    var.set(&Tensor::new(&[10f64, 20.], &Device::Cpu)?)?;
    for (what, x, y) in recorded {
        assert_eq!(tape.backward(y, x)?.to_host()?.first(), Some(&6.0), "{what}"); // 2 x
    }
    Ok(())
}

#[test]
fn a_copy_of_a_variable_takes_no_more_memory_than_it_shows() -> Result {
    let var = Var::zeros(1000, DType::F64, &Device::Cpu)?;
    let tape = grad_core::Tape::<CandleTensor>::new();
    tape.var(var.as_tensor().narrow(0, 500, 2)?);
    tape.var(var.as_tensor().get(0)?.broadcast_as((100, 100))?);
    let sizes: Vec<usize> = tape.memory().buffers.iter().map(|buffer| buffer.bytes).collect();
    assert_eq!(sizes, [16, 8]);
    Ok(())
}

#[test]
fn conversions_serve_the_tape() -> std::result::Result<(), Box<dyn Error>> {
    let tape = grad_core::Tape::<CandleTensor>::new();
    let tensor = Tensor::new(2f64, &Device::Cpu)?;
    let x = tape.var(&tensor);
    let [dx] = tape.backward(x * x * tape.constant(3.0), [x])?;
    let dx: candle_core::Tensor = dx.into();
    assert_eq!(dx.to_scalar::<f64>()?, 12.0); // 2 · 3 x
    Ok(())
}
