//! What is made of other operations: variances, normalizations, similarities and losses.

use super::reduce::Over;
use crate::ground::{Axes, ErrorKind, Index, Shape, TensorLike};
use crate::tape::{Operand, Var};

impl<'t, T: TensorLike> Var<'t, T> {
    /// The variance of all elements, `Σ (x − mean)² / (n − correction)`.
    ///
    /// A correction of 1 estimates the variance of what a sample was drawn from, 0 is the variance
    /// of the elements themselves. The mean may be far larger than the differences from it.
    ///
    /// Shapes: any → `[]`.
    ///
    /// ```math
    /// x̄ = 2 ȳ (x − mean) / (n − correction)
    /// ```
    ///
    /// Errors and non-smooth points: none. With no more elements than the correction it is NaN or
    /// infinite, as in PyTorch: `0 / 0` for one element and correction 1.
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// assert_eq!(tape.var(3.0).var(0).item()?, 0.0);
    /// assert!(tape.var(3.0).var(1).item()?.is_nan());
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn var(self, correction: usize) -> Self {
        self.var_over(Over::ALL, correction)
    }

    /// The variance over `axes`, which are dropped.
    ///
    /// Formula and correction: as [`Var::var`].
    ///
    /// # Errors
    /// [`AxisOutOfRange`](ErrorKind::AxisOutOfRange), [`RepeatedAxis`](ErrorKind::RepeatedAxis).
    #[track_caller]
    pub fn var_axes(self, axes: impl Into<Axes>, correction: usize) -> Self {
        match self.over(axes, false) {
            Ok(over) => self.var_over(over, correction),
            Err(kind) => self.void("var", kind),
        }
    }

    /// [`Var::var_axes`], but the axes stay with size 1.
    #[track_caller]
    pub fn var_keepdim(self, axes: impl Into<Axes>, correction: usize) -> Self {
        match self.over(axes, true) {
            Ok(over) => self.var_over(over, correction),
            Err(kind) => self.void("var", kind),
        }
    }

    #[track_caller]
    fn var_over(self, over: Over, correction: usize) -> Self {
        let Ok(shape) = self.shape() else { return self };
        // Of the sum in place of the mean, 16 bits would overflow.
        let mean = self.centered(&over).square().mean_over(&over);
        match over.count(&shape) / over.freedom(&shape, correction) {
            1.0 => mean,
            corrected => mean * corrected,
        }
    }

    /// The standard deviation of all elements, the square root of [`Var::var`].
    ///
    /// Shapes: any → `[]`.
    ///
    /// ```math
    /// x̄ = ȳ (x − mean) / (y (n − correction))
    /// ```
    ///
    /// Errors: none. If all elements are equal, value and gradient are 0, as for [`Var::norm`]; with
    /// no more elements than the correction both are NaN.
    #[track_caller]
    pub fn std(self, correction: usize) -> Self {
        self.std_over(Over::ALL, correction)
    }

    /// The standard deviation over `axes`, which are dropped.
    ///
    /// Formula and correction: as [`Var::std`].
    ///
    /// # Errors
    /// [`AxisOutOfRange`](ErrorKind::AxisOutOfRange), [`RepeatedAxis`](ErrorKind::RepeatedAxis).
    #[track_caller]
    pub fn std_axes(self, axes: impl Into<Axes>, correction: usize) -> Self {
        match self.over(axes, false) {
            Ok(over) => self.std_over(over, correction),
            Err(kind) => self.void("std", kind),
        }
    }

    /// [`Var::std_axes`], but the axes stay with size 1.
    #[track_caller]
    pub fn std_keepdim(self, axes: impl Into<Axes>, correction: usize) -> Self {
        match self.over(axes, true) {
            Ok(over) => self.std_over(over, correction),
            Err(kind) => self.void("std", kind),
        }
    }

    // Not the root of the variance, whose derivative is infinite at 0.
    #[track_caller]
    fn std_over(self, over: Over, correction: usize) -> Self {
        let Ok(shape) = self.shape() else { return self };
        let freedom = over.freedom(&shape, correction);
        self.centered(&over).norm_over(2.0, over) / freedom.sqrt()
    }

    /// Standardized over `axes`, then scaled and shifted:
    /// `(x − mean) / √(var + eps) · weight + bias`, with the variance of correction 0.
    ///
    /// Shapes: unchanged; weight and bias broadcast to that of `x`. They may be numbers.
    ///
    /// ```math
    /// x̄ = (g − mean(g) − x̂ mean(g x̂)) / √(var + eps),   g = ȳ weight,
    /// x̂ = (x − mean) / √(var + eps)
    /// ```
    ///
    /// # Errors
    /// [`AxisOutOfRange`](ErrorKind::AxisOutOfRange), [`RepeatedAxis`](ErrorKind::RepeatedAxis);
    /// [`ShapeMismatch`](ErrorKind::ShapeMismatch) if weight or bias do not broadcast to that of `x`.
    ///
    /// Non-smooth points: none for eps > 0. No square overflows, and elements that are far from 0
    /// and close to each other are standardized without loss.
    /// Source: Ba, Kiros and Hinton (2016), "Layer normalization".
    #[track_caller]
    pub fn layer_norm(
        self,
        axes: impl Into<Axes>,
        weight: impl Operand<'t, T>,
        bias: impl Operand<'t, T>,
        eps: f64,
    ) -> Self {
        match self.over(axes, true) {
            Ok(over) => {
                let weight = weight.into_var(self).within("layer_norm", self);
                let bias = bias.into_var(self).within("layer_norm", self);
                self.centered(&over).by_mean_square(&over, eps) * weight + bias
            }
            Err(kind) => self.void("layer_norm", kind),
        }
    }

    /// Divided by the root of the mean square over `axes`, then scaled:
    /// `x / √(mean(x²) + eps) · weight`.
    ///
    /// Shapes: unchanged; the weight broadcasts to that of `x`. It may be a number.
    ///
    /// ```math
    /// x̄ = (g − x̂ mean(g x̂)) / √(mean(x²) + eps),   g = ȳ weight,   x̂ = x / √(mean(x²) + eps)
    /// ```
    ///
    /// # Errors
    /// [`AxisOutOfRange`](ErrorKind::AxisOutOfRange), [`RepeatedAxis`](ErrorKind::RepeatedAxis);
    /// [`ShapeMismatch`](ErrorKind::ShapeMismatch) if the weight does not broadcast to that of `x`.
    ///
    /// Non-smooth points: none for eps > 0. No square overflows.
    /// Source: Zhang and Sennrich (2019), "Root mean square layer normalization".
    #[track_caller]
    pub fn rms_norm(self, axes: impl Into<Axes>, weight: impl Operand<'t, T>, eps: f64) -> Self {
        match self.over(axes, true) {
            Ok(over) => {
                let weight = weight.into_var(self).within("rms_norm", self);
                self.by_mean_square(&over, eps) * weight
            }
            Err(kind) => self.void("rms_norm", kind),
        }
    }

    /// Standardized over all axes but axis 1, the channels, then scaled and shifted a channel:
    /// batch normalization in training, with the statistics of the batch itself.
    ///
    /// Shapes: `x` of `[N, C, ..]`, weight and bias of `[C]` → `[N, C, ..]`.
    ///
    /// ```math
    /// y = (x − mean) / √(var + eps) · weight + bias;   x̄ as that of layer_norm
    /// ```
    ///
    /// # Errors
    /// [`RankTooLow`](ErrorKind::RankTooLow) below rank 2;
    /// [`ShapeMismatch`](ErrorKind::ShapeMismatch) unless weight and bias have shape `[C]`.
    ///
    /// The variance has correction 0. Non-smooth points: none for eps > 0.
    /// Source: Ioffe and Szegedy (2015), "Batch normalization".
    #[track_caller]
    pub fn batch_norm(self, weight: Self, bias: Self, eps: f64) -> Self {
        let Ok(shape) = self.shape() else { return self };
        let axes: Vec<isize> = (0..shape.rank() as isize).filter(|&axis| axis != 1).collect();
        match self.over(&axes[..], true) {
            Ok(over) => {
                let weight = weight.channels("batch_norm", &shape);
                let bias = bias.channels("batch_norm", &shape);
                self.centered(&over).by_mean_square(&over, eps) * weight + bias
            }
            Err(kind) => self.void("batch_norm", kind),
        }
    }

    /// Batch normalization with given statistics, as in inference:
    /// `(x − mean) / √(var + eps) · weight + bias`.
    ///
    /// Shapes: `x` of `[N, C, ..]`, the others of `[C]` → `[N, C, ..]`.
    ///
    /// # Errors
    /// As [`Var::batch_norm`].
    #[track_caller]
    pub fn batch_norm_with(
        self,
        mean: Self,
        var: Self,
        weight: Self,
        bias: Self,
        eps: f64,
    ) -> Self {
        let Ok(shape) = self.shape() else { return self };
        let mean = mean.channels("batch_norm_with", &shape);
        let var = var.channels("batch_norm_with", &shape);
        let weight = weight.channels("batch_norm_with", &shape);
        let bias = bias.channels("batch_norm_with", &shape);
        (self - mean) / (var + eps).sqrt() * weight + bias
    }

    /// `x − mean`, with the mean of each reduction.
    ///
    /// Far from 0 the mean is rounded by more than the elements may differ. So they are shifted by
    /// it first, which is exact near it, and the mean of what is left is right. The shift cancels in
    /// the result, and so it is untracked.
    #[track_caller]
    fn centered(self, over: &Over) -> Self {
        let over = over.kept();
        let near = self - self.detach().mean_over(&over);
        near - near.mean_over(&over)
    }

    /// `x / √(mean(x²) + eps)`, for kept axes.
    ///
    /// All is divided by about the larger of `max |x|` and `√eps` before it is squared, and so no
    /// square overflows, and none that counts underflows.
    #[track_caller]
    fn by_mean_square(self, over: &Over, eps: f64) -> Self {
        let Ok(shape) = self.shape() else { return self };
        if over.count(&shape) == 0.0 {
            return self; // There is no largest element, and nothing to divide.
        }
        let root = eps.sqrt();
        let scale = self.scale_at_least(root, over);
        let x = self / scale;
        x / (x.square().mean_over(over) + (root / scale).square()).sqrt()
    }

    /// A power of two near the larger of `max |x|`, over kept axes, and `least`. To divide by it is
    /// exact, and where it cancels in the result it is rightly untracked.
    #[track_caller]
    fn scale_at_least(self, least: f64, over: &Over) -> Self {
        let largest = self.detach().norm_over(f64::INFINITY, over.kept());
        largest.as_scale().maximum(least).log2().floor().exp2()
    }

    /// This operand of an operation that keeps the shape of `x`, if that is what it broadcasts to.
    #[track_caller]
    fn within(self, op: &'static str, x: Self) -> Self {
        let (Ok(left), Ok(right)) = (self.shape(), x.shape()) else { return self };
        if left.expands_to(&right) {
            return self;
        }
        let rule = "are incompatible: the first, a weight or bias, must broadcast to the second";
        self.void(op, ErrorKind::ShapeMismatch { left, right, rule })
    }

    /// This prediction and its target, if one of them broadcasts to the other.
    ///
    /// What broadcasts to a third shape is a mistake: of `[n, 1]` and `[n]` it would be all n² pairs.
    #[track_caller]
    fn beside(self, op: &'static str, target: Self) -> (Self, Self) {
        let (Ok(left), Ok(right)) = (self.shape(), target.shape()) else { return (self, target) };
        if left.expands_to(&right) || right.expands_to(&left) {
            return (self, target);
        }
        let rule = "are incompatible: neither broadcasts to the other; reshape one of them";
        (self.void(op, ErrorKind::ShapeMismatch { left, right, rule }), target)
    }

    /// This list with one element a channel, beside a tensor whose axis 1 are the channels.
    #[track_caller]
    fn channels(self, op: &'static str, x: &Shape) -> Self {
        let Ok(own) = self.shape() else { return self };
        if x.rank() < 2 {
            return self.void(op, ErrorKind::RankTooLow { shape: x.clone(), needed: 2 });
        }
        if *own != x[1..2] {
            let rule = "are incompatible: the first must have one element for each channel (axis 1 of the second)";
            return self.void(op, ErrorKind::ShapeMismatch { left: own, right: x.clone(), rule });
        }
        let all_but_channels: Vec<usize> = (0..x.rank()).filter(|&axis| axis != 1).collect();
        self.reshape(x.keeping(&all_but_channels))
    }

    /// The cosine of the angle between vectors along `axis`,
    /// `Σ x y / (max(‖x‖, eps) max(‖y‖, eps))`.
    ///
    /// Shapes: the broadcast of `x` and `y` without `axis`.
    ///
    /// ```math
    /// x̄ = c̄ (y / ‖y‖ − c x / ‖x‖) / ‖x‖
    /// ```
    ///
    /// # Errors
    /// [`ShapeMismatch`](ErrorKind::ShapeMismatch) if the shapes do not broadcast;
    /// [`AxisOutOfRange`](ErrorKind::AxisOutOfRange).
    ///
    /// Below eps, at the zero vector for instance, the norm counts as the constant eps, as in
    /// PyTorch: the value is 0, and the gradient y / (‖y‖ eps) is finite. PyTorch takes
    /// eps = 10⁻⁸ if none is given. No product of large elements overflows.
    #[track_caller]
    pub fn cosine_similarity(self, y: Self, axis: isize, eps: f64) -> Self {
        let (Ok(left), Ok(right)) = (self.shape(), y.shape()) else { return self.mul(y) };
        let Some(shape) = left.broadcast(&right) else {
            let rule = "do not broadcast";
            return self.void("cosine_similarity", ErrorKind::ShapeMismatch { left, right, rule });
        };
        let (x, y) = (self.expand(&shape), y.expand(&shape));
        match x.over(axis, false) {
            Ok(over) => {
                if over.count(&shape) == 0.0 {
                    return (x * y).sum_over(&over);
                }
                // Divided first: products of large elements would overflow.
                (x.direction_over(&over, eps) * y.direction_over(&over, eps)).sum_over(&over)
            }
            Err(kind) => self.void("cosine_similarity", kind),
        }
    }

    /// `x / max(‖x‖, ε)` over axes that are kept.
    #[track_caller]
    fn direction_over(self, over: &Over, eps: f64) -> Self {
        let scale = self.scale_at_least(eps, over);
        let x = self / scale;
        x / x.norm_over(2.0, over.kept()).maximum(eps / scale)
    }

    /// The mean square of the differences, `mean((x − y)²)`.
    ///
    /// Shapes: `x`, `y` → `[]`; one of them broadcasts to the other. Both are differentiated. Over no
    /// elements: NaN.
    ///
    /// ```math
    /// x̄ = 2 l̄ (x − y) / n,   ȳ = −x̄
    /// ```
    ///
    /// # Errors
    /// [`ShapeMismatch`](ErrorKind::ShapeMismatch) if neither shape broadcasts to the
    /// other: of `[n, 1]` and `[n]` all n² pairs would be compared.
    ///
    /// Non-smooth points: none.
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// assert_eq!(tape.var(3.0).mse_loss(1.0).item()?, 4.0);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn mse_loss(self, target: impl Operand<'t, T>) -> Self {
        let (x, y) = self.beside("mse_loss", target.into_var(self));
        (x - y).square().mean()
    }

    /// The mean of a loss that is quadratic near 0 and linear from `delta` on:
    /// `d² / 2` where `|d| < delta`, else `delta (|d| − delta / 2)`, for `d = x − y`.
    ///
    /// Shapes: `x`, `y` → `[]`; one of them broadcasts to the other. Both are differentiated. Over no
    /// elements: NaN.
    ///
    /// ```math
    /// x̄ = l̄ d / n where |d| < delta, else l̄ delta sign(d) / n;   ȳ = −x̄
    /// ```
    ///
    /// # Errors
    /// [`Parameter`](ErrorKind::Parameter) unless delta > 0;
    /// [`ShapeMismatch`](ErrorKind::ShapeMismatch) if neither shape broadcasts to the
    /// other: of `[n, 1]` and `[n]` all n² pairs would be compared.
    ///
    /// At `|d| = delta` the second derivative is that of the linear part, 0.
    /// Source: Huber (1964), "Robust estimation of a location parameter".
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// assert_eq!(tape.var(3.0).huber_loss(0.0, 1.0).item()?, 2.5);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn huber_loss(self, target: impl Operand<'t, T>, delta: f64) -> Self {
        if delta.is_nan() || delta <= 0.0 {
            let message = format!("the delta of a Huber loss must be above 0, got {delta}");
            return self.void("huber_loss", ErrorKind::Parameter { message });
        }
        let (x, y) = self.beside("huber_loss", target.into_var(self));
        let d = x - y;
        // Both parts are q (d − q/2), with q = d and with q = ±delta, which is constant.
        let q = d.abs().lt(delta).where_(d, d.sign() * delta);
        q.mul_or_zero(d - q * 0.5).mean()
    }

    /// The mean of `−ln softmax(x)` at the target classes, over the last axis.
    ///
    /// Shapes: `x` of `[.., C]`, targets of `[..]` → `[]`. Over no elements: NaN.
    ///
    /// ```math
    /// x̄ = l̄ (softmax(x) − [target]) / n
    /// ```
    ///
    /// # Errors
    /// [`ShapeMismatch`](ErrorKind::ShapeMismatch) unless there is one target for each vector;
    /// [`IndexOutOfRange`](ErrorKind::IndexOutOfRange) if a target is no class;
    /// [`AxisOutOfRange`](ErrorKind::AxisOutOfRange) for a scalar.
    ///
    /// Non-smooth points: none. Stable for every finite input, see [`Var::log_softmax`].
    #[track_caller]
    pub fn cross_entropy(self, target: impl Into<Index>) -> Self {
        let Ok(shape) = self.shape() else { return self };
        let target: Index = target.into();
        let Some((&classes, vectors)) = shape.split_last() else {
            return self.void("cross_entropy", ErrorKind::AxisOutOfRange { axis: -1, rank: 0 });
        };
        if **target.shape() != *vectors {
            let (left, right) = (target.shape().clone(), shape);
            let rule =
                "are incompatible: there must be one target for each vector along the last axis";
            return self.void("cross_entropy", ErrorKind::ShapeMismatch { left, right, rule });
        }
        if let Some(&index) = target.data().iter().find(|&&class| class >= classes) {
            let axis = shape.rank() - 1;
            return self.void("cross_entropy", ErrorKind::IndexOutOfRange { index, axis, shape });
        }
        let places: Vec<usize> =
            target.data().iter().enumerate().map(|(i, class)| i * classes + class).collect();
        -self.log_softmax(-1).pick(&places, places.len().into()).mean()
    }

    /// The mean binary cross-entropy of logits `x` and probabilities `y`:
    /// `−y ln σ(x) − (1 − y) ln σ(−x)` for the logistic function σ.
    ///
    /// Shapes: `x`, `y` → `[]`; one of them broadcasts to the other. Both are differentiated. Over no
    /// elements: NaN.
    ///
    /// ```math
    /// x̄ = l̄ (σ(x) − y) / n,   ȳ = −l̄ x / n
    /// ```
    ///
    /// # Errors
    /// [`ShapeMismatch`](ErrorKind::ShapeMismatch) if neither shape broadcasts to the
    /// other: of `[n, 1]` and `[n]` all n² pairs would be compared.
    ///
    /// Non-smooth points: none. Stable for every finite logit, and for ±∞ with the right label.
    #[track_caller]
    pub fn bce_with_logits(self, target: impl Operand<'t, T>) -> Self {
        let (x, y) = self.beside("bce_with_logits", target.into_var(self));
        (y.mul_or_zero((-x).softplus()) + (1.0 - y).mul_or_zero(x.softplus())).mean()
    }
}
