//! The peers with which a session was made, and whether each is up: what scopes are told of links.
//!
//! A session outlives connections: a link knows who speaks, not whether anything arrives. So a peer goes *down* when
//! the transport says that it lost the way to it, and is *up* again with the first message that its session
//! brings, before the scope sees that message; nobody has to shake hands anew. A session that is replaced is told by the
//! *up* of the next life alone.

use super::Life;
use quorate_core::{Boot, Input, LinkState, NodeId};

/// One peer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    pub(super) peer: NodeId,
    pub(super) incarnation: u64,
    pub(super) down: bool,
}

/// All of them, sorted.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    known: Vec<Known>,
    /// How many are down: mostly none, and then a message costs no search.
    down: usize,
}

impl Sessions {
    pub(super) fn iter(&self) -> impl Iterator<Item = &Known> {
        self.known.iter()
    }

    fn up(&mut self, peer: NodeId, incarnation: u64) {
        let new = Known { peer, incarnation, down: false };
        match self.known.binary_search_by_key(&peer, |known| known.peer) {
            Ok(at) => {
                self.down -= usize::from(self.known[at].down);
                self.known[at] = new;
            }
            Err(at) => self.known.insert(at, new),
        }
    }

    /// Whether that is news.
    fn down(&mut self, peer: NodeId) -> bool {
        let Ok(at) = self.known.binary_search_by_key(&peer, |known| known.peer) else { return false };
        let news = !std::mem::replace(&mut self.known[at].down, true);
        self.down += usize::from(news);
        news
    }

    fn is_down(&self, peer: NodeId) -> bool {
        self.down > 0
            && self.known.binary_search_by_key(&peer, |known| known.peer).is_ok_and(|at| self.known[at].down)
    }

    /// Forgets all but these; answers who of the forgotten was up.
    fn keep(&mut self, stands: impl Fn(NodeId) -> bool) -> Vec<NodeId> {
        let gone: Vec<Known> = self.known.extract_if(.., |known| !stands(known.peer)).collect();
        self.down -= gone.iter().filter(|known| known.down).count();
        gone.into_iter().filter(|known| !known.down).map(|known| known.peer).collect()
    }
}

impl Life {
    /// A handshake was completed.
    pub(super) fn on_up(&mut self, peer: NodeId, boot: Boot) {
        tracing::info!(node = %self.id, %peer, incarnation = boot.incarnation, "a session stands");
        self.sessions.up(peer, boot.incarnation);
        if self.sessions.known.len() > self.config.link.peers_max {
            // The link has forgotten somebody, to make room.
            let link = &self.hands.link;
            for gone in self.sessions.keep(|id| link.peer(id).is_some()) {
                self.step(Input::Link { peer: gone, state: LinkState::Down });
            }
        }
        self.step(Input::Link { peer, state: LinkState::Up(boot) });
    }

    /// A session brought a message.
    pub(super) fn on_heard(&mut self, peer: NodeId) {
        if self.sessions.is_down(peer)
            && let Some(boot) = self.hands.link.peer(peer)
        {
            self.on_up(peer, boot);
        }
    }

    /// Tells scopes of the peers that the transport lost.
    pub(super) fn take_lost(&mut self) {
        let mut lost = std::mem::take(&mut self.lost);
        self.inbox.take_lost(&mut lost);
        for peer in lost.drain(..) {
            if self.sessions.down(peer) {
                tracing::info!(node = %self.id, %peer, "the way to a peer is lost");
                self.step(Input::Link { peer, state: LinkState::Down });
            }
        }
        self.lost = lost;
    }
}
