//! One step of Newton's method for the centroids of clusters.
//!
//! ```text
//! cost(C) = Σᵢ minⱼ ‖Pᵢ − Cⱼ‖²
//! ```
//!
//! Its Hessian is diagonal, so that the direction J / H takes one product of the Hessian, with ones.

use anyhow::ensure;
use grad_core::{Error, Index, Tape, TensorLike, Var};
use serde::Deserialize;
use serde_json::Value;

use super::{Problem, Runs, input, output, primal, unknown};

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
        ensure!(n > 0 && k > 0, "there are {n} points and {k} centroids, but none may be missing");
        input::ensure_fits("the distances", &[n, k])?;
        let points = input::matrix(model, "points", [n, d], &self.points)?;
        let centroids = input::matrix(model, "centroids", [k, d], &self.centroids)?;
        match function {
            "cost" => output::number(&runs.time(|| {
                primal(|c| cost(c.tape().constant(points.clone()), c), &centroids)
            })?),
            "dir" => output::rows(&runs.time(|| direction(&points, &centroids))?),
            _ => Err(unknown::<Self>(function)),
        }
    }
}

/// The sum of the squared distances of the points, `[n, d]`, to the nearest of the centroids,
/// `[k, d]`.
fn cost<'t, T: TensorLike>(points: Var<'t, T>, centroids: Var<'t, T>) -> Var<'t, T> {
    points.tape().attempt(|| {
        let nearest = nearest(points, centroids.detach())?;
        Ok((points - centroids.index_select(0, nearest.data())).square().sum())
    })
}

/// Which centroid is nearest to each point, by ‖p − c‖² without ‖p‖².
fn nearest<'t, T: TensorLike>(
    points: Var<'t, T>,
    centroids: Var<'t, T>,
) -> Result<Index, Error> {
    let products = points.matmul((-2.0 * centroids).transpose(0, 1));
    (products + centroids.square().sum_axes(1)).argmin(1)
}

/// J / H, elementwise.
fn direction<T: TensorLike>(points: &T, centroids: &T) -> Result<T, Error> {
    let tape = Tape::<T>::new();
    let (points, centroids) = (tape.constant(points.clone()), tape.var(centroids.clone()));
    let gradient = tape.grad(cost(points, centroids), centroids)?;
    let diagonal = tape.jvp(gradient, [(centroids, centroids.ones_like())])?;
    (gradient / diagonal).value()
}
