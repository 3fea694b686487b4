//! A replica that sleeps, folded small: what it must not forget, what it would not learn again, and nothing of what a
//! leader knows of its followers. Unfolded it is as careful as one that was just elected: it asks each follower where it
//! stands before it relies on it.
//!
//! **Invariant.** Whatever is promised by term, vote and log is the same before and after. Rounds go on counting, so an
//! answer from before the sleep confirms nothing asked after it; a lease is gone.

use super::{
    Batch, Configuration, Founding, Index, Log, LogId, Msg, Outcome, Raft, RaftConfig, Record, Role,
    Snapshot, Term, Voter, configuration::Decision, history::History, inner::Kept, leader::Leader,
    lease::Lease, peer::Peer,
};
use quorate_core::{Boot, JournalId, Mark, NodeId, Time};
use std::collections::BTreeMap;
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
    abstains: bool,
    lacks_state: bool,
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
    /// Journals that were put back to an earlier copy; hardly ever any.
    rolled_back: Box<[JournalId]>,
    /// Objects that may have to be removed, and how many leaders' snapshots went into in this life.
    objects: Box<[u64]>,
    received: u64,
}

/// What a replica wakes up to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waking<'a> {
    pub id: NodeId,
    pub config: &'a Arc<RaftConfig>,
    pub boot: Boot,
    /// Those that were up when it fell asleep. It is told what became of them since.
    pub links: &'a BTreeMap<NodeId, Boot>,
    /// Of a leader: those that were equal when it fell asleep, voters and whom it serves besides.
    pub served: &'a [NodeId],
    pub now: Time,
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
            rolled_back: self.rolled_back.to_vec(),
            receiving: None,
        }
        .records(self.log.iter())
    }

    /// Whether it is an answer to what this leader said before it slept, come late or twice.
    pub fn is_no_news(&self, msg: &Msg) -> bool {
        let Msg::AppendReply(reply) = msg else { return false };
        self.leads() && reply.term <= self.term && matches!(reply.outcome, Outcome::Matched(_))
    }

    /// Whether the voters for which this is true decide what is committed. (Those on old disks do not.)
    pub fn is_quorum(&self, of: impl Fn(&Voter) -> bool) -> bool {
        let counts = |voter: &Voter| !self.rolled_back.contains(&voter.journal) && of(voter);
        let decides = |configuration: &Configuration| configuration.is_quorum(Decision::Replication, counts);
        self.history.last().is_some_and(|(_, configuration)| decides(configuration))
    }

    /// Whether this node votes in it.
    pub fn names(&self, node: NodeId) -> bool {
        self.history.last().is_some_and(|(_, configuration)| configuration.names(node))
    }

    /// Bytes of log that it holds.
    pub fn bytes(&self) -> usize {
        self.log.iter().map(Batch::len).sum()
    }

    /// The replica again. `heard`: when each node was heard last, if that is known; a follower has heard its leader then.
    pub fn unfold(self, into: &Waking<'_>, heard: impl Fn(NodeId) -> Option<Time>) -> Raft {
        let Waking { id, config, boot, links, served, now } = *into;
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
            abstains: self.abstains,
            lacks_state: self.lacks_state,
            links: links.clone(),
            heard_leader_at: self.heard_at.max(heard(self.leader)),
            bound_until: self.bound_until,
            on_grid: true,
            objects: self.objects.into(),
            received: self.received,
            rolled_back: self.rolled_back.into_iter().collect(),
            marks,
            replayed: Mark(1),
            ..Raft::blank(id, config.clone())
        };
        raft.reconfigure(now);
        if let Some(leading) = self.leads {
            for served in
                served.iter().filter(|served| raft.peer(**served).is_none()).copied().collect::<Vec<_>>()
            {
                raft.peers.push(Peer::new(served, false, links.get(&served).copied()));
            }
            raft.share_peers();
            for peer in &mut raft.peers {
                peer.reset(last.index + 1, heard(peer.id).unwrap_or(Time::ZERO));
                if served.contains(&peer.id) {
                    peer.said.slept(raft.term, last.index);
                }
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
        // Whoever woke up, too, hears at once that it is still led.
        let (matched, round, heartbeat_at, beat_at) = (last, self.round, now, now);
        Leader { matched, round, lease, heartbeat_at, beat_at, ..Leader::begin(self.first, now, next_beat) }
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
            abstains: self.abstains,
            lacks_state: self.lacks_state,
            settled,
            history: history.into_iter().map(one).collect(),
            base: self.log.base(),
            log: Batch::joined(self.log.batches(), joined_bytes_max).into(),
            snapshot,
            heard_at: self.heard_leader_at,
            bound_until: self.bound_until,
            leads,
            rolled_back: self.rolled_back.into_iter().collect(),
            objects: self.objects.into(),
            received: self.received,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::{Cmd, Commands, Record};
    use quorate_core::{Cx, Effect, Input, JournalId, Outbox, Protocol, Rng, Wall};
    use std::time::Duration;

    /// A single voter with its disk, which syncs at once.
    struct One {
        raft: Raft,
        out: Outbox<Raft>,
        rng: Rng,
        now: Time,
        written: Vec<Record>,
    }

    const BOOT: Boot = Boot { incarnation: 1, journal: JournalId(5) };

    fn config() -> Arc<RaftConfig> {
        Arc::new(RaftConfig { trailing_entries: 2, ..RaftConfig::default() })
    }

    fn new() -> Raft {
        Raft::new(NodeId(1), config(), Founding::Found(vec![NodeId(1)])).unwrap()
    }

    impl One {
        fn step(&mut self, input: Input<Raft>) {
            let mut next = Some(input);
            while let Some(input) = next.take() {
                self.raft.step(input, &mut Cx::new(self.now, Wall(0), &mut self.rng, &mut self.out));
                let effects: Vec<Effect<Raft>> = self.out.drain().collect();
                self.written.extend(effects.into_iter().filter_map(|effect| match effect {
                    Effect::Append(record) => Some(record),
                    _ => None,
                }));
                if self.out.appended() > self.out.durable() {
                    self.out.note_durable(self.out.appended());
                    next = Some(Input::Durable(self.out.durable()));
                }
            }
        }

        fn wait(&mut self) {
            self.now = self.now + Duration::from_millis(400);
            self.step(Input::Wake);
        }

        fn led() -> One {
            let (out, rng) = (Outbox::default(), Rng::from_seed(1));
            let mut one = One { raft: new(), out, rng, now: Time(1), written: Vec::new() };
            one.step(Input::Start(BOOT));
            for _ in 0..3 {
                one.wait();
            }
            for first in 1..=6 {
                one.step(Input::Command(Cmd::Propose { first, commands: Commands::one(&[first as u8; 9]) }));
                one.wait();
            }
            // The last commit is told, too.
            one.wait();
            assert!(one.raft.is_leader() && one.raft.commit() == 7, "{:?}", one.raft.last());
            one
        }

        fn compact(&mut self) {
            let at = LogId::new(self.raft.term(), 6);
            self.step(Input::Command(Cmd::Snapshot { at, blob: 2, total: 30, crc: 7 }));
            assert_eq!(self.raft.log().base().index, 4);
        }
    }

    fn replayed(records: &[Record]) -> Raft {
        let mut raft = new();
        for (at, record) in records.iter().enumerate() {
            raft.replay_at(record.clone(), Mark(at as u64 + 1)).unwrap();
        }
        raft
    }

    #[test]
    fn records_told_anew_replay_to_the_same() {
        let mut one = One::led();
        let (before, anew) = (replayed(&one.written), one.raft.records());
        let after = replayed(&anew);
        assert_eq!(after.records(), anew);
        for raft in [&before, &after] {
            assert_eq!(
                (raft.term(), raft.vote(), raft.last()),
                (one.raft.term(), one.raft.vote(), one.raft.last())
            );
            assert_eq!(raft.configuration(), one.raft.configuration());
            assert_eq!(raft.group(), one.raft.group());
        }
        assert!(anew.len() < one.written.len() || one.written.len() < 12);
        one.compact();
        let anew = one.raft.records();
        let after = replayed(&anew);
        assert_eq!(after.records(), anew);
        assert_eq!(
            (after.log().base(), after.last(), after.commit()),
            (LogId::new(1, 4), one.raft.last(), 6)
        );
    }

    #[test]
    fn a_replica_that_slept_keeps_all_that_it_promised_and_forgets_what_it_knew_of_others() {
        for compacted in [false, true] {
            let mut one = One::led();
            if compacted {
                one.compact();
            }
            assert!(one.raft.is_settled());
            let awake = one.raft.clone();
            let folded = one.raft.fold(&mut Shared::default());
            assert_eq!((folded.last(), folded.term(), folded.leads()), (awake.last(), awake.term(), true));
            // The batches of one term are one by now, so what replays is the same and shorter.
            let told = replayed(&folded.records());
            assert_eq!((told.last(), told.vote(), told.term()), (awake.last(), awake.vote(), awake.term()));
            let entries = |raft: &Raft| -> Vec<(Index, Vec<u8>)> {
                let all = raft.log().batches().flat_map(|batch| batch.entries());
                all.map(|entry| (entry.index, entry.data.to_vec())).collect()
            };
            assert_eq!(entries(&told), entries(&awake));
            let links = BTreeMap::new();
            let raft = {
                let waking = Waking {
                    id: NodeId(1),
                    config: &config(),
                    boot: BOOT,
                    links: &links,
                    served: &[],
                    now: one.now,
                };
                folded.unfold(&waking, |_| None)
            };
            assert_eq!(entries(&raft), entries(&awake));
            assert_eq!(
                (raft.commit(), raft.vote(), raft.leader()),
                (awake.commit(), awake.vote(), awake.leader())
            );
            assert_eq!(raft.configuration(), awake.configuration());
            assert_eq!(raft.snapshot(), awake.snapshot());
            // And goes on leading.
            one.raft = raft;
            one.step(Input::Command(Cmd::Propose { first: 99, commands: Commands::one(b"more") }));
            one.wait();
            assert!(one.raft.is_leader() && one.raft.commit() == 8);
        }
    }
}
