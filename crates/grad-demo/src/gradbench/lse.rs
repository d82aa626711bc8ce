//! The logarithm of a sum of exponentials, kept from overflow by its largest argument.

use grad_core::{TensorLike, Var, transform};
use serde::Deserialize;
use serde_json::Value;

use super::problem::{Problem, primal, unknown};
use super::runs::Runs;
use super::{input, output};

/// n numbers.
#[derive(Deserialize)]
pub(crate) struct Lse {
    x: Vec<f64>,
}

impl Problem for Lse {
    const NAME: &'static str = "lse";

    fn evaluate<T: TensorLike>(
        &self,
        function: &str,
        model: &T,
        runs: &mut Runs,
    ) -> anyhow::Result<Value> {
        let x = input::vector(model, &self.x)?;
        match function {
            "primal" => output::number(&runs.time(|| primal(log_sum_exp, &x))?),
            "gradient" => output::list(&runs.time(|| transform::grad(log_sum_exp, x.clone()))?),
            _ => Err(unknown::<Self>(function)),
        }
    }
}

/// a + ln Σ exp(x − a) for a = max x, which cancels and so needs no derivative.
fn log_sum_exp<T: TensorLike>(x: Var<'_, T>) -> Var<'_, T> {
    let a = x.max().detach();
    a + (x - a).exp().sum().ln()
}
