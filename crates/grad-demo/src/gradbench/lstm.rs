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

use super::{Problem, Runs, input, output, primal, unknown};

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
        ensure!(layers > 0 && bits > 0, "there are {layers} layers for characters of {bits} bits");
        ensure!(c > 1, "a text of {c} characters has none to predict");
        input::ensure_fits("the hidden states", &[c, layers, bits])?;
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
        let hidden = self.hidden(text.narrow(0, 0, steps) * in_weight, main);
        let y = hidden * out_weight + out_bias;
        let normalized = y - (2.0 + y.exp().sum_keepdim(1)).ln();
        -(text.narrow(0, 1, steps) * normalized).mean()
    }

    /// h of the last layer at each step, `[steps, b]`, from the input of the first.
    fn hidden<'t>(&self, input: Var<'t, T>, main: Var<'t, T>) -> Var<'t, T> {
        let &Data { layers, steps, .. } = self;
        let tape = input.tape();
        let [wf, wi, wo, wc, bf, bi, bo, bc] = self.by_kind(layers, main);
        let [mut h, mut c] = self.by_kind(layers, tape.constant(self.state.clone()));
        let mut hidden = Vec::with_capacity(steps);
        for step in 0..steps + layers - 1 {
            // When the text has ended, the first layers go on with what no prediction needs.
            let first = input.narrow(0, step.min(steps - 1), 1);
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
