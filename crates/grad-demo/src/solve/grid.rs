//! The points at which equations in a square are asked to hold.

use grad_core::TensorLike;

/// The first and the second coordinate of the midpoints of n × n cells of the unit square, a column
/// each; the first is moved by `place`.
pub(crate) fn grid<T: TensorLike>(
    model: &T,
    n: usize,
    place: impl Fn(f64) -> f64,
) -> Result<[T; 2], T::Error> {
    let midpoint = |cell: usize| (cell as f64 + 0.5) / n as f64;
    let first: Vec<f64> = (0..n * n).map(|at| place(midpoint(at / n))).collect();
    let second: Vec<f64> = (0..n * n).map(|at| midpoint(at % n)).collect();
    Ok([model.from_host(&[n * n, 1], &first)?, model.from_host(&[n * n, 1], &second)?])
}
