//! A journal whose syncs can be held back, and a transport between inboxes.

use bytes::Bytes;
use quorate_core::{Blobs, Boot, Corrupt, Frame, JournalId, Mark, NodeId, ScopeId};
use quorate_journal::{Journal, JournalError, MemoryJournal};
use quorate_transport::{Inbox, Transport};
use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

/// Holds syncs back while it is closed.
#[derive(Clone, Default)]
pub struct Gate(Arc<(Mutex<State>, Condvar)>);

#[derive(Default)]
struct State {
    closed: bool,
    refuses_appends: bool,
    /// Syncs that came to the gate.
    arrived: u64,
    synced: u64,
}

impl Gate {
    pub fn close(&self) {
        self.state().closed = true;
    }

    pub fn open(&self) {
        self.state().closed = false;
        self.0.1.notify_all();
    }

    /// Every append fails from now on.
    pub fn refuse_appends(&self) {
        self.state().refuses_appends = true;
    }

    /// Waits until `n` syncs have come to the gate.
    pub fn await_arrivals(&self, n: u64) {
        let mut state = self.state();
        while state.arrived < n {
            let (next, timeout) = self.0.1.wait_timeout(state, super::PATIENCE).unwrap();
            assert!(!timeout.timed_out(), "no sync came");
            state = next;
        }
    }

    /// Syncs that ended well.
    pub fn synced(&self) -> u64 {
        self.state().synced
    }

    fn pass(&self) {
        let mut state = self.state();
        state.arrived += 1;
        self.0.1.notify_all();
        while state.closed {
            state = self.0.1.wait(state).unwrap();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap()
    }
}

pub struct Gated {
    inner: MemoryJournal,
    gate: Gate,
}

impl Gated {
    pub fn new(inner: MemoryJournal, gate: Gate) -> Gated {
        Gated { inner, gate }
    }
}

impl Journal for Gated {
    fn id(&self) -> JournalId {
        self.inner.id()
    }
    fn begin_life(&mut self) -> Result<Boot, JournalError> {
        self.inner.begin_life()
    }
    fn load(
        &mut self,
        each: &mut dyn FnMut(ScopeId, Bytes) -> Result<(), Corrupt>,
    ) -> Result<(), JournalError> {
        self.inner.load(each)
    }
    fn append(&mut self, scope: ScopeId, record: Bytes) -> Result<(), JournalError> {
        if self.gate.state().refuses_appends {
            return Err(JournalError::Io("no space".into()));
        }
        self.inner.append(scope, record)
    }
    fn compact(&mut self, scope: ScopeId, upto: Mark, base: Vec<Bytes>) -> Result<(), JournalError> {
        self.inner.compact(scope, upto, base)
    }
    fn sync(&mut self) -> Result<(), JournalError> {
        self.gate.pass();
        self.inner.sync()?;
        self.gate.state().synced += 1;
        Ok(())
    }
    fn blobs(&self) -> Box<dyn Blobs> {
        self.inner.blobs()
    }
}

/// Frames go straight into the inbox of whoever is plugged in.
#[derive(Clone, Default)]
pub struct Switch(Arc<Mutex<BTreeMap<NodeId, Inbox>>>);

pub struct Plug(NodeId, Switch);

impl Switch {
    pub fn plug(&self, id: NodeId, inbox: Inbox) -> Plug {
        self.0.lock().unwrap().insert(id, inbox);
        Plug(id, self.clone())
    }
}

impl Transport for Plug {
    fn send(&mut self, to: NodeId, frame: &Frame) {
        let inbox = self.1.0.lock().unwrap().get(&to).cloned();
        if let Some(inbox) = inbox {
            // A full inbox loses it, as networks do.
            let _ = inbox.deliver(self.0, frame.to_bytes());
        }
    }

    fn frame_bytes_max(&self) -> usize {
        4096
    }
}
