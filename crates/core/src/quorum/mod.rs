//! Quorum arithmetic: how much weight decides, who has it, and how far a quorum has come.
//!
//! * [`Rule`], [`Fraction`]: the least weight that decides, from the total weight alone.
//! * [`Electorate`]: who may vote in one epoch of one scope, with integer weights; validated when it is made.
//! * [`VoteSet`], [`Ballot`]: one vote a voter; outsiders are never counted.
//! * [`Electorate::quorum_index`]: the highest index that a quorum has reached.
//!
//! Everything is integers. **Deliberately absent**: anything about who seems alive. A live view is never a
//! quorum's denominator; an electorate changes only by an agreed, ordered entry.

mod electorate;
mod index;
mod rule;
mod votes;

pub use electorate::{Electorate, ElectorateError, VOTERS_MAX};
pub use rule::{Fraction, FractionError, Rule, max_faulty, meet};
pub use votes::{Ballot, Cast, Choice, Verdict, VoteSet};
