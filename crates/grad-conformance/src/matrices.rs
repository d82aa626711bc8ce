//! Linear algebra by the textbook, for [`Reference`](super::Reference): one square matrix at a
//! time, row-major, as the definitions have it.

/// Gaussian elimination with partial pivoting of `[A | B]`, where B has `k` columns.
pub(crate) struct Eliminated {
    /// A⁻¹ B; meaningless for a singular A.
    pub(crate) x: Vec<f64>,
    /// The pivots in order, whose product is the determinant but for the sign.
    pub(crate) pivots: Vec<f64>,
    /// The sign of the exchange of rows.
    pub(crate) sign: f64,
}

impl Eliminated {
    pub(crate) fn of(a: &[f64], b: &[f64], n: usize, k: usize) -> Eliminated {
        let mut rows: Vec<Vec<f64>> =
            (0..n).map(|i| [&a[i * n..(i + 1) * n], &b[i * k..(i + 1) * k]].concat()).collect();
        let mut sign = 1.0;
        for step in 0..n {
            let largest = (step..n).fold(step, |best, i| {
                if rows[i][step].abs() > rows[best][step].abs() { i } else { best }
            });
            if largest != step {
                rows.swap(largest, step);
                sign = -sign;
            }
            if rows[step][step] == 0.0 {
                continue;
            }
            let pivot_row = rows[step].clone();
            for row in &mut rows[step + 1..] {
                let factor = row[step] / pivot_row[step];
                row.iter_mut().zip(&pivot_row).for_each(|(x, pivot)| *x -= factor * pivot);
            }
        }
        let pivots = (0..n).map(|i| rows[i][i]).collect();
        let mut x = vec![0.0; n * k];
        for i in (0..n).rev() {
            for column in 0..k {
                let known: f64 = (i + 1..n).map(|j| rows[i][j] * x[j * k + column]).sum();
                x[i * k + column] = (rows[i][n + column] - known) / rows[i][i];
            }
        }
        Eliminated { x, pivots, sign }
    }

    pub(crate) fn is_singular(&self) -> bool {
        self.pivots.contains(&0.0)
    }
}

/// L with `L Lᵀ = A`, if there is one.
pub(crate) fn cholesky(a: &[f64], n: usize) -> Option<Vec<f64>> {
    let mut l = vec![0.0; n * n];
    for j in 0..n {
        for i in j..n {
            let known: f64 = (0..j).map(|k| l[i * n + k] * l[j * n + k]).sum();
            let rest = a[i * n + j] - known;
            match i == j {
                true if rest > 0.0 => l[i * n + i] = rest.sqrt(),
                true => return None,
                false => l[i * n + j] = rest / l[j * n + j],
            }
        }
    }
    Some(l)
}

/// Eigenvalues, ascending, in a first row, and under each its eigenvector: by Jacobi's rotations,
/// each of which makes one element off the diagonal zero.
pub(crate) fn eigh(a: &[f64], n: usize) -> Vec<f64> {
    let lower = |i: usize, j: usize| a[i.max(j) * n + i.min(j)];
    let mut a: Vec<f64> = (0..n * n).map(|place| lower(place / n, place % n)).collect();
    let mut v: Vec<f64> =
        (0..n * n).map(|place| f64::from(u8::from(place / n == place % n))).collect();
    // Convergence is quadratic: ten sweeps are many.
    for _ in 0..50 {
        for p in 0..n {
            for q in p + 1..n {
                let off = a[p * n + q];
                if off == 0.0 {
                    continue;
                }
                // The smaller root t = tan φ of t² + 2 t cot 2φ − 1 = 0.
                let cot = (a[q * n + q] - a[p * n + p]) / (2.0 * off);
                let t = cot.signum() / (cot.abs() + cot.hypot(1.0));
                let c = 1.0 / t.hypot(1.0);
                let s = t * c;
                for k in 0..n {
                    let (x, y) = (a[k * n + p], a[k * n + q]);
                    (a[k * n + p], a[k * n + q]) = (c * x - s * y, s * x + c * y);
                }
                for k in 0..n {
                    let (x, y) = (a[p * n + k], a[q * n + k]);
                    (a[p * n + k], a[q * n + k]) = (c * x - s * y, s * x + c * y);
                }
                (a[p * n + q], a[q * n + p]) = (0.0, 0.0);
                for k in 0..n {
                    let (x, y) = (v[k * n + p], v[k * n + q]);
                    (v[k * n + p], v[k * n + q]) = (c * x - s * y, s * x + c * y);
                }
            }
        }
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&i, &j| a[i * n + i].total_cmp(&a[j * n + j]));
    let mut packed: Vec<f64> = order.iter().map(|&j| a[j * n + j]).collect();
    let signs: Vec<f64> = order
        .iter()
        .map(|&j| {
            let column = || (0..n).map(|i| v[i * n + j]);
            let largest = column().fold(0.0f64, |max, x| max.max(x.abs()));
            let decides = column().find(|x| x.abs() >= largest / 2.0);
            if decides.is_some_and(|x| x < 0.0) { -1.0 } else { 1.0 }
        })
        .collect();
    for i in 0..n {
        packed.extend(order.iter().zip(&signs).map(|(&j, sign)| sign * v[i * n + j]));
    }
    packed
}
