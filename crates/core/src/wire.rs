//! How messages and records become bytes. A value is one version byte, its postcard part, and then payload
//! segments that are sliced out of the frame without copying. Decoding is bounded by the frame: a length is
//! checked before anything is allocated, and a rest of bytes is an error.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use postcard::ser_flavors::Flavor;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What may be dropped first when there is too much of everything.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// Keeps the protocol alive: votes, acknowledgements, heartbeats. Queued apart from data.
    Control,
    /// Carries the load; its sender repeats it when it is lost.
    Data,
}

/// A value with bytes. Its encoding is part of the wire or the disk format and has golden files.
pub trait Wire: Sized {
    /// Raised when the encoding changes.
    const VERSION: u8 = 1;
    /// Writes the part and the payloads.
    fn encode(&self, to: &mut Encoder<'_>);
    /// Reads what `encode` wrote. `version` is the version byte found; the provided [`decode`] has refused
    /// anything above [`Wire::VERSION`].
    fn decode(version: u8, from: &mut Decoder) -> Result<Self, WireError>;
    /// How it is queued.
    fn class(&self) -> Class {
        Class::Control
    }
}

/// Bytes that are not a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Written by a version that this one does not know.
    #[error("wire version {found}, known up to {known}")]
    Version {
        /// The version byte.
        found: u8,
        /// The newest version that can be read here.
        known: u8,
    },
    /// Ends before its own lengths say, or a field has no such value.
    #[error("malformed {0}")]
    Malformed(&'static str),
    /// Bytes are left over.
    #[error("{0} bytes too many")]
    Trailing(usize),
}

/// Values are written into pieces of memory of this size, many to an allocation.
const CHUNK_BYTES: usize = 4 << 10;
/// As long as a usual control message: with less room left, the next piece begins.
const USUAL_BYTES: usize = 64;

/// Writes a value behind what is in `scratch` and splits it off. The memory of `scratch` is reused.
pub fn encode<T: Wire>(value: &T, scratch: &mut BytesMut) -> Bytes {
    debug_assert!(scratch.is_empty(), "somebody's bytes would be taken along");
    if scratch.capacity() < USUAL_BYTES {
        // Left alone it would grow by doubling from eight bytes on, for every single value.
        scratch.reserve(CHUNK_BYTES);
    }
    scratch.put_u8(T::VERSION);
    value.encode(&mut Encoder(scratch));
    scratch.split().freeze()
}

/// Reads a value that fills `bytes` exactly.
pub fn decode<T: Wire>(mut bytes: Bytes) -> Result<T, WireError> {
    if bytes.is_empty() {
        return Err(WireError::Malformed("version"));
    }
    let version = bytes.get_u8();
    if version == 0 || version > T::VERSION {
        return Err(WireError::Version { found: version, known: T::VERSION });
    }
    let mut from = Decoder(bytes);
    let value = T::decode(version, &mut from)?;
    match from.0.len() {
        0 => Ok(value),
        rest => Err(WireError::Trailing(rest)),
    }
}

/// Where a value writes itself.
#[derive(Debug)]
pub struct Encoder<'a>(&'a mut BytesMut);

impl Encoder<'_> {
    /// The small, structured part.
    pub fn part<T: Serialize + ?Sized>(&mut self, part: &T) {
        // Postcard fails for sequences of unknown length only, and for a full buffer; ours grows.
        let written = postcard::serialize_with_flavor(part, Grow { at: self.0.len(), to: self.0 });
        assert!(written.is_ok(), "a wire type has a sequence of unknown length");
    }

    /// A payload, behind its length.
    pub fn payload(&mut self, bytes: &[u8]) {
        self.part(&(bytes.len() as u64));
        self.0.extend_from_slice(bytes);
    }
}

/// Where a value reads itself from.
#[derive(Debug)]
pub struct Decoder(Bytes);

impl Decoder {
    /// The small, structured part.
    pub fn part<T: DeserializeOwned>(&mut self) -> Result<T, WireError> {
        let (part, rest) =
            postcard::take_from_bytes::<T>(&self.0).map_err(|_| WireError::Malformed("part"))?;
        let used = self.0.len() - rest.len();
        self.0.advance(used);
        Ok(part)
    }

    /// A payload: a slice of the frame, which lives as long as the slice does. What is kept for long and is
    /// much smaller than its frame should be copied.
    pub fn payload(&mut self) -> Result<Bytes, WireError> {
        let len = usize::try_from(self.part::<u64>()?).map_err(|_| WireError::Malformed("payload length"))?;
        if len > self.0.len() {
            return Err(WireError::Malformed("payload"));
        }
        Ok(self.0.split_to(len))
    }
}

/// Writes into room that was made before: a part is many numbers of one or two bytes, and a buffer that is asked for
/// room for each of them takes longer over it than everything else takes.
struct Grow<'a> {
    to: &'a mut BytesMut,
    /// What is behind it is room.
    at: usize,
}

impl Grow<'_> {
    #[cold]
    fn make_room(&mut self, bytes: usize) {
        self.to.resize(self.at + bytes.max(USUAL_BYTES), 0);
    }
}

impl Flavor for Grow<'_> {
    type Output = ();
    #[inline]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        if self.at == self.to.len() {
            self.make_room(1);
        }
        self.to[self.at] = byte;
        self.at += 1;
        Ok(())
    }
    #[inline]
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        if let [byte] = bytes {
            return self.try_push(*byte);
        }
        let end = self.at + bytes.len();
        if end > self.to.len() {
            self.make_room(bytes.len());
        }
        self.to[self.at..end].copy_from_slice(bytes);
        self.at = end;
        Ok(())
    }
    fn finalize(self) -> postcard::Result<()> {
        self.to.truncate(self.at);
        Ok(())
    }
}

/// [`Wire`] for types that are wholly their postcard part.
#[macro_export]
macro_rules! wire_by_postcard {
    ($($ty:ty),+ $(,)?) => {$(
        impl $crate::wire::Wire for $ty {
            fn encode(&self, to: &mut $crate::wire::Encoder<'_>) {
                to.part(self);
            }
            fn decode(_: u8, from: &mut $crate::wire::Decoder) -> Result<Self, $crate::wire::WireError> {
                from.part()
            }
        }
    )+};
}

impl Wire for std::convert::Infallible {
    fn encode(&self, _: &mut Encoder<'_>) {
        match *self {}
    }
    fn decode(_: u8, _: &mut Decoder) -> Result<Self, WireError> {
        Err(WireError::Malformed("a record of a protocol that writes none"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Sample(u64, Vec<u32>, Bytes, Bytes);

    impl Wire for Sample {
        fn encode(&self, to: &mut Encoder<'_>) {
            to.part(&(self.0, &self.1));
            to.payload(&self.2);
            to.payload(&self.3);
        }
        fn decode(_: u8, from: &mut Decoder) -> Result<Self, WireError> {
            let (a, b) = from.part()?;
            Ok(Sample(a, b, from.payload()?, from.payload()?))
        }
    }

    fn sample() -> Sample {
        Sample(300, vec![1, 70_000], Bytes::from_static(b"abc"), Bytes::new())
    }

    #[test]
    fn a_value_comes_back_and_its_payload_is_a_slice_of_the_frame() {
        let frame = encode(&sample(), &mut BytesMut::new());
        let back: Sample = decode(frame.clone()).unwrap();
        assert_eq!(back, sample());
        let inside = frame.as_ptr_range();
        assert!(inside.contains(&back.2.as_ptr()), "the payload was copied");
    }

    #[test]
    fn every_cut_and_every_rest_is_refused() {
        let frame = encode(&sample(), &mut BytesMut::new());
        for end in 0..frame.len() {
            assert!(decode::<Sample>(frame.slice(..end)).is_err(), "cut at {end}");
        }
        let mut longer = BytesMut::from(&frame[..]);
        longer.put_u8(0);
        assert_eq!(decode::<Sample>(longer.freeze()), Err(WireError::Trailing(1)));
    }

    #[test]
    fn a_version_of_the_future_is_refused_by_name() {
        let mut frame = BytesMut::from(&encode(&sample(), &mut BytesMut::new())[..]);
        frame[0] = 9;
        assert_eq!(decode::<Sample>(frame.freeze()), Err(WireError::Version { found: 9, known: 1 }));
    }

    #[test]
    fn a_length_of_the_other_end_of_the_world_allocates_nothing() {
        let mut frame = BytesMut::new();
        frame.put_u8(1);
        Encoder(&mut frame).part(&(1u64, u64::MAX));
        assert!(decode::<Sample>(frame.freeze()).is_err());
    }
}
