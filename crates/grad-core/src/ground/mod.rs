//! The ground: shapes, errors, and what a tensor is. Imports nothing but itself.

mod error;
mod format;
mod kernel;
mod normal;
mod not_finite;
mod random;
mod read;
mod scalar;
mod shape;
mod tensor;

pub use error::{Error, ErrorKind, Mode, Unsupported};
pub use format::{call, format_host, format_tensor, infix};
pub use kernel::{Binary, Build, Kernel, Partial, Place, Source, Step, Unary};
pub use normal::{normal_cdf, normal_cdf_tanh};
pub use not_finite::{NotFinite, Quantity, Statistics};
pub use random::Random;
pub use read::Read;
pub use scalar::ScalarError;
pub use shape::{Axes, Index, Shape, Slice, Window, broadcast, n_elements};
pub use tensor::{DType, Storage, TensorLike, stretched_axes};

pub(crate) use error::{backend, error_here};
pub(crate) use shape::{list, resized, resolve_axis};
pub use tensor::{WINNER, softmax_jacobian};
pub(crate) use tensor::{below_max, keeping, ln_sum_exp};
