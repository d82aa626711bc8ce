//! Derivatives of the user's own: none at all, or a rule given as a closure.

use std::panic::Location;

use crate::ground::{Error, ErrorKind, TensorLike};
use crate::sweep::vjps_unlisted;
use crate::tape::{self, NodeId, Primal, Reach, Tangents, Tape, Var};
use crate::transform::face::{handles, leaves};
use crate::transform::function::{AsOp, Form, Handles, Inputs, Rule, apply, array, form};
use crate::transform::params::{Bare, Params, WithTape};

/// The same values, through which no derivative flows: [`Var::detach`] of every handle, under
/// JAX's name and in the form of `x`.
///
/// ```
/// use grad_core::{Tape, transform::stop_gradient};
///
/// let tape = Tape::<f64>::new();
/// let (x, y) = (tape.var(3.0), tape.var(5.0));
/// let [a, b] = stop_gradient([x, y]);
/// assert_eq!(tape.backward(x * x * a + y * b, [x, y])?, [18.0, 5.0]); // 2x · a, b
/// # Ok::<(), grad_core::Error>(())
/// ```
#[track_caller]
pub fn stop_gradient<'t, T, P>(x: P) -> P::With<Var<'t, T>>
where
    T: TensorLike,
    P: Params<Leaf = Var<'t, T>>,
{
    let location = Location::caller();
    x.map(&mut |x| {
        // A closure does not pass the caller's line on.
        let lines = x.tape.lines();
        lines.inherit(location);
        x.detach()
    })
}

/// `y = f(x)` as one operation, with a derivative of your own: `rule(x, y, ȳ)` is x̄.
///
/// Here the gradient is clipped on its way back, and nothing else changes:
///
/// ```
/// use grad_core::{Tape, transform::custom_vjp};
///
/// let tape = Tape::<f64>::new();
/// let x = tape.var(3.0);
/// let same = custom_vjp("clip_gradient", x, |x| x.identity(), |_, _, ct| ct.clamp(-1.0, 1.0));
/// assert_eq!(tape.backward(same.powi(3), x)?, 1.0); // 27, clipped
/// # Ok::<(), grad_core::Error>(())
/// ```
///
/// An iteration has the derivative of what it converges to, and none of its steps is recorded.
/// Newton's method for the square root ends where `y² = x`, so that `2y ẏ = ẋ`:
///
/// ```
/// use grad_core::{Tape, Var, transform};
///
/// fn newton_sqrt<'t>(x: Var<'t, f64>) -> Var<'t, f64> {
///     transform::custom_vjp(
///         "newton_sqrt",
///         x,
///         |x| (0..40).fold(1.0 + x, |y, _| 0.5 * (y + x / y)),
///         |_, y, ct| ct / (2.0 * y),
///     )
/// }
///
/// let tape = Tape::<f64>::new();
/// let x = tape.var(4.0);
/// let y = newton_sqrt(x);
/// assert_eq!((y.item()?, tape.len()), (2.0, 2));
/// let dy = tape.grad(y, x); // ½ x^(−½)
/// let ddy = tape.grad(dy, x); // −¼ x^(−3/2)
/// let dddy = tape.grad(ddy, x); // ⅜ x^(−5/2)
/// assert_eq!([dy.item()?, ddy.item()?, dddy.item()?], [0.25, -0.03125, 0.01171875]);
/// # Ok::<(), grad_core::Error>(())
/// ```
///
/// # The function
///
/// It takes what [`Inputs`] says, and is `'static`: what it captures it owns, and everything that
/// is differentiated is an input. It runs once, on a tape of its own; its value alone is kept.
///
/// # The rule
///
/// The inputs come as the function gets them, then the output, and its cotangent, which has the
/// shape of the output. The answer has the form of the inputs, `|[a, b], y, ct| [.., ..]`, with
/// a cotangent for each; one that has been broadcast is summed. For structures the tape stands
/// first, `|tape, m, y, ct|`.
///
/// What the rule calculates is recorded, so that every further derivative is the rule's. Forward
/// mode transposes it, as a linear function of the cotangent; of a rule that is none, like the one
/// above that clips, it takes the slope at 0. [`custom_jvp`] is the other way round.
/// [`gradcheck`](crate::gradcheck()) says whether the rule is the derivative of the function, if it
/// is meant to be.
///
/// # Errors
/// Those in the function and in the rule, with their lines, as void handles and from the sweep;
/// [`RuleShape`](ErrorKind::RuleShape) for a cotangent that does not fit its input, and
/// [`Parameter`](ErrorKind::Parameter) if there are too many or too few, or no inputs.
#[track_caller]
pub fn custom_vjp<'t, T, P, F, R>(name: &'static str, x: P, f: F, rule: R) -> Var<'t, T>
where
    T: TensorLike,
    P: Params<Leaf = Var<'t, T>>,
    P: Inputs<T, F, <P as Params>::Convention>,
    P: VjpRule<T, R, <P as Params>::Convention>,
{
    apply(name, &x, f, |values| ByVjp(x.own_vjp(rule, values), Reach::All))
}

/// [`custom_vjp`] of a function of each element: where the result is not chosen, by a branch of
/// [`Var::where_`] for instance, the derivative is 0 there, even if the rule gives ∞ or NaN.
///
/// Without it, a derivative is taken as dead only if all elements of the result are.
///
/// ```
/// use grad_core::{Tape, transform::custom_vjp_elementwise};
/// use grad_conformance::Reference;
///
/// let tape = Tape::<Reference>::new();
/// let x = tape.var(vec![0.0, 4.0]);
/// let root = custom_vjp_elementwise("root", x, |x| x.sqrt(), |_, y, ct| ct / (2.0 * y));
/// let y = x.gt(0.0).where_(root, 0.0).sum();
/// assert_eq!(tape.backward(y, x)?.data(), [0.0, 0.25]);
/// # Ok::<(), grad_core::Error>(())
/// ```
///
/// # Errors
/// Those of [`custom_vjp`].
#[track_caller]
pub fn custom_vjp_elementwise<'t, T, P, F, R>(name: &'static str, x: P, f: F, rule: R) -> Var<'t, T>
where
    T: TensorLike,
    P: Params<Leaf = Var<'t, T>>,
    P: Inputs<T, F, <P as Params>::Convention>,
    P: VjpRule<T, R, <P as Params>::Convention>,
{
    apply(name, &x, f, |values| ByVjp(x.own_vjp(rule, values), Reach::Same))
}

/// `y = f(x)` as one operation, with a derivative of your own: `rule(x, y, ẋ)` is ẏ.
///
/// A straight-through estimator rounds, and is differentiated as if it did not:
///
/// ```
/// use grad_core::{Tape, transform::custom_jvp};
///
/// let tape = Tape::<f64>::new();
/// let x = tape.var(2.7);
/// let y = custom_jvp("straight_through", x, |x| x.round(), |_, _, t| t);
/// assert_eq!(tape.backward(y * y, x)?, 6.0); // 2y
/// # Ok::<(), grad_core::Error>(())
/// ```
///
/// Both the value and the derivative of log(1 + eˣ), in forms that do not overflow:
///
/// ```
/// # use grad_core::{Tape, Var, transform::custom_jvp};
/// fn log1pexp<'t>(x: Var<'t, f64>) -> Var<'t, f64> {
///     custom_jvp(
///         "log1pexp",
///         x,
///         |x| x.maximum(0.0) + (-x.abs()).exp().log1p(),
///         |x, _, t| t * x.sigmoid(),
///     )
/// }
///
/// let tape = Tape::<f64>::new();
/// let x = tape.var(1000.0);
/// let y = log1pexp(x);
/// assert_eq!((y.item()?, tape.backward(y, x)?), (1000.0, 1.0));
/// # Ok::<(), grad_core::Error>(())
/// ```
///
/// The function is as in [`custom_vjp`]. The rule gets the inputs, the output, and a tangent of
/// each input in the form of the inputs, `|[a, b], y, [s, t]| ..`, zeros where an input does not
/// move; it answers the tangent of the output, and must be linear in the tangents. What it
/// calculates is recorded, and reverse mode transposes it: where there are few outputs and the
/// formula is simple that way round, a rule for [`custom_vjp`] is faster.
///
/// # Errors
/// Those of [`custom_vjp`].
#[track_caller]
pub fn custom_jvp<'t, T, P, F, R>(name: &'static str, x: P, f: F, rule: R) -> Var<'t, T>
where
    T: TensorLike,
    P: Params<Leaf = Var<'t, T>>,
    P: Inputs<T, F, <P as Params>::Convention>,
    P: JvpRule<T, R, <P as Params>::Convention>,
{
    apply(name, &x, f, |values| ByJvp(x.own_jvp(rule, values), Reach::All))
}

/// [`custom_jvp`] of a function of each element, as [`custom_vjp_elementwise`] is of [`custom_vjp`].
///
/// # Errors
/// Those of [`custom_jvp`].
#[track_caller]
pub fn custom_jvp_elementwise<'t, T, P, F, R>(name: &'static str, x: P, f: F, rule: R) -> Var<'t, T>
where
    T: TensorLike,
    P: Params<Leaf = Var<'t, T>>,
    P: Inputs<T, F, <P as Params>::Convention>,
    P: JvpRule<T, R, <P as Params>::Convention>,
{
    apply(name, &x, f, |values| ByJvp(x.own_jvp(rule, values), Reach::Same))
}

struct ByVjp<T: TensorLike>(Box<Pull<T>>, Reach);
struct ByJvp<T: TensorLike>(Box<Push<T>>, Reach);

/// x̄ from the tape, x, y and ȳ.
type Pull<T> =
    dyn for<'s> Fn(&'s Tape<T>, &[Var<'s, T>], Var<'s, T>, Var<'s, T>) -> Vec<Var<'s, T>>;

/// ẏ from the tape, x, y and ẋ.
type Push<T> = dyn for<'s> Fn(&'s Tape<T>, &[Var<'s, T>], Var<'s, T>, &[Var<'s, T>]) -> Var<'s, T>;

impl<T: TensorLike> Rule<T> for ByVjp<T> {
    fn pull<'t>(
        op: &AsOp<T, Self>,
        p: &Primal<'t, T>,
        ct: Var<'t, T>,
        _: &tape::Cotangents<'_, 't, T>,
    ) -> Result<Vec<Option<Var<'t, T>>>, Error> {
        let (x, y) = primal(p);
        let rule = || (op.rule.0)(p.tape, &x, y, ct);
        let answer = op.function.with_lines_of_the_user(p.tape, rule);
        if answer.len() == p.n_inputs() {
            return Ok(answer.into_iter().map(Some).collect());
        }
        let message =
            format!("the rule returned {} cotangents for {} inputs", answer.len(), p.n_inputs());
        Err(op.function.error(ErrorKind::Parameter { message }))
    }

    fn reach(&self) -> Reach {
        self.1
    }

    // None of its own: the sweep transposes the reverse rule.
    fn push<'t>(
        _: &AsOp<T, Self>,
        _: &Primal<'t, T>,
        _: &Tangents<'_, 't, T>,
    ) -> Result<Option<Var<'t, T>>, Error> {
        Ok(None)
    }
}

impl<T: TensorLike> Rule<T> for ByJvp<T> {
    fn pull<'t>(
        op: &AsOp<T, Self>,
        p: &Primal<'t, T>,
        ct: Var<'t, T>,
        x_bar: &tape::Cotangents<'_, 't, T>,
    ) -> Result<Vec<Option<Var<'t, T>>>, Error> {
        // ẋ ↦ ẏ is linear, so that it has the same derivative at any ẋ; zero can meet no overflow.
        let mut x_dot = Vec::with_capacity(p.n_inputs());
        for arg in 0..p.n_inputs() {
            let zeros = p.x(arg).zeros_like();
            x_dot.push(if x_bar.wants(arg) { p.tape.fresh(zeros) } else { zeros });
        }
        let y_dot = push(op, p, &x_dot)?;
        let (got, expected) = (y_dot.shape()?, p.y_shape());
        if !got.expands_to(&expected) {
            return Err(op.function.error(ErrorKind::RuleShape { expected, got }));
        }
        let y_dot = if got == expected { y_dot } else { y_dot.expand(expected) };
        y_dot.ok()?;
        let x_dot: Vec<NodeId> = x_dot.iter().map(|x_dot| x_dot.id).collect();
        vjps_unlisted(y_dot, ct, &x_dot)
    }

    fn reach(&self) -> Reach {
        self.1
    }

    fn push<'t>(
        op: &AsOp<T, Self>,
        p: &Primal<'t, T>,
        t: &Tangents<'_, 't, T>,
    ) -> Result<Option<Var<'t, T>>, Error> {
        let Some(t) = t.one() else { return Ok(None) };
        let mut x_dot = Vec::with_capacity(p.n_inputs());
        for (arg, &t) in t.list().iter().enumerate() {
            x_dot.push(match t {
                Some(t) => t,
                None => p.x(arg).zeros_like(),
            });
        }
        push(op, p, &x_dot).map(Some)
    }
}

/// ẏ for a tangent of each input.
fn push<'t, T: TensorLike>(
    op: &AsOp<T, ByJvp<T>>,
    p: &Primal<'t, T>,
    x_dot: &[Var<'t, T>],
) -> Result<Var<'t, T>, Error> {
    if let Some(void) = x_dot.iter().find(|x_dot| x_dot.is_void()) {
        return void.ok().map(|()| *void);
    }
    let (x, y) = primal(p);
    let rule = || (op.rule.0)(p.tape, &x, y, x_dot);
    let y_dot = op.function.with_lines_of_the_user(p.tape, rule);
    op.function.check(p.tape, y_dot)
}

/// The inputs and the output of a node.
fn primal<'t, T: TensorLike>(p: &Primal<'t, T>) -> (Vec<Var<'t, T>>, Var<'t, T>) {
    ((0..p.n_inputs()).map(|arg| p.x(arg)).collect(), p.y())
}

/// Inputs that a rule `R` for [`custom_vjp`] is for.
#[diagnostic::on_unimplemented(
    message = "this rule does not take `{Self}` as `custom_vjp` passes it",
    note = "for one handle it is `|x, y, ct| ..`, for an array `|[a, b], y, ct| [.., ..]`, for any \
            other structure `|tape, m, y, ct| ..`; its answer has the form of the inputs, and what \
            it captures it owns"
)]
pub trait VjpRule<T: TensorLike, R, Convention>: Params {
    /// The rule in one form for all inputs.
    #[doc(hidden)]
    fn own_vjp(&self, rule: R, values: &[T]) -> Box<Pull<T>>;
}

impl<'t, T: TensorLike, R> VjpRule<T, R, Bare> for Var<'t, T>
where
    R: for<'s> Fn(Var<'s, T>, Var<'s, T>, Var<'s, T>) -> Var<'s, T> + 'static,
{
    fn own_vjp(&self, rule: R, _: &[T]) -> Box<Pull<T>> {
        Box::new(move |_, x, y, ct| vec![rule(x[0], y, ct)])
    }
}

impl<'t, T: TensorLike, R, const N: usize> VjpRule<T, R, Bare> for [Var<'t, T>; N]
where
    R: for<'s> Fn([Var<'s, T>; N], Var<'s, T>, Var<'s, T>) -> [Var<'s, T>; N] + 'static,
{
    fn own_vjp(&self, rule: R, _: &[T]) -> Box<Pull<T>> {
        Box::new(move |_, x, y, ct| rule(array(x), y, ct).to_vec())
    }
}

impl<'t, T: TensorLike, R, P> VjpRule<T, R, WithTape> for P
where
    P: Params<Leaf = Var<'t, T>, With<T>: Form<T>>,
    for<'s> Handles<'s, P, T>: Cotangents<'s, T>,
    R: for<'s> Fn(&'s Tape<T>, Handles<'s, P, T>, Var<'s, T>, Var<'s, T>) -> Handles<'s, P, T>
        + 'static,
{
    fn own_vjp(&self, rule: R, values: &[T]) -> Box<Pull<T>> {
        let form = form(self, values);
        Box::new(move |tape, x, y, ct| {
            rule(tape, handles(tape, &form, x.iter().copied()), y, ct).list()
        })
    }
}

/// What a rule for a structure answers.
pub trait Cotangents<'s, T: TensorLike> {
    #[doc(hidden)]
    fn list(&self) -> Vec<Var<'s, T>>;
}

impl<'s, T: TensorLike, P: Params<Leaf = Var<'s, T>>> Cotangents<'s, T> for P {
    fn list(&self) -> Vec<Var<'s, T>> {
        leaves(self)
    }
}

/// Inputs that a rule `R` for [`custom_jvp`] is for.
#[diagnostic::on_unimplemented(
    message = "this rule does not take `{Self}` as `custom_jvp` passes it",
    note = "for one handle it is `|x, y, t| ..`, for an array `|[a, b], y, [s, t]| ..`, for any \
            other structure `|tape, m, y, t| ..`; it returns a `Var`, and what it captures it owns"
)]
pub trait JvpRule<T: TensorLike, R, Convention>: Params {
    /// The rule in one form for all inputs.
    #[doc(hidden)]
    fn own_jvp(&self, rule: R, values: &[T]) -> Box<Push<T>>;
}

impl<'t, T: TensorLike, R> JvpRule<T, R, Bare> for Var<'t, T>
where
    R: for<'s> Fn(Var<'s, T>, Var<'s, T>, Var<'s, T>) -> Var<'s, T> + 'static,
{
    fn own_jvp(&self, rule: R, _: &[T]) -> Box<Push<T>> {
        Box::new(move |_, x, y, t| rule(x[0], y, t[0]))
    }
}

impl<'t, T: TensorLike, R, const N: usize> JvpRule<T, R, Bare> for [Var<'t, T>; N]
where
    R: for<'s> Fn([Var<'s, T>; N], Var<'s, T>, [Var<'s, T>; N]) -> Var<'s, T> + 'static,
{
    fn own_jvp(&self, rule: R, _: &[T]) -> Box<Push<T>> {
        Box::new(move |_, x, y, t| rule(array(x), y, array(t)))
    }
}

impl<'t, T: TensorLike, R, P> JvpRule<T, R, WithTape> for P
where
    P: Params<Leaf = Var<'t, T>, With<T>: Form<T>>,
    R: for<'s> Fn(&'s Tape<T>, Handles<'s, P, T>, Var<'s, T>, Handles<'s, P, T>) -> Var<'s, T>
        + 'static,
{
    fn own_jvp(&self, rule: R, values: &[T]) -> Box<Push<T>> {
        let form = form(self, values);
        Box::new(move |tape, x, y, t| {
            rule(
                tape,
                handles(tape, &form, x.iter().copied()),
                y,
                handles(tape, &form, t.iter().copied()),
            )
        })
    }
}
