//! What tensors share is counted once in the memory of a tape.
#![allow(clippy::unwrap_used)] // A failing unwrap fails the test.

use grad_candle::CandleTensor;
use grad_candle::candle_core::{DType, Device, Tensor};
use grad_core::{Tape, Var};

/// The sizes of the buffers, the largest first, and how many nodes share each.
fn buffers(tape: &Tape<CandleTensor>) -> Vec<(usize, usize)> {
    tape.memory().buffers.iter().map(|buffer| (buffer.bytes, buffer.n_nodes)).collect()
}

/// 24 numbers of 8 bytes, 192 in all.
fn x(tape: &Tape<CandleTensor>) -> Var<'_, CandleTensor> {
    let x = Tensor::arange(0f64, 24., &Device::Cpu).unwrap().reshape((4, 6)).unwrap();
    tape.var(x)
}

#[test]
fn views_share_the_buffer_they_look_at() {
    let tape = Tape::new();
    let x = x(&tape);
    let view = x.transpose(0, 1).narrow(0, 2, 3).expand([7, 3, 4]);
    assert_eq!(view.shape().unwrap().n_elements(), Some(84));
    let _ = (x.detach(), x.reshape([24]), x.narrow(1, 0, 2), x.narrow(1, 4, 2));
    assert_eq!(buffers(&tape), [(192, 8)]);
    assert_eq!(tape.memory().tensors, 192);
    let _ = x.exp();
    assert_eq!(buffers(&tape), [(192, 8), (192, 1)]);
}

#[test]
fn a_tensor_put_on_the_tape_twice_is_counted_once() {
    let data = Tensor::ones(100, DType::F32, &Device::Cpu).unwrap();
    let tape = Tape::<CandleTensor>::new();
    tape.var(&data);
    tape.constant(data);
    tape.constant(Tensor::ones(100, DType::U8, &Device::Cpu).unwrap());
    tape.constant(Tensor::ones((3, 0), DType::F32, &Device::Cpu).unwrap());
    assert_eq!(buffers(&tape), [(400, 2), (100, 1)]);
}

#[test]
fn a_part_whose_whole_is_gone_counts_up_to_its_end() {
    let data = Tensor::ones(100, DType::F32, &Device::Cpu).unwrap();
    let tape = Tape::<CandleTensor>::new();
    tape.var(data.narrow(0, 40, 20).unwrap());
    tape.var(data.narrow(0, 10, 20).unwrap());
    // To the 60th element.
    assert_eq!(buffers(&tape), [(240, 2)]);
}

#[test]
fn a_repeated_number_is_counted_as_one() {
    let tape = Tape::new();
    let x = x(&tape);
    tape.grad(x.sum(), x);
    // The sum; the seed and, repeated, the gradient.
    assert_eq!(buffers(&tape), [(192, 1), (8, 1), (8, 2)]);
}

#[test]
fn detect_nan_looks_at_every_float_type() {
    for dtype in [DType::BF16, DType::F16, DType::F32, DType::F64] {
        let of = |data: &[f64]| Tensor::new(data, &Device::Cpu).unwrap().to_dtype(dtype).unwrap();
        let tape = Tape::<CandleTensor>::new();
        tape.detect_nan();
        let x = tape.var(of(&[1.0, 60_000.0, -60_000.0]));
        assert!(!x.is_void() && !(x - x).sum().is_void(), "{dtype:?}");
        assert!(x.sqrt().is_void() && (x / 0.0).is_void(), "{dtype:?}");
        assert!(tape.var(of(&[0.0, f64::NEG_INFINITY])).is_void(), "{dtype:?}");
        let zero = tape.var(of(&[0.0]));
        assert!(tape.grad(zero.sqrt(), zero).is_void(), "{dtype:?}");
    }
    let tape = Tape::<CandleTensor>::new();
    tape.detect_nan();
    assert!(!tape.constant(Tensor::ones(2, DType::U8, &Device::Cpu).unwrap()).is_void());
}
