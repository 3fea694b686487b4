//! Two coordinators with one log between them, and workers that do what the leader's levels say. Time is a number.

use quorate_core::{AgentId, Applied, Decider, NodeId, Rng, StateMachine, Time};
use quorate_scheduler::dispatch::{End, Finished, Granted, Health, LeaseLevel, LeastLoaded, Placement};
use quorate_scheduler::engine::{AgentSpec, Reply};
use quorate_scheduler::graph::{GraphSpec, TaskSpec};
use quorate_scheduler::{
    Command, DispatchConfig, Dispatcher, EngineConfig, Hint, Lease, Report, Work, task_digest,
};
use std::collections::BTreeMap;
use std::time::Duration;

pub struct Replica {
    pub work: Work,
    pub decider: Dispatcher<Box<dyn Placement>>,
    pub levels: Vec<LeaseLevel>,
}

#[derive(Default)]
pub struct Worker {
    pub agents: Vec<AgentSpec>,
    pub up: bool,
    /// What it was told to hold.
    pub held: Vec<Granted>,
    /// Since when it runs what.
    pub running: BTreeMap<Lease, u64>,
    pub finished: BTreeMap<Lease, End>,
}

pub struct Rig {
    pub replicas: Vec<Replica>,
    pub leader: usize,
    pub term: u64,
    pub index: u64,
    /// Milliseconds.
    pub now: u64,
    pub workers: BTreeMap<NodeId, Worker>,
    pub rng: Rng,
    /// Every lease that a worker began to run, with when.
    pub began: Vec<(u64, Lease, AgentId)>,
}

pub fn time(ms: u64) -> Time {
    Time::ZERO + Duration::from_millis(ms)
}

impl Rig {
    pub fn new(workers: u64, agents_each: u64, slots: u32) -> Rig {
        Rig::with(workers, agents_each, slots, || Box::new(LeastLoaded::default()))
    }

    pub fn with(workers: u64, agents_each: u64, slots: u32, placement: fn() -> Box<dyn Placement>) -> Rig {
        let replica = || Replica {
            work: Work::new(EngineConfig::default()).unwrap(),
            decider: Dispatcher::new(DispatchConfig::default(), placement()).unwrap(),
            levels: Vec::new(),
        };
        let mut rig = Rig {
            replicas: vec![replica(), replica()],
            leader: 0,
            term: 0,
            index: 0,
            now: 1000,
            workers: BTreeMap::new(),
            rng: Rng::from_seed(4),
            began: Vec::new(),
        };
        for node in 1..=workers {
            let agents = (0..agents_each).map(|a| AgentSpec::new(AgentId(node * 1000 + a)).slots(slots));
            let worker = Worker { agents: agents.collect(), up: true, ..Worker::default() };
            rig.workers.insert(NodeId(node), worker);
        }
        rig.elect(0);
        rig
    }

    pub fn submit(&mut self, tasks: impl IntoIterator<Item = TaskSpec>) {
        let spec = tasks.into_iter().fold(GraphSpec::new(), GraphSpec::task);
        let reply = self.apply(Command::Submit(Box::new(spec)));
        assert!(matches!(reply, Reply::Admitted { .. }), "{reply:?}");
        self.settle();
    }

    pub fn work(&self) -> &Work {
        &self.replicas[self.leader].work
    }

    pub fn elect(&mut self, leader: usize) {
        self.replicas[self.leader].decider.retire();
        self.publish();
        self.term += 1;
        self.leader = leader;
        let replica = &mut self.replicas[leader];
        replica.decider.lead(self.term, &replica.work, time(self.now));
        self.settle();
    }

    pub fn apply(&mut self, command: Command) -> Reply {
        self.index += 1;
        let at = Applied { index: self.index, term: self.term };
        let mut replies: Vec<Reply> =
            self.replicas.iter_mut().map(|replica| replica.work.apply(command.clone(), at)).collect();
        assert_eq!(replies[0], replies[1]);
        self.publish();
        replies.remove(0)
    }

    pub fn hint(&mut self, hint: Hint) {
        let now = time(self.now);
        for replica in &mut self.replicas {
            replica.decider.hint(hint.clone(), now);
        }
        self.settle();
    }

    pub fn verdict(&mut self, node: u64, health: Health) {
        self.hint(Hint::Node(NodeId(node), health));
    }

    /// Decides and applies until there is nothing left to decide.
    pub fn settle(&mut self) {
        for round in 0.. {
            assert!(round < 1000, "it decides for ever");
            let mut proposals = Vec::new();
            let replica = &mut self.replicas[self.leader];
            replica.decider.decide(&replica.work, time(self.now), &mut self.rng, &mut proposals);
            assert!(proposals.len() <= 1, "more than one block at a time");
            let Some(proposal) = proposals.pop() else { break };
            self.apply(proposal);
        }
        assert_eq!(self.replicas[0].work, self.replicas[1].work);
    }

    fn publish(&mut self) {
        for (at, replica) in self.replicas.iter_mut().enumerate() {
            for notice in replica.decider.publish(&replica.work) {
                let any: Box<dyn std::any::Any> = notice;
                let level = *any.downcast::<LeaseLevel>().unwrap();
                if level.leads && at == self.leader {
                    for (node, worker) in &mut self.workers {
                        let told = level.nodes.iter().find(|told| told.node == *node);
                        if let Some(told) = told {
                            worker.held = told.leases.clone();
                        } else if level.whole {
                            worker.held.clear();
                        }
                    }
                }
                replica.levels.push(level);
            }
        }
    }

    /// Milliseconds pass, ten at a time; workers run what they hold for as long as it is expected to take, and are
    /// heard every 200 ms and whenever something ended.
    pub fn run(&mut self, ms: u64) {
        let end = self.now + ms;
        while self.now < end {
            self.now += 10;
            let mut reports = Vec::new();
            for (node, worker) in &mut self.workers {
                if !worker.up {
                    continue;
                }
                let ended = worker.step(self.now, &mut self.began);
                if ended || (self.now + node.0 * 10).is_multiple_of(200) {
                    reports.push(worker.report(*node));
                }
            }
            for report in reports {
                self.hint(Hint::Report(report));
            }
            let replica = &self.replicas[self.leader];
            if replica.decider.wake_at() <= time(self.now) {
                self.settle();
            }
        }
    }

    pub fn audit(&self) {
        for replica in &self.replicas {
            let audit = replica.work.audit();
            assert!(audit.is_clean(), "{audit:?}");
        }
    }
}

impl Worker {
    pub fn step(&mut self, now: u64, began: &mut Vec<(u64, Lease, AgentId)>) -> bool {
        let held = &self.held;
        let names = |lease: &Lease| held.iter().any(|granted| granted.lease == *lease);
        self.running.retain(|lease, _| names(lease));
        self.finished.retain(|lease, _| names(lease));
        let mut ended = false;
        for granted in &self.held {
            let lease = granted.lease;
            if self.finished.contains_key(&lease) {
                continue;
            }
            let since = *self.running.entry(lease).or_insert_with(|| {
                began.push((now, lease, granted.agent));
                now
            });
            let end = if granted.cancel {
                Some(End::Stopped)
            } else if now >= since + u64::from(granted.expected_ms) {
                let digest = task_digest(&granted.name, granted.inputs.iter().copied());
                Some(End::Done { digest, result: granted.name.clone().into_bytes() })
            } else {
                None
            };
            if let Some(end) = end {
                self.running.remove(&lease);
                self.finished.insert(lease, end);
                ended = true;
            }
        }
        ended
    }

    pub fn report(&self, node: NodeId) -> Report {
        Report {
            node,
            hosts: Some(self.agents.clone()),
            running: self.running.keys().map(|lease| (*lease, 0)).collect(),
            finished: self
                .finished
                .iter()
                .map(|(lease, end)| Finished { lease: *lease, end: end.clone() })
                .collect(),
        }
    }
}
