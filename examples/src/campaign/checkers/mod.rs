//! What must hold of every Raft scope after every simulated event. Each rule is a file, and knows nothing of the
//! workload. A look at a replica is taken once an event; where it shows what the look before showed, there is nothing
//! new to judge.

mod accused;
mod audit;
mod committed;
mod configurations;
mod elections;
mod matching;
mod monotone;
mod outgrown;
mod paths;

pub use audit::WorkAudit;
pub use outgrown::{OUTGROWN, watch_outgrown};
pub use paths::{AWAITED, CHANGED, COMPLETED, LEASED, MADE_WAY, Paths, REMOVED, SNAPSHOT_REFUSED};

use accused::NobodyAccused;
use committed::CommittedOnce;
use configurations::OneConfiguration;
use elections::ElectionSafety;
use matching::LogMatching;
use monotone::Monotone;
use quorate::core::Host;
use quorate::groups::{GroupId, Groups};
use quorate::raft::{Batch, Index, Log, LogId, Raft, RaftCounters, Term};
use quorate::sim::{Invariant, Touch, Touched, World};
use quorate::{NodeId, ScopeId};

/// Has all rules watched, for one scope.
pub fn watch_raft<A: 'static>(world: &mut World<A>, scope: ScopeId) {
    world.invariant(Box::new(RaftRules::new(Box::new(move |host| host.protocol::<Raft>(scope)))));
}

/// The same for one group of a scope of many. While its replica sleeps it changes nothing.
pub fn watch_group<A: 'static>(world: &mut World<A>, scope: ScopeId, group: GroupId) {
    world.invariant(Box::new(RaftRules::new(Box::new(move |host| {
        host.protocol::<Groups>(scope)?.raft(group)
    }))));
}

/// Finds the replica on a node.
type Find = Box<dyn Fn(&Host) -> Option<&Raft>>;

/// Everything of a replica that the rules go by. Default: that of a replica nobody has looked at in this life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Look {
    term: Term,
    vote: Option<NodeId>,
    commit: Index,
    last: LogId,
    /// The term that it leads.
    leads: Option<Term>,
    counters: RaftCounters,
}

/// The leader of the newest term, if any of the first `nodes` nodes leads.
pub fn raft_leader<A>(world: &World<A>, nodes: usize, scope: ScopeId) -> Option<NodeId> {
    let led = |place| {
        let raft = world.host_at(place)?.protocol::<Raft>(scope).filter(|raft| raft.is_leader())?;
        Some((raft.term(), raft.id()))
    };
    (0..nodes).filter_map(led).max().map(|(_, id)| id)
}

impl Look {
    fn at(raft: &Raft) -> Look {
        Look {
            term: raft.term(),
            vote: raft.vote(),
            commit: raft.commit(),
            last: raft.last(),
            leads: raft.is_leader().then(|| raft.term()),
            counters: raft.counters(),
        }
    }
}

/// A replica that was touched, and is not as it was.
#[derive(Clone, Copy)]
struct Changed<'a> {
    node: NodeId,
    raft: &'a Raft,
    before: &'a Look,
    now: &'a Look,
}

/// One rule.
trait Rule {
    /// Its name in reports.
    const NAME: &'static str;

    /// `Err` says what was seen instead.
    fn check(&mut self, changed: Changed<'_>) -> Result<(), String>;
}

/// All rules, over all replicas of one scope.
struct RaftRules {
    find: Find,
    /// What each replica looked like last, by its place.
    looks: ByPlace<Look>,
    elections: ElectionSafety,
    matching: LogMatching,
    committed: CommittedOnce,
    configurations: OneConfiguration,
    monotone: Monotone,
    /// The rule that was broken.
    broken: &'static str,
}

impl RaftRules {
    fn new(find: Find) -> Self {
        RaftRules {
            find,
            looks: ByPlace::default(),
            elections: ElectionSafety::default(),
            matching: LogMatching::default(),
            committed: CommittedOnce::default(),
            configurations: OneConfiguration::default(),
            monotone: Monotone,
            broken: "the rules of Raft",
        }
    }

    fn judge(&mut self, changed: Changed<'_>) -> Result<(), (&'static str, String)> {
        fn ask<R: Rule>(rule: &mut R, changed: Changed<'_>) -> Result<(), (&'static str, String)> {
            rule.check(changed).map_err(|why| (R::NAME, why))
        }
        ask(&mut self.elections, changed)?;
        ask(&mut self.matching, changed)?;
        ask(&mut self.committed, changed)?;
        ask(&mut self.configurations, changed)?;
        ask(&mut NobodyAccused, changed)?;
        ask(&mut self.monotone, changed)
    }
}

impl<A> Invariant<A> for RaftRules {
    fn name(&self) -> &str {
        self.broken
    }

    fn check(&mut self, world: &World<A>, touch: Touch) -> Result<(), String> {
        let look = self.looks.of(touch.place);
        if touch.how != Touched::Stepped {
            *look = Look::default();
        }
        let replica = world.host_at(touch.place).and_then(|host| (self.find)(host));
        let Some(raft) = replica else { return Ok(()) };
        let now = Look::at(raft);
        if now == *look {
            return Ok(());
        }
        let before = std::mem::replace(look, now);
        Paths::report(world, &before.counters, &now.counters);
        let changed = Changed { node: touch.node, raft, before: &before, now: &now };
        self.judge(changed).map_err(|(broken, why)| {
            self.broken = broken;
            why
        })
    }
}

/// Index, term and a fingerprint of each entry from `first` on.
fn entries(log: &Log, first: Index) -> impl Iterator<Item = (Index, Term, u64)> + '_ {
    let last = log.last().index;
    let batches = log.batches_within(first, last);
    batches.flat_map(move |batch: &Batch| {
        let term = batch.term();
        batch.entries().filter(move |e| e.index >= first).map(move |e| (e.index, term, fingerprint(e.data)))
    })
}

/// FNV-1a 64.
fn fingerprint(data: &[u8]) -> u64 {
    data.iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Something for each node, by its place.
#[derive(Debug, Default)]
struct ByPlace<T>(Vec<T>);

impl<T: Default> ByPlace<T> {
    fn of(&mut self, place: usize) -> &mut T {
        if self.0.len() <= place {
            self.0.resize_with(place + 1, T::default);
        }
        &mut self.0[place]
    }
}
