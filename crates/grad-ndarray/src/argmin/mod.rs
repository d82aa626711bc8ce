//! Functions as problems for the solvers of [argmin](https://docs.rs/argmin) 0.11 (feature `argmin`).
//!
//! A solver asks for the derivatives of what it minimizes; here they come from the function itself.
//!
//! ```
//! use argmin::core::{Executor, State};
//! use argmin::solver::linesearch::MoreThuenteLineSearch;
//! use argmin::solver::quasinewton::LBFGS;
//! use grad_ndarray::NdTensor;
//! use grad_ndarray::argmin::Objective;
//! use grad_ndarray::ndarray::Array1;
//!
//! // Rosenbrock's function in 10 dimensions, whose minimum is 0 at (1, .., 1).
//! let problem = Objective::new(|x| {
//!     let (x, next) = (x.narrow(0, 0, 9), x.narrow(0, 1, 9));
//!     ((1.0 - x).square() + 100.0 * (next - x.square()).square()).sum()
//! });
//! let start = NdTensor::from(Array1::<f64>::zeros(10));
//! let result = Executor::new(problem, LBFGS::new(MoreThuenteLineSearch::new(), 7))
//!     .configure(|state| state.param(start).max_iters(100))
//!     .run()?;
//! assert!(result.state().get_best_cost() < 1e-12);
//! let x = result.state().get_best_param().expect("the solver ran").view();
//! assert!(x.iter().all(|x| (x - 1.0).abs() < 1e-6));
//! # Ok::<(), argmin::core::Error>(())
//! ```
//!
//! # Which problem for which solver
//!
//! | problem | has | for |
//! | --- | --- | --- |
//! | [`Objective`] | value, gradient, Hessian matrix | all solvers that minimize a function of a vector: `SteepestDescent`, `NonlinearConjugateGradient`, `LBFGS`, `BFGS`, `Newton`, `NewtonCG`, `TrustRegion`, … |
//! | [`MatrixFree`] | value, gradient, Hessian as an operator | `NewtonCG`, and `TrustRegion` with `Steihaug` or `CauchyPoint`, in thousands of dimensions |
//! | [`Residuals`] | residuals, Jacobian matrix | `GaussNewton`, `GaussNewtonLS` |
//!
//! # Parameters
//!
//! They are a vector, as an [`NdTensor`](crate::NdTensor): made of an array by `From`, and read by
//! [`view`](crate::NdTensor::view). The function gives the parts of it the shapes that they need, by
//! `narrow`, `split` and `reshape`.
//!
//! (argmin-math 0.5 has arithmetic for arrays of ndarray up to 0.16. This crate is about those of
//! 0.17, and has argmin-math's arithmetic for tensors.)
//!
//! # Data
//!
//! The function captures its data as arrays, and makes constants of them where it needs them; an
//! array that is shared becomes one without a copy.
//!
//! ```
//! use argmin::core::Gradient;
//! use grad_ndarray::argmin::Objective;
//! use grad_ndarray::ndarray::array;
//!
//! let inputs = array![[1.0, 2.0], [3.0, 4.0]].into_shared();
//! let targets = array![5.0, 11.0].into_shared();
//! let problem = Objective::new(|w| {
//!     let tape = w.tape();
//!     let predicted = tape.constant(inputs.clone()).matmul(w);
//!     predicted.mse_loss(tape.constant(targets.clone()))
//! });
//! let gradient = problem.gradient(&array![1.0, 2.0].into())?; // where the loss is 0
//! assert_eq!(gradient.view(), array![0.0, 0.0].into_dyn());
//! # Ok::<(), argmin::core::Error>(())
//! ```
//!
//! # What to know about argmin
//!
//! Its Newton-CG compares the square of a residual with a bound for the residual, and so stops
//! improving its steps where the gradient is smaller than 1: have the function return its value in
//! small units, `1e10 * value`. Its `TrustRegion` has no criterion of its own to stop by: set
//! `max_iters` or `target_cost`.

mod error;
mod math;
mod operator;
mod problem;

pub use operator::HessianOperator;
pub use problem::{Function, MatrixFree, Objective, Residuals};
