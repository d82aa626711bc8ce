//! The table of names in `docs/vocabulary.md`: the functions of the catalogue, and what the code
//! that runs the test vectors has beside them.
//!
//! That code is a table with lines `"name", inputs => expression;`.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::row;
use crate::catalogue;

const SOURCE: &str = "crates/grad-conformance/src/vectors/vocabulary.rs";

pub(super) fn table(root: &Path) -> Result<String> {
    let read = |path: &str| {
        fs::read_to_string(root.join(path)).with_context(|| format!("cannot read {path}"))
    };
    let (vocabulary, catalogue) = (read(SOURCE)?, read(catalogue::PATH)?);
    let entries = entries(&vocabulary, &catalogue);
    if entries.is_empty() {
        bail!("no names in {SOURCE} and {}", catalogue::PATH);
    }
    let mut text = "| name | here |\n| --- | --- |\n".to_string();
    for (name, calls) in entries {
        let calls: Vec<String> = calls.iter().map(|call| format!("`{call}`")).collect();
        text.push_str(&row(&[&format!("`{name}`"), &calls.join(", ")]));
    }
    Ok(text)
}

/// The names, each once, with the calls that it may stand for.
fn entries(vocabulary: &str, catalogue: &str) -> Vec<(String, Vec<String>)> {
    let mut others: Vec<(String, Vec<String>)> = Vec::new();
    for (name, body) in arms(vocabulary) {
        let calls = calls(&name, &body);
        match others.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => {
                let new = calls.into_iter().filter(|call| !known.contains(call));
                let new: Vec<String> = new.collect();
                known.extend(new);
            }
            None => others.push((name, calls)),
        }
    }
    let functions = catalogue::functions(catalogue).into_iter();
    let functions = functions.filter(|(name, _)| !others.iter().any(|(other, _)| other == name));
    let functions = functions.map(|(name, call)| (name.to_string(), vec![call.to_string()]));
    let mut entries: Vec<_> = functions.collect();
    entries.extend(others);
    entries
}

/// The names, each with its expression on one line.
fn arms(source: &str) -> Vec<(String, String)> {
    let mut arms = Vec::new();
    let mut lines = source.lines();
    while let Some(line) = lines.next() {
        let indent = line.len() - line.trim_start().len();
        let Some((pattern, body)) = line.trim().split_once(" => ") else { continue };
        let Some(pattern) = pattern.strip_prefix('"') else { continue };
        let names = pattern.split_once("\", ").map_or("", |(names, _)| names).split("\" | \"");
        let mut body = body.to_string();
        if body.ends_with('{') {
            for line in lines.by_ref() {
                body.push('\n');
                body.push_str(line.trim());
                if line.len() - line.trim_start().len() == indent && line.trim().starts_with('}') {
                    break;
                }
            }
        }
        arms.extend(names.map(|name| (name.to_string(), body.clone())));
    }
    arms
}

/// The methods of handles and tapes in an expression, or the expression where it is an operator.
fn calls(name: &str, body: &str) -> Vec<String> {
    // `reduce!` chooses between three methods.
    if let Some(methods) = body.strip_prefix("reduce!(a, x, ") {
        let methods = methods.trim_end_matches([')', ';']).split(", ");
        let call = |method: &str| match method.strip_suffix("()") {
            Some(all) => format!("x.{all}()"),
            None => format!("x.{method}(..)"),
        };
        return methods.map(call).collect();
    }
    let mut found: Vec<String> = Vec::new();
    for (dot, _) in body.match_indices('.') {
        let receiver = body[..dot].rsplit(|x: char| !is_word(x)).next().unwrap_or_default();
        let (method, rest) = body[dot + 1..].split_once('(').unwrap_or_default();
        if !method.chars().all(is_word) || method.is_empty() {
            continue;
        }
        let receiver = match receiver {
            "x" | "y" | "tape" => receiver,
            // `tensor(x, &a.0["cond"])?`, a constant of the file.
            "" if body[..dot].ends_with("])?") => "mask",
            _ => continue,
        };
        let arguments = if rest.starts_with(')') { "" } else { ".." };
        let call = format!("{receiver}.{method}({arguments})");
        if method != "shape" && !found.contains(&call) {
            found.push(call);
        }
    }
    // One arm may be of several names.
    let own = format!(".{name}(");
    if found.iter().any(|call| call.contains(&own)) && body.contains("match op {") {
        found.retain(|call| call.contains(&own));
    }
    if found.is_empty() {
        found.push(body.trim_end_matches(';').to_string());
    }
    found
}

fn is_word(x: char) -> bool {
    x.is_alphanumeric() || x == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    const VOCABULARY: &str = r#"
table! { |tape, op, a|
    "log", &[x] => x.ln();
    "powf", &[x] => x.powf(a.number("exponent")?);
    "sum", &[x] => reduce!(a, x, sum(), sum_axes, sum_keepdim);
    "concat", x => tape.concat(x, a.axis("axis")?);
    "where", &[x, y] => tensor(x, &a.0["cond"])?.where_(x, y);
    "clamp", &[x] => match (a.optional("min")?, a.optional("max")?) {
        (Some(min), Some(max)) => x.clamp(min, max),
        (Some(min), None) => x.clamp_min(min),
    };
    "norm", &[x, w] => x.norm(w, 0.0);
    "norm", &[x] if a.flag()? => x.norm(1.0, 0.0);
    "norm", &[x] => x.norm_with(1.0);
    "conv1d" | "conv2d", &[x, w, ref bias @ ..] => {
        let y = match op {
            "conv1d" => x.conv1d(w, a.conv()?),
            _ => x.conv2d(w, a.conv()?),
        };
        y
    };
}
"#;

    const CATALOGUE: &str = "\
table! { $
    neg { Real |x| -x => []; }
    sum {
        Real |x| x.sum() => [];
        Real |x| x.sum_axes(0) => [3];
    }
    atan2 { Real |y, x| y.atan2(x) => [] []; }
}
";

    #[test]
    fn a_name_has_its_calls() {
        let shown = entries(VOCABULARY, CATALOGUE).into_iter();
        let shown = shown.map(|(name, calls)| format!("{name}: {}\n", calls.join(", ")));
        let expected = "\
neg: -x
atan2: y.atan2(x)
log: x.ln()
powf: x.powf(..)
sum: x.sum(), x.sum_axes(..), x.sum_keepdim(..)
concat: tape.concat(..)
where: mask.where_(..)
clamp: x.clamp(..), x.clamp_min(..)
norm: x.norm(..), x.norm_with(..)
conv1d: x.conv1d(..)
conv2d: x.conv2d(..)
";
        assert_eq!(shown.collect::<String>(), expected);
    }
}
