//! The formula of each elementwise function, once: for tensors, blocks of them and single numbers.

use grad_core::extend::{Binary, Unary};

use crate::element::Element;
use crate::fold::{larger, smaller};
use crate::math;
use crate::simd::{self, Map, Zip};
use crate::walk::Walk;

/// A function of two elements.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pair<A> {
    Function(Binary),
    /// This number where the first element, of a mask, is not 0, else the second.
    ThisOr(A),
    /// The second element where the first, of a mask, is not 0, else this number.
    OrThis(A),
}

/// `function` of a number.
pub(crate) fn unary_once<A: Element>(function: Unary, x: A) -> A {
    struct Once<A>(A);

    impl<A: Element> UseMap<A> for Once<A> {
        type Output = A;

        #[inline(always)]
        fn with(self, f: impl Map<A>) -> A {
            f.once(self.0)
        }
    }

    unary_formula(function, Once(x))
}

/// `function` of each element of `x`, into `out`, which is as long.
pub(crate) fn unary<A: Element>(function: Unary, x: &[A], out: &mut [A]) {
    struct Into<'a, A>(&'a [A], &'a mut [A]);

    impl<A: Element> UseMap<A> for Into<'_, A> {
        type Output = ();

        #[inline(always)]
        fn with(self, f: impl Map<A>) {
            simd::map(f, self.0, self.1);
        }
    }

    unary_formula(function, Into(x, out));
}

/// `pair` of two numbers.
#[inline]
pub(crate) fn pair_once<A: Element>(pair: Pair<A>, x: A, y: A) -> A {
    struct Once<A>(A, A);

    impl<A: Element> UseZip<A> for Once<A> {
        type Output = A;

        #[inline(always)]
        fn with(self, f: impl Zip<A>) -> A {
            f(self.0, self.1)
        }
    }

    pair_formula(pair, Once(x, y))
}

/// `pair` of each two elements along a walk, into the part of a row-major array that begins at
/// `from`.
///
/// Along a row of more than one element, an operand stays or goes on by 1.
pub(crate) fn pair<A: Element>(
    pair: Pair<A>,
    walk: &Walk<2>,
    operands: [&[A]; 2],
    from: usize,
    out: &mut [A],
) {
    struct Into<'a, A> {
        walk: &'a Walk<2>,
        operands: [&'a [A]; 2],
        from: usize,
        out: &'a mut [A],
    }

    impl<A: Element> UseZip<A> for Into<'_, A> {
        type Output = ();

        #[inline(always)]
        fn with(self, f: impl Zip<A>) {
            simd::zip(f, self.walk, self.operands, self.from, self.out);
        }
    }

    pair_formula(pair, Into { walk, operands, from, out });
}

/// True if `function` gives every number back as it is.
pub(crate) fn is_identity(function: Unary) -> bool {
    match function {
        Unary::Scale(factor) => factor == 1.0,
        Unary::Powf(exponent) => exponent == 1.0,
        Unary::Powi(exponent) => exponent == 1,
        _ => false,
    }
}

/// True if `function` of this number and x is x, to the bit. Seeds of sweeps are ones.
pub(crate) fn is_left_identity<A: Element>(function: Binary, number: A) -> bool {
    number == A::ONE && matches!(function, Binary::Mul | Binary::MulOrZero)
}

/// True if `function` of x and this number is x, to the bit.
pub(crate) fn is_right_identity<A: Element>(function: Binary, number: A) -> bool {
    // Not `MulOrZero`, which makes 0 of −0.
    number == A::ONE && matches!(function, Binary::Mul | Binary::Div)
}

/// What is done with the formula of a function of one element.
trait UseMap<A: Copy> {
    type Output;

    fn with(self, f: impl Map<A>) -> Self::Output;
}

/// What is done with the formula of a function of two elements.
trait UseZip<A> {
    type Output;

    fn with(self, f: impl Zip<A>) -> Self::Output;
}

fn unary_formula<A: Element, U: UseMap<A>>(function: Unary, user: U) -> U::Output {
    match function {
        Unary::Neg => user.with(|x: A| -x),
        Unary::Scale(by) => {
            let by = A::from_f64(by);
            user.with(move |x: A| x * by)
        }
        Unary::Shift(by) => {
            let by = A::from_f64(by);
            user.with(move |x: A| x + by)
        }
        Unary::Recip => user.with(|x: A| A::ONE / x),
        Unary::Square => user.with(|x: A| x * x),
        Unary::Sqrt => user.with(A::sqrt),
        Unary::Rsqrt => user.with(|x: A| A::ONE / x.sqrt()),
        // Half of all exponents are small whole numbers, which need no call of `pow`.
        Unary::Powf(exponent)
            if exponent.trunc() == exponent && (-2.0..=4.0).contains(&exponent) =>
        {
            unary_formula(Unary::Powi(exponent as i32), user)
        }
        Unary::Powf(exponent) => {
            let exponent = A::from_f64(exponent);
            user.with(move |x: A| x.powf(exponent))
        }
        Unary::Powi(exponent) => match exponent {
            0 => user.with(|_: A| A::ONE),
            1 => user.with(|x: A| x),
            2 => unary_formula(Unary::Square, user),
            3 => user.with(|x: A| x * x * x),
            4 => user.with(|x: A| (x * x) * (x * x)),
            -1 => unary_formula(Unary::Recip, user),
            // Not 1 / (x · x): x · x loses digits before 1 / x does.
            -2 => user.with(|x: A| (A::ONE / x) * (A::ONE / x)),
            // Repeated products would gather rounding errors.
            _ => {
                let exponent = A::from_f64(f64::from(exponent));
                user.with(move |x: A| x.powf(exponent))
            }
        },
        Unary::Exp => user.with(math::Exp),
        Unary::Exp2 => user.with(math::Exp2),
        Unary::Expm1 => user.with(math::Expm1),
        Unary::Ln => user.with(math::Ln),
        Unary::Log2 => user.with(math::Log2),
        Unary::Log10 => user.with(A::log10),
        Unary::Log1p => user.with(math::Log1p),
        Unary::Sin => user.with(math::Within { near: math::Sin, far: A::sin }),
        Unary::Cos => user.with(math::Within { near: math::Cos, far: A::cos }),
        Unary::Tan => user.with(A::tan),
        Unary::Asin => user.with(A::asin),
        Unary::Acos => user.with(A::acos),
        Unary::Atan => user.with(A::atan),
        Unary::Sinh => user.with(A::sinh),
        Unary::Cosh => user.with(A::cosh),
        Unary::Tanh => user.with(math::Tanh),
        // The standard library's inverses lose digits.
        Unary::Asinh => user.with(|x: A| A::from_f64(libm::asinh(x.to_f64()))),
        Unary::Acosh => user.with(|x: A| A::from_f64(libm::acosh(x.to_f64()))),
        Unary::Atanh => user.with(|x: A| A::from_f64(libm::atanh(x.to_f64()))),
        Unary::Erf => user.with(math::Erf),
        Unary::NormalCdf => user.with(math::NormalCdf),
        Unary::NormalCdfTanh => user.with(math::NormalCdfTanh),
        Unary::Sigmoid => user.with(math::Sigmoid),
        Unary::LogisticDensity => user.with(math::LogisticDensity),
        Unary::Softplus => user.with(math::Softplus),
        Unary::Relu => user.with(|x: A| if x < A::ZERO { A::ZERO } else { x }),
        Unary::Abs => user.with(A::abs),
        Unary::Sign => user.with(|x: A| A::mask(x > A::ZERO) - A::mask(x < A::ZERO)),
        Unary::Floor => user.with(A::floor),
        Unary::Ceil => user.with(A::ceil),
        Unary::Round => user.with(A::ties_to_even),
        Unary::Trunc => user.with(A::trunc),
    }
}

#[inline]
fn pair_formula<A: Element, U: UseZip<A>>(pair: Pair<A>, user: U) -> U::Output {
    let function = match pair {
        Pair::Function(function) => function,
        Pair::ThisOr(x) => return user.with(move |m, y| if m != A::ZERO { x } else { y }),
        Pair::OrThis(y) => return user.with(move |m, x| if m != A::ZERO { x } else { y }),
    };
    match function {
        Binary::Add => user.with(|x: A, y: A| x + y),
        Binary::Sub => user.with(|x: A, y: A| x - y),
        Binary::Mul => user.with(|x: A, y: A| x * y),
        Binary::Div => user.with(|x: A, y: A| x / y),
        Binary::Pow => user.with(A::powf),
        Binary::Atan2 => user.with(A::atan2),
        Binary::MulOrZero => user.with(|c: A, p: A| if c == A::ZERO { A::ZERO } else { c * p }),
        Binary::Maximum => user.with(larger),
        Binary::Minimum => user.with(smaller),
        Binary::Lt => user.with(|x: A, y: A| A::mask(x < y)),
        Binary::Le => user.with(|x: A, y: A| A::mask(x <= y)),
        Binary::Eq => user.with(|x: A, y: A| A::mask(x == y)),
        Binary::Ne => user.with(|x: A, y: A| A::mask(x != y)),
    }
}
