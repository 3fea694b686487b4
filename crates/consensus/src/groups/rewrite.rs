//! The journal of many groups is one sequence of records. What is dead in it is not looked for: once as much was written as
//! was alive the last time, every group's living records are told again behind the others, some in each step, and then
//! everything before goes at once. So a byte is written about twice, whatever the number of groups, and no step is long. It goes
//! no faster than the disk takes it: a lane whose disk is far behind takes nothing else.
//!
//! **Invariant.** While that is under way, a replica does not write before it was told again. So each record that stays
//! follows on one that says all that was before.

use super::common::Common;
use super::state::{Awake, Slot, State};
use super::step::LOOKS_PER_STEP;
use super::{GroupId, Groups, GroupsMutation, Record};
use crate::raft::{self, Founding, Raft};
use quorate_core::{Corrupt, Cx, Mark};

/// Bytes that are told again in one step, unless a single group has more.
const BYTES_PER_STEP: usize = 64 << 10;

/// Bytes that are told again ahead of the disk, unless a step has more (guess: what a disk writes in some milliseconds, and little
/// beside what a lane may have ahead of it).
const BYTES_AHEAD: usize = 1 << 20;

/// How full the journal is, about, and how far it is rewritten.
#[derive(Debug, Default)]
pub(super) struct Rewrite {
    /// Bytes that were written since it was rewritten last.
    written: usize,
    /// Bytes that were alive then.
    alive: usize,
    pass: Option<Pass>,
}

#[derive(Clone, Copy, Debug)]
struct Pass {
    /// Everything up to here goes.
    upto: Mark,
    /// Groups before this one were told again.
    next: GroupId,
    bytes: usize,
    /// Of them, when it waited for the disk last.
    bytes_waited: usize,
    /// Goes on once the disk has this.
    waits_for: Option<Mark>,
}

/// Records of a group that were read back, and stand for nothing before the one behind them is.
#[derive(Debug, Default)]
pub(super) struct Parts {
    count: u32,
    records: Vec<raft::Record>,
}

impl Rewrite {
    pub fn wrote(&mut self, bytes: usize) {
        self.written = self.written.saturating_add(bytes);
    }

    /// The disk has everything up to here.
    pub fn synced(&mut self, mark: Mark) {
        if let Some(pass) = &mut self.pass {
            pass.waits_for.take_if(|at| *at <= mark);
        }
    }

    fn is_due(&self, bytes_min: usize) -> bool {
        match &self.pass {
            Some(pass) => pass.waits_for.is_none(),
            None => self.written >= bytes_min.max(self.alive),
        }
    }
}

impl Groups {
    /// Whether there is something to be rewritten now.
    pub(super) fn wants_rewrite(&self) -> bool {
        self.common.rewrite.is_due(self.common.config.rewrite_bytes_min)
    }

    /// Goes on rewriting, if it is time.
    pub(super) fn rewrite_some(&mut self, cx: &mut Cx<'_, Groups>) {
        if !self.wants_rewrite() {
            return;
        }
        let begin =
            Pass { upto: cx.appended(), next: GroupId(0), bytes: 0, bytes_waited: 0, waits_for: None };
        let pass = *self.common.rewrite.pass.get_or_insert_with(|| {
            self.common.rewrite.written = 0;
            begin
        });
        let (mut old, mut bytes, mut looks) = (Vec::new(), 0, 0);
        let mut next = None;
        for (group, slot) in self.slots.range(pass.next..) {
            if looks >= LOOKS_PER_STEP || bytes >= BYTES_PER_STEP {
                next = Some(*group);
                break;
            }
            looks += 1;
            if slot.based <= pass.upto {
                bytes += slot.bytes();
                old.push(*group);
            }
        }
        for group in old {
            if let Some(slot) = self.slots.get_mut(&group) {
                self.common.tell_again(group, slot, cx);
            }
        }
        match (next, &mut self.common.rewrite.pass) {
            (Some(next), Some(pass)) => {
                pass.next = next;
                if pass.bytes - pass.bytes_waited >= BYTES_AHEAD {
                    (pass.bytes_waited, pass.waits_for) = (pass.bytes, Some(cx.appended()));
                }
            }
            _ => self.end_rewrite(cx),
        }
    }

    fn end_rewrite(&mut self, cx: &mut Cx<'_, Groups>) {
        let Some(pass) = self.common.rewrite.pass.take() else { return };
        self.common.rewrite.alive = pass.bytes;
        self.common.counters.rewrites += 1;
        let upto = match self.common.config.suffers(GroupsMutation::RewriteDropsOthers) {
            true => cx.appended(),
            false => pass.upto,
        };
        let forgotten = self.common.config.suffers(GroupsMutation::RemovalForgotten);
        let groups = self.gone.iter().filter(|_| !forgotten).copied().collect();
        cx.compact(upto, vec![Record::Gone { groups }]);
    }

    pub(super) fn on_replay(&mut self, record: Record) -> Result<(), Corrupt> {
        self.replayed += 1;
        let mark = Mark(self.replayed);
        self.common.rewrite.wrote(record.bytes());
        match record {
            Record::Gone { groups } => self.gone.extend(groups),
            Record::Created { group, .. } if self.slots.contains_key(&group) => {
                return Err(Corrupt::new(format!("{group} is created twice")));
            }
            Record::Created { group, founding } => self.restore(group, founding, Vec::new(), mark)?,
            Record::Part { group, begins, records } => {
                let parts = self.parts.entry(group).or_default();
                if begins {
                    *parts = Parts::default();
                }
                parts.count += 1;
                parts.records.extend(records);
            }
            Record::Instead { group, founding, parts, records } => {
                let before = self.parts.remove(&group).filter(|_| parts > 0).unwrap_or_default();
                if before.count != parts {
                    return Err(Corrupt::new(format!("{group} is told again without some of its parts")));
                }
                let all = before.records.into_iter().chain(records).collect();
                self.slots.remove(&group);
                self.restore(group, founding, all, mark)?;
            }
            Record::Of { group, record } => match self.awake_mut(group) {
                Some(awake) => awake.raft.replay_at(record, mark)?,
                None => return Err(Corrupt::new(format!("a record of {group}, which was not created"))),
            },
            Record::Removed { group } => {
                self.slots.remove(&group);
                self.parts.remove(&group);
                self.gone.insert(group);
            }
        }
        Ok(())
    }

    fn restore(
        &mut self,
        group: GroupId,
        founding: Founding,
        records: Vec<raft::Record>,
        mark: Mark,
    ) -> Result<(), Corrupt> {
        let raft = Raft::new(self.id, self.raft.clone(), founding);
        let mut raft = raft.map_err(|why| Corrupt::new(format!("{group}: {why}")))?;
        for record in records {
            raft.replay_at(record, mark)?;
        }
        raft.share_beats();
        self.slots.insert(group, Slot::of(raft, mark));
        Ok(())
    }
}

impl Common {
    /// A group is about to write while the journal is rewritten.
    pub fn tell_again_first(&mut self, group: GroupId, slot: &mut Slot, cx: &mut Cx<'_, Groups>) {
        if self.rewrite.pass.is_some_and(|pass| slot.based <= pass.upto) {
            self.tell_again(group, slot, cx);
        }
    }

    fn tell_again(&mut self, group: GroupId, slot: &mut Slot, cx: &mut Cx<'_, Groups>) {
        let (founding, records) = match &slot.state {
            State::Awake(awake) => (awake.raft.founding_told().clone(), awake.raft.records()),
            State::Asleep(asleep) => (asleep.folded.founding().clone(), asleep.folded.records()),
        };
        let mut bytes = 0;
        for record in Record::instead(group, founding, records) {
            bytes += record.bytes();
            slot.based = cx.append(record);
        }
        self.counters.told_again += 1;
        if let Some(pass) = &mut self.rewrite.pass {
            pass.bytes += bytes;
        }
    }

    /// A replica compacted: all its records are told again, behind what it wrote.
    pub fn write_instead(
        &mut self,
        group: GroupId,
        based: &mut Mark,
        awake: &Awake,
        cx: &mut Cx<'_, Groups>,
    ) {
        let (founding, records) = (awake.raft.founding_told().clone(), awake.raft.records());
        for record in Record::instead(group, founding, records) {
            self.rewrite.wrote(record.bytes());
            *based = cx.append(record);
        }
    }
}

impl Slot {
    /// A group that is awake.
    pub fn of(raft: Raft, based: Mark) -> Slot {
        Slot { based, state: State::Awake(Box::new(Awake::of(raft))) }
    }

    /// About how many bytes its records take.
    fn bytes(&self) -> usize {
        const SOME_RECORDS: usize = 256;
        SOME_RECORDS
            + match &self.state {
                State::Awake(awake) => awake.raft.log().bytes(),
                State::Asleep(asleep) => asleep.folded.bytes(),
            }
    }
}
