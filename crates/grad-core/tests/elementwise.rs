//! The elementwise functions: values and derivatives against closed forms, at the corners too.
//!
//! Each corner of the list of traps where PyTorch and JAX differ, or where both answer NaN, says so.
#![allow(clippy::unwrap_used)]

use std::f64::consts::{FRAC_2_SQRT_PI, FRAC_PI_2, LN_2, LN_10, PI};

use grad_conformance::Reference;
use grad_core::inspect::NodeKind;
use grad_core::{Error, Tape, TensorLike, Var};

const INFINITY: f64 = f64::INFINITY;
const NEG_INFINITY: f64 = f64::NEG_INFINITY;
const NAN: f64 = f64::NAN;

type Scalar<'t> = Var<'t, f64>;
type Unary = for<'t> fn(Scalar<'t>) -> Scalar<'t>;
type Binary = for<'t> fn(Scalar<'t>, Scalar<'t>) -> Scalar<'t>;
type Tested = Result<(), Error>;

/// `[f(x), f′(x), …]` to order 3 by repeated reverse mode. On the way, the plain sweep and forward
/// mode must give the same first derivative, and forward over reverse the same higher ones.
fn derivatives(f: impl for<'t> Fn(Scalar<'t>) -> Scalar<'t>, at: f64) -> [f64; 4] {
    let tape = Tape::<f64>::new();
    let x = tape.var(at);
    let one = tape.constant(1.0);
    let mut y = f(x);
    let mut all = [y.item().unwrap(); 4];
    for (order, derivative) in all.iter_mut().enumerate().skip(1) {
        let next = tape.grad(y, x);
        *derivative = next.item().unwrap();
        let others = [tape.backward(y, x).unwrap(), tape.jvp(y, [(x, one)]).item().unwrap()];
        for other in others {
            assert_close(other, *derivative, &format!("order {order} at {at}, another way"));
        }
        y = next;
    }
    all
}

/// `f`, its gradient and its Hessian at (x, y): `[f, f_x, f_y, f_xx, f_xy, f_yx, f_yy]`.
fn derivatives_2(
    f: impl for<'t> Fn(Scalar<'t>, Scalar<'t>) -> Scalar<'t>,
    at: (f64, f64),
) -> [f64; 7] {
    let tape = Tape::<f64>::new();
    let (x, y) = (tape.var(at.0), tape.var(at.1));
    let z = f(x, y);
    let [dx, dy] = tape.grad(z, [x, y]);
    let [dxx, dxy] = tape.grad(dx, [x, y]);
    let [dyx, dyy] = tape.grad(dy, [x, y]);
    [z, dx, dy, dxx, dxy, dyx, dyy].map(|d| d.item().unwrap())
}

/// Equal to about 12 digits; NaN equals NaN.
fn assert_close(got: f64, wanted: f64, what: &str) {
    let tolerance = 1e-12 * f64::max(1.0, f64::abs(wanted));
    let close = got == wanted || f64::abs(got - wanted) <= tolerance;
    assert!(close || (got.is_nan() && wanted.is_nan()), "{what}: got {got}, wanted {wanted}");
}

fn assert_all_close<const N: usize>(got: [f64; N], wanted: [f64; N], what: &str) {
    for (i, (got, wanted)) in got.into_iter().zip(wanted).enumerate() {
        assert_close(got, wanted, &format!("{what} [{i}] of {:?}", wanted));
    }
}

/// The elements of a gradient, and of the gradient of its sum, as the list of traps states them.
fn trap(f: impl for<'t> Fn(Var<'t, Reference>) -> Var<'t, Reference>, at: &[f64]) -> [Vec<f64>; 3] {
    let tape = Tape::<Reference>::new();
    let x = tape.var(at.to_vec());
    let y = f(x);
    let ones = y.ones_like();
    let [dx] = tape.vjp(y, ones, [x]);
    let [ddx] = tape.grad(dx.sum(), [x]);
    [y, dx, ddx].map(|d| d.to_host().unwrap())
}

/// Equality of floats in which NaN equals NaN.
fn same(got: &[f64], wanted: &[f64]) -> bool {
    got.len() == wanted.len()
        && got.iter().zip(wanted).all(|(g, w)| g == w || (g.is_nan() && w.is_nan()))
}

#[test]
fn exponentials_and_logarithms_have_their_derivatives() {
    for x in [0.3_f64, 1.0, 2.5] {
        let e = f64::exp(x);
        assert_all_close(derivatives(|x| x.expm1(), x), [f64::exp_m1(x), e, e, e], "expm1");
        let p = f64::exp2(x);
        let exp2 = [p, p * LN_2, p * LN_2.powi(2), p * LN_2.powi(3)];
        assert_all_close(derivatives(|x| x.exp2(), x), exp2, "exp2");
        let [a, b, c] = [1.0 / x, -1.0 / (x * x), 2.0 / (x * x * x)]; // of ln x
        let log2 = [f64::log2(x), a / LN_2, b / LN_2, c / LN_2];
        assert_all_close(derivatives(|x| x.log2(), x), log2, "log2");
        let log10 = [f64::log10(x), a / LN_10, b / LN_10, c / LN_10];
        assert_all_close(derivatives(|x| x.log10(), x), log10, "log10");
        let log1p = [f64::ln_1p(x - 1.0), a, b, c];
        assert_all_close(derivatives(|x| (x - 1.0).log1p(), x), log1p, "log1p");
        let g = FRAC_2_SQRT_PI * f64::exp(-x * x);
        let erf = [libm::erf(x), g, -2.0 * x * g, (4.0 * x * x - 2.0) * g];
        assert_all_close(derivatives(|x| x.erf(), x), erf, "erf");
    }
}

#[test]
fn trigonometric_functions_have_their_derivatives() {
    for x in [-0.9_f64, -0.2, 0.0, 0.7] {
        let t = f64::tan(x);
        let s = 1.0 + t * t;
        let tan = [t, s, 2.0 * t * s, 2.0 * s * (1.0 + 3.0 * t * t)];
        assert_all_close(derivatives(|x| x.tan(), x), tan, "tan");
        let r = 1.0 / f64::sqrt(1.0 - x * x);
        let [a, b, c] = [r, x * r.powi(3), (1.0 + 2.0 * x * x) * r.powi(5)];
        assert_all_close(derivatives(|x| x.asin(), x), [f64::asin(x), a, b, c], "asin");
        assert_all_close(derivatives(|x| x.acos(), x), [f64::acos(x), -a, -b, -c], "acos");
        let q = 1.0 / (1.0 + x * x);
        let atan = [f64::atan(x), q, -2.0 * x * q * q, (6.0 * x * x - 2.0) * q.powi(3)];
        assert_all_close(derivatives(|x| x.atan(), x), atan, "atan");
    }
}

#[test]
fn hyperbolic_functions_have_their_derivatives() {
    for x in [-0.9_f64, -0.2, 0.0, 0.7] {
        let (s, c) = (f64::sinh(x), f64::cosh(x));
        assert_all_close(derivatives(|x| x.sinh(), x), [s, c, s, c], "sinh");
        assert_all_close(derivatives(|x| x.cosh(), x), [c, s, c, s], "cosh");
        let r = 1.0 / f64::sqrt(1.0 + x * x);
        let asinh = [libm::asinh(x), r, -x * r.powi(3), (2.0 * x * x - 1.0) * r.powi(5)];
        assert_all_close(derivatives(|x| x.asinh(), x), asinh, "asinh");
        let q = 1.0 / (1.0 - x * x);
        let atanh = [libm::atanh(x), q, 2.0 * x * q * q, (2.0 + 6.0 * x * x) * q.powi(3)];
        assert_all_close(derivatives(|x| x.atanh(), x), atanh, "atanh");
    }
    for x in [1.1_f64, 2.0, 30.0] {
        let r = 1.0 / f64::sqrt(x * x - 1.0);
        let acosh = [libm::acosh(x), r, -x * r.powi(3), (2.0 * x * x + 1.0) * r.powi(5)];
        let got = derivatives(|x| x.acosh(), x);
        for (got, wanted) in got.into_iter().zip(acosh) {
            assert!(f64::abs(got - wanted) <= 1e-11 * f64::abs(wanted), "acosh {got} {wanted}");
        }
    }
}

#[test]
fn powers_have_their_derivatives() {
    for x in [0.3_f64, 1.0, 2.5] {
        let square = [x * x, 2.0 * x, 2.0, 0.0];
        assert_all_close(derivatives(|x| x.square(), x), square, "square");
        let r = 1.0 / f64::sqrt(x);
        let rsqrt = [r, -0.5 * r.powi(3), 0.75 * r.powi(5), -1.875 * r.powi(7)];
        assert_all_close(derivatives(|x| x.rsqrt(), x), rsqrt, "rsqrt");
        assert_all_close(
            derivatives(|x| x.affine(2.5, -0.75), x),
            [2.5 * x - 0.75, 2.5, 0.0, 0.0],
            "affine",
        );
        // d/dx xˣ = xˣ (ln x + 1), and so on
        let (p, l) = (f64::powf(x, x), f64::ln(x) + 1.0);
        let xx = [p, p * l, p * (l * l + 1.0 / x), p * (l.powi(3) + 3.0 * l / x - 1.0 / (x * x))];
        assert_all_close(derivatives(|x| x.pow(x), x), xx, "x^x");
    }
}

#[test]
fn activations_have_their_derivatives() {
    for x in [-2.5_f64, -0.4, 0.0, 0.8, 3.0] {
        let s = 1.0 / (1.0 + f64::exp(-x));
        let d1 = s * (1.0 - s);
        let (d2, d3) = (d1 * (1.0 - 2.0 * s), d1 * (1.0 - 6.0 * d1));
        assert_all_close(derivatives(|x| x.sigmoid(), x), [s, d1, d2, d3], "sigmoid");
        let softplus = f64::ln_1p(f64::exp(x));
        assert_all_close(derivatives(|x| x.softplus(), x), [softplus, s, d1, d2], "softplus");
        let log_sigmoid = [f64::ln(s), 1.0 - s, -d1, -d2];
        assert_all_close(derivatives(|x| x.log_sigmoid(), x), log_sigmoid, "log_sigmoid");
        let silu = [x * s, s + x * d1, 2.0 * d1 + x * d2, 3.0 * d2 + x * d3];
        assert_all_close(derivatives(|x| x.silu(), x), silu, "silu");
        let phi = f64::exp(-x * x / 2.0) / f64::sqrt(2.0 * PI);
        let cdf = 0.5 * (1.0 + libm::erf(x / f64::sqrt(2.0)));
        let gelu = [x * cdf, cdf + x * phi, (2.0 - x * x) * phi, (x * x - 4.0) * x * phi];
        assert_all_close(derivatives(|x| x.gelu(), x), gelu, "gelu");
        let u = f64::sqrt(2.0 / PI) * (x + 0.044715 * x * x * x);
        let (t, k) = (f64::tanh(u), f64::sqrt(2.0 / PI));
        let (u1, u2) = (k * (1.0 + 3.0 * 0.044715 * x * x), k * 6.0 * 0.044715 * x);
        let c = 1.0 - t * t;
        let first = 0.5 * (1.0 + t) + 0.5 * x * c * u1;
        let second = c * u1 + 0.5 * x * c * (u2 - 2.0 * t * u1 * u1);
        let [y, got_1, got_2, _] = derivatives(|x| x.gelu_tanh(), x);
        assert_all_close([y, got_1, got_2], [0.5 * x * (1.0 + t), first, second], "gelu_tanh");
        let elu = match x > 0.0 {
            true => [x, 1.0, 0.0, 0.0],
            false => {
                [1.3 * f64::exp_m1(x), 1.3 * f64::exp(x), 1.3 * f64::exp(x), 1.3 * f64::exp(x)]
            }
        };
        assert_all_close(derivatives(|x| x.elu(1.3), x), elu, "elu");
        let slope = if x > 0.0 { 1.0 } else { 0.1 };
        assert_all_close(
            derivatives(|x| x.leaky_relu(0.1), x),
            [slope * x, slope, 0.0, 0.0],
            "leaky_relu",
        );
    }
}

#[test]
fn functions_of_two_arguments_have_their_derivatives() {
    for (x, y) in [(0.7_f64, 1.9_f64), (2.1, -0.6), (1.3, 0.4)] {
        let (p, l) = (f64::powf(x, y), f64::ln(x));
        let mixed = p / x * (1.0 + y * l);
        let pow = [p, y * p / x, p * l, y * (y - 1.0) * p / x / x, mixed, mixed, p * l * l];
        assert_all_close(derivatives_2(|x, y| x.pow(y), (x, y)), pow, "pow");
        let r = x * x + y * y;
        let (fxx, fxy) = (-2.0 * x * y / r / r, (x * x - y * y) / r / r);
        // Of the angle of (y, x): the first argument is the ordinate.
        let atan2 = [f64::atan2(x, y), y / r, -x / r, fxx, -fxy * -1.0, fxy, -fxx];
        assert_all_close(derivatives_2(|x, y| x.atan2(y), (x, y)), atan2, "atan2");
        let s = 1.0 / (1.0 + f64::exp(y - x));
        let (z, d) = (f64::ln(f64::exp(x) + f64::exp(y)), s * (1.0 - s));
        let logaddexp = [z, s, 1.0 - s, d, -d, -d, d];
        assert_all_close(derivatives_2(|x, y| x.logaddexp(y), (x, y)), logaddexp, "logaddexp");
        let xlogy = [y * l, l, y / x, 0.0, 1.0 / x, 1.0 / x, -y / x / x];
        assert_all_close(derivatives_2(|x, y| x.xlogy(y), (y, x)), xlogy, "xlogy");
    }
}

#[test]
fn pow_has_third_derivatives_in_base_and_exponent() -> Tested {
    let (x0, y0) = (1.7_f64, 2.3_f64);
    let tape = Tape::<f64>::new();
    let (x, y) = (tape.var(x0), tape.var(y0));
    let (p, l) = (f64::powf(x0, y0), f64::ln(x0));
    let dyy = tape.grad(tape.grad(x.pow(y), y), y);
    let [dyyx, dyyy] = tape.grad(dyy, [x, y]);
    assert_close(dyyy.item()?, p * l.powi(3), "yyy");
    assert_close(dyyx.item()?, p / x0 * (y0 * l * l + 2.0 * l), "yyx");
    let [dyxx] = tape.grad(tape.grad(tape.grad(x.pow(y), y), x), [x]);
    // d/dy of y (y − 1) xʸ⁻²
    let wanted = p / x0 / x0 * (2.0 * y0 - 1.0 + y0 * (y0 - 1.0) * l);
    assert_close(dyxx.item()?, wanted, "yxx");
    Ok(())
}

// The corners of powers.

#[test]
fn x_to_the_zero_is_one_with_derivative_zero_also_at_zero() {
    for x in [0.0, 2.0, -1.0] {
        let [z, dx, _, dxx, ..] = derivatives_2(|x, y| x.pow(y), (x, 0.0));
        assert_eq!((z, dx), (1.0, 0.0), "at {x}");
        // y (y − 1) x^(y − 2) is 0 · ∞ at x = 0: the zero of a tracked exponent is live.
        assert!(if x == 0.0 { dxx.is_nan() } else { dxx == 0.0 }, "at {x}");
    }
    // trap pow_x0, constant exponent
    let [y, dx, ddx] = trap(|x| x.powf(0.0), &[0.0, 2.0]);
    assert_eq!((y, dx, ddx), (vec![1.0; 2], vec![0.0; 2], vec![0.0; 2]));
}

#[test]
fn zero_to_the_zero_has_derivative_zero_in_the_exponent_as_in_pytorch_and_jax() {
    assert_eq!(derivatives_2(|x, y| x.pow(y), (0.0, 0.0))[..3], [1.0, 0.0, 0.0]);
}

#[test]
fn zero_squared_has_second_derivative_two() {
    assert_eq!(derivatives_2(|x, y| x.pow(y), (0.0, 2.0)), [0.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0]);
    assert_eq!(derivatives(|x| x.pow(2.0), 0.0), [0.0, 0.0, 2.0, 0.0]);
    assert_eq!(derivatives(|x| x.pow(3.0), 0.0), [0.0, 0.0, 0.0, 6.0]);
    assert_eq!(derivatives(|x| x.pow(1.0), 0.0), [0.0, 1.0, 0.0, 0.0]);
    assert_eq!(derivatives(|x| x.square(), 0.0), [0.0, 0.0, 2.0, 0.0]);
}

#[test]
fn zero_to_a_positive_power_does_not_change_with_the_exponent() -> Tested {
    let tape = Tape::<f64>::new();
    let (x, y) = (tape.var(0.0), tape.var(0.5));
    let dy = tape.grad(x.pow(y), y);
    let dyy = tape.grad(dy, y);
    let dyyy = tape.grad(dyy, y);
    assert_eq!([dy.item()?, dyy.item()?, dyyy.item()?], [0.0; 3]);
    Ok(())
}

#[test]
fn negative_base_with_a_whole_exponent_has_derivatives_in_the_base() {
    // trap pow_neg_base
    let [z, dx, dy, dxx, ..] = derivatives_2(|x, y| x.pow(y), (-2.0, 3.0));
    assert_eq!((z, dx, dxx), (-8.0, 12.0, -12.0));
    assert!(dy.is_nan());
    assert_eq!(derivatives(|x| x.pow(3.0), -2.0), [-8.0, 12.0, -12.0, 6.0]);
}

#[test]
fn zero_cotangent_stops_at_a_negative_base() -> Tested {
    let tape = Tape::<f64>::new();
    let (x, y) = (tape.var(-2.0), tape.var(0.5));
    let masked = x.gt(0.0).where_(x.pow(y), 0.0);
    assert_eq!(tape.backward(masked, [x, y])?, [0.0, 0.0]);
    let [dx, dy] = tape.grad(masked, [x, y]);
    assert_eq!(tape.backward(dx + dy, [x, y])?, [0.0, 0.0]);
    Ok(())
}

#[test]
fn negative_base_with_a_fractional_exponent_is_nan() {
    // trap pow_neg_frac
    for all in trap(|x| x.pow(0.5), &[-2.0]) {
        assert!(all[0].is_nan());
    }
}

#[test]
fn reciprocal_power_of_zero_is_infinite_with_infinite_derivatives() {
    // trap pow_xneg_0
    assert_eq!(derivatives(|x| x.pow(-1.0), 0.0)[..3], [INFINITY, NEG_INFINITY, INFINITY]);
    assert_eq!(derivatives(|x| x.powf(-1.0), 0.0)[..3], [INFINITY, NEG_INFINITY, INFINITY]);
    assert_eq!(derivatives(|x| x.rsqrt(), 0.0)[..3], [INFINITY, NEG_INFINITY, INFINITY]);
}

#[test]
fn exponent_broadcasts_and_its_cotangent_is_summed() -> Tested {
    let tape = Tape::<Reference>::new();
    let (x, y) = (tape.var(vec![1.0, 2.0, 4.0]), tape.var(2.0));
    let [dx, dy] = tape.backward(x.pow(y).sum(), [x, y])?;
    assert_eq!(dx.data(), [2.0, 4.0, 8.0]);
    assert_close(dy.data()[0], 4.0 * LN_2 + 16.0 * 2.0 * LN_2, "dy"); // Σ x² ln x
    assert_eq!(dy.shape(), [0; 0]);
    Ok(())
}

// The corners of the trigonometric and hyperbolic functions.

#[test]
fn inverse_functions_have_infinite_derivatives_at_the_ends_of_their_domain() {
    // trap asin_1
    assert_eq!(derivatives(|x| x.asin(), 1.0), [FRAC_PI_2, INFINITY, INFINITY, INFINITY]);
    assert_eq!(derivatives(|x| x.asin(), -1.0), [-FRAC_PI_2, INFINITY, NEG_INFINITY, INFINITY]);
    assert_eq!(derivatives(|x| x.acos(), 1.0), [0.0, NEG_INFINITY, NEG_INFINITY, NEG_INFINITY]);
    assert_eq!(derivatives(|x| x.atanh(), 1.0), [INFINITY; 4]);
    let at_minus_one = [NEG_INFINITY, INFINITY, NEG_INFINITY, INFINITY];
    assert_eq!(derivatives(|x| x.atanh(), -1.0), at_minus_one);
    assert_eq!(derivatives(|x| x.acosh(), 1.0), [0.0, INFINITY, NEG_INFINITY, INFINITY]);
}

#[test]
fn inverse_functions_are_nan_beyond_their_domain() {
    for f in [|x| x.asin(), |x| x.acos(), |x| x.atanh()] as [Unary; 3] {
        assert!(f(Tape::<f64>::new().var(1.5)).item().unwrap().is_nan());
    }
    for x in [0.5, -1.5] {
        assert!(derivatives(|x| x.acosh(), x)[..2].iter().all(|d| d.is_nan()));
    }
    assert!(derivatives(|x| x.asin(), 1.5)[1].is_nan());
}

#[test]
fn derivatives_of_inverse_functions_keep_their_digits_near_one() {
    let d = 1e-10_f64;
    let x = 1.0 - d;
    let d = 1.0 - x; // exactly
    let r = 1.0 / f64::sqrt(d * (2.0 - d));
    for (got, wanted) in [
        (derivatives(|x| x.asin(), x)[1], r),
        (derivatives(|x| x.asin(), x)[2], x * r * r * r),
        (derivatives(|x| x.atanh(), x)[1], r * r),
        (derivatives(|x| x.atanh(), x)[2], 2.0 * x * r.powi(4)),
        (derivatives(|x| x.acosh(), 1.0 + d)[1], 1.0 / f64::sqrt(d * (2.0 + d))),
    ] {
        assert!(f64::abs(got / wanted - 1.0) < 1e-14, "{got} {wanted}");
    }
}

#[test]
fn zero_cotangent_stops_where_a_derivative_is_infinite_or_nan() -> Tested {
    let cases: [(Unary, f64); 20] = [
        (|x| x.asin(), 1.0),
        (|x| x.asin(), 2.0),
        (|x| x.acos(), -1.0),
        (|x| x.atanh(), 1.0),
        (|x| x.acosh(), 1.0),
        (|x| x.acosh(), 0.0),
        (|x| x.tan(), INFINITY),
        (|x| x.sinh(), 1e4),
        (|x| x.cosh(), -1e4),
        (|x| x.exp(), 1e4),
        (|x| x.exp2(), 1e4),
        (|x| x.expm1(), 1e4),
        (|x| x.ln(), 0.0),
        (|x| x.log2(), 0.0),
        (|x| x.log10(), 0.0),
        (|x| x.log1p(), -1.0),
        (|x| x.rsqrt(), 0.0),
        (|x| x.rsqrt(), -1.0),
        (|x| x.sqrt(), 0.0),
        (|x| x.recip(), 0.0),
    ];
    for (i, (f, at)) in cases.into_iter().enumerate() {
        let tape = Tape::<f64>::new();
        let x = tape.var(at);
        let (never, one) = (tape.constant(0.0), tape.constant(1.0));
        let y = never.where_(f(x), x * 3.0);
        let dx = tape.grad(y, x);
        assert_eq!(dx.item()?, 3.0, "case {i}");
        assert_eq!(tape.backward(y, x)?, 3.0, "case {i}, plain");
        assert_eq!(tape.jvp(y, [(x, one)]).item()?, 3.0, "case {i}, forward");
        let ddx = tape.grad(dx, x);
        assert_eq!(ddx.item()?, 0.0, "case {i}, second order");
        assert_eq!(tape.jvp(dx, [(x, one)]).item()?, 0.0, "case {i}, forward over reverse");
        assert_eq!(tape.backward(ddx, x)?, 0.0, "case {i}, third order");
        assert_eq!(tape.jvp(ddx, [(x, one)]).item()?, 0.0, "case {i}, third order, forward");
    }
    Ok(())
}

#[test]
fn tangent_next_to_its_pole_is_large_and_finite() {
    // trap tan_pi2
    let [y, dx, ddx, _] = derivatives(|x| x.tan(), FRAC_PI_2);
    assert!(f64::abs(y / 1.633123935319537e16 - 1.0) < 1e-12);
    assert!(f64::abs(dx / 2.6670937881135714e32 - 1.0) < 1e-12);
    assert!(f64::abs(ddx / 8.711389406220654e48 - 1.0) < 1e-12);
}

#[test]
fn atan2_knows_all_quadrants_and_has_no_derivative_at_the_origin() -> Tested {
    for (y, x) in [(1.0, 2.0), (1.0, -2.0), (-1.0, -2.0), (-1.0, 2.0), (3.0, 0.0), (0.0, -2.0)] {
        let r = x * x + y * y;
        let [angle, dy, dx, ..] = derivatives_2(|x, y| x.atan2(y), (y, x));
        assert_all_close([angle, dy, dx], [f64::atan2(y, x), x / r, -y / r], "atan2");
    }
    let tape = Tape::<f64>::new();
    let (y, x) = (tape.var(0.0), tape.var(0.0));
    let angle = y.atan2(x);
    assert_eq!(angle.item()?, 0.0);
    assert!(tape.backward(angle, [y, x])?.iter().all(|d| d.is_nan()));
    let masked = tape.constant(0.0).where_(angle, 0.0);
    assert_eq!(tape.backward(masked, [y, x])?, [0.0, 0.0]);
    Ok(())
}

#[test]
fn atan2_has_its_derivatives_where_squares_over_or_underflow() {
    // At x = y = r: x / (x² + y²) = 1 / 2r, and ∂²/∂y² = −2xy / (x² + y²)² = −1 / 2r².
    for r in [1e-200, 1e-160, 1e-120, 1e120, 1e160, 1e200] {
        let [_, dy, dx, dyy, dyx, ..] = derivatives_2(|x, y| x.atan2(y), (r, r));
        assert_all_close([2.0 * r * dy, 2.0 * r * dx], [1.0, -1.0], "slopes");
        if (1e-150..1e150).contains(&r) {
            assert_all_close([2.0 * r * r * dyy, r * r * dyx], [-1.0, 0.0], "curvature");
        }
    }
    // One is negligible, or infinite: atan2(y, x) is about y/x, and a quarter turn less x/y.
    let [_, dy, dx, ..] = derivatives_2(|x, y| x.atan2(y), (1e-300, 1e-100));
    assert_all_close([dy / 1e100, dx / 1e-100], [1.0, -1.0], "near the axis");
    let [_, _, dx, ..] = derivatives_2(|x, y| x.atan2(y), (1.0, INFINITY));
    assert_eq!(dx, 0.0);
}

#[test]
fn functions_that_saturate_have_derivative_zero_at_infinity_to_every_order() {
    for x in [NEG_INFINITY, INFINITY, 1e200, -1e200] {
        let sign = f64::signum(x);
        assert_all_close(derivatives(|x| x.atan(), x), [sign * FRAC_PI_2, 0.0, 0.0, 0.0], "atan");
        assert_all_close(derivatives(|x| x.erf(), x), [sign, 0.0, 0.0, 0.0], "erf");
        assert_all_close(derivatives(|x| x.tanh(), x), [sign, 0.0, 0.0, 0.0], "tanh");
        // 1 / √(1 + x²), which is 1 / |x| to all digits.
        assert_eq!(derivatives(|x| x.asinh(), x)[1..], [1.0 / x.abs(), 0.0, 0.0], "asinh");
    }
    assert_eq!(derivatives(|x| x.acosh(), INFINITY), [INFINITY, 0.0, 0.0, 0.0]);
    assert_eq!(derivatives(|x| x.rsqrt(), INFINITY), [0.0; 4]);
}

#[test]
fn tanh_at_20_is_1_and_keeps_its_derivatives() {
    // trap tanh_large, where others have 0. With e = e⁻⁴⁰, tanh′ = 4 e / (1 + e)², and each further
    // derivative is −2 tanh times the one before, up to a relative e.
    let slope = 4.0 * f64::exp(-40.0);
    let expected = [1.0, slope, -2.0 * slope, 4.0 * slope];
    for (got, expected) in derivatives(|x| x.tanh(), 20.0).into_iter().zip(expected) {
        assert!((got - expected).abs() <= 4.0 * f64::EPSILON * expected.abs(), "{got:e}");
    }
}

// The corners of exponentials and logarithms.

#[test]
fn expm1_and_log1p_keep_their_digits_near_zero_and_their_limits() {
    assert_eq!(derivatives(|x| x.expm1(), 1e-20), [1e-20, 1.0, 1.0, 1.0]);
    assert_eq!(derivatives(|x| x.expm1(), NEG_INFINITY), [-1.0, 0.0, 0.0, 0.0]);
    assert_eq!(derivatives(|x| x.expm1(), -50.0)[1], f64::exp(-50.0)); // y + 1 would be 0
    assert_eq!(derivatives(|x| x.expm1(), INFINITY), [INFINITY; 4]);
    assert_eq!(derivatives(|x| x.log1p(), 1e-20), [1e-20, 1.0, -1.0, 2.0]);
    assert_eq!(derivatives(|x| x.log1p(), INFINITY), [INFINITY, 0.0, 0.0, 0.0]);
    assert_eq!(derivatives(|x| x.log1p(), -1.0), [NEG_INFINITY, INFINITY, NEG_INFINITY, INFINITY]);
}

#[test]
fn logaddexp_is_stable_and_shares_between_equal_infinities() {
    // trap logaddexp_neginf: PyTorch and JAX answer NaN for the gradients.
    for x in [NEG_INFINITY, INFINITY] {
        assert_eq!(derivatives_2(|x, y| x.logaddexp(y), (x, x)), [x, 0.5, 0.5, 0.0, 0.0, 0.0, 0.0]);
    }
    let (low, high) = (NEG_INFINITY, INFINITY);
    assert_eq!(
        derivatives_2(|x, y| x.logaddexp(y), (high, 0.0)),
        [high, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    );
    assert_eq!(
        derivatives_2(|x, y| x.logaddexp(y), (low, 3.0)),
        [3.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0]
    );
    assert_eq!(
        derivatives_2(|x, y| x.logaddexp(y), (high, low)),
        [high, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    );
    assert_eq!(derivatives_2(|x, y| x.logaddexp(y), (1e3, -1e3))[..3], [1e3, 1.0, 0.0]);
    assert_eq!(derivatives_2(|x, y| x.logaddexp(y), (1.0, -1e20))[..3], [1.0, 1.0, 0.0]);
    assert!(derivatives_2(|x, y| x.logaddexp(y), (NAN, 0.0))[0].is_nan());
}

#[test]
fn logaddexp_of_equal_numbers_keeps_its_second_derivative() {
    let tied = derivatives_2(|x, y| x.logaddexp(y), (2.0, 2.0));
    assert_eq!(tied, [2.0 + LN_2, 0.5, 0.5, 0.25, -0.25, -0.25, 0.25]);
}

#[test]
fn xlogy_at_zero_is_zero_with_the_true_derivatives() -> Tested {
    // trap xlogy_0: in x PyTorch has 0, JAX −∞, which is ln 0; in y both have NaN. Second order: of
    // the sum of both gradients, ∞ in x, as both have; in y the infinite mixed derivative.
    let tape = Tape::<f64>::new();
    let (x, y) = (tape.var(0.0), tape.var(0.0));
    let z = x.xlogy(y);
    assert_eq!(z.item()?, 0.0);
    let [dx, dy] = tape.grad(z, [x, y]);
    assert_eq!((dx.item()?, dy.item()?), (NEG_INFINITY, 0.0));
    assert_eq!(tape.backward(dx + dy, x)?, INFINITY);
    assert_eq!(tape.backward(dx + dy, y)?, INFINITY);
    Ok(())
}

#[test]
fn xlogy_is_zero_where_x_is_zero_unless_y_is_nan() {
    for y in [0.0, 2.0, INFINITY, -1.0] {
        assert_eq!(derivatives_2(|x, y| x.xlogy(y), (0.0, y))[0], 0.0);
    }
    assert!(derivatives_2(|x, y| x.xlogy(y), (0.0, NAN))[0].is_nan());
    // 1/y, where the cotangent of ln y is the number 0: the mixed derivative is not lost.
    assert_eq!(derivatives_2(|x, y| x.xlogy(y), (0.0, 4.0))[3..], [0.0, 0.25, 0.25, 0.0]);
}

// The corners of the activations.

#[test]
fn sigmoid_saturates_without_nan() {
    // trap sigmoid_lib
    for x in [-800.0, NEG_INFINITY] {
        assert_eq!(derivatives(|x| x.sigmoid(), x), [0.0; 4]);
    }
    for x in [800.0, INFINITY] {
        assert_eq!(derivatives(|x| x.sigmoid(), x), [1.0, 0.0, 0.0, 0.0]);
    }
}

#[test]
fn softplus_has_no_threshold_and_its_limits() {
    // trap softplus_lib: PyTorch switches to x above 20; the true values are JAX's.
    let [y, dx, ddx, _] = derivatives(|x| x.softplus(), 21.0);
    assert_close(y, 21.000000000758256, "value");
    assert_close(dx, 0.9999999992417443, "first");
    assert_close(ddx, 7.582556804663909e-10, "second");
    for (x, wanted) in [
        (800.0, [800.0, 1.0, 0.0, 0.0]),
        (INFINITY, [INFINITY, 1.0, 0.0, 0.0]),
        (-800.0, [0.0; 4]),
        (NEG_INFINITY, [0.0; 4]),
    ] {
        assert_eq!(derivatives(|x| x.softplus(), x), wanted);
    }
}

#[test]
fn log_sigmoid_has_its_limits() {
    // trap log_sigmoid_lib
    assert_eq!(derivatives(|x| x.log_sigmoid(), -800.0), [-800.0, 1.0, 0.0, 0.0]);
    assert_eq!(derivatives(|x| x.log_sigmoid(), NEG_INFINITY), [NEG_INFINITY, 1.0, 0.0, 0.0]);
    assert_eq!(derivatives(|x| x.log_sigmoid(), INFINITY), [0.0; 4]);
}

#[test]
fn logarithms_of_what_has_become_zero_have_no_finite_derivative() {
    // trap log_sigmoid_naive: ∞ · 0 by IEEE, as in PyTorch and JAX; log_sigmoid is right.
    let [y, dx, _] = trap(|x| x.sigmoid().ln(), &[-800.0]);
    assert!(y[0] == NEG_INFINITY && dx[0].is_nan());
    // trap log1mtanh2: the derivative of ln is ∞, and that of tanh is not 0.
    let [y, dx, ddx] = trap(|x| (1.0 - x.tanh() * x.tanh()).ln(), &[20.0]);
    assert!(y[0] == NEG_INFINITY && dx[0] == NEG_INFINITY, "{y:?} {dx:?} {ddx:?}");
    assert!(ddx[0].is_nan(), "{ddx:?}");
}

#[test]
fn silu_and_gelu_have_their_limits_to_every_order() {
    for f in [|x| x.silu(), |x| x.gelu(), |x| x.gelu_tanh()] as [Unary; 3] {
        let at = |x: f64| derivatives(f, x);
        for x in [-1e4, -1e200, NEG_INFINITY] {
            assert_eq!(at(x), [0.0; 4], "at {x}");
        }
        for x in [1e4, 1e200, INFINITY] {
            assert_eq!(at(x), [x, 1.0, 0.0, 0.0], "at {x}");
        }
    }
}

#[test]
fn leaky_relu_and_elu_have_the_left_derivative_at_zero() {
    assert_eq!(derivatives(|x| x.leaky_relu(0.1), 0.0), [0.0, 0.1, 0.0, 0.0]);
    assert_eq!(derivatives(|x| x.elu(1.3), 0.0), [0.0, 1.3, 1.3, 1.3]);
}

#[test]
fn elu_does_not_overflow_and_keeps_nan() {
    assert_eq!(derivatives(|x| x.elu(1.3), 1e4), [1e4, 1.0, 0.0, 0.0]);
    assert_eq!(derivatives(|x| x.elu(1.3), INFINITY), [INFINITY, 1.0, 0.0, 0.0]);
    assert_eq!(derivatives(|x| x.elu(1.3), NEG_INFINITY), [-1.3, 0.0, 0.0, 0.0]);
    assert!(derivatives(|x| x.elu(1.3), NAN)[0].is_nan());
    assert!(derivatives(|x| x.leaky_relu(0.1), NAN)[0].is_nan());
}

// Choosing, and strong zero.

#[test]
fn clamp_has_derivative_zero_on_its_bounds() {
    // trap clamp_boundary: PyTorch has 0, JAX ½.
    let [y, dx, ddx] = trap(|x| x.clamp(0.0, 1.0), &[-1.0, 0.0, 0.5, 1.0, 2.0]);
    assert_eq!(y, [0.0, 0.0, 0.5, 1.0, 1.0]);
    assert_eq!(dx, [0.0, 0.0, 1.0, 0.0, 0.0]);
    assert_eq!(ddx, [0.0; 5]);
}

#[test]
fn clamp_takes_one_bound_as_well() {
    let [y, dx, _] = trap(|x| x.clamp_min(0.0), &[NEG_INFINITY, 0.0, INFINITY]);
    assert_eq!((y, dx), (vec![0.0, 0.0, INFINITY], vec![0.0, 0.0, 1.0]));
    let [y, dx, _] = trap(|x| x.clamp_max(0.0), &[NEG_INFINITY, 0.0, INFINITY]);
    assert_eq!((y, dx), (vec![NEG_INFINITY, 0.0, 0.0], vec![1.0, 0.0, 0.0]));
}

#[test]
fn clamp_with_crossed_bounds_gives_the_upper_one_as_in_pytorch() {
    let [y, dx, _] = trap(|x| x.clamp(1.0, -1.0), &[-2.0, 0.0, 2.0]);
    assert_eq!((y, dx), (vec![-1.0; 3], vec![0.0; 3]));
}

#[test]
fn clamp_keeps_nan() {
    assert!(derivatives(|x| x.clamp(0.0, 1.0), NAN)[0].is_nan());
    assert!(derivatives(|x| x.clamp(NAN, 1.0), 0.5)[0].is_nan());
}

#[test]
fn round_takes_the_even_number_of_two() {
    // trap round_half
    let [y, dx, _] = trap(|x| x.round(), &[0.5, 1.5, 2.5, -0.5]);
    assert_eq!((y, dx), (vec![0.0, 2.0, 2.0, -0.0], vec![0.0; 4]));
}

#[test]
fn step_functions_are_untracked_and_have_gradient_zero() -> Tested {
    let tape = Tape::<Reference>::new();
    let x = tape.var(vec![-1.5, -1.0, 0.5, 2.0]);
    for (y, wanted) in [
        (x.floor(), [-2.0, -1.0, 0.0, 2.0]),
        (x.ceil(), [-1.0, -1.0, 1.0, 2.0]),
        (x.round(), [-2.0, -1.0, 0.0, 2.0]),
        (x.trunc(), [-1.0, -1.0, 0.0, 2.0]),
        (x.sign(), [-1.0, -1.0, 1.0, 1.0]),
    ] {
        assert_eq!(y.to_host()?, wanted);
        assert!(!y.is_tracked());
        assert_eq!(tape.backward(y.sum(), x)?.data(), [0.0; 4]);
    }
    Ok(())
}

#[test]
fn mask_by_multiplying_stops_the_gradient_but_not_the_value() {
    // trap mask_mul_inf: 0 · ln x at 0. PyTorch and JAX answer NaN throughout. What is multiplied by
    // the number 0 is dead.
    let [y, dx, ddx] = trap(|x| x.ln() * 0.0, &[0.0]);
    assert!(y[0].is_nan());
    assert_eq!((dx[0], ddx[0]), (0.0, 0.0));
}

#[test]
fn x_ln_x_at_zero_has_its_true_derivatives() {
    // trap xlogx_0: NaN throughout, as in PyTorch and JAX: 0 · ∞ by IEEE.
    let [y, dx, ddx] = trap(|x| x * x.ln(), &[0.0]);
    assert!(y[0].is_nan() && dx[0].is_nan() && ddx[0].is_nan());
    let [y, dx, ddx] = trap(|x| x.xlogy(x), &[0.0]);
    assert_eq!((y[0], dx[0], ddx[0]), (0.0, NEG_INFINITY, INFINITY));
}

#[test]
fn root_of_a_square_at_zero_stays_nan() {
    // trap sqrt_0_sq: ∞ · 0, where it is the cotangent that is infinite; as in PyTorch and JAX.
    for [y, dx, _] in [trap(|x| (x * x).sqrt(), &[0.0]), trap(|x| x.square().sqrt(), &[0.0])] {
        assert!(y[0] == 0.0 && dx[0].is_nan());
    }
}

#[test]
fn what_where_does_not_choose_has_no_gradient() {
    // trap where_nan: PyTorch and JAX answer NaN where x ≤ 0.
    let [y, dx, ddx] = trap(|x| x.gt(0.0).where_(x.sqrt(), 0.0), &[-1.0, 0.0, 4.0]);
    assert_eq!(y, [0.0, 0.0, 2.0]);
    assert_eq!(dx, [0.0, 0.0, 0.25]);
    assert_eq!(ddx, [0.0, 0.0, -0.03125]);
}

#[test]
fn strong_zero_loses_no_second_derivative() {
    // (log1p² x)″ at 0, where the cotangent of log1p is 0: 2.
    assert_eq!(derivatives(|x| x.log1p() * x.log1p(), 0.0)[2], 2.0);
    assert_eq!(derivatives(|x| x.log1p().square(), 0.0)[2], 2.0);
    assert_eq!(derivatives(|x| x.atanh() * x.atanh(), 0.0)[2], 2.0);
    assert_eq!(derivatives(|x| x.expm1().square(), 0.0)[2], 2.0);
    assert_eq!(derivatives(|x| x.sinh().square(), 0.0)[2], 2.0);
    assert_eq!(derivatives(|x| x.tan().square(), 0.0)[2], 2.0);
    assert_eq!(derivatives(|x| x.asin().square(), 0.0)[2], 2.0);
    // d²(w x^-½)/dx dw at w = 0, x = 4: −½ x^(−3/2)
    assert_eq!(derivatives_2(|w, x| w * x.rsqrt(), (0.0, 4.0))[4], -0.0625);
}

#[test]
fn strong_zero_holds_for_a_zero_tangent_next_to_an_infinite_cotangent() -> Tested {
    // The Hessian of √√x times v, by forward over reverse: v is 0 where all derivatives are infinite.
    let tape = Tape::<Reference>::new();
    let x = tape.var(vec![0.0, 1.0]);
    let v = tape.constant(vec![0.0, 1.0]);
    let dx = tape.grad(x.sqrt().sqrt().sum(), x);
    assert_eq!(tape.jvp(dx, [(x, v)]).to_host()?, [0.0, -0.1875]); // −3/16
    Ok(())
}

#[test]
fn nan_comes_out_as_nan() {
    let unary: [Unary; 30] = [
        |x| x.expm1(),
        |x| x.exp2(),
        |x| x.log2(),
        |x| x.log10(),
        |x| x.log1p(),
        |x| x.erf(),
        |x| x.tan(),
        |x| x.asin(),
        |x| x.acos(),
        |x| x.atan(),
        |x| x.sinh(),
        |x| x.cosh(),
        |x| x.asinh(),
        |x| x.acosh(),
        |x| x.atanh(),
        |x| x.sigmoid(),
        |x| x.log_sigmoid(),
        |x| x.softplus(),
        |x| x.relu(),
        |x| x.silu(),
        |x| x.gelu(),
        |x| x.gelu_tanh(),
        |x| x.square(),
        |x| x.rsqrt(),
        |x| x.floor(),
        |x| x.ceil(),
        |x| x.round(),
        |x| x.trunc(),
        |x| x.abs(),
        |x| x.tanh(),
    ];
    let tape = Tape::<f64>::new();
    for (i, f) in unary.into_iter().enumerate() {
        let x = tape.var(NAN);
        assert!(f(x).item().unwrap().is_nan(), "function {i}");
    }
    for f in [|x, y| x.pow(y), |x, y| x.atan2(y), |x, y| x.logaddexp(y), |x, y| x.xlogy(y)]
        as [Binary; 4]
    {
        for (x, y) in [(NAN, 2.0), (2.0, NAN)] {
            assert!(f(tape.var(x), tape.var(y)).item().unwrap().is_nan());
        }
    }
}

#[test]
fn zero_size_and_scalar_tensors_are_legal() -> Tested {
    let tape = Tape::<Reference>::new();
    let x = tape.var(Reference::new([0, 3], vec![]).unwrap());
    let y = tape.var(2.0);
    for z in
        [x.gelu(), x.silu(), x.pow(y), x.logaddexp(y), x.xlogy(y), x.atan2(y), x.clamp(0.0, 1.0)]
    {
        assert_eq!(&z.shape()?[..], [0, 3]);
        let [dx, dy] = tape.backward(z.sum(), [x, y])?;
        assert_eq!((dx.shape(), dy), (&[0, 3][..], Reference::from(0.0)));
    }
    Ok(())
}

#[test]
fn errors_name_the_operation_and_the_line() {
    let tape = Tape::<Reference>::new();
    let (x, y) = (tape.var(vec![1.0, 2.0]), tape.var(vec![1.0, 2.0, 3.0]));
    let (error, line) = (x.pow(y).value().unwrap_err(), line!());
    assert_eq!(error.location().line(), line);
    assert!(error.to_string().starts_with("pow: shapes [2] and [3] do not broadcast"));
    for z in [x.atan2(y), x.logaddexp(y), x.xlogy(y)] {
        assert!(z.value().is_err());
    }
}

#[test]
fn compositions_keep_the_line_of_the_caller() {
    let tape = Tape::<f64>::new();
    let x = tape.var(0.5);
    let void = x.expand([3]);
    let y = x.clamp(0.0, 1.0).elu(1.3).leaky_relu(0.1).log_sigmoid().affine(2.0, 1.0);
    let line = line!() - 1;
    let mut operations = tape.nodes().filter(|node| node.kind == NodeKind::Op);
    assert!(operations.all(|node| node.location.line() == line));
    assert_eq!(y.tape().nodes().last().map(|node| node.op), Some("shift"));
    assert!(void.elu(1.0).is_void());
}

#[test]
fn traces_show_the_parameters() {
    let tape = Tape::<f64>::new();
    let x = tape.named_var(0.5, "x");
    x.clamp_min(-1.0).clamp_max(2.0).gelu();
    let text = tape.trace().to_string();
    assert!(text.contains("x.clamp_min(-1)") && text.contains(".clamp_max(2)"), "{text}");
}

#[test]
fn f64_and_reference_agree_bit_for_bit() -> Tested {
    let unary = |x: Scalar<'_>| {
        [x.expm1(), x.exp2(), x.tan(), x.atan(), x.sinh(), x.cosh(), x.asinh(), x.erf(), x.round()]
            .map(|y| y.item().unwrap())
    };
    let unary_reference = |x: Var<'_, Reference>| {
        [x.expm1(), x.exp2(), x.tan(), x.atan(), x.sinh(), x.cosh(), x.asinh(), x.erf(), x.round()]
            .map(|y| y.item().unwrap())
    };
    for x in [-1.7, 0.0, 0.3, 2.5] {
        let (f64_tape, tape) = (Tape::<f64>::new(), Tape::<Reference>::new());
        assert!(same(&unary(f64_tape.var(x)), &unary_reference(tape.var(x))));
    }
    Ok(())
}
