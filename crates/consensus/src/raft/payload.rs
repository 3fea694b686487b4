//! The bytes of entries, as log, journal and messages hold them: many are shared, few are held by value. To share few of
//! them would cost more than the bytes do: an allocation, a count that all threads see, and the whole frame or piece of
//! memory that they came in, which would stay as long as they do.

use bytes::{Bytes, BytesMut};
use std::ops::{Deref, Range};

/// As many as stand in the room of shared ones, in which one word is never null and so tells the two apart. With more a
/// message would be longer, and every command moves it some ten times.
const FEW_MAX: usize = 23;

/// Bytes that do not change. Cheap to clone.
#[derive(Clone)]
pub(super) enum Payload {
    Few(Few),
    Shared(Bytes),
}

/// Three words, and copied as such.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(super) struct Few {
    bytes: [u8; FEW_MAX],
    len: u8,
}

impl Payload {
    pub const EMPTY: Payload = Payload::Few(Few { bytes: [0; FEW_MAX], len: 0 });

    /// A single byte.
    pub fn of_one(byte: u8) -> Payload {
        let mut bytes = [0; FEW_MAX];
        bytes[0] = byte;
        Payload::Few(Few { bytes, len: 1 })
    }

    fn few(bytes: &[u8]) -> Option<Payload> {
        let mut few = [0; FEW_MAX];
        few.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(Payload::Few(Few { bytes: few, len: bytes.len() as u8 }))
    }

    /// Takes all that was written. Spare memory stays for what comes next.
    pub fn take(from: &mut BytesMut) -> Payload {
        match Payload::few(from) {
            Some(few) => {
                from.clear();
                few
            }
            None => Payload::Shared(from.split().freeze()),
        }
    }

    /// A part.
    pub fn slice(&self, range: Range<usize>) -> Payload {
        match self {
            Payload::Shared(bytes) => bytes.slice(range).into(),
            Payload::Few(_) => Payload::few(&self[range]).unwrap_or(Payload::EMPTY),
        }
    }
}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Payload {
        Payload::few(&bytes).unwrap_or(Payload::Shared(bytes))
    }
}

impl Deref for Payload {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match self {
            Payload::Few(Few { bytes, len }) => bytes.get(..usize::from(*len)).unwrap_or(bytes),
            Payload::Shared(bytes) => bytes,
        }
    }
}

impl Default for Payload {
    fn default() -> Payload {
        Payload::EMPTY
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Payload) -> bool {
        self[..] == other[..]
    }
}

impl Eq for Payload {}

impl std::fmt::Debug for Payload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", &self[..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_out_as_they_went_in_whether_few_or_many() {
        for len in [0, 1, FEW_MAX - 1, FEW_MAX, FEW_MAX + 1, 1000] {
            let whole: Vec<u8> = (0..len).map(|at| at as u8).collect();
            let mut written = BytesMut::from(&whole[..]);
            let taken = Payload::take(&mut written);
            assert!(written.is_empty());
            assert_eq!((&taken[..], &taken), (&whole[..], &Payload::from(Bytes::from(whole.clone()))));
            assert_eq!(matches!(taken, Payload::Few(_)), len <= FEW_MAX);
            for range in [0..0, 0..len, len / 2..len, len / 3..len / 2] {
                let part = taken.slice(range.clone());
                assert_eq!(&part[..], &whole[range]);
                assert_eq!(matches!(part, Payload::Few(_)), part.len() <= FEW_MAX);
            }
        }
    }

    #[test]
    fn few_bytes_take_no_more_room_than_shared_ones() {
        assert_eq!(size_of::<Payload>(), size_of::<Bytes>());
    }
}
