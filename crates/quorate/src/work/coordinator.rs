//! The coordinator's end.

use super::leases::Leases;
use super::levels::{Line, decode};
use super::{ASTRAY_MAX, Scopes, mirror_config};
use crate::builder::Problem;
use crate::raft::{RaftConfig, RaftHandle, RaftPort, RaftStatus, Read};
use crate::{NodeBuilder, NodeId, Ticket};
use quorate_health::watch::{Subject, Verdict, Verdicts, Watch, WatchConfig, WatchPort};
use quorate_scheduler::dispatch::{DispatchConfig, Finished, Health, Hint, LeastLoaded, Placement, Report};
use quorate_scheduler::engine::{Command, EngineConfig, Reply};
use quorate_scheduler::mirror::{Mirror, MirrorAsk, MirrorEvent, MirrorPort};
use quorate_scheduler::{Dispatcher, GraphSpec, LeaseLevel, Work};
use std::collections::BTreeMap;
use std::fmt;

/// Settings of a coordinator. All coordinators should have the same.
#[derive(Clone, Debug, Default)]
pub struct WorkConfig {
    /// Of the scheduler: part of the replicated state.
    pub engine: EngineConfig,
    /// Of what the leader decides.
    pub dispatch: DispatchConfig,
    /// Of the log beneath.
    pub raft: RaftConfig,
}

/// A handle to the work on one coordinator.
pub struct WorkHandle<P: Placement = LeastLoaded> {
    raft: RaftHandle<Work, Dispatcher<P>>,
}

impl<P: Placement> WorkHandle<P> {
    /// Takes in a workflow, whole or not at all. On a follower it is passed on to the leader.
    pub fn submit(&self, graph: GraphSpec) -> Ticket<Reply> {
        self.raft.propose(Command::Submit(Box::new(graph)))
    }

    /// Any other command.
    pub fn command(&self, command: Command) -> Ticket<Reply> {
        self.raft.propose(command)
    }

    /// Reads the scheduler.
    pub fn read<R: Send + 'static>(
        &self,
        policy: Read,
        f: impl FnOnce(&Work) -> R + Send + 'static,
    ) -> Ticket<R> {
        self.raft.read(policy, f)
    }

    /// Reads what this coordinator has applied.
    pub fn inspect<R: Send + 'static>(&self, f: impl FnOnce(&Work) -> R + Send + 'static) -> Ticket<R> {
        self.raft.inspect(f)
    }

    /// How the log beneath stands here.
    pub fn status(&self) -> Ticket<RaftStatus> {
        self.raft.status()
    }

    /// The log beneath: sessions, stepping down.
    pub fn raft(&self) -> &RaftHandle<Work, Dispatcher<P>> {
        &self.raft
    }
}

impl<P: Placement> Clone for WorkHandle<P> {
    fn clone(&self) -> Self {
        WorkHandle { raft: self.raft.clone() }
    }
}

impl<P: Placement> fmt::Debug for WorkHandle<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WorkHandle({})", self.raft.scope())
    }
}

impl NodeBuilder {
    /// Makes this node a coordinator of a work of this name, placed on the least loaded agents.
    pub fn coordinator(&mut self, name: &str, config: WorkConfig) -> WorkHandle {
        self.coordinator_with(name, config, LeastLoaded::default())
    }

    /// The same with a placement of your choice.
    pub fn coordinator_with<P: Placement>(
        &mut self,
        name: &str,
        config: WorkConfig,
        placement: P,
    ) -> WorkHandle<P> {
        let scopes = Scopes::of(name);
        let watch = WatchConfig::new(self.id(), []);
        let parts = Work::new(config.engine)
            .and_then(|work| Ok((work, Dispatcher::new(config.dispatch, placement)?)));
        let (work, dispatcher) = match parts {
            Ok(parts) => parts,
            Err(why) => {
                self.problem(Problem::Scope { scope: name.to_owned(), why: why.to_string() });
                return WorkHandle { raft: RaftHandle::new(self.door(), scopes.work) };
            }
        };
        let raft = self.raft_with(name, work, dispatcher, config.raft);
        self.scope(scopes.reports, Mirror::new(self.id(), mirror_config()), MirrorPort);
        self.scope(scopes.leases, Mirror::new(self.id(), mirror_config()), MirrorPort);
        self.scope(scopes.health, Watch::new(watch), WatchPort);
        let mut reports = Reports::default();
        self.wire(scopes.reports, scopes.work, move |event: &MirrorEvent| {
            reports.take(event).map(|hint| RaftPort::<Work, Dispatcher<P>>::hints(vec![hint]))
        });
        self.wire(scopes.health, scopes.work, |verdicts: &Verdicts| {
            Some(RaftPort::<Work, Dispatcher<P>>::hints(verdicts.0.iter().map(hint_of).collect()))
        });
        let mut leases = Leases::default();
        self.wire(scopes.work, scopes.leases, move |level: &LeaseLevel| {
            Some(MirrorAsk::Do(leases.commands(level)))
        });
        WorkHandle { raft }
    }
}

fn hint_of(verdict: &Verdict) -> Hint {
    use quorate_health::detect::State;
    let health = match verdict.state {
        State::Failed => Health::Failed,
        _ if verdict.suspected => Health::Suspect,
        _ => Health::Healthy,
    };
    match verdict.subject {
        Subject::Node(node) => Hint::Node(node, health),
        Subject::Agent(agent) => Hint::Agent(agent, health),
    }
}

/// The levels that worker nodes reported, put together again.
#[derive(Default)]
struct Reports {
    nodes: BTreeMap<NodeId, Reported>,
}

#[derive(Default)]
struct Reported {
    lines: BTreeMap<u64, Line>,
    /// Since the last report was made of it.
    hosts_changed: bool,
    /// Since then as well: made part of one report, for each such end is refused and counted once.
    astray: Vec<Finished>,
}

impl Reports {
    fn take(&mut self, event: &MirrorEvent) -> Option<Hint> {
        match event {
            MirrorEvent::Reset { from, .. } => {
                self.nodes.remove(from);
                None
            }
            MirrorEvent::Level { from, changes, whole } => {
                let reported = self.nodes.entry(*from).or_default();
                for (key, value) in changes {
                    reported.change(*key, value.as_ref().and_then(|bytes| decode::<Line>(bytes)));
                }
                // A part of a level does not say what is absent.
                whole.then(|| Hint::Report(reported.report(*from)))
            }
            MirrorEvent::Refused { .. } => None,
        }
    }
}

impl Reported {
    fn change(&mut self, key: u64, line: Option<Line>) {
        self.hosts_changed |= matches!(line, Some(Line::Hosts(_)));
        let before = match line {
            Some(Line::Astray(finished)) => {
                // For the books alone: what is too much of it is left out.
                if self.astray.len() < ASTRAY_MAX {
                    self.astray.push(finished);
                }
                self.lines.remove(&key)
            }
            Some(line) => self.lines.insert(key, line),
            None => self.lines.remove(&key),
        };
        self.hosts_changed |= matches!(before, Some(Line::Hosts(_)));
    }

    fn report(&mut self, node: NodeId) -> Report {
        let mut report = Report::alive(node);
        report.finished = std::mem::take(&mut self.astray);
        let mut hosts = Vec::new();
        for line in self.lines.values() {
            match line {
                Line::Hosts(some) => hosts.extend(some.iter().cloned()),
                Line::Running(lease, progress) => report.running.push((*lease, *progress)),
                Line::Finished(finished) => report.finished.push(finished.clone()),
                Line::Beat(_) | Line::Astray(_) => {}
            }
        }
        report.hosts = std::mem::take(&mut self.hosts_changed).then_some(hosts);
        report
    }
}
