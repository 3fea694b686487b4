//! Two clusters of different make under one schedule, compared after every step.

mod ours;
mod replica;
mod schedule;
mod tikv;
mod world;

use ours::Ours;
pub use ours::{DriverBug, Setup};
use schedule::{Schedule, Step, calm};
use tikv::Tikv;
use world::World;

/// What a run came to.
#[derive(Default, Debug)]
pub struct Outcome {
    /// How the two came to take different decisions, if they did.
    pub parted: Option<&'static str>,
    pub steps: usize,
    pub committed: usize,
    pub elections: usize,
    /// Comparisons in which all was to be equal.
    pub compared: usize,
}

type Leaders = Vec<(u64, Vec<u64>)>;

/// Why the decisions are not the same, if they are not: who leads, and what the log of each leader holds.
fn parts(ours: &Leaders, theirs: &Leaders) -> Option<&'static str> {
    let has = |leaders: &Leaders, id: u64| leaders.iter().any(|(other, _)| *other == id);
    let only = |some: &Leaders, others: &Leaders| some.iter().any(|(id, _)| !has(others, *id));
    match (only(ours, theirs), only(theirs, ours)) {
        (true, true) => Some("different nodes lead"),
        (true, false) => Some("a node leads with us only"),
        (false, true) => Some("a node leads with raft-rs only"),
        (false, false) if ours != theirs => Some("the leaders' logs end differently"),
        (false, false) => None,
    }
}

struct Run {
    ours: World<Ours>,
    theirs: World<Tikv>,
    /// Prints every step.
    talks: bool,
    /// Who leads, with both.
    led: Vec<u64>,
    /// How much both had committed when they parted.
    common: usize,
    outcome: Outcome,
}

impl Run {
    fn step(&mut self, step: &Step) -> Result<(), String> {
        let at = self.outcome.steps;
        self.outcome.steps += 1;
        let failed = |why: String| format!("step {at}, {step:?}: {why}");
        self.ours.apply(step).map_err(failed)?;
        self.theirs.apply(step).map_err(failed)?;
        if self.talks {
            println!("{at} {step:?}\n  {:?}\n  {:?}", self.ours.state(), self.theirs.state());
        }
        // A leader that hears no quorum steps down a beat sooner with one than with the other.
        if self.outcome.parted.is_none() && *step != Step::Beat {
            self.compare_leaders().map_err(failed)?;
        }
        let (ours, theirs) = (&self.ours.history, &self.theirs.history);
        let both = ours.len().min(theirs.len());
        let equal = match self.outcome.parted {
            // What was committed before stays so; what comes then may differ.
            Some(_) => ours[..self.common] == theirs[..self.common],
            None if *step == Step::Calm && !self.led.is_empty() => {
                self.outcome.compared += 1;
                ours == theirs
            }
            // One may know sooner, and while nobody leads later.
            None => ours[..both] == theirs[..both],
        };
        let (state, their_state) = (self.ours.state(), self.theirs.state());
        equal.then_some(()).ok_or_else(|| {
            failed(format!("we committed {ours:?}, raft-rs {theirs:?}\n  {state:?}\n  {their_state:?}"))
        })
    }

    fn calm(&mut self) -> Result<(), String> {
        calm().iter().try_for_each(|step| self.step(step))
    }

    fn compare_leaders(&mut self) -> Result<(), String> {
        let (ours, theirs) = (self.ours.leaders(), self.theirs.leaders());
        // Who led both with the same log, and was asked the same, has the same log.
        for (id, log) in ours.iter().filter(|(id, _)| self.led.contains(id)) {
            if let Some((_, other)) = theirs.iter().find(|(other, other_log)| other == id && other_log != log)
            {
                return Err(format!("leader {id} has {log:?} with us, {other:?} with raft-rs"));
            }
        }
        let ids: Vec<u64> = ours.iter().map(|(id, _)| *id).collect();
        self.outcome.elections += ids.iter().filter(|id| !self.led.contains(*id)).count();
        self.led = ids;
        self.outcome.parted = parts(&ours, &theirs);
        if self.outcome.parted.is_some() {
            self.common = self.ours.history.len().min(self.theirs.history.len());
        }
        Ok(())
    }

    /// Nothing is in the way any more: somebody leads, and a command comes to all.
    fn heal(&mut self, nodes: u64) -> Result<(), String> {
        self.step(&Step::Heal)?;
        for id in 1..=nodes {
            self.step(&Step::Restart(id))?;
        }
        self.calm()?;
        // Twice: the first that asks may only learn that its term is over.
        for id in (1..=nodes).chain(1..=nodes) {
            if self.ours.leaders().len() == 1 && self.theirs.leaders().len() == 1 {
                break;
            }
            self.step(&Step::Silence((1..=nodes).collect()))?;
            self.step(&Step::Campaign(id))?;
        }
        self.calm()?;
        self.step(&Step::Propose(1 << 40))?;
        self.calm()?;
        self.ours.is_whole()?;
        self.theirs.is_whole()
    }
}

/// Runs one seed. An error says what is wrong, and after which step.
pub fn run(seed: u64, setup: &Setup, talks: bool) -> Result<Outcome, String> {
    let Schedule { nodes, steps } = Schedule::of(seed);
    let mut run = Run {
        ours: World::new(nodes, setup.clone()),
        theirs: World::new(nodes, ()),
        talks,
        led: Vec::new(),
        common: 0,
        outcome: Outcome::default(),
    };
    let mut all = || {
        steps.iter().try_for_each(|step| run.step(step))?;
        run.heal(nodes)
    };
    all().map_err(|why| format!("seed {seed}, {nodes} nodes, {why}"))?;
    run.outcome.committed = run.ours.history.len();
    Ok(run.outcome)
}
