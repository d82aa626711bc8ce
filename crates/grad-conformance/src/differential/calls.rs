//! What random programs call: every operation of the catalogue.

use grad_core::{TensorLike, Var};

use crate::catalogue::{Apply, ApplyDrawn, Domain, drawn, lines};
use crate::draw::Draw;

/// A call of an operation on earlier values.
pub(super) struct Call<T: TensorLike> {
    pub(super) text: String,
    pub(super) n_args: usize,
    how: How<T>,
}

/// How a [`Call`] is made.
enum How<T: TensorLike> {
    /// With parameters that are drawn.
    Drawn(ApplyDrawn<T>),
    /// With the arguments brought into the domain.
    Within(Domain, Apply<T>),
    /// As it stands in the catalogue.
    AsItIs(Apply<T>),
}

impl<T: TensorLike> Call<T> {
    /// True for calls that are made to suit whatever arguments there are.
    pub(super) fn suits(&self) -> bool {
        !matches!(self.how, How::AsItIs(_))
    }

    pub(super) fn apply<'t>(&self, draw: &mut Draw, x: &[Var<'t, T>]) -> Var<'t, T> {
        match self.how {
            How::Drawn(f) => f(draw, x),
            How::Within(domain, f) => f(&x.iter().map(|&x| domain.bring(x)).collect::<Vec<_>>()),
            How::AsItIs(f) => f(x),
        }
    }
}

/// All calls that programs make: those that suit any arguments first, which are those with drawn
/// parameters and the functions of scalars, and then those of the catalogue.
pub(super) fn calls<T: TensorLike>() -> Vec<Call<T>> {
    let drawn = drawn().into_iter().map(|line| Call {
        text: line.call.to_string(),
        n_args: line.n_args,
        how: How::Drawn(line.apply),
    });
    let mut lines = lines();
    lines.dedup_by_key(|line| line.call);
    let functions = lines.iter().filter(|line| line.takes_scalars());
    let functions = functions.filter(|line| line.domain.is_differentiable()).map(|line| Call {
        text: match line.domain {
            Domain::Real => line.call.to_string(),
            domain => format!("{} within {domain:?}", line.call),
        },
        n_args: line.args.len(),
        how: How::Within(line.domain, line.apply),
    });
    let as_it_is = lines.iter().map(|line| Call {
        text: line.call.to_string(),
        n_args: line.args.len(),
        how: How::AsItIs(line.apply),
    });
    drawn.chain(functions).chain(as_it_is).collect()
}
