//! Who had better lead, of those who can: an order of preference (thesis §3.10 names the use: a server that is better placed).
//!
//! Whoever is less preferred waits longer before it stands for election, by half a timeout at most; and a leader that has
//! had a more preferred voter beside it for a while, connected and caught up, hands over to it. Both steer only who leads:
//! a vote is given as ever, and with the preferred ones gone everybody else is elected, half a timeout later at worst.
//!
//! **Leadership does not go to and fro.** One that is handed leadership and does not keep it, or never takes it, has to be
//! there for twice as long before this replica tries again, and so on.

use super::{Index, Raft, RaftConfig, Role, peer::Flow};
use quorate_core::{Cx, NodeId, Time};
use std::cmp::Reverse;
use std::time::Duration;

/// Election timeouts for which a more preferred voter is there without a break before it is handed leadership (guess: a
/// restart has settled, and an operator who looks sees who leads).
const PATIENCE_TIMEOUTS: u32 = 10;

/// The most that this patience grows to, in election timeouts (guess).
const PATIENCE_TIMEOUTS_MAX: u32 = 640;

/// So many times the last patience without a try, and nothing is held against it any more.
const FORGIVEN_AFTER: u32 = 8;

/// A more preferred voter, as a leader sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Favourite {
    id: NodeId,
    /// Since when it has been connected and caught up.
    since: Time,
    /// Where the log ended at the last look: by the next one it must have come so far.
    upto: Index,
}

/// The last time this replica made way for a more preferred voter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct MadeWay {
    to: NodeId,
    at: Time,
    /// For how long that one had to be there before.
    patience: Duration,
}

impl RaftConfig {
    /// The place in the order; whoever is not named stands behind all who are.
    pub(crate) fn rank(&self, id: NodeId) -> usize {
        self.preferred.iter().position(|preferred| *preferred == id).unwrap_or(self.preferred.len())
    }

    /// How much longer than the most preferred voter this one waits.
    pub(super) fn deference(&self, id: NodeId) -> Duration {
        if self.preferred.is_empty() {
            return Duration::ZERO;
        }
        // In steps, so that of those that are left the better one comes first as well. (A place is at most the length.)
        let share = self.rank(id) as f64 / self.preferred.len() as f64;
        self.election_timeout.mul_f64(share / 2.0)
    }
}

impl Raft {
    /// How good a successor is: the furthest is soonest ready; of equals the more preferred, then the one heard of last.
    pub(super) fn fitness(&self, peer: &super::peer::Peer) -> (Index, Reverse<usize>, Time) {
        (peer.matched, Reverse(self.config.rank(peer.id)), peer.heard_at)
    }

    /// With every heartbeat: hands over to a more preferred voter that has been there for long enough.
    pub(super) fn make_way(&mut self, cx: &mut Cx<'_, Raft>) {
        if self.config.rank(self.id) == 0 {
            return;
        }
        let (now, last) = (cx.now, self.log.last().index);
        let Role::Leader(leader) = &self.role else { return };
        let upto = leader.favourite.map_or(leader.first, |favourite| favourite.upto);
        let Some(id) = self.best_above(upto, now) else { return self.set_favourite(None) };
        let since = leader.favourite.filter(|known| known.id == id).map_or(now, |known| known.since);
        let joint = self.history.in_force().is_none_or(|configuration| configuration.is_joint());
        let busy = joint
            || leader.transfer.is_some()
            || leader.changing.is_some()
            || self.commit < leader.first.max(self.history.since());
        let patience = self.patience(id, now);
        if busy || now.since(since) < patience {
            return self.set_favourite(Some(Favourite { id, since, upto: last }));
        }
        // Should it come to nothing, it has to show itself anew.
        self.set_favourite(None);
        self.made_way = Some(MadeWay { to: id, at: now, patience });
        self.counters.made_way += 1;
        self.begin_transfer(id, cx);
    }

    fn set_favourite(&mut self, favourite: Option<Favourite>) {
        if let Some(leader) = self.leader_mut() {
            leader.favourite = favourite;
        }
    }

    /// The most preferred voter above this one that is connected and has all up to this index.
    fn best_above(&self, upto: Index, now: Time) -> Option<NodeId> {
        let own = self.config.rank(self.id);
        let heard = |at| now.since(at) <= self.config.election_timeout;
        let able = self.peers.iter().filter(|peer| {
            let caught_up = peer.flow == Flow::Replicate && peer.matched >= upto && heard(peer.heard_at);
            self.config.rank(peer.id) < own && caught_up && self.may_succeed(peer)
        });
        able.min_by_key(|peer| self.config.rank(peer.id)).map(|peer| peer.id)
    }

    /// For how long this one must have been there.
    fn patience(&self, id: NodeId, now: Time) -> Duration {
        let [least, most] = [PATIENCE_TIMEOUTS, PATIENCE_TIMEOUTS_MAX]
            .map(|n| self.config.election_timeout.saturating_mul(n));
        match self.made_way {
            Some(before)
                if before.to == id
                    && now.since(before.at) < before.patience.saturating_mul(FORGIVEN_AFTER) =>
            {
                before.patience.saturating_mul(2).clamp(least, most)
            }
            _ => least,
        }
    }
}
