//! The tape: an arena of nodes in recording order, and everything that puts nodes on it.
//!
//! This room is the only place that touches a `RefCell`, and no borrow is held while an
//! operation's code or a backend runs. A node holds a value and the ids of its inputs, which are
//! smaller than its own. So reverse order is a topological order, and nothing recurses over the
//! graph.

mod arena;
mod failure;
mod node;
mod op;
mod operators;
mod plan;
mod primal;
mod read;
mod record;
#[allow(clippy::module_inception)]
mod tape;
mod var;
mod view;
pub(crate) mod watch;

pub use node::{NodeId, NodeKind};
#[allow(unreachable_pub)] // In a hidden method of a public trait.
pub use op::Function;
pub use op::{Body, Cotangents, Facts, Op, Reach, Tangents};
pub use primal::Primal;
pub use tape::Tape;
pub use var::{Operand, Var};
pub use view::{Node, Sweep};

pub(crate) use arena::{Arena, bytes_of};
pub(crate) use failure::fail_without_tape;
pub(crate) use node::{MAX_NODES, VOID};
pub(crate) use op::{Masks, OpRef};
pub(crate) use plan::{Edge, Subgraph, Targets};
pub(crate) use tape::{Inner, Spare};
