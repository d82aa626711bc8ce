//! A function recorded at a point: what every transform begins with.

use crate::error::{Error, ErrorKind};
use crate::pullback::error_here;
use crate::shape::Shape;
use crate::tape::{NodeId, Tape};
use crate::transform::face::{Call, Leaf, in_form, leaves};
use crate::transform::params::{Like, Params};
use crate::var::Var;

/// `y = f(x)` on a tape.
pub(super) struct Recording<P: Params<Leaf: Leaf>> {
    /// The transform, for errors.
    op: &'static str,
    /// The leaves as they came, and their form.
    form: P,
    home: <P::Leaf as Leaf>::Home,
    x: Vec<NodeId>,
    y: NodeId,
}

type TensorOf<P> = <<P as Params>::Leaf as Leaf>::Tensor;
type Handle<'h, P> = Var<'h, TensorOf<P>>;

impl<P: Params<Leaf: Leaf>> Recording<P> {
    /// Records `f(x)`.
    #[track_caller]
    pub(super) fn new<F>(op: &'static str, f: F, x: P) -> Result<Self, Error>
    where
        P::Leaf: Call<F, P, P::Convention>,
    {
        let leaves = leaves(&x);
        let home = P::Leaf::home(op, &leaves)?;
        let mut ids = Vec::with_capacity(leaves.len());
        for leaf in &leaves {
            let x = leaf.enter(&home);
            x.ok()?;
            ids.push(x.id);
        }
        let y = P::Leaf::call(&f, &x, &home, &ids);
        home.check(op, y)?;
        let y = y.id;
        Ok(Recording { op, form: x, home, x: ids, y })
    }

    pub(super) fn tape(&self) -> &Tape<TensorOf<P>> {
        &self.home
    }

    pub(super) fn y(&self) -> Handle<'_, P> {
        Var { tape: &self.home, id: self.y }
    }

    pub(super) fn x(&self) -> Vec<Handle<'_, P>> {
        self.x.iter().map(|&id| Var { tape: &*self.home, id }).collect()
    }

    /// Cotangents or tangents in the form of `x`, as handles.
    #[track_caller]
    pub(super) fn hold(&self, tangents: &P) -> Result<Vec<Handle<'_, P>>, Error> {
        let tangents = leaves(tangents);
        if tangents.len() != self.x.len() {
            let message = format!("{} tangents for {} leaves", tangents.len(), self.x.len());
            return Err(error_here(self.op, ErrorKind::Parameter { message }));
        }
        let mut held = Vec::with_capacity(tangents.len());
        for tangent in &tangents {
            held.push(self.hold_one(tangent)?);
        }
        Ok(held)
    }

    #[track_caller]
    pub(super) fn hold_one(&self, leaf: &P::Leaf) -> Result<Handle<'_, P>, Error> {
        let held = leaf.hold(&self.home);
        self.tape().check(self.op, held).map(|()| held)
    }

    /// The cotangents of `x` for the cotangent `ct` of an output, or 1: recorded on the face on a
    /// tape, else plain.
    #[track_caller]
    pub(super) fn pull<'h>(
        &'h self,
        y: Handle<'h, P>,
        ct: Option<Handle<'h, P>>,
    ) -> Result<Vec<Handle<'h, P>>, Error> {
        let tape = self.tape();
        if P::Leaf::RECORDS {
            return tape.recorded(self.op, y, &self.x(), ct);
        }
        let ct = ct.map(Var::value).transpose()?;
        let plain = tape.plain(self.op, y, &self.x(), ct)?;
        Ok(self.constants(plain))
    }

    /// The tangent of an output for tangents of `x`: recorded on the face on a tape, else plain.
    #[track_caller]
    pub(super) fn push<'h>(
        &'h self,
        y: Handle<'h, P>,
        tangents: &[Handle<'h, P>],
    ) -> Result<Handle<'h, P>, Error> {
        let pairs: Vec<_> = self.x().into_iter().zip(tangents.iter().copied()).collect();
        self.push_along(y, &pairs)
    }

    /// The tangent of an output for tangents of some of the leaves.
    #[track_caller]
    fn push_along<'h>(
        &'h self,
        y: Handle<'h, P>,
        pairs: &[(Handle<'h, P>, Handle<'h, P>)],
    ) -> Result<Handle<'h, P>, Error> {
        let tape = self.tape();
        if P::Leaf::RECORDS {
            return tape.jvp(y, pairs);
        }
        let mut plain = Vec::with_capacity(pairs.len());
        for &(x, t) in pairs {
            plain.push((x, t.value()?));
        }
        Ok(tape.constant_value(tape.forward_with(y, plain)?))
    }

    /// The gradient of `f`, recorded on either face.
    #[track_caller]
    pub(super) fn gradient(&self) -> Result<Vec<Handle<'_, P>>, Error> {
        self.tape().recorded(self.op, self.y(), &self.x(), None)
    }

    /// `H v`, for a vector of each leaf.
    #[track_caller]
    pub(super) fn hvp<'h>(&'h self, v: &[Handle<'h, P>]) -> Result<Vec<Handle<'h, P>>, Error> {
        let pairs: Vec<_> = self.x().into_iter().zip(v.iter().copied()).collect();
        let slope = self.tape().jvp(self.y(), pairs)?;
        self.pull(slope, None)
    }

    /// The derivative of an output with respect to one leaf, shaped `y.shape() ++ leaf.shape()`,
    /// by forward mode: recorded on the face on a tape, else plain.
    #[track_caller]
    pub(super) fn columns<'h>(
        &'h self,
        y: Handle<'h, P>,
        leaf: usize,
    ) -> Result<Handle<'h, P>, Error> {
        let x = self.x()[leaf];
        let (y_shape, x_shape) = (y.shape()?, x.shape()?);
        let n = x_shape.n_elements().unwrap_or(0);
        let mut columns = Vec::with_capacity(n);
        for column in 0..n {
            let t = self.unit(x, column)?;
            columns.push(self.push_along(y, &[(x, t)])?);
        }
        let shape = Shape::from([&y_shape[..], &x_shape[..]].concat());
        let jacobian = match columns[..] {
            [] => x.new_constant(shape, &[]),
            [one] => one.reshape(shape),
            _ => self.tape().stack(&columns, y_shape.len() as isize).reshape(shape),
        };
        jacobian.ok().map(|()| jacobian)
    }

    /// Cotangents of a leaf, one for each element of `y`, as a Jacobian of shape
    /// `y.shape() ++ x.shape()`.
    #[track_caller]
    pub(super) fn stack_rows<'h>(
        &'h self,
        rows: &[Handle<'h, P>],
        y: Handle<'h, P>,
        x: Handle<'h, P>,
    ) -> Result<Handle<'h, P>, Error> {
        let shape = Shape::from([&y.shape()?[..], &x.shape()?[..]].concat());
        let jacobian = match *rows {
            [] => x.new_constant(shape, &[]),
            [one] => one.reshape(shape),
            _ => self.tape().stack(rows, 0).reshape(shape),
        };
        jacobian.ok().map(|()| jacobian)
    }

    /// A tensor like `x` that is 1 at one place and 0 elsewhere.
    #[track_caller]
    pub(super) fn unit<'h>(&'h self, x: Handle<'h, P>, at: usize) -> Result<Handle<'h, P>, Error> {
        let shape = x.shape()?;
        let mut data = vec![0.0; shape.n_elements().unwrap_or(0)];
        data[at] = 1.0;
        let unit = x.new_constant(shape, &data);
        unit.ok().map(|()| unit)
    }

    /// Refuses a cotangent or tangent of `x` of another shape or dtype.
    #[track_caller]
    pub(super) fn check_tangent(&self, x: Handle<'_, P>, t: Handle<'_, P>) -> Result<(), Error> {
        self.tape().check_cotangent(self.op, x, &t.value()?)
    }

    #[track_caller]
    fn constants(&self, plain: Vec<TensorOf<P>>) -> Vec<Handle<'_, P>> {
        let mut constants = Vec::with_capacity(plain.len());
        for value in plain {
            constants.push(self.tape().constant_value(value));
        }
        constants
    }

    /// An answer of one tensor.
    pub(super) fn leave(&self, x: Handle<'_, P>) -> Result<P::Leaf, Error> {
        P::Leaf::leave(&self.home, x)
    }

    /// An answer with one tensor for each leaf, in the form of `x`.
    #[track_caller]
    pub(super) fn leave_all(&self, list: Vec<Handle<'_, P>>) -> Result<Like<P>, Error> {
        let list: Result<Vec<P::Leaf>, Error> = list.into_iter().map(|x| self.leave(x)).collect();
        in_form(&self.form, list?, P::Leaf::clone)
    }

    /// A row of blocks for each leaf, in the form of `x` of the form of `x`.
    #[track_caller]
    pub(super) fn blocks(&self, rows: Vec<Like<P>>) -> Result<P::With<Like<P>>, Error> {
        in_form(&self.form, rows, |_| self.form.map(&mut P::Leaf::clone))
    }
}
