//! The commands of a transcript, as `tests/transcripts/README.md` lists them.

use super::stage::{Stage, founded};
use super::words::{Done, duration, id, ids, number, roads};
use crate::made::batch;
use quorate_consensus::raft::{Change, Cmd, Founding, Gathered, Index, LogId, Msg, Record, Term};
use quorate_core::{Input, NodeId, Protocol};
use std::time::Duration;

impl Stage {
    pub fn command(&mut self, words: &[&str]) -> Done {
        match words {
            ["quietly", rest @ ..] => {
                let before = self.lines.len();
                self.command(rest)?;
                self.lines.truncate(before);
                Ok(())
            }
            ["config", setting, value] => self.set(setting, number(value)?),
            ["witness", nodes @ ..] => {
                self.witnesses.extend(ids(nodes)?);
                Ok(())
            }
            ["disk", node, term, terms @ ..] => self.give(id(node)?, term, terms),
            ["cluster", nodes @ ..] => self.cluster(&ids(nodes)?),
            ["found", node, "with", nodes @ ..] => self.begin(id(node)?, Founding::Found(ids(nodes)?)),
            ["join", node, "by", nodes @ ..] => self.begin(id(node)?, Founding::Join(ids(nodes)?)),
            ["elapse", node, time] => self.elapse(vec![id(node)?], duration(time)?),
            ["elapse", time] => self.elapse(self.running(), duration(time)?),
            ["run", time] => self.run_on(duration(time)?),
            ["timeout", node] => self.timeout(id(node)?),
            ["elect", node] => self.timeout(id(node)?).and_then(|()| self.stabilize()),
            ["deliver", words @ ..] => self.take(words, |stage, from, to, msg| stage.arrive(from, to, msg)),
            ["drop", words @ ..] => self.take(words, |stage, from, to, msg| {
                let text = stage.names.message(&msg);
                stage.say(1, format!("{}->{} {text}   is lost", from.0, to.0));
            }),
            ["delay", words @ ..] => self.take(words, |stage, from, to, msg| {
                let text = stage.names.message(&msg);
                stage.say(1, format!("{}->{} {text}   is late", from.0, to.0));
                stage.late.push((from, to, msg));
            }),
            ["arrive"] => {
                for (from, to, msg) in std::mem::take(&mut self.late) {
                    self.arrive(from, to, msg);
                }
                Ok(())
            }
            ["stabilize"] => self.stabilize(),
            ["partition", groups @ ..] => self.partition(groups),
            ["cut", links @ ..] => self.cut(links),
            ["heal"] => {
                self.cuts.clear();
                Ok(())
            }
            ["propose", node, data @ ..] => self.propose(id(node)?, data),
            ["read", node] => self.read(id(node)?, |request| Cmd::Read { request }),
            ["read", node, "through", "leader"] => {
                self.read(id(node)?, |request| Cmd::ReadThroughLeader { request })
            }
            ["voters", node, "become", nodes @ ..] => {
                let change = Box::new(Change::to(ids(nodes)?));
                self.next.1 += 1;
                self.ask(id(node)?, Cmd::Change { request: self.next.1, change })
            }
            ["transfer", node] => self.ask(id(node)?, Cmd::Transfer { to: None }),
            ["transfer", node, "to", to] => self.ask(id(node)?, Cmd::Transfer { to: Some(id(to)?) }),
            ["step-down", node] => self.ask(id(node)?, Cmd::StepDown),
            ["snapshot", node] => self.snapshot(id(node)?),
            ["installed", node] => self.ask(id(node)?, Cmd::Installed { result: Ok(()) }),
            ["not-installed", node] => self
                .ask(id(node)?, Cmd::Installed { result: Err(quorate_consensus::raft::NotRestored::Unfit) }),
            ["slow-disk", nodes @ ..] => self.disks(&ids(nodes)?, false),
            ["fast-disk", nodes @ ..] => self.disks(&ids(nodes)?, true),
            ["sync", node] => {
                self.sync(id(node)?, 1);
                self.settle(id(node)?, 1);
                Ok(())
            }
            ["crash", node] => self.crash(id(node)?, 0),
            ["crash", node, "keeping", writes] => self.crash(id(node)?, number(writes)? as usize),
            ["restart", node] => self.start(id(node)?),
            ["wipe", node] => self.wipe(id(node)?),
            ["status", nodes @ ..] => self.status(&ids(nodes)?),
            ["expect", words @ ..] => self.expect(words),
            _ => Err("unknown command".into()),
        }
    }

    fn running(&self) -> Vec<NodeId> {
        self.nodes.iter().filter(|(_, node)| node.life.is_some()).map(|(id, _)| *id).collect()
    }

    fn set(&mut self, setting: &str, value: u64) -> Done {
        let config = &mut self.config;
        match setting {
            "trailing-entries" => config.trailing_entries = value,
            "snapshot-entries" => config.snapshot_log_entries = value,
            "piece-bytes" => config.chunk_bytes = value as usize,
            "piece-window" => config.snapshot_inflight_max = value as usize,
            "batch-bytes" => config.batch_bytes_max = value as usize,
            "inflight" => config.inflight_max = value as usize,
            _ => return Err("unknown setting".into()),
        }
        Ok(())
    }

    /// The log and the term that a founder's disk holds at the first start.
    fn give(&mut self, node: NodeId, term: &str, terms: &[&str]) -> Done {
        let term = number(term.trim_start_matches('t'))?;
        let mut records = vec![Record::Hard { term, vote: None }];
        let terms: Vec<Term> = terms.iter().map(|word| number(word)).collect::<Result<_, _>>()?;
        let mut first: Index = 1;
        for run in terms.chunk_by(|a, b| a == b) {
            let name = |at: usize| format!("{}", char::from(b'a' + ((first as usize + at - 1) % 26) as u8));
            let data: Vec<String> = (0..run.len()).map(name).collect();
            let data: Vec<&[u8]> = data.iter().map(|data| data.as_bytes()).collect();
            records.push(Record::Entries(batch(first, run[0], &data)));
            first += run.len() as Index;
        }
        self.given.insert(node, records);
        Ok(())
    }

    /// Nodes that were founded together, and have met.
    fn cluster(&mut self, all: &[NodeId]) -> Done {
        let (quiet, fresh) = (self.lines.len(), self.given.is_empty());
        for id in all {
            let mut given = founded(*id, all, self.given.remove(id).unwrap_or_default());
            if self.witnesses.contains(id) {
                given.insert(0, Record::Witness);
            }
            self.given.insert(*id, given);
            self.add(*id, Founding::Found(all.to_vec()), id.0.into());
        }
        all.iter().try_for_each(|id| self.start(*id))?;
        self.lines.truncate(quiet);
        // On disks that were used before, a voter gives no vote at first; by now all have been up for that long.
        let up = if fresh { Duration::ZERO } else { self.config.election_timeout };
        self.nodes.values_mut().for_each(|node| node.now = node.now + up);
        if fresh { Ok(()) } else { self.status(all) }
    }

    fn begin(&mut self, id: NodeId, founding: Founding) -> Done {
        self.add(id, founding, id.0.into());
        self.start(id)
    }

    /// The same name on an empty disk.
    fn wipe(&mut self, id: NodeId) -> Done {
        let node = self.nodes.get(&id).ok_or("there is no such node")?;
        let (founding, journal) = (node.founding.clone(), node.boot.journal.0 + 100);
        self.add(id, founding, journal);
        Ok(())
    }

    /// Clocks go on, nothing arrives.
    fn elapse(&mut self, whose: Vec<NodeId>, time: Duration) -> Done {
        self.pass(whose, time, |_| Ok(()))
    }

    /// Clocks go on, everything arrives at once.
    fn run_on(&mut self, time: Duration) -> Done {
        self.stabilize()?;
        self.pass(self.running(), time, Stage::stabilize)
    }

    fn pass(
        &mut self,
        whose: Vec<NodeId>,
        time: Duration,
        mut after: impl FnMut(&mut Stage) -> Done,
    ) -> Done {
        let mut passed = Duration::ZERO;
        for _ in 0..100_000 {
            let wakes = whose.iter().filter_map(|id| {
                let node = self.nodes.get(id)?;
                Some((node.life.as_ref()?.raft.wake_at().since(node.now), *id))
            });
            let next = wakes.min().filter(|(wait, _)| passed + *wait <= time);
            let wait = next.map_or(time - passed, |(wait, _)| wait);
            for id in &whose {
                if let Some(node) = self.nodes.get_mut(id) {
                    node.now = node.now + wait;
                }
            }
            passed += wait;
            let Some((_, id)) = next else { return Ok(()) };
            self.tell(1, id, format!("wakes{}", rounded(passed)));
            let before = self.lines.len();
            self.settle(id, 2);
            if self.lines.len() == before {
                self.lines.pop();
            }
            after(self)?;
        }
        Err("too many wakes".into())
    }

    /// The clock of one goes on to where it wakes.
    fn timeout(&mut self, id: NodeId) -> Done {
        let wake_at = self.raft(id).ok_or("it is down")?.wake_at();
        let node = self.nodes.get_mut(&id).ok_or("there is no such node")?;
        node.now = node.now.max(wake_at);
        self.tell(1, id, "wakes");
        self.settle(id, 2);
        Ok(())
    }

    fn take(&mut self, words: &[&str], mut take: impl FnMut(&mut Stage, NodeId, NodeId, Msg)) -> Done {
        let mut roads = roads(words)?;
        let fits = |end: Option<NodeId>, id| end.is_none_or(|end| end == id);
        let mut taken = Vec::new();
        // What is sent because of these goes behind what stays.
        for (from, to, msg) in std::mem::take(&mut self.wire) {
            let road = roads.iter_mut().find(|r| fits(r.from, from) && fits(r.to, to) && r.left > 0);
            let Some(road) = road else {
                self.wire.push((from, to, msg));
                continue;
            };
            road.left -= 1;
            taken.push((from, to, msg));
        }
        if taken.is_empty() {
            return Err("nothing is under way there".into());
        }
        taken.into_iter().for_each(|(from, to, msg)| take(self, from, to, msg));
        Ok(())
    }

    /// Everything arrives, and what follows from it.
    fn stabilize(&mut self) -> Done {
        for _ in 0..1000 {
            if self.wire.is_empty() {
                return Ok(());
            }
            self.command(&["deliver"])?;
        }
        Err("it does not come to rest".into())
    }

    fn partition(&mut self, groups: &[&str]) -> Done {
        let groups: Vec<Vec<NodeId>> =
            groups.split(|word| *word == "|").map(ids).collect::<Result<_, _>>()?;
        for (at, group) in groups.iter().enumerate() {
            for (a, b) in group.iter().flat_map(|a| groups[..at].iter().flatten().map(move |b| (*a, *b))) {
                self.cuts.insert((a.min(b), a.max(b)));
            }
        }
        Ok(())
    }

    fn cut(&mut self, links: &[&str]) -> Done {
        for link in links {
            let (a, b) = link.split_once('-').ok_or_else(|| format!("`{link}` is no link"))?;
            let (a, b) = (id(a)?, id(b)?);
            self.cuts.insert((a.min(b), a.max(b)));
        }
        Ok(())
    }

    fn propose(&mut self, id: NodeId, data: &[&str]) -> Done {
        let first = self.next.0;
        let mut gathered = Gathered::default();
        for data in data {
            self.names.proposals.insert(self.next.0, data.to_string());
            self.next.0 += 1;
            gathered.push(data.as_bytes());
        }
        let commands = gathered.take().ok_or("nothing is proposed")?;
        self.ask(id, Cmd::Propose { first, commands })
    }

    fn read(&mut self, id: NodeId, cmd: impl FnOnce(u64) -> Cmd) -> Done {
        self.next.1 += 1;
        self.ask(id, cmd(self.next.1))
    }

    fn ask(&mut self, id: NodeId, cmd: Cmd) -> Done {
        self.raft(id).ok_or("it is down")?;
        self.step(id, Input::Command(cmd), 1);
        self.settle(id, 1);
        Ok(())
    }

    /// The port takes a snapshot of all that is committed.
    fn snapshot(&mut self, id: NodeId) -> Done {
        let raft = self.raft(id).ok_or("it is down")?;
        let commit = raft.commit();
        let at = LogId::new(raft.log().term_at(commit).ok_or("nothing is committed")?, commit);
        let node = self.nodes.get_mut(&id).ok_or("there is no such node")?;
        let taken = node.objects.taken(at, format!("the state after {at}").as_bytes());
        self.ask(id, taken)
    }

    fn disks(&mut self, whose: &[NodeId], at_once: bool) -> Done {
        for id in whose {
            self.nodes.get_mut(id).ok_or("there is no such node")?.at_once = at_once;
        }
        Ok(())
    }
}

/// Whole milliseconds are settings; others are chance, which a transcript does not show.
fn rounded(passed: Duration) -> String {
    match passed.subsec_nanos() % 1_000_000 {
        0 => format!(" after {}ms", passed.as_millis()),
        _ => String::new(),
    }
}
