//! What a journal must contain, kept beside one: the slow and obvious twin. Public, because checkers of disks
//! and of whole nodes ask the same question.

use bytes::Bytes;
use quorate_core::{Mark, ScopeId};
use std::collections::{BTreeMap, VecDeque};

/// The records of each scope that has any, in order, base first.
pub type Contents = BTreeMap<ScopeId, Vec<Bytes>>;

/// What was done to a journal, and how much of it must survive.
#[derive(Clone, Debug, Default)]
pub struct Model {
    synced: State,
    since: Vec<Op>,
}

#[derive(Clone, Debug, Default)]
struct State(BTreeMap<ScopeId, Records>);

#[derive(Clone, Debug, Default)]
struct Records {
    base: Vec<Bytes>,
    floor: u64,
    log: VecDeque<Bytes>,
}

#[derive(Clone, Debug)]
enum Op {
    Append(ScopeId, Bytes),
    Compact(ScopeId, Mark, Vec<Bytes>),
}

impl Model {
    /// Of an empty journal.
    pub fn new() -> Model {
        Model::default()
    }

    /// A record was appended.
    pub fn append(&mut self, scope: ScopeId, record: Bytes) {
        self.since.push(Op::Append(scope, record));
    }

    /// A scope was compacted. The mark must be one that the journal takes.
    pub fn compact(&mut self, scope: ScopeId, upto: Mark, base: Vec<Bytes>) {
        self.since.push(Op::Compact(scope, upto, base));
    }

    /// A sync returned.
    pub fn synced(&mut self) {
        for op in std::mem::take(&mut self.since) {
            self.synced.apply(op);
        }
    }

    /// Operations since the last sync.
    pub fn unsynced(&self) -> usize {
        self.since.len()
    }

    /// How many records each scope has, as of the last sync or reopen.
    pub fn lengths(&self) -> impl Iterator<Item = (ScopeId, u64)> + '_ {
        self.synced.0.iter().map(|(scope, records)| (*scope, records.len() as u64))
    }

    /// A new life found this. It must be what was synced and a prefix of what was done since; then it is what
    /// the model goes on from, with marks counted anew. Answers how many unsynced operations survived.
    pub fn reopened(&mut self, found: &Contents) -> Result<usize, String> {
        let mut state = self.synced.clone();
        let mut survived = 0;
        let mut ops = std::mem::take(&mut self.since).into_iter();
        loop {
            if state.is(found) {
                self.synced = State::of(found);
                return Ok(survived);
            }
            let Some(op) = ops.next() else { break };
            state.apply(op);
            survived += 1;
        }
        let synced = self.synced.contents();
        Err(if survived == 0 {
            format!("found {}, which is not what was synced: {}", shown(found), shown(&synced))
        } else {
            format!(
                "found {}, which is neither what was synced, {}, nor that with a prefix of the {survived} \
                 operations since, up to {}",
                shown(found),
                shown(&synced),
                shown(&state.contents())
            )
        })
    }
}

impl State {
    fn apply(&mut self, op: Op) {
        match op {
            Op::Append(scope, record) => self.0.entry(scope).or_default().log.push_back(record),
            Op::Compact(scope, upto, base) => {
                let records = self.0.entry(scope).or_default();
                let replaced = upto.0.checked_sub(records.floor).filter(|n| *n <= records.log.len() as u64);
                assert!(replaced.is_some(), "the script compacts {scope} up to a mark that is not there");
                records.log.drain(..replaced.unwrap_or(0) as usize);
                records.floor = upto.0;
                records.base = base;
            }
        }
    }

    fn is(&self, found: &Contents) -> bool {
        let filled = self.0.iter().filter(|(_, records)| records.len() > 0);
        filled.clone().count() == found.len()
            && filled.zip(found).all(|((a, records), (b, found))| {
                a == b && records.len() == found.len() && records.iter().eq(found)
            })
    }

    fn contents(&self) -> Contents {
        let filled = self.0.iter().filter(|(_, records)| records.len() > 0);
        filled.map(|(scope, records)| (*scope, records.iter().cloned().collect())).collect()
    }

    fn of(found: &Contents) -> State {
        let records =
            |found: &Vec<Bytes>| Records { base: Vec::new(), floor: 0, log: found.iter().cloned().collect() };
        State(found.iter().map(|(scope, found)| (*scope, records(found))).collect())
    }
}

impl Records {
    fn len(&self) -> usize {
        self.base.len() + self.log.len()
    }

    fn iter(&self) -> impl Iterator<Item = &Bytes> {
        self.base.iter().chain(&self.log)
    }
}

/// Short enough to read: lengths and first bytes.
fn shown(contents: &Contents) -> String {
    let record = |bytes: &Bytes| match std::str::from_utf8(&bytes[..bytes.len().min(12)]) {
        Ok(text) if bytes.len() <= 12 => text.to_owned(),
        Ok(text) => format!("{text}..({})", bytes.len()),
        Err(_) => format!("({} bytes)", bytes.len()),
    };
    let scope = |(id, records): (&ScopeId, &Vec<Bytes>)| {
        let first: Vec<String> = records.iter().take(12).map(record).collect();
        let more =
            if records.len() > 12 { format!(" and {} more", records.len() - 12) } else { String::new() };
        format!("{id}: [{}{more}]", first.join(", "))
    };
    let first: Vec<String> = contents.iter().take(4).map(scope).collect();
    let more =
        if contents.len() > 4 { format!(" and {} more scopes", contents.len() - 4) } else { String::new() };
    format!("{{{}{more}}}", first.join("; "))
}
