//! The same numbers for every contender.

use std::cell::RefCell;
use std::rc::Rc;

use candle_core::{DType, Device, Tensor, Var};
use grad_core::TensorLike;

use crate::measure::case::Numbers;

/// A leaf of a workload. The numbers are those of f32, so that no contender rounds them.
#[derive(Clone)]
pub(crate) struct Array {
    pub(crate) shape: Vec<usize>,
    pub(crate) data: Vec<f64>,
}

impl Array {
    /// Uniform numbers in `±bound`, the same in every run.
    pub(crate) fn uniform(seed: u64, shape: &[usize], bound: f64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let number = |_| f64::from((bound * (2.0 * random.f64() - 1.0)) as f32);
        let data = (0..shape.iter().product()).map(number).collect();
        Array { shape: shape.to_vec(), data }
    }

    /// Weights of a linear map, such that the variance of what goes through it stays.
    pub(crate) fn weights(seed: u64, shape: &[usize], n_inputs: usize) -> Self {
        Array::uniform(seed, shape, (3.0 / n_inputs as f64).sqrt())
    }

    /// A tensor of ours, like the model.
    pub(crate) fn ours<T: TensorLike>(&self, model: &T) -> T {
        model.from_host(&self.shape, &self.data).expect("a tensor")
    }

    pub(crate) fn candle(&self, dtype: DType) -> Tensor {
        let tensor = Tensor::from_slice(&self.data, self.shape.clone(), &Device::Cpu);
        tensor.and_then(|tensor| tensor.to_dtype(dtype)).expect("a tensor")
    }

    /// A variable of candle.
    pub(crate) fn var(&self, dtype: DType) -> Var {
        Var::from_tensor(&self.candle(dtype)).expect("a variable")
    }

    pub(crate) fn f32(&self) -> Vec<f32> {
        self.data.iter().map(|&x| x as f32).collect()
    }
}

/// A class for each of `n`, the same in every run.
pub(crate) fn labels(seed: u64, n: usize, n_classes: usize) -> Vec<usize> {
    let mut random = fastrand::Rng::with_seed(seed);
    (0..n).map(|_| random.usize(..n_classes)).collect()
}

/// Labels as candle wants them: `[n, 1]`, to gather by.
pub(crate) fn candle_labels(labels: &[usize]) -> Tensor {
    let labels: Vec<u32> = labels.iter().map(|&label| label as u32).collect();
    Tensor::from_slice(&labels, (labels.len(), 1), &Device::Cpu).expect("a tensor")
}

/// Tensors of ours: a value and gradients.
pub(crate) struct Ours<T>(pub(crate) Vec<T>);

impl<T> Ours<T> {
    pub(crate) fn new(value: T, gradients: impl IntoIterator<Item = T>) -> Self {
        Ours([value].into_iter().chain(gradients).collect())
    }
}

impl<T: TensorLike> Numbers for Ours<T> {
    fn numbers(&self) -> Vec<Vec<f64>> {
        self.0.iter().map(|x| x.to_host().expect("a tensor of numbers")).collect()
    }
}

/// Tensors of candle: the value, and the gradients of it with respect to variables.
pub(crate) fn candle_step(value: Tensor, vars: &[Var]) -> candle_core::Result<Vec<Tensor>> {
    let gradients = value.backward()?;
    let of = |var: &Var| gradients.get(var).cloned();
    Ok([value].into_iter().chain(vars.iter().filter_map(of)).collect())
}

impl Numbers for Vec<Tensor> {
    fn numbers(&self) -> Vec<Vec<f64>> {
        let host = |x: &Tensor| x.flatten_all()?.to_dtype(DType::F64)?.to_vec1();
        self.iter().map(|x| host(x).expect("a tensor of numbers")).collect()
    }
}

/// What a floor computes, in memory that it keeps.
pub(crate) type Kept<A> = Rc<RefCell<Vec<Vec<A>>>>;

/// Lists of zeros of these sizes.
pub(crate) fn kept<A: Default + Clone>(sizes: impl IntoIterator<Item = usize>) -> Kept<A> {
    Rc::new(RefCell::new(sizes.into_iter().map(|n| vec![A::default(); n]).collect()))
}

impl<A: Copy + Into<f64> + 'static> Numbers for Kept<A> {
    fn numbers(&self) -> Vec<Vec<f64>> {
        self.borrow().iter().map(|list| list.iter().map(|&x| x.into()).collect()).collect()
    }
}
