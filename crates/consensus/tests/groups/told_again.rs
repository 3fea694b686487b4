//! A group whose log nobody cuts, as that of one whose state machine is lost: told again in records that are not long, and what
//! a crash leaves of them stands for nothing.

use super::hostile::{GROUPS, NODES, Three, boot, place};
use bytes::BytesMut;
use quorate_consensus::groups::{Cmd, GroupId, Groups, Record};
use quorate_consensus::raft::{self, Commands, LogId, Term};
use quorate_core::{Cx, Effect, Input, NodeId, Outbox, Protocol, Rng, Time, Wall, wire};

/// What a node holds that reads these records back: term, vote and end of each group's log.
fn replayed(three: &Three, records: &[Record]) -> Vec<(Term, LogId, usize)> {
    let id = NODES[0];
    let mut groups = Groups::new(id, three.nodes[place(id)].groups.config().clone()).unwrap();
    let mut out = Outbox::default();
    for record in records {
        groups.replay(record.clone()).unwrap();
        out.note_replayed();
    }
    let mut rng = Rng::from_seed(1);
    groups.step(Input::Start(boot(id)), &mut Cx::new(Time(1), Wall(0), &mut rng, &mut out));
    let look =
        |group: u64| groups.raft(GroupId(group)).map(|raft| (raft.term(), raft.last(), raft.log().bytes()));
    (0..GROUPS).filter_map(look).collect()
}

#[test]
fn a_long_log_is_told_again_in_short_records_of_which_a_crash_leaves_all_or_none() {
    let mut three = Three::new(1);
    let mut longest = 0;
    for turn in 0..400u64 {
        let cmd = raft::Cmd::Propose { first: turn + 1, commands: Commands::one(&[7; 1500]) };
        let leads =
            |id: &&NodeId| three.nodes[place(**id)].groups.look(GroupId(0)).is_some_and(|look| look.leads);
        if let Some(id) = NODES.iter().find(leads).copied() {
            three.step(id, Input::Command(Cmd::Of { group: GroupId(0), cmd }));
        }
        three.pass();
        if turn % 20 == 0 {
            let bytes = |(_, record): &(_, Record)| wire::encode(record, &mut BytesMut::new()).len();
            longest = three.nodes[0].written.iter().map(bytes).max().unwrap_or(0).max(longest);
        }
    }
    assert!(longest <= 66 << 10, "a record of {longest} bytes");
    let mut journals = std::mem::take(&mut three.nodes[0].journals);
    // Of the last ones, too: all of what came before was told again by then, some of it in parts.
    assert!(journals.len() > 2, "a long log was told again {} times", journals.len());
    for journal in journals.drain(..).take(8) {
        let end = journal.len() - 1;
        let Record::Instead { parts, .. } = &journal[end] else { panic!("not the end of parts") };
        let begin = end - *parts as usize;
        let before = replayed(&three, &journal[..begin]);
        assert!(before[0].2 > 60 << 10, "the log is not long");
        // A crash between any two of its records, and just behind the last.
        for end in begin..=end + 1 {
            assert_eq!(replayed(&three, &journal[..end]), before, "with {end} records");
        }
        // What is told again in one record after such a crash does not stand for what is left of the parts.
        let whole = whole(&three);
        let short = replayed(&three, &[&journal[..end], &whole].concat());
        assert_eq!(short, replayed(&three, &whole));
    }
}

#[test]
fn a_journal_is_told_again_no_faster_than_the_disk_takes_it() {
    let mut three = Three::new(2);
    for turn in 0..100 {
        for group in (0..GROUPS).map(GroupId) {
            let cmd = raft::Cmd::Propose { first: turn, commands: Commands::one(&[7; 16 << 10]) };
            let leads =
                |id: &&NodeId| three.nodes[place(**id)].groups.look(group).is_some_and(|look| look.leads);
            if let Some(id) = NODES.iter().find(leads).copied() {
                three.step(id, Input::Command(Cmd::Of { group, cmd }));
            }
        }
        three.pass();
    }
    // Whoever reads all that back has it told again; and nobody speaks to this one.
    let (mut groups, mut out) =
        (Groups::new(NODES[0], three.nodes[0].groups.config().clone()).unwrap(), Outbox::default());
    for (_, record) in &three.nodes[0].written {
        groups.replay(record.clone()).unwrap();
        out.note_replayed();
    }
    let mut rng = Rng::from_seed(1);
    let mut step = |input, out: &mut Outbox<Groups>| -> Vec<Effect<Groups>> {
        groups.step(input, &mut Cx::new(Time(1), Wall(0), &mut rng, out));
        out.drain().collect()
    };
    step(Input::Start(boot(NODES[0])), &mut out);
    let bytes = |effect: Effect<Groups>| match effect {
        Effect::Append(record) => wire::encode(&record, &mut BytesMut::new()).len(),
        _ => 0,
    };
    let ahead: usize = (0..100).flat_map(|_| step(Input::Wake, &mut out)).map(bytes).sum();
    // About a mebibyte, and no more beside it than one group has.
    assert!((1 << 20..3 << 20).contains(&ahead), "{ahead} bytes wait for the disk");
    let mut is_told = false;
    for _ in 0..GROUPS {
        out.note_durable(out.appended());
        let durable = Input::Durable(out.durable());
        step(durable, &mut out);
        is_told |=
            (0..10).flat_map(|_| step(Input::Wake, &mut out)).any(|e| matches!(e, Effect::Compact { .. }));
    }
    assert!(is_told, "it was not gone on with");
}

/// All groups in one record each, without entries.
fn whole(three: &Three) -> Vec<Record> {
    let founding = raft::Founding::Found(NODES.to_vec());
    let hard = |group: GroupId| {
        let look = three.nodes[0].groups.look(group).unwrap();
        vec![
            raft::Record::Founded { voters: NODES.to_vec() },
            raft::Record::Hard { term: look.term, vote: None },
        ]
    };
    let instead =
        |group| Record::Instead { group, founding: founding.clone(), parts: 0, records: hard(group) };
    (0..GROUPS).map(GroupId).map(instead).collect()
}
