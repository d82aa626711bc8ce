//! A pendulum that is learned as an energy, and so keeps its energy.
//!
//! We observe a pendulum: at some angles q and momenta p, how fast both change, with an error. A
//! network that learns these two speeds is good at every moment, but its small errors add up: left
//! to itself, its pendulum gains or loses energy without end.
//!
//! A Hamiltonian network learns *one* number, the energy H(q, p), and the speeds are its
//! derivatives:
//!
//! ```math
//! dq/dt = ∂H/∂p,   dp/dt = −∂H/∂q
//! ```
//!
//! Whatever the network is, H does not change along such a movement: dH/dt = H_q H_p − H_p H_q = 0.
//! So the loss contains the gradient of a network, and to train it we differentiate that gradient.
//!
//! Source: S. Greydanus, M. Dzamba, J. Yosinski, "Hamiltonian Neural Networks" (2019).

use grad_core::{Error, Tape, TensorLike, Var, transform};

use super::network::Mlp;
use super::optimize::least_squares;
use super::problem::Problem;
use super::progress::Progress;
use super::report::{Report, largest};

/// A pendulum learned from observations, by its energy and without.
pub(crate) struct Hamiltonian;

/// Angle and momentum to energy.
const ENERGY: Mlp = Mlp { sizes: &[2, 16, 1] };

/// Angle and momentum to their speeds.
const SPEEDS: Mlp = Mlp { sizes: &[2, 16, 2] };

const OBSERVATIONS: usize = 200;

/// The largest error of an observed speed; the speeds themselves are up to 2.
const NOISE: f64 = 0.1;

const STEPS: u64 = 25;

/// The starts of the movements: angles, without momentum.
const ANGLES: [f64; 3] = [0.8, 1.2, 1.6];

/// The movements are followed for 1000 steps of 0.1; a swing takes about 7.
const MOMENTS: usize = 1000;
const MOMENT: f64 = 0.1;

impl Problem for Hamiltonian {
    const NAME: &'static str = "hamiltonian";
    const SUMMARY: &'static str = "a pendulum learned as an energy, which it then conserves";

    fn solve<T: TensorLike>(model: &T, progress: &Progress) -> anyhow::Result<Report> {
        let observed = observe(model)?;
        let energy = fit(by_energy, ENERGY, &observed, progress)?;
        let speeds = fit(by_speeds, SPEEDS, &observed, progress)?;

        let kept = follow(by_energy, &energy, progress)?;
        let lost = follow(by_speeds, &speeds, progress)?;
        let error = |errors: &[f64], n: usize| largest(errors[..n].iter().copied());
        let (kept_long, lost_long) = (error(&kept, MOMENTS), error(&lost, MOMENTS));
        Ok(Report::new("A pendulum learned from noisy observations")
            .row("observations", OBSERVATIONS as f64, "")
            .row("weights, learning the energy", ENERGY.n_weights() as f64, "")
            .row("weights, learning the speeds", SPEEDS.n_weights() as f64, "")
            .row("energy error to time 10, learning the speeds", error(&lost, MOMENTS / 10), "")
            .row("energy error to time 100, learning the speeds", lost_long, "")
            .row("energy error to time 10, learning the energy", error(&kept, MOMENTS / 10), "")
            .check("energy error to time 100, learning the energy", kept_long, 0.1)
            .check("the two errors at the end, as a fraction", kept_long / lost_long, 0.1))
    }
}

/// A model of the pendulum: the speeds of states `[n, 2]` of angle and momentum.
///
/// A pointer, since a closure is not generic over the lifetime of the tape once it has a name.
type Model<T> = for<'t> fn(Var<'t, T>, Var<'t, T>) -> Var<'t, T>;

/// The speeds are derivatives of the energy.
fn by_energy<'t, T: TensorLike>(theta: Var<'t, T>, state: Var<'t, T>) -> Var<'t, T> {
    // The states do not see each other, so the gradient of the sum has that of each.
    let slope = transform::grad(|state| ENERGY.apply(theta, state).sum(), state);
    // (∂H/∂q, ∂H/∂p) to (∂H/∂p, −∂H/∂q).
    slope.flip([-1]) * state.new_constant([2], &[1.0, -1.0])
}

/// The speeds are what the network says.
fn by_speeds<'t, T: TensorLike>(theta: Var<'t, T>, state: Var<'t, T>) -> Var<'t, T> {
    SPEEDS.apply(theta, state)
}

/// States and their speeds, with errors: of the pendulum with H = p²/2 + 1 − cos q.
fn observe<T: TensorLike>(model: &T) -> Result<[T; 2], T::Error> {
    let mut random = fastrand::Rng::with_seed(1);
    let mut within = |bound: f64| bound * (2.0 * random.f64() - 1.0);
    let (mut states, mut speeds) = (Vec::new(), Vec::new());
    for _ in 0..OBSERVATIONS {
        let (q, p) = (within(2.0), within(2.0));
        states.extend([q, p]);
        speeds.extend([p + within(NOISE), -q.sin() + within(NOISE)]);
    }
    let shape = [OBSERVATIONS, 2];
    Ok([model.from_host(&shape, &states)?, model.from_host(&shape, &speeds)?])
}

/// The weights with which the speeds of a model are nearest to the observed ones.
fn fit<T: TensorLike>(
    speeds: Model<T>,
    network: Mlp,
    observed: &[T; 2],
    progress: &Progress,
) -> anyhow::Result<T> {
    let bar = progress.start(STEPS, "fitting the observations");
    least_squares(
        |theta| {
            let [state, speed] = observed.each_ref().map(|x| theta.tape().constant(x.clone()));
            (speeds(theta, state) - speed).reshape([2 * OBSERVATIONS])
        },
        network.initial(&observed[0], 2)?,
        STEPS,
        |loss| bar.step(loss),
    )
}

/// By how much the energy is off, relative to that at the start, at each moment of the movement of
/// a model; of the movements from each of [`ANGLES`] the one that is worst then.
fn follow<T: TensorLike>(
    speeds: Model<T>,
    theta: &T,
    progress: &Progress,
) -> anyhow::Result<Vec<f64>> {
    let bar = progress.start(MOMENTS as u64, "following the pendulum");
    let start: Vec<f64> = ANGLES.iter().flat_map(|&angle| [angle, 0.0]).collect();
    let mut state = theta.from_host(&[ANGLES.len(), 2], &start)?;
    let mut errors = Vec::with_capacity(MOMENTS);
    for _ in 0..MOMENTS {
        state = step(speeds, theta, &state)?;
        let now = state.to_host()?;
        let pairs = now.chunks(2).zip(start.chunks(2));
        let off = largest(pairs.map(|(now, start)| (energy(now) / energy(start) - 1.0).abs()));
        errors.push(off);
        bar.step(off);
    }
    Ok(errors)
}

/// The true energy of an angle and a momentum.
fn energy(state: &[f64]) -> f64 {
    state[1] * state[1] / 2.0 + 1.0 - state[0].cos()
}

/// The state a moment later, by the method of Runge and Kutta.
fn step<T: TensorLike>(speeds: Model<T>, theta: &T, state: &T) -> Result<T, Error> {
    let tape = Tape::<T>::new();
    let (theta, x) = (tape.constant(theta.clone()), tape.constant(state.clone()));
    let h = MOMENT;
    let k1 = speeds(theta, x);
    let k2 = speeds(theta, x + h / 2.0 * k1);
    let k3 = speeds(theta, x + h / 2.0 * k2);
    let k4 = speeds(theta, x + h * k3);
    (x + h / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)).value()
}

#[cfg(test)]
mod tests {
    use super::Hamiltonian;
    use crate::place::{Backend, DType};
    use crate::solve::problem::testing::assert_solved;

    #[test]
    fn the_energy_is_kept_on_ndarray() {
        assert_solved::<Hamiltonian>(Backend::Ndarray, DType::F64);
    }

    #[test]
    fn the_energy_is_kept_on_candle() {
        assert_solved::<Hamiltonian>(Backend::Candle, DType::F64);
        assert_solved::<Hamiltonian>(Backend::Candle, DType::F32);
    }
}
