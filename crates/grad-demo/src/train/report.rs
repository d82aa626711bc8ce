//! What a run says when it ends.

use std::path::Path;

use grad_core::TensorLike;

use super::data::{Data, Images, N_CLASSES, N_PIXELS};
use super::fit::Training;
use super::model::Score;

/// How good the model is, after the last epoch that has ended.
pub(super) fn table<T: TensorLike>(training: &Training<T>, data: &Data<T>) -> String {
    let settings = &training.settings;
    let widths = [&[N_PIXELS], &settings.hidden[..], &[N_CLASSES]].concat();
    let widths: Vec<String> = widths.iter().map(usize::to_string).collect();
    let mut table = format!(
        "digits, {} on {} in {}, seed {}, epoch {} of {}\n",
        widths.join("-"),
        settings.backend,
        settings.dtype,
        settings.seed,
        training.epochs_done(),
        settings.epochs,
    );
    table += "         images    loss  accuracy\n";
    if let Some(scores) = training.history.last() {
        table += &row("train", &data.train, scores.train);
        table += &row("test", &data.test, scores.test);
    }
    table
}

fn row<T: TensorLike>(name: &str, images: &Images<T>, Score { loss, accuracy }: Score) -> String {
    let percent = 100.0 * accuracy;
    format!("  {name:<5}  {:>6}  {loss:.4}   {percent:>5.2} %\n", images.len())
}

/// Where Ctrl-C ended the run, and what is left of it.
pub(super) fn interruption<T: TensorLike>(
    training: &Training<T>,
    checkpoint: Option<&Path>,
) -> String {
    let Training { settings, .. } = training;
    let rest = match checkpoint {
        Some(path) => format!("{} has it all, and --resume goes on", path.display()),
        None => "nothing is saved, since there was no --checkpoint".to_string(),
    };
    format!(
        "interrupted after {} of {} epochs and {} of {} steps; {rest}",
        training.epochs_done(),
        settings.epochs,
        training.batches_done(),
        settings.n_batches(),
    )
}
