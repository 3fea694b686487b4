//! A line for each transition of a replica, for judges outside (feature `trace`): what came, and what the replica is after
//! it. Enough for whoever has a specification of Raft in another language to replay a run and to say whether it allows
//! each step. See `docs/TRACES.md`.
//!
//! Without the feature none of this is built. With it a replica tells its transitions as it tells its other events, and
//! does nothing else otherwise.

use super::{Configuration, Electors, Event, Index, LogId, Msg, Outcome, Raft, Role, Term};
use quorate_core::{Cx, Input, NodeId, Time};
use std::fmt::{self, Display, Formatter};

/// What a step made of a replica. Its `Display` is one object of JSON, in one line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Transition {
    /// Whose step it was.
    pub node: NodeId,
    /// When, by its own clock since this boot.
    pub at: Time,
    /// What came: the name of an input, or of a message.
    pub event: &'static str,
    /// If it was a message: whose, and what it said.
    pub heard: Option<(NodeId, Heard)>,
    /// What the replica is after it.
    pub state: State,
    /// Who decides after it, and the entry that says so.
    pub configuration: Option<(Index, Configuration)>,
}

/// What a specification has to know of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Heard {
    /// Its term.
    pub term: Option<Term>,
    /// The sender's last entry, or that of its snapshot.
    pub last: Option<LogId>,
    /// The entry before those that it carries, or the one that it asks for what is behind.
    pub prev: Option<LogId>,
    /// The last of the entries that it carries.
    pub upto: Option<LogId>,
    /// The sender's commit index.
    pub commit: Option<Index>,
    /// Whether a vote or a pre-vote is granted.
    pub granted: Option<bool>,
    /// Up to where the sender's log is on disk and as the receiver's.
    pub matched: Option<Index>,
    /// The entry before, which the sender does not have.
    pub refused: Option<Index>,
}

/// A replica, as far as specifications go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct State {
    /// Its current term.
    pub term: Term,
    /// Who got its vote in that.
    pub vote: Option<NodeId>,
    /// `follower`, `pre_candidate`, `candidate` or `leader`.
    pub role: &'static str,
    /// Who leads, as far as it knows.
    pub leader: Option<NodeId>,
    /// Its commit index.
    pub commit: Index,
    /// The last entry that is in its log no more.
    pub base: LogId,
    /// Its last entry.
    pub last: LogId,
}

impl State {
    fn of(raft: &Raft) -> State {
        let role = match raft.role {
            Role::Follower => "follower",
            Role::PreCandidate => "pre_candidate",
            Role::Candidate { .. } => "candidate",
            Role::Leader(_) => "leader",
        };
        let Raft { term, vote, leader, commit, .. } = *raft;
        State { term, vote, role, leader, commit, base: raft.log.base(), last: raft.log.last() }
    }
}

/// A step that has begun.
pub(super) struct Begun {
    event: &'static str,
    heard: Option<(NodeId, Heard)>,
    state: State,
    since: Index,
}

impl Begun {
    pub fn new(raft: &Raft, input: &Input<Raft>) -> Begun {
        let heard = match input {
            Input::Message { from, msg } => Some((*from, Heard::of(msg))),
            _ => None,
        };
        Begun { event: name_of(input), heard, state: State::of(raft), since: raft.history.since() }
    }

    /// Tells what became of it: always for a start and for a message, which may count later, otherwise if it changed
    /// anything.
    pub fn end(self, raft: &Raft, cx: &mut Cx<'_, Raft>) {
        let (state, since) = (State::of(raft), raft.history.since());
        let Begun { event, heard, state: before, since: configured } = self;
        if heard.is_none() && event != "start" && (state, since) == (before, configured) {
            return;
        }
        let configuration = raft.configuration().map(|(since, configuration)| (since, configuration.clone()));
        let (node, at) = (raft.id, cx.now);
        // It promises nothing: it is told to nobody but those who watch this node.
        cx.emit_now(Event::Transition(Box::new(Transition { node, at, event, heard, state, configuration })));
    }
}

fn name_of(input: &Input<Raft>) -> &'static str {
    match input {
        Input::Start(_) => "start",
        Input::Wake => "wake",
        Input::Durable(_) => "durable",
        Input::Link { .. } => "link",
        Input::Command(_) => "command",
        Input::Message { msg, .. } => match msg {
            Msg::PreVote(_) => "pre_vote",
            Msg::PreVoteReply(_) => "pre_vote_reply",
            Msg::Vote(_) => "vote",
            Msg::VoteReply(_) => "vote_reply",
            Msg::Append(_) => "append",
            Msg::AppendReply(_) => "append_reply",
            Msg::Snapshot(_) => "snapshot",
            Msg::SnapshotReply(_) => "snapshot_reply",
            Msg::Pulled(_) => "pulled",
            Msg::TakeOver { .. } => "take_over",
            Msg::Resigned { .. } => "resigned",
            // What no specification of the protocol has: founding, forwarding, questions.
            _ => "other",
        },
    }
}

impl Heard {
    fn of(msg: &Msg) -> Heard {
        let nothing = Heard::default();
        match msg {
            Msg::PreVote(m) | Msg::Vote(m) => Heard { term: Some(m.term), last: Some(m.last), ..nothing },
            Msg::PreVoteReply(m) | Msg::VoteReply(m) => {
                Heard { term: Some(m.term), granted: Some(m.granted), last: Some(m.last), ..nothing }
            }
            Msg::Append(m) => {
                let upto = m.batches.as_slice().last().map(|batch| batch.last_id());
                Heard { term: Some(m.term), prev: Some(m.prev), commit: Some(m.commit), upto, ..nothing }
            }
            Msg::AppendReply(m) => {
                let (matched, refused) = match m.outcome {
                    Outcome::Matched(index) | Outcome::Witnessed(index) => (Some(index), None),
                    Outcome::Conflict { refused, .. } => (None, Some(refused)),
                    Outcome::Stale => (None, None),
                };
                Heard { term: Some(m.term), matched, refused, ..nothing }
            }
            Msg::Snapshot(m) => Heard { term: Some(m.term), last: Some(m.last), ..nothing },
            Msg::SnapshotReply(m) => Heard { term: Some(m.term), last: Some(m.last), ..nothing },
            Msg::Pulled(m) => {
                let upto = m.batches.as_slice().last().map(|batch| batch.last_id());
                Heard { prev: Some(m.after), upto, ..nothing }
            }
            Msg::TakeOver { term, .. } | Msg::Resigned { term, .. } => Heard { term: Some(*term), ..nothing },
            _ => nothing,
        }
    }
}

/// An object of JSON: what is absent is left out, as some judges know no `null`.
struct Object<'a, 'b> {
    to: &'a mut Formatter<'b>,
    empty: bool,
}

impl Object<'_, '_> {
    fn put(&mut self, name: &str, value: impl Display) -> fmt::Result {
        let before = if std::mem::take(&mut self.empty) { '{' } else { ',' };
        write!(self.to, "{before}\"{name}\":{value}")
    }

    fn put_some(&mut self, name: &str, value: Option<impl Display>) -> fmt::Result {
        value.map_or(Ok(()), |value| self.put(name, value))
    }
}

/// A term and an index.
struct Pair(LogId);

impl Display for Pair {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "[{},{}]", self.0.term, self.0.index)
    }
}

/// Nodes with their weights.
struct Body<'a>(&'a Electors);

impl Display for Body<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (at, (voter, weight)) in self.0.voters().iter().enumerate() {
            write!(f, "{}[{},{weight}]", if at == 0 { "[" } else { "," }, voter.node.0)?;
        }
        f.write_str("]")
    }
}

impl Display for Transition {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut line = Object { to: f, empty: true };
        line.put("node", self.node.0)?;
        line.put("at", self.at.0)?;
        line.put("event", format_args!("\"{}\"", self.event))?;
        if let Some((from, heard)) = self.heard {
            line.put("from", from.0)?;
            line.put_some("heard_term", heard.term)?;
            line.put_some("heard_last", heard.last.map(Pair))?;
            line.put_some("heard_prev", heard.prev.map(Pair))?;
            line.put_some("heard_upto", heard.upto.map(Pair))?;
            line.put_some("heard_commit", heard.commit)?;
            line.put_some("granted", heard.granted)?;
            line.put_some("matched", heard.matched)?;
            line.put_some("refused", heard.refused)?;
        }
        let State { term, vote, role, leader, commit, base, last } = self.state;
        line.put("term", term)?;
        line.put_some("vote", vote.map(|node| node.0))?;
        line.put("role", format_args!("\"{role}\""))?;
        line.put_some("leader", leader.map(|node| node.0))?;
        line.put("commit", commit)?;
        line.put("base", Pair(base))?;
        line.put("last", Pair(last))?;
        if let Some((since, configuration)) = &self.configuration {
            line.put("since", since)?;
            line.put("voters", Body(&configuration.incoming))?;
            line.put_some("outgoing", configuration.outgoing.as_ref().map(Body))?;
        }
        f.write_str("}")
    }
}
