//! Bundle adjustment: the errors of all observations of points by cameras, and their sparse
//! Jacobian.
//!
//! An observation sees a point X with a camera at C, turned by the angles r about three axes at
//! once, of focal length f, principal point u and lens distortion k:
//!
//! ```math
//! R = P cos θ + (r × P) sin θ / θ + r (r · P) (1 − cos θ) / θ²,   P = X − C,   θ = |r|
//! e = (R₀, R₁) / R₂,   error = w (f (1 + k₁ |e|² + k₂ |e|⁴) e + u − feature)
//! ```
//!
//! and an error 1 − w² for its weight w.
//!
//! Each number of the formula is a column with an element an observation, so the formula runs once
//! for all. An error depends on 15 numbers of its own observation and on nothing else: a sweep from
//! the column of all first errors, with ones for cotangents, has all their derivatives at once, and
//! a sweep from the second errors the others. Two sweeps make the Jacobian, however many rows it
//! has.

use anyhow::ensure;
use grad_core::{Tape, TensorLike, Var};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Problem, Runs, input, output, unknown};

/// One camera, point, weight and feature, of which there are n, m, p and p. Observation o is of
/// point o mod m by camera o mod n.
#[derive(Deserialize)]
pub(crate) struct Ba {
    n: usize,
    m: usize,
    p: usize,
    cam: [f64; CAMERA],
    x: [f64; POINT],
    w: f64,
    feat: [f64; 2],
}

/// The numbers of a camera: r, C, f, u, k.
const CAMERA: usize = 11;
/// The numbers of a point.
const POINT: usize = 3;
/// What an error depends on: a camera, a point and a weight.
const INPUTS: usize = CAMERA + POINT + 1;

/// As many elements of a list are shown, and the last.
const SHOWN: usize = 30;

impl Problem for Ba {
    const NAME: &'static str = "ba";

    fn evaluate<T: TensorLike>(
        &self,
        function: &str,
        model: &T,
        runs: &mut Runs,
    ) -> anyhow::Result<Value> {
        let scene = Scene::new(self, model)?;
        let mut tape = Tape::new();
        match function {
            "objective" => {
                let errors = runs.time(|| {
                    tape.clear();
                    let [x, y, w] = errors(scene.observe(&tape)?, scene.features(&tape));
                    anyhow::Ok([x.value()?, y.value()?, w.value()?])
                })?;
                let [x, y, w] = errors.map(|error| output::number(&error.index_select(0, &[0])?));
                let p = self.p;
                Ok(json!({
                    "reproj_error": { "elements": [x?, y?], "repeated": p },
                    "w_err": { "element": w?, "repeated": p },
                }))
            }
            "jacobian" => {
                let jacobian = runs.time(|| {
                    tape.clear();
                    scene.jacobian(&tape)
                })?;
                Ok(json!({
                    "rows": shown(&jacobian.rows),
                    "cols": shown(&jacobian.cols),
                    "vals": shown(&jacobian.vals),
                }))
            }
            _ => Err(unknown::<Self>(function)),
        }
    }
}

/// The input written out: a column for each number of a camera, of a point and of an observation.
struct Scene<T> {
    cameras: [T; CAMERA],
    points: [T; POINT],
    weights: T,
    features: [T; 2],
    sizes: [usize; 3],
}

/// A sparse matrix by rows: row i has the places `rows[i]..rows[i + 1]` of `cols` and `vals`.
struct Csr {
    rows: Vec<usize>,
    cols: Vec<usize>,
    vals: Vec<f64>,
}

impl<T: TensorLike> Scene<T> {
    fn new(&Ba { n, m, p, cam, x, w, feat }: &Ba, model: &T) -> anyhow::Result<Self> {
        ensure!(n > 0 && m > 0, "there are {n} cameras and {m} points, and one is needed of each");
        ensure!(3 * p >= SHOWN, "{p} observations have fewer rows than the {SHOWN} to show");
        input::ensure_fits("a Jacobian", &[p, 2 * INPUTS + 1])?;
        input::ensure_fits("a list of cameras", &[n, CAMERA])?;
        input::ensure_fits("a list of points", &[m, POINT])?;
        let column = |x: f64, length: usize| input::vector(model, &vec![x; length]);
        Ok(Scene {
            cameras: each(cam, |x| column(x, n))?,
            points: each(x, |x| column(x, m))?,
            weights: column(w, p)?,
            features: each(feat, |x| column(x, p))?,
            sizes: [n, m, p],
        })
    }

    /// What the errors of the observations depend on, a column each: gathered, so that each
    /// observation has its own.
    fn observe<'t>(&self, tape: &'t Tape<T>) -> anyhow::Result<[Var<'t, T>; INPUTS]> {
        let [n, m, p] = self.sizes;
        let camera_of: Vec<usize> = (0..p).map(|o| o % n).collect();
        let point_of: Vec<usize> = (0..p).map(|o| o % m).collect();
        let mut columns = Vec::with_capacity(INPUTS);
        for column in &self.cameras {
            columns.push(tape.var(column.index_select(0, &camera_of)?));
        }
        for column in &self.points {
            columns.push(tape.var(column.index_select(0, &point_of)?));
        }
        columns.push(tape.var(self.weights.clone()));
        Ok(columns.try_into().expect("a camera, a point and a weight"))
    }

    fn features<'t>(&self, tape: &'t Tape<T>) -> [Var<'t, T>; 2] {
        self.features.each_ref().map(|feature| tape.constant(feature.clone()))
    }

    fn jacobian(&self, tape: &Tape<T>) -> anyhow::Result<Csr> {
        let [n, m, p] = self.sizes;
        let inputs = self.observe(tape)?;
        let [x, y, w] = errors(inputs, self.features(tape));
        let ones = self.weights.full(&[p], 1.0)?;
        let dx = each(tape.backward_with(x, ones.clone(), inputs)?, |dx| dx.to_host())?;
        let dy = each(tape.backward_with(y, ones.clone(), inputs)?, |dy| dy.to_host())?;
        let dw = tape.backward_with(w, ones, inputs[INPUTS - 1])?.to_host()?;

        let mut cols = Vec::with_capacity(p * (2 * INPUTS + 1));
        let mut vals = Vec::with_capacity(p * (2 * INPUTS + 1));
        let first_weight = CAMERA * n + POINT * m;
        for o in 0..p {
            let (camera, point) = (CAMERA * (o % n), CAMERA * n + POINT * (o % m));
            for derivatives in [&dx, &dy] {
                cols.extend(camera..camera + CAMERA);
                cols.extend(point..point + POINT);
                cols.push(first_weight + o);
                vals.extend(derivatives.each_ref().map(|column| column[o]));
            }
        }
        cols.extend(first_weight..first_weight + p);
        vals.extend(dw);
        let of_errors = (0..2 * p).map(|row| row * INPUTS);
        let of_weights = (0..=p).map(|row| 2 * p * INPUTS + row);
        Ok(Csr { rows: of_errors.chain(of_weights).collect(), cols, vals })
    }
}

/// The two errors of the projections, and that of the weights, of all observations.
fn errors<'t, T: TensorLike>(
    inputs: [Var<'t, T>; INPUTS],
    features: [Var<'t, T>; 2],
) -> [Var<'t, T>; 3] {
    let [r0, r1, r2, c0, c1, c2, focal, u0, v0, k1, k2, x0, x1, x2, w] = inputs;
    let [x, y, z] = rotate([r0, r1, r2], [x0 - c0, x1 - c1, x2 - c2]);
    let (x, y) = (x / z, y / z);
    let rho = x.square() + y.square();
    let scale = focal * (1.0 + rho * (k1 + rho * k2));
    [w * (x * scale + u0 - features[0]), w * (y * scale + v0 - features[1]), 1.0 - w.square()]
}

/// P turned about r, by as much as r is long; P + r × P where that is 0.
fn rotate<'t, T: TensorLike>(
    [r0, r1, r2]: [Var<'t, T>; 3],
    [p0, p1, p2]: [Var<'t, T>; 3],
) -> [Var<'t, T>; 3] {
    let square = r0.square() + r1.square() + r2.square();
    let still = square.eq(0.0);
    // Not divided by where it is 0.
    let square = still.where_(1.0, square);
    let theta = square.sqrt();
    let cos = still.where_(1.0, theta.cos());
    let sin = still.where_(1.0, theta.sin() / theta);
    let along = still.where_(0.0, (1.0 - cos) / square) * (r0 * p0 + r1 * p1 + r2 * p2);
    [
        p0 * cos + (r1 * p2 - r2 * p1) * sin + r0 * along,
        p1 * cos + (r2 * p0 - r0 * p2) * sin + r1 * along,
        p2 * cos + (r0 * p1 - r1 * p0) * sin + r2 * along,
    ]
}

/// The beginning of a list, and its end.
fn shown<X: Clone + Into<Value>>(list: &[X]) -> Value {
    list[..SHOWN].iter().chain(list.last()).cloned().collect()
}

/// `f` of each, or the first error.
fn each<X, Y, E, const N: usize>(
    x: [X; N],
    f: impl Fn(X) -> Result<Y, E>,
) -> Result<[Y; N], E> {
    let all = x.into_iter().map(f).collect::<Result<Vec<Y>, E>>()?;
    Ok(all.try_into().ok().expect("there is one for each"))
}
