//! From tensors to the JSON of the protocol.

use anyhow::ensure;
use grad_core::TensorLike;
use serde_json::Value;

/// A number.
///
/// # Errors
/// If the tensor has not one element, or that is not finite, which JSON cannot say.
pub(crate) fn number<T: TensorLike>(x: &T) -> anyhow::Result<Value> {
    match finite(x)?[..] {
        [x] => Ok(Value::from(x)),
        _ => anyhow::bail!("the result must have one element, got shape {:?}", x.shape()),
    }
}

/// The elements, row by row, as one flat list.
///
/// # Errors
/// If an element is not finite.
pub(crate) fn list<T: TensorLike>(x: &T) -> anyhow::Result<Value> {
    Ok(Value::from(finite(x)?))
}

/// A matrix as a list of its rows.
///
/// # Errors
/// If the tensor is no matrix, or an element is not finite.
pub(crate) fn rows<T: TensorLike>(x: &T) -> anyhow::Result<Value> {
    let &[n, m] = x.shape() else {
        anyhow::bail!("the result must be a matrix, got shape {:?}", x.shape())
    };
    let elements = finite(x)?;
    Ok((0..n).map(|i| Value::from(&elements[i * m..(i + 1) * m])).collect())
}

/// The elements, all of them finite.
fn finite<T: TensorLike>(x: &T) -> anyhow::Result<Vec<f64>> {
    let elements = x.to_host()?;
    if let Some(i) = elements.iter().position(|x| !x.is_finite()) {
        let bad = elements[i];
        ensure!(bad.is_finite(), "element {i} of the result is {bad}");
    }
    Ok(elements)
}

#[cfg(test)]
mod tests {
    use grad_ndarray::NdTensor;
    use grad_ndarray::ndarray::{arr0, array};
    use serde_json::json;

    use super::*;

    #[test]
    fn tensors_become_nested_lists() {
        assert_eq!(number(&2.0_f64).ok(), Some(json!(2.0)));
        let matrix = NdTensor::from(array![[1.0, 2.0], [3.0, 4.0]]);
        assert_eq!(list(&matrix).ok(), Some(json!([1.0, 2.0, 3.0, 4.0])));
        assert_eq!(rows(&matrix).ok(), Some(json!([[1.0, 2.0], [3.0, 4.0]])));
        let without_columns = matrix.from_host(&[2, 0], &[]).expect("an empty matrix");
        assert_eq!(rows(&without_columns).ok(), Some(json!([[], []])));
        assert!(number(&matrix).is_err());
        assert!(rows(&NdTensor::from(arr0(1.0))).is_err());
    }

    #[test]
    fn what_json_cannot_say_is_an_error() {
        let text = |x: f64| number(&x).map_err(|error| error.to_string());
        assert_eq!(text(f64::NAN), Err("element 0 of the result is NaN".to_string()));
        assert_eq!(text(-f64::INFINITY), Err("element 0 of the result is -inf".to_string()));
    }
}
