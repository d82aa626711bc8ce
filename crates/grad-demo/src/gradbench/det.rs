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

use super::{Problem, Runs, output, unknown};

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
        ensure!((1..=MOST_ROWS).contains(&ell), "ell is {ell}, not between 1 and {MOST_ROWS}");
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
    let mut sum = row[columns[0]];
    for j in 0..columns.len() {
        let column = columns.remove(j);
        let term = match columns.len() {
            0 => row[column],
            RECORDED_ROWS => row[column] * at_once(below, ell, columns),
            _ => row[column] * expand(below, ell, columns),
        };
        columns.insert(j, column);
        sum = match j {
            0 => term,
            _ if j % 2 == 1 => sum - term,
            _ => sum + term,
        };
    }
    sum
}

/// [`expand`] as one operation.
fn at_once<'t, T: TensorLike>(rows: &[Var<'t, T>], ell: usize, columns: &[usize]) -> Var<'t, T> {
    let rows = rows.chunks(ell);
    let minor: Vec<Var<'t, T>> =
        rows.flat_map(|row| columns.iter().map(|&column| row[column])).collect();
    transform::checkpoint(|_, minor: Vec<Var<'_, T>>| det(&minor, RECORDED_ROWS), minor)
}
