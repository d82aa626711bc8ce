//! The posterior density of a mixture of Gaussians, with a Wishart prior, as a logarithm.
//!
//! Component c has a weight α, a mean μ, and a triangular matrix Q, the inverse square root of its
//! covariance: exp(q) on the diagonal and l below it, column by column.
//!
//! ```text
//! β(i, c) = α(c) + Σ q(c) − ½ ‖Q(c) (x(i) − μ(c))‖²
//! F = −n d/2 ln 2π + Σᵢ ln Σ_c exp β(i, c) − n ln Σ_c exp α(c)
//!     + k C − γ²/2 Σ ‖Q(c)‖² + m Σ q
//! C = ν d (ln γ − ½ ln 2) − ln Γ_d(ν/2),   ν = d + m + 1
//! ```

use std::f64::consts::{LN_2, PI};

use anyhow::ensure;
use grad_core::transform::{self, Params, WithTape};
use grad_core::{Tape, TensorLike, Var};
use serde::Deserialize;
use serde_json::{Value, json};

use super::problem::{Problem, unknown};
use super::runs::Runs;
use super::{input, output};

/// n points in d dimensions, a mixture of k components, and a prior.
#[derive(Deserialize)]
pub(crate) struct Gmm {
    d: usize,
    k: usize,
    n: usize,
    m: f64,
    gamma: f64,
    x: Vec<Vec<f64>>,
    alpha: Vec<f64>,
    mu: Vec<Vec<f64>>,
    q: Vec<Vec<f64>>,
    l: Vec<Vec<f64>>,
}

/// What is differentiated: `[k]`, `[k, d]`, `[k, d]` and `[k, d (d − 1)/2]`.
#[derive(Clone)]
struct Mixture<X> {
    alpha: X,
    mu: X,
    q: X,
    l: X,
}

impl<X> Params for Mixture<X> {
    type Leaf = X;
    type With<Y> = Mixture<Y>;
    type Convention = WithTape;

    fn map<Y>(&self, f: &mut impl FnMut(&X) -> Y) -> Mixture<Y> {
        Mixture { alpha: f(&self.alpha), mu: f(&self.mu), q: f(&self.q), l: f(&self.l) }
    }
}

impl Problem for Gmm {
    const NAME: &'static str = "gmm";

    fn evaluate<T: TensorLike>(
        &self,
        function: &str,
        model: &T,
        runs: &mut Runs,
    ) -> anyhow::Result<Value> {
        let &Gmm { d, k, n, .. } = self;
        ensure!(d > 0 && k > 0, "d and k must be at least 1, got {d} and {k}");
        input::ensure_fits("the matrix of residuals", &[k, d, d.max(n)])?;
        ensure!(self.alpha.len() == k, "alpha has {} elements, not {k}", self.alpha.len());
        let x = input::matrix(model, "x", [n, d], &self.x)?;
        let mixture = Mixture {
            alpha: input::vector(model, &self.alpha)?,
            mu: input::matrix(model, "mu", [k, d], &self.mu)?,
            q: input::matrix(model, "q", [k, d], &self.q)?,
            l: input::matrix(model, "l", [k, d * (d - 1) / 2], &self.l)?,
        };
        match function {
            "objective" => output::number(&runs.time(|| {
                let tape = Tape::<T>::new();
                let mixture = mixture.map(&mut |leaf| tape.constant(leaf.clone()));
                self.log_posterior(tape.constant(x.clone()), mixture).value()
            })?),
            "jacobian" => {
                let gradient = runs.time(|| {
                    transform::grad(
                        |tape, mixture| self.log_posterior(tape.constant(x.clone()), mixture),
                        mixture.clone(),
                    )
                })?;
                Ok(json!({
                    "alpha": output::list(&gradient.alpha)?,
                    "mu": output::rows(&gradient.mu)?,
                    "q": output::rows(&gradient.q)?,
                    "l": output::rows(&gradient.l)?,
                }))
            }
            _ => Err(unknown::<Self>(function)),
        }
    }
}

impl Gmm {
    /// F, for points `x` of shape `[n, d]`.
    fn log_posterior<'t, T: TensorLike>(
        &self,
        x: Var<'t, T>,
        Mixture { alpha, mu, q, l }: Mixture<Var<'t, T>>,
    ) -> Var<'t, T> {
        let &Gmm { d, k, n, m, gamma, .. } = self;
        let tape = x.tape();
        let entries = tape.concat(&[q.exp(), l], 1);
        let triangles =
            entries.pad(&[(0, 0), (0, 1)], 0.0).index_select(1, &places(d)).reshape([k, d, d]);

        // Q (x − μ) of all components at all points is one product, [Q, −Q μ] [x, 1].
        let shift = -triangles.matmul(mu.unsqueeze(2));
        let map = tape.concat(&[triangles, shift], 2).reshape([k * d, d + 1]);
        let point = tape.concat(&[x.transpose(0, 1), x.new_constant([1, n], &vec![1.0; n])], 0);
        let residual = map.matmul(point).reshape([k, d, n]);

        let log_weight = (alpha + q.sum_axes(1)).unsqueeze(1);
        let beta = log_weight - 0.5 * residual.square().sum_axes(1);
        beta.logsumexp_axes(0).sum()
            - n as f64 * alpha.logsumexp()
            - 0.5 * gamma.powi(2) * entries.square().sum()
            + m * q.sum()
            + (k as f64 * self.log_of_prior() - 0.5 * (n * d) as f64 * (2.0 * PI).ln())
    }

    /// C, what normalizes the prior of one component.
    fn log_of_prior(&self) -> f64 {
        let d = self.d as f64;
        let nu = d + self.m + 1.0;
        let ln_gamma_d = 0.25 * d * (d - 1.0) * PI.ln()
            + (0..self.d).map(|j| libm::lgamma(0.5 * (nu - j as f64))).sum::<f64>();
        nu * d * (self.gamma.ln() - 0.5 * LN_2) - ln_gamma_d
    }
}

/// For each element of a triangular matrix, row by row, its place in the list of the diagonal, what
/// is below it column by column, and a zero.
fn places(d: usize) -> Vec<usize> {
    let zero = d * (d + 1) / 2;
    let mut places = vec![zero; d * d];
    let mut below = d..;
    for column in 0..d {
        places[column * d + column] = column;
        for (row, place) in (column + 1..d).zip(&mut below) {
            places[row * d + column] = place;
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::super::problem::answer;
    use super::*;

    /// One point in one dimension, where Q has nothing below its diagonal.
    fn one() -> Value {
        json!({
            "d": 1, "k": 1, "n": 1, "m": 3, "gamma": 2.0,
            "x": [[2.0]], "alpha": [0.3], "mu": [[0.5]], "q": [[0.0]], "l": [[]],
        })
    }

    /// With u = exp(q) (x − μ) = 1.5 and ν = 5:
    /// β = α + q − u²/2, ln Γ₁(5/2) = ln (3/4 √π), and F is the sum of
    /// −½ ln 2π, β − α, C = 5 (ln 2 − ½ ln 2) − ln (3/4 √π), −γ²/2 exp(2 q) = −2, and m q = 0.
    #[test]
    fn in_one_dimension_a_component_is_a_parabola() {
        let expected = -0.5 * (2.0 * PI).ln() - 1.125 + 2.5 * LN_2 - (0.75 * PI.sqrt()).ln() - 2.0;
        let found = answer::<Gmm>("objective", one()).expect("it fits");
        assert!((found.as_f64().expect("a number") - expected).abs() < 1e-14);
        // dα: one component has all the weight, whatever α. dμ = exp(q) u. dq = 1 − u² − γ² + m.
        let gradient = answer::<Gmm>("jacobian", one()).expect("it fits");
        let expected = json!({ "alpha": [0.0], "mu": [[1.5]], "q": [[-2.25]], "l": [[]] });
        assert_eq!(gradient, expected);
    }

    #[test]
    fn a_triangle_is_filled_column_by_column() {
        // The diagonal is at 0, 1, 2 and what is below at 3, 4, 5 of the list; the zero is at 6.
        assert_eq!(places(3), [0, 6, 6, 3, 1, 6, 4, 5, 2]);
    }

    #[test]
    fn sizes_must_fit_each_other() {
        let refused = |field: &str, value: Value| {
            let mut input = one();
            input[field] = value;
            answer::<Gmm>("objective", input).expect_err("it does not fit")
        };
        assert_eq!(refused("d", json!(0)), "d and k must be at least 1, got 0 and 1");
        assert_eq!(refused("n", json!(2)), "x has 1 rows, not 2");
        assert_eq!(refused("alpha", json!([])), "alpha has 0 elements, not 1");
        assert_eq!(refused("mu", json!([[1, 2]])), "row 0 of mu has 2 elements, not 1");
        assert_eq!(refused("l", json!([[1]])), "row 0 of l has 1 elements, not 0");
        assert_eq!(
            refused("d", json!(1 << 20)),
            "the matrix of residuals of sizes [1, 1048576, 1048576] has more than 134217728 elements"
        );
        assert_eq!(refused("gamma", json!(-1.0)), "element 0 of the result is NaN");
    }
}
