//! The catalogue of grad-conformance as text: the one list of the operations.
//!
//! Its table begins with a line `table! { $`, and ends with a `}` that stands first in its line. A
//! block `name { domain |x, y| call => shapes; .. }` in it, or `name: optional { .. }`, is an
//! operation.

/// The file.
pub(crate) const PATH: &str = "crates/grad-conformance/src/catalogue.rs";

/// The names of the operations.
pub(crate) fn operations(source: &str) -> impl Iterator<Item = &str> {
    table(source).filter_map(|line| Some(block(line)?.0))
}

/// The calls that are nothing but a function of their arguments, each with its name: what the
/// catalogue itself answers as `Line::name`.
pub(crate) fn functions(source: &str) -> Vec<(&str, &str)> {
    let mut operation = "";
    let mut functions: Vec<(&str, &str)> = Vec::new();
    for line in table(source) {
        let mut line = line.trim_start();
        if let Some((name, rest)) = block(line) {
            (operation, line) = (name, rest.trim_start());
        }
        if let Some((name, call)) = function(operation, line)
            && !functions.iter().any(|(known, _)| *known == name)
        {
            functions.push((name, call));
        }
    }
    functions
}

fn table(source: &str) -> impl Iterator<Item = &str> {
    let lines = source.lines().skip_while(|line| *line != "table! { $").skip(1);
    lines.take_while(|line| !line.starts_with('}'))
}

/// The name of the operation whose block begins in a line, and what stands behind the brace.
fn block(line: &str) -> Option<(&str, &str)> {
    let line = line.trim_start();
    let end = line.find(|x: char| !x.is_alphanumeric() && x != '_')?;
    let (name, rest) = line.split_at(end);
    let rest = rest.strip_prefix(": optional").unwrap_or(rest).strip_prefix(" {")?;
    Some((name.trim_end_matches('_'), rest))
}

/// The name and the call of a line `domain |x, y| call => shapes;`.
fn function<'a>(operation: &'a str, line: &'a str) -> Option<(&'a str, &'a str)> {
    let (domain, rest) = line.split_once(" |")?;
    let (arguments, rest) = rest.split_once("| ")?;
    let call = rest.split_once(" => ")?.0.trim_end();
    if domain == "_" {
        return None;
    }
    let (x, rest) = arguments.split_once(", ").unwrap_or((arguments, ""));
    let is_operator = match rest {
        "" => call == format!("-{x}"),
        y => ["+", "-", "*", "/"].iter().any(|sign| call == format!("{x} {sign} {y}")),
    };
    if is_operator {
        return Some((operation, call));
    }
    let (name, given) = call.strip_prefix(x)?.strip_prefix('.')?.split_once('(')?;
    (given == format!("{rest})")).then(|| (name.trim_end_matches('_'), call))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = r#"
    before { Real |x| x.before() => []; }
table! { $
    // Arithmetic.
    add {
        Real |x, y| x + y => [] [], [2, 2] [2];
        Real |x| x + x    => [];
        _ |p, x, y| { let z = p.x(); x + y * z };
    }
    neg { Real |x| -x => []; }
    atan2 { Real |y, x| y.atan2(x) => [] []; }
    where_ { Real |m, a, b| m.where_(a, b) => [] [] []; }
    pad: optional {
        Real |x| x.pad(&[], 2.0) => [];
        Real |x| x.flat()        => [];
        Real |_unused, x| x.none() => [] [];
    }
}
    after { Real |x| x.after() => []; }
"#;

    #[test]
    fn every_block_is_an_operation() {
        let expected = ["add", "neg", "atan2", "where", "pad"];
        assert_eq!(operations(SOURCE).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_function_of_its_arguments_alone_has_a_name() {
        let expected = [
            ("add", "x + y"),
            ("neg", "-x"),
            ("atan2", "y.atan2(x)"),
            ("where", "m.where_(a, b)"),
            ("flat", "x.flat()"),
        ];
        assert_eq!(functions(SOURCE), expected);
    }
}
