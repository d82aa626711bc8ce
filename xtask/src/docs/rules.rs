//! The table of rules in `docs/derivation.md`, from the documentation of the operations.
//!
//! A method of `Var` or `Tape` in `ops/` is a line: its call, the first sentence of its
//! documentation, the formulas of its ```` ```math ```` block, and what is said of corners.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::row;

const OPS: &str = "crates/grad-core/src/ops";

/// The families in reading order; others follow.
const ORDER: [&str; 20] = [
    "arith.rs",
    "power.rs",
    "elementwise.rs",
    "trig.rs",
    "activation.rs",
    "select.rs",
    "reduce.rs",
    "scan.rs",
    "softmax.rs",
    "sort.rs",
    "movement.rs",
    "join.rs",
    "index.rs",
    "diagonal.rs",
    "window.rs",
    "linalg/matmul.rs",
    "linalg/solve.rs",
    "linalg/det.rs",
    "linalg/factor.rs",
    "composite.rs",
];

/// The table of the functions without parameters.
const FUNCTIONS: &str = "functions.rs";

/// What repeats methods that are in another file.
const LEFT_OUT: [&str; 1] = ["functional.rs"];

pub(super) fn table(root: &Path) -> Result<String> {
    let mut sources = BTreeMap::new();
    read(&root.join(OPS), "", &mut sources)?;
    let place = |file: &String| ORDER.iter().position(|x| x == file).unwrap_or(ORDER.len());
    let mut files: Vec<&String> = sources.keys().collect();
    files.sort_by_key(|file| (place(file), *file));
    let functions = sources.get(FUNCTIONS).map_or("", String::as_str);
    let mut text = String::new();
    for file in files {
        let source = &sources[file];
        let methods = methods(source, functions);
        if methods.is_empty() || LEFT_OUT.contains(&file.as_str()) {
            continue;
        }
        let link = format!("[`{file}`](../{OPS}/{file})");
        text.push_str(&format!("### {link}\n\n{}\n\n", purpose(source)));
        text.push_str("| call | value | rule | corners |\n| --- | --- | --- | --- |\n");
        for Method { call, doc } in &methods {
            let Entry { value, rule, corners } = entry(doc);
            text.push_str(&row(&[&format!("`{call}`"), &value, &rule, &corners]));
        }
        text.push('\n');
    }
    if text.is_empty() {
        bail!("no operations in {OPS}");
    }
    Ok(text)
}

/// The Rust files below a directory.
fn read(directory: &Path, prefix: &str, sources: &mut BTreeMap<String, String>) -> Result<()> {
    let shown = || format!("cannot read {}", directory.display());
    for entry in fs::read_dir(directory).with_context(shown)? {
        let path = entry.with_context(shown)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let name = format!("{prefix}{name}");
        if path.is_dir() {
            read(&path, &format!("{name}/"), sources)?;
        } else if name.ends_with(".rs") {
            sources.insert(name, fs::read_to_string(&path).with_context(shown)?);
        }
    }
    Ok(())
}

/// The first paragraph at the head of a file, its first sentence.
fn purpose(source: &str) -> String {
    let head = source.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim);
    let paragraph: Vec<&str> = head.take_while(|line| !line.is_empty()).collect();
    sentences(&paragraph.join(" ")).into_iter().next().unwrap_or_default()
}

/// A public method, and the lines of its documentation.
#[derive(Debug, Default, PartialEq)]
struct Method {
    call: String,
    doc: Vec<String>,
}

/// The public methods of handles and tapes in a source.
fn methods(source: &str, functions: &str) -> Vec<Method> {
    let mut methods = Vec::new();
    let mut doc = Vec::new();
    let mut is_inside = false;
    let mut is_comparison = false;
    let lines: Vec<&str> = source.lines().collect();
    for (at, line) in lines.iter().enumerate() {
        let trimmed = line.trim();
        if line.starts_with("impl") {
            is_inside = line.contains("> Var<'t, T> {") || line.contains("> Tape<T> {");
        }
        // The comparisons are made by a macro, of `lt Lt "<";`.
        is_comparison = (is_comparison || trimmed == "comparison_methods! {") && trimmed != "}";
        if let (true, [name, _, symbol]) =
            (is_comparison, &trimmed.split(' ').collect::<Vec<_>>()[..])
        {
            let symbol = symbol.trim_matches(['"', ';']);
            let doc = format!("The mask `x {symbol} y`: 1 where it holds, else 0. Untracked.");
            methods.push(Method { call: format!("x.{name}(y)"), doc: vec![doc] });
        }
        if let Some(text) = trimmed.strip_prefix("///") {
            doc.push(text.strip_prefix(' ').unwrap_or(text).to_string());
        } else if let Some(head) = trimmed.strip_prefix("pub fn ") {
            let doc = std::mem::take(&mut doc);
            let head = [head].into_iter().chain(lines[at + 1..].iter().copied());
            let head = head.collect::<Vec<_>>().join(" ");
            let call = call(&head).filter(|_| is_inside && !head.starts_with('$'));
            methods.extend(call.map(|call| Method { call, doc }));
        } else if let Some(name) = between(trimmed, "#[doc = derivative!(", ")]") {
            doc.extend(derivative(functions, name));
        } else if !trimmed.starts_with("#[") {
            doc.clear();
        }
    }
    methods
}

/// What stands between two texts that a line consists of.
fn between<'a>(line: &'a str, start: &str, end: &str) -> Option<&'a str> {
    line.strip_prefix(start)?.strip_suffix(end)
}

/// The lines of documentation that `derivative!(name)` stands for, from the table of functions.
fn derivative(functions: &str, name: &str) -> Vec<String> {
    let formula = functions.lines().find_map(|line| {
        let (head, rest) = line.split_once('"')?;
        let is_line = head.split_whitespace().nth(1) == Some(name);
        rest.split_once('"').filter(|_| is_line).map(|(formula, _)| formula)
    });
    let formulas = |formula| format!("x̄ = ȳ · {formula},   ẏ = ẋ · {formula}");
    let lines = formula.map(|formula| ["```math".into(), formulas(formula), "```".into()]);
    lines.into_iter().flatten().collect()
}

/// The call of a method that gives handles, from its head: `powf(self, exponent: f64) -> Self` is
/// `x.powf(exponent)`.
fn call(head: &str) -> Option<String> {
    let head = head.split('{').next().unwrap_or(head);
    let (_, answer) = head.rsplit_once("->")?;
    if !answer.contains("Self") && !answer.contains("Var<") {
        return None;
    }
    let (name, rest) = head.split_once('(')?;
    let name = name.split('<').next()?;
    let mut depth = 0_usize;
    let mut arguments = vec![String::new()];
    for x in rest.chars() {
        match x {
            ')' if depth == 0 => break,
            '(' | '<' | '[' => depth += 1,
            ')' | '>' | ']' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => arguments.push(String::new()),
            _ => {}
        }
        arguments.last_mut()?.push(x);
    }
    let names = arguments.iter().map(|x| x.trim_start_matches(',').trim());
    let names = names.map(|x| x.split(':').next().unwrap_or(x)).filter(|x| !x.is_empty());
    let names: Vec<&str> = names.collect();
    let (receiver, arguments) = names.split_first()?;
    let receiver = match *receiver {
        "self" if arguments.contains(&"x") => "y",
        "self" => "x",
        borrowed if borrowed.starts_with('&') => "tape",
        _ => return None,
    };
    Some(format!("{receiver}.{name}({})", arguments.join(", ")))
}

/// The cells of a line.
#[derive(Debug, Default, PartialEq)]
struct Entry {
    value: String,
    rule: String,
    corners: String,
}

fn entry(doc: &[String]) -> Entry {
    let mut formulas = Vec::new();
    let mut paragraphs = vec![String::new()];
    let mut fence: Option<&str> = None;
    for line in doc {
        match (line.strip_prefix("```"), fence) {
            (Some(kind), None) => fence = Some(kind),
            (Some(_), Some(_)) => fence = None,
            (None, Some("math")) => {
                let parts = line.split("  ").map(|x| x.trim().trim_end_matches([',', ';']));
                // What is said before the formulas is about the value.
                paragraphs.truncate(1);
                paragraphs.push(String::new());
                formulas.extend(parts.filter(|x| !x.is_empty()).map(|x| format!("`{x}`")));
            }
            (None, Some(_)) => {}
            (None, None) if line.is_empty() => paragraphs.push(String::new()),
            (None, None) => {
                if let Some(paragraph) = paragraphs.last_mut() {
                    paragraph.push_str(line);
                    paragraph.push(' ');
                }
            }
        }
    }
    let mut paragraphs = paragraphs.iter().map(|text| plain(text.trim()));
    let first = paragraphs.next().unwrap_or_default();
    let value = sentences(&first).into_iter().next().unwrap_or_default();
    let is_untracked = doc.iter().any(|line| line.contains("ntracked"));
    let is_composition = doc.iter().any(|line| line.contains("composition"));
    let other = variant_of(doc).filter(|_| !is_composition);
    let rule = match (formulas.is_empty(), is_untracked, other) {
        (false, ..) => formulas.join("<br>"),
        (true, true, _) => "untracked".to_string(),
        (true, false, Some(other)) => format!("as `{other}`"),
        (true, false, None) => "of its parts".to_string(),
    };
    let corners: Vec<String> = paragraphs.flat_map(|text| corners(&text)).collect();
    Entry { value, rule, corners: corners.join(" ") }
}

/// The first method that a documentation refers to.
fn variant_of(doc: &[String]) -> Option<&str> {
    let (_, rest) = doc.iter().find_map(|line| line.split_once("[`Var::"))?;
    rest.split_once('`').map(|(name, _)| name)
}

/// Of a paragraph, what it says of corners.
fn corners(paragraph: &str) -> Vec<String> {
    let others = ["# ", "Shapes:", "Formula", "Source:", "where "];
    if others.iter().any(|start| paragraph.starts_with(start)) {
        return Vec::new();
    }
    let text = paragraph.split("Source:").next().unwrap_or(paragraph);
    let kept = sentences(text).into_iter().filter(|sentence| sentence != "Errors: none.");
    kept.map(|sentence| {
        let starts = ["Errors and non-smooth points: none", "Non-smooth points: none"];
        let rest = starts.iter().find_map(|start| sentence.strip_prefix(start));
        let text = rest.map_or(sentence.clone(), |rest| format!("None{rest}"));
        // What announced an example.
        text.trim_end().strip_suffix(':').map_or(text.clone(), |text| format!("{text}."))
    })
    .collect()
}

/// The sentences of a text: a full stop in code or before a small letter ends none.
fn sentences(text: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    let mut is_code = false;
    let mut rest = text.chars().peekable();
    while let Some(x) = rest.next() {
        is_code ^= x == '`';
        let is_end = x == '.' && !is_code && rest.peek() == Some(&' ');
        if let Some(sentence) = found.last_mut() {
            sentence.push(x);
        }
        if is_end {
            rest.next();
            match rest.peek() {
                Some(next) if next.is_lowercase() => {
                    found.last_mut().into_iter().for_each(|x| x.push(' '))
                }
                _ => found.push(String::new()),
            }
        }
    }
    found.into_iter().filter(|sentence| !sentence.trim().is_empty()).collect()
}

/// The text with links to items as code: ``[`Var::max`](..)`` as `` `max` ``.
fn plain(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some((before, link)) = rest.split_once("[`") {
        shown.push_str(before);
        let Some((name, after)) = link.split_once("`]") else {
            shown.push_str("[`");
            rest = link;
            continue;
        };
        let name = name.strip_prefix("Var::").or(name.strip_prefix("Tape::")).unwrap_or(name);
        shown.push_str(&format!("`{name}`"));
        let is_link = after.starts_with('(');
        rest = after.split_once(')').filter(|_| is_link).map_or(after, |(_, after)| after);
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = r#"//! Powers: of all kinds. More about it.
//!
//! Another paragraph.

struct Sqrt;

impl Conv {
    /// Not a method of a handle.
    pub fn stride(self, stride: usize) -> Self {}
}

impl<'t, T: TensorLike> Var<'t, T> {
    /// The root, as `a.b` has it, cf. below. Really.
    ///
    /// Shapes: unchanged.
    ///
    /// ```math
    /// x̄ = ȳ / |x|,   ẏ = 2 ẋ;   s = 1
    /// t = 2
    /// ```
    ///
    /// # Errors
    /// [`ShapeMismatch`](crate::ErrorKind::ShapeMismatch).
    ///
    /// Errors and non-smooth points: none. At 0: ∞, unlike [`Var::max`]. Errors: none. As here:
    /// Source: NIST DLMF §4.7. More.
    ///
    /// ```
    /// let y = x.root();
    /// ```
    #[track_caller]
    pub fn root<A: Into<f64>>(
        self,
        exponent: impl Fn(f64, f64) -> (),
        n: usize,
    ) -> Self {
    }

    /// [`Var::root`], but untouched.
    pub fn square(self) -> Self {}

    /// Data of the host.
    pub fn argmax(self, axis: isize) -> Result<Index, Error> {}

    fn private(self) {}
}

comparison_methods! {
    lt Lt "<";
}

impl<T: TensorLike> Tape<T> {
    /// Rounds. Untracked.
    pub fn concat<'t>(&'t self, x: &[Var<'t, T>], axis: isize) -> Var<'t, T> {}
}
"#;

    #[test]
    fn methods_are_those_of_handles_and_tapes() {
        let calls: Vec<String> =
            methods(SOURCE, "").into_iter().map(|method| method.call).collect();
        assert_eq!(calls, ["x.root(exponent, n)", "x.square()", "x.lt(y)", "tape.concat(x, axis)"]);
    }

    #[test]
    fn a_line_is_made_of_the_documentation() {
        let entries: Vec<Entry> =
            methods(SOURCE, "").iter().map(|method| entry(&method.doc)).collect();
        let entry = |value: &str, rule: &str, corners: &str| Entry {
            value: value.to_string(),
            rule: rule.to_string(),
            corners: corners.to_string(),
        };
        let expected = [
            entry(
                "The root, as `a.b` has it, cf. below.",
                "`x̄ = ȳ / |x|`<br>`ẏ = 2 ẋ`<br>`s = 1`<br>`t = 2`",
                "None. At 0: ∞, unlike `max`. As here.",
            ),
            entry("`root`, but untouched.", "as `root`", ""),
            entry("The mask `x < y`: 1 where it holds, else 0.", "untracked", ""),
            entry("Rounds.", "untracked", ""),
        ];
        assert_eq!(entries, expected);
    }

    #[test]
    fn the_purpose_is_the_first_sentence() {
        assert_eq!(purpose(SOURCE), "Powers: of all kinds.");
    }

    #[test]
    fn a_derivative_of_the_table_stands_in_the_documentation() {
        let functions = "    Sin sin \"cos x\"  x, c => c * x.cos();\n";
        let source = "impl<'t, T: TensorLike> Var<'t, T> {\n    /// The sine.\n    #[doc = derivative!(sin)]\n    \
                      #[track_caller]\n    pub fn sin(self) -> Self {\n";
        let methods = methods(source, functions);
        let expected = ["The sine.", "```math", "x̄ = ȳ · cos x,   ẏ = ẋ · cos x", "```"];
        assert_eq!(methods.iter().map(|method| &method.doc[..]).collect::<Vec<_>>(), [expected]);
    }
}
