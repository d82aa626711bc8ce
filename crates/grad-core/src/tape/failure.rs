//! Void handles: how an error comes onto the tape, and out of it.

use std::any::Any;
use std::cell::RefCell;
use std::panic::Location;

use crate::ground::{Error, ErrorKind, TensorLike, error_here};
use crate::tape::{NodeId, Tape, VOID, Var};

impl<T: TensorLike> Tape<T> {
    /// A void handle with an error of the caller's own, for functions and rules on handles that
    /// find something wrong: `op` is the name of the function.
    ///
    /// ```
    /// use grad_core::{ErrorKind, Tape};
    ///
    /// let tape = Tape::<f64>::new();
    /// let message = "needs at least one layer".to_string();
    /// let y = tape.fail("mlp", ErrorKind::Parameter { message }) * 2.0;
    /// assert!(y.value().unwrap_err().to_string().starts_with("mlp: needs at least one layer, at "));
    /// ```
    #[track_caller]
    #[cold]
    pub fn fail(&self, op: &'static str, kind: ErrorKind) -> Var<'_, T> {
        let location = self.inherited.get().unwrap_or(Location::caller());
        self.void(Error::new(op, kind, location))
    }

    /// A void handle with an error that was found elsewhere, made by
    /// [`Error::msg`](crate::Error::msg) for instance.
    ///
    /// ```
    /// use grad_core::{Error, Tape};
    ///
    /// let tape = Tape::<f64>::new();
    /// let y = tape.void(Error::msg("needs at least one layer")) * 2.0;
    /// assert!(y.value().unwrap_err().to_string().starts_with("needs at least one layer, at "));
    /// ```
    #[cold]
    pub fn void(&self, error: Error) -> Var<'_, T> {
        let mut inner = self.inner.borrow_mut();
        // A tape has at most 2³¹ errors, as it has nodes; beyond that the last one stands for all.
        if inner.errors.len() < VOID as usize {
            inner.errors.push(error);
        }
        Var { tape: self, id: NodeId(VOID | (inner.errors.len() - 1) as u32) }
    }

    /// The handle that `f` makes, or a void one with its error: for functions whose body uses `?`
    /// but that have to return a handle.
    ///
    /// ```
    /// use grad_core::{Error, Tape};
    ///
    /// let tape = Tape::<f64>::new();
    /// let x = tape.var(2.0);
    /// let y = tape.attempt(|| {
    ///     let exponent: i32 = "3".parse().map_err(|_| Error::msg("no exponent"))?;
    ///     Ok(x.powi(exponent))
    /// });
    /// assert_eq!(y.item()?, 8.0);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn attempt<'t>(&'t self, f: impl FnOnce() -> Result<Var<'t, T>, Error>) -> Var<'t, T> {
        f().unwrap_or_else(|error| self.void(error))
    }

    /// A void handle with an error that `x` may have been the cause of: `x` itself if it is one of
    /// this tape, so that what is called again and again with a void handle adds no errors.
    #[cold]
    pub(crate) fn void_of<'t>(&'t self, x: Var<'t, T>, error: Error) -> Var<'t, T> {
        match std::ptr::eq(self, x.tape) && x.id.is_void() {
            true => x,
            false => self.void(error),
        }
    }

    /// `x`; a void handle if it is of another tape.
    #[track_caller]
    pub(crate) fn own<'t>(&'t self, op: &'static str, x: Var<'t, T>) -> Var<'t, T> {
        match self.check(op, x) {
            Ok(()) => x,
            Err(error) => self.void_of(x, error),
        }
    }

    /// Refuses a handle that is void or of another tape.
    #[track_caller]
    pub(crate) fn check(&self, op: &'static str, x: Var<'_, T>) -> Result<(), Error> {
        match std::ptr::eq(self, x.tape) {
            _ if x.id.is_void() => Err(x.tape.error(x.id)),
            true => Ok(()),
            false => Err(error_here(op, ErrorKind::ForeignHandle)),
        }
    }

    /// The error of a void handle.
    #[cold]
    pub(crate) fn error(&self, id: NodeId) -> Error {
        self.inner.borrow().errors[id.index()].clone()
    }
}

/// [`Tape::fail`] where no handle leads to a tape: on the thread's tape of such errors, for this
/// type of tensors. An error that is there already is not added again.
#[track_caller]
#[cold]
pub(crate) fn fail_without_tape<T: TensorLike>(
    op: &'static str,
    kind: ErrorKind,
) -> Var<'static, T> {
    let (tape, error) = (tape_of_errors::<T>(), error_here(op, kind));
    let known = tape.inner.borrow().errors.iter().position(|known| known.is_same(&error));
    match known {
        Some(place) => Var { tape, id: NodeId(VOID | place as u32) },
        None => tape.void(error),
    }
}

thread_local! {
    /// A tape for each type of tensors that has needed one. Handles to it may be anywhere, so it
    /// stays.
    static TAPES_OF_ERRORS: RefCell<Vec<&'static dyn Any>> = const { RefCell::new(Vec::new()) };
}

fn tape_of_errors<T: TensorLike>() -> &'static Tape<T> {
    let tape = TAPES_OF_ERRORS.try_with(|tapes| {
        let mut tapes = tapes.borrow_mut();
        if let Some(tape) = tapes.iter().find_map(|tape| tape.downcast_ref()) {
            return tape;
        }
        let tape: &'static Tape<T> = Box::leak(Box::default());
        tapes.push(tape);
        tape
    });
    // A thread that ends has no list any more.
    tape.unwrap_or_else(|_| Box::leak(Box::default()))
}
