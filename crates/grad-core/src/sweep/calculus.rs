//! The two ways in which a sweep calculates: recorded, and plain.
//!
//! A *recorded* sweep runs the rules on the tape itself, so that what it computes can be
//! differentiated again. A *plain* sweep runs the same rules on a scratch tape of constants, which
//! is emptied after each node, and leaves the tape as it was.

use std::panic::Location;

use crate::ground::{Build, Error, Partial, TensorLike, backend};
use crate::sweep::live;
use crate::tape::{OpRef, Primal, Tape, Var};

/// How a sweep calculates.
pub(crate) trait Calculus<'t, T: TensorLike> {
    /// A cotangent or tangent between nodes.
    type Value: Clone;

    /// True if such values cost nothing to keep; else each is dropped as soon as nothing needs it.
    const KEEPS_ALL: bool;

    /// Where rules calculate.
    fn tape(&self) -> &'t Tape<T>;

    /// A value as a handle, for a rule.
    fn to_handle(&self, x: Self::Value) -> Var<'t, T>;

    /// What a rule gave as a value, if it is of this tape and fits.
    fn value_of(&self, x: Var<'t, T>, fits: impl FnOnce(&T) -> bool) -> Option<Self::Value>;

    /// What a cotangent of the output is for an argument, or a tangent of the argument for the
    /// output, from the partial derivative as data: without handles. `None` where this has to be
    /// recorded, where the operation has no such data, and where the result does not fit.
    #[inline]
    fn by_partial(
        &self,
        p: &Primal<'t, T>,
        partial: &Partial,
        c: &Self::Value,
    ) -> Option<Self::Value> {
        let _ = (p, partial, c);
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

/// Whether kernels of a node's operation are worth being made. A static operation keeps them for
/// good. One that a node owns goes with the tape: to make a kernel takes as long as one pass over
/// some thousand elements.
#[inline]
pub(crate) fn worth<T: TensorLike>(op: &OpRef<T>, p: &Primal<'_, T>) -> Build {
    const MANY: usize = 4096;
    match op {
        OpRef::Static(_) => Build::Now,
        OpRef::Shared(_) if p.y_shape().n_elements().is_some_and(|n| n >= MANY) => Build::Now,
        OpRef::Shared(_) => Build::Never,
    }
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

    fn to_handle(&self, x: Var<'t, T>) -> Var<'t, T> {
        x
    }

    fn value_of(&self, x: Var<'t, T>, fits: impl FnOnce(&T) -> bool) -> Option<Var<'t, T>> {
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

impl<'t, T: TensorLike> Plain<'t, T> {
    /// The mask of what is live of a seed.
    pub(crate) fn mask_of_seed(&self, seed: &T) -> Option<T> {
        let mask = live::of_seed(self.to_handle(seed.clone())).and_then(|mask| mask.value().ok());
        self.end_node();
        mask
    }
}

impl<'t, T: TensorLike> Calculus<'t, T> for Plain<'t, T> {
    type Value = T;

    const KEEPS_ALL: bool = false;

    #[inline]
    fn tape(&self) -> &'t Tape<T> {
        self.scratch
    }

    #[inline]
    fn to_handle(&self, x: T) -> Var<'t, T> {
        self.scratch.constant_value(x)
    }

    #[inline]
    fn value_of(&self, x: Var<'t, T>, fits: impl FnOnce(&T) -> bool) -> Option<T> {
        self.scratch.checked_value(x).filter(fits)
    }

    #[inline]
    fn by_partial(&self, p: &Primal<'t, T>, partial: &Partial, c: &T) -> Option<T> {
        match partial {
            Partial::Slope(1.0) => Some(c.clone()),
            Partial::Slope(-1.0) => c.neg().ok(),
            // Nothing depends on it, be it infinite.
            Partial::Slope(0.0) => c.full(c.shape(), 0.0).ok(),
            Partial::Slope(slope) => c.scale(*slope).ok(),
            Partial::Factor(source) => c.mul(&p.value(*source, c)?).ok(),
            Partial::Kernel(kernel) => p.evaluate(kernel, c),
            Partial::Unknown => None,
        }
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
