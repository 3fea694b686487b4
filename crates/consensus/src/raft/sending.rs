//! A leader sends a snapshot to a follower that needs what is gone from the log (Raft §7). Its bytes are an object, which jobs
//! read: the port is asked for a piece, and the piece leaves when it comes. So a leader holds no more of a snapshot than
//! what is under way.
//!
//! The first message asks how far the follower has come, since it may have some of this snapshot, from an earlier leader or an
//! earlier life. Its answers move a window of [`snapshot_inflight_max`](super::RaftConfig::snapshot_inflight_max) pieces; each
//! names the next byte that is wanted, so whatever was lost is sent again from there. Pieces are paced by
//! [`snapshot_bytes_per_second`](super::RaftConfig::snapshot_bytes_per_second).

use super::{
    Event, LogId, Msg, NotRead, Raft, Role, Snapshot, SnapshotChunk, SnapshotReply, peer::Flow,
    waiting::Waiting,
};
use bytes::Bytes;
use quorate_core::{Cx, NodeId, Time};
use std::time::Duration;

/// Bytes of a configuration that a frame has room for beside a piece: seven voters (see `config::FRAME_HEADS`).
const SMALL_HEAD: usize = 128;

/// A snapshot on its way out. It stays what it is while newer ones are taken, or a slow follower would begin
/// anew with each of them and never end. Once all of it is there, or the follower does not want it, the newest is offered.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Sending {
    snapshot: Snapshot,
    /// Bytes of its configuration.
    head: usize,
    /// Up to here the follower has stored it.
    stored: u64,
    /// Up to here it was read to be sent.
    read: u64,
    /// The follower answered since the last time that pieces were given up for lost.
    answered: bool,
    /// When the next piece may leave.
    next_at: Time,
    waiting: Waiting,
}

impl Sending {
    /// The last entry that it stands for.
    pub fn last(&self) -> LogId {
        self.snapshot.last
    }

    /// The object that is read.
    pub fn blob(&self) -> u64 {
        self.snapshot.blob
    }

    /// What is under way is not counted on any more; the next answer says where to go on.
    fn give_up(&mut self) {
        (self.read, self.answered) = (self.stored, false);
        self.waiting.give_up();
    }
}

impl Raft {
    /// The follower needs what is gone from the log.
    pub(super) fn begin_snapshot(&mut self, id: NodeId, cx: &mut Cx<'_, Raft>) {
        let Some(snapshot) = self.snapshot.clone() else { return };
        let Some(peer) = self.peer_mut(id) else { return };
        peer.inflight.clear();
        peer.inflight_bytes = 0;
        peer.flow = Flow::Snapshot;
        let head = snapshot.configuration.bytes();
        let (stored, read, answered, waiting) = (0, 0, false, Waiting::default());
        let sending = Sending { snapshot, head, stored, read, answered, next_at: Time::ZERO, waiting };
        peer.sending = Some(Box::new(sending));
        self.counters.snapshots_sent += 1;
        self.send_piece(id, 0, None, cx);
    }

    /// A round for one that is sent a snapshot: asks how far it has come.
    pub(super) fn ask_how_far(&mut self, id: NodeId, is_heartbeat: bool, cx: &mut Cx<'_, Raft>) {
        let newest = self.snapshot.as_ref().map(|snapshot| snapshot.last);
        let heartbeat = self.config.heartbeat;
        let Some(sending) = self.peer_mut(id).and_then(|peer| peer.sending.as_mut()) else { return };
        let ended = sending.stored == sending.snapshot.total;
        let waits = is_heartbeat && (ended || sending.read > sending.stored);
        if waits && sending.waiting.beat(heartbeat) {
            if !ended {
                sending.give_up();
            } else if newest > Some(sending.last()) {
                // It restores what it has, and says so when it has; or it does not want this one and never will.
                return self.begin_snapshot(id, cx);
            }
        }
        let stored = sending.stored;
        self.send_piece(id, stored, None, cx);
    }

    fn send_piece(&mut self, id: NodeId, offset: u64, piece: Option<(Bytes, u32)>, cx: &mut Cx<'_, Raft>) {
        let Role::Leader(leader) = &self.role else { return };
        let (round, group, term) = (leader.round, self.group, self.term);
        let Some(sending) = self.peer(id).and_then(|peer| peer.sending.as_ref()) else { return };
        let Snapshot { last, configuration, total, checksum, .. } = &sending.snapshot;
        let (last, configuration, total, checksum) = (*last, configuration.clone(), *total, *checksum);
        let (data, crc) = piece.unwrap_or_default();
        let chunk =
            SnapshotChunk { group, term, round, last, configuration, total, checksum, offset, crc, data };
        // Committed state: whoever has it promises nothing new by sending it.
        cx.send_now(id, Msg::Snapshot(Box::new(chunk)));
    }

    pub(super) fn on_chunk_reply(&mut self, from: NodeId, reply: SnapshotReply, cx: &mut Cx<'_, Raft>) {
        let SnapshotReply { term, round, last, next } = reply;
        if !self.hear(from, term, round, cx) {
            return;
        }
        self.confirm_reads(cx);
        let Some(sending) = self.peer_mut(from).and_then(|peer| peer.sending.as_mut()) else { return };
        if sending.snapshot.last != last || next > sending.snapshot.total {
            return;
        }
        if next != sending.stored {
            sending.waiting.progress(next, cx.now);
        }
        // Less than before: it lost what it had. More than was sent: it had it already.
        if next < sending.stored || next > sending.read {
            sending.read = next;
        }
        sending.stored = next;
        sending.answered = true;
        self.read_pieces(from, cx);
    }

    /// Has as many pieces read as window and pace allow.
    fn read_pieces(&mut self, id: NodeId, cx: &mut Cx<'_, Raft>) {
        let (chunk, inflight) = (self.config.chunk_bytes, self.config.snapshot_inflight_max);
        let (rate, damaged) = (self.config.snapshot_bytes_per_second, self.damaged);
        let Some(sending) = self.peer_mut(id).and_then(|peer| peer.sending.as_mut()) else { return };
        // The configuration travels with each piece. A usual one fits beside it; a large one takes of its room.
        let most =
            chunk.saturating_sub(sending.head.saturating_sub(SMALL_HEAD)).max(chunk.div_ceil(4)) as u64;
        let window = most.saturating_mul(inflight as u64);
        let (blob, total) = (sending.snapshot.blob, sending.snapshot.total);
        if damaged == Some(blob) {
            return;
        }
        // All there: it answers with a match once it is installed.
        while sending.answered && sending.read < total && sending.read - sending.stored < window {
            if sending.next_at > cx.now {
                let next_at = sending.next_at;
                if let Some(leader) = self.leader_mut() {
                    leader.piece_at = leader.piece_at.min(next_at);
                }
                return;
            }
            let (offset, bytes) = (sending.read, most.min(total - sending.read));
            sending.read += bytes;
            // A window's time of credit: its pieces may leave together, and a wake may come late.
            let takes = |bytes: u64| bytes.saturating_mul(1_000_000_000) / rate;
            let earliest = Time(cx.now.0.saturating_sub(takes(window)));
            sending.next_at = sending.next_at.max(earliest) + Duration::from_nanos(takes(bytes).max(1));
            // A question to this node's own disk.
            cx.emit_now(Event::ReadPiece { to: id, blob, offset, bytes: bytes as usize });
        }
    }

    /// The time of some piece has come.
    pub(super) fn on_piece_time(&mut self, cx: &mut Cx<'_, Raft>) {
        if let Some(leader) = self.leader_mut() {
            leader.piece_at = Time::NEVER;
        }
        for at in 0..self.peers.len() {
            self.read_pieces(self.peers[at].id, cx);
        }
    }

    /// The port read a piece, or could not.
    pub(super) fn on_piece(
        &mut self,
        to: NodeId,
        blob: u64,
        offset: u64,
        piece: Result<(Bytes, u32), NotRead>,
        cx: &mut Cx<'_, Raft>,
    ) {
        if !self.is_leader() {
            return;
        }
        let newest = self.snapshot.as_ref().is_some_and(|snapshot| snapshot.blob == blob);
        let Some(sending) = self.peer_mut(to).and_then(|peer| peer.sending.as_mut()) else { return };
        let (stored, total) = (sending.stored, sending.snapshot.total);
        if sending.snapshot.blob != blob || offset < stored {
            return;
        }
        match piece {
            Ok(piece) if piece.0.len() as u64 <= total.saturating_sub(offset) => {
                sending.waiting.sends(offset, offset + piece.0.len() as u64, cx.now);
                self.send_piece(to, offset, Some(piece), cx)
            }
            // An object of another length is not the one that was written.
            Ok(_) | Err(NotRead::Damaged) if !newest => {
                self.counters.snapshots_unread += 1;
                self.begin_snapshot(to, cx);
            }
            Ok(_) | Err(NotRead::Damaged) => {
                sending.give_up();
                self.counters.snapshots_unread += 1;
                // The port makes another one of its state; until then followers are asked, and sent nothing.
                self.damaged = Some(blob);
            }
            Err(NotRead::Refused) => {
                sending.give_up();
                self.counters.snapshots_unread += 1;
            }
        }
    }

    /// It leads no more, and sends nothing.
    pub(super) fn stop_sending(&mut self, cx: &mut Cx<'_, Raft>) {
        self.peers.iter_mut().for_each(|peer| peer.sending = None);
        self.discard_unneeded(cx);
    }
}
