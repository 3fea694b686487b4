//! Every message and record has the bytes of its golden file.

use crate::golden_file::check;
use crate::samples::{messages, records};

#[test]
fn every_message_has_the_bytes_of_its_golden_file() {
    check("raft-messages-1.txt", messages());
}

#[test]
fn every_record_has_the_bytes_of_its_golden_file() {
    check("raft-records-1.txt", records());
}
