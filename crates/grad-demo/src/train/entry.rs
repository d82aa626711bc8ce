//! A tensor as a safetensors file holds it.

use std::borrow::Cow;

use anyhow::bail;
use grad_core::{DType, TensorLike};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, View};

/// The elements of a tensor in row-major order, as little-endian bytes.
#[derive(Debug)]
pub(super) struct Entry {
    dtype: Dtype,
    shape: Vec<usize>,
    pub(super) bytes: Vec<u8>,
}

impl Entry {
    /// A tensor in its own dtype, so that nothing is lost.
    pub(super) fn of_tensor<T: TensorLike>(tensor: &T) -> anyhow::Result<Self> {
        let (dtype, data) = (float(tensor)?, tensor.to_host()?);
        // The numbers of an f32 tensor come as f64, and all of them are f32.
        let bytes = match dtype {
            Dtype::F32 => data.iter().flat_map(|&x| (x as f32).to_le_bytes()).collect(),
            _ => data.iter().flat_map(|x| x.to_le_bytes()).collect(),
        };
        Ok(Entry { dtype, shape: tensor.shape().to_vec(), bytes })
    }

    /// An f64 tensor of these elements.
    pub(super) fn of_numbers(shape: &[usize], data: &[f64]) -> Self {
        let bytes = data.iter().flat_map(|x| x.to_le_bytes()).collect();
        Entry { dtype: Dtype::F64, shape: shape.to_vec(), bytes }
    }

    /// A copy of what is in a file.
    pub(super) fn of_view(view: &TensorView<'_>) -> Self {
        Entry { dtype: view.dtype(), shape: view.shape().to_vec(), bytes: view.data().to_vec() }
    }

    /// The tensor, of the dtype and on the device of `model`.
    ///
    /// # Errors
    /// If it has not this shape, or another dtype.
    pub(super) fn tensor<T: TensorLike>(
        &self,
        name: &str,
        shape: &[usize],
        model: &T,
    ) -> anyhow::Result<T> {
        let data = self.elements(name, shape, float(model)?)?;
        Ok(model.from_host(shape, &data)?)
    }

    /// The elements of an f64 tensor.
    ///
    /// # Errors
    /// If it has not this shape, or another dtype.
    pub(super) fn numbers(&self, name: &str, shape: &[usize]) -> anyhow::Result<Vec<f64>> {
        self.elements(name, shape, Dtype::F64)
    }

    fn elements(&self, name: &str, shape: &[usize], dtype: Dtype) -> anyhow::Result<Vec<f64>> {
        if self.dtype != dtype {
            bail!("its tensor {name} has dtype {}, not {dtype}", self.dtype);
        }
        if self.shape != shape {
            bail!("its tensor {name} has the shape {:?}, not {shape:?}", self.shape);
        }
        Ok(match dtype {
            Dtype::F32 => {
                self.bytes.as_chunks().0.iter().map(|&x| f32::from_le_bytes(x).into()).collect()
            }
            _ => self.bytes.as_chunks().0.iter().map(|&x| f64::from_le_bytes(x)).collect(),
        })
    }
}

/// The dtype of a tensor as safetensors names it: one of those that the command line offers.
fn float<T: TensorLike>(tensor: &T) -> anyhow::Result<Dtype> {
    match tensor.dtype() {
        DType::F32 => Ok(Dtype::F32),
        DType::F64 => Ok(Dtype::F64),
        dtype => bail!("a checkpoint cannot hold numbers of dtype {dtype}"),
    }
}

impl View for &Entry {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::from(&self.bytes)
    }

    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}
