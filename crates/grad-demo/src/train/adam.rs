//! The optimizer Adam for a model: what it remembers, and a step of all parameters.

use grad_core::TensorLike;

use super::model::Mlp;
use crate::adam::Step;

/// The decays that the paper recommends.
const DECAYS: [f64; 2] = [0.9, 0.999];

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
    pub(super) fn step(
        &mut self,
        mlp: &mut Mlp<T>,
        gradient: &Mlp<T>,
        learning_rate: f64,
    ) -> Result<(), T::Error> {
        self.n_steps += 1;
        let step = Step::new(DECAYS, self.n_steps, learning_rate);
        let memory = self.mean.tensors_mut().zip(self.square.tensors_mut());
        for ((theta, g), (m, v)) in mlp.tensors_mut().zip(gradient.tensors()).zip(memory) {
            *theta = step.take(theta, g, m, v)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use grad_core::ScalarError;

    use super::*;
    use crate::adam::EPSILON;

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
