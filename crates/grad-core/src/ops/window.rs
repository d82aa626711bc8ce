//! Sliding windows: the linear pair unfold and fold, and what is made of it: convolution and
//! pooling, which have no rule of their own and differentiate to any order.

use crate::ground::{ErrorKind, Read, Shape, TensorLike, Window, call, resized, resolve_axis};
use crate::kinds::{ByTranspose, Linear};
use crate::tape::{Primal, Reach, Var};

#[derive(Clone)]
struct Unfold {
    axis: usize,
    window: Window,
}

impl Linear for Unfold {
    const NAME: &'static str = "unfold";

    fn shape(&self, x: &Shape) -> Result<Shape, ErrorKind> {
        windows_of(x, self.axis, self.window)
    }

    fn forward<T: TensorLike>(&self, x: &T) -> Result<T, T::Error> {
        x.unfold(self.axis, self.window)
    }

    fn transpose<'t, T: TensorLike>(&self, p: &Primal<'t, T>, ct: Var<'t, T>) -> Var<'t, T> {
        let (axis, window, n) = (self.axis, self.window, p.shape(0)[self.axis]);
        ct.with(ByTranspose::new(Fold { axis, window, n }))
    }

    fn batched<'t, T: TensorLike>(&self, _: &Primal<'t, T>, t: Var<'t, T>) -> Option<Var<'t, T>> {
        Some(t.with(ByTranspose::new(Unfold { axis: self.axis + 1, window: self.window })))
    }

    fn reach(&self) -> Reach {
        Reach::Rule { total: false }
    }

    fn reads(&self) -> Option<Read<'_>> {
        Some(Read::Windows { axis: self.axis, window: self.window })
    }

    fn format(&self, x: &[&str]) -> String {
        call("unfold", x, &format!("{}, {}", self.axis, self.window))
    }
}

/// Onto zeros of size `n` along the axis.
#[derive(Clone)]
struct Fold {
    axis: usize,
    window: Window,
    n: usize,
}

impl Linear for Fold {
    const NAME: &'static str = "fold";

    fn shape(&self, x: &Shape) -> Result<Shape, ErrorKind> {
        let folded = resized(&x[..x.rank() - 1], self.axis, self.n);
        let windows = windows_of(&folded, self.axis, self.window)?;
        match windows == *x {
            true => Ok(folded),
            false => {
                let (left, right) = (windows, x.clone());
                let rule = "differ: the windows have the first shape, the tensor has the second";
                Err(ErrorKind::ShapeMismatch { left, right, rule })
            }
        }
    }

    fn forward<T: TensorLike>(&self, x: &T) -> Result<T, T::Error> {
        x.fold(self.axis, self.window, self.n)
    }

    fn transpose<'t, T: TensorLike>(&self, _: &Primal<'t, T>, ct: Var<'t, T>) -> Var<'t, T> {
        ct.with(ByTranspose::new(Unfold { axis: self.axis, window: self.window }))
    }

    fn batched<'t, T: TensorLike>(&self, _: &Primal<'t, T>, t: Var<'t, T>) -> Option<Var<'t, T>> {
        Some(t.with(ByTranspose::new(Fold { axis: self.axis + 1, ..self.clone() })))
    }

    fn reach(&self) -> Reach {
        Reach::Rule { total: false }
    }

    fn format(&self, x: &[&str]) -> String {
        call("fold", x, &format!("{}, {}, {}", self.axis, self.window, self.n))
    }
}

/// The shape of the windows along an axis of a tensor of shape `x`.
fn windows_of(x: &[usize], axis: usize, window: Window) -> Result<Shape, ErrorKind> {
    let windows = resized(x, axis, count(window, x[axis])?);
    Ok(windows.iter().copied().chain([window.size]).collect())
}

fn count(window: Window, n: usize) -> Result<usize, ErrorKind> {
    window.count(n).ok_or_else(|| {
        let why = match window {
            Window { size: 0, .. } | Window { step: 0, .. } | Window { dilation: 0, .. } => {
                "each must be at least 1"
            }
            _ => "it would be longer than any axis",
        };
        parameter(format!("there is no window of {window}: {why}"))
    })
}

/// One number an axis: `2` for the same along all, or `[2, 1]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PerAxis<const D: usize>([usize; D]);

impl<const D: usize> From<usize> for PerAxis<D> {
    fn from(number: usize) -> Self {
        PerAxis([number; D])
    }
}

impl<const D: usize> From<[usize; D]> for PerAxis<D> {
    fn from(numbers: [usize; D]) -> Self {
        PerAxis(numbers)
    }
}

/// How a convolution over D axes slides: `Conv::default().stride(2).padding([0, 1])`.
///
/// The default is stride 1, no padding, dilation 1 and one group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv<const D: usize> {
    /// The distance from one place of the kernel to the next, at least 1.
    pub stride: [usize; D],
    /// The number of zeros on each side.
    pub padding: [usize; D],
    /// The distance between elements of the kernel, at least 1.
    pub dilation: [usize; D],
    /// The number of groups that the channels are divided into, each with a convolution of its own.
    pub groups: usize,
}

impl<const D: usize> Default for Conv<D> {
    fn default() -> Self {
        Conv { stride: [1; D], padding: [0; D], dilation: [1; D], groups: 1 }
    }
}

impl<const D: usize> Conv<D> {
    /// The same with another stride.
    pub fn stride(self, stride: impl Into<PerAxis<D>>) -> Self {
        Conv { stride: stride.into().0, ..self }
    }

    /// The same with another padding.
    pub fn padding(self, padding: impl Into<PerAxis<D>>) -> Self {
        Conv { padding: padding.into().0, ..self }
    }

    /// The same with another dilation.
    pub fn dilation(self, dilation: impl Into<PerAxis<D>>) -> Self {
        Conv { dilation: dilation.into().0, ..self }
    }

    /// The same with another number of groups.
    pub fn groups(self, groups: usize) -> Self {
        Conv { groups, ..self }
    }

    /// The kernel along the `i`-th axis that it slides over.
    fn window(&self, i: usize, weight: &Shape) -> Window {
        Window { size: weight[2 + i], step: self.stride[i], dilation: self.dilation[i] }
    }

    /// Refuses ranks other than D + 2, and channels that do not divide into the groups.
    fn check(&self, x: &Shape, weight: &Shape) -> Result<(), ErrorKind> {
        if x.rank() != D + 2 || weight.rank() != D + 2 {
            return Err(parameter(format!(
                "needs an input and a weight of {} axes, got shapes {x} and {weight}",
                D + 2
            )));
        }
        match self.groups {
            0 => Err(parameter("the number of groups must be at least 1".to_string())),
            n if !x[1].is_multiple_of(n) || !weight[0].is_multiple_of(n) => {
                Err(parameter(format!(
                    "channels must divide into {n} groups, got {} in the input {x} and {} in the \
                     weight {weight}",
                    x[1], weight[0]
                )))
            }
            _ => Ok(()),
        }
    }
}

/// How a window slides over the last two axes in pooling: `Pool::new(3).stride(2).padding(1)`.
///
/// Made from the size of the window alone, as in `x.max_pool2d(2)`, windows do not overlap: the
/// stride is that size, and there is no padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// The sizes of the window.
    pub kernel: [usize; 2],
    /// The distance from one place of the window to the next, at least 1.
    pub stride: [usize; 2],
    /// The number of elements added on each side, at most half a window.
    pub padding: [usize; 2],
}

impl Pool {
    /// Windows of a size, beside each other.
    pub fn new(kernel: impl Into<PerAxis<2>>) -> Self {
        let PerAxis(kernel) = kernel.into();
        Pool { kernel, stride: kernel, padding: [0; 2] }
    }

    /// The same with another stride.
    pub fn stride(self, stride: impl Into<PerAxis<2>>) -> Self {
        Pool { stride: stride.into().0, ..self }
    }

    /// The same with another padding.
    pub fn padding(self, padding: impl Into<PerAxis<2>>) -> Self {
        Pool { padding: padding.into().0, ..self }
    }
}

impl From<usize> for Pool {
    fn from(kernel: usize) -> Self {
        Pool::new(kernel)
    }
}

impl From<[usize; 2]> for Pool {
    fn from(kernel: [usize; 2]) -> Self {
        Pool::new(kernel)
    }
}

fn parameter(message: String) -> ErrorKind {
    ErrorKind::Parameter { message }
}

/// Refuses windows of which none fits along an axis of size `n` and its padding.
fn must_fit(window: Window, n: usize, padding: usize) -> Result<(), ErrorKind> {
    let padded = padding.saturating_mul(2).saturating_add(n);
    match count(window, padded)? {
        0 => Err(parameter(format!(
            "no window of {window} fits into {n} elements with padding {padding} on both sides"
        ))),
        _ => Ok(()),
    }
}

/// The sizes from several parts of shapes, in order.
fn sizes(parts: &[&[usize]]) -> Shape {
    parts.concat().into()
}

impl<'t, T: TensorLike> Var<'t, T> {
    /// Windows that slide along an axis; those that do not fit are left out.
    ///
    /// Shapes: `[.., n, ..]` → `[.., number of windows, .., window.size]`.
    ///
    /// ```math
    /// y[.., i, .., j] = x[.., i · step + j · dilation, ..],   x̄ = fold(ȳ),   ẏ = unfold(ẋ)
    /// ```
    ///
    /// # Errors
    /// [`AxisOutOfRange`](ErrorKind::AxisOutOfRange); [`Parameter`](ErrorKind::Parameter) if size,
    /// step or dilation is 0.
    ///
    /// Non-smooth points: none.
    #[track_caller]
    pub fn unfold(self, axis: isize, window: Window) -> Self {
        let Ok(shape) = self.shape() else { return self };
        match resolve_axis(axis, shape.rank()) {
            Ok(axis) => self.with(ByTranspose::new(Unfold { axis, window })),
            Err(kind) => self.void("unfold", kind),
        }
    }

    /// Zeros, of size `n` along an axis, to which the elements of windows are added where
    /// [`Var::unfold`] takes them from: its transpose.
    ///
    /// Shapes: `[.., number of windows, .., window.size]` → `[.., n, ..]`. The axis is one of the
    /// result.
    ///
    /// ```math
    /// x̄ = unfold(ȳ),   ẏ = fold(ẋ)
    /// ```
    ///
    /// # Errors
    /// [`AxisOutOfRange`](ErrorKind::AxisOutOfRange); [`Parameter`](ErrorKind::Parameter) if size,
    /// step or dilation is 0; [`ShapeMismatch`](ErrorKind::ShapeMismatch) if the windows of an axis
    /// of size `n` have another shape.
    ///
    /// Non-smooth points: none.
    #[track_caller]
    pub fn fold(self, axis: isize, window: Window, n: usize) -> Self {
        let Ok(shape) = self.shape() else { return self };
        match resolve_axis(axis, shape.rank().saturating_sub(1)) {
            Ok(axis) => self.with(ByTranspose::new(Fold { axis, window, n })),
            Err(kind) => self.void("fold", kind),
        }
    }

    /// The cross-correlation with `weight` over one axis, as neural networks call convolution.
    ///
    /// Shapes: `[n, c, l]` by a weight of `[o, c / groups, k]` → `[n, o, m]`. For a bias add
    /// `bias.reshape([o, 1])`. Places where the kernel does not fit are left out.
    ///
    /// ```math
    /// y[n, o, i] = Σ w[o, c, j] x[n, c, i · stride + j · dilation − padding] over c, j
    /// ```
    ///
    /// A composition of [`Var::unfold`] and [`Var::matmul`].
    ///
    /// # Errors
    /// [`Parameter`](ErrorKind::Parameter) if ranks, channels or groups do not go together, or the
    /// kernel fits nowhere; [`ShapeMismatch`](ErrorKind::ShapeMismatch) if the weight is for another
    /// number of channels.
    ///
    /// Non-smooth points: none.
    #[track_caller]
    pub fn conv1d(self, weight: Self, conv: Conv<1>) -> Self {
        self.conv("conv1d", weight, conv)
    }

    /// The cross-correlation with `weight` over two axes, as neural networks call convolution.
    ///
    /// Shapes: `[n, c, h, w]` by a weight of `[o, c / groups, j, k]` → `[n, o, h′, w′]`. For a bias
    /// add `bias.reshape([o, 1, 1])`. Otherwise as [`Var::conv1d`].
    ///
    /// # Errors
    /// Those of [`Var::conv1d`].
    #[track_caller]
    pub fn conv2d(self, weight: Self, conv: Conv<2>) -> Self {
        self.conv("conv2d", weight, conv)
    }

    #[track_caller]
    fn conv<const D: usize>(self, op: &'static str, weight: Self, conv: Conv<D>) -> Self {
        let Ok(x) = self.shape() else { return self };
        let Ok(w) = weight.shape() else { return weight };
        let fits = |i| must_fit(conv.window(i, &w), x[2 + i], conv.padding[i]);
        let checked = conv.check(&x, &w).and_then(|()| match x[1] / conv.groups == w[1] {
            true => (0..D).try_for_each(fits),
            false => {
                let (left, right) = (x.clone(), w.clone());
                let rule =
                    "are incompatible: axis 1 of the weight must be the channels of one group";
                Err(ErrorKind::ShapeMismatch { left, right, rule })
            }
        });
        if let Err(kind) = checked {
            return self.void(op, kind);
        }
        let mut windows = self.pad_last(conv.padding, 0.0);
        for i in 0..D {
            windows = windows.unfold(2 + i as isize, conv.window(i, &w));
        }
        // [n, c, places.., kernel..]
        let Ok(shape) = windows.shape() else { return windows };
        let (batch, places) = (shape[0], &shape[2..2 + D]);
        let taps: usize = w[1..].iter().product();
        let n_places = batch * places.iter().product::<usize>();
        // One matrix product a group, for the whole batch: [o, c kernel] × [c kernel, n places].
        let rows: Vec<isize> = [1].into_iter().chain(2 + D as isize..2 + 2 * D as isize).collect();
        let columns: Vec<isize> = [0].into_iter().chain(2..2 + D as isize).collect();
        let windows = windows.permute(&[rows, columns].concat()[..]);
        let windows = windows.reshape([conv.groups, taps, n_places]);
        let y = weight.reshape([conv.groups, w[0] / conv.groups, taps]).matmul(windows);
        y.reshape(sizes(&[&[w[0], batch], places])).transpose(0, 1)
    }

    /// The transpose of [`Var::conv2d`] in its input, also called deconvolution: each element of the
    /// input adds a multiple of the kernel to the output.
    ///
    /// Shapes: `[n, c, h, w]` by a weight of `[c, o / groups, j, k]` → `[n, o, h′, w′]` with
    /// `h′ = (h − 1) · stride + (j − 1) · dilation + 1 − 2 · padding`. For a bias add
    /// `bias.reshape([o, 1, 1])`.
    ///
    /// ```math
    /// y[n, o, i · stride + j · dilation − padding] += w[c, o, j] x[n, c, i] over c, i, j
    /// ```
    ///
    /// A composition of [`Var::matmul`] and [`Var::fold`].
    ///
    /// # Errors
    /// [`Parameter`](ErrorKind::Parameter) if ranks, channels or groups do not go together, or the
    /// padding leaves nothing; [`ShapeMismatch`](ErrorKind::ShapeMismatch) if the weight is for
    /// another number of channels.
    ///
    /// Non-smooth points: none.
    #[track_caller]
    pub fn conv_transpose2d(self, weight: Self, conv: Conv<2>) -> Self {
        self.conv_transpose("conv_transpose2d", weight, conv)
    }

    #[track_caller]
    fn conv_transpose<const D: usize>(self, op: &'static str, weight: Self, conv: Conv<D>) -> Self {
        let Ok(x) = self.shape() else { return self };
        let Ok(w) = weight.shape() else { return weight };
        let checked = conv.check(&x, &w).and_then(|()| match x[1] == w[0] {
            true => (0..D).map(|i| spread(conv.window(i, &w), x[2 + i], conv.padding[i])).collect(),
            false => {
                let (left, right) = (x.clone(), w.clone());
                let rule =
                    "are incompatible: axis 0 of the weight must be the channels of the input";
                Err(ErrorKind::ShapeMismatch { left, right, rule })
            }
        });
        let spread: Vec<usize> = match checked {
            Ok(spread) => spread,
            Err(kind) => return self.void(op, kind),
        };
        let (places, kernel) = (&x[2..], &w[2..]);
        let n_places = x[0] * places.iter().product::<usize>();
        let taps: usize = w[1..].iter().product();
        let out = conv.groups.saturating_mul(w[1]);
        // One matrix product a group, for the whole batch: [o kernel, c] × [c, n places].
        let inputs = self.transpose(0, 1).reshape([conv.groups, x[1] / conv.groups, n_places]);
        let weight = weight.reshape([conv.groups, x[1] / conv.groups, taps]).transpose(1, 2);
        let windows = weight.matmul(inputs).reshape(sizes(&[&[out], kernel, &[x[0]], places]));
        // [o, kernel.., n, places..] to [n, o, places.., kernel..]
        let (of_kernel, of_places) = (1..1 + D as isize, 2 + D as isize..2 + 2 * D as isize);
        let order: Vec<isize> =
            [1 + D as isize, 0].into_iter().chain(of_places).chain(of_kernel).collect();
        let mut y = windows.permute(&order[..]);
        for i in (0..D).rev() {
            y = y.fold(2 + i as isize, conv.window(i, &w), spread[i]);
        }
        for (axis, (&padding, n)) in (2..).zip(conv.padding.iter().zip(spread)) {
            if padding > 0 {
                y = y.narrow(axis, padding, n - 2 * padding);
            }
        }
        y
    }

    /// The largest element of each window over the last two axes; the padding is −∞. Windows that do
    /// not fit are left out.
    ///
    /// Shapes: `[n, c, h, w]` → `[n, c, h′, w′]`. The argument is a [`Pool`] or the size of the
    /// window: `x.max_pool2d(2)`, `x.max_pool2d(Pool::new([3, 3]).stride(2).padding(1))`.
    ///
    /// A composition of [`Var::unfold`] and [`Var::max_axes`].
    ///
    /// # Errors
    /// [`Parameter`](ErrorKind::Parameter) if the rank is not 4, no window fits, or the padding is
    /// more than half a window.
    ///
    /// Elements of a window that are tied share its cotangent equally, as in [`Var::max`]. Those that
    /// are −∞ tie with the padding, which keeps its share.
    ///
    /// NaN: an element that is NaN has derivative NaN, and the others get nothing from its windows,
    /// as in [`Var::max`].
    #[track_caller]
    pub fn max_pool2d(self, pool: impl Into<Pool>) -> Self {
        self.pooled("max_pool2d", pool.into(), f64::NEG_INFINITY).max_axes([4, 5])
    }

    /// The mean of each window over the last two axes; the padding is 0 and counts. Windows that do
    /// not fit are left out.
    ///
    /// Shapes: `[n, c, h, w]` → `[n, c, h′, w′]`. The argument is a [`Pool`] or the size of the
    /// window: `x.avg_pool2d(2)`.
    ///
    /// A composition of [`Var::unfold`] and [`Var::mean_axes`].
    ///
    /// # Errors
    /// Those of [`Var::max_pool2d`].
    ///
    /// Non-smooth points: none.
    #[track_caller]
    pub fn avg_pool2d(self, pool: impl Into<Pool>) -> Self {
        self.pooled("avg_pool2d", pool.into(), 0.0).mean_axes([4, 5])
    }

    /// The windows of a pooling, as axes 4 and 5.
    #[track_caller]
    fn pooled(self, op: &'static str, pool: Pool, around: f64) -> Self {
        let Ok(x) = self.shape() else { return self };
        let window = |i: usize| Window { size: pool.kernel[i], step: pool.stride[i], dilation: 1 };
        let check = |i: usize| match pool.padding[i] > pool.kernel[i] / 2 {
            true => {
                let (padding, size) = (pool.padding[i], pool.kernel[i]);
                Err(parameter(format!("padding {padding} is more than half a window of {size}")))
            }
            false => must_fit(window(i), x[2 + i], pool.padding[i]),
        };
        let checked = match x.rank() {
            4 => (0..2).try_for_each(check),
            _ => Err(parameter(format!("needs an input of 4 axes, got shape {x}"))),
        };
        match checked {
            Ok(()) => {
                // Whatever is around, it wins in no window.
                let _unwatched = self.tape.unwatched();
                let padded = self.pad_last(pool.padding, around);
                padded.unfold(2, window(0)).unfold(3, window(1))
            }
            Err(kind) => self.void(op, kind),
        }
    }

    /// `value` on both sides of each of the last D of D + 2 axes.
    #[track_caller]
    fn pad_last<const D: usize>(self, padding: [usize; D], value: f64) -> Self {
        match padding.iter().all(|&n| n == 0) {
            true => self,
            false => {
                let widths: Vec<_> = [0, 0].iter().chain(&padding).map(|&n| (n, n)).collect();
                self.pad(&widths, value)
            }
        }
    }
}

/// The size of what `n` windows reach over; refuses those that are lost in the padding.
fn spread(window: Window, n: usize, padding: usize) -> Result<usize, ErrorKind> {
    count(window, 0)?;
    let steps = n.checked_sub(1).and_then(|steps| steps.checked_mul(window.step));
    let reach = (window.size - 1).checked_mul(window.dilation);
    let spread =
        steps.zip(reach).and_then(|(steps, reach)| steps.checked_add(reach)?.checked_add(1));
    match spread {
        Some(spread) if padding.checked_mul(2).is_some_and(|padding| padding < spread) => {
            Ok(spread)
        }
        _ => Err(parameter(format!(
            "the result is empty: padding {padding} on both sides removes all {n} windows of {window}"
        ))),
    }
}
