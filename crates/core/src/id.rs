//! Names of things. Each is a number that is cheap to copy and to order; none carries an address.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A process (or thread) that takes part. Chosen by the application, unique in a cluster, never reused for
/// another machine while the old one may still speak.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeId(pub u64);

/// What runs tasks. An agent lives on a worker node; to the coordinators it is data.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AgentId(pub u64);

/// One protocol with its port on a node. The same on every node that takes part in it: it is computed from
/// what the scope *is* (see [`ScopeId::new`]), never from the order in which scopes were registered.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ScopeId(pub u64);

/// The cluster a node belongs to. Frames of another cluster are refused by the handshake.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClusterId(pub u128);

/// Drawn at random when a journal is created. A node whose disk was lost comes back under another one, so a
/// vote that was given and forgotten is never given twice under one name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct JournalId(pub u128);

impl ScopeId {
    /// The scope of this `kind` (`"raft"`), `name` (`"work"`) and `generation` (raised when a scope that was
    /// removed is created anew). A 64-bit FNV-1a over the three, each closed by its length, so that no two
    /// different triples spell the same bytes.
    pub const fn new(kind: &str, name: &str, generation: u32) -> ScopeId {
        let hash = fnv1a(0xcbf2_9ce4_8422_2325, kind.as_bytes());
        let hash = fnv1a(hash, &(kind.len() as u64).to_le_bytes());
        let hash = fnv1a(hash, name.as_bytes());
        let hash = fnv1a(hash, &(name.len() as u64).to_le_bytes());
        ScopeId(fnv1a(hash, &generation.to_le_bytes()))
    }
}

impl ClusterId {
    /// The cluster of this name: FNV-1a 128 over its bytes.
    pub const fn named(name: &str) -> ClusterId {
        let mut hash = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d_u128;
        let bytes = name.as_bytes();
        let mut i = 0;
        while i < bytes.len() {
            hash = (hash ^ bytes[i] as u128).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
            i += 1;
        }
        ClusterId(hash)
    }
}

const fn fnv1a(mut hash: u64, bytes: &[u8]) -> u64 {
    let mut i = 0;
    while i < bytes.len() {
        hash = (hash ^ bytes[i] as u64).wrapping_mul(0x0000_0100_0000_01b3);
        i += 1;
    }
    hash
}

macro_rules! shown_as {
    ($($name:ident, $form:literal);*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { write!(f, $form, self.0) }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { write!(f, $form, self.0) }
        }
    )*};
}
shown_as!(NodeId, "n{}"; AgentId, "a{}"; ScopeId, "s{:016x}"; ClusterId, "c{:032x}"; JournalId, "j{:032x}");

impl From<u64> for NodeId {
    fn from(id: u64) -> NodeId {
        NodeId(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_named_by_what_it_is() {
        assert_eq!(ScopeId::new("raft", "work", 0), ScopeId::new("raft", "work", 0));
        let all = [
            ("raft", "work", 0),
            ("raft", "work", 1),
            ("raf", "twork", 0),
            ("raftw", "ork", 0),
            ("swim", "work", 0),
        ];
        for (i, a) in all.iter().enumerate() {
            for b in &all[i + 1..] {
                assert_ne!(ScopeId::new(a.0, a.1, a.2), ScopeId::new(b.0, b.1, b.2), "{a:?} {b:?}");
            }
        }
        // Part of the wire: a change here is a new wire version.
        assert_eq!(ClusterId::named("a").0, 0xd228_cb69_6f1a_8caf_7891_2b70_4e4a_8964);
        assert_eq!(ScopeId::new("raft", "work", 0).0, 0xd932_d8a5_16a7_715b);
    }
}
