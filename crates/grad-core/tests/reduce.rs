//! Reductions, scans, sorting, softmax, losses and normalization: closed forms and corners.

#![allow(clippy::unwrap_used)]

use std::f64::consts::{LN_2, SQRT_2};

use grad_conformance::Reference;
use grad_core::{Axes, Error, ErrorKind, Index, Tape, TensorLike, Var};

const INF: f64 = f64::INFINITY;
const NAN: f64 = f64::NAN;

type Tested = Result<(), Error>;
type Handle<'t> = Var<'t, Reference>;

fn tensor<const N: usize>(shape: [usize; N], data: &[f64]) -> Reference {
    Reference::new(shape, data.to_vec()).unwrap()
}

fn list(data: &[f64]) -> Reference {
    tensor([data.len()], data)
}

/// Equal up to rounding, NaN to NaN.
#[track_caller]
fn assert_close(got: &[f64], want: &[f64]) {
    let close = |(&got, &want): (&f64, &f64)| {
        got == want
            || (got.is_nan() && want.is_nan())
            || (got - want).abs() <= 1e-12 * (1.0 + want.abs())
    };
    let equal = got.len() == want.len() && got.iter().zip(want).all(close);
    assert!(equal, "got {got:?}, want {want:?}");
}

/// What `f` gives at `x`; the gradient of its sum; and that of the sum of this gradient.
struct Orders {
    value: Vec<f64>,
    gradient: Vec<f64>,
    second: Vec<f64>,
}

/// Also checks that the plain sweep says the same as the recorded sweep, and so does forward mode
/// where the value is a number.
fn orders(x: Reference, f: impl for<'t> Fn(Handle<'t>) -> Handle<'t>) -> Result<Orders, Error> {
    let tape = Tape::<Reference>::new();
    let x = tape.var(x);
    let y = f(x);
    let gradient = tape.grad(y.sum(), x);
    let second = tape.grad(gradient.sum(), x);
    let gradient = gradient.to_host()?;
    assert_close(tape.backward(y.sum(), x)?.data(), &gradient);
    if !y.sum().item()?.is_nan() {
        let tangent = tape.jvp(y.sum(), [(x, x.ones_like())]);
        assert_close(&tangent.to_host()?, &[gradient.iter().sum()]);
    }
    Ok(Orders { value: y.to_host()?, gradient, second: second.to_host()? })
}

/// [`orders`] as three lists to compare with.
#[track_caller]
fn assert_orders(
    x: Reference,
    f: impl for<'t> Fn(Handle<'t>) -> Handle<'t>,
    value: &[f64],
    gradient: &[f64],
    second: &[f64],
) {
    let got = orders(x, f).unwrap();
    assert_close(&got.value, value);
    assert_close(&got.gradient, gradient);
    assert_close(&got.second, second);
}

#[track_caller]
fn assert_refused(y: Handle<'_>, expected: &str) {
    let error = y.value().unwrap_err();
    assert!(error.to_string().starts_with(expected), "{error}");
    assert_eq!(error.location().file(), file!());
}

// Reductions.

#[test]
fn sum_over_no_axes_is_the_tensor_itself() {
    let x = tensor([2, 2], &[1.0, 1.0, 1.0, 1.0]);
    assert_orders(x, |x| x.sum_axes([]), &[1.0; 4], &[1.0; 4], &[0.0; 4]);
}

#[test]
fn mean_of_nothing_is_nan_with_an_empty_gradient() {
    assert_orders(list(&[]), |x| x.mean(), &[NAN], &[], &[]);
}

#[test]
fn max_of_nothing_is_refused() {
    let tape = Tape::<Reference>::new();
    let x = tape.var(list(&[]));
    assert_refused(x.max(), "max: shape [0] has no elements along the reduced axes");
    assert_refused(x.norm(INF), "max: shape [0] has no elements along the reduced axes");
    assert_refused(x.median(), "median: shape [0] has no elements along the reduced axes");
    assert!(matches!(x.argmax(0).unwrap_err().kind(), ErrorKind::EmptyReduction { .. }));
}

#[test]
fn max_over_an_axis_shares_among_the_tied() {
    let x = list(&[3.0, 1.0, 3.0]);
    assert_orders(x, |x| x.max_axes(0), &[3.0], &[0.5, 0.0, 0.5], &[0.0; 3]);
}

#[test]
fn reductions_of_a_scalar_work_on_plain_numbers() -> Tested {
    let tape = Tape::<f64>::new();
    let x = tape.var(-3.0);
    for (y, value, dx) in [
        (x.norm(1.0), 3.0, -1.0),
        (x.norm(2.0), 3.0, -1.0),
        (x.norm(3.0), 3.0, -1.0),
        (x.norm(INF), 3.0, -1.0),
        (x.prod(), -3.0, 1.0),
        (x.logsumexp(), -3.0, 1.0),
        (x.var(0), 0.0, 0.0),
        (x.std(0), 0.0, 0.0),
        (x.median(), -3.0, 1.0),
    ] {
        assert_close(&[y.item()?, tape.backward(y, x)?], &[value, dx]);
    }
    Ok(())
}

// Norms.

#[test]
fn norm_of_the_zero_vector_has_gradient_zero() -> Tested {
    for p in [1.0, 1.5, 2.0, 3.0] {
        let tape = Tape::<Reference>::new();
        let x = tape.var(list(&[0.0, 0.0]));
        let y = x.norm(p);
        let dx = tape.grad(y, x);
        assert_close(&dx.to_host()?, &[0.0, 0.0]);
        assert_close(tape.backward(y, x)?.data(), &[0.0, 0.0]);
        assert_close(&tape.jvp(y, [(x, x.ones_like())]).to_host()?, &[0.0]);
    }
    Ok(())
}

#[test]
fn norm_of_a_vector_is_differentiated_twice() {
    // The Hessian of the 2-norm is (1 − u uᵀ) / y for u = x / y; of the sum of u: (1 − u Σu) / y.
    assert_orders(
        list(&[3.0, 4.0]),
        |x| x.norm(2.0),
        &[5.0],
        &[0.6, 0.8],
        &[(1.0 - 0.6 * 1.4) / 5.0, (1.0 - 0.8 * 1.4) / 5.0],
    );
}

#[test]
fn norm_has_derivative_zero_at_single_zeros() {
    assert_orders(list(&[0.0, 1.0]), |x| x.norm(1.0), &[1.0], &[0.0, 1.0], &[0.0, 0.0]);
    // y³ = |x₁|³ + |x₂|³; at x₁ = 0 all derivatives by x₁ are 0.
    assert_orders(list(&[0.0, 2.0]), |x| x.norm(3.0), &[2.0], &[0.0, 1.0], &[0.0, 0.0]);
    // ∂²y/∂x₁² = 1/y at x₁ = 0.
    assert_orders(list(&[0.0, 2.0]), |x| x.norm(2.0), &[2.0], &[0.0, 1.0], &[0.5, 0.0]);
}

#[test]
fn norm_is_finite_where_powers_over_or_underflow() {
    let at = |p: f64, x: &[f64]| orders(list(x), |x| x.norm(p)).unwrap();
    // y³ = 27 + 64 in units of the scale r, and the slopes are (|x|/y)².
    let y = 91f64.cbrt();
    for r in [1e-200, 1e-120, 1e120, 1e200] {
        let got = at(3.0, &[3.0 * r, -4.0 * r]);
        assert_close(&[got.value[0] / r], &[y]);
        assert_close(&got.gradient, &[9.0 / y / y, -16.0 / y / y]);
    }
    let got = at(3.0, &[1e-120, 2.0]);
    assert_close(&got.value, &[2.0]);
    assert!(got.gradient[0] / 2.5e-241 > 1.0 - 1e-12 && got.gradient[0] / 2.5e-241 < 1.0 + 1e-12);
    assert_close(&got.gradient[1..], &[1.0]);
    // ½-norm of (r, r): (2 √r)² = 4 r, and the slopes are √(y/r) = 2.
    assert_close(&at(0.5, &[1e-300, 1e-300]).gradient, &[2.0, 2.0]);
    // Numbers whose reciprocal overflows.
    assert_close(&at(2.0, &[3e-310, 4e-310]).gradient, &[0.6, 0.8]);
    assert_close(&at(3.0, &[3e-310, 4e-310]).gradient, &[9.0 / y / y, 16.0 / y / y]);
}

#[test]
fn norm_over_no_axes_is_linear_beside_zero() -> Tested {
    let tape = Tape::<Reference>::new();
    let x = tape.var(list(&[-0.3, 0.7]));
    for p in [0.5, 2.0, 3.0] {
        let first = tape.grad(x.norm_axes(p, []).sum(), x);
        assert_close(&first.to_host()?, &[-1.0, 1.0]);
        let second = tape.grad(first.sum(), x);
        assert_eq!(second.to_host()?, [0.0, 0.0]);
        assert_eq!(tape.grad(second.sum(), x).to_host()?, [0.0, 0.0]);
    }
    Ok(())
}

#[test]
fn norm_of_an_infinite_element_is_infinite_with_derivative_nan_there() {
    for p in [2.0, 3.0] {
        let tape = Tape::<Reference>::new();
        let x = tape.var(list(&[INF, 1.0]));
        assert_eq!(x.norm(p).item().unwrap(), INF);
        assert_close(tape.backward(x.norm(p), x).unwrap().data(), &[NAN, 0.0]);
    }
}

#[test]
fn norm_with_infinite_p_shares_among_the_tied() {
    assert_orders(list(&[2.0, -2.0]), |x| x.norm(INF), &[2.0], &[0.5, -0.5], &[0.0, 0.0]);
}

#[test]
fn masked_norm_of_the_zero_vector_has_zero_derivatives_of_both_orders() -> Tested {
    // What a distance of an atom to itself needs: the first row is masked out.
    let x = tensor([2, 2], &[0.0, 0.0, 3.0, 4.0]);
    let gradient = [0.0, 0.0, 0.6, 0.8];
    let second = [0.0, 0.0, (1.0 - 0.6 * 1.4) / 5.0, (1.0 - 0.8 * 1.4) / 5.0];
    let tape = Tape::<Reference>::new();
    let x = tape.var(x);
    let norm = x.norm_axes(2.0, 1);
    let y = norm.gt(0.0).where_(norm, 0.0).sum();
    let dx = tape.grad(y, x);
    assert_close(&dx.to_host()?, &gradient);
    assert_close(tape.backward(dx.sum(), x)?.data(), &second);
    assert_close(&tape.jvp(dx, [(x, x.ones_like())]).to_host()?, &second);
    Ok(())
}

#[test]
fn norm_over_axes_keeps_or_drops_them() -> Tested {
    let tape = Tape::<Reference>::new();
    let x = tape.var(tensor([2, 1, 2], &[3.0, 4.0, 6.0, 8.0]));
    assert_eq!(*x.norm_axes(2.0, [1, 2]).shape()?, [2]);
    assert_eq!(*x.norm_keepdim(2.0, [-1, 1]).shape()?, [2, 1, 1]);
    assert_close(&x.norm_axes(2.0, [1, 2]).to_host()?, &[5.0, 10.0]);
    assert_close(&x.norm_axes(2.0, []).to_host()?, &[3.0, 4.0, 6.0, 8.0]);
    Ok(())
}

#[test]
fn norm_of_nothing_is_zero() {
    assert_orders(list(&[]), |x| x.norm(2.0), &[0.0], &[], &[]);
}

#[test]
fn norm_refuses_an_exponent_that_is_not_positive() {
    let tape = Tape::<Reference>::new();
    let x = tape.var(list(&[1.0]));
    for p in [0.0, -1.0, NAN, -INF] {
        assert_refused(x.norm(p), "norm: the exponent of a norm must be above 0");
    }
}

// Products.

#[test]
fn prod_with_one_zero_has_its_true_derivatives() {
    let x = list(&[2.0, 0.0, 3.0]);
    assert_orders(x, |x| x.prod(), &[0.0], &[0.0, 6.0, 0.0], &[3.0, 5.0, 2.0]);
}

#[test]
fn prod_with_two_zeros_has_its_true_derivatives() {
    let x = list(&[2.0, 0.0, 0.0]);
    assert_orders(x, |x| x.prod(), &[0.0], &[0.0; 3], &[0.0, 2.0, 2.0]);
}

#[test]
fn prod_with_three_zeros_has_its_true_third_derivative() -> Tested {
    let tape = Tape::<Reference>::new();
    let x = tape.var(list(&[0.0, 0.0, 0.0, 5.0]));
    let mut d = x.prod();
    for _ in 0..3 {
        d = tape.grad(d, x).sum();
    }
    // Each of the 3! orders of ∂₀∂₁∂₂ gives 5; others vanish.
    assert_close(&[d.item()?], &[30.0]);
    Ok(())
}

#[test]
fn prod_of_nothing_is_one() -> Tested {
    assert_orders(list(&[]), |x| x.prod(), &[1.0], &[], &[]);
    let tape = Tape::<Reference>::new();
    let y = tape.var(tensor([0, 2], &[])).prod_axes(0);
    assert_eq!(y.value()?, list(&[1.0, 1.0]));
    Ok(())
}

#[test]
fn prod_multiplies_every_element_once_for_every_size() -> Tested {
    let tape = Tape::<Reference>::new();
    for n in 1..20_usize {
        let x: Vec<f64> = (1..=n).map(|i| 1.0 + i as f64 / 8.0).collect();
        let y = tape.var(list(&x)).prod();
        assert_close(&[y.item()?], &[x.iter().product()]);
    }
    let x = tape.var(tensor([2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]));
    assert_close(&x.prod_axes([0, 1]).to_host()?, &[720.0]);
    assert_close(&x.prod_axes(1).to_host()?, &[6.0, 120.0]);
    assert_eq!(*x.prod_keepdim(0).shape()?, [1, 3]);
    Ok(())
}

#[test]
fn cumprod_with_a_zero_has_its_true_derivatives() {
    assert_orders(
        list(&[2.0, 0.0, 3.0]),
        |x| x.cumprod(0),
        &[2.0, 0.0, 0.0],
        &[1.0, 8.0, 0.0],
        &[4.0, 6.0, 2.0],
    );
}

#[test]
fn cumprod_gives_the_product_up_to_each_element_for_every_size() -> Tested {
    let tape = Tape::<Reference>::new();
    for n in 0..12_usize {
        let x: Vec<f64> = (0..n).map(|i| 0.5 + i as f64 / 4.0).collect();
        let expected: Vec<f64> = (0..n).map(|i| x[..=i].iter().product()).collect();
        assert_close(&tape.var(list(&x)).cumprod(-1).to_host()?, &expected);
    }
    let x = tape.var(tensor([2, 2], &[1.0, 2.0, 3.0, 4.0]));
    assert_close(&x.cumprod(0).to_host()?, &[1.0, 2.0, 3.0, 8.0]);
    Ok(())
}

#[test]
fn cumsum_is_pulled_back_from_the_end() -> Tested {
    let tape = Tape::<Reference>::new();
    let x = tape.var(list(&[1.0, 2.0, 4.0]));
    let y = x.cumsum(0);
    assert_close(&y.to_host()?, &[1.0, 3.0, 7.0]);
    let ct = tape.var(list(&[1.0, 10.0, 100.0]));
    let dx = tape.vjp(y, ct, x);
    assert_close(&dx.to_host()?, &[111.0, 110.0, 100.0]);
    // The transpose of the transpose is the map itself.
    let back = tape.vjp(dx, x, ct);
    assert_close(&back.to_host()?, &[1.0, 3.0, 7.0]);
    Ok(())
}

#[test]
fn scans_refuse_a_scalar() {
    let tape = Tape::<f64>::new();
    let x = tape.var(1.0);
    for y in [x.cumsum(0), x.cumprod(0), x.softmax(0), x.log_softmax(-1), x.sort(0)] {
        let error = y.value().unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::AxisOutOfRange { .. }), "{error}");
    }
}

#[test]
fn scans_of_nothing_are_empty() -> Tested {
    let tape = Tape::<Reference>::new();
    let x = tape.var(tensor([2, 0], &[]));
    for y in [x.cumsum(1), x.cumprod(1), x.softmax(1), x.log_softmax(1), x.sort(1), x.cumsum(0)] {
        assert_eq!(*y.shape()?, [2, 0]);
        assert_eq!(*tape.backward(y.sum(), x)?.shape(), [2, 0]);
    }
    Ok(())
}

// Softmax.

#[test]
fn logsumexp_with_an_infinite_element_is_infinite_with_gradient_one_there() {
    assert_orders(list(&[INF, 0.0]), |x| x.logsumexp(), &[INF], &[1.0, 0.0], &[0.0, 0.0]);
}

#[test]
fn logsumexp_of_negative_infinities_has_a_gradient_without_nan() {
    let x = list(&[-INF, -INF]);
    assert_orders(x, |x| x.logsumexp(), &[-INF], &[0.5, 0.5], &[0.0, 0.0]);
    let x = list(&[-INF, 1.0]);
    assert_orders(x, |x| x.logsumexp(), &[1.0], &[0.0, 1.0], &[0.0, 0.0]);
}

#[test]
fn logsumexp_over_an_empty_axis_is_negative_infinity() {
    assert_orders(tensor([0, 2], &[]), |x| x.logsumexp_axes(0), &[-INF, -INF], &[], &[]);
}

#[test]
fn logsumexp_of_large_numbers_does_not_overflow() {
    let x = tensor([2, 1, 2], &[1e4, 1e4, -1e4, -1e4]);
    let value = [1e4 + LN_2, -1e4 + LN_2];
    assert_orders(x, |x| x.logsumexp_axes([1, 2]), &value, &[0.5; 4], &[0.0; 4]);
}

#[test]
fn logsumexp_over_several_axes_is_that_of_the_flattened_axes() -> Tested {
    let tape = Tape::<Reference>::new();
    let x = tape
        .var(tensor([2, 3, 2], &[0.5, -1.0, 2.0, 0.1, 0.2, 0.3, 1.0, 1.5, -2.0, 0.0, 0.7, 0.4]));
    let flat = x.permute([1, 0, 2]).reshape([3, 4]);
    let (y, z) = (x.logsumexp_keepdim([0, 2]), flat.logsumexp_axes(1));
    assert_eq!(*y.shape()?, [1, 3, 1]);
    assert_close(&y.to_host()?, &z.to_host()?);
    let weights = tape.constant(list(&[1.0, 2.0, 3.0]));
    let dy = tape.grad((y.reshape([3]) * weights).sum(), x);
    let dz = tape.grad((z * weights).sum(), x);
    assert_close(&dy.to_host()?, &dz.to_host()?);
    let (ddy, ddz) = (tape.backward((dy * x).sum(), x)?, tape.backward((dz * x).sum(), x)?);
    assert_close(ddy.data(), ddz.data());
    Ok(())
}

#[test]
fn softmax_of_large_numbers_does_not_overflow() {
    assert_orders(list(&[1000.0, 0.0]), |x| x.softmax(0), &[1.0, 0.0], &[0.0; 2], &[0.0; 2]);
    let value = [0.0, -1000.0];
    assert_orders(list(&[1000.0, 0.0]), |x| x.log_softmax(0), &value, &[-1.0, 1.0], &[0.0; 2]);
}

#[test]
fn softmax_of_infinite_elements_is_shared_by_the_largest() {
    let zero = [0.0; 3];
    assert_orders(list(&[INF, 0.0, INF]), |x| x.softmax(0), &[0.5, 0.0, 0.5], &zero, &zero);
    assert_orders(list(&[-INF, 0.0, 0.0]), |x| x.softmax(0), &[0.0, 0.5, 0.5], &zero, &zero);
    assert_close(&orders(list(&[-INF, -INF]), |x| x.softmax(0)).unwrap().value, &[0.5, 0.5]);
}

#[test]
fn softmax_written_out_overflows_where_softmax_does_not() {
    let naive = orders(list(&[1000.0, 0.0]), |x| x.exp() / x.exp().sum()).unwrap();
    assert_close(&naive.value, &[NAN, 0.0]);
}

// Variances.

#[test]
fn std_of_a_constant_is_zero_with_gradient_zero() -> Tested {
    let tape = Tape::<Reference>::new();
    let x = tape.var(list(&[3.0, 3.0, 3.0]));
    let y = x.std(1);
    assert_close(&y.to_host()?, &[0.0]);
    assert_close(tape.backward(y, x)?.data(), &[0.0; 3]);
    assert_close(&tape.grad(y, x).to_host()?, &[0.0; 3]);
    Ok(())
}

#[test]
fn std_of_one_element_with_correction_one_is_nan() -> Tested {
    for got in [orders(list(&[1.0]), |x| x.std(1))?, orders(list(&[1.0]), |x| x.var(1))?] {
        assert_close(&got.value, &[NAN]);
        assert_close(&got.gradient, &[NAN]);
    }
    Ok(())
}

#[test]
fn std_is_the_root_of_var() {
    // mean 2, deviations −1, 0, 1: var = 2 / (3 − 1), and dy/dx = deviation / (y (n − 1)).
    let x = list(&[1.0, 2.0, 3.0]);
    assert_orders(x.clone(), |x| x.var(1), &[1.0], &[-1.0, 0.0, 1.0], &[0.0; 3]);
    assert_orders(x, |x| x.std(1), &[1.0], &[-0.5, 0.0, 0.5], &[0.0; 3]);
}

#[test]
fn var_of_nothing_is_nan() -> Tested {
    let tape = Tape::<Reference>::new();
    let x = tape.var(tensor([2, 0], &[]));
    assert_close(&x.var(0).to_host()?, &[NAN]);
    assert_close(&x.std_axes(1, 1).to_host()?, &[NAN, NAN]);
    assert_eq!(*x.var_keepdim(1, 0).shape()?, [2, 1]);
    Ok(())
}

// Order.

#[test]
fn sort_is_stable_and_puts_nan_last() -> Tested {
    let tape = Tape::<Reference>::new();
    let x = tape.var(list(&[NAN, 2.0, -INF, 1.0, 2.0]));
    assert_close(&x.sort(0).to_host()?, &[-INF, 1.0, 2.0, 2.0, NAN]);
    assert_eq!(x.argsort(0)?, Index::from([2, 3, 1, 4, 0]));
    Ok(())
}

#[test]
fn sort_sends_each_cotangent_to_where_the_element_was() -> Tested {
    let tape = Tape::<Reference>::new();
    let x = tape.var(list(&[2.0, 1.0, 2.0]));
    let ct = tape.constant(list(&[1.0, 10.0, 100.0]));
    assert_close(&tape.vjp(x.sort(0), ct, x).to_host()?, &[10.0, 1.0, 100.0]);
    Ok(())
}

#[test]
fn sort_runs_along_any_axis() -> Tested {
    let tape = Tape::<Reference>::new();
    let x = tape.var(tensor([3, 2], &[3.0, 1.0, 1.0, 2.0, 2.0, 0.0]));
    assert_close(&x.sort(0).to_host()?, &[1.0, 0.0, 2.0, 1.0, 3.0, 2.0]);
    assert_close(&x.sort(-1).to_host()?, &[1.0, 3.0, 1.0, 2.0, 0.0, 2.0]);
    assert_eq!(x.argsort(0)?.data(), [1, 2, 2, 0, 0, 1]);
    Ok(())
}

#[test]
fn topk_takes_the_largest_in_descending_order() {
    let x = tensor([2, 3], &[1.0, 3.0, 2.0, 5.0, 5.0, 4.0]);
    let gradient = [0.0, 1.0, 1.0, 1.0, 1.0, 0.0];
    assert_orders(x, |x| x.topk(2), &[3.0, 2.0, 5.0, 5.0], &gradient, &[0.0; 6]);
}

#[test]
fn topk_refuses_more_than_there_are() {
    let tape = Tape::<Reference>::new();
    let x = tape.var(list(&[1.0, 2.0]));
    assert_refused(x.topk(3), "topk: cannot take the 3 largest of 2 elements");
}

#[test]
fn median_shares_among_the_tied() {
    assert_orders(list(&[2.0; 3]), |x| x.median(), &[2.0], &[1.0 / 3.0; 3], &[0.0; 3]);
}

#[test]
fn median_of_an_even_number_is_the_lower_one() {
    let x = list(&[4.0, 1.0, 3.0, 2.0]);
    assert_orders(x, |x| x.median(), &[2.0], &[0.0, 0.0, 0.0, 1.0], &[0.0; 4]);
}

#[test]
fn argmax_goes_along_any_axis() -> Tested {
    let tape = Tape::<Reference>::new();
    // [[[1, 5], [4, 5], [4, 2]], [[0, NaN], [−1, 7], [−2, NaN]]]
    let x = [1.0, 5.0, 4.0, 5.0, 4.0, 2.0, 0.0, NAN, -1.0, 7.0, -2.0, NAN];
    let x = tape.var(tensor([2, 3, 2], &x));
    assert_eq!(x.argmax(1)?.data(), [1, 0, 0, 0]);
    assert_eq!(x.argmin(1)?.data(), [0, 2, 2, 0]);
    assert_eq!(x.argmax(-1)?.data(), [1, 1, 0, 1, 1, 1]);
    // Lanes of no elements are none, whatever the other sizes.
    let none = tape.var(tensor([0, 3, 1 << 40], &[]));
    assert_eq!(**none.argmax(1)?.shape(), [0, 1 << 40]);
    Ok(())
}

#[test]
fn argmax_names_the_first_of_the_largest() -> Tested {
    let tape = Tape::<Reference>::new();
    let x = tape.var(tensor([2, 3], &[1.0, 3.0, 3.0, NAN, 9.0, 0.0]));
    assert_eq!(x.argmax(1)?, Index::from([1, 0]));
    assert_eq!(x.argmin(1)?, Index::from([0, 0]));
    assert_eq!(x.argmax(0)?, Index::from([1, 1, 0]));
    assert_eq!(x.argmin(0)?, Index::from([1, 0, 1]));
    let scalar = tape.var(1.0);
    assert!(matches!(scalar.argmax(0).unwrap_err().kind(), ErrorKind::AxisOutOfRange { .. }));
    Ok(())
}

// Losses and similarities.

#[test]
fn cross_entropy_is_stable_for_large_logits() {
    let x = tensor([2, 2], &[1000.0, 0.0, 1000.0, 0.0]);
    assert_orders(x, |x| x.cross_entropy([1, 0]), &[500.0], &[0.5, -0.5, 0.0, 0.0], &[0.0; 4]);
}

#[test]
fn cross_entropy_refuses_targets_that_do_not_fit() {
    let tape = Tape::<Reference>::new();
    let x = tape.var(tensor([2, 3], &[0.0; 6]));
    assert_refused(x.cross_entropy([3, 0]), "cross_entropy: index 3 is out of range for axis 1");
    assert_refused(x.cross_entropy([0]), "cross_entropy: shapes [1] and [2, 3] are incompatible");
    assert_refused(tape.var(1.0).cross_entropy([0]), "cross_entropy: axis -1 is out of range");
}

#[test]
fn huber_loss_is_smooth_at_delta() {
    // Of d = 1 = delta: d²/2, gradient d, and the second derivative of the linear part.
    assert_orders(list(&[1.0]), |x| x.huber_loss(0.0, 1.0), &[0.5], &[1.0], &[0.0]);
    assert_orders(list(&[-0.5]), |x| x.huber_loss(0.0, 1.0), &[0.125], &[-0.5], &[1.0]);
    assert_orders(list(&[INF]), |x| x.huber_loss(0.0, 2.0), &[INF], &[2.0], &[0.0]);
}

#[test]
fn huber_loss_refuses_a_delta_that_is_not_positive() {
    let tape = Tape::<Reference>::new();
    for delta in [0.0, -1.0, NAN] {
        let y = tape.var(list(&[1.0])).huber_loss(0.0, delta);
        assert_refused(y, "huber_loss: the delta of a Huber loss must be above 0");
    }
}

#[test]
fn bce_with_logits_is_stable_for_large_and_infinite_logits() {
    let x = list(&[800.0, -800.0, INF, -INF]);
    let tape = Tape::<Reference>::new();
    let x = tape.var(x);
    let y = tape.var(list(&[0.0, 1.0, 1.0, 0.0]));
    let loss = x.bce_with_logits(y);
    assert_close(&loss.to_host().unwrap(), &[400.0]);
    let [dx, dy] = tape.backward(loss, [x, y]).unwrap();
    assert_close(dx.data(), &[0.25, -0.25, 0.0, 0.0]);
    assert_close(dy.data(), &[-200.0, 200.0, -INF, INF]);
}

#[test]
fn losses_differentiate_the_target_too() -> Tested {
    let tape = Tape::<Reference>::new();
    let (x, y) = (tape.var(list(&[1.0, 5.0])), tape.var(list(&[2.0, 2.0])));
    // Differences −1 and 3: squares 1 and 9; with delta 2: 1/2 and 2 (3 − 1).
    for (loss, value, dx) in
        [(x.mse_loss(y), 5.0, [-1.0, 3.0]), (x.huber_loss(y, 2.0), 2.25, [-0.5, 1.0])]
    {
        assert_close(&loss.to_host()?, &[value]);
        let [got_x, got_y] = tape.backward(loss, [x, y])?;
        assert_close(got_x.data(), &dx);
        assert_close(got_y.data(), &dx.map(|dx| -dx));
    }
    Ok(())
}

#[test]
fn cosine_similarity_with_a_zero_vector_is_zero_with_finite_derivatives() -> Tested {
    let tape = Tape::<Reference>::new();
    let (x, y) = (tape.var(list(&[0.0, 0.0])), tape.var(list(&[1.0, 2.0])));
    let c = x.cosine_similarity(y, 0, 1e-8);
    assert_close(&c.to_host()?, &[0.0]);
    let [dx, dy] = tape.grad(c, [x, y]);
    // y / (‖y‖ eps)
    assert_close(&dx.to_host()?, &[1e8 / 5.0_f64.sqrt(), 2e8 / 5.0_f64.sqrt()]);
    assert_close(&dy.to_host()?, &[0.0, 0.0]);
    let [dxx, _] = tape.grad(dx.sum() + dy.sum(), [x, y]);
    assert!(dxx.to_host()?.iter().all(|x| x.is_finite()), "{dxx}");
    Ok(())
}

#[test]
fn cosine_similarity_is_the_cosine() -> Tested {
    let tape = Tape::<Reference>::new();
    let x = tape.var(tensor([2, 2], &[1.0, 0.0, 0.0, 2.0]));
    let y = tape.var(list(&[1.0, 1.0]));
    let c = x.cosine_similarity(y, -1, 1e-8);
    assert_close(&c.to_host()?, &[SQRT_2 / 2.0, SQRT_2 / 2.0]);
    // (y / ‖y‖ − c x / ‖x‖) / ‖x‖
    let h = SQRT_2 / 2.0;
    assert_close(tape.backward(c.sum(), x)?.data(), &[0.0, h, h / 2.0, 0.0]);
    let wrong = tape.var(list(&[1.0, 1.0, 1.0]));
    assert_refused(
        x.cosine_similarity(wrong, -1, 1e-8),
        "cosine_similarity: shapes [2, 2] and [3]",
    );
    Ok(())
}

// Normalization.

#[test]
fn layer_norm_takes_numbers_for_weight_and_bias() -> Tested {
    let tape = Tape::<Reference>::new();
    let x = tape.var(tensor([2, 2], &[1.0, 3.0, 4.0, 8.0]));
    assert_close(&x.layer_norm(-1, 2.0, 1.0, 0.0).to_host()?, &[-1.0, 3.0, -1.0, 3.0]);
    // Of [3, 4]: mean square 25/2.
    let y = tape.var(list(&[3.0, 4.0])).rms_norm(0, 1.0, 0.0);
    assert_close(&y.to_host()?, &[3.0 * SQRT_2 / 5.0, 4.0 * SQRT_2 / 5.0]);
    Ok(())
}

#[test]
fn batch_norm_treats_each_channel_by_itself() -> Tested {
    let tape = Tape::<Reference>::new();
    let x = tape.var(tensor([2, 2, 1], &[1.0, 10.0, 3.0, 30.0]));
    let (weight, bias) = (tape.var(list(&[1.0, 2.0])), tape.var(list(&[0.0, 5.0])));
    let y = x.batch_norm(weight, bias, 0.0);
    assert_close(&y.to_host()?, &[-1.0, 3.0, 1.0, 7.0]);
    let (mean, var) = (tape.constant(list(&[2.0, 20.0])), tape.constant(list(&[1.0, 100.0])));
    let inference = x.batch_norm_with(mean, var, weight, bias, 0.0);
    assert_close(&inference.to_host()?, &y.to_host()?);
    // Training sees that the statistics follow x; inference does not.
    assert_close(tape.backward(y.sum(), x)?.data(), &[0.0; 4]);
    assert_close(tape.backward(inference.sum(), x)?.data(), &[1.0, 0.2, 1.0, 0.2]);
    let three = tape.var(list(&[1.0; 3]));
    let text = "batch_norm: shapes [3] and [2, 2, 1] are incompatible: the first must have one \
                element for each channel (axis 1 of the second)";
    assert_refused(x.batch_norm(three, bias, 0.0), text);
    let flat = tape.var(list(&[1.0; 2]));
    assert_refused(flat.batch_norm(weight, bias, 0.0), "batch_norm: shape [2] has too few axes");
    Ok(())
}

// Errors.

#[test]
fn wrong_axes_are_errors_at_the_users_line() {
    let tape = Tape::<Reference>::new();
    let x = tape.var(tensor([2, 3], &[0.0; 6]));
    for y in [
        x.prod_axes(2),
        x.norm_axes(2.0, 2),
        x.var_axes(2, 1),
        x.std_keepdim(2, 1),
        x.logsumexp_axes(2),
        x.softmax(2),
        x.log_softmax(2),
        x.cumsum(2),
        x.cumprod(2),
        x.sort(2),
        x.layer_norm(2, 1.0, 0.0, 1e-5),
        x.rms_norm(2, 1.0, 1e-5),
        x.cosine_similarity(x, 2, 1e-8),
    ] {
        let error = y.value().unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::AxisOutOfRange { axis: 2, rank: 2 }), "{error}");
        assert_eq!(error.location().file(), file!());
    }
    let repeated: Axes = [0, -2].into();
    assert!(matches!(
        x.prod_axes(repeated).value().unwrap_err().kind(),
        ErrorKind::RepeatedAxis { axis: -2 }
    ));
}

#[test]
fn an_error_before_comes_out_behind() {
    let tape = Tape::<Reference>::new();
    let void = tape.var(list(&[1.0, 2.0])) + tape.var(list(&[1.0, 2.0, 3.0]));
    let three = tape.var(list(&[1.0; 3]));
    for y in [
        void.prod(),
        void.norm(2.0),
        void.norm_axes(2.0, 7),
        void.std(1),
        void.var_axes(0, 1),
        void.logsumexp_axes(0),
        void.softmax(0),
        void.cumsum(0),
        void.cumprod(0),
        void.sort(0),
        void.topk(1),
        void.median(),
        void.cross_entropy([0]),
        void.mse_loss(1.0),
        void.huber_loss(1.0, 1.0),
        void.bce_with_logits(1.0),
        void.layer_norm(0, 1.0, 0.0, 1e-5),
        void.batch_norm(three, three, 1e-5),
        void.cosine_similarity(three, 0, 1e-8),
        three.cosine_similarity(void, 0, 1e-8),
    ] {
        assert!(y.value().unwrap_err().to_string().starts_with("add: shapes [2] and [3]"));
    }
    assert!(void.argsort(0).unwrap_err().to_string().starts_with("add: shapes [2] and [3]"));
    assert!(void.argmax(0).unwrap_err().to_string().starts_with("add: shapes [2] and [3]"));
}
