//! A step of the optimizer Adam, on plain tensors: there is nothing to differentiate in an update.
//!
//! Source: D. P. Kingma, J. Ba, "Adam: A Method for Stochastic Optimization" (2015), Algorithm 1.

use grad_core::TensorLike;

/// What keeps a step finite where all gradients were 0, ε: the paper's.
pub(crate) const EPSILON: f64 = 1e-8;

/// One step, the same for all tensors that take it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    /// β₁ and β₂.
    decays: [f64; 2],
    /// The weights of all gradients so far in the running means, which began at 0: 1 − βᵗ.
    weights: [f64; 2],
    rate: f64,
}

impl Step {
    /// The step of this number, counted from 1, of about `rate` in each element. `decays` is how
    /// much of the means of the gradients and of their squares stays; the paper recommends 0.9 and
    /// 0.999.
    pub(crate) fn new(decays: [f64; 2], number: usize, rate: f64) -> Self {
        Step { decays, weights: decays.map(|decay| 1.0 - decay.powf(number as f64)), rate }
    }

    /// θ after the step against its gradient g, with the running means m and v of its gradients and
    /// of their squares.
    ///
    /// ```math
    /// m ← β₁ m + (1 − β₁) g,   v ← β₂ v + (1 − β₂) g²
    /// θ ← θ − α m̂ / (√v̂ + ε),   m̂ = m / (1 − β₁ᵗ),   v̂ = v / (1 − β₂ᵗ)
    /// ```
    pub(crate) fn take<T: TensorLike>(
        self,
        theta: &T,
        g: &T,
        m: &mut T,
        v: &mut T,
    ) -> Result<T, T::Error> {
        let Step { decays: [mean, square], weights: [mean_weight, square_weight], rate } = self;
        *m = m.scale(mean)?.add(&g.scale(1.0 - mean)?)?;
        *v = v.scale(square)?.add(&g.square()?.scale(1.0 - square)?)?;
        let size = v.scale(1.0 / square_weight)?.sqrt()?.shift(EPSILON)?;
        theta.sub(&m.scale(rate / mean_weight)?.div(&size)?)
    }
}
