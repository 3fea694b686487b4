//! Settings of one replicated log, with meaning, bound and provenance of each.

use quorate_core::NodeId;
use std::time::Duration;

/// How a replica behaves. Public fields; [`RaftConfig::validate`] checks how they relate.
#[derive(Clone, PartialEq, Debug)]
pub struct RaftConfig {
    /// Least silence after which a follower stands for election; each wait is drawn from once to twice this, the
    /// sooner the likelier. At least ten round trips. Default 150 ms (Raft §9.3: 150-300 ms).
    pub election_timeout: Duration,
    /// How often a leader speaks at least. At most a third of the election timeout. Default 50 ms.
    pub heartbeat: Duration,
    /// How long a leader waits for the next append to carry a new commit index before it sends it alone.
    /// Longer saves messages, shorter serves followers. Default 1 ms (guess).
    pub commit_notice: Duration,
    /// A batch is closed when it has this many bytes. Default 256 KiB (measured: beyond it nothing is gained
    /// on loopback, and a frame holds one with room to spare).
    pub batch_bytes_max: usize,
    /// The longest proposal, in bytes. Must fit a frame of the transport, with a batch before it; see
    /// [`RaftConfig::frame_bytes_max`]. Default 512 KiB.
    pub entry_bytes_max: usize,
    /// Bytes proposed and not committed; beyond it proposals are answered Busy. Default 16 MiB (guess).
    pub uncommitted_bytes_max: usize,
    /// Appends on their way to one follower; beyond it new entries wait and form larger batches.
    /// Default 64 (guess).
    pub inflight_max: usize,
    /// Bytes on their way to one follower. Default 4 MiB (guess).
    pub inflight_bytes_max: usize,
    /// Bytes of the pieces in which a snapshot travels. Default 256 KiB.
    pub chunk_bytes: usize,
    /// Pieces on their way to one follower, and those that a follower's disk has not taken yet. Default 4 (guess).
    pub snapshot_inflight_max: usize,
    /// The pace at which a snapshot is sent, a follower. Default 64 MiB a second (guess: half of a gigabit link).
    pub snapshot_bytes_per_second: u64,
    /// The largest snapshot, in bytes: none is accepted from a leader beyond it, and so none is taken. A state that needs more stops
    /// compaction, and the log grows: see `not_taken` of [`RaftStatus`](super::RaftStatus). Default 1 GiB.
    pub snapshot_bytes_max: u64,
    /// A snapshot is taken when this many bytes of log were applied since the last. Default 4 MiB (guess).
    pub snapshot_log_bytes: usize,
    /// Or when this many entries were. Default 100,000 (guess: what is replayed in a fraction of a second).
    pub snapshot_log_entries: u64,
    /// Entries kept behind a snapshot so that followers that lag a little need no snapshot. Default 1,000 (guess).
    pub trailing_entries: u64,
    /// And no more bytes than this of them, whatever their number: long entries would else be kept by the hundred megabytes. In
    /// whole batches: of one that does not fit nothing is kept. Default 4 MiB (guess: as much as is applied between two snapshots).
    pub trailing_bytes_max: usize,
    /// Bytes of log that a witness, and with witnesses every voter, keeps for voters with state that lack it. Beyond that it
    /// forgets what is committed: such a voter can be elected again once it has it from another one. Default 64 MiB (guess: what a restart misses).
    pub witness_log_bytes: usize,
    /// By how much the rate of a clock may be off, in millionths, for reads by lease; 50,000 is 5 %. `None`, the default:
    /// there are none, and [`Read::Lease`](super::Read::Lease) is as `Linearizable`. At most 250,000. With it all voters must
    /// have the same election timeout.
    pub lease_drift_ppm: Option<u32>,
    /// Who had better lead, best first; whoever is not named stands behind all who are. Give the same to every node: with
    /// differing orders leadership goes from one to another, ever more rarely. A less preferred voter waits up to half an
    /// election timeout longer before it stands; a leader hands over to a more preferred voter that has been connected and
    /// caught up for ten timeouts. Steers who leads and nothing else. Default: empty, nobody.
    pub preferred: Vec<NodeId>,
    /// Proposals that wait to be decided, a replica; beyond it they are answered Busy. Default 65,536 (guess).
    pub promises_max: usize,
    /// Replicas without a vote that a leader serves; beyond it newcomers are not answered. Default 16 (guess).
    pub learners_max: usize,
    /// How long a change of voters waits for those who are to vote to be reached and to catch up, before it is refused.
    /// As long as sending them a snapshot may take. Default 60 s (guess).
    pub promotion_timeout: Duration,
    /// How long a proposal or a linearizable read waits on a replica that knows nobody who leads, before it is
    /// answered Rejected: right after a start, or while a leader is being replaced. Zero: not at all. Default 1 s
    /// (guess: some elections).
    pub leader_patience: Duration,
    /// How long a proposal may stay undecided before it is answered Unknown, and a read that the leader is asked for
    /// unanswered before it is Rejected. Default 10 s (guess).
    pub request_timeout: Duration,
    /// Client sessions kept; beyond it the one used longest ago is closed. Goes into the log with each session that
    /// is opened here, so that all replicas keep the same. Default 10,000.
    pub sessions_max: u32,
    /// Answers kept a session for commands whose answer it may not have seen. Goes into the log as well. Default
    /// 1,024 (guess).
    pub session_window: u32,
    /// A planted bug; see [`super::Mutation`].
    #[cfg(feature = "mutations")]
    pub mutation: Option<super::Mutation>,
}

impl Default for RaftConfig {
    fn default() -> Self {
        RaftConfig {
            election_timeout: Duration::from_millis(150),
            heartbeat: Duration::from_millis(50),
            commit_notice: Duration::from_millis(1),
            batch_bytes_max: 256 << 10,
            entry_bytes_max: 512 << 10,
            uncommitted_bytes_max: 16 << 20,
            inflight_max: 64,
            inflight_bytes_max: 4 << 20,
            chunk_bytes: 256 << 10,
            snapshot_inflight_max: 4,
            snapshot_bytes_per_second: 64 << 20,
            snapshot_bytes_max: 1 << 30,
            snapshot_log_bytes: 4 << 20,
            snapshot_log_entries: 100_000,
            trailing_entries: 1000,
            trailing_bytes_max: 4 << 20,
            witness_log_bytes: 64 << 20,
            lease_drift_ppm: None,
            preferred: Vec::new(),
            promises_max: 65_536,
            learners_max: 16,
            promotion_timeout: Duration::from_secs(60),
            leader_patience: Duration::from_secs(1),
            request_timeout: Duration::from_secs(10),
            sessions_max: 10_000,
            session_window: 1024,
            #[cfg(feature = "mutations")]
            mutation: None,
        }
    }
}

/// Settings that cannot work. Nothing was started.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RaftConfigError {
    /// Followers would stand for election between two heartbeats.
    #[error("heartbeat {heartbeat:?} is more than a third of the election timeout {election_timeout:?}")]
    HeartbeatTooSlow {
        /// The heartbeat.
        heartbeat: Duration,
        /// The election timeout.
        election_timeout: Duration,
    },
    /// Nothing would be left of a lease.
    #[error("clocks that are off by {0} millionths leave nothing of a lease; at most 250,000")]
    LeaseDrift(u32),
    /// A bound of zero admits nothing.
    #[error("{0} is zero")]
    Zero(&'static str),
    /// Nobody would ever lead.
    #[error("{0} would found alone, as a witness, which never leads")]
    WitnessAlone(NodeId),
    /// No one could vote.
    #[error("the founding names no voters")]
    NoVoters,
    /// The order of preference names one twice.
    #[error("{0} has two places in the order of preference")]
    PreferredTwice(NodeId),
    /// A voter counted twice would make a minority a majority.
    #[error("voter {0} is named twice")]
    VoterTwice(NodeId),
}

/// What a frame needs beside the entries or the piece of a snapshot that it carries: the heads of link, host and
/// message, rounded up.
const FRAME_HEADS: usize = 256;

impl RaftConfig {
    /// The defaults, made small enough for a transport whose frames have at most this many bytes: datagrams, say.
    /// Frames of 1 MiB need no other settings than the defaults.
    pub fn for_frames(frame_bytes_max: usize) -> RaftConfig {
        let default = RaftConfig::default();
        let room = frame_bytes_max.saturating_sub(FRAME_HEADS);
        // Half of it for the longest proposal, half for the batch that it may be added to.
        RaftConfig {
            entry_bytes_max: default.entry_bytes_max.min(room / 2),
            batch_bytes_max: default.batch_bytes_max.min(room / 2),
            chunk_bytes: default.chunk_bytes.min(room),
            ..default
        }
    }

    /// The largest frame that these settings can lead to, head included. A transport that carries less would drop
    /// what must arrive, again and again.
    pub fn frame_bytes_max(&self) -> usize {
        // A batch is closed by the proposal that brings it to its bound.
        let batch = self.batch_bytes_max.saturating_add(self.entry_bytes_max);
        batch.max(self.chunk_bytes).saturating_add(FRAME_HEADS)
    }

    /// Checks each setting and how they relate.
    pub fn validate(&self) -> Result<(), RaftConfigError> {
        let positive = [
            ("election_timeout", self.election_timeout.as_nanos()),
            ("heartbeat", self.heartbeat.as_nanos()),
            ("batch_bytes_max", self.batch_bytes_max as u128),
            ("entry_bytes_max", self.entry_bytes_max as u128),
            ("uncommitted_bytes_max", self.uncommitted_bytes_max as u128),
            ("inflight_max", self.inflight_max as u128),
            ("inflight_bytes_max", self.inflight_bytes_max as u128),
            ("chunk_bytes", self.chunk_bytes as u128),
            ("snapshot_bytes_max", u128::from(self.snapshot_bytes_max)),
            ("snapshot_inflight_max", self.snapshot_inflight_max as u128),
            ("snapshot_bytes_per_second", self.snapshot_bytes_per_second.into()),
            ("snapshot_log_bytes", self.snapshot_log_bytes as u128),
            ("snapshot_log_entries", self.snapshot_log_entries.into()),
            ("trailing_bytes_max", self.trailing_bytes_max as u128),
            ("witness_log_bytes", self.witness_log_bytes as u128),
            ("promises_max", self.promises_max as u128),
            ("sessions_max", self.sessions_max.into()),
            ("session_window", self.session_window.into()),
        ];
        if let Some((name, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return Err(RaftConfigError::Zero(name));
        }
        if let Some(ppm) = self.lease_drift_ppm.filter(|ppm| *ppm > 250_000) {
            return Err(RaftConfigError::LeaseDrift(ppm));
        }
        let twice = |(at, id): (usize, &NodeId)| self.preferred[..at].contains(id);
        if let Some(at) = (0..self.preferred.len()).find(|at| twice((*at, &self.preferred[*at]))) {
            return Err(RaftConfigError::PreferredTwice(self.preferred[at]));
        }
        if self.heartbeat.saturating_mul(3) > self.election_timeout {
            let (heartbeat, election_timeout) = (self.heartbeat, self.election_timeout);
            return Err(RaftConfigError::HeartbeatTooSlow { heartbeat, election_timeout });
        }
        Ok(())
    }
}

/// How a replica comes to be on an empty journal. On one that already holds a log it changes nothing: the
/// journal's electorate beats the builder's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Founding {
    /// One of the first voters. Every founder is given the same set.
    Found(Vec<NodeId>),
    /// A newcomer, or one that lost its disk: it learns the log from whoever of these leads, and has no vote
    /// under this journal.
    Join(Vec<NodeId>),
}

impl Founding {
    /// The voters in order, checked.
    pub fn validated(&self) -> Result<Vec<NodeId>, RaftConfigError> {
        let Founding::Found(voters) = self else { return Ok(Vec::new()) };
        let mut voters = voters.clone();
        voters.sort_unstable();
        if voters.is_empty() {
            return Err(RaftConfigError::NoVoters);
        }
        if let Some(pair) = voters.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(RaftConfigError::VoterTwice(pair[0]));
        }
        Ok(voters)
    }
}
