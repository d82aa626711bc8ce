//! Handles out, no `Result`: recorded calls carry their errors, the plain ones return them.

use std::collections::{BTreeMap, BTreeSet};

use grad_conformance::{Failure, Reference};
use grad_core::extend::Unsupported;
use grad_core::transform::{self, checkpoint, custom_jvp, custom_vjp};
use grad_core::{Error, ErrorKind, ScalarError, Tape, TensorLike, Var, gradcheck};

type Handle<'t> = Var<'t, Reference>;
type Scalar<'t> = Var<'t, f64>;
type Tested = Result<(), Error>;

/// Fails unless all are void, with an error that has this text and names this line.
#[track_caller]
fn assert_void<'t, T: TensorLike>(
    handles: impl IntoIterator<Item = Var<'t, T>>,
    text: &str,
    line: u32,
) {
    let mut n = 0;
    for x in handles {
        assert_error(&x.value().expect_err("a void handle"), text, line);
        n += 1;
    }
    assert!(n > 0);
}

#[track_caller]
fn assert_error(error: &Error, text: &str, line: u32) {
    let got = error.to_string();
    assert!(got.starts_with(&format!("{text}, at {}:{line}:", file!())), "{got}");
    assert_eq!((error.location().file(), error.location().line()), (file!(), line));
}

fn two() -> Reference {
    vec![1.0, 2.0].into()
}

fn three() -> Reference {
    vec![1.0, 2.0, 3.0].into()
}

// ---------------------------------------------------------------------------- the calls of a tape

#[test]
fn both_faces_give_the_same_numbers() -> Tested {
    let tape = Tape::<Reference>::new();
    let (x, y) = (tape.var(two()), tape.var(3.0));
    let (z, ct, t) = ((x * y).sin(), tape.constant(two()), tape.constant(two()));
    let plain = tape.plain();

    let [dx, dy] = tape.grad(z.sum(), [x, y]);
    let found = plain.grad(z.sum(), [x, y])?;
    assert_eq!(found.each_ref().map(Reference::data), [&dx.to_host()?[..], &dy.to_host()?]);
    let again = tape.backward(z.sum(), [x, y])?;
    assert_eq!(found.each_ref().map(Reference::data), again.each_ref().map(Reference::data));

    let x_bar = tape.vjp(z, ct, x);
    assert_eq!(plain.vjp(z, two(), x)?.data(), x_bar.to_host()?);
    let z_dot = tape.jvp(z, [(x, t)]);
    assert_eq!(plain.jvp(z, [(x, two())])?.data(), z_dot.to_host()?);
    let stack = Reference::new([2, 2], vec![1.0, 0.0, 0.0, 1.0])?;
    let z_dots = tape.jvp_batch(z, [(x, tape.constant(stack.clone()))]);
    assert_eq!(plain.jvp_batch(z, [(x, stack)])?.data(), z_dots.to_host()?);
    Ok(())
}

#[test]
fn the_answer_has_the_form_of_what_was_asked_for() -> Tested {
    let tape = Tape::<f64>::new();
    let x = [tape.var(2.0), tape.var(3.0)];
    let (y, list) = (x[0] * x[1], x.to_vec());
    let one: Scalar<'_> = tape.grad(y, x[0]);
    let array: [Scalar<'_>; 2] = tape.grad(y, x);
    let also_array: [Scalar<'_>; 2] = tape.grad(y, &x);
    let slice: Vec<Scalar<'_>> = tape.grad(y, &x[..]);
    let also_list: Vec<Scalar<'_>> = tape.grad(y, &list);
    assert_eq!(one.item()?, 3.0);
    for two in [array.to_vec(), also_array.to_vec(), slice, also_list] {
        assert_eq!([two[0].item()?, two[1].item()?], [3.0, 2.0]);
    }
    assert!(tape.grad(y, &[][..]).is_empty() && tape.plain().grad(y, &[][..])?.is_empty());
    Ok(())
}

#[test]
fn what_fails_in_a_recorded_call_is_void_and_in_a_plain_one_an_error() -> Tested {
    let tape = Tape::<Reference>::new();
    let (x, long) = (tape.var(two()), tape.constant(three()));
    let (y, plain) = (x.exp(), tape.plain());

    let text = "grad: needs a one-element output, got [2]; use vjp";
    let (found, line) = (tape.grad(y, [x, y]), line!());
    assert_void(found, text, line);
    let (found, line) = (plain.grad(y, [x, y]), line!());
    assert_error(&found.expect_err("an error"), text, line);

    let text = "vjp: expected a cotangent or tangent of shape [2], got [3]";
    let (found, line) = (tape.vjp(y, long, x), line!());
    assert_void([found], text, line);
    let (found, line) = (plain.vjp(y, three(), x), line!());
    assert_error(&found.expect_err("an error"), text, line);

    let text = "jvp: expected a cotangent or tangent of shape [2], got [3]";
    let (found, line) = (tape.jvp(y, [(x, long)]), line!());
    assert_void([found], text, line);
    let (found, line) = (plain.jvp(y, [(x, three())]), line!());
    assert_error(&found.expect_err("an error"), text, line);

    let text = "jvp_batch: needs a tangent with a leading axis, for the number of tangents";
    let (found, line) = (tape.jvp_batch(y, []), line!());
    assert_void([found], text, line);
    let (found, line) = (plain.jvp_batch(y, [(x, 1.0)]), line!());
    assert_error(&found.expect_err("an error"), text, line);
    Ok(())
}

#[test]
fn every_derivative_of_a_failed_sweep_is_void() {
    let tape = Tape::<Reference>::new();
    let (x, unrelated) = (tape.var(two()), tape.var(two()));
    let (found, line) = (tape.gradients(x), line!());
    let text = "gradients: needs a one-element output, got [2]; use vjp";
    assert_void(found.get(x), text, line);
    assert_void(found.get(unrelated), text, line);
    assert_void(found.of([x, unrelated]), text, line);
    assert_void(found.iter().flat_map(|(x, dx)| [x, dx]), text, line);
    assert!(format!("{found:?}").contains(text));
}

#[test]
fn calls_with_a_void_handle_add_no_errors() {
    let tape = Tape::<Reference>::new();
    let x = tape.var(two());
    let void = x.reshape([3]);
    for _ in 0..3 {
        assert_eq!(tape.grad(void, x).id(), void.id());
        assert_eq!(tape.jvp(void, [(x, x)]).id(), void.id());
        assert_eq!(transform::grad(|x| x.sum(), void).id(), void.id());
        assert_eq!(transform::hessian(|_| void, x).id(), void.id());
    }
    // The next error has the next place.
    assert_eq!(x.reshape([3]).id().index(), void.id().index() + 1);
}

#[test]
fn a_void_handle_of_another_tape_keeps_its_error() {
    let (tape, other) = (Tape::<Reference>::new(), Tape::<Reference>::new());
    let x = tape.var(two());
    let (void, line) = (other.var(two()).reshape([3]), line!());
    let text = "reshape: shapes [2] and [3] have different numbers of elements";
    let inside = transform::grad(|_| void, x);
    assert_void([x * void, tape.grad(void, x), tape.grad(x.sum(), void), inside], text, line);
}

// --------------------------------------------------------------------------------- the transforms

#[test]
fn transforms_of_handles_fill_the_form_with_void_handles() {
    fn f<'t>([a, b]: [Handle<'t>; 2]) -> Handle<'t> {
        a.reshape([3]) * b
    }
    let line = line!() - 2;
    let text = "reshape: shapes [2] and [3] have different numbers of elements";
    let tape = Tape::<Reference>::new();
    let x = [tape.var(two()), tape.var(two())];
    let v = [x[0].detach(), x[1].detach()];

    assert_void(transform::grad(f, x), text, line);
    assert_void(transform::jacrev(f, x), text, line);
    assert_void(transform::jacfwd(f, x), text, line);
    assert_void(transform::hessian(f, x).into_iter().flatten(), text, line);
    assert_void(transform::hessian_diagonal(f, x), text, line);
    assert_void(transform::hvp(f, x, v), text, line);
    assert_void(transform::vhp(f, x, v), text, line);
    let (y, gradient) = transform::value_and_grad(f, x);
    assert_void([y].into_iter().chain(gradient), text, line);
    let (y, y_dot) = transform::jvp(f, x, v);
    assert_void([y, y_dot], text, line);
    let (y, pullback) = transform::vjp(f, x);
    assert_void([y].into_iter().chain(pullback.call(y)).chain(pullback.gradient()), text, line);
    let (y, linear) = transform::linearize(f, x);
    assert_void([y, linear.call(v)].into_iter().chain(linear.jacobian()), text, line);
}

#[test]
fn an_error_of_a_sweep_names_the_transform_and_the_line() {
    let tape = Tape::<Reference>::new();
    let x = tape.var(two());
    let text = "grad: needs a one-element output, got [2]; use vjp";
    let (found, line) = (transform::grad(|x| x.exp(), x), line!());
    assert_void([found], text, line);
    let (found, line) = (transform::grad(|x| transform::grad(|x| x.exp(), x).sum(), x), line!());
    assert_void([found], text, line);
    let (y, pullback) = transform::vjp(|x| x.exp(), x);
    assert!(!y.is_void());
    let (found, line) = (pullback.call(tape.constant(three())), line!());
    assert_void([found], "vjp: expected a cotangent or tangent of shape [2], got [3]", line);
    let (found, line) = (transform::jvp(|_, x| x[0], vec![x], vec![x, x]), line!());
    assert_void([found.0, found.1], "jvp: needs 1 tangents, one for each tensor, got 2", line);
}

#[test]
fn structures_without_leaves_come_back_empty() -> Tested {
    fn one<'t, T: TensorLike>(tape: &'t Tape<T>, model: T) -> Var<'t, T> {
        tape.constant(model)
    }
    let none = Vec::<f64>::new;
    assert!(transform::grad(|tape, _| one(tape, 1.0), none())?.is_empty());
    assert!(transform::jacrev(|tape, _| one(tape, 1.0), none())?.is_empty());
    assert!(transform::jacfwd(|tape, _| one(tape, 1.0), none())?.is_empty());
    assert!(transform::hessian(|tape, _| one(tape, 1.0), none())?.is_empty());
    assert!(transform::hvp(|tape, _| one(tape, 1.0), none(), none())?.is_empty());
    assert!(transform::vhp(|tape, _| one(tape, 1.0), none(), none())?.is_empty());
    let (y, gradient) = transform::value_and_grad(|tape, _| one(tape, 5.0), none())?;
    assert_eq!((y, gradient.len()), (5.0, 0));
    let (y, y_dot) = transform::jvp(|tape, _| one(tape, 5.0), none(), none())?;
    assert_eq!((y, y_dot), (5.0, 0.0));

    // Without a handle there is no tape to run the function on.
    let none = Vec::<Scalar<'_>>::new;
    let never = |_: &Tape<f64>, _: Vec<Scalar<'_>>| unreachable!("there is no tape");
    assert!(transform::grad(never, none()).is_empty());
    assert!(transform::jacrev(never, none()).is_empty());
    assert!(transform::jacfwd(never, none()).is_empty());
    assert!(transform::hessian(never, none()).is_empty());
    assert!(transform::hessian_diagonal(never, none()).is_empty());
    assert!(transform::hvp(never, none(), none()).is_empty());
    assert!(transform::vhp(never, none(), none()).is_empty());
    let named = BTreeMap::<&str, Option<Scalar<'_>>>::from([("a", None)]);
    let found = transform::grad(|_, _| unreachable!("there is no tape"), named);
    assert!(found["a"].is_none());
    Ok(())
}

#[test]
fn answers_to_nothing_are_void() {
    let none = Vec::<Scalar<'_>>::new;
    let never = |_: &Tape<f64>, _: Vec<Scalar<'_>>| unreachable!("there is no tape");
    let text = |op| format!("{op}: needs at least one handle to know the tape");
    let ((y, gradient), line) = (transform::value_and_grad(never, none()), line!());
    assert_void([y], &text("value_and_grad"), line);
    assert!(gradient.is_empty());
    let ((y, y_dot), line) = (transform::jvp(never, none(), none()), line!());
    assert_void([y, y_dot], &text("jvp"), line);
    let ((y, pullback), line) = (transform::vjp(never, none()), line!());
    assert_void([y], &text("vjp"), line);
    assert!(pullback.call(y).is_empty() && pullback.gradient().is_empty());
    let ((y, linear), line) = (transform::linearize(never, none()), line!());
    assert_void([y, linear.call(none())], &text("linearize"), line);
    assert!(linear.jacobian().is_empty());
}

#[test]
fn errors_without_a_tape_do_not_grow() {
    fn none<'t>() -> Vec<Handle<'t>> {
        Vec::new()
    }
    // One line for all calls.
    let calls = || {
        let y = checkpoint(|tape, _| tape.constant(1.0), none());
        let by_vjp = custom_vjp("own", none(), |tape, _| tape.constant(1.0), |_, x, _, _| x);
        let by_jvp = custom_jvp("own", none(), |tape, _| tape.constant(1.0), |_, _, y, _| y);
        let (value, _) = transform::value_and_grad(|tape, _| tape.constant(1.0), none());
        let further = (y * 2.0 + by_vjp).sum();
        let derivatives = [y.tape().grad(further, y), transform::grad(|x| x.sum(), y)];
        [y, by_vjp, by_jvp, value, further, derivatives[0], derivatives[1]]
    };
    let first = calls();
    for _ in 0..3 {
        for (first, again) in first.iter().zip(calls()) {
            assert!(again.is_void() && std::ptr::eq(first.tape(), again.tape()));
            assert_eq!(first.id(), again.id());
        }
    }
    let ids: BTreeSet<_> = first[..4].iter().map(|void| void.id()).collect();
    assert_eq!(ids.len(), 4, "four lines have four errors");
    assert!(first[0].tape().is_empty());
}

#[test]
fn an_error_without_a_tape_goes_on_to_any_tape() {
    fn nothing<'t>() -> (Handle<'t>, u32) {
        (checkpoint(|tape, _| tape.constant(1.0), Vec::<Handle<'_>>::new()), line!())
    }
    let text = "checkpoint: needs at least one handle as input";
    let (void, line) = nothing();
    let tape = Tape::<Reference>::new();
    let x = tape.var(two());
    assert_void([x + void, void + x, checkpoint(|x| x + nothing().0, x)], text, line);
    let plain = transform::grad(|x| (x + nothing().0).sum(), two());
    assert_error(&plain.expect_err("an error"), text, line);
    assert_error(&transform::grad(|_| nothing().0, two()).expect_err("an error"), text, line);
}

// ------------------------------------------------------------------------------ errors of the user

#[test]
fn a_message_of_the_users_own_names_the_line() {
    let (error, line) = (Error::msg(format!("needs {} layers", 2)), line!());
    assert_eq!((error.op(), error.location().line()), ("", line));
    assert!(matches!(error.kind(), ErrorKind::Message { message } if message == "needs 2 layers"));
    assert_eq!(error.to_string(), format!("needs 2 layers, at {}", error.location()));
    let tape = Tape::<f64>::new();
    let x = tape.var(1.0);
    assert_void([tape.void(error) * x], "needs 2 layers", line);
    let (y, line) = (tape.attempt(|| Err(Error::msg("no layer"))), line!());
    assert_void([y * x], "no layer", line);
}

#[test]
fn every_error_becomes_an_error_of_the_engine() {
    /// The error, its text without the line, and the line of the `?` in it.
    #[track_caller]
    fn assert_converted<S: std::error::Error + 'static, X>(
        result: Result<X, Error>,
        text: &str,
        line: u32,
    ) {
        let error = result.err().expect("an error");
        assert_error(&error, text, line);
        assert_eq!(error.op(), "");
        let source = std::error::Error::source(&error).expect("a source");
        assert!(source.is::<S>());
    }
    let scalar = || Ok(TensorLike::expand(&1.0, &[2])?);
    let line = line!() - 1;
    let text = "the f64 backend holds scalars only, not shape [2]";
    assert_converted::<ScalarError, f64>(scalar(), text, line);

    let unsupported = || Err(Unsupported { op: "fold", backend: "mine" })?;
    let line = line!() - 1;
    let text = "fold is unsupported by this backend (mine)";
    assert_converted::<Unsupported, ()>(unsupported(), text, line);

    let check = || Ok(gradcheck(|[x]: [Scalar<'_>; 1]| x.ln(), [f64::NAN])?);
    let line = line!() - 1;
    let text = "argument 0 is not finite: NaN";
    assert_converted::<grad_core::GradcheckError, ()>(check(), text, line);

    let read = || "x".parse::<f64>().map(drop).map_err(|error| Error::from_source(error));
    let line = line!() - 1;
    assert_converted::<std::num::ParseFloatError, ()>(read(), "invalid float literal", line);

    let law = || Err(Failure::new("got 1, wanted 2"))?;
    let line = line!() - 1;
    let error: Tested = law();
    assert_error(&error.expect_err("an error"), "got 1, wanted 2", line);
}
