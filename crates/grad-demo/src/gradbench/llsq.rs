//! The least squares of a polynomial and a sign function.
//!
//! ```text
//! y = ½ Σᵢ (sign(tᵢ) − Σⱼ xⱼ tᵢʲ)²,   tᵢ = −1 + 2 i/(n − 1)
//! ```

use anyhow::ensure;
use grad_core::{TensorLike, Var, transform};
use serde::Deserialize;
use serde_json::Value;

use super::problem::{Problem, primal, unknown};
use super::runs::Runs;
use super::{input, output};

/// m coefficients, and the number n of places.
#[derive(Deserialize)]
pub(crate) struct Llsq {
    x: Vec<f64>,
    n: usize,
}

impl Problem for Llsq {
    const NAME: &'static str = "llsq";

    fn evaluate<T: TensorLike>(
        &self,
        function: &str,
        model: &T,
        runs: &mut Runs,
    ) -> anyhow::Result<Value> {
        let (m, n) = (self.x.len(), self.n);
        ensure!(m > 0 && n > 1, "needs at least one coefficient and two places, got {m} and {n}");
        input::ensure_fits("the matrix of powers", &[n, m])?;
        let x = input::vector(model, &self.x)?;
        match function {
            "primal" => output::number(&runs.time(|| primal(|x| loss(n, m, x), &x))?),
            "gradient" => {
                output::list(&runs.time(|| transform::grad(|x| loss(n, m, x), x.clone()))?)
            }
            _ => Err(unknown::<Self>(function)),
        }
    }
}

/// y, for the coefficients `[m]`.
fn loss<T: TensorLike>(n: usize, m: usize, x: Var<'_, T>) -> Var<'_, T> {
    let last = (n - 1) as f64;
    let t: Vec<f64> = (0..n).map(|i| -1.0 + 2.0 * i as f64 / last).collect();
    let t = x.new_constant([n], &t);
    0.5 * (t.sign() - polynomial(m, x, t)).square().sum()
}

/// Σⱼ xⱼ tʲ, in blocks of w coefficients, so that 2 √m powers are enough for m:
/// Σⱼ xⱼ tʲ = Σ_b t^(w b) Σ_a x(w b + a) tᵃ.
fn polynomial<'t, T: TensorLike>(m: usize, x: Var<'t, T>, t: Var<'t, T>) -> Var<'t, T> {
    let w = m.isqrt();
    let blocks = m.div_ceil(w);
    let x = x.pad(&[(0, blocks * w - m)], 0.0).reshape([blocks, w]);
    let of_blocks = x.matmul(powers(t, w));
    (of_blocks * powers(t.powi(w as i32), blocks)).sum_axes(0)
}

/// 1, t, t², …, one row each.
fn powers<T: TensorLike>(t: Var<'_, T>, count: usize) -> Var<'_, T> {
    let mut powers = vec![t.ones_like()];
    while powers.len() < count {
        powers.push(powers[powers.len() - 1] * t);
    }
    t.tape().stack(&powers, 0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::problem::answer;
    use super::*;

    #[test]
    fn coefficients_that_do_not_fill_the_blocks_are_fitted() {
        // Five coefficients in blocks of two. p = 1, 1, 5 at t = −1, 0, 1, so that the residuals
        // are −2, −1, −4; dxⱼ = −Σ r tʲ.
        let input = json!({ "x": [1, 1, 1, 1, 1], "n": 3 });
        assert_eq!(answer::<Llsq>("primal", input.clone()), Ok(json!(10.5)));
        assert_eq!(answer::<Llsq>("gradient", input), Ok(json!([7.0, 2.0, 6.0, 2.0, 6.0])));
    }

    #[test]
    fn what_does_not_fit_is_said() {
        let refused = |x: Value, n: usize| {
            answer::<Llsq>("primal", json!({ "x": x, "n": n })).expect_err("it does not fit")
        };
        assert_eq!(
            refused(json!([]), 2),
            "needs at least one coefficient and two places, got 0 and 2"
        );
        assert_eq!(
            refused(json!([1]), 1),
            "needs at least one coefficient and two places, got 1 and 1"
        );
        assert_eq!(
            refused(json!([1, 2]), usize::MAX),
            "the matrix of powers of sizes [18446744073709551615, 2] has more than 134217728 elements"
        );
    }
}
