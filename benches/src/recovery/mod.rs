//! From the loss of a leader to the next commit: ours, raft-rs and omnipaxos in one simulated network.
//!
//! Time is simulated and everything but messages and timers takes none of it. A run is drawn from one seed: delays of
//! messages, election timeouts, when in its heartbeat interval the leader is lost. Links keep order. Whoever leads
//! is asked for a command at once, and for the next once that is committed.

mod net;
mod omni;
mod ours;
mod tikv;

pub use net::Scenario;

use std::time::Duration;

/// The least time of silence after which a follower stands for election, with all of them.
pub const TIMEOUT: Duration = Duration::from_millis(150);

/// How often a leader speaks at least, where that is a setting of its own.
pub const HEARTBEAT: Duration = Duration::from_millis(50);

/// What time advances by for those that count ticks.
const TICK: Duration = Duration::from_millis(1);

/// No commit for so long counts as none at all.
pub const PATIENCE_TIMEOUTS: u32 = 40;

/// Said with every row.
pub const CONDITIONS: &str = "simulated time from the loss until a new leader has committed a fresh command; one-way \
    delay 0.5 to 2 ms, uniform, in order; disks take no time; election timeout 150 to 300 ms (raft-rs the same, \
    pre-vote and check-quorum on, ticks of 1 ms; omnipaxos has one setting, the heartbeat round: 150 ms, and once more with \
    50 ms, which is the others' heartbeat interval), heartbeats every 50 ms";

/// Who takes part.
#[derive(Clone, Copy)]
pub struct Contender {
    /// Whose it is.
    pub name: &'static str,
    run: fn(Scenario, u64, u64) -> Option<Duration>,
}

/// Ours first.
pub const CONTENDERS: &[Contender] = &[
    Contender { name: "quorate", run: net::run::<ours::Ours> },
    Contender { name: "raft-rs", run: net::run::<tikv::Tikv> },
    Contender { name: "omnipaxos, rounds of 150 ms", run: net::run::<omni::Omni<150>> },
    Contender { name: "omnipaxos, rounds of 50 ms", run: net::run::<omni::Omni<50>> },
];

/// What many runs came to, in election timeouts.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Waits {
    /// Half of the runs took no longer.
    pub median: f64,
    /// Nine of ten.
    pub p90: f64,
    /// Ninety-nine of a hundred.
    pub p99: f64,
    /// The longest; infinite if one had no commit.
    pub max: f64,
    /// Runs without a commit.
    pub never: usize,
}

impl Waits {
    fn of(mut waits: Vec<Option<Duration>>) -> Waits {
        // Those without a commit are the longest.
        waits.sort_unstable_by_key(|wait| wait.unwrap_or(Duration::MAX));
        let at = |share: f64| {
            let wait = waits[((waits.len() as f64 * share).ceil() as usize).clamp(1, waits.len()) - 1];
            wait.map_or(f64::INFINITY, |wait| wait.as_secs_f64() / TIMEOUT.as_secs_f64())
        };
        let never = waits.iter().filter(|wait| wait.is_none()).count();
        Waits { median: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1.0), never }
    }
}

impl Contender {
    /// Runs seeds `0..seeds`.
    pub fn waits(&self, scenario: Scenario, nodes: u64, seeds: u64) -> Waits {
        Waits::of((0..seeds).map(|seed| (self.run)(scenario, nodes, seed)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_all_runs_and_those_without_a_commit_are_the_longest() {
        let ms = |ms| Some(Duration::from_millis(ms));
        let waits = Waits::of(vec![ms(300), None, ms(150), ms(165)]);
        assert_eq!(waits.median, 1.1);
        assert_eq!((waits.p90, waits.max, waits.never), (f64::INFINITY, f64::INFINITY, 1));
    }

    #[test]
    fn a_seed_is_the_same_run_again() {
        for contender in CONTENDERS {
            let run = || (contender.run)(Scenario::Crash, 3, 7);
            assert!(run().is_some());
            assert_eq!(run(), run(), "{}", contender.name);
        }
    }
}
