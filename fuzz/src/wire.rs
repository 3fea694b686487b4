//! What every decoder holds.

use bytes::{Bytes, BytesMut};
use quorate_core::{Wire, wire};
use std::fmt::Debug;

/// Decodes, and if it is a value, writes it and reads it again: the same value, and the same bytes from then on.
/// What is read costs no more than what was sent: its canonical bytes are not longer than those it came as.
pub(crate) fn decodes_to_itself<T: Wire + PartialEq + Debug>(bytes: &[u8]) {
    let Ok(value) = wire::decode::<T>(Bytes::copy_from_slice(bytes)) else { return };
    let again = wire::encode(&value, &mut BytesMut::new());
    assert!(again.len() <= bytes.len(), "{} bytes became {}: {value:?}", bytes.len(), again.len());
    let back = wire::decode::<T>(again.clone()).expect("what was written is read");
    assert_eq!(back, value);
    assert_eq!(wire::encode(&back, &mut BytesMut::new()), again);
    let _ = value.class();
}
