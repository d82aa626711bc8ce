//! What can be asked of `gradbench` on the command line.

use clap::{Args, ValueEnum};

/// Answer the messages of GradBench, the benchmark suite of automatic differentiation.
///
/// Reads a JSON object a line on the standard input and writes one for each on the standard output,
/// until the input ends. All numbers are f64.
#[derive(Args, Clone, Copy, Debug)]
#[command(verbatim_doc_comment)]
pub(crate) struct GradbenchArgs {
    /// What to compute with
    #[arg(long, value_enum, default_value_t)]
    pub(crate) backend: GradbenchBackend,

    /// Use all processors instead of one
    #[arg(long)]
    pub(crate) multithreaded: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum GradbenchBackend {
    /// Single numbers where the problem is of such, else ndarray
    #[default]
    Auto,
    /// Single numbers
    Scalar,
    Ndarray,
    Candle,
}
