//! The watcher's side: all nodes that are watched, and one deadline for each of them.
//!
//! A beat moves no timer. A node's entry among the deadlines stands where its silence would first have meant
//! something; when it is due it is put where it belongs by then. So a beat costs one look-up, and a
//! million agents cost as many timers as there are nodes.

use super::config::WatchConfig;
use super::msg::{Beat, CRASHED, NAMED_MAX, WatchMsg};
use super::ward::Ward;
use super::{Subject, Verdict, WatchCounters};
use crate::detect::{Condition, State};
use quorate_core::{AgentId, Boot, NodeId, Time};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Agents judged in one step: about a quarter of a millisecond.
const JUDGED_MAX: usize = 2048;

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(super) struct Watcher {
    wards: BTreeMap<NodeId, Ward>,
    due: BTreeSet<(Time, NodeId)>,
    /// Who is there, as the links said last.
    boots: BTreeMap<NodeId, Boot>,
    /// Agents of all rosters.
    agents: usize,
    /// When this node came back from its last pause.
    grace: Time,
    pub(super) verdicts: Vec<Verdict>,
    pub(super) counters: WatchCounters,
}

impl Watcher {
    pub(super) fn next_due(&self) -> Time {
        self.due.first().map_or(Time::NEVER, |(at, _)| *at)
    }

    /// This node itself was away: whoever was silent meanwhile gets a fresh timeout (the idea of Lifeguard,
    /// Dadgar, Phillips and Currey 2018, section IV: doubt yourself first).
    pub(super) fn excuse_all(&mut self, now: Time) {
        self.grace = now;
        self.counters.pauses += 1;
    }

    pub(super) fn on_beat(
        &mut self,
        from: NodeId,
        beat: Beat,
        now: Time,
        config: &WatchConfig,
    ) -> Option<WatchMsg> {
        let ordered = beat.quiet.windows(2).all(|pair| pair[0].0 < pair[1].0);
        let inside = beat.quiet.first().is_none_or(|(agent, _)| *agent >= beat.first)
            && beat.quiet.last().is_none_or(|(agent, _)| *agent <= beat.last);
        if !ordered || !inside || beat.first > beat.last || beat.quiet.len() > NAMED_MAX {
            self.counters.refused += 1;
            return None;
        }
        let ward = self.admit(from, beat.incarnation, now, config)?;
        if (beat.seq, beat.part) <= ward.seen {
            // Late or doubled on the way: it says how things were, and those that came since know better.
            self.counters.stale += 1;
            return None;
        }
        ward.seen = (beat.seq, beat.part);
        ward.heard = now;
        if let (0, Some(phi)) = (beat.part, &mut ward.phi) {
            phi.beat(now);
        }
        let mut listed = beat.quiet.into_iter().peekable();
        if !ward.quiet.is_empty() {
            let before: Vec<AgentId> = ward.quiet.range(beat.first..=beat.last).map(|(a, _)| *a).collect();
            before.iter().for_each(|agent| {
                ward.quiet.remove(agent);
            });
        }
        for (agent, ms) in listed.by_ref() {
            if ward.roster.contains(&agent) {
                let age = Duration::from_millis(u64::from(ms));
                let last = Time(now.0.saturating_sub(u64::try_from(age.as_nanos()).unwrap_or(u64::MAX)));
                ward.quiet.insert(agent, (ms != CRASHED).then_some(last));
            }
        }
        let troubled = ward.is_troubled();
        ward.rejudge();
        let want = ward.want(beat.version, now, config);
        if troubled {
            self.judge_at(from, now);
        }
        want
    }

    pub(super) fn on_changes(
        &mut self,
        from: NodeId,
        incarnation: u64,
        base: u64,
        changes: &[(AgentId, bool)],
        now: Time,
        config: &WatchConfig,
    ) {
        if changes.len() > NAMED_MAX {
            self.counters.refused += 1;
            return;
        }
        let Some(ward) = self.admit(from, incarnation, now, config) else { return };
        let known = ward.version.checked_sub(base).and_then(|known| usize::try_from(known).ok());
        // A gap, or nothing new, or not to be used before the whole is read. Version 0 of a new life is the
        // empty roster, but what the old life left here must be gone through: so that too is read as a whole.
        let Some(known) = known.filter(|known| *known < changes.len() && ward.load.is_none()) else { return };
        for (agent, here) in &changes[known..] {
            match here {
                true => self.add_agent(from, *agent, now, config),
                false => self.remove_agent(from, *agent, now),
            }
        }
        if let Some(ward) = self.wards.get_mut(&from) {
            ward.version = base.saturating_add(changes.len() as u64);
        }
        self.judge_at(from, now);
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one message")]
    pub(super) fn on_roster(
        &mut self,
        from: NodeId,
        incarnation: u64,
        version: u64,
        next: AgentId,
        agents: &[AgentId],
        last: bool,
        now: Time,
        config: &WatchConfig,
    ) -> Option<WatchMsg> {
        let ordered = agents.windows(2).all(|pair| pair[0] < pair[1]);
        let fits = agents.first().is_none_or(|first| *first >= next) && (last || !agents.is_empty());
        if !ordered || !fits || agents.len() > NAMED_MAX {
            self.counters.refused += 1;
            return None;
        }
        let ward = self.admit(from, incarnation, now, config)?;
        if next == AgentId(0) && version > ward.version {
            ward.begin_load();
        }
        let mut load = ward.load.filter(|load| load.next == next)?;
        let end = match (last, agents.last()) {
            (false, Some(agent)) => *agent,
            _ => AgentId(u64::MAX),
        };
        let gone: Vec<AgentId> =
            ward.roster.range(next..=end).filter(|a| agents.binary_search(a).is_err()).copied().collect();
        if load.base == 0 {
            load.base = version;
        }
        // The end of the last part is the end of all names, and no agent is beyond it.
        load.next = AgentId(end.0.saturating_add(1));
        ward.load = Some(load);
        let mut want = None;
        if last {
            ward.load = None;
            ward.version = load.base;
        } else {
            ward.asked = now;
            want = Some(WatchMsg::Want { incarnation, have: 0, next: Some(load.next) });
        }
        gone.into_iter().for_each(|agent| self.remove_agent(from, agent, now));
        agents.iter().for_each(|agent| self.add_agent(from, *agent, now, config));
        self.judge_at(from, now);
        want
    }

    /// The link's handshake proved who is there now. Another journal counts its lives anew, and the link is
    /// believed against a life that came from a message alone.
    pub(super) fn on_link_up(&mut self, peer: NodeId, boot: Boot, now: Time, config: &WatchConfig) {
        if self.boots.len() < config.nodes_max || self.boots.contains_key(&peer) {
            self.boots.insert(peer, boot);
        }
        let Some(ward) = self.wards.get_mut(&peer) else { return };
        let other = match ward.journal {
            Some(journal) => journal != boot.journal,
            None => boot.incarnation < ward.incarnation,
        };
        ward.journal = Some(boot.journal);
        if other || boot.incarnation > ward.incarnation {
            // The handshake is a sign of life as well.
            ward.begin_life(boot.incarnation, now);
            self.verdicts.push(ward.node_verdict());
            self.judge_at(peer, now);
        }
    }

    /// Watches a node, and agents that should be there, before they were heard of.
    pub(super) fn expect(&mut self, node: NodeId, agents: &[AgentId], now: Time, config: &WatchConfig) {
        if !self.wards.contains_key(&node) && self.admit(node, 0, now, config).is_none() {
            return;
        }
        for agent in agents {
            let Some(ward) = self.wards.get(&node) else { return };
            if ward.version == 0 || ward.load.is_some() {
                self.add_agent(node, *agent, now, config);
            } else if !ward.roster.contains(agent) {
                self.verdicts.push(ward.left(Subject::Agent(*agent), now));
            }
        }
        self.judge_at(node, now);
    }

    pub(super) fn forget(&mut self, node: NodeId, now: Time) {
        if let Some(ward) = self.wards.remove(&node) {
            self.due.remove(&(ward.timer, node));
            self.agents -= ward.roster.len();
            self.verdicts.push(ward.left(Subject::Node(node), now));
        }
    }

    /// Judges whose time has come, until the step is long enough.
    pub(super) fn judge_due(&mut self, now: Time, config: &WatchConfig) {
        let mut budget = JUDGED_MAX;
        while budget > 0 {
            let Some((at, node)) = self.due.first().copied().filter(|(at, _)| *at <= now) else { return };
            let Some(ward) = self.wards.get_mut(&node) else {
                self.due.remove(&(at, node));
                continue;
            };
            budget -= 1;
            let next = ward.judge(now, self.grace, config, &mut budget, &mut self.verdicts);
            self.set_timer(node, next);
        }
    }

    /// How many deadlines are kept.
    #[cfg(test)]
    pub(super) fn timers(&self) -> usize {
        self.due.len()
    }

    pub(super) fn node(&self, node: NodeId) -> Option<Condition> {
        self.wards.get(&node).map(|ward| ward.track.told())
    }

    pub(super) fn agent(&self, node: NodeId, agent: AgentId) -> Option<Condition> {
        let ward = self.wards.get(&node)?;
        ward.roster.get(&agent)?;
        Some(ward.tracks.get(&agent).map_or(Condition::HEALTHY, |track| track.told()))
    }

    /// Nodes and agents by state, and how many are suspected.
    pub(super) fn census(&self) -> (super::Census, super::Census) {
        let (mut nodes, mut agents) = (super::Census::default(), super::Census::default());
        for ward in self.wards.values() {
            nodes.count(ward.track.told());
            ward.tracks.values().for_each(|track| agents.count(track.told()));
            agents.healthy += ward.roster.len() - ward.tracks.len();
        }
        (nodes, agents)
    }

    /// The record of a node that speaks for this life; `None` if it is of an older one or there is no room.
    fn admit(
        &mut self,
        node: NodeId,
        incarnation: u64,
        now: Time,
        config: &WatchConfig,
    ) -> Option<&mut Ward> {
        if !self.wards.contains_key(&node) {
            if self.wards.len() >= config.nodes_max && !self.evict(now) {
                self.counters.no_room += 1;
                return None;
            }
            let mut ward = Ward::new(node, incarnation, now, config);
            ward.journal = self.boots.get(&node).map(|boot| boot.journal);
            self.verdicts.push(ward.node_verdict());
            self.wards.insert(node, ward);
            self.set_timer(node, now + config.nodes.first());
        }
        let ward = self.wards.get_mut(&node)?;
        if incarnation < ward.incarnation {
            self.counters.stale += 1;
            return None;
        }
        if incarnation > ward.incarnation {
            ward.begin_life(incarnation, now);
            self.verdicts.push(ward.node_verdict());
        }
        self.wards.get_mut(&node)
    }

    /// Makes room by forgetting the node that failed first, if one did.
    fn evict(&mut self, now: Time) -> bool {
        let failed = self.wards.values().filter(|ward| ward.track.told().state == State::Failed);
        let Some(node) = failed.min_by_key(|ward| ward.heard).map(|ward| ward.node) else { return false };
        self.forget(node, now);
        true
    }

    fn add_agent(&mut self, node: NodeId, agent: AgentId, now: Time, config: &WatchConfig) {
        let Some(ward) = self.wards.get_mut(&node) else { return };
        if ward.roster.contains(&agent) {
            return;
        }
        if self.agents >= config.agents_max {
            self.counters.no_room += 1;
            return;
        }
        ward.roster.insert(agent);
        self.agents += 1;
        self.verdicts.push(ward.agent_verdict(agent, now));
    }

    fn remove_agent(&mut self, node: NodeId, agent: AgentId, now: Time) {
        let Some(ward) = self.wards.get_mut(&node) else { return };
        if ward.drop_agent(agent) {
            self.agents -= 1;
            self.verdicts.push(ward.left(Subject::Agent(agent), now));
        }
    }

    /// Judges again no later than this.
    fn judge_at(&mut self, node: NodeId, at: Time) {
        if self.wards.get(&node).is_some_and(|ward| ward.timer > at) {
            self.set_timer(node, at);
        }
    }

    fn set_timer(&mut self, node: NodeId, at: Time) {
        if let Some(ward) = self.wards.get_mut(&node) {
            self.due.remove(&(ward.timer, node));
            ward.timer = at;
            self.due.insert((at, node));
        }
    }
}

impl Ward {
    /// What to ask of a worker whose roster is at this version; at most once an interval.
    fn want(&mut self, version: u64, now: Time, config: &WatchConfig) -> Option<WatchMsg> {
        if self.version == version && self.load.is_none() {
            return None;
        }
        if self.asked != Time::ZERO && now < self.asked + config.agents.interval {
            return None;
        }
        self.asked = now;
        let next = match self.load {
            Some(load) => Some(load.next),
            // What was expected before anything was heard may not be there.
            None if self.version == 0 && !self.roster.is_empty() => {
                self.begin_load();
                Some(AgentId(0))
            }
            None => None,
        };
        Some(WatchMsg::Want { incarnation: self.incarnation, have: self.version, next })
    }
}
