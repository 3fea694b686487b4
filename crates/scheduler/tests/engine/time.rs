//! Log time: timeouts, jumps, many timers, checkpoints.

use crate::rig::{ONE, Rig, TWO, pauses, retries, task, total};
use quorate_core::{Applied, Rng, StateMachine};
use quorate_scheduler::engine::{Act, Block, Completion, Event, State, Whom, Why};
use quorate_scheduler::graph::{GraphSpec, Timeouts};
use quorate_scheduler::{Command, Engine, EngineConfig, Work};

#[test]
fn each_of_the_four_timeouts_ends_what_it_bounds() {
    let timeouts =
        |queue, run, idle, total| Timeouts { queue_ms: queue, run_ms: run, idle_ms: idle, total_ms: total };
    let mut rig = Rig::new([
        task("queue").timeouts(timeouts(Some(50), None, None, None)).retry(retries(9)),
        task("run").timeouts(timeouts(None, Some(50), None, None)).retry(retries(1)),
        task("idle").timeouts(timeouts(None, None, Some(50), None)).retry(retries(1)),
        task("total").timeouts(timeouts(None, Some(40), None, Some(100))).retry(retries(9)),
    ]);
    rig.lease("run", ONE);
    let idle = rig.lease("idle", ONE);
    rig.lease("total", ONE);
    rig.at(49);
    assert_eq!(rig.state("queue"), State::Ready);
    rig.at(50);
    assert_eq!((rig.state("queue"), rig.why("queue")), (State::Failed, Why::QueueTimeout));
    // The attempt is over, the task is not.
    assert_eq!(rig.states(["run", "total", "idle"]), [State::Ready, State::Ready, State::Leased]);
    // Progress is known to leaders alone: it is they who expire what makes none.
    assert!(rig.engine.expire(idle));
    assert!(!rig.engine.expire(idle));
    assert_eq!(rig.state("idle"), State::Ready);
    rig.lease("run", ONE);
    rig.lease("total", ONE);
    rig.at(100);
    assert_eq!((rig.state("run"), rig.why("run")), (State::Failed, Why::RunTimeout));
    assert_eq!((rig.state("total"), rig.why("total")), (State::Failed, Why::Deadline));
    assert_eq!(rig.engine.counts().expired, 5);
    rig.audit();
}

#[test]
fn jumps_of_time_fire_nothing_twice() {
    let run = Timeouts { run_ms: Some(100), ..Timeouts::default() };
    let names: Vec<String> = (0..10_000).map(|i| i.to_string()).collect();
    let tasks = names.iter().map(|name| task(name).timeouts(run).retry(pauses(1, 1000)));
    let mut rig = Rig::new(tasks.collect::<Vec<_>>());
    let many = quorate_scheduler::engine::AgentSpec::new(ONE).slots(u32::MAX);
    rig.engine.register(quorate_core::NodeId(1), &[many]).unwrap();
    for name in &names {
        rig.lease(name, ONE);
    }
    // A day passes at once; time that goes back counts as no time.
    for stamp in [86_400_000, 86_400_000, 50, 86_400_000, 0, 86_400_000] {
        rig.at(stamp);
    }
    assert_eq!(rig.engine.stamp(), 86_400_000);
    let expired = rig.count(|e| matches!(e, Event::LeaseEnded { why: Why::RunTimeout, .. }));
    assert_eq!(expired, 10_000);
    assert_eq!(rig.engine.counts().retries, 10_000);
    assert!(names.iter().all(|name| rig.state(name) == State::BackingOff));
    for _ in 0..5 {
        rig.at(86_402_000);
    }
    let ready = rig.count(|e| matches!(e, Event::Ready { .. }));
    assert_eq!(ready, 20_000, "each was ready once at first and once for its retry");
    rig.audit();
}

#[test]
fn a_million_timers_stay_cheap() {
    // Each task has a deadline, and each is leased, failed and retried before it: four timers in turn.
    let n = 250_000u32;
    let mut spec = GraphSpec::with_capacity(n as usize, 0);
    for i in 0..n {
        let one = quorate_scheduler::TaskSpec::new(i.to_string()).retry(pauses(3, 10));
        spec.add(one.timeouts(Timeouts { run_ms: Some(5_000), ..total(60_000) }));
    }
    let mut engine = Engine::new(EngineConfig { retry_budget: u32::MAX, ..EngineConfig::default() }).unwrap();
    let many = quorate_scheduler::engine::AgentSpec::new(ONE).slots(u32::MAX);
    engine.register(quorate_core::NodeId(1), &[many]).unwrap();
    engine.submit(&spec).unwrap();
    let mut leases = Vec::new();
    for round in 0..2u64 {
        for i in 0..n {
            leases.push(engine.assign(quorate_scheduler::TaskId(i), ONE).unwrap());
        }
        for lease in leases.drain(..) {
            engine.fail(lease, false, "");
        }
        while engine.next_due().is_some_and(|due| due <= (round + 1) * 100) {
            engine.advance((round + 1) * 100, 0);
        }
    }
    assert_eq!(engine.counts().retries, u64::from(2 * n));
    // No timer is left behind by those that were overtaken beyond one a task and attempt.
    let mut fired = 0;
    while let Some(due) = engine.next_due() {
        engine.advance(due, 0);
        fired += 1;
        assert!(fired < 1000, "time does not come to an end");
    }
    assert_eq!(engine.open(), 0);
    assert_eq!(engine.counts().failed, u64::from(n));
    assert!(engine.audit().is_clean());
}

/// A long random run, as commands.
fn commands(seed: u64) -> Vec<Command> {
    let mut rng = Rng::from_seed(seed);
    let mut commands = Vec::new();
    let mut spec = GraphSpec::new();
    for i in 0..60u64 {
        let mut one = task(&i.to_string()).retry(pauses(2, 20)).timeouts(total(3000));
        if i > 0 && rng.chance(0.7) {
            one = one.after([rng.within(0..i).to_string()]);
        }
        spec.add(one);
    }
    commands.push(Command::Submit(Box::new(spec)));
    for id in [ONE, TWO] {
        let agents = vec![quorate_scheduler::engine::AgentSpec::new(id).slots(4)];
        commands.push(Command::Register { node: quorate_core::NodeId(id.0), agents });
    }
    for step in 1..300u64 {
        let mut acts = Vec::new();
        for _ in 0..3 {
            let task = quorate_scheduler::TaskId(rng.within(0..60) as u32);
            let agent = if rng.chance(0.5) { ONE } else { TWO };
            let lease =
                quorate_scheduler::Lease { task, attempt: rng.within(1..4) as u32, epoch: rng.within(1..3) };
            acts.push(match rng.within(0..10) {
                0..5 => Act::Assign(vec![(task, agent)]),
                5 | 6 => Act::Complete { lease, digest: rng.bits(), result: vec![1, 2, 3] },
                7 => Act::Fail { lease, hopeless: rng.chance(0.2), text: "why not".into() },
                8 => Act::Suspect(Whom::Agent(agent)),
                _ => Act::Trust(Whom::Agent(agent)),
            });
        }
        let block = Block { epoch: 1 + step / 150, at: step * 13, draw: rng.bits(), acts };
        commands.push(Command::Block(block));
        if rng.chance(0.05) {
            commands.push(Command::Cancel { task: rng.within(0..60).to_string() });
        }
        if rng.chance(0.05) {
            let (from, to) = (rng.within(0..60).to_string(), rng.within(0..60).to_string());
            commands.push(Command::AddEdge { from, to });
        }
    }
    commands
}

#[test]
fn checkpoint_restore_continue_gives_the_same_event_log() {
    for seed in 0..8 {
        let commands = commands(seed);
        let apply = |work: &mut Work, commands: &[Command]| {
            let from = work.events_next();
            for (at, command) in commands.iter().enumerate() {
                work.apply(command.clone(), Applied { index: at as u64 + 1, term: 1 });
            }
            work.events_since(from).unwrap().copied().collect::<Vec<Event>>()
        };
        let mut whole = Work::new(EngineConfig::default()).unwrap();
        let all = apply(&mut whole, &commands);
        assert!(all.len() > 100);
        for cut in [1, 3, 50, 150, 299] {
            let mut first = Work::new(EngineConfig::default()).unwrap();
            let mut events = apply(&mut first, &commands[..cut]);
            let bytes = postcard::to_stdvec(&first.freeze()).unwrap();
            let mut second = Work::restore(postcard::from_bytes(&bytes).unwrap()).unwrap();
            assert_eq!(second, first);
            assert!(second.events_since(0).is_none() || second.events_next() == 0);
            events.extend(apply(&mut second, &commands[cut..]));
            assert_eq!(events, all, "seed {seed}, cut {cut}");
            assert_eq!(second, whole);
            assert_eq!(postcard::to_stdvec(&second.freeze()), postcard::to_stdvec(&whole.freeze()));
            assert!(second.audit().is_clean(), "{:?}", second.audit());
        }
    }
}

#[test]
fn a_snapshot_that_disagrees_with_itself_is_refused() {
    let mut work = Work::new(EngineConfig::default()).unwrap();
    for command in commands(1).into_iter().take(40) {
        work.apply(command, Applied { index: 1, term: 1 });
    }
    let bytes = postcard::to_stdvec(&work.freeze()).unwrap();
    let mut rng = Rng::from_seed(5);
    let mut refused = 0;
    for _ in 0..3000 {
        let mut bytes = bytes.clone();
        let at = rng.index(bytes.len());
        bytes[at] ^= 1 << rng.within(0..8);
        // Some flips change a value to another that could be; none may panic.
        match postcard::from_bytes::<Engine>(&bytes).map(Work::restore) {
            Ok(Ok(_)) => {}
            _ => refused += 1,
        }
    }
    assert!(refused > 100, "{refused}");
}

#[test]
fn an_agent_that_finishes_in_the_very_moment_of_its_timeout_has_finished() {
    let mut rig = Rig::new([task("a").timeouts(Timeouts { run_ms: Some(10), ..Timeouts::default() })]);
    let lease = rig.lease("a", ONE);
    let acts = vec![Act::Complete { lease, digest: 1, result: Vec::new() }];
    let reply = rig.engine.block(Block { epoch: 0, at: 10, draw: 0, acts }).unwrap();
    assert_eq!(reply.committed, 1);
    assert_eq!(rig.done(lease), Completion::Duplicate);
}
