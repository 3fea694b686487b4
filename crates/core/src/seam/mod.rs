//! The seam: one way into every protocol, and effects, as values, as the only way out.
//!
//! A [`Protocol`] is a value. It has no clock, thread, socket, file or random source of its own; what it wants
//! done it writes into its [`Outbox`] through [`Cx`]. So one and the same code runs on a real node, in a seeded
//! simulator, and inside an event loop of somebody else's.
//!
//! **Invariant: persist before promise.** [`Cx::send`] and [`Cx::emit`] leave only once every record that this
//! scope appended so far is on disk. They are the default. [`Cx::send_now`] and [`Cx::emit_now`] leave at once
//! and stand beside a line that says why they promise nothing.

mod effect;
mod outbox;
mod protocol;

pub use effect::{Effect, Mark, Recipients};
pub use outbox::{Cx, Outbox};
pub use protocol::{Boot, Corrupt, Input, LinkState, Protocol};
