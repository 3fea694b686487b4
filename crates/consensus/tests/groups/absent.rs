//! A group that only one of its members still has.

use super::hostile::{NODES, Three, boot};
use quorate_consensus::groups::{Cmd, GroupId, Msg};
use quorate_consensus::raft::{self, Commands};
use quorate_core::{Boot, Input, LinkState};

const GROUP: GroupId = GroupId(0);

/// How often somebody asks for votes in it while so much time passes.
fn asked(three: &mut Three, passes: u32) -> u32 {
    let mut count = 0;
    let is_asked =
        |(group, msg): &(GroupId, raft::Msg)| *group == GROUP && matches!(msg, raft::Msg::PreVote(_));
    for _ in 0..passes {
        three.pass_seeing(|msg| match msg {
            Msg::One { group, msg } => count += u32::from(is_asked(&(*group, msg.clone()))),
            Msg::Many(all) => count += all.iter().filter(|one| is_asked(one)).count() as u32,
            _ => {}
        });
    }
    count
}

#[test]
fn a_group_that_rests_asks_once_more_when_something_is_asked_of_it_or_a_link_comes_up() {
    let mut three = Three::new(1);
    asked(&mut three, 200);
    let last = NODES[0];
    for id in [NODES[1], NODES[2]] {
        three.step(id, Input::Command(Cmd::Remove { group: GROUP }));
    }
    assert!(asked(&mut three, 300) > 0, "nobody asked for votes");
    assert_eq!(asked(&mut three, 300), 0, "it does not rest");
    let cmd = raft::Cmd::Propose { first: 1, commands: Commands::one(b"something") };
    three.step(last, Input::Command(Cmd::Of { group: GROUP, cmd }));
    // To two nodes.
    assert_eq!(asked(&mut three, 300), 2, "after it was asked");
    for id in [NODES[1], NODES[2]] {
        let state = LinkState::Up(Boot { incarnation: 2, ..boot(id) });
        three.step(last, Input::Link { peer: id, state });
        assert_eq!(asked(&mut three, 300), 2, "after {id} came back");
    }
}
