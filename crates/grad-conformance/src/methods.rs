//! The methods of [`TensorLike`], one by one, compared with the reference.
//!
//! A line says which method, on which values, how near the result must be, the call, and the shapes
//! of its arguments, once for each comparison. All are made on inputs in every layout, and none may
//! change its arguments.

use grad_core::{Index, Shape, Slice, TensorLike, Window};

use crate::Reference;
use crate::compare::{Failure, Layout, Tolerance, Verdict, close, is_unsupported, pair};

/// A method call, on any backend.
type Call<T> = fn(&[T]) -> Result<T, <T as TensorLike>::Error>;

/// Arguments of a call, on the backend and on the reference.
type Arguments<T> = (Vec<T>, Vec<Reference>);

/// One comparison.
struct Method<T: TensorLike> {
    name: &'static str,
    /// True if a backend may leave the method out.
    optional: bool,
    text: &'static str,
    call: Call<T>,
    oracle: Call<Reference>,
    values: &'static [f64],
    near: Near,
    shapes: Vec<Shape>,
}

/// How near a result must be to that of the reference.
#[derive(Clone, Copy)]
enum Near {
    /// One rounding.
    Exact,
    /// A function of the mathematical library: 16 ε of the result.
    Function,
    /// A sum of n terms in any order: 16 ε, relative to the sum of the terms' magnitudes.
    Sum,
    /// What is computed by elimination or iteration: 256 ε, relative to the largest element plus one.
    Solved,
}
use Near::{Exact, Function, Solved, Sum};

const NAN: f64 = f64::NAN;
const INF: f64 = f64::INFINITY;

/// What IEEE 754 has to say something about, and what is far from 1.
const ALL: &[f64] =
    &[1.0, NAN, 0.0, -1.0, INF, -0.0, 0.5, -2.5, -INF, 3.0, 1e-3, 7.0, 1e30, -1e-30, 1e300, 5e-324];
/// The same, but for what is far from 1.
const NEAR_ONE: &[f64] = &[0.5, NAN, 0.0, -1.0, INF, -0.0, 1.0, -2.5, -INF, 3.0, 1e-3, 20.0];
/// Finite and not far from 1, some equal.
const FINITE: &[f64] = &[0.5, -1.0, 0.0, 3.0, -2.5, 1.0, 0.25, -0.75, 3.0, 2.0, -1.0];
/// Whole numbers and halves.
const HALVES: &[f64] = &[0.5, -0.5, 1.5, -2.5, 2.0, NAN, INF, -INF, -0.0, 0.25, -1.75, 2.5, 1e30];
/// Matrices of order 1 to 3, one after the other, that have an inverse and a Cholesky factor.
const REGULAR: &[f64] = &[4.0, 0.5, -1.0, 3.0, 6.0, -0.5, 1.0, 2.0, 8.0, 0.25, -0.75];
/// The same, but for what is infinite or NaN.
const WITH_NAN: &[f64] = &[4.0, NAN, -1.0, 3.0, 6.0, -0.5, 1.0, 2.0, INF];
/// Of rank 1.
const ONES: &[f64] = &[1.0];
/// For masks.
const MASK: &[f64] = &[1.0, 0.0, -0.0, 1.0, 0.5, 1.0, NAN, 0.0, -INF, 0.0];

impl<T: TensorLike> Method<T> {
    /// The elements of argument `arg`; different arguments begin at different places.
    fn data(&self, arg: usize) -> Vec<f64> {
        let n = self.shapes[arg].n_elements().unwrap_or(0);
        self.values.iter().copied().cycle().skip(5 * arg).take(n).collect()
    }

    /// The arguments, on the backend and on the reference; `None` if none has the layout.
    fn inputs(&self, model: &T, layout: Layout) -> Result<Option<Arguments<T>>, Failure> {
        let mut differs = false;
        let (mut x, mut oracles) = (Vec::new(), Vec::new());
        for (arg, shape) in self.shapes.iter().enumerate() {
            let laid_out = layout.lay_out(model, shape, &self.data(arg))?;
            differs |= laid_out.is_some();
            let (argument, oracle) = match laid_out {
                Some(both) => both,
                None => pair(model, shape, &self.data(arg))?,
            };
            x.push(argument);
            oracles.push(oracle);
        }
        Ok(differs.then_some((x, oracles)))
    }

    fn check(&self, model: &T, layout: Layout) -> Verdict {
        let Some((x, oracles)) = self.inputs(model, layout)? else { return Ok(()) };
        let got = (self.call)(&x).map_err(Failure::new);
        let wanted = match (self.oracle)(&oracles) {
            // A matrix that repeats a row has no inverse.
            Err(refused) if matches!(self.near, Solved) => {
                let text = format!("gave a value where the reference says: {refused}");
                return if got.is_err() { Ok(()) } else { Err(Failure::new(text)) };
            }
            wanted => wanted?,
        };
        let got = got?;
        let dtype = model.dtype();
        let (relative, absolute) = match self.near {
            Exact => (dtype.epsilon(), 0.0),
            Function => (16.0 * dtype.epsilon(), 0.0),
            Sum => (dtype.epsilon(), 16.0 * dtype.epsilon()),
            Solved => (0.0, 256.0 * dtype.epsilon()),
        };
        let scale = match self.near {
            Solved => {
                let finite = wanted.data().iter().copied().filter(|x| x.is_finite());
                let largest = finite.fold(0.0, |max: f64, x| max.max(x.abs()));
                wanted.full(wanted.shape(), largest + 1.0)?
            }
            // A linear map of magnitudes is the sum of the magnitudes of its terms.
            Exact | Function | Sum => {
                let magnitudes =
                    oracles.iter().map(Reference::abs).collect::<Result<Vec<_>, _>>()?;
                (self.oracle)(&magnitudes)?
            }
        };
        let tolerance = Tolerance { relative, absolute };
        close(&got, &wanted, dtype, tolerance, |place| scale.data()[place])?;
        for (x, before) in x.iter().zip(&oracles) {
            close(x, before, dtype, Tolerance { relative: 0.0, absolute: 0.0 }, |_| 0.0)
                .map_err(|failure| failure.within("the call changed an argument"))?;
        }
        Ok(())
    }
}

/// The names of the methods that are compared, each once.
pub fn methods() -> Vec<&'static str> {
    let mut names: Vec<_> = table::<Reference>().iter().map(|method| method.name).collect();
    names.dedup();
    names
}

/// Compares one method of the backend of `model` with the reference.
///
/// An optional method that the backend leaves out is reported on the standard output, and is no
/// failure.
///
/// # Errors
/// Where a result differs from that of the reference, and where there is no such method.
pub fn method<T: TensorLike>(name: &str, model: &T) -> Verdict {
    let rows: Vec<_> = table::<T>().into_iter().filter(|method| method.name == name).collect();
    if rows.is_empty() {
        return Err(Failure::new(format!("there is no table entry for method {name}")));
    }
    let mut failures = Vec::new();
    let mut reported = "";
    for row in rows {
        let left_out = || {
            let (x, _) = row.inputs(model, Layout::Direct).ok()??;
            (row.call)(&x).err().filter(|error| is_unsupported(error))
        };
        if row.optional
            && let Some(error) = left_out()
        {
            if reported != row.text {
                super::report(&format!("left out by the backend: {}: {error}", row.text));
                reported = row.text;
            }
            continue;
        }
        for layout in Layout::ALL {
            let context = || format!("{} at {:?}, {layout:?} inputs", row.text, row.shapes);
            failures.extend(row.check(model, layout).err().map(|e| e.within(context())));
        }
    }
    Failure::all(&failures)
}

/// Calls with shapes and axes that do not fit are errors, and do not panic.
///
/// # Errors
/// Where such a call gives a value.
pub fn misuse_is_an_error<T: TensorLike>(model: &T) -> Verdict {
    let failed = |error: T::Error| Failure::new(error);
    let data = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    let x = model.from_host(&[2, 3], &data).map_err(failed)?;
    let two = model.from_host(&[2], &data[..2]).map_err(failed)?;
    let two_rows = model.from_host(&[2, 1], &data[..2]).map_err(failed)?;
    let three_rows = model.from_host(&[3, 2], &data).map_err(failed)?;
    let square = model.from_host(&[2, 2], &data[..4]).map_err(failed)?;
    let singular = model.from_host(&[2, 2], &[1.0, 2.0, 2.0, 4.0]).map_err(failed)?;
    let zero = model.full(&[2, 2], 0.0).map_err(failed)?;
    let huge = [usize::MAX, 2];
    let whole = [Slice::all(2), Slice::all(3)];
    let too_far = [Slice::all(2), Slice { start: 0, stop: 4, step: 1 }];
    let zero_step = [Slice::all(2), Slice { start: 0, stop: 3, step: 0 }];
    let calls = [
        ("from_host of too few", model.from_host(&[2], &data[..1])),
        ("from_host of too many", model.from_host(&[], &data)),
        ("from_host to an overflowing shape", model.from_host(&huge, &data)),
        ("full of an overflowing shape", model.full(&huge, 0.0)),
        ("add", x.add(&two)),
        ("mul", two.mul(&x)),
        ("lt", x.lt(&two)),
        ("select", x.select(&x, &two)),
        ("maximum", x.maximum(&two)),
        ("mul_or_zero", x.mul_or_zero(&two)),
        ("sum over no such axis", x.sum(&[2])),
        ("max over no such axis", x.max(&[9])),
        ("reshape to another size", x.reshape(&[5])),
        ("reshape to an overflowing shape", x.reshape(&huge)),
        ("permute of too few axes", x.permute(&[0])),
        ("permute of a repeated axis", x.permute(&[0, 0])),
        ("permute of no such axis", x.permute(&[0, 2])),
        ("expand to fewer axes", x.expand(&[3])),
        ("expand to another size", x.expand(&[2, 2])),
        ("expand to an overflowing shape", x.expand(&huge)),
        ("sum_to another size", x.sum_to(&[2, 2])),
        ("sum_to more axes", x.sum_to(&[1, 2, 3])),
        ("matmul of inner sizes that differ", x.matmul(&x)),
        ("matmul with a vector", x.matmul(&two)),
        ("slice with too few slices", x.slice(&[])),
        ("slice beyond the end", x.slice(&too_far)),
        ("slice with step 0", x.slice(&zero_step)),
        ("unslice of another shape", x.unslice(&[4, 4], &[Slice::all(4), Slice::all(4)])),
        ("unslice to fewer axes", x.unslice(&[4], &whole)),
        ("unslice beyond the end", x.unslice(&[2, 2], &whole)),
        ("gather beyond the end", x.gather(1, &index(&[1, 1], &[3]))),
        ("gather with another rank", x.gather(1, &Index::from([0]))),
        ("gather with a larger index", x.gather(1, &index(&[3, 1], &[0, 0, 0]))),
        ("scatter_add beyond the end", x.scatter_add(1, &index(&[2, 3], &[3; 6]), &[2, 3])),
        ("scatter_add of another shape", x.scatter_add(1, &index(&[1, 1], &[0]), &[2, 3])),
        ("concat along no such axis", x.concat(&[&x], 2)),
        ("concat of other sizes", x.concat(&[&two], 0)),
        ("unfold along no such axis", x.unfold(2, window(1, 1, 1))),
        ("unfold with step 0", x.unfold(1, window(1, 0, 1))),
        ("unfold with dilation 0", x.unfold(1, window(1, 1, 0))),
        ("unfold with size 0", x.unfold(1, window(0, 1, 1))),
        ("unfold with a huge window", x.unfold(1, window(usize::MAX, 1, 9))),
        ("fold along no such axis", x.fold(1, window(1, 1, 1), 1)),
        ("fold of too few windows", x.fold(0, window(3, 1, 1), 9)),
        ("solve with a rectangle", x.solve(&two_rows)),
        ("solve of other rows", square.solve(&three_rows)),
        ("solve of a vector", square.solve(&two)),
        ("solve with a singular matrix", singular.solve(&two_rows)),
        ("triangular_solve of other rows", square.triangular_solve(&three_rows, true)),
        ("triangular_solve with a singular matrix", zero.triangular_solve(&two_rows, false)),
        ("inv of a rectangle", x.inv()),
        ("inv of a vector", two.inv()),
        ("inv of a singular matrix", singular.inv()),
        ("slogdet of a rectangle", x.slogdet()),
        ("cholesky of a rectangle", x.cholesky()),
        ("cholesky of an indefinite matrix", zero.cholesky()),
        ("eigh of a rectangle", x.eigh()),
        ("cumsum along no such axis", x.cumsum(2)),
        ("reverse_cumsum along no such axis", x.reverse_cumsum(2)),
        ("softmax along no such axis", x.softmax(2)),
        ("log_softmax along no such axis", x.log_softmax(2)),
        ("atan2", x.atan2(&two)),
        ("index_select of no such axis", x.index_select(2, &[0])),
        ("index_select beyond the end", x.index_select(1, &[3])),
        ("index_add along no such axis", x.index_add(2, &[0], 1)),
        ("index_add of too few", x.index_add(0, &[0], 1)),
        ("index_add beyond the end", x.index_add(0, &[0, 1], 1)),
    ];
    let given = calls.iter().filter_map(|(text, result)| {
        let value = result.as_ref().ok()?;
        Some(Failure::new(format!("{text} gave a value of shape {:?}", value.shape())))
    });
    Failure::all(&given.collect::<Vec<_>>())
}

fn by(start: usize, stop: usize, step: usize) -> Slice {
    Slice { start, stop, step }
}

fn window(size: usize, step: usize, dilation: usize) -> Window {
    Window { size, step, dilation }
}

/// Indices of this shape; of none if it does not fit.
fn index(shape: &[usize], data: &[usize]) -> Index {
    Index::new(shape, data).unwrap_or_else(|_| Index::from([]))
}

/// Makes of the table its lines, and `each_method!`, the macro of its names.
///
/// The first argument is a `$` for that macro.
macro_rules! table {
    ($dollar:tt $($name:ident $(: $optional:ident)? {
        $($values:ident $near:ident |$($x:ident),+| $call:expr => $($([$($n:literal),*])+),+;)*
    })*) => {
        fn table<T: TensorLike>() -> Vec<Method<T>> {
            let mut methods = Vec::new();
            $(
                let name = stringify!($name);
                let optional = stringify!($($optional)?) == "optional";
                $({
                    let call: Call<T> =
                        |x| match x { [$($x),+] => $call, _ => x[0].sum(&[]) };
                    let oracle: Call<Reference> =
                        |x| match x { [$($x),+] => $call, _ => x[0].sum(&[]) };
                    let cases: &[&[&[usize]]] = &[$(&[$(&[$($n),*]),+]),+];
                    methods.extend(cases.iter().map(|shapes| Method {
                        name,
                        optional,
                        text: stringify!($call),
                        call,
                        oracle,
                        values: $values,
                        near: $near,
                        shapes: shapes.iter().map(|&shape| Shape::from(shape)).collect(),
                    }));
                })*
            )*
            methods
        }

        /// A test for each method that is compared, which calls a function with its name.
        #[doc(hidden)]
        #[macro_export]
        macro_rules! each_method {
            ($dollar check:path) => { $crate::named_tests! { $dollar check: $($name)* } };
        }
    };
}

// For each method a block:
//
// `name { values near |x, y| call => shapes of the first comparison, of the second, ..; }`,
// `name: optional { .. }` for those that a backend may leave out.
table! { $
    // Making and reading.
    full {
        ALL Exact |x| x.full(&[2, 3], 0.1)              => [], [0];
        ALL Exact |x| x.full(&[], NAN)                  => [2];
        ALL Exact |x| x.full(&[2, 0], 1.0)              => [2];
        ALL Exact |x| x.full(&[1, 2, 1, 1, 2, 1], -INF) => [1];
    }
    from_host {
        ALL Exact |x| x.from_host(&[2, 2], &[0.1, NAN, -INF, 1e300]) => [], [0];
        ALL Exact |x| x.from_host(&[], &[-0.1]) => [3];
        ALL Exact |x| x.from_host(&[0, 2], &[]) => [3];
        ALL Exact |x| x.from_host(&[1, 2, 1, 1, 2, 1], &[1.0, 2.0, 3.0, 4.0]) => [3];
    }
    scalar { ALL Exact |x| x.scalar(0.1) => [], [2, 3]; }

    // Arithmetic. The first shapes bring every value together with every other.
    add { ALL Exact |x, y| x.add(y) => [16, 1] [1, 16], [3, 3] [3], [2] [2, 2], [] [], [3] [2, 3], [2, 1, 3] [4, 1], [0] [1], [2, 0] [1, 0], [1, 2, 1, 2, 1, 2] [2, 1, 2, 1, 1]; }
    sub { ALL Exact |x, y| x.sub(y) => [16, 1] [1, 16], [3, 3] [3], [2] [2, 2], [] [], [2, 3] [3], [2, 1, 3] [4, 1], [0] [1], [1, 2, 1, 2, 1, 2] [2, 1, 2, 1, 1]; }
    mul { ALL Exact |x, y| x.mul(y) => [16, 1] [1, 16], [3, 3] [3], [2] [2, 2], [] [2], [3] [2, 3], [2, 1, 3] [4, 1], [0] [1], [1, 2, 1, 2, 1, 2] [2, 1, 2, 1, 1]; }
    div { ALL Exact |x, y| x.div(y) => [16, 1] [1, 16], [3, 3] [3], [2] [2, 2], [] [2], [3] [2, 3], [2, 1, 3] [4, 1], [0] [1], [1, 2, 1, 2, 1, 2] [2, 1, 2, 1, 1]; }
    pow { NEAR_ONE Function |x, y| x.pow(y) => [12, 1] [1, 12], [] [], [3] [2, 3], [2, 1, 3] [4, 1], [0] [1]; }
    neg { ALL Exact |x| x.neg() => [16], [], [2, 3], [2, 0], [1, 2, 1, 2, 1, 2]; }
    scale {
        ALL Exact |x| x.scale(-0.1) => [16], [], [2, 3], [2, 0];
        ALL Exact |x| x.scale(INF)  => [16];
    }
    shift { ALL Exact |x| x.shift(0.1) => [16], [], [2, 3], [2, 0]; }
    recip { ALL Exact |x| x.recip() => [16], [], [2, 3], [2, 0]; }
    powf {
        NEAR_ONE Function |x| x.powf(0.0)  => [12], [], [0];
        NEAR_ONE Function |x| x.powf(1.0)  => [12];
        NEAR_ONE Function |x| x.powf(2.0)  => [12], [2, 3];
        NEAR_ONE Function |x| x.powf(-1.0) => [12];
        NEAR_ONE Function |x| x.powf(0.5)  => [12];
        NEAR_ONE Function |x| x.powf(-2.5) => [12];
        NEAR_ONE Function |x| x.powf(INF)  => [12];
        NEAR_ONE Function |x| x.powf(NAN)  => [12];
    }
    powi {
        NEAR_ONE Function |x| x.powi(0)  => [12], [], [0];
        NEAR_ONE Function |x| x.powi(1)  => [12];
        NEAR_ONE Function |x| x.powi(2)  => [12], [2, 3];
        NEAR_ONE Function |x| x.powi(3)  => [12];
        NEAR_ONE Function |x| x.powi(-1) => [12];
        NEAR_ONE Function |x| x.powi(-3) => [12];
    }
    mul_or_zero { ALL Exact |x, y| x.mul_or_zero(y) => [16, 1] [1, 16], [] [], [3] [2, 3], [2, 1, 3] [4, 1], [0] [1]; }
    accumulate { ALL Exact |x, y| x.clone().accumulate(y) => [16] [16], [] [], [2, 3] [2, 3], [2, 0] [2, 0]; }

    // Functions.
    exp { NEAR_ONE Function |x| x.exp() => [12], [], [2, 3], [0], [1, 2, 1, 2, 1, 2]; }
    ln { ALL Function |x| x.ln() => [16], [], [2, 3], [0]; }
    sin { NEAR_ONE Function |x| x.sin() => [12], [], [2, 3], [0]; }
    cos { NEAR_ONE Function |x| x.cos() => [12], [], [2, 3], [0]; }
    tanh { ALL Function |x| x.tanh() => [16], [], [2, 3], [0]; }
    sqrt { ALL Function |x| x.sqrt() => [16], [], [2, 3], [0]; }
    expm1 { NEAR_ONE Function |x| x.expm1() => [12], [], [2, 3], [0]; }
    exp2 { NEAR_ONE Function |x| x.exp2() => [12], [], [2, 3], [0]; }
    log2 { ALL Function |x| x.log2() => [16], [], [2, 3], [0]; }
    log10 { ALL Function |x| x.log10() => [16], [], [2, 3], [0]; }
    log1p { ALL Function |x| x.log1p() => [16], [], [2, 3], [0]; }
    tan { NEAR_ONE Function |x| x.tan() => [12], [], [2, 3], [0]; }
    asin { ALL Function |x| x.asin() => [16], [], [2, 3], [0]; }
    acos { ALL Function |x| x.acos() => [16], [], [2, 3], [0]; }
    atan { ALL Function |x| x.atan() => [16], [], [2, 3], [0]; }
    sinh { NEAR_ONE Function |x| x.sinh() => [12], [], [2, 3], [0]; }
    cosh { NEAR_ONE Function |x| x.cosh() => [12], [], [2, 3], [0]; }
    asinh { ALL Function |x| x.asinh() => [16], [], [2, 3], [0]; }
    acosh { ALL Function |x| x.acosh() => [16], [], [2, 3], [0]; }
    atanh { ALL Function |x| x.atanh() => [16], [], [2, 3], [0]; }
    erf { ALL Function |x| x.erf() => [16], [], [2, 3], [0]; }
    normal_cdf { ALL Function |x| x.normal_cdf() => [16], [], [2, 3], [0]; }
    normal_cdf_tanh { ALL Function |x| x.normal_cdf_tanh() => [16], [], [2, 3], [0]; }
    floor { HALVES Exact |x| x.floor() => [13], [], [2, 3], [0]; }
    ceil { HALVES Exact |x| x.ceil() => [13], [], [2, 3], [0]; }
    round { HALVES Exact |x| x.round() => [13], [], [2, 3], [0]; }
    trunc { HALVES Exact |x| x.trunc() => [13], [], [2, 3], [0]; }
    atan2 { ALL Function |y, x| y.atan2(x) => [16, 1] [1, 16], [] [], [3] [3, 3], [2, 1, 3] [4, 1], [0] [1]; }
    square { ALL Exact |x| x.square() => [16], [], [2, 3], [0]; }
    rsqrt { ALL Function |x| x.rsqrt() => [16], [], [2, 3], [0]; }
    sigmoid { ALL Function |x| x.sigmoid() => [16], [], [2, 3], [0]; }
    logistic_density { ALL Function |x| x.logistic_density() => [16], [], [2, 3], [0]; }
    softplus { ALL Function |x| x.softplus() => [16], [], [2, 3], [0]; }
    softmax {
        FINITE Function |x| x.softmax(0)   => [7], [3, 3], [2, 2, 2], [0], [0, 2];
        FINITE Function |x| x.softmax(1)   => [3, 3], [2, 3, 4], [2, 1, 2, 1, 2], [0, 2];
        NEAR_ONE Function |x| x.softmax(1) => [3, 4], [6, 2], [12, 1];
    }
    softmax_jacobian {
        NEAR_ONE Function |x, c| x.softmax(0).and_then(|p| p.softmax_jacobian(c, 0)) => [7] [7], [3, 3] [3, 3];
        NEAR_ONE Function |x, c| x.softmax(1).and_then(|p| p.softmax_jacobian(c, 1)) => [3, 4] [3, 4], [2, 3, 4] [2, 3, 4];
    }
    log_softmax {
        FINITE Function |x| x.log_softmax(0) => [7], [3, 3], [2, 2, 2], [0], [0, 2];
        FINITE Function |x| x.log_softmax(1) => [3, 3], [2, 3, 4], [2, 1, 2, 1, 2], [0, 2];
    }
    abs { ALL Exact |x| x.abs() => [16], [], [2, 3], [0]; }
    sign { ALL Exact |x| x.sign() => [16], [], [2, 3], [0]; }
    relu { ALL Exact |x| x.relu() => [16], [], [2, 3], [0]; }

    // Choosing.
    lt { ALL Exact |x, y| x.lt(y) => [16, 1] [1, 16], [] [], [3] [2, 3], [2, 1, 3] [4, 1], [0] [1]; }
    eq { ALL Exact |x, y| TensorLike::eq(x, y) => [16, 1] [1, 16], [] [], [3] [2, 3], [2, 1, 3] [4, 1], [0] [1]; }
    le { ALL Exact |x, y| x.le(y) => [16, 1] [1, 16], [] [], [3] [2, 3], [2, 1, 3] [4, 1], [0] [1]; }
    ne { ALL Exact |x, y| TensorLike::ne(x, y) => [16, 1] [1, 16], [] [], [3] [2, 3], [2, 1, 3] [4, 1], [0] [1]; }
    maximum { ALL Exact |x, y| x.maximum(y) => [16, 1] [1, 16], [] [], [3] [2, 3], [2, 1, 3] [4, 1], [0] [1]; }
    minimum { ALL Exact |x, y| x.minimum(y) => [16, 1] [1, 16], [] [], [3] [2, 3], [2, 1, 3] [4, 1], [0] [1]; }
    select { MASK Exact |m, a, b| m.select(a, b) => [10] [10] [10], [] [] [], [10] [] [2, 1], [2, 2] [2] [2, 1], [] [3] [2, 1], [2, 1] [1, 3] [3], [0] [1] [0], [1, 2, 1, 1, 2] [2, 1, 1, 1, 1] [2]; }

    // Reductions.
    sum {
        FINITE Sum |x| x.sum(&[])        => [], [3], [2, 3], [0];
        // Square shapes too, where a wrong axis does not show in the shape.
        FINITE Sum |x| x.sum(&[0])       => [7], [2, 3], [3, 3], [2, 2, 2], [0], [0, 2], [2, 0], [33, 5];
        FINITE Sum |x| x.sum(&[1])       => [2, 3], [3, 3], [2, 2, 2], [2, 0], [5, 33], [2, 3, 4], [2, 0, 3];
        FINITE Sum |x| x.sum(&[0, 2])    => [2, 3, 4], [2, 1, 4, 2];
        FINITE Sum |x| x.sum(&[0, 1, 2]) => [2, 3, 4], [5, 7, 11];
        FINITE Sum |x| x.sum(&[1, 3, 4]) => [1, 2, 2, 2, 3, 2];
        NEAR_ONE Sum |x| x.sum(&[0])     => [12], [3, 4], [2, 6], [6, 2];
    }
    max {
        FINITE Exact |x| x.max(&[])        => [], [3], [2, 3], [0];
        NEAR_ONE Exact |x| x.max(&[0])     => [12], [3, 3], [2, 2, 2], [3, 4], [2, 6], [6, 2], [2, 0];
        NEAR_ONE Exact |x| x.max(&[1])     => [3, 4], [3, 3], [2, 2, 2], [2, 6], [6, 2], [0, 2], [2, 3, 4];
        FINITE Exact |x| x.max(&[0, 2])    => [2, 3, 4], [2, 1, 4, 2];
        FINITE Exact |x| x.max(&[1, 3, 4]) => [1, 2, 2, 2, 3, 2];
    }
    min {
        FINITE Exact |x| x.min(&[])     => [], [3], [2, 3], [0];
        NEAR_ONE Exact |x| x.min(&[0])  => [12], [3, 3], [2, 2, 2], [3, 4], [2, 6], [6, 2], [2, 0];
        NEAR_ONE Exact |x| x.min(&[1])  => [3, 4], [2, 6], [6, 2], [0, 2], [2, 3, 4];
        FINITE Exact |x| x.min(&[0, 2]) => [2, 3, 4], [2, 1, 4, 2];
    }
    mean {
        FINITE Sum |x| x.mean(&[])     => [], [3], [2, 3], [0];
        FINITE Sum |x| x.mean(&[0])    => [7], [3, 3], [2, 3], [0], [0, 2], [2, 0];
        FINITE Sum |x| x.mean(&[0, 2]) => [2, 3, 4], [2, 1, 4, 2], [2, 3, 0];
        NEAR_ONE Sum |x| x.mean(&[0])  => [12], [3, 4], [6, 2];
    }
    sum_to {
        FINITE Sum |x| x.sum_to(&[])           => [], [7], [2, 3], [0];
        FINITE Sum |x| x.sum_to(&[3])          => [3], [2, 3], [2, 2, 3], [0, 3];
        FINITE Sum |x| x.sum_to(&[2, 1])       => [2, 1], [2, 3], [4, 2, 3], [2, 0];
        FINITE Sum |x| x.sum_to(&[2, 1, 1, 3]) => [2, 2, 2, 3], [2, 1, 2, 2, 1, 3];
    }
    cumsum {
        FINITE Sum |x| x.cumsum(0) => [7], [3, 3], [2, 2, 2], [0], [2, 0];
        FINITE Sum |x| x.cumsum(1) => [3, 3], [2, 3, 4], [2, 1, 2, 1, 2], [0, 2];
    }
    reverse_cumsum {
        FINITE Sum |x| x.reverse_cumsum(0) => [7], [3, 3], [2, 2, 2], [0], [2, 0];
        FINITE Sum |x| x.reverse_cumsum(1) => [3, 3], [2, 3, 4], [2, 1, 2, 1, 2], [0, 2];
    }

    // Movement.
    reshape {
        ALL Exact |x| x.reshape(&[])                 => [], [1], [1, 1];
        ALL Exact |x| x.reshape(&[3, 2])             => [6], [2, 3], [3, 2], [1, 3, 1, 2];
        ALL Exact |x| x.reshape(&[2, 1, 2, 1, 2, 1]) => [8], [2, 4], [2, 2, 2];
        ALL Exact |x| x.reshape(&[0, 7])             => [0], [3, 0];
    }
    permute {
        ALL Exact |x| x.permute(&[])                 => [];
        ALL Exact |x| x.permute(&[0])                => [3], [0];
        ALL Exact |x| x.permute(&[1, 0])             => [2, 3], [3, 3], [2, 0], [1, 3];
        ALL Exact |x| x.permute(&[2, 0, 1])          => [2, 3, 4], [2, 2, 2];
        ALL Exact |x| x.permute(&[5, 0, 3, 1, 4, 2]) => [2, 3, 1, 2, 1, 2];
    }
    expand {
        ALL Exact |x| x.expand(&[])                 => [];
        ALL Exact |x| x.expand(&[2, 2])             => [2], [2, 1];
        ALL Exact |x| x.expand(&[2, 3])             => [], [1], [3], [2, 1], [1, 3], [2, 3];
        ALL Exact |x| x.expand(&[0, 2])             => [], [2], [1, 2], [0, 1], [0, 2];
        ALL Exact |x| x.expand(&[2, 1, 2, 3, 1, 2]) => [2], [3, 1, 1], [2, 1, 1, 3, 1, 1];
    }
    matmul {
        FINITE Sum |x, y| x.matmul(y)                    => [2, 3] [3, 4], [2, 2] [2, 2], [1, 1] [1, 1], [1, 5] [5, 1], [5, 1] [1, 5], [17, 9] [9, 13];
        FINITE Sum |x, y| x.matmul(y)                    => [2, 0] [0, 3], [0, 2] [2, 3], [2, 3] [3, 0], [0, 2, 3] [3, 2], [2, 2, 0] [2, 0, 2];
        FINITE Sum |x, y| x.matmul(y)                    => [2, 2, 3] [2, 3, 2], [2, 2, 3] [3, 2], [2, 3] [4, 3, 2], [2, 1, 2, 3] [3, 3, 2], [1, 2, 1, 1, 2, 3] [2, 1, 3, 1];
        FINITE Sum |x, y| x.permute(&[1, 0])?.matmul(y)  => [3, 2] [3, 4];
        FINITE Sum |x, y| x.matmul(&y.permute(&[1, 0])?) => [2, 3] [4, 3];
    }

    // Parts.
    slice: optional {
        ALL Exact |x| x.slice(&[])            => [];
        ALL Exact |x| x.slice(&[by(1, 4, 2)]) => [5], [4];
        ALL Exact |x| x.slice(&[by(2, 2, 1)]) => [2], [5];
        ALL Exact |x| x.slice(&[by(0, 2, 1), by(1, 6, 3)]) => [2, 6];
        ALL Exact |x| x.slice(&[by(0, 2, 9), by(0, 0, 1), by(1, 2, 1)]) => [2, 1, 3];
    }
    unslice: optional {
        ALL Exact |x| x.unslice(&[], &[])             => [];
        ALL Exact |x| x.unslice(&[5], &[by(1, 4, 2)]) => [2];
        ALL Exact |x| x.unslice(&[5], &[by(2, 2, 1)]) => [0];
        ALL Exact |x| x.unslice(&[2, 6], &[by(0, 2, 1), by(1, 6, 3)]) => [2, 2];
    }
    index_select: optional {
        ALL Exact |x| x.index_select(0, &[2, 0, 2]) => [3], [3, 2], [4, 0];
        ALL Exact |x| x.index_select(1, &[1])       => [2, 3], [2, 2, 3];
        ALL Exact |x| x.index_select(0, &[])        => [3], [0, 2];
    }
    index_add: optional {
        FINITE Sum |x| x.index_add(0, &[2, 0, 2], 4) => [3], [3, 2], [3, 0];
        FINITE Sum |x| x.index_add(1, &[1, 1], 2)    => [2, 2], [3, 2, 2];
        FINITE Sum |x| x.index_add(0, &[], 2)        => [0], [0, 2];
    }
    gather: optional {
        ALL Exact |x| x.gather(0, &Index::from([2, 0, 2])) => [3], [4];
        ALL Exact |x| x.gather(1, &index(&[2, 3], &[0, 1, 1, 3, 0, 3])) => [2, 4], [3, 4];
        ALL Exact |x| x.gather(0, &index(&[2, 0], &[])) => [1, 0], [3, 2], [0, 0];
    }
    scatter_add: optional {
        FINITE Sum |x| x.scatter_add(0, &Index::from([2, 0, 2]), &[4]) => [3];
        FINITE Sum |x| x.scatter_add(1, &index(&[2, 3], &[0, 1, 1, 3, 0, 3]), &[2, 4]) => [2, 3];
        FINITE Sum |x| x.scatter_add(0, &index(&[2, 0], &[]), &[3, 2]) => [2, 0];
    }
    concat: optional {
        ALL Exact |x| x.concat(&[], 0)              => [2], [2, 3];
        ALL Exact |x, y| x.concat(&[y], 0)          => [2] [3], [2, 2] [1, 2], [0] [2], [0] [0];
        ALL Exact |x, y, z| x.concat(&[y, z, x], 1) => [2, 1] [2, 3] [2, 0], [2, 1, 2] [2, 2, 2] [2, 1, 2];
    }
    unfold: optional {
        ALL Exact |x| x.unfold(0, window(2, 1, 1)) => [4], [3, 2], [2], [1];
        ALL Exact |x| x.unfold(1, window(2, 2, 3)) => [2, 8], [1, 9, 2], [2, 3], [2, 0];
    }
    fold: optional {
        FINITE Sum |x| x.fold(0, window(2, 1, 1), 4) => [3, 2], [3, 2, 2];
        FINITE Sum |x| x.fold(1, window(2, 2, 3), 8) => [2, 3, 2];
    }

    // Linear algebra.
    solve: optional {
        REGULAR Solved |x, y| x.solve(y) => [1, 1] [1, 2], [2, 2] [2, 3], [3, 3] [3, 2], [2, 2, 2] [2, 2, 1], [1, 2, 2, 2] [1, 2, 2, 3];
        REGULAR Solved |x, y| x.solve(y) => [0, 0] [0, 2], [2, 2] [2, 0], [0, 2, 2] [0, 2, 1], [2, 0, 0] [2, 0, 3];
        WITH_NAN Solved |x| x.solve(x)   => [2, 2, 2];
    }
    triangular_solve: optional {
        REGULAR Solved |x, y| x.triangular_solve(y, true) => [1, 1] [1, 2], [3, 3] [3, 2], [2, 2, 2] [2, 2, 1], [0, 0] [0, 2], [0, 2, 2] [0, 2, 1];
        REGULAR Solved |x, y| x.triangular_solve(y, false) => [1, 1] [1, 2], [3, 3] [3, 2], [2, 2, 2] [2, 2, 1], [2, 2] [2, 0];
        WITH_NAN Solved |x, y| x.triangular_solve(y, false) => [2, 2] [2, 1];
    }
    inv: optional {
        REGULAR Solved |x| x.inv()  => [1, 1], [2, 2], [3, 3], [2, 2, 2], [1, 2, 2, 2], [0, 0], [0, 2, 2], [2, 0, 0];
        WITH_NAN Solved |x| x.inv() => [2, 2], [2, 2, 2], [3, 3];
    }
    slogdet: optional {
        REGULAR Solved |x| x.slogdet()  => [1, 1], [2, 2], [3, 3], [2, 2, 2], [1, 2, 2, 2], [0, 0], [0, 2, 2], [2, 0, 0];
        ONES Solved |x| x.slogdet()     => [2, 2], [3, 3];
        WITH_NAN Solved |x| x.slogdet() => [2, 2, 2];
    }
    cholesky: optional {
        REGULAR Solved |x| x.cholesky()  => [1, 1], [2, 2], [3, 3], [2, 2, 2], [1, 2, 2, 2], [0, 0], [0, 2, 2], [2, 0, 0];
        WITH_NAN Solved |x| x.cholesky() => [2, 2, 2];
    }
    eigh: optional {
        REGULAR Solved |x| x.eigh()  => [1, 1], [2, 2], [3, 3], [2, 2, 2], [1, 2, 2, 2], [0, 0], [0, 2, 2], [2, 0, 0];
        FINITE Solved |x| x.eigh()   => [2, 2], [3, 3], [4, 4];
        WITH_NAN Solved |x| x.eigh() => [2, 2, 2];
    }
}
