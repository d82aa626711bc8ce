//! The transformer block of W5 and its gradients, by hand.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;

use super::arrays::{Array, Kept, kept};
use super::floor::{self, product, rows, sum, sum_of_rows, vectorized};
use super::w5_sizes::{EPS, Sizes};

/// Rows for a thread to work on at a time.
const ROWS: usize = 32;

/// The leaves, the values on the way, and their cotangents, whose names end in `_bar`.
pub(crate) struct Block {
    sizes: Sizes,
    leaves: Vec<Vec<f32>>,
    norms: [Norm; 2],
    /// Queries, keys and values beside each other.
    qkv: Vec<f32>,
    qkv_bar: Vec<f32>,
    /// What attends to what, a matrix for each head.
    weights: Vec<f32>,
    weights_bar: Vec<f32>,
    attended: Vec<f32>,
    attended_bar: Vec<f32>,
    /// The input of the second part.
    middle: Vec<f32>,
    middle_bar: Vec<f32>,
    hidden: Vec<f32>,
    activated: Vec<f32>,
    hidden_bar: Vec<f32>,
    output: Vec<f32>,
    /// A cotangent that is added to another.
    part_bar: Vec<f32>,
    out: Kept<f32>,
}

impl Block {
    pub(crate) fn new(sizes: Sizes, leaves: &[Array]) -> Self {
        let n_rows = sizes.batch * sizes.seq;
        let zeros = |columns: usize| vec![0.0; n_rows * columns];
        let d = sizes.dim;
        Block {
            sizes,
            leaves: leaves.iter().map(Array::f32).collect(),
            norms: [(); 2].map(|()| Norm::new(n_rows, d)),
            qkv: zeros(3 * d),
            qkv_bar: zeros(3 * d),
            weights: zeros(sizes.heads * sizes.seq),
            weights_bar: zeros(sizes.heads * sizes.seq),
            attended: zeros(d),
            attended_bar: zeros(d),
            middle: zeros(d),
            middle_bar: zeros(d),
            hidden: zeros(4 * d),
            activated: zeros(4 * d),
            hidden_bar: zeros(4 * d),
            output: zeros(d),
            part_bar: zeros(d),
            out: kept([1].into_iter().chain(leaves.iter().map(|leaf| leaf.data.len()))),
        }
    }

    pub(crate) fn step(&mut self) -> Kept<f32> {
        self.forward();
        let out = self.out.clone();
        self.backward(&mut out.borrow_mut());
        out
    }

    fn forward(&mut self) {
        let leaf = |at: usize| &self.leaves[at][..];
        self.norms[0].forward(leaf(0), leaf(1), leaf(2));
        linear(&mut self.qkv, &self.norms[0].y, leaf(3), leaf(4));
        attend(self.sizes, &self.qkv, &mut self.weights, &mut self.attended);
        linear(&mut self.middle, &self.attended, leaf(5), leaf(6));
        add(&mut self.middle, leaf(0));
        self.norms[1].forward(&self.middle, leaf(7), leaf(8));
        linear(&mut self.hidden, &self.norms[1].y, leaf(9), leaf(10));
        gelu(&self.hidden, &mut self.activated);
        linear(&mut self.output, &self.activated, leaf(11), leaf(12));
        add(&mut self.output, &self.middle);
    }

    fn backward(&mut self, out: &mut [Vec<f32>]) {
        let leaf = |at: usize| &self.leaves[at][..];
        let n = self.output.len() as f32;
        out[0][0] = self.output.iter().map(|&y| f64::from(y * y)).sum::<f64>() as f32 / n;
        let [x_bar, leaves_bar @ ..] = &mut out[1..] else { return };
        let [w1, b1, w2, b2, w3, b3, w4, b4, w5, b5, w6, b6] = leaves_bar else { return };

        // The cotangent of the output goes to both sides of each sum.
        let pairs = self.middle_bar.iter_mut().zip(&self.output);
        pairs.for_each(|(bar, y)| *bar = 2.0 / n * y);
        self.output.copy_from_slice(&self.middle_bar);
        let output_bar = &self.output;
        linear_backward(output_bar, &self.activated, w6, b6);
        product(
            &mut self.hidden_bar,
            rows(output_bar, b6.len()),
            rows(leaf(11), b6.len()).transpose(),
        );
        gelu_backward(&self.hidden, &mut self.hidden_bar);
        linear_backward(&self.hidden_bar, &self.norms[1].y, w5, b5);
        product(
            &mut self.part_bar,
            rows(&self.hidden_bar, b5.len()),
            rows(leaf(9), b5.len()).transpose(),
        );
        self.norms[1].backward(leaf(7), &mut self.part_bar, w4, b4);
        add(&mut self.middle_bar, &self.part_bar);

        linear_backward(&self.middle_bar, &self.attended, w3, b3);
        product(
            &mut self.attended_bar,
            rows(&self.middle_bar, b3.len()),
            rows(leaf(5), b3.len()).transpose(),
        );
        attend_backward(
            self.sizes,
            [&self.qkv, &self.weights, &self.attended_bar],
            [&mut self.qkv_bar, &mut self.weights_bar],
        );
        linear_backward(&self.qkv_bar, &self.norms[0].y, w2, b2);
        product(
            &mut self.part_bar,
            rows(&self.qkv_bar, b2.len()),
            rows(leaf(3), b2.len()).transpose(),
        );
        self.norms[0].backward(leaf(1), &mut self.part_bar, w1, b1);
        x_bar.copy_from_slice(&self.middle_bar);
        add(x_bar, &self.part_bar);
    }
}

fn add(x: &mut [f32], y: &[f32]) {
    vectorized(
        #[inline(always)]
        || x.iter_mut().zip(y).for_each(|(x, y)| *x += y),
    );
}

/// `y = x W + b`.
fn linear(y: &mut [f32], x: &[f32], weight: &[f32], bias: &[f32]) {
    let (n_in, n_out) = (weight.len() / bias.len(), bias.len());
    product(y, rows(x, n_in), rows(weight, n_out));
    y.par_chunks_mut(ROWS * n_out).for_each(|rows| {
        vectorized(
            #[inline(always)]
            || {
                for row in rows.chunks_exact_mut(n_out) {
                    row.iter_mut().zip(bias).for_each(|(y, b)| *y += b);
                }
            },
        );
    });
}

/// The gradients of weight and bias.
fn linear_backward(y_bar: &[f32], x: &[f32], weight_bar: &mut [f32], bias_bar: &mut [f32]) {
    let (n_in, n_out) = (weight_bar.len() / bias_bar.len(), bias_bar.len());
    product(weight_bar, rows(x, n_in).transpose(), rows(y_bar, n_out));
    sum_of_rows(y_bar, bias_bar);
}

const ROOT_2_BY_PI: f32 = 0.797_884_6;

fn gelu(x: &[f32], y: &mut [f32]) {
    y.par_chunks_mut(1 << 13).zip(x.par_chunks(1 << 13)).for_each(|(y, x)| {
        vectorized(
            #[inline(always)]
            || {
                for (y, &x) in y.iter_mut().zip(x) {
                    let u = ROOT_2_BY_PI * x * (1.0 + 0.044_715 * x * x);
                    *y = x * floor::sigmoid(2.0 * u);
                }
            },
        );
    });
}

/// The cotangent of y becomes that of x.
fn gelu_backward(x: &[f32], bar: &mut [f32]) {
    bar.par_chunks_mut(1 << 13).zip(x.par_chunks(1 << 13)).for_each(|(bar, x)| {
        vectorized(
            #[inline(always)]
            || {
                for (bar, &x) in bar.iter_mut().zip(x) {
                    let u = ROOT_2_BY_PI * x * (1.0 + 0.044_715 * x * x);
                    let slope = ROOT_2_BY_PI * (1.0 + 0.134_145 * x * x);
                    let s = floor::sigmoid(2.0 * u);
                    *bar *= s + 2.0 * x * s * (1.0 - s) * slope;
                }
            },
        );
    });
}

/// A layer norm: `y = x̂ w + b`, where x̂ has mean 0 and variance 1.
struct Norm {
    /// x̂.
    unit: Vec<f32>,
    /// One by the deviation of each row.
    scale: Vec<f32>,
    y: Vec<f32>,
}

impl Norm {
    fn new(n_rows: usize, n: usize) -> Self {
        Norm { unit: vec![0.0; n_rows * n], scale: vec![0.0; n_rows], y: vec![0.0; n_rows * n] }
    }

    fn forward(&mut self, x: &[f32], weight: &[f32], bias: &[f32]) {
        let n = weight.len();
        let rows = self.unit.par_chunks_mut(n).zip(self.y.par_chunks_mut(n));
        let rows = rows.zip(&mut self.scale).zip(x.par_chunks(n)).with_min_len(ROWS);
        rows.for_each(|(((unit, y), scale), x)| {
            vectorized(
                #[inline(always)]
                || {
                    let mean = sum(n, |i| x[i]) / n as f32;
                    let variance = sum(n, |i| (x[i] - mean) * (x[i] - mean)) / n as f32;
                    *scale = 1.0 / (variance + EPS as f32).sqrt();
                    for i in 0..n {
                        unit[i] = (x[i] - mean) * *scale;
                        y[i] = unit[i] * weight[i] + bias[i];
                    }
                },
            );
        });
    }

    /// The cotangent of y becomes that of x.
    fn backward(
        &self,
        weight: &[f32],
        bar: &mut [f32],
        weight_bar: &mut [f32],
        bias_bar: &mut [f32],
    ) {
        let n = weight.len();
        weight_bar.fill(0.0);
        bias_bar.fill(0.0);
        for ((bar, unit), &scale) in
            bar.chunks_exact_mut(n).zip(self.unit.chunks_exact(n)).zip(&self.scale)
        {
            vectorized(
                #[inline(always)]
                || {
                    for i in 0..n {
                        weight_bar[i] += bar[i] * unit[i];
                        bias_bar[i] += bar[i];
                        bar[i] *= weight[i];
                    }
                    let mean = sum(n, |i| bar[i]) / n as f32;
                    let along = sum(n, |i| bar[i] * unit[i]) / n as f32;
                    for i in 0..n {
                        bar[i] = scale * (bar[i] - mean - unit[i] * along);
                    }
                },
            );
        }
    }
}

/// The part of a row-major matrix with `width` columns from `start` on.
fn columns(x: &[f32], n: usize, start: usize, width: usize) -> MatRef<'_, f32> {
    let x = rows(x, n);
    x.submatrix(0, start, x.nrows(), width)
}

/// `z = scale x y`, into such a part of z.
fn into_columns(
    z: &mut [f32],
    [n, start]: [usize; 2],
    scale: f32,
    x: MatRef<'_, f32>,
    y: MatRef<'_, f32>,
) {
    let z = MatMut::from_row_major_slice_mut(z, x.nrows(), n);
    let z = z.submatrix_mut(0, start, x.nrows(), y.ncols());
    matmul(z, Accum::Replace, x, y, scale, Par::Seq);
}

/// `softmax(q kᵀ / √n) v` for each head of each sample.
fn attend(sizes: Sizes, qkv: &[f32], weights: &mut [f32], attended: &mut [f32]) {
    let (s, d, h) = (sizes.seq, sizes.dim, sizes.head());
    let samples = qkv.par_chunks(s * 3 * d).zip(weights.par_chunks_mut(sizes.heads * s * s));
    samples.zip(attended.par_chunks_mut(s * d)).for_each(|((qkv, weights), attended)| {
        for (head, weights) in weights.chunks_exact_mut(s * s).enumerate() {
            let [q, k, v] = [0, d, 2 * d].map(|part| columns(qkv, 3 * d, part + head * h, h));
            into_columns(weights, [s, 0], (h as f32).powf(-0.5), q, k.transpose());
            vectorized(
                #[inline(always)]
                || {
                    for row in weights.chunks_exact_mut(s) {
                        let max = row.iter().fold(f32::NEG_INFINITY, |max, &x| max.max(x));
                        row.iter_mut().for_each(|x| *x = floor::exp(*x - max));
                        let by = 1.0 / sum(s, |i| row[i]);
                        row.iter_mut().for_each(|x| *x *= by);
                    }
                },
            );
            into_columns(attended, [d, head * h], 1.0, rows(weights, s), v);
        }
    });
}

fn attend_backward(
    sizes: Sizes,
    [qkv, weights, attended_bar]: [&[f32]; 3],
    [qkv_bar, weights_bar]: [&mut [f32]; 2],
) {
    let (s, d, h) = (sizes.seq, sizes.dim, sizes.head());
    let scale = (h as f32).powf(-0.5);
    let values = qkv.par_chunks(s * 3 * d).zip(weights.par_chunks(sizes.heads * s * s));
    let bars =
        qkv_bar.par_chunks_mut(s * 3 * d).zip(weights_bar.par_chunks_mut(sizes.heads * s * s));
    let samples = values.zip(attended_bar.par_chunks(s * d)).zip(bars);
    samples.for_each(|(((qkv, weights), attended_bar), (qkv_bar, weights_bar))| {
        let heads = weights.chunks_exact(s * s).zip(weights_bar.chunks_exact_mut(s * s));
        for (head, (weights, weights_bar)) in heads.enumerate() {
            let starts = [0, d, 2 * d].map(|part| part + head * h);
            let [q, k, v] = starts.map(|start| columns(qkv, 3 * d, start, h));
            let bar = columns(attended_bar, d, head * h, h);
            into_columns(qkv_bar, [3 * d, starts[2]], 1.0, rows(weights, s).transpose(), bar);
            into_columns(weights_bar, [s, 0], 1.0, bar, v.transpose());
            vectorized(
                #[inline(always)]
                || {
                    for (row, w) in weights_bar.chunks_exact_mut(s).zip(weights.chunks_exact(s)) {
                        let along = sum(s, |i| row[i] * w[i]);
                        row.iter_mut().zip(w).for_each(|(bar, w)| *bar = w * (*bar - along));
                    }
                },
            );
            let scores_bar = rows(weights_bar, s);
            into_columns(qkv_bar, [3 * d, starts[0]], scale, scores_bar, k);
            into_columns(qkv_bar, [3 * d, starts[1]], scale, scores_bar.transpose(), q);
        }
    });
}
