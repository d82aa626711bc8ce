//! Factors of symmetric matrices, and the logarithm of determinants.

use super::eigen::{blocks, values};
use super::{constant, pattern, same_square, square};
use crate::ground::{ErrorKind, Shape, Slice, TensorLike};
use crate::kinds::stack_shape;
use crate::tape::{Cotangents, Op, Primal, Tangents, Var};

/// The sign and the logarithm of the absolute value of determinants, along a last axis.
struct Slogdet;

impl<T: TensorLike> Op<T> for Slogdet {
    fn name(&self) -> &'static str {
        "slogdet"
    }

    fn shape(&self, x: &[Shape]) -> Result<Shape, ErrorKind> {
        let shape = same_square(x)?;
        square(&shape).map(|(batch, _)| batch.iter().copied().chain([2]).collect())
    }

    fn forward(&self, x: &[&T]) -> Result<T, T::Error> {
        x[0].slogdet()
    }

    // The sign is constant wherever there is a derivative.
    fn vjp<'t>(&self, p: &Primal<'t, T>, ct: Var<'t, T>, x_bar: &mut Cotangents<'_, 't, T>) {
        let (_, ln_bar) = sign_and_ln(ct);
        let inverse = p.x(0).inv().mt();
        x_bar.each(|_| ln_bar.reshape(scalars(&p.shape(0))) * inverse);
    }

    fn jvp<'t>(&self, p: &Primal<'t, T>, t: &Tangents<'_, 't, T>) -> Option<Var<'t, T>> {
        t.sum(|_, x_dot| ln_only(p, x_dot, &shape_of(t, x_dot, p)))
    }
}

/// The shape of the output's tangent, or of a stack of them.
fn shape_of<T: TensorLike>(t: &Tangents<'_, '_, T>, x_dot: Var<'_, T>, p: &Primal<'_, T>) -> Shape {
    match t.stack() {
        None => p.y_shape(),
        Some(_) => stack_shape(x_dot, &p.y_shape()),
    }
}

/// The tangent of sign and logarithm, which is that of the logarithm alone, in its place in `shape`.
#[track_caller]
fn ln_only<'t, T: TensorLike>(p: &Primal<'t, T>, t: Var<'t, T>, shape: &Shape) -> Var<'t, T> {
    let (ln_dot, axis) = ((p.x(0).inv().mt() * t).sum_axes([-2, -1]), shape.rank() - 1);
    part(ln_dot.reshape(shape.keeping(&[axis])), shape, axis, 1)
}

/// The two parts of what `Slogdet` packs.
#[track_caller]
fn sign_and_ln<T: TensorLike>(packed: Var<'_, T>) -> (Var<'_, T>, Var<'_, T>) {
    let Ok(shape) = packed.shape() else { return (packed, packed) };
    let batch = shape.without(&[shape.rank() - 1]);
    let (sign, ln) = (packed.narrow(-1, 0, 1), packed.narrow(-1, 1, 1));
    (sign.reshape(&batch), ln.reshape(batch))
}

/// `[.., 1, 1]` for matrices of `shape`.
fn scalars(shape: &Shape) -> Shape {
    shape.keeping(&[shape.rank() - 2, shape.rank() - 1])
}

/// Zeros of `shape` with `x` at `start` along `axis`.
#[track_caller]
fn part<'t, T: TensorLike>(x: Var<'t, T>, shape: &Shape, axis: usize, start: usize) -> Var<'t, T> {
    let Ok(own) = x.shape() else { return x };
    let mut slices: Vec<Slice> = shape.iter().map(|&n| Slice::all(n)).collect();
    slices[axis] = Slice { start, stop: start + own[axis], step: 1 };
    x.unslice(shape, &slices)
}

/// Of symmetric matrices; `Var::cholesky` symmetrises before.
struct Cholesky;

impl<T: TensorLike> Op<T> for Cholesky {
    fn name(&self) -> &'static str {
        "cholesky"
    }

    fn shape(&self, x: &[Shape]) -> Result<Shape, ErrorKind> {
        same_square(x)
    }

    fn forward(&self, x: &[&T]) -> Result<T, T::Error> {
        x[0].cholesky()
    }

    // A⁻ᵀ from the left, and by transposing from the right.
    fn vjp<'t>(&self, p: &Primal<'t, T>, ct: Var<'t, T>, x_bar: &mut Cotangents<'_, 't, T>) {
        let l = p.y().mt();
        let left = l.triangular_solve(half_triangle(l.matmul(ct)), true);
        x_bar.each(|_| l.triangular_solve(left.mt(), true).mt());
    }

    // Stacked tangents broadcast.
    fn jvp<'t>(&self, p: &Primal<'t, T>, t: &Tangents<'_, 't, T>) -> Option<Var<'t, T>> {
        let l = p.y();
        t.sum(|_, x_dot| {
            let left = l.triangular_solve(x_dot, false);
            l.matmul(half_triangle(l.triangular_solve(left.mt(), false).mt()))
        })
    }
}

/// Φ: the lower triangle with half of the diagonal, and zeros above.
fn half_triangle<T: TensorLike>(x: Var<'_, T>) -> Var<'_, T> {
    (x.tril(0) + x.tril(-1)) * 0.5
}

/// Eigenvalues in a first row, and under each its eigenvector, of symmetric matrices;
/// `Var::eigh` symmetrises before.
struct Eigh;

impl<T: TensorLike> Op<T> for Eigh {
    fn name(&self) -> &'static str {
        "eigh"
    }

    fn shape(&self, x: &[Shape]) -> Result<Shape, ErrorKind> {
        let shape = same_square(x)?;
        square(&shape).map(|(batch, n)| batch.iter().copied().chain([n + 1, n]).collect())
    }

    fn forward(&self, x: &[&T]) -> Result<T, T::Error> {
        x[0].eigh()
    }

    fn vjp<'t>(&self, p: &Primal<'t, T>, ct: Var<'t, T>, x_bar: &mut Cotangents<'_, 't, T>) {
        let (w, v) = values_and_vectors(p.y());
        let (w_bar, v_bar) = values_and_vectors(ct);
        let turned = v.mt().matmul(v_bar).mul_or_zero(inverse_gaps(w));
        x_bar.each(|_| (v * w_bar + v.matmul(turned)).matmul(v.mt()));
    }

    fn jvp<'t>(&self, p: &Primal<'t, T>, t: &Tangents<'_, 't, T>) -> Option<Var<'t, T>> {
        t.sum(|_, x_dot| pushed(p, x_dot, &shape_of(t, x_dot, p)))
    }
}

/// The tangent of values and vectors, packed in `shape`.
#[track_caller]
fn pushed<'t, T: TensorLike>(p: &Primal<'t, T>, t: Var<'t, T>, shape: &Shape) -> Var<'t, T> {
    let ((w, v), axis) = (values_and_vectors(p.y()), shape.rank() - 2);
    let moved = t.matmul(v);
    let turned = v.mt().matmul(moved).mul_or_zero(inverse_gaps(w));
    let w_dot = part((v * moved).sum_keepdim(-2), shape, axis, 0);
    w_dot + part(v.matmul(turned), shape, axis, 1)
}

/// The two parts of what `Eigh` packs: a row `[.., 1, n]`, and `[.., n, n]`.
#[track_caller]
pub(super) fn values_and_vectors<T: TensorLike>(packed: Var<'_, T>) -> (Var<'_, T>, Var<'_, T>) {
    let n = packed.shape().ok().and_then(|shape| shape.last().copied()).unwrap_or(0);
    (packed.narrow(-2, 0, 1), packed.narrow(-2, 1, n))
}

/// F with `F_ij = 1 / (w_j − w_i)`, 0 on the diagonal, and infinite where eigenvalues cannot be told
/// from each other.
#[track_caller]
fn inverse_gaps<T: TensorLike>(w: Var<'_, T>) -> Var<'_, T> {
    let n = w.shape().ok().and_then(|shape| shape.last().copied()).unwrap_or(0);
    let diagonal = pattern(w, n, |i, j| f64::from(u8::from(i == j)));
    let gaps = w - w.mt() + diagonal;
    let gaps = match (blocks(w), gaps.shape()) {
        (Ok(blocks), Ok(shape)) if !blocks.are_trivial() => {
            // Else the reciprocal of a rounding error would come out.
            (constant(w, &shape, &blocks.mask()) - diagonal).where_(0.0, gaps)
        }
        _ => gaps,
    };
    (1.0 - diagonal).mul_or_zero(gaps.recip())
}

impl<'t, T: TensorLike> Var<'t, T> {
    /// The sign (−1, 0 or 1, untracked) and the logarithm of the absolute value of the determinants
    /// of square matrices.
    ///
    /// Shapes: `[.., n, n]` → `[..]` and `[..]`.
    ///
    /// ```math
    /// y = ln |det A|,   Ā = ȳ A⁻ᵀ,   ẏ = tr(A⁻¹ Ȧ)
    /// ```
    ///
    /// # Errors
    /// [`Parameter`](ErrorKind::Parameter) if the matrices are not square.
    ///
    /// At a singular matrix: 0 and −∞; there is no derivative, and a sweep that asks for it fails
    /// with "matrix is singular". The sign has derivative 0.
    /// Source: Giles (2008), §2.2.4.
    #[track_caller]
    pub fn slogdet(self) -> (Self, Self) {
        let (sign, ln) = sign_and_ln(self.unary(&Slogdet));
        (sign.detach(), ln)
    }

    /// The logarithm of the absolute value of the determinants of square matrices; the second part
    /// of [`Var::slogdet`], where formula, errors and singular matrices are described.
    ///
    /// # Errors
    /// Those of [`Var::slogdet`].
    #[track_caller]
    pub fn logabsdet(self) -> Self {
        sign_and_ln(self.unary(&Slogdet)).1
    }

    /// The lower triangular matrices L, with positive diagonals, of which `L Lᵀ` is the symmetric
    /// part `(A + Aᵀ) / 2` of A.
    ///
    /// Shapes: `[.., n, n]` → `[.., n, n]`.
    ///
    /// ```math
    /// S̄ = L⁻ᵀ Φ(Lᵀ L̄) L⁻¹,   Ā = (S̄ + S̄ᵀ) / 2,   L̇ = L Φ(L⁻¹ Ṡ L⁻ᵀ),   Ṡ = (Ȧ + Ȧᵀ) / 2
    /// ```
    ///
    /// where Φ takes the lower triangle and halves its diagonal.
    ///
    /// # Errors
    /// [`Backend`](ErrorKind::Backend), "matrix is not positive definite";
    /// [`Parameter`](ErrorKind::Parameter) if the matrices are not square.
    ///
    /// Non-smooth points: none. A matrix with an element that is infinite or NaN gives NaN.
    /// Source: Murray (2016), "Differentiation of the Cholesky decomposition", §3.1.
    #[track_caller]
    pub fn cholesky(self) -> Self {
        self.symmetrised().unary(&Cholesky)
    }

    /// The eigenvalues w, ascending, and the eigenvectors V, in columns of length 1, of the
    /// symmetric parts `(A + Aᵀ) / 2` of square matrices.
    ///
    /// Shapes: `[.., n, n]` → `[.., n]` and `[.., n, n]`.
    ///
    /// ```math
    /// S̄ = V (diag(w̄) + F ∘ (Vᵀ V̄)) Vᵀ,   Ā = (S̄ + S̄ᵀ) / 2,   F_ij = 1 / (w_j − w_i), F_ii = 0
    /// ẇ = diag(Vᵀ Ṡ V),   V̇ = V (F ∘ (Vᵀ Ṡ V)),   Ṡ = (Ȧ + Ȧᵀ) / 2
    /// ```
    ///
    /// The sign of an eigenvector is chosen so that of its elements at least half as large as the
    /// largest the first one is positive.
    ///
    /// # Errors
    /// [`Backend`](ErrorKind::Backend) if the backend's iteration does not converge;
    /// [`Parameter`](ErrorKind::Parameter) if the matrices are not square.
    ///
    /// Where eigenvalues are equal, or differ by no more than rounding (16 n ε of the largest):
    ///
    /// * The gradient of a function of the eigenvalues alone is right if it treats equal ones alike, as
    ///   `w.exp().sum()` does. Of another one, such as `w.max()`, there is none, and what comes out is
    ///   that of one choice of eigenvectors.
    /// * So are its second derivatives, by a sweep in either mode over a recorded *gradient*:
    ///   [`hessian`](crate::transform::hessian), [`vhp`](crate::transform::vhp), and `jvp`, `jacfwd` or
    ///   `jacrev` of `grad`. If it sees the difference, they are NaN. All eigenvalues have to come from
    ///   one call of this method.
    /// * Over a recorded *tangent*, as in [`hvp`](crate::transform::hvp), second derivatives are NaN or
    ///   infinite, unless they are right: one number for each eigenvalue cannot tell how their space
    ///   turns. Derivatives above the second are an error, or not finite.
    /// * Derivatives of the eigenvectors do not exist, and come out infinite or NaN.
    ///
    /// Nearly equal eigenvalues cost digits: at a gap g second derivatives have an error of about ε/g.
    /// A matrix with an element that is infinite or NaN gives NaN.
    /// Source: Giles (2008), §3.1; Magnus and Neudecker, "Matrix Differential Calculus", ch. 8; for
    /// second derivatives Lewis and Sendov, "Twice differentiable spectral functions" (2001).
    #[track_caller]
    pub fn eigh(self) -> (Self, Self) {
        let symmetric = self.symmetrised();
        let packed = symmetric.unary(&Eigh);
        if packed.is_void() {
            return (packed, packed);
        }
        (values(symmetric, packed), values_and_vectors(packed).1)
    }

    /// The eigenvalues, ascending, of the symmetric parts `(A + Aᵀ) / 2` of square matrices; the
    /// first part of [`Var::eigh`], where formula, errors and equal eigenvalues are described.
    ///
    /// # Errors
    /// Those of [`Var::eigh`].
    #[track_caller]
    pub fn eigvalsh(self) -> Self {
        let symmetric = self.symmetrised();
        values(symmetric, symmetric.unary(&Eigh))
    }
}
