//! Proposals find their places in the log: in the leader's open batch, or by way of whoever leads.

use super::{Commands, Event, Forward, ForwardReply, LogId, Msg, NotPlaced, Raft, commands::last_of};
use quorate_core::{Cx, NodeId};

impl Raft {
    pub(super) fn on_propose(&mut self, first: u64, commands: Commands, cx: &mut Cx<'_, Raft>) {
        let count = commands.count();
        let placed = match self.leader {
            _ if self.is_too_large(&commands) => Err(NotPlaced::TooLarge),
            Some(id) if id == self.id => self.place(commands, cx),
            Some(leader) => {
                self.counters.forwarded += u64::from(count);
                // Nobody is promised anything before it is committed.
                return cx.send_now(leader, Msg::Forward(Forward { group: self.group, first, commands }));
            }
            None => Err(NotPlaced::NotLeader(None)),
        };
        // A place in the log is no promise that it will be committed there.
        cx.emit_now(Event::Placed { first, count, placed });
        // Whoever proposes has gathered what came in this turn. What others pass on waits for that, or for the turn's end.
        if placed.is_ok() && self.has_room() {
            self.seal(cx);
        }
    }

    pub(super) fn on_forward(&mut self, from: NodeId, forward: Forward, cx: &mut Cx<'_, Raft>) {
        let Forward { first, commands, .. } = forward;
        let count = commands.count();
        let placed = match self.is_leader() {
            _ if self.is_too_large(&commands) => Err(NotPlaced::TooLarge),
            true => self.place(commands, cx),
            false => Err(NotPlaced::NotLeader(self.leader.filter(|leader| *leader != from))),
        };
        // As above.
        cx.send_now(from, Msg::ForwardReply(ForwardReply { first, count, placed }));
    }

    pub(super) fn on_forward_reply(&mut self, from: NodeId, reply: ForwardReply, cx: &mut Cx<'_, Raft>) {
        let ForwardReply { first, count, placed } = reply;
        let plausible = placed.is_ok_and(|at| {
            last_of(at.index, count).is_some_and(|last| LogId::new(at.term, last).is_plausible())
        });
        if !self.may_lead(from) || placed.is_ok() && !plausible {
            self.counters.nonsense += 1;
            return;
        }
        // The leader's word, which this node's disk adds nothing to. At once: the commitment does not wait
        // either, and must not come before the place.
        cx.emit_now(Event::Placed { first, count, placed });
    }

    /// Together they must fit a batch, as the settings promise their transport; see [`RaftConfig::frame_bytes_max`].
    fn is_too_large(&self, commands: &Commands) -> bool {
        let entry_max = self.config.entry_bytes_max;
        commands.bytes() > self.config.batch_bytes_max.saturating_add(entry_max)
            || commands.any_longer_than(entry_max)
    }

    /// Gives proposals their places in the open batch: the place of the first.
    fn place(&mut self, commands: Commands, cx: &mut Cx<'_, Raft>) -> Result<LogId, NotPlaced> {
        let bytes = commands.bytes();
        let (batch_max, entry_max) = (self.config.batch_bytes_max, self.config.entry_bytes_max);
        let uncommitted_max = self.config.uncommitted_bytes_max;
        let Some(leader) = self.leader_mut() else { return Err(NotPlaced::NotLeader(None)) };
        let open = leader.open.bytes();
        if leader.transfer.is_some() || leader.uncommitted_bytes + open + bytes > uncommitted_max {
            return Err(NotPlaced::Busy);
        }
        if open > 0 && open + bytes > batch_max.saturating_add(entry_max) {
            self.seal(cx);
        }
        let (term, last) = (self.term, self.log.last().index);
        let Some(leader) = self.leader_mut() else { return Err(NotPlaced::NotLeader(None)) };
        let at = LogId::new(term, last + leader.open.count() + 1);
        leader.open.push(commands);
        if leader.open.bytes() >= batch_max {
            self.seal(cx);
        }
        Ok(at)
    }

    /// Closes the open batch.
    pub(super) fn seal(&mut self, cx: &mut Cx<'_, Raft>) {
        let (term, first) = (self.term, self.log.last().index + 1);
        let Some(leader) = self.leader_mut() else { return };
        if leader.open.count() > 0 {
            let batch = leader.open.seal(first, term);
            self.add(batch, cx);
        }
    }
}
