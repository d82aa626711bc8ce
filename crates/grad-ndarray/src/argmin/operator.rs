//! Hessians that are not computed: they multiply vectors.

use std::cell::RefCell;
use std::fmt;
use std::panic::Location;
use std::rc::Rc;

use ::argmin::core::{Error, Operator};
use argmin_math::{ArgminDot, ArgminZeroLike};
use grad_core::transform::Pullback;

use crate::argmin::error::{Failure, check_finite, explain};
use crate::element::Element;
use crate::tensor::NdTensor;

/// The Hessian of a function at a point as the linear map `v ↦ H v`.
///
/// The gradient is recorded once, and each product is one plain sweep back through it, which costs
/// about as much as a gradient. Solvers multiply the same vector twice in a row, for the curvature
/// in a direction and for the residual after a step; the second time they get the product again.
///
/// To solvers it is what [`ArgminDot`] makes of it. To `ConjugateGradient` it is an [`Operator`],
/// with which that solves `H v = b`. A clone shares everything with the original. Like the tape that
/// it holds, an operator stays in its thread.
///
/// # Errors
/// If a product is not finite, or a rule fails, [`Operator::apply`] returns the error. Where a
/// solver has no room for it, in [`ArgminDot::dot`], the product is 0, at which solvers stop
/// looking, and the error is returned by the next method of the problem that they call.
#[derive(Clone)]
pub struct HessianOperator<A: Element = f64>(Rc<Inner<A>>);

struct Inner<A: Element> {
    /// Of the gradient. The Hessian is symmetric, so that this is the product with it.
    pullback: Pullback<NdTensor<A>>,
    /// A vector and the product with it.
    last: RefCell<Option<[NdTensor<A>; 2]>>,
    location: &'static Location<'static>,
    failure: Failure,
}

impl<A: Element> HessianOperator<A> {
    pub(super) fn new(
        pullback: Pullback<NdTensor<A>>,
        location: &'static Location<'static>,
        failure: Failure,
    ) -> Self {
        HessianOperator(Rc::new(Inner { pullback, last: RefCell::default(), location, failure }))
    }
}

impl<A: Element> Operator for HessianOperator<A> {
    type Param = NdTensor<A>;
    type Output = NdTensor<A>;

    fn apply(&self, v: &NdTensor<A>) -> Result<NdTensor<A>, Error> {
        if let Some([last, product]) = &*self.0.last.borrow()
            && last.view() == v.view()
        {
            return Ok(product.clone());
        }
        let product = self.0.pullback.call(v.clone());
        let product = product.map_err(|error| explain(error, self.0.location))?;
        check_finite("a product with the Hessian", &product, self.0.location)?;
        self.0.last.replace(Some([v.clone(), product.clone()]));
        Ok(product)
    }
}

impl<A: Element> ArgminDot<NdTensor<A>, NdTensor<A>> for HessianOperator<A> {
    fn dot(&self, v: &NdTensor<A>) -> NdTensor<A> {
        self.apply(v).unwrap_or_else(|error| {
            self.0.failure.keep(error);
            v.zero_like()
        })
    }
}

impl<A: Element> fmt::Debug for HessianOperator<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HessianOperator({:?})", self.0.pullback)
    }
}
