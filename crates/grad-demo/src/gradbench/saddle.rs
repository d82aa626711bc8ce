//! A saddle point, by an optimizer inside of an optimizer: derivatives through a whole search.
//!
//! ```math
//! f(p, q) = |p|² − |q|²,   min over p of max over q of f(p, q),   p, q ∈ ℝ²
//! ```

use grad_core::{Error, TensorLike, Var};
use serde::Deserialize;
use serde_json::Value;

use super::minimize::{Mode, argmin, argmin_recorded};
use super::output;
use super::problem::{Problem, unknown};
use super::runs::Runs;

/// Where the searches start, for p and for q.
#[derive(Deserialize)]
pub(crate) struct Saddle {
    start: [f64; 2],
}

impl Problem for Saddle {
    const NAME: &'static str = "saddle";
    const IS_SCALAR: bool = true;

    fn evaluate<T: TensorLike>(
        &self,
        function: &str,
        model: &T,
        runs: &mut Runs,
    ) -> anyhow::Result<Value> {
        let (outer, inner) = Mode::of(function).ok_or_else(|| unknown::<Self>(function))?;
        let [a, b] = self.start;
        let start = [model.scalar(a)?, model.scalar(b)?];
        let found = runs.time(|| saddle(outer, inner, &start))?;
        found.iter().map(output::number).collect()
    }
}

/// p and q.
fn saddle<T: TensorLike>(outer: Mode, inner: Mode, start: &[T; 2]) -> Result<[T; 4], Error> {
    let p = argmin(outer, |p| p[0].tape().attempt(|| highest(inner, p, start)), start.clone())?;
    let q = argmin(inner, |q| -f(p.clone().map(|p| q[0].tape().constant(p)), q), start.clone())?;
    let ([p0, p1], [q0, q1]) = (p, q);
    Ok([p0, p1, q0, q1])
}

/// The largest f(p, q) over q.
fn highest<'t, T: TensorLike>(
    mode: Mode,
    p: [Var<'t, T>; 2],
    start: &[T; 2],
) -> Result<Var<'t, T>, Error> {
    let tape = p[0].tape();
    let start = start.clone().map(|x| tape.constant(x));
    let q = argmin_recorded(tape, mode, |q| -f(p, q), start)?;
    Ok(f(p, q))
}

/// f(p, q).
fn f<'t, T: TensorLike>([p0, p1]: [Var<'t, T>; 2], [q0, q1]: [Var<'t, T>; 2]) -> Var<'t, T> {
    (p0.square() + p1.square()) - (q0.square() + q1.square())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn find(function: &str, start: [f64; 2]) -> Result<Value, String> {
        let error = |error: anyhow::Error| error.to_string();
        Saddle { start }.evaluate(function, &0.0, &mut Runs::default()).map_err(error)
    }

    #[test]
    fn a_search_from_the_saddle_stays_there() {
        for function in ["ff", "fr", "rf", "rr"] {
            assert_eq!(find(function, [0.0, 0.0]), Ok(json!([0.0, 0.0, 0.0, 0.0])), "{function}");
        }
    }

    #[test]
    fn the_largest_value_does_not_depend_on_where_the_search_starts() {
        for mode in [Mode::Forward, Mode::Reverse] {
            // The most of |p|² − |q|² over q is |p|², at q = 0; the gradient is 2p.
            let tape = grad_core::Tape::<f64>::new();
            let p = [tape.var(3.0), tape.var(4.0)];
            let y = highest(mode, p, &[0.5, -0.25]).expect("a maximum");
            let [a, b] = tape.backward(y, p).expect("no error");
            let y = y.item().expect("a number");
            assert!((y - 25.0).abs() < 1e-8, "{y}");
            assert!((a - 6.0).abs() < 1e-12 && (b - 8.0).abs() < 1e-12, "{a}, {b}");
        }
    }

    #[test]
    fn what_overflows_is_an_error() {
        let error = find("rf", [1e200, 1.0]).expect_err("the square is infinite");
        assert!(error.starts_with("argmin: the value "), "{error}");
    }

    #[test]
    fn a_start_has_two_numbers() {
        let read = |text| serde_json::from_str::<Saddle>(text).is_ok();
        assert!(read(r#"{"start": [1, 2]}"#));
        assert!(!read(r#"{"start": [1]}"#) && !read(r#"{"start": [1, 2, 3]}"#));
    }
}
