//! Elementwise kernels: one, two and three operands, broadcasting.
//!
//! A broadcast commutes with an elementwise operation. So kernels work on the arrays below pending
//! broadcasts, and the result has the broadcast pending in its turn.

use std::borrow::Cow;

use grad_core::extend::Shape;
use ndarray::{Array, IxDyn, ShapeBuilder};

use crate::element::Element;
use crate::error::NdError;
use crate::tensor::{Base, NdTensor, Repr, checked, reserved, row_major};
use crate::walk::Walk;

impl<A: Element> NdTensor<A> {
    /// `f` of each element.
    #[inline]
    pub(crate) fn map(&self, op: &'static str, f: impl Fn(A) -> A + Copy) -> Result<Self, NdError> {
        match &self.0 {
            Repr::Fill { value, shape } => Ok(NdTensor::fill(f(*value), shape.clone())),
            Repr::Dense { base, pending } => {
                let base = map_base(op, base, f)?;
                Ok(NdTensor(Repr::Dense { base, pending: pending.clone() }))
            }
        }
    }

    /// `f` of each two elements, broadcasting.
    #[inline]
    pub(crate) fn zip(
        &self,
        op: &'static str,
        rhs: &Self,
        f: impl Fn(A, A) -> A + Copy,
    ) -> Result<Self, NdError> {
        if let (Repr::Fill { value: x, shape }, Repr::Fill { value: y, shape: other }) =
            (&self.0, &rhs.0)
            && **shape == **other
        {
            return Ok(NdTensor::fill(f(*x, *y), shape.clone()));
        }
        self.zip_broadcast(op, rhs, f)
    }

    fn zip_broadcast(
        &self,
        op: &'static str,
        rhs: &Self,
        f: impl Fn(A, A) -> A + Copy,
    ) -> Result<Self, NdError> {
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
            Repr::Fill { value, .. } => base.map_inplace(|x| *x += *value),
            Repr::Dense { base: other, pending: None } => {
                match (base.as_slice_mut(), other.as_slice()) {
                    (Some(to), Some(from)) => to.iter_mut().zip(from).for_each(|(x, y)| *x += *y),
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
        Ok(array) => Ok(array.into_shared()),
        Err(_) => Err(NdError::Elements { op, shape: got.into(), got }),
    }
}

/// `f` of each element of an array of any layout, which the result inherits if it has no gaps.
#[inline]
fn map_base<A: Element>(
    op: &'static str,
    base: &Base<A>,
    f: impl Fn(A) -> A + Copy,
) -> Result<Base<A>, NdError> {
    match base.as_slice() {
        Some(slice) => shaped(op, base.raw_dim(), slice.iter().map(|&x| f(x)).collect()),
        None => Ok(base.mapv(f).into_shared()),
    }
}

/// `f` of each two elements of arrays of any layout, broadcasting.
#[inline]
fn zip_bases<A: Element>(
    op: &'static str,
    x: &Base<A>,
    y: &Base<A>,
    f: impl Fn(A, A) -> A + Copy,
) -> Result<Base<A>, NdError> {
    let zip = |x: &[A], y: &[A]| x.iter().zip(y).map(|(&x, &y)| f(x, y)).collect();
    if x.shape() == y.shape() {
        if let (Some(xs), Some(ys)) = (x.as_slice(), y.as_slice()) {
            return shaped(op, x.raw_dim(), zip(xs, ys));
        }
        if let (Some(xs), Some(ys)) = (x.as_slice_memory_order(), y.as_slice_memory_order())
            && x.strides() == y.strides()
            && let Some(array) = strided(x, zip(xs, ys))
        {
            return Ok(array);
        }
    }
    zip_walking(op, x, y, f)
}

/// The elements `data`, in memory order, in the shape and layout of `like`.
fn strided<A: Element>(like: &Base<A>, data: Vec<A>) -> Option<Base<A>> {
    let strides: Option<Vec<usize>> =
        like.strides().iter().map(|&stride| usize::try_from(stride).ok()).collect();
    let shape = like.raw_dim().strides(IxDyn(&strides?));
    Array::from_shape_vec(shape, data).ok().map(Array::into_shared)
}

fn zip_walking<A: Element>(
    op: &'static str,
    x: &Base<A>,
    y: &Base<A>,
    f: impl Fn(A, A) -> A + Copy,
) -> Result<Base<A>, NdError> {
    let Some(out) = Shape::from(x.shape()).broadcast(y.shape()) else {
        return Err(NdError::ShapeMismatch { op, left: x.shape().into(), right: y.shape().into() });
    };
    let (xs, ys): (Cow<'_, [A]>, Cow<'_, [A]>) = (row_major(op, x)?, row_major(op, y)?);
    let mut data = reserved(op, &out)?;
    let walk = Walk::new(&out, [x.shape(), y.shape()]);
    let n = walk.row;
    match walk.steps {
        [1, 1] => walk.rows(|[i, j]| {
            data.extend(xs[i..i + n].iter().zip(&ys[j..j + n]).map(|(&x, &y)| f(x, y)));
        }),
        [1, 0] => walk.rows(|[i, j]| {
            let y = ys[j];
            data.extend(xs[i..i + n].iter().map(|&x| f(x, y)));
        }),
        [0, 1] => walk.rows(|[i, j]| {
            let x = xs[i];
            data.extend(ys[j..j + n].iter().map(|&y| f(x, y)));
        }),
        // A row of one element: along a longer one, at least one operand moves, and by 1.
        [p, q] => walk.rows(|[i, j]| {
            data.extend((0..n).map(|k| f(xs[i + k * p], ys[j + k * q])));
        }),
    }
    shaped(op, IxDyn(&out), data)
}

fn choose_bases<A: Element>(
    op: &'static str,
    mask: &Base<A>,
    x: &Base<A>,
    y: &Base<A>,
) -> Result<NdTensor<A>, NdError> {
    let choose = |((&m, &x), &y): ((&A, &A), &A)| if m != A::ZERO { x } else { y };
    if mask.shape() == x.shape()
        && mask.shape() == y.shape()
        && let (Some(ms), Some(xs), Some(ys)) = (mask.as_slice(), x.as_slice(), y.as_slice())
    {
        let data = ms.iter().zip(xs).zip(ys).map(choose).collect();
        return Ok(NdTensor::from_base(shaped(op, mask.raw_dim(), data)?));
    }
    let out = Shape::from(mask.shape())
        .broadcast(x.shape())
        .and_then(|shape| shape.broadcast(y.shape()))
        .ok_or_else(|| NdError::ShapeMismatch {
            op,
            left: mask.shape().into(),
            right: x.shape().into(),
        })?;
    let (ms, xs, ys) = (row_major(op, mask)?, row_major(op, x)?, row_major(op, y)?);
    let mut data = reserved(op, &out)?;
    let walk = Walk::new(&out, [mask.shape(), x.shape(), y.shape()]);
    let n = walk.row;
    match walk.steps {
        [1, 1, 1] => walk.rows(|[i, j, k]| {
            let (ms, xs, ys) = (&ms[i..i + n], &xs[j..j + n], &ys[k..k + n]);
            data.extend(ms.iter().zip(xs).zip(ys).map(choose));
        }),
        [p, q, r] => walk.rows(|[i, j, k]| {
            data.extend((0..n).map(|a| choose(((&ms[i + a * p], &xs[j + a * q]), &ys[k + a * r]))));
        }),
    }
    NdTensor::from_vec(op, &out, data)
}
