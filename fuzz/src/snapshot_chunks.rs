//! Pieces of snapshots in any order, of any size, total, checksum and term, for a follower that takes small ones
//! only. Whatever its port is told to install is whole, and was announced with that length and checksum.

use crate::made::{batch, founders};
use crate::messages::Near;
use crate::replica::{Replica, STEPS_MAX, small, state};
use crate::script::Script;
use bytes::Bytes;
use quorate_consensus::raft::{
    Append, Cmd, Event, Founding, LogId, Msg, NotRestored, Snapshot, SnapshotChunk,
};
use quorate_core::{Input, NodeId};
use std::collections::BTreeSet;
use std::time::Duration;

/// What is printed of a replica besides bytes of snapshots.
const PRINTED_BESIDES: usize = 16_000;

/// The body.
pub fn run(bytes: &[u8]) {
    play(bytes);
}

/// The body; how many snapshots its port was handed.
pub fn play(bytes: &[u8]) -> usize {
    let mut script = Script::new(bytes);
    let (me, leader) = (NodeId(1), NodeId(2));
    let config = small(0);
    let mut replica = Replica::new(me, config, Founding::Found((1..=3).map(NodeId).collect()));
    replica.meet(leader);
    replica.meet(NodeId(3));
    let whole = [state(0, 0), state(10, 1), state(300, 2), state(1000, 3), state(1001, 4), state(2000, 5)];
    let mut announced = BTreeSet::new();
    let mut installs = 0;
    for _ in 0..STEPS_MAX / 2 {
        if script.is_done() {
            break;
        }
        let from = if script.below(8) == 7 { NodeId(3) } else { leader };
        match script.below(12) {
            0..=7 => {
                let chunk = chunk(&mut script, &Near::of(replica.raft(), 1), &whole);
                announced.insert((chunk.last, chunk.total, chunk.checksum));
                replica.step(Input::Message { from, msg: Msg::Snapshot(Box::new(chunk)) });
            }
            8 => replica.installed(script.below(4) > 0),
            9 => {
                let near = Near::of(replica.raft(), 1);
                let (group, term, prev) = (near.group, script.number(near.term), near.last);
                let batches = vec![batch(prev.index + 1, prev.term.max(1), &[&b"x"[..]; 3])].into();
                let append =
                    Append { group, term, prev, commit: script.number(near.commit), round: 1, batches };
                replica.step(Input::Message { from, msg: Msg::Append(append) });
            }
            10 => {
                replica.now = replica.now + Duration::from_millis(u64::from(script.byte()) * 100);
                replica.step(Input::Wake);
            }
            _ => replica.restart(script.below(4)),
        }
        let mut damaged = false;
        for event in std::mem::take(&mut replica.events) {
            let Event::Install(snapshot) = event else { continue };
            let said = (snapshot.last, snapshot.total, snapshot.checksum);
            assert!(announced.contains(&said), "{said:?} was never announced");
            assert_eq!(replica.objects.there(snapshot.blob), Some((snapshot.total, true)));
            match replica.objects.data(&snapshot) {
                Some(_) => installs += 1,
                // Each piece was right, and together they are something else: that is for the port to find.
                None => damaged = true,
            }
        }
        if damaged {
            replica.step(Input::Command(Cmd::Installed { result: Err(NotRestored::Damaged) }));
        }
        assert!(replica.objects.numbers().len() <= 3, "{:?}", replica.objects.numbers());
        replica.sent.clear();
    }
    // Nothing of a snapshot's bytes is in the replica.
    assert!(replica.printed() <= PRINTED_BESIDES, "{} characters", replica.printed());
    installs
}

fn chunk(script: &mut Script<'_>, near: &Near, whole: &[Bytes]) -> SnapshotChunk {
    let which = script.below(whole.len());
    let data = &whole[which];
    // What a correct leader would send; then some of it is bent.
    let from = usize::from(script.short()).min(data.len());
    let upto = from.saturating_add(usize::from(script.short())).min(data.len());
    let last = LogId::new(1, 10 * (1 + which as u64));
    let crc = |data: &Bytes| crc32fast::hash(data);
    let checksum = |data: &Bytes| Snapshot::of(last, founders(), 1, data.len() as u64, crc(data)).checksum;
    let mut chunk = SnapshotChunk {
        group: near.group,
        term: near.term.max(1),
        round: 1,
        last,
        configuration: founders(),
        total: data.len() as u64,
        checksum: checksum(data),
        offset: from as u64,
        crc: crc(&data.slice(from..upto)),
        data: data.slice(from..upto),
    };
    for _ in 0..script.below(4) {
        match script.below(8) {
            0 => chunk.term = script.number(near.term),
            1 => chunk.last = LogId::new(script.number(near.term), script.number(near.last.index)),
            2 => chunk.total = script.number(chunk.total),
            3 => chunk.checksum ^= u32::from(script.byte()),
            4 => chunk.offset = script.number(chunk.offset),
            5 => {
                chunk.data = Bytes::copy_from_slice(script.bytes());
                chunk.crc = if script.flag() { crc(&chunk.data) } else { chunk.crc };
            }
            6 => chunk.checksum = checksum(&chunk.data),
            _ => chunk.total = chunk.offset.saturating_add(chunk.data.len() as u64),
        }
    }
    chunk
}
