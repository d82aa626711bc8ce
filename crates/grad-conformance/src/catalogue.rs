//! The catalogue: every operation, applied to sample inputs in all the ways that differ.
//!
//! It is the one list of the operations. The laws, the tests that `conformance!` makes, random
//! programs and the names of test vectors are made of it.

use std::fmt;

use grad_core::transform::{self, checkpoint, custom_jvp, custom_vjp};
use grad_core::{Conv, Index, Pool, Shape, Slice, TensorLike, Var, Window};

use crate::Reference;
use crate::draw::Draw;

/// The file that the nodes of a catalogued call, and its errors, name.
pub(crate) const FILE: &str = file!();

/// A function of handles, on any tape.
pub type Apply<T> = for<'t> fn(&[Var<'t, T>]) -> Var<'t, T>;

/// A function of handles that draws its parameters.
pub(crate) type ApplyDrawn<T> = for<'t> fn(&mut Draw, &[Var<'t, T>]) -> Var<'t, T>;

/// One call of one operation at one list of inputs.
#[derive(Clone)]
#[non_exhaustive]
pub struct Case<T: TensorLike> {
    /// The name of the operation, as `Op::name` gives it.
    pub op: &'static str,
    /// The call, as it stands in the catalogue.
    pub call: &'static str,
    /// The call, on the backend under test.
    pub apply: Apply<T>,
    /// The same call on the reference.
    pub oracle: Apply<Reference>,
    /// Shape and elements of each argument.
    pub inputs: Vec<(Shape, Vec<f64>)>,
    /// False for operations whose result is never tracked.
    pub differentiable: bool,
    /// True if the call needs an optional method of the backend.
    pub optional: bool,
}

impl<T: TensorLike> fmt::Display for Case<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shapes: Vec<&Shape> = self.inputs.iter().map(|(shape, _)| shape).collect();
        write!(f, "{}: {} at shapes {shapes:?}", self.op, self.call)
    }
}

impl<T: TensorLike> fmt::Debug for Case<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Every operation with sample inputs.
pub fn catalogue<T: TensorLike>() -> Vec<Case<T>> {
    lines().iter().flat_map(Line::cases).collect()
}

/// The names of the operations in the catalogue, each once.
pub fn operations() -> Vec<&'static str> {
    let mut names: Vec<_> = lines::<Reference>().iter().map(|line| line.op).collect();
    names.dedup();
    names
}

/// A line of the table: a call, and the shapes of its arguments, once for each case.
pub(crate) struct Line<T: TensorLike> {
    pub(crate) op: &'static str,
    optional: bool,
    /// What the arguments are called.
    pub(crate) args: &'static [&'static str],
    pub(crate) call: &'static str,
    pub(crate) apply: Apply<T>,
    oracle: Apply<Reference>,
    pub(crate) domain: Domain,
    shapes: &'static [&'static [&'static [usize]]],
}

impl<T: TensorLike> Line<T> {
    fn cases(&self) -> impl Iterator<Item = Case<T>> {
        let &Line { op, call, apply, oracle, domain, optional, .. } = self;
        self.shapes.iter().map(move |shapes| {
            let mut elements = (0..).map(|k| domain.at(k));
            let input = |shape: &&[usize]| {
                let n = shape.iter().product();
                (Shape::from(*shape), elements.by_ref().take(n).collect())
            };
            let inputs = shapes.iter().map(input).collect();
            let differentiable = domain.is_differentiable();
            Case { op, call, apply, oracle, inputs, differentiable, optional }
        })
    }

    /// The name of the call, if it is nothing but a function of its arguments in their order: the
    /// method's, `x.atan2(y)`, or where it is an operator the operation's, `x + y`.
    pub(crate) fn name(&self) -> Option<&'static str> {
        let (x, rest) = self.args.split_first()?;
        let is_operator = match *rest {
            [] => self.call == format!("-{x}"),
            [y] => ["+", "-", "*", "/"].iter().any(|sign| self.call == format!("{x} {sign} {y}")),
            _ => false,
        };
        if is_operator {
            return Some(self.op);
        }
        let (name, arguments) = self.call.strip_prefix(x)?.strip_prefix('.')?.split_once('(')?;
        (arguments == format!("{})", rest.join(", "))).then(|| name.trim_end_matches('_'))
    }

    /// True for functions that take a scalar, and so tensors of any shape.
    pub(crate) fn takes_scalars(&self) -> bool {
        self.name().is_some() && self.shapes.iter().any(|case| case.iter().all(|x| x.is_empty()))
    }
}

/// A call with parameters that are drawn, for random programs.
pub(crate) struct Drawn<T: TensorLike> {
    pub(crate) n_args: usize,
    pub(crate) call: &'static str,
    pub(crate) apply: ApplyDrawn<T>,
}

/// What the elements of the arguments are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Domain {
    /// Of both signs, away from 0 and from each other, so that no kink is near.
    Real,
    /// The same, above 0.
    Positive,
    /// The same, above 1.
    AboveOne,
    /// The same as real ones, but between −1 and 1.
    Small,
    /// Small whole numbers, some equal; for operations that are flat.
    Whole,
    /// The same and halves.
    Halves,
}

impl Domain {
    /// The `k`-th element of a case.
    fn at(self, k: usize) -> f64 {
        let k = k as f64;
        // Multiples of the golden ratio, modulo 1, keep away from each other.
        let spread = (0.3 + k * 0.618_033_988_749_894_9).fract();
        let sign = if (k * std::f64::consts::SQRT_2).fract() < 0.5 { 1.0 } else { -1.0 };
        match self {
            Domain::Real => sign * (0.6 + spread),
            Domain::Positive => 0.6 + spread,
            Domain::AboveOne => 1.6 + spread,
            Domain::Small => 0.5 * sign * (0.6 + spread),
            Domain::Whole => (5.0 * spread).floor() - 2.0,
            Domain::Halves => 0.5 * ((5.0 * spread).floor() - 2.0),
        }
    }

    pub(crate) fn is_differentiable(self) -> bool {
        !matches!(self, Domain::Whole | Domain::Halves)
    }

    /// Any tensor, brought into the domain.
    pub(crate) fn bring<'t, T: TensorLike>(self, x: Var<'t, T>) -> Var<'t, T> {
        match self {
            Domain::Real | Domain::Whole | Domain::Halves => x,
            Domain::Positive => x.square() + 0.3,
            Domain::AboveOne => x.square() + 1.3,
            Domain::Small => x.tanh() * 0.9,
        }
    }
}

/// The arguments of a call.
fn arguments<'t, T: TensorLike, const N: usize>(x: &[Var<'t, T>]) -> [Var<'t, T>; N] {
    std::array::from_fn(|i| x[i])
}

/// Every `step`-th index from `start` to `stop`.
fn by(start: usize, stop: usize, step: usize) -> Slice {
    Slice { start, stop, step }
}

/// Indices of a shape.
fn index<const N: usize>(shape: [usize; N], data: &[usize]) -> Index {
    Index::new(shape, data).expect("the catalogue has one number an element")
}

/// Windows of `size` elements.
fn window(size: usize, step: usize, dilation: usize) -> Window {
    Window { size, step, dilation }
}

/// The derivative of `Σ f(x)`, where what rules record is an operation of its own.
fn slope<'t, T: TensorLike>(x: Var<'t, T>, f: impl Fn(Var<'t, T>) -> Var<'t, T>) -> Var<'t, T> {
    transform::grad(|x: Var<'t, T>| f(x).sum(), x)
}

/// Matrices that have an inverse and, but for asymmetry, are positive definite, with eigenvalues far
/// from each other: a fifth of `x`, and 1, 2, 3, … on the diagonal.
fn graded<T: TensorLike>(x: Var<'_, T>) -> Var<'_, T> {
    let (Ok(model), Ok(shape)) = (x.value(), x.shape()) else { return x };
    let [.., m, n] = shape[..] else { return x };
    if m != n {
        return x;
    }
    let on_diagonal = |at: usize| if at / n == at % n { (at / n + 1) as f64 } else { 0.0 };
    let diagonal: Vec<f64> = (0..n * n).map(on_diagonal).collect();
    match model.from_host(&[n, n], &diagonal) {
        Ok(diagonal) => x * 0.2 + x.tape().constant(diagonal),
        Err(_) => x,
    }
}

/// Makes of the table what goes by its lines, and `each_operation!`, the macro of its names.
///
/// The first argument is a `$` for that macro.
macro_rules! table {
    ($dollar:tt $($op:ident $(: $optional:ident)? {
        $($domain:ident |$($x:ident),+| $call:expr => $($([$($n:literal),*])+),+;)*
        $(_ |$p:ident, $($y:ident),+| $drawn:expr;)*
    })*) => {
        /// The lines with shapes.
        #[allow(clippy::eq_op)] // `x - x` has two arguments, which are one handle.
        pub(crate) fn lines<T: TensorLike>() -> Vec<Line<T>> {
            let mut lines = Vec::new();
            $(
                let op = stringify!($op).trim_end_matches('_');
                let optional = stringify!($($optional)?) == "optional";
                $(lines.push(Line {
                    op,
                    optional,
                    args: &[$(stringify!($x)),+],
                    call: stringify!($call),
                    apply: |x| { let [$($x),+] = arguments(x); $call },
                    oracle: |x| { let [$($x),+] = arguments(x); $call },
                    domain: Domain::$domain,
                    shapes: &[$(&[$(&[$($n),*]),+]),+],
                });)*
            )*
            lines
        }

        /// The lines that draw parameters.
        #[allow(unused_variables)] // Not every call needs any.
        pub(crate) fn drawn<T: TensorLike>() -> Vec<Drawn<T>> {
            vec![$($(Drawn {
                n_args: [$(stringify!($y)),+].len(),
                call: stringify!($drawn),
                apply: |$p, x| { let [$($y),+] = arguments(x); $drawn },
            },)*)*]
        }

        /// A test for each operation of the catalogue, which calls a function with its name.
        #[doc(hidden)]
        #[macro_export]
        macro_rules! each_operation {
            ($dollar check:path) => { $crate::named_tests! { $dollar check: $($op)* } };
        }
    };
}

// For each operation a block:
//
// `name { domain |x, y| call => shapes of the first case, shapes of the second case, ..; }`,
// `name: optional { .. }` for those that need an optional method of the backend.
//
// A keyword has `_` behind it. A call with nothing but a function and its arguments, `x.atan2(y)`,
// makes the function's name one of the vocabulary of test vectors. Last come calls for random
// programs with parameters `p` that are drawn: `_ |p, x, y| call;`.
//
// What is composed of other operations stands under one of those it is made of.
table! { $
    // Arithmetic.
    add {
        Real |x, y| x + y             => [] [], [2, 2] [2], [3] [3], [2, 3] [3], [3] [2, 3], [2, 1] [1, 3], [] [2, 2], [2, 1, 2] [3, 1], [0] [1], [2, 0] [], [2, 1, 2, 2] [2, 1];
        Real |x| x + x                => [], [2, 2];
        Real |x, _unused| x + 1.0 + x => [3] [2];
    }
    sub {
        Real |x, y| x - y => [] [], [2, 2] [2], [2, 3] [2, 3], [2, 3] [3], [1] [2, 2], [3, 1] [4], [0, 2] [2];
        Real |x| x - x    => [3];
    }
    mul {
        Real |x, y| x * y           => [] [], [2, 2] [2], [3] [3], [2, 3] [3], [3] [2, 3], [2, 1] [1, 3], [] [2, 2], [2, 2] [], [2, 0] [2, 1], [1, 2, 1, 2] [2, 1, 2];
        Real |x| x * x              => [], [3], [2, 2];
        Real |x, _unused| x * x * x => [2] [2];
    }
    div {
        Real |x, y| x / y   => [] [], [2, 2] [2], [3] [3], [2, 3] [3], [2] [3, 2], [2, 1] [1, 2], [] [3], [0] [0];
        Real |x| x / x      => [3];
        Real |x| x / 2.5    => [3];
        Real |x| 2.5 / x    => [2, 2];
        Real |x| x.median() => [], [3], [2, 2];
        _ |p, x, y| x / (y.square() + 0.5);
    }
    mul_or_zero {
        Real |x, y| x.mul_or_zero(y) => [] [], [3] [3], [2, 3] [3], [2, 1] [1, 2], [0] [1];
        Real |x| x.mul_or_zero(x)    => [3];
    }
    mul_or_zero_both { Real |x, y| slope(x, |p| x.mul_or_zero(p) * y) => [] [], [3] [3], [2, 3] [3], [0] [1]; }
    neg { Real |x| -x => [], [3], [2, 0], [2, 1, 2]; }
    scale {
        Real |x| x * 2.5              => [], [2, 3], [0];
        Real |x| x.scale(0.0)         => [2];
        Real |x| x.affine(2.5, -0.75) => [3];
        _ |p, x| x.affine(p.x(), p.x());
    }
    shift {
        Real |x| x + 2.5 => [], [2, 3], [0];
        Real |x| 1.5 - x => [2];
    }
    recip {
        Real |x| x.recip() => [], [2, 3], [0];
        _ |p, x| (x.square() + 0.3).recip();
    }
    powf {
        Real |x| x.powf(0.0)      => [], [3];
        Real |x| x.powf(1.0)      => [3];
        Real |x| x.powf(2.0)      => [], [3], [0];
        Real |x| x.powf(-1.0)     => [2, 2];
        Positive |x| x.powf(0.5)  => [], [2, 2];
        Positive |x| x.powf(-1.5) => [3];
        Positive |x| x.powf(3.25) => [2, 1, 2];
        _ |p, x| (x.square() + 0.3).powf(2.0 * p.x());
    }
    powi {
        Real |x| x.powi(0)  => [], [3];
        Real |x| x.powi(1)  => [3];
        Real |x| x.powi(2)  => [], [0], [2, 2];
        Real |x| x.powi(3)  => [3];
        Real |x| x.powi(-1) => [3];
        Real |x| x.powi(-2) => [2, 2];
        _ |p, x| x.powi(p.of(&[0, 1, 2, 3, 4]));
    }

    square { Real |x| x.square() => [], [3], [2, 3], [0]; }
    sqrt { Positive |x| x.sqrt() => [], [3], [2, 3], [0]; }
    rsqrt { Positive |x| x.rsqrt() => [], [3], [2, 3], [0]; }
    pow {
        Positive |x, y| x.pow(y)      => [] [], [3] [3], [2, 3] [3], [2, 1] [1, 2], [0] [1];
        Real |x, y| x.square().pow(y) => [2, 2] [2];
        Real |x| x.pow(3.0)           => [3];
        Positive |x| x.pow(x)         => [3];
        _ |p, x, y| (x.square() + 0.3).pow(y.tanh());
    }
    pow_ln {
        Positive |x, y| slope(y, |y| x.pow(y)) => [] [], [2, 2] [2];
        Positive |x, y| slope(y, |y| slope(y, |y| x.pow(y))) => [3] [3];
    }

    // Exponentials, logarithms and their kin.
    exp {
        Real |x| x.exp()          => [], [3], [2, 3], [0, 2], [1, 2, 1, 2];
        Real |_unused, x| x.exp() => [2] [];
    }
    expm1 {
        Real |x| x.expm1()  => [], [3], [2, 3], [0];
        Real |x| x.elu(1.3) => [], [4];
        _ |p, x| x.elu(p.x());
    }
    exp2 { Real |x| x.exp2() => [], [3], [2, 3], [0]; }
    ln { Positive |x| x.ln() => [], [3], [2, 3], [0]; }
    log2 { Positive |x| x.log2() => [], [3], [2, 3], [0]; }
    log10 { Positive |x| x.log10() => [], [3], [2, 3], [0]; }
    log1p { Small |x| x.log1p() => [], [3], [2, 3], [0]; }
    logaddexp {
        Real |x, y| x.logaddexp(y) => [] [], [3] [3], [2, 3] [3], [2, 1] [1, 2], [0] [1];
        Real |x| x.logaddexp(x)    => [3];
    }
    xlogy {
        Positive |x, y| (x - 1.1).xlogy(y) => [] [], [3] [3], [2, 3] [3], [2, 1] [1, 2], [0] [1];
        Positive |x| x.xlogy(x)            => [3];
        _ |p, x, y| x.xlogy(y.square() + 0.5);
    }
    hypot {
        Real |x, y| x.hypot(y)        => [] [], [3] [3], [2, 3] [3], [2, 1] [1, 2], [0] [1];
        Real |x| x.hypot(x)           => [3];
        Real |x, y| x.hypot(y * 1e-9) => [3] [3];
    }
    direction { Real |x, y| slope(x, |x| x.hypot(y)) => [] [], [3] [3], [2, 1] [1, 2]; }
    div_or_zero { Positive |x, y| slope(y, |y| x.xlogy(y)) => [] [], [3] [3]; }
    erf { Real |x| x.erf() => [], [3], [2, 3], [0]; }
    gaussian { Real |x| slope(x, |x| x.erf()) => [], [3], [0]; }
    abs {
        Real |x| x.abs()              => [], [3], [2, 3], [0];
        Real |x| x.norm_axes(2.0, []) => [], [2, 3];
    }
    mul_sign { Real |x| slope(x, |x| x.abs()) => [], [3], [0]; }

    // Trigonometric and hyperbolic functions.
    sin { Real |x| x.sin() => [], [3], [2, 3], [0]; }
    cos { Real |x| x.cos() => [], [3], [2, 3], [0]; }
    tan { Small |x| x.tan() => [], [3], [2, 3], [0]; }
    asin { Small |x| x.asin() => [], [3], [2, 3], [0]; }
    acos { Small |x| x.acos() => [], [3], [2, 3], [0]; }
    one_plus_square {
        Small |x| slope(x, |x| x.asin()) => [], [2, 2];
        Real |x| slope(x, |x| slope(x, |x| x.asinh())) => [3];
    }
    atan { Real |x| x.atan() => [], [3], [2, 3], [0]; }
    atan2 {
        Real |y, x| y.atan2(x) => [] [], [3] [3], [2, 3] [3], [2, 1] [1, 2], [0] [1];
        Real |x| x.atan2(x)    => [3];
        _ |p, y, x| y.atan2(x.square() + 0.5);
    }
    sinc {
        Real |x| x.sinc()       => [], [3], [2, 3], [0];
        Real |x| (x * 3.0).sinc() => [4];
        Real |x| (x * 0.0).sinc() => [3];
    }
    sinh { Real |x| x.sinh() => [], [3], [2, 3], [0]; }
    cosh { Real |x| x.cosh() => [], [3], [2, 3], [0]; }
    tanh { Real |x| x.tanh() => [], [3], [2, 3], [0]; }
    tanh_slope { Real |x| slope(x, |x| x.tanh()) => [], [3], [0]; }
    asinh { Real |x| x.asinh() => [], [3], [2, 3], [0]; }
    acosh { AboveOne |x| x.acosh() => [], [3], [2, 3], [0]; }
    atanh { Small |x| x.atanh() => [], [3], [2, 3], [0]; }

    // Activations.
    sigmoid { Real |x| x.sigmoid() => [], [3], [2, 3], [0]; }
    logistic_density { Real |x| slope(x, |x| x.sigmoid()) => [], [3], [0]; }
    softplus {
        Real |x| x.softplus()    => [], [3], [2, 3], [0];
        Real |x| x.log_sigmoid() => [], [3];
    }
    relu { Real |x| x.relu() => [], [3], [2, 3], [0]; }
    silu { Real |x| x.silu() => [], [3], [2, 3], [0]; }
    gelu { Real |x| x.gelu() => [], [3], [2, 3], [0]; }
    normal_cdf { Real |x| slope(x, |x| x.gelu()) => [], [3], [0]; }
    gelu_tanh { Real |x| x.gelu_tanh() => [], [3], [2, 3], [0]; }
    normal_cdf_tanh { Real |x| slope(x, |x| x.gelu_tanh()) => [3]; }
    density_of_u { Real |x| slope(x, |x| x.gelu_tanh()) => [], [0]; }

    // Choosing.
    maximum {
        Real |x, y| x.maximum(y) => [] [], [4] [4], [2, 3] [3], [2, 1] [1, 3], [0] [0];
        Real |x| x.maximum(x)    => [3];
        Real |x| x.maximum(0.0)  => [4];
    }
    minimum {
        Real |x, y| x.minimum(y) => [] [], [4] [4], [3] [2, 3], [2, 1] [1, 3], [0] [1];
        Real |x| x.minimum(x)    => [3];
    }
    clamp_min { Real |x| x.clamp_min(0.85) => [], [6], [2, 3], [0]; }
    clamp_max {
        Real |x| x.clamp_max(0.85)    => [], [6], [2, 3], [0];
        Real |x| x.clamp(-0.85, 1.25) => [], [6];
        _ |p, x| x.clamp(-p.x().abs(), p.x().abs());
    }
    where_ {
        Real |m, a, b| m.gt(0.0).where_(a, b)      => [] [] [], [4] [4] [4], [2, 2] [2] [], [2, 1] [1, 3] [2, 3], [0] [1] [0];
        Real |m, a, b| m.where_(a, b)              => [2] [2] [1];
        Real |x| x.gt(0.0).where_(x, x * x)        => [4];
        Real |x| x.lt(0.0).where_(1.5, x)          => [4];
        Real |x| x.leaky_relu(0.1)                 => [], [4];
        Real |m, x| x.masked_fill(m.gt(0.0), f64::INFINITY).where_(0.0, x) => [2] [3, 2];
        Real |m, x, y| x.masked_fill(m.gt(0.0), y) => [3] [2, 3] [];
        _ |p, x, y, z| x.gt(p.x()).where_(y, z);
        _ |p, x, y, z| x.masked_fill(y.le(z), p.x());
        _ |p, x| x.leaky_relu(p.x());
    }
    lt { Whole |x, y| x.lt(y) => [] [], [5] [5], [5, 1] [1, 5], [0] [1]; }
    le { Whole |x, y| x.le(y) => [] [], [5] [5], [5, 1] [1, 5], [0] [1]; }
    gt { Whole |x, y| x.gt(y) => [] [], [5] [5], [5, 1] [1, 5], [0] [1]; }
    ge { Whole |x, y| x.ge(y) => [] [], [5] [5], [5, 1] [1, 5], [0] [1]; }
    eq {
        Whole |x, y| x.eq(y) => [] [], [5] [5], [5, 1] [1, 5], [0] [1];
        Whole |x| x.eq(x)    => [3];
    }
    ne { Whole |x, y| x.ne(y) => [] [], [5] [5], [5, 1] [1, 5], [0] [1]; }
    sign { Whole |x| x.sign() => [], [5], [2, 3], [0]; }
    floor { Halves |x| x.floor() => [], [5], [2, 3], [0]; }
    ceil { Halves |x| x.ceil() => [], [5], [2, 3], [0]; }
    round { Halves |x| x.round() => [], [5], [2, 3], [0]; }
    trunc {
        Halves |x| x.trunc() => [], [5], [2, 3], [0];
        _ |p, x, y| x * y.sign() + x.floor() - y.round() * x.ceil().lt(y.trunc());
    }
    detach {
        Whole |x| x.detach() => [], [5], [2, 3], [0];
        _ |p, x, y| x.detach() * y;
    }

    // Reductions.
    sum {
        Real |x| x.sum()               => [], [3], [2, 3], [0], [2, 0], [2, 1, 2, 2];
        Real |x| x.sum_axes(0)         => [3], [2, 2], [2, 3], [0, 2], [2, 0], [2, 1, 2, 2];
        Real |x| x.sum_axes([0, -1])   => [2, 3], [2, 3, 2], [2, 0, 2];
        Real |x| x.sum_axes([-1, 1])   => [2, 2, 2];
        Real |x| x.sum_axes([])        => [], [2, 3];
        Real |x| x.sum_keepdim(-1)     => [3], [2, 3], [2, 0];
        Real |x| x.sum_keepdim([0, 2]) => [2, 3, 2];
        _ |p, x| x.sum_axes(&p.axes(x)[..]);
    }
    mean {
        Real |x| x.mean()                            => [], [3], [2, 3], [2, 1, 2, 2];
        Real |x| x.mean_axes(0)                      => [3], [2, 2], [2, 3], [2, 0];
        Real |x| x.mean_axes([0, -1])                => [2, 3, 2];
        Real |x| x.mean_axes([])                     => [2, 3];
        Real |x| x.mean_keepdim(-1)                  => [3], [2, 3], [0, 2];
        Real |x| x.var(1)                            => [3], [2, 3];
        Real |x| x.var_axes([0, -1], 0)              => [2, 3, 2];
        Real |x| x.var_keepdim(1, 1)                 => [2, 3], [0, 2];
        Real |x, w, b| x.layer_norm(-1, w, b, 0.1)   => [2, 3] [3] [3];
        Real |x| x.layer_norm([0, 1], 2.0, 0.5, 0.1) => [2, 2];
        Real |x, w| x.rms_norm(-1, w, 0.1)           => [3] [3], [2, 3] [3];
        Real |x, w, b| x.batch_norm(w, b, 0.1)       => [3, 2] [2] [2], [2, 2, 2] [2] [2];
        Real |x, y| x.mse_loss(y)                    => [] [], [3] [3], [2, 3] [3];
        Real |x, y| x.huber_loss(y, 0.5)             => [4] [4], [2, 2] [];
        Real |x, y| x.bce_with_logits(y)             => [] [], [4] [4], [2, 3] [3];
        _ |p, x| x.mean_keepdim(&p.axes(x)[..]);
        _ |p, x| x.var_axes(&p.axes(x)[..], p.n(0, 1));
        _ |p, x, w| x.layer_norm(&p.axes(x)[..], w.mean(), p.x(), 0.1);
        _ |p, x, w| x.rms_norm(p.axis(x), w.mean(), 0.1);
        _ |p, x, w| { let c = p.n(1, 3); p.fit(x, &[2, c, 2]).batch_norm(p.fit(w, &[c]), p.fit(x, &[c]), 0.1) };
        _ |p, x, y| x.huber_loss(y, p.x().abs() + 0.1);
        _ |p, x, y| x.bce_with_logits(y.sigmoid());
    }
    max {
        Real |x| x.max()                           => [], [3], [2, 3], [2, 1, 2, 2];
        Real |x| x.norm(f64::INFINITY)             => [], [3];
        Real |x| x.norm_keepdim(f64::INFINITY, -1) => [2, 3];
        Real |x| x.max_axes(0)                     => [3], [2, 2], [2, 3], [2, 0];
        Real |x| x.max_axes([0, -1])               => [2, 3, 2];
        Real |x| x.max_axes([])                    => [], [2, 3];
        Real |x| x.max_keepdim(-1)                 => [3], [2, 3], [0, 2];
        _ |p, x| x.max_axes(&p.axes(x)[..]);
    }
    min {
        Real |x| x.min()             => [], [3], [2, 3], [2, 1, 2, 2];
        Real |x| x.min_axes(0)       => [3], [2, 2], [2, 3], [2, 0];
        Real |x| x.min_axes([0, -1]) => [2, 3, 2];
        Real |x| x.min_axes([])      => [], [2, 3];
        Real |x| x.min_keepdim(-1)   => [3], [2, 3], [0, 2];
        _ |p, x| x.min_keepdim(&p.axes(x)[..]);
    }
    sum_to {
        Real |x| x.sum_to([])     => [], [3], [2, 3], [0];
        Real |x| x.sum_to([2, 1]) => [2, 1], [2, 3], [3, 2, 2], [3, 2, 0];
        Real |x| x.sum_to([2, 3]) => [2, 3], [2, 2, 3];
    }
    zero_where_zero { Real |x| slope(x, |x| x.norm(2.0)) => [3], [2, 3]; }
    norm {
        Real |x| x.norm(2.0)                         => [], [3], [2, 3], [2, 1, 2, 2];
        Real |x| x.norm(3.5)                         => [], [3], [2, 3];
        Real |x| x.norm(0.5)                         => [2];
        Real |x| x.norm_axes(2.0, 0)                 => [3], [2, 2], [2, 3], [2, 0];
        Real |x| x.norm_axes(2.0, [0, -1])           => [2, 3, 2];
        Real |x| x.norm_axes(1.5, 1)                 => [2, 3];
        Real |x| x.norm_keepdim(2.0, -1)             => [3], [2, 3], [0, 2];
        Real |x, y| x.cosine_similarity(y, -1, 1e-8) => [3] [3], [2, 3] [3];
        Real |x| x.std(1)                            => [3], [2, 3];
        Real |x| x.std_axes(0, 1)                    => [3, 2], [2, 0];
        Real |x| x.std_keepdim([0, -1], 0)           => [2, 2, 3];
        _ |p, x| x.norm_axes(p.of(&[1.0, 2.0, 3.0, 2.5, f64::INFINITY]), &p.axes(x)[..]);
        _ |p, x| x.std_keepdim(&p.axes(x)[..], p.n(0, 1));
        _ |p, x, y| x.cosine_similarity(y, p.axis(x), 1e-3);
    }
    cumsum {
        Real |x| x.cumsum(0)  => [3], [2, 2], [2, 1, 2, 2], [0], [2, 0];
        Real |x| x.cumsum(-1) => [2, 3], [0, 2];
        _ |p, x| x.cumsum(p.axis(x));
    }
    logsumexp {
        Real |x| x.logsumexp()             => [], [3], [2, 3], [2, 1, 2, 2];
        Real |x| x.logsumexp_axes(0)       => [3], [2, 2], [2, 0];
        Real |x| x.logsumexp_axes([0, -1]) => [2, 3, 2];
        Real |x| x.logsumexp_axes([])      => [], [2, 3];
        Real |x| x.logsumexp_keepdim(-1)   => [3], [2, 3], [0, 2];
        _ |p, x| x.logsumexp_keepdim(&p.axes(x)[..]);
    }
    softmax_jacobian { Real |x| slope(x, |x| x.softmax(0).square()) => [3], [3, 2]; }
    log_softmax_transposed { Real |x| slope(x, |x| x.log_softmax(0).square()) => [3], [3, 2]; }
    log_softmax_jacobian {
        Real |x| slope(x, |x| slope(x, |x| x.log_softmax(0).square())) => [3];
    }
    softmax {
        Real |x| x.softmax(0)  => [3], [1], [3, 2], [2, 2, 2], [0], [0, 2];
        Real |x| x.softmax(-1) => [2, 3], [2, 1, 2, 2], [2, 0];
        _ |p, x| x.softmax(p.axis(x));
    }
    log_softmax {
        Real |x| x.log_softmax(0)  => [3], [1], [3, 2], [2, 2, 2], [0], [0, 2];
        Real |x| x.log_softmax(-1) => [2, 3], [2, 1, 2, 2], [2, 0];
        _ |p, x| x.log_softmax(p.axis(x));
    }

    // Movement.
    identity {
        Real |x| x.identity()     => [], [3], [2, 3], [0];
        Real |x| x * x.identity() => [3];
    }
    expand {
        Real |x| x.expand([2, 3])           => [], [1], [3], [1, 3], [2, 1], [2, 3];
        Real |x| x.expand([2, 2, 1, 3])     => [2, 1, 1], [3];
        Real |x| x.expand([0, 2])           => [], [2], [1, 1], [0, 2];
        Real |x| x.tile(&[2, 3])            => [2, 2], [3], [0, 2];
        Real |x| x.tile(&[3])               => [], [2, 1], [2, 2];
        Real |x| x.repeat_interleave(-1, 2) => [3], [2, 2], [0, 2];
        Real |x| x.repeat_interleave(0, 0)  => [2, 2];
        _ |p, x, y| x.expand([&[p.n(1, 2)][..], &x.shape().unwrap_or_default()].concat()) * y;
        _ |p, x| x.tile(&[p.n(1, 2), p.n(1, 2)]);
        _ |p, x| x.repeat_interleave(p.axis(x), p.n(1, 2));
    }
    reshape {
        Real |x| x.reshape([])                  => [], [1], [1, 1];
        Real |x| x.reshape([3, 2])              => [6], [2, 3], [1, 3, 2];
        Real |x| x.reshape([2, 1, 2, 1])        => [4], [2, 2];
        Real |x| x.reshape([0, 7])              => [0], [3, 0];
        Real |x| x.squeeze(1) * x.unsqueeze(-1) => [2, 1], [2, 1, 2];
        _ |p, x| x.reshape(p.reshaped(x));
    }
    permute {
        Real |x| x.permute([])           => [];
        Real |x| x.permute([0])          => [3];
        Real |x| x.permute([1, 0])       => [2, 3], [2, 0];
        Real |x| x.permute([2, 0, -2])   => [2, 3, 2];
        Real |x| x.permute([3, 1, 0, 2]) => [2, 1, 2, 3];
        Real |x| x.transpose(0, -1)      => [3], [2, 3], [2, 2, 3];
        Real |x| x * x.transpose(0, 1)   => [2, 2];
        _ |p, x| x.permute(&p.permutation(x)[..]);
        _ |p, x| x.transpose(p.axis(x), p.axis(x));
    }
    slice: optional {
        Real |x| x.slice(&[])            => [];
        Real |x| x.slice(&[by(1, 4, 2)]) => [5];
        Real |x| x.slice(&[by(0, 2, 1), by(1, 3, 1)]) => [2, 3];
        Real |x| x.slice(&[by(1, 1, 1), by(0, 3, 3)]) => [2, 3];
        Real |x| x.narrow(-1, 1, 2)      => [3], [2, 3], [2, 1, 4];
        Real |x| x.prod()                => [2], [3], [2, 3], [7];
        Real |x| x.prod_axes(0)          => [3], [2, 2], [5, 2];
        Real |x| x.prod_keepdim([0, -1]) => [2, 2, 3];
        Real |x| x.cumprod(0)            => [2], [3], [5], [3, 2];
        Real |x| x.cumprod(-1)           => [2, 3], [2, 1, 4];
        Real |x| x.narrow(0, 0, 2) * x.narrow(0, 1, 2) => [3];
        Real |x| x.tape().einsum("i...i->i...", &[x]) => [2, 2], [3, 2, 3];
        Real |x, y| x.tape().einsum("iji,jk->ki", &[x, y]) => [2, 3, 2] [3, 2];
        Real |x| x.split(-1, &[1, 2]).into_iter().fold(x, |x, part| x * part.sum()) => [3], [2, 3];
        Real |x| x.diagonal()            => [3, 3], [2, 3], [3, 2], [2, 2, 2], [0, 2], [2, 0];
        Real |x| x.trace()               => [2, 2], [2, 3, 2], [0, 0];
        _ |p, x| { let shape = x.shape().unwrap_or_default(); x.slice(&p.slices(&shape)) };
        _ |p, x| { let axis = p.axis(x); let (n, k) = (Draw::size(x, axis), p.n(0, 2)); x.split(axis, &[k.min(n), n - k.min(n)])[1] };
        _ |p, x| x.prod_axes(&p.axes(x)[..]);
        _ |p, x| x.cumprod(p.axis(x));
        _ |p, x| x.diagonal();
        _ |p, x| x.trace();
        _ |p, x| x.tape().einsum(p.of(&["ii->i", "ij->ji", "ijk->kj", "...i->...", "i->"]), &[x]);
    }
    unslice: optional {
        Real |x| x.unslice([5], &[by(1, 4, 2)]) => [2];
        Real |x| x.unslice([2, 4], &[by(0, 2, 1), by(1, 4, 2)]) => [2, 2];
        Real |x| x.unslice([2], &[by(1, 1, 1)]) => [0];
        Real |x| x.diag()                       => [3], [2, 2], [1], [0];
        _ |p, x| { let shape = x.shape().unwrap_or_default(); let s = p.slices(&shape); x.slice(&s).unslice(shape, &s) };
        _ |p, x| x.diag();
    }
    pad: optional {
        Real |x| x.pad(&[], 2.0)               => [];
        Real |x| x.pad(&[(1, 2)], 0.0)         => [3], [0];
        Real |x| x.pad(&[(0, 1), (2, 0)], 1.5) => [2, 2], [0, 2], [2, 0];
        Real |x| x.pad(&[(1, 1)], f64::INFINITY).recip() => [3];
        _ |p, x| x.pad(&(0..Draw::rank(x)).map(|_| (p.n(0, 2), p.n(0, 1))).collect::<Vec<_>>(), p.x());
    }
    flip: optional {
        Real |x| x.flip(0)       => [3], [2, 2], [0];
        Real |x| x.flip([-1, 0]) => [2, 3], [2, 1, 3], [2, 0];
        Real |x| x * x.flip([0]) => [3];
        _ |p, x| x.flip(&p.axes(x)[..]);
    }
    roll: optional {
        Real |x| x.roll(0, 1)   => [3], [3, 2], [0];
        Real |x| x.roll(-1, -4) => [3], [2, 3];
        _ |p, x| x.roll(p.axis(x), p.n(0, 5) as isize - 2);
    }
    tril {
        Real |x| x.tril(0)  => [3, 3], [2, 3], [3, 2], [2, 2, 2], [0, 2];
        Real |x| x.tril(-1) => [3, 3];
        _ |p, x| x.tril(p.n(0, 3) as isize - 1);
    }
    triu {
        Real |x| x.triu(0) => [3, 3], [2, 3], [3, 2], [2, 2, 2], [2, 0];
        Real |x| x.triu(1) => [3, 3];
        _ |p, x| x.triu(p.n(0, 3) as isize - 1);
    }
    concat: optional {
        Real |x| x.tape().concat(&[x], 0)            => [2], [2, 2];
        Real |x| x.tape().concat(&[x, x * x, x], -1) => [2], [2, 1];
        Real |x, y| x.tape().concat(&[x, y], 0)      => [2] [3], [1, 2] [2, 2], [0, 2] [1, 2];
        Real |x, y, z| x.tape().concat(&[x, y, z], -1) => [2, 1] [2, 2] [2, 0], [2, 1, 1] [2, 1, 2] [2, 1, 1];
        Real |x, y| x.tape().stack(&[x, y], 0)       => [] [], [2] [2], [2, 2] [2, 2], [0] [0];
        Real |x, y| x.tape().stack(&[x, y, x], -1)   => [] [], [2] [2], [2, 2] [2, 2];
        _ |p, x, y| x.tape().concat(&[x, y, x], p.axis(x));
        _ |p, x, y| x.tape().stack(&[x, x * y], p.n(0, Draw::rank(x)) as isize);
    }
    unfold: optional {
        Real |x| x.unfold(0, window(2, 1, 1))    => [4], [3, 2], [2], [1], [0, 2];
        Real |x| x.unfold(-1, window(2, 2, 2))   => [6], [2, 5];
        Real |x, w| x.conv1d(w, Conv::default()) => [1, 1, 4] [1, 1, 2], [2, 2, 3] [3, 2, 2], [0, 1, 2] [1, 1, 2];
        Real |x, w| x.conv1d(w, Conv::default().stride(2).padding(2).dilation(2)) => [1, 1, 4] [2, 1, 3];
        Real |x, w| x.conv2d(w, Conv::default()) => [2, 1, 3, 3] [1, 1, 2, 2], [1, 2, 2, 3] [2, 2, 1, 2];
        Real |x, w| x.conv2d(w, Conv::default().stride([2, 1]).padding([0, 1]).dilation([1, 2])) => [1, 1, 4, 3] [1, 1, 2, 2];
        Real |x, w| x.conv2d(w, Conv::default().groups(2)) => [2, 2, 2, 2] [4, 1, 2, 1];
        Real |x| x.max_pool2d(2)                 => [1, 1, 4, 4], [1, 2, 3, 2];
        Real |x| x.max_pool2d(Pool::new([3, 2]).stride(1).padding(1)) => [1, 1, 3, 3];
        Real |x| x.avg_pool2d(Pool::new(2).stride([1, 2])) => [1, 1, 3, 4], [2, 1, 2, 2];
        _ |p, x| { let axis = p.axis(x); x.unfold(axis, p.window(Draw::size(x, axis))) };
        _ |p, x, w| { let (x, w, conv) = p.conv::<_, 1>(x, w, false); x.conv1d(w, conv) };
        _ |p, x, w| { let (x, w, conv) = p.conv::<_, 2>(x, w, false); x.conv2d(w, conv) };
        _ |p, x| { let (h, w) = (p.n(3, 5), p.n(3, 5)); p.fit(x, &[1, 2, h, w]).max_pool2d(p.pool()) };
        _ |p, x| { let (h, w) = (p.n(3, 5), p.n(3, 5)); p.fit(x, &[1, 2, h, w]).avg_pool2d(p.pool()) };
    }
    fold: optional {
        Real |x| x.fold(0, window(2, 1, 1), 4)  => [3, 2], [3, 2, 2];
        Real |x| x.fold(-1, window(2, 2, 2), 6) => [2, 2];
        Real |x, w| x.conv_transpose2d(w, Conv::default()) => [1, 1, 2, 2] [1, 1, 2, 2], [2, 1, 1, 2] [1, 2, 2, 1];
        Real |x, w| x.conv_transpose2d(w, Conv::default().stride(2).padding(1)) => [1, 2, 2, 2] [2, 1, 3, 3];
        Real |x, w| x.conv_transpose2d(w, Conv::default().dilation(2).groups(2)) => [1, 2, 1, 2] [2, 2, 2, 1];
        _ |p, x| { let n = p.n(2, 6); let w = p.window(n); let m = w.count(n).unwrap_or(0); p.fit(x, &[m, 2, w.size]).fold(0, w, n) };
        _ |p, x, w| { let (x, w, conv) = p.conv::<_, 2>(x, w, true); x.conv_transpose2d(w, conv) };
    }

    // Picking.
    index_select: optional {
        Real |x| x.index_select(0, &[2, 0, 2]) => [3], [3, 2];
        Real |x| x.index_select(-1, &[1, 1])   => [2, 2], [2, 1, 2];
        Real |x| x.index_select(0, &[])        => [3], [0, 2];
        Real |x| x.det()                       => [2, 2], [3, 3], [2, 3, 3], [0, 2, 2];
        Real |x| x.sort(0)                     => [3], [1], [3, 2], [2, 0], [0];
        Real |x| x.sort(-1)                    => [2, 3], [2, 1, 4];
        Real |x| x.topk(2)                     => [3], [2, 3], [2, 2, 4];
        Real |x| x.cross_entropy([2, 0])       => [2, 3];
        Real |x| x.take(index([2, 2], &[0, 5, 5, 2])) => [2, 3], [6];
        Real |x| x.embedding(index([2, 2], &[0, 1, 1, 2])) => [3, 2];
        _ |p, x| { let axis = p.axis(x); x.index_select(axis, &p.places(Draw::size(x, axis))) };
        _ |p, x| x.sort(p.axis(x));
        _ |p, x| x.topk(p.n(0, Draw::size(x, -1)));
        _ |p, x| { let (n, c) = (p.n(1, 3), p.n(1, 4)); p.fit(x, &[n, c]).cross_entropy(p.index(&[n], c)) };
        _ |p, x| x.take(p.index(&[2, 3], Draw::n_elements(x)));
        _ |p, x| { let (n, d) = (p.n(1, 3), p.n(1, 3)); p.fit(x, &[n, d]).embedding(p.index(&[2, 2], n)) };
        _ |p, x| p.invertible(x).0.det();
    }
    index_add: optional {
        Real |x, s| x.index_add(0, &[2, 0, 2], s) => [4] [3], [3, 2] [3, 2];
        Real |x, s| x.index_add(-1, &[1, 1], s)   => [2, 3] [2, 2];
        Real |x, s| x.index_add(0, &[], s)        => [2] [0], [0, 2] [0, 2];
        _ |p, x, s| { let axis = p.axis(x); let i = p.places(Draw::size(x, axis)); x.index_add(axis, &i, s.mean() * x.index_select(axis, &i)) };
    }
    gather: optional {
        Real |x| x.gather(0, [2, 0, 2, 2])       => [3];
        Real |x| x.gather(-1, index([2, 2], &[0, 0, 2, 1])) => [2, 3], [3, 3];
        Real |x| x.gather(0, index([3, 1], &[1, 0, 1])) => [2, 2], [2, 1];
        Real |x| x.gather(0, index([0, 2], &[])) => [2, 2], [0, 2];
        _ |p, x| { let axis = p.axis(x); x.gather(axis, p.index_into(x, axis)) };
    }
    scatter_add: optional {
        Real |x, s| x.scatter_add(0, [2, 0, 2, 2], s) => [3] [4];
        Real |x, s| x.scatter_add(-1, index([2, 2], &[0, 0, 2, 1]), s) => [2, 3] [2, 2], [3, 3] [2, 2];
        Real |x, s| x.scatter(0, [2, 0, 2, 2], s) => [3] [4];
        Real |x, s| x.scatter(-1, index([2, 2], &[0, 0, 2, 1]), s) => [2, 3] [2, 2], [3, 3] [2, 2];
        Real |x, s| x.scatter(0, [], s)           => [2] [0], [0] [0];
        _ |p, x, s| { let axis = p.axis(x); let i = p.index_into(x, axis); x.scatter_add(axis, i.clone(), p.fit(s, i.shape())) };
        _ |p, x, s| { let axis = p.axis(x); let i = p.index_into(x, axis); x.scatter(axis, i.clone(), p.fit(s, i.shape())) };
    }

    // Linear algebra.
    matmul {
        Real |x, y| x.matmul(y)              => [2, 3] [3, 2], [1, 1] [1, 1], [1, 3] [3, 1], [2, 0] [0, 2], [0, 2] [2, 3];
        Real |x, y| x.matmul(y)              => [3] [3], [3] [3, 2], [2, 3] [3], [2] [2, 2, 3], [2, 3, 2] [2];
        Real |x, y| x.matmul(y)              => [2, 2, 3] [2, 3, 2], [2, 2, 3] [3, 2], [2, 3] [2, 3, 1], [2, 1, 2, 2] [3, 2, 1], [0, 2, 2] [2, 2];
        Real |x| x.matmul(x)                 => [2, 2], [3], [2, 2, 2];
        Real |x| x.transpose(0, 1).matmul(x) => [3, 2];
        Real |x, y| x.tape().einsum("bhqd,bhkd->bhqk", &[x, y]) => [1, 2, 2, 3] [1, 2, 3, 3];
        Real |x, y| x.tape().einsum("ij,kj", &[x, y]) => [2, 3] [2, 3], [2, 0] [1, 0];
        Real |x, y| x.tape().einsum("...ij,j...->...i", &[x, y]) => [2, 2, 3] [3, 2], [2, 3] [3];
        Real |x, y| x.tape().einsum("ij,ij->", &[x, y]) => [2, 3] [2, 3], [1, 3] [2, 3];
        Real |x, y, z| x.tape().einsum("ab,bc,dc->da", &[x, y, z]) => [2, 2] [2, 3] [2, 3];
        _ |p, x, y| x.matmul(y);
        _ |p, x, y| x.matmul(y.transpose(-1, -2));
        _ |p, x| x.transpose(-1, -2).matmul(x);
        _ |p, x, y| { let (m, k, n) = (p.n(1, 3), p.n(1, 3), p.n(1, 3)); p.fit(x, &[2, m, k]).matmul(p.fit(y, &[k, n])) };
        _ |p, x, y| x.tape().einsum(p.of(&["i,i", "ij,jk", "ij,kj->ik", "...i,...i->...", "ij->ji", "i,j", "bij,bjk->bik", "ijk->kj"]), &[x, y]);
    }
    solve: optional {
        Real |a, b| a.solve(b)         => [1, 1] [1, 2];
        Real |a, b| graded(a).solve(b) => [2, 2] [2, 3], [3, 3] [3], [2, 2, 2] [2, 2], [2, 2] [2, 2, 1], [2, 1, 2, 2] [2, 2, 1], [0, 0] [0, 2], [2, 2] [2, 0], [0, 2, 2] [2];
        Real |a| graded(a).solve(a)    => [2, 2];
        _ |p, x, y| { let (a, n) = p.invertible(x); a.solve(p.fit(y, &[2, n, 2])) };
    }
    triangular_solve: optional {
        Real |a, b| graded(a).triangular_solve(b, true) => [2, 2] [2, 3], [3, 3] [3], [2, 2, 2] [2, 1], [0, 0] [0, 2];
        Real |a, b| graded(a).triangular_solve(b, false) => [3, 3] [3, 2], [2, 2] [2, 2, 1];
        Real |a, b| graded(a).transpose(-2, -1).triangular_solve(b, false) => [3, 3] [3];
        _ |p, x, y| { let (a, n) = p.invertible(x); a.triangular_solve(p.fit(y, &[n, 3]), p.of(&[true, false])) };
    }
    inv: optional {
        Real |x| x.inv()         => [1, 1];
        Real |x| graded(x).inv() => [1, 1], [3, 3], [2, 2, 2], [0, 0], [0, 2, 2];
        _ |p, x| p.invertible(x).0.inv();
    }
    slogdet: optional {
        Real |x| x.logabsdet()         => [1, 1];
        Real |x| graded(x).slogdet().1 => [1, 1], [3, 3], [2, 2, 2], [0, 2, 2];
        Real |x| graded(x).logabsdet() => [2, 2];
        Real |x| graded(x).det()       => [4, 4], [2, 5, 5];
        _ |p, x| p.invertible(x).0.logabsdet();
    }
    cholesky: optional {
        Real |x| graded(x).cholesky() => [1, 1], [3, 3], [2, 2, 2], [0, 0];
        _ |p, x| p.definite(x).cholesky();
    }
    eigvalsh: optional {
        Real |x| x.eigvalsh()         => [1, 1];
        Real |x| graded(x).eigvalsh() => [1, 1], [3, 3], [2, 2, 2], [0, 0];
        _ |p, x| p.definite(x).eigvalsh();
    }
    spectral: optional { Real |x| slope(x, |x| graded(x).eigvalsh().square()) => [1, 1], [3, 3]; }
    eigh: optional {
        Real |x| graded(x).eigh().1   => [2, 2], [3, 3], [2, 2, 2];
        _ |p, x| p.definite(x).eigh().0;
    }

    // Functions as operations.
    checkpoint {
        Real |x| checkpoint(|x| (x * x.sin()).tanh(), x) => [], [3], [2, 0];
        Real |x, y| checkpoint(|[x, y]| x * y.exp(), [x, y]) => [] [], [2, 3] [3], [2, 1] [1, 2];
        Real |x| checkpoint(|[x, y]| x * y.exp(), [x, x]) => [3];
        Real |x| checkpoint(|x| checkpoint(|x| x.sin(), x) * x, x) => [3];
    }
    custom_vjp {
        Real |x| custom_vjp("custom_vjp", x, |x| x.tanh(), |_, y, ct| ct * (1.0 - y * y)) => [], [3], [2, 0];
        Real |x, y| custom_vjp("custom_vjp", [x, y], |[x, y]| x * y, |[x, y], _, ct| [ct * y, ct * x]) => [] [], [2, 3] [3], [2, 1] [1, 2];
    }
    custom_jvp {
        Real |x| custom_jvp("custom_jvp", x, |x| x.exp(), |_, y, t| y * t) => [], [3], [2, 0];
        Real |x, y| custom_jvp("custom_jvp", [x, y], |[x, y]| x * y, |[x, y], _, [s, t]| s * y + x * t) => [] [], [2, 3] [3], [2, 1] [1, 2];
    }
}

#[cfg(test)]
mod tests {
    use grad_core::{Shape, Tape};

    use super::{catalogue, operations};
    use crate::Reference;

    #[test]
    fn each_case_records_the_operation_it_is_filed_under() -> Result<(), String> {
        for case in catalogue::<Reference>() {
            let tape = Tape::new();
            let input = |(shape, data): &(Shape, Vec<f64>)| {
                Reference::new(shape, data.clone()).map(|x| tape.var(x))
            };
            let x = case.inputs.iter().map(input).collect::<Result<Vec<_>, _>>();
            let y = (case.apply)(&x.map_err(|e| e.to_string())?);
            y.value().map_err(|error| format!("{case}: {error}"))?;
            assert!(tape.nodes().any(|node| node.op == case.op), "{case}");
        }
        Ok(())
    }

    #[test]
    fn operations_stand_together() {
        let mut names = operations();
        let n = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), n, "an operation's cases are in two places: {names:?}");
    }

    #[test]
    fn elements_of_a_case_keep_their_distance() {
        for case in catalogue::<Reference>().iter().filter(|case| case.differentiable) {
            let mut elements: Vec<f64> = case.inputs.iter().flat_map(|x| x.1.clone()).collect();
            elements.push(0.0);
            elements.sort_by(f64::total_cmp);
            // Differences reach 2 · 2⁻¹² to each side, in a direction with entries up to 1.
            assert!(elements.windows(2).all(|pair| pair[1] - pair[0] > 2e-3), "{case}");
        }
    }
}
