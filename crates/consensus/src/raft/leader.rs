//! Leading: batches out, acknowledgements in, the commit index forward (Raft §5.3, §5.4.2).

use super::{
    Append, Batch, Batches, Event, Index, LogId, Msg, Mutation, OpenBatch, Outcome, Raft, Record, Role, Term,
    change::Changing, configuration::Decision, lease::Lease, peer::Flow, preference::Favourite, read::Reads,
    transfer::Transfer,
};
use quorate_core::{Cx, Mark, NodeId, Recipients, Time};
use std::collections::VecDeque;
use std::sync::Arc;

/// What only a leader has.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Leader {
    /// Proposals that came since the last wake.
    pub open: OpenBatch,
    /// The term's first entry; nothing before its commit is this leader's to report.
    pub first: Index,
    /// Own entries that are not on disk yet: mark, last index, when.
    pub writing: VecDeque<(Mark, Index, Time)>,
    /// Up to where this leader's own log is on disk.
    pub matched: Index,
    /// Counts what is asked of followers in this term.
    pub round: u64,
    pub reads: Reads,
    /// When it speaks to all followers, unless it spoke meanwhile.
    pub heartbeat_at: Time,
    /// When what it says to all followers counts as a heartbeat again, whatever made it speak: one that has much to say
    /// has no other.
    pub beat_at: Time,
    /// When it spoke to all followers last.
    pub said_at: Time,
    pub quorum_check_at: Time,
    /// When followers are told a commit index that no append has carried yet.
    pub notice_at: Time,
    /// When some follower may be sent the next piece of a snapshot.
    pub piece_at: Time,
    /// Bytes sealed and not committed: last index, bytes.
    pub uncommitted: VecDeque<(Index, usize)>,
    pub uncommitted_bytes: usize,
    /// Where there are witnesses: up to where all voters with state have the log.
    pub released: Index,
    pub transfer: Option<Transfer>,
    pub lease: Lease,
    /// A change of voters that was asked for here.
    pub changing: Option<Changing>,
    /// A more preferred voter that is there.
    pub favourite: Option<Favourite>,
}

impl Leader {
    /// One that has just begun, with the first entry of its term to come.
    pub fn begin(first: Index, now: Time, next_beat: Time) -> Leader {
        Leader {
            open: OpenBatch::default(),
            first,
            writing: VecDeque::new(),
            matched: 0,
            round: 1,
            reads: Reads::default(),
            heartbeat_at: next_beat,
            beat_at: next_beat,
            said_at: now,
            quorum_check_at: next_beat,
            notice_at: Time::NEVER,
            piece_at: Time::NEVER,
            uncommitted: VecDeque::new(),
            uncommitted_bytes: 0,
            released: 0,
            transfer: None,
            lease: Lease::default(),
            changing: None,
            favourite: None,
        }
    }
}

impl Raft {
    /// Elected (Raft §5.2). Its first entry is empty, so that what earlier terms left can be committed (§8).
    pub(super) fn lead(&mut self, cx: &mut Cx<'_, Raft>) {
        let first = self.log.last().index + 1;
        for peer in &mut self.peers {
            peer.reset(first, cx.now);
        }
        // What an earlier leader was sending nobody will go on with.
        self.end_install(cx);
        self.counters.elected += 1;
        self.leader = Some(self.id);
        self.role = Role::Leader(Box::new(Leader::begin(first, cx.now, self.next_beat(cx.now))));
        // Whether its term can commit anything is not known yet, and this does not say so.
        cx.emit_now(Event::Elected { term: self.term, first });
        // The founders are nowhere in the log yet: whoever reads it is to know who decides.
        let founders = self.history.in_force().filter(|_| self.history.since() == 0);
        let batch = match founders {
            Some(founders) => Batch::configuration(first, self.term, founders),
            None => Batch::noop(first, self.term),
        };
        self.add(batch, cx);
    }

    pub(super) fn leader_mut(&mut self) -> Option<&mut Leader> {
        match &mut self.role {
            Role::Leader(leader) => Some(leader),
            _ => None,
        }
    }

    pub(super) fn leader_wake_at(&self, leader: &Leader) -> Time {
        if leader.open.count() > 0 && self.has_room() || leader.reads.is_waiting(self.commit >= leader.first)
        {
            return Time::ZERO;
        }
        let transfer = leader.transfer.map_or(Time::NEVER, |transfer| transfer.until);
        let changing = leader.changing.as_ref().map_or(Time::NEVER, |changing| changing.until);
        let paced = leader.notice_at.min(leader.piece_at);
        leader.heartbeat_at.min(leader.quorum_check_at).min(paced).min(transfer).min(changing)
    }

    /// Whether a further batch may leave: some follower's window is open, or there is no follower.
    pub(super) fn has_room(&self) -> bool {
        self.peers.is_empty() || self.peers.iter().any(|peer| !self.window_full(peer))
    }

    fn window_full(&self, peer: &super::peer::Peer) -> bool {
        peer.inflight.len() >= self.config.inflight_max
            || peer.inflight_bytes >= self.config.inflight_bytes_max
    }

    /// New entries: into the log, to the disk and to the followers at the same time (thesis §10.2.1).
    pub(super) fn add(&mut self, batch: Batch, cx: &mut Cx<'_, Raft>) {
        let Some(leader) = self.leader_mut() else { return };
        leader.uncommitted.push_back((batch.last(), batch.len()));
        leader.uncommitted_bytes += batch.len();
        let mark = cx.append(Record::Entries(batch.clone()));
        leader.writing.push_back((mark, batch.last(), cx.now));
        self.marks.push_back((batch.last(), mark));
        self.hold(batch.clone(), cx.now);
        self.send_batch(batch, cx);
        if self.peers.is_empty() || cx.durable() >= mark || self.counts_itself_early() {
            self.on_own_durable(cx);
        }
    }

    fn counts_itself_early(&self) -> bool {
        let bugs = [Mutation::AckBeforeSync, Mutation::LeaderCountsItselfEarly];
        bugs.into_iter().any(|bug| self.config.suffers(bug))
    }

    /// Sends a new batch to every follower that has all before it: one message, encoded once.
    fn send_batch(&mut self, batch: Batch, cx: &mut Cx<'_, Raft>) {
        let (first, last, bytes) = (batch.first(), batch.last(), batch.len());
        let Some(prev) = self.log.term_at(first - 1).map(|term| LogId::new(term, first - 1)) else { return };
        let (inflight_max, bytes_max) = (self.config.inflight_max, self.config.inflight_bytes_max);
        let mut ready = 0;
        let mut only = None;
        for peer in &mut self.peers {
            let open = peer.inflight.len() < inflight_max && peer.inflight_bytes < bytes_max;
            let probing = peer.flow == Flow::Probe { waiting: false };
            if peer.next != first || !open || !(probing || peer.flow == Flow::Replicate) {
                continue;
            }
            if probing {
                peer.flow = Flow::Probe { waiting: true };
            } else {
                peer.sent(last, bytes);
            }
            ready += 1;
            only = Some(peer.id);
        }
        let to = match only {
            None => return,
            Some(id) if ready == 1 => Recipients::One(id),
            Some(_) if ready == self.peers.len() => Recipients::Many(self.everybody.clone()),
            Some(_) => {
                let sent = |p: &&super::peer::Peer| {
                    p.next == last + 1 || p.next == first && p.flow == Flow::Probe { waiting: true }
                };
                Recipients::Many(self.peers.iter().filter(sent).map(|p| p.id).collect::<Arc<[NodeId]>>())
            }
        };
        self.send_append(to, prev, Batches::One(batch), cx);
    }

    /// Sends what a leader has to say, with its commit index and round.
    fn send_append(
        &mut self,
        to: impl Into<Recipients>,
        prev: LogId,
        batches: Batches,
        cx: &mut Cx<'_, Raft>,
    ) {
        let (group, term, commit) = (self.group, self.term, self.commit);
        let Some(leader) = self.leader_mut() else { return };
        let round = leader.round;
        // Promises nothing: until a quorum has it on disk a newer term may overwrite it.
        cx.send_now(to, Msg::Append(Append { group, term, prev, commit, round, batches }));
    }

    /// Brings one follower forward as far as its window allows.
    fn feed(&mut self, id: NodeId, cx: &mut Cx<'_, Raft>) {
        loop {
            let last = self.log.last().index;
            let base = self.log.base().index;
            let Some(peer) = self.peer(id) else { return };
            let next = peer.next;
            match peer.flow {
                Flow::Snapshot => return,
                _ if next <= base => return self.send_what_is_gone(id, cx),
                Flow::Probe { waiting: true } => return,
                Flow::Replicate if next > last || self.window_full(peer) => return,
                Flow::Probe { waiting: false } | Flow::Replicate => {}
            }
            let probing = peer.flow != Flow::Replicate;
            let batches = self.log.read(next, self.config.batch_bytes_max);
            let Some(term) = self.log.term_at(next - 1) else {
                // What cannot be read is not sent: never an append without the entry before it.
                return;
            };
            let bytes = batches.iter().map(Batch::len).sum();
            let sent_upto = batches.last().map(Batch::last);
            if let Some(peer) = self.peer_mut(id) {
                match sent_upto {
                    _ if probing => peer.flow = Flow::Probe { waiting: true },
                    Some(upto) => peer.sent(upto, bytes),
                    None => return,
                }
            }
            self.send_append(id, LogId::new(term, next - 1), batches.into(), cx);
            if probing {
                return;
            }
        }
    }

    /// The follower's next entry, or the one before it, is in the log no more.
    fn send_what_is_gone(&mut self, id: NodeId, cx: &mut Cx<'_, Raft>) {
        if self.config.suffers(Mutation::AppendFromNowhere) {
            let held = self.log.read(self.log.base().index + 1, self.config.batch_bytes_max);
            return self.send_append(id, LogId::ZERO, held.into(), cx);
        }
        self.begin_snapshot(id, cx);
    }

    pub(super) fn on_append_reply(
        &mut self,
        from: NodeId,
        term: Term,
        round: u64,
        outcome: Outcome,
        cx: &mut Cx<'_, Raft>,
    ) {
        if !self.hear(from, term, round, cx) {
            return;
        }
        let last = self.log.last().index;
        let log_hint = |raft: &Raft, hint: LogId| raft.log.last_upto(hint.index, hint.term).index;
        let leaks = self.config.suffers(Mutation::WindowLeaks);
        match outcome {
            Outcome::Matched(matched) | Outcome::Witnessed(matched) if matched > last => {
                self.counters.nonsense += 1
            }
            Outcome::Matched(matched) | Outcome::Witnessed(matched) => {
                // The planted bug asks for one entry more than there is.
                let held = u64::from(self.config.suffers(Mutation::SnapshotHoldsFollower));
                let base = self.log.base().index;
                let Some(peer) = self.peer_mut(from) else { return };
                if !leaks {
                    peer.acknowledged(matched);
                }
                peer.matched = peer.matched.max(matched);
                peer.witness = matches!(outcome, Outcome::Witnessed(_));
                // A snapshot ends when it is installed or when the log can take over; an answer from before it
                // began changes nothing.
                let needed = peer.sending.as_ref().map_or(base, |sending| sending.last().index.min(base));
                let needed = needed + held;
                if peer.flow != Flow::Replicate && (peer.flow != Flow::Snapshot || peer.matched >= needed) {
                    peer.probe_from(peer.matched + 1);
                    peer.flow = Flow::Replicate;
                }
                peer.next = peer.next.max(matched + 1);
                // What is behind the commit index moves nothing: with three voters every second acknowledgement.
                if matched > self.commit {
                    self.advance(cx);
                }
                self.feed(from, cx);
                self.hand_over(from, cx);
                self.change(cx);
            }
            Outcome::Conflict { refused, hint } => {
                self.hear_refusal(from, refused, cx);
                let hinted = log_hint(self, hint);
                let reverts = self.config.suffers(Mutation::StaleConflictReverts);
                let Some(peer) = self.peer_mut(from) else { return };
                if reverts && refused <= peer.matched {
                    peer.matched = hinted.min(refused.saturating_sub(1));
                }
                // An answer older than what matched since, or to another question than the last: no news.
                if refused <= peer.matched || refused >= peer.next || peer.flow == Flow::Snapshot {
                    return self.confirm_reads(cx);
                }
                let next = (hinted + 1).clamp(peer.matched + 1, refused);
                peer.probe_from(next);
                self.feed(from, cx);
            }
            Outcome::Stale => self.counters.nonsense += 1,
        }
        self.confirm_reads(cx);
    }

    /// Takes note that a follower answered in this term. False if the answer is for somebody else.
    #[inline]
    pub(super) fn hear(&mut self, from: NodeId, term: Term, round: u64, cx: &mut Cx<'_, Raft>) -> bool {
        if !self.hear_term(from, term, cx) {
            return false;
        }
        if term > self.term {
            self.learn_term(from, term, cx);
            return false;
        }
        if term < self.term && !self.config.suffers(Mutation::StaleAckCounts) {
            return false;
        }
        let now = cx.now;
        let Some(leader) = self.leader_mut() else { return false };
        let asked = leader.round;
        let Some(peer) = self.peer_mut(from) else { return false };
        if round > asked {
            self.counters.nonsense += 1;
            return false;
        }
        peer.heard_at = now;
        peer.round = peer.round.max(round);
        true
    }

    /// Own entries reached the disk: only now does this leader count itself.
    pub(super) fn on_own_durable(&mut self, cx: &mut Cx<'_, Raft>) {
        let all = self.counts_itself_early();
        let Some(leader) = self.leader_mut() else { return };
        while let Some((mark, index, _)) = leader.writing.front()
            && (*mark <= cx.durable() || all)
        {
            leader.matched = *index;
            leader.writing.pop_front();
        }
        // What no follower is known to have only a leader commits that is a quorum by itself.
        let ahead = self.peers.iter().any(|peer| peer.matched > self.commit);
        if ahead || self.is_quorum(Decision::Replication, |_| false) {
            self.advance(cx);
        }
    }

    /// Moves the commit index to the highest entry of this term that a quorum has on disk (Raft §5.3, §5.4.2).
    fn advance(&mut self, cx: &mut Cx<'_, Raft>) {
        let Role::Leader(leader) = &self.role else { return };
        let own = leader.matched;
        let index = self.quorum_index(own, |peer| peer.matched);
        if index <= self.commit {
            return;
        }
        let index = index.min(self.kept_with_state(own));
        if index <= self.commit {
            self.counters.awaited_state += 1;
            return;
        }
        // Figure 8: an entry of an older term is committed only by one of this term behind it.
        if self.log.term_at(index) != Some(self.term)
            && !self.config.suffers(Mutation::CommitOlderTermByCounting)
        {
            return;
        }
        let before = std::mem::replace(&mut self.commit, index);
        let notice = cx.now + self.config.commit_notice;
        if let Some(leader) = self.leader_mut() {
            leader.notice_at = leader.notice_at.min(notice);
            while let Some((last, bytes)) = leader.uncommitted.front()
                && *last <= index
            {
                leader.uncommitted_bytes -= bytes;
                leader.uncommitted.pop_front();
            }
        }
        // A quorum has it on disk: it is committed whatever this node's own disk does.
        cx.emit_now(Event::Committed { upto: index });
        self.tell_configurations(before, index, cx);
        self.catch_up(index, cx);
        self.confirm_reads(cx);
        self.on_committed(before, cx);
    }

    /// A new round for every follower: heartbeat, commit index, and the question whether this is still the
    /// leader. Its entry before is the last one sent, so that a lost append shows. Carries no entries: it goes to
    /// those as well who do not answer.
    pub(super) fn broadcast(&mut self, cx: &mut Cx<'_, Raft>) {
        let (now, wall, leases) = (cx.now, cx.wall, self.config.lease_drift_ppm.is_some());
        let heartbeat = self.next_beat(now);
        let Some(leader) = self.leader_mut() else { return };
        let is_heartbeat = leader.beat_at <= now;
        if is_heartbeat {
            leader.beat_at = heartbeat;
        }
        if leases && is_heartbeat {
            leader.beat(now, wall);
        }
        (leader.heartbeat_at, leader.said_at) = (heartbeat, now);
        leader.notice_at = Time::NEVER;
        let mut shared: Option<Index> = None;
        let same =
            self.peers.iter().all(|p| p.flow == Flow::Replicate && *shared.get_or_insert(p.next) == p.next);
        if same
            && let Some(next) = shared
            && let Some(term) = self.log.term_at(next - 1)
        {
            return self.send_append(self.everybody.clone(), LogId::new(term, next - 1), Batches::None, cx);
        }
        for at in 0..self.peers.len() {
            let (id, flow, prev) = (self.peers[at].id, self.peers[at].flow, self.peers[at].next - 1);
            match self.log.term_at(prev) {
                _ if flow == Flow::Snapshot => self.ask_how_far(id, is_heartbeat, cx),
                Some(term) => self.send_append(id, LogId::new(term, prev), Batches::None, cx),
                // The log moved on while nothing was heard of it.
                None => self.send_what_is_gone(id, cx),
            }
        }
    }

    pub(super) fn on_leader_wake(&mut self, cx: &mut Cx<'_, Raft>) {
        self.expire_transfer(cx);
        self.expire_change(cx);
        if self.has_room() {
            self.seal(cx);
        }
        self.ask_for_reads(cx);
        let Some(leader) = self.leader_mut() else { return };
        if leader.notice_at <= cx.now || leader.heartbeat_at <= cx.now {
            self.broadcast(cx);
        }
        let Some(leader) = self.leader_mut() else { return };
        if leader.piece_at <= cx.now {
            self.on_piece_time(cx);
        }
        let Some(leader) = self.leader_mut() else { return };
        if leader.quorum_check_at <= cx.now {
            self.check_quorum(cx);
        }
    }

    /// A leader that hears no quorum, or whose disk stalls, stops leading (thesis §6.2).
    fn check_quorum(&mut self, cx: &mut Cx<'_, Raft>) {
        let (timeout, heartbeat) = (self.config.election_timeout, self.config.heartbeat);
        let now = cx.now;
        let next = self.next_beat(now);
        let Some(leader) = self.leader_mut() else { return };
        leader.quorum_check_at = next;
        self.forget_silent_learners(now);
        if self.objects.len() > 1 {
            // Of an older snapshot, perhaps, that nobody is sent any more.
            self.discard_unneeded(cx);
        }
        let Some(leader) = self.leader_mut() else { return };
        let stalled = leader.writing.front().is_some_and(|(_, _, since)| now.since(*since) > timeout);
        let stalled = stalled && !self.config.suffers(Mutation::StalledDiskLeads);
        // A whole timeout and one heartbeat of grace: the answer to the last heartbeat may still be on its way.
        let patience = timeout + heartbeat;
        let heard = self.is_quorum(Decision::Replication, |peer| now.since(peer.heard_at) <= patience);
        if stalled {
            self.counters.stalled_disk += 1;
        } else if !heard {
            self.counters.lost_quorum += 1;
        } else {
            self.release_witnesses(cx);
            return self.make_way(cx);
        }
        self.resign(cx);
    }
}
