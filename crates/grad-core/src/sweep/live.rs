//! Which derivatives are live, and which are *dead*: exactly 0, since nothing depends on them.
//!
//! A cotangent or tangent of 0 can mean two things. Either the element was not chosen, by a branch
//! of `where_` for instance. Then it is 0 to every order, even against an infinite partial
//! derivative. Or the function is flat just here, as a square is at 0. Then 0 · ∞ is NaN.
//!
//! A *careful* sweep tells the two apart. It carries masks beside the cotangents and tangents, and
//! selects 0 where nothing is live. Masks are untracked tensors of ones and zeros. They broadcast
//! to the shape of what they belong to. `None` stands for a mask of ones.

use smallvec::SmallVec;

use crate::ground::{Shape, TensorLike};
use crate::kinds::align_stack;
use crate::sweep::Calculus;
use crate::sweep::forward::stacked;
use crate::tape::{Cotangents, Op, Primal, Reach, Subgraph, Tangents, Tape, Var};

/// The masks at the steps of a careful sweep.
pub(crate) struct Live<V> {
    masks: Vec<Option<V>>,
    /// Where a mask can make a difference.
    needed: Vec<bool>,
}

impl<V: Clone> Live<V> {
    /// For a reverse sweep.
    pub(super) fn reverse<T: TensorLike>(home: &Tape<T>, graph: &Subgraph) -> Self {
        let mut needed = Vec::with_capacity(graph.len());
        for step in 0..graph.len() {
            let mut below = graph.inputs(step).iter().filter_map(|edge| edge.step());
            let is_needed = asks(home, graph, step) || below.any(|step| needed[step]);
            needed.push(is_needed);
        }
        Live { masks: vec![None; graph.len()], needed }
    }

    /// For a forward sweep.
    pub(super) fn forward<T: TensorLike>(home: &Tape<T>, graph: &Subgraph) -> Self {
        let mut needed = vec![false; graph.len()];
        for step in (0..graph.len()).rev() {
            if needed[step] || asks(home, graph, step) {
                needed[step] = true;
                graph
                    .inputs(step)
                    .iter()
                    .filter_map(|edge| edge.step())
                    .for_each(|below| needed[below] = true);
            }
        }
        Live { masks: vec![None; graph.len()], needed }
    }

    /// The same, of a reverse sweep whose masks at these steps are asked for.
    pub(super) fn with_needed(
        mut self,
        graph: &Subgraph,
        steps: impl IntoIterator<Item = usize>,
    ) -> Self {
        steps.into_iter().for_each(|step| self.needed[step] = true);
        for step in 0..graph.len() {
            let mut below = graph.inputs(step).iter().filter_map(|edge| edge.step());
            self.needed[step] = self.needed[step] || below.any(|step| self.needed[step]);
        }
        self
    }

    /// Sets the masks of the seeds of a forward sweep.
    pub(super) fn seed(&mut self, graph: &Subgraph, masks: Vec<Option<V>>) {
        for (target, mask) in graph.targets.iter().zip(masks) {
            // What is given twice moves by the sum.
            let is_single = graph.targets.iter().filter(|other| *other == target).count() == 1;
            if let (Some(step), true) = (*target, is_single) {
                self.masks[step] = mask;
            }
        }
    }

    #[inline]
    pub(super) fn is_needed(&self, step: usize) -> bool {
        self.needed[step]
    }

    #[inline]
    pub(super) fn at(&self, step: usize) -> Option<V> {
        self.masks[step].clone()
    }

    /// Adds the mask of what is added to a cotangent, which was nothing before if it is the first.
    pub(super) fn add<'t, T: TensorLike, C: Calculus<'t, T, Value = V>>(
        &mut self,
        calculus: &C,
        step: usize,
        is_first: bool,
        mask: Option<Var<'t, T>>,
    ) {
        let before = self.at(step).map(|mask| calculus.to_handle(mask));
        let mask = if is_first { mask } else { either(before, mask) };
        self.masks[step] = value(calculus, mask);
    }

    #[inline]
    pub(super) fn set(&mut self, step: usize, mask: Option<V>) {
        self.masks[step] = mask;
    }
}

/// Whether a step selects where something is dead.
fn asks<T: TensorLike>(home: &Tape<T>, graph: &Subgraph, step: usize) -> bool {
    home.op_at(graph.node(step)).is_some_and(|(op, _)| {
        let facts = op.facts();
        facts.by_value || facts.reach == Reach::Told
    })
}

/// The mask of what is live in both.
pub(super) fn both<'t, T: TensorLike>(
    a: Option<Var<'t, T>>,
    b: Option<Var<'t, T>>,
) -> Option<Var<'t, T>> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a * b),
        (a, b) => a.or(b),
    }
}

/// The mask of what is live in either.
pub(super) fn either<'t, T: TensorLike>(
    a: Option<Var<'t, T>>,
    b: Option<Var<'t, T>>,
) -> Option<Var<'t, T>> {
    Some((a? + b?).ne(0.0))
}

/// The mask of a seed: an untracked zero is dead.
pub(super) fn of_seed<'t, T: TensorLike>(seed: Var<'t, T>) -> Option<Var<'t, T>> {
    if seed.is_tracked() {
        return None;
    }
    let has_zero = seed.value().ok()?.has_zero().unwrap_or(true);
    has_zero.then(|| seed.ne(0.0))
}

/// The mask of an argument's cotangent, from the mask `y` of what of the output's is live for it.
/// It broadcasts to what the rule gives.
pub(super) fn pulled<'t, T: TensorLike>(
    op: &dyn Op<T>,
    p: &Primal<'t, T>,
    arg: usize,
    y: Option<Var<'t, T>>,
) -> Option<Var<'t, T>> {
    let whole = |mask: Var<'t, T>| mask.expand(p.y_shape());
    match op.facts().reach {
        Reach::Same => y,
        Reach::All | Reach::Told => any(y?, None),
        Reach::Along(axes) => Some(match p.y_shape() == p.shape(arg) {
            true => any_along(whole(y?), &of_bits(axes, p.shape(arg).rank())),
            false => {
                let axes = of_bits(axes, p.shape(arg).rank());
                whole(y?).reshape(p.shape(arg).keeping(&axes))
            }
        }),
        Reach::Product => {
            let y = whole(y?);
            let rank = p.y_shape().rank();
            Some(any_along(y, &[if arg == 0 { rank - 1 } else { rank - 2 }]))
        }
        Reach::Rule { total: true } if y.is_none() => None,
        Reach::Rule { .. } => {
            let y = y.map_or_else(|| p.y().ones_like(), whole);
            let mut wanted: SmallVec<[bool; 4]> = SmallVec::from_elem(false, p.n_inputs());
            let mut x_bar: SmallVec<[Option<Var<'t, T>>; 4]> =
                SmallVec::from_elem(None, p.n_inputs());
            wanted[arg] = true;
            op.vjp(p, y, &mut Cotangents::new(&wanted, &mut x_bar));
            let mask = x_bar[arg].map_or_else(|| p.x(arg).zeros_like(), |x_bar| x_bar.ne(0.0));
            mask.unless_all()
        }
    }
}

/// The mask of the output's tangent, from those of the arguments that move. It broadcasts to the
/// shape of the output; of `k` tangents, behind an axis of that size.
pub(super) fn pushed<'t, T: TensorLike>(
    op: &dyn Op<T>,
    p: &Primal<'t, T>,
    x_dot: &[Option<Var<'t, T>>],
    x: &[Option<Var<'t, T>>],
    k: Option<usize>,
) -> Option<Var<'t, T>> {
    let moving = || x_dot.iter().zip(x).enumerate().filter(|(_, (x_dot, _))| x_dot.is_some());
    let first = usize::from(k.is_some());
    let whole = |arg: usize, mask: Var<'t, T>| {
        let shape = match k {
            Some(k) => stacked(Some(k), &p.shape(arg)),
            None => p.shape(arg),
        };
        mask.expand(shape)
    };
    let sum = |mask: &dyn Fn(usize, Var<'t, T>) -> Option<Var<'t, T>>| {
        let mut masks = moving().map(|(arg, (_, x))| x.and_then(|x| mask(arg, x)));
        let first = masks.next().flatten();
        masks.fold(first, either)
    };
    match op.facts().reach {
        Reach::Same => sum(&|_, x| Some(x)),
        Reach::All | Reach::Told => sum(&|arg, x| {
            let mask = any(whole(arg, x), k)?;
            Some(match k {
                None => mask,
                Some(k) => mask.reshape(stacked(Some(k), &vec![1; p.y_shape().rank()])),
            })
        }),
        Reach::Along(axes) => sum(&|arg, x| {
            let rank = p.shape(arg).rank();
            let axes: Vec<usize> =
                of_bits(axes, rank).into_iter().map(|axis| axis + first).collect();
            let mask = any_along(whole(arg, x), &axes);
            let is_dropped = p.y_shape().rank() < rank;
            Some(if is_dropped { mask.reshape(stacked(k, &p.y_shape())) } else { mask })
        }),
        Reach::Product => sum(&|arg, x| {
            let rank = p.shape(arg).rank() + first;
            let mask = any_along(whole(arg, x), &[if arg == 0 { rank - 1 } else { rank - 2 }]);
            Some(if k.is_some() { align_stack(mask, p.y_shape().rank()) } else { mask })
        }),
        Reach::Rule { total: true } if moving().all(|(_, (_, x))| x.is_none()) => None,
        Reach::Rule { .. } => {
            let masks: SmallVec<[Option<Var<'t, T>>; 4]> = (0..x.len())
                .map(|arg| {
                    let ones = || x_dot[arg].map(|x_dot| x_dot.ones_like());
                    x_dot[arg].and_then(|_| x[arg].map(|x| whole(arg, x)).or_else(ones))
                })
                .collect();
            let y = op.jvp(p, &Tangents::new(&masks, k))?;
            y.ne(0.0).unless_all()
        }
    }
}

/// A mask of one element that says whether anything is live, or of one for each of `k` tangents.
/// `None` if something is.
fn any<'t, T: TensorLike>(mask: Var<'t, T>, k: Option<usize>) -> Option<Var<'t, T>> {
    let any = match k {
        None => mask.sum(),
        Some(_) => {
            let rank = mask.shape().map_or(1, |shape| shape.rank());
            let axes: Vec<isize> = (1..rank as isize).collect();
            mask.sum_axes(&axes[..])
        }
    }
    .ne(0.0);
    any.unless_all()
}

/// 1 along axes where anything is live, with size 1 there.
fn any_along<'t, T: TensorLike>(mask: Var<'t, T>, axes: &[usize]) -> Var<'t, T> {
    let axes: Vec<isize> = axes.iter().map(|&axis| axis as isize).collect();
    mask.sum_keepdim(&axes[..]).ne(0.0)
}

fn of_bits(axes: u16, rank: usize) -> Vec<usize> {
    let is_there = |axis: usize| axis < u16::BITS as usize && axes >> axis & 1 == 1;
    (0..rank).filter(|&axis| axes == u16::MAX || is_there(axis)).collect()
}

/// What is not dead by `depends`, or not finite: so a dead output may still be NaN.
pub(super) fn or_not_finite<'t, T: TensorLike>(
    depends: Var<'t, T>,
    x_dot: Var<'t, T>,
) -> Var<'t, T> {
    (depends + (x_dot * 0.0).ne(0.0)).ne(0.0)
}

/// A mask as a value of the sweep.
pub(super) fn value<'t, T: TensorLike, C: Calculus<'t, T>>(
    calculus: &C,
    mask: Option<Var<'t, T>>,
) -> Option<C::Value> {
    calculus.value_of(mask?, |_| true)
}

/// The mask of a cotangent of shape `from`, un-broadcast to shape `to`.
pub(super) fn unbroadcast<'t, T: TensorLike>(
    mask: Var<'t, T>,
    from: Shape,
    to: &Shape,
) -> Var<'t, T> {
    if from == *to { mask } else { mask.expand(from).unbroadcast(to).ne(0.0) }
}
