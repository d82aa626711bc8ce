//! The backend's error: what candle said, or what was wrong before candle was asked.

use std::fmt;

use grad_core::extend::{Error, ErrorKind, Unsupported};
use grad_linalg::LinalgError;

/// The result of what this crate does.
pub(crate) type Result<T> = std::result::Result<T, CandleError>;

/// Why a [`CandleTensor`](crate::CandleTensor) could not be computed.
///
/// `Display` is one line, whatever candle writes; candle's own error, with its backtrace where it
/// took one, is the [`source`](std::error::Error::source).
#[derive(Debug)]
#[non_exhaustive]
pub enum CandleError {
    /// Candle failed.
    Candle(candle_core::Error),
    /// The arguments do not fit each other. Candle was not asked, for it may panic on them.
    Invalid(ErrorKind),
    /// Matrices that have no result, singular ones for instance.
    Linalg(LinalgError),
    /// An optional method that this backend leaves out.
    Unsupported(Unsupported),
}

impl fmt::Display for CandleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CandleError::Candle(error) => write!(f, "candle: {}", one_line(error)),
            CandleError::Invalid(kind) => kind.fmt(f),
            CandleError::Linalg(error) => error.fmt(f),
            CandleError::Unsupported(unsupported) => unsupported.fmt(f),
        }
    }
}

impl std::error::Error for CandleError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            CandleError::Candle(error) => Some(error),
            CandleError::Invalid(_) | CandleError::Linalg(_) | CandleError::Unsupported(_) => None,
        }
    }
}

impl From<candle_core::Error> for CandleError {
    #[cold]
    fn from(error: candle_core::Error) -> Self {
        CandleError::Candle(error)
    }
}

impl From<ErrorKind> for CandleError {
    #[cold]
    fn from(kind: ErrorKind) -> Self {
        CandleError::Invalid(kind)
    }
}

impl From<LinalgError> for CandleError {
    #[cold]
    fn from(error: LinalgError) -> Self {
        CandleError::Linalg(error)
    }
}

impl From<Unsupported> for CandleError {
    #[cold]
    fn from(unsupported: Unsupported) -> Self {
        CandleError::Unsupported(unsupported)
    }
}

impl From<CandleError> for Error {
    #[track_caller]
    #[cold]
    fn from(error: CandleError) -> Self {
        Error::from_source(error)
    }
}

/// What candle's error says, without its backtrace and in lower case.
fn one_line(error: &candle_core::Error) -> String {
    match error {
        candle_core::Error::WithBacktrace { inner, .. } => one_line(inner),
        candle_core::Error::Context { inner, context } => {
            format!("{}: {}", join_lines(&context.to_string()), one_line(inner))
        }
        _ => join_lines(&error.to_string()),
    }
}

/// `text` on one line, its first letter in lower case.
fn join_lines(text: &str) -> String {
    let text = text.split('\n').map(str::trim).filter(|line| !line.is_empty());
    let text = text.collect::<Vec<_>>().join("; ");
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_lowercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    #[test]
    fn display_is_one_line_in_lower_case() {
        let error = candle_core::Error::Msg("Shapes differ\nby 2".to_string());
        let error = CandleError::from(error.context("While adding"));
        assert_eq!(error.to_string(), "candle: while adding: shapes differ; by 2");
    }

    #[test]
    fn a_backtrace_stays_out_of_display() {
        let error = candle_core::Error::WithBacktrace {
            inner: Box::new(candle_core::Error::Msg("no".to_string())),
            backtrace: Box::new(std::backtrace::Backtrace::force_capture()),
        };
        assert_eq!(CandleError::from(error).to_string(), "candle: no");
    }

    #[test]
    fn the_source_is_the_error_of_candle() {
        let error = CandleError::from(candle_core::Error::UnwrapNone);
        let source = error.source().and_then(|source| source.downcast_ref::<candle_core::Error>());
        assert!(matches!(source, Some(candle_core::Error::UnwrapNone)));
    }
}
