//! Writes the first corpora, from valid samples and from scripts that go deep. What fuzzing found is beside them.

use quorate_fuzz::samples::{encoded, messages, mirror, records};
use std::io::Result;
use std::path::Path;

fn main() -> Result<()> {
    let wire: Vec<Vec<u8>> = messages().iter().map(encoded).collect();
    let disk: Vec<Vec<u8>> = records().iter().map(encoded).collect();
    write("raft_wire", wire.iter().chain(&disk).cloned())?;
    write("mirror_wire", mirror().iter().map(encoded))?;
    // A journal in its order, one half of it, and one with a record of another place in the middle.
    let journal = |records: &mut dyn Iterator<Item = &Vec<u8>>| {
        let raw = records.flat_map(|record| [&[0, record.len() as u8][..], record].concat());
        [0].into_iter().chain(raw).collect::<Vec<u8>>()
    };
    let whole = journal(&mut disk[..13].iter());
    let half = journal(&mut disk[..8].iter());
    let joined = journal(&mut disk[13..].iter().chain(&disk[5..8]));
    let moved = journal(&mut disk[..7].iter().chain(&disk[11..13]).chain(&disk[7..11]));
    write("raft_replay", [whole, half, joined, moved])?;
    write("raft_step", steps())?;
    write("snapshot_chunks", chunks())?;
    write("link_frames", frames())?;
    // A flipped bit, a byte, a cut, a longer file, a filled sector, a page in another's place; witness and header.
    let bends = [0u8, 8, 16, 24, 32, 40, 48, 56, 7, 31, 63];
    write(
        "redb_file",
        bends.iter().enumerate().map(|(n, op)| vec![n as u8, 0, *op, 2, 0, 40 + n as u8, 1, 3, 5]),
    )
}

/// Runs of a replica: its role, its beginning, then one input after the other.
fn steps() -> Vec<Vec<u8>> {
    let propose: &[u8] = &[10, 20, 1];
    let agree: &[u8] = &[17, 0];
    let wake: &[u8] = &[7];
    let snapshot: &[u8] = &[12, 0, 9];
    let leads = |rest: &[&[u8]]| [&[0, 1][..], &rest.concat()].concat();
    // From node 2, kind 4 or 9, all numbers near the replica's own.
    let append: &[u8] = &[0, 0, 4, 0, 32, 0, 12, 31, 1, 1, 3, b'a', b'b', b'c', 2];
    let commits: &[u8] = &[0, 0, 4, 0, 32, 0, 32, 31, 1, 0, 1, b'd', 1];
    let rival: &[u8] = &[0, 2, 4, 0, 64, 1, 12, 12, 12, 0, 1, 2, 2, b'x', b'y', 1];
    let chunk: &[u8] = &[0, 0, 9, 0, 32, 4, b's', b't', b'a', b't', 1, 0, 31, 2, 12, 32];
    vec![
        leads(&[propose, wake, agree, agree, snapshot, propose, wake, agree, agree, &[11], wake, agree]),
        [&[0, 3][..], propose, wake, &[8], agree, &[9], agree, &[15, 2, 1], &[7, 7], agree].concat(),
        [
            &[0, 0, 14, 0, 2, 14, 2, 2][..],
            append,
            append,
            rival,
            append,
            commits,
            snapshot,
            chunk,
            &[13, 1],
            append,
        ]
        .concat(),
        [&[0, 2, 14, 0, 2][..], append, rival, &[8], commits, rival, &[9], append, &[15, 3, 1], rival]
            .concat(),
        [&[5, 0][..], append, chunk, &[13, 1], wake, append, snapshot, &[15, 0, 1], append].concat(),
        [&[4, 17][..], wake, propose, wake, snapshot, propose, wake, snapshot, &[15, 1, 0], wake].concat(),
        [&[3, 1][..], propose, wake, &[17, 2, 17, 3], propose, wake, &[16, 0], wake, agree, agree].concat(),
    ]
}

/// Pieces of a snapshot of ten bytes, of one of a thousand in two pieces, and of one that is too large.
fn chunks() -> Vec<Vec<u8>> {
    let piece = |which: u8, from: u16, len: u16| {
        let ([a, b], [c, d]) = (from.to_le_bytes(), len.to_le_bytes());
        vec![0, 0, which, a, b, c, d, 0]
    };
    let done = vec![0, 8, 1];
    let first = [piece(1, 0, 4), piece(1, 4, 6), done.clone()].concat();
    let second =
        [piece(3, 0, 500), piece(2, 0, 300), piece(3, 0, 500), piece(3, 500, 500), done.clone()].concat();
    let large = [piece(4, 0, 900), piece(5, 0, 2000), piece(0, 0, 0), done].concat();
    vec![first, second, large]
}

/// Two nodes speak, are interrupted, and one lives again.
fn frames() -> Vec<Vec<u8>> {
    let say: &[u8] = &[0, 0, 1, 0];
    let reply: &[u8] = &[0, 1, 0, 1];
    let carry: Vec<u8> = [3, 0, 0, 0].repeat(6);
    let calm = [&[2, 3][..], say, &carry, reply, say, &carry, reply, &carry].concat();
    let bent =
        [&[0, 1][..], say, &carry, say, &[7, 0, 0, 0, 1, 40, 2, 9], &[8, 0, 0, 0, 0, 33, 3, 1], &carry]
            .concat();
    let again =
        [&[1, 2][..], say, &carry, &[11, 1, 0, 2], reply, say, &carry, &[10, 0, 0, 99], say, &carry].concat();
    vec![calm, bent, again]
}

fn write(target: &str, seeds: impl IntoIterator<Item = Vec<u8>>) -> Result<()> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    std::fs::create_dir_all(&dir)?;
    for (n, seed) in seeds.into_iter().enumerate() {
        std::fs::write(dir.join(format!("seed-{n:02}")), seed)?;
    }
    Ok(())
}
