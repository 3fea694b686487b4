//! Bytes as a journal, record behind record: it is refused, or there is a replica that follows, stands and appends.

use crate::made::batch;
use crate::messages::{Near, record};
use crate::replica::{Replica, small};
use crate::script::Script;
use bytes::{Bytes, BytesMut};
use quorate_consensus::raft::{Append, Batches, Cmd, Commands, Founding, LogId, Msg, Raft, Record};
use quorate_core::{Input, NodeId, Protocol, wire};

const RECORDS_MAX: usize = 64;

/// The body.
pub fn run(bytes: &[u8]) {
    play(bytes);
}

/// The body; whether the journal was taken.
pub fn play(bytes: &[u8]) -> bool {
    let mut script = Script::new(bytes);
    let (me, config) = (NodeId(1), small(u64::from(script.byte() & 3)));
    let founding = Founding::Found((1..=3).map(NodeId).collect());
    let mut records: Vec<Record> = Vec::new();
    // What the next record may be close to: a replica that takes what it can.
    let mut probe = Raft::new(me, config.clone(), founding.clone()).expect("settings that can work");
    while !script.is_done() && records.len() < RECORDS_MAX {
        let found = match script.below(4) {
            0 | 1 => wire::decode::<Record>(Bytes::copy_from_slice(script.bytes())).ok(),
            2 => record(&mut script, &Near::of(&probe, 1)),
            // Twice, or out of its place.
            _ => records.get(script.below(RECORDS_MAX)).cloned(),
        };
        let Some(found) = found else { continue };
        let _ = probe.replay(found.clone());
        let read = wire::decode::<Record>(wire::encode(&found, &mut BytesMut::new()));
        records.extend(read);
    }
    let Ok(mut replica) = Replica::on(me, config, founding, records) else { return false };
    if replica.elect() {
        replica.step(Input::Command(Cmd::Propose { first: 1, commands: Commands::one(b"mine") }));
        replica.wake();
        replica.answers(|_| true);
    }
    let (group, term, last) =
        (replica.raft().group().max(1), replica.raft().term().saturating_add(1), replica.raft().last());
    let from = replica.raft().voters().iter().copied().find(|id| *id != me).unwrap_or(NodeId(2));
    let prev = LogId::new(last.term, last.index);
    let batches = Batches::One(batch(last.index + 1, term, &[b"theirs"]));
    let append = Msg::Append(Append { group, term, prev, commit: last.index + 1, round: 1, batches });
    replica.step(Input::Message { from, msg: append });
    let committed = replica.raft().commit();
    if let Some(term) = replica.raft().log().term_at(committed) {
        replica.snapshot(LogId::new(term, committed), b"state");
    }
    replica.sync();
    replica.restart(0);
    true
}
