//! A network of long short-term memory that predicts the next character of a text.
//!
//! All its matrices are diagonal, so products are elementwise. A layer makes of its input v, and of
//! its state (h, c) from the character before:
//!
//! ```text
//! forget = σ(v Wf + bf)   ingate = σ(h Wi + bi)   outgate = σ(v Wo + bo)   change = tanh(h Wc + bc)
//! c ← c forget + ingate change,   h ← outgate tanh c
//! ```
//!
//! with the logistic function σ. The new h is the input of the next layer; from that of the last
//! comes y = h w + b, and
//!
//! ```text
//! loss = −mean of next (y − ln (2 + Σ exp y)) over the bits of the next character
//! ```
//!
//! Layer k waits for nothing but layer k − 1 at the same character. So all layers compute at once,
//! each one character behind the layer below it.

use anyhow::ensure;
use grad_core::{TensorLike, Var, transform};
use serde::Deserialize;
use serde_json::Value;

use super::problem::{Problem, primal, unknown};
use super::runs::Runs;
use super::{input, output};

/// A network of l layers, and a text of c characters of b bits.
#[derive(Deserialize)]
pub(crate) struct Lstm {
    /// Weights and biases of each layer, a row each.
    main_params: Vec<Vec<f64>>,
    /// w₀, by which characters become the input of the first layer, w and b.
    extra_params: Vec<Vec<f64>>,
    /// The first h and c of each layer, a row each.
    state: Vec<Vec<f64>>,
    sequence: Vec<Vec<f64>>,
}

/// What is not differentiated.
struct Data<T> {
    /// `[c, b]`.
    text: T,
    /// `[2 l, b]`.
    state: T,
    /// l, b, and c − 1 predictions.
    layers: usize,
    bits: usize,
    steps: usize,
}

impl Problem for Lstm {
    const NAME: &'static str = "lstm";

    fn evaluate<T: TensorLike>(
        &self,
        function: &str,
        model: &T,
        runs: &mut Runs,
    ) -> anyhow::Result<Value> {
        let (layers, c) = (self.state.len() / 2, self.sequence.len());
        let bits = self.sequence.first().map_or(0, Vec::len);
        ensure!(
            layers > 0 && bits > 0,
            "needs at least one layer and one bit, got {layers} and {bits}"
        );
        ensure!(c > 1, "needs a text of at least 2 characters, got {c}");
        input::ensure_fits("the list of hidden states", &[c, layers, bits])?;
        // One list of all, as the derivative is wanted.
        let main = input::matrix(model, "main_params", [2 * layers, 4 * bits], &self.main_params)?;
        let extra = input::matrix(model, "extra_params", [3, bits], &self.extra_params)?;
        let params = input::vector(model, &[main.to_host()?, extra.to_host()?].concat())?;
        let data = Data {
            text: input::matrix(model, "sequence", [c, bits], &self.sequence)?,
            state: input::matrix(model, "state", [2 * layers, bits], &self.state)?,
            layers,
            bits,
            steps: c - 1,
        };
        match function {
            "objective" => output::number(&runs.time(|| primal(|x| data.loss(x), &params))?),
            "jacobian" => {
                output::list(&runs.time(|| transform::grad(|x| data.loss(x), params.clone()))?)
            }
            _ => Err(unknown::<Self>(function)),
        }
    }
}

impl<T: TensorLike> Data<T> {
    /// The loss, for all parameters in one list, `[8 l b + 3 b]`.
    fn loss<'t>(&self, params: Var<'t, T>) -> Var<'t, T> {
        let &Data { layers, bits, steps, .. } = self;
        let n_main = 8 * layers * bits;
        let main = params.narrow(0, 0, n_main);
        let extra = params.narrow(0, n_main, 3 * bits);
        let [in_weight, out_weight, out_bias] = self.by_kind(1, extra);

        let text = params.tape().constant(self.text.clone());
        let y = self.hidden(text, in_weight, main) * out_weight + out_bias;
        let normalized = y - (2.0 + y.exp().sum_keepdim(1)).ln();
        -(text.narrow(0, 1, steps) * normalized).mean()
    }

    /// h of the last layer at each step, `[steps, b]`.
    fn hidden<'t>(&self, text: Var<'t, T>, in_weight: Var<'t, T>, main: Var<'t, T>) -> Var<'t, T> {
        let &Data { layers, steps, .. } = self;
        let tape = text.tape();
        let [wf, wi, wo, wc, bf, bi, bo, bc] = self.by_kind(layers, main);
        let [mut h, mut c] = self.by_kind(layers, tape.constant(self.state.clone()));
        let mut hidden = Vec::with_capacity(steps);
        for step in 0..steps + layers - 1 {
            // When the text has ended, the first layers go on with what no prediction needs.
            let first = text.narrow(0, step.min(steps - 1), 1) * in_weight;
            let v = tape.concat(&[first, h.narrow(0, 0, layers - 1)], 0);
            let forget = (v * wf + bf).sigmoid();
            let ingate = (h * wi + bi).sigmoid();
            let outgate = (v * wo + bo).sigmoid();
            let change = (h * wc + bc).tanh();
            let new_c = c * forget + ingate * change;
            let new_h = outgate * new_c.tanh();
            if step + 1 >= layers {
                (h, c) = (new_h, new_c);
                hidden.push(h);
            } else {
                let has_begun: Vec<f64> = (0..layers).map(|k| (k <= step).into()).collect();
                let has_begun = h.new_constant([layers, 1], &has_begun);
                (h, c) = (has_begun.where_(new_h, h), has_begun.where_(new_c, c));
            }
        }
        tape.stack(&hidden, 0).narrow(1, layers - 1, 1).squeeze(1)
    }

    /// The tensors `[n, b]` of each kind, where those of `x` come one of each kind, n times.
    fn by_kind<'t, const KINDS: usize>(&self, n: usize, x: Var<'t, T>) -> [Var<'t, T>; KINDS] {
        let x = x.reshape([n, KINDS, self.bits]).transpose(0, 1).reshape([KINDS * n, self.bits]);
        std::array::from_fn(|kind| x.narrow(0, kind * n, n))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::problem::answer;
    use super::*;

    /// One layer for one bit whose gates know nothing: forget, ingate and outgate are ½, and change
    /// is 0. The cell goes from 2 to 1, h = ½ tanh 1 and y = tanh 1.
    #[test]
    fn one_layer_needs_no_other() {
        let input = json!({
            "main_params": [[0, 0, 0, 0], [0, 0, 0, 0]],
            "extra_params": [[1], [2], [0]],
            "state": [[0], [2]],
            "sequence": [[1], [1]],
        });
        let y = 1_f64.tanh();
        let loss = answer::<Lstm>("objective", input.clone()).expect("it fits");
        assert!((loss.as_f64().expect("a number") - ((2.0 + y.exp()).ln() - y)).abs() < 1e-15);
        // dy = exp(y)/(2 + exp(y)) − 1, and the last two parameters are w and b in y = h w + b.
        let gradient = answer::<Lstm>("jacobian", input).expect("it fits");
        let gradient = gradient.as_array().expect("a list");
        let dy = y.exp() / (2.0 + y.exp()) - 1.0;
        assert_eq!(gradient.len(), 8 + 3);
        for (found, expected) in gradient[9..].iter().zip([0.5 * y * dy, dy]) {
            assert!((found.as_f64().expect("a number") - expected).abs() < 1e-15);
        }
    }

    /// The loss, one layer and one bit after the other.
    fn one_by_one(lstm: &Lstm) -> f64 {
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        let (bits, steps) = (lstm.sequence[0].len(), lstm.sequence.len() - 1);
        let mut state = lstm.state.clone();
        let mut total = 0.0;
        for t in 0..steps {
            let mut y = Vec::new();
            for i in 0..bits {
                let mut v = lstm.sequence[t][i] * lstm.extra_params[0][i];
                for (params, state) in lstm.main_params.chunks(2).zip(state.chunks_mut(2)) {
                    let affine = |x, gate| {
                        let at = gate * bits + i;
                        x * params[0][at] + params[1][at]
                    };
                    let (h, c) = (state[0][i], state[1][i]);
                    let c = c * sigmoid(affine(v, 0)) + sigmoid(affine(h, 1)) * affine(h, 3).tanh();
                    let h = sigmoid(affine(v, 2)) * c.tanh();
                    (state[0][i], state[1][i]) = (h, c);
                    v = h;
                }
                y.push(v * lstm.extra_params[1][i] + lstm.extra_params[2][i]);
            }
            let ln = (2.0 + y.iter().map(|y| f64::exp(*y)).sum::<f64>()).ln();
            total +=
                y.iter().zip(&lstm.sequence[t + 1]).map(|(y, next)| next * (y - ln)).sum::<f64>();
        }
        -total / (bits * steps) as f64
    }

    #[test]
    fn layers_at_once_compute_what_they_do_one_by_one() {
        let random = |n, m| -> Vec<Vec<f64>> {
            let row = |i| (0..m).map(move |j| ((7 * i + 3 * j) as f64).sin()).collect();
            (0..n).map(row).collect()
        };
        // A text that ends before the last layer begins, one that does not, and more layers.
        for (l, c) in [(3, 2), (2, 5), (5, 9)] {
            let text = (0..c).map(|i| vec![f64::from(i % 2), 1.0]).collect();
            let (main_params, extra_params) = (random(2 * l, 8), random(3, 2));
            let lstm = Lstm { main_params, extra_params, state: random(2 * l, 2), sequence: text };
            let model = grad_ndarray::NdTensor::from(0_f64);
            let found = lstm.evaluate("objective", &model, &mut Runs::default());
            let found = found.expect("it fits").as_f64().expect("a number");
            assert!((found - one_by_one(&lstm)).abs() < 1e-14, "{l} layers, {c} characters");
        }
    }

    #[test]
    fn what_does_not_fit_is_said() {
        let refused = |layers: usize, characters: usize, bits: usize| {
            let rows = |n, m| json!(vec![vec![0.0; m]; n]);
            let input = json!({
                "main_params": rows(2 * layers, 4), "extra_params": rows(3, 1),
                "state": rows(2 * layers, bits), "sequence": rows(characters, bits),
            });
            answer::<Lstm>("jacobian", input).expect_err("it does not fit")
        };
        assert_eq!(refused(0, 2, 1), "needs at least one layer and one bit, got 0 and 1");
        assert_eq!(refused(1, 2, 0), "needs at least one layer and one bit, got 1 and 0");
        assert_eq!(refused(1, 1, 1), "needs a text of at least 2 characters, got 1");
        assert_eq!(refused(1, 2, 2), "row 0 of main_params has 4 elements, not 8");
    }
}
