//! What the engine costs an operation: `mul` and `add` in turn, on plain numbers.
//!
//! Recorded only; recorded and pulled back, beside the least that a tape can do; and pulled back on
//! the tape, so that the derivative can be differentiated.

use grad_core::Tape;

use super::contenders::{FLOOR, ON_F64};
use super::w1::{chain, floor, ours, start};
use crate::measure::Bench;
use crate::measure::case::Case;

/// How many operations a chain has.
const N: usize = 10_000;

pub(crate) fn run(bench: &mut Bench) {
    bench.run(|| record(N));
    bench.run(|| backward(N));
    bench.run(|| grad(N));
}

pub(crate) fn record(n: usize) -> Case {
    let mut case = Case::new("engine", "record").per_op(n);
    let mut tape = Tape::<f64>::new();
    case.contender(ON_F64, move || {
        tape.clear();
        let y = chain(tape.var(start(&0.0)), n);
        vec![vec![y.item().expect("a number")]]
    });
    case
}

pub(crate) fn backward(n: usize) -> Case {
    let mut case = Case::new("engine", "record and pull back").per_op(n);
    case.contender(ON_F64, ours(0.0, n));
    let mut tape = floor::Tape::default();
    case.contender(FLOOR, move || tape.derivative(n));
    case
}

pub(crate) fn grad(n: usize) -> Case {
    let mut case = Case::new("engine", "record twice").per_op(n);
    let mut tape = Tape::<f64>::new();
    case.contender(ON_F64, move || {
        tape.clear();
        let x = tape.var(start(&0.0));
        let dx = tape.grad(chain(x, n), x);
        vec![vec![dx.item().expect("a number")]]
    });
    case
}
