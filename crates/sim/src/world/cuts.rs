//! Cutting the network.

use super::World;
use crate::FaultKind;
use crate::delay::nanos;
use quorate_core::NodeId;
use std::time::Duration;

/// One direction between two nodes, by their places.
pub(crate) type Direction = (u32, u32);

impl<A> World<A> {
    fn place_of(&self, id: impl Into<NodeId>) -> u32 {
        self.expect_place(id.into()) as u32
    }

    /// Nothing passes between these two, either way. Cuts add up: two need two [`World::mend`]s, or one
    /// [`World::heal`].
    pub fn cut(&mut self, a: impl Into<NodeId>, b: impl Into<NodeId>) {
        let (a, b) = (self.place_of(a), self.place_of(b));
        self.cut_directions(&[(a, b), (b, a)]);
    }

    /// Nothing passes from one to the other.
    pub fn cut_one_way(&mut self, from: impl Into<NodeId>, to: impl Into<NodeId>) {
        let direction = (self.place_of(from), self.place_of(to));
        self.cut_directions(&[direction]);
    }

    /// Takes one cut between these two away, both ways.
    pub fn mend(&mut self, a: impl Into<NodeId>, b: impl Into<NodeId>) {
        let (a, b) = (self.place_of(a), self.place_of(b));
        self.mend_directions(&[(a, b), (b, a)]);
    }

    /// Nothing passes between a node of the one group and a node of the other.
    pub fn partition<I: Into<NodeId> + Copy>(&mut self, one: &[I], other: &[I]) {
        self.stage.seen.hit(FaultKind::Split);
        for a in one {
            for b in other {
                self.cut(*a, *b);
            }
        }
    }

    /// Nothing passes between this node and any other.
    pub fn isolate(&mut self, id: impl Into<NodeId>) {
        let id = id.into();
        self.stage.seen.hit(FaultKind::Isolated);
        let others: Vec<NodeId> = self.ids().filter(|other| *other != id).collect();
        others.into_iter().for_each(|other| self.cut(id, other));
    }

    /// What is sent from one to the other within this time arrives in one burst after it.
    pub fn clog(&mut self, from: impl Into<NodeId>, to: impl Into<NodeId>, time: Duration) {
        let (from, to) = (self.place_of(from), self.place_of(to));
        self.stage.net.clog(from, to, self.stage.now.saturating_add(nanos(time)));
    }

    /// No cuts and no clogs any more. What was lost stays lost.
    pub fn heal(&mut self) {
        self.stage.net.heal();
        self.nemesis.forget_cuts();
    }

    pub(crate) fn cut_directions(&mut self, directions: &[Direction]) {
        for (from, to) in directions {
            self.stage.net.cut(*from, *to);
        }
    }

    pub(crate) fn mend_directions(&mut self, directions: &[Direction]) {
        for (from, to) in directions {
            self.stage.net.mend(*from, *to);
        }
    }
}
