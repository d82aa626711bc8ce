//! Forward mode: plain sweeps, and many tangents at once.

use std::cell::Cell;
use std::rc::Rc;

use grad_conformance::reference::ReferenceError;
use grad_conformance::{Case, Random, Reference, catalogue};
use grad_core::extend::{ByPartial, Cotangents, Elementwise, Op, Primal, Tangents};
use grad_core::{Error, ErrorKind, Shape, Tape, TensorLike, Var};

type Tested = Result<(), Error>;

#[test]
fn a_plain_tangent_is_the_recorded_one_and_leaves_the_tape_as_it_was() -> Tested {
    let tape = Tape::<f64>::new();
    let (x, y) = (tape.var(2.0), tape.var(3.0));
    let z = (x * y + x).sin() / y;
    let before = (tape.len(), tape.trace().to_string());
    let plain = tape.plain().jvp(z, [(x, 1.0), (y, -0.5)])?;
    assert_eq!((tape.len(), tape.trace().to_string()), before);
    let (one, half) = (tape.constant(1.0), tape.constant(-0.5));
    assert_eq!(plain, tape.jvp(z, [(x, one), (y, half)]).item()?);
    // cos(xy + x) (y ẋ + x ẏ + ẋ) / y − sin(xy + x) ẏ / y², with ẋ = 1, ẏ = −½
    let expected = 8f64.cos() * 3.0 / 3.0 + 8f64.sin() * 0.5 / 9.0;
    assert!((plain - expected).abs() <= 1e-15);
    Ok(())
}

#[test]
fn inputs_may_come_twice_and_depend_on_each_other() -> Tested {
    let tape = Tape::<f64>::new();
    let x = tape.var(3.0);
    let y = x * x;
    // x moves by 1 + 2, and y by 2 · 3 · 3 and by 4 of its own.
    assert_eq!(tape.plain().jvp(y * 1.0, [(x, 1.0), (y, 4.0), (x, 2.0)])?, 22.0);
    assert_eq!(tape.plain().jvp(y, [(y, 4.0)])?, 4.0);
    assert_eq!(tape.plain().jvp(x, [(x, 1.0), (x, 2.0)])?, 3.0);
    Ok(())
}

#[test]
fn what_does_not_move_has_a_tangent_of_zeros() -> Tested {
    let tape = Tape::<Reference>::new();
    let (x, y) = (tape.var(vec![1.0, 2.0]), tape.var(5.0));
    for z in [x * 2.0, tape.constant(vec![1.0, 2.0])] {
        let tangent = tape.plain().jvp(z, [(y, 1.0)])?;
        assert_eq!((tangent.shape(), tangent.data()), (&[2][..], &[0.0, 0.0][..]));
    }
    assert_eq!(tape.plain().jvp(x * 2.0, [] as [(Var<'_, _>, Reference); 0])?.data(), [0.0, 0.0]);
    Ok(())
}

#[test]
fn the_sum_of_tangents_of_an_input_names_the_users_line() -> Tested {
    let tape = Tape::<f64>::new();
    let (x, one) = (tape.var(3.0), tape.constant(1.0));
    let before = tape.len();
    let (_, line) = (tape.jvp(x * x, [(x, one), (x, one)]), line!());
    let recorded: Vec<_> = tape.nodes().skip(before).collect();
    assert!(recorded.iter().any(|node| node.op == "add"));
    for node in recorded {
        assert_eq!((node.location.file(), node.location.line()), (file!(), line));
    }
    Ok(())
}

// --------------------------------------------------------------------- operations of a user's own

type Handle<'t> = Var<'t, Reference>;

/// The cube, in various states of knowing how to push tangents forward.
#[derive(Clone)]
struct Cube {
    rules: Rules,
    /// How often a rule ran.
    runs: Rc<Cell<usize>>,
    /// The most nodes that were on the tape of a rule.
    most: Rc<Cell<usize>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Rules {
    /// The VJP alone.
    Vjp,
    /// The JVP too.
    Jvp,
    /// And the rule for many tangents.
    Batched,
    /// This one is wrong: it sums over the tangents, and one cannot tell from the trailing axes.
    SumsOverTangents,
    /// It returns something of another shape.
    OtherShape,
    /// It returns one tangent too many.
    OneMore,
    /// It fails.
    Fails,
    /// It returns a handle of another tape.
    Foreign,
}

impl Cube {
    fn new(rules: Rules) -> Self {
        Cube { rules, runs: Rc::default(), most: Rc::default() }
    }

    fn partial<'t>(&self, p: &Primal<'t, Reference>, c: Handle<'t>) -> Handle<'t> {
        self.runs.set(self.runs.get() + 1);
        self.most.set(self.most.get().max(p.tape().len()));
        c * p.x(0).square() * 3.0
    }
}

impl Op<Reference> for Cube {
    fn name(&self) -> &'static str {
        "cube"
    }

    fn shape(&self, x: &[Shape]) -> Result<Shape, ErrorKind> {
        Ok(x[0].clone())
    }

    fn forward(&self, x: &[&Reference]) -> Result<Reference, ReferenceError> {
        x[0].powi(3)
    }

    fn vjp<'t>(
        &self,
        p: &Primal<'t, Reference>,
        ct: Handle<'t>,
        x_bar: &mut Cotangents<'_, 't, Reference>,
    ) {
        x_bar.each(|_| self.partial(p, ct));
    }

    fn jvp<'t>(
        &self,
        p: &Primal<'t, Reference>,
        t: &Tangents<'_, 't, Reference>,
    ) -> Option<Handle<'t>> {
        let (is_stack, t) = (t.stack().is_some(), t.get(0)?);
        match self.rules {
            Rules::Vjp => None,
            _ if !is_stack => Some(self.partial(p, t)),
            Rules::Jvp => None,
            Rules::Batched => Some(self.partial(p, t)),
            Rules::SumsOverTangents => Some(self.partial(p, t).sum_axes(0)),
            Rules::OtherShape => Some(t.sum_axes(-1)),
            Rules::OneMore => Some(p.tape().concat(&[t, t.narrow(0, 0, 1)], 0)),
            Rules::Fails => Some(t.reshape([7])),
            Rules::Foreign => Some(Box::leak(Box::new(Tape::new())).var(Reference::from(1.0))),
        }
    }
}

#[test]
fn a_plain_sweep_holds_the_tangents_of_one_node_on_its_scratch_tape() -> Tested {
    let tape = Tape::<Reference>::new();
    let x = tape.var(vec![1.0, 2.0]);
    let cube = Cube::new(Rules::Jvp);
    let y = (0..100).fold(x, |y, _| tape.apply(cube.clone(), &[y.sin()]));
    tape.plain().jvp(y, [(x, vec![1.0, 0.0])])?;
    assert_eq!((cube.runs.get(), cube.most.get()), (100, 1));
    Ok(())
}

/// The Jacobian of sin Σ x³ y, for y = [1, 2], as three tangents see it.
fn assert_cubes(rules: Rules, runs: usize) -> Tested {
    let (tape, cube) = (Tape::<Reference>::new(), Cube::new(rules));
    let x = tape.var(vec![0.5, -0.25]);
    let y = (tape.apply(cube.clone(), &[x]) * tape.constant(vec![1.0, 2.0])).sum().sin();
    let data = [1.0, 0.0, 0.0, 1.0, 2.0, -3.0];
    let stack = Reference::new([3, 2], data.to_vec()).expect("six");
    let plain = tape.plain().jvp_batch(y, [(x, stack.clone())])?;
    assert_eq!(cube.runs.take(), runs);
    let t = tape.jvp_batch(y, [(x, tape.constant(stack))]);
    assert_eq!(cube.runs.take(), runs);
    assert_eq!((plain.shape(), plain.data()), (&[3][..], &t.to_host()?[..]));
    // Σ x³ y = ⅛ − 1/32 = 3/32, and 3 x² y = [¾, ⅜].
    let cos = (3.0f64 / 32.0).cos();
    for (got, wanted) in plain.data().iter().zip([0.75 * cos, 0.375 * cos, 0.375 * cos]) {
        assert!((got - wanted).abs() <= 1e-15, "got {got}, wanted {wanted}");
    }
    // What was recorded can be differentiated: Σ t = cos(s) · 3 (3 x₀² − 4 x₁²), where s = Σ x³ y
    // and the tangents sum to [3, −2]; 3 Σ ẋ x² y = ¾ · 3 − ⅜ · 2 = 3/2 at x.
    let dx = tape.backward(t.sum(), x)?;
    let sin = (3.0f64 / 32.0).sin();
    let along = 1.5;
    let wanted =
        [3.0 * 6.0 * 0.5 * cos - sin * 0.75 * along, 2.0 * 12.0 * 0.25 * cos - sin * 0.375 * along];
    for (got, wanted) in dx.data().iter().zip(wanted) {
        assert!((got - wanted).abs() <= 1e-14, "got {got}, wanted {wanted}");
    }
    Ok(())
}

#[test]
fn an_operation_without_a_rule_for_many_tangents_takes_them_one_by_one() -> Tested {
    assert_cubes(Rules::Vjp, 3)?;
    assert_cubes(Rules::Jvp, 3)
}

#[test]
fn a_rule_for_many_tangents_runs_once() -> Tested {
    assert_cubes(Rules::Batched, 1)
}

#[test]
fn a_rule_for_many_tangents_that_is_wrong_is_an_error() {
    let cases = [
        (Rules::SumsOverTangents, "cube: the rule returned shape [2] for a value of shape [2, 2]"),
        (Rules::OtherShape, "cube: the rule returned shape [2] for a value of shape [2, 2]"),
        (Rules::OneMore, "cube: the rule returned shape [3, 2] for a value of shape [2, 2]"),
        (Rules::Fails, "reshape: shapes [2, 2] and [7] have different numbers of elements"),
        (Rules::Foreign, "cube: the handle belongs to another tape"),
    ];
    for (rules, text) in cases {
        let tape = Tape::<Reference>::new();
        let x = tape.var(vec![0.5, -0.25]);
        let (y, line) = (tape.apply(Cube::new(rules), &[x]), line!());
        let stack = Reference::new([2, 2], vec![1.0; 4]).expect("four");
        let before = tape.len();
        let plain = tape.plain().jvp_batch(y.sum(), [(x, stack.clone())]).expect_err("an error");
        assert_eq!(tape.len(), before + 1); // the sum
        let recorded =
            tape.jvp_batch(y, [(x, tape.constant(stack))]).value().expect_err("an error");
        for error in [plain, recorded] {
            let (got, place) = (error.to_string(), format!("{}:{line}:", file!()));
            assert!(got.starts_with(&format!("{text}, at {place}")), "{got}");
            assert!(got.ends_with(", while pushing forward cube"), "{got}");
        }
    }
}

/// Twice x, by a rule that looks at the shape of what it gets.
struct Twice;

impl Elementwise for Twice {
    const NAME: &'static str = "twice";

    fn forward<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error> {
        x[0].scale(2.0)
    }

    fn partial<'t, T: TensorLike>(&self, _: usize, p: &Primal<'t, T>, c: Var<'t, T>) -> Var<'t, T> {
        p.x(0).full_like(2.0) * c.reshape(p.shape(0))
    }
}

#[test]
fn an_elementwise_rule_that_cannot_take_many_tangents_takes_them_one_by_one() -> Tested {
    let tape = Tape::<Reference>::new();
    let x = tape.var(vec![1.0, 2.0]);
    let y = tape.apply(ByPartial::new(Twice), &[x]);
    for k in [1, 3] {
        let data: Vec<f64> = (0..2 * k).map(|i| i as f64).collect();
        let stack = Reference::new([k, 2], data.clone()).expect("2 k");
        let t = tape.plain().jvp_batch(y, [(x, stack)])?;
        assert_eq!(t.shape(), [k, 2]);
        assert_eq!(t.data(), data.iter().map(|x| 2.0 * x).collect::<Vec<f64>>());
    }
    Ok(())
}

// ------------------------------------------------------------------------- many tangents at once

#[test]
fn tangents_of_inputs_that_broadcast_keep_apart() -> Tested {
    // With two tangents of two elements, axes could be taken for one another.
    let tape = Tape::<Reference>::new();
    let x = tape.var(Reference::new([2, 2], vec![1.0, 2.0, 3.0, 4.0]).expect("four"));
    let (y, z) = (tape.var(vec![5.0, 6.0]), tape.var(7.0));
    let product = x * y + z;
    let t = Reference::new([2, 2], vec![1.0, 0.0, 0.0, 10.0]).expect("four");
    // ẏ = [1, 0] and then [0, 10]; ż = 100 and then 200: x ẏ + ż.
    let pushed = tape.plain().jvp_batch(product, [(y, t), (z, vec![100.0, 200.0].into())])?;
    assert_eq!(pushed.shape(), [2, 2, 2]);
    assert_eq!(pushed.data(), [101.0, 100.0, 103.0, 100.0, 200.0, 220.0, 200.0, 240.0]);
    Ok(())
}

#[test]
fn scalars_have_tangents_along_one_axis() -> Tested {
    let tape = Tape::<Reference>::new();
    let x = tape.var(3.0);
    for k in 0..3 {
        let t: Vec<f64> = (0..k).map(|i| i as f64).collect();
        let pushed = tape.plain().jvp_batch(x * x, [(x, t.clone())])?;
        assert_eq!(pushed.shape(), [k]);
        assert_eq!(pushed.data(), t.iter().map(|t| 6.0 * t).collect::<Vec<f64>>());
    }
    Ok(())
}

#[test]
fn no_tangents_of_a_users_operation_give_no_tangents() -> Tested {
    let tape = Tape::<Reference>::new();
    let x = tape.var(vec![1.0, 2.0]);
    let none = Reference::new([0, 2], vec![]).expect("nothing");
    for rules in [Rules::Vjp, Rules::Batched] {
        let y = tape.apply(Cube::new(rules), &[x]);
        assert_eq!(tape.plain().jvp_batch(y, [(x, none.clone())])?.shape(), [0, 2]);
        let recorded = tape.jvp_batch(y, [(x, tape.constant(none.clone()))]);
        assert_eq!(recorded.shape()?, Shape::from([0, 2]));
    }
    Ok(())
}

#[test]
fn what_does_not_move_has_stacked_zeros() -> Tested {
    let tape = Tape::<Reference>::new();
    let (x, y) = (tape.var(vec![1.0, 2.0]), tape.var(5.0));
    let zeros = tape.plain().jvp_batch(x * 2.0, [(y, vec![1.0, 2.0, 3.0])])?;
    assert_eq!((zeros.shape(), zeros.data()), (&[3, 2][..], &[0.0; 6][..]));
    let t = tape.constant(vec![1.0, 2.0, 3.0]);
    assert_eq!(tape.jvp_batch(x * 2.0, [(y, t)]).to_host()?, [0.0; 6]);
    // An input itself, given twice.
    let twice = tape.plain().jvp_batch(y, [(y, vec![1.0, 2.0]), (y, vec![10.0, 20.0])])?;
    assert_eq!(twice.data(), [11.0, 22.0]);
    Ok(())
}

#[test]
fn a_zero_tangent_stops_an_infinite_derivative_in_each_place_of_a_stack() -> Tested {
    let tape = Tape::<Reference>::new();
    let x = tape.var(vec![0.0, 4.0]);
    let t = Reference::new([2, 2], vec![0.0, 1.0, 1.0, 0.0]).expect("four");
    // 1 / (2 √x) is ∞ and ¼.
    let roots = tape.plain().jvp_batch(x.sqrt(), [(x, t.clone())])?;
    assert_eq!(roots.data(), [0.0, 0.25, f64::INFINITY, 0.0]);
    let masked = tape.plain().jvp_batch(x.gt(0.0).where_(x.sqrt(), 0.0), [(x, t)])?;
    assert_eq!(masked.data(), [0.0, 0.25, 0.0, 0.0]);
    Ok(())
}

#[test]
fn ties_share_in_each_place_of_a_stack() -> Tested {
    let tape = Tape::<Reference>::new();
    let x = tape.var(vec![2.0, 2.0, 1.0]);
    let t = Reference::new([2, 3], vec![1.0, 3.0, 9.0, -1.0, 0.0, 9.0]).expect("six");
    assert_eq!(tape.plain().jvp_batch(x.max(), [(x, t.clone())])?.data(), [2.0, -0.5]);
    assert_eq!(tape.plain().jvp_batch(x.maximum(2.0).sum(), [(x, t)])?.data(), [2.0, -0.5]);
    Ok(())
}

#[test]
fn the_columns_of_a_hessian_come_from_one_sweep() -> Tested {
    // Σ x⁴ + (Σ x)²: the Hessian is diag(12 x²) + 2.
    let tape = Tape::<Reference>::new();
    let x = tape.var(vec![1.0, 2.0, 3.0]);
    let dx = tape.grad(x.powi(4).sum() + x.sum().square(), x);
    let identity = vec![1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0];
    let columns = Reference::new([3, 3], identity).expect("nine");
    let hessian = tape.jvp_batch(dx, [(x, tape.constant(columns))]);
    assert_eq!(hessian.to_host()?, [14.0, 2.0, 2.0, 2.0, 50.0, 2.0, 2.0, 2.0, 110.0]);
    // Its trace has the gradient 24 x.
    assert_eq!(tape.backward(hessian.trace(), x)?.data(), [24.0, 48.0, 72.0]);
    Ok(())
}

#[test]
fn stacks_that_do_not_fit_are_refused() {
    let tape = Tape::<Reference>::new();
    let (x, y) = (tape.var(vec![1.0, 2.0]), tape.var(3.0));
    let two = Reference::new([2, 2], vec![1.0; 4]).expect("four");
    let text = |tangents: Vec<(Handle<'_>, Reference)>| {
        let handles = tangents.iter().map(|(x, t)| (*x, tape.constant(t.clone())));
        let recorded = tape.jvp_batch(x * y, handles).value().expect_err("an error").to_string();
        let plain = tape.plain().jvp_batch(x * y, tangents).expect_err("an error").to_string();
        let plain = plain.split(", at ").next().unwrap_or_default().to_string();
        assert!(recorded.starts_with(&plain), "{recorded}");
        plain
    };
    let shape = "jvp_batch: expected a cotangent or tangent of shape";
    assert_eq!(text(vec![(x, vec![1.0, 2.0].into())]), format!("{shape} [2, 2], got [2]"));
    assert_eq!(
        text(vec![(x, two.clone()), (y, vec![1.0; 3].into())]),
        format!("{shape} [2], got [3]")
    );
    assert_eq!(text(vec![(x, two), (y, 1.0.into())]), format!("{shape} [2], got []"));
    let unknown = "jvp_batch: needs a tangent with a leading axis, for the number of tangents";
    assert_eq!(text(vec![]), unknown);
    assert_eq!(text(vec![(y, 1.0.into())]), unknown);
}

/// How many nodes a batch of `k` random tangents records, for a case of the catalogue.
fn n_recorded(case: &Case<Reference>, k: usize) -> Result<usize, Error> {
    let tape = Tape::new();
    let mut random = Random::new(k as u64);
    let (mut x, mut pairs) = (Vec::new(), Vec::new());
    for (shape, data) in &case.inputs {
        x.push(tape.var(Reference::new(shape, data.clone()).expect("a case")));
        let sizes: Shape = [k].into_iter().chain(shape.iter().copied()).collect();
        let t = random.signed_units(sizes.iter().product());
        let t = tape.constant(Reference::new(&sizes, t).expect("as many"));
        pairs.push((x[x.len() - 1], t));
    }
    let y = (case.apply)(&x);
    let before = tape.len();
    let t = tape.jvp_batch(y, pairs);
    assert_eq!(t.shape()?.split_first().map(|(&n, _)| n), Some(k), "{case}");
    Ok(tape.len() - before)
}

#[test]
fn every_operation_pushes_a_batch_forward_at_once() -> Tested {
    // Rules of the user's know of one tangent only.
    let of_the_user = ["custom_vjp", "custom_jvp"];
    let cases = catalogue::<Reference>();
    for case in cases.iter().filter(|case| case.differentiable && !of_the_user.contains(&case.op)) {
        let n_nodes = n_recorded(case, 2)?;
        for k in [1, 7] {
            assert_eq!(n_recorded(case, k)?, n_nodes, "{case}, {k} tangents");
        }
        // Of no tangents nothing is dead, and nothing is selected.
        assert!(n_recorded(case, 0)? <= n_nodes, "{case}, no tangents");
    }
    Ok(())
}
