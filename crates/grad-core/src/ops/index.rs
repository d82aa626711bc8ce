//! Picking sub-tensors by whole numbers, which are data of the host and not differentiated.

use std::rc::Rc;

use crate::error::ErrorKind;
use crate::op::{ByTranspose, Linear, Primal, call};
use crate::shape::{Axes, Shape};
use crate::tensor::TensorLike;
use crate::var::Var;

#[derive(Clone)]
struct IndexSelect {
    axis: usize,
    index: Rc<[usize]>,
}

impl<T: TensorLike> Linear<T> for IndexSelect {
    const NAME: &'static str = "index_select";

    fn shape(&self, x: &Shape) -> Result<Shape, ErrorKind> {
        in_range(&self.index, self.axis, x)?;
        Ok(resized(x, self.axis, self.index.len()))
    }

    fn forward(&self, x: &T) -> Result<T, T::Error> {
        x.index_select(self.axis, &self.index)
    }

    fn transpose<'t>(&self, p: &Primal<'t, T>, ct: Var<'t, T>) -> Var<'t, T> {
        let (axis, index, size) = (self.axis, self.index.clone(), p.shape(0)[self.axis]);
        ct.with(ByTranspose(IndexAdd { axis, index, size }))
    }

    fn format(&self, x: &[&str]) -> String {
        call("index_select", x, &format!("{}, {:?}", self.axis, self.index))
    }
}

#[derive(Clone)]
struct IndexAdd {
    axis: usize,
    index: Rc<[usize]>,
    size: usize,
}

impl<T: TensorLike> Linear<T> for IndexAdd {
    const NAME: &'static str = "index_add";

    fn shape(&self, x: &Shape) -> Result<Shape, ErrorKind> {
        if x[self.axis] != self.index.len() {
            let (left, right) = (x.clone(), Shape::from(self.index.len()));
            let rule = "differ: along the axis there must be one sub-tensor an index";
            return Err(ErrorKind::ShapeMismatch { left, right, rule });
        }
        let shape = resized(x, self.axis, self.size);
        in_range(&self.index, self.axis, &shape)?;
        Ok(shape)
    }

    fn forward(&self, x: &T) -> Result<T, T::Error> {
        x.index_add(self.axis, &self.index, self.size)
    }

    fn transpose<'t>(&self, _: &Primal<'t, T>, ct: Var<'t, T>) -> Var<'t, T> {
        let (axis, index) = (self.axis, self.index.clone());
        ct.with(ByTranspose(IndexSelect { axis, index }))
    }

    fn format(&self, x: &[&str]) -> String {
        call("index_add", x, &format!("{}, {:?}, {}", self.axis, self.index, self.size))
    }
}

/// `shape` with another size along one axis.
pub(super) fn resized(shape: &Shape, axis: usize, size: usize) -> Shape {
    shape.iter().enumerate().map(|(i, &n)| if i == axis { size } else { n }).collect()
}

fn in_range(index: &[usize], axis: usize, shape: &Shape) -> Result<(), ErrorKind> {
    match index.iter().find(|&&index| index >= shape[axis]) {
        Some(&index) => Err(ErrorKind::IndexOutOfRange { index, axis, shape: shape.clone() }),
        None => Ok(()),
    }
}

impl<'t, T: TensorLike> Var<'t, T> {
    /// The sub-tensors along `axis` at the places in `index`, in that order; one may come twice.
    ///
    /// Shapes: `[5, 3]` along 0 by `[4, 0]` → `[2, 3]`.
    ///
    /// ```math
    /// x̄ = index_add(ȳ),   ẏ = index_select(ẋ)
    /// ```
    ///
    /// # Errors
    /// [`AxisOutOfRange`](ErrorKind::AxisOutOfRange), [`IndexOutOfRange`](ErrorKind::IndexOutOfRange).
    ///
    /// Non-smooth points: none.
    #[track_caller]
    pub fn index_select(self, axis: isize, index: &[usize]) -> Self {
        let Ok(shape) = self.shape() else { return self };
        match Axes::from(axis).resolve(shape.rank()) {
            Ok(axes) => self.with(ByTranspose(IndexSelect { axis: axes[0], index: index.into() })),
            Err(kind) => self.void("index_select", kind),
        }
    }

    /// Zeros, of size `size` along `axis`, to which sub-tensor `i` of this tensor is added at place
    /// `index[i]`; those at the same place add up. The transpose of [`Var::index_select`].
    ///
    /// Shapes: `[2, 3]` along 0 by `[4, 0]` with size 5 → `[5, 3]`.
    ///
    /// ```math
    /// x̄ = index_select(ȳ),   ẏ = index_add(ẋ)
    /// ```
    ///
    /// # Errors
    /// [`AxisOutOfRange`](ErrorKind::AxisOutOfRange), [`IndexOutOfRange`](ErrorKind::IndexOutOfRange);
    /// [`ShapeMismatch`](ErrorKind::ShapeMismatch) if there is not one index a sub-tensor.
    ///
    /// Non-smooth points: none.
    #[track_caller]
    pub fn index_add(self, axis: isize, index: &[usize], size: usize) -> Self {
        let Ok(shape) = self.shape() else { return self };
        match Axes::from(axis).resolve(shape.rank()) {
            Ok(axes) => {
                self.with(ByTranspose(IndexAdd { axis: axes[0], index: index.into(), size }))
            }
            Err(kind) => self.void("index_add", kind),
        }
    }
}
