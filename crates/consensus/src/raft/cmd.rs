//! What a replica and its port tell each other.

use super::{Change, Commands, Configuration, Index, LogId, NotChanged, NotPlaced, Snapshot, Term};
use bytes::Bytes;
use quorate_core::NodeId;
use std::sync::Arc;

/// What the port asks.
#[derive(Clone, PartialEq, Debug)]
pub enum Cmd {
    /// Put these into the log; passed on to the leader if that is another. Answered by [`Event::Placed`], or,
    /// when messages are lost, never. A leader sends them in the same step, as one batch, so whatever comes at the same
    /// time is to be gathered first ([`super::Gathered`]), as the port does; while followers have all that may be under way to
    /// them, it gathers itself.
    Propose {
        /// The port's number for the first of them; the others have the numbers behind it.
        first: u64,
        /// What becomes the entries.
        commands: Commands,
    },
    /// Confirm that this is the leader and say up to where a linearizable read must have applied.
    Read {
        /// The port's number for it, never used again.
        request: u64,
    },
    /// The same without a round, while this leader has a lease.
    LeasedRead {
        /// The port's number for it, never used again.
        request: u64,
    },
    /// The same for a replica that need not lead: the leader is asked up to where it must have applied. Answered as
    /// [`Cmd::Read`] is, or, when messages are lost, never.
    ReadThroughLeader {
        /// The port's number for it, never used again, also not in another life.
        request: u64,
    },
    /// The state after `at` is in an object, whole and on disk.
    Snapshot {
        /// The last entry applied to it.
        at: LogId,
        /// The object's number, never used before.
        blob: u64,
        /// Its bytes.
        total: u64,
        /// CRC-32 of them.
        crc: u32,
    },
    /// The piece of [`Event::ReadPiece`], or why there is none.
    Piece {
        /// For whom.
        to: NodeId,
        /// Of which object.
        blob: u64,
        /// Where it begins.
        offset: u64,
        /// It, and its CRC-32.
        piece: Result<(Bytes, u32), NotRead>,
    },
    /// What [`Event::StorePiece`] or [`Event::Resume`] came to: up to where the object is there. All of it: it is whole and on
    /// disk.
    Stored {
        /// Which object.
        blob: u64,
        /// How many bytes of it are there.
        upto: Result<u64, NotRead>,
    },
    /// The snapshot of [`Event::Install`] is in place, or could not be restored.
    Installed {
        /// Why not.
        result: Result<(), NotRestored>,
    },
    /// Stop leading.
    StepDown,
    /// Have this voter lead, or whichever is furthest. Answered by the end of this leadership or by
    /// [`Event::NotTransferred`].
    Transfer {
        /// Whom.
        to: Option<NodeId>,
    },
    /// Change who votes, if this replica leads. Answered by [`Event::Changed`] or [`Event::NotChanged`], or, if leadership
    /// is lost meanwhile, never: what was begun may still come about.
    Change {
        /// The port's number for it.
        request: u64,
        /// What is to change.
        change: Box<Change>,
    },
    /// Whether the state machine is whole. It is, unless it was said that it is not: from a start with a snapshot on, until that
    /// is restored. Until then this replica votes and does not stand for election, as nobody would be answered.
    Whole(bool),
    /// Stop leading, and never stand for election again in this life: its state machine is lost, and others
    /// have theirs. It votes and keeps the log as before.
    Abstain,
}

/// An object, or a part of it, is not to be had.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotRead {
    /// The medium said no; another time it may say yes.
    Refused,
    /// It is not there, or not what was written.
    Damaged,
}

/// A snapshot was not restored; the state before stays.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotRestored {
    /// The state machine does not take it, and will not.
    Unfit,
    /// Its bytes are not those that were announced.
    Damaged,
    /// Its object could not be read now.
    Unread,
}

/// What the port is told.
#[derive(Clone, PartialEq, Debug)]
pub enum Event {
    /// The commands of a proposal have their places in the log, one behind the other, or none has. A place is
    /// no commitment.
    Placed {
        /// The port's number for the first of them.
        first: u64,
        /// How many.
        count: u32,
        /// The place of the first.
        placed: Result<LogId, NotPlaced>,
    },
    /// Everything up to here is committed and may be applied, read from the log.
    Committed {
        /// The last of it.
        upto: Index,
    },
    /// Told once a life: whatever was committed before it began is at or before this index. The commit index
    /// is not written down, so a replica that was restarted knows it from a leader only.
    CaughtUp {
        /// The index.
        upto: Index,
    },
    /// These reads may be answered once everything up to `index` is applied.
    ReadReady {
        /// The index.
        index: Index,
        /// The port's numbers.
        requests: Vec<u64>,
    },
    /// This replica cannot answer the read.
    ReadRefused {
        /// The port's number.
        request: u64,
        /// Why.
        why: NotPlaced,
    },
    /// Told first in each life: of the objects of earlier ones only these are needed.
    Keep {
        /// Their numbers.
        blobs: Vec<u64>,
    },
    /// An object is not needed any more.
    Discard {
        /// Its number.
        blob: u64,
    },
    /// A follower is to get this piece of an object; answer with [`Cmd::Piece`].
    ReadPiece {
        /// Who.
        to: NodeId,
        /// The object.
        blob: u64,
        /// Where the piece begins.
        offset: u64,
        /// Its bytes.
        bytes: usize,
    },
    /// A piece of a snapshot came: put it into the object, whose last one it is if it reaches the total; answer with
    /// [`Cmd::Stored`].
    StorePiece {
        /// The object.
        blob: u64,
        /// Where the piece begins.
        offset: u64,
        /// Bytes of the whole.
        total: u64,
        /// The piece.
        data: Bytes,
    },
    /// See how much of an object is there, and answer with [`Cmd::Stored`].
    Resume {
        /// The object.
        blob: u64,
        /// Bytes of the whole. If they are all there, it is to be whole and on disk.
        total: u64,
    },
    /// All founders have met, and all of them are witnesses: nothing is founded, as nobody could lead.
    OnlyWitnesses,
    /// Begin with this state, after a start.
    Restore(Snapshot),
    /// Replace the state by this one, which a leader sent; answer with [`Cmd::Installed`].
    Install(Snapshot),
    /// The change of voters is complete and committed.
    Changed {
        /// The port's number for it.
        request: u64,
    },
    /// Voters do not change for this request.
    NotChanged {
        /// The port's number for it.
        request: u64,
        /// Why.
        why: NotChanged,
    },
    /// This configuration is committed, the joint one of a change too.
    Configured {
        /// The entry that says so, or the one that a snapshot stands for.
        index: Index,
        /// Who decides from there on.
        configuration: Arc<Configuration>,
    },
    /// Elected.
    Elected {
        /// The term.
        term: Term,
        /// Its first entry: once that is applied, so is everything that was committed before.
        first: Index,
    },
    /// Leadership was not handed over: this replica leads on as before, or did not lead.
    NotTransferred {
        /// Somebody may have been asked, and may still stand for election.
        begun: bool,
    },
    /// Does not lead any more.
    Retired {
        /// The current term.
        term: Term,
    },
    /// What a step made of this replica.
    #[cfg(feature = "trace")]
    Transition(Box<super::trace::Transition>),
    /// Somebody else leads, or nobody that is known.
    Following {
        /// The current term.
        term: Term,
        /// The leader.
        leader: Option<NodeId>,
    },
}
