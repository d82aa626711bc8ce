//! A chain of differential equations, solved from 0 to 2 by the method of Runge and Kutta.
//!
//! ```text
//! y′₀ = x₀,   y′ᵢ = xᵢ yᵢ₋₁,   y(0) = 0
//! ```

use anyhow::ensure;
use grad_core::{TensorLike, Var, transform};
use serde::Deserialize;
use serde_json::Value;

use super::{Problem, Runs, input, output, primal, unknown};

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
        ensure!(n > 0, "x has no elements");
        input::ensure_fits("y at all steps", &[n, steps])?;
        let x = input::vector(model, &self.x)?;
        match function {
            "primal" => output::list(&runs.time(|| primal(|x| solve(n, steps, x), &x))?),
            "gradient" => output::list(&runs.time(|| {
                transform::grad(|x| solve(n, steps, x).narrow(0, n - 1, 1), x.clone())
            })?),
            _ => Err(unknown::<Self>(function)),
        }
    }
}

/// y(2), `[n]`.
fn solve<'t, T: TensorLike>(n: usize, steps: usize, x: Var<'t, T>) -> Var<'t, T> {
    let one = x.new_constant([1], &[1.0]);
    // y₀ depends on time as if it had a y₋₁ = 1 before it.
    let slope = |y: Var<'t, T>| x * x.tape().concat(&[one, y.narrow(0, 0, n - 1)], 0);
    let h = 2.0 / steps as f64;
    let mut y = x.zeros_like();
    for _ in 0..steps {
        let k1 = slope(y);
        let k2 = slope(y + 0.5 * h * k1);
        let k3 = slope(y + 0.5 * h * k2);
        let k4 = slope(y + h * k3);
        y += h / 6.0 * (k1 + 2.0 * (k2 + k3) + k4);
    }
    y
}
