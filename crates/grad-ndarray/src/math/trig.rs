//! Sine and cosine, in double precision for both types.
//!
//! With the whole number k nearest to x / (π/2) and r = x − k π/2, both are ± the sine or the
//! cosine of r, where |r| ≤ π/4. π/2 is subtracted in three parts, of which the first two have so
//! many zeros at their ends that their products with k < 2²⁰ are exact.

use pulp::Simd;

use super::{Real, fma, polynomial};
use crate::element::Element;
use crate::simd::Map;

/// Beyond, the products of the reduction are not exact. (2²⁰ π/2, rounded down.)
const LIMIT: f64 = 1_647_000.0;

/// `near` of numbers up to [`LIMIT`], and `far` of others, which are few: one at a time.
#[derive(Clone, Copy)]
pub(crate) struct Within<N, F> {
    pub(crate) near: N,
    pub(crate) far: F,
}

impl<A: Element, N: Map<A>, F: Fn(A) -> A + Copy + Sync> Map<A> for Within<N, F> {
    #[inline(always)]
    fn at<S: Simd>(self, x: A) -> A {
        if is_far(x) { (self.far)(x) } else { self.near.at::<S>(x) }
    }

    #[inline(always)]
    fn each<S: Simd>(self, x: &[A], out: &mut [A]) {
        // So few that they are in the cache when they are looked at again.
        const BLOCK: usize = 1024;
        for (x, out) in x.chunks(BLOCK).zip(out.chunks_mut(BLOCK)) {
            self.near.each::<S>(x, out);
            if x.iter().fold(false, |any, &x| any | is_far(x)) {
                for (y, &x) in out.iter_mut().zip(x).filter(|(_, x)| is_far(**x)) {
                    *y = (self.far)(x);
                }
            }
        }
    }
}

#[inline(always)]
fn is_far<A: Element>(x: A) -> bool {
    x.abs().to_f64() > LIMIT
}

/// The sine of x up to [`LIMIT`], within 1.5 units.
#[inline(always)]
pub(crate) fn sin<S: Simd, A: Element>(x: A) -> A {
    let x = x.to_f64();
    let y = turned::<S>(x, 0);
    A::from_f64(if x == 0.0 { x } else { y })
}

/// The cosine of x up to [`LIMIT`], within 1.5 units.
#[inline(always)]
pub(crate) fn cos<S: Simd, A: Element>(x: A) -> A {
    A::from_f64(turned::<S>(x.to_f64(), 1))
}

/// The sine of x and so many right angles.
#[inline(always)]
fn turned<S: Simd>(x: f64, right_angles: u64) -> f64 {
    const HIGH: f64 = 1.570_796_326_734_125_6; // The first 33 bits of π/2.
    const MIDDLE: f64 = 6.077_100_506_303_966e-11; // The next 33.
    const LOW: f64 = 2.022_266_248_795_950_6e-21;
    // (sin r / r − 1) / r² and (cos r − 1 + r²/2) / r⁴ in r²: errors of sin and cos 2⁻⁵⁸, 2⁻⁶⁴.
    const SIN: &[f64] = &[
        -0.16666666666666632,
        0.008333333333322316,
        -0.00019841269829725183,
        2.7557313662051867e-06,
        -2.505075326402258e-08,
        1.5896504939112447e-10,
    ];
    const COS: &[f64] = &[
        0.0416666666666666,
        -0.001388888888887399,
        2.480158728939496e-05,
        -2.755731432603795e-07,
        2.087571955934398e-09,
        -1.135944869801542e-11,
    ];
    let rounded = fma::<S, f64>(x, std::f64::consts::FRAC_2_PI, f64::ROUNDER);
    let k = rounded - f64::ROUNDER;
    let high = fma::<S, f64>(-k, HIGH, x);
    let r = fma::<S, f64>(-k, MIDDLE, high);
    // What the last subtraction lost, which counts near the multiples of π/2.
    let lost = fma::<S, f64>(-k, MIDDLE, high - r);
    let r = r + fma::<S, f64>(-k, LOW, lost);
    let square = r * r;
    let sin = fma::<S, f64>(r * square, polynomial::<S, f64>(square, SIN), r);
    let half = 0.5 * square;
    let one = 1.0 - half;
    let cos = fma::<S, f64>(square * square, polynomial::<S, f64>(square, COS), (1.0 - one) - half);
    let quarter = rounded.to_bits().wrapping_add(right_angles);
    let y = if quarter & 1 == 0 { sin } else { one + cos };
    f64::from_bits(y.to_bits() ^ ((quarter & 2) << 62))
}
