//! What a replica knows of another one: who it is, and, while leading, how far it has come.

use super::{Index, Voter, rollback::Said, sending::Sending};
use quorate_core::{Boot, JournalId, NodeId, Time};
use std::collections::VecDeque;

/// Another replica.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Peer {
    pub id: NodeId,
    /// Named by the configuration in force, or by the founding before there is one; on whatever disk.
    pub voter: bool,
    /// The life that the link was shaken hands with, while it is up.
    pub boot: Option<Boot>,
    /// The last such life, also after the link went down: what is known here is known of that one.
    pub life: Option<Boot>,
    /// What this journal of its has said so far.
    pub said: Said,
    /// It runs on a disk that has forgotten what it promised: its word does not count.
    pub rolled_back: bool,
    /// It acknowledges as one without state.
    pub witness: bool,
    /// The journal under which it was met while the cluster is being founded.
    pub pin: Option<JournalId>,
    /// The pins that it said it wrote down, as a digest, while the cluster is being founded.
    pub pins: Option<u64>,
    /// Its answer in the current (pre-)election.
    pub granted: Option<bool>,
    /// When it last answered while this replica leads.
    pub heard_at: Time,
    /// The newest round it answered in this term.
    pub round: u64,
    pub matched: Index,
    /// The next entry to send.
    pub next: Index,
    pub flow: Flow,
    /// Appends on their way: their last index and bytes.
    pub inflight: VecDeque<(Index, usize)>,
    pub inflight_bytes: usize,
    /// The snapshot that it is sent.
    pub sending: Option<Box<Sending>>,
}

/// How a leader feeds a follower (etcd/raft's three states).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Flow {
    /// Where the logs part is not known yet: one append at a time.
    Probe {
        /// One with entries is on its way. If it is lost, the answer to the next heartbeat tells.
        waiting: bool,
    },
    /// Appends follow one another without waiting.
    Replicate,
    /// It needs what the log no longer holds: see [`Peer::sending`].
    Snapshot,
}

impl Peer {
    pub fn new(id: NodeId, voter: bool, boot: Option<Boot>) -> Peer {
        Peer {
            id,
            voter,
            boot,
            life: boot,
            said: Said::default(),
            rolled_back: false,
            witness: false,
            pin: None,
            pins: None,
            granted: None,
            heard_at: Time::ZERO,
            round: 0,
            matched: 0,
            next: 1,
            flow: Flow::Probe { waiting: false },
            inflight: VecDeque::new(),
            inflight_bytes: 0,
            sending: None,
        }
    }

    /// Whether its link is up and it runs on the disk of this voter: its word counts as that voter's.
    pub fn speaks_as(&self, voter: &Voter) -> bool {
        self.boot.is_some_and(|boot| boot.journal == voter.journal) && !self.rolled_back
    }

    /// Its link came up under this life. What an earlier life said is forgotten as far as it died with it. True if it is an
    /// older life of the journal than the one before: its disk was put back.
    pub fn greet(&mut self, boot: Boot) -> bool {
        self.boot = Some(boot);
        let Some(before) = self.life.replace(boot) else { return false };
        if before == boot {
            return false;
        }
        // Whatever was on its way died with that life; the next heartbeat asks anew.
        self.granted = None;
        self.probe_from(self.next);
        if before.journal == boot.journal {
            self.said.begin_life(self.matched);
            return boot.incarnation < before.incarnation;
        }
        // Another disk: what was acknowledged is on the other one, and must not count for this one.
        (self.matched, self.round) = (0, 0);
        (self.said, self.rolled_back, self.witness) = (Said::default(), false, false);
        false
    }

    /// A leader begins: nothing is known of it but who it is.
    pub fn reset(&mut self, next: Index, now: Time) {
        self.heard_at = now;
        self.round = 0;
        self.matched = 0;
        self.said.begin_leading();
        self.probe_from(next);
    }

    pub fn probe_from(&mut self, next: Index) {
        self.next = next;
        self.flow = Flow::Probe { waiting: false };
        self.inflight.clear();
        self.inflight_bytes = 0;
        self.sending = None;
    }

    pub fn sent(&mut self, last: Index, bytes: usize) {
        self.next = last + 1;
        self.inflight.push_back((last, bytes));
        self.inflight_bytes += bytes;
    }

    pub fn acknowledged(&mut self, upto: Index) {
        while let Some((last, bytes)) = self.inflight.front()
            && *last <= upto
        {
            self.inflight_bytes -= bytes;
            self.inflight.pop_front();
        }
    }
}
