//! The traps: corners where engines differ or answer NaN, each a small function, and the answer
//! that the design decides for.

use grad_core::{DType, Tape, TensorLike, Var};
use serde::Deserialize;

use super::{Failure, HostTensor, Tolerance};

/// A line of a file of traps.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct Trap {
    /// `trap/name`.
    pub id: String,
    /// What the function is, in prose.
    pub doc: String,
    /// What it is applied to.
    pub inputs: Vec<HostTensor>,
    torch: Answer,
    jax: Answer,
}

/// What an engine answers; with an error, nothing else.
#[derive(Clone, Debug, Default, Deserialize)]
struct Answer {
    output: Option<HostTensor>,
    grads: Option<Vec<HostTensor>>,
    second: Option<Vec<HostTensor>>,
}

impl Trap {
    pub(super) fn check(&self) -> Result<(), String> {
        for answer in [&self.torch, &self.jax] {
            for list in [&answer.grads, &answer.second].into_iter().flatten() {
                if list.len() != self.inputs.len() {
                    return Err(format!("{} tensors for {} inputs", list.len(), self.inputs.len()));
                }
                list.iter().try_for_each(HostTensor::check)?;
            }
            answer.output.iter().try_for_each(HostTensor::check)?;
        }
        self.inputs.iter().try_for_each(HostTensor::check)
    }
}

/// Which answer is right.
enum Right {
    /// That of PyTorch; where JAX agrees, of both.
    Torch,
    /// That of JAX.
    Jax,
    /// That of PyTorch, but the second derivative is infinite, and NaN says no more than that.
    TorchToFirstOrder,
    /// Both answer NaN where there is an answer: value, gradients, and their second derivatives.
    Ours(&'static [f64], &'static [&'static [f64]], &'static [&'static [f64]]),
    /// An error with these words.
    Error(&'static str),
}

use Right::{Error, Jax, Ours, Torch, TorchToFirstOrder};

const NAN: f64 = f64::NAN;
const INF: f64 = f64::INFINITY;

/// The function of a trap, and which answer is right.
#[rustfmt::skip] // A table: one trap a line, with the reason where the engines are not followed.
fn trap<'t, T: TensorLike>(name: &str, x: &[Var<'t, T>]) -> Option<(Var<'t, T>, Right)> {
    Some(match (name, x) {
        // Ties share equally, over axes too.
        ("max_axis_index_ties", &[x]) => (x.max_axes(0), Jax),
        ("median_ties", &[x]) => (x.median(), Torch),
        ("norminf_ties", &[x]) => (x.norm(INF), Torch),
        // Products with zeros have their true derivatives.
        ("prod_1zero" | "prod_2zero", &[x]) => (x.prod(), Torch),
        ("cumprod_1zero", &[x]) => (x.cumprod(0), Torch),
        // Stable forms.
        ("softmax_large", &[x]) => (x.softmax(0), Torch),
        ("sigmoid_lib", &[x]) => (x.sigmoid(), Torch),
        ("log_sigmoid_lib", &[x]) => (x.log_sigmoid(), Torch),
        // Others have 0; the derivatives are 4 e⁻⁴⁰ and −8 e⁻⁴⁰.
        ("tanh_large", &[x]) => (x.tanh(), Ours(&[1.0], &[&[1.699_341_702_116_635_5e-17]], &[&[-3.398_683_404_233_271e-17]])),
        // softplus has no threshold.
        ("softplus_lib", &[x]) => (x.softplus(), Jax),
        ("lse_inf", &[x]) => (x.logsumexp(), Ours(&[INF], &[&[1.0, 0.0]], &[&[0.0, 0.0]])),
        ("lse_empty", &[x]) => (x.logsumexp_axes(0), Torch),
        ("logaddexp_neginf", &[x, y]) => (x.logaddexp(y), Ours(&[-INF], &[&[0.5], &[0.5]], &[&[0.0], &[0.0]])),
        // Unstable forms stay what they are: these follow IEEE 754.
        ("softmax_naive", &[x]) => (x.exp() / x.exp().sum(), Torch),
        // The derivative of ln is ∞, and that of tanh is not 0 as elsewhere.
        ("log1mtanh2", &[x]) => ((1.0 - x.tanh().square()).ln(), Ours(&[-INF], &[&[-INF]], &[&[NAN]])),
        ("log_sigmoid_naive", &[x]) => (x.sigmoid().ln(), Torch),
        ("sqrt_0_sq", &[x]) => (x.square().sqrt(), TorchToFirstOrder),
        // The product has an untracked factor that is 0, so ln has no influence.
        ("mask_mul_inf", &[x]) => (x.zeros_like() * x.ln(), Ours(&[NAN], &[&[0.0]], &[&[0.0]])),
        // x ln x → 0, but 0 · ∞ is NaN.
        ("xlogx_0", &[x]) => (x * x.ln(), Torch),
        ("where_nan", &[x]) => (x.gt(0.0).where_(x.sqrt(), 0.0), Ours(&[0.0, 0.0, 2.0], &[&[0.0, 0.0, 0.25]], &[&[0.0, 0.0, -0.03125]])),
        // Powers.
        ("pow_neg_frac", &[x]) => (x.powf(0.5), Torch),
        ("pow_neg_base", &[x, y]) => (x.pow(y), Torch),
        ("pow_xneg_0", &[x]) => (x.powf(-1.0), Torch),
        ("pow_x0", &[x]) => (x.powf(0.0), Torch),
        // The true derivative in x, ln 0.
        ("xlogy_0", &[x, y]) => (x.xlogy(y), Ours(&[0.0], &[&[-INF], &[0.0]], &[&[INF], &[INF]])),
        // At the edge of smoothness.
        ("relu_0", &[x]) => (x.relu(), Torch),
        ("round_half", &[x]) => (x.round(), Torch),
        ("clamp_boundary", &[x]) => (x.clamp(0.0, 1.0), Torch),
        ("norm1_0", &[x]) => (x.norm(1.0), Torch),
        ("norm2_0", &[x]) => (x.norm(2.0), TorchToFirstOrder),
        ("asin_1", &[x]) => (x.asin(), Torch),
        ("tan_pi2", &[x]) => (x.tan(), Torch),
        ("cosine_sim_0", &[x, y]) => (x.cosine_similarity(y, 0, 1e-8), TorchToFirstOrder),
        // Nothing, and nearly nothing.
        ("mean_empty", &[x]) => (x.mean(), Torch),
        ("std_one", &[x]) => (x.std(1), TorchToFirstOrder),
        ("max_empty", &[x]) => (x.max(), Error("no elements along the reduced axes")),
        ("sum_no_axes", &[x]) => (x.sum_axes([]), Jax),
        ("bcast_1_0", &[x, y]) => (x + y, Torch),
        ("bcast_2_0", &[x, y]) => (x + y, Error("shapes [2] and [0] do not broadcast")),
        // Matrices.
        ("inv_singular", &[x]) => (x.inv(), Error("singular")),
        ("cholesky_npd", &[x]) => (x.cholesky(), Error("not positive definite")),
        _ => return None,
    })
}

/// Runs a trap on the backend of the model tensor, and compares value, gradients and their second
/// derivatives, all with cotangents of ones, with the answer that is right.
///
/// # Errors
/// The first disagreement; that there is no function for the trap.
pub fn check_trap<T: TensorLike>(model: &T, trap: &Trap) -> Result<(), Failure> {
    let failed = |field: &str, got: String, want: &str| Failure {
        field: field.to_string(),
        got,
        want: want.to_string(),
    };
    let tape = Tape::<T>::new();
    let mut x = Vec::new();
    for input in &trap.inputs {
        let value = model.from_host(&input.shape, &input.data);
        x.push(tape.var(value.map_err(|error| failed("inputs", error.to_string(), "a tensor"))?));
    }
    let name = trap.id.strip_prefix("trap/").unwrap_or(&trap.id);
    let Some((y, right)) = self::trap(name, &x) else {
        return Err(failed("id", "no function".to_string(), name));
    };
    let ours = |shapes: Vec<Vec<usize>>, data: &[&[f64]]| -> Vec<HostTensor> {
        let tensors = shapes.into_iter().zip(data);
        tensors.map(|(shape, data)| HostTensor { shape, data: data.to_vec() }).collect()
    };
    let want = match right {
        Torch => trap.torch.clone(),
        Jax => trap.jax.clone(),
        TorchToFirstOrder => Answer { second: None, ..trap.torch.clone() },
        Ours(output, grads, second) => {
            let shapes = || trap.inputs.iter().map(|x| x.shape.clone()).collect::<Vec<_>>();
            let shape = y.shape().map(|shape| shape.to_vec()).unwrap_or_default();
            Answer {
                output: ours(vec![shape], &[output]).pop(),
                grads: Some(ours(shapes(), grads)),
                second: Some(ours(shapes(), second)),
            }
        }
        Error(words) => {
            return match y.value() {
                Err(error) if error.to_string().contains(words) => Ok(()),
                Err(error) => Err(failed("error", error.to_string(), words)),
                Ok(_) => Err(failed("error", y.to_string(), words)),
            };
        }
    };
    let tolerance = Tolerance { double: model.dtype() == DType::F64 };
    let compare = |field: &str, want: Option<&HostTensor>, got: Var<'_, T>| {
        let host = got.shape().and_then(|shape| Ok((shape, got.to_host()?)));
        let (shape, data) = host.map_err(|error| failed(field, error.to_string(), "a value"))?;
        tolerance.compare(field, want, &shape, &data)
    };
    compare("output", want.output.as_ref(), y)?;
    let grads = tape.vjp(y, y.ones_like(), &x);
    for (at, &grad) in grads.iter().enumerate() {
        compare("grads", want.grads.as_ref().map(|grads| &grads[at]), grad)?;
    }
    if want.second.is_some() {
        let mut sum = y.new_constant([], &[0.0]);
        for &grad in &grads {
            sum += grad.sum();
        }
        let second = tape.grad(sum, &x);
        for (at, &second) in second.iter().enumerate() {
            compare("second", want.second.as_ref().map(|second| &second[at]), second)?;
        }
    }
    Ok(())
}
