//! What came out of a problem: a short table, and whether it is good enough.

use std::fmt;

/// A table of results, some of which must be below a limit.
#[derive(Debug)]
pub(crate) struct Report {
    title: String,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    label: String,
    value: f64,
    /// What follows the number: a unit, or nothing.
    unit: &'static str,
    /// The result must be below it.
    limit: Option<f64>,
}

impl Row {
    /// NaN is not below any limit.
    fn passed(&self) -> bool {
        self.limit.is_none_or(|limit| self.value < limit)
    }
}

impl Report {
    /// A table without rows.
    pub(crate) fn new(title: impl Into<String>) -> Self {
        Report { title: title.into(), rows: Vec::new() }
    }

    /// With a result that is only shown; the unit may be empty.
    pub(crate) fn row(mut self, label: impl Into<String>, value: f64, unit: &'static str) -> Self {
        self.rows.push(Row { label: label.into(), value, unit, limit: None });
        self
    }

    /// With a result that must be below `limit`.
    pub(crate) fn check(mut self, label: impl Into<String>, got: f64, limit: f64) -> Self {
        self.rows.push(Row { label: label.into(), value: got, unit: "", limit: Some(limit) });
        self
    }

    /// True if every result that has a limit is below it.
    #[cfg(test)]
    pub(crate) fn passed(&self) -> bool {
        self.rows.iter().all(Row::passed)
    }

    /// What is wrong with the first result that is not good enough.
    pub(crate) fn complaint(&self) -> Option<String> {
        let Row { label, value, limit, .. } = self.rows.iter().find(|row| !row.passed())?;
        let limit = number(limit.unwrap_or(f64::NAN));
        Some(format!("{label} is {}, which is not below {limit}", number(*value)))
    }
}

impl fmt::Display for Report {
    /// The title, and a row a line: labels to the left, numbers to the right.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.title)?;
        let values: Vec<String> = self.rows.iter().map(|row| number(row.value)).collect();
        let label = self.rows.iter().map(|row| row.label.chars().count()).max().unwrap_or(0);
        let value = values.iter().map(|text| text.chars().count()).max().unwrap_or(0);
        for (row, text) in self.rows.iter().zip(&values) {
            let verdict = match row.limit {
                Some(limit) if row.passed() => format!("  below {}: yes", number(limit)),
                Some(limit) => format!("  below {}: NO", number(limit)),
                None if row.unit.is_empty() => String::new(),
                None => format!(" {}", row.unit),
            };
            writeln!(f, "  {:<label$}  {text:>value$}{verdict}", row.label)?;
        }
        Ok(())
    }
}

/// The largest of errors, which are not negative; NaN if one is, unlike by `f64::max`.
pub(crate) fn largest(errors: impl IntoIterator<Item = f64>) -> f64 {
    let worse = |x: f64, y: f64| if x.is_nan() || x > y { x } else { y };
    errors.into_iter().fold(0.0, worse)
}

/// Four digits, as a reader would write them.
fn number(x: f64) -> String {
    match x.abs() {
        size if size == 0.0 || (x.fract() == 0.0 && size < 1e6) => format!("{x}"),
        size if (0.1..1e6).contains(&size) => format!("{x:.4}"),
        _ => format!("{x:.1e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_aligned() {
        let report = Report::new("A title")
            .row("steps", 1500.0, "")
            .row("time", 0.25, "s")
            .check("relative error", 3.21e-3, 1e-2)
            .check("drift", 2.0, 1.0);
        let expected = "\
A title
  steps             1500
  time            0.2500 s
  relative error  3.2e-3  below 1.0e-2: yes
  drift                2  below 1: NO
";
        assert_eq!(report.to_string(), expected);
    }

    #[test]
    fn what_is_not_below_its_limit_fails() {
        assert!(Report::new("").row("x", f64::NAN, "").check("y", 0.9, 1.0).passed());
        for bad in [1.0, 2.0, f64::INFINITY, f64::NAN] {
            assert!(!Report::new("").check("y", 0.0, 1.0).check("x", bad, 1.0).passed(), "{bad}");
        }
    }

    #[test]
    fn an_error_that_is_no_number_is_the_largest() {
        assert_eq!(largest([0.5, 2.0, 1.0]), 2.0);
        assert!(largest([0.5, f64::NAN, 1.0]).is_nan());
    }

    #[test]
    fn the_first_that_fails_is_named() {
        let report = Report::new("").check("a", 0.0, 1.0).check("b", 2.0, 1.0).check("c", 3.0, 1.0);
        assert_eq!(report.complaint().as_deref(), Some("b is 2, which is not below 1"));
        assert_eq!(Report::new("").check("a", 0.0, 1.0).complaint(), None);
    }
}
