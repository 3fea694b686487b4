//! The bytes of every message and record, as they were written when this version was made. A difference is a new
//! wire version, never an edit of these files. Written anew with `QUORATE_GOLDEN=write`.

use crate::samples::{messages, records};
use bytes::{Bytes, BytesMut};
use quorate_core::{Wire, wire};
use std::fmt::{Debug, Write};
use std::path::Path;

fn check<T: Wire + PartialEq + Debug>(file: &str, samples: Vec<(&'static str, T)>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file);
    let mut text = String::new();
    for (name, sample) in &samples {
        let bytes = wire::encode(sample, &mut BytesMut::new());
        let hex = bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        writeln!(text, "{name} {hex}").unwrap();
        assert_eq!(&wire::decode::<T>(bytes).unwrap(), sample, "{name} does not come back");
    }
    if std::env::var_os("QUORATE_GOLDEN").is_some_and(|value| value == "write") {
        std::fs::write(&path, &text).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap();
    assert_eq!(golden, text, "{file} is not what this version writes");
    for (line, (name, sample)) in golden.lines().zip(&samples) {
        let hex = line.split_once(' ').unwrap().1;
        let bytes: Vec<u8> =
            (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
        assert_eq!(&wire::decode::<T>(Bytes::from(bytes)).unwrap(), sample, "{name}");
    }
}

#[test]
fn every_message_has_the_bytes_of_its_golden_file() {
    check("raft-messages-1.txt", messages());
}

#[test]
fn every_record_has_the_bytes_of_its_golden_file() {
    check("raft-records-1.txt", records());
}
