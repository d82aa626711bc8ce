//! A chain of differential equations, solved from 0 to 2 by the method of Runge and Kutta.
//!
//! ```text
//! y′₀ = x₀,   y′ᵢ = xᵢ yᵢ₋₁,   y(0) = 0
//! ```

use anyhow::ensure;
use grad_core::{TensorLike, Var, transform};
use serde::Deserialize;
use serde_json::Value;

use super::problem::{Problem, primal, unknown};
use super::runs::Runs;
use super::{input, output};

/// The derivative needs what every step computed, 24 vectors. Beyond so many elements of y at all
/// steps, which are 50 MB then, that is not kept but computed again.
const KEPT: usize = 1 << 18;

/// n coefficients, and the number s of steps.
#[derive(Deserialize)]
pub(crate) struct Ode {
    x: Vec<f64>,
    s: usize,
}

impl Problem for Ode {
    const NAME: &'static str = "ode";

    fn evaluate<T: TensorLike>(
        &self,
        function: &str,
        model: &T,
        runs: &mut Runs,
    ) -> anyhow::Result<Value> {
        let (n, steps) = (self.x.len(), self.s);
        ensure!(
            n > 0 && steps > 0,
            "needs at least one equation and one step, got {n} and {steps}"
        );
        input::ensure_fits("the solution at all steps", &[n, steps])?;
        let x = input::vector(model, &self.x)?;
        let again = n * steps > KEPT;
        match function {
            "primal" => output::list(&runs.time(|| primal(|x| solve(n, steps, again, x), &x))?),
            "gradient" => output::list(&runs.time(|| {
                transform::grad(|x| solve(n, steps, again, x).narrow(0, n - 1, 1), x.clone())
            })?),
            _ => Err(unknown::<Self>(function)),
        }
    }
}

/// y(2), `[n]`. Of what the steps compute on the way nothing is kept if they are to be computed
/// `again`.
fn solve<T: TensorLike>(n: usize, steps: usize, again: bool, x: Var<'_, T>) -> Var<'_, T> {
    let h = 2.0 / steps as f64;
    let mut y = x.zeros_like();
    for _ in 0..steps {
        y = match again {
            true => transform::checkpoint(move |[x, y]| step(n, h, x, y), [x, y]),
            false => step(n, h, x, y),
        };
    }
    y
}

/// y(t + h), from y = y(t).
fn step<'t, T: TensorLike>(n: usize, h: f64, x: Var<'t, T>, y: Var<'t, T>) -> Var<'t, T> {
    // y₀ grows as if it had a y₋₁ = 1 before it.
    let before = x.new_constant([1], &[1.0]);
    let slope = |y: Var<'t, T>| x * x.tape().concat(&[before, y.narrow(0, 0, n - 1)], 0);
    let k1 = slope(y);
    let k2 = slope(y + 0.5 * h * k1);
    let k3 = slope(y + 0.5 * h * k2);
    let k4 = slope(y + h * k3);
    y + h / 6.0 * (k1 + 2.0 * (k2 + k3) + k4)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::problem::answer;
    use super::*;

    #[test]
    fn short_chains_are_solved_without_error() {
        // y₀ = x₀ t and y₁ = x₀ x₁ t²/2, which the method of order 4 gets right in any step.
        let input = json!({ "x": [3, 5], "s": 1 });
        assert_eq!(answer::<Ode>("primal", input.clone()), Ok(json!([6.0, 30.0])));
        assert_eq!(answer::<Ode>("gradient", input), Ok(json!([10.0, 6.0])));
        let one = answer::<Ode>("gradient", json!({ "x": [3], "s": 4 })).expect("it fits");
        assert!((one[0].as_f64().expect("a number") - 2.0).abs() < 1e-15);
    }

    #[test]
    fn steps_that_are_computed_again_have_the_same_derivative() {
        let x = grad_ndarray::NdTensor::from([0.5, 0.25, 2.0]);
        // y₂ = x₀ x₁ x₂ t³/6 at t = 2.
        let by_hand: [f64; 3] = [0.5 * 4.0 / 3.0, 4.0 / 3.0, 0.125 * 4.0 / 3.0];
        for again in [false, true] {
            let last = transform::grad(|x| solve(3, 7, again, x).narrow(0, 2, 1), x.clone());
            for (found, expected) in last.expect("it fits").view().iter().zip(by_hand) {
                assert!((found - expected).abs() < 1e-15, "{found} is not {expected}");
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_said() {
        let refused = |x: Value, s: usize| {
            answer::<Ode>("gradient", json!({ "x": x, "s": s })).expect_err("it does not fit")
        };
        assert_eq!(refused(json!([]), 1), "needs at least one equation and one step, got 0 and 1");
        assert_eq!(refused(json!([1]), 0), "needs at least one equation and one step, got 1 and 0");
        assert_eq!(
            refused(json!([1]), 1 << 40),
            "the solution at all steps of sizes [1, 1099511627776] has more than 134217728 elements"
        );
    }
}
