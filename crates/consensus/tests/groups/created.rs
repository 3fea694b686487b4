//! Groups that come to be while their members run.

use super::hostile::{NODES, Three, place};
use quorate_consensus::groups::{Cmd, GroupId, Record};
use quorate_consensus::raft::{self, Founding};
use quorate_core::Input;

const GROUP: GroupId = GroupId(77);

#[test]
fn a_group_that_is_created_among_linked_nodes_is_founded_as_soon_as_the_last_of_them_has_it() {
    let mut three = Three::new(1);
    (0..200).for_each(|_| three.pass());
    for id in NODES {
        let create = Cmd::Create { group: GROUP, founding: Founding::Found(NODES.to_vec()) };
        three.step(id, Input::Command(create));
        let of = |(_, record): &(_, Record)| match record {
            Record::Of { group: GROUP, record } => Some(record.clone()),
            _ => None,
        };
        let first = three.nodes[place(id)].written.iter().find_map(of);
        assert!(matches!(first, Some(raft::Record::Founded { .. })), "{id} began with {first:?}");
    }
    // Long before any of them would ask again.
    (0..3).for_each(|_| three.pass());
    let is_founded = |group: &raft::Raft| group.is_founded();
    assert!(NODES.iter().all(|id| three.nodes[place(*id)].groups.raft(GROUP).is_some_and(is_founded)));
}
