//! What can go wrong: shapes that do not fit, and matrices without the factors asked for.

use std::fmt;

/// Why there is no result.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinalgError {
    /// A shape has fewer than two axes, or not as many elements as there are.
    NotMatrices {
        /// The shape given.
        shape: Vec<usize>,
        /// The number of elements given.
        n_elements: usize,
    },
    /// Square matrices are needed.
    NotSquare {
        /// The sizes of the matrices.
        size: [usize; 2],
    },
    /// Two batches do not go together: other numbers of matrices, or other numbers of rows.
    Mismatch {
        /// The first: how many matrices, rows and columns.
        left: [usize; 3],
        /// The second.
        right: [usize; 3],
    },
    /// A matrix has no inverse.
    Singular {
        /// Which matrix of the batch.
        index: usize,
        /// How many there are.
        count: usize,
    },
    /// A matrix has no Cholesky factor.
    NotPositiveDefinite {
        /// Which matrix of the batch.
        index: usize,
        /// How many there are.
        count: usize,
    },
    /// The iteration for the eigenvalues did not end.
    NoConvergence {
        /// Which matrix of the batch.
        index: usize,
        /// How many there are.
        count: usize,
    },
}

impl fmt::Display for LinalgError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use LinalgError::*;
        let (what, index, count) = match self {
            NotMatrices { shape, n_elements } => {
                return write!(f, "{n_elements} elements do not make matrices of shape {shape:?}");
            }
            NotSquare { size } => return write!(f, "matrix must be square, got {size:?}"),
            Mismatch { left, right } => {
                return write!(f, "matrices {left:?} and {right:?} are incompatible");
            }
            Singular { index, count } => ("is singular", index, count),
            NotPositiveDefinite { index, count } => ("is not positive definite", index, count),
            NoConvergence { index, count } => {
                ("has eigenvalues that did not converge", index, count)
            }
        };
        write!(f, "matrix {what}")?;
        match count {
            1 => Ok(()),
            _ => write!(f, " (at {index} in a batch of {count})"),
        }
    }
}

impl std::error::Error for LinalgError {}
