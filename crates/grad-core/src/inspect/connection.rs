//! What separates an output from an input.

use std::fmt;
use std::panic::Location;

use crate::ground::{Error, Random, Shape, TensorLike, backend};
use crate::tape::{NodeId, Tape, Var};

/// Whether a gradient gets from an output `y` to an input `x`, and what stops it; its `Display` is
/// a sentence, and a line for each place.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Connection {
    /// The output.
    pub y: Place,
    /// The input.
    pub x: Place,
    /// The answer.
    pub verdict: Verdict,
    /// Where a path from `x` to `y` is cut: every `detach` and step function on one, in reverse
    /// recording order, so that those nearest to `y` come first. Paths without a cut may exist
    /// beside them.
    pub cuts: Vec<Place>,
}

/// What becomes of a gradient between an output `y` and an input `x`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// There is a gradient, and it is not zero.
    Flows,
    /// There is a path, and the gradient is zero nevertheless.
    Zero {
        /// Where it becomes so, nearest to `y` first: operations that got a cotangent, and of whose
        /// arguments on a path one got none.
        at: Vec<Place>,
    },
    /// Every path is cut.
    Cut,
    /// `x` is a constant, or was computed from such.
    Untracked,
    /// `y` was not computed from `x`.
    Unrelated {
        /// The leaves younger than `x` from which `y` was computed, nearest to `y` first. A value
        /// that was read from the tape and put onto it again is one of them.
        leaves: Vec<Place>,
    },
}

/// A node as the user knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Place {
    /// The node.
    pub node: NodeId,
    /// The operation, or the kind of leaf.
    pub op: &'static str,
    /// The name of the node, if it has one.
    pub name: Option<String>,
    /// The line of the user's program.
    pub location: &'static Location<'static>,
}

impl<T: TensorLike> Tape<T> {
    /// Why the gradient of `y` with respect to `x` is missing or zero, if it is; and which paths do
    /// not contribute, if it is not.
    ///
    /// A path is cut by a `detach`, or by an operation that is flat wherever it has a derivative: a
    /// comparison, `sign`, `floor` and the like, or one of your own that says so. If no path is left,
    /// there is no gradient; if one is left, a sweep tells whether the gradient is zero, and where it
    /// becomes so, as in `relu` below 0. For a `y` of many elements, that sweep starts from a
    /// cotangent without pattern.
    ///
    /// What leaves the tape as a number or a tensor and comes back is a constant; that the two are
    /// the same the tape cannot know. The answer then is that `y` was not computed from `x`, with the
    /// constants that it was computed from.
    ///
    /// Operations and rules that are composed of others may contain cuts of their own, which have the
    /// line of the call.
    ///
    /// Takes time and memory in proportion to what was recorded from `x` to `y`; the tape stays as it
    /// is.
    ///
    /// # Errors
    /// The error of a void handle; [`ForeignHandle`](crate::ErrorKind::ForeignHandle); those of
    /// [`Tape::backward`].
    ///
    /// ```
    /// # use grad_core::Tape;
    /// use grad_core::inspect::Verdict;
    ///
    /// let tape = Tape::<f64>::new();
    /// let x = tape.var(2.0);
    /// let y = (x * 3.0).round() * x.detach();
    /// let why = tape.why_no_gradient(y, x)?;
    /// assert_eq!(why.verdict, Verdict::Cut);
    /// let cuts: Vec<&str> = why.cuts.iter().map(|cut| cut.op).collect();
    /// assert_eq!(cuts, ["detach", "round"]);
    /// assert!(why.to_string().starts_with("no gradient flows from mul at "));
    /// # Ok::<(), grad_core::Error>(())
    /// ```
    #[track_caller]
    pub fn why_no_gradient<'t>(
        &'t self,
        y: Var<'t, T>,
        x: Var<'t, T>,
    ) -> Result<Connection, Error> {
        self.check(OP, y)?;
        self.check(OP, x)?;
        let names = self.names();
        let place = |node| {
            let (op, location) = self.made_by(node);
            Place { node, op, name: names.get(&node).map(|name| name.to_string()), location }
        };
        let paths = Paths::between(self, x.id, y.id);
        let younger = || paths.ids().filter(|&id| id != x.id);
        let verdict = if !paths.has(y.id, FROM_X) {
            let leaves = younger().filter(|&id| paths.has(id, TO_Y) && !self.is_op(id));
            Verdict::Unrelated { leaves: leaves.map(place).collect() }
        } else if !x.is_tracked() {
            Verdict::Untracked
        } else if !paths.has(y.id, BY_DERIVATIVES) {
            Verdict::Cut
        } else {
            match self.vanishes(y, x, &paths)? {
                None => Verdict::Flows,
                Some(at) => Verdict::Zero { at: at.into_iter().map(place).collect() },
            }
        };
        let is_cut = |id| self.op_at(id).is_some_and(|(op, _)| !op.facts().differentiable);
        let cuts = younger().filter(|&id| paths.has(id, FROM_X | TO_Y) && is_cut(id));
        let cuts = cuts.map(place).collect();
        Ok(Connection { y: place(y.id), x: place(x.id), verdict, cuts })
    }

    /// Where the gradient along the tracked paths becomes zero; `None` if it does not.
    #[track_caller]
    fn vanishes<'t>(
        &'t self,
        y: Var<'t, T>,
        x: Var<'t, T>,
        paths: &Paths,
    ) -> Result<Option<Vec<NodeId>>, Error> {
        let location = Location::caller();
        let failed = |error: T::Error| Error::new(OP, backend(error), location);
        // What is infinite is not zero.
        let _unwatched = self.unwatched();
        let ct = cotangent_without_pattern(&self.value(y.id)).map_err(failed)?;
        if !is_zero(&self.plain().vjp(y, ct.clone(), x)?).map_err(failed)? {
            return Ok(None);
        }
        let is_step = |id: NodeId| paths.has(id, BY_DERIVATIVES | TO_Y);
        let steps = paths.ids().filter(|&id| is_step(id));
        let steps: Vec<_> = steps.map(|id| Var { tape: self, id }).collect();
        let mut is_reached = vec![false; paths.flags.len()];
        for (step, ct) in steps.iter().zip(self.plain().vjp(y, ct, &steps)?) {
            is_reached[paths.place(step.id)] = !is_zero(&ct).map_err(failed)?;
        }
        let misses = |&x: &NodeId| is_step(x) && !is_reached[paths.place(x)];
        let ids = steps.iter().map(|step| step.id).filter(|&id| id != x.id);
        let loses = |id: NodeId| is_reached[paths.place(id)] && self.inputs(id).iter().any(misses);
        Ok(Some(ids.filter(|&id| loses(id)).collect()))
    }
}

const OP: &str = "why_no_gradient";

/// Numbers around 1 that no derivative sums to zero but by being zero.
fn cotangent_without_pattern<T: TensorLike>(y: &T) -> Result<T, T::Error> {
    let mut random = Random::new(0);
    let n = Shape::from(y.shape()).n_elements().unwrap_or(0);
    let data: Vec<f64> = (0..n).map(|_| 1.0 + 0.5 * random.signed_unit()).collect();
    y.from_host(y.shape(), &data)
}

fn is_zero<T: TensorLike>(x: &T) -> Result<bool, T::Error> {
    Ok(x.to_host()?.iter().all(|&x| x == 0.0))
}

/// What lies between two nodes, both included, and how it is connected to them.
struct Paths {
    x: NodeId,
    /// Of each node from `x` to `y` in recording order.
    flags: Vec<u8>,
}

/// Computed from `x`.
const FROM_X: u8 = 1;
/// Computed from `x` by tracked nodes only, `x` included.
const BY_DERIVATIVES: u8 = 2;
/// What `y` was computed from.
const TO_Y: u8 = 4;

impl Paths {
    fn between<T: TensorLike>(tape: &Tape<T>, x: NodeId, y: NodeId) -> Paths {
        let n = (y.index() + 1).saturating_sub(x.index());
        let mut paths = Paths { x, flags: vec![0; n] };
        let Some(last) = n.checked_sub(1) else { return paths };
        paths.flags[0] = FROM_X | BY_DERIVATIVES;
        for place in 0..n {
            let id = paths.id(place);
            let inputs = tape.inputs(id).into_iter().filter(|&input| input >= x);
            let mut flags = inputs.fold(paths.flags[place], |all, x| all | paths.get(x));
            if !tape.is_tracked(id) {
                flags &= !BY_DERIVATIVES;
            }
            paths.flags[place] = flags;
        }
        paths.flags[last] |= TO_Y;
        for place in (0..n).rev().filter(|&place| place > 0) {
            let id = paths.id(place);
            if paths.has(id, TO_Y) {
                for input in tape.inputs(id).into_iter().filter(|&input| input >= x) {
                    let place = paths.place(input);
                    paths.flags[place] |= TO_Y;
                }
            }
        }
        paths
    }

    /// The nodes, nearest to `y` first.
    fn ids(&self) -> impl Iterator<Item = NodeId> + '_ {
        (0..self.flags.len()).rev().map(|place| self.id(place))
    }

    fn id(&self, place: usize) -> NodeId {
        NodeId(self.x.0 + place as u32)
    }

    /// The place of a node that is not older than `x`.
    fn place(&self, id: NodeId) -> usize {
        id.index() - self.x.index()
    }

    fn get(&self, id: NodeId) -> u8 {
        let place = id.index().checked_sub(self.x.index());
        place.and_then(|place| self.flags.get(place)).copied().unwrap_or(0)
    }

    /// True if a node has all of `flags`.
    fn has(&self, id: NodeId, flags: u8) -> bool {
        self.get(id) & flags == flags
    }
}

impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Connection { y, x, verdict, cuts } = self;
        match verdict {
            Verdict::Flows => {
                write!(f, "gradient flows from {y} to {x}")?;
                list(f, ", but other paths are cut, latest first:", cuts, nature)
            }
            Verdict::Zero { at } => {
                write!(f, "there is a path from {y} to {x}, but the derivative is zero there")?;
                list(f, "; it vanishes at:", at, no_remark)?;
                list(f, "\nother paths are cut, latest first:", cuts, nature)
            }
            Verdict::Cut => {
                write!(f, "no gradient flows from {y} to {x}")?;
                list(f, ": every path is cut, latest first:", cuts, nature)
            }
            Verdict::Untracked => {
                let advice = if x.op == "constant" { "; make it with `var`" } else { "" };
                write!(f, "no gradient flows from {y} to {x}, which is untracked{advice}")?;
                list(f, "\npaths are cut as well, latest first:", cuts, nature)
            }
            Verdict::Unrelated { leaves } => {
                write!(f, "no gradient flows: {y} was not computed from {x}")?;
                list(f, "\na value that left the tape and came back is one of:", leaves, no_remark)
            }
        }
    }
}

/// So many places are listed.
const LINES: usize = 10;

/// Writes a line for each place, with a remark; nothing if there is none.
fn list(
    f: &mut fmt::Formatter<'_>,
    intro: &str,
    places: &[Place],
    remark: fn(&Place) -> &'static str,
) -> fmt::Result {
    if places.is_empty() {
        return Ok(());
    }
    f.write_str(intro)?;
    let (shown, others) = places.split_at(places.len().min(LINES));
    shown.iter().try_for_each(|place| write!(f, "\n  {place}{}", remark(place)))?;
    if others.is_empty() { Ok(()) } else { write!(f, "\n  and {} more", others.len()) }
}

fn no_remark(_: &Place) -> &'static str {
    ""
}

/// What a cut is, but for the one whose name says it.
fn nature(cut: &Place) -> &'static str {
    if cut.op == "detach" { "" } else { ", a step function" }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { op, name, location, .. } = self;
        match name {
            Some(name) => write!(f, "{op} {name:?} at {location}"),
            None => write!(f, "{op} at {location}"),
        }
    }
}
