//! What must hold of every operation on every backend.
//!
//! A law takes a case of the catalogue and a model tensor, on whose device and in whose dtype it
//! runs. Values are compared with [`Reference`]; derivatives with differences of the reference's
//! values, in random directions u, through φ(x) = Σ sin f(x), so that the cotangent of f is not
//! constant. What is said of order k is D_{u_k} ⋯ D_{u_1} φ.
//!
//! # Tolerances
//!
//! Differences are taken over four points, with step h = 2⁻¹². Their error is h⁴/30 · φ⁽⁵⁾ ≈ 10⁻¹⁶
//! φ⁽⁵⁾ of truncation and 2⁻⁵² φ / h ≈ 10⁻¹² φ of rounding; with φ⁽⁵⁾ up to 10⁸ of what is compared,
//! 10⁻⁷ leaves room. The backend's own rounding is allowed 64 ε at first order, and eight times
//! more with each further order, for each is a sum of about eight times as many products. Both are
//! relative to the sum of the magnitudes of the terms, plus one.

use grad_core::extend::{Cotangents, Op, Primal};
use grad_core::{DType, Error, ErrorKind, Shape, Tape, TensorLike, Unsupported, Var};

use crate::Random;
use crate::catalogue::{Apply, Case};
use crate::compare::{
    Failure, Layout, Tolerance, Verdict, close, describe, is_unsupported, pair, twin,
};
use crate::reference::{Reference, ReferenceError};

/// Something that must hold of a case, on the backend of the model tensor.
pub type Law<T> = fn(&Case<T>, &T) -> Verdict;

/// All laws, with their names.
pub fn laws<T: TensorLike>() -> Vec<(&'static str, Law<T>)> {
    vec![
        ("value_equals_the_reference", value_equals_the_reference),
        ("layout_does_not_matter", layout_does_not_matter),
        ("reverse_mode_agrees_with_differences", reverse_mode_agrees_with_differences),
        ("forward_mode_agrees_with_reverse_mode", forward_mode_agrees_with_reverse_mode),
        ("jvp_is_adjoint_to_vjp", jvp_is_adjoint_to_vjp),
        ("vjp_is_linear_in_the_cotangent", vjp_is_linear_in_the_cotangent),
        ("plain_gradient_equals_recorded_gradient", plain_gradient_equals_recorded_gradient),
        ("derived_jvp_equals_the_formula", derived_jvp_equals_the_formula),
        ("plain_tangent_equals_recorded_tangent", plain_tangent_equals_recorded_tangent),
        ("tangents_at_once_equal_one_by_one", tangents_at_once_equal_one_by_one),
        ("names_change_no_number", names_change_no_number),
    ]
}

/// Every law on every case of one operation; all failures in one text.
///
/// A case that needs an optional method which the backend leaves out is reported on the standard
/// output, and is no failure.
///
/// # Errors
/// Where a law fails, and where there is no such operation.
pub fn operation<T: TensorLike>(op: &str, model: &T) -> Verdict {
    let cases = super::catalogue::<T>().into_iter().filter(|case| case.op == op);
    let cases: Vec<Case<T>> = cases.collect();
    if cases.is_empty() {
        return Err(Failure::new(format!("the catalogue has no operation {op}")));
    }
    let mut failures = Vec::new();
    for case in cases {
        match is_left_out(&case, model) {
            Ok(false) => {}
            Ok(true) => {
                super::report(&format!("left out by the backend: {case}"));
                continue;
            }
            Err(failure) => {
                failures.push(failure.within(&case));
                continue;
            }
        }
        for (name, law) in laws() {
            failures.extend(law(&case, model).err().map(|e| e.within(&case).within(name)));
        }
    }
    Failure::all(&failures)
}

/// True if the case needs an optional method and the backend says that it has none.
fn is_left_out<T: TensorLike>(case: &Case<T>, model: &T) -> Result<bool, Failure> {
    let (x, _) = inputs(case, model)?;
    let tape = Tape::new();
    Ok(case.optional && (case.apply)(&vars(&tape, &x)).value().is_err_and(|e| is_unsupported(&e)))
}

// ------------------------------------------------------------------------------------- the laws

/// f(x) is what the reference says.
///
/// # Errors
/// If the law fails, as for all of them.
pub fn value_equals_the_reference<T: TensorLike>(case: &Case<T>, model: &T) -> Verdict {
    let (x, oracle) = inputs(case, model)?;
    let value = value(case.apply, &x)?;
    near(&value, &self::value(case.oracle, &oracle)?, model.dtype())?;
    let tape = Tape::new();
    let x = vars(&tape, &x);
    let y = (case.apply)(&x);
    match case.differentiable {
        false if y.is_tracked() => Err(Failure::new("a flat operation gave a tracked result")),
        _ => Ok(()),
    }
}

/// Values and VJPs are right wherever the elements of the inputs stand in memory.
///
/// # Errors
/// If the law fails.
pub fn layout_does_not_matter<T: TensorLike>(case: &Case<T>, model: &T) -> Verdict {
    for layout in Layout::ALL {
        let mut arguments = Vec::new();
        let mut oracles = Vec::new();
        let mut differs = false;
        for (shape, data) in &case.inputs {
            let laid_out = layout.lay_out(model, shape, data)?;
            differs |= laid_out.is_some();
            let (x, oracle) = match laid_out {
                Some(both) => both,
                None => pair(model, shape, data)?,
            };
            arguments.push(x);
            oracles.push(oracle);
        }
        if !differs {
            continue;
        }
        let check = || {
            let wanted = value(case.oracle, &oracles)?;
            near(&value(case.apply, &arguments)?, &wanted, model.dtype())?;
            if !case.differentiable {
                return Ok(());
            }
            let mut random = Random::new(3);
            let shape = Shape::from(wanted.shape());
            let ct = random.signed_units(wanted.data().len());
            let (ct, ct_oracle) = match layout.lay_out(model, &shape, &ct)? {
                Some(both) => both,
                None => pair(model, &shape, &ct)?,
            };
            let got = plain_vjp(case.apply, &arguments, ct)?;
            let wanted = plain_vjp(case.oracle, &oracles, ct_oracle)?;
            let mut both = got.iter().zip(&wanted);
            both.try_for_each(|(got, wanted)| near(got, wanted, model.dtype()))
        };
        check().map_err(|failure: Failure| failure.within(format!("{layout:?} inputs")))?;
    }
    Ok(())
}

/// Recorded gradients of recorded gradients, to order three, are what differences say.
///
/// # Errors
/// If the law fails.
pub fn reverse_mode_agrees_with_differences<T: TensorLike>(case: &Case<T>, model: &T) -> Verdict {
    in_directions(case, model, |at, order| {
        let got = reverse(case.apply, &at.x, &at.u[..order])?.value;
        let scale = reverse(case.oracle, &at.oracle, &at.u_oracle[..order])?.magnitude;
        let wanted = difference(case.oracle, &at.oracle, &at.u_oracle[..order])?;
        agree(got, wanted, DIFFERENCES + rounding(model.dtype(), order), scale)
    })
}

/// Tangents of tangents, to order three, are what reverse mode computes on the reference.
///
/// # Errors
/// If the law fails.
pub fn forward_mode_agrees_with_reverse_mode<T: TensorLike>(case: &Case<T>, model: &T) -> Verdict {
    in_directions(case, model, |at, order| {
        let got = forward(case.apply, &at.x, &at.u[..order])?;
        let wanted = reverse(case.oracle, &at.oracle, &at.u_oracle[..order])?;
        agree(got, wanted.value, rounding(model.dtype(), order), wanted.magnitude)
    })
}

/// ⟨J t, c⟩ = ⟨t, Jᵀ c⟩, for f and for the recorded gradient of Σ sin f.
///
/// # Errors
/// If the law fails.
pub fn jvp_is_adjoint_to_vjp<T: TensorLike>(case: &Case<T>, model: &T) -> Verdict {
    let Some(at) = Setup::new(case, model, 0)? else { return Ok(()) };
    let tape = Tape::new();
    let x = vars(&tape, &at.x);
    let t: Vec<Var<'_, T>> = at.u[0].iter().map(|t| tape.constant(t.clone())).collect();
    let y = (case.apply)(&x);
    let gradients = tape.grad(y.sin().sum(), &x);
    let mut random = Random::new(17);
    for (order, y) in std::iter::once((1, y)).chain(gradients.into_iter().map(|g| (2, g))) {
        let c = tape.constant(random_like(model, &y.shape()?, &mut random)?);
        let pushed = tape.jvp(y, pairs(&x, &t));
        let pulled = tape.vjp(y, c, &x);
        let (left, mut scale) = dot(pushed, c)?;
        let mut right = 0.0;
        for (&t, &pulled) in t.iter().zip(&pulled) {
            let (sum, magnitude) = dot(t, pulled)?;
            (right, scale) = (right + sum, scale + magnitude);
        }
        agree(left, right, rounding(model.dtype(), order), scale).map_err(|failure| {
            failure.within(format!("⟨J t, c⟩ and ⟨t, Jᵀ c⟩ at order {order}"))
        })?;
    }
    Ok(())
}

/// Jᵀ (a c₁ + b c₂) = a Jᵀ c₁ + b Jᵀ c₂.
///
/// # Errors
/// If the law fails.
pub fn vjp_is_linear_in_the_cotangent<T: TensorLike>(case: &Case<T>, model: &T) -> Verdict {
    let Some(at) = Setup::new(case, model, 0)? else { return Ok(()) };
    let tape = Tape::new();
    let x = vars(&tape, &at.x);
    let y = (case.apply)(&x);
    let mut random = Random::new(19);
    let shape = y.shape()?;
    let c1 = tape.constant(random_like(model, &shape, &mut random)?);
    let c2 = tape.constant(random_like(model, &shape, &mut random)?);
    let whole = tape.vjp(y, c1 * 0.75 - c2 * 1.25, &x);
    let parts = tape.vjp(y, c1, &x).into_iter().zip(tape.vjp(y, c2, &x));
    for (whole, (first, second)) in whole.into_iter().zip(parts) {
        near(&whole.value()?, &twin(&(first * 0.75 - second * 1.25).value()?)?, model.dtype())?;
    }
    Ok(())
}

/// `backward` gives the bits of `grad`, and leaves nodes, values and trace as they were.
///
/// # Errors
/// If the law fails.
pub fn plain_gradient_equals_recorded_gradient<T: TensorLike>(
    case: &Case<T>,
    model: &T,
) -> Verdict {
    let Some(at) = Setup::new(case, model, 0)? else { return Ok(()) };
    let tape = Tape::new();
    let x = vars(&tape, &at.x);
    let y = (case.apply)(&x);
    let scalar = y.sin().sum();
    let c = random_like(model, &y.shape()?, &mut Random::new(23))?;
    let before = (tape.len(), tape.trace().to_string(), bits(&y.value()?)?);
    let plain = [tape.plain().vjp(y, c.clone(), &x)?, tape.backward(scalar, &x)?];
    let wrong = c.full(&[7, 9, 8], 1.0);
    if wrong.is_ok_and(|wrong| tape.plain().vjp(y, wrong, &x).is_ok()) {
        return Err(Failure::new("the plain vjp took a cotangent of the wrong shape"));
    }
    if before != (tape.len(), tape.trace().to_string(), bits(&y.value()?)?) {
        return Err(Failure::new("a plain sweep changed the tape"));
    }
    let recorded = [tape.vjp(y, tape.constant(c), &x), tape.grad(scalar, &x)];
    for (plain, recorded) in plain.iter().flatten().zip(recorded.iter().flatten()) {
        same_bits(plain, &recorded.value()?)?;
    }
    Ok(())
}

/// Forward mode that the engine derives from the VJP alone equals the formula for it.
///
/// # Errors
/// If the law fails.
pub fn derived_jvp_equals_the_formula<T: TensorLike>(case: &Case<T>, model: &T) -> Verdict {
    let apply = case.apply;
    in_directions(case, model, |at, order| {
        if order > 2 {
            // An operation with a sweep in its rule records a lot; two orders say enough.
            return Ok(());
        }
        let op = || WithoutJvp { apply, model: model.clone() };
        let got = forward(|x| x[0].tape().apply(op(), x), &at.x, &at.u[..order])?;
        let wanted = forward(apply, &at.x, &at.u[..order])?;
        let scale = reverse(case.oracle, &at.oracle, &at.u_oracle[..order])?.magnitude;
        agree(got, wanted, rounding(model.dtype(), order), scale)
    })
}

/// The plain `jvp` and `jvp_batch` give the bits of the recorded ones, and leave nodes, values and
/// trace as they were.
///
/// # Errors
/// If the law fails.
pub fn plain_tangent_equals_recorded_tangent<T: TensorLike>(case: &Case<T>, model: &T) -> Verdict {
    let Some(at) = Setup::new(case, model, 0)? else { return Ok(()) };
    let Some(stacks) = at.stacked(model)? else { return Ok(()) };
    let tape = Tape::new();
    let x = vars(&tape, &at.x);
    let y = (case.apply)(&x).sin();
    let before = (tape.len(), tape.trace().to_string(), bits(&y.value()?)?);
    let tangents = |t: &[T]| x.iter().copied().zip(t.to_vec()).collect::<Vec<_>>();
    let mut plain = vec![tape.plain().jvp(y, tangents(&at.u[0]))?];
    plain.extend(unless_unsupported(tape.plain().jvp_batch(y, tangents(&stacks)))?);
    if before != (tape.len(), tape.trace().to_string(), bits(&y.value()?)?) {
        return Err(Failure::new("a plain sweep changed the tape"));
    }
    let mut recorded = vec![tape.jvp(y, pairs(&x, &constants(&tape, &at.u[0])))];
    let stacked = tape.jvp_batch(y, pairs(&x, &constants(&tape, &stacks)));
    recorded.extend(unless_unsupported(stacked.shape().map(|_| stacked))?);
    if plain.len() != recorded.len() {
        return Err(Failure::new("one of the two sweeps is unsupported"));
    }
    for (plain, recorded) in plain.iter().zip(recorded) {
        same_bits(plain, &recorded.value()?)?;
    }
    Ok(())
}

/// `None` where the backend leaves out the optional `slice` and `concat`, by which stacked tangents
/// reach rules that take one at a time.
fn unless_unsupported<X>(stacked: Result<X, Error>) -> Result<Option<X>, Error> {
    match stacked {
        Err(error) if is_unsupported(&error) => Ok(None),
        stacked => stacked.map(Some),
    }
}

/// k tangents that are stacked give what they give one by one, and its gradient.
///
/// # Errors
/// If the law fails.
pub fn tangents_at_once_equal_one_by_one<T: TensorLike>(case: &Case<T>, model: &T) -> Verdict {
    let Some(at) = Setup::new(case, model, 0)? else { return Ok(()) };
    let Some(stacks) = at.stacked(model)? else { return Ok(()) };
    let tape = Tape::new();
    let x = vars(&tape, &at.x);
    let y = (case.apply)(&x).sin();
    let all = tape.jvp_batch(y, pairs(&x, &constants(&tape, &stacks)));
    let Some(_) = unless_unsupported(all.shape())? else { return Ok(()) };
    let (mut data, mut gradients) = (Vec::new(), Vec::new());
    for u in &at.u {
        let one = tape.jvp(y, pairs(&x, &constants(&tape, u)));
        data.extend(one.to_host()?);
        gradients.push(tape.backward(one.sin().sum(), &x)?);
    }
    near(&all.value()?, &pair(model, &stack_of(&y.value()?), &data)?.1, model.dtype())?;
    // The gradients of a sum over the stack are the sums of theirs.
    for (arg, got) in tape.backward(all.sin().sum(), &x)?.iter().enumerate() {
        let mut wanted = twin(&gradients[0][arg])?;
        for gradient in &gradients[1..] {
            wanted = wanted.add(&twin(&gradient[arg])?)?;
        }
        near(got, &wanted, model.dtype())?;
    }
    Ok(())
}

/// A tape on which every node has the same name computes the same bits.
///
/// # Errors
/// If the law fails.
pub fn names_change_no_number<T: TensorLike>(case: &Case<T>, model: &T) -> Verdict {
    let Some(at) = Setup::new(case, model, 0)? else { return Ok(()) };
    let mut found: Option<Vec<Vec<u64>>> = None;
    for name in [None, Some("x"), Some("v0")] {
        let tape = Tape::new();
        let name_all = || {
            if let Some(name) = name {
                tape.nodes().for_each(|node| {
                    node.var.named(name);
                });
            }
        };
        let x = vars(&tape, &at.x);
        let y = (case.apply)(&x).sin().sum();
        name_all();
        let gradients = tape.grad(y, &x);
        name_all();
        let values = gradients.into_iter().chain([y]).map(|x| bits(&x.value()?));
        let values = values.collect::<Result<_, Failure>>()?;
        match &found {
            Some(found) if *found != values => {
                return Err(Failure::new(format!("the name {name:?} changed a number")));
            }
            _ => found = Some(values),
        }
    }
    Ok(())
}

// ------------------------------------------------------------------------------------ the means

/// An operation that computes what a function does, and has no formula for its JVP.
struct WithoutJvp<T: TensorLike> {
    apply: Apply<T>,
    model: T,
}

impl<T: TensorLike> Op<T> for WithoutJvp<T> {
    fn name(&self) -> &'static str {
        "without_jvp"
    }

    fn shape(&self, x: &[Shape]) -> Result<Shape, ErrorKind> {
        let tape = Tape::new();
        // Ones, since a matrix of zeros has no inverse.
        let ones =
            |shape: &Shape| tape.constant(self.model.clone()).sum().ones_like().expand(shape);
        let x: Vec<Var<'_, T>> = x.iter().map(ones).collect();
        (self.apply)(&x).shape().map_err(|error| error.kind().clone())
    }

    fn forward(&self, x: &[&T]) -> Result<T, T::Error> {
        let tape = Tape::new();
        let x: Vec<Var<'_, T>> = x.iter().map(|&x| tape.constant(x.clone())).collect();
        let unsupported = |_| Unsupported { op: "without_jvp", backend: "laws" };
        Ok((self.apply)(&x).value().map_err(unsupported)?)
    }

    fn vjp<'t>(&self, p: &Primal<'t, T>, ct: Var<'t, T>, x_bar: &mut Cotangents<'_, 't, T>) {
        // In a plain sweep the arguments are constants, and the sweep in here needs variables.
        let variable = |x: Var<'t, T>| match (x.is_tracked(), x.value()) {
            (false, Ok(value)) => p.tape().var(value),
            _ => x,
        };
        let x: Vec<Var<'t, T>> = (0..p.n_inputs()).map(|i| variable(p.x(i))).collect();
        let y = (self.apply)(&x);
        x_bar.each(|arg| p.tape().vjp(y, ct, x[arg]));
    }
}

/// Inputs of a case with directions to differentiate in, for the backend and for the reference.
struct Setup<T> {
    x: Vec<T>,
    oracle: Vec<Reference>,
    u: Vec<Vec<T>>,
    u_oracle: Vec<Vec<Reference>>,
}

const ORDERS: usize = 3;
const DIRECTIONS: u64 = 2;

impl<T: TensorLike> Setup<T> {
    /// `None` for operations that have no derivative.
    fn new(case: &Case<T>, model: &T, seed: u64) -> Result<Option<Self>, Failure> {
        if !case.differentiable {
            return Ok(None);
        }
        let (x, oracle) = inputs(case, model)?;
        let mut random = Random::new(seed);
        let (mut u, mut u_oracle) = (Vec::new(), Vec::new());
        for _ in 0..ORDERS {
            let mut direction = |(shape, data): &(Shape, Vec<f64>)| {
                pair(model, shape, &random.signed_units(data.len()))
            };
            let both = case.inputs.iter().map(&mut direction).collect::<Result<Vec<_>, _>>()?;
            let (direction, oracle): (Vec<T>, Vec<Reference>) = both.into_iter().unzip();
            u.push(direction);
            u_oracle.push(oracle);
        }
        Ok(Some(Setup { x, oracle, u, u_oracle }))
    }

    /// For each input, its directions along a leading axis; `None` on a backend of scalars.
    fn stacked(&self, model: &T) -> Result<Option<Vec<T>>, Failure> {
        if model.full(&[ORDERS], 0.0).is_err() {
            return Ok(None);
        }
        let stack = |arg: usize| {
            let data: Vec<f64> =
                self.u_oracle.iter().flat_map(|u| u[arg].data().to_vec()).collect();
            Ok(pair(model, &stack_of(&self.oracle[arg]), &data)?.0)
        };
        (0..self.x.len()).map(stack).collect::<Result<_, _>>().map(Some)
    }
}

/// The shape of as many tensors like `x` as there are directions, along a leading axis.
fn stack_of(x: &impl TensorLike) -> Shape {
    [ORDERS].into_iter().chain(x.shape().iter().copied()).collect()
}

/// Checks a case in some directions at each order that the dtype has digits for.
fn in_directions<T: TensorLike>(
    case: &Case<T>,
    model: &T,
    check: impl Fn(&Setup<T>, usize) -> Verdict,
) -> Verdict {
    let highest = if rounding(model.dtype(), ORDERS) < 0.01 { ORDERS } else { 1 };
    for seed in 0..DIRECTIONS {
        let Some(setup) = Setup::new(case, model, seed)? else { return Ok(()) };
        for order in 1..=highest {
            let context = || format!("order {order} in the directions of seed {seed}");
            check(&setup, order).map_err(|failure| failure.within(context()))?;
        }
    }
    Ok(())
}

/// The inputs of a case on the backend, and as the reference sees them.
fn inputs<T: TensorLike>(case: &Case<T>, model: &T) -> Result<(Vec<T>, Vec<Reference>), Failure> {
    let both = case.inputs.iter().map(|(shape, data)| pair(model, shape, data));
    Ok(both.collect::<Result<Vec<_>, _>>()?.into_iter().unzip())
}

fn random_like<T: TensorLike>(model: &T, shape: &Shape, random: &mut Random) -> Result<T, Failure> {
    let data = random.signed_units(shape.n_elements().unwrap_or(0));
    Ok(pair(model, shape, &data)?.0)
}

fn vars<'t, T: TensorLike>(tape: &'t Tape<T>, x: &[T]) -> Vec<Var<'t, T>> {
    x.iter().map(|x| tape.var(x.clone())).collect()
}

fn constants<'t, T: TensorLike>(tape: &'t Tape<T>, x: &[T]) -> Vec<Var<'t, T>> {
    x.iter().map(|x| tape.constant(x.clone())).collect()
}

fn pairs<'t, T: TensorLike>(x: &[Var<'t, T>], t: &[Var<'t, T>]) -> Vec<(Var<'t, T>, Var<'t, T>)> {
    x.iter().copied().zip(t.iter().copied()).collect()
}

fn value<T: TensorLike>(f: Apply<T>, x: &[T]) -> Result<T, Error> {
    let tape = Tape::new();
    f(&vars(&tape, x)).value()
}

fn plain_vjp<T: TensorLike>(f: Apply<T>, x: &[T], ct: T) -> Result<Vec<T>, Error> {
    let tape = Tape::new();
    let x = vars(&tape, x);
    tape.plain().vjp(f(&x), ct, &x)
}

/// A derivative, and the sum of the magnitudes of its terms.
struct Derivative {
    value: f64,
    magnitude: f64,
}

/// The derivative of Σ sin f(x) in the directions `u`, one after the other, in reverse mode.
fn reverse<T: TensorLike>(f: Apply<T>, x: &[T], u: &[Vec<T>]) -> Result<Derivative, Failure> {
    let tape = Tape::new();
    let x = vars(&tape, x);
    let mut y = f(&x).sin().sum();
    let mut magnitude = y.item()?.abs();
    for u in u {
        let gradients = tape.grad(y, &x);
        let mut terms = gradients.iter().zip(u).map(|(&g, u)| {
            let term = g * tape.constant(u.clone());
            Ok((term.sum(), term.to_host()?.into_iter().map(f64::abs).sum::<f64>()))
        });
        let Some(first) = terms.next() else { break };
        (y, magnitude) = first?;
        for term in terms {
            let (term, size): (Var<'_, T>, f64) = term.map_err(|error: Error| error)?;
            (y, magnitude) = (y + term, magnitude + size);
        }
    }
    Ok(Derivative { value: y.item()?, magnitude })
}

/// The same in forward mode.
fn forward<T: TensorLike>(
    f: impl for<'t> Fn(&[Var<'t, T>]) -> Var<'t, T>,
    x: &[T],
    u: &[Vec<T>],
) -> Result<f64, Failure> {
    let tape = Tape::new();
    let x = vars(&tape, x);
    let mut y = f(&x).sin().sum();
    for u in u {
        let u: Vec<Var<'_, T>> = u.iter().map(|u| tape.constant(u.clone())).collect();
        y = tape.jvp(y, pairs(&x, &u));
    }
    Ok(y.item()?)
}

/// The same, the last derivative by differences over four points.
fn difference(f: Apply<Reference>, x: &[Reference], u: &[Vec<Reference>]) -> Result<f64, Failure> {
    const STEP: f64 = 1.0 / 4096.0;
    let Some((last, before)) = u.split_last() else { return Ok(f64::NAN) };
    let at = |steps: f64| -> Result<f64, Failure> {
        let moved = x.iter().zip(last).map(|(x, u)| x.add(&u.scale(steps * STEP)?));
        let moved = moved.collect::<Result<Vec<_>, ReferenceError>>()?;
        Ok(reverse(f, &moved, before)?.value)
    };
    let (near, far) = (at(1.0)? - at(-1.0)?, at(2.0)? - at(-2.0)?);
    Ok((8.0 * near - far) / (12.0 * STEP))
}

/// ⟨x, y⟩ and the sum of the magnitudes of its terms.
fn dot<T: TensorLike>(x: Var<'_, T>, y: Var<'_, T>) -> Result<(f64, f64), Error> {
    let (x, y) = (x.to_host()?, y.to_host()?);
    let terms = || x.iter().zip(&y).map(|(x, y)| x * y);
    Ok((terms().sum(), terms().map(f64::abs).sum()))
}

/// The elements, bit by bit; all NaN alike.
fn bits<T: TensorLike>(x: &T) -> Result<Vec<u64>, Failure> {
    let canonical = |x: &f64| if x.is_nan() { f64::NAN.to_bits() } else { x.to_bits() };
    Ok(twin(x)?.data().iter().map(canonical).collect())
}

/// Fails unless two tensors, one of a plain sweep and one of a recorded one, are the same, but for
/// the sign of zeros: what is dead is selected in one and a product with 0 in the other.
fn same_bits<T: TensorLike>(plain: &T, recorded: &T) -> Verdict {
    const MINUS_ZERO: u64 = (-0.0f64).to_bits();
    let unsigned = |bits: Vec<u64>| -> Vec<u64> {
        bits.into_iter().map(|bits| if bits == MINUS_ZERO { 0 } else { bits }).collect()
    };
    let same = || Ok::<_, Failure>(unsigned(bits(plain)?) == unsigned(bits(recorded)?));
    if plain.shape() == recorded.shape() && same()? {
        return Ok(());
    }
    let (plain, recorded) = (describe(&twin(plain)?), describe(&twin(recorded)?));
    Err(Failure::new(format!("plain {plain}, recorded {recorded}")))
}

/// What differences may be wrong by; see the tolerances of the module.
const DIFFERENCES: f64 = 1e-7;

/// What the rounding of a dtype may amount to at an order.
fn rounding(dtype: DType, order: usize) -> f64 {
    (0..order).fold(8.0, |error, _| 8.0 * error) * dtype.epsilon()
}

/// Fails unless two numbers agree, to a fraction of `scale` plus one.
fn agree(got: f64, wanted: f64, tolerance: f64, scale: f64) -> Verdict {
    let allowed = tolerance * (1.0 + scale);
    // A fraction of ∞ would allow any number.
    match allowed.is_finite() && (got - wanted).abs() <= allowed {
        true => Ok(()),
        false => Err(Failure::new(format!("got {got}, wanted {wanted} ± {allowed:.1e}"))),
    }
}

/// Fails unless two tensors agree, to the rounding of a few operations.
fn near<T: TensorLike>(got: &T, wanted: &Reference, dtype: DType) -> Verdict {
    let sizes = wanted.data().iter().map(|&x| x.abs()).filter(|x| x.is_finite());
    let scale = sizes.fold(1.0, f64::max);
    let tolerance = Tolerance { relative: 0.0, absolute: rounding(dtype, 1) };
    close(got, wanted, dtype, tolerance, |_| scale)
}

#[cfg(test)]
mod tests {
    use super::agree;

    #[test]
    fn an_infinity_agrees_with_no_finite_number() {
        for (wanted, scale) in [(f64::INFINITY, f64::INFINITY), (1.0, f64::INFINITY)] {
            assert!(agree(42.0, wanted, 1e-7, scale).is_err());
        }
    }
}
