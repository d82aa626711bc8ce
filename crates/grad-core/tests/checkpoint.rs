//! `checkpoint` changes no derivative, runs its function as often as it must, and says what is
//! wrong with it.

#![allow(clippy::unwrap_used)] // A failing unwrap fails the test.

use std::cell::Cell;
use std::rc::Rc;

use expect_test::expect;
use grad_conformance::{Random, Reference, catalogue};
use grad_core::inspect::NodeKind;
use grad_core::transform::{Params, WithTape, checkpoint};
use grad_core::{Error, Tape, TensorLike, Var};

type Tested = Result<(), Error>;
type Handle<'t> = Var<'t, Reference>;

// ------------------------------------------------------------------------------------ derivatives

/// A closure kept for later, with the lifetimes of a function.
fn function<F: for<'t> Fn(&[Handle<'t>]) -> Handle<'t>>(f: F) -> F {
    f
}

/// D_{u_k} ⋯ D_{u_1} of a function with one output, for k = 1, 2, 3: by nested reverse sweeps and by
/// nested forward sweeps.
fn derivatives(
    f: impl for<'t> Fn(&[Handle<'t>]) -> Handle<'t>,
    x: &[Reference],
    u: &[Vec<Reference>],
) -> Result<Vec<[f64; 2]>, Error> {
    let tape = Tape::new();
    let x: Vec<_> = x.iter().map(|x| tape.var(x.clone())).collect();
    let (mut reverse, mut forward) = (f(&x), f(&x));
    let mut found = vec![[reverse.item()?, forward.item()?]];
    for u in u {
        let u: Vec<_> = u.iter().map(|u| tape.constant(u.clone())).collect();
        let gradients = tape.grad(reverse, &x);
        let products = gradients.iter().zip(&u).map(|(&g, &u)| (g * u).sum());
        reverse = products.fold(tape.constant(0.0), |sum, product| sum + product);
        let pairs: Vec<_> = x.iter().copied().zip(u).collect();
        forward = tape.jvp(forward, pairs);
        found.push([reverse.item()?, forward.item()?]);
    }
    Ok(found)
}

/// The bits of a plain gradient.
fn gradient(
    f: impl for<'t> Fn(&[Handle<'t>]) -> Handle<'t>,
    x: &[Reference],
) -> Result<Vec<u64>, Error> {
    let tape = Tape::new();
    let x: Vec<_> = x.iter().map(|x| tape.var(x.clone())).collect();
    let gradients = tape.backward(f(&x), &x)?;
    Ok(gradients.iter().flat_map(|g| g.data()).map(|x| x.to_bits()).collect())
}

/// Fails unless both functions have the same derivatives at `x` to order three, in both modes, but
/// for rounding.
fn assert_same_derivatives(
    with: impl for<'t> Fn(&[Handle<'t>]) -> Handle<'t>,
    without: impl for<'t> Fn(&[Handle<'t>]) -> Handle<'t>,
    x: &[Reference],
    what: &str,
) -> Tested {
    let mut random = Random::new(5);
    let mut direction = |x: &Reference| {
        let u = random.signed_units(x.data().len());
        Reference::new(x.shape(), u).expect("as many as there are")
    };
    let u: Vec<Vec<_>> = (0..3).map(|_| x.iter().map(&mut direction).collect()).collect();
    let with = derivatives(with, x, &u)?;
    let without = derivatives(without, x, &u)?;
    for (order, (with, without)) in with.iter().zip(&without).enumerate() {
        for (&with, &without) in with.iter().zip(without) {
            let allowed = 1e-11 * f64::max(without.abs(), 1.0);
            let same = f64::abs(with - without) <= allowed || with.to_bits() == without.to_bits();
            assert!(same, "{what}, order {order}: {with} and without {without}");
        }
    }
    Ok(())
}

#[test]
fn every_operation_has_the_derivatives_that_it_has_without() -> Tested {
    let mut n_equal_to_the_bit = 0;
    for case in catalogue::<Reference>() {
        let apply = case.apply;
        let with = function(move |x| checkpoint(move |_, x| apply(&x), x.to_vec()).sin().sum());
        let without = function(move |x| apply(x).sin().sum());
        let input = |(shape, data): &(grad_core::Shape, Vec<f64>)| {
            Reference::new(shape, data.clone()).expect("the catalogue has an element a place")
        };
        let x: Vec<_> = case.inputs.iter().map(input).collect();
        assert_same_derivatives(with, without, &x, &case.to_string())?;
        if uses_each_input_once(apply, &x) {
            assert_eq!(gradient(with, &x)?, gradient(without, &x)?, "{case}");
            n_equal_to_the_bit += 1;
        }
    }
    assert!(n_equal_to_the_bit > 300, "{n_equal_to_the_bit}");
    Ok(())
}

fn uses_each_input_once(f: impl for<'t> Fn(&[Handle<'t>]) -> Handle<'t>, x: &[Reference]) -> bool {
    let tape = Tape::new();
    let x: Vec<_> = x.iter().map(|x| tape.var(x.clone())).collect();
    f(&x);
    let inputs: Vec<_> = tape.nodes().filter(|node| node.tracked).flat_map(|n| n.inputs).collect();
    x.iter().all(|x| inputs.iter().filter(|&&input| input == x.id()).count() <= 1)
}

/// Some operations, each on two of the values so far, by their places.
type Segment = Vec<[usize; 3]>;

/// The last value that a segment computes.
fn run<'t>(segment: &Segment, x: &[Handle<'t>]) -> Handle<'t> {
    let mut x = x.to_vec();
    for &[op, a, b] in segment {
        let (a, b) = (x[a % x.len()], x[b % x.len()]);
        x.push(match op {
            0 => a + b,
            1 => a * b,
            2 => a - b,
            3 => a.sin(),
            4 => (a * b).tanh(),
            5 => a / (b.square() + 1.5),
            6 => a.sigmoid() * b,
            _ => a.maximum(b),
        });
    }
    x[x.len() - 1]
}

#[test]
fn random_programs_have_the_derivatives_that_they_have_without() -> Tested {
    for seed in 0..200 {
        let mut random = Random::new(seed);
        let mut step = || [random.below(8), random.below(100), random.below(100)];
        let program: Rc<Vec<Segment>> =
            Rc::new((0..4).map(|_| (0..5).map(|_| step()).collect()).collect());
        let mut input = |shape: &[usize]| {
            let data = random.signed_units(shape.iter().product());
            Reference::new(shape, data).expect("as many as there are")
        };
        let x = [input(&[2, 2]), input(&[2]), input(&[])];
        let segments = Rc::clone(&program);
        let with = function(move |x| {
            let mut x = x.to_vec();
            for at in 0..segments.len() {
                let (segment, inputs) = (segments[at].clone(), x.clone());
                x.push(checkpoint(move |_, x| run(&segment, &x), inputs));
            }
            x[x.len() - 1].sum()
        });
        let without = function(move |x| {
            let mut x = x.to_vec();
            program.iter().for_each(|segment| x.push(run(segment, &x)));
            x[x.len() - 1].sum()
        });
        assert_same_derivatives(&with, &without, &x, &format!("seed {seed}"))?;
    }
    Ok(())
}

/// `n` layers by halves, each half a checkpoint.
fn halves<'t>(x: Var<'t, f64>, w: Var<'t, f64>, n: usize) -> Var<'t, f64> {
    match n {
        0 => x,
        1 => (x * w).sin(),
        _ => {
            let x = checkpoint(move |[x, w]| halves(x, w, n / 2), [x, w]);
            checkpoint(move |[x, w]| halves(x, w, n - n / 2), [x, w])
        }
    }
}

#[test]
fn checkpoints_nest() -> Tested {
    const N: usize = 300;
    let tape = Tape::new();
    let (x, w) = (tape.var(0.8), tape.var(1.1));
    let with = halves(x, w, N);
    assert_eq!(tape.len(), 4);
    let without = (0..N).fold(x, |x, _| (x * w).sin());
    assert_eq!(with.item()?, without.item()?);
    let ([dx, dw], [dx_0, dw_0]) = (tape.backward(with, [x, w])?, tape.backward(without, [x, w])?);
    assert_eq!(dx, dx_0); // There is one path to x, and the products on it have one order.
    assert!((dw - dw_0).abs() <= 1e-14 * dw_0.abs(), "{dw} {dw_0}");

    let slope = |y| tape.grad(y, w);
    let (ddw, ddw_0) = (slope(slope(with)).item()?, slope(slope(without)).item()?);
    assert!((ddw - ddw_0).abs() <= 1e-12 * ddw_0.abs(), "{ddw} {ddw_0}");
    let t = tape.constant(1.0);
    let (t_w, t_w_0) = (tape.jvp(with, [(w, t)]).item()?, tape.jvp(without, [(w, t)]).item()?);
    assert!((t_w - t_w_0).abs() <= 1e-14 * t_w_0.abs(), "{t_w} {t_w_0}");
    Ok(())
}

#[test]
fn functions_may_differentiate() -> Tested {
    // x · d/dx x³ = 3x³, with derivatives 9x², 18x, 18.
    fn f<'s>(x: Var<'s, f64>) -> Var<'s, f64> {
        x * x.tape().grad(x.powi(3), x)
    }
    let tape = Tape::new();
    let x = tape.var(2.0);
    let y = checkpoint(f, x);
    assert_eq!((y.item()?, tape.backward(y, x)?), (24.0, 36.0));
    let dy = tape.grad(y, x);
    let ddy = tape.grad(dy, x);
    assert_eq!((ddy.item()?, tape.backward(ddy, x)?), (36.0, 18.0));
    assert_eq!(tape.jvp(y, [(x, tape.constant(1.0))]).item()?, 36.0);
    Ok(())
}

struct Layer<X> {
    weight: X,
    bias: X,
}

impl<X> Params for Layer<X> {
    type Leaf = X;
    type With<Y> = Layer<Y>;
    type Convention = WithTape;

    fn map<Y>(&self, f: &mut impl FnMut(&X) -> Y) -> Layer<Y> {
        Layer { weight: f(&self.weight), bias: f(&self.bias) }
    }
}

#[test]
fn inputs_may_be_structures() -> Tested {
    let tape = Tape::<f64>::new();
    let (x, weight, bias) = (tape.var(3.0), tape.var(2.0), tape.var(1.0));
    let y = checkpoint(
        |tape, (layer, x)| layer.weight * x + layer.bias + tape.constant(0.5),
        (Layer { weight, bias }, x),
    );
    assert_eq!(y.item()?, 7.5);
    assert_eq!(tape.backward(y, [x, weight, bias])?, [2.0, 3.0, 1.0]);
    let y = checkpoint(|_, x| x[0] * x[1], &[x, weight][..]);
    assert_eq!(tape.backward(y, x)?, 2.0);
    let y = checkpoint(|_, x| x.get("a").copied().map_or(x["b"], |a| a * x["b"]), {
        std::collections::BTreeMap::from([("a", x), ("b", bias)])
    });
    assert_eq!(tape.backward(y, bias)?, 3.0);
    Ok(())
}

// ----------------------------------------------------------------------------------- running again

/// x · sin y · z, counting.
fn counted<'t>(x: [Var<'t, f64>; 3], runs: &Rc<Cell<usize>>) -> Var<'t, f64> {
    let runs = Rc::clone(runs);
    checkpoint(
        move |[x, y, z]| {
            runs.set(runs.get() + 1);
            x * y.sin() * z
        },
        x,
    )
}

#[test]
fn a_sweep_runs_the_function_once_for_all_its_inputs() -> Tested {
    let tape = Tape::new();
    let x = [tape.var(2.0), tape.var(0.5), tape.var(3.0)];
    let runs = Rc::default();
    let y = counted(x, &runs);
    assert_eq!(runs.take(), 1);
    tape.backward(y, x)?;
    assert_eq!(runs.take(), 1);
    tape.backward(y, x[1])?;
    assert_eq!(runs.take(), 1);
    tape.grad(y, x);
    assert_eq!(runs.take(), 1);
    tape.jvp(y, x.map(|x| (x, tape.constant(1.0))));
    assert_eq!(runs.take(), 1);
    Ok(())
}

#[test]
fn where_no_derivative_passes_nothing_runs_again() -> Tested {
    let tape = Tape::new();
    let (x, other) = ([tape.var(2.0), tape.var(0.5), tape.var(3.0)], tape.var(1.0));
    let runs = Rc::default();
    let y = counted(x, &runs);
    let constant = counted([tape.constant(1.0); 3], &runs);
    assert!(!constant.is_tracked());
    assert_eq!(runs.take(), 2);
    let loss = y * other + constant * other + y.detach();
    tape.backward(loss, other)?;
    tape.grad(loss, other);
    tape.jvp(loss, [(other, tape.constant(1.0))]);
    assert_eq!(runs.take(), 0);
    Ok(())
}

#[test]
fn a_plain_sweep_leaves_nothing_behind() -> Tested {
    let tape = Tape::<f64>::new();
    let x = tape.var(0.5);
    let y = checkpoint(|x| (0..10).fold(x, |x, _| x.sin()), x);
    assert_eq!(tape.len(), 2);
    tape.backward(y, x)?;
    assert_eq!(tape.len(), 2);
    Ok(())
}

#[test]
fn a_recorded_sweep_shows_what_it_computed_again() -> Tested {
    let tape = Tape::<f64>::new();
    let x = tape.named_var(2.0, "x");
    let w = tape.named_var(3.0, "w");
    let (y, line) = (checkpoint(|[x, w]| x * w * x, [x, w]), line!());
    tape.grad(y.named("y"), x);
    expect![[r#"
        x = 2.0000
        w = 3.0000
        y = checkpoint(x, w)
        dy ---------------
        v1 = x.identity()
        v2 = w.identity()
        v3 = v1 * v2
        v4 = v3 * v1
        v5 = v0 * v1
        v6 = v0 * v3
        v7 = v5 * v2
        v8 = v6 + v7
        dy_dy = v0
        dy_dx = v8
        ------------------
    "#]]
    .assert_eq(&tape.trace().to_string());
    // All of it is of the line of the function, which here is that of the call.
    let mut recorded = tape.nodes().filter(|node| node.kind == NodeKind::Op);
    assert!(recorded.all(|node| node.location.line() == line));
    Ok(())
}

#[test]
fn a_node_can_be_applied_to_inputs_of_another_shape() -> Tested {
    let tape = Tape::<Reference>::new();
    let y = checkpoint(|x| x.sin().sum_axes(0), tape.var(vec![1.0, 2.0]));
    let node = tape.nodes().last().expect("the checkpoint");
    assert_eq!(node.var.id(), y.id());

    let other = Tape::new();
    let matrix = Reference::new([2, 3], vec![0.5; 6]).expect("six elements");
    let x = other.var(matrix);
    let z = node.apply(&other, &[x]).expect("an operation");
    assert_eq!(z.shape()?.to_vec(), [3]);
    assert_eq!(other.backward(z.sum(), x)?.data(), [0.5f64.cos(); 6]);
    let error = node.apply(&other, &[x, x]).expect("an operation").value().unwrap_err();
    assert!(error.to_string().starts_with("checkpoint: takes 1 arguments, got 2, at "), "{error}");
    Ok(())
}

// ----------------------------------------------------------------------------------------- errors

/// `file:line:column` of code in this file.
fn place(line: u32, code: &str) -> String {
    let text = include_str!("checkpoint.rs").lines().nth(line as usize - 1).expect("a line");
    let column = text.find(code).expect("the code on its line") + 1;
    format!("{}:{line}:{column}", file!())
}

fn vector(n: usize) -> Reference {
    Reference::from(vec![0.5; n])
}

#[test]
fn an_error_in_the_function_names_its_line() {
    let tape = Tape::<Reference>::new();
    let (x, y) = (tape.var(vector(2)), tape.var(vector(3)));
    let line = line!() + 3;
    let z = checkpoint(
        |[x, y]| {
            let sum = x + y;
            sum.sin()
        },
        [x, y],
    );
    let text = format!("add: shapes [2] and [3] do not broadcast, at {}", place(line, "x + y"));
    assert_eq!(z.value().unwrap_err().to_string(), text);
}

/// A function that is fine when it runs first, and then is not.
fn fickle<'t>(
    x: Handle<'t>,
    then: impl for<'s> Fn(Handle<'s>) -> Handle<'s> + 'static,
) -> Handle<'t> {
    let ran = Cell::new(false);
    checkpoint(move |x| if ran.replace(true) { then(x) } else { x.sin() }, x)
}

#[test]
fn an_error_when_the_function_runs_again_names_its_line() -> Tested {
    let tape = Tape::new();
    let x = tape.var(vector(2));
    let (y, line) = (fickle(x, |x| x.expand([3])), line!());
    let expected = format!(
        "expand: shapes [2] and [3] are incompatible: the first does not broadcast to the \
         second, at {}, while pulling back checkpoint",
        place(line, "expand(")
    );
    let y = y.sum();
    assert_eq!(tape.backward(y, x).unwrap_err().to_string(), expected);
    assert_eq!(tape.grad(y, x).value().unwrap_err().to_string(), expected);
    let t = tape.constant(x.value()?);
    let error = tape.jvp(y, [(x, t)]).value().unwrap_err();
    assert_eq!(error.to_string(), expected.replace("pulling back", "pushing forward"));
    Ok(())
}

#[test]
fn a_function_that_changes_its_shape_is_an_error() {
    let tape = Tape::new();
    let x = tape.var(vector(2));
    let y = fickle(x, |x| x.sum()).sum();
    let at = format!("at {}", file!());
    let text = "checkpoint: the function returned shape [2] of f64 first, and shape [] of f64 when it \
                ran again; its result must depend on its inputs only, at ";
    for error in [tape.backward(y, x).unwrap_err(), tape.grad(y, x).value().unwrap_err()] {
        let error = error.to_string();
        assert!(error.starts_with(text) && error.contains(&at), "{error}");
        assert!(error.ends_with(", while pulling back checkpoint"), "{error}");
    }
}

/// A dropout by a mask that is drawn inside, and the line of its checkpoint.
fn dropout(x: Handle<'_>) -> (Handle<'_>, u32) {
    let draws = Cell::new(0);
    let masked = function_of_one(move |x| {
        let random = Random::new(draws.replace(draws.get() + 1)).signed_units(8);
        let mask: Vec<f64> = random.iter().map(|u| f64::from(u8::from(*u > 0.0))).collect();
        x * x.new_constant([8], &mask)
    });
    (checkpoint(masked, x), line!())
}

/// A closure kept for later, with the lifetimes of a function of one handle.
fn function_of_one<F: for<'t> Fn(Handle<'t>) -> Handle<'t>>(f: F) -> F {
    f
}

#[test]
fn a_function_that_draws_random_numbers_is_an_error_in_every_sweep() -> Tested {
    let tape = Tape::new();
    tape.check_checkpoints();
    let x = tape.var(vector(8));
    let (y, line) = dropout(x);
    let at = format!("at {}", place(line, "checkpoint("));
    let t = tape.constant(vector(8));
    for error in [
        tape.backward(y.sum(), x).unwrap_err(),
        tape.grad(y.sum(), x).value().unwrap_err(),
        tape.plain().jvp(y, [(x, vector(8))]).unwrap_err(),
        tape.jvp(y, [(x, t)]).value().unwrap_err(),
    ] {
        let text = error.to_string();
        let start = "checkpoint: the function returned another value when it ran again: element ";
        assert!(text.starts_with(start) && text.contains(&at), "{text}, not {at}");
        assert!(text.contains("its result must depend on its inputs only"), "{text}");
    }
    // Trusted, it gets the gradient of another mask.
    tape.trust_checkpoints();
    tape.backward(y.sum(), x)?;
    Ok(())
}

#[test]
fn debug_builds_check_from_the_beginning() {
    let tape = Tape::new();
    let x = tape.var(vector(8));
    let y = dropout(x).0.sum();
    assert_eq!(tape.backward(y, x).is_err(), cfg!(debug_assertions));
}

#[test]
fn a_checkpoint_in_a_checkpoint_is_checked_like_the_outer_one() -> Tested {
    // The inner function is fine in the first two runs, in which the outer one computes its value.
    for (checked, plain) in [(true, true), (true, false), (false, true), (false, false)] {
        let tape = Tape::<Reference>::new();
        if checked {
            tape.check_checkpoints()
        } else {
            tape.trust_checkpoints()
        }
        let (x, runs) = (tape.var(vector(2)), Rc::new(Cell::new(0)));
        let y = checkpoint(
            move |x| {
                let runs = Rc::clone(&runs);
                checkpoint(
                    move |x| {
                        let run = runs.replace(runs.get() + 1);
                        if run < 2 { x.sin() } else { x.cos() }
                    },
                    x,
                )
            },
            x,
        );
        let failed = match plain {
            true => tape.backward(y.sum(), x).is_err(),
            false => tape.grad(y.sum(), x).value().is_err(),
        };
        assert_eq!(failed, checked);
    }
    Ok(())
}

#[test]
fn what_is_nan_again_is_the_same() -> Tested {
    let tape = Tape::<f64>::new();
    tape.check_checkpoints();
    let x = tape.var(-1.0);
    assert!(tape.backward(checkpoint(|x| x.sqrt() + x.ln(), x), x)?.is_nan());
    Ok(())
}

#[test]
fn a_handle_of_another_tape_is_an_error() -> Tested {
    let elsewhere: &'static Tape<Reference> = Box::leak(Box::default());
    let constant = elsewhere.constant(1.0);
    let tape = Tape::new();
    let x = tape.var(vector(2));
    let (y, line) = (checkpoint(move |_| constant, x), line!());
    let text = "checkpoint: the handle belongs to another tape, at ";
    let expected = format!("{text}{}", place(line, "checkpoint("));
    assert_eq!(y.value().unwrap_err().to_string(), expected);

    let error = tape.backward(fickle(x, move |_| constant).sum(), x).unwrap_err();
    assert!(error.to_string().starts_with(text), "{error}");
    assert!(error.to_string().ends_with(", while pulling back checkpoint"), "{error}");
    let mixed = checkpoint(|[x, y]| x * y, [x, constant]);
    assert!(mixed.value().unwrap_err().to_string().starts_with(text));
    Ok(())
}

#[test]
fn what_is_void_stays_void() {
    let tape = Tape::<Reference>::new();
    let void = tape.var(vector(2)) + tape.var(vector(3));
    let y = checkpoint(|[x, y]| x + y, [tape.var(vector(1)), void]);
    assert!(y.value().unwrap_err().to_string().starts_with("add: shapes [2] and [3]"));
}

#[test]
fn no_inputs_are_an_error() {
    let none: Vec<Var<'_, f64>> = Vec::new();
    let (y, line) = (checkpoint(|tape, _| tape.constant(1.0), none), line!());
    let text = "checkpoint: needs at least one handle as input, at ";
    let expected = format!("{text}{}", place(line, "checkpoint("));
    assert_eq!(y.value().unwrap_err().to_string(), expected);
}

/// A structure whose `map` goes on visiting more leaves.
struct Growing<X>(Vec<X>, Rc<Cell<usize>>);

impl<X> Params for Growing<X> {
    type Leaf = X;
    type With<Y> = Growing<Y>;
    type Convention = WithTape;

    fn map<Y>(&self, f: &mut impl FnMut(&X) -> Y) -> Growing<Y> {
        self.1.set(self.1.get() + 1);
        let leaves = self.0.iter().cycle().take(self.1.get());
        Growing(leaves.map(f).collect(), Rc::clone(&self.1))
    }
}

#[test]
fn an_inconsistent_structure_is_an_error() {
    let tape = Tape::<f64>::new();
    let inputs = Growing(vec![tape.var(2.0)], Rc::default());
    let y = checkpoint(|_, x| x.0.iter().fold(x.0[0], |product, &x| product * x), inputs);
    let error = y.value().unwrap_err().to_string();
    assert!(error.starts_with("params: `Params::map` visited more leaves"), "{error}");
}

#[test]
fn a_full_tape_is_an_error_in_the_sweep() -> Tested {
    let tape = Tape::<f64>::with_limit(4);
    let x = tape.var(2.0);
    let y = checkpoint(|x| x * x * x, x);
    assert_eq!(tape.backward(y, x)?, 12.0);
    let text = "tape: the tape is full: it may hold 4 nodes, at ";
    assert!(tape.grad(y, x).value().unwrap_err().to_string().starts_with(text));
    Ok(())
}
