//! The ground of quorate. Every other crate stands on it, and it stands on no other.
//!
//! * [`Protocol`], [`Input`], [`Effect`], [`Cx`]: the seam that every protocol is written against.
//! * [`Turn`]: the driver's rules as a value. [`Host`]: many scopes as one protocol.
//! * [`Port`], [`Job`], [`Door`], [`Ticket`]: the application's side.
//! * [`Link`]: the envelope and the handshake. [`Wire`]: bounded, versioned bytes.
//! * [`quorum`]: who may vote, and how much weight decides. [`queue`]: a bounded priority queue with aging.
//!
//! What is deliberately absent: clocks, threads, sockets, files, global chance, and any iteration whose order
//! differs from run to run.

mod assembly;
mod blobs;
mod door;
mod frame;
mod host;
mod id;
mod link;
mod machine;
mod port;
pub mod queue;
pub mod quorum;
mod rng;
mod seam;
mod slots;
mod ticket;
mod time;
mod turn;
pub mod wire;

pub use assembly::Assembly;
pub use blobs::{BlobError, BlobId, Blobs};
pub use door::{AnyAsk, Door, Place};
pub use frame::{Frame, HEAD_BYTES};
pub use host::{Host, HostBuilder, HostCmd, HostCounters, HostError, HostEvent, HostMsg, HostRecord};
pub use id::{AgentId, ClusterId, JournalId, NodeId, ScopeId};
pub use link::{Identity, Link, LinkCounters, LinkLimits, Received, class_of};
pub use machine::{Applied, Decider, NoDecider, StateMachine};
pub use port::{Alarm, Answer, Job, JobKind, JobPanic, Notice, Port, PortCx};
pub use rng::Rng;
pub use seam::{Boot, Corrupt, Cx, Effect, Input, LinkState, Mark, Outbox, Protocol, Recipients};
pub use slots::Slots;
pub use ticket::{Failure, Promise, Reason, Ticket, TicketFuture, promise};
pub use time::{Time, Wall};
pub use turn::{Hold, Io, Turn, TurnLimits};
pub use wire::{Class, Decoder, Encoder, Wire, WireError};
