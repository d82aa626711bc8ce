//! Hand tracking: how far a model of a hand is from measured points, for angles of its joints, and
//! the derivatives with respect to them.
//!
//! ```math
//! R_b = R_z(spread_b) R_x(bend_b),   A_b = A_parent(b) B_b R_b,   T_b = A_b B'_b
//! position_v = Σ_b w_vb T_b base_v,   error = point − (R position + translation)
//! ```
//!
//! Bones move with the angles, the skin with the bones, and the whole hand with a rotation R and a
//! translation. A measured point belongs to a vertex of the skin, or to a point u of one of its
//! triangles.
//!
//! The skin is linear in the products w_vb base_v. So these are interpolated in the triangles first,
//! and nothing else of the skin moves but the points in question: their positions are one product
//! of matrices. There are few angles and many errors, hence forward mode, with the tangents of all
//! angles stacked in one sweep.

use anyhow::{Context as _, ensure};
use grad_core::{Tape, TensorLike, Var};
use serde::Deserialize;
use serde_json::Value;

use super::problem::{Problem, unknown};
use super::runs::Runs;
use super::{input, output};

/// The numbers in θ: three for the rotation of the hand, three for its translation, and for each
/// finger four angles.
const THETA: usize = 6 + 4 * FINGERS;
const FINGERS: usize = 5;

/// The bones of a hand: the wrist, four of each finger, and what else there may be.
const LEAST_BONES: usize = 1 + 4 * FINGERS;

/// Angles, places on triangles, and measured data.
#[derive(Deserialize)]
pub(crate) struct Ht {
    theta: Vec<f64>,
    /// A place in the triangle of each point; empty where points belong to vertices.
    us: Vec<[f64; 2]>,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    model: Model,
    /// The triangle of each point, or the vertex.
    correspondences: Vec<usize>,
    points: Vec<[f64; 3]>,
}

#[derive(Deserialize)]
struct Model {
    /// The bone that each bone hangs on, which comes before it; −1 for none.
    parents: Vec<i64>,
    base_relatives: Vec<[[f64; 4]; 4]>,
    inverse_base_absolutes: Vec<[[f64; 4]; 4]>,
    base_positions: Vec<[f64; 4]>,
    weights: Vec<Vec<f64>>,
    triangles: Vec<[usize; 3]>,
    is_mirrored: bool,
}

impl Problem for Ht {
    const NAME: &'static str = "ht";

    fn evaluate<T: TensorLike>(
        &self,
        function: &str,
        model: &T,
        runs: &mut Runs,
    ) -> anyhow::Result<Value> {
        let hand = Hand::new(self, model)?;
        let mut tape = Tape::new();
        match function {
            "objective" => {
                let errors = runs.time(|| {
                    tape.clear();
                    hand.record(&tape).errors.value()
                })?;
                output::list(&errors.permute(&[1, 0])?)
            }
            "jacobian" => {
                let columns = runs.time(|| {
                    tape.clear();
                    hand.jacobian(&tape)
                })?;
                let (k, n) = (columns.shape()[0], self.data.points.len());
                output::rows(&columns.permute(&[2, 1, 0])?.reshape(&[n * 3, k])?)
            }
            _ => Err(unknown::<Self>(function)),
        }
    }
}

/// The input as tensors, and where to find what in them.
struct Hand<T> {
    theta: T,
    /// `[3, points]`.
    points: T,
    places: Places<T>,
    /// `[bones, 4, 4]`, as is the next.
    relatives: T,
    inverse_absolutes: T,
    /// `[vertices, 4]`.
    positions: T,
    /// `[vertices, bones]`.
    weights: T,
    levels: Vec<Level>,
    is_mirrored: bool,
}

/// Where on the skin the points belong.
enum Places<T> {
    Vertices(Vec<usize>),
    /// Between the three corners of triangles, at u: `[points, 2]`.
    Triangles {
        corners: [Vec<usize>; 3],
        us: T,
    },
}

/// What was recorded: the errors, `[3, points]`, and what they depend on.
struct Recorded<'t, T: TensorLike> {
    theta: Var<'t, T>,
    us: Option<Var<'t, T>>,
    errors: Var<'t, T>,
}

/// Bones that are as many bones from the root.
#[derive(Default)]
struct Level {
    bones: Vec<usize>,
    /// The place of the parent of each in the level before.
    parents: Vec<usize>,
}

impl<T: TensorLike> Hand<T> {
    fn new(Ht { theta, us, data }: &Ht, model: &T) -> anyhow::Result<Self> {
        let Data { model: hand, correspondences, points } = data;
        let (n_bones, n_points) = (hand.parents.len(), points.len());
        ensure!(theta.len() == THETA, "theta has {} elements, not {THETA}", theta.len());
        ensure!(
            n_bones >= LEAST_BONES,
            "a hand must have at least {LEAST_BONES} bones, got {n_bones}"
        );
        let n_vertices = hand.base_positions.len();
        for (name, n, expected) in [
            ("correspondences", correspondences.len(), n_points),
            ("base_relatives", hand.base_relatives.len(), n_bones),
            ("inverse_base_absolutes", hand.inverse_base_absolutes.len(), n_bones),
        ] {
            ensure!(n == expected, "{name} has {n} elements, not {expected}");
        }
        ensure!(
            us.is_empty() || us.len() == n_points,
            "us has {} elements, neither 0 nor {n_points}",
            us.len()
        );
        input::ensure_fits("the skin", &[n_points, 4, n_bones])?;
        input::ensure_fits("a Jacobian", &[n_points, 3, THETA + 2])?;

        let flat = |m: &[[[f64; 4]; 4]]| {
            model.from_host(&[n_bones, 4, 4], m.as_flattened().as_flattened())
        };
        Ok(Hand {
            theta: input::vector(model, theta)?,
            points: model.from_host(&[n_points, 3], points.as_flattened())?.permute(&[1, 0])?,
            places: match &us[..] {
                [] => Places::Vertices(hand.vertices(correspondences)?),
                us => Places::Triangles {
                    corners: hand.corners(correspondences)?,
                    us: model.from_host(&[n_points, 2], us.as_flattened())?,
                },
            },
            relatives: flat(&hand.base_relatives)?,
            inverse_absolutes: flat(&hand.inverse_base_absolutes)?,
            positions: model.from_host(&[n_vertices, 4], hand.base_positions.as_flattened())?,
            weights: input::matrix(model, "weights", [n_vertices, n_bones], &hand.weights)?,
            levels: levels(&hand.parents)?,
            is_mirrored: hand.is_mirrored,
        })
    }

    /// The derivatives of the errors, `[columns, 3, points]`: first, where there are u, with respect
    /// to those of each point, then to θ.
    fn jacobian(&self, tape: &Tape<T>) -> anyhow::Result<T> {
        let Recorded { theta, us, errors } = self.record(tape);
        let by_theta = tape.plain().jvp_batch(errors, [(theta, self.units(THETA)?)])?;
        let Some(us) = us else { return Ok(by_theta) };
        // The error of a point depends on its own u only, so those of all points move at once.
        let n = us.shape()?[0];
        let along = self.units(2)?.reshape(&[2, 1, 2])?.expand(&[2, n, 2])?;
        Ok(tape.plain().jvp_batch(errors, [(us, along)])?.concat(&[&by_theta], 0)?)
    }

    /// The unit vectors of n axes.
    fn units(&self, n: usize) -> Result<T, T::Error> {
        let units: Vec<f64> =
            (0..n * n).map(|i| if i % (n + 1) == 0 { 1.0 } else { 0.0 }).collect();
        self.theta.from_host(&[n, n], &units)
    }

    /// How far the measured points are from where the model has them.
    fn record<'t>(&self, tape: &'t Tape<T>) -> Recorded<'t, T> {
        let theta = tape.var(self.theta.clone());
        let (us, skin) = match &self.places {
            Places::Vertices(vertices) => (None, self.skin(tape, vertices)),
            Places::Triangles { corners, us } => {
                let us = tape.var(us.clone());
                let [u, v] = [0, 1].map(|i| us.narrow(1, i, 1).squeeze(1));
                let [a, b, c] = corners.each_ref().map(|corner| self.skin(tape, corner));
                (Some(us), u * a + v * b + (1.0 - u - v) * c)
            }
        };
        let mut position = self.bones(theta).matmul(skin);
        if self.is_mirrored {
            position *= theta.new_constant([3, 1], &[-1.0, 1.0, 1.0]);
        }
        let turned = rotation(theta.narrow(0, 0, 3)).matmul(position);
        let moved = turned + theta.narrow(0, 3, 3).unsqueeze(1);
        Recorded { theta, us, errors: tape.constant(self.points.clone()) - moved }
    }

    /// What vertices are for each bone, `w_vb B'_b base_v`: `[4 bones, vertices]`.
    fn skin<'t>(&self, tape: &'t Tape<T>, vertices: &[usize]) -> Var<'t, T> {
        let constant = |x: &T| tape.constant(x.clone());
        let base = constant(&self.positions).index_select(0, vertices).transpose(0, 1);
        let weights = constant(&self.weights).index_select(0, vertices).transpose(0, 1);
        let skin = constant(&self.inverse_absolutes).matmul(base) * weights.unsqueeze(1);
        skin.reshape([4 * self.n_bones(), vertices.len()])
    }

    /// Where the bones are, `A_b` without the last row: `[3, 4 bones]`.
    fn bones<'t>(&self, theta: Var<'t, T>) -> Var<'t, T> {
        let tape = theta.tape();
        let relatives = self.relatives(theta);
        let mut all: Vec<Var<'t, T>> = Vec::new();
        for Level { bones, parents } in &self.levels {
            let relative = relatives.index_select(0, bones);
            all.push(match all.last() {
                None => relative.narrow(1, 0, 3),
                Some(parent) => parent.index_select(0, parents).matmul(relative),
            });
        }
        let mut place = vec![0; self.n_bones()];
        for (i, &bone) in self.levels.iter().flat_map(|level| &level.bones).enumerate() {
            place[bone] = i;
        }
        let absolutes = tape.concat(&all, 0).index_select(0, &place);
        absolutes.transpose(0, 1).reshape([3, 4 * self.n_bones()])
    }

    /// `B_b R_b`, bones turned in their joints: `[bones, 4, 4]`.
    fn relatives<'t>(&self, theta: Var<'t, T>) -> Var<'t, T> {
        let tape = theta.tape();
        // Joints that do not turn find their 0 behind θ.
        let theta = tape.concat(&[theta, theta.new_constant([1], &[0.0])], 0);
        let (bends, spreads) = joints(self.n_bones());
        let [x, z] = [bends, spreads].map(|of| theta.index_select(0, &of).unsqueeze(1));

        // The columns of B_b, which are the axes of the joint: turned about the third of them, then
        // about the first.
        let base = tape.constant(self.relatives.clone());
        let [a, b, c, origin] = [0, 1, 2, 3].map(|i| base.narrow(2, i, 1).squeeze(2));
        let (a, b) = (a * z.cos() + b * z.sin(), b * z.cos() - a * z.sin());
        let (b, c) = (b * x.cos() + c * x.sin(), c * x.cos() - b * x.sin());
        tape.stack(&[a, b, c, origin], 2)
    }

    fn n_bones(&self) -> usize {
        self.relatives.shape()[0]
    }
}

/// Where in θ the bend and the spread of each joint stand; at its end for those that have none.
fn joints(n_bones: usize) -> (Vec<usize>, Vec<usize>) {
    let (mut bends, mut spreads) = (vec![THETA; n_bones], vec![THETA; n_bones]);
    for finger in 0..FINGERS {
        let (first_bone, first_angle) = (2 + 4 * finger, 6 + 4 * finger);
        spreads[first_bone] = first_angle + 1;
        for (joint, angle) in [0, 2, 3].into_iter().enumerate() {
            bends[first_bone + joint] = first_angle + angle;
        }
    }
    (bends, spreads)
}

/// The rotation about `axis` by as many radians as it is long; none where that is below 10⁻⁴.
fn rotation<T: TensorLike>(axis: Var<'_, T>) -> Var<'_, T> {
    let identity = axis.new_constant([3, 3], &[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]);
    let angle = axis.norm(2.0);
    if angle.item().is_ok_and(|angle| angle < 1e-4) {
        return identity;
    }
    let axis = (axis / angle).unsqueeze(1);
    // [0, −z, y; z, 0, −x; −y, x, 0], row by row.
    let mut cross = [0.0; 27];
    for (place, axis, sign) in
        [(1, 2, -1.0), (2, 1, 1.0), (3, 2, 1.0), (5, 0, -1.0), (6, 1, -1.0), (7, 0, 1.0)]
    {
        cross[3 * place + axis] = sign;
    }
    let cross = axis.new_constant([9, 3], &cross).matmul(axis).reshape([3, 3]);
    let along = axis.matmul(axis.transpose(0, 1));
    along + (identity - along) * angle.cos() + cross * angle.sin()
}

/// The bones by their distance from the root.
fn levels(parents: &[i64]) -> anyhow::Result<Vec<Level>> {
    let mut levels: Vec<Level> = Vec::new();
    // The level of each bone, and its place there.
    let mut places: Vec<(usize, usize)> = Vec::new();
    for (bone, &parent) in parents.iter().enumerate() {
        let of_parent = usize::try_from(parent).ok().and_then(|parent| places.get(parent).copied());
        ensure!(
            parent == -1 || of_parent.is_some(),
            "the parent of bone {bone} is {parent}, neither -1 nor a bone before it"
        );
        let level = of_parent.map_or(0, |(level, _)| level + 1);
        if level == levels.len() {
            levels.push(Level::default());
        }
        places.push((level, levels[level].bones.len()));
        levels[level].bones.push(bone);
        levels[level].parents.extend(of_parent.map(|(_, place)| place));
    }
    Ok(levels)
}

impl Model {
    /// The vertices on which points lie.
    fn vertices(&self, points: &[usize]) -> anyhow::Result<Vec<usize>> {
        let n = self.base_positions.len();
        for &vertex in points {
            ensure!(vertex < n, "there is no vertex {vertex}; {n} are counted from 0");
        }
        Ok(points.to_vec())
    }

    /// The first, second and third corners of the triangles in which points lie.
    fn corners(&self, points: &[usize]) -> anyhow::Result<[Vec<usize>; 3]> {
        let n = self.triangles.len();
        let mut corners = [const { Vec::new() }; 3];
        for &triangle in points {
            let vertices = self.triangles.get(triangle);
            let vertices = vertices.with_context(|| {
                format!("there is no triangle {triangle}; {n} are counted from 0")
            })?;
            for (corner, &vertex) in corners.iter_mut().zip(vertices) {
                corner.push(vertex);
            }
        }
        let [a, b, c] = corners;
        Ok([self.vertices(&a)?, self.vertices(&b)?, self.vertices(&c)?])
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::FRAC_PI_2;

    use grad_ndarray::NdTensor;
    use serde_json::json;

    use super::*;

    /// 21 bones at the origin, all but the first on the first, and one vertex on bone 2.
    fn hand(theta: [f64; THETA]) -> Ht {
        let unit: [[f64; 4]; 4] =
            std::array::from_fn(|i| std::array::from_fn(|j| if i == j { 1.0 } else { 0.0 }));
        let model = Model {
            parents: (0..LEAST_BONES).map(|bone| if bone == 0 { -1 } else { 0 }).collect(),
            base_relatives: vec![unit; LEAST_BONES],
            inverse_base_absolutes: vec![unit; LEAST_BONES],
            base_positions: vec![[0.5, 1.0, 0.25, 1.0]],
            weights: vec![(0..LEAST_BONES).map(|bone| f64::from(u8::from(bone == 2))).collect()],
            triangles: vec![[0, 0, 0]],
            is_mirrored: false,
        };
        let data = Data { model, correspondences: vec![0], points: vec![[0.0, 0.0, 0.0]] };
        Ht { theta: theta.to_vec(), us: vec![], data }
    }

    fn compute(ht: &Ht, function: &str) -> Result<Value, String> {
        let model = NdTensor::from(0.0);
        ht.evaluate(function, &model, &mut Runs::default()).map_err(|error| error.to_string())
    }

    #[track_caller]
    fn assert_close(found: &Value, expected: &[f64]) {
        let found: Vec<f64> = found
            .as_array()
            .expect("a list")
            .iter()
            .map(|x| x.as_f64().expect("a number"))
            .collect();
        assert_eq!(found.len(), expected.len());
        for (a, b) in found.iter().zip(expected) {
            assert!((a - b).abs() < 1e-15, "{found:?} is not {expected:?}");
        }
    }

    #[test]
    fn fingers_have_three_bends_and_a_spread() {
        let (bends, spreads) = joints(22);
        let turning = |angles: Vec<usize>| -> Vec<(usize, usize)> {
            angles.into_iter().enumerate().filter(|&(_, angle)| angle < THETA).collect()
        };
        // As GradBench counts: bend and spread of the first joint, then the bends of two more.
        let expected = [
            [(2, 6), (3, 8), (4, 9)],
            [(6, 10), (7, 12), (8, 13)],
            [(10, 14), (11, 16), (12, 17)],
            [(14, 18), (15, 20), (16, 21)],
            [(18, 22), (19, 24), (20, 25)],
        ];
        assert_eq!(turning(bends), expected.concat());
        assert_eq!(turning(spreads), [(2, 7), (6, 11), (10, 15), (14, 19), (18, 23)]);
    }

    #[test]
    fn a_joint_bends_about_x_and_spreads_about_z() {
        // The vertex is at (½, 1, ¼), the point at 0; a quarter turn about x takes y to z, one about
        // z takes x to y.
        let mut theta = [0.0; THETA];
        theta[6] = FRAC_PI_2;
        let bent = compute(&hand(theta), "objective").expect("no error");
        assert_close(&bent, &[-0.5, 0.25, -1.0]);
        (theta[6], theta[7]) = (0.0, FRAC_PI_2);
        let spread = compute(&hand(theta), "objective").expect("no error");
        assert_close(&spread, &[1.0, -0.5, -0.25]);
    }

    #[test]
    fn the_hand_turns_and_moves() {
        let mut theta = [0.0; THETA];
        (theta[2], theta[3]) = (FRAC_PI_2, 8.0);
        let turned = compute(&hand(theta), "objective").expect("no error");
        assert_close(&turned, &[1.0 - 8.0, -0.5, -0.25]);
        // Mirrored first, to (−½, 1, ¼), then turned.
        let mut ht = hand(theta);
        ht.data.model.is_mirrored = true;
        assert_close(&compute(&ht, "objective").expect("no error"), &[1.0 - 8.0, 0.5, -0.25]);
    }

    #[test]
    fn a_hand_that_hardly_turns_has_no_derivative_in_its_rotation() {
        let mut theta = [0.0; THETA];
        theta[0] = 0.9e-4;
        let jacobian = compute(&hand(theta), "jacobian").expect("no error");
        let rows = jacobian.as_array().expect("rows");
        assert_eq!((rows.len(), rows[0].as_array().map(Vec::len)), (3, Some(THETA)));
        // Rotation, translation, and of a bend: about x, (0, 1, ¼) to (0, −¼, 1).
        for (axis, bend) in [0.0, 0.25, -1.0].into_iter().enumerate() {
            let mut expected = [0.0; 7];
            expected[3 + axis] = -1.0;
            expected[6] = bend;
            assert_close(&json!(rows[axis].as_array().expect("a row")[..7]), &expected);
        }
    }

    #[test]
    fn points_on_triangles_come_with_two_columns_more() {
        let mut ht = hand([0.0; THETA]);
        ht.data.model.base_positions =
            vec![[0.0, 0.0, 0.0, 1.0], [1.0, 0.0, 0.0, 1.0], [0.0, 1.0, 0.0, 1.0]];
        ht.data.model.weights = vec![ht.data.model.weights[0].clone(); 3];
        ht.data.model.triangles = vec![[1, 2, 0]];
        ht.us = vec![[0.25, 0.5]];
        // ¼ (1, 0, 0) + ½ (0, 1, 0), so that ∂/∂u₀ = (1, 0, 0) and ∂/∂u₁ = (0, 1, 0), negated.
        assert_close(&compute(&ht, "objective").expect("no error"), &[-0.25, -0.5, 0.0]);
        let jacobian = compute(&ht, "jacobian").expect("no error");
        for (axis, expected) in [[-1.0, 0.0], [0.0, -1.0], [0.0, 0.0]].iter().enumerate() {
            let row = jacobian[axis].as_array().expect("a row");
            assert_eq!(row.len(), 2 + THETA);
            assert_close(&json!(row[..2]), expected);
        }
    }

    #[test]
    fn what_does_not_fit_is_said() {
        let refused = |change: fn(&mut Ht)| {
            let mut ht = hand([0.0; THETA]);
            change(&mut ht);
            compute(&ht, "objective").expect_err("it does not fit")
        };
        assert_eq!(refused(|ht| ht.theta.truncate(3)), "theta has 3 elements, not 26");
        assert_eq!(
            refused(|ht| ht.data.model.parents.truncate(20)),
            "a hand must have at least 21 bones, got 20"
        );
        assert_eq!(
            refused(|ht| ht.data.model.parents[3] = 3),
            "the parent of bone 3 is 3, neither -1 nor a bone before it"
        );
        assert_eq!(
            refused(|ht| ht.data.correspondences = vec![1]),
            "there is no vertex 1; 1 are counted from 0"
        );
        assert_eq!(refused(|ht| ht.us = vec![[0.0; 2]; 2]), "us has 2 elements, neither 0 nor 1");
        assert_eq!(
            refused(|ht| {
                ht.us = vec![[0.0; 2]];
                ht.data.correspondences = vec![7];
            }),
            "there is no triangle 7; 1 are counted from 0"
        );
        assert_eq!(
            refused(|ht| ht.data.model.base_relatives.truncate(1)),
            "base_relatives has 1 elements, not 21"
        );
        assert_eq!(
            refused(|ht| ht.data.model.weights[0].truncate(1)),
            "row 0 of weights has 1 elements, not 21"
        );
    }
}
