//! The bytes of many groups, and what is made of bytes that nobody wrote. How groups behave is tested where they run:
//! `examples/tests/groups.rs`, and the campaign over them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests and what only they use")]

mod absent;
mod created;
mod hostile;
#[allow(dead_code, reason = "shared with the tests of one group")]
#[path = "../raft/made.rs"]
mod made;
mod quiet;
mod sleepers;
mod told_again;

#[path = "../shared/golden_file.rs"]
mod golden_file;

use bytes::{Bytes, BytesMut};
use golden_file::check;
use proptest::prelude::*;
use quorate_consensus::groups::{
    Beat, Claim, Committed, Digest, Doze, GroupId, Groups, GroupsConfig, GroupsConfigError, Msg, Record,
};
use quorate_consensus::raft::{self, AppendReply, Batches, Founding, LogId, Outcome, Pin, RaftConfig};
use quorate_core::{JournalId, NodeId, wire};
use std::time::Duration;

fn reply(round: u64) -> raft::Msg {
    raft::Msg::AppendReply(AppendReply { term: 3, round, outcome: Outcome::Matched(17) })
}

fn heartbeat() -> raft::Msg {
    let prev = LogId::new(3, 17);
    raft::Msg::Append(raft::Append { group: 9, term: 3, prev, commit: 17, round: 4, batches: Batches::None })
}

fn claim(group: u64) -> Claim {
    Claim { group: GroupId(group), term: 3, last: LogId::new(2, 300) }
}

fn committed(group: u64) -> Committed {
    Committed { group: GroupId(group), cluster: 9, term: 3, index: 300 }
}

fn append(data: &[u8]) -> raft::Msg {
    let batch = made::batch(18, 3, &[data]);
    let prev = LogId::new(3, 17);
    raft::Msg::Append(raft::Append {
        group: 9,
        term: 3,
        prev,
        commit: 17,
        round: 4,
        batches: Batches::One(batch),
    })
}

fn messages() -> Vec<(&'static str, Msg)> {
    let doze = Doze { group: GroupId(7), term: 3, last: LogId::new(3, 17), nonce: 1 << 40 };
    let beat = Beat {
        leads: Digest { count: 2, sum: u64::MAX },
        under: Digest { count: 1, sum: 5 },
        led: vec![claim(1), claim(2)],
        followed: vec![claim(70_000)],
    };
    vec![
        ("one", Msg::One { group: GroupId(7), msg: reply(4) }),
        ("many", Msg::Many([(GroupId(7), reply(4)), (GroupId(70_000), heartbeat())].into())),
        ("many-none", Msg::Many([].into())),
        ("beat", Msg::Beat(beat)),
        ("beat-usual", Msg::Beat(Beat::default())),
        ("doze", Msg::Doze([doze].into())),
        ("dozed", Msg::Dozed([(GroupId(7), 1 << 40)].into())),
        ("not-so", Msg::NotSo([GroupId(1), GroupId(2)].into())),
        ("committed", Msg::Committed([committed(7), committed(70_000)].into())),
        ("appends", Msg::Appends([(GroupId(7), append(b"one")), (GroupId(8), append(b"two"))].into())),
        ("not-here", Msg::NotHere([GroupId(1), GroupId(300)].into())),
    ]
}

fn records() -> Vec<(&'static str, Record)> {
    let voters = vec![NodeId(1), NodeId(2), NodeId(3)];
    let group = GroupId(7);
    let hard = raft::Record::Hard { term: 3, vote: Some(NodeId(2)) };
    let pinned = raft::Record::Pinned(Pin { node: NodeId(2), journal: JournalId(12) });
    vec![
        ("created", Record::Created { group, founding: Founding::Found(voters.clone()) }),
        ("created-joins", Record::Created { group, founding: Founding::Join(voters.clone()) }),
        ("of", Record::Of { group, record: hard.clone() }),
        (
            "instead",
            Record::Instead {
                group,
                founding: Founding::Found(voters.clone()),
                parts: 0,
                records: vec![raft::Record::Founded { voters: voters.clone() }, pinned.clone(), hard.clone()],
            },
        ),
        ("part", Record::Part { group, begins: true, records: vec![pinned] }),
        (
            "instead-behind",
            Record::Instead { group, founding: Founding::Found(voters), parts: 2, records: vec![hard] },
        ),
        ("removed", Record::Removed { group }),
        ("gone", Record::Gone { groups: vec![GroupId(1), GroupId(300)] }),
    ]
}

#[test]
fn every_message_of_groups_has_the_bytes_of_its_golden_file() {
    check("groups-messages-1.txt", messages());
}

#[test]
fn every_record_of_groups_has_the_bytes_of_its_golden_file() {
    check("groups-records-1.txt", records());
}

#[test]
fn a_count_of_the_other_end_of_the_world_allocates_nothing() {
    let bytes = wire::encode(&Msg::Many([].into()), &mut BytesMut::new());
    let mut longer = bytes[..bytes.len() - 1].to_vec();
    longer.extend([0xff, 0xff, 0xff, 0xff, 0x0f]);
    assert!(wire::decode::<Msg>(Bytes::from(longer)).is_err());
}

#[test]
fn what_is_put_together_is_small_and_not_more_than_is_ever_put_together() {
    let refused = |msg: &Msg| wire::decode::<Msg>(wire::encode(msg, &mut BytesMut::new())).is_err();
    let doze = |group| Doze { group: GroupId(group), term: 3, last: LogId::new(3, 17), nonce: 9 };
    let of = |count: u64| {
        let claims: Vec<Claim> = (0..count).map(claim).collect();
        [
            Msg::Many((0..count).map(|group| (GroupId(group), reply(4))).collect()),
            Msg::Doze((0..count).map(doze).collect()),
            Msg::Dozed((0..count).map(|group| (GroupId(group), 9)).collect()),
            Msg::NotSo((0..count).map(GroupId).collect()),
            Msg::NotHere((0..count).map(GroupId).collect()),
            Msg::Committed((0..count).map(committed).collect()),
            Msg::Beat(Beat { led: claims.clone(), ..Beat::default() }),
            Msg::Beat(Beat { followed: claims, ..Beat::default() }),
        ]
    };
    assert!(of(512).iter().all(|msg| !refused(msg)));
    assert!(of(513).iter().all(refused));
    let appends = |count: u64| Msg::Appends((0..count).map(|group| (GroupId(group), append(b"x"))).collect());
    assert!(!refused(&appends(64)) && refused(&appends(65)));
    // What carries data is dropped where a node has no room; it does not come in by another door.
    let commands = raft::Commands::one(b"data");
    let data = raft::Msg::Forward(raft::Forward { group: 9, first: 1, commands });
    assert!(refused(&Msg::Many([(GroupId(7), data.clone())].into())));
    assert!(!refused(&Msg::One { group: GroupId(7), msg: data.clone() }));
    assert!(refused(&Msg::Many([(GroupId(7), append(b"data"))].into())));
    for msg in [data, heartbeat(), reply(4)] {
        assert!(refused(&Msg::Appends([(GroupId(7), msg)].into())), "no append with entries");
    }
}

proptest! {
    #[test]
    fn bytes_that_nobody_wrote_are_refused_or_are_a_message(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(msg) = wire::decode::<Msg>(Bytes::from(bytes)) {
            let again = wire::encode(&msg, &mut BytesMut::new());
            prop_assert_eq!(wire::decode::<Msg>(again).unwrap(), msg);
        }
    }
}

#[test]
fn settings_that_cannot_work_are_refused_by_name() {
    let refused = |config: GroupsConfig| Groups::new(NodeId(1), config).unwrap_err();
    let default = GroupsConfig::default;
    assert!(Groups::new(NodeId(1), default()).is_ok());
    for (name, config) in [
        ("elections_max", GroupsConfig { elections_max: 0, ..default() }),
        ("groups_max", GroupsConfig { groups_max: 0, ..default() }),
        ("jobs_max", GroupsConfig { jobs_max: 0, ..default() }),
        ("rewrite_bytes_min", GroupsConfig { rewrite_bytes_min: 0, ..default() }),
    ] {
        assert_eq!(refused(config), GroupsConfigError::Zero(name));
    }
    let soon = GroupsConfig { sleep_after: Some(Duration::from_millis(99)), ..default() };
    assert!(matches!(refused(soon), GroupsConfigError::SleepsTooSoon { .. }));
    let raft = RaftConfig { heartbeat: Duration::ZERO, ..RaftConfig::default() };
    assert!(matches!(refused(GroupsConfig { raft, ..default() }), GroupsConfigError::Raft(_)));
    for bytes in [1200, 64 << 10, 1 << 20] {
        assert!(GroupsConfig::for_frames(bytes).frame_bytes_max() <= bytes);
    }
}
