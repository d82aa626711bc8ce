//! Transforms of second order: Hessians, and their products with vectors.

use crate::ground::Error;
use crate::transform::face::{Answer, Call, Leaf};
use crate::transform::params::{Like, Params};
use crate::transform::recording::Recording;

/// The Hessian of a function with one output, `∂²f/∂xᵢ∂xⱼ`: for each two leaves a block of shape
/// `leaf.shape() ++ other.shape()`, in the form of `x` of the form of `x`.
///
/// By forward over reverse: the gradient is recorded once, and its columns run together where the
/// operations know how, else one after the other.
///
/// ```
/// let [[aa, ab], [ba, bb]] = grad_core::transform::hessian(|[a, b]| a * a * b, [2.0, 3.0])?;
/// assert_eq!([[aa, ab], [ba, bb]], [[6.0, 4.0], [4.0, 0.0]]);
/// # Ok::<(), grad_core::Error>(())
/// ```
///
/// # Errors
/// [`NotScalar`](crate::ErrorKind::NotScalar) if the output has more elements than one; whatever
/// goes wrong in `f` and in its rules; a backend without `concat` can only do leaves of one
/// element.
#[track_caller]
pub fn hessian<P, F>(f: F, x: P) -> Answer<P, P::With<Like<P>>>
where
    P: Params,
    P::Leaf: Call<F, P, P::Convention>,
{
    let at = Recording::new("hessian", f, x);
    at.answer(blocks(&at), |void| at.filled_blocks(void))
}

#[track_caller]
fn blocks<P: Params<Leaf: Leaf>>(at: &Recording<P>) -> Result<P::With<Like<P>>, Error> {
    let gradient = at.gradient()?;
    let mut rows = Vec::with_capacity(gradient.len());
    for &row in &gradient {
        rows.push(at.in_form(at.all_columns(row)?)?);
    }
    at.blocks(rows)
}

/// The diagonal of a Hessian that is *known* to be diagonal, `∂²f/∂xᵢ²`, in the form of `x`: for
/// functions that treat each element by itself, `f(x) = Σ gᵢ(xᵢ)`.
///
/// One Hessian-vector product, with ones. For any other function this is the sum of each row of
/// the Hessian, and not its diagonal.
///
/// ```
/// let second = grad_core::transform::hessian_diagonal(|x| x.powi(4), 3.0)?;
/// assert_eq!(second, 108.0); // 12x²
/// # Ok::<(), grad_core::Error>(())
/// ```
///
/// # Errors
/// Those of [`hvp`].
#[track_caller]
pub fn hessian_diagonal<P, F>(f: F, x: P) -> Answer<P, Like<P>>
where
    P: Params,
    P::Leaf: Call<F, P, P::Convention>,
{
    let at = Recording::new("hessian_diagonal", f, x);
    let mut ones = Vec::new();
    for x in at.x() {
        ones.push(x.ones_like());
    }
    at.answer_in_form(at.hvp(ones))
}

/// The product of the Hessian of a function with one output and a vector, `H v`, for a `v` in the
/// form of `x`, without the Hessian.
///
/// By reverse over forward: the derivative in the direction `v` is recorded, and its gradient is
/// the product. To multiply many vectors at one point, [`linearize`](super::linearize) the
/// gradient.
///
/// ```
/// let [a, b] = grad_core::transform::hvp(|[a, b]| a * a * b, [2.0, 3.0], [1.0, 10.0])?;
/// assert_eq!((a, b), (46.0, 4.0)); // [[6, 4], [4, 0]] [1, 10]
/// # Ok::<(), grad_core::Error>(())
/// ```
///
/// # Errors
/// [`NotScalar`](crate::ErrorKind::NotScalar) if the output has more elements than one;
/// [`CotangentShape`](crate::ErrorKind::CotangentShape) if a vector is not shaped like its leaf;
/// whatever goes wrong in `f` and in its rules.
#[track_caller]
pub fn hvp<P, F>(f: F, x: P, v: P) -> Answer<P, Like<P>>
where
    P: Params,
    P::Leaf: Call<F, P, P::Convention>,
{
    let at = Recording::new("hvp", f, x);
    at.answer_in_form(hessian_times(&at, &v))
}

#[track_caller]
fn hessian_times<P: Params<Leaf: Leaf>>(at: &Recording<P>, v: &P) -> Result<Vec<P::Leaf>, Error> {
    let (mut tangents, v) = (Vec::new(), at.tangents(v)?);
    for (x, v) in at.x().into_iter().zip(&v) {
        tangents.push(at.tangent(x, v)?);
    }
    at.hvp(tangents)
}

/// The product of a vector and the Hessian of a function with one output, `vᵀ H`, for a `v` in the
/// form of `x`, without the Hessian.
///
/// The same numbers as [`hvp`], but for rounding, by reverse over reverse: it needs no forward
/// rules.
///
/// ```
/// let [a, b] = grad_core::transform::vhp(|[a, b]| a * a * b, [2.0, 3.0], [1.0, 10.0])?;
/// assert_eq!((a, b), (46.0, 4.0));
/// # Ok::<(), grad_core::Error>(())
/// ```
///
/// # Errors
/// Those of [`hvp`].
#[track_caller]
pub fn vhp<P, F>(f: F, x: P, v: P) -> Answer<P, Like<P>>
where
    P: Params,
    P::Leaf: Call<F, P, P::Convention>,
{
    let at = Recording::new("vhp", f, x);
    at.answer_in_form(times_hessian(&at, &v))
}

#[track_caller]
fn times_hessian<P: Params<Leaf: Leaf>>(at: &Recording<P>, v: &P) -> Result<Vec<P::Leaf>, Error> {
    let v = at.tangents(v)?;
    let gradient = at.gradient()?;
    let mut product = None;
    for ((x, v), gradient) in at.x().into_iter().zip(&v).zip(gradient) {
        let term = (gradient * at.tangent(x, v)?).sum();
        product = Some(product.map_or(term, |sum| sum + term));
    }
    match product {
        Some(product) => at.pull(product, None),
        None => Ok(Vec::new()),
    }
}
