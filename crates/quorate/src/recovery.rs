//! When a quorum of a scope's disks is lost for ever: a new cluster out of what one survivor holds. Deliberate, by hand, on
//! the journals of nodes that do not run. Read "A lost quorum" in `docs/OPERATIONS.md` first.
//!
//! **What is lost.** What was committed and is on none of the surviving disks, without a word to whoever was answered.
//! **What may come about.** What was asked for, not answered, and is in the survivor's log.
//!
//! 1. [`examine`] every survivor's journal, wherever it is.
//! 2. [`recover`] the one whose log is greatest: it goes on as the only voter of a cluster with a new name.
//! 3. Start it as ever. Start everybody else, the other survivors too, on an **empty** journal with `join`, and give them
//!    their votes again by a change.
//!
//! ```
//! use quorate::recovery::{examine, recover};
//! use quorate::raft::{LostForGood, NotRecovered};
//! # use quorate::{Applied, Node, NodeConfig, StateMachine, transport::Loopback};
//! # #[derive(Clone, Default, serde::Serialize, serde::Deserialize)]
//! # struct Counter(u64);
//! # impl StateMachine for Counter {
//! #     type Command = u64;
//! #     type Reply = u64;
//! #     quorate::freeze_by_clone!();
//! #     fn apply(&mut self, add: u64, _: Applied) -> u64 { self.0 += add; self.0 }
//! # }
//! # let disk = quorate::journal::MemoryDisk::new(quorate::JournalId(7));
//! # let mut node = Node::builder(1).found([1]).config(NodeConfig::memory());
//! # let counter = node.raft("counter", Counter::default());
//! # let transport = Loopback::new().transport(node.id(), node.inbox());
//! # let running = node.start(transport, disk.open())?;
//! # counter.propose(5).wait()?;
//! # running.stop();
//! # let journal = || disk.open();
//! // Node 1 founded this cluster alone, so nothing is lost, and nothing is recovered.
//! let remains = examine(journal(), 1, "counter")?;
//! assert!(remains.last.index > 0);
//! let refused = recover(journal(), 1, "counter", &[], &LostForGood::i_accept_the_loss_of([2, 3]));
//! assert!(refused.unwrap_err().to_string().contains("a quorum survives"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use bytes::BytesMut;
use quorate_consensus::raft::{Configuration, LogId, LostForGood, NotRecovered, Record, Remains, Survivor};
use quorate_core::{Corrupt, Mark, NodeId, ScopeId, wire};
use quorate_journal::{Journal, JournalError};

/// Nothing was recovered, and nothing was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecoveryError {
    /// The journal cannot be read, or be written.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// There is nothing to recover, or not here, or not like this.
    #[error(transparent)]
    NotRecovered(#[from] NotRecovered),
}

/// What a survivor is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// The new cluster's name.
    pub group: u64,
    /// The last entry that was kept.
    pub kept: LogId,
    /// Who decides: the survivor, alone.
    pub configuration: Configuration,
}

/// What this journal of a node that does not run holds of a replicated state machine, in short.
///
/// # Errors
/// [`RecoveryError`]; of the reasons in [`NotRecovered`] those that one journal alone can give.
pub fn examine(
    journal: impl Journal,
    node: impl Into<NodeId>,
    scope: &str,
) -> Result<Remains, RecoveryError> {
    let (survivor, _) = read(&mut { journal }, node.into(), scope)?;
    Ok(survivor.remains().clone())
}

/// Makes a new cluster out of what this journal holds of a replicated state machine. The node must not run. `others`: what
/// [`examine`] said of every other survivor. All of it is written, or nothing.
///
/// # Errors
/// [`RecoveryError`]. After one of writing whether it was written is not known: examine the journal, whose group tells.
pub fn recover(
    mut journal: impl Journal,
    node: impl Into<NodeId>,
    scope: &str,
    others: &[Remains],
    lost: &LostForGood,
) -> Result<Recovered, RecoveryError> {
    let (survivor, upto) = read(&mut journal, node.into(), scope)?;
    let recovery = survivor.recover(others, lost)?;
    let mut scratch = BytesMut::new();
    let base = recovery.records.iter().map(|record| wire::encode(record, &mut scratch)).collect();
    journal.compact(id(scope), upto, base)?;
    journal.sync()?;
    Ok(Recovered { group: recovery.group, kept: recovery.kept, configuration: recovery.configuration })
}

fn id(scope: &str) -> ScopeId {
    ScopeId::new("raft", scope, 0)
}

/// The replica, and the mark of its last record.
fn read(journal: &mut impl Journal, node: NodeId, scope: &str) -> Result<(Survivor, Mark), RecoveryError> {
    let (scope, boot) = (id(scope), journal.begin_life()?);
    let mut records = Vec::new();
    journal.load(&mut |of, bytes| {
        if of == scope {
            let record = wire::decode::<Record>(bytes);
            records.push(record.map_err(|why| Corrupt::new(format!("a record of {scope}: {why}")))?);
        }
        Ok(())
    })?;
    let upto = Mark(records.len() as u64);
    Ok((Survivor::read(node, boot.journal, records)?, upto))
}
