//! A double pendulum that moves by its Lagrangian alone.
//!
//! Two rods of length l hang on each other, with a mass m at the end of each; q = (θ₁, θ₂) are
//! their angles to the vertical, q̇ the angular velocities. The Lagrangian is the kinetic minus the
//! potential energy, and all that mechanics has to say is that the motion obeys Euler and Lagrange:
//!
//! ```math
//! L(q, q̇) = Σ m |ẋᵢ|²/2 − m g yᵢ,   d/dt ∂L/∂q̇ = ∂L/∂q
//! ```
//!
//! With the chain rule on the left side, a linear system for the acceleration:
//!
//! ```math
//! (∂²L/∂q̇²) q̈ = ∂L/∂q − (∂²L/∂q̇∂q) q̇
//! ```
//!
//! Textbooks fill a page with it. Here nobody even writes down the velocities ẋᵢ: they are the
//! derivative of the positions along q̇, so that L itself contains a derivative, its gradient a
//! second one, and the matrix of masses a third.
//!
//! The system is chaotic, but not arbitrary: its energy q̇ · ∂L/∂q̇ − L never changes. And near rest
//! it swings in two modes, of the frequencies √(g/l · (2 ± √2)).

use std::f64::consts::{PI, SQRT_2};

use grad_core::{DType, Error, Tape, TensorLike, Var};

use super::problem::Problem;
use super::progress::Progress;
use super::report::{Report, largest};

/// Two rods that hang on each other.
pub(crate) struct DoublePendulum;

/// The acceleration of free fall, in m/s². Lengths are 1 m and masses 1 kg.
const G: f64 = 9.81;

/// How long the motion is followed,
const SECONDS: f64 = 6.0;

/// and in how many steps.
const STEPS: u64 = 600;

impl Problem for DoublePendulum {
    const NAME: &'static str = "double-pendulum";
    const SUMMARY: &'static str = "the motion of a double pendulum, from its Lagrangian alone";

    fn solve<T: TensorLike>(model: &T, progress: &Progress) -> anyhow::Result<Report> {
        let acceleration = error_of_acceleration(model)?;
        let [slow, fast] = frequencies(model)?[..] else { anyhow::bail!("there are two modes") };

        // Both rods are held out horizontally, and let go.
        let mut state = model.from_host(&[1, 4], &[PI / 2.0, PI / 2.0, 0.0, 0.0])?;
        let at_rest = energy_of(&model.full(&[1, 4], 0.0)?)?;
        let start = energy_of(&state)?;
        let mut drift = 0.0;
        let bar = progress.start(STEPS, "double pendulum");
        for _ in 0..STEPS {
            state = advance(&state, SECONDS / STEPS as f64)?;
            drift = largest([drift, ((energy_of(&state)? - start) / (start - at_rest)).abs()]);
            bar.step(drift);
        }

        let exact = |root: f64| (G * (2.0 + root)).sqrt();
        let (exact_slow, exact_fast) = (exact(-SQRT_2), exact(SQRT_2));
        // The drift is the method's in f64, and mostly rounding in f32.
        let (limit, drift_limit) =
            if model.dtype() == DType::F64 { (1e-12, 1e-6) } else { (1e-4, 1e-4) };
        Ok(Report::new("A double pendulum of two rods of 1 m with 1 kg each")
            .check("q̈, largest distance from the textbook's", acceleration, limit)
            .row("frequency of the slow mode", slow, "rad/s")
            .check("  relative error", (slow / exact_slow - 1.0).abs(), limit)
            .row("frequency of the fast mode", fast, "rad/s")
            .check("  relative error", (fast / exact_fast - 1.0).abs(), limit)
            .row("energy above rest", start - at_rest, "J")
            .check(format!("  relative drift in {SECONDS} s"), drift, drift_limit))
    }
}

/// The Lagrangian of each of n pendulums: `[n, 2]`, `[n, 2]` → `[n]`.
fn lagrangian<'t, T: TensorLike>(q: Var<'t, T>, v: Var<'t, T>) -> Var<'t, T> {
    // The second mass is where the first one is, and then a rod further.
    let x = q.sin().cumsum(-1);
    let y = -q.cos().cumsum(-1);
    let along = |position| q.tape().jvp(position, [(q, v)]);
    let kinetic = (along(x).square() + along(y).square()) / 2.0;
    (kinetic - G * y).sum_axes(-1)
}

/// The generalized forces ∂L/∂q and momenta ∂L/∂q̇, each `[n, 2]`.
fn slopes<'t, T: TensorLike>(q: Var<'t, T>, v: Var<'t, T>) -> [Var<'t, T>; 2] {
    // The pendulums know nothing of each other, so the gradient of the sum has a row for each.
    q.tape().grad(lagrangian(q, v).sum(), [q, v])
}

/// The matrices ∂y/∂x of vectors `y` that depend on the vectors `x`, each on its own: `[n, 2, 2]`.
fn jacobians<'t, T: TensorLike>(y: Var<'t, T>, x: Var<'t, T>) -> Var<'t, T> {
    let column = |unit: [f64; 2]| {
        let t = x.zeros_like() + x.new_constant([2], &unit);
        y.tape().jvp(y, [(x, t)])
    };
    y.tape().stack(&[column([1.0, 0.0]), column([0.0, 1.0])], -1)
}

/// q̈ by Euler and Lagrange: `[n, 2]`, `[n, 2]` → `[n, 2]`.
fn acceleration<'t, T: TensorLike>(q: Var<'t, T>, v: Var<'t, T>) -> Var<'t, T> {
    let [force, momentum] = slopes(q, v);
    let transport = q.tape().jvp(momentum, [(q, v)]);
    jacobians(momentum, v).solve(force - transport)
}

/// q̇ · ∂L/∂q̇ − L: `[n, 2]`, `[n, 2]` → `[n]`.
fn energy<'t, T: TensorLike>(q: Var<'t, T>, v: Var<'t, T>) -> Var<'t, T> {
    let [_, momentum] = slopes(q, v);
    (momentum * v).sum_axes(-1) - lagrangian(q, v)
}

/// The frequencies of small swings around rest, ascending: `[2]`.
///
/// There M q̈ = −K q with M = ∂²L/∂q̇² and K = −∂²L/∂q², so that ω² is an eigenvalue of
/// C⁻¹ K C⁻ᵀ, where C Cᵀ = M.
fn frequencies<T: TensorLike>(model: &T) -> anyhow::Result<Vec<f64>> {
    let tape = Tape::<T>::new();
    let rest = model.full(&[1, 2], 0.0)?;
    let (q, v) = (tape.var(rest.clone()), tape.var(rest));
    let [force, momentum] = slopes(q, v);
    let stiffness = -jacobians(force, q);
    let c = jacobians(momentum, v).cholesky();
    let half = c.triangular_solve(stiffness, false);
    let whole = c.triangular_solve(half.transpose(-1, -2), false);
    Ok(whole.eigvalsh().sqrt().to_host()?)
}

/// How a state changes. A state is q beside q̇: `[n, 4]` → `[n, 4]`.
fn rate<'t, T: TensorLike>(state: Var<'t, T>) -> Var<'t, T> {
    let [q, v] = halves(state);
    state.tape().concat(&[v, acceleration(q, v)], -1)
}

/// The state a time `dt` later, by the method of Runge and Kutta of order 4.
fn advance<T: TensorLike>(state: &T, dt: f64) -> Result<T, Error> {
    let tape = Tape::<T>::new();
    let x = tape.var(state.clone());
    let a = rate(x);
    let b = rate(x + a * (dt / 2.0));
    let c = rate(x + b * (dt / 2.0));
    let d = rate(x + c * dt);
    (x + (a + 2.0 * b + 2.0 * c + d) * (dt / 6.0)).value()
}

/// q and q̇ of a state.
fn halves<'t, T: TensorLike>(state: Var<'t, T>) -> [Var<'t, T>; 2] {
    [state.narrow(-1, 0, 2), state.narrow(-1, 2, 2)]
}

/// The energy of one pendulum.
fn energy_of<T: TensorLike>(state: &T) -> Result<f64, Error> {
    let tape = Tape::<T>::new();
    let [q, v] = halves(tape.var(state.clone()));
    energy(q, v).item()
}

/// q̈ as textbooks derive it, for m = l = 1.
fn textbook([q1, q2, v1, v2]: [f64; 4]) -> [f64; 2] {
    let d = q1 - q2;
    let inertia = 3.0 - (2.0 * d).cos();
    let left = -G * (3.0 * q1.sin() + (q1 - 2.0 * q2).sin())
        - 2.0 * d.sin() * (v2 * v2 + v1 * v1 * d.cos());
    let right = 2.0 * d.sin() * (2.0 * v1 * v1 + 2.0 * G * q1.cos() + v2 * v2 * d.cos());
    [left / inertia, right / inertia]
}

/// The largest distance of q̈ from the textbook's, at random states.
fn error_of_acceleration<T: TensorLike>(model: &T) -> anyhow::Result<f64> {
    let mut random = fastrand::Rng::with_seed(0);
    let states: Vec<[f64; 4]> =
        (0..100).map(|_| std::array::from_fn(|_| PI * (2.0 * random.f64() - 1.0))).collect();
    let tape = Tape::<T>::new();
    let [q, v] = halves(tape.var(model.from_host(&[100, 4], states.as_flattened())?));
    let found = acceleration(q, v).to_host()?;
    let errors = found.iter().zip(states.into_iter().flat_map(textbook));
    Ok(largest(errors.map(|(found, expected)| (found - expected).abs())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::place::{Backend, DType};
    use crate::solve::problem::testing::assert_solved;

    #[test]
    fn the_lagrangian_moves_a_double_pendulum_on_ndarray() {
        assert_solved::<DoublePendulum>(Backend::Ndarray, DType::F64);
    }

    #[test]
    fn the_lagrangian_moves_a_double_pendulum_on_candle() {
        assert_solved::<DoublePendulum>(Backend::Candle, DType::F64);
        assert_solved::<DoublePendulum>(Backend::Candle, DType::F32);
    }
}
