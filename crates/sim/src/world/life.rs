//! One life of a node: from its start to its crash. Everything in it is forgotten then.

use crate::Settings;
use crate::disk::Disk;
use crate::queue::Table;
use quorate_core::{
    Answer, AnyAsk, Door, Host, HostEvent, HostMsg, HostRecord, Io, Job, JobPanic, Link, Mark, NodeId,
    Recipients, Rng, ScopeId, Turn,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What a node forgets at a crash.
pub(crate) struct Life {
    pub(crate) turn: Turn<Host>,
    pub(crate) link: Link,
    pub(crate) door: Door,
    pub(crate) rng: Rng,
    /// For the link's tokens, so that what the network does shifts nothing in protocols.
    pub(crate) link_rng: Rng,
    /// The earliest wake that is planned, in the world's time.
    pub(crate) wake_planned: u64,
    /// The mark of the sync under way.
    pub(crate) syncing: Option<Mark>,
    pub(crate) jobs: Table<(ScopeId, Work)>,
    /// When the last job of a scope that runs its own in order ends.
    pub(crate) own_busy_until: BTreeMap<ScopeId, u64>,
    /// Asks that were taken from the door.
    pub(crate) asks: VecDeque<(ScopeId, AnyAsk)>,
    /// Peers that were told as down and have said nothing since.
    pub(crate) down: BTreeSet<NodeId>,
    /// What ended while the node was busy.
    pub(crate) ended: VecDeque<Ended>,
}

impl Life {
    /// Whether the lane has reached a bound; then asks stay at the door and frames of data are dropped.
    pub(crate) fn is_full(&self, settings: &Settings) -> bool {
        self.turn.is_full()
            || self.turn.protocol().held() >= settings.turn.held_max
            || self.jobs.len() >= settings.jobs_max
    }
}

/// A job that is out.
pub(crate) enum Work {
    /// It runs when it ends.
    Late(Job),
    /// It ran when it began; its answer is still under way.
    Early(Result<Answer, JobPanic>),
}

/// What waits for a busy node beside frames and asks.
pub(crate) enum Ended {
    Sync(Mark),
    Job(ScopeId, Result<Answer, JobPanic>),
}

/// Where the effects of a step go: to the disk at once, the rest into the stage's vectors.
pub(crate) struct NodeIo<'a> {
    pub(crate) disk: &'a mut Disk,
    pub(crate) sends: &'a mut Vec<(Recipients, HostMsg)>,
    pub(crate) jobs: &'a mut Vec<(ScopeId, Job)>,
    pub(crate) told: &'a mut Vec<super::stage::ToldTo>,
    pub(crate) id: quorate_core::NodeId,
}

impl Io<Host> for NodeIo<'_> {
    fn append(&mut self, record: HostRecord) -> usize {
        self.disk.append(record)
    }

    fn compact(&mut self, upto: Mark, base: Vec<HostRecord>) {
        // The host asserts that a base has a record, which says whose it is.
        let Some(scope) = base.first().map(|record| record.scope) else { return };
        self.disk.compact(scope, upto, base.into_iter().map(|record| record.bytes).collect());
    }

    fn send(&mut self, to: Recipients, msg: HostMsg) {
        self.sends.push((to, msg));
    }

    fn emit(&mut self, event: HostEvent) {
        match event {
            HostEvent::Job { scope, job } => self.jobs.push((scope, job)),
            HostEvent::Notice { scope, notice } => self.told.push((self.id, scope, notice)),
        }
    }
}
