//! Change of voters: any change in one step, by joint consensus (Raft §6).
//!
//! Whoever is to vote is served first, without a vote, until it has caught up (thesis §4.2.1, in rounds): a newcomer with
//! an empty log would hold up every commit. Then an entry names both bodies, the old and the new, and from there on
//! both must agree; once it is committed, an entry names the new one alone. The second step is every leader's, whoever
//! began the first: a change does not stay half done.
//!
//! **Invariant.** At most one configuration is not committed (thesis §4.1): a change begins once the one in force is, and
//! something of this leader's own term.

use super::{
    Batch, Configuration, ConfigurationError, Electors, Event, Index, Msg, Mutation, Quorums, Raft, Role,
    Voter, configuration::Decision, peer::Peer,
};
use quorate_core::{Cx, JournalId, NodeId, Time, quorum::Electorate};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is to change about who votes, relative to whoever votes when it begins. All of it takes effect together.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Change {
    add: BTreeMap<NodeId, u64>,
    remove: Vec<NodeId>,
    keep_only_added: bool,
    quorums: Option<Quorums>,
    epoch: Option<u64>,
}

impl Change {
    /// Nothing yet.
    pub fn new() -> Change {
        Change::default()
    }

    /// Exactly these voters, whoever votes now: all of them may be other ones.
    pub fn to<I: Into<NodeId>>(voters: impl IntoIterator<Item = I>) -> Change {
        let add = voters.into_iter().map(|id| (id.into(), 1)).collect();
        Change { add, keep_only_added: true, ..Change::default() }
    }

    /// This node is to vote, with a weight of 1, on the disk that it runs on. One that votes already and lost its disk
    /// is replaced by itself on the new one.
    #[expect(clippy::should_implement_trait, reason = "it adds a voter, not two changes")]
    pub fn add(self, node: impl Into<NodeId>) -> Change {
        self.add_weighted(node, 1)
    }

    /// The same with a weight. Of one that votes already the weight changes.
    pub fn add_weighted(mut self, node: impl Into<NodeId>, weight: u64) -> Change {
        self.add.insert(node.into(), weight);
        self
    }

    /// This node is not to vote any more. It stays a replica for as long as it runs.
    pub fn remove(mut self, node: impl Into<NodeId>) -> Change {
        self.remove.push(node.into());
        self
    }

    /// Other quorums are to decide.
    pub fn quorums(mut self, quorums: Quorums) -> Change {
        self.quorums = Some(quorums);
        self
    }

    /// Only if the configuration of this number is in force when the change begins: nobody changed it meanwhile.
    pub fn if_epoch(mut self, epoch: u64) -> Change {
        self.epoch = Some(epoch);
        self
    }
}

/// Why voters do not change. They are what they were.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotChanged {
    /// This replica does not lead, or is handing over.
    #[error("this replica does not lead")]
    NotLeader(Option<NodeId>),
    /// Another change is under way.
    #[error("another change is under way")]
    Busy,
    /// Who would vote then could not decide safely.
    #[error(transparent)]
    Invalid(#[from] ConfigurationError),
    /// Another change came first.
    #[error("epoch {in_force} is in force, not {expected}")]
    Epoch {
        /// The one asked for.
        expected: u64,
        /// The one there is.
        in_force: u64,
    },
    /// One that is to be removed does not vote.
    #[error("{0} does not vote")]
    NoVoter(NodeId),
    /// All who would vote then are witnesses.
    #[error("all who would vote then are witnesses, which hold no state: they alone cannot lead")]
    OnlyWitnesses,
    /// Those who would vote then are not heard by as many as it takes to decide, or none of them with state is, or nothing
    /// was committed in time.
    #[error("those who would vote then cannot decide, as too few of them are heard, or none with state")]
    Unreachable,
    /// A configuration longer than `entry_bytes_max` fits no message.
    #[error("both bodies together have {bytes} bytes, at most {bytes_max}")]
    TooLarge {
        /// What it would take.
        bytes: usize,
        /// What there is.
        bytes_max: usize,
    },
    /// A newcomer was not reached, or is still behind.
    #[error("{node} has not caught up: {behind} entries behind, and {}", if *.linked { "connected" } else { "not connected" })]
    NotCaughtUp {
        /// Who.
        node: NodeId,
        /// How many entries it lacks.
        behind: u64,
        /// Whether its link is up.
        linked: bool,
    },
}

/// A change that was asked of this leader.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Changing {
    request: u64,
    /// What is waited with: newcomers that catch up. `None` once it is in the log.
    waits: Option<Change>,
    /// The newcomers' round: they are to reach this entry, asked for at this time.
    round: (Index, Time),
    /// When the newcomers have had their time; never, once it is in the log.
    pub until: Time,
}

impl Raft {
    pub(super) fn on_change(&mut self, request: u64, change: Change, cx: &mut Cx<'_, Raft>) {
        if let Err(why) = self.begin_change(request, change, cx) {
            // A refusal promises nothing.
            cx.emit_now(Event::NotChanged { request, why });
        }
    }

    fn begin_change(
        &mut self,
        request: u64,
        change: Change,
        cx: &mut Cx<'_, Raft>,
    ) -> Result<(), NotChanged> {
        let (last, until) = (self.log.last().index, cx.now + self.config.promotion_timeout);
        let leader = self.leader.filter(|leader| *leader != self.id);
        let Role::Leader(leading) = &mut self.role else { return Err(NotChanged::NotLeader(leader)) };
        if leading.changing.is_some() || leading.transfer.is_some() {
            return Err(NotChanged::Busy);
        }
        leading.changing =
            Some(Changing { request, waits: Some(change.clone()), round: (last, cx.now), until });
        // What can be said at once is. (Newcomers may not be linked yet; their disks are named when it begins.)
        if let Err(why) = self.changed(&change, true) {
            self.forget_change();
            return Err(why);
        }
        for id in change.add.keys() {
            self.serve(*id, cx);
        }
        self.seal(cx);
        self.change(cx);
        Ok(())
    }

    /// Whether a change waits for it.
    pub(super) fn is_awaited(&self, id: NodeId) -> bool {
        let Role::Leader(leader) = &self.role else { return false };
        let change = leader.changing.as_ref().and_then(|changing| changing.waits.as_ref());
        change.is_some_and(|change| change.add.contains_key(&id))
    }

    fn forget_change(&mut self) {
        if let Some(leader) = self.leader_mut() {
            leader.changing = None;
        }
    }

    /// Who would vote. A newcomer that is not linked is left out, or, while it is `awaited`, counted on some disk.
    fn changed(&self, change: &Change, awaited: bool) -> Result<Electors, NotChanged> {
        let Some(configuration) = self.history.in_force() else { return Err(NotChanged::NotLeader(None)) };
        let now = &configuration.incoming;
        if let Some(expected) = change.epoch.filter(|epoch| *epoch != now.epoch()) {
            return Err(NotChanged::Epoch { expected, in_force: now.epoch() });
        }
        if let Some(id) = change.remove.iter().find(|id| now.voter(**id).is_none()) {
            return Err(NotChanged::NoVoter(*id));
        }
        let stays = |id: &NodeId| !change.keep_only_added && !change.remove.contains(id);
        let mut voters: BTreeMap<NodeId, (Voter, u64)> =
            now.voters().iter().map(|(voter, weight)| (voter.node, (*voter, *weight))).collect();
        voters.retain(|id, _| stays(id) || change.add.contains_key(id));
        for (node, weight) in &change.add {
            let journal = match *node == self.id {
                true => self.journal(),
                false => self.peer(*node).and_then(|peer| peer.boot).map(|boot| boot.journal),
            };
            let some = awaited.then_some(JournalId(0)).filter(|_| !voters.contains_key(node));
            match (journal.or(some), voters.get_mut(node)) {
                (Some(journal), _) => drop(voters.insert(*node, (Voter { node: *node, journal }, *weight))),
                // It votes and is away: on the disk that is known.
                (None, Some(voter)) => voter.1 = *weight,
                (None, None) => {}
            }
        }
        let electorate =
            Electorate::new(now.epoch() + 1, voters.into_values()).map_err(ConfigurationError::from)?;
        Ok(Electors::new(electorate, change.quorums.unwrap_or(now.quorums()))?)
    }

    /// The one of these newcomers that is furthest behind this index.
    fn laggard(&self, change: &Change, upto: Index) -> Option<(NodeId, u64, bool)> {
        let newcomers = change.add.keys().filter(|id| **id != self.id);
        let behind = newcomers.map(|id| {
            let peer = self.peer(*id);
            let behind = upto.saturating_sub(peer.map_or(0, |peer| peer.matched));
            (*id, behind, peer.is_some_and(|peer| peer.boot.is_some()))
        });
        behind.filter(|(_, behind, linked)| *behind > 0 || !linked).max_by_key(|(_, behind, _)| *behind)
    }

    /// Goes on with a change that waits, if it can.
    #[inline]
    pub(super) fn change(&mut self, cx: &mut Cx<'_, Raft>) {
        // Mostly there is none.
        if matches!(&self.role, Role::Leader(leader) if leader.changing.is_some()) {
            self.go_on_changing(cx);
        }
    }

    fn go_on_changing(&mut self, cx: &mut Cx<'_, Raft>) {
        let Role::Leader(leader) = &self.role else { return };
        let Some(Changing { request, waits: Some(change), round, .. }) = &leader.changing else { return };
        let (upto, since) = *round;
        let settled = self.commit >= leader.first && self.commit >= self.history.since();
        let joint = self.history.in_force().is_none_or(|configuration| configuration.is_joint());
        let early = self.config.suffers(Mutation::ChangeTooEarly);
        if !settled && !early || joint || leader.transfer.is_some() || self.laggard(change, upto).is_some() {
            return;
        }
        let (request, change) = (*request, change.clone());
        if cx.now.since(since) > self.config.election_timeout && !change.add.is_empty() {
            // It took long: what came meanwhile may be as much again (thesis §4.2.1).
            let last = self.log.last().index;
            if last > upto {
                if let Some(changing) = self.leader_mut().and_then(|leader| leader.changing.as_mut()) {
                    changing.round = (last, cx.now);
                }
                return self.change(cx);
            }
        }
        let incoming = match self.changed(&change, false) {
            Ok(incoming) => incoming,
            Err(why) => {
                self.forget_change();
                // As above.
                return cx.emit_now(Event::NotChanged { request, why });
            }
        };
        let Some(outgoing) = self.history.in_force().map(|configuration| configuration.incoming.clone())
        else {
            return;
        };
        if incoming.voters() == outgoing.voters() && incoming.quorums() == outgoing.quorums() {
            self.forget_change();
            // It is committed as it is.
            return cx.emit_now(Event::Changed { request });
        }
        if self.are_witnesses(&incoming) {
            self.forget_change();
            // As above.
            return cx.emit_now(Event::NotChanged { request, why: NotChanged::OnlyWitnesses });
        }
        // One that cannot decide would be let in for ever: neither forward nor back without it.
        let body = Configuration::simple(incoming.clone());
        let patience = self.config.election_timeout + self.config.heartbeat;
        let heard = |peer: &Peer| cx.now.since(peer.heard_at) <= patience;
        let decide = |decision| self.would_decide(&body, decision, heard);
        if !decide(Decision::Election) || !decide(Decision::Replication) {
            return;
        }
        // Nor does one commit anything of which nobody with state is there.
        if !self.hears_state_among(&body.incoming, heard) {
            return;
        }
        let outgoing = (!self.config.suffers(Mutation::ChangeWithoutJoint)).then_some(outgoing);
        let configuration = Configuration { incoming, outgoing };
        let (bytes, bytes_max) = (configuration.bytes(), self.config.entry_bytes_max);
        if bytes > bytes_max {
            self.forget_change();
            // As above.
            return cx
                .emit_now(Event::NotChanged { request, why: NotChanged::TooLarge { bytes, bytes_max } });
        }
        if let Some(changing) = self.leader_mut().and_then(|leader| leader.changing.as_mut()) {
            (changing.waits, changing.until) = (None, Time::NEVER);
        }
        self.configure(configuration, cx);
    }

    fn configure(&mut self, configuration: Configuration, cx: &mut Cx<'_, Raft>) {
        self.counters.configurations += 1;
        // What has a place already stands before it.
        self.seal(cx);
        let batch = Batch::configuration(self.log.last().index + 1, self.term, &configuration);
        self.add(batch, cx);
    }

    /// The commit index moved from here. If the configuration in force is committed now, a change leaves its joint part, or is
    /// complete.
    pub(super) fn on_committed(&mut self, before: Index, cx: &mut Cx<'_, Raft>) {
        let Role::Leader(leader) = &self.role else { return };
        let since = self.history.since().max(leader.first);
        if before < since && since <= self.commit {
            self.on_change_committed(cx);
        }
        self.change(cx);
    }

    fn on_change_committed(&mut self, cx: &mut Cx<'_, Raft>) {
        let Role::Leader(leader) = &self.role else { return };
        let Some(configuration) = self.history.in_force() else { return };
        if configuration.is_joint() {
            if leader.changing.is_none() && self.config.suffers(Mutation::JointNotLeft) {
                return;
            }
            let incoming = configuration.incoming.clone();
            self.counters.changes_completed += u64::from(leader.changing.is_none());
            return self.configure(Configuration::simple(incoming), cx);
        }
        if let Some(Changing { request, waits: None, .. }) = leader.changing {
            self.forget_change();
            // A quorum has it on disk.
            cx.emit_now(Event::Changed { request });
        }
        if !self.may_vote() {
            self.leave(cx);
        }
    }

    /// This leader has no vote any more: it leads no further than to here (Raft §6). The voter that is furthest takes over.
    fn leave(&mut self, cx: &mut Cx<'_, Raft>) {
        let able = self.peers.iter().filter(|peer| self.may_succeed(peer));
        let complete = able.filter(|peer| peer.matched == self.log.last().index);
        if let Some(next) = complete.max_by_key(|peer| self.fitness(peer)).map(|peer| peer.id) {
            // It promises nothing: an election is won by votes.
            cx.send_now(next, Msg::TakeOver { group: self.group, term: self.term });
        }
        self.counters.removed += 1;
        // What the others have to know is that it is committed; then, that nobody leads.
        self.broadcast(cx);
        self.resign(cx);
    }

    pub(super) fn expire_change(&mut self, cx: &mut Cx<'_, Raft>) {
        let Role::Leader(leader) = &self.role else { return };
        let Some(Changing { request, waits: Some(change), until, .. }) = &leader.changing else { return };
        if *until > cx.now {
            return;
        }
        let last = self.log.last().index;
        let (request, laggard) = (*request, self.laggard(change, last));
        self.forget_change();
        let why = match laggard {
            Some((node, behind, linked)) => NotChanged::NotCaughtUp { node, behind, linked },
            None => NotChanged::Unreachable,
        };
        // As above.
        cx.emit_now(Event::NotChanged { request, why });
    }

    /// Tells of the configurations that were committed between these indices.
    pub(super) fn tell_configurations(&mut self, before: Index, commit: Index, cx: &mut Cx<'_, Raft>) {
        let mut from = before;
        while let Some((index, configuration)) = self.history.first_within(from, commit) {
            let configuration = Arc::clone(configuration);
            // A quorum has it on disk, whatever this node's own disk does.
            cx.emit_now(Event::Configured { index, configuration });
            from = index;
        }
    }
}
