//! The invariants that are about text, as checks of the sources.
//!
//! A check is a pure function from the files to its findings, named like the invariant it keeps,
//! and each has a test that shows it failing. `docs/architecture.md` refers to them by name.

mod documents;
mod imports;
mod layers;
mod manifests;
mod source;
mod style;

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::workspace::{output, root};
use source::Source;

/// The text files of the repository, by path.
#[derive(Default)]
struct Files {
    by_path: BTreeMap<String, Source>,
}

/// What is wrong, and where. Line 0 is the file as a whole.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    path: String,
    line: usize,
    message: String,
}

type Check = fn(&Files) -> Vec<Finding>;

/// Every check, with its name.
const CHECKS: &[(&str, Check)] = &[
    ("files_begin_with_their_purpose", style::files_begin_with_their_purpose),
    ("libraries_do_not_panic", style::libraries_do_not_panic),
    ("core_has_no_unsafe", style::core_has_no_unsafe),
    ("lines_end_cleanly", style::lines_end_cleanly),
    ("paths_are_relative", style::paths_are_relative),
    ("core_depends_on_no_array_library", manifests::core_depends_on_no_array_library),
    ("backends_are_independent", manifests::backends_are_independent),
    ("crates_share_the_settings", manifests::crates_share_the_settings),
    ("libraries_are_publishable", manifests::libraries_are_publishable),
    ("borrows_stay_in_the_tape", layers::borrows_stay_in_the_tape),
    ("rooms_import_downward", layers::rooms_import_downward),
    ("operations_see_no_tape_internals", layers::operations_see_no_tape_internals),
    ("rules_are_stated_once", layers::rules_are_stated_once),
    ("readers_use_the_public_face", layers::readers_use_the_public_face),
    ("backends_import_extend_only", layers::backends_import_extend_only),
    ("operations_are_in_the_catalogue", layers::operations_are_in_the_catalogue),
    ("programs_have_no_import_circles", imports::programs_have_no_import_circles),
    ("only_cli_imports_commands", imports::only_cli_imports_commands),
    ("invariants_name_their_test", documents::invariants_name_their_test),
    ("changelog_has_unreleased", documents::changelog_has_unreleased),
    ("license_names_both_holders", documents::license_names_both_holders),
    ("readme_commands_are_run", documents::readme_commands_are_run),
];

/// Runs every check and prints every finding.
pub(crate) fn run() -> Result<()> {
    let files = Files::tracked()?;
    let mut n_findings = 0;
    for (name, check) in CHECKS {
        let mut findings = check(&files);
        findings.sort();
        n_findings += findings.len();
        findings.iter().for_each(|finding| println!("{finding} (tidy::{name})"));
    }
    println!("{} checks of {} files", CHECKS.len(), files.by_path.len());
    match n_findings {
        0 => Ok(()),
        1 => bail!("1 finding"),
        n => bail!("{n} findings"),
    }
}

impl Files {
    /// The files that git tracks or would track.
    fn tracked() -> Result<Self> {
        let mut git = Command::new("git");
        git.args(["ls-files", "--cached", "--others", "--exclude-standard"]).current_dir(root());
        let mut by_path = BTreeMap::new();
        for path in output(&mut git)?.lines() {
            let full = root().join(path);
            if !full.is_file() {
                continue; // Deleted, but not in a commit yet.
            }
            let bytes = fs::read(&full).with_context(|| format!("cannot read {path}"))?;
            if let Ok(text) = String::from_utf8(bytes) {
                by_path.insert(path.to_string(), Source::new(text));
            }
        }
        Ok(Files { by_path })
    }

    fn get(&self, path: &str) -> Option<&Source> {
        self.by_path.get(path)
    }

    /// The files below a directory that end so.
    fn below<'a>(
        &'a self,
        directory: &'a str,
        end: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a Source)> {
        let files = self.by_path.iter().map(|(path, source)| (path.as_str(), source));
        files.filter(move |(path, _)| path.starts_with(directory) && path.ends_with(end))
    }

    #[cfg(test)]
    fn of(files: &[(&str, &str)]) -> Self {
        let sources =
            files.iter().map(|(path, text)| (path.to_string(), Source::new(text.to_string())));
        Files { by_path: sources.collect() }
    }
}

impl Finding {
    fn new(path: &str, line: usize, message: impl Into<String>) -> Self {
        Finding { path: path.to_string(), line, message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.message),
            line => write!(f, "{}:{line}: {}", self.path, self.message),
        }
    }
}

/// What the tests of the checks share.
#[cfg(test)]
mod testing {
    use super::{Check, Files};

    /// The findings as text, one a line.
    pub(super) fn findings(check: Check, files: &[(&str, &str)]) -> String {
        let mut findings = check(&Files::of(files));
        findings.sort();
        findings.iter().map(|finding| format!("{finding}\n")).collect()
    }
}
