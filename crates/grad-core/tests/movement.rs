//! Moving, indexing, joining, convolution and pooling: values, derivatives and errors at the corners.

use std::error::Error;

use grad_conformance::Reference;
use grad_core::{Conv, ErrorKind, Index, Pool, Shape, Slice, TensorLike, Var, Window};

type Tested = Result<(), Box<dyn Error>>;
type Tape = grad_core::Tape<Reference>;
type Handle<'t> = Var<'t, Reference>;

const INF: f64 = f64::INFINITY;

fn tensor(shape: impl Into<Shape>, data: &[f64]) -> Reference {
    Reference::new(shape, data.to_vec()).expect("the test gives one number an element")
}

/// 1, 2, 3, … in a shape.
fn count(shape: impl Into<Shape>) -> Reference {
    let shape = shape.into();
    let n = shape.iter().product();
    tensor(shape, &(1..=n).map(|i: usize| i as f64).collect::<Vec<_>>())
}

fn index(shape: impl Into<Shape>, data: &[usize]) -> Index {
    Index::new(shape, data).expect("the test gives one number an element")
}

fn window(size: usize, step: usize, dilation: usize) -> Window {
    Window { size, step, dilation }
}

#[track_caller]
fn assert_value(x: Handle<'_>, shape: &[usize], data: &[f64]) {
    let value = x.value().expect("the value is computed");
    assert_eq!((value.shape(), value.data()), (shape, data));
}

/// The gradient of `sum(y · [1, 2, 3, ..])`, so that each element of the cotangent is another.
fn pulled<'t>(y: Handle<'t>, x: Handle<'t>) -> Result<Vec<f64>, grad_core::Error> {
    let ct = count(y.shape()?);
    Ok(y.tape().plain().vjp(y, ct, x)?.data().to_vec())
}

// Traps: corners where engines differ or answer NaN.

#[test]
fn where_has_no_gradient_through_the_branch_that_is_not_chosen() -> Tested {
    let tape = Tape::new();
    let x = tape.var(tensor([3], &[-1.0, 0.0, 4.0]));
    let y = x.gt(0.0).where_(x.sqrt(), 0.0);
    assert_value(y, &[3], &[0.0, 0.0, 2.0]);
    let dx = tape.grad(y.sum(), x);
    assert_value(dx, &[3], &[0.0, 0.0, 0.25]); // 1 / (2 √x)
    assert_value(tape.grad(dx.sum(), x), &[3], &[0.0, 0.0, -1.0 / 32.0]); // −1 / (4 x √x)
    Ok(())
}

#[test]
fn one_element_and_none_broadcast_to_none() -> Tested {
    let tape = Tape::new();
    let (x, y) = (tape.var(tensor([1], &[5.0])), tape.var(tensor([0], &[])));
    let sum = x + y;
    assert_value(sum, &[0], &[]);
    let [dx, dy] = tape.backward(sum.sum(), [x, y])?;
    assert_eq!((dx, dy), (tensor([1], &[0.0]), tensor([0], &[])));
    Ok(())
}

#[test]
fn two_elements_and_none_do_not_broadcast() {
    let tape = Tape::new();
    let sum = tape.var(count([2])) + tape.var(tensor([0], &[]));
    let error = sum.value().expect_err("the shapes differ").to_string();
    assert!(error.starts_with("add: shapes [2] and [0] do not broadcast, at "), "{error}");
}

#[test]
fn scatter_lets_the_last_one_win_and_it_alone_has_the_gradient() -> Tested {
    let tape = Tape::new();
    let (x, s) = (tape.var(count([3])), tape.var(tensor([4], &[10.0, 20.0, 30.0, 40.0])));
    let y = x.scatter(0, [2, 0, 2, 0], s);
    assert_value(y, &[3], &[40.0, 2.0, 30.0]);
    assert_eq!(pulled(y, x)?, [0.0, 2.0, 0.0]);
    assert_eq!(pulled(y, s)?, [0.0, 0.0, 3.0, 1.0]);
    Ok(())
}

#[test]
fn what_scatter_writes_over_has_no_influence_even_if_infinite() -> Tested {
    let tape = Tape::new();
    let x = tape.var(tensor([2], &[f64::NAN, 1.0]));
    let s = tape.var(tensor([3], &[INF, f64::NAN, 7.0]));
    let y = x.scatter(0, [0, 0, 0], s);
    assert_value(y, &[2], &[7.0, 1.0]);
    // Through √ at what was written over, which has an infinite derivative at 0.
    let zero = tape.var(tensor([3], &[0.0, 0.0, 4.0]));
    assert_eq!(pulled(x.scatter(0, [0, 0, 0], zero.sqrt()), zero)?, [0.0, 0.0, 0.25]);
    Ok(())
}

#[test]
fn scatter_of_rows_lets_the_last_one_win_element_by_element() -> Tested {
    let tape = Tape::new();
    let (x, s) = (tape.var(count([2, 2])), tape.var(tensor([2, 2], &[5.0, 6.0, 7.0, 8.0])));
    let y = x.scatter(0, index([2, 2], &[1, 0, 1, 1]), s);
    assert_value(y, &[2, 2], &[1.0, 6.0, 7.0, 8.0]);
    assert_eq!(pulled(y, s)?, [0.0, 2.0, 3.0, 4.0]);
    Ok(())
}

#[test]
fn scatter_add_and_index_add_add_up_what_goes_to_one_place() -> Tested {
    let tape = Tape::new();
    let (x, s) = (tape.var(count([3])), tape.var(tensor([3], &[10.0, 20.0, 30.0])));
    for y in [x.scatter_add(0, [2, 0, 2], s), x.index_add(0, &[2, 0, 2], s)] {
        assert_value(y, &[3], &[21.0, 2.0, 43.0]);
        assert_eq!(pulled(y, x)?, [1.0, 2.0, 3.0]);
        assert_eq!(pulled(y, s)?, [3.0, 1.0, 3.0]);
    }
    Ok(())
}

#[test]
fn what_is_taken_twice_gets_both_cotangents() -> Tested {
    let tape = Tape::new();
    let x = tape.var(count([3, 1]));
    let taken = [
        x.index_select(0, &[2, 0, 2]),
        x.gather(0, index([3, 1], &[2, 0, 2])),
        x.take([2, 0, 2]),
        x.embedding([2, 0, 2]),
    ];
    for y in taken {
        assert_eq!(y.to_host()?, [3.0, 1.0, 3.0]);
        assert_eq!(pulled(y, x)?, [2.0, 0.0, 4.0]); // 1 + 3 at place 2
    }
    Ok(())
}

#[test]
fn ties_in_max_pooling_share_equally() -> Tested {
    let tape = Tape::new();
    let x = tape.var(tensor([1, 1, 2, 4], &[3.0, 1.0, 2.0, 2.0, 3.0, 3.0, 2.0, 2.0]));
    let y = x.max_pool2d(2);
    assert_value(y, &[1, 1, 1, 2], &[3.0, 2.0]);
    // The cotangents 1 and 2: a third each for three threes, a half each for four twos.
    let third = 1.0 / 3.0;
    assert_eq!(pulled(y, x)?, [third, 0.0, 0.5, 0.5, third, third, 0.5, 0.5]);
    Ok(())
}

#[test]
fn max_pooling_pads_with_minus_infinity() -> Tested {
    let tape = Tape::new();
    let x = tape.var(tensor([1, 1, 2, 2], &[-4.0, -3.0, -2.0, -1.0]));
    let y = x.max_pool2d(Pool::new(2).padding(1));
    assert_value(y, &[1, 1, 2, 2], &[-4.0, -3.0, -2.0, -1.0]);
    assert_eq!(pulled(y, x)?, [1.0, 2.0, 3.0, 4.0]);
    Ok(())
}

#[test]
fn an_element_in_several_windows_gets_the_cotangents_of_all() -> Tested {
    let tape = Tape::new();
    let x = tape.var(tensor([1, 1, 1, 4], &[1.0, 5.0, 2.0, 3.0]));
    let y = x.max_pool2d(Pool::new([1, 2]).stride(1));
    assert_value(y, &[1, 1, 1, 3], &[5.0, 5.0, 3.0]);
    assert_eq!(pulled(y, x)?, [0.0, 3.0, 0.0, 3.0]);
    Ok(())
}

// Values of padding and masks that are not finite.

#[test]
fn padding_may_be_infinite_or_nan_and_has_no_gradient() -> Tested {
    let tape = Tape::new();
    let x = tape.var(tensor([2], &[-0.0, 2.0]));
    for value in [INF, -INF, 1.5] {
        let y = x.pad(&[(1, 2)], value);
        assert_value(y, &[5], &[value, -0.0, 2.0, value, value]);
        assert!(y.to_host()?[1].is_sign_negative());
        assert_eq!(pulled(y, x)?, [2.0, 3.0]);
        let t = tape.constant(tensor([2], &[3.0, 4.0]));
        assert_value(tape.jvp(y, [(x, t)]), &[5], &[0.0, 3.0, 4.0, 0.0, 0.0]);
    }
    assert!(x.pad(&[(1, 0)], f64::NAN).to_host()?[0].is_nan());
    Ok(())
}

#[test]
fn a_triangle_does_not_feel_infinities_in_the_other() -> Tested {
    let tape = Tape::new();
    let x = tape.var(tensor([2, 2], &[1.0, INF, f64::NAN, 4.0]));
    assert_value(x.tril(0).triu(0), &[2, 2], &[1.0, 0.0, 0.0, 4.0]);
    Ok(())
}

#[test]
fn masked_fill_drops_what_is_masked() -> Tested {
    let tape = Tape::new();
    let x = tape.var(tensor([3], &[0.0, 4.0, 9.0]));
    let mask = tape.constant(tensor([3], &[1.0, 0.0, 1.0]));
    let y = x.sqrt().masked_fill(mask, -INF);
    assert_value(y, &[3], &[-INF, 2.0, -INF]);
    assert_eq!(pulled(y, x)?, [0.0, 0.5, 0.0]); // 2 / (2 √4)
    Ok(())
}

// Values by hand.

#[test]
fn roll_takes_any_shift() {
    let tape = Tape::new();
    let x = tape.var(count([2, 3]));
    assert_value(x.roll(1, 1), &[2, 3], &[3.0, 1.0, 2.0, 6.0, 4.0, 5.0]);
    assert_value(x.roll(-1, -1), &[2, 3], &[2.0, 3.0, 1.0, 5.0, 6.0, 4.0]);
    assert_value(x.roll(1, -4), &[2, 3], &[2.0, 3.0, 1.0, 5.0, 6.0, 4.0]);
    assert_value(x.roll(0, isize::MIN), &[2, 3], x.to_host().as_deref().unwrap_or(&[]));
    assert_value(tape.var(tensor([0], &[])).roll(0, 5), &[0], &[]);
}

#[test]
fn copies_stand_beside_each_other_or_one_after_the_other() {
    let tape = Tape::new();
    let x = tape.var(count([1, 2]));
    assert_value(x.tile(&[2, 2]), &[2, 4], &[1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 1.0, 2.0]);
    assert_value(x.tile(&[2]), &[1, 4], &[1.0, 2.0, 1.0, 2.0]);
    assert_value(x.tile(&[2, 1, 1]), &[2, 1, 2], &[1.0, 2.0, 1.0, 2.0]);
    assert_value(x.repeat_interleave(1, 2), &[1, 4], &[1.0, 1.0, 2.0, 2.0]);
    assert_value(x.tile(&[0, 1]), &[0, 2], &[]);
    assert_value(tape.var(Reference::from(7.0)).tile(&[2]), &[2], &[7.0, 7.0]);
}

#[test]
fn diagonals_of_wide_and_tall_matrices() {
    let tape = Tape::new();
    assert_value(tape.var(count([2, 3])).diagonal(), &[2], &[1.0, 5.0]);
    assert_value(tape.var(count([3, 2])).diagonal(), &[2], &[1.0, 4.0]);
    assert_value(tape.var(count([2, 2, 2])).trace(), &[2], &[5.0, 13.0]);
    assert_value(tape.var(count([2])).diag(), &[2, 2], &[1.0, 0.0, 0.0, 2.0]);
    assert_value(tape.var(count([0, 3])).diagonal(), &[0], &[]);
    assert_value(tape.var(count([0])).diag(), &[0, 0], &[]);
    assert_value(tape.var(count([2, 3])).tril(-1), &[2, 3], &[0.0, 0.0, 0.0, 4.0, 0.0, 0.0]);
    assert_value(tape.var(count([2, 3])).triu(1), &[2, 3], &[0.0, 2.0, 3.0, 0.0, 0.0, 6.0]);
    assert_value(tape.var(count([1, 2])).triu(isize::MIN), &[1, 2], &[1.0, 2.0]);
}

#[test]
fn squeeze_leaves_an_axis_of_another_size() {
    let tape = Tape::new();
    let x = tape.var(count([2, 1]));
    assert_value(x.squeeze(-1), &[2], &[1.0, 2.0]);
    assert_value(x.squeeze(0), &[2, 1], &[1.0, 2.0]);
    assert_value(x.unsqueeze(-1).unsqueeze(0), &[1, 2, 1, 1], &[1.0, 2.0]);
    assert_value(tape.var(Reference::from(3.0)).unsqueeze(0), &[1], &[3.0]);
}

#[test]
fn split_undoes_concat() -> Tested {
    let tape = Tape::new();
    let x = tape.var(count([2, 5]));
    let parts = x.split(1, &[2, 0, 3]);
    let shapes: Vec<_> = parts.iter().map(|part| part.shape()).collect::<Result<_, _>>()?;
    assert_eq!(shapes, [Shape::from([2, 2]), Shape::from([2, 0]), Shape::from([2, 3])]);
    let y = tape.concat(&parts, -1);
    assert_value(y, &[2, 5], x.value()?.data());
    assert_eq!(pulled(y, x)?, count([10]).data());
    assert!(tape.var(count([0])).split(0, &[]).is_empty());
    Ok(())
}

#[test]
fn stack_makes_the_new_axis_where_it_is_told() {
    let tape = Tape::new();
    let (x, y) = (tape.var(count([2])), tape.var(tensor([2], &[3.0, 4.0])));
    assert_value(tape.stack(&[x, y], 0), &[2, 2], &[1.0, 2.0, 3.0, 4.0]);
    assert_value(tape.stack(&[x, y], -1), &[2, 2], &[1.0, 3.0, 2.0, 4.0]);
}

#[test]
fn concat_pulls_and_pushes_many_tensors_with_one_node_each() -> Tested {
    let tape = Tape::new();
    let x: Vec<Handle<'_>> = (0..50).map(|_| tape.var(count([2]))).collect();
    let y = tape.concat(&x, 0);
    let before = tape.len();
    // Of the others the tangents are zeros, and together they are joined once.
    let t = tape.constant(tensor([2], &[1.0, 2.0]));
    let tangent = tape.jvp(y, [(x[3], t)]);
    assert_eq!(tangent.to_host()?[5..9], [0.0, 1.0, 2.0, 0.0]);
    assert!(tape.nodes().skip(before).filter(|node| node.op == "concat").count() == 1);
    assert_eq!(pulled(y, x[3])?, [7.0, 8.0]);
    Ok(())
}

#[test]
fn windows_that_do_not_fit_are_left_out() -> Tested {
    let tape = Tape::new();
    let x = tape.var(count([5]));
    assert_value(x.unfold(0, window(2, 2, 1)), &[2, 2], &[1.0, 2.0, 3.0, 4.0]);
    assert_value(x.unfold(0, window(2, 1, 3)), &[2, 2], &[1.0, 4.0, 2.0, 5.0]);
    assert_value(x.unfold(0, window(6, 1, 1)), &[0, 6], &[]);
    assert_eq!(pulled(x.unfold(0, window(2, 1, 3)), x)?, [1.0, 3.0, 0.0, 2.0, 4.0]);
    assert_value(tape.var(count([1, 1, 1, 5])).avg_pool2d([1, 2]), &[1, 1, 1, 2], &[1.5, 3.5]);
    Ok(())
}

#[test]
fn convolution_slides_without_turning_the_kernel() -> Tested {
    let tape = Tape::new();
    let (x, w) = (tape.var(count([1, 1, 4])), tape.var(tensor([1, 1, 2], &[1.0, 10.0])));
    let y = x.conv1d(w, Conv::default());
    assert_value(y, &[1, 1, 3], &[21.0, 32.0, 43.0]); // 1 + 20, 2 + 30, 3 + 40
    assert_eq!(pulled(y, w)?, [14.0, 20.0]); // 1 + 2 · 2 + 3 · 3, 2 + 2 · 3 + 3 · 4
    assert_eq!(pulled(y, x)?, [1.0, 12.0, 23.0, 30.0]);
    let y = x.conv1d(w, Conv::default().stride(2).padding(1).dilation(2));
    assert_value(y, &[1, 1, 2], &[20.0, 42.0]); // 0 + 20, 2 + 40
    Ok(())
}

#[test]
fn groups_keep_to_themselves() {
    let tape = Tape::new();
    let x = tape.var(count([1, 2, 1, 2]));
    let w = tape.var(tensor([4, 1, 1, 1], &[1.0, 10.0, 100.0, 1000.0]));
    let y = x.conv2d(w, Conv::default().groups(2));
    let wanted = [1.0, 2.0, 10.0, 20.0, 300.0, 400.0, 3000.0, 4000.0];
    assert_value(y, &[1, 4, 1, 2], &wanted);
}

#[test]
fn transposed_convolution_is_the_transpose_of_convolution() -> Tested {
    let tape = Tape::new();
    let conv = Conv::default().stride([2, 1]).padding([1, 2]).dilation([1, 2]).groups(2);
    let (x, w) = (tape.var(count([2, 4, 5, 4])), tape.var(count([6, 2, 3, 2])));
    let y = x.conv2d(w, conv);
    // The kernel fits exactly, so that the transpose has the size of the input.
    assert_eq!(y.shape()?, Shape::from([2, 6, 3, 6]));
    let ct = tape.constant(count([2, 6, 3, 6]));
    let [dx] = tape.vjp(y, ct, [x]);
    assert_eq!(ct.conv_transpose2d(w, conv).value()?, dx.value()?);
    Ok(())
}

#[test]
fn empty_batches_go_through_convolution_and_pooling() -> Tested {
    let tape = Tape::new();
    let (x, w) = (tape.var(count([0, 1, 4, 4])), tape.var(count([2, 1, 2, 2])));
    let y = x.conv2d(w, Conv::default().padding(1)).max_pool2d(2).avg_pool2d([2, 1]);
    assert_value(y, &[0, 2, 1, 2], &[]);
    assert_eq!(pulled(y, w)?, [0.0; 8]);
    assert_value(x.conv_transpose2d(w.transpose(0, 1), Conv::default()), &[0, 2, 5, 5], &[]);
    Ok(())
}

#[test]
fn second_derivatives_pass_through_convolution() -> Tested {
    // y = (w x)²: ∂²y/∂w∂x = 4 w x, ∂³y/∂w²∂x = 4 x.
    let tape = Tape::new();
    let (x, w) = (tape.var(tensor([1, 1, 1], &[3.0])), tape.var(tensor([1, 1, 1], &[5.0])));
    let y = x.conv1d(w, Conv::default());
    let dw = tape.grad((y * y).sum(), w);
    let dwx = tape.grad(dw.sum(), x);
    assert_eq!((dwx.item()?, tape.backward(dwx.sum(), w)?.data()[0]), (60.0, 12.0));
    Ok(())
}

// Errors.

#[test]
fn bad_input_is_an_error_that_names_the_line_of_the_caller() {
    let tape = Tape::new();
    let (x, v) = (tape.var(count([2, 3])), tape.var(count([3])));
    let scalar = tape.var(Reference::from(1.0));
    let (image, kernel) = (tape.var(count([1, 2, 3, 3])), tape.var(count([2, 2, 2, 2])));
    let huge = usize::MAX / 2;
    let refused = [
        ("pad", x.pad(&[(1, 1)], 0.0)),
        ("pad", x.pad(&[(huge, huge), (0, huge)], 0.0)),
        ("flip", x.flip([0, 0])),
        ("flip", x.flip(2)),
        ("roll", x.roll(2, 1)),
        ("squeeze", x.squeeze(-3)),
        ("unsqueeze", x.unsqueeze(3)),
        ("expand", x.tile(&[huge, huge])),
        ("expand", x.repeat_interleave(0, huge)),
        ("repeat_interleave", x.repeat_interleave(2, 1)),
        ("tril", v.tril(0)),
        ("triu", v.triu(0)),
        ("diagonal", v.diagonal()),
        ("diagonal", v.trace()),
        ("diag", scalar.diag()),
        ("unslice", x.unslice([2, 2], &[Slice::all(2), Slice::all(3)])),
        ("concat", tape.concat(&[], 0)),
        ("concat", tape.concat(&[x, v], 0)),
        ("concat", tape.concat(&[x, x.transpose(0, 1)], 0)),
        ("concat", tape.concat(&[x], 2)),
        ("concat", tape.concat(&[scalar], 0)),
        ("stack", tape.stack(&[], 0)),
        ("stack", tape.stack(&[x, v], 0)),
        ("unsqueeze", tape.stack(&[x, x], 3)),
        ("split", x.split(1, &[1, 1])[1]),
        ("split", x.split(1, &[huge, huge, 4])[2]),
        ("split", x.split(1, &[])[0]),
        ("split", x.split(2, &[3])[0]),
        ("index_select", x.index_select(0, &[2])),
        ("index_add", x.index_add(0, &[2], x.narrow(0, 0, 1))),
        ("index_add", x.index_add(0, &[0, 1], x.narrow(0, 0, 1))),
        ("index_add", x.index_add(0, &[0], v)),
        ("index_add", x.index_add(2, &[0], v)),
        ("gather", x.gather(0, index([1, 3], &[0, 1, 2]))),
        ("gather", x.gather(0, index([1, 4], &[0, 1, 1, 1]))),
        ("gather", x.gather(0, [0, 1])),
        ("gather", x.gather(2, [0])),
        ("scatter_add", x.scatter_add(0, index([1, 3], &[0, 1, 2]), x.narrow(0, 0, 1))),
        ("scatter_add", x.scatter_add(0, index([1, 3], &[0, 1, 1]), x)),
        ("scatter_add", x.scatter_add(2, [0], v)),
        ("scatter", x.scatter(0, index([1, 3], &[0, 1, 2]), x.narrow(0, 0, 1))),
        ("scatter", x.scatter(0, index([1, 3], &[0, 1, 1]), x)),
        ("scatter", x.scatter(2, [0], v)),
        ("index_select", x.take([6])),
        ("index_select", x.embedding([2])),
        ("embedding", v.embedding([0])),
        ("where", x.masked_fill(tape.constant(count([2])), 0.0)),
        ("unfold", x.unfold(2, window(1, 1, 1))),
        ("unfold", x.unfold(0, window(0, 1, 1))),
        ("unfold", x.unfold(0, window(1, 0, 1))),
        ("unfold", x.unfold(0, window(1, 1, 0))),
        ("fold", x.fold(0, window(3, 1, 1), 5)),
        ("fold", x.fold(1, window(3, 1, 1), 4)),
        ("fold", scalar.fold(0, window(1, 1, 1), 1)),
        ("conv1d", image.conv1d(kernel, Conv::default())),
        ("conv2d", image.conv2d(kernel.narrow(1, 0, 1), Conv::default())),
        ("conv2d", image.conv2d(kernel, Conv::default().groups(0))),
        ("conv2d", image.conv2d(kernel, Conv::default().groups(3))),
        ("conv2d", image.conv2d(kernel, Conv::default().stride(0))),
        ("conv2d", image.conv2d(kernel, Conv::default().dilation(3))),
        ("conv2d", image.conv2d(kernel, Conv::default().dilation(huge))),
        ("pad", image.conv2d(kernel, Conv::default().padding(huge))),
        ("conv_transpose2d", image.conv_transpose2d(kernel.narrow(0, 0, 1), Conv::default())),
        ("conv_transpose2d", image.conv_transpose2d(kernel, Conv::default().padding(2))),
        ("conv_transpose2d", image.conv_transpose2d(kernel, Conv::default().stride(huge))),
        ("conv_transpose2d", image.conv_transpose2d(kernel, Conv::default().stride(0))),
        ("max_pool2d", x.max_pool2d(2)),
        ("max_pool2d", image.max_pool2d(4)),
        ("max_pool2d", image.max_pool2d(0)),
        ("max_pool2d", image.max_pool2d(Pool::new(2).stride(0))),
        ("max_pool2d", image.max_pool2d(Pool::new(2).padding(2))),
        ("avg_pool2d", image.avg_pool2d([1, 4])),
    ];
    for (op, handle) in refused {
        let error = handle.value().expect_err(op);
        assert_eq!((error.op(), error.location().file()), (op, file!()), "{error}");
    }
}

#[test]
fn a_window_that_cannot_be_says_why() {
    let tape = Tape::new();
    let (image, kernel) = (tape.var(count([1, 2, 3, 3])), tape.var(count([2, 2, 2, 2])));
    for (dilation, why) in
        [(0, "each must be at least 1"), (usize::MAX, "it would be longer than any axis")]
    {
        let conv = Conv::default().dilation(dilation);
        let error = image.conv2d(kernel, conv).value().expect_err("no window").to_string();
        let wanted = format!("there is no window of size 2, step 1, dilation {dilation}: {why}");
        assert!(error.contains(&wanted), "{error}");
    }
}

#[test]
fn indices_out_of_range_are_one_kind_of_error_everywhere() {
    let tape = Tape::new();
    let x = tape.var(count([3]));
    let one = tape.var(count([1]));
    let refused = [
        x.index_select(0, &[3]),
        x.index_add(0, &[3], one),
        x.gather(0, [3]),
        x.scatter_add(0, [3], one),
        x.scatter(0, [3], one),
        x.take([3]),
        x.unsqueeze(1).embedding([3]),
    ];
    for handle in refused {
        let kind = handle.value().map_err(|error| error.kind().clone());
        assert!(
            matches!(kind, Err(ErrorKind::IndexOutOfRange { index: 3, axis: 0, .. })),
            "{kind:?}"
        );
    }
}

#[test]
fn compositions_record_the_line_of_the_caller() {
    let tape = Tape::new();
    let x = tape.var(count([2, 2, 3, 3]));
    let w = tape.constant(count([2, 2, 2, 2]));
    let _ = (
        x.conv2d(w, Conv::default().padding(1)),
        x.conv_transpose2d(w, Conv::default().padding(1)),
    );
    let _ = (x.max_pool2d(Pool::new(2).padding(1)), x.avg_pool2d(2), x.tile(&[2, 1, 1, 1]));
    let _ = (x.repeat_interleave(1, 2), x.diagonal(), x.diag(), x.trace(), x.take([1]));
    let _ = (x.embedding([1]), x.split(1, &[1, 1]), tape.stack(&[x, x], 0), x.squeeze(0));
    let one = x.slice(&[Slice { start: 0, stop: 1, step: 1 }; 4]);
    let at = index([1; 4], &[1]);
    let _ = (x.scatter(0, at.clone(), one), x.scatter_add(0, at.clone(), one), x.gather(0, at));
    assert!(tape.nodes().all(|node| node.location.file() == file!()));
}

#[test]
fn void_and_foreign_handles_stay_void() {
    let (tape, other) = (Tape::new(), Tape::new());
    let (x, foreign) = (tape.var(count([2])), other.var(count([2])));
    let void = x.squeeze(7);
    for handle in [tape.concat(&[x, void], 0), tape.stack(&[void, x], 0), void.split(0, &[1, 1])[1]]
    {
        assert!(handle.value().is_err_and(|error| error.op() == "squeeze"));
    }
    for handle in [tape.concat(&[x, foreign], 0), x.index_add(0, &[0, 1], foreign)] {
        let kind = handle.value().map_err(|error| error.kind().clone());
        assert!(matches!(kind, Err(ErrorKind::ForeignHandle)), "{kind:?}");
    }
}
