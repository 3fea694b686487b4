use super::{Changed, Rule};
use quorate::raft::{EntryKind, Index};

/// One uncommitted configuration: in every log at most one entry that changes who votes stands behind what is known to
/// be committed by anybody (thesis §4.1); and a change never goes from one body to another without both.
#[derive(Debug, Default)]
pub(super) struct OneConfiguration {
    /// The highest index that any replica called committed.
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
        let (mut open, mut previous) = (0, base);
        for (index, configuration) in entries.filter(|(index, _)| *index > from) {
            open += usize::from(index > self.committed);
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
        match open {
            0 | 1 => Ok(()),
            _ => Err(format!(
                "{node} holds {open} configurations behind {}, which is committed",
                self.committed
            )),
        }
    }
}
