//! The progress bar.

use grad_core::TensorLike;
use indicatif::{ProgressBar, ProgressStyle};

use super::fit::Training;

/// A bar on the standard error, if that is a terminal; it vanishes in the end.
pub(super) struct Progress {
    bar: ProgressBar,
    /// What the last epoch came to, in words.
    epoch: String,
}

impl Progress {
    /// A bar for a run from where it stands.
    pub(super) fn new<T: TensorLike>(training: &Training<T>) -> Self {
        let style = ProgressStyle::with_template("{wide_bar} {pos}/{len}  {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        let n_steps = training.settings.n_batches() * training.settings.epochs;
        let bar = ProgressBar::new(n_steps as u64).with_style(style);
        bar.set_position(training.adam.n_steps as u64);
        let mut progress = Progress { bar, epoch: String::new() };
        progress.epoch_done(training);
        progress
    }

    /// A step was taken; `loss` is that of its batch.
    pub(super) fn step_done(&self, loss: f64) {
        // A message costs an allocation, which nobody would see.
        if !self.bar.is_hidden() {
            self.bar.set_message(format!("loss {loss:.4}  {}", self.epoch));
        }
        self.bar.inc(1);
    }

    /// An epoch has ended.
    pub(super) fn epoch_done<T: TensorLike>(&mut self, training: &Training<T>) {
        let (done, all) = (training.epochs_done(), training.settings.epochs);
        let accuracy = training.history.last().map_or(0.0, |scores| scores.test.accuracy);
        self.epoch = format!("accuracy {:.1} %  epoch {done}/{all}", 100.0 * accuracy);
    }

    /// Runs `print`, which writes to the terminal, without the bar in between.
    pub(super) fn suspend(&self, print: impl FnOnce()) {
        self.bar.suspend(print);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
