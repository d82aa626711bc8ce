//! `CandleTensor`: a candle tensor outside candle's own graph, and the ways in and out.

use candle_core::op::BackpropOp;
use candle_core::{CpuStorage, DType, Device, Storage, Tensor, Var};
use grad_core::extend::{self, ErrorKind, Shape, n_elements};

use crate::error::Result;

/// A candle tensor that grad-core can differentiate through.
///
/// Any device and dtype; bf16, f16, f32 and f64 have derivatives. A tensor of another dtype may be
/// moved, compared, selected and read, but arithmetic with it is an error.
///
/// The tensor is always detached: candle records none of what is done with it, also where it comes
/// from a [`Var`].
///
/// # Memory
///
/// Values on a tape must not change. A tensor is shared, not copied, since candle's tensors do not
/// change. What candle may change is copied on the way in: a [`Var`], its tensor, and whatever candle
/// computed from a `Var`, since that may be a view of its memory. So `Var::set` changes no gradient.
/// (If the device has no memory left for the copy, it is shared after all.)
///
/// Candle does not show where other memory comes from, so two things are left to you, while a tape
/// holds the value: do not `set` a `Var` of which you gave away a *detached* tensor
/// (`Var::as_detached_tensor`, `Tensor::detach`), and do not write into a tensor by `slice_set`,
/// `scatter_set`, `scatter_add_set`, `const_set`, `zero_set`, `one_set` or `inplace_op1` and its like.
/// That holds for the tensors that come out, too ([`CandleTensor::into_inner`]);
/// `Var::from_tensor` copies. Conversely, to share what candle computed from a `Var`, detach it.
///
/// ```
/// use grad_candle::CandleTensor;
/// use grad_candle::candle_core::{Device, Result, Tensor};
/// use grad_core::TensorLike;
///
/// # fn main() -> Result<()> {
/// let x = CandleTensor::from(Tensor::new(&[1f32, 2., 3.], &Device::Cpu)?);
/// assert_eq!(x.shape(), [3]);
/// assert_eq!(x.as_tensor().to_vec1::<f32>()?, [1., 2., 3.]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct CandleTensor(pub(crate) Tensor);

impl CandleTensor {
    /// The candle tensor, borrowed.
    #[inline]
    pub fn as_tensor(&self) -> &Tensor {
        &self.0
    }

    /// The candle tensor.
    #[inline]
    pub fn into_inner(self) -> Tensor {
        self.0
    }
}

/// The memory is shared, unless it may be that of a [`Var`].
impl From<Tensor> for CandleTensor {
    fn from(tensor: Tensor) -> Self {
        CandleTensor::from(&tensor)
    }
}

/// The memory is shared, unless it may be that of a [`Var`].
impl From<&Tensor> for CandleTensor {
    fn from(tensor: &Tensor) -> Self {
        let detached = tensor.detach();
        // A variable, or computed from one: only then does candle record.
        CandleTensor(match tensor.track_op() {
            true => copy(&detached).unwrap_or(detached),
            false => detached,
        })
    }
}

/// A copy, which `Var::set` does not change.
impl From<&Var> for CandleTensor {
    fn from(var: &Var) -> Self {
        CandleTensor::from(var.as_tensor())
    }
}

/// A scalar of dtype f32 on the CPU.
impl From<f32> for CandleTensor {
    fn from(value: f32) -> Self {
        CandleTensor(cpu_scalar(CpuStorage::F32(vec![value])))
    }
}

/// A scalar of dtype f64 on the CPU.
impl From<f64> for CandleTensor {
    fn from(value: f64) -> Self {
        CandleTensor(cpu_scalar(CpuStorage::F64(vec![value])))
    }
}

impl From<CandleTensor> for Tensor {
    fn from(tensor: CandleTensor) -> Self {
        tensor.0
    }
}

impl AsRef<Tensor> for CandleTensor {
    fn as_ref(&self) -> &Tensor {
        &self.0
    }
}

/// The tensor in memory of its own: the elements that it reaches, or, where it repeats some, all of
/// the buffer.
fn copy(x: &Tensor) -> candle_core::Result<Tensor> {
    let repeats = x.dims().iter().zip(x.stride()).any(|(&n, &step)| n > 1 && step == 0);
    if repeats { x.copy() } else { x.force_contiguous() }
}

/// The name that grad-core knows a dtype by.
#[inline]
pub(crate) fn dtype_of(x: &Tensor) -> extend::DType {
    match x.dtype() {
        DType::BF16 => extend::DType::BF16,
        DType::F16 => extend::DType::F16,
        DType::F32 => extend::DType::F32,
        DType::F64 => extend::DType::F64,
        other => extend::DType::Other(other.as_str()),
    }
}

/// The buffer from its beginning to the last element that the tensor reaches: candle does not say
/// how long a buffer is, but some tensor reaches its end.
pub(crate) fn storage(x: &Tensor) -> extend::Storage {
    // All that share the buffer have it at one address, behind a lock.
    let (buffer, layout) = x.storage_and_layout();
    let axes = layout.dims().iter().zip(layout.stride());
    let last = axes.map(|(&n, &step)| n.saturating_sub(1) * step).sum::<usize>();
    let n = if x.dims().contains(&0) { 0 } else { layout.start_offset() + last + 1 };
    let bytes = 0..n * x.dtype().size_in_bytes();
    extend::Storage::Part { memory: std::ptr::from_ref(&*buffer).addr(), bytes }
}

/// `value` everywhere: one element in memory, repeated with stride 0.
pub(crate) fn full(like: &Tensor, shape: &[usize], value: f64) -> Result<Tensor> {
    count(shape)?;
    let scalar = scalar(like, value)?;
    match shape {
        [] => Ok(scalar),
        _ => Ok(scalar.broadcast_as(shape)?),
    }
}

/// A scalar with the dtype and on the device of `like`.
pub(crate) fn scalar(like: &Tensor, value: f64) -> Result<Tensor> {
    let scalar = match like.dtype() {
        DType::F64 => cpu_scalar(CpuStorage::F64(vec![value])),
        DType::F32 => cpu_scalar(CpuStorage::F32(vec![value as f32])),
        // Round on the CPU: not every device has f64.
        dtype => cpu_scalar(CpuStorage::F64(vec![value])).to_dtype(dtype)?,
    };
    match like.device() {
        Device::Cpu => Ok(scalar),
        device => Ok(scalar.to_device(device)?),
    }
}

/// The tensor of `shape` with the elements `data`, with the dtype and on the device of `like`.
pub(crate) fn from_host(like: &Tensor, shape: &[usize], data: &[f64]) -> Result<Tensor> {
    if count(shape)? != data.len() {
        let rule = "hold different numbers of elements";
        let (left, right) = (Shape::from(data.len()), Shape::from(shape));
        return Err(ErrorKind::ShapeMismatch { left, right, rule }.into());
    }
    let storage = match like.dtype() {
        DType::F32 => CpuStorage::F32(data.iter().map(|&x| x as f32).collect()),
        _ => CpuStorage::F64(data.to_vec()),
    };
    let tensor = Tensor::from_storage(Storage::Cpu(storage), shape, BackpropOp::none(), false);
    Ok(tensor.to_dtype(like.dtype())?.to_device(like.device())?)
}

/// The elements in row-major order.
pub(crate) fn to_host(x: &Tensor) -> Result<Vec<f64>> {
    let n = count(x.dims())?;
    if n == 0 {
        return Ok(Vec::new());
    }
    // In this order, because not every device has f64.
    let x = x.to_device(&Device::Cpu)?.to_dtype(DType::F64)?;
    Ok(x.reshape(n)?.to_vec1()?)
}

/// Whether an element is NaN, or there are infinities of both signs: one number is read.
pub(crate) fn has_nan(x: &Tensor) -> Result<bool> {
    match x.dtype().is_float() && count(x.dims())? > 0 {
        true => Ok(number(&x.sum_all()?)?.is_nan()),
        false => Ok(false),
    }
}

/// Whether an element is 0: one number is read.
pub(crate) fn has_zero(x: &Tensor) -> Result<bool> {
    match count(x.dims())? {
        0 => Ok(false),
        _ => Ok(number(&x.eq(&x.zeros_like()?)?.flatten_all()?.max(0)?)? != 0.0),
    }
}

fn number(x: &Tensor) -> Result<f64> {
    Ok(x.to_device(&Device::Cpu)?.to_dtype(DType::F64)?.to_scalar()?)
}

/// Zeros with the dtype and on the device of `like`; `shape` has been counted.
pub(crate) fn zeros(like: &Tensor, shape: &[usize]) -> Result<Tensor> {
    Ok(Tensor::zeros(shape, like.dtype(), like.device())?)
}

/// The number of elements. Candle multiplies the sizes unchecked, which overflows.
#[inline]
pub(crate) fn count(shape: &[usize]) -> Result<usize> {
    match n_elements(shape) {
        Some(n) => Ok(n),
        None => Err(ErrorKind::TooLarge { shape: Shape::from(shape) }.into()),
    }
}

/// Equality of shapes. The operator would hand the empty shape of candle's scalars, which lies
/// nowhere, to `memcmp`, and its vector instructions take 100 ns to find that out.
#[inline]
pub(crate) fn same_shape(x: &[usize], y: &[usize]) -> bool {
    x.len() == y.len() && x.iter().zip(y).all(|(x, y)| x == y)
}

/// A scalar on the CPU; making it cannot fail.
fn cpu_scalar(one_element: CpuStorage) -> Tensor {
    Tensor::from_storage(Storage::Cpu(one_element), (), BackpropOp::none(), false)
}
