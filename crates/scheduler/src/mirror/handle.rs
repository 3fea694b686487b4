//! The handle of whoever owns levels.

use super::{MirrorAsk, MirrorCmd, MirrorCounters};
use bytes::Bytes;
use quorate_core::{Door, Failure, NodeId, Reason, ScopeId, Ticket, promise};

/// Sets levels. Cheap to clone; may be used from every thread. An `Err` means that nothing was asked.
#[derive(Clone, Debug)]
pub struct MirrorHandle {
    scope: ScopeId,
    door: Door,
}

impl MirrorHandle {
    /// A handle to the mirror of this scope behind this door.
    pub fn new(scope: ScopeId, door: Door) -> MirrorHandle {
        MirrorHandle { scope, door }
    }

    /// In the level of `to`, `key` is `value`.
    pub fn set(&self, to: NodeId, key: u64, value: Bytes) -> Result<(), Reason> {
        self.ask_all(vec![MirrorCmd::Set { to, key, value }])
    }

    /// In the level of `to`, there is no `key`.
    pub fn clear(&self, to: NodeId, key: u64) -> Result<(), Reason> {
        self.ask_all(vec![MirrorCmd::Clear { to, key }])
    }

    /// The level of `to` is exactly this.
    pub fn replace(&self, to: NodeId, all: Vec<(u64, Bytes)>) -> Result<(), Reason> {
        self.ask_all(vec![MirrorCmd::Replace { to, all }])
    }

    /// Forget the level of `to`: it is gone for good.
    pub fn close(&self, to: NodeId) -> Result<(), Reason> {
        self.ask_all(vec![MirrorCmd::Close { to }])
    }

    /// All of these, in order, in one ask.
    pub fn ask_all(&self, commands: Vec<MirrorCmd>) -> Result<(), Reason> {
        self.door.enter().map(|place| place.put(self.scope, Box::new(MirrorAsk::Do(commands))))
    }

    /// What happened so far.
    pub fn counters(&self) -> Ticket<MirrorCounters> {
        let (promise, ticket) = promise();
        match self.door.enter() {
            Ok(place) => {
                let in_world = self.door.is_in_world();
                place.put(self.scope, Box::new(MirrorAsk::Counters(promise)));
                ticket.in_world(in_world)
            }
            Err(reason) => Ticket::settled(Err(Failure::Rejected(reason))),
        }
    }
}
