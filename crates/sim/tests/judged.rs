//! From the world to the checker: clients ask a register under faults, and what they saw is judged.

mod toy;

use quorate_core::Rng;
use quorate_sim::linearizability::{History, OpId, Register, RegisterAnswer, RegisterOp, Verdict, check};
use quorate_sim::{Campaign, Outcome, Report, Swarm, Trial, Workload, World};
use std::time::Duration;
use toy::register::{App, Reads, node};

const CLIENTS: u64 = 3;

type Ticket = quorate_core::Ticket<Option<u64>>;

/// One client on each of the other nodes: one request at a time.
struct Clients {
    rng: Rng,
    history: History<RegisterOp<u64>, RegisterAnswer<u64>>,
    open: Vec<Option<(OpId, RegisterOp<u64>, Ticket)>>,
    next: u64,
    answered: u64,
    wanted: u64,
}

impl Clients {
    fn take(&mut self, client: usize, at: Duration) {
        let Some((id, op, ticket)) = self.open[client].take() else { return };
        match ticket.try_take() {
            Err(ticket) => self.open[client] = Some((id, op, ticket)),
            Ok(outcome) => {
                self.answered += 1;
                let answer = outcome.map(|value| match op {
                    RegisterOp::Read => RegisterAnswer::Value(value),
                    _ => RegisterAnswer::Done,
                });
                self.history.settled(id, answer, at);
            }
        }
    }
}

impl Workload<App> for Clients {
    fn step(&mut self, world: &mut World<App>) -> Duration {
        for client in 0..CLIENTS as usize {
            self.take(client, world.now());
            if self.open[client].is_some() {
                continue;
            }
            let app = world.app(client as u64 + 2);
            let (op, ticket) = if self.rng.chance(0.6) {
                (RegisterOp::Read, app.read())
            } else {
                self.next += 1;
                (RegisterOp::Write(self.next), app.write(self.next))
            };
            let id = self.history.invoke(client as u64, op, world.now());
            self.open[client] = Some((id, op, ticket));
        }
        Duration::from_millis(1 + self.rng.within(0..5))
    }

    fn calmed(&mut self, _: &mut World<App>) {
        self.wanted = self.answered + 10;
    }

    fn has_recovered(&mut self, _: &World<App>) -> bool {
        self.answered >= self.wanted
    }

    fn check(&mut self, _: &mut World<App>) -> Result<(), String> {
        match check(&Register::default(), &self.history, 3_000_000) {
            Verdict::Linearizable => Ok(()),
            Verdict::Illegal(example) => Err(example.to_string()),
            Verdict::Unknown => Err("the checker gave up".into()),
        }
    }
}

fn run(seed: u64, reads: Reads) -> Outcome {
    let mut world = World::new(seed, 1..=CLIENTS + 1, move |id| node(id, reads));
    let mut clients = Clients {
        rng: Rng::from_seed(seed),
        history: History::new(),
        open: (0..CLIENTS).map(|_| None).collect(),
        next: 0,
        answered: 0,
        wanted: 0,
    };
    let plan = Swarm::new(Duration::from_millis(20)).draw(seed);
    let trial = Trial { plan, safety: Duration::from_secs(1), healing: Duration::from_secs(20) };
    trial.run(&mut world, &mut clients)
}

fn campaign(reads: Reads) -> Report {
    Campaign::new(0..60).run(|seed| run(seed, reads))
}

#[test]
fn planted_stale_reads_are_found_and_shown() {
    let report = campaign(Reads::FromTheCopy);
    let stale =
        report.violations.iter().filter(|violation| violation.why.contains("not linearizable")).count();
    assert!(stale >= 30, "{report}");
}

#[test]
fn reads_at_the_keeper_are_linearizable() {
    let report = campaign(Reads::AtTheKeeper);
    assert!(report.is_clean(), "{report}");
}
