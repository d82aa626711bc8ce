//! The same elements in other places: views where candle has one, copies where not.

use candle_core::{DType, Tensor};
use grad_core::extend::{ErrorKind, Index, Shape, Slice};

use crate::elementwise::must_agree;
use crate::error::{CandleError, Result};
use crate::tensor::{count, same_shape, zeros};

pub(crate) fn reshape(x: &Tensor, shape: &[usize]) -> Result<Tensor> {
    if same_shape(x.dims(), shape) {
        return Ok(x.clone());
    }
    if count(x.dims())? != count(shape)? {
        return Err(mismatch(x, shape, "hold different numbers of elements"));
    }
    Ok(x.reshape(shape)?)
}

pub(crate) fn permute(x: &Tensor, axes: &[usize]) -> Result<Tensor> {
    let rank = x.rank();
    if axes.len() != rank || !(0..rank).all(|axis| axes.contains(&axis)) {
        let axes = axes.iter().map(|&axis| axis as isize).collect();
        return Err(ErrorKind::NotAPermutation { axes, shape: Shape::from(x.dims()) }.into());
    }
    if axes.is_sorted() {
        return Ok(x.clone());
    }
    Ok(x.permute(axes)?)
}

/// A view with stride 0 along the new and the stretched axes.
pub(crate) fn expand(x: &Tensor, shape: &[usize]) -> Result<Tensor> {
    if same_shape(x.dims(), shape) {
        return Ok(x.clone());
    }
    if !Shape::from(x.dims()).expands_to(shape) {
        return Err(mismatch(
            x,
            shape,
            "are incompatible: the first does not broadcast to the second",
        ));
    }
    count(shape)?;
    Ok(x.broadcast_as(shape)?)
}

/// A view, but where a step is not 1.
pub(crate) fn slice(x: &Tensor, slices: &[Slice]) -> Result<Tensor> {
    let shape = Slice::shape_of(slices, &Shape::from(x.dims()))?;
    if count(&shape)? == 0 {
        return zeros(x, &shape);
    }
    let mut part = x.clone();
    for (axis, slice) in slices.iter().enumerate() {
        part = part.narrow(axis, slice.start, span(slice))?;
    }
    for (axis, slice) in slices.iter().enumerate() {
        if slice.size() != span(slice) {
            let every: Vec<usize> = (0..slice.size()).map(|i| i * slice.step).collect();
            part = part.contiguous()?.index_select(&places(&part, axis, &every)?, axis)?;
        }
    }
    Ok(part)
}

pub(crate) fn unslice(x: &Tensor, shape: &[usize], slices: &[Slice]) -> Result<Tensor> {
    if *Slice::shape_of(slices, &Shape::from(shape))? != *x.dims() {
        return Err(mismatch(x, shape, "do not fit these slices"));
    }
    count(shape)?;
    if count(x.dims())? == 0 {
        return zeros(x, shape);
    }
    let mut whole = x.clone();
    for (axis, slice) in slices.iter().enumerate() {
        if slice.size() != span(slice) {
            // Onto zeros, each place at most once: nothing is rounded, nothing overflows.
            let mut spread = whole.dims().to_vec();
            spread[axis] = span(slice);
            let every: Vec<usize> = (0..slice.size()).map(|i| i * slice.step).collect();
            let every = places(&whole, axis, &every)?;
            whole = zeros(x, &spread)?.index_add(&every, &whole.contiguous()?, axis)?;
        }
        let after = shape[axis] - slice.start - span(slice);
        whole = whole.pad_with_zeros(axis, slice.start, after)?;
    }
    Ok(whole)
}

pub(crate) fn index_select(x: &Tensor, axis: usize, index: &[usize]) -> Result<Tensor> {
    count(x.dims())?;
    let mut shape = x.dims().to_vec();
    let size = size_of(x, axis)?;
    must_be_below(size, x.dims(), axis, index)?;
    shape[axis] = index.len();
    if count(&shape)? == 0 {
        return zeros(x, &shape);
    }
    Ok(x.contiguous()?.index_select(&places(x, axis, index)?, axis)?)
}

pub(crate) fn index_add(x: &Tensor, axis: usize, index: &[usize], size: usize) -> Result<Tensor> {
    crate::elementwise::must_be_float("index_add", x)?;
    if size_of(x, axis)? != index.len() {
        return Err(mismatch(
            x,
            &[index.len()],
            "are incompatible: there must be one index for each sub-tensor",
        ));
    }
    let mut shape = x.dims().to_vec();
    shape[axis] = size;
    must_be_below(size, &shape, axis, index)?;
    count(&shape)?;
    if count(x.dims())? == 0 {
        return zeros(x, &shape);
    }
    let index = places_below(size, x, index)?;
    // Add in 32 bits at least: candle rounds to the dtype after every addition.
    let wide = match x.dtype() {
        DType::BF16 | DType::F16 => x.to_dtype(DType::F32)?,
        _ => x.clone(),
    };
    let sums = zeros(&wide, &shape)?.index_add(&index, &wide.contiguous()?, axis)?;
    Ok(sums.to_dtype(x.dtype())?)
}

/// Element by element along `axis`. By places in the flattened tensor: candle's own kernel takes
/// the largest index for "nothing here", and needs both tensors to be of one size.
pub(crate) fn gather(x: &Tensor, axis: usize, index: &Index) -> Result<Tensor> {
    let places = flat_places(axis, index, x.dims())?;
    count(x.dims())?;
    let n = x.elem_count();
    Ok(index_select(&x.reshape(n)?, 0, &places)?.reshape(&**index.shape())?)
}

/// Zeros of `shape`, to which each element is added at the place that [`gather`] takes it from.
pub(crate) fn scatter_add(
    x: &Tensor,
    axis: usize,
    index: &Index,
    shape: &[usize],
) -> Result<Tensor> {
    let size = count(shape)?;
    let places = flat_places(axis, index, shape)?;
    if !same_shape(x.dims(), index.shape()) {
        return Err(mismatch(x, index.shape(), "differ: there must be one index for each element"));
    }
    Ok(index_add(&x.reshape(places.len())?, 0, &places, size)?.reshape(shape)?)
}

/// The places, in a row-major tensor of `shape`, of what a gather along `axis` takes.
fn flat_places(axis: usize, index: &Index, shape: &[usize]) -> Result<Vec<usize>> {
    let (sizes, rank) = (index.shape(), shape.len());
    if axis >= rank {
        return Err(ErrorKind::AxisOutOfRange { axis: axis as isize, rank }.into());
    }
    let fits = |(i, (n, limit)): (usize, (&usize, &usize))| i == axis || n <= limit;
    if sizes.rank() != rank || !sizes.iter().zip(shape).enumerate().all(fits) {
        let (left, right) = (sizes.clone(), Shape::from(shape));
        let rule = "are incompatible: along other axes the index, which is the first, must not exceed the tensor";
        return Err(ErrorKind::ShapeMismatch { left, right, rule }.into());
    }
    must_be_below(shape[axis], shape, axis, index.data())?;
    let strides = Shape::from(shape).row_major_strides();
    let mut at = vec![0; rank];
    let place = |&i: &usize| {
        let others = at.iter().zip(&strides).enumerate().filter(|&(other, _)| other != axis);
        let place = i * strides[axis] + others.map(|(_, (i, step))| i * step).sum::<usize>();
        for (i, &n) in at.iter_mut().zip(sizes.iter()).rev() {
            *i += 1;
            if *i < n {
                break;
            }
            *i = 0;
        }
        place
    };
    Ok(index.data().iter().map(place).collect())
}

/// The tensors joined along `axis`, `first` first.
pub(crate) fn concat(first: &Tensor, others: &[&Tensor], axis: usize) -> Result<Tensor> {
    let mut shape = first.dims().to_vec();
    size_of(first, axis)?;
    for other in others {
        must_agree(first, other)?;
        let right = Shape::from(other.dims());
        let fits = right.rank() == shape.len()
            && right.without(&[axis]) == Shape::from(&shape[..]).without(&[axis]);
        if !fits {
            return Err(mismatch(first, &right, "may differ along the joined axis only"));
        }
        shape[axis] = shape[axis].saturating_add(right[axis]);
    }
    if count(&shape)? == 0 {
        return zeros(first, &shape);
    }
    let parts = std::iter::once(first).chain(others.iter().copied());
    let parts: Vec<&Tensor> = parts.filter(|part| part.dims()[axis] > 0).collect();
    Ok(Tensor::cat(&parts, axis)?)
}

/// How many places of its axis a slice reaches over.
fn span(slice: &Slice) -> usize {
    slice.size().saturating_sub(1) * slice.step + 1
}

fn size_of(x: &Tensor, axis: usize) -> Result<usize> {
    match x.dims().get(axis) {
        Some(&size) => Ok(size),
        None => Err(ErrorKind::AxisOutOfRange { axis: axis as isize, rank: x.rank() }.into()),
    }
}

fn must_be_below(size: usize, shape: &[usize], axis: usize, index: &[usize]) -> Result<()> {
    match index.iter().find(|&&index| index >= size) {
        Some(&index) => {
            Err(ErrorKind::IndexOutOfRange { index, axis, shape: Shape::from(shape) }.into())
        }
        None => Ok(()),
    }
}

/// Places along an axis of `x`, as candle takes them and on the device of `x`.
fn places(x: &Tensor, axis: usize, index: &[usize]) -> Result<Tensor> {
    places_below(size_of(x, axis)?, x, index)
}

fn places_below(size: usize, x: &Tensor, index: &[usize]) -> Result<Tensor> {
    let n = index.len();
    // To candle the largest u32 is not an index but "zero here".
    if size < u32::MAX as usize {
        let index: Vec<u32> = index.iter().map(|&i| i as u32).collect();
        return Ok(Tensor::from_vec(index, n, x.device())?);
    }
    let index: Vec<i64> = index.iter().map(|&i| i as i64).collect();
    Ok(Tensor::from_vec(index, n, x.device())?)
}

pub(crate) fn mismatch(x: &Tensor, shape: &[usize], rule: &'static str) -> CandleError {
    let (left, right) = (Shape::from(x.dims()), Shape::from(shape));
    ErrorKind::ShapeMismatch { left, right, rule }.into()
}
