//! `Var`: the `Copy` handle that user code and rules calculate with.

use std::fmt;

use crate::ground::{DType, Error, ErrorKind, Shape, TensorLike, backend, format_tensor};
use crate::tape::{NodeId, Op, Tape};

/// A value on a tape: a reference to the tape and the number of a node.
///
/// Handles are `Copy`, so code reads as mathematics: `((a + b) * b).sum()`. What each operation
/// computes, its derivative and its corner cases are in its documentation below.
///
/// Comparisons are methods, `x.lt(y)`, that give masks; `==` between handles is not defined.
///
/// # Errors are deferred
///
/// An operation that fails returns a *void* handle, which carries the error; operations on void
/// handles are void; the error comes out of the first method that returns a `Result`.
///
/// ```
/// use grad_core::Tape;
///
/// let tape = Tape::<f64>::new();
/// let x = tape.var(2.0);
/// let y = x.expand([3]) * x; // the f64 backend holds scalars only
/// assert!(y.value().unwrap_err().to_string().starts_with("expand: the backend failed"));
/// ```
pub struct Var<'t, T: TensorLike> {
    pub(crate) tape: &'t Tape<T>,
    pub(crate) id: NodeId,
}

impl<T: TensorLike> Clone for Var<'_, T> {
    #[inline]
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: TensorLike> Copy for Var<'_, T> {}

impl<'t, T: TensorLike> Var<'t, T> {
    /// The tensor. O(1).
    ///
    /// # Errors
    /// Of this and the following methods: the error that a void handle carries.
    pub fn value(self) -> Result<T, Error> {
        self.ok().map(|()| self.tape.value(self.id))
    }

    /// The one element of a tensor that has one.
    ///
    /// # Errors
    /// [`ErrorKind::NotOneElement`].
    #[track_caller]
    pub fn item(self) -> Result<f64, Error> {
        match self.to_host()?[..] {
            [item] => Ok(item),
            _ => Err(self.error("item", ErrorKind::NotOneElement { shape: self.shape()? })),
        }
    }

    /// The elements in row-major order.
    ///
    /// # Errors
    /// [`ErrorKind::Backend`] if the device cannot be read.
    #[track_caller]
    pub fn to_host(self) -> Result<Vec<f64>, Error> {
        match self.value()?.to_host() {
            Ok(data) => Ok(data),
            Err(error) => Err(self.error("to_host", backend(error))),
        }
    }

    /// The shape.
    pub fn shape(self) -> Result<Shape, Error> {
        self.ok().map(|()| self.tape.shape(self.id))
    }

    /// The type of the elements.
    pub fn dtype(self) -> Result<DType, Error> {
        self.value().map(|value| value.dtype())
    }

    /// The tape.
    pub fn tape(self) -> &'t Tape<T> {
        self.tape
    }

    /// The place on the tape; of a void handle, of the error among the tape's errors.
    pub fn id(self) -> NodeId {
        self.id
    }

    /// True for a variable and for what was computed from one by differentiable operations.
    #[inline]
    pub fn is_tracked(self) -> bool {
        !self.id.is_void() && self.tape.inner.borrow().arena.get(self.id).is_tracked()
    }

    /// True if the handle carries an error in place of a value.
    pub fn is_void(self) -> bool {
        self.id.is_void()
    }

    /// The error of a void handle.
    pub(crate) fn ok(self) -> Result<(), Error> {
        match self.id.is_void() {
            true => Err(self.tape.error(self.id)),
            false => Ok(()),
        }
    }

    /// Gives the node a name for traces; a later name replaces an earlier one.
    ///
    /// Names are labels: they change no computed value, and two nodes may have the same.
    pub fn named(self, name: &str) -> Self {
        if !self.id.is_void() {
            self.tape.inner.borrow_mut().names.push((self.id, name.into()));
        }
        self
    }

    /// A constant of the dtype and on the device of this handle, from row-major data of the host:
    /// how code that is generic over the tensor brings in numbers.
    ///
    /// ```
    /// let tape = grad_core::Tape::<f64>::new();
    /// let x = tape.var(2.0);
    /// assert_eq!((x * x.new_constant([], &[3.0])).item()?, 6.0);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::ShapeMismatch`] if `data` does not fill the shape.
    #[track_caller]
    pub fn new_constant(self, shape: impl Into<Shape>, data: &[f64]) -> Self {
        let shape = shape.into();
        let Ok(model) = self.value() else { return self };
        if shape.n_elements() != Some(data.len()) {
            let rule = "have different numbers of elements";
            let kind = ErrorKind::ShapeMismatch { left: shape, right: data.len().into(), rule };
            return self.tape.fail("new_constant", kind);
        }
        match model.from_host(&shape, data) {
            Ok(value) => self.tape.constant_value(value),
            Err(error) => self.tape.fail("new_constant", backend(error)),
        }
    }

    #[track_caller]
    fn error(self, op: &'static str, kind: ErrorKind) -> Error {
        Error::new(op, kind, std::panic::Location::caller())
    }

    // How the operations in `ops` come onto the tape.

    /// Applies an operation without parameters to this handle.
    #[track_caller]
    #[inline]
    pub(crate) fn unary(self, op: &'static dyn Op<T>) -> Self {
        self.tape.record(op, [self])
    }

    /// Applies an operation without parameters to this handle and another operand.
    #[track_caller]
    #[inline]
    pub(crate) fn binary(self, op: &'static dyn Op<T>, y: impl Operand<'t, T>) -> Self {
        self.tape.record(op, [self, y.into_var(self)])
    }

    /// Applies an operation with parameters to this handle.
    #[track_caller]
    #[inline]
    pub(crate) fn with(self, op: impl Op<T> + 'static) -> Self {
        self.tape.record_shared(op, self)
    }

    /// Void, for parameters that `check` finds wrong before there is an operation.
    #[track_caller]
    pub(crate) fn void(self, op: &'static str, kind: ErrorKind) -> Self {
        if self.id.is_void() { self } else { self.tape.fail(op, kind) }
    }

    /// This mask, unless it is 1 everywhere. It is kept if the backend cannot tell.
    pub(crate) fn unless_all(self) -> Option<Self> {
        let has_zero = self.value().ok()?.has_zero().unwrap_or(true);
        has_zero.then_some(self)
    }
}

/// What stands beside a handle in an operation: another handle, or a number, which becomes a
/// constant of the handle's dtype.
pub trait Operand<'t, T: TensorLike> {
    /// The operand as a handle on the tape of `like`, in its dtype.
    #[track_caller]
    fn into_var(self, like: Var<'t, T>) -> Var<'t, T>;
}

impl<'t, T: TensorLike> Operand<'t, T> for Var<'t, T> {
    #[inline]
    fn into_var(self, _: Var<'t, T>) -> Var<'t, T> {
        self
    }
}

impl<'t, T: TensorLike> Operand<'t, T> for f64 {
    #[track_caller]
    fn into_var(self, like: Var<'t, T>) -> Var<'t, T> {
        like.tape.full(like, &Shape::scalar(), self)
    }
}

impl<T: TensorLike> fmt::Display for Var<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.value() {
            Ok(value) => f.write_str(&format_tensor(&value)),
            Err(error) => write!(f, "void ({error})"),
        }
    }
}

impl<T: TensorLike> fmt::Debug for Var<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.value() {
            Ok(value) => {
                let shape = Shape::from(value.shape());
                write!(f, "Var({:?}, {shape}, {})", self.id, format_tensor(&value))
            }
            Err(error) => write!(f, "Var(void: {error})"),
        }
    }
}
