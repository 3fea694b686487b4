//! The port and the handle of a witness: there is no state, so there is nothing to propose to or to read.

use super::ask::{QuorumReport, RaftStatus};
use super::{RaftHandle, RaftPort};
use quorate_core::{Applied, Door, NodeId, ScopeId, StateMachine, Ticket};
use std::fmt;

/// What a witness has in place of a state machine. Nothing is ever applied to it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stateless;

impl StateMachine for Stateless {
    type Command = ();
    type Reply = ();
    type Frozen = ();
    fn apply(&mut self, (): (), _: Applied) {}
    fn freeze(&self) {}
    fn restore((): ()) -> Result<Stateless, quorate_core::Corrupt> {
        Ok(Stateless)
    }
}

/// A handle to a witness: it tells who leads and how things stand. Cheap to clone; may outlive the node, and then every
/// request is Rejected.
#[derive(Clone)]
pub struct WitnessHandle(RaftHandle<Stateless>);

impl WitnessHandle {
    /// The handle of this scope on the node behind this door.
    pub fn new(door: Door, scope: ScopeId) -> WitnessHandle {
        WitnessHandle(RaftHandle::new(door, scope))
    }

    /// The scope it speaks to.
    pub fn scope(&self) -> ScopeId {
        self.0.scope()
    }

    /// As [`RaftHandle::status`].
    pub fn status(&self) -> Ticket<RaftStatus> {
        self.0.status()
    }

    /// As [`RaftHandle::leader`].
    ///
    /// # Errors
    /// As there.
    pub fn leader(&self) -> Ticket<NodeId> {
        self.0.leader()
    }

    /// As [`RaftHandle::verify_quorum`].
    ///
    /// # Errors
    /// As there.
    pub fn verify_quorum(&self) -> Ticket<QuorumReport> {
        self.0.verify_quorum()
    }
}

impl RaftPort<Stateless> {
    /// The port of a [`Raft::witness`](crate::raft::Raft::witness).
    pub fn of_witness(config: impl Into<std::sync::Arc<crate::raft::RaftConfig>>) -> Self {
        RaftPort::new(Stateless, quorate_core::NoDecider, config)
    }
}

impl fmt::Debug for WitnessHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WitnessHandle({})", self.scope())
    }
}
