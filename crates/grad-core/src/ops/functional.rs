//! A handful of operations as methods of the tape, for code in the functional style of the program
//! that this library began with: `tape.mul(tape.add(a, b), b)`.

use crate::ground::{Shape, TensorLike};
use crate::tape::{Operand, Tape, Var};

/// A method of `Tape` for each method of `Var` named here.
macro_rules! functional {
    ($($name:ident($($arg:ident: $type:ty),*);)*) => {
        /// Operations in functional style: each is the method of [`Var`] of the same name. All
        /// others are methods of the handle only.
        impl<T: TensorLike> Tape<T> {
            $(
                #[doc = concat!("[`Var::", stringify!($name), "`] of `x`.")]
                #[track_caller]
                pub fn $name<'t>(&'t self, x: Var<'t, T>, $($arg: $type),*) -> Var<'t, T> {
                    match std::ptr::eq(self, x.tape()) {
                        true => x.$name($($arg),*),
                        false => self.fail(stringify!($name), crate::ErrorKind::ForeignHandle),
                    }
                }
            )*
        }
    };
}

functional! {
    add(y: impl Operand<'t, T>);
    sub(y: impl Operand<'t, T>);
    mul(y: impl Operand<'t, T>);
    div(y: impl Operand<'t, T>);
    neg();
    sum();
    expand(shape: impl Into<Shape>);
    exp();
    ln();
    sin();
    cos();
    tanh();
}
