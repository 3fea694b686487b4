//! Rules of the user's for single messages: lose every vote from 1 to 2, hold snapshots back.

use quorate_core::{Class, NodeId, ScopeId};
use std::time::Duration;

/// A frame on its way, as a filter sees it.
#[derive(Clone, Copy, Debug)]
pub struct Passing<'a> {
    /// Who sends.
    pub from: NodeId,
    /// To whom.
    pub to: NodeId,
    /// Whose message it was sent for. `None` for what links tell each other. A message that waited in its
    /// link for a handshake passes as one of the handshake.
    pub message: Option<(ScopeId, Class, &'a [u8])>,
    /// Simulated time.
    pub now: Duration,
}

/// What becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on; later filters see it too.
    Pass,
    /// It is lost.
    Drop,
    /// It takes this much longer.
    Delay(Duration),
}

pub(crate) type Filter = Box<dyn FnMut(&Passing<'_>) -> Verdict>;
