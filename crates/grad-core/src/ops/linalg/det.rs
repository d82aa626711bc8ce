//! The determinant, with derivatives that are right at singular matrices too.
//!
//! The derivative of a determinant is the cofactor matrix, of which `det(A) A⁻ᵀ` says nothing at a
//! singular A. Up to order 3 the determinant is written out as the polynomial that it is. Above
//! that, rows and columns are exchanged so that the largest pivots come first, and with the blocks
//!
//! ```math
//! P A Q = [B C; D E],   E of order 3,   det A = ± det B · det(E − D B⁻¹ C)
//! ```
//!
//! B has an inverse unless the rank of A is below n − 3. Where it is, all minors that the
//! derivatives up to the third are made of vanish, so zero is right for these.

use super::{constant, square};
use crate::ground::{Shape, Slice, TensorLike, backend};
use crate::tape::Var;

/// The order up to which determinants are written out.
const WRITTEN_OUT: usize = 3;

/// How the rows and columns of one matrix are exchanged.
struct Pivots {
    rows: Vec<usize>,
    columns: Vec<usize>,
    /// The sign of both permutations together.
    sign: f64,
    /// False if a pivot cannot be told from zero.
    is_regular: bool,
}

impl Pivots {
    /// The largest pivots of `n − WRITTEN_OUT` steps of elimination.
    fn of(matrix: &[f64], n: usize) -> Pivots {
        let identity: Vec<usize> = (0..n).collect();
        let (rows, columns) = (identity.clone(), identity);
        let mut pivots = Pivots { rows, columns, sign: 1.0, is_regular: true };
        if matrix.iter().any(|x| !x.is_finite()) {
            return pivots; // The result is NaN in any order.
        }
        let mut a = matrix.to_vec();
        // The rounding in each element of `a`, as if it were in the matrix: so much the matrix may be
        // changed without anybody noticing. A pivot within it is as good as zero.
        let mut error = vec![0.0; a.len()];
        for step in 0..n - WRITTEN_OUT {
            let places = (step..n).flat_map(|i| (step..n).map(move |j| (i, j)));
            let at = |(i, j): (usize, usize)| i * n + j;
            let (i, j) = places.fold((step, step), |best, place| {
                if a[at(place)].abs() > a[at(best)].abs() { place } else { best }
            });
            for k in 0..n {
                a.swap(i * n + k, step * n + k);
                error.swap(i * n + k, step * n + k);
            }
            for k in 0..n {
                a.swap(k * n + j, k * n + step);
                error.swap(k * n + j, k * n + step);
            }
            pivots.rows.swap(i, step);
            pivots.columns.swap(j, step);
            for is_exchange in [i != step, j != step] {
                pivots.sign *= if is_exchange { -1.0 } else { 1.0 };
            }
            let pivot = a[step * n + step];
            if pivot.abs() <= 16.0 * error[step * n + step] {
                pivots.is_regular = false;
                break;
            }
            for i in step + 1..n {
                let factor = a[i * n + step] / pivot;
                for j in step + 1..n {
                    let product = factor * a[step * n + j];
                    a[i * n + j] -= product;
                    error[i * n + j] += f64::EPSILON * (product.abs() + a[i * n + j].abs());
                }
            }
        }
        pivots
    }
}

impl<'t, T: TensorLike> Var<'t, T> {
    /// The determinants of square matrices.
    ///
    /// Shapes: `[.., n, n]` → `[..]`.
    ///
    /// ```math
    /// Ā = ȳ cof(A) = ȳ det(A) A⁻ᵀ,   ẏ = Σ cof(A) ∘ Ȧ
    /// ```
    ///
    /// # Errors
    /// [`Parameter`](crate::ErrorKind::Parameter) if the matrices are not square.
    ///
    /// Non-smooth points: none; the determinant is a polynomial. At singular matrices derivatives
    /// of every order are right if n ≤ 3 or the rank is at least n − 3; below that they are right
    /// up to the third order, which vanishes, and higher orders come out as zero too.
    /// Source: Giles (2008), §2.2.4; for the Schur complement, Horn and Johnson, "Matrix Analysis",
    /// §0.8.5.
    #[track_caller]
    pub fn det(self) -> Self {
        let Ok(shape) = self.shape() else { return self };
        let (batch, n) = match square(&shape) {
            Ok(found) => found,
            Err(kind) => return self.void("det", kind),
        };
        if n <= WRITTEN_OUT {
            return self.written_out(batch.into(), n);
        }
        let data = match self.value().map(|value| value.to_host()) {
            Ok(Ok(data)) => data,
            Ok(Err(error)) => return self.void("det", backend(error)),
            Err(_) => return self,
        };
        let pivots: Vec<Pivots> = data.chunks(n * n).map(|matrix| Pivots::of(matrix, n)).collect();
        let mut index = Vec::with_capacity(data.len());
        for (place, pivots) in pivots.iter().enumerate() {
            for row in &pivots.rows {
                index.extend(pivots.columns.iter().map(|column| (place * n + row) * n + column));
            }
        }
        let mut exchanged = self.reshape(data.len()).index_select(0, &index).reshape(&shape);
        let is_regular = pivots.iter().all(|pivots| pivots.is_regular);
        let mask: Vec<f64> = pivots.iter().map(|p| f64::from(u8::from(p.is_regular))).collect();
        if !is_regular {
            // Any matrix with an inverse: its determinant is not used.
            let matrices: Shape = batch.iter().copied().chain([1, 1]).collect();
            let identity = super::pattern(self, n, |i, j| f64::from(u8::from(i == j)));
            exchanged = constant(self, &matrices, &mask).where_(exchanged, identity);
        }
        let [b, c, d, e] = exchanged.blocks(n - WRITTEN_OUT);
        let rest = (e - d.matmul(b.solve(c))).written_out(batch.into(), WRITTEN_OUT);
        let (sign, ln) = b.slogdet();
        let signs: Vec<f64> = pivots.iter().map(|pivots| pivots.sign).collect();
        // In two factors, so that no product overflows if the determinant does not.
        let root = (ln * 0.5).exp();
        let det = rest * root * root * (sign * constant(self, batch, &signs));
        match is_regular {
            true => det,
            false => constant(self, batch, &mask).where_(det, 0.0),
        }
    }

    /// The determinants of matrices of order n ≤ 3, by sums and products of their elements.
    #[track_caller]
    fn written_out(self, batch: Shape, n: usize) -> Self {
        match n {
            0 => self.sum_axes([-2, -1]) + 1.0,
            1 => self.reshape(batch),
            2 => {
                let products = self.row(0, &batch) * self.row(1, &batch).index_select(-1, &[1, 0]);
                (products.narrow(-1, 0, 1) - products.narrow(-1, 1, 1)).reshape(batch)
            }
            _ => {
                let (y, z) = (self.row(1, &batch), self.row(2, &batch));
                let cross = y.index_select(-1, &[1, 2, 0]) * z.index_select(-1, &[2, 0, 1])
                    - y.index_select(-1, &[2, 0, 1]) * z.index_select(-1, &[1, 2, 0]);
                (self.row(0, &batch) * cross).sum_axes(-1)
            }
        }
    }

    /// One row of each matrix.
    #[track_caller]
    fn row(self, i: usize, batch: &Shape) -> Self {
        let row = self.narrow(-2, i, 1);
        let Ok(shape) = row.shape() else { return row };
        row.reshape(batch.iter().chain(shape.last()).copied().collect::<Shape>())
    }

    /// The four blocks of matrices, of which the first has order `n`.
    #[track_caller]
    fn blocks(self, n: usize) -> [Self; 4] {
        let Ok(shape) = self.shape() else { return [self; 4] };
        let halves = [
            Slice { start: 0, stop: n, step: 1 },
            Slice { start: n, stop: shape.last().copied().unwrap_or(n), step: 1 },
        ];
        let mut blocks = [self; 4];
        for (place, block) in blocks.iter_mut().enumerate() {
            let mut slices: Vec<Slice> = shape.iter().map(|&n| Slice::all(n)).collect();
            if let [.., rows, columns] = &mut slices[..] {
                (*rows, *columns) = (halves[place / 2], halves[place % 2]);
            }
            *block = self.slice(&slices);
        }
        blocks
    }
}
