//! The error function.

use pulp::Simd;

use super::{exp, fma, polynomial};
use crate::element::Element;

/// `erf x`, within 1.5 units: an odd polynomial up to 1, and beyond `1 − e^Q(|x|)`, where Q is near ln(1 − erf).
#[inline(always)]
pub(crate) fn erf<S: Simd, A: Element>(x: A) -> A {
    let a = x.abs();
    let near = fma::<S, A>(x, polynomial::<S, A>(x * x, A::ERF), x);
    let bounded = if a > A::ERF_ONE { A::ERF_ONE } else { a };
    let far = A::ONE - exp::<S, A>(polynomial::<S, A>(bounded, A::LN_ERFC));
    if a < A::ONE { near } else { far.with_sign_of(x) }
}
