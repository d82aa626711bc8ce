//! `cargo xtask ci`: what a change must pass, cheapest first.
//!
//! Each step is one or a few plain commands, printed before they run, so that a failure can be
//! repeated by hand. The features are named one by one: those of grad-candle (`cuda`, `metal`)
//! need a device's toolchain to build.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};

use crate::docs;
use crate::tidy;
use crate::workspace::{LIBRARIES, cargo, output, run as run_command, shown};

#[derive(Args)]
pub(crate) struct Options {
    /// Run only these steps, in the usual order.
    #[arg(value_name = "STEP", value_enum)]
    only: Vec<Step>,
    /// Leave out a step; may be repeated.
    #[arg(long, value_name = "STEP", value_enum)]
    skip: Vec<Step>,
}

/// The steps, cheapest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Step {
    /// The sources are formatted.
    Fmt,
    /// The invariants that are about text hold.
    Tidy,
    /// The tables in the documents are those of the sources.
    Tables,
    /// The library crates can be packaged, with their license and README.
    Package,
    /// Clippy has no warnings.
    Clippy,
    /// The documentation builds without warnings.
    Doc,
    /// The tests pass (with `doctest`: what `cargo test --workspace` runs).
    Test,
    /// The examples in the documentation run.
    Doctest,
}

/// The features of the libraries, which lint and docs need too. In `cargo test --workspace` the
/// dev-dependencies turn them on.
const FEATURES: &str = "--features=grad-conformance/vectors,grad-core/serde,grad-ndarray/argmin";

/// grad-ndarray as it is without faer and threads.
const NDARRAY: &str = "--package=grad-ndarray";
const BARE: &str = "--no-default-features";

impl Step {
    fn run(self) -> Result<()> {
        match self {
            Step::Fmt => call(&["fmt", "--all", "--check"], &[]),
            Step::Tidy => tidy::run(),
            Step::Tables => docs::run(&docs::Options::CHECK),
            Step::Package => package(),
            Step::Clippy => {
                let deny = ["--", "--deny=warnings"];
                call(&["clippy", "--workspace", "--all-targets", FEATURES, deny[0], deny[1]], &[])?;
                // What the features use is unused without them.
                let plain = ["--package=grad-core", "--package=grad-conformance"];
                call(&["clippy", plain[0], plain[1], deny[0], deny[1]], &[])?;
                let bare = ["clippy", NDARRAY, BARE, "--all-targets", deny[0], deny[1]];
                call(&bare, &[])
            }
            Step::Doc => {
                let deny = [("RUSTDOCFLAGS", "--deny=warnings")];
                call(&["doc", "--workspace", "--no-deps", FEATURES], &deny)
            }
            Step::Test => {
                call(&["test", "--workspace", "--lib", "--bins", "--tests", "--examples"], &[])?;
                // Products and linear algebra are others there.
                call(&["test", NDARRAY, BARE, "--test=conformance", "--test=errors"], &[])
            }
            Step::Doctest => call(&["test", "--workspace", "--doc"], &[]),
        }
    }

    /// The name on the command line.
    fn name(self) -> String {
        self.to_possible_value().map_or(String::new(), |value| value.get_name().to_string())
    }

    /// What to do when the step fails.
    fn advice(self) -> &'static str {
        match self {
            Step::Fmt => "run `cargo fmt --all`",
            Step::Tidy => "each line above names the file and what is wrong there",
            Step::Tables => "what it writes goes into the commit that changes the operation",
            Step::Package => "look at the metadata and the links in the crate's directory",
            Step::Clippy => "mend what it says, or allow it there with a reason",
            Step::Doc => "mend the comments it names",
            Step::Test => "if the demo's output changed on purpose, `cargo xtask golden --bless`",
            Step::Doctest => "the example named above no longer runs",
        }
    }
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let steps = selected(&options.only, &options.skip);
    if steps.is_empty() {
        bail!("no step is left to run");
    }
    let began = Instant::now();
    let mut times = Vec::new();
    for step in steps {
        println!("\n== {}", step.name());
        let step_began = Instant::now();
        let done = step.run();
        let time = step_began.elapsed();
        if let Err(error) = done {
            let (name, advice) = (step.name(), step.advice());
            bail!("step `{name}` failed after {}: {error:#}; {advice}", seconds(time));
        }
        println!("== {}: ok, {}", step.name(), seconds(time));
        times.push((step, time));
    }
    println!("\n== all steps passed in {}", seconds(began.elapsed()));
    for (step, time) in times {
        println!("   {:<8} {:>8}", step.name(), seconds(time));
    }
    Ok(())
}

/// The steps to run, in the order of their declaration.
fn selected(only: &[Step], skip: &[Step]) -> Vec<Step> {
    let is_wanted = |step: &Step| only.is_empty() || only.contains(step);
    Step::value_variants()
        .iter()
        .copied()
        .filter(|step| is_wanted(step) && !skip.contains(step))
        .collect()
}

/// Runs cargo, printing the command first.
fn call(arguments: &[&str], environment: &[(&str, &str)]) -> Result<()> {
    let mut command = cargo(arguments);
    command.envs(environment.iter().copied());
    let set: String = environment.iter().map(|(key, value)| format!("{key}={value} ")).collect();
    println!("$ {set}{}", shown(&command));
    run_command(&mut command)
}

/// Looks at what is in the packages of the library crates, and builds from their packages those
/// that depend on no other. All are packaged together, since they depend on each other.
fn package() -> Result<()> {
    let named = LIBRARIES.map(|library| format!("--package={library}"));
    for library in &named {
        let list = output(&mut cargo(&["package", library, "--list", "--allow-dirty"]))?;
        for file in ["LICENSE", "README.md"] {
            if !list.lines().any(|line| line == file) {
                bail!("`cargo package {library}` leaves out {file}");
            }
        }
    }
    let [core, conformance, linalg, ndarray, candle] = named.each_ref().map(String::as_str);
    // candle itself would be built once more, for minutes.
    let all = ["package", core, conformance, linalg, ndarray, candle];
    call(&[&all[..], &["--allow-dirty", "--no-verify"]].concat(), &[])?;
    // Not the others: cargo would build them with whatever grad-core of this version it has
    // unpacked before, and not with the one packaged now.
    call(&["package", core, linalg, "--allow-dirty"], &[])
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_runs_unless_told_otherwise() {
        assert_eq!(selected(&[], &[]), Step::value_variants());
    }

    #[test]
    fn named_steps_run_in_the_usual_order() {
        assert_eq!(selected(&[Step::Tidy, Step::Fmt], &[]), [Step::Fmt, Step::Tidy]);
    }

    #[test]
    fn skipped_steps_do_not_run() {
        let steps = selected(&[], &[Step::Test, Step::Doctest]);
        assert!(!steps.contains(&Step::Test) && !steps.contains(&Step::Doctest));
        assert_eq!(steps.len(), Step::value_variants().len() - 2);
    }
}
