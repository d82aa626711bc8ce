//! The training: steps, epochs, and where a run stands between two steps.

use grad_core::TensorLike;

use super::adam::Adam;
use super::data::{Data, Images, order};
use super::model::{Mlp, Score};
use super::settings::Settings;

/// A run between two steps: all that it takes to go on as if nothing had happened.
pub(super) struct Training<T> {
    pub(super) settings: Settings,
    pub(super) mlp: Mlp<T>,
    pub(super) adam: Adam<T>,
    /// How good the model was before the first epoch and after each one.
    pub(super) history: Vec<Scores>,
}

/// How good a model is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scores {
    pub(super) train: Score,
    pub(super) test: Score,
}

/// Who looks on while a run goes on, and may end it.
pub(super) trait Watch {
    /// True if no other step should be taken.
    fn should_stop(&mut self) -> bool;

    /// A step was taken; `loss` is that of its batch.
    fn step_done(&mut self, loss: f64);

    /// An epoch has ended, and its scores are in the history.
    fn epoch_done<T: TensorLike>(&mut self, training: &Training<T>);
}

impl<T: TensorLike> Training<T> {
    /// A run before its first step.
    pub(super) fn new(settings: Settings, data: &Data<T>) -> anyhow::Result<Self> {
        let (hidden, model) = (&settings.hidden, &data.train.pixels);
        let mlp = Mlp::initial(hidden, settings.seed, model)?;
        let adam = Adam::new(Mlp::build(hidden, |_, shape| model.full(shape, 0.0))?);
        let mut training = Training { settings, mlp, adam, history: Vec::new() };
        training.score(data)?;
        Ok(training)
    }

    /// Goes on until all epochs are done, or `watch` wants to stop.
    ///
    /// # Errors
    /// If the loss is no longer a number, or the backend fails.
    pub(super) fn run(&mut self, data: &Data<T>, watch: &mut impl Watch) -> anyhow::Result<()> {
        while !self.is_done() {
            let order = order(self.settings.seed, self.epochs_done());
            let batches = order.chunks(self.settings.batch_size);
            for places in batches.skip(self.batches_done()) {
                if watch.should_stop() {
                    return Ok(());
                }
                watch.step_done(self.step(&data.train.pick(places)?)?);
            }
            self.score(data)?;
            watch.epoch_done(self);
        }
        Ok(())
    }

    /// One step of Adam down the gradient of the loss on `batch`; gives the loss before it.
    fn step(&mut self, batch: &Images<T>) -> anyhow::Result<f64> {
        let (loss, gradient) = self.mlp.loss_and_gradient(batch)?;
        let loss = self.checked(loss.to_host()?.first().copied().unwrap_or(f64::NAN))?;
        self.adam.step(&mut self.mlp, &gradient, self.settings.learning_rate)?;
        Ok(loss)
    }

    /// Adds to the history how good the model is now.
    fn score(&mut self, data: &Data<T>) -> anyhow::Result<()> {
        let (train, test) = (self.mlp.score(&data.train)?, self.mlp.score(&data.test)?);
        self.checked(train.loss)?;
        self.checked(test.loss)?;
        self.history.push(Scores { train, test });
        Ok(())
    }

    /// A loss that is a number.
    fn checked(&self, loss: f64) -> anyhow::Result<f64> {
        let n_steps = self.adam.n_steps;
        let advice = "try a smaller --learning-rate";
        anyhow::ensure!(loss.is_finite(), "the loss is {loss} after step {n_steps}; {advice}");
        Ok(loss)
    }

    /// The run with other settings, which may only have other epochs.
    ///
    /// # Errors
    /// If it is beyond their end.
    pub(super) fn with(mut self, settings: Settings) -> anyhow::Result<Self> {
        self.settings = settings;
        let end = self.settings.epochs;
        let is_beyond = (self.epochs_done(), self.batches_done()) > (end, 0);
        anyhow::ensure!(!is_beyond, "it has already passed --epochs {end}");
        Ok(self)
    }

    /// True if there is nothing left to do.
    pub(super) fn is_done(&self) -> bool {
        self.epochs_done() >= self.settings.epochs
    }

    /// The epochs that have ended.
    pub(super) fn epochs_done(&self) -> usize {
        self.adam.n_steps / self.settings.n_batches()
    }

    /// The batches of the epoch at hand that are done.
    pub(super) fn batches_done(&self) -> usize {
        self.adam.n_steps % self.settings.n_batches()
    }
}
