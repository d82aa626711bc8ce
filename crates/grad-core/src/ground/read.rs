//! `Read`: which elements of its argument an operation reads, as data.

use crate::ground::{Index, Shape, Slice, Window};

/// Which elements of its argument an operation reads: those of its result, in row-major order.
///
/// The transpose of such an operation adds each element of the cotangent at the place that it was
/// read from.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Read<'a> {
    /// All, in row-major order.
    All,
    /// Part of the tensor, one slice an axis.
    Slices(&'a [Slice]),
    /// The sub-tensors along an axis at the places in an index.
    Select {
        /// The axis.
        axis: usize,
        /// The places along it.
        index: &'a [usize],
    },
    /// Element by element along an axis, as [`TensorLike::gather`](crate::TensorLike::gather).
    Gather {
        /// The axis.
        axis: usize,
        /// The places along it.
        index: &'a Index,
    },
    /// Windows along an axis, as [`TensorLike::unfold`](crate::TensorLike::unfold).
    Windows {
        /// The axis.
        axis: usize,
        /// The windows.
        window: Window,
    },
}

impl Read<'_> {
    /// Appends where in a tensor of `shape`, in row-major order, each element comes from.
    pub(crate) fn places(&self, shape: &Shape, places: &mut Vec<usize>) {
        let strides = shape.row_major_strides();
        let along = |axis: usize, at: &mut dyn Iterator<Item = usize>| -> Vec<usize> {
            at.map(|at| at * strides[axis]).collect()
        };
        // The place of an element is a sum of one part for each axis of the result.
        let whole = |axis: usize| along(axis, &mut (0..shape[axis]));
        let parts: Vec<Vec<usize>> = match *self {
            Read::All => return places.extend(0..shape.n_elements().unwrap_or(0)),
            Read::Gather { axis, index } => return gathered(axis, index, &strides, places),
            Read::Slices(slices) => {
                let every = |(axis, slice): (usize, &Slice)| along(axis, &mut indices(slice));
                slices.iter().enumerate().map(every).collect()
            }
            Read::Select { axis, index } => {
                let select = |other: usize| match other == axis {
                    true => along(axis, &mut index.iter().copied()),
                    false => whole(other),
                };
                (0..shape.rank()).map(select).collect()
            }
            Read::Windows { axis, window: Window { size, step, dilation } } => {
                let n_windows = Window { size, step, dilation }.count(shape[axis]).unwrap_or(0);
                let start = |other: usize| match other == axis {
                    true => along(axis, &mut (0..n_windows).map(|i| i * step)),
                    false => whole(other),
                };
                let within = along(axis, &mut (0..size).map(|j| j * dilation));
                (0..shape.rank()).map(start).chain([within]).collect()
            }
        };
        let sums = parts.iter().fold(vec![0], |sums, parts| {
            sums.iter().flat_map(|sum| parts.iter().map(move |part| sum + part)).collect()
        });
        places.extend(sums);
    }

    /// The axis along which whole sub-tensors of a tensor of `shape` are read, if there is one.
    pub(crate) fn axis(&self, shape: &Shape) -> Option<usize> {
        match *self {
            Read::Select { axis, .. } => Some(axis),
            Read::Slices(slices) => {
                let is_part = |axis: &usize| slices[*axis] != Slice::all(shape[*axis]);
                let mut parts = (0..slices.len()).filter(is_part);
                parts.next().filter(|_| parts.next().is_none())
            }
            Read::All | Read::Gather { .. } | Read::Windows { .. } => None,
        }
    }

    /// Appends the places of the sub-tensors that are read along `axis`, which [`Read::axis`] gave.
    pub(crate) fn along(&self, axis: usize, index: &mut Vec<usize>) {
        match *self {
            Read::Select { index: selected, .. } => index.extend(selected),
            Read::Slices(slices) => index.extend(indices(&slices[axis])),
            Read::All | Read::Gather { .. } | Read::Windows { .. } => {}
        }
    }
}

/// The indices of a slice.
fn indices(slice: &Slice) -> impl Iterator<Item = usize> + use<> {
    let Slice { start, step, .. } = *slice;
    (0..slice.size()).map(move |i| start + i * step)
}

/// Appends where a gather along `axis` takes its elements from.
fn gathered(axis: usize, index: &Index, strides: &[usize], places: &mut Vec<usize>) {
    let sizes = index.shape();
    let mut at = vec![0; sizes.rank()];
    for &i in index.data() {
        let others = at.iter().zip(strides).enumerate().filter(|&(other, _)| other != axis);
        places.push(i * strides[axis] + others.map(|(_, (i, stride))| i * stride).sum::<usize>());
        // The next in row-major order.
        for (i, &n) in at.iter_mut().zip(sizes.iter()).rev() {
            *i += 1;
            if *i < n {
                break;
            }
            *i = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Read;
    use crate::ground::{Index, Shape, Slice, Window};

    fn places(read: Read<'_>, shape: &[usize]) -> Vec<usize> {
        let mut places = Vec::new();
        read.places(&Shape::from(shape), &mut places);
        places
    }

    #[test]
    fn places_are_those_of_a_row_major_tensor() -> Result<(), crate::ErrorKind> {
        // [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
        let shape = [3, 4];
        assert_eq!(places(Read::All, &shape), (0..12).collect::<Vec<_>>());
        let slices = [Slice { start: 1, stop: 3, step: 1 }, Slice { start: 0, stop: 4, step: 3 }];
        assert_eq!(places(Read::Slices(&slices), &shape), [4, 7, 8, 11]);
        let select = Read::Select { axis: 1, index: &[3, 0] };
        assert_eq!(places(select, &shape), [3, 0, 7, 4, 11, 8]);
        let index = Index::new([2, 3], vec![2, 0, 1, 1, 1, 0])?;
        let gather = |axis| Read::Gather { axis, index: &index };
        assert_eq!(places(gather(0), &shape), [8, 1, 6, 4, 5, 2]);
        assert_eq!(places(gather(1), &shape), [2, 0, 1, 5, 5, 4]);
        let windows = |axis, size, step, dilation| Read::Windows {
            axis,
            window: Window { size, step, dilation },
        };
        assert_eq!(places(windows(1, 2, 2, 1), &[1, 4]), [0, 1, 2, 3]);
        assert_eq!(places(windows(0, 2, 1, 2), &[3, 2]), [0, 4, 1, 5]);
        assert_eq!(places(Read::Slices(&[]), &[]), [0]);
        Ok(())
    }

    #[test]
    fn whole_sub_tensors_are_read_along_one_axis() {
        let part = Slice { start: 1, stop: 2, step: 1 };
        let shape = Shape::from([3, 4]);
        assert_eq!(Read::Slices(&[part, Slice::all(4)]).axis(&shape), Some(0));
        assert_eq!(Read::Slices(&[Slice::all(3), part]).axis(&shape), Some(1));
        assert_eq!(Read::Slices(&[part, part]).axis(&shape), None);
        assert_eq!(Read::Select { axis: 1, index: &[0] }.axis(&shape), Some(1));
        let mut index = Vec::new();
        Read::Slices(&[Slice { start: 0, stop: 3, step: 2 }, Slice::all(4)]).along(0, &mut index);
        Read::Select { axis: 0, index: &[1, 1] }.along(0, &mut index);
        assert_eq!(index, [0, 2, 1, 1]);
    }
}
