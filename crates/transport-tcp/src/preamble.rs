//! The first 24 bytes of a connection.

use quorate_core::NodeId;

pub(crate) const PREAMBLE_BYTES: usize = 24;
const BEGIN: [u8; 8] = *b"qrte\x01\0\0\0";

/// Who opened a connection, and to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Preamble {
    pub(crate) from: NodeId,
    pub(crate) to: NodeId,
}

impl Preamble {
    pub(crate) fn encode(self) -> [u8; PREAMBLE_BYTES] {
        let mut bytes = [0; PREAMBLE_BYTES];
        bytes[..8].copy_from_slice(&BEGIN);
        bytes[8..16].copy_from_slice(&self.from.0.to_le_bytes());
        bytes[16..].copy_from_slice(&self.to.0.to_le_bytes());
        bytes
    }

    /// `None` for another protocol or another version of this one.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Preamble> {
        let bytes = bytes.first_chunk::<PREAMBLE_BYTES>()?;
        let (begin, ids) = bytes.split_first_chunk::<8>()?;
        let (from, to) = ids.split_first_chunk::<8>()?;
        let to = to.first_chunk::<8>()?;
        let id = |le: &[u8; 8]| NodeId(u64::from_le_bytes(*le));
        (*begin == BEGIN).then(|| Preamble { from: id(from), to: id(to) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preamble_has_these_bytes_and_every_other_beginning_is_refused() {
        let preamble = Preamble { from: NodeId(0x0102), to: NodeId(u64::MAX) };
        let bytes = preamble.encode();
        // The wire of the first version.
        assert_eq!(bytes, *b"qrte\x01\0\0\0\x02\x01\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff");
        assert_eq!(Preamble::decode(&bytes), Some(preamble));
        for at in 0..8 {
            let mut other = bytes;
            other[at] ^= 1;
            assert_eq!(Preamble::decode(&other), None);
        }
        assert_eq!(Preamble::decode(&bytes[..23]), None);
    }
}
