//! Exponentials, and what is made of them.
//!
//! With the whole number k nearest to x / ln 2 and r = x − k ln 2, `eˣ = 2ᵏ eʳ`, where |r| ≤ ½ ln 2
//! and `eʳ = 1 + r + r² P(r)`.

use pulp::Simd;

use super::{clamped, exact_sum, fma, polynomial};
use crate::element::Element;

/// `eˣ`, within 1.1 units.
#[inline(always)]
pub(crate) fn exp<S: Simd, A: Element>(x: A) -> A {
    let x = clamped(x, A::EXP_RANGE);
    let (k, r) = reduced::<S, A>(x);
    power::<S, A>(k, r)
}

/// `2ˣ`, within 1.2 units.
#[inline(always)]
pub(crate) fn exp2<S: Simd, A: Element>(x: A) -> A {
    let x = clamped(x, A::EXP2_RANGE);
    let k = x + A::ROUNDER;
    power::<S, A>(k, (x - (k - A::ROUNDER)) * A::LN_2)
}

/// `eˣ − 1 = 2ᵏ (eʳ − 1) + (2ᵏ − 1)`, where nothing cancels; within 2 units.
#[inline(always)]
pub(crate) fn expm1<S: Simd, A: Element>(x: A) -> A {
    let bounded = clamped(x, (-A::SATURATED, A::EXP_RANGE.1));
    let y = expm1_in_range::<S, A>(bounded);
    // As is, so that subnormal numbers lose no digit and −0 not its sign.
    if x.abs() < A::TINY { x } else { y }
}

/// `tanh x = t / (t + 2)` with `t = e²ˣ − 1`, for |x|, with the sign of x; within 2.5 units.
#[inline(always)]
pub(crate) fn tanh<S: Simd, A: Element>(x: A) -> A {
    let a = x.abs() + x.abs();
    let t = expm1_in_range::<S, A>(if a > A::SATURATED { A::SATURATED } else { a });
    let (sum, lost) = exact_sum(A::TWO, t);
    let y = t / sum;
    // The rounding error of the sum would count for a whole unit; 1 / (t + 2) is (1 − y) / 2.
    let y = fma::<S, A>(y * (y - A::ONE) * A::HALF, lost, y);
    if a < A::TINY { x } else { y.with_sign_of(x) }
}

/// `1 / (1 + e⁻ˣ)`, of e⁻|ˣ|, which does not overflow; within 2.5 units.
#[inline(always)]
pub(crate) fn sigmoid<S: Simd, A: Element>(x: A) -> A {
    let e = exp::<S, A>(-x.abs());
    (if x < A::ZERO { e } else { A::ONE }) / (e + A::ONE)
}

/// `e⁻ˣ / (1 + e⁻ˣ)²`, of e⁻|ˣ|, since it is even; within 4 units.
#[inline(always)]
pub(crate) fn logistic_density<S: Simd, A: Element>(x: A) -> A {
    let e = exp::<S, A>(-x.abs());
    let over = A::ONE / (e + A::ONE);
    e * over * over
}

/// k, in the last bits of a number, and r.
#[inline(always)]
fn reduced<S: Simd, A: Element>(x: A) -> (A, A) {
    let rounded = fma::<S, A>(x, A::LOG2_E, A::ROUNDER);
    let k = rounded - A::ROUNDER;
    let r = fma::<S, A>(-k, A::LN_2_HIGH, x);
    (rounded, fma::<S, A>(-k, A::LN_2_LOW, r))
}

/// `eʳ − 1`.
#[inline(always)]
fn fraction<S: Simd, A: Element>(r: A) -> A {
    fma::<S, A>(r * r, polynomial::<S, A>(r, A::EXP), r)
}

/// `2ᵏ eʳ`.
#[inline(always)]
fn power<S: Simd, A: Element>(rounded: A, r: A) -> A {
    let (first, second) = A::powers_of_2(rounded);
    (fraction::<S, A>(r) + A::ONE) * first * second
}

#[inline(always)]
fn expm1_in_range<S: Simd, A: Element>(x: A) -> A {
    let (rounded, r) = reduced::<S, A>(x);
    // Half of 2ᵏ, which does not overflow before the result does.
    let half = A::half_power_of_2(rounded);
    A::TWO * fma::<S, A>(fraction::<S, A>(r), half, half - A::HALF)
}
