//! The determinant by expansion by minors: scalars only, and as many products as ℓ! e.
//!
//! ```math
//! det M = Σⱼ (−1)ʲ M₀ⱼ det M without row 0 and column j
//! ```
//!
//! Nothing is remembered from one minor to the next, which is the point of the problem.

use anyhow::ensure;
use grad_core::{Tape, TensorLike, Var, transform};
use serde::Deserialize;
use serde_json::Value;

use super::output;
use super::problem::{Problem, unknown};
use super::runs::Runs;

/// Minors from this size on are recorded as a whole: 10⁵ nodes, and a tape of 10 MB. A larger
/// matrix has many of them, so there each is one operation, which computes its steps once more in
/// the sweep.
const RECORDED_ROWS: usize = 8;

/// The most rows: of the next larger matrix even the minors of [`RECORDED_ROWS`] are millions.
const MOST_ROWS: usize = 13;

/// ℓ² numbers, row by row.
#[derive(Deserialize)]
pub(crate) struct Det {
    #[serde(rename = "A")]
    a: Vec<f64>,
    ell: usize,
}

impl Problem for Det {
    const NAME: &'static str = "det";
    const IS_SCALAR: bool = true;

    fn evaluate<T: TensorLike>(
        &self,
        function: &str,
        model: &T,
        runs: &mut Runs,
    ) -> anyhow::Result<Value> {
        let Det { ref a, ell } = *self;
        ensure!((1..=MOST_ROWS).contains(&ell), "ell must be between 1 and {MOST_ROWS}, got {ell}");
        ensure!(a.len() == ell * ell, "A has {} elements, not {ell} times {ell}", a.len());
        let a = a.iter().map(|&a| model.scalar(a)).collect::<Result<Vec<T>, _>>()?;
        let mut tape = Tape::new();
        match function {
            "primal" => {
                let det = runs.time(|| {
                    tape.clear();
                    let a: Vec<Var<'_, T>> = a.iter().map(|a| tape.constant(a.clone())).collect();
                    det(&a, ell).value()
                });
                output::number(&det?)
            }
            "gradient" => {
                let gradient = runs.time(|| {
                    tape.clear();
                    let a: Vec<Var<'_, T>> = a.iter().map(|a| tape.var(a.clone())).collect();
                    tape.backward(det(&a, ell), &a)
                });
                gradient?.iter().map(output::number).collect()
            }
            _ => Err(unknown::<Self>(function)),
        }
    }
}

/// The determinant of `ell` rows.
fn det<'t, T: TensorLike>(rows: &[Var<'t, T>], ell: usize) -> Var<'t, T> {
    expand(rows, ell, &mut (0..ell).collect())
}

/// The determinant of the rows of length `ell` that are left, in the columns that are left.
fn expand<'t, T: TensorLike>(
    rows: &[Var<'t, T>],
    ell: usize,
    columns: &mut Vec<usize>,
) -> Var<'t, T> {
    let (row, below) = rows.split_at(ell);
    let n = columns.len();
    let mut term = |j| {
        let column = columns.remove(j);
        let term = match columns.len() {
            0 => row[column],
            RECORDED_ROWS => row[column] * at_once(below, ell, columns),
            _ => row[column] * expand(below, ell, columns),
        };
        columns.insert(j, column);
        term
    };
    let first = term(0);
    (1..n).fold(first, |sum, j| if j % 2 == 1 { sum - term(j) } else { sum + term(j) })
}

/// [`expand`] as one operation.
fn at_once<'t, T: TensorLike>(rows: &[Var<'t, T>], ell: usize, columns: &[usize]) -> Var<'t, T> {
    let rows = rows.chunks(ell);
    let minor: Vec<Var<'t, T>> =
        rows.flat_map(|row| columns.iter().map(|&column| row[column])).collect();
    transform::checkpoint(|_, minor: Vec<Var<'_, T>>| det(&minor, RECORDED_ROWS), minor)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn compute(function: &str, a: &[f64], ell: usize) -> Result<Value, String> {
        let det = Det { a: a.to_vec(), ell };
        det.evaluate(function, &0.0, &mut Runs::default()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_gradient_is_made_of_cofactors() {
        // By hand, of [1 2 3; 4 5 6; 7 8 10]: 1 (50 − 48) − 2 (40 − 42) + 3 (32 − 35).
        let a = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0];
        assert_eq!(compute("primal", &a, 3), Ok(json!(-3.0)));
        let cofactors = json!([2.0, 2.0, -3.0, 4.0, -11.0, 6.0, -3.0, 6.0, -3.0]);
        assert_eq!(compute("gradient", &a, 3), Ok(cofactors));
    }

    #[test]
    fn a_number_is_its_own_determinant() {
        assert_eq!(compute("primal", &[5.0], 1), Ok(json!(5.0)));
        assert_eq!(compute("gradient", &[5.0], 1), Ok(json!([1.0])));
    }

    #[test]
    fn minors_that_are_computed_twice_have_the_same_derivatives() {
        // I + u vᵀ with u = (1, 2, …, 9) and v of ones has the determinant 1 + v · u = 46 and, as
        // its inverse is I − u vᵀ / 46, the derivative 46 I − v uᵀ. All in whole numbers.
        let ell = RECORDED_ROWS + 1;
        let unit = |i: usize, j: usize| if i == j { 1.0 } else { 0.0 };
        let places = || (0..ell * ell).map(|k| (k / ell, k % ell));
        let a: Vec<f64> = places().map(|(i, j)| unit(i, j) + (i + 1) as f64).collect();
        let gradient: Vec<f64> =
            places().map(|(i, j)| 46.0 * unit(i, j) - (j + 1) as f64).collect();
        assert_eq!(compute("primal", &a, ell), Ok(json!(46.0)));
        assert_eq!(compute("gradient", &a, ell), Ok(json!(gradient)));
    }

    #[test]
    fn what_is_no_matrix_is_refused() {
        let refused = |a: &[f64], ell| compute("primal", a, ell).expect_err("no matrix");
        assert_eq!(refused(&[1.0, 2.0, 3.0], 2), "A has 3 elements, not 2 times 2");
        assert_eq!(refused(&[], 0), "ell must be between 1 and 13, got 0");
        assert_eq!(
            refused(&[], usize::MAX),
            format!("ell must be between 1 and 13, got {}", usize::MAX)
        );
        assert_eq!(compute("f", &[1.0], 1), Err("module det has no function 'f'".to_string()));
    }
}
