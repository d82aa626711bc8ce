//! Kernels from rules: a rule is run once on symbols, and what it wrote down is a kernel.

use crate::ground::{DType, Kernel, Place, Shape, Source, Step};
use crate::kinds::Elementwise;
use crate::program::{Primitive, Program, Symbol};
use crate::tape::{Primal, Tape};

/// The kernel of `c · ∂y/∂x(arg)` for an elementwise operation. `None` if its rule does more than
/// elementwise arithmetic, or fails.
pub(crate) fn kernel_of<E: Elementwise>(op: &E, arg: usize) -> Option<Kernel> {
    let program = Program::new();
    let input = || program.input(Shape::scalar(), DType::F64);
    let mut sources = vec![Source::Derivative];
    let c = input();
    let x: Vec<Symbol> = (0..E::ARITY).map(|_| input()).collect();
    sources.extend((0..E::ARITY).map(Source::Argument));
    let y = input();
    sources.push(Source::Output);

    let tape = Tape::<Symbol>::new();
    let p = Primal::given(&tape, x, y);
    let result = op.partial(arg, &p, tape.constant(c)).value().ok()?;
    // A rule that asked for numbers may do something else when it gets them.
    line(&program, &result, &sources).filter(|_| !program.was_read())
}

/// The steps that lead to `result` as a straight line.
fn line(program: &Program, result: &Symbol, sources: &[Source]) -> Option<Kernel> {
    let needed = program.steps_of(result);
    let is_input = |primitive: &Primitive| matches!(primitive, Primitive::Input(_));
    let mut arguments = Vec::new();
    // Where each needed place of the program is in the kernel.
    let mut places: Vec<(usize, Place)> = Vec::with_capacity(needed.len());
    for (at, step) in needed.iter().filter(|(_, step)| is_input(&step.primitive)) {
        let Primitive::Input(number) = step.primitive else { continue };
        places.push((*at, arguments.len() as Place));
        arguments.push(*sources.get(number)?);
    }
    let mut steps: Vec<Step> = Vec::with_capacity(needed.len());
    for (at, step) in needed.iter().filter(|(_, step)| !is_input(&step.primitive)) {
        let place = |operand: usize| {
            let found = places.iter().find(|(at, _)| *at == operand);
            found.map(|&(_, place)| place)
        };
        let kernel_step = match (&step.primitive, &step.operands[..]) {
            (Primitive::Full(shape, value), []) if shape.rank() == 0 => Step::Constant(*value),
            (Primitive::Unary(function), &[x]) => Step::Unary(*function, place(x)?),
            (Primitive::Binary(function), &[x, y]) => Step::Binary(*function, place(x)?, place(y)?),
            (Primitive::Select, &[mask, x, y]) => Step::Select(place(mask)?, place(x)?, place(y)?),
            _ => return None,
        };
        // What a rule computes twice is computed once.
        let same = steps.iter().position(|other| *other == kernel_step);
        let step = same.unwrap_or_else(|| {
            steps.push(kernel_step);
            steps.len() - 1
        });
        places.push((*at, Place::try_from(arguments.len() + step).ok()?));
    }
    // A constant alone has no shape of its own.
    let is_last = places.last()?.1 as usize + 1 == arguments.len() + steps.len();
    (is_last && !arguments.is_empty()).then(|| Kernel::new(&arguments, steps))?
}
