//! Poisson's equation, solved by a network that is told nothing but the equation.
//!
//! On the unit square we look for the function u that is 0 on the edge and inside obeys
//!
//! ```math
//! −∂²u/∂x² − ∂²u/∂y² = f(x, y),   f = 2π² sin πx sin πy
//! ```
//!
//! A physics-informed network lets a network *be* u, and chooses the weights θ such that the
//! equation holds at many points. So the loss is made of second derivatives of the network with
//! respect to its *input*, and to make it small we differentiate these once more, with respect to
//! the *weights*: third derivatives, which nobody wants to write down.
//!
//! The solution is sin πx sin πy. Only the last lines know, which measure the error.
//!
//! Source of the method: M. Raissi, P. Perdikaris, G. E. Karniadakis, "Physics-informed neural
//! networks" (2019).

use std::f64::consts::PI;

use grad_core::{Tape, TensorLike, Var, transform};

use super::grid::grid;
use super::network::Mlp;
use super::optimize::least_squares;
use super::problem::Problem;
use super::progress::Progress;
use super::report::Report;

/// Poisson's equation on the unit square.
pub(crate) struct Poisson;

const NETWORK: Mlp = Mlp { sizes: &[2, 16, 1] };

/// The equation is asked for at 8 × 8 points.
const GRID: usize = 8;

const STEPS: u64 = 25;

impl Problem for Poisson {
    const NAME: &'static str = "poisson";
    const SUMMARY: &'static str = "Poisson's equation in a square, by a physics-informed network";

    fn solve<T: TensorLike>(model: &T, progress: &Progress) -> anyhow::Result<Report> {
        let start = NETWORK.initial(model, 1)?;
        let points = grid(model, GRID, |x| x)?;

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

        Ok(Report::new("Poisson's equation in the unit square")
            .row("weights of the network", NETWORK.n_weights() as f64, "")
            .row("points", (GRID * GRID) as f64, "")
            .row("relative error before training", error(&start)?, "")
            .check("relative error", error(&theta)?, 1e-3))
    }
}

/// The network, times a factor that makes it 0 on the edge whatever the weights are.
fn u<'t, T: TensorLike>(theta: Var<'t, T>, [x, y]: [Var<'t, T>; 2]) -> Var<'t, T> {
    let edge = x * (1.0 - x) * y * (1.0 - y);
    edge * NETWORK.apply(theta, theta.tape().concat(&[x, y], -1))
}

/// By how much the equation is missed, at each point.
fn residual<'t, T: TensorLike>(theta: Var<'t, T>, [x, y]: [Var<'t, T>; 2]) -> Var<'t, T> {
    // Each u depends on its own x alone, so the Hessian of the sum is diagonal: it is ∂²u/∂x².
    let u_xx = transform::hessian_diagonal(|x| u(theta, [x, y]).sum(), x);
    let u_yy = transform::hessian_diagonal(|y| u(theta, [x, y]).sum(), y);
    let f = 2.0 * PI * PI * solution([x, y]);
    -u_xx - u_yy - f
}

fn solution<'t, T: TensorLike>([x, y]: [Var<'t, T>; 2]) -> Var<'t, T> {
    (PI * x).sin() * (PI * y).sin()
}

/// The distance from the solution relative to its size, both root mean squares over a fine grid.
fn error<T: TensorLike>(theta: &T) -> anyhow::Result<f64> {
    let tape = Tape::<T>::new();
    let points = grid(theta, 50, |x| x)?.map(|x| tape.constant(x));
    let solution = solution(points);
    let distance = u(tape.constant(theta.clone()), points) - solution;
    Ok((distance.norm(2.0) / solution.norm(2.0)).item()?)
}

#[cfg(test)]
mod tests {
    use super::Poisson;
    use crate::place::{Backend, DType};
    use crate::solve::problem::testing::assert_solved;

    #[test]
    fn the_network_finds_the_solution_on_ndarray() {
        assert_solved::<Poisson>(Backend::Ndarray, DType::F64);
        assert_solved::<Poisson>(Backend::Ndarray, DType::F32);
    }

    #[test]
    fn the_network_finds_the_solution_on_candle() {
        assert_solved::<Poisson>(Backend::Candle, DType::F64);
        assert_solved::<Poisson>(Backend::Candle, DType::F32);
    }
}
