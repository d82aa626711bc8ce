//! A batch of matrices: row-major numbers and their shape.

use faer::{Mat, MatRef};

use crate::error::LinalgError;

/// A batch of matrices of one size, borrowed.
///
/// ```
/// use grad_linalg::{Matrices, inv};
///
/// let data = [2.0, 0.0, 0.0, 4.0, 1.0, 1.0, 0.0, 1.0];
/// let two = Matrices::new(&[2, 2, 2], &data)?;
/// assert_eq!(inv(two)?, [0.5, 0.0, 0.0, 0.25, 1.0, -1.0, 0.0, 1.0]);
/// # Ok::<(), grad_linalg::LinalgError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Matrices<'a> {
    data: &'a [f64],
    count: usize,
    rows: usize,
    columns: usize,
}

impl<'a> Matrices<'a> {
    /// Matrices of `shape` `[.., rows, columns]` with the row-major elements `data`.
    ///
    /// # Errors
    /// [`LinalgError::NotMatrices`] for fewer than two axes, or another number of elements.
    pub fn new(shape: &[usize], data: &'a [f64]) -> Result<Self, LinalgError> {
        let product =
            |sizes: &[usize]| sizes.iter().try_fold(1usize, |n, &size| n.checked_mul(size));
        let refused = || LinalgError::NotMatrices { shape: shape.into(), n_elements: data.len() };
        let (batch, &[rows, columns]) = shape.split_last_chunk().ok_or_else(refused)?;
        match (product(batch), product(shape)) {
            (Some(count), Some(n)) if n == data.len() => {
                Ok(Matrices { data, count, rows, columns })
            }
            _ => Err(refused()),
        }
    }

    /// How many matrices there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The numbers of rows and columns of each.
    pub fn size(&self) -> [usize; 2] {
        [self.rows, self.columns]
    }

    /// The elements of all of them.
    pub fn data(&self) -> &'a [f64] {
        self.data
    }

    /// The number of rows and columns of square matrices.
    pub(crate) fn order(&self) -> Result<usize, LinalgError> {
        match self.rows == self.columns {
            true => Ok(self.rows),
            false => Err(LinalgError::NotSquare { size: self.size() }),
        }
    }

    /// The elements of one of them.
    pub(crate) fn elements(&self, index: usize) -> &'a [f64] {
        let n = self.rows * self.columns;
        &self.data[index * n..(index + 1) * n]
    }

    pub(crate) fn get(&self, index: usize) -> MatRef<'a, f64> {
        MatRef::from_row_major_slice(self.elements(index), self.rows, self.columns)
    }

    pub(crate) fn is_finite(&self, index: usize) -> bool {
        self.elements(index).iter().all(|x| x.is_finite())
    }

    /// As many matrices as `other` has, of as many rows.
    pub(crate) fn go_with(&self, other: &Matrices<'_>) -> Result<(), LinalgError> {
        let all = |matrices: &Matrices<'_>| [matrices.count, matrices.rows, matrices.columns];
        match (self.count, self.rows) == (other.count, other.rows) {
            true => Ok(()),
            false => Err(LinalgError::Mismatch { left: all(self), right: all(other) }),
        }
    }
}

/// Appends the elements of a matrix in row-major order.
pub(crate) fn append(out: &mut Vec<f64>, matrix: &Mat<f64>) {
    for i in 0..matrix.nrows() {
        out.extend((0..matrix.ncols()).map(|j| matrix[(i, j)]));
    }
}
