//! Clusters of atoms: forces, vibrations, and a potential that is learned from energies and forces.
//!
//! Two atoms of a noble gas at the distance r, in its own units of energy and length, have the
//! energy of J. E. Lennard-Jones; a cluster has the sum over all pairs. The forces are the downhill
//! slope of the energy, and around a minimum the Hessian says how it vibrates:
//!
//! ```math
//! E = Σ 4 (r⁻¹² − r⁻⁶),   F = −∂E/∂x,   H = ∂²E/∂x²
//! ```
//!
//! Real molecules have no such formula. Quantum mechanics gives energies and forces at some
//! geometries, for a price, and a network learns the potential from these. One number for the
//! energy says little about 3n coordinates, and the forces say all of it, so the loss compares
//! forces too: they are derivatives of the network by its *input*, and are differentiated once more
//! by its *weights*.
//!
//! ```math
//! loss = mean (E_θ − E)² + mean |−∂E_θ/∂x − F|²
//! ```
//!
//! The minima to compare with: D. J. Wales, J. P. K. Doye, "Global Optimization by Basin-Hopping
//! and the Lowest Energy Structures of Lennard-Jones Clusters Containing up to 110 Atoms" (1997).
//! The network sees an atom as in J. Behler, M. Parrinello, "Generalized Neural-Network
//! Representation of High-Dimensional Potential-Energy Surfaces" (2007).

use std::f64::consts::PI;

use fastrand::Rng;
use grad_core::{DType, Error, Tape, TensorLike, Var, transform};

use super::network::Mlp;
use super::optimize::Adam;
use super::problem::Problem;
use super::progress::Progress;
use super::report::{Report, largest};

/// Clusters of 13 and of 7 atoms.
pub(crate) struct Molecule;

/// The lowest energy of 13 atoms: one amid the corners of an icosahedron.
const LOWEST_OF_13: f64 = -44.326801;

/// The lowest energy of 7 atoms: a bipyramid over a pentagon.
const LOWEST_OF_7: f64 = -16.505384;

/// How many functions of the distance the network sees an atom by,
const N_FUNCTIONS: usize = 10;

/// and the distances at which the first and the last of them are largest.
const RANGE: [f64; 2] = [0.9, 1.9];

/// From the surroundings of an atom to its share of the energy.
const NETWORK: Mlp = Mlp { sizes: &[N_FUNCTIONS, 16, 1] };

/// The geometries to learn from,
const N_GEOMETRIES: usize = 32;

/// in which each coordinate is at most so far from the minimum.
const SHAKE: f64 = 0.05;

/// How often all geometries are learned from.
const STEPS: u64 = 300;

impl Problem for Molecule {
    const NAME: &'static str = "molecule";
    const SUMMARY: &'static str = "forces, vibrations and a learned potential of clusters of atoms";

    fn solve<T: TensorLike>(model: &T, progress: &Progress) -> anyhow::Result<Report> {
        let is_double = model.dtype() == DType::F64;
        let (limit, energy_limit) = if is_double { (1e-12, 1e-6) } else { (1e-4, 1e-4) };
        let mut rng = Rng::with_seed(1);

        let start = shaken(model, &icosahedron(), 0.1, &mut rng)?;
        let found = transform::grad(lennard_jones, start.clone())?.to_host()?;
        let force_error = relative_error(&found, &slopes_by_hand(&start.to_host()?));
        let minimum = relaxed(start)?;
        let energy_of_13 = energy(&minimum)?;
        let stiffness = modes(&minimum)?.0.to_host()?;
        let (stillness, n_frequencies) = vibrations(&stiffness);

        let minimum = relaxed(shaken(model, &bipyramid(), 0.1, &mut rng)?)?;
        let energy_of_7 = energy(&minimum)?;
        let seen = Geometries::around(&minimum, N_GEOMETRIES, &mut rng)?;
        let unseen = Geometries::around(&minimum, 2 * N_GEOMETRIES, &mut rng)?;
        let start = NETWORK.initial(model, 1)?;
        let bar = progress.start(2 * STEPS, "learning the potential");
        let by_energies = learn(&start, |theta| seen.energy_loss(theta), |loss| bar.step(loss))?;
        let by_both = learn(
            &start,
            |theta| seen.energy_loss(theta) + seen.force_loss(theta),
            |loss| bar.step(loss),
        )?;
        let [by_energies, by_both] =
            [unseen.force_error(&by_energies)?, unseen.force_error(&by_both)?];

        Ok(Report::new("Clusters of atoms, in the units of Lennard-Jones")
            .check("13 atoms: relative error of the forces", force_error, limit)
            .row("  energy of the relaxed cluster", energy_of_13, "")
            .check("  from the lowest known", (energy_of_13 - LOWEST_OF_13).abs(), energy_limit)
            .check("  stiffness against moves and turns, relative", stillness, limit)
            .row("  different frequencies of 33 vibrations", n_frequencies as f64, "")
            .row("7 atoms: energy of the relaxed cluster", energy_of_7, "")
            .check("  from the lowest known", (energy_of_7 - LOWEST_OF_7).abs(), energy_limit)
            .row("  force error, learned from energies", by_energies, "")
            .check("  force error, learned from forces too", by_both, 0.1)
            .check("  as a share of the former", by_both / by_energies, 0.25))
    }
}

/// E of Lennard-Jones: `[.., n, 3]` → `[..]`.
fn lennard_jones<'t, T: TensorLike>(atoms: Var<'t, T>) -> Var<'t, T> {
    let attraction = squared_distances(atoms).powi(-3);
    4.0 * (attraction.square() - attraction).sum_axes([-1])
}

/// r² of each pair of atoms: `[.., n, 3]` → `[.., n (n − 1) / 2]`.
fn squared_distances<'t, T: TensorLike>(atoms: Var<'t, T>) -> Var<'t, T> {
    let (one, other): (Vec<_>, Vec<_>) = pairs(n_atoms(atoms)).unzip();
    let between = atoms.index_select(-2, &one) - atoms.index_select(-2, &other);
    between.square().sum_axes([-1])
}

/// The places of two atoms.
fn pairs(n: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..n).flat_map(|one| (0..one).map(move |other| (one, other)))
}

/// n of `[.., n, 3]`; for a void handle 0, which is as good as any number.
fn n_atoms<T: TensorLike>(atoms: Var<'_, T>) -> usize {
    atoms.shape().ok().and_then(|shape| shape.iter().rev().nth(1).copied()).unwrap_or(0)
}

/// E of one cluster.
fn energy<T: TensorLike>(atoms: &T) -> Result<f64, Error> {
    lennard_jones(Tape::<T>::new().constant(atoms.clone())).item()
}

/// How stiff a cluster is in the directions in which it vibrates, ascending, and these directions:
/// the eigenvalues `[3n]` and eigenvectors `[3n, 3n]` of the Hessian.
fn modes<T: TensorLike>(atoms: &T) -> Result<(T, T), Error> {
    let n = atoms.shape().iter().product::<usize>();
    let tape = Tape::<T>::new();
    let hessian = tape.constant(transform::hessian(lennard_jones, atoms.clone())?);
    let (stiffness, directions) = hessian.reshape([n, n]).eigh();
    Ok((stiffness.value()?, directions.value()?))
}

/// A minimum near a geometry, by Newton's method along the modes.
///
/// Where the energy is curved downward, −λ in place of λ makes the step go down nevertheless, and
/// no mode counts as softer than 1: the six without stiffness, in which the whole cluster moves or
/// turns, have no force either.
fn relaxed<T: TensorLike>(mut atoms: T) -> anyhow::Result<T> {
    for _ in 0..30 {
        let slope = transform::grad(lennard_jones, atoms.clone())?;
        let (stiffness, directions) = modes(&atoms)?;
        let n = stiffness.shape()[0];
        let along = slope.reshape(&[1, n])?.matmul(&directions)?;
        let along = along.div(&stiffness.abs()?.maximum(&stiffness.scalar(1.0)?)?)?;
        let mut step = along.matmul(&directions.permute(&[1, 0])?)?.reshape(atoms.shape())?;
        // Atoms that would come too close go half of the way, or half of that.
        let start = energy(&atoms)?;
        let mut next = atoms.sub(&step)?;
        for _ in 0..10 {
            if energy(&next)? <= start {
                break;
            }
            step = step.scale(0.5)?;
            next = atoms.sub(&step)?;
        }
        atoms = next;
        // Newton doubles the number of right digits: after a step this small all are right.
        if step.square()?.to_host()?.iter().sum::<f64>() < atoms.dtype().epsilon() {
            break;
        }
    }
    Ok(atoms)
}

/// ∂E/∂x of Lennard-Jones by hand: −24 Σ (2 r⁻¹⁴ − r⁻⁸) (xᵢ − xⱼ).
fn slopes_by_hand(atoms: &[f64]) -> Vec<f64> {
    let mut slopes = vec![0.0; atoms.len()];
    for (one, other) in pairs(atoms.len() / 3) {
        let between: [f64; 3] =
            std::array::from_fn(|axis| atoms[3 * one + axis] - atoms[3 * other + axis]);
        let square: f64 = between.iter().map(|x| x * x).sum();
        let pull = -24.0 * (2.0 * square.powi(-7) - square.powi(-4));
        for axis in 0..3 {
            slopes[3 * one + axis] += pull * between[axis];
            slopes[3 * other + axis] -= pull * between[axis];
        }
    }
    slopes
}

/// |found − expected| / |expected| of vectors.
fn relative_error(found: &[f64], expected: &[f64]) -> f64 {
    let norm = |x: &mut dyn Iterator<Item = f64>| x.map(|x| x * x).sum::<f64>().sqrt();
    norm(&mut found.iter().zip(expected).map(|(x, y)| x - y)) / norm(&mut expected.iter().copied())
}

/// Of the eigenvalues of a Hessian: how large the six are that should be 0, by the largest of all;
/// and how many different ones the others are.
fn vibrations(stiffness: &[f64]) -> (f64, usize) {
    let largest = |values: &[f64]| largest(values.iter().map(|&x| x.abs()));
    let (still, vibrating) = stiffness.split_at(6.min(stiffness.len()));
    (largest(still) / largest(stiffness), multiplicities(vibrating).len())
}

/// How often each of the ascending values occurs, but for rounding.
fn multiplicities(values: &[f64]) -> Vec<usize> {
    values.chunk_by(|x, y| y - x < 1e-3 * y).map(<[f64]>::len).collect()
}

/// The energy as the network has it: `[.., n, 3]` → `[..]`.
///
/// An atom sees the others through functions of the distance, each largest at another one, which
/// are summed over the others. So nothing depends on the order of the atoms, nor on where the
/// cluster is and how it is turned.
fn learned<'t, T: TensorLike>(theta: Var<'t, T>, atoms: Var<'t, T>) -> Var<'t, T> {
    let n = n_atoms(atoms);
    let width = (RANGE[1] - RANGE[0]) / (N_FUNCTIONS - 1) as f64;
    let centers: Vec<f64> = (0..N_FUNCTIONS).map(|at| RANGE[0] + width * at as f64).collect();
    let centers = atoms.new_constant([N_FUNCTIONS], &centers);
    let distance = squared_distances(atoms).sqrt().unsqueeze(-1);
    let seen = (-((distance - centers) / width).square()).exp();
    // 1 where an atom belongs to a pair: the sum over its pairs is a matrix product.
    let belongs: Vec<f64> = (0..n)
        .flat_map(|atom| pairs(n).map(move |(one, other)| atom == one || atom == other))
        .map(|belongs| f64::from(u8::from(belongs)))
        .collect();
    let belongs = atoms.new_constant([n, pairs(n).count()], &belongs);
    NETWORK.apply(theta, belongs.matmul(seen)).sum_axes([-2, -1])
}

/// Weights that make a loss small, by Adam; `done` hears of the loss before each step.
fn learn<T: TensorLike>(
    start: &T,
    loss: impl for<'t> Fn(Var<'t, T>) -> Var<'t, T>,
    mut done: impl FnMut(f64),
) -> anyhow::Result<T> {
    let (mut theta, mut adam) = (start.clone(), Adam::new(start, [0.9, 0.999])?);
    for step in 0..STEPS {
        let (loss, gradient) = transform::value_and_grad(&loss, theta.clone())?;
        let rate = 0.03 * (1.0 - step as f64 / STEPS as f64);
        theta = adam.step(&theta, &gradient, rate)?;
        done(loss.to_host()?.iter().sum());
    }
    Ok(theta)
}

/// Geometries of a cluster, and what there is to learn about them.
struct Geometries<T> {
    /// `[m, n, 3]`
    atoms: T,
    /// E above that of the minimum, `[m]`.
    energies: T,
    /// ∂E/∂x, `[m, n, 3]`.
    slopes: T,
}

impl<T: TensorLike> Geometries<T> {
    /// Random ones around a minimum.
    fn around(minimum: &T, m: usize, rng: &mut Rng) -> anyhow::Result<Self> {
        let center = minimum.to_host()?;
        let atoms: Vec<f64> =
            (0..m).flat_map(|_| &center).map(|x| x + SHAKE * signed_unit(rng)).collect();
        let atoms = minimum.from_host(&[m, center.len() / 3, 3], &atoms)?;
        let tape = Tape::<T>::new();
        let energies = lennard_jones(tape.constant(atoms.clone())) - energy(minimum)?;
        let slopes = transform::grad(|atoms| lennard_jones(atoms).sum(), atoms.clone())?;
        Ok(Geometries { atoms, energies: energies.value()?, slopes })
    }

    /// How wrong the energies are.
    fn energy_loss<'t>(&self, theta: Var<'t, T>) -> Var<'t, T> {
        let [atoms, energies] =
            [&self.atoms, &self.energies].map(|x| theta.tape().constant(x.clone()));
        (learned(theta, atoms) - energies).square().mean()
    }

    /// How wrong the forces are: the square of the distance for each atom.
    fn force_loss<'t>(&self, theta: Var<'t, T>) -> Var<'t, T> {
        let [atoms, slopes] = [&self.atoms, &self.slopes].map(|x| theta.tape().constant(x.clone()));
        let energy = |atoms| learned(theta, atoms).sum();
        (transform::grad(energy, atoms) - slopes).square().sum_axes([-1]).mean()
    }

    /// The error of the forces, relative to all forces.
    fn force_error(&self, theta: &T) -> Result<f64, Error> {
        let tape = Tape::<T>::new();
        let none = tape.constant(self.slopes.clone()).square().sum_axes([-1]).mean();
        (self.force_loss(tape.constant(theta.clone())) / none).sqrt().item()
    }
}

/// Atoms with each coordinate moved by at most `by`: `[n, 3]`.
fn shaken<T: TensorLike>(
    model: &T,
    atoms: &[[f64; 3]],
    by: f64,
    rng: &mut Rng,
) -> Result<T, T::Error> {
    let moved: Vec<f64> = atoms.iter().flatten().map(|x| x + by * signed_unit(rng)).collect();
    model.from_host(&[atoms.len(), 3], &moved)
}

/// A number in [−1, 1).
fn signed_unit(rng: &mut Rng) -> f64 {
    2.0 * rng.f64() - 1.0
}

/// The corners of an icosahedron, about 1.1 from each other, and its center.
fn icosahedron() -> Vec<[f64; 3]> {
    let golden = (1.0 + 5.0_f64.sqrt()) / 2.0;
    let mut atoms = vec![[0.0; 3]];
    for a in [-0.55, 0.55] {
        for b in [-0.55 * golden, 0.55 * golden] {
            atoms.extend([[0.0, a, b], [a, b, 0.0], [b, 0.0, a]]);
        }
    }
    atoms
}

/// The corners of a pentagon, about 1.1 from each other, and one above and one below its center.
fn bipyramid() -> Vec<[f64; 3]> {
    let mut atoms = vec![[0.0, 0.0, 0.55], [0.0, 0.0, -0.55]];
    for corner in [0.0, 1.0, 2.0, 3.0, 4.0] {
        let (sin, cos) = (2.0 * PI * corner / 5.0).sin_cos();
        atoms.push([0.95 * cos, 0.95 * sin, 0.0]);
    }
    atoms
}

#[cfg(test)]
mod tests {
    use grad_ndarray::NdTensor;

    use super::*;
    use crate::place::{Backend, DType};
    use crate::solve::problem::testing::assert_solved;

    #[test]
    fn clusters_relax_and_are_learned_on_ndarray() {
        assert_solved::<Molecule>(Backend::Ndarray, DType::F64);
    }

    #[test]
    fn clusters_relax_and_are_learned_on_candle() {
        assert_solved::<Molecule>(Backend::Candle, DType::F64);
        assert_solved::<Molecule>(Backend::Candle, DType::F32);
    }

    #[test]
    fn an_icosahedron_vibrates_as_its_symmetry_demands() -> anyhow::Result<()> {
        // In the group of the icosahedron the motions of the 12 corners are A + T1 (turns) + 2 T1
        // ...
        let model = NdTensor::from(0.0);
        let minimum = relaxed(shaken(&model, &icosahedron(), 0.1, &mut Rng::with_seed(1))?)?;
        let stiffness = modes(&minimum)?.0.to_host()?;
        let mut found = multiplicities(&stiffness[6..]);
        found.sort_unstable();
        assert_eq!(found, [1, 3, 3, 3, 4, 4, 5, 5, 5]);
        Ok(())
    }
}
