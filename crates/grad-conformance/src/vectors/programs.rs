//! Small models as a user would write them, generic over the tensor. Many hold derivatives inside,
//! so that their own derivatives are of higher order.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

use grad_core::{Slice, TensorLike, Var, transform};
use serde_json::Value;

use super::vocabulary::tensor;

/// The program `name` of `x`, or `None` if there is no such program.
pub(super) fn apply<'t, T: TensorLike>(
    name: &str,
    attrs: &Value,
    x: &[Var<'t, T>],
) -> Option<Result<Var<'t, T>, String>> {
    let y = match (name, x) {
        ("alias_mul", &[x]) => x * x,
        ("stop_gradient", &[x]) => x * x.detach(),
        ("deep_chain", &[x]) => deep_chain(x),
        ("fibonacci_fan", &[x]) => fibonacci_fan(x),
        ("rosenbrock", &[x]) => rosenbrock(x),
        ("rosenbrock_grad", &[x]) => transform::grad(rosenbrock, x),
        ("rosenbrock_hessian", &[x]) => transform::hessian(rosenbrock, x),
        ("nested5", &[x]) => nested(4, x),
        ("logistic_regression", &[w, b, x]) => logistic_regression(w, b, x),
        ("mlp_tanh" | "mlp_relu", &[x, w0, b0, w1, b1]) => {
            let y = match tensor(x, &attrs["y"]) {
                Ok(y) => y,
                Err(error) => return Some(Err(error)),
            };
            let hidden = x.matmul(w0) + b0;
            let hidden = if name == "mlp_tanh" { hidden.tanh() } else { hidden.relu() };
            (hidden.matmul(w1) + b1 - y).square().mean()
        }
        ("attention", &[x, wq, wk, wv, wo]) => {
            let (q, k, v) = (x.matmul(wq), x.matmul(wk), x.matmul(wv));
            let scores = q.matmul(k.transpose(-2, -1)) / f64::sqrt(3.0);
            scores.softmax(-1).matmul(v).matmul(wo)
        }
        ("lstm_cell", &[x, h, c, wi, wh, b]) => lstm_cell(x, h, c, [wi, wh, b]),
        ("pinn_poisson", &[w0, b0, w1, b1]) => pinn_poisson([w0, b0, w1, b1]),
        ("wgan_gp", &[x, w0, b0, w1, b1]) => wgan_gp(x, [w0, b0, w1, b1]),
        ("maml_1", &[w]) => match (tensor(w, &attrs["Xs"]), tensor(w, &attrs["Xq"])) {
            (Ok(support), Ok(query)) => maml(w, support, query),
            (Err(error), _) | (_, Err(error)) => return Some(Err(error)),
        },
        ("lj_forces", &[r]) => -transform::grad(lennard_jones, r),
        ("double_pendulum", &[q, qd]) => double_pendulum(q, qd),
        ("black_scholes", &[s, k, r, sigma, t]) => black_scholes(s, k, r, sigma, t),
        _ => return None,
    };
    Some(Ok(y))
}

fn deep_chain<T: TensorLike>(x: Var<'_, T>) -> Var<'_, T> {
    (0..200).fold(x, |x, _| x.sin() * 1.01 + 0.01)
}

/// Exponential work for an engine that walks paths one by one.
fn fibonacci_fan<T: TensorLike>(x: Var<'_, T>) -> Var<'_, T> {
    let (mut a, mut b) = (x, x.sin());
    for _ in 0..25 {
        (a, b) = (b, 0.5 * (a + b) * (0.1 * b).cos());
    }
    b
}

fn rosenbrock<T: TensorLike>(x: Var<'_, T>) -> Var<'_, T> {
    let n = x.shape().map_or(0, |shape| shape.first().copied().unwrap_or(0));
    let (head, tail) = (x.narrow(0, 0, n.saturating_sub(1)), x.narrow(0, 1, n.saturating_sub(1)));
    (100.0 * (tail - head.square()).square() + (1.0 - head).square()).sum()
}

/// The derivative of `order` of tanh x · sin x, one transform inside the other.
fn nested<T: TensorLike>(order: usize, x: Var<'_, T>) -> Var<'_, T> {
    match order {
        0 => x.tanh() * x.sin(),
        _ => transform::grad(|x| nested(order - 1, x), x),
    }
}

fn logistic_regression<'t, T: TensorLike>(
    w: Var<'t, T>,
    b: Var<'t, T>,
    x: Var<'t, T>,
) -> Var<'t, T> {
    let y = x.new_constant([6], &[1.0, 0.0, 1.0, 1.0, 0.0, 0.0]);
    let z = x.matmul(w) + b;
    (z.softplus() - y * z).mean() + 0.05 * w.square().sum()
}

fn lstm_cell<'t, T: TensorLike>(
    x: Var<'t, T>,
    h: Var<'t, T>,
    c: Var<'t, T>,
    [wi, wh, b]: [Var<'t, T>; 3],
) -> Var<'t, T> {
    let gates = x.matmul(wi) + h.matmul(wh) + b;
    let n = gates.shape().map_or(0, |shape| shape.last().copied().unwrap_or(0)) / 4;
    let gate = |at: usize| gates.narrow(-1, at * n, n);
    let (i, f, g, o) = (gate(0).sigmoid(), gate(1).sigmoid(), gate(2).tanh(), gate(3).sigmoid());
    let c = f * c + i * g;
    let h = o * c.tanh();
    x.tape().concat(&[h, c], -1)
}

/// A network with one hidden layer of tanh, applied to rows.
fn tanh_mlp<'t, T: TensorLike>(x: Var<'t, T>, [w0, b0, w1, b1]: [Var<'t, T>; 4]) -> Var<'t, T> {
    (x.matmul(w0) + b0).tanh().matmul(w1) + b1
}

/// The residual of u'' = −π² sin πx with u(0) = u(1) = 0.
fn pinn_poisson<T: TensorLike>(weights: [Var<'_, T>; 4]) -> Var<'_, T> {
    let x = weights[0].new_constant([3, 1], &[0.1, 0.5, 0.9]);
    let u_xx = transform::hessian_diagonal(|x| tanh_mlp(x, weights).sum(), x);
    let residual = u_xx + PI * PI * (PI * x).sin();
    let ends = tanh_mlp(x.new_constant([2, 1], &[0.0, 1.0]), weights);
    residual.square().mean() + ends.square().sum()
}

/// The gradient penalty of a Wasserstein GAN: mean (‖∇D‖ − 1)².
fn wgan_gp<'t, T: TensorLike>(x: Var<'t, T>, weights: [Var<'t, T>; 4]) -> Var<'t, T> {
    let gradient = transform::grad(|x| tanh_mlp(x, weights).sum(), x);
    let norms = gradient.square().sum_axes(1).sqrt();
    (norms - 1.0).square().mean()
}

/// The loss on the query set after one step of gradient descent on the support set.
fn maml<'t, T: TensorLike>(w: Var<'t, T>, support: Var<'t, T>, query: Var<'t, T>) -> Var<'t, T> {
    let loss = |w: Var<'t, T>, x: Var<'t, T>| {
        let target = x.narrow(1, 0, 1).reshape([3]) / 2.0;
        (x.matmul(w).tanh() - target).square().mean()
    };
    let step = transform::grad(|w| loss(w, support), w);
    loss(w - 0.3 * step, query)
}

/// Σ over pairs of 4 (d⁻¹² − d⁻⁶).
fn lennard_jones<T: TensorLike>(r: Var<'_, T>) -> Var<'_, T> {
    let n = r.shape().map_or(0, |shape| shape.first().copied().unwrap_or(0));
    let mut energy = r.sum() * 0.0;
    for i in 0..n {
        for j in 0..i {
            let d2 = (r.narrow(0, i, 1) - r.narrow(0, j, 1)).square().sum();
            let d6 = d2.powi(-3);
            energy += 4.0 * (d6.square() - d6);
        }
    }
    energy
}

/// The accelerations of a double pendulum of unit masses and lengths, from its Lagrangian:
/// d/dt ∂L/∂q̇ = ∂L/∂q.
fn double_pendulum<'t, T: TensorLike>(q: Var<'t, T>, qd: Var<'t, T>) -> Var<'t, T> {
    let [dl_dq, _] = transform::grad(|[q, qd]| lagrangian(q, qd), [q, qd]);
    let [_, [mixed, mass]] = transform::hessian(|[q, qd]| lagrangian(q, qd), [q, qd]);
    mass.solve(dl_dq - mixed.matmul(qd))
}

fn lagrangian<'t, T: TensorLike>(q: Var<'t, T>, qd: Var<'t, T>) -> Var<'t, T> {
    let part = |x: Var<'t, T>, i: usize| x.slice(&[Slice { start: i, stop: i + 1, step: 1 }]).sum();
    let (q1, q2, w1, w2) = (part(q, 0), part(q, 1), part(qd, 0), part(qd, 1));
    let kinetic = w1.square() + 0.5 * w2.square() + w1 * w2 * (q1 - q2).cos();
    let potential = -G * (2.0 * q1.cos() + q2.cos());
    kinetic - potential
}

/// Standard gravity in the units of the vectors.
const G: f64 = 9.81;

/// The price of a European call.
fn black_scholes<'t, T: TensorLike>(
    s: Var<'t, T>,
    k: Var<'t, T>,
    r: Var<'t, T>,
    sigma: Var<'t, T>,
    t: Var<'t, T>,
) -> Var<'t, T> {
    let normal = |x: Var<'t, T>| 0.5 * (1.0 + (x * FRAC_1_SQRT_2).erf());
    let spread = sigma * t.sqrt();
    let d1 = ((s / k).ln() + (r + 0.5 * sigma.square()) * t) / spread;
    let d2 = d1 - spread;
    s * normal(d1) - k * (-r * t).exp() * normal(d2)
}
