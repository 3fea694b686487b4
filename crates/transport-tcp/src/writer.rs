//! One peer's writer: opens the connection when there is something to say, writes in batches, and begins anew
//! when it breaks.

use crate::counters::{add, count};
use crate::preamble::Preamble;
use crate::queue::{Queue, Woken};
use crate::stream::Stream;
use crate::tcp::Shared;
use quorate_core::{Frame, HEAD_BYTES, NodeId, Rng};
use std::io::{self, IoSlice, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// After so long without writing, a look at whether the peer has closed is worth its system calls: what is
/// written to a closed connection is lost without a word.
const STALE: Duration = Duration::from_millis(10);

/// A peer, as the sending side and its writer share it.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) id: NodeId,
    pub(crate) queue: Queue,
    /// The open connection, for whoever must break it off.
    line: Mutex<Option<TcpStream>>,
}

impl Peer {
    pub(crate) fn new(id: NodeId, addr: SocketAddr) -> Peer {
        Peer { id, queue: Queue::new(addr), line: Mutex::new(None) }
    }

    /// Ends the writer, wherever it is; only an attempt to connect is not cut short.
    pub(crate) fn close(&self) {
        self.queue.close();
        self.set_line(None);
    }

    fn set_line(&self, line: Option<TcpStream>) {
        let mut current = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(old) = std::mem::replace(&mut *current, line) {
            let _ = old.shutdown(Shutdown::Both);
        }
    }
}

/// An open connection.
struct Line {
    stream: Box<dyn Stream>,
    tcp: TcpStream,
    moves: u64,
    opened: Instant,
    written: Instant,
}

pub(crate) struct Writer {
    peer: Arc<Peer>,
    shared: Arc<Shared>,
    line: Option<Line>,
    backoff: Duration,
    rng: Rng,
    batch: Vec<Frame>,
}

impl Writer {
    pub(crate) fn new(peer: Arc<Peer>, shared: Arc<Shared>, rng: Rng) -> Writer {
        let backoff = shared.config.backoff;
        Writer { peer, shared, line: None, backoff, rng, batch: Vec::new() }
    }

    /// Until the peer is closed.
    pub(crate) fn run(mut self) {
        while let Woken::Ready { addr, moves } = self.peer.queue.wait() {
            if self.line.as_mut().is_some_and(|line| line.moves != moves) {
                self.drop_line();
            }
            if self.line.as_mut().is_some_and(Line::is_closed) {
                self.lose();
            }
            if self.line.is_none() && !self.open(addr, moves) {
                continue;
            }
            self.peer.queue.take(&self.shared.config, &mut self.batch);
            let Some(line) = &mut self.line else { continue };
            if line.write(&self.batch, &self.shared).is_err() {
                add(&self.shared.counters.dropped_in_flight, self.batch.len() as u64);
                self.lose();
            }
            self.batch.clear();
        }
        self.drop_line();
    }

    /// Opens the connection; if that fails, waits.
    fn open(&mut self, addr: SocketAddr, moves: u64) -> bool {
        match self.connect(addr, moves) {
            Ok(line) => {
                count(&self.shared.counters.connects);
                self.line = Some(line);
                // Closed in the meantime: then nobody has broken off what was not there yet.
                !self.peer.queue.is_closed()
            }
            Err(_) => {
                count(&self.shared.counters.connects_failed);
                // It may have failed only after the connection stood.
                self.drop_line();
                self.peer.queue.note_failure(&self.shared.counters);
                self.tell_lost();
                self.pause();
                false
            }
        }
    }

    fn connect(&self, addr: SocketAddr, moves: u64) -> io::Result<Line> {
        let config = &self.shared.config;
        let tcp = TcpStream::connect_timeout(&addr, config.connect_timeout)?;
        tcp.set_nodelay(true)?;
        tcp.set_write_timeout(Some(config.write_timeout))?;
        tcp.set_read_timeout(Some(config.preamble_timeout))?;
        self.peer.set_line(Some(tcp.try_clone()?));
        let mut stream = self.shared.secure.connect(tcp.try_clone()?, self.peer.id)?;
        let preamble = Preamble { from: self.shared.me, to: self.peer.id }.encode();
        stream.write_all(&preamble)?;
        stream.flush()?;
        add(&self.shared.counters.bytes_sent, preamble.len() as u64);
        let now = Instant::now();
        Ok(Line { stream, tcp, moves, opened: now, written: now })
    }

    /// The connection broke. One that lasted is replaced at once; one that did not, after a pause, or a peer
    /// that closes every connection at once would be asked without end.
    fn lose(&mut self) {
        let lasted =
            self.line.as_ref().is_some_and(|line| line.opened.elapsed() >= self.shared.config.backoff_max);
        self.drop_line();
        count(&self.shared.counters.connections_lost);
        self.tell_lost();
        if lasted {
            self.backoff = self.shared.config.backoff;
        } else {
            self.pause();
        }
    }

    /// Only of connections that this side opened, to the address that it was given: those that were taken bear
    /// a name that nobody has proven. What the transport closes itself is not lost.
    fn tell_lost(&self) {
        if !self.peer.queue.is_closed() {
            self.shared.inbox.lost(self.peer.id);
        }
    }

    fn drop_line(&mut self) {
        self.line = None;
        self.peer.set_line(None);
    }

    fn pause(&mut self) {
        let jitter = self.backoff.mul_f64(self.rng.unit() * 0.5);
        self.peer.queue.sleep(self.backoff + jitter);
        self.backoff = self.backoff.saturating_mul(2).min(self.shared.config.backoff_max);
    }
}

impl Line {
    /// Whether the peer has closed its end. Looks only after a while without writing.
    fn is_closed(&mut self) -> bool {
        if self.written.elapsed() < STALE {
            return false;
        }
        let mut byte = [0];
        let looked = match self.tcp.set_nonblocking(true) {
            Ok(()) => self.tcp.peek(&mut byte),
            Err(refused) => Err(refused),
        };
        let restored = self.tcp.set_nonblocking(false);
        let open = match looked {
            Ok(bytes) => bytes > 0, // A secured stream may have something of its own to say.
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        };
        !open || restored.is_err()
    }

    /// Writes a batch, mostly by one system call: a length and a head, then a body, for each frame.
    fn write(&mut self, batch: &[Frame], shared: &Shared) -> io::Result<()> {
        let heads: Vec<[u8; 4 + HEAD_BYTES]> = batch.iter().map(length_and_head).collect();
        let mut slices: Vec<IoSlice<'_>> = Vec::with_capacity(2 * batch.len());
        for (head, frame) in heads.iter().zip(batch) {
            slices.push(IoSlice::new(head));
            if !frame.body.is_empty() {
                slices.push(IoSlice::new(&frame.body));
            }
        }
        let mut rest = &mut slices[..];
        while !rest.is_empty() {
            match self.stream.write_vectored(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    count(&shared.counters.writes);
                    add(&shared.counters.bytes_sent, written as u64);
                    IoSlice::advance_slices(&mut rest, written);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.stream.flush()?;
        self.written = Instant::now();
        add(&shared.counters.frames_sent, batch.len() as u64);
        Ok(())
    }
}

fn length_and_head(frame: &Frame) -> [u8; 4 + HEAD_BYTES] {
    let mut bytes = [0; 4 + HEAD_BYTES];
    // What is queued is at most `frame_bytes_max`, which fits in four bytes.
    bytes[..4].copy_from_slice(&(frame.len() as u32).to_le_bytes());
    bytes[4..].copy_from_slice(&frame.head);
    bytes
}
