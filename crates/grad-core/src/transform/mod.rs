//! What one does with derivatives, a call each: gradients, Jacobians, Hessians, and their products
//! with vectors.
//!
//! Every transform has two faces, chosen by what is passed:
//!
//! * *Plain*: tensors in, a `Result` of tensors out. The function is recorded on a tape of its own.
//! * *On a tape*: handles in, handles out, which are void where there is an error. What the
//!   transform computes is recorded like everything else, so that it can be differentiated again and
//!   transforms nest to any depth; the function may use other handles of that tape, and is
//!   differentiated with respect to them as well.
//!
//! ```
//! use grad_core::{Tape, transform};
//!
//! let plain = transform::hessian(|x| x.powi(4), 3.0)?;
//! assert_eq!(plain, 108.0); // 12x²
//!
//! let tape = Tape::<f64>::new();
//! let x = tape.var(3.0);
//! let recorded = transform::hessian(|x| x.powi(4), x);
//! assert_eq!(tape.backward(recorded, x)?, 72.0); // 24x
//!
//! // They nest: the gradient of the square of a gradient.
//! let nested = transform::grad(|x| transform::grad(|x| x.powi(4), x).square(), 1.0)?;
//! assert_eq!(nested, 96.0); // the derivative of 16x⁶
//! # Ok::<(), grad_core::Error>(())
//! ```
//!
//! # What functions look like
//!
//! A function returns a handle, and takes what the point is made of:
//!
//! | the point | the function |
//! | --- | --- |
//! | a tensor, or a handle | `\|x\| …` |
//! | an array of them | `\|[a, b]\| …` |
//! | a tuple, a `Vec`, a slice, a struct: [`Params`] | `\|tape, m\| …`, with `m` the same structure of handles |
//!
//! Derivatives come back in the form of the point; a structure without leaves comes back empty. A
//! function that fails returns a void handle, by [`Tape::void`](crate::Tape::void) for instance;
//! where it calls something that returns a `Result`, [`Tape::attempt`](crate::Tape::attempt) makes
//! one of it.
//!
//! A function of the plain face does not take part in another tape, so it cannot use a handle:
//!
//! ```compile_fail
//! use grad_core::{Tape, transform};
//!
//! let tape = Tape::<f64>::new();
//! let a = tape.var(2.0);
//! let slope = transform::grad(|x| x * a, 3.0); // pass a handle instead: tape.var(3.0)
//! ```

mod checkpoint;
mod custom;
mod face;
mod forward;
mod function;
mod params;
mod recording;
mod reverse;
mod second;

pub use checkpoint::checkpoint;
pub use custom::{
    Cotangents, JvpRule, VjpRule, custom_jvp, custom_jvp_elementwise, custom_vjp,
    custom_vjp_elementwise, stop_gradient,
};
pub use face::{Answer, Call, Leaf};
pub use forward::{Linearized, jacfwd, jvp, linearize};
pub use function::{Form, Handles, Inputs};
pub use params::{Bare, Like, Params, WithTape};
pub use reverse::{Pullback, grad, jacrev, value_and_grad, vjp};
pub use second::{hessian, hessian_diagonal, hvp, vhp};
