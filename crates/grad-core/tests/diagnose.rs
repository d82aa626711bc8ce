//! What a tape says of itself.

#![cfg(feature = "testing")]

mod support;

use std::time::{Duration, Instant};

use expect_test::{Expect, expect};
use grad_core::testing::Reference;
use grad_core::{Error, Shape, Tape, TensorLike};
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
    tape.grad(loss, w)?;
    let mut memory = tape.memory();
    // The text has the number of bytes that the compiler gives a node.
    memory.tape = 4000;
    assert_text(
        memory,
        line,
        expect![[r#"
        35 nodes hold 22.3 KiB in 35 buffers
        the tape itself takes 3.9 KiB
              2.0 KiB  var       [16, 16]  "w"  at @+1:18
          2 × 2.0 KiB  permute   [16, 16]       at @+4:15, in a sweep
          3 × 2.0 KiB  matmul    [16, 16]       at @+4:15, in a sweep
          2 × 2.0 KiB  add       [16, 16]       at @+4:15, in a sweep
                256 B  constant  [2, 16]        at @+2:22
            3 × 256 B  matmul    [2, 16]        at @+4:15
            3 × 256 B  tanh      [2, 16]        at @+4:25
                256 B  expand    [2, 16]        at @+6:18, in a sweep
            6 × 256 B  mul       [2, 16]        at @+4:25, in a sweep
            3 × 256 B  neg       [2, 16]        at @+4:25, in a sweep
          and 10 more, 2.0 KiB
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
