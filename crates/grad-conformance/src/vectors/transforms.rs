//! The same vectors through the transforms, called as a user would.

use std::fmt;

use grad_core::{Error, ErrorKind, Tape, TensorLike, Var, transform};

use super::{Failure, HostTensor, Tolerance, Vector, vocabulary};

/// The most elements of inputs and outputs together for which whole Jacobians are computed.
const MAX_ELEMENTS: usize = 48;

/// A vector on a backend: a function and its point, and the cotangent that makes one number of the
/// output.
struct Case<'a, T> {
    vector: &'a Vector,
    tolerance: Tolerance,
    x: Vec<T>,
    ct: T,
}

/// Compares what the transforms answer with the fields of a vector whose function is known.
pub(super) fn check<T: TensorLike>(
    model: &T,
    vector: &Vector,
    tolerance: Tolerance,
) -> Result<(), Failure> {
    let tensor = |x: &HostTensor| {
        model.from_host(&x.shape, &x.data).map_err(|error| failed("inputs", &error))
    };
    let tensors = |list: &[HostTensor]| list.iter().map(tensor).collect::<Result<Vec<T>, _>>();
    let x = tensors(&vector.inputs)?;
    let (y, pullback) = transform::vjp(|tape, x| function(tape, vector, x), x.clone())
        .map_err(|error| failed("transform::vjp", &error))?;
    let ct = match &vector.cotangent {
        Some(ct) => tensor(ct)?,
        None => y.full(y.shape(), 1.0).map_err(|error| failed("cotangent", &error))?,
    };
    let case = Case { vector, tolerance, x, ct };
    case.one("output (transform::vjp)", &vector.output, Ok(y))?;
    case.each("grads (transform::vjp)", &vector.grads, pullback.call(case.ct.clone()))?;
    let gradient = transform::grad(|tape, x| case.scalar(tape, x), case.x.clone());
    case.each("grads (transform::grad)", &vector.grads, gradient)?;
    match &vector.tangents {
        Some(tangents) => case.along(&tensors(tangents)?),
        None => Ok(()),
    }
}

impl<T: TensorLike> Case<'_, T> {
    fn f<'t>(&self, tape: &'t Tape<T>, x: Vec<Var<'t, T>>) -> Var<'t, T> {
        function(tape, self.vector, x)
    }

    /// `⟨ct, f(x)⟩`.
    fn scalar<'t>(&self, tape: &'t Tape<T>, x: Vec<Var<'t, T>>) -> Var<'t, T> {
        (self.f(tape, x) * tape.constant(self.ct.clone())).sum()
    }

    /// What the vector says of its tangents.
    fn along(&self, v: &[T]) -> Result<(), Failure> {
        let Vector { jvp, hvp, third, .. } = self.vector;
        let (x, t) = (|| self.x.clone(), || v.to_vec());
        let pushed = transform::jvp(|tape, x| self.f(tape, x), x(), t());
        self.one("jvp (transform::jvp)", jvp, pushed.map(|(_, y_dot)| y_dot))?;
        let linear = transform::linearize(|tape, x| self.f(tape, x), x());
        let linear = linear.and_then(|(_, linear)| linear.call(t()));
        self.one("jvp (transform::linearize)", jvp, linear)?;
        if hvp.is_some() {
            let product = transform::hvp(|tape, x| self.scalar(tape, x), x(), t());
            self.each("hvp (transform::hvp)", hvp, product)?;
            let product = transform::vhp(|tape, x| self.scalar(tape, x), x(), t());
            self.each("hvp (transform::vhp)", hvp, product)?;
        }
        if third.is_some() {
            let of_product = transform::grad(
                |tape, x| {
                    let v: Vec<_> = v.iter().map(|v| tape.constant(v.clone())).collect();
                    let h_v = transform::hvp(|tape, x| self.scalar(tape, x), x, v.clone());
                    dot(tape, &h_v, &v)
                },
                x(),
            );
            self.each("third (gradient of transform::hvp)", third, of_product)?;
        }
        let sizes = self.x.iter().chain([&self.ct]).map(|x| x.shape().iter().product::<usize>());
        match sizes.sum::<usize>() {
            0..=MAX_ELEMENTS => self.jacobians(v),
            _ => Ok(()),
        }
    }

    /// Whole Jacobians and Hessians, by what they make of the tangents.
    fn jacobians(&self, v: &[T]) -> Result<(), Failure> {
        let Vector { jvp, hvp, .. } = self.vector;
        let rows = transform::jacrev(|tape, x| self.f(tape, x), self.x.clone());
        self.product("jvp (transform::jacrev)", jvp.as_ref(), rows, v)?;
        let columns = transform::jacfwd(|tape, x| self.f(tape, x), self.x.clone());
        self.product("jvp (transform::jacfwd)", jvp.as_ref(), columns, v)?;
        let Some(hvp) = hvp else { return Ok(()) };
        let hessian = transform::hessian(|tape, x| self.scalar(tape, x), self.x.clone());
        let hessian = hessian.map_err(|error| failed("transform::hessian", &error))?;
        for (want, blocks) in hvp.iter().zip(hessian) {
            self.product("hvp (transform::hessian)", want.as_ref(), Ok(blocks), v)?;
        }
        Ok(())
    }

    /// Compares the sum of the products of each block and its tangent.
    ///
    /// Blocks that are not finite say nothing there, since a product with zero is not zero.
    fn product(
        &self,
        field: &str,
        want: Option<&HostTensor>,
        blocks: Result<Vec<T>, Error>,
        v: &[T],
    ) -> Result<(), Failure> {
        let Some(want) = want else { return Ok(()) };
        let read = |x: &T| x.to_host().map_err(|error| failed(field, &error));
        let mut sum = vec![0.0; want.data.len()];
        for (block, v) in blocks.map_err(|error| failed(field, &error))?.iter().zip(v) {
            let expected = [&want.shape[..], v.shape()].concat();
            if block.shape() != expected {
                let (got, want) = (format!("{:?}", block.shape()), format!("{expected:?}"));
                return Err(Failure { field: field.to_string(), got, want });
            }
            let (block, v) = (read(block)?, read(v)?);
            if !block.iter().all(|x| x.is_finite()) {
                return Ok(());
            }
            for (sum, row) in sum.iter_mut().zip(block.chunks_exact(v.len().max(1))) {
                *sum += row.iter().zip(&v).map(|(a, b)| a * b).sum::<f64>();
            }
        }
        self.tolerance.compare(field, Some(want), &want.shape, &sum)
    }

    fn one(
        &self,
        field: &str,
        want: &Option<HostTensor>,
        got: Result<T, Error>,
    ) -> Result<(), Failure> {
        let got = got.map_err(|error| failed(field, &error))?;
        let data = got.to_host().map_err(|error| failed(field, &error))?;
        self.tolerance.compare(field, want.as_ref(), got.shape(), &data)
    }

    fn each(
        &self,
        field: &str,
        want: &Option<Vec<Option<HostTensor>>>,
        got: Result<Vec<T>, Error>,
    ) -> Result<(), Failure> {
        let got = got.map_err(|error| failed(field, &error))?;
        let wants = want.iter().flatten();
        wants.zip(got).try_for_each(|(want, got)| self.one(field, want, Ok(got)))
    }
}

/// The function of a vector; void if its attributes are wrong.
fn function<'t, T: TensorLike>(
    tape: &'t Tape<T>,
    vector: &Vector,
    x: Vec<Var<'t, T>>,
) -> Var<'t, T> {
    let unknown = || Err("there is no function of this name".to_string());
    let y = vocabulary::apply(tape, &vector.op, &vector.attrs, &x).unwrap_or_else(unknown);
    y.unwrap_or_else(|message| tape.fail("vector", ErrorKind::Parameter { message }))
}

/// `Σ aᵢ bᵢ` over the elements of all tensors.
fn dot<'t, T: TensorLike>(tape: &'t Tape<T>, a: &[Var<'t, T>], b: &[Var<'t, T>]) -> Var<'t, T> {
    let message = "needs at least one tensor".to_string();
    let terms = a.iter().zip(b).map(|(&a, &b)| (a * b).sum());
    terms.reduce(|a, b| a + b).unwrap_or_else(|| tape.fail("dot", ErrorKind::Parameter { message }))
}

fn failed(field: &str, error: &dyn fmt::Display) -> Failure {
    Failure { field: field.to_string(), got: error.to_string(), want: "a value".to_string() }
}
