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

use std::ops::Range;

use anyhow::ensure;
use grad_core::{Tape, TensorLike, Var};
use serde::Deserialize;
use serde_json::{Value, json};

use super::problem::{Problem, each, unknown};
use super::runs::Runs;
use super::{input, output};

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

/// So many observations at once, since their columns stay in the cache.
const BLOCK: usize = 2048;

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
                let errors = runs.time(|| scene.objective(&mut tape))?;
                let first = input::vector(model, &errors.map(|errors| errors[0]))?;
                let (first, p) = (output::list(&first)?, self.p);
                Ok(json!({
                    "reproj_error": { "elements": [first[0], first[1]], "repeated": p },
                    "w_err": { "element": first[2], "repeated": p },
                }))
            }
            "jacobian" => {
                let mut jacobian = Csr::default();
                runs.time(|| scene.jacobian(&mut tape, &mut jacobian))?;
                let Csr { rows, cols, vals } = jacobian;
                let vals = output::list(&input::vector(model, &shown(&vals))?)?;
                Ok(json!({ "rows": shown(&rows), "cols": shown(&cols), "vals": vals }))
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
    n: usize,
    m: usize,
    p: usize,
}

/// What is recorded of some observations: columns with an element each.
struct Recorded<'t, T: TensorLike> {
    inputs: [Var<'t, T>; INPUTS],
    errors: [Var<'t, T>; 3],
}

/// A sparse matrix by rows: row i has the places `rows[i]..rows[i + 1]` of `cols` and `vals`.
#[derive(Default)]
struct Csr {
    rows: Vec<usize>,
    cols: Vec<usize>,
    vals: Vec<f64>,
}

impl<T: TensorLike> Scene<T> {
    fn new(&Ba { n, m, p, cam, x, w, feat }: &Ba, model: &T) -> anyhow::Result<Self> {
        ensure!(n > 0 && m > 0, "needs at least one camera and one point, got {n} and {m}");
        ensure!(p >= SHOWN / 3, "{p} observations give fewer than the {SHOWN} rows to show");
        input::ensure_fits("a Jacobian", &[p, 2 * INPUTS + 1])?;
        input::ensure_fits("a list of cameras", &[n, CAMERA])?;
        input::ensure_fits("a list of points", &[m, POINT])?;
        let column = |x: f64, length: usize| input::vector(model, &vec![x; length]);
        Ok(Scene {
            cameras: each(cam, |x| column(x, n))?,
            points: each(x, |x| column(x, m))?,
            weights: column(w, p)?,
            features: each(feat, |x| column(x, p))?,
            n,
            m,
            p,
        })
    }

    /// The errors of all observations: two of the projection each, and that of the weight.
    fn objective(&self, tape: &mut Tape<T>) -> anyhow::Result<[Vec<f64>; 3]> {
        let mut all = [(); 3].map(|()| Vec::with_capacity(self.p));
        for block in self.blocks() {
            tape.clear();
            let errors = self.record(tape, block)?.errors;
            for (all, errors) in all.iter_mut().zip(errors) {
                all.extend(errors.to_host()?);
            }
        }
        Ok(all)
    }

    /// Their Jacobian: first the rows of the projections, two for each, and then of the weights.
    fn jacobian(&self, tape: &mut Tape<T>, jacobian: &mut Csr) -> anyhow::Result<()> {
        let &Scene { n, m, p, .. } = self;
        let Csr { rows, cols, vals } = jacobian;
        rows.clear();
        cols.clear();
        vals.clear();
        rows.extend((0..2 * p).map(|row| row * INPUTS));
        rows.extend((0..=p).map(|row| 2 * p * INPUTS + row));
        let first_weight = CAMERA * n + POINT * m;
        let mut of_weights = Vec::with_capacity(p);
        for block in self.blocks() {
            tape.clear();
            let Recorded { inputs, errors: [x, y, w] } = self.record(tape, block.clone())?;
            let ones = self.weights.full(&[block.len()], 1.0)?;
            let dx = each(tape.plain().vjp(x, ones.clone(), inputs)?, |dx| dx.to_host())?;
            let dy = each(tape.plain().vjp(y, ones.clone(), inputs)?, |dy| dy.to_host())?;
            of_weights.extend(tape.plain().vjp(w, ones, inputs[INPUTS - 1])?.to_host()?);
            for (row, o) in block.enumerate() {
                let (camera, point) = (CAMERA * (o % n), CAMERA * n + POINT * (o % m));
                for derivatives in [&dx, &dy] {
                    cols.extend(camera..camera + CAMERA);
                    cols.extend(point..point + POINT);
                    cols.push(first_weight + o);
                    vals.extend(derivatives.each_ref().map(|column| column[row]));
                }
            }
        }
        cols.extend(first_weight..first_weight + p);
        vals.extend(of_weights);
        Ok(())
    }

    /// The observations in blocks whose columns stay in the cache.
    fn blocks(&self) -> impl Iterator<Item = Range<usize>> {
        let p = self.p;
        (0..p).step_by(BLOCK).map(move |first| first..p.min(first + BLOCK))
    }

    /// The errors of a block of observations. What they depend on is gathered first, so that each
    /// observation has its own.
    fn record<'t>(
        &self,
        tape: &'t Tape<T>,
        block: Range<usize>,
    ) -> anyhow::Result<Recorded<'t, T>> {
        let cameras: Vec<usize> = block.clone().map(|o| o % self.n).collect();
        let points: Vec<usize> = block.clone().map(|o| o % self.m).collect();
        let own: Vec<usize> = block.collect();
        let mut inputs = Vec::with_capacity(INPUTS);
        for column in &self.cameras {
            inputs.push(tape.var(column.index_select(0, &cameras)?));
        }
        for column in &self.points {
            inputs.push(tape.var(column.index_select(0, &points)?));
        }
        inputs.push(tape.var(self.weights.index_select(0, &own)?));
        let inputs = inputs.try_into().expect("a camera, a point and a weight");
        let features = each(self.features.each_ref(), |column| column.index_select(0, &own))?;
        let errors = errors(inputs, features.map(|feature| tape.constant(feature)));
        Ok(Recorded { inputs, errors })
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
fn shown<X: Copy>(list: &[X]) -> Vec<X> {
    list[..SHOWN].iter().chain(list.last()).copied().collect()
}

#[cfg(test)]
mod tests {
    use grad_ndarray::NdTensor;

    use super::*;

    const PLAIN: Ba = Ba {
        n: 2,
        m: 3,
        p: 10,
        // No rotation, at the origin, focal length 1.
        cam: [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0],
        x: [1.0, 2.0, 4.0],
        w: 1.0,
        feat: [0.0, 0.0],
    };

    fn scene(ba: &Ba) -> Scene<NdTensor<f64>> {
        Scene::new(ba, &NdTensor::from(0.0)).expect("sizes fit")
    }

    fn jacobian(scene: &Scene<NdTensor<f64>>) -> Csr {
        let mut jacobian = Csr::default();
        scene.jacobian(&mut Tape::new(), &mut jacobian).expect("no error");
        jacobian
    }

    #[test]
    fn a_row_is_what_one_derives_by_hand() {
        // P = X = (1, 2, 4) and R = P + r × P, so that ∂R₀/∂r = (0, 4, −2) and ∂R₂/∂r = (2, −1, 0);
        // e₀ = R₀ / R₂ = 1/4, so that ∂e₀/∂r = (0, 4, −2) / 4 − (2, −1, 0) / 16. ρ = 1/16 + 1/4.
        let by_hand = [
            [-0.125, 1.0625, -0.5].as_slice(),
            &[-0.25, 0.0, 0.0625],                    // C
            &[0.25],                                  // f
            &[1.0, 0.0],                              // u
            &[0.25 * 0.3125, 0.25 * 0.3125 * 0.3125], // k
            &[0.25, 0.0, -0.0625],                    // X
            &[0.25],                                  // w
        ]
        .concat();
        let jacobian = jacobian(&scene(&PLAIN));
        assert_eq!(jacobian.vals[..INPUTS], by_hand);
        // 1 − w²
        assert_eq!(jacobian.vals[2 * 10 * INPUTS..], [-2.0; 10]);
    }

    #[test]
    fn every_observation_has_the_derivatives_of_its_own_camera() {
        let mut scene = scene(&Ba { p: 2 * BLOCK + 7, ..PLAIN });
        // The second camera has the focal length 3.
        scene.cameras[6] = scene.weights.from_host(&[2], &[1.0, 3.0]).expect("two numbers");
        let Csr { rows, cols, vals } = jacobian(&scene);
        assert_eq!(rows.len(), 3 * scene.p + 1);
        assert_eq!((rows.last(), cols.len()), (Some(&vals.len()), vals.len()));
        for o in 0..scene.p {
            for row in [2 * o, 2 * o + 1] {
                let at = rows[row]..rows[row + 1];
                // With respect to X₀ and X₁, it is f / 4 in its own row.
                let focal = if o % 2 == 0 { 1.0 } else { 3.0 };
                assert_eq!(vals[at.clone()][11 + row % 2], focal / 4.0, "observation {o}");
                let cols = &cols[at];
                assert_eq!(cols[0], 11 * (o % 2));
                assert_eq!(cols[11], 2 * 11 + 3 * (o % 3));
                assert_eq!(cols[14], 2 * 11 + 3 * 3 + o);
            }
        }
    }

    #[test]
    fn sizes_that_make_no_sense_are_refused() {
        let refused = |ba: Ba| {
            let scene = Scene::new(&ba, &NdTensor::from(0.0));
            scene.err().map_or_else(String::new, |error| error.to_string())
        };
        assert_eq!(
            refused(Ba { n: 0, ..PLAIN }),
            "needs at least one camera and one point, got 0 and 3"
        );
        assert_eq!(
            refused(Ba { p: 9, ..PLAIN }),
            "9 observations give fewer than the 30 rows to show"
        );
        assert_eq!(
            refused(Ba { p: 1 << 40, ..PLAIN }),
            "a Jacobian of sizes [1099511627776, 31] has more than 134217728 elements"
        );
        assert_eq!(
            refused(Ba { m: usize::MAX, ..PLAIN }),
            format!(
                "a list of points of sizes [{}, 3] has more than 134217728 elements",
                usize::MAX
            )
        );
    }
}
