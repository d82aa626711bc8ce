//! `grad-demo solve` as a user sees it. (What the problems come to is tested beside their code.)

use crate::{Ran, printed, run};

/// The names of the problems as `--list` gives them.
fn names() -> Vec<String> {
    let first_word = |line: &str| line.split_whitespace().next().map(String::from);
    printed("solve --list").lines().filter_map(first_word).collect()
}

#[test]
fn the_list_has_a_line_for_each_problem() {
    let list = printed("solve --list");
    let expected = [
        "black-scholes",
        "burgers",
        "double-pendulum",
        "hamiltonian",
        "maml",
        "molecule",
        "poisson",
        "wgan",
    ];
    assert_eq!(names(), expected);
    // The summaries stand in one column.
    let column = expected.map(str::len).into_iter().max().unwrap_or(0) + 2;
    for line in list.lines() {
        let (name, summary) = line.split_at(column);
        assert!(name.ends_with("  ") && !summary.starts_with(' '), "{line}");
    }
}

#[test]
fn an_unknown_problem_is_answered_with_the_known_ones() {
    let possible = names().join(", ");
    let sentence =
        |name| format!("invalid value '{name}' for '[NAME]' [possible values: {possible}]");
    let refused = |sentence: String| Ran {
        code: Some(2),
        stdout: String::new(),
        stderr: format!("error: {sentence}\n"),
    };
    assert_eq!(run("solve navier-stokes"), refused(sentence("navier-stokes")));
    let tip = "; tip: a similar value exists: 'poisson'";
    assert_eq!(run("solve poison"), refused(sentence("poison") + tip));
}

#[test]
fn one_problem_or_the_list_has_to_be_asked_for() {
    let cases = [
        ("solve", "the following required arguments were not provided: <NAME>"),
        ("solve poisson burgers", "unexpected argument 'burgers' found"),
        (
            "solve poisson --list",
            "the argument '--list' cannot be used with one or more of the other specified \
             arguments",
        ),
        (
            "solve poisson --device cuda:0",
            "the ndarray backend computes on the cpu, not on cuda:0; use --backend candle",
        ),
    ];
    for (arguments, sentence) in cases {
        let stderr = format!("error: {sentence}\n");
        assert_eq!(run(arguments), Ran { code: Some(2), stdout: String::new(), stderr });
    }
}

#[test]
fn a_table_has_a_title_and_rows_whose_numbers_end_in_one_column() {
    // The pipe of the standard error sees no progress bar: `printed` wants it empty.
    for backend in ["ndarray", "candle"] {
        for dtype in ["f32", "f64"] {
            let table =
                printed(&format!("solve black-scholes --backend {backend} --dtype {dtype}"));
            let mut lines = table.lines();
            assert!(lines.next().is_some_and(|title| !title.starts_with(' ')), "{table}");
            let numbers: Vec<&str> =
                lines.map(|row| row.split("  below").next().unwrap_or(row)).collect();
            let width = |row: &&str| row.chars().count();
            assert!(numbers.windows(2).all(|pair| width(&pair[0]) == width(&pair[1])), "{table}");
            assert!(numbers.iter().all(|row| row.starts_with("  ")), "{table}");
            assert!(table.contains(": yes\n") && !table.contains(": NO"), "{table}");
        }
    }
}

#[test]
fn a_problem_has_the_same_numbers_each_time() {
    let solved = || printed("solve poisson --backend candle --dtype f32");
    assert_eq!(solved(), solved());
}
