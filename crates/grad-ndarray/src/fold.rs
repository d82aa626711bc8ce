//! Combining many elements into few, in a fixed order.
//!
//! Runs of elements are combined in several lanes at once, and the results in the same way again,
//! until one is left. So the rounding error of a sum grows with the logarithm of the number of
//! elements, and the result depends on the shape alone, not on the instructions.

use std::borrow::Cow;

use crate::element::Element;
use crate::error::NdError;
use crate::simd::{Zip, dispatch};
use crate::tensor::buffer;
use crate::threads;

/// So many elements are combined at once: enough to keep the processor busy while an addition waits
/// for the one before.
const LANES: usize = 32;
/// So many elements make a run; longer ones are divided.
const RUN: usize = 1024;
/// So many rows make a run.
const ROWS: usize = 32;
/// So many columns of the rows of a run are combined before the next: they stay in the cache.
const COLUMNS: usize = 1024;

/// What elements are combined to.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fold {
    Sum,
    Largest,
    Smallest,
}

/// The larger of two; NaN where either is.
#[inline(always)]
pub(crate) fn larger<A: Element>(x: A, y: A) -> A {
    // Not one `if` with `||`, which would be a branch.
    let larger = if y > x { y } else { x };
    if y.is_nan() { y } else { larger }
}

/// The smaller of two; NaN where either is.
#[inline(always)]
pub(crate) fn smaller<A: Element>(x: A, y: A) -> A {
    let smaller = if y < x { y } else { x };
    if y.is_nan() { y } else { smaller }
}

/// Combines the row-major elements `data` of shape `sizes`, none of them 0, along `axes`.
pub(crate) fn fold_axes<A: Element>(
    op: &'static str,
    fold: Fold,
    data: &[A],
    sizes: &[usize],
    axes: &[usize],
) -> Result<Vec<A>, NdError> {
    match fold {
        Fold::Sum => combine_axes(op, |x, y| x + y, data, sizes, axes),
        Fold::Largest => combine_axes(op, larger, data, sizes, axes),
        Fold::Smallest => combine_axes(op, smaller, data, sizes, axes),
    }
}

fn combine_axes<A: Element>(
    op: &'static str,
    combine: impl Zip<A>,
    data: &[A],
    sizes: &[usize],
    axes: &[usize],
) -> Result<Vec<A>, NdError> {
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
        while n > 1 {
            let n_runs = n.div_ceil(if inner == 1 { RUN } else { ROWS });
            let mut folded = buffer(op, &[data.len() / n * n_runs])?;
            match inner {
                1 => fold_runs(combine, &data, n, &mut folded),
                _ => fold_rows(combine, &data, n, inner, &mut folded),
            }
            data = Cow::Owned(folded);
            n = n_runs;
        }
    }
    Ok(data.into_owned())
}

/// Combines each [`RUN`] of each `n` elements.
fn fold_runs<A: Element>(combine: impl Zip<A>, data: &[A], n: usize, folded: &mut [A]) {
    let n_runs = n.div_ceil(RUN);
    threads::parts(folded, 1, RUN.min(n), |from, folded| {
        dispatch(
            #[inline(always)]
            || {
                for (run, y) in (from..).zip(&mut *folded) {
                    let chunk = &data[run / n_runs * n..][..n];
                    let start = run % n_runs * RUN;
                    *y = fold_run(combine, &chunk[start..n.min(start + RUN)]);
                }
            },
        );
    });
}

/// Combines each [`ROWS`] of each `n` rows of `width` elements, column by column.
fn fold_rows<A: Element>(
    combine: impl Zip<A>,
    data: &[A],
    n: usize,
    width: usize,
    folded: &mut [A],
) {
    let n_runs = n.div_ceil(ROWS);
    threads::parts(folded, width, ROWS.min(n), |from, folded| {
        dispatch(
            #[inline(always)]
            || {
                for (run, folded) in (from / width..).zip(folded.chunks_exact_mut(width)) {
                    let rows = &data[run / n_runs * n * width..][..n * width];
                    let start = run % n_runs * ROWS;
                    let end = n.min(start + ROWS);
                    fold_into(combine, &rows[start * width..end * width], folded);
                }
            },
        );
    });
}

/// Combines the elements of a slice, in lanes; zero if there are none.
#[inline(always)]
pub(crate) fn fold_run<A: Element>(combine: impl Zip<A>, x: &[A]) -> A {
    let (chunks, rest) = x.as_chunks::<LANES>();
    let rest = rest.iter().copied().reduce(combine);
    let Some((&first, chunks)) = chunks.split_first() else {
        return rest.unwrap_or(A::ZERO);
    };
    let mut lanes = first;
    for chunk in chunks {
        lanes.iter_mut().zip(chunk).for_each(|(lane, &x)| *lane = combine(*lane, x));
    }
    let mut width = LANES / 2;
    while width > 0 {
        let (left, right) = lanes.split_at_mut(width);
        left.iter_mut().zip(&*right).for_each(|(x, &y)| *x = combine(*x, y));
        width /= 2;
    }
    rest.map_or(lanes[0], |rest| combine(lanes[0], rest))
}

/// Combines rows, at least one, into one, column by column.
#[inline(always)]
pub(crate) fn fold_into<A: Element>(combine: impl Zip<A>, rows: &[A], folded: &mut [A]) {
    let width = folded.len();
    for (start, folded) in (0..).step_by(COLUMNS).zip(folded.chunks_mut(COLUMNS)) {
        let columns = start..start + folded.len();
        let mut rows = rows.chunks_exact(width).map(|row| &row[columns.clone()]);
        rows.next().into_iter().for_each(|first| folded.copy_from_slice(first));
        for row in rows {
            folded.iter_mut().zip(row).for_each(|(x, &y)| *x = combine(*x, y));
        }
    }
}
