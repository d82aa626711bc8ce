//! How the problems are optimized, on plain tensors: there is nothing to differentiate in a step.

use grad_core::{Error, Tape, TensorLike, Var, transform};

use crate::adam::Step;

/// Minimizes Σ rᵢ(θ)² by the method of Levenberg and Marquardt; gives θ.
///
/// Newton's method would need the Hessian of the loss, JᵀJ + Σ rᵢ ∇²rᵢ. Near a good fit the second
/// term is small, and without it the Jacobian J of the residuals is enough:
///
/// ```math
/// (JᵀJ + λ 1) δ = Jᵀr,   θ ← θ − δ
/// ```
///
/// A step is taken only if the loss falls; where none does, there are no more steps. The damping λ
/// turns from Newton's step (small λ) to a short one down the gradient (large λ), as far as the
/// last steps made it necessary.
///
/// `done` hears of the loss after each step. With a few hundred weights, tens of steps do what
/// needs thousands of Adam's.
///
/// Source: D. W. Marquardt, "An algorithm for least-squares estimation of nonlinear parameters"
/// (1963).
pub(crate) fn least_squares<T: TensorLike>(
    residuals: impl for<'t> Fn(Var<'t, T>) -> Var<'t, T>,
    mut theta: T,
    steps: u64,
    mut done: impl FnMut(f64),
) -> anyhow::Result<T> {
    let value = |theta: &T| -> Result<T, Error> {
        let tape = Tape::new();
        residuals(tape.constant(theta.clone())).value()
    };
    let mut r = value(&theta)?;
    let (mut loss, mut damping) = (square_sum(&r)?, 1e-3);
    'steps: for _ in 0..steps {
        let j = transform::jacfwd(&residuals, theta.clone())?;
        // A step that is 2⁵⁰ times as short as Newton's changes no digit any more.
        for _ in 0..50 {
            let trial = theta.sub(&damped_step(&j, &r, damping)?)?;
            let trial_r = value(&trial)?;
            let trial_loss = square_sum(&trial_r)?;
            if trial_loss < loss {
                (theta, r, loss) = (trial, trial_r, trial_loss);
                damping /= 3.0;
                done(loss);
                continue 'steps;
            }
            damping *= 2.0;
        }
        break;
    }
    Ok(theta)
}

/// δ of `(JᵀJ + λ 1) δ = Jᵀr`.
fn damped_step<T: TensorLike>(j: &T, r: &T, damping: f64) -> Result<T, T::Error> {
    let (n, m) = (j.shape()[0], j.shape()[1]);
    let diagonal = (0..m * m).map(|at| if at % (m + 1) == 0 { damping } else { 0.0 });
    let diagonal = j.from_host(&[m, m], &diagonal.collect::<Vec<_>>())?;
    let transposed = j.permute(&[1, 0])?;
    let curvature = transposed.matmul(j)?.add(&diagonal)?;
    curvature.solve(&transposed.matmul(&r.reshape(&[n, 1])?)?)?.reshape(&[m])
}

fn square_sum<T: TensorLike>(r: &T) -> Result<f64, T::Error> {
    Ok(r.to_host()?.iter().map(|r| r * r).sum())
}

/// The optimizer Adam for one tensor.
pub(crate) struct Adam<T> {
    /// How much of the means stays from step to step, β₁ and β₂.
    decays: [f64; 2],
    n_steps: usize,
    /// The running mean of the gradients.
    mean: T,
    /// The running mean of their squares.
    square: T,
}

impl<T: TensorLike> Adam<T> {
    /// Before the first step of a tensor shaped like `theta`; the paper's decays are 0.9 and 0.999.
    pub(crate) fn new(theta: &T, decays: [f64; 2]) -> Result<Self, T::Error> {
        let zeros = theta.full(theta.shape(), 0.0)?;
        Ok(Adam { decays, n_steps: 0, mean: zeros.clone(), square: zeros })
    }

    /// θ after a step against the gradient of the loss, of about `rate` in each element.
    pub(crate) fn step(&mut self, theta: &T, gradient: &T, rate: f64) -> Result<T, T::Error> {
        self.n_steps += 1;
        let step = Step::new(self.decays, self.n_steps, rate);
        step.take(theta, gradient, &mut self.mean, &mut self.square)
    }
}

#[cfg(test)]
mod tests {
    use grad_ndarray::NdTensor;
    use grad_ndarray::ndarray::array;

    use super::*;

    #[test]
    fn least_squares_follow_the_valley_of_rosenbrock() -> anyhow::Result<()> {
        // 100 (y − x²)² + (1 − x)² from the usual start; the minimum is 0 at (1, 1).
        let mut losses = Vec::new();
        let theta = least_squares(
            |xy| {
                let (x, y) = (xy.narrow(0, 0, 1), xy.narrow(0, 1, 1));
                xy.tape().concat(&[10.0 * (y - x * x), 1.0 - x], 0)
            },
            NdTensor::from(array![-1.2, 1.0]),
            30,
            |loss| losses.push(loss),
        )?;
        assert!(theta.to_host()?.iter().all(|x| (x - 1.0).abs() < 1e-12), "{theta:?}");
        assert!(losses.windows(2).all(|pair| pair[1] <= pair[0]), "{losses:?}");
        Ok(())
    }

    #[test]
    fn least_squares_stop_at_the_minimum() -> anyhow::Result<()> {
        let zeros = NdTensor::from(array![0.0, 0.0]);
        let mut steps = 0;
        let theta = least_squares(|x| x.sin(), zeros, 30, |_| steps += 1)?;
        assert_eq!((theta.to_host()?, steps), (vec![0.0, 0.0], 0));
        Ok(())
    }

    #[test]
    fn the_first_step_of_adam_is_as_long_as_the_rate() -> anyhow::Result<()> {
        // The means are g and g², so the step is α g / (|g| + ε).
        let theta = NdTensor::from(array![1.0, 1.0, 1.0]);
        let stepped = Adam::new(&theta, [0.9, 0.999])?.step(
            &theta,
            &NdTensor::from(array![1e-3, -250.0, 0.0]),
            0.1,
        )?;
        let expected = [0.9, 1.1, 1.0];
        let close = |(x, y): (&f64, &f64)| (x - y).abs() < 1e-5;
        assert!(stepped.to_host()?.iter().zip(&expected).all(close), "{stepped:?}");
        Ok(())
    }
}
