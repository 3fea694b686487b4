//! Letting time pass.

use super::World;
use crate::delay::nanos;
use crate::invariant::Touched;
use crate::queue::Event;
use quorate_core::{Failure, Reason, Ticket};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Events in one instant after which something is surely wrong.
const STANDING_MAX: u32 = 1_000_000;

impl<A> World<A> {
    /// The next event. False if there is none, or the world stands still after a violation.
    pub fn step(&mut self) -> bool {
        self.answer_doors();
        self.violation.is_none() && self.take_next()
    }

    fn take_next(&mut self) -> bool {
        let Some((at, event)) = self.stage.queue.pop() else { return false };
        debug_assert!(at >= self.stage.now, "an event was planned for the past");
        if at > self.stage.now {
            self.stage.now = at;
            self.standing = 0;
        }
        self.standing += 1;
        self.stage.stats.events += 1;
        self.handle(event);
        if self.standing > STANDING_MAX {
            self.violate(
                None,
                "time goes on",
                format!("a million events at one instant, the last {event:?}"),
            );
        }
        true
    }

    /// Lets this much time pass, less if something is violated.
    pub fn run_for(&mut self, time: Duration) {
        let end = self.stage.now.saturating_add(nanos(time));
        while self.next_within(end) {
            self.take_next();
        }
        if self.violation.is_none() && end != u64::MAX {
            self.stage.now = end;
        }
    }

    /// Lets time pass until this holds, for at most `patience`. Whether it does.
    pub fn run_until(&mut self, mut holds: impl FnMut(&World<A>) -> bool, patience: Duration) -> bool {
        let end = self.stage.now.saturating_add(nanos(patience));
        loop {
            if holds(self) {
                return true;
            }
            if !self.next_within(end) {
                break;
            }
            self.take_next();
        }
        if self.violation.is_none() && end != u64::MAX {
            self.stage.now = end;
        }
        false
    }

    /// Lets time pass until the request is settled. After the settings' patience, or where nothing can happen any
    /// more, it ends Unknown by its deadline; what became of the request nobody learns then.
    pub fn finish<T>(&mut self, ticket: Ticket<T>) -> Result<T, Failure> {
        let patience = self.stage.settings.patience;
        self.run_until(|_| ticket.is_settled(), patience);
        ticket.try_take().unwrap_or(Err(Failure::Unknown(Reason::Deadline)))
    }

    /// Has this done once the world's time is `at`, or now if it is later. Lines of a script of the user's own.
    pub fn at(&mut self, at: Duration, errand: impl FnOnce(&mut World<A>) + 'static) {
        let place = self.errands.put(Box::new(errand));
        self.stage.queue.push(nanos(at).max(self.stage.now), Event::Errand(place));
    }

    /// Whether something happens at `end` at the latest.
    fn next_within(&mut self, end: u64) -> bool {
        self.answer_doors();
        self.violation.is_none() && self.stage.queue.next_at().is_some_and(|at| at <= end)
    }

    /// Nodes whose handles were used take the asks in a turn of their own, now.
    fn answer_doors(&mut self) {
        // Asked twice an event and nearly never rung: a load costs nothing, a swap locks the bus.
        if !self.any_bell.load(Ordering::Relaxed) {
            return;
        }
        self.any_bell.store(false, Ordering::Relaxed);
        for node in &mut self.nodes {
            if node.bell.swap(false, Ordering::Relaxed) {
                node.plan_turn(&mut self.stage);
            }
        }
    }

    fn handle(&mut self, event: Event) {
        let stage = &mut self.stage;
        stage.hash.word(stage.now);
        match event {
            Event::Frame(place) => {
                let Some(flight) = stage.net.arrive(place, &mut stage.seen) else { return };
                stage.hash.word(u64::from(flight.from) << 32 | u64::from(flight.to));
                stage.hash.bytes(&flight.bytes);
                let from = self.nodes[flight.from as usize].id;
                let node = &mut self.nodes[flight.to as usize];
                let stepped = node.on_frame(from, flight.bytes, stage);
                self.stepped(stepped, flight.to);
            }
            Event::Wake(place) => {
                stage.hash.word(1 << 40 | u64::from(place));
                let node = &mut self.nodes[place as usize];
                let stepped = node.on_wake(stage);
                if stepped {
                    stage.lines.line(stage.now, format_args!("{} wakes", node.id));
                }
                self.stepped(stepped, place);
            }
            Event::Turn(place) => {
                stage.hash.word(2 << 40 | u64::from(place));
                let stepped = self.nodes[place as usize].on_turn(stage);
                self.stepped(stepped, place);
            }
            Event::Synced { node: place, life } => {
                stage.hash.word(3 << 40 | u64::from(place));
                let node = &mut self.nodes[place as usize];
                let stepped = node.on_synced(life, stage);
                if stepped {
                    stage.lines.line(stage.now, format_args!("{} synced", node.id));
                }
                self.stepped(stepped, place);
            }
            Event::Job { node: place, life, slot } => {
                stage.hash.word(4 << 40 | u64::from(place));
                let node = &mut self.nodes[place as usize];
                let stepped = node.on_job(life, slot, stage);
                if stepped {
                    stage.lines.line(stage.now, format_args!("{} ended a job", node.id));
                }
                self.stepped(stepped, place);
            }
            Event::Restart { node, life } => self.restart_if_still_down(node, life),
            Event::Strike { source, plan } => self.strike(source, plan),
            Event::Relief(number) => self.relieve(number),
            Event::Script { line, plan } => self.play(line, plan),
            Event::Errand(place) => {
                if let Some(errand) = self.errands.take(place) {
                    errand(self);
                }
            }
        }
    }

    fn stepped(&mut self, stepped: bool, place: u32) {
        if !stepped {
            return;
        }
        // A disk may have ended the life within the step.
        let alive = self.nodes[place as usize].life.is_some();
        if !alive {
            self.fell(place);
        }
        self.touched_at(place, if alive { Touched::Stepped } else { Touched::Stopped });
    }
}
