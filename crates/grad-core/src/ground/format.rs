//! Numbers and operations as text, for traces and messages.

use crate::ground::{TensorLike, n_elements};

/// A tensor on one line: four decimals, common width, long axes abbreviated.
///
/// ```
/// assert_eq!(grad_core::inspect::format_tensor(&2.5), "2.5000");
/// ```
pub fn format_tensor<T: TensorLike>(x: &T) -> String {
    match x.to_host() {
        Ok(data) => format_host(x.shape(), &data),
        Err(error) => format!("({error})"),
    }
}

/// Row-major data on one line, as [`format_tensor`].
///
/// Very large and very small numbers are written with an exponent. Data that do not fill the shape
/// are written as a list.
///
/// ```
/// use grad_core::inspect::format_host;
///
/// assert_eq!(format_host(&[2], &[2.692, 13.6568]), "[ 2.6920, 13.6568]");
/// assert_eq!(format_host(&[2, 1], &[1.0, f64::NAN]), "[[1.0000], [   NaN]]");
/// ```
pub fn format_host(shape: &[usize], data: &[f64]) -> String {
    let list = [data.len()];
    let shape = if n_elements(shape) == Some(data.len()) { shape } else { &list };
    let mut shown = Vec::new();
    collect_shown(shape, data, &mut shown);
    let largest = shown.iter().copied().map(f64::abs).filter(|x| x.is_finite()).fold(0.0, f64::max);
    let scientific = largest >= 1e7 || (largest > 0.0 && largest < 1e-3);
    let number = |x: f64| match scientific {
        true if x.is_finite() => format!("{x:.4e}"),
        _ => format!("{x:.4}"),
    };
    let width = shown.iter().map(|&x| number(x).len()).max().unwrap_or(0);
    let mut text = String::new();
    write_nested(shape, data, &|x| format!("{:>width$}", number(x)), &mut text);
    text
}

/// An axis longer than this is abbreviated to its ends.
const LONGEST: usize = 8;
const SHOWN_AT_EACH_END: usize = 3;

/// The indices of an axis that are shown, and `None` where some are left out.
fn shown_indices(n: usize) -> Vec<Option<usize>> {
    if n <= LONGEST {
        return (0..n).map(Some).collect();
    }
    let head = (0..SHOWN_AT_EACH_END).map(Some);
    head.chain([None]).chain((n - SHOWN_AT_EACH_END..n).map(Some)).collect()
}

fn collect_shown(shape: &[usize], data: &[f64], shown: &mut Vec<f64>) {
    let Some((&n, inner)) = shape.split_first() else {
        shown.extend(data.first());
        return;
    };
    let size = data.len().checked_div(n).unwrap_or(0);
    for index in shown_indices(n).into_iter().flatten() {
        collect_shown(inner, &data[index * size..(index + 1) * size], shown);
    }
}

fn write_nested(shape: &[usize], data: &[f64], number: &dyn Fn(f64) -> String, text: &mut String) {
    let Some((&n, inner)) = shape.split_first() else {
        text.extend(data.first().map(|&x| number(x)));
        return;
    };
    let size = data.len().checked_div(n).unwrap_or(0);
    text.push('[');
    for (place, index) in shown_indices(n).into_iter().enumerate() {
        if place > 0 {
            text.push_str(", ");
        }
        match index {
            Some(index) => {
                write_nested(inner, &data[index * size..(index + 1) * size], number, text)
            }
            None => text.push_str("..."),
        }
    }
    text.push(']');
}

/// `x.name(y, z, parameters)`, as traces write most operations.
pub fn call(name: &str, x: &[&str], parameters: &str) -> String {
    let (receiver, arguments) = x.split_first().unwrap_or((&"", &[]));
    let mut inside: Vec<&str> = arguments.to_vec();
    if !parameters.is_empty() {
        inside.push(parameters);
    }
    let dot = if receiver.is_empty() { "" } else { "." };
    format!("{receiver}{dot}{name}({})", inside.join(", "))
}

/// `x symbol y`, as traces write operators.
pub fn infix(symbol: &str, x: &[&str]) -> String {
    x.join(&format!(" {symbol} "))
}
