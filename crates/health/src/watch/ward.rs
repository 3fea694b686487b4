//! What a watcher keeps of one node and its agents.
//!
//! An agent about whom nothing is wrong costs its name in a sorted set: it was last heard of when its node was.
//! Only those that are quiet, or were told to be other than healthy, have a [`Track`].

use super::config::{Detection, WatchConfig};
use super::{Subject, Verdict};
use crate::detect::{Phi, State, Thresholds, Track};
use quorate_core::{AgentId, JournalId, NodeId, Time};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ward {
    pub(super) node: NodeId,
    pub(super) incarnation: u64,
    pub(super) journal: Option<JournalId>,
    /// The last beat of this life that counted.
    pub(super) seen: (u64, u32),
    pub(super) heard: Time,
    pub(super) phi: Option<Phi>,
    pub(super) track: Track,
    pub(super) roster: BTreeSet<AgentId>,
    pub(super) version: u64,
    pub(super) load: Option<Load>,
    /// When its roster was asked for last.
    pub(super) asked: Time,
    /// Last beats of the agents that are quiet while their node is not; `None` for those that crashed.
    pub(super) quiet: BTreeMap<AgentId, Option<Time>>,
    pub(super) tracks: BTreeMap<AgentId, Track>,
    pass: Option<Pass>,
    /// Its entry among the deadlines.
    pub(super) timer: Time,
}

/// Judging that was cut off to keep a step short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pass {
    from: AgentId,
    /// The next deadline among those judged before.
    next: Time,
    /// Whether it goes over all agents and not just those that stand out.
    all: bool,
}

/// The roster of a life is being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Load {
    /// The version of the first part; later changes are taken from there. 0 before it.
    pub(super) base: u64,
    /// The first agent not told yet.
    pub(super) next: AgentId,
    /// After a restart: agents not told yet were last heard of in an older life, at this time, and beats of the
    /// new one are not theirs.
    frozen: Option<Time>,
}

impl Ward {
    pub(super) fn new(node: NodeId, incarnation: u64, now: Time, config: &WatchConfig) -> Ward {
        let phi = match config.detection {
            Detection::Fixed => None,
            Detection::Phi(_) => Some(Phi::new(config.nodes.interval, now)),
        };
        Ward {
            node,
            incarnation,
            journal: None,
            seen: (0, 0),
            heard: now,
            phi,
            track: Track::new(now),
            roster: BTreeSet::new(),
            version: 0,
            load: None,
            asked: Time::ZERO,
            quiet: BTreeMap::new(),
            tracks: BTreeMap::new(),
            pass: None,
            timer: Time::NEVER,
        }
    }

    /// Another life begins: what the old one said of its agents stands until the new roster is read, and they
    /// are not kept alive by beats of a life that may not have them.
    pub(super) fn begin_life(&mut self, incarnation: u64, now: Time) {
        let frozen = self.load.and_then(|load| load.frozen).or(Some(self.heard));
        self.incarnation = incarnation;
        self.seen = (0, 0);
        self.version = 0;
        self.load = Some(Load { base: 0, next: AgentId(0), frozen });
        self.asked = Time::ZERO;
        self.heard = now;
        self.pass = None;
    }

    /// The roster is to be read as a whole, within the same life: its changes are not remembered, or agents were
    /// expected that may not be there.
    pub(super) fn begin_load(&mut self) {
        if self.load.is_none() {
            self.load = Some(Load { base: 0, next: AgentId(0), frozen: None });
        }
    }

    /// When the agent was heard of last; `None` if it crashed.
    fn last_of(&self, agent: AgentId) -> Option<Time> {
        let shared = match self.load {
            Some(load) if agent >= load.next => load.frozen.unwrap_or(self.heard),
            _ => self.heard,
        };
        self.quiet.get(&agent).copied().unwrap_or(Some(shared)).map(|last| last.min(shared))
    }

    pub(super) fn thresholds(&self, config: &WatchConfig) -> Thresholds {
        match (&self.phi, &config.detection) {
            (Some(phi), Detection::Phi(how)) => phi.thresholds(&config.nodes, how),
            _ => config.nodes,
        }
    }

    pub(super) fn node_verdict(&self) -> Verdict {
        let told = self.track.told();
        Verdict {
            subject: Subject::Node(self.node),
            node: self.node,
            incarnation: self.incarnation,
            state: told.state,
            suspected: told.suspected,
            since: self.track.since(),
        }
    }

    pub(super) fn agent_verdict(&self, agent: AgentId, now: Time) -> Verdict {
        let track = self.tracks.get(&agent).copied().unwrap_or(Track::new(now));
        Verdict { subject: Subject::Agent(agent), ..self.verdict_of(track) }
    }

    pub(super) fn left(&self, subject: Subject, now: Time) -> Verdict {
        Verdict { subject, state: State::Left, suspected: false, ..self.verdict_of(Track::new(now)) }
    }

    fn verdict_of(&self, track: Track) -> Verdict {
        Verdict {
            state: track.told().state,
            suspected: track.told().suspected,
            since: track.since(),
            ..self.node_verdict()
        }
    }

    /// An agent is not among this node's any more.
    pub(super) fn drop_agent(&mut self, agent: AgentId) -> bool {
        self.quiet.remove(&agent);
        self.tracks.remove(&agent);
        self.roster.remove(&agent)
    }

    /// Judging starts over: something was heard.
    pub(super) fn rejudge(&mut self) {
        self.pass = None;
    }

    /// Whether judging now may lead to better news.
    pub(super) fn is_troubled(&self) -> bool {
        !self.tracks.is_empty() || !self.quiet.is_empty() || !self.track.is_plain() || self.load.is_some()
    }

    /// Judges the node and at most `budget` of its agents; says when to go on: now, if some were left over.
    pub(super) fn judge(
        &mut self,
        now: Time,
        grace: Time,
        config: &WatchConfig,
        budget: &mut usize,
        verdicts: &mut Vec<Verdict>,
    ) -> Time {
        let t = self.thresholds(config);
        if self.track.judge(now, self.heard, grace, &t) {
            verdicts.push(self.node_verdict());
        }
        let t = &config.agents;
        // Agents without a track are heard of with their node, so nothing is due for them before this.
        let shared = self.load.and_then(|load| load.frozen).unwrap_or(self.heard);
        let silent_at = shared.max(grace) + t.first();
        let begin = Pass { from: AgentId(0), next: Time::NEVER, all: now >= silent_at };
        let Pass { mut from, mut next, all } = self.pass.take().unwrap_or(begin);
        while let Some(agent) = self.next_to_judge(from, all) {
            if *budget == 0 {
                self.pass = Some(Pass { from: agent, next, all });
                return Time::ZERO;
            }
            *budget -= 1;
            next = next.min(self.judge_agent(agent, now, grace, t, verdicts));
            let Some(after) = agent.0.checked_add(1) else { break };
            from = AgentId(after);
        }
        // May have passed while the pass was cut off: then the next one goes over all.
        if !all && !self.roster.is_empty() {
            next = next.min(silent_at);
        }
        next.min(self.track.deadline(now, self.heard, grace, &self.thresholds(config)))
    }

    fn next_to_judge(&self, from: AgentId, all: bool) -> Option<AgentId> {
        if all {
            return self.roster.range(from..).next().copied();
        }
        let tracked = self.tracks.range(from..).next().map(|(agent, _)| *agent);
        let quiet = self.quiet.range(from..).next().map(|(agent, _)| *agent);
        [tracked, quiet].into_iter().flatten().min()
    }

    fn judge_agent(
        &mut self,
        agent: AgentId,
        now: Time,
        grace: Time,
        t: &Thresholds,
        verdicts: &mut Vec<Verdict>,
    ) -> Time {
        let last = self.last_of(agent);
        let track = self.tracks.entry(agent).or_insert(Track::new(now));
        let (changed, next) = match last {
            None => (track.fail(now), Time::NEVER),
            Some(last) => (track.judge(now, last, grace, t), track.deadline(now, last, grace, t)),
        };
        let track = *track;
        if changed {
            verdicts.push(Verdict { subject: Subject::Agent(agent), ..self.verdict_of(track) });
        }
        if track.is_plain() {
            self.tracks.remove(&agent);
        }
        next
    }
}
