//! A replica that may follow, stand or lead, and inputs of every kind: messages that no correct replica sends, with
//! numbers close to those that matter; agreement; proposals, reads, snapshots; time; syncs that end late; links
//! under other journals; restarts on what is on its disk. What holds after each step is in `replica.rs`.

use crate::messages::{Near, message};
use crate::replica::{Replica, STEPS_MAX, small, state};
use crate::script::Script;
use bytes::{Bytes, BytesMut};
use quorate_consensus::raft::{Change, Cmd, Commands, Event, Founding, Gathered, LogId, Msg};
use quorate_core::{Input, LinkState, NodeId, wire};
use std::time::Duration;

/// What a run came to, so that a test can see that it is not tame.
#[derive(Default, Debug, Clone, Copy)]
pub struct Reached {
    /// It led.
    pub led: bool,
    /// It committed something.
    pub committed: bool,
    /// A snapshot was handed to its port.
    pub installed: bool,
    /// It compacted its log.
    pub compacted: bool,
    /// Entries were taken back.
    pub truncated: bool,
    /// It started a second time.
    pub restarted: bool,
    /// A read was answered.
    pub read: bool,
    /// It was told what no correct replica says.
    pub nonsense: bool,
}

/// The body.
pub fn run(bytes: &[u8]) {
    play(bytes);
}

/// The body, and what it came to.
pub fn play(bytes: &[u8]) -> Reached {
    let mut script = Script::new(bytes);
    let me = NodeId(1);
    let found = |n| Founding::Found((1..=n).map(NodeId).collect());
    let founding = match script.below(6) {
        0..=2 => found(3),
        3 => found(5),
        4 => found(1),
        _ => Founding::Join(vec![NodeId(2), NodeId(3)]),
    };
    let prologue = script.byte();
    let config = small(u64::from(prologue >> 4) % 4);
    let mut replica = Replica::new(me, config, founding);
    if prologue & 1 == 1 {
        replica.elect();
    }
    replica.prompt = prologue & 2 == 0;
    let (mut reached, mut number) = (Reached::default(), 0);
    for _ in 0..STEPS_MAX / 5 {
        if script.is_done() {
            break;
        }
        one(&mut replica, &mut script, &mut number, &mut reached);
        let (raft, counters) = (replica.raft(), replica.raft().counters());
        reached.led |= raft.is_leader();
        reached.committed |= raft.commit() > 0;
        reached.compacted |= counters.compactions > 0;
        reached.truncated |= counters.truncations > 0;
        reached.nonsense |= counters.nonsense > 0;
        reached.installed |= replica.events.iter().any(|event| matches!(event, Event::Install(_)));
        reached.read |= replica.events.iter().any(|event| matches!(event, Event::ReadReady { .. }));
        if replica.sent.len() > 64 {
            replica.sent.drain(..replica.sent.len() - 64);
        }
    }
    // Whatever was written can be read again.
    replica.sync();
    replica.restart(0);
    reached
}

/// One input or a few that belong together; never more than five steps but for agreement.
fn one(replica: &mut Replica, script: &mut Script<'_>, number: &mut u64, reached: &mut Reached) {
    // Every peer of the victim lies, and so do strangers.
    let op = script.below(20);
    let from = |script: &mut Script<'_>| NodeId(script.pick(&[2, 2, 3, 3, 4, 5, 1, 50, 51]));
    *number += 10;
    match op {
        0..=4 => {
            let from = from(script);
            let near = Near::of(replica.raft(), latest_round(replica));
            let msg = message(script, &near);
            // As it would come: what the decoder refuses does not reach the replica.
            if let Ok(msg) = wire::decode::<Msg>(wire::encode(&msg, &mut BytesMut::new())) {
                replica.step(Input::Message { from, msg });
            }
        }
        5 => {
            let (from, bytes) = (from(script), Bytes::copy_from_slice(script.bytes()));
            if let Ok(msg) = wire::decode::<Msg>(bytes) {
                replica.step(Input::Message { from, msg });
            }
        }
        6 => {
            replica.now = replica.now + Duration::from_millis(u64::from(script.byte()) * 2);
            replica.step(Input::Wake);
        }
        7 => replica.wake(),
        8 => replica.begin_sync(),
        9 => replica.end_sync(),
        10 => {
            let mut commands = Gathered::default();
            let data = state(script.below(110), 3);
            (0..=script.below(4)).for_each(|_| commands.push(&data));
            let commands = commands.take().unwrap_or_else(|| Commands::one(b""));
            replica.step(Input::Command(Cmd::Propose { first: *number, commands }));
        }
        11 => replica.step(Input::Command(Cmd::Read { request: *number })),
        12 => {
            // Of what is applied, as a port does.
            let raft = replica.raft();
            let at = raft.commit().saturating_sub(script.below(4) as u64);
            if let Some(term) = raft.log().term_at(at) {
                replica.snapshot(LogId::new(term, at), &state(script.below(40), 1));
            }
        }
        13 => replica.installed(script.below(4) > 0),
        14 => {
            let (peer, kind) = (from(script), script.byte());
            match kind % 4 {
                0 => replica.step(Input::Link { peer, state: LinkState::Down }),
                1 => replica.link_up(peer, u64::from(kind >> 4), u64::from(kind >> 2) % 4),
                _ => replica.meet(peer),
            }
        }
        15 => {
            reached.restarted = true;
            replica.restart(script.below(8));
            if script.flag() {
                let voters = replica.raft().voters().to_vec();
                voters.into_iter().filter(|id| *id != NodeId(1)).for_each(|id| replica.meet(id));
            }
        }
        16 => {
            let cmd = match script.below(8) {
                7 => Cmd::Abstain,
                5 | 6 => Cmd::Transfer { to: None },
                3 | 4 => Cmd::Transfer { to: Some(from(script)) },
                2 => {
                    let change = match script.below(4) {
                        0 => Change::to((1..=1 + script.below(4)).map(|id| id as u64)),
                        1 => Change::new().remove(from(script)),
                        _ => Change::new().add(from(script)),
                    };
                    Cmd::Change { request: *number, change: Box::new(change) }
                }
                _ => Cmd::StepDown,
            };
            replica.step(Input::Command(cmd));
        }
        _ => {
            let who = script.byte();
            replica.sent.truncate(16);
            replica.answers(|id| who == 0 || u64::from(who) % 8 == id.0);
        }
    }
}

/// The round that a leader asked last, as far as anybody was told.
fn latest_round(replica: &Replica) -> u64 {
    let rounds = replica.sent.iter().filter_map(|(_, msg)| match msg {
        Msg::Append(append) => Some(append.round),
        _ => None,
    });
    rounds.max().unwrap_or(1)
}
