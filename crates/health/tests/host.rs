//! A watch as a scope of a host, used through its handle: an agent that stops beating is told to observers.
#![allow(clippy::panic, clippy::expect_used, reason = "a test")]

use quorate_core::{
    AgentId, Boot, Door, HostBuilder, HostCmd, HostEvent, HostMsg, HostRecord, Input, Io, JournalId, Mark,
    NodeId, Notice, Recipients, Rng, Time, Turn, TurnLimits, Wall,
};
use quorate_health::detect::State;
use quorate_health::watch::{Health, Subject, Verdict, Verdicts, Watch, WatchConfig, WatchPort, scope};
use std::any::Any;
use std::collections::VecDeque;

#[derive(Default)]
struct Told(Vec<Verdict>);

impl Io<quorate_core::Host> for Told {
    fn append(&mut self, _: HostRecord) -> usize {
        panic!("a watch writes nothing")
    }
    fn compact(&mut self, _: Mark, _: Vec<HostRecord>) {}
    fn send(&mut self, _: Recipients, _: HostMsg) {
        panic!("it is alone")
    }
    fn emit(&mut self, event: HostEvent) {
        if let HostEvent::Notice { notice, .. } = event {
            let notice: Box<dyn Notice> = notice;
            let any: &dyn Any = &*notice;
            self.0.extend(&any.downcast_ref::<Verdicts>().expect("its only notice").0);
        }
    }
}

#[test]
fn an_agent_that_stops_beating_is_told_to_observers() {
    let (me, id, door) = (NodeId(1), scope("members", 0), Door::new(64));
    let mut builder = HostBuilder::new();
    builder.scope(id, Watch::new(WatchConfig::new(me, [me])), WatchPort);
    let mut turn = Turn::new(builder.build().expect("one scope"), TurnLimits::default());
    let health = Health::new(id, door.clone());
    let (mut rng, mut told) = (Rng::from_seed(1), Told::default());
    let mut step = |input, now, told: &mut Told| {
        turn.step(input, now, Wall(0), &mut rng, told);
        turn.wake_at()
    };
    let boot = Boot { incarnation: 1, journal: JournalId(1) };
    let mut wake = step(Input::Start(boot), Time::ZERO, &mut told);
    health.host(vec![AgentId(7), AgentId(8)]).expect("open");
    let mut status = None;
    for ms in (0..12_000u64).step_by(10) {
        let now = Time(ms * 1_000_000);
        if ms % 200 == 0 {
            health.beat(AgentId(7)).expect("open");
            if ms < 1000 {
                health.beat(AgentId(8)).expect("open");
            }
        }
        if ms == 11_900 {
            status = Some(health.status());
        }
        let mut asks = VecDeque::new();
        door.take(&mut asks);
        for (scope, ask) in asks {
            wake = step(Input::Command(HostCmd::Ask { scope, ask }), now, &mut told);
        }
        while wake <= now {
            wake = step(Input::Wake, now, &mut told);
        }
    }
    let of = |agent| told.0.iter().filter(move |v| v.subject == Subject::Agent(AgentId(agent)));
    assert!(of(7).all(|v| v.state == State::Healthy && !v.suspected));
    let suspected = of(8).find(|v| v.suspected).expect("suspected");
    // It beat last at 800 ms.
    assert!((1500..1800).contains(&(suspected.since.0 / 1_000_000)), "{suspected:?}");
    assert_eq!(of(8).next_back().map(|v| v.state), Some(State::Failed));
    let status = status.expect("asked").try_take().expect("answered").expect("well");
    assert_eq!((status.hosted, status.agents.healthy, status.agents.failed), (2, 1, 1));
}
