//! A walk over several row-major arrays in step, some of them broadcast.
//!
//! Axes along which all operands move alike are joined first, so that a row is as long as it can
//! be: `[b, t, c] + [c]` walks `b·t` rows of `c`, and equal shapes are one row.

/// How several operands are walked: the rows, and the steps within a row.
pub(crate) struct Walk<const N: usize> {
    /// The length of a row.
    pub(crate) row: usize,
    /// The distance between neighbors within a row, in each operand.
    pub(crate) steps: [usize; N],
    /// The other axes, innermost first.
    outer: Vec<(usize, [usize; N])>,
}

impl<const N: usize> Walk<N> {
    /// The walk over row-major operands of `shapes`, each of which broadcasts to `out`.
    pub(crate) fn new(out: &[usize], shapes: [&[usize]; N]) -> Self {
        let mut axes: Vec<(usize, [usize; N])> = Vec::with_capacity(out.len());
        let mut spans = [1; N];
        for (back, &size) in out.iter().rev().enumerate() {
            let mut steps = [0; N];
            for operand in 0..N {
                let n = shapes[operand].iter().rev().nth(back).copied().unwrap_or(1);
                if n != 1 {
                    steps[operand] = spans[operand];
                    spans[operand] *= n;
                }
            }
            match axes.last_mut() {
                _ if size == 1 => {}
                Some((inner, within)) if steps == within.map(|step| step * *inner) => {
                    *inner *= size;
                }
                _ => axes.push((size, steps)),
            }
        }
        match axes.is_empty() {
            true => Walk { row: 1, steps: [0; N], outer: axes },
            false => {
                let (row, steps) = axes.remove(0);
                Walk { row, steps, outer: axes }
            }
        }
    }

    /// One row of operands of equal shapes.
    pub(crate) fn alike(n: usize) -> Self {
        Walk { row: n, steps: [1; N], outer: Vec::new() }
    }

    /// Calls `visit` with where each row begins in each operand, and the row of `out`, in row-major
    /// order.
    #[inline(always)]
    pub(crate) fn rows<A>(&self, out: &mut [A], mut visit: impl FnMut([usize; N], &mut [A])) {
        let mut index = vec![0; self.outer.len()];
        let mut starts = [0; N];
        for out in out.chunks_exact_mut(self.row.max(1)) {
            visit(starts, out);
            for (i, (size, steps)) in index.iter_mut().zip(&self.outer) {
                *i += 1;
                for (start, step) in starts.iter_mut().zip(steps) {
                    *start += step;
                }
                if *i < *size {
                    break;
                }
                *i = 0;
                for (start, step) in starts.iter_mut().zip(steps) {
                    *start -= step * size;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Walk;

    #[test]
    fn equal_shapes_are_one_row() {
        let walk = Walk::new(&[2, 1, 3], [&[2, 1, 3], &[2, 1, 3]]);
        assert_eq!((walk.row, walk.steps), (6, [1, 1]));
    }

    #[test]
    fn axes_join_up_to_a_broadcast() {
        let walk = Walk::new(&[2, 3, 4], [&[2, 3, 4], &[4]]);
        assert_eq!((walk.row, walk.steps), (4, [1, 1]));
        let mut starts = Vec::new();
        walk.rows(&mut [(); 24], |start, _| starts.push(start));
        assert_eq!(starts, [[0, 0], [4, 0], [8, 0], [12, 0], [16, 0], [20, 0]]);
    }

    #[test]
    fn crossed_broadcasts_make_an_outer_product() {
        let walk = Walk::new(&[2, 3], [&[2, 1], &[1, 3]]);
        assert_eq!((walk.row, walk.steps), (3, [0, 1]));
        let mut starts = Vec::new();
        walk.rows(&mut [(); 6], |start, _| starts.push(start));
        assert_eq!(starts, [[0, 0], [1, 0]]);
    }

    #[test]
    fn no_axes_are_one_row_of_one() {
        let mut n_rows = 0;
        let walk = Walk::new(&[1, 1], [&[], &[1]]);
        walk.rows(&mut [()], |_, _| n_rows += 1);
        assert_eq!((walk.row, n_rows), (1, 1));
    }
}
