//! How far elementary functions are from the true values, in units in the last place.
//!
//! `f32` is compared with the standard library's `f64`. `f64` is compared with it too, which is
//! itself within one unit, so one more is allowed there.
#![allow(clippy::unwrap_used)] // A failing unwrap fails the test.

use grad_core::TensorLike;
use grad_ndarray::{Element, NdError, NdTensor};

type Method<A> = fn(&NdTensor<A>) -> Result<NdTensor<A>, NdError>;

/// A function of tensors, the true one, and the error that its documentation allows.
struct Function<A: Element> {
    name: &'static str,
    method: Method<A>,
    reference: fn(f64) -> f64,
    units: f64,
}

macro_rules! functions {
    ($($name:ident: $units:literal, $reference:expr;)*) => {
        fn functions<A: Element>() -> Vec<Function<A>> {
            vec![$(Function {
                name: stringify!($name),
                method: TensorLike::$name,
                reference: $reference,
                units: $units,
            }),*]
        }
    };
}

functions! {
    exp: 1.1, f64::exp;
    exp2: 1.2, f64::exp2;
    expm1: 2.0, f64::exp_m1;
    ln: 1.0, f64::ln;
    log1p: 1.5, f64::ln_1p;
    log2: 2.0, f64::log2;
    tanh: 2.5, f64::tanh;
    sigmoid: 2.5, |x| if x < 0.0 { x.exp() / (1.0 + x.exp()) } else { 1.0 / (1.0 + (-x).exp()) };
    logistic_density: 4.0, |x| (-x.abs()).exp() / (1.0 + (-x.abs()).exp()).powi(2);
    softplus: 2.0, |x| x.max(0.0) + (-x.abs()).exp().ln_1p();
    erf: 1.5, libm::erf;
    normal_cdf: 6.0, grad_core::extend::normal_cdf;
    normal_cdf_tanh: 6.0, grad_core::extend::normal_cdf_tanh;
    sin: 1.5, f64::sin;
    cos: 1.5, f64::cos;
}

/// How many units in the last place of `wanted`, rounded to `f32`, there are between the two.
fn units(got: f32, wanted: f64) -> f64 {
    let rounded = wanted as f32;
    if got == rounded || (got.is_nan() && rounded.is_nan()) {
        return 0.0;
    }
    // The exponent of the unit: that of the number less 23, but no less than that of subnormals.
    let exponent = ((rounded.abs().to_bits() >> 23) as i32).max(1) - 150;
    (f64::from(got) - wanted).abs() / f64::from(exponent).exp2()
}

/// Checks every function at every `stride`th `f32`.
fn check_f32(stride: usize) {
    let all: Vec<u32> = (0..=u32::MAX).step_by(stride).collect();
    for Function { name, method, reference, units: allowed } in functions::<f32>() {
        for bits in all.chunks(1 << 20) {
            let x: Vec<f32> = bits.iter().map(|&bits| f32::from_bits(bits)).collect();
            let y = method(&NdTensor::from(x.clone())).unwrap();
            for (&x, &y) in x.iter().zip(&y.view()) {
                let wanted = reference(f64::from(x));
                let error = units(y, wanted);
                assert!(error <= allowed, "{name}({x:e}): {y:e} is {error} units from {wanted:e}");
            }
        }
    }
}

#[test]
fn f32_functions_are_within_their_units() {
    check_f32(40_009);
}

/// Takes minutes with optimization, and hours without.
#[test]
#[ignore = "four thousand million numbers"]
fn f32_functions_are_so_everywhere() {
    check_f32(1);
}

#[test]
fn f64_functions_are_within_their_units() {
    // Dense where functions bend, then over all exponents.
    let bend = (-60_000..60_000).map(|i| f64::from(i) * 1.23e-4);
    let wide = (-40_000..40_000).map(|i| f64::from(i) * 0.021_7);
    let all = (0..=u64::MAX).step_by(40_000_000_000_007 * 11).map(f64::from_bits);
    let x: Vec<f64> = bend.chain(wide).chain(all).collect();
    for Function { name, method, reference, units } in functions::<f64>() {
        let y = method(&NdTensor::from(x.clone())).unwrap();
        for (&x, &y) in x.iter().zip(&y.view()) {
            let wanted = reference(x);
            let places = y.to_bits().abs_diff(wanted.to_bits());
            let same = y == wanted || (y.is_nan() && wanted.is_nan());
            let close = same || places as f64 <= units + 1.0;
            assert!(close, "{name}({x:e}): {y:e} is {places} places from {wanted:e}");
        }
    }
}

/// A function of one number of either type, whose result is compared to the bit, but for NaN.
fn check<A: Element>(name: &str, x: A, expected: A) {
    let function = functions::<A>().into_iter().find(|function| function.name == name).unwrap();
    // Beside others, and alone.
    let y = (function.method)(&NdTensor::from(vec![x; 37])).unwrap();
    let alone = (function.method)(&NdTensor::from(x)).unwrap();
    for &y in y.view().iter().chain(&alone.view()) {
        let same = y == expected && y.is_sign_negative() == expected.is_sign_negative();
        assert!(same || (y.is_nan() && expected.is_nan()), "{name}({x:e}) = {y:e}");
    }
}

/// [`check`] for both types.
fn check_both(name: &str, x: f64, expected: f64) {
    check(name, x as f32, expected as f32);
    check(name, x, expected);
}

const INF: f64 = f64::INFINITY;
const NAN: f64 = f64::NAN;

#[test]
fn functions_of_nan_are_nan() {
    for Function { name, .. } in functions::<f64>() {
        check_both(name, NAN, NAN);
        check_both(name, -NAN, NAN);
    }
}

#[test]
fn functions_of_infinity_are_their_limits() {
    for name in ["exp", "exp2", "expm1", "ln", "log1p", "log2", "softplus"] {
        check_both(name, INF, INF);
    }
    for name in ["exp", "exp2", "sigmoid", "softplus"] {
        check_both(name, -INF, 0.0);
    }
    for name in ["sigmoid", "tanh", "erf"] {
        check_both(name, INF, 1.0);
    }
    for name in ["expm1", "tanh", "erf"] {
        check_both(name, -INF, -1.0);
    }
    for (name, x) in [("sin", INF), ("sin", -INF), ("cos", INF), ("cos", -INF)] {
        check_both(name, x, NAN);
    }
}

#[test]
fn logarithms_of_negative_numbers_are_nan() {
    for (name, end) in [("ln", 0.0), ("log2", 0.0), ("log1p", -1.0)] {
        check_both(name, end, -INF);
        check(name, (end as f32).next_down(), f32::NAN);
        check(name, end.next_down(), NAN);
        check_both(name, -INF, NAN);
    }
    check_both("ln", -0.0, -INF);
    check_both("log2", -0.0, -INF);
}

const ODD: [&str; 5] = ["expm1", "log1p", "tanh", "erf", "sin"];

#[test]
fn zeros_keep_their_sign() {
    for zero in [0.0, -0.0] {
        for name in ODD {
            check_both(name, zero, zero);
        }
        for name in ["exp", "exp2", "cos"] {
            check_both(name, zero, 1.0);
        }
        check_both("sigmoid", zero, 0.5);
        check_both("softplus", zero, std::f64::consts::LN_2);
    }
    check_both("ln", 1.0, 0.0);
    check_both("log2", 1.0, 0.0);
}

#[test]
fn subnormal_numbers_are_not_flushed_to_zero() {
    for bits in [1, 2, 3, 0x1234, 0x7f_ffff] {
        let (single, double) = (f32::from_bits(bits), f64::from_bits(bits.into()));
        for name in ["expm1", "log1p", "tanh", "sin"] {
            check(name, single, single);
            check(name, -single, -single);
            check(name, double, double);
            check(name, -double, -double);
        }
        // The slope of erf is 2/√π; below half a unit of the result, so is an error of one.
        check("erf", single, (f64::from(single) * std::f64::consts::FRAC_2_SQRT_PI) as f32);
        for name in ["exp", "exp2", "cos"] {
            check(name, single, 1.0);
            check(name, -double, 1.0);
        }
    }
    // 2⁻¹⁴⁹ and 2⁻¹⁰⁷⁴.
    check("log2", f32::from_bits(1), -149.0);
    check("log2", f64::from_bits(1), -1074.0);
    check("ln", f32::from_bits(1), -103.278_93);
    check("ln", f64::from_bits(1), -744.440_071_921_381_2);
    // Results that are subnormal.
    check("exp2", -149.0_f32, f32::from_bits(1));
    check("exp2", -1074.0_f64, f64::from_bits(1));
    check("exp2", -140.0_f32, f32::from_bits(1 << 9));
    check("exp", -103.5_f32, f32::from_bits(1));
    check("exp", -745.0_f64, f64::from_bits(1));
    check("sigmoid", -103.5_f32, f32::from_bits(1));
    check("softplus", -745.0_f64, f64::from_bits(1));
}

#[test]
fn overflow_and_underflow_begin_where_they_should() {
    // The logarithms of the largest number, and of half the smallest, and their neighbors.
    check("exp", 88.722_83_f32, 3.402_798_5e38);
    check("exp", 88.722_84_f32, f32::INFINITY);
    check("exp", -103.972_08_f32, f32::from_bits(1));
    check("exp", (-103.972_08_f32).next_down(), 0.0);
    check("exp", 709.782_712_893_384_f64.next_up(), INF);
    check("exp", -745.133_219_101_941_1_f64, f64::from_bits(1));
    check("exp", -745.133_219_101_941_2_f64, 0.0);
    check("expm1", 88.722_84_f32, f32::INFINITY);
    check("expm1", 709.782_712_893_384_f64.next_up(), INF);
    check("exp2", 128.0_f32, f32::INFINITY);
    check("exp2", 1024.0_f64, INF);
    check("exp2", 127.0_f32, 2.0_f32.powi(127));
    check("exp2", 1023.0_f64, 2.0_f64.powi(1023));
    // Half the smallest number is rounded to the even neighbor, 0.
    check("exp2", -150.0_f32, 0.0);
    check("exp2", -1075.0_f64, 0.0);
    for (name, at_most, at_least) in
        [("exp", INF, 0.0), ("exp2", INF, 0.0), ("expm1", INF, -1.0), ("tanh", 1.0, -1.0)]
    {
        for x in [f64::MAX, f64::from(f32::MAX), 1e30] {
            check_both(name, x, at_most);
            check_both(name, -x, at_least);
        }
    }
    for x in [f64::MAX, f64::from(f32::MAX), 1e30] {
        check_both("softplus", x, x);
        check_both("softplus", -x, 0.0);
        check_both("sigmoid", x, 1.0);
        check_both("sigmoid", -x, 0.0);
        check_both("erf", x, 1.0);
        check_both("erf", -x, -1.0);
    }
}

#[test]
fn angles_far_from_zero_are_reduced_exactly() {
    // sin 10²² = −0.8522008497671888…, which almost every wrong reduction misses.
    check("sin", 1e22_f64, -0.852_200_849_767_188_8);
    check("cos", 1e22_f64, 0.523_214_785_395_139);
}

/// Every length up to several vectors, so that each element is once among the last.
fn check_places<A: Element>() {
    for Function { name, method, .. } in functions::<A>() {
        let value = A::from_f64(0.731);
        let alone = method(&NdTensor::from(value)).unwrap().view()[[]];
        for n in 1..70 {
            for x in method(&NdTensor::from(vec![value; n])).unwrap().view() {
                assert_eq!(*x, alone, "{name} of {n} elements");
            }
        }
    }
}

#[test]
fn an_element_has_the_same_value_at_every_place() {
    check_places::<f32>();
    check_places::<f64>();
}
