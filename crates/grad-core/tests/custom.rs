//! `custom_vjp` and `custom_jvp` have the derivatives that their rules say, to every order and in
//! both modes; `stop_gradient` has none.

#![allow(clippy::unwrap_used)] // A failing unwrap fails the test.

use std::cell::Cell;
use std::rc::Rc;

use expect_test::expect;
use grad_conformance::{Random, Reference};
use grad_core::inspect::NodeKind;
use grad_core::transform::{Params, WithTape, custom_jvp, custom_vjp, stop_gradient};
use grad_core::{Error, Gradcheck, Tape, TensorLike, Var, gradcheck};

type Tested = Result<(), Error>;
type Handle<'t> = Var<'t, Reference>;
type Function<const N: usize> = dyn for<'t> Fn([Handle<'t>; N]) -> Handle<'t>;

fn tensor(shape: &[usize], data: &[f64]) -> Reference {
    Reference::new(shape, data.to_vec()).expect("as many elements as the shape has")
}

// ------------------------------------------------------------------------------------ derivatives

/// D_{u_k} ⋯ D_{u_1} Σ sin f, for k from 0 to 3: by nested reverse sweeps, by plain sweeps for the
/// last order, by nested forward sweeps, and by a reverse sweep over forward ones.
fn derivatives<const N: usize>(
    f: impl for<'t> Fn([Handle<'t>; N]) -> Handle<'t>,
    x: &[Reference; N],
) -> Result<Vec<[f64; 4]>, Error> {
    let tape = Tape::new();
    let x = x.each_ref().map(|x| tape.var(x.clone()));
    let mut random = Random::new(3);
    let mut direction = |x: Handle<'_>| {
        let x = x.value().expect("a variable");
        tensor(x.shape(), &random.signed_units(x.data().len()))
    };
    let dot = |gradients: [Reference; N], u: &[Reference; N]| -> f64 {
        let products = |(g, u): (&Reference, &Reference)| -> f64 {
            g.data().iter().zip(u.data()).map(|(g, u)| g * u).sum()
        };
        gradients.iter().zip(u).map(products).sum()
    };
    let y = f(x).sin().sum();
    let (mut reverse, mut forward) = (y, y);
    let mut found = vec![[y.item()?; 4]];
    for _ in 0..3 {
        let u = x.map(&mut direction);
        let plain = dot(tape.backward(reverse, x)?, &u);
        let reverse_over_forward = dot(tape.backward(forward, x)?, &u);
        let handles = u.map(|u| tape.constant(u));
        let gradients = tape.grad(reverse, x);
        reverse = (0..N).fold(tape.constant(0.0), |sum, i| sum + (gradients[i] * handles[i]).sum());
        let pairs: Vec<_> = x.into_iter().zip(handles).collect();
        forward = tape.jvp(forward, pairs);
        found.push([reverse.item()?, plain, forward.item()?, reverse_over_forward]);
    }
    Ok(found)
}

/// Fails unless all functions have the derivatives of the first, by whichever sweeps.
fn assert_same_derivatives<const N: usize>(
    plain: impl for<'t> Fn([Handle<'t>; N]) -> Handle<'t>,
    custom: &[&Function<N>],
    x: &[Reference; N],
) -> Tested {
    let expected = derivatives(plain, x)?;
    for (which, custom) in custom.iter().enumerate() {
        for (order, (expected, found)) in expected.iter().zip(derivatives(custom, x)?).enumerate() {
            for (sweep, found) in found.iter().enumerate() {
                let allowed = 1e-12 * expected[0].abs().max(1.0);
                let same = (found - expected[0]).abs() <= allowed;
                assert!(same, "{which}, order {order}, sweep {sweep}: {found}, {}", expected[0]);
            }
        }
    }
    Ok(())
}

#[test]
fn rules_of_one_input_have_all_derivatives() -> Tested {
    // y = tanh x, y′ = 1 − y².
    assert_same_derivatives(
        |[x]| x.tanh(),
        &[
            &|[x]| custom_vjp("my_tanh", x, |x| x.tanh(), |_, y, ct| ct * (1.0 - y * y)),
            &|[x]| custom_jvp("my_tanh", x, |x| x.tanh(), |_, y, t| (1.0 - y.square()) * t),
            &|[x]| custom_vjp("my_tanh", x, |x| x.tanh(), |x, _, ct| ct / x.cosh().square()),
        ],
        &[tensor(&[3], &[0.3, -1.2, 0.8])],
    )
}

#[test]
fn rules_of_several_inputs_have_all_derivatives() -> Tested {
    // y = a sin b, with the shapes [2, 3] and [3]: cotangents are un-broadcast by the sweep.
    let x = [tensor(&[2, 3], &[0.3, -1.2, 0.8, 1.5, 0.1, -0.4]), tensor(&[3], &[0.7, 1.1, -0.6])];
    assert_same_derivatives(
        |[a, b]| a * b.sin(),
        &[
            &|x| {
                custom_vjp(
                    "a_sin_b",
                    x,
                    |[a, b]| a * b.sin(),
                    |[a, b], _, ct| [ct * b.sin(), ct * a * b.cos()],
                )
            },
            &|x| {
                custom_jvp(
                    "a_sin_b",
                    x,
                    |[a, b]| a * b.sin(),
                    |[a, b], _, [s, t]| s * b.sin() + a * b.cos() * t,
                )
            },
            &|[a, b]| {
                custom_vjp(
                    "a_sin_b",
                    (a, b),
                    |_, (a, b)| a * b.sin(),
                    |_, (a, b), _, ct| (ct * b.sin(), ct * a * b.cos()),
                )
            },
            &|[a, b]| {
                custom_jvp(
                    "a_sin_b",
                    vec![a, b],
                    |_, x| x[0] * x[1].sin(),
                    |_, x, _, t| t[0] * x[1].sin() + x[0] * x[1].cos() * t[1],
                )
            },
        ],
        &x,
    )
}

#[test]
fn rules_of_matrices_have_all_derivatives() -> Tested {
    // C = A B: Ā = C̄ Bᵀ, B̄ = Aᵀ C̄; Ċ = Ȧ B + A Ḃ.
    let x = [tensor(&[2, 2], &[0.3, -1.2, 0.8, 1.5]), tensor(&[2, 1], &[0.7, -0.6])];
    assert_same_derivatives(
        |[a, b]| a.matmul(b),
        &[
            &|x| {
                custom_vjp(
                    "product",
                    x,
                    |[a, b]| a.matmul(b),
                    |[a, b], _, ct| [ct.matmul(b.transpose(0, 1)), a.transpose(0, 1).matmul(ct)],
                )
            },
            &|x| {
                custom_jvp(
                    "product",
                    x,
                    |[a, b]| a.matmul(b),
                    |[a, b], _, [s, t]| s.matmul(b) + a.matmul(t),
                )
            },
        ],
        &x,
    )
}

#[test]
fn a_solver_has_the_derivatives_of_what_it_solves() -> Tested {
    // Newton's method for y³ + y = x, whose slope is 1 / (3y² + 1).
    fn solve<'t>(x: Handle<'t>) -> Handle<'t> {
        let step = |y: Handle<'t>| y - (y * y * y + y - x) / (3.0 * y * y + 1.0);
        (0..50).fold(x, |y, _| step(y))
    }
    assert_same_derivatives(
        |[x]| solve(x),
        &[&|[x]| custom_vjp("solve", x, solve, |_, y, ct| ct / (3.0 * y * y + 1.0)), &|[x]| {
            custom_jvp("solve", x, solve, |_, y, t| t / (3.0 * y * y + 1.0))
        }],
        &[tensor(&[2], &[0.5, -2.0])],
    )
}

#[test]
fn a_rule_may_differentiate() -> Tested {
    // The rule is the VJP of another function, that of x³, found by a sweep; in a plain sweep the
    // input is a constant.
    fn cube<'s>(x: Handle<'s>, _: Handle<'s>, ct: Handle<'s>) -> Handle<'s> {
        match x.is_tracked() {
            true => x.tape().vjp(x.powi(3), ct, x),
            false => ct * 3.0 * x * x,
        }
    }
    assert_same_derivatives(
        |[x]| x.powi(3),
        &[&|[x]| custom_vjp("cube", x, |x| x * x * x, cube)],
        &[tensor(&[2], &[0.5, -2.0])],
    )
}

#[test]
fn an_input_that_is_not_wanted_gets_no_derivative() -> Tested {
    let tape = Tape::<f64>::new();
    let (a, b) = (tape.var(2.0), tape.constant(3.0));
    let by_vjp = custom_vjp("ab", [a, b], |[a, b]| a * b, |[a, b], _, ct| [ct * b, ct * a]);
    let by_jvp = custom_jvp("ab", [a, b], |[a, b]| a * b, |[a, b], _, [s, t]| s * b + a * t);
    for y in [by_vjp, by_jvp] {
        assert_eq!(tape.backward(y, a)?, 3.0);
        assert_eq!(tape.grad(y, a).item()?, 3.0);
        assert_eq!(tape.jvp(y, [(a, tape.constant(1.0))]).item()?, 3.0);
    }
    Ok(())
}

#[test]
fn a_tangent_that_does_not_move_is_zero() -> Tested {
    let tape = Tape::<f64>::new();
    let (a, b) = (tape.var(2.0), tape.var(3.0));
    let y = custom_jvp("first", [a, b], |[a, b]| a * b, |_, _, [s, _]| s);
    assert_eq!(tape.backward(y, [a, b])?, [1.0, 0.0]);
    assert_eq!(tape.jvp(y, [(b, tape.constant(1.0))]).item()?, 0.0);
    Ok(())
}

#[test]
fn a_straight_through_estimator_rounds_and_passes_the_gradient() -> Tested {
    let tape = Tape::<Reference>::new();
    let x = tape.var(vec![0.4, 0.6, 1.5]);
    let (y, y_jvp) = (
        custom_vjp("quantize", x, |x| x.round(), |_, _, ct| ct),
        custom_jvp("quantize", x, |x| x.round(), |_, _, t| t),
    );
    for y in [y, y_jvp] {
        assert_eq!(y.to_host()?, [0.0, 1.0, 2.0]);
        // d/dx Σ y² = 2y, and as y′ = 1 the second derivative is 2.
        assert_eq!(tape.backward(y.square().sum(), x)?.data(), [0.0, 2.0, 4.0]);
        let slope = tape.grad(y.square().sum(), x);
        assert_eq!(tape.backward(slope.sum(), x)?.data(), [2.0; 3]);
        let t = tape.constant(vec![1.0, 10.0, 100.0]);
        assert_eq!(tape.jvp(y, [(x, t)]).to_host()?, [1.0, 10.0, 100.0]);
    }
    Ok(())
}

#[test]
fn a_clipped_gradient_is_clipped_in_reverse_mode_only() -> Tested {
    let tape = Tape::<f64>::new();
    let x = tape.var(3.0);
    let y = custom_vjp("clip", x, |x| x.identity(), |_, _, ct| ct.clamp(-1.0, 1.0)).square();
    assert_eq!(tape.backward(y, x)?, 1.0); // Of 2x = 6.
    assert_eq!(tape.jvp(y, [(x, tape.constant(1.0))]).item()?, 6.0);
    Ok(())
}

#[test]
fn stop_gradient_keeps_the_form_and_stops() -> Tested {
    let tape = Tape::<f64>::new();
    let (x, y) = (tape.var(2.0), tape.var(3.0));
    assert_eq!(tape.backward(x * stop_gradient(x), x)?, 2.0);
    let (stopped, line) = (stop_gradient((x, vec![y, x])), line!());
    let (a, list) = stopped;
    assert_eq!(tape.backward(a * x + list[0] * y + list[1] * x, [x, y])?, [4.0, 3.0]);
    let stops: Vec<_> = tape.nodes().filter(|node| node.op == "detach").collect();
    assert_eq!(stops.len(), 4);
    assert!(stops[1..].iter().all(|node| node.location.line() == line));
    assert!(stops.iter().all(|node| node.location.file() == file!()));
    Ok(())
}

// --------------------------------------------------------------------------------------- recording

#[test]
fn nothing_inside_is_recorded_and_the_trace_shows_the_name() -> Tested {
    let tape = Tape::<f64>::new();
    let (a, b) = (tape.named_var(2.0, "a"), tape.named_var(0.5, "b"));
    let y = custom_vjp(
        "smooth_max",
        [a, b],
        |[a, b]| (a.exp() + b.exp()).ln(),
        |[a, b], y, ct| [ct * (a - y).exp(), ct * (b - y).exp()],
    );
    tape.grad(y.named("y"), a);
    expect![[r#"
        a = 2.0000
        b = 0.5000
        y = smooth_max(a, b)
        dy ---------------
        v1 = a - y
        v2 = v1.exp()
        v3 = v0 * v2
        v4 = b - y
        v5 = v4.exp()
        v6 = v0 * v5
        dy_dy = v0
        dy_da = v3
        ------------------
    "#]]
    .assert_eq(&tape.trace().to_string());
    Ok(())
}

#[test]
fn functions_and_rules_run_once() -> Tested {
    let (functions, rules) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let tape = Tape::<f64>::new();
    let x = [tape.var(2.0), tape.var(3.0)];
    let (f, r) = (Rc::clone(&functions), Rc::clone(&rules));
    let y = custom_jvp(
        "ab",
        x,
        move |[a, b]| {
            f.set(f.get() + 1);
            a * b
        },
        move |[a, b], _, [s, t]| {
            r.set(r.get() + 1);
            s * b + a * t
        },
    );
    assert_eq!((functions.take(), rules.take()), (1, 0));
    tape.backward(y, x)?;
    assert_eq!((functions.take(), rules.take()), (0, 1));
    tape.grad(y, x);
    assert_eq!((functions.take(), rules.take()), (0, 1));
    Ok(())
}

#[test]
fn gradcheck_passes_right_rules() {
    let right = gradcheck(
        |x| custom_vjp("ab", x, |[a, b]| a * b, |[a, b], _, ct| [ct * b, ct * a]).sin(),
        [tensor(&[2], &[0.5, -1.25]), tensor(&[], &[0.75])],
    );
    right.expect("the rule is right");
    Gradcheck::new()
        .orders(3)
        .check(
            |[x]| custom_jvp("log1pexp", x, |x| x.softplus(), |x, _, t| t * x.sigmoid()),
            [tensor(&[2], &[0.5, -1.25])],
        )
        .expect("the rule is right");
}

/// The report of gradcheck, with its lines and columns as `LINE`.
fn report(f: impl for<'t> Fn(Handle<'t>) -> Handle<'t>) -> String {
    let checked = gradcheck(|[x]| f(x * 0.5) + x, [tensor(&[2], &[0.5, -1.25])]);
    let text = checked.expect_err("the rule is wrong").to_string();
    let (before, after) = text.split_once(file!()).expect("a place in this file");
    let rest = after.trim_start_matches(|x: char| x == ':' || x.is_ascii_digit());
    format!("{before}LINE{rest}")
}

#[test]
fn gradcheck_names_a_wrong_rule() {
    let text = report(|x| custom_vjp("wrong", x, |x| x.exp(), |_, y, ct| ct * y * 1.5));
    assert!(text.starts_with("reverse mode of order 1 is wrong in argument 0 of 1"), "{text}");
    assert!(text.contains("worst node: wrong at LINE"), "{text}");
    let text = report(|x| custom_jvp("wrong", x, |x| x.exp(), |x, _, t| t * x));
    assert!(text.contains("worst node: wrong at LINE"), "{text}");
    // Right at first order only.
    let text = report(|x| custom_vjp("stops", x, |x| x.exp(), |_, y, ct| ct * stop_gradient(y)));
    assert!(text.starts_with("reverse mode of order 2 is wrong in argument 0 of 1"), "{text}");
    assert!(text.contains("worst node: stops at LINE"), "{text}");
}

#[test]
fn a_node_can_be_applied_anew() -> Tested {
    let tape = Tape::<Reference>::new();
    let x = tape.var(vec![1.0, 2.0]);
    custom_vjp("double", x, |x| x + x, |_, _, ct| ct * 2.0);
    let node = tape.nodes().last().expect("the operation");
    assert_eq!((node.op, node.kind), ("double", NodeKind::Op));
    let other = Tape::new();
    let x = other.var(tensor(&[1, 3], &[1.0, 2.0, 3.0]));
    let y = node.apply(&other, &[x]).expect("an operation");
    assert_eq!(y.to_host()?, [2.0, 4.0, 6.0]);
    assert_eq!(other.backward(y.sum(), x)?.data(), [2.0; 3]);
    Ok(())
}

// ----------------------------------------------------------------------------------------- errors

/// `file:line:column` of code in this file.
fn place(line: u32, code: &str) -> String {
    let text = include_str!("custom.rs").lines().nth(line as usize - 1).expect("a line");
    let column = text.find(code).expect("the code on its line") + 1;
    format!("{}:{line}:{column}", file!())
}

/// Fails unless reverse mode, plain and recorded, gives this error.
#[track_caller]
fn assert_reverse_error(y: Handle<'_>, x: Handle<'_>, text: &str) {
    let plain = y.tape().backward(y.sum(), x).unwrap_err();
    assert_eq!(plain.to_string(), text);
    let recorded = y.tape().grad(y.sum(), x).value().unwrap_err();
    assert_eq!(recorded.to_string(), text);
}

#[test]
fn a_cotangent_of_another_shape_is_an_error() {
    let tape = Tape::<Reference>::new();
    let x = tape.var(vec![1.0, 2.0]);
    let (y, line) = (custom_vjp("bad", x, |x| x.exp(), |_, _, ct| ct.sum()), line!());
    let text = format!(
        "bad: the rule returned shape [] for a value of shape [2], at {}, while pulling back bad",
        place(line, "custom_vjp(")
    );
    assert_reverse_error(y, x, &text);
}

#[test]
fn a_tangent_of_another_shape_is_an_error() -> Tested {
    let tape = Tape::<Reference>::new();
    let x = tape.var(vec![1.0, 2.0]);
    let (y, line) = (custom_jvp("bad", x, |x| x.sum(), |_, _, t| t), line!());
    let text = format!(
        "bad: the rule returned shape [2] for a value of shape [], at {}, while pulling back bad",
        place(line, "custom_jvp(")
    );
    assert_reverse_error(y, x, &text);
    let pushed = tape.jvp(y, [(x, x.detach())]).value().unwrap_err();
    assert_eq!(pushed.to_string(), text.replace("pulling back", "pushing forward"));
    Ok(())
}

#[test]
fn a_wrong_number_of_cotangents_is_an_error() {
    let tape = Tape::<Reference>::new();
    let x = tape.var(vec![1.0, 2.0]);
    let inputs = vec![x, x.square()];
    let line = line!() + 1;
    let y = custom_vjp("bad", inputs, |_, x| x[0] * x[1], |_, _, _, ct| vec![ct; 3]);
    let text = format!(
        "bad: the rule returned 3 cotangents for 2 inputs, at {}, while pulling back bad",
        place(line, "custom_vjp(")
    );
    assert_reverse_error(y, x, &text);
}

#[test]
fn an_error_in_a_rule_names_its_line() -> Tested {
    let tape = Tape::<Reference>::new();
    let x = tape.var(vec![1.0, 2.0]);
    let line = line!() + 1;
    let y = custom_vjp("bad", x, |x| x.exp(), |_, _, ct| ct.expand([3]));
    let place = place(line, "expand(");
    let shapes = "shapes [2] and [3] are incompatible: the first does not broadcast to the second";
    let text = format!("expand: {shapes}, at {place}, while pulling back bad");
    assert_reverse_error(y, x, &text);
    let pushed = tape.jvp(y, [(x, x.detach())]).value().unwrap_err();
    assert_eq!(pushed.to_string(), text.replace("pulling back", "pushing forward"));
    Ok(())
}

#[test]
fn a_handle_of_another_tape_is_an_error() -> Tested {
    let elsewhere: &'static Tape<Reference> = Box::leak(Box::default());
    let constant = elsewhere.constant(1.0);
    let tape = Tape::<Reference>::new();
    let x = tape.var(1.0);
    let foreign = "bad: the handle belongs to another tape, at ";
    let by_vjp = custom_vjp("bad", x, |x| x.exp(), move |_, _, _| constant);
    let by_jvp = custom_jvp("bad", x, |x| x.exp(), move |_, _, _| constant);
    for y in [by_vjp, by_jvp] {
        for error in [tape.backward(y, x).unwrap_err(), tape.grad(y, x).value().unwrap_err()] {
            assert!(error.to_string().starts_with(foreign), "{error}");
            assert!(error.to_string().ends_with(", while pulling back bad"), "{error}");
        }
        let error = tape.jvp(y, [(x, tape.constant(1.0))]).value().unwrap_err();
        assert!(error.to_string().starts_with(foreign), "{error}");
    }
    let y = custom_vjp("bad", x, move |_| constant, |_, _, ct| ct);
    assert!(y.value().unwrap_err().to_string().starts_with(foreign));
    Ok(())
}

#[test]
fn an_error_in_the_function_names_its_line() {
    let tape = Tape::<Reference>::new();
    let x = tape.var(vec![1.0, 2.0]);
    let (y, line) = (custom_jvp("bad", x, |x| x.matmul(x.sum()), |_, _, t| t), line!());
    let text = "matmul: shape [] has too few axes: at least 1 needed, at ";
    let expected = format!("{text}{}", place(line, "matmul("));
    assert_eq!(y.value().unwrap_err().to_string(), expected);
}

/// A user's structure.
struct Line<X> {
    slope: X,
    offset: X,
}

impl<X> Params for Line<X> {
    type Leaf = X;
    type With<Y> = Line<Y>;
    type Convention = WithTape;

    fn map<Y>(&self, f: &mut impl FnMut(&X) -> Y) -> Line<Y> {
        Line { slope: f(&self.slope), offset: f(&self.offset) }
    }
}

#[test]
fn inputs_may_be_a_structure_of_the_user() -> Tested {
    let tape = Tape::<f64>::new();
    let line = Line { slope: tape.var(2.0), offset: tape.var(1.0) };
    let (slope, offset) = (line.slope, line.offset);
    let y = custom_vjp(
        "at_three",
        line,
        |_, line| line.slope * 3.0 + line.offset,
        |_, _, _, ct| Line { slope: ct * 3.0, offset: ct },
    );
    assert_eq!(tape.backward(y.square(), [slope, offset])?, [42.0, 14.0]);
    Ok(())
}
