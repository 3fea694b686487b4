//! A mirror as a scope of a host, used through its handle.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

use bytes::Bytes;
use quorate_core::{
    Boot, Door, Host, HostBuilder, HostCmd, HostEvent, HostMsg, HostRecord, Input, Io, JournalId, Mark,
    NodeId, Notice, Recipients, Rng, Time, Turn, TurnLimits, Wall,
};
use quorate_scheduler::mirror::{Mirror, MirrorConfig, MirrorEvent, MirrorHandle, MirrorPort, scope};
use std::any::Any;
use std::collections::VecDeque;

#[derive(Default)]
struct Out {
    events: Vec<MirrorEvent>,
    sends: VecDeque<(Recipients, HostMsg)>,
}

impl Io<Host> for Out {
    fn append(&mut self, _: HostRecord) -> usize {
        panic!("a mirror writes nothing")
    }
    fn compact(&mut self, _: Mark, _: Vec<HostRecord>) {}
    fn send(&mut self, to: Recipients, msg: HostMsg) {
        self.sends.push_back((to, msg));
    }
    fn emit(&mut self, event: HostEvent) {
        if let HostEvent::Notice { notice, .. } = event {
            let notice: Box<dyn Notice> = notice;
            let any: &dyn Any = &*notice;
            self.events.push(any.downcast_ref::<MirrorEvent>().expect("its only notice").clone());
        }
    }
}

#[test]
fn what_a_handle_sets_is_told_to_observers_of_the_other_node() {
    let id = scope("work.leases", 0);
    let mut rng = Rng::from_seed(1);
    let mut nodes: Vec<(Turn<Host>, Out, Door)> = (1..=2)
        .map(|me| {
            let mut builder = HostBuilder::new();
            builder.scope(id, Mirror::new(NodeId(me), MirrorConfig::default()), MirrorPort);
            let host = builder.build().expect("one scope");
            (Turn::new(host, TurnLimits::default()), Out::default(), Door::new(8))
        })
        .collect();
    let handle = MirrorHandle::new(id, nodes[0].2.clone());
    handle.set(NodeId(2), 7, Bytes::from_static(b"lease")).expect("open");
    handle.clear(NodeId(2), 8).expect("open");
    let counters = handle.counters();
    for (turn, out, _) in &mut nodes {
        let boot = Boot { incarnation: 1, journal: JournalId(1) };
        turn.step(Input::Start(boot), Time::ZERO, Wall(0), &mut rng, out);
    }
    for _ in 0..10 {
        for at in 0..2 {
            let (turn, out, door) = &mut nodes[at];
            let mut asks = VecDeque::new();
            door.take(&mut asks);
            for (scope, ask) in asks {
                turn.step(Input::Command(HostCmd::Ask { scope, ask }), Time(1), Wall(0), &mut rng, out);
            }
            while turn.wake_at() <= Time(1) {
                turn.step(Input::Wake, Time(1), Wall(0), &mut rng, out);
            }
            for (to, msg) in std::mem::take(&mut out.sends) {
                assert_eq!(to.as_slice(), [NodeId(2 - at as u64)]);
                let (turn, out, _) = &mut nodes[1 - at];
                let from = NodeId(1 + at as u64);
                turn.step(Input::Message { from, msg }, Time(1), Wall(0), &mut rng, out);
            }
        }
    }
    let changes = vec![(7, Some(Bytes::from_static(b"lease")))];
    let from = NodeId(1);
    let told =
        [MirrorEvent::Reset { from, incarnation: 1 }, MirrorEvent::Level { from, changes, whole: true }];
    assert_eq!(nodes[1].1.events, told);
    assert!(counters.try_take().expect("answered").is_ok());
}
