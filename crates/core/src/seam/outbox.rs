use super::{Effect, Mark, Protocol, Recipients};
use crate::{Rng, Slots, Time, Wall};

/// Where a protocol writes its effects. Belongs to the driver, which drains and reuses it.
#[derive(Debug)]
pub struct Outbox<P: Protocol> {
    effects: Slots<Effect<P>>,
    appended: Mark,
    durable: Mark,
}

impl<P: Protocol> Default for Outbox<P> {
    fn default() -> Self {
        Outbox { effects: Slots::default(), appended: Mark(0), durable: Mark(0) }
    }
}

impl<P: Protocol> Outbox<P> {
    /// Takes what the last steps wrote, in order. The memory is kept.
    pub fn drain(&mut self) -> impl Iterator<Item = Effect<P>> + '_ {
        self.effects.drain()
    }

    /// Lends what the last steps wrote, in order. Each has to be taken. The memory is kept.
    pub(crate) fn lend(&mut self) -> impl Iterator<Item = &mut Option<Effect<P>>> {
        self.effects.lend()
    }

    /// Exchanges the written effects for empty ones of the driver's, so that it may step again while it
    /// carries them out.
    pub fn swap(&mut self, effects: &mut Slots<Effect<P>>) {
        debug_assert!(effects.is_empty(), "effects would be lost");
        std::mem::swap(&mut self.effects, effects);
    }

    /// Whether nothing was written since the last drain.
    pub fn is_empty(&self) -> bool {
        self.effects.is_empty()
    }

    /// The mark of the last record appended or replayed.
    pub fn appended(&self) -> Mark {
        self.appended
    }

    /// The mark up to which everything is on disk.
    pub fn durable(&self) -> Mark {
        self.durable
    }

    /// A record was replayed from the journal: it counts, and it is on disk.
    pub fn note_replayed(&mut self) {
        self.appended.0 += 1;
        self.durable = self.appended;
    }

    /// Has the next step count on from these marks. For the outbox of a part whose records are written among those of a
    /// whole: so one mark means the same to both, as long as each record of the part becomes one of the whole.
    pub fn keep_step(&mut self, appended: Mark, durable: Mark) {
        debug_assert!(self.effects.is_empty(), "effects under other marks");
        (self.appended, self.durable) = (appended, durable);
    }

    /// Everything up to `mark` is on disk. A mark that is not news changes nothing.
    pub fn note_durable(&mut self, mark: Mark) {
        assert!(mark <= self.appended, "a mark became durable that was never appended");
        self.durable = self.durable.max(mark);
    }
}

/// What a step may know and do. Lives for one step.
pub struct Cx<'a, P: Protocol> {
    /// This node's clock.
    pub now: Time,
    /// The machine's belief about UTC; for hybrid clocks and display only.
    pub wall: Wall,
    /// The only source of chance.
    pub rng: &'a mut Rng,
    out: &'a mut Outbox<P>,
}

impl<'a, P: Protocol> Cx<'a, P> {
    /// A context that writes into `out`.
    pub fn new(now: Time, wall: Wall, rng: &'a mut Rng, out: &'a mut Outbox<P>) -> Cx<'a, P> {
        Cx { now, wall, rng, out }
    }

    /// Writes a record behind all earlier ones. [`crate::Input::Durable`] will name the returned mark, or a later one.
    #[inline(always)]
    pub fn append(&mut self, record: P::Record) -> Mark {
        self.out.appended.0 += 1;
        self.out.effects.push(Effect::Append(record));
        self.out.appended
    }

    /// Tells peers once everything appended so far is on disk.
    #[inline(always)]
    pub fn send(&mut self, to: impl Into<Recipients>, msg: P::Msg) {
        let after = self.out.appended;
        self.out.effects.push(Effect::Send { to: to.into(), msg, after });
    }

    /// Tells peers at once. The caller says beside it why this promises nothing.
    #[inline(always)]
    pub fn send_now(&mut self, to: impl Into<Recipients>, msg: P::Msg) {
        self.out.effects.push(Effect::Send { to: to.into(), msg, after: Mark::NONE });
    }

    /// Tells the port once everything appended so far is on disk.
    #[inline(always)]
    pub fn emit(&mut self, event: P::Event) {
        let after = self.out.appended;
        self.out.effects.push(Effect::Emit { event, after });
    }

    /// Tells the port at once. The caller says beside it why this promises nothing.
    #[inline(always)]
    pub fn emit_now(&mut self, event: P::Event) {
        self.out.effects.push(Effect::Emit { event, after: Mark::NONE });
    }

    /// Replaces every record up to `upto` by `base`, atomically: a crash leaves either all of the old ones or all of the new.
    pub fn compact(&mut self, upto: Mark, base: Vec<P::Record>) {
        assert!(upto <= self.out.appended, "compaction beyond what was appended");
        self.out.effects.push(Effect::Compact { upto, base });
    }

    /// The mark of the last record appended.
    pub fn appended(&self) -> Mark {
        self.out.appended
    }

    /// The mark up to which everything is on disk.
    pub fn durable(&self) -> Mark {
        self.out.durable
    }
}
