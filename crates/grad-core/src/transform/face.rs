//! The two faces of every transform, chosen by what is passed: tensors, or handles on a tape.
//!
//! What differs between them is said here, so that a transform is written once: on which tape its
//! function is recorded, whether its sweeps are recorded too, and in what form it answers.

use std::ops::Deref;
use std::panic::Location;

use crate::ground::{Error, ErrorKind, TensorLike, error_here};
use crate::sweep::Count;
use crate::tape::{NodeId, Tape, Var, fail_without_tape};
use crate::transform::params::{Bare, Params, WithTape};

/// What a transform answers that makes an `X` of a structure `P`: `Result<X, Error>` if `P` is made
/// of tensors, `X` if it is made of handles.
pub type Answer<P, X> = <<P as Params>::Leaf as Leaf>::Answer<X>;

/// A tensor (the plain face), or a handle (the face on a tape).
pub trait Leaf: Clone + sealed::Leaf {
    /// The type of the tensors.
    type Tensor: TensorLike;

    /// How a transform answers: `Result<X, Error>` for tensors. For handles `X`, whose handles are
    /// void and carry the error where there is one.
    type Answer<X>;

    /// What holds the tape that functions are recorded on.
    #[doc(hidden)]
    type Recorder: Deref<Target = Tape<Self::Tensor>>;

    /// The tape for a function of these leaves: one of its own, or that of the handles. Without a
    /// handle there is none; then it is a tape of errors, and a void handle on it.
    #[doc(hidden)]
    #[track_caller]
    fn tape_for(op: &'static str, leaves: &[Self]) -> (Self::Recorder, Option<NodeId>);

    /// The leaf as a variable of its own.
    #[doc(hidden)]
    #[track_caller]
    fn as_variable<'h>(&self, recorder: &'h Self::Recorder) -> Var<'h, Self::Tensor>;

    /// The leaf as a value: a cotangent or tangent.
    #[doc(hidden)]
    #[track_caller]
    fn as_value<'h>(&self, recorder: &'h Self::Recorder) -> Var<'h, Self::Tensor>;

    /// What was computed, as a leaf.
    #[doc(hidden)]
    fn leaf_of(recorder: &Self::Recorder, x: Var<'_, Self::Tensor>) -> Result<Self, Error>;

    /// The answer of a transform for an output `y`. `fill` makes one of the void handle for an
    /// error.
    #[doc(hidden)]
    fn answer<X>(
        recorder: &Self::Recorder,
        y: NodeId,
        found: Result<X, Error>,
        fill: impl FnOnce(&Self) -> X,
    ) -> Self::Answer<X>;

    /// The answer with `f(x)` for `x`.
    #[doc(hidden)]
    fn map_answer<X, Y>(answer: Self::Answer<X>, f: impl FnOnce(X) -> Y) -> Self::Answer<Y>;

    /// The cotangents of `x` for that of `y`, or for 1: plain, or recorded on the face on a tape.
    #[doc(hidden)]
    #[track_caller]
    fn pull(
        op: &'static str,
        y: Var<'_, Self::Tensor>,
        ct: Option<Self>,
        x: &[Var<'_, Self::Tensor>],
        recorder: &Self::Recorder,
    ) -> Result<Vec<Self>, Error>;

    /// The tangent of `y` for those of `x`, or a batch of them: plain, or recorded on the face on a
    /// tape.
    #[doc(hidden)]
    #[track_caller]
    fn push(
        op: &'static str,
        y: Var<'_, Self::Tensor>,
        x: &[Var<'_, Self::Tensor>],
        t: Vec<Self>,
        count: Count,
        recorder: &Self::Recorder,
    ) -> Result<Self, Error>;
}

/// A function `F` that can be called with a structure `P` of leaves.
#[diagnostic::on_unimplemented(
    message = "this closure does not take `{P}` as a transform passes it",
    note = "for one tensor the closure is `|x| ..`, for an array `|[a, b]| ..`, for any other \
            structure `|tape, m| ..`; it returns a `Var`"
)]
pub trait Call<F, P, Convention>: Leaf {
    /// Calls it with the nodes `x` of its tape as leaves.
    #[doc(hidden)]
    #[track_caller]
    fn call<'h>(
        f: &F,
        form: &P,
        recorder: &'h Self::Recorder,
        x: &[NodeId],
    ) -> Var<'h, Self::Tensor>;
}

/// Only tensors and handles are leaves.
mod sealed {
    pub trait Leaf {}
    impl<T: crate::TensorLike> Leaf for T {}
    impl<T: crate::TensorLike> Leaf for crate::Var<'_, T> {}
}

impl<T: TensorLike> Leaf for T {
    type Tensor = T;
    type Answer<X> = Result<X, Error>;
    type Recorder = Box<Tape<T>>;

    fn tape_for(_: &'static str, _: &[T]) -> (Box<Tape<T>>, Option<NodeId>) {
        (Box::default(), None)
    }

    #[track_caller]
    fn as_variable<'h>(&self, recorder: &'h Box<Tape<T>>) -> Var<'h, T> {
        recorder.var(self.clone())
    }

    #[track_caller]
    fn as_value<'h>(&self, recorder: &'h Box<Tape<T>>) -> Var<'h, T> {
        recorder.constant(self.clone())
    }

    fn leaf_of(_: &Box<Tape<T>>, x: Var<'_, T>) -> Result<T, Error> {
        x.value()
    }

    fn answer<X>(
        _: &Box<Tape<T>>,
        _: NodeId,
        found: Result<X, Error>,
        _: impl FnOnce(&T) -> X,
    ) -> Result<X, Error> {
        found
    }

    fn map_answer<X, Y>(answer: Result<X, Error>, f: impl FnOnce(X) -> Y) -> Result<Y, Error> {
        answer.map(f)
    }

    #[track_caller]
    fn pull(
        op: &'static str,
        y: Var<'_, T>,
        ct: Option<T>,
        x: &[Var<'_, T>],
        recorder: &Box<Tape<T>>,
    ) -> Result<Vec<T>, Error> {
        recorder.pull_plain(op, y, x, ct)
    }

    #[track_caller]
    fn push(
        op: &'static str,
        y: Var<'_, T>,
        x: &[Var<'_, T>],
        t: Vec<T>,
        count: Count,
        recorder: &Box<Tape<T>>,
    ) -> Result<T, Error> {
        recorder.push_plain(op, y, x, t, count)
    }
}

impl<'t, T: TensorLike> Leaf for Var<'t, T> {
    type Tensor = T;
    type Answer<X> = X;
    type Recorder = &'t Tape<T>;

    #[track_caller]
    fn tape_for(op: &'static str, leaves: &[Self]) -> (&'t Tape<T>, Option<NodeId>) {
        if let [first, ..] = leaves {
            return (first.tape, None);
        }
        let message = "needs at least one handle to know the tape".to_string();
        let void = fail_without_tape(op, ErrorKind::Parameter { message });
        (void.tape, Some(void.id))
    }

    #[track_caller]
    fn as_variable<'h>(&self, recorder: &'h &'t Tape<T>) -> Var<'h, T> {
        let x = recorder.own("identity", *self);
        if x.is_tracked() { x.identity() } else { recorder.fresh(x) }
    }

    fn as_value<'h>(&self, _: &'h &'t Tape<T>) -> Var<'h, T> {
        *self
    }

    fn leaf_of(recorder: &&'t Tape<T>, x: Var<'_, T>) -> Result<Self, Error> {
        x.ok().map(|()| Var { tape: recorder, id: x.id })
    }

    fn answer<X>(
        recorder: &&'t Tape<T>,
        y: NodeId,
        found: Result<X, Error>,
        fill: impl FnOnce(&Self) -> X,
    ) -> X {
        let y = Var { tape: *recorder, id: y };
        found.unwrap_or_else(|error| fill(&recorder.void_of(y, error)))
    }

    fn map_answer<X, Y>(answer: X, f: impl FnOnce(X) -> Y) -> Y {
        f(answer)
    }

    #[track_caller]
    fn pull(
        op: &'static str,
        y: Var<'_, T>,
        ct: Option<Self>,
        x: &[Var<'_, T>],
        recorder: &&'t Tape<T>,
    ) -> Result<Vec<Self>, Error> {
        let cts = recorder.pull_recorded(op, y, x, ct)?;
        Ok(cts.into_iter().map(|ct| Var { tape: *recorder, id: ct.id }).collect())
    }

    #[track_caller]
    fn push(
        op: &'static str,
        y: Var<'_, T>,
        x: &[Var<'_, T>],
        t: Vec<Self>,
        count: Count,
        recorder: &&'t Tape<T>,
    ) -> Result<Self, Error> {
        let y_dot = recorder.push_recorded(op, y, x, t, count)?;
        Ok(Var { tape: recorder, id: y_dot.id })
    }
}

impl<T: TensorLike, F> Call<F, T, Bare> for T
where
    F: for<'s> Fn(Var<'s, T>) -> Var<'s, T>,
{
    fn call<'h>(f: &F, _: &T, recorder: &'h Box<Tape<T>>, x: &[NodeId]) -> Var<'h, T> {
        f(Var { tape: recorder, id: x[0] })
    }
}

impl<T: TensorLike, F, const N: usize> Call<F, [T; N], Bare> for T
where
    F: for<'s> Fn([Var<'s, T>; N]) -> Var<'s, T>,
{
    fn call<'h>(f: &F, _: &[T; N], recorder: &'h Box<Tape<T>>, x: &[NodeId]) -> Var<'h, T> {
        f(std::array::from_fn(|i| Var { tape: recorder, id: x[i] }))
    }
}

impl<'t, T: TensorLike, F> Call<F, Var<'t, T>, Bare> for Var<'t, T>
where
    F: Fn(Var<'t, T>) -> Var<'t, T>,
{
    fn call<'h>(f: &F, _: &Self, recorder: &'h &'t Tape<T>, x: &[NodeId]) -> Var<'h, T> {
        f(Var { tape: recorder, id: x[0] })
    }
}

impl<'t, T: TensorLike, F, const N: usize> Call<F, [Var<'t, T>; N], Bare> for Var<'t, T>
where
    F: Fn([Var<'t, T>; N]) -> Var<'t, T>,
{
    fn call<'h>(f: &F, _: &[Self; N], recorder: &'h &'t Tape<T>, x: &[NodeId]) -> Var<'h, T> {
        f(std::array::from_fn(|i| Var { tape: recorder, id: x[i] }))
    }
}

impl<T: TensorLike, P, F> Call<F, P, WithTape> for T
where
    P: Params<Leaf = T>,
    F: for<'s> Fn(&'s Tape<T>, P::With<Var<'s, T>>) -> Var<'s, T>,
{
    #[track_caller]
    fn call<'h>(f: &F, form: &P, recorder: &'h Box<Tape<T>>, x: &[NodeId]) -> Var<'h, T> {
        f(recorder, handles(recorder, form, x.iter().map(|&id| Var { tape: recorder, id })))
    }
}

impl<'t, T: TensorLike, P, F> Call<F, P, WithTape> for Var<'t, T>
where
    P: Params<Leaf = Var<'t, T>>,
    F: Fn(&'t Tape<T>, P::With<Var<'t, T>>) -> Var<'t, T>,
{
    #[track_caller]
    fn call<'h>(f: &F, form: &P, recorder: &'h &'t Tape<T>, x: &[NodeId]) -> Var<'h, T> {
        f(recorder, handles(recorder, form, x.iter().map(|&id| Var { tape: *recorder, id })))
    }
}

/// Handles in the form of a structure.
#[track_caller]
pub(super) fn handles<'h, T: TensorLike, P: Params>(
    tape: &'h Tape<T>,
    form: &P,
    x: impl IntoIterator<Item = Var<'h, T>>,
) -> P::With<Var<'h, T>> {
    let (mut x, location) = (x.into_iter(), Location::caller());
    let inconsistent = || {
        let kind = ErrorKind::Parameter { message: VISITS.into() };
        tape.void(Error::new("params", kind, location))
    };
    form.map(&mut |_| x.next().unwrap_or_else(inconsistent))
}

const VISITS: &str = "`Params::map` visited more leaves than the first time";

/// The leaves of a structure in order.
pub(super) fn leaves<P: Params<Leaf: Clone>>(params: &P) -> Vec<P::Leaf> {
    let mut leaves = Vec::with_capacity(4);
    params.map(&mut |leaf| leaves.push(leaf.clone()));
    leaves
}

/// A list with one item for each leaf in the form of the structure.
///
/// A `map` that is inconsistent gets `instead` where the list has ended, and an error afterwards.
#[track_caller]
pub(super) fn in_form<P: Params, Y>(
    form: &P,
    list: Vec<Y>,
    mut instead: impl FnMut(&P::Leaf) -> Y,
) -> Result<P::With<Y>, Error> {
    let mut list = list.into_iter();
    let mut complete = true;
    let params = form.map(&mut |leaf| match list.next() {
        Some(item) => item,
        None => {
            complete = false;
            instead(leaf)
        }
    });
    match complete {
        true => Ok(params),
        false => Err(error_here("params", ErrorKind::Parameter { message: VISITS.into() })),
    }
}
