//! A member that says what no correct one says, between the words of one that is: nobody panics, awake or asleep, and no
//! message brings a group about or takes one away.

use super::made::batch;
use quorate_consensus::groups::{
    Beat, Claim, Cmd, Committed, Digest, Doze, GroupId, Groups, GroupsConfig, Msg, Record,
};
use quorate_consensus::raft::{
    self, Append, AppendReply, Batches, Candidacy, Commands, Founding, LogId, Outcome,
};
use quorate_core::{
    Boot, Cx, Effect, Input, JournalId, LinkState, Mark, NodeId, Outbox, Protocol, Rng, Time, Wall, wire,
};
use std::collections::VecDeque;
use std::time::Duration;

pub(super) const NODES: [NodeId; 3] = [NodeId(1), NodeId(2), NodeId(3)];
const HOSTILE: NodeId = NodeId(3);
pub(super) const GROUPS: u64 = 4;
const JOURNALS_KEPT: usize = 20;

/// A node whose disk takes no time.
pub(super) struct Node {
    pub groups: Groups,
    out: Outbox<Groups>,
    /// With their marks; what stands for others has the last of theirs.
    pub written: Vec<(Mark, Record)>,
    /// The journal as it was when a group had been told again in parts, and nothing was dropped for that yet.
    pub journals: Vec<Vec<Record>>,
    rng: Rng,
}

/// Three nodes that hear one another.
pub(super) struct Three {
    pub nodes: Vec<Node>,
    pub now: Time,
    pub posted: VecDeque<(NodeId, NodeId, Msg)>,
    /// Its disk takes nothing more, and what waits for it stays.
    pub stalled: Option<NodeId>,
    pub held: Vec<Msg>,
    /// Nothing that it says arrives, and nothing that it is told.
    pub cut: Option<NodeId>,
}

pub(super) fn place(id: NodeId) -> usize {
    id.0 as usize - 1
}

pub(super) fn boot(id: NodeId) -> Boot {
    Boot { incarnation: 1, journal: JournalId(u128::from(id.0)) }
}

impl Node {
    /// On an empty journal.
    pub fn new(id: NodeId, config: GroupsConfig, seed: u64) -> Node {
        let mut groups = Groups::new(id, config).unwrap();
        (0..GROUPS).for_each(|group| groups.begin_with(GroupId(group), Founding::Found(NODES.to_vec())));
        let rng = Rng::from_seed(seed ^ id.0);
        Node { groups, out: Outbox::default(), written: Vec::new(), journals: Vec::new(), rng }
    }
}

impl Three {
    pub fn new(seed: u64) -> Three {
        let config = GroupsConfig {
            sleep_after: Some(Duration::from_millis(100)),
            rewrite_bytes_min: 600,
            elections_max: 2,
            ..GroupsConfig::default()
        };
        let nodes = NODES.map(|id| Node::new(id, config.clone(), seed)).into();
        let mut three = Three {
            nodes,
            now: Time(1),
            posted: VecDeque::new(),
            stalled: None,
            held: Vec::new(),
            cut: None,
        };
        for id in NODES {
            three.step(id, Input::Start(boot(id)));
            for peer in NODES.into_iter().filter(|peer| *peer != id) {
                three.step(id, Input::Link { peer, state: LinkState::Up(boot(peer)) });
            }
        }
        three
    }

    pub fn step(&mut self, id: NodeId, input: Input<Groups>) {
        let node = &mut self.nodes[place(id)];
        let mut next = Some(input);
        while let Some(input) = next.take() {
            let (mut mark, durable) = (node.out.appended(), node.out.durable());
            node.groups.step(input, &mut Cx::new(self.now, Wall(0), &mut node.rng, &mut node.out));
            for effect in node.out.drain().collect::<Vec<_>>() {
                match effect {
                    Effect::Append(record) => {
                        mark.0 += 1;
                        let ends_parts = matches!(record, Record::Instead { parts: 1.., .. });
                        node.written.push((mark, record));
                        if ends_parts && node.journals.len() < JOURNALS_KEPT {
                            node.journals
                                .push(node.written.iter().map(|(_, record)| record.clone()).collect());
                        }
                    }
                    Effect::Compact { upto, base } => {
                        let rest = node.written.drain(..).filter(|(at, _)| *at > upto).collect::<Vec<_>>();
                        node.written.extend(base.into_iter().map(|record| (upto, record)));
                        node.written.extend(rest);
                    }
                    Effect::Send { msg, after, .. } if self.stalled == Some(id) && after > durable => {
                        self.held.push(msg);
                    }
                    Effect::Send { to, msg, .. } => {
                        let is_cut = |to: &&NodeId| self.cut.is_some_and(|cut| cut == id || cut == **to);
                        let to = to.as_slice().iter().filter(|to| !is_cut(to));
                        self.posted.extend(to.map(|to| (id, *to, msg.clone())));
                    }
                    Effect::Emit { .. } => {}
                }
            }
            if node.out.appended() > node.out.durable() && self.stalled != Some(id) {
                node.out.note_durable(node.out.appended());
                next = Some(Input::Durable(node.out.durable()));
            }
        }
    }

    /// Ten milliseconds go by, in which what is said arrives.
    pub fn pass(&mut self) {
        self.pass_seeing(|_| ());
    }

    pub fn pass_seeing(&mut self, mut sees: impl FnMut(&Msg)) {
        self.now = self.now + Duration::from_millis(5);
        for id in NODES {
            for _ in 0..20 {
                if self.nodes[place(id)].groups.wake_at() <= self.now {
                    self.step(id, Input::Wake);
                }
            }
        }
        // What is answered is answered a little later.
        for _ in 0..5 {
            self.now = self.now + Duration::from_millis(1);
            for (from, to, msg) in std::mem::take(&mut self.posted) {
                sees(&msg);
                // What cannot be said on the wire does not arrive.
                let bytes = wire::encode(&msg, &mut bytes::BytesMut::new());
                if NODES.contains(&to)
                    && let Ok(msg) = wire::decode(bytes)
                {
                    self.step(to, Input::Message { from, msg });
                }
            }
        }
    }
}

fn number(rng: &mut Rng, near: u64) -> u64 {
    match rng.within(0..8) {
        0 => rng.within(0..9),
        1 => u64::MAX - rng.within(0..3),
        2 => near.saturating_add(rng.within(0..3)),
        3 => near.saturating_sub(rng.within(0..3)),
        _ => near,
    }
}

/// Something about a group as that node sees it, mostly.
fn message(rng: &mut Rng, victim: &Groups) -> Msg {
    let group = GroupId(if rng.chance(0.95) { rng.within(0..GROUPS) } else { number(rng, GROUPS) });
    let look = victim.look(group);
    let (term, commit) = look.map_or((1, 1), |look| (look.term, look.commit));
    let name = (0..GROUPS).filter_map(|group| victim.raft(GroupId(group))).map(|raft| raft.group()).max();
    let name = name.unwrap_or(7);
    let (term, round) = (number(rng, term), number(rng, 2));
    let last = LogId::new(number(rng, term), number(rng, commit));
    let one = match rng.within(0..14) {
        0 => raft::Msg::PreVote(Candidacy { group: name, term, last, handed_over: rng.chance(0.5) }),
        1 => raft::Msg::Vote(Candidacy { group: name, term, last, handed_over: rng.chance(0.5) }),
        2..=4 => {
            let (prev, batches) = (last, Batches::None);
            raft::Msg::Append(Append { group: name, term, prev, commit: number(rng, commit), round, batches })
        }
        5 => {
            let outcome = Outcome::Matched(number(rng, commit));
            raft::Msg::AppendReply(AppendReply { term, round, outcome })
        }
        6 => {
            let outcome = Outcome::Conflict { refused: number(rng, commit), hint: last };
            raft::Msg::AppendReply(AppendReply { term, round, outcome })
        }
        7 => raft::Msg::TakeOver { group: name, term },
        8 => raft::Msg::Resigned { group: name, term },
        9 => raft::Msg::Join,
        10 => raft::Msg::LedBy { group: name, leader: NodeId(number(rng, 2)) },
        11 => raft::Msg::ReadIndex { group: name, request: round },
        12 => raft::Msg::Pull { group: name, after: last },
        _ => raft::Msg::Pins { founders: round, digest: Some(name), ask: rng.chance(0.5) },
    };
    let claims = |rng: &mut Rng| -> Vec<Claim> {
        (0..rng.within(0..6))
            .map(|_| Claim { group: GroupId(rng.within(0..GROUPS + 1)), term, last })
            .collect()
    };
    let digest = |rng: &mut Rng| Digest { count: number(rng, 2), sum: rng.bits() };
    match rng.within(0..13) {
        0..=4 => Msg::One { group, msg: one },
        5 => Msg::Many([(group, one.clone()), (GroupId(rng.within(0..GROUPS)), one)].into()),
        6 => {
            let (leads, under) = (digest(rng), digest(rng));
            Msg::Beat(Beat { leads, under, led: claims(rng), followed: claims(rng) })
        }
        7 => Msg::Doze([Doze { group, term, last, nonce: rng.bits() }; 2].into()),
        8 => Msg::Dozed([(group, rng.bits()), (group, 0)].into()),
        9 => Msg::NotHere([group, GroupId(rng.within(0..GROUPS))].into()),
        10 => {
            let (cluster, index) = (if rng.chance(0.9) { name } else { rng.bits() }, number(rng, commit));
            Msg::Committed([Committed { group, cluster, term, index }; 2].into())
        }
        11 => {
            let batches = Batches::One(batch(last.index.min(1 << 40) + 1, last.term, &[b"h"]));
            let append =
                Append { group: name, term, prev: last, commit: number(rng, commit), round, batches };
            Msg::Appends([(group, raft::Msg::Append(append)), (GroupId(GROUPS), one)].into())
        }
        _ => Msg::NotSo([group, GroupId(rng.within(0..GROUPS)), GroupId(u64::MAX)].into()),
    }
}

#[test]
fn messages_that_no_correct_member_sends_never_panic_and_make_no_group() {
    let (mut slept, mut rewrites) = (0, 0);
    for seed in 0..60 {
        let (mut three, mut rng) = (Three::new(seed), Rng::from_seed(seed));
        let mut asked = 0;
        for turn in 0..600 {
            three.pass();
            // By turns a correct member and one that is not, so that groups fall asleep in between.
            if turn % 200 > 60 && rng.chance(0.6) {
                let to = *rng.pick(&NODES[..2]).unwrap();
                let msg = message(&mut rng, &three.nodes[place(to)].groups);
                three.posted.push_back((HOSTILE, to, msg));
            }
            if rng.chance(0.05) {
                asked += 1;
                let cmd = raft::Cmd::Propose { first: asked, commands: Commands::one(b"something") };
                let group = GroupId(rng.within(0..GROUPS));
                three.step(*rng.pick(&NODES).unwrap(), Input::Command(Cmd::Of { group, cmd }));
            }
        }
        for id in NODES {
            let node = &three.nodes[place(id)];
            slept += node.groups.counters().slept;
            rewrites += node.groups.counters().rewrites;
            assert_eq!(node.groups.len() as u64, GROUPS, "of {id} with seed {seed}");
            // And what was written is read back.
            let mut again = Groups::new(id, node.groups.config().clone()).unwrap();
            node.written.iter().for_each(|(_, record)| again.replay(record.clone()).unwrap());
            for group in again.groups().collect::<Vec<_>>() {
                let (now, then) = (node.groups.look(group).unwrap(), again.look(group).unwrap());
                assert_eq!(now.term, then.term, "{group} of {id} with seed {seed}");
            }
        }
    }
    assert!(slept > 1000, "they slept {slept} times");
    assert!(rewrites > 100, "journals were rewritten {rewrites} times");
}

#[test]
fn what_waits_for_a_disk_that_takes_nothing_is_bounded_however_long_leaders_ask() {
    let mut three = Three::new(1);
    let leads = |three: &Three, id: NodeId| three.nodes[place(id)].groups.led() as u64;
    for _ in 0..200 {
        three.pass();
    }
    let stalled = *NODES.iter().min_by_key(|id| leads(&three, **id)).unwrap();
    three.stalled = Some(stalled);
    let small = |msg: &Msg| if let Msg::Many(all) = msg { all.len() } else { 1 };
    for turn in 0..100_000 {
        // Groups stay awake, and the one whose disk stalls is told of entries that it writes in vain.
        if turn % 5 == 0 {
            let cmd = raft::Cmd::Propose { first: turn, commands: Commands::one(b"something") };
            for id in NODES.into_iter().filter(|id| *id != stalled) {
                let group = GroupId(turn / 5 % GROUPS);
                three.step(id, Input::Command(Cmd::Of { group, cmd: cmd.clone() }));
            }
        }
        three.pass();
    }
    let held: usize = three.held.iter().map(small).sum();
    assert!(held <= 1 << 16, "{held} answers wait");
    assert!(three.nodes[place(stalled)].groups.counters().unsaid > 0);
}

#[test]
fn a_leader_that_asks_for_sleep_again_and_again_fills_no_memory_of_one_whose_disk_takes_nothing() {
    let mut three = Three::new(2);
    let sleeps = |three: &Three, id: NodeId| three.nodes[place(id)].groups.asleep() as u64 == GROUPS;
    while !NODES.iter().all(|id| sleeps(&three, *id)) {
        three.pass();
    }
    let group = GroupId(0);
    let leads = |id: &NodeId| three.nodes[place(*id)].groups.look(group).unwrap().leads;
    let (leader, stalled) = (NODES.into_iter().find(leads).unwrap(), NODES.into_iter().find(|id| !leads(id)));
    let look = three.nodes[place(leader)].groups.look(group).unwrap();
    let (term, last) = (look.term, LogId::new(look.term, look.commit));
    let stalled = stalled.unwrap();
    three.stalled = Some(stalled);
    // Something is to be on disk before anything else is said.
    three.step(stalled, Input::Command(Cmd::Remove { group: GroupId(99) }));
    for nonce in 0..1000 {
        let asks = Msg::Doze([Doze { group, term, last, nonce }; 512].into());
        three.step(stalled, Input::Message { from: leader, msg: asks });
    }
    let small = |msg: &Msg| if let Msg::Dozed(all) = msg { all.len() } else { 1 };
    let held: usize = three.held.iter().map(small).sum();
    assert!(held > 512 && held <= 1 << 16, "{held} answers wait");
    assert!(three.nodes[place(stalled)].groups.counters().unsaid > 0);
}
