//! The sizes of W5's transformer block, and the leaves that they make.

use super::arrays::Array;

/// What is added to variances.
pub(crate) const EPS: f64 = 1e-5;

/// The sizes of a block.
#[derive(Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) batch: usize,
    pub(crate) heads: usize,
    /// How many vectors attend to each other.
    pub(crate) seq: usize,
    pub(crate) dim: usize,
}

impl Sizes {
    pub(crate) fn head(self) -> usize {
        self.dim / self.heads
    }

    /// The input, and weight and bias of each part: the first norm; queries, keys and values; the
    /// output of attention; the second norm; the hidden layer; the output.
    pub(crate) fn leaves(self) -> Vec<Array> {
        let d = self.dim;
        let mut leaves = vec![Array::uniform(1, &[self.batch, self.seq, d], 1.0)];
        let linears = [(d, 3 * d), (d, d), (d, 4 * d), (4 * d, d)];
        for (seed, (n_in, n_out)) in (10..).zip(linears) {
            // A norm comes before each first map of a part.
            if seed % 2 == 0 {
                leaves.push(Array::uniform(seed + 40, &[d], 1.0));
                leaves.push(Array::uniform(seed + 60, &[d], 0.1));
            }
            leaves.push(Array::weights(seed, &[n_in, n_out], n_in));
            leaves.push(Array::uniform(seed + 20, &[n_out], 0.1));
        }
        leaves
    }
}
