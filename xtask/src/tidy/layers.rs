//! Who may name whom in grad-core and in the backends.

use std::collections::BTreeSet;

use super::source::{Source, identifier, words};
use super::{Files, Finding};
use crate::catalogue;

const CORE: &str = "crates/grad-core/src/";
/// What reads a tape by its public face.
const READERS: [&str; 2] = ["inspect/trace.rs", "inspect/gradcheck.rs"];

/// A `RefCell`, and a borrow of one, is only in the tape's room and in the growing program of
/// symbols: so it is in two places that no borrow is held while a rule or a backend runs.
pub(super) fn borrows_stay_in_the_tape(files: &Files) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, source) in files.below(CORE, ".rs") {
        let file = &path[CORE.len()..];
        if file.starts_with("tape/") || file == "program/symbol.rs" {
            continue;
        }
        for word in ["RefCell", ".inner", ".borrow(", ".borrow_mut("] {
            findings.extend(words(source.library(), word).map(|at| {
                let message = format!("`{word}` outside of `tape`");
                Finding::new(path, source.line(at), message)
            }));
        }
    }
    findings
}

/// The rooms of grad-core, and which each may import beside itself.
const ROOMS: &[(&str, &[&str])] = &[
    ("ground", &[]),
    ("tape", &["ground"]),
    ("program", &["ground"]),
    ("kinds", &["ground", "tape", "program"]),
    ("ops", &["ground", "tape", "kinds"]),
    ("sweep", &["ground", "tape", "kinds"]),
    ("transform", &["ground", "tape", "kinds", "sweep"]),
    ("inspect", &["ground", "tape"]),
];

/// A room imports rooms below it, and no other.
pub(super) fn rooms_import_downward(files: &Files) -> Vec<Finding> {
    let mut findings = Vec::new();
    for &(room, below) in ROOMS {
        for (path, source) in files.below(&format!("{CORE}{room}/"), ".rs") {
            for (at, module) in crate_modules(source.library()) {
                let is_room = ROOMS.iter().any(|(other, _)| *other == module);
                if is_room && module != room && !below.contains(&module) {
                    let message = format!("`{room}` imports `crate::{module}`, which is above it");
                    findings.push(Finding::new(path, source.line(at), message));
                }
            }
        }
    }
    findings
}

/// An operation names neither the arena nor what is inside a tape.
pub(super) fn operations_see_no_tape_internals(files: &Files) -> Vec<Finding> {
    let ops = format!("{CORE}ops/");
    let mut findings = Vec::new();
    for (path, source) in files.below(&ops, ".rs") {
        for word in [".inner", "Inner", "arena", "Arena", "RefCell"] {
            findings.extend(words(source.library(), word).map(|at| {
                let message = format!("`{word}` in an operation: a rule is a formula on handles");
                Finding::new(path, source.line(at), message)
            }));
        }
    }
    findings
}

/// A rule is stated once: what computes with plain tensors in a block of an operation is its value.
/// So a method of an operation that takes or gives a plain tensor is `forward`.
pub(super) fn rules_are_stated_once(files: &Files) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, source) in files.below(CORE, ".rs") {
        if !["ops/", "kinds/"].iter().any(|room| path[CORE.len()..].starts_with(room)) {
            continue;
        }
        let code = source.library();
        for (at, method) in methods_of_operations(code) {
            let signature = &code[at..code[at..].find('{').map_or(code.len(), |end| at + end)];
            let has = |text: &&str| words(signature, text).next().is_some();
            let is_plain = ["&T", "<T>", "-> T"].iter().any(has)
                && !["Primal<", "Var<"].iter().any(|handle| signature.contains(handle))
                || has(&"&T") && signature.contains("Primal<");
            if is_plain && !["forward", "function"].contains(&method) {
                let message =
                    format!("`{method}` states a rule on plain tensors; rules are on handles");
                findings.push(Finding::new(path, source.line(at), message));
            }
        }
    }
    findings
}

/// The methods in `impl`s of the traits of operations, with their places.
fn methods_of_operations(code: &str) -> Vec<(usize, &str)> {
    let mut methods = Vec::new();
    for start in words(code, "impl") {
        let Some(open) = code[start..].find('{').map(|at| start + at) else { continue };
        let head = &code[start..open];
        let is_operation = |name: &&str| words(head, name).next().is_some();
        if !head.contains(" for ")
            || !["Op", "Elementwise", "Linear", "Step"].iter().any(is_operation)
        {
            continue;
        }
        let close = open + block_end(&code[open..]);
        for at in words(&code[open..close], "fn ") {
            let at = open + at;
            methods.push((at, identifier(&code[at + "fn ".len()..])));
        }
    }
    methods
}

/// Where the block that a text begins with ends.
fn block_end(code: &str) -> usize {
    let mut depth = 0_usize;
    for (at, x) in code.char_indices() {
        match x {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    code.len()
}

/// What only reads a tape could be in another crate: it calls no method of a tape, a handle or a
/// node that is `pub(crate)`, unless a public one has the same name.
pub(super) fn readers_use_the_public_face(files: &Files) -> Vec<Finding> {
    let mut inner = BTreeSet::new();
    // `Result` has an `ok` too.
    let mut public = BTreeSet::from(["ok"]);
    for (path, source) in files.below(CORE, ".rs") {
        let code = source.library();
        for at in words(code, "fn ") {
            let name = identifier(&code[at + "fn ".len()..]);
            let is_inner = code[..at].ends_with("pub(crate) ");
            if !is_inner {
                public.insert(name); // Or a trait's, or private: not what this check is about.
            } else if !["tape/arena.rs", "tape/plan.rs"].contains(&&path[CORE.len()..])
                && path[CORE.len()..].starts_with("tape/")
            {
                inner.insert(name);
            }
        }
    }
    let mut findings = Vec::new();
    for (path, source) in files.below(CORE, ".rs") {
        let file = &path[CORE.len()..];
        if !READERS.contains(&file) {
            continue;
        }
        for name in inner.difference(&public) {
            let call = format!(".{name}(");
            findings.extend(words(source.library(), &call).map(|at| {
                let message = format!("`{name}` is `pub(crate)`, but {file} only reads a tape");
                Finding::new(path, source.line(at), message)
            }));
        }
    }
    findings
}

/// A backend sees of grad-core what its author is told: `grad_core::extend`. What stands on a backend,
/// as its problems for argmin, sees the transforms too.
pub(super) fn backends_import_extend_only(files: &Files) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, source) in files.below("crates/", ".rs") {
        let is_backend = ["crates/grad-ndarray/src/", "crates/grad-candle/src/"]
            .iter()
            .any(|directory| path.starts_with(directory));
        if !is_backend {
            continue;
        }
        let code = source.library();
        let stands_on_it = path.starts_with("crates/grad-ndarray/src/argmin/");
        for at in words(code, "grad_core") {
            let is_from = |module| code[at..].starts_with(module);
            if is_from("grad_core::extend") || stands_on_it && is_from("grad_core::transform") {
                continue;
            }
            let message = "a backend imports `grad_core::extend` only";
            findings.push(Finding::new(path, source.line(at), message));
        }
    }
    findings
}

/// Every operation has a block in the catalogue. And every block is of an operation, or of one of the
/// transforms that make an operation of a function; else this check has lost sight of some.
pub(super) fn operations_are_in_the_catalogue(files: &Files) -> Vec<Finding> {
    const CATALOGUE: &str = catalogue::PATH;
    let Some(text) = files.get(CATALOGUE).map(|source| &source.text) else {
        return vec![Finding::new(CATALOGUE, 0, "there is no catalogue of the operations")];
    };
    let listed: BTreeSet<_> = catalogue::operations(text).collect();
    let (ops, transforms) = (format!("{CORE}ops/"), format!("{CORE}transform/"));
    let mut known = BTreeSet::new();
    let mut findings = Vec::new();
    for (path, source) in files.below(&ops, ".rs") {
        for (at, name) in operations(source) {
            known.insert(name);
            if !listed.contains(name) {
                let message = format!("the operation \"{name}\" is not in {CATALOGUE}");
                findings.push(Finding::new(path, source.line(at), message));
            }
        }
    }
    for name in listed.difference(&known) {
        let function = format!("pub fn {name}");
        let mut files = files.below(&transforms, ".rs");
        if !files.any(|(_, source)| words(source.library(), &function).next().is_some()) {
            let message = format!("the operation \"{name}\" is nowhere in {ops}");
            findings.push(Finding::new(CATALOGUE, 0, message));
        }
    }
    findings
}

/// The modules after `crate::`, in groups too, with their places.
fn crate_modules(code: &str) -> Vec<(usize, &str)> {
    let mut modules = Vec::new();
    for at in words(code, "crate::").map(|at| at + "crate::".len()) {
        let Some(group) = code[at..].strip_prefix('{') else {
            modules.push((at, identifier(&code[at..])));
            continue;
        };
        let mut depth = 1_usize;
        let mut is_start = true;
        for (offset, x) in group.char_indices() {
            if depth == 1 && is_start && (x.is_alphabetic() || x == '_') {
                modules.push((at + 1 + offset, identifier(&group[offset..])));
                is_start = false;
            }
            match x {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' => is_start = depth == 1,
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
    }
    // A lower-case name is a module; the others are types and re-exported.
    modules.retain(|(_, name)| name.starts_with(|x: char| x.is_lowercase()));
    modules
}

/// The names of the operations in a file, with their places: of every `impl` of a trait of
/// operations, and of every call of a macro that makes one.
fn operations(source: &Source) -> Vec<(usize, &str)> {
    let code = source.library();
    let mut found = Vec::new();
    for start in words(code, "impl") {
        let Some(open) = code[start..].find('{').map(|at| start + at) else { continue };
        let head = &code[start..open];
        let Some((of, _)) = head.split_once(" for ") else { continue };
        let traits = ["Op", "Elementwise", "Linear", "Step"];
        if !traits.iter().any(|name| words(of, name).next().is_some()) {
            continue;
        }
        let marks = ["const NAME: &'static str =", "fn name(&self) -> &'static str {"];
        let places =
            marks.iter().filter_map(|mark| Some(open + code[open..].find(mark)? + mark.len()));
        let Some(at) = places.min() else { continue };
        let names = strings(source, at);
        match names.is_empty() {
            true => found.extend(calls_of_macro_around(source, start)),
            false => found.extend(names.into_iter().map(|name| (start, name))),
        }
    }
    found
}

/// The strings in the expression that begins at a place: more than one where it chooses.
fn strings(source: &Source, at: usize) -> Vec<&str> {
    let mut depth = 0_usize;
    let mut quotes = Vec::new();
    for (offset, byte) in source.library().bytes().enumerate().skip(at) {
        match byte {
            b'{' => depth += 1,
            b'}' | b';' if depth == 0 => break,
            b'}' => depth -= 1,
            b'"' => quotes.push(offset),
            _ => {}
        }
    }
    quotes.chunks_exact(2).filter_map(|quotes| source.text.get(quotes[0] + 1..quotes[1])).collect()
}

/// The names in the calls of the macro whose definition is around a place: the first string of each
/// call, or where the macro makes a table, the second word of each line, as in `Sin sin ..;`.
fn calls_of_macro_around(source: &Source, at: usize) -> Vec<(usize, &str)> {
    const DEFINITION: &str = "macro_rules! ";
    let code = source.library();
    let Some(definition) = code[..at].rfind(DEFINITION) else { return Vec::new() };
    let name = identifier(&code[definition + DEFINITION.len()..]);
    let body = code[at..].split("\n}").next().unwrap_or_default();
    let is_table = body.contains("stringify!($name)");
    let call = format!("{name}! {{");
    if is_table {
        let tables = words(code, &call).flat_map(|at| table(source, at + call.len()));
        return tables.collect();
    }
    let places: Vec<_> = words(code, &format!("{name}!")).collect();
    places.into_iter().filter_map(|at| Some((at, source.string_after(at)?))).collect()
}

/// The second word of each line of a table that begins at a place.
fn table(source: &Source, at: usize) -> Vec<(usize, &str)> {
    let code = source.library();
    let end = at + code[at..].find("\n}").unwrap_or(0);
    let mut found = Vec::new();
    let mut start = at;
    for line in code[at..end].split_inclusive('\n') {
        let mut tokens = line.split_whitespace();
        if let (Some(kind), Some(name)) = (tokens.next(), tokens.next())
            && kind.starts_with(char::is_uppercase)
        {
            found.push((start, identifier(name)));
        }
        start += line.len();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::testing::findings;
    use super::*;

    #[test]
    fn a_borrow_elsewhere_is_found() {
        let text = "use std::cell::RefCell;\nfn f() { tape.inner.borrow(); }\n";
        let files = [
            ("crates/grad-core/src/tape/read.rs", text),
            ("crates/grad-core/src/inspect/trace.rs", text),
        ];
        let expected = "\
crates/grad-core/src/inspect/trace.rs:1: `RefCell` outside of `tape`
crates/grad-core/src/inspect/trace.rs:2: `.borrow(` outside of `tape`
crates/grad-core/src/inspect/trace.rs:2: `.inner` outside of `tape`
";
        assert_eq!(findings(borrows_stay_in_the_tape, &files), expected);
    }

    #[test]
    fn an_import_upward_is_found() {
        let files = [
            (
                "crates/grad-core/src/ground/shape.rs",
                "use crate::ground::Error;\nuse crate::tape::Tape;",
            ),
            (
                "crates/grad-core/src/sweep/reverse.rs",
                "use crate::{ops::{Add, Mul}, Tape, tape::x};",
            ),
            (
                "crates/grad-core/src/ops/arith.rs",
                "use crate::kinds::Step;\nuse crate::sweep::Wrt;",
            ),
        ];
        let expected = "\
crates/grad-core/src/ground/shape.rs:2: `ground` imports `crate::tape`, which is above it
crates/grad-core/src/ops/arith.rs:2: `ops` imports `crate::sweep`, which is above it
crates/grad-core/src/sweep/reverse.rs:1: `sweep` imports `crate::ops`, which is above it
";
        assert_eq!(findings(rooms_import_downward, &files), expected);
    }

    #[test]
    fn an_operation_that_looks_into_the_tape_is_found() {
        let files = [("crates/grad-core/src/ops/arith.rs", "fn f() {\n    tape.inner.len()\n}")];
        let expected = "crates/grad-core/src/ops/arith.rs:2: \
                        `.inner` in an operation: a rule is a formula on handles\n";
        assert_eq!(findings(operations_see_no_tape_internals, &files), expected);
    }

    #[test]
    fn a_second_text_of_a_rule_is_found() {
        let text = "impl Elementwise for Mul {
    fn forward<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error> { x[0].mul(x[1]) }
    fn partial<'t, T: TensorLike>(&self, p: &Primal<'t, T>, c: Var<'t, T>) -> Var<'t, T> { c }
    fn plain<T: TensorLike>(&self, p: &Primal<'_, T>, c: &T) -> Option<T> { c.mul(c).ok() }
    fn twin<T: TensorLike>(&self, x: &T, c: &T) -> Result<T, T::Error> { c.mul(x) }
}
";
        let files = [("crates/grad-core/src/ops/arith.rs", text)];
        let expected = "\
crates/grad-core/src/ops/arith.rs:4: `plain` states a rule on plain tensors; rules are on handles
crates/grad-core/src/ops/arith.rs:5: `twin` states a rule on plain tensors; rules are on handles
";
        assert_eq!(findings(rules_are_stated_once, &files), expected);
    }

    #[test]
    fn a_reader_that_goes_behind_the_public_face_is_found() {
        let files = [
            (
                "crates/grad-core/src/tape/tape.rs",
                "pub(crate) fn rewind() {}\npub(crate) fn value() {}",
            ),
            ("crates/grad-core/src/tape/var.rs", "pub fn value() {}"),
            (
                "crates/grad-core/src/inspect/trace.rs",
                "fn f() { x.value(); }\nfn g() { tape.rewind(); }",
            ),
            ("crates/grad-core/src/sweep/reverse.rs", "fn g() { tape.rewind(); }"),
        ];
        let expected = "crates/grad-core/src/inspect/trace.rs:2: \
                        `rewind` is `pub(crate)`, but inspect/trace.rs only reads a tape\n";
        assert_eq!(findings(readers_use_the_public_face, &files), expected);
    }

    #[test]
    fn a_backend_that_imports_more_is_found() {
        let text = "//! grad_core::Tape\nuse grad_core::extend::Shape;\nuse grad_core::Tape;\n\
                    #[cfg(test)]\nmod tests { use grad_core::Tape; }\n";
        let transforms = "use grad_core::transform;\n";
        let files = [
            ("crates/grad-ndarray/src/a.rs", text),
            ("crates/grad-ndarray/src/argmin/a.rs", transforms),
            ("crates/grad-ndarray/src/b.rs", transforms),
            ("crates/grad-demo/src/a.rs", text),
        ];
        let expected = "\
crates/grad-ndarray/src/a.rs:3: a backend imports `grad_core::extend` only
crates/grad-ndarray/src/b.rs:1: a backend imports `grad_core::extend` only
";
        assert_eq!(findings(backends_import_extend_only, &files), expected);
    }

    const OPS: &str = r#"
impl Elementwise for Add {
    const NAME: &'static str = "add";
    fn format(&self) -> String { infix("+", x) }
}
impl Op<f64> for Extremum {
    fn name(&self) -> &'static str {
        if self.largest { "max" } else { "min" }
    }
}
macro_rules! comparison {
    ($name:ident, $text:literal) => {
        impl Step for $name {
            const NAME: &'static str = $text;
        }
    };
}
comparison!(Lt, "lt", "<");
comparison! { Ge, "ge", ">=" }
macro_rules! functions {
    ($($function:ident $name:ident $formula:literal;)*) => {$(
        impl Elementwise for $function {
            const NAME: &'static str = stringify!($name);
        }
    )*};
}
functions! {
    Sin sin "cos x" x, c => c * x.cos();
    // A comment, "and more".
    Tan  tan  "1 + y²" y, c => c * y;
}
impl<'t, T: TensorLike> Var<'t, T> {
    fn f() { "not an operation" }
}
"#;

    const LISTED: &str = "\
add { \"before the table\" }
table! { $
    max {
    }
    lt { .. }
    sin { .. }
    rerun { .. }
    gone { .. }
}
";

    #[test]
    fn an_operation_outside_of_the_catalogue_is_found() {
        let files = [
            ("crates/grad-core/src/ops/a.rs", OPS),
            ("crates/grad-core/src/transform/b.rs", "pub fn rerun() {}"),
            (catalogue::PATH, LISTED),
        ];
        let expected = "\
crates/grad-conformance/src/catalogue.rs: the operation \"gone\" is nowhere in crates/grad-core/src/ops/
crates/grad-core/src/ops/a.rs:2: the operation \"add\" is not in crates/grad-conformance/src/catalogue.rs
crates/grad-core/src/ops/a.rs:6: the operation \"min\" is not in crates/grad-conformance/src/catalogue.rs
crates/grad-core/src/ops/a.rs:19: the operation \"ge\" is not in crates/grad-conformance/src/catalogue.rs
crates/grad-core/src/ops/a.rs:30: the operation \"tan\" is not in crates/grad-conformance/src/catalogue.rs
";
        assert_eq!(findings(operations_are_in_the_catalogue, &files), expected);
    }

    #[test]
    fn a_missing_catalogue_is_found() {
        let expected = format!("{}: there is no catalogue of the operations\n", catalogue::PATH);
        assert_eq!(findings(operations_are_in_the_catalogue, &[]), expected);
    }
}
