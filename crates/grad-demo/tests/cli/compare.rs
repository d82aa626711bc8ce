//! `grad-demo compare` as a user sees it. (What it does where the backends differ is tested beside
//! its code, for on this program they do not.)

use crate::printed;

#[test]
fn the_backends_agree_within_the_default_tolerances() {
    for arguments in ["compare", "compare --dtype f64", "compare --dtype f32"] {
        let table = printed(arguments);
        assert!(table.lines().last().is_some_and(|line| line.starts_with("largest difference: ")));
    }
}

#[test]
fn the_backends_agree_to_the_last_bit_in_f64() {
    // The program is sums of four numbers and products: no backend has a reason to round otherwise.
    let table = printed("compare --tolerance 0");
    assert!(table.ends_with("\nlargest difference: 0\n"), "{table}");
}

#[test]
fn every_value_and_derivative_of_the_trace_has_a_row() {
    let label = |line: &str| line.split(" = ").next().map(|label| label.trim().to_string());
    let table = printed("compare");
    let mut rows: Vec<_> = table.lines().filter(|line| line.contains(" = ")).map(label).collect();
    // Seeds have no line in the text, and the last two lines of the text are not the trace's.
    rows.retain(|row| !matches!(row.as_deref(), Some("v2" | "v10")));
    let text = printed("");
    let mut lines: Vec<_> = text.lines().filter(|line| line.contains(" = ")).map(label).collect();
    lines.truncate(lines.len() - 2);
    assert_eq!(rows, lines);
}

#[test]
fn the_differences_stand_in_one_column() {
    let table = printed("compare");
    let mut rows: Vec<&str> = table.lines().collect();
    rows.pop();
    assert!(rows.windows(2).all(|pair| pair[0].len() == pair[1].len()), "{table}");
}
