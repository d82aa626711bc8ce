//! Logarithms, and what is made of them.
//!
//! With `x = 2ᵏ m` and √½ ≤ m < √2, `ln x = k ln 2 + ln m`. For f = m − 1 and s = f / (2 + f),
//! `ln m = 2 artanh s = f − s (f − s² P(s²))`: as f is exact, the error of the series counts little.

use pulp::Simd;

use super::{exact_sum, exp, fma, polynomial};
use crate::element::Element;

/// The natural logarithm, within 1 unit.
#[inline(always)]
pub(crate) fn ln<S: Simd, A: Element>(x: A) -> A {
    let (m, k, _) = x.decompose();
    let y = joined::<S, A>(m - A::ONE, k);
    limits(x, y)
}

/// The logarithm to base 2, within 2 units; exact for powers of 2.
#[inline(always)]
pub(crate) fn log2<S: Simd, A: Element>(x: A) -> A {
    let (m, k, _) = x.decompose();
    let y = fma::<S, A>(joined::<S, A>(m - A::ONE, A::ZERO), A::LOG2_E, k);
    limits(x, y)
}

/// `ln(1 + x)`, within 1.5 units: what is lost when 1 and x are added is added to f.
#[inline(always)]
pub(crate) fn log1p<S: Simd, A: Element>(x: A) -> A {
    let (u, lost) = exact_sum(A::ONE, x);
    let (m, k, inverse) = u.decompose();
    let is_large = u > A::ROUNDER;
    let f = (m - A::ONE) + if is_large { A::ZERO } else { lost * inverse };
    let y = limits(u, joined::<S, A>(f, k));
    if x.abs() < A::TINY { x } else { y }
}

/// `ln(1 + eˣ) = max(x, 0) + ln(1 + e⁻|ˣ|)`, which does not overflow; within 2 units.
#[inline(always)]
pub(crate) fn softplus<S: Simd, A: Element>(x: A) -> A {
    let e = exp::<S, A>(-x.abs());
    (if x < A::ZERO { A::ZERO } else { x }) + log1p::<S, A>(e)
}

/// `k ln 2 + ln(1 + f)`.
#[inline(always)]
fn joined<S: Simd, A: Element>(f: A, k: A) -> A {
    let s = f / (A::TWO + f);
    let square = s * s;
    let half = A::HALF * f * f;
    // s (f − s² P) = ½ f² − s (½ f² + s² P): half the rounding error.
    let tail = s * fma::<S, A>(square, polynomial::<S, A>(square, A::LOG), half);
    let tail = fma::<S, A>(k, A::LN_2_LOW, tail);
    fma::<S, A>(k, A::LN_2_HIGH, f - (half - tail))
}

/// `y = ln x`, but for x that is 0, negative, infinite or NaN.
#[inline(always)]
fn limits<A: Element>(x: A, y: A) -> A {
    let y = if x == A::ZERO { A::neg_infinity() } else { y };
    let y = if x == A::infinity() { x } else { y };
    if x >= A::ZERO { y } else { A::nan() }
}
