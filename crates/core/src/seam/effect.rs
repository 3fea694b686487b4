use super::Protocol;
use crate::NodeId;
use std::fmt::{self, Debug};
use std::sync::Arc;

/// A position among the records of a scope in this life: the first replayed record is 1, the next 2, and what
/// is appended goes on from there. [`Mark::NONE`] is before all of them and always durable.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Mark(pub u64);

impl Mark {
    /// Before the first record.
    pub const NONE: Mark = Mark(0);
}

/// To whom. A message to many is encoded once and shared.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Recipients {
    /// One peer.
    One(NodeId),
    /// All of these. The slice is shared: a protocol keeps it and clones the reference.
    Many(Arc<[NodeId]>),
}

impl Recipients {
    /// The peers, in the order in which they were named.
    pub fn as_slice(&self) -> &[NodeId] {
        match self {
            Recipients::One(id) => std::slice::from_ref(id),
            Recipients::Many(ids) => ids,
        }
    }
}

impl From<NodeId> for Recipients {
    fn from(id: NodeId) -> Recipients {
        Recipients::One(id)
    }
}

impl From<Arc<[NodeId]>> for Recipients {
    fn from(ids: Arc<[NodeId]>) -> Recipients {
        Recipients::Many(ids)
    }
}

/// What a protocol wants done. Effects of a step are carried out in their order, but those that wait for a
/// mark leave later than those that wait for nothing.
pub enum Effect<P: Protocol> {
    /// Write this behind everything appended before.
    Append(P::Record),
    /// Tell peers.
    Send {
        /// Whom.
        to: Recipients,
        /// What.
        msg: P::Msg,
        /// It leaves once every record up to this mark is on disk; at once with [`Mark::NONE`].
        after: Mark,
    },
    /// Tell the port.
    Emit {
        /// What.
        event: P::Event,
        /// It leaves once every record up to this mark is on disk; at once with [`Mark::NONE`].
        after: Mark,
    },
    /// Replace every record up to the mark by `base`, atomically. Marks are not renumbered.
    Compact {
        /// The last record replaced.
        upto: Mark,
        /// What stands in their place.
        base: Vec<P::Record>,
    },
}

impl<P: Protocol> Effect<P> {
    /// The mark that it waits for. Records wait for none.
    pub fn after(&self) -> Mark {
        match self {
            Effect::Send { after, .. } | Effect::Emit { after, .. } => *after,
            Effect::Append(_) | Effect::Compact { .. } => Mark::NONE,
        }
    }
}

impl<P: Protocol> Debug for Effect<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Effect::Append(record) => write!(f, "append {record:?}"),
            Effect::Send { to, msg, after } => {
                write!(f, "send {:?} {msg:?} after {}", to.as_slice(), after.0)
            }
            Effect::Emit { event, after } => write!(f, "emit {event:?} after {}", after.0),
            Effect::Compact { upto, base } => write!(f, "compact upto {} into {base:?}", upto.0),
        }
    }
}
