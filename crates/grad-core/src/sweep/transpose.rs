//! The forward rule that follows from a reverse rule.

use smallvec::{SmallVec, smallvec};

use crate::ground::{ErrorKind, TensorLike};
use crate::sweep::vjp_unlisted;
use crate::tape::{Op, Primal, Var};

/// `J ẋ` from `ȳ ↦ Jᵀ ȳ` alone: that map is linear, and its transpose is J.
///
/// Source: J. Townsend, "A new trick for calculating Jacobian vector products" (2017).
pub(crate) fn pull_back_the_pullback<'t, T: TensorLike>(
    op: &(impl Op<T> + ?Sized),
    p: &Primal<'t, T>,
    tangents: &[Option<Var<'t, T>>],
) -> Option<Var<'t, T>> {
    let wanted: SmallVec<[bool; 4]> = tangents.iter().map(Option::is_some).collect();
    // Any value will do where the map is linear; zero can meet no overflow.
    let dummy = p.tape.fresh(p.y().zeros_like());
    let mut x_bar: SmallVec<[Option<Var<'t, T>>; 4]> = smallvec![None; tangents.len()];
    op.pullback(p, dummy, &wanted, &mut x_bar);
    let mut sum = None;
    for (arg, (x_bar, &tangent)) in x_bar.into_iter().zip(tangents).enumerate() {
        let (Some(x_bar), Some(tangent)) = (x_bar, tangent) else { continue };
        if !std::ptr::eq(p.tape, x_bar.tape) {
            return Some(p.tape.fail(op.name(), ErrorKind::ForeignHandle));
        }
        let (x_bar, expected) = (x_bar.unbroadcast(&p.shape(arg)), p.shape(arg));
        if let Ok(got) = x_bar.shape()
            && got != expected
        {
            return Some(p.tape.fail(op.name(), ErrorKind::RuleShape { expected, got }));
        }
        let pulled = vjp_unlisted(x_bar, tangent, dummy);
        sum = Some(sum.map_or(pulled, |others| others + pulled));
    }
    sum
}
