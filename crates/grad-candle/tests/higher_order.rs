//! Candle's own answer to a derivative of a derivative, beside ours.

use std::error::Error;

use grad_candle::CandleTensor;
use grad_candle::candle_core::{Device, Tensor, Var};
use grad_core::Tape;

#[test]
fn the_second_derivative_is_108_where_candle_says_36() -> Result<(), Box<dyn Error>> {
    let x = Var::new(3f64, &Device::Cpu)?;
    let y = x.mul(&x)?;
    let first = y.mul(&y)?.backward()?.remove(&x).ok_or("no first derivative")?;
    assert_eq!(first.to_scalar::<f64>()?, 108.0); // 4 x³, right
    let second = first.backward()?.remove(&x).ok_or("no second derivative")?;
    assert_eq!(second.to_scalar::<f64>()?, 36.0); // wrong, and no error

    let tape = Tape::<CandleTensor>::new();
    let x = tape.var(Tensor::new(3f64, &Device::Cpu)?);
    let y = x * x;
    let [first] = tape.grad(y * y, [x]);
    let [second] = tape.grad(first, [x]);
    let [third] = tape.grad(second, [x]);
    assert_eq!(second.item()?, 108.0); // 12 x²
    assert_eq!(third.item()?, 72.0); // 24 x
    Ok(())
}
