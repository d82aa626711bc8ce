//! Forward mode: plain sweeps.

#![cfg(feature = "testing")]

use std::cell::Cell;
use std::rc::Rc;

use grad_core::extend::{Op, Primal};
use grad_core::testing::Reference;
use grad_core::{Error, ErrorKind, Shape, Tape, TensorLike, Var};

type Tested = Result<(), Error>;

#[test]
fn a_plain_tangent_is_the_recorded_one_and_leaves_the_tape_as_it_was() -> Tested {
    let tape = Tape::<f64>::new();
    let (x, y) = (tape.var(2.0), tape.var(3.0));
    let z = (x * y + x).sin() / y;
    let before = (tape.len(), tape.trace().to_string());
    let plain = tape.forward_with(z, [(x, 1.0), (y, -0.5)])?;
    assert_eq!((tape.len(), tape.trace().to_string()), before);
    let (one, half) = (tape.constant(1.0), tape.constant(-0.5));
    assert_eq!(plain, tape.jvp(z, [(x, one), (y, half)])?.item()?);
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
    assert_eq!(tape.forward_with(y * 1.0, [(x, 1.0), (y, 4.0), (x, 2.0)])?, 22.0);
    assert_eq!(tape.forward_with(y, [(y, 4.0)])?, 4.0);
    assert_eq!(tape.forward_with(x, [(x, 1.0), (x, 2.0)])?, 3.0);
    Ok(())
}

#[test]
fn what_does_not_move_has_a_tangent_of_zeros() -> Tested {
    let tape = Tape::<Reference>::new();
    let (x, y) = (tape.var(vec![1.0, 2.0]), tape.var(5.0));
    for z in [x * 2.0, tape.constant(vec![1.0, 2.0])] {
        let tangent = tape.forward_with(z, [(y, 1.0)])?;
        assert_eq!((tangent.shape(), tangent.data()), (&[2][..], &[0.0, 0.0][..]));
    }
    assert_eq!(tape.forward_with(x * 2.0, [] as [(Var<'_, _>, Reference); 0])?.data(), [0.0, 0.0]);
    Ok(())
}

#[test]
fn the_sum_of_tangents_of_an_input_names_the_users_line() -> Tested {
    let tape = Tape::<f64>::new();
    let (x, one) = (tape.var(3.0), tape.constant(1.0));
    let before = tape.len();
    let (_, line) = (tape.jvp(x * x, [(x, one), (x, one)])?, line!());
    let recorded: Vec<_> = tape.nodes().skip(before).collect();
    assert!(recorded.iter().any(|node| node.op == "add"));
    for node in recorded {
        assert_eq!((node.location.file(), node.location.line()), (file!(), line));
    }
    Ok(())
}

/// The identity, whose forward rule counts the handles of its tape that hold tensors.
struct Scratch(Rc<Cell<usize>>);

impl Op<Reference> for Scratch {
    fn name(&self) -> &'static str {
        "scratch"
    }

    fn shape(&self, x: &[Shape]) -> Result<Shape, ErrorKind> {
        Ok(x[0].clone())
    }

    fn forward(&self, x: &[&Reference]) -> Result<Reference, <Reference as TensorLike>::Error> {
        Ok(x[0].clone())
    }

    fn vjp<'t>(
        &self,
        _: usize,
        _: &Primal<'t, Reference>,
        ct: Var<'t, Reference>,
    ) -> Var<'t, Reference> {
        ct
    }

    fn jvp<'t>(
        &self,
        _: usize,
        p: &Primal<'t, Reference>,
        t: Var<'t, Reference>,
    ) -> Option<Var<'t, Reference>> {
        self.0.set(self.0.get().max(p.tape().len()));
        Some(t)
    }
}

#[test]
fn a_plain_sweep_holds_the_tangents_of_one_node_on_its_scratch_tape() -> Tested {
    let tape = Tape::<Reference>::new();
    let x = tape.var(vec![1.0, 2.0]);
    let most = Rc::new(Cell::new(0));
    let y = (0..100).fold(x, |y, _| tape.apply(Scratch(most.clone()), &[y.sin()]));
    tape.forward_with(y, [(x, vec![1.0, 0.0])])?;
    assert_eq!(most.get(), 1);
    Ok(())
}
