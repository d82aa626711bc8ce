//! Random programs whose values and derivatives must be those of the reference.
//!
//! A program is a list of steps, each an operation with random parameters on earlier values. Its
//! seed says all about it. It computes finite numbers of moderate size; then values, gradients,
//! forward derivatives and products with the Hessian, the latter in both ways, are compared with
//! the reference. A program that fails is made as short as it goes, and printed.
//!
//! # Tolerance
//!
//! Near a kink or a pole no two orders of summation agree. So where a number is off by more than
//! 10⁵ ε, the reference runs again, with noise of a few ε on the value of every step: what moves by
//! that is uncertain, and 1000 times as far is allowed. (The noise stands for all the roundings
//! within a step and of its derivatives.)

use std::fmt;

use crate::shape::list;
use crate::testing::Random;
use crate::testing::catalogue::{Apply, catalogue};
use crate::testing::compare::{Failure, Layout, Verdict, is_unsupported, pair};
use crate::testing::reference::Reference;
use crate::{Conv, ErrorKind, Index, Pool, Shape, Slice, Tape, TensorLike, Var, Window};

/// Runs the program of a seed on the backend of `model` and on the reference.
///
/// # Errors
/// Where they differ: with the shortest program found that shows it, the seed, and the numbers.
pub fn agrees_with_the_reference<T: TensorLike>(model: &T, seed: u64) -> Verdict {
    let (calls, oracles) = (calls(), calls());
    let program = Program::random(seed, &oracles)?;
    shortest(program, |program| mismatch(program, model, &calls, &oracles))
}

/// Runs the program of a seed on the reference alone: its derivatives, to the second order, must
/// agree with each other and with differences.
///
/// # Errors
/// Where they do not: as [`agrees_with_the_reference`].
pub fn agrees_with_differences(seed: u64) -> Verdict {
    let calls = calls();
    let program = Program::random(seed, &calls)?;
    shortest(program, |program| inconsistency(program, &calls))
}

// ------------------------------------------------------------------------------------- programs

/// An operation with parameters that are drawn when it is called.
struct Call<T: TensorLike> {
    text: &'static str,
    n_args: usize,
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
    fn apply<'t>(&self, draw: &mut Draw, x: &[Var<'t, T>]) -> Var<'t, T> {
        match self.apply {
            Drawn::Here(f) => f(draw, x),
            Drawn::Catalogued(f) => f(x),
        }
    }
}

/// A tensor that a program begins with.
#[derive(Clone)]
struct Input {
    shape: Shape,
    data: Vec<f64>,
    layout: Layout,
}

/// An operation on earlier values: the inputs first, then the results of steps.
#[derive(Clone)]
struct Step {
    call: usize,
    /// Of the parameters.
    seed: u64,
    args: Vec<usize>,
}

#[derive(Clone)]
struct Program {
    seed: u64,
    inputs: Vec<Input>,
    steps: Vec<Step>,
}

/// So many steps are tried.
const STEPS: usize = 10;
/// No value has more elements.
const LARGE: usize = 200;
/// No element is larger.
const LIMIT: f64 = 1000.0;

impl Program {
    fn random(seed: u64, calls: &[Call<Reference>]) -> Result<Program, Failure> {
        let mut random = Random::new(seed);
        let inputs = random_inputs(&mut random);
        let mut program = Program { seed, inputs, steps: Vec::new() };
        let tape = Tape::new();
        let n_drawn = calls.iter().filter(|call| matches!(call.apply, Drawn::Here(_))).count();
        let mut values = Vec::new();
        for input in &program.inputs {
            values.push(tape.var(input.on(&Reference::from(0.0))?.1));
        }
        for _ in 0..STEPS {
            // The half of calls that draw parameters.
            let n_calls = if random.below(2) == 0 { n_drawn } else { calls.len() };
            let call = random.below(n_calls);
            let late = |random: &mut Random| {
                let n = values.len();
                random.below(n).max(random.below(n))
            };
            let args = (0..calls[call].n_args).map(|_| late(&mut random)).collect();
            let step = Step { call, seed: random.bits(), args };
            let x: Vec<_> = step.args.iter().map(|&arg| values[arg]).collect();
            let y = calls[call].apply(&mut Draw::new(step.seed), &x);
            let usable =
                |data: Vec<f64>| data.len() <= LARGE && data.iter().all(|x| f64::abs(*x) <= LIMIT);
            if y.to_host().is_ok_and(usable) {
                values.push(y);
                program.steps.push(step);
            }
        }
        Ok(program)
    }

    /// The values that no step uses: the results.
    fn results(&self) -> Vec<usize> {
        let n = self.inputs.len() + self.steps.len();
        let used = |value: &usize| self.steps.iter().any(|step| step.args.contains(value));
        (0..n).filter(|value| !used(value)).collect()
    }

    /// Without step `i`; what used its value uses its first argument.
    fn without_step(&self, i: usize) -> Program {
        let mut program = self.clone();
        let removed = program.steps.remove(i);
        let (gone, instead) = (self.inputs.len() + i, removed.args[0]);
        program.renumber(gone, instead);
        program
    }

    /// Without input `i`, if nothing uses it.
    fn without_input(&self, i: usize) -> Option<Program> {
        let mut program = self.clone();
        if self.inputs.len() == 1 || self.steps.iter().any(|step| step.args.contains(&i)) {
            return None;
        }
        program.inputs.remove(i);
        program.renumber(i, 0);
        Some(program)
    }

    fn renumber(&mut self, gone: usize, instead: usize) {
        for arg in self.steps.iter_mut().flat_map(|step| &mut step.args) {
            *arg = match *arg {
                arg if arg == gone => instead,
                arg if arg > gone => arg - 1,
                arg => arg,
            };
        }
    }

    /// With simpler inputs, one at a time.
    fn with_simpler_inputs(&self) -> Vec<Program> {
        let mut programs = Vec::new();
        for (i, input) in self.inputs.iter().enumerate() {
            let mut push = |shape: Shape, layout| {
                let n = shape.iter().product();
                let mut program = self.clone();
                let data = input.data.iter().copied().cycle().take(n).collect();
                program.inputs[i] = Input { shape, data, layout };
                programs.push(program);
            };
            if input.layout != Layout::Direct {
                push(input.shape.clone(), Layout::Direct);
            }
            for axis in 0..input.shape.rank() {
                push(input.shape.without(&[axis]), input.layout);
                if input.shape[axis] > 1 {
                    push(crate::shape::resized(&input.shape, axis, 1), input.layout);
                }
            }
        }
        programs
    }
}

fn random_inputs(random: &mut Random) -> Vec<Input> {
    let rank = random.choose(&[0, 1, 1, 2, 2, 2, 3, 3, 4]);
    let base: Shape = (0..rank).map(|_| random.choose(&[1, 2, 2, 3, 3, 4])).collect();
    let n_inputs = 1 + random.below(3);
    let input = |_| {
        let missing = random.choose(&[0, 0, 0, 1]).min(rank);
        let mut size = |&n: &usize| if random.below(6) == 0 { 1 } else { n };
        let mut shape: Shape = base[missing..].iter().map(&mut size).collect();
        if random.below(60) == 0 {
            shape = shape.iter().map(|&n| if n == 3 { 0 } else { n }).collect();
        }
        let data = random.signed_units(shape.iter().product());
        let data = data.into_iter().map(|x| x + 0.2 * x.signum()).collect();
        Input { shape, data, layout: random.choose(&Layout::ALL) }
    };
    (0..n_inputs).map(input).collect()
}

impl Input {
    /// The tensor, and as the reference sees it.
    fn on<T: TensorLike>(&self, model: &T) -> Result<(T, Reference), Failure> {
        match self.layout.lay_out(model, &self.shape, &self.data)? {
            Some(both) => Ok(both),
            None => pair(model, &self.shape, &self.data),
        }
    }
}

/// What is drawn for the parameters of a call, and its text.
struct Draw {
    random: Random,
    text: Vec<String>,
}

impl Draw {
    fn new(seed: u64) -> Self {
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

    fn slices<T: TensorLike>(&mut self, shape: &[usize]) -> Vec<Slice> {
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
            if n > 0 && n % factor == 0 && self.random.below(2) == 0 {
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
fn calls<T: TensorLike>() -> Vec<Call<T>> {
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
        |p, x| { let shape = x.shape().unwrap_or_default(); x.slice(&p.slices::<T>(&shape)) };
        |p, x| { let shape = x.shape().unwrap_or_default(); let s = p.slices::<T>(&shape); x.slice(&s).unslice(shape, &s) };
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

// ----------------------------------------------------------------------------------- comparison

/// A tensor with the name of what it is.
struct Named {
    name: String,
    shape: Shape,
    data: Vec<f64>,
}

/// What a program computes on a backend.
struct Outcome {
    tensors: Vec<Named>,
    /// Text of the steps.
    text: Vec<String>,
}

/// What goes wrong with a program on a backend.
fn mismatch<T: TensorLike>(
    program: &Program,
    model: &T,
    calls: &[Call<T>],
    oracles: &[Call<Reference>],
) -> Option<String> {
    let (mut x, mut oracle) = (Vec::new(), Vec::new());
    for input in &program.inputs {
        match input.on(model) {
            Ok((argument, twin)) => {
                x.push(argument);
                oracle.push(twin);
            }
            Err(failure) => return Some(failure.to_string()),
        }
    }
    // A program that the reference cannot run says nothing, and infinite derivatives say little.
    let wanted = run(program, &oracle, oracles, None).ok().filter(Outcome::is_finite)?;
    let got = match run(program, &x, calls, None) {
        Ok(got) => got,
        Err(error) if unsupported(&error) => return None,
        Err(error) => return Some(error.to_string()),
    };
    let epsilon = model.dtype().epsilon();
    let suspicious = differences(&got, &wanted, |_| 1e5 * epsilon);
    suspicious.first()?;
    // Is the reference sure of it?
    let mut moved = vec![0.0; wanted.tensors.len()];
    for seed in 0..4 {
        let noise = Some((4.0 * epsilon, Random::new(seed)));
        let noisy = run(program, &oracle, oracles, noise).ok()?;
        for (moved, (noisy, wanted)) in
            moved.iter_mut().zip(noisy.tensors.iter().zip(&wanted.tensors))
        {
            *moved = distance(&noisy.data, &wanted.data).max(*moved);
        }
    }
    let allowed = |place: usize| 1e5 * epsilon + 1000.0 * moved[place];
    differences(&got, &wanted, allowed).into_iter().next()
}

fn unsupported(error: &crate::Error) -> bool {
    matches!(error.kind(), ErrorKind::Backend(source) if is_unsupported(&**source))
}

/// Where two outcomes differ by more than allowed for that tensor.
fn differences(got: &Outcome, wanted: &Outcome, allowed: impl Fn(usize) -> f64) -> Vec<String> {
    let both = got.tensors.iter().zip(&wanted.tensors).enumerate();
    let differ = both.filter(|(place, (got, wanted))| {
        got.shape != wanted.shape || !(distance(&got.data, &wanted.data) <= allowed(*place))
    });
    differ
        .map(|(place, (got, wanted))| {
            format!(
                "{}: got {} {:?}, wanted {} {:?}, allowed {:.1e}",
                got.name,
                got.shape,
                got.data,
                wanted.shape,
                wanted.data,
                allowed(place)
            )
        })
        .collect()
}

/// How far two lists are apart, relative to the largest number where that is above 1.
fn distance(x: &[f64], y: &[f64]) -> f64 {
    let scale = y.iter().fold(1.0, |max: f64, y| max.max(f64::abs(*y)));
    let apart = |(x, y): (&f64, &f64)| if x == y { 0.0 } else { (x - y).abs() };
    // Not `max`, which loses NaN.
    let larger = |a: f64, b: f64| if b > a || b.is_nan() { b } else { a };
    x.iter().zip(y).map(apart).fold(0.0, larger) / scale
}

/// Values and derivatives of a program, with noise on the values if so wanted.
fn run<T: TensorLike>(
    program: &Program,
    inputs: &[T],
    calls: &[Call<T>],
    mut noise: Option<(f64, Random)>,
) -> Result<Outcome, crate::Error> {
    let tape = Tape::new();
    let mut outcome = Outcome { tensors: Vec::new(), text: Vec::new() };
    let x: Vec<Var<'_, T>> = inputs.iter().map(|x| tape.var(x.clone())).collect();
    let mut values = x.clone();
    for step in &program.steps {
        let args: Vec<Var<'_, T>> = step.args.iter().map(|&arg| values[arg]).collect();
        let mut draw = Draw::new(step.seed);
        let mut y = calls[step.call].apply(&mut draw, &args);
        if let Some((size, random)) = &mut noise {
            let data = y.to_host()?;
            let scale = data.iter().fold(0.0, |max: f64, x| max.max(f64::abs(*x)));
            let added: Vec<f64> =
                data.iter().map(|_| random.signed_unit() * *size * scale).collect();
            y = y + y.new_constant(y.shape()?, &added);
        }
        let args = list(step.args.iter().map(|arg| format!("v{arg}")));
        let drawn = match &draw.text[..] {
            [] => String::new(),
            drawn => format!(", with {}", drawn.join(", ")),
        };
        let call = calls[step.call].text.split_whitespace().collect::<Vec<_>>().join(" ");
        let name = format!("v{}", values.len());
        outcome.text.push(format!("{name} = {call} of {args}{drawn}, shape {}", y.shape()?));
        outcome.push(name, y)?;
        values.push(y);
    }
    // Cotangents that are not constant.
    let mut sum = tape.constant(inputs[0].clone()).sum() * 0.0;
    for value in program.results() {
        sum = sum + values[value].sin().sum();
    }
    let mut random = Random::new(program.seed);
    let mut u = Vec::new();
    for x in &x {
        let shape = x.shape()?;
        let data = random.signed_units(shape.iter().product());
        u.push(x.new_constant(shape, &data));
    }
    outcome.push("the sum".to_string(), sum)?;
    let pairs = || x.iter().copied().zip(u.iter().copied()).collect::<Vec<_>>();
    outcome.push("forward derivative".to_string(), tape.jvp(sum, pairs())?)?;
    let gradients = tape.grads(sum, &x)?;
    for (i, plain) in tape.backward(sum, &x)?.into_iter().enumerate() {
        outcome.push(format!("plain gradient of v{i}"), tape.constant(plain))?;
    }
    let mut along = sum * 0.0;
    for (i, (&gradient, &u)) in gradients.iter().zip(&u).enumerate() {
        outcome.push(format!("gradient of v{i}"), gradient)?;
        outcome.push(format!("forward over reverse of v{i}"), tape.jvp(gradient, pairs())?)?;
        along = along + (gradient * u).sum();
    }
    for (i, product) in tape.grads(along, &x)?.into_iter().enumerate() {
        outcome.push(format!("reverse over reverse of v{i}"), product)?;
    }
    for (i, value) in values.into_iter().enumerate() {
        outcome.push(format!("v{i} after the sweeps"), value)?;
    }
    Ok(outcome)
}

impl Outcome {
    fn is_finite(&self) -> bool {
        self.tensors.iter().flat_map(|tensor| &tensor.data).all(|x| x.is_finite())
    }

    fn push<T: TensorLike>(&mut self, name: String, x: Var<'_, T>) -> Result<(), crate::Error> {
        self.tensors.push(Named { name, shape: x.shape()?, data: x.to_host()? });
        Ok(())
    }
}

// ------------------------------------------------------------------------------------ shrinking

/// So many shorter programs are tried.
const TRIES: usize = 2000;

/// Fails if `wrong` finds something wrong with the program, or with a shorter one made of it.
fn shortest(mut program: Program, wrong: impl Fn(&Program) -> Option<String>) -> Verdict {
    let Some(mut problem) = wrong(&program) else { return Ok(()) };
    let mut n_tries = 0;
    'shorter: loop {
        let steps = (0..program.steps.len()).rev().map(|i| program.without_step(i));
        let inputs = (0..program.inputs.len()).filter_map(|i| program.without_input(i));
        for candidate in steps.chain(inputs).chain(program.with_simpler_inputs()) {
            n_tries += 1;
            if n_tries > TRIES {
                break 'shorter;
            }
            if let Some(found) = wrong(&candidate) {
                (program, problem) = (candidate, found);
                continue 'shorter;
            }
        }
        break;
    }
    Err(Failure::new(format!("seed {}:\n{}{problem}", program.seed, text(&program))))
}

/// The program, a line for each value.
fn text(program: &Program) -> String {
    let calls = calls::<Reference>();
    let mut lines = Vec::new();
    let mut x = Vec::new();
    for (i, input) in program.inputs.iter().enumerate() {
        let data = match input.on(&Reference::from(0.0)) {
            Ok((_, oracle)) => oracle,
            Err(failure) => return failure.to_string(),
        };
        let (shape, layout) = (&input.shape, input.layout);
        lines.push(format!("v{i}: shape {shape}, {layout:?} layout, {:?}", data.data()));
        x.push(data);
    }
    match run(program, &x, &calls, None) {
        Ok(outcome) => lines.extend(outcome.text),
        Err(error) => lines.push(error.to_string()),
    }
    lines.iter().map(|line| format!("  {line}\n")).collect()
}

// ---------------------------------------------------------------------------------- differences

/// What is wrong with the derivatives of a program on the reference.
fn inconsistency(program: &Program, calls: &[Call<Reference>]) -> Option<String> {
    let hides = |step: &Step| calls[step.call].text.contains("detach");
    if program.steps.iter().any(hides) {
        return None;
    }
    let mut x = Vec::new();
    for Input { shape, data, .. } in &program.inputs {
        // In no other layout, since equal elements are ties.
        x.push(Reference::new(shape, data.clone()).ok()?);
    }
    let here = Directional::of(program, &x, calls)?;
    let pairs = [
        ("gradient along u and forward derivative", here.reverse, here.forward),
        ("Hessian along u, u: reverse over reverse and forward over reverse", here.rr, here.fr),
    ];
    // As in `mismatch`: what noise on the values moves is uncertain.
    let allowed = |moved: f64, scale: f64| 1e-10 * scale + 1000.0 * moved;
    let mut moved = 0.0_f64;
    for (text, left, right) in pairs {
        if (left - right).abs() <= allowed(moved, here.scale) {
            continue;
        }
        for seed in 0..4 {
            let noise = Some((4.0 * f64::EPSILON, Random::new(seed)));
            let noisy = Directional::with_noise(program, &x, calls, noise)?;
            moved = moved.max(here.distance(&noisy));
        }
        if !((left - right).abs() <= allowed(moved, here.scale)) {
            return Some(format!("{text}: {left} and {right}"));
        }
    }
    // Differences with two steps: where they do not agree, a kink is near.
    let coarse = Differences::of(program, &x, calls, 1.0 / 1024.0)?;
    let fine = Differences::of(program, &x, calls, 1.0 / 2048.0)?;
    let checks = [
        ("first derivative", here.forward, coarse.first, fine.first),
        ("second derivative", here.rr, coarse.second, fine.second),
    ];
    for (text, value, coarse, fine) in checks {
        let uncertain = (coarse - fine).abs();
        if uncertain < 1e-6 * here.scale && (value - fine).abs() > 1e-5 * here.scale {
            return Some(format!("{text} along u: got {value}, by differences {fine}"));
        }
    }
    None
}

/// Derivatives of a program in the direction of its seed.
struct Directional {
    sum: f64,
    forward: f64,
    reverse: f64,
    rr: f64,
    fr: f64,
    /// Of the magnitudes of the terms.
    scale: f64,
}

impl Directional {
    fn of(program: &Program, x: &[Reference], calls: &[Call<Reference>]) -> Option<Self> {
        Directional::with_noise(program, x, calls, None)
    }

    fn with_noise(
        program: &Program,
        x: &[Reference],
        calls: &[Call<Reference>],
        noise: Option<(f64, Random)>,
    ) -> Option<Self> {
        let outcome = run(program, x, calls, noise).ok().filter(Outcome::is_finite)?;
        let mut scale = 1.0;
        // The sum over all inputs of what begins with `name`, along u.
        let mut along = |name: &str| {
            let u = directions(program, x);
            let found = outcome.tensors.iter().filter(|tensor| tensor.name.starts_with(name));
            let terms = found.flat_map(|tensor| &tensor.data).zip(u.iter().flatten());
            terms.fold(0.0, |sum, (x, u)| {
                scale += (x * u).abs();
                sum + x * u
            })
        };
        let [reverse, rr, fr] =
            ["gradient of", "reverse over reverse of", "forward over reverse of"].map(&mut along);
        let only = |name: &str| {
            outcome.tensors.iter().find(|tensor| tensor.name == name).map(|tensor| tensor.data[0])
        };
        let (sum, forward) = (only("the sum")?, only("forward derivative")?);
        Some(Directional { sum, forward, reverse, rr, fr, scale })
    }

    fn distance(&self, other: &Directional) -> f64 {
        let numbers = |x: &Directional| [x.forward, x.reverse, x.rr, x.fr];
        let apart = numbers(self).into_iter().zip(numbers(other)).map(|(x, y)| (x - y).abs());
        apart.fold(0.0, f64::max)
    }
}

/// The direction of a program, for each input.
fn directions(program: &Program, x: &[Reference]) -> Vec<Vec<f64>> {
    let mut random = Random::new(program.seed);
    x.iter().map(|x| random.signed_units(x.data().len())).collect()
}

/// Differences of values and of first derivatives over four points.
struct Differences {
    first: f64,
    second: f64,
}

impl Differences {
    fn of(
        program: &Program,
        x: &[Reference],
        calls: &[Call<Reference>],
        step: f64,
    ) -> Option<Self> {
        let u = directions(program, x);
        let at = |steps: f64| {
            let moved = x.iter().zip(&u).map(|(x, u)| {
                let data = x.data().iter().zip(u).map(|(x, u)| x + steps * step * u).collect();
                Reference::new(x.shape(), data)
            });
            let moved = moved.collect::<Result<Vec<_>, _>>().ok()?;
            Directional::of(program, &moved, calls)
        };
        let [a, b, c, d] = [at(1.0)?, at(-1.0)?, at(2.0)?, at(-2.0)?];
        let difference =
            |f: fn(&Directional) -> f64| (8.0 * (f(&a) - f(&b)) - (f(&c) - f(&d))) / (12.0 * step);
        Some(Differences { first: difference(|x| x.sum), second: difference(|x| x.forward) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_make_all_calls_with_parameters() -> Verdict {
        let calls = calls();
        let mut n_calls = vec![0; calls.len()];
        for seed in 0..1000 {
            for step in Program::random(seed, &calls)?.steps {
                n_calls[step.call] += 1;
            }
        }
        for (call, n) in calls.iter().zip(n_calls) {
            assert!(n > 0 || matches!(call.apply, Drawn::Catalogued(_)), "never {}", call.text);
        }
        Ok(())
    }

    #[test]
    fn most_programs_are_compared() -> Verdict {
        let calls = calls();
        let mut n_finite = 0;
        for seed in 0..200 {
            let program = Program::random(seed, &calls)?;
            let x = program.inputs.iter().map(|input| Ok(input.on(&Reference::from(0.0))?.1));
            let x = x.collect::<Result<Vec<_>, Failure>>()?;
            if run(&program, &x, &calls, None).is_ok_and(|outcome| outcome.is_finite()) {
                n_finite += 1;
            }
        }
        assert!(n_finite > 160, "{n_finite} of 200");
        Ok(())
    }
}
