//! One step of Newton's method for the centroids of clusters.
//!
//! ```text
//! cost(C) = Σᵢ minⱼ ‖Pᵢ − Cⱼ‖²
//! ```
//!
//! Its Hessian is diagonal, so that the direction J / H takes one product of the Hessian, with ones.

use anyhow::ensure;
use grad_core::{Error, Tape, TensorLike, Var};
use serde::Deserialize;
use serde_json::Value;

use super::problem::{Problem, primal, unknown};
use super::runs::Runs;
use super::{input, output};

/// So many distances are compared at a time, which is what a core keeps at hand.
const BLOCK: usize = 1 << 16;

/// n points and k centroids in d dimensions.
#[derive(Deserialize)]
pub(crate) struct Kmeans {
    points: Vec<Vec<f64>>,
    centroids: Vec<Vec<f64>>,
}

impl Problem for Kmeans {
    const NAME: &'static str = "kmeans";

    fn evaluate<T: TensorLike>(
        &self,
        function: &str,
        model: &T,
        runs: &mut Runs,
    ) -> anyhow::Result<Value> {
        let (n, k) = (self.points.len(), self.centroids.len());
        let d = self.points.first().map_or(0, Vec::len);
        ensure!(n > 0 && k > 0, "needs at least one point and one centroid, got {n} and {k}");
        input::ensure_fits("the matrix of distances", &[n, k])?;
        let points = input::matrix(model, "points", [n, d], &self.points)?;
        let centroids = input::matrix(model, "centroids", [k, d], &self.centroids)?;
        match function {
            "cost" => output::number(&runs.time(|| primal(|c| cost(&points, c), &centroids))?),
            "dir" => output::rows(&runs.time(|| direction(&points, &centroids))?),
            _ => Err(unknown::<Self>(function)),
        }
    }
}

/// The sum of the squared distances of the points, `[n, d]`, to the nearest of the centroids,
/// `[k, d]`.
fn cost<'t, T: TensorLike>(points: &T, centroids: Var<'t, T>) -> Var<'t, T> {
    let tape = centroids.tape();
    tape.attempt(|| {
        let nearest = nearest(points, &centroids.value()?)?;
        Ok((tape.constant(points.clone()) - centroids.index_select(0, &nearest)).square().sum())
    })
}

/// Which centroid is nearest to each point: a choice, which has no derivative.
fn nearest<T: TensorLike>(points: &T, centroids: &T) -> Result<Vec<usize>, Error> {
    let (n, k) = (points.shape()[0], centroids.shape()[0]);
    let mut nearest = Vec::with_capacity(n);
    let at_once = (BLOCK / k).max(1);
    for first in (0..n).step_by(at_once) {
        // Of its own, so that the distances go before there are more.
        let tape = Tape::<T>::new();
        let p = tape.constant(points.clone()).narrow(0, first, at_once.min(n - first));
        let c = tape.constant(centroids.clone());
        // ‖c − p‖² without ‖p‖².
        let squares = c.square().sum_keepdim(1) + (-2.0 * c).matmul(p.transpose(0, 1));
        nearest.extend(squares.argmin(0)?.data());
    }
    Ok(nearest)
}

/// J / H, elementwise.
fn direction<T: TensorLike>(points: &T, centroids: &T) -> Result<T, Error> {
    let tape = Tape::<T>::new();
    let centroids = tape.var(centroids.clone());
    let gradient = tape.grad(cost(points, centroids), centroids);
    let diagonal = tape.jvp(gradient, [(centroids, centroids.ones_like())]); // H 1
    (gradient / diagonal).value()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::problem::answer;
    use super::*;

    fn direction(points: Value, centroids: Value) -> Result<Value, String> {
        answer::<Kmeans>("dir", json!({ "points": points, "centroids": centroids }))
    }

    #[test]
    fn a_point_between_two_centroids_is_of_the_first() {
        // 1 is as far from 0 as from 2. C − mean: 0 − (0 + 1)/2 and 2 − 3.
        let (points, centroids) = (json!([[0], [1], [3]]), json!([[0], [2]]));
        assert_eq!(direction(points.clone(), centroids.clone()), Ok(json!([[-0.5], [-1.0]])));
        let input = json!({ "points": points, "centroids": centroids });
        assert_eq!(answer::<Kmeans>("cost", input), Ok(json!(2.0)));
    }

    #[test]
    fn points_that_are_centroids_cost_nothing() {
        let points = json!([[0.1, 0.7], [0.3, 0.2]]);
        let input = json!({ "points": points, "centroids": points });
        assert_eq!(answer::<Kmeans>("cost", input), Ok(json!(0.0)));
        assert_eq!(direction(points.clone(), points), Ok(json!([[0.0, 0.0], [0.0, 0.0]])));
    }

    #[test]
    fn what_does_not_fit_is_said() {
        let refused = |points, centroids| direction(points, centroids).expect_err("no direction");
        assert_eq!(
            refused(json!([]), json!([[1]])),
            "needs at least one point and one centroid, got 0 and 1"
        );
        assert_eq!(
            refused(json!([[1], [2]]), json!([[1, 2]])),
            "row 0 of centroids has 2 elements, not 1"
        );
        // 0/0: no point is nearest to the second.
        assert_eq!(refused(json!([[0], [1]]), json!([[0], [9]])), "element 1 of the result is NaN");
    }
}
