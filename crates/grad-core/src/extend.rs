//! Everything an author of a backend or of an operation needs, and nothing else.

pub use crate::ground::Read; // what an operation reads, as data
pub use crate::ground::{Axes, Index, Shape, Slice, Window, n_elements}; // shapes, and places
pub use crate::ground::{Binary, Kernel, Place, Source, Step as KernelStep, Unary}; // a rule as data
pub use crate::ground::{Build, Partial}; // the partial derivatives of an operation as data
pub use crate::ground::{DType, Storage, TensorLike, stretched_axes}; // a backend
pub use crate::ground::{Error, ErrorKind, Unsupported}; // what can go wrong
pub use crate::ground::{WINNER, normal_cdf, normal_cdf_tanh, softmax_jacobian}; // functions of a backend
pub use crate::ground::{broadcast, call, infix}; // a shape rule and a trace format to build from
pub use crate::kinds::{ByPartial, Elementwise}; // an operation by its partial derivative
pub use crate::kinds::{ByTranspose, Linear}; // a linear operation by its transpose
pub use crate::kinds::{NoDerivative, Step}; // an operation that is flat
pub use crate::tape::{Body, Cotangents, Facts, Op, Primal, Reach, Tangents}; // any other operation
pub use crate::{NodeId, Operand, Tape, Var}; // what rules calculate with
