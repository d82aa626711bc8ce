//! The functions: a factorization of each matrix, and what follows from it.

use faer::linalg::solvers::{
    DenseSolveCore, Llt, PartialPivLu, SelfAdjointEigen, ShapeCore, Solve,
};
use faer::{Mat, Side};

use crate::error::LinalgError;
use crate::matrices::{Matrices, append};

/// The solutions X of `A X = B`, each shaped like its `B`.
///
/// # Errors
/// [`LinalgError::Singular`] if elimination meets a pivot of exactly zero; what is wrong with the
/// shapes.
///
/// ```
/// use grad_linalg::{Matrices, solve};
///
/// let a = Matrices::new(&[2, 2], &[2.0, 1.0, 0.0, 4.0])?;
/// let b = Matrices::new(&[2, 1], &[4.0, 8.0])?;
/// assert_eq!(solve(a, b)?, [1.0, 2.0]);
/// # Ok::<(), grad_linalg::LinalgError>(())
/// ```
pub fn solve(a: Matrices<'_>, b: Matrices<'_>) -> Result<Vec<f64>, LinalgError> {
    a.go_with(&b)?;
    if a.order()? == 0 {
        return Ok(Vec::new()); // faer does not factor nothing.
    }
    each(a, b.size(), |index, out| {
        append(out, &invertible(a, index)?.solve(b.get(index)));
        Ok(())
    })
}

/// The solutions X of `A X = B`, each shaped like its `B`, for triangular A; elements of A outside
/// of the triangle are not read.
///
/// # Errors
/// [`LinalgError::Singular`] if a diagonal element is zero; what is wrong with the shapes.
pub fn triangular_solve(
    a: Matrices<'_>,
    b: Matrices<'_>,
    upper: bool,
) -> Result<Vec<f64>, LinalgError> {
    let n = a.order()?;
    a.go_with(&b)?;
    if n == 0 {
        return Ok(Vec::new());
    }
    // What is not read must not make the result NaN.
    let inside = |i: usize, j: usize| if upper { i <= j } else { j <= i };
    let data: Vec<f64> = (0..a.count())
        .flat_map(|index| a.elements(index).iter().enumerate())
        .map(|(place, &x)| if inside(place / n, place % n) { x } else { 0.0 })
        .collect();
    let a = Matrices::new(&[a.count(), n, n], &data)?;
    each(a, b.size(), |index, out| {
        let triangle = a.get(index);
        if (0..n).any(|i| triangle[(i, i)] == 0.0) {
            return Err(LinalgError::Singular { index, count: a.count() });
        }
        let mut x = b.get(index).to_owned();
        match upper {
            true => triangle.solve_upper_triangular_in_place(&mut x),
            false => triangle.solve_lower_triangular_in_place(&mut x),
        }
        append(out, &x);
        Ok(())
    })
}

/// The inverses.
///
/// # Errors
/// [`LinalgError::Singular`] if elimination meets a pivot of exactly zero;
/// [`LinalgError::NotSquare`].
pub fn inv(a: Matrices<'_>) -> Result<Vec<f64>, LinalgError> {
    if a.order()? == 0 {
        return Ok(Vec::new());
    }
    each(a, a.size(), |index, out| {
        append(out, &invertible(a, index)?.inverse());
        Ok(())
    })
}

/// The sign of the determinant and the logarithm of its absolute value, as pairs; 0 and −∞ where
/// elimination meets a pivot of exactly zero.
///
/// # Errors
/// [`LinalgError::NotSquare`].
pub fn slogdet(a: Matrices<'_>) -> Result<Vec<f64>, LinalgError> {
    if a.order()? == 0 {
        // The empty product is 1.
        return Ok([1.0, 0.0].repeat(a.count()));
    }
    each(a, [1, 2], |index, out| {
        let Ok(lu) = invertible(a, index) else {
            out.extend([0.0, f64::NEG_INFINITY]);
            return Ok(());
        };
        let sign: f64 = pivots(&lu).map(f64::signum).product();
        let ln = pivots(&lu).map(|pivot| pivot.abs().ln()).sum();
        out.extend([sign * parity(lu.P().arrays().0), ln]);
        Ok(())
    })
}

/// The lower triangular factors L of `L Lᵀ = A` for symmetric matrices, of which the lower triangle
/// is read.
///
/// # Errors
/// [`LinalgError::NotPositiveDefinite`]; [`LinalgError::NotSquare`].
pub fn cholesky(a: Matrices<'_>) -> Result<Vec<f64>, LinalgError> {
    if a.order()? == 0 {
        return Ok(Vec::new());
    }
    each(a, a.size(), |index, out| match Llt::new(a.get(index), Side::Lower) {
        Ok(factor) => {
            append(out, &factor.L().to_owned());
            Ok(())
        }
        Err(_) => Err(LinalgError::NotPositiveDefinite { index, count: a.count() }),
    })
}

/// Eigenvalues, ascending, and eigenvectors of symmetric `n × n` matrices, of which the lower
/// triangle is read; packed as matrices `(n + 1) × n`: a row of eigenvalues, and under each its
/// eigenvector as a column.
///
/// An eigenvector has length 1, and of its elements that are at least half as large as the largest
/// the first one is positive, so that it does not depend on the algorithm.
///
/// # Errors
/// [`LinalgError::NoConvergence`], which is not known to happen; [`LinalgError::NotSquare`].
pub fn eigh(a: Matrices<'_>) -> Result<Vec<f64>, LinalgError> {
    let n = a.order()?;
    if n == 0 {
        return Ok(Vec::new());
    }
    each(a, [n + 1, n], |index, out| {
        let largest = a.elements(index).iter().fold(0.0f64, |max, x| max.max(x.abs()));
        // A power of two, so that nothing is rounded and squares do not overflow. The logarithm of
        // f64::MAX rounds to 1024, of which there is no power.
        let exponent = largest.log2().floor().min(1023.0);
        let scale = if largest == 0.0 { 1.0 } else { exponent.exp2() };
        let scaled = Mat::from_fn(n, n, |i, j| a.get(index)[(i, j)] / scale);
        let failed = |_| LinalgError::NoConvergence { index, count: a.count() };
        let eigen = SelfAdjointEigen::new(scaled.as_ref(), Side::Lower).map_err(failed)?;
        out.extend((0..n).map(|j| eigen.S()[j] * scale));
        let mut vectors = eigen.U().to_owned();
        for j in 0..n {
            if is_reversed(vectors.col_as_slice(j)) {
                vectors.col_as_slice_mut(j).iter_mut().for_each(|x| *x = -*x);
            }
        }
        append(out, &vectors);
        Ok(())
    })
}

/// True if the first element that is at least half as large as the largest is negative.
fn is_reversed(vector: &[f64]) -> bool {
    let largest = vector.iter().fold(0.0f64, |max, x| max.max(x.abs()));
    vector.iter().find(|x| x.abs() >= largest / 2.0).is_some_and(|&x| x < 0.0)
}

/// The results of `size` that `f` appends for each matrix; NaN for those that are not finite.
fn each(
    a: Matrices<'_>,
    size: [usize; 2],
    mut f: impl FnMut(usize, &mut Vec<f64>) -> Result<(), LinalgError>,
) -> Result<Vec<f64>, LinalgError> {
    let n = size[0] * size[1];
    let mut out = Vec::with_capacity(a.count() * n);
    for index in 0..a.count() {
        match a.is_finite(index) {
            true => f(index, &mut out)?,
            false => out.extend(std::iter::repeat_n(f64::NAN, n)),
        }
    }
    Ok(out)
}

/// The factors of a matrix that has an inverse.
fn invertible(a: Matrices<'_>, index: usize) -> Result<PartialPivLu<f64>, LinalgError> {
    let lu = PartialPivLu::new(a.get(index));
    // After a pivot of zero the others are NaN.
    if pivots(&lu).any(|pivot| pivot == 0.0) {
        return Err(LinalgError::Singular { index, count: a.count() });
    }
    Ok(lu)
}

fn pivots(lu: &PartialPivLu<f64>) -> impl Iterator<Item = f64> + '_ {
    (0..lu.nrows()).map(|i| lu.U()[(i, i)])
}

/// The sign of a permutation: −1 for each cycle of even length.
fn parity(permutation: &[usize]) -> f64 {
    let mut seen = vec![false; permutation.len()];
    let mut sign = 1.0;
    for start in 0..permutation.len() {
        let mut at = start;
        while !seen[at] {
            seen[at] = true;
            at = permutation[at];
            if at != start {
                sign = -sign;
            }
        }
    }
    sign
}
