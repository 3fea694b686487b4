//! What a link knows of one peer.

use super::limits::{LinkCounters, LinkLimits};
use super::seal::Seal;
use super::window::Window;
use crate::{Boot, Class, Rng, ScopeId, Time};
use bytes::Bytes;
use std::collections::VecDeque;
use std::time::Duration;

/// One peer: a session or none, the offer of the next one, and what waits.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub(super) session: Option<Session>,
    /// My token of the next session. Used up by it, so that who echoes it has heard of it since the last one
    /// began.
    pub(super) offer: u128,
    pub(super) waiting: Waiting,
    /// When something of this peer was last worth remembering.
    pub(super) touched: Time,
    asking: Asking,
    answers_left: u32,
    answers_until: Time,
}

/// A handshake completed: both sides have shown that they know the other's token.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) boot: Boot,
    pub(super) version: u8,
    /// The peer's list, which the scope field of its frames points into.
    pub(super) scopes: Vec<ScopeId>,
    pub(super) seal: Seal,
    pub(super) window: Window,
    /// The sequence sent last.
    pub(super) sequence: u64,
    /// The peer was asked whether it shares this session, and has not said.
    pub(super) doubted: bool,
}

#[derive(Clone, Debug)]
struct Asking {
    not_before: Time,
    interval: Duration,
}

impl Peer {
    pub(super) fn new(limits: &LinkLimits, now: Time, rng: &mut Rng) -> Peer {
        Peer {
            session: None,
            offer: token(rng),
            waiting: Waiting::default(),
            touched: now,
            asking: Asking { not_before: Time::ZERO, interval: limits.hello_interval },
            answers_left: limits.answers_max,
            answers_until: now + limits.hello_interval,
        }
    }

    /// Whether a question may go out now; if so, the next one waits longer, with a jitter of a half.
    pub(super) fn may_ask(&mut self, limits: &LinkLimits, now: Time, rng: &mut Rng) -> bool {
        if now < self.asking.not_before {
            return false;
        }
        let interval = self.asking.interval.min(limits.hello_interval_max);
        let jitter = interval.mul_f64(rng.unit() * 0.5);
        self.asking.not_before = now + interval.saturating_add(jitter);
        self.asking.interval = interval.saturating_mul(2);
        true
    }

    /// Whether an answer may go out now: at most `answers_max` in an interval.
    pub(super) fn may_answer(&mut self, limits: &LinkLimits, now: Time) -> bool {
        if now >= self.answers_until {
            self.answers_left = limits.answers_max;
            self.answers_until = now + limits.hello_interval;
        }
        let may = self.answers_left > 0;
        self.answers_left = self.answers_left.saturating_sub(1);
        may
    }

    /// The peer lives: the next question does not wait longer than the first.
    pub(super) fn heard(&mut self, limits: &LinkLimits, now: Time) {
        self.touched = now;
        self.asking.interval = limits.hello_interval;
        self.asking.not_before = self.asking.not_before.min(now + limits.hello_interval);
    }
}

/// 128 bits that nobody guesses, as far as the driver's seed allows.
pub(super) fn token(rng: &mut Rng) -> u128 {
    u128::from(rng.bits()) << 64 | u128::from(rng.bits())
}

/// Frames that wait for a handshake, control before data.
#[derive(Clone, Debug, Default)]
pub(super) struct Waiting {
    control: VecDeque<(ScopeId, Bytes)>,
    data: VecDeque<(ScopeId, Bytes)>,
}

impl Waiting {
    pub(super) fn is_empty(&self) -> bool {
        self.control.is_empty() && self.data.is_empty()
    }

    /// Puts a frame behind its class. When there is no room, the oldest data makes it; and when there is
    /// none, the oldest control frame makes it for a new one: what is new is worth more to a protocol than
    /// what it said long ago. `bytes` are those that wait over all peers.
    pub(super) fn push(
        &mut self,
        (class, scope, body): (Class, ScopeId, &Bytes),
        limits: &LinkLimits,
        bytes: &mut usize,
        counters: &mut LinkCounters,
    ) {
        let full = |waiting: &Waiting, bytes: usize| {
            waiting.control.len() + waiting.data.len() >= limits.queued_frames_max
                || bytes.saturating_add(body.len()) > limits.queued_bytes_max
        };
        while full(self, *bytes) {
            let oldest = match self.data.pop_front() {
                Some(oldest) => {
                    counters.dropped_data += 1;
                    Some(oldest)
                }
                None if class == Class::Control => {
                    let oldest = self.control.pop_front();
                    counters.dropped_control += u64::from(oldest.is_some());
                    oldest
                }
                None => None,
            };
            let Some((_, oldest)) = oldest else {
                match class {
                    Class::Control => counters.dropped_control += 1,
                    Class::Data => counters.dropped_data += 1,
                }
                return;
            };
            *bytes -= oldest.len();
        }
        *bytes += body.len();
        match class {
            Class::Control => self.control.push_back((scope, body.clone())),
            Class::Data => self.data.push_back((scope, body.clone())),
        }
    }

    /// Takes the next to be sent.
    pub(super) fn pop(&mut self, bytes: &mut usize) -> Option<(Class, ScopeId, Bytes)> {
        let (class, (scope, body)) = match self.control.pop_front() {
            Some(next) => (Class::Control, next),
            None => (Class::Data, self.data.pop_front()?),
        };
        *bytes -= body.len();
        Some((class, scope, body))
    }

    /// Drops everything.
    pub(super) fn clear(&mut self, bytes: &mut usize, counters: &mut LinkCounters) {
        while let Some((class, ..)) = self.pop(bytes) {
            match class {
                Class::Control => counters.dropped_control += 1,
                Class::Data => counters.dropped_data += 1,
            }
        }
    }
}
