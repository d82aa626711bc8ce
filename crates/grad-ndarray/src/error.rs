//! What the backend answers when an argument does not fit.
//!
//! The engine checks everything first, with the user's line; these errors are for callers of
//! [`TensorLike`](grad_core::TensorLike) itself.

use std::fmt;

use grad_core::extend::{Error, Shape, Slice, Unsupported, Window};
#[cfg(feature = "linalg")]
use grad_linalg::LinalgError;

/// Why an operation on [`NdTensor`](crate::NdTensor)s could not be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NdError {
    /// Two shapes do not go together.
    ShapeMismatch {
        /// The method.
        op: &'static str,
        /// The first shape.
        left: Shape,
        /// The second shape.
        right: Shape,
    },
    /// The axes are out of range, repeated or, for a permutation, incomplete.
    BadAxes {
        /// The method.
        op: &'static str,
        /// The axes given.
        axes: Vec<usize>,
        /// The shape of the tensor.
        shape: Shape,
    },
    /// The number of elements given is not that of the shape.
    Elements {
        /// The method.
        op: &'static str,
        /// The shape asked for.
        shape: Shape,
        /// The number of elements given.
        got: usize,
    },
    /// The slices do not fit the tensor.
    BadSlice {
        /// The method.
        op: &'static str,
        /// The slices given.
        slices: Vec<Slice>,
        /// The shape of the tensor to slice.
        shape: Shape,
    },
    /// An index is not below the size of its axis.
    IndexOutOfRange {
        /// The method.
        op: &'static str,
        /// The offending index.
        index: usize,
        /// The size of the axis.
        size: usize,
    },
    /// The windows do not fit the tensor.
    BadWindow {
        /// The method.
        op: &'static str,
        /// The window given.
        window: Window,
        /// The shape of the tensor.
        shape: Shape,
    },
    /// A maximum or minimum over no elements.
    EmptyReduction {
        /// The method.
        op: &'static str,
        /// The shape reduced.
        shape: Shape,
    },
    /// A shape has fewer axes than the method needs.
    RankTooLow {
        /// The method.
        op: &'static str,
        /// The first shape.
        left: Shape,
        /// The second shape.
        right: Shape,
    },
    /// A shape has more elements than a tensor can, or than there is memory for.
    TooLarge {
        /// The method.
        op: &'static str,
        /// The shape asked for.
        shape: Shape,
    },
    /// Matrices that have no result, singular ones for instance (feature `linalg`).
    #[cfg(feature = "linalg")]
    Linalg {
        /// The method.
        op: &'static str,
        /// What is wrong with them.
        source: LinalgError,
    },
    /// A method that this backend does not have.
    Unsupported(Unsupported),
}

impl fmt::Display for NdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NdError::ShapeMismatch { op, left, right } => {
                write!(f, "{op}: shapes {left} and {right} are incompatible")
            }
            NdError::BadAxes { op, axes, shape } => {
                write!(f, "{op}: axes {axes:?} do not fit shape {shape}")
            }
            NdError::Elements { op, shape, got } => {
                write!(f, "{op}: shape {shape} does not have {got} elements")
            }
            NdError::BadSlice { op, slices, shape } => {
                write!(f, "{op}: slices {slices:?} do not fit shape {shape}")
            }
            NdError::IndexOutOfRange { op, index, size } => {
                write!(f, "{op}: index {index} is out of range for an axis of size {size}")
            }
            NdError::BadWindow { op, window: Window { size, step, dilation }, shape } => write!(
                f,
                "{op}: windows of size {size}, step {step} and dilation {dilation} do not fit \
                 shape {shape}"
            ),
            NdError::EmptyReduction { op, shape } => {
                write!(f, "{op}: shape {shape} has no elements along the reduced axes")
            }
            NdError::RankTooLow { op, left, right } => {
                write!(f, "{op}: shapes {left} and {right} must have at least two axes each")
            }
            NdError::TooLarge { op, shape } => {
                write!(f, "{op}: shape {shape} has more elements than memory can hold")
            }
            #[cfg(feature = "linalg")]
            NdError::Linalg { op, source } => write!(f, "{op}: {source}"),
            NdError::Unsupported(unsupported) => unsupported.fmt(f),
        }
    }
}

impl std::error::Error for NdError {}

impl From<Unsupported> for NdError {
    fn from(unsupported: Unsupported) -> Self {
        NdError::Unsupported(unsupported)
    }
}

impl From<NdError> for Error {
    #[track_caller]
    fn from(error: NdError) -> Self {
        Error::from_source(error)
    }
}
