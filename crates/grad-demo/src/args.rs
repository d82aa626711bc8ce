//! What can be asked for on the command line.

use std::fmt;
use std::str::FromStr;

use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::solve::PROBLEMS;
use crate::train::TrainArgs;

/// Differentiate the program of the original simple-grad, and print the trace.
///
/// Without a command: a and b hold four numbers each, L0 = ((a + b) * b).sum(), and the gradient
/// of L0 is recorded. L1 is the sum of that gradient's squares, and its gradient goes back through
/// the first one.
#[derive(Debug, Parser)]
#[command(version, verbatim_doc_comment, args_conflicts_with_subcommands = true)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) place: Place,

    /// How to print the trace: dot is for Graphviz
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,

    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  all went well
  1  compare found a difference above the tolerance, or a result of solve is not good enough
  2  what was asked for could not be done
  130  Ctrl-C ended train early";

/// What to do instead.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Compare(CompareArgs),
    Solve(SolveArgs),
    Train(TrainArgs),
    Gradbench(GradbenchArgs),
}

/// Where to compute, and in what precision.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Place {
    /// The library whose tensors are computed with
    #[arg(long, value_enum, default_value_t)]
    pub(crate) backend: Backend,

    #[command(flatten)]
    pub(crate) numbers: Numbers,
}

/// What the numbers are and where they lie, whatever the backend.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Numbers {
    /// The type of the numbers
    #[arg(long, value_enum, default_value_t)]
    pub(crate) dtype: DType,

    /// The device of candle's tensors: cpu, cuda:N or metal
    #[arg(long, default_value_t)]
    pub(crate) device: Device,
}

/// Compare what the program computes on the two backends.
///
/// Prints the largest difference of every value and derivative; exits with 1 if one is above the
/// tolerance.
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub(crate) struct CompareArgs {
    #[command(flatten)]
    pub(crate) numbers: Numbers,

    /// The largest difference to accept [default: 1e-12 for f64, 1e-5 for f32]
    #[arg(long, value_parser = tolerance, allow_negative_numbers = true)]
    pub(crate) tolerance: Option<f64>,
}

impl CompareArgs {
    /// The tolerance asked for, or the default of the dtype.
    pub(crate) fn tolerance(&self) -> f64 {
        self.tolerance.unwrap_or(match self.numbers.dtype {
            DType::F32 => 1e-5,
            DType::F64 => 1e-12,
        })
    }
}

/// Solve a problem that needs derivatives of derivatives.
///
/// Prints a table of the results; exits with 1 if one is not good enough.
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub(crate) struct SolveArgs {
    /// The problem
    #[arg(value_parser = problems(), required_unless_present = "list")]
    pub(crate) name: Option<String>,

    /// Say what the problems are
    #[arg(long, exclusive = true)]
    pub(crate) list: bool,

    #[command(flatten)]
    pub(crate) place: Place,
}

/// One of the problems by its name.
fn problems() -> PossibleValuesParser {
    let problem = |&(name, summary)| PossibleValue::new(name).help(summary);
    PossibleValuesParser::new(PROBLEMS.iter().map(problem))
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Backend {
    #[default]
    Ndarray,
    Candle,
}

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

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum DType {
    F32,
    #[default]
    F64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    #[default]
    Text,
    Dot,
    Mermaid,
    Json,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Device {
    #[default]
    Cpu,
    /// A device of CUDA by its number.
    Cuda(usize),
    Metal,
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Device::Cpu => f.write_str("cpu"),
            Device::Cuda(number) => write!(f, "cuda:{number}"),
            Device::Metal => f.write_str("metal"),
        }
    }
}

impl FromStr for Device {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // Not all that parses as a number is one of a device: `+1`.
        let number = |digits: &str| match digits.bytes().all(|byte| byte.is_ascii_digit()) {
            true => digits.parse().ok(),
            false => None,
        };
        match text {
            "cpu" => Ok(Device::Cpu),
            "metal" => Ok(Device::Metal),
            _ => {
                text.strip_prefix("cuda:").and_then(number).map(Device::Cuda).ok_or(
                    "expected cpu, metal, or cuda:N where N is the number of a device, from 0",
                )
            }
        }
    }
}

/// A tolerance is a distance. With 0, only equal numbers pass.
fn tolerance(text: &str) -> Result<f64, &'static str> {
    match text.parse() {
        Ok(tolerance) if (0.0..f64::INFINITY).contains(&tolerance) => Ok(tolerance),
        _ => Err("expected a finite number, 0 or larger"),
    }
}

/// What clap found wrong, as one sentence on one line, without the advice to read the help.
pub(crate) fn sentence(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let paragraphs = text.split("\n\n").filter(|paragraph| {
        !paragraph.starts_with("Usage:") && !paragraph.starts_with("For more information")
    });
    let one_line = |paragraph: &str| paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
    paragraphs.map(one_line).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_device_reads_back_as_written() {
        for device in [Device::Cpu, Device::Cuda(0), Device::Cuda(12), Device::Metal] {
            assert_eq!(device.to_string().parse(), Ok(device));
        }
    }

    #[test]
    fn what_only_resembles_a_device_is_refused() {
        for text in
            ["", "CPU", "cuda", "cuda:", "cuda:x", "cuda:+1", "cuda:-1", "cuda:1 ", "metal:0"]
        {
            assert!(text.parse::<Device>().is_err(), "{text}");
        }
        assert!(format!("cuda:{}0", usize::MAX).parse::<Device>().is_err());
    }
}
