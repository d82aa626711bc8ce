//! Linear systems and inverses.

use super::{same_square, square};
use crate::ground::{ErrorKind, Shape, TensorLike, call};
use crate::tape::{Cotangents, Op, Primal, Tangents, Var};

/// Of matrices with equal batch axes; `Var::solve` broadcasts before.
struct Solve;

impl<T: TensorLike> Op<T> for Solve {
    fn name(&self) -> &'static str {
        "solve"
    }

    fn shape(&self, x: &[Shape]) -> Result<Shape, ErrorKind> {
        system(x)
    }

    fn forward(&self, x: &[&T]) -> Result<T, T::Error> {
        x[0].solve(x[1])
    }

    // Both arguments need B̄.
    fn vjp<'t>(&self, p: &Primal<'t, T>, ct: Var<'t, T>, x_bar: &mut Cotangents<'_, 't, T>) {
        let b_bar = p.x(0).mt().solve(ct);
        x_bar.each(|arg| if arg == 0 { -b_bar.matmul(p.y().mt()) } else { b_bar });
    }

    // Both tangents need one solution: A Ẋ = Ḃ − Ȧ X.
    fn jvp<'t>(&self, p: &Primal<'t, T>, t: &Tangents<'_, 't, T>) -> Option<Var<'t, T>> {
        let right_side = right_side(t.list(), p.y(), |a_dot| a_dot)?;
        Some(match t.stack() {
            None => p.x(0).solve(right_side),
            Some(_) => solve_stack(right_side, |columns| p.x(0).solve(columns)),
        })
    }
}

/// Of matrices with equal batch axes, where A is a triangle and its other elements do not count.
#[derive(Clone, Copy)]
struct TriangularSolve {
    upper: bool,
}

impl<T: TensorLike> Op<T> for TriangularSolve {
    fn name(&self) -> &'static str {
        "triangular_solve"
    }

    fn shape(&self, x: &[Shape]) -> Result<Shape, ErrorKind> {
        system(x)
    }

    fn forward(&self, x: &[&T]) -> Result<T, T::Error> {
        x[0].triangular_solve(x[1], self.upper)
    }

    fn vjp<'t>(&self, p: &Primal<'t, T>, ct: Var<'t, T>, x_bar: &mut Cotangents<'_, 't, T>) {
        let b_bar = p.x(0).mt().triangular_solve(ct, !self.upper);
        x_bar.each(|arg| match arg {
            0 => -self.part(b_bar.matmul(p.y().mt())),
            _ => b_bar,
        });
    }

    fn jvp<'t>(&self, p: &Primal<'t, T>, t: &Tangents<'_, 't, T>) -> Option<Var<'t, T>> {
        let right_side = right_side(t.list(), p.y(), |a_dot| self.part(a_dot))?;
        let solve = |columns| p.x(0).triangular_solve(columns, self.upper);
        Some(match t.stack() {
            None => solve(right_side),
            Some(_) => solve_stack(right_side, solve),
        })
    }

    fn format(&self, x: &[&str]) -> String {
        call("triangular_solve", x, if self.upper { "upper" } else { "lower" })
    }
}

impl TriangularSolve {
    /// The triangle of a matrix, and zeros elsewhere.
    fn part<T: TensorLike>(self, x: Var<'_, T>) -> Var<'_, T> {
        if self.upper { x.triu(0) } else { x.tril(0) }
    }
}

/// `Ḃ − Ȧ X`, of the tangents that are there.
fn right_side<'t, T: TensorLike>(
    tangents: &[Option<Var<'t, T>>],
    y: Var<'t, T>,
    part: impl Fn(Var<'t, T>) -> Var<'t, T>,
) -> Option<Var<'t, T>> {
    match *tangents {
        [Some(a_dot), Some(b_dot)] => Some(b_dot - part(a_dot).matmul(y)),
        [Some(a_dot), None] => Some(-part(a_dot).matmul(y)),
        [None, Some(b_dot)] => Some(b_dot),
        _ => None,
    }
}

/// Solves for right sides that are stacked, `[k, .., n, m]`, as columns of one, `[.., n, k m]`: so
/// that a matrix is factored once.
fn solve_stack<'t, T: TensorLike>(
    right_side: Var<'t, T>,
    solve: impl Fn(Var<'t, T>) -> Var<'t, T>,
) -> Var<'t, T> {
    let Ok(shape) = right_side.shape() else { return right_side };
    let [k, batch @ .., n, m] = &shape[..] else { return right_side };
    let (rows, last) = (shape.rank() as isize - 2, shape.rank() as isize - 1);
    let sides = |columns: &[usize]| [batch, &[*n], columns].concat();
    let there: Vec<isize> = (1..last).chain([0, last]).collect();
    let back: Vec<isize> = [rows].into_iter().chain(0..rows).chain([last]).collect();
    let x = solve(right_side.permute(&there[..]).reshape(sides(&[k * m])));
    x.reshape(sides(&[*k, *m])).permute(&back[..])
}

/// The shape rule of linear systems: `[.., n, n]`, `[.., n, k]` → `[.., n, k]`.
fn system(x: &[Shape]) -> Result<Shape, ErrorKind> {
    let [a, b] = x else { return Err(ErrorKind::Arity { expected: 2, got: x.len() }) };
    let (batch_a, n) = square(a)?;
    match &b[..] {
        [batch_b @ .., rows, _] if (batch_a, &n) == (batch_b, rows) => Ok(b.clone()),
        _ => {
            let rule = "do not form a linear system: the numbers of rows differ";
            Err(ErrorKind::ShapeMismatch { left: a.clone(), right: b.clone(), rule })
        }
    }
}

struct Inv;

impl<T: TensorLike> Op<T> for Inv {
    fn name(&self) -> &'static str {
        "inv"
    }

    fn shape(&self, x: &[Shape]) -> Result<Shape, ErrorKind> {
        same_square(x)
    }

    fn forward(&self, x: &[&T]) -> Result<T, T::Error> {
        x[0].inv()
    }

    fn vjp<'t>(&self, p: &Primal<'t, T>, ct: Var<'t, T>, x_bar: &mut Cotangents<'_, 't, T>) {
        x_bar.each(|_| -p.y().mt().matmul(ct).matmul(p.y().mt()));
    }

    // Stacked tangents broadcast.
    fn jvp<'t>(&self, p: &Primal<'t, T>, t: &Tangents<'_, 't, T>) -> Option<Var<'t, T>> {
        t.sum(|_, x_dot| -p.y().matmul(x_dot).matmul(p.y()))
    }
}

impl<'t, T: TensorLike> Var<'t, T> {
    /// The solution X of the linear system `A X = B`, where A is this tensor of square matrices.
    ///
    /// Shapes: `[.., n, n]`, `[.., n, k]` → `[.., n, k]`; leading axes broadcast. As in PyTorch, B
    /// is taken as vectors, `[.., n]` → `[.., n]`, if it has one axis, or the shape of A without
    /// its last axis.
    ///
    /// ```math
    /// X = A⁻¹ B,   B̄ = A⁻ᵀ X̄,   Ā = −B̄ Xᵀ,   Ẋ = A⁻¹ (Ḃ − Ȧ X)
    /// ```
    ///
    /// # Errors
    /// [`Backend`](ErrorKind::Backend), "matrix is singular", if elimination meets a pivot of
    /// exactly zero; [`ShapeMismatch`](ErrorKind::ShapeMismatch);
    /// [`Parameter`](ErrorKind::Parameter) if the matrices are not square.
    ///
    /// Non-smooth points: none. A matrix with an element that is infinite or NaN gives NaN.
    /// Source: Giles (2008), "Collected matrix derivative results for forward and reverse mode
    /// algorithmic differentiation", §2.3.1.
    #[track_caller]
    pub fn solve(self, rhs: Self) -> Self {
        self.system(&Solve, rhs)
    }

    /// The solution X of `A X = B`, where A is one triangle of this tensor of square matrices; the
    /// elements outside of the triangle are not read.
    ///
    /// Shapes: as [`Var::solve`]. For `Aᵀ X = B` transpose A, which exchanges the triangles:
    /// `a.transpose(-2, -1).triangular_solve(b, !upper)`.
    ///
    /// ```math
    /// X = A⁻¹ B,   B̄ = A⁻ᵀ X̄,   Ā = −triangle(B̄ Xᵀ),   Ẋ = A⁻¹ (Ḃ − triangle(Ȧ) X)
    /// ```
    ///
    /// # Errors
    /// [`Backend`](ErrorKind::Backend), "matrix is singular", if a diagonal element is zero;
    /// otherwise those of [`Var::solve`].
    ///
    /// Non-smooth points: none.
    /// Source: Giles (2008), §2.3.1, restricted to triangular matrices.
    #[track_caller]
    pub fn triangular_solve(self, rhs: Self, upper: bool) -> Self {
        match upper {
            true => self.system(&TriangularSolve { upper: true }, rhs),
            false => self.system(&TriangularSolve { upper: false }, rhs),
        }
    }

    /// The inverses of square matrices. To multiply with an inverse, [`Var::solve`] is better.
    ///
    /// Shapes: `[.., n, n]` → `[.., n, n]`.
    ///
    /// ```math
    /// Y = A⁻¹,   Ā = −Yᵀ Ȳ Yᵀ,   Ẏ = −Y Ȧ Y
    /// ```
    ///
    /// # Errors
    /// [`Backend`](ErrorKind::Backend), "matrix is singular", if elimination meets a pivot of
    /// exactly zero; [`Parameter`](ErrorKind::Parameter) if the matrices are not square.
    ///
    /// Non-smooth points: none. A matrix with an element that is infinite or NaN gives NaN.
    /// Source: Giles (2008), §2.2.3.
    #[track_caller]
    pub fn inv(self) -> Self {
        self.unary(&Inv)
    }

    /// Solves after broadcasting, and after making a vector a column.
    #[track_caller]
    fn system(self, op: &'static dyn Op<T>, rhs: Self) -> Self {
        let (Ok(a), Ok(b)) = (self.shape(), rhs.shape()) else { return self.binary(op, rhs) };
        let [batch_a @ .., m, n] = &a[..] else { return self.binary(op, rhs) };
        let is_vector = b.rank() == 1 || (b.rank() + 1 == a.rank() && b[..] == a[..a.rank() - 1]);
        let columns = match is_vector {
            true => b.iter().copied().chain([1]).collect(),
            false => b.clone(),
        };
        let [batch_b @ .., rows, k] = &columns[..] else { return self.binary(op, rhs) };
        let Some(batch) = Shape::from(batch_a).broadcast(batch_b) else {
            let rule = "have batch axes that do not broadcast";
            let kind = ErrorKind::ShapeMismatch { left: a, right: b, rule };
            return self.void(op.name(), kind);
        };
        let left = self.shaped(&batch.iter().copied().chain([*m, *n]).collect());
        let right = match is_vector {
            true => rhs.reshape(columns.clone()),
            false => rhs,
        };
        let right = right.shaped(&batch.iter().copied().chain([*rows, *k]).collect());
        let x = left.binary(op, right);
        match is_vector {
            true => x.reshape(batch.iter().copied().chain([*rows]).collect::<Shape>()),
            false => x,
        }
    }

    /// Broadcast to `shape`, unless it is the tensor's own.
    #[track_caller]
    fn shaped(self, shape: &Shape) -> Self {
        match self.shape() {
            Ok(own) if own != *shape => self.expand(shape),
            _ => self,
        }
    }
}
