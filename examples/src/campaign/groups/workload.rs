//! The workload: each group has clients of its own, is quiet now and then, and everything must come to rest in the end.

use super::super::fire::{self, STARTED_ANEW};
use super::super::kv::{Fuse, Registers};
use super::one::{CREATED, One, REMOVED};
use super::{App, Drawn, GROUPS};
use quorate::groups::{Groups, GroupsPort};
use quorate::raft::Raft;
use quorate::sim::{NodeState, Workload, World};
use quorate::{JournalId, NodeId, Rng};
use std::time::Duration;

pub(super) const PATHS: [&str; 5] = [CREATED, REMOVED, ALL_ASLEEP, STARTED_ANEW, LED_AGAIN];
const LED_AGAIN: &str = "all groups of a node that is lost for good are led again, though nobody asks";
const ALL_ASLEEP: &str = "all groups of all nodes sleep";

pub(super) struct GroupsWorkload {
    nodes: Vec<NodeId>,
    journals: Vec<JournalId>,
    ones: Vec<One>,
    fuses: Vec<Fuse>,
    rng: Rng,
    over: bool,
    disks_lost: usize,
    /// Goes down when faults end, and stays down.
    lost: Option<NodeId>,
    /// Nobody asks anything until all groups are led again.
    waits: bool,
    /// Whether groups fall asleep at all.
    pub sleeps: bool,
}

impl GroupsWorkload {
    pub fn new(
        seed: u64,
        nodes: Vec<NodeId>,
        drawn: Vec<Drawn>,
        fuses: Vec<Fuse>,
        disks_lost: usize,
    ) -> Self {
        let mut rng = Rng::from_seed(seed ^ 0x9409_6e0a);
        let changes = rng.chance(0.4).then_some(disks_lost);
        let ones = drawn.into_iter().enumerate();
        let ones = ones.map(|(place, drawn)| One::new(place, drawn, changes, &mut rng)).collect();
        let (journals, over) = (Vec::new(), false);
        GroupsWorkload {
            nodes,
            journals,
            ones,
            fuses,
            rng,
            over,
            disks_lost,
            lost: None,
            waits: false,
            sleeps: true,
        }
    }

    /// One of the nodes is lost for good in the end, unless disks are, or voters change: what is left is to be a quorum of
    /// every group. Until all that it led are led again nobody asks for anything.
    pub fn lose(&mut self, rng: &mut Rng) {
        let able = self.ones.iter().all(|one| one.drawn.voters.len() > 2 && one.changes.is_none());
        if able && self.disks_lost == 0 {
            self.lost = rng.pick(&self.nodes).copied();
        }
    }

    /// Whether every group that is to stay is led by a node that runs.
    fn all_led(&self, world: &World<App>) -> bool {
        let survivors = self.survivors(world);
        let leads = |one: &One, id: &NodeId| {
            let groups = world.host(*id).and_then(|host| host.protocol::<Groups>(GROUPS));
            groups.and_then(|groups| groups.look(one.drawn.group)).is_some_and(|look| look.leads)
        };
        let mut stay = self.ones.iter().filter(|one| !one.drawn.goes);
        stay.all(|one| survivors.iter().any(|id| leads(one, id)))
    }

    fn play_with_fire(&mut self, world: &mut World<App>) {
        let ones = &self.ones;
        fire::play(world, &self.fuses, &self.nodes, self.over, &mut self.rng, |world, id| {
            let port = world.host(id).and_then(|host| host.port::<GroupsPort<Registers>>(GROUPS));
            port.is_some_and(|port| ones.iter().any(|one| port.poisoned(one.drawn.group).is_some()))
        });
    }

    /// The nodes that run on the disk that they began with.
    fn survivors(&self, world: &World<App>) -> Vec<NodeId> {
        let survives = |(id, journal): &(&NodeId, &JournalId)| {
            let lost = self.over && self.lost == Some(**id);
            world.journal_id(**id) == **journal && world.state(**id) != NodeState::Refused && !lost
        };
        self.nodes.iter().zip(&self.journals).filter(survives).map(|(id, _)| *id).collect()
    }

    fn all_asleep(&self, world: &World<App>) -> bool {
        self.survivors(world).iter().all(|id| {
            let groups = world.host(*id).and_then(|host| host.protocol::<Groups>(GROUPS));
            groups.is_some_and(|groups| groups.asleep() == groups.len())
        })
    }

    /// What was removed, and is on disk as removed, never comes back.
    fn look_for_revenants(&self, world: &mut World<App>) {
        let survivors = self.survivors(world);
        for one in &self.ones {
            for id in one.gone.iter().filter(|id| survivors.contains(id)) {
                let groups = world.host(*id).and_then(|host| host.protocol::<Groups>(GROUPS));
                if groups.is_some_and(|groups| groups.has(one.drawn.group)) {
                    let why = format!("{} is there again", one.drawn.group);
                    return world.violate(Some(*id), "a group that was removed stays removed", why);
                }
            }
        }
    }
}

impl Workload<App> for GroupsWorkload {
    fn setup(&mut self, world: &mut World<App>) {
        self.journals = self.nodes.iter().map(|id| world.journal_id(*id)).collect();
        if self.disks_lost == 0 && self.lost.is_none() {
            return;
        }
        // A disk or a node that is lost before all founders have met ends the founding, as it should.
        for one in &mut self.ones {
            for id in &one.drawn.voters {
                let founding = quorate::raft::Founding::Found(one.drawn.voters.clone());
                drop(world.app(*id).groups.create(one.drawn.group, founding));
            }
        }
        let groups: Vec<_> = self.ones.iter().map(|one| one.drawn.clone()).collect();
        let founded = move |world: &World<App>, one: &Drawn, id: &NodeId| {
            let groups = world.host(*id).and_then(|host| host.protocol::<Groups>(GROUPS));
            let asleep = groups.and_then(|groups| groups.look(one.group)).is_some_and(|look| look.sleeps);
            asleep || groups.and_then(|groups| groups.raft(one.group)).is_some_and(Raft::is_founded)
        };
        let all =
            |world: &World<App>| groups.iter().all(|one| one.voters.iter().all(|id| founded(world, one, id)));
        world.run_until(all, Duration::from_secs(5));
    }

    fn step(&mut self, world: &mut World<App>) -> Duration {
        self.play_with_fire(world);
        for one in &mut self.ones {
            one.step(world, &mut self.rng);
        }
        self.look_for_revenants(world);
        Duration::from_micros(500 + self.rng.within(0..20_000))
    }

    fn core(&mut self, _: &World<App>) -> Option<Vec<NodeId>> {
        let lost = self.lost?;
        Some(self.nodes.iter().copied().filter(|id| *id != lost).collect())
    }

    fn calmed(&mut self, _: &mut World<App>) {
        self.over = true;
        self.waits = self.lost.is_some();
        self.ones.iter_mut().for_each(One::calmed);
        let waits = self.waits;
        self.ones.iter_mut().for_each(|one| one.asks = !waits);
    }

    fn has_recovered(&mut self, world: &World<App>) -> bool {
        if self.waits {
            if !self.all_led(world) {
                return false;
            }
            world.sometimes(LED_AGAIN);
            self.waits = false;
            self.ones.iter_mut().for_each(|one| one.asks = true);
        }
        let survivors = self.survivors(world);
        let mut answered = true;
        for one in &mut self.ones {
            answered &= one.is_answered(&survivors);
        }
        if !answered
            || !self.ones.iter().filter(|one| !one.drawn.goes).all(|one| one.is_equal(world, &survivors))
        {
            return false;
        }
        // One that lost its disk, and claims to be a founder, knocks at all doors for ever.
        if !self.sleeps || survivors.len() + usize::from(self.lost.is_some()) < self.nodes.len() {
            return true;
        }
        let asleep = self.all_asleep(world);
        if asleep {
            world.sometimes(ALL_ASLEEP);
        }
        asleep
    }

    fn lacks(&self, world: &World<App>) -> String {
        let ones: Vec<String> = self.ones.iter().map(|one| one.describe(world)).collect();
        let asleep = |id: &NodeId| {
            let groups = world.host(*id).and_then(|host| host.protocol::<Groups>(GROUPS));
            format!("{id} {groups:?} {:?}", groups.map(Groups::counters))
        };
        let asleep: Vec<String> = self.nodes.iter().map(asleep).collect();
        format!("{}; {}", ones.join("; "), asleep.join("; "))
    }

    fn check(&mut self, world: &mut World<App>) -> Result<(), String> {
        let survivors = self.survivors(world);
        self.ones.iter().try_for_each(|one| one.check(world, &survivors))
    }
}
