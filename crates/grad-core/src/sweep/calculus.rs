//! The two ways in which a sweep calculates: recorded, and plain.
//!
//! A *recorded* sweep runs the rules on the tape itself, so that what it computes can be
//! differentiated again. A *plain* sweep runs the same rules on a scratch tape of constants, which
//! is emptied after each node, and leaves the tape as it was.

use std::panic::Location;

use crate::ground::{Error, TensorLike, backend};
use crate::tape::{Op, Primal, Tape, Var};

/// How a sweep calculates.
pub(crate) trait Calculus<'t, T: TensorLike> {
    /// A cotangent or tangent between nodes.
    type Value: Clone;

    /// True if such values cost nothing to keep; else each is dropped as soon as nothing needs it.
    const KEEPS_ALL: bool;

    /// Where rules calculate.
    fn tape(&self) -> &'t Tape<T>;

    /// A value for a rule.
    fn enter(&self, x: Self::Value) -> Var<'t, T>;

    /// What a rule gave, if it is a value of this tape and fits.
    fn leave(&self, x: Var<'t, T>, fits: impl FnOnce(&T) -> bool) -> Option<Self::Value>;

    /// What a cotangent of the output is for an argument, or a tangent of the argument for the
    /// output, without handles. `None` where this has to be recorded, or the operation does not
    /// know.
    #[inline]
    fn at_once(
        &self,
        op: &dyn Op<T>,
        p: &Primal<'t, T>,
        arg: usize,
        c: &Self::Value,
    ) -> Option<Self::Value> {
        let _ = (op, p, arg, c);
        None
    }

    /// The tensor that such a value is.
    fn value(&self, x: &Self::Value) -> Result<T, Error>;

    /// Called when all values of a node have left.
    fn end_node(&self);

    /// `old + new`, of one shape.
    #[track_caller]
    fn add(&self, old: Self::Value, new: Self::Value) -> Result<Self::Value, Error>;
}

/// On the tape itself.
pub(crate) struct Recorded<'t, T: TensorLike> {
    pub(crate) tape: &'t Tape<T>,
}

impl<'t, T: TensorLike> Calculus<'t, T> for Recorded<'t, T> {
    type Value = Var<'t, T>;

    const KEEPS_ALL: bool = true;

    fn tape(&self) -> &'t Tape<T> {
        self.tape
    }

    fn enter(&self, x: Var<'t, T>) -> Var<'t, T> {
        x
    }

    fn leave(&self, x: Var<'t, T>, fits: impl FnOnce(&T) -> bool) -> Option<Var<'t, T>> {
        self.tape.checked_value(x).is_some_and(|value| fits(&value)).then_some(x)
    }

    fn value(&self, x: &Var<'t, T>) -> Result<T, Error> {
        x.value()
    }

    fn end_node(&self) {}

    #[track_caller]
    fn add(&self, old: Var<'t, T>, new: Var<'t, T>) -> Result<Var<'t, T>, Error> {
        let sum = old + new;
        sum.ok().map(|()| sum)
    }
}

/// On a tape of constants.
pub(crate) struct Plain<'t, T: TensorLike> {
    pub(crate) scratch: &'t Tape<T>,
}

impl<'t, T: TensorLike> Calculus<'t, T> for Plain<'t, T> {
    type Value = T;

    const KEEPS_ALL: bool = false;

    #[inline]
    fn tape(&self) -> &'t Tape<T> {
        self.scratch
    }

    #[inline]
    fn enter(&self, x: T) -> Var<'t, T> {
        self.scratch.constant_value(x)
    }

    #[inline]
    fn leave(&self, x: Var<'t, T>, fits: impl FnOnce(&T) -> bool) -> Option<T> {
        self.scratch.checked_value(x).filter(fits)
    }

    #[inline]
    fn at_once(&self, op: &dyn Op<T>, p: &Primal<'t, T>, arg: usize, c: &T) -> Option<T> {
        op.plain(arg, p, c)
    }

    fn value(&self, x: &T) -> Result<T, Error> {
        Ok(x.clone())
    }

    #[inline]
    fn end_node(&self) {
        self.scratch.rewind();
    }

    // The sweep holds the only reference to `old`, so a backend can add in place.
    #[track_caller]
    #[inline]
    fn add(&self, old: T, new: T) -> Result<T, Error> {
        old.accumulate(&new).map_err(|error| Error::new("add", backend(error), here(self.scratch)))
    }
}

/// The line of the node whose rule runs; outside of a rule, the caller's.
#[track_caller]
pub(crate) fn here<T: TensorLike>(tape: &Tape<T>) -> &'static Location<'static> {
    tape.inherited.get().unwrap_or(Location::caller())
}
