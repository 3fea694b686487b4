//! The network: nodes are [`Turn`]s of [`Mirror`]; beside each its owner, who knows what it set and what it was told.

use crate::mirror::msg::MirrorMsg;
use crate::mirror::{Mirror, MirrorCmd, MirrorConfig, MirrorEvent};
use bytes::Bytes;
use quorate_core::{
    Boot, Input, Io, JournalId, LinkState, Mark, NodeId, Recipients, Rng, Time, Turn, TurnLimits, Wall, wire,
};
use std::collections::BTreeMap;
use std::convert::Infallible;

pub(super) const MS: u64 = 1_000_000;

/// A level, as plain as it gets: this is the naive twin.
pub(super) type Plain = BTreeMap<u64, Bytes>;

pub(super) struct Net {
    pub(super) now: Time,
    pub(super) rng: Rng,
    pub(super) nodes: BTreeMap<u64, Node>,
    wire: BTreeMap<(Time, u64), (u64, u64, Bytes)>,
    sent: u64,
    pub(super) loss: f64,
    pub(super) twice: f64,
    pub(super) delay_ms: (u64, u64),
    /// Every level that was ever set, to check that what is called whole once was.
    history: BTreeMap<(u64, u64, u64), Vec<Plain>>,
    pub(super) bytes_max: usize,
}

pub(super) struct Node {
    pub(super) turn: Turn<Mirror>,
    config: MirrorConfig,
    pub(super) incarnation: u64,
    pub(super) journal: u128,
    pub(super) up: bool,
    /// What its owner set in this life.
    pub(super) set: BTreeMap<u64, Plain>,
    /// What its owner was told in this life.
    pub(super) told: BTreeMap<u64, Plain>,
    pub(super) events: Vec<MirrorEvent>,
}

#[derive(Default)]
struct Out {
    sends: Vec<(Recipients, MirrorMsg)>,
    events: Vec<MirrorEvent>,
}

impl Io<Mirror> for Out {
    fn append(&mut self, record: Infallible) -> usize {
        match record {}
    }
    fn compact(&mut self, _: Mark, _: Vec<Infallible>) {}
    fn send(&mut self, to: Recipients, msg: MirrorMsg) {
        self.sends.push((to, msg));
    }
    fn emit(&mut self, event: MirrorEvent) {
        self.events.push(event);
    }
}

impl Net {
    pub(super) fn new(seed: u64, nodes: u64, config: MirrorConfig) -> Net {
        assert_eq!(config.validate(), Ok(()));
        let mut net = Net {
            now: Time::ZERO,
            rng: Rng::from_seed(seed),
            nodes: BTreeMap::new(),
            wire: BTreeMap::new(),
            sent: 0,
            loss: 0.0,
            twice: 0.0,
            delay_ms: (1, 3),
            history: BTreeMap::new(),
            bytes_max: 0,
        };
        for id in 1..=nodes {
            let turn = Turn::new(Mirror::new(NodeId(id), config.clone()), TurnLimits::default());
            let (set, told) = (BTreeMap::new(), BTreeMap::new());
            let (config, events) = (config.clone(), Vec::new());
            let node = Node { turn, config, incarnation: 0, journal: 1, up: true, set, told, events };
            net.nodes.insert(id, node);
            net.restart(id);
        }
        net
    }

    /// A new life: its owner knows nothing and has set nothing yet.
    pub(super) fn restart(&mut self, id: u64) {
        let node = self.nodes.get_mut(&id).expect("a node");
        node.turn = Turn::new(Mirror::new(NodeId(id), node.config.clone()), TurnLimits::default());
        node.incarnation += 1;
        node.up = true;
        node.set.clear();
        node.told.clear();
        let boot = node.boot();
        self.step(id, Input::Start(boot));
    }

    pub(super) fn crash(&mut self, id: u64) {
        self.nodes.get_mut(&id).expect("a node").up = false;
    }

    /// A handshake of two that are up.
    pub(super) fn link(&mut self, a: u64, b: u64) {
        for (at, peer) in [(a, b), (b, a)] {
            let state = LinkState::Up(self.nodes[&peer].boot());
            self.step(at, Input::Link { peer: NodeId(peer), state });
        }
    }

    pub(super) fn command(&mut self, id: u64, cmd: MirrorCmd) {
        let node = self.nodes.get_mut(&id).expect("a node");
        match &cmd {
            MirrorCmd::Set { to, key, value } => {
                node.set.entry(to.0).or_default().insert(*key, value.clone());
            }
            MirrorCmd::Clear { to, key } => {
                // Clearing says nothing where nothing was set.
                if let Some(level) = node.set.get_mut(&to.0) {
                    level.remove(key);
                }
            }
            MirrorCmd::Replace { to, all } => {
                node.set.insert(to.0, all.iter().cloned().collect());
            }
            MirrorCmd::Close { to } => {
                node.set.remove(&to.0);
            }
        }
        let life = node.incarnation;
        for (to, level) in &node.set {
            let history = self.history.entry((id, life, *to)).or_insert_with(|| vec![Plain::new()]);
            if history.last() != Some(level) {
                history.push(level.clone());
            }
        }
        self.step(id, Input::Command(cmd));
    }

    pub(super) fn set(&mut self, id: u64, to: u64, key: u64, value: &str) {
        let value = Bytes::copy_from_slice(value.as_bytes());
        self.command(id, MirrorCmd::Set { to: NodeId(to), key, value });
    }

    pub(super) fn message(&mut self, to: u64, from: u64, msg: MirrorMsg) {
        self.step(to, Input::Message { from: NodeId(from), msg });
    }

    fn step(&mut self, id: u64, input: Input<Mirror>) {
        let node = self.nodes.get_mut(&id).expect("a node");
        let mut out = Out::default();
        node.turn.step(input, self.now, Wall(0), &mut self.rng, &mut out);
        for event in out.events {
            self.told(id, event);
        }
        for (to, msg) in out.sends {
            for to in to.as_slice() {
                assert_ne!(to.0, id, "a message to itself never leaves");
                self.send(to.0, id, &msg);
            }
        }
    }

    fn told(&mut self, id: u64, event: MirrorEvent) {
        let node = self.nodes.get_mut(&id).expect("a node");
        node.events.push(event.clone());
        match event {
            MirrorEvent::Reset { from, .. } => {
                node.told.remove(&from.0);
            }
            MirrorEvent::Level { from, changes, whole } => {
                let level = node.told.entry(from.0).or_default();
                for (key, value) in changes {
                    match value {
                        Some(value) => level.insert(key, value),
                        None => level.remove(&key),
                    };
                }
                if whole {
                    let was_set = self
                        .history
                        .iter()
                        .filter(|((publisher, _, to), _)| (*publisher, *to) == (from.0, id))
                        .any(|(_, history)| history.contains(level));
                    assert!(was_set, "{from} never had the level that {id} calls whole: {level:?}");
                }
            }
            MirrorEvent::Refused { .. } => {}
        }
    }

    fn send(&mut self, to: u64, from: u64, msg: &MirrorMsg) {
        let bytes = wire::encode(msg, &mut bytes::BytesMut::new());
        self.bytes_max = self.bytes_max.max(bytes.len());
        for _ in 0..1 + u64::from(self.rng.chance(self.twice)) {
            if !self.rng.chance(self.loss) {
                let at = Time(self.now.0 + self.rng.within(self.delay_ms.0 * MS..self.delay_ms.1 * MS));
                self.sent += 1;
                self.wire.insert((at, self.sent), (to, from, bytes.clone()));
            }
        }
    }

    pub(super) fn run(&mut self, ms: u64) {
        let end = Time(self.now.0 + ms * MS);
        loop {
            let wakes = self.nodes.values().filter(|n| n.up).map(|n| n.turn.wake_at());
            let arrival = self.wire.first_key_value().map_or(Time::NEVER, |((at, _), _)| *at);
            let next = wakes.min().unwrap_or(Time::NEVER).min(arrival);
            if next > end {
                self.now = end;
                return;
            }
            self.now = self.now.max(next);
            while let Some(entry) = self.wire.first_entry().filter(|entry| entry.key().0 <= self.now) {
                let (to, from, bytes) = entry.remove();
                if self.nodes.get(&to).is_some_and(|node| node.up) {
                    let msg = wire::decode(bytes).expect("what was encoded");
                    self.step(to, Input::Message { from: NodeId(from), msg });
                }
            }
            let due: Vec<u64> = self
                .nodes
                .iter()
                .filter(|(_, n)| n.up && n.turn.wake_at() <= self.now)
                .map(|(id, _)| *id)
                .collect();
            due.into_iter().for_each(|id| self.step(id, Input::Wake));
        }
    }

    pub(super) fn mirror(&self, id: u64) -> &Mirror {
        self.nodes[&id].turn.protocol()
    }

    /// Everyone was told what everyone has set.
    pub(super) fn assert_mirrored(&self, why: &str) {
        for (from, publisher) in &self.nodes {
            for (to, level) in &publisher.set {
                let told = self.nodes[to].told.get(from);
                assert_eq!(told, Some(level), "{why}: {to} was told of {from}");
                assert!(self.mirror(*from).is_settled(NodeId(*to)), "{why}: {from} to {to}");
            }
        }
        for (to, receiver) in &self.nodes {
            for (from, told) in &receiver.told {
                let set = self.nodes[from].set.get(to);
                assert!(set.is_some() || told.is_empty(), "{why}: {to} still believes {from}: {told:?}");
            }
        }
    }
}

impl Node {
    pub(super) fn boot(&self) -> Boot {
        Boot { incarnation: self.incarnation, journal: JournalId(self.journal) }
    }
}
