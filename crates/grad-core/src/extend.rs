//! Everything an author of a backend or of an operation needs, and nothing else.

pub use crate::error::{Error, ErrorKind, Unsupported}; // what can go wrong
pub use crate::op::{ByPartial, Elementwise}; // an operation by its partial derivative
pub use crate::op::{ByTranspose, Linear}; // a linear operation by its transpose
pub use crate::op::{NoDerivative, Step}; // an operation that is flat
pub use crate::op::{Op, Primal}; // any other operation
pub use crate::op::{broadcast, call, infix}; // shape rule and trace format to build from
pub use crate::shape::{Axes, Index, Shape, Slice, Window, n_elements}; // shapes, and places
pub use crate::tensor::{DType, Storage, TensorLike, stretched_axes}; // a backend
pub use crate::{NodeId, Operand, Tape, Var}; // what rules calculate with
