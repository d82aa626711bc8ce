//! What determines the numbers of a run.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::args::{self, TrainArgs, Widths};
use super::data::N_TRAIN;

/// Everything that the numbers of a run depend on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    pub(super) backend: String,
    pub(super) dtype: String,
    pub(super) hidden: Vec<usize>,
    pub(super) batch_size: usize,
    pub(super) learning_rate: f64,
    pub(super) seed: u64,
    /// When it is done. More can be asked for when the run is continued.
    pub(super) epochs: usize,
}

impl Settings {
    /// What is asked for, and the defaults for the rest.
    pub(super) fn new(args: &TrainArgs) -> Self {
        Settings {
            backend: name(&args.place.backend),
            dtype: name(&args.place.numbers.dtype),
            hidden: args.hidden.clone().map_or(vec![128], |Widths(widths)| widths),
            batch_size: args.batch_size.unwrap_or(32),
            learning_rate: args.learning_rate.unwrap_or(3e-3),
            seed: args.seed.unwrap_or(0),
            epochs: args.epochs.unwrap_or(20),
        }
    }

    /// The settings of a run that is continued: they are as they were, but for the epochs.
    ///
    /// # Errors
    /// If something else is asked for.
    pub(super) fn continued(mut self, args: &TrainArgs) -> anyhow::Result<Self> {
        let hidden = Widths(self.hidden.clone()).to_string();
        let choices = [
            ("backend", Some(name(&args.place.backend)), self.backend.clone()),
            ("dtype", Some(name(&args.place.numbers.dtype)), self.dtype.clone()),
            ("hidden", args.hidden.as_ref().map(Widths::to_string), hidden),
            ("batch-size", text(args.batch_size), self.batch_size.to_string()),
            ("learning-rate", text(args.learning_rate), self.learning_rate.to_string()),
            ("seed", text(args.seed), self.seed.to_string()),
        ];
        for (option, asked, was) in choices {
            if let Some(asked) = asked.filter(|asked| *asked != was) {
                anyhow::bail!("it was made with --{option} {was}, not {asked}");
            }
        }
        self.epochs = args.epochs.unwrap_or(self.epochs);
        Ok(self)
    }

    /// Finds out whether they could be given on the command line.
    ///
    /// # Errors
    /// If not; they come from a file that somebody else made.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        let is_valid = Widths(self.hidden.clone()).to_string().parse::<Widths>().is_ok()
            && args::batch_size(&self.batch_size.to_string()).is_ok()
            && args::learning_rate(&self.learning_rate.to_string()).is_ok()
            && args::positive(&self.epochs.to_string()).is_ok();
        anyhow::ensure!(is_valid, "its settings are not valid");
        Ok(())
    }

    /// How many steps make an epoch; the last batch may be smaller.
    pub(super) fn n_batches(&self) -> usize {
        N_TRAIN.div_ceil(self.batch_size)
    }
}

fn text(value: Option<impl ToString>) -> Option<String> {
    value.map(|value| value.to_string())
}

/// The name of a choice on the command line.
fn name(choice: &impl ValueEnum) -> String {
    choice.to_possible_value().map_or(String::new(), |value| value.get_name().to_string())
}
