//! A mirror: what one node sets for another is seen there. Keyed levels from each to each.
//!
//! A publisher holds for each recipient a map of small values; the recipient's port is told every change at least
//! once, in an order that never goes back, and complete after any loss, duplication, reordering and restart of
//! either side. It carries leases from coordinators to workers, and reports from workers to coordinators.
//!
//! **How.** Each change of a level has a version. A [`msg::Delta`] holds the latest value of every key whose latest
//! version lies above `base` and up to `upto`; a receiver that has at least `base` then has `upto`. What is
//! lost is sent again from what was acknowledged. Changes of one turn are one message a peer.
//!
//! **Lives.** A delta names the life of both its ends and its stream. A receiver takes a higher stream, or a
//! later life of the publisher, as a new level: [`MirrorEvent::Reset`], and then all of it. A delta to another life
//! of the receiver is answered by naming the right one, and then all of it comes again. So a cleared key
//! needs to be remembered only until *this* life of the receiver has acknowledged it.
//!
//! Nothing is persisted: owners set their levels again after a start. The receiving side keeps a few numbers a
//! publisher and no copy of the level: that belongs to whoever is told.
//! A node may mirror to itself; nothing leaves it then.
//!
//! **Absent**: agreement (a level is one node's word), histories (only the latest value arrives for sure), and
//! large values (at most [`MirrorConfig::value_bytes_max`]).

mod config;
mod handle;
mod incoming;
mod level;
pub mod msg;
mod port;
mod said;
#[cfg(test)]
mod tests;

pub use config::{MirrorConfig, MirrorConfigError};
pub use handle::MirrorHandle;
pub use port::{MirrorAsk, MirrorPort};
pub use said::{MirrorCmd, MirrorCounters, MirrorEvent, Refused};

use incoming::Incoming;
use level::{Level, Refusal};
use msg::{Ack, MirrorMsg};
use quorate_core::{Boot, Corrupt, Cx, Input, LinkState, NodeId, Protocol, ScopeId, Time};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::convert::Infallible;

/// Peers told in one step; the rest follows at once in the next.
const PEERS_A_STEP: usize = 128;

/// The scope of a mirror.
pub fn scope(name: &str, generation: u32) -> ScopeId {
    ScopeId::new("mirror", name, generation)
}

/// See the [module](self). Bounds of one step: [`MirrorConfig::window`] deltas and one acknowledgement for each of
/// 128 peers, one event a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    me: NodeId,
    config: MirrorConfig,
    incarnation: u64,
    levels: BTreeMap<NodeId, Level>,
    /// Recipients who are to be sent something now.
    ready: BTreeSet<NodeId>,
    /// When a level is to be sent again, or probed.
    timers: BTreeSet<(Time, NodeId)>,
    /// Streams are never used twice in a life.
    streams: u64,
    incoming: BTreeMap<NodeId, Incoming>,
    /// No publisher makes room for another before.
    full_until: Time,
    /// Acknowledgements to be sent now, and whether something was missing.
    owed: BTreeMap<NodeId, bool>,
    /// Who is there, as the links said last.
    boots: BTreeMap<NodeId, Boot>,
    /// Messages of this node to itself, within a step.
    own: VecDeque<MirrorMsg>,
    counters: MirrorCounters,
}

impl Mirror {
    /// A mirror that has not started. The configuration was validated.
    pub fn new(me: NodeId, config: MirrorConfig) -> Mirror {
        Mirror {
            me,
            config,
            incarnation: 0,
            levels: BTreeMap::new(),
            ready: BTreeSet::new(),
            timers: BTreeSet::new(),
            streams: 0,
            incoming: BTreeMap::new(),
            full_until: Time::ZERO,
            owed: BTreeMap::new(),
            boots: BTreeMap::new(),
            own: VecDeque::new(),
            counters: MirrorCounters::default(),
        }
    }

    /// What happened so far.
    pub fn counters(&self) -> MirrorCounters {
        self.counters
    }

    /// Keys set for `to`; `None` if it has no level here.
    pub fn keys(&self, to: NodeId) -> Option<usize> {
        self.levels.get(&to).map(Level::keys)
    }

    /// Whether `to` has acknowledged its whole level. True if it has none.
    pub fn is_settled(&self, to: NodeId) -> bool {
        self.levels.get(&to).is_none_or(Level::is_settled)
    }

    /// Entries kept for `to`: keys, and cleared keys that it has not acknowledged.
    pub fn kept(&self, to: NodeId) -> usize {
        self.levels.get(&to).map_or(0, Level::kept)
    }

    fn on_command(&mut self, cmd: MirrorCmd, cx: &mut Cx<'_, Mirror>) {
        let (to, key, outcome) = match cmd {
            MirrorCmd::Close { to } => {
                self.close(to);
                return;
            }
            // No level, no key: nothing to tell.
            MirrorCmd::Clear { to, .. } if !self.levels.contains_key(&to) => return,
            MirrorCmd::Clear { to, key } => (to, Some(key), self.change(to, |level, _| level.clear(key))),
            MirrorCmd::Set { to, key, value } => {
                (to, Some(key), self.change(to, |level, config| level.set(key, value, config)))
            }
            MirrorCmd::Replace { to, all } => {
                (to, None, self.change(to, |level, config| level.replace(all, config)))
            }
        };
        match outcome {
            Ok(()) => {
                self.ready.insert(to);
            }
            Err(why) => cx.emit(MirrorEvent::Refused { to, key, why }),
        }
    }

    fn change(
        &mut self,
        to: NodeId,
        f: impl FnOnce(&mut Level, &MirrorConfig) -> Result<(), Refusal>,
    ) -> Result<(), Refused> {
        let is_new = !self.levels.contains_key(&to);
        if is_new {
            if self.levels.len() >= self.config.recipients_max && !self.evict() {
                return Err(Refused::Recipients);
            }
            self.streams += 1;
            let boot = self.boots.get(&to).copied();
            self.levels.insert(to, Level::new(self.streams, boot, &self.config));
        }
        let Some(level) = self.levels.get_mut(&to) else { return Ok(()) };
        let outcome = f(level, &self.config);
        if outcome.is_err() {
            if is_new {
                self.levels.remove(&to);
            }
            return outcome;
        }
        if level.has_too_many_cleared(&self.config) {
            // Its recipient was away for long. It shall forget all instead of being told each cleared key.
            self.streams += 1;
            level.start_over(self.streams);
        }
        Ok(())
    }

    /// Makes room by closing a level that is empty, and known to be.
    fn evict(&mut self) -> bool {
        let empty = self.levels.iter().find(|(_, level)| level.keys() == 0 && level.is_settled());
        let Some(to) = empty.map(|(to, _)| *to) else { return false };
        self.close(to);
        true
    }

    fn close(&mut self, to: NodeId) {
        if let Some(level) = self.levels.remove(&to) {
            self.timers.remove(&(level.timer(), to));
            self.ready.remove(&to);
        }
    }

    fn on_message(&mut self, from: NodeId, msg: MirrorMsg, cx: &mut Cx<'_, Mirror>) {
        match msg {
            MirrorMsg::Delta(delta) => {
                if !self.incoming.contains_key(&from) && !self.make_room(cx) {
                    self.counters.no_room += 1;
                    return;
                }
                let boot = self.boots.get(&from).copied();
                let incoming = self.incoming.entry(from).or_insert_with(|| Incoming::new(boot, cx.now));
                incoming.heard = cx.now;
                let Some(gap) = incoming.on_delta(from, delta, self.incarnation, &mut self.counters, cx)
                else {
                    return;
                };
                *self.owed.entry(from).or_default() |= gap;
            }
            MirrorMsg::Ack(ack) => self.on_ack(from, ack, cx.now),
        }
    }

    /// Room for one more publisher, by forgetting the one that was silent longest if that was long enough.
    fn make_room(&mut self, cx: &mut Cx<'_, Mirror>) -> bool {
        if self.incoming.len() < self.config.publishers_max {
            return true;
        }
        // Not looked for with every message that finds no room.
        if cx.now < self.full_until {
            return false;
        }
        let silent = self.incoming.iter().min_by_key(|(_, incoming)| incoming.heard);
        let Some((from, since)) = silent.map(|(from, incoming)| (*from, incoming.heard)) else {
            return false;
        };
        let until = since + self.config.forget_after;
        if cx.now < until {
            self.full_until = until;
            return false;
        }
        self.owed.remove(&from);
        if let Some(incoming) = self.incoming.remove(&from) {
            incoming.forget(from, cx);
        }
        true
    }

    fn on_ack(&mut self, from: NodeId, ack: Ack, now: Time) {
        let Some(level) = self.levels.get_mut(&from).filter(|_| ack.life == self.incarnation) else {
            self.counters.stale += 1;
            return;
        };
        if level.on_ack(&ack, now, &self.config, &mut self.streams, &mut self.counters) {
            self.ready.insert(from);
        }
        let timer = level.timer_after_ack(now, &self.config);
        set_timer(&mut self.timers, from, level, timer);
    }

    /// The handshake proved which life is there, before any message did.
    fn on_link_up(&mut self, peer: NodeId, boot: Boot, cx: &mut Cx<'_, Mirror>) {
        if self.boots.len() < self.config.publishers_max.max(self.config.recipients_max)
            || self.boots.contains_key(&peer)
        {
            self.boots.insert(peer, boot);
        }
        if let Some(incoming) = self.incoming.get_mut(&peer) {
            incoming.on_boot(peer, boot, cx);
        }
        if let Some(level) = self.levels.get_mut(&peer) {
            level.on_boot(boot, &mut self.streams, &self.config);
            self.ready.insert(peer);
        }
    }

    fn on_wake(&mut self, cx: &mut Cx<'_, Mirror>) {
        while let Some((at, to)) = self.timers.first().copied().filter(|(at, _)| *at <= cx.now) {
            self.timers.remove(&(at, to));
            if let Some(level) = self.levels.get_mut(&to) {
                self.counters.retries += u64::from(level.on_timer(&self.config));
                self.ready.insert(to);
            }
        }
        for _ in 0..PEERS_A_STEP {
            let Some((to, gap)) = self.owed.pop_first() else { break };
            if let Some(incoming) = self.incoming.get(&to) {
                self.counters.acks += 1;
                let ack = incoming.ack(self.incarnation, gap);
                self.send(to, MirrorMsg::Ack(ack), cx);
            }
        }
        for _ in 0..PEERS_A_STEP {
            let Some(to) = self.ready.pop_first() else { break };
            self.tell(to, cx);
        }
        while let Some(msg) = self.own.pop_front() {
            self.on_message(self.me, msg, cx);
        }
    }

    fn tell(&mut self, to: NodeId, cx: &mut Cx<'_, Mirror>) {
        let mut sent = false;
        while let Some(level) = self.levels.get_mut(&to) {
            let Some(delta) = level.next_delta(self.incarnation, &self.config) else { break };
            self.counters.deltas += 1;
            self.counters.changes += delta.changes.len() as u64;
            sent = true;
            self.send(to, MirrorMsg::Delta(delta), cx);
        }
        if let Some(level) = self.levels.get_mut(&to) {
            let timer = level.timer_after_send(sent, cx.now, cx.rng, &self.config);
            set_timer(&mut self.timers, to, level, timer);
        }
    }

    fn send(&mut self, to: NodeId, msg: MirrorMsg, cx: &mut Cx<'_, Mirror>) {
        if to == self.me {
            self.own.push_back(msg);
        } else {
            // Nothing of a mirror is on disk: a level is what its owner says in this life, and another life of a
            // receiver says that it has nothing.
            cx.send_now(to, msg);
        }
    }
}

fn set_timer(timers: &mut BTreeSet<(Time, NodeId)>, to: NodeId, level: &mut Level, at: Time) {
    timers.remove(&(level.timer(), to));
    level.set_timer(at);
    if at != Time::NEVER {
        timers.insert((at, to));
    }
}

impl Protocol for Mirror {
    type Msg = MirrorMsg;
    type Cmd = MirrorCmd;
    type Event = MirrorEvent;
    type Record = Infallible;

    fn step(&mut self, input: Input<Mirror>, cx: &mut Cx<'_, Mirror>) {
        match input {
            Input::Start(boot) => {
                self.incarnation = boot.incarnation;
                self.boots.insert(self.me, boot);
            }
            Input::Message { from, msg } => self.on_message(from, msg, cx),
            Input::Command(cmd) => self.on_command(cmd, cx),
            Input::Wake => self.on_wake(cx),
            Input::Link { peer, state: LinkState::Up(boot) } => self.on_link_up(peer, boot, cx),
            Input::Link { state: LinkState::Down, .. } | Input::Durable(_) => {}
        }
    }

    fn wake_at(&self) -> Time {
        if !self.ready.is_empty() || !self.owed.is_empty() {
            // In the past: what changes in this turn goes out in one message a peer.
            return Time::ZERO;
        }
        self.timers.first().map_or(Time::NEVER, |(at, _)| *at)
    }

    fn replay(&mut self, record: Infallible) -> Result<(), Corrupt> {
        match record {}
    }
}
