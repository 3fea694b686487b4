//! Planted classic bugs. A campaign that does not catch each of them proves nothing.

/// Which bug.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub enum Mutation {
    /// A completion's attempt and epoch are not compared with those of the live lease.
    LeaseWithoutEpoch,
    /// A completion is accepted whatever became of its task since.
    StaleCompletionAccepted,
}

impl Mutation {
    /// All of them, by the names that campaigns use.
    pub const ALL: [(&'static str, Mutation); 2] = [
        ("lease-without-epoch", Mutation::LeaseWithoutEpoch),
        ("stale-completion-accepted", Mutation::StaleCompletionAccepted),
    ];
}
