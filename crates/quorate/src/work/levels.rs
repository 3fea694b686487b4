//! What the levels between coordinators and workers say, key by key.

use bytes::Bytes;
use quorate_scheduler::dispatch::{Finished, Granted};
use quorate_scheduler::engine::{AgentSpec, Lease};
use serde::{Deserialize, Serialize};

/// One key of what a coordinator tells a worker node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Told {
    /// Under [`HEAD`]: the term that the coordinator leads, or led last.
    Head { term: u64, leads: bool },
    /// Under [`lease_key`].
    Lease(Granted),
}

/// One key of what a worker node tells a coordinator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Line {
    /// Under [`HEAD`]: a number that grows, so that silence is told from calm.
    Beat(u64),
    /// Under [`hosts_key`]: some of the agents that live here.
    Hosts(Vec<AgentSpec>),
    /// Under [`lease_key`]: it runs; the number changes with its progress.
    Running(Lease, u32),
    /// Under [`lease_key`]: it has ended.
    Finished(Finished),
    /// Under [`lease_key`]: an end under a lease that the node does not hold. For the books alone, so once is enough.
    Astray(Finished),
}

pub(super) const HEAD: u64 = 0;

/// Agents a key: a value stays small.
pub(super) const HOSTS_A_KEY: usize = 64;

/// The key of the n-th part of the agents.
pub(super) fn hosts_key(part: usize) -> u64 {
    1 + part as u64
}

/// The key of an attempt. Attempts of a task are numbered from 1 and never so often tried that 31 bits end.
pub(super) fn lease_key(lease: Lease) -> u64 {
    1 << 63 | u64::from(lease.task.0) << 31 | u64::from(lease.attempt) & 0x7fff_ffff
}

pub(super) fn is_lease_key(key: u64) -> bool {
    key >> 63 == 1
}

pub(super) fn encode<T: Serialize>(value: &T) -> Bytes {
    // Fails for sequences of unknown length only, and there are none.
    postcard::to_stdvec(value).map(Bytes::from).unwrap_or_default()
}

/// `None` for bytes that mean nothing: a peer's, so counted and left out.
pub(super) fn decode<T: for<'a> Deserialize<'a>>(bytes: &[u8]) -> Option<T> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Some(value),
        _ => None,
    }
}
