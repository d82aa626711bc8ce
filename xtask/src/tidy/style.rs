//! What holds for each file by itself.

use super::source::words;
use super::{Files, Finding};
use crate::workspace::PROGRAMS;

/// Every Rust file begins with `//!`, a sentence of purpose, or with its README. The programs in `tests/ui` are what a
/// user would write, and are left as such.
pub(super) fn files_begin_with_their_purpose(files: &Files) -> Vec<Finding> {
    let rust = files.below("", ".rs").filter(|(path, _)| !path.contains("/tests/ui/"));
    let purposes = ["//! ", "#![doc = include_str!(\"../README.md\")]\n"];
    rust.filter(|(_, source)| !purposes.iter().any(|purpose| source.text.starts_with(purpose)))
        .map(|(path, _)| Finding::new(path, 1, "a file begins with `//!` and its purpose"))
        .collect()
}

/// What panics, or prints, by the word. `debug_assert!` is another word than `assert!`.
const PANICS: [(&str, &str); 15] = [
    (".unwrap()", "give an error back, or `expect` with the invariant in words"),
    (".unwrap_err()", "give an error back"),
    (".expect_err(", "give an error back"),
    ("panic!", "give an error back"),
    ("todo!", "write it"),
    ("unimplemented!", "write it, or give `Unsupported` back"),
    ("unreachable!", "`expect` the invariant in words, where it is ours"),
    ("assert!", "give an error back, or `debug_assert!`"),
    ("assert_eq!", "give an error back, or `debug_assert_eq!`"),
    ("assert_ne!", "give an error back, or `debug_assert_ne!`"),
    ("dbg!", "a library does not print"),
    ("print!", "a library does not print"),
    ("println!", "a library does not print"),
    ("eprint!", "a library does not print"),
    ("eprintln!", "a library does not print"),
];

/// What is for tests may assert; the reference backend there is library code.
const SUITE: &str = "crates/grad-conformance/src/";

/// No `unwrap`, `panic!`, `println!` and the like in library code; `expect` only with a literal,
/// which states the invariant.
pub(super) fn libraries_do_not_panic(files: &Files) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, source) in files.below("crates/", ".rs") {
        let is_program = path.split('/').nth(1).is_some_and(|name| PROGRAMS.contains(&name));
        let is_library = path.contains("/src/") && !is_program;
        let is_suite = path.starts_with(SUITE) && !path.ends_with("/reference.rs");
        if !is_library || is_suite {
            continue;
        }
        let code = source.library();
        for (word, advice) in PANICS {
            findings.extend(words(code, word).map(|at| {
                Finding::new(path, source.line(at), format!("`{word}` in a library: {advice}"))
            }));
        }
        for at in words(code, ".expect(") {
            if !code[at + ".expect(".len()..].trim_start().starts_with('"') {
                let message = "`expect` in a library takes a literal that states the invariant";
                findings.push(Finding::new(path, source.line(at), message));
            }
        }
    }
    findings
}

/// `unsafe` is nowhere in grad-core, in its tests neither.
pub(super) fn core_has_no_unsafe(files: &Files) -> Vec<Finding> {
    let core = files.below("crates/grad-core/", ".rs");
    core.flat_map(|(path, source)| {
        let found = words(source.code(), "unsafe");
        found.map(move |at| Finding::new(path, source.line(at), "`unsafe` in grad-core"))
    })
    .collect()
}

/// No whitespace at the end of a line, and a newline at the end of a file.
pub(super) fn lines_end_cleanly(files: &Files) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, source) in files.below("", "") {
        for (at, line) in source.text.split('\n').enumerate() {
            if line.ends_with([' ', '\t', '\r']) {
                findings.push(Finding::new(path, at + 1, "whitespace at the end of the line"));
            }
        }
        if !source.text.is_empty() && !source.text.ends_with('\n') {
            findings.push(Finding::new(path, 0, "no newline at the end of the file"));
        }
    }
    findings
}

/// No absolute path of somebody's machine.
pub(super) fn paths_are_relative(files: &Files) -> Vec<Finding> {
    // Put together here, so that this file passes its own check.
    let homes = ["work", "root", "home", "Users"].map(|directory| format!("/{directory}/"));
    let mut findings = Vec::new();
    for (path, source) in files.below("", "") {
        for home in &homes {
            for (at, _) in source.text.match_indices(home) {
                let before = source.text[..at].chars().next_back();
                let is_inner = |x: char| x.is_alphanumeric() || "._-/~}".contains(x);
                if !before.is_some_and(is_inner) {
                    let message = format!("`{home}`: a path of one machine");
                    findings.push(Finding::new(path, source.line(at), message));
                }
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::testing::findings;
    use super::*;

    #[test]
    fn a_file_without_a_purpose_is_found() {
        let files = [
            ("crates/a/src/lib.rs", "//! Purpose.\n"),
            ("crates/a/src/b.rs", "use std::fmt;\n"),
            ("crates/a/tests/ui/c.rs", "fn main() {}\n"),
        ];
        let expected = "crates/a/src/b.rs:1: a file begins with `//!` and its purpose\n";
        assert_eq!(findings(files_begin_with_their_purpose, &files), expected);
    }

    #[test]
    fn panics_in_library_code_are_found() {
        let text = "\
//! Not `panic!` in a comment.
/// x.unwrap()
fn f() {
    x.unwrap();
    y.expect(&text);
    z.expect(\"the list has one element\");
    z.expect(
        \"the list has one element\",
    );
    debug_assert!(true, \"println!\");
    let u = v.unwrap_or(0);
    println!(\"{u}\");
}
#[cfg(test)]
mod tests {
    fn g() { panic!() }
}
";
        let expected = "\
crates/a/src/lib.rs:4: `.unwrap()` in a library: give an error back, or `expect` with the invariant in words
crates/a/src/lib.rs:5: `expect` in a library takes a literal that states the invariant
crates/a/src/lib.rs:12: `println!` in a library: a library does not print
";
        let files = [
            ("crates/a/src/lib.rs", text),
            ("crates/a/tests/b.rs", text),
            ("crates/grad-conformance/src/conformance.rs", text),
            ("crates/grad-demo/src/main.rs", text),
            ("xtask/src/main.rs", text),
        ];
        assert_eq!(findings(libraries_do_not_panic, &files), expected);
    }

    #[test]
    fn the_reference_backend_is_library_code() {
        let files = [("crates/grad-conformance/src/reference.rs", "fn f() { todo!() }")];
        let expected =
            "crates/grad-conformance/src/reference.rs:1: `todo!` in a library: write it\n";
        assert_eq!(findings(libraries_do_not_panic, &files), expected);
    }

    #[test]
    fn unsafe_in_core_is_found() {
        let files = [
            ("crates/grad-core/src/a.rs", "// unsafe\nunsafe {}\n"),
            ("crates/grad-core/src/lib.rs", "#![forbid(unsafe_code)]\n"),
            ("crates/grad-other/src/a.rs", "unsafe {}\n"),
        ];
        assert_eq!(
            findings(core_has_no_unsafe, &files),
            "crates/grad-core/src/a.rs:2: `unsafe` in grad-core\n"
        );
    }

    #[test]
    fn untidy_ends_are_found() {
        let files = [("a.md", "x \ny\t\nz\n"), ("b.md", "x"), ("c.md", "x\r\n"), ("d.md", "")];
        let expected = "\
a.md:1: whitespace at the end of the line
a.md:2: whitespace at the end of the line
b.md: no newline at the end of the file
c.md:1: whitespace at the end of the line
";
        assert_eq!(findings(lines_end_cleanly, &files), expected);
    }

    #[test]
    fn absolute_paths_are_found() {
        let text = ["cd /ho", "me/me\nhttps://x.org/ho", "me/a\n../wo", "rk/b\n"].concat();
        let expected = ["a.md:1: `/ho", "me/`: a path of one machine\n"].concat();
        assert_eq!(findings(paths_are_relative, &[("a.md", &text)]), expected);
    }
}
