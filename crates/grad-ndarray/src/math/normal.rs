//! The distribution function of the normal distribution, and its approximation by tanh.
//!
//! Both fall like `e^(−x²/2)` or faster. There the rounding error of an exponent would count for as
//! many units as the exponent is large, so exponents are computed with what their rounding lost.

use pulp::Simd;

use super::{exp, fma, polynomial};
use crate::element::Element;

/// `Φ(x) = ½ erfc(−x/√2)`, within 6 units; for x below 0 by Mills' ratio, `Φ(x) e^(x²/2)`, which is a
/// polynomial in (|x| − 4) / (|x| + 4) over |x| + 4.
#[inline(always)]
pub(crate) fn cdf<S: Simd, A: Element>(x: A) -> A {
    let a = if x.abs() > A::NORMAL_ONE { A::NORMAL_ONE } else { x.abs() };
    let over = A::ONE / (a + A::FOUR);
    let ratio = polynomial::<S, A>((a - A::FOUR) * over, A::MILLS) * over;
    let high = on_grid(a, A::SQUARE_GRID);
    let low = a - high;
    let square = a * a;
    let lost = ((high * high - square) + A::TWO * high * low) + low * low;
    let e = exp::<S, A>(-A::HALF * square);
    let tail = ratio * fma::<S, A>(e * lost, -A::HALF, e);
    if x < A::ZERO { tail } else { A::ONE - tail }
}

/// `σ(2u)` for `2u = a x + b x³`, within 6 units; the gate of `gelu_tanh`.
#[inline(always)]
pub(crate) fn cdf_tanh<S: Simd, A: Element>(x: A) -> A {
    let ((a_high, a_low), (b_high, b_low)) = (A::GATE_LINEAR, A::GATE_CUBIC);
    let size = if x.abs() > A::GATE_ONE { A::GATE_ONE } else { x.abs() };
    let high = on_grid(size, A::GATE_GRID);
    let (low, square) = (size - high, high * high);
    // Exact, and the rest, which is small: x³ = h³ + l (3 h x + l²).
    let first = high * (b_high * square + a_high);
    let slope = (b_high + b_low) * (A::THREE * high * size + low * low) + (a_high + a_low);
    let second = high * (b_low * square + a_low) + low * slope;
    let e = exp::<S, A>(-first) * exp::<S, A>(-second);
    (if x < A::ZERO { e } else { A::ONE }) / (e + A::ONE)
}

/// `x` rounded to a multiple of 1 / grid, a power of 2.
#[inline(always)]
fn on_grid<A: Element>(x: A, grid: A) -> A {
    let rounder = A::ROUNDER / grid;
    (x + rounder) - rounder
}
