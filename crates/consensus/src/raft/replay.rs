//! How a replica is rebuilt from its records. What no replica wrote is refused, and nothing starts on it.

use super::{Mutation, Raft, Record, Snapshot, Term};
use quorate_core::{Corrupt, Time};
use std::sync::Arc;

impl Raft {
    pub(super) fn on_replay(&mut self, record: Record) -> Result<(), Corrupt> {
        self.replayed.0 += 1;
        // A witness's journal says so first.
        let is_first = self.replayed.0 == 1 + u64::from(self.witness);
        match record {
            Record::Witness if self.witness => {}
            Record::Witness => return Err(Corrupt::new("the journal of a witness, which holds no state")),
            _ if self.witness && self.replayed.0 == 1 => {
                return Err(Corrupt::new("the journal of a replica with state, which is no witness's"));
            }
            Record::Founded { voters } if is_first => {
                if voters.is_empty() || voters.windows(2).any(|pair| pair[0] >= pair[1]) {
                    return Err(Corrupt::new(format!("{voters:?} are not voters in order")));
                }
                self.set_founders(voters);
            }
            // Behind a base that was written before anything was compacted it stands a second time.
            Record::Founded { voters } if voters == self.founders => {}
            Record::Founded { voters } => {
                return Err(Corrupt::new(format!(
                    "founded with {voters:?}, and before with {:?}",
                    self.founders
                )));
            }
            Record::Joined { group } => {
                if is_first {
                    self.set_founders(Vec::new());
                }
                self.take_name(group)?;
            }
            // Behind a snapshot, which has its own.
            Record::AllMet | Record::Pinned(_) if self.history.in_force().is_some() => {}
            Record::AllMet => {
                let (Some(founders), Some(group)) = (self.founding_configuration(), self.pins_digest())
                else {
                    return Err(Corrupt::new("a founding of voters that were not met"));
                };
                self.take_name(group)?;
                self.history.replace(0, Arc::new(founders));
                self.reconfigure(Time::ZERO);
            }
            Record::Pinned(pin) if pin.node == self.id => self.own_pin = Some(pin.journal),
            Record::Pinned(pin) => {
                if let Some(peer) = self.peer_mut(pin.node) {
                    peer.pin = Some(pin.journal);
                }
            }
            Record::RolledBack { journal } => drop(self.rolled_back.insert(journal)),
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
            Record::Snapshot(Snapshot { last, .. })
            | Record::Receiving(Snapshot { last, .. })
            | Record::Begins(last)
                if !last.is_plausible() =>
            {
                return Err(Corrupt::new(format!("no log reaches {last}")));
            }
            // A term is written down before anything of it is taken. Who leads in a lower one than its log has would
            // let terms fall in it.
            Record::Snapshot(Snapshot { last, .. })
            | Record::Receiving(Snapshot { last, .. })
            | Record::Begins(last)
                if last.term > self.known_term() =>
            {
                return Err(Corrupt::new(format!("{last} in term {}", self.term)));
            }
            Record::Entries(batch) if batch.term() > self.known_term() => {
                return Err(Corrupt::new(format!("{} in term {}", batch.last_id(), self.term)));
            }
            // It stands in front, in the place of all that was before the entries which are left. One behind them would stay
            // when the next one takes its place, and stand behind that.
            Record::Snapshot(snapshot) if self.log.batches().next().is_some() => {
                return Err(Corrupt::new(format!("a snapshot of {} behind entries", snapshot.last)));
            }
            Record::Snapshot(snapshot) => {
                // One takes the place of another together with all that stood before it.
                if snapshot.last.index < self.commit {
                    let (last, commit) = (snapshot.last, self.commit);
                    return Err(Corrupt::new(format!("a snapshot of {last} behind one of {commit}")));
                }
                self.commit = snapshot.last.index;
                self.history.replace(snapshot.last.index, snapshot.configuration.clone());
                self.receiving.take_if(|receiving| receiving.last.index <= snapshot.last.index);
                self.snapshot = Some(snapshot);
                self.reconfigure(Time::ZERO);
            }
            Record::Receiving(snapshot) => self.receiving = Some(snapshot),
            Record::Begins(id) => {
                let upto = self.snapshot.as_ref().map_or(0, |snapshot| snapshot.last.index);
                if !(self.log.base().index..=upto).contains(&id.index) {
                    return Err(Corrupt::new(format!("nothing stands for what was before {id}")));
                }
                // Only what is committed is ever taken away.
                self.commit = self.commit.max(id.index);
                self.log.rebase(id);
                // Nearly always nothing of it stays.
                let last = self.log.last().index;
                self.marks.retain(|(upto, _)| (id.index + 1..=last).contains(upto));
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
                self.hold(batch, Time::ZERO);
            }
        }
        Ok(())
    }

    /// A replica is of one cluster for ever.
    fn take_name(&mut self, group: u64) -> Result<(), Corrupt> {
        if group == 0 || self.group != 0 && self.group != group {
            return Err(Corrupt::new(format!("group {group:016x} in a journal of {:016x}", self.group)));
        }
        self.group = group;
        Ok(())
    }

    /// The highest term that the journal may hold something of.
    fn known_term(&self) -> Term {
        if self.config.suffers(Mutation::VoteNotPersisted) { Term::MAX } else { self.term }
    }
}
