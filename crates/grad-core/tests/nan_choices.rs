//! NaN where an operation chooses between values: what it chose has its derivative, and what it did
//! not choose has none, even beside NaN.

#![allow(clippy::unwrap_used)]

use grad_conformance::{Reference, catalogue};
use grad_core::{Error, Tape, Var, transform};

const NAN: f64 = f64::NAN;

type Tested = Result<(), Error>;
type Scalar<'t> = Var<'t, f64>;
type Handle<'t> = Var<'t, Reference>;

fn tensor<const N: usize>(shape: [usize; N], data: &[f64]) -> Reference {
    Reference::new(shape, data.to_vec()).unwrap()
}

/// Equal, NaN to NaN.
fn same(got: f64, want: f64) -> bool {
    got == want || (got.is_nan() && want.is_nan())
}

#[track_caller]
fn assert_same(what: &str, got: &[f64], want: &[f64]) {
    let all = got.len() == want.len() && got.iter().zip(want).all(|(&g, &w)| same(g, w));
    assert!(all, "{what}: got {got:?}, want {want:?}");
}

#[test]
fn nan_decides_a_maximum_and_the_other_argument_does_not() -> Tested {
    type Function = for<'t> fn(Scalar<'t>, Scalar<'t>) -> Scalar<'t>;
    let functions: [(&str, Function); 2] =
        [("maximum", |x, y| x.maximum(y)), ("minimum", |x, y| x.minimum(y))];
    for (name, f) in functions {
        for (at, want) in [
            ([NAN, 1.0], [NAN, 0.0]),
            ([1.0, NAN], [0.0, NAN]),
            ([f64::INFINITY, NAN], [0.0, NAN]),
            ([NAN, NAN], [NAN, NAN]),
        ] {
            let tape = Tape::<f64>::new();
            let [x, y] = at.map(|x| tape.var(x));
            let z = f(x, y);
            assert_same(name, &tape.backward(z, [x, y])?, &want);
            let recorded = tape.grad(z, [x, y]);
            assert_same(name, &[recorded[0].item()?, recorded[1].item()?], &want);
            // Forward mode, one argument moving.
            let one = x.ones_like();
            assert_same(name, &[tape.jvp(z, [(x, one)]).item()?], &want[..1]);
            assert_same(name, &[tape.jvp(z, [(y, one)]).item()?], &want[1..]);
        }
    }
    Ok(())
}

#[test]
fn loser_of_a_maximum_has_derivative_zero_against_any_cotangent() -> Tested {
    for ct in [f64::INFINITY, NAN] {
        let tape = Tape::<f64>::new();
        let (x, y) = (tape.var(1.0), tape.var(2.0));
        let seed = tape.constant(ct);
        for (z, want) in [(x.maximum(y), [0.0, ct]), (x.minimum(y), [ct, 0.0])] {
            let [dx, dy] = tape.vjp(z, seed, [x, y]);
            assert_same("recorded", &[dx.item()?, dy.item()?], &want);
            assert_same("plain", &tape.plain().vjp(z, ct, [x, y])?, &want);
        }
        for z in [x.clamp_min(1.5), x.clamp_max(0.5), x.clamp(1.0, 2.0), (-y).relu()] {
            let [dx, dy] = tape.vjp(z, seed, [x, y]);
            assert_same("recorded", &[dx.item()?, dy.item()?], &[0.0, 0.0]);
            assert_same("plain", &tape.plain().vjp(z, ct, [x, y])?, &[0.0, 0.0]);
        }
    }
    Ok(())
}

#[test]
fn relu_clamp_and_abs_of_nan_are_as_in_pytorch() -> Tested {
    type Function = for<'t> fn(Scalar<'t>) -> Scalar<'t>;
    let functions: [(&str, Function, f64); 6] = [
        ("relu", |x| x.relu(), 1.0),
        ("leaky_relu", |x| x.leaky_relu(0.1), 0.1),
        ("clamp", |x| x.clamp(-1.0, 1.0), 0.0),
        ("clamp_min", |x| x.clamp_min(-1.0), 0.0),
        ("clamp_max", |x| x.clamp_max(1.0), 0.0),
        ("abs", |x| x.abs(), 0.0),
    ];
    for (name, f, want) in functions {
        let tape = Tape::<f64>::new();
        let x = tape.var(NAN);
        let y = f(x);
        assert!(y.item()?.is_nan(), "{name}");
        let derivatives = [
            tape.backward(y, x)?,
            tape.grad(y, x).item()?,
            tape.jvp(y, [(x, x.ones_like())]).item()?,
        ];
        assert_same(name, &derivatives, &[want; 3]);
    }
    // The sign of NaN is 0, and 0 · NaN is NaN.
    let tape = Tape::<f64>::new();
    let x = tape.var(NAN);
    assert!(tape.plain().vjp(x.abs(), NAN, x)?.is_nan());
    Ok(())
}

#[test]
fn largest_absolute_value_is_nan_because_of_nan() -> Tested {
    let tape = Tape::<Reference>::new();
    let x = tape.var(tensor([2, 3], &[1.0, NAN, -2.0, 4.0, -5.0, 5.0]));
    for (y, want) in [
        (x.norm(f64::INFINITY), [0.0, NAN, 0.0, 0.0, 0.0, 0.0]),
        (x.norm_axes(f64::INFINITY, 1).sum(), [0.0, NAN, 0.0, 0.0, -0.5, 0.5]),
        (x.norm_keepdim(f64::INFINITY, 0).sum(), [0.0, NAN, 0.0, 1.0, 0.0, 1.0]),
    ] {
        assert_same("recorded", &tape.grad(y, x).to_host()?, &want);
        assert_same("plain", tape.backward(y, x)?.data(), &want);
        assert!(tape.jvp(y, [(x, x.ones_like())]).item()?.is_nan());
    }
    Ok(())
}

/// The Jacobian of `f` at [[1, NaN, 2], [4, 5, 6]], by rows and by columns.
fn jacobians(f: for<'t> fn(Handle<'t>) -> Handle<'t>) -> [Vec<f64>; 2] {
    let x = || tensor([2, 3], &[1.0, NAN, 2.0, 4.0, 5.0, 6.0]);
    let by_rows = transform::jacrev(f, x()).unwrap();
    let by_columns = transform::jacfwd(f, x()).unwrap();
    [by_rows.data().to_vec(), by_columns.data().to_vec()]
}

#[test]
fn rows_that_do_not_depend_on_nan_do_not_notice_it() {
    // The largest of each row: of the second 6, in the last place.
    let [by_rows, by_columns] = jacobians(|x| x.max_axes(1));
    for jacobian in [&by_rows, &by_columns] {
        assert_same("second row", &jacobian[6..], &[0.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
        assert!(jacobian[1].is_nan());
        assert_same("of the first row", &jacobian[3..6], &[0.0; 3]);
    }
    assert_same("first row", &by_rows[..3], &[0.0, NAN, 0.0]);

    let [by_rows, by_columns] = jacobians(|x| x.topk(1));
    for jacobian in [by_rows, by_columns] {
        let want = [0.0, NAN, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0];
        assert_same("topk", &jacobian, &want);
    }
}

#[test]
fn nan_that_is_cut_off_after_sorting_has_derivative_zero() -> Tested {
    let tape = Tape::<Reference>::new();
    let x = tape.var(tensor([4], &[3.0, NAN, 1.0, 2.0]));
    // The mean of the two smallest.
    let y = x.sort(0).narrow(0, 0, 2).mean();
    assert_same("recorded", &tape.grad(y, x).to_host()?, &[0.0, 0.0, 0.5, 0.5]);
    assert_same("plain", tape.backward(y, x)?.data(), &[0.0, 0.0, 0.5, 0.5]);
    Ok(())
}

#[test]
fn masked_rows_of_a_maximum_over_axes_hide_their_nan() -> Tested {
    let tape = Tape::<Reference>::new();
    let x = tape.var(tensor([2, 3], &[1.0, NAN, 2.0, 4.0, 5.0, 6.0]));
    let y = x.max_axes(1);
    let y = y.eq(y).where_(y, 0.0).sum();
    let want = [0.0, 0.0, 0.0, 0.0, 0.0, 1.0];
    let gradient = tape.grad(y, x);
    assert_same("recorded", &gradient.to_host()?, &want);
    assert_same("plain", tape.backward(y, x)?.data(), &want);
    assert_same("second", tape.backward(gradient.sum(), x)?.data(), &[0.0; 6]);
    Ok(())
}

/// The operations in which NaN has the derivative 0 of PyTorch.
const AS_IN_PYTORCH: [&str; 3] = ["abs", "clamp_min", "clamp_max"];

/// The calls whose derivative is 0 everywhere.
const FLAT: [&str; 3] = ["x - x", "x.scale(0.0)", "(x * 0.0).sinc()"];

/// Where one element is NaN and so are results, its derivative is not 0; and where that is NaN, the
/// second derivative is not 0 either.
#[test]
fn no_operation_hides_nan_behind_a_derivative_of_zero() -> Tested {
    let mut hidden = Vec::new();
    let cases = catalogue::<Reference>().into_iter().filter(|case| case.differentiable);
    for case in cases.filter(|x| !AS_IN_PYTORCH.contains(&x.op) && !FLAT.contains(&x.call)) {
        for (arg, (_, data)) in case.inputs.iter().enumerate() {
            for element in 0..data.len() {
                let tape = Tape::<Reference>::new();
                let mut x = Vec::new();
                for (k, (shape, data)) in case.inputs.iter().enumerate() {
                    let mut data = data.clone();
                    if k == arg {
                        data[element] = NAN;
                    }
                    x.push(tape.var(Reference::new(shape.clone(), data).unwrap()));
                }
                let y = (case.oracle)(&x);
                let Ok(value) = y.to_host() else { continue };
                if !value.iter().any(|y| y.is_nan()) {
                    continue;
                }
                // Different numbers, so that the parts of no derivative cancel.
                let seed = |like: Handle<'_>| {
                    let shape = like.shape().unwrap();
                    let n: usize = shape.iter().product();
                    let data = (1..=n).map(|i| (i as f64).sqrt()).collect();
                    Reference::new(shape, data).unwrap()
                };
                let first = tape.vjp(y, tape.constant(seed(y)), x[arg]);
                let second = tape.plain().vjp(first, seed(first), x[arg])?.data()[element];
                let first = first.to_host()?[element];
                if first == 0.0 || (first.is_nan() && second == 0.0) {
                    let orders = format!("derivatives {first} and {second}");
                    hidden.push(format!("{case}: argument {arg}, element {element}: {orders}"));
                }
            }
        }
    }
    assert!(hidden.is_empty(), "{}", hidden.join("\n"));
    Ok(())
}
