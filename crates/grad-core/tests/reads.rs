//! Reading a large value piece by piece: a sweep does no more than what was read.

use std::cell::Cell;

use grad_conformance::Reference;
use grad_conformance::reference::ReferenceError;
use grad_core::extend::{DType, Index, Slice, TensorLike, Window};
use grad_core::{Error, Tape, Var};

thread_local! {
    /// The elements that methods of [`Counting`] wrote.
    static WRITTEN: Cell<usize> = const { Cell::new(0) };
}

/// The reference, which counts the elements that it writes; views write none.
#[derive(Clone, Debug)]
struct Counting(Reference);

type Answer = Result<Counting, ReferenceError>;

fn written(x: Result<Reference, ReferenceError>) -> Answer {
    let x = x?;
    WRITTEN.set(WRITTEN.get() + x.data().len());
    Ok(Counting(x))
}

#[rustfmt::skip] // One method a line.
impl TensorLike for Counting {
    type Error = ReferenceError;

    fn shape(&self) -> &[usize] { self.0.shape() }
    fn dtype(&self) -> DType { self.0.dtype() }
    fn full(&self, shape: &[usize], value: f64) -> Answer { written(self.0.full(shape, value)) }
    fn from_host(&self, shape: &[usize], data: &[f64]) -> Answer { written(self.0.from_host(shape, data)) }
    fn to_host(&self) -> Result<Vec<f64>, ReferenceError> { self.0.to_host() }
    fn add(&self, rhs: &Self) -> Answer { written(self.0.add(&rhs.0)) }
    fn sub(&self, rhs: &Self) -> Answer { written(self.0.sub(&rhs.0)) }
    fn mul(&self, rhs: &Self) -> Answer { written(self.0.mul(&rhs.0)) }
    fn div(&self, rhs: &Self) -> Answer { written(self.0.div(&rhs.0)) }
    fn pow(&self, rhs: &Self) -> Answer { written(self.0.pow(&rhs.0)) }
    fn lt(&self, rhs: &Self) -> Answer { written(self.0.lt(&rhs.0)) }
    fn eq(&self, rhs: &Self) -> Answer { written(TensorLike::eq(&self.0, &rhs.0)) }
    fn select(&self, a: &Self, b: &Self) -> Answer { written(self.0.select(&a.0, &b.0)) }
    fn exp(&self) -> Answer { written(self.0.exp()) }
    fn ln(&self) -> Answer { written(self.0.ln()) }
    fn sin(&self) -> Answer { written(self.0.sin()) }
    fn cos(&self) -> Answer { written(self.0.cos()) }
    fn tanh(&self) -> Answer { written(self.0.tanh()) }
    fn sqrt(&self) -> Answer { written(self.0.sqrt()) }
    fn sum(&self, axes: &[usize]) -> Answer { written(self.0.sum(axes)) }
    fn max(&self, axes: &[usize]) -> Answer { written(self.0.max(axes)) }
    fn reshape(&self, shape: &[usize]) -> Answer { self.0.reshape(shape).map(Counting) }
    fn permute(&self, axes: &[usize]) -> Answer { self.0.permute(axes).map(Counting) }
    fn expand(&self, shape: &[usize]) -> Answer { self.0.expand(shape).map(Counting) }
    fn matmul(&self, rhs: &Self) -> Answer { written(self.0.matmul(&rhs.0)) }
    fn slice(&self, slices: &[Slice]) -> Answer { self.0.slice(slices).map(Counting) }
    fn unslice(&self, shape: &[usize], slices: &[Slice]) -> Answer { written(self.0.unslice(shape, slices)) }
    fn index_select(&self, axis: usize, index: &[usize]) -> Answer { written(self.0.index_select(axis, index)) }
    fn index_add(&self, axis: usize, index: &[usize], size: usize) -> Answer { written(self.0.index_add(axis, index, size)) }
    fn gather(&self, axis: usize, index: &Index) -> Answer { written(self.0.gather(axis, index)) }
    fn scatter_add(&self, axis: usize, index: &Index, shape: &[usize]) -> Answer { written(self.0.scatter_add(axis, index, shape)) }
    fn concat(&self, others: &[&Self], axis: usize) -> Answer {
        let others: Vec<&Reference> = others.iter().map(|other| &other.0).collect();
        written(self.0.concat(&others, axis))
    }
    fn unfold(&self, axis: usize, window: Window) -> Answer { written(self.0.unfold(axis, window)) }
    fn fold(&self, axis: usize, window: Window, n: usize) -> Answer { written(self.0.fold(axis, window, n)) }
}

type Handle<'t> = Var<'t, Counting>;

/// The elements that `f` writes.
fn count<X>(f: impl FnOnce() -> Result<X, Error>) -> Result<usize, Error> {
    WRITTEN.set(0);
    f()?;
    Ok(WRITTEN.get())
}

fn tensor(shape: &[usize]) -> Result<Counting, Error> {
    let n = shape.iter().product::<usize>();
    let data = (0..n).map(|i| (i % 7) as f64 - 3.0).collect();
    Ok(Counting(Reference::new(shape, data)?))
}

/// A way to read `n` pieces of a tensor that has `n` of them.
struct Way {
    name: &'static str,
    shape: fn(usize) -> Vec<usize>,
    read: for<'t> fn(Handle<'t>, usize) -> Handle<'t>,
}

const ROW: usize = 3;

fn one(i: usize) -> Slice {
    Slice { start: i, stop: i + 1, step: 1 }
}

const WAYS: &[Way] = &[
    Way { name: "narrow", shape: |n| vec![n], read: |x, i| x.narrow(0, i, 1) },
    Way { name: "rows", shape: |n| vec![n, ROW], read: |x, i| x.narrow(0, i, 1) },
    Way { name: "columns", shape: |n| vec![ROW, n], read: |x, i| x.narrow(1, i, 1) },
    Way {
        name: "slice",
        shape: |n| vec![n / 10, 10],
        read: |x, i| x.slice(&[one(i / 10), one(i % 10)]),
    },
    Way { name: "index_select", shape: |n| vec![n, ROW], read: |x, i| x.index_select(0, &[i, i]) },
    Way { name: "gather", shape: |n| vec![n], read: |x, i| x.gather(0, [i]) },
    Way { name: "take", shape: |n| vec![n / 10, 10], read: |x, i| x.take([i, i / 2]) },
    Way {
        name: "unsqueeze",
        shape: |n| vec![n],
        read: |x, i| x.unsqueeze(0).unsqueeze(2).narrow(1, i, 1),
    },
];

impl Way {
    /// A recurrence over the pieces of x.
    fn run<'t>(&self, x: Handle<'t>, n: usize) -> Handle<'t> {
        let start = (self.read)(x, 0);
        (1..n).fold(start, |h, i| (h * 0.5 + (self.read)(x, i)).tanh()).sum()
    }

    /// The elements written in a plain gradient, a recorded one, the gradient of its square, and a
    /// tangent.
    fn costs(&self, n: usize) -> Result<[usize; 4], Error> {
        let tape = Tape::<Counting>::new();
        let value = tensor(&(self.shape)(n))?;
        let x = tape.var(value.clone());
        let y = self.run(x, n);
        let plain = count(|| tape.backward(y, x))?;
        let tangent = count(|| tape.plain().jvp(y, [(x, value.clone())]))?;
        let recorded = count(|| tape.grad(y, x).value())?;
        let dy = tape.grad(y, x);
        let second = count(|| tape.backward(dy.square().sum(), x))?;
        Ok([plain, recorded, second, tangent])
    }
}

#[test]
fn twice_as_many_reads_cost_twice_as_much() -> Result<(), Error> {
    for way in WAYS {
        let (few, many) = (way.costs(600)?, way.costs(1200)?);
        for (few, many) in few.into_iter().zip(many) {
            assert!(many as f64 <= 2.2 * few as f64, "{}: {few}, then {many}", way.name);
            // Of each read a few numbers for each of its elements, and not the whole.
            assert!(few <= 600 * ROW * 90, "{}: {few}", way.name);
        }
    }
    Ok(())
}

#[test]
fn many_reads_of_large_parts_are_not_kept() -> Result<(), Error> {
    // Each read is a ninth of the whole, so eight of them wait at most.
    let tape = Tape::<Counting>::new();
    let x = tape.var(tensor(&[900])?);
    let y = (0..100).fold(x.narrow(0, 0, 100), |y, i| y + x.narrow(0, 8 * i, 100)).sum();
    let cost = count(|| tape.backward(y, x))?;
    assert!(cost <= 100 * 900, "{cost}");
    let dx = tape.backward(y, x)?;
    let reads = |at: usize| (0..100).filter(|i| (8 * i..8 * i + 100).contains(&at)).count();
    let expected: Vec<f64> =
        (0..900).map(|at| (reads(at) + usize::from(at < 100)) as f64).collect();
    assert_eq!(dx.0.data(), expected);
    Ok(())
}

/// The operations that a recorded sweep puts on the tape.
fn recorded(y: Handle<'_>, x: Handle<'_>) -> Vec<String> {
    let tape = y.tape();
    let before = tape.len();
    assert!(tape.grad(y, x).shape().is_ok());
    let names = tape.nodes().skip(before).map(|node| node.op.to_string());
    names.collect()
}

#[test]
fn few_reads_are_pulled_back_by_their_rules() -> Result<(), Error> {
    let tape = Tape::<Counting>::new();
    let x = tape.var(tensor(&[1000])?);
    let y = (x.narrow(0, 3, 2) * x.narrow(0, 7, 2)).sum();
    let names = recorded(y, x);
    let has = |name: &str| names.iter().filter(|other| *other == name).count();
    assert_eq!((has("unslice"), has("concat"), has("index_add")), (2, 0, 0));
    Ok(())
}

#[test]
fn many_reads_are_joined_once() -> Result<(), Error> {
    let tape = Tape::<Counting>::new();
    let x = tape.var(tensor(&[1000])?);
    let y = (0..500).fold(x.narrow(0, 0, 1), |y, i| y + x.narrow(0, 2 * i, 1).square()).sum();
    let names = recorded(y, x);
    let has = |name: &str| names.iter().filter(|other| *other == name).count();
    assert_eq!((has("unslice"), has("concat"), has("index_add")), (0, 1, 1));
    Ok(())
}

#[test]
fn what_is_asked_for_on_the_way_has_its_cotangent() -> Result<(), Error> {
    let tape = Tape::<Counting>::new();
    let x = tape.var(tensor(&[1000])?);
    let flat = x.reshape([10, 100]);
    let y = (0..50).fold(flat.narrow(1, 0, 1).sum(), |y, i| y + flat.narrow(1, i, 1).sum());
    let [dx, dflat] = tape.backward(y, [x, flat])?;
    assert_eq!(dx.0.data(), dflat.0.data());
    let row = |i: usize| [2.0, 1.0, 0.0][(i > 0) as usize + (i >= 50) as usize];
    assert_eq!(dx.0.data(), (0..1000).map(|at| row(at % 100)).collect::<Vec<_>>());
    let all = tape.gradients(y);
    let of_flat = all.get(flat).expect("y depends on it").to_host()?;
    assert_eq!(of_flat, dflat.0.data());
    Ok(())
}
