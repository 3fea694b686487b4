//! The one way in.

use super::{AppendReply, Cmd, Event, Founding, Msg, Mutation, Raft, Record, Role, Term};
use quorate_core::{Boot, Corrupt, Cx, Input, LinkState, Mark, NodeId, Protocol, Time};

impl Protocol for Raft {
    type Msg = Msg;
    type Cmd = Cmd;
    type Event = Event;
    type Record = Record;

    fn step(&mut self, input: Input<Raft>, cx: &mut Cx<'_, Raft>) {
        #[cfg(feature = "trace")]
        let begun = super::trace::Begun::new(self, &input);
        match input {
            Input::Message { from, msg } => self.on_message(from, msg, cx),
            Input::Command(Cmd::Propose { first, commands }) => self.on_propose(first, commands, cx),
            Input::Command(Cmd::Read { request }) => self.on_read(request, cx),
            Input::Command(Cmd::LeasedRead { request }) => self.on_leased_read(request, cx),
            Input::Command(Cmd::ReadThroughLeader { request }) => self.on_read_through_leader(request, cx),
            Input::Command(Cmd::Snapshot { at, blob, total, crc }) => {
                self.on_snapshot_taken(at, blob, total, crc, cx)
            }
            Input::Command(Cmd::Piece { to, blob, offset, piece }) => {
                self.on_piece(to, blob, offset, piece, cx)
            }
            Input::Command(Cmd::Stored { blob, upto }) => self.on_stored(blob, upto, cx),
            Input::Command(Cmd::Installed { result }) => self.on_installed(result, cx),
            Input::Command(Cmd::StepDown) => self.on_step_down(cx),
            Input::Command(Cmd::Whole(whole)) => self.lacks_state = !whole,
            Input::Command(Cmd::Transfer { to }) => self.on_transfer(to, cx),
            Input::Command(Cmd::Change { request, change }) => self.on_change(request, *change, cx),
            Input::Command(Cmd::Abstain) => {
                self.abstains = !self.config.suffers(Mutation::LostStateStands);
                self.on_step_down(cx);
            }
            Input::Wake => self.on_wake(cx),
            Input::Durable(_) => self.on_durable(cx),
            Input::Link { peer, state } => self.on_link(peer, state, cx),
            Input::Start(boot) => self.on_start(boot, cx),
        }
        #[cfg(feature = "trace")]
        begun.end(self, cx);
    }

    fn wake_at(&self) -> Time {
        match &self.role {
            Role::Leader(leader) => self.leader_wake_at(leader),
            _ => self.election_at,
        }
    }

    fn replay(&mut self, record: Record) -> Result<(), Corrupt> {
        self.on_replay(record)
    }
}

impl Raft {
    // Called from one place, and a message is too long to be handed on for nothing.
    #[inline(always)]
    fn on_message(&mut self, from: NodeId, msg: Msg, cx: &mut Cx<'_, Raft>) {
        if let Some(group) = msg.group() {
            self.recognise(group, cx);
            let other = self.group != 0 && group != self.group;
            if other && !self.config.suffers(Mutation::OtherFoundingHeard) {
                self.counters.foreign += 1;
                return;
            }
        }
        match msg {
            Msg::PreVote(candidacy) => self.on_pre_vote(from, candidacy, cx),
            Msg::PreVoteReply(reply) => self.on_pre_vote_reply(from, reply, cx),
            Msg::Vote(candidacy) => self.on_vote(from, candidacy, cx),
            Msg::VoteReply(reply) => self.on_vote_reply(from, reply, cx),
            Msg::Append(append) => self.on_append(from, append, cx),
            Msg::AppendReply(AppendReply { term, round, outcome }) => {
                self.on_append_reply(from, term, round, outcome, cx)
            }
            Msg::Snapshot(chunk) => self.on_chunk(from, *chunk, cx),
            Msg::SnapshotReply(reply) => self.on_chunk_reply(from, reply, cx),
            Msg::Forward(forward) => self.on_forward(from, forward, cx),
            Msg::ForwardReply(reply) => self.on_forward_reply(from, reply, cx),
            Msg::Join => self.on_join(from, cx),
            Msg::LedBy { leader, .. } => self.on_led_by(leader, cx),
            Msg::Resigned { term, .. } => self.on_resigned(from, term, cx),
            Msg::Pull { after, .. } => self.on_pull(from, after, cx),
            Msg::Pulled(pulled) => self.on_pulled(from, pulled, cx),
            Msg::ReadIndex { request, .. } => self.on_read_index(from, request, cx),
            Msg::ReadIndexReply { request, index } => self.on_read_index_reply(from, request, index, cx),
            Msg::RolledBack { journal, .. } => self.on_rolled_back(from, *journal, cx),
            Msg::TakeOver { term, .. } => self.on_take_over(from, term, cx),
            Msg::Held { term, upto, .. } => self.on_held(from, term, upto, cx),
            Msg::Pins { founders, digest, ask } => self.on_pins(from, founders, digest, ask, cx),
        }
    }

    fn on_start(&mut self, boot: Boot, cx: &mut Cx<'_, Raft>) {
        self.boot = Some(boot);
        if self.witness && self.replayed.0 == 0 {
            cx.append(Record::Witness);
        }
        let empty = self.replayed.0 <= u64::from(self.witness);
        if empty && let Founding::Found(_) = self.founding {
            cx.append(Record::Founded { voters: self.founders.clone() });
        }
        // A journal that was founded gives the first name. A crash may have left the founding without it, and
        // then nothing was said under another.
        if !self.founders.is_empty() && !self.is_founded() && self.own_pin.is_none() {
            let pin = super::Pin { node: self.id, journal: boot.journal };
            cx.append(Record::Pinned(pin));
            self.own_pin = Some(boot.journal);
        }
        // Of one that was installed since nothing is left to be done.
        let commit = self.commit;
        self.receiving.take_if(|receiving| receiving.last.index <= commit);
        let kept = [&self.snapshot, &self.receiving].into_iter().flatten();
        self.objects = kept.map(|snapshot| snapshot.blob).collect();
        // Whatever else is there no record names.
        cx.emit_now(Event::Keep { blobs: self.objects.clone() });
        if let Some(snapshot) = &self.snapshot {
            // A log that ends before it, or that holds something else there, as only a damaged one does.
            if !self.log.has(snapshot.last) {
                self.log.rebase(snapshot.last);
                self.history.truncate_from(snapshot.last.index + 1);
                self.marks.clear();
                cx.append(Record::Begins(snapshot.last));
            }
            if !self.witness {
                // Restoring is this node's own matter.
                cx.emit_now(Event::Restore(snapshot.clone()));
            }
        }
        // Whom it acknowledged in its last life is forgotten. (Before the first term nobody.)
        if self.term > 0 && !self.config.suffers(Mutation::UnboundAfterBoot) {
            self.bound_until = cx.now + self.config.election_timeout;
        }
        self.wait_for_election(cx);
    }

    fn on_link(&mut self, id: NodeId, state: LinkState, cx: &mut Cx<'_, Raft>) {
        match state {
            LinkState::Down => self.links.remove(&id),
            LinkState::Up(boot) => self.links.insert(id, boot),
        };
        let forgives = self.config.suffers(Mutation::AcknowledgedOnAnotherDisk);
        let Some(peer) = self.peer_mut(id) else { return };
        match state {
            LinkState::Down => peer.boot = None,
            LinkState::Up(boot) => {
                let matched = peer.matched;
                self.meet(id, boot, cx);
                if let Some(peer) = self.peer_mut(id).filter(|_| forgives) {
                    peer.matched = matched;
                }
                if !self.is_founded() {
                    self.pin(id, boot, cx);
                }
            }
        }
    }

    fn on_wake(&mut self, cx: &mut Cx<'_, Raft>) {
        if self.is_leader() {
            self.on_leader_wake(cx);
        } else if self.election_at <= cx.now {
            self.on_election_timeout(cx);
        }
    }

    fn on_durable(&mut self, cx: &mut Cx<'_, Raft>) {
        match self.role {
            Role::Follower | Role::PreCandidate => {}
            Role::Candidate { .. } => self.count_votes(cx),
            Role::Leader(_) => {
                self.on_own_durable(cx);
                self.confirm_reads(cx);
            }
        }
    }

    fn on_step_down(&mut self, cx: &mut Cx<'_, Raft>) {
        if self.is_leader() {
            self.resign(cx);
        }
    }

    /// Becomes (or stays) a follower in `term`, under `leader` if one is known. A newer term is written down
    /// before anything else is said.
    pub(super) fn follow(&mut self, term: Term, leader: Option<NodeId>, cx: &mut Cx<'_, Raft>) {
        assert!(term >= self.term, "terms never go back");
        if term > self.term {
            self.term = term;
            self.vote = None;
            self.write_hard(cx);
            self.leader = None;
        }
        if !matches!(self.role, Role::Follower) {
            let led = self.is_leader();
            self.role = Role::Follower;
            self.peers.retain(|peer| peer.voter);
            self.share_peers();
            self.wait_for_election(cx);
            if led {
                self.stop_sending(cx);
                self.leader = None;
                // That it leads no more promises nothing.
                cx.emit_now(Event::Retired { term: self.term });
            }
        }
        if leader.is_some() && self.leader != leader {
            self.leader = leader;
            cx.emit_now(Event::Following { term: self.term, leader: self.leader });
        }
    }

    /// Term and vote are one record (Raft figure 2).
    pub(super) fn write_hard(&mut self, cx: &mut Cx<'_, Raft>) -> Mark {
        if self.config.suffers(Mutation::VoteNotPersisted) {
            return cx.durable();
        }
        cx.append(Record::Hard { term: self.term, vote: self.vote })
    }
}
