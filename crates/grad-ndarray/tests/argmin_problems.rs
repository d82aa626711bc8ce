//! What argmin's solvers may rely on: the problems, their errors, and the arithmetic of tensors.

#![allow(clippy::unwrap_used)] // A failing unwrap fails the test.

use std::cell::Cell;
use std::rc::Rc;

use argmin::core::{
    ArgminFloat, CostFunction, Error, Executor, Gradient, Hessian, Jacobian, Operator, State,
};
use argmin::solver::linesearch::MoreThuenteLineSearch;
use argmin::solver::newton::NewtonCG;
use argmin::solver::quasinewton::LBFGS;
use argmin::solver::trustregion::{Steihaug, TrustRegion};
use argmin_math::{
    ArgminAdd, ArgminDiv, ArgminDot, ArgminEye, ArgminInv, ArgminL1Norm, ArgminL2Norm,
    ArgminMinMax, ArgminMul, ArgminSignum, ArgminSub, ArgminTranspose, ArgminZeroLike,
};
use grad_conformance::Random;
use grad_core::extend::{ByPartial, Elementwise, Primal};
use grad_core::{ErrorKind, TensorLike, Var};
use grad_ndarray::argmin::{Objective, Residuals};
use grad_ndarray::ndarray::{Array2, array};
use grad_ndarray::{Element, NdTensor};

type Tensor = NdTensor<f64>;

fn assert_is(x: &Tensor, expected: impl Into<Tensor>) {
    assert_eq!(x.view(), expected.into().view());
}

// ------------------------------------------------------------------ problems

#[test]
fn problems_are_send_and_sync_if_their_functions_are() {
    fn check<T: Send + Sync + Clone>(_: T) {}
    let data = array![1.0, 2.0].into_shared();
    let objective = Objective::new(move |x| (x - x.tape().constant(data.clone())).square().sum());
    check(objective.clone());
    check(objective.clone().matrix_free());
    check(Residuals::<_, f32>::new(|x| x));
    let cost = std::thread::spawn(move || objective.cost(&Tensor::from([1.0, 4.0])).unwrap());
    assert_eq!(cost.join().unwrap(), 4.0);
}

#[test]
fn the_type_of_elements_follows_from_the_parameters() {
    fn minimum<A>(zero: A) -> A
    where
        A: Element + ArgminFloat + ArgminMul<NdTensor<A>, NdTensor<A>>,
    {
        let problem = Objective::new(|x| (x - 3.0).square().sum());
        let solver = LBFGS::new(MoreThuenteLineSearch::new(), 3);
        let result = Executor::new(problem, solver)
            .configure(|state| state.param(NdTensor::from([zero])).max_iters(10))
            .run();
        result.unwrap().state().get_best_param().unwrap().view()[0]
    }
    assert_eq!((minimum(0.0_f32), minimum(0.0_f64)), (3.0, 3.0));
}

#[test]
fn an_operator_multiplies_as_the_matrix_does() {
    let problem = Objective::new(|x| (x.narrow(0, 0, 3) * x.narrow(0, 1, 3).exp()).sum().sin());
    let mut random = Random::new(3);
    let x = Tensor::from(random.signed_units(4));
    let matrix = problem.hessian(&x).unwrap();
    let operator = problem.matrix_free().hessian(&x).unwrap();
    for _ in 0..3 {
        let v = Tensor::from(random.signed_units(4));
        let (expected, got): (Tensor, Tensor) = (matrix.dot(&v), operator.dot(&v));
        let difference: f64 = ArgminSub::sub(&expected, &got).l2_norm();
        assert!(difference < 1e-14, "{expected} {got}");
        assert_is(&operator.apply(&v).unwrap(), got);
    }
}

#[test]
fn a_function_without_parameters_in_it_has_zero_derivatives() {
    let problem = Objective::new(|x| x.new_constant([], &[7.0]));
    let x = Tensor::from([1.0, 2.0]);
    assert_eq!(problem.cost(&x).unwrap(), 7.0);
    assert_is(&problem.gradient(&x).unwrap(), [0.0, 0.0]);
    assert_is(&problem.hessian(&x).unwrap(), array![[0.0, 0.0], [0.0, 0.0]]);
    let operator = problem.matrix_free().hessian(&x).unwrap();
    assert_is(&operator.apply(&x).unwrap(), [0.0, 0.0]);
}

#[test]
fn nan_and_infinities_are_handed_on() {
    let problem = Objective::new(|x| x.ln().sum());
    let (zero, negative) = (Tensor::from([0.0]), Tensor::from([-1.0]));
    assert_eq!(problem.cost(&zero).unwrap(), f64::NEG_INFINITY);
    assert_is(&problem.gradient(&zero).unwrap(), [f64::INFINITY]);
    assert!(problem.cost(&negative).unwrap().is_nan());
}

#[test]
fn a_hessian_where_something_is_not_finite_is_an_error() {
    let line = line!() + 1;
    let problem = Objective::new(|x| x.powf(1.5).sum());
    let says = |error: Error, what: &str| {
        let error = error.to_string();
        assert!(error.starts_with(what) && error.contains(&at(line)), "{error}");
    };
    // 1.5 √x has an infinite derivative at 0, and is NaN for NaN.
    let (x, nan) = (Tensor::from([1.0, 0.0]), Tensor::from([1.0, f64::NAN]));
    let operator = problem.clone().matrix_free().hessian(&x).unwrap();
    says(problem.hessian(&x).unwrap_err(), "the Hessian is not finite");
    says(
        operator.apply(&Tensor::from([1.0, 1.0])).unwrap_err(),
        "a product with the Hessian is not finite",
    );
    says(problem.hessian(&nan).unwrap_err(), "the gradient is not finite");
    says(problem.matrix_free().hessian(&nan).unwrap_err(), "the gradient is not finite");
}

#[test]
fn solvers_return_where_nothing_is_finite() {
    let newton_cg = NewtonCG::new(MoreThuenteLineSearch::new());
    let trust_region = TrustRegion::new(Steihaug::new());
    // The data are not finite, so the gradient is not; but the Hessian is.
    let problem = Objective::new(|x| (x - f64::NAN).square().sum());
    let x = || Tensor::from([1.0, 2.0]);
    let result = Executor::new(problem.clone(), newton_cg).configure(|s| s.param(x())).run();
    assert!(result.is_err());
    let result = Executor::new(problem.matrix_free(), trust_region).configure(|s| s.param(x()));
    assert!(result.run().is_err());
}

#[test]
fn the_jacobian_of_residuals_has_a_row_for_each() {
    let problem = Residuals::new(|x| {
        let (a, b) = (x.narrow(0, 0, 1), x.narrow(0, 1, 1));
        x.tape().concat(&[a * b, a.square(), 3.0 * b], 0)
    });
    let x = Tensor::from([2.0, 5.0]);
    assert_is(&problem.apply(&x).unwrap(), [10.0, 4.0, 15.0]);
    assert_is(&problem.jacobian(&x).unwrap(), array![[5.0, 2.0], [4.0, 0.0], [0.0, 3.0]]);
}

// ------------------------------------------------------------------ errors

/// The place that an error has to name.
fn at(line: u32) -> String {
    format!(", at {}:{line}:", file!())
}

#[test]
fn an_error_inside_of_the_function_names_its_line() {
    let line = line!() + 1;
    let problem = Objective::new(|x| x.reshape([7]).sum());
    let x = Tensor::from([1.0, 2.0]);
    let free = problem.clone().matrix_free();
    let errors = [
        problem.cost(&x).unwrap_err(),
        problem.gradient(&x).unwrap_err(),
        problem.hessian(&x).unwrap_err(),
        free.hessian(&x).unwrap_err(),
    ];
    for error in errors {
        assert!(error.to_string().starts_with("reshape: shapes [2] and [7]"), "{error}");
        assert!(error.to_string().contains(&at(line)), "{error}");
        let kind = error.downcast_ref::<grad_core::Error>().unwrap().kind();
        assert!(matches!(kind, ErrorKind::ShapeMismatch { .. }));
    }
}

#[test]
fn an_error_about_the_function_names_the_line_of_the_problem() {
    let line = line!() + 1;
    let problem = Objective::new(|x| 2.0 * x);
    let x = Tensor::from([1.0, 2.0]);
    let free = problem.clone().matrix_free();
    let needs = |error: Error, op: &str| {
        assert!(error.to_string().starts_with(&format!("{op}: needs ")), "{error}");
        assert!(error.to_string().contains("one") && error.to_string().contains("[2]"), "{error}");
        assert!(error.to_string().contains(&at(line)), "{error}");
        assert!(error.downcast_ref::<grad_core::Error>().is_some());
    };
    needs(problem.cost(&x).unwrap_err(), "item");
    needs(problem.gradient(&x).unwrap_err(), "grad");
    needs(problem.hessian(&x).unwrap_err(), "grad");
    needs(free.hessian(&x).unwrap_err(), "grad");
}

#[test]
fn parameters_and_residuals_are_vectors() {
    let says = |error: Error, what: &str, line: u32| {
        assert!(error.to_string().starts_with(what), "{error}");
        assert!(error.to_string().contains(&at(line)), "{error}");
    };
    let line = line!() + 1;
    let problem = Objective::new(|x| x.sum());
    let x = Tensor::from(array![[1.0, 2.0]]);
    says(problem.cost(&x).unwrap_err(), "the parameters must be a vector, got shape [1, 2]", line);
    says(
        problem.gradient(&x).unwrap_err(),
        "the parameters must be a vector, got shape [1, 2]",
        line,
    );
    says(
        problem.hessian(&x).unwrap_err(),
        "the parameters must be a vector, got shape [1, 2]",
        line,
    );

    let line = line!() + 1;
    let problem = Residuals::new(|x| x.unsqueeze(0));
    let x = Tensor::from([1.0, 2.0]);
    says(problem.apply(&x).unwrap_err(), "the residuals must be a vector, got shape [1, 2]", line);
    says(
        problem.jacobian(&x).unwrap_err(),
        "the residuals must be a vector, got shape [1, 2]",
        line,
    );
}

#[test]
fn an_operator_refuses_vectors_of_other_lengths() {
    let line = line!() + 1;
    let problem = Objective::new(|x| x.square().sum());
    let operator = problem.matrix_free().hessian(&Tensor::from([1.0, 2.0])).unwrap();
    let error = operator.apply(&Tensor::from([1.0, 2.0, 3.0])).unwrap_err();
    assert!(error.to_string().contains("shape [2], got [3]"), "{error}");
    assert!(error.to_string().contains(&at(line)), "{error}");
}

#[test]
fn a_solver_stops_with_the_error() {
    let line = line!() + 1;
    let problem = Objective::new(|x| x.reshape([7]).sum());
    let solver = LBFGS::new(MoreThuenteLineSearch::new(), 3);
    let result = Executor::new(problem, solver)
        .configure(|state| state.param(Tensor::from([1.0, 2.0])).max_iters(10))
        .run();
    let error = result.err().unwrap();
    assert!(error.to_string().contains(&at(line)), "{error}");
}

// ------------------------------------------------------------------ operators

/// x², with a derivative that is an operation of its own.
struct Squared(Rc<Slope>);

/// 2x, which counts how often it is pulled back, and may refuse.
#[derive(Default)]
struct Slope {
    n_pulled_back: Cell<usize>,
    refuses: Cell<bool>,
}

impl Elementwise for Squared {
    const NAME: &'static str = "squared";

    fn forward<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error> {
        x[0].square()
    }

    fn partial<'t, T: TensorLike>(&self, _: usize, p: &Primal<'t, T>, c: Var<'t, T>) -> Var<'t, T> {
        c * p.x(0).tape().apply(ByPartial::new(SlopeOf(self.0.clone())), &[p.x(0)])
    }
}

struct SlopeOf(Rc<Slope>);

impl Elementwise for SlopeOf {
    const NAME: &'static str = "slope";

    fn forward<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error> {
        x[0].scale(2.0)
    }

    fn partial<'t, T: TensorLike>(&self, _: usize, _: &Primal<'t, T>, c: Var<'t, T>) -> Var<'t, T> {
        self.0.n_pulled_back.set(self.0.n_pulled_back.get() + 1);
        if self.0.refuses.get() { c.reshape([7]) } else { 2.0 * c }
    }
}

#[test]
fn the_same_vector_twice_in_a_row_is_multiplied_once() {
    let slope = Rc::new(Slope::default());
    let problem =
        Objective::new(|x| x.tape().apply(ByPartial::new(Squared(slope.clone())), &[x]).sum());
    let hessian = problem.matrix_free().hessian(&Tensor::from([1.0, 2.0])).unwrap();
    for (v, n_pulled_back) in [([1.0, 0.0], 1), ([1.0, 0.0], 1), ([0.0, 1.0], 2), ([1.0, 0.0], 3)] {
        let v = Tensor::from(v);
        assert_is(&hessian.clone().apply(&v).unwrap(), v.scale(2.0).unwrap());
        assert_eq!(slope.n_pulled_back.get(), n_pulled_back);
    }
}

#[test]
fn a_product_that_fails_is_zero_and_its_problem_returns_the_error_once() {
    let slope = Rc::new(Slope::default());
    let line = line!() + 2;
    let problem =
        Objective::new(|x| x.tape().apply(ByPartial::new(Squared(slope.clone())), &[x]).sum());
    let problem = problem.matrix_free();
    let x = Tensor::from([1.0, 2.0]);
    let hessian = problem.hessian(&x).unwrap();

    slope.refuses.set(true);
    let product: Tensor = hessian.dot(&x);
    assert_is(&product, [0.0, 0.0]);
    let error = problem.cost(&x).unwrap_err();
    assert!(error.to_string().starts_with("reshape: "), "{error}");
    assert!(error.to_string().contains(&at(line)), "{error}");
    assert_eq!(problem.cost(&x).unwrap(), 5.0);
    assert!(hessian.apply(&x).is_err());
    assert_eq!(problem.cost(&x).unwrap(), 5.0);
}

#[test]
fn newton_cg_stops_with_the_error_of_a_product() {
    let slope = Rc::new(Slope::default());
    slope.refuses.set(true);
    let problem =
        Objective::new(|x| x.tape().apply(ByPartial::new(Squared(slope.clone())), &[x]).sum());
    let result = Executor::new(problem.matrix_free(), NewtonCG::new(MoreThuenteLineSearch::new()))
        .configure(|state| state.param(Tensor::from([1.0, 2.0])).max_iters(10))
        .run();
    let error = result.err().unwrap();
    assert!(error.to_string().starts_with("reshape: "), "{error}");
}

// ------------------------------------------------------------------ arithmetic

#[test]
fn arithmetic_is_by_elements_and_with_numbers_on_either_side() {
    let (x, y) = (Tensor::from([1.0, -2.0]), Tensor::from([4.0, 8.0]));
    assert_is(&ArgminAdd::add(&x, &y), [5.0, 6.0]);
    assert_is(&ArgminSub::sub(&x, &y), [-3.0, -10.0]);
    assert_is(&ArgminMul::mul(&x, &y), [4.0, -16.0]);
    assert_is(&ArgminDiv::div(&x, &y), [0.25, -0.25]);
    assert_is(&ArgminAdd::add(&x, &1.0), [2.0, -1.0]);
    assert_is(&ArgminSub::sub(&x, &1.0), [0.0, -3.0]);
    assert_is(&ArgminMul::mul(&x, &2.0), [2.0, -4.0]);
    assert_is(&ArgminDiv::div(&x, &2.0), [0.5, -1.0]);
    assert_is(&ArgminAdd::add(&1.0, &x), [2.0, -1.0]);
    assert_is(&ArgminSub::sub(&1.0, &x), [0.0, 3.0]);
    assert_is(&ArgminMul::mul(&2.0, &x), [2.0, -4.0]);
    assert_is(&ArgminDiv::div(&2.0, &x), [2.0, -1.0]);
}

#[test]
fn norms_and_signs_are_those_of_argmin() {
    let x = Tensor::from([3.0, -4.0, 0.0]);
    let (l1, l2): (f64, f64) = (x.l1_norm(), x.l2_norm());
    assert_eq!((l1, l2), (7.0, 5.0));
    assert_is(&x.clone().signum(), [1.0, -1.0, 1.0]); // 0 too has a sign
    assert_is(&x.zero_like(), [0.0; 3]);
    let y = Tensor::from([1.0, 2.0, -3.0]);
    assert_is(&ArgminMinMax::min(&x, &y), [1.0, -4.0, -3.0]);
    assert_is(&ArgminMinMax::max(&x, &y), [3.0, 2.0, 0.0]);
}

#[test]
fn products_are_those_of_vectors_and_matrices() {
    let (x, y) = (Tensor::from([1.0, 2.0]), Tensor::from([3.0, 5.0]));
    let matrix = Tensor::from(array![[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]);
    let scalar: f64 = x.dot(&y);
    assert_eq!(scalar, 13.0);
    let outer: Tensor = x.dot(&y);
    assert_is(&outer, array![[3.0, 5.0], [6.0, 10.0]]);
    let vector: Tensor = matrix.dot(&x);
    assert_is(&vector, [5.0, 11.0, 17.0]);
    let square: Tensor = matrix.clone().t().dot(&matrix);
    assert_is(&square, array![[35.0, 44.0], [44.0, 56.0]]);
    assert_is(&Tensor::eye(2), Array2::eye(2));
    assert_is(&Tensor::eye(0), Array2::eye(0));
}

#[cfg(feature = "linalg")]
#[test]
fn the_inverse_times_the_matrix_is_the_identity() {
    let square = Tensor::from(array![[35.0, 44.0], [44.0, 56.0]]);
    let identity: Tensor = square.dot(&ArgminInv::inv(&square).unwrap());
    let difference: f64 = ArgminSub::sub(&identity, &square.eye_like()).l1_norm();
    assert!(difference < 1e-12);
}

#[test]
fn what_has_no_result_is_nan() {
    let (x, y) = (Tensor::from([1.0, 2.0]), Tensor::from([1.0, 2.0, 3.0]));
    let all_nan = |x: Tensor| assert!(x.view().iter().all(|x| x.is_nan()), "{x}");
    all_nan(ArgminAdd::add(&x, &y));
    all_nan(ArgminMinMax::max(&x, &y));
    all_nan(x.eye_like());
    all_nan(Tensor::eye(usize::MAX));
    let matrix = Tensor::from(array![[1.0, 2.0]]);
    all_nan(matrix.dot(&y));
    all_nan(x.dot(&matrix));
    let scalar: f64 = x.dot(&y);
    assert!(scalar.is_nan());
    assert!(ArgminInv::inv(&x).is_err());
    assert!(ArgminInv::inv(&Tensor::from(array![[1.0, 1.0], [1.0, 1.0]])).is_err());
}
