//! The derivatives of a function in every mode: by reverse and forward sweeps and by their four
//! compositions, recorded and plain, one by one and stacked.

use std::rc::Rc;

use grad_core::transform::checkpoint;
use grad_core::{Shape, Tape, TensorLike, Var};

use crate::compare::{Failure, Verdict, pair};

/// A function of handles with one number for a result.
pub type Function<T> = Rc<dyn for<'t> Fn(&[Var<'t, T>]) -> Var<'t, T>>;

/// What a function is given.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    /// The shape of the tensor.
    pub shape: Shape,
    /// Its elements in row-major order.
    pub data: Vec<f64>,
    /// True for a variable, false for a constant.
    pub tracked: bool,
}

impl Input {
    /// A variable.
    pub fn var(shape: impl Into<Shape>, data: &[f64]) -> Input {
        Input { shape: shape.into(), data: data.to_vec(), tracked: true }
    }

    /// A constant.
    pub fn constant(shape: impl Into<Shape>, data: &[f64]) -> Input {
        Input { tracked: false, ..Input::var(shape, data) }
    }
}

/// A gradient or a Hessian over all elements of all variables.
#[derive(Clone, Debug)]
pub struct Derivative {
    /// How it was computed, the last sweep first: `forward over reverse`.
    pub mode: &'static str,
    /// 1 for a gradient of n numbers, 2 for a Hessian of n², row by row.
    pub order: usize,
    /// The numbers.
    pub data: Vec<f64>,
}

/// The function as one operation, which forgets what it computes on the way.
pub fn in_checkpoint<T: TensorLike>(f: &Function<T>) -> Function<T> {
    let f = f.clone();
    Rc::new(move |x| {
        let f = f.clone();
        checkpoint(move |_, x: Vec<Var<'_, T>>| f(&x), x.to_vec())
    })
}

/// The derivatives up to an order of 1 or 2, in every mode. A backend of scalars has no stacked
/// ones.
///
/// # Errors
/// Those of the function, and those of the sweeps.
pub fn derivatives<T: TensorLike>(
    f: &Function<T>,
    model: &T,
    inputs: &[Input],
    order: usize,
) -> Result<Vec<Derivative>, Failure> {
    let tape = Tape::new();
    let mut at = Modes { tape: &tape, model, x: Vec::new(), found: Vec::new() };
    let mut all = Vec::new();
    for Input { shape, data, tracked } in inputs {
        let (value, _) = pair(model, shape, data)?;
        let x = if *tracked { tape.var(value) } else { tape.constant(value) };
        all.push(x);
        if *tracked {
            at.x.push(x);
        }
    }
    at.run(f(&all), order)?;
    Ok(at.found)
}

struct Modes<'t, 'a, T: TensorLike> {
    tape: &'t Tape<T>,
    model: &'a T,
    /// The variables.
    x: Vec<Var<'t, T>>,
    found: Vec<Derivative>,
}

impl<'t, T: TensorLike> Modes<'t, '_, T> {
    fn run(&mut self, y: Var<'t, T>, order: usize) -> Verdict {
        self.first(y)?;
        if order > 1 {
            self.over_reverse(y)?;
            self.over_forward(y)?;
        }
        Ok(())
    }

    fn first(&mut self, y: Var<'t, T>) -> Verdict {
        let tape = self.tape;
        let x = self.x.clone();
        self.push("reverse", 1, flat(tape.grad(y, &x))?);
        self.push("plain reverse", 1, flat_values(tape.backward(y, &x)?)?);
        let (mut forward, mut plain) = (Vec::new(), Vec::new());
        for (x, t) in self.units()? {
            forward.extend(tape.jvp(y, [(x, tape.constant(t.clone()))]).to_host()?);
            plain.extend(flat_values(vec![tape.plain().jvp(y, [(x, t)])?])?);
        }
        self.push("forward", 1, forward);
        self.push("plain forward", 1, plain);
        let (mut forward, mut plain) = (Vec::new(), Vec::new());
        for (x, t) in self.stacks()? {
            forward.extend(tape.jvp_batch(y, [(x, tape.constant(t.clone()))]).to_host()?);
            plain.extend(flat_values(vec![tape.plain().jvp_batch(y, [(x, t)])?])?);
        }
        self.push("stacked forward", 1, forward);
        self.push("plain stacked forward", 1, plain);
        Ok(())
    }

    fn over_reverse(&mut self, y: Var<'t, T>) -> Verdict {
        let tape = self.tape;
        let gradient = tape.grad(y, &self.x);
        let (mut reverse, mut plain) = (Vec::new(), Vec::new());
        let (mut columns, mut plain_columns) = (Vec::new(), Vec::new());
        for (place, (x, t)) in self.units()?.into_iter().enumerate() {
            // The row is that of the gradient which lies where the unit vector does.
            let row = gradient[self.input_of(place)?];
            let ct = tape.constant(t.clone());
            reverse.extend(flat(tape.vjp(row, ct, &self.x))?);
            plain.extend(flat_values(tape.plain().vjp(row, t.clone(), &self.x)?)?);
            for &row in &gradient {
                columns.extend(tape.jvp(row, [(x, ct)]).to_host()?);
                plain_columns.extend(flat_values(vec![tape.plain().jvp(row, [(x, t.clone())])?])?);
            }
        }
        self.push("reverse over reverse", 2, reverse);
        self.push("plain reverse over reverse", 2, plain);
        self.push("forward over reverse", 2, columns);
        self.push("plain forward over reverse", 2, plain_columns);
        let mut rows = Vec::new();
        for &row in &gradient {
            let mut columns = Vec::new();
            for (x, t) in self.stacks()? {
                columns.extend(flat_values(vec![tape.plain().jvp_batch(row, [(x, t)])?])?);
            }
            rows.extend(transposed(&columns, row.shape()?.n_elements().unwrap_or(0)));
        }
        self.push("plain stacked forward over reverse", 2, rows);
        Ok(())
    }

    fn over_forward(&mut self, y: Var<'t, T>) -> Verdict {
        let tape = self.tape;
        let units = self.units()?;
        let (mut reverse, mut plain, mut forward) = (Vec::new(), Vec::new(), Vec::new());
        for (x, t) in &units {
            let slope = tape.jvp(y, [(*x, tape.constant(t.clone()))]);
            reverse.extend(flat(tape.grad(slope, &self.x))?);
            plain.extend(flat_values(tape.backward(slope, &self.x)?)?);
            for (x, t) in &units {
                forward.extend(tape.jvp(slope, [(*x, tape.constant(t.clone()))]).to_host()?);
            }
        }
        self.push("reverse over forward", 2, reverse);
        self.push("plain reverse over forward", 2, plain);
        self.push("forward over forward", 2, forward);
        let (mut reverse, mut forward) = (Vec::new(), Vec::new());
        for (x, t) in self.stacks()? {
            let slopes = tape.jvp_batch(y, [(x, tape.constant(t))]);
            let n = slopes.shape()?.n_elements().unwrap_or(0);
            for row in 0..n {
                let mut unit = vec![0.0; n];
                unit[row] = 1.0;
                let ct = slopes.new_constant(slopes.shape()?, &unit);
                reverse.extend(flat(tape.vjp(slopes, ct, &self.x))?);
            }
            let mut columns = Vec::new();
            for (x, t) in self.stacks()? {
                columns.extend(tape.jvp_batch(slopes, [(x, tape.constant(t))]).to_host()?);
            }
            forward.extend(transposed(&columns, n));
        }
        self.push("reverse over stacked forward", 2, reverse);
        self.push("stacked forward over stacked forward", 2, forward);
        Ok(())
    }

    fn push(&mut self, mode: &'static str, order: usize, data: Vec<f64>) {
        // A backend of scalars has no stacks, and so no numbers here.
        if !data.is_empty() {
            self.found.push(Derivative { mode, order, data });
        }
    }

    fn sizes(&self) -> Result<Vec<usize>, Failure> {
        self.x.iter().map(|x| Ok(x.shape()?.n_elements().unwrap_or(0))).collect()
    }

    /// The variable that the element at this place of all belongs to.
    fn input_of(&self, mut place: usize) -> Result<usize, Failure> {
        let sizes = self.sizes()?;
        let mut input = 0;
        while place >= sizes[input] {
            place -= sizes[input];
            input += 1;
        }
        Ok(input)
    }

    /// For each element of each variable, the variable and the unit vector there.
    fn units(&self) -> Result<Vec<(Var<'t, T>, T)>, Failure> {
        let mut units = Vec::new();
        for (&x, n) in self.x.iter().zip(self.sizes()?) {
            for place in 0..n {
                let mut unit = vec![0.0; n];
                unit[place] = 1.0;
                units.push((x, pair(self.model, &x.shape()?, &unit)?.0));
            }
        }
        Ok(units)
    }

    /// For each variable all its unit vectors, stacked; nothing on a backend of scalars.
    fn stacks(&self) -> Result<Vec<(Var<'t, T>, T)>, Failure> {
        if self.model.full(&[1], 0.0).is_err() {
            return Ok(Vec::new());
        }
        let mut stacks = Vec::new();
        for (&x, n) in self.x.iter().zip(self.sizes()?) {
            let shape: Shape = [n].into_iter().chain(x.shape()?.iter().copied()).collect();
            let units: Vec<f64> =
                (0..n * n).map(|i| f64::from(u8::from(i % (n + 1) == 0))).collect();
            stacks.push((x, pair(self.model, &shape, &units)?.0));
        }
        Ok(stacks)
    }
}

/// The elements of all handles.
fn flat<T: TensorLike>(x: Vec<Var<'_, T>>) -> Result<Vec<f64>, Failure> {
    let mut data = Vec::new();
    for x in x {
        data.extend(x.to_host()?);
    }
    Ok(data)
}

/// The elements of all tensors.
fn flat_values<T: TensorLike>(x: Vec<T>) -> Result<Vec<f64>, Failure> {
    let mut data = Vec::new();
    for x in x {
        data.extend(x.to_host().map_err(Failure::new)?);
    }
    Ok(data)
}

/// The transpose of a matrix with `n` columns.
fn transposed(x: &[f64], n: usize) -> Vec<f64> {
    (0..n).flat_map(|column| x.iter().skip(column).step_by(n).copied()).collect()
}
