//! The read-only view of a tape.

use grad_conformance::Reference;
use grad_core::inspect::{Mode, NodeKind};
use grad_core::{Error, Tape};

#[test]
fn nodes_show_what_was_recorded() -> Result<(), Error> {
    let tape = Tape::<Reference>::new();
    let x = tape.named_var(vec![1.0, 2.0], "x");
    let y = (x * 3.0).sum().named("first").named("y");
    let c = tape.constant(4.0);
    let z = x.gt(c);
    let line = line!() - 1;
    let nodes: Vec<_> = tape.nodes().collect();
    let kinds: Vec<_> = nodes.iter().map(|node| (node.kind, node.op, node.tracked)).collect();
    let expected = [
        (NodeKind::Var, "var", true),
        (NodeKind::Op, "scale", true),
        (NodeKind::Op, "sum", true),
        (NodeKind::Constant, "constant", false),
        (NodeKind::Op, "gt", false),
    ];
    assert_eq!(kinds, expected);
    assert_eq!(nodes[4].inputs, [x.id(), c.id()]);
    assert_eq!(nodes[4].id, z.id());
    assert_eq!(&nodes[4].shape[..], [2]);
    assert_eq!(nodes[4].location.line(), line);
    assert_eq!(nodes[4].expression(&["x", "c"]), Some("x > c".to_string()));
    assert_eq!(nodes[0].expression(&[]), None);
    assert_eq!(nodes[2].var.item()?, 9.0);
    // A later name replaces an earlier one.
    let names: Vec<_> = nodes.iter().filter_map(|node| node.name.as_deref()).collect();
    assert_eq!(names, ["x", "y"]);
    assert_eq!(nodes[2].id, y.id());
    Ok(())
}

#[test]
fn inputs_are_older_than_what_is_computed_from_them() -> Result<(), Error> {
    let tape = Tape::<f64>::new();
    let x = tape.var(0.3);
    let y = (x.sin() / x).maximum(x.exp() - 1.0).tanh();
    let dy = tape.grad(y, x);
    tape.grad(dy, x);
    for node in tape.nodes() {
        assert!(node.inputs.iter().all(|input| *input < node.id), "{node:?}");
    }
    Ok(())
}

#[test]
fn sweeps_show_their_derivatives() -> Result<(), Error> {
    let tape = Tape::<f64>::new();
    let (a, b) = (tape.var(2.0), tape.var(3.0));
    let u = a * b;
    let y = u.sin();
    let [da] = tape.grad(y, [a]);
    let one = tape.constant(1.0);
    let t = tape.jvp(u, [(b, one)]);
    tape.backward(y, [a])?;
    let sweeps = tape.sweeps();
    assert_eq!(sweeps.len(), 2);
    assert_eq!((sweeps[0].mode, sweeps[0].y), (Mode::Reverse, y.id()));
    // Operations newest first, then leaves.
    let nodes: Vec<_> = sweeps[0].derivatives.iter().map(|&(node, _)| node).collect();
    assert_eq!(nodes, [y.id(), u.id(), a.id()]);
    assert_eq!(sweeps[0].derivatives[2].1, da.id());
    assert_eq!(sweeps[0].nodes.start, 4);
    assert!(sweeps[0].nodes.contains(&da.id().index()));
    assert_eq!((sweeps[1].mode, sweeps[1].y), (Mode::Forward, u.id()));
    assert_eq!(sweeps[1].derivatives, [(b.id(), one.id()), (u.id(), t.id())]);
    Ok(())
}

#[test]
fn void_handles_are_not_tracked_and_have_no_name() {
    let tape = Tape::<f64>::new();
    let void = tape.var(1.0).expand([2]).named("void");
    assert!(void.is_void() && !void.is_tracked());
    assert!(tape.nodes().all(|node| node.name.is_none()));
}

#[test]
fn a_node_applies_its_operation_anew() -> Result<(), Error> {
    let tape = Tape::<Reference>::new();
    let x = tape.var(vec![1.0, 2.0]);
    let y = (x * 3.0).sum();
    let other = Tape::new();
    let z = other.var(vec![5.0, 6.0, 7.0]);
    let nodes: Vec<_> = tape.nodes().collect();
    assert!(nodes[0].apply(&other, &[]).is_none());
    let again = nodes[y.id().index()].apply(&other, &[z]).expect("a sum is no leaf");
    assert_eq!(again.item()?, 18.0);
    assert!(again.is_tracked());
    Ok(())
}
