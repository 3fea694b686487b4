//! Two live incarnations of one node: somebody started a copy of a machine while the machine still ran.

use super::{Node, World};
use crate::FaultKind;
use quorate_core::NodeId;

impl<A> World<A> {
    /// Starts a second node under the same name, on a copy of what is on the first one's disk: the same journal, and
    /// the same count of lives. Each frame to that name reaches one of the two, drawn each time. Cuts of the first
    /// one's links do not hold for the second, which is elsewhere.
    ///
    /// Handles, hosts and invariants see the first one only. The second does not come back from a crash, and ends at
    /// [`World::end_twins`] or [`World::calm`].
    pub fn start_twin(&mut self, id: impl Into<NodeId>) {
        let id = id.into();
        let original = self.expect_place(id);
        let place = self.nodes.len() as u32;
        self.stage.net.grow(self.nodes.len() + 1);
        let mut twin = Node::new(id, place, self.any_bell.clone(), &mut self.stage);
        twin.disk = self.nodes[original].disk.clone();
        twin.disk.lose(0);
        twin.is_copy = true;
        self.nodes.push(twin);
        self.stage.twins.push((id, place));
        self.stage.seen.hit(FaultKind::Twinned);
        self.boot(place);
    }

    /// Ends all second incarnations, for good.
    pub fn end_twins(&mut self) {
        for (_, place) in std::mem::take(&mut self.stage.twins) {
            self.nodes[place as usize].crash(super::node::Kept::All, &mut self.stage);
        }
    }

    /// Whether what lives at this place is a second incarnation, running or ended.
    pub(super) fn is_twin(&self, place: u32) -> bool {
        self.nodes[place as usize].is_copy
    }
}
