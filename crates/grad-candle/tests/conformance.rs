//! The conformance tests of grad-core on the CPU, in both dtypes that people compute in.

use grad_candle::CandleTensor;

grad_conformance::conformance!(f64: CandleTensor, CandleTensor::from(0.0_f64));
grad_conformance::conformance!(f32: CandleTensor, CandleTensor::from(0.0_f32));
