//! The catalogue: every operation, applied to sample inputs in all the ways that differ.
//!
//! It drives the laws. A line says which operation, which values, the call, and the shapes of its
//! arguments, once for each case.

use std::fmt;

use grad_core::transform::{self, checkpoint, custom_jvp, custom_vjp};
use grad_core::{Conv, Index, Pool, Shape, Slice, TensorLike, Var, Window};

use crate::Reference;

/// The file that the nodes of a catalogued call, and its errors, name.
pub(crate) const FILE: &str = file!();

/// A function of handles, on any tape.
pub type Apply<T> = for<'t> fn(&[Var<'t, T>]) -> Var<'t, T>;

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

/// The operations that need an optional method.
#[rustfmt::skip] // In the order of the catalogue.
pub const OPTIONAL: &[&str] = &[
    "slice", "unslice", "pad", "flip", "roll", "concat", "unfold", "fold", "index_select",
    "index_add", "gather", "scatter_add", "solve", "triangular_solve", "inv", "slogdet", "cholesky", "eigh",
];

/// What the elements of the arguments are.
#[derive(Clone, Copy, PartialEq)]
enum Values {
    /// Of both signs, away from 0 and from each other, so that no kink is near.
    Real,
    /// The same, above 0.
    Positive,
    /// Small whole numbers, some equal; for operations that are flat.
    Whole,
}

impl Values {
    /// The `k`-th element of a case.
    fn at(self, k: usize) -> f64 {
        let k = k as f64;
        // Multiples of the golden ratio, modulo 1, keep away from each other.
        let spread = (0.3 + k * 0.618_033_988_749_894_9).fract();
        let sign = if (k * std::f64::consts::SQRT_2).fract() < 0.5 { 1.0 } else { -1.0 };
        match self {
            Values::Real => sign * (0.6 + spread),
            Values::Positive => 0.6 + spread,
            Values::Whole => (5.0 * spread).floor() - 2.0,
        }
    }
}

fn case<T: TensorLike>(
    op: &'static str,
    values: Values,
    call: &'static str,
    (apply, oracle): (Apply<T>, Apply<Reference>),
    shapes: &[&[usize]],
) -> Case<T> {
    let mut elements = (0..).map(|k| values.at(k));
    let input = |shape: &&[usize]| {
        let n = shape.iter().product();
        (Shape::from(*shape), elements.by_ref().take(n).collect())
    };
    let inputs = shapes.iter().map(input).collect();
    let (differentiable, optional) = (values != Values::Whole, OPTIONAL.contains(&op));
    Case { op, call, apply, oracle, inputs, differentiable, optional }
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
    x.tape().attempt(|| transform::grad(|x: Var<'t, T>| f(x).sum(), x))
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

/// `op values |x, y| call => shapes of the first case, shapes of the second case, ..;`
macro_rules! cases {
    ($($op:literal $values:ident |$($x:ident),+| $call:expr =>
        $($([$($n:literal),*])+),+;)*) => {
        [$({
            let apply: Apply<T> = |x| { let [$($x),+] = arguments(x); $call };
            let oracle: Apply<Reference> = |x| { let [$($x),+] = arguments(x); $call };
            let cases: &[&[&[usize]]] = &[$(&[$(&[$($n),*]),+]),+];
            let call = stringify!($call);
            let case = |shapes: &&[_]| case($op, Values::$values, call, (apply, oracle), shapes);
            cases.iter().map(case).collect::<Vec<Case<T>>>()
        }),*].concat()
    };
}

/// The names of the operations in the catalogue, each once.
pub fn operations() -> Vec<&'static str> {
    let mut names: Vec<_> = catalogue::<Reference>().iter().map(|case| case.op).collect();
    names.dedup();
    names
}

/// Every operation with sample inputs.
#[rustfmt::skip] // A table: operation, values, call, shapes.
#[allow(clippy::eq_op)] // `x - x` has two arguments, which are one handle.
pub fn catalogue<T: TensorLike>() -> Vec<Case<T>> {
    cases! {
        // Arithmetic.
        "add"  Real |x, y| x + y           => [] [], [2, 2] [2], [3] [3], [2, 3] [3], [3] [2, 3], [2, 1] [1, 3], [] [2, 2], [2, 1, 2] [3, 1], [0] [1], [2, 0] [], [2, 1, 2, 2] [2, 1];
        "add"  Real |x| x + x              => [], [2, 2];
        "add"  Real |x, _unused| x + 1.0 + x => [3] [2];
        "sub"  Real |x, y| x - y           => [] [], [2, 2] [2], [2, 3] [2, 3], [2, 3] [3], [1] [2, 2], [3, 1] [4], [0, 2] [2];
        "sub"  Real |x| x - x              => [3];
        "mul"  Real |x, y| x * y           => [] [], [2, 2] [2], [3] [3], [2, 3] [3], [3] [2, 3], [2, 1] [1, 3], [] [2, 2], [2, 2] [], [2, 0] [2, 1], [1, 2, 1, 2] [2, 1, 2];
        "mul"  Real |x| x * x              => [], [3], [2, 2];
        "mul"  Real |x, _unused| x * x * x => [2] [2];
        "div"  Real |x, y| x / y           => [] [], [2, 2] [2], [3] [3], [2, 3] [3], [2] [3, 2], [2, 1] [1, 2], [] [3], [0] [0];
        "div"  Real |x| x / x              => [3];
        "div"  Real |x| x / 2.5            => [3];
        "div"  Real |x| 2.5 / x            => [2, 2];
        "div"  Real |x| x.median()         => [], [3], [2, 2];
        "mul_or_zero" Real |x, y| x.mul_or_zero(y) => [] [], [3] [3], [2, 3] [3], [2, 1] [1, 2], [0] [1];
        "mul_or_zero" Real |x| x.mul_or_zero(x)    => [3];
        "mul_or_zero_both" Real |x, y| slope(x, |p| x.mul_or_zero(p) * y) => [] [], [3] [3], [2, 3] [3], [0] [1];
        "neg"  Real |x| -x                 => [], [3], [2, 0], [2, 1, 2];
        "scale" Real |x| x * 2.5           => [], [2, 3], [0];
        "scale" Real |x| x.scale(0.0)      => [2];
        "scale" Real |x| x.affine(2.5, -0.75) => [3];
        "shift" Real |x| x + 2.5           => [], [2, 3], [0];
        "shift" Real |x| 1.5 - x           => [2];
        "recip" Real |x| x.recip()         => [], [2, 3], [0];
        "powf" Real |x| x.powf(0.0)        => [], [3];
        "powf" Real |x| x.powf(1.0)        => [3];
        "powf" Real |x| x.powf(2.0)        => [], [3], [0];
        "powf" Real |x| x.powf(-1.0)       => [2, 2];
        "powf" Positive |x| x.powf(0.5)    => [], [2, 2];
        "powf" Positive |x| x.powf(-1.5)   => [3];
        "powf" Positive |x| x.powf(3.25)   => [2, 1, 2];
        "powi" Real |x| x.powi(0)          => [], [3];
        "powi" Real |x| x.powi(1)          => [3];
        "powi" Real |x| x.powi(2)          => [], [0], [2, 2];
        "powi" Real |x| x.powi(3)          => [3];
        "powi" Real |x| x.powi(-1)         => [3];
        "powi" Real |x| x.powi(-2)         => [2, 2];

        "square" Real |x| x.square()       => [], [3], [2, 3], [0];
        "sqrt" Positive |x| x.sqrt()       => [], [3], [2, 3], [0];
        "rsqrt" Positive |x| x.rsqrt()     => [], [3], [2, 3], [0];
        "pow"  Positive |x, y| x.pow(y)    => [] [], [3] [3], [2, 3] [3], [2, 1] [1, 2], [0] [1];
        "pow"  Real |x, y| x.square().pow(y) => [2, 2] [2];
        "pow"  Real |x| x.pow(3.0)         => [3];
        "pow"  Positive |x| x.pow(x)       => [3];
        "pow_ln" Positive |x, y| slope(y, |y| x.pow(y)) => [] [], [2, 2] [2];
        "pow_ln" Positive |x, y| slope(y, |y| slope(y, |y| x.pow(y))) => [3] [3];

        // Exponentials, logarithms and their kin.
        "exp"  Real |x| x.exp()            => [], [3], [2, 3], [0, 2], [1, 2, 1, 2];
        "exp"  Real |_unused, x| x.exp()   => [2] [];
        "expm1" Real |x| x.expm1()         => [], [3], [2, 3], [0];
        "expm1" Real |x| x.elu(1.3)        => [], [4];
        "exp2" Real |x| x.exp2()           => [], [3], [2, 3], [0];
        "ln"   Positive |x| x.ln()         => [], [3], [2, 3], [0];
        "log2" Positive |x| x.log2()       => [], [3], [2, 3], [0];
        "log10" Positive |x| x.log10()     => [], [3], [2, 3], [0];
        "log1p" Real |x| (x * 0.5).log1p() => [], [3], [2, 3], [0];
        "logaddexp" Real |x, y| x.logaddexp(y) => [] [], [3] [3], [2, 3] [3], [2, 1] [1, 2], [0] [1];
        "logaddexp" Real |x| x.logaddexp(x) => [3];
        "xlogy" Positive |x, y| (x - 1.1).xlogy(y) => [] [], [3] [3], [2, 3] [3], [2, 1] [1, 2], [0] [1];
        "xlogy" Positive |x| x.xlogy(x)    => [3];
        "erf"  Real |x| x.erf()            => [], [3], [2, 3], [0];
        "abs"  Real |x| x.abs()            => [], [3], [2, 3], [0];
        "abs"  Real |x| x.norm_axes(2.0, []) => [], [2, 3];

        // Trigonometric and hyperbolic functions.
        "sin"  Real |x| x.sin()            => [], [3], [2, 3], [0];
        "cos"  Real |x| x.cos()            => [], [3], [2, 3], [0];
        "tan"  Real |x| (x * 0.5).tan()    => [], [3], [2, 3], [0];
        "asin" Real |x| (x * 0.5).asin()   => [], [3], [2, 3], [0];
        "acos" Real |x| (x * 0.5).acos()   => [], [3], [2, 3], [0];
        "one_plus_square" Real |x| slope(x, |x| (x * 0.5).asin()) => [], [2, 2];
        "one_plus_square" Real |x| slope(x, |x| slope(x, |x| x.asinh())) => [3];
        "atan" Real |x| x.atan()           => [], [3], [2, 3], [0];
        "atan2" Real |y, x| y.atan2(x)     => [] [], [3] [3], [2, 3] [3], [2, 1] [1, 2], [0] [1];
        "atan2" Real |x| x.atan2(x)        => [3];
        "sinh" Real |x| x.sinh()           => [], [3], [2, 3], [0];
        "cosh" Real |x| x.cosh()           => [], [3], [2, 3], [0];
        "tanh" Real |x| x.tanh()           => [], [3], [2, 3], [0];
        "asinh" Real |x| x.asinh()         => [], [3], [2, 3], [0];
        "acosh" Positive |x| (x + 1.0).acosh() => [], [3], [2, 3], [0];
        "atanh" Real |x| (x * 0.5).atanh() => [], [3], [2, 3], [0];

        // Activations.
        "sigmoid" Real |x| x.sigmoid()     => [], [3], [2, 3], [0];
        "softplus" Real |x| x.softplus()   => [], [3], [2, 3], [0];
        "softplus" Real |x| x.log_sigmoid() => [], [3];
        "relu" Real |x| x.relu()           => [], [3], [2, 3], [0];
        "silu" Real |x| x.silu()           => [], [3], [2, 3], [0];
        "gelu" Real |x| x.gelu()           => [], [3], [2, 3], [0];
        "gelu_tanh" Real |x| x.gelu_tanh() => [], [3], [2, 3], [0];

        // Choosing.
        "maximum" Real |x, y| x.maximum(y) => [] [], [4] [4], [2, 3] [3], [2, 1] [1, 3], [0] [0];
        "maximum" Real |x| x.maximum(x)    => [3];
        "maximum" Real |x| x.maximum(0.0)  => [4];
        "minimum" Real |x, y| x.minimum(y) => [] [], [4] [4], [3] [2, 3], [2, 1] [1, 3], [0] [1];
        "minimum" Real |x| x.minimum(x)    => [3];
        "clamp_min" Real |x| x.clamp_min(0.85) => [], [6], [2, 3], [0];
        "clamp_max" Real |x| x.clamp_max(0.85) => [], [6], [2, 3], [0];
        "clamp_max" Real |x| x.clamp(-0.85, 1.25) => [], [6];
        "where" Real |m, a, b| m.gt(0.0).where_(a, b) => [] [] [], [4] [4] [4], [2, 2] [2] [], [2, 1] [1, 3] [2, 3], [0] [1] [0];
        "where" Real |m, a, b| m.where_(a, b)         => [2] [2] [1];
        "where" Real |x| x.gt(0.0).where_(x, x * x)   => [4];
        "where" Real |x| x.lt(0.0).where_(1.5, x)     => [4];
        "where" Real |x| x.leaky_relu(0.1) => [], [4];
        "where" Real |m, x| x.masked_fill(m.gt(0.0), f64::INFINITY).where_(0.0, x) => [2] [3, 2];
        "where" Real |m, x, y| x.masked_fill(m.gt(0.0), y)        => [3] [2, 3] [];
        "lt"   Whole |x, y| x.lt(y)        => [] [], [5] [5], [5, 1] [1, 5], [0] [1];
        "le"   Whole |x, y| x.le(y)        => [] [], [5] [5], [5, 1] [1, 5], [0] [1];
        "gt"   Whole |x, y| x.gt(y)        => [] [], [5] [5], [5, 1] [1, 5], [0] [1];
        "ge"   Whole |x, y| x.ge(y)        => [] [], [5] [5], [5, 1] [1, 5], [0] [1];
        "eq"   Whole |x, y| x.eq(y)        => [] [], [5] [5], [5, 1] [1, 5], [0] [1];
        "eq"   Whole |x| x.eq(x)           => [3];
        "ne"   Whole |x, y| x.ne(y)        => [] [], [5] [5], [5, 1] [1, 5], [0] [1];
        "sign" Whole |x| x.sign()          => [], [5], [2, 3], [0];
        "floor" Whole |x| (x * 0.5).floor() => [], [5], [2, 3], [0];
        "ceil" Whole |x| (x * 0.5).ceil()  => [], [5], [2, 3], [0];
        "round" Whole |x| (x * 0.5).round() => [], [5], [2, 3], [0];
        "trunc" Whole |x| (x * 0.5).trunc() => [], [5], [2, 3], [0];
        "detach" Whole |x| x.detach()      => [], [5], [2, 3], [0];

        // Reductions.
        "sum"  Real |x| x.sum()            => [], [3], [2, 3], [0], [2, 0], [2, 1, 2, 2];
        "sum"  Real |x| x.sum_axes(0)      => [3], [2, 2], [2, 3], [0, 2], [2, 0], [2, 1, 2, 2];
        "sum"  Real |x| x.sum_axes([0, -1]) => [2, 3], [2, 3, 2], [2, 0, 2];
        "sum"  Real |x| x.sum_axes([-1, 1]) => [2, 2, 2];
        "sum"  Real |x| x.sum_axes([])     => [], [2, 3];
        "sum"  Real |x| x.sum_keepdim(-1)  => [3], [2, 3], [2, 0];
        "sum"  Real |x| x.sum_keepdim([0, 2]) => [2, 3, 2];
        "mean" Real |x| x.mean()           => [], [3], [2, 3], [2, 1, 2, 2];
        "mean" Real |x| x.mean_axes(0)     => [3], [2, 2], [2, 3], [2, 0];
        "mean" Real |x| x.mean_axes([0, -1]) => [2, 3, 2];
        "mean" Real |x| x.mean_axes([])    => [2, 3];
        "mean" Real |x| x.mean_keepdim(-1) => [3], [2, 3], [0, 2];
        "mean" Real |x| x.var(1)           => [3], [2, 3];
        "mean" Real |x| x.var_axes([0, -1], 0) => [2, 3, 2];
        "mean" Real |x| x.var_keepdim(1, 1) => [2, 3], [0, 2];
        "mean" Real |x, w, b| x.layer_norm(-1, w, b, 0.1) => [2, 3] [3] [3];
        "mean" Real |x| x.layer_norm([0, 1], 2.0, 0.5, 0.1) => [2, 2];
        "mean" Real |x, w| x.rms_norm(-1, w, 0.1) => [3] [3], [2, 3] [3];
        "mean" Real |x, w, b| x.batch_norm(w, b, 0.1) => [3, 2] [2] [2], [2, 2, 2] [2] [2];
        "mean" Real |x, y| x.mse_loss(y)   => [] [], [3] [3], [2, 3] [3];
        "mean" Real |x, y| x.huber_loss(y, 0.5) => [4] [4], [2, 2] [];
        "mean" Real |x, y| x.bce_with_logits(y) => [] [], [4] [4], [2, 3] [3];
        "max"  Real |x| x.max()            => [], [3], [2, 3], [2, 1, 2, 2];
        "max"  Real |x| x.norm(f64::INFINITY) => [], [3];
        "max"  Real |x| x.norm_keepdim(f64::INFINITY, -1) => [2, 3];
        "max"  Real |x| x.max_axes(0)      => [3], [2, 2], [2, 3], [2, 0];
        "max"  Real |x| x.max_axes([0, -1]) => [2, 3, 2];
        "max"  Real |x| x.max_axes([])     => [], [2, 3];
        "max"  Real |x| x.max_keepdim(-1)  => [3], [2, 3], [0, 2];
        "min"  Real |x| x.min()            => [], [3], [2, 3], [2, 1, 2, 2];
        "min"  Real |x| x.min_axes(0)      => [3], [2, 2], [2, 3], [2, 0];
        "min"  Real |x| x.min_axes([0, -1]) => [2, 3, 2];
        "min"  Real |x| x.min_axes([])     => [], [2, 3];
        "min"  Real |x| x.min_keepdim(-1)  => [3], [2, 3], [0, 2];
        "sum_to" Real |x| x.sum_to([])     => [], [3], [2, 3], [0];
        "sum_to" Real |x| x.sum_to([2, 1]) => [2, 1], [2, 3], [3, 2, 2], [3, 2, 0];
        "sum_to" Real |x| x.sum_to([2, 3]) => [2, 3], [2, 2, 3];
        "norm" Real |x| x.norm(2.0)        => [], [3], [2, 3], [2, 1, 2, 2];
        "norm" Real |x| x.norm(3.5)        => [], [3], [2, 3];
        "norm" Real |x| x.norm(0.5)        => [2];
        "norm" Real |x| x.norm_axes(2.0, 0) => [3], [2, 2], [2, 3], [2, 0];
        "norm" Real |x| x.norm_axes(2.0, [0, -1]) => [2, 3, 2];
        "norm" Real |x| x.norm_axes(1.5, 1) => [2, 3];
        "norm" Real |x| x.norm_keepdim(2.0, -1) => [3], [2, 3], [0, 2];
        "norm" Real |x, y| x.cosine_similarity(y, -1, 1e-8) => [3] [3], [2, 3] [3];
        "norm" Real |x| x.std(1)           => [3], [2, 3];
        "norm" Real |x| x.std_axes(0, 1)   => [3, 2], [2, 0];
        "norm" Real |x| x.std_keepdim([0, -1], 0) => [2, 2, 3];
        "cumsum" Real |x| x.cumsum(0)      => [3], [2, 2], [2, 1, 2, 2], [0], [2, 0];
        "cumsum" Real |x| x.cumsum(-1)     => [2, 3], [0, 2];
        "logsumexp" Real |x| x.logsumexp() => [], [3], [2, 3], [2, 1, 2, 2];
        "logsumexp" Real |x| x.logsumexp_axes(0) => [3], [2, 2], [2, 0];
        "logsumexp" Real |x| x.logsumexp_axes([0, -1]) => [2, 3, 2];
        "logsumexp" Real |x| x.logsumexp_axes([]) => [], [2, 3];
        "logsumexp" Real |x| x.logsumexp_keepdim(-1) => [3], [2, 3], [0, 2];
        "softmax" Real |x| x.softmax(0)    => [3], [1], [3, 2], [2, 2, 2], [0], [0, 2];
        "softmax" Real |x| x.softmax(-1)   => [2, 3], [2, 1, 2, 2], [2, 0];
        "log_softmax" Real |x| x.log_softmax(0) => [3], [1], [3, 2], [2, 2, 2], [0], [0, 2];
        "log_softmax" Real |x| x.log_softmax(-1) => [2, 3], [2, 1, 2, 2], [2, 0];

        // Movement.
        "identity" Real |x| x.identity()   => [], [3], [2, 3], [0];
        "identity" Real |x| x * x.identity() => [3];
        "expand" Real |x| x.expand([2, 3]) => [], [1], [3], [1, 3], [2, 1], [2, 3];
        "expand" Real |x| x.expand([2, 2, 1, 3]) => [2, 1, 1], [3];
        "expand" Real |x| x.expand([0, 2]) => [], [2], [1, 1], [0, 2];
        "expand" Real |x| x.tile(&[2, 3])  => [2, 2], [3], [0, 2];
        "expand" Real |x| x.tile(&[3])     => [], [2, 1], [2, 2];
        "expand" Real |x| x.repeat_interleave(-1, 2) => [3], [2, 2], [0, 2];
        "expand" Real |x| x.repeat_interleave(0, 0)  => [2, 2];
        "reshape" Real |x| x.reshape([])   => [], [1], [1, 1];
        "reshape" Real |x| x.reshape([3, 2]) => [6], [2, 3], [1, 3, 2];
        "reshape" Real |x| x.reshape([2, 1, 2, 1]) => [4], [2, 2];
        "reshape" Real |x| x.reshape([0, 7]) => [0], [3, 0];
        "reshape" Real |x| x.squeeze(1) * x.unsqueeze(-1) => [2, 1], [2, 1, 2];
        "permute" Real |x| x.permute([])   => [];
        "permute" Real |x| x.permute([0])  => [3];
        "permute" Real |x| x.permute([1, 0]) => [2, 3], [2, 0];
        "permute" Real |x| x.permute([2, 0, -2]) => [2, 3, 2];
        "permute" Real |x| x.permute([3, 1, 0, 2]) => [2, 1, 2, 3];
        "permute" Real |x| x.transpose(0, -1) => [3], [2, 3], [2, 2, 3];
        "permute" Real |x| x * x.transpose(0, 1) => [2, 2];
        "slice" Real |x| x.slice(&[])      => [];
        "slice" Real |x| x.slice(&[by(1, 4, 2)]) => [5];
        "slice" Real |x| x.slice(&[by(0, 2, 1), by(1, 3, 1)]) => [2, 3];
        "slice" Real |x| x.slice(&[by(1, 1, 1), by(0, 3, 3)]) => [2, 3];
        "slice" Real |x| x.narrow(-1, 1, 2) => [3], [2, 3], [2, 1, 4];
        "slice" Real |x| x.prod()          => [2], [3], [2, 3], [7];
        "slice" Real |x| x.prod_axes(0)    => [3], [2, 2], [5, 2];
        "slice" Real |x| x.prod_keepdim([0, -1]) => [2, 2, 3];
        "slice" Real |x| x.cumprod(0)      => [2], [3], [5], [3, 2];
        "slice" Real |x| x.cumprod(-1)     => [2, 3], [2, 1, 4];
        "slice" Real |x| x.narrow(0, 0, 2) * x.narrow(0, 1, 2) => [3];
        "slice" Real |x| x.tape().einsum("i...i->i...", &[x]) => [2, 2], [3, 2, 3];
        "slice" Real |x, y| x.tape().einsum("iji,jk->ki", &[x, y]) => [2, 3, 2] [3, 2];
        "slice" Real |x| x.split(-1, &[1, 2]).into_iter().fold(x, |x, part| x * part.sum()) => [3], [2, 3];
        "slice" Real |x| x.diagonal()      => [3, 3], [2, 3], [3, 2], [2, 2, 2], [0, 2], [2, 0];
        "slice" Real |x| x.trace()         => [2, 2], [2, 3, 2], [0, 0];
        "unslice" Real |x| x.unslice([5], &[by(1, 4, 2)]) => [2];
        "unslice" Real |x| x.unslice([2, 4], &[by(0, 2, 1), by(1, 4, 2)]) => [2, 2];
        "unslice" Real |x| x.unslice([2], &[by(1, 1, 1)]) => [0];
        "unslice" Real |x| x.diag()        => [3], [2, 2], [1], [0];
        "pad"  Real |x| x.pad(&[], 2.0)    => [];
        "pad"  Real |x| x.pad(&[(1, 2)], 0.0) => [3], [0];
        "pad"  Real |x| x.pad(&[(0, 1), (2, 0)], 1.5) => [2, 2], [0, 2], [2, 0];
        "pad"  Real |x| x.pad(&[(1, 1)], f64::INFINITY).recip() => [3];
        "flip" Real |x| x.flip(0)          => [3], [2, 2], [0];
        "flip" Real |x| x.flip([-1, 0])    => [2, 3], [2, 1, 3], [2, 0];
        "flip" Real |x| x * x.flip([0])    => [3];
        "roll" Real |x| x.roll(0, 1)       => [3], [3, 2], [0];
        "roll" Real |x| x.roll(-1, -4)     => [3], [2, 3];
        "tril" Real |x| x.tril(0)          => [3, 3], [2, 3], [3, 2], [2, 2, 2], [0, 2];
        "tril" Real |x| x.tril(-1)         => [3, 3];
        "triu" Real |x| x.triu(0)          => [3, 3], [2, 3], [3, 2], [2, 2, 2], [2, 0];
        "triu" Real |x| x.triu(1)          => [3, 3];
        "concat" Real |x| x.tape().concat(&[x], 0)              => [2], [2, 2];
        "concat" Real |x| x.tape().concat(&[x, x * x, x], -1)   => [2], [2, 1];
        "concat" Real |x, y| x.tape().concat(&[x, y], 0)        => [2] [3], [1, 2] [2, 2], [0, 2] [1, 2];
        "concat" Real |x, y, z| x.tape().concat(&[x, y, z], -1) => [2, 1] [2, 2] [2, 0], [2, 1, 1] [2, 1, 2] [2, 1, 1];
        "concat" Real |x, y| x.tape().stack(&[x, y], 0)         => [] [], [2] [2], [2, 2] [2, 2], [0] [0];
        "concat" Real |x, y| x.tape().stack(&[x, y, x], -1)     => [] [], [2] [2], [2, 2] [2, 2];
        "unfold" Real |x| x.unfold(0, window(2, 1, 1))          => [4], [3, 2], [2], [1], [0, 2];
        "unfold" Real |x| x.unfold(-1, window(2, 2, 2))         => [6], [2, 5];
        "unfold" Real |x, w| x.conv1d(w, Conv::default())       => [1, 1, 4] [1, 1, 2], [2, 2, 3] [3, 2, 2], [0, 1, 2] [1, 1, 2];
        "unfold" Real |x, w| x.conv1d(w, Conv::default().stride(2).padding(2).dilation(2)) => [1, 1, 4] [2, 1, 3];
        "unfold" Real |x, w| x.conv2d(w, Conv::default())       => [2, 1, 3, 3] [1, 1, 2, 2], [1, 2, 2, 3] [2, 2, 1, 2];
        "unfold" Real |x, w| x.conv2d(w, Conv::default().stride([2, 1]).padding([0, 1]).dilation([1, 2])) => [1, 1, 4, 3] [1, 1, 2, 2];
        "unfold" Real |x, w| x.conv2d(w, Conv::default().groups(2)) => [2, 2, 2, 2] [4, 1, 2, 1];
        "unfold" Real |x| x.max_pool2d(2)                       => [1, 1, 4, 4], [1, 2, 3, 2];
        "unfold" Real |x| x.max_pool2d(Pool::new([3, 2]).stride(1).padding(1)) => [1, 1, 3, 3];
        "unfold" Real |x| x.avg_pool2d(Pool::new(2).stride([1, 2]))            => [1, 1, 3, 4], [2, 1, 2, 2];
        "fold" Real |x| x.fold(0, window(2, 1, 1), 4)           => [3, 2], [3, 2, 2];
        "fold" Real |x| x.fold(-1, window(2, 2, 2), 6)          => [2, 2];
        "fold" Real |x, w| x.conv_transpose2d(w, Conv::default())                      => [1, 1, 2, 2] [1, 1, 2, 2], [2, 1, 1, 2] [1, 2, 2, 1];
        "fold" Real |x, w| x.conv_transpose2d(w, Conv::default().stride(2).padding(1)) => [1, 2, 2, 2] [2, 1, 3, 3];
        "fold" Real |x, w| x.conv_transpose2d(w, Conv::default().dilation(2).groups(2)) => [1, 2, 1, 2] [2, 2, 2, 1];

        // Picking.
        "index_select" Real |x| x.index_select(0, &[2, 0, 2]) => [3], [3, 2];
        "index_select" Real |x| x.index_select(-1, &[1, 1])   => [2, 2], [2, 1, 2];
        "index_select" Real |x| x.index_select(0, &[])        => [3], [0, 2];
        "index_select" Real |x| x.det()                       => [2, 2], [3, 3], [2, 3, 3], [0, 2, 2];
        "index_select" Real |x| x.sort(0)  => [3], [1], [3, 2], [2, 0], [0];
        "index_select" Real |x| x.sort(-1) => [2, 3], [2, 1, 4];
        "index_select" Real |x| x.topk(2)  => [3], [2, 3], [2, 2, 4];
        "index_select" Real |x| x.cross_entropy([2, 0]) => [2, 3];
        "index_select" Real |x| x.take(index([2, 2], &[0, 5, 5, 2]))      => [2, 3], [6];
        "index_select" Real |x| x.embedding(index([2, 2], &[0, 1, 1, 2])) => [3, 2];
        "index_add" Real |x, s| x.index_add(0, &[2, 0, 2], s)  => [4] [3], [3, 2] [3, 2];
        "index_add" Real |x, s| x.index_add(-1, &[1, 1], s)    => [2, 3] [2, 2];
        "index_add" Real |x, s| x.index_add(0, &[], s)         => [2] [0], [0, 2] [0, 2];
        "gather" Real |x| x.gather(0, [2, 0, 2, 2])            => [3];
        "gather" Real |x| x.gather(-1, index([2, 2], &[0, 0, 2, 1]))  => [2, 3], [3, 3];
        "gather" Real |x| x.gather(0, index([3, 1], &[1, 0, 1]))      => [2, 2], [2, 1];
        "gather" Real |x| x.gather(0, index([0, 2], &[]))             => [2, 2], [0, 2];
        "scatter_add" Real |x, s| x.scatter_add(0, [2, 0, 2, 2], s)   => [3] [4];
        "scatter_add" Real |x, s| x.scatter_add(-1, index([2, 2], &[0, 0, 2, 1]), s) => [2, 3] [2, 2], [3, 3] [2, 2];
        "scatter_add" Real |x, s| x.scatter(0, [2, 0, 2, 2], s)       => [3] [4];
        "scatter_add" Real |x, s| x.scatter(-1, index([2, 2], &[0, 0, 2, 1]), s)     => [2, 3] [2, 2], [3, 3] [2, 2];
        "scatter_add" Real |x, s| x.scatter(0, [], s)                 => [2] [0], [0] [0];

        // Linear algebra.
        "matmul" Real |x, y| x.matmul(y)   => [2, 3] [3, 2], [1, 1] [1, 1], [1, 3] [3, 1], [2, 0] [0, 2], [0, 2] [2, 3];
        "matmul" Real |x, y| x.matmul(y)   => [3] [3], [3] [3, 2], [2, 3] [3], [2] [2, 2, 3], [2, 3, 2] [2];
        "matmul" Real |x, y| x.matmul(y)   => [2, 2, 3] [2, 3, 2], [2, 2, 3] [3, 2], [2, 3] [2, 3, 1], [2, 1, 2, 2] [3, 2, 1], [0, 2, 2] [2, 2];
        "matmul" Real |x| x.matmul(x)      => [2, 2], [3], [2, 2, 2];
        "matmul" Real |x| x.transpose(0, 1).matmul(x) => [3, 2];
        "matmul" Real |x, y| x.tape().einsum("bhqd,bhkd->bhqk", &[x, y]) => [1, 2, 2, 3] [1, 2, 3, 3];
        "matmul" Real |x, y| x.tape().einsum("ij,kj", &[x, y])  => [2, 3] [2, 3], [2, 0] [1, 0];
        "matmul" Real |x, y| x.tape().einsum("...ij,j...->...i", &[x, y]) => [2, 2, 3] [3, 2], [2, 3] [3];
        "matmul" Real |x, y| x.tape().einsum("ij,ij->", &[x, y]) => [2, 3] [2, 3], [1, 3] [2, 3];
        "matmul" Real |x, y, z| x.tape().einsum("ab,bc,dc->da", &[x, y, z]) => [2, 2] [2, 3] [2, 3];
        "solve" Real |a, b| graded(a).solve(b) => [2, 2] [2, 3], [3, 3] [3], [2, 2, 2] [2, 2], [2, 2] [2, 2, 1], [2, 1, 2, 2] [2, 2, 1], [0, 0] [0, 2], [2, 2] [2, 0], [0, 2, 2] [2];
        "solve" Real |a| graded(a).solve(a)  => [2, 2];
        "triangular_solve" Real |a, b| graded(a).triangular_solve(b, true)  => [2, 2] [2, 3], [3, 3] [3], [2, 2, 2] [2, 1], [0, 0] [0, 2];
        "triangular_solve" Real |a, b| graded(a).triangular_solve(b, false) => [3, 3] [3, 2], [2, 2] [2, 2, 1];
        "triangular_solve" Real |a, b| graded(a).transpose(-2, -1).triangular_solve(b, false) => [3, 3] [3];
        "inv"  Real |x| graded(x).inv()    => [1, 1], [3, 3], [2, 2, 2], [0, 0], [0, 2, 2];
        "slogdet" Real |x| graded(x).slogdet().1 => [1, 1], [3, 3], [2, 2, 2], [0, 2, 2];
        "slogdet" Real |x| graded(x).logabsdet() => [2, 2];
        "slogdet" Real |x| graded(x).det() => [4, 4], [2, 5, 5];
        "cholesky" Real |x| graded(x).cholesky() => [1, 1], [3, 3], [2, 2, 2], [0, 0];
        "eigh" Real |x| graded(x).eigvalsh() => [1, 1], [3, 3], [2, 2, 2], [0, 0];
        "eigh" Real |x| graded(x).eigh().1 => [2, 2], [3, 3], [2, 2, 2];

        // Functions as operations.
        "checkpoint" Real |x| checkpoint(|x| (x * x.sin()).tanh(), x)     => [], [3], [2, 0];
        "checkpoint" Real |x, y| checkpoint(|[x, y]| x * y.exp(), [x, y]) => [] [], [2, 3] [3], [2, 1] [1, 2];
        "checkpoint" Real |x| checkpoint(|[x, y]| x * y.exp(), [x, x])    => [3];
        "checkpoint" Real |x| checkpoint(|x| checkpoint(|x| x.sin(), x) * x, x) => [3];
        "custom_vjp" Real |x| custom_vjp("custom_vjp", x, |x| x.tanh(), |_, y, ct| ct * (1.0 - y * y))              => [], [3], [2, 0];
        "custom_vjp" Real |x, y| custom_vjp("custom_vjp", [x, y], |[x, y]| x * y, |[x, y], _, ct| [ct * y, ct * x]) => [] [], [2, 3] [3], [2, 1] [1, 2];
        "custom_jvp" Real |x| custom_jvp("custom_jvp", x, |x| x.exp(), |_, y, t| y * t)                             => [], [3], [2, 0];
        "custom_jvp" Real |x, y| custom_jvp("custom_jvp", [x, y], |[x, y]| x * y, |[x, y], _, [s, t]| s * y + x * t) => [] [], [2, 3] [3], [2, 1] [1, 2];
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
