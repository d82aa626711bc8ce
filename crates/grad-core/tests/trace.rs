//! The trace: text, drawings and data.

use expect_test::expect;
use grad_conformance::Reference;
use grad_core::extend::{ByPartial, Elementwise, Primal};
use grad_core::inspect::format_host;
use grad_core::{Error, Tape, TensorLike, Var};

type Tested = Result<(), Error>;

/// The original's program, with the gradients with respect to every node.
fn original(tape: &Tape<Reference>) -> Tested {
    let a = tape.named_var(vec![0.4605, 0.4061, 0.9422, 0.3946], "a");
    let b = tape.named_var(vec![0.0850, 0.3296, 0.9888, 0.6494], "b");
    let l0 = ((a + b) * b).sum().named("L0");
    let [da, db] = tape.gradients(l0).of([a, b]);
    let l1 = (da * da + db * db).sum().named("L1");
    tape.gradients(l1);
    Ok(())
}

#[test]
fn the_original_program_has_the_original_trace() -> Tested {
    let tape = Tape::<Reference>::new();
    original(&tape)?;
    expect![[r#"
        a = [0.4605, 0.4061, 0.9422, 0.3946]
        b = [0.0850, 0.3296, 0.9888, 0.6494]
        v0 = a + b
        v1 = v0 * b
        L0 = v1.sum()
        dL0 --------------
        v3 = v2.expand([4])
        v4 = v3 * b
        v5 = v3 * v0
        v6 = v5 + v4
        dL0_dL0 = v2
        dL0_dv1 = v3
        dL0_dv0 = v4
        dL0_da = v4
        dL0_db = v6
        ------------------
        v7 = v4 * v4
        v8 = v6 * v6
        v9 = v7 + v8
        L1 = v9.sum()
        dL1 --------------
        v11 = v10.expand([4])
        v12 = v11 * v6
        v13 = v11 * v6
        v14 = v12 + v13
        v15 = v11 * v4
        v16 = v11 * v4
        v17 = v15 + v16
        v18 = v17 + v14
        v19 = v14 * v0
        v20 = v14 * v3
        v21 = v18 * b
        v22 = v18 * v3
        v23 = v19 + v21
        v24 = v23.sum()
        v25 = v22 + v20
        dL1_dL1 = v10
        dL1_dv9 = v11
        dL1_dv8 = v11
        dL1_dv7 = v11
        dL1_dv6 = v14
        dL1_dv5 = v14
        dL1_dv4 = v18
        dL1_dv3 = v23
        dL1_dv0 = v20
        dL1_da = v20
        dL1_db = v25
        dL1_dv2 = v24
        ------------------
    "#]]
    .assert_eq(&tape.trace().to_string());
    Ok(())
}

#[test]
fn a_trace_is_a_pure_function_of_the_tape() -> Tested {
    let (tape, again) = (Tape::<Reference>::new(), Tape::<Reference>::new());
    original(&tape)?;
    original(&again)?;
    let n_nodes = tape.len();
    assert_eq!(tape.trace(), tape.trace());
    assert_eq!(tape.trace(), again.trace());
    assert_eq!(tape.len(), n_nodes);
    Ok(())
}

#[test]
fn untracked_nodes_have_a_counter_of_their_own() -> Tested {
    let tape = Tape::<f64>::new();
    let x = tape.var(2.0);
    let limit = tape.constant(1.0);
    let y = x.gt(limit).where_(x * x, -0.5).named("y");
    let z = (y.detach() - x).named("z");
    tape.backward(z, x)?; // Records nothing, and shows nothing.
    expect![[r#"
        v0 = 2.0000
        c0 = 1.0000
        c1 = v0 > c0
        v1 = v0 * v0
        c2 = -0.5000
        y = c1.where_(v1, c2)
        c3 = y.detach()
        z = c3 - v0
    "#]]
    .assert_eq(&tape.trace().to_string());
    Ok(())
}

#[test]
fn names_are_made_unique_and_unlike_numbers() {
    let tape = Tape::<f64>::new();
    let x = tape.named_var(1.0, "x");
    let y = (x + 1.0).named("x");
    let z = (y * 2.0).named("x_2").named("v1");
    let c = (z - x).named("c7");
    let empty = (c * c).named("");
    let letter = (empty + 0.5).named("v");
    let _ = letter.exp().named("x").cos().named("v12x");
    expect![[r#"
        x = 1.0000
        x_2 = x + 1
        v1_2 = x_2 * 2
        c7_2 = v1_2 - x
        v0 = c7_2 * c7_2
        v = v0 + 0.5
        x_3 = v.exp()
        v12x = x_3.cos()
    "#]]
    .assert_eq(&tape.trace().to_string());
}

#[test]
fn a_name_with_control_characters_stays_on_its_line() {
    let tape = Tape::<f64>::new();
    let _ = tape.named_var(1.0, "two\nlines").exp();
    expect![[r#"
        two\nlines = 1.0000
        v0 = two\nlines.exp()
    "#]]
    .assert_eq(&tape.trace().to_string());
}

#[test]
fn operations_show_their_parameters() {
    let tape = Tape::<Reference>::new();
    let x = tape.named_var(vec![1.0, 2.0], "x");
    let _ = ((x * 2.0 + 1.5 - 0.25) / 4.0).powf(0.5).powi(-3).maximum(x).minimum(0.5);
    let _ = x.expand([3, 2]).sum_keepdim([0, -1]).reshape([1]).mean_axes(0);
    let _ = x.expand([3, 2]).transpose(0, 1).max_axes(-1).narrow(0, 1, 1).index_select(0, &[0, 0]);
    let _ = x.expand([3, 2]).sum_to([1, 2]).matmul(x.reshape([2, 1]));
    expect![[r#"
        x = [1.0000, 2.0000]
        v0 = x * 2
        v1 = v0 + 1.5
        v2 = v1 - 0.25
        c0 = 4.0000
        v3 = v2 / c0
        v4 = v3.powf(0.5)
        v5 = v4.powi(-3)
        v6 = v5.maximum(x)
        c1 = 0.5000
        v7 = v6.minimum(c1)
        v8 = x.expand([3, 2])
        v9 = v8.sum_keepdim([0, 1])
        v10 = v9.reshape([1])
        v11 = v10.mean_axes([0])
        v12 = x.expand([3, 2])
        v13 = v12.permute([1, 0])
        v14 = v13.max_axes([1])
        v15 = v14.slice([1..2])
        v16 = v15.index_select(0, [0, 0])
        v17 = x.expand([3, 2])
        v18 = v17.sum_to([1, 2])
        v19 = x.reshape([2, 1])
        v20 = v18.matmul(v19)
    "#]]
    .assert_eq(&tape.trace().to_string());
}

#[test]
fn a_pruned_sweep_shows_what_it_found() -> Tested {
    let tape = Tape::<f64>::new();
    let (x, w) = (tape.named_var(2.0, "x"), tape.named_var(3.0, "w"));
    let y = (w * x.sin()).named("y");
    tape.grad(y, [x]);
    expect![[r#"
        x = 2.0000
        w = 3.0000
        v0 = x.sin()
        y = w * v0
        dy ---------------
        v2 = v1 * w
        v3 = x.cos()
        v4 = v2 * v3
        dy_dy = v1
        dy_dv0 = v2
        dy_dx = v4
        ------------------
    "#]]
    .assert_eq(&tape.trace().to_string());
    Ok(())
}

#[test]
fn a_forward_sweep_shows_tangents() -> Tested {
    let tape = Tape::<f64>::new();
    let x = tape.named_var(2.0, "x");
    let t = tape.constant(1.0).named("t");
    let y = (x * x).exp().named("y");
    tape.jvp(y, [(x, t)]);
    expect![[r#"
        x = 2.0000
        t = 1.0000
        v0 = x * x
        y = v0.exp()
        y_dot ------------
        v1 = t * x
        v2 = t * x
        v3 = v1 + v2
        v4 = v3 * y
        x_dot = t
        v0_dot = v3
        y_dot = v4
        ------------------
    "#]]
    .assert_eq(&tape.trace().to_string());
    Ok(())
}

/// x², by a sweep inside of its rule.
struct SquareBySweep;

impl Elementwise for SquareBySweep {
    const NAME: &'static str = "square_by_sweep";

    fn forward<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error> {
        x[0].mul(x[0])
    }

    fn partial<'t, T: TensorLike>(&self, _: usize, p: &Primal<'t, T>, c: Var<'t, T>) -> Var<'t, T> {
        let x = p.x(0);
        p.tape().vjp(x * x, c, x)
    }
}

#[test]
fn the_brackets_of_a_sweep_in_a_sweep_nest() -> Tested {
    let tape = Tape::<f64>::new();
    let x = tape.named_var(3.0, "x");
    let y = tape.apply(ByPartial::new(SquareBySweep), &[x]).named("y");
    let dx = tape.grad(y, x);
    assert_eq!(dx.item()?, 6.0);
    expect![[r#"
        x = 3.0000
        y = x.square_by_sweep()
        dy ---------------
        v1 = x * x
        dv1 --------------
        v2 = v0 * x
        v3 = v0 * x
        v4 = v2 + v3
        dv1_dv1 = v0
        dv1_dx = v4
        ------------------
        dy_dy = v0
        dy_dx = v4
        ------------------
    "#]]
    .assert_eq(&tape.trace().to_string());
    let dot = tape.trace().to_dot();
    assert_eq!(dot.matches('{').count(), dot.matches('}').count());
    Ok(())
}

#[test]
fn void_handles_and_failed_sweeps_leave_no_trace() {
    let tape = Tape::<f64>::new();
    let x = tape.named_var(1.0, "x");
    let void = x.expand([3]) * x;
    assert!(tape.grad(void, x).is_void() && tape.backward(void, x).is_err());
    assert_eq!(tape.trace().to_string(), "x = 1.0000\n");
}

#[test]
fn an_empty_tape_has_an_empty_trace() {
    let trace = Tape::<f64>::new().trace();
    assert_eq!(trace.to_string(), "");
    assert_eq!(trace.to_mermaid(), "flowchart LR\n");
    assert_eq!(
        trace.to_dot(),
        "digraph trace {\n    rankdir=LR;\n    node [fontname=monospace];\n}\n"
    );
}

#[test]
fn tensors_are_written_on_one_line_and_long_ones_abbreviated() {
    let iota: Vec<f64> = (0..100).map(f64::from).collect();
    let cases: [(&[usize], &[f64], &str); 12] = [
        (&[], &[2.5], "2.5000"),
        (&[2], &[2.692, 13.6568], "[ 2.6920, 13.6568]"),
        (&[2], &[-0.5, 1.0], "[-0.5000,  1.0000]"),
        (&[2, 2], &iota[..4], "[[0.0000, 1.0000], [2.0000, 3.0000]]"),
        (&[0], &[], "[]"),
        (&[2, 0], &[], "[[], []]"),
        (&[0, 2], &[], "[]"),
        (&[8], &iota[..8], "[0.0000, 1.0000, 2.0000, 3.0000, 4.0000, 5.0000, 6.0000, 7.0000]"),
        (&[100], &iota, "[ 0.0000,  1.0000,  2.0000, ..., 97.0000, 98.0000, 99.0000]"),
        (
            &[10, 1],
            &iota[..10],
            "[[0.0000], [1.0000], [2.0000], ..., [7.0000], [8.0000], [9.0000]]",
        ),
        (&[3], &[f64::NAN, f64::INFINITY, f64::NEG_INFINITY], "[ NaN,  inf, -inf]"),
        (&[2], &[1e-9, 2.5e-7], "[1.0000e-9, 2.5000e-7]"),
    ];
    for (shape, data, expected) in cases {
        assert_eq!(format_host(shape, data), expected);
    }
}

#[test]
fn drawings_show_nodes_sweeps_and_edges() -> Tested {
    let tape = Tape::<f64>::new();
    let x = tape.named_var(3.0, "say \"x\" <b> \\ #1");
    tape.grad(x.exp(), x);
    let trace = tape.trace();
    expect![[r#"
        digraph trace {
            rankdir=LR;
            node [fontname=monospace];
            n0 [label="say \"x\" <b> \\ #1 = 3.0000", shape=ellipse];
            n1 [label="v0 = say \"x\" <b> \\ #1.exp()", shape=box];
            subgraph cluster_0 { label="dv0";
                n2 [label="v1 = seed", shape=ellipse];
                n3 [label="v2 = v1 * v0", shape=box];
            }
            n0 -> n1;
            n2 -> n3;
            n1 -> n3;
        }
    "#]]
    .assert_eq(&trace.to_dot());
    expect![[r#"
        flowchart LR
            n0(["say #quot;x#quot; #lt;b#gt; \ #35;1 = 3.0000"])
            n1["v0 = say #quot;x#quot; #lt;b#gt; \ #35;1.exp()"]
            subgraph s0 ["dv0"]
                n2(["v1 = seed"])
                n3["v2 = v1 * v0"]
            end
            n0 --> n1
            n2 --> n3
            n1 --> n3
    "#]]
    .assert_eq(&trace.to_mermaid());
    Ok(())
}

#[cfg(feature = "serde")]
#[test]
fn data_are_well_formed_json() -> Tested {
    let tape = Tape::<Reference>::new();
    original(&tape)?;
    let _ = tape.named_var(vec![f64::NAN, f64::INFINITY], "\"quoted\"\n");
    let trace = tape.trace();
    let json = serde_json::to_value(&trace).expect("nothing that JSON cannot say");
    let nodes = json["nodes"].as_array().expect("a list");
    assert_eq!(nodes.len(), tape.len());
    assert_eq!(nodes[2]["label"], "v0");
    assert_eq!(nodes[2]["op"], "add");
    assert_eq!(nodes[2]["expression"], "a + b");
    assert_eq!(nodes[2]["inputs"], serde_json::json!([0, 1]));
    assert_eq!(nodes[2]["shape"], serde_json::json!([4]));
    assert_eq!(nodes[2]["tracked"], true);
    assert!(nodes[2]["location"].as_str().expect("a text").starts_with(file!()));
    assert_eq!(json["sweeps"][1]["label"], "dL1");
    assert_eq!(json["sweeps"][1]["derivatives"].as_array().map(Vec::len), Some(12));
    // Places point at nodes.
    for sweep in json["sweeps"].as_array().expect("a list") {
        for derivative in sweep["derivatives"].as_array().expect("a list") {
            assert!(derivative["node"].as_u64().expect("a place") < nodes.len() as u64);
        }
    }
    Ok(())
}
