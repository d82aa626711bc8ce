//! Elementwise kernels: one, two and three operands, broadcasting.
//!
//! A broadcast commutes with an elementwise operation. So kernels work on the arrays below pending
//! broadcasts, and the result has the broadcast pending in its turn.

use grad_core::extend::Shape;
use ndarray::{Array, IxDyn, ShapeBuilder};

use crate::base::Base;
use crate::element::Element;
use crate::error::NdError;
use crate::simd::{self, Map, Zip};
use crate::strided::{Strided, inverse, memory_order};
use crate::tensor::{NdTensor, Repr, buffer, checked, row_major};
use crate::walk::Walk;

impl<A: Element> NdTensor<A> {
    /// `f` of each element.
    #[inline]
    pub(crate) fn map(
        &self,
        op: &'static str,
        f: impl Fn(A) -> A + Copy + Sync,
    ) -> Result<Self, NdError> {
        self.apply(op, f)
    }

    /// [`NdTensor::map`] for functions that are compiled for several instruction sets.
    #[inline]
    pub(crate) fn apply(&self, op: &'static str, f: impl Map<A>) -> Result<Self, NdError> {
        match &self.0 {
            Repr::Fill { value, shape } => Ok(NdTensor::fill(f.once(*value), shape.clone())),
            Repr::Dense { base, pending } => {
                let base = map_base(op, base, f)?;
                Ok(NdTensor(Repr::Dense { base, pending: pending.clone() }))
            }
        }
    }

    /// `f` of each element up to ±`limit`, and `beyond` of others.
    pub(crate) fn map_within(
        &self,
        op: &'static str,
        limit: f64,
        f: impl Map<A>,
        beyond: impl Fn(A) -> A + Copy + Sync,
    ) -> Result<Self, NdError> {
        let is_beyond = move |x: A| x.abs().to_f64() > limit;
        let any = match &self.0 {
            Repr::Fill { value, .. } => is_beyond(*value),
            Repr::Dense { base, .. } => base.fold(false, |any, &x| any | is_beyond(x)),
        };
        match any {
            false => self.apply(op, f),
            true => self.map(op, move |x| if is_beyond(x) { beyond(x) } else { f.once(x) }),
        }
    }

    /// `f` of each two elements, broadcasting.
    #[inline]
    pub(crate) fn zip(
        &self,
        op: &'static str,
        rhs: &Self,
        f: impl Zip<A>,
    ) -> Result<Self, NdError> {
        if let (Repr::Fill { value: x, shape }, Repr::Fill { value: y, shape: other }) =
            (&self.0, &rhs.0)
            && **shape == **other
        {
            return Ok(NdTensor::fill(f(*x, *y), shape.clone()));
        }
        self.zip_broadcast(op, rhs, f)
    }

    fn zip_broadcast(&self, op: &'static str, rhs: &Self, f: impl Zip<A>) -> Result<Self, NdError> {
        match (&self.0, &rhs.0) {
            (Repr::Fill { value: x, shape }, Repr::Fill { value: y, shape: other }) => {
                let shape = match (&shape[..], &other[..]) {
                    (_, []) => shape.clone(),
                    ([], _) => other.clone(),
                    _ => broadcast(op, self, rhs)?,
                };
                Ok(NdTensor::fill(f(*x, *y), shape))
            }
            (Repr::Dense { base, pending }, Repr::Fill { value, .. }) => {
                let shape = broadcast_unless_equal(op, self, rhs)?;
                let y = *value;
                let base = map_base(op, base, |x| f(x, y))?;
                Ok(dense(base, pending.clone(), shape))
            }
            (Repr::Fill { value, .. }, Repr::Dense { base, pending }) => {
                let shape = broadcast_unless_equal(op, rhs, self)?;
                let x = *value;
                let base = map_base(op, base, |y| f(x, y))?;
                Ok(dense(base, pending.clone(), shape))
            }
            (Repr::Dense { base: x, pending: None }, Repr::Dense { base: y, pending: None })
                if x.shape() == y.shape() =>
            {
                let base = zip_bases(op, x, y, f)?;
                Ok(NdTensor(Repr::Dense { base, pending: None }))
            }
            (Repr::Dense { base: x, .. }, Repr::Dense { base: y, .. }) => {
                let shape = broadcast(op, self, rhs)?;
                if shape.contains(&0) {
                    return Ok(NdTensor::fill(A::ZERO, shape));
                }
                let base = zip_bases(op, x, y, f)?;
                Ok(NdTensor::from_base(base).stretched(shape))
            }
        }
    }

    /// The elements of `a` where this mask is not 0, elsewhere those of `b`; broadcasting.
    pub(crate) fn choose(&self, a: &Self, b: &Self) -> Result<Self, NdError> {
        const OP: &str = "select";
        match (&self.0, &a.0, &b.0) {
            (Repr::Fill { value, .. }, _, _) => {
                let chosen = if *value != A::ZERO { a } else { b };
                let (shape, of_mask) = (chosen.shape_slice(), self.shape_slice());
                if of_mask == shape && a.shape_slice() == b.shape_slice() {
                    return Ok(chosen.clone());
                }
                Ok(chosen.clone().stretched(broadcast3(OP, self, a, b)?))
            }
            (_, Repr::Fill { value, shape }, _) => {
                let x = *value;
                stretched_by(self.zip(OP, b, |m, y| if m != A::ZERO { x } else { y })?, shape)
            }
            (_, _, Repr::Fill { value, shape }) => {
                let y = *value;
                stretched_by(self.zip(OP, a, |m, x| if m != A::ZERO { x } else { y })?, shape)
            }
            (
                Repr::Dense { base: mask, .. },
                Repr::Dense { base: x, .. },
                Repr::Dense { base: y, .. },
            ) => {
                let shape = broadcast3(OP, self, a, b)?;
                if shape.contains(&0) {
                    return Ok(NdTensor::fill(A::ZERO, shape));
                }
                Ok(choose_bases(OP, mask, x, y)?.stretched(shape))
            }
        }
    }

    /// `self + rhs`, in place where nothing else holds the buffer.
    pub(crate) fn add_into(self, rhs: &Self) -> Result<Self, NdError> {
        let same_shape = self.shape_slice() == rhs.shape_slice();
        let Repr::Dense { mut base, pending: None } = self.0 else {
            return self.zip("accumulate", rhs, |x, y| x + y);
        };
        if !same_shape || !base.is_unique() {
            return NdTensor::from_base(base).zip("accumulate", rhs, |x, y| x + y);
        }
        match &rhs.0 {
            Repr::Fill { value, .. } => {
                let value = *value;
                match base.as_slice_memory_order_mut() {
                    Some(x) => simd::map_in_place(move |x| x + value, x),
                    None => base.map_inplace(|x| *x += value),
                }
            }
            Repr::Dense { base: other, pending: None } => {
                match (base.as_slice_mut(), other.as_slice()) {
                    (Some(to), Some(from)) => simd::zip_in_place(|x, y| x + y, to, from),
                    _ => base.zip_mut_with(other, |x, y| *x += *y),
                }
            }
            Repr::Dense { .. } => base.zip_mut_with(&rhs.view(), |x, y| *x += *y),
        }
        Ok(NdTensor(Repr::Dense { base, pending: None }))
    }
}

/// The shape that two tensors broadcast to.
fn broadcast<A: Element>(
    op: &'static str,
    x: &NdTensor<A>,
    y: &NdTensor<A>,
) -> Result<Shape, NdError> {
    let (left, right) = (Shape::from(x.shape_slice()), Shape::from(y.shape_slice()));
    match left.broadcast(&right) {
        Some(shape) => checked(op, shape),
        None => Err(NdError::ShapeMismatch { op, left, right }),
    }
}

/// The shape that `x` and `y` broadcast to, unless it is that of `x`.
#[inline]
fn broadcast_unless_equal<A: Element>(
    op: &'static str,
    x: &NdTensor<A>,
    y: &NdTensor<A>,
) -> Result<Option<Shape>, NdError> {
    let (of_x, of_y) = (x.shape_slice(), y.shape_slice());
    match of_y.is_empty() || of_x == of_y {
        true => Ok(None),
        false => broadcast(op, x, y).map(Some),
    }
}

/// The shape that three tensors broadcast to.
fn broadcast3<A: Element>(
    op: &'static str,
    x: &NdTensor<A>,
    y: &NdTensor<A>,
    z: &NdTensor<A>,
) -> Result<Shape, NdError> {
    let shape = broadcast(op, x, y)?;
    match shape.broadcast(z.shape_slice()) {
        Some(shape) => checked(op, shape),
        None => Err(NdError::ShapeMismatch { op, left: shape, right: z.shape_slice().into() }),
    }
}

/// `x` broadcast against `shape`.
fn stretched_by<A: Element>(x: NdTensor<A>, shape: &[usize]) -> Result<NdTensor<A>, NdError> {
    if shape.is_empty() || x.shape_slice() == shape {
        return Ok(x);
    }
    let left = Shape::from(x.shape_slice());
    match left.broadcast(shape) {
        Some(shape) => Ok(x.stretched(checked("select", shape)?)),
        None => Err(NdError::ShapeMismatch { op: "select", left, right: shape.into() }),
    }
}

/// `base` under its pending broadcast, or under another one.
#[inline]
fn dense<A: Element>(
    base: Base<A>,
    pending: Option<Box<Shape>>,
    shape: Option<Shape>,
) -> NdTensor<A> {
    match shape {
        None => NdTensor(Repr::Dense { base, pending }),
        Some(shape) => NdTensor::from_base(base).stretched(shape),
    }
}

/// The row-major elements `data` in a shape of as many.
#[inline]
fn shaped<A: Element>(op: &'static str, shape: IxDyn, data: Vec<A>) -> Result<Base<A>, NdError> {
    let got = data.len();
    match Array::from_shape_vec(shape, data) {
        Ok(array) => Ok(array.into_shared().into()),
        Err(_) => Err(NdError::Elements { op, shape: got.into(), got }),
    }
}

/// `f` of each element of an array of any layout, which the result inherits if it has no gaps.
#[inline]
fn map_base<A: Element>(
    op: &'static str,
    base: &Base<A>,
    f: impl Map<A>,
) -> Result<Base<A>, NdError> {
    if let Some(x) = base.as_slice_memory_order() {
        let mut data = buffer(op, base.shape())?;
        simd::map(f, x, &mut data);
        if let Some(mapped) = laid_out(base, data) {
            return Ok(mapped);
        }
    }
    let mut data = row_major(op, base)?.into_owned();
    simd::map_in_place(f, &mut data);
    shaped(op, base.raw_dim(), data)
}

/// `f` of each two elements of arrays of any layout, broadcasting.
fn zip_bases<A: Element>(
    op: &'static str,
    x: &Base<A>,
    y: &Base<A>,
    f: impl Zip<A>,
) -> Result<Base<A>, NdError> {
    if x.shape() == y.shape()
        && x.strides() == y.strides()
        && let (Some(xs), Some(ys)) = (x.as_slice_memory_order(), y.as_slice_memory_order())
    {
        let mut data = buffer(op, x.shape())?;
        simd::zip(f, &Walk::alike(xs.len()), xs, ys, &mut data);
        if let Some(zipped) = laid_out(x, data) {
            return Ok(zipped);
        }
    }
    let Some(out) = Shape::from(x.shape()).broadcast(y.shape()) else {
        return Err(NdError::ShapeMismatch { op, left: x.shape().into(), right: y.shape().into() });
    };
    // The result is laid out as the larger operand is.
    let larger = if *x.shape() == *out { x } else { y };
    if x.ndim() == y.ndim()
        && *larger.shape() == *out
        && let Some(order) = memory_order(larger)
    {
        let permuted = |base: &Base<A>| base.clone().into_array().permuted_axes(IxDyn(&order));
        let zipped = zip_bases(op, &permuted(x).into(), &permuted(y).into(), f)?;
        return Ok(zipped.into_array().permuted_axes(IxDyn(&inverse(&order))).into());
    }
    let (x, y) = (Strided::of_base(op, x)?, Strided::of_base(op, y)?);
    let walk = Walk::new(&out, [&x, &y]);
    let mut data = buffer(op, &out)?;
    match walk.steps {
        // Along a row, operands stay or go through memory as it lies.
        [0 | 1, 0 | 1] => simd::zip(f, &walk, &x.data, &y.data, &mut data),
        _ => {
            let (x, y) = (x.copied(op, &out)?, y.copied(op, &out)?);
            simd::zip(f, &Walk::alike(data.len()), &x, &y, &mut data);
        }
    }
    shaped(op, IxDyn(&out), data)
}

/// The elements `data`, in memory order, in the shape and layout of `like`; `None` where an axis
/// runs backward.
#[inline]
fn laid_out<A: Element>(like: &Base<A>, data: Vec<A>) -> Option<Base<A>> {
    if like.is_standard_layout() {
        return Some(Array::from_shape_vec(like.raw_dim(), data).ok()?.into_shared().into());
    }
    let strides: Option<Vec<usize>> =
        like.strides().iter().map(|&stride| usize::try_from(stride).ok()).collect();
    let shape = like.raw_dim().strides(IxDyn(&strides?));
    Some(Array::from_shape_vec(shape, data).ok()?.into_shared().into())
}

fn choose_bases<A: Element>(
    op: &'static str,
    mask: &Base<A>,
    x: &Base<A>,
    y: &Base<A>,
) -> Result<NdTensor<A>, NdError> {
    let out = Shape::from(mask.shape())
        .broadcast(x.shape())
        .and_then(|shape| shape.broadcast(y.shape()))
        .ok_or_else(|| NdError::ShapeMismatch {
            op,
            left: mask.shape().into(),
            right: x.shape().into(),
        })?;
    let operand = |base| {
        let data = row_major(op, base)?;
        Ok::<_, NdError>(Strided::row_major(base.shape(), data))
    };
    let (m, x, y) = (operand(mask)?, operand(x)?, operand(y)?);
    let mut data = buffer(op, &out)?;
    let walk = Walk::new(&out, [&m, &x, &y]);
    let choose = |m: A, x: A, y: A| if m != A::ZERO { x } else { y };
    simd::zip3(choose, &walk, [&m.data, &x.data, &y.data], &mut data);
    NdTensor::from_vec(op, &out, data)
}
