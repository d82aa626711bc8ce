//! Functions that candle lacks or has otherwise, in one pass over the memory of the CPU.
//!
//! Candle's comparisons give bytes, its `where_cond` takes bytes, its `maximum`, `relu` and `max`
//! lose NaN, its `pow` is exp(y ln x), its `round` takes halves away from zero, its `erf` and its
//! `cumsum` lose digits, and its sums round to the dtype after every addition.

use std::marker::PhantomData;

use candle_core::cpu_backend::{Map1, Map2, unary_map};
use candle_core::{
    CpuStorage, CustomOp1, CustomOp2, CustomOp3, Error, Layout, NdIter, Result, Shape, WithDType,
};
use grad_core::extend::{normal_cdf, normal_cdf_tanh};

/// A function of two numbers, applied to the elements of two tensors of one shape.
pub(crate) trait Function2 {
    /// What errors call it.
    const NAME: &'static str;

    /// The value at `(x, y)`.
    fn of<T: WithDType>(x: T, y: T) -> T;
}

macro_rules! function2 {
    ($(#[$doc:meta])* $name:ident, |$x:ident, $y:ident| $value:expr) => {
        $(#[$doc])*
        pub(crate) struct $name;

        impl Function2 for $name {
            const NAME: &'static str = stringify!($name);

            #[inline(always)]
            fn of<T: WithDType>($x: T, $y: T) -> T {
                $value
            }
        }
    };
}

function2!(/** x + y. */ Add, |x, y| x + y);
function2!(/** x − y. */ Sub, |x, y| x - y);
function2!(/** x · y. */ Mul, |x, y| x * y);
function2!(/** x / y. */ Div, |x, y| x / y);
function2!(/** 1 where x < y. */ Lt, |x, y| mask(x < y));
function2!(/** 1 where x ≤ y. */ Le, |x, y| mask(x <= y));
function2!(/** 1 where x = y. */ Eq, |x, y| mask(x == y));
function2!(/** 1 where x ≠ y. */ Ne, |x, y| mask(x != y));
function2!(/** The larger, or NaN. */ Maximum, |x, y| if x < y || is_nan(y) { y } else { x });
function2!(/** The smaller, or NaN. */ Minimum, |x, y| if y < x || is_nan(y) { y } else { x });
function2!(/** x · y, but 0 where x = 0. */ MulOrZero, |x, y| {
    if x == T::zero() { T::zero() } else { x * y }
});
function2!(/** xʸ as in C, computed in double precision. */ Pow, |x, y| {
    T::from_f64(x.to_f64().powf(y.to_f64()))
});
function2!(/** The angle of (y, x) as in C, computed in double precision. */ Atan2, |y, x| {
    T::from_f64(y.to_f64().atan2(x.to_f64()))
});

#[inline(always)]
fn mask<T: WithDType>(condition: bool) -> T {
    if condition { T::one() } else { T::zero() }
}

#[inline(always)]
fn is_nan<T: WithDType>(x: T) -> bool {
    x.partial_cmp(&x).is_none()
}

/// Applies a [`Function2`].
pub(crate) struct Apply2<F>(pub(crate) PhantomData<F>);

impl<F: Function2> Map2 for Apply2<F> {
    const OP: &'static str = F::NAME;

    fn f<T: WithDType>(&self, xs: &[T], x_l: &Layout, ys: &[T], y_l: &Layout) -> Result<Vec<T>> {
        if let (Some((x0, x1)), Some((y0, y1))) =
            (x_l.contiguous_offsets(), y_l.contiguous_offsets())
        {
            return Ok(xs[x0..x1].iter().zip(&ys[y0..y1]).map(|(&x, &y)| F::of(x, y)).collect());
        }
        let mut out = Vec::with_capacity(x_l.shape().elem_count());
        let blocks = NdIter::new([x_l, y_l]);
        let (n, [x_step, y_step]) = (blocks.inner_size, blocks.inner_strides);
        for [x0, y0] in blocks {
            match (x_step, y_step) {
                (1, 1) => {
                    let pairs = xs[x0..x0 + n].iter().zip(&ys[y0..y0 + n]);
                    out.extend(pairs.map(|(&x, &y)| F::of(x, y)));
                }
                (1, 0) => out.extend(xs[x0..x0 + n].iter().map(|&x| F::of(x, ys[y0]))),
                (0, 1) => out.extend(ys[y0..y0 + n].iter().map(|&y| F::of(xs[x0], y))),
                _ => out.extend((0..n).map(|i| F::of(xs[x0 + i * x_step], ys[y0 + i * y_step]))),
            }
        }
        Ok(out)
    }
}

impl<F: Function2> CustomOp2 for Apply2<F> {
    fn name(&self) -> &'static str {
        F::NAME
    }

    fn cpu_fwd(
        &self,
        xs: &CpuStorage,
        x_l: &Layout,
        ys: &CpuStorage,
        y_l: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        Ok((self.map(xs, x_l, ys, y_l)?, x_l.shape().clone()))
    }
}

/// `a` where the mask is not 0, else `b`; all of one shape and dtype.
pub(crate) struct Select;

impl CustomOp3 for Select {
    fn name(&self) -> &'static str {
        "Select"
    }

    fn cpu_fwd(
        &self,
        mask: &CpuStorage,
        mask_l: &Layout,
        a: &CpuStorage,
        a_l: &Layout,
        b: &CpuStorage,
        b_l: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        Ok((SelectBy(mask, mask_l).map(a, a_l, b, b_l)?, mask_l.shape().clone()))
    }
}

struct SelectBy<'a>(&'a CpuStorage, &'a Layout);

impl Map2 for SelectBy<'_> {
    const OP: &'static str = "Select";

    fn f<T: WithDType>(&self, a: &[T], a_l: &Layout, b: &[T], b_l: &Layout) -> Result<Vec<T>> {
        let mask = T::cpu_storage_as_slice(self.0)?;
        let mut out = Vec::with_capacity(self.1.shape().elem_count());
        let blocks = NdIter::new([self.1, a_l, b_l]);
        let (n, [mask_step, a_step, b_step]) = (blocks.inner_size, blocks.inner_strides);
        for [mask_at, a_at, b_at] in blocks {
            out.extend((0..n).map(|i| {
                let take_a = mask[mask_at + i * mask_step] != T::zero();
                if take_a { a[a_at + i * a_step] } else { b[b_at + i * b_step] }
            }));
        }
        Ok(out)
    }
}

/// A function of one number, applied to the elements of a tensor.
pub(crate) trait Function1 {
    /// What errors call it.
    const NAME: &'static str;

    /// The value at `x`.
    fn of<T: WithDType>(x: T) -> T;
}

macro_rules! function1 {
    ($(#[$doc:meta])* $name:ident, |$x:ident| $value:expr) => {
        $(#[$doc])*
        pub(crate) struct $name;

        impl Function1 for $name {
            const NAME: &'static str = stringify!($name);

            #[inline(always)]
            fn of<T: WithDType>($x: T) -> T {
                $value
            }
        }
    };
}

/// A function that is computed in double precision, whatever the dtype.
macro_rules! in_f64 {
    ($($name:ident: $function:expr;)*) => {
        $(function1!(/** In double precision, rounded once. */ $name, |x| {
            T::from_f64($function(x.to_f64()))
        });)*
    };
}

function1!(/** `max(x, 0)`, or NaN. */ Relu, |x| if x < T::zero() { T::zero() } else { x });
in_f64! {
    Expm1: f64::exp_m1;
    Exp2: f64::exp2;
    Log2: f64::log2;
    Log10: f64::log10;
    Log1p: f64::ln_1p;
    Tan: f64::tan;
    Asin: f64::asin;
    Acos: f64::acos;
    Atan: f64::atan;
    Sinh: f64::sinh;
    Cosh: f64::cosh;
    // The standard library's inverses lose digits, and it has no error function.
    Asinh: libm::asinh;
    Acosh: libm::acosh;
    Atanh: libm::atanh;
    Erf: libm::erf;
    NormalCdf: normal_cdf;
    NormalCdfTanh: normal_cdf_tanh;
    LogisticDensity: |x: f64| {
        let e = (-x.abs()).exp();
        e / ((1.0 + e) * (1.0 + e))
    };
    Round: f64::round_ties_even;
    Trunc: f64::trunc;
    Rsqrt: |x: f64| 1.0 / x.sqrt();
    Sigmoid: |x: f64| {
        let e = (-x.abs()).exp();
        (if x < 0.0 { e } else { 1.0 }) / (e + 1.0)
    };
    Softplus: |x: f64| (if x < 0.0 { 0.0 } else { x }) + (-x.abs()).exp().ln_1p();
}

/// Applies a [`Function1`].
pub(crate) struct Apply1<F>(pub(crate) PhantomData<F>);

impl<F: Function1> Map1 for Apply1<F> {
    fn f<T: WithDType>(&self, xs: &[T], layout: &Layout) -> Result<Vec<T>> {
        Ok(unary_map(xs, layout, F::of))
    }
}

impl<F: Function1> CustomOp1 for Apply1<F> {
    fn name(&self) -> &'static str {
        F::NAME
    }

    fn cpu_fwd(&self, xs: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        Ok((self.map(xs, layout)?, layout.shape().clone()))
    }
}

/// A function of the lines along the middle axis of a contiguous `[.., n, inner]`, in double
/// precision; `n` and `inner` are not 0.
pub(crate) struct Lines {
    /// What errors call it.
    pub(crate) name: &'static str,
    /// Replaces a line by the value of the function.
    pub(crate) f: fn(&mut [f64]),
    /// The size of the axis.
    pub(crate) n: usize,
    /// The number of elements between neighbors on the axis.
    pub(crate) inner: usize,
}

impl Map1 for Lines {
    fn f<T: WithDType>(&self, xs: &[T], layout: &Layout) -> Result<Vec<T>> {
        let Some((start, stop)) = layout.contiguous_offsets() else {
            return Err(Error::RequiresContiguous { op: self.name });
        };
        let mut out = xs[start..stop].to_vec();
        let mut line = vec![0.0; self.n];
        for block in out.chunks_exact_mut(self.n * self.inner) {
            for first in 0..self.inner {
                let column = block[first..].iter().step_by(self.inner);
                line.iter_mut().zip(column).for_each(|(to, x)| *to = x.to_f64());
                (self.f)(&mut line);
                let column = block[first..].iter_mut().step_by(self.inner);
                column.zip(&line).for_each(|(to, &x)| *to = T::from_f64(x));
            }
        }
        Ok(out)
    }
}

impl CustomOp1 for Lines {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(&self, xs: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        Ok((self.map(xs, layout)?, layout.shape().clone()))
    }
}

/// A reduction of the middle axis of a contiguous `[.., n, inner]`; `n` and `inner` are not 0.
pub(crate) struct Reduce<F> {
    /// What the elements are folded with.
    pub(crate) fold: F,
    /// The size of the axis.
    pub(crate) n: usize,
    /// The number of elements between neighbors on the axis.
    pub(crate) inner: usize,
    /// The shape of the result.
    pub(crate) out: Shape,
}

/// A way to fold many numbers into one.
pub(crate) trait Fold {
    /// What errors call it.
    const NAME: &'static str;

    /// Folds `row`, which is not empty.
    fn row<T: WithDType>(&self, row: &[T]) -> T;

    /// Folds the rows of `block`, of `inner` elements each, column by column.
    fn columns<T: WithDType>(&self, block: &[T], inner: usize, out: &mut Vec<T>);
}

/// The sum divided by a number, accumulated in double precision and rounded once.
pub(crate) struct Sum {
    /// 1 for a sum, the number of elements for a mean.
    pub(crate) divisor: f64,
}

impl Fold for Sum {
    const NAME: &'static str = "Sum";

    fn row<T: WithDType>(&self, row: &[T]) -> T {
        // Eight independent sums: one alone would wait for each addition.
        let (chunks, rest) = row.as_chunks::<8>();
        let mut lanes = [0.0; 8];
        for chunk in chunks {
            for (lane, x) in lanes.iter_mut().zip(chunk) {
                *lane += x.to_f64();
            }
        }
        let rest: f64 = rest.iter().map(|x| x.to_f64()).sum();
        T::from_f64((lanes.iter().sum::<f64>() + rest) / self.divisor)
    }

    fn columns<T: WithDType>(&self, block: &[T], inner: usize, out: &mut Vec<T>) {
        let mut sums = vec![0.0; inner];
        for row in block.chunks_exact(inner) {
            for (sum, x) in sums.iter_mut().zip(row) {
                *sum += x.to_f64();
            }
        }
        out.extend(sums.iter().map(|sum| T::from_f64(sum / self.divisor)));
    }
}

impl Fold for Maximum {
    const NAME: &'static str = "Max";

    fn row<T: WithDType>(&self, row: &[T]) -> T {
        extreme_of_row::<Self, T>(row)
    }

    fn columns<T: WithDType>(&self, block: &[T], inner: usize, out: &mut Vec<T>) {
        extreme_of_columns::<Self, T>(block, inner, out);
    }
}

impl Fold for Minimum {
    const NAME: &'static str = "Min";

    fn row<T: WithDType>(&self, row: &[T]) -> T {
        extreme_of_row::<Self, T>(row)
    }

    fn columns<T: WithDType>(&self, block: &[T], inner: usize, out: &mut Vec<T>) {
        extreme_of_columns::<Self, T>(block, inner, out);
    }
}

fn extreme_of_row<F: Function2, T: WithDType>(row: &[T]) -> T {
    // Eight independent extremes, as for the sum.
    let (chunks, rest) = row.as_chunks::<8>();
    let mut lanes = chunks.first().copied().unwrap_or([row[0]; 8]);
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane = F::of(*lane, x);
        }
    }
    lanes.iter().chain(rest).fold(row[0], |extreme, &x| F::of(extreme, x))
}

fn extreme_of_columns<F: Function2, T: WithDType>(block: &[T], inner: usize, out: &mut Vec<T>) {
    let start = out.len();
    let (first, others) = block.split_at(inner);
    out.extend_from_slice(first);
    for row in others.chunks_exact(inner) {
        for (extreme, &x) in out[start..].iter_mut().zip(row) {
            *extreme = F::of(*extreme, x);
        }
    }
}

impl<F: Fold> Map1 for Reduce<F> {
    fn f<T: WithDType>(&self, xs: &[T], layout: &Layout) -> Result<Vec<T>> {
        let Some((start, stop)) = layout.contiguous_offsets() else {
            return Err(Error::RequiresContiguous { op: F::NAME });
        };
        let blocks = xs[start..stop].chunks_exact(self.n * self.inner);
        if self.inner == 1 {
            return Ok(blocks.map(|row| self.fold.row(row)).collect());
        }
        let mut out = Vec::with_capacity(self.out.elem_count());
        for block in blocks {
            self.fold.columns(block, self.inner, &mut out);
        }
        Ok(out)
    }
}

impl<F: Fold> CustomOp1 for Reduce<F> {
    fn name(&self) -> &'static str {
        F::NAME
    }

    fn cpu_fwd(&self, xs: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        Ok((self.map(xs, layout)?, self.out.clone()))
    }
}
