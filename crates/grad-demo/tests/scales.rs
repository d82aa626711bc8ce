//! Values and derivatives of what squares before it normalizes, far from 1 and far from 0.
//!
//! `data/scales.jsonl` has what mpmath computed with 200 digits at the numbers of f32 that are written
//! there: for `L = Σ w f(x)` the value `f(x)`, the gradient of L, the tangent of f along v, and the
//! product of the Hessian of L and v.

use grad_candle::CandleTensor;
use grad_candle::candle_core::{DType, Device, Tensor};
use grad_conformance::Reference;
use grad_core::{Error, Tape, TensorLike, Var};
use grad_ndarray::NdTensor;

const CASES: &str = include_str!("data/scales.jsonl");

#[derive(serde::Deserialize)]
struct Case {
    op: String,
    /// What the elements are like.
    at: String,
    x: Vec<f64>,
    w: Vec<f64>,
    v: Vec<f64>,
    value: Vec<f64>,
    gradient: Vec<f64>,
    tangent: Vec<f64>,
    second: Vec<f64>,
}

/// The function of a case, of a list.
fn apply<'t, T: TensorLike>(op: &str, x: Var<'t, T>) -> Var<'t, T> {
    let y = match op {
        "layer_norm" => x.layer_norm(-1, 1.0, 0.0, 1e-5),
        "layer_norm_without_eps" => x.layer_norm(-1, 1.0, 0.0, 0.0),
        "rms_norm" => x.rms_norm(-1, 1.0, 1e-5),
        "rms_norm_without_eps" => x.rms_norm(-1, 1.0, 0.0),
        "batch_norm" => {
            let (ones, zeros) = (x.narrow(0, 0, 2).ones_like(), x.narrow(0, 0, 2).zeros_like());
            x.reshape([3, 2]).batch_norm(ones, zeros, 1e-5).reshape(6)
        }
        "var" => x.var(1),
        "std" => x.std(1),
        "norm" => x.norm(2.0),
        "cosine_similarity" => x.narrow(0, 0, 3).cosine_similarity(x.narrow(0, 3, 3), 0, 0.0),
        "asinh" => x.asinh(),
        "atan" => x.atan(),
        _ => x.tape().void(Error::msg(format!("no function {op}"))),
    };
    y.reshape(y.shape().map_or(0, |shape| shape.iter().product()))
}

/// A number format.
struct Format {
    digits: i32,
    largest: f64,
    /// The exponent of the smallest number.
    smallest: i32,
}

const F32: Format = Format { digits: 24, largest: f32::MAX as f64, smallest: -149 };
const F64: Format = Format { digits: 53, largest: f64::MAX, smallest: -1074 };

impl Format {
    /// How many units in the last place of the largest wanted number there are between the lists.
    fn units(&self, got: &[f64], want: &[f64]) -> f64 {
        let size = want.iter().fold(0.0, |size: f64, &x| size.max(x.abs()));
        if size > self.largest {
            return 0.0; // There is no such number.
        }
        let smallest_normal = f64::from(self.smallest + self.digits - 1).exp2();
        if size < smallest_normal && got.iter().all(|&x| x.abs() < smallest_normal) {
            return 0.0; // Below the normal numbers, 0 will do.
        }
        let unit = (size.log2().floor() as i32 - self.digits + 1).max(self.smallest);
        let apart = |(got, want): (&f64, &f64)| (got - want).abs() / f64::from(unit).exp2();
        let worst = |worst: f64, units: f64| if units <= worst { worst } else { units };
        assert_eq!(got.len(), want.len());
        got.iter().zip(want).map(apart).fold(0.0, worst)
    }
}

/// What was computed, what came out, and what is right.
type Found<'c> = (&'static str, Vec<f64>, &'c [f64]);

/// What the engine computes for a case, with what it should be.
fn computed<'c, T: TensorLike>(model: &T, case: &'c Case) -> Result<Vec<Found<'c>>, Error> {
    let tape = Tape::<T>::new();
    let tensor = |data: &[f64]| model.from_host(&[data.len()], data);
    let list = |data: &[f64]| tensor(data).map_err(Error::from_source);
    let (x, v) = (tape.var(list(&case.x)?), tape.constant(list(&case.v)?));
    let y = apply(&case.op, x);
    let loss = (y * tape.constant(list(&case.w)?)).sum();
    let gradient = tape.grad(loss, x);
    let plain = |x: T| x.to_host().map_err(Error::from_source);
    Ok(vec![
        ("value", y.to_host()?, &case.value),
        ("recorded gradient", gradient.to_host()?, &case.gradient),
        ("plain gradient", plain(tape.backward(loss, x)?)?, &case.gradient),
        ("recorded tangent", tape.jvp(y, [(x, v)]).to_host()?, &case.tangent),
        ("plain tangent", plain(tape.plain().jvp(y, [(x, list(&case.v)?)])?)?, &case.tangent),
        ("reverse over reverse", tape.grad((gradient * v).sum(), x).to_host()?, &case.second),
        ("forward over reverse", tape.jvp(gradient, [(x, v)]).to_host()?, &case.second),
        ("reverse over forward", plain(tape.backward(tape.jvp(loss, [(x, v)]), x)?)?, &case.second),
    ])
}

/// Compares all cases in this format, and lists what is further than `allowed` units away.
#[track_caller]
fn agrees<T: TensorLike>(model: T, format: &Format, allowed: f64) {
    let mut failures = Vec::new();
    for line in CASES.lines() {
        let case: Case = serde_json::from_str(line).expect("a case");
        let computed = computed(&model, &case).expect("values");
        for (what, got, want) in computed {
            let units = format.units(&got, want);
            // Second derivatives and those of an angle are differences of larger numbers.
            let cancels = what.contains("over") || case.op == "cosine_similarity";
            let within = units <= if cancels { 3.0 * allowed } else { allowed };
            if !within {
                let Case { op, at, .. } = &case;
                failures
                    .push(format!("{op} at {at}, {what}: {units} units\n  {got:?}\n  {want:?}"));
            }
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn normalizations_are_right_on_the_reference() {
    agrees(Reference::from(0.0), &F64, 8.0);
}

#[test]
fn normalizations_are_right_on_ndarray_in_single_precision() {
    agrees(NdTensor::from(0f32), &F32, 4.0);
}

#[test]
fn normalizations_are_right_on_candle_in_single_precision() {
    agrees(CandleTensor::from(0f32), &F32, 4.0);
}

#[test]
fn sums_of_squares_fit_into_sixteen_bits() -> Result<(), Error> {
    let zero = Tensor::zeros((), DType::F16, &Device::Cpu).map_err(Error::from_source)?;
    let model = CandleTensor::from(zero);
    // The numbers ±10: 100,000 squares add up to 10⁷, and the largest number is 65,504.
    let data: Vec<f64> = (0..100_000).map(|i| if i % 2 == 0 { 10.0 } else { -10.0 }).collect();
    let tape = Tape::new();
    let x = tape.var(model.from_host(&[data.len()], &data).map_err(Error::from_source)?);
    let near = |y: Var<'_, CandleTensor>, want: f64| -> Result<(), Error> {
        let got = y.to_host()?[0];
        assert!((got - want).abs() <= 2e-3 * want, "got {got}, want {want}");
        Ok(())
    };
    near(x.var(0), 100.0)?;
    near(x.std(0), 10.0)?;
    near(x.norm(2.0), 1e7_f64.sqrt())?;
    near((x * 1000.0).layer_norm(0, 1.0, 0.0, 1e-5), 1.0)?;
    near((x * 1000.0).rms_norm(0, 1.0, 1e-5), 1.0)?;
    near((x * 1000.0).narrow(0, 0, 8).cosine_similarity(x.narrow(0, 0, 8), 0, 1e-8), 1.0)
}
