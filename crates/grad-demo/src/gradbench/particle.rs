//! A particle that falls past two charges: where does one of them have to be for the particle to
//! land at 0? Derivatives of derivatives, through a loop whose length depends on the data.
//!
//! The charges are at (10, 10 − w) and (10, 0), and repel it. Euler's steps take it to the ground:
//!
//! ```math
//! p(x) = Σ 1 / |x − c|,   x ← x + Δt v,   v ← v − Δt ∇p(x)
//! ```
//!
//! where both right sides are of the x before the step. The square of the place where it crosses
//! y = 0 is minimized over w, with a gradient that goes through the loop and ∇p.

use grad_core::{Error, ErrorKind, TensorLike, Var};
use serde::Deserialize;
use serde_json::Value;

use super::minimize::{Mode, argmin};
use super::output;
use super::problem::{Problem, unknown};
use super::runs::Runs;

/// Δt.
const STEP: f64 = 0.1;

/// The most steps of a fall: a hundred times what the one from (0, 8) takes.
const MOST_STEPS: usize = 10_000;

/// Where the search for w starts.
#[derive(Deserialize)]
pub(crate) struct Particle {
    w: f64,
}

impl Problem for Particle {
    const NAME: &'static str = "particle";
    const IS_SCALAR: bool = true;

    fn evaluate<T: TensorLike>(
        &self,
        function: &str,
        model: &T,
        runs: &mut Runs,
    ) -> anyhow::Result<Value> {
        let (outer, inner) = Mode::of(function).ok_or_else(|| unknown::<Self>(function))?;
        let w = model.scalar(self.w)?;
        let [w] =
            runs.time(|| argmin(outer, |[w]| w.tape().attempt(|| miss(inner, w)), [w.clone()]))?;
        output::number(&w)
    }
}

/// The square of how far from 0 the particle lands.
fn miss<'t, T: TensorLike>(mode: Mode, w: Var<'t, T>) -> Result<Var<'t, T>, Error> {
    let number = |x| w.new_constant([], &[x]);
    let (charges, dt) = ([10.0 - w, number(0.0)], number(STEP));
    let mut x = [number(0.0), number(8.0)];
    let mut v = [number(0.75), number(0.0)];
    for _ in 0..MOST_STEPS {
        let (_, gradient) = mode.at(|x| potential(x, charges), x);
        let [px, py] = gradient.get();
        x = [x[0] + v[0] * dt, x[1] + v[1] * dt];
        if x[1].item()? <= 0.0 {
            let time = -x[1] / v[1];
            return Ok((x[0] + time * v[0]).square());
        }
        v = [v[0] - px * dt, v[1] - py * dt];
    }
    let message = format!("the particle has not landed after {MOST_STEPS} steps");
    Ok(w.tape().fail("particle", ErrorKind::Parameter { message }))
}

/// The potential of charges at x = 10 and the heights given.
fn potential<'t, T: TensorLike>([x, y]: [Var<'t, T>; 2], heights: [Var<'t, T>; 2]) -> Var<'t, T> {
    let dx2 = (x - 10.0).square();
    let [a, b] = heights.map(|height| (dx2 + (y - height).square()).rsqrt());
    a + b
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fall(function: &str, w: f64) -> Result<Value, String> {
        let error = |error: anyhow::Error| error.to_string();
        Particle { w }.evaluate(function, &0.0, &mut Runs::default()).map_err(error)
    }

    #[test]
    fn a_charge_repels_in_both_modes() {
        for mode in [Mode::Forward, Mode::Reverse] {
            // From (0, 8), the charges at (10, 10) and (10, 0) are √104 and √164 away; the gradient
            // of 1 / |d| is −d / |d|³.
            let tape = grad_core::Tape::<f64>::new();
            let charges = [tape.constant(10.0), tape.constant(0.0)];
            let x = [tape.constant(0.0), tape.constant(8.0)];
            let (p, gradient) = mode.at(|x| potential(x, charges), x);
            let [px, py] = gradient.get();
            let (a, b) = (104.0_f64.powf(-1.5), 164.0_f64.powf(-1.5));
            let expected =
                [104.0_f64.powf(-0.5) + 164.0_f64.powf(-0.5), 10.0 * (a + b), 2.0 * a - 8.0 * b];
            for (found, expected) in [p, px, py].into_iter().zip(expected) {
                let found = found.item().expect("a number");
                assert!((found - expected).abs() < 1e-16, "{found} is not {expected}");
            }
        }
    }

    #[test]
    fn a_particle_that_does_not_come_down_is_an_error() {
        // The upper charge is a hundred times as far away as the lower one, which lifts it.
        for function in ["ff", "rr"] {
            let error = fall(function, -1000.0).expect_err("it rises");
            let start = "particle: the particle has not landed after 10000 steps, at ";
            assert!(error.starts_with(start), "{error}");
        }
    }

    #[test]
    fn functions_are_named_by_two_modes() {
        assert_eq!(fall("f", 0.0), Err("module particle has no function 'f'".to_string()));
    }
}
