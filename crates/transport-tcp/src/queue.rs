//! Frames that wait to be written to one peer: bounded, control before data. `push` never waits for the writer.

use crate::config::TcpConfig;
use crate::counters::{Counting, count};
use quorate_core::{Class, Frame, class_of};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Control frames that are written for each data frame when both wait.
const CONTROL_A_DATA: u32 = 4;

#[derive(Debug)]
pub(crate) struct Queue {
    state: Mutex<State>,
    bell: Condvar,
}

#[derive(Debug)]
struct State {
    addr: SocketAddr,
    /// Raised with each change of the address.
    moves: u64,
    control: VecDeque<Waiting>,
    data: VecDeque<Waiting>,
    bytes: usize,
    /// Failures to reach the peer so far.
    failures: u64,
    control_in_a_row: u32,
    closed: bool,
    /// The writer sleeps.
    sleeping: bool,
}

#[derive(Debug)]
struct Waiting {
    frame: Frame,
    /// `failures` when it was pushed.
    failures: u64,
}

/// Why a writer woke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Woken {
    /// Something waits to be written, to this address.
    Ready { addr: SocketAddr, moves: u64 },
    /// The end.
    Closed,
}

impl Queue {
    pub(crate) fn new(addr: SocketAddr) -> Queue {
        let state = State {
            addr,
            moves: 0,
            control: VecDeque::new(),
            data: VecDeque::new(),
            bytes: 0,
            failures: 0,
            control_in_a_row: 0,
            closed: false,
            sleeping: false,
        };
        Queue { state: Mutex::new(state), bell: Condvar::new() }
    }

    /// Queues a frame, dropping the oldest data if there is no room; and if there is none to drop, a data frame
    /// itself, or the oldest control frame for a new one.
    pub(crate) fn push(&self, frame: &Frame, config: &TcpConfig, counters: &Counting) {
        let class = class_of(&frame.head);
        let mut state = self.lock();
        if state.closed {
            return;
        }
        while state.control.len() + state.data.len() >= config.queue_frames_max
            || state.bytes.saturating_add(frame.len()) > config.queue_bytes_max
        {
            if state.drop_oldest(Class::Data, counters) {
                continue;
            }
            if class == Class::Data || !state.drop_oldest(Class::Control, counters) {
                count(dropped(class, counters));
                return;
            }
        }
        state.bytes += frame.len();
        let waiting = Waiting { frame: frame.clone(), failures: state.failures };
        match class {
            Class::Control => state.control.push_back(waiting),
            Class::Data => state.data.push_back(waiting),
        }
        if std::mem::take(&mut state.sleeping) {
            drop(state);
            self.bell.notify_all();
        }
    }

    /// Sleeps until something is to be written.
    pub(crate) fn wait(&self) -> Woken {
        let mut state = self.lock();
        loop {
            if state.closed {
                return Woken::Closed;
            }
            if !state.is_empty() {
                return Woken::Ready { addr: state.addr, moves: state.moves };
            }
            state.sleeping = true;
            state = self.bell.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Takes what one system call should write. Control goes first, but not always: data must not starve.
    pub(crate) fn take(&self, config: &TcpConfig, into: &mut Vec<Frame>) {
        let mut state = self.lock();
        let mut bytes = 0;
        while into.len() < config.batch_frames_max && bytes < BATCH_BYTES {
            let Some(frame) = state.next() else { break };
            bytes += frame.len();
            into.push(frame);
        }
    }

    /// The peer could not be reached. What has waited since before the last failure is dropped: it is of no
    /// use to anybody any more, and protocols have repeated what mattered.
    pub(crate) fn note_failure(&self, counters: &Counting) {
        let mut state = self.lock();
        let before = state.failures;
        state.failures += 1;
        for class in [Class::Control, Class::Data] {
            while state.lane(class).front().is_some_and(|oldest| oldest.failures < before) {
                state.drop_oldest(class, counters);
            }
        }
    }

    /// Sleeps for so long, or until the address changes or the end comes.
    pub(crate) fn sleep(&self, time: Duration) {
        let state = self.lock();
        let moves = state.moves;
        let asleep = |state: &mut State| !state.closed && state.moves == moves;
        drop(self.bell.wait_timeout_while(state, time, asleep));
    }

    pub(crate) fn move_to(&self, addr: SocketAddr) {
        let mut state = self.lock();
        if state.addr != addr {
            state.addr = addr;
            state.moves += 1;
            drop(state);
            self.bell.notify_all();
        }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.lock().addr
    }

    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.control = VecDeque::new();
        state.data = VecDeque::new();
        state.bytes = 0;
        drop(state);
        self.bell.notify_all();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that can panic runs under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a batch ends: past it, larger batches save nothing.
const BATCH_BYTES: usize = 256 << 10;

impl State {
    fn is_empty(&self) -> bool {
        self.control.is_empty() && self.data.is_empty()
    }

    fn lane(&mut self, class: Class) -> &mut VecDeque<Waiting> {
        match class {
            Class::Control => &mut self.control,
            Class::Data => &mut self.data,
        }
    }

    fn drop_oldest(&mut self, class: Class, counters: &Counting) -> bool {
        let Some(oldest) = self.lane(class).pop_front() else { return false };
        self.bytes -= oldest.frame.len();
        count(dropped(class, counters));
        true
    }

    fn next(&mut self) -> Option<Frame> {
        let data_is_due = self.control_in_a_row >= CONTROL_A_DATA && !self.data.is_empty();
        let next = if data_is_due || self.control.is_empty() {
            self.control_in_a_row = 0;
            self.data.pop_front()?
        } else {
            self.control_in_a_row = self.control_in_a_row.saturating_add(1);
            self.control.pop_front()?
        };
        self.bytes -= next.frame.len();
        Some(next.frame)
    }
}

fn dropped(class: Class, counters: &Counting) -> &std::sync::atomic::AtomicU64 {
    match class {
        Class::Control => &counters.dropped_control,
        Class::Data => &counters.dropped_data,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_core::HEAD_BYTES;

    fn frame(class: Class, name: u8) -> Frame {
        let mut head = [0; HEAD_BYTES];
        head[2] = u8::from(class == Class::Data);
        Frame { head, body: vec![name; 68].into() }
    }

    fn names(queue: &Queue, config: &TcpConfig) -> Vec<u8> {
        let mut frames = Vec::new();
        queue.take(config, &mut frames);
        frames.iter().map(|frame| frame.body[0]).collect()
    }

    fn queue() -> (Queue, Counting) {
        (Queue::new(SocketAddr::from(([127, 0, 0, 1], 1))), Counting::default())
    }

    #[test]
    fn control_goes_first_but_data_does_not_starve() {
        let (queue, counters) = queue();
        let config = TcpConfig::default();
        for n in 0..10 {
            queue.push(&frame(Class::Data, 100 + n), &config, &counters);
            queue.push(&frame(Class::Control, n), &config, &counters);
        }
        let order = names(&queue, &config);
        assert_eq!(order[..12], [0, 1, 2, 3, 100, 4, 5, 6, 7, 101, 8, 9]);
        assert_eq!(order.len(), 20);
    }

    #[test]
    fn a_full_queue_drops_its_oldest_data_and_control_last_of_all() {
        let (queue, counters) = queue();
        let config = TcpConfig { queue_frames_max: 3, queue_bytes_max: 350, ..TcpConfig::default() };
        for (class, name) in [
            (Class::Data, 1),
            (Class::Data, 2),
            (Class::Data, 3),
            (Class::Data, 4),    // 1 goes
            (Class::Control, 5), // 2 goes
            (Class::Control, 6), // 3 goes
            (Class::Control, 7), // 4 goes
            (Class::Data, 8),    // itself
            (Class::Control, 9), // 5 goes
        ] {
            queue.push(&frame(class, name), &config, &counters);
        }
        assert_eq!(names(&queue, &config), [6, 7, 9]);
        let counted = counters.read();
        assert_eq!((counted.dropped_data, counted.dropped_control), (5, 1));
    }

    #[test]
    fn what_waited_through_two_failures_is_dropped() {
        let (queue, counters) = queue();
        let config = TcpConfig::default();
        queue.push(&frame(Class::Control, 1), &config, &counters);
        queue.note_failure(&counters);
        queue.push(&frame(Class::Data, 2), &config, &counters);
        queue.note_failure(&counters);
        queue.push(&frame(Class::Control, 3), &config, &counters);
        assert_eq!(names(&queue, &config), [3, 2]);
    }

    #[test]
    fn a_batch_ends_at_its_bounds() {
        let (queue, counters) = queue();
        let config = TcpConfig { batch_frames_max: 3, ..TcpConfig::default() };
        for n in 0..5 {
            queue.push(&frame(Class::Data, n), &config, &counters);
        }
        assert_eq!(names(&queue, &config), [0, 1, 2]);
        let large = Frame { head: [0; HEAD_BYTES], body: vec![9; BATCH_BYTES].into() };
        queue.push(&large, &config, &counters);
        assert_eq!(names(&queue, &config), [9]);
    }
}
