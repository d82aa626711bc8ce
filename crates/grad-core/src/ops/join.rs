//! Joining tensors along an axis, and splitting them. All linear.

use crate::ground::{ErrorKind, Shape, TensorLike, call, resized, resolve_axis};
use crate::kinds::stack_shape;
use crate::tape::{Cotangents, Facts, Op, Primal, Reach, Tangents, Tape, Var};

/// Holds the axis.
struct Concat(usize);

impl<T: TensorLike> Op<T> for Concat {
    fn name(&self) -> &'static str {
        "concat"
    }

    fn facts(&self) -> Facts {
        Facts::GENERAL.reaching(Reach::Rule { total: false })
    }

    fn shape(&self, x: &[Shape]) -> Result<Shape, ErrorKind> {
        let [first, others @ ..] = x else { return Err(ErrorKind::Arity { expected: 1, got: 0 }) };
        let mut size = first[self.0];
        for other in others {
            let fits = first.rank() == other.rank()
                && resized(first, self.0, 0) == resized(other, self.0, 0);
            if !fits {
                let (left, right) = (first.clone(), other.clone());
                let rule = "cannot be joined: they may differ along the joined axis only";
                return Err(ErrorKind::ShapeMismatch { left, right, rule });
            }
            size = size.saturating_add(other[self.0]);
        }
        Ok(resized(first, self.0, size))
    }

    fn forward(&self, x: &[&T]) -> Result<T, T::Error> {
        x[0].concat(&x[1..], self.0)
    }

    fn vjp<'t>(&self, p: &Primal<'t, T>, ct: Var<'t, T>, x_bar: &mut Cotangents<'_, 't, T>) {
        let mut start = 0;
        for arg in 0..p.n_inputs() {
            let size = p.shape(arg)[self.0];
            if x_bar.wants(arg) {
                x_bar.set(arg, ct.narrow(self.0 as isize, start, size));
            }
            start += size;
        }
    }

    fn jvp<'t>(&self, p: &Primal<'t, T>, t: &Tangents<'_, 't, T>) -> Option<Var<'t, T>> {
        let (axis, one) = match t.stack() {
            None => (self.0, None),
            Some(_) => (self.0 + 1, Some(t.list().iter().find_map(|&t| t)?)),
        };
        let zeros = |arg: usize| match one {
            None => p.x(arg).zeros_like(),
            Some(one) => p.x(arg).zeros_like().expand(stack_shape(one, &p.shape(arg))),
        };
        let mut x_dot = Vec::with_capacity(p.n_inputs());
        for (arg, t) in t.list().iter().enumerate() {
            x_dot.push(t.unwrap_or_else(|| zeros(arg)));
        }
        Some(p.tape().apply(Concat(axis), &x_dot))
    }

    fn format(&self, x: &[&str]) -> String {
        call("concat", &["", &format!("[{}]", x.join(", "))], &self.0.to_string())
    }
}

impl<T: TensorLike> Tape<T> {
    /// The tensors `x`, at least one, joined along `axis`; their other sizes agree.
    ///
    /// Shapes: `[2, 3]`, `[1, 3]` along 0 → `[3, 3]`.
    ///
    /// ```math
    /// x̄ᵢ = the part of ȳ that came from xᵢ,   ẏ = concat(ẋ)
    /// ```
    ///
    /// # Errors
    /// [`Parameter`](ErrorKind::Parameter) if there is no tensor;
    /// [`AxisOutOfRange`](ErrorKind::AxisOutOfRange);
    /// [`ShapeMismatch`](ErrorKind::ShapeMismatch) if another size differs.
    ///
    /// Non-smooth points: none.
    #[track_caller]
    pub fn concat<'t>(&'t self, x: &[Var<'t, T>], axis: isize) -> Var<'t, T> {
        let Some(first) = x.first() else { return self.nothing("concat") };
        let Ok(shape) = first.shape() else { return *first };
        match resolve_axis(axis, shape.rank()) {
            Ok(axis) => self.apply(Concat(axis), x),
            Err(kind) => self.fail("concat", kind),
        }
    }

    /// The tensors `x`, at least one and all of the same shape, joined along a new axis, which is
    /// axis `axis` of the result; [`Var::unsqueeze`] and [`Tape::concat`].
    ///
    /// Shapes: `[2, 3]`, `[2, 3]` along 0 → `[2, 2, 3]`; along −1 → `[2, 3, 2]`.
    ///
    /// # Errors
    /// [`Parameter`](ErrorKind::Parameter) if there is no tensor;
    /// [`AxisOutOfRange`](ErrorKind::AxisOutOfRange);
    /// [`ShapeMismatch`](ErrorKind::ShapeMismatch) if the shapes differ.
    #[track_caller]
    pub fn stack<'t>(&'t self, x: &[Var<'t, T>], axis: isize) -> Var<'t, T> {
        let Some(first) = x.first() else { return self.nothing("stack") };
        let Ok(left) = first.shape() else { return *first };
        let mut parts = Vec::with_capacity(x.len());
        for x in x {
            match x.shape() {
                Ok(right) if left != right => {
                    let rule = "differ: only tensors of one shape can be stacked";
                    return self.fail("stack", ErrorKind::ShapeMismatch { left, right, rule });
                }
                _ => parts.push(x.unsqueeze(axis)),
            }
        }
        self.concat(&parts, axis)
    }

    #[track_caller]
    fn nothing(&self, op: &'static str) -> Var<'_, T> {
        self.fail(op, ErrorKind::Parameter { message: "needs at least one tensor".to_string() })
    }
}

impl<'t, T: TensorLike> Var<'t, T> {
    /// The parts of the tensor along `axis`, of the given sizes, one after the other; each is a
    /// [`Var::narrow`].
    ///
    /// Shapes: `[5, 2]` along 0 by `[1, 4]` → `[1, 2]` and `[4, 2]`.
    ///
    /// There are as many handles as sizes. If something is wrong all of them are void, and there is at
    /// least one, which says what.
    ///
    /// # Errors
    /// [`AxisOutOfRange`](ErrorKind::AxisOutOfRange); [`Parameter`](ErrorKind::Parameter) if the
    /// sizes do not add up to that of the axis.
    #[track_caller]
    pub fn split(self, axis: isize, sizes: &[usize]) -> Vec<Self> {
        let Ok(shape) = self.shape() else { return vec![self; sizes.len().max(1)] };
        if let Err(kind) = check_sizes(&shape, axis, sizes) {
            return vec![self.void("split", kind); sizes.len().max(1)];
        }
        let (mut parts, mut start) = (Vec::with_capacity(sizes.len()), 0);
        for &size in sizes {
            parts.push(self.narrow(axis, start, size));
            start += size;
        }
        parts
    }
}

/// Refuses sizes that do not add up to that of the axis.
fn check_sizes(shape: &Shape, axis: isize, sizes: &[usize]) -> Result<(), ErrorKind> {
    let n = shape[resolve_axis(axis, shape.rank())?];
    match sizes.iter().try_fold(0usize, |sum, &size| sum.checked_add(size)) {
        Some(sum) if sum == n => Ok(()),
        _ => {
            let message = format!(
                "sizes {sizes:?} must add up to {n}, the size of axis {axis} of shape {shape}"
            );
            Err(ErrorKind::Parameter { message })
        }
    }
}
