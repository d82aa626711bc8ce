//! The protocol: a JSON object a line comes in, and one goes out for it.
//!
//! A message that makes no sense is answered too, with `success: false` and an `error`, and the
//! session goes on.

use std::cell::RefCell;
use std::fmt;
use std::io::{BufRead, Write};

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::args::GradbenchBackend;
use super::evaluation::{Evaluation, is_scalar};
use super::input;
use super::runs::Runs;

/// What the driver of the benchmark sends. Fields that we do not need are passed by.
#[derive(Deserialize)]
struct Message<'a> {
    id: Value,
    kind: String,
    #[serde(default)]
    module: String,
    #[serde(default)]
    function: String,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
}

/// A conversation with the driver of the benchmark.
pub(crate) struct Session {
    backend: GradbenchBackend,
}

impl Session {
    /// A session that computes with a backend.
    pub(crate) fn new(backend: GradbenchBackend) -> Self {
        Session { backend }
    }

    /// Answers each line of `from` by a line of `to`, at once, until there are no more.
    ///
    /// # Errors
    /// If a stream fails.
    pub(crate) fn serve(&self, mut from: impl BufRead, mut to: impl Write) -> std::io::Result<()> {
        let mut line = Vec::new();
        while from.read_until(b'\n', &mut line)? > 0 {
            serde_json::to_writer(&mut to, &self.answer(&line))?;
            to.write_all(b"\n")?;
            to.flush()?;
            line.clear();
        }
        Ok(())
    }

    /// The answer to one message.
    fn answer(&self, line: &[u8]) -> Value {
        let message: Message<'_> = match serde_json::from_slice(line) {
            Ok(message) => message,
            Err(error) => {
                let error = format!("the message cannot be read: {error}");
                return json!({ "id": id(line), "success": false, "error": error });
            }
        };
        let id = &message.id;
        match message.kind.as_str() {
            "start" => json!({ "id": id, "tool": "simple-grad" }),
            "define" => match self.define(&message.module) {
                Ok(()) => json!({ "id": id, "success": true }),
                Err(error) => failure(id, &error),
            },
            "evaluate" => self.evaluate(&message).unwrap_or_else(|error| failure(id, &error)),
            _ => json!({ "id": id }),
        }
    }

    /// Whether the module can be computed here.
    fn define(&self, module: &str) -> anyhow::Result<()> {
        let is_scalar = is_scalar(module)?;
        anyhow::ensure!(
            is_scalar || self.backend != GradbenchBackend::Scalar,
            "module {module} needs tensors; the scalar backend has none"
        );
        Ok(())
    }

    fn evaluate(&self, message: &Message<'_>) -> anyhow::Result<Value> {
        let Message { id, module, function, input, .. } = message;
        self.define(module)?;
        let Some(input) = *input else { anyhow::bail!("an evaluation needs an input") };
        // The input of `hello` is a number, and has no such fields.
        let is_object = input.get().starts_with('{');
        let mut runs = if is_object { input::read(input)? } else { Runs::default() };
        let evaluation = Evaluation { module, function, input, runs: &mut runs };
        let output = evaluation.on(self.backend)?;
        let timing = |&time: &u64| json!({ "name": "evaluate", "nanoseconds": time });
        let timings: Value = runs.nanoseconds().iter().map(timing).collect();
        Ok(json!({ "id": id, "success": true, "output": output, "timings": timings }))
    }
}

/// The answer to a message that cannot be done.
fn failure(id: &Value, error: &anyhow::Error) -> Value {
    json!({ "id": id, "success": false, "error": format!("{error:#}") })
}

/// The id of a message, as far as it can be read: data that is not JSON often comes after it.
fn id(line: &[u8]) -> Value {
    let found = RefCell::new(Value::Null);
    // What is wrong with the line is known already.
    let _ = FindId(&found).deserialize(&mut serde_json::Deserializer::from_slice(line));
    found.into_inner()
}

/// Keeps the field `id` of an object, whatever is wrong behind it.
struct FindId<'a>(&'a RefCell<Value>);

impl<'de> DeserializeSeed<'de> for FindId<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for FindId<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "id" => *self.0.borrow_mut() = map.next_value()?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(line: &str) -> Value {
        Session::new(GradbenchBackend::Auto).answer(line.as_bytes())
    }

    #[test]
    fn what_is_no_evaluation_is_answered_in_short() {
        let start = answer(r#"{"id": 0, "kind": "start", "eval": "lse", "config": {"k": 1}}"#);
        assert_eq!(start, json!({ "id": 0, "tool": "simple-grad" }));
        let define = answer(r#"{"id": 1, "kind": "define", "module": "lse"}"#);
        assert_eq!(define, json!({ "id": 1, "success": true }));
        let analysis = answer(r#"{"id": 2, "kind": "analysis", "of": 1, "valid": true}"#);
        assert_eq!(analysis, json!({ "id": 2 }));
        assert_eq!(answer(r#"{"id": 3, "kind": "something new"}"#), json!({ "id": 3 }));
    }

    #[test]
    fn every_run_is_a_timing() {
        let line = r#"{"id": 2, "kind": "evaluate", "module": "lse", "function": "primal",
            "input": {"x": [0, 0], "min_runs": 3, "min_seconds": 0}, "description": "n=2"}"#;
        let answer = answer(line);
        assert_eq!((&answer["id"], &answer["success"]), (&json!(2), &json!(true)));
        assert_eq!(answer["output"].as_f64(), Some(2_f64.ln()));
        let timings = answer["timings"].as_array().expect("a list");
        assert_eq!(timings.len(), 3);
        for timing in timings {
            assert_eq!(timing["name"], "evaluate");
            assert!(timing["nanoseconds"].is_u64(), "{timing}");
        }
    }

    /// The error in the answer, which keeps the id.
    #[track_caller]
    fn assert_refused(line: &str, id: Value, error: &str) {
        let expected = json!({ "id": id, "success": false, "error": error });
        assert_eq!(answer(line), expected);
    }

    #[test]
    fn what_cannot_be_done_is_said() {
        assert_refused(
            r#"{"id": 1, "kind": "define", "module": "sort"}"#,
            json!(1),
            "there is no module 'sort', but ba, det, gmm, hello, ht, kmeans, llsq, lse, lstm, ode, \
             particle, saddle",
        );
        assert_refused(
            r#"{"id": 1, "kind": "evaluate", "module": "lse", "function": "f", "input": {"x": [1]}}"#,
            json!(1),
            "module lse has no function 'f'",
        );
        assert_refused(
            r#"{"id": 1, "kind": "evaluate", "module": "lse", "function": "primal"}"#,
            json!(1),
            "an evaluation needs an input",
        );
        assert_refused(
            r#"{"id": 1, "kind": "evaluate", "module": "lse", "function": "primal", "input": {}}"#,
            json!(1),
            "the input does not fit: missing field `x` at line 1 column 2",
        );
    }

    #[test]
    fn a_message_that_cannot_be_read_keeps_its_id() {
        assert_refused(
            "nonsense",
            Value::Null,
            "the message cannot be read: expected ident at line 1 column 2",
        );
        assert_refused(
            r#"{"id": 5}"#,
            json!(5),
            "the message cannot be read: missing field `kind` at line 1 column 9",
        );
        assert_refused(
            r#"{"id": 7, "kind": "evaluate", "input": {"x": [NaN]}}"#,
            json!(7),
            "the message cannot be read: expected value at line 1 column 47",
        );
    }

    #[test]
    fn a_session_is_a_line_for_a_line() {
        let from = "\n{\"id\": 1, \"kind\": \"start\"}\n{\"id\": 2, \"kind\": \"x\"}";
        let mut to = Vec::new();
        Session::new(GradbenchBackend::Auto).serve(from.as_bytes(), &mut to).expect("no error");
        let lines: Vec<Value> = String::from_utf8(to)
            .expect("text")
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        let ids: Vec<&Value> = lines.iter().map(|line| &line["id"]).collect();
        assert_eq!(ids, [&Value::Null, &json!(1), &json!(2)]);
    }
}
