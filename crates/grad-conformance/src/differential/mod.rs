//! Random programs whose values and derivatives must be those of the reference.
//!
//! A program is a list of steps, each an operation with random parameters on earlier values. Its
//! seed says all about it. It computes finite numbers of moderate size; then values, gradients,
//! forward derivatives and products with the Hessian, the latter in both ways, are compared with
//! the reference. A program that fails is made as short as it goes, and printed.
//!
//! # Tolerance
//!
//! Near a kink or a pole no two orders of summation agree. So where a number is off by more than
//! 10⁵ ε, the reference runs again, with noise of a few ε on the inputs and on every value: what moves by
//! that is uncertain, and 1000 times as far is allowed. (The noise stands for all the roundings
//! within a step and of its derivatives.) And there is nothing wrong if all is well with the same
//! noise on both: a tensor may have no derivative where it is 0, and on another backend be 10⁻¹⁷.

mod calls;

use grad_core::{Error, ErrorKind, Shape, Tape, TensorLike, Var};

use crate::Random;
use crate::compare::{Failure, Layout, Verdict, is_unsupported, pair};
use crate::draw::Draw;
use crate::reference::Reference;
use calls::{Call, calls};

/// Runs the program of a seed on the backend of `model` and on the reference.
///
/// # Errors
/// Where they differ: with the shortest program found that shows it, the seed, and the numbers.
pub fn agrees_with_the_reference<T: TensorLike>(model: &T, seed: u64) -> Verdict {
    let (calls, oracles) = (calls(), calls());
    let program = Program::random(seed, &oracles)?;
    shortest(program, |program| mismatch(program, model, &calls, &oracles))
}

/// Runs the program of a seed on the reference alone: its derivatives, to the second order, must
/// agree with each other and with differences.
///
/// # Errors
/// Where they do not: as [`agrees_with_the_reference`].
pub fn agrees_with_differences(seed: u64) -> Verdict {
    let calls = calls();
    let program = Program::random(seed, &calls)?;
    shortest(program, |program| inconsistency(program, &calls))
}

// ------------------------------------------------------------------------------------- programs

/// A tensor that a program begins with.
#[derive(Clone)]
struct Input {
    shape: Shape,
    data: Vec<f64>,
    layout: Layout,
}

/// An operation on earlier values: the inputs first, then the results of steps.
#[derive(Clone)]
struct Step {
    call: usize,
    /// Of the parameters.
    seed: u64,
    args: Vec<usize>,
}

#[derive(Clone)]
struct Program {
    seed: u64,
    inputs: Vec<Input>,
    steps: Vec<Step>,
}

/// So many steps are tried.
const STEPS: usize = 10;
/// No value has more elements.
const LARGE: usize = 200;
/// No element is larger.
const LIMIT: f64 = 1000.0;

impl Program {
    fn random(seed: u64, calls: &[Call<Reference>]) -> Result<Program, Failure> {
        let mut random = Random::new(seed);
        let inputs = random_inputs(&mut random);
        let mut program = Program { seed, inputs, steps: Vec::new() };
        let tape = Tape::new();
        let n_suiting = calls.iter().filter(|call| call.suits()).count();
        let mut values = Vec::new();
        for input in &program.inputs {
            values.push(tape.var(input.on(&Reference::from(0.0))?.1));
        }
        for _ in 0..STEPS {
            // Half of the time one that suits its arguments: few of the others do.
            let n_calls = if random.below(2) == 0 { n_suiting } else { calls.len() };
            let call = random.below(n_calls);
            let late = |random: &mut Random| {
                let n = values.len();
                random.below(n).max(random.below(n))
            };
            let args = (0..calls[call].n_args).map(|_| late(&mut random)).collect();
            let step = Step { call, seed: random.bits(), args };
            let x: Vec<_> = step.args.iter().map(|&arg| values[arg]).collect();
            let y = calls[call].apply(&mut Draw::new(step.seed), &x);
            let usable =
                |data: Vec<f64>| data.len() <= LARGE && data.iter().all(|x| f64::abs(*x) <= LIMIT);
            if y.to_host().is_ok_and(usable) {
                values.push(y);
                program.steps.push(step);
            }
        }
        Ok(program)
    }

    /// The values that no step uses: the results.
    fn results(&self) -> Vec<usize> {
        let n = self.inputs.len() + self.steps.len();
        let used = |value: &usize| self.steps.iter().any(|step| step.args.contains(value));
        (0..n).filter(|value| !used(value)).collect()
    }

    /// Without step `i`; what used its value uses its first argument.
    fn without_step(&self, i: usize) -> Program {
        let mut program = self.clone();
        let removed = program.steps.remove(i);
        let (gone, instead) = (self.inputs.len() + i, removed.args[0]);
        program.renumber(gone, instead);
        program
    }

    /// Without input `i`, if nothing uses it.
    fn without_input(&self, i: usize) -> Option<Program> {
        let mut program = self.clone();
        if self.inputs.len() == 1 || self.steps.iter().any(|step| step.args.contains(&i)) {
            return None;
        }
        program.inputs.remove(i);
        program.renumber(i, 0);
        Some(program)
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

    /// With simpler inputs, one at a time.
    fn with_simpler_inputs(&self) -> Vec<Program> {
        let mut programs = Vec::new();
        for (i, input) in self.inputs.iter().enumerate() {
            let mut push = |shape: Shape, layout| {
                let n = shape.iter().product();
                let mut program = self.clone();
                let data = input.data.iter().copied().cycle().take(n).collect();
                program.inputs[i] = Input { shape, data, layout };
                programs.push(program);
            };
            if input.layout != Layout::Direct {
                push(input.shape.clone(), Layout::Direct);
            }
            for axis in 0..input.shape.rank() {
                push(input.shape.without(&[axis]), input.layout);
                if input.shape[axis] > 1 {
                    let size = |(i, &n): (usize, &usize)| if i == axis { 1 } else { n };
                    push(input.shape.iter().enumerate().map(size).collect(), input.layout);
                }
            }
        }
        programs
    }
}

fn random_inputs(random: &mut Random) -> Vec<Input> {
    let rank = random.choose(&[0, 1, 1, 2, 2, 2, 3, 3, 4]);
    let base: Shape = (0..rank).map(|_| random.choose(&[1, 2, 2, 3, 3, 4])).collect();
    let n_inputs = 1 + random.below(3);
    let input = |_| {
        let missing = random.choose(&[0, 0, 0, 1]).min(rank);
        let mut size = |&n: &usize| if random.below(6) == 0 { 1 } else { n };
        let mut shape: Shape = base[missing..].iter().map(&mut size).collect();
        if random.below(60) == 0 {
            shape = shape.iter().map(|&n| if n == 3 { 0 } else { n }).collect();
        }
        let data = random.signed_units(shape.iter().product());
        let data = data.into_iter().map(|x| x + 0.2 * x.signum()).collect();
        Input { shape, data, layout: random.choose(&Layout::ALL) }
    };
    (0..n_inputs).map(input).collect()
}

impl Input {
    /// The tensor, and as the reference sees it.
    fn on<T: TensorLike>(&self, model: &T) -> Result<(T, Reference), Failure> {
        match self.layout.lay_out(model, &self.shape, &self.data)? {
            Some(both) => Ok(both),
            None => pair(model, &self.shape, &self.data),
        }
    }
}

// ----------------------------------------------------------------------------------- comparison

/// A tensor with the name of what it is.
struct Named {
    name: String,
    shape: Shape,
    data: Vec<f64>,
}

/// What a program computes on a backend.
struct Outcome {
    tensors: Vec<Named>,
    /// Text of the steps.
    text: Vec<String>,
}

/// What goes wrong with a program on a backend.
fn mismatch<T: TensorLike>(
    program: &Program,
    model: &T,
    calls: &[Call<T>],
    oracles: &[Call<Reference>],
) -> Option<String> {
    let (mut x, mut oracle) = (Vec::new(), Vec::new());
    for input in &program.inputs {
        match input.on(model) {
            Ok((argument, twin)) => {
                x.push(argument);
                oracle.push(twin);
            }
            Err(failure) => return Some(failure.to_string()),
        }
    }
    // A program that the reference cannot run says nothing, and infinite derivatives say little.
    let wanted = run(program, &oracle, oracles, None).ok().filter(Outcome::is_finite)?;
    let got = match run(program, &x, calls, None) {
        Ok(got) => got,
        Err(error) if unsupported(&error) => return None,
        Err(error) => return Some(error.to_string()),
    };
    let epsilon = model.dtype().epsilon();
    let suspicious = differences(&got, &wanted, |_| 1e5 * epsilon);
    suspicious.first()?;
    // Is the reference sure of it?
    let mut moved = vec![0.0; wanted.tensors.len()];
    let mut pairs = Vec::new();
    for seed in 0..4 {
        let noise = || Some((4.0 * epsilon, Random::new(seed)));
        let (got, noisy) =
            (run(program, &x, calls, noise()), run(program, &oracle, oracles, noise()));
        let (got, noisy) = (got.ok()?, noisy.ok()?);
        for (moved, (noisy, wanted)) in
            moved.iter_mut().zip(noisy.tensors.iter().zip(&wanted.tensors))
        {
            *moved = distance(&noisy.data, &wanted.data).max(*moved);
        }
        pairs.push((got, noisy));
    }
    let allowed = |place: usize| 1e5 * epsilon + 1000.0 * moved[place];
    let problem = differences(&got, &wanted, allowed).into_iter().next()?;
    // What all noise removes is the matter of a point where there is no derivative.
    let differ = |(got, wanted)| !differences(got, wanted, allowed).is_empty();
    pairs.iter().any(|(got, wanted)| differ((got, wanted))).then_some(problem)
}

fn unsupported(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Backend(source) if is_unsupported(&**source))
}

/// Where two outcomes differ by more than allowed for that tensor.
fn differences(got: &Outcome, wanted: &Outcome, allowed: impl Fn(usize) -> f64) -> Vec<String> {
    let both = got.tensors.iter().zip(&wanted.tensors).enumerate();
    let differ = both.filter(|(place, (got, wanted))| {
        got.shape != wanted.shape || distance(&got.data, &wanted.data) > allowed(*place)
    });
    differ
        .map(|(place, (got, wanted))| {
            format!(
                "{}: got {} {:?}, wanted {} {:?}, allowed {:.1e}",
                got.name,
                got.shape,
                got.data,
                wanted.shape,
                wanted.data,
                allowed(place)
            )
        })
        .collect()
}

/// How far two lists are apart, relative to the largest number where that is above 1; infinitely
/// far where one is NaN.
fn distance(x: &[f64], y: &[f64]) -> f64 {
    let scale = y.iter().fold(1.0, |max: f64, y| max.max(f64::abs(*y)));
    let apart = |(x, y): (&f64, &f64)| match (x - y).abs() {
        _ if x == y => 0.0,
        apart if apart.is_nan() => f64::INFINITY,
        apart => apart,
    };
    x.iter().zip(y).map(apart).fold(0.0, f64::max) / scale
}

/// Values and derivatives of a program, with noise on the values if so wanted.
fn run<T: TensorLike>(
    program: &Program,
    inputs: &[T],
    calls: &[Call<T>],
    mut noise: Option<(f64, Random)>,
) -> Result<Outcome, Error> {
    let tape = Tape::new();
    let mut outcome = Outcome { tensors: Vec::new(), text: Vec::new() };
    let x: Vec<Var<'_, T>> = inputs.iter().map(|x| tape.var(x.clone())).collect();
    let mut values = x.clone();
    if let Some(noise) = &mut noise {
        values = x.iter().map(|&x| noisy(x, noise)).collect::<Result<_, _>>()?;
    }
    for step in &program.steps {
        let args: Vec<Var<'_, T>> = step.args.iter().map(|&arg| values[arg]).collect();
        let mut draw = Draw::new(step.seed);
        let mut y = calls[step.call].apply(&mut draw, &args);
        if let Some(noise) = &mut noise {
            y = noisy(y, noise)?;
        }
        let args: Vec<String> = step.args.iter().map(|arg| format!("v{arg}")).collect();
        let args = args.join(", ");
        let drawn = match &draw.text[..] {
            [] => String::new(),
            drawn => format!(", with {}", drawn.join(", ")),
        };
        let call = calls[step.call].text.split_whitespace().collect::<Vec<_>>().join(" ");
        let name = format!("v{}", values.len());
        outcome.text.push(format!("{name} = {call} of [{args}]{drawn}, shape {}", y.shape()?));
        outcome.push(name, y)?;
        values.push(y);
    }
    // Cotangents that are not constant.
    let mut sum = tape.constant(inputs[0].clone()).sum() * 0.0;
    for value in program.results() {
        sum += values[value].sin().sum();
    }
    let mut random = Random::new(program.seed);
    let mut u = Vec::new();
    for x in &x {
        let shape = x.shape()?;
        let data = random.signed_units(shape.iter().product());
        u.push(x.new_constant(shape, &data));
    }
    outcome.push("the sum".to_string(), sum)?;
    let pairs = || x.iter().copied().zip(u.iter().copied()).collect::<Vec<_>>();
    outcome.push("forward derivative".to_string(), tape.jvp(sum, pairs()))?;
    let gradients = tape.grad(sum, &x);
    for (i, plain) in tape.backward(sum, &x)?.into_iter().enumerate() {
        outcome.push(format!("plain gradient of v{i}"), tape.constant(plain))?;
    }
    let mut along = sum * 0.0;
    for (i, (&gradient, &u)) in gradients.iter().zip(&u).enumerate() {
        outcome.push(format!("gradient of v{i}"), gradient)?;
        outcome.push(format!("forward over reverse of v{i}"), tape.jvp(gradient, pairs()))?;
        along += (gradient * u).sum();
    }
    for (i, product) in tape.grad(along, &x).into_iter().enumerate() {
        outcome.push(format!("reverse over reverse of v{i}"), product)?;
    }
    for (i, value) in values.into_iter().enumerate() {
        outcome.push(format!("v{i} after the sweeps"), value)?;
    }
    Ok(outcome)
}

/// `x` with noise on each element, relative to the largest.
fn noisy<'t, T: TensorLike>(
    x: Var<'t, T>,
    (size, random): &mut (f64, Random),
) -> Result<Var<'t, T>, Error> {
    let data = x.to_host()?;
    let largest = data.iter().fold(0.0, |max: f64, x| max.max(f64::abs(*x)));
    // What is 0 throughout may be −0 on another backend, or nearly 0.
    let scale = if largest > 0.0 { largest } else { 1.0 };
    let noise: Vec<f64> = data.iter().map(|_| random.signed_unit() * *size * scale).collect();
    Ok(x + x.new_constant(x.shape()?, &noise))
}

impl Outcome {
    fn is_finite(&self) -> bool {
        self.tensors.iter().flat_map(|tensor| &tensor.data).all(|x| x.is_finite())
    }

    fn push<T: TensorLike>(&mut self, name: String, x: Var<'_, T>) -> Result<(), Error> {
        self.tensors.push(Named { name, shape: x.shape()?, data: x.to_host()? });
        Ok(())
    }
}

// ------------------------------------------------------------------------------------ shrinking

/// So many shorter programs are tried.
const TRIES: usize = 2000;

/// Fails if `wrong` finds something wrong with the program, or with a shorter one made of it.
fn shortest(mut program: Program, wrong: impl Fn(&Program) -> Option<String>) -> Verdict {
    let Some(mut problem) = wrong(&program) else { return Ok(()) };
    let mut n_tries = 0;
    'shorter: loop {
        let steps = (0..program.steps.len()).rev().map(|i| program.without_step(i));
        let inputs = (0..program.inputs.len()).filter_map(|i| program.without_input(i));
        for candidate in steps.chain(inputs).chain(program.with_simpler_inputs()) {
            n_tries += 1;
            if n_tries > TRIES {
                break 'shorter;
            }
            if let Some(found) = wrong(&candidate) {
                (program, problem) = (candidate, found);
                continue 'shorter;
            }
        }
        break;
    }
    Err(Failure::new(format!("seed {}:\n{}{problem}", program.seed, text(&program))))
}

/// The program, a line for each value.
fn text(program: &Program) -> String {
    let calls = calls::<Reference>();
    let mut lines = Vec::new();
    let mut x = Vec::new();
    for (i, input) in program.inputs.iter().enumerate() {
        let data = match input.on(&Reference::from(0.0)) {
            Ok((_, oracle)) => oracle,
            Err(failure) => return failure.to_string(),
        };
        let (shape, layout) = (&input.shape, input.layout);
        lines.push(format!("v{i}: shape {shape}, {layout:?} layout, {:?}", data.data()));
        x.push(data);
    }
    match run(program, &x, &calls, None) {
        Ok(outcome) => lines.extend(outcome.text),
        Err(error) => lines.push(error.to_string()),
    }
    lines.iter().map(|line| format!("  {line}\n")).collect()
}

// ---------------------------------------------------------------------------------- differences

/// What is wrong with the derivatives of a program on the reference.
fn inconsistency(program: &Program, calls: &[Call<Reference>]) -> Option<String> {
    let hides = |step: &Step| calls[step.call].text.contains("detach");
    if program.steps.iter().any(hides) {
        return None;
    }
    let mut x = Vec::new();
    for Input { shape, data, .. } in &program.inputs {
        // In no other layout, since equal elements are ties.
        x.push(Reference::new(shape, data.clone()).ok()?);
    }
    let here = Directional::of(program, &x, calls)?;
    let [first, second] = here.scales;
    let pairs = [
        ("gradient along u, forward derivative", here.reverse, here.forward, first),
        ("Hessian along u and u, reverse and forward over reverse", here.rr, here.fr, second),
    ];
    // As in `mismatch`: what noise on the values moves is uncertain.
    let allowed = |moved: f64, scale: f64| 1e-10 * scale + 1000.0 * moved;
    let mut moved = 0.0_f64;
    for (text, left, right, scale) in pairs {
        if (left - right).abs() <= allowed(moved, scale) {
            continue;
        }
        for seed in 0..4 {
            let noise = Some((4.0 * f64::EPSILON, Random::new(seed)));
            let noisy = Directional::with_noise(program, &x, calls, noise)?;
            moved = moved.max(here.distance(&noisy));
        }
        if (left - right).abs() > allowed(moved, scale) {
            return Some(format!("{text}: {left} and {right}"));
        }
    }
    // Differences with two steps: where they do not agree, a kink or a pole is near. Beside a pole
    // the derivative is larger by far than the differences, so it says nothing of their digits: they
    // must agree relative to themselves, but for the rounding of what was subtracted.
    let coarse = Differences::of(program, &x, calls, 1.0 / 1024.0)?;
    let fine = Differences::of(program, &x, calls, 1.0 / 2048.0)?;
    let checks = [
        ("first derivative", here.forward, coarse.first, fine.first, first),
        ("second derivative", here.rr, coarse.second, fine.second, second),
    ];
    for (text, value, coarse, fine, scale) in checks {
        let uncertain = (coarse - fine).abs();
        let digits = 1e-6 * (1.0 + fine.abs()) + 1e-11 * here.sum.abs();
        if uncertain < digits && (value - fine).abs() > 1e-5 * scale {
            return Some(format!("{text} along u: got {value}, by differences {fine}"));
        }
    }
    None
}

/// Derivatives of a program in the direction of its seed.
struct Directional {
    sum: f64,
    forward: f64,
    reverse: f64,
    rr: f64,
    fr: f64,
    /// Of the magnitudes of the terms of the first and of the second derivative.
    scales: [f64; 2],
}

impl Directional {
    fn of(program: &Program, x: &[Reference], calls: &[Call<Reference>]) -> Option<Self> {
        Directional::with_noise(program, x, calls, None)
    }

    fn with_noise(
        program: &Program,
        x: &[Reference],
        calls: &[Call<Reference>],
        noise: Option<(f64, Random)>,
    ) -> Option<Self> {
        let outcome = run(program, x, calls, noise).ok().filter(Outcome::is_finite)?;
        // The sum over all inputs of what begins with `name`, along u, and that of the magnitudes.
        let along = |name: &str| {
            let u = directions(program, x);
            let found = outcome.tensors.iter().filter(|tensor| tensor.name.starts_with(name));
            let terms = found.flat_map(|tensor| &tensor.data).zip(u.iter().flatten());
            terms.fold((0.0, 1.0), |(sum, scale), (x, u)| (sum + x * u, scale + (x * u).abs()))
        };
        let ((reverse, first), (rr, second)) =
            (along("gradient of"), along("reverse over reverse of"));
        let (fr, _) = along("forward over reverse of");
        let only = |name: &str| {
            outcome.tensors.iter().find(|tensor| tensor.name == name).map(|tensor| tensor.data[0])
        };
        let (sum, forward) = (only("the sum")?, only("forward derivative")?);
        Some(Directional { sum, forward, reverse, rr, fr, scales: [first, second] })
    }

    fn distance(&self, other: &Directional) -> f64 {
        let numbers = |x: &Directional| [x.forward, x.reverse, x.rr, x.fr];
        let apart = numbers(self).into_iter().zip(numbers(other)).map(|(x, y)| (x - y).abs());
        apart.fold(0.0, f64::max)
    }
}

/// The direction of a program, for each input.
fn directions(program: &Program, x: &[Reference]) -> Vec<Vec<f64>> {
    let mut random = Random::new(program.seed);
    x.iter().map(|x| random.signed_units(x.data().len())).collect()
}

/// Differences of values and of first derivatives over four points.
struct Differences {
    first: f64,
    second: f64,
}

impl Differences {
    fn of(
        program: &Program,
        x: &[Reference],
        calls: &[Call<Reference>],
        step: f64,
    ) -> Option<Self> {
        let u = directions(program, x);
        let at = |steps: f64| {
            let moved = x.iter().zip(&u).map(|(x, u)| {
                let data = x.data().iter().zip(u).map(|(x, u)| x + steps * step * u).collect();
                Reference::new(x.shape(), data)
            });
            let moved = moved.collect::<Result<Vec<_>, _>>().ok()?;
            Directional::of(program, &moved, calls)
        };
        let [a, b, c, d] = [at(1.0)?, at(-1.0)?, at(2.0)?, at(-2.0)?];
        let difference =
            |f: fn(&Directional) -> f64| (8.0 * (f(&a) - f(&b)) - (f(&c) - f(&d))) / (12.0 * step);
        Some(Differences { first: difference(|x| x.sum), second: difference(|x| x.forward) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_make_all_calls_that_suit_their_arguments() -> Verdict {
        let calls = calls();
        let mut n_calls = vec![0; calls.len()];
        for seed in 0..1000 {
            for step in Program::random(seed, &calls)?.steps {
                n_calls[step.call] += 1;
            }
        }
        for (call, n) in calls.iter().zip(n_calls) {
            assert!(n > 0 || !call.suits(), "never {}", call.text);
        }
        Ok(())
    }

    #[test]
    fn most_programs_are_compared() -> Verdict {
        let calls = calls();
        let mut n_finite = 0;
        for seed in 0..200 {
            let program = Program::random(seed, &calls)?;
            let x = program.inputs.iter().map(|input| Ok(input.on(&Reference::from(0.0))?.1));
            let x = x.collect::<Result<Vec<_>, Failure>>()?;
            if run(&program, &x, &calls, None).is_ok_and(|outcome| outcome.is_finite()) {
                n_finite += 1;
            }
        }
        assert!(n_finite > 160, "{n_finite} of 200");
        Ok(())
    }
}
