//! Every kind of error: its whole text, with the place in the user's program.

mod support;

use std::error::Error as _;

use grad_conformance::{Reference, catalogue};
use grad_core::extend::{ByPartial, Cotangents, Elementwise, Op, Primal, Tangents};
use grad_core::{Error, ErrorKind, Gradients, ScalarError, Shape, Slice, Tape, TensorLike, Var};
use support::{Fault, Faulty};

type Tested = Result<(), Error>;

/// Where `code` stands in this file: `file:line:column`.
fn place(line: u32, code: &str) -> String {
    let text = include_str!("errors.rs").lines().nth(line as usize - 1).expect("a line");
    let column = text.find(code).expect("the code on its line") + 1;
    format!("{}:{line}:{column}", file!())
}

/// What failed: a `Result` that is an error, or void handles.
trait Failed {
    fn errors(self) -> Vec<Error>;
}

impl<X> Failed for Result<X, Error> {
    fn errors(self) -> Vec<Error> {
        vec![self.err().expect("an error")]
    }
}

impl<T: TensorLike> Failed for Var<'_, T> {
    fn errors(self) -> Vec<Error> {
        self.value().errors()
    }
}

impl<T: TensorLike, const N: usize> Failed for [Var<'_, T>; N] {
    fn errors(self) -> Vec<Error> {
        self.into_iter().flat_map(Failed::errors).collect()
    }
}

impl<T: TensorLike> Failed for Gradients<'_, T> {
    fn errors(self) -> Vec<Error> {
        self.iter().flat_map(|(x, dx)| [x, dx].errors()).collect()
    }
}

/// Fails unless the error has this text, `@` in it standing for the place of `code` on `line`.
#[track_caller]
fn assert_text(failed: impl Failed, text: &str, line: u32, code: &str) {
    let errors = failed.errors();
    assert!(!errors.is_empty());
    for error in errors {
        assert_eq!(error.to_string(), text.replace('@', &place(line, code)));
        assert_eq!((error.location().file(), error.location().line()), (file!(), line));
    }
}

fn tensor(shape: &[usize]) -> Reference {
    Reference::from(0.5).full(shape, 0.5).expect("a small tensor")
}

// ------------------------------------------------------------------------- operations, one a kind

#[test]
fn shapes_that_do_not_broadcast() {
    let tape = Tape::<Reference>::new();
    let (x, y) = (tape.var(tensor(&[2])), tape.var(tensor(&[3])));
    let (z, line) = (x + y, line!());
    assert_text(z.value(), "add: shapes [2] and [3] do not broadcast, at @", line, "x + y");
}

#[test]
fn inner_sizes_that_differ() {
    let tape = Tape::<Reference>::new();
    let (x, y) = (tape.var(tensor(&[2, 3])), tape.var(tensor(&[2])));
    let text = "matmul: shapes [2, 3] and [2] cannot be multiplied: the inner sizes differ, at @";
    let (z, line) = (x.matmul(y), line!());
    assert_text(z.value(), text, line, "matmul(y)");
}

#[test]
fn a_product_with_a_scalar() {
    let tape = Tape::<Reference>::new();
    let (x, y) = (tape.var(tensor(&[2, 3])), tape.var(tensor(&[])));
    let (z, line) = (x.matmul(y), line!());
    assert_text(
        z.value(),
        "matmul: shape [] has too few axes: at least 1 needed, at @",
        line,
        "matmul(y)",
    );
}

#[test]
fn a_shape_that_is_too_large() {
    let tape = Tape::<Reference>::new();
    let x = tape.var(tensor(&[2]));
    let (y, line) = (x.expand([usize::MAX / 2, 2]), line!());
    let text = format!(
        "expand: shape [{}, 2] has more elements than memory can hold, at @",
        usize::MAX / 2
    );
    assert_text(y.value(), &text, line, "expand(");
}

#[test]
fn an_axis_out_of_range() {
    let tape = Tape::<Reference>::new();
    let x = tape.var(tensor(&[2, 3]));
    let (y, line) = (x.sum_axes([0, -3]), line!());
    let text = "sum: axis -3 is out of range for a tensor of rank 2, at @";
    assert_text(y.value(), text, line, "sum_axes(");
}

#[test]
fn an_axis_named_twice() {
    let tape = Tape::<Reference>::new();
    let x = tape.var(tensor(&[2, 3]));
    let (y, line) = (x.max_axes([1, -1]), line!());
    assert_text(y.value(), "max: axis -1 is named twice, at @", line, "max_axes(");
}

#[test]
fn too_few_axes_to_permute() {
    let tape = Tape::<Reference>::new();
    let x = tape.var(tensor(&[2, 3]));
    let (y, line) = (x.permute([1]), line!());
    let text = "permute: [1] is not a permutation of the axes of shape [2, 3], at @";
    assert_text(y.value(), text, line, "permute(");
}

#[test]
fn a_slice_beyond_the_end() {
    let tape = Tape::<Reference>::new();
    let x = tape.var(tensor(&[2, 3]));
    let slices = [Slice::all(2), Slice { start: 1, stop: 4, step: 2 }];
    let (y, line) = (x.slice(&slices), line!());
    let text = "slice: slices [0..2, 1..4 by 2] do not fit shape [2, 3], at @";
    assert_text(y.value(), text, line, "slice(&slices)");
}

#[test]
fn an_index_beyond_the_end() {
    let tape = Tape::<Reference>::new();
    let x = tape.var(tensor(&[2, 3]));
    let (y, line) = (x.index_select(-1, &[0, 3]), line!());
    let text = "index_select: index 3 is out of range for axis 1 of shape [2, 3], at @";
    assert_text(y.value(), text, line, "index_select(");
}

#[test]
fn the_largest_of_nothing() {
    let tape = Tape::<Reference>::new();
    let x = tape.var(tensor(&[2, 0]));
    let (y, line) = (x.max_axes(1), line!());
    let text = "max: shape [2, 0] has no elements along the reduced axes, at @";
    assert_text(y.value(), text, line, "max_axes(");
}

#[test]
fn dtypes_that_differ() {
    let tape = Tape::<Faulty>::new();
    let x = tape.var(Faulty::new(Fault::Single));
    let y = tape.var(Faulty::new(Fault::Nothing));
    let (z, line) = (x * y, line!());
    let text = "mul: dtypes f32 and f64 differ; convert one of them first, at @";
    assert_text(z.value(), text, line, "x * y");
}

#[test]
fn a_variable_of_integers() {
    let tape = Tape::<Faulty>::new();
    let (x, line) = (tape.var(Faulty::new(Fault::Whole)), line!());
    let text = "var: a variable needs a floating-point dtype, got i64, at @";
    assert_text(x.value(), text, line, "var(Faulty");
    assert!(tape.constant(Faulty::new(Fault::Whole)).value().is_ok());
}

#[test]
fn one_number_of_a_tensor_of_many() {
    let tape = Tape::<Reference>::new();
    let x = tape.var(tensor(&[2, 1]));
    let (item, line) = (x.item(), line!());
    assert_text(item, "item: needs one element, got [2, 1], at @", line, "item()");
}

#[test]
fn a_parameter_of_the_users_own() {
    let tape = Tape::<f64>::new();
    let message = "needs at least one layer".to_string();
    let (y, line) = (tape.fail("mlp", ErrorKind::Parameter { message }), line!());
    assert_text(y.value(), "mlp: needs at least one layer, at @", line, "fail(");
}

#[test]
fn a_handle_of_another_tape() {
    let (tape, other) = (Tape::<f64>::new(), Tape::<f64>::new());
    let (x, y) = (tape.var(1.0), other.var(1.0));
    let (z, line) = (x * y, line!());
    assert_text(z.value(), "mul: the handle belongs to another tape, at @", line, "x * y");
    let (z, line) = (tape.add(y, x), line!());
    assert_text(z.value(), "add: the handle belongs to another tape, at @", line, "add(y, x)");
    let (sweep, line) = (tape.grad(x, [y]), line!());
    assert_text(sweep, "grad: the handle belongs to another tape, at @", line, "grad(x");
    let (sweep, line) = (tape.jvp(x, [(x, y)]), line!());
    assert_text(sweep, "jvp: the handle belongs to another tape, at @", line, "jvp(x");
}

#[test]
fn a_full_tape() -> Tested {
    let tape = Tape::<f64>::with_limit(3);
    let x = tape.var(1.0);
    let y = x + x + x;
    let (z, line) = (y * x, line!());
    assert_text(z.value(), "tape: the tape is full: it may hold 3 nodes, at @", line, "y * x");
    // What is there can still be used, and a plain sweep needs no room.
    assert_eq!(tape.backward(y, x)?, 3.0);
    let (sweep, line) = (tape.grad(y, x), line!());
    assert_text(sweep, "tape: the tape is full: it may hold 3 nodes, at @", line, "grad(y");
    Ok(())
}

#[test]
fn a_failing_backend_stays_the_source() {
    let tape = Tape::<f64>::new();
    let x = tape.var(1.0);
    let (y, line) = (x.expand([2]), line!());
    let error = y.value().expect_err("a scalar does not expand");
    let cause = error.source().expect("a cause").downcast_ref::<ScalarError>();
    assert_eq!(cause, Some(&ScalarError::NotAScalar { shape: vec![2] }));
    let cause = "the f64 backend holds scalars only, not shape [2]";
    let text = format!("expand: the backend failed: {cause}, at @");
    assert_text(y.value(), &text, line, "expand(");
}

// ----------------------------------------------------------------------------------------- sweeps

#[test]
fn the_gradient_of_a_vector_names_vjp() {
    let tape = Tape::<Reference>::new();
    let x = tape.var(tensor(&[2, 3]));
    let text = "needs a one-element output, got [2, 3]; use vjp, at @";
    let (sweep, line) = (tape.grad(x, [x]), line!());
    assert_text(sweep, &format!("grad: {text}"), line, "grad(");
    let (sweep, line) = (tape.backward(x, [x]), line!());
    assert_text(sweep, &format!("backward: {text}"), line, "backward(");
    let (sweep, line) = (tape.gradients(x), line!());
    assert_text(sweep, &format!("gradients: {text}"), line, "gradients(");
}

#[test]
fn a_derivative_with_respect_to_a_constant() {
    let tape = Tape::<f64>::new();
    let x = tape.var(1.0);
    let (c, made) = (tape.constant(2.0), line!());
    let y = x * c;
    let made = place(made, "constant(");
    let (sweep, line) = (tape.grad(y, [x, c]), line!());
    let text = format!(
        "grad: no derivative with respect to an untracked handle (constant at {made}), at @"
    );
    assert_text(sweep, &text, line, "grad(y");
    let (d, made) = (x.detach(), line!());
    let made = place(made, "detach(");
    let (sweep, line) = (tape.jvp(y, [(d, x)]), line!());
    let text =
        format!("jvp: no derivative with respect to an untracked handle (detach at {made}), at @");
    assert_text(sweep, &text, line, "jvp(y");
}

#[test]
fn a_cotangent_of_another_shape() {
    let tape = Tape::<Reference>::new();
    let (x, ct) = (tape.var(tensor(&[2, 3])), tape.var(tensor(&[3])));
    let text = "expected a cotangent or tangent of shape [2, 3], got [3], at @";
    let (sweep, line) = (tape.vjp(x, ct, [x]), line!());
    assert_text(sweep, &format!("vjp: {text}"), line, "vjp(");
    let (sweep, line) = (tape.plain().vjp(x, tensor(&[3]), [x]), line!());
    assert_text(sweep, &format!("vjp: {text}"), line, "vjp(");
    let (sweep, line) = (tape.jvp(x, [(x, ct)]), line!());
    assert_text(sweep, &format!("jvp: {text}"), line, "jvp(");
}

#[test]
fn a_cotangent_of_another_dtype() {
    let tape = Tape::<Faulty>::new();
    let x = tape.var(Faulty::new(Fault::Nothing));
    let ct = Faulty::new(Fault::Single);
    let (sweep, line) = (tape.plain().vjp(x, ct, [x]), line!());
    let text = "vjp: dtypes f64 and f32 differ; convert one of them first, at @";
    assert_text(sweep, text, line, "vjp(");
}

// ------------------------------------------------------------------- operations of the user's own

/// The identity, with what is wrong about it.
#[derive(Clone, Copy, PartialEq)]
enum Wrong {
    /// The rules return a shape that nothing explains.
    RuleShape,
    /// The rules ask for an argument that is not there.
    NoSuchArgument,
    /// The rules use an operation that fails.
    Rule,
    /// The rules return a handle of another tape.
    Foreign,
    /// The value has another shape than the shape rule says.
    Value,
}

impl Op<Reference> for Wrong {
    fn name(&self) -> &'static str {
        "wrong"
    }

    fn shape(&self, x: &[Shape]) -> Result<Shape, ErrorKind> {
        match x {
            [x] => Ok(x.clone()),
            _ => Err(ErrorKind::Arity { expected: 1, got: x.len() }),
        }
    }

    fn forward(&self, x: &[&Reference]) -> Result<Reference, <Reference as TensorLike>::Error> {
        if *self == Wrong::Value { x[0].sum(&[0]) } else { Ok(x[0].clone()) }
    }

    fn vjp<'t>(
        &self,
        p: &Primal<'t, Reference>,
        ct: Var<'t, Reference>,
        x_bar: &mut Cotangents<'_, 't, Reference>,
    ) {
        x_bar.each(|_| self.partial(p, ct));
    }

    fn jvp<'t>(
        &self,
        p: &Primal<'t, Reference>,
        t: &Tangents<'_, 't, Reference>,
    ) -> Option<Var<'t, Reference>> {
        t.one()?.sum(|_, t| self.partial(p, t))
    }
}

impl Wrong {
    fn partial<'t>(self, p: &Primal<'t, Reference>, c: Var<'t, Reference>) -> Var<'t, Reference> {
        match self {
            Wrong::RuleShape => c.reshape([3, 1]),
            Wrong::NoSuchArgument => c * p.x(1),
            Wrong::Rule => c.reshape([7]),
            Wrong::Foreign => Tape::leak().var(Reference::from(1.0)),
            Wrong::Value => c,
        }
    }
}

/// A tape that lives forever.
trait Leak {
    fn leak() -> &'static Self;
}

impl Leak for Tape<Reference> {
    fn leak() -> &'static Self {
        Box::leak(Box::new(Tape::new()))
    }
}

#[test]
fn a_wrong_number_of_arguments() {
    let tape = Tape::<Reference>::new();
    let x = tape.var(tensor(&[3]));
    let (y, line) = (tape.apply(Wrong::Value, &[x, x]), line!());
    assert_text(y.value(), "wrong: takes 1 arguments, got 2, at @", line, "apply(");
    let (y, line) = (tape.apply(Wrong::Value, &[]), line!());
    assert_text(y.value(), "wrong: takes 1 arguments, got 0, at @", line, "apply(");
}

#[test]
fn a_value_that_contradicts_the_shape_rule() {
    let tape = Tape::<Reference>::new();
    let x = tape.var(tensor(&[3]));
    let (y, line) = (tape.apply(Wrong::Value, &[x]), line!());
    let text = "wrong: the backend returned shape [], but the shape rule says [3], at @";
    assert_text(y.value(), text, line, "apply(");
}

/// In each kind of sweep, an error in a rule names the line of the node that is pulled back.
fn assert_rule_error(wrong: Wrong, text: &str) {
    let tape = Tape::<Reference>::new();
    let x = tape.var(tensor(&[3]));
    let (y, line) = (tape.apply(wrong, &[x]), line!());
    let before = tape.trace().to_string();
    let z = y.sum();
    let ct = tape.constant(tensor(&[3]));
    let plain = format!("{text}, at @, while pulling back wrong");
    assert_text(tape.plain().vjp(y, tensor(&[3]), [x]), &plain, line, "apply(");
    assert_text(tape.backward(z, [x]), &plain, line, "apply(");
    // The plain sweeps left the tape as it was.
    assert_eq!(tape.len(), 4);
    assert!(tape.trace().to_string().starts_with(&before));
    assert_text(tape.vjp(y, ct, [x]), &plain, line, "apply(");
    assert_text(tape.grad(z, [x]), &plain, line, "apply(");
    assert_text(tape.gradients(z), &plain, line, "apply(");
    let forward = format!("{text}, at @, while pushing forward wrong");
    assert_text(tape.jvp(z, [(x, ct)]), &forward, line, "apply(");
    // And the tape goes on, with the lines of the caller.
    let (y, line) = (x + x, line!());
    assert!(y.value().is_ok());
    assert_eq!(tape.nodes().last().expect("a node").location.line(), line);
}

#[test]
fn a_rule_that_returns_another_shape() {
    assert_rule_error(
        Wrong::RuleShape,
        "wrong: the rule returned shape [3, 1] for a value of shape [3]",
    );
}

#[test]
fn a_rule_that_asks_for_too_much() {
    assert_rule_error(
        Wrong::NoSuchArgument,
        "primal: the rule asked for argument 1, but the number of arguments is 1",
    );
}

#[test]
fn a_rule_whose_operation_fails() {
    assert_rule_error(
        Wrong::Rule,
        "reshape: shapes [3] and [7] have different numbers of elements",
    );
}

#[test]
fn a_rule_that_returns_a_handle_of_another_tape() {
    assert_rule_error(Wrong::Foreign, "wrong: the handle belongs to another tape");
}

// --------------------------------------------------------------------------------- void handles

#[test]
fn the_first_error_comes_out_at_the_end() {
    let tape = Tape::<Reference>::new();
    let x = tape.var(tensor(&[2]));
    let (bad, line) = (x.reshape([3]), line!());
    let mut y = bad + tape.var(tensor(&[5]));
    y *= 2.0;
    let y = x * y.sum().exp().maximum(x.sum_axes(7)).named("lost");
    let text = "reshape: shapes [2] and [3] have different numbers of elements, at @";
    assert!(y.is_void() && !y.is_tracked());
    assert_text(y.value(), text, line, "reshape(");
    assert_text(y.shape(), text, line, "reshape(");
    assert_text(y.item(), text, line, "reshape(");
    assert_text(y.to_host(), text, line, "reshape(");
    assert_text(y.dtype(), text, line, "reshape(");
    assert_text(tape.grad(y, [x]), text, line, "reshape(");
    assert_text(tape.grad(x.sum(), [x, y]), text, line, "reshape(");
    assert_text(tape.backward(y, [x]), text, line, "reshape(");
    assert_text(tape.vjp(x, y, [x]), text, line, "reshape(");
    assert_text(tape.jvp(y, [(x, x)]), text, line, "reshape(");
    assert_text(tape.jvp(x, [(x, y)]), text, line, "reshape(");
    assert_text(tape.gradients(y), text, line, "reshape(");
    let text = text.replace('@', &place(line, "reshape("));
    assert_eq!(format!("{y}"), format!("void ({text})"));
    assert_eq!(format!("{y:?}"), format!("Var(void: {text})"));
}

#[test]
fn void_handles_leave_no_nodes() {
    let tape = Tape::<Reference>::new();
    let x = tape.var(tensor(&[2]));
    let void = x.reshape([3]);
    let _ = [void + x, x * void, void.sum(), void * 2.0, 2.0 / void, void.mean_axes(9), -void];
    let _ = [void.permute([7]), void.matmul(x), x.where_(void, x), void.full_like(1.0)];
    assert_eq!(tape.len(), 1);
}

// ---------------------------------------------------------------------------------------- places

#[rustfmt::skip] // One operator a line.
#[test]
fn every_operator_keeps_the_line() {
    let tape = Tape::<f64>::new();
    let (x, y) = (tape.var(1.0), tape.var(2.0));
    let mut z = x;
    let recorded_on = |line: u32| {
        let last = tape.nodes().last().expect("a node");
        assert_eq!((last.location.file(), last.location.line()), (file!(), line));
    };
    let _ = x + y; recorded_on(line!());
    let _ = x - y; recorded_on(line!());
    let _ = x * y; recorded_on(line!());
    let _ = x / y; recorded_on(line!());
    let _ = -x; recorded_on(line!());
    let _ = x + 1.5; recorded_on(line!());
    let _ = x - 1.5; recorded_on(line!());
    let _ = x * 1.5; recorded_on(line!());
    let _ = x / 1.5; recorded_on(line!());
    let _ = 1.5 + x; recorded_on(line!());
    let _ = 1.5 - x; recorded_on(line!());
    let _ = 1.5 * x; recorded_on(line!());
    let _ = 1.5 / x; recorded_on(line!());
    z += y; recorded_on(line!());
    z -= y; recorded_on(line!());
    z *= y; recorded_on(line!());
    z /= y; recorded_on(line!());
    z += 1.5; recorded_on(line!());
    z -= 1.5; recorded_on(line!());
    z *= 1.5; recorded_on(line!());
    z /= 1.5; recorded_on(line!());
    let _ = z.maximum(1.5); recorded_on(line!());
    let _ = z.gt(1.5).where_(0.5, z); recorded_on(line!());
    let _ = tape.mul(x, y); recorded_on(line!());
    let _ = tape.div(x, 1.5); recorded_on(line!());
    let _ = tape.named_var(1.5, "x"); recorded_on(line!());
    let _ = tape.constant(1.5); recorded_on(line!());
    let _ = x.zeros_like(); recorded_on(line!());
}

#[test]
fn what_rules_record_has_the_line_of_the_operation() -> Tested {
    for case in catalogue::<Reference>() {
        let tape = Tape::<Reference>::new();
        let tensor = |(shape, data): &(Shape, Vec<f64>)| {
            let tensor = Reference::new(shape, data.clone()).expect("data that fill the shape");
            tape.var(tensor)
        };
        let x: Vec<_> = case.inputs.iter().map(tensor).collect();
        let y = (case.apply)(&x).sin();
        let ct = y.ones_like();
        let gradients = tape.vjp(y, ct, &x);
        let t: Vec<_> = x.iter().map(|&x| (x, x)).collect();
        tape.jvp(y, t.iter().copied());
        for gradient in gradients {
            tape.jvp(gradient, t.iter().copied());
        }
        let stacks: Vec<_> = x.iter().map(|&x| (x, tape.stack(&[x, x], 0))).collect();
        tape.jvp_batch(y, stacks);
        for node in tape.nodes() {
            let file = node.location.file();
            let is_users = file.ends_with("catalogue.rs") || file == file!();
            assert!(is_users, "{case}: {} at {}", node.op, node.location);
        }
    }
    Ok(())
}

/// A function with a rule of its own, for the line that an error in it names.
struct Half;

impl Elementwise for Half {
    const NAME: &'static str = "half";

    fn forward<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error> {
        x[0].scale(0.5)
    }

    fn partial<'t, T: TensorLike>(&self, _: usize, _: &Primal<'t, T>, c: Var<'t, T>) -> Var<'t, T> {
        c * 0.5
    }
}

#[test]
fn nodes_of_an_operation_of_the_users_own_have_the_line_of_apply() -> Tested {
    let tape = Tape::<f64>::new();
    let x = tape.var(3.0);
    let (y, line) = (tape.apply(ByPartial::new(Half), &[x]), line!());
    let dx = tape.grad(y, x);
    let node = tape.nodes().find(|node| node.id == dx.id()).expect("a node");
    assert_eq!((node.op, node.location.line()), ("scale", line));
    Ok(())
}

// ------------------------------------------------------------------------------------- the type

#[test]
fn an_error_is_shared_between_threads_and_cheap_to_clone() {
    fn is_error<E: std::error::Error + Send + Sync + Clone + 'static>() {}
    is_error::<Error>();
    assert_eq!(size_of::<Error>(), size_of::<usize>());
    let tape = Tape::<Reference>::new();
    let error = tape.var(tensor(&[2])).reshape([3]).value().expect_err("a wrong size");
    let text = error.to_string();
    let copy = error.clone();
    let moved = std::thread::spawn(move || copy.to_string()).join().expect("no panic");
    assert_eq!(moved, text);
    assert_eq!(format!("{error:?}"), text);
    assert!(matches!(error.kind(), ErrorKind::ShapeMismatch { .. }));
    assert_eq!(error.op(), "reshape");
}
