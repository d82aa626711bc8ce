//! The classifier: a multilayer perceptron, generic over what its tensors are.
//!
//! `Mlp<T>` holds plain tensors, and `Mlp<Var<'_, T>>` the handles of the same tensors on a tape.

use grad_core::transform::{self, Params, WithTape};
use grad_core::{Error, Tape, TensorLike, Var};
use rand::RngExt as _;

use super::data::{self, Images, N_CLASSES, N_PIXELS};

/// Linear maps with `relu` between them. There is at least one.
#[derive(Clone, Debug)]
pub(super) struct Mlp<X> {
    layers: Vec<Linear<X>>,
}

/// `x ↦ x W + b`.
#[derive(Clone, Debug)]
struct Linear<X> {
    /// Shape `[inputs, outputs]`.
    weight: X,
    /// Shape `[outputs]`.
    bias: X,
}

impl<'t, T: TensorLike> Mlp<Var<'t, T>> {
    /// What speaks for each digit: `[n, N_PIXELS]` → `[n, N_CLASSES]`.
    fn logits(&self, pixels: Var<'t, T>) -> Var<'t, T> {
        let mut x = pixels;
        for (at, Linear { weight, bias }) in self.layers.iter().enumerate() {
            let inputs = if at == 0 { x } else { x.relu() };
            x = inputs.matmul(*weight) + *bias;
        }
        x
    }
}

impl<T: TensorLike> Mlp<T> {
    /// Weights to start from: uniform in `±√(6 / inputs)`, so that the variance of what goes
    /// through a layer and `relu` stays; biases of 0.
    ///
    /// Source: K. He et al., "Delving Deep into Rectifiers" (2015), equation 10.
    pub(super) fn initial(hidden: &[usize], seed: u64, model: &T) -> Result<Self, T::Error> {
        let mut random = data::random(seed, 0);
        Mlp::build(hidden, |_, shape| match *shape {
            [inputs, outputs] => {
                let bound = (6.0 / inputs as f64).sqrt();
                let n = inputs * outputs;
                let weight: Vec<f64> = (0..n).map(|_| random.random_range(-bound..bound)).collect();
                model.from_host(shape, &weight)
            }
            _ => model.full(shape, 0.0),
        })
    }

    /// The mean cross-entropy on `images`, which is `−ln` of the probability given to what an image
    /// shows; and its gradient, which has the form of the model.
    pub(super) fn loss_and_gradient(&self, images: &Images<T>) -> Result<(T, Self), Error> {
        transform::value_and_grad(
            |tape, mlp| {
                let logits = mlp.logits(tape.constant(images.pixels.clone()));
                logits.cross_entropy(&images.digits[..])
            },
            self.clone(),
        )
    }

    /// How good it is on `images`; nothing is differentiated.
    pub(super) fn score(&self, images: &Images<T>) -> Result<Score, Error> {
        let tape = Tape::<T>::new();
        let mlp = self.map(&mut |x| tape.constant(x.clone()));
        let logits = mlp.logits(tape.constant(images.pixels.clone()));
        let loss = logits.cross_entropy(&images.digits[..]).item()?;
        let guesses = logits.to_host()?;
        let guesses = guesses.chunks(N_CLASSES).map(largest);
        let n_right = guesses.zip(&images.digits).filter(|(guess, digit)| guess == *digit).count();
        Ok(Score { loss, accuracy: n_right as f64 / images.len() as f64 })
    }
}

/// How good a model is on some images.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Score {
    /// The mean cross-entropy.
    pub(super) loss: f64,
    /// The fraction of the images that are recognized.
    pub(super) accuracy: f64,
}

/// The place of the largest number, and the first of several.
fn largest(x: &[f64]) -> usize {
    (0..x.len()).reduce(|best, at| if x[at] > x[best] { at } else { best }).unwrap_or(0)
}

/// The form: how the tensors are named, made, and gone through.
impl<X> Mlp<X> {
    /// A network with hidden layers of these widths; `make` gives each tensor, by name and shape.
    pub(super) fn build<E>(
        hidden: &[usize],
        mut make: impl FnMut(&str, &[usize]) -> Result<X, E>,
    ) -> Result<Self, E> {
        let mut inputs = N_PIXELS;
        let mut layers = Vec::new();
        for (at, &outputs) in hidden.iter().chain(&[N_CLASSES]).enumerate() {
            let [weight, bias] = names(at);
            let (weight, bias) = (make(&weight, &[inputs, outputs])?, make(&bias, &[outputs])?);
            layers.push(Linear { weight, bias });
            inputs = outputs;
        }
        Ok(Mlp { layers })
    }

    /// The tensors, in the order of [`Mlp::build`].
    pub(super) fn tensors(&self) -> impl Iterator<Item = &X> {
        self.layers.iter().flat_map(|layer| [&layer.weight, &layer.bias])
    }

    /// The tensors, to be changed.
    pub(super) fn tensors_mut(&mut self) -> impl Iterator<Item = &mut X> {
        self.layers.iter_mut().flat_map(|layer| [&mut layer.weight, &mut layer.bias])
    }

    /// The tensors with the names that [`Mlp::build`] gives them.
    pub(super) fn named(&self) -> impl Iterator<Item = (String, &X)> {
        (0..self.layers.len()).flat_map(names).zip(self.tensors())
    }
}

/// The names of the tensors of a layer.
fn names(layer: usize) -> [String; 2] {
    [format!("layers.{layer}.weight"), format!("layers.{layer}.bias")]
}

/// What `transform` needs to know of the form, to take it apart and put gradients together.
impl<X> Params for Mlp<X> {
    type Leaf = X;
    type With<Y> = Mlp<Y>;
    type Convention = WithTape;

    fn map<Y>(&self, f: &mut impl FnMut(&X) -> Y) -> Mlp<Y> {
        Mlp { layers: self.layers.map(f) }
    }
}

impl<X> Params for Linear<X> {
    type Leaf = X;
    type With<Y> = Linear<Y>;
    type Convention = WithTape;

    fn map<Y>(&self, f: &mut impl FnMut(&X) -> Y) -> Linear<Y> {
        Linear { weight: f(&self.weight), bias: f(&self.bias) }
    }
}
