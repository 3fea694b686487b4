//! The driver's rules as a value: which effect waits for which mark, when to ask for a sync, what is full.
//! The simulator runs them unchanged; the node crate only moves bytes.

mod hold;

pub use hold::Hold;

use crate::{Corrupt, Cx, Effect, Input, Mark, Outbox, Protocol, Recipients, Rng, Time, Wall};

/// Where the effects of a turn go. An implementation must not lose an append; it may lose a send.
pub trait Io<P: Protocol> {
    /// Write behind everything before; returns the bytes that wait for the disk because of it.
    fn append(&mut self, record: P::Record) -> usize;
    /// Whether whatever was appended is on disk by the time that `append` returns, as with a journal in memory. Then nothing
    /// waits, and the protocol hears of it in the same turn. By default a sync has to be asked for.
    fn keeps_at_once(&self) -> bool {
        false
    }
    /// Replace every record of the scope up to the mark, atomically.
    fn compact(&mut self, upto: Mark, base: Vec<P::Record>);
    /// Hand to the transport.
    fn send(&mut self, to: Recipients, msg: P::Msg);
    /// Hand to the port.
    fn emit(&mut self, event: P::Event);
}

/// Bounds of one lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnLimits {
    /// Bytes appended and not yet on disk; beyond it the lane is full. Rule of thumb: what the disk writes in
    /// 100 ms. Default 64 MiB (guess).
    pub undurable_bytes_max: usize,
    /// Effects that wait for the disk; beyond it the lane is full. Default 65,536 (guess).
    pub held_max: usize,
}

impl Default for TurnLimits {
    fn default() -> Self {
        TurnLimits { undurable_bytes_max: 64 << 20, held_max: 65_536 }
    }
}

/// A protocol with the rules that carry out its effects.
#[derive(Debug)]
pub struct Turn<P: Protocol> {
    protocol: P,
    out: Outbox<P>,
    hold: Hold<P>,
    limits: TurnLimits,
    /// The mark of the sync that was asked for last. At most one is under way.
    asked: Mark,
    asked_bytes: usize,
    undurable_bytes: usize,
}

impl<P: Protocol> Turn<P> {
    /// A protocol that has not started.
    pub fn new(protocol: P, limits: TurnLimits) -> Turn<P> {
        Turn {
            protocol,
            out: Outbox::default(),
            hold: Hold::default(),
            limits,
            asked: Mark(0),
            asked_bytes: 0,
            undurable_bytes: 0,
        }
    }

    /// The protocol, to look at.
    pub fn protocol(&self) -> &P {
        &self.protocol
    }

    /// The protocol, for what is not a step: reading out promises at the end, say.
    pub fn protocol_mut(&mut self) -> &mut P {
        &mut self.protocol
    }

    /// Hands back one record of the journal, before the start.
    pub fn replay(&mut self, record: P::Record) -> Result<(), Corrupt> {
        self.protocol.replay(record)?;
        self.out.note_replayed();
        self.asked = self.out.appended();
        Ok(())
    }

    /// One step and its effects. After [`Input::Durable`] what waited leaves before the protocol is told, so
    /// that its answers come behind its earlier promises.
    pub fn step(&mut self, input: Input<P>, now: Time, wall: Wall, rng: &mut Rng, io: &mut impl Io<P>) {
        if let Input::Durable(mark) = input {
            self.out.note_durable(mark);
            if mark >= self.asked {
                self.undurable_bytes -= std::mem::take(&mut self.asked_bytes);
            }
            while let Some(effect) = self.hold.release(mark) {
                leave(effect, io);
            }
        }
        self.protocol.step(input, &mut Cx::new(now, wall, rng, &mut self.out));
        self.carry_out(io);
        while io.keeps_at_once() && self.out.appended() > self.out.durable() {
            self.asked = self.out.appended();
            self.out.note_durable(self.asked);
            self.undurable_bytes = 0;
            self.protocol.step(Input::Durable(self.asked), &mut Cx::new(now, wall, rng, &mut self.out));
            self.carry_out(io);
        }
    }

    fn carry_out(&mut self, io: &mut impl Io<P>) {
        // A record stands before whatever waits for it.
        let durable = if io.keeps_at_once() { self.out.appended() } else { self.out.durable() };
        for slot in self.out.lend() {
            // Few wait, and only those are moved whole.
            if let Some(effect) = slot.take_if(|effect| effect.after() > durable) {
                self.hold.push(effect);
                continue;
            }
            match slot.take() {
                Some(Effect::Append(record)) => self.undurable_bytes += io.append(record),
                Some(Effect::Compact { upto, base }) => io.compact(upto, base),
                Some(Effect::Send { to, msg, .. }) => io.send(to, msg),
                Some(Effect::Emit { event, .. }) => io.emit(event),
                None => {}
            }
        }
    }

    /// The mark that a sync should be asked for now, once the inputs that wait are taken; `None` when
    /// everything is on disk or a sync is under way (what was appended since then shares the next one).
    pub fn sync_due(&mut self) -> Option<Mark> {
        if self.asked > self.out.durable() || self.out.appended() == self.asked {
            return None;
        }
        self.asked = self.out.appended();
        self.asked_bytes = self.undurable_bytes;
        Some(self.asked)
    }

    /// Whether the lane has reached a bound. Then new asks are answered Busy and data frames are dropped and
    /// counted; wakes, syncs, jobs' answers and control frames go on.
    pub fn is_full(&self) -> bool {
        self.undurable_bytes >= self.limits.undurable_bytes_max || self.hold.len() >= self.limits.held_max
    }

    /// When the protocol wants to be woken.
    pub fn wake_at(&self) -> Time {
        self.protocol.wake_at()
    }

    /// Bytes appended and not yet known to be on disk.
    pub fn undurable_bytes(&self) -> usize {
        self.undurable_bytes
    }
}

fn leave<P: Protocol>(effect: Effect<P>, io: &mut impl Io<P>) {
    match effect {
        Effect::Send { to, msg, .. } => io.send(to, msg),
        Effect::Emit { event, .. } => io.emit(event),
        Effect::Append(_) | Effect::Compact { .. } => unreachable!("records are never held"),
    }
}
