//! What a command says: on the standard output, on the standard error, and by its exit code.

use std::io::{self, Write};
use std::process::ExitCode;

/// The exit code where what was asked for could not be done.
pub(crate) const TROUBLE: u8 = 2;

/// Writes `text` to the standard output, all at once.
///
/// # Errors
/// If it cannot be written. A reader that has seen enough is no error.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    written(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()))
}

/// Prints the help or the version, in color on a terminal.
///
/// # Errors
/// As [`print()`].
pub(crate) fn help(text: &clap::Error) -> anyhow::Result<ExitCode> {
    written(text.print())?;
    Ok(ExitCode::SUCCESS)
}

fn written(result: io::Result<()>) -> anyhow::Result<()> {
    match result {
        // `| head` closes the pipe when it has its lines.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(anyhow::anyhow!("cannot write the output: {error}")),
        Ok(()) => Ok(()),
    }
}

/// Says on the standard error what is wrong. Never a backtrace: the sentence has to do.
pub(crate) fn complain(sentence: &str) {
    say(&format!("error: {sentence}"));
}

/// Says something on the standard error.
pub(crate) fn say(sentence: &str) {
    // Where nobody listens there is nothing left to do.
    let _ = writeln!(io::stderr().lock(), "{sentence}");
}

/// The exit code of a result: 1 if there is something to complain of.
pub(crate) fn exit_code(is_bad: bool) -> ExitCode {
    if is_bad { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_result_exits_with_1() {
        assert_eq!(exit_code(true), ExitCode::from(1));
        assert_eq!(exit_code(false), ExitCode::from(0));
    }
}
