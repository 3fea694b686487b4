//! A replica that sleeps, folded small: what it must not forget, what it would not learn again, and nothing of what a
//! leader knows of its followers. Unfolded it is as careful as one that was just elected: it asks each follower where it
//! stands before it relies on it.
//!
//! **Invariant.** Whatever is promised by term, vote and log is the same before and after. Rounds go on counting, so an
//! answer from before the sleep confirms nothing asked after it; a lease is gone.

use super::{
    Batch, Configuration, Founding, Index, Log, LogId, Msg, OpenBatch, Outcome, Raft, RaftConfig, Record, Role, Snapshot, Term,
    configuration::Decision, history::History, inner::Kept, leader::Leader, lease::Lease, peer::Peer, read::Reads,
};
use quorate_core::{Boot, Mark, NodeId, Time};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// What is the same for many groups, kept once. Bounded: what is rare is simply not shared.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    configurations: Vec<Arc<Configuration>>,
    foundings: Vec<Arc<Founding>>,
    nodes: Vec<Arc<[NodeId]>>,
}

/// How many of each kind are kept for sharing.
const SHARED_MAX: usize = 64;

fn share<T: ?Sized + PartialEq>(kept: &mut Vec<Arc<T>>, value: Arc<T>) -> Arc<T> {
    if let Some(known) = kept.iter().find(|known| **known == value) {
        return known.clone();
    }
    if kept.len() >= SHARED_MAX {
        kept.remove(0);
    }
    kept.push(value.clone());
    value
}

impl Shared {
    /// The same nodes, kept once.
    pub fn nodes(&mut self, nodes: Arc<[NodeId]>) -> Arc<[NodeId]> {
        share(&mut self.nodes, nodes)
    }
}

/// Batches are joined up to this length: what is longer has little to gain.
const JOINED_BYTES_MAX: usize = 4 << 10;

/// A replica that sleeps.
#[derive(Debug)]
pub(crate) struct Folded {
    founding: Arc<Founding>,
    founders: Arc<[NodeId]>,
    group: u64,
    term: Term,
    vote: Option<NodeId>,
    /// Itself, if it leads.
    leader: NodeId,
    caught_up: bool,
    /// Whether the first configuration of the history came by no entry.
    settled: bool,
    history: Box<[(Index, Arc<Configuration>)]>,
    base: LogId,
    /// All of it is committed.
    log: Box<[Batch]>,
    snapshot: Option<Box<Snapshot>>,
    heard_at: Option<Time>,
    bound_until: Time,
    leads: Option<Box<Leading>>,
}

/// What stays of a leader.
#[derive(Debug)]
struct Leading {
    first: Index,
    round: u64,
    lease_is_void: bool,
}

impl Folded {
    /// Whether it leads its term.
    pub fn leads(&self) -> bool {
        self.leads.is_some()
    }

    /// Who leads.
    pub fn leader(&self) -> NodeId {
        self.leader
    }

    /// Its term.
    pub fn term(&self) -> Term {
        self.term
    }

    /// Its last entry, which is committed.
    pub fn last(&self) -> LogId {
        self.log.last().map_or(self.base, Batch::last_id)
    }

    /// How it came to be, as it was told.
    pub fn founding(&self) -> &Founding {
        &self.founding
    }

    /// As those of [`Raft::records`].
    pub fn records(&self) -> Vec<Record> {
        let founding = self.history.first().filter(|(since, _)| *since == 0);
        Kept {
            founders: &self.founders,
            group: self.group,
            founding: founding.map(|(_, founders)| founders),
            pins: Vec::new(),
            term: self.term,
            vote: self.vote,
            snapshot: self.snapshot.as_deref(),
            base: self.base,
        }
        .records(self.log.iter())
    }

    /// Whether it is an answer to what this leader said before it slept, come late or twice.
    pub fn is_no_news(&self, msg: &Msg) -> bool {
        let Msg::AppendReply(reply) = msg else { return false };
        self.leads() && reply.term <= self.term && matches!(reply.outcome, Outcome::Matched(_))
    }

    /// Whether the voters for which this is true decide what is committed.
    pub fn is_quorum(&self, of: impl Fn(NodeId) -> bool) -> bool {
        let decides = |configuration: &Configuration| {
            configuration.is_quorum(Decision::Replication, |voter| of(voter.node))
        };
        self.history.last().is_some_and(|(_, configuration)| decides(configuration))
    }

    /// Bytes of log and snapshot that it holds.
    pub fn bytes(&self) -> usize {
        self.log.iter().map(Batch::len).sum::<usize>()
            + self.snapshot.as_ref().map_or(0, |snapshot| snapshot.data.len())
    }

    /// The replica again, with the links that are up now. A follower has heard its leader at `heard` at the latest, if
    /// that is known.
    pub fn unfold(
        self,
        id: NodeId,
        config: &Arc<RaftConfig>,
        boot: Boot,
        links: &BTreeMap<NodeId, Boot>,
        served: &[NodeId],
        heard: impl Fn(NodeId) -> Option<Time>,
        now: Time,
    ) -> Raft {
        let last = self.last();
        let mut log = Log::default();
        log.rebase(self.base);
        let marks = self.log.iter().map(|batch| (batch.last(), Mark::NONE)).collect();
        self.log.into_iter().for_each(|batch| log.push(batch));
        let mut raft = Raft {
            config: config.clone(),
            founding: (*self.founding).clone(),
            boot: Some(boot),
            founders: self.founders.to_vec(),
            group: self.group,
            history: History::from_parts(self.history.into_iter().collect(), self.settled),
            term: self.term,
            vote: self.vote,
            log,
            snapshot: self.snapshot.map(|snapshot| *snapshot),
            leader: Some(self.leader),
            commit: last.index,
            caught_up: self.caught_up,
            links: links.clone(),
            heard_leader_at: self.heard_at.max(heard(self.leader)),
            bound_until: self.bound_until,
            on_grid: true,
            marks,
            replayed: Mark(1),
            ..Raft::blank(id, config.clone())
        };
        raft.reconfigure(now);
        if let Some(leading) = self.leads {
            for served in served.iter().filter(|served| raft.peer(**served).is_none()).copied().collect::<Vec<_>>() {
                raft.peers.push(Peer::new(served, false, links.get(&served).copied()));
            }
            raft.share_peers();
            for peer in &mut raft.peers {
                peer.reset(last.index + 1, heard(peer.id).unwrap_or(Time::ZERO));
            }
            raft.role = Role::Leader(Box::new(leading.unfold(last.index, raft.next_beat(now), now)));
        }
        raft
    }
}

impl Leading {
    fn unfold(&self, last: Index, next_beat: Time, now: Time) -> Leader {
        let mut lease = Lease::default();
        if self.lease_is_void {
            lease.give_up();
        }
        Leader {
            open: OpenBatch::default(),
            first: self.first,
            writing: VecDeque::new(),
            matched: last,
            round: self.round,
            reads: Reads::default(),
            // Whoever woke up, too, hears at once that it is still led.
            heartbeat_at: now,
            said_at: now,
            quorum_check_at: next_beat,
            notice_at: Time::NEVER,
            uncommitted: VecDeque::new(),
            uncommitted_bytes: 0,
            transfer: None,
            lease,
            changing: None,
        }
    }
}

impl Raft {
    /// Folds it. For a settled leader, or a follower that is equal to one: all of its log is committed.
    pub(crate) fn fold(self, shared: &mut Shared) -> Folded {
        debug_assert_eq!(self.commit, self.log.last().index, "only what is committed sleeps");
        // As long as a leader would make them at most, so that messages stay as small as the transport takes.
        let joined_bytes_max = self.config.batch_bytes_max.min(JOINED_BYTES_MAX);
        let leads = match self.role {
            Role::Leader(leader) => Some(Box::new(Leading {
                first: leader.first,
                round: leader.round,
                lease_is_void: leader.lease.is_void(),
            })),
            _ => None,
        };
        let snapshot = self.snapshot.map(|snapshot| {
            let configuration = share(&mut shared.configurations, snapshot.configuration.clone());
            Box::new(Snapshot { configuration, ..snapshot })
        });
        let (history, settled) = self.history.into_parts();
        let one = |(index, configuration)| (index, share(&mut shared.configurations, configuration));
        Folded {
            founding: share(&mut shared.foundings, Arc::new(self.founding)),
            founders: share(&mut shared.nodes, self.founders.into()),
            group: self.group,
            term: self.term,
            vote: self.vote,
            leader: self.leader.unwrap_or(self.id),
            caught_up: self.caught_up,
            settled,
            history: history.into_iter().map(one).collect(),
            base: self.log.base(),
            log: Batch::joined(self.log.batches(), joined_bytes_max).into(),
            snapshot,
            heard_at: self.heard_leader_at,
            bound_until: self.bound_until,
            leads,
        }
    }
}
