//! The progress bar of a long computation.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Where progress is shown: on the standard error if that is a terminal, or nowhere.
pub(crate) struct Progress {
    target: fn() -> ProgressDrawTarget,
}

impl Progress {
    /// Shown on the standard error, but not in a file or a pipe.
    pub(crate) fn visible() -> Self {
        Progress { target: ProgressDrawTarget::stderr }
    }

    /// Shown nowhere.
    #[cfg(test)]
    pub(crate) fn hidden() -> Self {
        Progress { target: ProgressDrawTarget::hidden }
    }

    /// A bar for `steps` steps of the work `what`; it vanishes when it is dropped.
    pub(crate) fn start(&self, steps: u64, what: &str) -> Steps {
        let style = ProgressStyle::with_template("{prefix} {wide_bar} {pos}/{len} {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::with_draw_target(Some(steps), (self.target)());
        Steps { bar: bar.with_style(style).with_prefix(what.to_string()) }
    }
}

/// The bar of one computation.
pub(crate) struct Steps {
    bar: ProgressBar,
}

impl Steps {
    /// One step is done, and what ought to become small, or stay so, is now `size`.
    pub(crate) fn step(&self, size: f64) {
        // A message costs an allocation, which nobody would see.
        if !self.bar.is_hidden() {
            self.bar.set_message(format!("{size:.2e}"));
        }
        self.bar.inc(1);
    }
}

impl Drop for Steps {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
