//! The agents of one worker node, on one thread: an attempt takes its traced time divided by the speed-up, and
//! comes to a digest of the task's name and its inputs' digests.

use super::story::Story;
use super::timeline::RunOutcome;
use quorate::work::dispatch::Granted;
use quorate::work::{AgentSpec, End, Lease, Order, WorkerHandle, task_digest};
use quorate::{AgentId, NodeId};
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What happens to agents.
pub enum Blow {
    /// These die. What they ran is gone. Told: their node sees it; else their silence shows it.
    Kill { agents: Vec<AgentId>, told: bool },
    /// These are replaced by new ones of the same names.
    Revive(Vec<AgentId>),
    /// These stand still for a while, hear nothing, and then report what they began before.
    Zombie { agents: Vec<AgentId>, time: Duration },
    /// The end.
    Stop,
}

/// A crew's thread.
pub struct Crew {
    blows: Sender<Blow>,
    handle: WorkerHandle,
    thread: Option<JoinHandle<()>>,
}

impl Crew {
    /// Lets these agents work on this node.
    pub fn start(
        node: NodeId,
        ids: Vec<AgentId>,
        handle: WorkerHandle,
        speedup: f64,
        story: Story,
    ) -> std::io::Result<Crew> {
        let (blows, inbox) = channel();
        let agents = ids.into_iter().map(|id| (id, Agent::default())).collect();
        let mut shift =
            Shift { agents, handle: handle.clone(), speedup, story, beat_at: Instant::now(), ended: 0 };
        let work = move || shift.run(&inbox);
        let thread = std::thread::Builder::new().name(format!("agents-of-{node}")).spawn(work)?;
        Ok(Crew { blows, handle, thread: Some(thread) })
    }

    /// Ends that its agents told again: refused at the node, where the first counts.
    pub fn repeated(&self) -> u64 {
        let counters = self.handle.counters().wait_timeout(Duration::from_secs(1));
        counters.ok().and_then(Result::ok).map_or(0, |counters| counters.repeated)
    }

    /// Strikes.
    pub fn strike(&self, blow: Blow) {
        // A crew that has ended feels nothing.
        let _ = self.blows.send(blow);
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        let _ = self.blows.send(Blow::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[derive(Default)]
struct Agent {
    dead: bool,
    /// Stands still until then.
    zombie_until: Option<Instant>,
    running: BTreeMap<Lease, Attempt>,
}

struct Attempt {
    granted: Granted,
    from: Instant,
    until: Instant,
    /// Its lease was taken away while its agent stood still.
    dropped: bool,
}

struct Shift {
    agents: BTreeMap<AgentId, Agent>,
    handle: WorkerHandle,
    speedup: f64,
    story: Story,
    beat_at: Instant,
    /// Results told.
    ended: usize,
}

/// The first of every so many results is told twice.
const TWICE_EVERY: usize = 40;
const BEAT: Duration = Duration::from_millis(150);

impl Shift {
    fn run(&mut self, blows: &Receiver<Blow>) {
        let specs = self.agents.keys().map(|id| AgentSpec::new(*id)).collect();
        let _ = self.handle.host(specs);
        loop {
            while let Ok(blow) = blows.try_recv() {
                if matches!(blow, Blow::Stop) {
                    return;
                }
                self.feel(blow);
            }
            let now = Instant::now();
            if now >= self.beat_at {
                self.beat_at = now + BEAT;
                self.beat();
            }
            self.end_what_is_due(now);
            let next = self.next_event(now).min(self.beat_at);
            // Blows wait in a queue of their own, so that no order is waited for too long.
            let patience = next.saturating_duration_since(Instant::now()).min(Duration::from_millis(20));
            if let Some(order) = self.handle.wait_order(patience) {
                self.obey(order);
            }
        }
    }

    fn beat(&self) {
        let alive = self.agents.iter().filter(|(_, agent)| !agent.dead && agent.zombie_until.is_none());
        let _ = self.handle.beat(alive.map(|(id, _)| *id).collect());
    }

    fn next_event(&self, now: Instant) -> Instant {
        let ends = self
            .agents
            .values()
            .filter(|a| a.zombie_until.is_none())
            .flat_map(|a| a.running.values().map(|r| r.until));
        ends.min().unwrap_or(now + Duration::from_secs(1))
    }

    fn feel(&mut self, blow: Blow) {
        match blow {
            Blow::Kill { agents, told } => agents.into_iter().for_each(|id| self.die(id, told)),
            Blow::Revive(agents) => {
                for id in agents {
                    if let Some(agent) = self.agents.get_mut(&id) {
                        agent.dead = false;
                    }
                }
            }
            Blow::Zombie { agents, time } => agents.into_iter().for_each(|id| self.stand_still(id, time)),
            Blow::Stop => {}
        }
    }

    fn die(&mut self, id: AgentId, told: bool) {
        let Some(agent) = self.agents.get_mut(&id) else { return };
        agent.dead = true;
        agent.zombie_until = None;
        for attempt in std::mem::take(&mut agent.running).into_values() {
            self.story.run(&attempt.granted, attempt.from, RunOutcome::Lost);
            if !attempt.dropped {
                self.story.lost(&attempt.granted);
            }
        }
        if told {
            let _ = self.handle.crashed(id);
        }
    }

    fn stand_still(&mut self, id: AgentId, time: Duration) {
        let able = self.agents.get_mut(&id).filter(|agent| !agent.dead && agent.zombie_until.is_none());
        let Some(agent) = able else { return };
        agent.zombie_until = Some(Instant::now() + time);
        let ms = time.as_secs_f64() * 1000.0;
        self.story.fault(format!("agent {} stands still and will come back as a zombie", id.0), ms);
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Start(granted) => self.begin(granted),
            Order::Drop(granted) => self.let_go(&granted),
            Order::Cancel(granted) => {
                let agent = self.agents.get_mut(&granted.agent);
                if let Some(attempt) = agent.and_then(|agent| agent.running.remove(&granted.lease)) {
                    self.story.run(&attempt.granted, attempt.from, RunOutcome::Lost);
                }
                let _ = self.handle.end(granted.lease, End::Stopped);
            }
        }
    }

    fn begin(&mut self, granted: Granted) {
        let Some(agent) = self.agents.get_mut(&granted.agent).filter(|agent| !agent.dead) else {
            // The coordinators do not know yet that it is dead.
            self.story.lost(&granted);
            return;
        };
        let from = Instant::now();
        let until = from + Duration::from_secs_f64(f64::from(granted.expected_ms) / 1000.0 / self.speedup);
        self.story.started(&granted, until);
        agent.running.insert(granted.lease, Attempt { granted, from, until, dropped: false });
    }

    fn let_go(&mut self, granted: &Granted) {
        let Some(agent) = self.agents.get_mut(&granted.agent) else { return };
        if agent.zombie_until.is_some() {
            // It does not hear that its lease is over: this is what makes it a zombie.
            if let Some(attempt) = agent.running.get_mut(&granted.lease) {
                attempt.dropped = true;
            }
        } else if let Some(attempt) = agent.running.remove(&granted.lease) {
            self.story.run(&attempt.granted, attempt.from, RunOutcome::Lost);
        }
    }

    fn end_what_is_due(&mut self, now: Instant) {
        for agent in self.agents.values_mut() {
            if agent.zombie_until.is_some_and(|until| until > now) {
                continue;
            }
            agent.zombie_until = None;
            let due: Vec<Lease> =
                agent.running.iter().filter(|(_, a)| a.until <= now).map(|(lease, _)| *lease).collect();
            for lease in due {
                let Some(attempt) = agent.running.remove(&lease) else { continue };
                let digest = task_digest(&attempt.granted.name, attempt.granted.inputs.iter().copied());
                let outcome = if attempt.dropped { RunOutcome::Stale } else { RunOutcome::Done };
                if attempt.dropped {
                    self.story.recovery(format!(
                        "the zombie {} reports {} under an old lease",
                        attempt.granted.agent, attempt.granted.name
                    ));
                }
                self.story.run(&attempt.granted, attempt.from, outcome);
                let _ = self.handle.end(lease, End::Done { digest, result: Vec::new() });
                if self.ended.is_multiple_of(TWICE_EVERY) {
                    let _ = self.handle.end(lease, End::Done { digest, result: Vec::new() });
                }
                self.ended += 1;
            }
        }
    }
}
