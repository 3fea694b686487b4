//! What was committed, told to followers: for many groups in one message.
//!
//! A leader tells its followers a commit index that no append has carried in time ([`RaftConfig::commit_notice`]). Alone that
//! is a heartbeat to each follower and an answer from each: with one commit here and there in each of thousands of groups, more
//! messages than the commits themselves. Here the groups that have such an index wait for one time together, and each node is
//! told all of them at once.
//!
//! **What it stands for.** [`Committed`] is an AppendEntries (Raft figure 2) without entries, of the leader of that term: the
//! entry before is the one that is committed. It is taken as such, with all that is checked there. Only an answer that the
//! follower has that entry is kept back: nobody waits for it, as the leader does not take this for a heartbeat, and sends those
//! when they are due. Lost it is what any append is when it is lost; the next heartbeat carries the index as well.
//!
//! [`RaftConfig::commit_notice`]: crate::raft::RaftConfig::commit_notice

use super::common::Common;
use super::sleep::Why;
use super::state::{Awake, State};
use super::step::LOOKS_PER_STEP;
use super::{Committed, GroupId, Groups, Msg};
use crate::raft::{self, Append, Batches, LogId};
use quorate_core::{Cx, Input, NodeId, Time};
use std::collections::{BTreeMap, VecDeque};

/// Leaders count their rounds from 1: an answer to this one confirms nothing.
pub(super) const NO_ROUND: u64 = 0;

/// Groups whose followers are to learn what is committed.
#[derive(Debug)]
pub(super) struct News {
    of: VecDeque<GroupId>,
    at: Time,
}

impl Default for News {
    fn default() -> News {
        News { of: VecDeque::new(), at: Time::NEVER }
    }
}

impl News {
    /// When they are told.
    pub fn wake_at(&self) -> Time {
        self.at
    }
}

impl Common {
    /// Whether this leader has something to tell soon: then it is told with what others have to tell.
    pub fn take_news(&mut self, group: GroupId, awake: &mut Awake, now: Time) {
        if awake.raft.take_notice() && !std::mem::replace(&mut awake.has_news, true) {
            self.news.of.push_back(group);
            self.news.at = self.news.at.min(now + self.config.raft.commit_notice);
        }
    }
}

impl Groups {
    /// Followers learn what is committed.
    pub(super) fn tell_news(&mut self, cx: &mut Cx<'_, Groups>) {
        let mut told: BTreeMap<NodeId, Vec<Committed>> = BTreeMap::new();
        let count = self.common.news.of.len().min(LOOKS_PER_STEP);
        for group in self.common.news.of.drain(..count) {
            let Some(State::Awake(awake)) = self.slots.get_mut(&group).map(|slot| &mut slot.state) else {
                continue;
            };
            let (raft, index) = (&awake.raft, awake.raft.commit());
            awake.has_news = false;
            if raft.is_leader() && raft.log().term_at(index) == Some(raft.term()) {
                for id in raft.peer_ids() {
                    told.entry(id).or_default().push(Committed {
                        group,
                        cluster: raft.group(),
                        term: raft.term(),
                        index,
                    });
                }
            }
        }
        if self.common.news.of.is_empty() {
            self.common.news.at = Time::NEVER;
        }
        for (to, all) in told {
            self.common.counters.committed += all.len() as u64;
            for some in all.chunks(self.bundle_max) {
                // As an append: a quorum has it on disk, whatever this node's own disk does.
                cx.send_now(to, Msg::Committed(some.into()));
            }
        }
    }

    /// Somebody leads there and says what is committed.
    pub(super) fn on_committed(&mut self, from: NodeId, committed: Committed, cx: &mut Cx<'_, Groups>) {
        let Committed { group, cluster, term, index } = committed;
        let Some(mut slot) = self.slots.get_mut(&group) else { return self.on_unknown(from, group) };
        match &slot.state {
            State::Awake(awake) => {
                let raft = &awake.raft;
                if raft.commit() >= index && (raft.leader(), raft.term()) == (Some(from), term) {
                    return;
                }
            }
            State::Asleep(asleep) => {
                let knows = asleep.folded.term() == term && asleep.folded.last().index >= index;
                if knows || !asleep.has_member(from) {
                    return;
                }
                self.wake_up(group, Why::Asked, cx);
                let Some(woken) = self.slots.get_mut(&group) else { return };
                slot = woken;
            }
        }
        let (prev, batches) = (LogId::new(term, index), Batches::None);
        let append = Append { group: cluster, term, prev, commit: index, round: NO_ROUND, batches };
        let input = Input::Message { from, msg: raft::Msg::Append(append) };
        self.common.enter(group, slot, input, cx);
    }
}
