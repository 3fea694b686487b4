//! The workload of registers: clients with sessions write, compare and read through any node while everything
//! fails; at the end their history must be linearizable, every operation applied once, and all replicas equal.

mod clients;
mod registers;
pub(super) mod voters;

pub use clients::Asked;
pub use registers::{Change, Fuse, Operation, Registers};

use crate::campaign::describe_replica;
use crate::campaign::fire::{self, STARTED_ANEW};
pub(super) use clients::{Client, Moment, PATHS as CLIENT_PATHS};
use quorate::raft::{Raft, RaftHandle, RaftPort, Stateless};
use quorate::sim::linearizability::{Kv, Verdict, check};
use quorate::sim::{NodeState, Workload, World};
use quorate::{JournalId, NoDecider, NodeId, Rng, ScopeId};
use std::time::Duration;

/// Tries of the search for an order; histories here are short, so that it ends long before.
const STEPS_MAX: u64 = 10_000_000;

/// The workload, on nodes whose application has a handle to the registers.
pub struct KvWorkload<A> {
    scope: ScopeId,
    nodes: Vec<NodeId>,
    /// Nodes that may vote and hold no registers.
    witnesses: Vec<NodeId>,
    /// Their journals before any fault.
    journals: Vec<JournalId>,
    handle: fn(&A) -> &RaftHandle<Registers>,
    clients: Vec<Client>,
    history: Asked,
    rng: Rng,
    operations_max: usize,
    calm: bool,
    /// Faults have ended, once and for all.
    over: bool,
    /// Faults begin once all these have met: a disk that is lost before that ends the founding, as it should.
    founded_in_calm: Vec<NodeId>,
    /// Whether voters change, and how many nodes may lose their disks meanwhile.
    changes: Option<usize>,
    /// Of each node, if state machines are to panic.
    fuses: Vec<Fuse>,
    /// How many answers there were when faults ended.
    answered_before: usize,
}

impl<A: 'static> KvWorkload<A> {
    /// Clients of the registers in this scope on these nodes.
    pub fn new(
        seed: u64,
        scope: ScopeId,
        nodes: Vec<NodeId>,
        handle: fn(&A) -> &RaftHandle<Registers>,
    ) -> Self {
        let mut rng = Rng::from_seed(seed ^ 0xc11e_4275);
        let clients =
            (0..1 + rng.index(4)).map(|id| Client::new(id, nodes[rng.index(nodes.len())])).collect();
        let operations_max = 20 + rng.index(60);
        KvWorkload {
            scope,
            nodes,
            witnesses: Vec::new(),
            journals: Vec::new(),
            handle,
            clients,
            history: Asked::new(),
            rng,
            operations_max,
            calm: false,
            over: false,
            founded_in_calm: Vec::new(),
            changes: None,
            fuses: Vec::new(),
            answered_before: 0,
        }
    }

    /// The paths that it reports in a long run.
    pub fn paths() -> impl Iterator<Item = &'static str> {
        clients::PATHS.into_iter().chain([STARTED_ANEW])
    }

    /// Has these nodes get a vote now and then, of whom nobody asks anything.
    pub fn with_witnesses(mut self, witnesses: Vec<NodeId>) -> Self {
        self.witnesses = witnesses;
        self
    }

    /// Has faults begin once all these founders have met.
    pub fn founded_in_calm(mut self, founders: Vec<NodeId>) -> Self {
        self.founded_in_calm = founders;
        self
    }

    /// Has voters change now and then, to any of the nodes; never to so few that these many lost disks are too many.
    pub fn with_changes(mut self, disks_lost: Option<usize>) -> Self {
        self.changes = disks_lost;
        self
    }

    /// Has state machines panic now and then while faults last. Their nodes are started anew, as a supervisor does.
    pub fn with_fuses(mut self, fuses: Vec<Fuse>) -> Self {
        self.fuses = fuses;
        self
    }

    fn play_with_fire(&mut self, world: &mut World<A>) {
        let scope = self.scope;
        fire::play(world, &self.fuses, &self.nodes, self.over, &mut self.rng, |world, id| {
            let port = world.host(id).and_then(|host| host.port::<RaftPort<Registers>>(scope));
            port.is_some_and(|port| port.poisoned().is_some())
        });
    }

    /// Has a leader hand over now and then, to somebody or to whoever is furthest.
    fn hand_over(&mut self, world: &mut World<A>) {
        if self.over || !self.rng.chance(0.02) {
            return;
        }
        if let Some(leader) = world.leader().filter(|leader| self.nodes.contains(leader)) {
            let to = self.rng.chance(0.7).then(|| self.nodes[self.rng.index(self.nodes.len())]);
            // What becomes of it is seen in the terms and in what clients are told.
            drop((self.handle)(world.app(leader)).transfer(to));
            if self.rng.chance(0.3) {
                self.cut_off_soon(world, leader);
            }
        }
    }

    /// A leader that has just asked another one to take over hears nothing of what comes of it.
    fn cut_off_soon(&mut self, world: &mut World<A>, leader: NodeId) {
        let begins = world.now() + Duration::from_micros(500 + self.rng.within(0..15_000));
        let ends = begins + Duration::from_millis(100 + self.rng.within(0..400));
        world.at(begins, move |world| world.isolate(leader));
        world.at(ends, move |world| {
            let others: Vec<NodeId> = world.ids().filter(|id| *id != leader).collect();
            others.into_iter().for_each(|other| world.mend(leader, other));
        });
    }

    /// One that still leads, as it thinks, while another leads a newer term. What it would answer to a read may be stale,
    /// so it is asked: by chance nobody would be there in the moment that this lasts.
    fn deposed(&self, world: &World<A>) -> Option<NodeId> {
        let leads = |id: &NodeId| {
            let raft = world.host(*id)?.protocol::<Raft>(self.scope).filter(|raft| raft.is_leader())?;
            Some((raft.term(), *id))
        };
        let mut leaders = self.nodes.iter().filter_map(leads);
        let first = leaders.next()?;
        let (oldest, newest) = leaders.fold((first, first), |(low, high), now| (low.min(now), high.max(now)));
        (oldest.0 < newest.0).then_some(oldest.1)
    }

    fn answered(&self) -> usize {
        self.clients.iter().map(Client::answered).sum()
    }

    /// The nodes that run on the disk they were founded on. One that lost it and claims to be a founder, or whose
    /// disk decayed, takes no part; an operator would have it join.
    fn survivors<'a>(&'a self, world: &'a World<A>) -> impl Iterator<Item = &'a NodeId> {
        let survives = |(id, journal): &(&NodeId, &JournalId)| {
            world.journal_id(**id) == **journal && world.state(**id) != NodeState::Refused
        };
        self.nodes.iter().zip(&self.journals).filter(survives).map(|(id, _)| id)
    }

    fn states<'a>(&self, world: &'a World<A>) -> Vec<Option<(&'a Registers, u64)>> {
        let port = |id: &NodeId| world.host(*id)?.port::<RaftPort<Registers>>(self.scope)?.state();
        self.survivors(world).map(|id| port(id).map(|(state, at)| (state, at.index))).collect()
    }
}

impl<A: 'static> Workload<A> for KvWorkload<A> {
    fn setup(&mut self, world: &mut World<A>) {
        self.journals = self.nodes.iter().map(|id| world.journal_id(*id)).collect();
        if !self.founded_in_calm.is_empty() {
            let founded = |world: &World<A>, id: &NodeId| {
                world
                    .host(*id)
                    .and_then(|host| host.protocol::<Raft>(self.scope))
                    .is_some_and(Raft::is_founded)
            };
            let founders = &self.founded_in_calm;
            world.run_until(|world| founders.iter().all(|id| founded(world, id)), Duration::from_secs(5));
        }
    }

    fn step(&mut self, world: &mut World<A>) -> Duration {
        self.play_with_fire(world);
        self.hand_over(world);
        self.change_voters(world);
        // While faults last the budget of operations is spread; afterwards everybody asks once more.
        let deposed = self.deposed(world);
        // There is always something to ask in the moments that matter.
        let budget = if deposed.is_some() { 2 * self.operations_max } else { self.operations_max };
        let more = self.calm || self.history.len() < budget;
        let moment = Moment { nodes: &self.nodes, deposed, more };
        for client in &mut self.clients {
            client.step(world, moment, self.handle, &mut self.rng, &mut self.history);
        }
        Duration::from_micros(500 + self.rng.within(0..20_000))
    }

    fn calmed(&mut self, _: &mut World<A>) {
        self.calm = true;
        self.over = true;
        self.answered_before = self.answered();
    }

    /// Something new was answered since faults ended, and all replicas are equal and up to date.
    fn has_recovered(&mut self, world: &World<A>) -> bool {
        if self.answered() < self.answered_before + 2 * self.clients.len() {
            return false;
        }
        // Nobody asks any more, or the replicas would never be seen equal.
        self.calm = false;
        self.operations_max = 0;
        let states = self.states(world);
        let Some(first) = states.first().copied().flatten() else { return false };
        !self.clients.iter().any(Client::is_busy) && states.iter().all(|state| *state == Some(first))
    }

    fn lacks(&self, world: &World<A>) -> String {
        let replicas: Vec<String> = self
            .nodes
            .iter()
            .map(|id| describe_replica::<A, Registers, NoDecider>(world, *id, self.scope))
            .chain(self.witnesses.iter().map(|id| {
                let witness = describe_replica::<A, Stateless, NoDecider>(world, *id, self.scope);
                format!("witness {witness}")
            }))
            .collect();
        format!(
            "{} answers since, from {} clients of whom {} wait; {}",
            self.answered() - self.answered_before,
            self.clients.len(),
            self.clients.iter().filter(|client| client.is_busy()).count(),
            replicas.join("; ")
        )
    }

    fn check(&mut self, world: &mut World<A>) -> Result<(), String> {
        for (id, state) in self.survivors(world).zip(self.states(world)) {
            let Some((state, _)) = state else { return Err(format!("{id} has no state after healing")) };
            if let Some(number) = state.applied_twice() {
                return Err(format!(
                    "sessions exactly once: operation {number:#x} was applied twice on {id}"
                ));
            }
        }
        match check(&Kv::<u8, u64>::default(), &self.history, STEPS_MAX) {
            Verdict::Linearizable => Ok(()),
            Verdict::Illegal(example) => Err(format!("not linearizable:\n{example}")),
            Verdict::Unknown => {
                world.sometimes("a history was too hard to judge");
                Ok(())
            }
        }
    }
}
