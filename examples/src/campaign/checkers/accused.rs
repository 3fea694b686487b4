use super::{Changed, Rule};

/// Nobody is accused of running on an old copy of its disk: no disk is put back in a campaign, so whoever is kept what it
/// promised, and would lose its vote for nothing.
#[derive(Debug, Default)]
pub(super) struct NobodyAccused;

impl Rule for NobodyAccused {
    const NAME: &'static str = "nobody who kept its disk is accused";

    fn check(&mut self, Changed { node, raft, before, now }: Changed<'_>) -> Result<(), String> {
        match now.counters.rolled_back > before.counters.rolled_back {
            true => Err(format!("on {node}: the disks of {:?}", raft.rolled_back())),
            false => Ok(()),
        }
    }
}
