//! Messages of one step, put together: what goes to one node, and carries no data, leaves as one.

use super::common::Common;
use super::loads::short;
use super::{Doze, GroupId, Groups, Msg};
use crate::raft;
use quorate_core::{Class, Cx, Mark, NodeId, Recipients, Wire};
use std::collections::{BTreeMap, VecDeque};

/// Bytes that a small message takes in a bundle, at most.
const SMALL_BYTES: usize = 80;

/// Small messages of a bundle, at most.
pub(super) const BUNDLE_MAX: usize = 512;

/// Room for small messages that is kept from one step to the next.
const SMALL_KEPT: usize = 64;

/// Small messages a group that wait for the disk, at most. With a heartbeat every third of an election timeout, those of more
/// than two of them: what waits longer is worth nothing to a leader, and may as well be lost.
const HELD_PER_GROUP: usize = 8;

/// The same, however few groups there are: as many as a fast disk is asked for between two syncs, many times over.
const HELD_MIN: usize = 1 << 16;

/// What waits for the end of the step.
#[derive(Debug, Default)]
pub(super) struct Post {
    small: Vec<Small>,
    /// Small messages that wait for the disk: up to which mark, and how many.
    held: VecDeque<(Mark, usize)>,
    held_count: usize,
    dozes: BTreeMap<NodeId, Vec<Doze>>,
    dozed: BTreeMap<NodeId, Vec<(GroupId, u64)>>,
    not_here: BTreeMap<NodeId, Vec<GroupId>>,
}

#[derive(Debug)]
struct Small {
    to: Recipients,
    group: GroupId,
    msg: raft::Msg,
    /// Leaves once what was appended is on disk.
    held: bool,
}

impl Post {
    pub fn doze(&mut self, to: NodeId, doze: Doze) {
        self.dozes.entry(to).or_default().push(doze);
    }

    /// Whether so many more may wait for the disk; then they do.
    fn holds(&mut self, count: usize, groups: usize, cx: &Cx<'_, Groups>) -> bool {
        while self.held.front().is_some_and(|(mark, _)| *mark <= cx.durable()) {
            self.held_count -= self.held.pop_front().map_or(0, |(_, left)| left);
        }
        let most = groups.saturating_mul(HELD_PER_GROUP).max(HELD_MIN);
        if self.held_count + count > most {
            return false;
        }
        self.held_count += count;
        match self.held.back_mut() {
            Some((mark, held)) if *mark == cx.appended() => *held += count,
            _ => self.held.push_back((cx.appended(), count)),
        }
        true
    }

    pub fn not_here(&mut self, to: NodeId, group: GroupId) {
        self.not_here.entry(to).or_default().push(group);
    }

    pub fn dozed(&mut self, to: NodeId, group: GroupId, nonce: u64) {
        self.dozed.entry(to).or_default().push((group, nonce));
    }
}

/// How many small messages a frame of this size has room for.
pub(super) fn bundle_max(frame_bytes_max: usize) -> usize {
    (frame_bytes_max / SMALL_BYTES).clamp(1, BUNDLE_MAX)
}

impl Common {
    /// A replica's message. What waits for the disk waits for all that this step has written.
    pub fn post(
        &mut self,
        to: Recipients,
        group: GroupId,
        msg: raft::Msg,
        held: bool,
        cx: &mut Cx<'_, Groups>,
    ) {
        if msg.class() == Class::Control {
            return self.post.small.push(Small { to, group, msg, held });
        }
        match short(&msg) {
            Some(bytes) if !held => self.load(to, group, msg, bytes, cx),
            _ => {
                // Behind what was said before.
                self.unload(cx);
                send(cx, to, Msg::One { group, msg }, held);
            }
        }
    }

    /// The step ends: what was put together leaves, so many in a bundle at most, of so many groups. Appends that commands
    /// brought about wait for those of the commands behind them, until this node's turn ends and it is woken.
    pub fn deliver(&mut self, gathers: bool, groups: usize, bundle_max: usize, cx: &mut Cx<'_, Groups>) {
        if !gathers || !self.post.small.is_empty() {
            self.unload(cx);
        }
        if self.post.small.len() <= 1 {
            if let Some(Small { to, group, msg, held }) = self.post.small.pop() {
                self.say(to, Msg::One { group, msg }, 1, held, groups, cx);
            }
        } else {
            self.deliver_bundles(groups, bundle_max, cx);
        }
        for (to, dozes) in std::mem::take(&mut self.post.dozes) {
            for some in dozes.chunks(bundle_max) {
                // A question.
                cx.send_now(to, Msg::Doze(some.into()));
            }
        }
        for (to, dozed) in std::mem::take(&mut self.post.dozed) {
            for some in dozed.chunks(bundle_max) {
                // Lost it is what any answer is: the leader asks again.
                self.say(to.into(), Msg::Dozed(some.into()), some.len(), true, groups, cx);
            }
        }
        for (to, groups) in std::mem::take(&mut self.post.not_here) {
            for some in groups.chunks(bundle_max) {
                // News, no promise; and no group that is not here now comes back after a crash.
                cx.send_now(to, Msg::NotHere(some.into()));
            }
        }
    }

    fn deliver_bundles(&mut self, groups: usize, bundle_max: usize, cx: &mut Cx<'_, Groups>) {
        let mut bundles: BTreeMap<(NodeId, bool), Vec<(GroupId, raft::Msg)>> = BTreeMap::new();
        for Small { to, group, msg, held } in self.post.small.drain(..) {
            for to in to.as_slice() {
                bundles.entry((*to, held)).or_default().push((group, msg.clone()));
            }
        }
        self.post.small.shrink_to(SMALL_KEPT);
        for ((to, held), mut all) in bundles {
            self.counters.bundled += all.len() as u64;
            while all.len() > bundle_max {
                let rest = all.split_off(bundle_max);
                let first = std::mem::replace(&mut all, rest);
                self.say(to.into(), Msg::Many(first.into()), bundle_max, held, groups, cx);
            }
            let count = all.len();
            self.say(to.into(), Msg::Many(all.into()), count, held, groups, cx);
        }
    }

    /// So many small messages leave; or are lost, as on a link, if a disk that takes nothing has held up too many.
    fn say(
        &mut self,
        to: Recipients,
        msg: Msg,
        count: usize,
        held: bool,
        groups: usize,
        cx: &mut Cx<'_, Groups>,
    ) {
        if held && !self.post.holds(count, groups, cx) {
            self.counters.unsaid += count as u64;
            return;
        }
        send(cx, to, msg, held);
    }
}

fn send(cx: &mut Cx<'_, Groups>, to: Recipients, msg: Msg, held: bool) {
    match held {
        true => cx.send(to, msg),
        // The replica said beside it why this promises nothing.
        false => cx.send_now(to, msg),
    }
}
