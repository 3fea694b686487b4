//! The clients of one group and what they were told.

use super::super::kv::{Asked, Client, Moment, Registers, voters};
use super::{App, Drawn, GROUPS};
use quorate::groups::{Groups, GroupsPort};
use quorate::raft::RaftHandle;
use quorate::sim::World;
use quorate::sim::linearizability::{Kv, Verdict, check};
use quorate::{NodeId, Rng, Ticket};
use std::collections::BTreeMap;
use std::time::Duration;

/// Tries of the search for an order; histories here are short, so that it ends long before.
const STEPS_MAX: u64 = 10_000_000;

pub(super) struct One {
    pub drawn: Drawn,
    place: usize,
    clients: Vec<Client>,
    history: Asked,
    operations_max: usize,
    /// Nobody asks anything new until then: time to fall asleep.
    quiet_until: Duration,
    /// Whether voters change, and how many disks may be lost meanwhile.
    pub changes: Option<usize>,
    pub over: bool,
    pub asks: bool,
    answered_before: usize,
    /// Creations and removals that were asked for.
    creating: BTreeMap<NodeId, Ticket<()>>,
    removing: BTreeMap<NodeId, Ticket<()>>,
    /// Where it was removed, for good.
    pub gone: Vec<NodeId>,
}

fn handle(place: usize) -> impl Fn(&App) -> &RaftHandle<Registers> {
    move |app| &app.handles[place]
}

impl One {
    pub fn new(place: usize, drawn: Drawn, changes: Option<usize>, rng: &mut Rng) -> One {
        let clients = (0..1 + rng.index(2)).map(|id| Client::new(id, drawn.voters[0])).collect();
        One {
            drawn,
            place,
            clients,
            history: Asked::new(),
            operations_max: 10 + rng.index(30),
            quiet_until: Duration::ZERO,
            changes,
            over: false,
            asks: true,
            answered_before: 0,
            creating: BTreeMap::new(),
            removing: BTreeMap::new(),
            gone: Vec::new(),
        }
    }

    pub fn step(&mut self, world: &mut World<App>, rng: &mut Rng) {
        if !self.over || self.asks || self.drawn.goes {
            self.come_and_go(world, rng);
        }
        if world.now() >= self.quiet_until && rng.chance(0.02) && !self.over {
            self.quiet_until = world.now() + Duration::from_millis(rng.within(0..3000));
        }
        let quiet = world.now() < self.quiet_until && !self.over;
        let deposed = self.deposed(world);
        let budget = if deposed.is_some() { 2 * self.operations_max } else { self.operations_max };
        let more = self.asks && !quiet && (self.over || self.history.len() < budget);
        let moment = Moment { nodes: &self.drawn.voters, deposed, more };
        for client in &mut self.clients {
            client.step(world, moment, handle(self.place), rng, &mut self.history);
        }
        if !self.over && !quiet {
            self.move_leader(world, rng);
        }
    }

    /// Hands over, or changes voters, now and then.
    fn move_leader(&self, world: &World<App>, rng: &mut Rng) {
        let leads = |id: &&NodeId| {
            let groups = world.host(**id).and_then(|host| host.protocol::<Groups>(GROUPS));
            groups.and_then(|groups| groups.look(self.drawn.group)).is_some_and(|look| look.leads)
        };
        let what = rng.unit();
        if what > 0.03 {
            return;
        }
        let Some(leader) = self.drawn.voters.iter().find(leads) else { return };
        let handle = &world.app(*leader).handles[self.place];
        // What becomes of it is seen in the terms and in what clients are told.
        if what < 0.015 {
            drop(
                handle
                    .transfer(rng.chance(0.7).then(|| self.drawn.voters[rng.index(self.drawn.voters.len())])),
            );
        } else if let Some(disks_lost) = self.changes {
            drop(handle.change(voters::draw(&self.drawn.voters, &[], disks_lost, rng)));
        }
    }

    /// Creates it where it is not, until that is done; or removes it.
    fn come_and_go(&mut self, world: &mut World<App>, rng: &mut Rng) {
        let group = self.drawn.group;
        for id in self.drawn.voters.clone() {
            if let Some(ticket) = self.removing.remove(&id) {
                match ticket.try_take() {
                    Err(ticket) => drop(self.removing.insert(id, ticket)),
                    Ok(Ok(())) => {
                        world.sometimes(REMOVED);
                        self.gone.push(id);
                    }
                    Ok(Err(_)) => {}
                }
            }
            if let Some(ticket) = self.creating.remove(&id) {
                match ticket.try_take() {
                    Err(ticket) => drop(self.creating.insert(id, ticket)),
                    Ok(Ok(())) => world.sometimes(CREATED),
                    Ok(Err(_)) => {}
                }
            }
            let groups = world.host(id).and_then(|host| host.protocol::<Groups>(GROUPS));
            let Some(groups) = groups else { continue };
            let has = groups.has(group);
            let late = self.over || world.now() > Duration::from_secs(5);
            if self.drawn.goes && late {
                // Also where it is not, and long after: it never comes back.
                if !self.gone.contains(&id) && !self.removing.contains_key(&id) && rng.chance(0.1) {
                    self.removing.insert(id, world.app(id).groups.remove(group));
                } else if self.gone.contains(&id) && rng.chance(0.02) {
                    // It must not come back.
                    let founding = quorate::raft::Founding::Found(self.drawn.voters.clone());
                    drop(world.app(id).groups.create(group, founding));
                }
            } else if !has && !self.creating.contains_key(&id) && rng.chance(0.1) {
                let founding = quorate::raft::Founding::Found(self.drawn.voters.clone());
                self.creating.insert(id, world.app(id).groups.create(group, founding));
            }
        }
    }

    /// One that still leads, as it thinks, while another leads a newer term.
    fn deposed(&self, world: &World<App>) -> Option<NodeId> {
        let leads = |id: &NodeId| {
            let look = world.host(*id)?.protocol::<Groups>(GROUPS)?.look(self.drawn.group)?;
            look.leads.then_some((look.term, *id))
        };
        let mut leaders = self.drawn.voters.iter().filter_map(leads);
        let first = leaders.next()?;
        let (oldest, newest) = leaders.fold((first, first), |(low, high), now| (low.min(now), high.max(now)));
        (oldest.0 < newest.0).then_some(oldest.1)
    }

    fn answered(&self) -> usize {
        self.clients.iter().map(Client::answered).sum()
    }

    pub fn calmed(&mut self) {
        self.over = true;
        self.answered_before = self.answered();
    }

    /// Whether something new was answered to each client since faults ended, and nobody waits.
    pub fn is_answered(&mut self, survivors: &[NodeId]) -> bool {
        if self.drawn.goes {
            self.asks = false;
            let mut here = self.drawn.voters.iter().filter(|id| survivors.contains(id));
            return here.all(|id| self.gone.contains(id));
        }
        if self.answered() < self.answered_before + 2 * self.clients.len() {
            return false;
        }
        self.asks = false;
        !self.clients.iter().any(Client::is_busy) && self.creating.is_empty()
    }

    fn states<'a>(&self, world: &'a World<App>, on: &[NodeId]) -> Vec<Option<(&'a Registers, u64)>> {
        let port = |id: &NodeId| {
            let port = world.host(*id)?.port::<GroupsPort<Registers>>(GROUPS)?;
            port.state(self.drawn.group).map(|(state, at)| (state, at.index))
        };
        self.drawn.voters.iter().filter(|id| on.contains(id)).map(port).collect()
    }

    pub fn is_equal(&self, world: &World<App>, on: &[NodeId]) -> bool {
        let states = self.states(world, on);
        let Some(first) = states.first().copied().flatten() else { return states.is_empty() };
        states.iter().all(|state| *state == Some(first))
    }

    pub fn describe(&self, world: &World<App>) -> String {
        let look = |id: &NodeId| {
            let groups = world.host(*id).and_then(|host| host.protocol::<Groups>(GROUPS));
            let port = world.host(*id).and_then(|host| host.port::<GroupsPort<Registers>>(GROUPS));
            let at = port.and_then(|port| port.state(self.drawn.group)).map(|(_, at)| at);
            let raft = groups.and_then(|groups| groups.raft(self.drawn.group));
            let more = raft.map(|raft| (raft.last(), raft.is_founded()));
            format!(
                "{id} {:?} applied {at:?} {more:?}",
                groups.and_then(|groups| groups.look(self.drawn.group))
            )
        };
        let looks: Vec<String> = self.drawn.voters.iter().map(look).collect();
        format!(
            "{} (goes {}, gone {:?}): {} answers since, {} of {} clients wait; {}",
            self.drawn.group,
            self.drawn.goes,
            self.gone,
            self.answered() - self.answered_before,
            self.clients.iter().filter(|client| client.is_busy()).count(),
            self.clients.len(),
            looks.join(", ")
        )
    }

    pub fn check(&self, world: &World<App>, on: &[NodeId]) -> Result<(), String> {
        let group = self.drawn.group;
        if !self.drawn.goes {
            for state in self.states(world, on) {
                let Some((state, _)) = state else {
                    return Err(format!("{group} has a replica without state"));
                };
                if let Some(number) = state.applied_twice() {
                    return Err(format!("sessions exactly once: {number:#x} was applied twice in {group}"));
                }
            }
        }
        match check(&Kv::<u8, u64>::default(), &self.history, STEPS_MAX) {
            Verdict::Linearizable => Ok(()),
            Verdict::Illegal(example) => Err(format!("{group} is not linearizable:\n{example}")),
            Verdict::Unknown => {
                world.sometimes("a history was too hard to judge");
                Ok(())
            }
        }
    }
}

pub(super) const CREATED: &str = "a group is created while everything runs";
pub(super) const REMOVED: &str = "a group is removed for good";
