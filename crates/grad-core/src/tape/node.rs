//! What a node is called, and where it comes from.

use std::fmt;

/// The place of a node on its tape: a number in recording order.
///
/// With the top bit set it names one of the tape's errors instead: such a handle is *void*.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub(crate) u32);

pub(crate) const VOID: u32 = 1 << 31;

/// A planned sweep marks nodes with numbers from 2 on, below the bit of tracked ones.
pub(crate) const MAX_NODES: usize = (1 << 31) - 3;

impl NodeId {
    /// The number, counted from 0 in recording order.
    pub fn index(self) -> usize {
        (self.0 & !VOID) as usize
    }

    #[inline]
    pub(crate) fn is_void(self) -> bool {
        self.0 & VOID != 0
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.index())
    }
}

/// Where a node comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NodeKind {
    /// The result of an operation.
    Op,
    /// A leaf made by [`Tape::var`](crate::Tape::var).
    Var,
    /// A value made by [`Tape::constant`](crate::Tape::constant), or a number beside a handle.
    Constant,
    /// What a recorded sweep started from.
    Seed,
}
