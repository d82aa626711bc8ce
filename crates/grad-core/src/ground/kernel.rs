//! `Kernel`: an elementwise formula as data, a straight line of steps.
//!
//! The engine makes a kernel of a rule by running the rule once on symbols. A plain sweep
//! evaluates the kernel without handles, and a backend may do that in one pass over memory.

use std::fmt;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::ground::{TensorLike, Unsupported};

/// The elementwise functions of one argument, and the methods that compute them.
macro_rules! unary {
    ($($variant:ident $(($parameter:ident: $type:ty))? $method:ident)*) => {
        /// An elementwise function of one argument, named like the method of [`TensorLike`] that
        /// computes it.
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub enum Unary {
            $(
                #[doc = concat!("[`TensorLike::", stringify!($method), "`].")]
                $variant $(($type))?,
            )*
        }

        impl Unary {
            /// The function of `x`.
            ///
            /// # Errors
            /// Those of the backend.
            #[inline]
            pub fn of<T: TensorLike>(self, x: &T) -> Result<T, T::Error> {
                match self {
                    $(Unary::$variant $(($parameter))? => x.$method($($parameter)?),)*
                }
            }

            /// The name of the method.
            pub fn name(self) -> &'static str {
                match self {
                    $(Unary::$variant { .. } => stringify!($method),)*
                }
            }
        }
    };
}

unary! {
    Neg neg
    Scale(by: f64) scale
    Shift(by: f64) shift
    Recip recip
    Square square
    Sqrt sqrt
    Rsqrt rsqrt
    Powf(exponent: f64) powf
    Powi(exponent: i32) powi
    Exp exp
    Exp2 exp2
    Expm1 expm1
    Ln ln
    Log2 log2
    Log10 log10
    Log1p log1p
    Sin sin
    Cos cos
    Tan tan
    Asin asin
    Acos acos
    Atan atan
    Sinh sinh
    Cosh cosh
    Tanh tanh
    Asinh asinh
    Acosh acosh
    Atanh atanh
    Erf erf
    NormalCdf normal_cdf
    NormalCdfTanh normal_cdf_tanh
    Sigmoid sigmoid
    LogisticDensity logistic_density
    Softplus softplus
    Relu relu
    Abs abs
    Sign sign
    Floor floor
    Ceil ceil
    Round round
    Trunc trunc
}

/// The elementwise functions of two arguments, and the methods that compute them.
macro_rules! binary {
    ($($variant:ident $method:ident)*) => {
        /// An elementwise function of two arguments that broadcast, named like the method of
        /// [`TensorLike`] that computes it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Binary {
            $(
                #[doc = concat!("[`TensorLike::", stringify!($method), "`].")]
                $variant,
            )*
        }

        impl Binary {
            /// The function of `x` and `y`.
            ///
            /// # Errors
            /// Those of the backend.
            #[inline]
            pub fn of<T: TensorLike>(self, x: &T, y: &T) -> Result<T, T::Error> {
                match self {
                    $(Binary::$variant => x.$method(y),)*
                }
            }

            /// The name of the method.
            pub fn name(self) -> &'static str {
                match self {
                    $(Binary::$variant => stringify!($method),)*
                }
            }
        }
    };
}

binary! {
    Add add
    Sub sub
    Mul mul
    Div div
    Pow pow
    Atan2 atan2
    MulOrZero mul_or_zero
    Maximum maximum
    Minimum minimum
    Lt lt
    Le le
    Eq eq
    Ne ne
}

/// Where a step finds a value: the arguments of the kernel come first, then the results of the
/// steps, each in order.
pub type Place = u16;

/// One step of a kernel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Step {
    /// A number, which broadcasts.
    Constant(f64),
    /// A function of one value.
    Unary(Unary, Place),
    /// A function of two values.
    Binary(Binary, Place, Place),
    /// The second value where the first is not 0, else the third.
    Select(Place, Place, Place),
}

impl Step {
    /// The value of the step, from those before it. `model` says of what dtype a constant is.
    ///
    /// # Errors
    /// Those of the backend.
    #[inline]
    pub fn of<'a, T: TensorLike>(
        &self,
        at: impl Fn(Place) -> &'a T,
        model: &T,
    ) -> Result<T, T::Error> {
        match *self {
            Step::Constant(value) => model.scalar(value),
            Step::Unary(function, x) => function.of(at(x)),
            Step::Binary(function, x, y) => function.of(at(x), at(y)),
            Step::Select(mask, x, y) => at(mask).select(at(x), at(y)),
        }
    }
}

/// What an argument of a rule's kernel is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The cotangent or tangent that the rule multiplies.
    Derivative,
    /// An argument of the operation.
    Argument(usize),
    /// The output of the operation.
    Output,
}

/// An elementwise formula: arguments, and steps that each use what is before them. The last step
/// is the result.
///
/// Cloning is cheap, and a kernel may cross threads.
#[derive(Clone, PartialEq)]
pub struct Kernel(Arc<Line>);

#[derive(PartialEq)]
struct Line {
    arguments: SmallVec<[Source; 4]>,
    steps: Vec<Step>,
}

impl Kernel {
    /// A kernel of these steps. `None` if there is no argument or no step, if a step uses what is
    /// not before it, or if there are more than a [`Place`] can count.
    pub fn new(arguments: &[Source], steps: Vec<Step>) -> Option<Kernel> {
        let n = arguments.len();
        let is_before = |(at, step): (usize, &Step)| {
            let before = |&place: &Place| usize::from(place) < n + at;
            match step {
                Step::Constant(_) => true,
                Step::Unary(_, x) => before(x),
                Step::Binary(_, x, y) => before(x) && before(y),
                Step::Select(mask, x, y) => before(mask) && before(x) && before(y),
            }
        };
        let fits = Place::try_from(n + steps.len()).is_ok();
        let is_sound =
            fits && n > 0 && !steps.is_empty() && steps.iter().enumerate().all(is_before);
        is_sound.then(|| Kernel(Arc::new(Line { arguments: arguments.into(), steps })))
    }

    /// What the arguments are, in their order.
    #[inline]
    pub fn arguments(&self) -> &[Source] {
        &self.0.arguments
    }

    /// The steps. There is at least one.
    #[inline]
    pub fn steps(&self) -> &[Step] {
        &self.0.steps
    }

    /// The result, step by step: the definition of [`TensorLike::evaluate`].
    ///
    /// # Errors
    /// Those of the backend; [`Unsupported`] if `x` is not one tensor for each argument.
    pub fn step_by_step<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error> {
        if x.len() != self.arguments().len() {
            let op = "a kernel with another number of arguments";
            return Err(Unsupported { op, backend: std::any::type_name::<T>() }.into());
        }
        // Most rules are one step, which needs no list.
        if let [step] = self.steps() {
            return step.of(|place| x[usize::from(place)], x[0]);
        }
        let mut values: SmallVec<[T; 8]> = SmallVec::with_capacity(self.steps().len());
        for step in self.steps() {
            let at = |place: Place| match usize::from(place).checked_sub(x.len()) {
                None => x[usize::from(place)],
                Some(step) => &values[step],
            };
            let value = step.of(at, x[0])?;
            values.push(value);
        }
        Ok(values.pop().expect("a kernel has at least one step"))
    }
}

/// The partial derivative of an elementwise operation as data.
#[derive(Clone, Debug, PartialEq)]
pub enum Partial {
    /// It is this number.
    Slope(f64),
    /// It is this value, so that the rule is one product.
    Factor(Source),
    /// The product of a derivative and it is this formula.
    Kernel(Kernel),
    /// The rule is more than elementwise arithmetic.
    Unknown,
}

impl Partial {
    /// The simplest form of a rule.
    pub(crate) fn of(kernel: Option<Kernel>) -> Partial {
        let Some(kernel) = kernel else { return Partial::Unknown };
        match (kernel.arguments(), kernel.steps()) {
            ([Source::Derivative, factor], [Step::Binary(Binary::Mul, 0, 1)]) => {
                Partial::Factor(*factor)
            }
            _ => Partial::Kernel(kernel),
        }
    }
}

/// Whether kernels are made that are not there yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Build {
    /// They are made, since they will be used again, or on many elements.
    Now,
    /// They are not: running the rule on symbols would cost more than it saves.
    Never,
}

impl fmt::Display for Unary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unary::Scale(x) | Unary::Shift(x) | Unary::Powf(x) => write!(f, "{} {x}", self.name()),
            Unary::Powi(n) => write!(f, "{} {n}", self.name()),
            _ => f.write_str(self.name()),
        }
    }
}

/// One line a step: `v0 = mul c x1`.
impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n = self.arguments().len();
        let name = |place: Place| match self.arguments().get(usize::from(place)) {
            Some(Source::Derivative) => "c".to_string(),
            Some(Source::Argument(arg)) => format!("x{arg}"),
            Some(Source::Output) => "y".to_string(),
            None => format!("v{}", usize::from(place) - n),
        };
        for (at, step) in self.steps().iter().enumerate() {
            let separator = if at == 0 { "" } else { "\n" };
            write!(f, "{separator}v{at} = ")?;
            match *step {
                Step::Constant(value) => write!(f, "{value:?}"),
                Step::Unary(function, x) => write!(f, "{function} {}", name(x)),
                Step::Binary(function, x, y) => {
                    write!(f, "{} {} {}", function.name(), name(x), name(y))
                }
                Step::Select(mask, x, y) => {
                    write!(f, "select {} {} {}", name(mask), name(x), name(y))
                }
            }?;
        }
        Ok(())
    }
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
