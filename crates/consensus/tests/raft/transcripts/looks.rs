//! The commands that only look: where the nodes stand, and what must hold.

use super::notation::{at, list, runs};
use super::stage::Stage;
use super::words::{Done, id, ids, number};
use quorate_consensus::raft::{Index, LogId, Term};
use quorate_core::NodeId;

impl Stage {
    pub fn status(&mut self, whose: &[NodeId]) -> Done {
        let all: Vec<NodeId> = self.nodes.keys().copied().collect();
        for id in all.into_iter().filter(|id| whose.is_empty() || whose.contains(id)) {
            let line = match self.raft(id) {
                None => "is down".into(),
                Some(raft) => {
                    let role = match raft.leader() {
                        _ if raft.is_leader() => "leads".into(),
                        Some(leader) => format!("follows {}", leader.0),
                        None => "knows no leader".into(),
                    };
                    let base = match raft.log().base() {
                        LogId::ZERO => String::new(),
                        base => format!(" behind a snapshot of {}", at(base)),
                    };
                    let log = runs(&self.terms(id));
                    let witness = if raft.is_witness() { "a witness, " } else { "" };
                    format!("{witness}{role}, t{}, commit {}, log {log}{base}", raft.term(), raft.commit())
                }
            };
            self.tell(1, id, line);
        }
        Ok(())
    }

    fn terms(&self, id: NodeId) -> Vec<(Index, Term)> {
        let Some(log) = self.raft(id).map(|raft| raft.log()) else { return Vec::new() };
        let within = log.base().index + 1..=log.last().index;
        within.filter_map(|index| Some((index, log.term_at(index)?))).collect()
    }

    /// What stays true however a transcript is written anew.
    pub fn expect(&mut self, words: &[&str]) -> Done {
        if let ["same", "logs", nodes @ ..] = words {
            let logs: Vec<_> = ids(nodes)?.into_iter().map(|id| self.terms(id)).collect();
            return match logs.windows(2).all(|pair| pair[0] == pair[1]) && !logs[0].is_empty() {
                true => Ok(()),
                false => Err(format!("the logs of {} differ", list(&ids(nodes)?))),
            };
        }
        let [node, what @ ..] = words else { return Err("unknown command".into()) };
        let raft = self.raft(id(node)?).ok_or("it is down")?;
        let holds = match what {
            ["leads"] => raft.is_leader(),
            ["leads", "not"] => !raft.is_leader(),
            ["follows", "nobody"] => raft.leader().is_none(),
            ["follows", leader] => raft.leader() == Some(id(leader)?),
            ["commit", index] => raft.commit() == number(index)?,
            ["term", term] => raft.term() == number(term)?,
            ["answered", reads] => raft.counters().reads == number(reads)?,
            ["last", last] => at(raft.last()) == **last,
            _ => return Err("unknown command".into()),
        };
        if holds { Ok(()) } else { Err("it is not so".into()) }
    }
}
