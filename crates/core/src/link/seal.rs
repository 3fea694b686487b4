//! What shows that a data frame belongs to this very session. Sixteen bytes of the head, whatever the scheme.
//!
//! The scheme here is `None`: no cryptography, for loopback and for transports that authenticate (TLS, QUIC).
//! Each side drew a token of 128 random bits and learned the other's in the handshake; the seal of a frame is
//! the receiver's token mixed with the sender's, so it is another one for each direction, for each pair of
//! lives, and for each session. It keeps out what strayed: replays, earlier lives, other clusters. It does not
//! keep out who can read the wire.
//!
//! A real scheme (a Noise session) takes the place of [`Seal`]: its handshake travels in the hellos, `seal`
//! writes the tag over head and body, `opens` checks it. The layout of the head does not change.

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

    /// Of what I send.
    pub(super) fn outgoing(&self) -> u128 {
        mix(self.theirs, self.mine)
    }

    /// Of what I accept.
    pub(super) fn incoming(&self) -> u128 {
        mix(self.mine, self.theirs)
    }
}

/// A token that two lives of the peer have learned still makes a different seal with each of them.
fn mix(receiver: u128, sender: u128) -> u128 {
    receiver ^ sender.rotate_left(1)
}
