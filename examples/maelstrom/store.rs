//! What the nodes replicate: keys and values, both any JSON, kept as its text.

use quorate::{Applied, StateMachine};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Store {
    pub(crate) values: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Change {
    Write { key: String, value: String },
    Cas { key: String, from: String, to: String, create: bool },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Reply {
    Done,
    NoSuchKey,
    /// This is there.
    Differs(String),
}

impl StateMachine for Store {
    type Command = Change;
    type Reply = Reply;
    quorate::freeze_by_clone!();

    fn apply(&mut self, change: Change, _: Applied) -> Reply {
        match change {
            Change::Write { key, value } => {
                self.values.insert(key, value);
                Reply::Done
            }
            Change::Cas { key, from, to, create } => match self.values.get(&key) {
                None if !create => Reply::NoSuchKey,
                Some(there) if *there != from => Reply::Differs(there.clone()),
                _ => {
                    self.values.insert(key, to);
                    Reply::Done
                }
            },
        }
    }
}
