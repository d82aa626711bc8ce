//! A reverse-mode automatic differentiation engine, generic over the tensor, differentiable to any
//! order.
//!
//! A [`Tape`] records operations on handles, [`Var`], which are `Copy`, so that code reads as
//! mathematics. The rule of an operation is a formula on handles too: what it computes is recorded
//! like everything else, and so a gradient has gradients.
//!
//! ```
//! use grad_core::Tape;
//!
//! let tape = Tape::<f64>::new();
//! let x = tape.var(0.7);
//! let y = (x * x).sin();
//!
//! let dy = tape.grad(y, x); // a handle: 2x cos x²
//! let ddy = tape.grad(dy, x); // 2 cos x² − 4x² sin x²
//! let (sin, cos) = 0.49_f64.sin_cos();
//! assert!((ddy.item()? - (2.0 * cos - 4.0 * 0.49 * sin)).abs() < 1e-15);
//!
//! let plain = tape.backward(y, x)?; // a number; nothing is recorded, which is faster
//! assert_eq!(plain, dy.item()?);
//! # Ok::<(), grad_core::Error>(())
//! ```
//!
//! `f64` is the smallest tensor; arrays come with the crates `grad-ndarray` and `grad-candle`, or
//! from any library for which somebody implements [`TensorLike`].
//!
//! # Where to look
//!
//! | | |
//! | --- | --- |
//! | [`Tape`] | variables and constants; derivatives that are recorded: reverse mode ([`grad`](Tape::grad), [`vjp`](Tape::vjp)) and forward mode ([`jvp`](Tape::jvp), and [`jvp_batch`](Tape::jvp_batch) for many tangents at once); the same calls on [`tape.plain()`](Tape::plain) give plain tensors, and [`backward`](Tape::backward) is the plain gradient |
//! | [`Var`] | about 130 operations, from `+` to [`conv2d`](Var::conv2d), with PyTorch's names and NumPy's broadcasting |
//! | [`transform`] | gradients, Jacobians, Hessians and their products in one call, on plain tensors or nested on a tape |
//! | [`Error`] | what went wrong, in which operation, at which line. An operation that fails gives a handle that carries the error, and the first method that returns a `Result` returns it; nothing panics |
//! | [`TensorLike`] | what the engine asks of a tensor: the trait of backends |
//! | [`Op`] | what an operation is, built in or your own; [`extend`] has the shorter forms `Elementwise`, `Linear` and `Step`, and all else that authors need |
//! | [`Tape::trace`] | what was recorded, as text, Graphviz, Mermaid or data; [`Tape::nodes`] gives it node by node |
//! | [`inspect`] | what holds the memory ([`memory`](Tape::memory)), where the first NaN comes from ([`detect_nan`](Tape::detect_nan)), and why there is no gradient ([`why_no_gradient`](Tape::why_no_gradient)) |
//! | [`gradcheck()`] | whether the derivatives of a function of yours are right |
//!
//! The crate `grad-conformance` tests a backend: every method, and every operation with its derivatives.
//!
//! # Features
//!
//! * `serde`: a [`Trace`](inspect::Trace) can be serialized.
//!
//! # Documents
//!
//! In the directory `docs` of the repository: `custom-op.md` and `custom-backend.md` build one of
//! each, `vocabulary.md` lists the operations, `derivation.md` derives their rules, and
//! `architecture.md` says how the engine works.

pub mod extend;

mod ground;
pub mod inspect;
mod kinds;
mod ops;
pub mod program;
mod sweep;
mod tape;
pub mod transform;

/// A generator for tests, which `grad-conformance` shares.
#[doc(hidden)]
pub use ground::Random;
pub use ground::{
    Axes, DType, Error, ErrorKind, Index, ScalarError, Shape, Slice, TensorLike, Unsupported,
    Window,
};
pub use inspect::{Gradcheck, GradcheckError, gradcheck};
pub use ops::{Conv, PerAxis, Pool};
pub use sweep::calls::Plain;
pub use sweep::{Gradients, Wrt};
pub use tape::{NodeId, Op, Operand, Primal, Tape, Var};

/// The documents, so that their code is compiled and run.
#[cfg(doctest)]
mod documents {
    #[doc = include_str!("../../../docs/custom-backend.md")]
    mod custom_backend {}
    #[doc = include_str!("../../../docs/custom-op.md")]
    mod custom_op {}
}
