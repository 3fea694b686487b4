//! The bytes of values, as they were written when this version was made. A difference is a new version of wire or disk,
//! never an edit of these files. Written anew with `QUORATE_GOLDEN=write`.

use bytes::{Bytes, BytesMut};
use quorate_core::{Wire, wire};
use std::fmt::{Debug, Write};
use std::path::Path;

pub fn check<T: Wire + PartialEq + Debug>(file: &str, samples: Vec<(&'static str, T)>) {
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
