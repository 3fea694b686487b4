//! The campaigns in small: clean on some hundred seeds, blind to no planted bug, the same whenever they run.
#![allow(clippy::unwrap_used)]

use quorate::sim::FaultKind;
use quorate_examples::campaign::{Protocol, by_name, by_test, mutations, planted};
use std::collections::BTreeSet;
use std::ops::Range;

fn campaign(name: &str) -> &'static Protocol {
    by_name(name).unwrap()
}

fn is_clean(name: &str, seeds: Range<u64>) {
    let report = campaign(name).campaign(seeds, None, |_| {});
    assert!(report.is_clean(), "{report}");
}

#[test]
fn raft_keeps_its_promises_under_every_fault() {
    is_clean("raft", 0..500);
}

#[test]
fn many_groups_keep_their_promises_asleep_and_awake_under_every_fault() {
    is_clean("groups", 0..300);
}

#[test]
fn work_is_neither_lost_nor_done_twice_under_every_fault() {
    is_clean("work", 0..250);
}

#[test]
fn seeds_that_found_something_once_find_nothing_now() {
    for line in include_str!("seeds.txt").lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split(' ');
        let (name, seed) = (words.next().unwrap(), words.next().unwrap().parse::<u64>().unwrap());
        assert!(words.next().is_some(), "{line}: what did it find?");
        is_clean(name, seed..seed + 1);
    }
}

// A thousand seeds of the work may well have none, and that says nothing.
#[test]
fn a_fault_that_strikes_in_one_of_hundreds_of_seeds_is_expected_of_ten_thousand() {
    for name in ["raft", "groups", "work"] {
        let expected = |seeds| campaign(name).expected(seeds).0;
        assert!(!expected(1_000).contains(&FaultKind::ObjectTorn), "{name}");
        assert!(expected(10_000).contains(&FaultKind::ObjectTorn), "{name}");
        assert!(expected(1_000).contains(&FaultKind::ObjectFailed) && expected(999).is_empty(), "{name}");
    }
}

/// Caught within the budget that it has in the table.
fn is_caught(mutation: &str) {
    let planted = planted().find(|planted| planted.mutation == mutation).unwrap();
    assert!(planted.catch().is_some(), "{} seeds did not catch {mutation}", planted.budget);
}

#[test]
fn every_planted_bug_has_a_test_here() {
    let tested = BTreeSet::from(TESTED);
    assert_eq!(tested, planted().map(|planted| planted.mutation).collect());
    // The consensus crate runs the others' tests with them.
    let by_test: BTreeSet<&str> = by_test().map(|(mutation, _)| mutation).collect();
    assert!(tested.is_disjoint(&by_test));
    assert_eq!(&tested | &by_test, mutations().into_iter().collect());
}

#[test]
fn the_page_says_who_catches_each_planted_bug() {
    let page = include_str!("../../docs/SIMULATOR.md");
    let says = |mutation: &str, by: &str| {
        page.lines().any(|line| line.split_whitespace().next() == Some(mutation) && line.contains(by))
    };
    for planted in planted() {
        let budget = format!(" {} ", planted.budget);
        assert!(says(planted.mutation, &budget), "{}", planted.mutation);
    }
    for (mutation, test) in by_test() {
        assert!(says(mutation, test), "{mutation}");
    }
}

macro_rules! caught {
    ($($test:ident: $mutation:literal,)*) => {
        const TESTED: [&str; [$($mutation),*].len()] = [$($mutation),*];
        $(#[test]
        fn $test() {
            is_caught($mutation);
        })*
    };
}

caught! {
    an_acknowledgement_before_the_sync_is_caught: "ack-before-sync",
    a_vote_that_is_not_written_down_is_caught: "vote-not-persisted",
    a_quorum_that_lacks_one_is_caught: "quorum-off-by-one",
    a_commit_of_an_older_term_by_counting_is_caught: "commit-older-term-by-counting",
    a_read_before_the_terms_first_commit_is_caught: "read-before-first-commit",
    a_snapshot_without_sessions_is_caught: "snapshot-without-sessions",
    an_append_without_the_entry_before_is_caught: "append-without-previous",
    a_change_before_the_last_one_is_committed_is_caught: "change-too-early",
    a_change_without_a_joint_configuration_is_caught: "change-without-joint",
    a_commit_beyond_what_matched_is_caught: "commit-beyond-matched",
    a_configuration_that_is_not_taken_back_is_caught: "configuration-not-taken-back",
    a_change_decided_by_one_body_is_caught: "joint-by-one-body",
    a_vote_from_any_disk_is_caught: "journal-ignored",
    a_leader_that_counts_itself_early_is_caught: "leader-counts-itself-early",
    a_lease_that_outlives_a_transfer_is_caught: "lease-outlives-transfer",
    logs_compared_by_their_length_are_caught: "logs-by-length-only",
    a_log_pulled_from_anybody_is_caught: "pull-any-log",
    a_read_by_an_old_round_is_caught: "read-by-an-old-round",
    a_read_before_it_is_applied_is_caught: "read-unapplied",
    a_read_that_nobody_confirmed_is_caught: "read-unconfirmed",
    a_snapshot_without_the_body_that_goes_is_caught: "snapshot-without-outgoing",
    a_stale_append_that_truncates_is_caught: "stale-append-truncates",
    a_voter_that_forgets_its_leader_is_caught: "unbound-by-newer-term",
    a_vote_for_a_shorter_log_is_caught: "vote-for-shorter-log",
    a_second_vote_in_a_term_is_caught: "vote-twice",
    claims_that_nobody_checks_are_caught: "claims-unchecked",
    marks_of_groups_out_of_step_are_caught: "marks-out-of-step",
    a_removal_that_is_forgotten_is_caught: "removal-forgotten",
    a_rewrite_that_drops_other_groups_is_caught: "rewrite-drops-others",
    a_follower_that_sleeps_through_its_leaders_death_is_caught: "sleeps-through-death",
    a_record_before_its_object_is_caught: "record-before-object",
    a_pre_vote_that_counts_as_a_vote_is_caught: "pre-vote-counts-as-vote",
    a_pre_vote_that_frees_the_vote_is_caught: "pre-vote-frees-vote",
    a_vote_before_the_sync_is_caught: "vote-before-sync",
    a_window_that_leaks_is_caught: "window-leaks",
    a_commit_beyond_the_log_is_caught: "commit-beyond-log",
    a_removed_leader_that_counts_itself_is_caught: "removed-counts-itself",
    a_snapshot_that_holds_its_follower_is_caught: "snapshot-holds-follower",
    a_lease_without_its_epoch_is_caught: "lease-without-epoch",
    a_stale_completion_that_is_accepted_is_caught: "stale-completion-accepted",
}

#[test]
fn a_seed_is_the_same_run_each_time() {
    for name in ["raft", "groups", "work"] {
        let hash = || campaign(name).campaign(1_000..1_005, None, |_| {}).trace_hash;
        assert_eq!(hash(), hash(), "{name}");
    }
    // Nor does the number of threads change anything.
    let on = |threads| {
        let report = campaign("raft").campaign_on(threads, 1_000..1_040, None, |_| {});
        (report.trace_hash, report.stats, report.coverage)
    };
    assert_eq!(on(1.try_into().unwrap()), on(3.try_into().unwrap()));
    // Nor does it matter whether somebody reads what happens.
    let mut unread = 0;
    campaign("raft").campaign(7..8, None, |progress| unread = progress.outcome.trace_hash);
    let read = campaign("raft").trace(7, None, Box::new(std::io::sink()));
    assert_eq!(read.trace_hash, unread);
    let hash = |seeds| campaign("raft").campaign(seeds, None, |_| {}).trace_hash;
    assert_ne!(hash(0..1), hash(1..2));
}
