//! What a tape says of itself: its memory, the first number that is none, and missing gradients.

mod support;

use std::time::{Duration, Instant};

use expect_test::{Expect, expect};
use grad_conformance::{Case, Reference, catalogue};
use grad_core::extend::{ByPartial, Cotangents, Elementwise, Op, Primal};
use grad_core::inspect::{Quantity, Verdict};
use grad_core::transform::{checkpoint, custom_jvp, custom_vjp};
use grad_core::{Error, ErrorKind, Pool, ScalarError, Shape, Tape, TensorLike, Var};
use support::{Fault, Faulty};

type Tested = Result<(), Error>;

/// Compares a text, in which `@` stands for this file, and lines are counted from `line` on.
#[track_caller]
fn assert_text(text: impl ToString, line: u32, expected: Expect) {
    let mut parts = text.to_string();
    for at in (0..40).rev() {
        parts = parts.replace(&format!("{}:{}:", file!(), line + at), &format!("@+{at}:"));
    }
    expected.assert_eq(&parts);
}

fn tensor(shape: &[usize]) -> Reference {
    Reference::from(0.5).full(shape, 0.5).expect("a small tensor")
}

// ------------------------------------------------------------------------------------------ memory

#[test]
fn memory_is_listed_by_size_with_names_and_lines() -> Tested {
    let tape = Tape::<Reference>::new();
    let line = line!();
    let w = tape.named_var(tensor(&[16, 16]), "w");
    let mut x = tape.constant(tensor(&[2, 16]));
    for _ in 0..3 {
        x = x.matmul(w).tanh();
    }
    let loss = x.sum().named("loss");
    tape.grad(loss, w);
    let mut memory = tape.memory();
    // The text has the number of bytes that the compiler gives a node.
    memory.tape = 4000;
    assert_text(
        memory,
        line,
        expect![[r#"
            29 nodes hold 20.8 KiB in 29 buffers
            the tape itself takes 3.9 KiB
                  2.0 KiB  var         [16, 16]  "w"  at @+1:18
              2 × 2.0 KiB  permute     [16, 16]       at @+4:15, in a sweep
              3 × 2.0 KiB  matmul      [16, 16]       at @+4:15, in a sweep
              2 × 2.0 KiB  add         [16, 16]       at @+4:15, in a sweep
                    256 B  constant    [2, 16]        at @+2:22
                3 × 256 B  matmul      [2, 16]        at @+4:15
                3 × 256 B  tanh        [2, 16]        at @+4:25
                    256 B  expand      [2, 16]        at @+6:18, in a sweep
                3 × 256 B  tanh_slope  [2, 16]        at @+4:25, in a sweep
                3 × 256 B  mul         [2, 16]        at @+4:25, in a sweep
              and 7 more, 1.3 KiB
        "#]],
    );
    Ok(())
}

#[test]
fn memory_is_data_too() -> Tested {
    let tape = Tape::<Reference>::new();
    let x = tape.named_var(tensor(&[3]), "x");
    let y = (x * 2.0).sum();
    let memory = tape.memory();
    assert_eq!(memory.n_nodes, 3);
    // Two times three numbers of 8 bytes, and one.
    assert_eq!(memory.tensors, 2 * 24 + 8);
    let buffers: Vec<_> = memory.buffers.iter().map(|b| (b.node, b.op, b.bytes)).collect();
    let scaled = tape.nodes().nth(1).expect("a node").id;
    assert_eq!(buffers, [(x.id(), "var", 24), (scaled, "scale", 24), (y.id(), "sum", 8)]);
    assert_eq!(memory.buffers[0].name.as_deref(), Some("x"));
    assert_eq!(memory.buffers[0].shape, Shape::from([3]));
    assert_eq!(memory.buffers[2].location.line(), line!() - 10);
    assert!(memory.buffers.iter().all(|buffer| buffer.n_nodes == 1 && !buffer.in_sweep));
    Ok(())
}

#[test]
fn the_size_of_an_element_is_that_of_its_type() {
    let tape = Tape::<Faulty>::new();
    tape.constant(Faulty::new(Fault::Single));
    assert_eq!(tape.memory().tensors, 4);
}

#[test]
fn numbers_are_in_their_nodes() -> Tested {
    let tape = Tape::<f64>::new();
    let before = tape.memory();
    assert_eq!((before.n_nodes, before.tensors, before.buffers.len()), (0, 0, 0));
    let x = tape.var(1.0);
    let y = (0..1000).fold(x, |y, _| y * x);
    let memory = tape.memory();
    assert_eq!((memory.n_nodes, memory.tensors, memory.buffers.len()), (1001, 0, 0));
    // A value, a place in the program, and the ids of inputs, at the least.
    assert!(memory.tape >= before.tape + 1001 * 3 * size_of::<usize>());
    // Plain sweeps leave their plan behind, but once.
    tape.backward(y, x)?;
    let with_plan = tape.memory().tape;
    assert!(with_plan > memory.tape);
    tape.backward(y, x)?;
    assert_eq!(tape.memory().tape, with_plan);
    Ok(())
}

#[test]
fn parameters_names_and_many_inputs_are_in_the_memory_of_the_tape() {
    let tape = Tape::<Reference>::new();
    let x = tape.var(tensor(&[1]));
    let bytes = || tape.memory().tape;
    let empty = bytes();
    let _ = tape.concat(&[x; 100], 0);
    let joined = bytes();
    assert!(joined >= empty + 100 * size_of::<u32>());
    let _ = x.named(&"x".repeat(1000));
    assert!(bytes() >= joined + 1000);
}

#[test]
fn a_large_tape_is_reported_quickly() {
    let tape = Tape::<Reference>::new();
    let x = tape.var(tensor(&[2]));
    (0..100_000).fold(x, |y, _| y * x);
    let began = Instant::now();
    let text = tape.memory().to_string();
    // It takes a tenth of a second unoptimized; a quadratic report would take hours.
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert_eq!(text.lines().count(), 4);
    assert!(text.contains("100000 × 16 B"), "{text}");
}

// ------------------------------------------------------------------------------------- detect_nan

fn watched<T: TensorLike>() -> Tape<T> {
    let tape = Tape::new();
    tape.detect_nan();
    tape
}

fn error<X>(result: Result<X, Error>) -> Error {
    result.err().expect("an error")
}

#[test]
fn the_first_value_that_is_not_finite_is_an_error() {
    let tape = watched::<Reference>();
    let line = line!();
    let x = tape.var(vec![2.0, -1.0, 0.0, 0.5]);
    let y = x.ln();
    let z = (y * 2.0).sum();
    assert_text(
        error(z.value()),
        line,
        expect![[r#"
        ln: the value is not finite, at @+2:15
          value       [4]: 1 NaN, 1 infinite, else -0.6931 to 0.6931
          argument 0  [4]: -1.0000 to 2.0000"#]],
    );
    // The node is not on the tape.
    assert_eq!(tape.len(), 1);
}

#[test]
fn every_argument_is_described() {
    let tape = watched::<Reference>();
    let line = line!();
    let x = tape.var(vec![1.0, -3.0]);
    let y = tape.var(vec![0.0, 0.0]);
    let z = (x / y).named("never seen");
    assert_text(
        error(z.value()),
        line,
        expect![[r#"
        div: the value is not finite, at @+3:13
          value       [2]: 2 infinite
          argument 0  [2]: -3.0000 to 1.0000
          argument 1  [2]: 0.0000"#]],
    );
}

#[test]
fn a_leaf_may_be_the_first() {
    let tape = watched::<Reference>();
    let line = line!();
    let x = tape.named_var(vec![1.0, f64::NAN, f64::NAN], "x");
    let c = tape.constant(vec![f64::NEG_INFINITY]);
    assert_text(
        error(x.value()),
        line,
        expect![[r#"
        var: the value is not finite, at @+1:18
          value  [3]: 2 NaN, else 1.0000"#]],
    );
    assert_text(
        error(c.value()),
        line,
        expect![[r#"
        constant: the value is not finite, at @+2:18
          value  [1]: 1 infinite"#]],
    );
    // A number beside a handle is a leaf, too.
    let y = tape.var(tensor(&[]));
    let line = line!();
    let z = y.maximum(f64::NAN);
    assert_text(
        error(z.value()),
        line,
        expect![[r#"
        constant: the value is not finite, at @+1:15
          value  []: 1 NaN"#]],
    );
}

/// `x` is 0 in one place, where the derivative of the square root is infinite.
fn root<'t>(tape: &'t Tape<Reference>) -> (Var<'t, Reference>, Var<'t, Reference>, u32) {
    let x = tape.named_var(vec![4.0, 0.0, 1.0], "x");
    let (y, line) = ((x * 1.0).sqrt(), line!());
    (x, y, line - 1)
}

#[test]
fn the_first_cotangent_that_is_not_finite_is_an_error_in_every_sweep() -> Tested {
    let tape = watched::<Reference>();
    let (x, y, line) = root(&tape);
    let z = y.sum();
    let ct = tape.constant(vec![1.0, 0.5, 1.0]);
    let text = error(tape.backward(z, x)).to_string();
    assert_text(
        &text,
        line,
        expect![[r#"
        scale: the cotangent is not finite, at @+1:22, while pulling back sqrt at @+1:32
          cotangent           [3]: 1 infinite, else 0.2500 to 0.5000
          value               [3]: 0.0000 to 4.0000
          argument 0          [3]: 0.0000 to 4.0000
          cotangent of sqrt   [3]: 1.0000
          value of sqrt       [3]: 0.0000 to 2.0000
          argument 0 of sqrt  [3]: 0.0000 to 4.0000"#]],
    );
    assert_eq!(error(tape.grad(z, x).value()).to_string(), text);
    assert_eq!(error(tape.gradients(z).of(x).value()).to_string(), text);
    let text = error(tape.vjp(y, ct, x).value()).to_string();
    assert_text(
        &text,
        line,
        expect![[r#"
        scale: the cotangent is not finite, at @+1:22, while pulling back sqrt at @+1:32
          cotangent           [3]: 1 infinite, else 0.2500 to 0.5000
          value               [3]: 0.0000 to 4.0000
          argument 0          [3]: 0.0000 to 4.0000
          cotangent of sqrt   [3]: 0.5000 to 1.0000
          value of sqrt       [3]: 0.0000 to 2.0000
          argument 0 of sqrt  [3]: 0.0000 to 4.0000"#]],
    );
    assert_eq!(error(tape.plain().vjp(y, ct.value()?, x)).to_string(), text);
    // A cotangent of zero stops the infinite derivative.
    let ct = tape.constant(vec![1.0, 0.0, 1.0]);
    assert_eq!(tape.vjp(y, ct, x).to_host()?, [0.25, 0.0, 0.5]);
    assert_eq!(tape.plain().vjp(y, ct.value()?, x)?.data(), [0.25, 0.0, 0.5]);
    Ok(())
}

#[test]
fn the_first_tangent_that_is_not_finite_is_an_error() -> Tested {
    let tape = watched::<Reference>();
    let (x, y, line) = root(&tape);
    let t = tape.constant(vec![1.0, 2.0, 3.0]);
    assert_text(
        error(tape.jvp(y.sum(), [(x, t)]).value()),
        line,
        expect![[r#"
        sqrt: the tangent is not finite, at @+1:32
          tangent                [3]: 1 infinite, else 0.2500 to 1.5000
          value                  [3]: 0.0000 to 2.0000
          argument 0             [3]: 0.0000 to 4.0000
          tangent of argument 0  [3]: 1.0000 to 3.0000"#]],
    );
    let t = tape.constant(vec![1.0, 0.0, 3.0]);
    assert_eq!(tape.jvp(y, [(x, t)]).to_host()?, [0.25, 0.0, 1.5]);
    Ok(())
}

#[test]
fn what_a_sweep_starts_from_is_looked_at() {
    let tape = watched::<Reference>();
    let line = line!();
    let x = tape.var(vec![1.0, 2.0]);
    let y = x * 3.0;
    let sweep = tape.plain().vjp(y, vec![1.0, f64::INFINITY], x);
    assert_text(
        error(sweep),
        line,
        expect![[r#"
        scale: the cotangent is not finite, at @+2:13
          cotangent   [2]: 1 infinite, else 1.0000
          value       [2]: 3.0000 to 6.0000
          argument 0  [2]: 1.0000 to 2.0000"#]],
    );
    // A handle may be older than the mode.
    tape.allow_nan();
    let t = tape.constant(vec![f64::NAN, 0.0]);
    tape.detect_nan();
    assert_text(
        error(tape.vjp(y, t, x).value()),
        line,
        expect![[r#"
        scale: the cotangent is not finite, at @+2:13
          cotangent   [2]: 1 NaN, else 0.0000
          value       [2]: 3.0000 to 6.0000
          argument 0  [2]: 1.0000 to 2.0000"#]],
    );
    assert_text(
        error(tape.jvp(y, [(x, t)]).value()),
        line,
        expect![[r#"
        var: the tangent is not finite, at @+1:18
          tangent  [2]: 1 NaN, else 0.0000
          value    [2]: 1.0000 to 2.0000"#]],
    );
}

#[test]
fn a_sum_of_cotangents_may_be_the_first() {
    let tape = watched::<Reference>();
    let line = line!();
    let x = tape.var(tensor(&[1]));
    let large = tape.constant(vec![1e308]);
    let y = x * large + x * large;
    let found = error(tape.backward(y.sum(), x));
    assert_eq!(error(tape.grad(y.sum(), x).value()).to_string(), found.to_string());
    assert_text(
        found,
        line,
        expect![[r#"
        var: the cotangent is not finite, at @+1:18, while pulling back mul at @+3:13
          cotangent          [1]: 1 infinite
          value              [1]: 0.5000
          cotangent of mul   [1]: 1.0000
          value of mul       [1]: 5.0000e307
          argument 0 of mul  [1]: 0.5000
          argument 1 of mul  [1]: 1.0000e308"#]],
    );
}

#[test]
fn a_second_derivative_is_watched_like_the_first() -> Tested {
    // d²/dx² x^1.5 = ¾ / √x, infinite at 0, where the first derivative is 0.
    let tape = watched::<f64>();
    let line = line!();
    let x = tape.var(0.0);
    let y = x.powf(1.5);
    let dy = tape.grad(y, x);
    assert_eq!(dy.item()?, 0.0);
    assert_text(
        error(tape.backward(dy, x)),
        line,
        expect![[r#"
        var: the cotangent is not finite, at @+1:18, while pulling back powf at @+2:15
          cotangent           []: 1 infinite
          value               []: 0.0000
          cotangent of powf   []: 1.5000
          value of powf       []: 0.0000
          argument 0 of powf  []: 0.0000"#]],
    );
    Ok(())
}

#[test]
fn the_error_is_data_too() {
    let tape = watched::<Reference>();
    let (x, y, line) = root(&tape);
    let error = error(tape.grad(y.sum(), x).value());
    assert_eq!((error.op(), error.location().line()), ("scale", line + 1));
    let ErrorKind::NotFinite(found) = error.kind() else { unreachable!("{error}") };
    assert_eq!(found.quantity, Quantity::Cotangent);
    assert_eq!((found.found.n_nan, found.found.n_infinite), (0, 1));
    assert_eq!(found.found.range, Some((0.25, 0.5)));
    let (op, location) = found.pulled_back.expect("a rule");
    assert_eq!((op, location.line()), ("sqrt", line + 1));
}

#[test]
fn the_tape_goes_on_after_an_error() -> Tested {
    let tape = watched::<Reference>();
    let x = tape.var(vec![-1.0, 4.0]);
    // With parameters, and with many inputs: their entries in the side lists go, too.
    assert!(x.powf(0.5).is_void());
    assert!((x * 1e308).is_void());
    let y = tape.concat(&[x, x, x, x], 0).sum();
    assert!(y.powf(0.5).value().is_ok());
    let nan = tape.var(vec![0.0]);
    assert!((nan / nan).is_void());
    assert_eq!(tape.backward(y, x)?.data(), [4.0, 4.0]);
    assert_eq!(
        tape.nodes().map(|node| node.op).collect::<Vec<_>>(),
        ["var", "concat", "sum", "powf", "var"]
    );
    Ok(())
}

/// Joins its arguments to NaN.
struct Lost;

impl Op<f64> for Lost {
    fn name(&self) -> &'static str {
        "lost"
    }

    fn shape(&self, _: &[Shape]) -> Result<Shape, ErrorKind> {
        Ok(Shape::scalar())
    }

    fn forward(&self, _: &[&f64]) -> Result<f64, ScalarError> {
        Ok(f64::NAN)
    }

    fn vjp<'t>(&self, _: &Primal<'t, f64>, ct: Var<'t, f64>, x_bar: &mut Cotangents<'_, 't, f64>) {
        x_bar.each(|_| ct);
    }
}

#[test]
fn an_operation_of_many_arguments_leaves_nothing_behind() -> Tested {
    let tape = watched::<f64>();
    let x: Vec<_> = (0..5).map(|i| tape.var(f64::from(i))).collect();
    assert!(tape.apply(Lost, &x).is_void());
    tape.allow_nan();
    let y = tape.apply(Lost, &x[1..]);
    let inputs = tape.nodes().last().expect("a node").inputs;
    assert_eq!(inputs, [x[1].id(), x[2].id(), x[3].id(), x[4].id()]);
    assert_eq!(tape.backward(y, x[4])?, 1.0);
    Ok(())
}

#[test]
fn the_mode_can_be_left() -> Tested {
    let tape = watched::<f64>();
    let x = tape.var(-1.0);
    assert!(x.sqrt().is_void());
    tape.allow_nan();
    let y = x.sqrt();
    assert!(y.item()?.is_nan() && tape.backward(y, x)?.is_nan());
    tape.detect_nan();
    // What was recorded meanwhile is an argument like any other.
    let line = line!();
    let z = y * 2.0;
    assert_text(
        error(z.value()),
        line,
        expect![[r#"
        scale: the value is not finite, at @+1:13
          value       []: 1 NaN
          argument 0  []: 1 NaN"#]],
    );
    Ok(())
}

#[test]
fn a_full_tape_is_full_in_this_mode_too() {
    let tape = Tape::<f64>::with_limit(1);
    tape.detect_nan();
    let x = tape.var(1.0);
    assert!(matches!(error((x + 1.0).value()).kind(), ErrorKind::TapeFull { limit: 1 }));
}

#[test]
fn tensors_of_integers_are_not_looked_at() {
    let tape = watched::<Faulty>();
    assert!(tape.constant(Faulty::new(Fault::Whole)).value().is_ok());
}

#[test]
fn nothing_that_is_finite_is_an_error() -> Tested {
    fn derivatives(case: &Case<Reference>, tape: &Tape<Reference>) -> Result<Vec<Vec<f64>>, Error> {
        let tensor = |(shape, data): &(Shape, Vec<f64>)| {
            let tensor = Reference::new(shape, data.clone()).expect("data that fill the shape");
            tape.var(tensor)
        };
        let x: Vec<_> = case.inputs.iter().map(tensor).collect();
        let y = (case.apply)(&x);
        // Infinities on the way count, but not those inside of rules, which come below.
        let mut found: Vec<Vec<f64>> =
            tape.nodes().map(|node| node.var.to_host()).collect::<Result<_, _>>()?;
        let t: Vec<_> = x.iter().map(|&x| (x, x)).collect();
        found.push(tape.jvp(y, t).to_host()?);
        for dx in tape.vjp(y, y.ones_like(), &x) {
            found.push(dx.to_host()?);
            for ddx in tape.plain().vjp(dx, dx.ones_like().value()?, &x)? {
                found.push(ddx.data().to_vec());
            }
        }
        Ok(found)
    }
    let mut n_finite = 0;
    for case in catalogue::<Reference>() {
        let free = derivatives(&case, &Tape::new())?;
        if free.iter().flatten().all(|x| x.is_finite()) {
            n_finite += 1;
            let watched = derivatives(&case, &watched());
            assert_eq!(watched.map_err(|error| format!("{case}: {error}")), Ok(free));
        }
    }
    assert!(n_finite > 100, "{n_finite}");
    Ok(())
}

#[test]
fn the_padding_of_a_maximum_is_no_error() -> Tested {
    let tape = watched::<Reference>();
    let x = tape.var(tensor(&[1, 1, 3, 3]));
    let y = x.max_pool2d(Pool::new([3, 3]).padding(1));
    assert_eq!(y.to_host()?, [0.5]);
    let void = tape.var(vec![f64::NAN]);
    assert!(void.is_void(), "the mode is on again");
    Ok(())
}

/// The identity, with NaN in its rule where the cotangent is not stopped.
struct Poisoned;

impl Elementwise for Poisoned {
    const NAME: &'static str = "poisoned";

    fn forward<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error> {
        Ok(x[0].clone())
    }

    fn partial<'t, T: TensorLike>(&self, _: usize, p: &Primal<'t, T>, c: Var<'t, T>) -> Var<'t, T> {
        c.mul_or_zero(p.x(0).ln())
    }
}

#[test]
fn a_rule_of_the_users_own_is_named() {
    let tape = watched::<f64>();
    let line = line!();
    let x = tape.var(-1.0);
    let y = tape.apply(ByPartial::new(Poisoned), &[x]);
    assert_text(
        error(tape.grad(y, x).value()),
        line,
        expect![[r#"
        var: the cotangent is not finite, at @+1:18, while pulling back poisoned at @+2:18
          cotangent               []: 1 NaN
          value                   []: -1.0000
          cotangent of poisoned   []: 1.0000
          value of poisoned       []: -1.0000
          argument 0 of poisoned  []: -1.0000"#]],
    );
}

/// Fails unless every sweep gives `expected`, plain and recorded, in both modes.
fn assert_all_sweeps<'t>(y: Var<'t, f64>, x: Var<'t, f64>, expected: f64) -> Tested {
    let tape = y.tape();
    let t = tape.constant(1.0);
    assert_eq!(tape.backward(y, x)?, expected);
    assert_eq!(tape.grad(y, x).item()?, expected);
    assert_eq!(tape.plain().jvp(y, [(x, 1.0)])?, expected);
    assert_eq!(tape.jvp(y, [(x, t)]).item()?, expected);
    Ok(())
}

#[test]
fn infinities_inside_of_a_users_rule_or_function_are_its_own_business() -> Tested {
    let tape = watched::<f64>();
    let x = tape.var(0.0);
    // 1 / (1 / 0) = 0 on the way.
    let by_vjp = custom_vjp("double", x, |x| x * 2.0, |x, _, ct| ct * (2.0 + x.recip().recip()));
    let by_jvp = custom_jvp("double", x, |x| x * 2.0, |x, _, t| t * (2.0 + x.recip().recip()));
    let inside = checkpoint(|x| x * 2.0 + x.detach().recip().recip(), x);
    for y in [by_vjp, by_jvp, inside] {
        assert_all_sweeps(y, x, 2.0)?;
    }
    // Outside they are an error as before.
    assert!(error(x.recip().value()).to_string().starts_with("recip: the value is not finite"));
    Ok(())
}

#[test]
fn infinities_that_leave_a_users_rule_or_function_are_found_in_every_sweep() {
    let tape = watched::<f64>();
    let x = tape.var(0.0);
    let by_vjp = custom_vjp("double", x, |x| x * 2.0, |x, _, ct| ct * x.recip());
    let by_jvp = custom_jvp("double", x, |x| x * 2.0, |x, _, t| t * x.recip());
    for y in [by_vjp, by_jvp] {
        let (t, found) = (tape.constant(1.0), |text: Error| text.to_string());
        for text in [found(error(tape.backward(y, x))), found(error(tape.grad(y, x).value()))] {
            assert!(text.starts_with("var: the cotangent is not finite, at "), "{text}");
        }
        for text in [
            found(error(tape.plain().jvp(y, [(x, 1.0)]))),
            found(error(tape.jvp(y, [(x, t)]).value())),
        ] {
            assert!(text.starts_with("double: the tangent is not finite, at "), "{text}");
        }
    }
    let value = checkpoint(|x| x.recip(), x).value();
    assert!(error(value).to_string().starts_with("checkpoint: the value is not finite"));
}

#[test]
fn an_empty_tensor_has_no_number_to_find() -> Tested {
    let tape = watched::<Reference>();
    let x = tape.var(tensor(&[0, 2]));
    let y = x.ln().sum();
    assert_eq!(tape.backward(y, x)?.shape(), [0, 2]);
    // In a message it has none, either.
    let line = line!();
    let z = x.mean();
    assert_text(
        error(z.value()),
        line,
        expect![[r#"
        mean: the value is not finite, at @+1:15
          value       []: 1 NaN
          argument 0  [0, 2]: no elements"#]],
    );
    Ok(())
}

// ------------------------------------------------------------------------------- why_no_gradient

#[test]
fn a_gradient_that_flows() -> Tested {
    let tape = Tape::<Reference>::new();
    let line = line!();
    let x = tape.named_var(vec![1.0, -2.0], "x");
    let y = (x * x).sum();
    let why = tape.why_no_gradient(y, x)?;
    assert_eq!((&why.verdict, why.cuts.len()), (&Verdict::Flows, 0));
    assert_text(why, line, expect![[r#"gradient flows from sum at @+2:21 to var "x" at @+1:18"#]]);
    // Of a handle with respect to itself it is 1.
    assert_eq!(tape.why_no_gradient(x, x)?.verdict, Verdict::Flows);
    // It has neither to be finite nor to be of one number, and may cancel in a sum of elements.
    let infinite = (x - x).sqrt();
    assert_eq!(tape.why_no_gradient(infinite, x)?.verdict, Verdict::Flows);
    let z = tape.concat(&[x, -x], 0);
    assert_eq!(tape.backward(z.sum(), x)?.data(), [0.0, 0.0]);
    assert_eq!(tape.why_no_gradient(z, x)?.verdict, Verdict::Flows);
    Ok(())
}

#[test]
fn a_detached_value() -> Tested {
    let tape = Tape::<f64>::new();
    let line = line!();
    let x = tape.named_var(2.0, "x");
    let frozen = (x * 3.0).detach().named("frozen");
    let y = frozen.sin() * tape.var(5.0);
    let why = tape.why_no_gradient(y, x)?;
    assert_eq!(why.verdict, Verdict::Cut);
    assert_eq!((why.cuts[0].node, why.cuts[0].op), (frozen.id(), "detach"));
    assert_text(
        why,
        line,
        expect![[r#"
            no gradient flows from mul at @+3:13 to var "x" at @+1:18: every path is cut, latest first:
              detach "frozen" at @+2:28"#]],
    );
    Ok(())
}

#[test]
fn step_functions_on_several_paths_and_behind_each_other() -> Tested {
    let tape = Tape::<Reference>::new();
    let line = line!();
    let x = tape.var(vec![0.4, 1.6]);
    let mask = x.gt(1.0);
    let whole = (x * 2.0).round();
    let parity = (whole.detach() * 0.5).floor();
    let beside = x.sign();
    let y = (mask.where_(1.0, parity) + whole).sum();
    x.floor();
    let why = tape.why_no_gradient(y, x)?;
    assert_eq!(why.verdict, Verdict::Cut);
    // Neither what y was not computed from, nor what was not computed from x.
    assert!(why.cuts.iter().all(|cut| cut.node != beside.id()));
    assert_text(
        why,
        line,
        expect![[r#"
            no gradient flows from sum at @+6:48 to var at @+1:18: every path is cut, latest first:
              floor at @+4:41, a step function
              detach at @+4:25
              round at @+3:27, a step function
              gt at @+2:18, a step function"#]],
    );
    Ok(())
}

#[test]
fn a_layer_norm_with_statistics_that_were_detached() -> Tested {
    let tape = Tape::<Reference>::new();
    let line = line!();
    let x = tape.named_var(vec![1.0, 2.0, 4.0], "x");
    let mean = x.mean().detach();
    let spread = (x - mean).square().mean().detach();
    let y = (x - mean) / (spread + 1e-5).sqrt();
    let loss = (y * y * y).sum().named("loss");
    let why = tape.why_no_gradient(loss, x)?;
    assert_eq!(why.verdict, Verdict::Flows);
    assert_text(
        why,
        line,
        expect![[r#"
            gradient flows from sum "loss" at @+5:28 to var "x" at @+1:18, but other paths are cut, latest first:
              detach at @+3:45
              detach at @+2:25"#]],
    );
    Ok(())
}

#[test]
fn a_constant() -> Tested {
    let tape = Tape::<f64>::new();
    let line = line!();
    let x = tape.constant(2.0);
    let y = x * tape.var(3.0);
    let why = tape.why_no_gradient(y, x)?;
    assert_eq!(why.verdict, Verdict::Untracked);
    assert_text(
        why,
        line,
        expect![
            "no gradient flows from mul at @+2:13 to constant at @+1:18, which is untracked; make it with `var`"
        ],
    );
    // Something computed from constants, and rounded on the way.
    let line = line!();
    let z = (y.detach() + 1.0).named("z");
    let why = tape.why_no_gradient(z.round() * y, z)?;
    assert_text(
        why,
        line,
        expect![[r#"
            no gradient flows from mul at @+2:36 to shift "z" at @+1:13, which is untracked
            paths are cut as well, latest first:
              round at @+2:38, a step function"#]],
    );
    assert_eq!(tape.why_no_gradient(x, x)?.verdict, Verdict::Untracked);
    Ok(())
}

#[test]
fn a_value_that_left_the_tape() -> Tested {
    let tape = Tape::<f64>::new();
    let line = line!();
    let x = tape.var(2.0);
    let other = tape.var(1.0);
    let known = x.value()?;
    let back = tape.constant(known).named("back");
    let y = back * back + other;
    let why = tape.why_no_gradient(y, x)?;
    let Verdict::Unrelated { leaves } = &why.verdict else { unreachable!("{why}") };
    let nodes: Vec<_> = leaves.iter().map(|leaf| leaf.node).collect();
    assert_eq!(nodes, [back.id(), other.id()]);
    assert_text(
        why,
        line,
        expect![[r#"
            no gradient flows: add at @+5:13 was not computed from var at @+1:18
            a value that left the tape and came back is one of:
              constant "back" at @+4:21
              var at @+2:22"#]],
    );
    // What is older was computed from nothing younger.
    let z = back * 2.0;
    let why = tape.why_no_gradient(back, z)?;
    assert_text(
        why,
        line,
        expect![
            r#"no gradient flows: constant "back" at @+4:21 was not computed from scale at @+20:13"#
        ],
    );
    Ok(())
}

#[test]
fn long_lists_are_cut_short_in_the_text() -> Tested {
    let tape = Tape::<f64>::new();
    let x = tape.var(2.5);
    let y = (0..15).fold(x, |y, _| y.floor());
    let why = tape.why_no_gradient(y, x)?;
    assert_eq!(why.cuts.len(), 15);
    let text = why.to_string();
    assert_eq!(text.lines().count(), 1 + 10 + 1);
    assert!(text.ends_with("\n  and 5 more"), "{text}");
    Ok(())
}

#[test]
fn a_derivative_that_is_zero_where_it_is_taken() -> Tested {
    let tape = Tape::<Reference>::new();
    let line = line!();
    let x = tape.var(vec![-1.0, 0.0]);
    let y = (x * 2.0).relu().sum();
    let why = tape.why_no_gradient(y, x)?;
    assert!(matches!(&why.verdict, Verdict::Zero { at } if at.len() == 1));
    assert_text(
        why,
        line,
        expect![[r#"
            there is a path from sum at @+2:30 to var at @+1:18, but the derivative is zero there; it vanishes at:
              relu at @+2:23"#]],
    );
    Ok(())
}

#[test]
fn a_derivative_that_is_zero_on_several_paths() -> Tested {
    let tape = Tape::<Reference>::new();
    let line = line!();
    let x = tape.var(vec![2.0]);
    let saturated = x.clamp(0.0, 1.0).exp();
    let as_mask = x.where_(3.0, 4.0);
    let cancelled = x - x;
    let y = saturated + as_mask + x.round() + cancelled;
    assert_text(
        tape.why_no_gradient(y, x)?,
        line,
        expect![[r#"
            there is a path from add at @+5:13 to var at @+1:18, but the derivative is zero there; it vanishes at:
              sub at @+4:21
              where at @+3:21
              clamp_max at @+2:23
            other paths are cut, latest first:
              round at @+5:37, a step function"#]],
    );
    Ok(())
}

#[test]
fn an_operation_whose_rule_gives_nothing() -> Tested {
    /// The identity, whose rule leaves the cotangent out.
    struct Silent;

    impl Op<f64> for Silent {
        fn name(&self) -> &'static str {
            "silent"
        }

        fn shape(&self, x: &[Shape]) -> Result<Shape, ErrorKind> {
            Ok(x[0].clone())
        }

        fn forward(&self, x: &[&f64]) -> Result<f64, ScalarError> {
            Ok(*x[0])
        }

        fn vjp<'t>(&self, _: &Primal<'t, f64>, _: Var<'t, f64>, _: &mut Cotangents<'_, 't, f64>) {}
    }
    let tape = Tape::<f64>::new();
    let line = line!();
    let x = tape.var(2.0);
    let y = tape.apply(Silent, &[x.sin()]) * 3.0;
    assert_text(
        tape.why_no_gradient(y, x)?,
        line,
        expect![[r#"
            there is a path from scale at @+2:13 to var at @+1:18, but the derivative is zero there; it vanishes at:
              silent at @+2:18"#]],
    );
    Ok(())
}

#[test]
fn a_second_derivative_behind_a_step() -> Tested {
    // d/dx max(x, 1) = [x > 1], which is flat.
    let tape = Tape::<f64>::new();
    let line = line!();
    let x = tape.var(2.0);
    let y = x.maximum(1.0);
    let dy = tape.grad(y, x);
    assert_text(
        tape.why_no_gradient(dy, x)?,
        line,
        expect![[r#"
            there is a path from where at @+2:15 to var at @+1:18, but the derivative is zero there; it vanishes at:
              where at @+2:15
            other paths are cut, latest first:
              ne at @+2:15, a step function
              eq at @+2:15, a step function
              gt at @+2:15, a step function
              ne at @+2:15, a step function
              eq at @+2:15, a step function
              gt at @+2:15, a step function"#]],
    );
    Ok(())
}

#[test]
fn the_answer_leaves_the_tape_as_it_was() -> Tested {
    let tape = Tape::<f64>::new();
    let x = tape.var(-1.0);
    let y = x.relu() * x.detach();
    let before = (tape.len(), tape.sweeps().len());
    tape.why_no_gradient(y, x)?;
    tape.detect_nan();
    tape.why_no_gradient(y, x)?;
    assert_eq!((tape.len(), tape.sweeps().len()), before);
    assert!(x.sqrt().is_void(), "the mode is still on");
    Ok(())
}

#[test]
fn void_and_foreign_handles_have_no_answer() {
    let (tape, other) = (Tape::<f64>::new(), Tape::<f64>::new());
    let (x, y) = (tape.var(1.0), other.var(1.0));
    let line = line!();
    let why = [tape.why_no_gradient(y, x), tape.why_no_gradient(x, y)];
    for why in why {
        let text = error(why).to_string();
        assert!(text.starts_with("why_no_gradient: the handle belongs to another tape, at "));
        assert!(text.contains(&format!("diagnose.rs:{}:", line + 1)), "{text}");
    }
    let void = x.expand([2]);
    let text = error(void.value()).to_string();
    assert_eq!(error(tape.why_no_gradient(void, x)).to_string(), text);
    assert_eq!(error(tape.why_no_gradient(x, void)).to_string(), text);
}

#[test]
fn a_long_tape_needs_neither_stack_nor_patience() {
    let on_a_small_stack = || -> Tested {
        const N: usize = 100_000;
        let tape = Tape::<f64>::new();
        (0..N).fold(tape.var(1.0), |y, _| y * 1.0);
        let x = tape.var(1.0);
        let y = (0..N).fold(x, |y, _| y * 1.0);
        let why = tape.why_no_gradient(y.detach(), x)?;
        assert_eq!((why.verdict, why.cuts.len()), (Verdict::Cut, 1));
        let zero = tape.why_no_gradient(y * 0.0, x)?;
        assert!(matches!(zero.verdict, Verdict::Zero { at } if at.len() == 1));
        // Every node has the one before it twice: 2ᴺ paths.
        let y = (0..N).fold(x, |y, _| (y + y) * 0.5);
        assert_eq!(tape.why_no_gradient(y, x)?.verdict, Verdict::Flows);
        Ok(())
    };
    let began = Instant::now();
    let thread = std::thread::Builder::new().stack_size(256 * 1024).spawn(on_a_small_stack);
    thread.expect("a thread").join().expect("no panic").expect("no error");
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
}
