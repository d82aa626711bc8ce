//! The program as a user runs it.

mod arguments;
mod compare;
mod gradbench;
mod readme;
mod solve;
mod trace;
mod train;

use std::process::{Command, Output, Stdio};

/// What the program did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ran {
    /// The exit code; `None` if a signal ended it.
    pub(crate) code: Option<i32>,
    /// The standard output.
    pub(crate) stdout: String,
    /// The standard error.
    pub(crate) stderr: String,
}

/// The program with arguments as one would type them, asked for backtraces wherever it has some.
pub(crate) fn command(arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_grad-demo"));
    command.args(arguments.split_whitespace()).env("RUST_BACKTRACE", "1").stdin(Stdio::null());
    command
}

impl From<Output> for Ran {
    fn from(Output { status, stdout, stderr }: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("the program writes UTF-8");
        Ran { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
    }
}

/// Runs [`command`] to its end.
pub(crate) fn run(arguments: &str) -> Ran {
    Ran::from(command(arguments).output().expect("the program was built for this test"))
}

/// What a run prints that must succeed without a complaint.
pub(crate) fn printed(arguments: &str) -> String {
    let Ran { code, stdout, stderr } = run(arguments);
    assert_eq!((code, stderr.as_str()), (Some(0), ""), "grad-demo {arguments}");
    stdout
}
