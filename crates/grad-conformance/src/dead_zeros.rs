//! Zeros that are dead and zeros that are flat: functions next to infinite slopes, with the
//! derivatives that every mode must give.
//!
//! A cotangent or tangent can be 0 because the element was *not chosen*, as by `where_`. Then it
//! is dead, and stays 0 whatever comes. It can also be 0 because a function is *flat just here*, as
//! a square at 0. Then 0 · ∞ is NaN. What is promised is the true value or NaN, never a wrong
//! number; where only one of the two is right, it says so here.
//!
//! Every function runs in every mode of [`derivatives`], as it stands and in a
//! [`checkpoint`](grad_core::transform::checkpoint). On a backend of scalars a function of single
//! elements runs element by element; what has axes is left out.

use std::rc::Rc;

use grad_core::extend::{ByPartial, Elementwise, Primal};
use grad_core::{Shape, Slice, Tape, TensorLike, Var, transform};

use crate::catalogue::Apply;
use crate::compare::{Failure, Verdict, pair};
use crate::modes::{Derivative, Function, Input, derivatives, in_checkpoint};

/// Something that must hold, on the backend of the model tensor.
pub type Check<T> = fn(&T) -> Verdict;

/// Tests with their names, for [`dead_zeros!`](crate::dead_zeros!).
pub fn checks<T: TensorLike>() -> Vec<(&'static str, Check<T>)> {
    vec![
        ("roots_in_a_branch_that_is_not_taken", roots_in_a_branch_that_is_not_taken),
        ("poles_in_a_branch_that_is_not_taken", poles_in_a_branch_that_is_not_taken),
        ("branches_in_branches", branches_in_branches),
        ("factors_and_exponents_that_are_zero", factors_and_exponents_that_are_zero),
        ("masks_as_factors", masks_as_factors),
        ("relu_beside_a_pole", relu_beside_a_pole),
        ("functions_of_their_inverses", functions_of_their_inverses),
        ("values_with_a_dead_and_a_live_use", values_with_a_dead_and_a_live_use),
        ("half_of_the_squared_norm", half_of_the_squared_norm),
        ("flat_points_of_finite_slope", flat_points_of_finite_slope),
        ("powers_of_zero", powers_of_zero),
        ("entropies_with_a_logit_of_minus_infinity", entropies_with_a_logit_of_minus_infinity),
        ("softmax_of_logarithms", softmax_of_logarithms),
        ("a_softmax_that_underflows", a_softmax_that_underflows),
        ("jacobians_with_a_pole_in_one_row", jacobians_with_a_pole_in_one_row),
        ("parameters_of_a_branch_that_is_not_taken", parameters_of_a_branch_that_is_not_taken),
        ("elements_that_are_left_out", elements_that_are_left_out),
        ("masked_rows_of_a_product", masked_rows_of_a_product),
        ("distances_without_the_diagonal", distances_without_the_diagonal),
        ("kinks_at_a_pole", kinks_at_a_pole),
        ("numerators_that_are_zero", numerators_that_are_zero),
        ("roots_of_a_user", roots_of_a_user),
        ("tails_are_right_or_nan", tails_are_right_or_nan),
        ("products_of_roots_are_right_or_nan", products_of_roots_are_right_or_nan),
        ("tracked_gates_are_right_or_nan", tracked_gates_are_right_or_nan),
        (
            "distances_with_the_diagonal_are_right_or_nan",
            distances_with_the_diagonal_are_right_or_nan,
        ),
        ("the_root_of_an_absolute_value_is_nan", the_root_of_an_absolute_value_is_nan),
        ("entropies_that_are_right_or_nan", entropies_that_are_right_or_nan),
        ("the_piece_that_was_taken_counts", the_piece_that_was_taken_counts),
        ("a_nan_in_a_masked_row_is_no_number", a_nan_in_a_masked_row_is_no_number),
    ]
}

/// Runs one of the [`checks`].
///
/// # Errors
/// Where it fails, and where there is none of that name.
pub fn check<T: TensorLike>(name: &str, model: &T) -> Verdict {
    match checks::<T>().into_iter().find(|(known, _)| *known == name) {
        Some((_, check)) => check(model),
        None => Err(Failure::new(format!("there is no check {name}"))),
    }
}

/// A module with a test for each of the [`checks`], for a type of tensor and a model tensor.
///
/// ```
/// grad_conformance::dead_zeros!(reference: grad_conformance::Reference, 0.0.into());
/// ```
#[macro_export]
macro_rules! dead_zeros {
    ($module:ident: $tensor:ty, $model:expr) => {
        mod $module {
            #[allow(unused_imports)]
            use super::*;

            fn model() -> $tensor {
                $model
            }

            mod dead_zeros {
                $crate::each_dead_zero!();
            }
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! each_dead_zero {
    () => {
        $crate::named_tests! { $crate::dead_zeros::check:
            roots_in_a_branch_that_is_not_taken
            poles_in_a_branch_that_is_not_taken
            branches_in_branches
            factors_and_exponents_that_are_zero
            masks_as_factors
            relu_beside_a_pole
            functions_of_their_inverses
            values_with_a_dead_and_a_live_use
            half_of_the_squared_norm
            flat_points_of_finite_slope
            powers_of_zero
            entropies_with_a_logit_of_minus_infinity
            softmax_of_logarithms
            a_softmax_that_underflows
            jacobians_with_a_pole_in_one_row
            parameters_of_a_branch_that_is_not_taken
            elements_that_are_left_out
            masked_rows_of_a_product
            distances_without_the_diagonal
            kinks_at_a_pole
            numerators_that_are_zero
            roots_of_a_user
            tails_are_right_or_nan
            products_of_roots_are_right_or_nan
            tracked_gates_are_right_or_nan
            distances_with_the_diagonal_are_right_or_nan
            the_root_of_an_absolute_value_is_nan
            entropies_that_are_right_or_nan
            the_piece_that_was_taken_counts
            a_nan_in_a_masked_row_is_no_number
        }
    };
}

// ------------------------------------------------------------------------------------ the checks

use Want::{Is, NanOr};

const INF: f64 = f64::INFINITY;

fn roots_in_a_branch_that_is_not_taken<T: TensorLike>(model: &T) -> Verdict {
    // (√x)' = 1/(2√x), (√x)'' = −1/(4 x√x).
    let case = Case::new("Σ where(x > 0, √x, 0)", masked_root(|x| x.sqrt()), &[0.0, -1.0, 4.0]);
    case.of_elements().gradient(&[0.0, 0.0, 0.25]).curvature(&[0.0, 0.0, -1.0 / 32.0]).check(model)
}

fn masked_root<T: TensorLike>(sqrt: for<'t> fn(Var<'t, T>) -> Var<'t, T>) -> Function<T> {
    Rc::new(move |x| x[0].gt(0.0).where_(sqrt(x[0]), 0.0).sum())
}

fn poles_in_a_branch_that_is_not_taken<T: TensorLike>(model: &T) -> Verdict {
    let case = Case::of(
        "Σ where(x ≠ 0, 1/x, 0)",
        |x| x[0].ne(0.0).where_(1.0 / x[0], 0.0).sum(),
        &[0.0, 2.0],
    );
    case.of_elements().gradient(&[0.0, -0.25]).curvature(&[0.0, 0.25]).check(model)
}

fn branches_in_branches<T: TensorLike>(model: &T) -> Verdict {
    let text = "Σ where(x > -5, where(x > 0, √x ln x, 0), 1/x)";
    let f: Apply<T> = |x| {
        let x = x[0];
        let inner = x.gt(0.0).where_(x.sqrt() * x.ln(), 0.0);
        x.gt(-5.0).where_(inner, 1.0 / x).sum()
    };
    // (√x ln x)' = (ln x + 2)/(2√x), (√x ln x)'' = −ln x/(4 x√x); (1/x)'' = 2/x³.
    let case = Case::of(text, f, &[0.0, -1.0, -9.0, 1.0]).of_elements();
    case.gradient(&[0.0, 0.0, -1.0 / 81.0, 1.0])
        .curvature(&[0.0, 0.0, -2.0 / 729.0, 0.0])
        .check(model)
}

fn factors_and_exponents_that_are_zero<T: TensorLike>(model: &T) -> Verdict {
    let zeros = |case: Case<T>| case.of_elements().gradient(&[0.0, 0.0]).curvature(&[0.0, 0.0]);
    let cases = [
        zeros(Case::of("Σ ln(x) · 0", |x| (x[0].ln() * 0.0).sum(), &[0.0, 2.0])),
        zeros(Case::of("Σ (√x)⁰", |x| x[0].sqrt().powf(0.0).sum(), &[0.0, 2.0])),
        zeros(Case::of("Σ (√x)⁰", |x| x[0].sqrt().powi(0).sum(), &[0.0, 2.0])),
    ];
    all(model, cases)
}

fn masks_as_factors<T: TensorLike>(model: &T) -> Verdict {
    let case = |text, f: Apply<T>, x: [f64; 2]| {
        let case = Case::of(text, f, &x).with(Input::constant([2], &[0.0, 1.0])).of_elements();
        case.gradient(&[0.0, 0.25]).curvature(&[0.0, -1.0 / 32.0])
    };
    let cases = [
        case("Σ m √x", |x| (x[1] * x[0].sqrt()).sum(), [0.0, 4.0]),
        case("Σ √x m", |x| (x[0].sqrt() * x[1]).sum(), [0.0, 4.0]),
        case("Σ √(m x)", |x| (x[1] * x[0]).sqrt().sum(), [3.0, 4.0]),
    ];
    all(model, cases)
}

fn relu_beside_a_pole<T: TensorLike>(model: &T) -> Verdict {
    let root = Case::of("Σ √relu(x)", |x| x[0].relu().sqrt().sum(), &[-3.0, 4.0]).of_elements();
    let ln = Case::of("Σ relu(ln x)", |x| x[0].ln().relu().sum(), &[0.0, 0.5, 2.0]).of_elements();
    let cases = [
        root.gradient(&[0.0, 0.25]).curvature(&[0.0, -1.0 / 32.0]),
        ln.gradient(&[0.0, 0.0, 0.5]).curvature(&[0.0, 0.0, -0.25]),
    ];
    all(model, cases)
}

fn functions_of_their_inverses<T: TensorLike>(model: &T) -> Verdict {
    let fs: [(&'static str, Apply<T>); 4] = [
        ("(√x)²", |x| x[0].sqrt().square()),
        ("√x · √x", |x| x[0].sqrt() * x[0].sqrt()),
        ("exp(ln x)", |x| x[0].ln().exp()),
        ("1/(1/x)", |x| 1.0 / (1.0 / x[0])),
    ];
    let case = |(text, f)| Case::number(text, f, 0.0).wants(&[NanOr(1.0)]).bends(&[NanOr(0.0)]);
    all(model, fs.map(case))
}

fn values_with_a_dead_and_a_live_use<T: TensorLike>(model: &T) -> Verdict {
    let both = Case::new("s = √x: Σ where(x > 9, s, 0) + s²", two_uses(|x| x.sqrt()), &[0.0, 4.0]);
    let f: Apply<T> = |x| {
        let s = x[0].sqrt();
        (x[0].gt(9.0).where_(s, 0.0) + s * 0.0).sum()
    };
    let dead = Case::of("s = √x: Σ where(x > 9, s, 0) + 0 s", f, &[0.0, 4.0]);
    let cases = [
        both.of_elements().wants(&[NanOr(1.0), Is(1.0)]).hessian(&[
            NanOr(0.0),
            NanOr(0.0),
            NanOr(0.0),
            Is(0.0),
        ]),
        dead.of_elements().gradient(&[0.0, 0.0]).curvature(&[0.0, 0.0]),
    ];
    all(model, cases)
}

fn two_uses<T: TensorLike>(sqrt: for<'t> fn(Var<'t, T>) -> Var<'t, T>) -> Function<T> {
    Rc::new(move |x| {
        let s = sqrt(x[0]);
        (x[0].gt(9.0).where_(s, 0.0) + s.square()).sum()
    })
}

fn half_of_the_squared_norm<T: TensorLike>(model: &T) -> Verdict {
    let identity = [NanOr(1.0), NanOr(0.0), NanOr(0.0), NanOr(1.0)];
    let norm = Case::of("‖x‖²/2", |x| 0.5 * x[0].norm(2.0).square(), &[0.0, 0.0]);
    let root = Case::of("(√Σx²)²/2", |x| 0.5 * x[0].square().sum().sqrt().square(), &[0.0, 0.0]);
    let cases = [
        // The norm has slope 0 at 0, by convention.
        norm.gradient(&[0.0, 0.0]).hessian(&identity),
        root.wants(&[NanOr(0.0); 2]).hessian(&identity),
    ];
    all(model, cases)
}

fn flat_points_of_finite_slope<T: TensorLike>(model: &T) -> Verdict {
    let square = Case::number("(ln x)²", |x| x[0].ln().square(), 1.0);
    square.wants(&[Is(0.0)]).bends(&[Is(2.0)]).check(model)?;
    let product = Case::of("w √x", |x| x[0] * x[1].sqrt(), &[]).at(&[0.0, 4.0]);
    product.gradient(&[2.0, 0.0]).hessian(&[Is(0.0), Is(0.25), Is(0.25), Is(0.0)]).check(model)?;
    // A factor that no sweep asks for may yet be asked for by the next one.
    let tape = Tape::<T>::new();
    let [w, x] = [0.0, 4.0].map(|x| pair(model, &Shape::scalar(), &[x]).map(|x| tape.var(x.0)));
    let (w, x) = (w?, x?);
    let (y, one) = (w * x.sqrt(), x.ones_like());
    let (dx, dw) = (tape.grad(y, x), tape.grad(y, w));
    let (x_dot, w_dot) = (tape.jvp(y, [(x, one)]), tape.jvp(y, [(w, one)]));
    let mixed = [
        tape.grad(dx, w),
        tape.grad(dw, x),
        tape.jvp(dx, [(w, one)]),
        tape.jvp(dw, [(x, one)]),
        tape.grad(x_dot, w),
        tape.grad(w_dot, x),
        tape.jvp(x_dot, [(w, one)]),
        tape.jvp(w_dot, [(x, one)]),
    ];
    let mut found = Vec::new();
    for mixed in mixed {
        found.extend(mixed.to_host()?);
    }
    compare("mixed", "w √x", &found, &[Is(0.25); 8], model)
}

fn powers_of_zero<T: TensorLike>(model: &T) -> Verdict {
    let case = Case::number("√(0ᵗ)", |x| x[0].full_like(0.0).pow(x[0]).sqrt(), 4.0);
    case.wants(&[Is(0.0)]).bends(&[Is(0.0)]).check(model)
}

const SURE: f64 = f64::NEG_INFINITY;
const LOGITS: [f64; 3] = [0.5, SURE, 2.0];

/// The gradient and the Hessian of the entropy of a softmax of [`LOGITS`].
fn entropy() -> ([f64; 3], [f64; 9]) {
    // With d = x₀ − x₂ and p = σ(d): H' = −d p (1 − p), H'' = −p (1 − p) (1 + d (1 − 2p)).
    let d = LOGITS[0] - LOGITS[2];
    let p = 1.0 / (1.0 + f64::exp(-d));
    let (g, h) = (-d * p * (1.0 - p), -p * (1.0 - p) * (1.0 + d * (1.0 - 2.0 * p)));
    ([g, 0.0, -g], [h, 0.0, -h, 0.0, 0.0, 0.0, -h, 0.0, h])
}

fn entropies_with_a_logit_of_minus_infinity<T: TensorLike>(model: &T) -> Verdict {
    let fs: [(&'static str, Apply<T>); 5] = [
        ("−Σ xlogy(p, p)", |x| {
            let p = x[0].softmax(0);
            -p.xlogy(p).sum()
        }),
        ("−Σ where(p > 0, p ln p, 0)", |x| {
            let p = x[0].softmax(0);
            -p.gt(0.0).where_(p * p.ln(), 0.0).sum()
        }),
        ("−Σ where(x > −∞, p · log_softmax(x), 0)", |x| {
            let p = x[0].softmax(0);
            -x[0].gt(SURE).where_(p * x[0].log_softmax(0), 0.0).sum()
        }),
        ("logsumexp(x) − Σ where(x > −∞, p x, 0)", |x| {
            let p = x[0].softmax(0);
            x[0].logsumexp() - x[0].gt(SURE).where_(p * x[0], 0.0).sum()
        }),
        ("−Σ p ln(where(p > 0, p, 1))", |x| {
            let p = x[0].softmax(0);
            -(p * p.gt(0.0).where_(p, 1.0).ln()).sum()
        }),
    ];
    let (gradient, hessian) = entropy();
    let case = |(text, f)| Case::of(text, f, &LOGITS).gradient(&gradient).hessian(&hessian.map(Is));
    all(model, fs.map(case))
}

fn softmax_of_logarithms<T: TensorLike>(model: &T) -> Verdict {
    let f: Apply<T> = |x| x[0].ln().softmax(0).narrow(0, 0, 1).sum();
    // It is w₀ / Σw.
    let case = Case::of("softmax(ln w)₀", f, &[0.0, 1.0, 3.0]);
    case.wants(&[NanOr(0.25), NanOr(0.0), NanOr(0.0)]).check(model)
}

fn a_softmax_that_underflows<T: TensorLike>(model: &T) -> Verdict {
    let f: Apply<T> = |x| x[0].softmax(0).ln().narrow(0, 0, 1).sum();
    let case = Case::of("(ln softmax(x))₀", f, &[-800.0, 0.0]);
    case.wants(&[NanOr(1.0), NanOr(-1.0)]).check(model)
}

fn jacobians_with_a_pole_in_one_row<T: TensorLike>(model: &T) -> Verdict {
    let x = [6.0, 7.0, 8.0];
    if is_scalar(model) {
        return Ok(());
    }
    let (at, _) = pair(model, &Shape::from([3]), &x)?;
    // cos 8 < 0, so only the last row has no value.
    let slope = |x: f64| Is(f64::cos(x).ln() - x * f64::tan(x));
    let mut wanted = [Is(0.0); 9];
    (wanted[0], wanted[4], wanted[8]) = (slope(x[0]), slope(x[1]), NanOr(f64::NAN));
    let rows = transform::jacrev(|x| x * x.cos().ln(), at.clone())?;
    let columns = transform::jacfwd(|x| x * x.cos().ln(), at)?;
    for (mode, found) in [("jacrev", rows), ("jacfwd", columns)] {
        let found = found.to_host().map_err(Failure::new)?;
        compare(mode, "x ln(cos x)", &found, &wanted, model)?;
    }
    Ok(())
}

fn parameters_of_a_branch_that_is_not_taken<T: TensorLike>(model: &T) -> Verdict {
    let f: Apply<T> = |x| x[1].gt(0.0).where_(x[0] * x[1].ln(), 0.0);
    let parameter = Case::of("where(x > 0, a ln x, 0)", f, &[]).at(&[3.0, -1.0]);
    let alone = Case::number("where(x > 0, a ln x, 0) by a", f, 3.0);
    let f: Apply<T> = |x| x[0].lt(10.0).where_(x[0] * x[0].exp(), x[0]).sum();
    // (x eˣ)'' = (x + 2) eˣ.
    let overflow = Case::of("Σ where(x < 10, x eˣ, x)", f, &[1000.0, 0.0]).of_elements();
    let cases = [
        parameter.gradient(&[0.0, 0.0]).hessian(&[Is(0.0); 4]),
        alone.with(Input::constant([], &[-1.0])).wants(&[Is(0.0)]).bends(&[Is(0.0)]),
        overflow.gradient(&[1.0, 1.0]).curvature(&[0.0, 2.0]),
    ];
    all(model, cases)
}

fn elements_that_are_left_out<T: TensorLike>(model: &T) -> Verdict {
    let fs: [(&'static str, Apply<T>); 4] = [
        ("√x by slice", |x| x[0].sqrt().slice(&[Slice { start: 1, stop: 2, step: 1 }]).sum()),
        ("√x by narrow", |x| x[0].sqrt().narrow(0, 1, 1).sum()),
        ("√x by index_select", |x| x[0].sqrt().index_select(0, &[1]).sum()),
        ("max of √x", |x| x[0].sqrt().max()),
    ];
    let case = |(text, f)| {
        Case::of(text, f, &[0.0, 4.0]).gradient(&[0.0, 0.25]).curvature(&[0.0, -1.0 / 32.0])
    };
    all(model, fs.map(case))
}

fn masked_rows_of_a_product<T: TensorLike>(model: &T) -> Verdict {
    let f: Apply<T> = |x| {
        let (mask, weight) =
            (x[0].new_constant([2, 1], &[0.0, 1.0]), x[0].new_constant([2, 1], &[1.0, 2.0]));
        mask.where_(x[0].sqrt().matmul(weight), 0.0).sum()
    };
    let case = Case::of("Σ where(m, √x @ [1, 2]ᵀ, 0)", f, &[0.0, 0.0, 1.0, 4.0]).shaped([2, 2]);
    case.gradient(&[0.0, 0.0, 0.5, 0.5]).curvature(&[0.0, 0.0, -0.25, -1.0 / 16.0]).check(model)
}

/// Three points in the plane.
const POINTS: [f64; 6] = [0.0, 0.0, 3.0, 4.0, -1.0, 2.0];

/// The differences of all points.
fn apart<T: TensorLike>(x: Var<'_, T>) -> Var<'_, T> {
    x.unsqueeze(0) - x.unsqueeze(1)
}

fn off_diagonal<T: TensorLike>(x: Var<'_, T>) -> Var<'_, T> {
    x.new_constant([3, 3], &[0.0, 1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 0.0])
}

/// The differences of the points that differ, one way round.
fn pairs<T: TensorLike>(x: Var<'_, T>) -> Var<'_, T> {
    x.index_select(0, &[0, 0, 1]) - x.index_select(0, &[1, 2, 2])
}

fn distances_without_the_diagonal<T: TensorLike>(model: &T) -> Verdict {
    let norm: for<'t> fn(Var<'t, T>) -> Var<'t, T> = |d| d.norm_axes(2.0, -1);
    let root: for<'t> fn(Var<'t, T>) -> Var<'t, T> = |d| d.square().sum_axes(-1).sqrt();
    for (by, distance) in [("norm", norm), ("√Σd²", root)] {
        let chosen: Function<T> = Rc::new(move |x| {
            let r = distance(apart(x[0]));
            off_diagonal(x[0]).where_(1.0 / r + r.sin(), 0.0).sum()
        });
        let paired: Function<T> = Rc::new(move |x| {
            let r = distance(pairs(x[0]));
            2.0 * (1.0 / r + r.sin()).sum()
        });
        alike(model, &format!("Σ where(i ≠ j, 1/r + sin r, 0), r by {by}"), chosen, paired)?;
        let masked: Function<T> =
            Rc::new(move |x| (off_diagonal(x[0]) * distance(apart(x[0])).sin()).sum());
        let paired: Function<T> = Rc::new(move |x| 2.0 * distance(pairs(x[0])).sin().sum());
        alike(model, &format!("Σ m sin r, r by {by}"), masked, paired)?;
    }
    // Along a direction in which all points move.
    if is_scalar(model) {
        return Ok(());
    }
    let at = |data: &[f64]| pair(model, &Shape::from([3, 2]), data).map(|x| x.0);
    let v = at(&[1.0, -2.0, 0.5, 3.0, -1.0, 0.25])?;
    let got = transform::hvp(
        |x| (off_diagonal(x) * apart(x).norm_axes(2.0, -1).sin()).sum(),
        at(&POINTS)?,
        v.clone(),
    )?;
    let wanted =
        transform::hvp(|x| 2.0 * pairs(x).norm_axes(2.0, -1).sin().sum(), at(&POINTS)?, v)?;
    let wanted: Vec<Want> = wanted.to_host().map_err(Failure::new)?.into_iter().map(Is).collect();
    compare("hvp", "Σ m sin r", &got.to_host().map_err(Failure::new)?, &wanted, model)
}

/// Checks that a function has the derivatives of another one, at [`POINTS`].
fn alike<T: TensorLike>(model: &T, text: &str, f: Function<T>, other: Function<T>) -> Verdict {
    if is_scalar(model) {
        return Ok(());
    }
    let inputs = [Input::var([3, 2], &POINTS)];
    let oracle = derivatives(&other, model, &inputs, 2)?;
    let wanted = |order: usize| -> Vec<Want> {
        let found = oracle.iter().find(|derivative| derivative.order == order);
        found.map_or_else(Vec::new, |found| found.data.iter().copied().map(Is).collect())
    };
    let case = Case {
        text: text.to_string(),
        f,
        inputs: inputs.to_vec(),
        gradient: wanted(1),
        hessian: Some(wanted(2)),
        elements: false,
    };
    case.check(model)
}

fn kinks_at_a_pole<T: TensorLike>(model: &T) -> Verdict {
    let cases = [
        Case::number("|√x|", |x| x[0].sqrt().abs(), 0.0).wants(&[NanOr(INF)]),
        Case::number("relu(√x)", |x| x[0].sqrt().relu(), 0.0).wants(&[Is(0.0)]).bends(&[Is(0.0)]),
        // As documented of `abs`.
        Case::number("|x|²", |x| x[0].abs().square(), 0.0).wants(&[Is(0.0)]).bends(&[Is(0.0)]),
    ];
    all(model, cases)
}

fn numerators_that_are_zero<T: TensorLike>(model: &T) -> Verdict {
    let mask = || Input::constant([2], &[0.0, 1.0]);
    let xlogy = Case::of("Σ xlogy(m, x)", |x| x[1].xlogy(x[0]).sum(), &[0.0, 4.0]).with(mask());
    let quotient = Case::of("Σ √(m/x)", |x| (x[1] / x[0]).sqrt().sum(), &[2.0, 4.0]).with(mask());
    let cases = [
        xlogy.of_elements().gradient(&[0.0, 0.25]).curvature(&[0.0, -1.0 / 16.0]),
        // (1/√x)' = −1/(2 x√x), (1/√x)'' = 3/(4 x²√x).
        quotient.of_elements().gradient(&[0.0, -1.0 / 16.0]).curvature(&[0.0, 3.0 / 128.0]),
    ];
    all(model, cases)
}

/// A square root as a user would write it, who knows nothing of dead elements.
#[derive(Debug)]
struct Root;

impl Elementwise for Root {
    const NAME: &'static str = "root";

    fn forward<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error> {
        x[0].sqrt()
    }

    fn partial<'t, T: TensorLike>(&self, _: usize, p: &Primal<'t, T>, c: Var<'t, T>) -> Var<'t, T> {
        c / (p.y() * 2.0)
    }
}

/// The square root by [`Elementwise`], as an operation of a user.
#[track_caller]
pub fn root<T: TensorLike>(x: Var<'_, T>) -> Var<'_, T> {
    x.tape().apply(ByPartial::new(Root), &[x])
}

fn roots_of_a_user<T: TensorLike>(model: &T) -> Verdict {
    let chosen = Case::new("Σ where(x > 0, root(x), 0)", masked_root(root), &[0.0, -1.0, 4.0]);
    let masked = Case::of("Σ m root(x)", |x| (x[1] * root(x[0])).sum(), &[0.0, 4.0]);
    let both = Case::new("s = root(x): Σ where(x > 9, s, 0) + s²", two_uses(root), &[0.0, 4.0]);
    let cases = [
        chosen.of_elements().gradient(&[0.0, 0.0, 0.25]).curvature(&[0.0, 0.0, -1.0 / 32.0]),
        masked
            .with(Input::constant([2], &[0.0, 1.0]))
            .of_elements()
            .gradient(&[0.0, 0.25])
            .curvature(&[0.0, -1.0 / 32.0]),
        both.of_elements().wants(&[NanOr(1.0), Is(1.0)]).hessian(&[
            NanOr(0.0),
            NanOr(0.0),
            NanOr(0.0),
            Is(0.0),
        ]),
    ];
    all(model, cases)
}

// --------------------------------------------------------------------- what may be NaN, or is

fn tails_are_right_or_nan<T: TensorLike>(model: &T) -> Verdict {
    let zero = |case: Case<T>| case.wants(&[NanOr(0.0)]).bends(&[NanOr(0.0)]);
    let cases = [
        zero(Case::number("1/(1 + exp(-x))", |x| 1.0 / (1.0 + (-x[0]).exp()), -800.0)),
        zero(Case::number("exp(-1/x)", |x| (-1.0 / x[0]).exp(), 1e-200)),
        // sigmoid is what the first is to be written as.
        Case::number("sigmoid(x)", |x| x[0].sigmoid(), -800.0).wants(&[Is(0.0)]).bends(&[Is(0.0)]),
    ];
    all(model, cases)
}

fn products_of_roots_are_right_or_nan<T: TensorLike>(model: &T) -> Verdict {
    let slope = |text, f: Apply<T>, wanted| Case::number(text, f, 0.0).wants(&[wanted]);
    let cases = [
        slope("g/(√(g²) + 1/8)", |x| x[0] / (x[0].square().sqrt() + 0.125), NanOr(8.0)),
        slope("x √x", |x| x[0] * x[0].sqrt(), NanOr(0.0)),
        slope("(√x)³", |x| x[0].sqrt().powi(3), NanOr(0.0)),
        slope("x^1.5", |x| x[0].powf(1.5), Is(0.0)),
    ];
    all(model, cases)
}

fn tracked_gates_are_right_or_nan<T: TensorLike>(model: &T) -> Verdict {
    let gate = Case::of("g √x", |x| x[0] * x[1].sqrt(), &[]).at(&[0.0, 0.0]);
    let fs: [(&'static str, Apply<T>, Want); 4] = [
        ("relu(x - 1) √x", |x| (x[0] - 1.0).relu() * x[0].sqrt(), NanOr(0.0)),
        ("where(x > 1, x, 0) √x", |x| x[0].gt(1.0).where_(x[0], 0.0) * x[0].sqrt(), NanOr(0.0)),
        // What to write instead: mask the product.
        ("where(x > 1, x √x, 0)", |x| x[0].gt(1.0).where_(x[0] * x[0].sqrt(), 0.0), Is(0.0)),
        ("(x > 1) √x", |x| x[0].gt(1.0) * x[0].sqrt(), Is(0.0)),
    ];
    gate.wants(&[NanOr(0.0), NanOr(0.0)]).check(model)?;
    all(
        model,
        fs.map(|(text, f, wanted)| Case::number(text, f, 0.0).wants(&[wanted]).bends(&[wanted])),
    )
}

fn distances_with_the_diagonal_are_right_or_nan<T: TensorLike>(model: &T) -> Verdict {
    if is_scalar(model) {
        return Ok(());
    }
    let inputs = [Input::var([3, 2], &POINTS)];
    let f: Function<T> = Rc::new(|x| apart(x[0]).norm_axes(2.0, -1).square().sum());
    let squares: Function<T> = Rc::new(|x| apart(x[0]).square().sum());
    let oracle = derivatives(&squares, model, &inputs, 2)?;
    let wanted = |order: usize, want: fn(f64) -> Want| -> Vec<Want> {
        let found = oracle.iter().find(|derivative| derivative.order == order);
        found.map_or_else(Vec::new, |found| found.data.iter().copied().map(want).collect())
    };
    let text = "Σ ‖xᵢ − xⱼ‖²".to_string();
    let (gradient, hessian) = (wanted(1, Is), Some(wanted(2, NanOr)));
    Case { text, f, inputs: inputs.to_vec(), gradient, hessian, elements: false }.check(model)
}

fn the_root_of_an_absolute_value_is_nan<T: TensorLike>(model: &T) -> Verdict {
    // From the left it falls without bound, from the right it rises so: there is no number.
    let case = Case::number("√|x|", |x| x[0].abs().sqrt(), 0.0);
    case.wants(&[NanOr(f64::NAN)]).bends(&[NanOr(f64::NAN)]).check(model)
}

fn entropies_that_are_right_or_nan<T: TensorLike>(model: &T) -> Verdict {
    let f: Apply<T> = |x| {
        let p = x[0].softmax(0);
        -p.xlogy(p).sum()
    };
    let by_log: Apply<T> = |x| {
        let p = x[0].log_softmax(0).exp();
        -p.xlogy(p).sum()
    };
    let (gradient, hessian) = entropy();
    let right_or_nan =
        |case: Case<T>| case.wants(&gradient.map(NanOr)).hessian(&hessian.map(NanOr));
    let cases = [
        right_or_nan(Case::of(
            "−Σ xlogy(p, p) of a softmax that underflows",
            f,
            &[LOGITS[0], -1e9, LOGITS[2]],
        )),
        right_or_nan(Case::of("−Σ xlogy(p, p), p = exp(log_softmax(x))", by_log, &LOGITS)),
    ];
    all(model, cases)
}

fn the_piece_that_was_taken_counts<T: TensorLike>(model: &T) -> Verdict {
    // Of sin(x)/x alone the second derivative would be −1/3.
    let f: Apply<T> = |x| x[0].ne(0.0).where_(x[0].sin() / x[0], 1.0);
    let sinc = Case::number("where(x ≠ 0, sin x/x, 1)", f, 0.0);
    let clamp: Apply<T> = |x| x[0].sqrt().clamp(0.0, 1.0);
    let cases = [
        sinc.wants(&[Is(0.0)]).bends(&[Is(0.0)]),
        Case::number("clamp(√x, 0, 1)", clamp, 0.0).wants(&[Is(0.0)]).bends(&[Is(0.0)]),
    ];
    all(model, cases)
}

fn a_nan_in_a_masked_row_is_no_number<T: TensorLike>(model: &T) -> Verdict {
    let f: Apply<T> = |x| {
        let mask = x[0].new_constant([2, 1], &[0.0, 1.0]);
        mask.where_(x[1].matmul(x[0]), 0.0).sum()
    };
    let rows = Input::constant([2, 2], &[f64::NAN, 1.0, 3.0, 4.0]);
    let case = Case::of("Σ where(m, x @ w, 0)", f, &[1.0, 2.0]).shaped([2, 1]).with(rows);
    case.wants(&[NanOr(3.0), NanOr(4.0)]).check(model)
}

// ------------------------------------------------------------------------------------- the means

/// What a derivative must be.
#[derive(Clone, Copy, Debug)]
enum Want {
    /// This number.
    Is(f64),
    /// This number, or NaN; `NanOr(NAN)` is NaN.
    NanOr(f64),
}

impl Want {
    fn allows(self, got: f64, epsilon: f64) -> bool {
        let is = |wanted: f64| {
            got == wanted || (got - wanted).abs() <= 1000.0 * epsilon * (1.0 + wanted.abs())
        };
        match self {
            Is(wanted) => is(wanted),
            NanOr(wanted) => got.is_nan() || is(wanted),
        }
    }
}

/// A function at a point, and what its derivatives must be.
struct Case<T: TensorLike> {
    text: String,
    f: Function<T>,
    inputs: Vec<Input>,
    gradient: Vec<Want>,
    /// `None` where nothing is said of it.
    hessian: Option<Vec<Want>>,
    /// True for a sum of a function of each element, so that scalars do as well.
    elements: bool,
}

impl<T: TensorLike> Case<T> {
    /// A function of one vector.
    fn new(text: &str, f: Function<T>, x: &[f64]) -> Self {
        let inputs = vec![Input::var([x.len()], x)];
        Case {
            text: text.to_string(),
            f,
            inputs,
            gradient: Vec::new(),
            hessian: None,
            elements: false,
        }
    }

    fn of(text: &str, f: Apply<T>, x: &[f64]) -> Self {
        Case::new(text, Rc::new(f), x)
    }

    /// A function of one number.
    fn number(text: &str, f: Apply<T>, x: f64) -> Self {
        Case::of(text, f, &[]).at(&[x])
    }

    /// With these numbers in place of the vector.
    fn at(mut self, numbers: &[f64]) -> Self {
        self.inputs = numbers.iter().map(|&x| Input::var([], &[x])).collect();
        self
    }

    fn shaped<const N: usize>(mut self, shape: [usize; N]) -> Self {
        self.inputs[0].shape = Shape::from(shape);
        self
    }

    fn with(mut self, input: Input) -> Self {
        self.inputs.push(input);
        self
    }

    fn of_elements(mut self) -> Self {
        self.elements = true;
        self
    }

    fn gradient(self, gradient: &[f64]) -> Self {
        let gradient: Vec<Want> = gradient.iter().copied().map(Is).collect();
        self.wants(&gradient)
    }

    fn wants(mut self, gradient: &[Want]) -> Self {
        self.gradient = gradient.to_vec();
        self
    }

    fn hessian(mut self, hessian: &[Want]) -> Self {
        self.hessian = Some(hessian.to_vec());
        self
    }

    /// A Hessian that is diagonal.
    fn curvature(self, diagonal: &[f64]) -> Self {
        let diagonal: Vec<Want> = diagonal.iter().copied().map(Is).collect();
        self.bends(&diagonal)
    }

    fn bends(self, diagonal: &[Want]) -> Self {
        let n = diagonal.len();
        let at = |i: usize| if i.is_multiple_of(n + 1) { diagonal[i / (n + 1)] } else { Is(0.0) };
        let hessian: Vec<Want> = (0..n * n).map(at).collect();
        self.hessian(&hessian)
    }

    fn check(&self, model: &T) -> Verdict {
        match is_scalar(model) && self.inputs.iter().any(|input| input.shape.rank() > 0) {
            true if self.elements => self.by_element(model),
            true => Ok(()),
            false => self.check_whole(model),
        }
    }

    /// Checks each element as a function of numbers.
    fn by_element(&self, model: &T) -> Verdict {
        let n = self.gradient.len();
        for i in 0..n {
            let input = |input: &Input| Input {
                shape: Shape::scalar(),
                data: vec![input.data[i]],
                ..*input
            };
            let case = Case {
                text: self.text.clone(),
                f: self.f.clone(),
                inputs: self.inputs.iter().map(input).collect(),
                gradient: vec![self.gradient[i]],
                hessian: self.hessian.as_ref().map(|hessian| vec![hessian[i * (n + 1)]]),
                elements: false,
            };
            case.check_whole(model)?;
        }
        Ok(())
    }

    fn check_whole(&self, model: &T) -> Verdict {
        for Input { shape, data, .. } in &self.inputs {
            let (_, rounded) = pair(model, shape, data)?;
            if rounded.data().iter().zip(data).any(|(&rounded, &x)| rounded == 0.0 && x != 0.0) {
                return Ok(()); // The dtype has no number as small.
            }
        }
        let order = if self.hessian.is_some() { 2 } else { 1 };
        for (form, f) in [("", self.f.clone()), (" in a checkpoint", in_checkpoint(&self.f))] {
            let text = format!("{}{form} at {:?}", self.text, self.inputs);
            for Derivative { mode, order, data } in derivatives(&f, model, &self.inputs, order)? {
                let wanted = if order == 1 { Some(&self.gradient) } else { self.hessian.as_ref() };
                compare(mode, &text, &data, wanted.map_or(&[], |wanted| wanted), model)?;
            }
        }
        Ok(())
    }
}

fn is_scalar<T: TensorLike>(model: &T) -> bool {
    model.full(&[1], 0.0).is_err()
}

/// Checks all cases; all failures in one text.
fn all<T: TensorLike>(model: &T, cases: impl IntoIterator<Item = Case<T>>) -> Verdict {
    let failures = cases.into_iter().filter_map(|case| case.check(model).err());
    Failure::all(&failures.collect::<Vec<_>>())
}

fn compare<T: TensorLike>(
    mode: &str,
    text: &str,
    got: &[f64],
    wanted: &[Want],
    model: &T,
) -> Verdict {
    let epsilon = model.dtype().epsilon();
    let allowed = got.len() == wanted.len()
        && got.iter().zip(wanted).all(|(&got, wanted)| wanted.allows(got, epsilon));
    match allowed {
        true => Ok(()),
        false => Err(Failure::new(format!("{text}, {mode}: got {got:?}, wanted {wanted:?}"))),
    }
}
