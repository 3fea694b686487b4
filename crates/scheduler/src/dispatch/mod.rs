//! What the leader of the coordinators decides: who gets which task, what has ended, whose lease is over, who is
//! lost. Everything that it goes by is soft and told again; whatever it decides is in the log before it counts.
//!
//! **Invariants.** Only a leader decides, in one block at a time. Stamps go on from the last one in the log, by the
//! time that passed while this replica led: so a change of leader lengthens leases and never shortens them. Nobody
//! is judged by a silence that began before this replica led.

mod assign;
mod hint;
mod judge;
mod level;
mod placement;

pub use hint::{End, Finished, Health, Hint, HintCounts, Report};
pub use level::{Granted, LeaseLevel, NodeLeases, granted};
pub use placement::{CapabilityMatch, LeastLoaded, Placement, RoundRobin, Skills, TaskView};

use crate::Work;
use crate::engine::{Act, Block, Command, ConfigError, Lease};
use assign::Roster;
use hint::{Ended, Memory};
use level::Published;
use quorate_core::{Decider, Notice, Rng, Time};
use std::fmt;
use std::time::Duration;

/// How a leader decides.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DispatchConfig {
    /// Silence of a worker node after which its leases go to others. Default 800 ms: four heartbeats of 200 ms.
    pub suspect_after: Duration,
    /// Silence after which its agents are taken out. Default 10 s; not below `suspect_after`.
    pub remove_after: Duration,
    /// Tasks given out in one block. Default 1,024, at least 1.
    pub assign_max: usize,
    /// Ends of attempts in one block. Default 4,096, at least 1.
    pub ends_max: usize,
    /// About how many bytes a block may have; must be well below what the log takes as one entry. Default 256 KiB.
    pub block_bytes_max: usize,
    /// Ends of attempts that are remembered until they are settled, and attempts of one node that are known to run.
    /// Default 65,536.
    pub finished_max: usize,
    /// Bytes of these. Default 16 MiB.
    pub finished_bytes_max: usize,
    /// Longest result of which the bytes are kept. Default 64 KiB; not above `block_bytes_max`.
    pub result_bytes_max: usize,
    /// Worker nodes that are remembered. Default 65,536.
    pub nodes_max: usize,
    /// Agents of one node, and agents with a verdict of their own, that are remembered. Default 1 Mi.
    pub agents_max: usize,
}

impl Default for DispatchConfig {
    fn default() -> Self {
        DispatchConfig {
            suspect_after: Duration::from_millis(800),
            remove_after: Duration::from_secs(10),
            assign_max: 1024,
            ends_max: 4096,
            block_bytes_max: 256 << 10,
            finished_max: 1 << 16,
            finished_bytes_max: 16 << 20,
            result_bytes_max: 64 << 10,
            nodes_max: 1 << 16,
            agents_max: 1 << 20,
        }
    }
}

impl DispatchConfig {
    /// Whether every setting can be.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let error = |setting, found: u128, must| {
            Err(ConfigError { setting, found: u64::try_from(found).unwrap_or(u64::MAX), must })
        };
        if self.suspect_after.is_zero() {
            return error("suspect_after", 0, "more than nothing");
        }
        if self.remove_after < self.suspect_after {
            return error("remove_after", self.remove_after.as_millis(), "at least suspect_after");
        }
        if self.assign_max == 0 {
            return error("assign_max", 0, "at least 1");
        }
        if self.ends_max == 0 {
            return error("ends_max", 0, "at least 1");
        }
        if self.block_bytes_max < 4096 {
            return error("block_bytes_max", self.block_bytes_max as u128, "at least 4096");
        }
        if self.result_bytes_max > self.block_bytes_max {
            return error("result_bytes_max", self.result_bytes_max as u128, "at most block_bytes_max");
        }
        Ok(())
    }
}

/// Decides for a [`Work`] while its replica leads.
pub struct Dispatcher<P: Placement = LeastLoaded> {
    config: DispatchConfig,
    placement: P,
    memory: Memory,
    lead: Option<Lead>,
    /// The last term that this replica led.
    term: u64,
    published: Published,
    /// The end of leading was not told yet.
    retired: bool,
}

/// A term that is being led.
struct Lead {
    since: Time,
    /// The last stamp in the log when it began.
    stamp: u64,
    /// Nobody is judged by a silence that began before: this replica did not lead, or did not run.
    listening: Time,
    /// When it was last seen to run.
    awake: Time,
    judge_at: Time,
    enrol_at: Time,
    /// When the engine's next timer, and the next idle attempt, are due.
    due_at: Time,
    roster: Roster,
}

impl Lead {
    /// It runs. If it did not for so long that it may have missed heartbeats, silence counts from here.
    fn wake(&mut self, now: Time, config: &DispatchConfig) {
        if now.since(self.awake) > config.suspect_after / 2 {
            self.listening = now;
            self.judge_at = now;
        }
        self.awake = now;
    }
}

impl<P: Placement> Dispatcher<P> {
    /// A dispatcher that has been told nothing yet.
    pub fn new(config: DispatchConfig, placement: P) -> Result<Dispatcher<P>, ConfigError> {
        config.validate()?;
        Ok(Dispatcher {
            config,
            placement,
            memory: Memory::default(),
            lead: None,
            term: 0,
            published: Published::default(),
            retired: false,
        })
    }

    /// How much it was told, and what had no room.
    pub fn counts(&self) -> HintCounts {
        self.memory.counts
    }

    /// Ends of attempts that are not settled yet.
    pub fn unsettled(&self) -> usize {
        self.memory.finished.len()
    }

    /// What has ended: each is proposed until the engine shows that its lease is over, and a second time never.
    /// Whether it still counts, the engine says.
    fn end_leases(&mut self, state: &Work, acts: &mut Vec<Act>) {
        let mut bytes = 0;
        let mut over: Vec<Lease> = Vec::new();
        for (lease, ended) in &mut self.memory.finished {
            if !state.is_live(*lease) && (ended.proposed || state.is_committed(*lease)) {
                self.memory.counts.repeated += u64::from(!ended.proposed);
                over.push(*lease);
                continue;
            }
            bytes += hint::size(&ended.end);
            if acts.len() >= self.config.ends_max || (bytes > self.config.block_bytes_max && !acts.is_empty())
            {
                break;
            }
            ended.proposed = true;
            acts.push(act(*lease, ended));
        }
        for lease in over {
            self.memory.forget(lease);
        }
    }
}

fn act(lease: Lease, ended: &Ended) -> Act {
    match &ended.end {
        End::Done { digest, result } => Act::Complete { lease, digest: *digest, result: result.clone() },
        End::Failed { hopeless, text } => Act::Fail { lease, hopeless: *hopeless, text: text.clone() },
        End::Stopped => Act::Stopped(lease),
    }
}

impl<P: Placement> Decider<Work> for Dispatcher<P> {
    type Hint = Hint;

    fn lead(&mut self, term: u64, state: &Work, now: Time) {
        self.term = term;
        self.retired = false;
        self.published.forget();
        self.placement.clear();
        self.memory.nodes.values_mut().for_each(|node| node.hosts_agreed = false);
        self.memory.finished.values_mut().for_each(|ended| ended.proposed = false);
        self.lead = Some(Lead {
            since: now,
            stamp: state.stamp(),
            listening: now,
            awake: now,
            judge_at: now,
            enrol_at: now,
            due_at: Time::NEVER,
            roster: Roster::default(),
        });
    }

    fn retire(&mut self) {
        self.retired = self.lead.take().is_some();
        self.placement.clear();
    }

    fn hint(&mut self, hint: Hint, now: Time) {
        let anew = self.memory.take(hint, now, &self.config);
        if let Some(lead) = &mut self.lead {
            lead.wake(now, &self.config);
            if anew.enrol {
                lead.enrol_at = now;
            }
            if anew.judge {
                lead.judge_at = now;
            }
        }
    }

    fn decide(&mut self, state: &Work, now: Time, rng: &mut Rng, proposals: &mut Vec<Command>) {
        let mut acts = Vec::new();
        self.end_leases(state, &mut acts);
        let Some(lead) = &mut self.lead else { return };
        lead.wake(now, &self.config);
        let at = lead.stamp.saturating_add(now.since(lead.since).as_millis() as u64).max(state.stamp());
        if lead.enrol_at <= now {
            lead.enrol_at = judge::enrol(&mut self.memory, &self.config, state, now, &mut acts);
        }
        if lead.judge_at <= now {
            lead.judge_at = judge::judge(&mut self.memory, &self.config, lead, state, now, &mut acts);
        }
        let idle_at = lead.roster.sync(state, &mut self.placement, now);
        let idle_at = if idle_at <= now {
            lead.roster.expire_idle(state, &self.memory, now, &mut acts)
        } else {
            idle_at
        };
        let pairs = lead.roster.assign(state, &mut self.placement, self.config.assign_max);
        if !pairs.is_empty() {
            acts.push(Act::Assign(pairs));
        }
        let due = state.next_due();
        lead.due_at = match due {
            // Should the block below be lost, it is soon decided again.
            Some(due) if due <= at => now + Duration::from_millis(1),
            // In whole milliseconds of the log, as the stamps are.
            Some(due) => lead.since + Duration::from_millis(due.saturating_sub(lead.stamp)),
            None => Time::NEVER,
        };
        lead.due_at = lead.due_at.min(idle_at);
        // The first block of a term opens its epoch, even if there is nothing else to say.
        let opened = state.epoch() >= self.term;
        if acts.is_empty() && opened && due.is_none_or(|due| due > at) {
            return;
        }
        proposals.push(Command::Block(Block { epoch: self.term, at, draw: rng.bits(), acts }));
    }

    fn publish(&mut self, state: &Work) -> Vec<Box<dyn Notice>> {
        if self.lead.is_none() {
            self.memory.sweep(state);
            if !std::mem::take(&mut self.retired) {
                return Vec::new();
            }
            let level = LeaseLevel { term: self.term, leads: false, whole: false, nodes: Vec::new() };
            return vec![Box::new(level)];
        }
        let level = self.published.next(self.term, state);
        level.map(|level| Box::new(level) as Box<dyn Notice>).into_iter().collect()
    }

    fn wake_at(&self) -> Time {
        let Some(lead) = &self.lead else { return Time::NEVER };
        let wanted = lead.judge_at.min(lead.enrol_at).min(lead.due_at);
        // Often enough that a pause of this replica is told from the silence of the others.
        if lead.judge_at == Time::NEVER {
            wanted
        } else {
            wanted.min(lead.awake + self.config.suspect_after / 4)
        }
    }
}

impl<P: Placement> fmt::Debug for Dispatcher<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let leads = if self.lead.is_some() { "leads" } else { "follows" };
        write!(f, "Dispatcher({}, {leads}, {} unsettled)", self.placement.name(), self.unsettled())
    }
}
