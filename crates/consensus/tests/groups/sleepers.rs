//! What a replica must not forget, or be forgotten for, because its group slept.

use super::hostile::{GROUPS, NODES, Node, Three, boot, place};
use quorate_consensus::groups::{Beat, Cmd, GroupId, Msg};
use quorate_consensus::raft::{self, Append, Batches, Candidacy, Commands, LogId};
use quorate_core::{Boot, Input, JournalId, LinkState, NodeId, Protocol};
use std::time::Duration;

const GROUP: GroupId = GroupId(0);

fn asleep(seed: u64) -> Three {
    let mut three = Three::new(seed);
    for _ in 0..500 {
        three.pass();
        if NODES.iter().all(|id| three.nodes[place(*id)].groups.asleep() as u64 == GROUPS) {
            return three;
        }
    }
    panic!("they never slept");
}

fn pass(three: &mut Three, times: u32) {
    (0..times).for_each(|_| three.pass());
}

fn leader(three: &Three) -> Option<NodeId> {
    let leads = |id: &NodeId| three.nodes[place(*id)].groups.look(GROUP).unwrap().leads;
    NODES.into_iter().filter(|id| three.cut != Some(*id)).find(leads)
}

fn ask(three: &mut Three, id: NodeId, cmd: raft::Cmd) {
    three.step(id, Input::Command(Cmd::Of { group: GROUP, cmd }));
}

fn propose(three: &mut Three) {
    let leader = leader(three).unwrap();
    ask(three, leader, raft::Cmd::Propose { first: 1, commands: Commands::one(b"something") });
}

#[test]
fn whoever_slept_before_its_state_was_whole_does_not_stand_before_it_is() {
    for seed in 0..10 {
        let mut three = asleep(seed);
        let lost = leader(&three).unwrap();
        let lacking = NODES.into_iter().find(|id| *id != lost).unwrap();
        ask(&mut three, lacking, raft::Cmd::Whole(false));
        propose(&mut three);
        pass(&mut three, 300);
        assert!(three.nodes[place(lacking)].groups.look(GROUP).unwrap().sleeps, "with seed {seed}");
        three.cut = Some(lost);
        pass(&mut three, 200);
        assert!(leader(&three).is_some_and(|leader| leader != lacking), "with seed {seed}");
        // Once it is, it may.
        ask(&mut three, lacking, raft::Cmd::Whole(true));
        let next = leader(&three).unwrap();
        ask(&mut three, next, raft::Cmd::Transfer { to: Some(lacking) });
        pass(&mut three, 100);
        assert_eq!(leader(&three), Some(lacking), "with seed {seed}");
    }
}

#[test]
fn a_peer_that_is_started_again_and_again_has_each_group_woken_once() {
    let mut three = asleep(1);
    for incarnation in 2..2000 {
        let state = LinkState::Up(Boot { incarnation, ..boot(NODES[1]) });
        three.step(NODES[0], Input::Link { peer: NODES[1], state });
    }
    // What is still to be woken is one step's work, however often that was found out.
    for _ in 0..3 {
        three.step(NODES[0], Input::Wake);
    }
    assert!(three.nodes[0].groups.wake_at() > three.now);
    assert!(three.nodes[0].groups.counters().woken > 0);
}

#[test]
fn one_that_took_its_leader_for_lost_and_hears_it_again_waits_as_any_follower() {
    let mut three = asleep(1);
    let leads = leader(&three).unwrap();
    let look = three.nodes[place(leads)].groups.look(GROUP).unwrap();
    let (term, prev, timeout) = (look.term, LogId::new(look.term, look.commit), Duration::from_millis(150));
    three.now = three.now + timeout * 2;
    let left: Vec<NodeId> = NODES.into_iter().filter(|id| *id != leads).collect();
    let mut waits = Vec::new();
    for (id, other) in [(left[0], left[1]), (left[1], left[0])] {
        // One of them stands at once, and the other in its turn.
        three.step(id, Input::Message { from: other, msg: Msg::Beat(Beat::default()) });
        three.step(id, Input::Wake);
        let group = three.nodes[place(id)].groups.raft(GROUP).unwrap().group();
        let append = Append { group, term, prev, commit: prev.index, round: 1, batches: Batches::None };
        let msg = Msg::One { group: GROUP, msg: raft::Msg::Append(append) };
        three.step(id, Input::Message { from: leads, msg });
        let raft = three.nodes[place(id)].groups.raft(GROUP).unwrap();
        assert_eq!(raft.leader(), Some(leads));
        waits.push(raft.wake_at().since(three.now));
    }
    // All of them a while longer than the least, and not the same while.
    assert!(waits.iter().all(|wait| *wait > timeout) && waits[0] != waits[1], "{waits:?}");
}

#[test]
fn one_that_must_not_stand_and_was_away_when_the_others_fell_asleep_catches_up() {
    for cmd in [raft::Cmd::Abstain, raft::Cmd::Whole(false)] {
        let mut three = asleep(3);
        let leads = leader(&three).unwrap();
        let away = NODES.into_iter().find(|id| *id != leads).unwrap();
        ask(&mut three, away, cmd.clone());
        pass(&mut three, 100);
        three.cut = Some(away);
        pass(&mut three, 30);
        propose(&mut three);
        pass(&mut three, 300);
        let looks = |three: &Three| NODES.map(|id| three.nodes[place(id)].groups.look(GROUP).unwrap());
        let others = |id: &NodeId| *id != away;
        assert!(NODES.into_iter().filter(others).all(|id| looks(&three)[place(id)].sleeps));
        three.cut = None;
        pass(&mut three, 300);
        let commits = looks(&three).map(|look| look.commit);
        assert!(commits.iter().all(|commit| *commit == commits[0]), "{commits:?} after {cmd:?}");
    }
}

#[test]
fn a_voter_that_lost_its_disk_does_not_keep_its_groups_awake_and_counts_for_none_of_them() {
    let mut three = asleep(3);
    let (lost, left) = (NODES[2], [NODES[0], NODES[1]]);
    let config = three.nodes[place(lost)].groups.config().clone();
    three.nodes[place(lost)] = Node::new(lost, config, 4);
    let empty = Boot { journal: JournalId(33), ..boot(lost) };
    three.step(lost, Input::Start(empty));
    for peer in left {
        three.step(lost, Input::Link { peer, state: LinkState::Up(boot(peer)) });
        three.step(peer, Input::Link { peer: lost, state: LinkState::Up(empty) });
    }
    pass(&mut three, 500);
    assert_eq!(NODES.map(|id| three.nodes[place(id)].groups.asleep() as u64), [GROUPS; 3]);
    // With one of the others gone there is no quorum left that whoever leads could sleep on.
    let leads = leader(&three).unwrap();
    let gone = left.into_iter().find(|id| *id != leads).unwrap();
    three.cut = Some(gone);
    pass(&mut three, 100);
    assert_eq!(leader(&three), None);
}

#[test]
fn whoever_wakes_for_a_vote_after_its_leader_was_started_anew_does_not_refuse_it_for_that_leader() {
    let mut three = asleep(1);
    let leads = leader(&three).unwrap();
    let left: Vec<NodeId> = NODES.into_iter().filter(|id| *id != leads).collect();
    let look = three.nodes[place(leads)].groups.look(GROUP).unwrap();
    // Long enough after what it acknowledged to that leader.
    pass(&mut three, 30);
    let state = LinkState::Up(Boot { incarnation: 2, ..boot(leads) });
    three.step(left[0], Input::Link { peer: leads, state });
    // Another one has found that out, too, before the turn of this group has come here.
    let group = cluster(&mut three, leads);
    let last = LogId::new(look.term, look.commit);
    let candidacy = Candidacy { group, term: look.term + 1, last, handed_over: false };
    let msg = Msg::One { group: GROUP, msg: raft::Msg::PreVote(candidacy) };
    three.posted.clear();
    three.step(left[0], Input::Message { from: left[1], msg });
    let granted = three.posted.iter().any(|(from, to, msg)| {
        let Msg::One { msg: raft::Msg::PreVoteReply(reply), .. } = msg else { return false };
        (*from, *to, reply.granted) == (left[0], left[1], true)
    });
    assert!(granted, "{:?}", three.posted);
}

/// The name of the group's cluster, which only one that is awake tells.
fn cluster(three: &mut Three, id: NodeId) -> u64 {
    three.step(id, Input::Command(Cmd::Wake { group: GROUP }));
    three.nodes[place(id)].groups.raft(GROUP).unwrap().group()
}
