//! The program on both backends: how far apart the values and derivatives are.

use std::fmt;
use std::process::ExitCode;

use clap::Args;
use grad_core::inspect::Trace;
use grad_core::{Tape, TensorLike};

use crate::backend::{self, Job};
use crate::output::{self, complain, exit_code};
use crate::place::{Backend, DType, Device, Numbers, Place};
use crate::program;

/// Compare what the program computes on the two backends.
///
/// Prints the largest difference of every value and derivative; exits with 1 if one is above the
/// tolerance.
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub(crate) struct CompareArgs {
    #[command(flatten)]
    numbers: Numbers,

    /// The largest difference to accept [default: 1e-12 for f64, 1e-5 for f32]
    #[arg(long, value_parser = tolerance, allow_negative_numbers = true)]
    tolerance: Option<f64>,
}

impl CompareArgs {
    /// The tolerance asked for, or the default of the dtype.
    fn tolerance(&self) -> f64 {
        self.tolerance.unwrap_or(match self.numbers.dtype {
            DType::F32 => 1e-5,
            DType::F64 => 1e-12,
        })
    }
}

/// A tolerance is a distance. With 0, only equal numbers pass.
fn tolerance(text: &str) -> Result<f64, &'static str> {
    match text.parse() {
        Ok(tolerance) if (0.0..f64::INFINITY).contains(&tolerance) => Ok(tolerance),
        _ => Err("expected a finite number, 0 or larger"),
    }
}

/// Compares the backends, prints the table, and says on the standard error if they differ.
///
/// # Errors
/// If there is no such device, or the output cannot be written.
pub(crate) fn run(args: &CompareArgs) -> anyhow::Result<ExitCode> {
    let Numbers { dtype, device } = args.numbers;
    let host = Place { backend: Backend::Ndarray, numbers: Numbers { dtype, device: Device::Cpu } };
    let other = Place { backend: Backend::Candle, numbers: Numbers { dtype, device } };
    let comparison = Comparison::new(backend::run(host, List)?, backend::run(other, List)?)?;
    output::print(&comparison.to_string())?;
    let complaint = comparison.complaint(args.tolerance());
    complaint.iter().for_each(|sentence| complain(sentence));
    Ok(exit_code(complaint.is_some()))
}

/// The program and all its values.
struct List;

impl Job for List {
    type Output = Vec<Entry>;

    fn run<T: TensorLike>(self, model: T) -> anyhow::Result<Vec<Entry>> {
        let tape = Tape::new();
        program::record(&tape, &model)?;
        let values: Result<Vec<_>, _> = tape.nodes().map(|node| node.var.to_host()).collect();
        Ok(entries(&tape.trace(), &values?))
    }
}

/// A value or derivative of the program.
struct Entry {
    label: String,
    /// What it is: an operation, a kind of leaf, or for a derivative the node that holds it.
    formula: String,
    value: Vec<f64>,
}

/// The nodes with their values in recording order, and after each sweep the derivatives it found:
/// in the order of the text.
fn entries(trace: &Trace, values: &[Vec<f64>]) -> Vec<Entry> {
    let mut entries = Vec::new();
    for (at, (node, value)) in trace.nodes.iter().zip(values).enumerate() {
        let is_leaf = node.inputs.is_empty();
        let formula = if is_leaf { node.op } else { node.expression.as_str() };
        entries.push(Entry {
            label: node.label.clone(),
            formula: formula.to_string(),
            value: value.clone(),
        });
        for found in trace
            .sweeps
            .iter()
            .filter(|sweep| sweep.end == at + 1)
            .flat_map(|sweep| &sweep.derivatives)
        {
            entries.push(Entry {
                label: found.label.clone(),
                formula: trace.nodes[found.derivative].label.clone(),
                value: values[found.derivative].clone(),
            });
        }
    }
    entries
}

/// What two runs of one program differ in.
struct Comparison {
    rows: Vec<Row>,
}

struct Row {
    label: String,
    formula: String,
    /// The largest over the elements.
    difference: f64,
}

impl Comparison {
    /// # Errors
    /// If the two did not record the same program.
    fn new(left: Vec<Entry>, right: Vec<Entry>) -> anyhow::Result<Self> {
        let name = |entry: &Entry| (entry.label.clone(), entry.formula.clone());
        if !left.iter().map(name).eq(right.iter().map(name)) {
            anyhow::bail!("the backends recorded different programs");
        }
        let row = |(left, right): (Entry, Entry)| Row {
            difference: difference(&left.value, &right.value),
            label: left.label,
            formula: left.formula,
        };
        Ok(Comparison { rows: left.into_iter().zip(right).map(row).collect() })
    }

    /// The first row with the largest difference.
    fn largest(&self) -> Option<&Row> {
        self.rows.iter().reduce(|largest, row| match row.difference > largest.difference {
            true => row,
            false => largest,
        })
    }

    /// What is wrong, if a difference is above the tolerance.
    fn complaint(&self, tolerance: f64) -> Option<String> {
        let Row { label, difference, .. } =
            self.largest().filter(|row| row.difference > tolerance)?;
        Some(format!(
            "the backends differ by {} in {label}, above the tolerance of {}",
            number(*difference),
            number(tolerance)
        ))
    }
}

/// The largest distance of two elements in the same place; infinite where only one is a number, or
/// where one has no counterpart.
fn difference(left: &[f64], right: &[f64]) -> f64 {
    if left.len() != right.len() {
        return f64::INFINITY;
    }
    let distance = |(&left, &right): (&f64, &f64)| {
        // Infinities are equal to themselves, though their difference is NaN.
        if left == right || (left.is_nan() && right.is_nan()) {
            return 0.0;
        }
        let distance = (left - right).abs();
        if distance.is_nan() { f64::INFINITY } else { distance }
    };
    left.iter().zip(right).map(distance).fold(0.0, f64::max)
}

fn number(x: f64) -> String {
    if x == 0.0 { "0".to_string() } else { format!("{x:.1e}") }
}

impl fmt::Display for Comparison {
    /// A table of one row a value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widest = |text: fn(&Row) -> &str| {
            self.rows.iter().map(|row| text(row).chars().count()).max().unwrap_or(0)
        };
        let (label, formula) = (widest(|row| &row.label), widest(|row| &row.formula));
        for row in &self.rows {
            let difference = number(row.difference);
            writeln!(f, "{:<label$} = {:<formula$}  {difference:>7}", row.label, row.formula)?;
        }
        match self.largest() {
            Some(row) if row.difference > 0.0 => {
                writeln!(f, "largest difference: {} in {}", number(row.difference), row.label)
            }
            _ => writeln!(f, "largest difference: 0"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(label: &str, value: &[f64]) -> Entry {
        Entry { label: label.to_string(), formula: "var".to_string(), value: value.to_vec() }
    }

    fn compare(left: &[f64], right: &[f64]) -> Comparison {
        let same = || entry("x", &[1.0]);
        Comparison::new(vec![same(), entry("y", left)], vec![same(), entry("y", right)])
            .expect("the same labels")
    }

    #[test]
    fn the_table_is_aligned_and_ends_with_the_largest() {
        let table = compare(&[1.0, 2.0, 3.0], &[1.5, 2.25, 3.0]).to_string();
        assert_eq!(table, "x = var        0\ny = var   5.0e-1\nlargest difference: 5.0e-1 in y\n");
    }

    #[test]
    fn a_difference_of_the_tolerance_is_accepted() {
        assert_eq!(compare(&[1.0], &[1.5]).complaint(0.5), None);
    }

    #[test]
    fn a_difference_above_the_tolerance_is_named() {
        assert_eq!(
            compare(&[1.0], &[1.5]).complaint(0.25).as_deref(),
            Some("the backends differ by 5.0e-1 in y, above the tolerance of 2.5e-1")
        );
    }

    #[test]
    fn nan_and_infinity_agree_with_themselves_only() {
        let (inf, nan) = (f64::INFINITY, f64::NAN);
        assert_eq!(difference(&[inf, nan], &[inf, nan]), 0.0);
        assert_eq!(difference(&[nan], &[1.0]), inf);
        assert_eq!(difference(&[inf], &[-inf]), inf);
        assert_eq!(difference(&[1.0], &[1.0, 2.0]), inf);
    }

    #[test]
    fn other_programs_are_not_compared() {
        let error = Comparison::new(vec![entry("x", &[1.0])], vec![entry("y", &[1.0])]);
        assert_eq!(
            error.err().map(|error| error.to_string()).as_deref(),
            Some("the backends recorded different programs")
        );
    }
}
