//! Agreement: protocols as values, each in a module with its port and its handle.
//!
//! Here so far: [`raft`], and [`groups`], which is many of it. Voting, PBFT, Fast Paxos and gossip agreement have their places beside it and are absent.

pub mod groups;
pub mod raft;
