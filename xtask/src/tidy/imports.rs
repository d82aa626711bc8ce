//! Who imports whom in the programs.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::source::{Source, identifier, words};
use super::{Files, Finding};
use crate::workspace::PROGRAMS;

const DEMO: &str = "crates/grad-demo/src/";

/// The module of the command line as a whole. What it imports is a command.
const CLI: &str = "cli";

/// No two modules of a program import each other, nor do several in a circle. A module that
/// declares another stands on it, so what is declared imports nothing of who declares it.
pub(super) fn programs_have_no_import_circles(files: &Files) -> Vec<Finding> {
    let mut findings = Vec::new();
    for program in PROGRAMS {
        let directory = format!("crates/{program}/src/");
        let modules = Modules::of(files, &directory);
        for module in modules.by_name.values() {
            for (at, target) in &module.imports {
                let Some(way) = modules.way(target, &module.name) else { continue };
                let circle: Vec<String> =
                    [&module.name].into_iter().chain(way).map(shown).collect();
                let message =
                    format!("imports `{}`, a circle: {}", shown(target), circle.join(" → "));
                findings.push(Finding::new(module.path, module.source.line(*at), message));
            }
        }
    }
    findings
}

/// What commands share imports no command, and no command imports another.
pub(super) fn only_cli_imports_commands(files: &Files) -> Vec<Finding> {
    let modules = Modules::of(files, DEMO);
    let first = |name: &Name| name.first().cloned();
    let of_cli = modules.by_name.get(&vec![CLI.to_string()]);
    let imports = of_cli.iter().flat_map(|module| &module.imports);
    let commands: BTreeSet<String> = imports.filter_map(|(_, target)| first(target)).collect();
    let mut findings = Vec::new();
    for module in modules.by_name.values() {
        let own = first(&module.name);
        if own.as_deref() == Some(CLI) {
            continue;
        }
        for (at, target) in &module.imports {
            let is_other = first(target) != own;
            if let Some(command) = first(target).filter(|name| is_other && commands.contains(name))
            {
                let message =
                    format!("imports `crate::{command}`, a command, which only `{CLI}` may");
                findings.push(Finding::new(module.path, module.source.line(*at), message));
            }
        }
    }
    findings
}

/// The name of a module in its crate; that of the crate's root is empty.
type Name = Vec<String>;

struct Module<'a> {
    name: Name,
    path: &'a str,
    source: &'a Source,
    /// The other modules that it imports from, with the place of the first import.
    imports: Vec<(usize, Name)>,
}

/// The modules of a crate, a file each.
struct Modules<'a> {
    by_name: BTreeMap<Name, Module<'a>>,
}

impl<'a> Modules<'a> {
    fn of(files: &'a Files, directory: &'a str) -> Self {
        let mut by_name = BTreeMap::new();
        for (path, source) in files.below(directory, ".rs") {
            // A program of the crate sees its library from outside.
            if &path[directory.len()..] != "main.rs" {
                let name = name(&path[directory.len()..]);
                by_name.insert(name.clone(), Module { name, path, source, imports: Vec::new() });
            }
        }
        let names: BTreeSet<Name> = by_name.keys().cloned().collect();
        for module in by_name.values_mut() {
            let code = module.source.library();
            for (at, path) in paths(code) {
                let target = resolved(&names, &module.name, inline_modules_around(code, at), &path);
                let is_known = module.imports.iter().any(|(_, known)| *known == target);
                if target != module.name && !is_known {
                    module.imports.push((at, target));
                }
            }
        }
        Modules { by_name }
    }

    /// The modules on the shortest way along imports and declarations, with both ends.
    fn way(&self, from: &'a Name, to: &'a Name) -> Option<Vec<&Name>> {
        let mut before: BTreeMap<&Name, Option<&Name>> = BTreeMap::from([(from, None)]);
        let mut open = VecDeque::from([from]);
        while let Some(here) = open.pop_front() {
            if here == to {
                let mut way: Vec<&Name> = Vec::new();
                let mut at = Some(here);
                while let Some(name) = at {
                    way.push(name);
                    at = before.get(name).copied().flatten();
                }
                way.reverse();
                return Some(way);
            }
            for next in self.stands_on(here) {
                before.entry(next).or_insert_with(|| {
                    open.push_back(next);
                    Some(here)
                });
            }
        }
        None
    }

    fn stands_on(&self, name: &Name) -> Vec<&Name> {
        let declared = self
            .by_name
            .keys()
            .filter(|child| child.split_last().is_some_and(|(_, parent)| parent == name));
        let imported = self.by_name.get(name).into_iter().flat_map(|module| &module.imports);
        declared.chain(imported.map(|(_, target)| target)).collect()
    }
}

/// The name of the module in a file, whose path is that below `src/`.
fn name(path: &str) -> Name {
    let path = path.trim_end_matches(".rs").trim_end_matches("/mod");
    path.split('/').filter(|part| *part != "lib").map(str::to_string).collect()
}

fn shown(name: &Name) -> String {
    match &name[..] {
        [] => "crate".to_string(),
        parts => parts.join("::"),
    }
}

/// The module that a path of `crate`, `super` or `self` leads into, from a module or from some
/// modules inside its file.
fn resolved(names: &BTreeSet<Name>, from: &Name, n_inline: usize, path: &[&str]) -> Name {
    let is_head = |part: &&&str| ["crate", "super", "self"].contains(*part);
    let n_super = path.iter().filter(|part| **part == "super").count();
    let mut module = from.clone();
    module.truncate(match path.first() {
        Some(&"crate") => 0,
        _ => from.len().saturating_sub(n_super.saturating_sub(n_inline)),
    });
    for part in path.iter().skip_while(is_head) {
        module.push(part.to_string());
        if !names.contains(&module) {
            module.pop();
            break;
        }
    }
    module
}

/// The paths that begin with `crate`, `super` or `self`, those of groups one by one, with their
/// places.
fn paths(code: &str) -> Vec<(usize, Vec<&str>)> {
    let mut paths = Vec::new();
    for head in ["crate::", "super::", "self::"] {
        for at in words(code, head).filter(|&at| !code[..at].ends_with("::")) {
            paths_from(code, at, Vec::new(), &mut paths);
        }
    }
    paths
}

/// Adds the paths of the tree that begins at a place, each after a prefix; the place behind it.
fn paths_from<'a>(
    code: &'a str,
    start: usize,
    mut prefix: Vec<&'a str>,
    paths: &mut Vec<(usize, Vec<&'a str>)>,
) -> usize {
    let space = |at: usize| at + code[at..].len() - code[at..].trim_start().len();
    let mut at = start;
    loop {
        let part = identifier(&code[at..]);
        at += part.len();
        if part.is_empty() {
            break;
        }
        prefix.push(part);
        match code[at..].strip_prefix("::") {
            Some(_) => at += "::".len(),
            None => break,
        }
    }
    if !code[at..].starts_with('{') {
        paths.push((start, prefix));
        return at;
    }
    at = space(at + 1);
    while !code[at..].is_empty() && !code[at..].starts_with('}') {
        at = paths_from(code, at, prefix.clone(), paths);
        // `as name`, `*`, or the comma.
        at += code[at..].find([',', '}']).unwrap_or(code[at..].len());
        at = if code[at..].starts_with(',') { space(at + 1) } else { at };
    }
    (at + 1).min(code.len())
}

/// How many modules that are written out in their file are around a place.
fn inline_modules_around(code: &str, at: usize) -> usize {
    let is_around = |&start: &usize| {
        let head = code[start..].find(['{', ';']).map(|end| start + end);
        let Some(open) = head.filter(|&end| code[end..].starts_with('{')) else { return false };
        let mut depth = 0_usize;
        for (offset, x) in code[open..].char_indices() {
            match x {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return (open..open + offset).contains(&at);
            }
        }
        false
    };
    words(&code[..at], "mod").filter(is_around).count()
}

#[cfg(test)]
mod tests {
    use super::super::testing::findings;
    use super::*;

    #[test]
    fn modules_that_import_each_other_are_found() {
        let files = [
            ("crates/grad-demo/src/lib.rs", "mod args;\nmod solve;\nfn say() {}\n"),
            (
                "crates/grad-demo/src/args.rs",
                "use crate::solve::{\n    PROBLEMS,\n    report::Report as R,\n};\n",
            ),
            ("crates/grad-demo/src/solve/mod.rs", "mod report;\nuse crate::args::Args;\n"),
            (
                "crates/grad-demo/src/solve/report.rs",
                "use super::super::say;\n#[cfg(test)]\nmod tests { use super::super::*; }\n",
            ),
            ("crates/grad-demo/src/main.rs", "fn main() { grad_demo::main() }\n"),
        ];
        let expected = "\
crates/grad-demo/src/args.rs:2: imports `solve`, a circle: args → solve → args
crates/grad-demo/src/args.rs:3: imports `solve::report`, a circle: args → solve::report → crate → args
crates/grad-demo/src/solve/mod.rs:2: imports `args`, a circle: solve → args → solve
crates/grad-demo/src/solve/report.rs:1: imports `crate`, a circle: solve::report → crate → args → solve::report
";
        assert_eq!(findings(programs_have_no_import_circles, &files), expected);
    }

    #[test]
    fn siblings_and_modules_inside_a_file_are_no_circle() {
        let files = [
            ("crates/grad-bench/src/lib.rs", "mod a;\nmod b;\n"),
            (
                "crates/grad-bench/src/a.rs",
                "use self::inner::f;\nmod inner {\n    use super::{super::b::Y, X};\n}\n",
            ),
            ("crates/grad-bench/src/b.rs", "pub struct Y;\n"),
        ];
        assert_eq!(findings(programs_have_no_import_circles, &files), "");
    }

    #[test]
    fn a_command_that_others_import_is_found() {
        let files = [
            ("crates/grad-demo/src/cli.rs", "use crate::{solve::{self, SolveArgs}, train};\n"),
            ("crates/grad-demo/src/adam.rs", "use crate::train::Step;\n"),
            ("crates/grad-demo/src/solve/mod.rs", "use crate::adam::Step;\nuse crate::train;\n"),
            ("crates/grad-demo/src/train/mod.rs", "use crate::train::fit::Fit;\n"),
            ("crates/grad-demo/src/train/fit.rs", "pub struct Fit;\n"),
        ];
        let expected = "\
crates/grad-demo/src/adam.rs:1: imports `crate::train`, a command, which only `cli` may
crates/grad-demo/src/solve/mod.rs:2: imports `crate::train`, a command, which only `cli` may
";
        assert_eq!(findings(only_cli_imports_commands, &files), expected);
    }
}
