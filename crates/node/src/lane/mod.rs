//! A lane: a host with everything that its effects need, as a value that somebody calls in turns.
//!
//! A turn takes the clock once, takes what waits (journal, jobs, frames, asks), steps each, fires the wakes
//! that are due, and asks for a sync if one is due. It never waits: what it waits for rings its bell.
//!
//! **Invariants.** Time never goes back. Nothing is promised before it is on disk (that is [`Turn`]'s and the
//! host's); after a failed append or sync, or a kill, nothing leaves at all. A wake in the past is fired
//! after the inputs that wait. When the lane is full, asks stay in the door: to answer them Busy here would
//! be no better than the door's own Busy when it is full, and to drop them would be a lie about a node that runs.

mod build;
mod close;
mod hands;
mod look;
mod sessions;

pub use build::prepare;

use crate::clock::{self, Clock};
use crate::observe::{Latency, Meters};
use crate::scribe::{Commit, Synced};
use crate::shared::Shared;
use crate::{NodeConfig, Stopped};
use bytes::Bytes;
use hands::Hands;
use quorate_core::{
    AnyAsk, Boot, Class, ClusterId, Door, Host, HostCmd, HostMsg, Input, NodeId, Received, Rng, ScopeId,
    Time, Turn, Wall,
};
use quorate_transport::Inbox;
use sessions::Sessions;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Syncs in one turn where the journal answers at once. Each may lead to more to sync.
const SYNCS_A_TURN: usize = 8;

/// A node that is driven from outside, turn by turn.
///
/// [`crate::start`] and [`crate::run_together`] drive it on a thread of the library's; an event loop of
/// somebody else's calls [`Lane::turn`] itself, whenever the bell rings or the time it named has come.
pub struct Lane {
    shared: Arc<Shared>,
    clock: Clock,
    boot_at: Instant,
    /// `None` once it ended.
    life: Option<Box<Life>>,
    next: Next,
}

/// When a lane wants its next turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// At once: more waits than one turn takes.
    Now,
    /// When the bell rings, or at this time.
    At(Instant),
    /// When the bell rings.
    Ring,
    /// Never: it ended.
    Ended,
}

/// Everything that is gone when the node ended.
struct Life {
    id: NodeId,
    cluster: ClusterId,
    boot: Boot,
    turn: Turn<Host>,
    hands: Hands,
    rng: Rng,
    wall: Wall,
    inbox: Inbox,
    door: Door,
    config: NodeConfig,
    phase: Phase,
    frames: Vec<(NodeId, Bytes)>,
    asks: VecDeque<(ScopeId, AnyAsk)>,
    /// They were taken from the door before the turn's clock was looked at, and the door is left alone in this turn.
    gathered: bool,
    /// The wake time at the end of the last turn, if it lay ahead then. Others are not late but batched.
    armed: Option<Time>,
    sessions: Sessions,
    /// Reused.
    lost: Vec<NodeId>,
    replayed: u64,
    busy: Duration,
    wake_late: Latency,
    turns: Latency,
    sync: Latency,
    meters: Meters,
    /// Steps when metrics were published last, and when they are to be again.
    published: (u64, Time),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Fresh,
    Live,
    /// Asked to stop: what was taken is finished, jobs until then.
    Closing {
        until: Time,
    },
}

impl Lane {
    /// Takes the asks that wait, for the next turn; whether there are any. To be called before the clock is looked at for
    /// that turn, as [`drive`](crate::drive) does: a read by lease is judged by the turn's time, which must not be earlier
    /// than the question. A turn without it takes asks itself, and then reads by lease are as fresh as its time says.
    pub fn gather(&mut self) -> bool {
        let Some(life) = &mut self.life else { return false };
        // Before the door is looked at: whoever knocks after that rings again.
        self.shared.bell.answer();
        if life.asks.is_empty() {
            life.door.take(&mut life.asks);
        }
        life.gathered = true;
        !life.asks.is_empty()
    }

    /// One turn, at this time. A panic inside ends the node, not the caller.
    pub fn turn(&mut self, at: Instant) -> Next {
        let Some(life) = &mut self.life else { return Next::Ended };
        let now = self.clock.advance(at);
        if !life.gathered {
            self.shared.bell.answer();
        }
        let turned = match self.shared.is_killed() {
            true => Err(Stopped::Killed),
            // What a panic leaves half-done is dropped unseen.
            false => catch_unwind(AssertUnwindSafe(|| life.turn(now, &self.shared)))
                .unwrap_or_else(|panic| Err(Stopped::Panicked(crate::panic_text(&*panic)))),
        };
        let turned = turned.map_err(|why| match why {
            // A journal that was stopped by the kill did not fail.
            Stopped::Journal(_) if self.shared.is_killed() => Stopped::Killed,
            why => why,
        });
        self.next = match turned {
            Ok(wake_at) if wake_at <= now => Next::Now,
            Ok(Time::NEVER) => Next::Ring,
            Ok(wake_at) => match self.boot_at.checked_add(wake_at.since(Time::ZERO)) {
                Some(at) => Next::At(at),
                None => Next::Ring,
            },
            Err(why) => {
                self.end(why);
                return Next::Ended;
            }
        };
        if let Some(calls) = self.shared.take_calls() {
            calls.into_iter().for_each(|call| call(self));
        }
        self.next
    }

    /// Tells the lane how long its last turn took; its driver knows, as it reads the clock between turns anyway.
    pub fn spent(&mut self, took: Duration) {
        if let Some(life) = &mut self.life {
            life.busy += took;
            life.turns.record(took);
        }
    }

    /// Whether a turn is due at this time.
    pub fn is_due(&self, at: Instant) -> bool {
        self.shared.bell.is_rung()
            || match self.next {
                Next::Now | Next::Ended => true,
                Next::At(next) => next <= at,
                Next::Ring => false,
            }
    }

    /// What the last turn answered.
    pub fn next(&self) -> Next {
        self.next
    }

    /// Has `wake` called when the bell rings, for an event loop of one's own. It is called on any thread, and
    /// must not block. Replaces what was set before.
    pub fn on_ring(&self, wake: impl Fn() + Send + Sync + 'static) {
        self.shared.bell.wakes(wake);
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(crate) fn is_rung(&self) -> bool {
        self.shared.bell.is_rung()
    }
}

impl Life {
    /// Everything that waits, then the wakes, then the disk. Answers with when to come again.
    fn turn(&mut self, now: Time, shared: &Shared) -> Result<Time, Stopped> {
        self.hands.now = now;
        self.wall = clock::wall();
        if self.phase == Phase::Fresh {
            self.phase = Phase::Live;
            self.step(Input::Start(self.boot));
        }
        self.take_synced()?;
        let mut again = self.take_ended();
        if self.phase == Phase::Live {
            again |= self.take_frames();
            again |= self.take_asks();
            self.wake(now);
        }
        again |= self.commit()?;
        self.check()?;
        match self.phase {
            Phase::Closing { until } if self.is_settled(until, now) => return Err(self.finish()),
            Phase::Closing { .. } if again => return Ok(now),
            // Past its patience it waits for the disk alone, which rings.
            Phase::Closing { until } => return Ok(if until > now { until } else { Time::NEVER }),
            Phase::Live if shared.is_stopping() => {
                self.begin_closing(now);
                return Ok(now);
            }
            _ => {}
        }
        let publish_at = self.publish(now);
        let wake_at = self.turn.wake_at();
        self.armed = (wake_at > now).then_some(wake_at);
        Ok(if again { now } else { wake_at.min(publish_at) })
    }

    fn step(&mut self, input: Input<Host>) {
        self.hands.tally.steps += 1;
        self.turn.step(input, self.hands.now, self.wall, &mut self.rng, &mut self.hands);
    }

    /// Why the node must end, if it must.
    fn check(&self) -> Result<(), Stopped> {
        if self.hands.shared.is_killed() {
            return Err(Stopped::Killed);
        }
        match &self.hands.failed {
            Some(what) => Err(Stopped::Journal(what.clone())),
            None => Ok(()),
        }
    }

    /// Whether a bound is reached. The sum over scopes is not free, so it is asked for once a turn.
    fn is_full(&self) -> bool {
        self.turn.is_full()
            || self.turn.protocol().held() >= self.config.turn.held_max
            || self.hands.crew.is_full()
    }

    fn take_synced(&mut self) -> Result<(), Stopped> {
        while let Some(synced) = self.hands.scribe.poll().map_err(Stopped::Journal)? {
            self.on_synced(synced);
        }
        Ok(())
    }

    fn on_synced(&mut self, synced: Synced) {
        self.hands.tally.syncs += 1;
        if let Some(took) = synced.took {
            self.sync.record(took);
        }
        self.step(Input::Durable(synced.mark));
    }

    /// Jobs that ended; inline, those that wait to be run. True if there are more.
    fn take_ended(&mut self) -> bool {
        for _ in 0..self.config.asks_a_turn.get() {
            let Some(ended) = self.hands.crew.next_ended() else { return false };
            self.hands.tally.jobs_done += 1;
            if let Err(panic) = &ended.answer {
                self.hands.tally.job_panics += 1;
                tracing::error!(node = %self.id, scope = %ended.scope, %panic, "a job panicked");
            }
            self.step(Input::Command(HostCmd::Done { scope: ended.scope, answer: ended.answer }));
        }
        true
    }

    /// True if there may be more.
    fn take_frames(&mut self) -> bool {
        let max = self.config.frames_a_turn.get();
        let mut frames = std::mem::take(&mut self.frames);
        self.inbox.take(max, &mut frames);
        let more = frames.len() == max;
        let full = !frames.is_empty() && self.is_full();
        for (from, frame) in frames.drain(..) {
            match self.hands.receive(from, frame) {
                Received::Nothing => {}
                Received::Message { class: Class::Data, .. } if full || self.turn.is_full() => {
                    self.hands.tally.dropped_full += 1;
                }
                Received::Message { from, scope, class, body } => {
                    self.on_heard(from);
                    self.step(Input::Message { from, msg: HostMsg { scope, class, body } });
                }
                Received::Up { peer, boot } => self.on_up(peer, boot),
            }
        }
        self.frames = frames;
        self.take_lost();
        more
    }

    /// True if there are more that can be taken.
    fn take_asks(&mut self) -> bool {
        let gathered = std::mem::take(&mut self.gathered);
        if self.asks.is_empty() && !gathered {
            self.door.take(&mut self.asks);
        }
        if self.asks.is_empty() {
            return false;
        }
        if self.is_full() {
            // What must happen before there is room again rings the bell.
            return false;
        }
        for _ in 0..self.config.asks_a_turn.get() {
            if self.turn.is_full() {
                return false;
            }
            let Some((scope, ask)) = self.asks.pop_front() else { return false };
            self.hands.tally.asks += 1;
            self.step(Input::Command(HostCmd::Ask { scope, ask }));
        }
        true
    }

    fn wake(&mut self, now: Time) {
        let due = self.turn.wake_at();
        if due > now {
            return;
        }
        if self.armed == Some(due) {
            self.wake_late.record(now.since(due));
        }
        self.hands.tally.wakes += 1;
        self.step(Input::Wake);
    }

    /// Runs the jobs that are run here and hands the journal what was appended, if it is free. True if there
    /// is more to do at once.
    fn commit(&mut self) -> Result<bool, Stopped> {
        for _ in 0..SYNCS_A_TURN {
            let more = self.hands.crew.has_inline_work() && self.take_ended();
            self.check()?;
            // Asked first: a mark that was asked for must be synced.
            if !self.hands.scribe.is_free() {
                return Ok(more);
            }
            let mark = self.turn.sync_due();
            match self.hands.scribe.commit(mark).map_err(Stopped::Journal)? {
                Commit::Later => return Ok(more),
                Commit::Done(synced) => self.on_synced(synced),
            }
        }
        Ok(true)
    }
}
