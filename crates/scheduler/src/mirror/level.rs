//! The publishing side of one recipient: its level, and how far it has it.

use super::config::MirrorConfig;
use super::msg::{Ack, CHANGE_BYTES, Delta};
use super::{MirrorCounters, Refused};
use bytes::Bytes;
use quorate_core::{Boot, JournalId, Rng, Time};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

pub(super) type Refusal = Refused;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    version: u64,
    /// `None` once it was cleared, until that is acknowledged.
    value: Option<Bytes>,
}

/// **Invariants.** `acked <= sent <= version`. Every entry stands in `order` under its version, and nothing
/// else does. A cleared entry is dropped only when the recipient's present life has acknowledged it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Level {
    /// The recipient's life; 0 until it is known.
    life: u64,
    journal: Option<JournalId>,
    stream: u64,
    entries: BTreeMap<u64, Entry>,
    order: BTreeMap<u64, u64>,
    cleared: usize,
    bytes: usize,
    /// The version of the last change. Starts at 1: that there is a level is news, too.
    version: u64,
    acked: u64,
    /// The highest echo among acknowledgements that counted.
    echo: u64,
    sent: u64,
    /// How many deltas this stream had.
    number: u64,
    /// The ends of the deltas that are under way.
    flying: VecDeque<u64>,
    window: usize,
    /// Whether a message without news is to be sent: a question for its life, or a probe.
    ask: bool,
    backoff: Duration,
    /// Something missing is resent at once only this long after the last time.
    back_at: Time,
    timer: Time,
}

impl Level {
    pub(super) fn new(stream: u64, boot: Option<Boot>, config: &MirrorConfig) -> Level {
        Level {
            life: boot.map_or(0, |boot| boot.incarnation),
            journal: boot.map(|boot| boot.journal),
            stream,
            entries: BTreeMap::new(),
            order: BTreeMap::new(),
            cleared: 0,
            bytes: 0,
            version: 1,
            acked: 0,
            echo: 0,
            sent: 0,
            number: 0,
            flying: VecDeque::new(),
            window: config.window,
            ask: true,
            backoff: config.retry_min,
            back_at: Time::ZERO,
            timer: Time::NEVER,
        }
    }

    pub(super) fn keys(&self) -> usize {
        self.entries.len() - self.cleared
    }

    pub(super) fn kept(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn is_settled(&self) -> bool {
        self.acked == self.version
    }

    pub(super) fn timer(&self) -> Time {
        self.timer
    }

    pub(super) fn set_timer(&mut self, at: Time) {
        self.timer = at;
    }

    pub(super) fn set(&mut self, key: u64, value: Bytes, config: &MirrorConfig) -> Result<(), Refusal> {
        if value.len() > config.value_bytes_max {
            return Err(Refused::ValueBytes);
        }
        let old = self.entries.get(&key).and_then(|entry| entry.value.as_ref());
        if old == Some(&value) {
            return Ok(());
        }
        if old.is_none() && self.keys() >= config.keys_max {
            return Err(Refused::Keys);
        }
        if self.bytes - old.map_or(0, Bytes::len) + value.len() > config.level_bytes_max {
            return Err(Refused::LevelBytes);
        }
        self.put(key, Some(value));
        Ok(())
    }

    pub(super) fn clear(&mut self, key: u64) -> Result<(), Refusal> {
        if self.entries.get(&key).is_some_and(|entry| entry.value.is_some()) {
            self.put(key, None);
        }
        Ok(())
    }

    /// All or nothing: a level that breaks a bound changes nothing.
    pub(super) fn replace(&mut self, all: Vec<(u64, Bytes)>, config: &MirrorConfig) -> Result<(), Refusal> {
        let all: BTreeMap<u64, Bytes> = all.into_iter().collect();
        if all.len() > config.keys_max {
            return Err(Refused::Keys);
        }
        if all.values().any(|value| value.len() > config.value_bytes_max) {
            return Err(Refused::ValueBytes);
        }
        if all.values().map(Bytes::len).sum::<usize>() > config.level_bytes_max {
            return Err(Refused::LevelBytes);
        }
        let live = self.entries.iter().filter(|(_, entry)| entry.value.is_some());
        let gone: Vec<u64> = live.map(|(key, _)| *key).filter(|key| !all.contains_key(key)).collect();
        gone.into_iter().for_each(|key| self.put(key, None));
        for (key, value) in all {
            if self.entries.get(&key).and_then(|entry| entry.value.as_ref()) != Some(&value) {
                self.put(key, Some(value));
            }
        }
        Ok(())
    }

    fn put(&mut self, key: u64, value: Option<Bytes>) {
        self.version += 1;
        self.bytes += value.as_ref().map_or(0, Bytes::len);
        self.cleared += usize::from(value.is_none());
        self.order.insert(self.version, key);
        if let Some(old) = self.entries.insert(key, Entry { version: self.version, value }) {
            self.order.remove(&old.version);
            self.bytes -= old.value.as_ref().map_or(0, Bytes::len);
            self.cleared -= usize::from(old.value.is_none());
        }
    }

    pub(super) fn has_too_many_cleared(&self, config: &MirrorConfig) -> bool {
        self.cleared > config.keys_max
    }

    /// As if nothing had ever been told: the recipient forgets what it had, so cleared keys need no telling.
    pub(super) fn start_over(&mut self, stream: u64) {
        self.stream = stream;
        self.echo = 0;
        self.number = 0;
        self.begin();
    }

    /// To a recipient that has nothing, all is sent.
    fn begin(&mut self) {
        self.acked = 0;
        self.drop_cleared(0, u64::MAX);
        self.go_back();
    }

    /// What was sent and not acknowledged is sent again.
    fn go_back(&mut self) {
        self.sent = self.acked;
        self.flying.clear();
    }

    /// Nobody needs to be told any more of what was cleared in these versions.
    fn drop_cleared(&mut self, above: u64, upto: u64) {
        if self.cleared == 0 {
            return;
        }
        let is_cleared = |key: &u64| self.entries.get(key).is_some_and(|entry| entry.value.is_none());
        let range = self.order.range(above.saturating_add(1)..=upto);
        let gone: Vec<(u64, u64)> = range.filter(|(_, key)| is_cleared(key)).map(|(v, k)| (*v, *k)).collect();
        self.cleared -= gone.len();
        for (version, key) in gone {
            self.order.remove(&version);
            self.entries.remove(&key);
        }
    }

    /// The next delta, if one may go out now.
    pub(super) fn next_delta(&mut self, life: u64, config: &MirrorConfig) -> Option<Delta> {
        let asks = std::mem::take(&mut self.ask);
        let (to_life, stream) = (self.life, self.stream);
        if self.life == 0 || (self.sent == self.version && self.flying.is_empty()) {
            // A hello asks for the life, a probe whether all is still there: base is everything.
            self.number += u64::from(asks);
            let (number, base, upto, latest) = (self.number, self.acked, self.acked, self.version);
            let news = Delta { to_life, life, stream, number, base, upto, latest, changes: vec![] };
            return asks.then_some(news);
        }
        if self.sent == self.version || self.flying.len() >= self.window {
            return None;
        }
        self.number += 1;
        let (number, base, latest) = (self.number, self.sent, self.version);
        let mut upto = self.version;
        let (mut changes, mut bytes) = (Vec::new(), 0);
        for (version, key) in self.order.range(base + 1..) {
            let value = self.entries.get(key).and_then(|entry| entry.value.clone());
            bytes += CHANGE_BYTES + value.as_ref().map_or(0, Bytes::len);
            if bytes > config.delta_bytes_max && !changes.is_empty() {
                // Up to the version before: that of this key is not told.
                upto = version - 1;
                break;
            }
            changes.push((*key, value));
        }
        self.sent = upto;
        self.flying.push_back(upto);
        Some(Delta { to_life, life, stream, number, base, upto, latest, changes })
    }

    /// Learns how far the recipient is. True if there is something to send.
    pub(super) fn on_ack(
        &mut self,
        ack: &Ack,
        now: Time,
        config: &MirrorConfig,
        streams: &mut u64,
        counters: &mut MirrorCounters,
    ) -> bool {
        if ack.my_life > self.life {
            self.begin_life(ack.my_life, config);
            return true;
        }
        if ack.my_life < self.life || ack.stream != self.stream {
            counters.stale += 1;
            // Our stream has not arrived; the timer brings it again.
            return false;
        }
        if ack.have > self.version {
            counters.refused += 1;
            return false;
        }
        if ack.have < self.acked && ack.echo > self.echo {
            // It lost what it had and says so under the same life: its record was evicted, or its disk replaced.
            *streams += 1;
            self.start_over(*streams);
            return true;
        }
        self.echo = self.echo.max(ack.echo);
        if ack.have > self.acked {
            self.drop_cleared(self.acked, ack.have);
            self.acked = ack.have;
            self.sent = self.sent.max(self.acked);
            while self.flying.front().is_some_and(|upto| *upto <= self.acked) {
                self.flying.pop_front();
            }
            self.be_brisk(config);
        }
        if ack.gap && self.sent > self.acked && now >= self.back_at {
            self.back_at = now + config.retry_min;
            counters.retries += 1;
            self.go_back();
        }
        self.sent < self.version
    }

    /// A life of the recipient that has nothing.
    fn begin_life(&mut self, life: u64, config: &MirrorConfig) {
        self.life = life;
        self.begin();
        self.be_brisk(config);
    }

    fn be_brisk(&mut self, config: &MirrorConfig) {
        self.backoff = config.retry_min;
        self.window = config.window;
    }

    pub(super) fn on_boot(&mut self, boot: Boot, streams: &mut u64, config: &MirrorConfig) {
        let other = match self.journal {
            Some(journal) => journal != boot.journal,
            // The link is believed against a life that came from a message alone.
            None => boot.incarnation < self.life,
        };
        self.journal = Some(boot.journal);
        if other {
            *streams += 1;
            self.start_over(*streams);
        }
        if other || boot.incarnation > self.life {
            self.begin_life(boot.incarnation, config);
        }
        // Also for a life that is known: what was sent into the broken link is sent again, without a wait.
        self.go_back();
    }

    /// Nothing was heard for too long. True if something is sent again.
    pub(super) fn on_timer(&mut self, config: &MirrorConfig) -> bool {
        self.timer = Time::NEVER;
        self.ask = true;
        if self.life != 0 && self.flying.is_empty() {
            return false;
        }
        self.backoff = self.backoff.saturating_mul(2).min(config.retry_max);
        self.go_back();
        // One at a time until it answers.
        self.window = 1;
        true
    }

    /// When to send again, or to probe, once what may be sent now was.
    pub(super) fn timer_after_send(
        &mut self,
        sent: bool,
        now: Time,
        rng: &mut Rng,
        config: &MirrorConfig,
    ) -> Time {
        if self.life != 0 && self.flying.is_empty() {
            return if sent { self.probe_at(now, config) } else { self.timer };
        }
        if !sent && self.timer != Time::NEVER {
            return self.timer;
        }
        // Up to a quarter more, so that recipients which went away together are not asked together.
        let more = u64::try_from(self.backoff.as_nanos() / 4).unwrap_or(u64::MAX);
        now + self.backoff + Duration::from_nanos(rng.within(0..more))
    }

    pub(super) fn timer_after_ack(&self, now: Time, config: &MirrorConfig) -> Time {
        if self.life == 0 {
            return self.timer;
        }
        match self.flying.is_empty() {
            true => self.probe_at(now, config),
            // Whoever answers is given a fresh wait for the rest.
            false => now + self.backoff,
        }
    }

    fn probe_at(&self, now: Time, config: &MirrorConfig) -> Time {
        // Also of an empty level: that nothing is set is knowledge that a restart loses.
        config.probe_every.map_or(Time::NEVER, |every| now + every)
    }
}
