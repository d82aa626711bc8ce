//! One program, any backend: the same numbers, and the same errors in the same words.
//!
//! This is the one crate that sees both backends. The reference backend of grad-core, which is
//! obviously right, stands beside them as the third.

use grad_candle::CandleTensor;
use grad_candle::candle_core::{Device, Tensor};
use grad_conformance::Reference;
use grad_core::{Error, Slice, Tape, TensorLike, Var};
use grad_ndarray::NdTensor;

/// A program for any tensor, told of the tensor by a scalar.
trait Program {
    type Output;

    fn run<T: TensorLike>(&self, model: T) -> Self::Output;
}

/// What a program gives on each backend in f64, with the backend's name.
fn in_f64<P: Program>(program: P) -> [(&'static str, P::Output); 3] {
    let candle = Tensor::new(0_f64, &Device::Cpu).expect("a scalar can be made");
    [
        ("reference", program.run(Reference::from(0.0))),
        ("ndarray", program.run(NdTensor::from(0_f64))),
        ("candle", program.run(CandleTensor::from(candle))),
    ]
}

/// What a program gives on each backend that has f32.
fn in_f32<P: Program>(program: P) -> [(&'static str, P::Output); 2] {
    let candle = Tensor::new(0_f32, &Device::Cpu).expect("a scalar can be made");
    [
        ("ndarray", program.run(NdTensor::from(0_f32))),
        ("candle", program.run(CandleTensor::from(candle))),
    ]
}

/// Checks numbers against expected ones, relative to their size where that is above 1.
#[track_caller]
fn assert_close(backend: &str, got: &[f64], expected: &[f64], tolerance: f64) {
    let close = |(&x, &y): (&f64, &f64)| (x - y).abs() <= tolerance * y.abs().max(1.0);
    let all = got.len() == expected.len() && got.iter().zip(expected).all(close);
    assert!(all, "{backend}: got {got:?}, expected {expected:?}");
}

/// A scalar on the tape.
fn scalar<'t, T: TensorLike>(tape: &'t Tape<T>, model: &T, value: f64) -> Var<'t, T> {
    tape.var(model.scalar(value).expect("a scalar can be made"))
}

/// The derivatives of `f` at `x`, up to the order `N`.
struct Derivatives<F, const N: usize> {
    f: F,
    at: f64,
}

/// A function of one number. (A closure cannot be generic over the tensor.)
trait Function {
    fn call<'t, T: TensorLike>(&self, x: Var<'t, T>) -> Var<'t, T>;
}

impl<F: Function, const N: usize> Program for Derivatives<F, N> {
    type Output = Result<[f64; N], Error>;

    fn run<T: TensorLike>(&self, model: T) -> Self::Output {
        let tape = Tape::new();
        let x = scalar(&tape, &model, self.at);
        let mut y = self.f.call(x);
        let mut derivatives = [0.0; N];
        for derivative in &mut derivatives {
            y = tape.grad(y, x);
            *derivative = y.item()?;
        }
        Ok(derivatives)
    }
}

/// x⁴ in the three ways a user may write it.
enum Fourth {
    Powi,
    Powf,
    Squares,
}

impl Function for Fourth {
    fn call<'t, T: TensorLike>(&self, x: Var<'t, T>) -> Var<'t, T> {
        match self {
            Fourth::Powi => x.powi(4),
            Fourth::Powf => x.powf(4.0),
            Fourth::Squares => (x * x) * (x * x),
        }
    }
}

#[test]
fn the_second_derivative_of_the_fourth_power_at_3_is_108() -> Result<(), Error> {
    // 4x³, 12x², 24x, 24, 0; candle's own graph says 36 for the second.
    let expected = [108.0, 108.0, 72.0, 24.0, 0.0];
    for f in [Fourth::Powi, Fourth::Powf, Fourth::Squares] {
        let program = Derivatives::<_, 5> { f, at: 3.0 };
        for (backend, derivatives) in in_f32(&program) {
            assert_close(backend, &derivatives?, &expected, 1e-5);
        }
        for (backend, derivatives) in in_f64(&program) {
            assert_close(backend, &derivatives?, &expected, 1e-13);
        }
    }
    Ok(())
}

impl<P: Program> Program for &P {
    type Output = P::Output;

    fn run<T: TensorLike>(&self, model: T) -> P::Output {
        P::run(self, model)
    }
}

struct SineOfSquare;

impl Function for SineOfSquare {
    fn call<'t, T: TensorLike>(&self, x: Var<'t, T>) -> Var<'t, T> {
        (x * x).sin()
    }
}

#[test]
fn the_second_derivative_of_the_sine_of_the_square_at_0_7_is_right() -> Result<(), Error> {
    // 2x cos(x²), 2 cos(x²) − 4x² sin(x²)
    let x: f64 = 0.7;
    let (sin, cos) = (x * x).sin_cos();
    let expected = [2.0 * x * cos, 2.0 * cos - 4.0 * x * x * sin];
    assert!((expected[1] - 0.842).abs() < 1e-3);
    let program = Derivatives::<_, 2> { f: SineOfSquare, at: x };
    for (backend, derivatives) in in_f32(&program) {
        assert_close(backend, &derivatives?, &expected, 1e-6);
    }
    for (backend, derivatives) in in_f64(&program) {
        assert_close(backend, &derivatives?, &expected, 1e-15);
    }
    Ok(())
}

struct Tanh;

impl Function for Tanh {
    fn call<'t, T: TensorLike>(&self, x: Var<'t, T>) -> Var<'t, T> {
        x.tanh()
    }
}

#[test]
fn the_derivatives_of_tanh_are_right_to_order_five() -> Result<(), Error> {
    for x in [-2.0, -0.3, 0.0, 0.6, 1.5_f64] {
        // With t = tanh x and t' = s = 1 − t², each is s times the t-derivative of the one before.
        let t = x.tanh();
        let s = 1.0 - t * t;
        let (t2, t4) = (t * t, t * t * t * t);
        let expected = [
            s,
            s * (-2.0 * t),
            s * (6.0 * t2 - 2.0),
            s * t * (16.0 - 24.0 * t2),
            s * (16.0 - 120.0 * t2 + 120.0 * t4),
        ];
        let program = Derivatives::<_, 5> { f: Tanh, at: x };
        for (backend, derivatives) in in_f32(&program) {
            assert_close(backend, &derivatives?, &expected, 1e-5);
        }
        for (backend, derivatives) in in_f64(&program) {
            assert_close(backend, &derivatives?, &expected, 1e-13);
        }
    }
    Ok(())
}

/// A perceptron with one hidden layer: its loss, its gradient, and the product of its Hessian with
/// a vector in two ways.
struct Mlp;

/// What [`Mlp`] computes: for each parameter, one after the other, its elements.
struct Trained {
    loss: f64,
    gradient: Vec<f64>,
    plain_gradient: Vec<f64>,
    reverse_over_reverse: Vec<f64>,
    forward_over_reverse: Vec<f64>,
}

/// Numbers between −1 and 1 without a pattern that matters.
fn numbers(seed: usize, n: usize) -> Vec<f64> {
    (0..n).map(|i| ((7.3 * (seed * 31 + i) as f64).sin() * 43.7).sin()).collect()
}

impl Program for Mlp {
    type Output = Result<Trained, Error>;

    fn run<T: TensorLike>(&self, model: T) -> Self::Output {
        let tape = Tape::new();
        let tensor = |seed: usize, shape: &[usize]| {
            let data = numbers(seed, shape.iter().product());
            model.from_host(shape, &data).expect("the data fill the shape")
        };
        let (x, y) = (tape.constant(tensor(0, &[6, 3])), tape.constant(tensor(1, &[6, 2])));
        let shapes: [&[usize]; 4] = [&[3, 5], &[5], &[5, 2], &[2]];
        let [w1, b1, w2, b2] = [0, 1, 2, 3].map(|i| tape.var(tensor(2 + i, shapes[i])));
        let v = [0, 1, 2, 3].map(|i| tape.constant(tensor(6 + i, shapes[i])));

        let hidden = (x.matmul(w1) + b1).tanh();
        let error = hidden.matmul(w2) + b2 - y;
        let loss = (error * error).mean();

        let parameters = [w1, b1, w2, b2];
        let plain = tape.backward(loss, parameters)?;
        let gradient = tape.grad(loss, parameters);
        let directional = gradient.iter().zip(v).map(|(&g, v)| (g * v).sum());
        let directional = directional.reduce(|sum, term| sum + term).unwrap_or(loss);
        let product = tape.grad(directional, parameters);
        // The same product the other way round: the gradient pushed forward along v.
        let tangents: Vec<_> = parameters.into_iter().zip(v).collect();
        let push = |&g| tape.jvp(g, tangents.iter().copied());
        let pushed: Vec<Var<'_, T>> = gradient.iter().map(push).collect();

        let all = |vars: &[Var<'_, T>]| {
            vars.iter().map(|var| var.to_host()).collect::<Result<Vec<_>, _>>().map(|x| x.concat())
        };
        Ok(Trained {
            loss: loss.item()?,
            gradient: all(&gradient)?,
            plain_gradient: plain.iter().flat_map(|g| g.to_host().expect("a cpu reads")).collect(),
            reverse_over_reverse: all(&product)?,
            forward_over_reverse: all(&pushed)?,
        })
    }
}

#[test]
fn a_perceptron_has_the_same_hessian_on_every_backend() -> Result<(), Error> {
    let [(_, oracle), others @ ..] = in_f64(Mlp);
    let oracle = oracle?;
    assert_eq!(oracle.reverse_over_reverse.len(), 3 * 5 + 5 + 5 * 2 + 2);
    for (backend, trained) in others {
        let trained = trained?;
        assert_close(backend, &[trained.loss], &[oracle.loss], 1e-12);
        assert_close(backend, &trained.gradient, &oracle.gradient, 1e-12);
        assert_close(backend, &trained.plain_gradient, &oracle.gradient, 1e-12);
        assert_close(backend, &trained.reverse_over_reverse, &oracle.reverse_over_reverse, 1e-12);
        assert_close(backend, &trained.forward_over_reverse, &oracle.reverse_over_reverse, 1e-12);
    }
    for (backend, trained) in in_f32(Mlp) {
        let trained = trained?;
        assert_close(backend, &trained.reverse_over_reverse, &oracle.reverse_over_reverse, 1e-5);
    }
    Ok(())
}

/// What can go wrong with tensors of one dtype.
struct Failures;

/// What is said about each of [`Failures`], but for the places in this file.
const SAID: [&str; 24] = [
    "add: shapes [2] and [3] do not broadcast, at HERE",
    "where: shapes [2] and [3] do not broadcast, at HERE",
    "matmul: shapes [2, 3] and [2, 3] cannot be multiplied: the inner sizes differ, at HERE",
    "matmul: shape [] has too few axes: at least 1 needed, at HERE",
    "expand: shapes [2] and [4] are incompatible: the first does not broadcast to the second, at HERE",
    "expand: shape [18446744073709551615, 2] has more elements than memory can hold, at HERE",
    "reshape: shapes [2, 3] and [7] have different numbers of elements, at HERE",
    "permute: [0] is not a permutation of the axes of shape [2, 3], at HERE",
    "sum: axis 2 is out of range for a tensor of rank 2, at HERE",
    "sum: axis -2 is named twice, at HERE",
    "max: shape [2, 0] has no elements along the reduced axes, at HERE",
    "slice: slices [1..3] do not fit shape [2], at HERE",
    "index_select: index 3 is out of range for axis 1 of shape [2, 3], at HERE",
    "mul: the handle belongs to another tape, at HERE",
    "item: needs one element, got [2], at HERE",
    "grad: needs a one-element output, got [2]; use vjp, at HERE",
    "backward: needs a one-element output, got [2, 3]; use vjp, at HERE",
    "grad: no derivative with respect to an untracked handle (constant at HERE), at HERE",
    "grad: the handle belongs to another tape, at HERE",
    "vjp: expected a cotangent or tangent of shape [2], got [3], at HERE",
    "vjp: expected a cotangent or tangent of shape [2], got [3], at HERE",
    "jvp: expected a cotangent or tangent of shape [2], got [3], at HERE",
    "tape: the tape is full: it may hold 3 nodes, at HERE, while pulling back scale",
    "tape: the tape is full: it may hold 3 nodes, at HERE",
];

impl Program for Failures {
    type Output = Vec<Error>;

    fn run<T: TensorLike>(&self, model: T) -> Self::Output {
        fn error<X>(result: Result<X, Error>) -> Error {
            result.err().expect("this must fail")
        }
        let tape = Tape::<T>::new();
        let tensor = |shape: &[usize]| model.full(shape, 1.0).expect("small tensors can be made");
        let var = |shape: &[usize]| tape.var(tensor(shape));
        let (one, two, three, matrix) = (var(&[]), var(&[2]), var(&[3]), var(&[2, 3]));
        let constant = tape.constant(tensor(&[]));
        let (elsewhere, short) = (Tape::new(), Tape::<T>::with_limit(3));
        let foreign = elsewhere.var(tensor(&[]));
        let first = short.var(tensor(&[]));
        let last = first.scale(2.0);
        let beyond = Slice { start: 1, ..Slice::all(3) };
        vec![
            error((two + three).value()),
            error(one.where_(two, three).value()),
            error(matrix.matmul(matrix).value()),
            error(one.matmul(matrix).value()),
            error(two.expand([4]).value()),
            error(one.expand([usize::MAX, 2]).value()),
            error(matrix.reshape([7]).value()),
            error(matrix.permute([0]).value()),
            error(matrix.sum_axes([2]).value()),
            error(matrix.sum_axes([0, -2]).value()),
            error(var(&[2, 0]).max().value()),
            error(two.slice(&[beyond]).value()),
            error(matrix.index_select(1, &[0, 3]).value()),
            error((one * foreign).value()),
            error(two.item()),
            error(tape.grad(two, two).value()),
            error(tape.backward(matrix, two)),
            error(tape.grad(one, constant).value()),
            error(tape.grad(foreign, one).value()),
            error(tape.vjp(two, three, two).value()),
            error(tape.plain().vjp(two, tensor(&[3]), two)),
            error(tape.jvp(two, [(two, three)]).value()),
            error(short.grad(last, first).value()),
            error((last + last).value()),
        ]
    }
}

/// `text` with `HERE` for each place in this file.
fn without_places(text: &str) -> String {
    let mut parts = text.split(file!());
    let first = parts.next().unwrap_or_default().to_string();
    let after =
        |part: &str| part.trim_start_matches(|c: char| c == ':' || c.is_ascii_digit()).to_string();
    parts.fold(first, |text, part| text + "HERE" + &after(part))
}

#[test]
fn errors_say_the_same_on_every_backend() {
    let said = in_f64(Failures).map(|(backend, errors)| {
        let texts: Vec<String> = errors.iter().map(Error::to_string).collect();
        assert_eq!(
            texts.iter().map(|text| without_places(text)).collect::<Vec<_>>(),
            SAID,
            "{backend}"
        );
        texts
    });
    // The places too.
    assert!(said.iter().all(|texts| *texts == said[0]));
    let f32 = in_f32(Failures).map(|(_, errors)| errors.iter().map(Error::to_string).collect());
    assert!(f32.iter().all(|texts: &Vec<String>| *texts == said[0]));
}

/// An error whose line is known.
struct OneLine;

impl Program for OneLine {
    type Output = (u32, Option<Error>);

    fn run<T: TensorLike>(&self, model: T) -> Self::Output {
        let tape = Tape::<T>::new();
        let [x, y] = [2, 3].map(|n| tape.var(model.full(&[n], 1.0).expect("can be made")));
        let (line, sum) = (line!(), x + y);
        (line, (sum * 2.0).sum().exp().value().err())
    }
}

#[test]
fn an_error_names_the_line_where_it_began() {
    for (backend, (line, error)) in in_f64(OneLine) {
        let found =
            error.map(|error| (error.op(), error.location().file(), error.location().line()));
        assert_eq!(found, Some(("add", file!(), line)), "{backend}");
    }
}
