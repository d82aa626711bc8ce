//! The distribution function of the normal distribution, and its approximation by tanh, for `f64`.
//!
//! Both fall like `e^(−x²/2)` or faster. There a rounding error of the exponent, say of one in 700,
//! would cost ten bits of the result, so exponents are computed with what their rounding lost.

use std::f64::consts::FRAC_1_SQRT_2;

/// `Φ(x) = ½ erfc(−x/√2)`, within a few units, also where it is close to 0.
pub fn normal_cdf(x: f64) -> f64 {
    let x = if x < -40.0 { -40.0 } else { x }; // Φ(−40) is 0, and ∞ − ∞ is NaN.
    let z = -x * FRAC_1_SQRT_2;
    let value = 0.5 * libm::erfc(z);
    if x < 0.0 {
        // erfc(z) falls like e^(−z²) where that counts, so the rounding of z is repaired there.
        let ((x2, x2_lost), (z2, z2_lost)) = (exact_square(x), exact_square(z));
        return value * (1.0 - ((0.5 * x2 - z2) + (0.5 * x2_lost - z2_lost)));
    }
    value
}

/// `σ(2u) = ½ (1 + tanh u)` for `u = √(2/π) (x + 0.044715 x³)`, within a few units, also where it is
/// close to 0. Source: Hendrycks and Gimpel (2016), "Gaussian error linear units".
pub fn normal_cdf_tanh(x: f64) -> f64 {
    // 2u = a x + b x³. The first parts of a and b have 12 bits after the point.
    const A: f64 = 2.0 * SQRT_FRAC_2_PI;
    const B: f64 = A * CUBIC;
    const A_HIGH: f64 = 6536.0 / 4096.0;
    const A_LOW: f64 = 6.599660573071176e-05;
    const B_HIGH: f64 = 292.0 / 4096.0;
    const B_LOW: f64 = 6.575377260024877e-05;
    /// What is added to it is rounded to 8 bits after the point.
    const ROUNDER: f64 = 1.5 * (1_u64 << 44) as f64;

    let size = if x.abs() > 24.0 { 24.0 } else { x.abs() }; // σ(2u) is 0 beyond.
    let high = (size + ROUNDER) - ROUNDER;
    let low = size - high;
    // Exact: below 2¹⁰, with 36 bits after the point.
    let first = high * (B_HIGH * (high * high) + A_HIGH);
    // The rest, which is small: x³ = h³ + l (3 h x + l²).
    let second =
        high * (B_LOW * (high * high) + A_LOW) + low * (B * (3.0 * high * size + low * low) + A);
    let e = (-first).exp() * (-second).exp();
    (if x < 0.0 { e } else { 1.0 }) / (e + 1.0)
}

/// `√(2/π)`.
const SQRT_FRAC_2_PI: f64 = std::f64::consts::FRAC_2_SQRT_PI * FRAC_1_SQRT_2;

/// The coefficient of the cubic term, a fit by Hendrycks and Gimpel, section 2.
const CUBIC: f64 = 0.044715;

/// `x²`, and what its rounding lost: Dekker's formula, by parts whose products are exact.
fn exact_square(x: f64) -> (f64, f64) {
    let high = f64::from_bits(x.to_bits() & !((1 << 27) - 1));
    let low = x - high;
    let square = x * x;
    (square, ((high * high - square) + 2.0 * high * low) + low * low)
}
