//! Hessians of functions of eigenvalues, of which some are equal, on both backends.

use grad_candle::CandleTensor;
use grad_core::{Error, Tape, TensorLike, Var, transform};
use grad_ndarray::NdTensor;

fn matrix<T: TensorLike>(model: &T, shape: &[usize], data: &[f64]) -> Result<T, Error> {
    model.from_host(shape, data).map_err(|error| Error::msg(error.to_string()))
}

/// `Q diag(d) Qᵀ`, where Q mirrors at a plane.
fn with_eigenvalues<T: TensorLike>(model: &T, d: [f64; 4]) -> Result<T, Error> {
    let u = [0.5, -0.1, 0.7, 0.5]; // of length 1
    let mut a = [0.0; 16];
    for (at, a) in a.iter_mut().enumerate() {
        let q = |i: usize, k: usize| f64::from(u8::from(i == k)) - 2.0 * u[i] * u[k];
        *a = (0..4).map(|k| q(at / 4, k) * d[k] * q(at % 4, k)).sum();
    }
    matrix(model, &[4, 4], &a)
}

/// By reverse over reverse, and forward over reverse.
fn hessian_times<T: TensorLike>(
    f: impl for<'t> Fn(Var<'t, T>) -> Var<'t, T>,
    a: &T,
    t: &T,
) -> Result<[Vec<f64>; 2], Error> {
    let tape = Tape::new();
    let (a, t) = (tape.var(a.clone()), tape.constant(t.clone()));
    let gradient = tape.grad(f(a.eigvalsh()), a);
    let by_reverse = tape.grad((gradient * t).sum(), a);
    Ok([by_reverse.to_host()?, tape.jvp(gradient, [(a, t)]).to_host()?])
}

fn assert_close(found: [Vec<f64>; 2], expected: Var<'_, impl TensorLike>) -> Result<(), Error> {
    let expected = expected.to_host()?;
    for found in found {
        let close = found.iter().zip(&expected).all(|(x, y)| (x - y).abs() < 1e-9);
        assert!(close, "{found:?}, not {expected:?}");
    }
    Ok(())
}

#[test]
fn hessians_are_right_where_eigenvalues_are_equal_on_candle() -> Result<(), Error> {
    check(&CandleTensor::from(0f64))
}

#[test]
fn hessians_are_right_where_eigenvalues_are_equal_on_ndarray() -> Result<(), Error> {
    check(&NdTensor::from(0f64))
}

fn check<T: TensorLike>(model: &T) -> Result<(), Error> {
    let t: Vec<f64> = (0..16).map(|i| f64::from(i * i % 7) / 3.0 - 1.0).collect();
    for d in [[2.0; 4], [2.0, 2.0, 3.0, 5.0], [1.0, 2.0, 2.0, 2.0], [1.0, 1.0, 2.0, 2.0]] {
        let (a, t) = (with_eigenvalues(model, d)?, matrix(model, &[4, 4], &t)?);
        let tape = Tape::<T>::new();
        let (x, s) = (tape.constant(a.clone()), tape.constant(t.clone()));
        let s = (s + s.transpose(0, 1)) * 0.5;
        // tr A³ and ln det A
        let cubes = hessian_times(|w| w.powi(3).sum(), &a, &t)?;
        assert_close(cubes, 3.0 * (x.matmul(s) + s.matmul(x)))?;
        let ln = hessian_times(|w| w.ln().sum(), &a, &t)?;
        assert_close(ln, -x.inv().matmul(s).matmul(x.inv()))?;
        // All columns at once.
        let hessian = transform::hessian(|a: Var<'_, _>| a.eigvalsh().square().sum(), a)?;
        let hessian = tape.constant(hessian).reshape([16, 16]);
        let columns = hessian.matmul(tape.constant(t).reshape([16, 1])).to_host()?;
        assert_close([columns.clone(), columns], 2.0 * s)?;
    }
    Ok(())
}
