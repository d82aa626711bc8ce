//! The calculus on a page: the functions of one argument that have no parameters.
//!
//! A line has the name, the derivative as the documentation prints it, and the rule: the derivative
//! times a cotangent or tangent `c`, from the argument `x` or from the output `y`. The value is the
//! method of the same name of `TensorLike`. The methods with their documentation stand by family in
//! the files beside this one, and so do the longer functions.

use std::f64::consts::{FRAC_2_SQRT_PI, LN_2, LN_10};

use crate::ground::TensorLike;
use crate::kinds::{Elementwise, Step};
use crate::tape::{Primal, Var};

/// For each line an [`Elementwise`] function, and for all of them `derivative!(name)`, the lines of
/// documentation that state the derivative.
macro_rules! functions {
    ($($function:ident $name:ident $formula:literal $from:ident, $c:ident => $rule:expr;)*) => {
        $(
            #[derive(Clone, Copy)]
            pub(super) struct $function;

            impl Elementwise for $function {
                const NAME: &'static str = stringify!($name);

                fn forward<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error> {
                    x[0].$name()
                }

                fn partial<'t, T: TensorLike>(
                    &self,
                    _: usize,
                    p: &Primal<'t, T>,
                    $c: Var<'t, T>,
                ) -> Var<'t, T> {
                    let $from = functions!(@$from p);
                    $rule
                }
            }
        )*

        /// The documentation of the derivative of a function in the table.
        macro_rules! derivative {
            $(($name) => {
                concat!("```math\nx̄ = ȳ · ", $formula, ",   ẏ = ẋ · ", $formula, "\n```")
            };)*
        }
        pub(super) use derivative;
    };
    (@x $p:ident) => { $p.x(0) };
    (@y $p:ident) => { $p.y() };
}

#[rustfmt::skip] // One function a line.
functions! {
    // Powers and roots.
    Recip    recip    "(−y²)"              y, c => -(c * y) * y;
    Square   square   "2 x"                x, c => c * (x * 2.0);
    Sqrt     sqrt     "1 / (2 y)"          y, c => c / (y * 2.0);
    Rsqrt    rsqrt    "(−½ y³)"            y, c => c * (y.powi(3) * -0.5);
    // Exponentials and logarithms. expm1 does not use y + 1, which is 0 where x is far below 0.
    Exp      exp      "y"                  y, c => c * y;
    Expm1    expm1    "eˣ"                 x, c => c * x.exp();
    Exp2     exp2     "y ln 2"             y, c => c * (y * LN_2);
    Ln       ln       "1 / x"              x, c => c / x;
    Log2     log2     "1 / (x ln 2)"       x, c => c / (x * LN_2);
    Log10    log10    "1 / (x ln 10)"      x, c => c / (x * LN_10);
    Log1p    log1p    "1 / (1 + x)"        x, c => c / (x + 1.0);
    // Trigonometric functions.
    Sin      sin      "cos x"              x, c => c * x.cos();
    Cos      cos      "(−sin x)"           x, c => -c * x.sin();
    Tan      tan      "(1 + y²)"           y, c => c * (y.square() + 1.0);
    Asin     asin     "1 / √(1 − x²)"      x, c => c * x.one_plus_square(-1.0, -0.5, 0);
    Acos     acos     "(−1 / √(1 − x²))"   x, c => -c * x.one_plus_square(-1.0, -0.5, 0);
    Atan     atan     "1 / (1 + x²)"       x, c => c * x.one_plus_square(1.0, -1.0, 0);
    // Hyperbolic functions.
    Sinh     sinh     "cosh x"             x, c => c * x.cosh();
    Cosh     cosh     "sinh x"             x, c => c * x.sinh();
    Asinh    asinh    "1 / √(1 + x²)"      x, c => c * x.one_plus_square(1.0, -0.5, 0);
    // Two roots: x² − 1 would lose digits near 1, and overflow.
    Acosh    acosh    "1 / √(x² − 1)"      x, c => c * ((x - 1.0).rsqrt() * (x + 1.0).rsqrt());
    Atanh    atanh    "1 / (1 − x²)"       x, c => c * x.one_plus_square(-1.0, -1.0, 0);
    // Beyond ±40 the derivative of erf is 0. A bounded x keeps ∞ · 0 out of those that follow.
    Erf      erf      "2/√π e^(−x²)"       x, c => c * (x.maximum(-40.0).minimum(40.0).gaussian() * FRAC_2_SQRT_PI);
    // Activations.
    Sigmoid  sigmoid  "σ(x) σ(−x)"         x, c => c * x.logistic_density();
    Softplus softplus "σ(x)"               x, c => c * x.sigmoid();
    Abs      abs      "sign x"             x, c => c.mul_sign(x);
}

/// For each line a [`Step`], a function whose derivative is 0 wherever there is one.
macro_rules! steps {
    ($($function:ident $name:ident;)*) => {$(
        #[derive(Clone, Copy)]
        pub(super) struct $function;

        impl Step for $function {
            const NAME: &'static str = stringify!($name);

            fn forward<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error> {
                x[0].$name()
            }
        }
    )*};
}

steps! {
    Sign sign;
    Floor floor;
    Ceil ceil;
    Round round;
    Trunc trunc;
}
