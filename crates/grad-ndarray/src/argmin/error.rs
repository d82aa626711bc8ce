//! Errors as argmin's solvers get them.

use std::panic::Location;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use ::argmin::core::Error;

use crate::element::Element;
use crate::tensor::NdTensor;

/// The error as argmin's. An error about the function as a whole was found by a call of ours, and
/// gets the line where the user gave us the function.
pub(super) fn explain(error: grad_core::extend::Error, location: &Location<'_>) -> Error {
    let directory = |path| Path::new(path).parent();
    if directory(error.location().file()) != directory(file!()) {
        return error.into();
    }
    let text = format!("{}: {}, at {location}", error.op(), error.kind());
    Error::from(error).context(text)
}

/// Refuses what is not finite: the inner iterations of argmin's solvers end at a small residual or a
/// direction without curvature, and so with NaN never.
pub(super) fn check_finite<A: Element>(
    what: &str,
    x: &NdTensor<A>,
    location: &Location<'_>,
) -> Result<(), Error> {
    match x.view().iter().all(|x| x.is_finite()) {
        true => Ok(()),
        false => Err(Error::msg(format!("{what} is not finite, at {location}"))),
    }
}

/// Where an operator leaves the error that it cannot return, for its problem to report.
#[derive(Clone, Debug, Default)]
pub(super) struct Failure(Arc<Mutex<Option<Error>>>);

impl Failure {
    pub(super) fn keep(&self, error: Error) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }

    /// The error that was kept, once.
    pub(super) fn report(&self) -> Result<(), Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take().map_or(Ok(()), Err)
    }
}
