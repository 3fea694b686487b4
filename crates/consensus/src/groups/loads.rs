//! Appends put together: with one entry here and there in each of many groups, what a frame costs on its way is more than what
//! its entry costs. Those of commands that come one behind the other in a turn leave together as well. Only what is short is
//! joined, and what a node is told stays in the order in which it was said.

use super::common::Common;
use super::{GroupId, Groups, Msg};
use crate::raft::{self, Batches};
use quorate_core::{Cx, Recipients};

/// Entries of this many bytes are short.
const SHORT_BYTES: usize = 1 << 10;

/// About what an append needs beside its entries.
const HEAD_BYTES: usize = 128;

/// Appends of a bundle, at most: each is a step of a replica at the other end, and what a frame costs is small beside
/// so many.
pub(super) const APPENDS_MAX: usize = 64;

/// Bytes of a bundle, at most, unless a batch may have less.
const LOAD_BYTES_MAX: usize = 32 << 10;

/// Sets of recipients that are told apart. Usually there is one.
const LOADS_MAX: usize = 8;

/// What is on its way to the same nodes.
#[derive(Debug)]
pub(super) struct Load {
    to: Recipients,
    appends: Vec<(GroupId, raft::Msg)>,
    bytes: usize,
}

/// What an append takes in a bundle, if it is short.
pub(super) fn short(msg: &raft::Msg) -> Option<usize> {
    match msg {
        raft::Msg::Append(append) => match &append.batches {
            Batches::One(batch) if batch.len() <= SHORT_BYTES => Some(batch.len() + HEAD_BYTES),
            _ => None,
        },
        _ => None,
    }
}

impl Common {
    /// An append waits for the end of the step, or for as many as leave together.
    pub fn load(
        &mut self,
        to: Recipients,
        group: GroupId,
        msg: raft::Msg,
        bytes: usize,
        cx: &mut Cx<'_, Groups>,
    ) {
        let bytes_max = LOAD_BYTES_MAX.min(self.config.raft.batch_bytes_max);
        let known = self.loads.iter().position(|load| load.to.as_slice() == to.as_slice());
        let at = match known {
            Some(at) => at,
            None => {
                if self.loads.len() >= LOADS_MAX {
                    self.unload(cx);
                    self.loads.clear();
                }
                self.loads.push(Load { to, appends: Vec::new(), bytes: 0 });
                self.loads.len() - 1
            }
        };
        let load = &mut self.loads[at];
        if !load.appends.is_empty() && (load.bytes + bytes > bytes_max || load.appends.len() >= APPENDS_MAX) {
            self.counters.bundled += load.leave(cx);
        }
        let load = &mut self.loads[at];
        load.appends.push((group, msg));
        load.bytes += bytes;
    }

    /// Whether anything waits.
    pub fn has_loads(&self) -> bool {
        self.loads.iter().any(|load| !load.appends.is_empty())
    }

    /// What waits leaves.
    pub fn unload(&mut self, cx: &mut Cx<'_, Groups>) {
        for load in &mut self.loads {
            self.counters.bundled += load.leave(cx);
        }
    }
}

impl Load {
    /// How many left together.
    fn leave(&mut self, cx: &mut Cx<'_, Groups>) -> u64 {
        self.bytes = 0;
        let count = self.appends.len();
        let msg = match count {
            0 => return 0,
            1 => match self.appends.pop() {
                Some((group, msg)) => Msg::One { group, msg },
                None => return 0,
            },
            _ => Msg::Appends(self.appends.drain(..).collect()),
        };
        // As each of them: until a quorum has it on disk a newer term may overwrite it.
        cx.send_now(self.to.clone(), msg);
        if count > 1 { count as u64 } else { 0 }
    }
}
