//! The names that a file of test vectors uses, and what they are here: those of the catalogue, and
//! a table of what needs attributes.

use grad_core::{Axes, Conv, Index, Pool, Slice, Tape, TensorLike, Var};
use serde_json::Value;

use super::programs;
use crate::Reference;
use crate::catalogue::{Line, lines};

/// The function `op` of `x`, with the constants in `attrs`; `None` if there is no such function.
///
/// # Errors
/// What is wrong with the attributes or the number of inputs. What is wrong with shapes and values
/// comes out of the handle.
pub(super) fn apply<'t, T: TensorLike>(
    tape: &'t Tape<T>,
    op: &str,
    attrs: &Value,
    x: &[Var<'t, T>],
) -> Option<Result<Var<'t, T>, String>> {
    if let Some(program) = op.strip_prefix("program/") {
        return programs::apply(program, attrs, x);
    }
    call(tape, op, Attrs(attrs), x).transpose().or_else(|| catalogued(op, x))
}

/// A function of the catalogue. One with inputs that it does not take is wrong, and not unknown.
fn catalogued<'t, T: TensorLike>(op: &str, x: &[Var<'t, T>]) -> Option<Result<Var<'t, T>, String>> {
    let mut is_known = NAMES.contains(&op);
    for line in lines::<T>() {
        // The name of a line takes a while to find out.
        let may_be = line.op == op || line.call.contains(op);
        if may_be && line.name() == Some(op) {
            if line.args.len() == x.len() {
                return Some(Ok((line.apply)(x)));
            }
            is_known = true;
        }
    }
    is_known.then(|| Err(format!("{op} does not take {} inputs", x.len())))
}

/// All names.
pub(super) fn names() -> Vec<&'static str> {
    let lines = lines::<Reference>();
    let mut names: Vec<_> = lines.iter().filter_map(Line::name).collect();
    names.extend(NAMES);
    names.sort_unstable();
    names.dedup();
    names
}

/// Makes of the table a function, and the list of its names.
macro_rules! table {
    (|$tape:ident, $op:ident, $a:ident| $(
        $($name:literal)|+, $x:pat $(if $guard:expr)? => $call:expr;
    )*) => {
        /// The names of the table.
        const NAMES: &[&str] = &[$($($name),+),*];

        /// `Ok(None)` if there is no function of this name that takes so many inputs.
        fn call<'t, T: TensorLike>(
            $tape: &'t Tape<T>,
            $op: &str,
            $a: Attrs<'_>,
            x: &[Var<'t, T>],
        ) -> Result<Option<Var<'t, T>>, String> {
            Ok(Some(match ($op, x) {
                $(($($name)|+, $x) $(if $guard)? => $call,)*
                _ => return Ok(None),
            }))
        }
    };
}

// What needs attributes, or has another name here. All other names are those of the catalogue.
table! { |tape, op, a|
    "log", &[x] => x.ln();
    "powf", &[x] => x.powf(a.number("exponent")?);
    "affine", &[x] => x.affine(a.number("mul")?, a.number("add")?);
    "leaky_relu", &[x] => x.leaky_relu(a.number("slope")?);
    "elu", &[x] => x.elu(a.number("alpha")?);

    "sum", &[x] => reduce!(a, x, sum(), sum_axes, sum_keepdim);
    "mean", &[x] => reduce!(a, x, mean(), mean_axes, mean_keepdim);
    "max", &[x] => reduce!(a, x, max(), max_axes, max_keepdim);
    "min", &[x] => reduce!(a, x, min(), min_axes, min_keepdim);
    "logsumexp", &[x] => reduce!(a, x, logsumexp(), logsumexp_axes, logsumexp_keepdim);
    "prod", &[x] => reduce!(a, x, prod(), prod_axes, prod_keepdim);
    "var", &[x] => match (a.axes(x)?, a.keepdim()?, a.size_or("correction", 1)?) {
        (axes, true, correction) => x.var_keepdim(axes, correction),
        (axes, false, correction) => x.var_axes(axes, correction),
    };
    "std", &[x] => match (a.axes(x)?, a.keepdim()?, a.size_or("correction", 1)?) {
        (axes, true, correction) => x.std_keepdim(axes, correction),
        (axes, false, correction) => x.std_axes(axes, correction),
    };
    "norm", &[x] => match (a.axes(x)?, a.keepdim()?, a.number_or("p", 2.0)?) {
        (axes, true, p) => x.norm_keepdim(p, axes),
        (axes, false, p) => x.norm_axes(p, axes),
    };

    "reshape", &[x] => x.reshape(a.shape_of(x)?);
    "transpose", &[x] => x.transpose(a.axis("dim0")?, a.axis("dim1")?);
    "permute", &[x] => x.permute(&a.list("dims")?[..]);
    "broadcast_to", &[x] => x.expand(a.sizes("shape")?);
    "squeeze", &[x] => x.squeeze(a.axis("axis")?);
    "unsqueeze", &[x] => x.unsqueeze(a.axis("axis")?);
    "concat", x => tape.concat(x, a.axis("axis")?);
    "stack", x => tape.stack(x, a.axis("axis")?);
    "narrow", &[x] => x.narrow(a.axis("axis")?, a.size("start")?, a.size("len")?);
    "slice", &[x] => {
        let (starts, stops, steps) = (a.sizes("starts")?, a.sizes("stops")?, a.sizes("steps")?);
        let slices = starts.iter().zip(&stops).zip(&steps);
        // As in Python, a stop beyond the end means the end.
        let sizes = x.shape().map_err(|error| error.to_string())?;
        let slices = slices.zip(sizes.iter()).map(|(((&start, &stop), &step), &n)| Slice {
            start: start.min(n),
            stop: stop.min(n),
            step,
        });
        x.slice(&slices.collect::<Vec<_>>())
    };
    "pad", &[x] => {
        let (before, after) = (a.sizes("before")?, a.sizes("after")?);
        x.pad(&before.into_iter().zip(after).collect::<Vec<_>>(), a.number_or("value", 0.0)?)
    };
    "flip", &[x] => x.flip(a.axes(x)?);
    "split", &[x] => {
        let parts = x.split(a.axis("axis")?, &a.sizes("sizes")?);
        let which = a.size("which")?;
        *parts.get(which).ok_or(format!("there is no part {which} of {}", parts.len()))?
    };
    "tile", &[x] => x.tile(&a.sizes("reps")?);
    "repeat_interleave", &[x] => x.repeat_interleave(a.axis("axis")?, a.size("repeats")?);
    "roll", &[x] => x.roll(a.axis("axis")?, a.axis("shift")?);
    "tril", &[x] => x.tril(a.axis("k")?);
    "triu", &[x] => x.triu(a.axis("k")?);
    "index_select", &[x] => x.index_select(a.axis("axis")?, a.index("index")?.data());
    "gather", &[x] => x.gather(a.axis("axis")?, a.index("index")?);
    "scatter_add", &[x, y] => x.scatter_add(a.axis("axis")?, a.index("index")?, y);
    "scatter", &[x, y] => x.scatter(a.axis("axis")?, a.index("index")?, y);
    "index_add", &[x, y] => x.index_add(a.axis("axis")?, a.index("index")?.data(), y);
    "take", &[x] => x.take(a.index("index")?);
    "embedding", &[x] => x.embedding(a.index("index")?);

    "einsum", x => tape.einsum(a.text("equation")?, x);
    "where", &[x, y] => tensor(x, &a.0["cond"])?.where_(x, y);
    "clamp", &[x] => match (a.optional("min")?, a.optional("max")?) {
        (Some(min), Some(max)) => x.clamp(min, max),
        (Some(min), None) => x.clamp_min(min),
        (None, Some(max)) => x.clamp_max(max),
        (None, None) => return Err("clamp needs min or max".to_string()),
    };
    "masked_fill", &[x] => x.masked_fill(tensor(x, &a.0["mask"])?, a.number("value")?);
    "sort", &[x] => x.sort(a.axis("axis")?);
    "topk", &[x] => x.topk(a.size("k")?);
    "softmax", &[x] => x.softmax(a.axis("axis")?);
    "log_softmax", &[x] => x.log_softmax(a.axis("axis")?);
    "cross_entropy", &[x] => a.mean_of(x.cross_entropy(a.index("target")?))?;
    "bce_with_logits", &[x] => a.mean_of(x.bce_with_logits(tensor(x, &a.0["target"])?))?;
    "mse_loss", &[x, y] => a.mean_of(x.mse_loss(y))?;
    "huber_loss", &[x, y] => a.mean_of(x.huber_loss(y, a.number("delta")?))?;
    "layer_norm", &[x, w, b] => x.layer_norm(a.axes(x)?, w, b, a.number("eps")?);
    "layer_norm", &[x] => x.layer_norm(a.axes(x)?, 1.0, 0.0, a.number("eps")?);
    "layer_norm", &[x, w] => x.layer_norm(a.axes(x)?, w, 0.0, a.number("eps")?);
    "rms_norm", &[x] => x.rms_norm(a.axes(x)?, 1.0, a.number("eps")?);
    "rms_norm", &[x, w] => x.rms_norm(a.axes(x)?, w, a.number("eps")?);
    "batch_norm", &[x, w, b] if a.flag_or("training", true)? => x.batch_norm(w, b, a.number("eps")?);
    "batch_norm", &[x, w, b] => {
        let (mean, var) = (tensor(x, &a.0["running_mean"])?, tensor(x, &a.0["running_var"])?);
        x.batch_norm_with(mean, var, w, b, a.number("eps")?)
    };
    "batch_norm", &[x, w, b, mean, var] => x.batch_norm_with(mean, var, w, b, a.number("eps")?);

    "conv1d" | "conv2d" | "conv_transpose2d", &[x, w, ref bias @ ..] => {
        let y = match op {
            "conv1d" => x.conv1d(w, a.conv()?),
            "conv2d" => x.conv2d(w, a.conv()?),
            _ => x.conv_transpose2d(w, a.conv()?),
        };
        match *bias {
            [] => y,
            // One number a channel, and the channels stand before the spatial axes.
            [b] => {
                let n = b.shape().map_or(0, |shape| shape.first().copied().unwrap_or(0));
                let spatial = if op == "conv1d" { 1 } else { 2 };
                y + b.reshape([&[n][..], &vec![1; spatial]].concat())
            }
            _ => return Ok(None),
        }
    };
    "max_pool2d", &[x] => x.max_pool2d(a.pool()?);
    "avg_pool2d", &[x] => x.avg_pool2d(a.pool()?);
    "cumsum", &[x] => x.cumsum(a.axis("axis")?);
    "cumprod", &[x] => x.cumprod(a.axis("axis")?);

    "cholesky", &[x] => match a.flag_or("lower", true)? {
        true => x.cholesky(),
        false => x.cholesky().transpose(-2, -1),
    };
    "triangular_solve", &[x, y] => match (a.flag_or("upper", false)?, a.flag_or("transpose", false)?) {
        (upper, false) => x.triangular_solve(y, upper),
        (upper, true) => x.transpose(-2, -1).triangular_solve(y, !upper),
    };
}

/// A reduction in the form that the attributes ask for.
macro_rules! reduce {
    ($a:ident, $x:ident, $all:ident(), $axes:ident, $keepdim:ident) => {
        match ($a.0["axes"].is_null(), $a.keepdim()?) {
            (true, false) => $x.$all(),
            (_, true) => $x.$keepdim($a.axes($x)?),
            (false, false) => $x.$axes($a.axes($x)?),
        }
    };
}
use reduce;

/// A tensor of a file as a constant beside `like`.
pub(super) fn tensor<'t, T: TensorLike>(
    like: Var<'t, T>,
    value: &Value,
) -> Result<Var<'t, T>, String> {
    let tensor: super::HostTensor =
        serde_json::from_value(value.clone()).map_err(|error| error.to_string())?;
    Ok(like.new_constant(tensor.shape, &tensor.data))
}

/// The constants of a function.
#[derive(Clone, Copy)]
struct Attrs<'a>(&'a Value);

impl<'a> Attrs<'a> {
    /// Reads an attribute.
    fn get<X>(self, name: &str, read: impl Fn(&'a Value) -> Option<X>) -> Result<X, String> {
        let value = &self.0[name];
        read(value).ok_or_else(|| format!("attribute {name} is {value}"))
    }

    fn number(self, name: &str) -> Result<f64, String> {
        self.get(name, |value| match value.as_str() {
            Some("Infinity" | "inf") => Some(f64::INFINITY),
            Some("-Infinity" | "-inf") => Some(f64::NEG_INFINITY),
            _ => value.as_f64(),
        })
    }

    fn optional(self, name: &str) -> Result<Option<f64>, String> {
        if self.0[name].is_null() { Ok(None) } else { self.number(name).map(Some) }
    }

    fn size(self, name: &str) -> Result<usize, String> {
        self.get(name, size)
    }

    fn axis(self, name: &str) -> Result<isize, String> {
        self.get(name, axis)
    }

    fn flag_or(self, name: &str, default: bool) -> Result<bool, String> {
        self.get(name, |value| if value.is_null() { Some(default) } else { value.as_bool() })
    }

    fn number_or(self, name: &str, default: f64) -> Result<f64, String> {
        self.optional(name).map(|number| number.unwrap_or(default))
    }

    fn size_or(self, name: &str, default: usize) -> Result<usize, String> {
        if self.0[name].is_null() { Ok(default) } else { self.size(name) }
    }

    /// The attribute `shape`, in which one size may be −1: what is left of the elements of `x`.
    fn shape_of<T: TensorLike>(self, x: Var<'_, T>) -> Result<Vec<usize>, String> {
        let sizes = self.list("shape")?;
        let n = x.shape().map_err(|error| error.to_string())?.n_elements().unwrap_or(0);
        let known = sizes.iter().filter(|&&size| size >= 0).map(|&size| size as usize);
        let rest = n.checked_div(known.product()).unwrap_or(0);
        let size = |&size: &isize| if size == -1 { Some(rest) } else { usize::try_from(size).ok() };
        let shape: Option<Vec<usize>> = sizes.iter().map(size).collect();
        shape.ok_or_else(|| format!("attribute shape is {}", self.0["shape"]))
    }

    fn text(self, name: &str) -> Result<&'a str, String> {
        self.get(name, Value::as_str)
    }

    fn sizes(self, name: &str) -> Result<Vec<usize>, String> {
        self.get(name, |value| value.as_array()?.iter().map(size).collect())
    }

    fn list(self, name: &str) -> Result<Vec<isize>, String> {
        self.get(name, |value| match value {
            Value::Array(list) => list.iter().map(axis).collect(),
            one => Some(vec![axis(one)?]),
        })
    }

    /// The axes of a reduction of `x`; `null` stands for all.
    fn axes<T: TensorLike>(self, x: Var<'_, T>) -> Result<Axes, String> {
        match self.0["axes"].is_null() {
            true => {
                let rank = x.shape().map_err(|error| error.to_string())?.rank();
                Ok(Axes::from(&(0..rank as isize).collect::<Vec<_>>()[..]))
            }
            false => Ok(Axes::from(&self.list("axes")?[..])),
        }
    }

    fn keepdim(self) -> Result<bool, String> {
        self.flag_or("keepdim", false)
    }

    fn index(self, name: &str) -> Result<Index, String> {
        let value = &self.0[name];
        let data = value["data"].as_array().and_then(|data| data.iter().map(size).collect());
        let shape = value["shape"].as_array().and_then(|shape| shape.iter().map(size).collect());
        match (shape, data) {
            (Some::<Vec<usize>>(shape), Some::<Vec<usize>>(data)) => {
                Index::new(shape, data).map_err(|kind| kind.to_string())
            }
            _ => Err(format!("attribute {name} is {value}")),
        }
    }

    /// The losses are means; another reduction is not in the vocabulary.
    fn mean_of<X>(self, loss: X) -> Result<X, String> {
        match &self.0["reduction"] {
            Value::Null => Ok(loss),
            Value::String(mean) if mean == "mean" => Ok(loss),
            other => Err(format!("attribute reduction is {other}")),
        }
    }

    /// One number for each of `D` axes, or one for all; absent is `default`.
    fn per_axis<const D: usize>(self, name: &str, default: usize) -> Result<[usize; D], String> {
        self.get(name, |value| match value {
            Value::Null => Some([default; D]),
            Value::Array(list) => {
                list.iter().map(size).collect::<Option<Vec<_>>>()?.try_into().ok()
            }
            one => Some([size(one)?; D]),
        })
    }

    fn conv<const D: usize>(self) -> Result<Conv<D>, String> {
        let groups = if self.0["groups"].is_null() { 1 } else { self.size("groups")? };
        Ok(Conv::default()
            .stride(self.per_axis("stride", 1)?)
            .padding(self.per_axis("padding", 0)?)
            .dilation(self.per_axis("dilation", 1)?)
            .groups(groups))
    }

    fn pool(self) -> Result<Pool, String> {
        let kernel = self.per_axis::<2>("kernel", 1)?;
        let pool = Pool::new(kernel).padding(self.per_axis("padding", 0)?);
        // As in PyTorch, the stride is the kernel unless it is given.
        Ok(match self.0["stride"].is_null() {
            true => pool.stride(kernel),
            false => pool.stride(self.per_axis("stride", 1)?),
        })
    }
}

/// A whole number that is not negative; JSON may write it as 2.0.
fn size(value: &Value) -> Option<usize> {
    axis(value).and_then(|n| usize::try_from(n).ok())
}

/// A whole number.
fn axis(value: &Value) -> Option<isize> {
    let whole = value.as_f64().filter(|x| x.fract() == 0.0 && f64::abs(*x) < 1e15);
    value.as_i64().or(whole.map(|x| x as i64)).and_then(|n| isize::try_from(n).ok())
}
