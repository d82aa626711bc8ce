//! `Elementwise`: a function of each element, by its partial derivatives.

use std::fmt;
use std::sync::OnceLock;

use crate::ground::{Build, ErrorKind, Partial, Shape, TensorLike, broadcast, call};
use crate::kinds::kernel::kernel_of;
use crate::kinds::{align_stack, check_arity};
use crate::tape::{Body, Cotangents, Facts, Op, Primal, Reach, Tangents, Var};

/// A function applied to each element, of one or more arguments that broadcast.
///
/// It states its derivative once: as a formula, [`partial`](Elementwise::partial), or as a number,
/// [`slope`](Elementwise::slope).
///
/// ```
/// use grad_core::Tape;
/// use grad_core::extend::{ByPartial, Elementwise, Primal, TensorLike, Var};
///
/// struct Cube;
///
/// impl Elementwise for Cube {
///     const NAME: &'static str = "cube";
///
///     fn forward<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error> {
///         x[0].powi(3)
///     }
///
///     fn partial<'t, T: TensorLike>(&self, _: usize, p: &Primal<'t, T>, c: Var<'t, T>) -> Var<'t, T> {
///         c * (p.x(0).square() * 3.0)
///     }
/// }
///
/// let tape = Tape::<f64>::new();
/// let x = tape.var(2.0);
/// let y = tape.apply(ByPartial::new(Cube), &[x]);
/// assert_eq!(tape.backward(y, x)?, 12.0);
/// # Ok::<(), grad_core::Error>(())
/// ```
pub trait Elementwise {
    /// The name, as errors and traces give it.
    const NAME: &'static str;

    /// The number of arguments.
    const ARITY: usize = 1;

    /// True of a function that may not depend on an argument somewhere, as
    /// [`depends`](Elementwise::depends) says.
    const CHOOSES: bool = false;

    /// The value.
    ///
    /// # Errors
    /// Those of the backend.
    fn forward<T: TensorLike>(&self, x: &[&T]) -> Result<T, T::Error>;

    /// `c · ∂y/∂x(arg)`, for a cotangent or tangent `c`, or for tangents that are stacked along one
    /// more leading axis.
    ///
    /// It is the textbook's formula. The default is for an operation that states its
    /// [`slope`](Elementwise::slope).
    fn partial<'t, T: TensorLike>(
        &self,
        arg: usize,
        p: &Primal<'t, T>,
        c: Var<'t, T>,
    ) -> Var<'t, T> {
        let product = match self.slope(arg) {
            Some(1.0) => c,
            Some(-1.0) => -c,
            Some(0.0) => return c.zeros_like(),
            Some(slope) => c.scale(slope),
            None => {
                let message = "states neither a partial derivative nor a slope".to_string();
                return p.tape().fail(Self::NAME, ErrorKind::Parameter { message });
            }
        };
        match self.depends(arg, p) {
            None => product,
            // A selection: what comes in may be infinite.
            Some(mask) => mask.where_(product, 0.0),
        }
    }

    /// The partial derivative with respect to argument `arg`, if it is a number wherever the result
    /// depends on the argument. `None` is the default.
    #[inline]
    fn slope(&self, arg: usize) -> Option<f64> {
        let _ = arg;
        None
    }

    /// Where the result depends on argument `arg`, as a mask, 1 or 0: of a function that chooses,
    /// such as the rectifier, where it has chosen the argument. Elsewhere the derivative is exactly
    /// 0, to every order. `None` is the default: everywhere.
    ///
    /// The partial derivative must be 0 where the mask is. It selects and does not multiply, since
    /// a cotangent may be infinite there.
    #[inline]
    fn depends<'t, T: TensorLike>(&self, arg: usize, p: &Primal<'t, T>) -> Option<Var<'t, T>> {
        let _ = (arg, p);
        None
    }

    /// The right-hand side of a line in a trace.
    fn format(&self, x: &[&str]) -> String {
        call(Self::NAME, x, "")
    }
}

/// The adapter that makes an [`Elementwise`] function an [`Op`]. It keeps the kernels of the
/// function's rule.
pub struct ByPartial<E> {
    function: E,
    /// For each argument.
    partials: OnceLock<Box<[Partial]>>,
}

impl<E: Elementwise> ByPartial<E> {
    /// The function as an operation.
    pub const fn new(function: E) -> Self {
        ByPartial { function, partials: OnceLock::new() }
    }

    /// The partial derivative, if it is a number everywhere.
    fn slope(&self, arg: usize) -> Option<f64> {
        self.function.slope(arg).filter(|_| !E::CHOOSES)
    }

    #[cold]
    fn build(&self) -> Box<[Partial]> {
        let partial = |arg| match self.slope(arg) {
            Some(slope) => Partial::Slope(slope),
            None => Partial::of(kernel_of(&self.function, arg)),
        };
        (0..E::ARITY).map(partial).collect()
    }
}

impl<T: TensorLike, E: Elementwise> Op<T> for ByPartial<E> {
    fn name(&self) -> &'static str {
        E::NAME
    }

    #[inline]
    fn facts(&self) -> Facts {
        let facts = Facts::keeps_shape(E::ARITY).reaching(Reach::Same);
        if self.function.slope(0).is_none() { facts.by_value() } else { facts }
    }

    #[inline]
    fn shape(&self, x: &[Shape]) -> Result<Shape, ErrorKind> {
        check_arity(E::ARITY, x)?;
        broadcast(x)
    }

    #[inline]
    fn forward(&self, x: &[&T]) -> Result<T, T::Error> {
        self.function.forward(x)
    }

    #[inline]
    fn vjp<'t>(&self, p: &Primal<'t, T>, ct: Var<'t, T>, x_bar: &mut Cotangents<'_, 't, T>) {
        x_bar.each(|arg| self.function.partial(arg, p, ct));
    }

    fn jvp<'t>(&self, p: &Primal<'t, T>, t: &Tangents<'_, 't, T>) -> Option<Var<'t, T>> {
        if t.stack().is_none() {
            return t.sum(|arg, t| self.function.partial(arg, p, t));
        }
        let rank = p.y_shape().rank();
        let mut is_stack = true;
        let y_dot = t.sum(|arg, t| {
            let part = self.function.partial(arg, p, align_stack(t, rank));
            is_stack &= part.shape().is_ok_and(|shape| shape.rank() == rank + 1);
            part
        });
        // A rule that looks at the shape of c takes one tangent at a time.
        y_dot.filter(|_| is_stack)
    }

    fn format(&self, x: &[&str]) -> String {
        self.function.format(x)
    }

    fn depends<'t>(&self, arg: usize, p: &Primal<'t, T>) -> Option<Var<'t, T>> {
        match self.function.slope(arg) {
            Some(0.0) => Some(p.tape().full(p.y(), &Shape::scalar(), 0.0)),
            _ => self.function.depends(arg, p),
        }
    }

    #[inline]
    fn body(&self, build: Build) -> Body<'_, T> {
        Body::Partials(match (self.partials.get(), build) {
            (Some(partials), _) => partials,
            // A slope costs nothing.
            (None, Build::Never) if self.slope(0).is_none() => &[],
            (None, _) => self.partials.get_or_init(|| self.build()),
        })
    }
}

impl<E: fmt::Debug> fmt::Debug for ByPartial<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ByPartial").field(&self.function).finish()
    }
}
