//! Derivatives that are known, at places where others fail.

use grad_conformance::Reference;
use grad_core::{Error, Tape, TensorLike, Var};

type Tested = Result<(), Error>;
type Function = for<'t> fn(Var<'t, f64>) -> Var<'t, f64>;

/// The derivatives of `f` at `x` from order 0 to `order`, by nested reverse sweeps; the last one
/// must be the same from a plain sweep, and all of them from nested forward sweeps.
fn derivatives(
    f: impl for<'t> Fn(Var<'t, f64>) -> Var<'t, f64>,
    x: f64,
    order: usize,
) -> Result<Vec<f64>, Error> {
    let tape = Tape::<f64>::new();
    let x = tape.var(x);
    let (one, mut reverse, mut forward) = (tape.constant(1.0), f(x), f(x));
    let mut found = vec![reverse.item()?];
    for _ in 0..order {
        let plain = tape.backward(reverse, x)?;
        reverse = tape.grad(reverse, x);
        forward = tape.jvp(forward, [(x, one)]);
        let (by_reverse, by_forward) = (reverse.item()?, forward.item()?);
        // But for the sign of a zero that is dead.
        assert!(
            plain == by_reverse || plain.is_nan() && by_reverse.is_nan(),
            "plain {plain}, recorded {by_reverse}"
        );
        assert!(close(by_forward, by_reverse), "forward {by_forward}, reverse {by_reverse}");
        found.push(by_reverse);
    }
    Ok(found)
}

/// Equal, but for the rounding of some dozen operations.
fn close(a: f64, b: f64) -> bool {
    a == b || a.is_nan() && b.is_nan() || (a - b).abs() <= 1e-13 * b.abs().max(1.0)
}

#[track_caller]
fn assert_close(found: &[f64], expected: &[f64]) {
    let mut both = found.iter().zip(expected);
    let all = found.len() == expected.len() && both.all(|(&a, &b)| close(a, b));
    assert!(all, "found {found:?}, expected {expected:?}");
}

/// The gradient of a scalar function of a vector.
fn gradient(
    f: impl for<'t> Fn(Var<'t, Reference>) -> Var<'t, Reference>,
    x: &[f64],
) -> Result<Vec<f64>, Error> {
    let tape = Tape::<Reference>::new();
    let x = tape.var(x.to_vec());
    Ok(tape.backward(f(x), x)?.data().to_vec())
}

/// The gradient of a function of two numbers.
fn gradient2(
    f: impl for<'t> Fn(Var<'t, f64>, Var<'t, f64>) -> Var<'t, f64>,
    x: f64,
    y: f64,
) -> Result<[f64; 2], Error> {
    let tape = Tape::<f64>::new();
    let (x, y) = (tape.var(x), tape.var(y));
    tape.backward(f(x, y), [x, y])
}

// ------------------------------------------------------------------------------- higher orders

#[test]
fn the_second_derivative_of_the_fourth_power_is_108_at_3() -> Tested {
    // 81, 4 x³, 12 x², 24 x, 24, 0. (candle answers 36 for the second derivative.)
    let expected = [81.0, 108.0, 108.0, 72.0, 24.0, 0.0];
    assert_close(&derivatives(|x| x.powi(4), 3.0, 5)?, &expected);
    assert_close(&derivatives(|x| x.powf(4.0), 3.0, 5)?, &expected);
    assert_close(&derivatives(|x| x * x * x * x, 3.0, 5)?, &expected);
    assert_close(&derivatives(|x| (x * x).powi(2), 3.0, 5)?, &expected);
    Ok(())
}

#[test]
fn the_second_derivative_of_sin_of_a_square() -> Tested {
    // y′ = 2 x cos x²,   y″ = 2 cos x² − 4 x² sin x² ≈ 0.842
    let x = 0.7_f64;
    let (s, c) = (x * x).sin_cos();
    let expected = [s, 2.0 * x * c, 2.0 * c - 4.0 * x * x * s];
    assert_close(&derivatives(|x| (x * x).sin(), x, 2)?, &expected);
    assert_eq!((expected[2] * 1e3).floor(), 842.0);
    Ok(())
}

#[test]
fn tanh_to_order_five() -> Tested {
    for x in [-1.2, 0.0, 0.5, 3.0_f64] {
        // With y′ = 1 − y², and for each further order d/dx = (1 − y²) d/dy.
        let y = x.tanh();
        let y1 = 1.0 - y * y;
        let expected = [
            y,
            y1,
            y1 * (-2.0 * y),
            y1 * (-2.0 + 6.0 * y * y),
            y1 * (16.0 * y - 24.0 * y.powi(3)),
            y1 * (16.0 - 120.0 * y * y + 120.0 * y.powi(4)),
        ];
        assert_close(&derivatives(|x| x.tanh(), x, 5)?, &expected);
    }
    Ok(())
}

#[test]
fn the_square_of_the_logarithm_bends_where_it_is_flat() -> Tested {
    // y′ = 2 ln x / x,   y″ = 2 (1 − ln x) / x²; at 1 a zero cotangent reaches ln.
    assert_close(&derivatives(|x| x.ln() * x.ln(), 1.0, 2)?, &[0.0, 0.0, 2.0]);
    assert_close(&derivatives(|x| x.ln().powi(2), 1.0, 2)?, &[0.0, 0.0, 2.0]);
    assert_close(&derivatives(|x| x.ln().powf(2.0), 1.0, 2)?, &[0.0, 0.0, 2.0]);
    Ok(())
}

#[test]
fn a_weight_of_zero_still_has_a_mixed_derivative() -> Tested {
    // d²(w √x) / dx dw = 1 / (2 √x)
    let tape = Tape::<f64>::new();
    let (w, x) = (tape.var(0.0), tape.var(4.0));
    let y = w * x.sqrt();
    let [dw, dx] = tape.grad(y, [w, x]);
    assert_eq!((dw.item()?, dx.item()?), (2.0, 0.0));
    assert_eq!(tape.backward(dx, w)?, 0.25);
    assert_eq!(tape.backward(dw, x)?, 0.25);
    let one = tape.constant(1.0);
    assert_eq!(tape.jvp(dx, [(w, one)]).item()?, 0.25);
    Ok(())
}

#[test]
fn perturbations_of_nested_derivatives_are_not_confused() -> Tested {
    // d/dx [x · d/dy (x + y)] = 1, also at y = x.
    let tape = Tape::<f64>::new();
    let (x, y) = (tape.var(2.0), tape.var(2.0));
    let [inner] = tape.grad(x + y, [y]);
    let [outer] = tape.grad(x * inner, [x]);
    assert_eq!(outer.item()?, 1.0);
    Ok(())
}

#[test]
fn mixed_derivatives_are_symmetric() -> Tested {
    // f = x² y³: f_x = 2 x y³, f_y = 3 x² y², f_xy = 6 x y²
    let tape = Tape::<f64>::new();
    let (x, y) = (tape.var(2.0), tape.var(3.0));
    let [dx, dy] = tape.grad(x.powi(2) * y.powi(3), [x, y]);
    let ([dxx, dxy], [dyx, dyy]) = (tape.backward(dx, [x, y])?, tape.backward(dy, [x, y])?);
    assert_eq!([dx.item()?, dy.item()?], [108.0, 108.0]);
    assert_eq!([dxx, dxy, dyx, dyy], [54.0, 108.0, 108.0, 72.0]); // 2 y³, 6 x y², 6 x² y
    Ok(())
}

// ------------------------------------------------------------------------------ kinks and ties

#[test]
fn relu_abs_and_sign_are_flat_at_zero() -> Tested {
    assert_eq!(gradient(|x| x.relu().sum(), &[-1.0, 0.0, -0.0, 2.0])?, [0.0, 0.0, 0.0, 1.0]);
    assert_eq!(gradient(|x| x.abs().sum(), &[-1.0, 0.0, -0.0, 2.0])?, [-1.0, 0.0, 0.0, 1.0]);
    assert_eq!(derivatives(|x| x.relu(), 0.0, 2)?, [0.0, 0.0, 0.0]);
    assert_eq!(derivatives(|x| x.abs(), 0.0, 2)?, [0.0, 0.0, 0.0]);
    assert_eq!(derivatives(|x| x.sign() * x, -3.0, 2)?, [3.0, -1.0, 0.0]);
    Ok(())
}

#[test]
fn tied_maxima_share_the_cotangent() -> Tested {
    assert_eq!(gradient(|x| x.max(), &[1.0, 3.0, 3.0, 2.0])?, [0.0, 0.5, 0.5, 0.0]);
    assert_eq!(gradient(|x| x.min(), &[1.0, 3.0, 1.0, 1.0, 1.0])?, [0.25, 0.0, 0.25, 0.25, 0.25]);
    assert_eq!(gradient(|x| x.max_keepdim(0).sum(), &[0.0, -0.0])?, [0.5, 0.5]);
    // Rows [1, 1] and [2, 5].
    let found = gradient(|x| x.reshape([2, 2]).max_axes(1).sum(), &[1.0, 1.0, 2.0, 5.0])?;
    assert_eq!(found, [0.5, 0.5, 0.0, 1.0]);
    let infinity = f64::INFINITY;
    assert_eq!(gradient(|x| x.max(), &[infinity, 1.0, infinity])?, [0.5, 0.0, 0.5]);
    Ok(())
}

#[test]
fn tied_operands_share_the_cotangent() -> Tested {
    assert_eq!(gradient2(|x, y| x.maximum(y), 2.0, 2.0)?, [0.5, 0.5]);
    assert_eq!(gradient2(|x, y| x.minimum(y), 2.0, 2.0)?, [0.5, 0.5]);
    assert_eq!(gradient2(|x, y| x.maximum(y), 0.0, -0.0)?, [0.5, 0.5]);
    assert_eq!(gradient2(|x, y| x.maximum(y), 1.0, 2.0)?, [0.0, 1.0]);
    assert_eq!(derivatives(|x| x.maximum(x), 2.0, 2)?, [2.0, 1.0, 0.0]);
    assert_eq!(derivatives(|x| x.maximum(0.0), 0.0, 1)?, [0.0, 0.5]);
    Ok(())
}

// -------------------------------------------------------------------------- powers and infinities

#[test]
fn powers_have_their_true_values_in_the_corners() -> Tested {
    // x⁰ is 1, and flat, everywhere.
    for x in [0.0, -0.0, -2.0, f64::INFINITY, f64::NAN] {
        assert_eq!(derivatives(|x| x.powf(0.0), x, 2)?, [1.0, 0.0, 0.0]);
        assert_eq!(derivatives(|x| x.powi(0), x, 2)?, [1.0, 0.0, 0.0]);
    }
    let squares: [Function; 3] = [|x| x.powf(2.0), |x| x.powi(2), |x| x * x];
    for square in squares {
        assert_eq!(derivatives(square, 0.0, 3)?, [0.0, 0.0, 2.0, 0.0]);
    }
    assert_eq!(derivatives(|x| x.powf(1.0), 0.0, 2)?, [0.0, 1.0, 0.0]);
    assert_eq!(derivatives(|x| x.powi(1), 0.0, 2)?, [0.0, 1.0, 0.0]);
    // −8, 3 · 4, 6 · −2, 6
    assert_eq!(derivatives(|x| x.powf(3.0), -2.0, 3)?, [-8.0, 12.0, -12.0, 6.0]);
    assert_eq!(derivatives(|x| x.powi(3), -2.0, 3)?, [-8.0, 12.0, -12.0, 6.0]);
    assert_eq!(derivatives(|x| x.powf(0.5), 0.0, 1)?, [0.0, f64::INFINITY]);
    Ok(())
}

#[test]
fn the_square_root_is_infinitely_steep_at_zero() -> Tested {
    assert_eq!(derivatives(|x| x.sqrt(), 0.0, 1)?, [0.0, f64::INFINITY]);
    Ok(())
}

/// Functions with infinite or undefined derivatives at 0 and below.
const STEEP: [Function; 8] = [
    |x| x.sqrt(),
    |x| x.ln(),
    |x| x.recip(),
    |x| 1.0 / x,
    |x| x / (x * x),
    |x| x.powf(0.5),
    |x| x.powi(-3),
    |x| (x * 1e300).exp() / x,
];

#[test]
fn what_is_masked_out_has_no_gradient_even_where_it_is_infinite() -> Tested {
    for (at, f) in STEEP.into_iter().enumerate() {
        for x in [0.0, -0.0, -1.0, -1e200] {
            let found = derivatives(|x| x.gt(0.0).where_(f(x), 0.0), x, 1)?;
            assert_eq!(found, [0.0; 2], "function {at} at {x}");
        }
    }
    Ok(())
}

#[test]
fn what_is_masked_out_has_no_higher_derivatives() -> Tested {
    for (at, f) in STEEP.into_iter().enumerate() {
        for x in [0.0, -0.0, -1.0, -1e200] {
            let tape = Tape::<f64>::new();
            let (x, one) = (tape.var(x), tape.constant(1.0));
            let y = x.gt(0.0).where_(f(x), 0.0);
            let reverse = |y| tape.grad(y, x);
            let forward = |y| tape.jvp(y, [(x, one)]);
            let (dr, df) = (reverse(y), forward(y));
            let second = [reverse(dr), forward(dr), reverse(df), forward(df)];
            let third = [reverse(second[0]), forward(second[0]), forward(second[1])];
            for (nesting, found) in second.into_iter().chain(third).enumerate() {
                assert_eq!(found.item()?, 0.0, "function {at}, {x}, nesting {nesting}");
            }
        }
    }
    Ok(())
}

#[test]
fn products_follow_ieee_754() -> Tested {
    // d(x y)/dx = y, and 0 · ∞ is NaN in the value and nowhere else.
    let [dx, dy] = gradient2(|x, y| x * y, 0.0, f64::INFINITY)?;
    assert_eq!((dx, dy), (f64::INFINITY, 0.0));
    let tape = Tape::<f64>::new();
    let (x, y) = (tape.var(0.0), tape.var(f64::INFINITY));
    assert!((x * y).item()?.is_nan());
    assert_eq!(x.mul_or_zero(y).item()?, 0.0);
    Ok(())
}

#[test]
fn nan_is_not_hidden() -> Tested {
    let functions: [Function; 5] =
        [|x| x.relu(), |x| x.abs(), |x| x.maximum(1.0), |x| x.minimum(1.0), |x| x.max()];
    for f in functions {
        assert!(derivatives(f, f64::NAN, 0)?[0].is_nan());
    }
    Ok(())
}

// ------------------------------------------------------------------------------ nothing and empty

#[test]
fn a_sum_over_no_axes_is_the_tensor_itself() -> Tested {
    let tape = Tape::<Reference>::new();
    let x = tape.var(vec![1.0, -0.0]);
    let y = x.sum_axes([]);
    assert_eq!(y.to_host()?, [1.0, -0.0]);
    let ct = Reference::from(vec![3.0, 4.0]);
    assert_eq!(tape.plain().vjp(y, ct, x)?.data(), [3.0, 4.0]);
    Ok(())
}

#[test]
fn independence_is_zero_in_grad_and_none_in_gradients() -> Tested {
    let tape = Tape::<Reference>::new();
    let (x, z) = (tape.var(vec![1.0, 2.0]), tape.var(vec![3.0, 4.0, 5.0]));
    let after = x * 3.0;
    let y = x.sum();
    assert_eq!(tape.backward(y, z)?.data(), [0.0; 3]);
    assert_eq!(tape.grad(y, z).to_host()?, [0.0; 3]);
    assert_eq!(tape.backward(y, after)?.data(), [0.0; 2]);
    let one = tape.constant(vec![1.0; 3]);
    assert_eq!(tape.jvp(y, [(z, one)]).item()?, 0.0);
    let all = tape.gradients(y);
    assert!(all.get(z).is_none() && all.get(after).is_none());
    assert_eq!(all.get(x).expect("y depends on x").to_host()?, [1.0, 1.0]);
    assert_eq!(all.get(y).expect("y depends on y").item()?, 1.0);
    Ok(())
}

#[test]
fn a_handle_may_be_asked_for_twice() -> Tested {
    let tape = Tape::<f64>::new();
    let x = tape.var(3.0);
    let y = x * x;
    assert_eq!(tape.backward(y, [x, x, y])?, [6.0, 6.0, 1.0]);
    let [a, b] = tape.grad(y, [x, x]);
    assert_eq!((a.item()?, b.item()?), (6.0, 6.0));
    // Each tangent counts.
    let one = tape.constant(1.0);
    assert_eq!(tape.jvp(y, [(x, one), (x, one)]).item()?, 12.0);
    Ok(())
}

#[test]
fn a_gradient_with_respect_to_what_is_between_stops_there() -> Tested {
    // y = u², u = 3 x: dy/du = 2 u = 12, dy/dx = 3 dy/du
    let tape = Tape::<f64>::new();
    let x = tape.var(2.0);
    let u = x * 3.0;
    assert_eq!(tape.backward(u * u, [u, x])?, [12.0, 36.0]);
    Ok(())
}

#[test]
fn detached_values_are_constants() -> Tested {
    // d(x · stop(x))/dx = stop(x)
    assert_eq!(derivatives(|x| x * x.detach(), 3.0, 2)?, [9.0, 3.0, 0.0]);
    Ok(())
}

#[test]
fn empty_tensors_have_empty_gradients() -> Tested {
    let tape = Tape::<Reference>::new();
    let empty = Reference::from(0.0).full(&[2, 0], 1.0).expect("an empty tensor");
    let x = tape.var(empty);
    assert_eq!(x.sum().item()?, 0.0);
    assert!(x.mean().item()?.is_nan());
    for y in [x.sum(), x.mean(), x.exp().sum_axes(1).sum()] {
        let dx = tape.backward(y, x)?;
        assert_eq!((dx.shape(), dx.data().len()), (&[2, 0][..], 0));
    }
    Ok(())
}

#[test]
fn gradients_do_not_accumulate_across_calls() -> Tested {
    let tape = Tape::<f64>::new();
    let x = tape.var(3.0);
    let y = x * x;
    for _ in 0..3 {
        assert_eq!(tape.backward(y, x)?, 6.0);
        assert_eq!(tape.grad(y, x).item()?, 6.0);
    }
    Ok(())
}

// ------------------------------------------------------------------- closed families at their points

#[test]
fn the_second_derivative_of_hypot_keeps_its_digits_where_one_side_is_small() -> Tested {
    // r = √(x² + y²): ∂²r/∂x² = y²/r³. As 1/r − x²/r³ it would be 0 here.
    let tape = Tape::<f64>::new();
    let (x, y) = (tape.var(3.0), tape.var(1e-10));
    let r = x.hypot(y);
    let dx = tape.grad(r, x);
    let expected = 1e-20 / 27.0;
    for second in [tape.backward(dx, x)?, tape.plain().jvp(dx, [(x, 1.0)])?] {
        assert!((second / expected - 1.0).abs() < 1e-14, "{second:e}");
    }
    // ∂²r/∂x∂y = −x y / r³.
    let mixed = tape.backward(dx, y)?;
    assert!((mixed / (-3.0 * 1e-10 / 27.0) - 1.0).abs() < 1e-14, "{mixed:e}");
    Ok(())
}

#[test]
fn hypot_neither_overflows_nor_underflows_and_is_flat_at_the_origin() -> Tested {
    let tape = Tape::<f64>::new();
    for (x, y, r) in [(3e300, 4e300, 5e300), (3e-300, 4e-300, 5e-300), (0.0, -2.0, 2.0)] {
        let got = tape.var(x).hypot(tape.var(y)).item()?;
        assert!((got / r - 1.0).abs() < 1e-15, "hypot({x}, {y}) = {got}");
    }
    let (x, y) = (tape.var(0.0), tape.var(0.0));
    assert_eq!(tape.backward(x.hypot(y), [x, y])?, [0.0, 0.0]);
    assert!(tape.var(f64::NAN).hypot(1.0).item()?.is_nan());
    Ok(())
}

#[test]
fn the_derivatives_of_sinc_are_right_at_zero() -> Tested {
    // sin(πx)/(πx) = 1 − (πx)²/3! + (πx)⁴/5! − …: the derivatives at 0 are 1, 0, −π²/3, 0, π⁴/5.
    let pi = std::f64::consts::PI;
    let tape = Tape::<f64>::new();
    let x = tape.var(0.0);
    let mut y = x.sinc();
    for expected in [1.0, 0.0, -pi.powi(2) / 3.0, 0.0, pi.powi(4) / 5.0] {
        let got = y.item()?;
        assert!((got - expected).abs() <= 1e-14 * expected.abs(), "{got} is not {expected}");
        y = tape.grad(y, x);
    }
    Ok(())
}

#[test]
fn the_derivatives_of_sinc_go_on_where_the_series_ends() -> Tested {
    // With t = πx and s = sin(t)/t: s′ = (cos t − s)/t, s″ = −s − 2 s′/t; d/dx is π d/dt.
    let pi = std::f64::consts::PI;
    for x in [0.2, 0.9, 1.3, 2.75, -3.1, 40.25] {
        let t: f64 = pi * x;
        let s = t.sin() / t;
        let first = (t.cos() - s) / t;
        let second = -s - 2.0 * first / t;
        let tape = Tape::<f64>::new();
        let x = tape.var(x);
        let dx = tape.grad(x.sinc(), x);
        assert!((dx.item()? - pi * first).abs() < 1e-13, "{x}");
        assert!((tape.backward(dx, x)? - pi * pi * second).abs() < 1e-12, "{x}");
    }
    Ok(())
}
