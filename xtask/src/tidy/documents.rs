//! What the documents must say.

use super::source::words;
use super::{CHECKS, Files, Finding};

const ARCHITECTURE: &str = "docs/architecture.md";

/// Every invariant of the architecture names what keeps it, and that exists.
///
/// The form is a line `**Invariant: …**`, and before the next one a line that begins with
/// ``Test: `path/to/file.rs::name` `` or ``Check: `tidy::name` ``; either may name several.
pub(super) fn invariants_name_their_test(files: &Files) -> Vec<Finding> {
    let Some(document) = files.get(ARCHITECTURE) else {
        return vec![Finding::new(ARCHITECTURE, 0, "the architecture is not described")];
    };
    let mut findings = Vec::new();
    let mut open = None;
    let mut n_invariants = 0;
    let unnamed = |line| Finding::new(ARCHITECTURE, line, "no test or check of the invariant");
    for (at, line) in document.text.lines().enumerate() {
        let line = line.trim_start_matches(['-', '*', ' ']);
        if line.starts_with("Invariant: ") {
            findings.extend(open.replace(at + 1).map(unnamed));
            n_invariants += 1;
        }
        if line.starts_with("Test: ") || line.starts_with("Check: ") {
            open = None;
            let names = line.split('`').skip(1).step_by(2);
            let missing = names.filter(|name| !exists(files, name));
            findings.extend(missing.map(|name| {
                Finding::new(ARCHITECTURE, at + 1, format!("`{name}` does not exist"))
            }));
        }
    }
    findings.extend(open.map(unnamed));
    if n_invariants == 0 {
        findings.push(Finding::new(ARCHITECTURE, 0, "no line begins with `**Invariant: `"));
    }
    findings
}

/// Whether there is a check `tidy::name`, a test `path::name`, or a file `path`.
fn exists(files: &Files, name: &str) -> bool {
    if let Some(check) = name.strip_prefix("tidy::") {
        return CHECKS.iter().any(|(name, _)| *name == check);
    }
    let (path, test) = name.split_once("::").unwrap_or((name, ""));
    // A path inside the file, `tests::name`, ends with the name of the function.
    let test = test.rsplit("::").next().unwrap_or(test);
    let function = format!("fn {test}");
    files
        .get(path)
        .is_some_and(|source| test.is_empty() || words(source.code(), &function).next().is_some())
}

/// There is a place for the next change.
pub(super) fn changelog_has_unreleased(files: &Files) -> Vec<Finding> {
    let path = "CHANGELOG.md";
    match files.get(path) {
        Some(log) if log.text.lines().any(|line| line == "## [Unreleased]") => Vec::new(),
        _ => vec![Finding::new(path, 0, "no section `## [Unreleased]`")],
    }
}

/// The license is the three-clause BSD license, with the line of the original beside ours.
pub(super) fn license_names_both_holders(files: &Files) -> Vec<Finding> {
    let text = files.get("LICENSE").map_or("", |source| &source.text);
    let lines = [
        "BSD 3-Clause License",
        "Copyright (c) 2023, Matías Battocchia",
        "The simple-grad developers",
        "Neither the name of the copyright holder",
    ];
    let missing = lines.iter().filter(|line| !text.contains(**line));
    missing.map(|line| Finding::new("LICENSE", 0, format!("no line has \"{line}\""))).collect()
}

/// The commands that the README promises are those that are checked.
pub(super) fn readme_commands_are_run(files: &Files) -> Vec<Finding> {
    let promised = [
        ("README.md", "cargo run -p grad-demo"),
        ("README.md", "cargo test --workspace"),
        ("CONTRIBUTING.md", "cargo xtask ci"),
        (".ci/run", "cargo test --workspace"),
        (".ci/run", "cargo xtask ci"),
    ];
    let has = |path, command| files.get(path).is_some_and(|source| source.text.contains(command));
    let missing = promised.iter().filter(|(path, command)| !has(path, command));
    missing
        .map(|(path, command)| Finding::new(path, 0, format!("does not say `{command}`")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::findings;
    use super::*;

    #[test]
    fn an_invariant_without_its_test_is_found() {
        let text = "\
**Invariant: nothing recurses.**
Test: `crates/a/tests/scale.rs::a_long_chain_drops`

- **Invariant: rules are formulas.**
  Check: `tidy::rooms_import_downward`, `tidy::nothing_of_the_kind`

**Invariant: names are labels.**
Text about it.

**Invariant: the tape is left alone.**
Test: `crates/a/tests/scale.rs::no_such_test`, `crates/a/tests/ui/clear.rs`,
";
        let files = [
            (ARCHITECTURE, text),
            ("crates/a/tests/scale.rs", "#[test]\nfn a_long_chain_drops() {}\n"),
            ("crates/a/tests/ui/clear.rs", "fn main() {}"),
        ];
        let expected = "\
docs/architecture.md:5: `tidy::nothing_of_the_kind` does not exist
docs/architecture.md:7: no test or check of the invariant
docs/architecture.md:11: `crates/a/tests/scale.rs::no_such_test` does not exist
";
        assert_eq!(findings(invariants_name_their_test, &files), expected);
    }

    #[test]
    fn a_missing_architecture_is_found() {
        let expected = "docs/architecture.md: the architecture is not described\n";
        assert_eq!(findings(invariants_name_their_test, &[]), expected);
        let expected = "docs/architecture.md: no line begins with `**Invariant: `\n";
        assert_eq!(findings(invariants_name_their_test, &[(ARCHITECTURE, "# X\n")]), expected);
    }

    #[test]
    fn a_changelog_without_unreleased_is_found() {
        let expected = "CHANGELOG.md: no section `## [Unreleased]`\n";
        assert_eq!(findings(changelog_has_unreleased, &[("CHANGELOG.md", "# Log\n")]), expected);
        let files = [("CHANGELOG.md", "# Log\n\n## [Unreleased]\n")];
        assert_eq!(findings(changelog_has_unreleased, &files), "");
    }

    #[test]
    fn a_license_without_the_original_line_is_found() {
        let text = "BSD 3-Clause License\nCopyright (c) 2026, The simple-grad developers\n\
                    Neither the name of the copyright holder nor\n";
        let expected = "LICENSE: no line has \"Copyright (c) 2023, Matías Battocchia\"\n";
        assert_eq!(findings(license_names_both_holders, &[("LICENSE", text)]), expected);
    }

    #[test]
    fn a_promised_command_that_is_not_run_is_found() {
        let files = [
            ("README.md", "cargo run -p grad-demo\ncargo test --workspace\n"),
            ("CONTRIBUTING.md", "cargo xtask ci"),
            (".ci/run", "cargo test\ncargo xtask ci\n"),
        ];
        let expected = ".ci/run: does not say `cargo test --workspace`\n";
        assert_eq!(findings(readme_commands_are_run, &files), expected);
    }
}
