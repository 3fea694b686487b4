//! The network: nodes are [`Turn`]s of [`Watch`], time is a number, chance is a seed.

use crate::watch::msg::WatchMsg;
use crate::watch::{Subject, Verdict, Watch, WatchCmd, WatchConfig, WatchEvent};
use quorate_core::{
    AgentId, Boot, Input, Io, JournalId, Mark, NodeId, Recipients, Rng, Time, Turn, TurnLimits, Wall,
};
use std::collections::BTreeMap;
use std::convert::Infallible;

pub(super) const MS: u64 = 1_000_000;

pub(super) struct Net {
    pub(super) now: Time,
    pub(super) rng: Rng,
    pub(super) nodes: BTreeMap<NodeId, Node>,
    wire: BTreeMap<(Time, u64), (NodeId, NodeId, WatchMsg)>,
    sent: u64,
    pub(super) faults: Faults,
    /// Agents that beat by themselves: (next beat, node, agent).
    beating: BTreeMap<AgentId, (Time, NodeId)>,
    pub(super) beat_jitter_ms: u64,
}

#[derive(Default, Clone)]
pub(super) struct Faults {
    pub(super) loss: f64,
    pub(super) twice: f64,
    pub(super) delay_ms: (u64, u64),
}

pub(super) struct Node {
    turn: Turn<Watch>,
    config: WatchConfig,
    incarnation: u64,
    /// Called no more, until then; what arrives waits.
    pub(super) paused_until: Time,
    pub(super) up: bool,
    /// Everything told, with when.
    pub(super) told: Vec<(Time, Verdict)>,
}

struct Out {
    sends: Vec<(Recipients, WatchMsg)>,
    told: Vec<Verdict>,
}

impl Io<Watch> for Out {
    fn append(&mut self, record: Infallible) -> usize {
        match record {}
    }
    fn compact(&mut self, _: Mark, _: Vec<Infallible>) {}
    fn send(&mut self, to: Recipients, msg: WatchMsg) {
        self.sends.push((to, msg));
    }
    fn emit(&mut self, event: WatchEvent) {
        let WatchEvent::Verdicts(verdicts) = event;
        assert!(!verdicts.is_empty(), "no news is no event");
        self.told.extend(verdicts);
    }
}

impl Node {
    /// The last verdict of an agent that lives on `node`.
    pub(super) fn agent(&self, node: u64, agent: u64) -> Option<Verdict> {
        let of = |v: &Verdict| v.subject == Subject::Agent(AgentId(agent)) && v.node == NodeId(node);
        self.told.iter().map(|(_, v)| *v).rfind(of)
    }

    pub(super) fn node(&self, node: u64) -> Option<Verdict> {
        self.told.iter().map(|(_, v)| *v).rfind(|v| v.subject == Subject::Node(NodeId(node)))
    }

    pub(super) fn watch(&self) -> &Watch {
        self.turn.protocol()
    }

    /// When this was told of an agent first.
    pub(super) fn first(&self, agent: u64, is: impl Fn(&Verdict) -> bool) -> Option<Time> {
        let of = |v: &Verdict| v.subject == Subject::Agent(AgentId(agent)) && is(v);
        self.told.iter().find(|(_, v)| of(v)).map(|(at, _)| *at)
    }
}

impl Net {
    pub(super) fn new(seed: u64) -> Net {
        Net {
            now: Time::ZERO,
            rng: Rng::from_seed(seed),
            nodes: BTreeMap::new(),
            wire: BTreeMap::new(),
            sent: 0,
            faults: Faults { delay_ms: (1, 5), ..Faults::default() },
            beating: BTreeMap::new(),
            beat_jitter_ms: 0,
        }
    }

    /// Watchers 1.. and workers 101.. with agents `1000 * worker + 1 ..`, all beating.
    pub(super) fn cluster(seed: u64, watchers: u64, workers: u64, agents: u64) -> Net {
        let mut net = Net::new(seed);
        for id in (1..=watchers).chain(101..=100 + workers) {
            net.start(WatchConfig::new(NodeId(id), (1..=watchers).map(NodeId)));
        }
        for worker in 101..=100 + workers {
            let all: Vec<AgentId> = (1..=agents).map(|a| AgentId(worker * 1000 + a)).collect();
            all.iter().for_each(|agent| net.begin_beating(worker, agent.0));
            net.command(worker, WatchCmd::Host(all));
        }
        net
    }

    pub(super) fn start(&mut self, config: WatchConfig) {
        assert_eq!(config.validate(), Ok(()));
        let id = config.me;
        let node = Node {
            turn: Turn::new(Watch::new(config.clone()), TurnLimits::default()),
            config,
            incarnation: 0,
            paused_until: Time::ZERO,
            up: true,
            told: Vec::new(),
        };
        self.nodes.insert(id, node);
        self.restart(id.0);
    }

    /// A new life, with nothing of the old one.
    pub(super) fn restart(&mut self, id: u64) {
        let node = self.nodes.get_mut(&NodeId(id)).expect("a node");
        node.turn = Turn::new(Watch::new(node.config.clone()), TurnLimits::default());
        node.incarnation += 1;
        node.up = true;
        node.told.clear();
        let boot = Boot { incarnation: node.incarnation, journal: JournalId(id.into()) };
        self.step(NodeId(id), Input::Start(boot));
    }

    pub(super) fn crash(&mut self, id: u64) {
        self.nodes.get_mut(&NodeId(id)).expect("a node").up = false;
    }

    pub(super) fn pause(&mut self, id: u64, ms: u64) {
        self.nodes.get_mut(&NodeId(id)).expect("a node").paused_until = Time(self.now.0 + ms * MS);
    }

    pub(super) fn begin_beating(&mut self, node: u64, agent: u64) {
        let first = Time(self.now.0 + self.rng.within(0..200) * MS);
        self.beating.insert(AgentId(agent), (first, NodeId(node)));
    }

    pub(super) fn stop_beating(&mut self, agent: u64) {
        self.beating.remove(&AgentId(agent));
    }

    pub(super) fn command(&mut self, id: u64, cmd: WatchCmd) {
        self.step(NodeId(id), Input::Command(cmd));
    }

    pub(super) fn message(&mut self, to: u64, from: u64, msg: WatchMsg) {
        self.step(NodeId(to), Input::Message { from: NodeId(from), msg });
    }

    pub(super) fn step(&mut self, id: NodeId, input: Input<Watch>) {
        let node = self.nodes.get_mut(&id).expect("a node");
        let mut out = Out { sends: Vec::new(), told: Vec::new() };
        node.turn.step(input, self.now, Wall(0), &mut self.rng, &mut out);
        let now = self.now;
        node.told.extend(out.told.into_iter().map(|verdict| (now, verdict)));
        for (to, msg) in out.sends {
            for to in to.as_slice() {
                assert_ne!(*to, id, "a message to itself never leaves");
                self.send(*to, id, msg.clone());
            }
        }
    }

    fn send(&mut self, to: NodeId, from: NodeId, msg: WatchMsg) {
        let copies = 1 + u64::from(self.rng.chance(self.faults.twice));
        for _ in 0..copies {
            if self.rng.chance(self.faults.loss) {
                continue;
            }
            let (least, most) = self.faults.delay_ms;
            let at = Time(self.now.0 + self.rng.within(least * MS..most * MS));
            self.sent += 1;
            self.wire.insert((at, self.sent), (to, from, msg.clone()));
        }
    }

    /// Runs for so long.
    pub(super) fn run(&mut self, ms: u64) {
        let end = Time(self.now.0 + ms * MS);
        loop {
            let wakes = self.nodes.values().filter(|n| n.up);
            let wake = wakes.map(|n| n.turn.wake_at().max(n.paused_until)).min().unwrap_or(Time::NEVER);
            let arrival = self.wire.first_key_value().map_or(Time::NEVER, |((at, _), _)| *at);
            let beat = self.beating.values().map(|(at, _)| *at).min().unwrap_or(Time::NEVER);
            let next = wake.min(arrival).min(beat);
            if next > end {
                self.now = end;
                return;
            }
            self.now = self.now.max(next);
            self.arrivals();
            self.beats();
            let due: Vec<NodeId> = self
                .nodes
                .iter()
                .filter(|(_, n)| n.up && n.turn.wake_at() <= self.now && n.paused_until <= self.now)
                .map(|(id, _)| *id)
                .collect();
            due.into_iter().for_each(|id| self.step(id, Input::Wake));
        }
    }

    fn arrivals(&mut self) {
        while let Some(entry) = self.wire.first_entry().filter(|entry| entry.key().0 <= self.now) {
            let ((_, number), (to, from, msg)) = entry.remove_entry();
            let Some(node) = self.nodes.get(&to) else { continue };
            if node.paused_until > self.now {
                self.wire.insert((node.paused_until, number), (to, from, msg));
            } else if node.up {
                self.step(to, Input::Message { from, msg });
            }
        }
    }

    fn beats(&mut self) {
        let due: Vec<AgentId> =
            self.beating.iter().filter(|(_, (at, _))| *at <= self.now).map(|(agent, _)| *agent).collect();
        for agent in due {
            let jitter = self.rng.within(0..2 * self.beat_jitter_ms + 1);
            let node = self.beating[&agent].1;
            let paused = self.nodes[&node].paused_until;
            let next = Time(self.now.0 + (200 + jitter - self.beat_jitter_ms) * MS).max(paused);
            self.beating.insert(agent, (next, node));
            if self.nodes[&node].up && paused <= self.now {
                self.step(node, Input::Command(WatchCmd::Beat(vec![agent])));
            }
        }
    }
}
