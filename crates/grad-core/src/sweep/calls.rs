//! The calls that start a sweep, in two faces.
//!
//! A call on the tape is recorded, and answers with handles. The same call on [`Tape::plain`]
//! records nothing, and answers with a `Result` of plain tensors.
//!
//! | recorded | plain |
//! | --- | --- |
//! | `tape.grad(y, x)` | `tape.plain().grad(y, x)`, or `tape.backward(y, x)` |
//! | `tape.vjp(y, ct, x)` | `tape.plain().vjp(y, ct, x)` |
//! | `tape.jvp(y, [(x, t)])` | `tape.plain().jvp(y, [(x, t)])` |
//! | `tape.jvp_batch(y, [(x, t)])` | `tape.plain().jvp_batch(y, [(x, t)])` |
//! | `tape.gradients(y)` | |

use std::fmt;

use crate::ground::{Error, TensorLike};
use crate::sweep::forward::Count;
use crate::sweep::{Gradients, Wrt};
use crate::tape::{Tape, Var};

/// The recorded face. What a call computes is on the tape like everything else, so that it can be
/// differentiated again, in either mode. An error comes as void handles.
impl<T: TensorLike> Tape<T> {
    /// The gradient of `y`, which has one element, with respect to handles `wrt`.
    ///
    /// `wrt` is a handle, an array or a slice of them, and the answer has the same form. What `y`
    /// does not depend on has a gradient of zeros. [`Plain::grad`] gives plain tensors.
    ///
    /// # Errors
    /// [`NotScalar`](crate::ErrorKind::NotScalar); [`Untracked`](crate::ErrorKind::Untracked) for a
    /// constant in `wrt`; the error of a void handle; whatever goes wrong in a rule.
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let (x, y) = (tape.var(2.0), tape.var(3.0));
    /// let [dx, dy] = tape.grad(x * x * y, [x, y]);
    /// assert_eq!((dx.item()?, dy.item()?), (12.0, 4.0));
    /// assert_eq!(tape.grad(dx, x).item()?, 6.0);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn grad<'t, W: Wrt<'t, T>>(&'t self, y: Var<'t, T>, wrt: W) -> W::Each<Var<'t, T>> {
        let found = self.pull_recorded("grad", y, wrt.handles(), None);
        self.each_or_void(y, &wrt, found)
    }

    /// The vector-Jacobian product `Jᵀ ct` of `y` with respect to `wrt`. [`Plain::vjp`] gives plain
    /// tensors.
    ///
    /// # Errors
    /// [`CotangentShape`](crate::ErrorKind::CotangentShape) if `ct` is not shaped like `y`;
    /// otherwise those of [`Tape::grad`], but `y` may have any shape.
    #[track_caller]
    pub fn vjp<'t, W: Wrt<'t, T>>(
        &'t self,
        y: Var<'t, T>,
        ct: Var<'t, T>,
        wrt: W,
    ) -> W::Each<Var<'t, T>> {
        let found = self.pull_recorded("vjp", y, wrt.handles(), Some(ct));
        self.each_or_void(y, &wrt, found)
    }

    /// The Jacobian-vector product `J t` of `y`, for a tangent `t` of each input `x`.
    /// [`Plain::jvp`] gives a plain tensor.
    ///
    /// # Errors
    /// [`CotangentShape`](crate::ErrorKind::CotangentShape) if a tangent is not shaped like its
    /// input; [`Untracked`](crate::ErrorKind::Untracked) if an input is a constant; the error of a
    /// void handle; whatever goes wrong in a rule.
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let x = tape.var(3.0);
    /// let t = tape.constant(2.0);
    /// assert_eq!(tape.jvp(x * x, [(x, t)]).item()?, 12.0);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn jvp<'t>(
        &'t self,
        y: Var<'t, T>,
        tangents: impl IntoIterator<Item = (Var<'t, T>, Var<'t, T>)>,
    ) -> Var<'t, T> {
        let (x, t): (Vec<_>, Vec<_>) = tangents.into_iter().unzip();
        let found = self.push_recorded("jvp", y, &x, t, Count::One);
        found.unwrap_or_else(|error| self.void_of(y, error))
    }

    /// [`Tape::jvp`] for k tangents at once, which are stacked along a leading axis: those of an
    /// input of shape `[..]` have shape `[k, ..]`, and so has the answer. [`Plain::jvp_batch`] gives
    /// a plain tensor.
    ///
    /// One sweep does the work of k, and visits each operation once where the operation has a rule
    /// for it ([`Op::jvp`](crate::Op::jvp)), as all but a few of this library have.
    ///
    /// # Errors
    /// [`CotangentShape`](crate::ErrorKind::CotangentShape) if a tangent is not shaped like its
    /// input, behind a leading axis of the same size for all;
    /// [`Parameter`](crate::ErrorKind::Parameter) if that size is unknown, for want of a tangent
    /// with an axis; otherwise those of [`Tape::jvp`].
    ///
    /// ```
    /// use grad_core::Tape;
    /// use grad_conformance::Reference;
    ///
    /// let tape = Tape::<Reference>::new();
    /// let x = tape.var(vec![1.0, 2.0]);
    /// let dx = tape.grad(x.powi(3).sum(), x); // 3 x²
    /// let columns = tape.constant(Reference::new([2, 2], vec![1.0, 0.0, 0.0, 1.0])?);
    /// let hessian = tape.jvp_batch(dx, [(x, columns)]);
    /// assert_eq!(hessian.to_host()?, [6.0, 0.0, 0.0, 12.0]);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn jvp_batch<'t>(
        &'t self,
        y: Var<'t, T>,
        tangents: impl IntoIterator<Item = (Var<'t, T>, Var<'t, T>)>,
    ) -> Var<'t, T> {
        let (x, t): (Vec<_>, Vec<_>) = tangents.into_iter().unzip();
        let found = self.push_recorded("jvp_batch", y, &x, t, Count::Batch);
        found.unwrap_or_else(|error| self.void_of(y, error))
    }

    /// The derivatives of `y`, which has one element, with respect to *every* node that it depends
    /// on: unpruned.
    ///
    /// # Errors
    /// Those of [`Tape::grad`]; then every derivative that [`Gradients`] gives is void.
    #[track_caller]
    pub fn gradients<'t>(&'t self, y: Var<'t, T>) -> Gradients<'t, T> {
        let found = self.pull_to_all("gradients", y);
        Gradients { tape: self, by_node: found.map_err(|error| self.void_of(y, error)) }
    }

    /// The derivatives of `y` in the form of `wrt`; void ones for an error.
    fn each_or_void<'t, W: Wrt<'t, T>>(
        &'t self,
        y: Var<'t, T>,
        wrt: &W,
        found: Result<Vec<Var<'t, T>>, Error>,
    ) -> W::Each<Var<'t, T>> {
        let n = wrt.handles().len();
        W::each(found.unwrap_or_else(|error| vec![self.void_of(y, error); n]))
    }

    /// The plain face: the same calls, with plain tensors for answers.
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let x = tape.var(3.0);
    /// let recorded = tape.grad(x * x, x); // a handle
    /// let plain = tape.plain().grad(x * x, x)?; // a number
    /// assert_eq!((recorded.item()?, plain), (6.0, 6.0));
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[inline]
    pub fn plain(&self) -> Plain<'_, T> {
        Plain { tape: self }
    }

    /// The gradient of `y`, which has one element, as plain tensors: the well-known name of
    /// [`tape.plain().grad(y, wrt)`](Plain::grad).
    ///
    /// # Errors
    /// Those of [`Tape::grad`].
    #[track_caller]
    pub fn backward<'t, W: Wrt<'t, T>>(
        &'t self,
        y: Var<'t, T>,
        wrt: W,
    ) -> Result<W::Each<T>, Error> {
        self.pull_plain("backward", y, wrt.handles(), None).map(W::each)
    }
}

/// The plain face of a tape, made by [`Tape::plain`]: each call is the one of the tape of the same
/// name, but records nothing, leaves the tape as it was, and answers with tensors.
///
/// The fast path where no further derivative is needed.
pub struct Plain<'t, T: TensorLike> {
    tape: &'t Tape<T>,
}

impl<T: TensorLike> Clone for Plain<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: TensorLike> Copy for Plain<'_, T> {}

impl<'t, T: TensorLike> Plain<'t, T> {
    /// [`Tape::grad`] as plain tensors.
    ///
    /// # Errors
    /// Those of [`Tape::grad`].
    #[track_caller]
    pub fn grad<W: Wrt<'t, T>>(self, y: Var<'t, T>, wrt: W) -> Result<W::Each<T>, Error> {
        self.tape.pull_plain("grad", y, wrt.handles(), None).map(W::each)
    }

    /// [`Tape::vjp`] as plain tensors.
    ///
    /// # Errors
    /// Those of [`Tape::vjp`].
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let (x, y) = (tape.var(3.0), tape.var(5.0));
    /// assert_eq!(tape.plain().vjp(x * y, 10.0, [x, y])?, [50.0, 30.0]);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn vjp<W: Wrt<'t, T>>(
        self,
        y: Var<'t, T>,
        ct: impl Into<T>,
        wrt: W,
    ) -> Result<W::Each<T>, Error> {
        self.tape.pull_plain("vjp", y, wrt.handles(), Some(ct.into())).map(W::each)
    }

    /// [`Tape::jvp`] as a plain tensor.
    ///
    /// # Errors
    /// Those of [`Tape::jvp`].
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let (x, y) = (tape.var(3.0), tape.var(5.0));
    /// assert_eq!(tape.plain().jvp(x * y, [(x, 1.0), (y, 2.0)])?, 11.0); // 1 · 5 + 3 · 2
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn jvp(
        self,
        y: Var<'t, T>,
        tangents: impl IntoIterator<Item = (Var<'t, T>, impl Into<T>)>,
    ) -> Result<T, Error> {
        let (x, t) = unzip(tangents);
        self.tape.push_plain("jvp", y, &x, t, Count::One)
    }

    /// [`Tape::jvp_batch`] as a plain tensor.
    ///
    /// # Errors
    /// Those of [`Tape::jvp_batch`].
    ///
    /// ```
    /// use grad_core::Tape;
    /// use grad_conformance::Reference;
    ///
    /// let tape = Tape::<Reference>::new();
    /// let x = tape.var(3.0);
    /// let pushed = tape.plain().jvp_batch(x * x, [(x, vec![1.0, 10.0])])?;
    /// assert_eq!(pushed.data(), [6.0, 60.0]);
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn jvp_batch(
        self,
        y: Var<'t, T>,
        tangents: impl IntoIterator<Item = (Var<'t, T>, impl Into<T>)>,
    ) -> Result<T, Error> {
        let (x, t) = unzip(tangents);
        self.tape.push_plain("jvp_batch", y, &x, t, Count::Batch)
    }
}

impl<T: TensorLike> fmt::Debug for Plain<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Plain({:?})", self.tape)
    }
}

fn unzip<X, T>(tangents: impl IntoIterator<Item = (X, impl Into<T>)>) -> (Vec<X>, Vec<T>) {
    tangents.into_iter().map(|(x, t)| (x, t.into())).unzip()
}
