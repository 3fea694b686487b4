//! The link: who speaks, whether it is of this session, and whether it came before. A value without clock or
//! thread; the driver and the simulator run the same one. It leaves out delivery: frames may be lost, and
//! nothing is repeated but the handshake.
//!
//! **The handshake** is a challenge. Each side draws a random token, its *offer*, for the next session with
//! each peer.
//!
//! * A hello without echo is a question. It is answered by a hello that echoes its token, and changes nothing:
//!   it may be minutes old.
//! * A hello that echoes my offer was written by one who has heard of this offer, which is younger than
//!   my last session with that peer. It is adopted: my offer and its token become the session, a new offer is
//!   drawn, and the answer lets the other side do the same. Answers to answers end here: the echo of a session
//!   that stands changes nothing.
//! * A question by the peer of a standing session (its token is the session's) is answered with the session's own
//!   token: the peer missed the last answer, or doubts.
//! * An answer that echoes the token of the standing session under *another* token shows that two lives of the peer
//!   had answered one question, and that the wrong one was taken. If the session is in doubt, it is followed by a
//!   question with the new offer.
//! * Any other echo is of a time gone by. It is counted; answering it would let replays drive live sessions apart.
//!
//! A data frame that fits no session is dropped and followed, at a limited rate, by a question: so a peer
//! whose other side restarted learns of it with the first frame it sends.
//!
//! **Invariant.** A key belongs to one pair of tokens, each drawn by one life for one session. So what was sent
//! to, or by, an earlier life fits no session of a later one, and inside a session the window sees to it that no
//! sequence is taken twice. A frame damaged on its way has another seal, and is not taken at all.
//!
//! **Invariant.** Answers go to the node that a hello *names*, not to where it came from: who speaks under another's
//! name does not see the challenge.

mod digest;
mod head;
mod hello;
mod limits;
mod peer;
mod seal;
mod window;

pub use head::class_of;
pub use limits::{Identity, LinkCounters, LinkLimits};

use crate::{Boot, Class, Frame, HEAD_BYTES, NodeId, Rng, ScopeId, Time, wire};
use bytes::{Buf, Bytes, BytesMut};
use digest::BodyDigest;
use head::{BadHead, Head};
use hello::Hello;
use peer::{Peer, Session};
use seal::Seal;
use std::collections::BTreeMap;
use window::{Seen, Window};

/// The sessions of one life of one node with all its peers.
#[derive(Clone, Debug)]
pub struct Link {
    me: Identity,
    /// The scopes as hellos carry them.
    scopes: Bytes,
    limits: LinkLimits,
    peers: BTreeMap<NodeId, Peer>,
    /// Whose session accepts what is sealed under this key: where a frame came from is not who sent it.
    keys: BTreeMap<u128, NodeId>,
    waiting_bytes: usize,
    counters: LinkCounters,
    scratch: BytesMut,
}

/// What a frame turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// Nothing that concerns anybody but the link.
    Nothing,
    /// A session with this life of the peer now stands. Comes again when the peer restarts.
    Up {
        /// The peer.
        peer: NodeId,
        /// Which life of which journal.
        boot: Boot,
    },
    /// A message of a session, never seen before.
    Message {
        /// Who sent it, by the session.
        from: NodeId,
        /// A scope that runs on both sides.
        scope: ScopeId,
        /// How its sender queued it.
        class: Class,
        /// A slice of the frame.
        body: Bytes,
    },
}

impl Link {
    /// A link without sessions. Scopes are put in order, doubles removed.
    pub fn new(mut me: Identity, limits: LinkLimits) -> Link {
        me.scopes.sort_unstable();
        me.scopes.dedup();
        assert!(u32::try_from(me.scopes.len()).is_ok(), "more scopes than a head can name");
        Link {
            scopes: hello::encode_scopes(&me.scopes),
            me,
            limits,
            peers: BTreeMap::new(),
            keys: BTreeMap::new(),
            waiting_bytes: 0,
            counters: LinkCounters::default(),
            scratch: BytesMut::new(),
        }
    }

    /// Seals one body for these peers. Frames that can leave are pushed to `out`; where there is no session yet a
    /// hello is sent (rate limited, with backoff) and the frame waits in a small bounded queue, control before data.
    ///
    /// `rng` must be seeded by the operating system on a real node: tokens are drawn from it.
    #[allow(clippy::too_many_arguments)] // A context struct would be built anew for every call.
    pub fn send(
        &mut self,
        to: &[NodeId],
        scope: ScopeId,
        class: Class,
        body: &Bytes,
        now: Time,
        rng: &mut Rng,
        out: &mut Vec<(NodeId, Frame)>,
    ) {
        let Ok(index) = self.me.scopes.binary_search(&scope) else {
            self.counters.scope_not_there += to.len() as u64;
            return;
        };
        let digest = BodyDigest::of(body);
        for &id in to {
            if id == self.me.node {
                self.counters.to_self += 1;
                continue;
            }
            self.admit(id, now, rng);
            let Some(peer) = self.peers.get_mut(&id) else { continue };
            if let Some(session) = &mut peer.session {
                match seal(session, index, scope, class, (body, digest), &mut self.counters) {
                    Sealed::Frame(frame) => {
                        out.push((id, frame));
                        continue;
                    }
                    Sealed::NotThere => continue,
                    Sealed::Exhausted => {
                        self.keys.remove(&session.seal.incoming());
                        peer.session = None;
                    }
                }
            }
            let frame = (class, scope, body);
            peer.waiting.push(frame, &self.limits, &mut self.waiting_bytes, &mut self.counters);
            self.ask(id, now, rng, out);
        }
    }

    /// Takes one arrived frame, head and body in one piece. `from` is only where to answer what names nobody;
    /// answers and frames that waited for this handshake are pushed to `out`.
    pub fn receive(
        &mut self,
        from: NodeId,
        mut frame: Bytes,
        now: Time,
        rng: &mut Rng,
        out: &mut Vec<(NodeId, Frame)>,
    ) -> Received {
        match Head::decode(&frame) {
            Ok((Head::Hello, 0)) => {
                frame.advance(HEAD_BYTES);
                self.on_hello(frame, now, rng, out)
            }
            Ok((Head::Hello, _)) => self.refused(|c| &mut c.malformed),
            Ok((Head::Data { class, scope, sequence }, key)) => {
                let Some(id) = self.opened_by(from, key) else {
                    self.counters.unsealed += 1;
                    if from != self.me.node {
                        self.admit(from, now, rng);
                        self.ask(from, now, rng, out);
                    }
                    return Received::Nothing;
                };
                // Not split off: that would count one more owner of the frame, and one less right after.
                frame.advance(HEAD_BYTES);
                self.on_data(id, (class, scope, sequence), frame, now)
            }
            Err(BadHead::Malformed) => self.refused(|c| &mut c.malformed),
            Err(BadHead::Version) => self.refused(|c| &mut c.other_version),
        }
    }

    /// The life of the peer with which a session stands.
    pub fn peer(&self, id: NodeId) -> Option<Boot> {
        self.session(id).map(|session| session.boot)
    }

    /// The newest version that both sides of the session speak.
    pub fn version(&self, id: NodeId) -> Option<u8> {
        self.session(id).map(|session| session.version)
    }

    /// The scopes of the peer with which a session stands, ascending; none without a session.
    pub fn scopes(&self, id: NodeId) -> &[ScopeId] {
        self.session(id).map_or(&[], |session| &session.scopes)
    }

    /// How many peers are remembered, with a session and without; at most `peers_max`.
    pub fn peers(&self) -> usize {
        self.peers.len()
    }

    /// Bytes that wait for handshakes; at most `queued_bytes_max`.
    pub fn queued_bytes(&self) -> usize {
        self.waiting_bytes
    }

    /// What was done and refused so far.
    pub fn counters(&self) -> LinkCounters {
        self.counters
    }

    fn session(&self, id: NodeId) -> Option<&Session> {
        self.peers.get(&id)?.session.as_ref()
    }

    fn refused(&mut self, counter: impl FnOnce(&mut LinkCounters) -> &mut u64) -> Received {
        *counter(&mut self.counters) += 1;
        Received::Nothing
    }

    /// The peer whose session a key is of. Mostly it is the one from whom the frame came.
    fn opened_by(&self, from: NodeId, key: u128) -> Option<NodeId> {
        match self.session(from) {
            Some(session) if session.seal.incoming() == key => Some(from),
            _ => self.keys.get(&key).copied(),
        }
    }

    fn on_data(
        &mut self,
        id: NodeId,
        (class, scope, sequence): (Class, u32, u64),
        body: Bytes,
        now: Time,
    ) -> Received {
        let Some(peer) = self.peers.get_mut(&id) else { return Received::Nothing };
        let Some(session) = &mut peer.session else { return Received::Nothing };
        match session.window.note(sequence) {
            Seen::Fresh => {}
            Seen::Twice => return self.refused(|c| &mut c.replayed),
            Seen::Old => return self.refused(|c| &mut c.too_old),
        }
        peer.touched = now;
        let named = usize::try_from(scope).ok().and_then(|at| session.scopes.get(at)).copied();
        match named.filter(|scope| self.me.scopes.binary_search(scope).is_ok()) {
            Some(scope) => {
                self.counters.accepted += 1;
                Received::Message { from: id, scope, class, body }
            }
            None => self.refused(|c| &mut c.unknown_scope),
        }
    }

    fn on_hello(
        &mut self,
        body: Bytes,
        now: Time,
        rng: &mut Rng,
        out: &mut Vec<(NodeId, Frame)>,
    ) -> Received {
        let (hello, version, scopes) = match self.judge(body) {
            Ok(judged) => judged,
            Err(counter) => return self.refused(counter),
        };
        let id = hello.from;
        self.admit(id, now, rng);
        let Some(peer) = self.peers.get_mut(&id) else { return Received::Nothing };
        let (offer, doubted) = (peer.offer, peer.session.as_ref().is_some_and(|session| session.doubted));
        let standing = peer.session.as_ref().map(|session| session.seal);
        match (hello.echo, standing) {
            (None, Some(seal)) if seal.theirs() == hello.token => {
                self.answer(id, seal.mine(), Some(hello.token), now, out);
            }
            (None, _) => self.answer(id, offer, Some(hello.token), now, out),
            (Some(echo), Some(seal)) if echo == seal.mine() && hello.token == seal.theirs() => {
                peer.heard(&self.limits, now);
                peer.session.iter_mut().for_each(|session| session.doubted = false);
                // It may have this session, or only still offer it: what told it that the session began can be lost.
                // One that has it takes no notice; the other one begins it.
                if doubted {
                    self.answer(id, seal.mine(), Some(hello.token), now, out);
                }
            }
            (Some(echo), Some(seal)) if echo == seal.mine() && doubted => {
                self.answer(id, offer, None, now, out);
            }
            (Some(echo), _) if echo == offer => {
                return self.adopt(hello, version, scopes, now, rng, out);
            }
            (Some(_), _) => self.counters.hellos_stale += 1,
        }
        Received::Nothing
    }

    /// Whether a hello is for us at all; if not, under what it is counted. Changes nothing.
    #[allow(clippy::type_complexity)] // The counter of a refusal, or the three things that the hello said.
    fn judge(&self, body: Bytes) -> Result<(Hello, u8, Vec<ScopeId>), fn(&mut LinkCounters) -> &mut u64> {
        let hello: Hello = match wire::decode(body) {
            Ok(hello) => hello,
            Err(wire::WireError::Version { .. }) => return Err(|c| &mut c.other_version),
            Err(_) => return Err(|c| &mut c.malformed),
        };
        if hello.domain != hello::DOMAIN {
            return Err(|c| &mut c.other_domain);
        }
        if hello.cluster != self.me.cluster {
            return Err(|c| &mut c.other_cluster);
        }
        if hello.to != self.me.node || hello.from == self.me.node {
            return Err(|c| &mut c.other_node);
        }
        let (least, most) = hello::VERSIONS;
        let version = most.min(hello.versions.1);
        if version < least.max(hello.versions.0) {
            return Err(|c| &mut c.other_version);
        }
        if hello.scopes.len() / 8 > self.limits.scopes_max {
            return Err(|c| &mut c.too_many_scopes);
        }
        let Some(scopes) = hello::decode_scopes(&hello.scopes) else { return Err(|c| &mut c.malformed) };
        Ok((hello, version, scopes))
    }

    /// The peer has shown that it heard my offer: the session stands.
    fn adopt(
        &mut self,
        hello: Hello,
        version: u8,
        scopes: Vec<ScopeId>,
        now: Time,
        rng: &mut Rng,
        out: &mut Vec<(NodeId, Frame)>,
    ) -> Received {
        let (id, boot) = (hello.from, hello.boot);
        let Some(peer) = self.peers.get_mut(&id) else { return Received::Nothing };
        let seal = Seal::new(peer.offer, hello.token);
        peer.offer = peer::token(rng);
        peer.heard(&self.limits, now);
        let session =
            Session { boot, version, scopes, seal, window: Window::new(), sequence: 0, doubted: false };
        if let Some(old) = peer.session.replace(session) {
            self.keys.remove(&old.seal.incoming());
        }
        self.keys.insert(seal.incoming(), id);
        self.counters.sessions += 1;
        // Not held back: it follows a round trip of the peer's own, and what waited goes out behind it.
        self.hello(id, seal.mine(), Some(seal.theirs()), out);
        self.release(id, out);
        Received::Up { peer: id, boot }
    }

    /// Sends what waited for the handshake.
    fn release(&mut self, id: NodeId, out: &mut Vec<(NodeId, Frame)>) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let Some(session) = &mut peer.session else { return };
        while let Some((class, scope, body)) = peer.waiting.pop(&mut self.waiting_bytes) {
            let Ok(index) = self.me.scopes.binary_search(&scope) else { continue };
            let body = (&body, BodyDigest::of(&body));
            if let Sealed::Frame(frame) = seal(session, index, scope, class, body, &mut self.counters) {
                out.push((id, frame));
            }
        }
    }

    /// Asks a peer for a session, or whether the one that stands is still its own, unless it was asked a
    /// moment ago.
    fn ask(&mut self, id: NodeId, now: Time, rng: &mut Rng, out: &mut Vec<(NodeId, Frame)>) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        if !peer.may_ask(&self.limits, now, rng) {
            self.counters.hellos_held_back += 1;
            return;
        }
        let token = match &mut peer.session {
            // A peer that shares the session says so, and nothing changes.
            Some(session) => {
                session.doubted = true;
                session.seal.mine()
            }
            None => peer.offer,
        };
        self.hello(id, token, None, out);
    }

    fn answer(
        &mut self,
        id: NodeId,
        token: u128,
        echo: Option<u128>,
        now: Time,
        out: &mut Vec<(NodeId, Frame)>,
    ) {
        let may = self.peers.get_mut(&id).is_some_and(|peer| peer.may_answer(&self.limits, now));
        if may {
            self.hello(id, token, echo, out);
        } else {
            self.counters.hellos_held_back += 1;
        }
    }

    fn hello(&mut self, to: NodeId, token: u128, echo: Option<u128>, out: &mut Vec<(NodeId, Frame)>) {
        let hello = Hello {
            domain: hello::DOMAIN,
            cluster: self.me.cluster,
            versions: hello::VERSIONS,
            from: self.me.node,
            to,
            boot: self.me.boot,
            token,
            echo,
            scopes: self.scopes.clone(),
        };
        self.counters.hellos_sent += 1;
        let body = wire::encode(&hello, &mut self.scratch);
        let head = Head::Hello.encode(0, BodyDigest::of(&body));
        out.push((to, Frame { head, body }));
    }

    /// Makes room for a peer and remembers it, unless it is known.
    fn admit(&mut self, id: NodeId, now: Time, rng: &mut Rng) {
        if self.peers.contains_key(&id) {
            return;
        }
        while self.peers.len() >= self.limits.peers_max.max(1) {
            // Strangers who only ever asked displace one another before they displace a session.
            let worth = |peer: &Peer| (peer.session.is_some(), !peer.waiting.is_empty(), peer.touched);
            let Some(least) = self.peers.iter().min_by_key(|(_, peer)| worth(peer)).map(|(id, _)| *id) else {
                break;
            };
            self.forget(least);
        }
        self.peers.insert(id, Peer::new(&self.limits, now, rng));
    }

    fn forget(&mut self, id: NodeId) {
        let Some(mut peer) = self.peers.remove(&id) else { return };
        self.counters.peers_forgotten += 1;
        peer.waiting.clear(&mut self.waiting_bytes, &mut self.counters);
        if let Some(session) = peer.session {
            self.keys.remove(&session.seal.incoming());
        }
    }
}

enum Sealed {
    Frame(Frame),
    /// The scope does not run at the peer.
    NotThere,
    /// No sequence is left. Another session is needed.
    Exhausted,
}

fn seal(
    session: &mut Session,
    index: usize,
    scope: ScopeId,
    class: Class,
    (body, digest): (&Bytes, BodyDigest),
    counters: &mut LinkCounters,
) -> Sealed {
    if session.scopes.binary_search(&scope).is_err() {
        counters.scope_not_there += 1;
        return Sealed::NotThere;
    }
    let Some(sequence) = session.sequence.checked_add(1) else { return Sealed::Exhausted };
    session.sequence = sequence;
    counters.sent += 1;
    // `Link::new` has seen to it that every index fits.
    let head = Head::Data { class, scope: index as u32, sequence };
    Sealed::Frame(Frame { head: head.encode(session.seal.outgoing(), digest), body: body.clone() })
}
