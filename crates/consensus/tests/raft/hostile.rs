//! What a peer can send: bytes that mean nothing, and messages that mean what no correct replica says. Nothing
//! of it panics, and memory stays bounded.

use crate::cluster::{Cluster, ids};
use crate::made::{batch, snapshot};
use crate::samples::{messages, records};
use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use proptest::test_runner::Config;
use quorate_consensus::raft::{
    Append, AppendReply, Batches, Candidacy, Commands, Event, Forward, ForwardReply, Founding, LogId, Msg,
    NotPlaced, Outcome, Pulled, RaftConfig, Record, SnapshotChunk, SnapshotReply, VoteReply,
};
use quorate_core::{Boot, Input, JournalId, LinkState, NodeId, Rng, Wire, wire};
use std::fmt::Debug;
use std::time::Duration;

/// Decodes, and if it is a value, writes it and reads it again: the same value, and the same bytes from then on.
fn decodes_to_itself<T: Wire + PartialEq + Debug>(bytes: Vec<u8>) {
    let Ok(value) = wire::decode::<T>(Bytes::from(bytes)) else { return };
    let again = wire::encode(&value, &mut BytesMut::new());
    let back = wire::decode::<T>(again.clone()).expect("what was written is read");
    assert_eq!(back, value);
    assert_eq!(wire::encode(&back, &mut BytesMut::new()), again);
}

fn encoded() -> Vec<Vec<u8>> {
    let scratch = &mut BytesMut::new();
    let mut all: Vec<Vec<u8>> = Vec::new();
    for (_, msg) in messages() {
        all.push(wire::encode(&msg, scratch).to_vec());
    }
    for (_, record) in records() {
        all.push(wire::encode(&record, scratch).to_vec());
    }
    all
}

fn cases(cases: u32) -> Config {
    Config { cases, failure_persistence: None, ..Config::default() }
}

proptest! {
    #![proptest_config(cases(2_000))]

    #[test]
    fn random_bytes_never_panic_and_what_decodes_reencodes_equal(
        mut bytes in prop::collection::vec(any::<u8>(), 0..200),
        kind in 0u8..19,
    ) {
        // Mostly past the version and into a kind.
        if bytes.len() > 2 && kind < 18 {
            (bytes[0], bytes[1]) = (1, kind);
        }
        decodes_to_itself::<Msg>(bytes.clone());
        decodes_to_itself::<Record>(bytes);
    }

    #[test]
    fn mutated_bytes_never_panic_and_what_decodes_reencodes_equal(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0u8..4), 1..5),
    ) {
        let mut bytes = which.get(&encoded()).clone();
        for (at, byte, how) in changes {
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes[at] ^= 1 << (byte % 8),
                2 => bytes.insert(at, byte),
                _ if bytes.len() > 1 => drop(bytes.remove(at)),
                _ => {}
            }
        }
        decodes_to_itself::<Msg>(bytes.clone());
        decodes_to_itself::<Record>(bytes);
    }
}

/// Numbers where something may turn.
fn number(rng: &mut Rng) -> u64 {
    let around = *rng.pick(&[0, 1, 2, 4, 9, 20, 1 << 32, 1 << 62, 1 << 63, u64::MAX]).unwrap();
    match rng.within(0..4) {
        0 | 1 => rng.within(0..7),
        2 => around.saturating_add(rng.within(0..3)),
        _ => around.saturating_sub(rng.within(0..3)),
    }
}

fn log_id(rng: &mut Rng) -> LogId {
    LogId::new(number(rng), number(rng))
}

fn message(rng: &mut Rng, group: u64) -> Msg {
    let group = if rng.chance(0.9) { group } else { number(rng) };
    let (term, round, last) = (number(rng), number(rng), log_id(rng));
    let vote = VoteReply { term, granted: rng.chance(0.5), last: LogId::ZERO };
    match rng.within(0..24) {
        0 => Msg::PreVote(Candidacy { group, term, last, handed_over: rng.chance(0.5) }),
        1 => Msg::Vote(Candidacy { group, term, last, handed_over: rng.chance(0.5) }),
        2 => Msg::PreVoteReply(vote),
        3 => Msg::VoteReply(vote),
        4..=6 => {
            let mut found = Vec::new();
            let (mut next, mut of) = (last.index.checked_add(1), last.term);
            for _ in 0..rng.within(0..3) {
                of = of.saturating_add(rng.within(0..2));
                let Some(first) = next.filter(|first| *first < u64::MAX - 9) else { break };
                let count = 1 + rng.index(4);
                found.push(batch(first, of, &vec![&b"h"[..]; count]));
                next = Some(first + count as u64);
            }
            Msg::Append(Append { group, term, prev: last, commit: number(rng), round, batches: found.into() })
        }
        7 | 8 => {
            let outcome = match rng.within(0..4) {
                0 => Outcome::Matched(number(rng)),
                3 => Outcome::Witnessed(number(rng)),
                1 => Outcome::Conflict { refused: number(rng), hint: log_id(rng) },
                _ => Outcome::Stale,
            };
            Msg::AppendReply(AppendReply { term, round, outcome })
        }
        9 | 10 => {
            let data = Bytes::from_static(&b"0123456789"[..rng.index(11)]);
            let (total, offset) =
                if rng.chance(0.5) { (data.len() as u64, 0) } else { (number(rng), number(rng)) };
            let whole = snapshot(last, &data);
            let checksum = if rng.chance(0.7) { whole.checksum } else { 0 };
            let crc = if rng.chance(0.9) { crc32fast::hash(&data) } else { 0 };
            let configuration = whole.configuration;
            let chunk =
                SnapshotChunk { group, term, round, last, configuration, total, checksum, offset, crc, data };
            Msg::Snapshot(Box::new(chunk))
        }
        11 => Msg::SnapshotReply(SnapshotReply { term, round, last, next: number(rng) }),
        12 => match rng.within(0..3) {
            0 => Msg::Forward(Forward { group, first: round, commands: Commands::one(b"f") }),
            1 => Msg::ForwardReply(ForwardReply { first: round, count: 1, placed: Ok(last) }),
            _ => Msg::ForwardReply(ForwardReply { first: round, count: 1, placed: Err(NotPlaced::Busy) }),
        },
        20 => Msg::Resigned { group, term },
        22 => Msg::RolledBack { group, journal: JournalId(rng.within(0..9).into()).into() },
        23 => Msg::Held { group, term, upto: number(rng) },
        21 => Msg::LedBy { group, leader: NodeId(rng.within(0..9)) },
        18 => Msg::Pull { group, after: last },
        19 => {
            let batches = match last.index.checked_add(1).filter(|first| *first < u64::MAX - 9) {
                Some(first) => Batches::One(batch(first, last.term, &[b"h", b"i"])),
                None => Batches::None,
            };
            let ends = if rng.chance(0.5) {
                log_id(rng)
            } else {
                LogId::new(last.term, last.index.saturating_add(2))
            };
            Msg::Pulled(Pulled { group, after: last, last: ends, batches })
        }
        15 => Msg::TakeOver { group, term },
        16 => Msg::ReadIndex { group, request: round },
        17 => Msg::ReadIndexReply {
            request: round,
            index: if rng.chance(0.7) { Ok(number(rng)) } else { Err(NotPlaced::Busy) },
        },
        13 => Msg::Pins { founders: group, digest: rng.chance(0.5).then_some(round), ask: rng.chance(0.5) },
        _ => Msg::Join,
    }
}

#[test]
fn messages_that_no_correct_replica_sends_never_panic_and_cost_bounded_memory() {
    let group = Cluster::empty(RaftConfig::default()).group_of(&ids(3));
    let mut roles = [0u64; 3];
    for seed in 0..1_500 {
        let mut rng = Rng::from_seed(seed);
        let config = RaftConfig {
            chunk_bytes: 4,
            trailing_entries: rng.within(0..3),
            snapshot_bytes_max: 1_000,
            uncommitted_bytes_max: 200,
            entry_bytes_max: 100,
            learners_max: 4,
            ..RaftConfig::default()
        };
        let mut cluster = Cluster::seeded(config, seed);
        for id in ids(3) {
            cluster.add(id, Founding::Found(ids(3)), JournalId(id.0.into()));
        }
        let learner = NodeId(9);
        cluster.add(learner, Founding::Join(ids(3)), JournalId(9));
        if seed % 3 > 0 {
            let leader = cluster.elect();
            cluster.propose(leader, b"x");
            cluster.pass(rng.within(0..60));
        }
        // Every peer of the victim lies, and so do strangers.
        let victim = match seed % 4 {
            0 => learner,
            _ => *rng.pick(&ids(3)).unwrap(),
        };
        for _ in 0..80 {
            cluster.now = cluster.now + Duration::from_millis(rng.within(0..120));
            let from = *rng.pick(&[1, 1, 2, 2, 3, 3, 9, 50, 51, 52, 53, 54]).unwrap();
            match rng.within(0..12) {
                0 => cluster.step(victim, Input::Wake),
                1 => cluster.installed(victim, rng.chance(0.8)),
                2 => cluster.propose(victim, b"y"),
                3 => {
                    let state = if rng.chance(0.3) {
                        LinkState::Down
                    } else {
                        let journal = JournalId(rng.within(0..4).into());
                        LinkState::Up(Boot { incarnation: rng.within(0..3), journal })
                    };
                    cluster.step(victim, Input::Link { peer: NodeId(from), state });
                }
                4 => {
                    let raft = cluster.raft(victim);
                    let at = raft.commit();
                    if let Some(term) = raft.log().term_at(at) {
                        cluster.snapshot(victim, LogId::new(term, at), b"mine");
                    }
                }
                _ => {
                    let msg = message(&mut rng, group);
                    // As it would come: what the decoder refuses does not reach the replica.
                    let bytes = wire::encode(&msg, &mut BytesMut::new());
                    if let Ok(msg) = wire::decode::<Msg>(bytes) {
                        cluster.deliver(NodeId(from), victim, msg);
                    }
                }
            }
            let raft = cluster.raft(victim);
            roles[0] += u64::from(raft.is_leader());
            roles[1] += u64::from(raft.snapshot().is_some());
            assert!(raft.commit() <= raft.last().index.max(raft.log().base().index), "seed {seed}");
            // At most one for each peer and cause: no message makes an avalanche.
            assert!(cluster.wire.len() <= 64, "seed {seed}: {} messages", cluster.wire.len());
            assert!(raft.log().bytes() <= 80 * 64, "seed {seed}");
            cluster.wire.clear();
            let events = cluster.take_events(victim);
            roles[2] += events.iter().filter(|e| matches!(e, Event::Install(_))).count() as u64;
        }
        // Whatever was written can be read again.
        if cluster.is_up(victim) {
            cluster.crash(victim);
            cluster.start(victim);
        }
    }
    assert!(roles.iter().all(|count| *count > 100), "too tame: {roles:?}");
}

#[test]
fn a_count_or_length_of_the_other_end_of_the_world_allocates_nothing() {
    // An append that claims four billion batches, a batch that claims as many entries, a payload beyond the frame.
    let append = (4u32, 9u64, 4u64, (3u64, 500u64), 499u64, 1u64, u32::MAX);
    let record = (4u32, 1u64, 1u64, u32::MAX, 3u64);
    let snapshot = (5u32, (3u64, 450u64), u64::MAX);
    let with_version = |part: Vec<u8>| [&[1u8][..], &part].concat();
    let bytes = with_version(postcard::to_stdvec(&append).unwrap());
    assert!(wire::decode::<Msg>(Bytes::from(bytes)).is_err());
    let bytes = [with_version(postcard::to_stdvec(&record).unwrap()), vec![1, 1, b'x']].concat();
    assert!(wire::decode::<Record>(Bytes::from(bytes)).is_err());
    let bytes = with_version(postcard::to_stdvec(&snapshot).unwrap());
    assert!(wire::decode::<Record>(Bytes::from(bytes)).is_err());
}

#[test]
fn batches_with_a_gap_or_falling_terms_are_refused_by_the_decoder() {
    let append = |batches: Vec<_>| {
        let batches = Batches::from(batches);
        Msg::Append(Append { group: 1, term: 9, prev: LogId::new(3, 5), commit: 0, round: 1, batches })
    };
    let reads = |msg: &Msg| wire::decode::<Msg>(wire::encode(msg, &mut BytesMut::new())).is_ok();
    let one = |first, term| batch(first, term, &[b"x"]);
    assert!(reads(&append(vec![one(6, 3), one(7, 4)])));
    assert!(!reads(&append(vec![one(7, 3)])));
    assert!(!reads(&append(vec![one(6, 2)])));
    assert!(!reads(&append(vec![one(6, 4), one(8, 4)])));
    assert!(!reads(&append(vec![one(6, 4), one(7, 3)])));
}
