//! The same elements in other places: views where candle has one, copies where not.

use candle_core::{DType, Tensor};
use grad_core::extend::{ErrorKind, Index, Shape, Slice, Window};

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
        return Err(mismatch(x, shape, "do not broadcast to the second"));
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
        return Err(mismatch(x, shape, "do not go together by these slices"));
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
        return Err(mismatch(x, &[index.len()], "differ in the number of places"));
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

// Candle's own `gather` and `scatter_add` want indices as large as the tensor along the other axes,
// or read elsewhere than meant, so both go by the places of a flat tensor.

pub(crate) fn gather(x: &Tensor, axis: usize, index: &Index) -> Result<Tensor> {
    let places = flat_places(axis, index, x.dims())?;
    let flat = reshape(x, &[count(x.dims())?])?;
    reshape(&index_select(&flat, 0, &places)?, index.shape())
}

pub(crate) fn scatter_add(
    x: &Tensor,
    axis: usize,
    index: &Index,
    shape: &[usize],
) -> Result<Tensor> {
    if !same_shape(x.dims(), index.shape()) {
        return Err(mismatch(x, index.shape(), "differ, and there must be one index an element"));
    }
    let places = flat_places(axis, index, shape)?;
    let flat = reshape(x, &[count(x.dims())?])?;
    reshape(&index_add(&flat, 0, &places, count(shape)?)?, shape)
}

/// The places in a row-major tensor of `shape` that a gather along `axis` takes its elements from.
fn flat_places(axis: usize, index: &Index, shape: &[usize]) -> Result<Vec<usize>> {
    let (shape, sizes) = (Shape::from(shape), index.shape());
    count(&shape)?;
    let size = size_of_shape(&shape, axis)?;
    let within = |other: usize| other == axis || sizes[other] <= shape[other];
    if sizes.rank() != shape.rank() || !(0..shape.rank()).all(within) {
        let (left, right, rule) = (sizes.clone(), shape, "do not go together in a gather");
        return Err(ErrorKind::ShapeMismatch { left, right, rule }.into());
    }
    must_be_below(size, &shape, axis, index.data())?;
    let strides = shape.row_major_strides();
    let mut at = vec![0; sizes.rank()];
    let places = index.data().iter().map(|&i| {
        let along = |(other, (&at, &stride))| stride * if other == axis { i } else { at };
        let place = at.iter().zip(&strides).enumerate().map(along).sum();
        for (i, &n) in at.iter_mut().zip(sizes.iter()).rev() {
            *i += 1;
            if *i < n {
                break;
            }
            *i = 0;
        }
        place
    });
    Ok(places.collect())
}

pub(crate) fn concat(x: &Tensor, others: &[&Tensor], axis: usize) -> Result<Tensor> {
    let mut shape = x.dims().to_vec();
    let mut size = size_of(x, axis)?;
    for other in others {
        shape[axis] = size_of(other, axis)?;
        if !same_shape(&shape, other.dims()) {
            return Err(mismatch(x, other.dims(), "differ along another axis than the joined one"));
        }
        size = size.saturating_add(shape[axis]);
    }
    shape[axis] = size;
    if count(&shape)? == 0 {
        return zeros(x, &shape);
    }
    let parts = std::iter::once(x).chain(others.iter().copied());
    let parts = parts.filter(|part| part.elem_count() > 0).map(Tensor::contiguous);
    Ok(Tensor::cat(&parts.collect::<candle_core::Result<Vec<_>>>()?, axis)?)
}

/// Sliding windows: their elements side by side, then on an axis of their own.
pub(crate) fn unfold(x: &Tensor, axis: usize, window: Window) -> Result<Tensor> {
    let (n, shape) = windows(x.dims(), axis, window)?;
    if count(&shape)? == 0 {
        return zeros(x, &shape);
    }
    let elements = index_select(x, axis, &places_in(window, n))?;
    let mut split = x.dims().to_vec();
    split[axis] = n;
    split.insert(axis + 1, window.size);
    let mut order: Vec<usize> = (0..split.len()).filter(|&i| i != axis + 1).collect();
    order.push(axis + 1);
    permute(&reshape(&elements, &split)?, &order)
}

/// Takes the way of [`unfold`] back.
pub(crate) fn fold(x: &Tensor, axis: usize, window: Window, n: usize) -> Result<Tensor> {
    let mut joined = x.dims().to_vec();
    joined.pop();
    size_of_shape(&joined, axis)?;
    let mut shape = joined.clone();
    shape[axis] = n;
    let (n_windows, expected) = windows(&shape, axis, window)?;
    if !same_shape(&expected, x.dims()) {
        return Err(mismatch(x, &expected, "differ: the second is that of the windows"));
    }
    if count(x.dims())? == 0 {
        count(&shape)?;
        return zeros(x, &shape);
    }
    let mut order: Vec<usize> = (0..joined.len()).collect();
    order.insert(axis + 1, joined.len());
    joined[axis] *= window.size;
    let elements = reshape(&permute(x, &order)?, &joined)?;
    index_add(&elements, axis, &places_in(window, n_windows), n)
}

/// The number of windows along an axis, and the shape of all of them.
fn windows(shape: &[usize], axis: usize, window: Window) -> Result<(usize, Vec<usize>)> {
    let size = size_of_shape(shape, axis)?;
    let Some(n) = window.count(size) else {
        let message = format!("there is no window of {window}: each must be at least 1");
        return Err(ErrorKind::Parameter { message }.into());
    };
    let mut windows = shape.to_vec();
    windows[axis] = n;
    windows.push(window.size);
    Ok((n, windows))
}

/// The places along the axis of the elements of `n` windows, one window after the other.
fn places_in(window: Window, n: usize) -> Vec<usize> {
    let of = |i| (0..window.size).map(move |j| i * window.step + j * window.dilation);
    (0..n).flat_map(of).collect()
}

/// How many places of its axis a slice reaches over.
fn span(slice: &Slice) -> usize {
    slice.size().saturating_sub(1) * slice.step + 1
}

fn size_of(x: &Tensor, axis: usize) -> Result<usize> {
    size_of_shape(x.dims(), axis)
}

fn size_of_shape(shape: &[usize], axis: usize) -> Result<usize> {
    match shape.get(axis) {
        Some(&size) => Ok(size),
        None => Err(ErrorKind::AxisOutOfRange { axis: axis as isize, rank: shape.len() }.into()),
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

fn mismatch(x: &Tensor, shape: &[usize], rule: &'static str) -> CandleError {
    let (left, right) = (Shape::from(x.dims()), Shape::from(shape));
    ErrorKind::ShapeMismatch { left, right, rule }.into()
}
