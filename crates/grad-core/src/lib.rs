//! A reverse-mode automatic differentiation engine, generic over the tensor, differentiable to any
//! order.

pub mod extend;

mod arena;
mod error;
pub mod gradcheck;
mod op;
mod ops;
mod pullback;
mod pushforward;
// The feature makes it public.
#[cfg_attr(not(feature = "testing"), allow(unreachable_pub))]
mod random;
mod scalar;
mod shape;
mod subgraph;
mod tape;
mod tensor;
#[cfg(feature = "testing")]
pub mod testing;
pub mod trace;
mod var;
pub mod view;

pub use error::{Error, ErrorKind, Unsupported};
pub use gradcheck::{Gradcheck, GradcheckError, gradcheck};
pub use op::{Op, Primal};
pub use ops::{Conv, PerAxis, Pool};
pub use pullback::{Gradients, Wrt};
pub use scalar::ScalarError;
pub use shape::{Axes, Index, Shape, Slice, Window};
pub use tape::{NodeId, Tape};
pub use tensor::{DType, TensorLike};
pub use var::{Operand, Var};

/// The documents, so that their code is compiled and run.
#[cfg(doctest)]
mod documents {
    #[doc = include_str!("../../../docs/custom-backend.md")]
    mod custom_backend {}
    #[doc = include_str!("../../../docs/custom-op.md")]
    mod custom_op {}
}
