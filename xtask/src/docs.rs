//! `cargo xtask docs [--check]`: the tables in the documents that are made from the sources.
//!
//! A table stands between two markers, `<!-- begin NAME -->` and `<!-- end NAME -->`; what is
//! around them is written by hand, and kept.

mod rules;
mod vocabulary;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::diff::diff;
use crate::workspace::root;

#[derive(Args)]
pub(crate) struct Options {
    /// Compare instead of writing; fail if a table is not up to date.
    #[arg(long)]
    check: bool,
}

impl Options {
    /// What CI asks for.
    pub(crate) const CHECK: Options = Options { check: true };
}

type Table = fn(&Path) -> Result<String>;

/// The documents, with the name of the table in each.
const TABLES: [(&str, &str, Table); 2] = [
    ("docs/derivation.md", "rules", rules::table),
    ("docs/vocabulary.md", "vocabulary", vocabulary::table),
];

pub(crate) fn run(options: &Options) -> Result<()> {
    let mut n_outdated = 0;
    for (path, name, table) in TABLES {
        let file = root().join(path);
        let old = fs::read_to_string(&file).with_context(|| format!("cannot read {path}"))?;
        let new = splice(&old, name, &table(&root())?).with_context(|| path.to_string())?;
        let difference = diff(&old, &new);
        if difference.is_empty() {
            println!("{path}: up to date");
        } else if options.check {
            n_outdated += 1;
            println!("{path}: not up to date (- as it is, + as it should be)\n{difference}");
        } else {
            fs::write(&file, new).with_context(|| format!("cannot write {path}"))?;
            println!("{path}: written");
        }
    }
    match n_outdated {
        0 => Ok(()),
        n => bail!("{n} of {} tables not up to date; run `cargo xtask docs`", TABLES.len()),
    }
}

/// The document with another text between the markers of `name`.
fn splice(document: &str, name: &str, table: &str) -> Result<String> {
    let (begin, end) = (format!("<!-- begin {name} -->\n"), format!("<!-- end {name} -->"));
    let Some((before, rest)) = document.split_once(&begin) else { bail!("no line `{begin}`") };
    let Some((_, after)) = rest.split_once(&end) else { bail!("no line `{end}` after it") };
    Ok(format!("{before}{begin}\n{}\n\n{end}{after}", table.trim()))
}

/// A line of a table in Markdown, where `|` would end a cell.
fn row(cells: &[&str]) -> String {
    let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
    format!("| {} |\n", cells.join(" | "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_replaces_what_is_between_its_markers() {
        let document = "a\n<!-- begin x -->\nold\n<!-- end x -->\nb\n";
        let expected = "a\n<!-- begin x -->\n\nnew\n\n<!-- end x -->\nb\n";
        assert_eq!(splice(document, "x", "new\n").unwrap_or_default(), expected);
        assert_eq!(splice(expected, "x", "new\n").unwrap_or_default(), expected);
        assert!(splice(document, "y", "new").is_err());
        assert!(splice("<!-- begin x -->\n", "x", "new").is_err());
    }

    #[test]
    fn a_bar_does_not_end_a_cell() {
        assert_eq!(row(&["|x|", "y"]), "| \\|x\\| | y |\n");
    }
}
