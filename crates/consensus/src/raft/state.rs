//! A replica's state.

use super::{
    Batch, Configuration, Founding, Index, Log, LogId, Mutation, RaftConfig, RaftConfigError, Snapshot, Term,
    history::History, install::Install, leader::Leader, peer::Peer, preference::MadeWay,
};
use quorate_core::{Boot, JournalId, Mark, NodeId, Time};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// One replica of a replicated log (Ongaro and Ousterhout, 2014), as a value. Sees bytes only.
#[derive(Clone, PartialEq, Debug)]
pub struct Raft {
    pub(super) id: NodeId,
    /// Shared by all replicas that have the same.
    pub(super) config: Arc<RaftConfig>,
    pub(super) founding: Founding,
    pub(super) boot: Option<Boot>,
    /// Holds no state; see [`super::witness`].
    pub(super) witness: bool,

    /// Whom it was founded with; none if it joined. From the journal once there is one.
    pub(super) founders: Vec<NodeId>,
    /// The name of the cluster that it is of; 0 before the founding is complete, and before one served it.
    pub(super) group: u64,
    /// The journal under which this replica founds.
    pub(super) own_pin: Option<JournalId>,
    /// Who votes. Nobody before the founding is complete.
    pub(super) history: History,

    // Persistent (Raft figure 2).
    pub(super) term: Term,
    pub(super) vote: Option<NodeId>,
    pub(super) log: Log,
    pub(super) snapshot: Option<Snapshot>,

    /// Journals of voters that were put back to an earlier copy; its own perhaps.
    pub(super) rolled_back: BTreeSet<JournalId>,

    // Volatile.
    pub(super) role: Role,
    pub(super) leader: Option<NodeId>,
    pub(super) commit: Index,
    /// Knows all that was committed before this life.
    pub(super) caught_up: bool,
    pub(super) peers: Vec<Peer>,
    /// Every node that a link is up to, whether it is a peer or not.
    pub(super) links: BTreeMap<NodeId, Boot>,
    /// Whose log it pulls, and where that ends.
    pub(super) pull: Option<(NodeId, LogId)>,
    /// Behind which entry it asked last, when the first one was not there.
    pub(super) asked_behind: Option<LogId>,
    /// Whose logs could not be pulled: they begin behind the end of this one, perhaps.
    pub(super) barren: BTreeSet<NodeId>,
    /// All peers, shared by the messages that go to everybody.
    pub(super) everybody: Arc<[NodeId]>,
    /// The snapshot that the object on its way in is to become, as the journal says. Whoever sends the same goes on with it.
    pub(super) receiving: Option<Snapshot>,
    pub(super) install: Option<Box<Install>>,
    /// Objects that may have to be removed.
    pub(super) objects: Vec<u64>,
    /// Objects that leaders' snapshots went into in this life.
    pub(super) received: u64,
    /// The object of its own snapshot, if it turned out to be damaged.
    pub(super) damaged: Option<u64>,
    /// The last snapshot that the port could not restore: its name, its checksum, and when it is worth another
    /// try.
    pub(super) unrestorable: Option<(LogId, u32, Time)>,
    /// It was told who leads since it last asked to be served.
    pub(super) referred: bool,
    /// Stands for election no more.
    pub(super) abstains: bool,
    /// Does not stand yet: its state machine is not whole.
    pub(super) lacks_state: bool,
    /// Times in a row that the disk refused to tell of the object on its way in.
    pub(super) refusals: u32,
    /// Up to where all voters with state have the log on disk, as leaders say where there are witnesses.
    pub(super) held: Option<Index>,
    pub(super) election_at: Time,
    /// By how much more than the timeout it waits, as drawn last.
    pub(super) spread: Duration,
    pub(super) heard_leader_at: Option<Time>,
    /// Gives no vote before, as somebody may read by lease; see [`super::lease`].
    pub(super) bound_until: Time,
    /// Its heartbeats fall on multiples of their interval, so that those of many leave together.
    pub(super) on_grid: bool,
    /// The last time it handed over to a more preferred voter.
    pub(super) made_way: Option<MadeWay>,
    /// For records of entries: the last index they reach, and their mark. For compaction.
    pub(super) marks: VecDeque<(Index, Mark)>,
    pub(super) replayed: Mark,
    pub(super) counters: RaftCounters,
}

/// What a replica is at the moment.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Role {
    Follower,
    /// Asks whether it would be elected, without spending a term.
    PreCandidate,
    Candidate {
        /// When term and own vote are on disk: before, a crash could forget the vote and let it lead the term twice.
        voted: Mark,
    },
    Leader(Box<Leader>),
}

/// What happened to a replica in this life, counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize)]
pub struct RaftCounters {
    /// Times it asked whether it would be elected.
    pub pre_campaigns: u64,
    /// Times it stood for election.
    pub campaigns: u64,
    /// Pieces of others' logs that it took because its own was too short to be elected with.
    pub pulled: u64,
    /// Times it was elected.
    pub elected: u64,
    /// Pre-votes and votes it refused because it hears a leader.
    pub sticky: u64,
    /// Times it began to hand leadership over.
    pub transfers: u64,
    /// Times that came to nothing.
    pub transfers_failed: u64,
    /// Those to a voter that is preferred, by itself.
    pub made_way: u64,
    /// Times it stood for election because the leader handed over.
    pub took_over: u64,
    /// Times it stopped leading because it heard no quorum.
    pub lost_quorum: u64,
    /// Times it stopped leading because its disk stalled.
    pub stalled_disk: u64,
    /// Appends it refused because the entry before was not there.
    pub conflicts: u64,
    /// Times that what a quorum had on disk waited to be committed, as only witnesses had it.
    pub awaited_state: u64,
    /// Times it took back entries that another leader overwrote.
    pub truncations: u64,
    /// Configurations it put into the log: two a change of voters.
    pub configurations: u64,
    /// Changes of voters that another leader began and it completed.
    pub changes_completed: u64,
    /// Times it stopped leading because it had no vote any more.
    pub removed: u64,
    /// Snapshots it began to send.
    pub snapshots_sent: u64,
    /// Snapshots it installed.
    pub snapshots_installed: u64,
    /// Snapshots it received and refused: damaged, too large, or not restorable.
    pub snapshots_refused: u64,
    /// Times that a snapshot's object, or a piece of it, could not be read or written: its disk refused, or it was damaged.
    pub snapshots_unread: u64,
    /// Times it compacted its log.
    pub compactions: u64,
    /// Proposals it passed on to the leader.
    pub forwarded: u64,
    /// Messages of another founding.
    pub foreign: u64,
    /// Votes and acknowledgements of a voter under a journal that is not the one it was founded with.
    pub strangers: u64,
    /// Voters that were found to run on an old copy of their disk, this one included.
    pub rolled_back: u64,
    /// Messages that no correct replica sends.
    pub nonsense: u64,
    /// Reads confirmed by a round.
    pub reads: u64,
    /// Reads answered by lease, without one.
    pub leased_reads: u64,
}

impl Raft {
    /// A replica before its journal is replayed.
    pub fn new(
        id: NodeId,
        config: impl Into<Arc<RaftConfig>>,
        founding: Founding,
    ) -> Result<Raft, RaftConfigError> {
        let config = config.into();
        config.validate()?;
        let voters = founding.validated()?;
        let mut raft = Raft { founding, ..Raft::blank(id, config) };
        raft.set_founders(voters);
        Ok(raft)
    }

    /// One that knows nothing at all.
    pub(super) fn blank(id: NodeId, config: Arc<RaftConfig>) -> Raft {
        Raft {
            id,
            config,
            founding: Founding::Join(Vec::new()),
            boot: None,
            witness: false,
            founders: Vec::new(),
            group: 0,
            own_pin: None,
            history: History::default(),
            term: 0,
            vote: None,
            log: Log::default(),
            snapshot: None,
            rolled_back: BTreeSet::new(),
            role: Role::Follower,
            leader: None,
            commit: 0,
            caught_up: false,
            peers: Vec::new(),
            links: BTreeMap::new(),
            pull: None,
            asked_behind: None,
            barren: BTreeSet::new(),
            everybody: Arc::new([]),
            receiving: None,
            install: None,
            objects: Vec::new(),
            received: 0,
            damaged: None,
            unrestorable: None,
            referred: false,
            abstains: false,
            lacks_state: false,
            refusals: 0,
            held: None,
            election_at: Time::NEVER,
            spread: Duration::ZERO,
            heard_leader_at: None,
            bound_until: Time::ZERO,
            on_grid: false,
            made_way: None,
            marks: VecDeque::new(),
            replayed: Mark(0),
            counters: RaftCounters::default(),
        }
    }

    pub(super) fn set_founders(&mut self, founders: Vec<NodeId>) {
        self.peers.clear();
        self.founders = founders;
        self.reconfigure(Time::ZERO);
    }

    /// Another configuration is in force: whoever it names is a peer. `now` is for one that leads.
    pub(super) fn reconfigure(&mut self, now: Time) {
        let (leads, next) = (self.is_leader(), self.log.last().index + 1);
        // A leader says so again, if there are witnesses still.
        self.held.take_if(|_| !self.witness);
        let nodes = self.voters();
        for peer in &mut self.peers {
            peer.voter = nodes.binary_search(&peer.id).is_ok();
        }
        // A leader goes on serving those that have no vote any more.
        self.peers.retain(|peer| peer.voter || leads);
        for id in nodes {
            if id != self.id && self.peer(id).is_none() {
                let mut peer = Peer::new(id, true, self.links.get(&id).copied());
                peer.rolled_back = peer.boot.is_some_and(|boot| self.rolled_back.contains(&boot.journal));
                if leads {
                    peer.reset(next, now);
                }
                self.peers.push(peer);
            }
        }
        self.share_peers();
    }

    pub(super) fn share_peers(&mut self) {
        self.everybody = self.peers.iter().map(|peer| peer.id).collect();
    }

    /// Puts a batch behind the log. A configuration is in force as soon as the log holds it (Raft §6).
    pub(super) fn hold(&mut self, batch: Batch, now: Time) {
        if let Some(configuration) = batch.as_configuration() {
            self.history.push(batch.first(), Arc::new(configuration));
            self.reconfigure(now);
        }
        self.log.push(batch);
    }

    /// Takes entries back from `first` on, in the log and in what is known of its records.
    pub(super) fn overwrite_from(&mut self, first: Index) {
        if first > self.log.last().index {
            return;
        }
        self.log.truncate_from(first);
        let since = self.history.since();
        if !self.config.suffers(Mutation::ConfigurationNotTakenBack) {
            self.history.truncate_from(first);
        }
        if self.history.since() != since {
            // A leader takes nothing back.
            self.reconfigure(Time::ZERO);
        }
        while let Some((last, mark)) = self.marks.pop_back() {
            if last < first {
                self.marks.push_back((last, mark));
                break;
            }
            // A record of which only the front still counts reaches up to there.
            let before = self.marks.back().map_or(self.log.base().index, |(last, _)| *last);
            if before + 1 < first {
                self.marks.push_back((first - 1, mark));
                break;
            }
        }
    }

    pub(super) fn peer(&self, id: NodeId) -> Option<&Peer> {
        self.peers.iter().find(|peer| peer.id == id)
    }

    pub(super) fn peer_mut(&mut self, id: NodeId) -> Option<&mut Peer> {
        self.peers.iter_mut().find(|peer| peer.id == id)
    }

    /// Its name.
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// Its settings.
    pub fn config(&self) -> &RaftConfig {
        &self.config
    }

    /// The nodes that vote by the configuration in force, both halves of a change included, ascending; the founders
    /// before there is one.
    pub fn voters(&self) -> Vec<NodeId> {
        self.history.in_force().map_or_else(|| self.founders.clone(), |configuration| configuration.nodes())
    }

    /// Who decides, and the entry that says so (0 for the founding). `None` before the founding is complete, and on a
    /// replica that joined and holds nothing yet. In force from its entry on, committed or not.
    pub fn configuration(&self) -> Option<(Index, &Configuration)> {
        Some((self.history.since(), self.history.in_force()?))
    }

    /// The name of the cluster that it is of: a digest of the founders and the disks on which they met. 0 while they have
    /// not, and on one that joins before it is served.
    pub fn group(&self) -> u64 {
        self.group
    }

    /// Whether there is a configuration: all founders have met and said so, or a log says it. Before that nobody stands
    /// for election.
    pub fn is_founded(&self) -> bool {
        self.history.in_force().is_some()
    }

    /// Its current term.
    pub fn term(&self) -> Term {
        self.term
    }

    /// Who got its vote in the current term.
    pub fn vote(&self) -> Option<NodeId> {
        self.vote
    }

    /// Whether it leads the current term.
    pub fn is_leader(&self) -> bool {
        matches!(self.role, Role::Leader(_))
    }

    /// Who leads the current term, as far as it knows.
    pub fn leader(&self) -> Option<NodeId> {
        self.leader
    }

    /// The last index known to be committed.
    pub fn commit(&self) -> Index {
        self.commit
    }

    /// Its log.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// The last entry's name.
    pub fn last(&self) -> LogId {
        self.log.last()
    }

    /// The snapshot it would start from.
    pub fn snapshot(&self) -> Option<&Snapshot> {
        self.snapshot.as_ref()
    }

    /// What happened to it in this life.
    pub fn counters(&self) -> RaftCounters {
        self.counters
    }
}
