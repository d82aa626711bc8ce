//! Functions of a vector as problems, with the derivatives that solvers ask for.

use std::marker::PhantomData;
use std::panic::Location;

use ::argmin::core::{CostFunction, Error, Gradient, Hessian, Jacobian, Operator};
use grad_core::extend::{Error as GradError, Shape, Tape, TensorLike, Var};
use grad_core::transform;

use crate::argmin::error::{Failure, check_finite, explain};
use crate::argmin::operator::HessianOperator;
use crate::element::Element;
use crate::tensor::NdTensor;

/// A function on handles, as one records it: any closure `|x| ..` that takes and returns a [`Var`].
#[diagnostic::on_unimplemented(
    message = "this is not a function from a handle to a handle, `|x| ..`",
    note = "write the closure where it is used, so that it fits handles of any lifetime"
)]
pub trait Function<A: Element>: for<'t> Fn(Var<'t, NdTensor<A>>) -> Var<'t, NdTensor<A>> {}

impl<F, A: Element> Function<A> for F where
    F: for<'t> Fn(Var<'t, NdTensor<A>>) -> Var<'t, NdTensor<A>>
{
}

/// A function with one number as its result, to be minimized: argmin's [`CostFunction`],
/// [`Gradient`] and [`Hessian`].
///
/// The parameters are a vector, `NdTensor` of shape `[n]`; the gradient has that shape, and the
/// Hessian the shape `[n, n]`. Whether the elements are `f64` or `f32` follows from the vector that
/// a solver begins with. A problem is `Send` and `Sync` if its function is.
///
/// ```
/// use argmin::core::{CostFunction, Gradient, Hessian};
/// use grad_ndarray::NdTensor;
/// use grad_ndarray::argmin::Objective;
/// use grad_ndarray::ndarray::array;
///
/// let problem = Objective::new(|x| x.powi(3).sum());
/// let x = NdTensor::from(array![1.0, 2.0]);
/// assert_eq!(problem.cost(&x)?, 9.0);
/// assert_eq!(problem.gradient(&x)?.view(), array![3.0, 12.0].into_dyn()); // 3x²
/// assert_eq!(problem.hessian(&x)?.view(), array![[6.0, 0.0], [0.0, 12.0]].into_dyn()); // 6x
/// # Ok::<(), argmin::core::Error>(())
/// ```
///
/// # Errors
/// Of all methods: what goes wrong in the function, with the line where it does; if the parameters
/// are not a vector, or the result is not one number, with the line that made the problem.
/// [`downcast_ref`](Error::downcast_ref) finds the [`Error`](GradError) of grad-core in them.
///
/// Values and gradients may be infinite or NaN, since line searches know how to deal with that. A
/// Hessian that is not finite is an error: with it, solvers would not come to an end.
#[derive(Clone, Debug)]
pub struct Objective<F, A = f64> {
    given: Given<F, A>,
}

impl<F: Function<A>, A: Element> Objective<F, A> {
    /// The problem to minimize `f`, which returns one number.
    #[track_caller]
    pub fn new(f: F) -> Self {
        Objective { given: Given::new(f) }
    }

    /// The same problem with Hessians that are never a matrix: they only multiply vectors.
    pub fn matrix_free(self) -> MatrixFree<F, A> {
        MatrixFree { objective: self, failure: Failure::default() }
    }
}

impl<F: Function<A>, A: Element> CostFunction for Objective<F, A> {
    type Param = NdTensor<A>;
    type Output = A;

    fn cost(&self, x: &NdTensor<A>) -> Result<A, Error> {
        let tape = Tape::new();
        let y = self.given.call(&tape, x)?;
        y.item().map(A::from_f64).map_err(|error| explain(error, self.given.location))
    }
}

impl<F: Function<A>, A: Element> Gradient for Objective<F, A> {
    type Param = NdTensor<A>;
    type Gradient = NdTensor<A>;

    fn gradient(&self, x: &NdTensor<A>) -> Result<NdTensor<A>, Error> {
        self.given.transform(x, |f, x| transform::grad(f, x))
    }
}

impl<F: Function<A>, A: Element> Hessian for Objective<F, A> {
    type Param = NdTensor<A>;
    type Hessian = NdTensor<A>;

    fn hessian(&self, x: &NdTensor<A>) -> Result<NdTensor<A>, Error> {
        check_finite("the gradient", &self.gradient(x)?, self.given.location)?;
        let hessian = self.given.transform(x, |f, x| transform::hessian(f, x))?;
        check_finite("the Hessian", &hessian, self.given.location)?;
        Ok(hessian)
    }
}

/// An [`Objective`] whose Hessian is a [`HessianOperator`], which multiplies vectors and is never a
/// matrix; made by [`Objective::matrix_free`].
///
/// Newton-CG, and the trust region by Steihaug's method or the Cauchy point, need no more, so that
/// they can solve problems with many thousands of parameters.
///
/// ```
/// use argmin::core::{Executor, State};
/// use argmin::solver::trustregion::{Steihaug, TrustRegion};
/// use grad_ndarray::NdTensor;
/// use grad_ndarray::argmin::Objective;
/// use grad_ndarray::ndarray::Array1;
///
/// // A chain of 1000 particles, each in a well at 1; as a matrix, the Hessian would have 8 MB.
/// let energy = Objective::new(|x| {
///     let springs = (x.narrow(0, 1, 999) - x.narrow(0, 0, 999)).square();
///     springs.sum() + (x.square() - 1.0).square().sum()
/// });
/// let start = NdTensor::from(Array1::linspace(0.5, 1.5, 1000));
/// let result = Executor::new(energy.matrix_free(), TrustRegion::new(Steihaug::new()))
///     .configure(|state| state.param(start).max_iters(50).target_cost(1e-12))
///     .run()?;
/// assert!(result.state().get_best_cost() < 1e-12);
/// # Ok::<(), argmin::core::Error>(())
/// ```
///
/// # Errors
/// Those of an [`Objective`], and those that a [`HessianOperator`] left behind.
#[derive(Clone, Debug)]
pub struct MatrixFree<F, A = f64> {
    objective: Objective<F, A>,
    failure: Failure,
}

impl<F: Function<A>, A: Element> CostFunction for MatrixFree<F, A> {
    type Param = NdTensor<A>;
    type Output = A;

    fn cost(&self, x: &NdTensor<A>) -> Result<A, Error> {
        self.failure.report()?;
        self.objective.cost(x)
    }
}

impl<F: Function<A>, A: Element> Gradient for MatrixFree<F, A> {
    type Param = NdTensor<A>;
    type Gradient = NdTensor<A>;

    fn gradient(&self, x: &NdTensor<A>) -> Result<NdTensor<A>, Error> {
        self.failure.report()?;
        self.objective.gradient(x)
    }
}

impl<F: Function<A>, A: Element> Hessian for MatrixFree<F, A> {
    type Param = NdTensor<A>;
    type Hessian = HessianOperator<A>;

    fn hessian(&self, x: &NdTensor<A>) -> Result<HessianOperator<A>, Error> {
        self.failure.report()?;
        let given = &self.objective.given;
        let (gradient, pullback) =
            given.transform(x, |f, x| transform::vjp(|x| transform::grad(f, x), x))?;
        check_finite("the gradient", &gradient, given.location)?;
        Ok(HessianOperator::new(pullback, given.location, self.failure.clone()))
    }
}

/// A function with a vector as its result, the sum of whose squares is to be minimized: argmin's
/// [`Operator`] and [`Jacobian`], for the Gauss-Newton method.
///
/// The parameters have shape `[n]`, the residuals `[m]`, and the Jacobian, computed by forward mode,
/// `[m, n]`.
///
/// ```
/// use argmin::core::{Executor, State};
/// use argmin::solver::gaussnewton::GaussNewton;
/// use grad_ndarray::NdTensor;
/// use grad_ndarray::argmin::Residuals;
/// use grad_ndarray::ndarray::array;
///
/// // y = exp(0.5 t) + 2 at three times; the parameters are the rate and the offset.
/// let t = array![0.0, 1.0, 2.0];
/// let y = t.mapv(|t: f64| (0.5 * t).exp() + 2.0);
/// let problem = Residuals::new(|x| {
///     let (rate, offset) = (x.narrow(0, 0, 1), x.narrow(0, 1, 1));
///     (x.tape().constant(&t) * rate).exp() + offset - x.tape().constant(&y)
/// });
/// let result = Executor::new(problem, GaussNewton::new())
///     .configure(|state| state.param(NdTensor::from(array![0.0, 0.0])).max_iters(20))
///     .run()?;
/// let best = result.state().get_best_param().expect("the solver ran");
/// assert!((&best.view() - &array![0.5, 2.0].into_dyn()).iter().all(|d| d.abs() < 1e-9));
/// # Ok::<(), argmin::core::Error>(())
/// ```
///
/// # Errors
/// Those of an [`Objective`], but that the result is to be a vector.
#[derive(Clone, Debug)]
pub struct Residuals<F, A = f64> {
    given: Given<F, A>,
}

impl<F: Function<A>, A: Element> Residuals<F, A> {
    /// The problem to minimize the squares of what `f` returns.
    #[track_caller]
    pub fn new(f: F) -> Self {
        Residuals { given: Given::new(f) }
    }
}

impl<F: Function<A>, A: Element> Operator for Residuals<F, A> {
    type Param = NdTensor<A>;
    type Output = NdTensor<A>;

    fn apply(&self, x: &NdTensor<A>) -> Result<NdTensor<A>, Error> {
        let tape = Tape::new();
        let residuals = self.given.call(&tape, x)?.value()?;
        self.given.check_vector("residuals", residuals.shape())?;
        Ok(residuals)
    }
}

impl<F: Function<A>, A: Element> Jacobian for Residuals<F, A> {
    type Param = NdTensor<A>;
    type Jacobian = NdTensor<A>;

    fn jacobian(&self, x: &NdTensor<A>) -> Result<NdTensor<A>, Error> {
        let jacobian = self.given.transform(x, |f, x| transform::jacfwd(f, x))?;
        let [residuals @ .., _] = jacobian.shape() else { return Ok(jacobian) };
        self.given.check_vector("residuals", residuals)?;
        Ok(jacobian)
    }
}

/// A function of the user, and the line that gave it to us.
#[derive(Clone, Debug)]
struct Given<F, A> {
    f: F,
    location: &'static Location<'static>,
    element: PhantomData<A>,
}

impl<F: Function<A>, A: Element> Given<F, A> {
    #[track_caller]
    fn new(f: F) -> Self {
        Given { f, location: Location::caller(), element: PhantomData }
    }

    /// The function's result on a tape.
    fn call<'t>(
        &self,
        tape: &'t Tape<NdTensor<A>>,
        x: &NdTensor<A>,
    ) -> Result<Var<'t, NdTensor<A>>, Error> {
        self.check_vector("parameters", x.shape())?;
        Ok((self.f)(tape.var(x.clone())))
    }

    /// What a transform makes of the function at a point.
    fn transform<Y>(
        &self,
        x: &NdTensor<A>,
        transform: impl FnOnce(&F, NdTensor<A>) -> Result<Y, GradError>,
    ) -> Result<Y, Error> {
        self.check_vector("parameters", x.shape())?;
        transform(&self.f, x.clone()).map_err(|error| explain(error, self.location))
    }

    fn check_vector(&self, what: &str, shape: &[usize]) -> Result<(), Error> {
        if shape.len() == 1 {
            return Ok(());
        }
        let (shape, location) = (Shape::from(shape), self.location);
        let text = "must be a vector, got shape";
        let advice = "reshape them in the function";
        Err(Error::msg(format!("the {what} {text} {shape}; {advice}, at {location}")))
    }
}
