use super::{Changed, Rule};
use quorate::raft::{EntryKind, Index};

/// One uncommitted configuration: a leader puts one into the log when the one before is committed (thesis §4.1). And in every
/// log a change goes from one body to another through both.
#[derive(Debug, Default)]
pub(super) struct OneConfiguration {
    /// The highest index that any replica was seen to call committed. (One that goes down in the step in which it learns
    /// more is not seen, so logs that are found on a disk are not judged by it.)
    committed: Index,
}

impl Rule for OneConfiguration {
    const NAME: &'static str = "one uncommitted configuration";

    fn check(&mut self, Changed { node, raft, before, now }: Changed<'_>) -> Result<(), String> {
        self.committed = self.committed.max(now.commit);
        if before.last == now.last {
            return Ok(());
        }
        let log = raft.log();
        let base = raft.snapshot().map(|snapshot| (*snapshot.configuration).clone());
        let from = raft.snapshot().map_or(0, |snapshot| snapshot.last.index).max(log.base().index);
        let entries = log.batches_within(from + 1, now.last.index).filter_map(|batch| {
            let configuration = (batch.kind() == EntryKind::Configuration).then(|| batch.as_configuration());
            Some((batch.first(), configuration??))
        });
        let appends = now.leads.is_some() && now.leads == before.leads;
        let (mut since, mut previous) = (from, base);
        for (index, configuration) in entries.filter(|(index, _)| *index > from) {
            if appends && index > before.last.index && since > self.committed {
                return Err(format!(
                    "{node} adds a configuration at {index} while that of {since} is not committed"
                ));
            }
            since = index;
            let follows = match &previous {
                None => !configuration.is_joint(),
                Some(was) if was.is_joint() => {
                    was.incoming == configuration.incoming && !configuration.is_joint()
                }
                Some(was) => configuration.outgoing.as_ref() == Some(&was.incoming),
            };
            if !follows {
                return Err(format!("{node} holds {configuration:?} at {index}, behind {previous:?}"));
            }
            previous = Some(configuration);
        }
        Ok(())
    }
}
