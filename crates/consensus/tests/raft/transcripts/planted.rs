//! Each planted bug breaks what a transcript expects, so that it would be found even if all were written anew.

use super::{all, run};
use quorate_consensus::raft::{Mutation, RaftConfig};
use std::panic::{AssertUnwindSafe, catch_unwind};

#[derive(PartialEq, Eq, Debug)]
enum Outcome {
    AsWritten,
    Otherwise,
    /// An expectation, a property of figure 3, or an assertion of the replica does not hold.
    Broken,
}

fn with(mutation: Mutation) -> Vec<(String, Outcome)> {
    let config = || RaftConfig { mutation: Some(mutation), ..RaftConfig::default() };
    let outcome = |text: &str| match catch_unwind(AssertUnwindSafe(|| run(text, config()))) {
        Ok(Ok(now)) if now == text => Outcome::AsWritten,
        Ok(Ok(_)) => Outcome::Otherwise,
        Ok(Err(_)) | Err(_) => Outcome::Broken,
    };
    all().into_iter().map(|(name, _, text)| (name, outcome(&text))).collect()
}

#[test]
fn every_planted_bug_of_the_protocol_breaks_the_transcript_that_is_about_it() {
    let about = [
        (Mutation::AckBeforeSync, "ack_only_after_sync"),
        (Mutation::VoteNotPersisted, "restart_replays"),
        (Mutation::QuorumOffByOne, "check_quorum"),
        (Mutation::CommitOlderTermByCounting, "figure_8"),
        (Mutation::ReadBeforeFirstCommit, "read_index"),
        (Mutation::WitnessForgets, "witness_lets_the_other_go_on"),
        (Mutation::WitnessesSuffice, "witness_waits_for_state"),
        (Mutation::WitnessStands, "witness_never_leads"),
    ];
    for (mutation, transcript) in about {
        let mut outcomes = with(mutation);
        outcomes.retain(|(_, outcome)| *outcome != Outcome::AsWritten);
        assert!(outcomes.contains(&(transcript.into(), Outcome::Broken)), "{mutation:?}: {outcomes:?}");
    }
    // Sessions are the port's: a replica sees bytes, and no transcript can show what is in them.
    let outcomes = with(Mutation::SnapshotWithoutSessions);
    assert!(outcomes.iter().all(|(_, outcome)| *outcome == Outcome::AsWritten), "{outcomes:?}");
}

// Some need what no transcript shows: clocks that go wrong, voters on other disks, a change of voters that is interrupted.
#[test]
fn most_planted_bugs_are_seen_in_some_transcript() {
    let seen =
        Mutation::ALL.iter().filter(|(_, bug)| with(*bug).iter().any(|(_, o)| *o != Outcome::AsWritten));
    let seen: Vec<&str> = seen.map(|(name, _)| *name).collect();
    assert!(seen.len() >= 16, "{seen:?}");
}
