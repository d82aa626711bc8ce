//! A function of the user's as one operation, which owns it: the form it is called in, where it
//! runs, and how its errors come out.

use std::panic::Location;

use crate::ground::{Build, Error, ErrorKind, TensorLike, backend};
use crate::tape::{
    self, Body, Cotangents, Facts, Op, Primal, Reach, Tangents, Tape, Var, fail_without_tape,
};
use crate::transform::face::{handles, leaves};
use crate::transform::params::{Bare, Params, WithTape};

/// Inputs of a function `F` that an operation owns.
///
/// The function is called with handles of whatever tape it runs on:
///
/// | inputs | function |
/// | --- | --- |
/// | a handle | `\|x\| …` |
/// | an array of handles | `\|[a, b]\| …` |
/// | any other [`Params`] | `\|tape, m\| …`, with `m` the same structure of handles |
///
/// It is `'static`: what it captures, it owns, and that cannot be a handle.
#[diagnostic::on_unimplemented(
    message = "this function does not take `{Self}` as an operation that owns it passes it",
    note = "for one handle it is `|x| ..`, for an array `|[a, b]| ..`, for any other structure \
            `|tape, m| ..`; it returns a `Var`, and what it captures it owns"
)]
pub trait Inputs<T: TensorLike, F, Convention>: Params {
    /// The function in one form for all inputs; `values` has one tensor for each handle, at least
    /// one.
    #[doc(hidden)]
    fn own(&self, f: F, values: &[T]) -> Box<Run<T>>;
}

/// A function of handles of one tape.
type Run<T> = dyn for<'s> Fn(&'s Tape<T>, &[Var<'s, T>]) -> Var<'s, T>;

impl<'t, T: TensorLike, F> Inputs<T, F, Bare> for Var<'t, T>
where
    F: for<'s> Fn(Var<'s, T>) -> Var<'s, T> + 'static,
{
    fn own(&self, f: F, _: &[T]) -> Box<Run<T>> {
        Box::new(move |_, x| f(x[0]))
    }
}

impl<'t, T: TensorLike, F, const N: usize> Inputs<T, F, Bare> for [Var<'t, T>; N]
where
    F: for<'s> Fn([Var<'s, T>; N]) -> Var<'s, T> + 'static,
{
    fn own(&self, f: F, _: &[T]) -> Box<Run<T>> {
        Box::new(move |_, x| f(array(x)))
    }
}

impl<'t, T: TensorLike, F, P> Inputs<T, F, WithTape> for P
where
    P: Params<Leaf = Var<'t, T>, With<T>: Form<T>>,
    F: for<'s> Fn(&'s Tape<T>, Handles<'s, P, T>) -> Var<'s, T> + 'static,
{
    fn own(&self, f: F, values: &[T]) -> Box<Run<T>> {
        let form = form(self, values);
        Box::new(move |tape, x| f(tape, handles(tape, &form, x.iter().copied())))
    }
}

/// The structure of handles that a function of inputs `P` is called with: `P` itself, but for the
/// lifetime of its handles.
pub type Handles<'s, P, T> = <<P as Params>::With<T> as Params>::With<Var<'s, T>>;

/// A structure of tensors, which outlives every tape.
pub trait Form<T>: Params<Leaf = T> + 'static {}

impl<T, P: Params<Leaf = T> + 'static> Form<T> for P {}

/// A function of the user's.
pub(super) struct Function<T: TensorLike> {
    pub(super) name: &'static str,
    /// The line that made an operation of it.
    location: &'static Location<'static>,
    n_inputs: usize,
    run: Box<Run<T>>,
}

/// A function of the user's as an operation, with the derivative `R`.
pub(super) struct AsOp<T: TensorLike, R> {
    pub(super) function: Function<T>,
    pub(super) rule: R,
}

/// A derivative of a function; errors become void handles.
pub(super) trait Rule<T: TensorLike>: Sized {
    /// The cotangents of the arguments, where `None` stands for zero.
    fn pull<'t>(
        op: &AsOp<T, Self>,
        p: &Primal<'t, T>,
        ct: Var<'t, T>,
        x_bar: &Cotangents<'_, 't, T>,
    ) -> Result<Vec<Option<Var<'t, T>>>, Error>;

    /// Which elements of the output an element of an argument reaches.
    fn reach(&self) -> Reach;

    /// The tangent of the output. `None` if there is no rule for such tangents.
    fn push<'t>(
        op: &AsOp<T, Self>,
        p: &Primal<'t, T>,
        t: &Tangents<'_, 't, T>,
    ) -> Result<Option<Var<'t, T>>, Error>;
}

/// Applies a function as an operation of that name, with a rule made from the values of the inputs.
#[track_caller]
pub(super) fn apply<'t, T, P, F, R>(
    name: &'static str,
    x: &P,
    f: F,
    rule: impl FnOnce(&[T]) -> R,
) -> Var<'t, T>
where
    T: TensorLike,
    P: Params<Leaf = Var<'t, T>>,
    P: Inputs<T, F, <P as Params>::Convention>,
    R: Rule<T> + 'static,
{
    let handles = leaves(x);
    let Some(first) = handles.first() else {
        let message = "needs at least one handle as input".to_string();
        return fail_without_tape(name, ErrorKind::Parameter { message });
    };
    let mut values = Vec::with_capacity(handles.len());
    for x in &handles {
        match x.value() {
            Ok(value) => values.push(value),
            Err(_) => return *x,
        }
    }
    let (location, n_inputs) = (Location::caller(), handles.len());
    let function = Function { name, location, n_inputs, run: x.own(f, &values) };
    first.tape.apply(AsOp { function, rule: rule(&values) }, &handles)
}

impl<T: TensorLike, R: Rule<T>> Op<T> for AsOp<T, R> {
    fn name(&self) -> &'static str {
        self.function.name
    }

    fn facts(&self) -> Facts {
        let facts = Facts::GENERAL.reaching(self.rule.reach());
        if facts.reach == Reach::Same { facts.by_value() } else { facts }
    }

    fn vjp<'t>(&self, p: &Primal<'t, T>, ct: Var<'t, T>, x_bar: &mut Cotangents<'_, 't, T>) {
        let n_inputs = x_bar.wanted().len();
        match ct.ok().and_then(|()| R::pull(self, p, ct, x_bar)) {
            Ok(pulled) => {
                let pulled = pulled.into_iter().enumerate();
                pulled.for_each(|(arg, pulled)| {
                    if let Some(pulled) = pulled {
                        x_bar.set(arg, pulled)
                    }
                });
            }
            Err(error) => {
                let void = p.tape.void(error);
                (0..n_inputs).for_each(|arg| x_bar.set(arg, void));
            }
        }
    }

    fn jvp<'t>(&self, p: &Primal<'t, T>, t: &Tangents<'_, 't, T>) -> Option<Var<'t, T>> {
        R::push(self, p, t).unwrap_or_else(|error| Some(p.tape.void(error)))
    }

    fn body(&self, _: Build) -> Body<'_, T> {
        Body::Function(&self.function)
    }

    fn format(&self, x: &[&str]) -> String {
        format!("{}({})", self.function.name, x.join(", "))
    }
}

impl<T: TensorLike> tape::Function<T> for Function<T> {
    // From a tape of its own: what is computed on the way is dropped.
    fn value(&self, x: &[Var<'_, T>]) -> Result<T, Error> {
        if x.len() != self.n_inputs {
            return Err(self.error(ErrorKind::Arity { expected: self.n_inputs, got: x.len() }));
        }
        let tape = Tape::new();
        // What the function differentiates may be made of checkpoints.
        x.iter().for_each(|x| tape.checks.set(x.tape.checks.get()));
        let mut inputs = Vec::with_capacity(x.len());
        for x in x {
            inputs.push(self.input(&tape, x.value()?, x.is_tracked()));
        }
        self.record(&tape, &inputs)?.value()
    }
}

impl<T: TensorLike> Function<T> {
    /// The function recorded once more, on a tape of its own, at the values that a node was
    /// computed from: the inputs, and the output.
    pub(super) fn again_aside<'s>(
        &self,
        tape: &'s Tape<T>,
        p: &Primal<'_, T>,
    ) -> Result<(Vec<Var<'s, T>>, Var<'s, T>), Error> {
        let mut inputs = Vec::with_capacity(self.n_inputs);
        for arg in 0..self.n_inputs {
            inputs.push(self.input(tape, p.x(arg).value()?, p.is_tracked(arg)));
        }
        let y = self.again(tape, p, &inputs)?;
        Ok((inputs, y))
    }

    /// The function recorded once more, where the rule of a node records: the inputs, which are new
    /// nodes that depend on the node's, and the output.
    pub(super) fn again_here<'t>(
        &self,
        p: &Primal<'t, T>,
    ) -> Result<(Vec<Var<'t, T>>, Var<'t, T>), Error> {
        let mut inputs = Vec::with_capacity(self.n_inputs);
        for arg in 0..self.n_inputs {
            let x = p.x(arg);
            let x = match (p.is_tracked(arg), x.is_tracked()) {
                (false, _) => x,
                (true, true) => x.identity(),
                (true, false) => p.tape.fresh(x),
            };
            inputs.push(x.ok().map(|()| x)?);
        }
        let y = self.again(p.tape, p, &inputs)?;
        Ok((inputs, y))
    }

    fn again<'s>(
        &self,
        tape: &'s Tape<T>,
        p: &Primal<'_, T>,
        x: &[Var<'s, T>],
    ) -> Result<Var<'s, T>, Error> {
        tape.checks.set(p.home.checks.get());
        let y = self.record(tape, x)?;
        let (first, again) = (p.y(), y);
        let (first, again) = ((first.shape()?, first.dtype()?), (again.shape()?, again.dtype()?));
        if first == again {
            if p.home.checks.get() {
                self.compare(&p.y().value()?, &y.value()?)?;
            }
            return Ok(y);
        }
        let message = format!(
            "the function returned shape {} of {} first, and shape {} of {} when it ran again; \
             its result must depend on its inputs only",
            first.0, first.1, again.0, again.1
        );
        Err(self.error(ErrorKind::Parameter { message }))
    }

    /// Refuses a value that is not, bit for bit, the one of the first run.
    fn compare(&self, first: &T, again: &T) -> Result<(), Error> {
        let data = |x: &T| x.to_host().map_err(|error| self.error(backend(error)));
        let (first, again) = (data(first)?, data(again)?);
        let same = |x: f64, y: f64| x.to_bits() == y.to_bits() || (x.is_nan() && y.is_nan());
        let mut both = first.iter().zip(&again).enumerate();
        let Some((at, (first, again))) = both.find(|(_, (x, y))| !same(**x, **y)) else {
            return Ok(());
        };
        let message = format!(
            "the function returned another value when it ran again: element {at} was {first} first, \
             and then {again}; its result must depend on its inputs only, so random numbers are drawn \
             outside, and passed in"
        );
        Err(self.error(ErrorKind::Parameter { message }))
    }

    /// A value as an input, tracked if it is where it comes from: the function may differentiate.
    fn input<'s>(&self, tape: &'s Tape<T>, value: T, tracked: bool) -> Var<'s, T> {
        let lines = tape.lines();
        lines.inherit(self.location);
        if tracked { tape.var(value) } else { tape.constant(value) }
    }

    fn record<'s>(&self, tape: &'s Tape<T>, x: &[Var<'s, T>]) -> Result<Var<'s, T>, Error> {
        let y = self.with_lines_of_the_user(tape, || (self.run)(tape, x));
        self.check(tape, y)
    }

    /// Runs a function of the user's, whose nodes and errors have its own lines. `detect_nan` does not
    /// look inside, on no tape: it looks at what comes out.
    pub(super) fn with_lines_of_the_user<A>(&self, tape: &Tape<T>, f: impl FnOnce() -> A) -> A {
        let lines = tape.lines();
        lines.release();
        let _unwatched = tape.unwatched();
        f()
    }

    /// Refuses a handle that is void or of another tape.
    pub(super) fn check<'s>(&self, tape: &'s Tape<T>, y: Var<'s, T>) -> Result<Var<'s, T>, Error> {
        y.ok()?;
        match std::ptr::eq(y.tape, tape) {
            true => Ok(y),
            false => Err(self.error(ErrorKind::ForeignHandle)),
        }
    }

    pub(super) fn error(&self, kind: ErrorKind) -> Error {
        Error::new(self.name, kind, self.location)
    }
}

/// As many handles as the function has inputs, as an array.
pub(super) fn array<'s, T: TensorLike, const N: usize>(x: &[Var<'s, T>]) -> [Var<'s, T>; N] {
    std::array::from_fn(|i| x[i])
}

/// Inputs as a structure of tensors.
pub(super) fn form<'t, T: TensorLike, P: Params<Leaf = Var<'t, T>>>(
    inputs: &P,
    values: &[T],
) -> P::With<T> {
    // A `map` that visits more leaves the second time gets the first value again.
    let mut values = values.iter().chain(std::iter::repeat(&values[0]));
    inputs.map(&mut |_| values.next().expect("the repetition has no end").clone())
}
