//! Values and gradients of some problems, differentiated by hand and written as plain loops: what
//! a careful person writes without a library, and a stand-in for the handwritten C++ of GradBench.
//!
//! `pulp` compiles each for the instruction set of the machine, as the C++ is by `-march=native`;
//! the vectorizing is left to the compiler.

#![allow(clippy::needless_range_loop, reason = "formulas have indices")]

/// LogSumExp of some numbers.
pub(crate) mod lse {
    use crate::vectorized::vectorized;

    pub(crate) fn primal(x: &[f64]) -> f64 {
        vectorized(
            #[inline(always)]
            || {
                let a = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                a + x.iter().map(|x| (x - a).exp()).sum::<f64>().ln()
            },
        )
    }

    pub(crate) fn gradient(x: &[f64], gradient: &mut Vec<f64>) {
        vectorized(
            #[inline(always)]
            || {
                let a = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                gradient.clear();
                gradient.extend(x.iter().map(|x| (x - a).exp()));
                let sum: f64 = gradient.iter().sum();
                gradient.iter_mut().for_each(|g| *g /= sum);
            },
        );
    }
}

/// Least squares of the polynomial with coefficients x against the sign function at n points.
pub(crate) mod llsq {
    use crate::vectorized::vectorized;

    /// The point i of n, and the sign there.
    #[inline(always)]
    fn point(i: usize, n: usize) -> (f64, f64) {
        let t = -1.0 + 2.0 * i as f64 / (n as f64 - 1.0);
        (t, if t == 0.0 { 0.0 } else { t.signum() })
    }

    #[inline(always)]
    fn residual(x: &[f64], t: f64, s: f64) -> f64 {
        let mut power = 1.0;
        let mut residual = s;
        for x in x {
            residual -= x * power;
            power *= t;
        }
        residual
    }

    pub(crate) fn primal(x: &[f64], n: usize) -> f64 {
        vectorized(
            #[inline(always)]
            || {
                let squares = (0..n).map(|i| {
                    let (t, s) = point(i, n);
                    residual(x, t, s).powi(2)
                });
                0.5 * squares.sum::<f64>()
            },
        )
    }

    pub(crate) fn gradient(x: &[f64], n: usize, gradient: &mut Vec<f64>) {
        gradient.clear();
        gradient.resize(x.len(), 0.0);
        vectorized(
            #[inline(always)]
            || {
                for i in 0..n {
                    let (t, s) = point(i, n);
                    let mut power = -residual(x, t, s);
                    for gradient in gradient.iter_mut() {
                        *gradient += power;
                        power *= t;
                    }
                }
            },
        );
    }
}

/// The sum over n points of the squared distance to the nearest of k centroids, of d numbers each.
pub(crate) mod kmeans {
    use crate::vectorized::vectorized;

    /// The nearest centroid and its squared distance.
    #[inline(always)]
    fn nearest(point: &[f64], centroids: &[f64]) -> (usize, f64) {
        let mut nearest = (0, f64::INFINITY);
        for (j, centroid) in centroids.chunks_exact(point.len()).enumerate() {
            let distance: f64 = point.iter().zip(centroid).map(|(p, c)| (p - c) * (p - c)).sum();
            if distance < nearest.1 {
                nearest = (j, distance);
            }
        }
        nearest
    }

    pub(crate) fn cost(points: &[f64], centroids: &[f64], d: usize) -> f64 {
        vectorized(
            #[inline(always)]
            || points.chunks_exact(d).map(|point| nearest(point, centroids).1).sum(),
        )
    }

    /// The gradient by the diagonal of the Hessian, for each element.
    pub(crate) fn direction(points: &[f64], centroids: &[f64], d: usize, ratio: &mut Vec<f64>) {
        ratio.clear();
        ratio.resize(centroids.len(), 0.0);
        let mut hessian = vec![0.0; centroids.len()];
        vectorized(
            #[inline(always)]
            || {
                for point in points.chunks_exact(d) {
                    let j = nearest(point, centroids).0 * d;
                    for i in 0..d {
                        ratio[j + i] += 2.0 * (centroids[j + i] - point[i]);
                        hessian[j + i] += 2.0;
                    }
                }
                ratio.iter_mut().zip(&hessian).for_each(|(j, h)| *j /= h);
            },
        );
    }
}

/// The log posterior of a mixture of k Gaussians in d dimensions at n points.
pub(crate) mod gmm {
    use std::f64::consts::{LN_2, PI};

    use crate::vectorized::vectorized;

    /// The matrices row by row, with the columns of the lower triangles in `l`.
    pub(crate) struct Mixture {
        pub(crate) d: usize,
        pub(crate) k: usize,
        pub(crate) x: Vec<f64>,
        pub(crate) alpha: Vec<f64>,
        pub(crate) mu: Vec<f64>,
        pub(crate) q: Vec<f64>,
        pub(crate) l: Vec<f64>,
        pub(crate) gamma: f64,
        pub(crate) m: usize,
    }

    /// The derivatives with respect to the fields of the same names.
    #[derive(Default)]
    pub(crate) struct Gradient {
        pub(crate) alpha: Vec<f64>,
        pub(crate) mu: Vec<f64>,
        pub(crate) q: Vec<f64>,
        pub(crate) l: Vec<f64>,
    }

    /// a + ln Σ exp(v − a), where `v` becomes its softmax.
    #[inline(always)]
    fn softmax(v: &mut [f64]) -> f64 {
        let a = v.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        v.iter_mut().for_each(|v| *v = (*v - a).exp());
        let sum: f64 = v.iter().sum();
        v.iter_mut().for_each(|v| *v /= sum);
        a + sum.ln()
    }

    impl Mixture {
        /// Q (x − μ) for one component, and x − μ.
        #[inline(always)]
        fn whiten(&self, c: usize, x: &[f64], exp_q: &[f64], z: &mut [f64], w: &mut [f64]) {
            let (d, triangle) = (self.d, self.d * (self.d - 1) / 2);
            let mu = &self.mu[c * d..(c + 1) * d];
            let mut l = &self.l[c * triangle..(c + 1) * triangle];
            for j in 0..d {
                z[j] = x[j] - mu[j];
                w[j] = exp_q[c * d + j] * z[j];
            }
            for j in 0..d {
                let (column, rest) = l.split_at(d - 1 - j);
                for (w, l) in w[j + 1..].iter_mut().zip(column) {
                    *w += l * z[j];
                }
                l = rest;
            }
        }

        /// What does not depend on x, but for α and the points' number.
        fn prior(&self, exp_q: &[f64]) -> f64 {
            let (d, m) = (self.d as f64, self.m as f64);
            let nu = d + m + 1.0;
            let log_gamma: f64 = (0..self.d).map(|j| libm::lgamma(0.5 * nu - 0.5 * j as f64)).sum();
            let log_gamma = d * (d - 1.0) / 4.0 * PI.ln() + log_gamma;
            let constant = nu * d * (self.gamma.ln() - 0.5 * LN_2) - log_gamma;
            let squares: f64 = exp_q.iter().chain(&self.l).map(|q| q * q).sum();
            self.k as f64 * constant - 0.5 * self.gamma * self.gamma * squares
                + m * self.q.iter().sum::<f64>()
        }

        pub(crate) fn objective(&self) -> f64 {
            let mut unused = Gradient::default();
            self.compute::<false>(&mut unused)
        }

        pub(crate) fn jacobian(&self, gradient: &mut Gradient) -> f64 {
            self.compute::<true>(gradient)
        }

        fn compute<const GRADIENT: bool>(&self, gradient: &mut Gradient) -> f64 {
            let (d, k, triangle) = (self.d, self.k, self.d * (self.d - 1) / 2);
            for (derivative, like) in [
                (&mut gradient.alpha, &self.alpha),
                (&mut gradient.mu, &self.mu),
                (&mut gradient.q, &self.q),
                (&mut gradient.l, &self.l),
            ] {
                derivative.clear();
                derivative.resize(like.len(), 0.0);
            }
            let exp_q: Vec<f64> = self.q.iter().map(|q| q.exp()).collect();
            let sum_q: Vec<f64> = self.q.chunks_exact(d).map(|q| q.iter().sum()).collect();
            let (mut z, mut w) = (vec![0.0; k * d], vec![0.0; k * d]);
            let mut beta = vec![0.0; k];
            let n = self.x.len() / d;
            vectorized(
                #[inline(always)]
                || {
                    let mut total = 0.0;
                    for x in self.x.chunks_exact(d) {
                        for c in 0..k {
                            let of_c = c * d..(c + 1) * d;
                            let w = &mut w[of_c.clone()];
                            self.whiten(c, x, &exp_q, &mut z[of_c], w);
                            let norm: f64 = w.iter().map(|w| w * w).sum();
                            beta[c] = self.alpha[c] + sum_q[c] - 0.5 * norm;
                        }
                        total += softmax(&mut beta);
                        if !GRADIENT {
                            continue;
                        }
                        for c in 0..k {
                            let (z, w) = (&z[c * d..(c + 1) * d], &w[c * d..(c + 1) * d]);
                            let p = beta[c];
                            gradient.alpha[c] += p;
                            let mut l = c * triangle;
                            for j in 0..d {
                                let i = c * d + j;
                                let mut back = exp_q[i] * w[j];
                                gradient.q[i] += p * (1.0 - w[j] * exp_q[i] * z[j]);
                                for (e, w) in w[j + 1..].iter().enumerate() {
                                    gradient.l[l + e] -= p * w * z[j];
                                    back += self.l[l + e] * w;
                                }
                                l += d - 1 - j;
                                gradient.mu[i] += p * back;
                            }
                        }
                    }

                    let mut alpha = self.alpha.clone();
                    total -= n as f64 * softmax(&mut alpha);
                    let square = self.gamma * self.gamma;
                    if GRADIENT {
                        for c in 0..k {
                            gradient.alpha[c] -= n as f64 * alpha[c];
                        }
                        for (g, q) in gradient.q.iter_mut().zip(&exp_q) {
                            *g += self.m as f64 - square * q * q;
                        }
                        for (g, l) in gradient.l.iter_mut().zip(&self.l) {
                            *g -= square * l;
                        }
                    }
                    total + self.prior(&exp_q) - 0.5 * (n * d) as f64 * (2.0 * PI).ln()
                },
            )
        }
    }
}

/// A diagonal LSTM of some layers of width b that reads a sequence.
pub(crate) mod lstm {
    use crate::vectorized::vectorized;

    /// The matrices row by row.
    pub(crate) struct Network {
        pub(crate) layers: usize,
        pub(crate) b: usize,
        pub(crate) main: Vec<f64>,
        pub(crate) extra: Vec<f64>,
        pub(crate) state: Vec<f64>,
        pub(crate) sequence: Vec<f64>,
    }

    /// What the way back needs of one layer in one step, an element.
    #[derive(Clone, Copy, Default)]
    struct Cell {
        input: f64,
        hidden: f64,
        cell: f64,
        forget: f64,
        ingate: f64,
        outgate: f64,
        change: f64,
        tanh: f64,
    }

    #[inline(always)]
    fn sigmoid(x: f64) -> f64 {
        1.0 / (1.0 + (-x).exp())
    }

    impl Network {
        fn steps(&self) -> usize {
            self.sequence.len() / self.b - 1
        }

        /// Chunk `gate` of the weights of a layer, and of its biases.
        #[inline(always)]
        fn gate(&self, layer: usize, gate: usize) -> (&[f64], &[f64]) {
            let row = 4 * self.b;
            let start = 2 * layer * row + gate * self.b;
            (&self.main[start..start + self.b], &self.main[start + row..start + row + self.b])
        }

        /// One layer in one step: `v` goes in and comes out.
        #[inline(always)]
        fn layer(&self, layer: usize, state: &mut [f64], v: &mut [f64], tape: &mut [Cell]) {
            let b = self.b;
            let gates = [0, 1, 2, 3].map(|gate| self.gate(layer, gate));
            let [(wf, bf), (wi, bi), (wo, bo), (wc, bc)] = gates;
            let (hidden, cells) = state[2 * layer * b..(2 * layer + 2) * b].split_at_mut(b);
            for e in 0..b {
                let forget = sigmoid(v[e] * wf[e] + bf[e]);
                let ingate = sigmoid(hidden[e] * wi[e] + bi[e]);
                let outgate = sigmoid(v[e] * wo[e] + bo[e]);
                let change = (hidden[e] * wc[e] + bc[e]).tanh();
                let (input, cell) = (v[e], cells[e]);
                cells[e] = cell * forget + ingate * change;
                let tanh = cells[e].tanh();
                tape[e] =
                    Cell { input, hidden: hidden[e], cell, forget, ingate, outgate, change, tanh };
                hidden[e] = outgate * tanh;
                v[e] = hidden[e];
            }
        }

        pub(crate) fn objective(&self) -> f64 {
            let (b, steps) = (self.b, self.steps());
            let mut state = self.state.clone();
            let mut v = vec![0.0; b];
            let mut unused = vec![Cell::default(); b];
            vectorized(
                #[inline(always)]
                || {
                    let mut total = 0.0;
                    for t in 0..steps {
                        for e in 0..b {
                            v[e] = self.sequence[t * b + e] * self.extra[e];
                        }
                        for layer in 0..self.layers {
                            self.layer(layer, &mut state, &mut v, &mut unused);
                        }
                        total += self.score(t, &mut v);
                    }
                    -total / (b * steps) as f64
                },
            )
        }

        /// The score of the prediction of step t from the output `v`, which becomes y.
        #[inline(always)]
        fn score(&self, t: usize, v: &mut [f64]) -> f64 {
            let b = self.b;
            for e in 0..b {
                v[e] = v[e] * self.extra[b + e] + self.extra[2 * b + e];
            }
            let log = (2.0 + v.iter().map(|y| y.exp()).sum::<f64>()).ln();
            let target = &self.sequence[(t + 1) * b..(t + 2) * b];
            target.iter().zip(v.iter()).map(|(s, y)| s * (y - log)).sum()
        }

        /// The derivative with respect to the main parameters and the extra ones, in one list.
        pub(crate) fn jacobian(&self, gradient: &mut Vec<f64>) -> f64 {
            let (b, steps, layers) = (self.b, self.steps(), self.layers);
            gradient.clear();
            gradient.resize(self.main.len() + self.extra.len(), 0.0);
            let (main, extra) = gradient.split_at_mut(self.main.len());
            let mut state = self.state.clone();
            let mut v = vec![0.0; b];
            let mut tape = vec![Cell::default(); steps * layers * b];
            let mut outputs = vec![0.0; steps * b];
            let mut y = vec![0.0; b];
            let (mut v_bar, mut state_bar) = (vec![0.0; b], vec![0.0; self.state.len()]);
            vectorized(
                #[inline(always)]
                || {
                    let mut total = 0.0;
                    for t in 0..steps {
                        for e in 0..b {
                            v[e] = self.sequence[t * b + e] * self.extra[e];
                        }
                        for layer in 0..layers {
                            let place = (t * layers + layer) * b;
                            self.layer(layer, &mut state, &mut v, &mut tape[place..place + b]);
                        }
                        outputs[t * b..(t + 1) * b].copy_from_slice(&v);
                        total += self.score(t, &mut v);
                    }

                    let scale = -1.0 / (b * steps) as f64;
                    for t in (0..steps).rev() {
                        let v = &outputs[t * b..(t + 1) * b];
                        let target = &self.sequence[(t + 1) * b..(t + 2) * b];
                        for e in 0..b {
                            y[e] = (v[e] * self.extra[b + e] + self.extra[2 * b + e]).exp();
                        }
                        let sum = 2.0 + y.iter().sum::<f64>();
                        let of_targets: f64 = target.iter().sum();
                        for e in 0..b {
                            let y_bar = scale * (target[e] - of_targets * y[e] / sum);
                            extra[b + e] += y_bar * v[e];
                            extra[2 * b + e] += y_bar;
                            v_bar[e] = y_bar * self.extra[b + e];
                        }
                        for layer in (0..layers).rev() {
                            let place = (t * layers + layer) * b;
                            let tape = &tape[place..place + b];
                            self.layer_back(layer, tape, &mut state_bar, &mut v_bar, main);
                        }
                        for e in 0..b {
                            extra[e] += v_bar[e] * self.sequence[t * b + e];
                        }
                    }
                    scale * total
                },
            )
        }

        /// The way back through [`Network::layer`].
        #[inline(always)]
        fn layer_back(
            &self,
            layer: usize,
            tape: &[Cell],
            state_bar: &mut [f64],
            v_bar: &mut [f64],
            main_bar: &mut [f64],
        ) {
            let b = self.b;
            let [(wf, _), (wi, _), (wo, _), (wc, _)] = [0, 1, 2, 3].map(|g| self.gate(layer, g));
            let (hidden_bar, cell_bar) =
                state_bar[2 * layer * b..(2 * layer + 2) * b].split_at_mut(b);
            let row = 4 * b;
            let (weight_bar, bias_bar) =
                main_bar[2 * layer * row..2 * (layer + 1) * row].split_at_mut(row);
            for e in 0..b {
                let Cell { input, hidden, cell, forget, ingate, outgate, change, tanh } = tape[e];
                let out = v_bar[e] + hidden_bar[e];
                let new_cell = cell_bar[e] + out * outgate * (1.0 - tanh * tanh);
                let gates = [
                    (new_cell * cell * forget * (1.0 - forget), input),
                    (new_cell * change * ingate * (1.0 - ingate), hidden),
                    (out * tanh * outgate * (1.0 - outgate), input),
                    (new_cell * ingate * (1.0 - change * change), hidden),
                ];
                for (gate, (bar, factor)) in gates.into_iter().enumerate() {
                    weight_bar[gate * b + e] += bar * factor;
                    bias_bar[gate * b + e] += bar;
                }
                let [(f, _), (i, _), (o, _), (c, _)] = gates;
                v_bar[e] = f * wf[e] + o * wo[e];
                hidden_bar[e] = i * wi[e] + c * wc[e];
                cell_bar[e] = new_cell * forget;
            }
        }
    }
}
