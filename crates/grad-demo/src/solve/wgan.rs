//! A generative adversarial network whose critic is kept at slope 1.
//!
//! A generator G turns noise z into points that should be distributed like the data x. How far they
//! are from that, a critic D has to find out. The Wasserstein distance is the least work of moving
//! one heap of sand to the place of another, and a theorem of Kantorovich and Rubinstein says that
//! it is
//!
//! ```math
//! W = max E D(x) − E D(G(z))   over all functions D with |∇D| ≤ 1
//! ```
//!
//! So the critic ascends this difference, and the generator descends it. What keeps the slope of
//! the critic in bounds is a penalty, at random places x̂ between the data and their imitations:
//!
//! ```math
//! loss = E D(G(z)) − E D(x) + λ E (|∇D(x̂)| − 1)²,   x̂ = G(z) + ε (x − G(z))
//! ```
//!
//! This loss contains the gradient of a network by its input, and is differentiated by its weights.
//!
//! Source: I. Gulrajani, F. Ahmed, M. Arjovsky, V. Dumoulin, A. Courville, "Improved Training of
//! Wasserstein GANs" (2017).

use std::f64::consts::PI;

use fastrand::Rng;
use grad_core::{Error, Tape, TensorLike, Var, transform};

use super::network::Mlp;
use super::optimize::Adam;
use super::problem::Problem;
use super::progress::Progress;
use super::report::Report;

/// A generator and a critic of points in the plane.
pub(crate) struct Wgan;

/// D, from a point to a number.
const CRITIC: Mlp = Mlp { sizes: &[2, 24, 24, 1] };

/// λ; the paper has 10 for images, and its programs 0.1 for points in the plane.
const PENALTY: f64 = 2.0;

/// The data are three heaps, on the corners of a triangle at this distance from the origin,
const DATA_RADIUS: f64 = 3.0;

/// with this standard deviation.
const DATA_WIDTH: f64 = 0.5;

/// The points from each heap that are seen at a time.
const BATCH: usize = 20;

/// The points from each heap that results are measured with.
const MANY: usize = 500;

/// How often the generator learns,
const STEPS: u64 = 200;

/// and how often the critic before that: well before the first time, and then as in the paper.
const CRITIC_STEPS: [u64; 2] = [100, 5];

/// How far the weights of the generator, which are lengths, move in a step.
const GENERATOR_RATE: f64 = 0.06;

/// How far those of the critic do.
const CRITIC_RATE: f64 = 0.01;

impl Problem for Wgan {
    const NAME: &'static str = "wgan";
    const SUMMARY: &'static str = "a generator of points, by a critic that is kept at slope 1";

    fn solve<T: TensorLike>(model: &T, progress: &Progress) -> anyhow::Result<Report> {
        let mut chance = Chance { rng: Rng::with_seed(1), model };
        // Three wide heaps around the origin, where there are no data.
        let start = [triangle(0.5, 0.25), [[1.0; 2]; 3]];
        let start = model.from_host(&[2, 3, 1, 2], start.as_flattened().as_flattened())?;
        let data = chance.data(MANY)?;
        let before = sliced_distance(&data, &chance.fakes(&start, MANY)?)?;

        let mut free = Player::new(CRITIC.initial(model, 1)?)?;
        let mut critic = Player::new(CRITIC.initial(model, 1)?)?;
        for _ in 0..CRITIC_STEPS[0] {
            let batch = chance.batch(&start, BATCH)?;
            critic.learn(CRITIC_RATE, |critic| critic_loss(critic, &batch, PENALTY))?;
            free.learn(CRITIC_RATE, |critic| critic_loss(critic, &batch, 0.0))?;
        }
        let slope_of_free = mean_slope_error(&free.weights, &chance.batch(&start, MANY)?)?;

        let mut generator = Player::new(start.clone())?;
        // The generator ends up circling around its goal, and the average of its last weights does
        // not.
        let mut average = start;
        let bar = progress.start(STEPS, "generator against critic");
        for step in 0..STEPS {
            let left = 1.0 - step as f64 / STEPS as f64;
            for _ in 0..CRITIC_STEPS[1] {
                let batch = chance.batch(&generator.weights, BATCH)?;
                critic.learn(CRITIC_RATE * left.sqrt(), |critic| {
                    critic_loss(critic, &batch, PENALTY)
                })?;
            }
            let noise = chance.noise(BATCH)?;
            let loss = generator.learn(GENERATOR_RATE * left, |generator| {
                generator_loss(generator, &critic.weights, &noise)
            })?;
            average = average.scale(0.95)?.add(&generator.weights.scale(0.05)?)?;
            bar.step(loss);
        }

        let after = sliced_distance(&data, &chance.fakes(&average, MANY)?)?;
        let slope_error = mean_slope_error(&critic.weights, &chance.batch(&average, MANY)?)?;
        Ok(Report::new("Three heaps of points in the plane, imitated")
            .row("sliced Wasserstein distance, before", before, "")
            .check("sliced Wasserstein distance", after, 0.25)
            .row("mean of ||∇D| − 1| without the penalty", slope_of_free, "")
            .check("mean of ||∇D| − 1|", slope_error, 0.25))
    }
}

/// G: points from three heaps, μ + σ z, by the weights μ and σ, `[2, 3, 1, 2]`, and noise,
/// `[3, n, 2]`.
fn generate<'t, T: TensorLike>(weights: Var<'t, T>, noise: Var<'t, T>) -> Var<'t, T> {
    let (mean, width) = (weights.narrow(0, 0, 1), weights.narrow(0, 1, 1));
    (mean + width * noise).squeeze(0)
}

/// What the generator minimizes.
fn generator_loss<'t, T: TensorLike>(weights: Var<'t, T>, critic: &T, noise: &T) -> Var<'t, T> {
    let [critic, noise] = [critic, noise].map(|x| weights.tape().constant(x.clone()));
    -CRITIC.apply(critic, generate(weights, noise)).mean()
}

/// What the critic minimizes, where λ is `penalty`.
fn critic_loss<'t, T: TensorLike>(
    critic: Var<'t, T>,
    batch: &Batch<T>,
    penalty: f64,
) -> Var<'t, T> {
    let Batch { data, fakes, between } = batch;
    let [data, fakes, between] = [data, fakes, between].map(|x| critic.tape().constant(x.clone()));
    let advantage = CRITIC.apply(critic, data).mean() - CRITIC.apply(critic, fakes).mean();
    penalty * (slopes(critic, between) - 1.0).square().mean() - advantage
}

/// |∇D| at each of the points.
fn slopes<'t, T: TensorLike>(critic: Var<'t, T>, at: Var<'t, T>) -> Var<'t, T> {
    // A point has no influence on what the critic says about another: the gradient of the sum is
    // that at each point.
    let score = |x| CRITIC.apply(critic, x).sum();
    transform::grad(score, at).norm_axes(2.0, [-1])
}

/// How far |∇D| is from 1 on average, between the data and their imitations.
fn mean_slope_error<T: TensorLike>(critic: &T, batch: &Batch<T>) -> Result<f64, Error> {
    let tape = Tape::<T>::new();
    let [critic, between] = [critic, &batch.between].map(|x| tape.constant(x.clone()));
    (slopes(critic, between) - 1.0).abs().mean().item()
}

/// One of the two networks, which learns.
struct Player<T> {
    weights: T,
    adam: Adam<T>,
}

impl<T: TensorLike> Player<T> {
    fn new(weights: T) -> Result<Self, T::Error> {
        let adam = Adam::new(&weights, [0.0, 0.9])?; // The paper's.
        Ok(Player { weights, adam })
    }

    /// One step against the gradient of a loss, which is returned.
    fn learn(
        &mut self,
        rate: f64,
        loss: impl for<'t> Fn(Var<'t, T>) -> Var<'t, T>,
    ) -> anyhow::Result<f64> {
        let (loss, gradient) = transform::value_and_grad(loss, self.weights.clone())?;
        self.weights = self.adam.step(&self.weights, &gradient, rate)?;
        Ok(loss.to_host()?.iter().sum())
    }
}

/// What the critic sees at a time, each `[3, n, 2]`.
struct Batch<T> {
    data: T,
    fakes: T,
    /// Places between one of the data and one of the fakes.
    between: T,
}

/// All that happens by chance.
struct Chance<'a, T> {
    rng: Rng,
    model: &'a T,
}

impl<T: TensorLike> Chance<'_, T> {
    /// A number of the standard normal distribution, by the method of Box and Muller.
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.rng.f64()).ln()).sqrt();
        radius * (2.0 * PI * self.rng.f64()).cos()
    }

    /// Noise for the generator: `[3, n, 2]`.
    fn noise(&mut self, n: usize) -> Result<T, T::Error> {
        let noise: Vec<f64> = (0..6 * n).map(|_| self.normal()).collect();
        self.model.from_host(&[3, n, 2], &noise)
    }

    /// As many data from each heap, shuffled: `[3, n, 2]`.
    fn data(&mut self, n: usize) -> Result<T, T::Error> {
        let mut data = Vec::with_capacity(3 * n);
        for corner in triangle(DATA_RADIUS, 0.0) {
            data.extend((0..n).map(|_| corner.map(|x| x + DATA_WIDTH * self.normal())));
        }
        self.rng.shuffle(&mut data);
        self.model.from_host(&[3, n, 2], data.as_flattened())
    }

    /// As many imitations: `[3, n, 2]`.
    fn fakes(&mut self, generator: &T, n: usize) -> anyhow::Result<T> {
        let tape = Tape::<T>::new();
        let noise = tape.constant(self.noise(n)?);
        Ok(generate(tape.constant(generator.clone()), noise).value()?)
    }

    fn batch(&mut self, generator: &T, n: usize) -> anyhow::Result<Batch<T>> {
        let (data, fakes) = (self.data(n)?, self.fakes(generator, n)?);
        let share: Vec<f64> = (0..3 * n).map(|_| self.rng.f64()).collect();
        let share = self.model.from_host(&[3, n, 1], &share)?;
        let between = fakes.add(&share.mul(&data.sub(&fakes)?)?)?;
        Ok(Batch { data, fakes, between })
    }
}

/// The corners of a triangle around the origin, turned by a part of the angle between two.
fn triangle(radius: f64, turn: f64) -> [[f64; 2]; 3] {
    [0.0, 1.0, 2.0].map(|corner| {
        let (sin, cos) = (2.0 * PI * (corner + turn) / 3.0).sin_cos();
        [radius * cos, radius * sin]
    })
}

/// The Wasserstein distance of the shadows that two clouds of points throw on a line: the mean over
/// 32 lines.
///
/// On a line it is exact: no work is less than that of moving the points without changing their
/// order.
fn sliced_distance<T: TensorLike>(x: &T, y: &T) -> Result<f64, T::Error> {
    const LINES: usize = 32;
    let (x, y) = (x.to_host()?, y.to_host()?);
    let mut sum = 0.0;
    for line in 0..LINES {
        let (sin, cos) = (PI * line as f64 / LINES as f64).sin_cos();
        let shadow = |points: &[f64]| {
            let points = points.as_chunks().0.iter();
            let mut shadow: Vec<f64> = points.map(|&[a, b]| cos * a + sin * b).collect();
            shadow.sort_by(f64::total_cmp);
            shadow
        };
        let (x, y) = (shadow(&x), shadow(&y));
        sum += x.iter().zip(&y).map(|(x, y)| (x - y).abs()).sum::<f64>() / x.len() as f64;
    }
    Ok(sum / LINES as f64)
}

#[cfg(test)]
mod tests {
    use grad_ndarray::NdTensor;
    use grad_ndarray::ndarray::array;

    use super::*;
    use crate::place::{Backend, DType};
    use crate::solve::problem::testing::assert_solved;

    #[test]
    fn the_heaps_are_imitated_and_the_slope_is_one_on_ndarray() {
        assert_solved::<Wgan>(Backend::Ndarray, DType::F64);
    }

    #[test]
    fn the_heaps_are_imitated_and_the_slope_is_one_on_candle() {
        assert_solved::<Wgan>(Backend::Candle, DType::F64);
    }

    #[test]
    fn a_moved_cloud_is_as_far_away_as_the_shadow_of_the_move() -> anyhow::Result<()> {
        // Moved by (3, 4): the mean of |3 cos t + 4 sin t| = 5 |sin (t + …)| over all t, 5 · 2/π,
        // but for what 32 lines miss of it.
        let x = NdTensor::from(array![[0.0, 0.0], [1.0, -2.0], [0.5, 7.0]]);
        let y = NdTensor::from(array![[3.5, 11.0], [3.0, 4.0], [4.0, 2.0]]);
        assert!((sliced_distance(&x, &y)? - 10.0 / PI).abs() < 0.01);
        assert_eq!(sliced_distance(&x, &x)?, 0.0);
        Ok(())
    }
}
