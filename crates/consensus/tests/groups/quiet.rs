//! Who may wake a group that sleeps, and how followers learn what is committed here and there.

use super::hostile::{GROUPS, NODES, Three, boot, place};
use quorate_consensus::groups::{Cmd, Committed, Doze, GroupId, Msg};
use quorate_consensus::raft::{self, Append, AppendReply, Batches, Candidacy, Commands, LogId, Outcome};
use quorate_core::{Input, LinkState, NodeId};

/// Linked with all, a member of nothing.
const STRANGER: NodeId = NodeId(9);

fn asleep(seed: u64) -> Three {
    let mut three = Three::new(seed);
    for id in NODES {
        three.step(id, Input::Link { peer: STRANGER, state: LinkState::Up(boot(STRANGER)) });
    }
    for _ in 0..500 {
        three.pass();
        if sleep(&three) {
            return three;
        }
    }
    panic!("they never slept");
}

fn sleep(three: &Three) -> bool {
    NODES.iter().all(|id| three.nodes[place(*id)].groups.asleep() as u64 == GROUPS)
}

fn woken(three: &Three) -> u64 {
    NODES.iter().map(|id| three.nodes[place(*id)].groups.counters().woken).sum()
}

/// What a member would wake group 0 by.
fn of_members(three: &Three) -> Vec<Msg> {
    let group = GroupId(0);
    let look = three.nodes[0].groups.look(group).unwrap();
    let (term, prev) = (look.term + 1, LogId::new(look.term, look.commit));
    let append = Append { group: 7, term, prev, commit: look.commit, round: 1, batches: Batches::None };
    let candidacy = Candidacy { group: 7, term, last: prev, handed_over: true };
    let one = |msg| Msg::One { group, msg };
    vec![
        one(raft::Msg::Append(append)),
        one(raft::Msg::Vote(candidacy)),
        one(raft::Msg::TakeOver { group: 7, term }),
        one(raft::Msg::ReadIndex { group: 7, request: 1 }),
        Msg::Many([(group, raft::Msg::Resigned { group: 7, term })].into()),
        Msg::Doze([Doze { group, term, last: prev, nonce: 1 }].into()),
        Msg::Committed([Committed { group, cluster: 7, term, index: look.commit + 1 }].into()),
    ]
}

#[test]
fn a_node_that_is_no_member_wakes_nobody() {
    let mut three = asleep(1);
    let before = woken(&three);
    for msg in of_members(&three) {
        for id in NODES {
            three.step(id, Input::Message { from: STRANGER, msg: msg.clone() });
            assert_eq!(woken(&three), before, "{id} woke for {msg:?}");
        }
    }
    // A member does, by each of them.
    for msg in of_members(&three) {
        let mut three = asleep(1);
        let before = woken(&three);
        three.step(NODES[0], Input::Message { from: NODES[1], msg: msg.clone() });
        assert_eq!(woken(&three), before + 1, "{msg:?}");
    }
}

#[test]
fn a_newcomer_is_heard_once_a_group_has_slept_for_a_while_and_does_not_keep_it_awake() {
    let mut three = asleep(2);
    let asks = || Msg::One { group: GroupId(0), msg: raft::Msg::Join };
    let (before, mut asleep) = (woken(&three), 0);
    for _ in 0..1000 {
        for id in NODES {
            three.step(id, Input::Message { from: STRANGER, msg: asks() });
        }
        three.pass();
        asleep += u64::from(sleep(&three));
    }
    assert!(woken(&three) > before, "nobody listens to a newcomer");
    // It asks a hundred times a second. Heard each time it would let them sleep in hardly any.
    assert!(asleep > 150, "they slept in {asleep} of 1,000 looks");
}

/// Whether it answers what was asked in no round.
fn is_unasked(msg: &raft::Msg) -> bool {
    matches!(msg, raft::Msg::AppendReply(AppendReply { round: 0, outcome: Outcome::Matched(_), .. }))
}

#[test]
fn what_is_committed_in_several_groups_is_told_each_follower_at_once_and_is_not_answered() {
    let mut three = asleep(3);
    let leader_of = |three: &Three, group: u64| {
        NODES
            .into_iter()
            .find(|id| three.nodes[place(*id)].groups.look(GroupId(group)).unwrap().leads)
            .unwrap()
    };
    let told = |three: &Three| {
        NODES.iter().map(|id| three.nodes[place(*id)].groups.counters().committed).sum::<u64>()
    };
    for round in 1..=20 {
        let before = told(&three);
        for group in 0..GROUPS {
            let cmd = raft::Cmd::Propose { first: round, commands: Commands::one(b"something") };
            let id = leader_of(&three, group);
            three.step(id, Input::Command(Cmd::Of { group: GroupId(group), cmd }));
        }
        for _ in 0..2 {
            three.pass_seeing(|msg| match msg {
                Msg::One { msg, .. } => assert!(!is_unasked(msg)),
                Msg::Many(all) => assert!(!all.iter().any(|(_, msg)| is_unasked(msg))),
                _ => {}
            });
        }
        for group in (0..GROUPS).map(GroupId) {
            let commits = NODES.map(|id| three.nodes[place(id)].groups.look(group).unwrap().commit);
            assert!(commits.iter().all(|commit| *commit == commits[0]), "{group}: {commits:?}");
        }
        assert_eq!(told(&three) - before, 2 * GROUPS, "each of two followers, of each group");
    }
}
