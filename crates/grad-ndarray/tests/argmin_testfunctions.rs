//! The functions of the crate `argmin_testfunctions` with their published derivatives and Hessians,
//! against ours at random points.
//!
//! An error is the largest difference of two elements, relative to the largest element of both.
//! What the points are, and how large an error may be, stands with each function. Kinks lie on
//! curves, which random points do not hit; what holds on them has tests of its own, at the end.

#![allow(clippy::unwrap_used)] // A failing unwrap fails the test.

use std::f64::consts::{E, PI, TAU};

use argmin::core::{CostFunction, Gradient, Hessian};
use argmin_testfunctions as published;
use grad_conformance::Random;
use grad_core::Var;
use grad_ndarray::NdTensor;
use grad_ndarray::argmin::{Function, Objective};
use grad_ndarray::ndarray::ArrayViewD;

type Tensor = NdTensor<f64>;
type Handle<'t> = Var<'t, Tensor>;

/// Random points for each function and number of dimensions.
const N_POINTS: usize = 100;

/// What a crate says about a function at a point.
struct Published {
    value: f64,
    gradient: Vec<f64>,
    hessian: Vec<f64>,
}

/// The largest errors of value, gradient and Hessian over random points.
fn largest_errors(
    ours: impl Function<f64>,
    theirs: impl Fn(&[f64]) -> Published,
    domain: &[(f64, f64)],
) -> [f64; 3] {
    let problem = Objective::new(ours);
    let mut random = Random::new(7);
    let mut largest = [0.0_f64; 3];
    for _ in 0..N_POINTS {
        let mut within =
            |&(low, high): &(f64, f64)| low + (high - low) * (random.signed_unit() + 1.0) / 2.0;
        let x: Vec<f64> = domain.iter().map(&mut within).collect();
        let expected = theirs(&x);
        let x = Tensor::from(x);
        let value = problem.cost(&x).unwrap();
        let (gradient, hessian) = (problem.gradient(&x).unwrap(), problem.hessian(&x).unwrap());
        let errors = [
            error(Tensor::from(value).view(), &[expected.value]),
            error(gradient.view(), &expected.gradient),
            error(hessian.view(), &expected.hessian),
        ];
        for (largest, error) in largest.iter_mut().zip(errors) {
            *largest = largest.max(error);
        }
    }
    largest
}

/// The largest difference relative to the largest element; infinite if there is a NaN.
fn error(ours: ArrayViewD<'_, f64>, theirs: &[f64]) -> f64 {
    assert_eq!(ours.len(), theirs.len());
    let largest = |x: f64, y: f64| if y.is_nan() { f64::INFINITY } else { x.max(y) };
    let scale = ours.iter().chain(theirs).map(|x| x.abs()).fold(f64::MIN_POSITIVE, f64::max);
    ours.iter().zip(theirs).map(|(x, y)| (x - y).abs() / scale).fold(0.0, largest)
}

fn assert_small(errors: [f64; 3], tolerance: f64) {
    assert!(errors.iter().all(|&error| error <= tolerance), "{errors:?} exceed {tolerance}");
}

fn length(x: Handle<'_>) -> usize {
    x.shape().unwrap()[0]
}

/// A function of two numbers: names, domain, tolerance, formula.
macro_rules! plane {
    ($name:ident $derivative:ident $hessian:ident,
     $domain:expr, $tolerance:expr, |$x:ident, $y:ident| $formula:expr) => {
        mod $name {
            use super::*;

            pub(super) fn ours(x: Handle<'_>) -> Handle<'_> {
                let ($x, $y) = (x.narrow(0, 0, 1), x.narrow(0, 1, 1));
                $formula
            }

            pub(super) fn theirs(x: &[f64]) -> Published {
                let x = &[x[0], x[1]];
                Published {
                    value: published::$name(x),
                    gradient: published::$derivative(x).to_vec(),
                    hessian: published::$hessian(x).concat(),
                }
            }

            #[test]
            fn agrees_at_random_points() {
                assert_small(largest_errors(ours, theirs, &$domain), $tolerance);
            }
        }
    };
}

/// A function of a vector and its length: names, domain of an element, tolerance, formula.
macro_rules! space {
    ($name:ident $derivative:ident $hessian:ident $derivative_const:ident $hessian_const:ident,
     $domain:expr, $tolerance:expr, |$x:ident, $n:ident| $formula:expr) => {
        mod $name {
            use super::*;

            pub(super) fn ours($x: Handle<'_>) -> Handle<'_> {
                let $n = length($x);
                $formula
            }

            pub(super) fn theirs(x: &[f64]) -> Published {
                Published {
                    value: published::$name(x),
                    gradient: published::$derivative(x),
                    hessian: published::$hessian(x).concat(),
                }
            }

            /// The crate repeats its formulas for arrays.
            fn theirs_for_arrays(x: &[f64]) -> Published {
                let x = &[x[0], x[1], x[2]];
                Published {
                    value: published::$name(x),
                    gradient: published::$derivative_const(x).to_vec(),
                    hessian: published::$hessian_const(x).concat(),
                }
            }

            #[test]
            fn agrees_at_random_points() {
                for n in [2, 3, 10] {
                    assert_small(largest_errors(ours, theirs, &vec![$domain; n]), $tolerance);
                }
                assert_small(largest_errors(ours, theirs_for_arrays, &[$domain; 3]), $tolerance);
            }
        }
    };
}

fn ackley_abc(x: Handle<'_>, n: usize, a: f64, b: f64, c: f64) -> Handle<'_> {
    // The norm and not the root of a sum of squares, whose derivative at 0 is infinite.
    let mean = (c * x).cos().sum() / n as f64;
    a + E - a * (x.norm(2.0) * (-b / (n as f64).sqrt())).exp() - mean.exp()
}

fn rastrigin_a(x: Handle<'_>, n: usize, a: f64) -> Handle<'_> {
    a * n as f64 + (x.square() - a * (TAU * x).cos()).sum()
}

fn rosenbrock_ab(x: Handle<'_>, n: usize, a: f64, b: f64) -> Handle<'_> {
    let (x, next) = (x.narrow(0, 0, n - 1), x.narrow(0, 1, n - 1));
    ((a - x).square() + b * (next - x.square()).square()).sum()
}

fn goldstein_price_factors<'t>(x: Handle<'t>, y: Handle<'t>) -> [Handle<'t>; 2] {
    let inner = 19.0 - 14.0 * (x + y) + 3.0 * (x.square() + y.square()) + 6.0 * x * y;
    let outer = 18.0 - 32.0 * x + 12.0 * x.square() + 48.0 * y - 36.0 * x * y + 27.0 * y.square();
    let (plus, minus) = ((x + y + 1.0).square(), (2.0 * x - 3.0 * y).square());
    [1.0 + plus * inner, 30.0 + minus * outer]
}

space!(ackley ackley_derivative ackley_hessian ackley_derivative_const ackley_hessian_const,
    (-32.768, 32.768), 1e-12, |x, n| ackley_abc(x, n, 20.0, 0.2, TAU));

plane!(beale beale_derivative beale_hessian, [(-4.5, 4.5); 2], 1e-12, |x, y| {
    (1.5 - x + x * y).square()
        + (2.25 - x + x * y.powi(2)).square()
        + (2.625 - x + x * y.powi(3)).square()
});

plane!(booth booth_derivative booth_hessian, [(-10.0, 10.0); 2], 1e-12, |x, y| {
    (x + 2.0 * y - 7.0).square() + (2.0 * x + y - 5.0).square()
});

plane!(bukin_n6 bukin_n6_derivative bukin_n6_hessian, [(-15.0, -5.0), (-3.0, 3.0)], 1e-12, |x, y| {
    100.0 * (y - 0.01 * x.square()).abs().sqrt() + 0.01 * (x + 10.0).abs()
});

plane!(cross_in_tray cross_in_tray_derivative cross_in_tray_hessian,
[(-10.0, 10.0); 2], 1e-12, |x, y| {
    let distance = (x.square() + y.square()).sqrt();
    let product = x.sin() * y.sin() * (100.0 - distance / PI).abs().exp();
    -0.0001 * (product.abs() + 1.0).powf(0.1)
});

// Around the minimum at (π, π): in most of its domain, [−100, 100]², the function underflows to 0.
plane!(easom easom_derivative easom_hessian, [(-2.0, 8.0); 2], 1e-12, |x, y| {
    -(x.cos() * y.cos() * (-(x - PI).square() - (y - PI).square()).exp())
});

plane!(eggholder eggholder_derivative eggholder_hessian, [(-512.0, 512.0); 2], 1e-12, |x, y| {
    let y = y + 47.0;
    -(y * (y + x / 2.0).abs().sqrt().sin()) - x * (x - y).abs().sqrt().sin()
});

plane!(goldsteinprice goldsteinprice_derivative goldsteinprice_hessian,
[(-2.0, 2.0); 2], 1e-12, |x, y| {
    let [first, second] = goldstein_price_factors(x, y);
    first * second
});

plane!(himmelblau himmelblau_derivative himmelblau_hessian, [(-5.0, 5.0); 2], 1e-12, |x, y| {
    (x.square() + y - 11.0).square() + (x + y.square() - 7.0).square()
});

plane!(holder_table holder_table_derivative holder_table_hessian,
[(-10.0, 10.0); 2], 1e-12, |x, y| {
    let distance = (x.square() + y.square()).sqrt();
    -(x.sin() * y.cos() * (1.0 - distance / PI).abs().exp()).abs()
});

space!(levy levy_derivative levy_hessian levy_derivative_const levy_hessian_const,
(-10.0, 10.0), 1e-12, |x, n| {
    let w = 1.0 + (x - 1.0) / 4.0;
    let (first, last) = (w.narrow(0, 0, 1), w.narrow(0, n - 1, 1));
    // As the crate computes it: without the first element, which the formula in its
    // documentation includes.
    let inner = w.narrow(0, 1, n - 2);
    let term = (inner - 1.0).square() * (1.0 + 10.0 * (PI * inner + 1.0).sin().square());
    (PI * first).sin().square()
        + term.sum()
        + (last - 1.0).square() * (1.0 + (TAU * last).sin().square())
});

plane!(levy_n13 levy_n13_derivative levy_n13_hessian, [(-10.0, 10.0); 2], 1e-12, |x, y| {
    (3.0 * PI * x).sin().square()
        + (x - 1.0).square() * (1.0 + (3.0 * PI * y).sin().square())
        + (y - 1.0).square() * (1.0 + (TAU * y).sin().square())
});

plane!(matyas matyas_derivative matyas_hessian, [(-10.0, 10.0); 2], 1e-12, |x, y| {
    0.26 * (x.square() + y.square()) - 0.48 * x * y
});

plane!(mccormick mccormick_derivative mccormick_hessian,
[(-1.5, 4.0), (-3.0, 4.0)], 1e-12, |x, y| {
    (x + y).sin() + (x - y).square() - 1.5 * x + 2.5 * y + 1.0
});

// The published Hessian is one expanded quotient, in which up to five digits cancel; a test below
// shows that they are not ours.
plane!(picheny picheny_derivative picheny_hessian, [(0.0, 1.0); 2], 1e-10, |x, y| {
    let [first, second] = goldstein_price_factors(4.0 * x - 2.0, 4.0 * y - 2.0);
    ((first * second).log10() - 8.693) / 2.427
});

space!(rastrigin
    rastrigin_derivative rastrigin_hessian rastrigin_derivative_const rastrigin_hessian_const,
    (-5.12, 5.12), 1e-12, |x, n| rastrigin_a(x, n, 10.0));

space!(rosenbrock
    rosenbrock_derivative rosenbrock_hessian rosenbrock_derivative_const rosenbrock_hessian_const,
    (-5.0, 10.0), 1e-12, |x, n| rosenbrock_ab(x, n, 1.0, 100.0));

plane!(schaffer_n2 schaffer_n2_derivative schaffer_n2_hessian,
[(-100.0, 100.0); 2], 1e-12, |x, y| {
    let wave = (x.square() - y.square()).sin().square() - 0.5;
    0.5 + wave / (1.0 + 0.001 * (x.square() + y.square())).square()
});

plane!(schaffer_n4 schaffer_n4_derivative schaffer_n4_hessian,
[(-100.0, 100.0); 2], 1e-12, |x, y| {
    let wave = (x.square() - y.square()).abs().sin().cos().square() - 0.5;
    0.5 + wave / (1.0 + 0.001 * (x.square() + y.square())).square()
});

space!(sphere sphere_derivative sphere_hessian sphere_derivative_const sphere_hessian_const,
    (-10.0, 10.0), 1e-12, |x, _n| x.square().sum());

space!(styblinski_tang
    styblinski_tang_derivative styblinski_tang_hessian
    styblinski_tang_derivative_const styblinski_tang_hessian_const,
    (-5.0, 5.0), 1e-12, |x, _n| 0.5 * (x.powi(4) - 16.0 * x.square() + 5.0 * x).sum());

plane!(threehumpcamel threehumpcamel_derivative threehumpcamel_hessian,
[(-5.0, 5.0); 2], 1e-12, |x, y| {
    2.0 * x.square() - 1.05 * x.powi(4) + x.powi(6) / 6.0 + x * y + y.square()
});

space!(zero zero_derivative zero_hessian zero_derivative_const zero_hessian_const,
    (-10.0, 10.0), 0.0, |x, _n| x.sum() * 0.0);

#[test]
fn parameters_other_than_the_usual_ones_agree() {
    fn ours(x: Handle<'_>) -> Handle<'_> {
        ackley_abc(x, length(x), 10.0, 0.5, 3.0)
    }
    let theirs = |x: &[f64]| Published {
        value: published::ackley_abc(x, 10.0, 0.5, 3.0),
        gradient: published::ackley_abc_derivative(x, 10.0, 0.5, 3.0),
        hessian: published::ackley_abc_hessian(x, 10.0, 0.5, 3.0).concat(),
    };
    assert_small(largest_errors(ours, theirs, &[(-5.0, 5.0); 4]), 1e-12);

    fn waves(x: Handle<'_>) -> Handle<'_> {
        rastrigin_a(x, length(x), 3.0)
    }
    let theirs = |x: &[f64]| Published {
        value: published::rastrigin_a(x, 3.0),
        gradient: published::rastrigin_a_derivative(x, 3.0),
        hessian: published::rastrigin_a_hessian(x, 3.0).concat(),
    };
    assert_small(largest_errors(waves, theirs, &[(-5.12, 5.12); 4]), 1e-12);
}

#[test]
fn the_published_hessian_of_rosenbrock_is_right_for_a_equal_to_1_only() {
    fn ours(x: Handle<'_>) -> Handle<'_> {
        rosenbrock_ab(x, length(x), 3.0, 7.0)
    }
    let theirs = |x: &[f64]| {
        let mut hessian = published::rosenbrock_ab_hessian(x, 3.0, 7.0);
        // d²(a − x)²/dx² = 2, for which the crate has 2a.
        for (i, row) in hessian.iter_mut().enumerate().take(x.len() - 1) {
            row[i] += 2.0 - 2.0 * 3.0;
        }
        Published {
            value: published::rosenbrock_ab(x, 3.0, 7.0),
            gradient: published::rosenbrock_ab_derivative(x, 3.0, 7.0),
            hessian: hessian.concat(),
        }
    };
    assert_small(largest_errors(ours, theirs, &[(-5.0, 10.0); 4]), 1e-12);
}

#[test]
fn where_the_published_hessian_of_picheny_loses_digits_ours_has_them() {
    // A point where the two differ by 1e-11. The expected numbers are derivatives of the formula in
    // 50 digits (mpmath 1.3.0).
    let x = Tensor::from([0.482_124_511_104_573_55, 0.345_406_440_789_345_46]);
    let expected = [
        -40.276_571_340_016_254,
        -4.382_025_389_481_581,
        -4.382_025_389_481_581,
        -58.223_844_315_283_59,
    ];
    let hessian = Objective::new(picheny::ours).hessian(&x).unwrap();
    assert!(error(hessian.view(), &expected) < 1e-14);
}

/// Our derivatives and the published ones at a point.
fn at(
    x: [f64; 2],
    ours: impl Function<f64>,
    theirs: impl Fn(&[f64]) -> Published,
) -> ([Tensor; 2], [Vec<f64>; 2]) {
    let problem = Objective::new(ours);
    let Published { gradient, hessian, .. } = theirs(&x);
    let x = Tensor::from(x);
    let ours = [problem.gradient(&x).unwrap(), problem.hessian(&x).unwrap()];
    (ours, [gradient, hessian])
}

#[test]
fn on_kinks_the_derivative_of_an_absolute_value_is_0_as_published() {
    let zero = |x: &NdTensor<f64>| x.view().iter().all(|&x| x == 0.0);
    // On the axis sin x = 0.
    let (ours, theirs) = at([0.0, 1.0], holder_table::ours, holder_table::theirs);
    assert!(ours.iter().all(zero));
    assert_eq!(theirs.concat(), [0.0; 6]);
    // The same; the published Hessian is NaN.
    let (ours, [gradient, hessian]) = at([0.0, 1.0], cross_in_tray::ours, cross_in_tray::theirs);
    assert!(ours.iter().all(zero));
    assert_eq!(gradient, [0.0; 2]);
    assert!(hessian[0].is_nan());
}

#[test]
fn the_root_of_an_absolute_value_has_no_derivative_where_it_is_0() {
    // On the ridge |y − x²/100| = 0. The published derivatives are 0.
    let gradient = Objective::new(bukin_n6::ours).gradient(&Tensor::from([-10.0, 1.0])).unwrap();
    assert!(gradient.view().iter().all(|x| x.is_nan()));
    assert_eq!(bukin_n6::theirs(&[-10.0, 1.0]).gradient, [0.0; 2]);
    // On x − y − 47 = 0. The published Hessian is infinite.
    let gradient = Objective::new(eggholder::ours).gradient(&Tensor::from([50.0, 3.0])).unwrap();
    assert!(gradient.view().iter().all(|x| x.is_nan()));
    assert!(eggholder::theirs(&[50.0, 3.0]).hessian.iter().all(|x| x.is_infinite()));
}

#[test]
fn on_kinks_where_published_derivatives_are_no_numbers_ours_are() {
    // On x² = y², where the function is smooth. With u = x² − y² it is 0.5 + (1 − u² + .. − 0.5) / d²
    // for d = 1 + 0.001 (x² + y²), so that its gradient is −0.5 · 2 · 0.002 x / d³.
    let ([gradient, _], theirs) = at([1.0, 1.0], schaffer_n4::ours, schaffer_n4::theirs);
    assert!(error(gradient.view(), &[-0.002 / 1.002_f64.powi(3); 2]) < 1e-14);
    assert!(theirs[0].iter().all(|x| x.is_nan()));
}

#[test]
fn at_the_tip_of_a_cone_the_gradient_is_0_and_the_curvature_infinite() {
    // −20 exp(−0.2 √(Σx²/2)) has a tip at 0. The published Hessian leaves it out, and has the
    // curvature of the cosines alone, 4π² e / 2; ours is an error, since it is infinite.
    let (problem, tip) = (Objective::new(ackley::ours), Tensor::from([0.0; 2]));
    let gradient = problem.gradient(&tip).unwrap();
    let theirs = ackley::theirs(&[0.0; 2]);
    assert_eq!(gradient.view().as_slice(), Some(&[0.0; 2][..]));
    assert_eq!(theirs.gradient, [0.0; 2]);
    assert!((theirs.hessian[0] - 2.0 * PI * PI * E).abs() < 1e-13);
    let error = problem.hessian(&tip).unwrap_err();
    assert!(error.to_string().starts_with("the Hessian is not finite"));
}
