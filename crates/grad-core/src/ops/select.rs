//! Choosing between values: comparisons, `where_`, `maximum`, `clamp`, and what has no derivative.

use super::functions::{Ceil, Floor, Round, Sign, Trunc};
use crate::ground::{ErrorKind, Shape, TensorLike, call, infix};
use crate::kinds::{ByPartial, Elementwise, Step};
use crate::tape::{Operand, Primal, Var};

#[derive(Clone, Copy)]
struct Maximum;

impl Elementwise for Maximum {
    const NAME: &'static str = "maximum";
    const ARITY: usize = 2;
    const CHOOSES: bool = true;

    fn forward<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error> {
        x[0].maximum(x[1])
    }

    fn partial<'t, T: TensorLike>(
        &self,
        arg: usize,
        p: &Primal<'t, T>,
        c: Var<'t, T>,
    ) -> Var<'t, T> {
        let (this, other) = (p.x(arg), p.x(1 - arg));
        share(this.gt(other), this, other, c)
    }

    fn depends<'t, T: TensorLike>(&self, arg: usize, p: &Primal<'t, T>) -> Option<Var<'t, T>> {
        let (this, other) = (p.x(arg), p.x(1 - arg));
        Some(chosen(this.gt(other), this, other))
    }
}

#[derive(Clone, Copy)]
struct Minimum;

impl Elementwise for Minimum {
    const NAME: &'static str = "minimum";
    const ARITY: usize = 2;
    const CHOOSES: bool = true;

    fn forward<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error> {
        x[0].minimum(x[1])
    }

    fn partial<'t, T: TensorLike>(
        &self,
        arg: usize,
        p: &Primal<'t, T>,
        c: Var<'t, T>,
    ) -> Var<'t, T> {
        let (this, other) = (p.x(arg), p.x(1 - arg));
        share(this.lt(other), this, other, c)
    }

    fn depends<'t, T: TensorLike>(&self, arg: usize, p: &Primal<'t, T>) -> Option<Var<'t, T>> {
        let (this, other) = (p.x(arg), p.x(1 - arg));
        Some(chosen(this.lt(other), this, other))
    }
}

/// Where `this` is one of the chosen, or NaN, and so made the result NaN.
fn chosen<'t, T: TensorLike>(wins: Var<'t, T>, this: Var<'t, T>, other: Var<'t, T>) -> Var<'t, T> {
    wins + this.eq(other) + this.ne(this)
}

/// What one of two gets of `c`: all if it is chosen, half where they are tied, NaN if it is NaN.
fn share<'t, T: TensorLike>(
    wins: Var<'t, T>,
    this: Var<'t, T>,
    other: Var<'t, T>,
    c: Var<'t, T>,
) -> Var<'t, T> {
    let tied = this.eq(other);
    wins.where_(c, tied.where_(c * 0.5, this.ne(this).where_(c * this, 0.0)))
}

#[derive(Clone, Copy)]
struct ClampMin(f64);

impl Elementwise for ClampMin {
    const NAME: &'static str = "clamp_min";
    const CHOOSES: bool = true;

    fn forward<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error> {
        x[0].maximum(&x[0].scalar(self.0)?)
    }

    fn slope(&self, _: usize) -> Option<f64> {
        Some(1.0)
    }

    fn depends<'t, T: TensorLike>(&self, _: usize, p: &Primal<'t, T>) -> Option<Var<'t, T>> {
        Some(p.x(0).gt(self.0))
    }

    fn format(&self, x: &[&str]) -> String {
        call("clamp_min", x, &self.0.to_string())
    }
}

#[derive(Clone, Copy)]
struct ClampMax(f64);

impl Elementwise for ClampMax {
    const NAME: &'static str = "clamp_max";
    const CHOOSES: bool = true;

    fn forward<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error> {
        x[0].minimum(&x[0].scalar(self.0)?)
    }

    fn slope(&self, _: usize) -> Option<f64> {
        Some(1.0)
    }

    fn depends<'t, T: TensorLike>(&self, _: usize, p: &Primal<'t, T>) -> Option<Var<'t, T>> {
        Some(p.x(0).lt(self.0))
    }

    fn format(&self, x: &[&str]) -> String {
        call("clamp_max", x, &self.0.to_string())
    }
}

#[derive(Clone, Copy)]
struct Where;

impl Elementwise for Where {
    const NAME: &'static str = "where";
    const ARITY: usize = 3;
    const CHOOSES: bool = true;

    fn forward<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error> {
        x[0].select(x[1], x[2])
    }

    fn partial<'t, T: TensorLike>(
        &self,
        arg: usize,
        p: &Primal<'t, T>,
        c: Var<'t, T>,
    ) -> Var<'t, T> {
        match arg {
            // A step function of the mask.
            0 => c.zeros_like(),
            1 => p.x(0).where_(c, 0.0),
            _ => p.x(0).where_(0.0, c),
        }
    }

    fn slope(&self, arg: usize) -> Option<f64> {
        Some(if arg == 0 { 0.0 } else { 1.0 })
    }

    fn depends<'t, T: TensorLike>(&self, arg: usize, p: &Primal<'t, T>) -> Option<Var<'t, T>> {
        Some(if arg == 1 { p.x(0).ne(0.0) } else { p.x(0).eq(0.0) })
    }

    fn format(&self, x: &[&str]) -> String {
        format!("{}.where_({})", x[0], x[1..].join(", "))
    }
}

/// A comparison: 1 where it holds, else 0, and never a derivative.
macro_rules! comparison {
    ($name:ident, $text:literal, $symbol:literal, |$x:ident, $y:ident| $value:expr) => {
        #[derive(Clone, Copy)]
        struct $name;

        impl Step for $name {
            const NAME: &'static str = $text;
            const ARITY: usize = 2;

            fn forward<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error> {
                let ($x, $y) = (x[0], x[1]);
                $value
            }

            fn format(&self, x: &[&str]) -> String {
                infix($symbol, x)
            }
        }
    };
}

comparison!(Lt, "lt", "<", |x, y| x.lt(y));
comparison!(Le, "le", "<=", |x, y| x.le(y));
comparison!(Gt, "gt", ">", |x, y| y.lt(x));
comparison!(Ge, "ge", ">=", |x, y| y.le(x));
comparison!(Eq, "eq", "==", |x, y| x.eq(y));
comparison!(Ne, "ne", "!=", |x, y| x.ne(y));

#[derive(Clone, Copy)]
struct Detach;

impl Step for Detach {
    const NAME: &'static str = "detach";

    fn forward<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error> {
        Ok(x[0].clone())
    }
}

impl<'t, T: TensorLike> Var<'t, T> {
    /// The larger of `x` and `y`, elementwise; NaN where either is.
    ///
    /// Shapes: `x`, `y` → their broadcast.
    ///
    /// ```math
    /// x̄ = ȳ ([x > y] + ½ [x = y])
    /// ```
    ///
    /// # Errors
    /// [`ShapeMismatch`](crate::ErrorKind::ShapeMismatch) if the shapes do not broadcast.
    ///
    /// Where the two are equal, each gets half of the cotangent, as in PyTorch and JAX.
    ///
    /// NaN: an argument that is NaN has derivative NaN, and beside it a number has 0, as in
    /// [`Var::max`].
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let (x, y) = (tape.var(2.0), tape.var(2.0));
    /// let [dx, dy] = tape.backward(x.maximum(y), [x, y])?;
    /// assert_eq!((dx, dy), (0.5, 0.5));
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn maximum(self, y: impl Operand<'t, T>) -> Self {
        self.binary(fixed!(ByPartial, Maximum), y)
    }

    /// The smaller of `x` and `y`, elementwise; NaN where either is.
    ///
    /// Shapes: `x`, `y` → their broadcast.
    ///
    /// ```math
    /// x̄ = ȳ ([x < y] + ½ [x = y])
    /// ```
    ///
    /// # Errors
    /// [`ShapeMismatch`](crate::ErrorKind::ShapeMismatch) if the shapes do not broadcast.
    ///
    /// Where the two are equal, each gets half of the cotangent, as in PyTorch and JAX.
    ///
    /// NaN: an argument that is NaN has derivative NaN, and beside it a number has 0, as in
    /// [`Var::max`].
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let (x, y) = (tape.var(1.0), tape.var(2.0));
    /// let [dx, dy] = tape.backward(x.minimum(y), [x, y])?;
    /// assert_eq!((dx, dy), (1.0, 0.0));
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn minimum(self, y: impl Operand<'t, T>) -> Self {
        self.binary(fixed!(ByPartial, Minimum), y)
    }

    /// `x`, but `min` where `x` is below; NaN where either is.
    ///
    /// Shapes: unchanged.
    ///
    /// ```math
    /// x̄ = ȳ [x > min],   ẏ = ẋ [x > min]
    /// ```
    ///
    /// On the bound the derivative is 0, as in PyTorch, unlike that of [`Var::maximum`]. Errors:
    /// none.
    ///
    /// NaN: the value is NaN with derivative 0, as in PyTorch.
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let x = tape.var(-2.0);
    /// let [dx] = tape.backward(x.clamp_min(-1.0), [x])?;
    /// assert_eq!(dx, 0.0);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn clamp_min(self, min: f64) -> Self {
        self.with(ByPartial::new(ClampMin(min)))
    }

    /// `x`, but `max` where `x` is above; NaN where either is.
    ///
    /// Shapes: unchanged.
    ///
    /// ```math
    /// x̄ = ȳ [x < max],   ẏ = ẋ [x < max]
    /// ```
    ///
    /// On the bound the derivative is 0, as in PyTorch, unlike that of [`Var::minimum`]. Errors:
    /// none.
    ///
    /// NaN: the value is NaN with derivative 0, as in PyTorch.
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let x = tape.var(-2.0);
    /// let [dx] = tape.backward(x.clamp_max(-1.0), [x])?;
    /// assert_eq!(dx, 1.0);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn clamp_max(self, max: f64) -> Self {
        self.with(ByPartial::new(ClampMax(max)))
    }

    /// `x` between two bounds: [`Var::clamp_min`], then [`Var::clamp_max`]; each stands for a
    /// missing bound, too.
    ///
    /// Shapes: unchanged.
    ///
    /// ```math
    /// x̄ = ȳ [min < x < max],   ẏ = ẋ [min < x < max]
    /// ```
    ///
    /// On the bounds the derivative is 0, as in PyTorch. Where min > max the result is max, as in
    /// PyTorch and NumPy. Errors: none.
    ///
    /// NaN: the value is NaN with derivative 0, as in PyTorch.
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let x = tape.var(1.0);
    /// let y = x.clamp(0.0, 1.0);
    /// assert_eq!(y.item()?, 1.0);
    /// assert_eq!(tape.backward(y, x)?, 0.0);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn clamp(self, min: f64, max: f64) -> Self {
        self.clamp_min(min).clamp_max(max)
    }

    /// `a` where this mask is not 0, else `b`, elementwise.
    ///
    /// Shapes: mask, `a`, `b` → their broadcast.
    ///
    /// ```math
    /// ā = ȳ where m, else 0;   b̄ = 0 where m, else ȳ
    /// ```
    ///
    /// # Errors
    /// [`ShapeMismatch`](crate::ErrorKind::ShapeMismatch) if the shapes do not broadcast.
    ///
    /// The mask gets no derivative. What is not chosen has derivative 0, to every order, even where its
    /// own derivative is infinite or NaN:
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let x = tape.var(0.0);
    /// let y = x.gt(0.0).where_(x * x.ln(), 0.0);
    /// assert_eq!(tape.backward(y, x)?, 0.0);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    ///
    /// This holds for a choice, and not for a product with a tracked number that happens to be 0:
    /// `0 · ∞` is NaN. Choose the product, not its factor:
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let x = tape.var(0.0);
    /// let chosen = x.gt(0.0);
    /// assert!(tape.backward(chosen.where_(x, 0.0) * x.sqrt(), x)?.is_nan());
    /// assert_eq!(tape.backward(chosen.where_(x * x.sqrt(), 0.0), x)?, 0.0);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn where_(self, a: impl Operand<'t, T>, b: impl Operand<'t, T>) -> Self {
        self.tape.record(fixed!(ByPartial, Where), [self, a.into_var(self), b.into_var(self)])
    }

    /// `value` where `mask` is not 0, else `x`, elementwise: [`Var::where_`] in another order.
    ///
    /// Shapes: `x`, mask → their broadcast; the value, which may be a number, broadcasts to that.
    ///
    /// ```math
    /// x̄ = 0 where m, else ȳ
    /// ```
    ///
    /// # Errors
    /// [`ShapeMismatch`](crate::ErrorKind::ShapeMismatch) if the shapes do not broadcast, or if the
    /// value would make the result larger.
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let x = tape.var(-2.0);
    /// assert_eq!(x.masked_fill(x.lt(0.0), f64::INFINITY).item()?, f64::INFINITY);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn masked_fill(self, mask: Self, value: impl Operand<'t, T>) -> Self {
        let value = value.into_var(self);
        if let (Ok(mask), Ok(x), Ok(left)) = (mask.shape(), self.shape(), value.shape())
            && let Some(right) = x.broadcast(&mask)
            && !left.expands_to(&right)
        {
            let rule = "are incompatible: the first, the value, must broadcast to the second";
            return self.void("masked_fill", ErrorKind::ShapeMismatch { left, right, rule });
        }
        mask.where_(value, self)
    }

    /// The sign of `x`: −1, 0 or 1, elementwise; 0 for NaN. Untracked: its derivative is 0.
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// assert_eq!(tape.var(-2.0).sign().item()?, -1.0);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn sign(self) -> Self {
        self.unary(fixed!(NoDerivative, Sign))
    }

    /// The largest whole number that is not above `x`, elementwise. Untracked: its derivative is 0.
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// assert_eq!(tape.var(-1.5).floor().item()?, -2.0);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn floor(self) -> Self {
        self.unary(fixed!(NoDerivative, Floor))
    }

    /// The smallest whole number that is not below `x`, elementwise. Untracked: its derivative is 0.
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// assert_eq!(tape.var(-1.5).ceil().item()?, -1.0);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn ceil(self) -> Self {
        self.unary(fixed!(NoDerivative, Ceil))
    }

    /// The nearest whole number, elementwise; of two, the even one. Untracked: its derivative is 0.
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// assert_eq!(tape.var(2.5).round().item()?, 2.0);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn round(self) -> Self {
        self.unary(fixed!(NoDerivative, Round))
    }

    /// The whole part of `x`, elementwise. Untracked: its derivative is 0.
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// assert_eq!(tape.var(-1.5).trunc().item()?, -1.0);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn trunc(self) -> Self {
        self.unary(fixed!(NoDerivative, Trunc))
    }

    /// The same value, but untracked: no derivative flows through.
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let x = tape.var(3.0);
    /// let [dx] = tape.backward(x * x.detach(), [x])?;
    /// assert_eq!(dx, 3.0);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn detach(self) -> Self {
        self.unary(fixed!(NoDerivative, Detach))
    }

    /// Zeros of the same shape, dtype and device; untracked.
    #[track_caller]
    pub fn zeros_like(self) -> Self {
        self.full_like(0.0)
    }

    /// Ones of the same shape, dtype and device; untracked.
    #[track_caller]
    pub fn ones_like(self) -> Self {
        self.full_like(1.0)
    }

    /// `value` in the same shape, dtype and device; untracked.
    #[track_caller]
    pub fn full_like(self, value: f64) -> Self {
        let shape = self.shape().unwrap_or_else(|_| Shape::scalar());
        self.tape.full(self, &shape, value)
    }
}

/// The comparisons of `Var`, one method each.
macro_rules! comparison_methods {
    ($($method:ident $name:ident $symbol:literal;)*) => {
        impl<'t, T: TensorLike> Var<'t, T> {
            $(
                #[doc = concat!("The mask `x ", $symbol, " y`: 1 where it holds, else 0, of the same dtype.")]
                ///
                /// Shapes: `x`, `y` → their broadcast. Untracked: its derivative is 0.
                /// Compared with NaN, only `ne` holds.
                ///
                /// # Errors
                /// [`ShapeMismatch`](crate::ErrorKind::ShapeMismatch) if the shapes do not
                /// broadcast.
                #[track_caller]
                pub fn $method(self, y: impl Operand<'t, T>) -> Self {
                    self.binary(fixed!(NoDerivative, $name), y)
                }
            )*
        }
    };
}

comparison_methods! {
    lt Lt "<";
    le Le "≤";
    gt Gt ">";
    ge Ge "≥";
    eq Eq "=";
    ne Ne "≠";
}
