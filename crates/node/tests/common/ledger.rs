//! A small protocol that keeps numbers, and its port.

use quorate_core::*;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::time::Duration;

/// Keeps numbers: each is on disk before it is acknowledged. Beats, if it is told how often.
#[derive(Clone, Debug, PartialEq)]
pub struct Ledger {
    pub kept: Vec<u64>,
    /// How many numbers each wake took.
    pub batches: Vec<usize>,
    pub heard: Vec<(NodeId, Say)>,
    pub up: Vec<NodeId>,
    /// What it was told of links, each with how many messages it had heard by then.
    pub links: Vec<(NodeId, Option<u64>, usize)>,
    pub beats: u64,
    /// Of every step.
    pub times: Vec<Time>,
    waiting: Vec<u64>,
    beat_every: Option<Duration>,
    next_beat: Time,
}

/// The record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry(pub u64);

/// The message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Say {
    Control(u64),
    Data(u64),
    Long(Vec<u8>),
}

#[derive(Debug)]
pub enum LedgerCmd {
    Keep(u64),
    KeepAtWake(u64),
    Say(NodeId, Say),
    Compact,
    Panic,
}

#[derive(Debug)]
pub struct Kept(u64);

impl Ledger {
    pub fn new(beat_every: Option<Duration>) -> Ledger {
        Ledger {
            kept: Vec::new(),
            batches: Vec::new(),
            heard: Vec::new(),
            up: Vec::new(),
            links: Vec::new(),
            beats: 0,
            times: Vec::new(),
            waiting: Vec::new(),
            beat_every,
            next_beat: Time::NEVER,
        }
    }

    fn keep(&mut self, n: u64, cx: &mut Cx<'_, Ledger>) {
        self.kept.push(n);
        cx.append(Entry(n));
        cx.emit(Kept(n));
    }

    fn on_wake(&mut self, cx: &mut Cx<'_, Ledger>) {
        if !self.waiting.is_empty() {
            self.batches.push(self.waiting.len());
            for n in std::mem::take(&mut self.waiting) {
                self.keep(n, cx);
            }
        }
        if let Some(every) = self.beat_every.filter(|_| self.next_beat <= cx.now) {
            self.beats += 1;
            self.next_beat = cx.now + every;
        }
    }
}

impl Protocol for Ledger {
    type Msg = Say;
    type Cmd = LedgerCmd;
    type Event = Kept;
    type Record = Entry;

    fn step(&mut self, input: Input<Ledger>, cx: &mut Cx<'_, Ledger>) {
        self.times.push(cx.now);
        match input {
            Input::Start(_) => {
                self.next_beat = self.beat_every.map_or(Time::NEVER, |every| cx.now + every);
            }
            Input::Message { from, msg } => self.heard.push((from, msg)),
            Input::Command(LedgerCmd::Keep(n)) => self.keep(n, cx),
            Input::Command(LedgerCmd::KeepAtWake(n)) => self.waiting.push(n),
            // Promises nothing: what the tests say means nothing.
            Input::Command(LedgerCmd::Say(to, msg)) => cx.send_now(to, msg),
            Input::Command(LedgerCmd::Compact) => {
                let base = self.kept.iter().copied().map(Entry).collect();
                cx.compact(cx.appended(), base);
            }
            Input::Command(LedgerCmd::Panic) => panic!("a bug"),
            Input::Wake => self.on_wake(cx),
            Input::Link { peer, state: LinkState::Up(boot) } => {
                self.up.push(peer);
                self.links.push((peer, Some(boot.incarnation), self.heard.len()));
            }
            Input::Link { peer, state: LinkState::Down } => self.links.push((peer, None, self.heard.len())),
            Input::Durable(_) => {}
        }
    }

    fn wake_at(&self) -> Time {
        if self.waiting.is_empty() { self.next_beat } else { Time::ZERO }
    }

    fn replay(&mut self, Entry(n): Entry) -> Result<(), Corrupt> {
        if n == u64::MAX {
            return Err(Corrupt::new("no such number was ever kept"));
        }
        self.kept.push(n);
        Ok(())
    }
}

impl Wire for Entry {
    fn encode(&self, to: &mut Encoder<'_>) {
        to.part(self);
    }
    fn decode(_: u8, from: &mut Decoder) -> Result<Entry, WireError> {
        from.part()
    }
}

impl Wire for Say {
    fn encode(&self, to: &mut Encoder<'_>) {
        to.part(self);
    }
    fn decode(_: u8, from: &mut Decoder) -> Result<Say, WireError> {
        from.part()
    }
    fn class(&self) -> Class {
        match self {
            Say::Control(_) => Class::Control,
            Say::Data(_) | Say::Long(_) => Class::Data,
        }
    }
}

pub type Work = Box<dyn FnOnce() + Send>;

pub enum Ask {
    Keep(u64, Promise<u64>),
    KeepAtWake(u64, Promise<u64>),
    Work(JobKind, Work, Promise<()>),
    Say(NodeId, Say),
    Tell(&'static str),
    Alarm(&'static str),
    Compact,
    Panic,
}

/// Answers what was kept, in order; runs work as jobs. After a job that panicked it takes nothing.
#[derive(Default)]
pub struct Clerk {
    promises: VecDeque<Promise<u64>>,
    works: VecDeque<(JobKind, Work, Promise<()>)>,
    own: Option<Promise<()>>,
    pub poisoned: Option<String>,
}

/// What a work answers; a pool work brings its promise back, as works end in any order.
enum Worked {
    Own,
    Pool(Promise<()>),
}

impl Port<Ledger> for Clerk {
    type Ask = Ask;

    fn ask(&mut self, ask: Ask, cx: &mut PortCx<'_, Ledger>) {
        match ask {
            Ask::Keep(n, mut promise) => match self.poisoned.clone() {
                Some(why) => promise.reject(Reason::Poisoned(why)),
                None => {
                    promise.mark_in_doubt();
                    self.promises.push_back(promise);
                    cx.command(LedgerCmd::Keep(n));
                }
            },
            Ask::KeepAtWake(n, mut promise) => {
                promise.mark_in_doubt();
                self.promises.push_back(promise);
                cx.command(LedgerCmd::KeepAtWake(n));
            }
            Ask::Work(kind, work, mut promise) => {
                promise.mark_in_doubt();
                self.works.push_back((kind, work, promise));
            }
            Ask::Say(to, say) => cx.command(LedgerCmd::Say(to, say)),
            Ask::Tell(what) => cx.notice(what),
            Ask::Alarm(what) => cx.notice(Alarm::new(what)),
            Ask::Compact => cx.command(LedgerCmd::Compact),
            Ask::Panic => cx.command(LedgerCmd::Panic),
        }
    }

    fn event(&mut self, Kept(n): Kept, _: &mut PortCx<'_, Ledger>) {
        self.promises.pop_front().expect("a promise for each number").done(n);
    }

    fn job(&mut self, _: &Ledger) -> Option<Job> {
        let (kind, ..) = self.works.front()?;
        if *kind == JobKind::Own && self.own.is_some() {
            return None;
        }
        let (kind, work, promise) = self.works.pop_front()?;
        Some(match kind {
            JobKind::Own => {
                self.own = Some(promise);
                Job::own(move |_| {
                    work();
                    Worked::Own
                })
            }
            JobKind::Pool => Job::pool(move |_| {
                work();
                Worked::Pool(promise)
            }),
        })
    }

    fn done(&mut self, answer: Result<Answer, JobPanic>, _: &mut PortCx<'_, Ledger>) {
        match answer.map(|answer| *answer.downcast::<Worked>().expect("what works answer")) {
            Ok(Worked::Own) => self.own.take().expect("one is out").done(()),
            Ok(Worked::Pool(promise)) => promise.done(()),
            Err(panic) => {
                self.poisoned = Some(panic.0.clone());
                if let Some(promise) = self.own.take() {
                    promise.fail(Reason::Poisoned(panic.0));
                }
            }
        }
    }
}
