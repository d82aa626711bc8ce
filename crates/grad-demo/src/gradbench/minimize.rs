//! The optimizer of GradBench, gradient descent with a step that adapts: of plain numbers, and of
//! handles in the middle of a recording, so that one can differentiate through it.

use grad_core::transform::{self, Answer, Bare, Call, Like, Linearized, Params, Pullback};
use grad_core::{Error, ErrorKind, Tape, TensorLike, Var};

use super::problem::each;

/// Where the gradient is as short as this, or the next step, the search ends.
const TOLERANCE: f64 = 1e-5;

/// So many steps in a row that make the function smaller double the length of the next.
const STREAK: usize = 10;

/// The most steps that are tried: 50 times what the problems need from afar.
const MOST_TRIALS: usize = 10_000;

/// How a gradient is computed: an input at a time, or backwards for all of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Mode {
    Forward,
    Reverse,
}

impl Mode {
    /// The modes of the outer and the inner derivative, as GradBench names functions by them.
    pub(crate) fn of(function: &str) -> Option<(Mode, Mode)> {
        let mode = |letter| match letter {
            b'f' => Some(Mode::Forward),
            b'r' => Some(Mode::Reverse),
            _ => None,
        };
        match *function.as_bytes() {
            [outer, inner] => Some((mode(outer)?, mode(inner)?)),
            _ => None,
        }
    }

    /// `f(x)`, and its gradient for when it is asked for. Of tensors it is plain, of handles it is
    /// recorded.
    pub(crate) fn at<L, F, const N: usize>(
        self,
        f: F,
        x: [L; N],
    ) -> L::Answer<(L, Gradient<[L; N]>)>
    where
        L: Call<F, [L; N], Bare>,
        [L; N]: Params<Leaf = L, Convention = Bare>,
    {
        match self {
            Mode::Forward => L::map_answer(transform::linearize(f, x), |(y, linearized)| {
                (y, Gradient::Forward(linearized))
            }),
            Mode::Reverse => L::map_answer(transform::vjp(f, x), |(y, pullback)| {
                (y, Gradient::Reverse(pullback))
            }),
        }
    }
}

/// The gradient of a function at a point where it was computed.
pub(crate) enum Gradient<P: Params<Leaf: transform::Leaf>> {
    Forward(Linearized<P>),
    Reverse(Pullback<P>),
}

impl<P: Params<Leaf: transform::Leaf>> Gradient<P> {
    pub(crate) fn get(&self) -> Answer<P, Like<P>> {
        match self {
            Gradient::Forward(linearized) => linearized.jacobian(),
            Gradient::Reverse(pullback) => pullback.gradient(),
        }
    }
}

/// Where `f` is least, as far as one gets from `start` by plain gradients.
pub(crate) fn argmin<T, F, const N: usize>(mode: Mode, f: F, start: [T; N]) -> Result<[T; N], Error>
where
    T: TensorLike,
    F: for<'s> Fn([Var<'s, T>; N]) -> Var<'s, T>,
{
    let tape = Tape::new();
    let tape = &tape;
    let f = |x: [Var<'_, T>; N]| {
        let (y, gradient) = mode.at(&f, each(x, Var::value)?)?;
        let gradient = move || gradient.get().map(|g: [T; N]| g.map(|g| tape.constant(g)));
        Ok((tape.constant(y).item()?, gradient))
    };
    each(descend(tape, f, start.map(|x| tape.constant(x)))?, Var::value)
}

/// [`argmin`] of handles: recorded, with every step and every gradient on the way.
pub(crate) fn argmin_recorded<'t, T, F, const N: usize>(
    tape: &'t Tape<T>,
    mode: Mode,
    f: F,
    start: [Var<'t, T>; N],
) -> Result<[Var<'t, T>; N], Error>
where
    T: TensorLike,
    F: Fn([Var<'t, T>; N]) -> Var<'t, T>,
{
    let f = |x: [Var<'t, T>; N]| {
        let (y, gradient) = mode.at(&f, x);
        Ok((y.item()?, move || Ok(gradient.get())))
    };
    descend(tape, f, start)
}

/// The search, for a function that gives its value and what computes its gradient there.
fn descend<'t, T, G, const N: usize>(
    tape: &'t Tape<T>,
    f: impl Fn([Var<'t, T>; N]) -> Result<(f64, G), Error>,
    start: [Var<'t, T>; N],
) -> Result<[Var<'t, T>; N], Error>
where
    T: TensorLike,
    G: FnOnce() -> Result<[Var<'t, T>; N], Error>,
{
    let mut x = start;
    let (mut fx, gradient) = f(x)?;
    let mut gx = gradient()?;
    let (mut eta, mut streak) = (1e-5, 0);
    for _ in 0..MOST_TRIALS {
        let (at, slope) = (each(x, Var::item)?, each(gx, Var::item)?);
        if !(fx.is_finite() && norm(slope).is_finite()) {
            return Err(stuck(tape, format!("the value {fx} or its gradient is not finite")));
        }
        if norm(slope) <= TOLERANCE {
            return Ok(x);
        }
        if streak == STREAK {
            (eta, streak) = (2.0 * eta, 0);
        }
        let next: [Var<'t, T>; N] = std::array::from_fn(|i| x[i] - gx[i] * eta);
        let there = each(next, Var::item)?;
        if norm::<N>(std::array::from_fn(|i| at[i] - there[i])) <= TOLERANCE {
            return Ok(x);
        }
        let (f_next, gradient) = f(next)?;
        if f_next < fx {
            (x, fx, gx, streak) = (next, f_next, gradient()?, streak + 1);
        } else {
            (eta, streak) = (eta / 2.0, 0);
        }
    }
    Err(stuck(tape, format!("found no minimum in {MOST_TRIALS} steps, which lead to {fx:e}")))
}

/// The error of a search that has come to no end.
#[track_caller]
fn stuck<T: TensorLike>(tape: &Tape<T>, message: String) -> Error {
    let void = tape.fail("argmin", ErrorKind::Parameter { message });
    void.value().expect_err("a void handle has an error")
}

/// The Euclidean norm.
fn norm<const N: usize>(x: [f64; N]) -> f64 {
    x.iter().map(|x| x * x).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODES: [Mode; 2] = [Mode::Forward, Mode::Reverse];

    /// The error, without the line.
    fn refused(mode: Mode, f: impl for<'s> Fn([Var<'s, f64>; 1]) -> Var<'s, f64>) -> String {
        let error = argmin(mode, f, [1.0]).expect_err("no minimum").to_string();
        error.split(", at ").next().unwrap_or_default().to_string()
    }

    #[test]
    fn two_letters_name_the_modes() {
        assert_eq!(Mode::of("fr"), Some((Mode::Forward, Mode::Reverse)));
        assert_eq!(Mode::of("rf"), Some((Mode::Reverse, Mode::Forward)));
        for name in ["", "f", "fg", "rrr"] {
            assert_eq!(Mode::of(name), None);
        }
    }

    fn product([x, y]: [Var<'_, f64>; 2]) -> Var<'_, f64> {
        x * y * y
    }

    #[test]
    fn a_gradient_is_the_same_in_both_modes() {
        for mode in MODES {
            // (x y², [y², 2 x y]) at (3, 5).
            let (y, gradient) = mode.at(product, [3.0, 5.0]).expect("no error");
            assert_eq!((y, gradient.get().expect("no error")), (75.0, [25.0, 30.0]));
        }
    }

    #[test]
    fn a_minimum_is_found_as_far_as_steps_are_long() {
        for mode in MODES {
            // A gradient of 10⁻⁵ is half as far from the minimum of (x − 3)² + (y + 1)²; a step of
            // η times it as short as that is taken near it only, for η has grown to 0.1 by then.
            let found = argmin(mode, |[x, y]| (x - 3.0).square() + (y + 1.0).square(), [0.0; 2]);
            let [x, y] = found.expect("a minimum");
            assert!((x - 3.0).hypot(y + 1.0) < 1e-4, "{x}, {y}");
        }
    }

    #[test]
    fn one_differentiates_through_a_search() {
        for mode in MODES {
            // The least x of (x − a)² is a, so a² has the derivative 2a.
            let tape = Tape::<f64>::new();
            let a = tape.var(3.0);
            let start = [tape.constant(0.0)];
            let found = argmin_recorded(&tape, mode, |[x]| (x - a).square(), start);
            let [x] = found.expect("a minimum");
            let da = tape.backward(x.square(), a).expect("no error");
            assert!((da - 6.0).abs() < 1e-3, "{da}");
        }
    }

    #[test]
    fn a_search_that_leads_nowhere_ends() {
        for mode in MODES {
            // Ten steps of 10⁻⁵, ten twice as long, and so on: 1 + 10⁻⁴ (2¹⁰⁰⁰ − 1) in 10⁴ steps.
            let error = refused(mode, |[x]| -x);
            let expected = "argmin: found no minimum in 10000 steps, which lead to -1.07150860718";
            assert!(error.starts_with(expected) && error.ends_with("e297"), "{error}");
            let error = refused(mode, |[x]| -x.exp());
            assert_eq!(error, "argmin: the value -inf or its gradient is not finite");
            let error = refused(mode, |[x]| (x - 2.0).ln());
            assert_eq!(error, "argmin: the value NaN or its gradient is not finite");
        }
    }
}
