//! Random programs at and next to singular points: in every mode, to the second order, each
//! derivative is the true value or NaN.
//!
//! Programs are made of functions with infinite slopes, choices, flat points and movements
//! (`program.rs`), and are evaluated at points such as 0 and ±1. The truth is worked out in 512 bits
//! beside the point (`truth.rs`), with the choices that the program made at the point itself: at a
//! kink the piece that was taken counts.
//!
//! # What is accepted
//!
//! For each element of the gradient and of the Hessian, the derivatives beside the point are
//! followed along some directions to the point.
//!
//! * A direction counts if the program is defined there, and its value tends to the value at the
//!   point. So at the edge of a domain the derivative is the one from within.
//! * If the derivatives have one limit along all directions, the limit, NaN or ±∞ is accepted.
//!   An infinity comes of a rounding error that is divided by 0, and nobody takes it for a number.
//! * If all grow without bound with one sign, ∞ of that sign or NaN is accepted. At the edge of a
//!   domain ∞ of either sign is, since √-0 = -0 has the slope -∞.
//! * Otherwise there is no derivative, or it is not continuous, and nothing is asked. This is
//!   where the conventions of `norm`, `std` and `hypot` at 0 are; `abs` at 0 counts as constant.
//!
//! Nothing is asked either where the rounding of `f64` makes another program of it: where a value
//! on the way is not near the true one, or where the terms of a derivative are too large for their
//! sum.
//!
//! `SIMPLE_GRAD_FUZZ_SECONDS` and `SIMPLE_GRAD_FUZZ_SEED` in the environment say how long the search
//! goes on, and where it begins.

mod program;
mod truth;

use std::rc::Rc;
use std::time::{Duration, Instant};

use grad_conformance::modes::{Derivative, Function, Input, derivatives, in_checkpoint};
use grad_conformance::{Failure, Random, Reference, Verdict};
use grad_core::Shape;

use program::Program;
use truth::{Jet, Real, Slope};

/// What a derivative is.
#[derive(Clone, Copy, Debug)]
enum Truth {
    /// A number, with what rounding may do to it.
    Is { value: f64, allowed: f64 },
    /// ∞ of this sign, or of either.
    Infinite(Option<f64>),
    /// None, or none that is known.
    Unknown,
}

/// What became of the answers.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    programs: u64,
    right: u64,
    nan: u64,
    infinite: u64,
    unknown: u64,
}

// ------------------------------------------------------------------------------------- the truth

/// The two distances from the point.
const STEPS: [f64; 2] = [1.0 / (1_u64 << 60) as f64, 1.0 / (1_u128 << 90) as f64];
/// What stands for −∞ at these distances, so that its exponential is next to nothing.
const LOGITS: [f64; 2] = [-4096.0, -8192.0];
/// How near to a limit a derivative must be: x^(1/4) is 10⁻⁷ at the smaller distance.
const NEAR: f64 = 1e-6;

/// The derivatives of a program at its point; `None` if nothing can be said.
fn truth(program: &Program, random: &mut Random) -> Option<Vec<Truth>> {
    let at = program.values()?;
    let n = program.n();
    let directions = directions(n, random);
    let mut found: Vec<Vec<[Slope; 2]>> = Vec::new();
    for direction in &directions {
        match [1, 0].map(|step| beside(program, &at, direction, step)) {
            [Beside::Derivatives(near), Beside::Derivatives(far)] => {
                found.push(far.into_iter().zip(near).map(|(far, near)| [far, near]).collect());
            }
            [Beside::Rounded, _] | [_, Beside::Rounded] => return None,
            _ => {}
        }
    }
    // In more than one dimension a single direction shows no limit.
    let is_edge = found.len() < directions.len();
    if found.len() < n.min(2) || is_edge && program.has_convention(&at) {
        return None;
    }
    let limits = (0..n + n * n).map(|place| limit(found.iter().map(|slopes| &slopes[place])));
    let mut truth: Vec<Truth> = limits.collect();
    if is_edge {
        // At the edge of a domain the sign of a zero decides, and not the side that is defined.
        for truth in &mut truth {
            if let Truth::Infinite(sign) = truth {
                *sign = None;
            }
        }
    }
    // A slope that jumps has no slope, whatever it has on both sides.
    for place in 0..n * n {
        if [truth[place / n], truth[place % n]].iter().any(|slope| matches!(slope, Truth::Unknown))
        {
            truth[n + place] = Truth::Unknown;
        }
    }
    Some(truth)
}

/// Some directions, the signs of the components first all alike.
fn directions(n: usize, random: &mut Random) -> Vec<Vec<f64>> {
    let mut size = |sign: f64| sign * (0.75 + 0.25 * random.signed_unit());
    if n == 1 {
        return vec![vec![size(1.0)], vec![size(-1.0)]];
    }
    let patterns = 1_usize << n;
    let one = |pattern: usize, size: &mut dyn FnMut(f64) -> f64| {
        (0..n).map(|i| size(if pattern >> i & 1 == 1 { 1.0 } else { -1.0 })).collect::<Vec<f64>>()
    };
    let mut directions = Vec::new();
    for k in 0..4 {
        // All, none, and two others.
        let pattern = [patterns - 1, 0, 1 + (n > 2) as usize * 4, 2][k];
        directions.push(one(pattern, &mut size));
        directions.push(one(pattern, &mut size));
    }
    directions
}

/// What a program is beside its point.
enum Beside {
    /// Its gradient and its Hessian.
    Derivatives(Vec<Slope>),
    /// Not defined, or far from the value at the point.
    Apart,
    /// Another program than the one that `f64` rounded at the point.
    Rounded,
}

fn beside(program: &Program, at: &[(Shape, Vec<f64>)], direction: &[f64], step: usize) -> Beside {
    let point = program.inputs.iter().flat_map(|(_, x)| x);
    let x: Vec<Real> = point
        .zip(direction)
        .map(|(&x, u)| match x {
            f64::NEG_INFINITY => Real::of(LOGITS[step] - u),
            x => Real::of(x).add(&Real::of(STEPS[step] * u)),
        })
        .collect();
    let values = program.truth(&x, at);
    let last = values.len() - 1;
    let number = |jet: &Jet| jet.value.to_f64();
    let belongs = |(jet, &there): (&Jet, &f64)| near(number(jet), there);
    if !values[last].iter().zip(&at[last].1).all(belongs) {
        return Beside::Apart;
    }
    let all = values.iter().flatten().zip(at.iter().flat_map(|(_, there)| there));
    // What is NaN on the way was not chosen.
    let mut chosen = all.filter(|(jet, there)| !number(jet).is_nan() && !there.is_nan());
    if !chosen.all(|(jet, there)| belongs((jet, there)) && keeps_digits(*there)) {
        return Beside::Rounded;
    }
    let sum = values[last].iter().fold(Jet::constant(0.0), |sum, jet| sum.add(jet));
    let derivatives = sum.derivatives(program.n());
    match derivatives.iter().any(|slope| slope.value.to_f64().is_nan()) {
        true => Beside::Apart,
        false => Beside::Derivatives(derivatives),
    }
}

/// False next to ±1, where `f64` has too few digits for the distance from it: the slope of atanh
/// is all in that distance.
fn keeps_digits(there: f64) -> bool {
    let distance = (there.abs() - 1.0).abs();
    distance == 0.0 || distance > 1e-7
}

/// True if a value beside the point belongs to a value at the point.
fn near(beside: f64, there: f64) -> bool {
    match there {
        _ if beside == there => true,
        // The logarithm of the distance is far from ∞ yet.
        there if there.is_infinite() => beside * there.signum() > 20.0,
        _ => (beside - there).abs() <= 1e-5 * (1.0 + there.abs()) && rounds(beside, there),
    }
}

/// False where one is clearly 0 and the other is clearly not.
fn rounds(beside: f64, there: f64) -> bool {
    // √h is 10⁻⁹ at the larger distance.
    there == 0.0 || beside.abs() > 0.5 * there.abs()
}

/// Derivatives at both distances, along all directions.
fn limit<'a>(slopes: impl Iterator<Item = &'a [Slope; 2]>) -> Truth {
    let mut limit: Option<Truth> = None;
    for [far, near] in slopes {
        let (first, value) = (far.value.to_f64(), near.value.to_f64());
        let here = match (first - value).abs() <= NEAR * (1.0 + value.abs()) {
            true => match allowed(value, near.size) {
                Some(allowed) => Truth::Is { value, allowed },
                None => Truth::Unknown,
            },
            false
                if value.abs() > 1e6 && value.abs() > 2.0 * first.abs() && first * value > 0.0 =>
            {
                Truth::Infinite(Some(value.signum()))
            }
            false => Truth::Unknown,
        };
        limit = Some(match (limit, here) {
            (None, here) => here,
            (Some(Truth::Is { value: a, allowed: x }), Truth::Is { value: b, allowed: y })
                if (a - b).abs() <= NEAR * (1.0 + a.abs()) =>
            {
                Truth::Is { value: a, allowed: x.max(y) }
            }
            (Some(Truth::Infinite(a)), Truth::Infinite(b)) if a == b => here,
            _ => return Truth::Unknown,
        });
    }
    limit.unwrap_or(Truth::Unknown)
}

/// How far from a value an answer may be, for the magnitude of its terms. Beside a singular point
/// that is beyond measure, and says nothing of the answer there. `None` in between, where `f64` has
/// too few digits.
fn allowed(value: f64, size: f64) -> Option<f64> {
    let scale = 1.0 + value.abs();
    let limit = 1e-6 * scale;
    match size {
        _ if size < 1e8 * scale => Some(limit + 1e-10 * size),
        _ if size > 1e12 * scale => Some(limit),
        _ => None,
    }
}

// ----------------------------------------------------------------------------------- the answers

/// What is wrong with the answers of the engine.
fn wrong(program: &Program, truth: &[Truth], count: &mut Count) -> Option<String> {
    let steps = program.clone();
    let f: Function<Reference> = Rc::new(move |x| steps.apply(x));
    let input = |(shape, data): &(Shape, Vec<f64>)| Input::var(shape.clone(), data);
    let inputs: Vec<Input> = program.inputs.iter().map(input).collect();
    let n = program.n();
    for (form, f) in [("", f.clone()), (", in a checkpoint", in_checkpoint(&f))] {
        let found = match derivatives(&f, &Reference::from(0.0), &inputs, 2) {
            Ok(found) => found,
            Err(failure) => return Some(failure.to_string()),
        };
        for Derivative { mode, order, data } in found {
            let truth = if order == 1 { &truth[..n] } else { &truth[n..] };
            let mut is_wrong = false;
            for (&got, &truth) in data.iter().zip(truth) {
                match truth {
                    _ if got.is_nan() => count.nan += 1,
                    Truth::Unknown => count.unknown += 1,
                    // A sum that should be 0 and is a rounding error, divided by 0: as plain to see
                    // as NaN.
                    Truth::Is { .. } if got.is_infinite() => count.infinite += 1,
                    Truth::Is { value, allowed } if (got - value).abs() <= allowed => {
                        count.right += 1
                    }
                    Truth::Infinite(None) if got.is_infinite() => count.right += 1,
                    Truth::Infinite(Some(sign)) if got == sign * f64::INFINITY => count.right += 1,
                    _ => is_wrong = true,
                }
            }
            if is_wrong {
                let truth: Vec<String> = truth.iter().map(text).collect();
                let truth = truth.join(", ");
                return Some(format!("  {mode}{form}: got {data:?}, true [{truth}]"));
            }
        }
    }
    None
}

fn text(truth: &Truth) -> String {
    match truth {
        Truth::Is { value, .. } => format!("{value:?}"),
        Truth::Infinite(Some(sign)) => format!("{:?}", sign * f64::INFINITY),
        Truth::Infinite(None) => "±inf".to_string(),
        Truth::Unknown => "?".to_string(),
    }
}

/// What is wrong with a program.
fn check(program: &Program, seed: u64, count: &mut Count) -> Option<String> {
    let truth = truth(program, &mut Random::new(seed))?;
    wrong(program, &truth, count)
}

/// The shortest program found that is wrong like this one.
fn shortest(mut program: Program, seed: u64, mut problem: String) -> Failure {
    const TRIES: usize = 300;
    let mut n_tries = 0;
    'shorter: loop {
        for candidate in program.simpler() {
            n_tries += 1;
            if n_tries > TRIES {
                break 'shorter;
            }
            let finite = candidate.values().is_some_and(|values| {
                values.last().is_some_and(|(_, x)| x.iter().all(|x| x.is_finite()))
            });
            if !finite {
                continue;
            }
            if let Some(found) = check(&candidate, seed, &mut Count::default()) {
                (program, problem) = (candidate, found);
                continue 'shorter;
            }
        }
        break;
    }
    Failure::new(format!("seed {seed}:\n{}{problem}", program.text()))
}

/// So many programs take some seconds without optimization.
const PROGRAMS: u64 = 150;
/// Among the first of these are some that a zero for 0 · ∞ makes wrong.
const FIRST: u64 = 250;
/// So many failures are enough.
const FAILURES: usize = 8;

#[test]
#[allow(clippy::print_stdout)] // A search that finds nothing should say what it looked at.
fn every_derivative_is_the_true_value_or_nan() -> Verdict {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let limit = number("SIMPLE_GRAD_FUZZ_SECONDS").map(Duration::from_secs);
    let first = number("SIMPLE_GRAD_FUZZ_SEED").unwrap_or(FIRST);
    let began = Instant::now();
    let mut count = Count::default();
    let mut failures = Vec::new();
    for seed in first.. {
        let over = match limit {
            Some(limit) => began.elapsed() > limit,
            None => seed >= first + PROGRAMS,
        };
        if over || failures.len() >= FAILURES {
            break;
        }
        let program = Program::random(&mut Random::new(seed));
        count.programs += 1;
        if let Some(problem) = check(&program, seed, &mut count) {
            failures.push(shortest(program, seed, problem));
        }
    }
    let Count { programs, right, nan, infinite, unknown } = count;
    println!(
        "{programs} programs from seed {first} in {:.0} s: {right} derivatives were right, {nan} \
         NaN, {infinite} infinite, and of {unknown} the truth is not known",
        began.elapsed().as_secs_f64()
    );
    Failure::all(&failures)
}
