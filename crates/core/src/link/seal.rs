//! What shows that a data frame belongs to this very session and came as it was sent. Sixteen bytes of the
//! head, whatever the scheme.
//!
//! The scheme here is `None`: no cryptography, for loopback and for transports that authenticate (TLS, QUIC).
//! Each side drew a token of 128 random bits and learned the other's in the handshake. The two make a key for
//! each direction, another one for each pair of lives and each session; the seal of a frame is that key mixed
//! with a digest of head and body. It keeps out what strayed and what was damaged: replays, earlier lives, other
//! clusters, flipped bits. It does not keep out who can read the wire.
//!
//! A real scheme (a Noise session) takes the place of [`Seal`]: its handshake travels in the hellos, and its tag
//! stands where the seal does. The layout of the head does not change.

use super::digest::BodyDigest;

/// The seals of one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seal {
    mine: u128,
    theirs: u128,
}

impl Seal {
    pub(super) fn new(mine: u128, theirs: u128) -> Seal {
        Seal { mine, theirs }
    }

    pub(super) fn mine(&self) -> u128 {
        self.mine
    }

    pub(super) fn theirs(&self) -> u128 {
        self.theirs
    }

    /// The key of what I send.
    pub(super) fn outgoing(&self) -> u128 {
        mix(self.theirs, self.mine)
    }

    /// The key of what I accept.
    pub(super) fn incoming(&self) -> u128 {
        mix(self.mine, self.theirs)
    }
}

/// A token that two lives of the peer have learned still makes a different key with each of them.
fn mix(receiver: u128, sender: u128) -> u128 {
    receiver ^ sender.rotate_left(1)
}

/// The seal of a frame under a key; and the key of a frame that has this seal, since mixing undoes itself. A
/// hello has the key zero: only damage is kept out.
pub(super) fn seal(key: u128, head: &[u8; 16], body: BodyDigest) -> u128 {
    let digest = body.under(head);
    key ^ (u128::from(digest) << 64 | u128::from(digest.rotate_left(23)))
}
