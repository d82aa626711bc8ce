//! Sums and extrema over axes, and running sums along one.

use grad_core::extend::{Binary, Shape, Unary};
use ndarray::Axis;

use crate::element::Element;
use crate::error::NdError;
use crate::fold::{Fold, fold_axes};
use crate::strided::memory_order;
use crate::tensor::{NdTensor, Repr, checked, row_major};

impl<A: Element> NdTensor<A> {
    /// The sum over `axes`, which are dropped.
    pub(crate) fn sum_over(&self, op: &'static str, axes: &[usize]) -> Result<Self, NdError> {
        if axes.is_empty() {
            return Ok(self.clone());
        }
        A::reduce(op, Fold::Sum, self, axes)
    }

    /// The mean over `axes`, which are dropped.
    pub(crate) fn mean_over(&self, op: &'static str, axes: &[usize]) -> Result<Self, NdError> {
        let sum = self.sum_over(op, axes)?;
        let n: f64 = axes.iter().map(|&axis| self.shape_slice()[axis] as f64).product();
        A::binary(op, &sum, Binary::Div, &NdTensor::from(A::from_f64(n)))
    }

    /// The largest element over `axes`, which are dropped; NaN where there is one.
    pub(crate) fn max_over(&self, axes: &[usize]) -> Result<Self, NdError> {
        self.extremum("max", axes, Fold::Largest)
    }

    /// The smallest element over `axes`, which are dropped; NaN where there is one.
    pub(crate) fn min_over(&self, axes: &[usize]) -> Result<Self, NdError> {
        self.extremum("min", axes, Fold::Smallest)
    }

    /// The sums of the first 1, 2, … elements along an axis.
    pub(crate) fn running_sum(&self, axis: usize) -> Result<Self, NdError> {
        self.along("cumsum", axis, |data, n, inner| {
            for block in data.chunks_exact_mut(n * inner) {
                let mut sums = vec![0.0; inner];
                block.chunks_exact_mut(inner).for_each(|row| add_up(row, &mut sums));
            }
        })
    }

    /// The sums of the last n, n − 1, … elements along an axis.
    pub(crate) fn reverse_running_sum(&self, axis: usize) -> Result<Self, NdError> {
        self.along("reverse_cumsum", axis, |data, n, inner| {
            for block in data.chunks_exact_mut(n * inner) {
                let mut sums = vec![0.0; inner];
                block.chunks_exact_mut(inner).rev().for_each(|row| add_up(row, &mut sums));
            }
        })
    }

    /// Changes a copy of the row-major elements in place: `f` is given these, their number along an
    /// axis, and that below it.
    pub(crate) fn along(
        &self,
        op: &'static str,
        axis: usize,
        f: impl FnOnce(&mut [A], usize, usize),
    ) -> Result<Self, NdError> {
        let shape = self.shape_slice();
        check_axes(op, &[axis], shape)?;
        if shape.contains(&0) {
            return Ok(self.clone());
        }
        let inner: usize = shape[axis + 1..].iter().product();
        let mut data = self.owned_elements(op)?;
        f(&mut data, shape[axis], inner);
        NdTensor::from_vec(op, shape, data)
    }

    fn extremum(&self, op: &'static str, axes: &[usize], fold: Fold) -> Result<Self, NdError> {
        check_axes(op, axes, self.shape_slice())?;
        let shape = Shape::from(self.shape_slice());
        if axes.iter().any(|&axis| shape[axis] == 0) && !shape.without(axes).contains(&0) {
            return Err(NdError::EmptyReduction { op, shape });
        }
        A::reduce(op, fold, self, axes)
    }
}

/// Combines the elements along `axes`.
pub(crate) fn reduce<A: Element>(
    op: &'static str,
    fold: Fold,
    x: &NdTensor<A>,
    axes: &[usize],
) -> Result<NdTensor<A>, NdError> {
    let shape = x.shape_slice();
    check_axes(op, axes, shape)?;
    if let Repr::Dense { base, .. } = &x.0
        && let Some(order) = memory_order(base)
    {
        let within = (0..order.len()).filter(|&place| axes.contains(&order[place]));
        let within: Vec<usize> = within.collect();
        let reduced = reduce(op, fold, &x.permuted(&order)?, &within)?;
        let kept = order.into_iter().filter(|axis| !axes.contains(axis));
        return reduced.permuted(&ascending(kept.collect()));
    }
    match &x.0 {
        Repr::Fill { value, shape } => {
            let n = axes.iter().map(|&axis| shape[axis]).fold(1, usize::saturating_mul);
            let value = if fold == Fold::Sum && n == 0 { A::ZERO } else { *value };
            repeated(NdTensor::fill(value, checked(op, shape.without(axes))?), fold, n)
        }
        Repr::Dense { base, .. } => {
            // A pending broadcast has the rank of its array, so axes are the same in both.
            let kept = Shape::from(shape).without(axes);
            let sizes = Shape::from(base.shape());
            let copies: usize =
                axes.iter().filter(|&&axis| sizes[axis] == 1).map(|&axis| shape[axis]).product();
            let reduced = if axes.iter().any(|&axis| sizes[axis] != 1) {
                let data = fold_axes(op, fold, &row_major(op, base)?, &sizes, axes)?;
                NdTensor::from_vec(op, &sizes.without(axes), data)?
            } else {
                let mut base = base.clone();
                for axis in (0..sizes.rank()).rev().filter(|axis| axes.contains(axis)) {
                    base.index_axis_inplace(Axis(axis), 0);
                }
                NdTensor::from_base(base)
            };
            Ok(repeated(reduced, fold, copies)?.stretched(kept))
        }
    }
}

/// What `n` equal elements combine to.
fn repeated<A: Element>(x: NdTensor<A>, fold: Fold, n: usize) -> Result<NdTensor<A>, NdError> {
    match fold {
        Fold::Sum if n != 1 => x.unary(Unary::Scale(n as f64)),
        _ => Ok(x),
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

/// The permutation that brings `axes` into ascending order.
fn ascending(axes: Vec<usize>) -> Vec<usize> {
    let mut order: Vec<usize> = (0..axes.len()).collect();
    order.sort_by_key(|&place| axes[place]);
    order
}

/// Axes are in range and without repetition.
pub(crate) fn check_axes(op: &'static str, axes: &[usize], shape: &[usize]) -> Result<(), NdError> {
    let fits = |(i, axis): (usize, &usize)| *axis < shape.len() && !axes[..i].contains(axis);
    match axes.iter().enumerate().all(fits) {
        true => Ok(()),
        false => Err(NdError::BadAxes { op, axes: axes.to_vec(), shape: Shape::from(shape) }),
    }
}
