//! Linear algebra without the feature `linalg`: an error that names the feature.

use grad_core::extend::Unsupported;

use crate::element::Element;
use crate::error::NdError;
use crate::tensor::NdTensor;

type Result<A> = std::result::Result<NdTensor<A>, NdError>;

pub(crate) fn solve<A: Element>(_: &NdTensor<A>, _: &NdTensor<A>) -> Result<A> {
    missing("solve")
}

pub(crate) fn triangular_solve<A: Element>(_: &NdTensor<A>, _: &NdTensor<A>, _: bool) -> Result<A> {
    missing("triangular_solve")
}

pub(crate) fn inv<A: Element>(_: &NdTensor<A>) -> Result<A> {
    missing("inv")
}

pub(crate) fn slogdet<A: Element>(_: &NdTensor<A>) -> Result<A> {
    missing("slogdet")
}

pub(crate) fn cholesky<A: Element>(_: &NdTensor<A>) -> Result<A> {
    missing("cholesky")
}

pub(crate) fn eigh<A: Element>(_: &NdTensor<A>) -> Result<A> {
    missing("eigh")
}

fn missing<A: Element>(op: &'static str) -> Result<A> {
    Err(Unsupported { op, backend: "grad-ndarray without its feature `linalg`" }.into())
}
