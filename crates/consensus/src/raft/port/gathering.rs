//! Commands that leave together: those that were asked for while a turn takes its inputs become one proposal, as
//! the leader makes one batch of them.

use super::sessions::Envelope;
use crate::raft::{Cmd, Gathered, Raft};
use quorate_core::{PortCx, Rng};
use serde::Serialize;

/// What was asked for and did not leave yet.
#[derive(Default)]
pub(super) struct Gathering {
    commands: Gathered,
    /// The number of the last request; 0 before the first. Those that are gathered have the last numbers.
    requests: u64,
    /// Memory for the next encoding.
    spare: Vec<u8>,
}

/// What an entry needs beside its command: its length and its kind.
const ENTRY_HEAD_BYTES: usize = 11;

impl Gathering {
    /// The bytes of an entry: what it is, and the application's command if it has one. To be given back with
    /// [`Gathering::reuse`].
    pub fn encode(
        &mut self,
        envelope: &Envelope,
        command: Option<&impl Serialize>,
    ) -> Result<Vec<u8>, postcard::Error> {
        let data = postcard::to_extend(envelope, std::mem::take(&mut self.spare))?;
        match command {
            Some(command) => postcard::to_extend(command, data),
            None => Ok(data),
        }
    }

    /// Takes back memory, unless it is much.
    pub fn reuse(&mut self, mut data: Vec<u8>) {
        if data.capacity() <= 4 << 10 {
            data.clear();
            self.spare = data;
        }
    }

    /// Whether one more of so many bytes makes it longer than a batch.
    pub fn is_full_for(&self, bytes: usize, batch_bytes_max: usize) -> bool {
        !self.is_empty() && self.commands.bytes() + bytes + ENTRY_HEAD_BYTES > batch_bytes_max
    }

    /// The number of the request that this makes.
    pub fn push(&mut self, data: &[u8], rng: &mut Rng) -> u64 {
        if self.requests == 0 {
            // Where no other life of this replica counts: an answer that comes late is for nobody.
            self.requests = rng.bits() >> 2;
        }
        self.commands.push(data);
        self.requests += 1;
        self.requests
    }

    /// The number of the last request; 0 before the first.
    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// Numbers go on from there.
    pub fn go_on_from(&mut self, requests: u64) {
        self.requests = requests;
    }

    /// The number of the first request that did not leave yet, or of the next one.
    pub fn first(&self) -> u64 {
        self.requests - u64::from(self.commands.count()) + 1
    }

    pub fn is_empty(&self) -> bool {
        self.commands.count() == 0
    }

    /// Proposes what was gathered.
    pub fn leave(&mut self, cx: &mut PortCx<'_, Raft>) {
        let first = self.first();
        if let Some(commands) = self.commands.take() {
            cx.command(Cmd::Propose { first, commands });
        }
    }

    /// Nobody waits for these any more.
    pub fn forget(&mut self) {
        self.commands.take();
    }
}
