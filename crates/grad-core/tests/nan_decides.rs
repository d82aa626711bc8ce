//! NaN decides: where a result is NaN because of an element, that element has derivative NaN, and
//! what did not decide has derivative 0.

#![allow(clippy::unwrap_used)]

use grad_conformance::Reference;
use grad_core::{Error, Pool, Tape, Var};

const INF: f64 = f64::INFINITY;
const NAN: f64 = f64::NAN;

type Tested = Result<(), Error>;
type Handle<'t> = Var<'t, Reference>;
type Function = for<'t> fn(Handle<'t>) -> Handle<'t>;

/// [[1, NaN, 2], [4, 5, 5]]
const DATA: [f64; 6] = [1.0, NAN, 2.0, 4.0, 5.0, 5.0];

fn tensor<const N: usize>(shape: [usize; N], data: &[f64]) -> Reference {
    Reference::new(shape, data.to_vec()).unwrap()
}

fn list(data: &[f64]) -> Reference {
    tensor([data.len()], data)
}

/// Equal, NaN to NaN.
#[track_caller]
fn assert_same(what: &str, got: &[f64], want: &[f64]) {
    let same = |(&got, &want): (&f64, &f64)| got == want || (got.is_nan() && want.is_nan());
    let all = got.len() == want.len() && got.iter().zip(want).all(same);
    assert!(all, "{what}: got {got:?}, want {want:?}");
}

/// The cotangent of `x` in both reverse modes, for a cotangent `ct` of every element of the result.
#[track_caller]
fn assert_cotangent(x: Reference, ct: f64, f: Function, want: &[f64]) {
    let tape = Tape::<Reference>::new();
    let x = tape.var(x);
    let y = f(x);
    let ct = y.full_like(ct);
    assert_same("recorded", &tape.vjp(y, ct, x).to_host().unwrap(), want);
    let plain = tape.plain().vjp(y, ct.value().unwrap(), x).unwrap();
    assert_same("plain", plain.data(), want);
}

/// The operations at [`DATA`], and the gradients of the sums of their results.
const CASES: [(&str, Function, [f64; 6]); 13] = [
    ("max", |x| x.max(), [0.0, NAN, 0.0, 0.0, 0.0, 0.0]),
    ("min", |x| x.min(), [0.0, NAN, 0.0, 0.0, 0.0, 0.0]),
    ("max_axes", |x| x.max_axes(1), [0.0, NAN, 0.0, 0.0, 0.5, 0.5]),
    ("min_axes", |x| x.min_axes(1), [0.0, NAN, 0.0, 1.0, 0.0, 0.0]),
    ("max_keepdim", |x| x.max_keepdim(0), [0.0, NAN, 0.0, 1.0, 0.0, 1.0]),
    ("min_keepdim", |x| x.min_keepdim([0, 1]), [0.0, NAN, 0.0, 0.0, 0.0, 0.0]),
    ("max over no axes", |x| x.max_axes([]), [1.0, NAN, 1.0, 1.0, 1.0, 1.0]),
    ("median", |x| x.median(), [0.0, NAN, 0.0, 0.0, 0.0, 0.0]),
    ("sort", |x| x.sort(1), [1.0, NAN, 1.0, 1.0, 1.0, 1.0]),
    ("sort", |x| x.sort(0), [1.0, NAN, 1.0, 1.0, 1.0, 1.0]),
    ("topk(1)", |x| x.topk(1), [0.0, NAN, 0.0, 0.0, 1.0, 0.0]),
    ("topk(2)", |x| x.topk(2), [0.0, NAN, 1.0, 0.0, 1.0, 1.0]),
    (
        "max_pool2d",
        |x| x.reshape([1, 1, 2, 3]).max_pool2d(Pool::new([2, 1]).stride(1)),
        [0.0, NAN, 0.0, 1.0, 0.0, 1.0],
    ),
];

#[test]
fn nan_has_derivative_nan_in_both_reverse_modes() {
    for (_, f, gradient) in CASES {
        assert_cotangent(tensor([2, 3], &DATA), 1.0, f, &gradient);
    }
}

#[test]
fn nan_has_second_derivative_nan() -> Tested {
    for (name, f, _) in CASES {
        let tape = Tape::<Reference>::new();
        let x = tape.var(tensor([2, 3], &DATA));
        let gradient = tape.grad(f(x).sum(), x);
        let want = [0.0, NAN, 0.0, 0.0, 0.0, 0.0];
        assert_same(name, &tape.grad(gradient.sum(), x).to_host()?, &want);
        assert_same(name, tape.backward(gradient.sum(), x)?.data(), &want);
    }
    Ok(())
}

#[test]
fn nan_has_derivative_nan_in_forward_mode() -> Tested {
    for (name, f, gradient) in CASES {
        let tape = Tape::<Reference>::new();
        let x = tape.var(tensor([2, 3], &DATA));
        let y = f(x);
        let ones = tensor([2, 3], &[1.0; 6]);
        let recorded = tape.jvp(y, [(x, tape.constant(ones.clone()))]).to_host()?;
        let plain = tape.plain().jvp(y, [(x, ones)])?;
        assert_same(name, plain.data(), &recorded);
        // Of y, those are NaN that depend on NaN.
        for (y, y_dot) in y.to_host()?.into_iter().zip(recorded) {
            assert_eq!(y.is_nan(), y_dot.is_nan(), "{name}");
        }
        assert!(gradient[1].is_nan(), "{name}");
    }
    Ok(())
}

#[test]
fn several_nan_all_have_derivative_nan() {
    let x = || list(&[NAN, 1.0, NAN, INF]);
    let extremes: [Function; 3] = [|x| x.max(), |x| x.min(), |x| x.median()];
    for f in extremes {
        assert_cotangent(x(), 1.0, f, &[NAN, 0.0, NAN, 0.0]);
    }
    assert_cotangent(x(), 1.0, |x| x.sort(0), &[NAN, 1.0, NAN, 1.0]);
    assert_cotangent(x(), 1.0, |x| x.topk(1), &[NAN, 0.0, 0.0, 0.0]);
}

#[test]
fn all_windows_of_a_pooling_that_hold_nan_depend_on_it_alone() {
    let pool: Function = |x| x.max_pool2d(Pool::new(2).stride(1).padding(1));
    // The windows at the corners of [[1, NaN], [4, 5]] hold 1, NaN, 4 and 5 alone, and that on the
    // left 1 and 4, that below 4 and 5.
    let x = tensor([1, 1, 2, 2], &[1.0, NAN, 4.0, 5.0]);
    assert_cotangent(x, 1.0, pool, &[1.0, NAN, 2.0, 2.0]);
}

#[test]
fn mean_of_a_window_hands_its_cotangent_to_nan_too() {
    let pool: Function = |x| x.avg_pool2d(2);
    let x = tensor([1, 1, 2, 2], &[1.0, NAN, 4.0, 5.0]);
    assert_cotangent(x, 1.0, pool, &[0.25; 4]);
}

#[test]
fn what_max_leaves_out_has_derivative_zero_against_any_cotangent() {
    for ct in [INF, NAN, 3.0] {
        assert_cotangent(list(&[1.0, 2.0, -INF]), ct, |x| x.max(), &[0.0, ct, 0.0]);
        assert_cotangent(list(&[1.0, 2.0, INF]), ct, |x| x.min(), &[ct, 0.0, 0.0]);
        let half = ct / 2.0;
        assert_cotangent(list(&[2.0, 1.0, 2.0]), ct, |x| x.max_axes(0), &[half, 0.0, half]);
    }
}

#[test]
fn what_max_leaves_out_may_move_anyhow() -> Tested {
    let tape = Tape::<Reference>::new();
    let x = tape.var(list(&[1.0, 2.0, 2.0]));
    for moving in [INF, NAN, -7.0] {
        let t = list(&[moving, 1.0, 3.0]);
        let recorded = tape.jvp(x.max(), [(x, tape.constant(t.clone()))]);
        assert_eq!(recorded.item()?, 2.0);
        assert_eq!(tape.plain().jvp(x.max(), [(x, t)])?.data(), [2.0]);
    }
    Ok(())
}

#[test]
fn second_derivatives_without_nan_stay_zero() -> Tested {
    let tape = Tape::<Reference>::new();
    let x = tape.var(tensor([2, 3], &[1.0, -INF, 2.0, INF, 5.0, 5.0]));
    let y = x.max_axes(1).sum() + x.min_axes(0).sum() + x.sort(1).sum() + x.topk(2).sum();
    let gradient = tape.grad(y, x);
    // How often each is the largest of its row, the smallest of its column, sorted, and one of two.
    assert_same("first", &gradient.to_host()?, &[3.0, 2.0, 4.0, 3.0, 2.0, 1.0]);
    let second = tape.grad(gradient.sum(), x);
    assert_same("second", &second.to_host()?, &[0.0; 6]);
    Ok(())
}

#[test]
fn scalars_follow_the_same_rule() -> Tested {
    let tape = Tape::<f64>::new();
    let x = tape.var(NAN);
    for y in [x.max(), x.min(), x.median(), x.square().max()] {
        assert!(tape.backward(y, x)?.is_nan());
        assert!(tape.grad(tape.grad(y, x), x).item()?.is_nan());
    }
    Ok(())
}
