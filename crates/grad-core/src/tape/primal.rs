//! `Primal`: what a rule gets to see of the node that it differentiates.

use smallvec::SmallVec;

use crate::ground::{Kernel, Shape, Source, TensorLike};
use crate::tape::{NodeId, Tape, Var};

/// The values that a node was computed from, as handles a rule can calculate with.
///
/// In a recorded sweep these are the node's own arguments and output, so that what the rule
/// computes depends on them and can be differentiated again; in a plain sweep they are constants.
pub struct Primal<'t, T: TensorLike> {
    /// Where the rule records.
    pub(crate) tape: &'t Tape<T>,
    /// Where the node is.
    pub(crate) home: &'t Tape<T>,
    pub(crate) node: NodeId,
}

impl<'t, T: TensorLike> Primal<'t, T> {
    /// The value of argument `arg`.
    #[inline]
    pub fn x(&self, arg: usize) -> Var<'t, T> {
        let found = match std::ptr::eq(self.tape, self.home) {
            true => self.home.input(self.node, arg).map(|id| Var { tape: self.tape, id }),
            false => self.home.input_value(self.node, arg).map(|x| self.tape.constant_value(x)),
        };
        found.unwrap_or_else(|kind| self.tape.fail("primal", *kind))
    }

    /// Argument `arg` itself, on the tape where the node is.
    pub(crate) fn own(&self, arg: usize) -> Var<'t, T> {
        let found = self.home.input(self.node, arg).map(|id| Var { tape: self.home, id });
        found.unwrap_or_else(|kind| self.home.fail("primal", *kind))
    }

    /// The value of the output.
    #[inline]
    pub fn y(&self) -> Var<'t, T> {
        match std::ptr::eq(self.tape, self.home) {
            true => Var { tape: self.tape, id: self.node },
            false => self.tape.constant_value(self.home.value(self.node)),
        }
    }

    /// A node of these values, with constants for arguments.
    pub(crate) fn given(tape: &'t Tape<T>, x: Vec<T>, y: T) -> Self {
        Primal { tape, home: tape, node: tape.record_given(x, y) }
    }

    /// The value that a rule's kernel takes, for a cotangent or tangent `c`. A copy, since no borrow
    /// of the tape is held while the backend runs.
    #[inline]
    pub(crate) fn value(&self, source: Source, c: &T) -> Option<T> {
        match source {
            Source::Derivative => Some(c.clone()),
            Source::Argument(arg) => self.home.input_value(self.node, arg).ok(),
            Source::Output => Some(self.home.value(self.node)),
        }
    }

    /// What a kernel of the operation's rule gives for a cotangent or tangent `c`.
    #[inline]
    pub(crate) fn evaluate(&self, kernel: &Kernel, c: &T) -> Option<T> {
        let value = |source: &Source| self.value(*source, c);
        let result = match kernel.arguments() {
            [x] => T::evaluate(kernel, &[&value(x)?]),
            [x, y] => T::evaluate(kernel, &[&value(x)?, &value(y)?]),
            all => {
                let values = all.iter().map(value).collect::<Option<SmallVec<[T; 4]>>>()?;
                T::evaluate(kernel, &values.iter().collect::<SmallVec<[&T; 4]>>())
            }
        };
        result.ok()
    }

    /// True if all arguments have the shape of the output.
    #[inline]
    pub(crate) fn is_uniform(&self) -> bool {
        self.home.is_uniform(self.node)
    }

    /// The number of arguments.
    pub fn n_inputs(&self) -> usize {
        self.home.n_inputs(self.node)
    }

    /// The shape of argument `arg`; of a scalar if there is no such argument.
    pub fn shape(&self, arg: usize) -> Shape {
        self.home.input(self.node, arg).map_or_else(|_| Shape::scalar(), |id| self.home.shape(id))
    }

    /// The shape of the output.
    pub fn y_shape(&self) -> Shape {
        self.home.shape(self.node)
    }

    /// True if `x_bar` is shaped like argument `arg`.
    #[inline]
    pub(crate) fn has_shape_of(&self, arg: usize, x_bar: &T) -> bool {
        self.home.input_has_shape(self.node, arg, x_bar.shape())
    }

    /// True if the output has this shape.
    #[inline]
    pub(crate) fn y_has_shape(&self, shape: &[usize]) -> bool {
        self.home.has_shape(self.node, shape)
    }

    /// True if argument `arg` is tracked where the node is.
    pub(crate) fn is_tracked(&self, arg: usize) -> bool {
        let input = self.home.input(self.node, arg);
        input.is_ok_and(|id| Var { tape: self.home, id }.is_tracked())
    }

    /// The mask of argument `arg` where it is not 0, if it is untracked, and 0 somewhere.
    ///
    /// What it multiplies has no influence where it is 0, whatever tracked values do. It serves
    /// [`Op::depends`](crate::Op::depends).
    pub fn support(&self, arg: usize) -> Option<Var<'t, T>> {
        if self.is_tracked(arg) {
            return None;
        }
        let value = self.home.input_value(self.node, arg).ok()?;
        // A backend that cannot tell gets a mask.
        let all = matches!(value.has_zero(), Ok(false));
        (!all).then(|| self.x(arg).ne(0.0))
    }

    /// The tape that the rule records on.
    pub fn tape(&self) -> &'t Tape<T> {
        self.tape
    }
}
