//! What every transport must do, as a suite to run against your own.
//!
//! Implement [`Lab`] for your transport and call [`check`]. The suite starts up to four nodes, sends, stops and
//! restarts them, and says what it found first. It asks for what protocols rest on, and no more:
//!
//! * a frame arrives whole and unmodified, or not at all; with the head that was made for this peer, under the
//!   name of its sender, at its addressee; every size from an empty body up to `frame_bytes_max`;
//! * a frame that is too large, or for a node that nobody knows, does no harm to the others;
//! * `send` does not wait: not for an absent peer, not for one that takes nothing, and neither stops the frames
//!   to others;
//! * a node that comes back, sender or receiver, is reached again, and what was stopped gets nothing more.
//!
//! Loss, doubling and disorder are allowed: what did not come is sent again a few times. What the suite leaves
//! out: throughput, and whether the sender is who it says (that is the link's).
//!
//! ```
//! use quorate_transport::conformance::{Lab, check};
//! use quorate_transport::{Inbox, Loopback, LoopbackTransport, NodeId};
//! use std::time::{Duration, Instant};
//!
//! struct Mine(Loopback, Instant);
//! impl Lab for Mine {
//!     type Net = LoopbackTransport;
//!     fn start(&mut self, id: NodeId, inbox: Inbox) -> LoopbackTransport {
//!         self.0.transport(id, inbox)
//!     }
//!     fn wait(&mut self, done: &mut dyn FnMut() -> bool) -> bool {
//!         let begun = Instant::now();
//!         while begun.elapsed() < Duration::from_secs(5) {
//!             if done() {
//!                 return true;
//!             }
//!             std::thread::sleep(Duration::from_millis(1));
//!         }
//!         false
//!     }
//!     fn now(&mut self) -> Duration {
//!         self.1.elapsed()
//!     }
//! }
//! check(&mut Mine(Loopback::new(), Instant::now())).unwrap();
//! ```

mod checks;
mod floor;

use crate::{Inbox, NodeId, Transport};
use std::time::Duration;

/// The nodes that the suite starts; each must know how to reach the others, whether they run or not.
pub const NODES: [NodeId; 4] = [NodeId(1), NodeId(2), NodeId(3), NodeId(4)];

/// A node that no transport of the lab knows.
pub const STRANGER: NodeId = NodeId(99);

/// How long all of a check's sends to one absent or clogged peer may take together: generous, because only
/// waiting is meant.
pub const SENDS_TIME_MAX: Duration = Duration::from_secs(10);

/// Where a transport is tried: how to start one, and what time is.
pub trait Lab {
    /// The transport.
    type Net: Transport;

    /// Starts the node, or starts it again: at the same address, with nothing remembered and a new inbox.
    fn start(&mut self, id: NodeId, inbox: Inbox) -> Self::Net;

    /// Stops a node. When this returns, nothing more may come into its inbox, and it must be possible to start
    /// it again.
    fn stop(&mut self, id: NodeId, net: Self::Net) {
        let _ = id;
        drop(net);
    }

    /// Calls `done` now and then until it is true, for as long as a frame may take in the worst case; then
    /// false. The suite is patient several times over before it calls a frame lost.
    fn wait(&mut self, done: &mut dyn FnMut() -> bool) -> bool;

    /// A clock that does not go back. It only judges whether `send` waits.
    fn now(&mut self) -> Duration;
}

/// What a transport does that it must not, or does not that it must.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{check}: {what}")]
pub struct Flaw {
    /// The check that found it, by its sentence.
    pub check: &'static str,
    /// What was seen.
    pub what: String,
}

/// Runs the whole suite; the first flaw ends it. Every node that was started is stopped, flaw or not.
pub fn check<L: Lab>(lab: &mut L) -> Result<(), Flaw> {
    for (name, run) in checks::all::<L>() {
        let mut floor = floor::Floor::new(lab);
        let result = run(&mut floor).and_then(|()| floor.settle());
        floor.stop_all();
        result.map_err(|what| Flaw { check: name, what })?;
    }
    Ok(())
}
