//! Activations: the nonlinear functions of neural networks.

use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

use super::functions::{Sigmoid, Softplus, derivative};
use crate::ground::TensorLike;
use crate::kinds::Elementwise;
use crate::tape::{Primal, Var};

/// `1/√(2π)`, the density of the normal distribution at 0.
const FRAC_1_SQRT_2PI: f64 = FRAC_2_SQRT_PI * FRAC_1_SQRT_2 / 2.0;

/// `√(2/π)`, the slope at 0 in the argument of tanh in [`Var::gelu_tanh`].
const SQRT_FRAC_2_PI: f64 = FRAC_2_SQRT_PI * FRAC_1_SQRT_2;

/// The coefficient of the cubic term there, a fit by Hendrycks and Gimpel (2016), section 2.
const GELU_CUBIC: f64 = 0.044715;

/// `σ(x) σ(−x)`, the density of the logistic distribution: the derivative of the sigmoid and, scaled,
/// that of tanh. `y (1 − y)` would lose its digits where y is near 1.
#[derive(Clone, Copy)]
struct LogisticDensity;

impl Elementwise for LogisticDensity {
    const NAME: &'static str = "logistic_density";

    fn forward<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error> {
        x[0].logistic_density()
    }

    // σ(−x) − σ(x) = −tanh(x/2), which keeps its digits near 0.
    fn partial<'t, T: TensorLike>(&self, _: usize, p: &Primal<'t, T>, c: Var<'t, T>) -> Var<'t, T> {
        -c * (p.y() * (p.x(0) * 0.5).tanh())
    }
}

#[derive(Clone, Copy)]
struct Relu;

impl Elementwise for Relu {
    const NAME: &'static str = "relu";
    const CHOOSES: bool = true;

    fn forward<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error> {
        x[0].relu()
    }

    // Not 0 at NaN.
    fn partial<'t, T: TensorLike>(&self, _: usize, p: &Primal<'t, T>, c: Var<'t, T>) -> Var<'t, T> {
        p.x(0).le(0.0).where_(0.0, c)
    }

    fn slope(&self, _: usize) -> Option<f64> {
        Some(1.0)
    }

    fn depends<'t, T: TensorLike>(&self, _: usize, p: &Primal<'t, T>) -> Option<Var<'t, T>> {
        Some(p.x(0).le(0.0).eq(0.0))
    }
}

#[derive(Clone, Copy)]
struct Silu;

impl Elementwise for Silu {
    const NAME: &'static str = "silu";

    fn forward<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error> {
        x[0].sigmoid()?.mul_or_zero(x[0]) // 0 at −∞
    }

    // Beyond ±800, where e⁻ˣ is 0 or ∞, the derivative is 0 or 1; bounding x keeps ∞ · 0 out of it.
    fn partial<'t, T: TensorLike>(&self, _: usize, p: &Primal<'t, T>, c: Var<'t, T>) -> Var<'t, T> {
        let x = p.x(0).maximum(-800.0).minimum(800.0);
        c * (x.sigmoid() + x * x.logistic_density())
    }
}

#[derive(Clone, Copy)]
struct Gelu;

impl Elementwise for Gelu {
    const NAME: &'static str = "gelu";

    fn forward<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error> {
        x[0].normal_cdf()?.mul_or_zero(x[0]) // 0 at −∞
    }

    // Beyond ±40, where e^(−x²/2) is 0, the derivative is 0 or 1; as for silu.
    fn partial<'t, T: TensorLike>(&self, _: usize, p: &Primal<'t, T>, c: Var<'t, T>) -> Var<'t, T> {
        let x = p.x(0).maximum(-40.0).minimum(40.0);
        c * (x.normal_cdf() + x * x.normal_density())
    }
}

/// `Φ(x)`. `½ (1 + erf(x/√2))` would be 0 where erf is near −1.
#[derive(Clone, Copy)]
struct NormalCdf;

impl Elementwise for NormalCdf {
    const NAME: &'static str = "normal_cdf";

    fn forward<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error> {
        x[0].normal_cdf()
    }

    fn partial<'t, T: TensorLike>(&self, _: usize, p: &Primal<'t, T>, c: Var<'t, T>) -> Var<'t, T> {
        c * p.x(0).maximum(-40.0).minimum(40.0).normal_density()
    }
}

/// As x σ(2u), since ½ (1 + tanh u) = σ(2u); the latter has no cancellation below 0.
#[derive(Clone, Copy)]
struct GeluTanh;

impl Elementwise for GeluTanh {
    const NAME: &'static str = "gelu_tanh";

    fn forward<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error> {
        x[0].normal_cdf_tanh()?.mul_or_zero(x[0]) // 0 at −∞
    }

    // Bounded as for gelu.
    fn partial<'t, T: TensorLike>(&self, _: usize, p: &Primal<'t, T>, c: Var<'t, T>) -> Var<'t, T> {
        let x = p.x(0).maximum(-40.0).minimum(40.0);
        c * (x.normal_cdf_tanh() + x * (x.density_of_u() * x.slope_of_u()))
    }
}

/// `σ(2u)`. Its value is computed from that at −|x|, as in [`DensityOfU`], so that a rule that needs
/// both computes it once.
#[derive(Clone, Copy)]
struct NormalCdfTanh;

impl Elementwise for NormalCdfTanh {
    const NAME: &'static str = "normal_cdf_tanh";

    fn forward<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error> {
        let tail = x[0].abs()?.neg()?.normal_cdf_tanh()?;
        let is_below = x[0].lt(&x[0].scalar(0.0)?)?;
        is_below.select(&tail, &tail.neg()?.shift(1.0)?)
    }

    fn partial<'t, T: TensorLike>(&self, _: usize, p: &Primal<'t, T>, c: Var<'t, T>) -> Var<'t, T> {
        let x = p.x(0).maximum(-40.0).minimum(40.0);
        c * (x.density_of_u() * x.slope_of_u())
    }
}

/// `σ(2u) σ(−2u)`, see [`LogisticDensity`].
#[derive(Clone, Copy)]
struct DensityOfU;

impl Elementwise for DensityOfU {
    const NAME: &'static str = "density_of_u";

    fn forward<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error> {
        let tail = x[0].abs()?.neg()?.normal_cdf_tanh()?;
        tail.mul(&tail.neg()?.shift(1.0)?)
    }

    fn partial<'t, T: TensorLike>(&self, _: usize, p: &Primal<'t, T>, c: Var<'t, T>) -> Var<'t, T> {
        let x = p.x(0).maximum(-40.0).minimum(40.0);
        let u = x * (x.square() * (SQRT_FRAC_2_PI * GELU_CUBIC) + SQRT_FRAC_2_PI);
        -c * (p.y() * u.tanh() * x.slope_of_u())
    }
}

impl<'t, T: TensorLike> Var<'t, T> {
    /// `σ(x) σ(−x)`.
    #[track_caller]
    pub(super) fn logistic_density(self) -> Self {
        self.unary(fixed!(ByPartial, LogisticDensity))
    }

    /// `Φ(x)`.
    #[track_caller]
    fn normal_cdf(self) -> Self {
        self.unary(fixed!(ByPartial, NormalCdf))
    }

    /// `φ(x) = e^(−x²/2) / √(2π)` for |x| ≤ 40.
    #[track_caller]
    fn normal_density(self) -> Self {
        self.wide_gaussian() * FRAC_1_SQRT_2PI
    }

    /// `σ(2u)` for the u of [`Var::gelu_tanh`].
    #[track_caller]
    fn normal_cdf_tanh(self) -> Self {
        self.unary(fixed!(ByPartial, NormalCdfTanh))
    }

    /// `σ(2u) σ(−2u)`.
    #[track_caller]
    fn density_of_u(self) -> Self {
        self.unary(fixed!(ByPartial, DensityOfU))
    }

    /// `2 u′`.
    #[track_caller]
    fn slope_of_u(self) -> Self {
        self.square() * (6.0 * SQRT_FRAC_2_PI * GELU_CUBIC) + 2.0 * SQRT_FRAC_2_PI
    }

    /// The logistic function `σ(x) = 1 / (1 + e⁻ˣ)`, elementwise; no intermediate overflows.
    ///
    /// Shapes: unchanged.
    ///
    #[doc = derivative!(sigmoid)]
    ///
    /// Errors and non-smooth points: none. At ±∞: 0 or 1 with derivative 0.
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let x = tape.var(0.0);
    /// let [dx] = tape.backward(x.sigmoid(), [x])?;
    /// assert_eq!(dx, 0.25);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn sigmoid(self) -> Self {
        self.unary(fixed!(ByPartial, Sigmoid))
    }

    /// `ln σ(x) = −softplus(−x)`, elementwise, without taking the logarithm of a number that has
    /// become 0.
    ///
    /// Shapes: unchanged.
    ///
    /// ```math
    /// x̄ = ȳ σ(−x),   ẏ = ẋ σ(−x)
    /// ```
    ///
    /// Errors and non-smooth points: none. At −∞: −∞ with derivative 1.
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let x = tape.var(-800.0);
    /// let y = x.log_sigmoid();
    /// assert_eq!(y.item()?, -800.0);
    /// assert_eq!(tape.backward(y, x)?, 1.0);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn log_sigmoid(self) -> Self {
        -(-self).softplus()
    }

    /// `ln(1 + eˣ)`, elementwise; no intermediate overflows, and no threshold switches to x.
    ///
    /// Shapes: unchanged.
    ///
    #[doc = derivative!(softplus)]
    ///
    /// Errors and non-smooth points: none. At ∞: ∞ with derivative 1; at −∞: 0 with derivative 0.
    /// Source: Dugas et al. (2001), "Incorporating second-order functional knowledge for better
    /// option pricing".
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let x = tape.var(0.0);
    /// let [dx] = tape.backward(x.softplus(), [x])?;
    /// assert_eq!(dx, 0.5);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn softplus(self) -> Self {
        self.unary(fixed!(ByPartial, Softplus))
    }

    /// The rectifier `max(x, 0)`, elementwise.
    ///
    /// Shapes: unchanged.
    ///
    /// ```math
    /// x̄ = ȳ [x > 0],   ẏ = ẋ [x > 0]
    /// ```
    ///
    /// At 0 the derivative is 0, as in PyTorch. Errors: none.
    ///
    /// NaN: the value is NaN with derivative 1, as in PyTorch.
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let x = tape.var(0.0);
    /// let [dx] = tape.backward(x.relu(), [x])?;
    /// assert_eq!(dx, 0.0);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn relu(self) -> Self {
        self.unary(fixed!(ByPartial, Relu))
    }

    /// `x` above 0, else `slope · x`, elementwise.
    ///
    /// Shapes: unchanged.
    ///
    /// ```math
    /// x̄ = ȳ ([x > 0] + slope [x ≤ 0]),   ẏ = ẋ ([x > 0] + slope [x ≤ 0])
    /// ```
    ///
    /// At 0 the derivative is the slope, as in PyTorch; so with slope 0 it is [`Var::relu`].
    /// Errors: none.
    /// Source: Maas, Hannun and Ng (2013), "Rectifier nonlinearities improve neural network
    /// acoustic models".
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let x = tape.var(-2.0);
    /// let [dx] = tape.backward(x.leaky_relu(0.1), [x])?;
    /// assert_eq!(dx, 0.1);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn leaky_relu(self, slope: f64) -> Self {
        self.gt(0.0).where_(self, self * slope)
    }

    /// The exponential linear unit, elementwise: `x` above 0, else `alpha (eˣ − 1)`.
    ///
    /// Shapes: unchanged.
    ///
    /// ```math
    /// x̄ = ȳ ([x > 0] + alpha eˣ [x ≤ 0]),   ẏ = ẋ ([x > 0] + alpha eˣ [x ≤ 0])
    /// ```
    ///
    /// At 0 the derivative is alpha, as in PyTorch and JAX. Errors: none.
    /// Source: Clevert, Unterthiner and Hochreiter (2016), "Fast and accurate deep network learning
    /// by exponential linear units".
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let x = tape.var(0.0);
    /// let [dx] = tape.backward(x.elu(0.5), [x])?;
    /// assert_eq!(dx, 0.5);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn elu(self, alpha: f64) -> Self {
        self.gt(0.0).where_(self, self.expm1() * alpha)
    }

    /// `x σ(x)`, elementwise, also called swish.
    ///
    /// Shapes: unchanged.
    ///
    /// ```math
    /// x̄ = ȳ (σ(x) + x σ(x) σ(−x)),   ẏ = ẋ (σ(x) + x σ(x) σ(−x))
    /// ```
    ///
    /// Errors and non-smooth points: none. At −∞: 0 with derivative 0; at ∞: ∞ with derivative 1.
    /// Source: Hendrycks and Gimpel (2016), "Gaussian error linear units".
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let x = tape.var(0.0);
    /// let [dx] = tape.backward(x.silu(), [x])?;
    /// assert_eq!(dx, 0.5);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn silu(self) -> Self {
        self.unary(fixed!(ByPartial, Silu))
    }

    /// The Gaussian error linear unit `x Φ(x)`, elementwise, with the normal distribution
    /// `Φ(x) = ½ erfc(−x/√2)`.
    ///
    /// Shapes: unchanged.
    ///
    /// ```math
    /// x̄ = ȳ (Φ(x) + x φ(x)),   ẏ = ẋ (Φ(x) + x φ(x)),   φ(x) = e^(−x²/2) / √(2π)
    /// ```
    ///
    /// Errors and non-smooth points: none. At −∞: 0 with derivative 0; at ∞: ∞ with derivative 1.
    /// Source: Hendrycks and Gimpel (2016), "Gaussian error linear units".
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let x = tape.var(0.0);
    /// let [dx] = tape.backward(x.gelu(), [x])?;
    /// assert_eq!(dx, 0.5);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn gelu(self) -> Self {
        self.unary(fixed!(ByPartial, Gelu))
    }

    /// The approximation of [`Var::gelu`] by tanh, elementwise: `½ x (1 + tanh u)` with
    /// `u = √(2/π) (x + 0.044715 x³)`.
    ///
    /// Shapes: unchanged.
    ///
    /// ```math
    /// x̄ = ȳ (σ(2u) + 2 x σ(2u) σ(−2u) u′),   ẏ likewise,   u′ = √(2/π) (1 + 0.134145 x²)
    /// ```
    ///
    /// Errors and non-smooth points: none. At −∞: 0 with derivative 0; at ∞: ∞ with derivative 1.
    /// Source: Hendrycks and Gimpel (2016), "Gaussian error linear units".
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let x = tape.var(0.0);
    /// let [dx] = tape.backward(x.gelu_tanh(), [x])?;
    /// assert_eq!(dx, 0.5);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn gelu_tanh(self) -> Self {
        self.unary(fixed!(ByPartial, GeluTanh))
    }
}
