//! The planted bugs that no campaign is held to are caught by a test here: its body is run with the bug in it, and must
//! fail. And the page of what others got wrong names, line by line, tests and planted bugs that exist.

use crate::page::{here, is_test, names, sources};
use quorate_consensus::raft::RaftConfig;

#[cfg(feature = "mutations")]
thread_local! {
    /// What clusters of this thread suffer from.
    static BUG: std::cell::Cell<Option<quorate_consensus::raft::Mutation>> = const { std::cell::Cell::new(None) };
}

/// The settings of a cluster, with the bug that is planted in this thread, if there is one.
pub fn planted(config: RaftConfig) -> RaftConfig {
    #[cfg(feature = "mutations")]
    return RaftConfig { mutation: BUG.get().or(config.mutation), ..config };
    #[cfg(not(feature = "mutations"))]
    config
}

#[cfg(feature = "mutations")]
mod caught {
    use super::BUG;
    use crate::{
        elections, leases, objects_kept, partial, ports, replication, rollback, snapshots, strangers,
        transfer, voters, witness,
    };
    use quorate_consensus::raft::Mutation;
    use std::panic::catch_unwind;

    macro_rules! tests {
        ($($($part:ident)::+,)+) => {
            /// Tests by their names.
            const TESTS: &[(&str, fn())] = &[$((concat!($("::", stringify!($part)),+), $($part)::+)),+];
        };
    }

    tests! {
        elections::a_leader_whose_disk_hangs_is_replaced,
        elections::a_node_that_abstains_votes_and_never_leads,
        elections::a_stale_pre_vote_round_starts_no_campaign_after_leadership_was_won,
        elections::granting_a_pre_vote_does_not_count_as_hearing_from_a_leader,
        elections::nodes_at_a_lower_term_learn_the_higher_one_and_elect,
        leases::a_leader_whose_clocks_disagree_has_no_lease,
        leases::a_voter_grants_nothing_for_a_timeout_after_a_boot_or_an_acknowledgement,
        objects_kept::another_snapshot_of_the_same_entry_begins_anew,
        objects_kept::the_object_before_is_removed_when_the_record_of_the_next_one_is_on_disk,
        partial::a_tail_of_an_old_term_gives_way_to_a_newer_log_piece_by_piece,
        partial::the_only_node_with_a_quorum_pulls_what_it_lacks_and_leads,
        ports::a_compaction_trigger_that_comes_during_a_build_is_not_lost,
        ports::a_restarted_node_serves_nothing_until_its_state_machine_is_whole,
        replication::a_stale_conflict_after_a_success_reverts_nothing,
        replication::an_acknowledgement_of_an_older_term_does_not_count,
        replication::every_append_names_an_entry_before_it_that_the_leader_has,
        rollback::nobody_is_elected_with_the_vote_of_a_disk_that_forgot_what_is_committed,
        transfer::a_transfer_that_fails_gives_the_leader_its_writes_back,
        snapshots::a_chunk_resent_doubled_or_out_of_order_changes_nothing,
        snapshots::a_failed_install_loses_nothing_and_is_not_tried_for_ever,
        snapshots::a_snapshot_of_a_later_term_at_an_already_committed_index_is_answered_and_changes_nothing,
        strangers::an_acknowledgement_does_not_count_for_the_next_journal_of_the_same_node,
        strangers::a_node_with_a_different_founding_set_joins_no_quorum,
        witness::a_voter_that_is_behind_gets_from_a_witness_what_the_lost_leader_had_committed,
        witness::a_witness_is_never_elected_nor_handed_leadership,
        witness::what_only_witnesses_have_on_disk_is_not_committed,
        voters::interrupted::a_change_is_completed_by_the_next_leader_wherever_the_first_one_crashed,
        voters::removed::a_voter_that_was_removed_while_it_was_away_raises_no_term_and_is_told,
        voters::removed::one_that_does_not_know_yet_that_it_votes_does_vote_when_it_is_asked,
    }

    fn passes(bug: Option<Mutation>, body: fn()) -> bool {
        BUG.set(bug);
        let passed = catch_unwind(body).is_ok();
        BUG.set(None);
        passed
    }

    #[test]
    fn every_bug_that_no_campaign_is_held_to_fails_the_test_that_it_names() {
        let mut missed = Vec::new();
        for (bug, test) in Mutation::BY_TEST {
            let found = TESTS.iter().find(|(name, _)| name.trim_start_matches("::") == *test);
            let (_, body) = found.unwrap_or_else(|| panic!("{test} is not in the list"));
            if !passes(None, *body) || passes(Some(*bug), *body) {
                missed.push((bug, test));
            }
        }
        assert!(missed.is_empty(), "{missed:?}");
        assert!(TESTS.len() >= 15 && TESTS.len() <= Mutation::BY_TEST.len(), "{}", TESTS.len());
    }
}

/// The lines of the page: number, and the names of tests and of planted bugs.
fn lines(page: &str) -> Vec<(&str, Vec<&str>, Vec<&str>)> {
    let rows = page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| no. "));
    rows.map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [number, _, _, tests, bugs] = cells[..] else { panic!("{line}: {} cells", cells.len()) };
        (number, names(tests).collect(), names(bugs).collect())
    })
    .collect()
}

#[test]
fn every_line_of_what_others_got_wrong_has_tests_and_a_planted_bug_and_they_exist() {
    let page = std::fs::read_to_string(here().join("../../docs/protocols/raft-bugs.md")).unwrap();
    let (lines, sources) = (lines(&page), sources(&here().join("tests/raft")));
    let numbers: Vec<&str> = lines.iter().map(|(number, _, _)| *number).collect();
    let mut expected: Vec<String> = (1..=30).map(|number| number.to_string()).collect();
    for (behind, more) in
        [("19", ["19b", "19c"].as_slice()), ("23", &["23b"]), ("29", &["29b", "29c", "29d"])]
    {
        let at = expected.iter().position(|number| number == behind).unwrap() + 1;
        expected.splice(at..at, more.iter().map(|number| (*number).to_owned()));
    }
    assert_eq!(numbers, expected);
    let source = std::fs::read_to_string(here().join("src/raft/mutation.rs")).unwrap();
    let declares = |line: &&str| line.trim_start().starts_with(char::is_uppercase);
    let declared =
        source.lines().filter(declares).filter_map(|line| line.split_once(" = \"")?.1.split('"').next());
    let all: Vec<&str> = declared.collect();
    for (number, tests, bugs) in &lines {
        assert!(!tests.is_empty() && tests.iter().all(|test| is_test(&sources, test)), "{number}: {tests:?}");
        assert!(!bugs.is_empty() && bugs.iter().all(|bug| all.contains(bug)), "{number}: {bugs:?}");
    }
    let named: Vec<&str> = lines.iter().flat_map(|(_, _, bugs)| bugs.iter().copied()).collect();
    let missing: Vec<&&str> = all.iter().filter(|bug| !named.contains(bug)).collect();
    assert!(missing.is_empty() && all.len() >= 50, "{} bugs, not on the page: {missing:?}", all.len());
}
