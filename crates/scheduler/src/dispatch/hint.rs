//! What a coordinator is told that is not in the log, and its memory of it: who was heard, what runs, what has ended,
//! whom the health scope suspects. Kept on every replica, bounded, and lost with the process: all of it is told again.

use super::DispatchConfig;
use crate::engine::{AgentSpec, Engine, Lease};
use quorate_core::{AgentId, NodeId, Time};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Something became known.
#[derive(Clone, PartialEq, Debug)]
pub enum Hint {
    /// A worker node was heard.
    Report(Report),
    /// The health scope's verdict on a node. It stands until the next one.
    Node(NodeId, Health),
    /// The same on one agent.
    Agent(AgentId, Health),
}

/// How somebody seems to be.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Health {
    /// Well.
    Healthy,
    /// Maybe lost: no new work, its leases go to others.
    Suspect,
    /// Lost.
    Failed,
}

/// What a worker node says of itself: levels, so one that is lost, late or double does no harm. A heartbeat, even
/// if it is empty.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Report {
    /// Who speaks.
    pub node: NodeId,
    /// All agents that it hosts; `None`: as said before.
    pub hosts: Option<Vec<AgentSpec>>,
    /// The attempts that it runs, with a number that changes whenever they make progress.
    pub running: Vec<(Lease, u32)>,
    /// Attempts that have ended, until their leases are seen to be over.
    pub finished: Vec<Finished>,
}

impl Report {
    /// A heartbeat and nothing else.
    pub fn alive(node: NodeId) -> Report {
        Report { node, hosts: None, running: Vec::new(), finished: Vec::new() }
    }
}

/// An attempt that has ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Finished {
    /// Under which lease.
    pub lease: Lease,
    /// How.
    pub end: End,
}

/// How an attempt ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum End {
    /// Well.
    Done {
        /// See `task_digest`.
        digest: u64,
        /// Bytes that are wanted; may be empty.
        result: Vec<u8>,
    },
    /// Badly.
    Failed {
        /// That repeating it is of no use.
        hopeless: bool,
        /// In words.
        text: String,
    },
    /// It was cancelled, and does not run.
    Stopped,
}

/// How much was told, and what had no room.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct HintCounts {
    /// Reports taken.
    pub reports: u64,
    /// Reports of nodes for which there is no room.
    pub strangers: u64,
    /// Ends of attempts for which there was no room; they are told again.
    pub finished_dropped: u64,
    /// Results that were too long and stand by their digest alone.
    pub results_dropped: u64,
    /// Ends of attempts that stood already.
    pub repeated: u64,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    /// `None`: never since this process began.
    pub heard: Option<Time>,
    pub health: Option<Health>,
    pub hosts: Option<Vec<AgentSpec>>,
    /// Whether `hosts` was found to be what the engine has.
    pub hosts_agreed: bool,
    /// How many differed when they were last proposed, and when they may be proposed again if no fewer do.
    pub hosts_asked: (usize, Time),
    /// Progress of what runs, and since when it is that.
    pub running: BTreeMap<Lease, (u32, Time)>,
}

#[derive(Clone, Debug)]
pub(super) struct Ended {
    pub end: End,
    /// It was proposed once: whatever it came to, it is over when its lease is.
    pub proposed: bool,
}

/// What is to be looked at anew.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Anew {
    /// Who is suspected and gone.
    pub judge: bool,
    /// Who hosts whom.
    pub enrol: bool,
}

impl Anew {
    fn all_if(changed: bool) -> Anew {
        Anew { judge: changed, enrol: changed }
    }
}

/// What was told.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    pub nodes: BTreeMap<NodeId, Node>,
    pub agents: BTreeMap<AgentId, Health>,
    pub finished: BTreeMap<Lease, Ended>,
    pub finished_bytes: usize,
    pub counts: HintCounts,
}

impl Memory {
    /// Takes a hint; answers what is to be looked at anew because of it.
    pub fn take(&mut self, hint: Hint, now: Time, config: &DispatchConfig) -> Anew {
        match hint {
            Hint::Report(report) => self.report(report, now, config),
            Hint::Node(node, health) => {
                let Some(node) = self.node(node, now, config) else { return Anew::default() };
                Anew::all_if(node.health.replace(health) != Some(health))
            }
            Hint::Agent(agent, Health::Healthy) => Anew::all_if(self.agents.remove(&agent).is_some()),
            Hint::Agent(agent, health) => {
                if self.agents.len() >= config.agents_max && !self.agents.contains_key(&agent) {
                    self.counts.strangers += 1;
                    return Anew::default();
                }
                Anew::all_if(self.agents.insert(agent, health) != Some(health))
            }
        }
    }

    /// Forgets what is over, on a replica that does not lead. What it has not seen given out yet stays.
    pub fn sweep(&mut self, engine: &Engine) {
        let bytes = &mut self.finished_bytes;
        self.finished.retain(|lease, ended| {
            let over = engine.is_over(*lease);
            if over {
                *bytes -= size(&ended.end);
            }
            !over
        });
    }

    pub fn forget(&mut self, lease: Lease) {
        if let Some(ended) = self.finished.remove(&lease) {
            self.finished_bytes -= size(&ended.end);
        }
    }

    fn report(&mut self, report: Report, now: Time, config: &DispatchConfig) -> Anew {
        let Some(node) = self.node(report.node, now, config) else { return Anew::default() };
        let back = node.heard.is_none_or(|heard| now.since(heard) >= config.suspect_after);
        node.heard = Some(now);
        let mut differs = false;
        if let Some(mut hosts) = report.hosts {
            hosts.truncate(config.agents_max);
            if node.hosts.as_ref() != Some(&hosts) {
                node.hosts = Some(hosts);
                node.hosts_agreed = false;
                differs = true;
            }
        }
        let before = std::mem::take(&mut node.running);
        for (lease, progress) in report.running.into_iter().take(config.finished_max) {
            let since =
                before.get(&lease).filter(|(same, _)| *same == progress).map_or(now, |(_, since)| *since);
            node.running.insert(lease, (progress, since));
        }
        for finished in report.finished {
            self.finished(finished, config);
        }
        self.counts.reports += 1;
        Anew { judge: back, enrol: back || differs }
    }

    fn finished(&mut self, finished: Finished, config: &DispatchConfig) {
        if self.finished.contains_key(&finished.lease) {
            return;
        }
        let Finished { lease, mut end } = finished;
        match &mut end {
            End::Done { result, .. } if result.len() > config.result_bytes_max => {
                *result = Vec::new();
                self.counts.results_dropped += 1;
            }
            End::Failed { text, .. } if text.len() > 256 => {
                let cut = (0..=256).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
                text.truncate(cut);
            }
            _ => {}
        }
        let bytes = self.finished_bytes + size(&end);
        if self.finished.len() >= config.finished_max || bytes > config.finished_bytes_max {
            self.counts.finished_dropped += 1;
            return;
        }
        self.finished_bytes = bytes;
        self.finished.insert(lease, Ended { end, proposed: false });
    }

    fn node(&mut self, node: NodeId, now: Time, config: &DispatchConfig) -> Option<&mut Node> {
        if self.nodes.len() >= config.nodes_max && !self.nodes.contains_key(&node) {
            // Room is what the long silent leave.
            let heard = |node: &Node| node.heard.is_some_and(|heard| now.since(heard) < config.remove_after);
            self.nodes.retain(|_, node| heard(node));
        }
        if self.nodes.len() >= config.nodes_max && !self.nodes.contains_key(&node) {
            self.counts.strangers += 1;
            return None;
        }
        Some(self.nodes.entry(node).or_default())
    }
}

/// About how much of a command it is.
pub(super) fn size(end: &End) -> usize {
    32 + match end {
        End::Done { result, .. } => result.len(),
        End::Failed { text, .. } => text.len(),
        End::Stopped => 0,
    }
}
