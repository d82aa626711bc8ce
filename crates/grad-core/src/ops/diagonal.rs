//! Diagonals and triangles of matrices, batched over leading axes. All linear.

use crate::ground::{ErrorKind, Shape, Slice, TensorLike, call, n_elements};
use crate::kinds::{ByTranspose, Linear};
use crate::tape::{Primal, Reach, Var};

/// Keeps one triangle of a matrix; holds the diagonal where it ends.
#[derive(Clone)]
struct Triangle<const UPPER: bool>(isize);

impl<const UPPER: bool> Linear for Triangle<UPPER> {
    const NAME: &'static str = if UPPER { "triu" } else { "tril" };

    fn shape(&self, x: &Shape) -> Result<Shape, ErrorKind> {
        matrix(x).map(|_| x.clone())
    }

    // A selection: a product would make NaN of what is infinite in the other triangle.
    fn forward<T: TensorLike>(&self, x: &T) -> Result<T, T::Error> {
        let [.., m, n] = *x.shape() else { return Ok(x.clone()) };
        if n_elements(x.shape()) == Some(0) {
            return Ok(x.clone());
        }
        let kept = |i: usize, j: usize| match (j as isize).saturating_sub(i as isize) {
            offset if UPPER => offset >= self.0,
            offset => offset <= self.0,
        };
        let row = |i| (0..n).map(move |j| f64::from(u8::from(kept(i, j))));
        let mask: Vec<f64> = (0..m).flat_map(row).collect();
        x.from_host(&[m, n], &mask)?.select(x, &x.scalar(0.0)?)
    }

    fn transpose<'t, T: TensorLike>(&self, _: &Primal<'t, T>, ct: Var<'t, T>) -> Var<'t, T> {
        ct.with(ByTranspose::new(self.clone()))
    }

    fn batched<'t, T: TensorLike>(&self, _: &Primal<'t, T>, t: Var<'t, T>) -> Option<Var<'t, T>> {
        Some(t.with(ByTranspose::new(self.clone())))
    }

    fn reach(&self) -> Reach {
        Reach::Rule { total: false }
    }

    fn format(&self, x: &[&str]) -> String {
        call(<Self as Linear>::NAME, x, &self.0.to_string())
    }
}

/// The sizes of the leading axes, of the rows and of the columns.
fn matrix(shape: &Shape) -> Result<(&[usize], usize, usize), ErrorKind> {
    match &shape[..] {
        [batch @ .., m, n] => Ok((batch, *m, *n)),
        _ => Err(ErrorKind::RankTooLow { shape: shape.clone(), needed: 2 }),
    }
}

/// Where the diagonal of a matrix of `n` columns is among its elements in row-major order, and all
/// of the leading axes.
fn along_diagonal(batch: &[usize], n: usize, length: usize) -> Vec<Slice> {
    let step = n.saturating_add(1);
    let stop = length.checked_sub(1).map_or(0, |last| last.saturating_mul(step).saturating_add(1));
    let diagonal = Slice { start: 0, stop, step };
    batch.iter().map(|&n| Slice::all(n)).chain([diagonal]).collect()
}

impl<'t, T: TensorLike> Var<'t, T> {
    /// The elements of matrices on and below diagonal `k`, and 0 elsewhere; diagonal 0 is the main
    /// one, 1 the one above.
    ///
    /// Shapes: `[.., m, n]`, kept.
    ///
    /// ```math
    /// yᵢⱼ = xᵢⱼ where j − i ≤ k, else 0;   x̄ = tril(ȳ, k),   ẏ = tril(ẋ, k)
    /// ```
    ///
    /// # Errors
    /// [`RankTooLow`](ErrorKind::RankTooLow).
    ///
    /// Non-smooth points: none.
    #[track_caller]
    pub fn tril(self, k: isize) -> Self {
        self.with(ByTranspose::new(Triangle::<false>(k)))
    }

    /// The elements of matrices on and above diagonal `k`, and 0 elsewhere; diagonal 0 is the main
    /// one, 1 the one above.
    ///
    /// Shapes: `[.., m, n]`, kept.
    ///
    /// ```math
    /// yᵢⱼ = xᵢⱼ where j − i ≥ k, else 0;   x̄ = triu(ȳ, k),   ẏ = triu(ẋ, k)
    /// ```
    ///
    /// # Errors
    /// [`RankTooLow`](ErrorKind::RankTooLow).
    ///
    /// Non-smooth points: none.
    #[track_caller]
    pub fn triu(self, k: isize) -> Self {
        self.with(ByTranspose::new(Triangle::<true>(k)))
    }

    /// The main diagonals of matrices: a [`Var::slice`] of the elements in row-major order.
    ///
    /// Shapes: `[.., m, n]` → `[.., min(m, n)]`.
    ///
    /// ```math
    /// yᵢ = xᵢᵢ,   x̄ᵢᵢ = ȳᵢ
    /// ```
    ///
    /// # Errors
    /// [`RankTooLow`](ErrorKind::RankTooLow).
    ///
    /// Non-smooth points: none.
    #[track_caller]
    pub fn diagonal(self) -> Self {
        let Ok(shape) = self.shape() else { return self };
        match matrix(&shape) {
            Ok((batch, m, n)) => {
                let rows: Shape = batch.iter().copied().chain([m.saturating_mul(n)]).collect();
                self.reshape(rows).slice(&along_diagonal(batch, n, m.min(n)))
            }
            Err(kind) => self.void("diagonal", kind),
        }
    }

    /// The square matrices that have the vectors along the last axis as their main diagonals, and 0
    /// elsewhere: the transpose of [`Var::diagonal`].
    ///
    /// Shapes: `[.., n]` → `[.., n, n]`.
    ///
    /// ```math
    /// yᵢᵢ = xᵢ,   x̄ᵢ = ȳᵢᵢ
    /// ```
    ///
    /// # Errors
    /// [`RankTooLow`](ErrorKind::RankTooLow), [`TooLarge`](ErrorKind::TooLarge).
    ///
    /// Non-smooth points: none.
    #[track_caller]
    pub fn diag(self) -> Self {
        let Ok(shape) = self.shape() else { return self };
        let [batch @ .., n] = &shape[..] else {
            return self.void("diag", ErrorKind::RankTooLow { shape, needed: 1 });
        };
        let rows: Shape = batch.iter().copied().chain([n.saturating_mul(*n)]).collect();
        let matrices: Shape = shape.iter().copied().chain([*n]).collect();
        self.unslice(rows, &along_diagonal(batch, *n, *n)).reshape(matrices)
    }

    /// The sums of the main diagonals of matrices, as of [`Var::diagonal`].
    ///
    /// Shapes: `[.., m, n]` → `[..]`.
    ///
    /// ```math
    /// y = Σ xᵢᵢ,   x̄ᵢᵢ = ȳ
    /// ```
    ///
    /// # Errors
    /// [`RankTooLow`](ErrorKind::RankTooLow).
    ///
    /// Non-smooth points: none.
    #[track_caller]
    pub fn trace(self) -> Self {
        self.diagonal().sum_axes(-1)
    }
}
