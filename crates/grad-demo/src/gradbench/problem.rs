//! What a problem of GradBench is, and what problems do alike.

use grad_core::{Error, Tape, TensorLike, Var};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::runs::Runs;

/// A problem of GradBench: what the fields of its input are, and its functions.
pub(crate) trait Problem: DeserializeOwned {
    /// The module of the protocol.
    const NAME: &'static str;

    /// Whether the work is on single numbers, where the `f64` backend is the fastest by far.
    const IS_SCALAR: bool = false;

    /// Computes one of the functions with tensors of the dtype and on the device of `model`, as
    /// often as `runs` wants.
    ///
    /// # Errors
    /// If the sizes of the input do not fit each other, there is no such function
    /// ([`unknown`]), the backend fails, or the result is not finite.
    fn evaluate<T: TensorLike>(
        &self,
        function: &str,
        model: &T,
        runs: &mut Runs,
    ) -> anyhow::Result<Value>;
}

/// The value of a function, without its derivative.
pub(crate) fn primal<T, F>(f: F, x: &T) -> Result<T, Error>
where
    T: TensorLike,
    F: for<'t> FnOnce(Var<'t, T>) -> Var<'t, T>,
{
    let tape = Tape::new();
    f(tape.constant(x.clone())).value()
}

/// `f` of each, or the first error.
pub(crate) fn each<X, Y, E, const N: usize>(
    x: [X; N],
    f: impl Fn(X) -> Result<Y, E>,
) -> Result<[Y; N], E> {
    let all = x.into_iter().map(f).collect::<Result<Vec<Y>, E>>()?;
    Ok(all.try_into().ok().expect("there is one for each"))
}

/// The answer to a function that a problem does not have.
pub(crate) fn unknown<P: Problem>(function: &str) -> anyhow::Error {
    anyhow::anyhow!("module {} has no function '{function}'", P::NAME)
}

/// What a problem answers with tensors of ndarray, or the whole text of its error.
#[cfg(test)]
pub(crate) fn answer<P: Problem>(function: &str, input: Value) -> Result<Value, String> {
    let model = grad_ndarray::NdTensor::from(0_f64);
    let problem: P = serde_json::from_value(input).expect("the fields of the problem");
    let answer = problem.evaluate(function, &model, &mut Runs::default());
    answer.map_err(|error| format!("{error:#}"))
}
