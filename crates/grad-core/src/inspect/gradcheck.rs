//! `gradcheck`: are the derivatives of a function what differences of its values say?
//!
//! The function f may be anything made of operations, your own among them. What is differentiated
//! is φ(x) = Σ sin f(x), so that the cotangent of f is not constant: a rule that loses it does not
//! pass. Order k is D_{u_k} ⋯ D_{u_1} φ for random directions u, of which the last moves one
//! argument; it is computed in reverse mode and in forward mode, and compared with differences of
//! order k − 1. So each order is checked on its own, and the first that is wrong is named.
//!
//! # Steps and tolerances
//!
//! With ε the spacing of the dtype at 1 and M the sum of the magnitudes of what is summed:
//!
//! * A central difference (φ(h) − φ(−h)) / 2h is wrong by h²/6 φ‴ of truncation and by about εM/h of
//!   rounding: best at h = ε^(1/3), where ε^(2/3) is left. One step of Richardson's extrapolation,
//!   (8 (φ(h) − φ(−h)) − (φ(2h) − φ(−2h))) / 12h, has the truncation error h⁴/30 φ⁽⁵⁾: best at
//!   h = ε^(1/5), where ε^(4/5) is left, 10⁻¹² for f64 and 10⁻⁵ for f32. This is the first step.
//! * That holds of a function that varies over lengths of about 1. So a direction is as large as its
//!   argument where that is more than 1; f is scaled by a power of two before the sine if it is
//!   large; and as long as the numbers disagree and the differences have not settled, the step
//!   becomes eight times smaller, down to √ε.
//! * Allowed is √ε M for the derivatives, half of the digits, and 8 εM/h for the differences, both
//!   eight times more with each further order, for each sums about eight times as many products.
//!
//! Below f32 little is left of this: check a function in a wider dtype.
//!
//! # What does not pass
//!
//! A function whose derivative is meant to differ from its differences: one that calls
//! [`Var::detach`], or that is at a kink or a jump, as `relu` at 0. The report says which. One that
//! loses digits inside, as (x + 10⁶) − 10⁶, needs a [`tolerance`](Gradcheck::tolerance).

use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use crate::ground::{Error, Mode, Random, Shape, TensorLike, format_tensor};
use crate::tape::{Node, Tape, Var};

/// Compares the derivatives of `f` at `x` with differences: first and second order, in reverse and
/// in forward mode. [`Gradcheck`] has other orders and more.
///
/// ```
/// use grad_core::gradcheck;
///
/// gradcheck(|[x, y]| (x * y).tanh() / y, [0.3, 2.0])?;
/// // Constants come from the tape of the arguments.
/// gradcheck(|[x]| x.pow(x.tape().constant(3.5)), [0.7])?;
/// # Ok::<(), grad_core::GradcheckError>(())
/// ```
///
/// The answer to a function at a kink:
///
/// ```
/// let error = grad_core::gradcheck(|[x]| x.relu(), [0.0]).unwrap_err();
/// assert!(error.to_string().starts_with("the function is not smooth"));
/// ```
///
/// # Errors
/// A report of the first thing that is wrong: a derivative, the function itself, or what it
/// computes. See [`Finding`].
pub fn gradcheck<T: TensorLike, const N: usize>(
    f: impl for<'t> Fn([Var<'t, T>; N]) -> Var<'t, T>,
    x: [T; N],
) -> Result<(), GradcheckError> {
    Gradcheck::new().check(f, x)
}

/// [`gradcheck()`] with options.
///
/// ```
/// use grad_core::Gradcheck;
///
/// Gradcheck::new().orders(3).directions(4).check(|[x]| x.sin() * x, [0.7])?;
/// # Ok::<(), grad_core::GradcheckError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct Gradcheck {
    orders: usize,
    seed: u64,
    directions: usize,
    tolerance: Option<f64>,
}

impl Default for Gradcheck {
    fn default() -> Self {
        Gradcheck { orders: 2, seed: 0, directions: 2, tolerance: None }
    }
}

impl Gradcheck {
    /// Orders 1 and 2, in two directions for each argument.
    pub fn new() -> Self {
        Gradcheck::default()
    }

    /// Checks the orders from 1 to `n`.
    pub fn orders(self, n: usize) -> Self {
        Gradcheck { orders: n, ..self }
    }

    /// Draws other random directions.
    pub fn seed(self, seed: u64) -> Self {
        Gradcheck { seed, ..self }
    }

    /// Checks `n` directions for each order and argument.
    pub fn directions(self, n: usize) -> Self {
        Gradcheck { directions: n, ..self }
    }

    /// Allows, at every order, this error relative to the sum of the magnitudes of what is summed
    /// in a derivative.
    pub fn tolerance(self, tolerance: f64) -> Self {
        Gradcheck { tolerance: Some(tolerance), ..self }
    }

    /// Checks a function of `N` arguments at `x`.
    ///
    /// # Errors
    /// As [`gradcheck()`].
    pub fn check<T: TensorLike, const N: usize>(
        &self,
        f: impl for<'t> Fn([Var<'t, T>; N]) -> Var<'t, T>,
        x: [T; N],
    ) -> Result<(), GradcheckError> {
        self.run(&|x| f(std::array::from_fn(|i| x[i])), &x)
    }

    /// Checks a function of any number of arguments at `x`.
    ///
    /// ```
    /// use grad_core::Gradcheck;
    ///
    /// Gradcheck::new().check_slice(|x| x[0] * x[1].exp(), &[0.3, 2.0])?;
    /// # Ok::<(), grad_core::GradcheckError>(())
    /// ```
    ///
    /// # Errors
    /// As [`gradcheck()`].
    pub fn check_slice<T: TensorLike>(
        &self,
        f: impl for<'t> Fn(&[Var<'t, T>]) -> Var<'t, T>,
        x: &[T],
    ) -> Result<(), GradcheckError> {
        self.run(&f, x)
    }

    fn run<T: TensorLike>(&self, f: Function<'_, T>, x: &[T]) -> Result<(), GradcheckError> {
        let tape = Tape::new();
        let base = Base::new(&tape, f, x)?;
        for order in 1..=self.orders {
            for mode in [Mode::Reverse, Mode::Forward] {
                let checks = self.checks(&base.problem, order, mode);
                let checks = checks.map_err(|error| Finding::SweepFailed { mode, order, error })?;
                if let Some(check) = checks.into_iter().find(|check| !check.passes()) {
                    let worst = self.worst(&base, order, mode, check.rank());
                    return Err(report(&base.problem, order, mode, self.seed, check, worst));
                }
            }
        }
        Ok(())
    }

    /// One check for each direction and argument.
    fn checks<T: TensorLike>(
        &self,
        problem: &Problem<'_, T>,
        order: usize,
        mode: Mode,
    ) -> Result<Vec<Check<T>>, Error> {
        let mut checks = Vec::new();
        for direction in 0..self.directions as u64 {
            // The directions of one order have nothing to do with those of another.
            let seed = self.seed.wrapping_add(direction << 32).wrapping_add(order as u64);
            let mut random = Random::new(seed);
            let u = (0..order).map(|_| problem.direction(&mut random));
            let u = u.collect::<Result<Vec<_>, Error>>()?;
            checks.extend(problem.checks(mode, &u, self.tolerance)?);
        }
        Ok(checks)
    }

    /// The node whose own rule disagrees most with differences of its own operation; if there is
    /// none, a node that the derivative does not pass though the value does.
    fn worst<T: TensorLike>(
        &self,
        base: &Base<'_, '_, T>,
        order: usize,
        mode: Mode,
        wanted: Rank,
    ) -> Option<Worst> {
        let mut worst: Option<((bool, bool, f64), Worst)> = None;
        let nodes: Vec<_> = base.tape.nodes().collect();
        for node in &nodes {
            let Some(check) = self.check_node(&nodes, node, order, mode) else { continue };
            let key = (node.tracked, check.rank() == wanted, check.badness());
            if worst.as_ref().is_none_or(|(other, _)| *other < key) {
                let &Node { op, location, .. } = node;
                let Check { got, wanted, allowed, .. } = check;
                worst = Some((key, Worst { op, location, got, wanted, tolerance: allowed }));
            }
        }
        worst.map(|(_, worst)| worst)
    }

    /// The worst check of one operation at the inputs that it had, if it fails.
    fn check_node<T: TensorLike>(
        &self,
        nodes: &[Node<'_, T>],
        node: &Node<'_, T>,
        order: usize,
        mode: Mode,
    ) -> Option<Check<T>> {
        let inputs: Vec<_> = node.inputs.iter().map(|id| &nodes[id.index()]).collect();
        let values: Vec<T> = inputs.iter().filter_map(|input| input.var.value().ok()).collect();
        let moving: Vec<usize> = (0..inputs.len()).filter(|&i| inputs[i].tracked).collect();
        let x: Vec<T> = moving.iter().map(|&i| values[i].clone()).collect();
        if x.is_empty() || !x.iter().all(is_finite) {
            return None;
        }
        let f: Function<'_, T> = &|x| {
            let tape = x[0].tape();
            let mut all: Vec<_> = values.iter().map(|x| tape.constant(x.clone())).collect();
            for (&i, &x) in moving.iter().zip(x) {
                all[i] = x;
            }
            node.apply(tape, &all).unwrap_or(x[0])
        };
        let problem = Problem::new(f, &x).ok()?;
        let failing = self.checks(&problem, order, mode).ok()?.into_iter();
        let failing = failing.filter(|check| !check.passes());
        failing.max_by(|a, b| a.badness().total_cmp(&b.badness()))
    }
}

/// The function that is checked.
type Function<'a, T> = &'a dyn for<'t> Fn(&[Var<'t, T>]) -> Var<'t, T>;

/// A tensor for each argument.
type Direction<T> = Vec<T>;

// ---------------------------------------------------------------------------------- the function

/// A function that is fit to be checked, and what it records at the point.
struct Base<'a, 't, T: TensorLike> {
    problem: Problem<'a, T>,
    tape: &'t Tape<T>,
}

impl<'a, 't, T: TensorLike> Base<'a, 't, T> {
    fn new(tape: &'t Tape<T>, f: Function<'a, T>, x: &'a [T]) -> Result<Self, GradcheckError> {
        let failed = |error| GradcheckError::from(Finding::FunctionFailed { error });
        if x.is_empty() {
            return Err(Finding::NoArguments.into());
        }
        if let Some(argument) = x.iter().position(|x| !is_finite(x)) {
            return Err(Finding::ArgumentNotFinite {
                argument,
                value: format_tensor(&x[argument]),
            }
            .into());
        }
        let problem = Problem::new(f, x).map_err(failed)?;
        let y = f(&vars(tape, x));
        let value = y.value().map_err(failed)?;
        if !is_finite(&value) {
            let node = tape.nodes().find(|node| node.var.value().is_ok_and(|x| !is_finite(&x)));
            let (op, location) = node.map_or(("function", here()), |node| (node.op, node.location));
            return Err(
                Finding::ValueNotFinite { op, location, value: format_tensor(&value) }.into()
            );
        }
        let again = f(&vars(&Tape::new(), x)).value().map_err(failed)?;
        if bits(&value) != bits(&again) {
            let (first, second) = (format_tensor(&value), format_tensor(&again));
            return Err(Finding::NotDeterministic { first, second }.into());
        }
        if !y.is_tracked() && x.iter().any(|x| !x.shape().contains(&0)) {
            let nodes: Vec<_> = tape.nodes().collect();
            let is_end = |node: &&Node<'_, T>| {
                let from_tracked = node.inputs.iter().any(|id| nodes[id.index()].tracked);
                node.id == y.id() || !node.tracked && from_tracked
            };
            let end = nodes.iter().find(is_end);
            let (op, location) = end.map_or(("function", here()), |node| (node.op, node.location));
            return Err(Finding::Untracked { op, location }.into());
        }
        Ok(Base { problem, tape })
    }
}

/// φ(x) = Σ sin (scale · f(x)).
struct Problem<'a, T: TensorLike> {
    f: Function<'a, T>,
    x: &'a [T],
    /// 1, or a power of two that brings the elements of f down to 1.
    scale: f64,
    /// What bounds the rounding of φ: the sum of the magnitudes of the elements of f, at least 1.
    size: f64,
    epsilon: f64,
}

impl<'a, T: TensorLike> Problem<'a, T> {
    fn new(f: Function<'a, T>, x: &'a [T]) -> Result<Self, Error> {
        let data = f(&vars(&Tape::new(), x)).to_host()?;
        let largest = data.iter().copied().map(f64::abs).fold(0.0, f64::max);
        let scale = if largest > 8.0 { (-largest.log2().floor()).exp2() } else { 1.0 };
        // At least 1, for what f is computed from may be larger than f.
        let size = data.into_iter().map(|x| (x * scale).abs().max(1.0)).sum();
        let epsilon = x.iter().map(|x| x.dtype().epsilon()).fold(0.0, f64::max);
        Ok(Problem { f, x, scale, size, epsilon })
    }

    fn phi<'t>(&self, x: &[Var<'t, T>]) -> Var<'t, T> {
        let y = (self.f)(x);
        let y = if self.scale == 1.0 { y } else { y.scale(self.scale) };
        y.sin().sum()
    }

    /// A random direction: elements between ½ and 1, of both signs; larger where the argument is.
    fn direction(&self, random: &mut Random) -> Result<Direction<T>, Error> {
        let tape = Tape::new();
        let direction = self.x.iter().map(|x| {
            let x = tape.constant(x.clone());
            let element = |x: f64| {
                let unit = random.signed_unit();
                x.abs().max(1.0) * (0.5 + 0.5 * unit.abs()).copysign(unit)
            };
            let u: Vec<f64> = x.to_host()?.into_iter().map(element).collect();
            x.new_constant(x.shape()?, &u).value()
        });
        direction.collect()
    }

    /// D_{u_k} ⋯ D_{u_1} φ in reverse mode.
    fn along<'t>(&self, x: &[Var<'t, T>], u: &[Direction<T>]) -> Var<'t, T> {
        let mut y = self.phi(x);
        for u in u {
            let gradients = y.tape().grad(y, x);
            let terms =
                gradients.iter().zip(u).map(|(&g, u)| (g * g.tape().constant(u.clone())).sum());
            y = terms.reduce(|sum, term| sum + term).unwrap_or(y);
        }
        y
    }

    /// The same, of the last derivative the part of each argument, and the sum of the magnitudes
    /// that are summed in it.
    fn reverse(&self, u: &[Direction<T>]) -> Result<Vec<(f64, f64)>, Error> {
        let Some((last, before)) = u.split_last() else { return Ok(vec![(0.0, self.size)]) };
        let tape = Tape::new();
        let x = vars(&tape, self.x);
        let gradients = tape.grad(self.along(&x, before), &x);
        let part = |(&g, u): (&Var<'_, T>, &T)| {
            let terms = (g * tape.constant(u.clone())).to_host()?;
            Ok((terms.iter().sum(), terms.into_iter().map(f64::abs).sum()))
        };
        gradients.iter().zip(last).map(part).collect()
    }

    /// The same in forward mode, the last derivative in one argument.
    fn forward(&self, u: &[Direction<T>], argument: usize) -> Result<f64, Error> {
        let Some((last, before)) = u.split_last() else { return Ok(0.0) };
        let tape = Tape::new();
        let x = vars(&tape, self.x);
        let mut y = self.phi(&x);
        for u in before {
            let u = u.iter().map(|u| tape.constant(u.clone()));
            y = tape.jvp(y, x.iter().copied().zip(u));
        }
        let t = tape.constant(last[argument].clone());
        tape.jvp(y, [(x[argument], t)]).item()
    }

    /// The derivative along all of `u` but the last, where the last has moved one argument by
    /// `steps`.
    fn moved(&self, u: &[Direction<T>], argument: usize, steps: f64) -> Result<f64, Error> {
        let Some((last, before)) = u.split_last() else { return Ok(0.0) };
        let tape = Tape::new();
        let mut x = self.x.to_vec();
        let step = tape.constant(last[argument].clone()).scale(steps);
        x[argument] = (tape.constant(x[argument].clone()) + step).value()?;
        self.along(&vars(&tape, &x), before).item()
    }

    /// A check for each argument that has elements.
    fn checks(
        &self,
        mode: Mode,
        u: &[Direction<T>],
        tolerance: Option<f64>,
    ) -> Result<Vec<Check<T>>, Error> {
        let Some((last, before)) = u.split_last() else { return Ok(Vec::new()) };
        let parts = self.reverse(u)?;
        let below = self.reverse(before)?.iter().map(|(_, size)| size).sum::<f64>().max(self.size);
        let looser = 8_f64.powi(before.len() as i32);
        let tolerance = tolerance.unwrap_or(looser * self.epsilon.sqrt());
        let center = self.along(&vars(&Tape::new(), self.x), before).item()?;
        let mut checks = Vec::new();
        for (argument, (part, size)) in parts.into_iter().enumerate() {
            if self.x[argument].shape().contains(&0) {
                continue;
            }
            let got = match mode {
                Mode::Reverse => part,
                Mode::Forward => self.forward(u, argument)?,
            };
            // Rounded is what differences are of, and where they are taken.
            let rounding = 8.0 * looser * self.epsilon * (below + size);
            let allowed = |h: f64| tolerance * size + rounding / h;
            let direction = last[argument].clone();
            let mut check = Check::new(argument, direction, got);
            check.compare(self.epsilon, center, allowed, |h| self.moved(u, argument, h))?;
            checks.push(check);
        }
        Ok(checks)
    }
}

// -------------------------------------------------------------------------------- the comparison

/// A derivative in one argument, and what differences say.
struct Check<T> {
    argument: usize,
    direction: T,
    got: f64,
    wanted: f64,
    allowed: f64,
    /// Differences to the left and to the right, and their step, where the function is not smooth.
    sides: Option<(f64, f64, f64)>,
}

/// What a check found.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Rank {
    Fine,
    Wrong,
    NotSmooth,
    NotFinite,
}

impl<T> Check<T> {
    fn new(argument: usize, direction: T, got: f64) -> Self {
        let (wanted, allowed) = (f64::NAN, 0.0);
        Check { argument, direction, got, wanted, allowed, sides: None }
    }

    fn rank(&self) -> Rank {
        match self {
            _ if !self.got.is_finite() => Rank::NotFinite,
            Check { sides: Some(_), .. } => Rank::NotSmooth,
            _ if (self.got - self.wanted).abs() <= self.allowed => Rank::Fine,
            _ => Rank::Wrong,
        }
    }

    fn passes(&self) -> bool {
        self.rank() == Rank::Fine
    }

    /// By how many times what is allowed the numbers differ.
    fn badness(&self) -> f64 {
        let times = (self.got - self.wanted).abs() / self.allowed;
        if times.is_nan() { f64::INFINITY } else { times }
    }

    /// Takes differences with smaller and smaller steps, until they agree with the derivative or
    /// with each other.
    fn compare(
        &mut self,
        epsilon: f64,
        center: f64,
        allowed: impl Fn(f64) -> f64,
        mut at: impl FnMut(f64) -> Result<f64, Error>,
    ) -> Result<(), Error> {
        if !self.got.is_finite() {
            return Ok(());
        }
        let mut failed = None;
        let mut is_settled = false;
        // A power of two, so that multiplying by it does not round.
        let mut h = (epsilon.log2() / 5.0).floor().exp2();
        while h >= epsilon.sqrt() {
            let mut value = |steps: f64| {
                // Beyond a border of its domain the function may fail; nearer it may not.
                at(steps * h).unwrap_or_else(|error| {
                    failed = Some(error);
                    f64::NAN
                })
            };
            let (left, right) = (value(-1.0), value(1.0));
            let (far_left, far_right) = (value(-2.0), value(2.0));
            let difference = (8.0 * (right - left) - (far_right - far_left)) / (12.0 * h);
            let before = std::mem::replace(&mut self.wanted, difference);
            let allowed_before = std::mem::replace(&mut self.allowed, allowed(h));
            self.sides = None;
            if (self.got - difference).abs() <= self.allowed {
                return Ok(());
            }
            self.sides = Some(((center - left) / h, (right - center) / h, h));
            is_settled = (difference - before).abs() <= self.allowed + allowed_before;
            if is_settled {
                // The gap between the slopes shrinks with h where there is no kink.
                let gap = |left: f64, right: f64, h: f64| (right + left - 2.0 * center).abs() / h;
                let (near, far) = (gap(left, right, h), gap(far_left, far_right, 2.0 * h));
                let is_kink = near > 4.0 * self.allowed && near > 0.75 * far;
                self.sides = self.sides.filter(|_| is_kink);
                break;
            }
            h /= 8.0;
        }
        match failed {
            Some(error) if !is_settled && self.wanted.is_nan() => Err(error),
            _ => Ok(()),
        }
    }
}

// ------------------------------------------------------------------------------------ the report

/// What [`gradcheck()`] found wrong. `Display` is a report of a few lines.
#[derive(Clone)]
pub struct GradcheckError(Arc<Finding>);

impl GradcheckError {
    /// The report as data.
    pub fn finding(&self) -> &Finding {
        &self.0
    }
}

impl From<Finding> for GradcheckError {
    fn from(finding: Finding) -> Self {
        GradcheckError(Arc::new(finding))
    }
}

/// What can be wrong.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Finding {
    /// There is nothing to differentiate with respect to.
    NoArguments,
    /// An argument is infinite or NaN.
    ArgumentNotFinite {
        /// Its place.
        argument: usize,
        /// Its value, abbreviated.
        value: String,
    },
    /// The function fails at the point.
    FunctionFailed {
        /// What it says.
        error: Error,
    },
    /// A sweep fails, or the function near the point.
    SweepFailed {
        /// The mode.
        mode: Mode,
        /// The order.
        order: usize,
        /// What it says.
        error: Error,
    },
    /// The function is infinite or NaN.
    ValueNotFinite {
        /// The first operation that was.
        op: &'static str,
        /// Its line.
        location: &'static Location<'static>,
        /// The value of the function, abbreviated.
        value: String,
    },
    /// The function gives two values at one point.
    NotDeterministic {
        /// The one, abbreviated.
        first: String,
        /// The other, abbreviated.
        second: String,
    },
    /// The function depends on no argument by differentiable operations.
    Untracked {
        /// The operation at which the derivative ends.
        op: &'static str,
        /// Its line.
        location: &'static Location<'static>,
    },
    /// A derivative is infinite or NaN.
    NotFinite(Derivative),
    /// Differences do not settle: the function, or a derivative of it, has a kink, a jump or the
    /// border of its domain at the point or very near to it, or it loses digits inside.
    NotSmooth {
        /// The derivative.
        derivative: Derivative,
        /// The difference to the left.
        left: f64,
        /// The difference to the right.
        right: f64,
        /// The step of these differences, in multiples of the direction.
        step: f64,
    },
    /// A derivative is not what differences say.
    Wrong(Derivative),
}

/// A derivative that was compared.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Derivative {
    /// In which argument, counted from 0.
    pub argument: usize,
    /// Of how many.
    pub n_arguments: usize,
    /// Of which order.
    pub order: usize,
    /// In which mode.
    pub mode: Mode,
    /// The last direction, abbreviated, and its shape.
    pub direction: (String, Shape),
    /// The seed of the directions.
    pub seed: u64,
    /// The derivative.
    pub got: f64,
    /// What differences say.
    pub wanted: f64,
    /// How far they may be apart.
    pub tolerance: f64,
    /// The operation whose own derivative is furthest from differences of its own, if one is.
    pub worst: Option<Worst>,
}

/// A node whose operation disagrees with differences of its own values, at the inputs it had.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Worst {
    /// The operation.
    pub op: &'static str,
    /// Its line.
    pub location: &'static Location<'static>,
    /// Its derivative, in a direction of its own.
    pub got: f64,
    /// What differences say.
    pub wanted: f64,
    /// How far they may be apart.
    pub tolerance: f64,
}

fn report<T: TensorLike>(
    problem: &Problem<'_, T>,
    order: usize,
    mode: Mode,
    seed: u64,
    check: Check<T>,
    worst: Option<Worst>,
) -> GradcheckError {
    let rank = check.rank();
    let Check { argument, direction, got, wanted, allowed: tolerance, sides } = check;
    let n_arguments = problem.x.len();
    let direction = (format_tensor(&direction), Shape::from(direction.shape()));
    #[rustfmt::skip]
    let derivative = Derivative {
        argument, n_arguments, order, mode, direction, seed, got, wanted, tolerance, worst,
    };
    let finding = match (rank, sides) {
        (Rank::NotFinite, _) => Finding::NotFinite(derivative),
        (_, Some((left, right, step))) => Finding::NotSmooth { derivative, left, right, step },
        _ => Finding::Wrong(derivative),
    };
    finding.into()
}

impl fmt::Display for GradcheckError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Finding::NoArguments => f.write_str("there are no arguments to differentiate"),
            Finding::ArgumentNotFinite { argument, value } => {
                write!(f, "argument {argument} is not finite: {value}")
            }
            Finding::FunctionFailed { error } => write!(f, "the function failed: {error}"),
            Finding::SweepFailed { mode, order, error } => {
                write!(f, "{} of order {order} failed: {error}", name(*mode))
            }
            Finding::ValueNotFinite { op, location, value } => {
                write!(
                    f,
                    "the function is not finite: {value}; the first such node is {op} at {location}"
                )
            }
            Finding::NotDeterministic { first, second } => {
                write!(f, "the function is not deterministic: it gave {first}, then {second}")
            }
            Finding::Untracked { op, location } => write!(
                f,
                "the function has no derivative in its arguments: it ends with {op} at {location}"
            ),
            Finding::NotFinite(derivative) => {
                let Derivative { argument, n_arguments, order, .. } = derivative;
                write!(f, "the derivative of order {order} is not finite")?;
                writeln!(f, " in argument {argument} of {n_arguments}")?;
                derivative.lines(f, None)
            }
            Finding::NotSmooth { derivative, left, right, step } => {
                let Derivative { argument, n_arguments, order, .. } = derivative;
                write!(f, "the function is not smooth enough for order {order}")?;
                writeln!(
                    f,
                    " in argument {argument} of {n_arguments}: a kink, a jump, a border or lost digits"
                )?;
                derivative.lines(f, Some((*left, *right, *step)))
            }
            Finding::Wrong(derivative) => {
                let Derivative { argument, n_arguments, order, mode, .. } = derivative;
                write!(f, "{} of order {order} is wrong", name(*mode))?;
                writeln!(f, " in argument {argument} of {n_arguments}")?;
                derivative.lines(f, None)
            }
        }
    }
}

impl Derivative {
    fn lines(&self, f: &mut fmt::Formatter<'_>, sides: Option<(f64, f64, f64)>) -> fmt::Result {
        let (direction, shape) = &self.direction;
        writeln!(f, "  {}: {}", name(self.mode), digits(self.got))?;
        match sides {
            Some((left, right, step)) => {
                let (left, right) = (digits(left), digits(right));
                writeln!(f, "  differences: left {left}, right {right}, over steps of {step:.1e}")?;
            }
            None if !self.got.is_finite() => {}
            None => writeln!(f, "  differences: {} ± {:.1e}", digits(self.wanted), self.tolerance)?,
        }
        writeln!(f, "  direction: {direction} of shape {shape}, seed {}", self.seed)?;
        match &self.worst {
            None => f.write_str("  worst node: none, each agrees with differences of its own"),
            Some(Worst { op, location, got, .. }) if !got.is_finite() => {
                write!(f, "  worst node: {op} at {location}")
            }
            Some(Worst { op, location, got, wanted, .. }) => {
                let (got, wanted) = (digits(*got), digits(*wanted));
                write!(f, "  worst node: {op} at {location}, {got} and by differences {wanted}")
            }
        }
    }
}

impl fmt::Debug for GradcheckError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for GradcheckError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &*self.0 {
            Finding::FunctionFailed { error } | Finding::SweepFailed { error, .. } => Some(error),
            _ => None,
        }
    }
}

impl From<GradcheckError> for Error {
    #[track_caller]
    fn from(error: GradcheckError) -> Self {
        Error::from_source(error)
    }
}

fn name(mode: Mode) -> &'static str {
    match mode {
        Mode::Reverse => "reverse mode",
        Mode::Forward => "forward mode",
    }
}

/// Nine significant digits: what differences of f64 can say.
fn digits(x: f64) -> String {
    let x = if x == 0.0 { 0.0 } else { x };
    match x.abs() {
        0.0 | 1e-3..1e6 => {
            let before = x.abs().max(1.0).log10().floor() as usize;
            let text = format!("{x:.*}", 8 - before);
            text.trim_end_matches('0').trim_end_matches('.').to_string()
        }
        _ => format!("{x:.8e}"),
    }
}

// --------------------------------------------------------------------------------------- helpers

fn vars<'t, T: TensorLike>(tape: &'t Tape<T>, x: &[T]) -> Vec<Var<'t, T>> {
    x.iter().map(|x| tape.var(x.clone())).collect()
}

/// True unless an element is infinite or NaN; what cannot be read is for others to find.
fn is_finite<T: TensorLike>(x: &T) -> bool {
    x.to_host().map_or(true, |data| data.iter().all(|x| x.is_finite()))
}

/// Shape and elements, bit by bit.
fn bits<T: TensorLike>(x: &T) -> (Shape, Vec<u64>) {
    let data = x.to_host().unwrap_or_default();
    (Shape::from(x.shape()), data.into_iter().map(f64::to_bits).collect())
}

/// Where there is no line of the user's.
#[track_caller]
fn here() -> &'static Location<'static> {
    Location::caller()
}
