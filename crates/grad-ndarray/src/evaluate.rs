//! Kernels of several steps in one pass over memory.
//!
//! Each block of elements goes through all steps before the next one, so that what is between two
//! steps stays in the cache. A step on a block is the same loop that goes over whole tensors, and
//! gives the same bits. Steps that need fewer elements, on numbers and on tensors that broadcast,
//! come before the pass.

use std::borrow::Cow;
use std::iter;
use std::mem;
use std::ops::Range;
use std::slice;

use grad_core::extend::{Kernel, KernelStep, Place, Shape, Unary};
use smallvec::SmallVec;

use crate::base::Base;
use crate::element::Element;
use crate::elementwise::{laid_out, select};
use crate::error::NdError;
use crate::formula::{self, Pair};
use crate::simd;
use crate::strided::Strided;
use crate::tensor::{NdTensor, Repr, buffer, row_major};
use crate::threads;
use crate::walk::Walk;

const OP: &str = "evaluate";

/// The size of a block in bytes: a few of them fit the first cache.
const BLOCK: usize = 8192;

/// Below so many bytes, and for fewer steps than these, a pass saves less than it takes to plan it.
const LARGE: usize = 32 << 10;
const MANY: usize = 5;

/// The least length of a row of what broadcasts, so that copying rows is not slow.
const ROW: usize = 64;

/// The last step of `kernel` for the arguments `x`.
pub(crate) fn evaluate<A: Element>(
    kernel: &Kernel,
    x: &[&NdTensor<A>],
) -> Result<NdTensor<A>, NdError> {
    let shapes = if is_worth_a_plan(kernel, x) { shapes(kernel, x) } else { None };
    let Some((shape, out)) = shapes else { return kernel.step_by_step(x) };
    let mut inputs = Inputs { all: SmallVec::new(), shape };
    let values = inputs.values(kernel, x)?;
    let result = match values.last() {
        Some(Value::Number(value)) => return Ok(NdTensor::fill(*value, out)),
        Some(Value::Input(input)) => Some(inputs.all[*input].to_tensor()),
        _ => match Program::new(kernel, &values, &inputs) {
            Some(program) if program.is_worthwhile() => program.run(&inputs)?,
            _ => None,
        },
    };
    match result {
        Some(result) => Ok(result.stretched(out)),
        None => kernel.step_by_step(x),
    }
}

fn is_worth_a_plan<A: Element>(kernel: &Kernel, x: &[&NdTensor<A>]) -> bool {
    let n_bytes = |x: &&NdTensor<A>| match &x.0 {
        Repr::Dense { base, .. } => base.len() * size_of::<A>(),
        Repr::Fill { .. } => 0,
    };
    let n_bytes = x.iter().map(n_bytes).max().unwrap_or(0);
    let steps = kernel.steps().iter().filter(|step| !matches!(step, KernelStep::Constant(_)));
    let n_steps = steps.count();
    n_bytes > 0 && n_steps > 1 && (n_steps >= MANY || n_bytes >= LARGE)
}

/// What the arrays of the arguments broadcast to, without pending broadcasts, and what the arguments
/// do. `None` where going step by step is simpler, or gives an error.
fn shapes<A: Element>(kernel: &Kernel, x: &[&NdTensor<A>]) -> Option<(Shape, Shape)> {
    if x.len() != kernel.arguments().len() || !uses_all(kernel) {
        return None;
    }
    let bases = x.iter().filter_map(|x| match &x.0 {
        Repr::Dense { base, .. } => Some(base.shape()),
        Repr::Fill { .. } => None,
    });
    let (dense, out) = (broadcast(bases)?, broadcast(x.iter().map(|x| x.shape_slice()))?);
    let has_elements = out.n_elements().is_some_and(|n| n > 0);
    has_elements.then_some((dense, out))
}

/// The shape that all shapes broadcast to.
fn broadcast<'a>(shapes: impl Iterator<Item = &'a [usize]> + Clone) -> Option<Shape> {
    let first = shapes.clone().find(|shape| !shape.is_empty()).unwrap_or(&[]);
    let mut others = shapes.filter(|shape| *shape != first && !shape.is_empty());
    others.try_fold(Shape::from(first), |all, shape| all.broadcast(shape))
}

/// True if the last step depends on all arguments, so that its shape is what they broadcast to.
fn uses_all(kernel: &Kernel) -> bool {
    let n = kernel.arguments().len();
    if n > 63 {
        return false;
    }
    let mut uses: SmallVec<[u64; 16]> = (0..n).map(|argument| 1 << argument).collect();
    for step in kernel.steps() {
        uses.push(operands(step).iter().flatten().fold(0, |all, &x| all | uses[usize::from(x)]));
    }
    uses.last() == Some(&((1 << n) - 1))
}

/// The places that a step reads.
fn operands(step: &KernelStep) -> [Option<Place>; 3] {
    match *step {
        KernelStep::Constant(_) => [None; 3],
        KernelStep::Unary(_, x) => [Some(x), None, None],
        KernelStep::Binary(_, x, y) => [Some(x), Some(y), None],
        KernelStep::Select(mask, x, y) => [Some(mask), Some(x), Some(y)],
    }
}

/// What is at a place of a kernel.
#[derive(Clone, Copy)]
enum Value<A> {
    /// One number.
    Number(A),
    /// An array that is there before the pass.
    Input(usize),
    /// The result of a step, which the pass computes.
    Step(usize),
}

type Values<A> = SmallVec<[Value<A>; 16]>;

/// An array that is there before the pass.
struct Input<'a, A: Element> {
    base: Cow<'a, Base<A>>,
    /// True if it has an element for each that the pass computes, false if it broadcasts.
    is_whole: bool,
}

impl<A: Element> Input<'_, A> {
    fn to_tensor(&self) -> NdTensor<A> {
        NdTensor::from_base(self.base.as_ref().clone())
    }
}

/// Those of the arguments, and what was made of them where they broadcast.
struct Inputs<'a, A: Element> {
    all: SmallVec<[Input<'a, A>; 4]>,
    /// What the arguments broadcast to. The pass computes so many elements.
    shape: Shape,
}

impl<'a, A: Element> Inputs<'a, A> {
    /// What is at the places of `kernel`.
    fn values(&mut self, kernel: &Kernel, x: &[&'a NdTensor<A>]) -> Result<Values<A>, NdError> {
        let mut values = Values::new();
        for x in x {
            values.push(match &x.0 {
                Repr::Fill { value, .. } => Value::Number(*value),
                Repr::Dense { base, .. } => self.add(Cow::Borrowed(base)),
            });
        }
        for (at, step) in kernel.steps().iter().enumerate() {
            let value = self.value(at, step, &values)?;
            values.push(value);
        }
        Ok(values)
    }

    /// What step number `at` gives for the values before it.
    fn value(
        &mut self,
        at: usize,
        step: &KernelStep,
        values: &Values<A>,
    ) -> Result<Value<A>, NdError> {
        use Value::Number;
        let value = |place: Place| values[usize::from(place)];
        let tensor = match *step {
            KernelStep::Constant(number) => return Ok(Number(A::from_f64(number))),
            KernelStep::Unary(function, x) => match value(x) {
                x if formula::is_identity(function) => return Ok(x),
                Number(x) => return Ok(Number(formula::unary_once(function, x))),
                x => self.tensors([x]).map(|[x]| x.unary(function)),
            },
            KernelStep::Binary(function, x, y) => match (value(x), value(y)) {
                (x, Number(y)) if formula::is_right_identity(function, y) => return Ok(x),
                (Number(x), y) if formula::is_left_identity(function, x) => return Ok(y),
                (Number(x), Number(y)) => {
                    return Ok(Number(formula::pair_once(Pair::Function(function), x, y)));
                }
                (x, y) => self.tensors([x, y]).map(|[x, y]| x.binary(function, &y)),
            },
            KernelStep::Select(mask, x, y) => match (value(mask), value(x), value(y)) {
                (Number(mask), x, y) => return Ok(if mask != A::ZERO { x } else { y }),
                (mask, x, y) => self.tensors([mask, x, y]).map(|[m, x, y]| select(&m, &x, &y)),
            },
        };
        Ok(match tensor.transpose()?.map(|tensor| tensor.0) {
            None => Value::Step(at),
            Some(Repr::Fill { value, .. }) => Number(value),
            Some(Repr::Dense { base, .. }) => self.add(Cow::Owned(base)),
        })
    }

    fn add(&mut self, base: Cow<'a, Base<A>>) -> Value<A> {
        let is_whole = *base.shape() == *self.shape;
        self.all.push(Input { base, is_whole });
        Value::Input(self.all.len() - 1)
    }

    /// The values as tensors, if none of them is whole.
    fn tensors<const N: usize>(&self, values: [Value<A>; N]) -> Option<[NdTensor<A>; N]> {
        let mut tensors = values.map(|_| NdTensor::from(A::ZERO));
        for (tensor, value) in tensors.iter_mut().zip(values) {
            *tensor = match value {
                Value::Number(number) => NdTensor::from(number),
                Value::Input(input) if !self.all[input].is_whole => self.all[input].to_tensor(),
                _ => return None,
            };
        }
        Some(tensors)
    }

    /// The elements of all arrays as they lie in memory, if all are laid out like the first one.
    fn in_memory_order(&self) -> Option<(&Base<A>, Blocks<'_, A>)> {
        let model = self.all.first()?.base.as_ref();
        let mut blocks = SmallVec::new();
        for Input { base, is_whole } in &self.all {
            if !is_whole || base.strides() != model.strides() {
                return None;
            }
            blocks.push(Cow::Borrowed(base.as_slice_memory_order()?));
        }
        let is_forward = model.strides().iter().all(|&stride| stride >= 0);
        is_forward.then_some((model, blocks))
    }
}

/// What the pass does with each block.
struct Program<A> {
    /// In the order in which they run. The last one writes into the first register.
    instructions: SmallVec<[Instruction<A>; 8]>,
    /// The inputs that broadcast, and the registers that they are copied to.
    loads: SmallVec<[(usize, usize); 2]>,
    n_registers: usize,
}

#[derive(Clone, Copy)]
struct Instruction<A> {
    function: Function<A>,
    /// The register for the result: none that the function reads.
    to: usize,
}

#[derive(Clone, Copy)]
enum Function<A> {
    Unary(Unary, Operand<A>),
    Pair(Pair<A>, Operand<A>, Operand<A>),
    Select(Operand<A>, Operand<A>, Operand<A>),
}

#[derive(Clone, Copy)]
enum Operand<A> {
    Number(A),
    /// The block of an input that does not broadcast.
    Input(usize),
    Register(usize),
}

impl<A: Element> Program<A> {
    /// The steps that the last one needs; `None` if they need too many registers.
    fn new(kernel: &Kernel, values: &Values<A>, inputs: &Inputs<'_, A>) -> Option<Self> {
        let steps = kernel.steps();
        let mut registers = Registers::new(steps.len(), inputs.all.len());
        registers.homes[steps.len() - 1] = registers.take();
        let mut instructions = SmallVec::new();
        for (at, step) in steps.iter().enumerate().rev() {
            // What has no register is read by no step.
            let Some(to) = registers.homes[at] else { continue };
            let mut operand = |place: Place| registers.operand(values[usize::from(place)], inputs);
            let function = match *step {
                KernelStep::Constant(_) => continue,
                KernelStep::Unary(function, x) => Function::Unary(function, operand(x)?),
                KernelStep::Binary(function, x, y) => {
                    Function::Pair(Pair::Function(function), operand(x)?, operand(y)?)
                }
                KernelStep::Select(mask, x, y) => {
                    match (operand(mask)?, operand(x)?, operand(y)?) {
                        (mask, Operand::Number(x), y) => Function::Pair(Pair::ThisOr(x), mask, y),
                        (mask, x, Operand::Number(y)) => Function::Pair(Pair::OrThis(y), mask, x),
                        (mask, x, y) => Function::Select(mask, x, y),
                    }
                }
            };
            registers.give(to);
            instructions.push(Instruction { function, to });
        }
        instructions.reverse();
        let of_inputs = registers.homes[steps.len()..].iter().enumerate();
        let loads = of_inputs.filter_map(|(input, &register)| Some((input, register?))).collect();
        Some(Program { instructions, loads, n_registers: registers.n })
    }

    /// True if the pass saves more than it costs: each step but the last one saves a tensor, and a
    /// copy of what broadcasts takes as long as a step.
    fn is_worthwhile(&self) -> bool {
        self.instructions.len() > 1 + self.loads.len()
    }

    /// The result for all elements; `None` where something broadcasts along short rows.
    fn run(&self, inputs: &Inputs<'_, A>) -> Result<Option<NdTensor<A>>, NdError> {
        if self.loads.is_empty()
            && let Some((model, blocks)) = inputs.in_memory_order()
        {
            let mut data = buffer(OP, &inputs.shape)?;
            self.pass(&blocks, &[], &mut data);
            let too_large = || NdError::TooLarge { op: OP, shape: inputs.shape.clone() };
            let base = laid_out(model, data).ok_or_else(too_large)?;
            return Ok(Some(NdTensor::from_base(base)));
        }
        let mut loads: SmallVec<[Load<'_, A>; 2]> = SmallVec::new();
        for &(input, to) in &self.loads {
            let from = Strided::of_base(OP, &inputs.all[input].base)?;
            let walk = Walk::new(&inputs.shape, [&from]);
            if walk.row < ROW {
                return Ok(None);
            }
            loads.push(Load { walk, data: from.data, to });
        }
        let mut blocks: Blocks<'_, A> = SmallVec::new();
        for Input { base, is_whole } in &inputs.all {
            blocks.push(match is_whole {
                true => row_major(OP, base)?,
                false => Cow::Borrowed(&[]),
            });
        }
        let mut data = buffer(OP, &inputs.shape)?;
        self.pass(&blocks, &loads, &mut data);
        NdTensor::from_vec(OP, &inputs.shape, data).map(Some)
    }

    /// Fills `out`, on several threads if that is worth it.
    fn pass(&self, inputs: &[Cow<'_, [A]>], loads: &[Load<'_, A>], out: &mut [A]) {
        threads::parts(out, 1, self.instructions.len(), |from, out| {
            let size = (BLOCK / size_of::<A>()).min(out.len());
            let mut scratch = vec![A::ZERO; (self.n_registers - 1) * size];
            for (from, out) in (from..).step_by(size).zip(out.chunks_mut(size)) {
                let n = out.len();
                let scratch = scratch.chunks_exact_mut(size).map(|register| &mut register[..n]);
                let registers = iter::once(out).chain(scratch).collect();
                let mut block = Block { inputs, registers, at: from..from + n };
                loads.iter().for_each(|load| block.load(load));
                self.instructions.iter().for_each(|instruction| block.step(instruction));
            }
        });
    }
}

type Blocks<'a, A> = SmallVec<[Cow<'a, [A]>; 4]>;

/// A copy of what an array that broadcasts has in a block.
struct Load<'a, A: Element> {
    data: Cow<'a, [A]>,
    walk: Walk<1>,
    /// The register.
    to: usize,
}

/// A part of the elements.
struct Block<'a, A: Element> {
    inputs: &'a [Cow<'a, [A]>],
    /// The first one is the result.
    registers: SmallVec<[&'a mut [A]; 8]>,
    at: Range<usize>,
}

impl<A: Element> Block<'_, A> {
    fn load(&mut self, load: &Load<'_, A>) {
        simd::copy_from(&load.walk, &load.data, self.at.start, self.registers[load.to]);
    }

    fn step(&mut self, Instruction { function, to }: &Instruction<A>) {
        // The result is in no register that the function reads.
        let out = mem::take(&mut self.registers[*to]);
        let n = out.len();
        match function {
            Function::Unary(function, x) => formula::unary(*function, self.operand(x).0, out),
            Function::Pair(pair, x, y) => {
                let [(x, p), (y, q)] = [x, y].map(|x| self.operand(x));
                formula::pair(*pair, &Walk::line(n, [p, q]), [x, y], 0, out);
            }
            Function::Select(mask, x, y) => {
                let [(m, p), (x, q), (y, r)] = [mask, x, y].map(|x| self.operand(x));
                simd::select(&Walk::line(n, [p, q, r]), [m, x, y], 0, out);
            }
        }
        self.registers[*to] = out;
    }

    /// The elements of an operand, and the step from one to the next.
    fn operand<'b>(&'b self, operand: &'b Operand<A>) -> (&'b [A], usize) {
        match operand {
            Operand::Number(number) => (slice::from_ref(number), 0),
            Operand::Input(input) => (&self.inputs[*input][self.at.clone()], 1),
            Operand::Register(register) => (&*self.registers[*register], 1),
        }
    }
}

/// Gives registers to values, from the last step to the first: a register is in use from the step
/// that writes it to the last one that reads it.
struct Registers {
    n_steps: usize,
    /// Those of the steps, and of the inputs behind them.
    homes: SmallVec<[Option<usize>; 16]>,
    /// Which are in use, as bits.
    used: u64,
    /// How many there are.
    n: usize,
}

impl Registers {
    fn new(n_steps: usize, n_inputs: usize) -> Self {
        let homes = SmallVec::from_elem(None, n_steps + n_inputs);
        Registers { n_steps, homes, used: 0, n: 0 }
    }

    /// Where a step finds a value, which gets a register if it needs one; `None` if there is none.
    fn operand<A: Element>(
        &mut self,
        value: Value<A>,
        inputs: &Inputs<'_, A>,
    ) -> Option<Operand<A>> {
        let home = match value {
            Value::Number(number) => return Some(Operand::Number(number)),
            Value::Input(input) if inputs.all[input].is_whole => {
                return Some(Operand::Input(input));
            }
            Value::Input(input) => self.n_steps + input,
            Value::Step(step) => step,
        };
        if self.homes[home].is_none() {
            self.homes[home] = self.take();
        }
        self.homes[home].map(Operand::Register)
    }

    /// A register that is not in use.
    fn take(&mut self) -> Option<usize> {
        let register = self.used.trailing_ones();
        self.used |= 1_u64.checked_shl(register)?;
        self.n = self.n.max(register as usize + 1);
        Some(register as usize)
    }

    fn give(&mut self, register: usize) {
        self.used &= !(1 << register);
    }
}

#[cfg(test)]
mod tests {
    use grad_core::extend::{Binary, Kernel, KernelStep as Step, Source, Unary};
    use smallvec::SmallVec;

    use super::{Inputs, Program, Value, shapes};
    use crate::tensor::NdTensor;

    /// The program of a kernel, and what its last place is, for arguments of these shapes.
    fn plan(steps: &[Step], arguments: &[&[usize]]) -> (Value<f64>, Option<Program<f64>>) {
        let sources: Vec<Source> = (0..arguments.len()).map(Source::Argument).collect();
        let kernel = Kernel::new(&sources, steps.to_vec()).expect("steps use what is before them");
        let arguments: Vec<NdTensor<f64>> = arguments.iter().map(|shape| tensor(shape)).collect();
        let x: Vec<&NdTensor<f64>> = arguments.iter().collect();
        let (shape, _) = shapes(&kernel, &x).expect("shapes that broadcast");
        let mut inputs = Inputs { all: SmallVec::new(), shape };
        let values = inputs.values(&kernel, &x).expect("a small tensor fits memory");
        let last = *values.last().expect("a kernel has a step");
        (last, Program::new(&kernel, &values, &inputs))
    }

    fn tensor(shape: &[usize]) -> NdTensor<f64> {
        let n = shape.iter().product();
        NdTensor::from_vec("test", shape, vec![2.0; n]).expect("as many elements as in the shape")
    }

    #[test]
    fn registers_are_used_again() {
        // c (1 − y y): what is behind a product is not needed again.
        let tanh = [
            Step::Binary(Binary::Mul, 1, 1),
            Step::Constant(1.0),
            Step::Binary(Binary::Sub, 3, 2),
            Step::Binary(Binary::Mul, 0, 4),
        ];
        let (_, program) = plan(&tanh, &[&[3], &[3]]);
        let program = program.expect("few registers");
        assert_eq!((program.instructions.len(), program.n_registers), (3, 2));
        assert!(program.loads.is_empty() && program.is_worthwhile());
    }

    #[test]
    fn steps_without_use_are_left_out() {
        let steps =
            [Step::Unary(Unary::Exp, 0), Step::Unary(Unary::Sin, 0), Step::Unary(Unary::Neg, 1)];
        let (_, program) = plan(&steps, &[&[3]]);
        assert_eq!(program.expect("few registers").instructions.len(), 2);
    }

    #[test]
    fn what_broadcasts_is_computed_before_the_pass() {
        // x₀ exp(x₁) + x₁
        let steps = [
            Step::Unary(Unary::Exp, 1),
            Step::Binary(Binary::Mul, 0, 2),
            Step::Binary(Binary::Add, 3, 1),
        ];
        let (_, program) = plan(&steps, &[&[2, 3], &[3]]);
        let program = program.expect("few registers");
        assert_eq!((program.instructions.len(), program.loads.len()), (2, 2));
    }

    #[test]
    fn a_product_with_one_is_the_other_factor() {
        let (last, _) = plan(
            &[
                Step::Constant(1.0),
                Step::Binary(Binary::Mul, 1, 0),
                Step::Unary(Unary::Scale(1.0), 2),
            ],
            &[&[3]],
        );
        assert!(matches!(last, Value::Input(0)));
    }

    #[test]
    fn too_many_values_at_once_have_no_registers() {
        // The sum of 70 sines, each computed before the first addition.
        let n: u16 = 70;
        let sines = (0..n).map(|i| Step::Unary(Unary::Shift(f64::from(i)), 0));
        let sums =
            (1..n).map(|i| Step::Binary(Binary::Add, if i == 1 { 1 } else { n + i - 1 }, i + 1));
        let steps: Vec<Step> = sines.chain(sums).collect();
        assert!(plan(&steps, &[&[3]]).1.is_none());
    }
}
