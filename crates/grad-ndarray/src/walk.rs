//! A walk over several arrays in step, some of them broadcast.
//!
//! Axes along which all operands move alike are joined first, so that a row is as long as it can
//! be: `[b, t, c] + [c]` walks `b·t` rows of `c`, and equal shapes are one row.

use std::array;
use std::mem;

use crate::element::Element;
use crate::strided::Strided;

/// How several operands are walked: the rows, and the steps within a row.
pub(crate) struct Walk<const N: usize> {
    /// The length of a row.
    pub(crate) row: usize,
    /// The distance between neighbors within a row, in each operand.
    pub(crate) steps: [usize; N],
    /// The other axes, innermost first.
    pub(crate) outer: Vec<(usize, [usize; N])>,
}

impl<const N: usize> Walk<N> {
    /// The walk over operands that broadcast to `out`.
    pub(crate) fn new<A: Element>(out: &[usize], operands: [&Strided<'_, A>; N]) -> Self {
        Walk::along(out.iter().enumerate().map(|(axis, &size)| {
            let back = out.len() - axis;
            (size, operands.map(|operand| operand.step(back)))
        }))
    }

    /// The walk along axes, the innermost last: their sizes, and the steps of the operands.
    pub(crate) fn along(
        axes: impl DoubleEndedIterator<Item = (usize, [usize; N])> + ExactSizeIterator,
    ) -> Self {
        let mut joined: Vec<(usize, [usize; N])> = Vec::with_capacity(axes.len());
        for (size, steps) in axes.rev().filter(|&(size, _)| size != 1) {
            match joined.last_mut() {
                Some((inner, within)) if steps == within.map(|step| step * *inner) => {
                    *inner *= size;
                }
                _ => joined.push((size, steps)),
            }
        }
        match joined.is_empty() {
            true => Walk { row: 1, steps: [0; N], outer: joined },
            false => {
                let (row, steps) = joined.remove(0);
                Walk { row, steps, outer: joined }
            }
        }
    }

    /// What a walk into a row-major array can be divided into.
    pub(crate) fn unit(&self) -> usize {
        if self.outer.is_empty() { 1 } else { self.row }
    }

    /// One row of operands of equal shapes.
    pub(crate) fn alike(n: usize) -> Self {
        Walk::line(n, [1; N])
    }

    /// One row.
    pub(crate) fn line(n: usize, steps: [usize; N]) -> Self {
        Walk { row: n, steps, outer: Vec::new() }
    }

    /// Calls `visit` with where each row begins in each operand, in row-major order.
    #[inline(always)]
    pub(crate) fn rows(&self, mut visit: impl FnMut([usize; N])) {
        let n_rows = self.outer.iter().map(|&(size, _)| size).product();
        let mut rows = self.start();
        for _ in 0..n_rows {
            visit(rows.next());
        }
    }

    /// [`Walk::rows`] with the rows of a part of the row-major `out` that begins at `from`.
    ///
    /// The part has whole rows, but if there is only one.
    #[inline(always)]
    pub(crate) fn rows_into<A>(
        &self,
        from: usize,
        out: &mut [A],
        mut visit: impl FnMut([usize; N], &mut [A]),
    ) {
        if self.outer.is_empty() {
            return visit(self.steps.map(|step| from * step), out);
        }
        let mut rows = self.start();
        rows.skip_to(from / self.row.max(1));
        // Not by `for_each`, which need not be inlined, and is then compiled without vectors.
        for out in out.chunks_exact_mut(self.row.max(1)) {
            visit(rows.next(), out);
        }
    }

    /// [`Walk::rows_into`] for any part: its first and its last row may be cut off.
    pub(crate) fn pieces_into<A>(
        &self,
        from: usize,
        mut out: &mut [A],
        mut visit: impl FnMut([usize; N], &mut [A]),
    ) {
        let row = self.row.max(1);
        let mut rows = self.start();
        rows.skip_to(from / row);
        let mut skipped = from % row;
        while !out.is_empty() {
            let starts = rows.next();
            let n = out.len().min(row - skipped);
            let (piece, rest) = mem::take(&mut out).split_at_mut(n);
            visit(array::from_fn(|i| starts[i] + skipped * self.steps[i]), piece);
            (out, skipped) = (rest, 0);
        }
    }

    fn start(&self) -> Rows<'_, N> {
        Rows { outer: &self.outer, index: vec![0; self.outer.len()], starts: [0; N] }
    }
}

/// Where a walk is.
struct Rows<'a, const N: usize> {
    outer: &'a [(usize, [usize; N])],
    index: Vec<usize>,
    starts: [usize; N],
}

impl<const N: usize> Rows<'_, N> {
    /// Goes from the first row to another one.
    fn skip_to(&mut self, mut row: usize) {
        for (i, (size, steps)) in self.index.iter_mut().zip(self.outer) {
            *i = row % size;
            row /= size;
            for (start, step) in self.starts.iter_mut().zip(steps) {
                *start += *i * step;
            }
        }
    }

    /// Where the row begins in each operand; goes on to the next one.
    #[inline(always)]
    fn next(&mut self) -> [usize; N] {
        let starts = self.starts;
        for (i, (size, steps)) in self.index.iter_mut().zip(self.outer) {
            *i += 1;
            for (start, step) in self.starts.iter_mut().zip(steps) {
                *start += step;
            }
            if *i < *size {
                break;
            }
            *i = 0;
            for (start, step) in self.starts.iter_mut().zip(steps) {
                *start -= step * size;
            }
        }
        starts
    }
}

#[cfg(test)]
mod tests {
    use super::Walk;
    use crate::strided::Strided;

    fn walk(out: &[usize], shapes: [&[usize]; 2]) -> (Walk<2>, Vec<[usize; 2]>) {
        let [x, y] = shapes.map(|shape| Strided::<f64>::row_major(shape, [].as_slice().into()));
        let walk = Walk::new(out, [&x, &y]);
        let mut starts = Vec::new();
        walk.rows(|start| starts.push(start));
        (walk, starts)
    }

    #[test]
    fn equal_shapes_are_one_row() {
        let (walk, starts) = walk(&[2, 1, 3], [&[2, 1, 3], &[2, 1, 3]]);
        assert_eq!((walk.row, walk.steps, starts), (6, [1, 1], vec![[0, 0]]));
    }

    #[test]
    fn axes_join_up_to_a_broadcast() {
        let (walk, starts) = walk(&[2, 3, 4], [&[2, 3, 4], &[4]]);
        assert_eq!((walk.row, walk.steps), (4, [1, 1]));
        assert_eq!(starts, [[0, 0], [4, 0], [8, 0], [12, 0], [16, 0], [20, 0]]);
    }

    #[test]
    fn crossed_broadcasts_make_an_outer_product() {
        let (walk, starts) = walk(&[2, 3], [&[2, 1], &[1, 3]]);
        assert_eq!((walk.row, walk.steps), (3, [0, 1]));
        assert_eq!(starts, [[0, 0], [1, 0]]);
    }

    #[test]
    fn no_axes_are_one_row_of_one() {
        let (walk, starts) = walk(&[1, 1], [&[], &[1]]);
        assert_eq!((walk.row, starts.len()), (1, 1));
    }
}
