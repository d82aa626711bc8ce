//! The two faces of every transform, chosen by what is passed: tensors, or handles on a tape.
//!
//! What differs between them is said here, so that a transform is written once: where its function
//! is recorded, whether its sweeps are recorded too, and in what form the answer leaves.

use std::ops::Deref;
use std::panic::Location;

use crate::ground::{Error, ErrorKind, TensorLike, error_here};
use crate::sweep::Count;
use crate::tape::{NodeId, Tape, Var};
use crate::transform::params::{Bare, Params, WithTape};

/// A tensor (the plain face), or a handle (the face on a tape).
pub trait Leaf: Clone + sealed::Leaf {
    /// The type of the tensors.
    type Tensor: TensorLike;

    /// Where functions are recorded: on a tape of the transform's own, or on that of the handles.
    #[doc(hidden)]
    type Home: Deref<Target = Tape<Self::Tensor>>;

    /// Where to record a function of these leaves.
    #[doc(hidden)]
    #[track_caller]
    fn home(op: &'static str, leaves: &[Self]) -> Result<Self::Home, Error>;

    /// The leaf as a variable of its own.
    #[doc(hidden)]
    #[track_caller]
    fn enter<'h>(&self, home: &'h Self::Home) -> Var<'h, Self::Tensor>;

    /// The leaf as a value: a cotangent or tangent.
    #[doc(hidden)]
    #[track_caller]
    fn hold<'h>(&self, home: &'h Self::Home) -> Var<'h, Self::Tensor>;

    /// An answer.
    #[doc(hidden)]
    fn leave(home: &Self::Home, x: Var<'_, Self::Tensor>) -> Result<Self, Error>;

    /// The cotangents of `x` for that of `y`, or for 1: plain, or recorded on the face on a tape.
    #[doc(hidden)]
    #[track_caller]
    fn pull(
        op: &'static str,
        y: Var<'_, Self::Tensor>,
        ct: Option<Self>,
        x: &[Var<'_, Self::Tensor>],
        home: &Self::Home,
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
        home: &Self::Home,
    ) -> Result<Self, Error>;
}

/// A function `F` that can be called with a structure `P` of leaves.
#[diagnostic::on_unimplemented(
    message = "this closure does not take `{P}` as a transform passes it",
    note = "for one tensor the closure is `|x| ..`, for an array `|[a, b]| ..`, for any other \
            structure `|tape, m| ..`; it returns a `Var`"
)]
pub trait Call<F, P, Convention>: Leaf {
    /// Calls it with the nodes `x` of `home` as leaves.
    #[doc(hidden)]
    #[track_caller]
    fn call<'h>(f: &F, form: &P, home: &'h Self::Home, x: &[NodeId]) -> Var<'h, Self::Tensor>;
}

/// Only tensors and handles are leaves.
mod sealed {
    pub trait Leaf {}
    impl<T: crate::TensorLike> Leaf for T {}
    impl<T: crate::TensorLike> Leaf for crate::Var<'_, T> {}
}

impl<T: TensorLike> Leaf for T {
    type Tensor = T;
    type Home = Box<Tape<T>>;

    fn home(_: &'static str, _: &[T]) -> Result<Box<Tape<T>>, Error> {
        Ok(Box::default())
    }

    #[track_caller]
    fn enter<'h>(&self, home: &'h Box<Tape<T>>) -> Var<'h, T> {
        home.var(self.clone())
    }

    #[track_caller]
    fn hold<'h>(&self, home: &'h Box<Tape<T>>) -> Var<'h, T> {
        home.constant(self.clone())
    }

    fn leave(_: &Box<Tape<T>>, x: Var<'_, T>) -> Result<T, Error> {
        x.value()
    }

    #[track_caller]
    fn pull(
        op: &'static str,
        y: Var<'_, T>,
        ct: Option<T>,
        x: &[Var<'_, T>],
        home: &Box<Tape<T>>,
    ) -> Result<Vec<T>, Error> {
        home.plain(op, y, x, ct)
    }

    #[track_caller]
    fn push(
        op: &'static str,
        y: Var<'_, T>,
        x: &[Var<'_, T>],
        t: Vec<T>,
        count: Count,
        home: &Box<Tape<T>>,
    ) -> Result<T, Error> {
        home.push_plain(op, y, x, t, count)
    }
}

impl<'t, T: TensorLike> Leaf for Var<'t, T> {
    type Tensor = T;
    type Home = &'t Tape<T>;

    #[track_caller]
    fn home(op: &'static str, leaves: &[Self]) -> Result<&'t Tape<T>, Error> {
        let message = || "needs at least one handle to know the tape".to_string();
        match leaves {
            [] => Err(error_here(op, ErrorKind::Parameter { message: message() })),
            [first, ..] => Ok(first.tape),
        }
    }

    #[track_caller]
    fn enter<'h>(&self, home: &'h &'t Tape<T>) -> Var<'h, T> {
        match (std::ptr::eq(*home, self.tape), self.is_tracked()) {
            (true, false) => home.fresh(*self),
            _ => home.identity(*self),
        }
    }

    fn hold<'h>(&self, _: &'h &'t Tape<T>) -> Var<'h, T> {
        *self
    }

    fn leave(home: &&'t Tape<T>, x: Var<'_, T>) -> Result<Self, Error> {
        x.ok().map(|()| Var { tape: home, id: x.id })
    }

    #[track_caller]
    fn pull(
        op: &'static str,
        y: Var<'_, T>,
        ct: Option<Self>,
        x: &[Var<'_, T>],
        home: &&'t Tape<T>,
    ) -> Result<Vec<Self>, Error> {
        let cts = home.recorded(op, y, x, ct)?;
        Ok(cts.into_iter().map(|ct| Var { tape: *home, id: ct.id }).collect())
    }

    #[track_caller]
    fn push(
        op: &'static str,
        y: Var<'_, T>,
        x: &[Var<'_, T>],
        t: Vec<Self>,
        count: Count,
        home: &&'t Tape<T>,
    ) -> Result<Self, Error> {
        let y_dot = home.push_recorded(op, y, x, t, count)?;
        Ok(Var { tape: home, id: y_dot.id })
    }
}

impl<T: TensorLike, F> Call<F, T, Bare> for T
where
    F: for<'s> Fn(Var<'s, T>) -> Var<'s, T>,
{
    fn call<'h>(f: &F, _: &T, home: &'h Box<Tape<T>>, x: &[NodeId]) -> Var<'h, T> {
        f(Var { tape: home, id: x[0] })
    }
}

impl<T: TensorLike, F, const N: usize> Call<F, [T; N], Bare> for T
where
    F: for<'s> Fn([Var<'s, T>; N]) -> Var<'s, T>,
{
    fn call<'h>(f: &F, _: &[T; N], home: &'h Box<Tape<T>>, x: &[NodeId]) -> Var<'h, T> {
        f(std::array::from_fn(|i| Var { tape: home, id: x[i] }))
    }
}

impl<'t, T: TensorLike, F> Call<F, Var<'t, T>, Bare> for Var<'t, T>
where
    F: Fn(Var<'t, T>) -> Var<'t, T>,
{
    fn call<'h>(f: &F, _: &Self, home: &'h &'t Tape<T>, x: &[NodeId]) -> Var<'h, T> {
        f(Var { tape: home, id: x[0] })
    }
}

impl<'t, T: TensorLike, F, const N: usize> Call<F, [Var<'t, T>; N], Bare> for Var<'t, T>
where
    F: Fn([Var<'t, T>; N]) -> Var<'t, T>,
{
    fn call<'h>(f: &F, _: &[Self; N], home: &'h &'t Tape<T>, x: &[NodeId]) -> Var<'h, T> {
        f(std::array::from_fn(|i| Var { tape: home, id: x[i] }))
    }
}

impl<T: TensorLike, P, F> Call<F, P, WithTape> for T
where
    P: Params<Leaf = T>,
    F: for<'s> Fn(&'s Tape<T>, P::With<Var<'s, T>>) -> Var<'s, T>,
{
    #[track_caller]
    fn call<'h>(f: &F, form: &P, home: &'h Box<Tape<T>>, x: &[NodeId]) -> Var<'h, T> {
        f(home, handles(home, form, x.iter().map(|&id| Var { tape: home, id })))
    }
}

impl<'t, T: TensorLike, P, F> Call<F, P, WithTape> for Var<'t, T>
where
    P: Params<Leaf = Var<'t, T>>,
    F: Fn(&'t Tape<T>, P::With<Var<'t, T>>) -> Var<'t, T>,
{
    #[track_caller]
    fn call<'h>(f: &F, form: &P, home: &'h &'t Tape<T>, x: &[NodeId]) -> Var<'h, T> {
        f(home, handles(home, form, x.iter().map(|&id| Var { tape: *home, id })))
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
        tape.void_error(Error::new("params", kind, location))
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
