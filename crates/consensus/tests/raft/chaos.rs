//! Small clusters under loss, doubling, reordering, crashes and compaction, with the paper's properties (figure 3)
//! checked after every step. A fast companion of the simulator: no bytes, no threads, a few hundred steps a run.

use crate::cluster::{Cluster, ids};
use quorate_consensus::raft::{Change, Cmd, Event, Founding, Gathered, Index, LogId, Msg, RaftConfig, Term};
use quorate_core::{Input, JournalId, NodeId, Rng, Time};
use std::collections::{BTreeMap, BTreeSet};

/// How often what was really exercised happened, over all runs.
#[derive(Default, Debug)]
pub struct Seen {
    pub elected: u64,
    pub committed: u64,
    pub crashes: u64,
    pub truncations: u64,
    pub installed: u64,
    pub compactions: u64,
    pub reads: u64,
    pub reads_through: u64,
    pub transfers: u64,
    pub taken_over: u64,
    pub pulled: u64,
    pub conflicts: u64,
    pub outlived: u64,
}

/// A committed entry, as whoever learned of it first has it.
struct Committed {
    term: Term,
    data: Vec<u8>,
    /// The term in which it was known to be committed.
    in_term: Term,
    /// Of it and all before.
    digest: u64,
}

struct Run {
    cluster: Cluster,
    rng: Rng,
    config: RaftConfig,
    /// From index 1.
    committed: Vec<Committed>,
    leaders: BTreeMap<Term, NodeId>,
    votes: BTreeMap<(NodeId, Term), NodeId>,
    /// What was checked of each: up to which commit, and as a leader of which term with which last entry.
    checked: BTreeMap<NodeId, Index>,
    led: BTreeMap<NodeId, (Term, Index, Index)>,
    restoring: BTreeSet<NodeId>,
    reads: BTreeMap<u64, Index>,
    seen_wire: usize,
    next: u64,
    changes: bool,
}

/// Chances of one run, drawn anew for each (swarm testing): some faults often, some never.
struct Swarm {
    lose: f64,
    double: f64,
    crash: f64,
    snapshot: f64,
    sync: f64,
    /// A node that hears nothing, for a while.
    cut: f64,
    jump_ms: u64,
}

impl Swarm {
    fn draw(rng: &mut Rng) -> Swarm {
        let mut some = |max: f64| if rng.chance(0.3) { 0.0 } else { rng.unit() * max };
        let (lose, double, crash, snapshot) = (some(0.3), some(0.2), some(0.06), some(0.06));
        let (sync, cut) = (0.1 + some(0.8), some(0.5));
        Swarm { lose, double, crash, snapshot, sync, cut, jump_ms: 1 + rng.within(0..200) }
    }
}

/// One run; an error says which property was broken, and how.
pub fn run(seed: u64, config: &RaftConfig, steps: usize, seen: &mut Seen) -> Result<(), String> {
    run_with(seed, config, steps, seen, None)
}

/// The same with so many voters, the last so many of them witnesses. With witnesses, as many disks as a minority has are
/// lost for good at the end, but not the last one with state; those that are left go on with all that was committed.
pub fn run_with(
    seed: u64,
    config: &RaftConfig,
    steps: usize,
    seen: &mut Seen,
    shape: Option<(u64, u64)>,
) -> Result<(), String> {
    let mut rng = Rng::from_seed(seed);
    let drawn = *rng.pick(&[2, 3, 3, 3, 5, 5]).unwrap();
    let (voters, witnesses) = shape.unwrap_or((drawn, 0));
    let config = RaftConfig {
        trailing_entries: rng.within(0..6),
        chunk_bytes: 4 + rng.index(20),
        batch_bytes_max: *rng.pick(&[1, 8, 1 << 18]).unwrap(),
        inflight_max: 1 + rng.index(8),
        ..config.clone()
    };
    let mut cluster = Cluster::seeded(config.clone(), seed);
    for id in ids(voters) {
        cluster.add_as(id.0 > voters - witnesses, id, Founding::Found(ids(voters)), JournalId(id.0.into()));
    }
    let mut swarm = Swarm::draw(&mut rng);
    if witnesses > 0 {
        // What many of them take calm for.
        (swarm.crash, swarm.cut) = (swarm.crash / 8.0, 2.0 * swarm.cut);
    }
    let mut run = Run {
        cluster,
        rng,
        config,
        committed: Vec::new(),
        leaders: BTreeMap::new(),
        votes: BTreeMap::new(),
        checked: BTreeMap::new(),
        led: BTreeMap::new(),
        restoring: BTreeSet::new(),
        reads: BTreeMap::new(),
        seen_wire: 0,
        next: 0,
        changes: witnesses > 0 && seed % 2 == 1,
    };
    let all = ids(voters);
    let mut cut = None;
    run.cluster.sync = true;
    run.cluster.settle();
    for step in 0..steps {
        run.cluster.sync = run.rng.chance(swarm.sync);
        if step % 40 == 0 {
            cut = run.rng.chance(swarm.cut).then(|| *run.rng.pick(&all).unwrap());
        }
        run.act(&swarm, &all, cut, seen)?;
        run.check(seen)?;
        if step % 16 == 0 {
            run.logs_match()?;
        }
    }
    run.logs_match()?;
    if witnesses > 0 {
        run.outlives(&all, voters - witnesses, seen)?;
    } else if seed.is_multiple_of(8) {
        run.heals(&all)?;
    }
    for id in all {
        let counters = run.cluster.raft_if_up(id).map(|raft| raft.counters()).unwrap_or_default();
        seen.truncations += counters.truncations;
        seen.installed += counters.snapshots_installed;
        seen.compactions += counters.compactions;
        seen.conflicts += counters.conflicts;
        seen.transfers += counters.transfers;
        seen.taken_over += counters.took_over;
        seen.pulled += counters.pulled;
    }
    seen.committed += run.committed.len() as u64;
    Ok(())
}

impl Run {
    fn act(
        &mut self,
        swarm: &Swarm,
        all: &[NodeId],
        cut: Option<NodeId>,
        seen: &mut Seen,
    ) -> Result<(), String> {
        let id = *self.rng.pick(all).unwrap();
        let up = self.cluster.is_up(id);
        if self.rng.chance(swarm.crash) {
            if up {
                let kept = self.rng.index(self.cluster.nodes[&id].disk.pending() + 1);
                self.cluster.crash_keeping(id, kept);
                self.restoring.remove(&id);
                seen.crashes += 1;
            }
            return Ok(());
        }
        if !up {
            if self.rng.chance(0.3) {
                self.checked.remove(&id);
                self.led.remove(&id);
                self.cluster.start(id);
            }
            return Ok(());
        }
        if self.rng.chance(swarm.snapshot) {
            return self.snapshot(id);
        }
        if self.changes && self.rng.chance(0.01) {
            let mut set = all.to_vec();
            self.rng.shuffle(&mut set);
            set.truncate((2 + self.rng.index(all.len())).min(all.len()));
            self.next += 1;
            let (request, change) = (self.next, Box::new(Change::to(set)));
            let id = self.cluster.leader().unwrap_or(id);
            self.cluster.command(id, Cmd::Change { request, change });
            return Ok(());
        }
        if self.restoring.contains(&id) && self.rng.chance(0.3) {
            self.restoring.remove(&id);
            let ok = self.rng.chance(0.9);
            self.cluster.installed(id, ok);
            return Ok(());
        }
        match self.rng.within(0..20) {
            0 => {
                self.next += 1;
                let first = self.next;
                let mut commands = Gathered::default();
                commands.push(&first.to_le_bytes());
                while self.rng.chance(0.3) {
                    self.next += 1;
                    commands.push(&self.next.to_le_bytes());
                }
                let commands = commands.take().unwrap();
                self.cluster.command(id, Cmd::Propose { first, commands });
            }
            1 => {
                self.next += 1;
                self.reads.insert(self.next, self.committed.len() as Index);
                let request = self.next;
                let through = self.rng.chance(0.5);
                self.cluster.command(
                    id,
                    match through {
                        true => Cmd::ReadThroughLeader { request },
                        false => Cmd::Read { request },
                    },
                );
            }
            9 if self.rng.chance(0.2) => {
                let to = self.rng.chance(0.5).then(|| *self.rng.pick(all).unwrap());
                self.cluster.command(id, Cmd::Transfer { to });
            }
            2..=4 => self.cluster.sync_node(id),
            // To the next time at which somebody wants to be woken, if that is near; else a little.
            5..=7 => {
                let next = all.iter().filter_map(|id| self.cluster.wake_at(*id)).min().unwrap_or(Time::NEVER);
                let jump = self.cluster.now.0 + self.rng.within(1..swarm.jump_ms * 1_000_000);
                self.cluster.now = Time(next.0.clamp(self.cluster.now.0, jump));
                self.wake(all);
            }
            8 => self.wake(all),
            _ => {
                if self.cluster.wire.is_empty() {
                    return Ok(());
                }
                let at = self.rng.index(self.cluster.wire.len());
                let (from, to, msg) = if self.rng.chance(swarm.double) {
                    self.cluster.wire[at].clone()
                } else {
                    self.cluster.wire.swap_remove(at)
                };
                let lost = self.rng.chance(swarm.lose) || [from, to].iter().any(|end| Some(*end) == cut);
                if !lost && self.cluster.is_up(to) {
                    self.cluster.deliver(from, to, msg);
                }
                while self.cluster.wire.len() > 80 {
                    let at = self.rng.index(self.cluster.wire.len());
                    self.cluster.wire.swap_remove(at);
                }
            }
        }
        Ok(())
    }

    fn wake(&mut self, all: &[NodeId]) {
        for id in all {
            if self.cluster.wake_at(*id).is_some_and(|at| at <= self.cluster.now) {
                self.cluster.step(*id, Input::Wake);
            }
        }
    }

    /// What the port would answer: the state after what is committed, here its digest.
    fn snapshot(&mut self, id: NodeId) -> Result<(), String> {
        let raft = self.cluster.raft(id);
        let base = raft.log().base().index;
        if raft.is_witness() || self.restoring.contains(&id) || raft.commit() <= base {
            return Ok(());
        }
        let at = base + 1 + self.rng.within(0..raft.commit() - base);
        let at = LogId::new(raft.log().term_at(at).ok_or("a commit beyond the log")?, at);
        let data = self.committed[at.index as usize - 1].digest.to_le_bytes();
        self.cluster.snapshot(id, at, &data);
        Ok(())
    }

    fn check(&mut self, seen: &mut Seen) -> Result<(), String> {
        self.check_votes()?;
        for id in self.cluster.nodes.keys().copied().collect::<Vec<_>>() {
            if !self.cluster.is_up(id) {
                continue;
            }
            self.check_commit(id)?;
            self.check_leader(id)?;
            for event in self.cluster.take_events(id) {
                self.check_event(id, event, seen)?;
            }
        }
        Ok(())
    }

    /// One vote a voter and term.
    fn check_votes(&mut self) -> Result<(), String> {
        for (from, to, msg) in &self.cluster.wire[self.seen_wire.min(self.cluster.wire.len())..] {
            if let Msg::VoteReply(reply) = msg
                && reply.granted
            {
                let first = *self.votes.entry((*from, reply.term)).or_insert(*to);
                if first != *to {
                    return Err(format!("{from} voted for {first} and {to} in term {}", reply.term));
                }
            }
        }
        // Deliveries shuffle what is older; a message is seen again then, which is no harm.
        self.seen_wire = self.cluster.wire.len().saturating_sub(30);
        Ok(())
    }

    /// State machine safety: whoever applies an entry at an index applies the same one.
    fn check_commit(&mut self, id: NodeId) -> Result<(), String> {
        let raft = self.cluster.raft(id);
        let (log, commit, base) = (raft.log(), raft.commit(), raft.log().base().index);
        let checked = *self.checked.get(&id).unwrap_or(&0);
        if commit > log.last().index || commit < base || commit < checked {
            return Err(format!("{id} commits {commit} of {base}..={}, before {checked}", log.last()));
        }
        for index in checked.max(base) + 1..=commit {
            let term = log.term_at(index).ok_or("a hole in the log")?;
            let data = log.entry(index).map(|entry| entry.data.to_vec()).unwrap_or_default();
            match self.committed.get(index as usize - 1) {
                Some(known) if (known.term, &known.data) == (term, &data) => {}
                Some(known) => return Err(format!("{index}@{} was committed, {id} has @{term}", known.term)),
                None if index as usize == self.committed.len() + 1 => {
                    let before = self.committed.last().map_or(0, |known| known.digest);
                    let mut digest = Rng::from_seed(before ^ term << 40 ^ index).bits();
                    data.iter().for_each(|b| digest = digest.rotate_left(7).wrapping_add((*b).into()));
                    self.committed.push(Committed { term, data, in_term: raft.term(), digest });
                }
                None => return Err(format!("{id} learned of {index} before anybody had {}", index - 1)),
            }
        }
        self.checked.insert(id, commit);
        Ok(())
    }

    /// Election safety, append-only leaders, and commitment by counting in the own term only.
    fn check_leader(&mut self, id: NodeId) -> Result<(), String> {
        let raft = self.cluster.raft(id);
        if !raft.is_leader() {
            self.led.remove(&id);
            return Ok(());
        }
        let (term, last, commit) = (raft.term(), raft.last().index, raft.commit());
        let first = *self.leaders.entry(term).or_insert(id);
        if first != id {
            return Err(format!("{first} and {id} lead term {term}"));
        }
        if let Some((led, before, committed)) = self.led.insert(id, (term, last, commit))
            && led == term
        {
            if last < before {
                return Err(format!("{id} took back entries while it led"));
            }
            if commit > committed && raft.log().term_at(commit) != Some(term) {
                return Err(format!("{id} committed {commit} of an older term by counting"));
            }
        }
        Ok(())
    }

    fn check_event(&mut self, id: NodeId, event: Event, seen: &mut Seen) -> Result<(), String> {
        match event {
            // Leader completeness: what was committed in earlier terms is in its log.
            Event::Elected { term, .. } => {
                seen.elected += 1;
                let log = self.cluster.raft(id).log();
                for (at, entry) in self.committed.iter().enumerate() {
                    let index = at as Index + 1;
                    let held = index < log.base().index || log.term_at(index) == Some(entry.term);
                    if entry.in_term < term && !held {
                        return Err(format!("{id} leads term {term} without {index}@{}", entry.term));
                    }
                }
            }
            Event::Install(snapshot) | Event::Restore(snapshot) => {
                let known = self.committed.get(snapshot.last.index as usize - 1);
                let data = self.cluster.data(id, &snapshot);
                let same =
                    |c: &Committed| c.term == snapshot.last.term && data == Some(&c.digest.to_le_bytes());
                if !known.is_some_and(same) {
                    return Err(format!("{id} has a snapshot of something else at {}", snapshot.last));
                }
                self.restoring.insert(id);
            }
            // Linearizable: nothing that was committed when it was asked is missing.
            Event::ReadReady { index, requests } => {
                for request in requests {
                    seen.reads += 1;
                    // A question that is doubled on its way is answered twice.
                    let least = *self.reads.get(&request).ok_or("a read that nobody asked")?;
                    let led = self.cluster.raft(id).is_leader();
                    seen.reads_through += u64::from(!led);
                    if index < least {
                        return Err(format!("{id} reads at {index} what was asked at {least}"));
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Log matching: two logs that agree on an entry agree on all before it.
    fn logs_match(&self) -> Result<(), String> {
        let logs: Vec<_> = self.cluster.nodes.keys().filter_map(|id| self.cluster.raft_if_up(*id)).collect();
        for (at, a) in logs.iter().enumerate() {
            for b in &logs[at + 1..] {
                let (a, b) = (a.log(), b.log());
                let first = a.base().index.max(b.base().index) + 1;
                let mut agreed = false;
                for index in (first..=a.last().index.min(b.last().index)).rev() {
                    let same = a.term_at(index) == b.term_at(index);
                    if agreed && (!same || a.entry(index) != b.entry(index)) {
                        return Err(format!("two logs agree behind {index}, and not there"));
                    }
                    agreed |= same;
                }
            }
        }
        Ok(())
    }

    /// Some disks are lost for good. Where in every body that may decide a quorum is left, and one with state, those that are
    /// left go on with all that was committed.
    fn outlives(&mut self, all: &[NodeId], with_state: u64, seen: &mut Seen) -> Result<(), String> {
        let mut left = all.to_vec();
        self.rng.shuffle(&mut left);
        let minority = (all.len() - 1) / 2;
        let lost = if self.changes { 1 + self.rng.index(minority) } else { minority };
        // Who may decide is on their disks.
        for id in all {
            if !self.cluster.is_up(*id) {
                self.checked.remove(id);
                self.led.remove(id);
                self.cluster.start(*id);
            }
        }
        let gone: Vec<NodeId> = left.drain(..lost).collect();
        left.sort_unstable();
        let stands = |run: &Run, id: &NodeId| {
            let Some((_, configuration)) = run.cluster.raft(*id).configuration() else { return true };
            let mut bodies = std::iter::once(&configuration.incoming).chain(&configuration.outgoing);
            bodies.all(|body| {
                let voters = body.voters().iter().map(|(voter, _)| voter.node);
                let there: Vec<NodeId> = voters.filter(|id| left.contains(id)).collect();
                there.len() * 2 > body.voters().len() && there.iter().any(|id| id.0 <= with_state)
            })
        };
        if !all.iter().all(|id| stands(self, id)) {
            return Ok(());
        }
        for id in &gone {
            self.cluster.crash(*id);
            self.restoring.remove(id);
        }
        let healed = self.heals(&left);
        if !left.iter().all(|id| stands(self, id)) {
            // A change that was asked for began meanwhile.
            return Ok(());
        }
        seen.outlived += 1;
        let leader = healed.and_then(|()| self.cluster.leader().ok_or("nobody leads".to_owned()));
        let leader = leader.map_err(|why| format!("without {gone:?}: {why}"))?;
        let held = self.cluster.raft(leader).commit() as usize >= self.committed.len();
        if held { Ok(()) } else { Err(format!("without {gone:?} what was committed is lost")) }
    }

    /// With everybody up and nothing lost, a leader is found and all logs become equal.
    fn heals(&mut self, all: &[NodeId]) -> Result<(), String> {
        self.cluster.sync = true;
        for id in all {
            // One that could not restore a snapshot tries it again after a while only, or after a start.
            if self.cluster.raft_if_up(*id).is_some_and(|raft| raft.counters().snapshots_refused > 0) {
                self.cluster.crash(*id);
            }
            if !self.cluster.is_up(*id) {
                self.checked.remove(id);
                self.cluster.start(*id);
            }
            self.cluster.sync_node(*id);
        }
        for round in 0..400 {
            for _ in 0..5 {
                self.cluster.now = self.cluster.now + self.config.commit_notice * 2;
                self.cluster.settle();
                // Before it is in place and the one before is removed.
                self.check(&mut Seen::default())?;
                for id in all {
                    self.cluster.installed(*id, true);
                }
            }
            self.cluster.settle();
            self.check(&mut Seen::default())?;
            if round == 200 {
                let leader = self.cluster.leader().ok_or("nobody leads after 2 s of calm")?;
                self.cluster.propose(leader, b"healed");
            }
        }
        let voters = self.cluster.leader().map(|id| self.cluster.raft(id).voters()).unwrap_or_default();
        let lasts: BTreeSet<_> = all
            .iter()
            .filter(|id| voters.contains(id))
            .map(|id| (self.cluster.last(*id), self.cluster.raft(*id).commit()))
            .collect();
        let healed =
            lasts.len() == 1 && lasts.iter().all(|(last, commit)| last.index == *commit && *commit > 0);
        if healed { self.logs_match() } else { Err(format!("it does not heal: {lasts:?}")) }
    }
}

// Figure 3: election safety, leader append-only, log matching, leader completeness, state machine safety.
#[test]
fn the_properties_of_figure_3_hold_in_thousands_of_small_random_runs() {
    let mut seen = Seen::default();
    for seed in 0..5_000 {
        if let Err(why) = run(seed, &RaftConfig::default(), 400, &mut seen) {
            panic!("seed {seed}: {why}");
        }
    }
    let Seen { elected, committed, crashes, truncations, installed, compactions, reads, conflicts, .. } =
        seen;
    let Seen { reads_through, transfers, taken_over, pulled, .. } = seen;
    // What never happened was not tested.
    let rare = [elected, committed, crashes, compactions, reads, conflicts];
    assert!(rare.iter().all(|count| *count > 1_000) && truncations > 50 && installed > 50, "{seen:?}");
    assert!([reads_through, transfers, taken_over, pulled].iter().all(|count| *count > 300), "{seen:?}");
}

#[test]
fn a_cluster_with_witnesses_goes_on_with_all_that_was_committed_without_a_minority_of_its_disks() {
    let mut seen = Seen::default();
    let shapes = [(3, 1), (5, 2), (5, 1), (4, 1), (4, 2), (3, 2), (5, 3)];
    for seed in 0..1_000 {
        let (shape, mut rng) = (shapes[seed as usize % shapes.len()], Rng::from_seed(seed ^ 0x517));
        let config = RaftConfig { snapshot_log_entries: 1 + rng.within(0..12), ..RaftConfig::default() };
        let steps = 300 + rng.index(2_000);
        if let Err(why) = run_with(seed, &config, steps, &mut seen, Some(shape)) {
            panic!("seed {seed} with {shape:?}: {why}");
        }
    }
    assert!(seen.outlived > 600 && seen.compactions > 1_000 && seen.pulled > 500, "{seen:?}");
}

#[cfg(feature = "mutations")]
mod mutations {
    use super::*;
    use quorate_consensus::raft::Mutation;

    fn found_within(runs: u64, mutation: Mutation) {
        let config = RaftConfig { mutation: Some(mutation), ..RaftConfig::default() };
        let why =
            (0..runs).find_map(|seed| Some((seed, run(seed, &config, 400, &mut Seen::default()).err()?)));
        let (seed, why) = why.unwrap_or_else(|| panic!("{mutation:?} was not found in {runs} runs"));
        println!("{mutation:?} was found by seed {seed}: {why}");
    }

    #[test]
    fn acknowledging_before_the_sync_is_found() {
        found_within(8_000, Mutation::AckBeforeSync);
    }

    #[test]
    fn a_vote_that_is_not_written_down_is_found() {
        found_within(2_000, Mutation::VoteNotPersisted);
    }

    #[test]
    fn a_quorum_off_by_one_is_found() {
        found_within(200, Mutation::QuorumOffByOne);
    }

    #[test]
    fn committing_an_older_term_by_counting_is_found() {
        found_within(2_000, Mutation::CommitOlderTermByCounting);
    }

    #[test]
    fn a_read_before_the_first_commit_of_the_term_is_found() {
        found_within(4_000, Mutation::ReadBeforeFirstCommit);
    }
}
