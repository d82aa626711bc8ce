//! `Symbol`: a tensor without numbers, which writes down what is asked of it.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;

use smallvec::{SmallVec, smallvec};

use crate::ground::{
    Binary, DType, Index, Shape, Slice, Storage, TensorLike, Unary, Unsupported, Window,
};
use crate::program::{AxisList, Primitive};

/// A tensor without numbers: a shape, a dtype, and a place in a growing [`Program`].
///
/// Every method of [`TensorLike`] appends one [`Primitive`] to the program, and answers with the
/// symbol of its result. So code that is generic over the tensor, the engine itself for instance,
/// can be written down instead of run.
///
/// ```
/// use grad_core::extend::TensorLike;
/// use grad_core::program::Program;
/// use grad_core::{DType, Shape};
///
/// let program = Program::new();
/// let x = program.input(Shape::from([2]), DType::F64);
/// let y = x.exp()?.mul(&x)?;
/// assert_eq!(y.shape(), [2]);
/// assert_eq!(program.len(), 3); // the input, `exp`, `mul`
/// # Ok::<(), grad_core::program::SymbolError>(())
/// ```
#[derive(Clone)]
pub struct Symbol {
    program: Program,
    place: usize,
    shape: Shape,
    dtype: DType,
}

/// A list of primitives, each of which uses what is before it. It grows by the symbols in it.
#[derive(Clone, Default)]
pub struct Program(Rc<Written>);

#[derive(Default)]
struct Written {
    steps: RefCell<Vec<Step>>,
    /// Whether somebody asked for numbers.
    was_read: Cell<bool>,
}

/// A primitive and the places of its operands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Step {
    pub(crate) primitive: Primitive,
    pub(crate) operands: SmallVec<[usize; 3]>,
}

impl Program {
    /// An empty program.
    pub fn new() -> Self {
        Program::default()
    }

    /// The number of primitives.
    pub fn len(&self) -> usize {
        self.0.steps.borrow().len()
    }

    /// True if there is no primitive.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// True if a symbol of the program was asked for numbers. It has none, so code that went on
    /// after the error may have done something else than it does with numbers.
    pub fn was_read(&self) -> bool {
        self.0.was_read.get()
    }

    /// One more input. The first has the number 0.
    pub fn input(&self, shape: Shape, dtype: DType) -> Symbol {
        let is_input = |step: &&Step| matches!(step.primitive, Primitive::Input(_));
        let number = self.0.steps.borrow().iter().filter(is_input).count();
        let place = self.append(Primitive::Input(number), smallvec![]);
        Symbol { program: self.clone(), place, shape, dtype }
    }

    /// Runs the program at the inputs `x`, and gives the value of the symbol `y`: primitive by
    /// primitive, which is what a program means. Only what `y` depends on is computed.
    ///
    /// ```
    /// # use grad_core::extend::TensorLike;
    /// # use grad_core::program::Program;
    /// # use grad_core::{DType, Shape};
    /// let program = Program::new();
    /// let x = program.input(Shape::scalar(), DType::F64);
    /// let y = x.square()?.shift(1.0)?;
    /// assert_eq!(program.run(&y, &[3.0])?, 10.0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Those of the backend; [`Unsupported`] if `y` is of another program, or if there are fewer
    /// tensors than inputs.
    pub fn run<T: TensorLike>(&self, y: &Symbol, x: &[T]) -> Result<T, T::Error> {
        let unsupported = |op| T::Error::from(Unsupported { op, backend: "a program" });
        if !Rc::ptr_eq(&self.0, &y.program.0) {
            return Err(unsupported("a symbol of another program"));
        }
        let Some(model) = x.first() else { return Err(unsupported("a run without inputs")) };
        let mut values: Vec<Option<T>> = vec![None; y.place + 1];
        // A copy: while a backend computes, the program may grow.
        for (place, Step { primitive, operands }) in self.steps_of(y) {
            let operands: SmallVec<[&T; 3]> = match &primitive {
                Primitive::Input(number) => x.get(*number).into_iter().collect(),
                _ => operands.iter().filter_map(|&operand| values[operand].as_ref()).collect(),
            };
            if let (Primitive::Input(_), true) = (&primitive, operands.is_empty()) {
                return Err(unsupported("a run with fewer tensors than inputs"));
            }
            let value = primitive.of(&operands, model)?;
            drop(operands);
            values[place] = Some(value);
        }
        values.pop().flatten().ok_or_else(|| unsupported("a run without a result"))
    }

    /// The primitives that a symbol of this program depends on, in order, by their places.
    pub(crate) fn steps_of(&self, y: &Symbol) -> Vec<(usize, Step)> {
        let steps = self.0.steps.borrow();
        let places = needed(&steps, y.place).into_iter();
        places.map(|place| (place, steps[place].clone())).collect()
    }

    /// Appends a primitive, and gives its place.
    fn append(&self, primitive: Primitive, operands: SmallVec<[usize; 3]>) -> usize {
        let mut steps = self.0.steps.borrow_mut();
        steps.push(Step { primitive, operands });
        steps.len() - 1
    }
}

/// The places that the value at `y` depends on, ascending.
fn needed(steps: &[Step], y: usize) -> Vec<usize> {
    let mut is_needed = vec![false; y + 1];
    is_needed[y] = true;
    for place in (0..=y).rev() {
        if is_needed[place] {
            steps[place].operands.iter().for_each(|&operand| is_needed[operand] = true);
        }
    }
    (0..=y).filter(|&place| is_needed[place]).collect()
}

impl Symbol {
    /// The place in the program.
    pub fn place(&self) -> usize {
        self.place
    }

    /// Remembers that numbers were asked for.
    fn read(&self) -> SymbolError {
        self.program.0.was_read.set(true);
        SymbolError::NoNumbers
    }

    /// The symbol of a primitive of `self` and `others`.
    fn step(&self, primitive: Primitive, others: &[&Symbol]) -> Result<Symbol, SymbolError> {
        let mut operands: SmallVec<[usize; 3]> = smallvec![self.place];
        let mut shapes: SmallVec<[&Shape; 3]> = smallvec![&self.shape];
        for other in others {
            if !Rc::ptr_eq(&self.program.0, &other.program.0) {
                return Err(SymbolError::OtherProgram);
            }
            operands.push(other.place);
            shapes.push(&other.shape);
        }
        let Some(shape) = primitive.shape(&shapes) else {
            let shapes = shapes.into_iter().cloned().collect();
            return Err(SymbolError::Shapes { primitive: Box::new(primitive), shapes });
        };
        let place = self.program.append(primitive, operands);
        Ok(Symbol { program: self.program.clone(), place, shape, dtype: self.dtype })
    }

    /// The symbol of a constant.
    fn constant(&self, shape: &[usize], primitive: Primitive) -> Result<Symbol, SymbolError> {
        if primitive.shape(&[]).is_none() {
            let shapes = vec![Shape::from(shape)];
            return Err(SymbolError::Shapes { primitive: Box::new(primitive), shapes });
        }
        let place = self.program.append(primitive, smallvec![]);
        let (program, shape) = (self.program.clone(), Shape::from(shape));
        Ok(Symbol { program, place, shape, dtype: self.dtype })
    }

    fn reduce(
        &self,
        primitive: fn(AxisList) -> Primitive,
        axes: &[usize],
    ) -> Result<Symbol, SymbolError> {
        self.step(primitive(axes.into()), &[])
    }
}

/// What a symbol cannot do.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum SymbolError {
    /// It was asked for numbers.
    NoNumbers,
    /// Two symbols of different programs met.
    OtherProgram,
    /// Shapes do not fit the primitive.
    Shapes {
        /// The primitive.
        primitive: Box<Primitive>,
        /// The shapes of its operands.
        shapes: Vec<Shape>,
    },
    /// A method that no symbol has.
    Unsupported(Unsupported),
}

impl fmt::Display for SymbolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SymbolError::NoNumbers => f.write_str("a symbol has no numbers to read"),
            SymbolError::OtherProgram => f.write_str("the symbols belong to different programs"),
            SymbolError::Shapes { primitive, shapes } => {
                write!(f, "{primitive:?} does not fit operands of shapes {shapes:?}")
            }
            SymbolError::Unsupported(unsupported) => unsupported.fmt(f),
        }
    }
}

impl std::error::Error for SymbolError {}

impl From<Unsupported> for SymbolError {
    fn from(unsupported: Unsupported) -> Self {
        SymbolError::Unsupported(unsupported)
    }
}

/// Methods that write down an elementwise function.
macro_rules! elementwise {
    (unary { $($unary:ident $function:ident;)* } binary { $($binary:ident $of_two:ident;)* }) => {
        $(
            fn $unary(&self) -> Result<Symbol, SymbolError> {
                self.step(Primitive::Unary(Unary::$function), &[])
            }
        )*
        $(
            fn $binary(&self, rhs: &Symbol) -> Result<Symbol, SymbolError> {
                self.step(Primitive::Binary(Binary::$of_two), &[rhs])
            }
        )*
    };
}

#[rustfmt::skip] // One method a line, as in the scalar backend.
impl TensorLike for Symbol {
    type Error = SymbolError;

    fn shape(&self) -> &[usize] { &self.shape }
    fn dtype(&self) -> DType { self.dtype }
    fn storage(&self) -> Storage { Storage::Inline }
    fn to_host(&self) -> Result<Vec<f64>, SymbolError> { Err(self.read()) }
    fn has_nan(&self) -> Result<bool, SymbolError> { Ok(true) } // unknown
    fn has_zero(&self) -> Result<bool, SymbolError> { Ok(true) } // unknown
    fn full(&self, shape: &[usize], value: f64) -> Result<Symbol, SymbolError> { self.constant(shape, Primitive::Full(shape.into(), value)) }
    fn from_host(&self, shape: &[usize], data: &[f64]) -> Result<Symbol, SymbolError> { self.constant(shape, Primitive::Data(shape.into(), data.into())) }

    elementwise! {
        unary {
        neg Neg;
        recip Recip;
        square Square;
        sqrt Sqrt;
        rsqrt Rsqrt;
        exp Exp;
        exp2 Exp2;
        expm1 Expm1;
        ln Ln;
        log2 Log2;
        log10 Log10;
        log1p Log1p;
        sin Sin;
        cos Cos;
        tan Tan;
        asin Asin;
        acos Acos;
        atan Atan;
        sinh Sinh;
        cosh Cosh;
        tanh Tanh;
        asinh Asinh;
        acosh Acosh;
        atanh Atanh;
        erf Erf;
        normal_cdf NormalCdf;
        normal_cdf_tanh NormalCdfTanh;
        sigmoid Sigmoid;
        logistic_density LogisticDensity;
        softplus Softplus;
        relu Relu;
        abs Abs;
        sign Sign;
        floor Floor;
        ceil Ceil;
        round Round;
        trunc Trunc;
        }
        binary {
        add Add;
        sub Sub;
        mul Mul;
        div Div;
        pow Pow;
        atan2 Atan2;
        mul_or_zero MulOrZero;
        maximum Maximum;
        minimum Minimum;
        lt Lt;
        le Le;
        eq Eq;
        ne Ne;
        }
    }
    fn scale(&self, by: f64) -> Result<Symbol, SymbolError> { self.step(Primitive::Unary(Unary::Scale(by)), &[]) }
    fn shift(&self, by: f64) -> Result<Symbol, SymbolError> { self.step(Primitive::Unary(Unary::Shift(by)), &[]) }
    fn powf(&self, exponent: f64) -> Result<Symbol, SymbolError> { self.step(Primitive::Unary(Unary::Powf(exponent)), &[]) }
    fn powi(&self, exponent: i32) -> Result<Symbol, SymbolError> { self.step(Primitive::Unary(Unary::Powi(exponent)), &[]) }
    fn select(&self, a: &Symbol, b: &Symbol) -> Result<Symbol, SymbolError> { self.step(Primitive::Select, &[a, b]) }
    fn map_host(&self, _: impl Fn(f64) -> f64) -> Result<Symbol, SymbolError> { Err(self.read()) }

    fn sum(&self, axes: &[usize]) -> Result<Symbol, SymbolError> { self.reduce(Primitive::Sum, axes) }
    fn max(&self, axes: &[usize]) -> Result<Symbol, SymbolError> { self.reduce(Primitive::Max, axes) }
    fn min(&self, axes: &[usize]) -> Result<Symbol, SymbolError> { self.reduce(Primitive::Min, axes) }
    fn mean(&self, axes: &[usize]) -> Result<Symbol, SymbolError> { self.reduce(Primitive::Mean, axes) }
    fn sum_to(&self, shape: &[usize]) -> Result<Symbol, SymbolError> { self.step(Primitive::SumTo(shape.into()), &[]) }
    fn softmax(&self, axis: usize) -> Result<Symbol, SymbolError> { self.step(Primitive::Softmax(axis), &[]) }
    fn log_softmax(&self, axis: usize) -> Result<Symbol, SymbolError> { self.step(Primitive::LogSoftmax(axis), &[]) }
    fn cumsum(&self, axis: usize) -> Result<Symbol, SymbolError> { self.step(Primitive::Cumsum(axis), &[]) }
    fn reverse_cumsum(&self, axis: usize) -> Result<Symbol, SymbolError> { self.step(Primitive::ReverseCumsum(axis), &[]) }

    fn reshape(&self, shape: &[usize]) -> Result<Symbol, SymbolError> { self.step(Primitive::Reshape(shape.into()), &[]) }
    fn permute(&self, axes: &[usize]) -> Result<Symbol, SymbolError> { self.step(Primitive::Permute(axes.into()), &[]) }
    fn expand(&self, shape: &[usize]) -> Result<Symbol, SymbolError> { self.step(Primitive::Expand(shape.into()), &[]) }
    fn slice(&self, slices: &[Slice]) -> Result<Symbol, SymbolError> { self.step(Primitive::Slice(slices.into()), &[]) }
    fn unslice(&self, shape: &[usize], slices: &[Slice]) -> Result<Symbol, SymbolError> { self.step(Primitive::Unslice(shape.into(), slices.into()), &[]) }
    fn index_select(&self, axis: usize, index: &[usize]) -> Result<Symbol, SymbolError> { self.step(Primitive::IndexSelect(axis, index.into()), &[]) }
    fn index_add(&self, axis: usize, index: &[usize], size: usize) -> Result<Symbol, SymbolError> { self.step(Primitive::IndexAdd(axis, index.into(), size), &[]) }
    fn gather(&self, axis: usize, index: &Index) -> Result<Symbol, SymbolError> { self.step(Primitive::Gather(axis, index.clone()), &[]) }
    fn scatter_add(&self, axis: usize, index: &Index, shape: &[usize]) -> Result<Symbol, SymbolError> { self.step(Primitive::ScatterAdd(axis, index.clone(), shape.into()), &[]) }
    fn concat(&self, others: &[&Symbol], axis: usize) -> Result<Symbol, SymbolError> { self.step(Primitive::Concat(axis), others) }
    fn unfold(&self, axis: usize, window: Window) -> Result<Symbol, SymbolError> { self.step(Primitive::Unfold(axis, window), &[]) }
    fn fold(&self, axis: usize, window: Window, n: usize) -> Result<Symbol, SymbolError> { self.step(Primitive::Fold(axis, window, n), &[]) }

    fn matmul(&self, rhs: &Symbol) -> Result<Symbol, SymbolError> { self.step(Primitive::Matmul, &[rhs]) }
    fn solve(&self, rhs: &Symbol) -> Result<Symbol, SymbolError> { self.step(Primitive::Solve, &[rhs]) }
    fn triangular_solve(&self, rhs: &Symbol, upper: bool) -> Result<Symbol, SymbolError> { self.step(Primitive::TriangularSolve(upper), &[rhs]) }
    fn inv(&self) -> Result<Symbol, SymbolError> { self.step(Primitive::Inv, &[]) }
    fn slogdet(&self) -> Result<Symbol, SymbolError> { self.step(Primitive::Slogdet, &[]) }
    fn cholesky(&self) -> Result<Symbol, SymbolError> { self.step(Primitive::Cholesky, &[]) }
    fn eigh(&self) -> Result<Symbol, SymbolError> { self.step(Primitive::Eigh, &[]) }
}

impl fmt::Debug for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}: {} of {}", self.place, self.shape, self.dtype)
    }
}

/// One line a primitive: its place, itself, the places of its operands.
impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, Step { primitive, operands }) in self.0.steps.borrow().iter().enumerate() {
            writeln!(f, "v{place} = {primitive:?} of {operands:?}")?;
        }
        Ok(())
    }
}
