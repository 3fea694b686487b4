//! See `quorate_fuzz::raft_replay`. Built without cargo-fuzz it runs the files that it is given, a crash say.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| quorate_fuzz::raft_replay::run(bytes));

#[cfg(not(fuzzing))]
fn main() -> std::io::Result<()> {
    quorate_fuzz::run_files(quorate_fuzz::raft_replay::run)
}
