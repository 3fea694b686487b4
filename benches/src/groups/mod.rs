//! Many groups on three nodes: what a commit costs when much happens in all of them, and what they cost while nothing does.
//! Beside raft-rs, one of its nodes a group, driven as its documents say: what is due is looked at after each round of
//! messages, and every group is ticked.
//!
//! All replicas are values in one thread, as in [`crate::raft_memory`].

mod ours;
mod tikv;

use crate::clock::thread_cpu_ns;
pub use crate::raft_memory::State;
use std::time::Duration;

/// Said with every row of a busy cluster.
pub const BUSY: &str = "CPU time of all replicas for one commit, applied by all of them; 3 nodes, 16 B, 1,024 proposals a turn, spread \
    over all groups; replicas are values in one thread, messages are delivered at once as values (no network, no encoding), the \
    journal is memory and answers in the same turn (no fsync); time stands still";

/// Said with every row of an idle one.
pub const IDLE: &str = "CPU time of all nodes for one second of the groups' time in which nothing is asked of them; 3 nodes; heartbeats \
    every 50 ms; ours sleep, raft-rs has no such thing: each group is ticked, and each leader's heartbeats are answered";

/// Bytes of a command.
pub const BYTES: usize = 16;

/// Proposals of one turn.
pub const TURN: u64 = 1024;

/// The time between two heartbeats.
pub const HEARTBEAT: Duration = Duration::from_millis(50);

/// Entries that are kept of a group's log when it is cut, and how many are committed between two cuts.
pub const KEPT: u64 = 1000;
const CUT_EVERY: u64 = 8192;

/// Three nodes with many groups, each of which has a leader.
pub trait Cluster {
    /// Proposes commands `first..first + count`, command `number` in group `number % groups`, and delivers everything.
    fn turn(&mut self, first: u64, count: u64);
    /// Cuts every log.
    fn cut(&mut self);
    /// Lets every replica learn what was committed.
    fn finish(&mut self);
    /// Nothing is asked for so long.
    fn idle(&mut self, time: Duration);
    /// Messages delivered so far, one a recipient.
    fn messages(&self) -> u64;
    /// On each node what all groups together have applied.
    fn states(&self) -> Vec<State>;
}

/// Whose it is, and how it is made.
#[derive(Clone, Copy, Debug)]
pub struct Contender {
    /// Its name.
    pub name: &'static str,
    make: fn(u64) -> Box<dyn Cluster>,
}

/// Ours first.
pub const CONTENDERS: [Contender; 2] =
    [Contender { name: "quorate", make: ours::make }, Contender { name: "raft-rs", make: tikv::make }];

/// CPU time and messages, for one unit.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// CPU nanoseconds.
    pub cpu_ns: f64,
    /// Messages.
    pub messages: f64,
}

impl Contender {
    /// A fresh cluster, warmed up; then so many commits, timed.
    pub fn busy(&self, groups: u64, commits: u64) -> Run {
        let mut cluster = (self.make)(groups);
        let warm_up = (2 * groups).max(2 * CUT_EVERY).next_multiple_of(TURN);
        drive(cluster.as_mut(), 0, warm_up);
        let (messages, begun) = (cluster.messages(), thread_cpu_ns());
        drive(cluster.as_mut(), warm_up, commits);
        let (ended, sent) = (thread_cpu_ns(), cluster.messages());
        for state in cluster.states() {
            let expected = State::after(warm_up + commits, BYTES);
            assert_eq!(state, expected, "a replica of {} did not apply the load", self.name);
        }
        let each = |total: u64| total as f64 / commits as f64;
        Run { cpu_ns: each(ended - begun), messages: each(sent - messages) }
    }

    /// A fresh cluster that has come to rest; then some time in which nothing is asked, for a second of it.
    pub fn idle(&self, groups: u64) -> Run {
        let mut cluster = (self.make)(groups);
        cluster.idle(Duration::from_secs(5));
        let (messages, begun) = (cluster.messages(), thread_cpu_ns());
        cluster.idle(Duration::from_secs(2));
        let (ended, sent) = (thread_cpu_ns(), cluster.messages());
        Run { cpu_ns: (ended - begun) as f64 / 2.0, messages: (sent - messages) as f64 / 2.0 }
    }
}

fn drive(cluster: &mut dyn Cluster, first: u64, commits: u64) {
    for next in (first..first + commits).step_by(TURN as usize) {
        cluster.turn(next, TURN);
        if (next + TURN).is_multiple_of(CUT_EVERY) {
            cluster.cut();
        }
    }
    cluster.finish();
}
