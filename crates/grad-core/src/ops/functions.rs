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
    Recip    recip    "(−y²)"              y, c => -c.mul_or_zero(y.square());
    // The strong zero counts where x is infinite: derivatives of what saturates there stay 0.
    Square   square   "2 x"                x, c => c.mul_or_zero(x * 2.0);
    Sqrt     sqrt     "1 / (2 y)"          y, c => c.mul_or_zero(y.recip() * 0.5);
    Rsqrt    rsqrt    "(−½ y³)"            y, c => c.mul_or_zero(y.powi(3) * -0.5);
    // Exponentials and logarithms. expm1 does not use y + 1, which is 0 where x is far below 0.
    Exp      exp      "y"                  y, c => c.mul_or_zero(y);
    Expm1    expm1    "eˣ"                 x, c => c.mul_or_zero(x.exp());
    Exp2     exp2     "y ln 2"             y, c => c.mul_or_zero(y * LN_2);
    Ln       ln       "1 / x"              x, c => c.mul_or_zero(x.recip());
    Log2     log2     "1 / (x ln 2)"       x, c => c.mul_or_zero((x * LN_2).recip());
    Log10    log10    "1 / (x ln 10)"      x, c => c.mul_or_zero((x * LN_10).recip());
    Log1p    log1p    "1 / (1 + x)"        x, c => c.mul_or_zero((x + 1.0).recip());
    // Trigonometric functions.
    Sin      sin      "cos x"              x, c => c * x.cos();
    Cos      cos      "(−sin x)"           x, c => -c * x.sin();
    Tan      tan      "(1 + y²)"           y, c => c.mul_or_zero(y.square() + 1.0);
    Asin     asin     "1 / √(1 − x²)"      x, c => c.mul_or_zero(x.one_plus_square(-1.0, -0.5, 0));
    Acos     acos     "(−1 / √(1 − x²))"   x, c => -c.mul_or_zero(x.one_plus_square(-1.0, -0.5, 0));
    Atan     atan     "1 / (1 + x²)"       x, c => c * x.one_plus_square(1.0, -1.0, 0);
    // Hyperbolic functions. tanh' is not 1 − y², which loses its digits where y is near ±1.
    Sinh     sinh     "cosh x"             x, c => c.mul_or_zero(x.cosh());
    Cosh     cosh     "sinh x"             x, c => c.mul_or_zero(x.sinh());
    Tanh     tanh     "4 σ(2x) σ(−2x)"     x, c => c * ((x * 2.0).logistic_density() * 4.0);
    Asinh    asinh    "1 / √(1 + x²)"      x, c => c * x.one_plus_square(1.0, -0.5, 0);
    // Two roots: x² − 1 would lose digits near 1, and overflow.
    Acosh    acosh    "1 / √(x² − 1)"      x, c => c.mul_or_zero((x - 1.0).rsqrt().mul_or_zero((x + 1.0).rsqrt()));
    Atanh    atanh    "1 / (1 − x²)"       x, c => c.mul_or_zero(x.one_plus_square(-1.0, -1.0, 0));
    // Beyond ±40 the derivative of erf is 0. A bounded x keeps ∞ · 0 out of those that follow.
    Erf      erf      "2/√π e^(−x²)"       x, c => c * (x.clamp(-40.0, 40.0).gaussian() * FRAC_2_SQRT_PI);
    // Activations.
    Sigmoid  sigmoid  "σ(x) σ(−x)"         x, c => c * x.logistic_density();
    Softplus softplus "σ(x)"               x, c => c * x.sigmoid();
    // The mask comes first: where it is 0, even an infinite cotangent stops.
    Relu     relu     "[x > 0]"            x, c => x.gt(0.0).mul_or_zero(c);
    Abs      abs      "sign x"             x, c => x.sign().mul_or_zero(c);
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
