//! From the names on the command line to tensors: runs a computation, written once for every
//! tensor, on the tensors asked for.

use grad_candle::candle_core::{self, Tensor, utils};
use grad_candle::{CandleError, CandleTensor};
use grad_core::TensorLike;
use grad_ndarray::NdTensor;

use crate::place::{Backend, DType, Device, Numbers, Place};

/// A computation for any backend. (A closure cannot be generic over the tensor.)
pub(crate) trait Job {
    /// What comes out, free of the tensor type.
    type Output;

    /// Does it, with tensors of the dtype and on the device of `model`.
    fn run<T: TensorLike>(self, model: T) -> anyhow::Result<Self::Output>;
}

/// Does `job` with the tensors asked for.
///
/// # Errors
/// Of the job; or if there is no such device.
pub(crate) fn run<J: Job>(place: Place, job: J) -> anyhow::Result<J::Output> {
    let Numbers { dtype, device } = place.numbers;
    match (place.backend, dtype, device) {
        (Backend::Ndarray, DType::F32, Device::Cpu) => job.run(NdTensor::from(0_f32)),
        (Backend::Ndarray, DType::F64, Device::Cpu) => job.run(NdTensor::from(0_f64)),
        (Backend::Ndarray, ..) => anyhow::bail!(
            "the ndarray backend computes on the cpu, not on {device}; use --backend candle"
        ),
        (Backend::Candle, ..) => job.run(candle_scalar(dtype, device)?),
    }
}

/// A scalar of candle on a device that must be there.
fn candle_scalar(dtype: DType, device: Device) -> anyhow::Result<CandleTensor> {
    let opened = match device {
        Device::Cpu => Ok(candle_core::Device::Cpu),
        Device::Cuda(_) if !utils::cuda_is_available() => {
            anyhow::bail!("device {device} needs a build with --features cuda")
        }
        Device::Metal if !utils::metal_is_available() => {
            anyhow::bail!("device {device} needs a build with --features metal")
        }
        Device::Metal if dtype == DType::F64 => {
            anyhow::bail!("device {device} has no f64; use --dtype f32")
        }
        Device::Cuda(number) => candle_core::Device::new_cuda(number),
        Device::Metal => candle_core::Device::new_metal(0),
    };
    let scalar = opened.and_then(|opened| match dtype {
        DType::F32 => Tensor::new(0_f32, &opened),
        DType::F64 => Tensor::new(0_f64, &opened),
    });
    match scalar {
        Ok(scalar) => Ok(CandleTensor::from(scalar)),
        // In one line, and without candle's backtrace.
        Err(error) => {
            Err(anyhow::anyhow!("device {device} cannot be used: {}", CandleError::from(error)))
        }
    }
}
