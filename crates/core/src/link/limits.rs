//! Who a link speaks for, its bounds, and what it counts.

use crate::{Boot, ClusterId, NodeId, ScopeId};
use std::time::Duration;

/// Who a link speaks for: what its hellos say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The cluster. Hellos of another one are refused.
    pub cluster: ClusterId,
    /// This node.
    pub node: NodeId,
    /// This life of this journal.
    pub boot: Boot,
    /// The scopes that run here, ascending. Frames name a scope by its place in this list.
    pub scopes: Vec<ScopeId>,
}

/// Bounds of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkLimits {
    /// The shortest time between two hellos that ask one peer for a session; doubled for each that stays
    /// without an answer. Rule of thumb: a round trip of the network or a little more. Default 50 ms (guess).
    pub hello_interval: Duration,
    /// Where the doubling ends: how long after a peer comes back the last of the others notices, if it has
    /// something to say. Default 1 s (guess).
    pub hello_interval_max: Duration,
    /// Answers to hellos of one peer within one `hello_interval`. Default 16 (guess).
    pub answers_max: u32,
    /// Frames that wait for the handshake with one peer. Default 64 (guess).
    pub queued_frames_max: usize,
    /// Bytes that wait for handshakes, over all peers; a body that waits for many counts for each. Default 16 MiB (guess).
    pub queued_bytes_max: usize,
    /// Peers that are remembered. Beyond it the one that was silent longest is forgotten, those without a
    /// session first; who is forgotten by mistake is back after one handshake. Default 4,096 (guess).
    pub peers_max: usize,
    /// Scopes that a peer may name. Default 4,096 (guess).
    pub scopes_max: usize,
}

impl Default for LinkLimits {
    fn default() -> Self {
        LinkLimits {
            hello_interval: Duration::from_millis(50),
            hello_interval_max: Duration::from_secs(1),
            answers_max: 16,
            queued_frames_max: 64,
            queued_bytes_max: 16 << 20,
            peers_max: 4096,
            scopes_max: 4096,
        }
    }
}

/// What a link did and refused, counted since it was made. Every frame that came in or was to go out and did
/// not arrive where it should is in exactly one of these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct LinkCounters {
    /// Handshakes completed, first ones and later ones.
    pub sessions: u64,
    /// Peers forgotten because there were too many.
    pub peers_forgotten: u64,
    /// Hellos sent.
    pub hellos_sent: u64,
    /// Hellos not sent because the peer was asked, or answered, a moment ago.
    pub hellos_held_back: u64,
    /// Hellos whose echo is not of this moment: an answer to a question long closed, or to another life.
    pub hellos_stale: u64,
    /// Data frames handed up.
    pub accepted: u64,
    /// Data frames sent.
    pub sent: u64,

    /// Frames that arrived without a head, with a head of no meaning, or as a hello that is damaged or cannot be read.
    pub malformed: u64,
    /// Frames of a version of the head or hello that is not known here, and hellos of nodes that share no
    /// version with this one.
    pub other_version: u64,
    /// Hellos of another protocol.
    pub other_domain: u64,
    /// Hellos of another cluster.
    pub other_cluster: u64,
    /// Hellos for another node, or under this node's own name.
    pub other_node: u64,
    /// Hellos with more scopes than `scopes_max`.
    pub too_many_scopes: u64,
    /// Data frames whose seal is of no session: of an earlier life, of a session now replaced, before any; or
    /// damaged.
    pub unsealed: u64,
    /// Data frames of the session that came before.
    pub replayed: u64,
    /// Data frames of the session that are older than the replay window.
    pub too_old: u64,
    /// Data frames whose scope is not in their sender's list, or is not run here.
    pub unknown_scope: u64,

    /// Control frames dropped from, or before, the queue that waits for a handshake.
    pub dropped_control: u64,
    /// Data frames dropped from, or before, the queue that waits for a handshake.
    pub dropped_data: u64,
    /// Frames not sent because their scope does not run at the peer, or not here.
    pub scope_not_there: u64,
    /// Frames to this node itself, which a link does not carry.
    pub to_self: u64,
}
