//! Stacked tangents: k of them in one tensor, along a leading axis.

use crate::ground::{Shape, TensorLike};
use crate::tape::Var;

/// `[k, ..shape..]`, where k is the number of tangents that are stacked in `t`.
pub(crate) fn stack_shape<T: TensorLike>(t: Var<'_, T>, shape: &[usize]) -> Shape {
    let k = t.shape().ok().and_then(|t| t.first().copied());
    k.into_iter().chain(shape.iter().copied()).collect()
}

/// Stacked tangents in a shape that broadcasts against tensors of `rank` axes: of `[k, ..]`, axes
/// of size 1 come between the first and the others.
#[track_caller]
pub(crate) fn align_stack<T: TensorLike>(t: Var<'_, T>, rank: usize) -> Var<'_, T> {
    let Ok(shape) = t.shape() else { return t };
    match (shape.split_first(), (rank + 1).checked_sub(shape.rank())) {
        (Some((&k, x)), Some(missing @ 1..)) => {
            let ones = std::iter::repeat_n(1, missing);
            t.reshape([k].into_iter().chain(ones).chain(x.iter().copied()).collect::<Shape>())
        }
        _ => t,
    }
}
