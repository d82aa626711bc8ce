//! The kinds of operations: how most operations are written.
//!
//! Each kind is a trait that states the least, and an adapter that makes an
//! [`Op`](crate::tape::Op) of it.

mod elementwise;
mod linear;
mod step;

use crate::ground::{ErrorKind, Shape, TensorLike};
use crate::tape::Var;

pub use elementwise::{ByPartial, Elementwise};
pub use linear::{ByTranspose, Linear};
pub use step::{NoDerivative, Step};

/// Refuses a number of arguments other than `expected`.
#[inline]
fn check_arity(expected: usize, x: &[Shape]) -> Result<(), ErrorKind> {
    match x.len() == expected {
        true => Ok(()),
        false => Err(ErrorKind::Arity { expected, got: x.len() }),
    }
}

/// The shape rule of elementwise operations: what all arguments broadcast to, at least one.
#[inline]
pub fn broadcast(x: &[Shape]) -> Result<Shape, ErrorKind> {
    let Some((first, others)) = x.split_first() else {
        return Err(ErrorKind::Arity { expected: 1, got: 0 });
    };
    others.iter().try_fold(first.clone(), |left, right| match left.broadcast(right) {
        Some(shape) => Ok(shape),
        None => {
            let right = right.clone();
            Err(ErrorKind::ShapeMismatch { left, right, rule: "do not broadcast" })
        }
    })
}

/// `[k, ..shape..]`, where k is the number of tangents that are stacked in `t`.
pub(crate) fn behind<T: TensorLike>(t: Var<'_, T>, shape: &[usize]) -> Shape {
    let k = t.shape().ok().and_then(|t| t.first().copied());
    k.into_iter().chain(shape.iter().copied()).collect()
}

/// Stacked tangents in a shape that broadcasts against tensors of `rank` axes: of `[k, ..]`, axes
/// of size 1 come between the first and the others.
#[track_caller]
pub(crate) fn aligned<T: TensorLike>(t: Var<'_, T>, rank: usize) -> Var<'_, T> {
    let Ok(shape) = t.shape() else { return t };
    match (shape.split_first(), (rank + 1).checked_sub(shape.rank())) {
        (Some((&k, x)), Some(missing @ 1..)) => {
            let ones = std::iter::repeat_n(1, missing);
            t.reshape([k].into_iter().chain(ones).chain(x.iter().copied()).collect::<Shape>())
        }
        _ => t,
    }
}
