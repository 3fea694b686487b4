use quorate::raft::RaftCounters;
use quorate::sim::World;

/// Not a rule but a witness: reports which recovery paths of Raft a run took, so that a campaign can fail if
/// one was never taken.
#[derive(Debug)]
pub struct Paths;

/// Rare: a snapshot is damaged, cannot be restored, or comes while the state machine is gone.
pub const SNAPSHOT_REFUSED: &str = "a snapshot is refused";

/// A read without a round.
pub const LEASED: &str = "a read is answered by lease";
/// Each of the two steps of a change.
pub const CHANGED: &str = "a change of voters is begun or completed";
/// A leader finds it half done.
pub const COMPLETED: &str = "a change of voters is completed by another leader";
/// By a change that leaves it out.
pub const REMOVED: &str = "a leader that has no vote any more steps down";

/// Only where there are witnesses.
pub const AWAITED: &str = "what only witnesses have on disk is not committed yet";

/// An ordinary handover, begun by the leader itself.
pub const MADE_WAY: &str = "a leader makes way for a preferred voter";

/// A path's name, and how often it was taken.
type Path = (&'static str, fn(&RaftCounters) -> u64);

const PATHS: [Path; 26] = [
    ("a pre-vote round is held", |c| c.pre_campaigns),
    ("an election is held", |c| c.campaigns),
    ("a leader is elected", |c| c.elected),
    ("a vote is refused because a leader is heard", |c| c.sticky),
    ("a leader that hears no quorum steps down", |c| c.lost_quorum),
    ("a leader whose disk stalls steps down", |c| c.stalled_disk),
    ("an append is refused because logs differ", |c| c.conflicts),
    ("entries of a deposed leader are overwritten", |c| c.truncations),
    ("a snapshot is sent", |c| c.snapshots_sent),
    ("a snapshot is installed", |c| c.snapshots_installed),
    (SNAPSHOT_REFUSED, |c| c.snapshots_refused),
    ("an object of a snapshot is not to be had", |c| c.snapshots_unread),
    ("a voter under another journal is not counted", |c| c.strangers),
    ("a log is compacted", |c| c.compactions),
    ("a proposal is forwarded", |c| c.forwarded),
    ("a read is confirmed by a round", |c| c.reads),
    (LEASED, |c| c.leased_reads),
    ("a leader hands over", |c| c.transfers),
    (MADE_WAY, |c| c.made_way),
    ("a voter takes over", |c| c.took_over),
    ("a handover comes to nothing", |c| c.transfers_failed),
    ("a short log is pulled longer", |c| c.pulled),
    (CHANGED, |c| c.configurations),
    (COMPLETED, |c| c.changes_completed),
    (REMOVED, |c| c.removed),
    (AWAITED, |c| c.awaited_state),
];

impl Paths {
    /// The names that it reports.
    pub fn names() -> impl Iterator<Item = &'static str> {
        PATHS.iter().map(|(name, _)| *name)
    }

    /// Reports what was counted since.
    pub(super) fn report<A>(world: &World<A>, before: &RaftCounters, now: &RaftCounters) {
        if before == now {
            return;
        }
        for (name, count) in PATHS {
            (count(before)..count(now)).for_each(|_| world.sometimes(name));
        }
    }
}
