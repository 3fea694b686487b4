//! The watch: nodes tell their watchers that they and their agents live; watchers tell who is silent.
//!
//! A node that hosts agents sends its watchers one [`msg::Beat`] a period. It speaks for all its agents and names
//! only those that are quiet, with how long. Who lives where travels apart, as versions and changes.
//! A watcher judges silence by [`crate::detect`] and emits [`Verdict`]s: levels, each of them what holds
//! from now on. After a restart of the watcher everything is told again as it is heard of again.
//!
//! Nothing is persisted. A node's life is its incarnation; beats of an older one do not count.
//!
//! **Absent**: votes, membership, indirect probes (all in other crates), and any judgement by a worker of
//! its own agents but one: that it knows an agent to have crashed.

mod config;
mod handle;
mod hosted;
pub mod msg;
mod port;
#[cfg(test)]
mod tests;
mod ward;
mod watcher;

pub use config::{Detection, WatchConfig, WatchConfigError};
pub use handle::Health;
pub use port::{Verdicts, WatchAsk, WatchPort, WatchStatus};

use crate::detect::{Condition, State};
use hosted::Hosted;
use msg::WatchMsg;
use quorate_core::{AgentId, Corrupt, Cx, Input, LinkState, NodeId, Protocol, Recipients, ScopeId, Time};
use std::convert::Infallible;
use std::sync::Arc;
use watcher::Watcher;

/// The scope of a watch.
pub fn scope(name: &str, generation: u32) -> ScopeId {
    ScopeId::new("health", name, generation)
}

/// Who is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// A node.
    Node(NodeId),
    /// An agent.
    Agent(AgentId),
}

/// What holds from now on. Of one subject on one node the later verdict replaces the earlier; an agent that
/// moved is told of under both nodes, so [`State::Left`] counts only under the node it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Of whom.
    pub subject: Subject,
    /// The node itself, or the one that the agent lives on. When a node has left, its agents have.
    pub node: NodeId,
    /// The node's life. A node's verdict is told again when it grows.
    pub incarnation: u64,
    /// How it stands.
    pub state: State,
    /// Whether it may be dead already: give its work to another, under a new lease.
    pub suspected: bool,
    /// Since when, by this node's clock.
    pub since: Time,
}

/// What the port asks of a [`Watch`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchCmd {
    /// These agents of this node live.
    Beat(Vec<AgentId>),
    /// Exactly these agents live here.
    Host(Vec<AgentId>),
    /// One more agent lives here.
    Add(AgentId),
    /// An agent was taken away deliberately.
    Remove(AgentId),
    /// An agent is known to be dead. Told at once; a later beat revives it.
    Crashed(AgentId),
    /// From now on these are told.
    Watchers(Vec<NodeId>),
    /// Watch this node, and these agents on it, even if nothing is ever heard of them.
    Expect(NodeId, Vec<AgentId>),
    /// Watch this node no more, unless it is heard of again.
    Forget(NodeId),
}

/// What the port is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchEvent {
    /// News, in order.
    Verdicts(Vec<Verdict>),
}

/// What was refused, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WatchCounters {
    /// Messages that no honest node sends.
    pub refused: u64,
    /// Messages of older lives, or overtaken on their way.
    pub stale: u64,
    /// Nodes and agents for which there was no room, each time they were named.
    pub no_room: u64,
    /// Beats of agents that do not live here.
    pub unknown_agents: u64,
    /// Pauses of this process.
    pub pauses: u64,
}

/// How many are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Healthy.
    pub healthy: usize,
    /// Degraded.
    pub degraded: usize,
    /// Critical.
    pub critical: usize,
    /// Failed.
    pub failed: usize,
    /// Suspected, in whatever state.
    pub suspected: usize,
}

impl Census {
    fn count(&mut self, of: Condition) {
        match of.state {
            State::Healthy => self.healthy += 1,
            State::Degraded => self.degraded += 1,
            State::Critical => self.critical += 1,
            State::Failed => self.failed += 1,
            State::Left => {}
        }
        self.suspected += usize::from(of.suspected);
    }
}

/// See the [module](self). Bounds of one step: as many messages as there are [`msg::NAMED_MAX`]s of quiet agents and
/// two more; as many verdicts as one message names agents and 2,048 more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watch {
    config: WatchConfig,
    /// Those to tell, without this node.
    others: Arc<[NodeId]>,
    tells_itself: bool,
    incarnation: u64,
    seq: u64,
    /// The version of the roster that was told last.
    told: u64,
    hosted: Hosted,
    /// Whether agents were ever hosted: then beats come as often as theirs.
    hosts: bool,
    watcher: Watcher,
    /// When the next beat is due; [`Time::NEVER`] before the start.
    tick_at: Time,
    /// When this node was to be called next, as it stood after its last step.
    expected: Time,
    /// When this node came back from its last pause.
    grace: Time,
}

impl Watch {
    /// A watch that has not started. The configuration was validated.
    pub fn new(config: WatchConfig) -> Watch {
        let mut watch = Watch {
            others: Arc::new([]),
            tells_itself: false,
            incarnation: 0,
            seq: 0,
            told: 0,
            hosted: Hosted::new(),
            hosts: false,
            watcher: Watcher::default(),
            tick_at: Time::NEVER,
            expected: Time::NEVER,
            grace: Time::ZERO,
            config,
        };
        watch.tell(watch.config.watchers.clone());
        watch
    }

    /// What was told of a node; `None` if it is not watched.
    pub fn node(&self, node: NodeId) -> Option<Condition> {
        self.watcher.node(node)
    }

    /// What was told of an agent on a node; `None` if it is not watched there.
    pub fn agent(&self, node: NodeId, agent: AgentId) -> Option<Condition> {
        self.watcher.agent(node, agent)
    }

    /// Watched nodes and agents by state.
    pub fn census(&self) -> (Census, Census) {
        self.watcher.census()
    }

    /// How many agents live here.
    pub fn hosted(&self) -> usize {
        self.hosted.len()
    }

    /// What was refused so far.
    pub fn counters(&self) -> WatchCounters {
        self.watcher.counters
    }

    fn tell(&mut self, watchers: Vec<NodeId>) {
        let mut others: Vec<NodeId> = watchers.into_iter().collect();
        others.sort_unstable();
        others.dedup();
        let me = self.config.me;
        self.tells_itself = others.contains(&me);
        self.others = others.into_iter().filter(|node| *node != me).collect();
    }

    fn every(&self) -> std::time::Duration {
        if self.hosts {
            self.config.agents.interval.min(self.config.nodes.interval)
        } else {
            self.config.nodes.interval
        }
    }

    fn on_command(&mut self, cmd: WatchCmd, cx: &mut Cx<'_, Watch>) {
        let (now, max) = (cx.now, self.config.hosted_max);
        match cmd {
            WatchCmd::Beat(agents) => {
                for agent in agents {
                    self.watcher.counters.unknown_agents += u64::from(!self.hosted.beat(agent, now));
                }
            }
            WatchCmd::Host(agents) => {
                self.watcher.counters.no_room += self.hosted.replace(&agents, now, max) as u64;
                self.roster_changed(now);
            }
            WatchCmd::Add(agent) => {
                self.watcher.counters.no_room += u64::from(!self.hosted.add(agent, now, max));
                self.roster_changed(now);
            }
            WatchCmd::Remove(agent) => {
                self.hosted.remove(agent);
                self.roster_changed(now);
            }
            WatchCmd::Crashed(agent) => match self.hosted.crashed(agent) {
                // Once what else waits is taken: several crashes are one message.
                true => self.tick_at = self.tick_at.min(now),
                false => self.watcher.counters.unknown_agents += 1,
            },
            WatchCmd::Watchers(watchers) => self.tell(watchers),
            WatchCmd::Expect(node, agents) => self.watcher.expect(node, &agents, now, &self.config),
            WatchCmd::Forget(node) => self.watcher.forget(node, now),
        }
    }

    /// Told with the next beat, which is no later than an agents' interval away.
    fn roster_changed(&mut self, now: Time) {
        self.hosts |= self.hosted.len() > 0;
        if self.hosts && self.tick_at != Time::NEVER {
            self.tick_at = self.tick_at.min(now + self.every());
        }
    }

    fn on_message(&mut self, from: NodeId, msg: WatchMsg, cx: &mut Cx<'_, Watch>) {
        let (now, config) = (cx.now, &self.config);
        let answer = match msg {
            WatchMsg::Beat(beat) => self.watcher.on_beat(from, beat, now, config),
            WatchMsg::Changes { incarnation, from: base, changes } => {
                self.watcher.on_changes(from, incarnation, base, &changes, now, config);
                None
            }
            WatchMsg::Roster { incarnation, version, next, agents, last } => {
                self.watcher.on_roster(from, incarnation, version, next, &agents, last, now, config)
            }
            WatchMsg::Want { incarnation, have, next } => self.on_want(from, incarnation, have, next),
        };
        if let Some(answer) = answer {
            self.send_to(from, answer, cx);
        }
    }

    fn on_want(
        &mut self,
        from: NodeId,
        incarnation: u64,
        have: u64,
        next: Option<AgentId>,
    ) -> Option<WatchMsg> {
        let is_watcher =
            self.others.binary_search(&from).is_ok() || (from == self.config.me && self.tells_itself);
        if incarnation != self.incarnation || !is_watcher {
            self.watcher.counters.stale += 1;
            return None;
        }
        let changes = if next.is_none() { self.hosted.changes_since(have) } else { None };
        Some(match changes {
            Some(changes) => WatchMsg::Changes { incarnation, from: have, changes },
            None => {
                let next = next.unwrap_or(AgentId(0));
                let (agents, last) = self.hosted.part(next);
                WatchMsg::Roster { incarnation, version: self.hosted.version(), next, agents, last }
            }
        })
    }

    /// One message; to this node itself by hand.
    fn send_to(&mut self, to: NodeId, msg: WatchMsg, cx: &mut Cx<'_, Watch>) {
        if to == self.config.me {
            self.on_message(to, msg, cx);
        } else {
            cx.send(to, msg);
        }
    }

    fn send_all(&mut self, msg: WatchMsg, cx: &mut Cx<'_, Watch>) {
        if !self.others.is_empty() {
            cx.send(Recipients::Many(self.others.clone()), msg.clone());
        }
        if self.tells_itself {
            self.on_message(self.config.me, msg, cx);
        }
    }

    /// The beat of one period, behind what changed since the last.
    fn tick(&mut self, cx: &mut Cx<'_, Watch>) {
        self.tick_at = cx.now + self.every();
        if self.others.is_empty() && !self.tells_itself {
            return;
        }
        let incarnation = self.incarnation;
        if self.told != self.hosted.version() {
            // If there is more than one message full, watchers ask for the rest.
            if let Some(changes) = self.hosted.changes_since(self.told) {
                self.send_all(WatchMsg::Changes { incarnation, from: self.told, changes }, cx);
            }
            self.told = self.hosted.version();
        }
        self.seq += 1;
        let interval = self.config.agents.interval;
        for beat in self.hosted.beats(incarnation, self.seq, cx.now, self.grace, interval) {
            self.send_all(WatchMsg::Beat(beat), cx);
        }
    }

    /// This node was away if it was not called when it should have been. Found at whatever comes first, so that
    /// nobody is judged before.
    fn notice_pause(&mut self, now: Time) {
        if now > self.expected + self.config.pause_after {
            self.watcher.excuse_all(now);
            self.grace = now;
        }
    }
}

impl Protocol for Watch {
    type Msg = WatchMsg;
    type Cmd = WatchCmd;
    type Event = WatchEvent;
    type Record = Infallible;

    fn step(&mut self, input: Input<Watch>, cx: &mut Cx<'_, Watch>) {
        self.notice_pause(cx.now);
        match input {
            Input::Start(boot) => {
                self.incarnation = boot.incarnation;
                // Nodes that start together do not beat together.
                let every = u64::try_from(self.every().as_nanos()).unwrap_or(u64::MAX);
                self.tick_at = Time(cx.now.0.saturating_add(cx.rng.within(0..every)));
            }
            Input::Message { from, msg } => self.on_message(from, msg, cx),
            Input::Command(cmd) => self.on_command(cmd, cx),
            Input::Wake => {
                if cx.now >= self.tick_at {
                    self.tick(cx);
                }
                self.watcher.judge_due(cx.now, &self.config);
            }
            Input::Link { peer, state: LinkState::Up(boot) } => {
                self.watcher.on_link_up(peer, boot, cx.now, &self.config)
            }
            Input::Link { state: LinkState::Down, .. } | Input::Durable(_) => {}
        }
        if !self.watcher.verdicts.is_empty() {
            cx.emit(WatchEvent::Verdicts(std::mem::take(&mut self.watcher.verdicts)));
        }
        self.expected = self.wake_at().max(cx.now);
    }

    fn wake_at(&self) -> Time {
        self.tick_at.min(self.watcher.next_due())
    }

    fn replay(&mut self, record: Infallible) -> Result<(), Corrupt> {
        match record {}
    }
}
