//! What random programs draw for the parameters of a call, so that they fit its arguments.

use std::fmt;

use grad_core::{Conv, Index, Pool, Slice, TensorLike, Var, Window};

use crate::Random;

/// What is drawn for the parameters of a call, and its text.
pub(crate) struct Draw {
    random: Random,
    pub(crate) text: Vec<String>,
}

impl Draw {
    pub(crate) fn new(seed: u64) -> Self {
        Draw { random: Random::new(seed), text: Vec::new() }
    }

    fn say<X: fmt::Debug>(&mut self, x: X) -> X {
        self.text.push(format!("{x:?}"));
        x
    }

    /// A whole number from `from` to `to`.
    pub(crate) fn n(&mut self, from: usize, to: usize) -> usize {
        let n = from + self.random.below(to + 1 - from);
        self.say(n)
    }

    /// A number in [−1, 1).
    pub(crate) fn x(&mut self) -> f64 {
        let x = self.random.signed_unit();
        self.say(x)
    }

    pub(crate) fn of<X: Clone + fmt::Debug>(&mut self, choices: &[X]) -> X {
        let x = self.random.choose(choices);
        self.say(x)
    }

    pub(crate) fn rank<T: TensorLike>(x: Var<'_, T>) -> usize {
        x.shape().map_or(0, |shape| shape.rank())
    }

    pub(crate) fn axis<T: TensorLike>(&mut self, x: Var<'_, T>) -> isize {
        let rank = Draw::rank(x);
        let axis = self.random.below(2 * rank) as isize - rank as isize;
        self.say(axis)
    }

    pub(crate) fn permutation<T: TensorLike>(&mut self, x: Var<'_, T>) -> Vec<isize> {
        let rank = Draw::rank(x);
        let mut axes: Vec<isize> = (0..rank as isize).collect();
        (1..rank).for_each(|i| axes.swap(i, self.random.below(i + 1)));
        self.say(axes)
    }

    /// Any axes, in any order.
    pub(crate) fn axes<T: TensorLike>(&mut self, x: Var<'_, T>) -> Vec<isize> {
        let mut axes = self.permutation(x);
        self.text.pop();
        axes.truncate(self.random.below(axes.len() + 1));
        self.say(axes)
    }

    pub(crate) fn size<T: TensorLike>(x: Var<'_, T>, axis: isize) -> usize {
        let shape = x.shape().unwrap_or_default();
        let axis = if axis < 0 { axis + shape.rank() as isize } else { axis };
        shape.get(axis as usize).copied().unwrap_or(0)
    }

    pub(crate) fn n_elements<T: TensorLike>(x: Var<'_, T>) -> usize {
        x.shape().map_or(0, |shape| shape.iter().product())
    }

    /// Some places below `n`.
    pub(crate) fn places(&mut self, n: usize) -> Vec<usize> {
        let n_places = if n == 0 { 0 } else { self.random.below(5) };
        let places = (0..n_places).map(|_| self.random.below(n)).collect();
        self.say(places)
    }

    /// An index of `shape` with places below `n`.
    pub(crate) fn index(&mut self, shape: &[usize], n: usize) -> Index {
        let n_elements = if n == 0 { 0 } else { shape.iter().product() };
        let data: Vec<usize> = (0..n_elements).map(|_| self.random.below(n)).collect();
        let index = Index::new(shape, data).unwrap_or_else(|_| Index::from([]));
        self.say(index)
    }

    /// An index within `x` but for its size along `axis`.
    pub(crate) fn index_into<T: TensorLike>(&mut self, x: Var<'_, T>, axis: isize) -> Index {
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

    pub(crate) fn slices(&mut self, shape: &[usize]) -> Vec<Slice> {
        let mut slice = |&n: &usize| {
            let start = self.random.below(n.div_ceil(2) + 1).min(n);
            let stop = n - self.random.below((n - start).div_ceil(2) + 1);
            Slice { start, stop: stop.max(start), step: 1 + self.random.below(2) }
        };
        let slices = shape.iter().map(&mut slice).collect();
        self.say(slices)
    }

    /// A window for an axis of size `n`.
    pub(crate) fn window(&mut self, n: usize) -> Window {
        let size = 1 + self.random.below(n.clamp(1, 3));
        let (step, dilation) = (1 + self.random.below(2), 1 + self.random.below(2));
        self.say(Window { size, step, dilation })
    }

    /// A shape with as many elements as `x`.
    pub(crate) fn reshaped<T: TensorLike>(&mut self, x: Var<'_, T>) -> Vec<usize> {
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
    pub(crate) fn fit<'t, T: TensorLike>(&mut self, x: Var<'t, T>, shape: &[usize]) -> Var<'t, T> {
        self.say(shape);
        let n = Draw::n_elements(x);
        let places = (0..n).cycle().take(shape.iter().product()).collect::<Vec<usize>>();
        x.reshape(n).index_select(0, &places).reshape(shape)
    }

    /// A matrix near 2, made of the elements of `x`, and its size.
    pub(crate) fn invertible<'t, T: TensorLike>(&mut self, x: Var<'t, T>) -> (Var<'t, T>, usize) {
        let n = self.n(1, 3);
        let eye: Vec<f64> = (0..n * n).map(|i| f64::from(u8::from(i % (n + 1) == 0))).collect();
        (self.fit(x.tanh(), &[n, n]) * 0.5 + x.new_constant([n, n], &eye) * 2.0, n)
    }

    /// A symmetric matrix with eigenvalues above 0 and apart.
    pub(crate) fn definite<'t, T: TensorLike>(&mut self, x: Var<'t, T>) -> Var<'t, T> {
        let (a, n) = self.invertible(x);
        let apart: Vec<f64> = (0..n).map(|i| i as f64).collect();
        a.matmul(a.transpose(0, 1)) + x.new_constant([n], &apart).diag() * 4.0
    }

    pub(crate) fn pool(&mut self) -> Pool {
        let kernel = [1 + self.random.below(3), 1 + self.random.below(3)];
        let stride = [1 + self.random.below(2), 1 + self.random.below(3)];
        let padding = [self.random.below(kernel[0] / 2 + 1), self.random.below(kernel[1] / 2 + 1)];
        self.say(Pool::new(kernel).stride(stride).padding(padding))
    }

    /// A convolution over `D` axes, with an input and a weight for it made of two tensors.
    pub(crate) fn conv<'t, T: TensorLike, const D: usize>(
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
