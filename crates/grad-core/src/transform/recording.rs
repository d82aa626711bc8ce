//! A function recorded at a point: what every transform begins with.

use std::ops::Range;

use smallvec::SmallVec;

use crate::ground::{Error, ErrorKind, Shape, error_here};
use crate::sweep::Count;
use crate::tape::{NodeId, Tape, Var};
use crate::transform::face::{Answer, Call, Leaf, in_form, leaves};
use crate::transform::params::{Like, Params};

/// `y = f(x)` on a tape.
pub(super) struct Recording<P: Params<Leaf: Leaf>> {
    /// The transform, for errors.
    op: &'static str,
    /// The leaves as they came, and their form.
    form: P,
    recorder: <P::Leaf as Leaf>::Recorder,
    x: SmallVec<[NodeId; 4]>,
    /// Void if recording failed.
    y: NodeId,
}

/// Columns of a Jacobian are pushed forward in batches of about so many elements.
const BATCH_ELEMENTS: usize = 1 << 17;

type TensorOf<P> = <<P as Params>::Leaf as Leaf>::Tensor;
type Handle<'h, P> = Var<'h, TensorOf<P>>;

impl<P: Params<Leaf: Leaf>> Recording<P> {
    /// Records `f(x)`.
    #[track_caller]
    pub(super) fn new<F>(op: &'static str, f: F, x: P) -> Self
    where
        P::Leaf: Call<F, P, P::Convention>,
    {
        let leaves = leaves(&x);
        let (recorder, void) = P::Leaf::tape_for(op, &leaves);
        let mut ids: SmallVec<[NodeId; 4]> = SmallVec::with_capacity(leaves.len());
        for leaf in &leaves {
            ids.push(leaf.as_variable(&recorder).id);
        }
        let y = match void.or(ids.iter().copied().find(|x| x.is_void())) {
            Some(void) => void,
            None => recorder.own(op, P::Leaf::call(&f, &x, &recorder, &ids)).id,
        };
        Recording { op, form: x, recorder, x: ids, y }
    }

    pub(super) fn tape(&self) -> &Tape<TensorOf<P>> {
        &self.recorder
    }

    pub(super) fn y(&self) -> Handle<'_, P> {
        Var { tape: &self.recorder, id: self.y }
    }

    pub(super) fn x(&self) -> SmallVec<[Handle<'_, P>; 4]> {
        self.x.iter().map(|&id| Var { tape: &*self.recorder, id }).collect()
    }

    /// `y` as a leaf.
    pub(super) fn value(&self) -> Result<P::Leaf, Error> {
        self.leaf_of(self.y())
    }

    /// Tangents in the form of `x` as a list.
    #[track_caller]
    pub(super) fn tangents(&self, t: &P) -> Result<Vec<P::Leaf>, Error> {
        self.y().ok()?;
        let t = leaves(t);
        if t.len() == self.x.len() {
            return Ok(t);
        }
        let (expected, got) = (self.x.len(), t.len());
        let message = format!("needs {expected} tangents, one for each tensor, got {got}");
        Err(error_here(self.op, ErrorKind::Parameter { message }))
    }

    /// A tangent of a leaf as a handle.
    #[track_caller]
    pub(super) fn tangent(&self, x: Handle<'_, P>, t: &P::Leaf) -> Result<Handle<'_, P>, Error> {
        let t = t.as_value(&self.recorder);
        self.tape().check(self.op, t)?;
        self.tape().check_cotangent(self.op, x, &t.value()?)?;
        Ok(t)
    }

    /// The cotangents of `x` for the cotangent `ct` of an output, or for 1.
    #[track_caller]
    pub(super) fn pull(
        &self,
        y: Handle<'_, P>,
        ct: Option<P::Leaf>,
    ) -> Result<Vec<P::Leaf>, Error> {
        P::Leaf::pull(self.op, y, ct, &self.x(), &self.recorder)
    }

    /// The tangent of the output for tangents of all leaves.
    #[track_caller]
    pub(super) fn push(&self, t: Vec<P::Leaf>) -> Result<P::Leaf, Error> {
        P::Leaf::push(self.op, self.y(), &self.x(), t, Count::One, &self.recorder)
    }

    /// The gradient of `f`, recorded on either face.
    #[track_caller]
    pub(super) fn gradient(&self) -> Result<Vec<Handle<'_, P>>, Error> {
        self.tape().pull_recorded(self.op, self.y(), &self.x(), None)
    }

    /// `H v`, for a vector of each leaf.
    #[track_caller]
    pub(super) fn hvp(&self, v: Vec<Handle<'_, P>>) -> Result<Vec<P::Leaf>, Error> {
        let slope = self.tape().push_recorded(self.op, self.y(), &self.x(), v, Count::One)?;
        self.pull(slope, None)
    }

    /// [`columns`](Recording::columns) with respect to each leaf.
    #[track_caller]
    pub(super) fn all_columns(&self, y: Handle<'_, P>) -> Result<Vec<P::Leaf>, Error> {
        y.ok()?;
        let mut all = Vec::with_capacity(self.x.len());
        for x in self.x() {
            all.push(self.columns(y, x)?);
        }
        Ok(all)
    }

    /// The derivative of an output with respect to one leaf, shaped `y.shape() ++ leaf.shape()`,
    /// by forward mode.
    #[track_caller]
    fn columns(&self, y: Handle<'_, P>, x: Handle<'_, P>) -> Result<P::Leaf, Error> {
        let (y_shape, x_shape) = (y.shape()?, x.shape()?);
        let (m, n) = (y_shape.n_elements().unwrap_or(0), x_shape.n_elements().unwrap_or(0));
        let shape = Shape::from([&y_shape[..], &x_shape[..]].concat());
        if n == 1 {
            let y_dot = self.push_along(y, x, x.ones_like(), Count::One)?;
            return self.leaf_of(if shape == y_shape { y_dot } else { y_dot.reshape(shape) });
        }
        // So many at once that a batch of any value is not much larger than a batch of 16.
        let at_once = (BATCH_ELEMENTS / m.max(n).max(1)).max(16);
        let mut columns = Vec::with_capacity(n.div_ceil(at_once));
        for first in (0..n).step_by(at_once) {
            let units = self.units(x, first..n.min(first + at_once))?;
            columns.push(self.push_along(y, x, units, Count::Batch)?);
        }
        self.leaf_of(match columns[..] {
            [] => x.new_constant(shape, &[]),
            [all] => all.reshape([n, m]).transpose(0, 1).reshape(shape),
            _ => self.tape().concat(&columns, 0).reshape([n, m]).transpose(0, 1).reshape(shape),
        })
    }

    #[track_caller]
    fn push_along(
        &self,
        y: Handle<'_, P>,
        x: Handle<'_, P>,
        t: Handle<'_, P>,
        count: Count,
    ) -> Result<Handle<'_, P>, Error> {
        let y_dot = P::Leaf::push(self.op, y, &[x], vec![self.leaf_of(t)?], count, &self.recorder)?;
        Ok(y_dot.as_value(&self.recorder))
    }

    /// Cotangents of a leaf, one for each element of `y`, as a Jacobian of shape
    /// `y.shape() ++ x.shape()`.
    #[track_caller]
    pub(super) fn rows(
        &self,
        cts: Vec<&P::Leaf>,
        y: Handle<'_, P>,
        x: Handle<'_, P>,
    ) -> Result<P::Leaf, Error> {
        let shape = Shape::from([&y.shape()?[..], &x.shape()?[..]].concat());
        let mut rows = Vec::with_capacity(cts.len());
        for ct in cts {
            rows.push(ct.as_value(&self.recorder));
        }
        self.leaf_of(match rows[..] {
            [] => x.new_constant(shape, &[]),
            [one] => one.reshape(shape),
            _ => self.tape().stack(&rows, 0).reshape(shape),
        })
    }

    /// A tensor like `x` that is 1 at one place and 0 elsewhere.
    #[track_caller]
    pub(super) fn unit(&self, x: Handle<'_, P>, element: usize) -> Result<P::Leaf, Error> {
        let shape = x.shape()?;
        let mut data = vec![0.0; shape.n_elements().unwrap_or(0)];
        data[element] = 1.0;
        self.leaf_of(x.new_constant(shape, &data))
    }

    /// For each of some elements of `x` a tensor that is 1 there and 0 elsewhere, stacked.
    #[track_caller]
    fn units<'h>(
        &'h self,
        x: Handle<'h, P>,
        elements: Range<usize>,
    ) -> Result<Handle<'h, P>, Error> {
        let shape = x.shape()?;
        let n = shape.n_elements().unwrap_or(0);
        let stacked = Shape::from([&[elements.len()], &shape[..]].concat());
        let mut data = vec![0.0; elements.len() * n];
        for (row, element) in elements.enumerate() {
            data[row * n + element] = 1.0;
        }
        let units = x.new_constant(stacked, &data);
        units.ok().map(|()| units)
    }

    /// What was computed, as a leaf.
    fn leaf_of(&self, x: Handle<'_, P>) -> Result<P::Leaf, Error> {
        P::Leaf::leaf_of(&self.recorder, x)
    }

    /// A list with one tensor for each leaf in the form of `x`.
    #[track_caller]
    pub(super) fn in_form(&self, list: Vec<P::Leaf>) -> Result<Like<P>, Error> {
        in_form(&self.form, list, P::Leaf::clone)
    }

    /// A row of blocks for each leaf, in the form of `x` of the form of `x`.
    #[track_caller]
    pub(super) fn blocks(&self, rows: Vec<Like<P>>) -> Result<P::With<Like<P>>, Error> {
        in_form(&self.form, rows, |leaf| self.filled(leaf))
    }

    /// `leaf` in place of each leaf of `x`.
    pub(super) fn filled(&self, leaf: &P::Leaf) -> Like<P> {
        self.form.map(&mut |_| leaf.clone())
    }

    /// [`filled`](Recording::filled) in place of each leaf of `x`.
    pub(super) fn filled_blocks(&self, leaf: &P::Leaf) -> P::With<Like<P>> {
        self.form.map(&mut |_| self.filled(leaf))
    }

    /// The answer of the transform. On the face on a tape `fill` makes one of the void handle for
    /// an error.
    pub(super) fn answer<X>(
        &self,
        found: Result<X, Error>,
        fill: impl FnOnce(&P::Leaf) -> X,
    ) -> Answer<P, X> {
        P::Leaf::answer(&self.recorder, self.y, found, fill)
    }

    /// An answer with one leaf for each leaf of `x`, in its form.
    #[track_caller]
    pub(super) fn answer_in_form(&self, found: Result<Vec<P::Leaf>, Error>) -> Answer<P, Like<P>> {
        let found = match found {
            Ok(list) => self.in_form(list),
            Err(error) => Err(error),
        };
        self.answer(found, |void| self.filled(void))
    }

    /// An answer of `y` and of what is made of the recording.
    pub(super) fn answer_with<M>(self, make: impl FnOnce(Self) -> M) -> Answer<P, (P::Leaf, M)> {
        let y = self.answer(self.value(), P::Leaf::clone);
        P::Leaf::map_answer(y, |y| (y, make(self)))
    }
}
