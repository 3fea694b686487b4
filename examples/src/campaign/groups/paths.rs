//! Not a rule but a witness: which ways groups went.

use super::{App, GROUPS};
use quorate::groups::{Groups, GroupsCounters};
use quorate::sim::{Invariant, Touch, Touched, World};

type Path = (&'static str, fn(&GroupsCounters) -> u64);

const PATHS: [Path; 11] = [
    ("a group falls asleep", |c| c.slept),
    ("a group wakes", |c| c.woken),
    ("a group wakes as its leader's node is gone", |c| c.orphaned),
    ("a group wakes as its followers' nodes are gone", |c| c.deserted),
    ("a group wakes as nodes do not see its sleep alike", |c| c.corrected),
    ("a group does not fall asleep as not all agree in time", |c| c.restless),
    ("a beat names what sleeps, as digests differ", |c| c.claims),
    ("small messages leave together", |c| c.bundled),
    ("an election waits for others to end", |c| c.elections_delayed),
    ("the journal of many groups is rewritten", |c| c.rewrites),
    ("a message comes for a group that is not here", |c| c.unknown),
];

/// What was counted last, by place.
#[derive(Debug, Default)]
pub(super) struct GroupPaths(Vec<GroupsCounters>);

impl GroupPaths {
    pub fn names() -> impl Iterator<Item = &'static str> {
        PATHS.iter().map(|(name, _)| *name)
    }
}

impl Invariant<App> for GroupPaths {
    fn name(&self) -> &str {
        "ways of groups"
    }

    fn check(&mut self, world: &World<App>, touch: Touch) -> Result<(), String> {
        if self.0.len() <= touch.place {
            self.0.resize(touch.place + 1, GroupsCounters::default());
        }
        let before = &mut self.0[touch.place];
        if touch.how != Touched::Stepped {
            *before = GroupsCounters::default();
        }
        let groups = world.host_at(touch.place).and_then(|host| host.protocol::<Groups>(GROUPS));
        let Some(now) = groups.map(Groups::counters).filter(|now| now != before) else { return Ok(()) };
        for (name, count) in PATHS {
            (count(before)..count(&now)).for_each(|_| world.sometimes(name));
        }
        *before = now;
        Ok(())
    }
}
