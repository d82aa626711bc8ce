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

use super::{Problem, Runs, input, output, unknown};

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
        ensure!(d > 0 && k > 0, "d is {d} and k is {k}, but neither may be 0");
        input::ensure_fits("Q of all components at all points", &[k, d, d.max(n)])?;
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
        let triangles = entries
            .pad(&[(0, 0), (0, 1)], 0.0)
            .index_select(1, &places(d))
            .reshape([k, d, d]);

        // Q (x − μ) of all components at all points is one product, [Q, −Q μ] [x, 1].
        let shift = -triangles.matmul(mu.unsqueeze(2));
        let map = tape.concat(&[triangles, shift], 2).reshape([k * d, d + 1]);
        let point = tape.concat(&[x.transpose(0, 1), x.new_constant([1, n], &vec![1.0; n])], 0);
        let residual = map.matmul(point).reshape([k, d, n]);

        let log_weight = (alpha + q.sum_axes(1)).unsqueeze(1);
        let beta = log_weight - 0.5 * residual.square().sum_axes(1);
        beta.logsumexp_axes(0).sum() - n as f64 * alpha.logsumexp()
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
