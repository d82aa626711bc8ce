//! Transforms by forward mode: tangents, linearizations, Jacobians column by column.

use std::fmt;

use crate::ground::Error;
use crate::transform::face::{Answer, Call, Leaf};
use crate::transform::params::{Like, Params};
use crate::transform::recording::Recording;

/// The value of a function and its derivative in a direction, `(f(x), J t)`, for a tangent `t` of
/// each leaf of `x`.
///
/// ```
/// let (y, t) = grad_core::transform::jvp(|[a, b]| a * b, [2.0, 3.0], [1.0, 10.0])?;
/// assert_eq!((y, t), (6.0, 23.0));
/// # Ok::<(), grad_core::Error>(())
/// ```
///
/// # Errors
/// [`CotangentShape`](crate::ErrorKind::CotangentShape) if a tangent is not shaped like its leaf;
/// whatever goes wrong in `f` and in its rules.
#[track_caller]
pub fn jvp<P, F>(f: F, x: P, t: P) -> Answer<P, (P::Leaf, P::Leaf)>
where
    P: Params,
    P::Leaf: Call<F, P, P::Convention>,
{
    let at = Recording::new("jvp", f, x);
    at.answer(both(&at, &t), |void| (void.clone(), void.clone()))
}

#[track_caller]
fn both<P: Params<Leaf: Leaf>>(at: &Recording<P>, t: &P) -> Result<(P::Leaf, P::Leaf), Error> {
    let y_dot = at.push(at.tangents(t)?)?;
    Ok((at.value()?, y_dot))
}

/// The value of a function, and its linear approximation at `x`, which turns tangents of `x` into
/// tangents of the output, `t ↦ J t`, as often as one likes: `f` runs once.
///
/// The linearization of a gradient multiplies vectors by the Hessian:
///
/// ```
/// use grad_core::{Var, transform};
///
/// fn cube(x: Var<'_, f64>) -> Var<'_, f64> {
///     x.powi(3)
/// }
///
/// let (gradient, hessian) = transform::linearize(|x| transform::grad(cube, x), 2.0)?;
/// assert_eq!(gradient, 12.0); // 3x²
/// assert_eq!(hessian.call(1.0)?, 12.0); // 6x
/// assert_eq!(hessian.call(0.5)?, 6.0);
/// # Ok::<(), grad_core::Error>(())
/// ```
///
/// # Errors
/// Whatever goes wrong in `f`.
#[track_caller]
pub fn linearize<P, F>(f: F, x: P) -> Answer<P, (P::Leaf, Linearized<P>)>
where
    P: Params,
    P::Leaf: Call<F, P, P::Convention>,
{
    Recording::new("linearize", f, x).answer_with(|at| Linearized { at })
}

/// The linear map `t ↦ J t` of a function at a point; made by [`linearize`].
pub struct Linearized<P: Params<Leaf: Leaf>> {
    at: Recording<P>,
}

impl<P: Params<Leaf: Leaf>> Linearized<P> {
    /// The tangent of the output for tangents `t` of the leaves of `x`.
    ///
    /// # Errors
    /// [`CotangentShape`](crate::ErrorKind::CotangentShape) if a tangent is not shaped like its
    /// leaf; whatever goes wrong in a rule.
    #[track_caller]
    pub fn call(&self, t: P) -> Answer<P, P::Leaf> {
        let found = match self.at.tangents(&t) {
            Ok(t) => self.at.push(t),
            Err(error) => Err(error),
        };
        self.at.answer(found, P::Leaf::clone)
    }

    /// The matrix of the map, as [`jacfwd`] gives it: a column for each element of `x`.
    ///
    /// ```
    /// let (y, linearized) = grad_core::transform::linearize(|[a, b]| a * b, [2.0, 3.0])?;
    /// assert_eq!((y, linearized.jacobian()?), (6.0, [3.0, 2.0]));
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`jacfwd`], but for those in the function.
    #[track_caller]
    pub fn jacobian(&self) -> Answer<P, Like<P>> {
        self.at.answer_in_form(self.at.all_columns(self.at.y()))
    }
}

impl<P: Params<Leaf: Leaf>> fmt::Debug for Linearized<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Linearized({:?})", self.at.y())
    }
}

/// The Jacobian by forward mode, for functions with fewer inputs than outputs: for each leaf of `x`
/// a tensor of shape `y.shape() ++ leaf.shape()`, with `∂yᵢ/∂xⱼ` at `(i, j)`.
///
/// All columns of a leaf run together where the operations know how, else one after the other.
///
/// ```
/// let [da, db] = grad_core::transform::jacfwd(|[a, b]| a * b.sin(), [2.0, 0.0])?;
/// assert_eq!((da, db), (0.0, 2.0));
/// # Ok::<(), grad_core::Error>(())
/// ```
///
/// # Errors
/// Whatever goes wrong in `f` and in its rules; a backend without `concat` can only do leaves of
/// one element.
#[track_caller]
pub fn jacfwd<P, F>(f: F, x: P) -> Answer<P, Like<P>>
where
    P: Params,
    P::Leaf: Call<F, P, P::Convention>,
{
    Linearized { at: Recording::new("jacfwd", f, x) }.jacobian()
}
