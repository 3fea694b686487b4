//! The lines of the feature `trace` are enough for a judge that knows nothing of this code: here one with the rules of
//! Raft's figure 2 and 3, which reads JSON, allows the runs of clusters, and refuses those with a bug in them.

use crate::cluster::{Cluster, ids};
use quorate_consensus::raft::{Change, Cmd, Founding, RaftConfig};
use quorate_core::{Input, JournalId, NodeId, Rng};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Nodes with their weights.
type Body = Vec<(u64, u64)>;

/// What one line says.
struct Line {
    all: Value,
    node: u64,
    term: u64,
    vote: Option<u64>,
    leads: bool,
    commit: u64,
    last: u64,
    bodies: Vec<Body>,
}

impl Line {
    fn read(line: &str) -> Line {
        let all: Value = serde_json::from_str(line).unwrap();
        let number = |name: &str| all[name].as_u64();
        let body = |name: &str| {
            let pairs = all.get(name)?.as_array().unwrap().iter();
            Some(pairs.map(|pair| (pair[0].as_u64().unwrap(), pair[1].as_u64().unwrap())).collect())
        };
        Line {
            node: number("node").unwrap(),
            term: number("term").unwrap(),
            vote: number("vote"),
            leads: all["role"] == "leader",
            commit: number("commit").unwrap(),
            last: all["last"][1].as_u64().unwrap(),
            bodies: [body("voters"), body("outgoing")].into_iter().flatten().collect(),
            all,
        }
    }

    fn is(&self, event: &str) -> bool {
        self.all["event"] == event
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.all[name].as_u64()
    }
}

/// What was seen so far.
#[derive(Default)]
struct Judge {
    lines: BTreeMap<u64, Line>,
    /// By voter and term.
    votes: BTreeMap<(u64, u64), u64>,
    /// By candidate and term: who it heard that it got a vote of.
    granted: BTreeMap<(u64, u64), BTreeSet<u64>>,
    /// By term: who leads it, and its first entry.
    leaders: BTreeMap<u64, (u64, u64)>,
    /// By term: what its leader heard that each has.
    matched: BTreeMap<u64, BTreeMap<u64, u64>>,
    /// The highest commit index that a leader came to.
    committed: u64,
}

fn is_quorum(bodies: &[Body], says: impl Fn(u64) -> bool) -> bool {
    let decides = |body: &Body| {
        let all: u64 = body.iter().map(|(_, weight)| weight).sum();
        2 * body.iter().filter(|(node, _)| says(*node)).map(|(_, weight)| weight).sum::<u64>() > all
    };
    !bodies.is_empty() && bodies.iter().all(decides)
}

impl Judge {
    fn all(lines: &[String]) -> Result<(), String> {
        let mut judge = Judge::default();
        lines.iter().try_for_each(|line| judge.next(Line::read(line)).map_err(|why| format!("{why}: {line}")))
    }

    fn next(&mut self, line: Line) -> Result<(), String> {
        let (node, term) = (line.node, line.term);
        if let Some(from) = line.number("from") {
            self.hear(&line, from)?;
        }
        if let Some(vote) = line.vote
            && *self.votes.entry((node, term)).or_insert(vote) != vote
        {
            return Err("a second vote in its term".into());
        }
        let before = self.lines.remove(&node).filter(|_| !line.is("start"));
        let (led, committed) =
            before.as_ref().map_or((false, None), |b| (b.leads && b.term == term, Some(b.commit)));
        if let Some(before) = &before
            && (before.term > term || before.commit > line.commit)
        {
            return Err("term or commit index went back".into());
        }
        if line.leads && !led {
            self.elected(&line)?;
        }
        // One that has no vote any more stops leading in the step that commits that.
        if (line.leads || led) && committed.is_some_and(|committed| committed < line.commit) {
            self.commits(&line, before.as_ref())?;
        }
        if line.commit > self.committed {
            return Err("committed, and no leader did".into());
        }
        self.lines.insert(node, line);
        Ok(())
    }

    fn hear(&mut self, line: &Line, from: u64) -> Result<(), String> {
        let Some(term) = line.number("heard_term") else { return Ok(()) };
        if line.is("vote_reply") && line.all["granted"] == true {
            if self.votes.get(&(from, term)) != Some(&line.node) {
                return Err(format!("a vote that {from} did not give"));
            }
            self.granted.entry((line.node, term)).or_default().insert(from);
        }
        let follows = (line.is("append") || line.is("snapshot")) && line.number("leader") == Some(from);
        if follows && self.leaders.get(&line.term).is_none_or(|(leader, _)| *leader != from) {
            return Err(format!("{from} never led this term"));
        }
        if let Some(matched) = line.number("matched")
            && line.is("append_reply")
            && self.leaders.get(&term).is_some_and(|(leader, _)| *leader == line.node)
            && line.term == term
        {
            let known = self.matched.entry(term).or_default().entry(from).or_default();
            *known = matched.max(*known);
        }
        Ok(())
    }

    fn elected(&mut self, line: &Line) -> Result<(), String> {
        let (node, term) = (line.node, line.term);
        if let Some((other, _)) = self.leaders.get(&term) {
            return Err(format!("{other} led this term"));
        }
        let granted = self.granted.get(&(node, term)).cloned().unwrap_or_default();
        let votes = |voter| granted.contains(&voter) || voter == node && line.vote == Some(node);
        if !is_quorum(&line.bodies, votes) {
            return Err("leads without a quorum of votes".into());
        }
        // Its first entry is behind all that was committed.
        if line.last <= self.committed {
            return Err(format!("leads, and lacks what was committed up to {}", self.committed));
        }
        self.leaders.insert(term, (node, line.last));
        Ok(())
    }

    fn commits(&mut self, line: &Line, before: Option<&Line>) -> Result<(), String> {
        let (_, first) = self.leaders.get(&line.term).ok_or("nobody leads this term")?;
        if line.commit < *first {
            return Err("an older term committed by counting".into());
        }
        let matched = self.matched.get(&line.term);
        let has = |node| {
            node == line.node
                || matched.and_then(|all| all.get(&node)).is_some_and(|upto| *upto >= line.commit)
        };
        // By those who decided before the step: what is committed may begin the next configuration.
        let decides = |line: &Line| is_quorum(&line.bodies, has);
        if !decides(line) && !before.is_some_and(decides) {
            return Err("committed without a quorum".into());
        }
        self.committed = self.committed.max(line.commit);
        Ok(())
    }
}

/// Some hundred steps of a small cluster: messages are lost and come in any order, nodes crash, voters change.
fn wander(seed: u64, config: RaftConfig) -> Vec<String> {
    let mut rng = Rng::from_seed(seed);
    let mut cluster = Cluster::seeded(config, seed);
    for id in ids(3) {
        cluster.add(id, Founding::Found(ids(3)), JournalId(u128::from(id.0)));
    }
    cluster.settle();
    for _ in 0..600 {
        let id = *rng.pick(&ids(3)).unwrap();
        match rng.index(40) {
            0 if cluster.is_up(id) => cluster.crash(id),
            1..=4 if !cluster.is_up(id) => cluster.start(id),
            1 => cluster.command(id, Cmd::Transfer { to: None }),
            2 => {
                let change = Change::to(ids(2 + rng.within(0..2)));
                cluster.command(id, Cmd::Change { request: 1, change: Box::new(change) });
            }
            3..=6 => cluster.propose(id, b"x"),
            7..=14 => {
                cluster.now = cluster.now + Duration::from_millis(rng.within(1..120));
                let due: Vec<NodeId> = ids(3)
                    .into_iter()
                    .filter(|id| cluster.wake_at(*id).is_some_and(|at| at <= cluster.now))
                    .collect();
                due.into_iter().for_each(|id| cluster.step(id, Input::Wake));
            }
            _ if cluster.wire.is_empty() => {}
            chance => {
                let at = rng.index(cluster.wire.len());
                let (from, to, msg) = cluster.wire.remove(at);
                if chance > 16 && cluster.is_up(to) {
                    cluster.deliver(from, to, msg);
                }
            }
        }
    }
    cluster.transitions
}

#[test]
fn a_judge_that_knows_figure_2_allows_every_run() {
    let mut seen = BTreeSet::new();
    let mut committed = 0;
    for seed in 0..100 {
        let lines = wander(seed, RaftConfig::default());
        if let Err(why) = Judge::all(&lines) {
            panic!("seed {seed}: {why}");
        }
        for line in lines.iter().map(|line| Line::read(line)) {
            seen.insert(line.all["event"].as_str().unwrap().to_owned());
            committed = line.commit.max(committed);
        }
    }
    let needed = ["start", "wake", "pre_vote", "vote", "vote_reply", "append", "append_reply", "take_over"];
    assert!(needed.iter().all(|event| seen.contains(*event)) && committed > 5, "{seen:?}, {committed}");
}

#[test]
fn a_judge_refuses_lines_that_are_missing_or_changed() {
    let lines = wander(1, RaftConfig::default());
    assert_eq!(Judge::all(&lines), Ok(()));
    let refused = |is: &dyn Fn(&str) -> bool, made: &dyn Fn(&str) -> Option<String>| {
        let at = lines.iter().position(|line| is(line)).unwrap();
        let mut changed = lines.clone();
        match made(&lines[at]) {
            Some(line) => changed[at] = line,
            None => drop(changed.remove(at)),
        }
        Judge::all(&changed).is_err()
    };
    assert!(refused(&|line| line.contains("\"granted\":true") && line.contains("\"leader\","), &|_| None));
    let leads = |line: &str| line.contains("\"role\":\"leader\"");
    assert!(refused(&leads, &|line| Some(line.replace("\"commit\":0", "\"commit\":9"))));
    assert!(refused(&leads, &|line| Some(line.replace("\"vote\":", "\"veto\":"))));
}

#[cfg(feature = "mutations")]
#[test]
fn a_judge_refuses_runs_with_a_bug_in_them() {
    use quorate_consensus::raft::Mutation;
    for bug in [Mutation::VoteTwice, Mutation::QuorumOffByOne, Mutation::PreVoteCountsAsVote] {
        let config = RaftConfig { mutation: Some(bug), ..RaftConfig::default() };
        let refuses = |seed: &u64| {
            let config = config.clone();
            // What the code itself refuses is no line that a judge could.
            std::panic::catch_unwind(move || wander(*seed, config))
                .is_ok_and(|lines| Judge::all(&lines).is_err())
        };
        assert!((0..300).any(|seed| refuses(&seed)), "{bug:?}");
    }
}
