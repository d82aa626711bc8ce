//! The backend of `docs/custom-backend.md`, letter for letter.

use std::{error, fmt, rc::Rc};

use grad_core::extend::{DType, Shape, TensorLike, Unsupported, n_elements};

/// A shape, and the elements in row-major order, which clones share.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    shape: Shape,
    data: Rc<Vec<f64>>,
}

// `Tape::var` takes whatever is `Into<Array>`.
impl From<Vec<f64>> for Array {
    fn from(data: Vec<f64>) -> Self { Array { shape: data.len().into(), data: data.into() } }
}

/// The error is your own type, so that you can write `?`.
#[derive(Debug)]
pub struct ArrayError(String);

impl error::Error for ArrayError {}
impl fmt::Display for ArrayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(&self.0) }
}
impl From<Unsupported> for ArrayError { // what the methods return that you leave out
    fn from(unsupported: Unsupported) -> Self { ArrayError(unsupported.to_string()) }
}

type Answer = Result<Array, ArrayError>;

fn check(fits: bool, otherwise: &str) -> Result<(), ArrayError> {
    if fits { Ok(()) } else { Err(ArrayError(otherwise.to_string())) }
}

impl Array {
    /// Makes every array: walks over the indices of `shape` in row-major order, and asks `f`.
    fn build(shape: &[usize], mut f: impl FnMut(&[usize]) -> f64) -> Answer {
        let n = n_elements(shape).unwrap_or(usize::MAX);
        let mut data = Vec::new();
        check(data.try_reserve_exact(n).is_ok(), "out of memory")?;
        let mut index = vec![0; shape.len()];
        for flat in 0..n {
            let mut rest = flat;
            for (i, size) in index.iter_mut().zip(shape).rev() {
                (*i, rest) = (rest % size, rest / size);
            }
            data.push(f(&index));
        }
        Ok(Array { shape: shape.into(), data: data.into() })
    }

    /// Reads every array, at an index of any shape it broadcasts to: axes of size 1 repeat, and so
    /// do those in front that are missing.
    fn at(&self, index: &[usize]) -> f64 {
        let own = index[index.len() - self.shape.rank()..].iter().zip(&*self.shape);
        self.data[own.fold(0, |flat, (&i, &size)| flat * size + if size == 1 { 0 } else { i })]
    }

    /// `f` of the elements of one or more arrays, which broadcast.
    fn zip<const N: usize>(x: [&Array; N], f: impl Fn([f64; N]) -> f64) -> Answer {
        let broadcast = |shape: Shape, x: &&Array| shape.broadcast(&x.shape);
        let shape = x.iter().try_fold(Shape::scalar(), broadcast);
        check(shape.is_some(), "shapes do not broadcast")?;
        Array::build(&shape.unwrap_or_default(), |index| f(x.map(|x| x.at(index))))
    }

    /// Drops `axes`: moves them to the end, where what belongs together is one run of elements.
    fn fold(&self, axes: &[usize], start: f64, f: impl Fn(f64, f64) -> f64) -> Answer {
        let kept = (0..self.shape.rank()).filter(|axis| !axes.contains(axis));
        let moved = self.permute(&kept.chain(axes.iter().copied()).collect::<Vec<_>>())?;
        let (shape, dropped) = moved.shape.split_at(moved.shape.rank() - axes.len());
        let (n, mut elements) = (dropped.iter().product(), moved.data.iter().copied());
        Array::build(shape, |_| elements.by_ref().take(n).fold(start, &f))
    }
}

impl TensorLike for Array {
    type Error = ArrayError;

    fn shape(&self) -> &[usize] { &self.shape }
    fn dtype(&self) -> DType { DType::F64 }
    // `self` is a model: a backend with devices or several dtypes makes the new one like it.
    fn full(&self, shape: &[usize], value: f64) -> Answer { Array::build(shape, |_| value) }
    fn from_host(&self, shape: &[usize], data: &[f64]) -> Answer {
        Array::from(data.to_vec()).reshape(shape)
    }
    fn to_host(&self) -> Result<Vec<f64>, ArrayError> { Ok(self.data.to_vec()) }

    fn add(&self, rhs: &Array) -> Answer { Array::zip([self, rhs], |[x, y]| x + y) }
    fn sub(&self, rhs: &Array) -> Answer { Array::zip([self, rhs], |[x, y]| x - y) }
    fn mul(&self, rhs: &Array) -> Answer { Array::zip([self, rhs], |[x, y]| x * y) }
    fn div(&self, rhs: &Array) -> Answer { Array::zip([self, rhs], |[x, y]| x / y) }
    fn pow(&self, rhs: &Array) -> Answer { Array::zip([self, rhs], |[x, y]| x.powf(y)) }
    fn lt(&self, rhs: &Array) -> Answer { Array::zip([self, rhs], |[x, y]| f64::from(x < y)) }
    fn eq(&self, rhs: &Array) -> Answer { Array::zip([self, rhs], |[x, y]| f64::from(x == y)) }
    // Never mask · a + (1 − mask) · b: that would be NaN where the other one is infinite.
    fn select(&self, a: &Array, b: &Array) -> Answer {
        Array::zip([self, a, b], |[mask, a, b]| if mask != 0.0 { a } else { b })
    }
    fn exp(&self) -> Answer { Array::zip([self], |[x]| x.exp()) }
    fn ln(&self) -> Answer { Array::zip([self], |[x]| x.ln()) }
    fn sin(&self) -> Answer { Array::zip([self], |[x]| x.sin()) }
    fn cos(&self) -> Answer { Array::zip([self], |[x]| x.cos()) }
    fn tanh(&self) -> Answer { Array::zip([self], |[x]| x.tanh()) }
    fn sqrt(&self) -> Answer { Array::zip([self], |[x]| x.sqrt()) }

    fn sum(&self, axes: &[usize]) -> Answer { self.fold(axes, 0.0, |sum, x| sum + x) }
    fn max(&self, axes: &[usize]) -> Answer { // `f64::max` would lose NaN
        self.fold(axes, f64::NEG_INFINITY, |max, x| if x > max || x.is_nan() { x } else { max })
    }

    fn reshape(&self, shape: &[usize]) -> Answer {
        check(n_elements(shape) == Some(self.data.len()), "numbers of elements differ")?;
        Ok(Array { shape: shape.into(), data: self.data.clone() })
    }
    fn expand(&self, shape: &[usize]) -> Answer {
        check(self.shape.expands_to(shape), "shape does not broadcast")?;
        Array::build(shape, |index| self.at(index))
    }
    // Axis i of the result is axis axes[i] of this array.
    fn permute(&self, axes: &[usize]) -> Answer {
        let mut own = vec![0; self.shape.rank()];
        check(axes.len() == own.len() && (0..own.len()).all(|i| axes.contains(&i)), "bad axes")?;
        let shape: Shape = axes.iter().map(|&axis| self.shape[axis]).collect();
        Array::build(&shape, |index| {
            axes.iter().zip(index).for_each(|(&axis, &i)| own[axis] = i);
            self.at(&own)
        })
    }
    // Matrices are the last two axes: [.., m, k, 1] · [.., 1, k, n], summed over k.
    fn matmul(&self, rhs: &Array) -> Answer {
        let (m_k, k_n) = (self.shape.last_chunk(), rhs.shape.split_last_chunk());
        let (Some([_, left_k]), Some((batch, [k, n]))) = (m_k, k_n) else {
            return Err(ArrayError("no matrices".to_string()));
        };
        check(left_k == k, "inner sizes differ")?;
        let left = self.reshape(&[&*self.shape, &[1]].concat())?;
        let product = left.mul(&rhs.reshape(&[batch, &[1, *k, *n]].concat())?)?;
        product.sum(&[product.shape.rank() - 2])
    }

    // The required methods end here. The others have a definition made of them, which you may
    // replace: here by one that adds in place if nobody else holds the elements.
    fn accumulate(mut self, rhs: &Array) -> Answer {
        check(self.shape == rhs.shape, "shapes differ")?;
        Rc::make_mut(&mut self.data).iter_mut().zip(&*rhs.data).for_each(|(x, y)| *x += y);
        Ok(self)
    }
}
