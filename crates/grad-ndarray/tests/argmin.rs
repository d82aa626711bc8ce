//! argmin's solvers on functions: do they arrive, with the derivatives computed here?
#![cfg(feature = "linalg")] // Some solvers invert matrices.
#![allow(clippy::unwrap_used)] // A failing unwrap fails the test.

use argmin::core::{Executor, Hessian, IterState, Solver, State};
use argmin::solver::conjugategradient::beta::PolakRibiere;
use argmin::solver::conjugategradient::{ConjugateGradient, NonlinearConjugateGradient};
use argmin::solver::gaussnewton::{GaussNewton, GaussNewtonLS};
use argmin::solver::gradientdescent::SteepestDescent;
use argmin::solver::landweber::Landweber;
use argmin::solver::linesearch::condition::ArmijoCondition;
use argmin::solver::linesearch::{
    BacktrackingLineSearch, HagerZhangLineSearch, MoreThuenteLineSearch,
};
use argmin::solver::neldermead::NelderMead;
use argmin::solver::newton::{Newton, NewtonCG};
use argmin::solver::quasinewton::{BFGS, DFP, LBFGS, SR1, SR1TrustRegion};
use argmin::solver::trustregion::{CauchyPoint, Dogleg, Steihaug, TrustRegion};
use argmin_math::ArgminEye;
use grad_conformance::Random;
use grad_core::{TensorLike, Var};
use grad_ndarray::NdTensor;
use grad_ndarray::argmin::{Objective, Residuals};
use grad_ndarray::ndarray::{Array1, Array2, Axis, array};

type Tensor = NdTensor<f64>;
type Handle<'t> = Var<'t, Tensor>;

/// Runs a solver from where `start` puts its state; the end, and the best parameters.
fn run<O, S, I>(problem: O, solver: S, start: impl FnOnce(I) -> I) -> (I, Tensor)
where
    S: Solver<O, I>,
    I: State<Param = Tensor>,
{
    let result = Executor::new(problem, solver).configure(start).run().unwrap();
    let best = result.state.get_best_param().unwrap().clone();
    (result.state, best)
}

fn line_search() -> MoreThuenteLineSearch<Tensor, Tensor, f64> {
    MoreThuenteLineSearch::new()
}

/// The largest distance of an element from what it should be.
fn distance(x: &Tensor, expected: &[f64]) -> f64 {
    assert_eq!(x.shape(), [expected.len()]);
    x.view().iter().zip(expected).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max)
}

/// Its minimum is 0, at (1, .., 1). From 8 dimensions on it has another one near (−1, 1, .., 1), of
/// almost 4, to which solvers go from the usual start, (−1.2, 1, −1.2, 1, ..): so they start at 0.
fn rosenbrock(x: Handle<'_>) -> Handle<'_> {
    let n = x.shape().unwrap()[0];
    let (x, next) = (x.narrow(0, 0, n - 1), x.narrow(0, 1, n - 1));
    ((1.0 - x).square() + 100.0 * (next - x.square()).square()).sum()
}

/// The dimensions, each with a number of iterations in which every solver below arrives.
const ROSENBROCK: [(usize, u64); 3] = [(2, 40), (10, 100), (100, 700)];

#[test]
fn l_bfgs_solves_rosenbrock() {
    for (n, max_iters) in ROSENBROCK {
        let (end, x) = run(Objective::new(rosenbrock), LBFGS::new(line_search(), 7), |state| {
            state.param(vec![0.0; n].into()).max_iters(max_iters)
        });
        assert!(end.get_best_cost() < 1e-14 && distance(&x, &vec![1.0; n]) < 1e-6, "{n}");
    }
}

/// argmin 0.11 ends the inner iteration of Newton-CG where ‖r‖² ≤ min(½, √‖g‖) ‖g‖; in Nocedal and
/// Wright (algorithm 7.1) it is ‖r‖. So it is Newton's method only where the gradient is large, and
/// steepest descent where it is small, unless one counts the cost in small units.
const UNITS: f64 = 1e10;

#[test]
fn newton_cg_solves_rosenbrock() {
    fn in_units(x: Handle<'_>) -> Handle<'_> {
        UNITS * rosenbrock(x)
    }
    for (n, max_iters) in ROSENBROCK {
        let solver = NewtonCG::new(line_search());
        let (end, x) = run(Objective::new(in_units), solver.clone(), |state| {
            state.param(vec![0.0; n].into()).max_iters(max_iters).target_cost(UNITS * 1e-20)
        });
        assert!(end.get_best_cost() < UNITS * 1e-14 && distance(&x, &vec![1.0; n]) < 1e-6, "{n}");

        let (end, x) = run(Objective::new(in_units).matrix_free(), solver, |state| {
            state.param(vec![0.0; n].into()).max_iters(max_iters).target_cost(UNITS * 1e-20)
        });
        assert!(end.get_best_cost() < UNITS * 1e-14 && distance(&x, &vec![1.0; n]) < 1e-6, "{n}");
    }
}

#[test]
fn the_trust_region_with_steihaugs_method_solves_rosenbrock() {
    for (n, max_iters) in ROSENBROCK {
        let solver = TrustRegion::new(Steihaug::new());
        let (end, x) = run(Objective::new(rosenbrock), solver.clone(), |state| {
            state.param(vec![0.0; n].into()).max_iters(max_iters).target_cost(1e-20)
        });
        assert!(end.get_best_cost() < 1e-14 && distance(&x, &vec![1.0; n]) < 1e-6, "{n}");

        let (end, x) = run(Objective::new(rosenbrock).matrix_free(), solver, |state| {
            state.param(vec![0.0; n].into()).max_iters(max_iters).target_cost(1e-20)
        });
        assert!(end.get_best_cost() < 1e-14 && distance(&x, &vec![1.0; n]) < 1e-6, "{n}");
    }
}

/// A classification of 200 points by 6 numbers each, the first of which is 1; one in ten is wrong.
fn points() -> (Array2<f64>, Array1<f64>) {
    let mut random = Random::new(11);
    let inputs =
        Array2::from_shape_fn(
            (200, 6),
            |(_, j)| {
                if j == 0 { 1.0 } else { 2.0 * random.signed_unit() }
            },
        );
    let weights = array![0.5, 2.0, -1.0, 0.0, 1.5, -2.5];
    let classes = inputs.dot(&weights).mapv(|logit| {
        let is_wrong = random.signed_unit() > 0.8;
        f64::from((logit > 0.0) != is_wrong)
    });
    (inputs, classes)
}

const PENALTY: f64 = 0.01;

/// Newton's method with derivatives by hand, until the steps are as small as rounding: with
/// p = σ(Xw), the gradient is Xᵀ(p − y)/m + λw and the Hessian Xᵀ diag(p(1 − p)) X/m + λ.
fn logistic_regression_by_hand(inputs: &Array2<f64>, classes: &Array1<f64>) -> Vec<f64> {
    let (m, n) = inputs.dim();
    let mut w = Array1::zeros(n);
    for _ in 0..20 {
        let p = inputs.dot(&w).mapv(|logit: f64| 1.0 / (1.0 + (-logit).exp()));
        let gradient = inputs.t().dot(&(&p - classes)) / m as f64 + PENALTY * &w;
        let weighted = inputs * &p.mapv(|p| p * (1.0 - p)).insert_axis(Axis(1));
        let hessian = inputs.t().dot(&weighted) / m as f64 + PENALTY * Array2::eye(n);
        let gradient = Tensor::from(gradient.insert_axis(Axis(1)));
        let step = Tensor::from(hessian).solve(&gradient).unwrap();
        w.iter_mut().zip(step.view()).for_each(|(w, step)| *w -= step);
    }
    w.to_vec()
}

#[test]
fn logistic_regression_ends_where_newtons_method_by_hand_does() {
    let (inputs, classes) = points();
    let expected = logistic_regression_by_hand(&inputs, &classes);
    let (inputs, classes) = (inputs.into_shared(), classes.into_shared());
    let problem = |units: f64| {
        let (inputs, classes) = (inputs.clone(), classes.clone());
        Objective::new(move |w| {
            let tape = w.tape();
            let logits = tape.constant(inputs.clone()).matmul(w);
            let loss = logits.bce_with_logits(tape.constant(classes.clone()));
            units * (loss + 0.5 * PENALTY * w.square().sum())
        })
    };
    let zeros = || Tensor::from(vec![0.0; 6]);

    let (_, w) =
        run(problem(1.0), LBFGS::new(line_search(), 7), |state| state.param(zeros()).max_iters(50));
    assert!(distance(&w, &expected) < 1e-6);
    let (_, w) = run(problem(UNITS), NewtonCG::new(line_search()), |state| {
        state.param(zeros()).max_iters(10)
    });
    // The line search compares costs, which are all equal after rounding as near as √ε.
    assert!(distance(&w, &expected) < 1e-7);
    let (_, w) = run(problem(1.0), TrustRegion::new(Steihaug::new()), |state| {
        state.param(zeros()).max_iters(15)
    });
    assert!(distance(&w, &expected) < 1e-9);
    let (_, w) = run(problem(1.0).matrix_free(), TrustRegion::new(Steihaug::new()), |state| {
        state.param(zeros()).max_iters(15)
    });
    assert!(distance(&w, &expected) < 1e-9);
}

/// Convex, with its minimum of 0 at (1, −2, 3).
fn bowl(x: Handle<'_>) -> Handle<'_> {
    let from = x - x.new_constant([3], &[1.0, -2.0, 3.0]);
    let weights = x.new_constant([3], &[1.0, 2.0, 4.0]);
    (weights * from.square() + 0.1 * from.powi(4)).sum()
}

const BOTTOM: [f64; 3] = [1.0, -2.0, 3.0];

/// What solvers for least squares get: the residuals of the bowl without its fourth powers, and one
/// more, so that there are more than parameters.
fn offsets(x: Handle<'_>) -> Handle<'_> {
    let from = x - x.new_constant([3], &BOTTOM);
    let product = from.narrow(0, 0, 1) * from.narrow(0, 1, 1);
    x.tape().concat(&[from, product], 0)
}

/// Off the bottom, for solvers of all kinds; some line searches fail at the bottom itself.
fn aside<G, J, H, R>(
    state: IterState<Tensor, G, J, H, R, f64>,
) -> IterState<Tensor, G, J, H, R, f64> {
    state.param(Tensor::from([0.5, 0.5, 0.5])).max_iters(100).target_cost(1e-8)
}

/// The same, with an approximation of the inverse Hessian.
fn aside_with_matrix<G, J, R>(
    state: IterState<Tensor, G, J, Tensor, R, f64>,
) -> IterState<Tensor, G, J, Tensor, R, f64> {
    aside(state).inv_hessian(Tensor::eye(3))
}

/// One solver a line; that a line compiles is half of the test.
#[test]
fn every_solver_that_has_use_for_derivatives_takes_a_problem() {
    let dense = || Objective::new(bowl);
    let free = || Objective::new(bowl).matrix_free();
    let residuals = || Residuals::new(offsets);
    let arrives = |x: Tensor| assert!(distance(&x, &BOTTOM) < 1e-3, "{x}");

    // By gradients.
    let armijo = ArmijoCondition::new(1e-4).unwrap();
    let precise = line_search().with_c(1e-4, 0.1).unwrap();
    let conjugate = NonlinearConjugateGradient::new(precise, PolakRibiere::new());
    let sparse = LBFGS::new(line_search(), 3).with_l1_regularization(1e-5).unwrap();
    arrives(run(dense(), SteepestDescent::new(line_search()), aside).1);
    arrives(run(dense(), SteepestDescent::new(HagerZhangLineSearch::new()), aside).1);
    arrives(run(dense(), SteepestDescent::new(BacktrackingLineSearch::new(armijo)), aside).1);
    arrives(run(dense(), conjugate, aside).1);
    arrives(run(dense(), Landweber::new(0.05), aside).1);
    arrives(run(dense(), LBFGS::new(line_search(), 3), aside).1);
    arrives(run(dense(), sparse, aside).1);
    arrives(run(free(), LBFGS::new(line_search(), 3), aside).1);

    // By matrices that they make of gradients.
    arrives(run(dense(), BFGS::new(line_search()), aside_with_matrix).1);
    arrives(run(dense(), DFP::new(line_search()), aside_with_matrix).1);
    arrives(run(dense(), SR1::new(line_search()), aside_with_matrix).1);
    arrives(run(dense(), SR1TrustRegion::new(Steihaug::new()), aside).1);

    // By Hessians. The first leg of argmin's dogleg does not end at the radius, so it gets room.
    let dogleg = TrustRegion::new(Dogleg::new()).with_radius(10.0).unwrap();
    arrives(run(dense(), Newton::new(), aside).1);
    arrives(run(dense(), NewtonCG::new(line_search()), aside).1);
    arrives(run(dense(), TrustRegion::new(Steihaug::new()), aside).1);
    arrives(run(dense(), TrustRegion::new(CauchyPoint::new()), aside).1);
    arrives(run(dense(), dogleg, aside).1);
    arrives(run(free(), NewtonCG::new(line_search()), aside).1);
    arrives(run(free(), TrustRegion::new(Steihaug::new()), aside).1);
    arrives(run(free(), TrustRegion::new(CauchyPoint::new()), aside).1);

    // By Jacobians.
    arrives(run(residuals(), GaussNewton::new(), aside).1);
    arrives(run(residuals(), GaussNewtonLS::new(line_search()), aside).1);

    // By values alone.
    let corners = [[0.0; 3], [2.0, 0.0, 0.0], [0.0, -3.0, 0.0], [0.0, 0.0, 4.0]];
    let simplex = NelderMead::new(corners.map(Tensor::from).to_vec());
    arrives(run(dense(), simplex, |state| state.max_iters(300)).1);
}

#[test]
fn conjugate_gradients_solve_a_linear_system_with_a_hessian_operator() {
    // ∇ bowl = 2 w d + 0.4 d³ for d = x − bottom, so the Hessian is diag(2 w + 1.2 d²).
    let hessian = Objective::new(bowl).matrix_free().hessian(&Tensor::from([2.0, 0.0, 3.0]));
    let b = Tensor::from([3.2, 8.8, 8.0]); // 2 + 1.2, 4 + 4.8, 8
    let solver = ConjugateGradient::new(b);
    let (_, x) = run(hessian.unwrap(), solver, |state: IterState<_, (), (), (), Tensor, f64>| {
        state.param(Tensor::from([0.0; 3])).max_iters(3)
    });
    assert!(distance(&x, &[1.0; 3]) < 1e-12);
}

/// The largest distance from Scherk's surface of a film over `n` by `n` points of the square
/// [−1, 1]², as in the example `argmin`, where it is explained.
fn error_of_film(n: usize) -> f64 {
    let step = 2.0 / (n + 1) as f64;
    let height = |i: usize, j: usize| {
        let (x, y) = (step * i as f64 - 1.0, step * j as f64 - 1.0);
        (y.cos() / x.cos()).ln()
    };
    let inside = 1..=n;
    let frame = Array2::from_shape_fn((n + 2, n + 2), |(i, j)| {
        if inside.contains(&i) && inside.contains(&j) { 0.0 } else { height(i, j) }
    });
    let area = Objective::new(|heights| {
        let film = heights.reshape([n, n]).pad(&[(1, 1), (1, 1)], 0.0);
        let film = film + heights.tape().constant(&frame);
        let dx = (film.narrow(0, 1, n + 1) - film.narrow(0, 0, n + 1)) / step;
        let dy = (film.narrow(1, 1, n + 1) - film.narrow(1, 0, n + 1)) / step;
        let lower = dx.narrow(1, 0, n + 1).square() + dy.narrow(0, 0, n + 1).square();
        let upper = dx.narrow(1, 1, n + 1).square() + dy.narrow(0, 1, n + 1).square();
        ((1.0 + lower).sqrt() + (1.0 + upper).sqrt()).sum() * (0.5 * step * step)
    });
    let (_, heights) = run(area.matrix_free(), TrustRegion::new(Steihaug::new()), |state| {
        state.param(vec![0.0; n * n].into()).max_iters(20)
    });
    let expected: Vec<f64> = (0..n * n).map(|k| height(k / n + 1, k % n + 1)).collect();
    distance(&heights, &expected)
}

#[test]
fn a_soap_film_approaches_scherks_surface_with_the_square_of_the_step() {
    let (coarse, fine) = (error_of_film(9), error_of_film(19)); // steps of 0.2 and 0.1
    assert!((coarse / fine - 4.0).abs() < 0.2, "{coarse:e} {fine:e}");
    assert!(fine < 2e-4, "{fine:e}");
}
