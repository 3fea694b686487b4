//! The replicated state on one replica: the application's state machine with the sessions and the place in
//! the log that it has reached. It travels into jobs and back.

use super::sessions::{Envelope, Known, SessionId, Sessions};
use crate::raft::{Batch, EntryKind, Index, LogId};
use bytes::Bytes;
use quorate_core::{Applied, Corrupt, Failure, Reason, StateMachine};

/// Version of the bytes of a snapshot.
const SNAPSHOT_VERSION: u8 = 1;

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

    /// The state of a snapshot.
    pub fn thaw(at: LogId, data: &[u8]) -> Result<Machine<S>, Corrupt> {
        let unreadable = |_| Corrupt::new("a snapshot that cannot be decoded");
        let (version, rest) = data.split_first().ok_or(Corrupt::new("an empty snapshot"))?;
        if *version != SNAPSHOT_VERSION {
            return Err(Corrupt::new(format!("a snapshot of version {version}")));
        }
        let (sessions, rest) = postcard::take_from_bytes::<Sessions>(rest).map_err(unreadable)?;
        let (frozen, rest) = postcard::take_from_bytes::<S::Frozen>(rest).map_err(unreadable)?;
        if !rest.is_empty() {
            return Err(Corrupt::new("a snapshot with a rest"));
        }
        Ok(Machine { state: S::restore(frozen)?, sessions, applied: at })
    }
}

impl<F: serde::Serialize> Frozen<F> {
    pub fn encode(self, without_sessions: bool) -> Option<Bytes> {
        let mut bytes = vec![SNAPSHOT_VERSION];
        let sessions = if without_sessions { Sessions::default() } else { self.sessions };
        bytes.extend(postcard::to_stdvec(&sessions).ok()?);
        bytes.extend(postcard::to_stdvec(&self.state).ok()?);
        Some(bytes.into())
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
