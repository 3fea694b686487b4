//! How messages, records and events are written in a transcript: one short line each.

use quorate_consensus::raft::{
    Append, AppendReply, Batch, Batches, Candidacy, Commands, Configuration, Electors, EntryKind, Event,
    Index, LogId, Msg, NotPlaced, Outcome, Record, Snapshot, VoteReply,
};
use quorate_core::NodeId;
use std::collections::BTreeMap;

/// What is called by a name that a transcript gave it.
#[derive(Default)]
pub struct Names {
    /// Founding sets, by their digest. The first one is not written.
    pub foundings: Vec<(u64, String)>,
    /// Digests of pins, and so the names of clusters, in the order in which they were seen.
    digests: Vec<u64>,
    /// What was proposed under which number.
    pub proposals: BTreeMap<u64, String>,
}

pub fn list(ids: &[NodeId]) -> String {
    ids.iter().map(|id| id.0.to_string()).collect::<Vec<_>>().join(" ")
}

fn letter(at: usize) -> char {
    char::from(b'A' + at as u8)
}

/// `index@term`, as the library writes it; the place before the first entry is 0.
pub fn at(id: LogId) -> String {
    if id == LogId::ZERO { "0".into() } else { id.to_string() }
}

/// `[4@2 a b]`: from 4 on, of term 2, with this data. Longer ones are named by where they end.
pub fn batch(batch: &Batch) -> String {
    let name = LogId::new(batch.term(), batch.first());
    if batch.kind() == EntryKind::Noop {
        return format!("[{name} noop]");
    }
    if let Some(configuration) = batch.as_configuration() {
        return format!("[{name} {}]", voters(&configuration));
    }
    let data: Vec<String> = batch.entries().map(|e| String::from_utf8_lossy(e.data).into_owned()).collect();
    match data.len() {
        0..=6 => format!("[{name} {}]", data.join(" ")),
        _ => format!("[{}..={}]", batch.first(), batch.last_id()),
    }
}

/// Who decides: `voters 1 2 3`, and on the way from these to others `voters 1 2 3 and 1 2 4`.
fn voters(configuration: &Configuration) -> String {
    let names = |electors: &Electors| {
        electors.voters().iter().map(|(voter, _)| voter.node.0.to_string()).collect::<Vec<_>>().join(" ")
    };
    let outgoing = configuration.outgoing.as_ref().map(|electors| names(electors) + " and ");
    format!("voters {}{}", outgoing.unwrap_or_default(), names(&configuration.incoming))
}

fn batches(all: &Batches) -> String {
    let all: Vec<String> = all.as_slice().iter().map(batch).collect();
    if all.is_empty() { "[]".into() } else { all.join(" ") }
}

fn vote(what: &str, candidacy: &Candidacy) -> String {
    let handed = if candidacy.handed_over { ", handed over" } else { "" };
    format!("{what} t{} last {}{handed}", candidacy.term, at(candidacy.last))
}

fn vote_reply(what: &str, reply: &VoteReply) -> String {
    let granted = if reply.granted { "yes" } else { "no" };
    format!("{what} {granted} t{} last {}", reply.term, at(reply.last))
}

fn why(why: NotPlaced) -> String {
    match why {
        NotPlaced::NotLeader(None) => "nobody leads".into(),
        NotPlaced::NotLeader(Some(id)) => format!("{} leads", id.0),
        NotPlaced::Busy => "busy".into(),
        NotPlaced::TooLarge => "too large".into(),
    }
}

fn snapshot(snapshot: &Snapshot) -> String {
    format!("snapshot {} ({} bytes)", at(snapshot.last), snapshot.total)
}

fn or_nobody(id: Option<NodeId>) -> String {
    id.map_or("nobody".into(), |id| id.0.to_string())
}

impl Names {
    pub fn message(&mut self, msg: &Msg) -> String {
        let text = match msg {
            Msg::PreVote(m) => vote("PreVote", m),
            Msg::PreVoteReply(m) => vote_reply("PreVoteReply", m),
            Msg::Vote(m) => vote("Vote", m),
            Msg::VoteReply(m) => vote_reply("VoteReply", m),
            Msg::Append(Append { term, prev, commit, round, batches: b, .. }) => {
                format!("Append t{term} prev {} commit {commit} r{round} {}", at(*prev), batches(b))
            }
            Msg::AppendReply(AppendReply { term, round, outcome }) => match outcome {
                Outcome::Matched(index) => format!("Matched {index} t{term} r{round}"),
                Outcome::Witnessed(index) => format!("Witnessed {index} t{term} r{round}"),
                Outcome::Conflict { refused, hint } => {
                    format!("Conflict at {refused}, try {} t{term} r{round}", at(*hint))
                }
                Outcome::Stale => format!("Stale t{term} r{round}"),
            },
            Msg::Snapshot(c) => {
                let end = c.offset + c.data.len() as u64;
                let bytes = format!("bytes {}..{end} of {}", c.offset, c.total);
                format!("Snapshot t{} of {} {bytes} r{}", c.term, at(c.last), c.round)
            }
            Msg::SnapshotReply(r) => {
                format!("SnapshotReply t{} of {} next {} r{}", r.term, at(r.last), r.next, r.round)
            }
            Msg::Forward(f) => format!("Forward {}", self.commands(&f.commands)),
            Msg::ForwardReply(r) => format!("ForwardReply {}", self.placed(r.first, r.count, r.placed)),
            Msg::Join => "Join".into(),
            Msg::Pins { digest, ask, .. } => {
                let which = digest.map_or("unknown".into(), |digest| self.digest(digest));
                format!("Pins {which}{}", if *ask { ", and yours?" } else { "" })
            }
            Msg::Resigned { term, .. } => format!("Resigned t{term}"),
            Msg::Pull { after, .. } => format!("Pull behind {}", at(*after)),
            Msg::Pulled(p) => format!("Pulled behind {} {}", at(p.after), batches(&p.batches)),
            Msg::ReadIndex { request, .. } => format!("ReadIndex read {request}"),
            Msg::ReadIndexReply { request, index: Ok(index) } => {
                format!("ReadIndexReply read {request} at {index}")
            }
            Msg::ReadIndexReply { request, index: Err(e) } => {
                format!("ReadIndexReply read {request}: {}", why(*e))
            }
            Msg::LedBy { leader, .. } => format!("LedBy {}", leader.0),
            Msg::TakeOver { term, .. } => format!("TakeOver t{term}"),
            Msg::RolledBack { journal, .. } => format!("RolledBack journal {}", journal.0),
            Msg::Held { term, upto, .. } => format!("Held up to {upto} t{term}"),
        };
        text + &self.cluster(msg)
    }

    /// Whoever is not of the first founding, or cluster, says so with everything.
    fn cluster(&self, msg: &Msg) -> String {
        let group = match msg {
            Msg::PreVote(m) | Msg::Vote(m) => m.group,
            Msg::Append(m) => m.group,
            Msg::Pulled(m) => m.group,
            Msg::Snapshot(m) => m.group,
            Msg::Forward(m) => m.group,
            Msg::Pull { group, .. }
            | Msg::Resigned { group, .. }
            | Msg::LedBy { group, .. }
            | Msg::TakeOver { group, .. }
            | Msg::RolledBack { group, .. }
            | Msg::Held { group, .. }
            | Msg::ReadIndex { group, .. } => *group,
            Msg::Pins { founders, .. } => {
                return match self.foundings.iter().position(|(digest, _)| digest == founders) {
                    Some(0) => String::new(),
                    Some(at) => format!(" (founders {})", self.foundings[at].1),
                    None => " (of other founders)".into(),
                };
            }
            _ => return String::new(),
        };
        match self.digests.iter().position(|known| *known == group) {
            Some(0) => String::new(),
            Some(at) => format!(" (of the cluster of list {})", letter(at)),
            None => " (of no cluster)".into(),
        }
    }

    /// A replica is of this cluster.
    pub fn cluster_of(&mut self, group: u64) {
        if group != 0 {
            self.known(group);
        }
    }

    fn known(&mut self, digest: u64) -> char {
        let known = self.digests.iter().position(|known| *known == digest);
        letter(known.unwrap_or_else(|| {
            self.digests.push(digest);
            self.digests.len() - 1
        }))
    }

    fn digest(&mut self, digest: u64) -> String {
        format!("as in list {}", self.known(digest))
    }

    fn commands(&self, commands: &Commands) -> String {
        commands.iter().map(|c| String::from_utf8_lossy(c).into_owned()).collect::<Vec<_>>().join(" ")
    }

    fn placed(&self, first: u64, count: u32, placed: Result<LogId, NotPlaced>) -> String {
        let names = (first..first + u64::from(count)).map(|n| self.proposals.get(&n).map_or("?", |s| s));
        let names = names.collect::<Vec<_>>().join(" ");
        match placed {
            Ok(id) => format!("{names} has place {id}"),
            Err(e) => format!("{names} has no place: {}", why(e)),
        }
    }

    pub fn record(&self, record: &Record) -> String {
        match record {
            Record::Founded { voters } => format!("founded by {}", list(voters)),
            Record::Joined { group } => {
                let known = self.digests.iter().position(|known| known == group);
                known.map_or("joined a cluster".into(), |at| {
                    format!("joined the cluster of list {}", letter(at))
                })
            }
            Record::Pinned(pin) => format!("{} is journal {}", pin.node.0, pin.journal.0),
            Record::Hard { term, vote } => format!("t{term} vote {}", or_nobody(*vote)),
            Record::Entries(entries) => batch(entries),
            Record::Snapshot(s) => snapshot(s),
            Record::Receiving(s) => format!("receiving {}", snapshot(s)),
            Record::Begins(id) => format!("log begins behind {}", at(*id)),
            Record::AllMet => "all met".into(),
            Record::Witness => "a witness".into(),
            Record::RolledBack { journal } => format!("journal {} is an old copy", journal.0),
        }
    }

    pub fn event(&self, event: &Event) -> String {
        match event {
            Event::Placed { first, count, placed } => self.placed(*first, *count, *placed),
            Event::Committed { upto } => format!("committed up to {upto}"),
            Event::CaughtUp { upto } => format!("caught up at {upto}"),
            Event::ReadReady { index, requests } => {
                let all = requests.iter().map(u64::to_string).collect::<Vec<_>>().join(" ");
                format!("read {all} may be answered at {index}")
            }
            Event::ReadRefused { request, why: e } => format!("read {request} is refused: {}", why(*e)),
            Event::Keep { .. } => "which objects are needed".into(),
            Event::Discard { .. } => "an object is not needed any more".into(),
            Event::ReadPiece { to, offset, bytes, .. } => {
                format!("read bytes {offset}..{} for {}", offset + *bytes as u64, to.0)
            }
            Event::StorePiece { offset, data, .. } => {
                format!("store bytes {offset}..{}", offset + data.len() as u64)
            }
            Event::Resume { .. } => "see how much is there".into(),
            Event::OnlyWitnesses => "all founders are witnesses".into(),
            Event::Restore(s) => format!("begin with {}", snapshot(s)),
            Event::Install(s) => format!("install {}", snapshot(s)),
            Event::Changed { request } => format!("change {request} is complete"),
            Event::NotChanged { request, why } => format!("change {request} is refused: {why}"),
            Event::Configured { index, configuration: c } => format!("from {index} on {}", voters(c)),
            Event::Elected { term, first } => format!("elected in t{term}, first entry {first}"),
            Event::NotTransferred { begun } => {
                format!("leadership stays here{}", if *begun { ", though it was offered" } else { "" })
            }
            Event::Retired { term } => format!("leads no more, t{term}"),
            Event::Following { term, leader: Some(leader) } => format!("follows {} in t{term}", leader.0),
            Event::Following { term, leader: None } => format!("knows no leader in t{term}"),
            #[cfg(feature = "trace")]
            Event::Transition(transition) => transition.to_string(),
        }
    }
}

/// Runs of entries of one term: `1..=3@1 4@2`.
pub fn runs(terms: &[(Index, u64)]) -> String {
    let mut found: Vec<String> = Vec::new();
    for run in terms.chunk_by(|a, b| a.1 == b.1) {
        let (first, last) = (run[0].0, LogId::new(run[0].1, run[run.len() - 1].0));
        found.push(if first == last.index { last.to_string() } else { format!("{first}..={last}") });
    }
    if found.is_empty() { "empty".into() } else { found.join(" ") }
}
