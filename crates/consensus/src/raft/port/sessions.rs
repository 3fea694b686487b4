//! Client sessions: a command that is repeated under its number is applied once (thesis §6.3). Part of the
//! replicated state: everything here is decided by the log alone.

use crate::raft::Index;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A session's name: the index at which it was opened, so it is never given twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct SessionId(pub u64);

/// How a command is entered into the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Envelope {
    /// As it comes: a repetition is applied again.
    Plain,
    /// Under a session: applied once for this number.
    InSession {
        session: SessionId,
        sequence: u64,
        /// Everything up to here has been answered and will not be asked again.
        acknowledged: u64,
    },
    /// Opens a session; carries no command, but the bounds of the replica where it was asked for: what is kept must
    /// be the same everywhere, whatever the settings of the others.
    Open(Bounds),
}

/// What is kept for sessions.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Bounds {
    /// Open sessions; beyond it the one used longest ago is closed.
    pub sessions_max: u32,
    /// Replies of this session for commands whose reply may not have been seen.
    pub window: u32,
}

/// All sessions.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Sessions {
    open: BTreeMap<SessionId, Session>,
}

#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
struct Session {
    /// The last index at which it was used: the session used longest ago goes first.
    used: Index,
    acknowledged: u64,
    window: u32,
    replies: BTreeMap<u64, Vec<u8>>,
}

/// What a session says to a command.
pub(crate) enum Known {
    /// Never seen: apply it, and remember the reply.
    New,
    /// Applied before, with this reply.
    Before(Vec<u8>),
    /// The session is not there (any more).
    Expired,
    /// Its reply was acknowledged and forgotten.
    Forgotten,
}

impl Sessions {
    pub fn open(&mut self, at: Index, bounds: Bounds) -> SessionId {
        let id = SessionId(at);
        self.open.insert(id, Session { used: at, window: bounds.window, ..Session::default() });
        // The one that was just opened stays, whatever bytes a peer passed on.
        while self.open.len() > bounds.sessions_max.max(1) as usize {
            let oldest = self.open.iter().min_by_key(|(_, session)| session.used).map(|(id, _)| *id);
            oldest.and_then(|id| self.open.remove(&id));
        }
        id
    }

    pub fn ask(&mut self, id: SessionId, sequence: u64, acknowledged: u64, at: Index) -> Known {
        let Some(session) = self.open.get_mut(&id) else { return Known::Expired };
        session.used = at;
        session.acknowledged = session.acknowledged.max(acknowledged);
        session.replies = session.replies.split_off(&session.acknowledged.saturating_add(1));
        match session.replies.get(&sequence) {
            Some(reply) => Known::Before(reply.clone()),
            None if sequence <= session.acknowledged => Known::Forgotten,
            None => Known::New,
        }
    }

    pub fn remember(&mut self, id: SessionId, sequence: u64, reply: Vec<u8>) {
        let Some(session) = self.open.get_mut(&id) else { return };
        session.replies.insert(sequence, reply);
        while session.replies.len() > session.window as usize {
            if let Some((oldest, _)) = session.replies.pop_first() {
                session.acknowledged = session.acknowledged.max(oldest);
            }
        }
    }

    pub fn len(&self) -> usize {
        self.open.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FEW: Bounds = Bounds { sessions_max: 2, window: 2 };

    #[test]
    fn a_repeated_command_is_known_until_it_is_acknowledged() {
        let mut sessions = Sessions::default();
        let id = sessions.open(7, FEW);
        assert!(matches!(sessions.ask(id, 1, 0, 8), Known::New));
        sessions.remember(id, 1, vec![9]);
        assert!(matches!(sessions.ask(id, 1, 0, 9), Known::Before(reply) if reply == [9]));
        assert!(matches!(sessions.ask(id, 2, 1, 10), Known::New));
        assert!(matches!(sessions.ask(id, 1, 0, 11), Known::Forgotten));
        assert!(matches!(sessions.ask(SessionId(8), 1, 0, 12), Known::Expired));
    }

    #[test]
    fn the_session_used_longest_ago_goes_first() {
        let mut sessions = Sessions::default();
        let a = sessions.open(1, FEW);
        let b = sessions.open(2, FEW);
        sessions.ask(a, 1, 0, 3);
        let c = sessions.open(4, FEW);
        assert!(matches!(sessions.ask(b, 1, 0, 5), Known::Expired));
        assert!(matches!(sessions.ask(a, 1, 0, 6), Known::New));
        assert!(matches!(sessions.ask(c, 1, 0, 7), Known::New));
    }

    #[test]
    fn bounds_of_nothing_leave_the_session_that_brings_them() {
        let mut sessions = Sessions::default();
        let id = sessions.open(1, Bounds { sessions_max: 0, window: 0 });
        assert!(matches!(sessions.ask(id, 1, 0, 2), Known::New));
        sessions.remember(id, 1, vec![]);
        assert!(matches!(sessions.ask(id, 1, 0, 3), Known::Forgotten));
    }

    #[test]
    fn a_window_that_overflows_forgets_the_oldest_and_never_applies_it_again() {
        let mut sessions = Sessions::default();
        let id = sessions.open(1, FEW);
        for sequence in 1..=3 {
            sessions.remember(id, sequence, vec![]);
        }
        assert!(matches!(sessions.ask(id, 1, 0, 9), Known::Forgotten));
        assert!(matches!(sessions.ask(id, 2, 0, 9), Known::Before(_)));
    }
}
