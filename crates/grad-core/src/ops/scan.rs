//! Sums and products of more and more elements, and products of all of them.
//!
//! Products are trees of multiplications, which have their true derivatives of any order where
//! elements are zero; the shorter rule `y / x` has not.

use super::reduce::Over;
use crate::ground::{Axes, ErrorKind, Shape, Slice, TensorLike, call};
use crate::kinds::{ByTranspose, Linear};
use crate::tape::{Primal, Reach, Var};

#[derive(Clone)]
struct CumSum {
    axis: usize,
    /// From the end of the axis: the transposed map.
    reverse: bool,
}

impl Linear for CumSum {
    const NAME: &'static str = "cumsum";

    fn shape(&self, x: &Shape) -> Result<Shape, ErrorKind> {
        Ok(x.clone())
    }

    fn forward<T: TensorLike>(&self, x: &T) -> Result<T, T::Error> {
        match self.reverse {
            false => x.cumsum(self.axis),
            true => x.reverse_cumsum(self.axis),
        }
    }

    fn transpose<'t, T: TensorLike>(&self, _: &Primal<'t, T>, ct: Var<'t, T>) -> Var<'t, T> {
        ct.with(ByTranspose::new(CumSum { axis: self.axis, reverse: !self.reverse }))
    }

    fn batched<'t, T: TensorLike>(&self, _: &Primal<'t, T>, t: Var<'t, T>) -> Option<Var<'t, T>> {
        Some(t.with(ByTranspose::new(CumSum { axis: self.axis + 1, reverse: self.reverse })))
    }

    fn reach(&self) -> Reach {
        Reach::Rule { total: true }
    }

    fn format(&self, x: &[&str]) -> String {
        let name = if self.reverse { "reverse_cumsum" } else { "cumsum" };
        call(name, x, &self.axis.to_string())
    }
}

impl<'t, T: TensorLike> Var<'t, T> {
    /// The sums of the first 1, 2, … elements along `axis`: `yᵢ = Σ_{j≤i} xⱼ`.
    ///
    /// Shapes: unchanged.
    ///
    /// ```math
    /// x̄ᵢ = Σ_{j≥i} ȳⱼ,   ẏ = cumsum(ẋ)
    /// ```
    ///
    /// # Errors
    /// [`AxisOutOfRange`](ErrorKind::AxisOutOfRange); a scalar has no axis.
    ///
    /// Non-smooth points: none.
    #[track_caller]
    pub fn cumsum(self, axis: isize) -> Self {
        let Ok(shape) = self.shape() else { return self };
        match Axes::from(axis).resolve(shape.rank()) {
            Ok(axes) => self.with(ByTranspose::new(CumSum { axis: axes[0], reverse: false })),
            Err(kind) => self.void("cumsum", kind),
        }
    }

    /// The products of the first 1, 2, … elements along `axis`: `yᵢ = Π_{j≤i} xⱼ`.
    ///
    /// A scan of log₂ n multiplications, so its derivatives of any order are true ones where
    /// elements are zero.
    ///
    /// Shapes: unchanged.
    ///
    /// ```math
    /// x̄ₖ = Σ_{i≥k} ȳᵢ Π_{j≤i, j≠k} xⱼ
    /// ```
    ///
    /// # Errors
    /// [`AxisOutOfRange`](ErrorKind::AxisOutOfRange); a scalar has no axis.
    ///
    /// Non-smooth points: none. Follows IEEE 754: `0 · ∞` is NaN.
    /// Source: Hillis and Steele (1986), "Data parallel algorithms", the partial sums.
    #[track_caller]
    pub fn cumprod(self, axis: isize) -> Self {
        let Ok(shape) = self.shape() else { return self };
        let axis = match Axes::from(axis).resolve(shape.rank()) {
            Ok(axes) => axes[0],
            Err(kind) => return self.void("cumprod", kind),
        };
        let n = shape[axis];
        let part = |start, stop| {
            let mut slices: Vec<Slice> = shape.iter().map(|&n| Slice::all(n)).collect();
            slices[axis] = Slice { start, stop, step: 1 };
            slices
        };
        // After steps 1, 2, .., 2ᵏ each element is the product of the last 2ᵏ⁺¹ up to it.
        let (mut y, mut step) = (self.reshape(&shape), 1);
        while step < n {
            let done = y.slice(&part(0, step)).unslice(&shape, &part(0, step));
            let more = y.slice(&part(step, n)) * y.slice(&part(0, n - step));
            y = done + more.unslice(&shape, &part(step, n));
            step *= 2;
        }
        y
    }

    /// The product of all elements.
    ///
    /// A tree of log₂ n multiplications, so its derivatives of any order are true ones where
    /// elements are zero.
    ///
    /// Shapes: any → `[]`. Over no elements it is 1.
    ///
    /// ```math
    /// x̄ₖ = ȳ Π_{j≠k} xⱼ
    /// ```
    ///
    /// Errors: none. Non-smooth points: none. Follows IEEE 754: `0 · ∞` is NaN.
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// assert_eq!(tape.var(2.0).prod().item()?, 2.0);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn prod(self) -> Self {
        self.prod_over(&Over::ALL)
    }

    /// The product over `axes`, which are dropped; over no axes (`[]`), the tensor itself.
    ///
    /// Formula and zeros: as [`Var::prod`].
    ///
    /// # Errors
    /// [`AxisOutOfRange`](ErrorKind::AxisOutOfRange), [`RepeatedAxis`](ErrorKind::RepeatedAxis).
    #[track_caller]
    pub fn prod_axes(self, axes: impl Into<Axes>) -> Self {
        match self.over(axes, false) {
            Ok(over) => self.prod_over(&over),
            Err(kind) => self.void("prod", kind),
        }
    }

    /// [`Var::prod_axes`], but the axes stay with size 1.
    #[track_caller]
    pub fn prod_keepdim(self, axes: impl Into<Axes>) -> Self {
        match self.over(axes, true) {
            Ok(over) => self.prod_over(&over),
            Err(kind) => self.void("prod", kind),
        }
    }

    #[track_caller]
    fn prod_over(self, over: &Over) -> Self {
        let Ok(shape) = self.shape() else { return self };
        let mut y = self;
        for &axis in &over.axes(shape.rank()) {
            y = y.prod_along(axis as isize, shape[axis]);
        }
        y.reshape(over.shape(&shape))
    }

    /// The product along an axis of size n, which stays with size 1.
    #[track_caller]
    fn prod_along(self, axis: isize, mut n: usize) -> Self {
        if n == 0 {
            return self.sum_keepdim(axis) + 1.0;
        }
        let (mut y, mut odd) = (self, None);
        while n > 1 {
            if n % 2 == 1 {
                let last = y.narrow(axis, n - 1, 1);
                odd = Some(match odd {
                    Some(odd) => odd * last,
                    None => last,
                });
            }
            n /= 2;
            y = y.narrow(axis, 0, n) * y.narrow(axis, n, n);
        }
        match odd {
            Some(odd) => y * odd,
            None => y,
        }
    }
}
