//! Next to infinite slopes every derivative is the true value or NaN, in every mode, on every
//! backend.

use grad_candle::CandleTensor;
use grad_ndarray::NdTensor;

grad_conformance::dead_zeros!(ndarray_f64: NdTensor<f64>, NdTensor::from(0.0_f64));
grad_conformance::dead_zeros!(ndarray_f32: NdTensor<f32>, NdTensor::from(0.0_f32));
grad_conformance::dead_zeros!(candle_f64: CandleTensor, CandleTensor::from(0.0_f64));
grad_conformance::dead_zeros!(candle_f32: CandleTensor, CandleTensor::from(0.0_f32));
