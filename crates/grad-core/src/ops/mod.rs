//! The operations: the calculus of the library, a screen a family.

/// An operation that is written out, parameters included, as a static one: to record it allocates
/// nothing, and its kernels are made once.
macro_rules! fixed {
    ($kind:ident, $function:ident $(($($parameter:expr),*))?) => {{
        static OP: crate::kinds::$kind<$function> =
            crate::kinds::$kind::new($function $(($($parameter),*))?);
        &OP
    }};
}

mod activation;
mod arith;
mod composite;
mod diagonal;
mod einsum;
mod elementwise;
mod functional;
mod functions;
mod index;
mod join;
mod linalg;
mod movement;
mod power;
mod reduce;
mod scan;
mod select;
mod softmax;
mod sort;
mod trig;
mod window;

pub use window::{Conv, PerAxis, Pool};
