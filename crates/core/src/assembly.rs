//! A node that is put together and runs nowhere yet: the same value for a real node and for a simulated one.

use crate::{ClusterId, Door, Host, NodeId};

/// What a driver or a world needs to run a node.
#[derive(Debug)]
pub struct Assembly {
    /// Its name.
    pub id: NodeId,
    /// The cluster it belongs to; frames of others are refused.
    pub cluster: ClusterId,
    /// Its scopes.
    pub host: Host,
    /// Where its handles ask.
    pub door: Door,
}
