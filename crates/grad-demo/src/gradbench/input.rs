//! From the JSON of the protocol to tensors.

use anyhow::{Context as _, ensure};
use grad_core::TensorLike;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

/// The most elements that a size in an input may ask for: 1 GiB of `f64`.
const MOST_ELEMENTS: usize = 1 << 27;

/// The fields of an input.
///
/// # Errors
/// If one is missing or not what it should be. JSON knows neither NaN nor infinity.
pub(crate) fn read<I: DeserializeOwned>(input: &RawValue) -> anyhow::Result<I> {
    serde_json::from_str(input.get()).context("the input does not fit")
}

/// A vector.
///
/// # Errors
/// If the backend has no vectors.
pub(crate) fn vector<T: TensorLike>(model: &T, elements: &[f64]) -> anyhow::Result<T> {
    Ok(model.from_host(&[elements.len()], elements)?)
}

/// A matrix of `shape` from its rows.
///
/// # Errors
/// If there are more or fewer rows or elements than `shape` says; `name` is the field.
pub(crate) fn matrix<T: TensorLike>(
    model: &T,
    name: &str,
    shape: [usize; 2],
    rows: &[Vec<f64>],
) -> anyhow::Result<T> {
    let [n, m] = shape;
    ensure!(rows.len() == n, "{name} has {} rows, not {n}", rows.len());
    for (i, row) in rows.iter().enumerate() {
        ensure!(row.len() == m, "row {i} of {name} has {} elements, not {m}", row.len());
    }
    Ok(model.from_host(&shape, &rows.concat())?)
}

/// Refuses sizes that no memory has room for; `name` says of what they are.
///
/// # Errors
/// If their product is above 2²⁷.
pub(crate) fn ensure_fits(name: &str, sizes: &[usize]) -> anyhow::Result<()> {
    let product = sizes.iter().try_fold(1_usize, |product, &n| product.checked_mul(n));
    ensure!(
        product.is_some_and(|n| n <= MOST_ELEMENTS),
        "{name} of sizes {sizes:?} has more than {MOST_ELEMENTS} elements"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use grad_ndarray::NdTensor;

    use super::*;

    #[test]
    fn a_matrix_has_the_shape_it_should_have() {
        let model = NdTensor::from(0_f64);
        let matrix = |rows: &[Vec<f64>]| {
            matrix(&model, "x", [2, 1], rows).map_err(|error| error.to_string())
        };
        let x = matrix(&[vec![1.0], vec![2.0]]).expect("it fits");
        assert_eq!((x.shape(), x.to_host()), (&[2, 1][..], Ok(vec![1.0, 2.0])));
        assert_eq!(matrix(&[vec![1.0]]).err(), Some("x has 1 rows, not 2".to_string()));
        let ragged = matrix(&[vec![1.0], vec![2.0, 3.0]]);
        assert_eq!(ragged.err(), Some("row 1 of x has 2 elements, not 1".to_string()));
    }

    #[test]
    fn sizes_may_neither_overflow_nor_fill_the_memory() {
        assert!(ensure_fits("x", &[1 << 13, 1 << 14]).is_ok());
        assert!(ensure_fits("x", &[1 << 14, 1 << 14]).is_err());
        assert!(ensure_fits("x", &[usize::MAX, usize::MAX]).is_err());
        assert!(ensure_fits("x", &[]).is_ok());
    }
}
