//! One accepted connection's reader: whose it is, then frames into the inbox, within its patience.

use crate::counters::count;
use crate::preamble::{PREAMBLE_BYTES, Preamble};
use crate::stream::Stream;
use crate::tcp::Shared;
use bytes::Bytes;
use quorate_core::{Class, HEAD_BYTES, NodeId, class_of};
use quorate_transport::Full;
use std::io::{self, BufRead, BufReader};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What a system call reads at most, and what a length allocates before any of its bytes have come.
const CHUNK: usize = 64 << 10;

/// How often a reader that waits for bytes looks at the time. A stop does not wait for it.
pub(crate) const TICK: Duration = Duration::from_millis(250);

/// Why a connection ends: the peer's own doing, or what it is counted under.
enum End {
    Closed,
    Refused(fn(&Shared) -> &AtomicU64),
}

struct Reader {
    shared: Arc<Shared>,
    from: BufReader<Box<dyn Stream>>,
    /// Whether the last frame of each class (control, data) waited for room in vain.
    impatient: [bool; 2],
}

/// Serves the connection until it ends. `id` is its name in the register.
pub(crate) fn run(shared: Arc<Shared>, id: u64, tcp: TcpStream) {
    if let Err(End::Refused(counter)) = serve(shared.clone(), id, tcp) {
        count(counter(&shared));
    }
    shared.register.leave(id);
}

fn serve(shared: Arc<Shared>, id: u64, tcp: TcpStream) -> Result<(), End> {
    let refused = End::Refused(|s| &s.counters.refused_preamble);
    let accepted = match shared.secure.accept(tcp) {
        Ok(accepted) => accepted,
        Err(_) => return Err(refused),
    };
    let from = BufReader::with_capacity(CHUNK, accepted.stream);
    let mut reader = Reader { shared: shared.clone(), from, impatient: [false; 2] };
    let Some(Preamble { from, to }) = Preamble::decode(&reader.preamble()?) else { return Err(refused) };
    if to != shared.me || from == shared.me || accepted.peer.is_some_and(|proven| proven != from) {
        return Err(refused);
    }
    if shared.register.name(id, from, shared.config.connections_a_peer_max) {
        count(&shared.counters.superseded);
    }
    loop {
        let frame = reader.frame()?;
        reader.deliver(from, frame)?;
    }
}

impl Reader {
    fn preamble(&mut self) -> Result<Vec<u8>, End> {
        let patience = self.shared.config.preamble_timeout;
        self.fill(Vec::new(), PREAMBLE_BYTES, patience, |s| &s.counters.refused_silent)
    }

    fn frame(&mut self) -> Result<Bytes, End> {
        let config = &self.shared.config;
        let (idle, patience) = (config.idle_timeout, config.frame_timeout);
        if self.from.buffer().is_empty() {
            self.await_byte(idle)?;
        }
        let slow: fn(&Shared) -> &AtomicU64 = |s| &s.counters.closed_slow;
        let length = self.fill(Vec::new(), 4, patience, slow)?;
        let length = length.first_chunk::<4>().map_or(0, |le| u32::from_le_bytes(*le));
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if !(HEAD_BYTES..=self.shared.config.frame_bytes_max).contains(&length) {
            return Err(End::Refused(|s| &s.counters.refused_length));
        }
        let frame = self.fill(Vec::with_capacity(length.min(CHUNK)), length, patience, slow)?;
        Ok(Bytes::from(frame))
    }

    /// Waits for the next frame to begin.
    fn await_byte(&mut self, idle: Duration) -> Result<(), End> {
        let begun = Instant::now();
        while self.more()?.is_empty() {
            if begun.elapsed() >= idle {
                return Err(End::Refused(|s| &s.counters.closed_idle));
            }
        }
        Ok(())
    }

    /// Reads until there are `length` bytes. What is allocated is at most twice what has come.
    fn fill(
        &mut self,
        mut bytes: Vec<u8>,
        length: usize,
        patience: Duration,
        slow: fn(&Shared) -> &AtomicU64,
    ) -> Result<Vec<u8>, End> {
        // The clock is read only when something has to be waited for.
        let mut begun = None;
        while bytes.len() < length {
            if self.from.buffer().is_empty() && begun.get_or_insert_with(Instant::now).elapsed() >= patience {
                return Err(End::Refused(slow));
            }
            let missing = length - bytes.len();
            let come = self.more()?;
            let taken = come.len().min(missing);
            if bytes.capacity() - bytes.len() < taken {
                bytes.reserve_exact(missing.min(bytes.len().max(CHUNK)));
            }
            bytes.extend_from_slice(&come[..taken]);
            self.from.consume(taken);
        }
        Ok(bytes)
    }

    /// What has come and was not consumed; empty when nothing came for a tick.
    fn more(&mut self) -> Result<&[u8], End> {
        if self.shared.stopped() {
            return Err(End::Closed);
        }
        match self.from.fill_buf() {
            Ok([]) => Err(End::Closed),
            Ok(_) => Ok(self.from.buffer()),
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted => Ok(&[]),
                _ => Err(End::Closed),
            },
        }
    }

    /// Puts a frame into the inbox. When there is no room it waits, and the peer with it; but not for ever,
    /// and not again before something went in.
    fn deliver(&mut self, from: NodeId, frame: Bytes) -> Result<(), End> {
        let class = usize::from(class_of(&frame) == Class::Data);
        let shared = &self.shared;
        let Err(Full(mut frame)) = shared.inbox.deliver(from, frame) else {
            self.impatient[class] = false;
            count(&shared.counters.frames_received);
            return Ok(());
        };
        let patience = if self.impatient[class] { Duration::ZERO } else { shared.config.full_patience };
        let (begun, mut nap) = (Instant::now(), Duration::from_micros(100));
        if !patience.is_zero() {
            count(&shared.counters.inbox_waits);
        }
        while begun.elapsed() < patience {
            if shared.stopped() {
                return Err(End::Closed);
            }
            std::thread::sleep(nap);
            nap = (nap * 2).min(Duration::from_millis(5));
            match shared.inbox.deliver(from, frame) {
                Ok(()) => {
                    count(&shared.counters.frames_received);
                    return Ok(());
                }
                Err(Full(back)) => frame = back,
            }
        }
        self.impatient[class] = true;
        shared.counters.inbox_drops.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}
