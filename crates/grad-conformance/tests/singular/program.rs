//! Programs next to singular points: what they are made of, what they compute on the engine and in
//! truth, and their text.

use grad_conformance::dead_zeros::root;
use grad_conformance::{Random, Reference};
use grad_core::{Error, Shape, Tape, TensorLike, Var};

use crate::truth::{Jet, Real};

/// An operation on vectors and numbers; a mask is a constant, bit by bit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Op {
    Sqrt,
    UserSqrt,
    Rsqrt,
    Ln,
    Recip,
    Exp,
    Square,
    Sin,
    Cos,
    Tanh,
    Asin,
    Acos,
    Acosh,
    Atanh,
    Neg,
    Abs,
    Relu,
    Powf(f64),
    Powi(i32),
    Scale(f64),
    Shift(f64),
    Clamp(f64, f64),
    MaskTimes(u8),
    MaskOver(u8),
    MaskXlogy(u8),
    MaskedFill(u8, f64),
    MaskWhere(u8),
    /// `where(a > c, b, c)`, and with another comparison.
    WhereGt(f64),
    WhereNe(f64),
    Add,
    Sub,
    Mul,
    Div,
    Hypot,
    Atan2,
    Xlogy,
    Pow,
    Maximum,
    Minimum,
    Sum,
    Mean,
    Max,
    Norm,
    Std,
    Logsumexp,
    Softmax,
    LogSoftmax,
    First,
    Flip,
    Repeat,
    Concat,
    Dot,
    Mix(u8),
}

use Op::*;

const OPS: &[Op] = &[
    Sqrt,
    UserSqrt,
    Rsqrt,
    Ln,
    Recip,
    Exp,
    Square,
    Sin,
    Cos,
    Tanh,
    Asin,
    Acos,
    Acosh,
    Atanh,
    Neg,
    Abs,
    Relu,
    Powf(0.5),
    Powf(1.5),
    Powf(-0.5),
    Powf(2.5),
    Powf(0.0),
    Powi(0),
    Powi(2),
    Powi(3),
    Powi(-1),
    Scale(0.0),
    Scale(-2.0),
    Shift(1.0),
    Shift(-1.0),
    Clamp(0.0, 1.0),
    Clamp(-1.0, 2.0),
    MaskTimes(0),
    MaskTimes(1),
    MaskTimes(2),
    MaskOver(1),
    MaskOver(2),
    MaskXlogy(1),
    MaskXlogy(2),
    MaskedFill(1, 0.0),
    MaskedFill(2, 1.0),
    MaskWhere(1),
    MaskWhere(2),
    WhereGt(0.0),
    WhereGt(0.0),
    WhereGt(1.0),
    WhereNe(0.0),
    Add,
    Sub,
    Mul,
    Mul,
    Mul,
    Div,
    Div,
    Hypot,
    Atan2,
    Xlogy,
    Pow,
    Maximum,
    Minimum,
    Sum,
    Mean,
    Max,
    Norm,
    Std,
    Logsumexp,
    Softmax,
    LogSoftmax,
    First,
    Flip,
    Repeat,
    Concat,
    Dot,
    Mix(1),
    Mix(6),
];

impl Op {
    fn arity(self) -> usize {
        match self {
            WhereGt(_) | WhereNe(_) => 3,
            MaskWhere(_) | Add | Sub | Mul | Div | Hypot | Atan2 | Xlogy | Pow | Maximum
            | Minimum | Concat | Dot => 2,
            _ => 1,
        }
    }

    /// True where the slope at 0 is a convention.
    pub(crate) fn has_convention(self) -> bool {
        matches!(self, Norm | Std | Hypot)
    }

    /// On the engine.
    pub(crate) fn apply<'t, T: TensorLike>(self, x: &[Var<'t, T>]) -> Var<'t, T> {
        let a = x[0];
        let b = x.get(1).copied().unwrap_or(a);
        let c = x.get(2).copied().unwrap_or(a);
        let shape = || a.shape().unwrap_or_default();
        let size = || shape().n_elements().unwrap_or(0);
        let mask = |bits: u8| {
            let data: Vec<f64> = (0..size()).map(|i| bit(bits, i)).collect();
            a.new_constant(shape(), &data)
        };
        match self {
            Sqrt => a.sqrt(),
            UserSqrt => root(a),
            Rsqrt => a.rsqrt(),
            Ln => a.ln(),
            Recip => a.recip(),
            Exp => a.exp(),
            Square => a.square(),
            Sin => a.sin(),
            Cos => a.cos(),
            Tanh => a.tanh(),
            Asin => a.asin(),
            Acos => a.acos(),
            Acosh => a.acosh(),
            Atanh => a.atanh(),
            Neg => -a,
            Abs => a.abs(),
            Relu => a.relu(),
            Powf(c) => a.powf(c),
            Powi(n) => a.powi(n),
            Scale(c) => a * c,
            Shift(c) => a + c,
            Clamp(low, high) => a.clamp(low, high),
            MaskTimes(bits) => mask(bits) * a,
            MaskOver(bits) => mask(bits) / a,
            MaskXlogy(bits) => mask(bits).xlogy(a),
            MaskedFill(bits, value) => a.masked_fill(mask(bits), value),
            MaskWhere(bits) => mask(bits).where_(a, b),
            WhereGt(level) => a.gt(level).where_(b, c),
            WhereNe(level) => a.ne(level).where_(b, c),
            Add => a + b,
            Sub => a - b,
            Mul => a * b,
            Div => a / b,
            Hypot => a.hypot(b),
            Atan2 => a.atan2(b),
            Xlogy => a.xlogy(b),
            Pow => a.pow(b),
            Maximum => a.maximum(b),
            Minimum => a.minimum(b),
            Sum => a.sum(),
            Mean => a.mean(),
            Max => a.max(),
            Norm => a.norm(2.0),
            Std => a.std(0),
            Logsumexp => a.logsumexp(),
            Softmax => a.softmax(-1),
            LogSoftmax => a.log_softmax(-1),
            First => a.narrow(-1, 0, 1),
            Flip => a.flip(-1),
            Repeat => a.index_select(-1, &[0, 0]),
            Concat => a.tape().concat(&[a, b], -1),
            Dot => a.reshape([1, size()]).matmul(b.reshape([size(), 1])).reshape(Shape::scalar()),
            Mix(bits) => {
                let n = size();
                let weights: Vec<f64> = (0..2 * n).map(|i| bit(bits, i)).collect();
                a.reshape([1, n]).matmul(a.new_constant([n, 2], &weights)).reshape([2])
            }
        }
    }

    /// In truth, with the choices that were made at the point, where `at` are the arguments. The
    /// result has `n` elements.
    fn truth(self, x: &[&[Jet]], at: &[&[f64]], n: usize) -> Vec<Jet> {
        let element = |arg: usize, i: usize| &x[arg][if x[arg].len() == 1 { 0 } else { i }];
        let there = |arg: usize, i: usize| at[arg][if at[arg].len() == 1 { 0 } else { i }];
        let each = |f: &dyn Fn(usize) -> Jet| (0..n).map(f).collect::<Vec<Jet>>();
        let map = |f: fn(&Jet) -> Jet| x[0].iter().map(f).collect::<Vec<Jet>>();
        let number = Jet::constant;
        let sum = |terms: &mut dyn Iterator<Item = Jet>| {
            terms
                .fold(None, |sum: Option<Jet>, x| Some(sum.map_or(x.clone(), |sum| sum.add(&x))))
                .unwrap_or_else(|| number(0.0))
        };
        // The mean of those that attain the extreme value.
        let tied = |all: &[(Jet, f64)], extreme: f64| {
            let live: Vec<&Jet> = all.iter().filter(|x| x.1 == extreme).map(|x| &x.0).collect();
            sum(&mut live.iter().map(|&x| x.clone())).scale(1.0 / live.len() as f64)
        };
        match self {
            Sqrt | UserSqrt => map(Jet::sqrt),
            Rsqrt => map(|x| x.sqrt().recip()),
            Ln => map(Jet::ln),
            Recip => map(Jet::recip),
            Exp => map(Jet::exp),
            Square => map(|x| x.mul(x)),
            Sin => map(Jet::sin),
            Cos => map(Jet::cos),
            Tanh => map(Jet::tanh),
            Asin => map(Jet::asin),
            Acos => map(Jet::acos),
            Acosh => map(Jet::acosh),
            Atanh => map(Jet::atanh),
            Neg => map(|x| x.scale(-1.0)),
            // The sign at the point is data; at 0 it is 0.
            Abs => each(&|i| match there(0, i) {
                0.0 => number(0.0),
                x => element(0, i).scale(x.signum()),
            }),
            Relu => each(&|i| if there(0, i) <= 0.0 { number(0.0) } else { element(0, i).clone() }),
            Powf(c) => each(&|i| element(0, i).powf(c)),
            Powi(n) => each(&|i| element(0, i).powf(f64::from(n))),
            Scale(0.0) => {
                each(&|i| if there(0, i).is_finite() { number(0.0) } else { number(f64::NAN) })
            }
            Scale(c) => each(&|i| element(0, i).scale(c)),
            Shift(c) => each(&|i| element(0, i).add(&number(c))),
            Clamp(low, high) => each(&|i| match there(0, i) {
                x if x <= low => number(low),
                x if x >= high => number(high),
                _ => element(0, i).clone(),
            }),
            // What a zero is the factor, the numerator or the like of does not count, unless it is
            // no number at the point.
            MaskTimes(bits) => each(&|i| match bit(bits, i) {
                1.0 => element(0, i).clone(),
                _ if there(0, i).is_finite() => number(0.0),
                _ => number(f64::NAN),
            }),
            MaskOver(bits) => each(&|i| match bit(bits, i) {
                1.0 => element(0, i).recip(),
                _ if there(0, i) != 0.0 && !there(0, i).is_nan() => number(0.0),
                _ => number(f64::NAN),
            }),
            MaskXlogy(bits) => each(&|i| match bit(bits, i) {
                1.0 => element(0, i).ln(),
                _ => number(0.0),
            }),
            MaskedFill(bits, value) => each(&|i| match bit(bits, i) {
                1.0 => number(value),
                _ => element(0, i).clone(),
            }),
            MaskWhere(bits) => each(&|i| match bit(bits, i) {
                // The mask has as many elements as the first argument.
                _ if x[0].len() == 1 && bit(bits, 0) == 1.0 => element(0, i).clone(),
                _ if x[0].len() == 1 => element(1, i).clone(),
                1.0 => element(0, i).clone(),
                _ => element(1, i).clone(),
            }),
            WhereGt(level) => {
                each(&|i| element(if there(0, i) > level { 1 } else { 2 }, i).clone())
            }
            WhereNe(level) => {
                each(&|i| element(if there(0, i) != level { 1 } else { 2 }, i).clone())
            }
            Add => each(&|i| element(0, i).add(element(1, i))),
            Sub => each(&|i| element(0, i).sub(element(1, i))),
            Mul => each(&|i| element(0, i).mul(element(1, i))),
            Div => each(&|i| element(0, i).div(element(1, i))),
            Hypot => each(&|i| hypot(element(0, i), element(1, i))),
            Atan2 => each(&|i| atan2(element(0, i), element(1, i))),
            Xlogy => each(&|i| element(0, i).mul(&element(1, i).ln())),
            Pow => each(&|i| element(0, i).ln().mul(element(1, i)).exp()),
            Maximum => each(&|i| {
                let all = [0, 1].map(|arg| (element(arg, i).clone(), there(arg, i)));
                tied(&all, all[0].1.max(all[1].1))
            }),
            Minimum => each(&|i| {
                let all = [0, 1].map(|arg| (element(arg, i).clone(), there(arg, i)));
                tied(&all, all[0].1.min(all[1].1))
            }),
            Sum => vec![sum(&mut x[0].iter().cloned())],
            Mean => vec![sum(&mut x[0].iter().cloned()).scale(1.0 / x[0].len() as f64)],
            Max => {
                let all: Vec<(Jet, f64)> =
                    x[0].iter().cloned().zip(at[0].iter().copied()).collect();
                vec![tied(&all, at[0].iter().copied().fold(f64::NEG_INFINITY, f64::max))]
            }
            Norm => vec![sum(&mut x[0].iter().map(|x| x.mul(x))).sqrt()],
            Std => {
                let m = x[0].len() as f64;
                let mean = sum(&mut x[0].iter().cloned()).scale(1.0 / m);
                let apart = x[0].iter().map(|x| x.sub(&mean)).map(|d| d.mul(&d));
                vec![sum(&mut apart.into_iter()).scale(1.0 / m).sqrt()]
            }
            Logsumexp => vec![sum(&mut x[0].iter().map(Jet::exp)).ln()],
            Softmax => {
                let scale = sum(&mut x[0].iter().map(Jet::exp)).recip();
                x[0].iter().map(|x| x.exp().mul(&scale)).collect()
            }
            LogSoftmax => {
                let total = sum(&mut x[0].iter().map(Jet::exp)).ln();
                x[0].iter().map(|x| x.sub(&total)).collect()
            }
            First => vec![x[0][0].clone()],
            Flip => x[0].iter().rev().cloned().collect(),
            Repeat => vec![x[0][0].clone(), x[0][0].clone()],
            Concat => [x[0], x[1]].concat(),
            Dot => vec![sum(&mut x[0].iter().zip(x[1]).map(|(x, y)| x.mul(y)))],
            Mix(bits) => each(&|column| {
                let terms = x[0].iter().enumerate();
                sum(&mut terms.map(|(row, x)| x.scale(bit(bits, 2 * row + column))))
            }),
        }
    }

    fn text(self, x: &[&str]) -> String {
        let (a, b) = (x[0], x.get(1).copied().unwrap_or_default());
        let name = format!("{self:?}").to_lowercase();
        let bits =
            |bits: u8| format!("[{}]", [0, 1, 2, 3].map(|i| bit(bits, i).to_string()).join(", "));
        match self {
            Neg => format!("-{a}"),
            Powf(c) => format!("{a}.powf({c:?})"),
            Powi(n) => format!("{a}.powi({n})"),
            Scale(c) => format!("{a} * {c:?}"),
            Shift(c) => format!("{a} + {c:?}"),
            Clamp(low, high) => format!("clamp({a}, {low:?}, {high:?})"),
            MaskTimes(m) => format!("{} * {a}", bits(m)),
            MaskOver(m) => format!("{} / {a}", bits(m)),
            MaskXlogy(m) => format!("xlogy({}, {a})", bits(m)),
            MaskedFill(m, value) => format!("where({}, {value:?}, {a})", bits(m)),
            MaskWhere(m) => format!("where({}, {a}, {b})", bits(m)),
            WhereGt(level) => format!("where({a} > {level:?}, {b}, {})", x[2]),
            WhereNe(level) => format!("where({a} != {level:?}, {b}, {})", x[2]),
            Add => format!("{a} + {b}"),
            Sub => format!("{a} - {b}"),
            Mul => format!("{a} * {b}"),
            Div => format!("{a} / {b}"),
            First => format!("{a}[0..1]"),
            Repeat => format!("{a}[[0, 0]]"),
            Mix(m) => format!("{a} @ [[0, 1], [2, 3], ..] of the bits {}", bits(m)),
            _ => format!("{name}({})", x.join(", ")),
        }
    }
}

fn bit(bits: u8, i: usize) -> f64 {
    f64::from(bits >> (i % 8) & 1)
}

fn hypot(x: &Jet, y: &Jet) -> Jet {
    x.mul(x).add(&y.mul(y)).sqrt()
}

/// The angle of (x, y): atan(y/x) or, where that is not the shorter way, π/2 − atan(x/y).
fn atan2(y: &Jet, x: &Jet) -> Jet {
    let right_angle = Real::of(1.0).asin();
    let turn = |quarters: f64| Jet::exactly(right_angle.mul(&Real::of(quarters)));
    let sign = |x: &Jet| if x.value.is_positive() { 1.0 } else { -1.0 };
    if y.value.to_f64().abs() > x.value.to_f64().abs() {
        return turn(sign(y)).sub(&x.div(y).atan());
    }
    let half = if x.value.is_positive() { 0.0 } else { 2.0 * sign(y) };
    y.div(x).atan().add(&turn(half))
}

/// An operation on earlier values: the inputs first, then the results of steps.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    op: Op,
    args: Vec<usize>,
}

/// A list of steps; the result is the sum of the last value.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    /// The point: vectors, and numbers where `None` is the size.
    pub(crate) inputs: Vec<(Shape, Vec<f64>)>,
    pub(crate) steps: Vec<Step>,
}

/// Points at which something happens to a function, some points nearby, and some at which nothing
/// does.
const POINTS: &[f64] = &[
    0.0, 0.0, 0.0, 0.0, -0.0, 1.0, 1.0, 1.0, -1.0, 2.0, -2.0, 4.0, 0.5, 0.25, -0.5, 1e-3, -1e-3,
    1.001, 0.999, 0.3, -0.7, 1.7, 3.0,
];
/// One point in so many is a logit of −∞.
const LOGITS: usize = 24;
const MAX_STEPS: usize = 6;
/// So many variables at most.
const MAX_VARIABLES: usize = 4;
const MAX_SIZE: usize = 4;

impl Program {
    /// A program whose result is finite.
    pub(crate) fn random(random: &mut Random) -> Program {
        loop {
            let mut program = Program { inputs: Vec::new(), steps: Vec::new() };
            let mut n_left = MAX_VARIABLES;
            for _ in 0..1 + random.below(2) {
                let rank = random.below(3).min(1);
                let n = if rank == 0 { 1 } else { 1 + random.below(3) };
                let n = n.min(n_left);
                if n == 0 {
                    break;
                }
                n_left -= n;
                let mut point = || match random.below(LOGITS) {
                    0 => f64::NEG_INFINITY,
                    _ => random.choose(POINTS),
                };
                let data: Vec<f64> = (0..n).map(|_| point()).collect();
                let shape = if rank == 0 { Shape::scalar() } else { Shape::from(n) };
                program.inputs.push((shape, data));
            }
            for _ in 0..2 + random.below(MAX_STEPS - 1) {
                let n_values = program.inputs.len() + program.steps.len();
                let op = random.choose(OPS);
                // The latest value, mostly, so that few steps are in vain.
                let mut arg = |i: usize| match random.below(3) {
                    0 => random.below(n_values),
                    _ if i == 0 => n_values - 1,
                    _ => random.below(n_values),
                };
                let args = (0..op.arity()).map(&mut arg).collect();
                program.steps.push(Step { op, args });
                let usable = program.values().is_some_and(|values| {
                    values.last().is_some_and(|(_, x)| {
                        x.len() <= MAX_SIZE
                            && x.iter().all(|x| f64::abs(*x) < 1e4 || !x.is_finite())
                    })
                });
                if !usable {
                    program.steps.pop();
                }
            }
            program.without_unused_steps();
            let finite = |values: Vec<(Shape, Vec<f64>)>| {
                values.last().is_some_and(|(_, x)| x.iter().all(|x| x.is_finite()))
            };
            if !program.steps.is_empty() && program.values().is_some_and(finite) {
                return program;
            }
        }
    }

    fn without_unused_steps(&mut self) {
        let mut i = self.steps.len().saturating_sub(1);
        while i > 0 {
            i -= 1;
            let value = self.inputs.len() + i;
            if !self.steps.iter().any(|step| step.args.contains(&value)) {
                *self = self.without_step(i);
            }
        }
    }

    /// The number of variables.
    pub(crate) fn n(&self) -> usize {
        self.inputs.iter().map(|(_, x)| x.len()).sum()
    }

    /// On the engine.
    pub(crate) fn apply<'t, T: TensorLike>(&self, x: &[Var<'t, T>]) -> Var<'t, T> {
        self.record(x).last().map_or(x[0], |last| last.sum())
    }

    fn record<'t, T: TensorLike>(&self, x: &[Var<'t, T>]) -> Vec<Var<'t, T>> {
        let mut values = x.to_vec();
        for step in &self.steps {
            let args: Vec<Var<'t, T>> = step.args.iter().map(|&arg| values[arg]).collect();
            values.push(step.op.apply(&args));
        }
        values
    }

    /// All values at the point; `None` if a step does not suit its arguments.
    pub(crate) fn values(&self) -> Option<Vec<(Shape, Vec<f64>)>> {
        let tape = Tape::<Reference>::new();
        let mut x = Vec::new();
        for (shape, data) in &self.inputs {
            x.push(tape.constant(Reference::new(shape, data.clone()).ok()?));
        }
        let values = self.record(&x).into_iter();
        let values = values.map(|x| Ok((x.shape()?, x.to_host()?)));
        let values: Vec<_> = values.collect::<Result<_, Error>>().ok()?;
        values.iter().all(|(shape, _)| shape.rank() < 2).then_some(values)
    }

    /// In truth: all values, at the variables `x` near the point.
    pub(crate) fn truth(&self, x: &[Real], at: &[(Shape, Vec<f64>)]) -> Vec<Vec<Jet>> {
        let n = self.n();
        let mut variables = x.iter().enumerate().map(|(i, x)| Jet::variable(x.clone(), i, n));
        let inputs = self.inputs.iter().map(|(_, x)| variables.by_ref().take(x.len()).collect());
        let mut values: Vec<Vec<Jet>> = inputs.collect();
        for step in &self.steps {
            let args: Vec<&[Jet]> = step.args.iter().map(|&arg| &values[arg][..]).collect();
            let there: Vec<&[f64]> = step.args.iter().map(|&arg| &at[arg].1[..]).collect();
            let value = step.op.truth(&args, &there, at[values.len()].1.len());
            values.push(value);
        }
        values
    }

    /// True where the slope of a step at the point is a convention.
    pub(crate) fn has_convention(&self, at: &[(Shape, Vec<f64>)]) -> bool {
        let results = self.steps.iter().zip(&at[self.inputs.len()..]);
        results.into_iter().any(|(step, (_, y))| step.op.has_convention() && y.contains(&0.0))
    }

    /// Shorter programs, and the same with simpler points.
    pub(crate) fn simpler(&self) -> Vec<Program> {
        let steps = 0..self.steps.len();
        let mut programs: Vec<Program> = steps.rev().map(|i| self.without_step(i)).collect();
        for (i, (_, data)) in self.inputs.iter().enumerate() {
            let used = self.steps.iter().any(|step| step.args.contains(&i));
            if self.inputs.len() > 1 && !used {
                let mut program = self.clone();
                program.inputs.remove(i);
                program.renumber(i, 0);
                programs.push(program);
            }
            for place in 0..data.len() {
                if data.len() > 1 {
                    let mut program = self.clone();
                    program.inputs[i].1.remove(place);
                    program.inputs[i].0 = Shape::from(data.len() - 1);
                    programs.push(program);
                }
                if ![0.0, 1.0, 4.0].contains(&data[place]) {
                    for simple in [0.0, 1.0, 4.0] {
                        let mut program = self.clone();
                        program.inputs[i].1[place] = simple;
                        programs.push(program);
                    }
                }
            }
            if data.len() == 1 && self.inputs[i].0.rank() == 1 {
                let mut program = self.clone();
                program.inputs[i].0 = Shape::scalar();
                programs.push(program);
            }
        }
        programs.retain(|program| !program.steps.is_empty());
        programs
    }

    /// Without step `i`; what used its value uses its first argument.
    fn without_step(&self, i: usize) -> Program {
        let mut program = self.clone();
        let removed = program.steps.remove(i);
        program.renumber(self.inputs.len() + i, removed.args[0]);
        program
    }

    fn renumber(&mut self, gone: usize, instead: usize) {
        for arg in self.steps.iter_mut().flat_map(|step| &mut step.args) {
            *arg = match *arg {
                arg if arg == gone => instead,
                arg if arg > gone => arg - 1,
                arg => arg,
            };
        }
    }

    /// The point and the steps, a line for each.
    pub(crate) fn text(&self) -> String {
        let names: Vec<String> = (0..self.inputs.len() + self.steps.len())
            .map(
                |i| if i < self.inputs.len() { ["x", "w"][i].to_string() } else { format!("v{i}") },
            )
            .collect();
        let mut text = String::new();
        for ((shape, data), name) in self.inputs.iter().zip(&names) {
            text += &match shape.rank() {
                0 => format!("  {name} = {:?}\n", data[0]),
                _ => format!("  {name} = {data:?}\n"),
            };
        }
        for (step, name) in self.steps.iter().zip(&names[self.inputs.len()..]) {
            let args: Vec<&str> = step.args.iter().map(|&arg| &names[arg][..]).collect();
            text += &format!("  {name} = {}\n", step.op.text(&args));
        }
        text
    }
}
