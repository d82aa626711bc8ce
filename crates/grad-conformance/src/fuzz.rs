//! Random programs: whatever they ask for, there is a value or an error, and never a panic.
//!
//! A program makes a few tensors of random shapes and values, throws operations with random
//! parameters and calls of the catalogue at them, fitting or not, and differentiates what comes
//! out, again and again. Its seed says all about it, so that a failure can be repeated. Sizes are
//! either small or too large for any tensor, since running out of memory is no error that a program
//! can go on from.

use std::panic::{AssertUnwindSafe, catch_unwind};

use grad_core::{Conv, Error, ErrorKind, Index, Pool, Shape, Slice, Tape, TensorLike, Var, Window};

use crate::Random;
use crate::catalogue::{Case, catalogue};
use crate::compare::{Failure, Verdict, is_unsupported};
use crate::reference::Reference;

/// Runs the programs of these seeds; fails if one panics, or gives an error that does not name the
/// line of the program.
///
/// # Errors
/// Names the seed and what went wrong.
pub fn never_panics<T: TensorLike>(model: &T, seeds: std::ops::Range<u64>) -> Verdict {
    let cases = catalogue();
    for seed in seeds {
        run(model, &cases, Random::new(seed)).map_err(|failure| of_seed(failure, seed))?;
    }
    Ok(())
}

/// Runs one program, whose choices begin with these; for generators that shrink.
///
/// # Errors
/// Says what went wrong, as [`never_panics`].
pub fn does_not_panic<T: TensorLike>(model: &T, choices: Vec<u64>) -> Verdict {
    run(model, &catalogue(), Random::beginning_with(choices)).map(|_| ())
}

fn of_seed(failure: Failure, seed: u64) -> Failure {
    Failure::new(format!("seed {seed}: {failure}"))
}

/// The same, and shapes and errors must be those on the reference.
///
/// # Errors
/// Names the seed and the step.
pub fn fails_like_the_reference<T: TensorLike>(model: &T, seeds: std::ops::Range<u64>) -> Verdict {
    let (cases, oracles) = (catalogue(), catalogue());
    for seed in seeds {
        let here = |failure| of_seed(failure, seed);
        let got = run(model, &cases, Random::new(seed)).map_err(here)?;
        let wanted = run(&Reference::from(0.0), &oracles, Random::new(seed)).map_err(here)?;
        for (step, (got, wanted)) in got.iter().zip(&wanted).enumerate() {
            if got == UNSUPPORTED || [got, wanted].into_iter().any(|text| hangs_on_rounding(text)) {
                break;
            }
            if got != wanted {
                let text = format!("step {step} of seed {seed}: got {got}, wanted {wanted}");
                return Err(Failure::new(text));
            }
        }
    }
    Ok(())
}

/// What each step of a program came to: a shape or an error.
fn run<T: TensorLike>(
    model: &T,
    cases: &[Case<T>],
    random: Random,
) -> Result<Vec<String>, Failure> {
    let mut outcomes = Vec::new();
    let result = catch_unwind(AssertUnwindSafe(|| {
        let tape = Tape::new();
        Program { random, tape: &tape, cases, pool: Vec::new() }.run(model, &mut outcomes);
    }));
    if let Err(panic) = result {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("(no text)");
        return Err(Failure::new(format!("the program panicked: {text}")));
    }
    match outcomes.iter().find(|text| text.starts_with(LOST_LINE)) {
        Some(text) => Err(Failure::new(text.clone())),
        None => Ok(outcomes),
    }
}

struct Program<'t, T: TensorLike> {
    random: Random,
    tape: &'t Tape<T>,
    cases: &'t [Case<T>],
    /// What there is to calculate with; some of it may be void.
    pool: Vec<Var<'t, T>>,
}

const ROUNDS: usize = 3;
const STEPS: usize = 6;
/// Larger results are not calculated with.
const LARGE: usize = 2000;

const VALUES: &[f64] = &[
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    2.0,
    -3.0,
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
    1e300,
    -1e-300,
    5e-324,
    f64::MAX,
    1e-8,
    0.7,
];

const UNSUPPORTED: &str = "unsupported";

/// True if a matrix could not be factored: near the edge, rounding decides whether it can, and what
/// comes after is another program.
fn hangs_on_rounding(outcome: &str) -> bool {
    let ops = ["solve", "triangular_solve", "inv", "slogdet", "cholesky", "eigh"];
    ops.iter().any(|op| outcome.strip_prefix(op) == Some(BACKEND_FAILED))
}

const BACKEND_FAILED: &str = ": the backend failed";
/// Where all calls stand.
const CALLERS: [&str; 2] = [file!(), super::catalogue::FILE];
const LOST_LINE: &str = "an error does not name the caller's line";

/// A value's shape, or its error: all of it but for the text of a backend.
fn outcome<T: TensorLike>(x: Result<Var<'_, T>, Error>) -> String {
    match x.and_then(Var::shape) {
        Ok(shape) => shape.to_string(),
        Err(error) if !CALLERS.contains(&error.location().file()) => {
            format!("{LOST_LINE}: {error}")
        }
        Err(error) => match error.kind() {
            ErrorKind::Backend(source) if is_unsupported(&**source) => UNSUPPORTED.to_string(),
            ErrorKind::Backend(_) => format!("{}{BACKEND_FAILED}", error.op()),
            _ => error.to_string(),
        },
    }
}

impl<'t, T: TensorLike> Program<'t, T> {
    fn run(&mut self, model: &T, outcomes: &mut Vec<String>) {
        let base = self.small_shape();
        for _ in 0..3 {
            let leaf = self.leaf(model, &base);
            self.pool.push(leaf);
        }
        for _ in 0..ROUNDS {
            for _ in 0..STEPS {
                let y = match self.random.below(4) {
                    0 => self.catalogued(),
                    1 => self.composite(),
                    _ => self.step(),
                };
                outcomes.push(outcome(Ok(y)));
                let is_large = |shape: Shape| shape.iter().product::<usize>() > LARGE;
                // A void handle makes void whatever it touches; a few are enough.
                let dull = y.is_void() && self.often(7);
                if !dull && !y.shape().is_ok_and(is_large) {
                    self.pool.push(y);
                }
            }
            let found = self.sweep(model);
            outcomes.push(found.clone().map_or_else(
                |e| outcome::<T>(Err(e)),
                |found| found.iter().map(|&x| outcome(Ok(x))).collect::<Vec<_>>().join(" "),
            ));
            self.pool.extend(found.unwrap_or_default());
        }
        // What is read of a tape must not panic either.
        let trace = self.tape.trace();
        let _ = (trace.to_string(), trace.to_dot(), trace.to_mermaid(), format!("{:?}", self.pool));
    }

    /// Any of the pool, a late one rather than an early one.
    fn any(&mut self) -> Var<'t, T> {
        let (a, b) = (self.random.below(self.pool.len()), self.random.below(self.pool.len()));
        self.pool[a.max(b)]
    }

    /// True `n` times out of eight.
    fn often(&mut self, n: usize) -> bool {
        self.random.below(8) < n
    }

    fn leaf(&mut self, model: &T, base: &Shape) -> Var<'t, T> {
        let shape = match self.often(6) {
            true => self.broadcasting(base),
            false => self.small_shape(),
        };
        let n = shape.n_elements().unwrap_or(0);
        let plain = self.often(4);
        let mut value = || match plain {
            true => 2.0 * self.random.signed_unit(),
            false => self.random.choose(VALUES),
        };
        let data: Vec<f64> = (0..n).map(|_| value()).collect();
        let scalar = || model.full(&[], 0.75).unwrap_or_else(|_| model.clone());
        let value = model.from_host(&shape, &data).unwrap_or_else(|_| scalar());
        let leaf = if self.often(6) { self.tape.var(value) } else { self.tape.constant(value) };
        if self.often(2) {
            leaf.named(self.random.choose(&["x", "v1", "", "ü\n\""]))
        } else {
            leaf
        }
    }

    /// A shape of rank 0 to 6.
    fn small_shape(&mut self) -> Shape {
        let rank = self.random.below(7);
        (0..rank).map(|_| self.random.choose(&[0, 1, 1, 2, 2, 2, 3, 3])).collect()
    }

    /// A shape that broadcasts to `base`.
    fn broadcasting(&mut self, base: &Shape) -> Shape {
        let missing = self.random.choose(&[0, 0, 1, 2]).min(base.rank());
        let size = |&n: &usize| if self.random.below(4) == 0 { 1 } else { n };
        base[missing..].iter().map(size).collect()
    }

    /// A shape to ask for: like that of `x`, or any.
    fn shape(&mut self, x: Var<'t, T>) -> Shape {
        let like = x.shape().unwrap_or_default();
        match self.random.below(8) {
            0 => self.small_shape(),
            1 => Shape::from([usize::MAX, 2, 3]),
            2 => Shape::from([usize::MAX]),
            3 => self.broadcasting(&like),
            4 => like.iter().rev().copied().collect(),
            5 => Shape::from(like.n_elements().unwrap_or(0)),
            6 => [2].into_iter().chain(like.iter().copied()).collect(),
            _ => like.iter().map(|&n| if n == 1 { 3 } else { n }).collect(),
        }
    }

    fn axis(&mut self, x: Var<'t, T>) -> isize {
        let rank = x.shape().map_or(0, |shape| shape.rank());
        match self.often(7) {
            true => self.random.below(2 * rank) as isize - rank as isize,
            false => self.random.choose(&[isize::MIN, -8, 6, 7, isize::MAX]),
        }
    }

    fn axes(&mut self, x: Var<'t, T>) -> Vec<isize> {
        (0..self.random.below(4)).map(|_| self.axis(x)).collect()
    }

    fn permutation(&mut self, x: Var<'t, T>) -> Vec<isize> {
        let rank = x.shape().map_or(0, |shape| shape.rank());
        let mut axes: Vec<isize> = (0..rank as isize).collect();
        (1..rank).for_each(|i| axes.swap(i, self.random.below(i + 1)));
        if self.often(1) { self.axes(x) } else { axes }
    }

    fn place(&mut self) -> usize {
        self.random.choose(&[0, 0, 0, 1, 1, 1, 2, 2, 3, 4, 7, usize::MAX])
    }

    fn slices(&mut self, x: Var<'t, T>) -> Vec<Slice> {
        let shape = x.shape().unwrap_or_default();
        let slice = |&n: &usize| {
            let start = self.random.below(n + 1);
            let stop = start + self.random.below(n + 1 - start);
            match self.random.below(8) {
                0 => Slice { start: self.place(), stop: self.place(), step: self.place() },
                _ => Slice { start, stop, step: self.random.choose(&[1, 1, 2, 3, usize::MAX]) },
            }
        };
        let mut slices: Vec<Slice> = shape.iter().map(slice).collect();
        if self.often(1) {
            slices.pop();
        }
        slices
    }

    fn index(&mut self) -> Vec<usize> {
        (0..self.random.below(5)).map(|_| self.place()).collect()
    }

    /// One call of the catalogue, on whatever there is.
    fn catalogued(&mut self) -> Var<'t, T> {
        let case = &self.cases[self.random.below(self.cases.len())];
        let x: Vec<Var<'t, T>> = case.inputs.iter().map(|_| self.any()).collect();
        let size = |x: &Var<'t, T>| x.shape().map_or(1, |shape| shape.iter().product());
        // Outer products of large tensors are very large ones.
        match x.iter().map(size).product::<usize>() > LARGE * LARGE / 50 {
            true => self.step(),
            false => (case.apply)(&x),
        }
    }

    fn places(&mut self) -> Vec<usize> {
        (0..self.random.below(4)).map(|_| self.place()).collect()
    }

    /// An index of any shape, or one that goes with `x`.
    fn indices(&mut self, x: Var<'t, T>) -> Index {
        let shape = match self.often(2) {
            true => self.small_shape(),
            false => x.shape().unwrap_or_default(),
        };
        let n = shape.n_elements().unwrap_or(0).min(LARGE);
        let limit = self.random.choose(&[1, 1, 2, 2, 3, 9]);
        let data: Vec<usize> = (0..n).map(|_| self.random.below(limit)).collect();
        Index::new(shape, data).unwrap_or_else(|_| Index::from(self.index()))
    }

    fn window(&mut self) -> Window {
        let mut number = || self.random.choose(&[1, 1, 1, 2, 2, 3, 0, 7, usize::MAX]);
        Window { size: number(), step: number(), dilation: number() }
    }

    fn conv<const D: usize>(&mut self) -> Conv<D> {
        let mut numbers = |few: &[usize]| {
            let n = self.random.choose(few);
            if self.random.below(12) == 0 {
                [self.random.choose(&[0, 5, usize::MAX]); D]
            } else {
                [n; D]
            }
        };
        let conv = Conv::default().stride(numbers(&[1, 1, 2, 3])).dilation(numbers(&[1, 1, 2]));
        conv.padding(numbers(&[0, 0, 1, 2])).groups(numbers(&[1, 1, 1, 2])[0])
    }

    fn pool(&mut self) -> Pool {
        let mut number = || self.random.choose(&[1, 1, 2, 2, 2, 3, 0, usize::MAX]);
        let (pool, padding) = (Pool::new([number(), number()]).stride(number()), number());
        if self.often(4) { pool } else { pool.padding(padding) }
    }

    /// Something of this rank that depends on `x`.
    fn of_rank(&mut self, x: Var<'t, T>, rank: usize) -> Var<'t, T> {
        if self.often(1) {
            return x;
        }
        let shape: Shape = (0..rank).map(|_| self.random.choose(&[1, 1, 2, 2, 2, 4, 0])).collect();
        let data = self.random.signed_units(shape.n_elements().unwrap_or(0));
        x.new_constant(shape, &data) * x.sum()
    }

    /// One operation with structure: along axes, by places, over windows.
    fn composite(&mut self) -> Var<'t, T> {
        let (x, y, z) = (self.any(), self.any(), self.any());
        let number = self.random.choose(VALUES);
        let tape = self.tape;
        match self.random.below(60) {
            0 => x.softmax(self.axis(x)),
            1 => x.log_softmax(self.axis(x)),
            2 => x.logsumexp_axes(&self.axes(x)[..]),
            3 => x.cumsum(self.axis(x)),
            4 => x.cumprod(self.axis(x)),
            5 => x.prod_axes(&self.axes(x)[..]),
            6 => x.sort(self.axis(x)),
            7 => x.topk(self.place()),
            8 => x.median(),
            9 => x.norm_axes(number, &self.axes(x)[..]),
            10 => x.norm_keepdim(self.random.choose(&[0.0, 0.5, 1.0, 2.0, 3.0]), self.axis(x)),
            11 => x.var_axes(&self.axes(x)[..], self.place()),
            12 => x.std_keepdim(&self.axes(x)[..], self.place()),
            13 => x.layer_norm(&self.axes(x)[..], y, z, number),
            14 => x.rms_norm(self.axis(x), y, number),
            15 => x.batch_norm(y, z, number),
            16 => x.cosine_similarity(y, self.axis(x), number),
            17 => x.mse_loss(y),
            18 => x.huber_loss(y, number),
            19 => x.bce_with_logits(y),
            20 => x.cross_entropy(self.indices(x)),
            21 => self.of_rank(x, 2).cross_entropy(self.index()),
            22 => tape.concat(&[x, y], self.axis(x)),
            23 => tape.concat(&[x, x, z], self.axis(x)),
            24 => tape.concat(&[], 0),
            25 => tape.stack(&[x, y], self.axis(x)),
            26 => tape.stack(&[x, -x], self.axis(x)),
            27 => {
                let parts = x.split(self.axis(x), &self.places());
                // Nothing is split into no parts.
                if parts.is_empty() { x } else { self.random.choose(&parts) }
            }
            28 => {
                let rank = x.shape().map_or(0, |shape| shape.rank());
                let limit = if rank > 3 { 2 } else { 12 };
                let mut width = |_| (self.place(), self.random.below(limit));
                let widths: Vec<_> = (0..rank).map(&mut width).collect();
                let small = |&(before, _): &(usize, usize)| rank < 4 || !(2..10).contains(&before);
                x.pad(if widths.iter().all(small) { &widths } else { &[] }, number)
            }
            29 => x.flip(&self.axes(x)[..]),
            30 => x.roll(self.axis(x), self.random.choose(&[0, 1, -1, 5, isize::MIN, isize::MAX])),
            31 => x.squeeze(self.axis(x)),
            32 => x.unsqueeze(self.axis(x)),
            33 => x.tile(&self.places()),
            34 => x.repeat_interleave(self.axis(x), self.place()),
            35 => x.tril(self.random.choose(&[0, 1, -1, isize::MIN, isize::MAX])),
            36 => x.triu(self.random.choose(&[0, 1, -1, isize::MIN, isize::MAX])),
            37 => x.diagonal(),
            38 => x.diag(),
            39 => x.trace(),
            40 => x.gather(self.axis(x), self.indices(x)),
            41 => x.scatter_add(self.axis(x), self.indices(x), y),
            42 => x.scatter_add(self.axis(x), self.indices(x), x),
            43 => x.scatter(self.axis(x), self.indices(x), x),
            44 => x.take(self.indices(x)),
            45 => x.embedding(self.indices(x)),
            46 | 47 => x.unfold(self.axis(x), self.window()),
            48 => {
                let (axis, window, size) = (self.axis(x), self.window(), self.place());
                x.unfold(axis, window).fold(axis, window, size)
            }
            49 => x.fold(self.axis(x), self.window(), self.place()),
            50 => self.of_rank(x, 3).conv1d(self.of_rank(y, 3), self.conv()),
            51 | 52 => self.of_rank(x, 4).conv2d(self.of_rank(y, 4), self.conv()),
            53 => self.of_rank(x, 4).conv_transpose2d(self.of_rank(y, 4), self.conv()),
            54 => self.of_rank(x, 4).max_pool2d(self.pool()),
            55 => self.of_rank(x, 4).avg_pool2d(self.pool()),
            56 => x.clamp(number, self.random.choose(VALUES)),
            57 => x.pow(y),
            58 => x.atan2(y),
            _ => match x.argsort(self.axis(x)) {
                Ok(index) => x.gather(self.axis(x), index),
                Err(_) => x.masked_fill(y, number),
            },
        }
    }

    /// One operation.
    fn step(&mut self) -> Var<'t, T> {
        let (x, y, z) = (self.any(), self.any(), self.any());
        let number = self.random.choose(VALUES);
        match self.random.below(64) {
            0 => x + y,
            1 => x - y,
            2 => x * y,
            3 => x / y,
            4 => x.mul_or_zero(y),
            5 => -x,
            6 => x * number,
            7 => number - x,
            8 => x.recip(),
            9 => x.powf(number),
            10 => x.powf(self.random.choose(&[0.0, 0.5, 1.0, 2.0, 3.0, -1.0, -0.5])),
            11 => x.powi(self.random.choose(&[0, 1, 2, 3, -1, -2, 100, i32::MIN, i32::MAX])),
            12 => x.exp(),
            13 => x.ln(),
            14 => x.sin(),
            15 => x.cos(),
            16 => x.tanh(),
            17 => x.sqrt(),
            18 => x.abs(),
            19 => x.relu(),
            20 => x.maximum(y),
            21 => x.minimum(number),
            22 => x.where_(y, z),
            23 => x.gt(y).where_(x, y),
            24 => x.lt(y),
            25 => x.le(number),
            26 => x.ge(y),
            27 => x.eq(y),
            28 => x.ne(number),
            29 => x.sign(),
            30 => x.detach(),
            31 => x.sum(),
            32 => x.sum_axes(&self.axes(x)[..]),
            33 => x.sum_keepdim(self.axis(x)),
            34 => x.mean(),
            35 => x.mean_axes(self.axis(x)),
            36 => x.mean_keepdim(&self.axes(x)[..]),
            37 => x.max(),
            38 => x.max_axes(self.axis(x)),
            39 => x.max_keepdim(&self.axes(x)[..]),
            40 => x.min(),
            41 => x.min_axes(&self.axes(x)[..]),
            42 => x.min_keepdim(self.axis(x)),
            43 | 44 => x.sum_to(self.shape(x)),
            45 | 46 => x.expand(self.shape(x)),
            47 | 48 => x.reshape(self.shape(x)),
            49 | 50 => x.permute(&self.permutation(x)[..]),
            51 => x.transpose(self.axis(x), self.axis(x)),
            52 => x.slice(&self.slices(x)),
            53 => x.narrow(self.axis(x), self.place(), self.place()),
            54 => {
                let slices = self.slices(x);
                x.slice(&slices).unslice(x.shape().unwrap_or_default(), &slices)
            }
            55 => x.unslice(self.shape(x), &self.slices(x)),
            56 | 57 => x.index_select(self.axis(x), &self.index()),
            58 => x.index_add(self.axis(x), &self.index(), y),
            59 | 60 => x.matmul(y),
            61 => x.matmul(x.transpose(-1, -2)),
            62 => x.full_like(number),
            _ => x + x * y,
        }
    }

    /// One sweep of any kind.
    fn sweep(&mut self, model: &T) -> Result<Vec<Var<'t, T>>, Error> {
        let y = if self.often(5) { self.any().sum() } else { self.any() };
        let mut wrt: Vec<Var<'t, T>> = (0..self.random.below(4)).map(|_| self.any()).collect();
        if self.often(7) {
            wrt.retain(|x| x.is_tracked());
        }
        let ct_of = if self.often(7) { y } else { self.any() };
        let ct = if self.often(4) { ct_of.ones_like() } else { ct_of };
        let constant = |x: &T| self.tape.constant(x.clone());
        let found: Vec<_> = match self.random.below(6) {
            0 => self.tape.grad(y, &wrt),
            1 => self.tape.vjp(y, ct, &wrt),
            2 => self.tape.backward(y, &wrt)?.iter().map(constant).collect(),
            3 => {
                let ct = ct.value().unwrap_or_else(|_| model.clone());
                self.tape.plain().vjp(y, ct, &wrt)?.iter().map(constant).collect()
            }
            4 => {
                let like = |&x: &Var<'t, T>| (x, if ct.is_void() { x } else { x.ones_like() });
                vec![self.tape.jvp(y, wrt.iter().map(like))]
            }
            _ => self.tape.gradients(y).iter().map(|(_, derivative)| derivative).collect(),
        };
        for x in &found {
            x.shape()?;
        }
        Ok(found)
    }
}
