//! `NdTensor`: a shared array and a pending broadcast; its conversions and views.
//!
//! ndarray's shared arrays cannot hold an axis of stride 0, so a broadcast is kept beside the array
//! and shown only by `view`. One number and a shape is a common case, in constants, seeds and
//! scalar programs, and needs no array at all.

use std::borrow::Cow;
use std::fmt;

use grad_core::extend::{Shape, Storage, n_elements};
use ndarray::{
    ArcArray, Array, ArrayBase, ArrayD, ArrayView, ArrayViewD, Axis, Data, Dimension, IxDyn,
    ShapeBuilder,
};

use crate::base::Base;
use crate::element::Element;
use crate::error::NdError;
use crate::pool;
use crate::strided::Strided;

/// A tensor over ndarray: a shared array of any layout, and a shape that it may be broadcast to.
///
/// `clone` is O(1), and so are `full` and `expand`, however large the result: nothing is copied
/// until somebody asks for the elements. Permuting and slicing share the buffer, as does reshaping
/// where the elements lie in row-major order. A tensor's value never changes.
///
/// Tensors are made from ndarray's arrays by `From` and turned back by [`NdTensor::view`] and
/// [`NdTensor::into_inner`].
///
/// ```
/// use grad_ndarray::NdTensor;
/// use grad_ndarray::ndarray::array;
///
/// let x = NdTensor::from(array![[1.0, 2.0], [3.0, 4.0]].reversed_axes());
/// assert_eq!(x.view(), array![[1.0, 3.0], [2.0, 4.0]].into_dyn());
/// ```
#[derive(Clone)]
pub struct NdTensor<A: Element>(pub(crate) Repr<A>);

#[derive(Clone)]
pub(crate) enum Repr<A: Element> {
    /// One number, everywhere. Every tensor with fewer than two elements is of this kind; where
    /// there are no elements, the number means nothing.
    Fill { value: A, shape: Shape },
    /// At least two elements. A pending broadcast has the rank of the base.
    Dense { base: Base<A>, pending: Option<Box<Shape>> },
}

/// Construction, for the kernels.
impl<A: Element> NdTensor<A> {
    #[inline]
    pub(crate) fn fill(value: A, shape: Shape) -> Self {
        NdTensor(Repr::Fill { value, shape })
    }

    pub(crate) fn from_base(base: Base<A>) -> Self {
        match base.len() {
            0 => NdTensor::fill(A::ZERO, Shape::from(base.shape())),
            1 => NdTensor::fill(base.first().copied().unwrap_or(A::ZERO), base.shape().into()),
            _ => NdTensor(Repr::Dense { base, pending: None }),
        }
    }

    /// The row-major elements `data`, a buffer of the pool, in `shape`.
    pub(crate) fn from_vec(
        op: &'static str,
        shape: &[usize],
        data: Vec<A>,
    ) -> Result<Self, NdError> {
        if let [value] = data[..] {
            return Ok(NdTensor::fill(value, Shape::from(shape)));
        }
        match Array::from_shape_vec(IxDyn(shape), data) {
            Ok(array) => Ok(NdTensor::from_base(Base::made(array))),
            Err(_) => Err(NdError::TooLarge { op, shape: Shape::from(shape) }),
        }
    }

    /// This tensor broadcast to `shape`, to which it does broadcast.
    pub(crate) fn stretched(self, shape: Shape) -> Self {
        if *self.shape_slice() == *shape {
            return self;
        }
        match self.0 {
            Repr::Fill { value, .. } => NdTensor::fill(value, shape),
            Repr::Dense { .. } if shape.contains(&0) => NdTensor::fill(A::ZERO, shape),
            Repr::Dense { mut base, .. } => {
                while base.ndim() < shape.rank() {
                    base.insert_axis_inplace(Axis(0));
                }
                NdTensor::with_pending(base, shape)
            }
        }
    }

    /// `base`, of the rank of `shape`, broadcast to it.
    pub(crate) fn with_pending(base: Base<A>, shape: Shape) -> Self {
        let dense = NdTensor::from_base(base);
        match dense.0 {
            Repr::Fill { value, .. } => NdTensor::fill(value, shape),
            Repr::Dense { base, .. } if base.shape() == &*shape => NdTensor::from_base(base),
            Repr::Dense { base, .. } => {
                NdTensor(Repr::Dense { base, pending: Some(Box::new(shape)) })
            }
        }
    }
}

/// Reading.
impl<A: Element> NdTensor<A> {
    /// The sizes of the axes.
    #[inline]
    pub(crate) fn shape_slice(&self) -> &[usize] {
        match &self.0 {
            Repr::Fill { shape, .. } => shape,
            Repr::Dense { base, pending: None } => base.shape(),
            Repr::Dense { pending: Some(shape), .. } => shape,
        }
    }

    /// Whether something holds of an element.
    pub(crate) fn any(&self, is: impl Fn(A) -> bool) -> bool {
        // Without a branch for each element.
        const RUN: usize = 1024;
        match &self.0 {
            Repr::Fill { value, shape } => !shape.contains(&0) && is(*value),
            Repr::Dense { base, .. } => match base.as_slice_memory_order() {
                Some(data) => {
                    data.chunks(RUN).any(|run| run.iter().fold(false, |found, &x| found | is(x)))
                }
                None => base.iter().any(|&x| is(x)),
            },
        }
    }

    /// The addresses between the first and the last element in memory. A view that shares a buffer
    /// overlaps with what it was taken from.
    pub(crate) fn addresses(&self) -> Storage {
        let Repr::Dense { base, .. } = &self.0 else { return Storage::Inline };
        // How far the elements reach before and behind the one at index 0.
        let reach = |sign: isize| -> usize {
            let axes = base.shape().iter().zip(base.strides());
            axes.map(|(&n, &step)| (n - 1) * (sign * step).max(0) as usize).sum()
        };
        let first = base.as_ptr().addr();
        let bytes = first - reach(-1) * size_of::<A>()..first + (reach(1) + 1) * size_of::<A>();
        Storage::Part { memory: 0, bytes }
    }

    /// The tensor as a view of an array, with stride 0 along axes that are broadcast; no copy.
    pub fn view(&self) -> ArrayViewD<'_, A> {
        match &self.0 {
            Repr::Fill { value, shape } => {
                let strides = IxDyn(&vec![0; shape.rank()]);
                ArrayView::from_shape(IxDyn(shape).strides(strides), std::slice::from_ref(value))
                    .expect("one element is at index 0 of every axis")
            }
            Repr::Dense { base, pending: None } => base.view(),
            Repr::Dense { base, pending: Some(shape) } => {
                base.broadcast(IxDyn(shape)).expect("a pending broadcast fits its array")
            }
        }
    }

    /// The tensor as a shared array.
    ///
    /// A broadcast is carried out; tensors of one element, or none, are made into an array; all
    /// others are given out as they are, without a copy.
    pub fn into_inner(self) -> ArcArray<A, IxDyn> {
        match self.0 {
            Repr::Fill { value, shape } => ArrayD::from_elem(IxDyn(&shape), value).into_shared(),
            Repr::Dense { base, pending: None } => base.into_array(),
            Repr::Dense { .. } => self.view().to_owned().into_shared(),
        }
    }

    /// The elements in row-major order: borrowed where they lie so.
    pub(crate) fn elements(&self, op: &'static str) -> Result<Cow<'_, [A]>, NdError> {
        match &self.0 {
            Repr::Dense { base, pending: None } => row_major(op, base),
            _ => Strided::of(op, self)?.copied(op, self.shape_slice()).map(Cow::Owned),
        }
    }

    /// A copy of the elements in row-major order.
    pub(crate) fn owned_elements(&self, op: &'static str) -> Result<Vec<A>, NdError> {
        match self.elements(op)? {
            Cow::Owned(data) => Ok(data),
            Cow::Borrowed(data) => {
                let mut copy = buffer(op, &[data.len()])?;
                copy.copy_from_slice(data);
                Ok(copy)
            }
        }
    }
}

/// The elements of `base` in row-major order: borrowed where they lie so.
pub(crate) fn row_major<'a, A: Element>(
    op: &'static str,
    base: &'a Base<A>,
) -> Result<Cow<'a, [A]>, NdError> {
    match base.as_slice() {
        Some(slice) => Ok(Cow::Borrowed(slice)),
        None => Strided::of_base(op, base)?.copied(op, base.shape()).map(Cow::Owned),
    }
}

/// The elements of a view of any layout in row-major order.
pub(crate) fn view_copied<A: Element>(
    op: &'static str,
    view: &ArrayViewD<'_, A>,
) -> Result<Vec<A>, NdError> {
    let too_large = || NdError::TooLarge { op, shape: Shape::from(view.shape()) };
    // ndarray's assignment is several times faster than its iterator over strided elements.
    let buffer = buffer(op, view.shape())?;
    let mut array = ArrayD::from_shape_vec(view.raw_dim(), buffer).map_err(|_| too_large())?;
    array.assign(view);
    Ok(array.into_raw_vec_and_offset().0)
}

/// As many numbers as `shape` has elements, to be overwritten.
pub(crate) fn buffer<A: Element>(op: &'static str, shape: &[usize]) -> Result<Vec<A>, NdError> {
    let buffer = n_elements(shape).and_then(pool::take);
    buffer.ok_or_else(|| NdError::TooLarge { op, shape: Shape::from(shape) })
}

/// As many zeros as `shape` has elements.
pub(crate) fn zeros<A: Element>(op: &'static str, shape: &[usize]) -> Result<Vec<A>, NdError> {
    let mut data = buffer(op, shape)?;
    data.fill(A::ZERO);
    Ok(data)
}

/// Room for the elements of `shape`.
pub(crate) fn reserved<A: Element>(op: &'static str, shape: &[usize]) -> Result<Vec<A>, NdError> {
    let mut data = buffer(op, shape)?;
    data.clear();
    Ok(data)
}

/// `shape`, unless it has more elements than a tensor can.
pub(crate) fn checked(op: &'static str, shape: Shape) -> Result<Shape, NdError> {
    match shape.n_elements() {
        Some(_) => Ok(shape),
        None => Err(NdError::TooLarge { op, shape }),
    }
}

impl<A: Element> From<A> for NdTensor<A> {
    /// A 0-d tensor.
    fn from(value: A) -> Self {
        NdTensor::fill(value, Shape::scalar())
    }
}

impl<A: Element> From<Vec<A>> for NdTensor<A> {
    /// A 1-d tensor.
    fn from(data: Vec<A>) -> Self {
        NdTensor::from(Array::from_vec(data))
    }
}

impl<A: Element, const N: usize> From<[A; N]> for NdTensor<A> {
    /// A 1-d tensor.
    fn from(data: [A; N]) -> Self {
        NdTensor::from(data.to_vec())
    }
}

impl<A: Element, D: Dimension> From<Array<A, D>> for NdTensor<A> {
    /// Takes the array over, whatever its layout; no copy.
    fn from(array: Array<A, D>) -> Self {
        NdTensor::from_base(array.into_dyn().into_shared().into())
    }
}

impl<A: Element, D: Dimension> From<ArcArray<A, D>> for NdTensor<A> {
    /// Shares the array's buffer, whatever its layout; no copy.
    fn from(array: ArcArray<A, D>) -> Self {
        NdTensor::from_base(array.into_dyn().into())
    }
}

impl<A: Element, D: Dimension> From<ArrayView<'_, A, D>> for NdTensor<A> {
    /// Copies the elements.
    fn from(view: ArrayView<'_, A, D>) -> Self {
        NdTensor::from(view.to_owned())
    }
}

impl<A: Element, S: Data<Elem = A>, D: Dimension> From<&ArrayBase<S, D>> for NdTensor<A> {
    /// Copies the elements.
    fn from(array: &ArrayBase<S, D>) -> Self {
        NdTensor::from(array.to_owned())
    }
}

impl<A: Element> From<NdTensor<A>> for ArcArray<A, IxDyn> {
    /// As [`NdTensor::into_inner`].
    fn from(tensor: NdTensor<A>) -> Self {
        tensor.into_inner()
    }
}

// No `PartialEq`: its `eq` would make `x.eq(&y)` of `TensorLike` ambiguous. Compare views.

impl<A: Element> fmt::Debug for NdTensor<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.view(), f)
    }
}

impl<A: Element> fmt::Display for NdTensor<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.view(), f)
    }
}
