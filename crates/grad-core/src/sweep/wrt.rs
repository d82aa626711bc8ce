//! What derivatives are asked of, and the form in which they come.

use crate::ground::TensorLike;
use crate::tape::{NodeId, Tape, Var};

/// What to differentiate with respect to: one handle, or an array or slice of them. The answer
/// comes in the same form.
pub trait Wrt<'t, T: TensorLike>: sealed::Sealed {
    /// One `X` for each handle.
    type Each<X>;

    #[doc(hidden)]
    fn handles(&self) -> &[Var<'t, T>];

    /// Brings a list with one `X` for each handle into the form of the answer.
    #[doc(hidden)]
    fn each<X>(list: Vec<X>) -> Self::Each<X>;
}

/// Only the forms below know that a list has one item for each handle.
mod sealed {
    use crate::{TensorLike, Var};

    pub trait Sealed {}
    impl<T: TensorLike> Sealed for Var<'_, T> {}
    impl<T: TensorLike, const N: usize> Sealed for [Var<'_, T>; N] {}
    impl<T: TensorLike, const N: usize> Sealed for &[Var<'_, T>; N] {}
    impl<T: TensorLike> Sealed for &[Var<'_, T>] {}
    impl<T: TensorLike> Sealed for &Vec<Var<'_, T>> {}
}

impl<'t, T: TensorLike> Wrt<'t, T> for Var<'t, T> {
    type Each<X> = X;

    fn handles(&self) -> &[Var<'t, T>] {
        std::slice::from_ref(self)
    }

    fn each<X>(list: Vec<X>) -> X {
        let [x] = <[Var<'t, T>; 1]>::each(list);
        x
    }
}

impl<'t, T: TensorLike, const N: usize> Wrt<'t, T> for [Var<'t, T>; N] {
    type Each<X> = [X; N];

    fn handles(&self) -> &[Var<'t, T>] {
        self
    }

    fn each<X>(list: Vec<X>) -> [X; N] {
        let mut list = list.into_iter();
        std::array::from_fn(|_| list.next().expect("a sweep answers once for each handle"))
    }
}

impl<'t, T: TensorLike, const N: usize> Wrt<'t, T> for &[Var<'t, T>; N] {
    type Each<X> = [X; N];

    fn handles(&self) -> &[Var<'t, T>] {
        *self
    }

    fn each<X>(list: Vec<X>) -> [X; N] {
        <[Var<'t, T>; N]>::each(list)
    }
}

impl<'t, T: TensorLike> Wrt<'t, T> for &[Var<'t, T>] {
    type Each<X> = Vec<X>;

    fn handles(&self) -> &[Var<'t, T>] {
        self
    }

    fn each<X>(list: Vec<X>) -> Vec<X> {
        list
    }
}

impl<'t, T: TensorLike> Wrt<'t, T> for &Vec<Var<'t, T>> {
    type Each<X> = Vec<X>;

    fn handles(&self) -> &[Var<'t, T>] {
        self
    }

    fn each<X>(list: Vec<X>) -> Vec<X> {
        list
    }
}

/// The derivatives of one output with respect to everything it depends on.
pub struct Gradients<'t, T: TensorLike> {
    pub(super) tape: &'t Tape<T>,
    /// In recording order; or a void handle with what went wrong.
    pub(super) by_node: Result<Vec<(NodeId, Var<'t, T>)>, Var<'t, T>>,
}

impl<'t, T: TensorLike> Gradients<'t, T> {
    /// The derivative with respect to `x`, or `None` if the output does not depend on it.
    pub fn get(&self, x: Var<'_, T>) -> Option<Var<'t, T>> {
        let by_node = match &self.by_node {
            Ok(by_node) => by_node,
            Err(void) => return Some(*void),
        };
        let at = by_node.binary_search_by_key(&x.id, |&(id, _)| id).ok()?;
        std::ptr::eq(self.tape, x.tape).then(|| by_node[at].1)
    }

    /// The derivatives with respect to `wrt`, in its form; zeros where the output does not depend
    /// on it.
    ///
    /// ```
    /// # let tape = grad_core::Tape::<f64>::new();
    /// let (x, y) = (tape.var(2.0), tape.var(3.0));
    /// let [dx, dy] = tape.gradients(x * y).of([x, y]);
    /// assert_eq!((dx.item()?, dy.item()?), (3.0, 2.0));
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// A handle that is void or of another tape gives a void one.
    #[track_caller]
    pub fn of<W: Wrt<'t, T>>(&self, wrt: W) -> W::Each<Var<'t, T>> {
        let mut derivatives = Vec::with_capacity(wrt.handles().len());
        for &x in wrt.handles() {
            derivatives.push(match (self.get(x), self.tape.check("gradients", x)) {
                (Some(derivative), _) => derivative,
                (None, Ok(())) => x.zeros_like(),
                (None, Err(error)) => self.tape.void(error),
            });
        }
        W::each(derivatives)
    }

    /// Every node that the output depends on with its derivative, in recording order. After an
    /// error that is one pair of void handles.
    pub fn iter(&self) -> impl Iterator<Item = (Var<'t, T>, Var<'t, T>)> + '_ {
        let (by_node, void) = match &self.by_node {
            Ok(by_node) => (&by_node[..], None),
            Err(void) => (&[][..], Some((*void, *void))),
        };
        let node = |&(id, derivative)| (Var { tape: self.tape, id }, derivative);
        by_node.iter().map(node).chain(void)
    }
}

impl<T: TensorLike> std::fmt::Debug for Gradients<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.iter().map(|(x, dx)| (x.id, dx))).finish()
    }
}
