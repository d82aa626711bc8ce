//! The array in a tensor, whose buffer is kept for another one when nobody uses it any more.

use std::mem;
use std::ops::{Deref, DerefMut};

use ndarray::{ArcArray, Array, IxDyn};

use crate::element::Element;
use crate::pool;

/// An array as ndarray shares it, of any layout.
#[derive(Clone)]
pub(crate) struct Base<A: Element>(ArcArray<A, IxDyn>);

impl<A: Element> Base<A> {
    /// The array alone.
    #[inline]
    pub(crate) fn into_array(self) -> ArcArray<A, IxDyn> {
        // Shared for a moment, so that the buffer is not given back.
        self.0.clone()
    }
}

impl<A: Element> From<ArcArray<A, IxDyn>> for Base<A> {
    #[inline]
    fn from(array: ArcArray<A, IxDyn>) -> Self {
        Base(array)
    }
}

impl<A: Element> Deref for Base<A> {
    type Target = ArcArray<A, IxDyn>;

    #[inline]
    fn deref(&self) -> &ArcArray<A, IxDyn> {
        &self.0
    }
}

impl<A: Element> DerefMut for Base<A> {
    #[inline]
    fn deref_mut(&mut self) -> &mut ArcArray<A, IxDyn> {
        &mut self.0
    }
}

impl<A: Element> Drop for Base<A> {
    #[inline]
    fn drop(&mut self) {
        if pool::keeps::<A>(self.len()) && self.is_unique() {
            recycle(&mut self.0);
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
