//! The nodes of one check, what they sent, and what came: every frame that arrives is looked up, so a check that
//! looks for one thing finds all others too.

use super::{Lab, SENDS_TIME_MAX};
use crate::{Frame, HEAD_BYTES, Inbox, InboxLimits, NodeId, Transport};
use bytes::Bytes;
use quorate_core::Rng;
use std::collections::BTreeMap;
use std::time::Duration;

/// Sends of one frame before it is called lost.
const ATTEMPTS: usize = 8;

/// What is wrong, in words.
pub(super) type Wrong = String;

pub(super) struct Floor<'a, L: Lab> {
    lab: &'a mut L,
    nets: BTreeMap<NodeId, L::Net>,
    inboxes: BTreeMap<NodeId, Inbox>,
    /// Of nodes that were stopped: nothing may come into them.
    closed: Vec<(NodeId, Inbox)>,
    log: Log,
    rng: Rng,
}

/// What was sent and what came.
#[derive(Default)]
struct Log {
    sent: Vec<Sent>,
    /// By the bytes as they must arrive. All frames of a check differ.
    by_bytes: BTreeMap<Bytes, usize>,
    wrong: Option<Wrong>,
}

struct Sent {
    from: NodeId,
    to: NodeId,
    frame: Frame,
    came: bool,
}

impl<'a, L: Lab> Floor<'a, L> {
    pub(super) fn new(lab: &'a mut L) -> Self {
        Floor {
            lab,
            nets: BTreeMap::new(),
            inboxes: BTreeMap::new(),
            closed: Vec::new(),
            log: Log::default(),
            rng: Rng::from_seed(1),
        }
    }

    pub(super) fn start(&mut self, id: NodeId) {
        self.start_with(id, Inbox::default());
    }

    /// A node whose inbox holds few frames, and which the suite does not empty until [`Floor::open`].
    pub(super) fn start_clogged(&mut self, id: NodeId) -> Inbox {
        let inbox =
            Inbox::new(InboxLimits { frames_max: 2, control_frames_max: 2, ..InboxLimits::default() });
        let net = self.lab.start(id, inbox.clone());
        self.nets.insert(id, net);
        inbox
    }

    /// From now on the node takes what comes.
    pub(super) fn open(&mut self, id: NodeId, inbox: Inbox) {
        self.inboxes.insert(id, inbox);
    }

    fn start_with(&mut self, id: NodeId, inbox: Inbox) {
        let net = self.lab.start(id, inbox.clone());
        self.nets.insert(id, net);
        self.inboxes.insert(id, inbox);
    }

    pub(super) fn stop(&mut self, id: NodeId) {
        if let Some(net) = self.nets.remove(&id) {
            self.lab.stop(id, net);
        }
        if let Some(inbox) = self.inboxes.remove(&id) {
            self.log.collect(id, &inbox);
            self.closed.push((id, inbox));
        }
    }

    pub(super) fn stop_all(&mut self) {
        let ids: Vec<NodeId> = self.nets.keys().copied().collect();
        ids.into_iter().for_each(|id| self.stop(id));
    }

    pub(super) fn frame_bytes_max(&self, id: NodeId) -> usize {
        self.nets.get(&id).map_or(0, Transport::frame_bytes_max)
    }

    /// A body of random bytes.
    pub(super) fn body(&mut self, len: usize) -> Bytes {
        let mut bytes: Vec<u8> = (0..len.div_ceil(8)).flat_map(|_| self.rng.bits().to_le_bytes()).collect();
        bytes.truncate(len);
        Bytes::from(bytes)
    }

    /// Puts a frame down as sent, without sending it: a head that no other frame has, in the layout of the
    /// link's, so that queues which look at the class find one.
    pub(super) fn write(&mut self, from: NodeId, to: NodeId, body: Bytes) -> usize {
        let number = self.log.sent.len();
        let mut head = [0; HEAD_BYTES];
        head[0] = 1;
        head[1] = 2;
        head[2] = (number % 2) as u8;
        head[8..16].copy_from_slice(&(number as u64 + 1).to_le_bytes());
        head[16..24].copy_from_slice(&self.rng.bits().to_le_bytes());
        head[24..].copy_from_slice(&self.rng.bits().to_le_bytes());
        let frame = Frame { head, body };
        self.log.by_bytes.insert(frame.to_bytes(), number);
        self.log.sent.push(Sent { from, to, frame, came: false });
        number
    }

    /// Hands a written frame to its sender's transport. How long that took.
    pub(super) fn hand_over(&mut self, number: usize) -> Duration {
        let Sent { from, to, frame, .. } = &self.log.sent[number];
        let Some(net) = self.nets.get_mut(from) else { return Duration::ZERO };
        let begun = self.lab.now();
        net.send(*to, frame);
        self.lab.now().saturating_sub(begun)
    }

    /// Sends many frames that need not arrive, and sees to it that nobody waits for that.
    pub(super) fn send_without_waiting(
        &mut self,
        count: usize,
        from: NodeId,
        to: NodeId,
        len: usize,
    ) -> Result<(), Wrong> {
        let mut taken = Duration::ZERO;
        for sent in 1..=count {
            let body = self.body(len);
            let number = self.write(from, to, body);
            taken += self.hand_over(number);
            if taken > SENDS_TIME_MAX {
                return Err(format!("send waits: {sent} frames to {to} took {taken:?}"));
            }
        }
        Ok(())
    }

    /// Sends these frames until all have come, each a few times at most.
    pub(super) fn deliver(&mut self, numbers: &[usize]) -> Result<(), Wrong> {
        for _ in 0..ATTEMPTS {
            for &number in numbers {
                if !self.log.sent[number].came {
                    self.hand_over(number);
                }
            }
            let Floor { lab, inboxes, log, .. } = self;
            let all = lab.wait(&mut || {
                log.collect_all(inboxes);
                log.wrong.is_some() || numbers.iter().all(|number| log.sent[*number].came)
            });
            self.verdict()?;
            if all {
                return Ok(());
            }
        }
        let lost = numbers.iter().filter(|number| !self.log.sent[**number].came).count();
        let Some(first) = numbers.iter().find(|number| !self.log.sent[**number].came) else { return Ok(()) };
        let Sent { from, to, frame, .. } = &self.log.sent[*first];
        let of = numbers.len();
        let len = frame.len();
        Err(format!("{lost} of {of} frames never came, the first of {len} bytes from {from} to {to}"))
    }

    /// One frame of this body, until it has come.
    pub(super) fn exchange(&mut self, from: NodeId, to: NodeId, len: usize) -> Result<(), Wrong> {
        let body = self.body(len);
        let number = self.write(from, to, body);
        self.deliver(&[number])
    }

    /// What is still to be seen at the end of a check.
    pub(super) fn settle(&mut self) -> Result<(), Wrong> {
        self.log.collect_all(&self.inboxes);
        self.verdict()
    }

    fn verdict(&mut self) -> Result<(), Wrong> {
        if let Some((id, _)) = self.closed.iter().find(|(_, inbox)| !inbox.is_empty()) {
            return Err(format!("a frame came into the inbox of {id} after it was stopped"));
        }
        self.log.wrong.take().map_or(Ok(()), Err)
    }
}

impl Log {
    fn collect_all(&mut self, inboxes: &BTreeMap<NodeId, Inbox>) {
        inboxes.iter().for_each(|(id, inbox)| self.collect(*id, inbox));
    }

    fn collect(&mut self, at: NodeId, inbox: &Inbox) {
        let mut frames = Vec::new();
        inbox.take(usize::MAX, &mut frames);
        for (from, frame) in frames {
            if let Err(wrong) = self.note(at, from, &frame) {
                self.wrong.get_or_insert(wrong);
            }
        }
    }

    fn note(&mut self, at: NodeId, from: NodeId, frame: &Bytes) -> Result<(), Wrong> {
        let Some(number) = self.by_bytes.get(frame) else {
            let len = frame.len();
            return Err(format!(
                "{at} got a frame of {len} bytes, under the name of {from}, that nobody sent"
            ));
        };
        let sent = &mut self.sent[*number];
        if sent.from != from {
            return Err(format!("{at} got a frame of {} under the name of {from}", sent.from));
        }
        if sent.to != at {
            return Err(format!("{at} got a frame that was for {}", sent.to));
        }
        sent.came = true;
        Ok(())
    }
}
