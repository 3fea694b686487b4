//! Planted classic bugs. A campaign, or a test, that does not catch each of them proves nothing.

use super::RaftConfig;

/// Declares the bugs, in the order of `docs/protocols/raft-bugs.md`: what is done wrong, its name here, its name in
/// campaigns, and the test that catches it if no campaign is to.
macro_rules! planted {
    ($($(#[doc = $done:literal])+ $bug:ident = $name:literal $(by $test:literal)?,)+) => {
        /// Which bug.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Mutation {
            $($(#[doc = $done])+ $bug,)+
        }

        #[cfg(feature = "mutations")]
        impl Mutation {
            /// All of them, by their names.
            pub const ALL: [(&'static str, Mutation); [$($name),+].len()] = [$(($name, Mutation::$bug)),+];

            /// Those that campaigns miss, or meet too rarely to be held to it, each with the test that catches it.
            pub const BY_TEST: &'static [(Mutation, &'static str)] = &[$($((Mutation::$bug, $test),)?)+];
        }
    };
}

planted! {
    /// Takes no notice of the newer term that a refused pre-vote tells.
    PreVoteTermNotLearned = "pre-vote-term-not-learned" by "elections::nodes_at_a_lower_term_learn_the_higher_one_and_elect",
    /// A pre-vote that it granted counts as a word of a leader.
    PreVoteHeardAsLeader = "pre-vote-heard-as-leader" by "elections::granting_a_pre_vote_does_not_count_as_hearing_from_a_leader",
    /// Pre-votes that it was granted count as votes.
    PreVoteCountsAsVote = "pre-vote-counts-as-vote",
    /// Granting a pre-vote, it forgets whom it voted for.
    PreVoteFreesVote = "pre-vote-frees-vote",
    /// Term and vote are not written down.
    VoteNotPersisted = "vote-not-persisted",
    /// Answers with a vote that is not on disk yet.
    VoteBeforeSync = "vote-before-sync",
    /// Votes for everybody who asks, also twice in a term.
    VoteTwice = "vote-twice",
    /// Pre-votes of an earlier round start a campaign, whatever it is by now.
    StalePreVoteCampaigns = "stale-pre-vote-campaigns" by "elections::a_stale_pre_vote_round_starts_no_campaign_after_leadership_was_won",
    /// Leads on while its disk stalls.
    StalledDiskLeads = "stalled-disk-leads" by "elections::a_leader_whose_disk_hangs_is_replaced",
    /// Stands for election although its state machine is lost.
    LostStateStands = "lost-state-stands" by "elections::a_node_that_abstains_votes_and_never_leads",
    /// Votes for candidates whose logs lack entries.
    VoteForShorterLog = "vote-for-shorter-log",
    /// Compares logs by their length, whatever their terms.
    LogsByLengthOnly = "logs-by-length-only",
    /// One voter less than a majority decides.
    QuorumOffByOne = "quorum-off-by-one",
    /// Does not make its log longer when it is too short to be elected with.
    ShortLogNotPulled = "short-log-not-pulled" by "partial::the_only_node_with_a_quorum_pulls_what_it_lacks_and_leads",
    /// Pulls logs that are no more up to date than its own.
    PullAnyLog = "pull-any-log",
    /// Judges a piece that it pulls by where the piece ends, not by where the log does that it is of.
    PiecesJudgedAlone = "pieces-judged-alone" by "partial::a_tail_of_an_old_term_gives_way_to_a_newer_log_piece_by_piece",
    /// Commits an entry of an older term because a quorum has it (Raft figure 8).
    CommitOlderTermByCounting = "commit-older-term-by-counting",
    /// Counts acknowledgements of older terms.
    StaleAckCounts = "stale-ack-counts" by "replication::an_acknowledgement_of_an_older_term_does_not_count",
    /// Believes a conflict that is older than what matched since.
    StaleConflictReverts = "stale-conflict-reverts" by "replication::a_stale_conflict_after_a_success_reverts_nothing",
    /// Takes back the entries behind an append that matches (AppendEntries 3).
    StaleAppendTruncates = "stale-append-truncates",
    /// Appends without regard to the entry before (AppendEntries 2).
    AppendWithoutPrevious = "append-without-previous",
    /// As leader sends what its log still holds and no entry before it, when it cannot read further back.
    AppendFromNowhere = "append-from-nowhere" by "replication::every_append_names_an_entry_before_it_that_the_leader_has",
    /// Acknowledges entries before they are on disk, as follower and as leader.
    AckBeforeSync = "ack-before-sync",
    /// As leader counts itself before its own entries are on disk.
    LeaderCountsItselfEarly = "leader-counts-itself-early",
    /// What is on its way to a follower is never taken off its window.
    WindowLeaks = "window-leaks",
    /// As follower commits entries that are not known to be the leader's.
    CommitBeyondMatched = "commit-beyond-matched",
    /// As follower believes any commit index, also one beyond its log.
    CommitBeyondLog = "commit-beyond-log",
    /// Answers reads before the term's first commit.
    ReadBeforeFirstCommit = "read-before-first-commit",
    /// Takes answers to earlier rounds for the confirmation of a read.
    ReadByAnOldRound = "read-by-an-old-round",
    /// Answers reads without asking anybody.
    ReadUnconfirmed = "read-unconfirmed",
    /// Answers reads before what was committed is applied.
    ReadUnapplied = "read-unapplied",
    /// Reads by lease while leadership is handed over.
    LeaseOutlivesTransfer = "lease-outlives-transfer",
    /// Reads by lease although its clocks disagree about how much time has passed.
    LeaseDespiteClocks = "lease-despite-clocks" by "leases::a_leader_whose_clocks_disagree_has_no_lease",
    /// Votes although it acknowledged a leader a moment ago.
    UnboundByNewerTerm = "unbound-by-newer-term",
    /// Votes at once after a start.
    UnboundAfterBoot = "unbound-after-boot" by "leases::a_voter_grants_nothing_for_a_timeout_after_a_boot_or_an_acknowledgement",
    /// During a change the new body decides alone.
    JointByOneBody = "joint-by-one-body",
    /// Goes from one body of voters to another without both.
    ChangeWithoutJoint = "change-without-joint",
    /// Begins a change before the one before is committed.
    ChangeTooEarly = "change-too-early",
    /// Leaves only a joint configuration that it began itself.
    JointNotLeft = "joint-not-left" by "voters::interrupted::a_change_is_completed_by_the_next_leader_wherever_the_first_one_crashed",
    /// Keeps a configuration whose entry was overwritten.
    ConfigurationNotTakenBack = "configuration-not-taken-back",
    /// A leader that has no vote any more counts itself in the place of one that has.
    RemovedCountsItself = "removed-counts-itself",
    /// Does not tell one that asks for votes that it has none any more.
    RemovedNotTold = "removed-not-told" by "voters::removed::a_voter_that_was_removed_while_it_was_away_raises_no_term_and_is_told",
    /// Gives no vote before its own log says that it has one.
    LearnerRefusesVote = "learner-refuses-vote" by "voters::removed::one_that_does_not_know_yet_that_it_votes_does_vote_when_it_is_asked",
    /// Snapshots leave out the body that is going.
    SnapshotWithoutOutgoing = "snapshot-without-outgoing",
    /// Installs snapshots of what it knows to be committed.
    SnapshotOfThePast = "snapshot-of-the-past" by "snapshots::a_snapshot_of_a_later_term_at_an_already_committed_index_is_answered_and_changes_nothing",
    /// Puts pieces of a snapshot one behind the other, wherever they belong.
    PiecesAnywhere = "pieces-anywhere" by "snapshots::a_chunk_resent_doubled_or_out_of_order_changes_nothing",
    /// Gives up its log for a snapshot that could not be restored.
    FailedInstallCounts = "failed-install-counts" by "snapshots::a_failed_install_loses_nothing_and_is_not_tried_for_ever",
    /// Goes on with the pieces of one snapshot behind those of another.
    ResumeAnySnapshot = "resume-any-snapshot" by "objects_kept::another_snapshot_of_the_same_entry_begins_anew",
    /// Removes the object of the snapshot before when the record that names another one is not on disk yet.
    DiscardTooEarly = "discard-too-early" by "objects_kept::the_object_before_is_removed_when_the_record_of_the_next_one_is_on_disk",
    /// Writes the record of a snapshot whose object is not on disk yet.
    RecordBeforeObject = "record-before-object",
    /// A follower whose snapshot ends with the last entry is sent nothing more.
    SnapshotHoldsFollower = "snapshot-holds-follower",
    /// A restarted replica answers before it has applied what it had applied before.
    ServesBeforeWhole = "serves-before-whole" by "ports::a_restarted_node_serves_nothing_until_its_state_machine_is_whole",
    /// A handover that comes to nothing is never over.
    TransferForEver = "transfer-for-ever" by "transfer::a_transfer_that_fails_gives_the_leader_its_writes_back",
    /// What is applied while a snapshot is made does not count for the next one.
    TriggerLost = "trigger-lost" by "ports::a_compaction_trigger_that_comes_during_a_build_is_not_lost",
    /// Counts a voter whatever disk it speaks from.
    JournalIgnored = "journal-ignored",
    /// Listens to those of another founding.
    OtherFoundingHeard = "other-founding-heard" by "strangers::a_node_with_a_different_founding_set_joins_no_quorum",
    /// What a node acknowledged on one disk counts for the next one.
    AcknowledgedOnAnotherDisk = "acknowledged-on-another-disk" by "strangers::an_acknowledgement_does_not_count_for_the_next_journal_of_the_same_node",
    /// Counts the word of a voter that runs on an old copy of its disk.
    OldDiskCounts = "old-disk-counts" by "rollback::nobody_is_elected_with_the_vote_of_a_disk_that_forgot_what_is_committed",
    /// A witness stands for election.
    WitnessStands = "witness-stands" by "witness::a_witness_is_never_elected_nor_handed_leadership",
    /// What only witnesses have on disk is committed.
    WitnessesSuffice = "witnesses-suffice" by "witness::what_only_witnesses_have_on_disk_is_not_committed",
    /// A witness forgets what is committed, whoever lacks it.
    WitnessForgets = "witness-forgets" by "witness::a_voter_that_is_behind_gets_from_a_witness_what_the_lost_leader_had_committed",
    /// Snapshots leave out the sessions, so that a repeated command is applied again.
    SnapshotWithoutSessions = "snapshot-without-sessions",
}

impl RaftConfig {
    /// Whether this bug is planted. Never in a build without the feature `mutations`.
    #[inline]
    pub(super) fn suffers(&self, bug: Mutation) -> bool {
        #[cfg(feature = "mutations")]
        return self.mutation == Some(bug);
        #[cfg(not(feature = "mutations"))]
        {
            let _ = bug;
            false
        }
    }
}
