use super::{Cx, Mark};
use crate::{JournalId, NodeId, Time};
use std::borrow::Cow;
use std::fmt::Debug;

/// A state machine of this library (Raft, SWIM ...), or of the application's own.
///
/// Not in the trait, on purpose: async, errors from `step`, access to other protocols, generics over the
/// user's types.
pub trait Protocol: Sized {
    /// What peers tell each other.
    type Msg: Clone + Debug;
    /// What the application, through its port, asks.
    type Cmd: Debug;
    /// What the port is told.
    type Event: Debug;
    /// What must survive a crash; [`std::convert::Infallible`] where nothing must.
    type Record: Clone + Debug;

    /// The only way in. Total: bad input from a peer is counted and dropped, never an error or a panic.
    /// Short: about a millisecond at most. What is longer is an event to the port, which runs it as a job.
    fn step(&mut self, input: Input<Self>, cx: &mut Cx<'_, Self>);

    /// When [`Input::Wake`] is due: a function of the state alone, read after every step. A time in the past
    /// means "once the inputs that wait now are taken", which is how protocols batch.
    fn wake_at(&self) -> Time;

    /// Rebuilds from the journal, record by record in the order they were appended, before
    /// [`Input::Start`]. No effects. An error refuses to start the node.
    fn replay(&mut self, record: Self::Record) -> Result<(), Corrupt>;
}

/// What comes in.
pub enum Input<P: Protocol> {
    /// Once a life, after the last replayed record and before anything else.
    Start(Boot),
    /// A peer said this. `from` is proven by the link, not by the message.
    Message {
        /// Who said it.
        from: NodeId,
        /// What was said.
        msg: P::Msg,
    },
    /// The port asks.
    Command(P::Cmd),
    /// The time given by [`Protocol::wake_at`] has come. May come early or late; must then do nothing or
    /// catch up.
    Wake,
    /// Every record up to and with this mark is on disk.
    Durable(Mark),
    /// A peer's link came up (under which journal and life) or went down. A hint about reachability and a
    /// proof of identity; absence of news is no news.
    Link {
        /// The peer.
        peer: NodeId,
        /// What became of its link.
        state: LinkState,
    },
}

/// Which life of which journal a node starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Boot {
    /// Counts the starts on this journal, from 1. Durable before anything is sent.
    pub incarnation: u64,
    /// The journal's own name.
    pub journal: JournalId,
}

/// What is known of a peer's link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// A handshake was completed with this life of this journal; or the peer was down, and its session brought
    /// a message again, which comes next.
    Up(Boot),
    /// The transport said that it lost the way to the peer, or the session was given up to make room. Told only after
    /// [`LinkState::Up`], and only where the transport notices such things: without it a peer may be gone, too.
    /// A new session is told by its `Up` alone.
    Down,
}

impl<P: Protocol> Debug for Input<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Input::Start(boot) => write!(f, "start {}", boot.incarnation),
            Input::Message { from, msg } => write!(f, "{from} says {msg:?}"),
            Input::Command(cmd) => write!(f, "command {cmd:?}"),
            Input::Wake => f.write_str("wake"),
            Input::Durable(mark) => write!(f, "durable {}", mark.0),
            Input::Link { peer, state } => write!(f, "link {peer} {state:?}"),
        }
    }
}

/// A journal holds what this protocol never wrote. The node refuses to start; nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the journal is corrupt: {0}")]
pub struct Corrupt(pub Cow<'static, str>);

impl Corrupt {
    /// With a message of what was found and what was expected.
    pub fn new(what: impl Into<Cow<'static, str>>) -> Corrupt {
        Corrupt(what.into())
    }
}
