//! Sums and extrema over axes, in a fixed order.
//!
//! Elements are combined in several lanes and then pairwise, so the rounding error of a sum grows
//! with the logarithm of the number of elements, and the result depends on the shape alone.

use std::borrow::Cow;

use grad_core::extend::Shape;
use ndarray::{Axis, IxDyn};

use crate::element::Element;
use crate::error::NdError;
use crate::tensor::{Base, NdTensor, Repr, checked, row_major};

/// So many elements are combined at once; fills the vector registers of common processors.
const LANES: usize = 8;
/// Longer runs of elements are halved.
const BLOCK: usize = 512;
/// More rows than this are halved.
const ROWS: usize = 32;

impl<A: Element> NdTensor<A> {
    /// The sum over `axes`, which are dropped.
    pub(crate) fn sum_over(&self, op: &'static str, axes: &[usize]) -> Result<Self, NdError> {
        if axes.is_empty() {
            return Ok(self.clone());
        }
        self.reduce(op, axes, |x, y| x + y, |x, n| if n == 0 { A::ZERO } else { x * times(n) })
    }

    /// The mean over `axes`, which are dropped.
    pub(crate) fn mean_over(&self, op: &'static str, axes: &[usize]) -> Result<Self, NdError> {
        let sum = self.sum_over(op, axes)?;
        let n: f64 = axes.iter().map(|&axis| self.shape_slice()[axis] as f64).product();
        sum.map(op, |x| x / A::from_f64(n))
    }

    /// The largest element over `axes`, which are dropped; NaN where there is one.
    pub(crate) fn max_over(&self, axes: &[usize]) -> Result<Self, NdError> {
        self.extremum("max", axes, |x, y| if y > x || y.is_nan() { y } else { x })
    }

    /// The smallest element over `axes`, which are dropped; NaN where there is one.
    pub(crate) fn min_over(&self, axes: &[usize]) -> Result<Self, NdError> {
        self.extremum("min", axes, |x, y| if y < x || y.is_nan() { y } else { x })
    }

    /// The sums of the first 1, 2, … elements along an axis.
    pub(crate) fn running_sum(&self, axis: usize) -> Result<Self, NdError> {
        self.along("cumsum", axis, |block, inner| {
            let mut sums = vec![0.0; inner];
            block.chunks_exact_mut(inner).for_each(|row| add_up(row, &mut sums));
        })
    }

    /// The sums of the last n, n − 1, … elements along an axis.
    pub(crate) fn reverse_running_sum(&self, axis: usize) -> Result<Self, NdError> {
        self.along("reverse_cumsum", axis, |block, inner| {
            let mut sums = vec![0.0; inner];
            block.chunks_exact_mut(inner).rev().for_each(|row| add_up(row, &mut sums));
        })
    }

    /// `eˣ / Σ eˣ` along an axis; infinities share the sum of 1.
    pub(crate) fn softmaxed(&self, axis: usize) -> Result<Self, NdError> {
        self.along("softmax", axis, |block, inner| {
            subtract_largest(block, inner);
            block.iter_mut().for_each(|x| *x = x.exp());
            let sums = column_sums(block, inner, Element::to_f64);
            for row in block.chunks_exact_mut(inner) {
                row.iter_mut().zip(&sums).for_each(|(x, &sum)| *x /= A::from_f64(sum));
            }
        })
    }

    /// The logarithm of [`NdTensor::softmaxed`].
    pub(crate) fn log_softmaxed(&self, axis: usize) -> Result<Self, NdError> {
        self.along("log_softmax", axis, |block, inner| {
            subtract_largest(block, inner);
            let mut sums = column_sums(block, inner, |x| x.exp().to_f64());
            sums.iter_mut().for_each(|sum| *sum = sum.ln());
            for row in block.chunks_exact_mut(inner) {
                row.iter_mut().zip(&sums).for_each(|(x, &ln)| *x -= A::from_f64(ln));
            }
        })
    }

    /// Calls `f` with each block of the rows along an axis, of `inner` elements each, to be changed
    /// in place.
    fn along(
        &self,
        op: &'static str,
        axis: usize,
        f: impl Fn(&mut [A], usize),
    ) -> Result<Self, NdError> {
        let shape = self.shape_slice();
        check_axes(op, &[axis], shape)?;
        if shape.contains(&0) {
            return Ok(self.clone());
        }
        let inner: usize = shape[axis + 1..].iter().product();
        let mut data = self.elements(op)?.into_owned();
        data.chunks_exact_mut(shape[axis] * inner).for_each(|block| f(block, inner));
        NdTensor::from_vec(op, shape, data)
    }

    fn extremum(
        &self,
        op: &'static str,
        axes: &[usize],
        pick: impl Fn(A, A) -> A + Copy,
    ) -> Result<Self, NdError> {
        check_axes(op, axes, self.shape_slice())?;
        let shape = Shape::from(self.shape_slice());
        if axes.iter().any(|&axis| shape[axis] == 0) && !shape.without(axes).contains(&0) {
            return Err(NdError::EmptyReduction { op, shape });
        }
        self.reduce(op, axes, pick, |x, _| x)
    }

    /// Combines the elements along `axes`; `repeat` says what `n` equal elements combine to.
    fn reduce(
        &self,
        op: &'static str,
        axes: &[usize],
        combine: impl Fn(A, A) -> A + Copy,
        repeat: impl Fn(A, usize) -> A + Copy,
    ) -> Result<Self, NdError> {
        let shape = self.shape_slice();
        check_axes(op, axes, shape)?;
        if let Repr::Dense { base, .. } = &self.0
            && let Some(order) = memory_order(base)
        {
            let within = (0..order.len()).filter(|&place| axes.contains(&order[place]));
            let within: Vec<usize> = within.collect();
            let reduced = self.permuted(&order)?.reduce(op, &within, combine, repeat)?;
            let kept = order.into_iter().filter(|axis| !axes.contains(axis));
            return reduced.permuted(&ascending(kept.collect()));
        }
        match &self.0 {
            Repr::Fill { value, shape } => {
                let n = axes.iter().map(|&axis| shape[axis]).fold(1, usize::saturating_mul);
                Ok(NdTensor::fill(repeat(*value, n), checked(op, shape.without(axes))?))
            }
            Repr::Dense { base, .. } => {
                // A pending broadcast has the rank of its array, so axes are the same in both.
                let kept = Shape::from(shape).without(axes);
                let sizes = Shape::from(base.shape());
                let copies: usize = axes
                    .iter()
                    .filter(|&&axis| sizes[axis] == 1)
                    .map(|&axis| shape[axis])
                    .product();
                let reduced = if axes.iter().any(|&axis| sizes[axis] != 1) {
                    let data = fold_axes(&row_major(op, base)?, &sizes, axes, combine);
                    NdTensor::from_vec(op, &sizes.without(axes), data)?
                } else {
                    let mut base = base.clone();
                    for axis in (0..sizes.rank()).rev().filter(|axis| axes.contains(axis)) {
                        base.index_axis_inplace(Axis(axis), 0);
                    }
                    NdTensor::from_base(base)
                };
                let repeated = match copies {
                    1 => reduced,
                    n => reduced.map(op, |x| repeat(x, n))?,
                };
                Ok(repeated.stretched(kept))
            }
        }
    }
}

/// Adds a row to sums, and makes it these.
fn add_up<A: Element>(row: &mut [A], sums: &mut [f64]) {
    // In double precision: the error of a running sum grows with its length.
    for (x, sum) in row.iter_mut().zip(sums) {
        *sum += x.to_f64();
        *x = A::from_f64(*sum);
    }
}

/// Subtracts from each column its largest element; what equals it becomes 0, even if infinite.
fn subtract_largest<A: Element>(block: &mut [A], inner: usize) {
    let larger = |x: A, y: A| if y > x || y.is_nan() { y } else { x };
    let largest = fold_rows(block, inner, larger);
    for row in block.chunks_exact_mut(inner) {
        for (x, &max) in row.iter_mut().zip(&largest) {
            *x = if *x == max { A::ZERO } else { *x - max };
        }
    }
}

/// The sum of `f` over each column, in double precision.
fn column_sums<A: Element>(block: &[A], inner: usize, f: impl Fn(A) -> f64) -> Vec<f64> {
    let mut sums = vec![0.0; inner];
    for row in block.chunks_exact(inner) {
        sums.iter_mut().zip(row).for_each(|(sum, &x)| *sum += f(x));
    }
    sums
}

/// The order of axes in which the elements of `base` are row-major, if there is one and it is not
/// the order they are in.
fn memory_order<A: Element>(base: &Base<A>) -> Option<Vec<usize>> {
    if base.is_standard_layout() {
        return None;
    }
    let mut order: Vec<usize> = (0..base.ndim()).collect();
    order.sort_by_key(|&axis| std::cmp::Reverse(base.strides()[axis]));
    base.view().permuted_axes(IxDyn(&order)).is_standard_layout().then_some(order)
}

/// The permutation that brings `axes` into ascending order.
fn ascending(axes: Vec<usize>) -> Vec<usize> {
    let mut order: Vec<usize> = (0..axes.len()).collect();
    order.sort_by_key(|&place| axes[place]);
    order
}

/// A number of elements as a factor.
fn times<A: Element>(n: usize) -> A {
    A::from_f64(n as f64)
}

/// Axes are in range and without repetition.
pub(crate) fn check_axes(op: &'static str, axes: &[usize], shape: &[usize]) -> Result<(), NdError> {
    let fits = |(i, axis): (usize, &usize)| *axis < shape.len() && !axes[..i].contains(axis);
    match axes.iter().enumerate().all(fits) {
        true => Ok(()),
        false => Err(NdError::BadAxes { op, axes: axes.to_vec(), shape: Shape::from(shape) }),
    }
}

/// Combines the row-major elements `data` of shape `sizes`, none of them 0, along `axes`.
fn fold_axes<A: Element>(
    data: &[A],
    sizes: &[usize],
    axes: &[usize],
    combine: impl Fn(A, A) -> A + Copy,
) -> Vec<A> {
    let mut data = Cow::Borrowed(data);
    // The axes that are not dealt with yet, and the number of elements below them.
    let (mut rank, mut inner) = (sizes.len(), 1);
    while rank > 0 {
        let is_reduced = |axis: usize| axes.contains(&axis);
        if !is_reduced(rank - 1) {
            rank -= 1;
            inner *= sizes[rank];
            continue;
        }
        let mut n = 1;
        while rank > 0 && is_reduced(rank - 1) {
            rank -= 1;
            n *= sizes[rank];
        }
        let chunks = data.chunks_exact(n * inner);
        data = Cow::Owned(match inner {
            1 => chunks.map(|chunk| fold_slice(chunk, combine)).collect(),
            _ => chunks.flat_map(|rows| fold_rows(rows, inner, combine)).collect(),
        });
    }
    data.into_owned()
}

/// Combines the elements of a slice, which is not empty.
fn fold_slice<A: Element>(x: &[A], combine: impl Fn(A, A) -> A + Copy) -> A {
    if x.len() > BLOCK {
        let (left, right) = x.split_at((x.len() / 2).next_multiple_of(BLOCK));
        return combine(fold_slice(left, combine), fold_slice(right, combine));
    }
    let (chunks, rest) = x.as_chunks::<LANES>();
    let rest = rest.iter().copied().reduce(combine);
    let Some((first, chunks)) = chunks.split_first() else {
        return rest.unwrap_or(A::ZERO);
    };
    let mut lanes = *first;
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane = combine(*lane, x);
        }
    }
    let [a, b, c, d, e, f, g, h] = lanes;
    let even = combine(combine(a, e), combine(c, g));
    let odd = combine(combine(b, f), combine(d, h));
    let whole = combine(even, odd);
    rest.map_or(whole, |rest| combine(whole, rest))
}

/// Combines rows of `width` elements into one, column by column; there is at least one row.
fn fold_rows<A: Element>(rows: &[A], width: usize, combine: impl Fn(A, A) -> A + Copy) -> Vec<A> {
    let n_rows = rows.len() / width;
    let into = |left: &mut [A], right: &[A]| {
        left.iter_mut().zip(right).for_each(|(x, &y)| *x = combine(*x, y));
    };
    if n_rows > ROWS {
        let (left, right) = rows.split_at((n_rows / 2).next_multiple_of(ROWS) * width);
        let mut left = fold_rows(left, width, combine);
        into(&mut left, &fold_rows(right, width, combine));
        return left;
    }
    let (first, others) = rows.split_at(width);
    let mut folded = first.to_vec();
    others.chunks_exact(width).for_each(|row| into(&mut folded, row));
    folded
}
