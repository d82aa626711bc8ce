//! Elementary functions as straight-line arithmetic, which compilers turn into vector instructions.
//!
//! Every function is one formula without branches or tables, the same for `f32` and `f64`; only the
//! coefficients differ. Both sides of a selection are computed. An element's value does not depend
//! on its place: the last few elements of an array go through the same formula as all others.
//!
//! Polynomials are minimax approximations of the functions named beside them, from the exchange
//! algorithm of Remez with the relative error of the function that they are part of as weight.
//! Errors are in units in the last place, over all `f32` and over some millions of `f64`
//! (`tests/accuracy.rs`); they hold with fused multiplication and addition, which is used where the
//! processor has it. Elsewhere products are rounded before they are added, and results can differ in
//! the last place.
//!
//! What the reductions and series have in common with others' is mathematics; a good account is
//! Muller, "Elementary Functions" (2016), chapters 3, 10 and 11.

mod erf;
mod exp;
mod log;
mod normal;
mod trig;

use ndarray::NdFloat;
use pulp::Simd;

use crate::element::Element;
use crate::simd::Map;

pub(crate) use exp::exp;
pub(crate) use trig::Within;

/// The functions, to be mapped over slices.
macro_rules! maps {
    ($($name:ident: $module:ident::$function:ident;)*) => {$(
        #[derive(Clone, Copy)]
        pub(crate) struct $name;

        impl<A: Element> Map<A> for $name {
            #[inline(always)]
            fn at<S: Simd>(self, x: A) -> A {
                $module::$function::<S, A>(x)
            }
        }
    )*};
}

maps! {
    Cos: trig::cos;
    Erf: erf::erf;
    Exp: exp::exp;
    Exp2: exp::exp2;
    Expm1: exp::expm1;
    Ln: log::ln;
    Log1p: log::log1p;
    Log2: log::log2;
    LogisticDensity: exp::logistic_density;
    NormalCdf: normal::cdf;
    NormalCdfTanh: normal::cdf_tanh;
    Sigmoid: exp::sigmoid;
    Sin: trig::sin;
    Softplus: log::softplus;
    Tanh: exp::tanh;
}

/// The numbers that the formulas need of a type, and a few ways to take floats apart.
#[doc(hidden)]
pub trait Real: NdFloat {
    /// 1.5 · 2ᵖ for p bits of fraction: what is added to it is rounded to a whole number, which
    /// stands in its last bits.
    const ROUNDER: Self;
    const HALF: Self;
    const TWO: Self;
    const THREE: Self;
    const FOUR: Self;
    const LOG2_E: Self;
    const LN_2: Self;
    /// ln 2 with so many zeros at its end that its product with an exponent is exact, and the rest.
    const LN_2_HIGH: Self;
    const LN_2_LOW: Self;
    /// Below, `expm1` and `tanh` are x.
    const TINY: Self;
    /// Where `exp` has become 0 and ∞, a little beyond.
    const EXP_RANGE: (Self, Self);
    /// The same for `exp2`.
    const EXP2_RANGE: (Self, Self);
    /// Where `1 + e⁻ˣ` has become 1, and more.
    const SATURATED: Self;
    /// `(eʳ − 1 − r) / r²` for |r| ≤ ½ ln 2.
    const EXP: &'static [Self];
    /// `(ln((1 + s) / (1 − s)) / s − 2) / s²` in s², for |s| ≤ (√2 − 1) / (√2 + 1).
    const LOG: &'static [Self];
    /// `erf(x) / x − 1` in x², for x ≤ 1.
    const ERF: &'static [Self];
    /// `ln(1 − erf(x))` for 1 ≤ x ≤ `ERF_ONE`; its error counts as much as 1 − erf(x) does in erf(x).
    const LN_ERFC: &'static [Self];
    /// Where erf has become 1.
    const ERF_ONE: Self;
    /// Where Φ(−x) has become 0.
    const NORMAL_ONE: Self;
    /// `Φ(−x) e^(x²/2) (x + 4)` in (x − 4) / (x + 4), for 0 ≤ x ≤ `NORMAL_ONE`; by interpolation at
    /// Chebyshev's points.
    const MILLS: &'static [Self];
    /// The square of a multiple of 1 / `SQUARE_GRID` up to `NORMAL_ONE` is exact.
    const SQUARE_GRID: Self;
    /// Where `cdf_tanh(−x)` has become 0.
    const GATE_ONE: Self;
    /// `2√(2/π)` and 0.044715 times that, each as a number with few bits and the rest: for a
    /// multiple x of 1 / `GATE_GRID` up to `GATE_ONE`, `a x + b x³` with the first parts is exact.
    const GATE_LINEAR: (Self, Self);
    const GATE_CUBIC: (Self, Self);
    const GATE_GRID: Self;

    /// 2ᵏ⁻¹ for the whole number `k` in the last bits of `rounded`, if it is not subnormal.
    fn half_power_of_2(rounded: Self) -> Self;

    /// Two powers of 2 whose product is 2ᵏ, so that it can be subnormal or infinite.
    fn powers_of_2(rounded: Self) -> (Self, Self);

    /// m and k with x = m · 2ᵏ and √½ ≤ m < √2, for x that is positive and finite; and 2⁻ᵏ unless
    /// k is very large.
    fn decompose(self) -> (Self, Self, Self);

    /// a · b + c in one rounding.
    fn fused(self, b: Self, c: Self) -> Self;

    /// The magnitude of `self` with the sign of `sign`.
    fn with_sign_of(self, sign: Self) -> Self;

    /// The nearest whole number; of two, the even one.
    fn ties_to_even(self) -> Self;
}

/// `a · b + c`: fused if the processor can.
#[inline(always)]
fn fma<S: Simd, A: Element>(a: A, b: A, c: A) -> A {
    // WebAssembly has vectors, but would compute a single fused operation in software.
    match S::IS_SCALAR || cfg!(target_family = "wasm") {
        true => a * b + c,
        false => a.fused(b, c),
    }
}

/// `a + b` and what it lost in rounding, by Knuth's formula.
#[inline(always)]
fn exact_sum<A: Element>(a: A, b: A) -> (A, A) {
    let sum = a + b;
    let of_b = sum - a;
    (sum, (a - (sum - of_b)) + (b - of_b))
}

/// The polynomial with these coefficients, that of x⁰ first: Horner's rule, for even and odd powers
/// at once where there are many, since each step waits for the one before.
#[inline(always)]
fn polynomial<S: Simd, A: Element>(x: A, coefficients: &[A]) -> A {
    if coefficients.len() < 6 {
        return horner::<S, A>(x, coefficients.iter());
    }
    let square = x * x;
    let even = horner::<S, A>(square, coefficients.iter().step_by(2));
    let odd = horner::<S, A>(square, coefficients.iter().skip(1).step_by(2));
    fma::<S, A>(odd, x, even)
}

#[inline(always)]
fn horner<'a, S: Simd, A: Element>(
    x: A,
    coefficients: impl DoubleEndedIterator<Item = &'a A> + ExactSizeIterator,
) -> A {
    coefficients.rev().fold(A::ZERO, |sum, &c| fma::<S, A>(sum, x, c))
}

/// `x` in `low ..= high`; NaN stays NaN.
#[inline(always)]
fn clamped<A: Element>(x: A, (low, high): (A, A)) -> A {
    let x = if x < low { low } else { x };
    if x > high { high } else { x }
}

macro_rules! real {
    ($float:ident, $bits:ty, fraction: $fraction:literal, bias: $bias:literal, { $($constants:tt)* }) => {
        impl Real for $float {
            const ROUNDER: Self = 1.5 * (1_u64 << $fraction) as $float;
            const HALF: Self = 0.5;
            const TWO: Self = 2.0;
            const THREE: Self = 3.0;
            const FOUR: Self = 4.0;
            const LOG2_E: Self = std::$float::consts::LOG2_E;
            const LN_2: Self = std::$float::consts::LN_2;
            $($constants)*

            #[inline(always)]
            fn half_power_of_2(rounded: Self) -> Self {
                Self::from_bits(rounded.to_bits().wrapping_add($bias - 1) << $fraction)
            }

            #[inline(always)]
            fn powers_of_2(rounded: Self) -> (Self, Self) {
                // Twice the bias keeps the exponent positive, so that the shift need not know signs.
                let k = rounded.to_bits().wrapping_sub(Self::ROUNDER.to_bits()).wrapping_add(2 * $bias);
                let half = k >> 1;
                (Self::from_bits(half << $fraction), Self::from_bits(k.wrapping_sub(half) << $fraction))
            }

            #[inline(always)]
            fn decompose(self) -> (Self, Self, Self) {
                const ONE: $bits = (1.0 as $float).to_bits();
                const SQRT_HALF: $bits = std::$float::consts::FRAC_1_SQRT_2.to_bits();
                const FRACTION: $bits = (1 << $fraction) - 1;
                const SHIFTED: $float = (1_u64 << $fraction) as $float;
                // A subnormal number is made a normal one.
                let is_small = self < Self::MIN_POSITIVE;
                let bits = (if is_small { self * SHIFTED } else { self }).to_bits();
                let shifted = bits.wrapping_add(ONE - SQRT_HALF);
                let m = Self::from_bits((shifted & FRACTION) + SQRT_HALF);
                // The exponent as a float, without a conversion: it stands below that of `SHIFTED`.
                let biased = Self::from_bits(SHIFTED.to_bits() | (shifted >> $fraction));
                let k = biased - (SHIFTED + $bias as $float);
                let inverse = (2 * $bias as $bits).wrapping_sub(shifted >> $fraction) << $fraction;
                (m, if is_small { k - $fraction as $float } else { k }, Self::from_bits(inverse))
            }

            #[inline(always)]
            fn fused(self, b: Self, c: Self) -> Self {
                self.mul_add(b, c)
            }

            #[inline(always)]
            fn with_sign_of(self, sign: Self) -> Self {
                self.copysign(sign)
            }

            #[inline(always)]
            fn ties_to_even(self) -> Self {
                self.round_ties_even()
            }
        }
    };
}

#[rustfmt::skip] // Tables.
#[allow(clippy::excessive_precision)]
mod tables {
    use super::Real;

    real!(f32, u32, fraction: 23, bias: 127, {
        const LN_2_HIGH: f32 = 355.0 / 512.0;
        const LN_2_LOW: f32 = -2.121_944_4e-4;
        const TINY: f32 = 2.98e-8; // 2⁻²⁵
        const EXP_RANGE: (f32, f32) = (-104.0, 89.0);
        const EXP2_RANGE: (f32, f32) = (-151.0, 129.0);
        const SATURATED: f32 = 20.0;
        // Error of eʳ: 2⁻²⁸.
        const EXP: &[f32] = &[0.49999994, 0.166665196, 0.0416683927, 0.00836878084, 0.00138144777];
        // 2⁻³⁰.
        const LOG: &[f32] = &[0.666667759, 0.399774969, 0.298730731];
        // 2⁻²⁹.
        const ERF: &[f32] = &[
            0.12837917, -0.37612626, 0.112835854, -0.0268538129, 0.00518832775, -0.000801019545, 7.85386801e-05,
        ];
        // 2⁻²⁹.
        const LN_ERFC: &[f32] = &[
            -0.000353719282, -1.12704003, -0.638225675, -0.103037372, 0.0218053181, -0.00293960725, 0.000185573997,
        ];
        const ERF_ONE: f32 = 4.0;
        const NORMAL_ONE: f32 = 15.0;
        // 2⁻²⁵.
        const MILLS: &[f32] = &[
            0.755285144, -0.607896626, 0.387136698, -0.186522678, 0.0604066886,
            -0.00752925081, -0.00352618378, 0.00157231791, 0.000201261733, -0.000120184399,
        ];
        const SQUARE_GRID: f32 = 64.0;
        const GATE_ONE: f32 = 12.0;
        const GATE_LINEAR: (f32, f32) = (13.0 / 8.0, -0.0292308784);
        const GATE_CUBIC: (f32, f32) = (9.0 / 128.0, 0.00104231627);
        const GATE_GRID: f32 = 8.0;
    });

    real!(f64, u64, fraction: 52, bias: 1023, {
        const LN_2_HIGH: f64 = 6.931_471_803_691_238e-1;
        const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;
        const TINY: f64 = 5.55e-17; // 2⁻⁵⁴
        const EXP_RANGE: (f64, f64) = (-746.0, 710.0);
        const EXP2_RANGE: (f64, f64) = (-1076.0, 1025.0);
        const SATURATED: f64 = 40.0;
        // Error of eʳ: 2⁻⁵⁸.
        const EXP: &[f64] = &[
            0.5000000000000011, 0.1666666666666641, 0.04166666666652919, 0.008333333333495627, 0.0013888888943922907,
            0.0001984126950476181, 2.480149276252254e-05, 2.755758734442593e-06, 2.763037871559883e-07, 2.4999964839950197e-08,
        ];
        // 2⁻⁵⁹.
        const LOG: &[f64] = &[
            0.6666666666666735, 0.39999999999411073, 0.28571428743267224, 0.2222219847554133, 0.18183569761484383,
            0.15313902728540543, 0.14797512561536025,
        ];
        // 2⁻⁵⁷.
        const ERF: &[f64] = &[
            0.1283791670955126, -0.3761263890318352, 0.11283791670944185, -0.026866170643111524, 0.005223977606118885,
            -0.0008548325929331682, 0.00012055293577351906, -1.4924712309643737e-05, 1.6447131654160477e-06,
            -1.6206314314998661e-07, 1.3710982496104633e-08, -7.779471875636672e-10,
        ];
        // 2⁻⁵⁵.
        const LN_ERFC: &[f64] = &[
            -1.0817548744577804e-06, -1.1283685492500388, -0.6366682546189601, -0.10263593005891392, 0.018862379846791965,
            0.0005878852931793463, -0.002102435262460507, 0.0009226365710008714, -0.00023218633318581173,
            2.8682092846938235e-05, 3.375180915279347e-06, -2.61068452177029e-06, 6.753759370515055e-07,
            -1.0643364435716452e-07, 1.072635185214062e-08, -6.410753420022785e-10, 1.7403414441984117e-11,
        ];
        const ERF_ONE: f64 = 6.0;
        const NORMAL_ONE: f64 = 40.0;
        // 2⁻⁵³.
        const MILLS: &[f64] = &[
            0.7552851304157515, -0.6078966419718921, 0.38713740074221453, -0.18652185795965726, 0.06039657489093656,
            -0.007540188966726791, -0.003479692367393595, 0.0016308184575887011, 0.00013334431240964574, -0.000231094935169459,
            -1.9082584797734333e-06, 3.5144686053003464e-05, 7.166663245221031e-07, -5.9201733230161025e-06, -6.296965605815823e-07,
            1.0215540371961016e-06, 2.7180452962592834e-07, -1.549649174224745e-07, -8.540841815685125e-08, 1.3280797787310328e-08,
            1.961961086135556e-08, 1.91827702037334e-09, -2.5220994578780736e-09, -7.262419810409579e-10,
        ];
        const SQUARE_GRID: f64 = 64.0;
        const GATE_ONE: f64 = 24.0;
        const GATE_LINEAR: (f64, f64) = (6536.0 / 4096.0, 6.599660573071176e-05);
        const GATE_CUBIC: (f64, f64) = (292.0 / 4096.0, 6.575377260024878e-05);
        const GATE_GRID: f64 = 256.0;
    });
}
