//! The matrix product.

use crate::ground::{ErrorKind, Shape, TensorLike};
use crate::kinds::align_stack;
use crate::tape::{Cotangents, Facts, Op, Primal, Reach, Tangents, Var};

/// Of two matrices or stacks of them; vectors become matrices before.
struct Matmul;

impl<T: TensorLike> Op<T> for Matmul {
    fn name(&self) -> &'static str {
        "matmul"
    }

    fn facts(&self) -> Facts {
        Facts::GENERAL.reaching(Reach::Product)
    }

    fn shape(&self, x: &[Shape]) -> Result<Shape, ErrorKind> {
        let [a, b] = x else { return Err(ErrorKind::Arity { expected: 2, got: x.len() }) };
        let mismatch = |rule| ErrorKind::ShapeMismatch { left: a.clone(), right: b.clone(), rule };
        let ([batch_a @ .., m, k_a], [batch_b @ .., k_b, n]) = (&a[..], &b[..]) else {
            return Err(ErrorKind::RankTooLow { shape: a.clone(), needed: 2 });
        };
        if k_a != k_b {
            return Err(mismatch(INNER));
        }
        let batch = Shape::from(batch_a).broadcast(batch_b);
        let batch = batch.ok_or_else(|| mismatch("have batch axes that do not broadcast"))?;
        Ok(batch.iter().copied().chain([*m, *n]).collect())
    }

    fn forward(&self, x: &[&T]) -> Result<T, T::Error> {
        x[0].matmul(x[1])
    }

    fn vjp<'t>(&self, p: &Primal<'t, T>, ct: Var<'t, T>, x_bar: &mut Cotangents<'_, 't, T>) {
        x_bar.each(|arg| match arg {
            0 => ct.matmul(p.x(1).transpose(-2, -1)),
            _ => p.x(0).transpose(-2, -1).matmul(ct),
        });
    }

    fn jvp<'t>(&self, p: &Primal<'t, T>, t: &Tangents<'_, 't, T>) -> Option<Var<'t, T>> {
        let rank = p.y_shape().rank();
        t.sum(|arg, x_dot| match (arg, t.stack()) {
            (0, None) => x_dot.matmul(p.x(1)),
            (_, None) => p.x(0).matmul(x_dot),
            (0, Some(_)) => align_stack(x_dot, rank).matmul(p.x(1)),
            (_, Some(_)) => times_stack(p.x(0), align_stack(x_dot, rank)),
        })
    }
}

/// `A Bᵢ` for stacked Bᵢ. Those that are columns make one matrix, instead of many thin ones.
fn times_stack<'t, T: TensorLike>(a: Var<'t, T>, b: Var<'t, T>) -> Var<'t, T> {
    match (a.shape().as_deref(), b.shape().as_deref()) {
        (Ok(&[m, n]), Ok(&[k, _, 1])) => {
            b.reshape([k, n]).matmul(a.transpose(0, 1)).reshape([k, m, 1])
        }
        _ => a.matmul(b),
    }
}

const INNER: &str = "cannot be multiplied: the inner sizes differ";

impl<'t, T: TensorLike> Var<'t, T> {
    /// The matrix product over the last two axes, batched over the others.
    ///
    /// Shapes: `[.., m, k] × [.., k, n] → [.., m, n]`; leading axes broadcast. A vector is taken as
    /// a row on the left and as a column on the right, and its axis is dropped from the result:
    /// `[k] × [.., k, n] → [.., n]`, `[.., m, k] × [k] → [.., m]`, `[k] × [k] → []`, as in NumPy.
    ///
    /// ```math
    /// C = A B,   Ā = C̄ Bᵀ,   B̄ = Aᵀ C̄,   Ċ = Ȧ B + A Ḃ
    /// ```
    ///
    /// # Errors
    /// [`ShapeMismatch`](ErrorKind::ShapeMismatch) if the inner sizes differ or the leading axes do
    /// not broadcast; [`RankTooLow`](ErrorKind::RankTooLow) for a scalar.
    ///
    /// Non-smooth points: none.
    /// Source: Giles (2008), "Collected matrix derivative results for forward and reverse mode
    /// algorithmic differentiation", §2.2.2.
    #[track_caller]
    pub fn matmul(self, rhs: Self) -> Self {
        let (Ok(a), Ok(b)) = (self.shape(), rhs.shape()) else {
            return self.binary(&Matmul, rhs);
        };
        let (row, column) = (a.rank() == 1, b.rank() == 1);
        if !row && !column {
            return match [a, b].into_iter().find(|shape| shape.rank() == 0) {
                Some(shape) => self.void("matmul", ErrorKind::RankTooLow { shape, needed: 1 }),
                None => self.binary(&Matmul, rhs),
            };
        }
        let inner = (a.last(), b.get(b.rank().saturating_sub(2)));
        if let (Some(k_a), Some(k_b)) = inner
            && k_a != k_b
        {
            return self
                .void("matmul", ErrorKind::ShapeMismatch { left: a, right: b, rule: INNER });
        }
        let left = if row { self.reshape([1, a[0]]) } else { self };
        let right = if column { rhs.reshape([b[0], 1]) } else { rhs };
        let product = left.matmul(right);
        let Ok(shape) = product.shape() else { return product };
        let rank = shape.rank();
        let dropped = |axis| (row && axis + 2 == rank) || (column && axis + 1 == rank);
        let kept = (0..rank).filter(|&axis| !dropped(axis)).map(|axis| shape[axis]);
        product.reshape(kept.collect::<Shape>())
    }
}
