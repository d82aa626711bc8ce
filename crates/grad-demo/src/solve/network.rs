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
        let Ok(shape) = theta.shape() else { return theta };
        let networks = &shape[..shape.len().saturating_sub(1)];
        let (mut y, mut from) = (x, 0);
        for (layer, size) in self.sizes.windows(2).enumerate() {
            let (m, n) = (size[0], size[1]);
            let w = theta.narrow(-1, from, m * n).reshape([networks, &[m, n]].concat());
            let b = theta.narrow(-1, from + m * n, n).unsqueeze(-2);
            y = if layer == 0 { y } else { y.tanh() }.matmul(w) + b;
            from += (m + 1) * n;
        }
        y
    }
}

#[cfg(test)]
mod tests {
    use grad_core::{Error, Tape};
    use grad_ndarray::NdTensor;
    use grad_ndarray::ndarray::array;

    use super::Mlp;

    const MLP: Mlp = Mlp { sizes: &[2, 1, 2] };

    #[test]
    fn a_network_is_linear_maps_with_tanh_between() -> Result<(), Error> {
        let tape = Tape::<NdTensor<f64>>::new();
        let theta = tape.var(array![0.5, -1.0, 0.25, 2.0, 3.0, -1.0, 4.0]);
        let y = MLP.apply(theta, tape.constant(array![[1.0, 2.0], [0.0, 0.0]]));
        // Of the rows the hidden layer makes 0.5 − 2 + 0.25 and 0.25.
        let [a, b] = [-1.25_f64, 0.25].map(f64::tanh);
        assert_eq!(MLP.n_weights(), 7);
        assert_eq!(y.to_host()?, [2.0 * a - 1.0, 3.0 * a + 4.0, 2.0 * b - 1.0, 3.0 * b + 4.0]);
        Ok(())
    }

    #[test]
    fn leading_axes_of_the_weights_are_networks_of_their_own() -> anyhow::Result<()> {
        let tape = Tape::<NdTensor<f64>>::new();
        let weights = [1, 2].map(|seed| MLP.initial(&NdTensor::from(0_f64), seed));
        let [one, two] = weights.map(|theta| theta.map(|theta| tape.var(theta)));
        let (one, two) = (one?, two?);
        let x = tape.constant(array![[1.0, -2.0], [0.5, 0.0], [3.0, 1.0]]);
        let both = MLP.apply(tape.stack(&[one, two], 0), tape.stack(&[x, x + 1.0], 0));
        let each = [MLP.apply(one, x), MLP.apply(two, x + 1.0)];
        assert_eq!(both.to_host()?, tape.stack(&each, 0).to_host()?);
        Ok(())
    }
}
