//! What two nodes tell each other before anything else.

use crate::wire::{Decoder, Encoder, Wire, WireError};
use crate::{Boot, ClusterId, JournalId, NodeId, ScopeId};
use bytes::{BufMut, Bytes, BytesMut};

/// The first bytes of every hello: frames of another application's protocol are refused by name.
pub(super) const DOMAIN: [u8; 8] = *b"quorate\0";
/// The versions of everything behind the hello that this build speaks.
pub(super) const VERSIONS: (u8, u8) = (1, 1);

/// The body of a hello. Its scopes stay bytes until their number has been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hello {
    pub(super) domain: [u8; 8],
    pub(super) cluster: ClusterId,
    pub(super) versions: (u8, u8),
    pub(super) from: NodeId,
    pub(super) to: NodeId,
    pub(super) boot: Boot,
    /// My half of the next session's secret.
    pub(super) token: u128,
    /// Your half, if this answers you. Without it this is a question.
    pub(super) echo: Option<u128>,
    /// Eight little-endian bytes a scope, ascending.
    pub(super) scopes: Bytes,
}

impl Wire for Hello {
    fn encode(&self, to: &mut Encoder<'_>) {
        to.part(&(self.domain, self.cluster, self.versions, self.from, self.to));
        to.part(&(self.boot.incarnation, self.boot.journal, self.token, self.echo));
        to.payload(&self.scopes);
    }

    fn decode(_: u8, from: &mut Decoder) -> Result<Hello, WireError> {
        let (domain, cluster, versions, sender, to) = from.part()?;
        let (incarnation, journal, token, echo): (u64, JournalId, u128, Option<u128>) = from.part()?;
        let scopes = from.payload()?;
        let boot = Boot { incarnation, journal };
        Ok(Hello { domain, cluster, versions, from: sender, to, boot, token, echo, scopes })
    }
}

pub(super) fn encode_scopes(scopes: &[ScopeId]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(scopes.len() * 8);
    for scope in scopes {
        bytes.put_u64_le(scope.0);
    }
    bytes.freeze()
}

/// The scopes, if they are whole and strictly ascending. The caller has checked how many there are.
pub(super) fn decode_scopes(bytes: &[u8]) -> Option<Vec<ScopeId>> {
    let (whole, rest) = bytes.as_chunks::<8>();
    let scopes: Vec<ScopeId> = whole.iter().map(|le| ScopeId(u64::from_le_bytes(*le))).collect();
    (rest.is_empty() && scopes.is_sorted_by(|a, b| a < b)).then_some(scopes)
}
