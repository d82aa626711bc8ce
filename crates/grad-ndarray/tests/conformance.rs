//! The conformance tests of grad-core, in both types of elements.

use grad_ndarray::NdTensor;

grad_conformance::conformance!(f64: NdTensor<f64>, NdTensor::from(0.0_f64));
grad_conformance::conformance!(f32: NdTensor<f32>, NdTensor::from(0.0_f32));
