//! The operations as methods of the tape, for code in functional style: `tape.mul(tape.add(a, b), b)`.

use crate::ground::{Axes, Index, Shape, Slice, TensorLike, Window};
use crate::ops::{Conv, Pool};
use crate::tape::{Operand, Tape, Var};

/// A method of `Tape` for each method of `Var` named here.
macro_rules! functional {
    ($($name:ident($($arg:ident: $type:ty),*);)*) => {
        /// Operations in functional style: each is the method of [`Var`] of the same name.
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
    mul_or_zero(p: impl Operand<'t, T>);
    neg();
    scale(by: f64);
    shift(by: f64);
    recip();
    powf(exponent: f64);
    powi(exponent: i32);
    exp();
    ln();
    sin();
    cos();
    tanh();
    sqrt();
    abs();
    relu();
    maximum(y: impl Operand<'t, T>);
    minimum(y: impl Operand<'t, T>);
    where_(a: impl Operand<'t, T>, b: impl Operand<'t, T>);
    sign();
    affine(mul: f64, add: f64);
    square();
    rsqrt();
    pow(y: impl Operand<'t, T>);
    expm1();
    exp2();
    log2();
    log10();
    log1p();
    logaddexp(y: impl Operand<'t, T>);
    xlogy(y: impl Operand<'t, T>);
    erf();
    tan();
    asin();
    acos();
    atan();
    atan2(over: impl Operand<'t, T>);
    sinh();
    cosh();
    asinh();
    acosh();
    atanh();
    sigmoid();
    log_sigmoid();
    softplus();
    leaky_relu(slope: f64);
    elu(alpha: f64);
    silu();
    gelu();
    gelu_tanh();
    clamp_min(min: f64);
    clamp_max(max: f64);
    clamp(min: f64, max: f64);
    floor();
    ceil();
    round();
    trunc();
    lt(y: impl Operand<'t, T>);
    le(y: impl Operand<'t, T>);
    gt(y: impl Operand<'t, T>);
    ge(y: impl Operand<'t, T>);
    eq(y: impl Operand<'t, T>);
    ne(y: impl Operand<'t, T>);
    sum();
    sum_axes(axes: impl Into<Axes>);
    sum_keepdim(axes: impl Into<Axes>);
    mean();
    mean_axes(axes: impl Into<Axes>);
    mean_keepdim(axes: impl Into<Axes>);
    max();
    max_axes(axes: impl Into<Axes>);
    max_keepdim(axes: impl Into<Axes>);
    min();
    min_axes(axes: impl Into<Axes>);
    min_keepdim(axes: impl Into<Axes>);
    sum_to(shape: impl Into<Shape>);
    identity();
    expand(shape: impl Into<Shape>);
    reshape(shape: impl Into<Shape>);
    permute(axes: impl Into<Axes>);
    transpose(a: isize, b: isize);
    matmul(y: Var<'t, T>);
    solve(rhs: Var<'t, T>);
    triangular_solve(rhs: Var<'t, T>, upper: bool);
    inv();
    det();
    logabsdet();
    cholesky();
    eigvalsh();
    detach();
    norm(p: f64);
    norm_axes(p: f64, axes: impl Into<Axes>);
    norm_keepdim(p: f64, axes: impl Into<Axes>);
    prod();
    prod_axes(axes: impl Into<Axes>);
    prod_keepdim(axes: impl Into<Axes>);
    cumsum(axis: isize);
    cumprod(axis: isize);
    logsumexp();
    logsumexp_axes(axes: impl Into<Axes>);
    logsumexp_keepdim(axes: impl Into<Axes>);
    softmax(axis: isize);
    log_softmax(axis: isize);
    sort(axis: isize);
    topk(k: usize);
    median();
    var_axes(axes: impl Into<Axes>, correction: usize);
    var_keepdim(axes: impl Into<Axes>, correction: usize);
    std(correction: usize);
    std_axes(axes: impl Into<Axes>, correction: usize);
    std_keepdim(axes: impl Into<Axes>, correction: usize);
    layer_norm(axes: impl Into<Axes>, weight: impl Operand<'t, T>, bias: impl Operand<'t, T>, eps: f64);
    rms_norm(axes: impl Into<Axes>, weight: impl Operand<'t, T>, eps: f64);
    batch_norm(weight: Var<'t, T>, bias: Var<'t, T>, eps: f64);
    batch_norm_with(mean: Var<'t, T>, var: Var<'t, T>, weight: Var<'t, T>, bias: Var<'t, T>, eps: f64);
    cosine_similarity(y: Var<'t, T>, axis: isize, eps: f64);
    mse_loss(target: impl Operand<'t, T>);
    huber_loss(target: impl Operand<'t, T>, delta: f64);
    cross_entropy(target: impl Into<Index>);
    bce_with_logits(target: impl Operand<'t, T>);
    slice(slices: &[Slice]);
    narrow(axis: isize, start: usize, len: usize);
    unslice(shape: impl Into<Shape>, slices: &[Slice]);
    pad(widths: &[(usize, usize)], value: f64);
    flip(axes: impl Into<Axes>);
    roll(axis: isize, shift: isize);
    squeeze(axis: isize);
    unsqueeze(axis: isize);
    tile(reps: &[usize]);
    repeat_interleave(axis: isize, repeats: usize);
    tril(k: isize);
    triu(k: isize);
    diagonal();
    diag();
    index_select(axis: isize, index: &[usize]);
    index_add(axis: isize, index: &[usize], source: Var<'t, T>);
    gather(axis: isize, index: impl Into<Index>);
    scatter_add(axis: isize, index: impl Into<Index>, source: Var<'t, T>);
    scatter(axis: isize, index: impl Into<Index>, source: Var<'t, T>);
    take(index: impl Into<Index>);
    embedding(index: impl Into<Index>);
    masked_fill(mask: Var<'t, T>, value: impl Operand<'t, T>);
    unfold(axis: isize, window: Window);
    fold(axis: isize, window: Window, n: usize);
    conv1d(weight: Var<'t, T>, conv: Conv<1>);
    conv2d(weight: Var<'t, T>, conv: Conv<2>);
    conv_transpose2d(weight: Var<'t, T>, conv: Conv<2>);
    max_pool2d(pool: impl Into<Pool>);
    avg_pool2d(pool: impl Into<Pool>);
}
