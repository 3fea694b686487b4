//! A replica's state, and how it is rebuilt from its records.

use super::{
    Founding, Index, Log, LogId, Pin, RaftConfig, RaftConfigError, Record, Snapshot, Term, install::Install,
    leader::Leader, peer::Peer,
};
use quorate_core::quorum::Electorate;
use quorate_core::{Boot, Corrupt, Mark, NodeId, Time};
use std::collections::VecDeque;
use std::sync::Arc;

/// One replica of a replicated log (Ongaro and Ousterhout, 2014), as a value. Sees bytes only.
#[derive(Clone, PartialEq, Debug)]
pub struct Raft {
    pub(super) id: NodeId,
    pub(super) config: RaftConfig,
    pub(super) founding: Founding,
    pub(super) boot: Option<Boot>,

    // What it was founded with, or joined. From the journal once there is one.
    pub(super) voters: Vec<NodeId>,
    pub(super) electorate: Option<Electorate<NodeId>>,
    pub(super) group: u64,
    /// The journal under which this replica votes, if it does.
    pub(super) own_pin: Option<Pin>,
    /// All founders have written down the same pins: elections may begin.
    pub(super) founded: bool,

    // Persistent (Raft figure 2).
    pub(super) term: Term,
    pub(super) vote: Option<NodeId>,
    pub(super) log: Log,
    pub(super) snapshot: Option<Snapshot>,

    // Volatile.
    pub(super) role: Role,
    pub(super) leader: Option<NodeId>,
    pub(super) commit: Index,
    /// Knows all that was committed before this life.
    pub(super) caught_up: bool,
    pub(super) peers: Vec<Peer>,
    /// Whose log it pulls, and where that ends.
    pub(super) pull: Option<(NodeId, LogId)>,
    /// Behind which entry it asked last, when the first one was not there.
    pub(super) asked_behind: Option<LogId>,
    /// All peers, shared by the messages that go to everybody.
    pub(super) everybody: Arc<[NodeId]>,
    pub(super) install: Option<Install>,
    /// The last snapshot that the port could not restore: its name, its checksum, and when it is worth another
    /// try.
    pub(super) unrestorable: Option<(LogId, u32, Time)>,
    /// Stands for election no more.
    pub(super) abstains: bool,
    pub(super) election_at: Time,
    pub(super) heard_leader_at: Option<Time>,
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
    Candidate,
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
    /// Times it stood for election because the leader handed over.
    pub took_over: u64,
    /// Times it stopped leading because it heard no quorum.
    pub lost_quorum: u64,
    /// Times it stopped leading because its disk stalled.
    pub stalled_disk: u64,
    /// Appends it refused because the entry before was not there.
    pub conflicts: u64,
    /// Times it took back entries that another leader overwrote.
    pub truncations: u64,
    /// Snapshots it began to send.
    pub snapshots_sent: u64,
    /// Snapshots it installed.
    pub snapshots_installed: u64,
    /// Snapshots it received and refused: damaged, too large, or not restorable.
    pub snapshots_refused: u64,
    /// Times it compacted its log.
    pub compactions: u64,
    /// Proposals it passed on to the leader.
    pub forwarded: u64,
    /// Messages of another founding.
    pub foreign: u64,
    /// Votes and acknowledgements of a voter under a journal that is not the one it was founded with.
    pub strangers: u64,
    /// Messages that no correct replica sends.
    pub nonsense: u64,
    /// Reads confirmed by a round.
    pub reads: u64,
}

impl Raft {
    /// A replica before its journal is replayed.
    pub fn new(id: NodeId, config: RaftConfig, founding: Founding) -> Result<Raft, RaftConfigError> {
        config.validate()?;
        let voters = founding.validated()?;
        let mut raft = Raft {
            id,
            config,
            founding,
            boot: None,
            voters: Vec::new(),
            electorate: None,
            group: 0,
            own_pin: None,
            founded: false,
            term: 0,
            vote: None,
            log: Log::default(),
            snapshot: None,
            role: Role::Follower,
            leader: None,
            commit: 0,
            caught_up: false,
            peers: Vec::new(),
            pull: None,
            asked_behind: None,
            everybody: Arc::new([]),
            install: None,
            unrestorable: None,
            abstains: false,
            election_at: Time::NEVER,
            heard_leader_at: None,
            marks: VecDeque::new(),
            replayed: Mark(0),
            counters: RaftCounters::default(),
        };
        raft.set_voters(voters);
        Ok(raft)
    }

    pub(super) fn set_voters(&mut self, voters: Vec<NodeId>) {
        self.group = if voters.is_empty() { 0 } else { group_of(&voters) };
        self.peers = voters.iter().filter(|id| **id != self.id).map(|id| Peer::new(*id, true)).collect();
        self.electorate = Electorate::equal(0, voters.iter().copied()).ok();
        self.voters = voters;
        self.share_peers();
    }

    pub(super) fn share_peers(&mut self) {
        self.everybody = self.peers.iter().map(|peer| peer.id).collect();
    }

    pub(super) fn on_replay(&mut self, record: Record) -> Result<(), Corrupt> {
        self.replayed.0 += 1;
        match record {
            // Behind a base that was written before anything was compacted it stands a second time.
            Record::Founded { voters } if self.replayed.0 > 1 && voters == self.voters => {}
            Record::Founded { voters } => {
                if voters.is_empty() || voters.windows(2).any(|pair| pair[0] >= pair[1]) {
                    return Err(Corrupt::new(format!("{voters:?} are not voters in order")));
                }
                self.set_voters(voters);
            }
            Record::Joined { group } => {
                self.set_voters(Vec::new());
                self.group = group;
            }
            Record::AllMet => self.founded = true,
            Record::Pinned(pin) if pin.node == self.id => self.own_pin = Some(pin),
            Record::Pinned(pin) => {
                // What was replayed is on disk.
                if let Some(peer) = self.peer_mut(pin.node) {
                    peer.pin = Some((pin.journal, Mark(0)));
                }
            }
            // No replica gets there, and one that did could neither follow nor stand.
            Record::Hard { term: Term::MAX, .. } => {
                return Err(Corrupt::new("the last of all terms"));
            }
            // A base holds the newest term and vote; older ones may stand behind it.
            Record::Hard { term, .. } if term < self.term => {}
            Record::Hard { term, vote } => {
                self.vote = if term == self.term { vote.or(self.vote) } else { vote };
                self.term = term;
            }
            Record::Snapshot(Snapshot { last, .. }) | Record::Begins(last) if !last.is_plausible() => {
                return Err(Corrupt::new(format!("no log reaches {last}")));
            }
            // A term is written down before anything of it is taken. Who leads in a lower one than its log has would
            // let terms fall in it.
            Record::Snapshot(Snapshot { last, .. }) | Record::Begins(last)
                if last.term > self.known_term() =>
            {
                return Err(Corrupt::new(format!("{last} in term {}", self.term)));
            }
            Record::Entries(batch) if batch.term() > self.known_term() => {
                return Err(Corrupt::new(format!("{} in term {}", batch.last_id(), self.term)));
            }
            Record::Snapshot(snapshot) => {
                // One takes the place of another together with all that stood before it.
                if snapshot.last.index < self.commit {
                    let (last, commit) = (snapshot.last, self.commit);
                    return Err(Corrupt::new(format!("a snapshot of {last} behind one of {commit}")));
                }
                self.commit = snapshot.last.index;
                self.snapshot = Some(snapshot);
            }
            Record::Begins(id) => {
                let upto = self.snapshot.as_ref().map_or(0, |snapshot| snapshot.last.index);
                if !(self.log.base().index..=upto).contains(&id.index) {
                    return Err(Corrupt::new(format!("nothing stands for what was before {id}")));
                }
                // Only what is committed is ever taken away.
                self.commit = self.commit.max(id.index);
                self.log.rebase(id);
                self.marks.clear();
            }
            Record::Entries(batch) => {
                if batch.first() > self.log.last().index + 1 || !batch.last_id().is_plausible() {
                    let (found, last) = (batch.first(), self.log.last());
                    return Err(Corrupt::new(format!(
                        "entries from {found} on do not follow a log that ends at {last}"
                    )));
                }
                // Its front may lie before the base: a snapshot may end in the middle of a record.
                let Some(batch) = batch.from(self.log.base().index + 1) else { return Ok(()) };
                self.overwrite_from(batch.first());
                self.marks.push_back((batch.last(), self.replayed));
                self.log.push(batch);
            }
        }
        Ok(())
    }

    /// The highest term that the journal may hold something of.
    fn known_term(&self) -> Term {
        #[cfg(feature = "mutations")]
        if self.config.mutation == Some(super::Mutation::VoteNotPersisted) {
            return Term::MAX;
        }
        self.term
    }

    /// Takes entries back from `first` on, in the log and in what is known of its records.
    pub(super) fn overwrite_from(&mut self, first: Index) {
        if first > self.log.last().index {
            return;
        }
        self.log.truncate_from(first);
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

    /// The voters, ascending.
    pub fn voters(&self) -> &[NodeId] {
        &self.voters
    }

    /// The name of its founding: a digest of the voters. 0 while it has joined nobody.
    pub fn group(&self) -> u64 {
        self.group
    }

    /// Whether all founders have met and said so: before that nobody stands for election.
    pub fn is_founded(&self) -> bool {
        self.founded
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

/// The name of a founding: FNV-1a 64 over the voters in order.
pub(super) fn group_of(voters: &[NodeId]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for byte in voters.iter().flat_map(|id| id.0.to_le_bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash.max(1)
}
