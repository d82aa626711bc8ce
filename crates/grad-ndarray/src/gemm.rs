//! The product of two matrices: by faer with the feature `linalg`, else by ndarray.

#[cfg(not(feature = "linalg"))]
pub(crate) use by_ndarray::{MatMut, MatRef};
#[cfg(feature = "linalg")]
pub(crate) use faer::{MatMut, MatRef};

/// The types that there is a matrix product for.
#[doc(hidden)]
pub trait Multiply: Sized {
    /// `z = x y`, on this thread.
    fn multiply(x: MatRef<'_, Self>, y: MatRef<'_, Self>, z: MatMut<'_, Self>);
}

macro_rules! multiply {
    ($($float:ty)*) => {$(
        impl Multiply for $float {
            #[cfg(feature = "linalg")]
            fn multiply(x: MatRef<'_, Self>, y: MatRef<'_, Self>, z: MatMut<'_, Self>) {
                faer::linalg::matmul::matmul(z, faer::Accum::Replace, x, y, 1.0, faer::Par::Seq);
            }
            #[cfg(not(feature = "linalg"))]
            fn multiply(x: MatRef<'_, Self>, y: MatRef<'_, Self>, mut z: MatMut<'_, Self>) {
                ndarray::linalg::general_mat_mul(1.0, &x.0, &y.0, 0.0, &mut z.0);
            }
        }
    )*};
}

multiply!(f32 f64);

/// What `product` needs of faer's views of matrices, by the same names.
#[cfg(not(feature = "linalg"))]
mod by_ndarray {
    use ndarray::{ArrayView2, ArrayViewMut2, Axis, ShapeBuilder};

    /// A matrix to read.
    #[derive(Clone, Copy)]
    pub struct MatRef<'a, A>(pub(super) ArrayView2<'a, A>);

    /// A matrix to write.
    pub struct MatMut<'a, A>(pub(super) ArrayViewMut2<'a, A>);

    impl<'a, A> MatRef<'a, A> {
        pub(crate) fn from_row_major_slice_with_stride(
            data: &'a [A],
            n_rows: usize,
            n_columns: usize,
            span: usize,
        ) -> Self {
            MatRef::new(data, [n_rows, n_columns], [span, 1])
        }

        pub(crate) fn from_column_major_slice_with_stride(
            data: &'a [A],
            n_rows: usize,
            n_columns: usize,
            span: usize,
        ) -> Self {
            MatRef::new(data, [n_rows, n_columns], [1, span])
        }

        fn new(data: &'a [A], size: [usize; 2], steps: [usize; 2]) -> Self {
            let view = ArrayView2::from_shape(size.strides(steps), data);
            MatRef(view.expect("the matrix lies in the elements"))
        }

        pub(crate) fn nrows(&self) -> usize {
            self.0.nrows()
        }

        pub(crate) fn ncols(&self) -> usize {
            self.0.ncols()
        }

        pub(crate) fn subrows(self, start: usize, n: usize) -> Self {
            self.part(Axis(0), start, n)
        }

        pub(crate) fn subcols(self, start: usize, n: usize) -> Self {
            self.part(Axis(1), start, n)
        }

        fn part(self, axis: Axis, start: usize, n: usize) -> Self {
            let (_, behind) = self.0.split_at(axis, start);
            let (part, _) = behind.split_at(axis, n);
            MatRef(part)
        }
    }

    impl<'a, A> MatMut<'a, A> {
        pub(crate) fn from_row_major_slice_mut(
            data: &'a mut [A],
            n_rows: usize,
            n_columns: usize,
        ) -> Self {
            let view = ArrayViewMut2::from_shape([n_rows, n_columns], data);
            MatMut(view.expect("there are as many elements as the matrix has"))
        }

        pub(crate) fn nrows(&self) -> usize {
            self.0.nrows()
        }

        pub(crate) fn ncols(&self) -> usize {
            self.0.ncols()
        }

        pub(crate) fn split_at_row_mut(self, at: usize) -> (Self, Self) {
            let (before, after) = self.0.split_at(Axis(0), at);
            (MatMut(before), MatMut(after))
        }

        pub(crate) fn split_at_col_mut(self, at: usize) -> (Self, Self) {
            let (before, after) = self.0.split_at(Axis(1), at);
            (MatMut(before), MatMut(after))
        }
    }
}
