//! Elementwise kernels: one, two and three operands, broadcasting.
//!
//! A broadcast commutes with an elementwise operation. So kernels work on the arrays below pending
//! broadcasts, and the result has the broadcast pending in its turn.

use std::slice;

use grad_core::extend::{Binary, Shape, Unary};
use ndarray::{Array, IxDyn, ShapeBuilder};

use crate::base::Base;
use crate::element::Element;
use crate::error::NdError;
use crate::formula::{self, Pair};
use crate::simd;
use crate::strided::{Strided, inverse, memory_order};
use crate::tensor::{NdTensor, Repr, buffer, checked, row_major};
use crate::threads;
use crate::walk::Walk;

/// Elementwise functions: of single numbers, which are common and quick, and of arrays by what
/// [`Element`] has compiled.
impl<A: Element> NdTensor<A> {
    /// `function` of each element.
    #[inline]
    pub(crate) fn unary(&self, function: Unary) -> Result<Self, NdError> {
        match &self.0 {
            Repr::Fill { value, shape } => {
                Ok(NdTensor::fill(A::unary_once(function, *value), shape.clone()))
            }
            Repr::Dense { .. } => A::unary(self, function),
        }
    }

    /// `function` of each two elements, broadcasting.
    #[inline]
    pub(crate) fn binary(&self, function: Binary, rhs: &Self) -> Result<Self, NdError> {
        match (&self.0, &rhs.0) {
            (Repr::Fill { value: x, shape }, Repr::Fill { value: y, shape: other })
                if **shape == **other =>
            {
                let value = formula::pair_once(Pair::Function(function), *x, *y);
                Ok(NdTensor::fill(value, shape.clone()))
            }
            _ => A::binary(function.name(), self, function, rhs),
        }
    }

    /// `self + rhs`, in place where nothing else holds the buffer.
    #[inline]
    pub(crate) fn add_into(self, rhs: &Self) -> Result<Self, NdError> {
        match &self.0 {
            Repr::Fill { .. } => self.binary(Binary::Add, rhs),
            Repr::Dense { .. } => A::accumulate(self, rhs),
        }
    }
}

/// `function` of each element.
pub(crate) fn unary<A: Element>(x: &NdTensor<A>, function: Unary) -> Result<NdTensor<A>, NdError> {
    match &x.0 {
        _ if formula::is_identity(function) => Ok(x.clone()),
        Repr::Fill { .. } => x.unary(function),
        Repr::Dense { base, pending } => {
            let map = |x: &[A], out: &mut [A]| formula::unary(function, x, out);
            let base = map_base(function.name(), base, &map)?;
            Ok(NdTensor(Repr::Dense { base, pending: pending.clone() }))
        }
    }
}

/// `function` of each two elements, broadcasting.
pub(crate) fn binary<A: Element>(
    op: &'static str,
    x: &NdTensor<A>,
    function: Binary,
    y: &NdTensor<A>,
) -> Result<NdTensor<A>, NdError> {
    let (same, other) = match (&x.0, &y.0) {
        (_, Repr::Fill { value, .. }) if formula::is_right_identity(function, *value) => (x, y),
        (Repr::Fill { value, .. }, _) if formula::is_left_identity(function, *value) => (y, x),
        _ => return zip(op, x, Pair::Function(function), y),
    };
    Ok(match broadcast_unless_equal(op, same, other)? {
        None => same.clone(),
        Some(shape) => same.clone().stretched(shape),
    })
}

/// `pair` of each two elements, broadcasting.
fn zip<A: Element>(
    op: &'static str,
    left: &NdTensor<A>,
    pair: Pair<A>,
    right: &NdTensor<A>,
) -> Result<NdTensor<A>, NdError> {
    match (&left.0, &right.0) {
        (Repr::Fill { value: x, shape }, Repr::Fill { value: y, .. }) => {
            let broadcast = broadcast_unless_equal(op, left, right)?;
            let shape = broadcast.unwrap_or_else(|| shape.clone());
            Ok(NdTensor::fill(formula::pair_once(pair, *x, *y), shape))
        }
        (Repr::Dense { base, pending }, Repr::Fill { value, .. }) => {
            let shape = broadcast_unless_equal(op, left, right)?;
            let y = slice::from_ref(value);
            let base = map_base(op, base, &|x, out| {
                formula::pair(pair, &Walk::line(x.len(), [1, 0]), [x, y], 0, out);
            })?;
            Ok(dense(base, pending.clone(), shape))
        }
        (Repr::Fill { value, .. }, Repr::Dense { base, pending }) => {
            let shape = broadcast_unless_equal(op, right, left)?;
            let x = slice::from_ref(value);
            let base = map_base(op, base, &|y, out| {
                formula::pair(pair, &Walk::line(y.len(), [0, 1]), [x, y], 0, out);
            })?;
            Ok(dense(base, pending.clone(), shape))
        }
        (Repr::Dense { base: x, pending: None }, Repr::Dense { base: y, pending: None })
            if x.shape() == y.shape() =>
        {
            let base = zip_bases(op, x, pair, y)?;
            Ok(NdTensor(Repr::Dense { base, pending: None }))
        }
        (Repr::Dense { base: x, .. }, Repr::Dense { base: y, .. }) => {
            let shape = broadcast(op, left, right)?;
            if shape.contains(&0) {
                return Ok(NdTensor::fill(A::ZERO, shape));
            }
            Ok(NdTensor::from_base(zip_bases(op, x, pair, y)?).stretched(shape))
        }
    }
}

/// The elements of `x` where `mask` is not 0, elsewhere those of `y`; broadcasting.
pub(crate) fn select<A: Element>(
    mask: &NdTensor<A>,
    x: &NdTensor<A>,
    y: &NdTensor<A>,
) -> Result<NdTensor<A>, NdError> {
    const OP: &str = "select";
    match (&mask.0, &x.0, &y.0) {
        (Repr::Fill { value, .. }, _, _) => {
            let chosen = if *value != A::ZERO { x } else { y };
            let (shape, of_mask) = (chosen.shape_slice(), mask.shape_slice());
            if of_mask == shape && x.shape_slice() == y.shape_slice() {
                return Ok(chosen.clone());
            }
            Ok(chosen.clone().stretched(broadcast3(OP, mask, x, y)?))
        }
        (_, Repr::Fill { value, shape }, _) => {
            stretched_by(zip(OP, mask, Pair::ThisOr(*value), y)?, shape)
        }
        (_, _, Repr::Fill { value, shape }) => {
            stretched_by(zip(OP, mask, Pair::OrThis(*value), x)?, shape)
        }
        (Repr::Dense { base: m, .. }, Repr::Dense { base: a, .. }, Repr::Dense { base: b, .. }) => {
            let shape = broadcast3(OP, mask, x, y)?;
            if shape.contains(&0) {
                return Ok(NdTensor::fill(A::ZERO, shape));
            }
            Ok(select_bases(OP, m, a, b)?.stretched(shape))
        }
    }
}

/// `x + y`, in place where nothing else holds the buffer.
pub(crate) fn accumulate<A: Element>(
    x: NdTensor<A>,
    y: &NdTensor<A>,
) -> Result<NdTensor<A>, NdError> {
    const OP: &str = "accumulate";
    let same_shape = x.shape_slice() == y.shape_slice();
    let Repr::Dense { mut base, pending: None } = x.0 else {
        return binary(OP, &x, Binary::Add, y);
    };
    if !same_shape || !base.is_unique() {
        return binary(OP, &NdTensor::from_base(base), Binary::Add, y);
    }
    match &y.0 {
        Repr::Fill { value, .. } => match base.as_slice_memory_order_mut() {
            Some(x) => simd::add_number(x, *value),
            None => base.map_inplace(|x| *x += *value),
        },
        Repr::Dense { base: other, pending: None } => {
            match (base.as_slice_mut(), other.as_slice()) {
                (Some(to), Some(from)) => simd::add(to, from),
                _ => base.zip_mut_with(other, |x, y| *x += *y),
            }
        }
        Repr::Dense { .. } => base.zip_mut_with(&y.view(), |x, y| *x += *y),
    }
    Ok(NdTensor(Repr::Dense { base, pending: None }))
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
        Ok(array) => Ok(Base::made(array)),
        Err(_) => Err(NdError::Elements { op, shape: got.into(), got }),
    }
}

/// `f` of the elements of an array of any layout, part by part; the result is laid out in the same
/// way if there are no gaps.
fn map_base<A: Element>(
    op: &'static str,
    base: &Base<A>,
    f: &(dyn Fn(&[A], &mut [A]) + Sync),
) -> Result<Base<A>, NdError> {
    let map = |x: &[A]| {
        let mut data = buffer(op, base.shape())?;
        threads::parts(&mut data, 1, 1, |from, out| f(&x[from..from + out.len()], out));
        Ok::<_, NdError>(data)
    };
    if let Some(x) = base.as_slice_memory_order()
        && let Some(mapped) = laid_out(base, map(x)?)
    {
        return Ok(mapped);
    }
    shaped(op, base.raw_dim(), map(&row_major(op, base)?)?)
}

/// `pair` of each two elements of arrays of any layout, broadcasting.
fn zip_bases<A: Element>(
    op: &'static str,
    x: &Base<A>,
    pair: Pair<A>,
    y: &Base<A>,
) -> Result<Base<A>, NdError> {
    let along = |walk: &Walk<2>, operands: [&[A]; 2], out: &mut [A]| {
        threads::parts(out, walk.unit(), 1, |from, out| {
            formula::pair(pair, walk, operands, from, out);
        });
    };
    if x.shape() == y.shape()
        && x.strides() == y.strides()
        && let (Some(xs), Some(ys)) = (x.as_slice_memory_order(), y.as_slice_memory_order())
    {
        let mut data = buffer(op, x.shape())?;
        along(&Walk::alike(xs.len()), [xs, ys], &mut data);
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
        let zipped = zip_bases(op, &x.permuted(&order), pair, &y.permuted(&order))?;
        return Ok(zipped.permuted(&inverse(&order)));
    }
    let (x, y) = (Strided::of_base(op, x)?, Strided::of_base(op, y)?);
    let walk = Walk::new(&out, [&x, &y]);
    let mut data = buffer(op, &out)?;
    match walk.steps {
        // Along a row, operands stay or go through memory as it lies.
        [0 | 1, 0 | 1] => along(&walk, [&x.data, &y.data], &mut data),
        _ => {
            let (x, y) = (x.copied(op, &out)?, y.copied(op, &out)?);
            along(&Walk::alike(data.len()), [&x, &y], &mut data);
        }
    }
    shaped(op, IxDyn(&out), data)
}

/// The elements `data`, in memory order, in the shape and layout of `like`; `None` where an axis
/// runs backward.
#[inline]
pub(crate) fn laid_out<A: Element>(like: &Base<A>, data: Vec<A>) -> Option<Base<A>> {
    if like.is_standard_layout() {
        return Array::from_shape_vec(like.raw_dim(), data).ok().map(Base::made);
    }
    let strides: Option<Vec<usize>> =
        like.strides().iter().map(|&stride| usize::try_from(stride).ok()).collect();
    let shape = like.raw_dim().strides(IxDyn(&strides?));
    Array::from_shape_vec(shape, data).ok().map(Base::made)
}

fn select_bases<A: Element>(
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
    threads::parts(&mut data, walk.unit(), 1, |from, out| {
        simd::select(&walk, [&m.data, &x.data, &y.data], from, out);
    });
    NdTensor::from_vec(op, &out, data)
}
