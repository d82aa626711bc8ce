//! Burgers' equation: a wave that steepens until viscosity stops it, found by a network.
//!
//! Where u is large, it is carried along faster, so the crest catches up with the trough:
//!
//! ```math
//! ∂u/∂t + u ∂u/∂x = ν ∂²u/∂x²,   u(x, 0) = −sin πx,   u(−1, t) = u(1, t) = 0
//! ```
//!
//! As in [`poisson`](super::poisson), a network is u, and its weights are chosen such that the
//! equation holds at many points. There the second derivatives came from a Hessian. Here all
//! derivatives come by forward mode: a tangent of 1 at each point goes through the network once,
//! and comes out as the derivative at each point; a second one goes through the first.
//!
//! The solution is known as an integral, which is what the network is compared with.
//!
//! Source of the problem: C. Basdevant et al., "Spectral and finite difference solutions of the
//! Burgers equation" (1986), there with ν = 0.01 / π; here the front is ten times as wide.

use std::f64::consts::PI;

use grad_core::{Tape, TensorLike, Var, transform};

use super::grid::grid;
use super::network::Mlp;
use super::optimize::least_squares;
use super::problem::Problem;
use super::progress::Progress;
use super::report::Report;

/// The viscous Burgers' equation.
pub(crate) struct Burgers;

/// ν
const VISCOSITY: f64 = 0.1 / PI;

const NETWORK: Mlp = Mlp { sizes: &[2, 10, 10, 1] };

/// The equation is asked for at 10 × 10 points.
const GRID: usize = 10;

const STEPS: u64 = 30;

impl Problem for Burgers {
    const NAME: &'static str = "burgers";
    const SUMMARY: &'static str = "Burgers' equation of a steepening wave, by forward mode twice";

    fn solve<T: TensorLike>(model: &T, progress: &Progress) -> anyhow::Result<Report> {
        let start = NETWORK.initial(model, 4)?;
        // Closer together where the front will stand, at x = 0.
        let points = grid(model, GRID, |s| 0.3 * s + 0.7 * s.powi(3))?;

        let bar = progress.start(STEPS, "training the network");
        let theta = least_squares(
            |theta| {
                let points = points.each_ref().map(|x| theta.tape().constant(x.clone()));
                residual(theta, points).reshape([GRID * GRID])
            },
            start.clone(),
            STEPS,
            |loss| bar.step(loss),
        )?;

        Ok(Report::new("Burgers' equation")
            .row("viscosity", VISCOSITY, "")
            .row("weights of the network", NETWORK.n_weights() as f64, "")
            .row("points", (GRID * GRID) as f64, "")
            .row("relative error before training", error(&start)?, "")
            .check("relative error", error(&theta)?, 1e-2))
    }
}

/// The wave at the beginning, and a network in the form of what it can still become: the second
/// term is 0 at t = 0, x = 0 and x = 1. Since u(−x, t) = −u(x, t), half of the wave is enough.
fn u<'t, T: TensorLike>(theta: Var<'t, T>, [x, t]: [Var<'t, T>; 2]) -> Var<'t, T> {
    let network = NETWORK.apply(theta, theta.tape().concat(&[x, t], -1));
    t * x * (1.0 - x) * network - (PI * x).sin()
}

/// By how much the equation is missed, at each point.
fn residual<'t, T: TensorLike>(theta: Var<'t, T>, [x, t]: [Var<'t, T>; 2]) -> Var<'t, T> {
    let one = x.ones_like();
    let slope = |x| transform::jvp(|x| u(theta, [x, t]), x, one).1;
    let (u_x, u_xx) = transform::jvp(slope, x, one);
    let (u, u_t) = transform::jvp(|t| u(theta, [x, t]), t, one);
    u_t + u * u_x - VISCOSITY * u_xx
}

/// The solution, which E. Hopf (1950) and J. D. Cole (1951) found: for φ with `u = −2ν φ'/φ` the
/// equation is that of heat, and heat spreads as a Gauss curve does.
///
/// ```math
/// u(x, t) = −∫ sin(πy) w dz / ∫ w dz,   w = exp(−cos(πy) / 2πν − z²),   y = x − z √(4νt)
/// ```
fn solution(x: f64, t: f64, viscosity: f64) -> f64 {
    // The trapezoidal rule: for a smooth integrand that has died out on both ends its error falls
    // faster than any power of the distance, 1/16.
    let (mut above, mut below) = (0.0, 0.0);
    for z in (-256..=256).map(|z| f64::from(z) / 16.0) {
        let y = x - z * (4.0 * viscosity * t).sqrt();
        // The cosine shifted by its largest value, so that nothing overflows.
        let w = (-(1.0 + (PI * y).cos()) / (2.0 * PI * viscosity) - z * z).exp();
        above += w * (PI * y).sin();
        below += w;
    }
    -above / below
}

/// The distance from the solution relative to its size, both root mean squares over a fine grid.
fn error<T: TensorLike>(theta: &T) -> anyhow::Result<f64> {
    let points = grid(theta, 40, |s| s)?;
    let (x, t) = (points[0].to_host()?, points[1].to_host()?);
    let solution: Vec<f64> = x.iter().zip(t).map(|(&x, t)| solution(x, t, VISCOSITY)).collect();

    let tape = Tape::<T>::new();
    let solution = tape.constant(theta.from_host(points[0].shape(), &solution)?);
    let u = u(tape.constant(theta.clone()), points.map(|x| tape.constant(x)));
    Ok(((u - solution).norm(2.0) / solution.norm(2.0)).item()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::place::{Backend, DType};
    use crate::solve::problem::testing::assert_solved;

    #[test]
    fn the_network_finds_the_solution_on_ndarray() {
        assert_solved::<Burgers>(Backend::Ndarray, DType::F64);
    }

    #[test]
    fn the_network_finds_the_solution_on_candle() {
        assert_solved::<Burgers>(Backend::Candle, DType::F64);
        assert_solved::<Burgers>(Backend::Candle, DType::F32);
    }

    #[test]
    fn the_steepest_slope_of_the_solution_is_that_of_the_literature() {
        // Basdevant et al. (1986): at πt = 1.6037 the slope at x = 0 is −152.00516.
        let slope = solution(1e-5, 1.6037 / PI, 0.01 / PI) / 1e-5;
        assert!((slope + 152.00516).abs() < 1e-2, "{slope}");
    }

    #[test]
    fn the_solution_begins_as_a_sine() {
        for x in [0.0, 0.3, 0.9] {
            assert!((solution(x, 0.0, VISCOSITY) + (PI * x).sin()).abs() < 1e-15);
        }
    }
}
