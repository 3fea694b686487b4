//! Our Raft beside raft-rs, stepped in lock-step under the same schedules: what they commit must be the same.
//!
//! **The schedule** is drawn from one integer before the run, so that it does not depend on what either does: which
//! directed links lose or hold back messages, who crashes, whose disk hangs, who hears nobody for an election timeout, who
//! stands for election (with pre-vote and check-quorum on both sides), when heartbeats are due, what is proposed. After
//! each step all messages on open links are delivered until none is left. Nobody stands for election by itself: each
//! replica has a clock of its own, which only the schedule moves.
//!
//! **What must be equal.** A *decision* is who leads, and which commands stand in the leader's log. As long as decisions
//! are the same in both, which is so in nearly every schedule from end to end, one's committed commands must be a prefix
//! of the other's after every step, and the same whenever everything came to rest under a leader; no-ops are left out.
//! Once a decision differs the two may commit different things for good: from there each is held to its own safety, and
//! what both had committed must stay. In every schedule each side must commit one order on all its nodes, and after healing
//! have one leader, and everything everywhere. Who led both and was asked the same must have the same log.
//!
//! **Differences that are legal**, seen in the schedules that part:
//! * A leader that hears no quorum steps down some heartbeats sooner with one than with the other, so leaders are not
//!   compared after a heartbeat. Without a leader one may know less to be committed than the other.
//! * What a cut link lost is sent again with the next heartbeat by us, and with the next entry or heartbeat by raft-rs. An
//!   election in that moment finds logs of different length, or a follower that did not hear the leader.
//! * With a disk that hangs: we answer pre-votes at once, since they promise nothing, and raft-rs once the disk has written.
//!   So a term may be spent with us that nobody wins. And our leader steps down when its own disk hangs for long.
//! * What a leader placed and nobody else has stands in the log of whom it reached in time: the next leader may bring it
//!   with one and not with the other.
//! * Answers that a link held back: raft-rs forgets an election that a quorum refused, we count grants that come late.
//!
//! Off: what raft-rs has not (pulling a longer log, the word of a leader that resigns), by losing these messages.
//!
//! `DIFFERENTIAL_SEED=7 cargo test -p quorate-benches --test raft_rs same_schedule -- --nocapture` prints every step of
//! one schedule. With `--features mutations` bugs are planted inside the protocol as well.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that fails says so")]

mod differential;

use differential::{DriverBug, Outcome, Setup, run};
use std::collections::BTreeMap;

const SCHEDULES: u64 = 1000;

/// Of a hundred schedules so many may part at most; about three do.
const PARTED_PERCENT_MAX: u64 = 5;

#[test]
fn both_commit_the_same_under_the_same_schedule() {
    if let Ok(seed) = std::env::var("DIFFERENTIAL_SEED") {
        println!("{:?}", run(seed.parse().unwrap(), &Setup::default(), true).unwrap());
        return;
    }
    let outcomes: Vec<Outcome> = (0..SCHEDULES)
        .map(|seed| run(seed, &Setup::default(), false).unwrap_or_else(|why| panic!("{why}")))
        .collect();
    let mut parted: BTreeMap<&str, u64> = BTreeMap::new();
    for why in outcomes.iter().filter_map(|outcome| outcome.parted) {
        *parted.entry(why).or_default() += 1;
    }
    let sum = |of: fn(&Outcome) -> usize| outcomes.iter().map(of).sum::<usize>();
    let full = outcomes.iter().filter(|outcome| outcome.parted.is_none()).count() as u64;
    println!(
        "{SCHEDULES} schedules, {full} of them equal from end to end: {} steps, {} elections that both decided alike, {} \
         commands committed, all committed commands compared at rest {} times; parted: {parted:?}",
        sum(|o| o.steps),
        sum(|o| o.elections),
        sum(|o| o.committed),
        sum(|o| o.compared),
    );
    assert!((SCHEDULES - full) * 100 <= SCHEDULES * PARTED_PERCENT_MAX, "too little was compared");
    assert!(sum(|o| o.elections) as u64 > 2 * SCHEDULES && sum(|o| o.compared) as u64 > 4 * SCHEDULES);
}

/// The first schedule that shows a bug, and how.
fn found(setup: &Setup) -> Option<(u64, String)> {
    (0..SCHEDULES).find_map(|seed| Some((seed, run(seed, setup, false).err()?)))
}

#[test]
fn bugs_planted_in_our_driver_are_found() {
    for bug in [DriverBug::DurableTooEarly, DriverBug::SkipsCommands] {
        let setup = Setup { bug: Some(bug), ..Setup::default() };
        let (seed, why) = found(&setup).unwrap_or_else(|| panic!("{bug:?} is not found"));
        println!("{bug:?}: seed {seed}: {}", why.lines().next().unwrap_or_default());
    }
}

// Committing an older term's entry by counting is left out: here a new leader's own entry always arrives together with
// what it brings from older terms. `quorate-consensus` and the campaigns find it.
#[cfg(feature = "mutations")]
#[test]
fn bugs_planted_in_our_protocol_are_found() {
    use quorate_consensus::raft::{Mutation, RaftConfig};
    for bug in [Mutation::QuorumOffByOne, Mutation::AckBeforeSync, Mutation::VoteNotPersisted] {
        let config = RaftConfig { mutation: Some(bug), ..RaftConfig::default() };
        let setup = Setup { config, ..Setup::default() };
        let (seed, why) = found(&setup).unwrap_or_else(|| panic!("{bug:?} is not found"));
        println!("{bug:?}: seed {seed}: {}", why.lines().next().unwrap_or_default());
    }
}
