//! quorate's frames over TCP: threads of the standard library, blocking sockets, nothing else.
//!
//! [`Tcp`] listens, keeps one connection to each peer that it has something to say to, and is a
//! [`Transport`](quorate_transport::Transport). [`Peers`] is the handle that the application keeps: it says who is
//! where, while all is running.
//!
//! ```
//! use quorate_core::{Frame, HEAD_BYTES, NodeId};
//! use quorate_transport::{Inbox, Transport};
//! use quorate_transport_tcp::{Tcp, TcpConfig};
//!
//! let (inbox, config) = (Inbox::default(), TcpConfig::default());
//! let there = Tcp::bind("127.0.0.1:0", NodeId(2), inbox.clone(), config.clone())?;
//! let mut here = Tcp::bind("127.0.0.1:0", NodeId(1), Inbox::default(), config)?;
//! here.peers().set(NodeId(2), there.local_addr())?;
//! here.send(NodeId(2), &Frame { head: [0; HEAD_BYTES], body: "hello".into() });
//! while inbox.is_empty() {
//!     std::thread::yield_now();
//! }
//! # Ok::<(), quorate_transport_tcp::TcpError>(())
//! ```
//!
//! **On the wire.** A connection carries frames one way only, from who opened it. It begins with a preamble of 24
//! bytes: `qrte`, a version, three zeros, the sender's id, the addressee's id. Then come frames, each behind its
//! length in four bytes, all little-endian. Nothing is ever sent back.
//!
//! **Threads.** One accepts, one a peer writes, one an accepted connection reads. [`Tcp`] joins them when it is
//! dropped.
//!
//! What is deliberately absent: encryption and proof of who a peer is. [`Secure`] is where TLS goes; without it
//! the network must be trusted.

mod config;
mod counters;
mod listener;
mod preamble;
mod queue;
mod reader;
mod stream;
mod tcp;
mod writer;

pub use config::{TcpConfig, TcpError};
pub use counters::TcpCounters;
pub use stream::{Accepted, Plain, Secure, Stream};
pub use tcp::{Peers, Tcp};
