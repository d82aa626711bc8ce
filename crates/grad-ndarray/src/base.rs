//! The array in a tensor, whose buffer is kept for another one when nobody uses it any more.

use std::mem;
use std::ops::{Deref, DerefMut};

use ndarray::{ArcArray, Array, IxDyn};

use crate::element::Element;
use crate::pool;

/// An array as ndarray shares it, of any layout.
#[derive(Clone)]
pub(crate) struct Base<A: Element> {
    array: ArcArray<A, IxDyn>,
    /// True if an operation made the buffer, false if a user did.
    is_made_here: bool,
}

impl<A: Element> Base<A> {
    /// The array that an operation made of a buffer of the pool.
    #[inline]
    pub(crate) fn made(array: Array<A, IxDyn>) -> Self {
        Base { array: array.into_shared(), is_made_here: true }
    }

    /// The array alone.
    #[inline]
    pub(crate) fn into_array(self) -> ArcArray<A, IxDyn> {
        if self.is_last() {
            pool::forget::<A>(self.len());
        }
        // Shared for a moment, so that the buffer is not given back.
        self.array.clone()
    }

    /// The array with its axes in another order.
    pub(crate) fn permuted(&self, axes: &[usize]) -> Self {
        let array = self.array.clone().permuted_axes(IxDyn(axes));
        Base { array, is_made_here: self.is_made_here }
    }

    /// The row-major array in another shape; `None` if it does not fit.
    pub(crate) fn reshaped(&self, shape: &[usize]) -> Option<Self> {
        let array = self.array.clone().into_shape_with_order(IxDyn(shape)).ok()?;
        Some(Base { array, is_made_here: self.is_made_here })
    }

    /// True if the pool gets the buffer when this is dropped.
    #[inline]
    fn is_last(&self) -> bool {
        self.is_made_here && pool::keeps::<A>(self.len()) && self.array.is_unique()
    }
}

impl<A: Element> From<ArcArray<A, IxDyn>> for Base<A> {
    /// An array of the user.
    #[inline]
    fn from(array: ArcArray<A, IxDyn>) -> Self {
        Base { array, is_made_here: false }
    }
}

impl<A: Element> Deref for Base<A> {
    type Target = ArcArray<A, IxDyn>;

    #[inline]
    fn deref(&self) -> &ArcArray<A, IxDyn> {
        &self.array
    }
}

impl<A: Element> DerefMut for Base<A> {
    #[inline]
    fn deref_mut(&mut self) -> &mut ArcArray<A, IxDyn> {
        &mut self.array
    }
}

impl<A: Element> Drop for Base<A> {
    #[inline]
    fn drop(&mut self) {
        if self.is_last() {
            recycle(&mut self.array);
        }
    }
}

/// Gives the buffer of an array that nobody else uses back.
fn recycle<A: Element>(array: &mut ArcArray<A, IxDyn>) {
    let array = mem::replace(array, Array::zeros(IxDyn(&[0])).into_shared());
    if let Ok(array) = array.try_into_owned_nocopy() {
        pool::give(array.into_raw_vec_and_offset().0);
    }
}
