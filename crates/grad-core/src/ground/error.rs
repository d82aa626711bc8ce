//! One error type: what went wrong, in which operation, at which line of the user's program.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use crate::ground::{DType, NotFinite, Shape, Slice, list};

/// Why an operation or a sweep could not be carried out.
///
/// `Display` says what went wrong with the shapes concerned, the operation, and the line of the
/// user's program; in a sweep also the operation that was being pulled back or pushed forward.
/// The failure of a backend stays available as [`source`](std::error::Error::source).
///
/// Cloning is cheap, and an error may cross threads.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

struct Inner {
    kind: ErrorKind,
    op: &'static str,
    location: &'static Location<'static>,
    sweep: Option<(Mode, &'static str)>,
}

impl Error {
    /// An error of the caller's own, at the caller's line, for functions that return a `Result`.
    /// [`Tape::void`](crate::Tape::void) makes a handle of it where one has to be returned.
    ///
    /// ```
    /// let error = grad_core::Error::msg("needs at least one layer");
    /// assert!(error.to_string().starts_with("needs at least one layer, at "));
    /// assert_eq!(error.op(), "");
    /// ```
    #[track_caller]
    #[cold]
    pub fn msg(message: impl fmt::Display) -> Self {
        let message = message.to_string();
        Error::new("", ErrorKind::Message { message }, Location::caller())
    }

    /// The error of another library as its [`source`](std::error::Error::source), at the caller's
    /// line. `?` does the same with the errors of tensors, backends and
    /// [`gradcheck`](crate::gradcheck()).
    ///
    /// ```
    /// let error = "x".parse::<f64>().map_err(|error| grad_core::Error::from_source(error));
    /// assert!(error.unwrap_err().to_string().starts_with("invalid float literal, at "));
    /// ```
    #[track_caller]
    #[cold]
    pub fn from_source(source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Error::new("", backend(source), Location::caller())
    }

    #[cold]
    pub(crate) fn new(
        op: &'static str,
        kind: ErrorKind,
        location: &'static Location<'static>,
    ) -> Self {
        Error(Arc::new(Inner { kind, op, location, sweep: None }))
    }

    /// The same error, found while a sweep ran the rule of a node of operation `op`.
    #[cold]
    pub(crate) fn in_sweep(self, mode: Mode, op: &'static str) -> Self {
        let inner = &*self.0;
        let sweep = inner.sweep.or(Some((mode, op)));
        Error(Arc::new(Inner { kind: inner.kind.clone(), sweep, ..*inner }))
    }

    /// What went wrong.
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// True if it says the same of the same line.
    pub(crate) fn is_same(&self, other: &Error) -> bool {
        (self.op(), self.location()) == (other.op(), other.location())
            && self.to_string() == other.to_string()
    }

    /// The name of the operation that failed; empty where there is none, as for
    /// [`msg`](Error::msg).
    pub fn op(&self) -> &'static str {
        self.0.op
    }

    /// The line of the user's program that asked for the operation.
    pub fn location(&self) -> &'static Location<'static> {
        self.0.location
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, op, location, sweep } = &*self.0;
        match (*op, kind) {
            ("", ErrorKind::Backend(source)) => write!(f, "{source}, at {location}")?,
            ("", kind) => write!(f, "{kind}, at {location}")?,
            (op, kind) => write!(f, "{op}: {kind}, at {location}")?,
        }
        match sweep {
            Some((Mode::Reverse, pulled)) => write!(f, ", while pulling back {pulled}"),
            Some((Mode::Forward, pushed)) => write!(f, ", while pushing forward {pushed}"),
            None => Ok(()),
        }?;
        match kind {
            ErrorKind::NotFinite(found) => found.write_details(f),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self.kind() {
            ErrorKind::Backend(source) => Some(&**source),
            _ => None,
        }
    }
}

/// The kinds of failure, with the data that a program may want to look at.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Two shapes do not go together; `rule` says what they violate.
    ShapeMismatch {
        /// The first shape.
        left: Shape,
        /// The second shape.
        right: Shape,
        /// What the two fail to do, as the end of a sentence: "do not broadcast".
        rule: &'static str,
    },
    /// A shape has fewer axes than the operation needs.
    RankTooLow {
        /// The shape given.
        shape: Shape,
        /// The number of axes needed.
        needed: usize,
    },
    /// A shape has more axes than any tensor may.
    TooManyAxes {
        /// The number of axes asked for.
        rank: usize,
    },
    /// A shape has more elements than any tensor can.
    TooLarge {
        /// The shape asked for.
        shape: Shape,
    },
    /// An axis does not exist.
    AxisOutOfRange {
        /// The axis as the caller gave it.
        axis: isize,
        /// The rank of the tensor.
        rank: usize,
    },
    /// An axis is named twice.
    RepeatedAxis {
        /// The axis as the caller gave it.
        axis: isize,
    },
    /// The axes given are not a permutation of the tensor's axes.
    NotAPermutation {
        /// The axes as the caller gave them.
        axes: Vec<isize>,
        /// The shape of the tensor.
        shape: Shape,
    },
    /// The slices do not fit the tensor.
    BadSlice {
        /// The slices given.
        slices: Vec<Slice>,
        /// The shape of the tensor.
        shape: Shape,
    },
    /// An index is not below the size of its axis.
    IndexOutOfRange {
        /// The offending index.
        index: usize,
        /// The axis.
        axis: usize,
        /// The shape of the tensor.
        shape: Shape,
    },
    /// A maximum or minimum over no elements.
    EmptyReduction {
        /// The shape reduced.
        shape: Shape,
    },
    /// Two tensors of different element types.
    DtypeMismatch {
        /// The first type.
        left: DType,
        /// The second type.
        right: DType,
    },
    /// A variable of a type that has no derivatives.
    NotFloat {
        /// The type.
        dtype: DType,
    },
    /// A gradient of something that is not one number.
    NotScalar {
        /// Its shape.
        shape: Shape,
    },
    /// A value asked for as one number is not one.
    NotOneElement {
        /// Its shape.
        shape: Shape,
    },
    /// A cotangent or tangent is shaped unlike the value it belongs to.
    CotangentShape {
        /// The shape of the value.
        expected: Shape,
        /// The shape of the cotangent or tangent.
        got: Shape,
    },
    /// A rule gave a cotangent or tangent that cannot belong to the value.
    RuleShape {
        /// The shape of the value.
        expected: Shape,
        /// The shape of what the rule returned.
        got: Shape,
    },
    /// A backend returned a shape other than the one the shape rule states.
    OutputShape {
        /// The shape of the rule.
        expected: Shape,
        /// The shape of the result.
        got: Shape,
    },
    /// An operation was given a number of arguments that it does not take.
    Arity {
        /// The number it takes.
        expected: usize,
        /// The number given.
        got: usize,
    },
    /// A rule asked for an argument its operation does not have.
    NoSuchArgument {
        /// The index asked for.
        index: usize,
        /// The number of arguments.
        n_inputs: usize,
    },
    /// A parameter of an operation has a value that makes no sense; the text says why.
    Parameter {
        /// A sentence without capital and full stop.
        message: String,
    },
    /// An error of the user's own, made by [`Error::msg`].
    Message {
        /// What the user says.
        message: String,
    },
    /// A derivative with respect to a handle that is never differentiated.
    Untracked {
        /// The operation that made the handle.
        op: &'static str,
        /// The line that made the handle.
        location: &'static Location<'static>,
    },
    /// What [`Tape::detect_nan`](crate::Tape::detect_nan) found to be NaN or infinite.
    NotFinite(Box<NotFinite>),
    /// A handle of another tape.
    ForeignHandle,
    /// The tape holds as many nodes as it may.
    TapeFull {
        /// The limit.
        limit: usize,
    },
    /// The backend or another library failed; the cause is the error's `source()`.
    Backend(Arc<dyn std::error::Error + Send + Sync + 'static>),
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use ErrorKind::*;
        match self {
            ShapeMismatch { left, right, rule } => write!(f, "shapes {left} and {right} {rule}"),
            RankTooLow { shape, needed } => {
                write!(f, "shape {shape} has too few axes: at least {needed} needed")
            }
            TooManyAxes { rank } => {
                write!(f, "a tensor may have {} axes, got {rank}", Shape::MAX_RANK)
            }
            TooLarge { shape } => write!(f, "shape {shape} has more elements than memory can hold"),
            AxisOutOfRange { axis, rank } => {
                write!(f, "axis {axis} is out of range for a tensor of rank {rank}")
            }
            RepeatedAxis { axis } => write!(f, "axis {axis} is named twice"),
            NotAPermutation { axes, shape } => {
                write!(f, "{axes:?} is not a permutation of the axes of shape {shape}")
            }
            BadSlice { slices, shape } => {
                write!(f, "slices {} do not fit shape {shape}", list(slices))
            }
            IndexOutOfRange { index, axis, shape } => {
                write!(f, "index {index} is out of range for axis {axis} of shape {shape}")
            }
            EmptyReduction { shape } => {
                write!(f, "shape {shape} has no elements along the reduced axes")
            }
            DtypeMismatch { left, right } => {
                write!(f, "dtypes {left} and {right} differ; convert one of them first")
            }
            NotFloat { dtype } => write!(f, "a variable needs a floating-point dtype, got {dtype}"),
            NotScalar { shape } => {
                write!(f, "needs a one-element output, got {shape}; use vjp")
            }
            NotOneElement { shape } => write!(f, "needs one element, got {shape}"),
            CotangentShape { expected, got } => {
                write!(f, "expected a cotangent or tangent of shape {expected}, got {got}")
            }
            RuleShape { expected, got } => {
                write!(f, "the rule returned shape {got} for a value of shape {expected}")
            }
            OutputShape { expected, got } => {
                write!(f, "the backend returned shape {got}, but the shape rule says {expected}")
            }
            Arity { expected, got } => write!(f, "takes {expected} arguments, got {got}"),
            NoSuchArgument { index, n_inputs } => {
                write!(
                    f,
                    "the rule asked for argument {index}, but the number of arguments is {n_inputs}"
                )
            }
            Parameter { message } | Message { message } => f.write_str(message),
            Untracked { op, location } => {
                write!(f, "no derivative with respect to an untracked handle ({op} at {location})")
            }
            NotFinite(found) => found.fmt(f),
            ForeignHandle => f.write_str("the handle belongs to another tape"),
            TapeFull { limit } => write!(f, "the tape is full: it may hold {limit} nodes"),
            Backend(source) => write!(f, "the backend failed: {source}"),
        }
    }
}

/// The kind of a backend's failure.
#[cold]
pub(crate) fn backend<E: std::error::Error + Send + Sync + 'static>(error: E) -> ErrorKind {
    ErrorKind::Backend(Arc::new(error))
}

/// What a backend answers to an optional operation that it leaves out.
///
/// Every backend's error type is made from it, so that the provided methods of
/// [`TensorLike`](crate::TensorLike) can return it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsupported {
    /// The method.
    pub op: &'static str,
    /// The backend's type.
    pub backend: &'static str,
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is unsupported by this backend ({})", self.op, self.backend)
    }
}

impl std::error::Error for Unsupported {}

impl From<Unsupported> for Error {
    #[track_caller]
    fn from(unsupported: Unsupported) -> Self {
        Error::from_source(unsupported)
    }
}

/// In which direction a sweep goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// From an output to what it was computed from.
    Reverse,
    /// From inputs to an output.
    Forward,
}

/// An error at the line of the caller.
#[track_caller]
pub(crate) fn error_here(op: &'static str, kind: ErrorKind) -> Error {
    Error::new(op, kind, Location::caller())
}
