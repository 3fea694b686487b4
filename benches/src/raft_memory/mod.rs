//! Agreement alone: all replicas as values in one thread.
//!
//! A turn is the same for every contender: so many commands are proposed at the leader as the setting keeps
//! outstanding, then messages are delivered, each at once and whole, until there are none. A command is
//! committed when the leader's side sees it decided; every replica then reads it from its log and applies it.
//! Followers may learn of a commit with a later message; at the end of a run all of them have applied all.
//!
//! Left out for all alike: network, encoding, disk, elections, clocks (time stands still, so there are no
//! heartbeats), answers to clients.
//!
//! Every [`COMPACT_EVERY`] commits each log is cut, as every log that runs for longer than a minute is. Without
//! that a third of the time went to the kernel's first touch of fresh memory.

mod load;
mod omni;
mod ours;
mod state;
mod tikv;

pub use load::{Load, Way};
pub use state::{State, write_command};
pub use tikv::Replica;

use crate::allocations::{self, Allocations};
use crate::clock::thread_cpu_ns;

/// Said with every row.
pub const CONDITIONS: &str = "CPU time of all replicas for one commit, applied by all of them; replicas are \
    values in one thread, messages are delivered at once as values (no network, no encoding), the journal is \
    memory and answers in the same turn (no fsync); time stands still; every 8,192 commits logs are cut, 1,000 \
    entries are kept; the state machine adds up numbers";

/// Commits between two cuts of the logs.
pub const COMPACT_EVERY: u64 = 8192;

/// Entries that a cut leaves.
pub const KEPT: u64 = 1000;

/// One contender's cluster, with a leader.
pub trait Cluster {
    /// Proposes commands `first..first + count` at the leader and delivers all messages.
    fn turn(&mut self, first: u64, count: u64);
    /// Cuts every replica's log; [`KEPT`] applied entries stay.
    fn cut(&mut self);
    /// Lets every replica learn what was committed.
    fn finish(&mut self);
    /// Messages delivered so far, one a recipient.
    fn messages(&self) -> u64;
    /// Each replica's state.
    fn states(&self) -> Vec<State>;
}

/// A contender in one of its variants.
#[derive(Clone, Copy, Debug)]
pub struct Contender {
    /// Whose it is.
    pub name: &'static str,
    /// How it is set up.
    pub variant: &'static str,
    make: fn(&Load) -> Box<dyn Cluster>,
}

/// What one run came to, for one commit.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// CPU nanoseconds.
    pub cpu_ns: f64,
    /// Messages.
    pub messages: f64,
}

/// Ours first. omnipaxos is generic in its entries and stands here twice: with the command itself as the entry,
/// which is its best case for small fixed-size commands, and with commands as opaque bytes, which is what the two
/// others do. Where a peer has more than one sensible set-up it takes part in each, and its best is quoted.
pub const CONTENDERS: &[Contender] = &[
    Contender { name: "quorate", variant: "", make: ours::make },
    Contender { name: "omnipaxos, by value", variant: "", make: omni::by_value },
    Contender { name: "omnipaxos, bytes", variant: "", make: omni::as_bytes },
    Contender { name: "raft-rs", variant: "defaults", make: tikv::with_defaults },
    Contender { name: "raft-rs", variant: "batch_append, skip_bcast_commit", make: tikv::tuned },
];

impl Contender {
    /// A fresh cluster, warmed up; then the load, timed.
    pub fn run(&self, load: &Load) -> Run {
        let mut cluster = self.warm(load);
        let (messages, start) = (cluster.messages(), thread_cpu_ns());
        drive(cluster.as_mut(), load, load.warm_up, load.commits);
        let (end, sent) = (thread_cpu_ns(), cluster.messages());
        self.check(cluster.as_ref(), load);
        let each = |total: u64| total as f64 / load.commits as f64;
        Run { cpu_ns: each(end - start), messages: each(sent - messages) }
    }

    fn warm(&self, load: &Load) -> Box<dyn Cluster> {
        let mut cluster = (self.make)(load);
        drive(cluster.as_mut(), load, 0, load.warm_up);
        cluster
    }

    fn check(&self, cluster: &dyn Cluster, load: &Load) {
        let expected = State::after(load.warm_up + load.commits, load.bytes);
        for state in cluster.states() {
            assert_eq!(state, expected, "a replica of {} did not apply the load", self.name);
        }
    }

    fn count(&self, load: &Load) -> Allocations {
        let mut cluster = self.warm(load);
        let who = format!("{} {}", self.name, self.variant);
        let mut leader = 0.0;
        let counted = allocations::count(&who, &load.to_string(), load.commits, || {
            leader = allocations::counting_parts(load.commits, || {
                drive(cluster.as_mut(), load, load.warm_up, load.commits)
            });
        });
        self.check(cluster.as_ref(), load);
        Allocations { part: leader, ..counted }
    }
}

fn drive(cluster: &mut dyn Cluster, load: &Load, first: u64, commits: u64) {
    let mut next = first;
    while next < first + commits {
        let count = load.way.outstanding().min(first + commits - next);
        cluster.turn(next, count);
        next += count;
        if next / COMPACT_EVERY > (next - count) / COMPACT_EVERY {
            cluster.cut();
        }
    }
    cluster.finish();
}

/// What every contender allocates in every setting. Only means something under the counting allocator.
pub fn allocations() -> Vec<Allocations> {
    let loads = Load::all();
    loads.iter().flat_map(|load| CONTENDERS.iter().map(move |contender| contender.count(load))).collect()
}
