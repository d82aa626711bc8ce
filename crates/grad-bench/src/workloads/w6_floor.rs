//! The convolutional network of W6 and its gradients, by hand: convolutions as products with the
//! matrix of all windows, an image at a time.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;

use super::arrays::{Array, Kept, kept};
use super::floor::{cross_entropy, product, rows, sum, sum_of_rows, vectorized};

/// A convolution of square images by kernels of 3 × 3, followed by `relu`.
#[derive(Clone, Copy)]
struct Conv {
    channels: usize,
    side: usize,
    kernels: usize,
}

const FIRST: Conv = Conv { channels: 1, side: 28, kernels: 8 };
const SECOND: Conv = Conv { channels: 8, side: 13, kernels: 16 };
/// What an image is to the linear map.
const N_FEATURES: usize = SECOND.kernels * SECOND.places();

/// The memory that one image needs on the way. Cotangents have names that end in `_bar`.
#[derive(Clone)]
struct Image {
    windows: [Vec<f32>; 2],
    first: Vec<f32>,
    /// Where in `first` the largest of each 2 × 2 is.
    places: Vec<usize>,
    pooled: Vec<f32>,
    first_bar: Vec<f32>,
    windows_bar: Vec<f32>,
    /// Those of weights and biases: the sums over all images that a thread has done.
    leaves_bar: [Vec<f32>; 4],
}

pub(crate) struct Network {
    images: Vec<f32>,
    labels: Vec<usize>,
    leaves: [Vec<f32>; 6],
    state: Vec<Image>,
    features: Vec<f32>,
    features_bar: Vec<f32>,
    logits: Vec<f32>,
    out: Kept<f32>,
}

impl Network {
    pub(crate) fn new(images: &Array, labels: &[usize], leaves: &[Array; 6]) -> Self {
        let image = Image {
            windows: [FIRST, SECOND].map(|conv| vec![0.0; conv.taps() * conv.places()]),
            first: vec![0.0; FIRST.kernels * FIRST.places()],
            places: vec![0; SECOND.channels * SECOND.side * SECOND.side],
            pooled: vec![0.0; SECOND.channels * SECOND.side * SECOND.side],
            first_bar: vec![0.0; FIRST.kernels * FIRST.places()],
            windows_bar: vec![0.0; SECOND.taps() * SECOND.places()],
            leaves_bar: [0, 1, 2, 3].map(|at| vec![0.0; leaves[at].data.len()]),
        };
        Network {
            images: images.f32(),
            labels: labels.to_vec(),
            leaves: leaves.each_ref().map(Array::f32),
            state: vec![image; labels.len()],
            features: vec![0.0; labels.len() * N_FEATURES],
            features_bar: vec![0.0; labels.len() * N_FEATURES],
            logits: vec![0.0; labels.len() * leaves[5].data.len()],
            out: kept([1].into_iter().chain(leaves.iter().map(|leaf| leaf.data.len()))),
        }
    }

    pub(crate) fn step(&mut self) -> Kept<f32> {
        let [w1, b1, w2, b2, w3, b3] = &self.leaves;
        let images = self.images.par_chunks(FIRST.side * FIRST.side);
        let features = self.features.par_chunks_mut(N_FEATURES);
        self.state.par_iter_mut().zip(images).zip(features).for_each(
            |((state, image), features)| {
                FIRST.forward(image, [w1, b1], &mut state.windows[0], &mut state.first);
                pool(&state.first, &mut state.pooled, &mut state.places);
                SECOND.forward(&state.pooled, [w2, b2], &mut state.windows[1], features);
            },
        );

        let results = &mut *self.out.borrow_mut();
        let [value, leaves_bar @ .., w3_bar, b3_bar] = &mut results[..] else {
            return self.out.clone();
        };
        product(&mut self.logits, rows(&self.features, N_FEATURES), rows(w3, b3.len()));
        for row in self.logits.chunks_exact_mut(b3.len()) {
            row.iter_mut().zip(b3).for_each(|(y, b)| *y += b);
        }
        value[0] = cross_entropy(&mut self.logits, &self.labels);
        let logits_bar = rows(&self.logits, b3.len());
        product(w3_bar, rows(&self.features, N_FEATURES).transpose(), logits_bar);
        sum_of_rows(&self.logits, b3_bar);
        product(&mut self.features_bar, logits_bar, rows(w3, b3.len()).transpose());

        let features = self.features.par_chunks(N_FEATURES);
        let features_bar = self.features_bar.par_chunks_mut(N_FEATURES);
        let images = self.state.par_iter_mut().zip(features).zip(features_bar);
        images.for_each(|((state, features), features_bar)| {
            let [w1_bar, b1_bar, w2_bar, b2_bar] = &mut state.leaves_bar;
            SECOND.backward(features, features_bar, &state.windows[1], [w2_bar, b2_bar]);
            SECOND.windows_bar(features_bar, w2, &mut state.windows_bar);
            state.first_bar.fill(0.0);
            SECOND.scatter(&state.windows_bar, &mut state.pooled);
            for (&bar, &place) in state.pooled.iter().zip(&state.places) {
                state.first_bar[place] = bar;
            }
            FIRST.backward(&state.first, &mut state.first_bar, &state.windows[0], [w1_bar, b1_bar]);
        });
        for (at, leaf_bar) in leaves_bar.iter_mut().enumerate() {
            leaf_bar.fill(0.0);
            for image in &self.state {
                leaf_bar.iter_mut().zip(&image.leaves_bar[at]).for_each(|(sum, x)| *sum += x);
            }
        }
        self.out.clone()
    }
}

impl Conv {
    /// How many numbers a window has.
    fn taps(self) -> usize {
        self.channels * 9
    }

    const fn out_side(self) -> usize {
        self.side - 2
    }

    /// How many windows an image has.
    const fn places(self) -> usize {
        self.out_side() * self.out_side()
    }

    /// Calls `f` for each tap of the kernel and row of the result: where the row is in the matrix of
    /// windows, and where what it is computed from begins in the image.
    #[inline(always)]
    fn rows(self, mut f: impl FnMut(usize, usize)) {
        for tap in 0..self.taps() {
            let (channel, i, j) = (tap / 9, tap / 3 % 3, tap % 3);
            for row in 0..self.out_side() {
                let in_windows = tap * self.places() + row * self.out_side();
                f(in_windows, (channel * self.side + row + i) * self.side + j);
            }
        }
    }

    fn forward(self, x: &[f32], [w, b]: [&[f32]; 2], windows: &mut [f32], y: &mut [f32]) {
        let n = self.out_side();
        self.rows(|to, from| windows[to..to + n].copy_from_slice(&x[from..from + n]));
        multiply(y, rows(w, self.taps()), rows(windows, self.places()));
        vectorized(
            #[inline(always)]
            || {
                for (y, b) in y.chunks_exact_mut(self.places()).zip(b) {
                    y.iter_mut().for_each(|y| *y = (*y + b).max(0.0));
                }
            },
        );
    }

    /// The cotangent of y becomes that before `relu`.
    fn backward(
        self,
        y: &[f32],
        bar: &mut [f32],
        windows: &[f32],
        [w_bar, b_bar]: [&mut Vec<f32>; 2],
    ) {
        let n = self.places();
        vectorized(
            #[inline(always)]
            || {
                bar.iter_mut().zip(y).for_each(|(bar, &y)| *bar = if y > 0.0 { *bar } else { 0.0 });
                for (b_bar, bar) in b_bar.iter_mut().zip(bar.chunks_exact(n)) {
                    *b_bar = sum(n, |i| bar[i]);
                }
            },
        );
        multiply(w_bar, rows(bar, n), rows(windows, n).transpose());
    }

    fn windows_bar(self, bar: &[f32], w: &[f32], windows_bar: &mut [f32]) {
        let w = rows(w, self.taps()).transpose();
        multiply(windows_bar, w, rows(bar, self.places()));
    }

    /// Adds the cotangents of windows where the windows overlap.
    fn scatter(self, windows_bar: &[f32], x_bar: &mut [f32]) {
        x_bar.fill(0.0);
        let n = self.out_side();
        self.rows(|from, to| {
            let pairs = x_bar[to..to + n].iter_mut().zip(&windows_bar[from..from + n]);
            pairs.for_each(|(sum, bar)| *sum += bar);
        });
    }
}

fn multiply(z: &mut [f32], x: MatRef<'_, f32>, y: MatRef<'_, f32>) {
    let z = MatMut::from_row_major_slice_mut(z, x.nrows(), y.ncols());
    matmul(z, Accum::Replace, x, y, 1.0, Par::Seq);
}

/// The largest of each 2 × 2, and where it is.
fn pool(x: &[f32], y: &mut [f32], places: &mut [usize]) {
    let (side, out_side) = (FIRST.out_side(), SECOND.side);
    for (at, (y, place)) in y.iter_mut().zip(places).enumerate() {
        let (channel, row, column) =
            (at / out_side / out_side, at / out_side % out_side, at % out_side);
        let corner = (channel * side + 2 * row) * side + 2 * column;
        let window = [corner, corner + 1, corner + side, corner + side + 1];
        *place =
            window.into_iter().fold(corner, |best, at| if x[at] > x[best] { at } else { best });
        *y = x[*place];
    }
}
