//! Shapes that are almost right: every operation of the catalogue answers with the shape that its
//! documentation promises, or with an error that names the shape, or the size or axis in question.

use grad_conformance::{Case, Reference, catalogue};
use grad_core::{Shape, Tape, TensorLike, Var, Window};

/// The shape of the result for these shapes of the arguments; `None` where it must be an error.
type Rule = Box<dyn Fn(&[Shape]) -> Option<Shape>>;

// ---------------------------------------------------------------------------- the words of the table

/// The broadcast of all.
fn broadcast(x: &[Shape]) -> Option<Shape> {
    x.iter().try_fold(Shape::default(), |all, x| all.broadcast(x))
}

/// Elementwise: the broadcast of the arguments; of one argument, its shape.
fn elementwise() -> Rule {
    Box::new(broadcast)
}

/// The place of an axis.
fn place(axis: isize, rank: usize) -> Option<usize> {
    let place = if axis < 0 { axis + rank as isize } else { axis };
    usize::try_from(place).ok().filter(|&place| place < rank)
}

/// The places of axes, sorted, each once.
fn places(axes: &[isize], rank: usize) -> Option<Vec<usize>> {
    let mut places: Vec<usize> = axes.iter().map(|&a| place(a, rank)).collect::<Option<_>>()?;
    places.sort_unstable();
    places.windows(2).all(|pair| pair[0] != pair[1]).then_some(places)
}

/// A function of one argument.
fn of(rule: impl Fn(&[usize]) -> Option<Shape> + 'static) -> Rule {
    Box::new(move |x| rule(&x[0]))
}

/// A function of two arguments.
fn of_two(rule: impl Fn(&[usize], &[usize]) -> Option<Shape> + 'static) -> Rule {
    Box::new(move |x| rule(&x[0], &x[1]))
}

/// The same shape, if these axes exist.
fn along<const N: usize>(axes: [isize; N]) -> Rule {
    of(move |x| places(&axes, x.len()).map(|_| x.into()))
}

/// The same shape, if there are at least so many axes.
fn same_from(rank: usize) -> Rule {
    of(move |x| (x.len() >= rank).then(|| x.into()))
}

/// A scalar.
fn to_scalar() -> Rule {
    of(|_| Some(Shape::default()))
}

/// Reduces axes.
fn reduces<const N: usize>(axes: [isize; N]) -> Rule {
    of(move |x| Some(Shape::from(x).without(&places(&axes, x.len())?)))
}

/// Reduces axes and keeps them with size 1.
fn keeps<const N: usize>(axes: [isize; N]) -> Rule {
    of(move |x| Some(Shape::from(x).keeping(&places(&axes, x.len())?)))
}

/// A reduction that has no value over no elements.
fn of_some(rule: Rule) -> Rule {
    Box::new(move |x| {
        let y = rule(x)?;
        (x[0].iter().product::<usize>() > 0 || y.iter().product::<usize>() == 0).then_some(y)
    })
}

/// A fixed shape, of the arguments for which this is true.
fn fixed<const N: usize>(y: [usize; N], fits: impl Fn(&[usize]) -> bool + 'static) -> Rule {
    of(move |x| fits(x).then(|| y.into()))
}

/// One of two shapes broadcasts to the other.
fn beside(x: &[usize], y: &[usize]) -> Option<Shape> {
    let (x, y) = (Shape::from(x), Shape::from(y));
    (x.expands_to(&y) || y.expands_to(&x)).then(Shape::default)
}

/// The first shape, with another size of an axis.
fn resized(x: &[usize], axis: usize, n: usize) -> Shape {
    x.iter().enumerate().map(|(i, &size)| if i == axis { n } else { size }).collect()
}

fn swapped(x: &[usize], a: isize, b: isize) -> Option<Shape> {
    let mut shape = x.to_vec();
    shape.swap(place(a, x.len())?, place(b, x.len())?);
    Some(shape.into())
}

/// The batch axes and the order of square matrices.
fn square(x: &[usize]) -> Option<(&[usize], usize)> {
    match x {
        [batch @ .., m, n] if m == n => Some((batch, *n)),
        _ => None,
    }
}

/// Square matrices to a number each.
fn to_numbers() -> Rule {
    of(|x| square(x).map(|(batch, _)| batch.into()))
}

/// Square matrices to square matrices.
fn to_matrices() -> Rule {
    of(|x| square(x).map(|_| x.into()))
}

fn matmul(x: &[usize], y: &[usize]) -> Option<Shape> {
    let left = if x.len() == 1 { [&[1], x].concat() } else { x.to_vec() };
    let right = if y.len() == 1 { [y, &[1]].concat() } else { y.to_vec() };
    let ([a @ .., m, k], [b @ .., l, n]) = (&left[..], &right[..]) else { return None };
    let rows = if x.len() == 1 { &[][..] } else { &[*m] };
    let columns = if y.len() == 1 { &[][..] } else { &[*n] };
    let batch = Shape::from(a).broadcast(b)?;
    (k == l).then(|| [&batch[..], rows, columns].concat().into())
}

fn solve(a: &[usize], b: &[usize]) -> Option<Shape> {
    let (batch, n) = square(a)?;
    let is_vector = b.len() == 1 || *b == a[..a.len() - 1];
    let columns = if is_vector { [b, &[1]].concat() } else { b.to_vec() };
    let [others @ .., rows, k] = &columns[..] else { return None };
    let batch = Shape::from(batch).broadcast(others)?;
    let column = if is_vector { &[][..] } else { &[*k] };
    (*rows == n).then(|| [&batch[..], &[n], column].concat().into())
}

/// The sizes of the letters of an equation; `…` is the axes that the ellipses broadcast to.
fn einsum(equation: &'static str) -> Rule {
    Box::new(move |x| {
        let (inputs, output) = equation.split_once("->").unwrap_or((equation, "ik"));
        let mut sizes = std::collections::HashMap::new();
        let mut dots = Shape::default();
        for (term, shape) in inputs.split(',').zip(x) {
            let n_letters = term.replace("...", "").len();
            let n_dots = match term.contains("...") {
                true => shape.rank().checked_sub(n_letters)?,
                false if shape.rank() == n_letters => 0,
                false => return None,
            };
            let start = term.find("...").unwrap_or(term.len());
            dots = dots.broadcast(&shape[start..start + n_dots])?;
            let axes = shape[..start].iter().chain(&shape[start + n_dots..]);
            for (letter, &n) in term.replace("...", "").chars().zip(axes) {
                // Within one operand the sizes of a letter are the same.
                let own = term.chars().filter(|&c| c == letter).count();
                let size = sizes.entry(letter).or_insert(n);
                match (*size, n) {
                    (size, n) if size == n => {}
                    _ if own > 1 => return None,
                    (1, n) => *size = n,
                    (_, 1) => {}
                    _ => return None,
                }
            }
        }
        let of_letters = |part: &str| part.chars().map(|c| sizes[&c]).collect::<Vec<_>>();
        Some(
            match output.split_once("...") {
                Some((before, after)) => {
                    [of_letters(before), dots.to_vec(), of_letters(after)].concat()
                }
                None => of_letters(output),
            }
            .into(),
        )
    })
}

/// Stride, padding and dilation of a convolution along one axis.
type Stretch = [usize; 3];

/// `n` windows of a kernel of size `k`; none where it does not fit.
fn n_windows(n: usize, k: usize, [stride, padding, dilation]: Stretch) -> Option<usize> {
    let span = dilation * k.checked_sub(1)? + 1;
    Some((n + 2 * padding).checked_sub(span).map_or(0, |rest| rest / stride + 1))
}

/// `[n, c, ..]` by `[o, c / groups, ..]` to `[n, o, ..]`.
fn conv<const N: usize>(groups: usize, stretches: [Stretch; N]) -> Rule {
    of_two(move |x, w| {
        let ([n, c, sizes @ ..], [o, per_group, kernel @ ..]) = (x, w) else { return None };
        if [sizes.len(), kernel.len()] != [N, N] || *c != per_group * groups || o % groups != 0 {
            return None;
        }
        let mut y = vec![*n, *o];
        for (axis, stretch) in stretches.into_iter().enumerate() {
            // That nothing fits is a mistake.
            y.push(n_windows(sizes[axis], kernel[axis], stretch).filter(|&n| n > 0)?);
        }
        Some(y.into())
    })
}

/// `[n, c, ..]` by `[c, o / groups, ..]` to `[n, o, ..]`.
fn conv_transpose(groups: usize, stretch: Stretch) -> Rule {
    of_two(move |x, w| {
        let (&[n, c, height, width], &[c_w, per_group, j, k]) = (x, w) else { return None };
        let [stride, padding, dilation] = stretch;
        let size = |n: usize, k: usize| {
            ((n.checked_sub(1)?) * stride + dilation * k.checked_sub(1)? + 1)
                .checked_sub(2 * padding)
        };
        let y = [n, per_group * groups, size(height, j)?, size(width, k)?];
        (c == c_w && c % groups == 0).then(|| y.into())
    })
}

fn pool(kernel: [usize; 2], stride: [usize; 2], padding: usize) -> Rule {
    of(move |x| {
        let &[n, c, height, width] = x else { return None };
        let size = |axis: usize, n| {
            n_windows(n, kernel[axis], [stride[axis], padding, 1]).filter(|&n| n > 0)
        };
        Some([n, c, size(0, height)?, size(1, width)?].into())
    })
}

/// By slices (start, stop, step).
fn slice<const N: usize>(slices: [(usize, usize, usize); N]) -> Rule {
    of(move |x| {
        let fits = x.len() == N && x.iter().zip(slices).all(|(&n, slice)| slice.1 <= n);
        fits.then(|| slices.iter().map(|(start, stop, by)| (stop - start).div_ceil(*by)).collect())
    })
}

fn unfold(axis: isize, w: Window) -> Rule {
    of(move |x| {
        let axis = place(axis, x.len())?;
        let n = n_windows(x[axis], w.size, [w.step, 0, w.dilation])?;
        Some([&resized(x, axis, n)[..], &[w.size]].concat().into())
    })
}

/// Of an axis of the result, which has size `n`.
fn fold(axis: isize, w: Window, n: usize) -> Rule {
    of(move |x| {
        let (&size, rest) = x.split_last()?;
        let axis = place(axis, rest.len())?;
        let fits = size == w.size && rest[axis] == n_windows(n, size, [w.step, 0, w.dilation])?;
        fits.then(|| resized(rest, axis, n))
    })
}

/// An index of this shape, with this largest number, fits along an axis.
fn index_fits(x: &[usize], axis: isize, index: &[usize], largest: Option<usize>) -> Option<()> {
    let axis = place(axis, x.len())?;
    let within = |(i, (&n, &m)): (usize, (&usize, &usize))| i == axis || m <= n;
    let fits = x.len() == index.len() && x.iter().zip(index).enumerate().all(within);
    (fits && largest.is_none_or(|largest| largest < x[axis])).then_some(())
}

fn gather<const N: usize>(axis: isize, index: [usize; N], largest: Option<usize>) -> Rule {
    of(move |x| index_fits(x, axis, &index, largest).map(|()| index.into()))
}

fn scatter<const N: usize>(axis: isize, index: [usize; N], largest: Option<usize>) -> Rule {
    of_two(move |x, s| {
        index_fits(x, axis, &index, largest)?;
        (*s == index).then(|| x.into())
    })
}

fn index_select(axis: isize, n: usize, largest: Option<usize>) -> Rule {
    of(move |x| {
        let axis = place(axis, x.len())?;
        largest.is_none_or(|largest| largest < x[axis]).then(|| resized(x, axis, n))
    })
}

fn index_add(axis: isize, n: usize, largest: Option<usize>) -> Rule {
    of_two(move |x, s| {
        let axis = place(axis, x.len())?;
        let fits = largest.is_none_or(|largest| largest < x[axis]) && *resized(x, axis, n) == *s;
        fits.then(|| x.into())
    })
}

/// Tensors that are the same but for this axis, in this order.
fn concat<const N: usize>(axis: isize, order: [usize; N]) -> Rule {
    Box::new(move |x| {
        let axis = place(axis, x[0].rank())?;
        let alike = |y: &Shape| y.rank() > axis && resized(y, axis, 0) == resized(&x[0], axis, 0);
        let n = order.iter().map(|&i| x[i].get(axis).copied().unwrap_or(0)).sum();
        x.iter().all(alike).then(|| resized(&x[0], axis, n))
    })
}

fn stack(axis: isize, n: usize) -> Rule {
    of_two(move |x, y| {
        let axis = place(axis, x.len() + 1)?;
        (x == y).then(|| [&x[..axis], &[n], &x[axis..]].concat().into())
    })
}

fn tile<const N: usize>(reps: [usize; N]) -> Rule {
    of(move |x| {
        let rank = x.len().max(N);
        let aligned =
            |list: &[usize], i: usize| (i + list.len()).checked_sub(rank).map_or(1, |i| list[i]);
        Some((0..rank).map(|i| aligned(x, i) * aligned(&reps, i)).collect())
    })
}

fn repeat_interleave(axis: isize, n: usize) -> Rule {
    of(move |x| place(axis, x.len()).map(|axis| resized(x, axis, x[axis] * n)))
}

fn permute<const N: usize>(axes: [isize; N]) -> Rule {
    of(move |x| {
        let places = (x.len() == N).then(|| axes.iter().map(|&axis| place(axis, N)));
        places?.map(|place| place.map(|place| x[place])).collect()
    })
}

fn reshape<const N: usize>(y: [usize; N]) -> Rule {
    fixed(y, move |x| x.iter().product::<usize>() == y.iter().product::<usize>())
}

fn expand<const N: usize>(y: [usize; N]) -> Rule {
    fixed(y, move |x| Shape::from(x).expands_to(&y))
}

fn sum_to<const N: usize>(y: [usize; N]) -> Rule {
    fixed(y, move |x| Shape::from(y).expands_to(x))
}

fn pad<const N: usize>(widths: [(usize, usize); N]) -> Rule {
    of(move |x| {
        let padded = x.iter().zip(widths).map(|(n, (before, after))| n + before + after);
        (x.len() == N).then(|| padded.collect())
    })
}

/// The shape of one of two arguments, if they broadcast: a gradient.
fn like(arg: usize) -> Rule {
    Box::new(move |x| broadcast(x).map(|_| x[arg].clone()))
}

// ------------------------------------------------------------------------------------------ the table

/// Operations that are elementwise in every call that is not in [`rule`].
const ELEMENTWISE: &[&str] = &[
    "add",
    "sub",
    "mul",
    "div",
    "mul_or_zero",
    "neg",
    "scale",
    "shift",
    "recip",
    "powf",
    "powi",
    "square",
    "sqrt",
    "rsqrt",
    "pow",
    "exp",
    "expm1",
    "exp2",
    "ln",
    "log2",
    "log10",
    "log1p",
    "logaddexp",
    "xlogy",
    "hypot",
    "erf",
    "gaussian",
    "mul_sign",
    "logistic_density",
    "tanh_slope",
    "normal_cdf",
    "normal_cdf_tanh",
    "density_of_u",
    "abs",
    "sin",
    "cos",
    "tan",
    "asin",
    "acos",
    "one_plus_square",
    "atan",
    "atan2",
    "sinc",
    "sinh",
    "cosh",
    "tanh",
    "asinh",
    "acosh",
    "atanh",
    "sigmoid",
    "softplus",
    "relu",
    "silu",
    "gelu",
    "gelu_tanh",
    "maximum",
    "minimum",
    "clamp_min",
    "clamp_max",
    "where",
    "lt",
    "le",
    "gt",
    "ge",
    "eq",
    "ne",
    "sign",
    "floor",
    "ceil",
    "round",
    "trunc",
    "detach",
    "identity",
    "checkpoint",
    "custom_vjp",
    "custom_jvp",
];

/// The rule of a case; `None` if the table has none.
#[rustfmt::skip] // One call a line.
fn rule(case: &Case<Reference>) -> Option<Rule> {
    let call: String = case.call.split_whitespace().collect();
    let window = |size, step, dilation| Window { size, step, dilation };
    Some(match &call[..] {
        // One argument has no influence.
        "x+1.0+x" | "x*x*x" => of(|x| Some(x.into())),
        "x.exp()" => Box::new(|x| x.last().cloned()),
        // Gradients.
        "slope(x,|p|x.mul_or_zero(p)*y)" | "slope(x,|x|x.hypot(y))" => like(0),
        "slope(x,|x|x.norm(2.0))" => of(|x| Some(x.into())),
        "slope(y,|y|x.xlogy(y))" => like(1),
        "slope(x,|x|x.softmax(0).square())" | "slope(x,|x|x.log_softmax(0).square())" => along([0]),
        "slope(x,|x|slope(x,|x|x.log_softmax(0).square()))" => along([0]),
        "slope(x,|x|graded(x).eigvalsh().square())" => of(|x| match x {
            [.., m, n] if m == n => Some(x.into()),
            _ => None,
        }),
        "slope(y,|y|x.pow(y))" | "slope(y,|y|slope(y,|y|x.pow(y)))" => like(1),
        // A mask, a tensor, and a value that fits in.
        "x.masked_fill(m.gt(0.0),y)" => Box::new(|x| {
            broadcast(&x[..2]).filter(|filled| x[2].expands_to(filled))
        }),
        // Reductions.
        "x.median()" => of_some(to_scalar()),
        "x.sum()" | "x.mean()" | "x.var(1)" | "x.norm(2.0)" | "x.norm(3.5)" | "x.norm(0.5)" => to_scalar(),
        "x.std(1)" | "x.logsumexp()" | "x.prod()" => to_scalar(),
        "x.sum_axes(0)" | "x.mean_axes(0)" | "x.norm_axes(2.0,0)" => reduces([0]),
        "x.std_axes(0,1)" | "x.logsumexp_axes(0)" | "x.prod_axes(0)" => reduces([0]),
        "x.sum_axes([0,-1])" | "x.mean_axes([0,-1])" | "x.var_axes([0,-1],0)" => reduces([0, -1]),
        "x.norm_axes(2.0,[0,-1])" | "x.logsumexp_axes([0,-1])" => reduces([0, -1]),
        "x.sum_axes([-1,1])" => reduces([-1, 1]),
        "x.norm_axes(1.5,1)" => reduces([1]),
        "x.sum_axes([])" | "x.mean_axes([])" | "x.logsumexp_axes([])" => reduces([]),
        "x.max_axes([])" | "x.min_axes([])" => reduces([]),
        "x.sum_keepdim(-1)" | "x.mean_keepdim(-1)" => keeps([-1]),
        "x.norm_keepdim(2.0,-1)" | "x.logsumexp_keepdim(-1)" => keeps([-1]),
        "x.sum_keepdim([0,2])" => keeps([0, 2]),
        "x.var_keepdim(1,1)" => keeps([1]),
        "x.std_keepdim([0,-1],0)" | "x.prod_keepdim([0,-1])" => keeps([0, -1]),
        "x.max()" | "x.min()" | "x.norm(f64::INFINITY)" => of_some(to_scalar()),
        "x.max_axes(0)" | "x.min_axes(0)" => of_some(reduces([0])),
        "x.max_axes([0,-1])" | "x.min_axes([0,-1])" => of_some(reduces([0, -1])),
        "x.max_keepdim(-1)" | "x.min_keepdim(-1)" => of_some(keeps([-1])),
        "x.norm_keepdim(f64::INFINITY,-1)" => of_some(keeps([-1])),
        "x.sum_to([])" => sum_to([]),
        "x.sum_to([2,1])" => sum_to([2, 1]),
        "x.sum_to([2,3])" => sum_to([2, 3]),
        // Normalizations, similarities and losses.
        "x.layer_norm(-1,w,b,0.1)" | "x.rms_norm(-1,w,0.1)" => Box::new(|x| {
            let fit = x[0].rank() > 0 && x[1..].iter().all(|w| w.expands_to(&x[0]));
            fit.then(|| x[0].clone())
        }),
        "x.layer_norm([0,1],2.0,0.5,0.1)" => along([0, 1]),
        "x.batch_norm(w,b,0.1)" => Box::new(|x| {
            let fit = x[0].rank() > 1 && x[1..].iter().all(|w| **w == x[0][1..2]);
            fit.then(|| x[0].clone())
        }),
        "x.mse_loss(y)" | "x.huber_loss(y,0.5)" | "x.bce_with_logits(y)" => of_two(beside),
        "x.cosine_similarity(y,-1,1e-8)" => Box::new(|x| Some(broadcast(x)?.split_last()?.1.into())),
        "x.cross_entropy([2,0])" => fixed([], |x| matches!(x, [2, classes] if *classes > 2)),
        // Along an axis.
        "x.cumsum(0)" | "x.softmax(0)" | "x.log_softmax(0)" | "x.cumprod(0)" => along([0]),
        "x.flip(0)" | "x.roll(0,1)" | "x.sort(0)" | "x*x.flip([0])" => along([0]),
        "x.cumsum(-1)" | "x.softmax(-1)" | "x.log_softmax(-1)" | "x.cumprod(-1)" => along([-1]),
        "x.roll(-1,-4)" | "x.sort(-1)" => along([-1]),
        "x.flip([-1,0])" => along([-1, 0]),
        "x.tril(0)" | "x.tril(-1)" | "x.triu(0)" | "x.triu(1)" => same_from(2),
        "x.topk(2)" => of(|x| x.split_last().filter(|(n, _)| **n >= 2).map(|(_, b)| [b, &[2]].concat().into())),
        // Movement.
        "x.expand([2,3])" => expand([2, 3]),
        "x.expand([2,2,1,3])" => expand([2, 2, 1, 3]),
        "x.expand([0,2])" => expand([0, 2]),
        "x.tile(&[2,3])" => tile([2, 3]),
        "x.tile(&[3])" => tile([3]),
        "x.repeat_interleave(-1,2)" => repeat_interleave(-1, 2),
        "x.repeat_interleave(0,0)" => repeat_interleave(0, 0),
        "x.reshape([])" => reshape([]),
        "x.reshape([3,2])" => reshape([3, 2]),
        "x.reshape([2,1,2,1])" => reshape([2, 1, 2, 1]),
        "x.reshape([0,7])" => reshape([0, 7]),
        "x.squeeze(1)*x.unsqueeze(-1)" => of(|x| {
            let squeezed = if *x.get(1)? == 1 { [&x[..1], &x[2..]].concat() } else { x.to_vec() };
            Shape::from(squeezed).broadcast(&[x, &[1]].concat())
        }),
        "x.permute([])" => permute([]),
        "x.permute([0])" => permute([0]),
        "x.permute([1,0])" => permute([1, 0]),
        "x.permute([2,0,-2])" => permute([2, 0, -2]),
        "x.permute([3,1,0,2])" => permute([3, 1, 0, 2]),
        "x.transpose(0,-1)" => of(|x| swapped(x, 0, -1)),
        "x*x.transpose(0,1)" => of(|x| swapped(x, 0, 1)?.broadcast(x)),
        "x.slice(&[])" => slice([]),
        "x.slice(&[by(1,4,2)])" => slice([(1, 4, 2)]),
        "x.slice(&[by(0,2,1),by(1,3,1)])" => slice([(0, 2, 1), (1, 3, 1)]),
        "x.slice(&[by(1,1,1),by(0,3,3)])" => slice([(1, 1, 1), (0, 3, 3)]),
        "x.narrow(-1,1,2)" => of(|x| (*x.last()? >= 3).then(|| resized(x, x.len() - 1, 2))),
        "x.narrow(0,0,2)*x.narrow(0,1,2)" => of(|x| (*x.first()? >= 3).then(|| resized(x, 0, 2))),
        "x.split(-1,&[1,2]).into_iter().fold(x,|x,part|x*part.sum())" => {
            of(|x| (x.last() == Some(&3)).then(|| x.into()))
        }
        "x.diagonal()" => of(|x| match x {
            [batch @ .., m, n] => Some([batch, &[*m.min(n)]].concat().into()),
            _ => None,
        }),
        "x.trace()" => of(|x| (x.len() >= 2).then(|| x[..x.len() - 2].into())),
        "x.diag()" => of(|x| Some([x, &[*x.last()?]].concat().into())),
        "x.unslice([5],&[by(1,4,2)])" => fixed([5], |x| x == [2]),
        "x.unslice([2,4],&[by(0,2,1),by(1,4,2)])" => fixed([2, 4], |x| x == [2, 2]),
        "x.unslice([2],&[by(1,1,1)])" => fixed([2], |x| x == [0]),
        "x.pad(&[],2.0)" => pad([]),
        "x.pad(&[(1,2)],0.0)" => pad([(1, 2)]),
        "x.pad(&[(0,1),(2,0)],1.5)" => pad([(0, 1), (2, 0)]),
        "x.pad(&[(1,1)],f64::INFINITY).recip()" => pad([(1, 1)]),
        "x.tape().concat(&[x],0)" => concat(0, [0]),
        "x.tape().concat(&[x,x*x,x],-1)" => concat(-1, [0, 0, 0]),
        "x.tape().concat(&[x,y],0)" => concat(0, [0, 1]),
        "x.tape().concat(&[x,y,z],-1)" => concat(-1, [0, 1, 2]),
        "x.tape().stack(&[x,y],0)" => stack(0, 2),
        "x.tape().stack(&[x,y,x],-1)" => stack(-1, 3),
        // Windows.
        "x.unfold(0,window(2,1,1))" => unfold(0, window(2, 1, 1)),
        "x.unfold(-1,window(2,2,2))" => unfold(-1, window(2, 2, 2)),
        "x.fold(0,window(2,1,1),4)" => fold(0, window(2, 1, 1), 4),
        "x.fold(-1,window(2,2,2),6)" => fold(-1, window(2, 2, 2), 6),
        "x.conv1d(w,Conv::default())" => conv(1, [[1, 0, 1]]),
        "x.conv1d(w,Conv::default().stride(2).padding(2).dilation(2))" => conv(1, [[2, 2, 2]]),
        "x.conv2d(w,Conv::default())" => conv(1, [[1, 0, 1]; 2]),
        "x.conv2d(w,Conv::default().stride([2,1]).padding([0,1]).dilation([1,2]))" => conv(1, [[2, 0, 1], [1, 1, 2]]),
        "x.conv2d(w,Conv::default().groups(2))" => conv(2, [[1, 0, 1]; 2]),
        "x.conv_transpose2d(w,Conv::default())" => conv_transpose(1, [1, 0, 1]),
        "x.conv_transpose2d(w,Conv::default().stride(2).padding(1))" => conv_transpose(1, [2, 1, 1]),
        "x.conv_transpose2d(w,Conv::default().dilation(2).groups(2))" => conv_transpose(2, [1, 0, 2]),
        "x.max_pool2d(2)" => pool([2, 2], [2, 2], 0),
        "x.max_pool2d(Pool::new([3,2]).stride(1).padding(1))" => pool([3, 2], [1, 1], 1),
        "x.avg_pool2d(Pool::new(2).stride([1,2]))" => pool([2, 2], [1, 2], 0),
        // Picking.
        "x.index_select(0,&[2,0,2])" => index_select(0, 3, Some(2)),
        "x.index_select(-1,&[1,1])" => index_select(-1, 2, Some(1)),
        "x.index_select(0,&[])" => index_select(0, 0, None),
        "x.take(index([2,2],&[0,5,5,2]))" => fixed([2, 2], |x| x.iter().product::<usize>() > 5),
        "x.embedding(index([2,2],&[0,1,1,2]))" => of(|x| match x {
            [n, row @ ..] if *n > 2 && !row.is_empty() => Some([&[2, 2], row].concat().into()),
            _ => None,
        }),
        "x.index_add(0,&[2,0,2],s)" => index_add(0, 3, Some(2)),
        "x.index_add(-1,&[1,1],s)" => index_add(-1, 2, Some(1)),
        "x.index_add(0,&[],s)" => index_add(0, 0, None),
        "x.gather(0,[2,0,2,2])" => gather(0, [4], Some(2)),
        "x.gather(-1,index([2,2],&[0,0,2,1]))" => gather(-1, [2, 2], Some(2)),
        "x.gather(0,index([3,1],&[1,0,1]))" => gather(0, [3, 1], Some(1)),
        "x.gather(0,index([0,2],&[]))" => gather(0, [0, 2], None),
        "x.scatter_add(0,[2,0,2,2],s)" | "x.scatter(0,[2,0,2,2],s)" => scatter(0, [4], Some(2)),
        "x.scatter_add(-1,index([2,2],&[0,0,2,1]),s)" => scatter(-1, [2, 2], Some(2)),
        "x.scatter(-1,index([2,2],&[0,0,2,1]),s)" => scatter(-1, [2, 2], Some(2)),
        "x.scatter(0,[],s)" => scatter(0, [0], None),
        // Linear algebra.
        "x.matmul(y)" => of_two(matmul),
        "x.matmul(x)" => of(|x| matmul(x, x)),
        "x.transpose(0,1).matmul(x)" => of(|x| matmul(&swapped(x, 0, 1)?, x)),
        "a.solve(b)" | "graded(a).solve(b)" => of_two(solve),
        "graded(a).solve(a)" => of(|a| solve(a, a)),
        "graded(a).triangular_solve(b,true)" | "graded(a).triangular_solve(b,false)" => of_two(solve),
        "graded(a).transpose(-2,-1).triangular_solve(b,false)" => of_two(|a, b| solve(&swapped(a, -2, -1)?, b)),
        "x.det()" | "graded(x).det()" => to_numbers(),
        "x.logabsdet()" | "graded(x).logabsdet()" | "graded(x).slogdet().1" => to_numbers(),
        "x.inv()" | "graded(x).inv()" | "graded(x).cholesky()" | "graded(x).eigh().1" => to_matrices(),
        "x.eigvalsh()" | "graded(x).eigvalsh()" => of(|x| square(x).map(|_| x[..x.len() - 1].into())),
        _ => match case.call.split('"').nth(1) {
            Some(equation) if call.starts_with("x.tape().einsum(") => einsum(equation),
            _ if ELEMENTWISE.contains(&case.op) => elementwise(),
            _ => return None,
        },
    })
}

// ------------------------------------------------------------------------------------------- the test

/// The shape and those that are easily taken for it.
fn near(shape: &Shape) -> Vec<Shape> {
    let mut near = vec![shape.clone(), Shape::default(), shape.iter().rev().copied().collect()];
    for n in [1, 2] {
        near.push([&[n], &shape[..]].concat().into());
        near.push([&shape[..], &[n]].concat().into());
    }
    for axis in 0..shape.rank() {
        near.push(shape.without(&[axis]));
        near.push(shape.keeping(&[axis]));
        near.push(resized(shape, axis, shape[axis] + 1));
    }
    near.push(shape.iter().rev().take(1).copied().collect());
    near
}

/// What is wrong with the answer of a case at these shapes.
fn wrong(case: &Case<Reference>, shapes: &[Shape], expected: Option<&Shape>) -> Option<String> {
    let tape = Tape::new();
    let elements: Vec<f64> = case.inputs.iter().flat_map(|(_, data)| data.clone()).collect();
    let mut elements = elements.into_iter().chain([0.7, 1.2]).cycle();
    let tensor = |shape: &Shape| {
        let data = elements.by_ref().take(shape.iter().product()).collect::<Vec<f64>>();
        Reference::from(0.0).from_host(shape, &data).map(|x| tape.var(x))
    };
    let x: Vec<_> = shapes.iter().map(tensor).collect::<Result<_, _>>().expect("tensors");
    match ((case.apply)(&x).value(), expected) {
        (Ok(y), Some(expected)) if *y.shape() == **expected => None,
        (Ok(y), Some(expected)) => Some(format!("shape {:?}, not {expected}", y.shape())),
        (Ok(y), None) => Some(format!("shape {:?}, not an error", y.shape())),
        (Err(error), Some(expected)) => Some(format!("not shape {expected}, but: {error}")),
        (Err(error), None) => {
            let text = error.to_string();
            let message = text.split(", at ").next().unwrap_or_default();
            let words = ["shape", "rank", "sizes", "elements", "in the input [", "named twice"];
            let names = words.iter().any(|word| message.contains(word));
            (!names).then(|| format!("an error that names no shape, size or axis: {message}"))
        }
    }
}

#[test]
fn shapes_that_are_almost_right_give_the_documented_shape_or_an_error() {
    let (mut failures, mut n_answers) = (Vec::new(), 0);
    for case in catalogue::<Reference>() {
        let call = case.call;
        let Some(rule) = rule(&case) else {
            failures.push(format!("the table has no rule for {}: {call}", case.op));
            continue;
        };
        let right: Vec<Shape> = case.inputs.iter().map(|(shape, _)| shape.clone()).collect();
        for arg in 0..right.len() {
            for shape in near(&right[arg]) {
                let mut shapes = right.clone();
                shapes[arg] = shape;
                n_answers += 1;
                if let Some(what) = wrong(&case, &shapes, rule(&shapes).as_ref()) {
                    failures.push(format!("{}: {call} at {shapes:?}: {what}", case.op));
                }
            }
        }
    }
    failures.sort();
    failures.dedup();
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    assert!(n_answers > 5000, "{n_answers}");
}

/// A handle of this shape.
fn of_shape<'t>(tape: &'t Tape<Reference>, shape: &[usize]) -> Var<'t, Reference> {
    tape.var(Reference::from(0.5).full(shape, 0.5).expect("a small tensor"))
}

/// What the operation says of its failure, without the place.
fn message(y: Var<'_, Reference>) -> String {
    let text = y.value().map(|y| format!("shape {:?}", y.shape()));
    text.unwrap_or_else(|error| error.to_string().split(", at ").next().unwrap_or_default().into())
}

#[test]
fn losses_refuse_a_column_beside_a_list() {
    let tape = Tape::new();
    let (x, y) = (of_shape(&tape, &[3, 1]), of_shape(&tape, &[3]));
    let rule = "shapes [3, 1] and [3] are incompatible: neither broadcasts to the other; \
                reshape one of them";
    assert_eq!(message(x.mse_loss(y)), format!("mse_loss: {rule}"));
    assert_eq!(message(x.huber_loss(y, 1.0)), format!("huber_loss: {rule}"));
    assert_eq!(message(x.bce_with_logits(y)), format!("bce_with_logits: {rule}"));
}

#[test]
fn normalizations_refuse_a_weight_that_would_make_them_larger() {
    let tape = Tape::new();
    let (x, w) = (of_shape(&tape, &[3, 1]), of_shape(&tape, &[3]));
    let rule = "shapes [3] and [3, 1] are incompatible: the first, a weight or bias, must \
                broadcast to the second";
    assert_eq!(message(x.layer_norm(-1, w, 0.0, 0.1)), format!("layer_norm: {rule}"));
    assert_eq!(message(x.layer_norm(-1, 1.0, w, 0.1)), format!("layer_norm: {rule}"));
    assert_eq!(message(x.rms_norm(-1, w, 0.1)), format!("rms_norm: {rule}"));
}

#[test]
fn functions_of_matrices_name_themselves_and_a_shape_that_is_not_square() {
    let tape = Tape::new();
    for shape in [[1, 3], [3, 1], [2, 3]] {
        let x = of_shape(&tape, &shape);
        let rule = format!("needs square matrices, got shape {shape:?}");
        assert_eq!(message(x.eigvalsh()), format!("eigh: {rule}"));
        assert_eq!(message(x.eigh().1), format!("eigh: {rule}"));
        assert_eq!(message(x.cholesky()), format!("cholesky: {rule}"));
    }
    let x = of_shape(&tape, &[3]);
    let rule = "shape [3] has too few axes: at least 2 needed";
    assert_eq!(message(x.eigvalsh()), format!("eigh: {rule}"));
    assert_eq!(message(x.cholesky()), format!("cholesky: {rule}"));
}
