//! What the manifests must say.

use super::{Files, Finding};
use crate::workspace::{BACKENDS, LIBRARIES};

/// All that grad-core may depend on, so no array library, and next to nothing else.
const CORE_DEPENDENCIES: [&str; 3] = ["libm", "serde", "smallvec"];

/// What its tests may not depend on either.
const ARRAY_LIBRARIES: [&str; 6] =
    ["ndarray", "candle-core", "faer", "grad-linalg", "grad-ndarray", "grad-candle"];

pub(super) fn core_depends_on_no_array_library(files: &Files) -> Vec<Finding> {
    let path = manifest("grad-core");
    let mut findings = Vec::new();
    for entry in entries(text(files, &path)).filter(Entry::is_any_dependency) {
        let key = entry.key;
        let message = if entry.is_dependency() && !CORE_DEPENDENCIES.contains(&key) {
            format!("grad-core depends on `{key}`, but only on {}", CORE_DEPENDENCIES.join(", "))
        } else if ARRAY_LIBRARIES.contains(&key) {
            format!("grad-core knows `{key}`, which is an array library")
        } else {
            continue;
        };
        findings.push(Finding::new(&path, entry.line, message));
    }
    findings
}

/// No backend depends on another, in its tests neither: grad-demo is where they meet.
pub(super) fn backends_are_independent(files: &Files) -> Vec<Finding> {
    let mut findings = Vec::new();
    for backend in BACKENDS {
        let path = manifest(backend);
        for entry in entries(text(files, &path)).filter(Entry::is_any_dependency) {
            // Itself, with every feature, is what its tests depend on.
            if BACKENDS.contains(&entry.key) && entry.key != backend {
                let message = format!("{backend} depends on another backend, {}", entry.key);
                findings.push(Finding::new(&path, entry.line, message));
            }
        }
    }
    findings
}

/// Edition, version, license and lints are stated once, in the root.
pub(super) fn crates_share_the_settings(files: &Files) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, source) in files.below("", "Cargo.toml").filter(|(path, _)| *path != "Cargo.toml") {
        let has = |section: &str, key: &str| {
            entries(&source.text)
                .any(|entry| entry.section == section && entry.key == key && entry.value == "true")
        };
        for key in ["edition", "rust-version", "license"] {
            if !has("package", &format!("{key}.workspace")) {
                findings.push(Finding::new(path, 0, format!("no `{key}.workspace = true`")));
            }
        }
        if !has("lints", "workspace") {
            findings.push(Finding::new(path, 0, "no `[lints] workspace = true`"));
        }
    }
    for (key, value) in [("license", "\"BSD-3-Clause\""), ("edition", "\"2024\"")] {
        let mut all = entries(text(files, "Cargo.toml"));
        let is_there = |entry: Entry<'_>| {
            entry.section == "workspace.package" && entry.key == key && entry.value == value
        };
        if !all.any(is_there) {
            findings.push(Finding::new("Cargo.toml", 0, format!("no `{key} = {value}`")));
        }
    }
    findings
}

/// The library crates carry what a registry asks for.
pub(super) fn libraries_are_publishable(files: &Files) -> Vec<Finding> {
    let mut findings = Vec::new();
    for library in LIBRARIES {
        let path = manifest(library);
        let keys: Vec<_> = entries(text(files, &path))
            .filter(|entry| entry.section == "package")
            .map(|entry| entry.key.trim_end_matches(".workspace"))
            .collect();
        for key in ["description", "readme", "keywords", "categories", "repository", "authors"] {
            if !keys.contains(&key) {
                findings.push(Finding::new(&path, 0, format!("no `{key}` in [package]")));
            }
        }
    }
    findings
}

/// A `key = value` of a manifest.
struct Entry<'a> {
    line: usize,
    section: &'a str,
    key: &'a str,
    value: &'a str,
}

impl Entry<'_> {
    /// A dependency of the library itself.
    fn is_dependency(&self) -> bool {
        self.section.ends_with("dependencies")
            && !self.section.ends_with("dev-dependencies")
            && !self.section.ends_with("build-dependencies")
    }

    /// A dependency of the library, its tests or its build script.
    fn is_any_dependency(&self) -> bool {
        self.section.ends_with("dependencies")
    }
}

fn manifest(name: &str) -> String {
    format!("crates/{name}/Cargo.toml")
}

fn text<'a>(files: &'a Files, path: &str) -> &'a str {
    files.get(path).map_or("", |source| &source.text)
}

/// The entries of a manifest in our style: one on a line. `[dependencies.x]` counts as the entry
/// `x` of `[dependencies]`, and so does `x.workspace = true`.
fn entries(text: &str) -> impl Iterator<Item = Entry<'_>> {
    let mut section = "";
    text.lines().enumerate().filter_map(move |(at, line)| {
        let line = line.split('#').next().unwrap_or("").trim();
        if let Some(header) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = header;
            let (before, key) = header.rsplit_once('.')?;
            let is_table = before.ends_with("dependencies");
            return is_table.then_some(Entry { line: at + 1, section: before, key, value: "" });
        }
        let (key, value) = line.split_once('=')?;
        let key = key.trim();
        let key = match section.ends_with("dependencies") {
            true => key.trim_end_matches(".workspace"),
            false => key,
        };
        Some(Entry { line: at + 1, section, key, value: value.trim() })
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::findings;
    use super::*;

    #[test]
    fn an_array_library_in_core_is_found() {
        let text = "\
[dependencies]
smallvec.workspace = true
ndarray.workspace = true
[dependencies.rand]
version = \"1\"
[dev-dependencies]
proptest.workspace = true
candle-core = \"0.11\"
[target.'cfg(unix)'.dependencies]
libc = \"0.2\"
";
        let expected = "\
crates/grad-core/Cargo.toml:3: grad-core depends on `ndarray`, but only on libm, serde, smallvec
crates/grad-core/Cargo.toml:4: grad-core depends on `rand`, but only on libm, serde, smallvec
crates/grad-core/Cargo.toml:8: grad-core knows `candle-core`, which is an array library
crates/grad-core/Cargo.toml:10: grad-core depends on `libc`, but only on libm, serde, smallvec
";
        let files = [("crates/grad-core/Cargo.toml", text)];
        // `version` below [dependencies.rand] is no dependency.
        assert_eq!(findings(core_depends_on_no_array_library, &files), expected);
    }

    #[test]
    fn a_backend_that_knows_another_is_found() {
        let files = [
            (
                "crates/grad-ndarray/Cargo.toml",
                "[dependencies]\ngrad-core.workspace = true\n\
                 [dev-dependencies]\ngrad-ndarray = { path = \".\" }\n",
            ),
            (
                "crates/grad-candle/Cargo.toml",
                "[dev-dependencies]\ngrad-ndarray.workspace = true\n",
            ),
        ];
        let expected = "crates/grad-candle/Cargo.toml:2: \
                        grad-candle depends on another backend, grad-ndarray\n";
        assert_eq!(findings(backends_are_independent, &files), expected);
    }

    #[test]
    fn settings_of_ones_own_are_found() {
        let root = "[workspace.package]\nlicense = \"BSD-3-Clause\"\nedition = \"2021\"\n";
        let own =
            "[package]\nedition = \"2021\"\nrust-version.workspace = true\nlicense = \"MIT\"\n";
        let expected = "\
Cargo.toml: no `edition = \"2024\"`
crates/a/Cargo.toml: no `[lints] workspace = true`
crates/a/Cargo.toml: no `edition.workspace = true`
crates/a/Cargo.toml: no `license.workspace = true`
";
        let files = [("Cargo.toml", root), ("crates/a/Cargo.toml", own)];
        assert_eq!(findings(crates_share_the_settings, &files), expected);
    }

    #[test]
    fn missing_metadata_is_found() {
        let whole = "[package]\ndescription = \"x\"\nreadme = \"README.md\"\nkeywords = []\n\
                     categories.workspace = true\nrepository.workspace = true\n\
                     authors.workspace = true\n";
        let files = [
            ("crates/grad-core/Cargo.toml", whole),
            ("crates/grad-conformance/Cargo.toml", whole),
            ("crates/grad-linalg/Cargo.toml", whole),
            ("crates/grad-ndarray/Cargo.toml", whole),
            ("crates/grad-candle/Cargo.toml", &whole.replace("readme", "read-me")),
        ];
        let expected = "crates/grad-candle/Cargo.toml: no `readme` in [package]\n";
        assert_eq!(findings(libraries_are_publishable, &files), expected);
    }
}
