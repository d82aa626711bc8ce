//! What random programs call: every operation, with parameters that fit its arguments.

use std::fmt;

use grad_core::{Conv, Index, Pool, Slice, TensorLike, Var, Window};

use crate::Random;
use crate::catalogue::{Apply, catalogue};

/// An operation with parameters that are drawn when it is called.
pub(super) struct Call<T: TensorLike> {
    pub(super) text: &'static str,
    pub(super) n_args: usize,
    apply: Drawn<T>,
}

/// How a [`Call`] is made.
enum Drawn<T: TensorLike> {
    /// With parameters.
    Here(for<'t> fn(&mut Draw, &[Var<'t, T>]) -> Var<'t, T>),
    /// As it stands in the catalogue.
    Catalogued(Apply<T>),
}

impl<T: TensorLike> Call<T> {
    /// True for the calls that are written here, and not in the catalogue.
    pub(super) fn has_parameters(&self) -> bool {
        matches!(self.apply, Drawn::Here(_))
    }

    pub(super) fn apply<'t>(&self, draw: &mut Draw, x: &[Var<'t, T>]) -> Var<'t, T> {
        match self.apply {
            Drawn::Here(f) => f(draw, x),
            Drawn::Catalogued(f) => f(x),
        }
    }
}

/// `|draw, x, y| call;`
macro_rules! calls {
    ($(|$p:ident, $($x:ident),+| $call:expr;)*) => {
        vec![$({
            #[allow(unused_variables)]
            let f: for<'t> fn(&mut Draw, &[Var<'t, T>]) -> Var<'t, T> = |$p, x| match *x {
                [$($x),+] => $call,
                _ => x[0],
            };
            Call { text: stringify!($call), n_args: [$(stringify!($x)),+].len(), apply: Drawn::Here(f) }
        }),*]
    };
}

/// All calls that programs make: those here, which draw parameters and keep their arguments within
/// the domain, and those of the catalogue.
#[rustfmt::skip] // A table.
pub(super) fn calls<T: TensorLike>() -> Vec<Call<T>> {
    let mut calls = calls! {
        // Arithmetic.
        |p, x, y| x + y;
        |p, x, y| x - y;
        |p, x, y| x * y;
        |p, x, y| x * y;
        |p, x, y| x / (y.square() + 0.5);
        |p, x, y| x.mul_or_zero(y);
        |p, x| x.affine(p.x(), p.x());
        |p, x| (x.square() + 0.3).recip();
        |p, x| (x.square() + 0.3).powf(2.0 * p.x());
        |p, x| x.powi(p.of(&[0, 1, 2, 3, 4]));
        |p, x, y| (x.square() + 0.3).pow(y.tanh());
        |p, x| (x.square() + 0.3).sqrt();
        |p, x| (x.square() + 0.3).rsqrt();

        // Functions.
        |p, x| (x * 0.5).exp();
        |p, x| (x * 0.5).expm1();
        |p, x| (x * 0.5).exp2();
        |p, x| (x.square() + 0.3).ln();
        |p, x| (x.square() + 0.3).log2();
        |p, x| (x.square() + 0.3).log10();
        |p, x| (x.square() - 0.5).log1p();
        |p, x, y| x.logaddexp(y);
        |p, x, y| x.xlogy(y.square() + 0.5);
        |p, x| x.erf();
        |p, x| x.abs();
        |p, x| x.sin();
        |p, x| x.cos();
        |p, x| x.sin().tan();
        |p, x| (x.tanh() * 0.9).asin();
        |p, x| (x.tanh() * 0.9).acos();
        |p, x| x.atan();
        |p, x, y| x.atan2(y.square() + 0.5);
        |p, x| x.sin().sinh();
        |p, x| x.sin().cosh();
        |p, x| x.tanh();
        |p, x| x.asinh();
        |p, x| (x.square() + 1.3).acosh();
        |p, x| (x.tanh() * 0.9).atanh();
        |p, x| x.sigmoid();
        |p, x| x.log_sigmoid();
        |p, x| x.softplus();
        |p, x| x.relu();
        |p, x| x.leaky_relu(p.x());
        |p, x| x.elu(p.x());
        |p, x| x.silu();
        |p, x| x.gelu();
        |p, x| x.gelu_tanh();

        // Choosing.
        |p, x, y| x.maximum(y);
        |p, x, y| x.minimum(y);
        |p, x| x.clamp(-p.x().abs(), p.x().abs());
        |p, x, y, z| x.gt(p.x()).where_(y, z);
        |p, x, y, z| x.masked_fill(y.le(z), p.x());
        |p, x, y| x * y.sign() + x.floor() - y.round() * x.ceil().lt(y.trunc());
        |p, x, y| x.detach() * y;

        // Reductions.
        |p, x| x.sum_axes(&p.axes(x)[..]);
        |p, x| x.mean_keepdim(&p.axes(x)[..]);
        |p, x| x.max_axes(&p.axes(x)[..]);
        |p, x| x.min_keepdim(&p.axes(x)[..]);
        |p, x| x.norm_axes(p.of(&[1.0, 2.0, 3.0, 2.5, f64::INFINITY]), &p.axes(x)[..]);
        |p, x| x.var_axes(&p.axes(x)[..], p.n(0, 1));
        |p, x| x.std_keepdim(&p.axes(x)[..], p.n(0, 1));
        |p, x| x.prod_axes(&p.axes(x)[..]);
        |p, x| x.logsumexp_keepdim(&p.axes(x)[..]);
        |p, x| x.median();
        |p, x| x.cumsum(p.axis(x));
        |p, x| x.cumprod(p.axis(x));
        |p, x| x.softmax(p.axis(x));
        |p, x| x.log_softmax(p.axis(x));
        |p, x| x.sort(p.axis(x));
        |p, x| x.topk(p.n(0, Draw::size(x, -1)));
        |p, x, w| x.layer_norm(&p.axes(x)[..], w.mean(), p.x(), 0.1);
        |p, x, w| x.rms_norm(p.axis(x), w.mean(), 0.1);
        |p, x, w| { let c = p.n(1, 3); p.fit(x, &[2, c, 2]).batch_norm(p.fit(w, &[c]), p.fit(x, &[c]), 0.1) };
        |p, x, y| x.cosine_similarity(y, p.axis(x), 1e-3);
        |p, x, y| x.mse_loss(y);
        |p, x, y| x.huber_loss(y, p.x().abs() + 0.1);
        |p, x, y| x.bce_with_logits(y.sigmoid());
        |p, x| { let (n, c) = (p.n(1, 3), p.n(1, 4)); p.fit(x, &[n, c]).cross_entropy(p.index(&[n], c)) };

        // Movement.
        |p, x| x.reshape(p.reshaped(x));
        |p, x| x.permute(&p.permutation(x)[..]);
        |p, x| x.transpose(p.axis(x), p.axis(x));
        |p, x, y| x.expand([&[p.n(1, 2)][..], &x.shape().unwrap_or_default()].concat()) * y;
        |p, x| { let shape = x.shape().unwrap_or_default(); x.slice(&p.slices(&shape)) };
        |p, x| { let shape = x.shape().unwrap_or_default(); let s = p.slices(&shape); x.slice(&s).unslice(shape, &s) };
        |p, x| x.pad(&(0..Draw::rank(x)).map(|_| (p.n(0, 2), p.n(0, 1))).collect::<Vec<_>>(), p.x());
        |p, x| x.flip(&p.axes(x)[..]);
        |p, x| x.roll(p.axis(x), p.n(0, 5) as isize - 2);
        |p, x| x.tile(&[p.n(1, 2), p.n(1, 2)]);
        |p, x| x.repeat_interleave(p.axis(x), p.n(1, 2));
        |p, x| x.tril(p.n(0, 3) as isize - 1);
        |p, x| x.triu(p.n(0, 3) as isize - 1);
        |p, x| x.diagonal();
        |p, x| x.diag();
        |p, x| x.trace();
        |p, x, y| x.tape().concat(&[x, y, x], p.axis(x));
        |p, x, y| x.tape().stack(&[x, x * y], p.n(0, Draw::rank(x)) as isize);
        |p, x| { let axis = p.axis(x); let (n, k) = (Draw::size(x, axis), p.n(0, 2)); x.split(axis, &[k.min(n), n - k.min(n)])[1] };

        // Picking.
        |p, x| { let axis = p.axis(x); x.index_select(axis, &p.places(Draw::size(x, axis))) };
        |p, x, s| { let axis = p.axis(x); let i = p.places(Draw::size(x, axis)); x.index_add(axis, &i, s.mean() * x.index_select(axis, &i)) };
        |p, x| { let axis = p.axis(x); x.gather(axis, p.index_into(x, axis)) };
        |p, x, s| { let axis = p.axis(x); let i = p.index_into(x, axis); x.scatter_add(axis, i.clone(), p.fit(s, i.shape())) };
        |p, x, s| { let axis = p.axis(x); let i = p.index_into(x, axis); x.scatter(axis, i.clone(), p.fit(s, i.shape())) };
        |p, x| x.take(p.index(&[2, 3], Draw::n_elements(x)));
        |p, x| { let (n, d) = (p.n(1, 3), p.n(1, 3)); p.fit(x, &[n, d]).embedding(p.index(&[2, 2], n)) };

        // Windows.
        |p, x| { let axis = p.axis(x); x.unfold(axis, p.window(Draw::size(x, axis))) };
        |p, x| { let n = p.n(2, 6); let w = p.window(n); let m = w.count(n).unwrap_or(0); p.fit(x, &[m, 2, w.size]).fold(0, w, n) };
        |p, x, w| { let (x, w, conv) = p.conv::<T, 1>(x, w, false); x.conv1d(w, conv) };
        |p, x, w| { let (x, w, conv) = p.conv::<T, 2>(x, w, false); x.conv2d(w, conv) };
        |p, x, w| { let (x, w, conv) = p.conv::<T, 2>(x, w, true); x.conv_transpose2d(w, conv) };
        |p, x| { let (h, w) = (p.n(3, 5), p.n(3, 5)); p.fit(x, &[1, 2, h, w]).max_pool2d(p.pool()) };
        |p, x| { let (h, w) = (p.n(3, 5), p.n(3, 5)); p.fit(x, &[1, 2, h, w]).avg_pool2d(p.pool()) };

        // Matrices.
        |p, x, y| x.matmul(y);
        |p, x, y| x.matmul(y.transpose(-1, -2));
        |p, x| x.transpose(-1, -2).matmul(x);
        |p, x, y| { let (m, k, n) = (p.n(1, 3), p.n(1, 3), p.n(1, 3)); p.fit(x, &[2, m, k]).matmul(p.fit(y, &[k, n])) };
        |p, x, y| { let (a, n) = p.invertible(x); a.solve(p.fit(y, &[2, n, 2])) };
        |p, x, y| { let (a, n) = p.invertible(x); a.triangular_solve(p.fit(y, &[n, 3]), p.of(&[true, false])) };
        |p, x| p.invertible(x).0.inv();
        |p, x| p.invertible(x).0.det();
        |p, x| p.invertible(x).0.logabsdet();
        |p, x| p.definite(x).cholesky();
        |p, x| p.definite(x).eigvalsh();
        |p, x| p.definite(x).eigh().0;
        |p, x, y| x.tape().einsum(p.of(&["i,i", "ij,jk", "ij,kj->ik", "...i,...i->...", "ij->ji", "i,j", "bij,bjk->bik", "ijk->kj"]), &[x, y]);
        |p, x| x.tape().einsum(p.of(&["ii->i", "ij->ji", "ijk->kj", "...i->...", "i->"]), &[x]);
    };
    let mut cases = catalogue::<T>();
    cases.dedup_by_key(|case| case.call); // A call stands there once for each list of shapes.
    calls.extend(cases.into_iter().map(|case| Call {
        text: case.call,
        n_args: case.inputs.len(),
        apply: Drawn::Catalogued(case.apply),
    }));
    calls
}

/// What is drawn for the parameters of a call, and its text.
pub(super) struct Draw {
    random: Random,
    pub(super) text: Vec<String>,
}

impl Draw {
    pub(super) fn new(seed: u64) -> Self {
        Draw { random: Random::new(seed), text: Vec::new() }
    }

    fn say<X: fmt::Debug>(&mut self, x: X) -> X {
        self.text.push(format!("{x:?}"));
        x
    }

    /// A whole number from `from` to `to`.
    fn n(&mut self, from: usize, to: usize) -> usize {
        let n = from + self.random.below(to + 1 - from);
        self.say(n)
    }

    /// A number in [−1, 1).
    fn x(&mut self) -> f64 {
        let x = self.random.signed_unit();
        self.say(x)
    }

    fn of<X: Clone + fmt::Debug>(&mut self, choices: &[X]) -> X {
        let x = self.random.choose(choices);
        self.say(x)
    }

    fn rank<T: TensorLike>(x: Var<'_, T>) -> usize {
        x.shape().map_or(0, |shape| shape.rank())
    }

    fn axis<T: TensorLike>(&mut self, x: Var<'_, T>) -> isize {
        let rank = Draw::rank(x);
        let axis = self.random.below(2 * rank) as isize - rank as isize;
        self.say(axis)
    }

    fn permutation<T: TensorLike>(&mut self, x: Var<'_, T>) -> Vec<isize> {
        let rank = Draw::rank(x);
        let mut axes: Vec<isize> = (0..rank as isize).collect();
        (1..rank).for_each(|i| axes.swap(i, self.random.below(i + 1)));
        self.say(axes)
    }

    /// Any axes, in any order.
    fn axes<T: TensorLike>(&mut self, x: Var<'_, T>) -> Vec<isize> {
        let mut axes = self.permutation(x);
        self.text.pop();
        axes.truncate(self.random.below(axes.len() + 1));
        self.say(axes)
    }

    fn size<T: TensorLike>(x: Var<'_, T>, axis: isize) -> usize {
        let shape = x.shape().unwrap_or_default();
        let axis = if axis < 0 { axis + shape.rank() as isize } else { axis };
        shape.get(axis as usize).copied().unwrap_or(0)
    }

    fn n_elements<T: TensorLike>(x: Var<'_, T>) -> usize {
        x.shape().map_or(0, |shape| shape.iter().product())
    }

    /// Some places below `n`.
    fn places(&mut self, n: usize) -> Vec<usize> {
        let n_places = if n == 0 { 0 } else { self.random.below(5) };
        let places = (0..n_places).map(|_| self.random.below(n)).collect();
        self.say(places)
    }

    /// An index of `shape` with places below `n`.
    fn index(&mut self, shape: &[usize], n: usize) -> Index {
        let n_elements = if n == 0 { 0 } else { shape.iter().product() };
        let data: Vec<usize> = (0..n_elements).map(|_| self.random.below(n)).collect();
        let index = Index::new(shape, data).unwrap_or_else(|_| Index::from([]));
        self.say(index)
    }

    /// An index within `x` but for its size along `axis`.
    fn index_into<T: TensorLike>(&mut self, x: Var<'_, T>, axis: isize) -> Index {
        let shape = x.shape().unwrap_or_default();
        let mut sizes: Vec<usize> =
            shape.iter().map(|&n| n - self.random.below(2).min(n)).collect();
        let n = Draw::size(x, axis);
        let axis = if axis < 0 { axis + shape.rank() as isize } else { axis };
        if let Some(size) = sizes.get_mut(axis as usize) {
            *size = self.random.below(4);
        }
        self.index(&sizes, n)
    }

    fn slices(&mut self, shape: &[usize]) -> Vec<Slice> {
        let mut slice = |&n: &usize| {
            let start = self.random.below(n.div_ceil(2) + 1).min(n);
            let stop = n - self.random.below((n - start).div_ceil(2) + 1);
            Slice { start, stop: stop.max(start), step: 1 + self.random.below(2) }
        };
        let slices = shape.iter().map(&mut slice).collect();
        self.say(slices)
    }

    /// A window for an axis of size `n`.
    fn window(&mut self, n: usize) -> Window {
        let size = 1 + self.random.below(n.clamp(1, 3));
        let (step, dilation) = (1 + self.random.below(2), 1 + self.random.below(2));
        self.say(Window { size, step, dilation })
    }

    /// A shape with as many elements as `x`.
    fn reshaped<T: TensorLike>(&mut self, x: Var<'_, T>) -> Vec<usize> {
        let mut shape = Vec::new();
        let mut n = Draw::n_elements(x);
        for factor in [2, 3, 2, 1, 3] {
            if n > 0 && n.is_multiple_of(factor) && self.random.below(2) == 0 {
                shape.push(factor);
                n /= factor;
            }
        }
        shape.insert(self.random.below(shape.len() + 1), n);
        self.say(shape)
    }

    /// `x`, brought to `shape`: its elements in order, again and again.
    fn fit<'t, T: TensorLike>(&mut self, x: Var<'t, T>, shape: &[usize]) -> Var<'t, T> {
        self.say(shape);
        let n = Draw::n_elements(x);
        let places = (0..n).cycle().take(shape.iter().product()).collect::<Vec<usize>>();
        x.reshape(n).index_select(0, &places).reshape(shape)
    }

    /// A matrix near 2, made of the elements of `x`, and its size.
    fn invertible<'t, T: TensorLike>(&mut self, x: Var<'t, T>) -> (Var<'t, T>, usize) {
        let n = self.n(1, 3);
        let eye: Vec<f64> = (0..n * n).map(|i| f64::from(u8::from(i % (n + 1) == 0))).collect();
        (self.fit(x.tanh(), &[n, n]) * 0.5 + x.new_constant([n, n], &eye) * 2.0, n)
    }

    /// A symmetric matrix with eigenvalues above 0 and apart.
    fn definite<'t, T: TensorLike>(&mut self, x: Var<'t, T>) -> Var<'t, T> {
        let (a, n) = self.invertible(x);
        let apart: Vec<f64> = (0..n).map(|i| i as f64).collect();
        a.matmul(a.transpose(0, 1)) + x.new_constant([n], &apart).diag() * 4.0
    }

    fn pool(&mut self) -> Pool {
        let kernel = [1 + self.random.below(3), 1 + self.random.below(3)];
        let stride = [1 + self.random.below(2), 1 + self.random.below(3)];
        let padding = [self.random.below(kernel[0] / 2 + 1), self.random.below(kernel[1] / 2 + 1)];
        self.say(Pool::new(kernel).stride(stride).padding(padding))
    }

    /// A convolution over `D` axes, with an input and a weight for it made of two tensors.
    fn conv<'t, T: TensorLike, const D: usize>(
        &mut self,
        x: Var<'t, T>,
        weight: Var<'t, T>,
        transposed: bool,
    ) -> (Var<'t, T>, Var<'t, T>, Conv<D>) {
        let mut upto = |n| 1 + self.random.below(n);
        let groups = upto(2);
        let (batch, c_in, c_out) = (upto(2), upto(2), upto(2));
        let [kernel, size, stride, dilation] =
            [3, 4, 2, 2].map(|n| std::array::from_fn::<usize, D, _>(|_| upto(n)));
        let padding = std::array::from_fn(|_| upto(2) - 1);
        let conv = Conv::default().stride(stride).padding(padding).dilation(dilation);
        let conv = self.say(conv.groups(groups));
        let channels = match transposed {
            true => [c_in * groups, c_out],
            false => [c_out * groups, c_in],
        };
        let x = self.fit(x, &[&[batch, c_in * groups], &size[..]].concat());
        let weight = self.fit(weight, &[&channels[..], &kernel[..]].concat());
        (x, weight, conv)
    }
}
