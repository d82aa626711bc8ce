//! The tool as GradBench drives it: a process, a line for a line.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

/// A running tool.
pub(crate) struct Tool {
    process: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    id: u64,
}

/// What came of an evaluation.
pub(crate) struct Answer {
    /// Of the last run.
    pub(crate) output: Value,
    /// Of each run, as the tool says.
    pub(crate) nanoseconds: Vec<u64>,
}

impl Tool {
    /// Builds the demo, and starts it with some arguments.
    pub(crate) fn start(arguments: &[&str]) -> Result<Tool> {
        let mut command = Command::new(built_demo()?);
        command.arg("gradbench").args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().context("the tool cannot be started")?;
        let stdin = process.stdin.take();
        let stdout = BufReader::new(process.stdout.take().context("it was piped")?);
        let mut tool = Tool { process, stdin, stdout, id: 0 };
        tool.ask(json!({ "kind": "start" }))?;
        Ok(tool)
    }

    /// Evaluates a function as often as the input says.
    pub(crate) fn evaluate(
        &mut self,
        module: &str,
        function: &str,
        input: &Value,
    ) -> Result<Answer> {
        let mut answer = self.ask(json!({
            "kind": "evaluate", "module": module, "function": function, "input": input,
        }))?;
        ensure!(answer["success"] == true, "{module} {function}: {}", answer["error"]);
        let timings = answer["timings"].as_array().context("there are timings")?;
        let nanoseconds = timings.iter().filter_map(|timing| timing["nanoseconds"].as_u64());
        Ok(Answer { nanoseconds: nanoseconds.collect(), output: answer["output"].take() })
    }

    /// Sends a message and waits for the answer to it.
    fn ask(&mut self, mut message: Value) -> Result<Value> {
        self.id += 1;
        message["id"] = Value::from(self.id);
        let stdin = self.stdin.as_mut().context("the tool is running")?;
        writeln!(stdin, "{message}")?;
        let mut line = String::new();
        ensure!(self.stdout.read_line(&mut line)? > 0, "the tool has ended");
        let answer: Value = serde_json::from_str(&line)?;
        ensure!(answer["id"] == self.id, "the answer has id {}, not {}", answer["id"], self.id);
        Ok(answer)
    }
}

impl Drop for Tool {
    /// The end of its input ends the tool.
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.process.wait();
    }
}

/// The program of the demo. Cargo builds the programs of its own package alone for a benchmark, so
/// this one is built when it is needed, with the same settings.
fn built_demo() -> Result<PathBuf> {
    let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--profile=bench", "--package=grad-demo", "--bin=grad-demo"])
        .arg("--message-format=json-render-diagnostics")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo")?;
    ensure!(output.status.success(), "cargo cannot build the demo");
    // A message a line, of which that about the program names its file.
    for message in serde_json::Deserializer::from_slice(&output.stdout).into_iter::<Value>() {
        if let Some(file) = message?["executable"].as_str() {
            return Ok(PathBuf::from(file));
        }
    }
    bail!("cargo does not say where the demo is")
}
