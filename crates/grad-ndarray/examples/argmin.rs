//! A soap film in a wire frame, with 10,000 parameters and no Hessian matrix, which would have
//! 800 MB.
//!
//! `cargo run --release -p grad-ndarray --features argmin --example argmin`
//!
//! The parameters are the heights of the film over a grid; to be minimized is its area, a sum over
//! triangles. The frame has the shape of the edge of Scherk's surface, `z = ln(cos y / cos x)`, which
//! is minimal; so the answer is known, but for the error of the grid.
#![allow(clippy::print_stdout)] // That is what an example is for.

use std::time::Instant;

use argmin::core::{Error, Executor, OptimizationResult, State};
use argmin::solver::linesearch::MoreThuenteLineSearch;
use argmin::solver::newton::NewtonCG;
use argmin::solver::quasinewton::LBFGS;
use argmin::solver::trustregion::{Steihaug, TrustRegion};
use grad_ndarray::NdTensor;
use grad_ndarray::argmin::{Function, Objective};
use grad_ndarray::ndarray::Array2;

/// Heights along a side inside of the frame, which is the square [−1, 1]².
const N: usize = 100;
const STEP: f64 = 2.0 / (N + 1) as f64;

fn main() -> Result<(), Error> {
    let flat = || NdTensor::from(vec![0.0; N * N]);
    let line_search = MoreThuenteLineSearch::new;
    println!("solver        iterations  values  gradients  Hessians  seconds  error");

    let start = Instant::now();
    let result = Executor::new(Objective::new(area(1.0)), LBFGS::new(line_search(), 10))
        .configure(|state| state.param(flat()).max_iters(1000))
        .run()?;
    print_row("L-BFGS", &result, start);

    // argmin's Newton-CG needs large numbers.
    let start = Instant::now();
    let film = Objective::new(area(1e10)).matrix_free();
    let result = Executor::new(film, NewtonCG::new(line_search()))
        .configure(|state| state.param(flat()).max_iters(20))
        .run()?;
    print_row("Newton-CG", &result, start);

    let start = Instant::now();
    let film = Objective::new(area(1.0)).matrix_free();
    let solver = TrustRegion::new(Steihaug::new()).with_radius(100.0)?.with_max_radius(1000.0)?;
    let result =
        Executor::new(film, solver).configure(|state| state.param(flat()).max_iters(10)).run()?;
    print_row("trust region", &result, start);
    Ok(())
}

/// The area of the film in the units given, as a function of the heights inside of the frame.
fn area(units: f64) -> impl Function<f64> {
    let frame = Array2::from_shape_fn((N + 2, N + 2), |(i, j)| {
        let is_inside = (1..=N).contains(&i) && (1..=N).contains(&j);
        if is_inside { 0.0 } else { scherk(i, j) }
    });
    let frame = frame.into_shared();
    move |heights| {
        let inside = heights.reshape([N, N]).pad(&[(1, 1), (1, 1)], 0.0);
        let film = inside + heights.tape().constant(frame.clone());
        let dx = (film.narrow(0, 1, N + 1) - film.narrow(0, 0, N + 1)) / STEP;
        let dy = (film.narrow(1, 1, N + 1) - film.narrow(1, 0, N + 1)) / STEP;
        // A square of the grid is two triangles, one with its lower edges and one with its upper.
        let lower = dx.narrow(1, 0, N + 1).square() + dy.narrow(0, 0, N + 1).square();
        let upper = dx.narrow(1, 1, N + 1).square() + dy.narrow(0, 1, N + 1).square();
        ((1.0 + lower).sqrt() + (1.0 + upper).sqrt()).sum() * (units * STEP * STEP / 2.0)
    }
}

/// The height of Scherk's surface over a point of the grid.
fn scherk(i: usize, j: usize) -> f64 {
    let (x, y) = (STEP * i as f64 - 1.0, STEP * j as f64 - 1.0);
    (y.cos() / x.cos()).ln()
}

/// One line about the way to the solution, which ends with its largest distance from the surface.
fn print_row<O, S, I: State<Param = NdTensor<f64>>>(
    solver: &str,
    result: &OptimizationResult<O, S, I>,
    start: Instant,
) {
    let seconds = start.elapsed().as_secs_f64();
    let count = |what| result.problem.counts.get(what).copied().unwrap_or(0);
    let [values, gradients, hessians] =
        ["cost_count", "gradient_count", "hessian_count"].map(count);
    let heights = result.state.get_best_param().expect("every solver keeps its best parameters");
    let error = heights.view().iter().enumerate().fold(0.0_f64, |largest, (k, height)| {
        largest.max((height - scherk(k / N + 1, k % N + 1)).abs())
    });
    let iterations = result.state.get_iter();
    println!(
        "{solver:<13} {iterations:>10}  {values:>6}  {gradients:>9}  {hessians:>8}  \
         {seconds:>7.2}  {error:.1e}"
    );
}
