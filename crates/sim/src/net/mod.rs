//! The simulated network: bytes from one node to another, late, never, twice, changed, or in a burst.

mod filter;
mod line;
mod weather;

pub use filter::{Passing, Verdict};
pub use weather::{Garbled, Weather};

pub(crate) use filter::Filter;
use line::LineMap;

use crate::Delay;
use crate::coverage::{Coverage, FaultKind};
use crate::delay::nanos;
use crate::queue::{Event, Queue, Table};
use bytes::{BufMut, Bytes, BytesMut};
use quorate_core::{Class, Frame, NodeId, Rng, ScopeId};
use std::collections::BTreeMap;
use std::time::Duration;

/// Frames of earlier times that are kept to be replayed.
const MUSEUM_MAX: usize = 128;
/// Frames are written into chunks of this size, many to an allocation.
const CHUNK_BYTES: usize = 64 << 10;

/// A frame on its way.
#[derive(Debug)]
pub(crate) struct Flight {
    pub(crate) from: u32,
    pub(crate) to: u32,
    pub(crate) bytes: Bytes,
    /// Which of its line's frames it is.
    number: u32,
}

/// Who sends what to whom.
pub(crate) struct Parcel<'a> {
    pub(crate) from: (u32, NodeId),
    pub(crate) to: (u32, NodeId),
    pub(crate) frame: &'a Frame,
    pub(crate) message: Option<(ScopeId, Class, &'a [u8])>,
}

/// The network.
pub(crate) struct Net {
    weather: Weather,
    clean: bool,
    lines: LineMap,
    /// Distances that differ from the weather's, by direction.
    distances: BTreeMap<(u32, u32), Delay>,
    flights: Table<Flight>,
    filters: Vec<Filter>,
    museum: Vec<(u32, u32, Bytes)>,
    chunk: BytesMut,
    rng: Rng,
}

impl Net {
    pub(crate) fn new(weather: Weather, rng: Rng) -> Net {
        let clean = weather.is_clean();
        Net {
            weather,
            clean,
            lines: LineMap::default(),
            distances: BTreeMap::new(),
            flights: Table::default(),
            filters: Vec::new(),
            museum: Vec::new(),
            chunk: BytesMut::new(),
            rng,
        }
    }

    pub(crate) fn grow(&mut self, nodes: usize) {
        self.lines.grow(nodes);
    }

    pub(crate) fn weather(&self) -> &Weather {
        &self.weather
    }

    pub(crate) fn set_weather(&mut self, weather: Weather) {
        self.clean = weather.is_clean();
        self.weather = weather;
    }

    pub(crate) fn set_distance(&mut self, from: u32, to: u32, delay: Delay) {
        self.distances.insert((from, to), delay);
    }

    pub(crate) fn add_filter(&mut self, filter: Filter) {
        self.filters.push(filter);
    }

    pub(crate) fn clear_filters(&mut self) {
        self.filters.clear();
    }

    pub(crate) fn cut(&mut self, from: u32, to: u32) {
        self.lines.at(from, to).cuts += 1;
    }

    /// Takes one cut away; nothing happens where there is none any more.
    pub(crate) fn mend(&mut self, from: u32, to: u32) {
        let line = self.lines.at(from, to);
        line.cuts = line.cuts.saturating_sub(1);
    }

    pub(crate) fn clog(&mut self, from: u32, to: u32, until: u64) {
        let line = self.lines.at(from, to);
        line.clogged_until = line.clogged_until.max(until);
    }

    /// No cuts, no clogs.
    pub(crate) fn heal(&mut self) {
        self.lines.each(|line| {
            line.cuts = 0;
            line.clogged_until = 0;
        });
    }

    pub(crate) fn on_their_way(&self) -> usize {
        self.flights.len()
    }

    /// Takes a frame over, and plans its arrival if it is to arrive.
    pub(crate) fn carry(&mut self, parcel: Parcel<'_>, now: u64, queue: &mut Queue, seen: &mut Coverage) {
        let (from, to) = (parcel.from.0, parcel.to.0);
        let mut extra = 0;
        if !self.filters.is_empty() {
            let passing = Passing {
                from: parcel.from.1,
                to: parcel.to.1,
                message: parcel.message,
                now: Duration::from_nanos(now),
            };
            for filter in &mut self.filters {
                match filter(&passing) {
                    Verdict::Pass => continue,
                    Verdict::Drop => return seen.hit(FaultKind::Filtered),
                    Verdict::Delay(by) => extra += nanos(by),
                }
                seen.hit(FaultKind::Filtered);
            }
        }
        if self.lines.at(from, to).cuts > 0 {
            return seen.hit(FaultKind::Cut);
        }
        if self.clean {
            let bytes = self.write(parcel.frame);
            return self.launch(from, to, bytes, extra, now, queue, seen);
        }
        self.carry_through_bad_weather(from, to, parcel.frame, extra, now, queue, seen);
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of the world that a frame passes through")]
    fn carry_through_bad_weather(
        &mut self,
        from: u32,
        to: u32,
        frame: &Frame,
        mut extra: u64,
        now: u64,
        queue: &mut Queue,
        seen: &mut Coverage,
    ) {
        if self.weather.frame_bytes_max.is_some_and(|max| frame.len() > max) {
            return seen.hit(FaultKind::Oversized);
        }
        if let Some(rate) = self.weather.bytes_per_second {
            let line = self.lines.at(from, to);
            let takes = (frame.len() as u64).saturating_mul(1_000_000_000) / rate.max(1);
            let waits = line.free_at.max(now) - now;
            if u128::from(waits) * u128::from(rate) > u128::from(self.weather.queue_bytes_max) * 1_000_000_000
            {
                return seen.hit(FaultKind::Overflowed);
            }
            line.free_at = now + waits + takes;
            extra += waits + takes;
        }
        if self.rng.chance(self.weather.replay)
            && let Some((from, to, old)) = self.rng.pick(&self.museum).cloned()
        {
            seen.hit(FaultKind::Replayed);
            self.launch(from, to, old, 0, now, queue, seen);
        }
        if self.weather.replay > 0.0 && self.rng.chance(1.0 / 16.0) {
            // Copied, since a slice would pin its whole chunk. The oldest are kept longest: a full museum
            // gives up a random piece.
            let piece = (from, to, frame.to_bytes());
            if self.museum.len() < MUSEUM_MAX {
                self.museum.push(piece);
            } else {
                let place = self.rng.index(MUSEUM_MAX);
                self.museum[place] = piece;
            }
        }
        if self.rng.chance(self.weather.loss) {
            return seen.hit(FaultKind::Lost);
        }
        let mut bytes = self.write(frame);
        let mut whole = true;
        if self.rng.chance(self.weather.truncate) {
            seen.hit(FaultKind::Truncated);
            whole = false;
            bytes.truncate(self.rng.index(bytes.len()));
        }
        if self.rng.chance(self.weather.flip) && !bytes.is_empty() {
            seen.hit(FaultKind::Flipped);
            whole = false;
            let mut changed = BytesMut::from(&bytes[..]);
            changed[self.rng.index(bytes.len())] ^= 1 << self.rng.within(0..8);
            bytes = changed.freeze();
        }
        if !whole && self.weather.garbled == Garbled::Dropped {
            return;
        }
        if self.rng.chance(self.weather.duplicate) {
            seen.hit(FaultKind::Duplicated);
            self.launch(from, to, bytes.clone(), extra, now, queue, seen);
        }
        self.launch(from, to, bytes, extra, now, queue, seen);
    }

    /// Head and body in one piece, as a transport would write them.
    fn write(&mut self, frame: &Frame) -> Bytes {
        if self.chunk.capacity() < frame.len() {
            self.chunk = BytesMut::with_capacity(CHUNK_BYTES.max(frame.len()));
        }
        self.chunk.put_slice(&frame.head);
        self.chunk.put_slice(&frame.body);
        self.chunk.split().freeze()
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of the world that a frame passes through")]
    fn launch(
        &mut self,
        from: u32,
        to: u32,
        bytes: Bytes,
        extra: u64,
        now: u64,
        queue: &mut Queue,
        seen: &mut Coverage,
    ) {
        let mut delay = &self.weather.delay;
        if !self.distances.is_empty()
            && let Some(own) = self.distances.get(&(from, to))
        {
            delay = own;
        }
        let mut at = now.saturating_add(delay.draw(&mut self.rng)).saturating_add(extra);
        let line = self.lines.at(from, to);
        if line.clogged_until > at {
            at = line.clogged_until;
            seen.hit(FaultKind::Clogged);
        }
        if self.weather.in_order {
            at = at.max(line.last_at);
        }
        line.last_at = line.last_at.max(at);
        line.sent = line.sent.wrapping_add(1);
        let number = line.sent;
        queue.push(at, Event::Frame(self.flights.put(Flight { from, to, bytes, number })));
    }

    /// A frame arrives, unless a cut came in between.
    pub(crate) fn arrive(&mut self, place: u32, seen: &mut Coverage) -> Option<Flight> {
        let flight = self.flights.take(place)?;
        let line = self.lines.at(flight.from, flight.to);
        if line.cuts > 0 {
            seen.hit(FaultKind::Cut);
            return None;
        }
        if flight.number < line.newest {
            seen.hit(FaultKind::Reordered);
        }
        line.newest = line.newest.max(flight.number);
        Some(flight)
    }
}

impl std::fmt::Debug for Net {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Net").field("weather", &self.weather).field("flights", &self.flights.len()).finish()
    }
}
