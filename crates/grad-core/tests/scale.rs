//! The tape at scale: long chains, and sweeps that visit no more than they must.

use std::cell::Cell;
use std::rc::Rc;

use grad_core::extend::{Cotangents, Op, Primal, Tangents};
use grad_core::{Error, ErrorKind, ScalarError, Shape, Tape, Var};

/// Runs `f` on a stack of 256 KiB, where recursion over a graph would end after a few thousand.
fn on_a_small_stack(f: impl FnOnce() -> Result<(), Error> + Send + 'static) -> Result<(), Error> {
    let thread = std::thread::Builder::new().stack_size(256 * 1024).spawn(f);
    thread.expect("a thread").join().expect("no panic")
}

const CHAIN: u32 = 1_000_000;

/// y ↦ (y + 1) x, over and over; at x = 1 after n rounds, starting from x,
/// y = x + x² + ⋯ + xⁿ⁺¹ with the value n + 1 and the derivative (n + 1)(n + 2) / 2.
fn chain<'t>(x: Var<'t, f64>, n_ops: u32) -> (Var<'t, f64>, f64) {
    let mut y = x;
    for _ in 0..n_ops / 2 {
        y = (y + 1.0) * x;
    }
    let n = f64::from(n_ops / 2);
    (y, (n + 1.0) * (n + 2.0) / 2.0) // below 2⁵³, so exact
}

#[test]
fn a_million_operations_need_no_stack() -> Result<(), Error> {
    on_a_small_stack(|| {
        let mut tape = Tape::<f64>::new();
        let x = tape.var(1.0);
        let (y, derivative) = chain(x, CHAIN);
        assert_eq!(tape.len(), CHAIN as usize + 1);
        assert_eq!(y.item()?, f64::from(CHAIN / 2 + 1));
        assert_eq!(tape.backward(y, x)?, derivative);
        assert_eq!(tape.plain().jvp(y, [(x, 1.0)])?, derivative);
        assert_eq!(tape.len(), CHAIN as usize + 1);
        assert_eq!(tape.grad(y, x).item()?, derivative);
        let one = tape.constant(1.0);
        assert_eq!(tape.jvp(y, [(x, one)]).item()?, derivative);
        tape.clear();
        assert!(tape.is_empty());
        Ok(())
    })
}

#[test]
fn the_second_derivative_of_a_long_chain_needs_no_stack() -> Result<(), Error> {
    on_a_small_stack(|| {
        let tape = Tape::<f64>::new();
        let x = tape.var(1.0);
        let (y, _) = chain(x, CHAIN / 10);
        let dy = tape.grad(y, x);
        // Σ k (k − 1) for k = 1, .., n + 1 is n (n + 1) (n + 2) / 3.
        let n = f64::from(CHAIN / 20);
        let expected = n * (n + 1.0) * (n + 2.0) / 3.0;
        assert!((tape.backward(dy, x)? - expected).abs() <= 1e-10 * expected);
        Ok(())
    })
}

#[test]
fn a_value_with_a_million_uses_needs_no_stack() -> Result<(), Error> {
    on_a_small_stack(|| {
        let tape = Tape::<f64>::new();
        let x = tape.var(1.0);
        let mut y = x * 0.0;
        for _ in 0..CHAIN / 2 {
            y += x;
        }
        assert_eq!(tape.backward(y, x)?, f64::from(CHAIN / 2));
        Ok(())
    })
}

/// The identity, which counts how often its rules run.
#[derive(Clone, Default)]
struct Counted(Rc<Cell<usize>>);

impl Op<f64> for Counted {
    fn name(&self) -> &'static str {
        "counted"
    }

    fn shape(&self, x: &[Shape]) -> Result<Shape, ErrorKind> {
        Ok(x[0].clone())
    }

    fn forward(&self, x: &[&f64]) -> Result<f64, ScalarError> {
        Ok(*x[0])
    }

    fn vjp<'t>(&self, _: &Primal<'t, f64>, ct: Var<'t, f64>, x_bar: &mut Cotangents<'_, 't, f64>) {
        self.0.set(self.0.get() + 1);
        x_bar.each(|_| ct);
    }

    fn jvp<'t>(&self, _: &Primal<'t, f64>, t: &Tangents<'_, 't, f64>) -> Option<Var<'t, f64>> {
        self.0.set(self.0.get() + 1);
        t.one()?.get(0)
    }
}

impl Counted {
    fn apply<'t>(&self, x: Var<'t, f64>, n: usize) -> Var<'t, f64> {
        (0..n).fold(x, |x, _| x.tape().apply(self.clone(), &[x]))
    }

    /// How often rules ran since the last call.
    fn take(&self) -> usize {
        self.0.replace(0)
    }
}

#[test]
fn a_sweep_runs_no_rule_outside_of_the_paths_from_wrt_to_y() -> Result<(), Error> {
    const UNRELATED: usize = 100_000;
    let tape = Tape::<f64>::new();
    let counted = Counted::default();
    let other = tape.var(5.0);
    counted.apply(other, UNRELATED);
    // Older than x, though x depends on it.
    let older = counted.apply(tape.var(2.0), UNRELATED);
    let x = counted.apply(older, 1) * 1.0;
    counted.apply(other, UNRELATED);
    let between = counted.apply(x, 3);
    // Depends on x, but y does not depend on it.
    counted.apply(between, UNRELATED);
    // y depends on it, but it does not depend on x.
    let beside = counted.apply(other, UNRELATED);
    let y = counted.apply(between, 4) * beside;
    counted.apply(y, UNRELATED);
    counted.apply(other, UNRELATED);

    assert_eq!(counted.take(), 0);
    assert_eq!(tape.backward(y, x)?, 5.0);
    assert_eq!(counted.take(), 7);
    assert_eq!(tape.grad(y, x).item()?, 5.0);
    assert_eq!(counted.take(), 7);
    let one = tape.constant(1.0);
    assert_eq!(tape.jvp(y, [(x, one)]).item()?, 5.0);
    assert_eq!(counted.take(), 7);
    assert_eq!(tape.plain().jvp(y, [(x, 1.0)])?, 5.0);
    assert_eq!(counted.take(), 7);
    // With respect to something in the middle the sweep stops there.
    assert_eq!(tape.backward(y, between)?, 5.0);
    assert_eq!(counted.take(), 4);
    // A sum of paths: y and its ancestor once each.
    assert_eq!(tape.backward(y * y, [x, between])?, [100.0, 100.0]); // 2 y dy/dx = 2 · 10 · 5
    assert_eq!(counted.take(), 7);
    Ok(())
}

#[test]
fn unlimited_sweeps_leave_no_memory_behind_on_the_tape() -> Result<(), Error> {
    let tape = Tape::<f64>::new();
    let x = tape.var(2.0);
    let y = x * x;
    let before = format!("{tape:?}");
    for _ in 0..10_000 {
        tape.backward(y, x)?;
        tape.plain().jvp(y, [(x, 1.0)])?;
    }
    assert_eq!(format!("{tape:?}"), before);
    Ok(())
}
