//! `gradcheck` passes what is right, and names what is wrong.

mod support;

use std::cell::Cell;

use grad_conformance::{Failure, Reference, Verdict, catalogue};
use grad_core::extend::{Cotangents, Op, Primal, Tangents, broadcast};
use grad_core::inspect::Finding;
use grad_core::{ErrorKind, Gradcheck, GradcheckError, Shape, TensorLike, Var, gradcheck};
use support::{Fault, Faulty};

// ------------------------------------------------------------------------------- what is right

#[test]
fn the_catalogue_passes_to_third_order() -> Verdict {
    let mut failures = Vec::new();
    for case in catalogue::<Reference>().into_iter().filter(|case| case.differentiable) {
        let x = case.inputs.iter().map(|(shape, data)| Reference::new(shape, data.clone()));
        let x = x.collect::<Result<Vec<_>, _>>()?;
        let checked = Gradcheck::new().orders(3).directions(1).check_slice(case.apply, &x);
        failures.extend(checked.err().map(|error| Failure::new(error).within(&case)));
    }
    Failure::all(&failures)
}

#[test]
fn single_precision_passes_with_its_tolerance() -> Verdict {
    let (mut failures, mut n_cases, mut n_left_out) = (Vec::new(), 0, 0);
    for case in catalogue::<Faulty>().into_iter().filter(|case| case.differentiable) {
        n_cases += 1;
        let model = Faulty::new(Fault::Single);
        let x = case.inputs.iter().map(|(shape, data)| model.from_host(shape, data));
        let x = x.collect::<Result<Vec<_>, _>>()?;
        match Gradcheck::new().directions(1).check_slice(case.apply, &x) {
            Ok(()) => {}
            // This backend has no linear algebra.
            Err(error) if matches!(error.finding(), Finding::FunctionFailed { .. }) => {
                n_left_out += 1;
                assert!(case.optional, "{case}: {error}");
            }
            Err(error) => failures.push(Failure::new(error).within(&case)),
        }
    }
    assert!(n_left_out * 4 < n_cases, "{n_left_out} of {n_cases} cases left out");
    Failure::all(&failures)
}

#[test]
fn single_precision_still_finds_a_wrong_rule() -> Verdict {
    let x = Faulty::new(Fault::Single).full(&[3], 0.7)?;
    let checked = gradcheck(|[x]| x.tape().apply(Sin::WrongVjp, &[x]), [x]);
    let error = checked.expect_err("1.25 times too large");
    assert!(matches!(error.finding(), Finding::Wrong(_)), "{error}");
    Ok(())
}

#[test]
fn large_and_small_numbers_pass() -> Result<(), GradcheckError> {
    let x = || [vector(&[1.3, -1.1, 0.4])];
    gradcheck(|[x]| (x * 1e6).square(), x())?;
    gradcheck(|[x]| (x * 1e-9).exp(), x())?;
    gradcheck(|[x]| (x * 30.0).sin(), x())?;
    gradcheck(|[x]| x.ln(), [vector(&[1e-5, 1.0, 1e5])])?;
    gradcheck(|[x, y]| x * y, [vector(&[1e8, 3e7]), vector(&[1e-8, 1.0])])
}

#[test]
fn a_function_of_derivatives_passes() -> Result<(), GradcheckError> {
    let x = [vector(&[1.3, -1.1]), Reference::from(0.4)];
    Gradcheck::new().orders(3).check(|[x, y]| x.tape().grad((x * y).sin().sum(), x).square(), x)
}

#[test]
fn what_an_argument_does_not_enter_has_derivative_zero() -> Result<(), GradcheckError> {
    gradcheck(|[x, _unused]| x.exp(), [vector(&[1.0]), vector(&[2.0])])?;
    gradcheck(|[x, _empty]| x.exp(), [vector(&[1.0]), vector(&[])])?;
    gradcheck(|[x]| x.exp(), [vector(&[])])
}

// ------------------------------------------------------------------------------- what is wrong

/// The sine, with something wrong.
#[derive(Clone, Copy)]
enum Sin {
    WrongVjp,
    WrongJvp,
    Detaches,
    LosesCotangent,
}

impl<T: TensorLike> Op<T> for Sin {
    fn name(&self) -> &'static str {
        "my_sin"
    }

    fn shape(&self, x: &[Shape]) -> Result<Shape, ErrorKind> {
        broadcast(x)
    }

    fn forward(&self, x: &[&T]) -> Result<T, T::Error> {
        x[0].sin()
    }

    fn vjp<'t>(&self, p: &Primal<'t, T>, ct: Var<'t, T>, x_bar: &mut Cotangents<'_, 't, T>) {
        x_bar.each(|_| match self {
            Sin::WrongVjp => ct * p.x(0).cos() * 1.25,
            Sin::WrongJvp => ct * p.x(0).cos(),
            Sin::Detaches => ct * p.x(0).detach().cos(),
            Sin::LosesCotangent => p.x(0).cos(),
        });
    }

    fn jvp<'t>(&self, p: &Primal<'t, T>, t: &Tangents<'_, 't, T>) -> Option<Var<'t, T>> {
        t.one()?.sum(|_, t| match self {
            Sin::WrongJvp => -t * p.x(0).cos(),
            _ => t * p.x(0).cos(),
        })
    }
}

fn vector(data: &[f64]) -> Reference {
    Reference::from(data.to_vec())
}

/// The report on a function that uses the operation in the midst of others.
fn report(sin: Sin) -> String {
    let x = [Reference::from(0.75), vector(&[0.5, -1.25, 2.0])];
    let checked = gradcheck(|[x, y]| (x + 0.5) * x.tape().apply(sin, &[x * y]).exp(), x);
    let line = (line!() - 1).to_string();
    let text = checked.expect_err("the rule is wrong").to_string();
    text.replace(&format!("{}:{line}:", file!()), "LINE:")
}

#[test]
fn a_wrong_vjp_is_reported() {
    let expected = "\
reverse mode of order 1 is wrong in argument 0 of 2
  reverse mode: -2.17664968
  differences: -2.03385922 ± 3.3e-8
  direction: 0.5666 of shape [], seed 0
  worst node: my_sin at LINE:59, 1.06708775 and by differences 0.8536702";
    assert_eq!(report(Sin::WrongVjp), expected);
}

#[test]
fn a_wrong_jvp_is_reported() {
    let expected = "\
forward mode of order 1 is wrong in argument 0 of 2
  forward mode: -0.89153552
  differences: -2.03385922 ± 3.1e-8
  direction: 0.5666 of shape [], seed 0
  worst node: my_sin at LINE:59, -0.8536702 and by differences 0.8536702";
    assert_eq!(report(Sin::WrongJvp), expected);
}

#[test]
fn a_rule_that_detaches_is_reported_at_second_order() {
    let expected = "\
reverse mode of order 2 is wrong in argument 0 of 2
  reverse mode: 3.60956161
  differences: -7.01148873 ± 4.3e-7
  direction: -0.6884 of shape [], seed 0
  worst node: my_sin at LINE:59, 0.28136334 and by differences 1.33557232";
    assert_eq!(report(Sin::Detaches), expected);
}

#[test]
fn a_rule_that_loses_the_cotangent_is_reported() {
    let expected = "\
reverse mode of order 1 is wrong in argument 0 of 2
  reverse mode: -1.53806599
  differences: -2.03385922 ± 2.3e-8
  direction: 0.5666 of shape [], seed 0
  worst node: my_sin at LINE:59, 1.07157632 and by differences 0.8536702";
    assert_eq!(report(Sin::LosesCotangent), expected);
}

/// The report on a function of one argument, with its lines and columns as `LINE`.
fn report_on(f: impl for<'t> Fn(Var<'t, Reference>) -> Var<'t, Reference>, x: Reference) -> String {
    let text = gradcheck(|[x]| f(x), [x]).expect_err("not fine").to_string();
    let Some((before, after)) = text.split_once(file!()) else { return text };
    let rest = after.trim_start_matches(|x: char| x == ':' || x.is_ascii_digit());
    format!("{before}LINE{rest}")
}

#[test]
fn a_kink_is_called_so() {
    let expected = "\
the function is not smooth enough for order 1 in argument 0 of 1: a kink, a jump, a border or lost digits
  reverse mode: -0.47154561
  differences: left -0.47150998, right 1.01998227, over steps of 6.1e-5
  direction: [0.5666, 0.7458] of shape [2], seed 0
  worst node: relu at LINE, 0.30611453 and by differences 0.6790054";
    assert_eq!(report_on(|x| x.relu() * 2.0, vector(&[1.0, 0.0])), expected);
}

#[test]
fn a_kink_that_differences_do_not_see_is_found_at_second_order() {
    let text = report_on(|x| x.abs() * 2.0, vector(&[1.0, 0.0]));
    assert!(text.starts_with("the function is not smooth enough for order 2 in"), "{text}");
    assert!(text.contains("worst node: abs at LINE"), "{text}");
}

#[test]
fn a_jump_is_called_so() {
    let text = report_on(|x| x * 2.0 + x.floor(), vector(&[1.5, 1.0]));
    assert!(text.starts_with("the function is not smooth enough for order 1 in"), "{text}");
    assert!(text.contains("worst node: floor at LINE"), "{text}");
}

#[test]
fn a_value_that_the_derivative_passes_by_is_reported() {
    let text = report_on(|x| x.sin() * x.detach(), vector(&[1.5, 1.0]));
    assert!(text.starts_with("reverse mode of order 1 is wrong in argument 0 of 1"), "{text}");
    assert!(text.contains("worst node: detach at LINE"), "{text}");
    // Here the value leaves the tape, and no operation is to blame.
    let text = report_on(
        |x| match x.value() {
            Ok(value) => x * value.data()[0],
            Err(_) => x,
        },
        vector(&[1.5]),
    );
    assert!(text.ends_with("worst node: none, each agrees with differences of its own"), "{text}");
}

#[test]
fn an_infinite_derivative_is_reported() {
    let expected = "\
the derivative of order 1 is not finite in argument 0 of 1
  reverse mode: inf
  direction: [0.5666, 0.7458] of shape [2], seed 0
  worst node: sqrt at LINE";
    assert_eq!(report_on(|x| x.sqrt() + 1.0, vector(&[1.0, 0.0])), expected);
}

#[test]
fn an_infinite_value_is_reported() {
    let expected =
        "the function is not finite: [0.0000,   -inf]; the first such node is ln at LINE";
    assert_eq!(report_on(|x| x.ln() * 2.0, vector(&[1.0, 0.0])), expected);
    let expected = "argument 0 is not finite: [1.0000,    NaN]";
    assert_eq!(report_on(|x| x * 2.0, vector(&[1.0, f64::NAN])), expected);
}

#[test]
fn a_function_without_derivative_is_reported() {
    let expected = "the function has no derivative in its arguments: it ends with round at LINE";
    assert_eq!(report_on(|x| x.round() * 2.0, vector(&[1.2])), expected);
}

#[test]
fn a_function_that_is_not_deterministic_is_reported() {
    let n_calls = Cell::new(0.0);
    let text = report_on(
        |x| {
            n_calls.set(n_calls.get() + 1.0);
            x * n_calls.get()
        },
        vector(&[1.0]),
    );
    assert_eq!(text, "the function is not deterministic: it gave [2.0000], then [3.0000]");
}

#[test]
fn an_error_of_the_function_is_reported() {
    let expected = "the function failed: expand: shapes [2] and [3] are incompatible: the first does not broadcast to the second, at LINE";
    assert_eq!(report_on(|x| x.expand([3]) * 2.0, vector(&[1.0, 2.0])), expected);
    let nothing: [Reference; 0] = [];
    let error = Gradcheck::new().check_slice(|x| x[0], &nothing).expect_err("no arguments");
    assert_eq!(error.to_string(), "there are no arguments to differentiate");
}

#[test]
fn an_error_beside_the_point_is_reported() {
    // A function that works at one point only.
    let only_at_one = |x: Var<'_, Reference>| x.item().is_ok_and(|x| x == 1.0);
    let text = report_on(
        |x| match only_at_one(x) {
            true => x * 2.0 + x * x * x.detach(),
            false => x.expand([3]).reshape([7]),
        },
        Reference::from(1.0),
    );
    assert!(text.starts_with("reverse mode of order 1 failed: reshape: "), "{text}");
}

#[test]
fn the_argument_is_named() {
    let x = [vector(&[0.3, 0.4]), vector(&[0.5, 0.6]), vector(&[0.7, 0.8])];
    let checked = gradcheck(|[x, y, z]| x * z * y.tape().apply(Sin::WrongVjp, &[y]), x);
    let error = checked.expect_err("the rule is wrong");
    let derivative = match error.finding() {
        Finding::Wrong(derivative) => derivative,
        other => unreachable!("{other:?}"),
    };
    assert_eq!((derivative.argument, derivative.n_arguments, derivative.order), (1, 3, 1));
    assert_eq!(derivative.worst.as_ref().map(|worst| worst.op), Some("my_sin"));
}

#[test]
fn a_tolerance_can_be_chosen() {
    let check = |tolerance| {
        let check = Gradcheck::new().orders(1).tolerance(tolerance);
        check.check(|[x]| x.tape().apply(Sin::WrongVjp, &[x]), [vector(&[0.3])])
    };
    assert!(check(0.1).is_err());
    assert!(check(0.3).is_ok()); // 1.25 for 1, relative to 1.25
    // Its digits beyond 10⁻¹⁰ are lost; the differences of what is left do not settle.
    let loses_digits = |check: Gradcheck| check.check(|[x]| (x + 1e6) - 1e6, [vector(&[1.3])]);
    assert!(loses_digits(Gradcheck::new()).is_err());
    assert!(loses_digits(Gradcheck::new().tolerance(1e-5)).is_ok());
}

#[test]
fn reports_cross_threads() {
    fn crosses<X: Send + Sync + Clone + std::error::Error + 'static>() {}
    crosses::<GradcheckError>();
}
