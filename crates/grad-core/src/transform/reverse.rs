//! Transforms by reverse mode: gradients, pullbacks, Jacobians row by row.

use std::fmt;

use crate::ground::Error;
use crate::transform::face::{Answer, Call, Leaf};
use crate::transform::params::{Like, Params};
use crate::transform::recording::Recording;

/// The gradient of a function with one output, `∇f(x)`, in the form of `x`.
///
/// ```
/// use grad_core::{Tape, transform};
///
/// let slope = transform::grad(|x| x.powi(4), 3.0)?; // 4x³
/// assert_eq!(slope, 108.0);
///
/// let [da, db] = transform::grad(|[a, b]| a * a * b, [2.0, 3.0])?;
/// assert_eq!((da, db), (12.0, 4.0));
///
/// // On a tape it nests, and what the inner function captures is differentiated as well:
/// // d/dx [x · d/dy (x + y)] = 1, also where y = x.
/// let tape = Tape::<f64>::new();
/// let x = tape.var(5.0);
/// let outer = transform::grad(|x| x * transform::grad(|y| x + y, x), x);
/// assert_eq!(outer.item()?, 1.0);
/// # Ok::<(), grad_core::Error>(())
/// ```
///
/// # Errors
/// [`NotScalar`](crate::ErrorKind::NotScalar) if the output has more elements than one; whatever
/// goes wrong in `f` and in its rules.
#[track_caller]
pub fn grad<P, F>(f: F, x: P) -> Answer<P, Like<P>>
where
    P: Params,
    P::Leaf: Call<F, P, P::Convention>,
{
    Pullback { at: Recording::new("grad", f, x) }.gradient()
}

/// The value of a function with one output, and its gradient: `(f(x), ∇f(x))`.
///
/// ```
/// let (y, dy) = grad_core::transform::value_and_grad(|x| x * x, 3.0)?;
/// assert_eq!((y, dy), (9.0, 6.0));
/// # Ok::<(), grad_core::Error>(())
/// ```
///
/// # Errors
/// Those of [`grad`].
#[track_caller]
pub fn value_and_grad<P, F>(f: F, x: P) -> Answer<P, (P::Leaf, Like<P>)>
where
    P: Params,
    P::Leaf: Call<F, P, P::Convention>,
{
    let at = Recording::new("value_and_grad", f, x);
    at.answer(both(&at), |void| (void.clone(), at.filled(void)))
}

#[track_caller]
fn both<P: Params<Leaf: Leaf>>(at: &Recording<P>) -> Result<(P::Leaf, Like<P>), Error> {
    let gradient = at.pull(at.y(), None)?;
    Ok((at.value()?, at.in_form(gradient)?))
}

/// The value of a function, and its pullback, which turns cotangents of the output into cotangents
/// of `x`, `ȳ ↦ Jᵀ ȳ`, as often as one likes: `f` runs once.
///
/// ```
/// let (y, pullback) = grad_core::transform::vjp(|[a, b]| a / b, [6.0, 2.0])?;
/// assert_eq!(y, 3.0);
/// assert_eq!(pullback.call(1.0)?, [0.5, -1.5]); // 1/b, −a/b²
/// assert_eq!(pullback.call(4.0)?, [2.0, -6.0]);
/// # Ok::<(), grad_core::Error>(())
/// ```
///
/// # Errors
/// Whatever goes wrong in `f`.
#[track_caller]
pub fn vjp<P, F>(f: F, x: P) -> Answer<P, (P::Leaf, Pullback<P>)>
where
    P: Params,
    P::Leaf: Call<F, P, P::Convention>,
{
    Recording::new("vjp", f, x).answer_with(|at| Pullback { at })
}

/// The linear map `ȳ ↦ Jᵀ ȳ` of a function at a point; made by [`vjp`].
pub struct Pullback<P: Params<Leaf: Leaf>> {
    at: Recording<P>,
}

impl<P: Params<Leaf: Leaf>> Pullback<P> {
    /// The cotangents of the leaves of `x`, in its form.
    ///
    /// # Errors
    /// [`CotangentShape`](crate::ErrorKind::CotangentShape) if `ct` is not shaped like the output;
    /// whatever goes wrong in a rule.
    #[track_caller]
    pub fn call(&self, ct: P::Leaf) -> Answer<P, Like<P>> {
        self.pull(Some(ct))
    }

    /// The gradient of a function with one output, as [`grad`] gives it: the cotangents for 1.
    ///
    /// ```
    /// let (y, pullback) = grad_core::transform::vjp(|[a, b]| a * b, [2.0, 3.0])?;
    /// assert_eq!((y, pullback.gradient()?), (6.0, [3.0, 2.0]));
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`NotScalar`](crate::ErrorKind::NotScalar) if the output has more elements than one;
    /// whatever goes wrong in a rule.
    #[track_caller]
    pub fn gradient(&self) -> Answer<P, Like<P>> {
        self.pull(None)
    }

    #[track_caller]
    fn pull(&self, ct: Option<P::Leaf>) -> Answer<P, Like<P>> {
        self.at.answer_in_form(self.at.pull(self.at.y(), ct))
    }
}

impl<P: Params<Leaf: Leaf>> fmt::Debug for Pullback<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pullback({:?})", self.at.y())
    }
}

/// The Jacobian by reverse mode, for functions with fewer outputs than inputs: for each leaf of
/// `x` a tensor of shape `y.shape() ++ leaf.shape()`, with `∂yᵢ/∂xⱼ` at `(i, j)`.
///
/// One sweep for each element of the output.
///
/// ```
/// let [da, db] = grad_core::transform::jacrev(|[a, b]| a * b.sin(), [2.0, 0.0])?;
/// assert_eq!((da, db), (0.0, 2.0));
/// # Ok::<(), grad_core::Error>(())
/// ```
///
/// # Errors
/// Whatever goes wrong in `f` and in its rules; a backend without `concat` can only do functions
/// with one output.
#[track_caller]
pub fn jacrev<P, F>(f: F, x: P) -> Answer<P, Like<P>>
where
    P: Params,
    P::Leaf: Call<F, P, P::Convention>,
{
    let at = Recording::new("jacrev", f, x);
    at.answer_in_form(row_by_row(&at))
}

#[track_caller]
fn row_by_row<P: Params<Leaf: Leaf>>(at: &Recording<P>) -> Result<Vec<P::Leaf>, Error> {
    let y = at.y().shape()?;
    let n = y.n_elements().unwrap_or(0);
    let mut rows = Vec::with_capacity(n);
    for row in 0..n {
        let ct = at.unit(at.y(), row)?;
        rows.push(at.pull(at.y(), Some(ct))?);
    }
    let mut jacobian = Vec::new();
    for (leaf, x) in at.x().into_iter().enumerate() {
        let of_leaf = rows.iter().map(|row: &Vec<P::Leaf>| &row[leaf]).collect();
        jacobian.push(at.rows(of_leaf, at.y(), x)?);
    }
    Ok(jacobian)
}
