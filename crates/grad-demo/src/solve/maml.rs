//! Learning to learn: weights from which one step is enough.
//!
//! A task is a sine of unknown height and phase, shown at ten points. To learn it from nothing
//! takes many steps. MAML looks for weights θ from which *one* step down the gradient of the task's
//! loss L leads to a good fit, whichever the task is:
//!
//! ```math
//! minimize over θ the mean over tasks of  L'(θ − α ∇L(θ))
//! ```
//!
//! where L' is the loss at other points of the same sine. The step is part of what is minimized, so
//! the gradient of the whole goes through a gradient, which brings a factor 1 − α ∇²L. First-order
//! MAML leaves it out, and a network that is trained on all tasks at once does not know of the step
//! at all; we train all three and compare them on new tasks.
//!
//! Source: C. Finn, P. Abbeel, S. Levine, "Model-Agnostic Meta-Learning for Fast Adaptation of Deep
//! Networks" (2017), section 5.1.

use std::f64::consts::PI;

use grad_core::{Tape, TensorLike, Var, transform};

use super::network::Mlp;
use super::optimize::Adam;
use super::problem::Problem;
use super::progress::Progress;
use super::report::Report;

/// Sines that are learned in one step.
pub(crate) struct Maml;

const NETWORK: Mlp = Mlp { sizes: &[1, 20, 20, 1] };

/// Points of a sine.
const POINTS: usize = 10;

/// The rate of the step that learns a task, α.
const STEP: f64 = 0.02;

/// How many tasks one step of the training sees, and how many there are to compare on.
const BATCH: usize = 8;
const NEW_TASKS: usize = 200;

const STEPS: u64 = 1000;

impl Problem for Maml {
    const NAME: &'static str = "maml";
    const SUMMARY: &'static str = "weights from which one gradient step learns a new sine";

    fn solve<T: TensorLike>(model: &T, progress: &Progress) -> anyhow::Result<Report> {
        let maml = train(model, Objective::AfterStep, progress)?;
        let first_order = train(model, Objective::FirstOrder, progress)?;
        let pretrained = train(model, Objective::BeforeStep, progress)?;

        let [before, after] = evaluate(&maml)?;
        let [_, first_order] = evaluate(&first_order)?;
        let [_, pretrained] = evaluate(&pretrained)?;
        Ok(Report::new("Sines learned in one step: mean square errors on new tasks")
            .row("MAML before the step", before, "")
            .row("MAML after it", after, "")
            .row("first-order MAML after it", first_order, "")
            .row("trained on all tasks, after it", pretrained, "")
            .check("MAML, after / before", after / before, 0.4)
            .check("after it, MAML / first-order MAML", after / first_order, 0.9)
            .check("after it, MAML / trained on all tasks", after / pretrained, 0.5))
    }
}

/// What the weights are trained for.
#[derive(Clone, Copy)]
enum Objective {
    /// The loss after the step: MAML.
    AfterStep,
    /// The same, as if the step were a constant.
    FirstOrder,
    /// The loss of all tasks without a step.
    BeforeStep,
}

impl Objective {
    fn loss<'t, T: TensorLike>(self, theta: Var<'t, T>, task: Task<Var<'t, T>>) -> Var<'t, T> {
        let theta = match self {
            Objective::AfterStep => theta - step(theta, task),
            Objective::FirstOrder => theta - step(theta, task).detach(),
            Objective::BeforeStep => theta,
        };
        loss(theta, task.asked).mean()
    }
}

/// The step that learns the tasks, `α ∇L(θ)`; `theta` has a row for each task.
fn step<'t, T: TensorLike>(theta: Var<'t, T>, task: Task<Var<'t, T>>) -> Var<'t, T> {
    // A task's loss depends on its own row alone, so the gradient of the sum has that of each.
    STEP * transform::grad(|theta| loss(theta, task.shown).sum(), theta)
}

/// The mean square error of each task.
fn loss<'t, T: TensorLike>(theta: Var<'t, T>, [x, y]: [Var<'t, T>; 2]) -> Var<'t, T> {
    (NETWORK.apply(theta, x) - y).square().mean_axes([-2, -1])
}

/// Points x and y of tasks, each `[tasks, points, 1]`: to learn from, and to be asked for.
#[derive(Clone, Copy)]
struct Task<X> {
    shown: [X; 2],
    asked: [X; 2],
}

impl<T: TensorLike> Task<T> {
    /// Sines of a height from 0.1 to 5 and a phase from 0 to π, at points from −5 to 5.
    fn random(model: &T, n: usize, random: &mut fastrand::Rng) -> Result<Self, T::Error> {
        let mut shown = [Vec::new(), Vec::new()];
        let mut asked = [Vec::new(), Vec::new()];
        for _ in 0..n {
            let (height, phase) = (0.1 + 4.9 * random.f64(), PI * random.f64());
            for [x, y] in [&mut shown, &mut asked] {
                for _ in 0..POINTS {
                    let at = 10.0 * random.f64() - 5.0;
                    x.push(at);
                    y.push(height * (at + phase).sin());
                }
            }
        }
        let tensor = |data: &[f64]| model.from_host(&[n, POINTS, 1], data);
        Ok(Task {
            shown: [tensor(&shown[0])?, tensor(&shown[1])?],
            asked: [tensor(&asked[0])?, tensor(&asked[1])?],
        })
    }

    fn on(self, tape: &Tape<T>) -> Task<Var<'_, T>> {
        let constants = |x: [T; 2]| x.map(|x| tape.constant(x));
        Task { shown: constants(self.shown), asked: constants(self.asked) }
    }
}

/// A copy of the weights for each of `n` tasks.
fn copies<T: TensorLike>(theta: Var<'_, T>, n: usize) -> Var<'_, T> {
    theta.expand([n, NETWORK.n_weights()])
}

fn train<T: TensorLike>(model: &T, objective: Objective, progress: &Progress) -> anyhow::Result<T> {
    let bar = progress.start(STEPS, "training on tasks");
    let mut random = fastrand::Rng::with_seed(1);
    let mut theta = NETWORK.initial(model, 1)?;
    let mut adam = Adam::new(&theta, [0.9, 0.999])?;
    for n in 0..STEPS {
        let tape = Tape::<T>::new();
        let weights = tape.var(theta.clone());
        let tasks = Task::random(model, BATCH, &mut random)?.on(&tape);
        let loss = objective.loss(copies(weights, BATCH), tasks);
        let gradient = tape.backward(loss, weights)?;
        // The rate falls to 0 as a cosine does: long steps first, and no noise at the end.
        let rate = 0.01 * (1.0 + (PI * n as f64 / STEPS as f64).cos());
        theta = adam.step(&theta, &gradient, rate)?;
        bar.step(loss.item()?);
    }
    Ok(theta)
}

/// The mean loss of new tasks before the step and after it.
fn evaluate<T: TensorLike>(theta: &T) -> anyhow::Result<[f64; 2]> {
    let tape = Tape::<T>::new();
    let tasks = Task::random(theta, NEW_TASKS, &mut fastrand::Rng::with_seed(2))?.on(&tape);
    let theta = copies(tape.constant(theta.clone()), NEW_TASKS);
    let before = Objective::BeforeStep.loss(theta, tasks);
    let after = Objective::AfterStep.loss(theta, tasks);
    Ok([before.item()?, after.item()?])
}

#[cfg(test)]
mod tests {
    use super::Maml;
    use crate::place::{Backend, DType};
    use crate::solve::problem::testing::assert_solved;

    #[test]
    fn one_step_is_enough_on_ndarray() {
        assert_solved::<Maml>(Backend::Ndarray, DType::F64);
    }

    #[test]
    fn one_step_is_enough_on_candle() {
        assert_solved::<Maml>(Backend::Candle, DType::F64);
        assert_solved::<Maml>(Backend::Candle, DType::F32);
    }
}
