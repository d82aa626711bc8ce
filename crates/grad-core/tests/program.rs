//! Programs of symbols mean what they were written down from, and kernels what their rules say.

use grad_conformance::{Case, Reference, catalogue};
use grad_core::extend::{
    Binary, Build, ByPartial, Elementwise, Kernel, KernelStep as Step, Op, Partial, Primal, Source,
    Unary,
};
use grad_core::program::{Program, Symbol, SymbolError};
use grad_core::{DType, Error, Shape, Tape, TensorLike, Var};

/// The value of a case by way of symbols; `None` if it reads numbers, which symbols have not.
fn replayed(case: &Case<Symbol>, x: &[Reference]) -> Option<Reference> {
    let (program, tape) = (Program::new(), Tape::new());
    let input = |(shape, _): &(Shape, Vec<f64>)| program.input(shape.clone(), DType::F64);
    let symbols: Vec<Var<'_, Symbol>> =
        case.inputs.iter().map(input).map(|x| tape.var(x)).collect();
    let y = (case.apply)(&symbols).value().ok()?;
    Some(program.run(&y, x).expect("what was written down can be run"))
}

#[test]
fn operations_run_on_symbols_compute_the_same_bits() {
    let (mut n_replayed, mut read_numbers) = (0, Vec::new());
    let cases = catalogue::<Symbol>().into_iter().zip(catalogue::<Reference>());
    for (symbolic, case) in cases {
        let model = Reference::from(0.0);
        let x = case.inputs.iter().map(|(shape, data)| model.from_host(shape, data));
        let x: Vec<Reference> = x.collect::<Result<_, _>>().expect("inputs of the catalogue");
        let tape = Tape::new();
        let vars: Vec<Var<'_, Reference>> = x.iter().map(|x| tape.var(x.clone())).collect();
        let Ok(expected) = (case.apply)(&vars).value() else { continue };
        match replayed(&symbolic, &x) {
            Some(got) => {
                let bits = |x: &Reference| x.data().iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                assert_eq!(
                    (got.shape(), bits(&got)),
                    (expected.shape(), bits(&expected)),
                    "{case}"
                );
                n_replayed += 1;
            }
            None => read_numbers.push(case.call),
        }
    }
    assert!(n_replayed > 300, "only {n_replayed} cases");
    read_numbers.sort_unstable();
    read_numbers.dedup();
    // They choose by values: elements by their size, and for `det` the matrices that are singular.
    let chosen = ["graded(x).det()", "x.median()", "x.sort(-1)", "x.sort(0)", "x.topk(2)"];
    assert_eq!(read_numbers, chosen);
}

#[test]
fn a_gradient_can_be_written_down() -> Result<(), Error> {
    let (program, tape) = (Program::new(), Tape::new());
    let x = tape.var(program.input(Shape::from([3]), DType::F64));
    let y = (x.tanh() * x).sum();
    let dx = tape.grad(y, x);
    let dx = dx.value()?;
    let at = Reference::from(vec![0.5, -1.0, 2.0]);
    let got =
        program.run(&dx, std::slice::from_ref(&at)).expect("a program of elementwise primitives");
    let tape = Tape::<Reference>::new();
    let x = tape.var(at);
    assert_eq!(got.data(), tape.backward((x.tanh() * x).sum(), x)?.data());
    Ok(())
}

#[test]
fn a_symbol_has_no_numbers_and_knows_its_program() -> Result<(), SymbolError> {
    let (program, other) = (Program::new(), Program::new());
    let x = program.input(Shape::from([2]), DType::F64);
    let y = other.input(Shape::from([2]), DType::F64);
    assert_eq!(x.to_host(), Err(SymbolError::NoNumbers));
    assert!(matches!(x.add(&y), Err(SymbolError::OtherProgram)));
    let error = x.reshape(&[3]).expect_err("two elements are not three");
    assert_eq!(error.to_string(), "Reshape([3]) does not fit operands of shapes [[2]]");
    assert!(other.run(&x.exp()?, &[Reference::from(1.0)]).is_err());
    assert!(program.run::<Reference>(&x, &[]).is_err());
    Ok(())
}

/// The partial derivative of an operation as text.
fn text(op: &dyn Op<f64>, arg: usize) -> String {
    match op.body(Build::Now).partials().get(arg) {
        Some(Partial::Slope(slope)) => format!("slope {slope}"),
        Some(Partial::Factor(source)) => format!("factor {source:?}"),
        Some(Partial::Kernel(kernel)) => kernel.to_string(),
        Some(Partial::Unknown) => "unknown".to_string(),
        None => "no argument".to_string(),
    }
}

/// x² y, which states its partial derivatives as formulas.
struct SquareTimes;

impl Elementwise for SquareTimes {
    const NAME: &'static str = "square_times";
    const ARITY: usize = 2;

    fn forward<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error> {
        x[0].square()?.mul(x[1])
    }

    fn partial<'t, T: TensorLike>(
        &self,
        arg: usize,
        p: &Primal<'t, T>,
        c: Var<'t, T>,
    ) -> Var<'t, T> {
        match arg {
            0 => c * (p.x(0) * p.x(1) * 2.0),
            _ => c * p.x(0).square(),
        }
    }
}

#[test]
fn a_users_operation_gets_kernels_unasked() {
    let op = ByPartial::new(SquareTimes);
    assert_eq!(text(&op, 0), "v0 = mul x0 x1\nv1 = scale 2 v0\nv2 = mul c v1");
    assert_eq!(text(&op, 1), "v0 = square x0\nv1 = mul c v0");
    assert_eq!(text(&op, 2), "no argument");
}

/// 3x, which states its derivative as a number.
struct Thrice;

impl Elementwise for Thrice {
    const NAME: &'static str = "thrice";

    fn forward<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error> {
        x[0].scale(3.0)
    }

    fn slope(&self, _: usize) -> Option<f64> {
        Some(3.0)
    }
}

#[test]
fn a_slope_is_stated_once_and_serves_every_sweep() -> Result<(), Error> {
    assert_eq!(text(&ByPartial::new(Thrice), 0), "slope 3");
    let tape = Tape::<f64>::new();
    let x = tape.var(2.0);
    let y = tape.apply(ByPartial::new(Thrice), &[x]);
    let recorded = tape.grad(y, x);
    assert_eq!((tape.backward(y, x)?, recorded.item()?), (3.0, 3.0));
    Ok(())
}

/// x, whose rule asks for a number, and goes on if it gets none.
struct Reads;

impl Elementwise for Reads {
    const NAME: &'static str = "reads";

    fn forward<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error> {
        Ok(x[0].clone())
    }

    fn partial<'t, T: TensorLike>(&self, _: usize, p: &Primal<'t, T>, c: Var<'t, T>) -> Var<'t, T> {
        match p.x(0).item() {
            Ok(x) if x > 0.0 => c * 1.0,
            Ok(_) => c * 2.0,
            Err(_) => c * 7.0,
        }
    }
}

#[test]
fn a_rule_that_reads_numbers_is_run_on_numbers() -> Result<(), Error> {
    let op = ByPartial::new(Reads);
    assert_eq!(text(&op, 0), "unknown");
    let tape = Tape::<f64>::new();
    let x = tape.var(-2.0);
    assert_eq!(tape.backward(tape.apply(op, &[x]), x)?, 2.0);
    Ok(())
}

#[test]
fn a_kernel_refuses_steps_that_use_what_is_not_there() {
    let arguments = [Source::Derivative, Source::Output];
    assert!(Kernel::new(&arguments, vec![]).is_none());
    assert!(Kernel::new(&arguments, vec![Step::Unary(Unary::Exp, 2)]).is_none());
    assert!(Kernel::new(&[], vec![Step::Constant(1.0)]).is_none());
    let steps = vec![Step::Unary(Unary::Exp, 1), Step::Binary(Binary::Mul, 0, 2)];
    let kernel = Kernel::new(&arguments, steps).expect("each step uses what is before it");
    assert_eq!(kernel.to_string(), "v0 = exp y\nv1 = mul c v0");
    // 3 e² on numbers, in registers and step by step.
    let (c, y) = (3.0, 2.0);
    let expected = 3.0 * 2f64.exp();
    assert_eq!(f64::evaluate(&kernel, &[&c, &y]), Ok(expected));
    assert_eq!(kernel.step_by_step(&[&c, &y]), Ok(expected));
    let error = f64::evaluate(&kernel, &[&c]).expect_err("one argument is missing");
    let expected = "a kernel with another number of arguments is unsupported by this backend (f64)";
    assert_eq!(error.to_string(), expected);
}
