//! Change of voters, now and then, to any of the nodes: with weights and flexible quorums where no disk is lost.

use super::{KvWorkload, Registers};
use quorate::NodeId;
use quorate::core::quorum::Rule;
use quorate::raft::{Change, Quorums, RaftHandle};
use quorate::sim::World;

impl<A: 'static> KvWorkload<A> {
    /// What becomes of it is seen in the logs; whoever asked does not wait.
    pub(super) fn change_voters(&mut self, world: &mut World<A>) {
        let Some(disks_lost) = self.changes.filter(|_| !self.over && self.rng.chance(0.02)) else { return };
        let Some(leader) = world.leader().filter(|leader| self.nodes.contains(leader)) else { return };
        let handle: &RaftHandle<Registers> = (self.handle)(world.app(leader));
        let change = draw(&self.nodes, &self.witnesses, disks_lost, &mut self.rng);
        drop(handle.change(change));
    }
}

/// Some of these nodes and witnesses are to vote.
pub(in crate::campaign) fn draw(
    nodes: &[NodeId],
    witnesses: &[NodeId],
    disks_lost: usize,
    rng: &mut quorate::Rng,
) -> Change {
    let least = 2 * disks_lost + 1;
    let mut all = [nodes, witnesses].concat();
    let count = least.max(1 + rng.index(all.len()));
    rng.shuffle(&mut all);
    let mut voters = all[..count.min(all.len())].to_vec();
    // What is lost must not be all that had the state.
    for id in nodes.iter().filter(|_| disks_lost > 0) {
        let with_state = voters.iter().filter(|voter| nodes.contains(voter)).count();
        if with_state <= disks_lost && !voters.contains(id) {
            voters.push(*id);
        }
    }
    let mut change = Change::to(voters.iter().copied());
    // A disk that is lost must not weigh more than others.
    if disks_lost == 0 && rng.chance(0.3) {
        change = voters.iter().fold(change, |change, id| change.add_weighted(*id, 1 + rng.within(0..3)));
    }
    match disks_lost == 0 && rng.chance(0.3) {
        // Refused where they need not meet.
        true => {
            let weight = |rng: &mut quorate::Rng| Rule::Weight(1 + rng.within(0..count as u64));
            change.quorums(Quorums { election: weight(rng), replication: weight(rng) })
        }
        false => change.quorums(Quorums::default()),
    }
}
