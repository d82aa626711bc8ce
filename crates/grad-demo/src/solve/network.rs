//! A small neural network whose weights are one vector.

use grad_core::{TensorLike, Var};

/// A perceptron: layers of linear maps with tanh between them.
///
/// tanh, since it has derivatives of every order that are not zero. The weights are one vector θ,
/// so that optimizers see one tensor; layer after layer, first the matrix, then the bias.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mlp {
    /// The sizes of the layers, from the input to the output.
    pub(crate) sizes: &'static [usize],
}

impl Mlp {
    /// The number of weights.
    pub(crate) fn n_weights(self) -> usize {
        self.sizes.windows(2).map(|size| (size[0] + 1) * size[1]).sum()
    }

    /// Weights to start from: uniform in ±√(6 / (inputs + outputs)) for a matrix, small biases.
    ///
    /// Source: X. Glorot, Y. Bengio, "Understanding the difficulty of training deep feedforward
    /// neural networks" (2010).
    pub(crate) fn initial<T: TensorLike>(self, model: &T, seed: u64) -> Result<T, T::Error> {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut theta = Vec::with_capacity(self.n_weights());
        for size in self.sizes.windows(2) {
            let bound = (6.0 / (size[0] + size[1]) as f64).sqrt();
            let n = (size[0] + 1) * size[1];
            theta.extend((0..n).map(|_| bound * (2.0 * random.f64() - 1.0)));
        }
        model.from_host(&[theta.len()], &theta)
    }

    /// What the network makes of the rows of `x`: `[.., n, inputs] → [.., n, outputs]`.
    ///
    /// `theta` may have leading axes too: a network for each matrix of `x`.
    pub(crate) fn apply<'t, T: TensorLike>(self, theta: Var<'t, T>, x: Var<'t, T>) -> Var<'t, T> {
        let (mut y, mut from) = (x, 0);
        for (layer, size) in self.sizes.windows(2).enumerate() {
            let (m, n) = (size[0], size[1]);
            let w = theta.narrow(-1, from, m * n).reshape([m, n]);
            let b = theta.narrow(-1, from + m * n, n);
            y = if layer == 0 { y } else { y.tanh() }.matmul(w) + b;
            from += (m + 1) * n;
        }
        y
    }
}
