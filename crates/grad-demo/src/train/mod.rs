//! `grad-demo train`: fits a small classifier to real data, as one does with a library like this.
//!
//! To be read in this order: `data` has the images, `model` the network and its loss, `adam` the
//! optimizer, and `fit` the loop over batches and epochs. All of them are generic over the tensor.
//! `checkpoint` saves a run and restores it; `plot` and `progress` show it.

mod adam;
mod args;
mod checkpoint;
mod data;
mod entry;
mod file;
mod fit;
mod model;
mod plot;
mod progress;
mod report;
mod settings;

use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::anyhow;
use grad_core::TensorLike;

use self::checkpoint::Checkpoint;
use self::data::Data;
use self::fit::{Training, Watch};
use self::progress::Progress;
use self::settings::Settings;
use crate::backend::{self, Job};
use crate::output::{self, TROUBLE, complain, say};

pub(crate) use self::args::TrainArgs;

/// The exit code of a run that Ctrl-C ended: 128 and the number of SIGINT, as shells have it.
const INTERRUPTED: u8 = 130;

/// Set by Ctrl-C.
static STOP: AtomicBool = AtomicBool::new(false);

/// Trains as asked for, and prints the results.
///
/// # Errors
/// If there is no such device, if a file cannot be read or written, or if the loss diverges.
pub(crate) fn run(args: &TrainArgs) -> anyhow::Result<ExitCode> {
    args.check()?;
    ctrlc::set_handler(|| {
        // The second one does not wait for the end of the step.
        if STOP.swap(true, Ordering::Relaxed) {
            std::process::exit(INTERRUPTED.into());
        }
    })?;
    backend::run(args.place, Train { args })
}

/// The training asked for.
struct Train<'a> {
    args: &'a TrainArgs,
}

impl Job for Train<'_> {
    type Output = ExitCode;

    fn run<T: TensorLike>(self, model: T) -> anyhow::Result<ExitCode> {
        let Train { args } = self;
        let (checkpoint, plot) = (args.checkpoint.as_deref(), args.plot.as_deref());
        let data = Data::load(&model)?;
        let mut training = match checkpoint.filter(|_| args.resume) {
            Some(path) => resume(path, args, &model)?,
            None => Training::new(Settings::new(args), &data)?,
        };
        // Better now than after the work.
        for path in checkpoint.into_iter().chain(plot) {
            file::check(path)?;
        }

        let progress = Progress::new(&training);
        let mut session = Session { progress, checkpoint, unsaved: None };
        training.run(&data, &mut session)?;
        if !training.is_done() {
            session.save(&training);
        }
        let Session { progress, unsaved, .. } = session;
        drop(progress);

        // The result first: it is there even if the files are not.
        output::print(&report::table(&training, &data))?;
        let plotted = plot.map_or(Ok(()), |path| plot::save(path, &training.history));
        let failures: Vec<_> = unsaved.into_iter().chain(plotted.err()).collect();
        if !failures.is_empty() {
            failures.iter().for_each(|error| complain(&error.to_string()));
            return Ok(ExitCode::from(TROUBLE));
        }
        if training.is_done() {
            return Ok(ExitCode::SUCCESS);
        }
        say(&report::interruption(&training, checkpoint));
        Ok(ExitCode::from(INTERRUPTED))
    }
}

/// The run of a checkpoint, to go on with as `args` ask for.
fn resume<T: TensorLike>(path: &Path, args: &TrainArgs, model: &T) -> anyhow::Result<Training<T>> {
    let resume = || {
        let checkpoint = Checkpoint::read(path)?;
        let settings = checkpoint.settings().clone().continued(args)?;
        let training = checkpoint.restore(model)?;
        training.with(settings)
    };
    resume().map_err(|error| anyhow!("cannot resume from {}: {error}", path.display()))
}

/// A run with what its user sees of it.
struct Session<'a> {
    progress: Progress,
    checkpoint: Option<&'a Path>,
    /// Why the last save failed.
    unsaved: Option<anyhow::Error>,
}

impl Session<'_> {
    fn save<T: TensorLike>(&mut self, training: &Training<T>) {
        if let Some(path) = self.checkpoint {
            self.unsaved = checkpoint::save(path, training).err();
        }
    }
}

impl Watch for Session<'_> {
    fn should_stop(&mut self) -> bool {
        STOP.load(Ordering::Relaxed)
    }

    fn step_done(&mut self, loss: f64) {
        self.progress.step_done(loss);
    }

    /// Saves the run. A failure does not end it, since the next epoch may find more space.
    fn epoch_done<T: TensorLike>(&mut self, training: &Training<T>) {
        self.progress.epoch_done(training);
        let was_saved = self.unsaved.is_none();
        self.save(training);
        match &self.unsaved {
            Some(error) if was_saved && !training.is_done() => {
                self.progress.suspend(|| say(&format!("warning: {error}")));
            }
            _ => {}
        }
    }
}
