//! The operators `+ - * /` between handles, and between handles and numbers.

use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Sub, SubAssign};

use crate::ground::TensorLike;
use crate::tape::{Operand, Var};

impl<'t, T: TensorLike> Neg for Var<'t, T> {
    type Output = Self;

    #[track_caller]
    fn neg(self) -> Self {
        Var::neg(self)
    }
}

/// An operator between handles, and between a handle and a number on either side.
// The formulas are pasted, not called: a closure would hide the user's line.
macro_rules! operator {
    ($trait:ident $method:ident, $assign:ident $assign_method:ident,
     ($x:ident, $n:ident) => $by_number:expr, $of_number:expr) => {
        impl<'t, T: TensorLike> $trait for Var<'t, T> {
            type Output = Self;

            #[track_caller]
            #[inline]
            fn $method(self, rhs: Self) -> Self {
                Var::$method(self, rhs)
            }
        }

        impl<'t, T: TensorLike> $trait<f64> for Var<'t, T> {
            type Output = Self;

            #[track_caller]
            fn $method(self, $n: f64) -> Self {
                let $x = self;
                $by_number
            }
        }

        impl<'t, T: TensorLike> $trait<Var<'t, T>> for f64 {
            type Output = Var<'t, T>;

            #[track_caller]
            fn $method(self, $x: Var<'t, T>) -> Var<'t, T> {
                let $n = self;
                $of_number
            }
        }

        impl<'t, T: TensorLike> $assign for Var<'t, T> {
            #[track_caller]
            fn $assign_method(&mut self, rhs: Self) {
                *self = Var::$method(*self, rhs);
            }
        }

        impl<'t, T: TensorLike> $assign<f64> for Var<'t, T> {
            #[track_caller]
            fn $assign_method(&mut self, rhs: f64) {
                *self = $trait::$method(*self, rhs);
            }
        }
    };
}

operator!(Add add, AddAssign add_assign, (x, n) => x.shift(n), x.shift(n));
operator!(Sub sub, SubAssign sub_assign, (x, n) => x.shift(-n), Var::neg(x).shift(n));
operator!(Mul mul, MulAssign mul_assign, (x, n) => x.scale(n), x.scale(n));
operator!(Div div, DivAssign div_assign, (x, n) => Var::div(x, n), Var::div(n.into_var(x), x));
