//! The square of a number and its derivative, for tools to say that they are there.

use grad_core::{TensorLike, Var, transform};
use serde::Deserialize;
use serde_json::Value;

use super::output;
use super::problem::{Problem, primal, unknown};
use super::runs::Runs;

/// x, the whole input.
#[derive(Deserialize)]
pub(crate) struct Hello(f64);

impl Problem for Hello {
    const NAME: &'static str = "hello";
    const IS_SCALAR: bool = true;

    fn evaluate<T: TensorLike>(
        &self,
        function: &str,
        model: &T,
        runs: &mut Runs,
    ) -> anyhow::Result<Value> {
        let x = model.scalar(self.0)?;
        let result = match function {
            "square" => runs.time(|| primal(square, &x)),
            "double" => runs.time(|| transform::grad(square, x.clone())),
            _ => return Err(unknown::<Self>(function)),
        };
        output::number(&result?)
    }
}

fn square<T: TensorLike>(x: Var<'_, T>) -> Var<'_, T> {
    x * x
}
