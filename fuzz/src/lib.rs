//! What strangers and disks may bring, as fuzz targets. Each body is a plain function of bytes: libFuzzer calls it
//! through `fuzz_targets/`, and `tests/bodies.rs` calls it on a stable compiler.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a body reports")]

pub mod link_frames;
#[path = "../../crates/consensus/tests/raft/made.rs"]
pub mod made;
pub mod messages;
pub mod mirror_wire;
#[path = "../../crates/consensus/tests/raft/objects.rs"]
pub mod objects;
pub mod raft_replay;
#[path = "../../crates/consensus/tests/raft/samples.rs"]
pub mod raft_samples;
pub mod raft_step;
pub mod raft_wire;
pub mod redb_file;
pub mod replica;
pub mod samples;
pub mod script;
pub mod snapshot_chunks;
mod wire;

/// A target: its name and its body.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 7] = [
    ("raft_wire", raft_wire::run),
    ("mirror_wire", mirror_wire::run),
    ("raft_step", raft_step::run),
    ("raft_replay", raft_replay::run),
    ("snapshot_chunks", snapshot_chunks::run),
    ("link_frames", link_frames::run),
    ("redb_file", redb_file::run),
];

/// Runs a body on the files named on the command line.
pub fn run_files(body: fn(&[u8])) -> std::io::Result<()> {
    for path in std::env::args_os().skip(1) {
        println!("{}", path.display());
        body(&std::fs::read(path)?);
    }
    Ok(())
}
