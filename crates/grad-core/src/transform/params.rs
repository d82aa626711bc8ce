//! `Params`: tensors that belong together, and the form in which derivatives come back.

use std::collections::BTreeMap;

use crate::ground::TensorLike;
use crate::tape::Var;

/// One tensor, or several that belong together: what a transform differentiates with respect to.
///
/// Implemented for a tensor and a handle; for arrays of them; for tuples, `Vec`, slices, `Option`
/// and `BTreeMap` of whatever is `Params`. A struct of tensors becomes `Params` in a few lines, if
/// it is generic over what stands in its fields:
///
/// ```
/// use grad_core::transform::{self, Params, WithTape};
///
/// struct Line<X> {
///     slope: X,
///     offset: X,
/// }
///
/// impl<X> Params for Line<X> {
///     type Leaf = X;
///     type With<Y> = Line<Y>;
///     type Convention = WithTape;
///
///     fn map<Y>(&self, f: &mut impl FnMut(&X) -> Y) -> Line<Y> {
///         Line { slope: f(&self.slope), offset: f(&self.offset) }
///     }
/// }
///
/// let line = Line { slope: 2.0, offset: 1.0 };
/// // The square of slope · 3 + offset = 7.
/// let gradient = transform::grad(|_, line| (line.slope * 3.0 + line.offset).square(), line)?;
/// assert_eq!((gradient.slope, gradient.offset), (42.0, 14.0));
/// # Ok::<(), grad_core::Error>(())
/// ```
///
/// A field that is `Params` itself is mapped by `self.field.map(f)`, and stands in `With<Y>` as
/// `Field<Y>`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a tensor, a handle, or a structure of them",
    note = "implement `grad_core::transform::Params` for a struct; arrays are for tensors and \
            handles only, use a `Vec` or a tuple for structures"
)]
pub trait Params {
    /// What the structure is made of: a tensor on the plain face, a handle on a tape.
    type Leaf;

    /// The same structure of something else.
    type With<Y>;

    /// How a function takes it: [`Bare`] or [`WithTape`]. [`WithTape`] for a struct.
    type Convention;

    /// The same structure with `f(leaf)` in place of each leaf, always in the same order.
    fn map<Y>(&self, f: &mut impl FnMut(&Self::Leaf) -> Y) -> Self::With<Y>;
}

/// The form in which derivatives with respect to `P` come back: `P`, or what resembles it closest,
/// a `Vec` for a slice.
pub type Like<P> = <P as Params>::With<<P as Params>::Leaf>;

/// The convention of one tensor and of arrays: a function takes the handles alone, `|x|` or
/// `|[a, b]|`.
#[derive(Clone, Copy, Debug)]
pub struct Bare;

/// The convention of all other structures: a function takes the tape too, `|tape, m|`.
#[derive(Clone, Copy, Debug)]
pub struct WithTape;

impl<T: TensorLike> Params for T {
    type Leaf = T;
    type With<Y> = Y;
    type Convention = Bare;

    fn map<Y>(&self, f: &mut impl FnMut(&T) -> Y) -> Y {
        f(self)
    }
}

impl<T: TensorLike> Params for Var<'_, T> {
    type Leaf = Self;
    type With<Y> = Y;
    type Convention = Bare;

    fn map<Y>(&self, f: &mut impl FnMut(&Self) -> Y) -> Y {
        f(self)
    }
}

impl<T: TensorLike, const N: usize> Params for [T; N] {
    type Leaf = T;
    type With<Y> = [Y; N];
    type Convention = Bare;

    fn map<Y>(&self, f: &mut impl FnMut(&T) -> Y) -> [Y; N] {
        self.each_ref().map(f)
    }
}

impl<'t, T: TensorLike, const N: usize> Params for [Var<'t, T>; N] {
    type Leaf = Var<'t, T>;
    type With<Y> = [Y; N];
    type Convention = Bare;

    fn map<Y>(&self, f: &mut impl FnMut(&Var<'t, T>) -> Y) -> [Y; N] {
        self.each_ref().map(f)
    }
}

impl<P: Params> Params for &[P] {
    type Leaf = P::Leaf;
    type With<Y> = Vec<P::With<Y>>;
    type Convention = WithTape;

    fn map<Y>(&self, f: &mut impl FnMut(&P::Leaf) -> Y) -> Vec<P::With<Y>> {
        self.iter().map(|params| params.map(f)).collect()
    }
}

impl<P: Params> Params for Vec<P> {
    type Leaf = P::Leaf;
    type With<Y> = Vec<P::With<Y>>;
    type Convention = WithTape;

    fn map<Y>(&self, f: &mut impl FnMut(&P::Leaf) -> Y) -> Vec<P::With<Y>> {
        self.iter().map(|params| params.map(f)).collect()
    }
}

impl<P: Params> Params for Option<P> {
    type Leaf = P::Leaf;
    type With<Y> = Option<P::With<Y>>;
    type Convention = WithTape;

    fn map<Y>(&self, f: &mut impl FnMut(&P::Leaf) -> Y) -> Option<P::With<Y>> {
        self.as_ref().map(|params| params.map(f))
    }
}

impl<K: Ord + Clone, P: Params> Params for BTreeMap<K, P> {
    type Leaf = P::Leaf;
    type With<Y> = BTreeMap<K, P::With<Y>>;
    type Convention = WithTape;

    fn map<Y>(&self, f: &mut impl FnMut(&P::Leaf) -> Y) -> BTreeMap<K, P::With<Y>> {
        self.iter().map(|(name, params)| (name.clone(), params.map(f))).collect()
    }
}

/// Tuples, whose members all have leaves of one type.
macro_rules! tuple {
    ($first:ident $($other:ident)*) => {
        impl<$first: Params, $($other: Params<Leaf = $first::Leaf>),*> Params
            for ($first, $($other,)*)
        {
            type Leaf = $first::Leaf;
            type With<Y> = ($first::With<Y>, $($other::With<Y>,)*);
            type Convention = WithTape;

            #[allow(non_snake_case)]
            fn map<Y>(&self, f: &mut impl FnMut(&$first::Leaf) -> Y) -> Self::With<Y> {
                let ($first, $($other,)*) = self;
                ($first.map(f), $($other.map(f),)*)
            }
        }
    };
}

tuple!(A);
tuple!(A B);
tuple!(A B C);
tuple!(A B C D);
tuple!(A B C D E);
tuple!(A B C D E F);
tuple!(A B C D E F G);
tuple!(A B C D E F G H);
