//! The optimizer Adam, on plain tensors: there is nothing to differentiate in an update.
//!
//! Source: D. P. Kingma, J. Ba, "Adam: A Method for Stochastic Optimization" (2015), Algorithm 1,
//! with the constants that it recommends.

use grad_core::TensorLike;

use super::model::Mlp;

/// The decay of the mean of the gradients, β₁.
const MEAN_DECAY: f64 = 0.9;

/// The decay of the mean of their squares, β₂.
const SQUARE_DECAY: f64 = 0.999;

/// What keeps a step finite where all gradients were 0, ε.
const EPSILON: f64 = 1e-8;

/// What Adam remembers of the gradients: a tensor for each parameter.
#[derive(Clone, Debug)]
pub(super) struct Adam<T> {
    /// How many steps were taken, t.
    pub(super) n_steps: usize,
    /// The running mean of the gradients, m.
    pub(super) mean: Mlp<T>,
    /// The running mean of their squares, v.
    pub(super) square: Mlp<T>,
}

impl<T: TensorLike> Adam<T> {
    /// Before the first step; `zeros` has the form of the model.
    pub(super) fn new(zeros: Mlp<T>) -> Self {
        Adam { n_steps: 0, mean: zeros.clone(), square: zeros }
    }

    /// Moves the model against the gradient of the loss.
    ///
    /// ```math
    /// m ← β₁ m + (1 − β₁) g,   v ← β₂ v + (1 − β₂) g²
    /// θ ← θ − α m̂ / (√v̂ + ε),   m̂ = m / (1 − β₁ᵗ),   v̂ = v / (1 − β₂ᵗ)
    /// ```
    pub(super) fn step(
        &mut self,
        mlp: &mut Mlp<T>,
        gradient: &Mlp<T>,
        learning_rate: f64,
    ) -> Result<(), T::Error> {
        self.n_steps += 1;
        let t = self.n_steps as f64;
        // The weights of all gradients so far in the means, which began at 0: less than 1.
        let mean_weight = 1.0 - MEAN_DECAY.powf(t);
        let square_weight = 1.0 - SQUARE_DECAY.powf(t);

        let memory = self.mean.tensors_mut().zip(self.square.tensors_mut());
        for ((theta, g), (m, v)) in mlp.tensors_mut().zip(gradient.tensors()).zip(memory) {
            *m = m.scale(MEAN_DECAY)?.add(&g.scale(1.0 - MEAN_DECAY)?)?;
            *v = v.scale(SQUARE_DECAY)?.add(&g.square()?.scale(1.0 - SQUARE_DECAY)?)?;
            let size = v.scale(1.0 / square_weight)?.sqrt()?.shift(EPSILON)?;
            let step = m.scale(learning_rate / mean_weight)?.div(&size)?;
            *theta = theta.sub(&step)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use grad_core::ScalarError;

    use super::*;

    /// Where Adam arrives from 0 with these gradients in turn.
    fn walk(gradients: &[f64], learning_rate: f64) -> Result<f64, ScalarError> {
        // A weight with these gradients, and a bias with their opposites.
        let pair = |x: f64| -> Result<Mlp<f64>, ScalarError> {
            Mlp::build(&[], |name, _| Ok(if name.ends_with("weight") { x } else { -x }))
        };
        let mut theta = pair(0.0)?;
        let mut adam = Adam::new(theta.clone());
        for &gradient in gradients {
            adam.step(&mut theta, &pair(gradient)?, learning_rate)?;
        }
        let theta: Vec<f64> = theta.tensors().copied().collect();
        assert_eq!(theta[1], -theta[0], "each goes its own way");
        Ok(theta[0])
    }

    #[test]
    fn the_first_step_is_as_long_as_the_learning_rate() -> Result<(), ScalarError> {
        // m̂ = g and v̂ = g², so the step is α g / (|g| + ε).
        for gradient in [1e-3, 1.0, -250.0] {
            let expected = -0.1 * gradient / (f64::abs(gradient) + EPSILON);
            assert!((walk(&[gradient], 0.1)? - expected).abs() < 1e-15, "{gradient}");
        }
        Ok(())
    }

    #[test]
    fn the_second_step_weighs_both_gradients() -> Result<(), ScalarError> {
        // By hand for g = 1, then −2: m = 0.9 · 0.1 − 0.2 = −0.11, v = 0.999 · 0.001 + 0.004,
        // 1 − β₁² = 0.19 and 1 − β₂² = 0.001999.
        let first = -0.1 / (1.0 + EPSILON);
        let size = (0.004999_f64 / 0.001999).sqrt() + EPSILON;
        let expected = first - 0.1 * (-0.11 / 0.19) / size;
        assert!((walk(&[1.0, -2.0], 0.1)? - expected).abs() < 1e-15);
        Ok(())
    }

    #[test]
    fn a_parameter_without_gradient_stays() -> Result<(), ScalarError> {
        assert_eq!(walk(&[0.0; 3], 0.1)?, 0.0);
        Ok(())
    }
}
