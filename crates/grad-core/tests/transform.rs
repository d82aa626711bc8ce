//! What the transforms answer on their two faces, how they nest, and what they refuse.

use std::cell::Cell;
use std::collections::BTreeMap;

use grad_conformance::Reference;
use grad_core::transform::{self, Params, WithTape};
use grad_core::{Error, Shape, Tape, Var};

type Tested = Result<(), Box<dyn std::error::Error>>;

fn tensor(shape: impl Into<Shape>, data: &[f64]) -> Reference {
    Reference::new(shape, data.to_vec()).expect("the data fill the shape")
}

fn vector(data: &[f64]) -> Reference {
    tensor([data.len()], data)
}

#[track_caller]
fn assert_close(found: &Reference, shape: impl Into<Shape>, expected: &[f64]) {
    let shape: Shape = shape.into();
    assert_eq!(grad_core::TensorLike::shape(found), &shape[..]);
    let close = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-12 * b.abs().max(1.0);
    assert!(found.data().iter().zip(expected).all(close), "{found:?} is not {expected:?}");
}

/// Σ over neighbours of 100 (xₙ₊₁ − xₙ²)² + (1 − xₙ)².
fn rosenbrock(x: Var<'_, Reference>) -> Var<'_, Reference> {
    let n = x.shape().map_or(0, |shape| shape[0]);
    let (head, tail) = (x.narrow(0, 0, n - 1), x.narrow(0, 1, n - 1));
    (100.0 * (tail - head.square()).square() + (1.0 - head).square()).sum()
}

/// A function with a shape of its own: [2, 3] and [3] to [3, 2].
fn mixing<'t>(a: Var<'t, Reference>, b: Var<'t, Reference>) -> Var<'t, Reference> {
    (a * b.sin()).transpose(0, 1) * a.sum() + b.exp().reshape([3, 1])
}

fn mixing_point() -> [Reference; 2] {
    [tensor([2, 3], &[0.3, -0.7, 1.1, 0.2, 0.9, -1.3]), vector(&[0.5, -0.4, 1.2])]
}

#[test]
fn the_hessian_of_rosenbrock_is_the_one_by_hand() -> Tested {
    // With r = x₂ − x₁²: d²/dx₁² = 2 − 400 r + 800 x₁², d²/dx₁dx₂ = −400 x₁, d²/dx₂² = 200.
    let found = transform::hessian(rosenbrock, vector(&[-1.2, 1.0]))?;
    assert_close(&found, [2, 2], &[1330.0, 480.0, 480.0, 200.0]);
    Ok(())
}

#[test]
fn jacobians_by_rows_and_by_columns_are_equal() -> Tested {
    let rows = transform::jacrev(|[a, b]| mixing(a, b), mixing_point())?;
    let columns = transform::jacfwd(|[a, b]| mixing(a, b), mixing_point())?;
    for (row, column, shape) in [
        (&rows[0], &columns[0], Shape::from([3, 2, 2, 3])),
        (&rows[1], &columns[1], Shape::from([3, 2, 3])),
    ] {
        assert_close(row, shape, column.data());
    }
    Ok(())
}

#[test]
fn products_are_those_of_the_jacobian() -> Tested {
    let [a, _] = mixing_point();
    let jacobian = transform::jacrev(f_of_a, a.clone())?;
    let t = tensor([2, 3], &[1.0, -2.0, 0.5, 3.0, 0.0, 1.5]);
    let ct = tensor([3, 2], &[0.1, 0.2, -0.3, 0.4, 0.5, -0.6]);
    let (_, y_dot) = transform::jvp(f_of_a, a.clone(), t.clone())?;
    let (_, linear) = transform::linearize(f_of_a, a.clone())?;
    let (_, pullback) = transform::vjp(f_of_a, a)?;
    let j = jacobian.data();
    let row = |i: usize| (0..6).map(|k| j[6 * i + k] * t.data()[k]).sum::<f64>();
    let column = |k: usize| (0..6).map(|i| j[6 * i + k] * ct.data()[i]).sum::<f64>();
    let expected: Vec<f64> = (0..6).map(row).collect();
    let pulled: Vec<f64> = (0..6).map(column).collect();
    assert_close(&y_dot, [3, 2], &expected);
    for _ in 0..2 {
        assert_close(&linear.call(t.clone())?, [3, 2], &expected);
        assert_close(&pullback.call(ct.clone())?, [2, 3], &pulled);
    }
    Ok(())
}

fn f_of_a(a: Var<'_, Reference>) -> Var<'_, Reference> {
    mixing(a, a.new_constant([3], &[0.5, -0.4, 1.2]))
}

#[test]
fn blocks_of_a_hessian_stand_at_their_leaves() -> Tested {
    let f = |a: &Reference, b: &Reference| {
        transform::hessian(|[a, b]| mixing(a, b).square().sum(), [a.clone(), b.clone()])
    };
    let [a, b] = mixing_point();
    let [[aa, ab], [ba, bb]] = f(&a, &b)?;
    let gradient = |a: &Reference, b: &Reference| {
        transform::grad(|[a, b]| mixing(a, b).square().sum(), [a.clone(), b.clone()])
    };
    // Central differences of the gradient, column by column; the error is of order h² = 1e-8.
    let h = 1e-4;
    for column in 0..9 {
        let moved = |by: f64| {
            let (mut da, mut db) = (a.data().to_vec(), b.data().to_vec());
            if column < 6 {
                da[column] += by
            } else {
                db[column - 6] += by
            }
            gradient(&tensor([2, 3], &da), &vector(&db))
        };
        let ([plus_a, plus_b], [minus_a, minus_b]) = (moved(h)?, moved(-h)?);
        let (of_a, of_b, n, k) =
            if column < 6 { (&aa, &ba, 6, column) } else { (&ab, &bb, 3, column - 6) };
        for (block, plus, minus) in [(of_a, plus_a, minus_a), (of_b, plus_b, minus_b)] {
            for (i, (plus, minus)) in plus.data().iter().zip(minus.data()).enumerate() {
                let slope = (plus - minus) / (2.0 * h);
                assert!((block.data()[i * n + k] - slope).abs() < 1e-5, "{i}, {column}");
            }
        }
    }
    Ok(())
}

#[test]
fn products_with_the_hessian_are_equal_in_three_ways() -> Tested {
    let [x, v] = [vector(&[-1.2, 1.0, 0.3]), vector(&[0.5, -1.0, 2.0])];
    let hessian = transform::hessian(rosenbrock, x.clone())?;
    let h = hessian.data();
    let expected: Vec<f64> =
        (0..3).map(|i| (0..3).map(|j| h[3 * i + j] * v.data()[j]).sum()).collect();
    assert_close(&transform::hvp(rosenbrock, x.clone(), v.clone())?, [3], &expected);
    assert_close(&transform::vhp(rosenbrock, x.clone(), v.clone())?, [3], &expected);
    let (_, product) = transform::linearize(|x| transform::grad(rosenbrock, x), x)?;
    assert_close(&product.call(v)?, [3], &expected);
    Ok(())
}

#[test]
fn the_diagonal_of_a_diagonal_hessian_comes_from_one_product() -> Tested {
    // (x⁴)'' = 12 x².
    let found = transform::hessian_diagonal(|x| x.powi(4).sum(), vector(&[1.0, -2.0, 0.5]))?;
    assert_close(&found, [3], &[12.0, 48.0, 3.0]);
    Ok(())
}

#[test]
fn the_trace_of_a_hessian_has_a_gradient() -> Tested {
    // For Σ xᵢ⁴ + x₀² x₁ the trace is 12 Σ xᵢ² + 2 x₁, and its gradient 24 xᵢ + [0, 2].
    let tape = Tape::<Reference>::new();
    let x = tape.var(vector(&[0.5, -1.5]));
    let laplacian = trace_of_hessian(x);
    assert_close(&tape.backward(laplacian, x)?, [2], &[12.0, -34.0]);
    // The same on the plain face, the Hessian inside the function.
    assert_close(&transform::grad(trace_of_hessian, vector(&[0.5, -1.5]))?, [2], &[12.0, -34.0]);
    Ok(())
}

fn trace_of_hessian(x: Var<'_, Reference>) -> Var<'_, Reference> {
    transform::hessian(f_quartic, x).diagonal().sum()
}

fn f_quartic(x: Var<'_, Reference>) -> Var<'_, Reference> {
    let (first, second) = (x.narrow(0, 0, 1), x.narrow(0, 1, 1));
    x.powi(4).sum() + (first.square() * second).sum()
}

#[test]
fn newton_steps_in_a_loop_are_differentiated() -> Tested {
    // The minimum over x of Σ cosh(x − a) + x²/2 satisfies sinh(x − a) + x = 0, so that
    // dx/da = cosh(x − a) / (cosh(x − a) + 1).
    let tape = Tape::<Reference>::new();
    let a = tape.var(vector(&[0.8, -0.3]));
    let mut x = tape.constant(vector(&[0.0, 0.0]));
    for _ in 0..7 {
        let gradient = transform::grad(|x| well(x, a), x);
        let hessian = transform::hessian(|x| well(x, a), x);
        x -= hessian.solve(gradient);
    }
    let mut found = Vec::new();
    for unit in [[1.0, 0.0], [0.0, 1.0]] {
        found.extend_from_slice(tape.plain().vjp(x, vector(&unit), a)?.data());
    }
    let (x, a) = (x.to_host()?, a.to_host()?);
    let slope = |i: usize| (x[i] - a[i]).cosh() / ((x[i] - a[i]).cosh() + 1.0);
    assert!((x[0] - a[0]).sinh() + x[0] < 1e-15);
    assert_close(&tensor([2, 2], &found), [2, 2], &[slope(0), 0.0, 0.0, slope(1)]);
    Ok(())
}

fn well<'t>(x: Var<'t, Reference>, a: Var<'t, Reference>) -> Var<'t, Reference> {
    (x - a).cosh().sum() + x.square().sum() / 2.0
}

#[test]
fn an_inner_variable_is_its_own_also_where_it_is_the_outer_one() -> Tested {
    // d/dx [x · d/dy (x + y)] = 1, for any y; at y = x an engine that confuses the two answers 2.
    let same = transform::grad(|x| x * transform::grad(|y| x + y, x), 5.0);
    let other = transform::grad(|x| x * transform::grad(|y| x + y, x * 3.0), 5.0);
    let forward = transform::grad(|x| x * transform::jvp(|y| x + y, x, x.ones_like()).1, 5.0);
    assert_eq!((same?, other?, forward?), (1.0, 1.0, 1.0));
    // d/dx [x · d/dy (x y) at y = x] = d/dx x² = 2x.
    let product = transform::grad(|x| x * transform::grad(|y| x * y, x), 5.0);
    assert_eq!(product?, 10.0);
    Ok(())
}

#[test]
fn a_captured_handle_is_differentiated_too() -> Tested {
    let tape = Tape::<f64>::new();
    let (x, w) = (tape.var(2.0), tape.var(3.0));
    let slope = transform::grad(|x| w * w * x.powi(3), x); // 3 w² x²
    assert_eq!(slope.item()?, 108.0);
    assert_eq!(tape.backward(slope, [x, w])?, [108.0, 72.0]); // 6 w² x, 6 w x²
    Ok(())
}

#[test]
fn the_face_on_a_tape_differentiates_at_constants() -> Tested {
    let tape = Tape::<f64>::new();
    let at = tape.constant(3.0);
    let (y, slope) = transform::value_and_grad(|x| x * x, at);
    assert_eq!((y.item()?, slope.item()?), (9.0, 6.0));
    // What is asked for is a function of the constant, and so does not change.
    assert!(tape.backward(slope, at).is_err());
    Ok(())
}

#[test]
fn transforms_nest_to_the_sixth_order() -> Tested {
    // d⁶/dx⁶ sin 2x = −64 sin 2x.
    let tape = Tape::<f64>::new();
    let x = tape.var(0.4);
    fn d1(x: Var<'_, f64>) -> Var<'_, f64> {
        transform::grad(|x| (2.0 * x).sin(), x)
    }
    fn d2(x: Var<'_, f64>) -> Var<'_, f64> {
        transform::jvp(d1, x, x.ones_like()).1
    }
    let d6 = transform::jacrev(|x| transform::jacfwd(|x| transform::hessian(d2, x), x), x);
    assert!((d6.item()? + 64.0 * 0.8_f64.sin()).abs() < 1e-11);
    Ok(())
}

struct Layer<X> {
    weight: X,
    bias: Option<X>,
}

impl<X> Params for Layer<X> {
    type Leaf = X;
    type With<Y> = Layer<Y>;
    type Convention = WithTape;

    fn map<Y>(&self, f: &mut impl FnMut(&X) -> Y) -> Layer<Y> {
        Layer { weight: f(&self.weight), bias: self.bias.as_ref().map(f) }
    }
}

#[test]
fn gradients_come_in_the_form_of_the_parameters() -> Tested {
    let layers = || {
        let first = Layer { weight: 2.0, bias: Some(1.0) };
        (vec![first, Layer { weight: 3.0, bias: None }], BTreeMap::from([("scale", 0.5)]))
    };
    // scale · w₂ (w₁ · 4 + b₁), with w₁ = 2, b₁ = 1, w₂ = 3, scale = 0.5.
    let (layers_bar, named_bar) = transform::grad(
        |tape, (layers, named)| {
            let mut y = tape.constant(4.0);
            for Layer { weight, bias } in layers {
                y *= weight;
                if let Some(bias) = bias {
                    y += bias;
                }
            }
            y * named["scale"]
        },
        layers(),
    )?;
    assert_eq!((layers_bar[0].weight, layers_bar[0].bias), (6.0, Some(1.5)));
    assert_eq!((layers_bar[1].weight, layers_bar[1].bias), (4.5, None));
    assert_eq!(named_bar["scale"], 27.0);
    Ok(())
}

#[test]
fn slices_tuples_and_blocks_keep_their_form() -> Tested {
    let data = [2.0, 3.0];
    let from_slice = transform::grad(|_, x| x[0] * x[1].square(), &data[..])?;
    assert_eq!(from_slice, [9.0, 12.0]);
    let (a, (b, c)) = transform::grad(|_, (a, (b, c))| a * b + c.square(), (2.0, (3.0, 4.0)))?;
    assert_eq!((a, b, c), (3.0, 2.0, 8.0));
    let (first, second) = transform::hessian(|_, (a, b)| a * a * b, (2.0, 3.0))?;
    assert_eq!((first, second), ((6.0, 4.0), (4.0, 0.0)));
    let none = transform::grad(|tape, _| tape.constant(1.0), Vec::<f64>::new())?;
    assert!(none.is_empty());
    Ok(())
}

#[test]
fn what_the_output_does_not_depend_on_has_zeros() -> Tested {
    let [a, b] = transform::grad(|[a, _]| a.square().sum(), [vector(&[1.0, 2.0]), vector(&[3.0])])?;
    assert_close(&a, [2], &[2.0, 4.0]);
    assert_close(&b, [1], &[0.0]);
    let constant = transform::hessian(|x| x.detach().sum(), vector(&[1.0, 2.0]))?;
    assert_close(&constant, [2, 2], &[0.0; 4]);
    assert_close(
        &transform::hvp(|x| x.sum(), vector(&[1.0, 2.0]), vector(&[1.0, 1.0]))?,
        [2],
        &[0.0; 2],
    );
    assert_close(
        &transform::vhp(|x| x.sum(), vector(&[1.0, 2.0]), vector(&[1.0, 1.0]))?,
        [2],
        &[0.0; 2],
    );
    assert_close(&transform::jacrev(|x| x.detach(), vector(&[1.0, 2.0]))?, [2, 2], &[0.0; 4]);
    assert_close(&transform::jacfwd(|x| x.detach(), vector(&[1.0, 2.0]))?, [2, 2], &[0.0; 4]);
    Ok(())
}

#[test]
fn tensors_without_elements_have_derivatives_without_elements() -> Tested {
    let empty = || tensor([0], &[]);
    assert_close(&transform::grad(|x| x.sum(), empty())?, [0], &[]);
    assert_close(&transform::hessian(|x| x.square().sum(), empty())?, [0, 0], &[]);
    assert_close(&transform::jacrev(|x| x.exp(), empty())?, [0, 0], &[]);
    assert_close(&transform::jacfwd(|x| x.exp(), empty())?, [0, 0], &[]);
    assert_close(
        &transform::jacfwd(|x| x.reshape([0, 2]), tensor([2, 0], &[]))?,
        [0, 2, 2, 0],
        &[],
    );
    Ok(())
}

#[test]
fn a_pullback_runs_the_function_once() -> Tested {
    let runs = Cell::new(0);
    let count = || runs.set(runs.get() + 1);
    let (_, pullback) = transform::vjp(
        |x| {
            count();
            x.sin()
        },
        0.3,
    )?;
    let (_, linear) = transform::linearize(
        |x| {
            count();
            x.sin()
        },
        0.3,
    )?;
    for _ in 0..3 {
        assert_eq!(pullback.call(2.0)?, 2.0 * 0.3_f64.cos());
        assert_eq!(linear.call(2.0)?, 2.0 * 0.3_f64.cos());
    }
    assert_eq!(runs.get(), 2);
    Ok(())
}

/// Two members at first, three ever after.
struct Fickle(Cell<usize>, f64);

impl Params for Fickle {
    type Leaf = f64;
    type With<Y> = Vec<Y>;
    type Convention = WithTape;

    fn map<Y>(&self, f: &mut impl FnMut(&f64) -> Y) -> Vec<Y> {
        let n = self.0.replace(3);
        (0..n).map(|_| f(&self.1)).collect()
    }
}

#[track_caller]
fn assert_error<X>(found: Result<X, Error>, expected: &str) {
    let text = found.err().expect("the call fails").to_string();
    let (what, place) = text.rsplit_once(", at ").expect("an error names a line");
    assert_eq!(what, expected);
    assert!(place.contains("transform.rs:"), "{place}");
}

#[test]
fn errors_name_the_transform_and_the_line() {
    let x = || vector(&[1.0, 2.0]);
    let one = "needs a one-element output, got [2]; use vjp";
    assert_error(transform::grad(|x| x.exp(), x()), &format!("grad: {one}"));
    assert_error(transform::value_and_grad(|x| x.exp(), x()), &format!("value_and_grad: {one}"));
    assert_error(transform::hessian(|x| x.exp(), x()), &format!("hessian: {one}"));
    assert_error(transform::vhp(|x| x.exp(), x(), x()), &format!("vhp: {one}"));
    assert_error(transform::hvp(|x| x.exp(), x(), x()), &format!("hvp: {one}"));
    let tangent = "expected a cotangent or tangent of shape [2], got [3]";
    let v = || vector(&[1.0, 2.0, 3.0]);
    assert_error(transform::jvp(|x| x.exp(), x(), v()), &format!("jvp: {tangent}"));
    assert_error(transform::hvp(|x| x.exp().sum(), x(), v()), &format!("hvp: {tangent}"));
    assert_error(transform::vhp(|x| x.exp().sum(), x(), v()), &format!("vhp: {tangent}"));
    let pulled = transform::vjp(|x| x.exp(), x()).and_then(|(_, pullback)| pullback.call(v()));
    assert_error(pulled, &format!("vjp: {tangent}"));
    let mismatch = "add: shapes [2] and [3] do not broadcast";
    assert_error(transform::grad(|x| x + x.new_constant([3], &[0.0; 3]), x()), mismatch);
    let inner = transform::grad(|x| transform::grad(|x| x.exp(), x), x());
    assert_error(inner, &format!("grad: {one}"));
}

#[test]
fn handles_of_other_tapes_are_refused() {
    let (tape, other) = (Tape::<f64>::new(), Tape::<f64>::new());
    let (x, stranger) = (tape.var(1.0), other.var(2.0));
    let foreign = "the handle belongs to another tape";
    assert_error(transform::grad(|_| stranger, x).value(), &format!("grad: {foreign}"));
    for void in transform::grad(|[a, b]| a * b, [x, stranger]) {
        assert_error(void.value(), &format!("identity: {foreign}"));
    }
    let (y, y_dot) = transform::jvp(|x| x, x, stranger);
    assert_error(y.value(), &format!("jvp: {foreign}"));
    assert_error(y_dot.value(), &format!("jvp: {foreign}"));
}

#[test]
fn structures_that_change_are_refused() {
    let fickle = Fickle(Cell::new(2), 1.0);
    let visits = "params: `Params::map` visited more leaves than the first time";
    assert_error(transform::grad(|_, x| x[0] * x[2], fickle), visits);
    let two_and_three = transform::jvp(|_, x| x[0] * x[1], vec![1.0, 2.0], vec![1.0, 2.0, 3.0]);
    assert_error(two_and_three, "jvp: needs 2 tangents, one for each tensor, got 3");
}
