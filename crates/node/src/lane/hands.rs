//! What the lane's effects are carried out with: link and transport, journal, jobs, watchers.

use crate::crew::Crew;
use crate::scribe::Scribe;
use crate::shared::Shared;
use bytes::Bytes;
use quorate_core::{
    Alarm, Frame, Host, HostEvent, HostMsg, HostRecord, Io, Link, Mark, NodeId, Received, Recipients, Rng,
    Time,
};
use quorate_transport::Transport;
use std::any::Any;
use std::sync::Arc;

/// What a record costs in memory beside its bytes, about.
const RECORD_OVERHEAD: usize = 48;

pub(super) struct Hands {
    pub(super) link: Link,
    /// Apart from the protocols' chance: sessions' tokens are drawn from it.
    pub(super) link_rng: Rng,
    pub(super) transport: Box<dyn Transport>,
    pub(super) frame_bytes_max: usize,
    pub(super) scribe: Scribe,
    pub(super) crew: Crew,
    pub(super) shared: Arc<Shared>,
    pub(super) now: Time,
    pub(super) tally: Tally,
    /// Why the journal takes nothing any more. From then on nothing leaves.
    pub(super) failed: Option<String>,
    /// Reused.
    pub(super) out: Vec<(NodeId, Frame)>,
}

/// What a lane counts itself.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) steps: u64,
    pub(super) wakes: u64,
    pub(super) asks: u64,
    pub(super) received: u64,
    pub(super) received_bytes: u64,
    pub(super) sent: u64,
    pub(super) sent_bytes: u64,
    pub(super) dropped_full: u64,
    pub(super) oversized: u64,
    pub(super) appends: u64,
    pub(super) compactions: u64,
    pub(super) syncs: u64,
    pub(super) jobs_done: u64,
    pub(super) job_panics: u64,
    pub(super) notices: u64,
}

impl Hands {
    /// A node that failed or was killed is silent, in the middle of a step too.
    fn is_silent(&self) -> bool {
        self.failed.is_some() || self.shared.is_killed()
    }

    /// Opens a frame that arrived; the link's answers to it leave.
    pub(super) fn receive(&mut self, from: NodeId, frame: Bytes) -> Received {
        self.tally.received += 1;
        self.tally.received_bytes += frame.len() as u64;
        let received = self.link.receive(from, frame, self.now, &mut self.link_rng, &mut self.out);
        if !self.out.is_empty() {
            self.transmit();
        }
        received
    }

    fn transmit(&mut self) {
        let silent = self.is_silent();
        for (to, frame) in self.out.drain(..) {
            let bytes = frame.len();
            if bytes > self.frame_bytes_max {
                self.tally.oversized += 1;
            } else if !silent {
                self.transport.send(to, &frame);
                self.tally.sent += 1;
                self.tally.sent_bytes += bytes as u64;
            }
        }
    }

    fn note_failure(&mut self, result: Result<(), String>) {
        if let Err(what) = result {
            self.failed.get_or_insert(what);
        }
    }
}

impl Io<Host> for Hands {
    fn append(&mut self, record: HostRecord) -> usize {
        if self.is_silent() {
            return 0;
        }
        self.tally.appends += 1;
        let bytes = record.bytes.len() + RECORD_OVERHEAD;
        let appended = self.scribe.append(record.scope, record.bytes);
        self.note_failure(appended);
        bytes
    }

    fn compact(&mut self, upto: Mark, base: Vec<HostRecord>) {
        // The host never sends an empty base: its records say whose it is.
        let Some(scope) = base.first().map(|record| record.scope) else { return };
        if self.is_silent() {
            return;
        }
        self.tally.compactions += 1;
        let base = base.into_iter().map(|record| record.bytes).collect();
        let compacted = self.scribe.compact(scope, upto, base);
        self.note_failure(compacted);
    }

    fn send(&mut self, to: Recipients, msg: HostMsg) {
        if self.is_silent() {
            return;
        }
        let HostMsg { scope, class, body } = msg;
        self.link.send(to.as_slice(), scope, class, &body, self.now, &mut self.link_rng, &mut self.out);
        self.transmit();
    }

    fn emit(&mut self, event: HostEvent) {
        match event {
            HostEvent::Job { scope, job } => self.crew.push(scope, job),
            HostEvent::Notice { scope, notice } => {
                self.tally.notices += 1;
                if let Some(alarm) = (&*notice as &dyn Any).downcast_ref::<Alarm>() {
                    tracing::warn!(node = %self.shared.id, %scope, "{alarm}");
                }
                self.shared.hub.publish(scope, notice);
            }
        }
    }
}
