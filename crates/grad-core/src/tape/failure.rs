//! Void handles: how an error comes onto the tape, and out of it.

use std::panic::Location;

use crate::ground::{Error, ErrorKind, TensorLike};
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
        self.void_error(Error::new(op, kind, location))
    }

    /// The handle that `f` makes, or a void one with its error: for functions whose body uses `?`
    /// but that have to return a handle.
    ///
    /// ```
    /// use grad_core::{Tape, transform};
    ///
    /// let tape = Tape::<f64>::new();
    /// let x = tape.var(2.0);
    /// let y = tape.attempt(|| {
    ///     let slope = transform::grad(|x| x.powi(3), x)?;
    ///     Ok(slope + x)
    /// });
    /// assert_eq!(y.item()?, 14.0);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    pub fn attempt<'t>(&'t self, f: impl FnOnce() -> Result<Var<'t, T>, Error>) -> Var<'t, T> {
        f().unwrap_or_else(|error| self.void_error(error))
    }

    #[cold]
    pub(crate) fn void_error(&self, error: Error) -> Var<'_, T> {
        let mut inner = self.inner.borrow_mut();
        // A tape has at most 2³¹ errors, as it has nodes; beyond that the last one stands for all.
        if inner.errors.len() < VOID as usize {
            inner.errors.push(error);
        }
        Var { tape: self, id: NodeId(VOID | (inner.errors.len() - 1) as u32) }
    }

    /// Refuses a handle that is void or of another tape.
    #[track_caller]
    pub(crate) fn check(&self, op: &'static str, x: Var<'_, T>) -> Result<(), Error> {
        if !std::ptr::eq(self, x.tape) {
            return Err(Error::new(op, ErrorKind::ForeignHandle, Location::caller()));
        }
        match x.id.is_void() {
            true => Err(self.error(x.id)),
            false => Ok(()),
        }
    }

    /// The error of a void handle.
    #[cold]
    pub(crate) fn error(&self, id: NodeId) -> Error {
        self.inner.borrow().errors[id.index()].clone()
    }
}
