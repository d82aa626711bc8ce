//! Backends made of the reference, for tests.

#![allow(dead_code)] // Each test file uses some of them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use grad_conformance::Reference;
use grad_conformance::reference::ReferenceError;
use grad_core::extend::{DType, Index, Shape, Slice, TensorLike, Window};

/// What is wrong with a [`Faulty`] backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Nothing,
    /// Arithmetic aligns a vector at the first axis of the other operand, where it fits there too.
    WrongBroadcast,
    /// `lt` holds between equals.
    WrongTie,
    /// `exp` remembers what it computed for a shape.
    StaleCache,
    /// `sum` over the first axis runs over the second, where that has the same size.
    WrongAxis,
    /// `mul` rounds to 32 bits.
    PrecisionLoss,
    /// `accumulate` writes into a tensor that others hold.
    WritesInPlace,
    /// The override of `maximum` loses NaN.
    LosesNan,
    /// The override of `log1p` gives 42 at −1.
    LosesThePole,
    /// The override of `min` takes −∞ for −10⁹.
    BoundsInfinity,
    /// Reports another dtype than it has, and rounds to it everywhere: no fault, but `f32`.
    Single,
    /// Says that its elements are integers.
    Whole,
}

/// The reference, but for one fault.
#[derive(Clone, Debug)]
pub(crate) struct Faulty {
    x: Rc<RefCell<Reference>>,
    shape: Shape,
    fault: Fault,
    cache: Rc<RefCell<HashMap<Shape, Reference>>>,
}

type Answer = Result<Faulty, ReferenceError>;

impl Faulty {
    /// The number 0.
    pub(crate) fn new(fault: Fault) -> Self {
        let x = Rc::new(RefCell::new(Reference::from(0.0)));
        Faulty { x, shape: Shape::scalar(), fault, cache: Rc::default() }
    }

    fn has(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    fn get(&self) -> Reference {
        self.x.borrow().clone()
    }

    /// An operand as the fault aligns it with the other one.
    fn beside(&self, other: &Self) -> Result<Reference, ReferenceError> {
        match (&self.shape[..], &other.shape[..]) {
            (&[m], &[n, _, ..]) if n == m && self.has(Fault::WrongBroadcast) => {
                let mut shape = vec![1; other.shape.len()];
                shape[0] = m;
                self.get().reshape(&shape)
            }
            _ => Ok(self.get()),
        }
    }

    fn like(&self, x: Result<Reference, ReferenceError>) -> Answer {
        let x = if self.has(Fault::Single) { single(&x?)? } else { x? };
        let (shape, x) = (Shape::from(x.shape()), Rc::new(RefCell::new(x)));
        Ok(Faulty { x, shape, fault: self.fault, cache: self.cache.clone() })
    }
}

/// Every element rounded to 32 bits.
fn single(x: &Reference) -> Result<Reference, ReferenceError> {
    Reference::new(x.shape(), x.data().iter().map(|&x| f64::from(x as f32)).collect())
}

#[rustfmt::skip] // One method a line.
impl TensorLike for Faulty {
    type Error = ReferenceError;

    fn shape(&self) -> &[usize] { &self.shape }
    fn dtype(&self) -> DType {
        match self.fault { Fault::Single => DType::F32, Fault::Whole => DType::Other("i64"), _ => DType::F64 }
    }
    fn full(&self, shape: &[usize], value: f64) -> Answer { self.like(self.get().full(shape, value)) }
    fn from_host(&self, shape: &[usize], data: &[f64]) -> Answer { self.like(self.get().from_host(shape, data)) }
    fn to_host(&self) -> Result<Vec<f64>, ReferenceError> { self.get().to_host() }

    fn add(&self, rhs: &Self) -> Answer { self.like(self.beside(rhs)?.add(&rhs.beside(self)?)) }
    fn sub(&self, rhs: &Self) -> Answer { self.like(self.beside(rhs)?.sub(&rhs.beside(self)?)) }
    fn mul(&self, rhs: &Self) -> Answer {
        let product = self.beside(rhs)?.mul(&rhs.beside(self)?);
        self.like(if self.has(Fault::PrecisionLoss) { single(&product?) } else { product })
    }
    fn div(&self, rhs: &Self) -> Answer { self.like(self.beside(rhs)?.div(&rhs.beside(self)?)) }
    fn pow(&self, rhs: &Self) -> Answer { self.like(self.get().pow(&rhs.get())) }
    fn lt(&self, rhs: &Self) -> Answer {
        let (x, y) = (self.get(), rhs.get());
        self.like(if self.has(Fault::WrongTie) { x.le(&y) } else { x.lt(&y) })
    }
    fn eq(&self, rhs: &Self) -> Answer { self.like(TensorLike::eq(&self.get(), &rhs.get())) }
    fn select(&self, a: &Self, b: &Self) -> Answer { self.like(self.get().select(&a.get(), &b.get())) }
    fn exp(&self) -> Answer {
        let computed = self.get().exp()?;
        let mut cache = self.cache.borrow_mut();
        let cached = cache.entry(self.shape.clone()).or_insert(computed.clone());
        self.like(Ok(if self.has(Fault::StaleCache) { cached.clone() } else { computed }))
    }
    fn ln(&self) -> Answer { self.like(self.get().ln()) }
    fn sin(&self) -> Answer { self.like(self.get().sin()) }
    fn cos(&self) -> Answer { self.like(self.get().cos()) }
    fn tanh(&self) -> Answer { self.like(self.get().tanh()) }
    fn sqrt(&self) -> Answer { self.like(self.get().sqrt()) }
    fn sum(&self, axes: &[usize]) -> Answer {
        match (&self.shape[..], axes) {
            ([n, m, ..], [0]) if n == m && self.has(Fault::WrongAxis) => self.like(self.get().sum(&[1])),
            _ => self.like(self.get().sum(axes)),
        }
    }
    fn max(&self, axes: &[usize]) -> Answer { self.like(self.get().max(axes)) }
    fn reshape(&self, shape: &[usize]) -> Answer { self.like(self.get().reshape(shape)) }
    fn permute(&self, axes: &[usize]) -> Answer { self.like(self.get().permute(axes)) }
    fn expand(&self, shape: &[usize]) -> Answer { self.like(self.get().expand(shape)) }
    fn matmul(&self, rhs: &Self) -> Answer { self.like(self.get().matmul(&rhs.get())) }

    fn maximum(&self, rhs: &Self) -> Answer {
        let (x, y) = (self.get(), rhs.get());
        self.like(if self.has(Fault::LosesNan) { x.lt(&y)?.select(&y, &x) } else { x.maximum(&y) })
    }
    fn log1p(&self) -> Answer {
        let x = self.get();
        let pole = TensorLike::eq(&x, &x.scalar(-1.0)?)?;
        self.like(if self.has(Fault::LosesThePole) { pole.select(&x.scalar(42.0)?, &x.log1p()?) } else { x.log1p() })
    }
    fn min(&self, axes: &[usize]) -> Answer {
        let x = self.get();
        let infinite = TensorLike::eq(&x, &x.scalar(f64::NEG_INFINITY)?)?;
        self.like(if self.has(Fault::BoundsInfinity) { infinite.select(&x.scalar(-1e9)?, &x)?.min(axes) } else { x.min(axes) })
    }
    fn accumulate(self, rhs: &Self) -> Answer {
        if !self.has(Fault::WritesInPlace) {
            return self.add(rhs);
        }
        let sum = self.get().add(&rhs.get())?;
        self.x.replace(sum);
        Ok(self)
    }

    fn slice(&self, slices: &[Slice]) -> Answer { self.like(self.get().slice(slices)) }
    fn unslice(&self, shape: &[usize], slices: &[Slice]) -> Answer { self.like(self.get().unslice(shape, slices)) }
    fn index_select(&self, axis: usize, index: &[usize]) -> Answer { self.like(self.get().index_select(axis, index)) }
    fn index_add(&self, axis: usize, index: &[usize], size: usize) -> Answer { self.like(self.get().index_add(axis, index, size)) }
    fn gather(&self, axis: usize, index: &Index) -> Answer { self.like(self.get().gather(axis, index)) }
    fn scatter_add(&self, axis: usize, index: &Index, shape: &[usize]) -> Answer { self.like(self.get().scatter_add(axis, index, shape)) }
    fn concat(&self, others: &[&Self], axis: usize) -> Answer {
        let others: Vec<Reference> = others.iter().map(|other| other.get()).collect();
        self.like(self.get().concat(&others.iter().collect::<Vec<_>>(), axis))
    }
    fn unfold(&self, axis: usize, window: Window) -> Answer { self.like(self.get().unfold(axis, window)) }
    fn fold(&self, axis: usize, window: Window, n: usize) -> Answer { self.like(self.get().fold(axis, window, n)) }
}
