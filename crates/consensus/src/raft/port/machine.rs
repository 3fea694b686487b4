//! The replicated state on one replica: the application's state machine with the sessions and the place in
//! the log that it has reached. It travels into jobs and back.

use super::NotTaken;
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
    pub fn write(
        self,
        id: BlobId,
        config: &RaftConfig,
        blobs: &mut dyn Blobs,
    ) -> Result<(u64, u32), NotTaken> {
        let without_sessions = config.suffers(Mutation::SnapshotWithoutSessions);
        let sessions = if without_sessions { Sessions::default() } else { self.sessions };
        let mut writer = Writer::new(blobs, id, config.snapshot_bytes_max);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::{Configuration, Electors, Quorums, Voter};
    use quorate_core::quorum::Electorate;
    use quorate_core::{Corrupt, JournalId, NodeId};
    use quorate_journal::{MemoryBlobs, MemoryDisk};
    use serde::de::{Deserializer, Error, Visitor};
    use serde::{Deserialize, Serialize};
    use std::sync::Arc;

    const SCOPE: ScopeId = ScopeId(3);

    /// As times and decimals of well-known crates do it: what it is made of is asked for as text to be borrowed.
    #[derive(Clone, PartialEq, Debug, Serialize)]
    struct Borrows(String);

    impl<'de> Deserialize<'de> for Borrows {
        fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Borrows, D::Error> {
            struct Text;
            impl Visitor<'_> for Text {
                type Value = Borrows;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("text")
                }
                fn visit_str<E: Error>(self, text: &str) -> Result<Borrows, E> {
                    Ok(Borrows(text.to_owned()))
                }
            }
            from.deserialize_str(Text)
        }
    }

    #[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
    struct State {
        numbers: Vec<u64>,
        texts: Vec<String>,
        borrowing: Vec<Borrows>,
        maybe: Option<Box<State>>,
    }

    impl StateMachine for State {
        type Command = ();
        type Reply = ();
        type Frozen = State;
        fn apply(&mut self, (): (), _: Applied) {}
        fn freeze(&self) -> State {
            self.clone()
        }
        fn restore(frozen: State) -> Result<State, Corrupt> {
            if frozen.numbers == [13] { Err(Corrupt::new("unlucky")) } else { Ok(frozen) }
        }
    }

    fn store() -> MemoryBlobs {
        MemoryBlobs::new(MemoryDisk::new(JournalId(1)))
    }

    fn alone() -> Arc<Configuration> {
        let voter = Voter { node: NodeId(1), journal: JournalId(1) };
        let electors = Electors::new(Electorate::equal(0, [voter]).unwrap(), Quorums::default());
        Arc::new(Configuration::simple(electors.unwrap()))
    }

    fn taken(state: &State, blobs: &mut MemoryBlobs) -> Snapshot {
        let at = LogId::new(2, 7);
        let machine = Machine { state: state.clone(), sessions: Sessions::default(), applied: at };
        let id = BlobId { scope: SCOPE, number: 4 };
        let (total, crc) = machine.freeze().write(id, &RaftConfig::default(), blobs).unwrap();
        Snapshot::of(at, alone(), id.number, total, crc)
    }

    fn thawed(snapshot: &Snapshot, blobs: &mut MemoryBlobs) -> Result<State, NotRestored> {
        Machine::<State>::thaw(snapshot, SCOPE, blobs).map(|machine| machine.state).map_err(|e| e.why)
    }

    #[test]
    fn a_state_of_any_size_comes_out_as_it_went_in() {
        for size in [0, 1, 1_000, 300_000] {
            let numbers = (0..size as u64).map(|n| n * n).collect();
            let texts = vec!["x".repeat(size), "y".repeat(size / 2)];
            // More than is lent at first, and more than four times that.
            let borrowing = vec![Borrows("z".repeat(size / 3)); 4];
            let inner = State { texts: vec!["inner".into()], ..State::default() };
            let state = State { numbers, texts, borrowing, maybe: Some(Box::new(inner)) };
            let mut blobs = store();
            let snapshot = taken(&state, &mut blobs);
            assert_eq!(thawed(&snapshot, &mut blobs), Ok(state), "{size}");
        }
    }

    #[test]
    fn what_is_not_the_snapshot_is_told_from_what_the_state_machine_refuses() {
        let mut blobs = store();
        let state = State { numbers: vec![1, 2, 3], ..State::default() };
        let snapshot = taken(&state, &mut blobs);
        let id = BlobId { scope: SCOPE, number: snapshot.blob };
        let bytes = blobs.read(id, 0, usize::MAX).unwrap();
        for at in 0..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1;
            blobs.put(id, &bytes).unwrap();
            assert_eq!(thawed(&snapshot, &mut blobs), Err(NotRestored::Damaged), "byte {at}");
        }
        for len in [0, bytes.len() - 1] {
            blobs.put(id, &bytes[..len]).unwrap();
            assert_eq!(thawed(&snapshot, &mut blobs), Err(NotRestored::Damaged), "{len} bytes");
        }
        blobs.put(id, &[&bytes[..], b"more"].concat()).unwrap();
        assert_eq!(thawed(&snapshot, &mut blobs), Err(NotRestored::Damaged), "a longer one");
        blobs.delete(id).unwrap();
        assert_eq!(thawed(&snapshot, &mut blobs), Err(NotRestored::Damaged), "none");
        // Just as it was announced, and nothing that this state machine could take.
        let refused = State { numbers: vec![13], ..State::default() };
        let refused = taken(&refused, &mut store());
        assert_eq!(thawed(&refused, &mut store()), Err(NotRestored::Damaged));
        let mut blobs = store();
        let refused = taken(&State { numbers: vec![13], ..State::default() }, &mut blobs);
        assert_eq!(thawed(&refused, &mut blobs), Err(NotRestored::Unfit));
        for bytes in [&b""[..], b"\x02", b"\x01\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", b"\x01\x00"] {
            blobs.put(id, bytes).unwrap();
            let crc = crc32fast::hash(bytes);
            let other = Snapshot::of(LogId::new(2, 7), alone(), 4, bytes.len() as u64, crc);
            assert_eq!(thawed(&other, &mut blobs), Err(NotRestored::Unfit), "{bytes:?}");
        }
    }
}
