//! A commit from ask to answer: clients, handles, encoding, network, log, state machine.
//!
//! All of it runs on one thread for every contender: so many clients, each of which asks again when it is
//! answered, at the leader; the network is inside the process; the log is kept in memory. What is measured is the CPU
//! time of that thread.

pub mod on_disk;
mod openraft;
mod ours;

use crate::clock::thread_cpu_ns;
use serde::{Deserialize, Serialize};

/// Said with every row.
pub const CONDITIONS: &str = "CPU time of the one thread on which all replicas and clients run, for one commit; \
    network inside the process, log in memory (no fsync); every client asks again when it is answered; commands of two \
    numbers, replies of one";

/// What is replicated: two numbers, of which the second is filling.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Command(u64, u64);

impl Command {
    fn number(number: u64) -> Command {
        Command(number, u64::MAX)
    }
}

/// What a replica has applied: wrong if a command is lost, doubled or damaged.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct State {
    count: u64,
    sum: u64,
    filling: u64,
}

impl State {
    fn apply(&mut self, command: Command) -> u64 {
        self.count += 1;
        self.sum = self.sum.wrapping_add(command.0);
        self.filling ^= command.1;
        self.count
    }
}

/// One contender's cluster, with a leader.
trait Cluster {
    /// So many clients commit commands, numbered from 0, so often in all.
    fn run(&mut self, clients: usize, commits: u64);
    /// Each replica's state, once all of them have applied everything.
    fn states(&mut self) -> Vec<State>;
}

/// Who takes part.
#[derive(Clone, Copy)]
pub struct Contender {
    /// Whose it is.
    pub name: &'static str,
    make: fn(u64) -> Box<dyn Cluster>,
}

/// Ours first.
pub const CONTENDERS: &[Contender] =
    &[Contender { name: "quorate", make: ours::make }, Contender { name: "openraft", make: openraft::make }];

/// Replicas and clients of a row.
pub fn loads() -> impl Iterator<Item = (u64, usize)> {
    [1, 64, 256, 1024, 4096].into_iter().map(|clients| (3, clients))
}

impl Contender {
    /// CPU nanoseconds a commit, of a cluster that is warm.
    pub fn run(&self, nodes: u64, clients: usize) -> f64 {
        let mut cluster = (self.make)(nodes);
        let commits = if clients == 1 { 20_000 } else { 200_000 };
        cluster.run(clients, commits / 4);
        let start = thread_cpu_ns();
        cluster.run(clients, commits);
        let took = thread_cpu_ns() - start;
        let mut expected = State::default();
        for number in (0..commits / 4).chain(0..commits) {
            expected.apply(Command::number(number));
        }
        for state in cluster.states() {
            assert_eq!(state, expected, "a replica of {} did not apply the load", self.name);
        }
        took as f64 / commits as f64
    }
}
