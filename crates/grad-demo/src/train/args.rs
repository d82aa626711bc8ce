//! What can be asked of `train` on the command line.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args;

use super::data::N_TRAIN;
use crate::place::Place;

/// Fit a small classifier to images of handwritten digits.
///
/// 1415 images to learn from, and 382 of other hands to test on, come with the program. Prints a
/// table of the losses and accuracies. Ctrl-C ends a run early, with the exit code 130.
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub(crate) struct TrainArgs {
    #[command(flatten)]
    pub(super) place: Place,

    /// How often to go through the images [default: 20]
    #[arg(long, value_name = "N", value_parser = positive)]
    pub(super) epochs: Option<usize>,

    /// How many images make a step [default: 32]
    #[arg(long, value_name = "N", value_parser = batch_size)]
    pub(super) batch_size: Option<usize>,

    /// The size of Adam's steps [default: 0.003]
    #[arg(long, value_name = "RATE", value_parser = learning_rate, allow_negative_numbers = true)]
    pub(super) learning_rate: Option<f64>,

    /// Where the random numbers begin: the weights at first, and the order of the images [default: 0]
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<u64>,

    /// The widths of the hidden layers, as in 64 or 64,32 [default: 128]
    #[arg(long, value_name = "WIDTHS")]
    pub(super) hidden: Option<Widths>,

    /// Save the run in this file (safetensors) after each epoch and at Ctrl-C
    #[arg(long, value_name = "FILE")]
    pub(super) checkpoint: Option<PathBuf>,

    /// Go on from the checkpoint, to the same numbers as without the interruption
    #[arg(long, requires = "checkpoint")]
    pub(super) resume: bool,

    /// Draw the learning curve in this file, SVG or PNG by its name
    #[arg(long, value_name = "FILE", value_parser = picture)]
    pub(super) plot: Option<PathBuf>,
}

impl TrainArgs {
    /// Finds out whether the files that are named could be what they are to be.
    ///
    /// # Errors
    /// If one would take the place of another.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        if self.checkpoint.is_some() && self.checkpoint == self.plot {
            anyhow::bail!("the checkpoint and the plot cannot be the same file");
        }
        match &self.checkpoint {
            Some(path) if !self.resume && path.symlink_metadata().is_ok() => anyhow::bail!(
                "{} exists already; continue it with --resume, or name another file",
                path.display()
            ),
            _ => Ok(()),
        }
    }
}

/// The widths of some layers.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Widths(pub(super) Vec<usize>);

impl fmt::Display for Widths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths: Vec<String> = self.0.iter().map(usize::to_string).collect();
        f.write_str(&widths.join(","))
    }
}

impl FromStr for Widths {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // More would only ask for more memory than there is.
        let width = |part: &str| part.parse().ok().filter(|width| (1..=4096).contains(width));
        let widths: Option<Vec<usize>> = text.split(',').map(width).collect();
        widths.map(Widths).ok_or("expected whole numbers from 1 to 4096, separated by commas")
    }
}

pub(super) fn positive(text: &str) -> Result<usize, &'static str> {
    match text.parse::<u32>() {
        Ok(n) if n > 0 => Ok(n as usize),
        _ => Err("expected a whole number, 1 or larger"),
    }
}

pub(super) fn batch_size(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n) if (1..=N_TRAIN).contains(&n) => Ok(n),
        _ => Err(format!("expected a whole number from 1 to {N_TRAIN}, which is all images")),
    }
}

pub(super) fn learning_rate(text: &str) -> Result<f64, &'static str> {
    match text.parse() {
        Ok(rate) if rate > 0.0 && rate < f64::INFINITY => Ok(rate),
        _ => Err("expected a finite number above 0"),
    }
}

fn picture(text: &str) -> Result<PathBuf, &'static str> {
    let path = Path::new(text);
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("svg" | "png") => Ok(path.to_path_buf()),
        _ => Err("expected a name that ends in .svg or .png"),
    }
}
