//! A saddle point, by an optimizer inside of an optimizer: derivatives through a whole search.
//!
//! ```math
//! f(p, q) = |p|² − |q|²,   min over p of max over q of f(p, q),   p, q ∈ ℝ²
//! ```

use grad_core::{Error, TensorLike, Var};
use serde::Deserialize;
use serde_json::Value;

use super::minimize::{Mode, argmin, argmin_recorded};
use super::{Problem, Runs, output, unknown};

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
