//! Many commands as one proposal: gathered by the port, passed on by followers, placed by the leader.

use crate::cluster::{Cluster, ids};
use crate::hosts::Hosts;
use crate::tally::{Do, Tally};
use quorate_consensus::raft::{
    Cmd, Commands, Event, Forward, ForwardReply, Gathered, LogId, Msg, NotPlaced, RaftConfig, RaftHandle,
};
use quorate_core::{HostCmd, Input, NoDecider, NodeId};
use std::collections::VecDeque;

fn commands(of: &[&[u8]]) -> Commands {
    let mut gathered = Gathered::default();
    of.iter().for_each(|command| gathered.push(command));
    gathered.take().unwrap()
}

fn placed(cluster: &mut Cluster, id: NodeId) -> Vec<(u64, u32, Result<LogId, NotPlaced>)> {
    let events = cluster.take_events(id).into_iter();
    let placed = events.filter_map(|event| match event {
        Event::Placed { first, count, placed } => Some((first, count, placed)),
        _ => None,
    });
    placed.collect()
}

/// Three replicas, who leads, and one that follows.
fn led(config: RaftConfig) -> (Cluster, NodeId, NodeId) {
    let mut cluster = Cluster::with(3, config);
    let leader = cluster.elect();
    let follower = ids(3).into_iter().find(|id| *id != leader).unwrap();
    cluster.settle();
    (cluster, leader, follower)
}

fn small() -> RaftConfig {
    RaftConfig {
        entry_bytes_max: 100,
        batch_bytes_max: 200,
        uncommitted_bytes_max: 500,
        ..RaftConfig::default()
    }
}

#[test]
fn commands_asked_for_in_one_turn_are_one_batch_and_each_is_answered() {
    for at_leader in [true, false] {
        let mut hosts = Hosts::of(3, 1, RaftConfig::default(), |_| (Tally::default(), NoDecider));
        let leader = hosts.elect();
        let asked = if at_leader { leader } else { NodeId(leader.0 % 3 + 1) };
        let handle: RaftHandle<Tally> = hosts.handle(asked);
        let before = hosts.raft(leader).last().index;
        let tickets: Vec<_> = (0..5).map(|number| handle.propose(Do::Add(number))).collect();
        hosts.pass(5);
        let replies: Vec<_> = tickets.into_iter().map(|ticket| ticket.try_take().unwrap()).collect();
        assert!(replies.iter().all(Result::is_ok), "{replies:?}");
        assert_eq!(hosts.state::<Tally, NoDecider>(asked).added, [0, 1, 2, 3, 4]);
        let log = hosts.raft(leader).log();
        let last = log.last().index;
        let batches: Vec<_> = log.batches_within(before + 1, last).map(|b| b.first()..=b.last()).collect();
        assert_eq!(batches, [before + 1..=before + 5]);
    }
}

#[test]
fn commands_of_one_proposal_get_places_one_behind_the_other_or_none() {
    let mut cluster = Cluster::with(3, small());
    let leader = cluster.elect();
    cluster.take_events(leader);
    let last = cluster.last(leader);
    cluster.command(leader, Cmd::Propose { first: 7, commands: commands(&[b"a", b"b", b"c"]) });
    let at = LogId::new(last.term, last.index + 1);
    assert_eq!(placed(&mut cluster, leader), [(7, 3, Ok(at))]);
    cluster.settle();
    let entries: Vec<_> = cluster.commands(leader).into_iter().map(|(_, _, data)| data).collect();
    assert_eq!(entries, [b"a".to_vec(), b"b".to_vec(), b"c".to_vec()]);

    // As much as may wait to be committed, and then one byte that is not taken: nor is what came with it.
    let (big, full) = ([b'x'; 98], cluster.last(leader).index);
    for first in [10, 20] {
        cluster.command(leader, Cmd::Propose { first, commands: commands(&[&big, &big]) });
    }
    cluster.command(leader, Cmd::Propose { first: 30, commands: commands(&[b"small", &big, &big[..5]]) });
    let answers = placed(&mut cluster, leader);
    assert!(answers[0].2.is_ok() && answers[1].2.is_ok(), "{answers:?}");
    assert_eq!(answers[2], (30, 3, Err(NotPlaced::Busy)));
    cluster.settle();
    assert_eq!(cluster.last(leader).index, full + 4);
}

#[test]
fn a_proposal_leaves_in_the_step_that_brings_it_with_what_was_passed_on_before() {
    let (mut cluster, leader, follower) = led(RaftConfig::default());
    let (group, last) = (cluster.group_of(&ids(3)), cluster.last(leader).index);
    let batches = |cluster: &Cluster| -> Vec<_> {
        let log = cluster.raft(leader).log();
        log.batches_within(last + 1, last + 9).map(|batch| batch.first()..=batch.last()).collect()
    };
    for (first, data) in [(1, b"a"), (2, b"b")] {
        let forward = Forward { group, first, commands: commands(&[data]) };
        cluster.deliver(follower, leader, Msg::Forward(forward));
    }
    assert_eq!(batches(&cluster), [], "others may pass on more in this turn");
    cluster.command(leader, Cmd::Propose { first: 1, commands: commands(&[b"c", b"d"]) });
    assert_eq!(batches(&cluster), [last + 1..=last + 4]);
    // Nothing came with this one, and nothing need be waited for.
    cluster.command(leader, Cmd::Propose { first: 3, commands: commands(&[b"e"]) });
    assert_eq!(batches(&cluster), [last + 1..=last + 4, last + 5..=last + 5]);
    cluster.settle();
    assert_eq!(cluster.raft(leader).commit(), last + 5);
}

#[test]
fn a_follower_passes_many_commands_on_in_one_message_and_learns_their_places() {
    let (mut cluster, leader, follower) = led(RaftConfig::default());
    cluster.take_events(follower);
    cluster.wire.clear();
    let (last, commands) = (cluster.last(leader), commands(&[b"a", b"b"]));
    cluster.command(follower, Cmd::Propose { first: 3, commands: commands.clone() });
    let sent: Vec<_> = cluster.wire.iter().map(|(_, to, msg)| (*to, msg.clone())).collect();
    let group = cluster.group_of(&ids(3));
    assert_eq!(sent, [(leader, Msg::Forward(Forward { group, first: 3, commands }))]);
    cluster.settle();
    let at = LogId::new(last.term, last.index + 1);
    assert_eq!(placed(&mut cluster, follower), [(3, 2, Ok(at))]);
}

#[test]
fn commands_that_together_fit_no_frame_are_refused_wherever_they_come_from() {
    let (mut cluster, leader, follower) = led(small());
    cluster.take_events(leader);
    let last = cluster.last(leader);
    let fits = [b'x'; 90];
    for too_large in [commands(&[&fits, &fits, &fits, &fits]), commands(&[b"a", &[b'x'; 101]])] {
        cluster.command(leader, Cmd::Propose { first: 1, commands: too_large.clone() });
        assert_eq!(placed(&mut cluster, leader), [(1, too_large.count(), Err(NotPlaced::TooLarge))]);
        cluster.wire.clear();
        let group = cluster.group_of(&ids(3));
        let count = too_large.count();
        cluster.deliver(follower, leader, Msg::Forward(Forward { group, first: 9, commands: too_large }));
        let placed = Err(NotPlaced::TooLarge);
        let answer = Msg::ForwardReply(ForwardReply { first: 9, count, placed });
        assert!(cluster.wire.iter().any(|(_, to, msg)| *to == follower && *msg == answer));
    }
    assert_eq!(cluster.last(leader), last);
}

#[test]
fn places_that_no_log_reaches_are_not_believed() {
    let (mut cluster, leader, follower) = led(RaftConfig::default());
    cluster.take_events(follower);
    let term = cluster.last(leader).term;
    for (index, count) in [((1 << 62) - 1, 2), (u64::MAX, 1), (u64::MAX - 3, u32::MAX), (0, 0)] {
        let before = cluster.raft(follower).counters().nonsense;
        let placed = Ok(LogId::new(term, index));
        cluster.deliver(leader, follower, Msg::ForwardReply(ForwardReply { first: 1, count, placed }));
        assert_eq!(cluster.raft(follower).counters().nonsense, before + 1, "{count} from {index} on");
    }
    assert_eq!(placed(&mut cluster, follower), []);
}

// What did not leave yet was not passed on to the old leader: it goes to the new one, and is not said to be in doubt.
#[test]
fn what_is_gathered_while_the_leader_changes_goes_to_the_new_one() {
    let mut hosts = Hosts::of(3, 3, RaftConfig::default(), |_| (Tally::default(), NoDecider));
    let old = hosts.elect();
    hosts.pass(50);
    let [asked, new] = [1, 2].map(|next| NodeId((old.0 - 1 + next) % 3 + 1));
    let handle: RaftHandle<Tally> = hosts.handle(old);
    let handed = handle.transfer(Some(new));
    hosts.settle_where(|_, to, _| to != asked);
    assert_eq!(handed.try_take().unwrap(), Ok(new));
    assert_eq!(hosts.raft(asked).leader(), Some(old));
    // A heartbeat of the new leader is on its way.
    hosts.hold = |msg| matches!(msg, Msg::Append(_));
    hosts.pass(50);
    let heard = hosts.held.drain(..).find(|(from, to, _)| (*from, *to) == (new, asked)).unwrap();
    // In one turn: a proposal is asked for, the new leader is heard, and what was gathered leaves.
    let handle: RaftHandle<Tally> = hosts.handle(asked);
    let done = handle.propose(Do::Add(1));
    let mut asks = VecDeque::new();
    hosts.nodes[&asked].door.take(&mut asks);
    for (scope, ask) in asks {
        hosts.step(asked, Input::Command(HostCmd::Ask { scope, ask }));
    }
    hosts.step(asked, Input::Message { from: new, msg: heard.2 });
    assert_eq!(hosts.raft(asked).leader(), Some(new));
    hosts.hold = |_| false;
    hosts.pass(100);
    assert!(done.try_take().unwrap().is_ok());
}
