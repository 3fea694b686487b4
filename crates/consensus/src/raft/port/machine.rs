//! The replicated state on one replica: the application's state machine with the sessions and the place in
//! the log that it has reached. It travels into jobs and back.

use super::sessions::{Envelope, Known, SessionId, Sessions};
use super::stream::{Reader, Writer};
use crate::raft::{Batch, EntryKind, Index, LogId, Mutation, NotRead, NotRestored, RaftConfig, Snapshot};
use quorate_core::{Applied, BlobId, Blobs, Failure, Reason, ScopeId, StateMachine};

/// Version of the bytes of a snapshot.
const SNAPSHOT_VERSION: u8 = 1;

/// What types that borrow are lent at first.
const ROOM_BYTES: usize = 64 << 10;

pub(super) struct Machine<S> {
    pub state: S,
    pub sessions: Sessions,
    pub applied: LogId,
}

/// What an entry came to.
pub(super) enum Outcome<R> {
    Reply(R),
    Opened(SessionId),
    Failed(Failure),
}

/// A view of the state, to be serialised while applies go on.
pub(super) struct Frozen<F> {
    pub at: LogId,
    sessions: Sessions,
    state: F,
}

impl<S: StateMachine> Machine<S> {
    /// Applies what is new of these batches up to `upto`; keeps what the entries named in `wanted` (ascending) came to.
    pub fn apply(
        &mut self,
        batches: &[Batch],
        upto: Index,
        wanted: &[LogId],
    ) -> Vec<(LogId, Outcome<S::Reply>)> {
        let mut wanted = wanted.iter().peekable();
        let mut outcomes = Vec::with_capacity(wanted.len());
        for batch in batches {
            for entry in batch.entries() {
                if entry.index <= self.applied.index || entry.index > upto {
                    continue;
                }
                let at = Applied { index: entry.index, term: batch.term() };
                let outcome = match batch.kind() {
                    EntryKind::Noop | EntryKind::Configuration => None,
                    EntryKind::Command => Some(self.apply_one(entry.data, at)),
                };
                self.applied = LogId::new(batch.term(), entry.index);
                while wanted.peek().is_some_and(|id| id.index < entry.index) {
                    wanted.next();
                }
                if let Some(outcome) = outcome
                    && wanted.peek().is_some_and(|id| id.index == entry.index)
                {
                    outcomes.push((self.applied, outcome));
                }
            }
        }
        outcomes
    }

    /// Every replica comes to the same outcome, for bytes that mean nothing too: a peer may have forwarded them.
    fn apply_one(&mut self, data: &[u8], at: Applied) -> Outcome<S::Reply> {
        let Ok((envelope, command)) = postcard::take_from_bytes::<Envelope>(data) else {
            return refused("the entry has no envelope");
        };
        match envelope {
            Envelope::Open(bounds) => Outcome::Opened(self.sessions.open(at.index, bounds)),
            Envelope::Plain => match decode(command) {
                Some(command) => Outcome::Reply(self.state.apply(command, at)),
                None => refused("the command cannot be decoded"),
            },
            Envelope::InSession { session, sequence, acknowledged } => {
                match self.sessions.ask(session, sequence, acknowledged, at.index) {
                    // Not now; but it may have been, the first time it was proposed.
                    Known::Expired => Outcome::Failed(Failure::Unknown(Reason::SessionExpired)),
                    Known::Forgotten => {
                        let why =
                            "its reply was acknowledged, or more of its session came to be than is kept";
                        Outcome::Failed(Failure::Unknown(Reason::Refused(why.into())))
                    }
                    Known::Before(reply) => match postcard::from_bytes(&reply) {
                        Ok(reply) => Outcome::Reply(reply),
                        Err(_) => refused("its reply cannot be decoded"),
                    },
                    Known::New => {
                        let Some(command) = decode(command) else {
                            return refused("the command cannot be decoded");
                        };
                        let reply = self.state.apply(command, at);
                        let kept = postcard::to_stdvec(&reply).unwrap_or_default();
                        self.sessions.remember(session, sequence, kept);
                        Outcome::Reply(reply)
                    }
                }
            }
        }
    }

    /// Takes its time, and runs the application's code: for a job.
    pub fn freeze(&self) -> Frozen<S::Frozen> {
        Frozen { at: self.applied, sessions: self.sessions.clone(), state: self.state.freeze() }
    }

    /// The state of a snapshot, read from its object. The application sees none of it before all of it is what was announced.
    pub fn thaw(snapshot: &Snapshot, scope: ScopeId, blobs: &mut dyn Blobs) -> Result<Machine<S>, Unthawed> {
        let (id, total) = (BlobId { scope, number: snapshot.blob }, snapshot.total);
        let mut room = 0;
        let (decoded, there) = loop {
            let mut reader = Reader::new(blobs, id, total);
            let decoded = read::<S>(&mut reader, &mut vec![0; room]);
            if !reader.lacks_room() || room as u64 >= total {
                break (decoded, reader.finish());
            }
            // Types that borrow are rare, and few of them long: most states need none.
            room = (room * 4).max(ROOM_BYTES).min(usize::try_from(total).unwrap_or(usize::MAX));
        };
        let (len, crc) = there.map_err(|error| Unthawed {
            why: match NotRead::from(error.clone()) {
                NotRead::Refused => NotRestored::Unread,
                NotRead::Damaged => NotRestored::Damaged,
            },
            text: error.to_string(),
        })?;
        if !snapshot.has(len, crc) {
            let text = format!("object {} of {scope} is not the snapshot of {}", id.number, snapshot.last);
            return Err(Unthawed { why: NotRestored::Damaged, text });
        }
        let unfit = |text| Unthawed { why: NotRestored::Unfit, text };
        let (sessions, frozen) = decoded.map_err(unfit)?;
        let state = S::restore(frozen).map_err(|error| unfit(error.to_string()))?;
        Ok(Machine { state, sessions, applied: snapshot.last })
    }
}

/// A snapshot that was not restored, and why.
#[derive(Clone, Debug)]
pub(super) struct Unthawed {
    pub why: NotRestored,
    pub text: String,
}

fn read<S: StateMachine>(reader: &mut Reader<'_>, room: &mut [u8]) -> Result<(Sessions, S::Frozen), String> {
    let unreadable = |_| "a snapshot that cannot be decoded".to_owned();
    let version: u8 = reader.value(room).map_err(unreadable)?;
    if version != SNAPSHOT_VERSION {
        return Err(format!("a snapshot of version {version}"));
    }
    let sessions = reader.value(room).map_err(unreadable)?;
    let frozen = reader.value(room).map_err(unreadable)?;
    if !reader.is_at_end() {
        return Err("a snapshot with a rest".into());
    }
    Ok((sessions, frozen))
}

impl<F: serde::Serialize> Frozen<F> {
    /// Writes it as an object: its bytes, and their CRC-32. What was begun is removed where it fails.
    pub fn write(self, id: BlobId, config: &RaftConfig, blobs: &mut dyn Blobs) -> Result<(u64, u32), String> {
        let without_sessions = config.suffers(Mutation::SnapshotWithoutSessions);
        let sessions = if without_sessions { Sessions::default() } else { self.sessions };
        let mut writer = Writer::new(blobs, id);
        let written = writer.write(&SNAPSHOT_VERSION).and_then(|()| writer.write(&sessions));
        let written = written.and_then(|()| writer.write(&self.state));
        let finished = written.and_then(|()| writer.finish(!config.suffers(Mutation::RecordBeforeObject)));
        if finished.is_err() {
            // If that fails too, the next start removes it.
            let _ = blobs.delete(id);
        }
        finished
    }
}

fn decode<C: serde::de::DeserializeOwned>(bytes: &[u8]) -> Option<C> {
    match postcard::take_from_bytes(bytes) {
        Ok((command, [])) => Some(command),
        _ => None,
    }
}

fn refused<R>(why: &str) -> Outcome<R> {
    Outcome::Failed(Failure::Rejected(Reason::Refused(why.into())))
}
